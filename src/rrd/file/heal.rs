//! Takes out of a file what is ahead of now: the work of a clock that was wrong, after which the file
//! takes nothing until that time has come.
//!
//! Knows no clock: the caller says what time it is. What has not come becomes unknown; what there was
//! before stays as it is.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;

use thiserror::Error;

use crate::file::arithmetic::{UNKNOWN, begin_pdp, begin_row};
use crate::file::layout::{
    CDP_PREP, LAST_DS, NAME, PDP_PREP, RRA_ROWS, RRA_STEPS, STAT_HEAD, Shape, VALUE, put, text,
    whole,
};
use crate::file::open::open_for_update;
use crate::file::plain::lock;
use crate::file::read::why_not_writable;
use crate::file::sound::{Unsound, header_of};
use crate::file::{FileError, as_path};

/// Unknown values written at a time.
const AT_A_TIME: usize = 8 << 10;

/// How a file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Healing {
    /// Nothing is ahead.
    NotNeeded,
    /// It was so many seconds ahead, and takes values again.
    Healed(u64),
}

/// Why a file stays as it is.
#[derive(Debug, Error)]
pub(crate) enum NotHealed {
    #[error(transparent)]
    Unsound(#[from] Unsound),
    #[error("{0}")]
    File(FileError),
    #[error("another process is writing it; end that process, and try again")]
    Locked,
    #[error("it has an archive of forecasts ({0}), which cannot be cut; restore it, or remove it")]
    Forecasts(String),
    #[error("it cannot be opened")]
    Closed,
    #[error("{what}: {cause}")]
    System {
        what: &'static str,
        cause: io::Error,
    },
}

/// Cuts what is ahead of `now` from a file.
pub(crate) fn heal(path: &CStr, now: u32) -> Result<Healing, NotHealed> {
    header_of(path)?;
    let Some((file, _)) = open_for_update(as_path(path)) else {
        return Err(why_not_writable(path).map_or(NotHealed::Closed, NotHealed::File));
    };
    lock(&file).map_err(|error| match error {
        FileError::Locked => NotHealed::Locked,
        error => NotHealed::File(error),
    })?;
    let header = read_header(&file).map_err(|cause| NotHealed::System {
        what: "it cannot be read",
        cause,
    })?;
    let shape = Shape::of(&header).map_err(Unsound::from)?;
    let last = whole(&header, shape.live());
    if last <= now.into() {
        return Ok(Healing::NotNeeded);
    }
    let cut = Cut {
        shape,
        last,
        end: end_before(now, shape.step),
    };
    cut.refuse_forecasts(&header)?;
    let write = |cause| NotHealed::System {
        what: "it cannot be written",
        cause,
    };
    // The rows first: if this is interrupted, the file still says that it is ahead.
    let header = cut.apply(header, &file).map_err(write)?;
    let live = shape.live();
    file.write_all_at(&header[live..], live as u64)
        .map_err(write)?;
    Ok(Healing::Healed(last.saturating_sub(now.into())))
}

/// The end of the last whole step before now, so that the file takes a value of now.
fn end_before(now: u32, step: NonZeroU64) -> u64 {
    let before = u64::from(now).saturating_sub(1);
    before.saturating_sub(before % step)
}

fn read_header(file: &File) -> io::Result<Vec<u8>> {
    let mut header = vec![0; STAT_HEAD];
    file.read_exact_at(&mut header, 0)?;
    let len = Shape::of(&header).map_or(STAT_HEAD, |shape| shape.header_len());
    header.resize(len, 0);
    file.read_exact_at(&mut header, 0)?;
    Ok(header)
}

/// What is to be cut from a file.
struct Cut {
    shape: Shape,
    /// Its last update.
    last: u64,
    /// What is to be its last update.
    end: u64,
}

impl Cut {
    fn refuse_forecasts(&self, header: &[u8]) -> Result<(), NotHealed> {
        for archive in 0..self.shape.archives {
            let at = self.shape.rra_def(archive);
            let function = text(&header[at..][..NAME]);
            if !matches!(function, b"AVERAGE" | b"MIN" | b"MAX" | b"LAST") {
                let function = String::from_utf8_lossy(function).into_owned();
                return Err(NotHealed::Forecasts(function));
            }
        }
        Ok(())
    }

    fn row_bytes(&self) -> u64 {
        self.shape.sources.saturating_mul(VALUE) as u64
    }

    /// Makes rows unknown in the file; the header as it is then.
    fn apply(&self, mut header: Vec<u8>, file: &File) -> io::Result<Vec<u8>> {
        let Cut { shape, end, .. } = self;
        let mut start = header.len() as u64;
        for archive in 0..shape.archives {
            let at = shape.rra_def(archive);
            let rows = whole(&header[at..], RRA_ROWS);
            self.cut_rows(archive, &mut header, start, file)?;
            start = start.saturating_add(rows.saturating_mul(self.row_bytes()));
        }
        for source in 0..shape.sources {
            let at = shape.pdp(source);
            let pdp = &mut header[at..][..PDP_PREP];
            pdp[..LAST_DS].fill(0);
            pdp[0] = b'U';
            begin_pdp(pdp);
        }
        put(&mut header, shape.live(), *end);
        if let Some(micros) = shape.micros() {
            put(&mut header, micros, 0);
        }
        Ok(header)
    }

    /// Takes an archive's newest rows back: the current one is the last that ended in time, and those
    /// after it are unknown. They are the oldest now.
    fn cut_rows(
        &self,
        archive: usize,
        header: &mut [u8],
        start: u64,
        file: &File,
    ) -> io::Result<()> {
        let Cut { shape, last, end } = *self;
        let def = &header[shape.rra_def(archive)..];
        let sizes = [RRA_ROWS, RRA_STEPS].map(|at| NonZeroU64::new(whole(def, at)));
        let [Some(rows), Some(steps)] = sizes else {
            // No sound file has such an archive.
            return Ok(());
        };
        let secs = shape.step.saturating_mul(steps);
        let cut = (last / secs).saturating_sub(end / secs).min(rows.get());
        let newest = whole(header, shape.pointer(archive));
        let kept = newest.saturating_add(rows.get()).saturating_sub(cut) % rows;
        put(header, shape.pointer(archive), kept);
        // In at most two runs, as the rows are a ring.
        let first = kept.saturating_add(1) % rows;
        let in_front = cut.min(rows.get().saturating_sub(first));
        let bytes = |rows: u64| rows.saturating_mul(self.row_bytes());
        forget(file, start.saturating_add(bytes(first)), bytes(in_front))?;
        forget(file, start, bytes(cut.saturating_sub(in_front)))?;
        for source in 0..shape.sources {
            let at = shape.cdp(archive, source);
            begin_row(&mut header[at..][..CDP_PREP], end % secs / shape.step);
        }
        Ok(())
    }
}

/// Writes so many bytes of unknown values.
fn forget(file: &File, mut at: u64, mut len: u64) -> io::Result<()> {
    let unknown = UNKNOWN.to_ne_bytes().repeat(AT_A_TIME);
    while len > 0 {
        let part = len.min(unknown.len() as u64);
        file.write_all_at(&unknown[..part as usize], at)?;
        at = at.saturating_add(part);
        len = len.saturating_sub(part);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::*;
    use crate::file::samples::Samples;
    use crate::file::testing;
    use crate::file::{Patience, fetch, last_update};

    const T0: u32 = 1_700_000_000;
    const STEP: u32 = 10;
    const DAY: u32 = 86_400;

    fn c(text: impl Into<Vec<u8>>) -> CString {
        CString::new(text).unwrap()
    }

    /// A file of two data sources and these archives.
    fn create(folder: &Path, archives: &[&str]) -> CString {
        let path = c(folder.join("f.rrd").as_os_str().as_bytes());
        let _ = std::fs::remove_file(as_path(&path));
        let sources = ["DS:sum:GAUGE:80:U:U", "DS:num:COUNTER:80:0:U"];
        let definitions = [&sources, archives].concat();
        testing::create(&path, STEP, T0 - 1, &definitions).unwrap();
        path
    }

    fn update(path: &CStr, times: impl Iterator<Item = u32>) {
        let mut samples = Samples::default();
        for time in times {
            let text = format!("{}:{}", time % 1000, time - T0 + 5);
            samples.push_packed(time, |all| all.extend_from_slice(text.as_bytes()));
        }
        crate::file::update(path, &samples, Patience::None).unwrap();
    }

    /// All rows of that function at that resolution up to a time, as text, so that unknown is equal to unknown.
    fn rows(path: &CStr, function: &str, step: u32, until: u32) -> Vec<String> {
        let span = ((T0 - STEP).into(), until.into());
        let rows = fetch::rows(path, function, span, step.into(), 1 << 20).unwrap();
        rows.values
            .iter()
            .map(|value| format!("{value:?}"))
            .collect()
    }

    const ARCHIVES: &[&str] = &[
        "RRA:AVERAGE:0.5:1:500",
        "RRA:AVERAGE:0.5:6:300",
        "RRA:MAX:0.5:60:200",
        "RRA:LAST:0.5:7:3",
    ];

    #[test]
    fn what_is_ahead_is_unknown_and_all_before_now_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        // Within a row, at the end of one, and off a step; little and much ahead.
        for (now, ahead) in [
            (T0 + 1000, 300),
            (T0 + 1003, 17),
            (T0 + 1009, 40 * STEP),
            (T0 + 1200, 7000),
            (T0 + 900, 30 * DAY),
        ] {
            let path = create(folder.path(), ARCHIVES);
            update(&path, (T0..now).step_by(10));
            let before = rows(&path, "AVERAGE", 10, now - STEP);
            let coarse = rows(&path, "AVERAGE", 60, now - 60);
            assert!(before.iter().any(|it| it != "NaN"));
            update(&path, (now + ahead..).step_by(10).take(20));
            let jumped = rows(&path, "AVERAGE", 60, now - 60);
            let newest = u64::from(now + ahead + 190);
            let healed = Healing::Healed(newest - u64::from(now));
            assert_eq!(heal(&path, now).unwrap(), healed, "{ahead}");
            assert_eq!(heal(&path, now).unwrap(), Healing::NotNeeded);
            assert!(last_update(&path).unwrap() < now.into());
            // What a long jump had overwritten is gone.
            if ahead < 1000 {
                assert_eq!(rows(&path, "AVERAGE", 10, now - STEP), before, "{ahead}");
                assert_eq!(rows(&path, "AVERAGE", 60, now - 60), coarse, "{ahead}");
            }
            assert_eq!(jumped.len(), coarse.len());
            for (function, step) in [("AVERAGE", 10), ("AVERAGE", 60), ("MAX", 600), ("LAST", 70)] {
                let all = rows(&path, function, step, now + ahead + 1000);
                let until = rows(&path, function, step, now - STEP);
                assert!(
                    all[until.len()..].iter().all(|it| it == "NaN"),
                    "{function} {step}"
                );
            }
            update(&path, (now..).step_by(10).take(200));
            let later = rows(&path, "AVERAGE", 10, now + 1900);
            let known = later.iter().filter(|it| *it != "NaN").count();
            assert!(known >= 2 * 180, "{known} of {}", later.len());
            let coarse = rows(&path, "MAX", 600, now + 1900);
            assert!(coarse.iter().any(|it| it != "NaN"));
        }
    }

    #[test]
    fn a_file_that_is_not_ahead_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = create(folder.path(), ARCHIVES);
        update(&path, [T0 + 10, T0 + 20].into_iter());
        let before = std::fs::read(as_path(&path)).unwrap();
        for now in [T0 + 20, T0 + DAY] {
            assert_eq!(heal(&path, now).unwrap(), Healing::NotNeeded);
        }
        assert_eq!(std::fs::read(as_path(&path)).unwrap(), before);
    }

    #[cfg(feature = "librrd")]
    #[test]
    fn forecasts_are_left_alone_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = create(folder.path(), &["RRA:HWPREDICT:100:0.1:0.0035:10"]);
        let before = std::fs::read(as_path(&path)).unwrap();
        let reason = heal(&path, T0 - DAY).unwrap_err().to_string();
        assert!(reason.contains("(HWPREDICT)"), "{reason}");
        assert_eq!(std::fs::read(as_path(&path)).unwrap(), before);
    }

    #[test]
    fn damage_is_left_alone_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = create(folder.path(), ARCHIVES);
        let before = std::fs::read(as_path(&path)).unwrap();
        std::fs::write(as_path(&path), &before[..300]).unwrap();
        let reason = heal(&path, T0 - DAY).unwrap_err().to_string();
        assert!(reason.contains("it is damaged"), "{reason}");
    }
}
