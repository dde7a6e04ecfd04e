//! A circuit breaker: after too many failures in a row a server is left alone, then tried once.
//!
//! No clock: only durations. The numbers are C gmetad's. C gmetad also counts messages that the
//! server refuses; here a refusal is an answer, not a failure.

use std::time::Duration;

use crate::link::Pacing;

/// Failures in a row after which the breaker opens with the next one.
const MAX_FAILURES: u32 = 5;
/// The pause after a failure that does not open it.
const SHORT: Duration = Duration::from_millis(500);
/// How long the breaker stays open.
const OPEN: Duration = Duration::from_secs(15);

/// C gmetad throws away what comes while its breaker is open; here it waits. A breaker that is half
/// open is closed by the first frame that is taken.
#[derive(Debug, Default)]
pub struct Breaker {
    state: BreakerState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BreakerState {
    /// All goes to the server.
    Closed {
        /// In a row.
        failures: u32,
    },
    /// The server was left alone; the next frame is a trial.
    HalfOpen,
}

impl Default for BreakerState {
    fn default() -> BreakerState {
        BreakerState::Closed { failures: 0 }
    }
}

impl Pacing for Breaker {
    fn failed(&mut self) -> Duration {
        match self.state {
            BreakerState::Closed { failures } if failures < MAX_FAILURES => {
                self.state = BreakerState::Closed {
                    failures: failures + 1,
                };
                SHORT
            }
            _ => {
                self.state = BreakerState::HalfOpen;
                OPEN
            }
        }
    }

    fn succeeded(&mut self) {
        self.state = BreakerState::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_too_many_failures_in_a_row_and_closes_with_the_first_success() {
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            assert_eq!(breaker.failed(), SHORT);
        }
        assert_eq!(breaker.failed(), OPEN);
        assert_eq!(breaker.failed(), OPEN, "a trial that fails opens it again");
        breaker.succeeded();
        assert_eq!(breaker.failed(), SHORT);
        breaker.succeeded();
        for _ in 0..5 {
            assert_eq!(breaker.failed(), SHORT);
        }
    }
}
