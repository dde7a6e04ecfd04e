//! A gzipped document, unpacked piece by piece as its bytes arrive.
//!
//! No I/O. The compression ratio is limited here, the size of the document by the parser.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::bufread::GzDecoder;

/// The first byte of a gzip stream; no document starts with it.
pub const GZIP_MAGIC: u8 = 0x1f;

/// Documents of metrics compress about twentyfold. The format's maximum is 1,032.
const MAX_RATIO: u64 = 500;

/// Below this size, any ratio is accepted.
const RATIO_FROM_BYTES: u64 = 4 << 20;

/// Why a stream was rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// Not gzip, or damaged.
    #[error("broken gzip stream: {0}")]
    Broken(String),
    /// The stream ended too early.
    #[error("the gzip stream is cut off after {0} bytes")]
    Truncated(u64),
    /// Too high a ratio.
    #[error(
        "{packed} bytes of gzip unpack to {unpacked} or more: rejected as a decompression bomb"
    )]
    Bomb {
        /// Compressed bytes so far.
        packed: u64,
        /// Unpacked bytes so far.
        unpacked: u64,
    },
}

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inflated {
    /// So many bytes; there may be more.
    Some(usize),
    /// Nothing until more compressed bytes arrive.
    Starved,
    /// The end of an intact stream.
    Ended,
}

/// Unpacks one stream.
#[derive(Debug)]
pub struct Inflate {
    decoder: GzDecoder<Feed>,
    packed: u64,
    unpacked: u64,
}

/// Bytes that arrived and are not unpacked yet.
#[derive(Debug, Default)]
struct Feed {
    bytes: Vec<u8>,
    at: usize,
    closed: bool,
}

impl Inflate {
    /// A new stream.
    pub(crate) fn new() -> Inflate {
        Inflate {
            decoder: GzDecoder::new(Feed::default()),
            packed: 0,
            unpacked: 0,
        }
    }

    /// Adds bytes that arrived. Call this only when all earlier ones have been read.
    pub fn push(&mut self, bytes: &[u8]) {
        let feed = self.decoder.get_mut();
        feed.bytes.drain(..feed.at);
        feed.at = 0;
        feed.bytes.extend_from_slice(bytes);
        self.packed = self.packed.saturating_add(bytes.len() as u64);
    }

    /// Notes that no more bytes will arrive.
    pub fn close(&mut self) {
        self.decoder.get_mut().closed = true;
    }

    /// Unpacks some bytes into `out`.
    pub fn read(&mut self, out: &mut [u8]) -> Result<Inflated, InflateError> {
        match self.decoder.read(out) {
            Ok(0) => Ok(Inflated::Ended),
            Ok(len) => {
                self.unpacked = self.unpacked.saturating_add(len as u64);
                if self.unpacked > RATIO_FROM_BYTES && self.unpacked / MAX_RATIO > self.packed {
                    return Err(InflateError::Bomb {
                        packed: self.packed,
                        unpacked: self.unpacked,
                    });
                }
                Ok(Inflated::Some(len))
            }
            Err(err) => match err.kind() {
                ErrorKind::WouldBlock => Ok(Inflated::Starved),
                ErrorKind::UnexpectedEof => Err(InflateError::Truncated(self.packed)),
                _ => Err(InflateError::Broken(err.to_string())),
            },
        }
    }
}

impl Read for Feed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.read(out)?;
        self.consume(len);
        Ok(len)
    }
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.bytes.len() && !self.closed {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(&self.bytes[self.at..])
    }

    fn consume(&mut self, len: usize) {
        self.at = self.at.saturating_add(len);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    }

    /// Unpacks what arrives in chunks of `chunk`, then ends.
    fn unpack(bytes: &[u8], chunk: usize) -> Result<Vec<u8>, InflateError> {
        let mut inflate = Inflate::new();
        let (mut all, mut out) = (Vec::new(), [0; 1000]);
        for part in bytes.chunks(chunk) {
            inflate.push(part);
            while let Inflated::Some(len) = inflate.read(&mut out)? {
                all.extend_from_slice(&out[..len]);
            }
        }
        inflate.close();
        while let Inflated::Some(len) = inflate.read(&mut out)? {
            all.extend_from_slice(&out[..len]);
        }
        Ok(all)
    }

    #[test]
    fn a_stream_unpacks_the_same_however_it_arrives() {
        let text: Vec<u8> = (0..20_000u32).flat_map(u32::to_le_bytes).collect();
        let stream = packed(&text);
        for chunk in [1, 7, 1000, stream.len()] {
            assert_eq!(unpack(&stream, chunk), Ok(text.clone()), "by {chunk}");
        }
    }

    #[test]
    fn a_stream_that_stops_or_is_damaged_is_told() {
        let stream = packed(&b"some text and some more ".repeat(50));
        for end in [1, 5, 12, stream.len() - 9, stream.len() - 1] {
            assert_eq!(
                unpack(&stream[..end], 4),
                Err(InflateError::Truncated(end as u64)),
                "{end} of {}",
                stream.len()
            );
        }
        let mut damaged = stream.clone();
        let at = damaged.len() - 6;
        damaged[at] ^= 1;
        assert!(matches!(unpack(&damaged, 64), Err(InflateError::Broken(_))));
        assert!(matches!(
            unpack(&[GZIP_MAGIC; 16], 64),
            Err(InflateError::Broken(_))
        ));
    }

    #[test]
    fn a_bomb_is_given_up_early() {
        let stream = packed(&vec![b' '; 9 << 20]);
        assert!(stream.len() < 100_000);
        let Err(InflateError::Bomb { unpacked, .. }) = unpack(&stream, 1000) else {
            panic!("not noticed");
        };
        assert!(unpacked < 2 * RATIO_FROM_BYTES, "{unpacked}");
    }
}
