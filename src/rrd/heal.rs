//! Heals the files of a root, one after the other: see [`crate::file::heal`].
//!
//! Not while a gmetad runs on them, which the caller sees to: it would not know of it.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::file::heal::{Healing, heal};
use crate::journal;

/// How many files were found how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Healed {
    /// Files that were ahead, and take values again.
    pub healed: u64,
    /// By how many seconds the worst of them was ahead.
    pub most_ahead_secs: u64,
    /// Files that were not ahead.
    pub sound: u64,
    /// Files and folders that stay as they are, each of which was told.
    pub failed: u64,
    /// Values that were taken out of the journal.
    pub journaled: u64,
}

impl Healed {
    /// Cuts what is ahead of `now` from a file, or from all round-robin files in a folder and below.
    /// Links in a folder are passed over. `tell` gets each name with what is wrong.
    pub fn add(&mut self, place: &Path, now: u32, tell: &mut dyn FnMut(&Path, String)) {
        match fs::metadata(place) {
            Ok(about) if about.is_dir() => {
                if let Err(error) = self.add_folder(place, now, tell) {
                    self.failed += 1;
                    tell(place, error.to_string());
                }
            }
            Ok(_) => self.add_file(place, now, tell),
            Err(error) => {
                self.failed += 1;
                tell(place, error.to_string());
            }
        }
    }

    /// Takes out of the journal in a folder what is ahead of `now`: the next start would write it to the
    /// files.
    pub fn add_journal(&mut self, folder: &Path, now: u32, tell: &mut dyn FnMut(&Path, String)) {
        match journal::heal(folder, now) {
            Ok(ahead) => {
                self.journaled += ahead.samples;
                self.most_ahead_secs = self.most_ahead_secs.max(ahead.most_secs);
            }
            Err(error) => {
                self.failed += 1;
                tell(folder, error.to_string());
            }
        }
    }

    fn add_folder(
        &mut self,
        folder: &Path,
        now: u32,
        tell: &mut dyn FnMut(&Path, String),
    ) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() {
                self.add(&path, now, tell);
            } else if kind.is_file() && path.extension().is_some_and(|it| it == "rrd") {
                self.add_file(&path, now, tell);
            }
        }
        Ok(())
    }

    fn add_file(&mut self, file: &Path, now: u32, tell: &mut dyn FnMut(&Path, String)) {
        // A name that the system has given holds no NUL.
        let path = CString::new(file.as_os_str().as_bytes()).unwrap_or_default();
        match heal(&path, now) {
            Ok(Healing::NotNeeded) => self.sound += 1,
            Ok(Healing::Healed(ahead)) => {
                self.healed += 1;
                self.most_ahead_secs = self.most_ahead_secs.max(ahead);
            }
            Err(reason) => {
                self.failed += 1;
                tell(file, reason.to_string());
            }
        }
    }
}
