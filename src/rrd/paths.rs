//! Names to paths, and the only place where a path below the root is made.
//!
//! Nothing is looked up on disk: whatever a name is, the path it makes stays below the root, and
//! no two names share one.
//!
//! A name becomes one component of a path. These bytes are written as `%` and two capital
//! hexadecimal digits: `/`; control characters, NUL among them; a leading dot; a `%` that would
//! otherwise read as an encoded byte; and the first byte of a name that is the summaries' folder. A
//! component of more than 200 bytes is cut there, and `~` and 128 bits of the whole name's SHA-256
//! are appended. Nothing else changes, so a plain name stays as it is. Text that is not ASCII stays
//! UTF-8, as C gmetad gets it from expat, so its files are found again.

use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sha2::{Digest, Sha256};

/// The folder of a node's or of the root's sums.
pub(crate) const SUMMARY_DIR: &str = "__SummaryInfo__";

/// Bytes of a component before it is cut. Filesystems take 255, and the hash, `.rrd` and the suffix
/// of librrd's temporary files must fit as well.
const CUT_BYTES: usize = 200;

/// Longest component accepted from elsewhere: 255 less `.rrd` and librrd's suffix.
const COMPONENT_BYTES: usize = 240;

/// The root as its own node: no node's name encodes to this.
pub(crate) const ROOT_NODE: &str = "";

/// Appends the component that a name makes; never empty, `.`, `..`, or with a `/`.
pub(crate) fn encode(name: &str, out: &mut String) {
    if is_plain(name) {
        out.push_str(name);
        return;
    }
    if name.is_empty() {
        // There is no byte to encode. No other name becomes a lone `%`, as `%` itself is encoded.
        out.push('%');
        return;
    }
    let start = out.len();
    for (at, c) in name.char_indices() {
        if must_encode(name.as_bytes(), at, c) {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                out.push('%');
                push_hex(byte, out);
            }
        } else {
            out.push(c);
        }
    }
    if out.len() - start > CUT_BYTES {
        let mut end = start + CUT_BYTES;
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
        out.push('~');
        for byte in &Sha256::digest(name)[..16] {
            push_hex(*byte, out);
        }
    }
}

/// Whether a name is its own component, judged quickly.
fn is_plain(name: &str) -> bool {
    let bytes = name.as_bytes();
    let first = bytes.first();
    first.is_some_and(|first| *first != b'.')
        && name.len() <= CUT_BYTES
        && name != SUMMARY_DIR
        && bytes
            .iter()
            .all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'/' | b'%'))
}

fn must_encode(name: &[u8], at: usize, c: char) -> bool {
    match c {
        '/' => true,
        '.' => at == 0,
        '_' => at == 0 && name == SUMMARY_DIR.as_bytes(),
        '%' => {
            name.len() == 1
                || name
                    .get(at + 1..at + 3)
                    .is_some_and(|next| next.iter().all(u8::is_ascii_hexdigit))
        }
        _ => c.is_control(),
    }
}

fn push_hex(byte: u8, out: &mut String) {
    for nibble in [byte >> 4, byte & 0xf] {
        out.push(char::from(b"0123456789ABCDEF"[usize::from(nibble)]));
    }
}

/// Whether a text is one component of a path and room is left for an ending.
pub(crate) fn is_component(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text.len() <= COMPONENT_BYTES
        && !text.bytes().any(|byte| matches!(byte, b'/' | 0 | b'\n'))
}

/// Whether a path that is taken from the root stays below it.
pub(crate) fn is_inside(path: &str) -> bool {
    path.split('/').all(is_component)
}

/// One path at a time, in a buffer that is reused.
#[derive(Debug)]
pub(crate) struct PathBuffer {
    /// `ROOT/NODE/DIR/FILE.rrd` and a NUL, as far as entered.
    bytes: Vec<u8>,
    root_bytes: usize,
    node_bytes: usize,
    dir_bytes: usize,
}

impl PathBuffer {
    /// For a root without a NUL, which the configuration refuses; any would be left out.
    pub(crate) fn new(root: &Path) -> PathBuffer {
        let mut bytes: Vec<u8> = root.as_os_str().as_bytes().to_vec();
        bytes.retain(|byte| *byte != 0);
        bytes.push(b'/');
        PathBuffer {
            root_bytes: bytes.len(),
            node_bytes: bytes.len(),
            dir_bytes: bytes.len(),
            bytes,
        }
    }

    /// Goes to `ROOT/NODE/DIR`; both are components already. The root's own sums are in
    /// `ROOT/DIR`.
    pub(crate) fn enter(&mut self, node: &str, dir: &str) {
        self.bytes.truncate(self.root_bytes);
        if node != ROOT_NODE {
            self.bytes.extend_from_slice(node.as_bytes());
            self.bytes.push(b'/');
        }
        self.node_bytes = self.bytes.len();
        self.bytes.extend_from_slice(dir.as_bytes());
        self.bytes.push(b'/');
        self.dir_bytes = self.bytes.len();
    }

    /// Goes to a folder below the root, by its path from there.
    pub(crate) fn enter_inside(&mut self, folder: &str) {
        self.bytes.truncate(self.root_bytes);
        self.node_bytes = self.root_bytes;
        self.bytes.extend_from_slice(folder.as_bytes());
        self.bytes.push(b'/');
        self.dir_bytes = self.bytes.len();
    }

    /// The folder entered, from the root.
    pub(crate) fn folder(&self) -> &str {
        let folder = &self.bytes[self.root_bytes..self.dir_bytes.max(self.root_bytes + 1) - 1];
        // Components are text.
        std::str::from_utf8(folder).unwrap_or_default()
    }

    /// The path of a file in the folder entered, by the component its name makes.
    pub(crate) fn file(&mut self, component: &str) -> &CStr {
        self.file_after(self.dir_bytes, component)
    }

    /// What of it follows `ROOT/NODE/`.
    pub(crate) fn file_in_node(&mut self, component: &str) -> &CStr {
        self.file_after(self.dir_bytes, component);
        CStr::from_bytes_until_nul(&self.bytes[self.node_bytes..]).unwrap_or_default()
    }

    /// `ROOT/NODE` of the folder entered.
    pub(crate) fn node(&self) -> &[u8] {
        &self.bytes[..self.node_bytes]
    }

    /// The path of a file in the root itself, where no name's file is.
    pub(crate) fn in_root(&mut self, component: &str) -> &CStr {
        self.file_after(self.root_bytes, component)
    }

    fn file_after(&mut self, folder_bytes: usize, component: &str) -> &CStr {
        self.bytes.truncate(folder_bytes);
        self.bytes.extend_from_slice(component.as_bytes());
        self.bytes.extend_from_slice(b".rrd\0");
        // The root had its NULs taken out, components have none, so the only one is the last.
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Component;

    use super::*;

    fn encoded(name: &str) -> String {
        let mut out = String::new();
        encode(name, &mut out);
        out
    }

    /// Undoes what is not cut.
    fn decoded(component: &str) -> String {
        if component == "%" {
            return String::new();
        }
        let bytes = component.as_bytes();
        let mut name = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let digits = component.get(at + 1..at + 3).unwrap_or("");
            let is_code = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            if bytes[at] == b'%' && is_code {
                name.push(u8::from_str_radix(digits, 16).unwrap());
                at += 3;
            } else {
                name.push(bytes[at]);
                at += 1;
            }
        }
        String::from_utf8(name).unwrap()
    }

    /// Every name of up to four of the characters that matter to each other.
    fn nasty_names() -> Vec<String> {
        let alphabet = ["%", "2", "F", "f", "/", ".", "\0", "\u{85}", "é", "_"];
        let mut names = vec![String::new()];
        let mut longest = 0;
        for _ in 0..4 {
            let end = names.len();
            for at in longest..end {
                for letter in alphabet {
                    names.push(format!("{}{letter}", names[at]));
                }
            }
            longest = end;
        }
        names
    }

    #[test]
    fn plain_names_stay_as_they_are() {
        let longest = "x".repeat(CUT_BYTES);
        for name in [
            "load_one",
            "node1.example.org",
            "my cluster (old)",
            "a%b",
            "100%",
            "50% done",
            "a\\b:c",
            "café",
            "__SummaryInfo",
            &longest,
        ] {
            assert_eq!(encoded(name), name);
        }
    }

    #[test]
    fn hostile_names_become_one_harmless_component() {
        assert_eq!(encoded("../../evil"), "%2E.%2F..%2Fevil");
        assert_eq!(encoded("."), "%2E");
        assert_eq!(encoded(".."), "%2E.");
        assert_eq!(encoded("a\0b\nc\u{7f}\u{85}"), "a%00b%0Ac%7F%C2%85");
        assert_eq!(encoded("a%2Fb"), "a%252Fb");
        assert_eq!(encoded(SUMMARY_DIR), "%5F_SummaryInfo__");
        assert_eq!(encoded(""), "%");
    }

    #[test]
    fn no_two_names_share_a_component() {
        let names = nasty_names();
        let mut seen = HashMap::new();
        for name in &names {
            let component = encoded(name);
            assert_eq!(decoded(&component), *name);
            assert_eq!(seen.insert(component, name), None, "{name:?}");
        }
        assert!(seen.len() > 11_000);
    }

    #[test]
    fn every_component_is_one() {
        for name in nasty_names() {
            let component = encoded(&name);
            let parts: Vec<_> = Path::new(&component).components().collect();
            assert_eq!(parts, [Component::Normal(component.as_ref())], "{name:?}");
        }
    }

    #[test]
    fn long_names_are_cut_and_still_differ() {
        let mut seen = HashMap::new();
        for name in [
            "x".repeat(201),
            "x".repeat(202),
            "x".repeat(300),
            format!("{}é", "x".repeat(199)),
            "é".repeat(101),
            "/".repeat(67),
            "/".repeat(68),
        ] {
            let component = encoded(&name);
            assert!((CUT_BYTES + 1..=CUT_BYTES + 33).contains(&component.len()));
            assert_eq!(seen.insert(component, name), None);
        }
        assert_eq!(encoded(&"/".repeat(66)).len(), 198, "this one just fits");
    }

    #[test]
    fn a_cut_name_is_no_short_one() {
        let cut = encoded(&"x".repeat(300));
        assert_ne!(encoded(&cut), cut, "it is cut itself");
    }

    #[test]
    fn paths_are_root_node_dir_file() {
        let mut paths = PathBuffer::new(Path::new("/rrds"));
        paths.enter("c", "h");
        assert_eq!(paths.file("load_one"), c"/rrds/c/h/load_one.rrd");
        assert_eq!(paths.file("m"), c"/rrds/c/h/m.rrd");
        paths.enter("", SUMMARY_DIR);
        assert_eq!(paths.file("m"), c"/rrds/__SummaryInfo__/m.rrd");
    }
}
