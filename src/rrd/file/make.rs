//! A new file: its data sources and archives, its permissions, and its place in a folder.

use std::ffi::{CStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::file::as_path;
use crate::file::create::{NewArchive, NewFile, NewSource, unknown};
use crate::file::error::Refusal;
use crate::file::samples::Kind;
use gmetad_config::Config;

/// A value is unknown when nothing came for this many steps.
const HEARTBEAT_STEPS: u32 = 8;

/// Unknown values written at a time.
const AT_A_TIME: u64 = 8 << 10;

/// Names that are tried for a file that is not whole yet: one may be left by a process that was killed.
const NAMES: u32 = 100;

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
    /// The folder takes no file of that size or name.
    Folder(io::Error),
    /// The archives' definitions are wrong.
    Archives(Refusal),
}

/// Makes files with the archives and the permissions that are configured.
#[derive(Debug)]
pub(crate) struct FileMaker {
    archives: Vec<String>,
    mode: u32,
}

impl FileMaker {
    pub(crate) fn new(config: &Config) -> FileMaker {
        FileMaker {
            archives: config.rrd.rras.clone(),
            mode: 0o666 & !config.umask,
        }
    }

    /// Makes a file whose first sample is to be of that time, in a folder that is there.
    pub(crate) fn make(&self, path: &CStr, spec: FileSpec, first: u32) -> Result<(), MakeError> {
        let heartbeat = spec.step_secs.saturating_mul(HEARTBEAT_STEPS);
        let source = |name, kind: Kind| NewSource {
            name,
            kind: kind.name(),
            heartbeat_secs: heartbeat.into(),
            min: UNLIMITED,
            max: UNLIMITED,
        };
        let mut sources = vec![source("sum", spec.kind)];
        if spec.with_num {
            sources.push(source("num", Kind::Gauge));
        }
        let step = u64::from(spec.step_secs.max(1));
        let archives = self.archives.iter().map(|it| NewArchive::parse(it, step));
        let file = NewFile {
            step,
            start: u64::from(first).saturating_sub(1),
            sources,
            archives: archives
                .collect::<Result<_, _>>()
                .map_err(MakeError::Archives)?,
        };
        put(as_path(path), &file, self.mode).map_err(MakeError::Folder)
    }
}

/// As librrd writes that there is no limit.
pub(super) const UNLIMITED: f64 = crate::file::arithmetic::UNKNOWN;

/// Writes a new file under another name, and gives it its own when it is whole.
pub(super) fn put(path: &Path, file: &NewFile<'_>, mode: u32) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let (unfinished, out) = begin(path)?;
    let written = fill(&out, path, file, mode).and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // What is left takes room, and there may be none.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

/// Creates a file of no name that an RRD file has: six characters more, as librrd does.
fn begin(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let first = std::process::id();
    let mut nth = 0;
    loop {
        let mut name = OsString::from(path);
        name.push(format!("{:06x}", first.wrapping_add(nth) & 0xff_ffff));
        let name = PathBuf::from(name);
        match options.open(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && nth < NAMES => nth += 1,
            opened => return opened.map(|file| (name, file)),
        }
    }
}

fn fill(mut out: &File, path: &Path, file: &NewFile<'_>, mode: u32) -> io::Result<()> {
    out.write_all(&file.header(|archive, rows| row(path, archive, rows)))?;
    let mut left = file.values();
    let values = unknown(left.min(AT_A_TIME) as usize);
    while left > 0 {
        let part = left.min(AT_A_TIME) as usize * size_of::<f64>();
        out.write_all(&values[..part])?;
        left -= left.min(AT_A_TIME);
    }
    out.set_permissions(Permissions::from_mode(mode))
}

/// The row at which an archive of a file of that name begins: any, and always the same (FNV-1a).
fn row(path: &Path, archive: usize, rows: u64) -> u64 {
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    let seed = 0xcbf2_9ce4_8422_2325 ^ archive as u64;
    let hash = bytes.fold(seed, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    (hash >> 16) % rows
}
