//! The loop: waits for sockets, clocks, signals and other threads, and runs what the core decides.
//!
//! Never blocks but in one place, and does a bounded amount of work between two waits.

mod arrivals;
mod cached;
mod chores;
mod clients;
mod clock;
mod listen;
mod moments;
mod names;
mod nuisance;
mod once;
mod reload;
mod report;
mod resolver;
mod slots;
mod sources;

use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook_mio::v1_0::Signals;
use thiserror::Error;

use self::arrivals::Arrivals;
use crate::daemon::{PortHolder, cannot_listen, port_holder};
use crate::host::Sampler;
use crate::plugins::PluginHandle;
use crate::{logging, plugins};
use gmetad_config::Config;
use gmetad_core::complaint::Complaint;
use gmetad_core::ingest::parse::ParseSettings;
use gmetad_core::model::{GridIdentity, Now};
use gmetad_core::status::{ClientStatus, SourceStatus, SummaryStatus};
use gmetad_core::store::Store;
use gmetad_core::timers::{Random, Timers};
use gmetad_core::trust::Trust;

use chores::Ending;
use clients::{MAX_CLIENTS, Turn};
use clock::Clock;
use listen::{Listener, Port};
use moments::Moments;
use names::Names;
use nuisance::{Nuisance, Nuisances};
pub use once::{Brought, Round, SourceRound};
pub use reload::Origin;
use reload::Reloading;
use resolver::{Asker, Resolver};
use slots::{Chore, Slot, Slots};

/// Bytes read from or written to one connection before others have their turn.
const TURN_BYTES: usize = 64 << 10;

/// Turns of those who ask before a document that is read or written goes on: a flood of questions
/// shall not stop the polls.
const PROMPT_TURNS: usize = 32;

/// Events taken in at a time.
const EVENTS: usize = 256;

/// Descriptors kept for files, logs, libraries and the loop itself.
const SPARE_DESCRIPTORS: u64 = 64;

/// Whether a port could be listened on, as a start would; if not, the address that was tried.
pub fn try_port(address: Option<IpAddr>, port: u16) -> Result<(), (SocketAddr, io::Error)> {
    listen::try_out(address, port)
}

/// Why the loop cannot be set up.
#[derive(Debug, Error)]
pub enum BindError {
    /// A port cannot be had.
    #[error("{}", cannot_listen(name, *address, source, holder.as_ref()))]
    Listen {
        /// The directive that says the port.
        name: &'static str,
        /// What was tried.
        address: SocketAddr,
        /// Who has it, where the system tells.
        holder: Option<PortHolder>,
        /// What the system says.
        source: io::Error,
    },
    /// The rrdcached socket cannot be had.
    #[error("listen {} cannot be listened on: {source}", path.display())]
    Socket {
        /// Where it was to be.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system gave no descriptors for it.
    #[error("the loop cannot be set up: {0}")]
    SetUp(#[from] io::Error),
}

/// Why the loop ended without being told to.
#[derive(Debug, Error)]
pub enum RunError {
    /// The system no longer says what is ready.
    #[error("the loop cannot wait for its sockets: {0}")]
    Wait(io::Error),
    /// The system gave no thread.
    #[error("the plugin thread cannot be started: {0}")]
    Plugins(io::Error),
}

/// The loop, its ports bound.
pub struct Reactor {
    poll: Poll,
    signals: Signals,
    slots: Slots,
    shared: Shared,
    waker: Arc<Waker>,
    /// Where the configuration can be read again, if anywhere.
    origin: Option<Origin>,
    reloading: Reloading,
    xml_addrs: Vec<SocketAddr>,
    interactive_addrs: Vec<SocketAddr>,
}

/// What every slot's work may need beside its slot.
struct Shared {
    config: Config,
    registry: Registry,
    clock: Clock,
    /// As of the start of the turn.
    now: Now,
    store: Store,
    timers: Timers,
    resolver: Resolver,
    /// From the start of the run on.
    plugins: Option<PluginHandle>,
    trust: Trust,
    names: Names,
    /// Sources that answer for the first time.
    arrivals: Arrivals,
    nuisances: Nuisances,
    no_descriptors: Complaint,
    stalled: Complaint,
    max_clients: usize,
    clients: ClientStatus,
    moments: Moments,
    /// Clients of the rrdcached socket so far.
    cached_clients: u64,
    /// By the source's id; those that were removed are here no less.
    sources: Vec<SourceStatus>,
    /// How many there have ever been.
    sources_made: u64,
    summaries: SummaryStatus,
    /// From the start of the run on, if the system gave a thread for it.
    sampler: Option<Sampler>,
    /// Held by every scrape under way.
    scrapes: Arc<()>,
    host_name: String,
    random: Random,
    /// What is read from any socket, for as long as it takes to hand it on.
    buffer: Box<[u8]>,
    chores: [usize; 4],
    /// Source to look through next, while an expiry sweep is under way.
    expiring: usize,
    /// Each source is polled once and no more.
    once: bool,
    /// From the first signal to end on.
    ending: Option<Ending>,
}

impl Reactor {
    /// Binds both ports and takes over the signals; to be called before privileges are dropped.
    pub fn bind(config: &Config) -> Result<Self, BindError> {
        let mut reactor = Reactor::without_ports(config)?;
        let xml = reactor.listen("xml_port", Port::Xml, config.xml_port)?;
        reactor.xml_addrs.push(xml);
        let interactive = reactor.listen(
            "interactive_port",
            Port::Interactive,
            config.interactive_port,
        )?;
        reactor.interactive_addrs.push(interactive);
        if let Some(path) = &config.rrd.listen
            && config.rrd.write
        {
            reactor.listen_as_rrdcached(path, config)?;
        }
        Ok(reactor)
    }

    /// Takes over the signals and serves nobody.
    pub fn without_ports(config: &Config) -> Result<Self, BindError> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let mut slots = Slots::default();
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGUSR1])?;
        let token = Token(slots.add(Slot::Signals));
        registry.register(&mut signals, token, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(&registry, Token(slots.add(Slot::Waker)))?);
        let chores = Chore::ALL.map(|chore| slots.add(Slot::Chore(chore)));

        let clock = Clock::new();
        let seed = RandomState::new().hash_one(std::process::id());
        log::debug!("seed of every random decision: {seed}");
        let shared = Shared {
            now: clock.now(),
            clock,
            store: Store::new(identity(config), settings(config)),
            timers: Timers::default(),
            resolver: Resolver::new(Arc::clone(&waker)),
            plugins: None,
            trust: Trust::new(&config.trust),
            names: Names::default(),
            arrivals: Arrivals::default(),
            nuisances: Nuisances::default(),
            no_descriptors: Complaint::new(),
            stalled: Complaint::new(),
            max_clients: room_for_clients(config.sources.len()),
            clients: ClientStatus::default(),
            moments: Moments::default(),
            cached_clients: 0,
            sources: Vec::new(),
            sources_made: 0,
            summaries: SummaryStatus::default(),
            sampler: None,
            scrapes: Arc::default(),
            host_name: host_name(),
            random: Random::new(seed),
            buffer: vec![0; TURN_BYTES].into(),
            chores,
            expiring: 0,
            once: false,
            ending: None,
            registry,
            config: config.clone(),
        };
        Ok(Reactor {
            poll,
            signals,
            slots,
            shared,
            waker,
            origin: None,
            reloading: Reloading::No,
            xml_addrs: Vec::new(),
            interactive_addrs: Vec::new(),
        })
    }

    fn listen(
        &mut self,
        name: &'static str,
        port: Port,
        number: u16,
    ) -> Result<SocketAddr, BindError> {
        let mut socket = listen::open(self.shared.config.bind_address, number).map_err(
            |(address, source)| BindError::Listen {
                name,
                address,
                holder: (source.kind() == io::ErrorKind::AddrInUse)
                    .then(|| port_holder(address))
                    .flatten(),
                source,
            },
        )?;
        let address = socket.local_addr()?;
        let token = self.slots.add(Slot::Free);
        self.shared
            .registry
            .register(&mut socket, Token(token), Interest::READABLE)?;
        if let Some(slot) = self.slots.get_mut(token) {
            *slot = Slot::Listener(Listener { socket, port });
        }
        Ok(address)
    }

    fn listen_as_rrdcached(&mut self, path: &Path, config: &Config) -> Result<(), BindError> {
        let opened = cached::open(path, config).map_err(|source| BindError::Socket {
            path: path.into(),
            source,
        });
        let mut listener = opened?;
        let token = self.slots.add(Slot::Free);
        self.shared
            .registry
            .register(listener.socket(), Token(token), Interest::READABLE)?;
        if let Some(slot) = self.slots.get_mut(token) {
            *slot = Slot::CachedListener(listener);
        }
        Ok(())
    }

    /// Reads the configuration from there again at SIGHUP.
    #[must_use]
    pub fn reloading_from(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Where the whole document is served.
    pub fn xml_addrs(&self) -> &[SocketAddr] {
        &self.xml_addrs
    }

    /// Where requests by path are served.
    pub fn interactive_addrs(&self) -> &[SocketAddr] {
        &self.interactive_addrs
    }

    /// Polls, serves and feeds the plugins until SIGTERM or SIGINT; which of them.
    pub fn run(mut self) -> Result<&'static str, RunError> {
        self.start_plugins()?;
        self.shared.sampler = Sampler::start()
            .inspect_err(|err| log::warn!("this machine's figures are not looked at: {err}"))
            .ok();
        self.add_sources();
        self.start_chores();
        let mut events = Events::with_capacity(EVENTS);
        while !self.has_ended() {
            self.step(&mut events).map_err(RunError::Wait)?;
        }
        if let Some(mut plugins) = self.shared.plugins.take() {
            plugins.stop(Duration::ZERO);
        }
        Ok(self.shared.ending.map_or("", |ending| ending.why))
    }

    fn start_plugins(&mut self) -> Result<(), RunError> {
        let waker = Arc::clone(&self.waker);
        let wake = Box::new(move || {
            // A loop that cannot be woken looks at the queue when it next wakes.
            let _ = waker.wake();
        });
        let plugins = plugins::start(&self.shared.config, wake).map_err(RunError::Plugins)?;
        self.shared.plugins = Some(plugins);
        self.shared.now = self.shared.clock.now();
        Ok(())
    }

    /// Waits for something to happen and does what follows from it.
    fn step(&mut self, events: &mut Events) -> io::Result<()> {
        self.wait(events)?;
        self.shared.now = self.shared.clock.now();
        for event in events.iter() {
            self.event(event);
        }
        while let Some(token) = self.shared.timers.due(self.shared.now.mono) {
            self.timeout(token);
        }
        for _ in 0..PROMPT_TURNS {
            let Some(token) = self.slots.next_prompt() else {
                break;
            };
            self.turn(token);
        }
        if let Some(token) = self.slots.next_bulky() {
            self.turn(token);
        }
        if let Some(first) = self.shared.moments.let_go_before(self.shared.now.mono) {
            clients::let_go_before(&mut self.slots, first);
        }
        self.look_after_plugins();
        Ok(())
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let limit = if self.slots.are_ready() {
            Some(Duration::ZERO)
        } else {
            let now = self.shared.clock.mono();
            self.shared.timers.earliest().map(|at| at.since(now))
        };
        match self.poll.poll(events, limit) {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Takes an event in; what it leads to is done in the slot's turn.
    fn event(&mut self, event: &Event) {
        let token = event.token().0;
        match self.slots.get_mut(token) {
            None | Some(Slot::Free | Slot::Chore(_)) => return,
            Some(Slot::Source(source)) => source.event(event),
            Some(Slot::Client(client)) => client.event(event),
            Some(Slot::CachedClient(client)) => client.event(event),
            Some(Slot::Signals | Slot::Waker | Slot::Listener(_) | Slot::CachedListener(_)) => {}
        }
        self.slots.make_ready(token);
    }

    /// A deadline has come.
    fn timeout(&mut self, token: usize) {
        match self.slots.get_mut(token) {
            None | Some(Slot::Free | Slot::Signals | Slot::Waker) => return,
            Some(Slot::Chore(chore)) => {
                let chore = *chore;
                self.do_chore(chore);
                return;
            }
            Some(Slot::Source(source)) => source.timeout(&mut self.shared),
            Some(Slot::Client(client)) => client.machine.timeout(self.shared.now.mono),
            // Its deadline is looked at in its turn.
            Some(Slot::Listener(_) | Slot::CachedListener(_) | Slot::CachedClient(_)) => {}
        }
        self.slots.make_ready(token);
    }

    /// Does a bounded amount of work.
    fn turn(&mut self, token: usize) {
        self.shared.now = self.shared.clock.now();
        let again = match self.slots.get_mut(token) {
            None | Some(Slot::Free) => false,
            Some(Slot::Signals) => {
                self.take_signals();
                false
            }
            Some(Slot::Waker) => {
                self.take_answers();
                false
            }
            Some(Slot::Chore(_)) => self.expire_one(),
            Some(Slot::Listener(_)) => clients::accept(&mut self.slots, token, &mut self.shared),
            Some(Slot::Source(source)) => source.turn(&mut self.shared),
            Some(Slot::CachedListener(_)) => {
                cached::accept(&mut self.slots, token, &mut self.shared);
                false
            }
            Some(Slot::CachedClient(client)) => {
                let outcome = client.turn(&mut self.shared);
                let deadline = client.deadline();
                self.shared.timers.set(token, deadline);
                if outcome == cached::Outcome::Gone {
                    self.shared.timers.set(token, None);
                    self.slots.remove(token);
                }
                false
            }
            Some(Slot::Client(client)) => {
                let turn = client.turn(&mut self.shared);
                let deadline = client.machine.deadline();
                self.shared.timers.set(token, deadline);
                if turn == Turn::Gone {
                    self.shared.clients.connected -= 1;
                    self.slots.remove(token);
                }
                turn == Turn::Again
            }
        };
        if again {
            self.slots.make_ready_again(token);
        }
    }

    fn take_signals(&mut self) {
        let signals: Vec<i32> = self.signals.pending().collect();
        for signal in signals {
            match signal {
                SIGHUP => {
                    logging::reopen();
                    self.reload();
                }
                SIGUSR1 => self.log_status(),
                SIGINT => self.end("SIGINT"),
                _ => self.end("SIGTERM"),
            }
        }
    }

    /// Takes in what other threads have for the loop. The plugins are looked after every time.
    fn take_answers(&mut self) {
        self.take_configuration();
        while let Some(answer) = self.shared.resolver.answer() {
            match answer.asker {
                Asker::Source {
                    token,
                    number,
                    host,
                } => {
                    // It may be gone, and its token another's.
                    if let Some(Slot::Source(source)) = self.slots.get_mut(token)
                        && source.number == number
                    {
                        source
                            .machine
                            .resolved(host, answer.found, self.shared.now.mono);
                        self.slots.make_ready(token);
                    }
                }
                Asker::Trust => self.shared.name_looked_up(&answer.name, answer.found),
            }
        }
        while let Some(answer) = self.shared.plugins.as_mut().and_then(PluginHandle::answer) {
            if let Some(token) = self.slots.cached_client(answer.client)
                && let Some(Slot::CachedClient(client)) = self.slots.get_mut(token)
            {
                client.answer(answer, self.shared.now.mono);
                self.slots.make_ready(token);
            }
        }
    }
}

impl Shared {
    fn instant(&self) -> Instant {
        self.clock.instant(self.now.mono)
    }

    /// The token of a chore.
    fn chore(&self, chore: Chore) -> usize {
        self.chores[chore as usize]
    }

    /// Logs what a client did wrong, if it is time to say so again.
    fn tell(&mut self, address: IpAddr, nuisance: Nuisance, what: &dyn Display) {
        let now = self.instant();
        self.nuisances.tell(address, nuisance, what, now);
    }
}

impl BindError {
    /// What kind of refusal it was; tells the exit code.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            BindError::Listen { source, .. }
            | BindError::Socket { source, .. }
            | BindError::SetUp(source) => source.kind(),
        }
    }
}

fn host_name() -> String {
    nix::unistd::gethostname().map_or_else(|_| String::new(), |name| name.to_string_lossy().into())
}

fn identity(config: &Config) -> GridIdentity {
    GridIdentity {
        name: config.gridname.clone(),
        authority: config.authority.clone(),
        scalable: config.scalable,
    }
}

fn settings(config: &Config) -> Arc<ParseSettings> {
    Arc::new(config.parse_settings())
}

/// Raises the limit of descriptors as far as it goes; how many clients fit into it.
fn room_for_clients(sources: usize) -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, hard)| {
        match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
            Ok(()) => hard,
            Err(_) => soft,
        }
    });
    let room = limit.saturating_sub(SPARE_DESCRIPTORS + sources as u64);
    MAX_CLIENTS.min(room.max(1) as usize)
}

/// An error as people say it: without the number.
fn reason(err: &io::Error) -> String {
    let mut text = err.to_string();
    if let Some(at) = text.find(" (os error ") {
        text.truncate(at);
    }
    text
}
