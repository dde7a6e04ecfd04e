//! Opens what has a round-robin file's name, to be read or written. `tree::expire` alone opens such
//! names itself, below folders that it holds open and without following links.
//!
//! Only a regular file is taken. A FIFO, a device or a socket in its place is refused without
//! waiting for it, as whoever waits is the thread that writes all files.

use std::ffi::CStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use gmetad_config::other_kind;
use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::geteuid;
use thiserror::Error;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// To be read. That is noted in its access time, as for any reader.
    Read,
    /// To be written, or to find out whether it could be.
    Write,
    /// To be read and written.
    Update,
}

/// Why a file was not opened.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    /// The system refuses.
    #[error("{what}: {cause}")]
    System {
        what: &'static str,
        cause: io::Error,
    },
    /// It is something else, which is named here with its article.
    #[error("it is {0}, not a regular file")]
    NotRegular(&'static str),
}

/// Opens a regular file; also through a link, as librrd does, if that is root's or the user's that this
/// runs as.
pub(crate) fn open(path: &Path, access: Access) -> Result<(File, Metadata), OpenError> {
    let options = |flags| options(access != Access::Write, access != Access::Read, flags);
    let opened = options(libc::O_NOFOLLOW).open(path);
    let opened = match opened {
        Err(error) if error.raw_os_error() == Some(Errno::ELOOP as i32) && is_own_link(path) => {
            options(0).open(path)
        }
        opened => opened,
    };
    let file = opened.map_err(|cause| refusal(path, cause))?;
    let about = file.metadata().map_err(|cause| OpenError::System {
        what: "it cannot be examined",
        cause,
    })?;
    match other_kind(&about) {
        None => Ok((file, about)),
        Some(kind) => Err(OpenError::NotRegular(kind)),
    }
}

/// Whether a link is root's or the user's that this runs as.
fn is_own_link(path: &Path) -> bool {
    let owner = fs::symlink_metadata(path).map(|it| it.uid());
    owner.is_ok_and(|owner| owner == 0 || owner == geteuid().as_raw())
}

/// Opens a file for the quick way, to be read and written; its length as well. `None` is for
/// [`open`] to explain.
///
/// This is done for every sample, so it costs one cheap call beside the opening: only what has a
/// length is taken, and a FIFO, a socket or a character device has none. A link is not followed.
pub(crate) fn open_for_update(path: &Path) -> Option<(File, u64)> {
    with_length(open_unnoted(path).ok()?)
}

fn with_length(mut file: File) -> Option<(File, u64)> {
    let length = file.seek(SeekFrom::End(0)).ok()?;
    (length > 0).then_some((file, length))
}

/// The same for a file in a folder that is held open, which the system then need not look for.
pub(crate) fn open_in_for_update(folder: BorrowedFd<'_>, path: &CStr) -> Option<(File, u64)> {
    let name = name_of(path)?;
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let flags = flags | OFlag::O_NOFOLLOW;
    let open = |flags| fcntl::openat(folder, name, flags, Mode::empty());
    let opened = match open(flags | UNNOTED) {
        Err(Errno::EPERM) => open(flags),
        opened => opened,
    };
    with_length(File::from(opened.ok()?))
}

/// A file's name, without its folder.
fn name_of(path: &CStr) -> Option<&CStr> {
    let bytes = path.to_bytes_with_nul();
    let slash = bytes.iter().rposition(|byte| *byte == b'/')?;
    CStr::from_bytes_with_nul(&bytes[slash + 1..]).ok()
}

/// A file, and a folder above it that is held open: the system then need not look for that one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) folder: BorrowedFd<'a>,
    /// From there.
    pub(crate) below: &'a CStr,
}

/// Opens a folder for the places below it.
pub(crate) fn open_folder(path: &CStr) -> Option<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    fcntl::open(path, flags, Mode::empty()).ok()
}

/// Opens a file to read some of its rows; its length as well. `None` is for [`open`] to explain.
pub(crate) fn open_for_rows(place: &Place<'_>) -> Option<(File, u64)> {
    // As in `options`.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let flags = flags | OFlag::O_NOFOLLOW;
    let opened = fcntl::openat(place.folder, place.below, flags, Mode::empty());
    with_length(File::from(opened.ok()?))
}

/// That the file was read is not noted, which would be one more write; only its owner may ask for
/// that.
#[cfg(target_os = "linux")]
const UNNOTED: OFlag = OFlag::O_NOATIME;
#[cfg(not(target_os = "linux"))]
const UNNOTED: OFlag = OFlag::empty();

fn open_unnoted(path: &Path) -> io::Result<File> {
    match options(true, true, libc::O_NOFOLLOW | UNNOTED.bits()).open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        opened => return opened,
    }
    options(true, true, libc::O_NOFOLLOW).open(path)
}

fn options(read: bool, write: bool, more_flags: i32) -> OpenOptions {
    // Neither waits for the other end of a FIFO, nor makes a terminal this process's own.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | more_flags;
    let mut options = OpenOptions::new();
    options.read(read).write(write).custom_flags(flags);
    options
}

/// What is said of a file that the system does not open.
fn refusal(path: &Path, cause: io::Error) -> OpenError {
    if cause.raw_os_error() == Some(Errno::ELOOP as i32) && !is_own_link(path) {
        return OpenError::System {
            what: "it is a link of a user who is neither root nor gmetad's; chown -h it, or remove it",
            cause,
        };
    }
    // A socket cannot be opened, a folder not be written.
    let kind = fs::metadata(path).ok().and_then(|it| other_kind(&it));
    if let Some(kind) = kind {
        return OpenError::NotRegular(kind);
    }
    let is_missing = cause.raw_os_error() == Some(Errno::ENOENT as i32);
    let what = if is_missing && fs::symlink_metadata(path).is_ok() {
        "it is a link to a missing file"
    } else {
        "it cannot be opened"
    };
    OpenError::System { what, cause }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use nix::unistd::mkfifo;

    use super::*;

    const ALL: [Access; 3] = [Access::Read, Access::Write, Access::Update];

    fn refused(path: &Path, access: Access) -> String {
        open(path, access).unwrap_err().to_string()
    }

    #[test]
    fn a_regular_file_is_opened_also_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("f"), folder.path().join("l"));
        fs::write(&file, "abc").unwrap();
        symlink(&file, &link).unwrap();
        for access in ALL {
            for path in [&file, &link] {
                assert_eq!(open(path, access).unwrap().1.len(), 3, "{access:?}");
            }
        }
        assert_eq!(open_for_update(&file).unwrap().1, 3);
        assert!(open_for_update(&link).is_none(), "not the quick way");
        if geteuid().is_root() {
            std::os::unix::fs::lchown(&link, Some(4321), None).unwrap();
            for access in ALL {
                let refused = refused(&link, access);
                assert!(
                    refused.starts_with("it is a link of a user who is neither"),
                    "{refused}"
                );
            }
        }
    }

    #[test]
    fn nothing_else_is_opened_or_waited_for_and_each_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        symlink(at("fifo"), at("link")).unwrap();
        symlink(at("missing"), at("dangling")).unwrap();
        for access in ALL {
            for (path, text) in [
                (at("fifo"), "it is a FIFO, not a regular file"),
                (at("link"), "it is a FIFO, not a regular file"),
                (at("socket"), "it is a socket, not a regular file"),
                (at(""), "it is a directory, not a regular file"),
                (
                    "/dev/null".into(),
                    "it is a character device, not a regular file",
                ),
            ] {
                assert_eq!(refused(&path, access), text, "{access:?}");
            }
            let dangling = refused(&at("dangling"), access);
            assert!(
                dangling.starts_with("it is a link to a missing file: "),
                "{dangling}"
            );
            let missing = refused(&at("missing"), access);
            assert!(missing.starts_with("it cannot be opened: "), "{missing}");
        }
        for name in ["fifo", "link", "socket", "", "dangling", "missing"] {
            assert!(open_for_update(&at(name)).is_none(), "{name}");
        }
        assert!(open_for_update(Path::new("/dev/null")).is_none());
        assert!(open_for_update(Path::new("/dev/zero")).is_none());
    }
}
