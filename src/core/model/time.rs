//! Time in the core: two clocks, which the caller reads.
//!
//! No clock here: nothing in the core reads one.

use std::time::Duration;

/// Monotonic milliseconds since the daemon's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// Whole seconds since `earlier`; 0 if that is later.
    pub fn secs_since(self, earlier: Mono) -> u32 {
        u32::try_from(self.0.saturating_sub(earlier.0) / 1000).unwrap_or(u32::MAX)
    }

    /// Full seconds of the clock that passed since `earlier`; 0 if that is later.
    ///
    /// For an age that is added up in steps: these add up to the whole, while each `secs_since` would
    /// lose up to a second.
    pub fn ticks_since(self, earlier: Mono) -> u32 {
        u32::try_from((self.0 / 1000).saturating_sub(earlier.0 / 1000)).unwrap_or(u32::MAX)
    }

    /// The time since `earlier`; zero if that is later.
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
    /// Seconds since the epoch, for times of day in output.
    pub epoch: i64,
}

/// Largest accepted difference between a source's clock and ours. Values of the future would block
/// their files, which accept ascending times only, until that time has come.
pub const MOST_APART_SECS: i64 = 86_400;

/// The start of 2020. A clock before this was never set, so others are not compared with it.
const SET_SINCE: i64 = 1_577_836_800;

/// Which clock gives the time of a source's values, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreTime {
    /// The source's: the normal case.
    Theirs(i64),
    /// The source's, although it is more than a day behind.
    Behind(i64),
    /// Ours: the source gives no time.
    Ours(i64),
    /// Ours: the source's is more than a day ahead.
    NotTheirs(i64),
}

impl StoreTime {
    /// For a source with that LOCALTIME whose document arrived at `now`.
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
