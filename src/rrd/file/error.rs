//! Why a file was not read or written.

use std::fmt;
use std::io;

use crate::file::librrd::RrdError;
use crate::file::sound::Unsound;

/// Why a file was not read or written.
#[derive(Debug)]
pub(crate) enum FileError {
    /// librrd refuses.
    Librrd(RrdError),
    /// The file is none that librrd can be given.
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
            FileError::System { .. } => true,
            FileError::Unsound(_) => false,
            FileError::Librrd(error) => error.is_lock(),
        }
    }

    /// Whether another process was using the file at that moment.
    pub(crate) fn is_lock(&self) -> bool {
        matches!(self, FileError::Librrd(error) if error.is_lock())
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::Librrd(error) => error.fmt(f),
            FileError::Unsound(unsound) => unsound.fmt(f),
            FileError::System { what, cause } => write!(f, "{what}: {cause}"),
        }
    }
}

impl From<RrdError> for FileError {
    fn from(error: RrdError) -> FileError {
        FileError::Librrd(error)
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
