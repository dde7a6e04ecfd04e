//! Values that files refuse because they have newer ones: whose they are, and when to speak of it.
//!
//! A clock that was ahead and is right again, or that went back, costs all values until it has
//! caught up. No file and no clock here.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gmetad_core::complaint::Complaint;

/// What was refused since it was last asked for, by the folder below the root.
///
/// Shared with the thread that hears what an rrdcached refuses.
#[derive(Clone, Debug)]
pub(crate) struct Refusals {
    root: Arc<Path>,
    noted: Arc<Mutex<HashMap<Box<str>, Refused>>>,
}

/// What was refused of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Time of the newest value that those files have.
    pub(crate) newest: u32,
    /// How many did.
    pub(crate) files: u32,
}

impl Refusals {
    pub(crate) fn new(root: &Path) -> Refusals {
        Refusals {
            root: root.into(),
            noted: Arc::default(),
        }
    }

    /// Notes that a file refuses a value, as it has one of `newest`.
    pub(crate) fn note(&self, path: &[u8], newest: u32) {
        let path = Path::new(OsStr::from_bytes(path));
        let inside = path.strip_prefix(&self.root).ok();
        let Some(node) = inside.and_then(|it| it.iter().next()?.to_str()) else {
            return;
        };
        let mut noted = self.lock();
        let refused = match noted.get_mut(node) {
            Some(refused) => refused,
            None => noted.entry(node.into()).or_default(),
        };
        refused.newest = refused.newest.max(newest);
        refused.files += 1;
    }

    /// What was refused of a node since the last call.
    pub(crate) fn take(&self, node: &str) -> Option<Refused> {
        self.lock().remove(node)
    }

    /// Forgets what was refused of others than these.
    pub(crate) fn keep(&self, is_known: impl Fn(&str) -> bool) {
        self.lock().retain(|node, _| is_known(node));
    }

    /// Where a node's files are.
    pub(crate) fn folder(&self, node: &str) -> PathBuf {
        self.root.join(node)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Refused>> {
        // A map is whole after each call.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Updates of a node, of its hosts and of its sums in turn, before which nothing was refused: then
/// neither were refused.
const QUIET: u32 = 3;

/// Whether a node's files take its values.
#[derive(Debug, Default)]
pub(crate) struct Course {
    state: State,
    complaint: Complaint,
    /// Whether the refusal that lasts was spoken of.
    told: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
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
pub(crate) enum Turn {
    /// Values are refused, of that many files and for so long.
    Refused { files: u32, wait: Duration },
    /// They are taken again, after so long.
    Taken(Duration),
}

impl Course {
    /// Whether values were refused last.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused { .. })
    }

    /// Goes on to an update of that time, with what was refused before it. What is written is refused
    /// at once, or up to `delay` later.
    pub(crate) fn follow(
        &mut self,
        refused: Option<Refused>,
        time: u32,
        now: Instant,
        delay: Duration,
    ) -> Option<Turn> {
        match (refused, self.state) {
            (Some(Refused { newest, files }), before) => {
                let newest = match before {
                    State::Taken => newest,
                    State::Refused { newest: before, .. } => newest.max(before),
                };
                self.state = State::Refused {
                    newest,
                    noted: now,
                    quiet: 0,
                };
                let says = self.complaint.failed(now).is_some();
                if !says || std::mem::replace(&mut self.told, true) {
                    return None;
                }
                let wait = Duration::from_secs(newest.saturating_sub(time).into());
                Some(Turn::Refused { files, wait })
            }
            (
                None,
                State::Refused {
                    newest,
                    noted,
                    quiet,
                },
            ) => {
                let is_quiet = quiet + 1 >= QUIET && now.saturating_duration_since(noted) >= delay;
                if time <= newest && !is_quiet {
                    self.state = State::Refused {
                        newest,
                        noted,
                        quiet: quiet + 1,
                    };
                    return None;
                }
                self.state = State::Taken;
                self.told = false;
                self.complaint.recovered(now).map(Turn::Taken)
            }
            (None, State::Taken) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(30);

    #[test]
    fn what_is_refused_is_noted_by_node() {
        let refusals = Refusals::new(Path::new("/r"));
        refusals.note(b"/r/c/h/m.rrd", 7);
        refusals.note(b"/r/c/__SummaryInfo__/m.rrd", 9);
        refusals.note(b"/r/d/h/m.rrd", 8);
        refusals.note(b"/elsewhere/c/h/m.rrd", 100);
        let of = |newest, files| Some(Refused { newest, files });
        assert_eq!(refusals.take("c"), of(9, 2));
        assert_eq!(refusals.take("c"), None);
        refusals.note(b"/r/e/h/m.rrd", 8);
        refusals.keep(|node| node == "d");
        assert_eq!(refusals.take("d"), of(8, 1));
        assert_eq!(refusals.take("e"), None);
    }

    #[test]
    fn a_clock_that_went_back_is_told_once_and_again_when_it_has_caught_up() {
        let begun = Instant::now();
        let at = |secs| begun + Duration::from_secs(secs);
        let mut course = Course::default();
        assert_eq!(course.follow(None, 1000, at(0), DELAY), None);
        let refused = Some(Refused {
            newest: 1600,
            files: 3,
        });
        assert_eq!(
            course.follow(refused, 1000, at(10), DELAY),
            Some(Turn::Refused {
                files: 3,
                wait: Duration::from_secs(600)
            })
        );
        for step in 2..=60_u32 {
            let secs = u64::from(10 * step);
            assert_eq!(
                course.follow(refused, 1000 + 10 * step, at(secs), DELAY),
                None
            );
        }
        assert!(course.is_refused());
        assert_eq!(
            course.follow(None, 1601, at(610), DELAY),
            Some(Turn::Taken(Duration::from_secs(600)))
        );
        assert!(!course.is_refused());
        assert_eq!(course.follow(None, 1611, at(620), DELAY), None);
    }

    #[test]
    fn files_that_were_moved_away_end_it_too() {
        let begun = Instant::now();
        let mut course = Course::default();
        let refused = Some(Refused {
            newest: 5000,
            files: 1,
        });
        assert!(course.follow(refused, 1000, begun, DELAY).is_some());
        for step in 1..5 {
            let soon = begun + Duration::from_secs(step);
            assert_eq!(course.follow(None, 1001, soon, DELAY), None);
        }
        assert_eq!(
            course.follow(None, 1030, begun + DELAY, DELAY),
            Some(Turn::Taken(DELAY))
        );
        // Where it is known at once, both kinds of files have their turn.
        let later = begun + 100 * DELAY;
        let at_once = Duration::ZERO;
        assert!(course.follow(refused, 1100, later, at_once).is_some());
        for _ in 1..QUIET {
            assert_eq!(course.follow(None, 1101, later, at_once), None);
        }
        assert!(course.follow(None, 1101, later, at_once).is_some());
    }

    #[test]
    fn two_clocks_that_take_turns_do_not_fill_the_log() {
        let begun = Instant::now();
        let mut course = Course::default();
        let mut turns = 0;
        for secs in 0..600_u32 {
            let (refused, time) = if secs % 2 == 0 {
                let newest = 4600 + secs;
                (Some(Refused { newest, files: 1 }), 1000 + secs)
            } else {
                (None, 4602 + secs)
            };
            let now = begun + Duration::from_secs(secs.into());
            turns += usize::from(course.follow(refused, time, now, DELAY).is_some());
        }
        assert!(turns <= 8, "{turns}");
    }
}
