//! What a file says of itself, as far as its writer wants to know.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::file::error::FileError;
use crate::file::layout::{self, RRA_DEF, RRA_PAR, RRA_ROWS, RRA_STEPS, STAT_HEAD, Shape};
use crate::file::open::{Access, OpenError, open};
use crate::file::samples::Kind;
use crate::file::sound::{self, Unsound};
use crate::file::{as_path, librrd};

/// Archives of a file that are read; gmetad's own files have few.
const ARCHIVES: usize = 64;

/// Whether there is anything of that name; what cannot be told counts as there.
pub(crate) fn exists(path: &CStr) -> bool {
    !matches!(fs::symlink_metadata(as_path(path)), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// When the file was last updated, in seconds since the epoch.
pub(crate) fn last_update(path: &CStr) -> Result<i64, FileError> {
    Ok(librrd::last_update(sound::examine(path)?)?)
}

/// What the file's first data source stores of a value, where that can be told.
pub(crate) fn source_kind(path: &CStr) -> Option<Kind> {
    let sources = librrd::data_sources(sound::examine(path).ok()?).ok()?;
    Kind::named(&sources.first()?.kind)
}

/// What is wrong with the file itself, if anything is.
pub(crate) fn damage(path: &CStr) -> Option<Unsound> {
    let unsound = sound::examine(path).err()?;
    (!matches!(unsound, Unsound::System { .. })).then_some(unsound)
}

/// Why the file cannot even be opened for writing, if it cannot.
pub(crate) fn why_not_writable(path: &CStr) -> Option<FileError> {
    let error = open(as_path(path), Access::Write).err()?;
    Some(match error {
        OpenError::System { cause, .. } => FileError::System {
            what: "it cannot be opened for writing",
            cause,
        },
        error @ OpenError::NotRegular(_) => Unsound::from(error).into(),
    })
}

/// An archive, as its definition has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rra {
    /// What consolidates its values: `AVERAGE`, `MAX`.
    pub(crate) function: String,
    /// Steps that a row sums up.
    pub(crate) steps: u64,
    pub(crate) rows: u64,
}

/// A file's archives, each with the share of its steps that may be unknown. Its header alone is
/// read, and librrd is not asked; `None` where that tells nothing, as of a damaged file.
pub(crate) fn rras(file: &Path) -> Option<Vec<(Rra, f64)>> {
    if !layout::IS_OURS {
        return None;
    }
    let path = CString::new(file.as_os_str().as_bytes()).ok()?;
    sound::examine(&path).ok()?;
    let (file, _) = open(file, Access::Read).ok()?;
    let mut head = [0; STAT_HEAD];
    file.read_exact_at(&mut head, 0).ok()?;
    let shape = Shape::of(&head).ok()?;
    if shape.archives > ARCHIVES {
        return None;
    }
    let mut defs = vec![0; shape.archives * RRA_DEF];
    file.read_exact_at(&mut defs, shape.rra_def(0) as u64)
        .ok()?;
    let rras = defs.chunks_exact(RRA_DEF).map(|def| {
        let function = String::from_utf8_lossy(layout::text(&def[..layout::NAME]));
        let is_name = function.bytes().all(|byte| byte.is_ascii_uppercase());
        let rra = Rra {
            function: function.into_owned(),
            steps: layout::whole(def, RRA_STEPS),
            rows: layout::whole(def, RRA_ROWS),
        };
        is_name.then(|| (rra, layout::float(def, RRA_PAR)))
    });
    rras.collect()
}
