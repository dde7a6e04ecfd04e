//! The sender and HTTP against a store that answers anything, cut anywhere, over virtual time, from a
//! seed.
//!
//! `GMETAD_SIMULATION_SEED=… cargo test -p gmetad-export remote_write::simulation` repeats one seed.
#![cfg(test)]

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use gmetad_core::status::ExportCounters;

use super::encode::Protocol;
use super::protocol::{Http, Login};
use super::url::Url;
use crate::link::{
    AnswerReader, Batch, BatchAnswer, Dialect, Endpoint, Frame, LinkError, Outcome, Sender, Server,
    Step, encoded, seeds,
};
use gmetad_core::source::HostPort;

const SEEDS: u64 = 100;
const STEPS: u64 = 300;

/// What was seen over all seeds.
#[derive(Default)]
struct Seen {
    steps: u64,
    /// By kind of answer.
    answers: [u64; 5],
    cut: u64,
    repeated: u64,
}

impl seeds::Seen for Seen {
    fn add(&mut self, other: &Seen) {
        self.steps += other.steps;
        for (all, more) in self.answers.iter_mut().zip(other.answers) {
            *all += more;
        }
        self.cut += other.cut;
        self.repeated += other.repeated;
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn assert_that_all_of_it_happened(&self) {
        assert!(
            self.answers.iter().all(|&count| count > 0),
            "{:?}",
            self.answers
        );
        assert!(self.cut > 0 && self.repeated > 0);
    }
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    Taken,
    Refused,
    /// Again, after so many seconds.
    Later(u64),
    /// Again: it is no answer of a store.
    Nonsense,
    /// None comes.
    Silence,
}

/// Answers, whole, and what each means.
fn answers(secs: u64) -> Vec<(Means, String)> {
    let no_body = "Content-Length: 0\r\n\r\n";
    vec![
        (Means::Taken, "HTTP/1.1 204 No Content\r\n\r\n".into()),
        (
            Means::Taken,
            format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n{no_body}"),
        ),
        (
            Means::Taken,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".into(),
        ),
        (
            Means::Taken,
            format!("HTTP/1.0 202 Accepted\r\nConnection: close\r\n{no_body}"),
        ),
        (
            Means::Refused,
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nold".into(),
        ),
        (
            Means::Refused,
            format!("HTTP/1.1 404 Not Found\r\n{no_body}"),
        ),
        (
            Means::Later(secs),
            format!("HTTP/1.1 429 Slow\r\nRetry-After: {secs}\r\n{no_body}"),
        ),
        (Means::Later(0), format!("HTTP/1.1 500 Oops\r\n{no_body}")),
        (
            Means::Later(secs),
            format!("HTTP/1.1 503 Busy\r\nretry-after: {secs}\r\n{no_body}"),
        ),
        (
            Means::Nonsense,
            format!("HTTP/1.1 302 Found\r\nLocation: /x\r\n{no_body}"),
        ),
        (Means::Nonsense, "220 mail.example ESMTP\r\n\r\n".into()),
        (
            Means::Nonsense,
            format!("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n{no_body}"),
        ),
        (Means::Silence, String::new()),
    ]
}

struct World {
    random: Rng,
    now: Instant,
    sender: Sender,
    http: Http,
    counters: Arc<ExportCounters>,
    next_value: u32,
    /// Values that the store has, in the order in which it got them.
    store: Vec<u32>,
    refused: u64,
    /// The frame whose answer was not understood may come again.
    unclear: Option<u32>,
    quiet_until: Option<Instant>,
    is_well: bool,
    seen: Seen,
}

fn http() -> Http {
    let url = Url::parse("http://h:1/w").unwrap();
    Http::new(Protocol::Prometheus, &url, &[], Login::None)
}

impl World {
    fn new(seed: u64) -> World {
        let place = HostPort {
            host: "h".into(),
            port: 1,
        };
        let counters = Arc::<ExportCounters>::default();
        let server = Server::new("remote_write: url", Endpoint::Tcp(place), http());
        World {
            random: Rng::with_seed(seed),
            now: Instant::now(),
            sender: Sender::new(server, Arc::clone(&counters), 0),
            http: http(),
            counters,
            next_value: 0,
            store: Vec::new(),
            refused: 0,
            unclear: None,
            quiet_until: None,
            is_well: false,
            seen: Seen::default(),
        }
    }

    fn run(mut self) -> Seen {
        for _ in 0..STEPS {
            if self.random.u8(..3) == 0 {
                self.put();
            }
            self.take_step();
        }
        self.is_well = true;
        self.put();
        for _ in 0..STEPS * 2 {
            self.take_step();
        }
        let status = self.counters.status("test");
        assert_eq!((status.waiting_bytes, status.dropped), (0, 0));
        assert!(!status.failing);
        assert_eq!(status.sent + status.failed, u64::from(self.next_value));
        assert_eq!(status.failed, self.refused, "what it refuses is counted");
        self.store.dedup();
        assert!(
            self.store.is_sorted_by(|a, b| a < b),
            "in order, and no other twice"
        );
        // It has all but what it refused; a value that it took may have been refused when it came again.
        assert!(self.store.len() as u64 + self.refused >= u64::from(self.next_value));
        self.seen.steps = STEPS;
        self.seen
    }

    fn put(&mut self) {
        let mut batch = Batch::default();
        batch.push(&self.next_value.to_be_bytes());
        self.next_value += 1;
        self.sender.put(encoded(&batch, &self.http), 1, self.now);
    }

    fn take_step(&mut self) {
        let step = self.sender.next(self.now);
        if matches!(step, Step::Connect | Step::Send(_))
            && let Some(until) = self.quiet_until.take()
        {
            assert!(
                self.now >= until,
                "the store is left alone for as long as it asks"
            );
        }
        match step {
            Step::Wait(time) => {
                self.now += time.unwrap_or(Duration::from_millis(self.random.u64(1..2_000)));
            }
            Step::Connect => {
                let result = if self.is_well || self.random.u8(..8) > 0 {
                    Ok(())
                } else {
                    let refused = io::ErrorKind::ConnectionRefused;
                    Err(LinkError::Connect(refused.into()))
                };
                self.sender.connected(result, self.now);
            }
            Step::Send(frame) => self.send(frame),
            Step::End => panic!("nobody ends it"),
        }
        drop(self.sender.take_remarks());
    }

    /// What the store reads: a whole request.
    fn read(&self, frame: &Frame) -> u32 {
        let mut request = Vec::new();
        self.http
            .head(frame, &mut request)
            .expect("no file is needed");
        let head = String::from_utf8(request).expect("ASCII");
        assert!(head.starts_with("POST /w HTTP/1.1\r\n") && head.ends_with("\r\n\r\n"));
        let length = format!("Content-Length: {}\r\n", frame.bytes.len());
        assert!(head.contains(&length), "{head}");
        let body = snap::raw::Decoder::new().decompress_vec(&frame.bytes);
        u32::from_be_bytes(body.expect("snappy")[..].try_into().expect("one value"))
    }

    fn send(&mut self, frame: Frame) {
        let value = self.read(&frame);
        let last = self.store.last().copied();
        assert!(last.is_none_or(|last| value > last || Some(value) == self.unclear));
        let all = answers(self.random.u64(1..400));
        let at = if self.is_well {
            0
        } else {
            self.random.usize(..all.len())
        };
        let (means, answer) = &all[at];
        let cut = if self.is_well || self.random.bool() {
            answer.len()
        } else {
            self.random.usize(..=answer.len())
        };
        let is_whole = cut == answer.len();
        let result = self.answer(&frame, &answer.as_bytes()[..cut]);
        self.seen.cut += u64::from(!is_whole);
        if *means == Means::Taken {
            self.seen.repeated += u64::from(Some(value) == last);
            self.store.push(value);
        }
        if result.is_ok() {
            self.unclear = None;
        }
        match (&result, means) {
            (Ok(answer), Means::Taken) if is_whole => assert!(answer.refused.is_empty()),
            (Ok(answer), Means::Refused) if is_whole => {
                assert_eq!(answer.refused.len(), 1);
                self.refused += 1;
            }
            (Err(LinkError::Busy { pause, .. }), Means::Later(secs)) if is_whole => {
                let asked = Duration::from_secs((*secs).min(300));
                assert_eq!(*pause, asked);
                self.quiet_until = Some(self.now + asked.max(Duration::from_millis(500)));
            }
            (Err(LinkError::Protocol(_)), Means::Nonsense) if is_whole => self.fail(value),
            (Err(_), Means::Silence) => self.fail(value),
            (Err(_), _) if !is_whole => self.fail(value),
            _ => panic!("{means:?}, cut at {cut}: {result:?}"),
        }
        let kind = match means {
            Means::Taken => 0,
            Means::Refused => 1,
            Means::Later(_) => 2,
            Means::Nonsense => 3,
            Means::Silence => 4,
        };
        self.seen.answers[kind] += 1;
        let outcome = result.map_or_else(Outcome::Failed, Outcome::Taken);
        self.sender.sent(frame, outcome, self.now);
    }

    fn fail(&mut self, value: u32) {
        self.unclear = Some(value);
        self.quiet_until = Some(self.now + Duration::from_millis(500));
    }

    /// Reads the answer as it comes: in pieces, and then nothing, or the end.
    fn answer(&mut self, frame: &Frame, answer: &[u8]) -> Result<BatchAnswer, LinkError> {
        let mut left = answer;
        let hangs = self.random.bool();
        let mut random = self.random.fork();
        let mut more = |received: &mut Vec<u8>| {
            if left.is_empty() {
                return Err(if hangs {
                    LinkError::Stuck(Duration::from_secs(30))
                } else {
                    LinkError::Closed
                });
            }
            let (now, later) = left.split_at(random.usize(1..=left.len()));
            received.extend_from_slice(now);
            left = later;
            Ok(())
        };
        let mut received = Vec::new();
        let mut reader = AnswerReader::new(&mut received, &mut more);
        self.http.answer(&mut reader, frame)
    }
}

#[test]
fn whatever_a_simulated_store_answers_values_come_in_order_and_are_counted() {
    seeds::run("-p gmetad-export remote_write::simulation", SEEDS, |seed| {
        World::new(seed).run()
    });
}
