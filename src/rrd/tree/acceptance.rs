//! Whether the files of a cluster or grid take its values, and when to log that.
//!
//! A clock that was ahead and is right again, or that went back, costs all values until it has
//! caught up. No file and no clock here.

use std::time::{Duration, Instant};

use crate::writer::refusals::Refused;
use gmetad_core::complaint::Complaint;

/// After this many updates without a refusal, both the files of hosts and those of sums have been
/// written, and neither were refused.
const QUIET: u32 = 3;

/// Whether a node's files take its values.
#[derive(Debug, Default)]
pub(crate) struct Acceptance {
    state: AcceptanceState,
    complaint: Complaint,
    /// Whether the present refusal was logged.
    told: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum AcceptanceState {
    /// As far as is known.
    #[default]
    Taken,
    /// Some have newer ones.
    Refused {
        /// The newest of them.
        newest: u32,
        /// When one was last refused.
        noted: Instant,
        /// Updates since then.
        quiet: u32,
    },
}

/// What has changed, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcceptanceChange {
    /// Values are refused, of that many files and for so long.
    Refused { files: u32, wait: Duration },
    /// They are taken again, after so long.
    Taken(Duration),
}

impl Acceptance {
    /// Whether values were refused last.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.state, AcceptanceState::Refused { .. })
    }

    /// Goes on to an update of that time, with what was refused before it. What is written is refused
    /// at once, or up to `delay` later.
    pub(crate) fn follow(
        &mut self,
        refused: Option<Refused>,
        time: u32,
        now: Instant,
        delay: Duration,
    ) -> Option<AcceptanceChange> {
        match (refused, self.state) {
            (Some(Refused { newest, files }), before) => {
                let newest = match before {
                    AcceptanceState::Taken => newest,
                    AcceptanceState::Refused { newest: before, .. } => newest.max(before),
                };
                self.state = AcceptanceState::Refused {
                    newest,
                    noted: now,
                    quiet: 0,
                };
                let says = self.complaint.failed(now).is_some();
                if !says || std::mem::replace(&mut self.told, true) {
                    return None;
                }
                let wait = Duration::from_secs(newest.saturating_sub(time).into());
                Some(AcceptanceChange::Refused { files, wait })
            }
            (
                None,
                AcceptanceState::Refused {
                    newest,
                    noted,
                    quiet,
                },
            ) => {
                let is_quiet = quiet + 1 >= QUIET && now.saturating_duration_since(noted) >= delay;
                if time <= newest && !is_quiet {
                    self.state = AcceptanceState::Refused {
                        newest,
                        noted,
                        quiet: quiet + 1,
                    };
                    return None;
                }
                self.state = AcceptanceState::Taken;
                self.told = false;
                self.complaint.recovered(now).map(AcceptanceChange::Taken)
            }
            (None, AcceptanceState::Taken) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(30);

    #[test]
    fn a_clock_that_went_back_is_told_once_and_again_when_it_has_caught_up() {
        let begun = Instant::now();
        let at = |secs| begun + Duration::from_secs(secs);
        let mut acceptance = Acceptance::default();
        assert_eq!(acceptance.follow(None, 1000, at(0), DELAY), None);
        let refused = Some(Refused {
            newest: 1600,
            files: 3,
        });
        assert_eq!(
            acceptance.follow(refused, 1000, at(10), DELAY),
            Some(AcceptanceChange::Refused {
                files: 3,
                wait: Duration::from_secs(600)
            })
        );
        for step in 2..=60_u32 {
            let secs = u64::from(10 * step);
            assert_eq!(
                acceptance.follow(refused, 1000 + 10 * step, at(secs), DELAY),
                None
            );
        }
        assert!(acceptance.is_refused());
        assert_eq!(
            acceptance.follow(None, 1601, at(610), DELAY),
            Some(AcceptanceChange::Taken(Duration::from_secs(600)))
        );
        assert!(!acceptance.is_refused());
        assert_eq!(acceptance.follow(None, 1611, at(620), DELAY), None);
    }

    #[test]
    fn files_that_were_moved_away_end_it_too() {
        let begun = Instant::now();
        let mut acceptance = Acceptance::default();
        let refused = Some(Refused {
            newest: 5000,
            files: 1,
        });
        assert!(acceptance.follow(refused, 1000, begun, DELAY).is_some());
        for step in 1..5 {
            let soon = begun + Duration::from_secs(step);
            assert_eq!(acceptance.follow(None, 1001, soon, DELAY), None);
        }
        assert_eq!(
            acceptance.follow(None, 1030, begun + DELAY, DELAY),
            Some(AcceptanceChange::Taken(DELAY))
        );
        // Where it is known at once, both kinds of files have their turn.
        let later = begun + 100 * DELAY;
        let at_once = Duration::ZERO;
        assert!(acceptance.follow(refused, 1100, later, at_once).is_some());
        for _ in 1..QUIET {
            assert_eq!(acceptance.follow(None, 1101, later, at_once), None);
        }
        assert!(acceptance.follow(None, 1101, later, at_once).is_some());
    }

    #[test]
    fn two_clocks_that_take_turns_do_not_fill_the_log() {
        let begun = Instant::now();
        let mut acceptance = Acceptance::default();
        let mut turns = 0;
        for secs in 0..600_u32 {
            let (refused, time) = if secs % 2 == 0 {
                let newest = 4600 + secs;
                (Some(Refused { newest, files: 1 }), 1000 + secs)
            } else {
                (None, 4602 + secs)
            };
            let now = begun + Duration::from_secs(secs.into());
            turns += usize::from(acceptance.follow(refused, time, now, DELAY).is_some());
        }
        assert!(turns <= 8, "{turns}");
    }
}
