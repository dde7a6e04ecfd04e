//! Bytes of a document held against what is expected: a metric seen before, a tag, its attributes.
//!
//! Remembers nothing: what the pieces mean is `parse`'s matter.

use memchr::{memchr, memchr_iter, memchr2, memchr3, memmem};
use quick_xml::events::BytesStart;

use crate::model::latin1::unescape;
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

/// A tag, comment or declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub len: usize,
    /// The opening quote of the first value that does not end as values do: see `mend`.
    pub broken_at: Option<usize>,
}

/// The tag, comment or declaration at the start of `bytes`; `None`: not all is there.
///
/// A value ends with a quote that an attribute or the end of the tag follows. A gmond sends others:
/// with quotes in them, which it does not escape in names, units and extra data, and without an
/// end, as it writes each tag into 1,024 bytes and sends what fits. From the first such value on
/// the tag ends with the line, or where the next one begins.
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
    /// Nothing that could follow a value.
    Other,
    /// What there is may become one or the other.
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

/// How far it is from where a tag breaks to its end.
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

/// Whether a tag of Ganglia's goes on with that after its `<`; `None`: more bytes will tell.
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

/// A broken tag as a sound one: a quote inside a value is one of its characters, a value without an
/// end goes to the end of the tag, and an attribute that was cut before its value is left out.
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
    // The quote that the tag breaks at is not part of how it ends.
    let (sound, mut rest) = body.split_at(broken_at.min(body.len()));
    out.extend_from_slice(sound);
    while let Some((&quote, inside)) = rest.split_first() {
        let closing =
            memchr_iter(quote, inside).find_map(|at| match after_value(&inside[at + 1..]) {
                After::Attribute(next) => Some((at, at + 1 + next)),
                After::More => Some((at, inside.len())),
                // The end of the tag is none in the middle of it.
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

/// The length of the comment, declaration or the like at the start of `bytes`.
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

/// The length of a document type, with the internal subset in brackets.
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

/// What C gmetad reads with `strtoul` and keeps in 32 bits. A gmond sends negative ones: it prints
/// the GMOND_STARTED of a spoofed host, which is a number of 32 bits without a sign, with one.
pub(super) fn unsigned(text: &str, damage: &mut u64) -> u32 {
    let (negative, digits) = digits(text, damage);
    let all = match digits.parse::<u64>() {
        Ok(number) if negative => number.wrapping_neg(),
        Ok(number) => number,
        Err(_) if digits.is_empty() => 0,
        Err(_) => u64::MAX,
    };
    all as u32
}

/// What C gmetad reads with `strtol` and keeps in 32 bits: beyond 64 bits it is another.
pub(super) fn signed(text: &str, damage: &mut u64) -> u32 {
    long(text, damage) as u32
}

/// An age, or a number of hosts: never negative. C gmetad takes a clock that was set back for an age
/// of 136 years.
pub(super) fn age(text: &str, damage: &mut u64) -> u32 {
    long(text, damage).max(0) as u32
}

fn long(text: &str, damage: &mut u64) -> i64 {
    let (negative, digits) = digits(text, damage);
    match digits.parse::<i64>() {
        Ok(number) if negative => -number,
        Ok(number) => number,
        Err(_) if digits.is_empty() => 0,
        Err(_) if negative => i64::MIN,
        Err(_) => i64::MAX,
    }
}

/// The sign and the digits that a number begins with; whatever else is there is damage.
fn digits<'a>(text: &'a str, damage: &mut u64) -> (bool, &'a str) {
    let blank = |c: char| c.is_ascii_whitespace() || c == '\x0b';
    let text = text.trim_matches(blank);
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let len = rest.bytes().take_while(u8::is_ascii_digit).count();
    // An empty one is simply missing.
    *damage += u64::from(len < rest.len() || (len == 0 && !text.is_empty()));
    (negative, &rest[..len])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a C gmetad 3.7.2 answered, on a machine whose `long` has 64 bits.
    #[test]
    fn numbers_are_what_c_gmetad_takes_them_for() {
        let answers = [
            ("-1", 4_294_967_295, 4_294_967_295),
            ("-664339888", 3_630_627_408, 3_630_627_408),
            ("4294967296", 0, 0),
            ("5000000000", 705_032_704, 705_032_704),
            ("-5000000000", 3_589_934_592, 3_589_934_592),
            ("9223372036854775807", 4_294_967_295, 4_294_967_295),
            ("9223372036854775808", 0, 4_294_967_295),
            ("-9223372036854775808", 0, 0),
            ("18446744073709551615", 4_294_967_295, 4_294_967_295),
            ("99999999999999999999999", 4_294_967_295, 4_294_967_295),
            ("-99999999999999999999", 4_294_967_295, 0),
            ("0x10", 0, 0),
            ("010", 10, 10),
            ("", 0, 0),
            ("abc", 0, 0),
            (" 12", 12, 12),
            ("\t13", 13, 13),
            ("12abc", 12, 12),
            ("+7", 7, 7),
            ("1e3", 1, 1),
            ("3.7", 3, 3),
            ("- 5", 0, 0),
        ];
        for (text, as_unsigned, as_signed) in answers {
            let damage = &mut 0;
            assert_eq!(unsigned(text, damage), as_unsigned, "{text:?}");
            assert_eq!(signed(text, damage), as_signed, "{text:?}");
        }
    }

    #[test]
    fn an_age_is_not_negative_and_what_is_no_number_is_damage() {
        assert_eq!(age("-1", &mut 0), 0);
        assert_eq!(age("17", &mut 0), 17);
        for (text, damaged) in [
            ("", 0),
            (" 5 ", 0),
            ("-5", 0),
            ("5x", 1),
            ("x", 1),
            ("-", 1),
            ("0x10", 1),
        ] {
            let damage = &mut 0;
            unsigned(text, damage);
            assert_eq!(*damage, damaged, "{text:?}");
        }
    }
}
