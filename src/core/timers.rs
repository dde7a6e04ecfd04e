//! Deadlines, the schedule of polls, and the one source of random numbers.
//!
//! No clock: time comes in, and what is due comes out.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::model::Mono;

/// Largest deviation of a poll from its average interval, as in gmetad-python.
const SPREAD: Duration = Duration::from_secs(5);

/// First polls are spread over the interval, but over no more than this.
const FIRST_POLLS_WITHIN: Duration = Duration::from_secs(15);

/// Pseudo-random numbers; the same seed gives the same sequence.
#[derive(Clone, Debug)]
pub struct Random(fastrand::Rng);

impl Random {
    /// The sequence of that seed.
    pub fn new(seed: u64) -> Random {
        Random(fastrand::Rng::with_seed(seed))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// A number below `limit`; 0 if `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0.u64(..limit.max(1))
    }

    /// An independent sequence, so that one user's draws do not change another's.
    #[must_use]
    pub fn split(&mut self) -> Random {
        Random(self.0.fork())
    }
}

/// When the polls of one source start.
#[derive(Clone, Debug)]
pub struct Schedule {
    interval_ms: u64,
    spread_ms: u64,
    random: Random,
}

impl Schedule {
    /// Starts that are `interval` apart on average: uniform over `interval` ± 5 s, or ± two thirds of
    /// it if that is less, so that the average holds.
    pub fn new(interval: Duration, random: Random) -> Schedule {
        let spread = SPREAD.min(interval * 2 / 3);
        Schedule {
            interval_ms: interval.as_millis() as u64,
            spread_ms: spread.as_millis() as u64,
            random,
        }
    }

    /// The first start of source `at` of `count`. First starts are spread evenly; source 0 starts at
    /// once.
    pub fn first(&self, at: usize, count: usize, now: Mono) -> Mono {
        let within = self.interval_ms.min(FIRST_POLLS_WITHIN.as_millis() as u64);
        Mono(now.0 + within * at as u64 / count.max(1) as u64)
    }

    /// The start that follows the one at `start`.
    pub fn after(&mut self, start: Mono) -> Mono {
        let jitter_ms = self.random.below(2 * self.spread_ms + 1);
        Mono(start.0 + (self.interval_ms - self.spread_ms + jitter_ms).max(1))
    }

    /// The first start after `now`, if `next` was due before it, and how many starts were missed.
    pub fn catch_up(&mut self, mut next: Mono, now: Mono) -> (Mono, u64) {
        let mut missed = 0;
        while next <= now {
            next = self.after(next);
            missed += 1;
        }
        (next, missed)
    }
}

/// One deadline for each key; keys are small numbers.
///
/// Postponing a deadline is free: its old entry is recognised when it comes up.
#[derive(Debug, Default)]
pub struct Timers {
    order: BinaryHeap<Reverse<(Mono, usize)>>,
    keys: Vec<Timer>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Timer {
    wanted: Option<Mono>,
    /// Its earliest entry in `order`; never later than `wanted`.
    placed: Option<Mono>,
}

impl Timers {
    /// Sets, moves or clears the deadline of `key`.
    pub fn set(&mut self, key: usize, deadline: Option<Mono>) {
        if key >= self.keys.len() {
            self.keys.resize(key + 1, Timer::default());
        }
        let timer = &mut self.keys[key];
        timer.wanted = deadline;
        if let Some(deadline) = deadline
            && timer.placed.is_none_or(|placed| deadline < placed)
        {
            timer.placed = Some(deadline);
            self.order.push(Reverse((deadline, key)));
        }
    }

    /// The earliest deadline.
    pub fn earliest(&mut self) -> Option<Mono> {
        loop {
            let &Reverse((placed, key)) = self.order.peek()?;
            let timer = &mut self.keys[key];
            if timer.placed == Some(placed) {
                if timer.wanted == Some(placed) {
                    return Some(placed);
                }
                timer.placed = timer.wanted;
                if let Some(wanted) = timer.wanted {
                    self.order.push(Reverse((wanted, key)));
                }
            }
            self.order.pop();
        }
    }

    /// A key whose deadline has passed. Clears the deadline.
    pub fn due(&mut self, now: Mono) -> Option<usize> {
        if self.earliest()? > now {
            return None;
        }
        let Reverse((_, key)) = self.order.pop()?;
        self.keys[key] = Timer::default();
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_sequence() {
        let (mut one, mut two) = (Random::new(7), Random::new(7));
        assert!((0..100).all(|_| one.any() == two.any()));
        assert_ne!(Random::new(7).any(), Random::new(8).any());
        assert_ne!(one.split().any(), one.any());
        assert!((0..1000).all(|_| one.below(10) < 10));
        assert_eq!(one.below(0), 0);
    }

    #[test]
    fn polls_are_the_interval_apart_on_average_and_at_most_five_seconds_off() {
        for (interval_s, spread_ms) in [(1, 666), (3, 2000), (15, 5000), (600, 5000)] {
            let interval = Duration::from_secs(interval_s);
            let mut schedule = Schedule::new(interval, Random::new(1));
            let mut at = Mono(0);
            let (mut least, mut most) = (u64::MAX, 0);
            for _ in 0..10_000 {
                let next = schedule.after(at);
                let step = next.0 - at.0;
                (least, most) = (least.min(step), most.max(step));
                at = next;
            }
            let interval_ms = interval_s * 1000;
            assert!(
                least >= interval_ms - spread_ms,
                "{interval_s} s: {least} ms"
            );
            assert!(most <= interval_ms + spread_ms, "{interval_s} s: {most} ms");
            assert!(
                most - least > spread_ms * 19 / 10,
                "uniform over all of it: {least} to {most} ms"
            );
            let mean = at.0 / 10_000;
            assert!(
                mean.abs_diff(interval_ms) <= interval_ms / 50,
                "{interval_s} s: {mean} ms on average"
            );
        }
    }

    #[test]
    fn first_polls_share_the_interval_out_and_a_single_one_is_at_once() {
        let schedule = Schedule::new(Duration::from_secs(12), Random::new(1));
        assert_eq!(schedule.first(0, 1, Mono(5)), Mono(5));
        let starts: Vec<u64> = (0..4).map(|at| schedule.first(at, 4, Mono(0)).0).collect();
        assert_eq!(starts, [0, 3000, 6000, 9000]);
        let hourly = Schedule::new(Duration::from_secs(3600), Random::new(1));
        assert_eq!(hourly.first(1, 2, Mono(0)), Mono(7500));
    }

    #[test]
    fn starts_that_have_passed_are_missed_and_counted() {
        let mut schedule = Schedule::new(Duration::from_secs(15), Random::new(1));
        assert_eq!(schedule.catch_up(Mono(10), Mono(9)), (Mono(10), 0));
        let (next, missed) = schedule.catch_up(Mono(15_000), Mono(60_000));
        assert!(next > Mono(60_000) && next <= Mono(80_000));
        assert!((2..=5).contains(&missed), "{missed}");
    }

    #[test]
    fn deadlines_come_up_in_order_whatever_was_set_before() {
        let mut random = Random::new(3);
        let mut timers = Timers::default();
        let mut model = [None::<Mono>; 20];
        let mut now = Mono(0);
        for _ in 0..20_000 {
            let key = random.below(20) as usize;
            let deadline = (random.below(4) > 0).then(|| Mono(now.0 + random.below(50)));
            timers.set(key, deadline);
            model[key] = deadline;
            assert_eq!(timers.earliest(), model.iter().flatten().min().copied());
            if random.below(3) == 0 {
                now.0 += random.below(30);
                while let Some(key) = timers.due(now) {
                    let due = model[key].take();
                    assert!(due.is_some_and(|due| due <= now));
                    assert!(model.iter().flatten().all(|other| Some(*other) >= due));
                }
                assert!(model.iter().flatten().all(|later| *later > now));
            }
            assert!(timers.order.len() < 2000, "old places go as time passes");
        }
    }

    #[test]
    fn a_deadline_that_is_moved_back_again_and_again_takes_one_place() {
        let mut timers = Timers::default();
        for at in 0..1000 {
            timers.set(0, Some(Mono(at)));
        }
        assert_eq!(timers.order.len(), 1);
        assert_eq!(timers.earliest(), Some(Mono(999)));
        timers.set(0, None);
        assert_eq!(timers.earliest(), None);
    }
}
