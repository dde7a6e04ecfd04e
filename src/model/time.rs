//! Time as the core sees it: two clocks, read once by the loop and handed in.
//!
//! No clock here: nothing in the core asks what time it is.

use std::time::Duration;

/// Monotonic milliseconds since the daemon's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// Whole seconds from `earlier` to here; 0 where `earlier` is later.
    pub fn secs_since(self, earlier: Mono) -> u32 {
        u32::try_from(self.0.saturating_sub(earlier.0) / 1000).unwrap_or(u32::MAX)
    }

    /// Seconds of the clock that began from `earlier` to here; 0 where `earlier` is later.
    ///
    /// For an age that is added up piece by piece: the pieces come to the whole, where rounding
    /// each down would lose up to a second with each.
    pub fn ticks_since(self, earlier: Mono) -> u32 {
        u32::try_from((self.0 / 1000).saturating_sub(earlier.0 / 1000)).unwrap_or(u32::MAX)
    }

    /// The time from `earlier` to here; zero where `earlier` is later.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Mono {
    type Output = Mono;

    fn add(self, wait: Duration) -> Mono {
        Mono(
            self.0
                .saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For deadlines and ages.
    pub mono: Mono,
    /// Seconds since the epoch, for what is written out as time of day.
    pub epoch: i64,
}
