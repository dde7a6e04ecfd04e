//! A circuit breaker: after too many failures in a row a server is left alone, then tried once.
//!
//! No clock: only lengths of time. The numbers are C gmetad's, which also counts a message that the
//! server refuses; here that is an answer, and no failure.

use std::time::Duration;

use crate::link::Pacing;

/// Failures in a row that are borne.
const MAX_FAILURES: u32 = 5;
/// The pause after one of those.
const SHORT: Duration = Duration::from_millis(500);
/// The pause after one too many.
const OPEN: Duration = Duration::from_secs(15);

/// C gmetad throws away what comes while it is open, here that waits; what comes back half open is
/// closed by the first batch that is taken.
#[derive(Debug, Default)]
pub struct Breaker {
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// All goes to the server.
    Closed {
        /// In a row.
        failures: u32,
    },
    /// The server was left alone, and what comes next is a trial.
    HalfOpen,
}

impl Default for State {
    fn default() -> State {
        State::Closed { failures: 0 }
    }
}

impl Pacing for Breaker {
    fn failed(&mut self) -> Duration {
        match self.state {
            State::Closed { failures } if failures < MAX_FAILURES => {
                self.state = State::Closed {
                    failures: failures + 1,
                };
                SHORT
            }
            _ => {
                self.state = State::HalfOpen;
                OPEN
            }
        }
    }

    fn succeeded(&mut self) {
        self.state = State::default();
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
