//! The polls of one source, as a state machine: which of its hosts, when, and for how long.
//!
//! No sockets, clock, threads or look-ups: events go in with their time, actions come out.

mod intake;
mod limits;
mod outcome;
mod target;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::ingest::Parser;
use crate::model::{DefTable, Mono};
use crate::source::{HostPort, SourceConfig};
use crate::timers::Schedule;

use intake::{Intake, Taken};
pub use limits::{ADDRESSES_FRESH, CONNECT_LIMIT, RESOLVE_LIMIT, SILENCE_LIMIT, WHOLE_LIMIT};
pub use outcome::{Failure, HostFailure, Outcome, SourceAnswer};
use target::{Addresses, Target};

/// What the caller must do, in this order.
#[derive(Debug)]
pub enum Action {
    /// Look the name up and call `resolved`.
    Resolve {
        /// The number of the host, which is never used again.
        host: usize,
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
    },
    /// Connect and call `connected` or `broken`.
    Connect(SocketAddr),
    /// Close the connection.
    Close,
    /// Give back the parser of a document that failed.
    Abandon(Box<Parser>),
    /// The poll is over.
    Ended(Box<Outcome>),
}

/// The state machine of one source.
#[derive(Debug)]
pub struct Poll {
    targets: Vec<Target>,
    /// The number of the next new target.
    unused: usize,
    /// The target that a poll starts with: the one that answered last.
    first: usize,
    schedule: Schedule,
    whole_limit: Duration,
    state: PollState,
    actions: VecDeque<Action>,
}

#[derive(Debug)]
enum PollState {
    /// Waiting for the next start.
    Idle { next: Mono },
    /// A poll is running.
    Running(Run),
    /// Never polls again: the daemon stops, or the source was removed from the configuration.
    Stopped,
}

/// One poll.
#[derive(Debug)]
struct Run {
    started: Mono,
    /// When the next one should start.
    next: Mono,
    /// When this one times out.
    deadline: Mono,
    /// Targets that failed so far. The current one is that many after the first.
    tried: usize,
    /// The current address of that target.
    address: usize,
    failures: Vec<HostFailure>,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// Waiting for the addresses of the target's name.
    Resolving { deadline: Mono },
    /// Waiting for the connection.
    Connecting { address: SocketAddr, deadline: Mono },
    /// Connected and reading the document. Each byte extends the deadline.
    Reading {
        address: SocketAddr,
        deadline: Mono,
        intake: Box<Intake>,
    },
}

impl Poll {
    /// A source whose first poll starts at `first_start`.
    pub fn new(config: &SourceConfig, schedule: Schedule, first_start: Mono) -> Poll {
        Poll {
            targets: config
                .hosts
                .iter()
                .enumerate()
                .map(|(number, host)| Target::new(number, host))
                .collect(),
            unused: config.hosts.len(),
            first: 0,
            schedule,
            whole_limit: WHOLE_LIMIT.max(config.interval * 2),
            state: PollState::Idle { next: first_start },
            actions: VecDeque::new(),
        }
    }

    /// The next thing the caller must do.
    pub fn action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call `timeout`, unless something happens before.
    pub fn deadline(&self) -> Option<Mono> {
        match &self.state {
            PollState::Idle { next } => Some(*next),
            PollState::Running(run) => Some(run.deadline.min(match &run.step {
                Step::Resolving { deadline }
                | Step::Connecting { deadline, .. }
                | Step::Reading { deadline, .. } => *deadline,
            })),
            PollState::Stopped => None,
        }
    }

    /// Whether it accepts bytes from the connection now.
    pub fn wants_bytes(&self) -> bool {
        self.intake().is_some_and(|intake| !intake.has_backlog())
    }

    /// Whether accepted bytes wait for `work`.
    pub fn has_backlog(&self) -> bool {
        self.intake().is_some_and(Intake::has_backlog)
    }

    /// Whether a poll is running.
    pub fn is_running(&self) -> bool {
        matches!(self.state, PollState::Running(_))
    }

    /// Whether it waits for the connection.
    pub fn is_connecting(&self) -> bool {
        let PollState::Running(run) = &self.state else {
            return false;
        };
        matches!(run.step, Step::Connecting { .. })
    }

    fn intake(&self) -> Option<&Intake> {
        match &self.state {
            PollState::Running(Run {
                step: Step::Reading { intake, .. },
                ..
            }) => Some(intake),
            _ => None,
        }
    }

    /// Starts a poll that is due, or ends a step that takes too long.
    pub fn timeout(&mut self, now: Mono) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        match &self.state {
            PollState::Idle { next } => self.start(*next, now),
            PollState::Running(run) => {
                let late = run.deadline <= now;
                let reason = match &run.step {
                    _ if late => Failure::Overlong(self.whole_limit),
                    Step::Resolving { .. } => Failure::ResolveTimeout,
                    Step::Connecting { .. } => Failure::ConnectTimeout,
                    Step::Reading { .. } => Failure::Silent,
                };
                self.give_up(reason, now);
            }
            PollState::Stopped => {}
        }
    }

    /// The look-up of the name of host number `host` is complete.
    pub fn resolved(&mut self, host: usize, found: Result<Vec<SocketAddr>, String>, now: Mono) {
        let Some(at) = self.targets.iter().position(|it| it.number == host) else {
            return;
        };
        let failure = self.targets[at].resolved(found, now).err();
        let PollState::Running(run) = &self.state else {
            return;
        };
        let waited_for = (self.first + run.tried) % self.targets.len() == at;
        if !waited_for || !matches!(run.step, Step::Resolving { .. }) {
            return;
        }
        match failure {
            None => self.connect(0, now),
            Some(reason) => self.give_up(Failure::Unresolved(reason), now),
        }
    }

    /// The connection is established. `parser` reads what it brings.
    pub fn connected(&mut self, parser: Parser, now: Mono) {
        let PollState::Running(run) = &mut self.state else {
            self.actions.push_back(Action::Abandon(Box::new(parser)));
            return;
        };
        let Step::Connecting { address, .. } = run.step else {
            self.actions.push_back(Action::Abandon(Box::new(parser)));
            return;
        };
        run.step = Step::Reading {
            address,
            deadline: now + SILENCE_LIMIT,
            intake: Box::new(Intake::new(parser)),
        };
    }

    /// Bytes have arrived, at least one. Call this only if `wants_bytes`.
    pub fn bytes(&mut self, bytes: &[u8], now: Mono, table: &mut DefTable) {
        let PollState::Running(run) = &mut self.state else {
            return;
        };
        let Step::Reading {
            deadline, intake, ..
        } = &mut run.step
        else {
            return;
        };
        *deadline = now + SILENCE_LIMIT;
        let taken = intake.bytes(bytes, now, table);
        self.settle(taken, now);
    }

    /// Goes on with bytes that were too much work for one call.
    pub fn work(&mut self, now: Mono, table: &mut DefTable) {
        let PollState::Running(run) = &mut self.state else {
            return;
        };
        let Step::Reading {
            deadline, intake, ..
        } = &mut run.step
        else {
            return;
        };
        // While the peer waits for us, it is not silent.
        *deadline = now + SILENCE_LIMIT;
        let taken = intake.work(now, table);
        self.settle(taken, now);
    }

    /// The peer has closed the connection.
    pub fn end(&mut self, now: Mono) {
        let PollState::Running(run) = &mut self.state else {
            return;
        };
        let Step::Reading { intake, .. } = &mut run.step else {
            return;
        };
        let taken = intake.end();
        self.settle(taken, now);
    }

    /// The connection failed or broke.
    pub fn broken(&mut self, reason: &str, now: Mono) {
        let PollState::Running(run) = &self.state else {
            return;
        };
        match run.step {
            Step::Resolving { .. } => {}
            Step::Connecting { .. } => self.give_up(Failure::Connect(reason.into()), now),
            Step::Reading { .. } => self.give_up(Failure::Broken(reason.into()), now),
        }
    }

    /// Takes another interval, other hosts or both.
    ///
    /// A running poll goes on, unless the hosts changed: then it is dropped without an outcome and
    /// starts again at once. If the hosts changed and no poll is running, the next one starts at
    /// `soon` at the latest.
    pub fn change(&mut self, config: &SourceConfig, schedule: Schedule, soon: Mono, now: Mono) {
        self.schedule = schedule;
        self.whole_limit = WHOLE_LIMIT.max(config.interval * 2);
        let others = self.set_hosts(&config.hosts);
        if others {
            self.drop_connection();
        }
        match &mut self.state {
            PollState::Running(_) if others => self.state = PollState::Idle { next: now },
            PollState::Running(run) => run.next = run.next.min(self.schedule.after(run.started)),
            PollState::Idle { next } => {
                *next = (*next).min(self.schedule.after(now));
                if others {
                    *next = (*next).min(soon);
                }
            }
            PollState::Stopped => {}
        }
    }

    /// Replaces the hosts, and keeps the state of those that stay. Returns whether any changed.
    fn set_hosts(&mut self, hosts: &[HostPort]) -> bool {
        if hosts.iter().eq(self.targets.iter().map(Target::host)) {
            return false;
        }
        let first = self.targets[self.first].number;
        let mut old = std::mem::take(&mut self.targets);
        for host in hosts {
            let known = old.iter().position(|target| target.host() == host);
            let target = known.map_or_else(
                || {
                    self.unused += 1;
                    Target::new(self.unused - 1, host)
                },
                |at| old.swap_remove(at),
            );
            self.targets.push(target);
        }
        let place = self.targets.iter().position(|it| it.number == first);
        self.first = place.unwrap_or(0);
        true
    }

    /// Drops a running poll, and never polls again.
    pub fn stop(&mut self) {
        self.drop_connection();
        self.state = PollState::Stopped;
    }

    fn start(&mut self, started: Mono, now: Mono) {
        // A late wake-up does not shift later starts, unless it is later than the next one.
        let (next, _) = {
            let next = self.schedule.after(started);
            self.schedule.catch_up(next, now)
        };
        self.state = PollState::Running(Run {
            started: now,
            next,
            deadline: now + self.whole_limit,
            tried: 0,
            address: 0,
            failures: Vec::new(),
            step: Step::Resolving { deadline: now },
        });
        self.begin_target(now);
    }

    /// Starts on the current target: connects to its addresses, or looks them up.
    fn begin_target(&mut self, now: Mono) {
        let PollState::Running(run) = &mut self.state else {
            return;
        };
        let host = (self.first + run.tried) % self.targets.len();
        let target = &mut self.targets[host];
        let addresses = target.addresses(now);
        if addresses != Addresses::Known
            && let Some((name, port)) = target.ask()
        {
            let host = target.number;
            self.actions.push_back(Action::Resolve { host, name, port });
        }
        if addresses == Addresses::Unknown {
            run.step = Step::Resolving {
                deadline: now + RESOLVE_LIMIT,
            };
        } else {
            self.connect(0, now);
        }
    }

    /// Connects to that address of the current target, or goes on to the next target.
    fn connect(&mut self, address: usize, now: Mono) {
        let PollState::Running(run) = &mut self.state else {
            return;
        };
        let host = (self.first + run.tried) % self.targets.len();
        if let Some(found) = self.targets[host].address(address) {
            run.address = address;
            run.step = Step::Connecting {
                address: found,
                deadline: now + CONNECT_LIMIT,
            };
            self.actions.push_back(Action::Connect(found));
            return;
        }
        run.tried += 1;
        if run.tried < self.targets.len() {
            self.begin_target(now);
        } else {
            self.finish(None, now);
        }
    }

    /// Goes on after the current step failed.
    fn give_up(&mut self, reason: Failure, now: Mono) {
        self.drop_connection();
        let PollState::Running(run) = &mut self.state else {
            return;
        };
        let host = (self.first + run.tried) % self.targets.len();
        let target = &mut self.targets[host];
        let (tried, next_address) = match run.step {
            Step::Resolving { .. } => (None, 0),
            Step::Connecting { address, .. } => {
                target.suspect();
                (Some(address), run.address + 1)
            }
            Step::Reading { address, .. } => (Some(address), run.address + 1),
        };
        run.failures.push(HostFailure {
            host: target.label(tried),
            reason,
        });
        if run.deadline <= now {
            // The next poll starts with another host. Otherwise a slow one would starve the rest.
            self.first = (host + 1) % self.targets.len();
            self.finish(None, now);
        } else {
            self.connect(next_address, now);
        }
    }

    /// Acts on what the bytes were.
    fn settle(&mut self, taken: Result<Taken, Failure>, now: Mono) {
        match taken {
            Ok(Taken::More) => {}
            Ok(Taken::All) => self.succeed(now),
            Err(reason) => self.give_up(reason, now),
        }
    }

    /// The document is complete.
    fn succeed(&mut self, now: Mono) {
        let PollState::Running(run) = &mut self.state else {
            return;
        };
        // Any step without an intake will do: the poll ends below.
        let step = std::mem::replace(&mut run.step, Step::Resolving { deadline: now });
        let Step::Reading {
            address, intake, ..
        } = step
        else {
            return;
        };
        self.actions.push_back(Action::Close);
        let host = (self.first + run.tried) % self.targets.len();
        let target = &mut self.targets[host];
        let label = target.label(Some(address));
        let moved = target.answered(address) || host != self.first;
        self.first = host;
        match intake.finish(now) {
            Ok((document, wire_bytes)) => {
                let answer = SourceAnswer {
                    host: label,
                    document,
                    wire_bytes,
                    moved,
                };
                self.finish(Some(answer), now);
            }
            // Does not happen: the intake says "all" only for a complete document.
            Err(reason) => self.give_up(reason.into(), now),
        }
    }

    fn finish(&mut self, answer: Option<SourceAnswer>, now: Mono) {
        let next = Mono(u64::MAX);
        let PollState::Running(run) = std::mem::replace(&mut self.state, PollState::Idle { next })
        else {
            return;
        };
        let (next, missed) = self.schedule.catch_up(run.next, now);
        self.state = PollState::Idle { next };
        self.actions.push_back(Action::Ended(Box::new(Outcome {
            started: run.started,
            failures: run.failures,
            answer,
            missed,
        })));
    }

    /// Closes the connection, if there is one, and gives its parser back.
    fn drop_connection(&mut self) {
        let PollState::Running(run) = &mut self.state else {
            return;
        };
        match &mut run.step {
            Step::Resolving { .. } => {}
            Step::Connecting { .. } => self.actions.push_back(Action::Close),
            Step::Reading { intake, .. } => {
                self.actions.push_back(Action::Close);
                if let Some(parser) = intake.take_parser() {
                    self.actions.push_back(Action::Abandon(parser));
                }
            }
        }
    }
}
