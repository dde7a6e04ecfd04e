//! The one place that reads the clock for the core.
//!
//! Nothing here waits.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::{Mono, Now};

/// Both clocks, the monotonic one counted from the daemon's start.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock {
            start: Instant::now(),
        }
    }

    /// One reading of both.
    pub(super) fn now(&self) -> Now {
        // A clock set before 1970 gives the time of day as 1970.
        let epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs() as i64);
        Now {
            mono: self.mono(),
            epoch,
        }
    }

    /// The monotonic one alone.
    pub(super) fn mono(&self) -> Mono {
        Mono(self.start.elapsed().as_millis() as u64)
    }

    /// That time as the standard library has it.
    pub(super) fn instant(&self, at: Mono) -> Instant {
        self.start + at.since(Mono(0))
    }
}
