//! Whatever a client of the rrdcached socket does, and however slow the plugin thread is: it gets
//! whole lines back, in order, as many as each answer says, or its connection is closed once.
#![no_main]

use std::time::Duration;

use gmetad_core::model::Mono;
use gmetad_rrd::rrdcached::connection::{
    Admission, ConnectionAction, IDLE_LIMIT, OUT_BYTES, RrdcachedConnection,
};
use gmetad_rrd::rrdcached::protocol::{
    RrdcachedAnswer, RrdcachedCommands, RrdcachedOutcome, Session, SessionNext, SessionTurn,
};
use gmetad_rrd::rrdcached::{SessionInput, SessionRequest};
use libfuzzer_sys::fuzz_target;

const CLIENT: u64 = 7;

/// Answers with what it was asked.
struct Echo;

fn said(words: &str) -> RrdcachedOutcome {
    if words.len() % 2 == 1 {
        return Err(words.into());
    }
    let lines = words.split(' ').map(String::from).collect();
    Ok(RrdcachedAnswer {
        words: words.into(),
        lines,
    })
}

impl RrdcachedCommands for Echo {
    fn flush(&mut self, path: &str) -> RrdcachedOutcome {
        said(path)
    }
    fn flush_all(&mut self) -> RrdcachedOutcome {
        said("all")
    }
    fn pending(&mut self, path: &str) -> RrdcachedOutcome {
        said(path)
    }
    fn forget(&mut self, path: &str) -> RrdcachedOutcome {
        said(path)
    }
    fn update(&mut self, path: &str, values: &[String]) -> RrdcachedOutcome {
        said(&(path.to_owned() + &values.concat()))
    }
    fn stats(&mut self) -> RrdcachedOutcome {
        said("stats")
    }
    fn info(&mut self, path: &str) -> RrdcachedOutcome {
        said(&path.repeat(10_000))
    }
    fn first(&mut self, path: &str, archive: u32) -> RrdcachedOutcome {
        said(&format!("{path}{archive}"))
    }
    fn last(&mut self, path: &str) -> RrdcachedOutcome {
        said(path)
    }
    fn fetch(&mut self, path: &str, function: &str, more: &[String]) -> RrdcachedOutcome {
        said(&(path.to_owned() + function + &more.concat()))
    }
}

const LINES: [&[u8]; 8] = [
    b"PING\n",
    b"INFO a/b.rrd\n",
    b"BATCH\n",
    b".\n",
    b"FLUSH a\n",
    b"UPDATE a/b.rrd 1:2\n",
    b"HELP\n",
    b"QUIT\n",
];

/// What happens, out of the fuzzer's bytes.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn word(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(self.byte()? % 64).min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        Some(bytes)
    }
}

struct World {
    connection: RrdcachedConnection,
    now: Mono,
    /// Sent by the client, and not read yet.
    sent: Vec<u8>,
    /// All that was read.
    read: Vec<u8>,
    received: Vec<u8>,
    /// Bytes that the client takes before it is asked again.
    room: usize,
    ended: bool,
    request: Option<SessionRequest>,
    /// None before the first request, and once it was ended.
    session: Option<Session>,
    has_begun: bool,
    closed: bool,
}

impl World {
    fn new() -> World {
        World {
            connection: RrdcachedConnection::new(CLIENT, Mono(0)),
            now: Mono(0),
            sent: Vec::new(),
            read: Vec::new(),
            received: Vec::new(),
            room: 0,
            ended: false,
            request: None,
            session: None,
            has_begun: false,
            closed: false,
        }
    }

    fn act(&mut self, script: &mut Script<'_>) -> Option<()> {
        match script.byte()? % 16 {
            0..3 => self.sent.extend_from_slice(script.bytes()?),
            3..6 => self
                .sent
                .extend_from_slice(LINES[usize::from(script.byte()?) % LINES.len()]),
            6 => {
                let (byte, len) = (script.byte()?, script.word()?);
                self.sent.extend(std::iter::repeat_n(byte, len.into()));
            }
            7..9 => self.room += usize::from(script.word()?) * 16,
            9..12 => self.answer(),
            12 => self.wait(Duration::from_millis(script.word()?.into())),
            13 => self.wait(Duration::from_secs(u64::from(script.byte()?) * 3)),
            14 => match script.byte()? % 8 {
                0 => self.connection.broken(),
                1 => self.connection.replace(),
                2 => {
                    // As after a panic of the thread.
                    self.request = None;
                    self.connection.answer(SessionTurn::close(), self.now);
                }
                _ => self.ended = true,
            },
            _ => {
                let one = [&self.connection];
                let admission = Admission::decide(one.into_iter(), self.now);
                assert_eq!(admission, Admission::Admitted);
            }
        }
        self.connection.readable();
        self.connection.writable();
        self.drain();
        Some(())
    }

    /// The plugin thread does what it was asked.
    fn answer(&mut self) {
        let Some(SessionRequest { client, input }) = self.request.take() else {
            return;
        };
        assert_eq!(client, CLIENT);
        let bytes = match input {
            SessionInput::Bytes(bytes) => bytes,
            SessionInput::More => Vec::new(),
            SessionInput::Gone => unreachable!("taken at once"),
        };
        if let Some(session) = &mut self.session {
            self.connection
                .answer(session.turn(&bytes, &mut Echo), self.now);
        }
    }

    fn wait(&mut self, wait: Duration) {
        let until = self.now + wait;
        while let Some(deadline) = self.connection.deadline().filter(|at| *at <= until) {
            self.now = self.now.max(deadline);
            self.drain();
            assert!(self.closed, "it is over once it has come");
        }
        self.now = until;
    }

    /// Does what the machine asks for, as the reactor does.
    fn drain(&mut self) {
        while let Some(action) = self.connection.action(self.now) {
            assert!(!self.closed, "nothing comes after the end");
            match action {
                ConnectionAction::Read if !self.sent.is_empty() => {
                    let len = self.sent.len().min(16 << 10);
                    let bytes: Vec<u8> = self.sent.drain(..len).collect();
                    self.read.extend_from_slice(&bytes);
                    self.connection.bytes(&bytes);
                }
                ConnectionAction::Read if self.ended => self.connection.end(),
                ConnectionAction::Read => self.connection.read_blocked(),
                ConnectionAction::Write(bytes) => {
                    assert!(!bytes.is_empty() && bytes.len() <= OUT_BYTES);
                    let len = bytes.len().min(self.room);
                    self.received.extend_from_slice(&bytes[..len]);
                    self.room -= len;
                    match len {
                        0 => self.connection.write_blocked(),
                        len => self.connection.written(len, self.now),
                    }
                }
                ConnectionAction::Ask(request) => self.ask(request),
                ConnectionAction::Close(_) => {
                    assert!(self.session.is_none(), "the session has ended before");
                    self.closed = true;
                }
            }
        }
        let deadline = self.connection.deadline();
        assert!(deadline.is_none_or(|at| at > self.now && at <= self.now + IDLE_LIMIT));
        let waits = self.request.is_some();
        assert_eq!(
            deadline.is_none(),
            self.closed || waits,
            "only the thread is waited for"
        );
    }

    fn ask(&mut self, request: SessionRequest) {
        if request.input == SessionInput::Gone {
            assert!(self.session.take().is_some(), "ended once, if it has begun");
            self.request = None;
            return;
        }
        assert!(self.request.is_none(), "one request at a time");
        if !std::mem::replace(&mut self.has_begun, true) {
            self.session = Some(Session::default());
        }
        self.request = Some(request);
    }

    /// What it received is the beginning of what a session says to the same bytes in one piece.
    fn check(&self) {
        let mut session = Session::default();
        let mut turn = session.turn(&self.read, &mut Echo);
        let mut all = turn.text;
        while turn.next == SessionNext::More {
            turn = session.turn(b"", &mut Echo);
            all += &turn.text;
        }
        assert!(all.as_bytes().starts_with(&self.received));
        assert_whole(&all);
    }
}

/// Answers are whole lines, as many as each says.
fn assert_whole(all: &str) {
    let mut lines = all.split_inclusive('\n');
    while let Some(line) = lines.next() {
        assert!(line.ends_with('\n'));
        let (number, _) = line.split_once(' ').expect("a number comes first");
        let follow: i64 = number.parse().expect("it is one");
        for _ in 0..follow {
            assert!(lines.next().is_some_and(|line| line.ends_with('\n')));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut script = Script(data);
    let mut world = World::new();
    while world.act(&mut script).is_some() {}
    world.check();
});
