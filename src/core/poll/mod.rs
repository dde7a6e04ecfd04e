//! The poll of one source, as a machine: which of its hosts, when, and for how long.
//!
//! No sockets, clock, threads or look-ups: what happened goes in with its time, what is to be done
//! comes out as actions.

mod intake;
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
pub use outcome::{Answer, Failure, HostFailure, Outcome};
use target::{Addresses, Target};

/// For a look-up of a name; after it, the addresses from before are tried.
pub const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// For a connection.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// For a peer that is connected and says nothing.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// For the whole poll, all hosts together; or twice the interval, if that is longer. A document of
/// 100 MB takes as long on 14 Mbit/s.
pub const WHOLE_LIMIT: Duration = Duration::from_secs(60);

/// How old a name's addresses may get before they are looked up again beside a poll.
pub const ADDRESSES_FRESH: Duration = Duration::from_secs(300);

/// What is to be done for the machine, in this order.
#[derive(Debug)]
pub enum Action {
    /// Look the name up and say what came of it with `resolved`.
    Resolve {
        /// Which of the source's hosts: its number, which no other one ever has.
        host: usize,
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
    },
    /// Connect, and say what came of it with `connected` or `broken`.
    Connect(SocketAddr),
    /// Let go of the connection.
    Close,
    /// Give back a parser whose document came to nothing.
    Abandon(Box<Parser>),
    /// The poll is over.
    Ended(Box<Outcome>),
}

/// Polls one source, over and over.
#[derive(Debug)]
pub struct Poll {
    targets: Vec<Target>,
    /// The number of the next new target.
    unused: usize,
    /// The target a poll begins with: the one that answered last.
    first: usize,
    schedule: Schedule,
    whole_limit: Duration,
    state: State,
    actions: VecDeque<Action>,
}

#[derive(Debug)]
enum State {
    /// Waits for the next start.
    Idle { next: Mono },
    /// A poll is under way.
    Running(Run),
    /// For good: the daemon ends, or the source is gone from the configuration.
    Stopped,
}

/// One poll.
#[derive(Debug)]
struct Run {
    started: Mono,
    /// When the next one should start.
    next: Mono,
    /// When this one is given up.
    deadline: Mono,
    /// Targets given up so far; the one under way is that many after the first.
    tried: usize,
    /// Which of its addresses is under way.
    address: usize,
    failures: Vec<HostFailure>,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// Waits for the addresses of the target's name.
    Resolving { deadline: Mono },
    /// Waits for the connection.
    Connecting { address: SocketAddr, deadline: Mono },
    /// Connected; the document comes. The deadline moves with each byte.
    Reading {
        address: SocketAddr,
        deadline: Mono,
        intake: Box<Intake>,
    },
}

impl Poll {
    /// The machine of a source whose first poll starts at `first_start`.
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
            state: State::Idle { next: first_start },
            actions: VecDeque::new(),
        }
    }

    /// What is to be done next for the machine.
    pub fn action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When `timeout` is to be called, if nothing happens before.
    pub fn deadline(&self) -> Option<Mono> {
        match &self.state {
            State::Idle { next } => Some(*next),
            State::Running(run) => Some(run.deadline.min(match &run.step {
                Step::Resolving { deadline }
                | Step::Connecting { deadline, .. }
                | Step::Reading { deadline, .. } => *deadline,
            })),
            State::Stopped => None,
        }
    }

    /// Whether bytes from the connection can be taken now.
    pub fn wants_bytes(&self) -> bool {
        self.intake().is_some_and(|intake| !intake.has_backlog())
    }

    /// Whether bytes that were taken wait for `work`.
    pub fn has_backlog(&self) -> bool {
        self.intake().is_some_and(Intake::has_backlog)
    }

    /// Whether a poll is under way.
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    /// Whether the connection is waited for.
    pub fn is_connecting(&self) -> bool {
        let State::Running(run) = &self.state else {
            return false;
        };
        matches!(run.step, Step::Connecting { .. })
    }

    fn intake(&self) -> Option<&Intake> {
        match &self.state {
            State::Running(Run {
                step: Step::Reading { intake, .. },
                ..
            }) => Some(intake),
            _ => None,
        }
    }

    /// Starts a poll or gives up what takes too long, if it is time for that.
    pub fn timeout(&mut self, now: Mono) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        match &self.state {
            State::Idle { next } => self.start(*next, now),
            State::Running(run) => {
                let late = run.deadline <= now;
                let reason = match &run.step {
                    _ if late => Failure::Overlong(self.whole_limit),
                    Step::Resolving { .. } => Failure::ResolveTimeout,
                    Step::Connecting { .. } => Failure::ConnectTimeout,
                    Step::Reading { .. } => Failure::Silent,
                };
                self.give_up(reason, now);
            }
            State::Stopped => {}
        }
    }

    /// A look-up of the name of host number `host` is over.
    pub fn resolved(&mut self, host: usize, found: Result<Vec<SocketAddr>, String>, now: Mono) {
        let Some(at) = self.targets.iter().position(|it| it.number == host) else {
            return;
        };
        let failure = self.targets[at].resolved(found, now).err();
        let State::Running(run) = &self.state else {
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

    /// The connection is there; `parser` is to read what comes over it.
    pub fn connected(&mut self, parser: Parser, now: Mono) {
        let State::Running(run) = &mut self.state else {
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

    /// Bytes have come, not none. To be called only if the machine wants them.
    pub fn bytes(&mut self, bytes: &[u8], now: Mono, table: &mut DefTable) {
        let State::Running(run) = &mut self.state else {
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

    /// Goes on with bytes that were too much work for one turn.
    pub fn work(&mut self, now: Mono, table: &mut DefTable) {
        let State::Running(run) = &mut self.state else {
            return;
        };
        let Step::Reading {
            deadline, intake, ..
        } = &mut run.step
        else {
            return;
        };
        // The peer is not silent while we are what keeps it waiting.
        *deadline = now + SILENCE_LIMIT;
        let taken = intake.work(now, table);
        self.settle(taken, now);
    }

    /// The peer has closed the connection.
    pub fn end(&mut self, now: Mono) {
        let State::Running(run) = &mut self.state else {
            return;
        };
        let Step::Reading { intake, .. } = &mut run.step else {
            return;
        };
        let taken = intake.end();
        self.settle(taken, now);
    }

    /// The connection did not come about, or broke.
    pub fn broken(&mut self, reason: &str, now: Mono) {
        let State::Running(run) = &self.state else {
            return;
        };
        match run.step {
            Step::Resolving { .. } => {}
            Step::Connecting { .. } => self.give_up(Failure::Connect(reason.into()), now),
            Step::Reading { .. } => self.give_up(Failure::Broken(reason.into()), now),
        }
    }

    /// Goes on with another interval, other hosts or both. What is under way goes on too, unless
    /// the hosts are others: then it is dropped, without a word, and begun again at once. Where
    /// nothing is under way and the hosts are others, the next start is no later than `soon`.
    pub fn change(&mut self, config: &SourceConfig, schedule: Schedule, soon: Mono, now: Mono) {
        self.schedule = schedule;
        self.whole_limit = WHOLE_LIMIT.max(config.interval * 2);
        let others = self.set_hosts(&config.hosts);
        if others {
            self.drop_connection();
        }
        match &mut self.state {
            State::Running(_) if others => self.state = State::Idle { next: now },
            State::Running(run) => run.next = run.next.min(self.schedule.after(run.started)),
            State::Idle { next } => {
                *next = (*next).min(self.schedule.after(now));
                if others {
                    *next = (*next).min(soon);
                }
            }
            State::Stopped => {}
        }
    }

    /// Takes these hosts in place of those it had, and keeps what is known of those that stay;
    /// whether there was anything to do.
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

    /// Drops what is under way, for good.
    pub fn stop(&mut self) {
        self.drop_connection();
        self.state = State::Stopped;
    }

    fn start(&mut self, started: Mono, now: Mono) {
        // A late wake-up does not move the rhythm, unless it was later than the next start.
        let (next, _) = {
            let next = self.schedule.after(started);
            self.schedule.catch_up(next, now)
        };
        self.state = State::Running(Run {
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

    /// Begins with the target under way: with its addresses, or by asking for them.
    fn begin_target(&mut self, now: Mono) {
        let State::Running(run) = &mut self.state else {
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

    /// Connects to the current target's address of that number, or goes on to the next target.
    fn connect(&mut self, address: usize, now: Mono) {
        let State::Running(run) = &mut self.state else {
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

    /// Goes on after what was under way came to nothing.
    fn give_up(&mut self, reason: Failure, now: Mono) {
        self.drop_connection();
        let State::Running(run) = &mut self.state else {
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
            // Next time another host has its turn first, or one that drips would starve the rest.
            self.first = (host + 1) % self.targets.len();
            self.finish(None, now);
        } else {
            self.connect(next_address, now);
        }
    }

    /// Looks at what came of bytes.
    fn settle(&mut self, taken: Result<Taken, Failure>, now: Mono) {
        match taken {
            Ok(Taken::More) => {}
            Ok(Taken::All) => self.succeed(now),
            Err(reason) => self.give_up(reason, now),
        }
    }

    /// The document has ended well.
    fn succeed(&mut self, now: Mono) {
        let State::Running(run) = &mut self.state else {
            return;
        };
        // Whatever is the step from here on, the intake is no longer part of it.
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
                let answer = Answer {
                    host: label,
                    document,
                    wire_bytes,
                    moved,
                };
                self.finish(Some(answer), now);
            }
            // The intake says "all" only of a document that has ended.
            Err(reason) => self.give_up(reason.into(), now),
        }
    }

    fn finish(&mut self, answer: Option<Answer>, now: Mono) {
        let next = Mono(u64::MAX);
        let State::Running(run) = std::mem::replace(&mut self.state, State::Idle { next }) else {
            return;
        };
        let (next, missed) = self.schedule.catch_up(run.next, now);
        self.state = State::Idle { next };
        self.actions.push_back(Action::Ended(Box::new(Outcome {
            started: run.started,
            failures: run.failures,
            answer,
            missed,
        })));
    }

    /// Lets go of the connection, if there is one, and gives its parser back.
    fn drop_connection(&mut self) {
        let State::Running(run) = &mut self.state else {
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
