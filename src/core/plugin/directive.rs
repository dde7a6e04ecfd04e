//! A line of a plugin's section in gmetad.conf.
//!
//! Not interpreted here: the values are the plugin's own.

use std::fmt;
use std::path::PathBuf;

/// One line of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// As written.
    pub name: String,
    /// The rest of the line as written, including any `#`, without surrounding blanks.
    pub value: String,
    /// Its place, for the plugin's errors.
    pub line: Location,
}

/// A place in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, as it was given.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Location {
    /// `FILE:LINE`, as editors accept it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}
