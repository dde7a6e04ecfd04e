//! Creates missing files, and their folders, for a limited time in each update.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::file::{FileMaker, FileSpec, MakeError, as_path};
use crate::writer::failure::Failure;
use gmetad_config::Config;

/// Time for creating files in one update; the next update creates the rest. Existing files are not
/// written meanwhile, and a heartbeat is four times as long.
pub(super) const CREATE_WITHIN: Duration = Duration::from_secs(30);

/// Creates files.
#[derive(Debug)]
pub(super) struct Creation {
    maker: FileMaker,
    /// What is left of this update's time.
    pub(super) left: Duration,
    /// The folder that took no new file in this update, and why: its other files are not tried.
    refusing: Option<(PathBuf, i32)>,
}

impl Creation {
    pub(super) fn new(config: &Config) -> Creation {
        Creation {
            maker: FileMaker::new(config),
            left: CREATE_WITHIN,
            refusing: None,
        }
    }

    /// An update begins.
    pub(super) fn begin(&mut self) {
        self.left = CREATE_WITHIN;
        self.refusing = None;
    }

    /// Creates a file whose first sample is to be of that time.
    pub(super) fn create(
        &mut self,
        path: &CStr,
        spec: FileSpec,
        first: u32,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        let created = self.create_now(path, spec, first);
        self.left = self.left.saturating_sub(begun.elapsed());
        created
    }

    fn create_now(&mut self, path: &CStr, spec: FileSpec, first: u32) -> Result<(), Failure> {
        let folder = as_path(path).parent().unwrap_or(Path::new("/"));
        if let Some((refusing, cause)) = &self.refusing
            && refusing == folder
        {
            let cause = io::Error::from_raw_os_error(*cause);
            return Err(Failure::of_folder(folder, cause));
        }
        if !folder.is_dir() {
            fs::create_dir_all(folder).map_err(|cause| self.refused(folder, cause))?;
        }
        self.maker
            .make(path, spec, first)
            .map_err(|error| match error {
                MakeError::Folder(cause) => self.refused(folder, cause),
                MakeError::Archives(error) => Failure::NotCreated(error),
            })
    }

    /// A folder took no new file.
    fn refused(&mut self, folder: &Path, cause: io::Error) -> Failure {
        self.refusing = cause.raw_os_error().map(|cause| (folder.into(), cause));
        Failure::of_folder(folder, cause)
    }
}
