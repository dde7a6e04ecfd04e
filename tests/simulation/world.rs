//! Everything between the machines and their peers, and the rules that are checked after each step.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gmetad_core::http::bodies;
use gmetad_core::ingest::ParseSettings;
use gmetad_core::model::{GridIdentity, Mono, Node, Now};
use gmetad_core::pending::{Errands, MAX_PENDING, PENDING_LIMIT};
use gmetad_core::poll::Poll;
use gmetad_core::share::Shares;
use gmetad_core::source::{HostPort, SourceConfig};
use gmetad_core::store::{SourceId, Store};
use gmetad_core::timers::{Random, Schedule, Timers};
use gmetad_core::{client, poll};

use super::asker;
use super::clients::Asker;
use super::gmond::{self, Script};
use super::plugins::Plugins;
use super::tally::Tally;

/// Seconds since the epoch when the virtual clock starts.
const EPOCH: i64 = 1_000_000;

pub struct Source {
    machine: Poll,
    whole_limit: Duration,
    /// When the poll under way started.
    running_since: Option<Mono>,
    /// The number of its connection.
    connection: Option<u64>,
    /// Whether the connection under way brings a document if it is not given up.
    promised: bool,
    hosts: u64,
    /// What the last good document said, and so what must be there.
    pub version: Option<u64>,
    /// What its next document says.
    next_version: u64,
}

pub enum Event {
    Peer {
        source: usize,
        connection: u64,
        deed: gmond::Deed,
    },
    Resolved {
        source: usize,
        host: usize,
        found: Result<Vec<SocketAddr>, String>,
    },
    Arrival,
    /// The plugin thread has made an answer.
    Made,
    Client {
        asker: usize,
        deed: asker::Deed,
    },
}

pub struct World {
    pub random: Random,
    pub now: Mono,
    pub store: Store,
    pub sources: Vec<Source>,
    pub askers: HashMap<usize, Asker>,
    pub next_asker: usize,
    pub errands: Errands,
    pub bodies: Shares,
    pub plugins: Plugins,
    pub timers: Timers,
    agenda: BinaryHeap<Reverse<(Mono, u64)>>,
    events: HashMap<u64, Event>,
    next_event: u64,
    next_connection: u64,
    pub tally: Tally,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let identity = GridIdentity {
            name: "g".into(),
            authority: "a".into(),
            scalable: true,
        };
        let mut store = Store::new(identity, Arc::new(ParseSettings::default()));
        let mut timers = Timers::default();
        let count = 2 + random.below(4) as usize;
        let sources = (0..count)
            .map(|at| {
                let source = Source::new(at, count, &mut random);
                assert_eq!(store.add_source(), SourceId(at));
                timers.set(at, source.machine.deadline());
                source
            })
            .collect();
        let mut world = World {
            random,
            now: Mono(0),
            store,
            sources,
            askers: HashMap::new(),
            next_asker: 0,
            errands: Errands::default(),
            bodies: bodies(),
            plugins: Plugins::default(),
            timers,
            agenda: BinaryHeap::new(),
            events: HashMap::new(),
            next_event: 0,
            next_connection: 0,
            tally: Tally::default(),
        };
        world.plan(0, Event::Arrival);
        world
    }

    pub fn plan(&mut self, after_ms: u64, event: Event) {
        let at = Mono(self.now.0 + after_ms);
        self.agenda.push(Reverse((at, self.next_event)));
        self.events.insert(self.next_event, event);
        self.next_event += 1;
    }

    /// The next thing happens: a deadline, or something a peer does.
    pub fn step(&mut self) {
        let planned = self.agenda.peek().map(|Reverse((at, _))| *at);
        let due = self.timers.earliest();
        let timer_first = match (planned, due) {
            (Some(planned), Some(due)) if planned == due => self.random.below(2) == 0,
            (Some(planned), Some(due)) => due < planned,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        let at = if timer_first { due } else { planned };
        self.now = self.now.max(at.expect("a source always has a deadline"));
        if timer_first {
            let key = self.timers.due(self.now).expect("it was due");
            if key < self.sources.len() {
                self.source_timeout(key);
            } else {
                self.client_timeout(key - self.sources.len());
            }
        } else if let Some(Reverse((_, number))) = self.agenda.pop() {
            let event = self.events.remove(&number).expect("each happens once");
            self.happen(event);
        }
        self.check();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Peer {
                source,
                connection,
                deed,
            } => {
                // What a peer does after we have let go of it reaches nobody.
                if self.sources[source].connection == Some(connection) {
                    self.peer_does(source, deed);
                }
            }
            Event::Resolved {
                source,
                host,
                found,
            } => {
                let machine = &mut self.sources[source].machine;
                machine.resolved(host, found, self.now);
                self.run_source(source);
            }
            Event::Arrival => self.arrival(),
            Event::Made => self.deliver(),
            Event::Client { asker, deed } => self.client_does(asker, deed),
        }
    }

    pub fn now(&self) -> Now {
        Now {
            mono: self.now,
            epoch: EPOCH + (self.now.0 / 1000) as i64,
        }
    }

    fn source_timeout(&mut self, at: usize) {
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

    fn peer_does(&mut self, at: usize, deed: gmond::Deed) {
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
        while source.machine.has_backlog() {
            source.machine.work(now, self.store.table());
        }
        self.run_source(at);
    }

    /// Does what a poll machine wants done.
    fn run_source(&mut self, at: usize) {
        while let Some(action) = self.sources[at].machine.action() {
            match action {
                poll::Action::Resolve { host, .. } => self.look_up(at, host),
                poll::Action::Connect(_) => self.connect(at),
                poll::Action::Close => {
                    let closed = self.sources[at].connection.take();
                    assert!(closed.is_some(), "only what is open is closed");
                }
                poll::Action::Abandon(parser) => self.store.abort(SourceId(at), *parser),
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
        let source = &mut self.sources[at];
        assert_eq!(source.connection, None, "one connection at a time");
        source.next_version += 1;
        let document = gmond::document(&format!("c{at}"), source.next_version, source.hosts);
        let script = Script::draw(document, &mut self.random);
        let connection = self.next_connection;
        self.next_connection += 1;
        source.connection = Some(connection);
        source.promised = script.good;
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
        self.tally.missed += outcome.missed;
        for failure in &outcome.failures {
            let kind = format!("{:?}", failure.reason);
            let kind = kind.split(['(', ' ']).next().unwrap_or_default();
            *self.tally.failures.entry(kind.into()).or_default() += 1;
        }
        if let Some(answer) = outcome.answer {
            assert!(source.promised, "no document out of a bad connection");
            source.version = Some(source.next_version);
            self.tally.polls_good += 1;
            self.tally.moved += u64::from(answer.moved);
            self.tally.gzipped += u64::from(answer.wire_bytes < answer.document.bytes);
            assert_eq!(answer.document.damage, 0);
            let changed = self.store.commit(SourceId(at), answer.document, now);
            assert_eq!(changed.len(), 1);
        } else {
            assert!(!outcome.failures.is_empty(), "a reason for each failure");
            self.tally.polls_failed += 1;
            self.store.fail(SourceId(at), now);
        }
        self.store.summarize();
        if self.random.below(10) == 0 {
            self.store.expire(SourceId(at), now.mono);
        }
    }

    /// What must hold at any time.
    fn check(&mut self) {
        for (at, source) in self.sources.iter().enumerate() {
            let deadline = source.machine.deadline().expect("polls go on for good");
            assert!(deadline >= self.now, "what is due is done");
            if let Some(since) = source.running_since {
                assert!(deadline <= since + source.whole_limit, "a poll ends");
            } else {
                assert_eq!(source.connection, None, "no connection between polls");
                assert!(deadline.since(self.now) <= Duration::from_secs(300));
            }
            let version = match self.store.nodes_of(SourceId(at)) {
                [] => None,
                [Node::Cluster(cluster)] => {
                    assert_eq!(cluster.hosts.len() as u64, source.hosts);
                    Some(cluster.localtime as u64)
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(version, source.version, "only a good end changes data");
        }
        assert_eq!(self.errands.count(), self.plugins.count());
        assert!(self.plugins.count() <= MAX_PENDING);
        for asker in self.askers.values() {
            assert_eq!(asker.machine.is_pending(), asker.pending_since.is_some());
            let deadline = asker.machine.deadline().expect("a client has a deadline");
            assert!(deadline >= self.now, "what is due is done");
            let sent = Duration::from_secs(asker.answer.len() as u64 / client::MIN_BYTES_PER_SEC);
            let longest = client::REQUEST_LIMIT
                + client::HEAD_LIMIT
                + PENDING_LIMIT
                + client::ANSWER_LIMIT
                + sent
                + client::LINGER_LIMIT;
            assert!(self.now.since(asker.born) <= longest, "a client ends");
        }
        assert!(self.askers.len() < 200, "and so they do not pile up");
    }

    /// Ends as the daemon does, and tells what happened.
    pub fn finish(mut self) -> Tally {
        for at in 0..self.sources.len() {
            self.sources[at].machine.stop();
            self.run_source(at);
            assert_eq!(self.sources[at].connection, None);
            assert_eq!(self.sources[at].machine.deadline(), None);
        }
        for asker in self.askers.values_mut() {
            let busy = asker.machine.wants_to_write() || asker.machine.is_pending();
            asker.machine.stop();
            assert_eq!(asker.machine.is_closed(), !busy);
        }
        self.tally.spared = self.plugins.spared;
        // Who is gone has left nothing behind.
        self.askers.clear();
        self.plugins = Plugins::default();
        assert_eq!(self.errands.count(), 0);
        self.tally
    }
}

impl Source {
    fn new(at: usize, count: usize, random: &mut Random) -> Source {
        let names = ["10.0.0.1", "10.0.0.2", "gmond.example", "other.example"];
        let config = SourceConfig {
            name: format!("s{at}"),
            interval: Duration::from_secs([1, 5, 15, 60][random.below(4) as usize]),
            hosts: (0..=random.below(3))
                .map(|_| HostPort {
                    host: names[random.below(4) as usize].into(),
                    port: 8649,
                })
                .collect(),
        };
        let schedule = Schedule::new(config.interval, random.split());
        let first = schedule.first(at, count, Mono(0));
        Source {
            machine: Poll::new(&config, schedule, first),
            whole_limit: poll::WHOLE_LIMIT.max(config.interval * 2),
            running_since: None,
            connection: None,
            promised: false,
            hosts: 1 + random.below(40),
            version: None,
            next_version: 0,
        }
    }
}
