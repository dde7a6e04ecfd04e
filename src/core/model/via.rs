//! Which gmetads' sums a grid below holds, so that circles of gmetads are found.
//!
//! A gmetad shows a grid below as its sums, and the grids inside are seen no more. So their ids are
//! passed on, in a comment behind the GRID tag, which every other reader ignores.
//!
//! C gmetad passes no comment on, but the names of all sums. So where two of them stand between, a sum
//! that no host has goes round instead: the mark.

use std::io::Write as _;

/// Passes after which an id is forgotten. A circle hands on what is in it without end; an id that nobody
/// brings anew has its number of passes grow until it goes.
const PASSES: u8 = 16;

/// Most ids of one grid. No site has so many gmetads.
const IDS: usize = 1024;

/// How the comment begins.
const WORD: &str = " via ";

/// The id of a grid, by which all gmetads know it: FNV-1a of its name and authority.
pub fn grid_id(name: &str, authority: &str) -> u64 {
    let bytes = name.bytes().chain([0]).chain(authority.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |id, byte| {
        (id ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The name of the sum by which the grid of that id knows what comes back to it: with another run it has
/// another name, since C gmetad hands a name on for ever.
pub fn mark(id: u64, run: u64) -> String {
    format!("{}{run:x}", mark_prefix(id))
}

/// How the names of all marks of the grid of that id begin.
pub fn mark_prefix(id: u64) -> String {
    format!("gmetad_circle_{id:016x}_")
}

/// Ids of gmetads, each with the polls that its sums went through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Via(Vec<(u64, u8)>);

impl Via {
    /// Adds a gmetad. Of one that is known, the shorter way counts.
    pub fn add(&mut self, id: u64, passes: u8) {
        if passes > PASSES {
            return;
        }
        if let Some((_, known)) = self.0.iter_mut().find(|(known, _)| *known == id) {
            *known = passes.min(*known);
        } else if self.0.len() < IDS {
            self.0.push((id, passes));
        }
    }

    /// Adds those of a grid inside.
    pub fn add_all(&mut self, inside: &Via) {
        for (id, passes) in &inside.0 {
            self.add(*id, passes.saturating_add(1));
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u8)> {
        self.0.iter().copied()
    }

    /// Whether it is among them.
    pub fn has(&self, id: u64) -> bool {
        self.0.iter().any(|(known, _)| *known == id)
    }

    /// Approximate memory.
    pub fn bytes(&self) -> usize {
        size_of_val(self.0.as_slice())
    }

    /// Reads the text of a comment; `None` if it is another one.
    pub fn read(comment: &str) -> Option<Via> {
        let mut via = Via::default();
        for word in comment.strip_prefix(WORD)?.split_ascii_whitespace() {
            let (id, passes) = word.split_once(':')?;
            via.add(u64::from_str_radix(id, 16).ok()?, passes.parse().ok()?);
        }
        Some(via)
    }

    /// Writes the comment, without the grid's own id; nothing if there is no other.
    pub fn write(&self, own: u64, out: &mut Vec<u8>) {
        let mut others = self.0.iter().filter(|(id, _)| *id != own).peekable();
        if others.peek().is_none() {
            return;
        }
        out.extend_from_slice(b"<!--");
        out.extend_from_slice(WORD.as_bytes());
        for (id, passes) in others {
            // Writing to memory does not fail.
            let _ = write!(out, "{id:x}:{passes} ");
        }
        out.extend_from_slice(b"-->\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_an_id_goes_with_time() {
        let mut via = Via::default();
        via.add(7, 1);
        via.add(u64::MAX, 3);
        via.add(u64::MAX, 2);
        let mut text = Vec::new();
        via.write(7, &mut text);
        assert_eq!(text, b"<!-- via ffffffffffffffff:2 -->\n");
        let read = Via::read(" via ffffffffffffffff:2 ").unwrap();
        assert!(read.has(u64::MAX) && !read.has(7));
        for other in [" other", " via x", " via 1:x", " via 1", ""] {
            assert_eq!(Via::read(other), None, "{other}");
        }
        let mut passed_on = read;
        for _ in 0..PASSES {
            let mut next = Via::default();
            next.add_all(&passed_on);
            passed_on = next;
        }
        assert!(!passed_on.has(u64::MAX));
        let mut nothing = Vec::new();
        passed_on.write(7, &mut nothing);
        assert!(nothing.is_empty());
    }
}
