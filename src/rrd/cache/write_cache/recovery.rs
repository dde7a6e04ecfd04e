//! Reads the journal of the last run back into the cache.

use std::io;
use std::path::{Path, PathBuf};

use super::WriteCache;
use crate::cache::files::Held;
use crate::cache::journaled::Origin;
use crate::cache::rrd_files::RrdFiles;
use crate::journal::replay::{self, End, FileName, Record};
use crate::journal::{Disk, FolderDisk, Journal, OldSegment};
use crate::writer::counters::count;

impl WriteCache {
    /// Opens the journal, if one is configured, and holds what the last run left in it.
    pub(crate) fn open(&mut self, files: &mut impl RrdFiles) {
        let Some(folder) = self.journal_dir.clone() else {
            return;
        };
        self.wants_journal = true;
        let opened = FolderDisk::open(&folder, self.mode);
        if let Err(error) = opened.and_then(|disk| self.open_on(disk, files)) {
            log::error!(
                "journal: {} cannot be opened: {error}; a crash would lose the values held in \
                 memory; correct that and restart gmetad",
                folder.display()
            );
        }
    }
}

impl<D: Disk> WriteCache<D> {
    /// Opens the journal on that disk: holds what is in it, and notes in it what comes from now on.
    pub(in crate::cache) fn open_on(
        &mut self,
        disk: D,
        files: &mut impl RrdFiles,
    ) -> io::Result<()> {
        let (journal, old) = Journal::open(disk, self.pace)?;
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
        // Removes segments that nothing is held of.
        self.held.commit(self.now);
        Ok(())
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
                matches!(held, Held::First | Held::More)
            }
            Record::Forget(file) => {
                let origin = Origin::Journal(segment);
                self.forget_from(&file.folder, &file.name, origin, files);
                false
            }
        }
    }
}
