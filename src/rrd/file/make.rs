//! A new file: its data sources and archives, its permissions, and room for it on the disk.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::file::librrd::{self, RrdError};
use crate::file::samples::Kind;
use crate::file::{as_path, c_string, room};
use gmetad_config::Config;

/// A value is unknown when nothing came for this many steps.
const HEARTBEAT_STEPS: u32 = 8;

/// What librrd gives to every file it creates, whatever the umask.
const LIBRRD_MODE: u32 = 0o644;

/// What a file is to be, if it is to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileSpec {
    /// Seconds between two values.
    pub(crate) step_secs: u32,
    /// What is stored of a value or a sum.
    pub(crate) kind: Kind,
    /// Whether there is a second data source, for how many were summed.
    pub(crate) with_num: bool,
}

/// Why a file was not made.
#[derive(Debug)]
pub(crate) enum MakeError {
    /// The folder takes no file of that size.
    Folder(io::Error),
    /// The folder does, and librrd refuses: nearly always the archives' definitions.
    Librrd(RrdError),
    /// The file is there, with the permissions that librrd gives.
    Permissions(io::Error),
}

/// Makes files with the archives and the permissions that are configured.
#[derive(Debug)]
pub(crate) struct FileMaker {
    archives: Vec<CString>,
    mode: u32,
}

impl FileMaker {
    pub(crate) fn new(config: &Config) -> FileMaker {
        FileMaker {
            archives: config.rrd.rras.iter().map(|rra| c_string(rra)).collect(),
            mode: 0o666 & !config.umask,
        }
    }

    /// Makes a file whose first sample is to be of that time, in a folder that is there.
    pub(crate) fn make(&self, path: &CStr, spec: FileSpec, first: u32) -> Result<(), MakeError> {
        let start = i64::from(first) - 1;
        let definitions = self.definitions(spec);
        if let Err(error) = librrd::create(path, spec.step_secs, start, &definitions) {
            // librrd gives no reason, or a wrong one.
            let folder = as_path(path).parent().unwrap_or(Path::new("/"));
            let refusal = room::refusal(folder, room::needed(&definitions));
            return Err(refusal.map_or(MakeError::Librrd(error), MakeError::Folder));
        }
        if self.mode != LIBRRD_MODE {
            let mode = fs::Permissions::from_mode(self.mode);
            fs::set_permissions(as_path(path), mode).map_err(MakeError::Permissions)?;
        }
        Ok(())
    }

    fn definitions(&self, spec: FileSpec) -> Vec<CString> {
        let source = |name: &str, kind: Kind| {
            let heartbeat = spec.step_secs.saturating_mul(HEARTBEAT_STEPS);
            c_string(&format!("DS:{name}:{}:{heartbeat}:U:U", kind.name()))
        };
        let mut definitions = vec![source("sum", spec.kind)];
        if spec.with_num {
            definitions.push(source("num", Kind::Gauge));
        }
        definitions.extend_from_slice(&self.archives);
        definitions
    }
}
