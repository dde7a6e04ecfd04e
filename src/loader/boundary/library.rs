//! Shared objects mapped into this process, and the functions that they export.

use std::path::Path;

use gmetad_plugin::abi;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::error::LoadError;

/// Maps a library, whose constructors run.
fn open(library: &Path) -> Result<Library, LoadError> {
    let flags = RTLD_NOW | RTLD_LOCAL;
    // SAFETY: nobody can know what the object's constructors do. Whoever configures gmetad trusts
    // the files of this directory with the process; the file's owner and mode were checked, and
    // loading it went well in another process.
    let opened = unsafe { Library::open(Some(library), flags) };
    opened.map_err(|error| LoadError::Open(reason_of(&error)))
}

/// Finds the factory of a library.
pub(super) fn factory_of(library: &Path) -> Result<abi::Factory, LoadError> {
    let opened = open(library)?;
    // SAFETY: by all versions of the header, the symbol is a function of this type.
    let factory = unsafe { opened.get::<abi::Factory>(abi::FACTORY.as_bytes()) };
    let factory = *factory.map_err(|_| LoadError::NoFactory)?;
    // Never unmapped: the plugin's threads, handlers and thread-locals may live on.
    std::mem::forget(opened);
    Ok(factory)
}

/// dlerror's text, without the library's own words.
fn reason_of(error: &libloading::Error) -> String {
    match error {
        libloading::Error::DlOpen { source, .. } => format!("{source}"),
        other => other.to_string(),
    }
}

/// The function by which the Python host tries a file out. It has the factory's type, and returns
/// nothing.
pub(super) fn try_of(library: &Path) -> Result<abi::Factory, LoadError> {
    let opened = open(library)?;
    // SAFETY: the Python host, the only library with this symbol, declares it with this type.
    let try_out = unsafe { opened.get::<abi::Factory>(abi::TRY.as_bytes()) };
    let try_out = *try_out.map_err(|_| LoadError::NoFactory)?;
    // Never unmapped: Python is not.
    std::mem::forget(opened);
    Ok(try_out)
}
