//! Plugins in files, built in.

use std::path::PathBuf;

use gmetad_loader::Candidate;

use super::Removal;

pub use gmetad_loader::{LeftOut, LoadError, TRIAL_OPTION, files_in, load_all, load_one};

pub(super) const LEFT_OUT: Option<Removal> = None;

/// Tries to load a file with a library, and ends the process.
pub fn attempt([library, file]: [PathBuf; 2]) -> ! {
    gmetad_loader::attempt(&Candidate { library, file })
}
