//! Tags in a document's bytes: where one ends, and how a broken one is mended.
//!
//! A tag may come in pieces: a scan goes on where it stopped. What a tag means is decided in
//! `elements`.

use memchr::{memchr, memchr_iter, memchr2, memchr3, memmem};

/// A tag, comment or declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub len: usize,
    /// The opening quote of the first value without a proper end: see `mend`.
    pub broken_at: Option<usize>,
}

/// A look through one tag, comment or declaration for its end.
///
/// A value ends at a quote that an attribute or the end of the tag follows. A gmond also sends values
/// that contain quotes, which it does not escape in names, units and extra data, and values without
/// an end, since it writes each tag into 1,024 bytes and cuts off the rest. From the first such
/// value on, the tag ends at the end of the line, or where the next tag begins.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Bytes that need no second look.
    at: usize,
    step: Step,
    /// What was dropped of the tag, if that is too large.
    dropped: Option<Dropped>,
}

/// Where a scan is.
#[derive(Clone, Copy, Debug, Default)]
enum Step {
    /// At the `<`.
    #[default]
    Start,
    /// In a tag, outside values.
    Tag,
    /// In the value with its opening quote there, a byte of that kind.
    Value(usize, u8),
    /// After the quote that may end that value.
    AfterValue(usize, u8, After),
    /// Behind the opening quote, there, of a value without a proper end.
    Broken(usize),
    /// In a comment, instruction or declaration that ends so.
    Until(&'static [u8]),
    /// In a document type declaration, before its internal subset.
    Doctype,
    /// In the internal subset.
    Subset,
    /// After a bracket that may end the internal subset.
    SubsetEnd,
}

/// The part of a tag that was dropped.
#[derive(Debug, Default)]
struct Dropped {
    /// Its first bytes.
    head: Box<[u8]>,
    /// Its last two bytes that are not blank.
    tail: [u8; 2],
}

/// Longest part of a dropped tag that is kept: its name is in it.
const HEAD_BYTES: usize = 64;

/// What is left of a tag that is too large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Husk {
    /// A start tag of that name.
    Start(Box<[u8]>),
    /// An empty element of that name.
    Empty(Box<[u8]>),
    /// An end tag of that name.
    End(Box<[u8]>),
    /// A comment, declaration or instruction.
    Declaration,
}

impl Scan {
    /// The tag, comment or declaration at the start of `bytes`; `None`: it is not complete. Its
    /// first bytes must be those of the last call, but for what was dropped.
    pub fn tag(&mut self, bytes: &[u8]) -> Option<Tag> {
        loop {
            match self.step {
                Step::Start => (self.step, self.at) = start(bytes)?,
                Step::Tag => {
                    self.seek(bytes, 0, |rest| memchr3(b'>', b'"', b'\'', rest))?;
                    match bytes[self.at] {
                        b'>' => return Some(self.sound(1)),
                        quote => self.enter_value(quote),
                    }
                }
                Step::Value(open, quote) => {
                    self.seek(bytes, 0, |rest| memchr(quote, rest))?;
                    self.at += 1;
                    self.step = Step::AfterValue(open, quote, After::Quote);
                }
                Step::AfterValue(open, quote, mut after) => {
                    let found = after.seek(&bytes[self.at..]);
                    looked_at(found.map_or(bytes.len() - self.at, |(at, _)| at));
                    let Some((at, found)) = found else {
                        self.at = bytes.len();
                        self.step = Step::AfterValue(open, quote, after);
                        return None;
                    };
                    self.at += at;
                    match found {
                        Found::Attribute => self.enter_value(bytes[self.at]),
                        Found::End => return Some(self.sound(1)),
                        Found::Other => {
                            // What was dropped of the value cannot be searched any more.
                            if self.dropped.is_none() {
                                self.at = open;
                            }
                            self.step = Step::Broken(open);
                        }
                    }
                }
                Step::Broken(open) => {
                    return self.broken_end(bytes).map(|len| Tag {
                        len,
                        broken_at: Some(open),
                    });
                }
                Step::Until(_) | Step::Doctype | Step::Subset | Step::SubsetEnd => {
                    return self.declaration(bytes);
                }
            }
        }
    }

    /// Goes on in a comment, instruction or declaration.
    fn declaration(&mut self, bytes: &[u8]) -> Option<Tag> {
        loop {
            match self.step {
                Step::Until(end) => {
                    let kept = end.len() - 1;
                    self.seek(bytes, kept, |rest| memmem::find(rest, end))?;
                    return Some(self.sound(end.len()));
                }
                Step::Doctype => {
                    self.seek(bytes, 0, |rest| memchr2(b'[', b'>', rest))?;
                    if bytes[self.at] == b'>' {
                        return Some(self.sound(1));
                    }
                    self.step = Step::Subset;
                }
                Step::Subset => {
                    self.seek(bytes, 0, |rest| memchr(b']', rest))?;
                    self.at += 1;
                    self.step = Step::SubsetEnd;
                }
                Step::SubsetEnd => {
                    let blank = |rest: &[u8]| rest.iter().position(|b| !b.is_ascii_whitespace());
                    self.seek(bytes, 0, blank)?;
                    if bytes[self.at] == b'>' {
                        return Some(self.sound(1));
                    }
                    self.step = Step::Subset;
                }
                _ => return None,
            }
        }
    }

    fn enter_value(&mut self, quote: u8) {
        self.step = Step::Value(self.at, quote);
        self.at += 1;
    }

    fn sound(&self, end: usize) -> Tag {
        Tag {
            len: self.at + end,
            broken_at: None,
        }
    }

    /// Goes to what `find` finds. If it finds nothing, all but the last `kept` bytes are done with.
    fn seek(
        &mut self,
        bytes: &[u8],
        kept: usize,
        find: impl Fn(&[u8]) -> Option<usize>,
    ) -> Option<()> {
        let rest = &bytes[self.at..];
        let found = find(rest);
        looked_at(found.unwrap_or(rest.len()));
        self.at += found.unwrap_or_else(|| rest.len().saturating_sub(kept));
        found.map(|_| ())
    }

    /// The end of a broken tag.
    fn broken_end(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            self.seek(bytes, 0, |rest| memchr2(b'<', b'>', rest))?;
            let rest = &bytes[self.at + 1..];
            if bytes[self.at] == b'>' {
                if matches!(rest.first()?, b'\n' | b'\r' | b'<') {
                    return Some(self.at + 1);
                }
            } else if is_ganglia_tag(rest)? {
                return Some(self.at);
            }
            self.at += 1;
        }
    }

    /// Gives up the tag at the start of `bytes`, which is too large: from now on only its end is
    /// looked for. Returns how many bytes need not be kept; the next call starts after them.
    pub fn drop_bytes(&mut self, bytes: &[u8]) -> usize {
        let dropped = self.dropped.get_or_insert_with(|| Dropped {
            head: bytes[..bytes.len().min(HEAD_BYTES)].into(),
            tail: [0; 2],
        });
        dropped.note(&bytes[..self.at]);
        std::mem::take(&mut self.at)
    }

    /// Whether the tag is too large, so that what was looked at is dropped.
    #[inline]
    pub fn is_dropping(&self) -> bool {
        self.dropped.is_some()
    }

    /// What is left of the tag, which is too large and ends with `bytes`.
    pub fn husk(self, bytes: &[u8]) -> Husk {
        let mut dropped = self.dropped.unwrap_or_default();
        dropped.note(bytes);
        let head = &dropped.head[1.min(dropped.head.len())..];
        let is_end = head.starts_with(b"/");
        let name = &head[usize::from(is_end)..];
        let len = name
            .iter()
            .position(|b| b.is_ascii_whitespace() || matches!(b, b'/' | b'>' | b'"' | b'\''))
            .unwrap_or(name.len());
        let name = &name[..len];
        let has_end = dropped.tail[1] == b'>';
        match head.first() {
            Some(b'?' | b'!') => Husk::Declaration,
            _ if is_end => Husk::End(name.into()),
            _ if dropped.tail == *b"/>" || (!has_end && is_always_empty(name)) => {
                Husk::Empty(name.into())
            }
            _ => Husk::Start(name.into()),
        }
    }
}

impl Dropped {
    /// Remembers the last of more bytes that are dropped.
    fn note(&mut self, bytes: &[u8]) {
        let mut last = bytes.iter().rev().filter(|b| !b.is_ascii_whitespace());
        match (last.next(), last.next()) {
            (Some(&last), Some(&before)) => self.tail = [before, last],
            (Some(&last), None) => self.tail = [self.tail[1], last],
            (None, _) => {}
        }
    }
}

/// How a tag, comment or declaration goes on, and from where. `None`: more bytes are needed to tell.
fn start(bytes: &[u8]) -> Option<(Step, usize)> {
    const STARTS: [(&[u8], Step); 3] = [
        (b"<!--", Step::Until(b"-->")),
        (b"<![CDATA[", Step::Until(b"]]>")),
        (b"<!DOCTYPE", Step::Doctype),
    ];
    match bytes.get(1)? {
        b'?' => return Some((Step::Until(b"?>"), 1)),
        b'!' => {}
        _ => return Some((Step::Tag, 1)),
    }
    for (start, step) in STARTS {
        if bytes.starts_with(start) {
            return Some((step, start.len()));
        }
        if start.starts_with(bytes) {
            return None;
        }
    }
    Some((Step::Until(b">"), 2))
}

/// Where the bytes after the quote that may end a value are.
#[derive(Clone, Copy, Debug)]
enum After {
    /// Right after the quote.
    Quote,
    /// In white space.
    Blank,
    /// After a slash or question mark.
    Slash,
    /// In an attribute's name.
    Name,
    /// In white space after the name.
    NameEnd,
    /// After the equals sign.
    Equals,
}

/// What follows the quote that may end a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// An attribute; this is its opening quote.
    Attribute,
    /// The end of the tag; this is its `>`.
    End,
    /// Something that cannot follow a value.
    Other,
}

impl After {
    /// What follows, and where. `None`: more bytes are needed to tell.
    fn seek(&mut self, bytes: &[u8]) -> Option<(usize, Found)> {
        // The usual case, without looking at the state for each byte.
        if let (After::Quote, [b' ', rest @ ..]) = (*self, bytes) {
            let len = rest.iter().take_while(|byte| is_name(**byte)).count();
            if len > 0 && rest[len..].starts_with(b"=\"") {
                return Some((len + 2, Found::Attribute));
            }
        }
        for (at, &byte) in bytes.iter().enumerate() {
            *self = match (*self, byte) {
                (After::Quote | After::Blank | After::Slash, b'>') => {
                    return Some((at, Found::End));
                }
                (After::Equals, b'"' | b'\'') => return Some((at, Found::Attribute)),
                (After::Quote | After::Blank, b'/' | b'?') => After::Slash,
                (After::Quote | After::Blank, byte) if byte.is_ascii_whitespace() => After::Blank,
                (After::Name | After::NameEnd, b'=') => After::Equals,
                (After::Name | After::NameEnd, byte) if byte.is_ascii_whitespace() => {
                    After::NameEnd
                }
                (After::Equals, byte) if byte.is_ascii_whitespace() => After::Equals,
                (After::Blank | After::Name, byte) if is_name(byte) => After::Name,
                _ => return Some((at, Found::Other)),
            };
        }
        None
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':' | b'.')
}

/// Whether elements of that name are always empty.
fn is_always_empty(name: &[u8]) -> bool {
    matches!(name, b"EXTRA_ELEMENT" | b"HOSTS")
}

/// Whether `bytes` continue a Ganglia tag after its `<`; `None`: more bytes are needed to tell.
fn is_ganglia_tag(bytes: &[u8]) -> Option<bool> {
    const NAMES: [&[u8]; 9] = [
        b"EXTRA_DATA",
        b"EXTRA_ELEMENT",
        b"METRIC",
        b"HOST",
        b"CLUSTER",
        b"GRID",
        b"METRICS",
        b"HOSTS",
        b"GANGLIA_XML",
    ];
    let bytes = bytes.strip_prefix(b"/").unwrap_or(bytes);
    for name in NAMES {
        match bytes.strip_prefix(name).map(<[u8]>::first) {
            Some(Some(b' ' | b'>' | b'/')) => return Some(true),
            Some(None) => return None,
            None if name.starts_with(bytes) => return None,
            _ => {}
        }
    }
    Some(false)
}

/// Mends a broken tag: a quote inside a value becomes one of its characters, a value without an end
/// extends to the end of the tag, and an attribute that was cut before its value is dropped.
pub(super) fn mend(tag: &[u8], broken_at: usize) -> Vec<u8> {
    let trimmed = tag.trim_ascii_end();
    let name_end = memchr(b' ', tag).unwrap_or(1);
    let (body, end): (_, &[u8]) = if let Some(body) = trimmed.strip_suffix(b"/>") {
        (body, b"/>")
    } else if let Some(body) = trimmed.strip_suffix(b">") {
        (body, b">")
    } else if is_always_empty(&tag[1..name_end]) {
        (tag, b"/>")
    } else {
        (tag, b">")
    };
    let mut out = Vec::with_capacity(tag.len() + 64);
    // The broken value's opening quote is before the end of the tag.
    let (sound, mut rest) = body.split_at(broken_at.min(body.len()));
    out.extend_from_slice(sound);
    while let Some((&quote, inside)) = rest.split_first() {
        let closing = memchr_iter(quote, inside).find_map(|at| {
            match After::Quote.seek(&inside[at + 1..]) {
                Some((next, Found::Attribute)) => Some((at, at + 1 + next)),
                None => Some((at, inside.len())),
                // The tag is longer, so this is not its end.
                Some((_, Found::End | Found::Other)) => None,
            }
        });
        let (len, next) = closing.unwrap_or((inside.len(), inside.len()));
        out.push(b'"');
        for &byte in &inside[..len] {
            match byte {
                b'"' => out.extend_from_slice(b"&quot;"),
                byte => out.push(byte),
            }
        }
        out.push(b'"');
        rest = &inside[next..];
        if !rest.is_empty() {
            out.extend_from_slice(&inside[len + 1..next]);
        }
    }
    out.extend_from_slice(end);
    out
}

/// Counts bytes that are looked at, for the tests.
#[cfg(not(test))]
#[inline]
pub(super) fn looked_at(_bytes: usize) {}

#[cfg(test)]
thread_local! {
    /// Bytes that this thread has looked at.
    pub(super) static LOOKED_AT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
pub(super) fn looked_at(bytes: usize) {
    LOOKED_AT.set(LOOKED_AT.get() + bytes as u64);
}
