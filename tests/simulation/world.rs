//! Everything between the state machines and their peers: events, their times, and the invariants.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use gmetad_core::http::bodies;
use gmetad_core::ingest::{Limits, ParseSettings};
use gmetad_core::model::{GridIdentity, Mono, Now};
use gmetad_core::pending::{Errands, MAX_PENDING};
use gmetad_core::room::Room;
use gmetad_core::share::{Most, Shares};
use gmetad_core::store::{SourceId, Store};
use gmetad_core::timers::{Random, Timers};

use super::asker;
use super::clients::Asker;
use super::documents::OWN_GRID;
use super::gmond;
use super::model::{Brought, Model, Moment};
use super::plugins::Plugins;
use super::sources::{Source, Storing};
use super::tally::Tally;

/// Seconds since the epoch when the virtual clock starts.
const EPOCH: i64 = 1_700_000_000;

/// Where a jump of the time of day leads: right, an hour or a day off, or never set.
const JUMPS: [i64; 6] = [0, 3600, -3600, 30 * 86_400, -86_400, -EPOCH];

/// Clients at a time: fewer than a crowd.
pub const PLACES: Most = Most::half_for_each(80);

/// Limits of a document. Well-behaved sources stay far below; a horde exceeds them.
pub const LIMITS: Limits = Limits {
    nodes: 4,
    hosts: 200,
    names: 100,
    bytes: 2 << 20,
    ..Limits::DEFAULT
};

/// Definitions of metrics, at most: each document brings the same few.
const DEFINITIONS: usize = 20;

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
    /// A source's machine goes on with its work.
    Work {
        source: usize,
    },
    /// The loop goes on with the sums of everything, begun after that many changes.
    Sum {
        of: u64,
    },
    /// The time of day is set.
    Jump,
    /// The configuration is read again.
    Reload,
    Client {
        asker: usize,
        deed: asker::Deed,
    },
}

pub struct World {
    pub random: Random,
    pub now: Mono,
    /// How far the time of day has jumped.
    offset: i64,
    pub store: Store,
    pub model: Model,
    /// How often the store has changed.
    pub changes: u64,
    /// What the store has begun to do, in order.
    pub storing: VecDeque<Storing>,
    /// What is shown now.
    pub moment: Rc<Moment>,
    pub sources: Vec<Source>,
    pub askers: HashMap<usize, Asker>,
    pub next_asker: usize,
    pub places: Shares,
    pub room: Room<usize>,
    pub errands: Errands,
    pub bodies: Shares,
    pub plugins: Plugins,
    pub timers: Timers,
    agenda: BinaryHeap<Reverse<(Mono, u64)>>,
    events: HashMap<u64, Event>,
    next_event: u64,
    pub next_connection: u64,
    pub tally: Tally,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let (name, authority) = OWN_GRID;
        let identity = GridIdentity {
            name: name.into(),
            authority: authority.into(),
            scalable: true,
        };
        let settings = ParseSettings {
            limits: LIMITS,
            own_grid: Some(identity.clone()),
            ..ParseSettings::default()
        };
        let mut store = Store::new(identity, Arc::new(settings));
        let mut timers = Timers::default();
        let mut model = Model::default();
        let count = 2 + random.below(4) as usize;
        let sources = (0..count)
            .map(|at| {
                let source = Source::new(at, count, Mono(0), &mut random);
                assert_eq!(store.add_source(), SourceId(at));
                model.sources.push(Brought::default());
                timers.set(at, source.machine.deadline());
                source
            })
            .collect();
        let mut world = World {
            random,
            now: Mono(0),
            offset: 0,
            store,
            model,
            changes: 0,
            storing: VecDeque::new(),
            moment: Rc::default(),
            sources,
            askers: HashMap::new(),
            next_asker: 0,
            places: Shares::new(PLACES),
            room: Room::default(),
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
        world.plan(0, Event::Jump);
        world.plan(100_000, Event::Reload);
        world
    }

    pub fn plan(&mut self, after_ms: u64, event: Event) {
        let at = Mono(self.now.0 + after_ms);
        self.agenda.push(Reverse((at, self.next_event)));
        self.events.insert(self.next_event, event);
        self.next_event += 1;
    }

    /// The next event: a deadline, or something a peer does.
    pub fn step(&mut self) {
        self.tally.steps += 1;
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
        self.change_on(100);
        let is_untidy = self.store.tidy();
        if !is_untidy && !self.store.is_changing() {
            let definitions = self.store.table().len();
            assert!(definitions <= DEFINITIONS, "{definitions} definitions");
        }
        self.check();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Peer {
                source,
                connection,
                deed,
            } => self.peer_does(source, connection, deed),
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
            Event::Work { source } => self.work(source),
            Event::Sum { of } => self.sum_on(of),
            Event::Jump => self.jump(),
            Event::Reload => self.reload(),
            Event::Client { asker, deed } => self.client_does(asker, deed),
        }
    }

    pub fn now(&self) -> Now {
        Now {
            mono: self.now,
            epoch: EPOCH + (self.now.0 / 1000) as i64 + self.offset,
        }
    }

    /// The time of day is set, and set again later. Nothing but times of day may depend on it.
    fn jump(&mut self) {
        self.offset = JUMPS[self.random.below(JUMPS.len() as u64) as usize];
        self.tally.count("jumps of the time of day", 1);
        let pause_ms = self.random.below(120_000);
        self.plan(pause_ms, Event::Jump);
    }

    /// The invariants.
    fn check(&mut self) {
        self.check_sources();
        assert_eq!(self.errands.count(), self.plugins.count());
        assert!(self.plugins.count() <= MAX_PENDING);
        assert_eq!(self.places.count(), self.askers.len());
        assert!(self.askers.len() <= PLACES.in_all, "clients are bounded");
        let next = self.timers.earliest().expect("polls go on for good");
        assert!(next >= self.now, "what is due is done");
    }

    /// Ends as the daemon does, and tells what happened.
    pub fn finish(mut self) -> Tally {
        self.stop_sources();
        self.check_askers();
        for asker in self.askers.values_mut() {
            let busy = asker.machine.wants_to_write() || asker.machine.is_pending();
            asker.machine.stop();
            assert_eq!(asker.machine.is_closed(), !busy);
        }
        let spared = self.plugins.spared;
        self.tally.count("answers that are not begun", spared);
        // Closed clients leave nothing behind.
        self.askers.clear();
        self.plugins = Plugins::default();
        assert_eq!(self.errands.count(), 0);
        assert_eq!(self.places.count(), 0);
        self.tally
    }
}
