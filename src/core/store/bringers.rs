//! How many sources bring a name: a quick look whether a name is shared, which most are not.
//!
//! Holds no names, so two of one hash count as one: the answer may be yes where it is no.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, RandomState};

use crate::model::AsItIs;

#[derive(Debug, Default)]
pub(super) struct Bringers {
    counts: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
    hasher: RandomState,
}

impl Bringers {
    /// A source brings that name.
    pub fn add(&mut self, name: &str) {
        *self.counts.entry(self.hasher.hash_one(name)).or_default() += 1;
    }

    /// A source does not bring it any more.
    pub fn remove(&mut self, name: &str) {
        let hash = self.hasher.hash_one(name);
        if let Some(count) = self.counts.get_mut(&hash) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&hash);
            }
        }
    }

    /// Whether several sources may bring it.
    pub fn may_be_several(&self, name: &str) -> bool {
        let count = self.counts.get(&self.hasher.hash_one(name));
        count.is_some_and(|count| *count > 1)
    }
}
