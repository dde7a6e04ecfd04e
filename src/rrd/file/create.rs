//! The bytes of a new round-robin file, as librrd makes them.
//!
//! No I/O.

use crate::file::arithmetic::{Function, PDP_UNKNOWN_SECS, PDP_VALUE, UNKNOWN, begin_row, decimal};
use crate::file::error::Refusal;
use crate::file::layout::{
    ARCHIVES, CDP_PREP, COOKIE, DS_HEARTBEAT, DS_MAX, DS_MIN, DS_TYPE, FLOAT_COOKIE, MAGIC,
    RRA_PAR, RRA_ROWS, RRA_STEPS, SOURCES, SPAN, STEP, Shape, VALUE, VERSION, put, put_float,
};

/// Most rows of an archive, and most steps of a row: librrd keeps rows in an int in places.
const MOST: u64 = 0x7fff_ffff;

/// A data source to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewSource<'a> {
    pub(crate) name: &'a str,
    /// `GAUGE`, `COUNTER`.
    pub(crate) kind: &'a str,
    pub(crate) heartbeat_secs: u64,
    /// Rates beyond them are unknown; NaN for no limit.
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// An archive to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewArchive<'a> {
    function: &'a str,
    xff: f64,
    steps: u64,
    rows: u64,
}

impl<'a> NewArchive<'a> {
    /// From `RRA:FUNCTION:XFF:STEPS:ROWS`, in a file of that step. Steps and rows may be times, as in
    /// `5m` and `1d`.
    pub(crate) fn parse(text: &'a str, step: u64) -> Result<NewArchive<'a>, Refusal> {
        let refusal = |reason: &str| Refusal::new(format!("{text}: {reason}"));
        let fields: Vec<&str> = text.split(':').collect();
        let ["RRA", function, xff, steps, rows] = fields[..] else {
            return Err(refusal("it is not written as RRA:FUNCTION:XFF:STEPS:ROWS"));
        };
        if Function::named(function.as_bytes()).is_none() {
            return Err(refusal(
                "its function is none of AVERAGE, MIN, MAX and LAST",
            ));
        }
        let xff = decimal(xff.as_bytes())
            .filter(|xff| (0.0..1.0).contains(xff))
            .ok_or_else(|| refusal("its share of unknown values is not from 0 to less than 1"))?;
        let steps = count(steps, step)
            .ok_or_else(|| refusal("its steps are no number, or no time of whole steps"))?;
        let rows = count(rows, step.saturating_mul(steps))
            .ok_or_else(|| refusal("its rows are no number, or no time of whole rows"))?;
        let span = step
            .checked_mul(steps)
            .and_then(|row| row.checked_mul(rows));
        if span.is_none_or(|span| span > SPAN) {
            return Err(refusal("its rows reach back too far"));
        }
        Ok(NewArchive {
            function,
            xff,
            steps,
            rows,
        })
    }
}

/// A number, or how many of so many seconds make up a time: it has to be a whole number of them.
fn count(text: &str, secs: u64) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let unit = match &text[digits.len()..] {
        "" => return (1..=MOST).contains(&number).then_some(number),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        "M" => 31 * 86_400,
        "y" => 366 * 86_400,
        _ => return None,
    };
    let time = number.checked_mul(unit)?;
    let whole = time.checked_rem(secs)? == 0;
    Some(time / secs).filter(|count| whole && (1..=MOST).contains(count))
}

/// A file to be.
#[derive(Debug)]
pub(crate) struct NewFile<'a> {
    pub(crate) step: u64,
    /// Its first sample comes after that time.
    pub(crate) start: u64,
    pub(crate) sources: Vec<NewSource<'a>>,
    pub(crate) archives: Vec<NewArchive<'a>>,
}

impl NewFile<'_> {
    /// How many values its rows have, none of them known.
    pub(crate) fn values(&self) -> u64 {
        let rows = self.archives.iter().map(|archive| archive.rows);
        rows.fold(0, u64::saturating_add)
            .saturating_mul(self.sources.len() as u64)
    }

    /// Everything before the rows. `row` says which of so many rows is an archive's current one: all
    /// are equal, and where each archive begins at another, not all files write a new page at a time.
    pub(crate) fn header(&self, mut row: impl FnMut(usize, u64) -> u64) -> Vec<u8> {
        let NewFile { step, start, .. } = *self;
        let shape = Shape::new(self.sources.len(), self.archives.len(), step);
        let mut bytes = vec![0; shape.header_len()];
        let is_newer = |source: &NewSource<'_>| matches!(source.kind, "DCOUNTER" | "DDERIVE");
        let version = if self.sources.iter().any(is_newer) {
            b"0005"
        } else {
            b"0003"
        };
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        bytes[VERSION..VERSION + version.len()].copy_from_slice(version);
        put_float(&mut bytes, COOKIE, FLOAT_COOKIE);
        put(&mut bytes, SOURCES, self.sources.len() as u64);
        put(&mut bytes, ARCHIVES, self.archives.len() as u64);
        put(&mut bytes, STEP, step);
        put(&mut bytes, shape.live(), start);
        for (at, source) in self.sources.iter().enumerate() {
            let def = &mut bytes[Shape::ds_def(at)..];
            put_text(def, 0, source.name);
            put_text(def, DS_TYPE, source.kind);
            put(def, DS_HEARTBEAT, source.heartbeat_secs);
            put_float(def, DS_MIN, source.min);
            put_float(def, DS_MAX, source.max);
            let pdp = &mut bytes[shape.pdp(at)..];
            put_text(pdp, 0, "U");
            put(pdp, PDP_UNKNOWN_SECS, start % step);
            put_float(pdp, PDP_VALUE, UNKNOWN);
        }
        for (at, archive) in self.archives.iter().enumerate() {
            let def = &mut bytes[shape.rra_def(at)..];
            put_text(def, 0, archive.function);
            put(def, RRA_ROWS, archive.rows);
            put(def, RRA_STEPS, archive.steps);
            put_float(def, RRA_PAR, archive.xff);
            let begun = (start - start % step) % (step * archive.steps) / step;
            for source in 0..self.sources.len() {
                let cdp = shape.cdp(at, source);
                begin_row(&mut bytes[cdp..cdp + CDP_PREP], begun);
            }
            put(&mut bytes, shape.pointer(at), row(at, archive.rows));
        }
        bytes
    }
}

/// Puts a text that is shorter than its field, with zeros behind it.
fn put_text(bytes: &mut [u8], at: usize, text: &str) {
    bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
}

/// So many unknown values.
pub(crate) fn unknown(values: usize) -> Vec<u8> {
    debug_assert_eq!(VALUE, UNKNOWN.to_ne_bytes().len());
    UNKNOWN.to_ne_bytes().repeat(values)
}
