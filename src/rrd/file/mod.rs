//! One round-robin file: its layout, how it is made, updated and read, and whether it is sound.
//!
//! A path and samples come in. No names of clusters, hosts or metrics, nothing remembered between
//! two calls, and no clock.
//!
//! `update` takes the quick way of `plain` where it can, and `librrd` for the rest. librrd is given
//! only what `sound` has examined. `open` is the one place that opens a file.

mod arithmetic;
mod error;
mod exercise;
pub(crate) mod fetch;
pub(crate) mod heal;
mod laid_over;
pub(crate) mod layout;
pub(crate) mod librrd;
mod make;
pub(crate) mod open;
mod plain;
mod read;
mod room;
pub(crate) mod samples;
mod settle;
pub(crate) mod sound;
pub(crate) mod update;

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(crate) use error::FileError;
pub(crate) use exercise::exercise;
pub(crate) use make::{FileMaker, FileSpec, MakeError};
pub(crate) use open::{Access, open};
pub(crate) use read::{Rra, damage, exists, last_update, rras, source_kind, why_not_writable};
pub(crate) use settle::settle;
pub(crate) use update::{Patience, update};

pub(crate) fn as_path(path: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(path.to_bytes()))
}

/// Text as librrd takes it; a NUL in it, which would end it, is left out.
pub(crate) fn c_string(text: &str) -> CString {
    let bytes: Vec<u8> = text.bytes().filter(|byte| *byte != 0).collect();
    CString::new(bytes).unwrap_or_default()
}
