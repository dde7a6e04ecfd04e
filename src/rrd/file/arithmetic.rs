//! What librrd's update reckons: steps, the rates of those that ended, and the rows they fill.
//!
//! A part of a header goes in and comes out changed. No file, and no place of a part in it.

use crate::file::layout::{float, put, put_float, whole};
use gmetad_core::model::parse_number;

/// Offsets in what is kept of a data source between two samples.
const PDP_UNKNOWN_SECS: usize = 32;
const PDP_VALUE: usize = 40;

/// Offsets in what is kept of an archive's row in the making.
const CDP_VALUE: usize = 0;
const CDP_UNKNOWN: usize = 8;
pub(super) const CDP_PRIMARY: usize = 64;
pub(super) const CDP_SECONDARY: usize = 72;

/// What librrd writes for a value that is not known: a NaN with its sign set.
pub(super) const UNKNOWN: f64 = f64::from_bits(0xfff8_0000_0000_0000);

/// Begins a step anew: nothing is known of it, and none of it has passed.
pub(super) fn begin_pdp(pdp: &mut [u8]) {
    put(pdp, PDP_UNKNOWN_SECS, 0);
    put_float(pdp, PDP_VALUE, 0.0);
}

/// Begins a row anew, so many steps of which have passed and are unknown.
pub(super) fn begin_row(cdp: &mut [u8], steps: u64) {
    put_float(cdp, CDP_VALUE, UNKNOWN);
    put(cdp, CDP_UNKNOWN, steps);
}

/// What a plain data source makes of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SourceKind {
    /// The value itself.
    Gauge,
    /// How fast it grows.
    Counter,
    /// How fast it changes, in either direction.
    Derive,
}

impl SourceKind {
    /// By its name in a header; none for a kind that is not plain.
    pub(super) fn named(name: &[u8]) -> Option<SourceKind> {
        match name {
            b"GAUGE" => Some(SourceKind::Gauge),
            b"COUNTER" => Some(SourceKind::Counter),
            b"DERIVE" => Some(SourceKind::Derive),
            _ => None,
        }
    }

    /// What a value adds in so many seconds, as rate times seconds; NaN where the one before is not
    /// known. `None` where librrd has to be asked.
    pub(super) fn grown(self, word: &[u8], last: &[u8], secs: f64) -> Option<f64> {
        if word == b"U" {
            return Some(UNKNOWN);
        }
        if self == SourceKind::Gauge {
            return Some(decimal(word)? * secs);
        }
        let value = digits(word)?;
        if last.first() == Some(&b'U') {
            return Some(UNKNOWN);
        }
        counted(value, digits(last)?, self)
    }
}

/// How much a value has gone on. `None` where a counter has wrapped around, or an `f64` does not
/// hold it exactly: librrd knows what to make of that, and of values below zero.
fn counted(value: u64, last: u64, kind: SourceKind) -> Option<f64> {
    const EXACT: u64 = 1 << 53;
    let more = value.abs_diff(last);
    if more >= EXACT || (value < last && kind == SourceKind::Counter) {
        return None;
    }
    Some(if value < last {
        -(more as f64)
    } else {
        more as f64
    })
}

/// A number in plain decimals, as both librrd and Rust read it.
fn decimal(word: &[u8]) -> Option<f64> {
    let plain = word.iter().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'-'));
    let number = plain.then(|| parse_number(word))?;
    number.map(|number| number.value)
}

fn digits(word: &[u8]) -> Option<u64> {
    let plain = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(word)
        .ok()
        .filter(|_| plain)?
        .parse()
        .ok()
}

/// The time between two samples, cut at the ends of steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    pub(super) secs: f64,
    /// Before the last end of a step in it.
    before: f64,
    /// After that.
    after: f64,
    /// Ends of steps in it.
    pub(super) ended: u64,
    /// The number of the step it started in.
    first: u64,
}

impl Interval {
    /// From one sample to the next, which is later.
    pub(super) fn between(last: u64, time: u64, step: u64) -> Interval {
        let (first, now) = (last / step, time / step);
        let secs = (time - last) as f64;
        let (before, after) = if now > first {
            ((now * step - last) as f64, (time % step) as f64)
        } else {
            (secs, 0.0)
        };
        Interval {
            secs,
            before,
            after,
            ended: now - first,
            first,
        }
    }

    /// The step that went on, if it had begun before, and those after it: librrd takes them apart.
    pub(super) fn parts(self, step: u64) -> [Option<Interval>; 2] {
        let rest = self.ended - 1;
        let rest_secs = (rest * step) as f64;
        let begun = self.before - rest_secs;
        if rest == 0 || begun >= step as f64 {
            return [Some(self), None];
        }
        let first = Interval {
            before: begun,
            after: 0.0,
            ended: 1,
            ..self
        };
        let later = Interval {
            before: rest_secs,
            ended: rest,
            first: self.first + 1,
            ..self
        };
        [Some(first), Some(later)]
    }

    /// Adds what a source has grown by to its step that goes on.
    pub(super) fn gather(&self, pdp: &mut [u8], grown: f64) {
        if grown.is_nan() {
            let unknown = whole(pdp, PDP_UNKNOWN_SECS);
            let unknown = unknown.wrapping_add(self.secs as u64);
            put(pdp, PDP_UNKNOWN_SECS, unknown);
            return;
        }
        let so_far = float(pdp, PDP_VALUE);
        let sum = if so_far.is_nan() {
            grown
        } else {
            so_far + grown
        };
        put_float(pdp, PDP_VALUE, sum);
    }

    /// Ends a source's step that went on and starts the one that goes on; the rate of those that
    /// ended.
    pub(super) fn end_steps(&self, pdp: &mut [u8], grown: f64, step: u64) -> f64 {
        let mut rate = UNKNOWN;
        let unknown = whole(pdp, PDP_UNKNOWN_SECS);
        let mut value = float(pdp, PDP_VALUE);
        let mut unknown_before = 0.0;
        if grown.is_nan() {
            unknown_before = self.before;
        } else {
            value = if value.is_nan() { 0.0 } else { value };
            value += grown / self.secs * self.before;
        }
        if step as f64 / 2.0 >= unknown as f64 {
            let known = (self.ended * step) as i64 - unknown as i64;
            rate = value / (known as f64 - unknown_before);
        }
        let (value, unknown) = if grown.is_nan() {
            (UNKNOWN, self.after as u64)
        } else {
            (grown / self.secs * self.after, 0)
        };
        put_float(pdp, PDP_VALUE, value);
        put(pdp, PDP_UNKNOWN_SECS, unknown);
        rate
    }

    /// How the steps that ended go into rows of so many steps each.
    pub(super) fn rows(&self, steps: u64) -> Rows {
        let to_row_end = steps - self.first % steps;
        let filled = match self.ended.checked_sub(to_row_end) {
            Some(more) => more / steps + 1,
            None => 0,
        };
        Rows {
            ended: self.ended,
            to_row_end,
            filled,
        }
    }
}

/// How the steps that ended go into an archive's rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    ended: u64,
    /// Steps that the row in the making lacked.
    to_row_end: u64,
    /// Rows that are full now.
    pub(super) filled: u64,
}

/// How an archive sums up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Consolidation {
    /// Steps that one row sums up.
    pub(super) steps: u64,
    /// Share of them that may be unknown.
    pub(super) xff: f64,
}

impl Consolidation {
    /// Carries the rate of the steps that ended into the row in the making.
    pub(super) fn carry(self, cdp: &mut [u8], rate: f64, rows: Rows) {
        if self.steps > 1 {
            self.sum_up(cdp, rate, rows);
            return;
        }
        put_float(cdp, CDP_PRIMARY, rate);
        if rows.ended > 1 {
            put_float(cdp, CDP_SECONDARY, rate);
        }
    }

    /// The same for a row of several steps.
    fn sum_up(self, cdp: &mut [u8], rate: f64, rows: Rows) {
        if rows.filled == 0 {
            add(cdp, rate, rows.ended);
            return;
        }
        let Consolidation { steps, xff } = self;
        let to_row_end = rows.to_row_end;
        let value = float(cdp, CDP_VALUE);
        let mut unknown = whole(cdp, CDP_UNKNOWN);
        let left = (rows.ended - to_row_end) % steps;
        if rate.is_nan() {
            unknown = unknown.wrapping_add(to_row_end);
        }
        put_float(cdp, CDP_SECONDARY, rate);
        let primary = if unknown as f64 > steps as f64 * xff {
            UNKNOWN
        } else {
            let so_far = if value.is_nan() { 0.0 } else { value };
            let rate = if rate.is_nan() { 0.0 } else { rate };
            (so_far + rate * to_row_end as f64) / (steps - unknown) as f64
        };
        put_float(cdp, CDP_PRIMARY, primary);
        let carried = if rate.is_nan() || left == 0 {
            0.0
        } else {
            rate * left as f64
        };
        put_float(cdp, CDP_VALUE, carried);
        put(cdp, CDP_UNKNOWN, if rate.is_nan() { left } else { 0 });
    }
}

/// Adds the steps that ended to a row that they do not fill.
fn add(cdp: &mut [u8], rate: f64, ended: u64) {
    if rate.is_nan() {
        let unknown = whole(cdp, CDP_UNKNOWN);
        put(cdp, CDP_UNKNOWN, unknown.wrapping_add(ended));
        return;
    }
    let value = float(cdp, CDP_VALUE);
    let more = rate * ended as f64;
    let value = if value.is_nan() { more } else { value + more };
    put_float(cdp, CDP_VALUE, value);
}
