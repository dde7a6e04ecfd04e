//! Why a file is not loaded as a plugin.

use std::path::PathBuf;

use gmetad_plugin::abi;
use thiserror::Error;

/// Why a file in plugins_dir is not loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// gmetad would run another user's file.
    #[error(
        "{path} belongs to user {owner}, and gmetad runs as {user}; chown it to root, or run gmetad \
         as another user"
    )]
    Owner {
        /// The file, or the directory it is in.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who would run it.
        user: String,
    },
    /// gmetad would run a file that anyone may write.
    #[error("anyone may write to {path}, and gmetad runs as {user}; run chmod o-w {path}")]
    Writable {
        /// The file, or the directory it is in.
        path: PathBuf,
        /// Who would run it.
        user: String,
    },
    /// Another kind of file with that extension.
    #[error("it is not a shared object")]
    NotAnObject,
    /// A Python file, without the library that runs it.
    #[error(
        "it is a Python file, and the Python host is not installed; run make python-host and make \
         install-python-host, or set python_host to its path"
    )]
    NoPythonHost,
    /// The trial ended by a signal.
    #[error("it crashed when it was {step} in a trial process ({signal})")]
    Crashes {
        /// What was done with it then.
        step: &'static str,
        /// The signal's name.
        signal: String,
    },
    /// The trial ended by itself.
    #[error("it ended the trial process that {step} it ({status})")]
    Ends {
        /// What was done with it then.
        step: &'static str,
        /// How the process ended.
        status: String,
    },
    /// The trial did not end.
    #[error("it was not loaded within {0} s in a trial process")]
    Hangs(u64),
    /// dlopen(3) says why.
    #[error("it cannot be loaded: {0}")]
    Open(String),
    /// A library that is not a plugin.
    #[error("it is not a gmetad plugin: it has no function {}", abi::FACTORY)]
    NoFactory,
    /// The factory returned no plugin.
    #[error("{0}")]
    Refused(String),
    /// Built for another version of gmetad.
    #[error(
        "it is built for version {theirs} of the plugin interface, and this gmetad has version \
         {ours}; build it again with this gmetad's gmetad_plugin.h"
    )]
    OtherVersion {
        /// The plugin's.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// A table of functions that breaks a rule of the header.
    #[error("its table of functions is invalid: {0}")]
    Table(&'static str),
}
