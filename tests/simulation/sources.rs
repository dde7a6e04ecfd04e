//! The sources: what becomes of their polls, held against the model.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use gmetad_core::answer::query::Selection;
use gmetad_core::answer::walk::Body;
use gmetad_core::answer::xml::Render;
use gmetad_core::model::{CLOCK_SET_SINCE, MOST_AHEAD_SECS, Mono, Node};
use gmetad_core::poll::{self, Poll};
use gmetad_core::source::{HostPort, SourceConfig};
use gmetad_core::store::SourceId;
use gmetad_core::timers::{Random, Schedule};

use super::documents::{Habit, Said};
use super::gmond::{self, Script};
use super::model::Sums;
use super::world::{Event, LIMITS, World};

/// How far the clock of a source is from ours, in seconds.
const SKEWS: [i64; 6] = [0, 0, -3, 100, 90_000, -200_000];

/// How long a source is dead: longer than the DMAX of its hosts.
const DEAD_FOR: Duration = Duration::from_secs(400);

pub struct Source {
    pub machine: Poll,
    whole_limit: Duration,
    /// When the poll under way started.
    running_since: Option<Mono>,
    /// The number of its connection.
    connection: Option<u64>,
    /// What the peer has done and the machine has not taken, as it has work to do first.
    inbox: VecDeque<gmond::Deed>,
    /// What the connection under way brings if it is not given up.
    promised: Option<Said>,
    habit: Habit,
    hosts: u64,
    skew: i64,
    documents: u64,
    /// Until when all its hosts refuse connections.
    dead_until: Mono,
}

/// What the store has begun to do.
pub struct Storing {
    at: usize,
    what: What,
    /// Whether it has taken place.
    is_noted: bool,
    /// Whether anything was changed by it.
    has_changed: bool,
}

enum What {
    /// A document is rejected.
    Rejected,
    /// A poll has failed.
    Failed,
    /// What is past its DMAX then goes.
    Expiry(Mono),
    /// A document is stored that was begun at `since` and ended at `now`.
    Document { said: Said, since: Mono, now: Mono },
}

/// Of source number `at`.
fn config(at: usize, random: &mut Random) -> SourceConfig {
    let names = ["10.0.0.1", "10.0.0.2", "gmond.example", "other.example"];
    SourceConfig {
        name: format!("s{at}"),
        interval: Duration::from_secs([2, 15, 15, 60][random.below(4) as usize]),
        hosts: (0..=random.below(3))
            .map(|_| HostPort {
                host: names[random.below(4) as usize].into(),
                port: 8649,
            })
            .collect(),
    }
}

impl Source {
    pub fn new(at: usize, count: usize, now: Mono, random: &mut Random) -> Source {
        let config = config(at, random);
        let schedule = Schedule::new(config.interval, random.split());
        let first = schedule.first(at, count, now);
        Source {
            machine: Poll::new(&config, schedule, first),
            whole_limit: poll::WHOLE_LIMIT.max(config.interval * 2),
            running_since: None,
            connection: None,
            inbox: VecDeque::new(),
            promised: None,
            habit: Habit::draw(random),
            hosts: match random.below(6) {
                0 => 1 + random.below(30),
                _ => 1 + random.below(5),
            },
            skew: SKEWS[random.below(SKEWS.len() as u64) as usize],
            documents: 0,
            dead_until: Mono(0),
        }
    }
}

impl World {
    pub fn source_timeout(&mut self, at: usize) {
        let now = self.now;
        let source = &mut self.sources[at];
        let was_running = source.machine.is_running();
        source.machine.timeout(now);
        if !was_running && source.machine.is_running() {
            assert_eq!(source.running_since, None, "one poll at a time");
            source.running_since = Some(now);
        }
        self.run_source(at);
        let next = self.sources[at].machine.deadline();
        assert!(next > Some(now), "a deadline is over once it has come");
    }

    /// What a peer does after its connection was closed is ignored.
    pub fn peer_does(&mut self, at: usize, connection: u64, deed: gmond::Deed) {
        let source = &mut self.sources[at];
        if source.connection != Some(connection) {
            return;
        }
        source.inbox.push_back(deed);
        if !source.machine.has_backlog() {
            self.take_in(at);
        }
    }

    /// The machine goes on with work that was too much for one turn.
    pub fn work(&mut self, at: usize) {
        let machine = &mut self.sources[at].machine;
        if machine.has_backlog() {
            machine.work(self.now, self.store.table());
            self.tally.count("turns of work that was left", 1);
        }
        self.run_source(at);
        self.take_in(at);
    }

    /// Takes in what the peer has done, until there is work to do first.
    fn take_in(&mut self, at: usize) {
        while !self.sources[at].machine.has_backlog() {
            if self.storing.iter().any(|storing| storing.at == at) {
                // The next document begins with what this one leaves.
                return;
            }
            let Some(deed) = self.sources[at].inbox.pop_front() else {
                return;
            };
            self.take(at, deed);
        }
        let pause_ms = self.random.below(3);
        self.plan(pause_ms, Event::Work { source: at });
    }

    fn take(&mut self, at: usize, deed: gmond::Deed) {
        let now = self.now;
        let source = &mut self.sources[at];
        match deed {
            gmond::Deed::Accept => {
                let parser = self.store.begin(SourceId(at));
                source.machine.connected(parser, now);
            }
            gmond::Deed::Send(bytes) => {
                assert!(source.machine.wants_bytes(), "a reader reads");
                source.machine.bytes(&bytes, now, self.store.table());
            }
            gmond::Deed::Close => source.machine.end(now),
            gmond::Deed::Break => source.machine.broken("told to", now),
        }
        self.run_source(at);
    }

    /// Does what a poll machine wants done.
    pub fn run_source(&mut self, at: usize) {
        while let Some(action) = self.sources[at].machine.action() {
            match action {
                poll::Action::Resolve { host, .. } => self.look_up(at, host),
                poll::Action::Connect(_) => self.connect(at),
                poll::Action::Close => {
                    let closed = self.sources[at].connection.take();
                    assert!(closed.is_some(), "only what is open is closed");
                    self.sources[at].inbox.clear();
                }
                poll::Action::Abandon(parser) => {
                    self.store.begin_abort(SourceId(at), *parser);
                    self.store_on(at, What::Rejected);
                }
                poll::Action::Ended(outcome) => self.poll_ended(at, *outcome),
            }
        }
        let deadline = self.sources[at].machine.deadline();
        self.timers.set(at, deadline);
    }

    fn look_up(&mut self, source: usize, host: usize) {
        let addresses = 1 + self.random.below(3) as u16;
        let found = match self.random.below(4) {
            0 => Err("no such name".into()),
            _ => Ok((0..addresses)
                .map(|port| SocketAddr::from(([127, 0, 0, 1], 9000 + port)))
                .collect()),
        };
        let after_ms = match self.random.below(4) {
            0 => 30_000,
            _ => self.random.below(2000),
        };
        let answer = Event::Resolved {
            source,
            host,
            found,
        };
        self.plan(after_ms, answer);
    }

    fn connect(&mut self, at: usize) {
        let now = self.now();
        let count = self.sources.len();
        let source = &mut self.sources[at];
        assert_eq!(source.connection, None, "one connection at a time");
        source.documents += 1;
        // The number also identifies the source.
        let number = source.documents * count as u64 + at as u64;
        let (habit, hosts) = (source.habit, source.hosts);
        let mut said = Said::draw(habit, at, count, hosts, number, &mut self.random);
        said.localtime = (now.epoch + source.skew).max(0);
        let document = match habit {
            Habit::HandsBack => {
                let mut own = Vec::new();
                let snapshot = self.store.snapshot();
                Render::new(snapshot, Selection::all(), now).fill(&mut own, usize::MAX);
                own
            }
            _ => said.write(),
        };
        let was_dead = self.now < self.sources[at].dead_until;
        if !was_dead && self.random.below(30) == 0 {
            self.sources[at].dead_until = self.now + DEAD_FOR;
        }
        let script = if self.now < self.sources[at].dead_until {
            Script::refuse()
        } else {
            Script::draw(document, &mut self.random)
        };
        let connection = self.next_connection;
        self.next_connection += 1;
        let source = &mut self.sources[at];
        source.connection = Some(connection);
        let is_too_much = script.good && said.is_too_much;
        source.promised = (script.good && !said.is_too_much).then_some(said);
        self.tally
            .count("documents that are too much", is_too_much.into());
        let mut after_ms = 0;
        for act in script.acts {
            after_ms += act.after_ms;
            let event = Event::Peer {
                source: at,
                connection,
                deed: act.deed,
            };
            self.plan(after_ms, event);
        }
    }

    fn poll_ended(&mut self, at: usize, outcome: poll::Outcome) {
        let now = self.now();
        let source = &mut self.sources[at];
        let since = source.running_since.take().expect("it had started");
        assert_eq!(outcome.started, since);
        assert!(now.mono.since(since) <= source.whole_limit);
        self.tally.count("polls missed", outcome.missed);
        for failure in &outcome.failures {
            let kind = format!("{:?}", failure.reason);
            let kind = kind.split(['(', ' ']).next().unwrap_or_default();
            self.tally.fail(kind);
        }
        if let Some(answer) = outcome.answer {
            let promised = source.promised.take();
            let said = promised
                .unwrap_or_else(|| panic!("no document out of a bad connection: {answer:?}"));
            self.tally.count("polls that succeed", 1);
            self.tally
                .count("polls at another address", answer.moved.into());
            let is_gzipped = answer.wire_bytes < answer.document.bytes;
            self.tally.count("gzipped documents", is_gzipped.into());
            assert_eq!(answer.document.damage, 0);
            let hands_back = source.habit == Habit::HandsBack;
            assert_eq!(answer.document.has_own_grid, hands_back);
            self.tally.count("own grids handed back", hands_back.into());
            self.store.begin_commit(SourceId(at), answer.document, now);
            let now = now.mono;
            self.store_on(at, What::Document { said, since, now });
        } else {
            assert!(!outcome.failures.is_empty(), "a reason for each failure");
            self.tally.count("polls that fail", 1);
            self.store.begin_fail(SourceId(at), now);
            self.store_on(at, What::Failed);
        }
        if self.random.below(2) == 0 {
            self.store.begin_expiry(SourceId(at), now);
            self.store_on(at, What::Expiry(now.mono));
        }
    }

    fn store_on(&mut self, at: usize, what: What) {
        self.storing.push_back(Storing {
            at,
            what,
            is_noted: false,
            has_changed: false,
        });
    }

    /// The store goes on with what it has begun to do. Nothing is seen of it until it takes place, and
    /// then all.
    pub fn change_on(&mut self, most: u64) {
        if !self.store.is_changing() {
            assert!(self.storing.is_empty(), "all was told");
            return;
        }
        let budget = 1 + self.random.below(most) as usize;
        let changed = self.store.change_some(budget);
        let mut storing = self.storing.pop_front().expect("it was begun");
        let took_place = changed.is_some() || self.store.has_taken_place();
        if took_place && !storing.is_noted {
            self.took_place(&mut storing);
        } else if !took_place {
            self.tally.count("steps of changes", 1);
            if self.random.below(8) == 0 {
                self.moment.assert_shown(&self.store.snapshot());
            }
        }
        let Some(changed) = changed else {
            return self.storing.push_front(storing);
        };
        let at = storing.at;
        assert_eq!(changed.id, SourceId(at));
        match storing.what {
            What::Rejected => {}
            What::Failed => assert_eq!(changed.has_changed, changed.was_up),
            What::Expiry(_) => assert_eq!(changed.has_changed, storing.has_changed),
            What::Document { said, .. } => assert_eq!(changed.nodes.len(), said.nodes()),
        }
        self.take_in(at);
    }

    /// What the store has begun has taken place.
    fn took_place(&mut self, storing: &mut Storing) {
        let at = storing.at;
        storing.is_noted = true;
        storing.has_changed = match &storing.what {
            What::Rejected => return,
            What::Failed => {
                let was_up = self.model.sources[at].is_up;
                self.model.fail(at);
                was_up
            }
            What::Expiry(now) => {
                let gone = self.model.expire(at, *now);
                self.tally.count("hosts past their DMAX", gone as u64);
                gone > 0
            }
            What::Document { said, since, now } => {
                let nodes = self.store.nodes_of(SourceId(at));
                let carried = self.model.commit(at, said, nodes, *since, *now);
                self.tally.count("hosts carried over", carried as u64);
                self.check_stamps(at);
                true
            }
        };
        // A recount takes long, so not each of those that find all as it was is made.
        if storing.has_changed || self.random.below(4) == 0 {
            self.check_store(at);
        }
    }

    fn finish_changes(&mut self) {
        while self.store.is_changing() {
            self.change_on(1_000_000);
        }
    }

    /// The store has changed by what a source did.
    fn check_store(&mut self, at: usize) {
        self.moment = std::rc::Rc::new(self.model.moment());
        self.changes += 1;
        if self.random.below(4) > 0 {
            let sums = self.store.summarize();
            assert_eq!(Sums::of(&sums), self.model.sums(), "the sums are a recount");
        } else if !self.store.is_summing() {
            self.store.begin_summary();
            self.plan(0, Event::Sum { of: self.changes });
        }
        self.moment.assert_shown(&self.store.snapshot());
        let contested = self.model.contested();
        self.tally.count("contested hosts", contested as u64);
        let bytes = self
            .store
            .nodes_of(SourceId(at))
            .iter()
            .map(|node| match node {
                Node::Cluster(cluster) => cluster.bytes,
                Node::Grid(grid) => grid.bytes,
            });
        assert!(bytes.sum::<usize>() <= LIMITS.bytes, "memory has a limit");
    }

    /// Goes on with sums that were begun; whatever has happened meanwhile. If nothing has, they are a
    /// recount.
    pub fn sum_on(&mut self, of: u64) {
        let budget = 1 + self.random.below(3) as usize;
        if let Some(sums) = self.store.summarize_some(budget) {
            if of == self.changes {
                assert_eq!(Sums::of(&sums), self.model.sums(), "and so are these");
                self.tally.count("sums made in steps", 1);
            }
        } else if self.store.is_summing() {
            let pause_ms = self.random.below(20);
            self.plan(pause_ms, Event::Sum { of });
        }
    }

    /// The times by which a source's values are stored: never far ahead, whatever its clock says.
    fn check_stamps(&mut self, at: usize) {
        let now = self.now();
        let nodes = self.store.nodes_of(SourceId(at)).to_vec();
        let stamps = self.store.stamps_of(SourceId(at), now);
        assert_eq!(stamps.len(), nodes.len());
        let is_set = now.epoch >= CLOCK_SET_SINCE;
        for (node, stamp) in nodes.iter().zip(stamps) {
            let ahead = stamp.time.epoch() - now.epoch;
            assert!(!is_set || ahead <= MOST_AHEAD_SECS, "{ahead} s ahead");
            let Node::Cluster(cluster) = node else {
                continue;
            };
            let leader = self.model.leader(&cluster.name);
            assert_eq!(stamp.leads, leader == Some(at), "{}", cluster.name);
            if !self.model.is_first(&cluster.name, at) {
                assert!(
                    !is_set || ahead <= 0,
                    "{ahead} s ahead in another's cluster"
                );
            }
        }
    }

    /// The invariants.
    pub fn check_sources(&self) {
        for (at, source) in self.sources.iter().enumerate() {
            let deadline = source.machine.deadline().expect("polls go on for good");
            assert!(deadline >= self.now, "what is due is done");
            if let Some(since) = source.running_since {
                assert!(deadline <= since + source.whole_limit, "a poll ends");
            } else {
                assert_eq!(source.connection, None, "no connection between polls");
                assert!(deadline.since(self.now) <= Duration::from_secs(300));
            }
            self.model
                .assert_nodes(at, self.store.nodes_of(SourceId(at)));
            assert_eq!(self.store.is_up(SourceId(at)), self.model.sources[at].is_up);
        }
    }

    /// The configuration is read again: a source is polled otherwise from now on, or is another.
    pub fn reload(&mut self) {
        let at = self.random.below(self.sources.len() as u64) as usize;
        if self.random.below(3) == 0 {
            self.replace_source(at);
        } else {
            self.change_source(at);
        }
        let pause_ms = self.random.below(600_000);
        self.plan(pause_ms, Event::Reload);
    }

    fn change_source(&mut self, at: usize) {
        let config = config(at, &mut self.random);
        let schedule = Schedule::new(config.interval, self.random.split());
        let soon = self.now + Duration::from_secs(1);
        let source = &mut self.sources[at];
        source.machine.change(&config, schedule, soon, self.now);
        // A poll that goes on has the limit with which it began.
        source.whole_limit = source.whole_limit.max(config.interval * 2);
        if !source.machine.is_running() {
            source.running_since = None;
        }
        self.run_source(at);
        self.tally.count("sources changed", 1);
    }

    /// The source is removed, and one that has its number is added.
    fn replace_source(&mut self, at: usize) {
        let count = self.sources.len();
        self.sources[at].machine.stop();
        self.run_source(at);
        self.finish_changes();
        let documents = self.sources[at].documents;
        self.store.remove_source(SourceId(at), self.now);
        assert_eq!(self.store.add_source(), SourceId(at));
        self.store.set_order((0..count).map(SourceId).collect());
        self.model.remove(at);
        self.sources[at] = Source {
            documents,
            ..Source::new(at, count, self.now, &mut self.random)
        };
        self.run_source(at);
        self.check_store(at);
        self.tally.count("sources replaced", 1);
    }

    pub fn stop_sources(&mut self) {
        for at in 0..self.sources.len() {
            self.sources[at].machine.stop();
            self.run_source(at);
            assert_eq!(self.sources[at].connection, None);
            assert_eq!(self.sources[at].machine.deadline(), None);
        }
        self.finish_changes();
    }
}
