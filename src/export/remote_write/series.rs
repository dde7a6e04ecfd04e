//! When a value of a series is sent, with which time, and how a series ends.
//!
//! No I/O and no clock.

use std::collections::HashMap;
use std::sync::Arc;

use super::encode::{Protocol, STALE};
use super::labels::Name;
use gmetad_core::model::Now;
use gmetad_core::model::StoreTime;

/// A store calls a series stale that has no sample for so long.
const STALE_AFTER_MS: i64 = 300_000;

/// Time between what we send and what the store counts from.
const MARGIN_MS: i64 = 10_000;

/// LOCALTIME and TN are cut to seconds each, so the time of one value differs by one between polls.
const JITTER_SECS: i64 = 1;

/// A clock further behind than this does not give the time of the document: what a gmetad passes on
/// has the LOCALTIME of its last poll, and TNs of now.
const MOST_BEHIND_SECS: i64 = 300;

/// When the values of an update are of, by our clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When the document was written, in seconds since the epoch.
    pub base: i64,
    /// When the next update is due, in milliseconds.
    pub next_ms: i64,
}

impl Moment {
    /// By the source's clock where it is near ours and not ahead of it.
    pub fn new(time: StoreTime, now: Now, interval_ms: i64) -> Moment {
        let behind = now.epoch.saturating_sub(time.epoch());
        let base = if (0..=MOST_BEHIND_SECS).contains(&behind) {
            time.epoch()
        } else {
            now.epoch
        };
        Moment {
            base,
            next_ms: base.saturating_mul(1000).saturating_add(interval_ms),
        }
    }

    /// Of a time without a document, by a clock that is so many seconds behind ours.
    pub fn later(now: Now, behind: i64, interval_ms: i64) -> Moment {
        Moment::new(StoreTime::Ours(now.epoch - behind), now, interval_ms)
    }

    /// The same in milliseconds.
    pub fn base_ms(&self) -> i64 {
        self.base.saturating_mul(1000)
    }
}

/// What was sent of a series.
#[derive(Debug)]
struct Series {
    name: Arc<Name>,
    /// When its last value was collected.
    collected: i64,
    /// The time it was sent with.
    sent_ms: i64,
    value: f64,
    /// The update that had it last.
    round: u32,
}

impl Series {
    /// The time to send this value with; `None`: it was sent already.
    fn next(&mut self, value: f64, collected: i64, moment: &Moment) -> Option<i64> {
        let is_other = value.to_bits() != self.value.to_bits();
        let is_anew = is_other || collected > self.collected.saturating_add(JITTER_SECS);
        if !is_anew && moment.next_ms - self.sent_ms < STALE_AFTER_MS - MARGIN_MS {
            return None;
        }
        let own = collected.saturating_mul(1000);
        // One that is collected so rarely that stores would not show it counts as of now.
        let is_recent = moment.base_ms() - own < STALE_AFTER_MS - MARGIN_MS;
        let time = if is_anew && is_recent && own > self.sent_ms {
            own
        } else {
            moment.base_ms().max(self.sent_ms + 1)
        };
        if is_anew {
            self.collected = collected;
            self.value = value;
        }
        self.sent_ms = time;
        Some(time)
    }
}

/// The series of one host, cluster or grid.
#[derive(Debug)]
pub struct Group {
    /// Its labels.
    labels: Box<[u8]>,
    series: Vec<Series>,
    /// Where the next series is expected: a document has the same order each time.
    next: usize,
    /// Places by address of the name, which its series keeps alive. Made when one is not where it is
    /// expected, for the rest of the update.
    places: HashMap<usize, usize>,
    round: u32,
}

/// Where samples go, encoded, and what they have in common.
pub struct Sink<'a> {
    /// When the update is of.
    pub moment: Moment,
    /// The times of a new series are later than this.
    pub floor_ms: &'a mut i64,
    /// How samples are written.
    pub protocol: Protocol,
    /// Takes each sample.
    pub put: &'a mut dyn FnMut(&[u8]),
    /// Scratch.
    pub scratch: &'a mut Vec<u8>,
}

impl Group {
    /// One without series, but room for so many.
    pub fn new(labels: Box<[u8]>, room: usize) -> Group {
        Group {
            labels,
            series: Vec::with_capacity(room),
            next: 0,
            places: HashMap::new(),
            round: 0,
        }
    }

    /// Begins an update: what is not put until its end is gone.
    pub fn begin(&mut self) {
        self.round = self.round.wrapping_add(1);
        self.next = 0;
    }

    /// A value of this update, and when it was collected.
    pub fn put(&mut self, name: &Arc<Name>, value: f64, collected: i64, sink: &mut Sink<'_>) {
        let at = self.place_of(name, *sink.floor_ms);
        self.next = self.next.max(at + 1);
        let series = &mut self.series[at];
        if series.round == self.round {
            return;
        }
        series.round = self.round;
        if let Some(time) = series.next(value, collected, &sink.moment) {
            send(&self.labels, name, value, time, sink);
        }
    }

    /// What is not heard of in this update stays as it is.
    pub fn keep_others(&mut self) {
        for series in &mut self.series {
            series.round = self.round;
        }
    }

    /// Ends the series that this update did not have.
    pub fn end_others(&mut self, sink: &mut Sink<'_>) {
        let (labels, round) = (&self.labels, self.round);
        self.places = HashMap::new();
        self.series.retain(|series| {
            let stays = series.round == round;
            if !stays {
                end(labels, series, sink);
            }
            stays
        });
    }

    /// Ends all of its series.
    pub fn end(self, sink: &mut Sink<'_>) {
        for series in &self.series {
            end(&self.labels, series, sink);
        }
    }

    /// Where the series is, or is now. It is moved to where it was expected, for the next update.
    fn place_of(&mut self, name: &Arc<Name>, floor_ms: i64) -> usize {
        let is_it = |series: &Series| Arc::ptr_eq(&series.name, name);
        if self.series.get(self.next).is_some_and(is_it) {
            return self.next;
        }
        if self.places.is_empty() {
            let names = self.series.iter().map(|series| address(&series.name));
            self.places = names.zip(0..).collect();
        }
        let end = self.series.len();
        let at = *self.places.entry(address(name)).or_insert(end);
        if at < self.next {
            return at;
        }
        if at == end {
            self.series.push(Series {
                name: Arc::clone(name),
                collected: i64::MIN,
                sent_ms: floor_ms,
                value: f64::NAN,
                round: self.round.wrapping_sub(1),
            });
        }
        self.series.swap(self.next, at);
        self.places.insert(address(&self.series[at].name), at);
        self.places.insert(address(name), self.next);
        self.next
    }
}

fn address(name: &Arc<Name>) -> usize {
    Arc::as_ptr(name) as usize
}

fn end(labels: &[u8], series: &Series, sink: &mut Sink<'_>) {
    let time = sink.moment.base_ms().max(series.sent_ms + 1);
    send(labels, &series.name, STALE, time, sink);
    // The same labels may come back at once, from another source.
    *sink.floor_ms = time.max(*sink.floor_ms);
}

fn send(labels: &[u8], name: &Name, value: f64, time: i64, sink: &mut Sink<'_>) {
    sink.scratch.clear();
    let pieces = [&*name.head, labels, &*name.tail];
    if sink.protocol.push_series(sink.scratch, pieces, value, time) {
        (sink.put)(sink.scratch);
    }
}
