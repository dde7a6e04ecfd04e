//! Connections, sessions and the rule of admission together, from a seed: clients that drip, batch,
//! never read or vanish, and a plugin thread that is slow, stuck or gone.
//!
//! No sockets and no waiting. A failure prints its seed, and
//! `GMETAD_SIMULATION_SEED=7 cargo test -p gmetad-rrd simulation` repeats it.
#![cfg(test)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use crate::seeds;

use super::connection::{
    Admission, ConnectionAction, ConnectionFault, IDLE_LIMIT, MAX_CLIENTS, RrdcachedConnection,
    SPARED_FOR,
};
use super::protocol::{Session, SessionNext, SessionTurn};
use super::server::{SessionInput, SessionRequest};
use super::testing::Echo;
use gmetad_core::model::Mono;
use gmetad_core::timers::Random;

const SEEDS: u64 = 8;
const STEPS: u64 = 3000;

/// Clients that are connected or would like to be, at most: few under one seed, many under another.
const CROWDS: [usize; 2] = [20, 60];

/// Bytes that a socket holds in each direction.
const SOCKET_BYTES: usize = 2000;

/// Most actions of one connection in a turn, unless it spins.
const ACTIONS: usize = 10_000;

/// Lines of a client that are not long.
const LINES: [&str; 8] = [
    "PING\n",
    "FLUSH a/b.rrd\n",
    "PENDING a/b.rrd\n",
    "UPDATE bad 1:2\n",
    "BATCH\n",
    "UPDATE a/b.rrd 1:2\n",
    ".\n",
    ".\n",
];

/// What a client is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Manner {
    /// Asks, takes the answer, and asks again.
    Polite,
    /// Sends a byte now and then, of lines that have no end.
    Drips,
    /// Asks and never reads.
    Deaf,
    /// Asks for much and takes a few bytes at a time.
    Sips,
    /// Asks for nothing.
    Silent,
}

const MANNERS: [Manner; 5] = [
    Manner::Polite,
    Manner::Drips,
    Manner::Deaf,
    Manner::Sips,
    Manner::Silent,
];

/// A client and its socket.
struct Peer {
    manner: Manner,
    /// All bytes that it has sent.
    sent: Vec<u8>,
    /// How many of them were read.
    read: usize,
    /// All bytes that it was sent.
    received: Vec<u8>,
    /// How many of them it has not taken yet.
    unread: usize,
    /// Whether it has closed its side.
    ended: bool,
    /// Whether it closed the whole connection.
    vanished: bool,
    /// When it last had all answers, or connected.
    quiet_since: Mono,
}

/// What has happened, so that a run that tries nothing is noticed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally(BTreeMap<String, u64>);

impl Tally {
    fn count(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }
}

struct World {
    random: Random,
    crowd: usize,
    now: Mono,
    next_client: u64,
    peers: BTreeMap<u64, Peer>,
    /// Connected, but not accepted yet.
    waiting: VecDeque<u64>,
    open: BTreeMap<u64, RrdcachedConnection>,
    /// Requests to the plugin thread, and its sessions.
    requests: VecDeque<SessionRequest>,
    sessions: HashMap<u64, Session>,
    /// Until when the plugin thread does nothing.
    stuck_until: Mono,
    /// Whether the plugin thread has ended.
    ended: bool,
    tally: Tally,
}

impl World {
    fn new(seed: u64) -> World {
        World {
            random: Random::new(seed),
            crowd: CROWDS[seed as usize % CROWDS.len()],
            now: Mono(1000),
            next_client: 0,
            peers: BTreeMap::new(),
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
            requests: VecDeque::new(),
            sessions: HashMap::new(),
            stuck_until: Mono(0),
            ended: false,
            tally: Tally::default(),
        }
    }

    fn chance(&mut self, of: u64) -> bool {
        self.random.below(of) == 0
    }

    fn step(&mut self) {
        match self.random.below(12) {
            0 => self.connect(),
            1..6 => self.some_peer_acts(),
            6..9 => self.plugin_thread(),
            _ => self.time_passes(),
        }
        self.accept();
        self.check();
    }

    fn connect(&mut self) {
        if self.peers.len() >= self.crowd {
            return;
        }
        let client = self.next_client;
        self.next_client += 1;
        let manner = MANNERS[self.random.below(MANNERS.len() as u64) as usize];
        let peer = Peer {
            manner,
            sent: Vec::new(),
            read: 0,
            received: Vec::new(),
            unread: 0,
            ended: false,
            vanished: false,
            quiet_since: self.now,
        };
        self.peers.insert(client, peer);
        self.waiting.push_back(client);
    }

    fn some_peer_acts(&mut self) {
        let at = self.random.below(self.peers.len().max(1) as u64) as usize;
        let Some(client) = self.peers.keys().nth(at).copied() else {
            return;
        };
        self.take(client);
        self.send(client);
        if self.chance(300) {
            let Some(peer) = self.peers.get_mut(&client) else {
                return;
            };
            peer.ended = true;
            peer.vanished = self.random.below(2) == 0;
        }
        if let Some(connection) = self.open.get_mut(&client) {
            connection.readable();
            connection.writable();
        }
        // Others may have their turn before.
        if !self.chance(4) {
            self.turn(client);
        }
    }

    /// A peer takes what it was sent.
    fn take(&mut self, client: u64) {
        let few = self.random.below(20) as usize;
        let Some(peer) = self.peers.get_mut(&client) else {
            return;
        };
        peer.unread = match peer.manner {
            Manner::Deaf => peer.unread,
            Manner::Sips => peer.unread.saturating_sub(few),
            Manner::Polite | Manner::Drips | Manner::Silent => 0,
        };
    }

    /// A peer sends as much as its socket holds.
    fn send(&mut self, client: u64) {
        let text: Vec<u8> = match self.peers.get(&client).map(|peer| peer.manner) {
            Some(Manner::Polite | Manner::Deaf) => {
                let count = 1 + self.random.below(6);
                let line = |_| LINES[self.random.below(LINES.len() as u64) as usize];
                let text: String = (0..count).map(line).collect();
                // Lines come in pieces, too.
                let len = 1 + self.random.below(text.len() as u64) as usize;
                text.into_bytes()[..len].to_vec()
            }
            Some(Manner::Sips) if self.chance(5) => b"INFO a\nINFO b\nQUIT\n".to_vec(),
            Some(Manner::Sips) => b"INFO a/b.rrd\n".to_vec(),
            Some(Manner::Drips) => b"x".to_vec(),
            _ => return,
        };
        let Some(peer) = self.peers.get_mut(&client) else {
            return;
        };
        let is_served = peer.read == peer.sent.len() && peer.unread == 0;
        let is_full = peer.sent.len() - peer.read + text.len() > SOCKET_BYTES;
        if !peer.ended && !is_full && (is_served || peer.manner != Manner::Sips) {
            peer.sent.extend(text);
        }
    }

    /// The plugin thread answers a request, is stuck for a while, or ends.
    fn plugin_thread(&mut self) {
        if self.chance(200) {
            let stuck = Duration::from_millis(self.random.below(120_000));
            self.stuck_until = self.now + stuck;
            self.tally.count("stuck");
        }
        if self.chance(5_000) {
            self.ended = true;
            self.requests.clear();
            self.sessions.clear();
            self.tally.count("ended");
        }
        if self.now < self.stuck_until {
            return;
        }
        let Some(request) = self.requests.pop_front() else {
            return;
        };
        let client = request.client;
        let bytes = match request.input {
            SessionInput::Bytes(bytes) => bytes,
            SessionInput::More => Vec::new(),
            SessionInput::Gone => {
                assert!(self.sessions.remove(&client).is_some(), "ended once");
                return;
            }
        };
        let session = self.sessions.entry(client).or_default();
        let mut turn = session.turn(&bytes, &mut Echo);
        if self.random.below(500) == 0 {
            // As after a panic.
            turn = SessionTurn::close();
            self.tally.count("panic");
        }
        if turn.next == SessionNext::More {
            self.tally.count("more");
        }
        // A client may be gone by now, and its number is nobody else's.
        if let Some(connection) = self.open.get_mut(&client) {
            connection.answer(turn, self.now);
            self.turn(client);
        }
    }

    fn time_passes(&mut self) {
        let wait_ms = match self.random.below(40) {
            0 => self.random.below(90_000),
            1..10 => self.random.below(1000),
            _ => self.random.below(20),
        };
        let until = self.now + Duration::from_millis(wait_ms);
        while let Some((at, client)) = self
            .open
            .iter()
            .filter_map(|(client, connection)| Some((connection.deadline()?, *client)))
            .min()
            .filter(|(at, _)| *at <= until)
        {
            self.now = self.now.max(at);
            self.turn(client);
            assert!(!self.open.contains_key(&client), "its time is up");
        }
        self.now = until;
    }

    /// Lets in who waits, as the reactor does.
    fn accept(&mut self) {
        while !self.waiting.is_empty() {
            match Admission::decide(self.open.values(), self.now) {
                Admission::Full => {
                    assert_eq!(self.open.len(), MAX_CLIENTS);
                    self.tally.count("full");
                    return;
                }
                Admission::Admitted => {}
                Admission::InPlaceOf(client) => self.replace(client),
            }
            let Some(client) = self.waiting.pop_front() else {
                return;
            };
            let connection = RrdcachedConnection::new(client, self.now);
            self.open.insert(client, connection);
            if let Some(peer) = self.peers.get_mut(&client) {
                peer.quiet_since = self.now;
            }
            self.turn(client);
        }
    }

    fn replace(&mut self, client: u64) {
        assert_eq!(self.open.len(), MAX_CLIENTS, "only if there is no room");
        let peer = &self.peers[&client];
        assert_eq!(peer.read, peer.sent.len(), "it has asked for nothing");
        assert!(
            peer.manner == Manner::Drips || self.now.since(peer.quiet_since) >= SPARED_FOR,
            "it had an answer a moment ago"
        );
        if let Some(connection) = self.open.get_mut(&client) {
            connection.replace();
        }
        self.turn(client);
    }

    /// Does what a connection asks for, as the reactor does.
    fn turn(&mut self, client: u64) {
        for _ in 0..ACTIONS {
            let Some(connection) = self.open.get_mut(&client) else {
                return;
            };
            let Some(peer) = self.peers.get_mut(&client) else {
                panic!("a connection has a peer");
            };
            let Some(action) = connection.action(self.now) else {
                return;
            };
            match action {
                ConnectionAction::Read | ConnectionAction::Write(_) if peer.vanished => {
                    connection.broken();
                }
                ConnectionAction::Read => {
                    let len = (peer.sent.len() - peer.read).min(300);
                    if len > 0 {
                        connection.bytes(&peer.sent[peer.read..peer.read + len]);
                        peer.read += len;
                    } else if peer.ended {
                        connection.end();
                    } else {
                        connection.read_blocked();
                    }
                }
                ConnectionAction::Write(bytes) => {
                    let len = bytes.len().min(SOCKET_BYTES - peer.unread);
                    assert!(!bytes.is_empty());
                    peer.received.extend_from_slice(&bytes[..len]);
                    peer.unread += len;
                    if len > 0 {
                        peer.quiet_since = self.now;
                        connection.written(len, self.now);
                    } else {
                        connection.write_blocked();
                    }
                }
                ConnectionAction::Ask(request) => self.ask(request),
                ConnectionAction::Close(fault) => return self.close(client, fault),
            }
        }
        panic!("client {client} spins");
    }

    fn ask(&mut self, request: SessionRequest) {
        let client = request.client;
        if self.ended {
            if let Some(connection) = self.open.get_mut(&client) {
                connection.broken();
            }
            return;
        }
        let mut others = self.requests.iter().filter(|it| it.client == client);
        let is_end = request.input == SessionInput::Gone;
        assert!(is_end || others.next().is_none(), "one request at a time");
        assert!(
            others.all(|it| it.input != SessionInput::Gone),
            "no second end"
        );
        self.requests.push_back(request);
    }

    fn close(&mut self, client: u64, fault: Option<ConnectionFault>) {
        let connection = self.open.remove(&client);
        let closed = connection.is_some_and(|mut it| it.action(self.now).is_none());
        assert!(closed, "nothing follows the end");
        let Some(peer) = self.peers.remove(&client) else {
            return;
        };
        let expected = answers(&peer.sent[..peer.read]);
        assert!(expected.starts_with(&peer.received), "answers in order");
        let manner = peer.manner;
        match fault {
            Some(ConnectionFault::Idle) => assert!(self.now.0 >= IDLE_LIMIT.as_millis() as u64),
            Some(ConnectionFault::Stalled) => assert!(peer.unread > 0),
            Some(ConnectionFault::Slow) => assert_eq!(manner, Manner::Sips),
            Some(ConnectionFault::Replaced) => {
                let missing = expected.len() - peer.received.len();
                assert_eq!(missing, 0, "it had all of its answers");
            }
            None => {}
        }
        self.tally.count(format!("{manner:?} {fault:?}"));
    }

    fn check(&mut self) {
        assert!(self.open.len() <= MAX_CLIENTS);
        let latest = self.now + IDLE_LIMIT;
        for (client, connection) in &self.open {
            let has_request = self.requests.iter().any(|it| it.client == *client);
            match connection.deadline() {
                Some(deadline) => assert!(!has_request && deadline <= latest),
                None => assert!(
                    has_request || self.ended,
                    "only the plugin thread is waited for"
                ),
            }
        }
        let asked = self.requests.len();
        assert!(asked <= self.next_client as usize, "{asked} requests");
    }

    /// Everybody goes away, and nothing is left.
    fn finish(mut self) -> Tally {
        self.stuck_until = self.now;
        let clients: Vec<u64> = self.open.keys().copied().collect();
        for client in clients {
            if let (Some(peer), Some(connection)) =
                (self.peers.get_mut(&client), self.open.get_mut(&client))
            {
                peer.vanished = true;
                connection.readable();
                connection.writable();
            }
            self.turn(client);
        }
        while !self.requests.is_empty() {
            self.plugin_thread();
            self.stuck_until = self.now;
        }
        // At the daemon's end, clients are not kept waiting for a thread that is gone.
        assert!(self.open.is_empty() || self.ended);
        assert!(self.sessions.is_empty());
        self.tally
    }
}

/// All answers to these bytes.
fn answers(bytes: &[u8]) -> Vec<u8> {
    let mut session = Session::default();
    let mut turn = session.turn(bytes, &mut Echo);
    let mut text = turn.text;
    while turn.next == SessionNext::More {
        turn = session.turn(b"", &mut Echo);
        text += &turn.text;
    }
    text.into_bytes()
}

fn run(seed: u64) -> Tally {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
        world.tally.count("steps");
    }
    world.finish()
}

impl seeds::Seen for Tally {
    fn add(&mut self, other: &Tally) {
        for (what, count) in &other.0 {
            *self.0.entry(what.clone()).or_default() += count;
        }
    }

    fn steps(&self) -> u64 {
        self.0.get("steps").copied().unwrap_or_default()
    }

    fn assert_that_all_of_it_happened(&self) {
        for what in [
            "Deaf Some(Stalled)",
            "Drips Some(Replaced)",
            "Polite None",
            "Polite Some(Replaced)",
            "Silent Some(Idle)",
            "Silent Some(Replaced)",
            "Sips Some(Slow)",
            "ended",
            "full",
            "more",
            "panic",
            "stuck",
        ] {
            assert!(self.0.contains_key(what), "no {what} in {self:?}");
        }
    }
}

#[test]
fn whatever_clients_and_the_plugin_thread_do_the_rules_hold() {
    seeds::run("-p gmetad-rrd rrdcached::simulation", SEEDS, run);
}

#[test]
fn a_seed_repeats_its_run() {
    seeds::repeats("-p gmetad-rrd rrdcached::simulation", 99, run);
}
