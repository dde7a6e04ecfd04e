//! What an export has done, for `/status` and `/metrics`: written by its threads, read by the loop.
//!
//! No rules here: all sides only add up and read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Of one export, over all of its servers.
#[derive(Debug, Default)]
pub struct ExportCounters {
    /// Values the server has taken.
    pub sent: AtomicU64,
    /// Bytes of these.
    pub sent_bytes: AtomicU64,
    /// Values that were given up.
    pub dropped: AtomicU64,
    /// Values that were refused, or could not be encoded.
    pub failed: AtomicU64,
    /// Targets that refused their last value.
    pub refusing: AtomicU64,
    /// Connections made.
    pub connects: AtomicU64,
    /// Bytes that wait.
    pub waiting_bytes: AtomicU64,
    /// Microseconds spent sending.
    pub busy_us: AtomicU64,
    /// When the server last took something, in milliseconds since the epoch; 0: never.
    pub last_ms: AtomicU64,
    /// Whether the newest attempt of any server failed.
    pub failing: AtomicBool,
}

/// How an export does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportStatus {
    /// Whom it sends to: `carbon`, `memcached`, `riemann` or `rrdcached`.
    pub id: String,
    /// Values the server has taken; where it says nothing, that it was sent without an error.
    pub sent: u64,
    /// Bytes of these.
    pub sent_bytes: u64,
    /// Values that were given up: the backlog was full, or the end came first.
    pub dropped: u64,
    /// Values the server refused, or that could not be put in its words.
    pub failed: u64,
    /// Files, keys or the like that refused their last value.
    pub refusing: u64,
    /// Connections made.
    pub connects: u64,
    /// Bytes that wait for the server.
    pub waiting_bytes: u64,
    /// Time spent sending.
    pub busy: Duration,
    /// When the server last took something, in milliseconds since the epoch; 0: never.
    pub last_ms: u64,
    /// Whether the newest attempt failed.
    pub failing: bool,
}

impl ExportCounters {
    /// Counts values that cannot be put in the server's words.
    pub fn count_failed(&self, values: u64) {
        self.failed.fetch_add(values, Ordering::Relaxed);
    }

    /// Counts what the server has taken; `now_ms` since the epoch.
    pub fn count_sent(&self, values: u64, bytes: usize, now_ms: u64) {
        self.sent.fetch_add(values, Ordering::Relaxed);
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_ms.store(now_ms, Ordering::Relaxed);
    }

    /// A reading of all of them.
    pub fn status(&self, id: &str) -> ExportStatus {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ExportStatus {
            id: id.into(),
            sent: read(&self.sent),
            sent_bytes: read(&self.sent_bytes),
            dropped: read(&self.dropped),
            failed: read(&self.failed),
            refusing: read(&self.refusing),
            connects: read(&self.connects),
            waiting_bytes: read(&self.waiting_bytes),
            busy: Duration::from_micros(read(&self.busy_us)),
            last_ms: read(&self.last_ms),
            failing: self.failing.load(Ordering::Relaxed),
        }
    }
}
