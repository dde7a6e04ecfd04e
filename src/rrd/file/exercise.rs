//! Everything that is ever done with a round-robin file, one call after the other: tests and fuzzing
//! find out with it whether damage to a file can end the process.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::file::about::Header;
use crate::file::fetch::{self, Fetcher, Wish};
use crate::file::open::Place;
use crate::file::samples::Samples;
use crate::file::update::{Patience, update};
use gmetad_core::history::Consolidation;
use nix::fcntl::AT_FDCWD;

/// Between the samples that are written: less than a step, some steps, and a long silence.
const GAPS_SECS: [u32; 4] = [7, 20, 61, 5_000_000];

/// Rows that are fetched at most.
const ROWS: u64 = 100_000;

/// Reads and writes the file in every way; whether it was sound.
pub(crate) fn exercise(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    let Ok(header) = Header::read(&path) else {
        return false;
    };
    let sources = header.kinds().count();
    let mut time = u32::try_from(header.last_update()).unwrap_or(0);
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
    let _ = update(path, &samples, Patience::None);
    #[cfg(feature = "librrd")]
    {
        use crate::file::sound::{Sound, examine};
        samples.clear();
        samples.push_packed(time.saturating_add(1), |all| {
            all.extend_from_slice(text.as_bytes());
        });
        if let Ok(file) = examine(path).and_then(Sound::without_holes) {
            let _ = samples.with(|all| crate::file::librrd::update(file, all));
        }
    }
}

fn read(path: &CStr) {
    let Ok(header) = Header::read(path) else {
        return;
    };
    let _ = header.info_lines(path);
    #[cfg(feature = "librrd")]
    if let Ok(file) = crate::file::sound::examine(path) {
        let _ = crate::file::librrd::info_lines(file);
    }
    for archive in [0, 1, 7] {
        let _ = header.first(archive);
    }
    let last = header.last_update().max(10_000).unsigned_abs();
    let mut fetcher = Fetcher::default();
    for (from, until) in [(last - 5000, last.saturating_add(100)), (0, 600)] {
        for function in ["AVERAGE", "MAX", "SEASONAL"] {
            let _ = fetch::rows(path, function, (from, until), 1, ROWS);
        }
        let wish = Wish {
            from,
            until,
            step: 1,
            consolidation: Consolidation::Average,
            column: 0,
            limit: ROWS as usize,
        };
        let place = Place {
            folder: AT_FDCWD,
            below: path,
        };
        let _ = fetcher.fetch(&place, &wish, &mut Samples::default());
    }
}
