//! The core without a machine under it: a virtual clock, scripted peers and faults, from a seed.
//!
//! No sockets and no waiting: hours pass in a moment, and a seed repeats them to the byte. A
//! failure prints its seed; `GMETAD_SIMULATION_SEED=7 cargo test --test simulation` repeats it.

mod asker;
mod clients;
mod gmond;
mod plugins;
mod tally;
mod world;

use tally::Tally;
use world::World;

/// Seeds tried in one run.
const SEEDS: u64 = 24;

/// Things that happen under one seed.
const STEPS: usize = 4000;

/// Prints the seed of a run that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with GMETAD_SIMULATION_SEED={}", self.0);
        }
    }
}

#[test]
fn whatever_peers_and_clients_do_the_rules_hold() {
    let only = std::env::var("GMETAD_SIMULATION_SEED")
        .ok()
        .map(|seed| seed.parse().expect("a number"));
    let seeds = only.map_or(1..SEEDS + 1, |seed: u64| seed..seed + 1);
    let mut tally = Tally::default();
    for seed in seeds {
        let printed = Seed(seed);
        let mut world = World::new(printed.0);
        for _ in 0..STEPS {
            world.step();
        }
        tally.add(&world.finish());
    }
    if only.is_none() {
        tally.assert_that_all_of_it_happened();
    }
}

#[test]
fn a_seed_repeats_its_run() {
    let run = || {
        let mut world = World::new(99);
        for _ in 0..STEPS {
            world.step();
        }
        world.finish()
    };
    assert_eq!(run(), run());
}
