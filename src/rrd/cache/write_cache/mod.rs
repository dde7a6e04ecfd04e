//! The write cache: holds samples, notes them in the journal, and has them written in time.
//!
//! Callers decide which samples there are, and the writer how they get into a file. No clock: callers
//! pass the time in.

mod recovery;

use std::collections::{BTreeSet, VecDeque};
use std::ffi::CStr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cache::files::{Delay, Held, HeldFiles, Target};
use crate::cache::journaled::{JournaledFiles, Origin, Verdict};
use crate::cache::rrd_files::RrdFiles;
use crate::file::FileSpec;
use crate::file::samples::Samples;
use crate::journal::FileId;
use crate::journal::packed::{pack, unpack};
use crate::journal::{Disk, FolderDisk, Journal, Pace};
use crate::paths::PathBuffer;
use crate::writer::counters::{RrdCounters, count};
use gmetad_config::{Config, RrdConfig};
use gmetad_core::source::SourceConfig;
use recovery::Attempts;

/// Time spent on writing files before updates have their turn.
const STEP: Duration = Duration::from_millis(20);

/// Time until the next step if there is nothing to do at once.
const IDLE: Duration = Duration::from_secs(1);

/// Most files created in a second. After a first start a million may be missing, and creating one
/// costs as much as writing to several.
const CREATIONS_A_SECOND: u64 = 4000;

/// Longest time between two syncs of the journal.
const SYNC_SECS: u32 = 15;

/// Pause before a file that did not take its samples is tried again, and how often it is tried. There
/// is a limit, as its samples take memory and keep the journal from being shortened.
const RETRY_SECS: u32 = 60;
const RETRIES: u8 = 10;

/// Time spent on writing at the end. The loop waits for ten seconds in all.
const CLOSE_WITHIN: Duration = Duration::from_secs(8);

/// Youngest age of a journal segment at which the next is begun.
const SEGMENT_MIN_SECS: u32 = 10;

/// Held samples, their journal, and what is to be done when.
#[derive(Debug)]
pub(crate) struct WriteCache<D = FolderDisk> {
    pub(super) held: JournaledFiles<D>,
    journal_dir: Option<PathBuf>,
    /// Whether a journal was to be opened, however that went.
    wants_journal: bool,
    attempts: Attempts,
    /// Folder and name of files whose samples were forgotten while the journal could not be opened: what
    /// it has of them is forgotten as well.
    forgotten_unread: BTreeSet<(Box<str>, Box<str>)>,
    pub(super) pace: Pace,
    /// Whether samples of updates are held. If not, only the journal and the socket bring samples
    /// here, and they are written at once.
    holds: bool,
    delay: Delay,
    paths: PathBuffer,
    samples: Samples,
    /// The value that is being put.
    packed: Vec<u8>,
    started: Instant,
    /// Whole seconds since the start, as of the last time that was told.
    now: u32,
    /// Files that had been created when this second began.
    created_before: u64,
    /// Permission bits of new RRD files.
    mode: u32,
    /// Files left to write of those that `flush_all` was for.
    to_flush: u64,
    /// Files that may be missing. They are created long before they are written: programs that draw
    /// graphs look for a file before they ask for its held samples.
    unseen: VecDeque<FileId>,
}

impl<D: Disk> WriteCache<D> {
    /// `None` if nothing is ever held: it is not configured, or an rrdcached writes the files.
    pub(crate) fn new(config: &Config, now: Instant) -> Option<WriteCache<D>> {
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
        Some(WriteCache {
            held: JournaledFiles::new(HeldFiles::new(delay, config.cache_limit_bytes)),
            journal_dir: config.journal_dir.clone(),
            wants_journal: false,
            attempts: Attempts::default(),
            forgotten_unread: BTreeSet::new(),
            pace: Pace::new(delay.timeout_secs.max(SEGMENT_MIN_SECS), sync_secs(sources)),
            holds,
            delay,
            paths: PathBuffer::new(&config.rootdir),
            samples: Samples::default(),
            packed: Vec::new(),
            started: now,
            now: 0,
            created_before: 0,
            mode: 0o666 & !umask,
            to_flush: 0,
            unseen: VecDeque::new(),
        })
    }

    /// The longest that a sample is held, unless its file cannot be written.
    pub(crate) fn longest_wait(&self) -> Duration {
        Duration::from_secs(self.delay.longest_secs())
    }

    /// Whether samples of updates are held at all.
    pub(crate) fn holds(&self) -> bool {
        self.holds
    }

    /// The file of that name in that folder below the root, used until it is released.
    pub(crate) fn use_file(&mut self, folder: &str, name: &str, spec: FileSpec) -> FileId {
        self.held.use_file(folder, name, spec)
    }

    /// Ends the use of a file. What it holds is written when it is due.
    pub(crate) fn release(&mut self, id: FileId, files: &impl RrdFiles) {
        if let Some(record) = self.held.release(id) {
            files.forget(record);
        }
    }

    fn tidy(&mut self, id: FileId, files: &impl RrdFiles) {
        if let Some(record) = self.held.tidy(id) {
            files.forget(record);
        }
    }

    /// Time of a file's newest sample, held or written, as far as it is known here.
    pub(crate) fn newest(&self, folder: &str, name: &str) -> Option<u32> {
        let id = self.held.files().find(folder, name)?;
        self.held.files().newest(id)
    }

    /// Whether samples of a file are held.
    pub(crate) fn has_waiting(&self, folder: &str, name: &str) -> bool {
        let files = self.held.files();
        files
            .find(folder, name)
            .is_some_and(|id| files.count(id) > 0)
    }

    /// Whether there may be a journal that was not read.
    pub(crate) fn lacks_its_journal(&self) -> bool {
        self.wants_journal && self.held.journal().is_none()
    }

    /// A file's samples that are held, as text.
    pub(crate) fn waiting_values(&mut self, folder: &str, name: &str) -> Vec<String> {
        let Some(id) = self.held.files().find(folder, name) else {
            return Vec::new();
        };
        self.samples.clear();
        self.held.read(id, &mut self.samples);
        self.samples.with(|all| {
            let texts = all.iter().map(|it| it.to_string_lossy().into_owned());
            texts.collect()
        })
    }

    /// Copies a file's samples that are held, oldest first, after those that `samples` has.
    pub(crate) fn read_waiting(&mut self, folder: &str, name: &str, samples: &mut Samples) {
        if let Some(id) = self.held.files().find(folder, name) {
            self.held.read(id, samples);
        }
    }

    /// Files with samples that are held.
    pub(crate) fn waiting_files(&self) -> u64 {
        self.held.files().waiting_files()
    }

    /// Bytes written to the journal since the start.
    pub(crate) fn journal_bytes(&self) -> u64 {
        self.held.journal().map_or(0, Journal::written_bytes)
    }

    /// Number of the newest journal segment.
    pub(crate) fn journal_segments(&self) -> u64 {
        self.held.journal().map_or(0, |it| it.current().into())
    }

    /// Drops a file's held samples. Returns whether there were any.
    pub(crate) fn forget(&mut self, folder: &str, name: &str, files: &impl RrdFiles) -> bool {
        if self.lacks_its_journal() {
            self.forgotten_unread.insert((folder.into(), name.into()));
        }
        self.forget_from(folder, name, Origin::Update, files)
    }

    fn forget_from(
        &mut self,
        folder: &str,
        name: &str,
        origin: Origin<'_>,
        files: &impl RrdFiles,
    ) -> bool {
        let Some(id) = self.held.files().find(folder, name) else {
            return false;
        };
        let had_some = self.held.forget(id, self.now, origin);
        self.tidy(id, files);
        had_some
    }

    /// Has the next steps write every file that holds samples now.
    pub(crate) fn flush_all(&mut self) {
        self.to_flush = self.held.files().waiting_files();
    }

    /// Writes a file's samples before they are due. Returns how many were dropped then.
    pub(crate) fn flush(&mut self, folder: &str, name: &str, files: &mut impl RrdFiles) -> u32 {
        let Some(id) = self.held.files().find(folder, name) else {
            return 0;
        };
        self.write_and_tidy(id, files)
    }

    /// Holds a sample of a file that nobody may be using. `spec` is for a file that is not known here
    /// and has to be created.
    pub(crate) fn put_by_name(
        &mut self,
        folder: &str,
        name: &str,
        spec: FileSpec,
        sample: (u32, &[u8]),
        files: &mut impl RrdFiles,
    ) -> Held {
        let id = self.held.find_or_add(folder, name, spec);
        let held = self.put_text(id, sample, files);
        self.tidy(id, files);
        held
    }

    /// Holds a sample of a file: its time and the value's text, as the writer would take it.
    pub(crate) fn put(
        &mut self,
        id: FileId,
        spec: FileSpec,
        sample: (u32, &[u8]),
        files: &mut impl RrdFiles,
    ) -> Held {
        self.held.set_spec(id, spec);
        self.put_text(id, sample, files)
    }

    fn put_text(&mut self, id: FileId, sample: (u32, &[u8]), files: &mut impl RrdFiles) -> Held {
        let (time, value) = sample;
        self.packed.clear();
        if !pack(value, &mut self.packed) {
            // Samples have checked the text, so this does not happen.
            count(&files.counters().failed, 1);
            return Held::Stale;
        }
        let held = self.hold(id, time, Origin::Update, files);
        if held != Held::Stale {
            return held;
        }
        if self.is_removed(id, time, files) {
            self.held.clear_last(id);
            return self.hold(id, time, Origin::Update, files);
        }
        self.refuse(id, time, files);
        Held::Stale
    }

    /// Whether a file whose record has newer samples than that time was removed from the disk.
    fn is_removed(&mut self, id: FileId, time: u32, files: &impl RrdFiles) -> bool {
        let held = self.held.files();
        held.count(id) == 0 && held.record(id).is_after(time) && !files.exists(self.path(id))
    }

    /// Counts a sample that is not later than the newest of its file.
    fn refuse(&mut self, id: FileId, time: u32, files: &impl RrdFiles) {
        match self.held.files().newest(id) {
            Some(newest) if time < newest => files.refuse(self.path(id), newest, 1),
            _ => count(&files.counters().repeated, 1),
        }
    }

    fn path(&mut self, id: FileId) -> &CStr {
        let held = self.held.files();
        path(&mut self.paths, held.folder(id), held.name(id))
    }

    /// Holds the packed value. If there is no room, writes the file to make some.
    #[inline]
    fn hold(
        &mut self,
        id: FileId,
        time: u32,
        origin: Origin<'_>,
        files: &mut impl RrdFiles,
    ) -> Held {
        let mut held = self.held.put(id, time, &self.packed, self.now, origin);
        if held == Held::Full {
            count(&files.counters().forced, 1);
            self.write(id, Keep::Never, files);
            held = self.held.put(id, time, &self.packed, self.now, origin);
        }
        match held {
            Held::First => {
                if self.held.is_first_look(id) {
                    self.unseen.push_back(id);
                }
            }
            Held::More | Held::Stale => {}
            Held::Full => self.write_through(id, time, files),
        }
        held
    }

    /// Writes the packed value at once, as there is no room to hold it.
    fn write_through(&mut self, id: FileId, time: u32, files: &mut impl RrdFiles) {
        let mut rest = self.packed.as_slice();
        self.samples.clear();
        self.samples
            .push_packed(time, |text| unpack(&mut rest, text));
        let target = self.held.target(id);
        let path = path(&mut self.paths, target.folder, target.name);
        files.write(path, target.record, target.spec, &mut self.samples);
    }

    /// Writes a file's samples, and drops the file if it has no user. Returns how many samples were
    /// dropped.
    fn write_and_tidy(&mut self, id: FileId, files: &mut impl RrdFiles) -> u32 {
        let written = self.write(id, Keep::Some, files);
        self.tidy(id, files);
        written
    }

    /// Writes a file's samples, if it holds any. Returns how many were dropped then.
    fn write(&mut self, id: FileId, keep: Keep, files: &mut impl RrdFiles) -> u32 {
        let has_room = !self.held.files().is_crowded();
        let retry_at = self.now + RETRY_SECS;
        let paths = &mut self.paths;
        let write = |target: Target<'_>, samples: &mut Samples| {
            let Target {
                folder,
                name,
                spec,
                record,
                tries,
            } = target;
            let path = path(paths, folder, name);
            if keep == Keep::Never || tries >= RETRIES || !has_room {
                files.write(path, record, spec, samples);
            } else if !files.write_or_keep(path, record, spec, samples) {
                return Verdict::RetryAt(retry_at);
            }
            Verdict::Done
        };
        self.held.write(id, self.now, &mut self.samples, write)
    }

    /// Tells the cache the time.
    pub(crate) fn tell_time(&mut self, now: Instant, files: &impl RrdFiles) {
        let now = now.saturating_duration_since(self.started).as_secs() as u32;
        if now != self.now {
            self.now = now;
            self.created_before = created(files);
        }
    }

    /// Commits the journal and writes what is due, for [`STEP`] by that clock. Returns when to come
    /// again; `None` if that is not needed before there are new samples.
    pub(crate) fn step(
        &mut self,
        files: &mut impl RrdFiles,
        clock: impl Fn() -> Instant,
    ) -> Option<Duration> {
        let begun = clock();
        self.tell_time(begun, files);
        self.held.commit(self.now);
        let mut more = true;
        while more && clock().saturating_duration_since(begun) < STEP {
            more = self.write_one(files) || self.make_one(files);
        }
        self.publish(files.counters());
        let is_dirty = self.held.journal().is_some_and(Journal::is_dirty);
        if more {
            Some(Duration::ZERO)
        } else if is_dirty || self.held.files().samples() > 0 || self.lacks_its_journal() {
            Some(IDLE)
        } else {
            None
        }
    }

    /// Writes a file that is due, or if room is short the one that is due next. Returns whether there
    /// may be another.
    fn write_one(&mut self, files: &mut impl RrdFiles) -> bool {
        let mut id = self.held.due(self.now);
        if id.is_none() && self.to_flush > 0 {
            self.to_flush -= 1;
            id = self.held.soonest();
        }
        let forced = id.is_none() && self.held.files().is_crowded();
        if forced {
            id = self.held.soonest();
        }
        let Some(id) = id else {
            return false;
        };
        if self.must_wait(id, files) {
            self.held.put_off(id, self.now + 1);
            // In a forced write, the file that is due next may be this one again.
            return !forced;
        }
        count(&files.counters().forced, usize::from(forced));
        self.write_and_tidy(id, files);
        true
    }

    /// Creates a file that is missing, without its samples. Returns whether there may be another.
    fn make_one(&mut self, files: &mut impl RrdFiles) -> bool {
        if self.has_created_enough(files) {
            return false;
        }
        let Some(id) = self.unseen.pop_front() else {
            // After a first start, the queue has memory for all files.
            self.unseen = VecDeque::new();
            return false;
        };
        // Otherwise the file has been written, or is gone.
        if self.held.files().count(id) > 0 && self.held.files().record(id).last().is_none() {
            self.samples.clear();
            self.held.read(id, &mut self.samples);
            if self.samples.are_unknown() {
                return true;
            }
            let target = self.held.target(id);
            let path = path(&mut self.paths, target.folder, target.name);
            let first = self.samples.first_time();
            files.make(path, target.record, target.spec, first);
        }
        true
    }

    fn has_created_enough(&self, files: &impl RrdFiles) -> bool {
        created(files) - self.created_before >= CREATIONS_A_SECOND
    }

    /// Whether a file is missing and enough have been created in this second.
    fn must_wait(&mut self, id: FileId, files: &impl RrdFiles) -> bool {
        let is_known = self.held.files().record(id).last().is_some();
        !is_known && self.has_created_enough(files) && !files.exists(self.path(id))
    }

    /// Writes everything that [`CLOSE_WITHIN`] by that clock leaves time for, and closes the journal.
    pub(crate) fn close(&mut self, files: &mut impl RrdFiles, clock: impl Fn() -> Instant) {
        let begun = clock();
        self.tell_time(begun, files);
        let waiting: Vec<FileId> = self.held.files().waiting().collect();
        for id in waiting {
            if clock().saturating_duration_since(begun) >= CLOSE_WITHIN {
                break;
            }
            self.write_and_tidy(id, files);
        }
        let is_journaled = self.held.close(self.now, || files.settle());
        self.publish(files.counters());
        let (samples, waiting) = (
            self.held.files().samples(),
            self.held.files().waiting_files(),
        );
        if samples == 0 {
            return;
        }
        if is_journaled {
            log::warn!(
                "{samples} values of {waiting} RRD files were not written, for want of time or because \
                 the files did not take them; they are in the journal, and the next start writes \
                 them"
            );
        } else {
            log::error!(
                "{samples} values of {waiting} RRD files are lost: there was no time to write them, or \
                 the files did not take them, and no journal has them; set journal_dir to a folder \
                 that can be written to"
            );
        }
    }

    fn publish(&self, counters: &RrdCounters) {
        use std::sync::atomic::Ordering::Relaxed;
        let held = self.held.files();
        counters.held.store(held.samples(), Relaxed);
        counters.held_bytes.store(held.bytes() as u64, Relaxed);
        let is_sound = self.held.journal().is_some_and(Journal::is_sound);
        let fails = self.wants_journal && !is_sound;
        counters.journal_fails.store(fails, Relaxed);
        if let Some(journal) = self.held.journal() {
            counters
                .journal_bytes
                .store(journal.written_bytes(), Relaxed);
        }
    }
}

/// Whether samples that their file does not take are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// For [`RETRIES`] attempts, as long as there is room.
    Some,
    /// No, as their room is needed.
    Never,
}

fn path<'a>(paths: &'a mut PathBuffer, folder: &str, name: &str) -> &'a CStr {
    paths.enter_inside(folder);
    paths.file(name)
}

fn created(files: &impl RrdFiles) -> u64 {
    files
        .counters()
        .created
        .load(std::sync::atomic::Ordering::Relaxed)
}

/// The shortest interval of these sources, in seconds, but not more than [`SYNC_SECS`].
fn sync_secs(sources: &[SourceConfig]) -> u32 {
    let shortest = sources.iter().map(|source| source.interval.as_secs()).min();
    u32::try_from(shortest.unwrap_or(1)).map_or(SYNC_SECS, |secs| secs.clamp(1, SYNC_SECS))
}

/// How long samples are held by that configuration.
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

    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::file::samples::Kind;
    use crate::writer::Writer;

    const T0: u32 = 1_700_000_000;
    const SPEC: FileSpec = FileSpec {
        step_secs: 15,
        kind: Kind::Gauge,
        with_num: false,
    };

    struct Rig {
        cache: WriteCache,
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
            let mut cache = WriteCache::new(&config, Instant::now()).unwrap();
            cache.open(&mut writer);
            Rig { cache, writer }
        }

        fn put(&mut self, name: &str, time: u32) -> FileId {
            let id = self.cache.use_file("c/h", name, SPEC);
            self.cache.put(id, SPEC, (time, b"1"), &mut self.writer);
            id
        }

        fn commit(&mut self, now: u32) {
            self.cache.now = now;
            self.cache.held.commit(now);
        }
    }

    #[test]
    fn what_is_forgotten_in_one_segment_does_not_cost_those_after_it() {
        let folder = TempDir::new().unwrap();
        let mut rig = Rig::new(folder.path());
        rig.put("m", T0);
        rig.cache.forget("c/h", "m", &rig.writer);
        rig.commit(0);
        rig.put("m", T0 + 15);
        rig.put("n", T0 + 15);
        // The next segment begins.
        rig.commit(300);
        rig.put("m", T0 + 30);
        rig.commit(301);
        assert!(rig.cache.journal_segments() > 1);
        // As a kill does: nothing is written or removed any more.
        drop(rig);
        let mut rig = Rig::new(folder.path());
        assert_eq!(
            rig.cache.waiting_values("c/h", "m"),
            [format!("{}:1", T0 + 15), format!("{}:1", T0 + 30)]
        );
        assert_eq!(rig.cache.waiting_values("c/h", "n").len(), 1);
    }

    /// Has a file in its place meanwhile.
    fn take_journal_away(folder: &Path) {
        let journal = folder.join("journal");
        fs::rename(&journal, folder.join("away")).unwrap();
        fs::write(&journal, "no folder").unwrap();
    }

    fn bring_journal_back(folder: &Path) {
        let journal = folder.join("journal");
        fs::remove_file(&journal).unwrap();
        fs::rename(folder.join("away"), &journal).unwrap();
    }

    #[test]
    fn a_journal_that_is_opened_late_is_read_before_what_came_meanwhile() {
        let folder = TempDir::new().unwrap();
        let mut rig = Rig::new(folder.path());
        for name in ["m", "n", "o"] {
            rig.put(name, T0);
        }
        rig.commit(0);
        drop(rig);
        take_journal_away(folder.path());
        let mut rig = Rig::new(folder.path());
        assert!(rig.cache.lacks_its_journal());
        rig.put("m", T0 + 15);
        rig.cache.forget("c/h", "n", &rig.writer);
        let sample = (T0 + 15, b"1".as_slice());
        rig.cache
            .put_by_name("c/h", "p", SPEC, sample, &mut rig.writer);
        // What is written meanwhile is newer than what the journal has, which is lost.
        let sample = (T0 + 20, b"1".as_slice());
        rig.cache
            .put_by_name("c/h", "o", SPEC, sample, &mut rig.writer);
        rig.cache.flush("c/h", "o", &mut rig.writer);
        rig.cache.try_to_open(&mut rig.writer);
        assert!(rig.cache.lacks_its_journal(), "a file is in its way");
        bring_journal_back(folder.path());
        rig.cache.try_to_open(&mut rig.writer);
        assert!(!rig.cache.lacks_its_journal());
        // The same values are there after a kill, when they can only come from the journal.
        for is_killed in [false, true] {
            if is_killed {
                rig.commit(1);
                drop(rig);
                rig = Rig::new(folder.path());
            }
            let all = [format!("{T0}:1"), format!("{}:1", T0 + 15)];
            assert_eq!(rig.cache.waiting_values("c/h", "m"), all);
            assert_eq!(rig.cache.waiting_values("c/h", "p"), all[1..]);
            assert!(rig.cache.waiting_values("c/h", "n").is_empty());
        }
    }

    #[test]
    fn a_journal_that_is_opened_late_stays_until_the_disk_has_what_came_meanwhile() {
        let folder = TempDir::new().unwrap();
        let mut rig = Rig::new(folder.path());
        rig.put("m", T0);
        rig.commit(0);
        drop(rig);
        take_journal_away(folder.path());
        let mut rig = Rig::new(folder.path());
        rig.put("m", T0 + 15);
        rig.cache.flush("c/h", "m", &mut rig.writer);
        bring_journal_back(folder.path());
        rig.cache.try_to_open(&mut rig.writer);
        assert!(
            !rig.cache.has_waiting("c/h", "m"),
            "the file has a newer one"
        );
        let segments = || {
            let entries = fs::read_dir(folder.path().join("journal")).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name());
            let is_segment =
                |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".journal");
            names.filter(is_segment).count()
        };
        rig.commit(59);
        assert_eq!(segments(), 1, "a loss of power would take the newer one");
        rig.commit(60);
        assert_eq!(segments(), 0);
    }

    #[test]
    fn values_wait_for_a_file_that_cannot_be_written_for_a_while() {
        let folder = TempDir::new().unwrap();
        let mut rig = Rig::new(folder.path());
        let in_the_way = folder.path().join("rrds");
        fs::write(&in_the_way, "no folder").unwrap();
        let id = rig.put("m", T0);
        rig.put("m", T0 + 15);
        rig.cache.now = 450;
        assert!(rig.cache.write_one(&mut rig.writer));
        let status = rig.writer.counters().status();
        assert_eq!((status.broken, status.failed), (1, 0));
        fs::remove_file(&in_the_way).unwrap();
        rig.put("m", T0 + 30);
        rig.cache.now += RETRY_SECS;
        assert!(rig.cache.write_one(&mut rig.writer), "it comes again");
        let status = rig.writer.counters().status();
        assert_eq!((status.written, status.broken, status.failed), (3, 0, 0));

        // A file that never takes them does not keep them for ever.
        fs::remove_dir_all(&in_the_way).unwrap();
        fs::write(&in_the_way, "no folder").unwrap();
        rig.put("m", T0 + 45);
        for _ in 0..RETRIES {
            assert_eq!(rig.cache.write(id, Keep::Some, &mut rig.writer), 0);
        }
        assert_eq!(rig.cache.write(id, Keep::Some, &mut rig.writer), 1);
        assert_eq!(rig.writer.counters().status().failed, 1);
        assert_eq!(rig.cache.waiting_files(), 0);
    }

    #[test]
    fn a_file_that_is_none_costs_its_values_at_once() {
        let folder = TempDir::new().unwrap();
        let mut rig = Rig::new(folder.path());
        fs::create_dir_all(folder.path().join("rrds/c/h")).unwrap();
        fs::write(folder.path().join("rrds/c/h/m.rrd"), "something else").unwrap();
        let id = rig.put("m", T0);
        assert_eq!(rig.cache.write(id, Keep::Some, &mut rig.writer), 1);
        assert_eq!(rig.writer.counters().status().failed, 1);
    }
}
