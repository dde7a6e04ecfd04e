//! What was done to files since the start: counted by whoever does it, read as one snapshot.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gmetad_core::status::RrdStatus;

/// What was done to files since the start. What each is, [`RrdStatus`] says.
#[derive(Debug, Default)]
pub struct RrdCounters {
    pub(crate) written: AtomicU64,
    pub(crate) created: AtomicU64,
    pub(crate) repeated: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) refusing: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) broken: AtomicU64,
    pub(crate) limited: AtomicU64,
    pub(crate) no_room: AtomicBool,
    pub(crate) held: AtomicU64,
    pub(crate) held_bytes: AtomicU64,
    pub(crate) journal_bytes: AtomicU64,
    pub(crate) journal_fails: AtomicBool,
    pub(crate) calls: AtomicU64,
    pub(crate) forced: AtomicU64,
}

impl RrdCounters {
    /// All of them.
    pub fn status(&self) -> RrdStatus {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RrdStatus {
            written: read(&self.written),
            created: read(&self.created),
            repeated: read(&self.repeated),
            refused: read(&self.refused),
            refusing: read(&self.refusing),
            failed: read(&self.failed),
            broken: read(&self.broken),
            limited: read(&self.limited),
            no_room: self.no_room.load(Ordering::Relaxed),
            held: read(&self.held),
            held_bytes: read(&self.held_bytes),
            journal_bytes: read(&self.journal_bytes),
            journal_fails: self.journal_fails.load(Ordering::Relaxed),
            calls: read(&self.calls),
            forced: read(&self.forced),
        }
    }
}

pub(crate) fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}
