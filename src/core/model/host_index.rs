//! Which sources bring a host of a name, where several bring its cluster: found by hash.
//!
//! Shared between the store and readers. It is in small pieces: only those that change are copied, and only if
//! a reader has them. Holds no names, so that who looks has to compare them.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Entries of a piece, on average, from which on there are to be twice as many pieces.
const PIECE: usize = if cfg!(test) { 4 } else { 256 };

/// Hash of a name, and the number of a source.
type Entry = (u32, u32);

/// Sources by name of the host.
#[derive(Clone, Debug)]
pub struct HostIndex {
    /// By the first bits of the hash; each in order.
    pieces: Vec<Arc<Vec<Entry>>>,
    len: usize,
    hasher: RandomState,
}

impl Default for HostIndex {
    fn default() -> HostIndex {
        HostIndex {
            pieces: vec![Arc::default()],
            len: 0,
            hasher: RandomState::new(),
        }
    }
}

impl HostIndex {
    /// The sources that may bring a host of that name: each that does is among them.
    pub fn find(&self, name: &str) -> impl Iterator<Item = usize> {
        let hash = self.hash(name);
        let piece = &self.pieces[self.piece_of(hash)];
        let from = piece.partition_point(|entry| entry.0 < hash);
        let found = piece[from..].iter().take_while(move |it| it.0 == hash);
        found.map(|entry| entry.1 as usize)
    }

    /// A source brings it, which it did not before.
    pub fn add(&mut self, name: &str, source: usize) {
        if self.len >= self.pieces.len() * PIECE {
            self.grow();
        }
        let entry = (self.hash(name), source as u32);
        let at = self.piece_of(entry.0);
        let piece = Arc::make_mut(&mut self.pieces[at]);
        piece.insert(piece.partition_point(|it| *it < entry), entry);
        self.len += 1;
    }

    /// A source does not bring it any more.
    pub fn remove(&mut self, name: &str, source: usize) {
        let entry = (self.hash(name), source as u32);
        let at = self.piece_of(entry.0);
        if let Ok(found) = self.pieces[at].binary_search(&entry) {
            Arc::make_mut(&mut self.pieces[at]).remove(found);
            self.len -= 1;
        }
    }

    /// By which a name is found.
    pub(crate) fn hash(&self, name: &str) -> u32 {
        self.hasher.hash_one(name) as u32
    }

    fn piece_of(&self, hash: u32) -> usize {
        // There are a power of two of them.
        ((u64::from(hash) * self.pieces.len() as u64) >> u32::BITS) as usize
    }

    /// Each piece becomes two. Entries take eight bytes, so that even of very many this is soon done.
    fn grow(&mut self) {
        let before = std::mem::take(&mut self.pieces);
        self.pieces.resize_with(before.len() * 2, Arc::default);
        for piece in before {
            let middle = piece.partition_point(|entry| self.piece_of(entry.0).is_multiple_of(2));
            for half in [&piece[..middle], &piece[middle..]] {
                if let Some(first) = half.first() {
                    let at = self.piece_of(first.0);
                    self.pieces[at] = Arc::new(half.to_vec());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_found_by_the_names_that_they_bring_and_a_reader_keeps_its_moment() {
        let mut index = HostIndex::default();
        let name = |at: usize| format!("h{at}");
        let of = |index: &HostIndex, at| index.find(&name(at)).collect::<Vec<_>>();
        for at in 0..1000 {
            index.add(&name(at), at % 7);
            index.add(&name(at), 10);
        }
        assert!(index.pieces.len() > 100, "it has grown");
        assert!(index.pieces.iter().all(|it| it.is_sorted()));
        let reader = index.clone();
        for at in 0..1000 {
            index.remove(&name(at), at % 7);
            index.remove(&name(at), 9);
        }
        for at in 0..1000 {
            assert!(of(&reader, at).contains(&(at % 7)), "{at}");
            assert!(of(&index, at).contains(&10));
        }
        let left: usize = index.pieces.iter().map(|it| it.len()).sum();
        assert_eq!((left, index.len), (1000, 1000));
        assert!(of(&index, 1000).is_empty());
    }
}
