//! A disk that is soon full, for tests of what happens then.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::geteuid;
use tempfile::tempdir;

use super::skipped;

/// Runs the test of that name, which is ignored otherwise, where a small disk can be mounted.
pub fn with_a_small_disk(test: &str, inner: &str) {
    let folder = tempdir().expect("a temporary folder");
    let script = "mount -t tmpfs -o size=2m none \"$DISK\" || exit 77; \
                  exec \"$0\" --exact --ignored \"$INNER\" --nocapture";
    let flags = if geteuid().is_root() { "-m" } else { "-rm" };
    let outcome = Command::new("unshare")
        .args([flags, "sh", "-c", script])
        .arg(std::env::current_exe().expect("it runs"))
        .env("DISK", folder.path())
        .env("INNER", inner)
        .output();
    let Ok(outcome) = outcome else {
        return skipped(test, "unshare is not installed");
    };
    let said = String::from_utf8_lossy(&outcome.stdout).into_owned()
        + &String::from_utf8_lossy(&outcome.stderr);
    if outcome.status.code() == Some(77) || said.contains("unshare: ") {
        return skipped(test, "no filesystem can be mounted here");
    }
    assert!(
        outcome.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

/// A file that fills what is left of a disk.
pub fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("filler");
    let mut file = fs::File::create(&path).expect("the disk is ours");
    while std::io::Write::write_all(&mut file, &[7; 512]).is_ok() {}
    path
}
