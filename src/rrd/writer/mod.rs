//! Samples into files: updates what is there, creates what is missing, lives with what is broken.
//!
//! Does not know where a path comes from or which values are worth keeping.

pub(crate) mod trouble;

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::file::librrd;
use crate::file::plain;
use crate::file::room;
use crate::file::samples::{Kind, Samples};
use crate::file::sound::{self, Unsound};
use crate::record::FileRecord;
use crate::rrdcached::client::RrdcachedClient;
use crate::tree::behind::Refusals;
use crate::writer::trouble::{Complaints, Failure};
use gmetad_config::Config;
use gmetad_core::model::Mono;
use gmetad_core::status::RrdStatus;

/// A value is unknown when nothing came for this many steps.
const HEARTBEAT_STEPS: u32 = 8;

/// What librrd gives to every file it creates, whatever the umask.
const LIBRRD_MODE: u32 = 0o644;

/// Tries at a file that someone else has locked, and the pause before each but the first.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Time for creating files in one update; what is missing then comes with the next. Files that are
/// written wait for it, and a heartbeat is four times as long.
const CREATE_WITHIN: Duration = Duration::from_secs(30);

/// What was done to files since the start.
#[derive(Debug, Default)]
pub struct RrdCounters {
    /// Samples written.
    pub(crate) written: AtomicU64,
    /// Files created.
    pub(crate) created: AtomicU64,
    /// Samples of a time that their file has already.
    pub(crate) stale: AtomicU64,
    /// Samples that their file has newer ones than.
    pub(crate) refused: AtomicU64,
    /// Nodes some of whose files have newer values than come, now.
    pub(crate) refusing: AtomicU64,
    /// Samples lost because their file or its folder would not take them.
    pub(crate) failed: AtomicU64,
    /// Files that did not take their last sample.
    pub(crate) broken: AtomicU64,
    /// Samples that wait in the cache, now.
    pub(crate) held: AtomicU64,
    /// Bytes of memory that the cache takes, now.
    pub(crate) held_bytes: AtomicU64,
    /// Bytes written to the journal.
    pub(crate) journal_bytes: AtomicU64,
    /// Calls that wrote to a file, however many samples each.
    pub(crate) calls: AtomicU64,
    /// Of those, for want of room in the cache.
    pub(crate) forced: AtomicU64,
}

impl RrdCounters {
    /// All of them.
    pub fn status(&self) -> RrdStatus {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RrdStatus {
            written: read(&self.written),
            created: read(&self.created),
            repeated: read(&self.stale),
            refused: read(&self.refused),
            refusing: read(&self.refusing),
            failed: read(&self.failed),
            broken: read(&self.broken),
            held: read(&self.held),
            held_bytes: read(&self.held_bytes),
            journal_bytes: read(&self.journal_bytes),
            calls: read(&self.calls),
            forced: read(&self.forced),
        }
    }
}

pub(crate) fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

/// What a file is to be, if it is to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileSpec {
    /// Seconds between two values.
    pub(crate) step_secs: u32,
    /// What is stored of a value or a sum.
    pub(crate) kind: Kind,
    /// Whether there is a second data source, for how many were summed.
    pub(crate) with_num: bool,
}

/// Writes through librrd.
#[derive(Debug)]
pub(crate) struct Writer {
    archives: Vec<CString>,
    /// Of the files that are created.
    mode: u32,
    counters: Arc<RrdCounters>,
    complaints: Complaints,
    /// What files refuse as they have newer values.
    pub(crate) refusals: Refusals,
    /// What is left of this update's time for creating files, and whether it counts.
    left_for_creating: Duration,
    creates_within: bool,
    /// The folder that took no new file in this update: its other files are not tried.
    refusing: Option<(PathBuf, i32)>,
    /// If one is to write the files, it is given the updates.
    pub(crate) rrdcached: Option<RrdcachedClient>,
}

/// The quick way where the file is plain; librrd for the rest, and to say what is wrong.
fn write_samples(path: &CStr, samples: &Samples) -> Result<(), Failure> {
    let quick = plain::update(path, samples).map_err(|cause| Failure::System {
        what: "it cannot be written to",
        cause,
    })?;
    if quick {
        return Ok(());
    }
    let file = sound::examine(path)?.without_holes()?;
    Ok(samples.with(|all| librrd::update(file, all))?)
}

/// When the file was last updated, in seconds since the epoch.
fn last_update(path: &CStr) -> Result<i64, Failure> {
    Ok(librrd::last_update(sound::examine(path)?)?)
}

impl Writer {
    pub(crate) fn new(config: &Config, counters: Arc<RrdCounters>) -> Writer {
        let refusals = Refusals::new(&config.rrd.rootdir);
        Writer {
            archives: config.rrd.rras.iter().map(|rra| c_string(rra)).collect(),
            mode: 0o666 & !config.umask,
            rrdcached: RrdcachedClient::new(&config.exports, &counters, &refusals),
            refusals,
            counters,
            complaints: Complaints::default(),
            left_for_creating: CREATE_WITHIN,
            creates_within: false,
            refusing: None,
        }
    }

    pub(crate) fn counters(&self) -> &RrdCounters {
        &self.counters
    }

    /// Tells the writer the time, for its complaints, and that an update begins.
    pub(crate) fn begin(&mut self, now: Mono) {
        self.complaints.begin(now);
        self.left_for_creating = CREATE_WITHIN;
        self.refusing = None;
    }

    /// Counts a file as gone whose record is dropped.
    pub(crate) fn forget(&self, record: FileRecord) {
        if record.is_broken() {
            self.counters.broken.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// An update is over, or a step of writing what waits: says what has to be said.
    pub(crate) fn tell(&mut self) {
        let broken = self.counters.broken.load(Ordering::Relaxed);
        self.complaints.tell(broken);
    }

    /// Creates a file that is then removed, to find out whether the folder takes files, and whether
    /// librrd takes the archives' definitions: what it says of them, if not.
    pub(crate) fn probe(&mut self, path: &CStr) -> Result<Result<(), Failure>, String> {
        let spec = FileSpec {
            step_secs: 15,
            kind: Kind::Gauge,
            with_num: true,
        };
        let created = self.create_now(path, spec, 1_000_000_001);
        if created.is_ok() {
            self.counters.created.fetch_sub(1, Ordering::Relaxed);
        }
        // What was not created cannot be removed either.
        let _ = fs::remove_file(as_path(path));
        match created {
            Err(Failure::NotCreated(error)) => Err(error.to_string()),
            created => Ok(created),
        }
    }

    /// Writes an update's sample as `write` does, unless the file would have to be created and the
    /// update has spent its time on that.
    pub(crate) fn write_of_update(
        &mut self,
        path: &CStr,
        record: &mut FileRecord,
        spec: FileSpec,
        samples: &mut Samples,
    ) {
        self.creates_within = true;
        self.write(path, record, spec, samples);
        self.creates_within = false;
    }

    /// Writes samples, oldest first, into one file. What cannot be written is counted, and told
    /// once a file.
    pub(crate) fn write(
        &mut self,
        path: &CStr,
        record: &mut FileRecord,
        spec: FileSpec,
        samples: &mut Samples,
    ) {
        if self.rrdcached.is_some() {
            self.give(path, record, spec, samples);
        } else if let Err(failure) = self.try_to_write(path, record, spec, samples) {
            self.broke(path, record, samples.len(), &failure);
        }
    }

    /// The same with samples that need not be lost yet: whether they are done with. If not, the
    /// file may take them later.
    pub(crate) fn write_or_keep(
        &mut self,
        path: &CStr,
        record: &mut FileRecord,
        spec: FileSpec,
        samples: &mut Samples,
    ) -> bool {
        match self.try_to_write(path, record, spec, samples) {
            Err(failure) if failure.may_pass() => {
                self.broke(path, record, 0, &failure);
                false
            }
            Err(failure) => {
                self.broke(path, record, samples.len(), &failure);
                true
            }
            Ok(()) => true,
        }
    }

    /// What is left of the samples after a failure is what was not written.
    fn try_to_write(
        &mut self,
        path: &CStr,
        record: &mut FileRecord,
        spec: FileSpec,
        samples: &mut Samples,
    ) -> Result<(), Failure> {
        if record.last().is_none() && samples.len() > 1 {
            // Worth a look, as a call that stops in the middle does not say where it began.
            record.set_last(last_update(path).map_or(0, clamped));
        }
        self.drop_old(path, record, samples);
        if let Some(kind) = record.kind() {
            self.fit(samples, kind);
        }
        if samples.is_empty() {
            return Ok(());
        }
        // A file that was locked the last time as well is not waited for again.
        let tries = if record.is_broken() { 1 } else { LOCK_TRIES };
        let written = match update(path, samples, tries) {
            Ok(()) => samples.len(),
            Err(failure) => self.mend(path, record, spec, samples, failure)?,
        };
        count(&self.counters.calls, 1);
        count(&self.counters.written, written);
        record.wrote(samples.last_time());
        self.mended(record);
        Ok(())
    }

    /// Drops the samples that a file has already, or will not have as all that it has is newer; how
    /// many. A file that was removed has none.
    fn drop_old(&self, path: &CStr, record: &mut FileRecord, samples: &mut Samples) -> usize {
        let newest = samples.last_time();
        if record.is_after(newest) && !exists(path) {
            record.clear_last();
        }
        let Some(last) = record.last() else {
            return 0;
        };
        let dropped = samples.drop_through(last.into());
        if newest < last {
            self.refuse(path, last, dropped);
        } else {
            count(&self.counters.stale, dropped);
        }
        dropped
    }

    /// Counts samples that a file refuses, as it has one of `newest`.
    pub(crate) fn refuse(&self, path: &CStr, newest: u32, samples: usize) {
        count(&self.counters.refused, samples);
        self.refusals.note(path.to_bytes(), newest);
    }

    /// Makes values what a file of that kind takes; what it never will is counted.
    fn fit(&self, samples: &mut Samples, kind: Kind) {
        count(&self.counters.failed, samples.fit(kind));
    }

    /// Creates a file that is missing, for a first sample of that time, which comes later.
    pub(crate) fn make(
        &mut self,
        path: &CStr,
        record: &mut FileRecord,
        spec: FileSpec,
        first: u32,
    ) {
        if exists(path) {
            return;
        }
        match self.create(path, spec, first) {
            Ok(()) => {
                record.created(first, spec.kind);
            }
            Err(failure) => self.broke(path, record, 0, &failure),
        }
    }

    /// A file took its samples.
    fn mended(&mut self, record: &mut FileRecord) {
        if record.is_broken() {
            record.set_broken(false);
            self.counters.broken.fetch_sub(1, Ordering::Relaxed);
            self.complaints.mended();
        }
    }

    /// A file did not take its samples, and that many are lost.
    fn broke(&mut self, path: &CStr, record: &mut FileRecord, lost: usize, failure: &Failure) {
        count(&self.counters.failed, lost);
        if matches!(failure, Failure::Postponed) {
            self.complaints.postpone(lost);
        } else if !record.is_broken() {
            record.set_broken(true);
            count(&self.counters.broken, 1);
            self.complaints.failed(path, failure, lost > 0);
        }
    }

    /// Gives samples to the rrdcached, for a file that is there or is created now.
    fn give(
        &mut self,
        path: &CStr,
        record: &mut FileRecord,
        spec: FileSpec,
        samples: &mut Samples,
    ) {
        let missed = self
            .rrdcached
            .as_ref()
            .is_some_and(|it| it.has_missed(path));
        if missed {
            // What was sent last is in no file.
            record.clear_last();
        }
        if record.is_after(samples.last_time()) && !exists(path) {
            record.clear_last();
        }
        let known = record.last().is_some();
        if !known && !exists(path) {
            self.fit(samples, spec.kind);
            if samples.are_unknown() {
                return;
            }
            if let Err(failure) = self.create(path, spec, samples.first_time()) {
                self.broke(path, record, samples.len(), &failure);
                return;
            }
            record.set_kind(Some(spec.kind));
        } else if !known {
            if let Some(damage) = damage(path) {
                // It would end rrdcached as well.
                self.broke(path, record, samples.len(), &damage.into());
                return;
            }
            // rrdcached takes any text as a value, and librrd then refuses it, out of our sight.
            record.set_kind(kind_of(path));
        }
        self.drop_old(path, record, samples);
        if let Some(kind) = record.kind() {
            self.fit(samples, kind);
        }
        if samples.is_empty() {
            return;
        }
        if let Some(rrdcached) = &mut self.rrdcached {
            count(&self.counters.failed, rrdcached.put(path, samples));
        }
        record.wrote(samples.last_time());
        self.mended(record);
    }

    /// Finds out why a file was not updated, and does what can be done: creates it, leaves out
    /// what it has already or will never take, gives it what its kind takes. How many samples were
    /// written.
    fn mend(
        &mut self,
        path: &CStr,
        record: &mut FileRecord,
        spec: FileSpec,
        samples: &mut Samples,
        mut failure: Failure,
    ) -> Result<usize, Failure> {
        let mut written = 0;
        let mut may_create = true;
        let mut may_fit = true;
        loop {
            if may_create && !exists(path) {
                may_create = false;
                self.fit(samples, spec.kind);
                if samples.are_unknown() {
                    // There is nothing to begin a file with.
                    samples.clear();
                    return Ok(written);
                }
                self.create(path, spec, samples.first_time())?;
                record.created(samples.first_time(), spec.kind);
            } else {
                // If even this fails, the file is away or no use at all, and the first reason stands.
                let Ok(last) = last_update(path) else {
                    return Err(hindrance(path, failure));
                };
                // A call stops at the first sample it will not take; those before it are in, unless
                // someone else has written newer ones.
                let was_known = record.last().is_some();
                record.set_last(clamped(last));
                let done = if was_known && !record.is_after(samples.last_time()) {
                    let done = samples.drop_through(last);
                    written += done;
                    done
                } else {
                    self.drop_old(path, record, samples)
                };
                let kind = if done == 0 && may_fit {
                    kind_of(path)
                } else {
                    None
                };
                if let Some(kind) = kind
                    && record.kind() != Some(kind)
                {
                    may_fit = false;
                    record.set_kind(Some(kind));
                    self.fit(samples, kind);
                } else if done == 0 {
                    failure = hindrance(path, failure);
                    // If nothing hinders the file, it is the sample.
                    if samples.len() == 1 || failure.may_pass() {
                        return Err(failure);
                    }
                    samples.drop_first();
                    count(&self.counters.failed, 1);
                }
            }
            if samples.is_empty() {
                return Ok(written);
            }
            match update(path, samples, 1) {
                Ok(()) => return Ok(written + samples.len()),
                Err(again) => failure = again,
            }
        }
    }

    /// Creates a file whose first sample is to be of that time, and the folders it is in.
    fn create(&mut self, path: &CStr, spec: FileSpec, first: u32) -> Result<(), Failure> {
        if self.creates_within && self.left_for_creating.is_zero() {
            return Err(Failure::Postponed);
        }
        let begun = Instant::now();
        let created = self.create_now(path, spec, first);
        self.left_for_creating = self.left_for_creating.saturating_sub(begun.elapsed());
        created
    }

    fn create_now(&mut self, path: &CStr, spec: FileSpec, first: u32) -> Result<(), Failure> {
        let file = as_path(path);
        let folder = file.parent().unwrap_or(Path::new("/"));
        if let Some((refusing, cause)) = &self.refusing
            && refusing == folder
        {
            let cause = io::Error::from_raw_os_error(*cause);
            return Err(Failure::of_folder(folder, cause));
        }
        if !folder.is_dir() {
            fs::create_dir_all(folder).map_err(|cause| self.refused(folder, cause))?;
        }
        let start = i64::from(first) - 1;
        let definitions = self.definitions(spec);
        if let Err(error) = librrd::create(path, spec.step_secs, start, &definitions) {
            // librrd does not say why, or what was the reason of something else.
            return Err(match room::refusal(folder, room::needed(&definitions)) {
                Some(cause) => self.refused(folder, cause),
                None => Failure::NotCreated(error),
            });
        }
        if self.mode != LIBRRD_MODE {
            let mode = fs::Permissions::from_mode(self.mode);
            fs::set_permissions(file, mode).map_err(|cause| Failure::System {
                what: "its permissions cannot be set",
                cause,
            })?;
        }
        count(&self.counters.created, 1);
        Ok(())
    }

    /// A folder took no new file.
    fn refused(&mut self, folder: &Path, cause: io::Error) -> Failure {
        self.refusing = cause.raw_os_error().map(|cause| (folder.into(), cause));
        Failure::of_folder(folder, cause)
    }

    fn definitions(&self, spec: FileSpec) -> Vec<CString> {
        let source = |name: &str, kind: Kind| {
            let heartbeat = spec.step_secs.saturating_mul(HEARTBEAT_STEPS);
            c_string(&format!("DS:{name}:{}:{heartbeat}:U:U", kind.name()))
        };
        let mut definitions = vec![source("sum", spec.kind)];
        if spec.with_num {
            definitions.push(source("num", Kind::Gauge));
        }
        definitions.extend_from_slice(&self.archives);
        definitions
    }
}

fn clamped(time: i64) -> u32 {
    u32::try_from(time.max(0)).unwrap_or(u32::MAX)
}

fn c_string(text: &str) -> CString {
    let bytes: Vec<u8> = text.bytes().filter(|byte| *byte != 0).collect();
    CString::new(bytes).unwrap_or_default()
}

pub(crate) fn as_path(path: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(path.to_bytes()))
}

/// Whether there is anything of that name; what cannot be told counts as there.
pub(crate) fn exists(path: &CStr) -> bool {
    !matches!(fs::symlink_metadata(as_path(path)), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Writes samples in one call, in as many tries as given while someone else has the file locked.
///
/// Whoever draws a graph locks each file for the moment of reading it, and librrd does not wait.
fn update(path: &CStr, samples: &Samples, tries: u32) -> Result<(), Failure> {
    let mut left = tries;
    loop {
        match write_samples(path, samples) {
            Err(failure) if failure.is_lock() && left > 1 => {
                left -= 1;
                thread::sleep(LOCK_PAUSE);
            }
            result => return result,
        }
    }
}

/// Why the file takes nothing at all now, if it does not; else what went wrong before.
fn hindrance(path: &CStr, failure: Failure) -> Failure {
    if !matches!(failure, Failure::Librrd(_)) || failure.is_lock() {
        return failure;
    }
    match fs::OpenOptions::new().write(true).open(as_path(path)) {
        Ok(_) => failure,
        Err(cause) => Failure::System {
            what: "it cannot be opened for writing",
            cause,
        },
    }
}

/// What is wrong with the file itself, if anything is.
fn damage(path: &CStr) -> Option<Unsound> {
    let unsound = sound::examine(path).err()?;
    (!matches!(unsound, Unsound::System { .. })).then_some(unsound)
}

/// What the file's first data source stores of a value, where that can be told.
fn kind_of(path: &CStr) -> Option<Kind> {
    let sources = librrd::data_sources(sound::examine(path).ok()?).ok()?;
    Kind::named(&sources.first()?.kind)
}

#[cfg(test)]
mod tests {
    use nix::fcntl::{FcntlArg, fcntl};
    use std::os::unix::ffi::OsStrExt;
    use tempfile::TempDir;

    use super::*;

    const T0: u32 = 1_700_000_000;
    const GAUGE: FileSpec = FileSpec {
        step_secs: 10,
        kind: Kind::Gauge,
        with_num: false,
    };

    struct Rig {
        _folder: TempDir,
        path: CString,
        writer: Writer,
        record: FileRecord,
    }

    impl Rig {
        fn new() -> Rig {
            let folder = TempDir::new().unwrap();
            let path = folder.path().join("c/h/m.rrd");
            let mut config = Config::new("test");
            config.rrd.rras = vec!["RRA:AVERAGE:0.5:1:100".into()];
            Rig {
                path: CString::new(path.as_os_str().as_bytes()).unwrap(),
                _folder: folder,
                writer: Writer::new(&config, Arc::default()),
                record: FileRecord::UNKNOWN,
            }
        }

        fn write(&mut self, times_and_values: &[(u32, &str)]) -> RrdStatus {
            let mut samples = Samples::default();
            for (time, value) in times_and_values {
                assert!(samples.push_text(T0 + time, value.as_bytes(), GAUGE.kind));
            }
            let Rig { path, record, .. } = self;
            self.writer.write(path, record, GAUGE, &mut samples);
            self.writer.counters.status()
        }

        fn last(&self) -> i64 {
            last_update(&self.path).ok().unwrap() - i64::from(T0)
        }
    }

    #[test]
    fn many_samples_go_into_a_new_file_at_once() {
        let mut rig = Rig::new();
        let status = rig.write(&[(0, "1"), (10, "2"), (20, "3")]);
        assert_eq!((status.written, status.created, status.failed), (3, 1, 0));
        assert_eq!(rig.last(), 20);
    }

    #[test]
    fn samples_that_the_file_has_already_are_not_written_twice() {
        let mut rig = Rig::new();
        rig.write(&[(0, "1"), (10, "2")]);
        // As after a start, when nothing is remembered.
        rig.record = FileRecord::UNKNOWN;
        let status = rig.write(&[(0, "1"), (10, "2"), (20, "3"), (30, "4")]);
        assert_eq!((status.written, status.repeated, status.failed), (4, 2, 0));
        assert_eq!(rig.last(), 30);
        let status = rig.write(&[(20, "3"), (30, "4")]);
        assert_eq!((status.written, status.repeated, status.failed), (4, 4, 0));
    }

    #[test]
    fn a_sample_that_is_never_taken_does_not_cost_the_others() {
        let mut rig = Rig::new();
        let path = rig.path.clone();
        fs::create_dir_all(as_path(&path).parent().unwrap()).unwrap();
        let definitions = ["DS:sum:COUNTER:80:U:U", "RRA:AVERAGE:0.5:1:100"].map(c_string);
        librrd::create(&path, 10, i64::from(T0) - 1, &definitions).unwrap();
        let status = rig.write(&[(0, "1"), (10, "-2"), (20, "3.7"), (30, "4")]);
        assert_eq!((status.written, status.failed, status.broken), (3, 1, 0));
        assert_eq!(rig.last(), 30);
    }

    /// Locks a file as another process would, until the handle is dropped.
    fn lock(path: &CStr) -> fs::File {
        let options = fs::OpenOptions::new().write(true).open(as_path(path));
        let other = options.unwrap();
        // A lock of the open file, not of the process, so it hinders this process as well.
        let whole = nix::libc::flock {
            l_type: nix::libc::F_WRLCK as _,
            l_whence: 0,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        fcntl(&other, FcntlArg::F_OFD_SETLK(&whole)).unwrap();
        other
    }

    #[test]
    fn a_file_that_is_read_at_the_moment_is_waited_for() {
        let mut rig = Rig::new();
        rig.write(&[(0, "1")]);
        let reader = lock(&rig.path);
        let reading = thread::spawn(move || {
            thread::sleep(2 * LOCK_PAUSE);
            drop(reader);
        });
        let status = rig.write(&[(10, "2")]);
        assert_eq!((status.written, status.failed, status.broken), (2, 0, 0));
        reading.join().unwrap();
    }

    #[test]
    fn a_file_that_another_process_writes_is_tried_again_later() {
        let mut rig = Rig::new();
        rig.write(&[(0, "1")]);
        let other = lock(&rig.path);
        let status = rig.write(&[(10, "2"), (20, "3")]);
        assert_eq!((status.written, status.failed, status.broken), (1, 2, 1));
        let begun = Instant::now();
        rig.write(&[(30, "4")]);
        assert!(
            begun.elapsed() < LOCK_PAUSE * LOCK_TRIES / 2,
            "it is not waited for again"
        );
        drop(other);
        let status = rig.write(&[(40, "5")]);
        assert_eq!((status.written, status.broken), (2, 0));
    }

    #[test]
    fn an_update_that_has_spent_its_time_on_new_files_writes_those_there_are() {
        let mut rig = Rig::new();
        rig.write(&[(0, "1")]);
        let other = CString::new([rig.path.as_bytes(), b".other"].concat()).unwrap();
        let mut new = FileRecord::UNKNOWN;
        for (left, written) in [(Duration::ZERO, 2), (CREATE_WITHIN, 4)] {
            rig.writer.left_for_creating = left;
            for (path, record) in [(&rig.path, &mut rig.record), (&other, &mut new)] {
                let mut samples = Samples::default();
                let time = T0 + 10 * written as u32;
                assert!(samples.push_text(time, b"1", GAUGE.kind));
                rig.writer
                    .write_of_update(path, record, GAUGE, &mut samples);
            }
            assert_eq!(rig.writer.counters.status().written, written);
        }
        let status = rig.writer.counters.status();
        assert_eq!((status.created, status.failed, status.broken), (2, 1, 0));
        rig.writer.begin(Mono(100_000));
        assert_eq!(rig.writer.left_for_creating, CREATE_WITHIN);
    }
}
