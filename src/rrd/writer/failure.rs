//! Why samples were not written, in words for an administrator.
//!
//! What is said of it, and how often, is `complaints`' matter.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{User, geteuid};

use crate::file::FileError;
use crate::file::error::Refusal;
use crate::writer::limits::Limit;

/// Why samples were not written.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The file is not there, and there was no time to create it.
    Postponed,
    /// The file is not there, and may not be created now.
    Limited(Limit),
    /// The file is there, and does not take the samples.
    File(FileError),
    /// The file is not there, and cannot be created with the archives that are configured.
    NotCreated(Refusal),
    /// A link on the way to the file is another user's.
    Link { link: PathBuf, owner: u32 },
    /// A folder takes no files.
    Folder {
        /// The one that is at fault: of those that were to be made, the first.
        folder: PathBuf,
        cause: io::Error,
    },
}

impl Failure {
    /// Of a folder in which nothing could be made, whether it is there or not.
    pub(crate) fn of_folder(folder: &Path, cause: io::Error) -> Failure {
        let there = folder.ancestors().find(|it| fs::metadata(it).is_ok());
        Failure::Folder {
            folder: there.unwrap_or(folder).into(),
            cause,
        }
    }

    /// Whether the same file may take the same samples later: it is locked, the disk is full or
    /// away. A file that is no round-robin file stays what it is.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Failure::Postponed
            | Failure::Limited(Limit::Room)
            | Failure::NotCreated(_)
            | Failure::Link { .. }
            | Failure::Folder { .. } => true,
            // Too many values would wait for too long.
            Failure::Limited(Limit::Source) => false,
            Failure::File(error) => error.may_pass(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Postponed => f.write_str("it is created with a later update"),
            Failure::Limited(Limit::Source) => f.write_str("its source has too many new files"),
            Failure::Limited(Limit::Room) => f.write_str("there is no room for new files"),
            Failure::NotCreated(error) => error.fmt(f),
            Failure::Link { link, owner } => write!(
                f,
                "the link {} belongs to user {owner}, and only links of root and of gmetad's user are \
                 followed; chown -h it, or remove it",
                link.display()
            ),
            Failure::Folder { cause, .. } | Failure::File(FileError::System { cause, .. })
                if is_wide(cause) =>
            {
                write!(f, "{}{}", reason(cause), remedy(cause))
            }
            Failure::Folder { folder, cause } => write!(
                f,
                "no file can be created in {}{}: {}{}",
                folder.display(),
                by_whom(cause),
                reason(cause),
                remedy(cause)
            ),
            Failure::File(FileError::System { what, cause }) => write!(
                f,
                "{what}{}: {}{}",
                by_whom(cause),
                reason(cause),
                remedy(cause)
            ),
            Failure::File(error) => error.fmt(f),
        }
    }
}

impl<E: Into<FileError>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::File(error.into())
    }
}

/// Whether a reason is no single folder's or file's: the disk is full, or cannot be written at all.
fn is_wide(cause: &io::Error) -> bool {
    let errno = cause.raw_os_error().map(Errno::from_raw);
    matches!(
        errno,
        Some(
            Errno::ENOSPC
                | Errno::EDQUOT
                | Errno::EROFS
                | Errno::EIO
                | Errno::EMFILE
                | Errno::ENFILE
                | Errno::ENOMEM
        )
    )
}

/// The system's words, without its number.
fn reason(cause: &io::Error) -> String {
    match cause.raw_os_error() {
        Some(number) => Errno::from_raw(number).desc().into(),
        None => cause.to_string(),
    }
}

/// What to do about it, where that is known.
fn remedy(cause: &io::Error) -> &'static str {
    match cause.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSPC) => "; free space or inodes on its filesystem",
        Some(Errno::EDQUOT) => "; raise the quota, or free space",
        Some(Errno::EROFS) => "; mount its filesystem read-write",
        Some(Errno::EACCES) => "; make this user its owner",
        Some(Errno::EMFILE) => "; raise the limit of open files",
        _ => "",
    }
}

/// Who is refused, where that matters.
fn by_whom(cause: &io::Error) -> String {
    if cause.kind() != io::ErrorKind::PermissionDenied {
        return String::new();
    }
    format!(" by {}", user())
}

/// Who this process is.
fn user() -> String {
    let id = geteuid();
    match User::from_uid(id) {
        Ok(Some(user)) => format!("user {}", user.name),
        _ => format!("user {id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_at_fault_is_the_last_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("a/b/c");
        let failure = Failure::of_folder(&missing, io::ErrorKind::PermissionDenied.into());
        let text = failure.to_string();
        let wanted = format!(
            "no file can be created in {} by user ",
            folder.path().display()
        );
        assert!(text.starts_with(&wanted), "{text}");
    }
}
