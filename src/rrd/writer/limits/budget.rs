//! How many new files a source may bring.
//!
//! In an hour, as many as its documents have had values at once, and a number more: so a cluster that
//! is new, or as it grows, has its files at once, and one that names other hosts in each document has
//! not. No files and no clock here.

use std::time::Duration;

use gmetad_core::model::Mono;

/// In which a whole budget comes back.
const PERIOD: Duration = Duration::from_secs(3600);

/// What one source has left.
#[derive(Debug)]
pub(super) struct Budget {
    /// Files beyond the values of a document.
    more: u64,
    left: f64,
    /// When it was last told that a document is there.
    now: Mono,
    /// When the document ended whose values are counted.
    document: Mono,
    values: u64,
    /// The most values that a document has had.
    most_values: u64,
}

impl Budget {
    pub(super) fn new(more: u64, now: Mono) -> Budget {
        Budget {
            more,
            left: more as f64,
            now,
            document: now,
            values: 0,
            most_values: 0,
        }
    }

    /// A part of the document that ended then has so many values.
    pub(super) fn expects(&mut self, values: u64, now: Mono) {
        self.pass(now);
        if now != self.document {
            self.document = now;
            self.values = 0;
        }
        self.values += values;
        let grown = self.values.saturating_sub(self.most_values);
        self.most_values += grown;
        self.left += grown as f64;
    }

    /// Time has passed.
    pub(super) fn pass(&mut self, now: Mono) {
        let whole = self.more as f64 + self.most_values as f64;
        let passed = now.since(self.now).as_secs_f64() / PERIOD.as_secs_f64();
        self.left = (self.left + whole * passed).min(whole);
        self.now = self.now.max(now);
    }

    /// Whether there is one file left.
    pub(super) fn has_one(&self) -> bool {
        self.left >= 1.0
    }

    /// A file was made.
    pub(super) fn take_one(&mut self) {
        self.left = (self.left - 1.0).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes as many files as there is budget for, up to so many.
    fn make(budget: &mut Budget, wanted: u64) -> u64 {
        let mut made = 0;
        while made < wanted && budget.has_one() {
            budget.take_one();
            made += 1;
        }
        made
    }

    fn at(secs: u64) -> Mono {
        Mono(1000 * secs)
    }

    #[test]
    fn a_new_cluster_has_all_its_files_at_once_however_large_it_is() {
        let mut budget = Budget::new(10, at(0));
        // Its hosts, and then its sums.
        budget.expects(330_000, at(0));
        budget.expects(40, at(0));
        assert_eq!(make(&mut budget, 1_000_000), 330_050);
    }

    #[test]
    fn a_cluster_that_grows_has_the_files_of_what_is_new() {
        let mut budget = Budget::new(10, at(0));
        let mut made = 0;
        for poll in 1..=100 {
            budget.expects(100 * poll, at(15 * poll));
            made += make(&mut budget, 100);
        }
        assert_eq!(made, 10_000);
    }

    #[test]
    fn one_that_names_other_hosts_each_time_has_no_more_than_a_document_and_the_limit_an_hour() {
        let mut budget = Budget::new(10_000, at(0));
        let mut made = 0;
        for poll in 0..3600 {
            budget.expects(4000, at(poll));
            made += make(&mut budget, 4000);
            if poll < 40 {
                assert!(made <= 14_200, "{made} after {poll} s");
            }
        }
        assert!((27_900..=28_000).contains(&made), "{made}");
    }

    #[test]
    fn a_document_that_shrinks_and_grows_again_gives_no_files_again() {
        let mut budget = Budget::new(0, at(0));
        budget.expects(1000, at(0));
        assert_eq!(make(&mut budget, 2000), 1000);
        budget.expects(1, at(0));
        budget.expects(1, at(1));
        budget.expects(1000, at(2));
        assert!(make(&mut budget, 2000) <= 2);
    }

    #[test]
    fn a_budget_comes_back_in_an_hour_and_grows_no_further() {
        let mut budget = Budget::new(100, at(0));
        budget.expects(260, at(0));
        assert_eq!(make(&mut budget, 1000), 360);
        budget.pass(at(1801));
        assert_eq!(make(&mut budget, 1000), 180);
        budget.pass(at(1_000_000));
        assert_eq!(make(&mut budget, 1000), 360);
    }
}
