//! The journal: samples that wait in memory, in files that are only ever appended to.
//!
//! Says which segments may go, and does not know what has been written to round-robin files.
//!
//! A segment is a header and frames. A frame is its payload's length and CRC-32, four bytes each,
//! lowest first, and the payload: records, each a number whose lowest two bits say what it is.
//!
//! ```text
//! sample   step of the file's number << 2 | 0, step of the time, packed value
//! file     step of the file's number << 2 | 1, folder's number, seconds of a step,
//!          kind | with_num << 2, length of the name, name
//! folder   number << 2 | 2, length of the path below the root, path
//! forget   step of the file's number << 2 | 3
//! ```
//!
//! Steps start from 0 in each frame. A number means what its newest record in the segment says, so
//! each segment can be read alone.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flate2::Crc;
use nix::fcntl::{Flock, FlockArg};

use super::cache::Cache;
use super::packed::{push_number, step};
use super::record::FileId;
use crate::file::FileSpec;
use crate::file::samples::Kind;

/// Of which a segment is at most made, beside the frame that goes over it.
const SEGMENT_BYTES: u64 = 64 << 20;

/// A segment stays for so long after the last of it was written to its file: by then the system has
/// given the file to the disk, which it does after half a minute by itself.
const SETTLE_SECS: u32 = 60;

/// Held in memory before it is written, whatever the time.
const BUFFER_BYTES: usize = 256 << 10;

/// No frame's payload is longer; a reader that sees more sees damage.
pub(super) const FRAME_BYTES: usize = 4 * BUFFER_BYTES;

pub(super) const HEADER: &[u8; 16] = b"gmetad journal 1";

pub(super) const SAMPLE: u64 = 0;
pub(super) const FILE: u64 = 1;
pub(super) const FOLDER: u64 = 2;
pub(super) const FORGET: u64 = 3;

const PREFIX: &str = "gmetad-";
const ENDING: &str = ".journal";

/// One file of the journal.
#[derive(Debug)]
struct Segment {
    number: u32,
    /// Files whose oldest waiting sample is in it.
    holders: u64,
    /// Second at which there was no such file any more, if there ever was one.
    emptied: Option<u32>,
    /// Whether some of it could not be read, so that it is kept for a person to look at.
    damaged: bool,
}

/// The journal's folder, and the segment that is being written.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    /// Keeps others out for as long as it is held.
    _lock: Flock<File>,
    /// Oldest first; the last is the current one.
    segments: VecDeque<Segment>,
    /// The current segment's file, once something was written.
    file: Option<File>,
    file_bytes: u64,
    /// Second at which the current segment was begun.
    begun: u32,
    /// A segment that takes in no more after that.
    segment_secs: u32,
    /// Records since the last frame.
    buffer: Vec<u8>,
    last_id: u32,
    last_time: u32,
    /// Whether there is something that the disk need not have yet.
    unsynced: bool,
    synced: u32,
    /// The disk has what is older than that.
    sync_secs: u32,
    /// By folder of the cache: the segment that names it, and what it was named.
    folders: Vec<(u32, Box<str>)>,
    /// Whether the last write failed; told once.
    failing: bool,
    written_bytes: u64,
}

impl Journal {
    /// Opens the folder, and makes it if need be. The second part is what there is to replay,
    /// oldest first.
    pub(super) fn open(
        folder: &Path,
        segment_secs: u32,
        sync_secs: u32,
        mode: u32,
    ) -> io::Result<(Journal, Vec<(u32, PathBuf)>)> {
        let folder_mode = 0o750 & (mode | mode >> 2 | 0o110);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(folder_mode)
            .create(folder)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(folder.join("lock"))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
            if errno == nix::errno::Errno::EWOULDBLOCK {
                io::Error::other("another gmetad uses it; give each its own")
            } else {
                errno.into()
            }
        })?;
        let mut old = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(segment_number);
            old.extend(number.map(|number| (number, folder.join(name))));
        }
        old.sort_unstable();
        let segments = old.iter().map(|(number, _)| Segment {
            number: *number,
            holders: 0,
            emptied: None,
            damaged: false,
        });
        let mut journal = Journal {
            folder: folder.into(),
            _lock: lock,
            segments: segments.collect(),
            file: None,
            file_bytes: 0,
            begun: 0,
            segment_secs,
            buffer: Vec::new(),
            last_id: 0,
            last_time: 0,
            unsynced: false,
            synced: 0,
            sync_secs,
            folders: Vec::new(),
            failing: false,
            written_bytes: 0,
        };
        journal.begin_segment(0);
        Ok((journal, old))
    }

    /// Bytes written since the start.
    pub(super) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Number of the segment that is being written.
    pub(super) fn current(&self) -> u32 {
        self.segments.back().map_or(0, |segment| segment.number)
    }

    /// A file's oldest waiting sample is in that segment.
    pub(super) fn hold(&mut self, segment: u32) {
        if let Some(segment) = self.segment(segment) {
            segment.holders += 1;
        }
    }

    /// It is no more.
    pub(super) fn release(&mut self, segment: u32, now: u32) {
        if let Some(segment) = self.segment(segment) {
            segment.holders -= 1;
            segment.emptied = Some(now);
        }
    }

    /// Marks a segment that could not be read as it was written, so that it is kept.
    pub(super) fn keep_aside(&mut self, segment: u32) {
        if let Some(segment) = self.segment(segment) {
            segment.damaged = true;
        }
    }

    /// Notes a sample that the cache has just taken.
    pub(super) fn sample(&mut self, cache: &mut Cache, id: FileId, time: u32, packed: &[u8]) {
        self.name(cache, id);
        self.tag(SAMPLE, id);
        push_number(step(self.last_time, time), &mut self.buffer);
        self.buffer.extend_from_slice(packed);
        self.last_time = time;
        self.spill();
    }

    /// Notes that a file's samples up to here are not to be written.
    pub(super) fn forget(&mut self, cache: &mut Cache, id: FileId) {
        self.name(cache, id);
        self.tag(FORGET, id);
        self.spill();
    }

    /// Writes what is in memory, has the disk take it once a poll round, begins another segment if
    /// it is time to, and removes those that are done with. Says when that fails, and when it works
    /// again.
    pub(super) fn commit(&mut self, now: u32) {
        self.write_frame();
        if self.unsynced && now.saturating_sub(self.synced) >= self.sync_secs {
            self.sync(now);
        }
        let old = now.saturating_sub(self.begun) >= self.segment_secs;
        if self.file_bytes > SEGMENT_BYTES || (old && self.file_bytes > 0) {
            self.sync(now);
            self.begin_segment(now);
        }
        self.trim(|emptied| now.saturating_sub(emptied) >= SETTLE_SECS);
    }

    /// Whether `commit` has something to do before long.
    pub(super) fn is_dirty(&self) -> bool {
        self.unsynced || !self.buffer.is_empty()
    }

    /// Writes and syncs what there is, and removes what nothing is left of, the current segment
    /// with it.
    pub(super) fn close(&mut self, now: u32) {
        self.write_frame();
        self.sync(now);
        self.begin_segment(now);
        self.trim(|_| true);
    }

    fn segment(&mut self, number: u32) -> Option<&mut Segment> {
        let at = self
            .segments
            .binary_search_by_key(&number, |segment| segment.number);
        self.segments.get_mut(at.ok()?)
    }

    /// Removes the oldest segments, as far as nothing of them waits and what did has settled.
    fn trim(&mut self, has_settled: impl Fn(u32) -> bool) {
        while self.segments.len() > 1
            && self.segments[0].holders == 0
            && self.segments[0].emptied.is_none_or(&has_settled)
        {
            let Some(segment) = self.segments.pop_front() else {
                return;
            };
            let path = self.path(segment.number);
            let done = if segment.damaged {
                fs::rename(&path, path.with_extension("damaged"))
            } else {
                fs::remove_file(&path)
            };
            match done {
                // One that nothing was written to was never made.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    log::error!("journal: {} cannot be removed: {error}", path.display());
                }
                _ => {}
            }
        }
    }

    fn path(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{PREFIX}{number:010}{ENDING}"))
    }

    fn begin_segment(&mut self, now: u32) {
        let number = self.current() + 1;
        self.segments.push_back(Segment {
            number,
            holders: 0,
            emptied: None,
            damaged: false,
        });
        self.file = None;
        self.file_bytes = 0;
        self.begun = now;
    }

    /// Says who a file is, if this segment does not say it yet.
    fn name(&mut self, cache: &mut Cache, id: FileId) {
        let current = self.current();
        if cache.get(id).named_in == current {
            return;
        }
        let folder = cache.get(id).folder;
        let path = cache.folder(id);
        if self.folders.len() <= folder as usize {
            self.folders.resize(folder as usize + 1, (0, "".into()));
        }
        let known = &mut self.folders[folder as usize];
        if known.0 != current || *known.1 != *path {
            known.0 = current;
            if *known.1 != *path {
                known.1 = path.into();
            }
            push_number(u64::from(folder) << 2 | FOLDER, &mut self.buffer);
            push_text(path, &mut self.buffer);
        }
        self.tag(FILE, id);
        let FileSpec {
            step_secs,
            kind,
            with_num,
        } = cache.get(id).spec;
        push_number(folder.into(), &mut self.buffer);
        push_number(step_secs.into(), &mut self.buffer);
        self.buffer
            .push(kind_number(kind) | u8::from(with_num) << 2);
        push_text(cache.name(id), &mut self.buffer);
        cache.get_mut(id).named_in = current;
    }

    fn tag(&mut self, what: u64, id: FileId) {
        push_number(
            step(self.last_id, id.number()) << 2 | what,
            &mut self.buffer,
        );
        self.last_id = id.number();
    }

    fn spill(&mut self) {
        if self.buffer.len() >= BUFFER_BYTES {
            self.write_frame();
        }
    }

    fn write_frame(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        (self.last_id, self.last_time) = (0, 0);
        let mut crc = Crc::new();
        crc.update(&self.buffer);
        let mut head = [0; 8];
        head[..4].copy_from_slice(&(self.buffer.len() as u32).to_le_bytes());
        head[4..].copy_from_slice(&crc.sum().to_le_bytes());
        let buffer = std::mem::take(&mut self.buffer);
        let done = self.append(&[&head, &buffer]);
        self.buffer = buffer;
        self.buffer.clear();
        self.judge(done);
    }

    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        if self.file.is_none() {
            let path = self.path(self.current());
            let mut file = OpenOptions::new()
                .append(true)
                .create_new(true)
                .mode(0o640)
                .open(path)?;
            file.write_all(HEADER)?;
            self.file_bytes = HEADER.len() as u64;
            self.written_bytes += self.file_bytes;
            // So that a loss of power does not lose the name.
            File::open(&self.folder)?.sync_all()?;
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else {
            unreachable!("it was opened above")
        };
        for part in parts {
            file.write_all(part)?;
            self.file_bytes += part.len() as u64;
            self.written_bytes += part.len() as u64;
        }
        self.unsynced = true;
        Ok(())
    }

    fn sync(&mut self, now: u32) {
        self.synced = now;
        if std::mem::take(&mut self.unsynced)
            && let Some(file) = &self.file
        {
            let done = file.sync_data();
            self.judge(done);
        }
    }

    /// Says a failure once, and goes on in another segment: this one may end in half a frame.
    fn judge(&mut self, done: io::Result<()>) {
        match done {
            Ok(()) if self.failing => {
                self.failing = false;
                gmetad_core::recovered!(error: "journal: {} is written again", self.folder.display());
            }
            Ok(()) => {}
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    log::error!(
                        "journal: {} cannot be written: {error}; values that wait in memory would \
                         be lost with the process",
                        self.folder.display()
                    );
                }
                let begun = self.begun;
                self.begin_segment(begun);
            }
        }
    }
}

/// The number of a segment, by its file's name.
fn segment_number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(ENDING)?;
    digits.parse().ok().filter(|number| *number < u32::MAX / 2)
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    push_number(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Gauge => 0,
        Kind::Counter => 1,
        Kind::Derive => 2,
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::cache::{Delay, Held};
    use super::super::packed::pack;
    use super::super::replay::{self, End, Record};
    use super::*;

    const SPEC: FileSpec = FileSpec {
        step_secs: 15,
        kind: Kind::Derive,
        with_num: true,
    };

    struct Rig {
        folder: TempDir,
        journal: Journal,
        cache: Cache,
    }

    impl Rig {
        fn new() -> Rig {
            let folder = TempDir::new().unwrap();
            let delay = Delay {
                timeout_secs: 100,
                jitter_secs: 0,
            };
            Rig {
                journal: Journal::open(folder.path(), 50, 1, 0o644).unwrap().0,
                cache: Cache::new(delay, 1 << 30),
                folder,
            }
        }

        fn put(&mut self, name: &str, time: u32) -> FileId {
            let id = self.cache.use_file("c/h", name, SPEC);
            let mut packed = Vec::new();
            assert!(pack(b"12:3", &mut packed));
            let current = self.journal.current();
            let held = self.cache.put(id, time, &packed, 0);
            self.journal.sample(&mut self.cache, id, time, &packed);
            if held == Held::First {
                self.cache.get_mut(id).oldest_segment = current;
                self.journal.hold(current);
            }
            id
        }

        fn write(&mut self, id: FileId) {
            self.cache.drop_samples(id);
            let oldest = self.cache.get(id).oldest_segment;
            self.journal.release(oldest, 101);
        }

        fn segments(&self) -> Vec<PathBuf> {
            let entries = fs::read_dir(self.folder.path()).unwrap();
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
            paths.retain(|path| path.extension().is_some_and(|it| it == "journal"));
            paths.sort();
            paths
        }
    }

    fn read(bytes: &[u8]) -> (Vec<(String, u32)>, End) {
        let mut seen = Vec::new();
        let end = replay::read(bytes, |record| {
            if let Record::Sample { file, time, .. } = record {
                assert_eq!(file.spec, SPEC);
                seen.push((format!("{}/{}", file.folder, file.name), time));
            }
        });
        (seen, end)
    }

    #[test]
    fn a_segment_goes_when_nothing_in_it_or_before_it_waits() {
        let mut rig = Rig::new();
        let (a, b) = (rig.put("a", 1000), rig.put("b", 1000));
        rig.journal.commit(50);
        rig.put("a", 1050);
        let c = rig.put("c", 1050);
        rig.journal.commit(100);
        rig.put("b", 1100);
        rig.journal.commit(101);
        assert_eq!(rig.segments().len(), 3);
        rig.write(c);
        rig.write(a);
        assert_eq!(rig.segments().len(), 3, "b waits since the first");
        rig.write(b);
        rig.journal.commit(101 + SETTLE_SECS - 1);
        assert_eq!(rig.segments().len(), 3, "the disk may not have b yet");
        rig.journal.commit(101 + SETTLE_SECS);
        assert!(rig.segments().is_empty(), "the next has nothing yet");
        rig.put("b", 1200);
        rig.journal.commit(101 + SETTLE_SECS);
        assert_eq!(rig.segments().len(), 1, "the last is still written to");
        rig.write(b);
        rig.journal.close(102);
        assert!(rig.segments().is_empty());
    }

    #[test]
    fn every_segment_can_be_read_alone_and_cut_anywhere() {
        let mut rig = Rig::new();
        rig.put("a", 1000);
        rig.put("b", 1001);
        rig.journal.commit(50);
        for time in [1050, 1065] {
            rig.put("b", time);
            rig.put("a", time);
            rig.journal.commit(51);
        }
        let wanted = [
            ("c/h/b", 1050),
            ("c/h/a", 1050),
            ("c/h/b", 1065),
            ("c/h/a", 1065),
        ];
        let wanted = wanted.map(|(path, time)| (path.to_owned(), time));
        let bytes = fs::read(&rig.segments()[1]).unwrap();
        assert_eq!(read(&bytes), (wanted.to_vec(), End::Whole));
        for length in 0..bytes.len() {
            let (seen, end) = read(&bytes[..length]);
            assert_eq!(seen, wanted[..seen.len()], "cut at {length}");
            assert_ne!(end, End::Damaged, "cut at {length}");
            let mut wrong = bytes.clone();
            wrong[length] ^= 0x41;
            let (seen, end) = read(&wrong);
            assert!(seen.len() < 4 && end != End::Whole, "wrong at {length}");
        }
    }

    #[test]
    fn a_journal_has_one_writer() {
        let rig = Rig::new();
        let error = Journal::open(rig.folder.path(), 50, 1, 0o644).unwrap_err();
        assert!(error.to_string().contains("another gmetad"), "{error}");
    }

    #[test]
    fn a_journal_that_cannot_be_written_goes_on_when_it_can() {
        let mut rig = Rig::new();
        let moved = rig.folder.path().join("gone");
        rig.journal.folder = moved.clone();
        rig.put("a", 1000);
        rig.journal.commit(1);
        assert!(rig.journal.failing);
        fs::create_dir(&moved).unwrap();
        rig.put("a", 1015);
        rig.journal.commit(2);
        assert!(!rig.journal.failing);
        let segment = fs::read_dir(&moved).unwrap().next().unwrap().unwrap();
        let (seen, end) = read(&fs::read(segment.path()).unwrap());
        assert_eq!((seen, end), (vec![("c/h/a".into(), 1015)], End::Whole));
    }
}
