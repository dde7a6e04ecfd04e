//! From the bytes of a connection to a document, unpacked if they are gzipped.
//!
//! No I/O. One call does a limited amount of work.

use crate::ingest::inflate::{GZIP_MAGIC, Inflate, Inflated};
use crate::ingest::{Document, ParseError, Parser};
use crate::model::{DefTable, Mono};

use super::outcome::Failure;

/// Unpacked bytes read in one call.
const WORK_BYTES: usize = 32 << 10;

/// Values of the end of a document worked on in one call.
const END_VALUES: usize = 128;

/// The same in the call in which the document ends: most are done at once.
const FIRST_END_VALUES: usize = 1024;

/// Unpacked bytes held at a time.
const UNPACKED_BYTES: usize = 16 << 10;

/// Reads one connection.
#[derive(Debug)]
pub(super) struct Intake {
    /// `None` once given back.
    parser: Option<Box<Parser>>,
    form: Form,
    wire_bytes: u64,
}

#[derive(Debug)]
enum Form {
    /// Nothing has arrived yet.
    Unknown,
    /// A plain document.
    Plain,
    /// A gzipped document.
    Gzip {
        inflate: Box<Inflate>,
        unpacked: Box<[u8]>,
        /// Whether the last call left something to unpack.
        backlog: bool,
    },
    /// All of the document has arrived. Its end is being worked off.
    Ended,
}

/// What the bytes were so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// A part of the document.
    More,
    /// The whole document.
    All,
}

impl Intake {
    pub(super) fn new(parser: Parser) -> Intake {
        Intake {
            parser: Some(Box::new(parser)),
            form: Form::Unknown,
            wire_bytes: 0,
        }
    }

    /// Whether `work` has something to do.
    pub(super) fn has_backlog(&self) -> bool {
        matches!(self.form, Form::Gzip { backlog: true, .. } | Form::Ended)
            || self.parser.as_ref().is_some_and(|parser| parser.is_busy())
    }

    /// Takes bytes. Call this only without a backlog.
    pub(super) fn bytes(
        &mut self,
        bytes: &[u8],
        now: Mono,
        table: &mut DefTable,
    ) -> Result<Taken, Failure> {
        self.wire_bytes += bytes.len() as u64;
        if matches!(self.form, Form::Unknown) {
            self.form = match bytes.first() {
                None => Form::Unknown,
                Some(&GZIP_MAGIC) => Form::Gzip {
                    inflate: Box::new(Inflate::new()),
                    unpacked: vec![0; UNPACKED_BYTES].into(),
                    backlog: false,
                },
                Some(_) => Form::Plain,
            };
        }
        match &mut self.form {
            Form::Gzip {
                inflate, backlog, ..
            } => {
                if let Some(parser) = &self.parser {
                    parser.check_packed(self.wire_bytes)?;
                }
                inflate.push(bytes);
                *backlog = true;
                self.unpack(now, table)
            }
            Form::Unknown | Form::Plain => {
                let Some(parser) = &mut self.parser else {
                    return Ok(Taken::More);
                };
                parser.begin_feed(bytes, now, table)?;
                if !parser.has_ended() {
                    return Ok(Taken::More);
                }
                self.form = Form::Ended;
                Ok(self.work_on_end(FIRST_END_VALUES))
            }
            Form::Ended => Ok(Taken::More),
        }
    }

    /// Goes on with what was too much work for one call.
    pub(super) fn work(&mut self, now: Mono, table: &mut DefTable) -> Result<Taken, Failure> {
        let Some(parser) = &mut self.parser else {
            return Ok(Taken::More);
        };
        if parser.is_busy() {
            parser.go_on(END_VALUES, now, table)?;
            if matches!(self.form, Form::Plain) && parser.has_ended() {
                self.form = Form::Ended;
            }
            return Ok(Taken::More);
        }
        if !matches!(self.form, Form::Ended) {
            return self.unpack(now, table);
        }
        Ok(self.work_on_end(END_VALUES))
    }

    fn work_on_end(&mut self, budget: usize) -> Taken {
        let Some(parser) = &mut self.parser else {
            return Taken::More;
        };
        parser.work(budget);
        if parser.is_ending() {
            Taken::More
        } else {
            Taken::All
        }
    }

    /// Goes on unpacking.
    fn unpack(&mut self, now: Mono, table: &mut DefTable) -> Result<Taken, Failure> {
        let (
            Some(parser),
            Form::Gzip {
                inflate,
                unpacked,
                backlog,
            },
        ) = (&mut self.parser, &mut self.form)
        else {
            return Ok(Taken::More);
        };
        let mut done = 0;
        while done < WORK_BYTES {
            match inflate.read(unpacked)? {
                Inflated::Some(len) => {
                    parser.begin_feed(&unpacked[..len], now, table)?;
                    done += len;
                    if parser.is_busy() {
                        break;
                    }
                }
                Inflated::Starved => {
                    *backlog = false;
                    return Ok(Taken::More);
                }
                // Only here the checksum has been verified.
                Inflated::Ended if parser.has_ended() => {
                    self.form = Form::Ended;
                    return Ok(self.work_on_end(FIRST_END_VALUES));
                }
                Inflated::Ended => {
                    let bytes = parser.byte_count();
                    return Err(ParseError::Truncated(bytes).into());
                }
            }
        }
        Ok(Taken::More)
    }

    /// The connection was closed. `work` unpacks the rest.
    pub(super) fn end(&mut self) -> Result<Taken, Failure> {
        match &mut self.form {
            Form::Unknown => Err(Failure::Nothing),
            Form::Plain => {
                let bytes = self.parser.as_ref().map_or(0, |parser| parser.byte_count());
                Err(ParseError::Truncated(bytes).into())
            }
            Form::Gzip {
                inflate, backlog, ..
            } => {
                inflate.close();
                *backlog = true;
                Ok(Taken::More)
            }
            Form::Ended => Ok(Taken::More),
        }
    }

    /// The document, and its bytes on the wire.
    pub(super) fn finish(mut self, now: Mono) -> Result<(Document, u64), ParseError> {
        let parser = self.parser.take().ok_or(ParseError::NotXml)?;
        Ok((parser.finish(now)?, self.wire_bytes))
    }

    /// The parser, to be given back.
    pub(super) fn take_parser(&mut self) -> Option<Box<Parser>> {
        self.parser.take()
    }
}
