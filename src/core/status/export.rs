//! What an export has done, for `/status` and `/metrics`: written by its threads, read by the loop.
//!
//! No rules here: both sides only count and read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters of one export, over all of its servers.
#[derive(Debug, Default)]
pub struct ExportCounters {
    /// Values that a server has taken.
    pub sent: AtomicU64,
    /// Bytes that they took on the wire.
    pub sent_bytes: AtomicU64,
    /// Values that were given up.
    pub dropped: AtomicU64,
    /// Values that a server refused, or that its protocol has no way to say.
    pub failed: AtomicU64,
    /// Targets that refused their last value.
    pub refusing: AtomicU64,
    /// Connections made.
    pub connects: AtomicU64,
    /// Bytes that wait.
    pub waiting_bytes: AtomicU64,
    /// Microseconds spent connecting and sending.
    pub busy_us: AtomicU64,
    /// When a server last took something, in milliseconds since the epoch; 0: never.
    pub last_ms: AtomicU64,
    /// Servers that failed at the newest attempt.
    pub failing: AtomicU64,
    /// Values that were sent again.
    pub retried: AtomicU64,
    /// Servers whose values should wait on disk and wait in memory.
    pub unsaved: AtomicU64,
    /// By server: since when its oldest values wait, in milliseconds since the epoch; 0: none wait.
    pub waiting_since_ms: Box<[AtomicU64]>,
}

/// How an export does: its counters, read at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportStatus {
    /// The export's id, such as `carbon`; or `rrdcached`.
    pub id: String,
    /// Values that a server has taken; if it answers nothing, that were sent without an error.
    pub sent: u64,
    /// Bytes that they took on the wire.
    pub sent_bytes: u64,
    /// Values that were given up: the backlog was full, or the daemon stopped.
    pub dropped: u64,
    /// Values that a server refused, or that its protocol has no way to say.
    pub failed: u64,
    /// Files, keys or the like that refused their last value.
    pub refusing: u64,
    /// Connections made.
    pub connects: u64,
    /// Bytes that wait.
    pub waiting_bytes: u64,
    /// Time spent connecting and sending.
    pub busy: Duration,
    /// When a server last took something, in milliseconds since the epoch; 0: never.
    pub last_ms: u64,
    /// Whether a server failed at the newest attempt.
    pub failing: bool,
    /// Values that were sent again.
    pub retried: u64,
    /// Whether values that should wait on disk wait in memory.
    pub unsaved: bool,
    /// Since when the oldest values wait, in milliseconds since the epoch; 0: none wait.
    pub waiting_since_ms: u64,
}

impl ExportCounters {
    /// Of an export that sends to so many servers.
    pub fn of_servers(servers: usize) -> ExportCounters {
        ExportCounters {
            waiting_since_ms: (0..servers).map(|_| AtomicU64::new(0)).collect(),
            ..ExportCounters::default()
        }
    }

    /// Counts values that a server refused, or that its protocol has no way to say.
    pub fn count_failed(&self, values: u64) {
        self.failed.fetch_add(values, Ordering::Relaxed);
    }

    /// Counts values that a server has taken.
    pub fn count_sent(&self, values: u64, bytes: usize) {
        self.sent.fetch_add(values, Ordering::Relaxed);
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Reads all of them, of the export of this id.
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
            failing: read(&self.failing) > 0,
            retried: read(&self.retried),
            unsaved: read(&self.unsaved) > 0,
            waiting_since_ms: (self.waiting_since_ms.iter().map(read))
                .filter(|&since| since > 0)
                .min()
                .unwrap_or(0),
        }
    }
}
