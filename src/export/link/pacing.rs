//! How long to wait before a server that has failed is tried again.
//!
//! No clock: only durations.

use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause: a server that is back is noticed within this time.
const LONGEST: Duration = Duration::from_secs(30);

/// Decides how long to wait after a failure.
pub trait Pacing: Send {
    /// The server has failed. Returns how long to wait before the next attempt.
    fn failed(&mut self) -> Duration;

    /// The server has taken a frame.
    fn succeeded(&mut self);
}

/// Doubles the pause after each failure, up to half a minute.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Pacing for Backoff {
    fn failed(&mut self) -> Duration {
        let pause = FIRST.saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        pause.min(LONGEST)
    }

    fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_ceiling_and_start_anew_after_a_success() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..8).map(|_| backoff.failed().as_millis()).collect();
        assert_eq!(
            pauses,
            [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]
        );
        backoff.succeeded();
        assert_eq!(backoff.failed(), FIRST);
    }
}
