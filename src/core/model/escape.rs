//! The one place that escapes text: to Latin-1 bytes that are safe inside an XML attribute.
//!
//! Reading is in `latin1`.

use crate::model::push_decimal;

/// Replaces a character that XML 1.0 forbids.
pub const REPLACEMENT: char = '?';

/// Whether XML 1.0 allows the character, literally or as a reference.
pub fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Appends `text`, escaped for an attribute in double quotes.
pub fn push(out: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(needs_care) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let Some(c) = rest[at..].chars().next() else {
            return;
        };
        push_char(out, c);
        rest = &rest[at + c.len_utf8()..];
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Appends a value, escaped; it is usually a plain number.
#[inline]
pub fn push_value(out: &mut Vec<u8>, value: &crate::model::SmallText) {
    let bytes = value.as_bytes();
    if bytes.iter().any(|&b| needs_care(b)) {
        push(out, value.as_str());
    } else {
        out.extend_from_slice(bytes);
    }
}

#[inline]
fn needs_care(byte: u8) -> bool {
    !(b' '..0x80).contains(&byte) || matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'')
}

fn push_char(out: &mut Vec<u8>, c: char) {
    match c {
        '&' => out.extend_from_slice(b"&amp;"),
        '<' => out.extend_from_slice(b"&lt;"),
        '>' => out.extend_from_slice(b"&gt;"),
        '"' => out.extend_from_slice(b"&quot;"),
        '\'' => out.extend_from_slice(b"&apos;"),
        // Literal ones would be read back as spaces.
        '\t' | '\n' | '\r' => reference(out, c),
        c if !is_xml_char(c) => out.push(REPLACEMENT as u8),
        // C1 controls are legal, but readers that take ISO-8859-1 for Windows-1252 would show letters.
        '\u{80}'..='\u{9f}' => reference(out, c),
        c => match u8::try_from(c) {
            Ok(latin1) => out.push(latin1),
            Err(_) => reference(out, c),
        },
    }
}

fn reference(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(b"&#");
    push_decimal(out, u64::from(u32::from(c)));
    out.push(b';');
}

/// Appends ` NAME="text"`.
pub fn attribute(out: &mut Vec<u8>, name: &str, text: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    push(out, text);
    out.push(b'"');
}

/// Appends ` NAME="number"`.
pub fn number_attribute(out: &mut Vec<u8>, name: &str, number: impl Into<i64>) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    let number = number.into();
    if number < 0 {
        out.push(b'-');
    }
    push_decimal(out, number.unsigned_abs());
    out.push(b'"');
}

/// Appends an EXTRA_DATA element, even an empty one.
pub fn extra_data<'a>(out: &mut Vec<u8>, extra: impl IntoIterator<Item = &'a (String, String)>) {
    out.extend_from_slice(b"<EXTRA_DATA>\n");
    for (name, val) in extra {
        out.extend_from_slice(b"<EXTRA_ELEMENT");
        attribute(out, "NAME", name);
        attribute(out, "VAL", val);
        out.extend_from_slice(b"/>\n");
    }
    out.extend_from_slice(b"</EXTRA_DATA>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        push(&mut out, text);
        out
    }

    #[test]
    fn markup_and_quotes_are_escaped() {
        assert_eq!(escaped(r#"<a & "b'>"#), b"&lt;a &amp; &quot;b&apos;&gt;");
    }

    #[test]
    fn latin1_is_a_byte_and_the_rest_a_reference() {
        assert_eq!(escaped("café ☃"), b"caf\xe9 &#9731;");
        assert_eq!(escaped("\u{85}"), b"&#133;");
    }

    #[test]
    fn what_xml_forbids_is_replaced() {
        assert_eq!(escaped("a\u{1}b\u{fffe}\u{7f}"), b"a?b?\x7f");
        assert_eq!(escaped("a\tb\n"), b"a&#9;b&#10;");
    }

    #[test]
    fn numbers_are_plain_decimals() {
        let mut out = Vec::new();
        number_attribute(&mut out, "X", -7);
        push_decimal(&mut out, 0);
        push_decimal(&mut out, u64::MAX);
        assert_eq!(out, b" X=\"-7\"018446744073709551615");
    }
}
