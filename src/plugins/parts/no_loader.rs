//! In place of plugins in files in a gmetad that is built without them.

use std::io;
use std::path::{Path, PathBuf};

use gmetad_config::Config;
use gmetad_core::plugin::Plugin;
use thiserror::Error;

use super::Removal;

pub(super) const LEFT_OUT: Option<Removal> = Some(remove);

fn remove(config: &mut Config) {
    config.plugins_dir = None;
    config.python_host = None;
}

/// Why a file is not loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// No file is.
    #[error(
        "this gmetad was built without loadable plugins; use one that is built with the feature \
         loader"
    )]
    NotBuiltIn,
}

/// A file of which there is no plugin.
#[derive(Debug)]
pub struct LeftOut {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub reason: String,
}

/// The option of a process that tries to load a file. No such process is started.
pub const TRIAL_OPTION: &str = "--load-check";

/// Ends the process.
pub fn attempt(_files: [PathBuf; 2]) -> ! {
    eprintln!("gmetad: {}", LoadError::NotBuiltIn);
    std::process::exit(1)
}

/// No plugins: plugins_dir is removed from the configuration.
pub fn load_all(
    _config: &Config,
    _at_work: &dyn Fn(Option<&Path>),
) -> (Vec<Box<dyn Plugin>>, Vec<LeftOut>) {
    (Vec::new(), Vec::new())
}

/// Loads nothing.
pub fn load_one(_file: &Path, _config: &Config) -> Result<Box<dyn Plugin>, LoadError> {
    Err(LoadError::NotBuiltIn)
}

/// No files.
pub fn files_in(_folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(Vec::new())
}

/// There is nothing to watch.
pub fn watch() {}

/// The daemon ends, as nobody else can end it.
pub fn end_is_asked() {}
