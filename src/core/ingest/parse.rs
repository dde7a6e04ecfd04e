//! The stream of a source's document: bytes as they arrive, cut into whole tags.
//!
//! No I/O and no clock. A METRIC or HOST that looks like one seen before is read by comparing bytes (see
//! `fast`); everything else goes through quick-xml (see `elements`). Both ways give the same result
//! for any input.

use std::sync::Arc;

use memchr::memchr;

use super::document::{Document, ParseError, Previous};
use super::elements::Elements;
use super::fast::{self, Fast};
use super::nodes::Abandoned;
use super::scan::{Scan, mend};
use super::settings::{Limits, ParseSettings};
use crate::model::{DefTable, Mono};

/// Bytes first joined to a tag that began in an earlier piece.
const JOIN_BYTES: usize = 2048;

/// Reads one document.
#[derive(Debug)]
pub struct Parser {
    elements: Elements,
    /// Whether METRICs are compared first.
    fast: bool,
    limits: Limits,
    /// An unfinished tag; if it is too large, only its end that needs another look.
    pending: Vec<u8>,
    /// Bytes behind a tag that means much work first.
    unread: Vec<u8>,
    /// How far the last piece's end was looked through.
    unfinished: Unfinished,
    /// Bytes read as whole elements so far.
    position: u64,
    /// Bytes that arrived so far.
    bytes: u64,
}

/// What the last piece ended with.
#[derive(Debug)]
enum Unfinished {
    /// A whole element, or white space.
    Nothing,
    /// Text, which is counted.
    Text,
    /// A tag that was looked through so far, and its length when that started.
    Tag { scan: Scan, seen: usize },
}

/// How far one element was read.
enum Step {
    /// To its end, after so many bytes.
    Read(usize),
    /// It is not complete; so many bytes need not be kept.
    Unfinished(usize),
}

impl Parser {
    /// A reader of the document that follows `previous`.
    pub fn new(settings: Arc<ParseSettings>, previous: Previous) -> Parser {
        Parser {
            fast: settings.fast,
            limits: settings.limits,
            elements: Elements::new(settings, previous),
            pending: Vec::new(),
            unread: Vec::new(),
            unfinished: Unfinished::Nothing,
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
        self.begin_feed(bytes, now, table)?;
        while self.is_busy() {
            self.go_on(usize::MAX, now, table)?;
        }
        Ok(())
    }

    /// Reads on, unless a tag means much work first: see `is_busy`.
    pub(crate) fn begin_feed(
        &mut self,
        bytes: &[u8],
        now: Mono,
        table: &mut DefTable,
    ) -> Result<(), ParseError> {
        self.elements.set_now(now);
        self.bytes += bytes.len() as u64;
        let limit = self.limits.document_bytes;
        if self.bytes > limit {
            return Err(self.elements.limit("the document", limit));
        }
        self.take_in(bytes, table)
    }

    /// Whether `go_on` has to be called before more bytes can be read.
    pub(crate) fn is_busy(&self) -> bool {
        self.elements.is_busy()
    }

    /// Goes on with the work that a tag means, by about so many values or sums, and then with the bytes behind it.
    pub(crate) fn go_on(
        &mut self,
        budget: usize,
        now: Mono,
        table: &mut DefTable,
    ) -> Result<(), ParseError> {
        self.elements.set_now(now);
        self.elements.go_on(budget);
        if self.is_busy() {
            return Ok(());
        }
        let unread = std::mem::take(&mut self.unread);
        self.take_in(&unread, table)
    }

    fn take_in(&mut self, bytes: &[u8], table: &mut DefTable) -> Result<(), ParseError> {
        let rest = self.finish_pending(bytes, table)?;
        let read = self.read(rest, table)?;
        let rest = &rest[read..];
        if self.is_busy() {
            self.unread.extend_from_slice(rest);
        } else {
            self.pending.extend_from_slice(rest);
        }
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
            if self.is_busy() {
                self.unread.extend_from_slice(&pending[read..]);
                self.unread.extend_from_slice(rest);
                return Ok(&[]);
            }
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

    /// Checks the bytes of a packed document that arrived: they need not unpack to anything.
    pub(crate) fn check_packed(&self, bytes: u64) -> Result<(), ParseError> {
        let limit = self.limits.document_bytes;
        if bytes > limit {
            return Err(self.elements.limit("the packed document", limit));
        }
        Ok(())
    }

    /// Bytes kept of an unfinished tag.
    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Bytes read so far.
    pub fn byte_count(&self) -> u64 {
        self.bytes
    }

    /// Whether the root element is closed: `finish` then gives the document.
    pub fn has_ended(&self) -> bool {
        self.elements.has_ended()
    }

    /// Whether the root element is closed and its end is not worked off yet.
    pub fn is_ending(&self) -> bool {
        self.elements.is_ending()
    }

    /// Works on the end of the document, by about so many values.
    pub fn work(&mut self, budget: usize) {
        self.elements.work(budget);
    }

    /// The document, if it is complete. Works its end off, where that was not done by `work`.
    pub fn finish(mut self, now: Mono) -> Result<Document, ParseError> {
        if !self.has_ended() {
            return Err(ParseError::Truncated(self.bytes));
        }
        while self.is_ending() {
            self.work(usize::MAX);
        }
        Ok(self.elements.into_document(self.bytes, now))
    }

    /// Gives the document up, in steps, for what was known before it.
    ///
    /// What this document taught is dropped: a peer that never ends one would teach more and more.
    /// If it exceeded a limit, all is dropped, since what was known counts towards the limits.
    pub fn abandon(self) -> Abandoned {
        self.elements.abandon()
    }

    /// Reads as many whole elements as there are. Returns how many bytes that took.
    fn read(&mut self, bytes: &[u8], table: &mut DefTable) -> Result<usize, ParseError> {
        let mut at = match self.read_unfinished(bytes, table)? {
            Step::Read(len) => len,
            Step::Unfinished(len) => {
                self.position += len as u64;
                return Ok(len);
            }
        };
        while !self.is_busy() {
            at += bytes[at..]
                .iter()
                .take_while(|b| b.is_ascii_whitespace())
                .count();
            let rest = &bytes[at..];
            if rest.is_empty() || self.elements.has_ended() {
                at = bytes.len();
                break;
            }
            match self.compare(rest) {
                Some(Step::Read(len)) => {
                    at += len;
                    continue;
                }
                Some(Step::Unfinished(_)) => {
                    self.unfinished = Unfinished::Tag {
                        scan: Scan::default(),
                        seen: rest.len(),
                    };
                    break;
                }
                None => {}
            }
            let offset = self.position + at as u64;
            if self.fast
                && let Some(len) = self.elements.fast_host(rest, offset)?
            {
                at += len;
                continue;
            }
            match self.read_slowly(rest, offset, Scan::default(), rest.len(), table)? {
                Step::Read(len) => at += len,
                Step::Unfinished(len) => {
                    at += len;
                    break;
                }
            }
        }
        self.position += at as u64;
        Ok(at)
    }

    /// Goes on with what the last piece ended with.
    ///
    /// No byte is looked at again and again, however small the pieces are: a scan goes on where it
    /// stopped, and starts anew only when there is twice as much as when it started.
    fn read_unfinished(&mut self, bytes: &[u8], table: &mut DefTable) -> Result<Step, ParseError> {
        if bytes.is_empty() {
            return Ok(Step::Unfinished(0));
        }
        match std::mem::replace(&mut self.unfinished, Unfinished::Nothing) {
            Unfinished::Nothing => Ok(Step::Read(0)),
            Unfinished::Text => Ok(self.read_text(bytes)),
            // From its start, so that it is compared again.
            Unfinished::Tag { scan, seen } if !scan.is_dropping() && bytes.len() >= 2 * seen => {
                Ok(Step::Read(0))
            }
            Unfinished::Tag { scan, seen } => {
                self.read_slowly(bytes, self.position, scan, seen, table)
            }
        }
    }

    /// Reads METRICs at the start of `bytes`, as long as they look like ones seen before.
    #[inline]
    fn compare(&mut self, bytes: &[u8]) -> Option<Step> {
        if !self.fast {
            return None;
        }
        let tag_bytes = self.limits.tag_bytes;
        let cluster = self.elements.cluster_of_open_host()?;
        let mut at = 0;
        while let Some(found) = fast::expected(cluster, &bytes[at..])
            && found.len <= tag_bytes
        {
            cluster.metric(found.id, found.tn, found.val, found.number);
            at += found.len;
            // A gmond ends the line with each.
            at += usize::from(bytes.get(at) == Some(&b'\n'));
        }
        if at > 0 {
            // White space may come first.
            return Some(Step::Read(at));
        }
        match fast::metric(cluster, bytes) {
            Fast::Hit(found) if found.len <= tag_bytes => {
                cluster.metric(found.id, found.tn, found.val, found.number);
                Some(Step::Read(found.len))
            }
            Fast::More if bytes.len() < tag_bytes => Some(Step::Unfinished(0)),
            _ => None,
        }
    }

    /// Reads the tag or text at the start of `bytes`, which are not empty, at that offset in the
    /// document. `scan` has looked at the tag before, first when it had `seen` bytes.
    fn read_slowly(
        &mut self,
        bytes: &[u8],
        offset: u64,
        mut scan: Scan,
        seen: usize,
        table: &mut DefTable,
    ) -> Result<Step, ParseError> {
        if scan.is_dropping() {
            return self.drop_on(bytes, scan, table);
        }
        if bytes[0] != b'<' {
            if !self.elements.has_begun() {
                return Err(ParseError::NotXml);
            }
            // Text has no meaning between Ganglia's elements.
            self.elements.note_damage();
            return Ok(self.read_text(bytes));
        }
        self.elements.set_offset(offset);
        // The limit holds for the tag, not for how much of it happens to be there.
        let limit = self.limits.tag_bytes;
        let most = &bytes[..bytes.len().min(limit)];
        let Some(tag) = scan.tag(most) else {
            if bytes.len() < limit {
                self.unfinished = Unfinished::Tag { scan, seen };
                return Ok(Step::Unfinished(0));
            }
            let dropped = scan.drop_bytes(most);
            let step = self.drop_on(&bytes[dropped..], scan, table)?;
            return Ok(match step {
                Step::Read(len) => Step::Read(dropped + len),
                Step::Unfinished(len) => Step::Unfinished(dropped + len),
            });
        };
        let bytes = &bytes[..tag.len];
        if let Some(broken_at) = tag.broken_at {
            self.elements.note_damage();
            self.elements.tag(&mend(bytes, broken_at), table)?;
        } else {
            self.elements.tag(bytes, table)?;
        }
        Ok(Step::Read(tag.len))
    }

    /// Reads text up to the next tag.
    fn read_text(&mut self, bytes: &[u8]) -> Step {
        if let Some(len) = memchr(b'<', bytes) {
            return Step::Read(len);
        }
        self.unfinished = Unfinished::Text;
        Step::Unfinished(bytes.len())
    }

    /// Goes on to the end of a tag that is too large. What it costs is its own element.
    fn drop_on(
        &mut self,
        bytes: &[u8],
        mut scan: Scan,
        table: &mut DefTable,
    ) -> Result<Step, ParseError> {
        let Some(tag) = scan.tag(bytes) else {
            let dropped = scan.drop_bytes(bytes);
            self.unfinished = Unfinished::Tag { scan, seen: 0 };
            return Ok(Step::Unfinished(dropped));
        };
        self.elements
            .too_large(&scan.husk(&bytes[..tag.len]), table)?;
        Ok(Step::Read(tag.len))
    }
}
