//! Writes JSON: strings, objects, and the tree of the XML as JSON.
//!
//! No I/O and no parser: appends to buffers.

use std::fmt::Display;
use std::io::Write;

mod tree;

pub use tree::{JsonFormat, body};

/// Appends `text` as a string. JavaScript's line ends are escaped too, so that the result is valid in
/// a script.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut from = 0;
    for (at, c) in text.char_indices() {
        let escape: &[u8] = match c {
            '"' => b"\\\"",
            '\\' => b"\\\\",
            '\n' => b"\\n",
            '\r' => b"\\r",
            '\t' => b"\\t",
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => &[],
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[from..at]);
        out.extend_from_slice(escape);
        if escape.is_empty() {
            let hex = b"0123456789abcdef";
            let code = u32::from(c);
            out.extend_from_slice(b"\\u");
            out.extend([12, 8, 4, 0].map(|shift| hex[(code >> shift & 0xf) as usize]));
        }
        from = at + c.len_utf8();
    }
    out.extend_from_slice(&text.as_bytes()[from..]);
    out.push(b'"');
}

/// Whether the text is a number in JSON's grammar.
pub fn is_number(text: &[u8]) -> bool {
    fn digits(text: &[u8]) -> (usize, &[u8]) {
        let count = text.iter().take_while(|b| b.is_ascii_digit()).count();
        (count, &text[count..])
    }
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (count, mut rest) = digits(text);
    if count == 0 || (count > 1 && text[0] == b'0') {
        return false;
    }
    if let [b'.', fraction @ ..] = rest {
        let (count, after) = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = after;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', exponent @ ..] | exponent => exponent,
        };
        let (count, after) = digits(exponent);
        if count == 0 {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

/// Writes an object, member by member.
#[derive(Debug)]
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    /// Appends an object with the members that `fill` adds.
    pub fn write(out: &'a mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
        out.push(b'{');
        fill(&mut Object { out, empty: true });
        out.push(b'}');
    }

    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        push_string(self.out, key);
        self.out.push(b':');
        self.out
    }

    /// A string.
    pub fn text(&mut self, key: &str, text: &str) {
        push_string(self.key(key), text);
    }

    /// A string, or null.
    pub fn text_or_null(&mut self, key: &str, text: Option<&str>) {
        match text {
            Some(text) => self.text(key, text),
            None => self.key(key).extend_from_slice(b"null"),
        }
    }

    /// A whole number, or true or false.
    pub fn plain(&mut self, key: &str, value: impl Into<Plain>) {
        let out = self.key(key);
        // Writing to memory does not fail.
        let _ = match value.into() {
            Plain::Signed(number) => write!(out, "{number}"),
            Plain::Unsigned(number) => write!(out, "{number}"),
            Plain::Bool(value) => write!(out, "{value}"),
        };
    }

    /// A number with six decimals; null if it is not finite.
    pub fn decimal(&mut self, key: &str, number: f64) {
        let out = self.key(key);
        if number.is_finite() {
            // Writing to memory does not fail.
            let _ = write!(out, "{number:.6}");
        } else {
            out.extend_from_slice(b"null");
        }
    }

    /// A string from a `Display`.
    pub fn shown(&mut self, key: &str, value: &dyn Display) {
        self.text(key, &value.to_string());
    }

    /// An object.
    pub fn object(&mut self, key: &str, fill: impl FnOnce(&mut Object<'_>)) {
        Object::write(self.key(key), fill);
    }

    /// An array of objects, one for each item.
    pub fn objects<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(&mut Object<'_>, T),
    ) {
        let out = self.key(key);
        out.push(b'[');
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            Object::write(out, |object| fill(object, item));
        }
        out.push(b']');
    }
}

/// A value whose text is its JSON.
#[derive(Clone, Copy, Debug)]
pub enum Plain {
    /// A whole number that may be negative.
    Signed(i64),
    /// A whole number that is not.
    Unsigned(u64),
    /// true or false.
    Bool(bool),
}

impl From<i64> for Plain {
    fn from(number: i64) -> Plain {
        Plain::Signed(number)
    }
}

impl From<u64> for Plain {
    fn from(number: u64) -> Plain {
        Plain::Unsigned(number)
    }
}

impl From<u32> for Plain {
    fn from(number: u32) -> Plain {
        Plain::Unsigned(number.into())
    }
}

impl From<usize> for Plain {
    fn from(number: usize) -> Plain {
        Plain::Unsigned(number as u64)
    }
}

impl From<bool> for Plain {
    fn from(value: bool) -> Plain {
        Plain::Bool(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_a_string_that_reads_back() {
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        for text in ["", "plain", "a\"b\\c\n\r\t\0", "é☃\u{10348}", all.as_str()] {
            let mut out = Vec::new();
            push_string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            let raw = String::from_utf8(out).unwrap();
            assert!(
                !raw.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
            );
        }
    }

    #[test]
    fn a_number_is_what_the_grammar_says() {
        for text in [
            "0",
            "-0",
            "10",
            "1.50",
            "-0.1e+7",
            "2E-3",
            "123456789012345678901234567890",
        ] {
            assert!(is_number(text.as_bytes()), "{text}");
            assert!(serde_json::from_str::<f64>(text).is_ok(), "{text}");
        }
        for text in [
            "", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x10", "nan", "inf", " 1", "1 ", "1,0",
            "--1",
        ] {
            assert!(!is_number(text.as_bytes()), "{text}");
            assert!(
                serde_json::from_str::<f64>(text).is_err() || text.trim() != text,
                "{text}"
            );
        }
    }

    #[test]
    fn an_object_has_its_members_in_order() {
        let mut out = Vec::new();
        Object::write(&mut out, |object| {
            object.text("a", "b\"");
            object.plain("n", -3_i64);
            object.decimal("d", 0.25);
            object.decimal("nan", f64::NAN);
            object.object("o", |object| object.plain("yes", true));
            object.objects("list", [1_u32, 2], |object, n| object.plain("n", n));
            object.object("none", |_| ());
            object.text_or_null("null", None);
        });
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"a\":\"b\\\"\",\"n\":-3,\"d\":0.250000,\"nan\":null,\"o\":{\"yes\":true},\
             \"list\":[{\"n\":1},{\"n\":2}],\"none\":{},\"null\":null}"
        );
    }
}
