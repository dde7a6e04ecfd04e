//! Faults of clients, logged once for each address and repeated ever less often.
//!
//! Remembers a bounded number of addresses; all others share one entry.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Instant;

use gmetad_core::complaint::{Complaint, Say, span};

/// Most pairs of address and fault that are kept apart.
const MAX_KNOWN: usize = 256;

/// What a client can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Nuisance {
    /// Its address is not trusted.
    Untrusted,
    /// The limit of clients is reached.
    Crowd,
    /// It was closed so that another is served.
    MadeRoom,
    /// It is too slow, or its request is malformed.
    Fault,
    /// Part of its request is unknown and was ignored.
    Request,
}

/// Faults so far, by address and kind.
#[derive(Debug, Default)]
pub(super) struct Nuisances {
    known: HashMap<(IpAddr, Nuisance), Faults>,
    /// Of all other addresses.
    others: HashMap<Nuisance, Faults>,
}

/// Most different faults of one kind that are counted each.
const MAX_COUNTED: usize = 16;

/// Faults of one kind, of one address or of many.
#[derive(Debug, Default)]
struct Faults {
    complaint: Complaint,
    /// How often each was there, by a hash of what it is. A line tells one of them.
    counts: Vec<(u64, u64)>,
    hasher: RandomState,
}

impl Faults {
    /// Counts a fault. Returns what to log, if anything, with how often just that one was there.
    fn add(&mut self, what: &dyn Display, now: Instant) -> Option<Say> {
        let hash = self.hasher.hash_one(what.to_string());
        let known = self.counts.iter_mut().find(|(known, _)| *known == hash);
        let count = if let Some((_, count)) = known {
            *count += 1;
            *count
        } else {
            if self.counts.len() < MAX_COUNTED {
                self.counts.push((hash, 1));
            }
            1
        };
        Some(match self.complaint.failed(now)? {
            Say::First => Say::First,
            Say::Still { lasted, .. } => Say::Still {
                lasted,
                times: count,
            },
        })
    }
}

impl Nuisances {
    /// Logs a fault of an address, unless it was logged too recently.
    pub(super) fn tell(
        &mut self,
        address: IpAddr,
        nuisance: Nuisance,
        what: &dyn Display,
        now: Instant,
    ) {
        let key = (address, nuisance);
        let full = self.known.len() >= MAX_KNOWN && !self.known.contains_key(&key);
        let faults = if full {
            self.others.entry(nuisance).or_default()
        } else {
            self.known.entry(key).or_default()
        };
        let more = if full { " and others" } else { "" };
        match faults.add(what, now) {
            Some(Say::First) => log::warn!("client {address}{more}: {what}"),
            Some(Say::Still { lasted, times }) => log::warn!(
                "client {address}{more}: {what} ({times} times in {})",
                span(lasted)
            ),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_line_about_one_fault_does_not_count_the_others() {
        let start = Instant::now();
        let mut faults = Faults::default();
        assert_eq!(faults.add(&"too slow", start), Some(Say::First));
        for _ in 0..12_000 {
            assert_eq!(faults.add(&"malformed", start), None);
        }
        for _ in 0..238 {
            assert_eq!(faults.add(&"too slow", start), None);
        }
        let later = start + Duration::from_secs(100);
        let Some(Say::Still { times, .. }) = faults.add(&"too slow", later) else {
            panic!("it is time for a line");
        };
        assert_eq!(times, 240);
    }

    #[test]
    fn faults_without_end_take_a_bounded_room() {
        let now = Instant::now();
        let mut faults = Faults::default();
        for number in 0..10_000 {
            faults.add(&number, now);
        }
        assert_eq!(faults.counts.len(), MAX_COUNTED);
    }
}
