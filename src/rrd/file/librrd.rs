//! The binding to librrd: updates and information of files that are not plain, and for tests what
//! librrd makes of all others.
//!
//! The only `unsafe` on the way to round-robin files. No rule of when or what to write is here.
//!
//! Threads: librrd keeps nothing between these calls but its error text, and that per thread, as none
//! of them takes an at-style time. librrd locks a file while it writes it and does not wait for a
//! lock: an update of a file that another process has locked fails.
//!
//! librrd trusts whatever a file contains, so it is given only files that [`crate::file::sound`] has
//! examined.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_ulong};
use std::ptr;

use nix::errno::Errno;

use crate::file::about::exponent;
use crate::file::error::{FileError, Refusal};
use crate::file::sound::{Solid, Sound};

/// What librrd asks GLib for, to read a template: the order in which an update has its values. No update
/// here has one (below, it is null), so none of them is ever called, and GLib need not be there.
#[cfg(all(without_glib, not(test)))]
mod no_glib {
    use std::process::abort;

    #[unsafe(no_mangle)]
    extern "C" fn g_tree_new_full() {
        abort();
    }

    #[unsafe(no_mangle)]
    extern "C" fn g_tree_insert() {
        abort();
    }

    #[unsafe(no_mangle)]
    extern "C" fn g_tree_lookup() {
        abort();
    }
}

// The tests also create files by librrd, which needs GLib.
#[cfg(test)]
#[link(name = "gmetad_rrd_tests")]
unsafe extern "C" {}

/// Writes samples into a file: each `TIME:VALUE[:VALUE…]`, in order of time.
///
/// Where one is refused, those before it are written and those after it are not.
pub(crate) fn update(file: Solid<'_>, samples: &[&CStr]) -> Result<(), FileError> {
    // One sample is the common case, and needs no list of pointers on the heap.
    if let [sample] = samples {
        return update_pointers(file, &mut [sample.as_ptr()]);
    }
    let mut pointers: Vec<*const c_char> = samples.iter().map(|sample| sample.as_ptr()).collect();
    update_pointers(file, &mut pointers)
}

fn update_pointers(file: Solid<'_>, samples: &mut [*const c_char]) -> Result<(), FileError> {
    let count = c_int::try_from(samples.len()).unwrap_or(c_int::MAX);
    // SAFETY: the path and every sample are NUL-terminated and live through the call; `count` is
    // at most the number of pointers; librrd copies what it keeps and writes to none of them; no
    // template is null, which is allowed.
    let status = unsafe {
        forget_errors();
        rrd_sys::rrd_update_r(
            file.path().as_ptr(),
            ptr::null(),
            count,
            samples.as_mut_ptr(),
        )
    };
    if status == 0 {
        return Ok(());
    }
    let refusal = last_error();
    // Another process was writing the file, so the same call may work next time.
    if refusal.to_string().contains("could not lock") {
        return Err(FileError::Locked);
    }
    Err(refusal.into())
}

/// What the file says of itself, as rrdcached does: key, number of the type, value.
pub(crate) fn info_lines(file: Sound<'_>) -> Result<Vec<String>, Refusal> {
    let mut lines = Vec::new();
    each_entry(file, |key, value| {
        let key = key.to_string_lossy();
        lines.push(match value {
            InfoValue::Number(value) => format!("{key} 0 {}", exponent(*value, 10)),
            InfoValue::Count(value) => format!("{key} 1 {value}"),
            InfoValue::Text(value) => format!("{key} 2 {value}"),
            InfoValue::Integer(value) => format!("{key} 3 {value}"),
        });
    })?;
    Ok(lines)
}

/// What an entry of a file's information holds.
enum InfoValue {
    Number(f64),
    Count(c_ulong),
    Text(String),
    Integer(i32),
}

/// Goes through what a file says of itself.
fn each_entry(file: Sound<'_>, mut take: impl FnMut(&CStr, &InfoValue)) -> Result<(), Refusal> {
    // SAFETY: the path is NUL-terminated and lives through the call.
    let info = unsafe {
        forget_errors();
        rrd_sys::rrd_info_r(file.path().as_ptr())
    };
    if info.is_null() {
        return Err(last_error());
    }
    let mut next = info;
    while !next.is_null() {
        // SAFETY: `next` is not null, and is an entry of the list that librrd has returned, which
        // is whole until it is freed below.
        let entry = unsafe { &*next };
        // SAFETY: the type says which part of the union is filled in; librrd terminates strings
        // with a NUL.
        let value = unsafe {
            match entry.type_ {
                rrd_sys::rrd_info_type_RD_I_VAL => Some(InfoValue::Number(entry.value.u_val)),
                rrd_sys::rrd_info_type_RD_I_CNT => Some(InfoValue::Count(entry.value.u_cnt)),
                rrd_sys::rrd_info_type_RD_I_STR => {
                    Some(InfoValue::Text(text_of(entry.value.u_str)))
                }
                rrd_sys::rrd_info_type_RD_I_INT => Some(InfoValue::Integer(entry.value.u_int)),
                _ => None,
            }
        };
        if let Some(value) = value {
            // SAFETY: keys are strings that librrd terminates with a NUL.
            take(unsafe { CStr::from_ptr(entry.key) }, &value);
        }
        next = entry.next;
    }
    // SAFETY: `info` is the head of that list, freed once; nothing borrowed from it is left.
    unsafe { rrd_sys::rrd_info_free(info) };
    Ok(())
}

/// Clears errors of earlier calls, so that the next error is of the next call.
fn forget_errors() {
    Errno::clear();
    // SAFETY: it takes nothing, and changes this thread's own text alone.
    unsafe { rrd_sys::rrd_clear_error() };
}

fn last_error() -> Refusal {
    let reason = Errno::last();
    // SAFETY: librrd returns its thread's own buffer, always terminated; it is copied before
    // another call can change it.
    let text = unsafe { text_of(rrd_sys::rrd_get_error()) };
    // librrd gives none where a write fails; errno has the reason then.
    if text.is_empty() {
        return Refusal::new(match reason {
            reason if reason == Errno::from_raw(0) => "librrd gives no reason",
            reason => reason.desc(),
        });
    }
    Refusal::new(text)
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

/// What librrd does with files that are plain, for tests that hold ours against it.
#[cfg(test)]
pub(crate) mod reference {
    use std::ffi::{CString, c_long, c_void};

    use super::*;
    use crate::file::fetch::Rows;

    // rrd-sys says that a time has eight bytes. It is a long where librrd was built with a time_t that
    // is one, which four bytes are on i686.
    unsafe extern "C" {
        fn rrd_create_r2(
            path: *const c_char,
            step: c_ulong,
            last_update: c_long,
            no_overwrite: c_int,
            sources: *mut *const c_char,
            template: *const c_char,
            count: c_int,
            definitions: *mut *const c_char,
        ) -> c_int;
        fn rrd_last_r(path: *const c_char) -> c_long;
        fn rrd_first_r(path: *const c_char, archive: c_int) -> c_long;
        fn rrd_fetch_r(
            path: *const c_char,
            function: *const c_char,
            start: *mut c_long,
            end: *mut c_long,
            step: *mut c_ulong,
            count: *mut c_ulong,
            names: *mut *mut *mut c_char,
            data: *mut *mut f64,
        ) -> c_int;
        fn rrd_freemem(memory: *mut c_void);
    }

    /// A number of librrd's, which is a long to it.
    fn wide<T: TryInto<i64>>(number: T) -> i64 {
        number.try_into().unwrap_or(i64::MAX)
    }

    /// A time as librrd takes it.
    fn narrow<T: TryInto<c_long>>(time: T) -> Option<c_long> {
        time.try_into().ok()
    }

    /// Creates a file that takes samples from after `start` on, with these definitions of data
    /// sources and archives; an existing one is left alone.
    pub(crate) fn create(
        path: &CStr,
        step_secs: u32,
        start: u32,
        definitions: &[CString],
    ) -> Result<(), Refusal> {
        let mut pointers: Vec<*const c_char> = definitions.iter().map(|it| it.as_ptr()).collect();
        let count = c_int::try_from(pointers.len()).unwrap_or(c_int::MAX);
        let no_overwrite = 1;
        // SAFETY: as in `update_pointers`; neither sources nor a template are null, which is allowed.
        let status = unsafe {
            forget_errors();
            rrd_create_r2(
                path.as_ptr(),
                c_ulong::from(step_secs),
                narrow(start).expect("a time of today"),
                no_overwrite,
                ptr::null_mut(),
                ptr::null(),
                count,
                pointers.as_mut_ptr(),
            )
        };
        if status == 0 {
            Ok(())
        } else {
            Err(last_error())
        }
    }

    /// When the file was last updated, in seconds since the epoch.
    pub(crate) fn last_update(file: Sound<'_>) -> Result<i64, Refusal> {
        // SAFETY: the path is NUL-terminated and lives through the call.
        let last = unsafe {
            forget_errors();
            rrd_last_r(file.path().as_ptr())
        };
        if last == -1 {
            return Err(last_error());
        }
        Ok(wide(last))
    }

    /// Time of an archive's first value, in seconds since the epoch.
    pub(crate) fn first(file: Sound<'_>, archive: u32) -> Result<i64, Refusal> {
        let archive = c_int::try_from(archive).unwrap_or(c_int::MAX);
        // SAFETY: the path is NUL-terminated and lives through the call.
        let first = unsafe {
            forget_errors();
            rrd_first_r(file.path().as_ptr(), archive)
        };
        if first == -1 {
            return Err(last_error());
        }
        Ok(wide(first))
    }

    /// What the archive of that function has for that time that is best for rows of so many seconds; an
    /// error where that would be more rows than `limit`.
    pub(crate) fn fetch(
        file: Sound<'_>,
        function: &str,
        (start, end): (i64, i64),
        step: u32,
        limit: u64,
    ) -> Result<Rows, Refusal> {
        let fetched = Fetched::of(file, function, (start, end), step)?;
        let rows = fetched.rows();
        if rows > limit {
            return Err(Refusal::new(format!("{rows} rows are more than {limit}")));
        }
        Ok(Rows {
            start: fetched.start as u64,
            end: fetched.end as u64,
            step: fetched.step as u64,
            names: fetched.names(),
            values: fetched.values(rows),
        })
    }

    /// What librrd has fetched, in its own memory until this is dropped.
    struct Fetched {
        start: i64,
        end: i64,
        /// At least 1.
        step: i64,
        columns: usize,
        /// So many pointers to texts, each text and the list allocated by librrd.
        names: *mut *mut c_char,
        /// As many values for each row, allocated by librrd.
        data: *mut f64,
    }

    impl Fetched {
        fn of(
            file: Sound<'_>,
            function: &str,
            (from, to): (i64, i64),
            step: u32,
        ) -> Result<Fetched, Refusal> {
            let (Some(mut from), Some(mut to)) = (narrow(from), narrow(to)) else {
                return Err(Refusal::new("no such time"));
            };
            let function = CString::new(function).unwrap_or_default();
            let (mut step, mut count) = (c_ulong::from(step), 0);
            let mut names = ptr::null_mut();
            let mut data = ptr::null_mut();
            // SAFETY: path and function are NUL-terminated and live through the call, and the others are
            // variables of the types that librrd fills in.
            let status = unsafe {
                forget_errors();
                rrd_fetch_r(
                    file.path().as_ptr(),
                    function.as_ptr(),
                    &raw mut from,
                    &raw mut to,
                    &raw mut step,
                    &raw mut count,
                    &raw mut names,
                    &raw mut data,
                )
            };
            if status != 0 {
                return Err(last_error());
            }
            Ok(Fetched {
                start: wide(from),
                end: wide(to),
                step: wide(step).max(1),
                columns: count as usize,
                names,
                data,
            })
        }

        fn rows(&self) -> u64 {
            u64::try_from((self.end - self.start) / self.step).unwrap_or(0)
        }

        fn name_pointers(&self) -> &[*mut c_char] {
            if self.columns == 0 {
                return &[];
            }
            // SAFETY: librrd has filled in so many pointers, which live until `self` is dropped.
            unsafe { std::slice::from_raw_parts(self.names.cast_const(), self.columns) }
        }

        fn names(&self) -> Vec<String> {
            let pointers = self.name_pointers().iter();
            // SAFETY: each is a text that librrd has terminated with a NUL.
            pointers.map(|name| unsafe { text_of(*name) }).collect()
        }

        /// The values of the first so many rows, of which there are no more than `self.rows()`.
        fn values(&self, rows: u64) -> Vec<f64> {
            let length = rows.min(self.rows()) as usize * self.columns;
            if length == 0 {
                return Vec::new();
            }
            // SAFETY: librrd has filled in a value for each column of each row from `start` to `end`.
            unsafe { std::slice::from_raw_parts(self.data.cast_const(), length) }.to_vec()
        }
    }

    impl Drop for Fetched {
        fn drop(&mut self) {
            // SAFETY: librrd has allocated all of these, nothing borrowed from them is left, and each is
            // freed once, by librrd's own function.
            unsafe {
                for name in self.name_pointers() {
                    rrd_freemem(name.cast());
                }
                rrd_freemem(self.names.cast());
                rrd_freemem(self.data.cast());
            }
        }
    }
}
