//! Lines of InfluxDB's line protocol: the family is the measurement, labels are tags, and the field is
//! called `value`.
//!
//! No I/O.

use std::borrow::Cow;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Values from here on are written with an exponent, as are those below one divided by this.
const LARGE: f64 = 1e16;

/// Appends what a line begins with.
pub fn push_measurement(out: &mut Vec<u8>, name: &str) {
    push_escaped(out, name);
}

/// Appends a tag, with the comma in front of it.
pub fn push_tag(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b',');
    push_escaped(out, name);
    out.push(b'=');
    push_escaped(out, &tag_text(value));
}

/// Appends a line. Returns whether the protocol can say it: a marker of staleness it cannot.
pub fn push_line(out: &mut Vec<u8>, pieces: [&[u8]; 3], value: f64, time_ms: i64) -> bool {
    if !value.is_finite() {
        return false;
    }
    for piece in pieces {
        out.extend_from_slice(piece);
    }
    let size = value.abs();
    let is_plain = size == 0.0 || (1.0 / LARGE..LARGE).contains(&size);
    // Writing to memory does not fail.
    let _ = if is_plain {
        writeln!(out, " value={value} {time_ms}")
    } else {
        writeln!(out, " value={value:e} {time_ms}")
    };
    true
}

/// Appends lines, gzipped.
pub fn push_gzipped(out: &mut Vec<u8>, lines: &[u8]) {
    let mut encoder = GzEncoder::new(out, Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder
        .write_all(lines)
        .and_then(|()| encoder.finish().map(drop));
}

/// A tag's value as the protocol can say it: a line end would end the line, and a backslash at the end
/// would take away the meaning of what follows. Symbols stand for them, as one does for NUL.
fn tag_text(value: &str) -> Cow<'_, str> {
    if !value.contains(['\n', '\r']) && !value.ends_with('\\') {
        return value.into();
    }
    let mut text = value.replace('\n', "\u{240a}").replace('\r', "\u{240d}");
    if text.ends_with('\\') {
        text.pop();
        text.push('\u{ff3c}');
    }
    text.into()
}

fn push_escaped(out: &mut Vec<u8>, text: &str) {
    for &byte in text.as_bytes() {
        if matches!(byte, b',' | b'=' | b' ') {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    fn line(value: f64) -> Option<String> {
        let mut out = Vec::new();
        let is_said = push_line(&mut out, [b"m", b",host=a", b",metric=b"], value, 1500);
        assert_eq!(is_said, !out.is_empty());
        is_said.then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_line_is_its_pieces_the_value_and_the_time() {
        for (value, text) in [
            (0.0, "0"),
            (-2.5, "-2.5"),
            (4_294_967_295.0, "4294967295"),
            (1e300, "1e300"),
            (-1.5e-30, "-1.5e-30"),
            (0.1, "0.1"),
        ] {
            let expected = format!("m,host=a,metric=b value={text} 1500\n");
            assert_eq!(line(value).as_deref(), Some(&*expected));
            let back: f64 = text.parse().unwrap();
            assert_eq!(back.to_bits(), value.to_bits());
        }
        for none in [f64::NAN, f64::INFINITY, super::super::encode::STALE] {
            assert_eq!(line(none), None);
        }
    }

    #[test]
    fn what_has_a_meaning_is_escaped_and_what_cannot_be_said_is_a_symbol() {
        let mut out = Vec::new();
        push_measurement(&mut out, "a b");
        push_tag(&mut out, "k=", "a,b=c d\"\\e\nf\\");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a\\ b,k\\==a\\,b\\=c\\ d\"\\e\u{240a}f\u{ff3c}"
        );
    }

    #[test]
    fn lines_are_gzipped_behind_what_is_there() {
        for lines in [&b""[..], b"m value=1 1\n", &b"m value=1 1\n".repeat(5_000)] {
            let mut out = b"head".to_vec();
            push_gzipped(&mut out, lines);
            let mut read = Vec::new();
            let body = out.strip_prefix(b"head").unwrap();
            GzDecoder::new(body).read_to_end(&mut read).unwrap();
            assert_eq!(read, lines);
        }
    }
}
