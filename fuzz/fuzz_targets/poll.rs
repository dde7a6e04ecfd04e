//! Whatever happens to a poll, in whatever order: one connection at a time, always a deadline ahead,
//! each parser given back once, and a document only from a stream that is one.
#![no_main]

use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use gmetad_core::ingest::{ParseSettings, Parser, Previous};
use gmetad_core::model::{DefTable, Mono};
use gmetad_core::poll::{Action, Outcome, Poll, WHOLE_LIMIT};
use gmetad_core::source::{HostPort, SourceConfig};
use gmetad_core::timers::{Random, Schedule};
use libfuzzer_sys::fuzz_target;

const GOOD: &[u8] = b"<?xml version=\"1.0\"?>\n<GANGLIA_XML VERSION=\"3.7.2\" SOURCE=\"gmond\">\n\
    <CLUSTER NAME=\"c\" LOCALTIME=\"1\">\n<HOST NAME=\"h\" TN=\"1\" TMAX=\"20\">\n\
    <METRIC NAME=\"m\" VAL=\"1.5\" TYPE=\"float\" TN=\"3\"/>\n</HOST>\n</CLUSTER>\n\
    </GANGLIA_XML>\n";

/// Its check sum is at its end, so that what a turn unpacks is not yet a document.
static GZIPPED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let text = [GOOD, &[b' '; 600_000]].concat();
    let mut packed = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(&text[..], flate2::Compression::fast());
    encoder.read_to_end(&mut packed).expect("memory gives it");
    packed
});

/// As the polls of one source are spread, at most.
const SPREAD: Duration = Duration::from_secs(5);

/// Hosts of a source, as numbers: an even one is an address, an odd one a name.
type Hosts = Vec<u8>;

#[derive(Debug)]
enum Act {
    /// The deadline comes, and so many milliseconds more have passed.
    Timeout {
        late_ms: u32,
    },
    /// Some of the time until then passes, in 255ths; the machine is woken for nothing.
    Wait {
        part: u8,
    },
    Connected,
    /// The next so many bytes of a document.
    Good {
        len: u16,
    },
    /// The next so many of a gzipped one.
    Gzipped {
        len: u16,
    },
    Bytes(Vec<u8>),
    End,
    Broken,
    Resolved {
        host: u8,
        addresses: Option<u8>,
    },
    Change {
        hosts: Hosts,
        interval_s: u16,
    },
    Stop,
}

/// What happens, out of the fuzzer's bytes.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn word(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    fn bytes(&mut self, most: u8) -> Option<Vec<u8>> {
        let len = usize::from(self.byte()? % most).min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        Some(bytes.to_vec())
    }

    fn act(&mut self) -> Option<Act> {
        Some(match self.byte()? % 15 {
            0..3 => Act::Timeout { late_ms: 0 },
            3 => Act::Timeout {
                late_ms: u32::from(self.word()?) * 100,
            },
            4 => Act::Wait { part: self.byte()? },
            5 | 6 => Act::Connected,
            7 => Act::Good { len: self.word()? },
            8 => Act::Gzipped { len: self.word()? },
            9 => Act::Bytes(self.bytes(64)?),
            10 => Act::End,
            11 => Act::Broken,
            12 => {
                let (host, count) = (self.byte()?, self.byte()?);
                Act::Resolved {
                    host,
                    addresses: (count < 200).then_some(count),
                }
            }
            13 => Act::Change {
                hosts: self.bytes(6)?,
                interval_s: self.word()?,
            },
            _ if self.byte()? == 0 => Act::Stop,
            _ => Act::Timeout { late_ms: 1 },
        })
    }
}

fn config(hosts: &[u8], interval_s: u16) -> SourceConfig {
    // No source is without a host, nor without an interval.
    let hosts = if hosts.is_empty() { &[0][..] } else { hosts };
    let named = |number: &u8| match number % 2 {
        0 => format!("10.0.0.{number}"),
        _ => format!("host{number}.example"),
    };
    SourceConfig {
        name: "s".into(),
        interval: Duration::from_secs(u64::from(interval_s).max(1)),
        hosts: hosts
            .iter()
            .map(|host| HostPort {
                host: named(host),
                port: 8649,
            })
            .collect(),
    }
}

/// A poll that is under way.
struct Run {
    started: Mono,
    /// Whether each deadline was kept so far, and the configuration.
    punctual: bool,
    unchanged: bool,
}

struct World {
    machine: Poll,
    interval: Duration,
    whole_limit: Duration,
    now: Mono,
    table: DefTable,
    open: bool,
    /// The machine has one that it was given.
    parser_out: bool,
    /// What came over the connection.
    stream: Vec<u8>,
    run: Option<Run>,
    hosts: usize,
    stopped: bool,
}

impl World {
    fn new(hosts: &[u8], interval_s: u16) -> World {
        let config = config(hosts, interval_s);
        let schedule = Schedule::new(config.interval, Random::new(interval_s.into()));
        World {
            machine: Poll::new(&config, schedule, Mono(u64::from(interval_s) % 20_000)),
            interval: config.interval,
            whole_limit: WHOLE_LIMIT.max(config.interval * 2),
            now: Mono(0),
            table: DefTable::default(),
            open: false,
            parser_out: false,
            stream: Vec::new(),
            run: None,
            hosts: config.hosts.len(),
            stopped: false,
        }
    }

    fn least_step(&self) -> Duration {
        self.interval - SPREAD.min(self.interval * 2 / 3)
    }

    fn most_step(&self) -> Duration {
        self.interval + SPREAD.min(self.interval * 2 / 3)
    }

    fn act(&mut self, act: &Act) {
        let now = self.now;
        match act {
            Act::Timeout { late_ms } => self.timeout(u64::from(*late_ms)),
            Act::Wait { part } => {
                let Some(deadline) = self.machine.deadline() else {
                    return;
                };
                let left = deadline.since(now).as_millis() as u64;
                self.now.0 += left.saturating_sub(1) * u64::from(*part) / 255;
                if self.now < deadline {
                    let was_running = self.machine.is_running();
                    self.machine.timeout(self.now);
                    assert!(self.machine.action().is_none(), "not before its time");
                    assert_eq!(self.machine.is_running(), was_running);
                }
            }
            Act::Connected => {
                let parser = Parser::new(Arc::new(ParseSettings::default()), Previous::default());
                if self.machine.is_connecting() {
                    assert!(self.open && !self.parser_out);
                    self.stream.clear();
                    self.parser_out = true;
                    self.machine.connected(parser, now);
                    assert!(self.machine.wants_bytes());
                } else {
                    self.machine.connected(parser, now);
                    assert!(matches!(self.machine.action(), Some(Action::Abandon(_))));
                }
            }
            Act::Good { len } => self.next_of(GOOD, *len),
            Act::Gzipped { len } => self.next_of(&GZIPPED, *len),
            Act::Bytes(bytes) => self.bytes(bytes),
            Act::End => self.machine.end(now),
            Act::Broken => self.machine.broken("told to", now),
            Act::Resolved { host, addresses } => {
                let found = addresses.map(|count| {
                    let address = |n| SocketAddr::from(([192, 0, 2, n], 8649));
                    (0..count % 20).map(address).collect()
                });
                self.machine
                    .resolved((*host).into(), found.ok_or("no such name".into()), now);
            }
            Act::Change { hosts, interval_s } => {
                let config = config(hosts, *interval_s);
                let schedule = Schedule::new(config.interval, Random::new(u64::from(*interval_s)));
                self.machine
                    .change(&config, schedule, now + Duration::from_secs(1), now);
                (self.interval, self.hosts) = (config.interval, config.hosts.len());
                self.whole_limit = self.whole_limit.max(config.interval * 2);
                match &mut self.run {
                    // Other hosts: it is begun again, and its end is not told.
                    Some(_) if !self.machine.is_running() => self.run = None,
                    Some(run) => run.unchanged = false,
                    None => {}
                }
            }
            Act::Stop => {
                self.machine.stop();
                (self.stopped, self.run) = (true, None);
            }
        }
        self.drain();
    }

    fn timeout(&mut self, late_ms: u64) {
        let Some(deadline) = self.machine.deadline() else {
            return;
        };
        let was_running = self.machine.is_running();
        let planned = self.now.max(deadline);
        self.now = Mono(planned.0 + late_ms);
        if let Some(run) = &mut self.run {
            run.punctual &= late_ms == 0;
        }
        self.machine.timeout(self.now);
        assert!(
            was_running || self.machine.is_running(),
            "a start is a start"
        );
        if !was_running {
            self.run = Some(Run {
                started: self.now,
                punctual: true,
                unchanged: true,
            });
        }
        self.drain();
        let next = self.machine.deadline();
        assert!(next > Some(self.now), "a deadline is over once it has come");
    }

    /// Goes on with a document where the stream so far is its beginning.
    fn next_of(&mut self, document: &[u8], len: u16) {
        if let Some(rest) = document.strip_prefix(&self.stream[..]) {
            let next = rest[..rest.len().min(len.into())].to_vec();
            self.bytes(&next);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if !self.machine.wants_bytes() || bytes.is_empty() {
            return;
        }
        self.stream.extend_from_slice(bytes);
        self.machine.bytes(bytes, self.now, &mut self.table);
    }

    /// Does what the machine wants done, and sees that it may want it.
    fn drain(&mut self) {
        loop {
            while let Some(action) = self.machine.action() {
                match action {
                    Action::Connect(_) => {
                        assert!(!self.open && self.machine.is_running(), "one connection");
                        self.open = true;
                    }
                    Action::Close => assert!(std::mem::take(&mut self.open)),
                    Action::Abandon(_) => assert!(std::mem::take(&mut self.parser_out)),
                    Action::Resolve { name, .. } => assert!(name.ends_with(".example")),
                    Action::Ended(outcome) => self.ended(&outcome),
                }
            }
            if !self.machine.has_backlog() {
                break;
            }
            assert!(!self.machine.wants_bytes());
            self.machine.work(self.now, &mut self.table);
        }
        let reads = self.machine.wants_bytes();
        assert_eq!(
            self.parser_out, reads,
            "a parser is out while something is read"
        );
        assert_eq!(self.open, reads || self.machine.is_connecting());
        assert_eq!(self.machine.deadline().is_none(), self.stopped);
        assert_eq!(self.machine.is_running(), self.run.is_some());
    }

    fn ended(&mut self, outcome: &Outcome) {
        let run = self.run.take().expect("it had started");
        assert_eq!(outcome.started, run.started);
        assert!(!self.open, "what is over has no connection");
        assert!(outcome.failures.len() <= self.hosts * 16 * 2);
        match &outcome.answer {
            Some(answer) => {
                assert!(
                    std::mem::take(&mut self.parser_out),
                    "it came out of a parser"
                );
                assert!(is_document(&self.stream));
                assert_eq!(answer.wire_bytes, self.stream.len() as u64);
            }
            None => assert!(!outcome.failures.is_empty(), "a reason for each failure"),
        }
        let lasted = self.now.since(run.started);
        if run.punctual {
            assert!(lasted <= self.whole_limit, "{lasted:?}");
        }
        let next = self.machine.deadline().expect("polls go on");
        assert!(next > self.now && next.since(self.now) <= self.most_step());
        if run.unchanged {
            let most = lasted.as_millis() / self.least_step().as_millis() + 1;
            assert!(
                u128::from(outcome.missed) <= most,
                "{} missed",
                outcome.missed
            );
            if lasted >= self.most_step() {
                assert!(outcome.missed > 0, "what was missed is counted");
            }
        }
    }
}

/// Whether a stream is a whole document, read by itself and at once.
fn is_document(stream: &[u8]) -> bool {
    let mut unpacked = Vec::new();
    let document = if stream.starts_with(&[0x1f]) {
        let mut decoder = flate2::read::GzDecoder::new(stream);
        if decoder.read_to_end(&mut unpacked).is_err() {
            return false;
        }
        &unpacked[..]
    } else {
        stream
    };
    let mut parser = Parser::new(Arc::new(ParseSettings::default()), Previous::default());
    let fed = parser.feed(document, Mono(0), &mut DefTable::default());
    fed.is_ok() && parser.has_ended()
}

fuzz_target!(|data: &[u8]| {
    let mut script = Script(data);
    let (Some(hosts), Some(interval_s)) = (script.bytes(6), script.word()) else {
        return;
    };
    let mut world = World::new(&hosts, interval_s);
    while let Some(act) = script.act() {
        world.act(&act);
    }
});
