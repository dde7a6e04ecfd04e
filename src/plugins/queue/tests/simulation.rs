//! The queue between the loop and a plugin thread that is quick, slow or stuck, from a seed.
//!
//! No thread: its end of the channel is read as the seed says. A failure prints its seed.

use std::collections::BTreeMap;

use super::*;
use gmetad_core::timers::Random;

#[path = "../../../../tests/support/seeds.rs"]
mod seeds;

const SEEDS: u64 = 100;
const STEPS: u64 = 1000;

/// Bytes that may be held back.
const HELD_BACK_BYTES: usize = 1 << 30;

/// Nodes of each of the sources.
const SOURCES: [&str; 2] = ["s", "t"];
const NODES: u64 = 100;

/// Sizes of snapshots: more than the channel may have at once, and more than may be held back.
const SIZES: [usize; 4] = [
    1000,
    CHANNEL_BYTES / 8,
    HELD_BACK_BYTES / 4,
    HELD_BACK_BYTES,
];

/// How often what happened.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    steps: u64,
    given: u64,
    done: u64,
    replaced: u64,
    held_back: u64,
    stuck: u64,
}

impl seeds::Seen for Tally {
    fn add(&mut self, other: &Tally) {
        self.steps += other.steps;
        self.given += other.given;
        self.done += other.done;
        self.replaced += other.replaced;
        self.held_back += other.held_back;
        self.stuck += other.stuck;
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn assert_that_all_of_it_happened(&self) {
        let all = [self.done, self.replaced, self.held_back, self.stuck];
        assert!(all.iter().all(|count| *count > 0), "{self:?}");
    }
}

struct World {
    random: Random,
    handle: PluginHandle,
    status: Arc<Status>,
    events: Receiver<Event>,
    /// Snapshots are small, so none is dropped for its size.
    all_small: bool,
    /// Until which step the thread does nothing.
    stuck_until: u64,
    /// By source and node: the number of the newest that was given, and that was done.
    given: BTreeMap<(usize, u64), i64>,
    done: BTreeMap<(usize, u64), i64>,
    tally: Tally,
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let status = Arc::new(Status::default());
        let (sender, events) = sync_channel(CHANNEL_EVENTS);
        let handle = PluginHandle::new(
            HELD_BACK_BYTES,
            sender,
            Channels::closed(),
            Arc::clone(&status),
            Arc::default(),
            thread::spawn(|| ()),
        );
        World {
            all_small: random.below(2) == 0,
            random,
            handle,
            status,
            events,
            stuck_until: 0,
            given: BTreeMap::new(),
            done: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    fn step(&mut self) {
        self.tally.steps += 1;
        match self.random.below(20) {
            0..9 => self.give(),
            9..18 if self.tally.steps >= self.stuck_until => drop(self.work()),
            18 => self.handle.pump(),
            19 if self.random.below(10) == 0 => {
                self.stuck_until = self.tally.steps + self.random.below(400);
                self.tally.stuck += 1;
            }
            _ => {}
        }
        self.check();
    }

    fn give(&mut self) {
        for _ in 0..self.random.below(6) {
            let (source, node) = (self.random.below(2) as usize, self.random.below(NODES));
            self.tally.given += 1;
            let number = self.tally.given as i64;
            let bytes = match self.random.below(4) as usize {
                at if !self.all_small => SIZES[at],
                _ => SIZES[0],
            };
            let mut update = sized(&node.to_string(), bytes);
            update.source = SOURCES[source].into();
            update.now.epoch = number;
            self.handle.send(update);
            self.given.insert((source, node), number);
        }
    }

    /// The thread does the next update, if there is one.
    fn work(&mut self) -> bool {
        let Ok(event) = self.events.try_recv() else {
            return false;
        };
        // As the worker does.
        self.status
            .bytes
            .fetch_sub(event.bytes(), Ordering::Relaxed);
        self.status.sent.fetch_sub(1, Ordering::Relaxed);
        let Event::Node(update) = event else {
            panic!("{event:?}");
        };
        let source = SOURCES.iter().position(|it| **it == *update.source);
        let node = update.node.name().parse().expect("a number");
        let key = (source.expect("one of them"), node);
        let before = self.done.insert(key, update.now.epoch);
        assert!(before < Some(update.now.epoch), "in order, and once");
        self.tally.done += 1;
        true
    }

    fn check(&mut self) {
        let QueueStatus {
            length,
            held_back,
            replaced,
        } = self.handle.queue();
        let settled = self.tally.done + replaced;
        assert_eq!(length as u64, self.tally.given - settled, "each is counted");
        let in_channel = length - held_back;
        let channel_bytes = self.status.bytes.load(Ordering::Relaxed);
        assert!(in_channel <= CHANNEL_EVENTS);
        assert!(channel_bytes <= CHANNEL_BYTES || in_channel == 1);
        let held = &self.handle.held_back;
        let bytes: usize = held.by_age.values().map(Event::bytes).sum();
        assert_eq!(held.bytes, bytes);
        assert!(bytes <= HELD_BACK_BYTES || held_back == 1);
        assert_eq!(held.age_of.len(), held_back, "one of each node at most");
        self.tally.held_back = self.tally.held_back.max(held_back as u64);
        self.tally.replaced = replaced;
    }

    /// The thread is quick again.
    fn finish(mut self) -> Tally {
        loop {
            while self.work() {}
            self.handle.pump();
            if self.handle.queue().length == 0 {
                break;
            }
        }
        self.check();
        if self.all_small {
            assert_eq!(self.done, self.given, "the newest of each node is not lost");
        }
        self.handle.begin_stop();
        assert!(matches!(self.events.try_recv(), Ok(Event::Stop)));
        self.tally
    }
}

fn run(seed: u64) -> Tally {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.finish()
}

#[test]
fn however_slow_the_thread_the_newest_replaces_the_older_in_a_simulation() {
    seeds::run("--lib queue::tests::simulation", SEEDS, run);
}
