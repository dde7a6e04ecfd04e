//! Disk space: whether a folder takes another file, and whether a file has holes.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Bytes of a file's header, roughly.
const HEADER: u64 = 4096;

/// Approximate size of a new file with these definitions of data sources and archives.
pub(crate) fn needed(definitions: &[CString]) -> u64 {
    let texts = || definitions.iter().filter_map(|it| it.to_str().ok());
    let sources = texts().filter(|it| it.starts_with("DS:")).count() as u64;
    let rows = texts()
        .filter(|it| it.starts_with("RRA:"))
        .filter_map(|it| it.rsplit(':').next()?.parse::<u64>().ok());
    let rows = rows.fold(0_u64, u64::saturating_add);
    rows.saturating_mul(8 * sources).saturating_add(HEADER)
}

/// Why a folder takes no new file of that size, if it does not. Found out by creating one.
pub(crate) fn refusal(folder: &Path, bytes: u64) -> Option<io::Error> {
    let path = folder.join(format!(".room-{}", std::process::id()));
    let mut options = OpenOptions::new();
    let tried = options
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|file| take(&file, bytes));
    // What was not made cannot be removed either.
    let _ = fs::remove_file(&path);
    tried.err()
}

/// Allocates blocks for the first bytes of a file, which keep their content.
#[cfg(target_os = "linux")]
pub(crate) fn take(file: &File, bytes: u64) -> io::Result<()> {
    use nix::errno::Errno;
    use nix::fcntl::{FallocateFlags, fallocate};
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        // A filesystem that cannot promise blocks, such as ZFS.
        Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn take(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}

/// Whether a file has holes.
#[cfg(target_os = "linux")]
pub(crate) fn has_holes(file: &File, len: u64) -> bool {
    use nix::unistd::{Whence, lseek};
    lseek(file, 0, Whence::SeekHole).is_ok_and(|hole| hole.unsigned_abs() < len)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn has_holes(_: &File, _: u64) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_needs_follows_from_its_definitions() {
        let definitions = [
            "DS:sum:GAUGE:80:U:U",
            "DS:num:GAUGE:80:U:U",
            "RRA:AVERAGE:0.5:1:100",
        ];
        let definitions = definitions.map(|it| CString::new(it).unwrap());
        assert_eq!(needed(&definitions), 1600 + HEADER);
    }

    #[test]
    fn a_folder_that_is_not_there_takes_nothing_and_one_that_is_keeps_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(refusal(folder.path(), 5000).is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let missing = refusal(&folder.path().join("no"), 5000).unwrap();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn holes_are_found_and_filled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, [7; 5000]).unwrap();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        assert!(!has_holes(&file, 5000));
        file.set_len(100_000).unwrap();
        assert!(has_holes(&file, 100_000));
        take(&file, 100_000).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!((bytes.len(), bytes[4999], bytes[5000]), (100_000, 7, 0));
    }
}
