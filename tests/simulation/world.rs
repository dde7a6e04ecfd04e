//! Everything between the machines and their peers, and the rules that are checked after each step.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gmetad_core::answer::query::{Query, Selection};
use gmetad_core::answer::xml::Render;
use gmetad_core::client::{Client, Request};
use gmetad_core::ingest::parse::ParseSettings;
use gmetad_core::model::{GridIdentity, Mono, Node, Now};
use gmetad_core::poll::Poll;
use gmetad_core::source::{HostPort, SourceConfig};
use gmetad_core::store::{SourceId, Store};
use gmetad_core::timers::{Random, Schedule, Timers};
use gmetad_core::{client, poll};

use super::asker::{self, Manner};
use super::gmond::{self, Script};

/// Seconds since the epoch when the virtual clock starts.
const EPOCH: i64 = 1_000_000;

/// More than one piece of an answer may be over its limit by, such as one element.
const SLACK_BYTES: usize = 4096;

/// What a run has seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    polls_good: u64,
    polls_failed: u64,
    missed: u64,
    moved: u64,
    gzipped: u64,
    answers: u64,
    faults: HashMap<String, u64>,
    failures: HashMap<String, u64>,
    /// What the clients were sent, mixed together.
    digest: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.polls_good += other.polls_good;
        self.polls_failed += other.polls_failed;
        self.missed += other.missed;
        self.moved += other.moved;
        self.gzipped += other.gzipped;
        self.answers += other.answers;
        for (into, from) in [
            (&mut self.faults, &other.faults),
            (&mut self.failures, &other.failures),
        ] {
            for (what, times) in from {
                *into.entry(what.clone()).or_default() += times;
            }
        }
    }

    /// A simulation in which something never happens proves nothing about it.
    pub fn assert_that_all_of_it_happened(&self) {
        let counts = [
            self.polls_good,
            self.polls_failed,
            self.missed,
            self.moved,
            self.gzipped,
            self.answers,
        ];
        assert!(counts.iter().all(|count| *count > 20), "{self:?}");
        for fault in ["LongLine", "NoRequest", "Stalled", "Slow", "Gone"] {
            assert!(self.faults.contains_key(fault), "no {fault} in {self:?}");
        }
        for failure in [
            "Unresolved",
            "ResolveTimeout",
            "Connect",
            "ConnectTimeout",
            "Silent",
            "Overlong",
            "Broken",
            "Nothing",
            "Gzip",
            "Document",
        ] {
            assert!(
                self.failures.contains_key(failure),
                "no {failure} in {self:?}"
            );
        }
    }
}

struct Source {
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
    version: Option<u64>,
    /// What its next document says.
    next_version: u64,
}

struct Asker {
    machine: Client,
    manner: Manner,
    born: Mono,
    answer: Vec<u8>,
    /// Versions of all sources when it asked.
    moment: Vec<Option<u64>>,
    /// When it took the last byte.
    done: bool,
    broken: bool,
}

enum Event {
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
    Client {
        asker: usize,
        deed: asker::Deed,
    },
}

pub struct World {
    random: Random,
    now: Mono,
    store: Store,
    sources: Vec<Source>,
    askers: HashMap<usize, Asker>,
    next_asker: usize,
    timers: Timers,
    agenda: BinaryHeap<Reverse<(Mono, u64)>>,
    events: HashMap<u64, Event>,
    next_event: u64,
    next_connection: u64,
    tally: Tally,
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

    fn plan(&mut self, after_ms: u64, event: Event) {
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
            Event::Arrival => self.arrive(),
            Event::Client { asker, deed } => self.client_does(asker, deed),
        }
    }

    fn now(&self) -> Now {
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

    fn arrive(&mut self) {
        let number = self.next_asker;
        self.next_asker += 1;
        let mut manner = Manner::draw(&mut self.random);
        let machine = if manner.on_xml_port {
            Client::of_xml_port(self.now)
        } else {
            Client::of_interactive_port(self.now)
        };
        let mut after_ms = 0;
        for act in std::mem::take(&mut manner.request) {
            after_ms += act.after_ms;
            let deed = act.deed;
            self.plan(
                after_ms,
                Event::Client {
                    asker: number,
                    deed,
                },
            );
        }
        let asker = Asker {
            machine,
            manner,
            born: self.now,
            answer: Vec::new(),
            moment: Vec::new(),
            done: false,
            broken: false,
        };
        self.askers.insert(number, asker);
        self.run_client(number);
        let pause_ms = self.random.below(4000);
        self.plan(pause_ms, Event::Arrival);
    }

    fn client_timeout(&mut self, number: usize) {
        let Some(asker) = self.askers.get_mut(&number) else {
            return;
        };
        asker.machine.timeout(self.now);
        self.run_client(number);
        let left = self.askers.get(&number);
        let next = left.map(|asker| asker.machine.deadline());
        assert!(
            next.is_none_or(|next| next > Some(self.now)),
            "a deadline is over once it has come"
        );
    }

    fn client_does(&mut self, number: usize, deed: asker::Deed) {
        let now = self.now;
        let Some(asker) = self.askers.get_mut(&number) else {
            return;
        };
        match deed {
            asker::Deed::Send(bytes) => asker.machine.bytes(&bytes, now),
            asker::Deed::HalfClose => asker.machine.end(now),
            asker::Deed::Break => {
                asker.broken = true;
                asker.machine.broken();
            }
            asker::Deed::Take(most) => asker.take(most, now),
        }
        self.run_client(number);
    }

    /// Does what a client's machine wants done.
    fn run_client(&mut self, number: usize) {
        let now = self.now();
        let Some(asker) = self.askers.get_mut(&number) else {
            return;
        };
        let mut has_asked = false;
        while let Some(action) = asker.machine.action() {
            match action {
                client::Action::Request(request) => {
                    let snapshot = self.store.snapshot();
                    let selection = match request {
                        Request::All => Selection::all(),
                        Request::Line(line) => Selection::resolve(&snapshot, &Query::parse(&line)),
                        Request::Http(head) => {
                            let target = head.target.expect("none of them sends a bad one");
                            Selection::resolve_strict(&snapshot, &Query::parse(&target)).0
                        }
                    };
                    let body = Box::new(Render::new(snapshot, selection, now));
                    asker.machine.answer(body, now.mono);
                    asker.moment = self.sources.iter().map(|it| it.version).collect();
                    has_asked = true;
                }
                client::Action::CloseWrite => {
                    asker.done = true;
                    if asker.manner.closes {
                        asker.machine.end(now.mono);
                    }
                }
                client::Action::Close(fault) => {
                    assert!(asker.machine.is_closed());
                    if let Some(fault) = fault {
                        *self.tally.faults.entry(format!("{fault:?}")).or_default() += 1;
                    }
                }
            }
        }
        self.timers
            .set(self.sources.len() + number, asker.machine.deadline());
        if asker.machine.is_closed() {
            let asker = self.askers.remove(&number).expect("it is there");
            self.client_left(&asker);
            return;
        }
        let takes_on = has_asked || (asker.machine.wants_to_write() && asker.wants_to_go_on());
        if takes_on {
            let (after_ms, deed) = asker.next_taking();
            self.plan(
                after_ms,
                Event::Client {
                    asker: number,
                    deed,
                },
            );
        }
    }

    fn client_left(&mut self, asker: &Asker) {
        let whole = asker.answer.ends_with(b"</GANGLIA_XML>\n");
        if asker.manner.deserving && !asker.broken {
            assert!(whole, "{}", String::from_utf8_lossy(&asker.answer));
        }
        if !whole {
            return;
        }
        self.tally.answers += 1;
        for byte in &asker.answer {
            self.tally.digest =
                (self.tally.digest ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
        assert_one_moment(&asker.answer, &asker.moment);
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
        for asker in self.askers.values() {
            let deadline = asker.machine.deadline().expect("a client has a deadline");
            assert!(deadline >= self.now, "what is due is done");
            let sent = Duration::from_secs(asker.answer.len() as u64 / client::MIN_BYTES_PER_SEC);
            let longest = client::REQUEST_LIMIT
                + client::HEAD_LIMIT
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
            let busy = asker.machine.wants_to_write();
            asker.machine.stop();
            assert_eq!(asker.machine.is_closed(), !busy);
        }
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

impl Asker {
    fn take(&mut self, most: usize, now: Mono) {
        let mut left = most;
        while left > 0 && self.machine.wants_to_write() {
            if self.machine.finish(now) {
                return;
            }
            let out = self.machine.output();
            assert!(
                out.len() <= client::OUT_BYTES + SLACK_BYTES,
                "{}",
                out.len()
            );
            let len = out.len().min(left);
            self.answer.extend_from_slice(&out[..len]);
            self.machine.written(len, now);
            left -= len;
        }
    }

    fn wants_to_go_on(&self) -> bool {
        !self.done && matches!(self.manner.taking.deed, asker::Deed::Take(_))
    }

    fn next_taking(&self) -> (u64, asker::Deed) {
        let deed = match self.manner.taking.deed {
            asker::Deed::Take(most) => asker::Deed::Take(most),
            _ => asker::Deed::Break,
        };
        (self.manner.taking.after_ms, deed)
    }
}

/// Everything in an answer must be of the moment in which it was asked for.
fn assert_one_moment(answer: &[u8], moment: &[Option<u64>]) {
    let text = std::str::from_utf8(answer).expect("ASCII went in");
    for cluster in text.split("<CLUSTER NAME=\"c").skip(1) {
        let (number, _) = cluster.split_once('"').expect("a quote");
        let at: usize = number.parse().expect("a number");
        let version = moment[at].expect("it was there");
        for attribute in ["LOCALTIME=\"", "REPORTED=\"", " VAL=\""] {
            for rest in cluster.split(attribute).skip(1) {
                let (value, _) = rest.split_once('"').expect("a quote");
                // What follows the cluster is the end of the document.
                assert_eq!(value, version.to_string(), "{attribute} in cluster {at}");
            }
        }
    }
}
