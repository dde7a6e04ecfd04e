//! Everything that is ever done with a round-robin file, one call after the other: tests and fuzzing
//! find out with it whether damage to a file can end the process.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{librrd, plain};
use crate::file::samples::Samples;
use crate::file::sound::{self, Sound};

/// Between the samples that are written: less than a step, some steps, and a long silence.
const GAPS_SECS: [u32; 4] = [7, 20, 61, 5_000_000];

/// Rows that are fetched at most.
const ROWS: u64 = 100_000;

/// Reads and writes the file in every way; whether it was sound, and librrd was given it.
pub(crate) fn exercise(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    let Ok(file) = sound::examine(&path) else {
        return false;
    };
    let sources = librrd::data_sources(file).map_or(1, |sources| sources.len());
    let mut time = librrd::last_update(file).map_or(0, |last| u32::try_from(last).unwrap_or(0));
    for gap in GAPS_SECS {
        time = time.saturating_add(gap);
        // A computed source takes no value, so each number of them is tried.
        for values in (1..=sources).rev() {
            write(&path, time, values);
        }
    }
    read(&path);
    true
}

/// The quick way, and librrd's.
fn write(path: &CStr, time: u32, values: usize) {
    let mut samples = Samples::default();
    let text = vec!["12"; values].join(":");
    samples.push_packed(time, |all| all.extend_from_slice(text.as_bytes()));
    // An error is fine here; a crash is not.
    let _ = plain::update(path, &samples);
    samples.clear();
    samples.push_packed(time.saturating_add(1), |all| {
        all.extend_from_slice(text.as_bytes());
    });
    if let Ok(file) = sound::examine(path).and_then(Sound::without_holes) {
        let _ = samples.with(|all| librrd::update(file, all));
    }
}

fn read(path: &CStr) {
    let Ok(file) = sound::examine(path) else {
        return;
    };
    let _ = librrd::info_lines(file);
    for archive in [0, 1, 7] {
        let _ = librrd::first(file, archive);
    }
    fetch(file);
}

fn fetch(file: Sound<'_>) {
    let last = librrd::last_update(file).unwrap_or(0).max(10_000);
    for function in ["AVERAGE", "MAX", "SEASONAL"] {
        for (start, end) in [(last - 5000, last + 100), (0, 600)] {
            let _ = librrd::fetch(file, function, (start, end), 1, ROWS);
        }
    }
}
