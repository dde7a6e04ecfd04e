//! Connections to the polled sources: does the I/O that their poll machines ask for.
//!
//! When, where and for how long to poll is decided in the core.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Interest;
use mio::event::Event;
use mio::net::TcpStream;
use nix::libc;
use nix::sys::socket::setsockopt;

use super::TURN_BYTES;
use super::clock::Clock;
use super::handing::Batch;
use super::oddities::{ClockTrouble, Oddities};
use super::resolver::{Asker, Question};
use super::shared::Shared;
use super::slots::{Key, Turn};
use crate::logging;
use gmetad_core::complaint::{Complaint, Say, span};
use gmetad_core::model::{Mono, Node, Now, Stamp};
use gmetad_core::poll::{Action, HostFailure, Outcome, Poll, SourceAnswer};
use gmetad_core::source::SourceConfig;
use gmetad_core::status::SourceState;
use gmetad_core::store::{Changed, SourceId};

/// Reading a piece of a document should take no longer: a client waits for one piece of work.
const PIECE_TIME: Duration = Duration::from_micros(200);

/// A turn goes on with the next piece until so much time has passed.
const TURN_TIME: Duration = Duration::from_micros(250);

/// Fewest bytes read at a time.
const LEAST_PIECE_BYTES: usize = 1 << 10;

/// Bytes that have to arrive before the system says so, unless the peer closes before. Told of each packet,
/// and with a window for few of them, the system works nearly twice as long for the same bytes. Less that has
/// arrived is found by a look now and then.
const WORTH_A_TURN_BYTES: u32 = 2 << 20;

/// How long to wait for that before the first look. Each look in vain doubles it, up to the longest.
const FIRST_LOOK: Duration = Duration::from_millis(100);

/// The longest time between two looks.
const LAST_LOOK: Duration = Duration::from_millis(1600);

/// The socket option for bytes that have to arrive before a socket counts as readable.
#[derive(Clone, Copy, Debug)]
struct ReadableFrom;

nix::setsockopt_impl!(
    ReadableFrom,
    libc::SOL_SOCKET,
    libc::SO_RCVLOWAT,
    u32,
    nix::sys::socket::sockopt::SetStruct<'_, u32>
);

/// What is being stored.
enum Storing {
    /// What is known before a document that was rejected.
    Rejected,
    /// That its poll failed.
    Failed,
    /// A document.
    Document(Box<Arrived>),
}

/// A document that has arrived.
struct Arrived {
    host: String,
    failures: Vec<HostFailure>,
    moved: bool,
    took: Duration,
    at: Now,
    bytes: u64,
    wire_bytes: u64,
    damage: u64,
    metrics: u64,
    has_own_grid: bool,
    circle: Option<Box<str>>,
}

/// One data_source.
pub(super) struct Source {
    pub(super) id: SourceId,
    pub(super) name: Arc<str>,
    pub(super) interval: Duration,
    pub(super) machine: Poll,
    key: Key,
    stream: Option<TcpStream>,
    /// A read may give bytes or the end of the document.
    readable: bool,
    /// How many bytes to read at a time: fewer where they take long.
    piece_bytes: usize,
    /// The peer has closed its side, so another read is needed after a short one.
    hung_up: bool,
    /// How long until the next look at what has arrived.
    look: Duration,
    /// What its documents and polls change in the store, in order. The next document is begun when all
    /// of it is done.
    storing: VecDeque<Storing>,
    down: Complaint,
    damaged: Complaint,
    oddities: Oddities,
    late: Complaint,
    restless: Complaint,
}

impl Source {
    pub(super) fn new(id: SourceId, config: &SourceConfig, machine: Poll, key: Key) -> Source {
        Source {
            id,
            name: config.name.as_str().into(),
            interval: config.interval,
            machine,
            key,
            stream: None,
            readable: false,
            piece_bytes: TURN_BYTES,
            hung_up: false,
            look: FIRST_LOOK,
            storing: VecDeque::new(),
            down: Complaint::new(),
            damaged: Complaint::new(),
            oddities: Oddities::default(),
            late: Complaint::new(),
            restless: Complaint::new(),
        }
    }

    /// The key of its slot.
    pub(super) fn key(&self) -> Key {
        self.key
    }

    /// Notes what the system says of the connection.
    pub(super) fn event(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_error();
        self.hung_up |= event.is_read_closed() || event.is_error();
    }

    /// The deadline has passed. Bytes that have arrived already are taken in first.
    pub(super) fn timeout(&mut self, shared: &mut Shared) {
        if !self.storing.is_empty() {
            // `stored` gives it a turn, which sets the next deadline.
            return;
        }
        if self.stream.is_some() {
            self.readable = true;
            self.look = (self.look * 2).min(LAST_LOOK);
            self.turn(shared);
        }
        self.machine.timeout(shared.now.mono);
    }

    /// One turn: completes a connect, or reads a bounded number of bytes.
    pub(super) fn turn(&mut self, shared: &mut Shared) -> Turn {
        if !self.storing.is_empty() {
            shared.set_deadline(self.key, None);
            return Turn::Waits;
        }
        // Carry out what a timeout decided first: it may have dropped this connection.
        self.act(shared);
        if self.machine.is_connecting() {
            self.look_at_connection(shared);
        }
        if self.machine.has_backlog() {
            let start = Instant::now();
            while self.machine.has_backlog() && start.elapsed() < PIECE_TIME {
                self.machine.work(shared.now.mono, shared.store.table());
            }
            shared.status_of(self.id).busy += start.elapsed();
        } else {
            let mut busy = Duration::ZERO;
            while self.machine.wants_bytes() && self.readable && busy < TURN_TIME {
                busy += self.read(shared);
            }
            shared.status_of(self.id).busy += busy;
        }
        self.act(shared);
        shared.set_deadline(self.key, self.deadline(shared.now.mono));
        if self.machine.has_backlog() || (self.machine.wants_bytes() && self.readable) {
            Turn::Again
        } else {
            Turn::Waits
        }
    }

    /// When to call `timeout`: when the machine has to be told, or to look at what has arrived.
    fn deadline(&self, now: Mono) -> Option<Mono> {
        let deadline = self.machine.deadline()?;
        let waits = self.machine.is_connecting() || (self.machine.wants_bytes() && !self.readable);
        Some(if waits && self.stream.is_some() {
            deadline.min(now + self.look)
        } else {
            deadline
        })
    }

    fn look_at_connection(&mut self, shared: &mut Shared) {
        let Some(stream) = &self.stream else { return };
        match is_connected(stream) {
            Ok(true) => {
                let parser = shared.store.begin(self.id);
                self.machine.connected(parser, shared.now.mono);
            }
            Ok(false) => {}
            Err(err) => self.machine.broken(&super::reason(&err), shared.now.mono),
        }
    }

    /// Reads a piece. Returns how long that took.
    fn read(&mut self, shared: &mut Shared) -> Duration {
        let Some(stream) = &mut self.stream else {
            self.readable = false;
            return Duration::ZERO;
        };
        let start = Instant::now();
        let buffer = &mut shared.buffer[..self.piece_bytes];
        match stream.read(buffer) {
            Ok(0) => {
                self.readable = false;
                self.machine.end(shared.now.mono);
            }
            Ok(len) => {
                // A short read has emptied the socket; later bytes bring a new event.
                self.readable = len == buffer.len() || self.hung_up;
                self.look = FIRST_LOOK;
                self.machine
                    .bytes(&buffer[..len], shared.now.mono, shared.store.table());
                self.piece_bytes = next_piece(self.piece_bytes, start.elapsed());
            }
            Err(err) => match err.kind() {
                ErrorKind::WouldBlock => self.readable = false,
                ErrorKind::Interrupted => {}
                _ => self.machine.broken(&super::reason(&err), shared.now.mono),
            },
        }
        start.elapsed()
    }

    /// Carries out what the machine asks for.
    pub(super) fn act(&mut self, shared: &mut Shared) {
        while let Some(action) = self.machine.action() {
            match action {
                Action::Resolve { host, name, port } => shared.resolver.ask(Question {
                    asker: Asker::Source {
                        key: self.key,
                        host,
                    },
                    name,
                    port,
                }),
                Action::Connect(address) => {
                    if let Err(err) = self.connect(address, shared) {
                        self.machine.broken(&super::reason(&err), shared.now.mono);
                    }
                }
                Action::Close => self.stream = None,
                Action::Abandon(parser) => {
                    shared.store.begin_abort(self.id, *parser);
                    self.store_on(Storing::Rejected, shared);
                }
                Action::Ended(outcome) => self.ended(*outcome, shared),
            }
        }
    }

    fn connect(&mut self, address: SocketAddr, shared: &mut Shared) -> io::Result<()> {
        self.readable = false;
        self.hung_up = false;
        self.look = FIRST_LOOK;
        let mut stream = TcpStream::connect(address)?;
        // Best effort: it saves time only.
        let _ = setsockopt(&stream, ReadableFrom, &WORTH_A_TURN_BYTES);
        // That it is connected is seen with the first bytes, or at a look.
        shared
            .registry
            .register(&mut stream, self.key.token(), Interest::READABLE)?;
        self.stream = Some(stream);
        Ok(())
    }

    fn ended(&mut self, outcome: Outcome, shared: &mut Shared) {
        shared.status_of(self.id).missed += outcome.missed;
        self.tell_missed(&outcome, shared);
        match outcome.answer {
            Some(answer) => self.succeeded(answer, outcome.failures, outcome.started, shared),
            None => self.failed(&outcome.failures, outcome.started, shared),
        }
        if shared.once {
            self.machine.stop();
        }
    }

    /// Notes what the store has just begun to do.
    fn store_on(&mut self, storing: Storing, shared: &mut Shared) {
        self.storing.push_back(storing);
        shared.storing.push_back(Some(self.key));
    }

    /// The first of what the store had to do for it is done, which took it so long.
    pub(super) fn stored(&mut self, changed: Changed, busy: Duration, shared: &mut Shared) {
        shared.status_of(self.id).busy += busy;
        match self.storing.pop_front() {
            None | Some(Storing::Rejected) => {}
            Some(Storing::Failed) => self.hand_on(changed.nodes, false, shared.now, shared),
            Some(Storing::Document(arrived)) => self.arrived(*arrived, changed, shared),
        }
    }

    fn succeeded(
        &mut self,
        answer: SourceAnswer,
        failures: Vec<HostFailure>,
        started: Mono,
        shared: &mut Shared,
    ) {
        let SourceAnswer {
            host,
            document,
            wire_bytes,
            moved,
        } = answer;
        let arrived = Arrived {
            host,
            failures,
            moved,
            took: shared.now.mono.since(started),
            at: shared.now,
            bytes: document.bytes,
            wire_bytes,
            damage: document.damage,
            metrics: document.metrics,
            has_own_grid: document.has_own_grid,
            circle: document.circle.clone(),
        };
        shared.store.begin_commit(self.id, document, shared.now);
        self.store_on(Storing::Document(Box::new(arrived)), shared);
    }

    /// Its document is stored.
    fn arrived(&mut self, arrived: Arrived, changed: Changed, shared: &mut Shared) {
        let Arrived {
            host,
            failures,
            moved,
            took,
            at,
            bytes,
            wire_bytes,
            damage,
            metrics,
            has_own_grid,
            circle,
        } = arrived;
        let Changed { was_up, nodes, .. } = changed;
        shared.summaries.clusters += nodes.len() as u64;
        let status = shared.status_of(self.id);
        status.polls_ok.add(took, Clock::epoch_ms());
        status.state = SourceState::Up;
        status.host.clone_from(&host);
        status.failure = None;
        status.metrics += metrics;
        status.document_bytes += bytes;
        status.wire_bytes += wire_bytes;
        status.damage += damage;
        let first = status.polls_ok.num == 1;

        let now = shared.instant();
        if first {
            self.tell_arrival(&host, shared);
        } else {
            self.tell_host(&host, &failures, moved, now);
        }
        self.tell_damage(damage, now);
        if log::log_enabled!(log::Level::Debug) {
            self.log_document(&nodes, bytes, &host, took);
        }
        self.oddities.tell_own_grid(has_own_grid, &self.name);
        self.oddities.tell_circle(circle.as_deref(), &self.name);
        self.tell_oddities(&nodes, shared);
        if !was_up {
            // Include the source in the root summary without waiting for the period.
            shared.sum_now();
        }
        self.hand_on(nodes, true, at, shared);
    }

    fn failed(&mut self, failures: &[HostFailure], started: Mono, shared: &mut Shared) {
        shared.store.begin_fail(self.id, shared.now);
        self.store_on(Storing::Failed, shared);
        let reasons = listed(failures);
        let (took, now_ms) = (shared.now.mono.since(started), Clock::epoch_ms());
        let status = shared.status_of(self.id);
        status.polls_failed.add(took, now_ms);
        status.state = SourceState::Down;
        status.failure = Some(reasons.clone());
        match self.down.failed(shared.instant()) {
            Some(Say::First) => {
                logging::insist(
                    log::Level::Error,
                    format_args!("source \"{}\" is down: {reasons}", self.name),
                );
            }
            Some(Say::Still { lasted, times }) => log::error!(
                "source \"{}\" has been down for {} and {times} polls: {reasons}",
                self.name,
                span(lasted)
            ),
            None => log::debug!("source \"{}\": poll failed: {reasons}", self.name),
        }
    }

    fn log_document(&self, nodes: &[(Node, Stamp)], bytes: u64, host: &str, took: Duration) {
        let (hosts, metrics) = count(nodes.iter().map(|(node, _)| node));
        log::debug!(
            "source \"{}\": {hosts} hosts, {metrics} metrics in {bytes} bytes from {host} in {} ms",
            self.name,
            took.as_millis()
        );
    }

    /// Logs that the source answers for the first time.
    fn tell_arrival(&mut self, host: &str, shared: &mut Shared) {
        let now = shared.instant();
        let was_down = self.down.recovered(now);
        if !shared.once && shared.arrivals.is_told(now) {
            let after = was_down.map_or(String::new(), |it| format!(" after {}", span(it)));
            gmetad_core::life!(
                "source \"{}\" answers for the first time{after}, from {host}",
                self.name
            );
        }
    }

    /// Logs that the source is back, or that another of its hosts answers.
    fn tell_host(&mut self, host: &str, failures: &[HostFailure], moved: bool, now: Instant) {
        if let Some(lasted) = self.down.recovered(now) {
            gmetad_core::life!(
                "source \"{}\" is back after {}, from {host}",
                self.name,
                span(lasted)
            );
        } else if !moved {
            self.restless.recovered(now);
        } else if self.restless.failed(now).is_some() {
            let why = if failures.is_empty() {
                "its name has another address".into()
            } else {
                listed(failures)
            };
            log::warn!("source \"{}\" is now polled at {host}: {why}", self.name);
        }
    }

    fn tell_missed(&mut self, outcome: &Outcome, shared: &mut Shared) {
        let now = shared.instant();
        let missed_so_far = shared.status_of(self.id).missed;
        if outcome.missed == 0 {
            self.late.recovered(now);
        } else if self.late.failed(now).is_some() {
            log::warn!(
                "source \"{}\": a poll took {}, longer than its interval of {}; polls missed so \
                 far: {missed_so_far}",
                self.name,
                span(shared.now.mono.since(outcome.started)),
                span(self.interval)
            );
        }
    }

    fn tell_damage(&mut self, damage: u64, now: Instant) {
        if damage == 0 {
            if let Some(lasted) = self.damaged.recovered(now) {
                let lasted = span(lasted);
                gmetad_core::recovered!(warning: "source \"{}\": its document is well formed again, after {lasted}", self.name);
            }
            return;
        }
        if self.damaged.failed(now).is_some() {
            log::warn!(
                "source \"{}\": {damage} malformed places in its document, recovered where possible",
                self.name
            );
        }
    }

    /// Logs what is odd about its last document, when that begins or ends.
    fn tell_oddities(&mut self, nodes: &[(Node, Stamp)], shared: &mut Shared) {
        let now = shared.instant();
        let left_out = shared.store.left_out_of(self.id).cloned();
        shared.status_of(self.id).left_out = left_out.as_ref().map_or(0, |it| it.count as u64);
        self.oddities
            .tell_left_out(left_out.as_ref(), &self.name, now);
        self.oddities.tell_clock(ClockTrouble::of(nodes), now);
        if let Some(contest) = shared.store.contest_of(self.id) {
            let holder = &shared.sources[contest.holder.0].name;
            self.oddities.tell_contest(contest, holder, &self.name);
        }
    }

    /// Hands the source's nodes to the plugins.
    fn hand_on(&self, nodes: Vec<(Node, Stamp)>, up: bool, now: Now, shared: &mut Shared) {
        shared.handing.add(Batch::Nodes {
            source: Arc::clone(&self.name),
            interval: self.interval,
            up,
            now,
            nodes: nodes.into_iter(),
        });
    }
}

/// How many bytes to read next, after so many took that long.
fn next_piece(bytes: usize, took: Duration) -> usize {
    if took > PIECE_TIME {
        (bytes / 2).max(LEAST_PIECE_BYTES)
    } else if took * 2 <= PIECE_TIME {
        (bytes * 2).min(TURN_BYTES)
    } else {
        bytes
    }
}

/// Whether the connect has completed. An error means that it has failed.
fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(err) = stream.take_error()? {
        return Err(err);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(err) if err.kind() == ErrorKind::NotConnected => Ok(false),
        Err(err) => Err(err),
    }
}

/// Hosts and metrics of a source.
pub(super) fn count<'a>(nodes: impl Iterator<Item = &'a Node>) -> (usize, usize) {
    nodes.fold((0, 0), |(hosts, metrics), node| match node {
        Node::Cluster(cluster) => (
            hosts + cluster.host_count(),
            metrics + cluster.metric_count(),
        ),
        Node::Grid(grid) => (
            hosts + grid.summary.hosts_up as usize + grid.summary.hosts_down as usize,
            metrics + grid.summary.metrics.len(),
        ),
    })
}

/// The failures in one line; only the first few where there are many.
fn listed(failures: &[HostFailure]) -> String {
    const SHOWN: usize = 4;
    let mut text = failures
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    let left = failures.len().saturating_sub(SHOWN);
    if left > 0 {
        text += "; and ";
        text += &left.to_string();
        text += " more";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_take_long_become_smaller_and_grow_again() {
        let long = PIECE_TIME + Duration::from_micros(1);
        let mut bytes = TURN_BYTES;
        for _ in 0..10 {
            bytes = next_piece(bytes, long);
        }
        assert_eq!(bytes, LEAST_PIECE_BYTES);
        for _ in 0..10 {
            bytes = next_piece(bytes, PIECE_TIME / 2);
        }
        assert_eq!(bytes, TURN_BYTES);
        assert_eq!(
            next_piece(8192, PIECE_TIME),
            8192,
            "twice as much takes too long"
        );
    }
}
