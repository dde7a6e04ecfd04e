//! One round-robin file: its layout, how it is made, updated and read, and whether it is sound.
//!
//! A path and samples come in. No names of clusters, hosts or metrics, nothing remembered between
//! two calls, and no clock.
//!
//! `update` does everything but forecasts and computed data sources by `plain`, and has `librrd` for
//! the rest, if gmetad is built with it. librrd is given only what `sound` has examined. `open` is the
//! one place that opens a file.

pub(crate) mod about;
mod arithmetic;
mod create;
pub(crate) mod error;
mod exercise;
pub(crate) mod fetch;
pub(crate) mod heal;
mod laid_over;
pub(crate) mod layout;
#[cfg(feature = "librrd")]
pub(crate) mod librrd;
mod make;
pub(crate) mod open;
mod plain;
mod read;
#[cfg(feature = "librrd")]
mod room;
pub(crate) mod samples;
mod settle;
pub(crate) mod sound;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod update;

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(crate) use error::FileError;
pub(crate) use exercise::exercise;
pub(crate) use make::{FileMaker, FileSpec, MakeError};
pub(crate) use open::{Access, open};
pub(crate) use read::{Rra, damage, exists, last_update, rras, source_kind, why_not_writable};
pub(crate) use settle::settle;
#[cfg(not(feature = "librrd"))]
pub(crate) use update::NEEDS_LIBRRD;
pub(crate) use update::{Patience, update, update_in};

pub(crate) fn as_path(path: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(path.to_bytes()))
}
