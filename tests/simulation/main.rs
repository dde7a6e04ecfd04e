//! The core simulated: a virtual clock, scripted peers and faults, from a seed.
//!
//! No sockets and no waiting: hours pass in a moment, and a seed repeats them to the byte. A
//! failure prints its seed; `GMETAD_SIMULATION_SEED=7 cargo test --test simulation` repeats it.

mod asker;
mod clients;
mod documents;
mod gmond;
mod model;
mod plugins;
#[path = "../support/seeds.rs"]
mod seeds;
mod sources;
mod tally;
mod world;

use tally::Tally;
use world::World;

/// Seeds tried in one run.
const SEEDS: u64 = 1000;

/// Events of one seed.
const STEPS: u64 = 600;

fn run(seed: u64) -> Tally {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.finish()
}

#[test]
fn the_rules_hold_whatever_peers_and_clients_do() {
    let tally = seeds::run("--test simulation", SEEDS, run);
    println!("{tally:#?}");
}

#[test]
fn a_seed_repeats_its_run() {
    seeds::repeats("--test simulation", 99, run);
}
