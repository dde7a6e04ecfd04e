//! Whose values a sum is of: two sums of the same contributors may be held against each other.
//!
//! No set of names is kept, only what they add up to.

/// What tells whether the growth of a sum is the growth of its values: as long as it stays the same,
/// nobody came, nobody went, and no counter began anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contributors {
    /// The ids of those who brought a value, added up, so that their order does not matter.
    ids: u64,
    /// How often a counter of theirs was less than before.
    resets: u32,
}

/// An odd number whose bits are spread well.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// A number for a name, below the number of what it is in. Two names get the same one by an
/// accident that nobody will see; who wants it spoils only sums of its own.
pub fn id_of(within: u64, name: &[u8]) -> u64 {
    let mut id = within ^ (name.len() as u64).wrapping_mul(MIX);
    for chunk in name.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        id = (id ^ u64::from_le_bytes(word)).wrapping_mul(MIX);
        id ^= id >> 29;
    }
    id.wrapping_mul(MIX)
}

impl Contributors {
    /// One alone.
    pub fn one(id: u64) -> Contributors {
        Contributors { ids: id, resets: 0 }
    }

    /// Adds one.
    #[inline]
    pub fn add(&mut self, id: u64) {
        self.ids = self.ids.wrapping_add(id);
    }

    /// Takes one out again.
    pub fn remove(&mut self, id: u64) {
        self.ids = self.ids.wrapping_sub(id);
    }

    /// Notes counters that began anew, since the sum was first made.
    pub fn add_resets(&mut self, resets: u32) {
        self.resets = self.resets.wrapping_add(resets);
    }

    /// How often a counter began anew.
    pub fn resets(self) -> u32 {
        self.resets
    }

    /// Adds all of another sum's.
    pub fn merge(&mut self, other: Contributors) {
        self.add(other.ids);
        self.add_resets(other.resets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Contributors {
        let mut all = Contributors::default();
        for name in names {
            all.add(id_of(id_of(0, b"a cluster"), name.as_bytes()));
        }
        all
    }

    #[test]
    fn whoever_comes_or_goes_changes_it_and_their_order_does_not() {
        assert_eq!(of(&["a", "b", "c"]), of(&["c", "a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["a", "b", "c"]));
        assert_ne!(of(&["a", "b"]), of(&["a", "c"]), "as many, but others");
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a", "a"]), of(&["b", "b"]));
        assert_ne!(of(&["node1", "node4"]), of(&["node2", "node3"]));
    }

    #[test]
    fn a_host_is_another_in_another_cluster() {
        let one = id_of(id_of(0, b"one"), b"localhost");
        let two = id_of(id_of(0, b"two"), b"localhost");
        assert_ne!(one, two);
        assert_ne!(id_of(0, b"a"), id_of(0, b"a\0"), "its length counts");
    }

    #[test]
    fn a_counter_that_began_anew_is_never_forgotten() {
        let mut now = of(&["a"]);
        now.add_resets(1);
        assert_ne!(now, of(&["a"]));
        let mut all = of(&["b"]);
        all.merge(now);
        assert_eq!(all.resets(), 1);
        all.remove(id_of(id_of(0, b"a cluster"), b"b"));
        assert_eq!(all, now);
    }
}
