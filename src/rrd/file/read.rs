//! What a file says of itself, as far as its writer wants to know.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::file::about::Header;
use crate::file::as_path;
use crate::file::error::FileError;
use crate::file::layout::{self, RRA_DEF, RRA_PAR, RRA_ROWS, RRA_STEPS};
use crate::file::open::{Access, OpenError, open};
use crate::file::samples::Kind;
use crate::file::sound::{self, Unsound};

/// Archives of a file that are read; gmetad's own files have few.
const ARCHIVES: usize = 64;

/// Whether there is anything of that name; what cannot be told counts as there.
pub(crate) fn exists(path: &CStr) -> bool {
    !matches!(fs::symlink_metadata(as_path(path)), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// When the file was last updated, in seconds since the epoch.
pub(crate) fn last_update(path: &CStr) -> Result<i64, FileError> {
    Ok(Header::read(path)?.last_update())
}

/// What the file's first data source stores of a value, where that can be told.
pub(crate) fn source_kind(path: &CStr) -> Option<Kind> {
    let header = Header::read(path).ok()?;
    Kind::named(header.kinds().next()?)
}

/// What is wrong with the file itself, if anything is.
pub(crate) fn damage(path: &CStr) -> Option<Unsound> {
    let unsound = sound::header_of(path).err()?;
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
    let path = CString::new(file.as_os_str().as_bytes()).ok()?;
    let (shape, header) = sound::header_of(&path).ok()?;
    if shape.archives > ARCHIVES {
        return None;
    }
    let defs = &header[shape.rra_def(0)..shape.rra_def(shape.archives)];
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
