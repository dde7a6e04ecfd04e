//! Which values a server refuses, since when, and when to log it.
//!
//! No I/O and no clock: answers and times come in. A refusal is an answer like any other: the next
//! values are sent at once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use gmetad_core::complaint::{Complaint, Say};

/// What a value is for at the server, such as its file or its key, as a hash.
pub type Target = u64;

/// The target of this name.
pub fn target(name: impl Hash) -> Target {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// Refused targets that are remembered at most.
const LIMIT: usize = 100_000;

/// A target that was neither refused nor accepted for so long is taken to be gone.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// The targets that refused their last value.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    refused: HashMap<Target, Instant>,
    complaint: Complaint,
}

impl Refusals {
    /// Targets that refused their last value.
    pub(super) fn len(&self) -> usize {
        self.refused.len()
    }

    /// Some of what was sent was refused: `refused` are places in `sent`. Returns what to log.
    pub(super) fn refuse(&mut self, sent: &[Target], refused: &[u32], now: Instant) -> Option<Say> {
        self.remove(sent);
        for target in refused.iter().filter_map(|at| sent.get(*at as usize)) {
            if self.refused.len() < LIMIT || self.refused.contains_key(target) {
                self.refused.insert(*target, now);
            }
        }
        self.complaint.failed(now)
    }

    /// All that was sent was accepted. Returns for how long values were refused, if that was logged
    /// and is over now.
    pub(super) fn accept(&mut self, sent: &[Target], now: Instant) -> Option<Duration> {
        self.remove(sent);
        self.refused
            .retain(|_, last| now.saturating_duration_since(*last) < FORGET_AFTER);
        if self.refused.is_empty() {
            self.complaint.recovered(now)
        } else {
            None
        }
    }

    fn remove(&mut self, sent: &[Target]) {
        for target in sent {
            if self.refused.is_empty() {
                return;
            }
            self.refused.remove(target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_is_over_when_what_was_refused_is_taken_and_not_before() {
        let now = Instant::now();
        let mut refusals = Refusals::default();
        assert_eq!(refusals.accept(&[1, 2], now), None);
        assert_eq!(refusals.refuse(&[1, 2, 3], &[1, 2], now), Some(Say::First));
        assert_eq!(refusals.len(), 2);
        assert_eq!(refusals.accept(&[1, 4], now + SECOND), None);
        assert_eq!(refusals.refuse(&[2, 3], &[1], now + SECOND), None);
        assert_eq!(refusals.len(), 1, "one of them is taken");
        assert_eq!(refusals.accept(&[3], now + 2 * SECOND), Some(2 * SECOND));
        assert_eq!(refusals.accept(&[3], now + 3 * SECOND), None);
    }

    #[test]
    fn what_is_no_longer_sent_is_forgotten() {
        let now = Instant::now();
        let mut refusals = Refusals::default();
        refusals.refuse(&[1, 2], &[0], now);
        assert_eq!(refusals.accept(&[2], now + SECOND), None);
        assert_eq!(
            refusals.accept(&[2], now + FORGET_AFTER),
            Some(FORGET_AFTER)
        );
        assert_eq!(refusals.len(), 0);
    }

    #[test]
    fn a_server_that_refuses_everything_costs_no_more_than_so_much_memory() {
        let now = Instant::now();
        let mut refusals = Refusals::default();
        for first in (0..4 * LIMIT as u64).step_by(1000) {
            let sent: Vec<Target> = (first..first + 1000).collect();
            let all: Vec<u32> = (0..1000).collect();
            refusals.refuse(&sent, &all, now);
        }
        assert_eq!(refusals.len(), LIMIT);
    }
}
