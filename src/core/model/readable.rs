//! Text of any origin as people read it: in the log, on a terminal, on a page of plain text.
//!
//! The one place that makes it harmless. What programs read is escaped where it is written.

use std::fmt::{self, Display, Write as _};

/// Longer lines are cut: they may contain a peer's bytes.
const LINE_LIMIT_BYTES: usize = 4096;

/// Displays a text without control characters; they are shown as in `\n` and `\u{1b}`.
#[derive(Clone, Copy, Debug)]
pub struct Readable<T> {
    text: T,
    /// Whether line feeds stay.
    has_lines: bool,
    /// Longest text; what is longer is cut, and ends in `…`.
    limit_bytes: usize,
}

impl<T: Display> Readable<T> {
    /// One line of bounded length.
    pub fn line(text: T) -> Self {
        Readable {
            text,
            has_lines: false,
            limit_bytes: LINE_LIMIT_BYTES,
        }
    }

    /// One line of any length.
    pub fn long_line(text: T) -> Self {
        Readable {
            limit_bytes: usize::MAX,
            ..Readable::line(text)
        }
    }

    /// Any number of lines. What may have a peer's line feeds is made a [`Readable::line`] before.
    pub fn lines(text: T) -> Self {
        Readable {
            has_lines: true,
            ..Readable::long_line(text)
        }
    }
}

impl<T: Display> Display for Readable<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut escaper = Escaper {
            out,
            has_lines: self.has_lines,
            room_bytes: self.limit_bytes,
            cut: false,
        };
        write!(escaper, "{}", self.text)?;
        if escaper.cut {
            out.write_str("…")
        } else {
            Ok(())
        }
    }
}

struct Escaper<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    has_lines: bool,
    room_bytes: usize,
    cut: bool,
}

impl fmt::Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.cut || self.room_bytes < character.len_utf8() {
                self.cut = true;
                return Ok(());
            }
            self.room_bytes -= character.len_utf8();
            let is_kept_line_feed = self.has_lines && character == '\n';
            if misleads(character) && !is_kept_line_feed {
                write!(self.out, "{}", character.escape_default())?;
            } else {
                self.out.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// Control characters, and those that break a line or reorder it on a terminal.
fn misleads(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\nb\r\x1b[2J\0\u{9b}31m\t\u{202e}é";

    #[test]
    fn no_control_character_is_left() {
        assert_eq!(
            Readable::line(HOSTILE).to_string(),
            "a\\nb\\r\\u{1b}[2J\\u{0}\\u{9b}31m\\t\\u{202e}é"
        );
    }

    #[test]
    fn lines_stay_where_they_are_wanted() {
        assert_eq!(
            Readable::lines(HOSTILE).to_string(),
            "a\nb\\r\\u{1b}[2J\\u{0}\\u{9b}31m\\t\\u{202e}é"
        );
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = "ä".repeat(10_000);
        let cut = format!("{}…", "ä".repeat(LINE_LIMIT_BYTES / 2));
        assert_eq!(Readable::line(&long).to_string(), cut);
        assert_eq!(Readable::long_line(&long).to_string(), long);
        let exact = "x".repeat(LINE_LIMIT_BYTES);
        assert_eq!(Readable::line(&exact).to_string(), exact);
    }
}
