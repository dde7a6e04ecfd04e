//! The text format of Prometheus, version 0.0.4: names, labels and families.
//!
//! No values here: those of the daemon are in `status`, those of hosts in `scrape`.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write;

mod index;
mod name;
mod scrape;

pub use index::is_up_now;
pub use name::{CLUSTER, FamilyName, HOST, HOST_UP, Kind, METRIC};
pub use scrape::Scrape;

/// Stands for a NUL.
const NUL_SYMBOL: &str = "\u{2400}";

/// The Content-Type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Starts a family. The help text is escaped.
pub fn push_family(out: &mut Vec<u8>, name: &str, kind: Kind, help: &str) {
    out.extend_from_slice(b"# HELP ");
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
    push_escaped(out, help, false);
    out.extend_from_slice(b"\n# TYPE ");
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
    out.extend_from_slice(kind.word().as_bytes());
    out.push(b'\n');
}

/// A label's value as text. Some readers stop at a NUL; this has the symbol for it instead.
pub fn label_text(value: &str) -> Cow<'_, str> {
    if value.contains('\0') {
        value.replace('\0', NUL_SYMBOL).into()
    } else {
        value.into()
    }
}

/// Appends a label's value, escaped, without quotes.
pub fn push_label_value(out: &mut Vec<u8>, value: &str) {
    push_escaped(out, value, true);
}

fn push_escaped(out: &mut Vec<u8>, text: &str, quotes: bool) {
    let mut from = 0;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'"' if quotes => b"\\\"",
            0 => NUL_SYMBOL.as_bytes(),
            _ => continue,
        };
        out.extend_from_slice(&bytes[from..at]);
        out.extend_from_slice(escape);
        from = at + 1;
    }
    out.extend_from_slice(&bytes[from..]);
}

/// Writes a page of families.
#[derive(Debug, Default)]
pub struct Page {
    out: Vec<u8>,
    name: String,
}

impl Page {
    /// Starts a family. The samples that follow belong to it.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        name.clone_into(&mut self.name);
        push_family(&mut self.out, name, kind, help);
    }

    /// A sample of the family.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.out.extend_from_slice(self.name.as_bytes());
        for (at, (label, text)) in labels.iter().enumerate() {
            self.out.push(if at == 0 { b'{' } else { b',' });
            self.out.extend_from_slice(label.as_bytes());
            self.out.extend_from_slice(b"=\"");
            push_label_value(&mut self.out, text);
            self.out.push(b'"');
        }
        if !labels.is_empty() {
            self.out.push(b'}');
        }
        // Writing to memory does not fail.
        let _ = writeln!(self.out, " {value}");
    }

    /// A family of one sample.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(&[], value);
    }

    /// The page.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stand_below_help_and_type() {
        let mut page = Page::default();
        page.family("a_total", Kind::Counter, "Of\n\"a\\b\".");
        page.sample(&[("x", "1"), ("y", "q\"\\\n\0é")], 2);
        page.single("b", Kind::Gauge, "B.", 0.5);
        assert_eq!(
            String::from_utf8(page.finish()).unwrap(),
            "# HELP a_total Of\\n\"a\\\\b\".\n# TYPE a_total counter\n\
             a_total{x=\"1\",y=\"q\\\"\\\\\\n\u{2400}é\"} 2\n\
             # HELP b B.\n# TYPE b gauge\nb 0.5\n"
        );
    }
}
