//! The pid file: one per daemon, locked as long as it runs.
//!
//! Sends no signals.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use gmetad_config::other_kind;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::stat::Mode;
use nix::unistd::Uid;
use thiserror::Error;

use crate::opening;

/// How often to try again when another daemon removes the file while it is being locked.
const TRIES: usize = 10;
/// Longer than any pid with a newline.
const READ_LIMIT_BYTES: u64 = 32;

/// A pid file of this process: locked, and removed when dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: Flock<File>,
}

/// Why there is no pid file.
#[derive(Debug, Error)]
pub enum PidFileError {
    /// A live daemon has it.
    #[error(
        "gmetad is running already{}: it has the pid file {path}; end it first, or name another \
         pid file with -p", pid.map_or(String::new(), |pid| format!(", pid {pid}"))
    )]
    Held {
        /// As configured.
        path: PathBuf,
        /// What stands in it.
        pid: Option<u32>,
    },
    /// The file cannot be made, opened or locked.
    #[error(
        "pid file {path} cannot be made: {source}; make its folder writable, or name another pid \
         file with -p"
    )]
    Create {
        /// As configured.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is not ours to overwrite.
    #[error("pid file {path} is not overwritten: {reason}; remove it, or name another with -p")]
    Foreign {
        /// As configured.
        path: PathBuf,
        /// What it is.
        reason: String,
    },
    /// The file cannot be written.
    #[error("pid file {path} cannot be written: {source}")]
    Write {
        /// As configured.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl PidFile {
    /// Opens and locks the file, or says which live daemon has it. Writes no pid yet.
    ///
    /// A file that nobody has locked is stale and taken over, unless the pid in it belongs to a live
    /// process with this program's name: C gmetad does not lock its pid file. One that holds anything
    /// else than a pid, or that is neither root's nor `user`'s, is no pid file of ours.
    pub fn claim(path: &Path, user: Option<Uid>) -> Result<Self, PidFileError> {
        let create = |source| PidFileError::Create {
            path: path.into(),
            source,
        };
        let foreign = |reason| PidFileError::Foreign {
            path: path.into(),
            reason,
        };
        for _ in 0..TRIES {
            let file = open(path).map_err(create)?;
            if let Some(kind) = other_kind(&file.metadata().map_err(create)?) {
                return Err(foreign(format!("it is {kind}, not a regular file")));
            }
            if let Some(reason) = opening::foreign(&file, user).map_err(create)? {
                return Err(foreign(reason));
            }
            let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => file,
                Err((mut file, Errno::EWOULDBLOCK)) => {
                    return Err(PidFileError::Held {
                        path: path.into(),
                        pid: read(&mut file),
                    });
                }
                Err((_, errno)) => return Err(create(errno.into())),
            };
            if !is_at(&file, path) {
                // Its last owner has removed it between our opening and our locking.
                continue;
            }
            if !holds_a_pid_at_most(&mut file).map_err(create)? {
                return Err(foreign("it holds something else than a pid".into()));
            }
            let pid = read(&mut file);
            if pid.is_some_and(is_another_gmetad) {
                return Err(PidFileError::Held {
                    path: path.into(),
                    pid,
                });
            }
            return Ok(PidFile {
                path: path.into(),
                file,
            });
        }
        Err(create(io::Error::other("it keeps being removed")))
    }

    /// The pid of the live gmetad that a file names, without touching the file.
    pub fn owner(path: &Path) -> Option<u32> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(path)
            .ok()?;
        read(&mut file).filter(|pid| is_another_gmetad(*pid))
    }

    /// Writes the pid of this process.
    pub fn write(&mut self) -> Result<(), PidFileError> {
        let pid = std::process::id();
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(format!("{pid}\n").as_bytes()))
            .map_err(|source| PidFileError::Write {
                path: self.path.clone(),
                source,
            })
    }
}

impl Drop for PidFile {
    /// Removes the file. Without root's rights that fails in a folder such as /run; the file is then
    /// left empty, which nobody takes for a live daemon.
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) && fs::remove_file(&self.path).is_err() {
            let _ = self.file.set_len(0);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Nobody follows a link that somebody else has put there.
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW;
    let opened = opening::place(path)?.open(flags, Mode::from_bits_truncate(0o644));
    opened.map_err(|error| match opening::kind_at(path) {
        Some(kind) => io::Error::other(format!("it is {kind}, not a regular file")),
        None => error,
    })
}

/// Whether nothing is lost if it is overwritten.
fn holds_a_pid_at_most(file: &mut File) -> io::Result<bool> {
    let mut text = Vec::new();
    file.rewind()?;
    file.take(READ_LIMIT_BYTES).read_to_end(&mut text)?;
    let text = text.trim_ascii();
    let is_short = text.len() < READ_LIMIT_BYTES as usize;
    Ok(is_short && text.iter().all(u8::is_ascii_digit))
}

fn read(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(READ_LIMIT_BYTES).read_to_string(&mut text).ok()?;
    text.trim()
        .parse()
        .ok()
        .filter(|pid| (1..=i32::MAX as u32).contains(pid))
}

/// Whether the open file is still the one that the path names.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn is_another_gmetad(pid: u32) -> bool {
    if pid == std::process::id() {
        return false;
    }
    // As in proc_pid_stat(5): `pid (name) state …`. A zombie, as in a container whose init reaps
    // nobody, is dead.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|line| {
        line.split_once(" (gmetad) ")
            .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn it_holds_our_pid_until_it_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pid");
        let mut pid_file = PidFile::claim(&path, None).expect("claimed");
        pid_file.write().expect("written");
        let text = fs::read_to_string(&path).expect("read");
        assert_eq!(text, format!("{}\n", std::process::id()));
        drop(pid_file);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_one_is_taken_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pid");
        // A pid that no process has, one that another program has, an empty file.
        for stale in ["4194304000\n", "1\n", ""] {
            fs::write(&path, stale).expect("written");
            let mut pid_file = PidFile::claim(&path, None).expect(stale);
            pid_file.write().expect("written");
            let text = fs::read_to_string(&path).expect("read");
            assert_eq!(text, format!("{}\n", std::process::id()));
        }
    }

    #[test]
    fn a_file_that_holds_anything_else_is_not_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pid");
        for text in [
            "precious\n",
            "12 34\n",
            "123456789012345678901234567890123",
            "-1\n",
        ] {
            fs::write(&path, text).expect("written");
            let error = PidFile::claim(&path, None)
                .expect_err("refused")
                .to_string();
            assert!(
                error.contains("it holds something else than a pid"),
                "{error}"
            );
            assert_eq!(fs::read_to_string(&path).expect("read"), text);
        }
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pid");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).expect("made");
        let error = PidFile::claim(&path, None)
            .expect_err("refused")
            .to_string();
        assert!(
            error.contains("it is a FIFO, not a regular file"),
            "{error}"
        );
        let error = PidFile::claim(folder.path(), None)
            .expect_err("refused")
            .to_string();
        assert!(
            error.contains("it is a directory, not a regular file"),
            "{error}"
        );
    }

    #[test]
    fn a_live_one_is_refused_with_its_pid() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pid");
        let mut first = PidFile::claim(&path, None).expect("claimed");
        first.write().expect("written");
        let error = PidFile::claim(&path, None).expect_err("held");
        let message = error.to_string();
        assert!(matches!(error, PidFileError::Held { .. }), "{message}");
        assert!(
            message.contains(&format!("pid {}", std::process::id())),
            "{message}"
        );
        assert!(message.contains(path.to_str().expect("text")), "{message}");
    }

    #[test]
    fn a_file_put_in_its_place_is_not_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pid");
        let pid_file = PidFile::claim(&path, None).expect("claimed");
        fs::remove_file(&path).expect("removed");
        fs::write(&path, "someone else's").expect("written");
        drop(pid_file);
        assert_eq!(fs::read_to_string(&path).expect("read"), "someone else's");
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, target) = (folder.path().join("pid"), folder.path().join("target"));
        fs::write(&target, "precious").expect("written");
        symlink(&target, &path).expect("linked");
        assert!(matches!(
            PidFile::claim(&path, None),
            Err(PidFileError::Create { .. })
        ));
        assert_eq!(fs::read_to_string(&target).expect("read"), "precious");
    }

    #[test]
    fn a_folder_that_does_not_exist_is_named() {
        let error = PidFile::claim(Path::new("/nowhere/at/all"), None).expect_err("no folder");
        assert!(
            error
                .to_string()
                .starts_with("pid file /nowhere/at/all cannot be made: ")
        );
    }
}
