//! How often what happened, so that nothing is tested that never comes about.

use std::collections::BTreeMap;

use super::seeds::Seen;

/// How often what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally(BTreeMap<&'static str, u64>);

/// All that is counted.
const COUNTED: [&str; 18] = [
    "closed",
    "disk operations",
    "forgotten",
    "forgotten, and back as nobody had promised it",
    "held",
    "held while there was no journal",
    "journal fails",
    "journal is mended",
    "journal opened late",
    "killed",
    "lost by their file",
    "lost power",
    "refused",
    "refused, as its file is known to have it",
    "started without a journal",
    "steps",
    "written",
    "written for want of room",
];

impl Tally {
    pub(super) fn count(&mut self, what: &'static str, more: u64) {
        assert!(COUNTED.contains(&what), "{what}");
        *self.0.entry(what).or_default() += more;
    }
}

impl Seen for Tally {
    fn add(&mut self, other: &Tally) {
        for (what, more) in &other.0 {
            self.count(what, *more);
        }
    }

    fn steps(&self) -> u64 {
        self.0.get("steps").copied().unwrap_or_default()
    }

    fn assert_that_all_of_it_happened(&self) {
        for what in COUNTED {
            assert!(self.0.get(what).is_some_and(|count| *count > 0), "{what}");
        }
    }
}
