//! A table of slots with generational keys, and the queues of slots that wait for a turn.
//!
//! Generic over the content, which `slot.rs` defines.

use std::collections::VecDeque;
use std::io;

use mio::Token;

/// Bits of a token that hold the index: enough for more slots than there can be descriptors.
const INDEX_BITS: u32 = 24;

/// Names the content of a slot. Once that is removed the key finds nothing, even if the slot is in
/// use again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    index: u32,
    /// How many contents the slot has had before.
    generation: u32,
}

impl Key {
    /// The number of the slot. At any time only one valid key has it.
    pub(super) fn index(self) -> usize {
        self.index as usize
    }

    /// The key as a number, for other threads.
    pub(super) fn number(self) -> u64 {
        u64::from(self.generation) << u32::BITS | u64::from(self.index)
    }

    /// The key with that number.
    pub(super) fn of_number(number: u64) -> Key {
        Key {
            index: number as u32,
            generation: (number >> u32::BITS) as u32,
        }
    }

    /// The key as a token for the system. A 32-bit token holds only the lowest eight bits of the
    /// generation. That is enough: events are taken before a slot can be reused that often.
    pub(super) fn token(self) -> Token {
        Token(self.index() | (self.generation as usize) << INDEX_BITS)
    }
}

/// A queue of slots that wait for a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Short work that somebody waits for.
    Prompt,
    /// Long work over many turns: documents that are read or written.
    Bulk,
}

/// The outcome of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing to do until something happens.
    Waits,
    /// There is more to do now.
    Again,
    /// Finished: the slot can be removed.
    Gone,
}

/// Contents by key, and the keys that wait for a turn.
#[derive(Debug)]
pub(super) struct Slots<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    prompt: VecDeque<Key>,
    bulk: VecDeque<Key>,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    holds: Option<T>,
    /// Whether its key is in one of the queues.
    queued: bool,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots {
            places: Vec::new(),
            free: Vec::new(),
            prompt: VecDeque::new(),
            bulk: VecDeque::new(),
        }
    }
}

impl<T> Slots<T> {
    /// Adds content.
    pub(super) fn add(&mut self, newcomer: T) -> Key {
        self.add_with(|_| newcomer)
    }

    /// Adds content that needs to know its key.
    pub(super) fn add_with(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        let key = self.vacant();
        self.fill(key, make(key));
        key
    }

    /// The same where making the content can fail. The slot stays free then.
    pub(super) fn try_add_with(
        &mut self,
        make: impl FnOnce(Key) -> io::Result<T>,
    ) -> io::Result<Key> {
        let key = self.vacant();
        let newcomer = make(key)?;
        self.fill(key, newcomer);
        Ok(key)
    }

    /// The key of the next content to be added.
    fn vacant(&self) -> Key {
        let index = *self.free.last().unwrap_or(&(self.places.len() as u32));
        let place = self.places.get(index as usize);
        Key {
            index,
            generation: place.map_or(0, |place| place.generation),
        }
    }

    fn fill(&mut self, key: Key, newcomer: T) {
        let place = Place {
            generation: key.generation,
            holds: Some(newcomer),
            queued: false,
        };
        match self.free.pop() {
            Some(index) => self.places[index as usize] = place,
            None => self.places.push(place),
        }
    }

    /// Removes the content. The key is invalid from then on, in the queues too.
    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.place(key)?;
        let held = place.holds.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(held)
    }

    /// The content, unless it is gone.
    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.place(key)?.holds.as_mut()
    }

    fn place(&mut self, key: Key) -> Option<&mut Place<T>> {
        let place = self.places.get_mut(key.index())?;
        (place.generation == key.generation).then_some(place)
    }

    /// The key that belongs to a token.
    pub(super) fn key_of(&self, token: Token) -> Option<Key> {
        let key = self.key_at(token.0 & ((1 << INDEX_BITS) - 1))?;
        (key.token() == token).then_some(key)
    }

    /// The key of the content in the slot with that number.
    pub(super) fn key_at(&self, index: usize) -> Option<Key> {
        let place = self.places.get(index)?;
        place.holds.as_ref().map(|_| Key {
            index: index as u32,
            generation: place.generation,
        })
    }

    /// All valid keys, as a list, so that contents can be removed while going through it.
    pub(super) fn keys(&self) -> Vec<Key> {
        (0..self.places.len())
            .filter_map(|index| self.key_at(index))
            .collect()
    }

    /// All contents.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|place| place.holds.as_ref())
    }

    /// Queues the key for a turn, unless it is queued already.
    pub(super) fn queue(&mut self, key: Key, lane: Lane) {
        let Some(place) = self.place(key) else { return };
        if std::mem::replace(&mut place.queued, true) {
            return;
        }
        self.lane(lane).push_back(key);
    }

    /// Whether any key waits for a turn.
    pub(super) fn are_ready(&self) -> bool {
        !self.prompt.is_empty() || !self.bulk.is_empty()
    }

    /// The key whose turn is next in that queue.
    pub(super) fn next(&mut self, lane: Lane) -> Option<Key> {
        loop {
            let key = self.lane(lane).pop_front()?;
            // Removed meanwhile: skip it.
            if let Some(place) = self.place(key) {
                place.queued = false;
                return Some(key);
            }
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut VecDeque<Key> {
        match lane {
            Lane::Prompt => &mut self.prompt,
            Lane::Bulk => &mut self.bulk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gmetad_core::timers::Random;

    #[test]
    fn a_key_finds_what_it_was_made_for_and_nobody_after_that() {
        let mut slots = Slots::default();
        let first = slots.add("first");
        let other = slots.add("other");
        assert_eq!(slots.get_mut(first), Some(&mut "first"));
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.add("second");
        assert_eq!(second.index(), first.index(), "places are used again");
        assert_ne!(second, first);
        assert_ne!(second.token(), first.token());
        assert_ne!(second.number(), first.number());
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.key_of(first.token()), None);
        assert_eq!(slots.key_of(second.token()), Some(second));
        assert_eq!(slots.key_at(first.index()), Some(second));
        assert_eq!(slots.keys(), [second, other]);
        assert_eq!(
            slots.iter().copied().collect::<Vec<_>>(),
            ["second", "other"]
        );
        slots.remove(second);
        assert_eq!(slots.key_of(second.token()), None, "the place is free");
        assert_eq!(slots.keys(), [other]);
    }

    #[test]
    fn a_key_survives_as_a_number() {
        for (index, generation) in [(0, 0), (7, 1), (u32::MAX, 0), (3, u32::MAX)] {
            let key = Key { index, generation };
            assert_eq!(Key::of_number(key.number()), key);
        }
    }

    #[test]
    fn a_newcomer_that_fails_takes_no_place() {
        let mut slots = Slots::default();
        let mut seen = None;
        let failed = slots.try_add_with(|key| {
            seen = Some(key);
            Err::<(), _>(io::ErrorKind::Other.into())
        });
        assert!(failed.is_err());
        assert!(slots.keys().is_empty());
        let added = slots.try_add_with(|_| Ok(())).unwrap();
        assert_eq!(Some(added), seen, "and none is lost");
    }

    #[test]
    fn what_is_soon_done_has_its_turn_before_long_work_and_nobody_has_two() {
        let mut slots = Slots::default();
        let long = slots.add(());
        let prompt = slots.add(());
        let other = slots.add(());

        for key in [long, prompt, long, other, prompt] {
            let lane = if key == long {
                Lane::Bulk
            } else {
                Lane::Prompt
            };
            slots.queue(key, lane);
        }
        assert_eq!(slots.next(Lane::Prompt), Some(prompt));
        assert_eq!(slots.next(Lane::Prompt), Some(other));
        assert_eq!(slots.next(Lane::Prompt), None);
        assert_eq!(slots.next(Lane::Bulk), Some(long));
        assert!(!slots.are_ready());

        slots.queue(prompt, Lane::Bulk);
        assert_eq!(slots.next(Lane::Prompt), None);
        assert_eq!(slots.next(Lane::Bulk), Some(prompt));
    }

    #[test]
    fn the_turn_of_who_is_gone_is_nobodys() {
        let mut slots = Slots::default();
        let gone = slots.add(1);
        slots.queue(gone, Lane::Bulk);
        slots.remove(gone);
        let next = slots.add(2);
        slots.queue(next, Lane::Prompt);
        assert_eq!(slots.next(Lane::Bulk), None);
        assert_eq!(slots.next(Lane::Prompt), Some(next));
    }

    #[test]
    fn whatever_comes_and_goes_each_key_has_its_own() {
        let mut random = Random::new(5);
        let mut slots = Slots::default();
        let (mut here, mut gone) = (Vec::<(Key, u64)>::new(), Vec::new());
        for number in 0..20_000 {
            if random.below(2) == 0 || here.is_empty() {
                here.push((slots.add(number), number));
            } else {
                let at = random.below(here.len() as u64) as usize;
                let (key, held) = here.swap_remove(at);
                assert_eq!(slots.remove(key), Some(held));
                gone.push(key);
            }
        }
        for (key, mut held) in here.iter().copied() {
            assert_eq!(slots.get_mut(key), Some(&mut held));
            assert_eq!(slots.key_of(key.token()), Some(key));
        }
        assert!(gone.iter().all(|key| slots.get_mut(*key).is_none()));
        assert_eq!(slots.iter().count(), here.len());
        let most = here.len() + gone.len();
        assert!(slots.places.len() < most / 10, "places are used again");
    }
}
