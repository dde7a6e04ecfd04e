//! What waits for a server: batches in order, up to a limit in bytes.
//!
//! No thread and no socket: who puts in and who takes out is decided elsewhere.

use std::collections::VecDeque;

/// As much as is handed to the server in one go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// As they go onto the wire, whole items only.
    pub bytes: Vec<u8>,
    /// How many values they hold.
    pub items: u32,
}

impl Batch {
    /// Memory it takes.
    fn weight(&self) -> usize {
        self.bytes.capacity() + size_of::<Batch>()
    }
}

/// Batches, oldest first; where there is no room for a new one, the oldest go.
#[derive(Debug)]
pub struct Backlog {
    batches: VecDeque<Batch>,
    weight: usize,
    limit_bytes: usize,
}

impl Backlog {
    /// An empty one that holds as many bytes at most.
    pub fn new(limit_bytes: usize) -> Backlog {
        Backlog {
            batches: VecDeque::new(),
            weight: 0,
            limit_bytes,
        }
    }

    /// Takes a batch; how many values had to go for it.
    pub fn put(&mut self, batch: Batch) -> u64 {
        self.weight += batch.weight();
        self.batches.push_back(batch);
        let mut dropped = 0;
        while self.weight > self.limit_bytes
            && let Some(oldest) = self.take()
        {
            dropped += u64::from(oldest.items);
        }
        dropped
    }

    /// The oldest batch.
    pub fn take(&mut self) -> Option<Batch> {
        let batch = self.batches.pop_front()?;
        self.weight -= batch.weight();
        Some(batch)
    }

    /// Forgets all of it; how many values that were.
    pub fn clear(&mut self) -> u64 {
        self.weight = 0;
        self.batches
            .drain(..)
            .map(|batch| u64::from(batch.items))
            .sum()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first: u8, items: u32) -> Batch {
        let mut bytes = Vec::with_capacity(100 - size_of::<Batch>());
        bytes.push(first);
        Batch { bytes, items }
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room_and_are_counted() {
        let mut backlog = Backlog::new(300);
        for at in 0..3 {
            assert_eq!(backlog.put(batch(at, 10)), 0);
        }
        assert_eq!(backlog.bytes(), 300);
        assert_eq!(backlog.put(batch(3, 10)), 10);
        assert_eq!(backlog.bytes(), 300);
        let left: Vec<u8> = std::iter::from_fn(|| backlog.take())
            .map(|batch| batch.bytes[0])
            .collect();
        assert_eq!(left, [1, 2, 3]);
        assert_eq!(backlog.bytes(), 0);
    }

    #[test]
    fn a_batch_over_the_limit_finds_no_room_at_all() {
        let mut backlog = Backlog::new(99);
        assert_eq!(backlog.put(batch(0, 7)), 7);
        assert_eq!((backlog.bytes(), backlog.take()), (0, None));
    }

    #[test]
    fn clearing_counts_what_is_lost() {
        let mut backlog = Backlog::new(300);
        backlog.put(batch(0, 1));
        backlog.put(batch(0, 2));
        assert_eq!((backlog.clear(), backlog.bytes()), (3, 0));
    }
}
