//! A client of the rrdcached socket as a state machine: what to read, what to hand to the plugin
//! thread, what to send, the time limits, and who is closed for a newcomer.
//!
//! No sockets and no clock. It does not know the protocol, which is spoken by the client's session
//! on the plugin thread. Nothing is read from a client while its answer is being made or sent, so
//! each has at most one request or one answer in memory.

use std::time::Duration;

use super::protocol::{SessionNext, SessionTurn};
use super::server::{SessionInput, SessionRequest};
use gmetad_core::model::Mono;

/// Most clients at a time.
pub const MAX_CLIENTS: usize = 32;

/// Longest time without a command.
pub const IDLE_LIMIT: Duration = Duration::from_secs(600);

/// Time without a command after which a client may be closed for a newcomer. The pauses of one that
/// has several commands, as rrdtool has for a graph, are shorter.
pub const SPARED_FOR: Duration = Duration::from_millis(100);

/// Time for a client to take the next bytes of its answer.
pub const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Time for the whole answer; more for a long one, see `MIN_BYTES_PER_SEC`.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Average rate that a client must reach once `ANSWER_LIMIT` has passed.
pub const MIN_BYTES_PER_SEC: u64 = 64 << 10;

/// Most bytes to send at a time.
pub const OUT_BYTES: usize = 64 << 10;

/// Why a connection is closed, where the client did not close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionFault {
    /// No command within the time limit.
    #[error("it sent no command for {} s", IDLE_LIMIT.as_secs())]
    Idle,
    /// It takes nothing of its answer.
    #[error("it took nothing of its answer for {} s", STALL_LIMIT.as_secs())]
    Stalled,
    /// It takes its answer too slowly.
    #[error("it takes its answer too slowly, less than {MIN_BYTES_PER_SEC} bytes a second")]
    Slow,
    /// The limit of clients is reached, and of all it has waited longest without a command.
    #[error("it was idle, and a newcomer needed its place: {MAX_CLIENTS} clients are the limit")]
    Replaced,
}

/// What the machine asks its owner to do.
#[derive(Debug, PartialEq, Eq)]
pub enum ConnectionAction<'a> {
    /// Read from the connection, then call `bytes`, `end`, `read_blocked` or `broken`.
    Read,
    /// Send some of these bytes, then call `written`, `write_blocked` or `broken`.
    Write(&'a [u8]),
    /// Hand this to the plugin thread; if the thread has ended, call `broken`.
    Ask(SessionRequest),
    /// Close the connection. Nothing follows.
    Close(Option<ConnectionFault>),
}

/// Serves one connection.
#[derive(Debug)]
pub struct RrdcachedConnection {
    /// The number that identifies the client to the plugin thread.
    client: u64,
    state: ConnectionState,
    /// Whether a read may find something.
    readable: bool,
    /// Whether a write may be taken.
    writable: bool,
    /// When the client connected, or last had the answer to a command. Parts of a line do not count.
    idle_since: Mono,
    /// Whether the plugin thread has a session for the client.
    has_session: bool,
}

#[derive(Debug)]
enum ConnectionState {
    /// Waits for the client.
    Idle,
    /// Has something for the plugin thread.
    Request(SessionInput),
    /// The plugin thread makes the answer. No deadline: a slow thread is not the client's fault.
    Asked,
    /// Sends the answer.
    Answering {
        answer: SessionTurn,
        /// How much of it is sent.
        sent: usize,
        started: Mono,
        /// When the client last took something.
        taken: Mono,
    },
    /// Is about to be closed, once the session is.
    Closing(Option<ConnectionFault>),
    /// Closed.
    Closed,
}

impl RrdcachedConnection {
    /// A new connection. The number must be no other client's, now or later.
    pub fn new(client: u64, now: Mono) -> RrdcachedConnection {
        RrdcachedConnection {
            client,
            state: ConnectionState::Idle,
            // Unknown yet. A try costs one system call.
            readable: true,
            writable: true,
            idle_since: now,
            has_session: false,
        }
    }

    /// The client's number.
    pub fn client(&self) -> u64 {
        self.client
    }

    /// When `action` has something to do even if nothing happens before.
    pub fn deadline(&self) -> Option<Mono> {
        match &self.state {
            ConnectionState::Idle => Some(self.idle_since + IDLE_LIMIT),
            ConnectionState::Answering { taken, .. } => {
                Some(self.slow_at()?.min(*taken + STALL_LIMIT))
            }
            ConnectionState::Request(_)
            | ConnectionState::Asked
            | ConnectionState::Closing(_)
            | ConnectionState::Closed => None,
        }
    }

    /// When the client will have been too slow for its answer.
    fn slow_at(&self) -> Option<Mono> {
        let ConnectionState::Answering { sent, started, .. } = &self.state else {
            return None;
        };
        let earned = Duration::from_secs(*sent as u64 / MIN_BYTES_PER_SEC);
        Some(*started + ANSWER_LIMIT + earned)
    }

    /// The next action for the owner; `None` if there is none until something happens.
    pub fn action(&mut self, now: Mono) -> Option<ConnectionAction<'_>> {
        self.check_deadline(now);
        self.finish_answer(now);
        if let Some(request) = self.request() {
            return Some(ConnectionAction::Ask(request));
        }
        // Borrowed in one arm only, as others change it.
        match self.state {
            ConnectionState::Idle => self.readable.then_some(ConnectionAction::Read),
            ConnectionState::Answering {
                ref answer, sent, ..
            } => {
                let rest = &answer.text.as_bytes()[sent..];
                let part = &rest[..rest.len().min(OUT_BYTES)];
                self.writable.then_some(ConnectionAction::Write(part))
            }
            ConnectionState::Closing(fault) => {
                self.state = ConnectionState::Closed;
                Some(ConnectionAction::Close(fault))
            }
            ConnectionState::Request(_) | ConnectionState::Asked | ConnectionState::Closed => None,
        }
    }

    /// What there is for the plugin thread: a request, or that the client is gone.
    fn request(&mut self) -> Option<SessionRequest> {
        let input = match &mut self.state {
            ConnectionState::Request(input) => {
                let input = std::mem::replace(input, SessionInput::More);
                self.state = ConnectionState::Asked;
                self.has_session = true;
                input
            }
            ConnectionState::Closing(_) if std::mem::take(&mut self.has_session) => {
                SessionInput::Gone
            }
            _ => return None,
        };
        Some(SessionRequest {
            client: self.client,
            input,
        })
    }

    fn check_deadline(&mut self, now: Mono) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        let fault = match &self.state {
            ConnectionState::Answering { taken, .. } if *taken + STALL_LIMIT <= now => {
                ConnectionFault::Stalled
            }
            ConnectionState::Answering { .. } => ConnectionFault::Slow,
            _ => ConnectionFault::Idle,
        };
        self.close(Some(fault));
    }

    /// Goes on to what follows an answer, if all of it is sent.
    fn finish_answer(&mut self, now: Mono) {
        let ConnectionState::Answering { answer, sent, .. } = &self.state else {
            return;
        };
        if *sent < answer.text.len() {
            return;
        }
        if answer.commands > 0 {
            self.idle_since = now;
        }
        self.state = match answer.next {
            SessionNext::Read => ConnectionState::Idle,
            SessionNext::More => ConnectionState::Request(SessionInput::More),
            SessionNext::Close => ConnectionState::Closing(None),
        };
    }

    /// The connection may have become readable.
    pub fn readable(&mut self) {
        self.readable = true;
    }

    /// The connection may have become writable.
    pub fn writable(&mut self) {
        self.writable = true;
    }

    /// A read found nothing yet.
    pub fn read_blocked(&mut self) {
        self.readable = false;
    }

    /// A write was not taken.
    pub fn write_blocked(&mut self) {
        self.writable = false;
    }

    /// Takes bytes that were read, at least one.
    pub fn bytes(&mut self, bytes: &[u8]) {
        if matches!(self.state, ConnectionState::Idle) {
            self.state = ConnectionState::Request(SessionInput::Bytes(bytes.to_vec()));
        }
    }

    /// Notes that `len` bytes of the answer were sent.
    pub fn written(&mut self, len: usize, now: Mono) {
        if let ConnectionState::Answering { sent, taken, .. } = &mut self.state {
            *sent += len;
            *taken = now;
        }
    }

    /// The client has closed its side. All that it has asked for is answered by then.
    pub fn end(&mut self) {
        self.close(None);
    }

    /// The connection broke, or there is nobody to answer.
    pub fn broken(&mut self) {
        self.close(None);
    }

    /// What the session has made of the request.
    pub fn answer(&mut self, answer: SessionTurn, now: Mono) {
        if matches!(self.state, ConnectionState::Asked) {
            self.state = ConnectionState::Answering {
                answer,
                sent: 0,
                started: now,
                taken: now,
            };
        }
    }

    /// Closes the connection for a newcomer.
    pub fn replace(&mut self) {
        self.close(Some(ConnectionFault::Replaced));
    }

    fn close(&mut self, fault: Option<ConnectionFault>) {
        if !matches!(
            self.state,
            ConnectionState::Closing(_) | ConnectionState::Closed
        ) {
            self.state = ConnectionState::Closing(fault);
        }
    }

    /// Whether it must not be closed for a newcomer.
    fn is_spared(&self, now: Mono) -> bool {
        // A request that waits to be read counts as asked.
        let is_idle = matches!(self.state, ConnectionState::Idle) && !self.readable;
        !is_idle || now.since(self.idle_since) < SPARED_FOR
    }
}

/// Whether there is a place for another client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// There is.
    Admitted,
    /// There is if this client is closed first: it has waited longest without a command.
    InPlaceOf(u64),
    /// There is none: all clients are busy, or have been a moment ago. rrdtool treats a closed
    /// connection as an error, but waits for one that is not accepted yet.
    Full,
}

impl Admission {
    /// The decision, from all connections that are open.
    pub fn decide<'a>(open: impl Iterator<Item = &'a RrdcachedConnection>, now: Mono) -> Admission {
        let mut count = 0;
        let idle = open
            .inspect(|_| count += 1)
            .filter(|connection| !connection.is_spared(now))
            .min_by_key(|connection| connection.idle_since)
            .map(RrdcachedConnection::client);
        match idle {
            _ if count < MAX_CLIENTS => Admission::Admitted,
            Some(client) => Admission::InPlaceOf(client),
            None => Admission::Full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: u64 = 7;

    fn connection() -> RrdcachedConnection {
        RrdcachedConnection::new(CLIENT, Mono(0))
    }

    fn request(input: SessionInput) -> ConnectionAction<'static> {
        ConnectionAction::Ask(SessionRequest {
            client: CLIENT,
            input,
        })
    }

    fn answer(text: &str, commands: usize, next: SessionNext) -> SessionTurn {
        SessionTurn {
            text: text.into(),
            commands,
            next,
        }
    }

    /// One whose bytes the plugin thread has.
    fn asked(at: Mono) -> RrdcachedConnection {
        let mut connection = connection();
        assert_eq!(connection.action(at), Some(ConnectionAction::Read));
        connection.bytes(b"PING\n");
        let bytes = SessionInput::Bytes(b"PING\n".into());
        assert_eq!(connection.action(at), Some(request(bytes)));
        assert_eq!(connection.action(at), None, "one request at a time");
        connection
    }

    /// One that has had an answer at that time, and has sent nothing since.
    fn idle_since(client: u64, at: Mono) -> RrdcachedConnection {
        let mut connection = RrdcachedConnection::new(client, at);
        connection.read_blocked();
        connection
    }

    #[test]
    fn a_request_is_answered_in_pieces_and_the_next_is_read() {
        let mut connection = asked(Mono(0));
        connection.readable();
        assert_eq!(connection.action(Mono(1)), None, "not before the answer");
        connection.answer(answer("0 PONG\n", 1, SessionNext::Read), Mono(2));
        let write = connection.action(Mono(2));
        assert_eq!(write, Some(ConnectionAction::Write(b"0 PONG\n")));
        connection.written(2, Mono(2));
        connection.write_blocked();
        assert_eq!(connection.action(Mono(2)), None);
        connection.writable();
        let write = connection.action(Mono(3));
        assert_eq!(write, Some(ConnectionAction::Write(b"PONG\n")));
        connection.written(5, Mono(3));
        assert_eq!(connection.action(Mono(3)), Some(ConnectionAction::Read));
        connection.read_blocked();
        assert_eq!(connection.action(Mono(3)), None);
    }

    #[test]
    fn a_long_answer_comes_in_turns_of_the_session() {
        let mut connection = asked(Mono(0));
        let text = "x".repeat(OUT_BYTES + 1);
        connection.answer(answer(&text, 1, SessionNext::More), Mono(0));
        for len in [OUT_BYTES, 1] {
            let Some(ConnectionAction::Write(bytes)) = connection.action(Mono(0)) else {
                panic!("there is more to send");
            };
            assert_eq!(bytes.len(), len);
            connection.written(len, Mono(0));
        }
        assert_eq!(
            connection.action(Mono(0)),
            Some(request(SessionInput::More))
        );
        connection.answer(answer("", 0, SessionNext::Close), Mono(0));
        assert_eq!(
            connection.action(Mono(0)),
            Some(request(SessionInput::Gone))
        );
        assert_eq!(
            connection.action(Mono(0)),
            Some(ConnectionAction::Close(None))
        );
        assert_eq!(connection.action(Mono(0)), None);
    }

    #[test]
    fn a_session_is_ended_once_and_only_if_there_is_one() {
        let mut silent = connection();
        silent.end();
        silent.broken();
        assert_eq!(silent.action(Mono(0)), Some(ConnectionAction::Close(None)));
        let mut vanished = asked(Mono(0));
        vanished.broken();
        let gone = request(SessionInput::Gone);
        assert_eq!(vanished.action(Mono(0)), Some(gone));
        // There is no thread to end it.
        vanished.broken();
        assert_eq!(
            vanished.action(Mono(0)),
            Some(ConnectionAction::Close(None))
        );
        vanished.answer(answer("0 PONG\n", 1, SessionNext::Read), Mono(0));
        assert_eq!(vanished.action(Mono(0)), None, "it comes too late");
    }

    #[test]
    fn parts_of_a_line_do_not_put_the_time_limit_off() {
        let mut connection = connection();
        for at in (0..600).map(|at| Mono(at * 1000)) {
            assert_eq!(connection.action(at), Some(ConnectionAction::Read));
            connection.bytes(b"x");
            assert!(matches!(
                connection.action(at),
                Some(ConnectionAction::Ask(_))
            ));
            connection.answer(answer("", 0, SessionNext::Read), at);
        }
        connection.action(Mono(599_999));
        assert_eq!(connection.deadline(), Some(Mono(600_000)));
        connection.action(Mono(600_000));
        let close = connection.action(Mono(600_000));
        assert_eq!(
            close,
            Some(ConnectionAction::Close(Some(ConnectionFault::Idle)))
        );
    }

    #[test]
    fn who_does_not_take_its_answer_is_closed_and_who_waits_for_it_is_not() {
        let mut connection = asked(Mono(0));
        assert_eq!(connection.deadline(), None, "the plugin thread is slow");
        assert_eq!(connection.action(Mono(u64::MAX / 2)), None);
        let faults = |pause_ms: u64, piece: usize| {
            let mut connection = asked(Mono(0));
            let text = "x".repeat(64 << 20);
            connection.answer(answer(&text, 1, SessionNext::Read), Mono(0));
            let mut now = Mono(0);
            loop {
                now.0 += pause_ms;
                match connection.action(now) {
                    Some(ConnectionAction::Write(_)) => connection.written(piece, now),
                    Some(ConnectionAction::Ask(_)) => {}
                    Some(ConnectionAction::Close(fault)) => return (fault, now),
                    _ => return (None, now),
                }
            }
        };
        let (fault, now) = faults(30_000, 1);
        assert_eq!((fault, now.0), (Some(ConnectionFault::Stalled), 60_000));
        let (fault, now) = faults(20_000, 1);
        assert_eq!((fault, now.0), (Some(ConnectionFault::Slow), 80_000));
        let (fault, now) = faults(1000, OUT_BYTES);
        assert_eq!(fault, None, "it keeps up");
        assert!(now.0 > 1_000_000);
    }

    #[test]
    fn there_is_room_up_to_the_limit() {
        let open: Vec<_> = (0..MAX_CLIENTS as u64)
            .map(|client| idle_since(client, Mono(0)))
            .collect();
        let later = Mono(10_000);
        assert_eq!(
            Admission::decide(open[1..].iter(), later),
            Admission::Admitted
        );
        assert_ne!(Admission::decide(open.iter(), later), Admission::Admitted);
    }

    #[test]
    fn who_has_waited_longest_without_a_command_makes_room() {
        let mut open: Vec<_> = (0..MAX_CLIENTS as u64)
            .map(|client| idle_since(client, Mono(1000 - client)))
            .collect();
        let now = Mono(1000 + 100);
        let last = MAX_CLIENTS - 1;
        let decide = |open: &[RrdcachedConnection]| Admission::decide(open.iter(), now);
        assert_eq!(decide(&open), Admission::InPlaceOf(last as u64));
        open[last].readable();
        let other = Admission::InPlaceOf(last as u64 - 1);
        assert_eq!(decide(&open), other, "it may have sent a command");
        open[last - 1].replace();
        let third = Admission::InPlaceOf(last as u64 - 2);
        assert_eq!(decide(&open), third, "it goes already");
    }

    #[test]
    fn who_is_busy_or_was_a_moment_ago_does_not_make_room() {
        let mut open: Vec<_> = (0..MAX_CLIENTS as u64 - 1)
            .map(|client| idle_since(client, Mono(5001)))
            .collect();
        let mut busy = RrdcachedConnection::new(99, Mono(0));
        busy.bytes(b"PING\n");
        busy.read_blocked();
        open.push(busy);
        let decide = |open: &[RrdcachedConnection], now| Admission::decide(open.iter(), Mono(now));
        assert_eq!(decide(&open, 5100), Admission::Full);
        let busy = &mut open[MAX_CLIENTS - 1];
        busy.action(Mono(5100));
        busy.answer(answer("0 PONG\n", 1, SessionNext::Read), Mono(5100));
        assert_eq!(decide(&open, 5100), Admission::Full, "it is being answered");
        assert_eq!(decide(&open, 5101), Admission::InPlaceOf(0));
        // One that drips has not asked for anything.
        let busy = &mut open[MAX_CLIENTS - 1];
        busy.written(7, Mono(5100));
        assert_eq!(busy.action(Mono(5100)), None);
        busy.idle_since = Mono(0);
        busy.readable();
        assert_eq!(busy.action(Mono(5100)), Some(ConnectionAction::Read));
        busy.bytes(b"P");
        busy.action(Mono(5100));
        busy.answer(answer("", 0, SessionNext::Read), Mono(5100));
        busy.read_blocked();
        assert_eq!(busy.action(Mono(5100)), None);
        assert_eq!(decide(&open, 5100), Admission::InPlaceOf(99));
    }
}
