//! The journal: samples that are held in memory, noted in files that are only ever appended to.
//!
//! It knows which of its segments may go, and not what has been written to RRD files.
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
//!
//! A forget is of all samples of its file that come before it, also of those that were written to
//! the file: these can be lost where the power fails before the system has given the file to the
//! disk.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use gmetad_core::complaint::span;

use crate::file::FileSpec;
use crate::record::FileId;
use disk::aside;
use frame::Frame;
use segments::{Segments, Wait};

mod disk;
mod frame;
pub(crate) mod replay;
mod segments;

pub(crate) use disk::{Disk, FolderDisk};
pub(crate) use segments::SegmentHold;

/// No frame's payload is longer; a reader that sees more sees damage.
const FRAME_BYTES: usize = 1 << 20;

const HEADER: &[u8; 16] = b"gmetad journal 1";

const SAMPLE: u64 = 0;
const FILE: u64 = 1;
const FOLDER: u64 = 2;
const FORGET: u64 = 3;

/// How a file is called.
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

/// When the journal does what takes a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// A segment that is older takes in no more.
    pub(crate) segment_secs: u32,
    /// Nor does one that is larger.
    pub(crate) segment_bytes: u64,
    /// The disk has what is older than that.
    pub(crate) sync_secs: u32,
    /// Records that are more than that are written whatever the time. A frame is hardly longer.
    pub(crate) frame_bytes: usize,
}

impl Pace {
    /// Of a journal that begins another segment so often, and is synced so often.
    pub(crate) fn new(segment_secs: u32, sync_secs: u32) -> Pace {
        Pace {
            segment_secs,
            segment_bytes: 64 << 20,
            sync_secs,
            frame_bytes: FRAME_BYTES / 4,
        }
    }
}

/// A file whose samples are not to be written, while the disk need not have that yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ForgottenFile {
    folder: Box<str>,
    name: Box<str>,
}

/// What a failure costs the journal. Whoever has the samples is to note them once more when the
/// journal [is being mended](Journal::is_mending).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the journal lacks samples"]
pub(crate) enum Lost {
    /// The record that was to be noted.
    This,
    /// Records of that segment, the newest among them.
    Some { segment: u32 },
}

/// Whether the journal has what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has everything.
    Sound,
    /// It could not be written, and takes no records until the disk takes a new segment.
    Failing {
        /// Second of the first failure.
        since: u32,
        /// Second of the last.
        tried: u32,
    },
    /// It is written again, but lacks what came in between.
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
    /// Records that are not yet in the current segment.
    frame: Frame,
    /// Whether the current segment was made on the disk.
    is_made: bool,
    segment_bytes: u64,
    /// Second at which the current segment was begun.
    begun: u32,
    /// Whether there is something that the disk need not have yet.
    unsynced: bool,
    /// Second of the last sync.
    synced: u32,
    /// What was forgotten since then.
    forgotten: BTreeSet<ForgottenFile>,
    /// Whether a segment could not be removed.
    is_stuck: bool,
    /// As of the last commit.
    now: u32,
    written_bytes: u64,
}

impl<D: Disk> Journal<D> {
    /// A journal on that disk, and what earlier runs left there, oldest first. That is to be read
    /// before anything is noted.
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

    /// Keeps a segment that could not be read as it was written for a person to look at; where, once
    /// it is not needed any more.
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

    /// Whether the journal has everything that it was given, but for what the next commit writes.
    pub(crate) fn is_sound(&self) -> bool {
        self.state == State::Sound
    }

    /// Whether the journal lacks samples that were given to it, and takes them now.
    pub(crate) fn is_mending(&self) -> bool {
        matches!(self.state, State::Mending { .. })
    }

    /// Whether a commit before long has something to do.
    pub(crate) fn is_dirty(&self) -> bool {
        self.unsynced || !self.frame.is_empty() || !self.is_sound()
    }

    /// Notes a sample of a file that was last named in the segment `named_in`. From now on, that is
    /// the current one.
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

    /// Notes that a file's samples up to here are not to be written; the rest as above.
    pub(crate) fn forget(
        &mut self,
        id: FileId,
        named_in: u32,
        identity: Identity<'_>,
    ) -> Result<(), Lost> {
        self.forgotten.insert(ForgottenFile {
            folder: identity.folder.into(),
            name: identity.name.into(),
        });
        self.begin_record(id, named_in, || identity)?;
        self.frame.forget(id);
        self.spill()
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

    /// Writes what was noted, has the disk take it once a poll round, begins another segment if it
    /// is time to, and removes those that are not needed any more.
    ///
    /// A failure is logged once. From then on, nothing is noted until the disk takes a new segment.
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

    /// All that the journal lacked has been noted: it is sound once the disk has it.
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

    /// Tries once more to write a journal that fails, whenever that was last tried.
    pub(crate) fn try_at_the_end(&mut self) {
        if let State::Failing { since, .. } = self.state {
            self.try_again(since);
        }
    }

    /// Writes and syncs what there is, and removes what nobody needs, the current segment with it.
    pub(crate) fn close(&mut self, now: u32) -> Result<(), Lost> {
        self.now = now;
        let done = match self.state {
            State::Failing { .. } => Ok(()),
            State::Sound | State::Mending { .. } => self.write_frame().and_then(|()| self.sync()),
        };
        let done = done.map_err(|error| self.fail(&error));
        self.begin_segment();
        self.remove_unneeded(Wait::None);
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

    /// Logs a failure, the first time, and leaves the segment, which may end in half a frame.
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
        self.begin_segment();
        Lost::Some { segment }
    }

    /// Has the disk take a new segment that begins with what was forgotten and may not be known
    /// there: the samples that are noted next are not meant.
    fn try_again(&mut self, since: u32) {
        let done = self.note_forgotten().and_then(|()| self.sync());
        if done.is_ok() {
            self.state = State::Mending { since };
            return;
        }
        self.frame.clear();
        self.is_made = false;
        self.unsynced = false;
        self.state = State::Failing {
            since,
            tried: self.now,
        };
        match self.disk.remove(self.current()) {
            // Else the number is used again, so that no try leaves anything to be remembered.
            Err(error) if error.kind() != io::ErrorKind::NotFound => self.begin_segment(),
            _ => {}
        }
    }

    fn note_forgotten(&mut self) -> io::Result<()> {
        self.make_segment()?;
        let forgotten = std::mem::take(&mut self.forgotten);
        let done = forgotten.iter().try_for_each(|file| {
            self.frame.forget_by_name(file);
            if self.frame.payload_bytes() < self.pace.frame_bytes {
                return Ok(());
            }
            self.write_frame()
        });
        self.forgotten = forgotten;
        done.and_then(|()| self.write_frame())
    }

    /// Removes the oldest segments, as far as nobody needs them; one that cannot be removed keeps
    /// those after it, and is tried again.
    fn remove_unneeded(&mut self, waits: Wait) {
        while let Some(segment) = self.segments.unneeded(self.now, waits) {
            let done = if segment.damaged {
                self.disk.set_aside(segment.number)
            } else {
                self.disk.remove(segment.number)
            };
            match done {
                // A segment that nothing was written to was never made.
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
