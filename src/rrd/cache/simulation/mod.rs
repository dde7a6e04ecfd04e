//! The cache and its journal on a machine that fails, from a seed: days pass in a moment, and the
//! process is killed or the power fails between any two operations.
//!
//! A failure prints its seed, and `GMETAD_SIMULATION_SEED=7 cargo test -p gmetad-rrd cache::simulation --
//! --nocapture` repeats it and tells what happens: seconds since the start, then an operation and what
//! became of it. What is put is held; what the journal has is promised to survive a kill, and what is on
//! the disk a power loss. `GMETAD_SEEDS=100000` tries more of them.
#![cfg(test)]

mod machine;
mod sample;
mod tally;
mod world;

use crate::seeds;
use tally::Tally;
use world::World;

/// Seeds that are tried in one run.
const SEEDS: u64 = 200;

fn run(seed: u64, tells: bool) -> Tally {
    World::new(seed, tells).run()
}

#[test]
fn nothing_promised_is_lost_and_nothing_is_written_twice_in_a_simulation() {
    let only = seeds::only().is_some();
    let tally = seeds::run("-p gmetad-rrd cache::simulation", SEEDS, |seed| {
        run(seed, only)
    });
    println!("{tally:#?}");
}

#[test]
fn a_seed_repeats_its_simulation() {
    seeds::repeats("-p gmetad-rrd cache::simulation", 99, |seed| {
        run(seed, false)
    });
}
