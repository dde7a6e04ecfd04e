//! What a server answers to a frame, and reading it within limits.
//!
//! No sockets: more bytes come from a function.

use super::error::LinkError;

/// Bytes of an answer that are shown where it makes no sense.
const SHOWN_BYTES: usize = 40;

/// What a server answered to a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchAnswer {
    /// Places in the batch, from 0, of values that it refused. They are not sent again.
    pub refused: Vec<u32>,
    /// Values that it left out for a reason which the dialect counts and logs itself.
    pub left_out: u32,
    /// Why it refused the first of them, in its words.
    pub reason: String,
    /// Whether it takes no more over this connection.
    pub closes: bool,
}

/// Receives at least one more byte, or fails.
type More<'a> = dyn FnMut(&mut Vec<u8>) -> Result<(), LinkError> + 'a;

/// Reads an answer: what has been received already, then what comes.
pub struct AnswerReader<'a> {
    received: &'a mut Vec<u8>,
    more: &'a mut More<'a>,
}

impl<'a> AnswerReader<'a> {
    /// Reads from `received`, and calls `more` where that is not enough.
    pub fn new(received: &'a mut Vec<u8>, more: &'a mut More<'a>) -> AnswerReader<'a> {
        AnswerReader { received, more }
    }

    /// Reads a line of `limit` bytes at most, without its end.
    pub fn line(&mut self, limit: usize) -> Result<String, LinkError> {
        loop {
            let end = memchr::memchr(b'\n', self.received);
            if end.unwrap_or(self.received.len()) > limit {
                return Err(LinkError::Protocol(self.start()));
            }
            if let Some(end) = end {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
            }
            (self.more)(self.received)?;
        }
    }

    /// Reads up to and including `end`, `limit` bytes at most.
    pub fn through(&mut self, end: &[u8], limit: usize) -> Result<Vec<u8>, LinkError> {
        let mut looked_at = 0;
        loop {
            let found = memchr::memmem::find(&self.received[looked_at..], end);
            let length = found.map_or(self.received.len(), |at| looked_at + at + end.len());
            if length > limit {
                return Err(LinkError::Protocol(self.start()));
            }
            if found.is_some() {
                return Ok(self.received.drain(..length).collect());
            }
            looked_at = self.received.len().saturating_sub(end.len());
            (self.more)(self.received)?;
        }
    }

    /// Whether what comes begins so. Takes nothing.
    pub fn begins_with(&mut self, start: &[u8]) -> Result<bool, LinkError> {
        while self.received.len() < start.len() {
            if !start.starts_with(self.received) {
                return Ok(false);
            }
            (self.more)(self.received)?;
        }
        Ok(self.received.starts_with(start))
    }

    /// Reads what comes until the connection ends, `limit` bytes at most.
    pub fn rest(&mut self, limit: usize) -> Result<Vec<u8>, LinkError> {
        while self.received.len() < limit {
            match (self.more)(self.received) {
                Ok(()) => {}
                Err(LinkError::Closed) => break,
                Err(error) => return Err(error),
            }
        }
        self.received.truncate(limit);
        Ok(std::mem::take(self.received))
    }

    fn start(&self) -> String {
        let shown = SHOWN_BYTES.min(self.received.len());
        String::from_utf8_lossy(&self.received[..shown]).into_owned()
    }

    /// Reads exactly so many bytes. The caller bounds the number.
    pub fn exactly(&mut self, count: usize) -> Result<Vec<u8>, LinkError> {
        while self.received.len() < count {
            (self.more)(self.received)?;
        }
        Ok(self.received.drain(..count).collect())
    }
}

/// Reads an answer that comes a byte at a time; behind it the server closes the connection.
#[cfg(test)]
pub(crate) fn read_slowly<T>(
    bytes: &[u8],
    read: impl FnOnce(&mut AnswerReader<'_>) -> Result<T, LinkError>,
) -> Result<T, LinkError> {
    let mut bytes = bytes.iter();
    let mut received = Vec::new();
    let mut more = |received: &mut Vec<u8>| {
        received.push(*bytes.next().ok_or(LinkError::Closed)?);
        Ok(())
    };
    read(&mut AnswerReader::new(&mut received, &mut more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_counted_bytes_are_read_however_they_come() {
        let read = read_slowly(b"one\r\ntwo\nabcd", |reader| {
            Ok((reader.line(10)?, reader.line(3)?, reader.exactly(4)?))
        });
        assert_eq!(
            read.unwrap(),
            ("one".into(), "two".into(), b"abcd".to_vec())
        );
    }

    #[test]
    fn a_line_over_its_limit_is_no_answer_even_if_it_ends() {
        for text in [&b"123456"[..], b"12345\n"] {
            let result = read_slowly(text, |reader| reader.line(4));
            assert!(matches!(result, Err(LinkError::Protocol(start)) if start == "12345"));
        }
        let long = [b'x'; 200];
        let mut received = long.to_vec();
        let mut none = |_: &mut Vec<u8>| Err(LinkError::Closed);
        let result = AnswerReader::new(&mut received, &mut none).line(100);
        assert!(matches!(result, Err(LinkError::Protocol(start)) if start.len() == SHOWN_BYTES));
    }

    #[test]
    fn a_start_is_looked_at_and_left() {
        let looked = |text: &[u8]| {
            read_slowly(text, |reader| {
                Ok((reader.begins_with(b"ab")?, reader.exactly(2)?))
            })
        };
        assert_eq!(looked(b"abc").unwrap(), (true, b"ab".to_vec()));
        assert_eq!(looked(b"xbc").unwrap(), (false, b"xb".to_vec()));
        assert!(matches!(looked(b"a"), Err(LinkError::Closed)));
    }

    #[test]
    fn an_answer_that_is_cut_off_is_told() {
        let result = read_slowly(b"ab", |reader| reader.exactly(3));
        assert!(matches!(result, Err(LinkError::Closed)));
        let result = read_slowly(b"ab", |reader| reader.line(3));
        assert!(matches!(result, Err(LinkError::Closed)));
    }
}
