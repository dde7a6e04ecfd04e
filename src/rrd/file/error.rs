//! Why a file was not read or written.

use std::fmt;
use std::io;

use thiserror::Error;

use crate::file::sound::Unsound;

/// What a file does not take, or a question that has no answer, and why: our words or librrd's, which
/// nearly always name the file.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub(crate) struct Refusal(String);

impl Refusal {
    pub(crate) fn new(text: impl Into<String>) -> Refusal {
        Refusal(text.into())
    }
}

/// Why a file was not read or written.
#[derive(Debug)]
pub(crate) enum FileError {
    /// The file does not take that.
    Refused(Refusal),
    /// Another process was using the file at that moment.
    Locked,
    /// The file is not as its kind has to be.
    Unsound(Unsound),
    /// The system refuses.
    System {
        /// What could not be done, as a sentence about `it`.
        what: &'static str,
        cause: io::Error,
    },
}

impl FileError {
    /// Whether the same call may work later: the file is locked, the disk is full or away. A file
    /// that is no round-robin file stays what it is.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            FileError::System { .. } | FileError::Locked => true,
            FileError::Unsound(_) | FileError::Refused(_) => false,
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::Refused(refusal) => refusal.fmt(f),
            FileError::Locked => f.write_str("another process has locked it"),
            FileError::Unsound(unsound) => unsound.fmt(f),
            FileError::System { what, cause } => write!(f, "{what}: {cause}"),
        }
    }
}

impl From<Refusal> for FileError {
    fn from(refusal: Refusal) -> FileError {
        FileError::Refused(refusal)
    }
}

impl From<Unsound> for FileError {
    fn from(unsound: Unsound) -> FileError {
        match unsound {
            Unsound::System { what, cause } => FileError::System { what, cause },
            unsound => FileError::Unsound(unsound),
        }
    }
}
