//! The binding to librrd: create, update, and what a file says of itself.
//!
//! The only `unsafe` on the way to round-robin files. No rule of when or what to write is here.
//!
//! Threads: librrd keeps its error text per thread and nothing else between these calls, as none
//! of them takes an at-style time. The lock on a file while it is written is librrd's own, and
//! it is not waited for: a file that another process writes at that moment fails.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_ulong};
use std::ptr;

use nix::errno::Errno;
use thiserror::Error;

/// What librrd says went wrong; it nearly always names the file.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub(super) struct RrdError(String);

impl RrdError {
    /// Whether another process was writing the file, so that the same call may work next time.
    pub(super) fn is_lock(&self) -> bool {
        self.0.contains("could not lock")
    }
}

/// A data source of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DataSource {
    /// `sum`, `num`.
    pub(super) name: String,
    /// `GAUGE`, `COUNTER` and so on.
    pub(super) kind: String,
}

/// Writes samples into a file: each `TIME:VALUE[:VALUE…]`, in order of time.
///
/// Where one is refused, those before it are written and those after it are not.
pub(super) fn update(path: &CStr, samples: &[&CStr]) -> Result<(), RrdError> {
    // One sample is the common case, and needs no list of pointers on the heap.
    if let [sample] = samples {
        return update_pointers(path, &mut [sample.as_ptr()]);
    }
    let mut pointers: Vec<*const c_char> = samples.iter().map(|sample| sample.as_ptr()).collect();
    update_pointers(path, &mut pointers)
}

fn update_pointers(path: &CStr, samples: &mut [*const c_char]) -> Result<(), RrdError> {
    let count = c_int::try_from(samples.len()).unwrap_or(c_int::MAX);
    // SAFETY: the path and every sample are NUL-terminated and live through the call; `count` is
    // at most the number of pointers; librrd copies what it keeps and writes to none of them; no
    // template is null, which is allowed.
    let status = unsafe {
        rrd_sys::rrd_clear_error();
        rrd_sys::rrd_update_r(path.as_ptr(), ptr::null(), count, samples.as_mut_ptr())
    };
    if status == 0 {
        Ok(())
    } else {
        Err(last_error())
    }
}

/// Creates a file that takes samples from after `start` on, with these definitions of data
/// sources and archives; an existing one is left alone.
pub(super) fn create(
    path: &CStr,
    step_secs: u32,
    start: i64,
    definitions: &[CString],
) -> Result<(), RrdError> {
    let mut pointers: Vec<*const c_char> = definitions.iter().map(|it| it.as_ptr()).collect();
    let count = c_int::try_from(pointers.len()).unwrap_or(c_int::MAX);
    let no_overwrite = 1;
    Errno::clear();
    // SAFETY: as in `update_pointers`; neither sources nor a template are null, which is allowed.
    let status = unsafe {
        rrd_sys::rrd_clear_error();
        rrd_sys::rrd_create_r2(
            path.as_ptr(),
            c_ulong::from(step_secs),
            start,
            no_overwrite,
            ptr::null_mut(),
            ptr::null(),
            count,
            pointers.as_mut_ptr(),
        )
    };
    if status == 0 {
        return Ok(());
    }
    let reason = Errno::last();
    let RrdError(mut text) = last_error();
    // librrd does not say why a file cannot be made; what the system last said is why.
    if text.contains("temporary") && reason != Errno::from_raw(0) {
        text = format!("{text}: {}", reason.desc());
    }
    Err(RrdError(text))
}

/// When the file was last updated, in seconds since the epoch.
pub(super) fn last_update(path: &CStr) -> Result<i64, RrdError> {
    // SAFETY: the path is NUL-terminated and lives through the call.
    let last = unsafe {
        rrd_sys::rrd_clear_error();
        rrd_sys::rrd_last_r(path.as_ptr())
    };
    if last == -1 {
        return Err(last_error());
    }
    Ok(last)
}

/// The file's data sources, in order.
pub(super) fn data_sources(path: &CStr) -> Result<Vec<DataSource>, RrdError> {
    // SAFETY: the path is NUL-terminated and lives through the call.
    let info = unsafe {
        rrd_sys::rrd_clear_error();
        rrd_sys::rrd_info_r(path.as_ptr())
    };
    if info.is_null() {
        return Err(last_error());
    }
    let mut sources = Vec::new();
    let mut next = info;
    while !next.is_null() {
        // SAFETY: `next` is not null, and is an entry of the list that librrd has returned, which
        // is whole until it is freed below.
        let entry = unsafe { &*next };
        if entry.type_ == rrd_sys::rrd_info_type_RD_I_STR {
            // SAFETY: the type says that the union holds a string, and keys are strings; librrd
            // terminates both with a NUL.
            let (key, value) = unsafe { (text_of(entry.key), text_of(entry.value.u_str)) };
            let name = key
                .strip_prefix("ds[")
                .and_then(|rest| rest.strip_suffix("].type"));
            sources.extend(name.map(|name| DataSource {
                name: name.into(),
                kind: value,
            }));
        }
        next = entry.next;
    }
    // SAFETY: `info` is the head of that list, freed once; nothing borrowed from it is left.
    unsafe { rrd_sys::rrd_info_free(info) };
    Ok(sources)
}

fn last_error() -> RrdError {
    // SAFETY: librrd returns its thread's own buffer, always terminated; it is copied before
    // another call can change it.
    RrdError(unsafe { text_of(rrd_sys::rrd_get_error()) })
}

/// A copy of librrd's text; empty for none.
///
/// # Safety
/// `text` is null or points to bytes that end with a NUL.
unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and terminated, as the caller promises.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}
