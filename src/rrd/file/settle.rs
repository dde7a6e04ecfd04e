//! Has the system give what was written below a root to the disk.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Waits until everything that was written below the root would survive a loss of power, also in those of
/// its folders that are links to, or mounts of, another disk.
pub(crate) fn settle(root: &Path) -> io::Result<()> {
    let mut settled = BTreeSet::new();
    let folder = File::open(root)?;
    settled.insert(folder.metadata()?.dev());
    disk_of(&folder)?;
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        // What is gone, or leads nowhere, has nothing that was written.
        let Ok(about) = fs::metadata(&path) else {
            continue;
        };
        if about.is_dir() && settled.insert(about.dev()) {
            disk_of(&File::open(&path)?)?;
        }
    }
    Ok(())
}

/// Waits for the whole disk that a folder is on: one call, where a file has one of its own for each.
#[cfg(target_os = "linux")]
fn disk_of(folder: &File) -> io::Result<()> {
    Ok(nix::unistd::syncfs(folder)?)
}

#[cfg(not(target_os = "linux"))]
fn disk_of(_: &File) -> io::Result<()> {
    Err(io::Error::other(
        "this system has no call that waits for a whole disk",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_settled_and_one_that_is_missing_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("c")).unwrap();
        fs::write(folder.path().join("f"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("l")).unwrap();
        assert_eq!(settle(folder.path()).is_ok(), cfg!(target_os = "linux"));
        assert!(settle(&folder.path().join("missing")).is_err());
    }
}
