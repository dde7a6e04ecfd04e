//! Tags in a document's bytes: where one ends, and how a broken one is mended.
//!
//! Keeps no state. What a tag means is decided in `elements`.

use memchr::{memchr, memchr_iter, memchr2, memchr3, memmem};

/// A tag, comment or declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub len: usize,
    /// The opening quote of the first value without a proper end: see `mend`.
    pub broken_at: Option<usize>,
}

/// The tag, comment or declaration at the start of `bytes`; `None`: it is not complete.
///
/// A value ends at a quote that an attribute or the end of the tag follows. A gmond also sends values
/// that contain quotes, which it does not escape in names, units and extra data, and values without
/// an end, since it writes each tag into 1,024 bytes and cuts off the rest. From the first such
/// value on, the tag ends at the end of the line, or where the next tag begins.
pub(super) fn tag(bytes: &[u8]) -> Option<Tag> {
    let sound = |len| Tag {
        len,
        broken_at: None,
    };
    if bytes.starts_with(b"<?") || bytes.starts_with(b"<!") {
        return declaration_len(bytes).map(sound);
    }
    let mut at = 1;
    loop {
        at += memchr3(b'>', b'"', b'\'', &bytes[at..])?;
        if bytes[at] == b'>' {
            return Some(sound(at + 1));
        }
        let end = at + 1 + memchr(bytes[at], &bytes[at + 1..])?;
        match after_value(&bytes[end + 1..]) {
            After::Attribute(_) | After::End => at = end + 1,
            After::More => return None,
            After::Other => {
                return Some(Tag {
                    len: at + broken_len(&bytes[at..])?,
                    broken_at: Some(at),
                });
            }
        }
    }
}

/// What follows the quote that may end a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// An attribute, whose opening quote is so many bytes on.
    Attribute(usize),
    /// The end of the tag.
    End,
    /// Something that cannot follow a value.
    Other,
    /// More bytes are needed to tell.
    More,
}

fn after_value(bytes: &[u8]) -> After {
    let blank = |from: usize| {
        let rest = bytes[from..].iter();
        from + rest.take_while(|b| b.is_ascii_whitespace()).count()
    };
    let name = blank(0);
    match bytes.get(name) {
        None => return After::More,
        Some(b'>') => return After::End,
        Some(b'/' | b'?') => {
            return match bytes.get(name + 1) {
                None => After::More,
                Some(b'>') => After::End,
                Some(_) => After::Other,
            };
        }
        Some(_) if name == 0 => return After::Other,
        Some(_) => {}
    }
    let is_name = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b':' | b'.');
    let len = bytes[name..].iter().take_while(is_name).count();
    let equals = blank(name + len);
    let quote = blank((equals + 1).min(bytes.len()));
    match (bytes.get(equals), bytes.get(quote)) {
        (None, _) => After::More,
        (Some(b'='), None) if len > 0 => After::More,
        (Some(b'='), Some(b'"' | b'\'')) if len > 0 => After::Attribute(quote),
        _ => After::Other,
    }
}

/// The length from where a tag is broken to its end.
fn broken_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'<', b'>', &bytes[at..])?;
        let rest = &bytes[at + 1..];
        if bytes[at] == b'>' {
            if matches!(rest.first()?, b'\n' | b'\r' | b'<') {
                return Some(at + 1);
            }
        } else if is_ganglia_tag(rest)? {
            return Some(at);
        }
        at += 1;
    }
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
    let (body, end): (_, &[u8]) = if let Some(body) = trimmed.strip_suffix(b"/>") {
        (body, b"/>")
    } else if let Some(body) = trimmed.strip_suffix(b">") {
        (body, b">")
    } else if tag.starts_with(b"<EXTRA_ELEMENT ") || tag.starts_with(b"<HOSTS ") {
        (tag, b"/>")
    } else {
        (tag, b">")
    };
    let mut out = Vec::with_capacity(tag.len() + 64);
    // The broken value's opening quote is before the end of the tag.
    let (sound, mut rest) = body.split_at(broken_at.min(body.len()));
    out.extend_from_slice(sound);
    while let Some((&quote, inside)) = rest.split_first() {
        let closing =
            memchr_iter(quote, inside).find_map(|at| match after_value(&inside[at + 1..]) {
                After::Attribute(next) => Some((at, at + 1 + next)),
                After::More => Some((at, inside.len())),
                // The tag is longer, so this is not its end.
                After::End | After::Other => None,
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

/// The length of the comment, declaration or instruction at the start of `bytes`.
fn declaration_len(bytes: &[u8]) -> Option<usize> {
    const STARTS: [&[u8]; 3] = [b"<!--", b"<![CDATA[", b"<!DOCTYPE"];
    if bytes.starts_with(b"<?") {
        return memmem::find(bytes, b"?>").map(|at| at + 2);
    }
    if bytes.starts_with(b"<!--") {
        return memmem::find(&bytes[4..], b"-->").map(|at| at + 7);
    }
    if bytes.starts_with(b"<![CDATA[") {
        return memmem::find(bytes, b"]]>").map(|at| at + 3);
    }
    if bytes.starts_with(b"<!DOCTYPE") {
        return doctype_len(bytes);
    }
    if STARTS.iter().any(|start| start.starts_with(bytes)) {
        return None;
    }
    memchr(b'>', bytes).map(|at| at + 1)
}

/// The length of a document type declaration, including its internal subset in brackets.
fn doctype_len(bytes: &[u8]) -> Option<usize> {
    let first = bytes.iter().position(|b| matches!(b, b'[' | b'>'))?;
    if bytes[first] == b'>' {
        return Some(first + 1);
    }
    let mut at = first;
    loop {
        at += memchr(b']', &bytes[at..])? + 1;
        let blank = bytes[at..]
            .iter()
            .take_while(|b| b.is_ascii_whitespace())
            .count();
        match bytes.get(at + blank) {
            Some(b'>') => return Some(at + blank + 1),
            Some(_) => {}
            None => return None,
        }
    }
}
