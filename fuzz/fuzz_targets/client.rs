//! Whatever a client does, in whatever order: it is answered once, byte for byte and in time, or let
//! go once.
#![no_main]

use std::time::Duration;

use gmetad_core::answer::walk::Body;
use gmetad_core::client::{
    ANSWER_LIMIT, Action, Client, Fault, HEAD_LIMIT, LINGER_LIMIT, Limits, MAX_LINE_BYTES,
    MIN_BYTES_PER_SEC, OUT_BYTES, REQUEST_LIMIT, Request,
};
use gmetad_core::http::bodies;
use gmetad_core::model::Mono;
use gmetad_core::pending::{Errand, Errands, PENDING_LIMIT};
use libfuzzer_sys::fuzz_target;

/// A second for what is asked just as the time is up.
const SLACK: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum Act<'a> {
    Bytes(&'a [u8]),
    /// So many of one byte.
    Flood {
        byte: u8,
        len: u16,
    },
    End,
    Broken,
    /// The deadline comes.
    Timeout,
    Wait {
        ms: u16,
    },
    /// It takes so many bytes of its answer, if there are as many.
    Take(u32),
    /// Its answer is there, if another thread makes it.
    Deliver,
    Outlive,
    Stop,
}

const LINES: [&[u8]; 4] = [
    b"/Cluster/host\r\n",
    b"GET / HTTP/1.1\r\n",
    b"Host: x\r\n",
    b"\r\n",
];

/// What a client does, out of the fuzzer's bytes.
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

    fn act(&mut self) -> Option<Act<'a>> {
        Some(match self.byte()? % 16 {
            0..3 => Act::Bytes(self.bytes()?),
            3 => Act::Flood {
                byte: self.byte()?,
                len: self.word()?,
            },
            4..6 => Act::Bytes(LINES[usize::from(self.byte()?) % LINES.len()]),
            6 => Act::End,
            7 => Act::Broken,
            8 => Act::Timeout,
            9 => Act::Wait { ms: self.word()? },
            10..13 => Act::Take(u32::from(self.word()?) * 4),
            13 => Act::Outlive,
            14 => Act::Deliver,
            _ => Act::Stop,
        })
    }
}

/// Bytes that tell where they are in the whole.
struct Counted {
    at: usize,
    len: usize,
    piece: usize,
}

fn byte_at(at: usize) -> u8 {
    (at % 251) as u8
}

impl Body for Counted {
    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> bool {
        let len = self.piece.min(limit - out.len()).min(self.len - self.at);
        out.extend((self.at..self.at + len).map(byte_at));
        self.at += len;
        self.at < self.len
    }
}

struct World {
    client: Client,
    /// Bytes of the answer, and how many of them are made at a time.
    len: usize,
    piece: usize,
    now: Mono,
    taken: usize,
    asked: bool,
    whole: bool,
    closed: bool,
    /// Where another thread makes answers.
    later: bool,
    errand: Option<Errand>,
    /// Bytes it sent before it asked for anything.
    sent: usize,
}

impl World {
    fn act(&mut self, act: &Act<'_>) {
        match act {
            Act::Bytes(bytes) => self.bytes(bytes),
            Act::Flood { byte, len } => self.bytes(&vec![*byte; (*len).into()]),
            Act::End => {
                if self.client.wants_bytes() {
                    self.client.end(self.now);
                }
            }
            Act::Broken => self.client.broken(),
            Act::Timeout => {
                if let Some(deadline) = self.client.deadline() {
                    self.wait_until(deadline);
                }
            }
            Act::Wait { ms } => {
                let until = Mono(self.now.0 + u64::from(*ms));
                while let Some(deadline) = self.client.deadline().filter(|at| *at <= until) {
                    self.wait_until(deadline);
                }
                self.now = until;
            }
            Act::Take(len) => self.take(*len as usize),
            Act::Deliver => self.deliver(),
            Act::Outlive => self.client.outlive(),
            Act::Stop => {
                let writes = self.client.wants_to_write() || self.client.is_pending();
                self.client.stop();
                assert_eq!(self.client.is_closed(), !writes);
            }
        }
        self.drain();
    }

    fn wait_until(&mut self, deadline: Mono) {
        self.now = self.now.max(deadline);
        self.client.timeout(self.now);
        self.drain();
        let next = self.client.deadline();
        assert!(
            next.is_none_or(|next| next > self.now),
            "it is over once it has come"
        );
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || !self.client.wants_bytes() {
            return;
        }
        self.sent += bytes.len();
        self.client.bytes(bytes, self.now);
    }

    fn take(&mut self, most: usize) {
        if !self.client.wants_to_write() {
            assert!(self.client.output().is_empty());
            return;
        }
        if self.client.finish(self.now) {
            assert_eq!(self.taken, self.len, "all of it");
            self.whole = true;
            return;
        }
        let out = self.client.output();
        assert!(
            !out.is_empty() && out.len() <= OUT_BYTES,
            "some is made, and not much"
        );
        let len = most.min(out.len());
        for (at, byte) in out[..len].iter().enumerate() {
            assert_eq!(*byte, byte_at(self.taken + at), "in order");
        }
        if len > 0 {
            self.taken += len;
            self.client.written(len, self.now);
        }
        assert_eq!(self.client.written_bytes(), self.taken as u64);
    }

    fn body(&self) -> Box<Counted> {
        Box::new(Counted {
            at: 0,
            len: self.len,
            piece: self.piece,
        })
    }

    fn deliver(&mut self) {
        let Some(errand) = self.errand.take() else {
            return;
        };
        let waits = self.client.is_pending();
        assert_eq!(errand.is_wanted(), waits);
        assert_eq!(self.client.deliver(&errand, self.body(), self.now), waits);
        assert!(!errand.is_wanted(), "answers come once");
    }

    fn drain(&mut self) {
        while let Some(action) = self.client.action() {
            assert!(!self.closed, "nothing comes after the end");
            match action {
                Action::Request(request) => {
                    assert!(!std::mem::replace(&mut self.asked, true), "asked once");
                    if let Request::Line(line) = &request {
                        assert!(line.len() <= MAX_LINE_BYTES);
                        assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\n')));
                    }
                    if !self.later {
                        self.client.answer(self.body(), self.now);
                        assert!(self.client.wants_to_write());
                        continue;
                    }
                    let (wait, errand) = Errands::default()
                        .begin(std::net::Ipv4Addr::LOCALHOST.into())
                        .expect("it is the first");
                    self.client.wait(wait, self.body(), self.now);
                    self.errand = Some(errand);
                    assert!(self.client.is_pending());
                }
                Action::Body => {
                    assert!(!self.asked);
                    let share = bodies().take(std::net::Ipv4Addr::LOCALHOST.into());
                    self.client
                        .admit_body(share.ok().filter(|_| self.sent.is_multiple_of(2)), self.now);
                }
                Action::CloseWrite => assert!(self.whole),
                Action::Close(fault) => {
                    self.closed = true;
                    match fault {
                        Some(Fault::LongLine(_)) => {
                            assert!(!self.asked && self.sent > MAX_LINE_BYTES);
                        }
                        Some(Fault::NoRequest(_) | Fault::Tls) => assert!(!self.asked),
                        Some(Fault::Stalled(_) | Fault::Slow | Fault::Outlived) => {
                            assert!(self.asked && !self.whole);
                        }
                        Some(Fault::Gone) => assert!(!self.whole),
                        None => {}
                    }
                }
            }
        }
        assert_eq!(self.client.is_closed(), self.closed);
        assert_eq!(self.client.deadline().is_none(), self.closed);
        assert!(!self.closed || !(self.client.wants_bytes() || self.client.wants_to_write()));
        let allowed = Duration::from_secs(self.taken as u64 / MIN_BYTES_PER_SEC)
            + 2 * REQUEST_LIMIT
            + HEAD_LIMIT
            + PENDING_LIMIT
            + ANSWER_LIMIT
            + LINGER_LIMIT
            + SLACK;
        assert!(
            self.closed || self.client.deadline() <= Some(Mono(0) + allowed),
            "nobody stays"
        );
    }
}

fuzz_target!(|data: &[u8]| {
    let mut script = Script(data);
    let (Some(port), Some(len), Some(piece)) = (script.byte(), script.word(), script.word()) else {
        return;
    };
    let mut world = World {
        later: port & 2 != 0,
        errand: None,
        client: match port % 2 {
            0 => Client::of_interactive_port(Limits::default(), Mono(0)),
            _ => Client::of_xml_port(Limits::default(), Mono(0)),
        },
        len: usize::from(len) * 8,
        piece: usize::from(piece).max(1),
        now: Mono(0),
        taken: 0,
        asked: false,
        whole: false,
        closed: false,
        sent: 0,
    };
    world.drain();
    while let Some(act) = script.act() {
        world.act(&act);
    }
});
