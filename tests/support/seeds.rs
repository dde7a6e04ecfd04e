//! The seeds under which a simulation runs: on all cores, and each told if it fails.
//!
//! Included by every simulation, whichever crate it is in. By default a simulation runs as many
//! seeds as it says. `GMETAD_SEEDS=5000` runs that many, `GMETAD_SIMULATION_SECONDS=60` as many as
//! there is time for, both from `GMETAD_FIRST_SEED` on; `GMETAD_SIMULATION_SEED=7` runs that one.

use std::fmt::Debug;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What a simulation has seen.
pub trait Seen: Default + Send {
    /// Adds what another has seen.
    fn add(&mut self, other: &Self);

    /// Things that happened.
    fn steps(&self) -> u64;

    /// A simulation in which something never happens proves nothing about it.
    fn assert_that_all_of_it_happened(&self);
}

/// The only seed that is asked for, if that is so: then a simulation tells what happens.
pub fn only() -> Option<u64> {
    number("GMETAD_SIMULATION_SEED")
}

/// Runs a simulation under all seeds that are asked for, and adds up what was seen. `arguments` are
/// those of the cargo that repeats one.
pub fn run<S: Seen>(
    arguments: &str,
    count_by_default: u64,
    simulate: impl Fn(u64) -> S + Sync,
) -> S {
    let first = only().or_else(|| number("GMETAD_FIRST_SEED")).unwrap_or(1);
    let limit = number("GMETAD_SIMULATION_SECONDS").map(Duration::from_secs);
    let count = match (only(), limit) {
        (Some(_), _) => 1,
        (None, Some(_)) => u64::MAX - first,
        (None, None) => number("GMETAD_SEEDS").unwrap_or(count_by_default),
    };
    let start = Instant::now();
    let is_late = || limit.is_some_and(|limit| start.elapsed() >= limit);
    let (taken, all) = (AtomicU64::new(0), Mutex::new((S::default(), 0)));
    let work = || {
        loop {
            let at = taken.fetch_add(1, Ordering::Relaxed);
            if at >= count || (at > 0 && is_late()) {
                return;
            }
            let told = Told {
                seed: first + at,
                arguments,
            };
            let seen = simulate(told.seed);
            let mut all = all.lock().expect("adding does not fail");
            all.0.add(&seen);
            all.1 += 1;
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    let (seen, seeds) = all.into_inner().expect("adding does not fail");
    // Counted by contrib/soak.sh.
    println!("simulated: {seeds} seeds, {} steps", seen.steps());
    if seeds >= count_by_default {
        seen.assert_that_all_of_it_happened();
    }
    seen
}

/// Runs a simulation twice under that seed: it takes the same course. Whoever repeats another seed reads
/// what happens there, and nothing of this.
#[allow(dead_code, reason = "not every simulation has such a test")]
pub fn repeats<S: PartialEq + Debug>(arguments: &str, seed: u64, simulate: impl Fn(u64) -> S) {
    if only().is_some_and(|only| only != seed) {
        return;
    }
    let _told = Told { seed, arguments };
    assert_eq!(simulate(seed), simulate(seed), "a seed repeats its run");
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

/// Tells how to repeat a run that fails.
struct Told<'a> {
    seed: u64,
    arguments: &'a str,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let Told { seed, arguments } = self;
            eprintln!(
                "to repeat this: GMETAD_SIMULATION_SEED={seed} cargo test {arguments} -- --nocapture"
            );
        }
    }
}
