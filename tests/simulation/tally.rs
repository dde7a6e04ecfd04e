//! What a run has seen, so that it is known whether it has proved anything.

use std::collections::HashMap;

/// What a run has seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub polls_good: u64,
    pub polls_failed: u64,
    pub missed: u64,
    pub moved: u64,
    pub gzipped: u64,
    pub answers: u64,
    /// Answers that another thread has made for a client that waited.
    pub delivered: u64,
    /// Those that came when their client had been told that it would not have them, or was gone.
    pub in_vain: u64,
    /// Questions of clients that nobody waited for before they were begun.
    pub spared: u64,
    /// Slices after which a question waited for its next one.
    pub sliced: u64,
    /// Requests with a body, and those whose body did not come.
    pub bodies: u64,
    pub without_body: u64,
    /// Clients that were told so, and those that were told to ask again.
    pub late: u64,
    pub busy: u64,
    pub faults: HashMap<String, u64>,
    pub failures: HashMap<String, u64>,
    /// What the clients were sent, mixed together.
    pub digest: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.polls_good += other.polls_good;
        self.polls_failed += other.polls_failed;
        self.missed += other.missed;
        self.moved += other.moved;
        self.gzipped += other.gzipped;
        self.answers += other.answers;
        self.delivered += other.delivered;
        self.in_vain += other.in_vain;
        self.spared += other.spared;
        self.sliced += other.sliced;
        self.bodies += other.bodies;
        self.without_body += other.without_body;
        self.late += other.late;
        self.busy += other.busy;
        for (into, from) in [
            (&mut self.faults, &other.faults),
            (&mut self.failures, &other.failures),
        ] {
            for (what, times) in from {
                *into.entry(what.clone()).or_default() += times;
            }
        }
    }

    /// A simulation in which something never happens proves nothing about it.
    pub fn assert_that_all_of_it_happened(&self) {
        let counts = [
            self.polls_good,
            self.polls_failed,
            self.missed,
            self.moved,
            self.gzipped,
            self.answers,
            self.sliced,
            self.bodies,
            self.without_body,
            self.delivered,
            self.in_vain,
            self.spared,
            self.late,
            self.busy,
        ];
        assert!(counts.iter().all(|count| *count > 20), "{self:?}");
        for fault in ["LongLine", "NoRequest", "Stalled", "Slow", "Gone"] {
            assert!(self.faults.contains_key(fault), "no {fault} in {self:?}");
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
            assert!(
                self.failures.contains_key(failure),
                "no {failure} in {self:?}"
            );
        }
    }
}
