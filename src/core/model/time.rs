//! Time in the core: two clocks, which the caller reads.
//!
//! No clock here: nothing in the core reads one.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

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

/// How far a source's clock may be ahead of ours. Values of the future would block their files, which
/// accept ascending times only, until that time has come.
pub const MOST_AHEAD_SECS: i64 = 300;

/// From this on, a source's clock that is behind ours is told. Its time is taken nevertheless: it
/// blocks no file.
pub const MOST_BEHIND_SECS: i64 = 86_400;

/// The start of 2020. A clock before this was never set, so others are not compared with it.
pub const CLOCK_SET_SINCE: i64 = 1_577_836_800;

/// Which clock gives the time of a source's values, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreTime {
    /// The source's: the normal case.
    Theirs(i64),
    /// The source's, although it is more than a day behind.
    Behind(i64),
    /// Ours: the source gives no time.
    Ours(i64),
    /// Ours: the source's is too far ahead.
    NotTheirs(i64),
    /// Between ours and the source's, which is further ahead than it was lately.
    Doubted(i64),
}

impl StoreTime {
    /// For a source with that LOCALTIME whose document arrived at `now`.
    pub fn of(localtime: i64, now: Now) -> StoreTime {
        let ahead = localtime.saturating_sub(now.epoch);
        if localtime <= 0 {
            StoreTime::Ours(now.epoch)
        } else if now.epoch >= CLOCK_SET_SINCE && ahead > MOST_AHEAD_SECS {
            StoreTime::NotTheirs(now.epoch)
        } else if ahead < -MOST_BEHIND_SECS {
            StoreTime::Behind(localtime)
        } else {
            StoreTime::Theirs(localtime)
        }
    }

    /// The same, at most so many seconds ahead of our clock.
    #[must_use]
    pub fn at_most(self, ahead: i64, now: Now) -> StoreTime {
        let limit = now.epoch.saturating_add(ahead);
        match self {
            StoreTime::Theirs(epoch) | StoreTime::Doubted(epoch)
                if now.epoch >= CLOCK_SET_SINCE && epoch > limit =>
            {
                StoreTime::Doubted(limit)
            }
            time => time,
        }
    }

    /// Seconds since the epoch.
    pub fn epoch(self) -> i64 {
        match self {
            StoreTime::Theirs(epoch)
            | StoreTime::Behind(epoch)
            | StoreTime::Ours(epoch)
            | StoreTime::NotTheirs(epoch)
            | StoreTime::Doubted(epoch) => epoch,
        }
    }
}

/// Documents in which a source's clock must be ahead before that is believed: less may be one wrong
/// sample, and the source's later ones would be refused by its files.
const BELIEVED_AFTER: usize = 3;

/// How far ahead a clock may be at once: whole seconds, read at two moments.
const GRANTED_SECS: i64 = 2;

/// How far a source's clock was ahead of ours in its last documents.
#[derive(Clone, Copy, Debug, Default)]
pub struct SourceClock {
    /// Seconds, the newest first.
    ahead: [i64; BELIEVED_AFTER],
}

impl SourceClock {
    /// Notes the LOCALTIMEs of a document that arrived at `now`.
    #[cfg(test)]
    fn note(&mut self, localtimes: impl Iterator<Item = i64>, now: Now) {
        let ahead = localtimes.filter_map(|time| SourceClock::ahead(time, now));
        self.note_ahead(ahead.max());
    }

    /// How far ahead of ours a clock with that LOCALTIME is, if it is believed.
    pub fn ahead(localtime: i64, now: Now) -> Option<i64> {
        let is_believed = matches!(StoreTime::of(localtime, now), StoreTime::Theirs(_));
        is_believed.then(|| localtime.saturating_sub(now.epoch))
    }

    /// Notes the most of a document.
    pub fn note_ahead(&mut self, most: Option<i64>) {
        self.ahead.rotate_right(1);
        self.ahead[0] = most.unwrap_or(0);
    }

    /// The time of values with that LOCALTIME of the document noted last.
    pub fn time(&self, localtime: i64, now: Now) -> StoreTime {
        let believed = self.ahead.iter().copied().min().unwrap_or(0);
        StoreTime::of(localtime, now).at_most(believed.max(GRANTED_SECS), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: i64 = 1_700_000_000;

    fn at(epoch: i64) -> Now {
        Now {
            epoch,
            ..Now::default()
        }
    }

    #[test]
    fn a_source_whose_clock_is_far_ahead_is_stored_by_ours() {
        let (ahead, behind) = (OURS + MOST_AHEAD_SECS, OURS - MOST_BEHIND_SECS);
        let of = |localtime| StoreTime::of(localtime, at(OURS));
        assert_eq!(of(ahead), StoreTime::Theirs(ahead));
        assert_eq!(of(ahead + 1), StoreTime::NotTheirs(OURS));
        assert_eq!(of(i64::MAX), StoreTime::NotTheirs(OURS));
        assert_eq!(of(behind), StoreTime::Theirs(behind));
        assert_eq!(of(behind - 1), StoreTime::Behind(behind - 1));
        assert_eq!([of(0), of(i64::MIN)], [StoreTime::Ours(OURS); 2]);
        // A machine that has just started may not know the time yet.
        let unset = StoreTime::of(OURS, at(60));
        assert_eq!(unset, StoreTime::Theirs(OURS));
        assert_eq!(unset.at_most(0, at(60)), unset);
    }

    #[test]
    fn one_sample_ahead_is_not_believed_and_a_clock_that_stays_ahead_is() {
        let mut clock = SourceClock::default();
        let mut poll = |secs: i64, ahead: i64| {
            let now = at(OURS + secs);
            let localtime = now.epoch + ahead;
            clock.note([localtime].into_iter(), now);
            clock.time(localtime, now).epoch() - now.epoch
        };
        assert_eq!([poll(0, 0), poll(15, 2), poll(30, -20)], [0, 2, -20]);
        assert_eq!(poll(45, 240), 2, "it was not ahead before");
        assert_eq!([poll(60, 0), poll(75, 240), poll(90, 239)], [0, 2, 2]);
        assert_eq!(poll(105, 240), 239);
        assert_eq!(poll(120, 240), 239);
        assert_eq!(poll(135, 240), 240);
        // Too far ahead is not ahead, as our clock is taken.
        assert_eq!([poll(150, 3600), poll(165, 240)], [0, 2]);
    }
}
