//! Who makes room for a newcomer where nothing is free.
//!
//! A limit must cost those who do nothing with what they hold, not the newcomer: first whoever has
//! waited longest without asking for anything, then whoever takes least of the answer. Who is being
//! served in time keeps the place. How many places there are is decided in `share`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::model::Mono;

/// Most that are looked at for one newcomer.
const LOOKED_AT: usize = 256;

/// What is known of a holder that may have to make room; the lower goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It has asked for nothing yet, or has all of its answer.
    Idle,
    /// It takes too little of its answer.
    Slow {
        /// On average; 0 if it has taken nothing for a while.
        bytes_per_sec: u64,
        /// When it last took something.
        taken: Mono,
    },
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Standing::Idle => "it was idle",
            Standing::Slow { .. } => "it took too little of its answer",
        })
    }
}

/// The place of one holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    address: IpAddr,
    /// Grows with each that comes.
    number: u64,
}

/// All holders, those that wait apart from those that are served.
#[derive(Debug)]
pub struct Room<K> {
    next: u64,
    idle: Line<K>,
    served: Line<K>,
    /// Where to look next among those that are served, so that nobody hides behind others.
    hand: u64,
}

/// Holders in the order in which they came.
#[derive(Debug)]
struct Line<K> {
    all: BTreeMap<u64, K>,
    by_address: BTreeMap<(IpAddr, u64), K>,
}

impl<K> Default for Room<K> {
    fn default() -> Self {
        let empty = || Line {
            all: BTreeMap::new(),
            by_address: BTreeMap::new(),
        };
        Room {
            next: 0,
            idle: empty(),
            served: empty(),
            hand: 0,
        }
    }
}

impl<K: Copy> Room<K> {
    /// One comes, and is idle.
    pub fn enter(&mut self, address: IpAddr, key: K) -> Place {
        let place = Place {
            address,
            number: self.next,
        };
        self.next += 1;
        self.idle.add(place, key);
        place
    }

    /// Notes whether it is idle.
    pub fn note(&mut self, place: Place, is_idle: bool) {
        let (from, to) = if is_idle {
            (&mut self.served, &mut self.idle)
        } else {
            (&mut self.idle, &mut self.served)
        };
        if let Some(key) = from.remove(place) {
            to.add(place, key);
        }
    }

    /// It goes.
    pub fn leave(&mut self, place: Place) {
        self.idle.remove(place);
        self.served.remove(place);
    }

    /// How many are idle.
    pub fn idle(&self) -> usize {
        self.idle.all.len()
    }

    /// Who makes room, of one address or of all. `standing` tells of a holder whether it may have
    /// to go; the caller then closes it.
    pub fn first(
        &mut self,
        of: Option<IpAddr>,
        mut standing: impl FnMut(K) -> Option<Standing>,
    ) -> Option<(K, Standing)> {
        let idle = self
            .idle
            .from(of, 0)
            .take(LOOKED_AT)
            .find_map(|(_, key)| Some((key, standing(key)?)));
        if idle.is_some() {
            return idle;
        }
        let mut looked_at = 0;
        let mut last = 0;
        let lowest = self
            .served
            .from(of, self.hand)
            .chain(self.served.from(of, 0))
            .take(LOOKED_AT.min(self.served.all.len()))
            .inspect(|(number, _)| {
                looked_at += 1;
                last = *number;
            })
            .filter_map(|(_, key)| Some((key, standing(key)?)))
            .min_by_key(|(_, standing)| *standing);
        if looked_at == LOOKED_AT {
            self.hand = last + 1;
        } else {
            self.hand = 0;
        }
        lowest
    }
}

impl<K: Copy> Line<K> {
    fn add(&mut self, place: Place, key: K) {
        self.all.insert(place.number, key);
        self.by_address.insert((place.address, place.number), key);
    }

    fn remove(&mut self, place: Place) -> Option<K> {
        self.by_address.remove(&(place.address, place.number));
        self.all.remove(&place.number)
    }

    /// Those of one address, or all, from that number on.
    fn from(&self, of: Option<IpAddr>, number: u64) -> Box<dyn Iterator<Item = (u64, K)> + '_> {
        if let Some(address) = of {
            let range = (address, number)..=(address, u64::MAX);
            let found = self.by_address.range(range);
            Box::new(found.map(|((_, number), key)| (*number, *key)))
        } else {
            let found = self.all.range(number..);
            Box::new(found.map(|(number, key)| (*number, *key)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timers::Random;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn slow(bytes_per_sec: u64) -> Standing {
        Standing::Slow {
            bytes_per_sec,
            taken: Mono(0),
        }
    }

    #[test]
    fn who_has_waited_longest_without_asking_goes_first_then_who_takes_least() {
        let mut room = Room::default();
        let places: Vec<_> = (0..6).map(|key| room.enter(address(1), key)).collect();
        for served in [0, 2, 4] {
            room.note(places[served], false);
        }
        let mut standings = [Some(slow(900)), None, Some(slow(70)), None, None, None];
        for idle in [1, 3, 5] {
            standings[idle] = Some(Standing::Idle);
        }
        let mut order = Vec::new();
        while let Some((key, standing)) = room.first(None, |key: usize| standings[key]) {
            order.push((key, standing));
            room.leave(places[key]);
        }
        let idle = |key| (key, Standing::Idle);
        assert_eq!(
            order,
            [idle(1), idle(3), idle(5), (2, slow(70)), (0, slow(900))],
            "and the fourth, which is served in time, stays"
        );
    }

    #[test]
    fn one_that_may_have_asked_already_is_passed_over() {
        let mut room = Room::default();
        room.enter(address(1), 0);
        room.enter(address(1), 1);
        let unread = |key| (key != 0).then_some(Standing::Idle);
        assert_eq!(room.first(None, unread), Some((1, Standing::Idle)));
        assert_eq!(room.first(None, |_| None), None);
    }

    #[test]
    fn of_those_who_take_nothing_the_one_that_took_something_last_goes_last() {
        let stalled = |taken| Standing::Slow {
            bytes_per_sec: 0,
            taken: Mono(taken),
        };
        let mut room = Room::default();
        for key in 0..3 {
            let place = room.enter(address(1), key);
            room.note(place, false);
        }
        let found = room.first(None, |key| Some(stalled([7, 5, 9][key])));
        assert_eq!(found, Some((1, stalled(5))));
    }

    #[test]
    fn an_address_that_has_its_share_makes_room_itself() {
        let mut room = Room::default();
        room.enter(address(1), 1);
        room.enter(address(2), 2);
        let idle = |_| Some(Standing::Idle);
        let key = |found: Option<(i32, Standing)>| found.map(|(key, _)| key);
        assert_eq!(key(room.first(Some(address(2)), idle)), Some(2));
        assert_eq!(key(room.first(None, idle)), Some(1));
        assert_eq!(key(room.first(Some(address(3)), idle)), None);
    }

    #[test]
    fn who_has_the_answer_is_idle_again_and_goes_by_when_it_came() {
        let mut room = Room::default();
        let first = room.enter(address(1), 1);
        room.enter(address(1), 2);
        room.note(first, false);
        assert_eq!(room.idle(), 1);
        room.note(first, true);
        assert_eq!(room.idle(), 2);
        let idle = |_| Some(Standing::Idle);
        assert_eq!(room.first(None, idle).map(|(key, _)| key), Some(1));
    }

    #[test]
    fn nobody_hides_behind_very_many_others() {
        let mut room = Room::default();
        for key in 0..10 * LOOKED_AT {
            let place = room.enter(address(1), key);
            room.note(place, false);
        }
        let hidden = 7 * LOOKED_AT + 3;
        let standing = |key| (key == hidden).then_some(slow(1));
        let found = (0..10).find_map(|_| room.first(Some(address(1)), standing));
        assert_eq!(found, Some((hidden, slow(1))));
    }

    #[test]
    fn whoever_comes_and_goes_both_lines_agree() {
        let mut random = Random::new(11);
        let mut room = Room::default();
        let mut here: Vec<(Place, u64, bool)> = Vec::new();
        for key in 0..20_000_u64 {
            let at = random.below(here.len().max(1) as u64) as usize;
            match random.below(3) {
                0 => {
                    let place = room.enter(address(random.below(5) as u8), key);
                    here.push((place, key, true));
                }
                1 if !here.is_empty() => {
                    here[at].2 = !here[at].2;
                    room.note(here[at].0, here[at].2);
                }
                2 if here.len() > 20 => room.leave(here.swap_remove(at).0),
                _ => {}
            }
        }
        let idle = here.iter().filter(|(.., is_idle)| *is_idle);
        let oldest = idle.clone().min_by_key(|(place, ..)| place.number);
        assert_eq!(room.idle(), idle.count());
        assert_eq!(room.idle.all.len(), room.idle.by_address.len());
        assert_eq!(room.served.all.len(), here.len() - room.idle());
        let found = room.first(None, |_| Some(Standing::Idle));
        assert_eq!(found.map(|(key, _)| key), oldest.map(|(_, key, _)| *key));
    }
}
