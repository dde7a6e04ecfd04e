//! Snapshots that are still being sent, and which of them slow clients keep in memory.
//!
//! Closes no connection: it only says which snapshots are too old to keep. It holds them too, so that
//! the last client that is done does not have to drop a large one.

use std::collections::VecDeque;
use std::sync::Arc;

use gmetad_core::client::ANSWER_LIMIT;
use gmetad_core::model::{Mono, Snapshot};

/// Most snapshots held for longer than `ANSWER_LIMIT`. Each keeps in memory what has changed since.
/// Younger ones need no limit: a source makes no more of them than it has polls in that time.
const MAX_OLD: usize = 16;

/// Snapshots that answers are made from.
#[derive(Debug, Default)]
pub(super) struct Moments {
    /// Oldest first.
    given: VecDeque<Given>,
    next: u64,
}

#[derive(Debug)]
struct Given {
    number: u64,
    at: Mono,
    snapshot: Arc<Snapshot>,
}

impl Moments {
    /// Numbers a snapshot that an answer is made from. Numbers never decrease.
    pub(super) fn give(&mut self, snapshot: &Arc<Snapshot>, now: Mono) -> u64 {
        if let Some(last) = self.given.back()
            && Arc::ptr_eq(&last.snapshot, snapshot)
        {
            return last.number;
        }
        self.next += 1;
        self.given.push_back(Given {
            number: self.next,
            at: now,
            snapshot: Arc::clone(snapshot),
        });
        self.next
    }

    /// Where too many old ones are held: the lowest number that may stay.
    pub(super) fn let_go_before(&self, now: Mono) -> Option<u64> {
        if self.given.len() <= MAX_OLD {
            return None;
        }
        let old = self
            .given
            .partition_point(|given| now.since(given.at) > ANSWER_LIMIT);
        let too_many = old.checked_sub(MAX_OLD).filter(|count| *count > 0)?;
        // The newest of the old ones always stays.
        self.given.get(too_many).map(|given| given.number)
    }

    /// Those that nobody else holds, to be dropped step by step.
    pub(super) fn free(&mut self) -> Vec<Arc<Snapshot>> {
        let mut free = Vec::new();
        self.given.retain(|given| {
            let is_held = Arc::strong_count(&given.snapshot) > 1;
            if !is_held {
                free.push(Arc::clone(&given.snapshot));
            }
            is_held
        });
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_where_too_many_are_held_for_long() {
        let mut moments = Moments::default();
        let snapshots: Vec<_> = (0..3 * MAX_OLD).map(|_| Arc::default()).collect();
        let at = |second: usize| Mono(second as u64 * 1000);
        let give = |(second, it)| moments.give(it, at(second));
        let numbers: Vec<u64> = snapshots.iter().enumerate().map(give).collect();
        assert!(numbers.is_sorted());
        let last = numbers.len() - 1;
        assert_eq!(moments.give(&snapshots[last], at(last)), numbers[last]);
        assert_eq!(
            moments.let_go_before(at(60)),
            None,
            "many, but none for long"
        );
        assert_eq!(moments.let_go_before(at(60 + MAX_OLD)), None);
        let later = at(60 + MAX_OLD + 3);
        assert_eq!(moments.let_go_before(later), Some(numbers[3]));
        drop(snapshots.into_iter().take(3).collect::<Vec<_>>());
        assert_eq!(moments.free().len(), 3 * MAX_OLD, "those and the rest");
        assert_eq!(moments.let_go_before(later), None, "nobody holds any more");
    }

    #[test]
    fn what_nobody_holds_takes_no_place() {
        let mut moments = Moments::default();
        for second in 0..1000 {
            moments.give(&Arc::default(), Mono(second * 1000));
            assert_eq!(moments.free().len(), 1);
            assert_eq!(moments.let_go_before(Mono(second * 1000)), None);
        }
        assert!(moments.given.is_empty());
    }
}
