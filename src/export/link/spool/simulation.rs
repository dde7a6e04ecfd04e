//! A sender whose backlog is on a disk that may fail, killed at any step, from a seed.
//!
//! `GMETAD_SIMULATION_SEED=… cargo test -p gmetad-export spool::simulation` repeats one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use fastrand::Rng;
use gmetad_core::status::ExportCounters;

use super::super::answer::BatchAnswer;
use super::super::batch::{Batch, Frame};
use super::super::connection::Endpoint;
use super::super::dialect::{Dialect, encoded};
use super::super::error::LinkError;
use super::super::sender::{Outcome, Sender, Step};
use super::super::server::Server;
use super::super::simulation::seeds;
use super::record::POSITION_BYTES;
use super::{SEGMENT_BYTES, SpoolDisk, SpoolSettings};

const SEEDS: u64 = 40;
const STEPS: u64 = 600;

/// What was seen over all seeds.
#[derive(Default)]
struct Seen {
    steps: u64,
    kills: u64,
    torn: u64,
    repeated: u64,
    dropped: u64,
    faults: u64,
}

impl seeds::Seen for Seen {
    fn add(&mut self, other: &Seen) {
        self.steps += other.steps;
        self.kills += other.kills;
        self.torn += other.torn;
        self.repeated += other.repeated;
        self.dropped += other.dropped;
        self.faults += other.faults;
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn assert_that_all_of_it_happened(&self) {
        let all = [
            self.kills,
            self.torn,
            self.repeated,
            self.dropped,
            self.faults,
        ];
        assert!(all.iter().all(|&count| count > 0), "{all:?}");
    }
}

/// What is on the disk. A kill leaves it as it is.
#[derive(Debug, Default)]
struct Files {
    segments: BTreeMap<u64, Vec<u8>>,
    position: Option<Vec<u8>>,
    /// Whether calls may fail, and the randomness for that.
    faults: Option<Rng>,
    failed: u64,
}

#[derive(Clone, Debug, Default)]
struct Simulated {
    files: Arc<Mutex<Files>>,
    written: Option<u64>,
}

impl Simulated {
    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap()
    }

    /// Fails at times, if it may.
    fn call(&self) -> io::Result<MutexGuard<'_, Files>> {
        let mut files = self.files();
        if files
            .faults
            .as_mut()
            .is_some_and(|random| random.u8(..6) == 0)
        {
            files.failed += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(files)
    }

    fn current(&self) -> io::Result<u64> {
        self.written.ok_or_else(|| io::Error::other("none is open"))
    }
}

impl SpoolDisk for Simulated {
    fn open(&mut self) -> io::Result<()> {
        self.call().map(drop)
    }

    fn segments(&self) -> io::Result<Vec<(u64, u64)>> {
        let files = self.call()?;
        let segments = files.segments.iter();
        Ok(segments
            .map(|(number, bytes)| (*number, bytes.len() as u64))
            .collect())
    }

    fn create(&mut self, segment: u64) -> io::Result<()> {
        self.written = None;
        let mut files = self.call()?;
        if files.segments.contains_key(&segment) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        files.segments.insert(segment, Vec::new());
        drop(files);
        self.written = Some(segment);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let segment = self.current()?;
        let taken = match self.call() {
            Ok(_) => bytes.len(),
            Err(_) => self.files().failed as usize * 7 % bytes.len(),
        };
        let mut files = self.files();
        let all = files.segments.get_mut(&segment).expect("it is open");
        all.extend_from_slice(&bytes[..taken]);
        if taken < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        let segment = self.current()?;
        let mut files = self.call()?;
        let all = files.segments.get_mut(&segment).expect("it is open");
        all.truncate(bytes as usize);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.current()?;
        self.written = None;
        self.call().map(drop)
    }

    fn read(&mut self, segment: u64, from: u64, bytes: &mut [u8]) -> io::Result<usize> {
        // Reading does not fail here: what could not be read is dropped, and counted.
        let files = self.files();
        let all = files
            .segments
            .get(&segment)
            .ok_or(io::ErrorKind::NotFound)?;
        let rest = all.get(from as usize..).unwrap_or_default();
        let count = rest.len().min(bytes.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn remove(&mut self, segment: u64) -> io::Result<()> {
        self.written.take_if(|it| *it == segment);
        let mut files = self.call()?;
        files
            .segments
            .remove(&segment)
            .map(drop)
            .ok_or(io::ErrorKind::NotFound.into())
    }

    fn position(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.call()?.position.clone())
    }

    fn set_position(&mut self, bytes: &[u8; POSITION_BYTES]) -> io::Result<()> {
        self.call()?.position = Some(bytes.to_vec());
        Ok(())
    }

    fn folder(&self) -> &Path {
        Path::new("/spool")
    }
}

/// Each value is its number, in four bytes; many of them, so that segments are soon full.
struct Numbers;

impl Dialect for Numbers {
    fn answers(&self) -> bool {
        true
    }
}

fn numbers(frame: &Frame) -> Vec<u32> {
    let chunks = frame.bytes.chunks_exact(4).take(frame.values as usize);
    chunks
        .map(|chunk| u32::from_be_bytes(chunk.try_into().unwrap()))
        .collect()
}

struct World {
    random: Rng,
    now: Instant,
    now_ms: u64,
    disk: Simulated,
    limit_bytes: u64,
    resend: Duration,
    may_fail: bool,
    sender: Sender,
    counters: Arc<ExportCounters>,
    next_value: u32,
    /// Values that the server has, and since when each frame is taken; by first value.
    got: BTreeSet<u32>,
    /// Values that the server may have read though it did not say so.
    unclear: BTreeSet<u32>,
    /// The newest value that was taken since the connection was lost last.
    newest: Option<u32>,
    seen: Seen,
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Rng::with_seed(seed);
        let limit_bytes = [2, 3, 40][random.usize(..3)] * SEGMENT_BYTES;
        let resend = Duration::from_secs([0, 0, 10][random.usize(..3)]);
        let may_fail = random.bool();
        let (disk, counters) = (Simulated::default(), Arc::<ExportCounters>::default());
        World {
            sender: sender(disk.clone(), limit_bytes, resend, &counters),
            random,
            now: Instant::now(),
            now_ms: 1_795_367_147_000,
            disk,
            limit_bytes,
            resend,
            may_fail,
            counters,
            next_value: 0,
            got: BTreeSet::new(),
            unclear: BTreeSet::new(),
            newest: None,
            seen: Seen::default(),
        }
    }

    fn run(mut self) -> Seen {
        self.open();
        for _ in 0..STEPS {
            match self.random.u8(..40) {
                0 => self.kill(),
                1 if self.may_fail => {
                    let faults = self.random.bool().then(|| self.random.fork());
                    self.disk.files().faults = faults;
                }
                2..=15 => self.put(),
                _ => self.take_step(false),
            }
            self.check();
        }
        // In the end the disk works and the server takes all.
        self.disk.files().faults = None;
        self.now_ms += 3_600_000;
        self.put();
        for _ in 0..STEPS * 4 {
            self.take_step(true);
        }
        let status = self.counters.status("test");
        assert_eq!((status.waiting_bytes, status.waiting_since_ms), (0, 0));
        assert!(!status.unsaved);
        self.count_dropped();
        let missing = u64::from(self.next_value) - self.got.len() as u64;
        self.seen
            .failed_in_the_end(missing, self.unclear.len() as u64, self.may_fail);
        self.seen.faults = self.disk.files().failed;
        self.seen.steps = STEPS;
        self.seen
    }

    fn open(&mut self) {
        self.sender.open(self.now_ms, self.now);
    }

    /// All but the disk is gone; a part of what was being written may be there.
    fn kill(&mut self) {
        self.seen.kills += 1;
        self.count_dropped();
        if self.random.bool() {
            let torn: Vec<u8> = (0..self.random.usize(1..60))
                .map(|_| self.random.u8(..))
                .collect();
            let mut files = self.disk.files();
            if let Some(mut last) = files.segments.last_entry() {
                last.get_mut().extend(torn);
                self.seen.torn += 1;
            }
        }
        self.disk.written = None;
        self.counters = Arc::default();
        self.sender = sender(
            self.disk.clone(),
            self.limit_bytes,
            self.resend,
            &self.counters,
        );
        self.newest = None;
        // One that does not open at the start has its values sent when it does.
        let faults = self.disk.files().faults.take();
        self.open();
        self.disk.files().faults = faults;
    }

    fn count_dropped(&mut self) {
        self.seen.dropped += self.counters.status("test").dropped;
    }

    fn put(&mut self) {
        let values = self.random.u32(1..20);
        let padding = self.random.usize(..20_000);
        let mut bytes = Vec::new();
        for _ in 0..values {
            bytes.extend_from_slice(&self.next_value.to_be_bytes());
            self.next_value += 1;
        }
        bytes.resize(bytes.len() + padding, 0);
        let mut batch = Batch::default();
        batch.push(&bytes);
        let mut frame = encoded(&batch, &Numbers);
        frame.values = values;
        self.now_ms += self.random.u64(..3_000);
        self.sender.put(frame, self.now_ms, self.now);
    }

    fn take_step(&mut self, is_well: bool) {
        match self.sender.next(self.now) {
            Step::Wait(time) => {
                let time = time.unwrap_or(Duration::from_millis(self.random.u64(1..3_000)));
                self.now += time;
                self.now_ms += time.as_millis() as u64;
            }
            Step::Connect => {
                let refused = io::ErrorKind::ConnectionRefused;
                let result = if is_well || self.random.u8(..4) > 0 {
                    Ok(())
                } else {
                    Err(LinkError::Connect(refused.into()))
                };
                self.sender.connected(result, self.now);
            }
            Step::Send(frame) => self.send(frame, is_well),
            Step::End => panic!("nobody ends it"),
        }
        drop(self.sender.take_remarks());
    }

    fn send(&mut self, frame: Frame, is_well: bool) {
        let values = numbers(&frame);
        assert!(values.is_sorted() && !values.is_empty(), "{values:?}");
        if let Some(newest) = self.newest {
            assert!(
                values[0] > newest,
                "in order: {} behind {newest}",
                values[0]
            );
        }
        let outcome = match self.random.u8(..10) {
            0..=6 => Outcome::Taken(BatchAnswer::default()),
            _ if is_well => Outcome::Taken(BatchAnswer::default()),
            7 => Outcome::WasClosed,
            8 => Outcome::Failed(LinkError::Closed),
            _ => Outcome::Failed(LinkError::Busy {
                told: "503".into(),
                pause: Duration::from_secs(self.random.u64(..20)),
            }),
        };
        let reads = match &outcome {
            Outcome::Taken(_) => true,
            Outcome::Failed(LinkError::Closed) => self.random.bool(),
            _ => false,
        };
        if reads {
            let again = values
                .iter()
                .filter(|value| self.got.contains(value))
                .count() as u64;
            assert!(again == 0 || again == values.len() as u64, "whole frames");
            self.seen.repeated += again;
        }
        match &outcome {
            Outcome::Taken(_) => {
                self.got.extend(&values);
                self.newest = values.last().copied();
                // Killed before the answer is noted.
                if !is_well && self.random.u8(..20) == 0 {
                    self.unclear.extend(&values);
                    return self.kill();
                }
            }
            Outcome::Failed(LinkError::Busy { .. }) => {}
            Outcome::WasClosed | Outcome::Failed(_) => {
                if reads {
                    self.got.extend(&values);
                    self.unclear.extend(&values);
                }
                if !self.resend.is_zero() {
                    self.newest = None;
                }
            }
        }
        self.sender.sent(frame, outcome, self.now);
    }

    fn check(&self) {
        let bytes: u64 = (self.disk.files().segments.values())
            .map(|it| it.len() as u64)
            .sum();
        // What failed to be written or removed may lie there until the next start.
        if !self.may_fail {
            assert!(bytes <= self.limit_bytes + 25_000, "{bytes} on the disk");
        }
    }
}

impl Seen {
    /// All is known that is missing. A disk that fails may lose what a kill finds in memory.
    fn failed_in_the_end(&self, missing: u64, unclear: u64, may_fail: bool) {
        let dropped = self.dropped;
        if !may_fail {
            assert!(
                missing <= dropped,
                "{missing} are missing, {dropped} were dropped"
            );
        }
        if self.kills == 0 {
            assert!(
                missing <= dropped && dropped <= missing + unclear,
                "{missing} {dropped}"
            );
        }
    }
}

fn sender(
    disk: Simulated,
    limit_bytes: u64,
    resend: Duration,
    counters: &Arc<ExportCounters>,
) -> Sender {
    let settings = SpoolSettings {
        folder: "/spool".into(),
        limit_bytes,
        resend,
    };
    let server = Server {
        limit_bytes: 200_000,
        spool: Some(settings),
        ..Server::new("test_server", Endpoint::Unix("/s".into()), Numbers)
    };
    let mut it = Sender::with_disk(server, Some(Box::new(disk)), Arc::clone(counters), 0);
    drop(it.take_remarks());
    it
}

#[test]
fn whatever_a_simulated_disk_and_kills_do_values_are_in_order_and_none_is_lost_untold() {
    let seen = seeds::run("-p gmetad-export spool::simulation", SEEDS, |seed| {
        World::new(seed).run()
    });
    seeds::Seen::assert_that_all_of_it_happened(&seen);
}
