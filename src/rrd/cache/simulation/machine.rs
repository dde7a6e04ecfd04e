//! A machine whose disk fails and whose process dies as it is told: the journal's folder and the RRD
//! files, with what would survive a kill and what a loss of power.

use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::io;
use std::path::Path;
use std::rc::Rc;

use fastrand::Rng;
use nix::errno::Errno;

use crate::cache::rrd_files::RrdFiles;
use crate::file::FileSpec;
use crate::file::samples::Samples;
use crate::journal::Disk;
use crate::journal::replay::{self, Record};
use crate::writer::counters::{RrdCounters, count};
use crate::writer::record::FileRecord;

/// By then the system has given a file to the disk by itself.
const WRITEBACK_SECS: u64 = 35;

/// What goes wrong now.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each can be on beside each other"
)]
pub(super) struct Faults {
    /// Nothing can be appended to the journal, or only some of it: the disk is full, or broken.
    pub(super) journal_is_full: bool,
    /// Some syncs fail, and what was to be synced is then lost with the power.
    pub(super) syncs_fail: bool,
    /// Some segments cannot be made, or removed.
    pub(super) folder_fails: bool,
    /// The folder cannot be opened, or what is in it cannot be listed. That matters to a start.
    pub(super) folder_is_closed: bool,
    /// Some RRD files take nothing, or only the first of their samples.
    pub(super) rrds_fail: bool,
}

/// A segment.
#[derive(Clone, Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    /// Bytes that survive a loss of power.
    durable: usize,
    /// Those that come after would survive, but for a sync that failed.
    is_poisoned: bool,
    /// Whether the name survives a loss of power.
    is_named: bool,
}

/// An RRD file.
#[derive(Clone, Debug, Default)]
pub(super) struct Rrd {
    /// When the file says it was last updated.
    pub(super) last: u32,
    /// Time and value of each, and second from which on a loss of power does not take it back.
    pub(super) samples: BTreeMap<u32, (String, u64)>,
}

/// What has become of samples that were given to an RRD file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// They are done with: those that the file did not have are in it now.
    Written(String, Vec<u32>),
    /// They are lost, and counted.
    Lost(String, Vec<u32>),
}

/// The machine itself.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) random: Rng,
    /// Whether what happens is printed.
    pub(super) tells: bool,
    pub(super) millis: u64,
    pub(super) faults: Faults,
    /// Operations until the process is killed, in the middle of the last.
    dies_after: Option<u32>,
    is_dead: bool,
    segments: BTreeMap<u32, Segment>,
    open: Option<u32>,
    /// The newest removals, and when they were made: a loss of power may undo them.
    removed: Vec<(u64, u32, Segment)>,
    pub(super) rrds: BTreeMap<String, Rrd>,
    /// What the running process was told is done with.
    done: BTreeSet<(String, u32)>,
    /// Up to when the running process was told that a file has samples, until it lets go of the file.
    told: BTreeMap<String, u32>,
    events: Vec<Event>,
    /// Operations since the beginning.
    pub(super) operations: u64,
}

/// What an operation comes to.
enum Fate {
    Done,
    /// The process dies while it is done: all of it, some or nothing may be.
    Dies,
    /// The process is no more: nothing is done.
    Dead,
}

impl Machine {
    fn new(seed: u64) -> Machine {
        Machine {
            random: Rng::with_seed(seed),
            tells: false,
            millis: 0,
            faults: Faults::default(),
            dies_after: None,
            is_dead: false,
            segments: BTreeMap::new(),
            open: None,
            removed: Vec::new(),
            rrds: BTreeMap::new(),
            done: BTreeSet::new(),
            told: BTreeMap::new(),
            events: Vec::new(),
            operations: 0,
        }
    }

    /// Prints what happens, where that was asked for.
    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        if self.tells {
            println!("{:6}.{:03} {}", self.secs(), self.millis % 1000, what());
        }
    }

    /// Prints what is in the journal: how much of each segment is durable, and each record.
    pub(super) fn tell_segments(&self) {
        for (number, segment) in &self.segments {
            let mut records = Vec::new();
            let end = replay::read(&segment.bytes, |record| {
                records.push(match record {
                    Record::Sample { file, time, .. } => {
                        format!("{}/{}:{time}", file.folder, file.name)
                    }
                    Record::Forget(file) => format!("-{}/{}", file.folder, file.name),
                });
            });
            let Segment { bytes, durable, .. } = segment;
            self.tell(|| {
                let (all, records) = (bytes.len(), records.join(" "));
                format!("  segment {number}, {durable} of {all} bytes: {end:?} {records}")
            });
        }
    }

    pub(super) fn secs(&self) -> u64 {
        self.millis / 1000
    }

    pub(super) fn one_in(&mut self, many: u32) -> bool {
        self.random.u32(0..many) == 0
    }

    pub(super) fn die_after(&mut self, operations: u32) {
        self.dies_after = Some(operations);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.is_dead
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Up to when the running process knows that a file has samples.
    pub(super) fn told(&self, path: &str) -> Option<u32> {
        self.told.get(path).copied()
    }

    /// The running process has let go of a file, and what it knew of it.
    pub(super) fn let_go(&mut self, path: &str) {
        self.told.remove(path);
    }

    /// Whether a sync of some segment failed, so that the disk may never have it.
    pub(super) fn has_poisoned_segments(&self) -> bool {
        self.segments.values().any(|segment| segment.is_poisoned)
    }

    pub(super) fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Whether a loss of power would not lose that sample of a file.
    pub(super) fn is_durable(&self, path: &str, time: u32) -> bool {
        let sample = self.rrds.get(path).and_then(|rrd| rrd.samples.get(&time));
        sample.is_some_and(|(_, durable)| self.secs() >= *durable)
    }

    /// Another process is started.
    pub(super) fn start(&mut self) {
        self.is_dead = false;
        self.dies_after = None;
        self.open = None;
        self.done.clear();
        self.told.clear();
        self.events.clear();
    }

    /// The system has everything given to the disk.
    pub(super) fn sync_all(&mut self) {
        self.millis += 1000 * WRITEBACK_SECS;
        for segment in self.segments.values_mut() {
            segment.durable = segment.bytes.len();
            segment.is_named = true;
        }
        self.removed.clear();
    }

    /// Takes from the disk what the system had not given to it.
    pub(super) fn lose_power(&mut self) {
        let now = self.secs();
        self.removed
            .retain(|(removed, ..)| now < removed + WRITEBACK_SECS);
        let lasting = self.random.usize(0..=self.removed.len());
        for (_, number, segment) in self.removed.split_off(lasting) {
            self.segments.entry(number).or_insert(segment);
        }
        self.removed.clear();
        let mut segments = std::mem::take(&mut self.segments);
        segments.retain(|_, segment| segment.is_named || self.one_in(2));
        for segment in segments.values_mut() {
            self.cut(segment);
        }
        self.segments = segments;
        let mut rrds = std::mem::take(&mut self.rrds);
        for rrd in rrds.values_mut() {
            let undone = rrd
                .samples
                .iter()
                .filter(|(_, (_, durable))| now < *durable);
            let undone: Vec<u32> = undone.map(|(time, _)| *time).collect();
            let lasting = self.random.usize(0..=undone.len());
            for time in &undone[lasting..] {
                rrd.samples.remove(time);
            }
            if lasting < undone.len() {
                let newest = rrd.samples.last_key_value().map(|(time, _)| *time);
                rrd.last = newest.unwrap_or(undone[0] - 1);
            }
        }
        self.rrds = rrds;
    }

    /// Leaves of a segment what the disk has, and perhaps some of the rest, in which there may be
    /// anything.
    fn cut(&mut self, segment: &mut Segment) {
        let most = if segment.is_poisoned {
            segment.durable
        } else {
            segment.bytes.len()
        };
        let lasting = self.random.usize(segment.durable..=most);
        let length = self.random.usize(lasting..=segment.bytes.len());
        segment.bytes.truncate(length);
        segment.bytes[lasting..].fill(0);
        segment.durable = length;
        segment.is_poisoned = false;
        segment.is_named = true;
    }

    fn operation(&mut self) -> Fate {
        if self.is_dead {
            return Fate::Dead;
        }
        self.operations += 1;
        self.millis += self.random.u64(0..3);
        match &mut self.dies_after {
            Some(0) => {
                self.is_dead = true;
                Fate::Dies
            }
            Some(left) => {
                *left -= 1;
                Fate::Done
            }
            None => Fate::Done,
        }
    }

    /// The same for the disk: an error if nothing is to be done.
    fn disk_operation(&mut self) -> io::Result<Fate> {
        match self.operation() {
            Fate::Dead => Err(Errno::EIO.into()),
            Fate::Dies if self.one_in(2) => Err(Errno::EIO.into()),
            fate => Ok(fate),
        }
    }

    fn create(&mut self, number: u32) -> io::Result<()> {
        self.disk_operation()?;
        self.open = None;
        if self.segments.contains_key(&number) {
            return Err(Errno::EEXIST.into());
        }
        if self.faults.folder_fails && self.one_in(2) {
            return Err(Errno::EACCES.into());
        }
        self.segments.insert(number, Segment::default());
        // The folder's sync.
        self.disk_operation()?;
        if self.faults.syncs_fail && self.one_in(2) {
            return Err(Errno::EIO.into());
        }
        self.open = Some(number);
        for segment in self.segments.values_mut() {
            segment.is_named = true;
        }
        self.removed.clear();
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fate = self.disk_operation()?;
        let open = self.open.ok_or(Errno::EBADF)?;
        if self.one_in(20) {
            return Err(Errno::EINTR.into());
        }
        let is_full = self.faults.journal_is_full;
        let taken = if is_full || matches!(fate, Fate::Dies) || self.one_in(4) {
            self.random.usize(0..=bytes.len())
        } else {
            bytes.len()
        };
        let some = &bytes[..taken];
        if let Some(segment) = self.segments.get_mut(&open) {
            segment.bytes.extend_from_slice(some);
        }
        if is_full && (taken == 0 || self.one_in(2)) {
            let why = [Errno::ENOSPC, Errno::EDQUOT, Errno::EIO];
            return Err(why[self.random.usize(0..why.len())].into());
        }
        Ok(taken)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk_operation()?;
        let open = self.open.ok_or(Errno::EBADF)?;
        let fails = self.faults.syncs_fail && self.one_in(2);
        let Some(segment) = self.segments.get_mut(&open) else {
            return Err(Errno::EBADF.into());
        };
        if fails || segment.is_poisoned {
            // Later syncs succeed, as the system has dropped what could not be written.
            segment.is_poisoned = true;
            return if fails {
                Err(Errno::EIO.into())
            } else {
                Ok(())
            };
        }
        segment.durable = segment.bytes.len();
        Ok(())
    }

    fn remove(&mut self, number: u32) -> io::Result<()> {
        self.disk_operation()?;
        if self.faults.folder_fails && self.one_in(2) {
            return Err(Errno::EACCES.into());
        }
        let segment = self.segments.remove(&number).ok_or(Errno::ENOENT)?;
        self.removed.push((self.secs(), number, segment));
        Ok(())
    }

    /// Waits until the disk has what the files have; whether it has.
    fn settle(&mut self) -> bool {
        let fails = self.faults.rrds_fail && self.one_in(2);
        let is_done = matches!(self.operation(), Fate::Done) && !fails;
        if is_done {
            for (_, durable) in self
                .rrds
                .values_mut()
                .flat_map(|rrd| rrd.samples.values_mut())
            {
                *durable = 0;
            }
        }
        self.tell(|| format!("  settled: {is_done}"));
        is_done
    }

    /// Writes samples to a file; whether all were done.
    fn write(&mut self, path: &str, record: &mut FileRecord, samples: &mut Samples) -> bool {
        for (time, _) in samples.iter() {
            let sample = (path.to_owned(), time);
            // Of a file that nobody uses, nothing is remembered once it is written.
            let is_new = record.last().is_none() || !self.done.contains(&sample);
            assert!(is_new, "{path} {time} is written twice");
        }
        let all: Vec<(u32, String)> = samples
            .iter()
            .map(|(time, value)| (time, String::from_utf8_lossy(value).into_owned()))
            .collect();
        let fails = self.faults.rrds_fail && self.one_in(2);
        let taken = match self.operation() {
            Fate::Dead => return false,
            Fate::Dies => self.random.usize(0..=all.len()),
            Fate::Done if fails && self.one_in(2) => self.random.usize(0..all.len()),
            Fate::Done if fails => 0,
            Fate::Done => all.len(),
        };
        let durable = self.secs() + WRITEBACK_SECS;
        self.tell(|| {
            let times: Vec<u32> = all.iter().map(|(time, _)| *time).collect();
            format!("  {path} takes {taken} of {times:?}")
        });
        let rrd = self.rrds.entry(path.into()).or_default();
        for (time, value) in &all[..taken] {
            if *time > rrd.last {
                rrd.samples.insert(*time, (value.clone(), durable));
                rrd.last = *time;
            }
        }
        record.set_last(rrd.last);
        self.told.insert(path.into(), rrd.last);
        if self.is_dead || taken < all.len() {
            return false;
        }
        let times: Vec<u32> = all.iter().map(|(time, _)| *time).collect();
        let done = times.iter().map(|time| (path.to_owned(), *time));
        self.done.extend(done);
        self.events.push(Event::Written(path.into(), times));
        true
    }
}

/// One end of the machine: a disk for a journal, or RRD files.
#[derive(Clone, Debug)]
pub(super) struct Shared(Rc<RefCell<Machine>>);

impl Shared {
    pub(super) fn new(seed: u64) -> Shared {
        Shared(Rc::new(RefCell::new(Machine::new(seed))))
    }

    pub(super) fn machine(&self) -> RefMut<'_, Machine> {
        self.0.borrow_mut()
    }
}

impl Shared {
    /// The journal's folder, for a process that opens it.
    pub(super) fn opened(&self) -> io::Result<Shared> {
        let mut machine = self.machine();
        if machine.faults.folder_is_closed && machine.one_in(2) {
            return Err(Errno::ENOTDIR.into());
        }
        Ok(self.clone())
    }
}

impl Disk for Shared {
    fn segments(&self) -> io::Result<Vec<u32>> {
        let mut machine = self.machine();
        if machine.faults.folder_is_closed {
            return Err(Errno::EIO.into());
        }
        machine.removed.clear();
        machine
            .segments
            .values_mut()
            .for_each(|segment| segment.is_named = true);
        Ok(machine.segments.keys().copied().collect())
    }

    fn read(&self, segment: u32) -> io::Result<Vec<u8>> {
        let mut machine = self.machine();
        let segment = machine.segments.get_mut(&segment).ok_or(Errno::ENOENT)?;
        if !segment.is_poisoned {
            segment.durable = segment.bytes.len();
        }
        Ok(segment.bytes.clone())
    }

    fn create(&mut self, segment: u32) -> io::Result<()> {
        let done = self.machine().create(segment);
        self.machine()
            .tell(|| format!("  create segment {segment}: {done:?}"));
        done
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.machine().append(bytes);
        self.machine()
            .tell(|| format!("  append {} bytes: {done:?}", bytes.len()));
        done
    }

    fn sync(&mut self) -> io::Result<()> {
        let done = self.machine().sync();
        self.machine().tell(|| format!("  sync: {done:?}"));
        done
    }

    fn remove(&mut self, segment: u32) -> io::Result<()> {
        let done = self.machine().remove(segment);
        self.machine()
            .tell(|| format!("  remove segment {segment}: {done:?}"));
        done
    }

    fn set_aside(&mut self, segment: u32) -> io::Result<()> {
        panic!("segment {segment} is damaged, though nothing damages any")
    }

    fn folder(&self) -> &Path {
        Path::new("/journal")
    }
}

/// The machine's RRD files.
#[derive(Debug)]
pub(super) struct Rrds {
    shared: Shared,
    counters: RrdCounters,
}

impl Rrds {
    pub(super) fn new(shared: &Shared) -> Rrds {
        Rrds {
            shared: shared.clone(),
            counters: RrdCounters::default(),
        }
    }
}

fn text(path: &CStr) -> &str {
    path.to_str().expect("names are ASCII here")
}

impl RrdFiles for Rrds {
    fn write(&mut self, path: &CStr, record: &mut FileRecord, _: FileSpec, samples: &mut Samples) {
        let mut machine = self.shared.machine();
        if machine.write(text(path), record, samples) || machine.is_dead {
            return;
        }
        count(&self.counters.failed, samples.len());
        let times = samples.iter().map(|(time, _)| time).collect();
        machine.events.push(Event::Lost(text(path).into(), times));
    }

    fn write_or_keep(
        &mut self,
        path: &CStr,
        record: &mut FileRecord,
        _: FileSpec,
        samples: &mut Samples,
    ) -> bool {
        self.shared.machine().write(text(path), record, samples)
    }

    fn make(&mut self, path: &CStr, record: &mut FileRecord, spec: FileSpec, first: u32) {
        let mut machine = self.shared.machine();
        let fails = machine.faults.rrds_fail && machine.one_in(2);
        let is_done = matches!(machine.operation(), Fate::Done) && !fails;
        if is_done && !machine.rrds.contains_key(text(path)) {
            let rrd = Rrd {
                last: first - 1,
                ..Rrd::default()
            };
            machine.rrds.insert(text(path).into(), rrd);
            machine.told.insert(text(path).into(), first - 1);
            record.created(first, spec.kind);
            count(&self.counters.created, 1);
        }
    }

    fn exists(&self, path: &CStr) -> bool {
        self.shared.machine().rrds.contains_key(text(path))
    }

    fn refuse(&self, _: &CStr, _: u32, samples: usize) {
        count(&self.counters.refused, samples);
    }

    fn forget(&self, _: FileRecord) {}

    fn settle(&mut self) -> bool {
        self.shared.machine().settle()
    }

    fn counters(&self) -> &RrdCounters {
        &self.counters
    }
}
