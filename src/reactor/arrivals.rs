//! Sources that answer for the first time: which are logged by name, and how many more there were.
//!
//! No clock and no log: the caller passes the time in and does the logging.

use std::time::{Duration, Instant};

/// Most sources logged by name in one [`PERIOD`]. One more line says how many others there were.
const TOLD_BY_NAME: u32 = 20;

/// Time over which they are counted.
const PERIOD: Duration = Duration::from_secs(10);

/// Sources of the period under way.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// When the period began; `None` if none is under way.
    since: Option<Instant>,
    by_name: u32,
    others: u32,
}

impl Arrivals {
    /// Notes a source. Returns whether to log it by name.
    pub(super) fn is_told(&mut self, now: Instant) -> bool {
        self.since.get_or_insert(now);
        if self.by_name < TOLD_BY_NAME {
            self.by_name += 1;
            true
        } else {
            self.others += 1;
            false
        }
    }

    /// The number of sources that were not logged by name, once the period is over.
    pub(super) fn others(&mut self, now: Instant) -> Option<u32> {
        let since = self.since?;
        if now.saturating_duration_since(since) < PERIOD {
            return None;
        }
        let others = self.others;
        *self = Arrivals::default();
        (others > 0).then_some(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_told_by_name_and_the_rest_in_one_line() {
        let start = Instant::now();
        let mut arrivals = Arrivals::default();
        let told = (0..1000).filter(|_| arrivals.is_told(start)).count();
        assert_eq!(told, 20);
        assert_eq!(arrivals.others(start), None, "more may come");
        assert_eq!(arrivals.others(start + PERIOD), Some(980));
        assert_eq!(arrivals.others(start + 2 * PERIOD), None, "told once");
        assert!(arrivals.is_told(start + 2 * PERIOD));
    }
}
