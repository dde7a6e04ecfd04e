//! Samples that are written later: holds them, notes them in the journal, writes them in time.
//!
//! Which samples there are is the archive's matter; how they get into a file is the writer's.

use std::collections::VecDeque;
use std::ffi::CStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::cache::{Cache, Delay, Held};
use super::journal::Journal;
use super::packed::pack;
use super::record::FileId;
use super::replay::{self, End, FileName, Record};
use crate::file::samples::Samples;
use crate::file::{FileSpec, exists};
use crate::tree::paths::PathBuffer;
use crate::writer::Writer;
use crate::writer::counters::count;
use gmetad_config::{Config, RrdConfig};
use gmetad_core::source::SourceConfig;

/// Spent on writing files before updates have their turn.
const STEP: Duration = Duration::from_millis(20);

/// When there is nothing to do at once, how soon there may be.
const IDLE: Duration = Duration::from_secs(1);

/// Files created in a second at most: after a first start a million may be missing, and to create
/// one costs as much as to write to several.
const CREATIONS_A_SECOND: u64 = 4000;

/// Longest time between two moments at which the disk has the whole journal.
const SYNC_SECS: u32 = 15;

/// Pause before a file that did not take its samples is tried again, and how often it is: its samples
/// take memory and keep the journal from being shortened.
const RETRY_SECS: u32 = 60;
const RETRIES: u8 = 10;

/// Spent on writing at the end: the loop waits for ten seconds in all.
const CLOSE_WITHIN: Duration = Duration::from_secs(8);

/// A segment of the journal is no younger than this when the next is begun.
const SEGMENT_MIN_SECS: u32 = 10;

/// The cache, its journal and its clock.
#[derive(Debug)]
pub(super) struct Later {
    cache: Cache,
    journal: Option<Journal>,
    journal_dir: Option<PathBuf>,
    /// Off: what is held comes from the journal or the socket alone, and is written at once.
    holds: bool,
    delay: Delay,
    /// A poll round: what a machine that stops at once may lose of the journal.
    sync_secs: u32,
    paths: PathBuffer,
    samples: Samples,
    packed: Vec<u8>,
    started: Instant,
    /// Since the start, as of the last look at the clock.
    now: u32,
    /// Files that had been created when this second began.
    created_before: u64,
    mode: u32,
    /// Files still to be written before their time.
    to_flush: u64,
    /// Files that may be missing. They are made long before they are written, as whoever draws a
    /// graph looks for a file before asking for what waits of it.
    unseen: VecDeque<FileId>,
}

impl Later {
    /// `None` where nothing is ever held: neither asked for, nor left to an rrdcached.
    pub(super) fn new(config: &Config) -> Option<Later> {
        let Config {
            rrd: config,
            umask,
            exports,
            sources,
            ..
        } = config;
        let holds = !config.write_timeout.is_zero();
        let asked_for = holds || config.journal_dir.is_some() || config.listen.is_some();
        if !asked_for || exports.rrdcached.is_some() {
            return None;
        }
        let delay = delay(config);
        Some(Later {
            cache: Cache::new(delay, config.cache_limit_bytes),
            journal: None,
            journal_dir: config.journal_dir.clone(),
            holds,
            delay,
            sync_secs: sync_secs(sources),
            paths: PathBuffer::new(&config.rootdir),
            samples: Samples::default(),
            packed: Vec::new(),
            started: Instant::now(),
            now: 0,
            created_before: 0,
            mode: 0o666 & !umask,
            to_flush: 0,
            unseen: VecDeque::new(),
        })
    }

    /// How long a sample waits at most, where nothing hinders it.
    pub(super) fn longest_wait(&self) -> Duration {
        let Delay {
            timeout_secs,
            jitter_secs,
        } = self.delay;
        Duration::from_secs(u64::from(timeout_secs) + u64::from(jitter_secs))
    }

    /// Whether samples of updates are held at all.
    pub(super) fn holds(&self) -> bool {
        self.holds
    }

    /// Opens the journal and takes in what the last run left there.
    pub(super) fn open(&mut self, writer: &mut Writer) {
        let Some(folder) = self.journal_dir.clone() else {
            return;
        };
        let segment_secs = self.delay.timeout_secs.max(SEGMENT_MIN_SECS);
        match Journal::open(&folder, segment_secs, self.sync_secs, self.mode) {
            Ok((journal, old)) => {
                self.journal = Some(journal);
                self.replay(&old, writer);
            }
            Err(error) => log::error!(
                "journal: {} cannot be used: {error}; values that wait in memory would be lost \
                 with the process",
                folder.display()
            ),
        }
    }

    fn replay(&mut self, old: &[(u32, PathBuf)], writer: &mut Writer) {
        let mut taken = 0_u64;
        for (segment, path) in old {
            let end = match fs::read(path) {
                Ok(bytes) => replay::read(&bytes, |record| {
                    taken += u64::from(self.replay_record(*segment, record, writer));
                }),
                Err(error) => {
                    log::error!("journal: {} cannot be read: {error}", path.display());
                    End::Damaged
                }
            };
            self.judge(*segment, path, end);
        }
        if taken > 0 {
            log::info!("journal: {taken} values of the last run are taken over");
        }
        if let Some(journal) = &mut self.journal {
            // Segments of which nothing waits go at once.
            journal.commit(self.now);
        }
    }

    fn judge(&mut self, segment: u32, path: &Path, end: End) {
        match end {
            End::Whole => {}
            End::Torn => log::info!(
                "journal: {} ends in the middle of a write, as it does after a crash",
                path.display()
            ),
            End::Damaged => {
                log::error!(
                    "journal: {} is damaged; what can be read of it is written, and the file is \
                     kept as .damaged beside it",
                    path.display()
                );
                if let Some(journal) = &mut self.journal {
                    journal.keep_aside(segment);
                }
            }
        }
    }

    /// Takes a record in; whether it is a sample that waits now.
    fn replay_record(&mut self, segment: u32, record: Record<'_>, writer: &mut Writer) -> bool {
        match record {
            Record::Sample { file, time, packed } => {
                let FileName { folder, name, spec } = file;
                let id = self.cache.file(folder, name, *spec);
                self.packed.clear();
                self.packed.extend_from_slice(packed);
                let held = self.hold(id, time, writer);
                match held {
                    Held::First => self.note_first(id, segment),
                    Held::Stale => count(&writer.counters().stale, 1),
                    Held::More | Held::Full => {}
                }
                self.tidy(id, writer);
                matches!(held, Held::First | Held::More)
            }
            Record::Forget(file) => {
                if let Some(id) = self.cache.find(&file.folder, &file.name) {
                    self.drop_samples(id);
                    self.tidy(id, writer);
                }
                false
            }
        }
    }

    /// The file of that name in that folder below the root, until it is released.
    pub(super) fn use_file(&mut self, folder: &str, name: &str, spec: FileSpec) -> FileId {
        self.cache.use_file(folder, name, spec)
    }

    /// The file of that name, used by nobody but for the samples that follow.
    pub(super) fn file(&mut self, folder: &str, name: &str, spec: FileSpec) -> FileId {
        self.cache.file(folder, name, spec)
    }

    /// The file of that name, if it is known here.
    pub(super) fn find(&self, folder: &str, name: &str) -> Option<FileId> {
        self.cache.find(folder, name)
    }

    /// What a file is to be, if it is to be created.
    pub(super) fn spec(&self, id: FileId) -> FileSpec {
        self.cache.get(id).spec
    }

    /// Time of a file's newest sample, waiting or written, if it is known here.
    pub(super) fn newest(&self, folder: &str, name: &str) -> Option<u32> {
        let id = self.cache.find(folder, name)?;
        Some(self.cache.get(id).newest())
    }

    /// A file's samples that wait, as text.
    pub(super) fn waiting_values(&mut self, folder: &str, name: &str) -> Vec<String> {
        let Some(id) = self.cache.find(folder, name) else {
            return Vec::new();
        };
        self.samples.clear();
        self.cache.read(id, &mut self.samples);
        self.samples.with(|all| {
            let texts = all.iter().map(|it| it.to_string_lossy().into_owned());
            texts.collect()
        })
    }

    /// Files with samples that wait.
    pub(super) fn waiting_files(&self) -> u64 {
        self.cache.waiting_files()
    }

    pub(super) fn journal_bytes(&self) -> u64 {
        self.journal.as_ref().map_or(0, Journal::written_bytes)
    }

    /// Segments of the journal that there have been.
    pub(super) fn journal_segments(&self) -> u64 {
        self.journal.as_ref().map_or(0, |it| it.current().into())
    }

    /// Drops a file's samples that wait; whether there were any.
    pub(super) fn forget(&mut self, folder: &str, name: &str, writer: &Writer) -> bool {
        let found = self.cache.find(folder, name);
        let Some(id) = found.filter(|id| !self.cache.get(*id).is_empty()) else {
            return false;
        };
        if let Some(journal) = &mut self.journal {
            journal.forget(&mut self.cache, id);
        }
        self.drop_samples(id);
        self.tidy(id, writer);
        true
    }

    /// Has every file written that has samples now, in the steps that follow.
    pub(super) fn flush_all(&mut self) {
        self.to_flush = self.cache.waiting_files();
    }

    /// Writes a file's samples and lets go of the file if it has no other user; how many there
    /// were.
    pub(super) fn write_and_tidy(&mut self, id: FileId, writer: &mut Writer) -> u32 {
        let written = self.write(id, writer);
        self.tidy(id, writer);
        written
    }

    /// Ends the use of a file, which is written in time nevertheless.
    pub(super) fn release(&mut self, id: FileId, writer: &Writer) {
        if let Some(record) = self.cache.release(id) {
            writer.forget(record);
        }
    }

    /// Holds a value's text, as the writer would take it, for the file.
    pub(super) fn put(
        &mut self,
        id: FileId,
        spec: FileSpec,
        time: u32,
        value: &[u8],
        writer: &mut Writer,
    ) -> Held {
        self.cache.get_mut(id).spec = spec;
        self.packed.clear();
        if !pack(value, &mut self.packed) {
            // No text that the samples let through is like that.
            count(&writer.counters().failed, 1);
            return Held::Stale;
        }
        let mut held = self.hold(id, time, writer);
        if held == Held::Stale && self.is_gone(id, time) {
            self.cache.get_mut(id).record.clear_last();
            held = self.hold(id, time, writer);
        }
        if held == Held::Stale {
            self.refuse(id, time, writer);
        }
        if let Some(journal) = &mut self.journal
            && matches!(held, Held::First | Held::More)
        {
            // Noted first: the note may be what begins another segment.
            let current = journal.current();
            journal.sample(&mut self.cache, id, time, &self.packed);
            if held == Held::First {
                self.note_first(id, current);
            }
        }
        held
    }

    /// Whether a file that is said to have newer values than of that time was removed.
    fn is_gone(&mut self, id: FileId, time: u32) -> bool {
        let file = self.cache.get(id);
        file.is_empty() && file.record.is_after(time) && !exists(self.path(id))
    }

    /// Counts a value that is not later than the newest of its file.
    fn refuse(&mut self, id: FileId, time: u32, writer: &Writer) {
        let newest = self.cache.get(id).newest();
        if time < newest {
            writer.refuse(self.path(id), newest, 1);
        } else {
            count(&writer.counters().stale, 1);
        }
    }

    fn path(&mut self, id: FileId) -> &CStr {
        self.paths.enter_inside(self.cache.folder(id));
        self.paths.file(self.cache.name(id))
    }

    /// Holds the value that is packed; makes room by writing the file where there is none.
    fn hold(&mut self, id: FileId, time: u32, writer: &mut Writer) -> Held {
        let now = self.now;
        let mut held = self.cache.put(id, time, &self.packed, now);
        if held == Held::Full {
            count(&writer.counters().forced, 1);
            self.write(id, writer);
            held = self.cache.put(id, time, &self.packed, now);
        }
        match held {
            Held::First => {
                if self.cache.is_first_look(id) {
                    self.unseen.push_back(id);
                }
            }
            Held::More | Held::Stale => {}
            Held::Full => self.write_through(id, time, writer),
        }
        held
    }

    /// Writes the one value that is packed, for which there is no room at all.
    fn write_through(&mut self, id: FileId, time: u32, writer: &mut Writer) {
        let mut rest = self.packed.as_slice();
        self.samples.clear();
        self.samples
            .push_packed(time, |text| super::packed::unpack(&mut rest, text));
        self.write_samples(id, false, writer);
    }

    fn note_first(&mut self, id: FileId, segment: u32) {
        self.cache.get_mut(id).oldest_segment = segment;
        if let Some(journal) = &mut self.journal {
            journal.hold(segment);
        }
    }

    /// Writes a file's samples, if it has any; how many of them wait no longer. All of them do where
    /// the file cannot take them now, a few times and as long as there is room.
    pub(super) fn write(&mut self, id: FileId, writer: &mut Writer) -> u32 {
        let waiting = self.cache.get(id).count();
        if waiting == 0 {
            return 0;
        }
        self.samples.clear();
        self.cache.read(id, &mut self.samples);
        let may_wait = self.cache.get(id).tries < RETRIES && !self.cache.is_crowded();
        if !self.write_samples(id, may_wait, writer) {
            self.cache.get_mut(id).tries += 1;
            self.cache.put_off(id, self.now + RETRY_SECS);
            return 0;
        }
        self.cache.get_mut(id).tries = 0;
        self.drop_samples(id);
        waiting
    }

    /// Writes `samples` to a file; whether they are done with, as they always are if they may not
    /// wait.
    fn write_samples(&mut self, id: FileId, may_wait: bool, writer: &mut Writer) -> bool {
        self.paths.enter_inside(self.cache.folder(id));
        let path = self.paths.file(self.cache.name(id));
        let file = self.cache.get_mut(id);
        if may_wait {
            return writer.write_or_keep(path, &mut file.record, file.spec, &mut self.samples);
        }
        writer.write(path, &mut file.record, file.spec, &mut self.samples);
        true
    }

    fn drop_samples(&mut self, id: FileId) {
        if self.cache.get(id).is_empty() {
            return;
        }
        self.cache.drop_samples(id);
        if let Some(journal) = &mut self.journal {
            journal.release(self.cache.get(id).oldest_segment, self.now);
        }
    }

    fn tidy(&mut self, id: FileId, writer: &Writer) {
        if let Some(record) = self.cache.tidy(id) {
            writer.forget(record);
        }
    }

    /// Looks at the clock.
    pub(super) fn tell_time(&mut self, writer: &Writer) {
        let now = self.started.elapsed().as_secs() as u32;
        if now != self.now {
            self.now = now;
            self.created_before = writer.counters().status().created;
        }
    }

    /// Commits the journal and writes what is due, for a little while; when there may be more.
    /// `None`: not before there are samples again.
    pub(super) fn step(&mut self, writer: &mut Writer) -> Option<Duration> {
        self.tell_time(writer);
        if let Some(journal) = &mut self.journal {
            journal.commit(self.now);
        }
        let begun = Instant::now();
        let mut more = true;
        while more && begun.elapsed() < STEP {
            more = self.write_one(writer) || self.make_one(writer);
        }
        self.count(writer);
        let dirty = self.journal.as_ref().is_some_and(Journal::is_dirty);
        if more {
            Some(Duration::ZERO)
        } else if dirty || self.cache.samples() > 0 {
            Some(IDLE)
        } else {
            None
        }
    }

    /// Writes a file that is due, or the next where room is short; whether there was one.
    fn write_one(&mut self, writer: &mut Writer) -> bool {
        let mut id = self.cache.due(self.now);
        if id.is_none() && self.to_flush > 0 {
            self.to_flush -= 1;
            id = self.cache.soonest();
        }
        let forced = id.is_none() && self.cache.is_crowded();
        if forced {
            id = self.cache.soonest();
        }
        let Some(id) = id else {
            return false;
        };
        if self.must_wait(id, writer) {
            self.cache.put_off(id, self.now + 1);
            // The one that is due next may be this one again.
            return !forced;
        }
        count(&writer.counters().forced, usize::from(forced));
        self.write_and_tidy(id, writer);
        true
    }

    /// Makes a file that is missing, without its samples; whether there was one to look for.
    fn make_one(&mut self, writer: &mut Writer) -> bool {
        if self.has_created_enough(writer) {
            return false;
        }
        let Some(id) = self.unseen.pop_front() else {
            // A first start leaves room for all files there are.
            self.unseen = VecDeque::new();
            return false;
        };
        let file = self.cache.get(id);
        // Else it has been written, or is gone.
        if !file.is_empty() && file.record.last().is_none() {
            self.samples.clear();
            self.cache.read(id, &mut self.samples);
            if self.samples.are_unknown() {
                return true;
            }
            self.paths.enter_inside(self.cache.folder(id));
            let path = self.paths.file(self.cache.name(id));
            let file = self.cache.get_mut(id);
            writer.make(path, &mut file.record, file.spec, self.samples.first_time());
        }
        true
    }

    fn has_created_enough(&self, writer: &Writer) -> bool {
        writer.counters().status().created - self.created_before >= CREATIONS_A_SECOND
    }

    /// Whether a file is to be created when enough have been in this second.
    fn must_wait(&mut self, id: FileId, writer: &Writer) -> bool {
        if self.cache.get(id).record.last().is_some() || !self.has_created_enough(writer) {
            return false;
        }
        self.paths.enter_inside(self.cache.folder(id));
        !exists(self.paths.file(self.cache.name(id)))
    }

    /// Writes everything, as far as there is time, and ends the journal.
    pub(super) fn close(&mut self, writer: &mut Writer) {
        let begun = Instant::now();
        let waiting: Vec<FileId> = self.cache.waiting().collect();
        for id in waiting {
            if begun.elapsed() >= CLOSE_WITHIN {
                break;
            }
            self.write_and_tidy(id, writer);
        }
        if let Some(journal) = &mut self.journal {
            journal.close(self.now);
        }
        self.count(writer);
        let (samples, files) = (self.cache.samples(), self.cache.waiting_files());
        if samples == 0 {
            return;
        }
        if self.journal.is_some() {
            log::warn!(
                "{samples} values of {files} RRD files are left to the journal, for want of time or \
                 of a file that takes them"
            );
        } else {
            log::error!(
                "{samples} values of {files} RRD files are lost, for want of time or of a file that \
                 takes them; a journal_dir would keep them"
            );
        }
    }

    fn count(&self, writer: &Writer) {
        use std::sync::atomic::Ordering::Relaxed;
        let counters = writer.counters();
        counters.held.store(self.cache.samples(), Relaxed);
        counters
            .held_bytes
            .store(self.cache.bytes() as u64, Relaxed);
        if let Some(journal) = &self.journal {
            counters
                .journal_bytes
                .store(journal.written_bytes(), Relaxed);
        }
    }
}

/// The shortest interval of these sources, in seconds, and no more than it is by default.
fn sync_secs(sources: &[SourceConfig]) -> u32 {
    let shortest = sources.iter().map(|source| source.interval.as_secs()).min();
    u32::try_from(shortest.unwrap_or(1)).map_or(SYNC_SECS, |secs| secs.clamp(1, SYNC_SECS))
}

/// How long samples wait by that configuration.
fn delay(config: &RrdConfig) -> Delay {
    let secs = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX / 4);
    let timeout = secs(config.write_timeout);
    let jitter = config.write_jitter.map_or(timeout / 2, secs);
    let (timeout_secs, jitter_secs) = match secs(config.flush_interval) {
        0 => (timeout, jitter),
        most => (timeout.min(most), jitter.min(most.saturating_sub(timeout))),
    };
    Delay {
        timeout_secs,
        jitter_secs,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tempfile::TempDir;

    use super::*;
    use crate::file::samples::Kind;

    const T0: u32 = 1_700_000_000;
    const SPEC: FileSpec = FileSpec {
        step_secs: 15,
        kind: Kind::Gauge,
        with_num: false,
    };

    struct Rig {
        later: Later,
        writer: Writer,
    }

    impl Rig {
        /// As at a start.
        fn new(folder: &Path) -> Rig {
            let mut config = Config::new("test");
            config.rrd.rootdir = folder.join("rrds");
            config.rrd.rras = vec!["RRA:AVERAGE:0.5:1:100".into()];
            config.rrd.journal_dir = Some(folder.join("journal"));
            config.rrd.write_timeout = Duration::from_secs(300);
            let mut writer = Writer::new(&config, Arc::default());
            let mut later = Later::new(&config).unwrap();
            later.open(&mut writer);
            Rig { later, writer }
        }

        fn put(&mut self, name: &str, time: u32) -> FileId {
            let id = self.later.use_file("c/h", name, SPEC);
            self.later.put(id, SPEC, time, b"1", &mut self.writer);
            id
        }

        fn commit(&mut self, now: u32) {
            self.later.now = now;
            self.later.journal.as_mut().unwrap().commit(now);
        }
    }

    #[test]
    fn what_is_forgotten_in_one_segment_does_not_cost_those_after_it() {
        let folder = TempDir::new().unwrap();
        let mut rig = Rig::new(folder.path());
        rig.put("m", T0);
        rig.later.forget("c/h", "m", &rig.writer);
        rig.commit(0);
        rig.put("m", T0 + 15);
        rig.put("n", T0 + 15);
        // The next segment begins.
        rig.commit(300);
        rig.put("m", T0 + 30);
        rig.commit(301);
        assert!(rig.later.journal_segments() > 1);
        // As a kill does: nothing is written or removed any more.
        drop(rig);
        let mut rig = Rig::new(folder.path());
        assert_eq!(
            rig.later.waiting_values("c/h", "m"),
            [format!("{}:1", T0 + 15), format!("{}:1", T0 + 30)]
        );
        assert_eq!(rig.later.waiting_values("c/h", "n").len(), 1);
    }

    #[test]
    fn values_wait_for_a_file_that_cannot_be_written_for_a_while() {
        let folder = TempDir::new().unwrap();
        let mut rig = Rig::new(folder.path());
        let in_the_way = folder.path().join("rrds");
        fs::write(&in_the_way, "no folder").unwrap();
        let id = rig.put("m", T0);
        rig.put("m", T0 + 15);
        rig.later.now = 450;
        assert!(rig.later.write_one(&mut rig.writer));
        let status = rig.writer.counters().status();
        assert_eq!((status.broken, status.failed), (1, 0));
        fs::remove_file(&in_the_way).unwrap();
        rig.put("m", T0 + 30);
        rig.later.now += RETRY_SECS;
        assert!(rig.later.write_one(&mut rig.writer), "it comes again");
        let status = rig.writer.counters().status();
        assert_eq!((status.written, status.broken, status.failed), (3, 0, 0));

        // A file that never takes them does not keep them for ever.
        fs::remove_dir_all(&in_the_way).unwrap();
        fs::write(&in_the_way, "no folder").unwrap();
        rig.put("m", T0 + 45);
        for _ in 0..RETRIES {
            assert_eq!(rig.later.write(id, &mut rig.writer), 0);
        }
        assert_eq!(rig.later.write(id, &mut rig.writer), 1);
        assert_eq!(rig.writer.counters().status().failed, 1);
        assert_eq!(rig.later.waiting_files(), 0);
    }

    #[test]
    fn a_file_that_is_none_costs_its_values_at_once() {
        let folder = TempDir::new().unwrap();
        let mut rig = Rig::new(folder.path());
        fs::create_dir_all(folder.path().join("rrds/c/h")).unwrap();
        fs::write(folder.path().join("rrds/c/h/m.rrd"), "something else").unwrap();
        let id = rig.put("m", T0);
        assert_eq!(rig.later.write(id, &mut rig.writer), 1);
        assert_eq!(rig.writer.counters().status().failed, 1);
    }
}
