//! When to log a lasting problem: when it begins, ever less often, and when it ends.
//!
//! No I/O and no clock: the caller passes the time in and does the logging.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Log target of fatal errors, which end the daemon.
pub const FATAL: &str = "gmetad::fatal";
/// Log target of critical errors: a part of the daemon's work is not done.
pub const CRITICAL: &str = "gmetad::critical";

/// Log target of events in the daemon's life; see [`crate::life!`].
pub const LIFE: &str = "gmetad::life";
/// Log target for the end of a critical error; see [`crate::recovered!`].
pub const OVER_CRITICAL: &str = "gmetad::over::critical";
/// Log target for the end of an error.
pub const OVER_ERROR: &str = "gmetad::over::error";
/// Log target for the end of a warning.
pub const OVER_WARNING: &str = "gmetad::over::warning";

/// Logs an error that ends the daemon. These macros use the `log` crate of the caller: the core has
/// none.
#[macro_export]
macro_rules! fatal {
    ($($argument:tt)+) => { ::log::error!(target: $crate::complaint::FATAL, $($argument)+) };
}

/// Logs an error that the daemon survives, while a part of its work is not done.
#[macro_export]
macro_rules! critical {
    ($($argument:tt)+) => { ::log::error!(target: $crate::complaint::CRITICAL, $($argument)+) };
}

/// Logs an event in the daemon's life at any log level: a start, a source that answers, an end.
#[macro_export]
macro_rules! life {
    ($($argument:tt)+) => { ::log::error!(target: $crate::complaint::LIFE, $($argument)+) };
}

/// Logs that a critical error, an error or a warning is over, at every level at which it was logged.
#[macro_export]
macro_rules! recovered {
    (critical: $($argument:tt)+) => {
        ::log::error!(target: $crate::complaint::OVER_CRITICAL, $($argument)+)
    };
    (error: $($argument:tt)+) => {
        ::log::error!(target: $crate::complaint::OVER_ERROR, $($argument)+)
    };
    (warning: $($argument:tt)+) => {
        ::log::warn!(target: $crate::complaint::OVER_WARNING, $($argument)+)
    };
}

/// Least time between the first line and the second.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// The growth of each further pause.
const PAUSE_GROWTH: u32 = 4;
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// The log state of one problem that can begin and end.
///
/// A problem that comes and goes does not fill the log either: its pauses keep growing until it has
/// stayed away for as long as the last one.
#[derive(Clone, Debug, Default)]
pub struct Complaint(ProblemState);

/// What to log about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// It began.
    First,
    /// It lasts, or came back in the meantime.
    Still {
        /// Since its beginning.
        lasted: Duration,
        /// Number of failures, including this one.
        times: u64,
    },
}

#[derive(Clone, Debug, Default)]
enum ProblemState {
    /// No problem so far.
    #[default]
    Well,
    /// It is over. A new failure is not logged before `quiet_until`.
    Recovered {
        quiet_until: Instant,
        pause: Duration,
    },
    /// It lasts.
    Failing {
        since: Instant,
        times: u64,
        told: bool,
        quiet_until: Instant,
        pause: Duration,
    },
}

impl Complaint {
    /// No problem so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a failure, perhaps a repeated one. Returns what to log, if anything.
    pub fn failed(&mut self, now: Instant) -> Option<Say> {
        match &mut self.0 {
            ProblemState::Well => {
                self.0 = ProblemState::begun(now, FIRST_PAUSE);
                Some(Say::First)
            }
            ProblemState::Recovered { quiet_until, pause } => {
                let (quiet_until, pause) = (*quiet_until, *pause);
                if now < quiet_until {
                    self.0 = ProblemState::Failing {
                        since: now,
                        times: 1,
                        told: false,
                        quiet_until,
                        pause,
                    };
                    return None;
                }
                let flapping = now < quiet_until + pause;
                self.0 =
                    ProblemState::begun(now, if flapping { grown(pause) } else { FIRST_PAUSE });
                Some(Say::First)
            }
            ProblemState::Failing {
                since,
                times,
                told,
                quiet_until,
                pause,
            } => {
                *times += 1;
                if now < *quiet_until {
                    return None;
                }
                *told = true;
                *pause = grown(*pause);
                *quiet_until = now + *pause;
                Some(Say::Still {
                    lasted: now.saturating_duration_since(*since),
                    times: *times,
                })
            }
        }
    }

    /// Notes a success. Returns how long the problem lasted, if its end must be logged.
    pub fn recovered(&mut self, now: Instant) -> Option<Duration> {
        let ProblemState::Failing {
            since,
            told,
            quiet_until,
            pause,
            ..
        } = self.0
        else {
            return None;
        };
        self.0 = ProblemState::Recovered { quiet_until, pause };
        told.then(|| now.saturating_duration_since(since))
    }

    /// Whether the last note was a failure.
    pub fn failing(&self) -> bool {
        matches!(self.0, ProblemState::Failing { .. })
    }
}

impl ProblemState {
    fn begun(now: Instant, pause: Duration) -> Self {
        ProblemState::Failing {
            since: now,
            times: 1,
            told: true,
            quiet_until: now + pause,
            pause,
        }
    }
}

fn grown(pause: Duration) -> Duration {
    (pause * PAUSE_GROWTH).min(LONGEST_PAUSE)
}

/// Lines in an hour about things of which a peer may bring any number.
const LINES_AN_HOUR: u32 = 30;
const HOUR: Duration = Duration::from_secs(3600);

/// A limit on the lines that something may cause: some in an hour, and then how many there were more,
/// ever less often.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    /// When the first line of the hour was.
    since: Option<Instant>,
    told: u32,
    more: u64,
    about_more: Complaint,
}

impl Budget {
    /// Whether there is room for a line about something that has happened. If not, it is counted.
    pub fn has_room(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= HOUR {
            self.since = Some(now);
            self.told = 0;
        }
        if self.told < LINES_AN_HOUR {
            self.told += 1;
            return true;
        }
        self.more += 1;
        false
    }

    /// How many had no room, if that is to be logged now. To be asked after each update.
    pub fn more(&mut self, now: Instant) -> Option<u64> {
        if self.more == 0 {
            self.about_more.recovered(now);
            return None;
        }
        self.about_more.failed(now)?;
        Some(self.take_more())
    }

    /// Whether it is as good as new.
    fn is_quiet(&self, now: Instant) -> bool {
        let since = self.since;
        self.more == 0
            && !self.about_more.failing()
            && since.is_none_or(|since| now.saturating_duration_since(since) >= HOUR)
    }

    /// How many had no room and were not logged. For the end.
    pub fn take_more(&mut self) -> u64 {
        std::mem::take(&mut self.more)
    }
}

/// A budget for each source: none takes the lines of another.
#[derive(Clone, Debug, Default)]
pub struct Budgets {
    of: Vec<(Arc<str>, Budget)>,
}

impl Budgets {
    /// That of a source.
    pub fn of(&mut self, source: &Arc<str>) -> &mut Budget {
        let known = self.of.iter().position(|(name, _)| name == source);
        let at = known.unwrap_or_else(|| {
            self.of.push((Arc::clone(source), Budget::default()));
            self.of.len() - 1
        });
        &mut self.of[at].1
    }

    /// A source and how many of its lines had no room, if that is to be logged now. To be asked after
    /// each update until there is none.
    pub fn more(&mut self, now: Instant) -> Option<(Arc<str>, u64)> {
        let mut budgets = self.of.iter_mut();
        budgets.find_map(|(source, budget)| Some((Arc::clone(source), budget.more(now)?)))
    }

    /// The same for the end.
    pub fn take_more(&mut self) -> Option<(Arc<str>, u64)> {
        let mut budgets = self.of.iter_mut();
        budgets.find_map(|(source, budget)| match budget.take_more() {
            0 => None,
            more => Some((Arc::clone(source), more)),
        })
    }

    /// Forgets sources that had no line for an hour, and none that was not logged.
    pub fn forget_quiet(&mut self, now: Instant) {
        self.of.retain(|(_, budget)| !budget.is_quiet(now));
    }
}

/// Longest name in a line.
const NAME_CHARACTERS: usize = 100;

/// A name, which may be a peer's, as a part of a line: cut where it is long.
pub fn cut(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(NAME_CHARACTERS) {
        None => name.into(),
        Some((end, _)) => format!("{}…", &name[..end]).into(),
    }
}

/// A duration in its two largest units: `3 h 20 min`.
pub fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let units = [
        ("d", seconds / 86_400),
        ("h", seconds / 3600 % 24),
        ("min", seconds / 60 % 60),
    ];
    let Some(first) = units.iter().position(|(_, count)| *count > 0) else {
        return if seconds > 0 {
            format!("{seconds} s")
        } else {
            "less than a second".into()
        };
    };
    let (unit, count) = units[first];
    let (next_unit, next_count) = units.get(first + 1).copied().unwrap_or(("s", seconds % 60));
    if next_count == 0 {
        format!("{count} {unit}")
    } else {
        format!("{count} {unit} {next_count} {next_unit}")
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be had from the clock alone; what is tested takes it as an argument"
)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// When a thing that fails each second for `seconds` is talked about, in seconds.
    fn lines_of_a_lasting_failure(seconds: u32) -> Vec<u64> {
        let start = Instant::now();
        let mut complaint = Complaint::new();
        (0..seconds)
            .map(|second| start + SECOND * second)
            .filter(|now| complaint.failed(*now).is_some())
            .map(|now| (now - start).as_secs())
            .collect()
    }

    #[test]
    fn a_lasting_failure_is_told_at_once_and_then_ever_more_rarely() {
        assert_eq!(lines_of_a_lasting_failure(7000), [0, 60, 300, 1260, 5100]);
    }

    #[test]
    fn no_pause_is_longer_than_the_longest() {
        let lines = lines_of_a_lasting_failure(200_000);
        let last_two = &lines[lines.len() - 2..];
        assert_eq!(last_two[1] - last_two[0], LONGEST_PAUSE.as_secs());
    }

    #[test]
    fn what_is_told_later_says_how_long_and_how_often() {
        let start = Instant::now();
        let mut complaint = Complaint::new();
        assert_eq!(complaint.failed(start), Some(Say::First));
        assert_eq!(complaint.failed(start + 30 * SECOND), None);
        assert_eq!(
            complaint.failed(start + 70 * SECOND),
            Some(Say::Still {
                lasted: 70 * SECOND,
                times: 3
            })
        );
    }

    #[test]
    fn recovery_is_told_once_with_how_long_it_took() {
        let start = Instant::now();
        let mut complaint = Complaint::new();
        assert_eq!(complaint.recovered(start), None);
        complaint.failed(start);
        assert!(complaint.failing());
        assert_eq!(complaint.recovered(start + 45 * SECOND), Some(45 * SECOND));
        assert!(!complaint.failing());
        assert_eq!(complaint.recovered(start + 46 * SECOND), None);
    }

    #[test]
    fn a_failure_that_was_not_told_has_no_recovery_to_tell() {
        let start = Instant::now();
        let mut complaint = Complaint::new();
        complaint.failed(start);
        complaint.recovered(start + SECOND);
        assert_eq!(complaint.failed(start + 2 * SECOND), None);
        assert_eq!(complaint.recovered(start + 3 * SECOND), None);
    }

    #[test]
    fn going_to_and_fro_is_told_ever_more_rarely_too() {
        let start = Instant::now();
        let mut complaint = Complaint::new();
        let mut told = Vec::new();
        for second in (0..7000).step_by(2) {
            if complaint.failed(start + SECOND * second).is_some() {
                told.push(second);
            }
            complaint.recovered(start + SECOND * (second + 1));
        }
        assert_eq!(told, [0, 60, 300, 1260, 5100]);
    }

    #[test]
    fn a_thing_that_was_well_for_long_is_told_anew() {
        let start = Instant::now();
        let mut complaint = Complaint::new();
        complaint.failed(start);
        complaint.recovered(start + SECOND);
        let later = start + 1000 * SECOND;
        assert_eq!(complaint.failed(later), Some(Say::First));
        assert_eq!(complaint.failed(later + 59 * SECOND), None);
        assert!(complaint.failed(later + 60 * SECOND).is_some());
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let name = "ä".repeat(NAME_CHARACTERS);
        assert_eq!(cut(&name), name);
        assert_eq!(cut(&format!("{name}ä")), format!("{name}…"));
    }

    #[test]
    fn what_comes_in_masses_has_some_lines_an_hour_and_is_counted_beyond_that() {
        let start = Instant::now();
        let mut budget = Budget::default();
        let (mut lines, mut sums) = (0, Vec::new());
        // 1,000 at once, every 15 seconds for an hour.
        for update in 0..240 {
            let now = start + 15 * SECOND * update;
            lines += (0..1000).filter(|_| budget.has_room(now)).count();
            sums.extend(budget.more(now));
        }
        assert_eq!(lines, LINES_AN_HOUR as usize);
        assert!(sums.len() < 6, "{sums:?}");
        assert_eq!(sums[0], 1000 - u64::from(LINES_AN_HOUR));
        let all = sums.iter().sum::<u64>() + budget.take_more();
        assert_eq!(all, 240_000 - u64::from(LINES_AN_HOUR), "none is forgotten");
        assert!(budget.has_room(start + HOUR), "the next hour");
        assert_eq!(budget.more(start + HOUR), None);
    }

    #[test]
    fn no_source_takes_the_lines_of_another() {
        let start = Instant::now();
        let mut budgets = Budgets::default();
        let (loud, quiet): (Arc<str>, Arc<str>) = ("loud".into(), "quiet".into());
        let mut lines = (0, 0);
        for update in 0..240 {
            let now = start + 15 * SECOND * update;
            let room = |_: &u32| budgets.of(&loud).has_room(now);
            lines.0 += (0..1000).filter(room).count();
            if update % 10 == 0 {
                lines.1 += usize::from(budgets.of(&quiet).has_room(now));
            }
            while let Some((source, _)) = budgets.more(now) {
                assert_eq!(source, loud);
            }
        }
        assert_eq!(lines, (LINES_AN_HOUR as usize, 24));
        assert_eq!(budgets.take_more().map(|(source, _)| source), Some(loud));
        assert_eq!(budgets.take_more(), None);
        let after = start + 3 * HOUR;
        while budgets.more(after).is_some() {}
        budgets.forget_quiet(after);
        assert!(budgets.of.is_empty(), "{budgets:?}");
    }

    #[test]
    fn lengths_of_time_are_told_in_two_units() {
        let told = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(span(Duration::from_millis(999)), "less than a second");
        assert_eq!(told(59), "59 s");
        assert_eq!(told(60), "1 min");
        assert_eq!(told(200), "3 min 20 s");
        assert_eq!(told(3 * 3600 + 20 * 60 + 5), "3 h 20 min");
        assert_eq!(told(3 * 3600 + 5), "3 h");
        assert_eq!(told(90_000), "1 d 1 h");
    }
}
