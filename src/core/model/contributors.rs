//! The hosts whose values are in a sum: only sums of the same contributors can be compared.
//!
//! Keeps no set of names, only a checksum.

/// Tells whether the growth of a sum is the growth of its values. As long as this is equal, no
/// contributor came or went, and no counter was reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contributors {
    /// The sum of the contributors' ids, which does not depend on their order.
    ids: u64,
    /// Resets of their counters: how often one was less than before.
    resets: u32,
}

/// An odd number with well spread bits.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// A hash of a name within the parent of that id. A collision by chance is too rare to matter; a
/// source that makes one on purpose spoils only its own sums.
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
    /// A single contributor.
    pub fn one(id: u64) -> Contributors {
        Contributors { ids: id, resets: 0 }
    }

    /// Adds a contributor.
    #[inline]
    pub fn add(&mut self, id: u64) {
        self.ids = self.ids.wrapping_add(id);
    }

    /// Removes a contributor.
    pub fn remove(&mut self, id: u64) {
        self.ids = self.ids.wrapping_sub(id);
    }

    /// Adds resets of counters.
    pub fn add_resets(&mut self, resets: u32) {
        self.resets = self.resets.wrapping_add(resets);
    }

    /// Resets of counters since the sum was first made.
    pub fn resets(self) -> u32 {
        self.resets
    }

    /// Adds all contributors and resets of another sum.
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
