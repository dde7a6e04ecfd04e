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

/// Seconds that a source's clock may be ahead of ours, or behind. The values of one that is ahead
/// would be of a time that has not come, and whatever keeps them in order would take no others until
/// it has.
pub const MOST_APART_SECS: i64 = 86_400;

/// A clock before this, in 2020, was never set, and is no measure for another.
const SET_SINCE: i64 = 1_577_836_800;

/// By whose clock a source's values are stored, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreTime {
    /// By the source's, as it should be.
    Theirs(i64),
    /// By the source's, though its clock is more than a day behind.
    Behind(i64),
    /// By ours: the source gives no time.
    Ours(i64),
    /// By ours: the source's clock is more than a day ahead.
    NotTheirs(i64),
}

impl StoreTime {
    /// For a source with that LOCALTIME whose document came at `now`.
    pub fn of(localtime: i64, now: Now) -> StoreTime {
        if localtime <= 0 {
            StoreTime::Ours(now.epoch)
        } else if now.epoch >= SET_SINCE && localtime - now.epoch > MOST_APART_SECS {
            StoreTime::NotTheirs(now.epoch)
        } else if now.epoch - localtime > MOST_APART_SECS {
            StoreTime::Behind(localtime)
        } else {
            StoreTime::Theirs(localtime)
        }
    }

    /// Seconds since the epoch.
    pub fn epoch(self) -> i64 {
        match self {
            StoreTime::Theirs(epoch)
            | StoreTime::Behind(epoch)
            | StoreTime::Ours(epoch)
            | StoreTime::NotTheirs(epoch) => epoch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_whose_clock_is_far_ahead_is_stored_by_ours() {
        let now = |epoch| Now {
            epoch,
            ..Now::default()
        };
        let (ours, day) = (1_700_000_000, MOST_APART_SECS);
        let of = |localtime| StoreTime::of(localtime, now(ours));
        assert_eq!(of(ours + day), StoreTime::Theirs(ours + day));
        assert_eq!(of(ours + day + 1), StoreTime::NotTheirs(ours));
        assert_eq!(of(i64::MAX), StoreTime::NotTheirs(ours));
        assert_eq!(of(ours - day), StoreTime::Theirs(ours - day));
        assert_eq!(of(ours - day - 1), StoreTime::Behind(ours - day - 1));
        assert_eq!([of(0), of(i64::MIN)], [StoreTime::Ours(ours); 2]);
        // A machine that has just started may not know the time yet.
        let unset = StoreTime::of(ours, now(60));
        assert_eq!(unset, StoreTime::Theirs(ours));
    }
}
