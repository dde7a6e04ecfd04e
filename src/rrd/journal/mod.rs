//! The journal: notes samples that are held in memory, in files that are only ever appended to.
//!
//! It knows which of its segments may be removed, and not what is in the RRD files.
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
//! Steps start from 0 in each frame. The newest file or folder record in the segment says what a
//! number means, so each segment can be read alone.
//!
//! A forget is for all samples of its file before it, also for those that were written to the file
//! already. These are lost if the power fails before the system has given the file to the disk.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use gmetad_core::complaint::span;

use crate::file::FileSpec;
use disk::aside;
use frame::Frame;
use segments::{Segments, Wait};

mod disk;
mod file_id;
mod frame;
mod heal;
pub(crate) mod packed;
pub(crate) mod replay;
mod segments;

pub(crate) use disk::{Disk, FolderDisk};
pub(crate) use file_id::FileId;
pub(crate) use heal::heal;
pub(crate) use segments::SegmentHold;

/// Longest payload of a frame. A reader takes a longer one for damage.
const FRAME_BYTES: usize = 1 << 20;

/// What a sample takes at most, beside its value and its time.
const SAMPLE_BYTES: usize = 12;

const HEADER: &[u8; 16] = b"gmetad journal 1";

const SAMPLE: u64 = 0;
const FILE: u64 = 1;
const FOLDER: u64 = 2;
const FORGET: u64 = 3;

/// The name of a file, and how to create it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'a> {
    /// Number of its folder in the cache.
    pub(crate) folder_number: u32,
    /// Its folder below the root.
    pub(crate) folder: &'a str,
    /// Without the ending.
    pub(crate) name: &'a str,
    pub(crate) spec: FileSpec,
}

/// When the journal writes, syncs and goes on to the next segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Age at which a segment is ended.
    pub(crate) segment_secs: u32,
    /// Size at which a segment is ended.
    pub(crate) segment_bytes: u64,
    /// Time between two syncs.
    pub(crate) sync_secs: u32,
    /// Size at which records are written before the next commit. A frame is hardly longer.
    pub(crate) frame_bytes: usize,
}

impl Pace {
    /// The pace of a journal that begins a segment and is synced that often.
    pub(crate) fn new(segment_secs: u32, sync_secs: u32) -> Pace {
        Pace {
            segment_secs,
            segment_bytes: 64 << 20,
            sync_secs,
            frame_bytes: FRAME_BYTES / 4,
        }
    }
}

/// A file whose samples were forgotten, until the disk has the record of that.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ForgottenFile {
    /// Its folder below the root.
    pub(crate) folder: Box<str>,
    /// Without the ending.
    pub(crate) name: Box<str>,
}

/// What the journal lacks after a failure. The caller notes it again while the journal
/// [is being mended](Journal::is_mending).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the journal lacks samples"]
pub(crate) enum Lost {
    /// The record that the call was for.
    This,
    /// Any records of that segment, and the one that the call was for.
    Some { segment: u32 },
}

/// Whether the journal has what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has everything.
    Sound,
    /// It could not be written. It takes no records until the disk takes a new segment.
    Failing {
        /// Second of the first failure.
        since: u32,
        /// Second of the newest.
        tried: u32,
    },
    /// It is written again, but lacks what came in since it failed.
    Mending {
        /// Second of the first failure.
        since: u32,
    },
}

/// A segment of an earlier run, to be read.
#[derive(Debug)]
pub(crate) struct OldSegment(u32);

#[derive(Debug)]
pub(crate) struct Journal<D> {
    disk: D,
    pace: Pace,
    segments: Segments,
    state: State,
    /// Records that are not in the current segment yet.
    frame: Frame,
    /// Whether the current segment was made on the disk.
    is_made: bool,
    segment_bytes: u64,
    /// Second at which the current segment was begun.
    begun: u32,
    /// Whether the current segment was written to since the last sync.
    unsynced: bool,
    /// Second of the last sync.
    synced: u32,
    /// Files whose samples were forgotten since then.
    forgotten: BTreeSet<ForgottenFile>,
    /// The same, where the record of that may be lost.
    forgotten_and_lost: BTreeSet<ForgottenFile>,
    /// Whether the oldest segment could not be removed when that was last tried.
    is_stuck: bool,
    /// Second of the last commit.
    now: u32,
    written_bytes: u64,
}

impl<D: Disk> Journal<D> {
    /// Opens the journal on that disk. The segments that earlier runs left there, oldest first, have
    /// to be read before anything is noted.
    pub(crate) fn open(disk: D, pace: Pace) -> io::Result<(Journal<D>, Vec<OldSegment>)> {
        let mut old = disk.segments()?;
        old.sort_unstable();
        let journal = Journal {
            disk,
            pace,
            segments: Segments::new(&old),
            state: State::Sound,
            frame: Frame::default(),
            is_made: false,
            segment_bytes: 0,
            begun: 0,
            unsynced: false,
            synced: 0,
            forgotten: BTreeSet::new(),
            forgotten_and_lost: BTreeSet::new(),
            is_stuck: false,
            now: 0,
            written_bytes: 0,
        };
        Ok((journal, old.into_iter().map(OldSegment).collect()))
    }

    /// What is in a segment of an earlier run.
    pub(crate) fn read(&self, segment: &OldSegment) -> io::Result<Vec<u8>> {
        self.disk.read(segment.0)
    }

    /// Where a segment is, for the log.
    pub(crate) fn path(&self, segment: &OldSegment) -> PathBuf {
        self.disk.path(segment.0)
    }

    /// Marks a segment that could not be read as it was written. It is kept for a person to look at;
    /// returns where, once it is not needed any more.
    pub(crate) fn set_damaged(&mut self, segment: &OldSegment) -> PathBuf {
        self.segments.set_damaged(segment.0);
        aside(&self.disk.path(segment.0))
    }

    /// Bytes written since the start.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Number of the segment that is being written.
    #[inline]
    pub(crate) fn current(&self) -> u32 {
        self.segments.current()
    }

    /// Keeps the current segment for a file whose first sample is about to be noted.
    pub(crate) fn hold_current(&mut self) -> SegmentHold {
        self.segments.hold_current()
    }

    /// Keeps a segment of an earlier run for a file whose first sample is in it.
    pub(crate) fn hold(&mut self, segment: &OldSegment) -> Option<SegmentHold> {
        self.segments.hold(segment.0)
    }

    /// A file's samples are written, or not wanted any more.
    pub(crate) fn release(&mut self, hold: SegmentHold, now: u32) {
        self.segments.release(hold, now);
    }

    /// Whether the journal has everything that it was given. The next commit writes the newest of it.
    pub(crate) fn is_sound(&self) -> bool {
        self.state == State::Sound
    }

    /// Whether the journal lacks samples that it was given, and can be written again.
    pub(crate) fn is_mending(&self) -> bool {
        matches!(self.state, State::Mending { .. })
    }

    /// Whether the next commit has something to do.
    pub(crate) fn is_dirty(&self) -> bool {
        self.unsynced || !self.frame.is_empty() || !self.is_sound()
    }

    /// Notes a sample of a file. `named_in` is the last segment that names the file; after this, it
    /// is the current one.
    #[inline]
    pub(crate) fn sample<'a>(
        &mut self,
        id: FileId,
        named_in: u32,
        identity: impl FnOnce() -> Identity<'a>,
        time: u32,
        packed: &[u8],
    ) -> Result<(), Lost> {
        self.begin_record(id, named_in, identity)?;
        self.frame.sample(id, time, packed);
        self.spill()
    }

    /// Notes that the samples of a file up to here are not to be written. `named_in` is as above.
    pub(crate) fn forget(
        &mut self,
        id: FileId,
        named_in: u32,
        identity: Identity<'_>,
    ) -> Result<(), Lost> {
        let file = ForgottenFile {
            folder: identity.folder.into(),
            name: identity.name.into(),
        };
        if let Err(lost) = self.begin_record(id, named_in, || identity) {
            self.forgotten_and_lost.insert(file);
            return Err(lost);
        }
        self.forgotten.insert(file);
        self.frame.forget(id);
        self.spill()
    }

    /// While the journal is being mended: a file whose samples were forgotten, and the record of that
    /// may be lost. It is to be [noted again](Journal::forget_again).
    pub(crate) fn next_forgotten(&mut self) -> Option<ForgottenFile> {
        if !self.is_mending() {
            return None;
        }
        self.forgotten_and_lost.pop_first()
    }

    /// Notes once more that a file's samples were forgotten, and all samples that it has got since.
    /// They are in one frame, so that no crash separates them. They must fit:
    /// [`Journal::fits_in_a_frame`].
    pub(crate) fn forget_again<'a>(
        &mut self,
        file: ForgottenFile,
        held: Option<(FileId, Identity<'_>)>,
        samples: impl Iterator<Item = (u32, &'a [u8])>,
    ) -> Result<(), Lost> {
        match held {
            None => self.frame.forget_by_name(&file),
            Some((id, identity)) => {
                self.frame.file(id, identity, self.segments.current());
                self.frame.forget(id);
                samples.for_each(|(time, packed)| self.frame.sample(id, time, packed));
            }
        }
        self.forgotten.insert(file);
        self.spill()
    }

    /// Whether so many samples of so many bytes in all fit in one frame, beside what it may have.
    pub(crate) fn fits_in_a_frame(samples: u32, bytes: usize) -> bool {
        bytes + samples as usize * SAMPLE_BYTES <= FRAME_BYTES / 2
    }

    #[inline]
    fn begin_record<'a>(
        &mut self,
        id: FileId,
        named_in: u32,
        identity: impl FnOnce() -> Identity<'a>,
    ) -> Result<(), Lost> {
        if matches!(self.state, State::Failing { .. }) {
            return Err(Lost::This);
        }
        let current = self.segments.current();
        if named_in != current {
            self.frame.file(id, identity(), current);
        }
        Ok(())
    }

    #[inline]
    fn spill(&mut self) -> Result<(), Lost> {
        if self.frame.payload_bytes() < self.pace.frame_bytes {
            return Ok(());
        }
        self.write_frame().map_err(|error| self.fail(&error))
    }

    /// Writes what was noted. At its [`Pace`], syncs it and begins another segment. Removes segments
    /// that are not needed any more.
    ///
    /// A failure is logged once. After it, nothing is noted until the disk takes a new segment.
    pub(crate) fn commit(&mut self, now: u32) -> Result<(), Lost> {
        self.now = now;
        let done = match self.state {
            State::Failing { since, tried } => {
                if now > tried {
                    self.try_again(since);
                }
                Ok(())
            }
            State::Sound | State::Mending { .. } => self.write_and_sync(),
        };
        let done = done.map_err(|error| self.fail(&error));
        self.remove_unneeded(Wait::ToSettle);
        done
    }

    /// Ends the mending: all that the journal lacked has been noted. It is sound once the disk has it.
    pub(crate) fn finish_mending(&mut self) -> Result<(), Lost> {
        let State::Mending { since } = self.state else {
            return Ok(());
        };
        let done = self.write_frame().and_then(|()| self.sync());
        done.map_err(|error| self.fail(&error))?;
        self.state = State::Sound;
        let lasted = Duration::from_secs((self.now - since).into());
        gmetad_core::recovered!(
            error: "journal: {} is written again, after {}; the values held meanwhile are in it",
            self.disk.folder().display(),
            span(lasted)
        );
        Ok(())
    }

    /// If the journal fails, tries once more to write it.
    pub(crate) fn try_at_the_end(&mut self) {
        if let State::Failing { since, .. } = self.state {
            self.try_again(since);
        }
    }

    /// Writes and syncs what was noted, and removes the segments that are not held: all of them, also the
    /// current one, if what was written from them `has_settled` on the disk, and otherwise those old
    /// enough.
    pub(crate) fn close(&mut self, now: u32, has_settled: bool) -> Result<(), Lost> {
        self.now = now;
        let done = match self.state {
            State::Failing { .. } => Ok(()),
            State::Sound | State::Mending { .. } => self.write_frame().and_then(|()| self.sync()),
        };
        let done = done.map_err(|error| self.fail(&error));
        self.begin_segment();
        self.remove_unneeded(if has_settled {
            Wait::None
        } else {
            Wait::ToSettle
        });
        done
    }

    fn write_and_sync(&mut self) -> io::Result<()> {
        self.write_frame()?;
        if self.now.saturating_sub(self.synced) >= self.pace.sync_secs {
            self.sync()?;
        }
        let is_old = self.now.saturating_sub(self.begun) >= self.pace.segment_secs;
        if self.segment_bytes > self.pace.segment_bytes || (is_old && self.is_made) {
            self.sync()?;
            self.begin_segment();
        }
        Ok(())
    }

    fn write_frame(&mut self) -> io::Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        self.make_segment()?;
        let frame = self.frame.finish();
        append(&mut self.disk, frame)?;
        self.unsynced = true;
        self.segment_bytes += frame.len() as u64;
        self.written_bytes += frame.len() as u64;
        self.frame.clear();
        Ok(())
    }

    fn make_segment(&mut self) -> io::Result<()> {
        if self.is_made {
            return Ok(());
        }
        self.disk.create(self.current())?;
        append(&mut self.disk, HEADER)?;
        self.unsynced = true;
        self.is_made = true;
        self.segment_bytes = HEADER.len() as u64;
        self.written_bytes += self.segment_bytes;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.synced = self.now;
        if self.unsynced {
            self.disk.sync()?;
            self.unsynced = false;
        }
        if self.frame.is_empty() {
            self.forgotten.clear();
        }
        Ok(())
    }

    fn begin_segment(&mut self) {
        self.segments.begin();
        self.is_made = false;
        self.segment_bytes = 0;
        self.begun = self.now;
        self.unsynced = false;
    }

    /// Logs a failure, if it is the first, and leaves the segment, which may end in half a frame.
    fn fail(&mut self, error: &io::Error) -> Lost {
        let since = match self.state {
            State::Sound => {
                log::error!(
                    "journal: {} cannot be written: {error}; a crash would lose the values held in \
                     memory; gmetad tries again every second, and then notes them",
                    self.disk.folder().display()
                );
                self.now
            }
            State::Failing { since, .. } | State::Mending { since } => since,
        };
        self.state = State::Failing {
            since,
            tried: self.now,
        };
        let segment = self.current();
        self.frame.clear();
        self.forgotten_and_lost.append(&mut self.forgotten);
        self.begin_segment();
        Lost::Some { segment }
    }

    /// Tries to write a new segment.
    fn try_again(&mut self, since: u32) {
        let done = self.make_segment().and_then(|()| self.sync());
        if done.is_ok() {
            self.state = State::Mending { since };
            return;
        }
        self.is_made = false;
        self.unsynced = false;
        self.state = State::Failing {
            since,
            tried: self.now,
        };
        match self.disk.remove(self.current()) {
            // Otherwise the number is used again, so that attempts do not add up to segments.
            Err(error) if error.kind() != io::ErrorKind::NotFound => self.begin_segment(),
            _ => {}
        }
    }

    /// Removes the oldest segments, up to the first that is needed. If one cannot be removed, those
    /// after it stay too, and the next commit tries again.
    fn remove_unneeded(&mut self, waits: Wait) {
        while let Some(segment) = self.segments.unneeded(self.now, waits) {
            let done = if segment.damaged {
                self.disk.set_aside(segment.number)
            } else {
                self.disk.remove(segment.number)
            };
            match done {
                // A segment is made when it is first written to, so it may not exist.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    if !std::mem::replace(&mut self.is_stuck, true) {
                        let path = self.disk.path(segment.number);
                        log::error!(
                            "journal: {} cannot be removed: {error}; the journal grows until it \
                             can, and is read again by the next start",
                            path.display()
                        );
                    }
                    return;
                }
                _ => self.segments.removed(segment),
            }
            if std::mem::take(&mut self.is_stuck) {
                let folder = self.disk.folder().display();
                gmetad_core::recovered!(error: "journal: files in {folder} can be removed again");
            }
        }
    }
}

fn append(disk: &mut impl Disk, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match disk.append(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => bytes = &bytes[taken..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
