//! Text in a gmond's document, read as well as possible.
//!
//! Writing is in `escape`. Nothing fails here: malformed text is replaced and counted.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::borrow::Cow;

use super::escape::{REPLACEMENT, is_xml_char};

/// Latin-1 bytes as text, without a copy if they are ASCII.
pub fn from_latin1(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(bytes.iter().map(|&b| char::from(b)).collect()),
    }
}

/// An attribute's value with its references resolved.
///
/// A gmond escapes a byte over 0x7f as `&#`, a byte that is no digit, a digit and `;`: its
/// arithmetic on a signed character overflows, but loses nothing, so the byte is recovered. Runs of
/// such bytes are read as UTF-8 if they are valid, else as Latin-1. `damage` counts the references
/// that no XML parser would accept.
pub fn unescape<'a>(raw: &'a str, damage: &mut u64) -> Cow<'a, str> {
    let Some(first) = raw
        .bytes()
        .position(|b| matches!(b, b'&' | b'\n' | b'\r' | b'\t'))
    else {
        return Cow::Borrowed(raw);
    };
    let mut out = String::with_capacity(raw.len());
    out.push_str(&raw[..first]);
    let mut recovered = Vec::new();
    let mut rest = &raw[first..];
    while let Some(c) = rest.chars().next() {
        if let Some((byte, len)) = broken_reference(rest) {
            *damage = damage.saturating_add(1);
            recovered.push(byte);
            rest = &rest[len..];
            continue;
        }
        flush_recovered(&mut out, &mut recovered);
        if c == '&' {
            let (resolved, len) = reference(rest, damage);
            out.push(resolved);
            rest = &rest[len..];
        } else {
            // A literal line end in an attribute means a space.
            out.push(if matches!(c, '\n' | '\r' | '\t') {
                ' '
            } else {
                c
            });
            rest = &rest[c.len_utf8()..];
        }
    }
    flush_recovered(&mut out, &mut recovered);
    Cow::Owned(out)
}

fn flush_recovered(out: &mut String, recovered: &mut Vec<u8>) {
    if recovered.is_empty() {
        return;
    }
    match std::str::from_utf8(recovered) {
        Ok(text) => out.push_str(text),
        Err(_) => out.extend(recovered.iter().map(|&b| char::from(b))),
    }
    recovered.clear();
}

/// The byte that a gmond wrote as `&#`, T, D, `;`. The byte as a negative number, converted to 32 bits
/// without a sign, is N. T is `'0'` plus the low byte of N / 10, and D is the last digit of N.
fn broken_reference(text: &str) -> Option<(u8, usize)> {
    let mut chars = text.strip_prefix("&#")?.chars();
    let tens = u8::try_from(chars.next()?).ok().filter(|b| *b >= 0x80)?;
    let ones = chars.next()?.to_digit(10)?;
    if chars.next()? != ';' {
        return None;
    }
    let tenth = 0x1999_9900_u32.wrapping_add(u32::from(tens.wrapping_sub(b'0')));
    let byte = (tenth.wrapping_mul(10).wrapping_add(ones) & 0xff) as u8;
    // `&#`, T as two bytes of UTF-8, D and the semicolon.
    (byte >= 0x80).then_some((byte, 6))
}

/// The character of the reference at the start of `text`, and the length read.
fn reference(text: &str, damage: &mut u64) -> (char, usize) {
    const LONGEST: usize = 12;
    let end = text.bytes().take(LONGEST).position(|b| b == b';');
    if let Some(end) = end {
        let len = end.saturating_add(1);
        let resolved = match &text[1..end] {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            name => numeric_reference(name),
        };
        if let Some(c) = resolved {
            if is_xml_char(c) {
                return (c, len);
            }
            *damage = damage.saturating_add(1);
            return (REPLACEMENT, len);
        }
    }
    // A bare ampersand, for example from a configured OWNER or URL.
    *damage = damage.saturating_add(1);
    ('&', 1)
}

fn numeric_reference(name: &str) -> Option<char> {
    let digits = name.strip_prefix('#')?;
    let code = match digits.strip_prefix('x') {
        Some(hex) if !hex.starts_with('+') => u32::from_str_radix(hex, 16).ok()?,
        None if !digits.starts_with('+') => digits.parse().ok()?,
        _ => return None,
    };
    Some(char::from_u32(code).unwrap_or('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (String, u64) {
        let mut damage = 0;
        let text = unescape(&from_latin1(bytes), &mut damage).into_owned();
        (text, damage)
    }

    #[test]
    fn references_are_resolved() {
        assert_eq!(
            read(b"a&amp;b&lt;&gt;&quot;&apos;&#65;&#x42;"),
            ("a&b<>\"'AB".into(), 0)
        );
    }

    #[test]
    fn a_bare_ampersand_stays_and_is_counted() {
        assert_eq!(read(b"ops & co"), ("ops & co".into(), 1));
        assert_eq!(read(b"a?x=1&y=2"), ("a?x=1&y=2".into(), 1));
        assert_eq!(read(b"&"), ("&".into(), 1));
        assert_eq!(read(b"&#;&nosuch;"), ("&#;&nosuch;".into(), 2));
    }

    #[test]
    fn raw_bytes_are_latin1() {
        assert_eq!(read(b"caf\xe9"), ("café".into(), 0));
    }

    #[test]
    fn every_byte_a_gmond_breaks_is_worked_out_again() {
        for byte in 0x80..=0xff_u8 {
            let wide = i32::from(byte as i8) as u32;
            let tens = b'0'.wrapping_add((wide / 10) as u8);
            let sent = [b'&', b'#', tens, b'0' + (wide % 10) as u8, b';'];
            assert_eq!(read(&sent), (char::from(byte).to_string(), 1), "{byte:#x}");
        }
    }

    #[test]
    fn broken_bytes_that_are_utf8_are_read_as_utf8() {
        assert_eq!(
            read(b"&#\xc35;&#\xc09;t&#\xc35;&#\xc09;"),
            ("été".into(), 4)
        );
        assert_eq!(read(b"&#\xc73;t&#\xc73;"), ("été".into(), 2));
    }

    #[test]
    fn a_forbidden_character_is_replaced() {
        assert_eq!(read(b"a&#01;b&#0;&#xD800;"), ("a?b??".into(), 3));
    }

    #[test]
    fn line_ends_in_an_attribute_are_spaces() {
        assert_eq!(read(b"a\nb\tc"), ("a b c".into(), 0));
        assert_eq!(read(b"a&#10;b"), ("a\nb".into(), 0));
    }
}
