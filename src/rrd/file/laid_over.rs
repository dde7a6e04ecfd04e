//! Samples that wait, laid over rows of a file where they cannot be carried into a copy of it: after
//! a silence, or where the file has limits or other consolidations than averages.
//!
//! No file here. Rows that the file has stay as they are; only those that end after its last update
//! are worked out, from what the samples say of their time.

use crate::file::samples::{Kind, Samples};
use gmetad_core::history::{Consolidation, Series};
use gmetad_core::model::parse_number;

/// How a data source stands at the end of what its file has.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    /// Time of the last update.
    pub(crate) time: u64,
    /// The text of the last value; may be empty.
    pub(crate) value: Vec<u8>,
    pub(crate) kind: Kind,
    /// Seconds after which a value says nothing of the time before it.
    pub(crate) heartbeat: u64,
}

/// What is known of a row.
#[derive(Clone, Copy)]
struct Row {
    secs: u64,
    total: f64,
    min: f64,
    max: f64,
    last: f64,
}

const NOTHING: Row = Row {
    secs: 0,
    total: 0.0,
    min: f64::INFINITY,
    max: f64::NEG_INFINITY,
    last: f64::NAN,
};

/// Lays samples' values of a column over the rows that end after the file's last update and not after the last sample.
pub(crate) fn lay_over(
    series: &mut Series,
    ending: &Ending,
    held: &Samples,
    (column, consolidation): (usize, Consolidation),
) {
    let step = u64::from(series.step);
    let mut rows = vec![NOTHING; series.values.len()];
    let mut before = (ending.time, number(&ending.value));
    for (time, text) in held.iter() {
        let time = u64::from(time);
        let word = text.split(|&b| b == b':').nth(column);
        let value = word.and_then(number);
        let rate = rate(ending, before, (time, value));
        if let Some(rate) = rate {
            spread(
                rate,
                before.0.max(series.start),
                time,
                series.start,
                step,
                &mut rows,
            );
        }
        before = (time, value);
    }
    for (at, (value, row)) in series.values.iter_mut().zip(&rows).enumerate() {
        let end = series.start + step * (at as u64 + 1);
        if end > ending.time && end <= before.0 && row.secs * 2 >= step {
            *value = match consolidation {
                Consolidation::Average => row.total / row.secs as f64,
                Consolidation::Min => row.min,
                Consolidation::Max => row.max,
                Consolidation::Last => row.last,
            };
        }
    }
}

/// What a value says of the time since the one before.
fn rate(ending: &Ending, before: (u64, Option<f64>), now: (u64, Option<f64>)) -> Option<f64> {
    let secs = now.0.checked_sub(before.0).filter(|secs| *secs > 0)?;
    if secs > ending.heartbeat {
        return None;
    }
    let grown = || Some((now.1? - before.1?) / secs as f64);
    match ending.kind {
        Kind::Gauge => now.1,
        Kind::Derive => grown(),
        Kind::Counter => grown().filter(|rate| *rate >= 0.0),
    }
}

/// Gives a rate to the rows of a time.
fn spread(rate: f64, from: u64, until: u64, start: u64, step: u64, rows: &mut [Row]) {
    let mut at = from;
    while at < until {
        let number = (at - start) / step;
        let Some(row) = rows.get_mut(number as usize) else {
            return;
        };
        let end = (start + (number + 1) * step).min(until);
        row.secs += end - at;
        row.total += rate * (end - at) as f64;
        row.min = row.min.min(rate);
        row.max = row.max.max(rate);
        row.last = rate;
        at = end;
    }
}

fn number(text: &[u8]) -> Option<f64> {
    let number = parse_number(text)?;
    Some(number.value)
}
