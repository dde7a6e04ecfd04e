//! A line of a section of gmetad.conf, as a plugin is given it.
//!
//! Nothing is read here: the values are the plugin's to understand.

use std::fmt;
use std::path::PathBuf;

/// One line of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// As written.
    pub name: String,
    /// The rest of the line as written, a `#` in it included, without the blanks around it.
    pub value: String,
    /// Where it stands, for the plugin's own errors.
    pub line: Location,
}

/// A place in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Location {
    /// `FILE:LINE`, as editors take it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}
