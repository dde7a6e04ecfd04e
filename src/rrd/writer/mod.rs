//! Writes samples into files: updates those that exist, creates those that are missing, and copes with
//! those that are broken.
//!
//! Does not know where a path comes from or which values are worth storing.

mod complaints;
pub(crate) mod counters;
mod creation;
pub(crate) mod failure;
mod limits;
mod links;
pub(crate) mod record;
pub(crate) mod refusals;
pub(crate) mod rrdcached;
mod sink;

use std::ffi::CStr;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::file::samples::{Kind, Samples};
use crate::file::{
    FileError, FileSpec, Patience, as_path, exists, last_update, settle, source_kind, update,
    update_in, why_not_writable,
};
use crate::writer::record::FileRecord;
use crate::writer::rrdcached::RrdcachedClient;
use complaints::Complaints;
use counters::{RrdCounters, count};
use creation::Creation;
use failure::Failure;
use gmetad_config::Config;
use gmetad_core::model::Mono;
use limits::Limits;
use links::Links;
use refusals::Refusals;

/// Writes samples, and remembers what has to be said of files that do not take them.
#[derive(Debug)]
pub(crate) struct Writer {
    root: PathBuf,
    links: Links,
    creation: Creation,
    limits: Limits,
    counters: Arc<RrdCounters>,
    complaints: Complaints,
    /// What files refuse as they have newer values.
    pub(crate) refusals: Refusals,
    /// Whether a sample of an update is written: its time for creating files counts, and the folder that
    /// it writes to is held open.
    is_update: bool,
    /// If one is to write the files, it is given the updates.
    pub(crate) rrdcached: Option<RrdcachedClient>,
}

/// What may still be done about a file that does not take its samples: each once.
struct Remedies {
    create: bool,
    fit: bool,
}

impl Writer {
    pub(crate) fn new(config: &Config, counters: Arc<RrdCounters>) -> Writer {
        let refusals = Refusals::new(&config.rrd.rootdir);
        Writer {
            root: config.rrd.rootdir.clone(),
            links: Links::default(),
            creation: Creation::new(config),
            limits: Limits::new(config, Arc::clone(&counters)),
            rrdcached: RrdcachedClient::new(&config.exports, &counters, &refusals),
            refusals,
            counters,
            complaints: Complaints::default(),
            is_update: false,
        }
    }

    pub(crate) fn counters(&self) -> &RrdCounters {
        &self.counters
    }

    /// Tells the writer the time, for its complaints, and that an update begins.
    pub(crate) fn begin(&mut self, now: Mono) {
        self.links.leave();
        self.complaints.begin(now);
        self.creation.begin();
        self.limits.begin(now);
    }

    /// A source brings a node's folder, with that many values in the document that ended then.
    pub(crate) fn expects(&mut self, source: &Arc<str>, node: &str, values: usize, now: Mono) {
        self.limits.expects(source, node, values, now);
    }

    /// Forgets what was noted of other nodes' folders than these.
    pub(crate) fn keep(&mut self, is_known: impl Fn(&str) -> bool) {
        self.refusals.keep(&is_known);
        self.limits.keep(is_known);
    }

    /// Counts a file as gone whose record is dropped.
    pub(crate) fn forget(&self, record: FileRecord) {
        if record.is_broken() {
            self.counters.broken.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// An update is over, or a step of writing what waits: says what has to be said.
    pub(crate) fn tell(&mut self) {
        self.links.leave();
        let broken = self.counters.broken.load(Ordering::Relaxed);
        self.complaints.tell(broken);
    }

    /// Waits until the disk has everything written so far. Whether that is known; if not, it is logged.
    pub(crate) fn settle(&self) -> bool {
        let settled = settle(&self.root);
        if let Err(error) = &settled {
            log::warn!(
                "RRD files below {} may not be on their disk yet: {error}; the journal stays, and the \
                 next start reads it again",
                self.root.display()
            );
        }
        settled.is_ok()
    }

    /// Creates a file that is then removed, to find out whether the folder takes files, and whether
    /// the archives' definitions are right: what is wrong with them, if not.
    pub(crate) fn probe(&mut self, path: &CStr) -> Result<Result<(), Failure>, String> {
        let spec = FileSpec {
            step_secs: 15,
            kind: Kind::Gauge,
            with_num: true,
        };
        let created = self.links.check(path);
        let created = created.and_then(|()| self.creation.create(path, spec, 1_000_000_001));
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
        self.is_update = true;
        self.write(path, record, spec, samples);
        self.is_update = false;
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
        let outcome = if self.rrdcached.is_some() {
            self.give(path, record, spec, samples)
        } else {
            self.try_to_write(path, record, spec, samples)
        };
        if let Err(failure) = outcome {
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
        self.links.check(path)?;
        // A file that was locked the last time as well is not waited for again.
        let patience = if record.is_broken() {
            Patience::None
        } else {
            Patience::Short
        };
        let folder = if self.is_update {
            self.links.hold()
        } else {
            None
        };
        let written = match update_in(folder, path, samples, patience) {
            Ok(()) => samples.len(),
            Err(error) => self.mend(path, record, spec, samples, error)?,
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
            count(&self.counters.repeated, dropped);
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
        } else if matches!(failure, Failure::Limited(_)) {
            // The limit says so, once for all files.
        } else if !record.is_broken() {
            record.set_broken(true);
            count(&self.counters.broken, 1);
            self.complaints.failed(path, failure, lost > 0);
        }
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
        mut error: FileError,
    ) -> Result<usize, Failure> {
        let mut written = 0;
        let mut left = Remedies {
            create: true,
            fit: true,
        };
        loop {
            if left.create && !exists(path) {
                left.create = false;
                self.begin_file(path, record, spec, samples)?;
            } else {
                written += self.remove_hindrance(path, record, samples, error, &mut left)?;
            }
            if samples.is_empty() {
                return Ok(written);
            }
            match update(path, samples, Patience::None) {
                Ok(()) => return Ok(written + samples.len()),
                Err(again) => error = again,
            }
        }
    }

    /// Creates a file that is missing for these samples, unless there is nothing to begin it with.
    fn begin_file(
        &mut self,
        path: &CStr,
        record: &mut FileRecord,
        spec: FileSpec,
        samples: &mut Samples,
    ) -> Result<(), Failure> {
        self.fit(samples, spec.kind);
        if samples.are_unknown() {
            samples.clear();
            return Ok(());
        }
        self.create(path, spec, samples.first_time())?;
        record.created(samples.first_time(), spec.kind);
        Ok(())
    }

    /// Takes away from the samples what a file that is there does not take: what it has, what its
    /// kind cannot be given, or the first of them. How many were written by the call that failed.
    fn remove_hindrance(
        &mut self,
        path: &CStr,
        record: &mut FileRecord,
        samples: &mut Samples,
        error: FileError,
        left: &mut Remedies,
    ) -> Result<usize, Failure> {
        // If even this fails, the file is away or no use at all, and the first reason stands.
        let Ok(last) = last_update(path) else {
            return Err(hindrance(path, error).into());
        };
        // A call stops at the first sample it will not take; those before it are in, unless
        // someone else has written newer ones.
        let was_known = record.last().is_some();
        record.set_last(clamped(last));
        let (done, written) = if was_known && !record.is_after(samples.last_time()) {
            let done = samples.drop_through(last);
            (done, done)
        } else {
            (self.drop_old(path, record, samples), 0)
        };
        if done > 0 {
            return Ok(written);
        }
        let kind = if left.fit { source_kind(path) } else { None };
        if let Some(kind) = kind
            && record.kind() != Some(kind)
        {
            left.fit = false;
            record.set_kind(Some(kind));
            self.fit(samples, kind);
            return Ok(0);
        }
        let error = hindrance(path, error);
        // If nothing hinders the file, it is the sample.
        if samples.len() == 1 || error.may_pass() {
            return Err(error.into());
        }
        samples.drop_first();
        count(&self.counters.failed, 1);
        Ok(0)
    }

    /// Creates a file whose first sample is to be of that time, and the folders it is in.
    fn create(&mut self, path: &CStr, spec: FileSpec, first: u32) -> Result<(), Failure> {
        if self.is_update && self.creation.left.is_zero() {
            return Err(Failure::Postponed);
        }
        self.links.check(path)?;
        self.limits.admit(path).map_err(Failure::Limited)?;
        self.creation.create(path, spec, first)?;
        self.limits.created(path);
        count(&self.counters.created, 1);
        Ok(())
    }
}

fn clamped(time: i64) -> u32 {
    u32::try_from(time.max(0)).unwrap_or(u32::MAX)
}

/// Why the file takes nothing at all now, if it does not; else what went wrong before.
fn hindrance(path: &CStr, error: FileError) -> FileError {
    if !matches!(error, FileError::Refused(_)) {
        return error;
    }
    why_not_writable(path).unwrap_or(error)
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::path::Path;
    use std::thread;
    use std::time::{Duration, Instant};

    use nix::fcntl::{FcntlArg, fcntl};
    use std::os::unix::ffi::OsStrExt;
    use tempfile::TempDir;

    use super::creation::CREATE_WITHIN;
    use super::*;
    use crate::file::testing;
    use crate::file::update::{LOCK_PAUSE, LOCK_TRIES};
    use gmetad_core::status::RrdStatus;

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
        let definitions = ["DS:sum:COUNTER:80:U:U", "RRA:AVERAGE:0.5:1:100"];
        testing::create(&path, 10, T0 - 1, &definitions).unwrap();
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
            rig.writer.creation.left = left;
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
        assert_eq!(rig.writer.creation.left, CREATE_WITHIN);
    }

    #[test]
    fn a_folder_is_held_open_for_one_update_at_most() {
        let mut rig = Rig::new();
        let folder = as_path(&rig.path).parent().unwrap().to_owned();
        let (moved, mut time) = (folder.with_file_name("moved"), T0);
        let mut update = |rig: &mut Rig, files: usize| {
            time += 10;
            for _ in 0..files {
                let mut samples = Samples::default();
                time += 1;
                assert!(samples.push_text(time, b"1", GAUGE.kind));
                let Rig { path, record, .. } = rig;
                rig.writer
                    .write_of_update(path, record, GAUGE, &mut samples);
            }
            i64::from(time)
        };
        rig.writer.begin(Mono(0));
        update(&mut rig, 1);
        let before = update(&mut rig, 1);
        assert!(rig.writer.links.hold().is_some());
        let last = |folder: &Path| {
            let file = CString::new(folder.join("m.rrd").as_os_str().as_bytes()).unwrap();
            last_update(&file).ok()
        };
        // The next update finds the folder that is there then, and so does the rest of this one once that
        // has nothing of the name.
        for is_next in [true, false] {
            fs::rename(&folder, &moved).unwrap();
            fs::create_dir(&folder).unwrap();
            fs::copy(moved.join("m.rrd"), folder.join("m.rrd")).unwrap();
            if is_next {
                rig.writer.tell();
                rig.writer.begin(Mono(10_000));
            } else {
                fs::remove_file(moved.join("m.rrd")).unwrap();
            }
            let after = update(&mut rig, 2);
            assert_eq!(last(&folder), Some(after));
            assert_eq!(last(&moved), is_next.then_some(before));
            fs::remove_dir_all(&moved).unwrap();
        }
        assert_eq!(rig.writer.counters.status().failed, 0);
    }
}
