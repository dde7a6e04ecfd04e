//! Disk space: whether a file has holes, and blocks for them.

use std::fs::File;
use std::io;

/// Allocates blocks for the first bytes of a file, which keep their content.
#[cfg(target_os = "linux")]
pub(crate) fn take(file: &File, bytes: u64) -> io::Result<()> {
    use nix::errno::Errno;
    use nix::fcntl::{FallocateFlags, fallocate};
    use nix::libc;
    let bytes = libc::off_t::try_from(bytes).unwrap_or(libc::off_t::MAX);
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
    lseek(file, 0, Whence::SeekHole)
        .is_ok_and(|hole| u64::try_from(hole).is_ok_and(|hole| hole < len))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn has_holes(_: &File, _: u64) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};

    use super::*;

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
