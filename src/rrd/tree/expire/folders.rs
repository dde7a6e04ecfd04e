//! What is in the folders below the root, without following links.

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};

/// What a round-robin file begins with.
const MAGIC: [u8; 4] = *b"RRD\0";

/// Opens a folder in another; a link to a folder is refused.
pub(super) fn open_folder(parent: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// Names of folders in a folder; links are none.
pub(super) fn folders(parent: &OwnedFd) -> Result<VecDeque<CString>, Errno> {
    let is_folder = |(name, kind): &(CString, Option<Type>)| match kind {
        Some(kind) => *kind == Type::Directory,
        None => stat(parent, name).is_some_and(|stat| is(&stat, SFlag::S_IFDIR)),
    };
    let all = entries(parent)?.filter(is_folder);
    Ok(all.map(|(name, _)| name).collect())
}

/// What is in a folder, and of what kind it is where the file system says so.
pub(super) fn entries(
    folder: &OwnedFd,
) -> Result<impl Iterator<Item = (CString, Option<Type>)>, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dir = Dir::openat(folder, c".", flags, Mode::empty())?;
    let all = dir.into_iter().filter_map(Result::ok);
    Ok(all
        .map(|entry| (entry.file_name().to_owned(), entry.file_type()))
        .filter(|(name, _)| !matches!(name.to_bytes(), b"." | b"..")))
}

/// When a file was last written, if it is one and has a round-robin file's name.
#[allow(clippy::useless_conversion, reason = "a time may have four bytes")]
pub(super) fn written(folder: &OwnedFd, name: &CStr) -> Option<i64> {
    if !name.to_bytes().ends_with(b".rrd") {
        return None;
    }
    let stat = stat(folder, name)?;
    is(&stat, SFlag::S_IFREG).then_some(stat.st_mtime.into())
}

fn stat(folder: &OwnedFd, name: &CStr) -> Option<FileStat> {
    fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()
}

fn is(stat: &FileStat, kind: SFlag) -> bool {
    stat.st_mode & SFlag::S_IFMT.bits() == kind.bits()
}

pub(super) fn is_round_robin(folder: &OwnedFd, name: &CStr) -> bool {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let Ok(file) = openat(folder, name, flags, Mode::empty()) else {
        return false;
    };
    let mut head = [0; MAGIC.len()];
    File::from(file).read_exact(&mut head).is_ok() && head == MAGIC
}
