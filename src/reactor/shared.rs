//! State that the handlers of all slots share.
//!
//! It does not contain the slots, so that a slot and this can be borrowed at the same time.

use std::collections::VecDeque;
use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Registry, Waker};

use super::TURN_BYTES;
use super::arrivals::Arrivals;
use super::chores::{Rhythm, RootDraft};
use super::clock::Clock;
use super::handing::Handing;
use super::limits::{most_clients, raise_descriptors, warn_of_too_few};
use super::moments::Moments;
use super::names::Names;
use super::nuisance::{Nuisance, Nuisances};
use super::resolver::Resolver;
use super::slots::Key;
use crate::host::{Sampler, own_names};
use crate::plugins::PluginHandle;
use gmetad_config::Config;
use gmetad_core::complaint::Complaint;
use gmetad_core::http::{Access, bodies, scrapes};
use gmetad_core::ingest::ParseSettings;
use gmetad_core::model::{GridIdentity, Mono, Now};
use gmetad_core::pending::Errands;
use gmetad_core::room::Room;
use gmetad_core::share::Shares;
use gmetad_core::status::{ClientStatus, LoopStatus, SourceStatus, SummaryStatus, Turn, Work};
use gmetad_core::store::{SourceId, Store};
use gmetad_core::timers::{Random, Timers};
use gmetad_core::trust::Trust;

/// Periodic work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chore {
    /// Summarize all sources.
    Summary,
    /// Drop what is past its DMAX, one source a turn.
    Expiry,
    /// Resolve the trusted names again.
    Names,
    /// Tell the service manager that the loop turns.
    Watchdog,
    /// Check the deadlines of the shutdown.
    Ending,
}

impl Chore {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Chore; 5] = [
        Chore::Summary,
        Chore::Expiry,
        Chore::Names,
        Chore::Watchdog,
        Chore::Ending,
    ];
}

/// State of the shutdown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    /// The signal that asked for it.
    pub(super) why: &'static str,
    /// When to stop waiting for the plugins.
    pub(super) plugins_until: Mono,
    /// Stop waiting for anything.
    pub(super) at_once: bool,
}

/// State that the handlers of all slots share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) registry: Registry,
    pub(super) clock: Clock,
    /// As of the start of the turn.
    pub(super) now: Now,
    pub(super) store: Store,
    /// The sums of everything on their way to the plugins.
    pub(super) root: Option<RootDraft>,
    /// Time spent so far on the sums of everything that are being computed.
    pub(super) summing: Duration,
    /// By change of the store that is under way: the source that waits for it, if one does.
    pub(super) storing: VecDeque<Option<Key>>,
    /// Time spent so far on the first of them.
    pub(super) changing: Duration,
    /// What it has for the plugins.
    pub(super) handing: Handing,
    /// Deadlines, by the index of the slot's key.
    pub(super) timers: Timers,
    pub(super) resolver: Resolver,
    /// From the start of the run on.
    pub(super) plugins: Option<PluginHandle>,
    pub(super) trust: Trust,
    pub(super) names: Names,
    /// Which HTTP requests are for this machine, and which web pages may read the answers.
    pub(super) access: Access,
    /// Sources that answer for the first time.
    pub(super) arrivals: Arrivals,
    pub(super) nuisances: Nuisances,
    pub(super) no_descriptors: Complaint,
    pub(super) stalled: Complaint,
    /// Limit of open files.
    descriptors: u64,
    /// A share of this is held by each client.
    pub(super) places: Shares,
    /// Which clients are idle, and who makes room.
    pub(super) room: Room<Key>,
    pub(super) clients: ClientStatus,
    pub(super) moments: Moments,
    /// By the source's id; entries of removed sources remain.
    pub(super) sources: Vec<SourceStatus>,
    pub(super) summaries: SummaryStatus,
    pub(super) turns: LoopStatus,
    /// From the start of the run on, if its thread could be started.
    pub(super) sampler: Option<Sampler>,
    /// A share of this is held by each scrape under way.
    pub(super) scrapes: Shares,
    /// A share of this is held by each body of a request under way.
    pub(super) bodies: Shares,
    /// Answers that the plugin thread is to make.
    pub(super) errands: Errands,
    pub(super) host_name: String,
    /// Names that this machine gives itself, as of the start.
    own_names: Vec<String>,
    pub(super) random: Random,
    /// Read buffer for all sockets; empty between two reads.
    pub(super) buffer: Box<[u8]>,
    /// When everything is summed up.
    pub(super) rhythm: Rhythm,
    /// By the chore's number.
    chores: [Key; Chore::ALL.len()],
    /// Next source of the expiry sweep under way.
    pub(super) expiring: usize,
    /// Poll each source once only.
    pub(super) once: bool,
    /// From the first SIGTERM or SIGINT on.
    pub(super) ending: Option<Ending>,
}

impl Shared {
    /// Counts a turn that began then and is over now, and what it was about.
    pub(super) fn note_turn(&mut self, about: Option<(Work, Option<SourceId>)>, start: Instant) {
        let Some((work, source)) = about else { return };
        let turn = Turn {
            took: start.elapsed(),
            work,
            source: source.map(|id| id.0),
        };
        self.turns.add(turn, self.now.mono.0);
    }

    /// The state at start. `chores` are the keys of their slots.
    pub(super) fn new(
        config: &Config,
        registry: Registry,
        waker: &Arc<Waker>,
        chores: [Key; Chore::ALL.len()],
    ) -> Shared {
        let clock = Clock::new();
        let host_name = host_name();
        let descriptors = raise_descriptors();
        warn_of_too_few(config, descriptors);
        let own_names = own_names(&host_name);
        let seed = RandomState::new().hash_one(std::process::id());
        log::debug!("seed of every random decision: {seed}");
        let mut store = Store::new(identity(config), settings(config));
        store.set_run(seed);
        Shared {
            now: clock.now(),
            clock,
            store,
            root: None,
            summing: Duration::ZERO,
            storing: VecDeque::new(),
            changing: Duration::ZERO,
            handing: Handing::default(),
            timers: Timers::default(),
            resolver: Resolver::new(Arc::clone(waker)),
            plugins: None,
            trust: Trust::new(&config.trust),
            names: Names::default(),
            access: access(config, &own_names),
            arrivals: Arrivals::default(),
            nuisances: Nuisances::default(),
            no_descriptors: Complaint::new(),
            stalled: Complaint::new(),
            places: Shares::new(most_clients(config, descriptors)),
            descriptors,
            room: Room::default(),
            clients: ClientStatus::default(),
            moments: Moments::default(),
            sources: Vec::new(),
            summaries: SummaryStatus::default(),
            turns: LoopStatus::default(),
            sampler: None,
            scrapes: scrapes(),
            bodies: bodies(),
            errands: Errands::default(),
            host_name,
            own_names,
            random: Random::new(seed),
            buffer: vec![0; TURN_BYTES].into(),
            rhythm: Rhythm::default(),
            chores,
            expiring: 0,
            once: false,
            ending: None,
            registry,
            config: config.clone(),
        }
    }

    pub(super) fn instant(&self) -> Instant {
        self.clock.instant(self.now.mono)
    }

    /// Takes over who may ask over HTTP from the configuration.
    pub(super) fn set_access(&mut self) {
        self.access = access(&self.config, &self.own_names);
    }

    /// Takes over how many clients there may be from the configuration.
    pub(super) fn set_most_clients(&mut self) {
        warn_of_too_few(&self.config, self.descriptors);
        let most = most_clients(&self.config, self.descriptors);
        self.places.set_most(most);
    }

    /// The key of a chore.
    pub(super) fn chore(&self, chore: Chore) -> Key {
        self.chores[chore as usize]
    }

    /// Sets when a chore is due.
    pub(super) fn set_chore(&mut self, chore: Chore, at: Option<Mono>) {
        self.set_deadline(self.chore(chore), at);
    }

    /// Something has changed: it is summed up at once, or a little later if all was shortly before.
    pub(super) fn sum_soon(&mut self) {
        if !self.once && self.ending.is_none() {
            let due = self.rhythm.changed(self.now.mono);
            self.set_chore(Chore::Summary, Some(due));
        }
    }

    /// Everything is summed up at once.
    pub(super) fn sum_now(&mut self) {
        self.rhythm = Rhythm::default();
        self.sum_soon();
    }

    /// Sets or clears the deadline of a slot.
    pub(super) fn set_deadline(&mut self, key: Key, at: Option<Mono>) {
        self.timers.set(key.index(), at);
    }

    /// Looks the trusted names up now, and sets when to do so again.
    pub(super) fn look_up_names(&mut self) {
        let now = self.now.mono;
        let next = self.names.look_up(&self.trust, &mut self.resolver, now);
        self.set_chore(Chore::Names, next);
    }

    /// A client was refused: looks the trusted names up earlier.
    pub(super) fn look_up_names_soon(&mut self) {
        let soon = self.names.look_up_soon(&self.trust, self.now.mono);
        if soon.is_some() {
            self.set_chore(Chore::Names, soon);
        }
    }

    /// A lookup of a trusted name has ended.
    pub(super) fn name_looked_up(&mut self, name: &str, found: Result<Vec<SocketAddr>, String>) {
        let now = self.instant();
        self.names.looked_up(name, found, &mut self.trust, now);
    }

    /// Logs a fault of a client, unless it was logged too recently.
    pub(super) fn tell(&mut self, address: IpAddr, nuisance: Nuisance, what: &dyn Display) {
        let now = self.instant();
        self.nuisances.tell(address, nuisance, what, now);
    }
}

/// Name and authority of this grid.
pub(super) fn identity(config: &Config) -> GridIdentity {
    GridIdentity {
        name: config.gridname.clone(),
        authority: config.authority.clone(),
        scalable: config.scalable,
    }
}

/// Which HTTP requests are for this machine, and which web pages may read the answers.
fn access(config: &Config, own_names: &[String]) -> Access {
    let names = own_names.iter().chain(&config.http_host_names);
    Access::new(names, config.http_allow_origin.iter().cloned())
}

/// How documents are parsed.
pub(super) fn settings(config: &Config) -> Arc<ParseSettings> {
    Arc::new(ParseSettings {
        own_grid: Some(identity(config)),
        ..config.parse_settings()
    })
}

fn host_name() -> String {
    nix::unistd::gethostname().map_or_else(|_| String::new(), |name| name.to_string_lossy().into())
}
