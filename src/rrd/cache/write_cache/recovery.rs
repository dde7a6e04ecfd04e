//! Reads the journal of the last run back into the cache.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gmetad_core::complaint::span;

use super::WriteCache;
use crate::cache::files::Held;
use crate::cache::journaled::{Origin, TakenOut};
use crate::cache::rrd_files::RrdFiles;
use crate::journal::replay::{self, End, FileName, Record};
use crate::journal::{Disk, FolderDisk, Journal, OldSegment};
use crate::writer::counters::count;

/// Pause before a journal that could not be opened is tried again.
const OPEN_AGAIN_SECS: u32 = 5;

/// Attempts to open the journal.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// Second of the first that failed.
    failed_since: Option<u32>,
    /// Second of the last.
    last: u32,
}

impl WriteCache {
    /// Opens the journal, if one is configured, and holds what the last run left in it.
    pub(crate) fn open(&mut self, files: &mut impl RrdFiles) {
        self.open_with(FolderDisk::open, files);
    }

    /// Tries again to open a journal that could not be opened, if enough time has passed.
    pub(crate) fn open_in_time(&mut self, now: Instant, files: &mut impl RrdFiles) {
        self.open_in_time_with(now, FolderDisk::open, files);
    }

    /// Opens a journal that is not open.
    pub(crate) fn try_to_open(&mut self, files: &mut impl RrdFiles) {
        self.try_to_open_with(FolderDisk::open, files);
    }
}

/// Opening on any disk: `disk` makes one of a folder and the permission bits of new RRD files.
impl<D: Disk> WriteCache<D> {
    pub(in crate::cache) fn open_with(
        &mut self,
        disk: impl FnOnce(&Path, u32) -> io::Result<D>,
        files: &mut impl RrdFiles,
    ) {
        self.wants_journal = self.journal_dir.is_some();
        self.try_to_open_with(disk, files);
    }

    pub(in crate::cache) fn open_in_time_with(
        &mut self,
        now: Instant,
        disk: impl FnOnce(&Path, u32) -> io::Result<D>,
        files: &mut impl RrdFiles,
    ) {
        self.tell_time(now, files);
        if self.now.saturating_sub(self.attempts.last) >= OPEN_AGAIN_SECS {
            self.try_to_open_with(disk, files);
        }
    }

    pub(in crate::cache) fn try_to_open_with(
        &mut self,
        disk: impl FnOnce(&Path, u32) -> io::Result<D>,
        files: &mut impl RrdFiles,
    ) {
        let Some(folder) = self
            .journal_dir
            .clone()
            .filter(|_| self.lacks_its_journal())
        else {
            return;
        };
        self.attempts.last = self.now;
        let opened = disk(&folder, self.mode).and_then(|disk| self.open_on(disk, files));
        match (opened, self.attempts.failed_since) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Ok(()), Some(since)) => gmetad_core::recovered!(
                error: "journal: {} is open, after {}; the values held meanwhile are in it",
                folder.display(),
                span(Duration::from_secs(self.now.saturating_sub(since).into()))
            ),
            (Err(error), None) => {
                self.attempts.failed_since = Some(self.now);
                log::error!(
                    "journal: {} cannot be opened: {error}; a crash would lose the values held in \
                     memory; gmetad tries again every {OPEN_AGAIN_SECS} s, and then reads what the last \
                     run left in it",
                    folder.display()
                );
            }
        }
    }

    /// Opens the journal on that disk: holds what is in it, and notes in it what comes from now on.
    fn open_on(&mut self, disk: D, files: &mut impl RrdFiles) -> io::Result<()> {
        let (journal, old) = Journal::open(disk, self.pace)?;
        // What came while it could not be opened is newer than what is in it.
        let newer = self.held.take_all(self.now);
        self.held.set_journal(journal);
        let mut taken = 0;
        for segment in &old {
            taken += self.replay_segment(segment, files);
        }
        if taken > 0 {
            log::info!(
                "journal: {taken} values of the last run were read back, and are written to their \
                 RRD files in time"
            );
        }
        for (folder, name) in std::mem::take(&mut self.forgotten_unread) {
            self.forget_from(&folder, &name, Origin::Update, files);
        }
        for waiting in newer {
            self.hold_again(&waiting, files);
        }
        // Removes segments that nothing is held of.
        self.held.commit(self.now);
        Ok(())
    }

    /// Holds again what was taken out to be held after older samples.
    fn hold_again(&mut self, waiting: &TakenOut, files: &mut impl RrdFiles) {
        let FileName { folder, name, spec } = &waiting.file;
        let id = self.held.find_or_add(folder, name, *spec);
        for (time, packed) in waiting.samples() {
            self.packed.clear();
            self.packed.extend_from_slice(packed);
            if self.hold(id, time, Origin::Update, files) == Held::Stale {
                count(&files.counters().repeated, 1);
            }
        }
        self.tidy(id, files);
    }

    /// Holds what a segment of an earlier run says. Returns the number of samples.
    fn replay_segment(&mut self, segment: &OldSegment, files: &mut impl RrdFiles) -> u64 {
        let Some(journal) = self.held.journal() else {
            return 0;
        };
        let path = journal.path(segment);
        let bytes = match journal.read(segment) {
            Ok(bytes) => bytes,
            Err(error) => {
                let aside = self.set_damaged(segment);
                log::error!(
                    "journal: {} cannot be read: {error}; its values are not in the RRD files; it is \
                     kept as {}",
                    path.display(),
                    aside.display()
                );
                return 0;
            }
        };
        let mut taken = 0;
        let end = replay::read(&bytes, |record| {
            taken += u64::from(self.replay(segment, record, files));
        });
        self.judge(segment, &path, end);
        taken
    }

    /// Keeps a segment for a person to look at. Returns where.
    fn set_damaged(&mut self, segment: &OldSegment) -> PathBuf {
        let journal = self.held.journal_mut();
        journal
            .map(|it| it.set_damaged(segment))
            .unwrap_or_default()
    }

    /// Logs how much of a segment could be read, if it is not all.
    fn judge(&mut self, segment: &OldSegment, path: &Path, end: End) {
        match end {
            End::Whole => {}
            End::Torn => log::info!(
                "journal: the last write to {} is incomplete, as after a crash; what came before \
                 it was read",
                path.display()
            ),
            End::Damaged => {
                let aside = self.set_damaged(segment);
                log::error!(
                    "journal: {} is damaged; what can be read of it is written to the RRD files, \
                     then it is kept as {}",
                    path.display(),
                    aside.display()
                );
            }
        }
    }

    /// Does what a record says. Returns whether it was a sample that is held now.
    fn replay(
        &mut self,
        segment: &OldSegment,
        record: Record<'_>,
        files: &mut impl RrdFiles,
    ) -> bool {
        match record {
            Record::Sample { file, time, packed } => {
                let FileName { folder, name, spec } = file;
                let id = self.held.find_or_add(folder, name, *spec);
                self.packed.clear();
                self.packed.extend_from_slice(packed);
                let held = self.hold(id, time, Origin::Journal(segment), files);
                if held == Held::Stale {
                    count(&files.counters().repeated, 1);
                }
                self.tidy(id, files);
                let is_held = matches!(held, Held::First | Held::More);
                if !is_held {
                    self.held.skip(segment, self.now);
                }
                is_held
            }
            Record::Forget(file) => {
                let origin = Origin::Journal(segment);
                self.forget_from(&file.folder, &file.name, origin, files);
                false
            }
        }
    }
}
