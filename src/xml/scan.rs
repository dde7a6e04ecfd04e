//! Bytes of a document held against what is expected: a metric seen before, a tag, its attributes.
//!
//! Remembers nothing: what the pieces mean is `parse`'s matter.

use memchr::{memchr, memchr3, memmem};
use quick_xml::events::BytesStart;

use super::text::unescape;
use crate::model::{DefId, SmallText, Wire};

/// Longest value that the comparing way reads.
const MAX_FAST_VALUE: usize = 256;

/// What comparing found.
pub(super) enum Fast {
    /// A metric of that length in bytes.
    Hit(usize, DefId, u32, SmallText),
    /// All that there is agrees; more bytes will tell.
    More,
    /// Not what was expected.
    Miss,
}

/// Whether `bytes` start with the METRIC element of that wire form, whatever its VAL and TN.
///
/// What is taken here has plain text for its value and digits for its TN, so that the full way
/// would read the same.
#[inline]
pub(super) fn compare(bytes: &[u8], wire: &Wire, id: DefId) -> Fast {
    macro_rules! expect {
        ($rest:expr, $part:expr) => {{
            let (rest, part): (&[u8], &[u8]) = ($rest, $part);
            match rest.strip_prefix(part) {
                Some(rest) => rest,
                None if part.starts_with(rest) => return Fast::More,
                None => return Fast::Miss,
            }
        }};
    }
    let rest = expect!(bytes, wire.head());
    let Some(end) = rest.iter().take(MAX_FAST_VALUE).position(|&b| !is_plain(b)) else {
        return if rest.len() < MAX_FAST_VALUE {
            Fast::More
        } else {
            Fast::Miss
        };
    };
    let (val, rest) = rest.split_at(end);
    let rest = expect!(rest, wire.middle());
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    // Nine digits always fit; more is for the full way.
    if digits == 0 || digits > 9 {
        return if digits == rest.len() && digits < 9 {
            Fast::More
        } else {
            Fast::Miss
        };
    }
    let (tn, rest) = rest.split_at(digits);
    let rest = expect!(rest, wire.before_source());
    let tail = match (rest.first(), wire.after_default_source()) {
        (Some(b'>'), Some(tail)) => tail,
        (None, _) => return Fast::More,
        _ => wire.from_source(),
    };
    // The line end after the element is white space like any other.
    let rest = expect!(rest, &tail[..tail.len() - 1]);
    let tn = tn
        .iter()
        .fold(0, |tn, digit| tn * 10 + u32::from(digit - b'0'));
    Fast::Hit(bytes.len() - rest.len(), id, tn, SmallText::from_ascii(val))
}

/// Bytes that mean themselves inside an attribute.
#[inline]
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=0x7e) && !matches!(byte, b'"' | b'&' | b'<' | b'>' | b'\'')
}

/// The length of the tag, comment or declaration at the start of `bytes`; `None`: not all is there.
pub(super) fn tag_len(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b"<!--") {
        return memmem::find(&bytes[4..], b"-->").map(|at| at + 7);
    }
    if bytes.starts_with(b"<![CDATA[") {
        return memmem::find(bytes, b"]]>").map(|at| at + 3);
    }
    if bytes.starts_with(b"<?") {
        return memmem::find(bytes, b"?>").map(|at| at + 2);
    }
    if bytes.starts_with(b"<!DOCTYPE") {
        return doctype_len(bytes);
    }
    if bytes.len() < 9 && bytes.starts_with(b"<!") {
        return None;
    }
    let mut at = 1;
    loop {
        at += memchr3(b'>', b'"', b'\'', &bytes[at..])?;
        match bytes[at] {
            b'>' => return Some(at + 1),
            quote => at += memchr(quote, &bytes[at + 1..])? + 2,
        }
    }
}

/// As `tag_len`, with the internal subset in brackets.
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

/// Calls `take` with every attribute that can be read, its value resolved.
pub(super) fn each_attribute(
    tag: &BytesStart<'_>,
    damage: &mut u64,
    mut take: impl FnMut(&str, &str, &mut u64),
) {
    for attribute in tag.attributes().with_checks(false) {
        match attribute {
            Ok(attribute) => {
                let value = unescape(&attribute.value, damage);
                take(attribute.key.0, &value, damage);
            }
            Err(_) => *damage += 1,
        }
    }
}

/// Seconds or a count: never negative, 0 where there is no number.
pub(super) fn seconds(text: &str, damage: &mut u64) -> u32 {
    u32::try_from(integer(text, damage).max(0)).unwrap_or(u32::MAX)
}

pub(super) fn integer(text: &str, damage: &mut u64) -> i64 {
    let text = text.trim();
    text.parse().unwrap_or_else(|_| {
        // An empty one is simply missing.
        *damage += u64::from(!text.is_empty());
        0
    })
}
