//! What a run has covered, to know whether it has proved anything.

use std::collections::BTreeMap;

use super::seeds::Seen;

/// What a run has covered.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub steps: u64,
    counts: BTreeMap<&'static str, u64>,
    /// Why clients were let go, and why polls failed.
    faults: BTreeMap<String, u64>,
    failures: BTreeMap<String, u64>,
    /// What the clients were sent, mixed together.
    pub digest: u64,
}

/// All that is counted.
const COUNTED: [&str; 30] = [
    "answers in slices",
    "answers in whole",
    "answers made by another thread",
    "answers that are not begun",
    "answers that come in vain",
    "bodies of requests",
    "clients crowded out",
    "clients that make room",
    "clients that are not waited for",
    "clients told to ask again",
    "clients told too late",
    "contested hosts",
    "documents that are too much",
    "gzipped documents",
    "hosts carried over",
    "hosts past their DMAX",
    "jumps of the time of day",
    "ages of a dead source",
    "own grids handed back",
    "polls at another address",
    "polls missed",
    "polls that fail",
    "polls that succeed",
    "requests whose body does not come",
    "sources changed",
    "sources replaced",
    "steps of changes",
    "sums made in steps",
    "turns of work that was left",
    "whole documents checked",
];

impl Tally {
    pub fn count(&mut self, what: &'static str, more: u64) {
        debug_assert!(COUNTED.contains(&what), "{what}");
        *self.counts.entry(what).or_default() += more;
    }

    /// A client was let go, for that reason.
    pub fn fault(&mut self, why: &str) {
        *self.faults.entry(why.into()).or_default() += 1;
    }

    /// A host of a source failed, for that reason.
    pub fn fail(&mut self, why: &str) {
        *self.failures.entry(why.into()).or_default() += 1;
    }
}

impl Seen for Tally {
    fn add(&mut self, other: &Tally) {
        self.steps += other.steps;
        for (what, times) in &other.counts {
            self.count(what, *times);
        }
        for (into, from) in [
            (&mut self.faults, &other.faults),
            (&mut self.failures, &other.failures),
        ] {
            for (what, times) in from {
                *into.entry(what.clone()).or_default() += times;
            }
        }
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn assert_that_all_of_it_happened(&self) {
        for what in COUNTED {
            let count = self.counts.get(what).copied().unwrap_or_default();
            assert!(count > 20, "{what}: {count}");
        }
        for fault in ["LongLine", "NoRequest", "Stalled", "Slow", "Gone"] {
            assert!(self.faults.contains_key(fault), "no {fault}");
        }
        for failure in [
            "Unresolved",
            "ResolveTimeout",
            "Connect",
            "ConnectTimeout",
            "Silent",
            "Overlong",
            "Broken",
            "Nothing",
            "Gzip",
            "Document",
        ] {
            assert!(self.failures.contains_key(failure), "no {failure}");
        }
    }
}
