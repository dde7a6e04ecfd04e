//! Plugins in files, built in.

use std::path::PathBuf;

use gmetad_loader::Candidate;

use super::Removal;
use crate::logging;

pub use gmetad_loader::{
    LeftOut, LoadError, TRIAL_OPTION, end_is_asked, files_in, load_all, load_one,
};

pub(super) const LEFT_OUT: Option<Removal> = None;

/// Tries to load a file with a library, and ends the process.
pub fn attempt([library, file]: [PathBuf; 2]) -> ! {
    gmetad_loader::attempt(&Candidate { library, file })
}

/// From now on a plugin that ends the process is named in the log.
pub fn watch() {
    gmetad_loader::watch(gmetad_loader::LastWords {
        say: logging::last_words,
        flush: logging::flush,
    });
}
