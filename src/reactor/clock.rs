//! The one place that reads the clock for the core.
//!
//! Nothing here waits.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use gmetad_core::model::{Mono, Now};

/// Both clocks. The monotonic one counts from the daemon's start.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    /// The time of day at the start, in milliseconds since the epoch.
    boot_ms: u64,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock {
            start: Instant::now(),
            boot_ms: Clock::epoch_ms(),
        }
    }

    /// Reads both clocks.
    pub(super) fn now(&self) -> Now {
        Now {
            mono: self.mono(),
            epoch: (Clock::epoch_ms() / 1000) as i64,
        }
    }

    /// The time of day, in milliseconds since the epoch.
    pub(super) fn epoch_ms() -> u64 {
        // A clock set before 1970 gives the time of day as 1970.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64)
    }

    /// The time of day at the daemon's start, in milliseconds since the epoch.
    pub(super) fn boot_ms(&self) -> u64 {
        self.boot_ms
    }

    /// Reads the monotonic clock.
    pub(super) fn mono(&self) -> Mono {
        Mono(self.start.elapsed().as_millis() as u64)
    }

    /// Converts a time for the standard library.
    pub(super) fn instant(&self, at: Mono) -> Instant {
        self.start + at.since(Mono(0))
    }
}
