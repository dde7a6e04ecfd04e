//! What a token of the loop stands for.
//!
//! No behaviour here: what each kind does is in the file of its name.

use std::collections::VecDeque;

use super::cached::{CachedClient, CachedListener};
use super::clients::Connection;
use super::listen::Listener;
use super::sources::Source;

/// What an event, a deadline or a turn is about.
pub(super) enum Slot {
    /// Nothing now; the next newcomer takes it.
    Free,
    /// Signals have come.
    Signals,
    /// Another thread has something for the loop.
    Waker,
    /// Work by the clock.
    Chore(Chore),
    /// A port; new clients.
    Listener(Listener),
    /// A polled source, connected or not.
    Source(Box<Source>),
    /// A client.
    Client(Box<Connection>),
    /// The rrdcached socket; new clients.
    CachedListener(CachedListener),
    /// A client of the rrdcached socket.
    CachedClient(Box<CachedClient>),
}

/// Work by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chore {
    /// Sum all sources up.
    Summary,
    /// Drop what is past its DMAX, one source a turn.
    Expiry,
    /// Look the trusted names up again.
    Names,
    /// Stop waiting for what is left at the end.
    Ending,
}

/// All slots, by token, and those that want a turn.
#[derive(Default)]
pub(super) struct Slots {
    by_token: Vec<Slot>,
    free: Vec<usize>,
    /// What somebody waits for and is soon done.
    prompt: VecDeque<usize>,
    /// What takes many turns: documents that are read or written.
    bulk: VecDeque<usize>,
    queued: Vec<bool>,
}

impl Slots {
    /// Puts a newcomer somewhere; its token.
    pub(super) fn add(&mut self, slot: Slot) -> usize {
        if let Some(at) = self.free.pop() {
            self.by_token[at] = slot;
            return at;
        }
        self.by_token.push(slot);
        self.queued.push(false);
        self.by_token.len() - 1
    }

    /// Frees a slot; whatever it held is dropped.
    pub(super) fn remove(&mut self, at: usize) {
        if !matches!(self.by_token[at], Slot::Free) {
            self.by_token[at] = Slot::Free;
            self.free.push(at);
        }
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Slot> {
        self.by_token.get_mut(at)
    }

    pub(super) fn len(&self) -> usize {
        self.by_token.len()
    }

    pub(super) fn clients(&self) -> impl Iterator<Item = &Connection> {
        self.by_token.iter().filter_map(|slot| match slot {
            Slot::Client(client) => Some(&**client),
            _ => None,
        })
    }

    pub(super) fn cached_clients(&self) -> impl Iterator<Item = &CachedClient> {
        self.by_token.iter().filter_map(|slot| match slot {
            Slot::CachedClient(client) => Some(&**client),
            _ => None,
        })
    }

    /// The slot of the client of the rrdcached socket with that number.
    pub(super) fn cached_client(&self, number: u64) -> Option<usize> {
        self.by_token.iter().position(
            |slot| matches!(slot, Slot::CachedClient(client) if client.number() == number),
        )
    }

    /// Gives the slot a turn, once, after those of its kind that wait for theirs.
    pub(super) fn make_ready(&mut self, at: usize) {
        let bulky = match &self.by_token[at] {
            Slot::Source(_) | Slot::Chore(_) => true,
            Slot::Client(client) => client.machine.wants_to_write(),
            _ => false,
        };
        self.queue(at, bulky);
    }

    /// Gives the slot another turn, when the prompt have had theirs.
    pub(super) fn make_ready_again(&mut self, at: usize) {
        self.queue(at, true);
    }

    fn queue(&mut self, at: usize, bulky: bool) {
        if !std::mem::replace(&mut self.queued[at], true) {
            let queue = if bulky {
                &mut self.bulk
            } else {
                &mut self.prompt
            };
            queue.push_back(at);
        }
    }

    /// Whether any wait for their turn.
    pub(super) fn are_ready(&self) -> bool {
        !self.prompt.is_empty() || !self.bulk.is_empty()
    }

    /// The prompt slot whose turn it is.
    pub(super) fn next_prompt(&mut self) -> Option<usize> {
        let at = self.prompt.pop_front()?;
        self.queued[at] = false;
        Some(at)
    }

    /// The other slot whose turn it is.
    pub(super) fn next_bulky(&mut self) -> Option<usize> {
        let at = self.bulk.pop_front()?;
        self.queued[at] = false;
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_soon_done_has_its_turn_before_long_work_and_nobody_has_two() {
        let mut slots = Slots::default();
        let long = slots.add(Slot::Chore(Chore::Expiry));
        let prompt = slots.add(Slot::Waker);
        let other = slots.add(Slot::Signals);

        for token in [long, prompt, long, other, prompt] {
            slots.make_ready(token);
        }
        assert_eq!(slots.next_prompt(), Some(prompt));
        assert_eq!(slots.next_prompt(), Some(other));
        assert_eq!(slots.next_prompt(), None);
        assert_eq!(slots.next_bulky(), Some(long));
        assert!(!slots.are_ready());

        slots.make_ready_again(prompt);
        assert_eq!(slots.next_prompt(), None);
        assert_eq!(slots.next_bulky(), Some(prompt));
    }
}
