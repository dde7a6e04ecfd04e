//! The time that this run has seen pass, and when in it a time of day was.
//!
//! A clock that is set, and a machine that sleeps, move the time of day without time for anybody to be
//! heard in. Neither makes a file older here, nor does the time between two runs. No clock: callers
//! pass both readings in.

/// Seconds by which the time of day may be off between two readings, as where it is corrected slowly.
const JUMP_SECS: i64 = 300;

/// Most seconds between two readings that count: in more, this process was stopped.
const LONGEST_GAP_SECS: i64 = 3600;

/// Most jumps that are remembered.
const MOST_ERAS: usize = 32;

/// Seconds that this run has seen pass; negative before its start.
#[derive(Debug)]
pub(super) struct SeenTime {
    /// Oldest first, their times of day ascending; never empty.
    eras: Vec<Era>,
    now: i64,
    /// The last readings.
    mono: i64,
    wall: i64,
}

/// From a time of day on, both times go on together.
#[derive(Clone, Copy, Debug)]
struct Era {
    wall: i64,
    seen: i64,
}

impl SeenTime {
    /// A run starts. `newest` is when the run before it last wrote a file, as far as that is known.
    pub(super) fn starts(mono: i64, wall: i64, newest: Option<i64>) -> SeenTime {
        let before = newest.filter(|newest| *newest < wall);
        let eras = before.into_iter().chain([wall]);
        SeenTime {
            eras: eras.map(|wall| Era { wall, seen: 0 }).collect(),
            now: 0,
            mono,
            wall,
        }
    }

    /// Reads the clocks. Returns by how many seconds the time of day has jumped, if it has: less than
    /// 0 where it was set back.
    pub(super) fn read(&mut self, mono: i64, wall: i64) -> Option<i64> {
        let passed = (mono - self.mono).clamp(0, LONGEST_GAP_SECS);
        let jump = wall - self.wall - passed;
        self.now += passed;
        (self.mono, self.wall) = (mono, wall);
        if jump.abs() <= JUMP_SECS {
            return None;
        }
        self.eras.retain(|era| era.wall < wall);
        if self.eras.len() == MOST_ERAS {
            // What was written between the two now counts as younger than it is.
            self.eras.remove(1);
        }
        self.eras.push(Era {
            wall,
            seen: self.now,
        });
        Some(jump)
    }

    /// How much time has passed since the start.
    pub(super) fn now(&self) -> i64 {
        self.now
    }

    /// When a time of day was; where that may be one of several, the latest of them.
    pub(super) fn of(&self, wall: i64) -> i64 {
        let after = self.eras.partition_point(|era| era.wall <= wall);
        let Era { wall: from, seen } = self.eras[after.saturating_sub(1)];
        let end = self.eras.get(after).map_or(self.now, |next| next.seen);
        (seen + (wall - from)).min(end)
    }

    /// Whether a time of day was read after the last jump.
    pub(super) fn is_of_now(&self, wall: i64) -> bool {
        let last = self.eras[self.eras.len() - 1];
        (last.wall..=self.wall + JUMP_SECS).contains(&wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    /// As many hours as are given, each read at both clocks.
    fn pass(time: &mut SeenTime, hours: i64) {
        for _ in 0..hours {
            assert_eq!(time.read(time.mono + 3600, time.wall + 3600), None);
        }
    }

    #[test]
    fn a_clock_that_jumps_ahead_makes_nothing_older() {
        let mut time = SeenTime::starts(5, 100 * DAY, None);
        pass(&mut time, 24);
        assert_eq!(time.read(5 + DAY + 10, 131 * DAY), Some(30 * DAY - 10));
        assert_eq!(time.now(), DAY + 10);
        assert_eq!(time.of(101 * DAY), DAY, "as before it");
        assert_eq!(time.of(99 * DAY), -DAY);
        assert_eq!(
            time.of(120 * DAY),
            DAY + 10,
            "in the gap, which had no time"
        );
        pass(&mut time, 24);
        assert_eq!(time.of(131 * DAY + 60), DAY + 70);
        // And back: what was written ahead is as young as can be.
        let jump = time.read(time.mono, 102 * DAY + 10);
        assert_eq!(jump, Some(-30 * DAY + 10));
        assert_eq!(time.of(131 * DAY), time.now());
        assert_eq!(time.of(100 * DAY), 0);
    }

    #[test]
    fn the_time_between_two_runs_does_not_count() {
        let time = SeenTime::starts(0, 100 * DAY, Some(70 * DAY));
        assert_eq!(time.of(69 * DAY), -DAY);
        assert_eq!(time.of(80 * DAY), 0);
        assert_eq!(time.of(100 * DAY), 0);
        let ahead = SeenTime::starts(0, 100 * DAY, Some(170 * DAY));
        assert_eq!((ahead.of(99 * DAY), ahead.of(170 * DAY)), (-DAY, 0));
    }

    #[test]
    fn time_in_which_the_process_was_stopped_does_not_count() {
        let mut time = SeenTime::starts(0, 100 * DAY, None);
        assert_eq!(
            time.read(30 * DAY, 130 * DAY),
            Some(30 * DAY - LONGEST_GAP_SECS)
        );
        assert_eq!(time.now(), LONGEST_GAP_SECS);
    }

    #[test]
    fn a_clock_that_is_corrected_a_little_has_not_jumped() {
        let mut time = SeenTime::starts(0, 100 * DAY, None);
        assert_eq!(time.read(60, 100 * DAY + 60 + JUMP_SECS), None);
        assert_eq!(time.read(120, 100 * DAY + 120), None);
        assert_eq!(time.now(), 120);
        assert_eq!(time.of(101 * DAY), 120, "nothing is later than now");
    }

    #[test]
    fn however_often_a_clock_jumps_nothing_becomes_older_for_it() {
        let mut time = SeenTime::starts(0, 100 * DAY, None);
        for jump in 1..=100 {
            assert!(time.read(10 * jump, (100 + jump) * DAY).is_some());
            assert!(time.of((99 + jump) * DAY) >= 0);
            assert_eq!(time.of(99 * DAY), -DAY);
            assert!(time.eras.len() <= MOST_ERAS);
        }
        assert_eq!(time.now(), 1000);
    }

    #[test]
    fn what_was_read_before_a_jump_is_not_of_now() {
        let mut time = SeenTime::starts(0, 100 * DAY, None);
        assert!(time.is_of_now(100 * DAY) && !time.is_of_now(100 * DAY - 1));
        time.read(10, 130 * DAY);
        assert!(time.is_of_now(130 * DAY) && !time.is_of_now(100 * DAY + 5));
        time.read(20, 100 * DAY + 20);
        assert!(time.is_of_now(100 * DAY + 20) && !time.is_of_now(130 * DAY));
    }
}
