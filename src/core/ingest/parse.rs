//! The stream of a source's document: bytes as they arrive, cut into whole tags.
//!
//! No I/O and no clock. A METRIC that looks like one seen before is read by comparing bytes (see
//! `fast`); everything else goes through quick-xml (see `elements`). Both ways give the same result
//! for any input.

use std::collections::HashMap;
use std::sync::Arc;

use memchr::memchr;

use super::document::{Document, ParseError, Previous};
use super::elements::Elements;
use super::fast::{self, Fast};
use super::scan::{mend, tag};
use super::settings::{MAX_DOCTYPE_BYTES, MAX_DOCUMENT_BYTES, MAX_TAG_BYTES, ParseSettings};
use crate::model::{DefTable, Mono, Vocabulary};

/// Bytes first joined to a tag that began in an earlier piece.
const JOIN_BYTES: usize = 2048;

/// Reads one document.
#[derive(Debug)]
pub struct Parser {
    elements: Elements,
    /// Whether METRICs are compared first.
    fast: bool,
    /// An unfinished tag.
    pending: Vec<u8>,
    /// Bytes read as whole elements so far.
    position: u64,
    /// Bytes that arrived so far.
    bytes: u64,
}

impl Parser {
    /// A reader of the document that follows `previous`.
    pub fn new(settings: Arc<ParseSettings>, previous: Previous) -> Parser {
        Parser {
            fast: settings.fast,
            elements: Elements::new(settings, previous),
            pending: Vec::new(),
            position: 0,
            bytes: 0,
        }
    }

    /// Reads on. After an error the document is lost.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        now: Mono,
        table: &mut DefTable,
    ) -> Result<(), ParseError> {
        self.elements.set_now(now);
        self.bytes += bytes.len() as u64;
        if self.bytes > MAX_DOCUMENT_BYTES {
            return Err(self.elements.limit("the document", MAX_DOCUMENT_BYTES));
        }
        let rest = self.finish_pending(bytes, table)?;
        let read = self.read(rest, table)?;
        self.pending.extend_from_slice(&rest[read..]);
        self.elements.check_memory()
    }

    /// Completes the tag that began in an earlier piece. Returns the bytes after it.
    ///
    /// Only the bytes that it takes are copied; the rest is read in place.
    fn finish_pending<'a>(
        &mut self,
        mut bytes: &'a [u8],
        table: &mut DefTable,
    ) -> Result<&'a [u8], ParseError> {
        while !self.pending.is_empty() && !bytes.is_empty() {
            let mut pending = std::mem::take(&mut self.pending);
            let had = pending.len();
            let (joined, rest) = bytes.split_at(bytes.len().min(had.max(JOIN_BYTES)));
            pending.extend_from_slice(joined);
            let read = self.read(&pending, table)?;
            if read >= had {
                bytes = &bytes[read - had..];
                pending.clear();
            } else {
                bytes = rest;
                pending.drain(..read);
            }
            self.pending = pending;
        }
        Ok(bytes)
    }

    /// Bytes read so far.
    pub fn byte_count(&self) -> u64 {
        self.bytes
    }

    /// Whether the root element is closed: `finish` then gives the document.
    pub fn has_ended(&self) -> bool {
        self.elements.has_ended()
    }

    /// The document, if it is complete.
    pub fn finish(self, now: Mono) -> Result<Document, ParseError> {
        if !self.has_ended() {
            return Err(ParseError::Truncated(self.bytes));
        }
        Ok(self.elements.into_document(self.bytes, now))
    }

    /// What was known before this document, for the next one.
    ///
    /// What this document taught is dropped: a peer that never ends one would teach more and more.
    /// If it exceeded a limit, all is dropped, since what was known counts towards the limits.
    pub fn into_vocabularies(self) -> HashMap<Box<str>, Vocabulary> {
        self.elements.into_known()
    }

    /// Reads as many whole elements as there are. Returns how many bytes that took.
    fn read(&mut self, bytes: &[u8], table: &mut DefTable) -> Result<usize, ParseError> {
        let mut at = 0;
        loop {
            at += bytes[at..]
                .iter()
                .take_while(|b| b.is_ascii_whitespace())
                .count();
            let rest = &bytes[at..];
            if rest.is_empty() || self.elements.has_ended() {
                at = bytes.len();
                break;
            }
            if self.fast
                && let Some(cluster) = self.elements.cluster_of_open_host()
            {
                match fast::metric(cluster, rest) {
                    Fast::Hit(len, id, tn, val) => {
                        cluster.metric(id, tn, val);
                        at += len;
                        continue;
                    }
                    Fast::More if rest.len() <= MAX_TAG_BYTES => break,
                    Fast::More | Fast::Miss => {}
                }
            }
            match self.read_slowly(rest, self.position + at as u64, table)? {
                Some(len) => at += len,
                None => break,
            }
        }
        self.position += at as u64;
        Ok(at)
    }

    /// Reads the tag or text at the start of `bytes`, which are not empty, at that offset in the
    /// document. Returns its length; `None`: the tag is not complete.
    fn read_slowly(
        &mut self,
        bytes: &[u8],
        offset: u64,
        table: &mut DefTable,
    ) -> Result<Option<usize>, ParseError> {
        if bytes[0] != b'<' {
            if !self.elements.has_begun() {
                return Err(ParseError::NotXml);
            }
            // Text has no meaning between Ganglia's elements.
            self.elements.note_damage();
            return Ok(Some(memchr(b'<', bytes).unwrap_or(bytes.len())));
        }
        self.elements.set_offset(offset);
        let Some(tag) = tag(bytes) else {
            if bytes.len() > MAX_TAG_BYTES.max(MAX_DOCTYPE_BYTES) {
                return Err(self.elements.limit("a tag", MAX_TAG_BYTES as u64));
            }
            return Ok(None);
        };
        let bytes = &bytes[..tag.len];
        if let Some(broken_at) = tag.broken_at {
            self.elements.note_damage();
            self.elements.tag(&mend(bytes, broken_at), table)?;
        } else {
            self.elements.tag(bytes, table)?;
        }
        Ok(Some(tag.len))
    }
}
