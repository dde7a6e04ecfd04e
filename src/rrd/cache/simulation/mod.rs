//! The cache and its journal on a machine that fails, from a seed: days pass in a moment, and the
//! process is killed or the power fails between any two operations.
//!
//! A failure prints its seed, and `GMETAD_SIMULATION_SEED=7 cargo test -p gmetad-rrd simulation`
//! repeats it and tells what happens. `GMETAD_SEEDS=100000` tries more of them.

mod machine;
mod sample;
mod tally;
mod world;

use tally::Tally;
use world::World;

/// Seeds that are tried in one run.
const SEEDS: u64 = 200;

/// Prints the seed of a run that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "to repeat this: GMETAD_SIMULATION_SEED={} cargo test -p gmetad-rrd simulation",
                self.0
            );
        }
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

fn run(seed: u64, tells: bool) -> Tally {
    let printed = Seed(seed);
    World::new(printed.0, tells).run()
}

#[test]
fn nothing_promised_is_lost_and_nothing_is_written_twice_in_a_simulation() {
    if let Some(seed) = number("GMETAD_SIMULATION_SEED") {
        println!("{:#?}", run(seed, true));
        return;
    }
    let mut tally = Tally::default();
    for seed in 1..=number("GMETAD_SEEDS").unwrap_or(SEEDS) {
        tally.add(&run(seed, false));
    }
    println!("{tally:#?}");
    tally.assert_that_all_of_it_happened();
}

#[test]
fn a_seed_repeats_its_simulation() {
    assert_eq!(run(99, false), run(99, false));
}
