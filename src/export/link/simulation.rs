//! The sender against a server that does anything, over virtual time, from a seed.
//!
//! A failure prints its seed: `GMETAD_SIMULATION_SEED=… cargo test -p gmetad-export simulation` repeats that one.

mod scripted;
#[path = "../../../tests/support/seeds.rs"]
pub(crate) mod seeds;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::answer::BatchAnswer;
use super::batch::{Batch, Frame};
use super::connection::Endpoint;
use super::dialect::{Dialect, encoded};
use super::error::LinkError;
use super::remark::Remark;
use super::sender::{BURST_DATAGRAMS, BURST_PAUSE, NAME_LIFE, Outcome, Sender, Step};
use super::server::Server;
use gmetad_core::complaint::Say;
use gmetad_core::source::HostPort;
use gmetad_core::status::ExportCounters;

const SEEDS: u64 = 2_000;
const STEPS: u64 = 400;

/// As short as [`super::Backoff`] ever pauses.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const STALL: Duration = Duration::from_secs(10);
/// What the systems take for a server that hangs: more than a frame.
const HELD_BYTES: usize = 400;

/// How many steps were taken.
#[derive(Default)]
struct Steps(u64);

impl seeds::Seen for Steps {
    fn add(&mut self, other: &Steps) {
        self.0 += other.0;
    }

    fn steps(&self) -> u64 {
        self.0
    }

    fn assert_that_all_of_it_happened(&self) {}
}

/// Each value is its number, in four bytes.
struct Numbers {
    answers: bool,
}

impl Dialect for Numbers {
    fn answers(&self) -> bool {
        self.answers
    }

    fn targets(&self, frame: &Frame) -> Vec<u64> {
        numbers(frame).map(u64::from).collect()
    }
}

fn numbers(frame: &Frame) -> impl Iterator<Item = u32> {
    let chunks = frame.bytes.chunks_exact(4);
    chunks.map(|chunk| u32::from_be_bytes(chunk.try_into().unwrap()))
}

/// How the server does just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Takes,
    Refuses,
    Away,
    Hangs,
    /// Wants to be left alone for so many seconds.
    Busy(u64),
    /// Anything, each time.
    Fickle,
}

/// One server, its sender, and a simple model of what must hold.
struct World {
    random: Rng,
    now: Instant,
    sender: Sender,
    counters: Arc<ExportCounters>,
    datagrams: bool,
    answers: bool,
    limit_bytes: usize,
    mood: Mood,
    connected_at: Option<Instant>,
    /// Bytes of this connection that a server which hangs has not read.
    held_bytes: usize,
    /// When it stood still, if it has neither read nor closed anything since.
    stuck_at: Option<Instant>,
    /// Nothing is tried before this, unless the daemon stops.
    quiet_until: Option<Instant>,
    deadline: Option<Instant>,
    failures_after_close: u32,
    /// When the newest datagrams were sent.
    burst: VecDeque<Instant>,
    next_value: u32,
    /// Values that the server has accepted or refused for good.
    settled: u64,
    /// The newest value that it was shown.
    shown: Option<u32>,
    /// What was logged as lasting: unreachable, refusing, dropping.
    open: [bool; 3],
    lost: u64,
    ended: bool,
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Rng::with_seed(seed);
        let datagrams = random.u8(..4) == 0;
        let answers = !datagrams && random.bool();
        let place = HostPort {
            host: "h".into(),
            port: 1,
        };
        let endpoint = if datagrams {
            Endpoint::Udp(place)
        } else {
            Endpoint::Tcp(place)
        };
        let limit_bytes = random.usize(200..5_000);
        let server = Server {
            limit_bytes,
            held_bytes: HELD_BYTES,
            ..Server::new("test_server", endpoint, Numbers { answers })
        };
        let counters = Arc::<ExportCounters>::default();
        World {
            random,
            now: Instant::now(),
            sender: Sender::new(server, Arc::clone(&counters), 0),
            counters,
            datagrams,
            answers,
            limit_bytes,
            mood: Mood::Takes,
            connected_at: None,
            held_bytes: 0,
            stuck_at: None,
            quiet_until: None,
            deadline: None,
            failures_after_close: 0,
            burst: VecDeque::new(),
            next_value: 0,
            settled: 0,
            shown: None,
            open: [false; 3],
            lost: 0,
            ended: false,
        }
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            self.step();
        }
        let deadline = self.now + Duration::from_secs(2);
        self.deadline = Some(deadline);
        self.sender.close(deadline);
        for _ in 0..STEPS {
            if self.ended {
                break;
            }
            self.take_step();
            self.check();
        }
        assert!(self.ended, "it comes to an end");
        assert_eq!(self.sender.next(self.now), Step::End, "and stays there");
        let status = self.counters.status("test");
        assert_eq!(status.waiting_bytes, 0, "nothing waits");
        let all = status.sent + status.failed + status.dropped;
        assert_eq!(
            all,
            u64::from(self.next_value),
            "each value is counted once"
        );
        assert_eq!(status.sent + status.failed, self.settled);
        assert!(status.dropped >= self.lost);
        assert!(self.failures_after_close <= 1, "no second try at the end");
    }

    fn step(&mut self) {
        match self.random.u8(..10) {
            0 => self.mood = self.any_mood(),
            1..=4 => self.put(),
            _ => self.take_step(),
        }
        self.check();
    }

    fn any_mood(&mut self) -> Mood {
        let moods = [
            Mood::Takes,
            Mood::Takes,
            Mood::Refuses,
            Mood::Away,
            Mood::Hangs,
            Mood::Busy(self.random.u64(..100)),
            Mood::Fickle,
        ];
        moods[self.random.usize(..moods.len())]
    }

    fn put(&mut self) {
        let mut batch = Batch::default();
        for _ in 0..self.random.u32(1..40) {
            batch.push(&self.next_value.to_be_bytes());
            self.next_value += 1;
        }
        let dialect = Numbers { answers: false };
        self.sender.put(encoded(&batch, &dialect), 1, self.now);
    }

    /// Does what the thread does, in no time or as long as a server makes it take.
    fn take_step(&mut self) {
        let step = self.sender.next(self.now);
        if matches!(step, Step::Connect | Step::Send(_)) {
            assert!(!self.is_over(), "nothing is tried after the deadline");
            if let Some(until) = self.quiet_until.take() {
                let is_due = self.now >= until || self.deadline.is_some();
                assert!(is_due, "a pause is kept");
            }
        }
        match step {
            Step::Wait(time) => {
                let longest = Duration::from_secs(400);
                let random = self.random.u64(1..longest.as_millis() as u64);
                let news = Duration::from_millis(random);
                let time = time.unwrap_or(news);
                assert!(time > Duration::ZERO, "to wait is not to spin");
                // News may come earlier.
                let early = self.random.bool();
                self.now += if early { time / 2 } else { time };
                assert!(
                    self.deadline.is_none() || self.datagrams,
                    "no wait at the end"
                );
            }
            Step::Connect => self.connect(),
            Step::Send(frame) => self.send(frame),
            Step::End => self.ended = true,
        }
        self.hear();
    }

    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| self.now >= deadline)
    }

    /// What the server does with what it is sent now.
    fn behaviour(&mut self) -> Mood {
        if self.mood != Mood::Fickle {
            return self.mood;
        }
        let mood = self.any_mood();
        if mood == Mood::Fickle {
            Mood::Takes
        } else {
            mood
        }
    }

    fn connect(&mut self) {
        let is_old = |since| self.now - since > NAME_LIFE;
        let why = self
            .connected_at
            .is_none_or(|since| self.datagrams && is_old(since));
        assert!(why, "no connection is closed without a reason");
        let took = Duration::from_millis(self.random.u64(..2000));
        self.now += took;
        self.connected_at = None;
        if self.behaviour() == Mood::Away {
            self.note_failure();
            self.stuck_at = None;
            let error = LinkError::Connect(std::io::ErrorKind::ConnectionRefused.into());
            self.sender.connected(Err(error), self.now);
        } else {
            self.connected_at = Some(self.now);
            self.held_bytes = 0;
            self.sender.connected(Ok(()), self.now);
        }
    }

    fn note_failure(&mut self) {
        self.connected_at = None;
        self.failures_after_close += u32::from(self.deadline.is_some());
        self.quiet_until = Some(self.now + SHORTEST_PAUSE);
    }

    fn send(&mut self, frame: Frame) {
        assert!(self.connected_at.is_some(), "it was connected first");
        if self.datagrams {
            self.check_burst();
        }
        let values: Vec<u32> = numbers(&frame).collect();
        let in_order = values.is_sorted() && values.len() == frame.values as usize;
        assert!(in_order, "{values:?}");
        let outcome = match self.behaviour() {
            _ if self.random.u8(..20) == 0 => Outcome::WasClosed,
            Mood::Hangs if self.is_held(&frame) => {
                self.held_bytes += frame.bytes.len();
                self.show(&values, false);
                Outcome::Taken(BatchAnswer::default())
            }
            Mood::Takes | Mood::Fickle => self.take(&values, false),
            Mood::Refuses => self.take(&values, true),
            Mood::Away => {
                // It may have read all of it, or nothing.
                if self.random.bool() {
                    self.show(&values, true);
                }
                Outcome::Failed(LinkError::Closed)
            }
            Mood::Busy(secs) => Outcome::Failed(LinkError::Busy {
                told: "503".into(),
                pause: Duration::from_secs(secs),
            }),
            Mood::Hangs => {
                self.now += STALL;
                let error = if self.is_over() {
                    LinkError::Stopping
                } else {
                    LinkError::Stuck(STALL)
                };
                Outcome::Failed(error)
            }
        };
        self.note_standing_still(&outcome);
        match &outcome {
            Outcome::Taken(_) => self.settled += values.len() as u64,
            Outcome::WasClosed => {
                self.connected_at = None;
                // Nothing was sent, so that there is nothing to read.
                self.burst.pop_back();
            }
            Outcome::Failed(LinkError::Busy { pause, .. }) => {
                self.note_failure();
                self.quiet_until = Some(self.now + SHORTEST_PAUSE.max(*pause));
            }
            Outcome::Failed(_) => self.note_failure(),
        }
        self.sender.sent(frame, outcome, self.now);
    }

    /// Whether the systems take it though the server does not.
    fn is_held(&self, frame: &Frame) -> bool {
        let bytes = self.held_bytes + frame.bytes.len();
        !self.answers && !self.datagrams && bytes <= HELD_BYTES
    }

    fn note_standing_still(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Failed(LinkError::Stuck(_)) => self.stuck_at = Some(self.now),
            Outcome::Failed(LinkError::Stopping) => {}
            Outcome::Taken(_) if self.held_bytes > 0 => {}
            _ => self.stuck_at = None,
        }
    }

    fn take(&mut self, values: &[u32], refuses: bool) -> Outcome {
        self.held_bytes = 0;
        self.show(values, false);
        let mut answer = BatchAnswer::default();
        if self.answers && refuses {
            let places = 0..values.len() as u32;
            answer.refused = places.filter(|_| self.random.bool()).collect();
            answer.reason = "no room".into();
        }
        Outcome::Taken(answer)
    }

    /// The server is shown values: newer ones each time, or once more those whose answer was lost.
    fn show(&mut self, values: &[u32], answer_is_lost: bool) {
        let is_newer = self.shown.is_none_or(|newest| values[0] > newest);
        assert!(is_newer, "in order, and no value that is settled again");
        if !answer_is_lost {
            self.shown = values.last().copied();
        }
    }

    /// No more datagrams without a pause than a receiver holds.
    fn check_burst(&mut self) {
        self.burst.push_back(self.now);
        if self.burst.len() > BURST_DATAGRAMS as usize {
            let first = self.burst.pop_front().unwrap();
            assert!(self.now - first >= BURST_PAUSE, "a receiver may read");
        }
    }

    /// What is logged begins and ends.
    fn hear(&mut self) {
        for remark in self.sender.take_remarks() {
            let begins = |say: &Say| *say == Say::First;
            let (what, is_open, may_last) = match &remark {
                Remark::Unreachable { say, .. } => (0, true, !begins(say)),
                Remark::Reachable { .. } => {
                    assert_eq!(self.stuck_at, None, "nothing was read since it hung");
                    (0, false, false)
                }
                Remark::Refuses { say, .. } => (1, true, !begins(say)),
                Remark::Accepts { .. } => (1, false, false),
                Remark::Drops { say, values, .. } => {
                    assert!(*values > 0);
                    (2, true, !begins(say))
                }
                Remark::HasRoom { .. } => (2, false, false),
                Remark::Lost { values } => {
                    assert!(self.deadline.is_some() && self.lost == 0 && *values > 0);
                    self.lost = *values;
                    continue;
                }
                // Nothing waits on disk.
                remark => panic!("{remark:?}"),
            };
            let was_open = self.open[what];
            // What flaps may be logged as lasting though its beginning was not.
            assert!(
                was_open != is_open || may_last,
                "{remark:?} after {was_open}"
            );
            self.open[what] = is_open;
        }
    }

    fn check(&self) {
        let status = self.counters.status("test");
        assert!(status.waiting_bytes <= self.limit_bytes as u64, "the limit");
        let known = status.sent + status.failed + status.dropped;
        assert!(known <= u64::from(self.next_value));
        assert_eq!(status.sent + status.failed, self.settled);
        if self.open[0] {
            assert!(status.failing, "what is logged is in the status");
        }
        if !self.open[1] && !self.answers {
            assert_eq!(status.refusing, 0);
        }
    }
}

#[test]
fn whatever_a_simulated_server_does_values_are_in_order_bounded_and_counted() {
    seeds::run("-p gmetad-export link::simulation", SEEDS, |seed| {
        World::new(seed).run();
        Steps(STEPS)
    });
}
