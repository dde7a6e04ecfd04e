//! Held files, and the journal of what they hold.
//!
//! Every change to what is held goes through here, so that memory and journal stay in step. No clock,
//! and no I/O but the journal's.

use super::files::{Held, HeldFiles, Target};
use super::packed::PackedSamples;
use crate::file::FileSpec;
use crate::file::samples::Samples;
use crate::journal::FileId;
use crate::journal::replay::FileName;
use crate::journal::{Disk, ForgottenFile, Identity, Journal, Lost, OldSegment};
use crate::writer::record::FileRecord;

/// Files checked in one commit for samples that the journal lacks. Updates have their turn before the
/// next.
const MENDED_AT_ONCE: u32 = if cfg!(test) { 5 } else { 4096 };

/// What happened to samples that were given to their file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They are written, or lost and counted, and can be dropped.
    Done,
    /// The file did not take them. It is tried again in that second.
    RetryAt(u32),
}

/// Where a change comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin<'a> {
    /// From an update or the socket: it is to be noted.
    Update,
    /// From the journal of an earlier run, which has it already.
    Journal(&'a OldSegment),
}

/// Samples of a file, taken out of what is held.
pub(super) struct TakenOut {
    pub(super) file: FileName,
    count: u32,
    bytes: Vec<u8>,
}

impl TakenOut {
    /// The time and the packed value of each, oldest first.
    pub(super) fn samples(&self) -> PackedSamples<'_> {
        PackedSamples::new(&self.bytes, self.count)
    }
}

/// Samples in memory, and in the journal if there is one.
#[derive(Debug)]
pub(super) struct JournaledFiles<D> {
    files: HeldFiles,
    journal: Option<Journal<D>>,
    /// Number of the file that is looked at next while the journal is mended.
    mend_from: u32,
    /// For the samples of one file.
    scratch: Vec<u8>,
}

impl<D: Disk> JournaledFiles<D> {
    pub(super) fn new(files: HeldFiles) -> JournaledFiles<D> {
        JournaledFiles {
            files,
            journal: None,
            mend_from: 0,
            scratch: Vec::new(),
        }
    }

    /// Sets the journal that everything put from now on is noted in.
    pub(super) fn set_journal(&mut self, journal: Journal<D>) {
        self.journal = Some(journal);
    }

    /// Takes out all samples that are held.
    pub(super) fn take_all(&mut self, now: u32) -> Vec<TakenOut> {
        let ids: Vec<FileId> = self.files.waiting().collect();
        let take = |id| {
            let mut bytes = Vec::new();
            self.files.packed(id, &mut bytes);
            let Identity {
                folder, name, spec, ..
            } = self.files.identity(id);
            let taken = TakenOut {
                file: FileName {
                    folder: folder.into(),
                    name: name.into(),
                    spec,
                },
                count: self.files.count(id),
                bytes,
            };
            self.drop_samples(id, now);
            taken
        };
        ids.into_iter().map(take).collect()
    }

    pub(super) fn journal(&self) -> Option<&Journal<D>> {
        self.journal.as_ref()
    }

    pub(super) fn journal_mut(&mut self) -> Option<&mut Journal<D>> {
        self.journal.as_mut()
    }

    /// What is held, read-only.
    pub(super) fn files(&self) -> &HeldFiles {
        &self.files
    }

    /// The file of that name in that folder below the root, used from now on until it is released.
    pub(super) fn use_file(&mut self, folder: &str, name: &str, spec: FileSpec) -> FileId {
        self.files.use_file(folder, name, spec)
    }

    /// The file of that name. It stays only if it is given a sample before it is tidied.
    pub(super) fn find_or_add(&mut self, folder: &str, name: &str, spec: FileSpec) -> FileId {
        self.files.find_or_add(folder, name, spec)
    }

    #[inline]
    pub(super) fn set_spec(&mut self, id: FileId, spec: FileSpec) {
        self.files.set_spec(id, spec);
    }

    /// Ends the use of a file; its record if the file is gone with that, as it has no samples.
    pub(super) fn release(&mut self, id: FileId) -> Option<FileRecord> {
        self.files.release(id)
    }

    /// Lets go of a file that has no samples and no user; its record if there was one.
    pub(super) fn tidy(&mut self, id: FileId) -> Option<FileRecord> {
        self.files.tidy(id)
    }

    /// Forgets what the file has: it was removed.
    pub(super) fn clear_last(&mut self, id: FileId) {
        self.files.target(id).record.clear_last();
    }

    pub(super) fn is_first_look(&mut self, id: FileId) -> bool {
        self.files.is_first_look(id)
    }

    /// Holds a sample whose value is packed already, and notes it.
    #[inline]
    pub(super) fn put(
        &mut self,
        id: FileId,
        time: u32,
        packed: &[u8],
        now: u32,
        origin: Origin<'_>,
    ) -> Held {
        let journal = &mut self.journal;
        // The segment is held before the note, as the note may begin the next.
        let segment_hold = || match origin {
            Origin::Update => Some(journal.as_mut()?.hold_current()),
            Origin::Journal(segment) => journal.as_mut()?.hold(segment),
        };
        let held = self.files.put(id, time, packed, now, segment_hold);
        if matches!(origin, Origin::Update) && matches!(held, Held::First | Held::More) {
            self.note(id, time, packed);
        }
        held
    }

    /// A sample of that segment is not held, as its file has it or newer ones: the segment stays until
    /// the disk has them too.
    pub(super) fn skip(&mut self, segment: &OldSegment, now: u32) {
        if let Some(journal) = &mut self.journal
            && let Some(hold) = journal.hold(segment)
        {
            journal.release(hold, now);
        }
    }

    /// A file that is due. It stays due until it is written or put off.
    pub(super) fn due(&mut self, now: u32) -> Option<FileId> {
        self.files.due(now)
    }

    /// The file that is due next, whenever that is. It stays so until it is written or put off.
    pub(super) fn soonest(&mut self) -> Option<FileId> {
        self.files.soonest()
    }

    /// Has a file be due in that second.
    pub(super) fn put_off(&mut self, id: FileId, until: u32) {
        self.files.put_off(id, until);
    }

    /// Copies a file's samples, oldest first, after those that `samples` has.
    pub(super) fn read(&mut self, id: FileId, samples: &mut Samples) {
        self.files.read(id, samples);
    }

    /// A file, for whoever writes or creates it.
    pub(super) fn target(&mut self, id: FileId) -> Target<'_> {
        self.files.target(id)
    }

    /// Has `write` write a file's samples, if it holds any. Returns how many were dropped then.
    pub(super) fn write(
        &mut self,
        id: FileId,
        now: u32,
        samples: &mut Samples,
        write: impl FnOnce(Target<'_>, &mut Samples) -> Verdict,
    ) -> u32 {
        let count = self.files.count(id);
        if count == 0 {
            return 0;
        }
        samples.clear();
        self.files.read(id, samples);
        match write(self.files.target(id), samples) {
            Verdict::Done => {
                self.drop_samples(id, now);
                count
            }
            Verdict::RetryAt(second) => {
                self.files.retry_at(id, second);
                0
            }
        }
    }

    /// Drops a file's samples without writing them. Returns whether there were any.
    pub(super) fn forget(&mut self, id: FileId, now: u32, origin: Origin<'_>) -> bool {
        if self.files.count(id) == 0 {
            return false;
        }
        if let (Some(journal), Origin::Update) = (&mut self.journal, origin) {
            let segment = journal.current();
            let named_in = self.files.named_in(id);
            let noted = journal.forget(id, named_in, self.files.identity(id));
            self.noted(id, segment, noted);
        }
        self.drop_samples(id, now);
        true
    }

    fn drop_samples(&mut self, id: FileId, now: u32) {
        let hold = self.files.take_samples(id);
        if let (Some(hold), Some(journal)) = (hold, &mut self.journal) {
            journal.release(hold, now);
        }
    }

    /// Notes a sample that was just put.
    #[inline]
    fn note(&mut self, id: FileId, time: u32, packed: &[u8]) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        if self.files.is_lacking(id) {
            // It is noted later, with all other samples of the file.
            return;
        }
        let segment = journal.current();
        let named_in = self.files.named_in(id);
        let files = &self.files;
        let noted = journal.sample(id, named_in, || files.identity(id), time, packed);
        self.noted(id, segment, noted);
    }

    /// Takes down what happened to a record of a file in that segment.
    #[inline]
    fn noted(&mut self, id: FileId, segment: u32, noted: Result<(), Lost>) {
        match noted {
            Ok(()) => self.files.set_named_in(id, segment),
            Err(Lost::This) => self.files.set_lacking(id, true),
            Err(lost @ Lost::Some { .. }) => {
                self.files.set_named_in(id, segment);
                self.lost(lost);
            }
        }
    }

    #[cold]
    fn lost(&mut self, lost: Lost) {
        if let Lost::Some { segment } = lost {
            self.files.set_lacking_in(segment);
        }
    }

    /// Writes what was noted to the disk. If the journal lacks some of what is held, notes a part of
    /// that.
    pub(super) fn commit(&mut self, now: u32) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        if let Err(lost) = journal.commit(now) {
            self.lost(lost);
        }
        self.mend();
    }

    /// Closes the journal, once `settle` has waited until the disk has what was written to files; whether
    /// it has. Returns whether the journal has all samples that are still held.
    pub(super) fn close(&mut self, now: u32, settle: impl FnOnce() -> bool) -> bool {
        let Some(journal) = &mut self.journal else {
            return false;
        };
        journal.try_at_the_end();
        while self.is_mending() {
            self.mend();
        }
        let Some(journal) = &mut self.journal else {
            return false;
        };
        journal.close(now, settle()).is_ok() && journal.is_sound()
    }

    fn is_mending(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::is_mending)
    }

    /// If the journal is being mended, notes some of what it lacks. After the last of it, the journal
    /// is sound.
    fn mend(&mut self) {
        if !self.is_mending() {
            self.mend_from = 0;
            return;
        }
        while let Some(file) = self.journal.as_mut().and_then(Journal::next_forgotten) {
            self.forget_again(file);
        }
        for id in self.files.lacking(self.mend_from, MENDED_AT_ONCE) {
            self.note_all(id);
        }
        self.mend_from += MENDED_AT_ONCE;
        if self.mend_from >= self.files.len() {
            self.mend_from = 0;
        }
        if self.files.lacking_files() == 0
            && let Some(journal) = &mut self.journal
            && let Err(lost) = journal.finish_mending()
        {
            self.lost(lost);
        }
    }

    /// Notes once more that a file's samples were forgotten, and all that it holds now.
    fn forget_again(&mut self, file: ForgottenFile) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        let found = self.files.find(&file.folder, &file.name);
        let Some(id) = found.filter(|id| self.files.count(*id) > 0) else {
            if let Err(lost) = journal.forget_again(file, None, std::iter::empty()) {
                self.lost(lost);
            }
            return;
        };
        let samples = self.files.packed(id, &mut self.scratch);
        if !Journal::<D>::fits_in_a_frame(self.files.count(id), samples.bytes()) {
            // Better that forgotten samples come back after a crash than that others are lost.
            self.files.set_lacking(id, true);
            return;
        }
        self.files.set_lacking(id, false);
        let segment = journal.current();
        let held = Some((id, self.files.identity(id)));
        let noted = journal.forget_again(file, held, samples);
        self.noted(id, segment, noted);
    }

    /// Notes all samples of a file. Those that the journal has already are in it twice then; the
    /// second is skipped when it is read.
    fn note_all(&mut self, id: FileId) {
        self.files.set_lacking(id, false);
        let mut bytes = std::mem::take(&mut self.scratch);
        for (time, packed) in self.files.packed(id, &mut bytes) {
            self.note(id, time, packed);
        }
        self.scratch = bytes;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use tempfile::TempDir;

    use super::*;
    use crate::cache::files::Delay;
    use crate::file::samples::Kind;
    use crate::journal::packed::pack;
    use crate::journal::replay::{self, End, Record};
    use crate::journal::{FolderDisk, Pace};

    const SPEC: FileSpec = FileSpec {
        step_secs: 15,
        kind: Kind::Derive,
        with_num: true,
    };

    struct Rig {
        root: TempDir,
        held: JournaledFiles<FolderDisk>,
    }

    impl Rig {
        fn new() -> Rig {
            let root = TempDir::new().unwrap();
            let disk = FolderDisk::open(&root.path().join("journal"), 0o644).unwrap();
            let (journal, _) = Journal::open(disk, Pace::new(50, 1)).unwrap();
            let delay = Delay {
                timeout_secs: 100,
                jitter_secs: 0,
            };
            let mut held = JournaledFiles::new(HeldFiles::new(delay, 1 << 30));
            held.set_journal(journal);
            Rig { root, held }
        }

        fn put(&mut self, name: &str, time: u32) -> FileId {
            let id = self.held.use_file("c/h", name, SPEC);
            let mut packed = Vec::new();
            assert!(pack(b"12:3", &mut packed));
            self.held.put(id, time, &packed, 0, Origin::Update);
            id
        }

        fn write(&mut self, id: FileId, now: u32) {
            let mut samples = Samples::default();
            let write = |_: Target<'_>, _: &mut Samples| Verdict::Done;
            assert!(self.held.write(id, now, &mut samples, write) > 0);
        }

        fn is_sound(&self) -> bool {
            self.held.journal().is_some_and(Journal::is_sound)
        }

        fn folder(&self) -> PathBuf {
            self.root.path().join("journal")
        }

        fn segments(&self) -> Vec<PathBuf> {
            let entries = fs::read_dir(self.folder()).unwrap();
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
            paths.retain(|path| path.extension().is_some_and(|it| it == "journal"));
            paths.sort();
            paths
        }
    }

    /// What a segment says, a word a record.
    fn read(path: &Path) -> String {
        let mut seen = Vec::new();
        let end = replay::read(&fs::read(path).unwrap(), |record| {
            seen.push(match record {
                Record::Sample { file, time, .. } => {
                    format!("{}/{}:{time}", file.folder, file.name)
                }
                Record::Forget(file) => format!("-{}/{}", file.folder, file.name),
            });
        });
        assert_eq!(end, End::Whole, "{}", path.display());
        seen.join(" ")
    }

    #[test]
    fn a_segment_goes_when_nothing_in_it_or_before_it_is_held() {
        let mut rig = Rig::new();
        let (a, b) = (rig.put("a", 1000), rig.put("b", 1000));
        rig.held.commit(50);
        rig.put("a", 1050);
        let c = rig.put("c", 1050);
        rig.held.commit(100);
        rig.put("b", 1100);
        rig.held.commit(101);
        assert_eq!(rig.segments().len(), 3);
        rig.write(c, 101);
        rig.write(a, 101);
        rig.held.commit(130);
        assert_eq!(rig.segments().len(), 3, "b is held since the first");
        rig.write(b, 130);
        rig.held.commit(189);
        assert_eq!(rig.segments().len(), 3, "the disk may not have b yet");
        rig.held.commit(190);
        assert!(rig.segments().is_empty(), "the next has nothing yet");
        rig.put("b", 1200);
        rig.held.commit(190);
        assert_eq!(rig.segments().len(), 1, "the last is still written to");
        rig.write(b, 191);
        assert!(rig.held.close(191, || true));
        assert!(rig.segments().is_empty());
    }

    #[test]
    fn a_journal_that_heals_has_what_was_held_meanwhile() {
        let mut rig = Rig::new();
        let (a, b) = (rig.put("a", 1000), rig.put("b", 1000));
        rig.held.commit(0);
        // The folder goes, and a file of that name is in its place.
        fs::remove_dir_all(rig.folder()).unwrap();
        fs::write(rig.folder(), "").unwrap();
        rig.held.commit(60);
        rig.put("a", 1015);
        rig.put("c", 1015);
        rig.held.commit(61);
        assert!(!rig.is_sound());
        for time in 1030..1060 {
            rig.put("c", time);
        }
        assert!(rig.held.forget(b, 62, Origin::Update));
        rig.held.commit(63);
        rig.write(a, 63);
        rig.put("a", 1030);
        fs::remove_file(rig.folder()).unwrap();
        fs::create_dir(rig.folder()).unwrap();
        rig.held.commit(64);
        assert!(rig.is_sound());
        rig.put("c", 1060);
        rig.held.commit(65);
        let segments = rig.segments();
        assert_eq!(segments.len(), 1);
        let mut wanted = vec![
            "-c/h/b".to_owned(),
            "c/h/a:1030".into(),
            "c/h/c:1015".into(),
        ];
        wanted.extend((1030..=1060).map(|time| format!("c/h/c:{time}")));
        assert_eq!(read(&segments[0]), wanted.join(" "));
    }

    #[test]
    fn a_journal_that_never_heals_is_told_at_the_end() {
        let mut rig = Rig::new();
        fs::remove_dir_all(rig.folder()).unwrap();
        fs::write(rig.folder(), "").unwrap();
        rig.put("a", 1000);
        rig.held.commit(1);
        assert!(!rig.held.close(2, || true));
        let mut rig = Rig::new();
        fs::remove_dir_all(rig.folder()).unwrap();
        fs::write(rig.folder(), "").unwrap();
        rig.put("a", 1000);
        rig.held.commit(1);
        fs::remove_file(rig.folder()).unwrap();
        assert!(rig.held.close(2, || true), "the last try is at the end");
        assert_eq!(read(&rig.segments()[0]), "c/h/a:1000");
    }
}
