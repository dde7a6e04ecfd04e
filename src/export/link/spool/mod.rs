//! A backlog on disk: frames are appended to segments before anything else is done with them, read
//! back in order, and forgotten once the server has taken them.
//!
//! Decides; a [`SpoolDisk`] does the I/O, on the thread that asks.
//!
//! A kill loses nothing that was put in: what was written is the system's. Segments are synced when
//! they end, so a loss of power costs at most the newest. Which value is the first that the server
//! has not taken stands in a file of its own, written after each answer. A kill between the answer
//! and that makes the next start send one frame again: the same values with the same times.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Frame;
use record::{
    HEAD_BYTES, HEADER_BYTES, Head, LAST_START, MOST_VALUES, header, position, read_position,
};

mod disk;
mod folder;
mod reading;
mod record;

pub use disk::SpoolDisk;
pub use folder::{FolderDisk, lock_folder};

/// Shortest segment.
const SEGMENT_BYTES: u64 = 256 * 1024;

/// As many segments as fit: this is how much goes at once when there is no room.
const SEGMENTS: u64 = 64;

/// Time between two attempts to write to a disk that has failed.
const RETRY_MS: u64 = 10_000;

/// A backlog on disk, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolSettings {
    /// Its folder.
    pub folder: PathBuf,
    /// Bytes that it may have.
    pub limit_bytes: u64,
    /// What was taken so lately is sent again when the connection is lost.
    pub resend: Duration,
}

/// What there is to say about the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpoolNews {
    /// An earlier run left so many bytes.
    Found(u64),
    /// It cannot be written, and why.
    Failed(String),
    /// It is written again.
    Works,
    /// So many values could not be read, and why.
    Damaged(u64, String),
}

/// Where a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    segment: u64,
    offset: u64,
    /// Number of the first value that is expected there.
    value: u64,
}

impl Place {
    /// The first record of a segment.
    fn first_of(segment: u64, value: u64) -> Place {
        Place {
            segment,
            offset: HEADER_BYTES,
            value,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    number: u64,
    bytes: u64,
}

/// The record that was taken last, until it is settled or put back.
#[derive(Clone, Copy, Debug)]
struct Taken {
    head: Head,
    /// The place behind it; none: its segment was dropped meanwhile.
    behind: Option<Place>,
    /// Whether the server has taken it before.
    is_again: bool,
}

/// Whether the disk takes what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It was not opened yet.
    New,
    Works,
    /// It failed, last at this time.
    Failing(u64),
}

/// See the module.
#[derive(Debug)]
pub struct Spool {
    disk: Box<dyn SpoolDisk>,
    format: u8,
    limit_bytes: u64,
    segment_bytes: u64,
    resend: Duration,
    state: State,
    /// Whether the folder was read.
    is_open: bool,
    /// Oldest first.
    segments: VecDeque<Segment>,
    /// Whether the last of them is being written.
    is_writing: bool,
    /// Number of the next value that is put in.
    next_value: u64,
    /// What is taken next.
    cursor: Place,
    taken: Option<Taken>,
    /// Where sending starts again if the connection is lost.
    settled: Place,
    /// Places up to which all was taken, and when; only those that are younger than `resend`.
    recent: VecDeque<(Place, Instant)>,
    /// What became of values before this number is known: they were taken, or lost.
    known_until: u64,
    news: Vec<SpoolNews>,
}

impl Spool {
    /// On that disk; frames are written in `format`. Nothing is done yet.
    pub fn new(disk: Box<dyn SpoolDisk>, format: u8, settings: &SpoolSettings) -> Spool {
        let start = Place::first_of(0, 0);
        Spool {
            disk,
            format,
            limit_bytes: settings.limit_bytes,
            segment_bytes: (settings.limit_bytes / SEGMENTS).max(SEGMENT_BYTES),
            resend: settings.resend,
            state: State::New,
            is_open: false,
            segments: VecDeque::new(),
            is_writing: false,
            next_value: 0,
            cursor: start,
            taken: None,
            settled: start,
            recent: VecDeque::new(),
            known_until: 0,
            news: Vec::new(),
        }
    }

    /// Where it is, for the log.
    pub fn folder(&self) -> &Path {
        self.disk.folder()
    }

    /// Bytes that it may have.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// What there is to say, once.
    pub fn take_news(&mut self) -> Vec<SpoolNews> {
        std::mem::take(&mut self.news)
    }

    /// Whether the disk fails.
    pub fn is_failing(&self) -> bool {
        matches!(self.state, State::Failing(_))
    }

    /// Opens the folder if that was not done, and ends a failure that is over, at times. Returns
    /// whether it can be written.
    pub fn is_ready(&mut self, now_ms: u64) -> bool {
        match self.state {
            State::Works => return true,
            // A clock that was set back does not delay it for longer.
            State::Failing(last) if (last..last + RETRY_MS).contains(&now_ms) => return false,
            State::New | State::Failing(_) => {}
        }
        let opened = if self.is_open { Ok(()) } else { self.open() };
        let opened = opened.and_then(|()| self.begin_segment());
        match opened {
            Ok(()) => {
                if self.is_failing() {
                    self.news.push(SpoolNews::Works);
                }
                self.state = State::Works;
                true
            }
            Err(error) => {
                self.fail(&error, now_ms);
                false
            }
        }
    }

    /// Reads what an earlier run left.
    fn open(&mut self) -> io::Result<()> {
        self.disk.open()?;
        let mut found = self.disk.segments()?;
        found.retain(|(number, _)| *number <= MOST_VALUES);
        found.sort_unstable();
        self.segments = (found.into_iter())
            .map(|(number, bytes)| Segment { number, bytes })
            .collect();
        let position = self.disk.position()?;
        let position = position
            .and_then(|bytes| read_position(&bytes))
            .unwrap_or(0);
        // All that is before the last segment which begins before the position was taken.
        while (self.segments.get(1)).is_some_and(|next| next.number <= position) {
            self.remove_oldest()?;
        }
        if let Some(first) = self.segments.front() {
            self.cursor = Place::first_of(first.number, first.number.max(position));
            let mut place = self.cursor;
            while let Some((head, behind)) = self.head_at(place)
                && head.first < position
            {
                place = behind;
            }
            place.value = self.cursor.value;
            self.cursor = place;
        } else {
            self.cursor.value = position;
        }
        self.next_value = self.cursor.value;
        if let Some(&last) = self.segments.back() {
            self.next_value = self.next_value.max(last.number);
            let mut place = Place::first_of(last.number, last.number);
            while let Some((head, behind)) = self.head_at(place) {
                self.next_value = self.next_value.max(head.end());
                place = behind;
            }
            let has_more = last.bytes >= HEADER_BYTES + HEAD_BYTES as u64;
            if self.next_value == last.number && has_more {
                // Whatever that is, it is not what a kill leaves. It is told of when its turn comes.
                self.next_value += 1;
            }
        }
        (self.settled, self.known_until) = (self.cursor, self.cursor.value);
        self.is_open = true;
        if self.bytes() > 0 {
            self.news.push(SpoolNews::Found(self.bytes()));
        }
        Ok(())
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let number = self.next_value;
        if number > LAST_START {
            return Err(io::Error::other(format!(
                "its values are numbered up to {number}, which no folder reaches: when it is empty, remove what is in it"
            )));
        }
        if self
            .segments
            .back()
            .is_some_and(|last| last.number == number)
        {
            // Nothing was written to it, or only a part of what failed.
            self.segments.pop_back();
            self.remove(number)?;
        }
        self.is_writing = false;
        match self.disk.create(number) {
            // Its header could not be written.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.remove(number)?;
                self.disk.create(number)?;
            }
            created => created?,
        }
        self.disk.append(&header(self.format))?;
        self.segments.push_back(Segment {
            number,
            bytes: HEADER_BYTES,
        });
        self.is_writing = true;
        if self.segments.len() == 1 {
            self.cursor = Place::first_of(number, self.cursor.value);
            self.settled = self.cursor;
            self.recent.clear();
        }
        Ok(())
    }

    fn fail(&mut self, error: &io::Error, now_ms: u64) {
        self.is_writing = false;
        self.state = State::Failing(now_ms);
        self.news.push(SpoolNews::Failed(error.to_string()));
    }

    /// Appends a frame. Returns how many values were dropped to make room, or gives the frame back if
    /// the disk does not take it.
    pub fn put(&mut self, frame: Frame, since_ms: u64, now_ms: u64) -> Result<u64, Frame> {
        if !self.is_ready(now_ms) {
            return Err(frame);
        }
        let values = u64::from(frame.values);
        let head = Head::of(&frame, self.next_value, since_ms);
        if head.record_bytes() + HEADER_BYTES > self.limit_bytes {
            return Ok(values);
        }
        match self.write(&frame, head) {
            Ok(()) => {
                self.next_value = head.end();
                Ok(self.make_room())
            }
            Err(error) => {
                self.fail(&error, now_ms);
                Err(frame)
            }
        }
    }

    fn write(&mut self, frame: &Frame, head: Head) -> io::Result<()> {
        let is_full = (self.segments.back()).is_none_or(|last| {
            last.bytes > HEADER_BYTES && last.bytes + head.record_bytes() > self.segment_bytes
        });
        if self.is_writing && is_full {
            self.is_writing = false;
            self.disk.finish()?;
        }
        if !self.is_writing {
            self.begin_segment()?;
        }
        // One write, so that a kill seldom divides them.
        let mut record = Vec::with_capacity(HEAD_BYTES + frame.bytes.len());
        record.extend_from_slice(&head.bytes());
        record.extend_from_slice(&frame.bytes);
        self.disk.append(&record)?;
        if let Some(last) = self.segments.back_mut() {
            last.bytes += head.record_bytes();
        }
        Ok(())
    }

    /// Removes the oldest segments while there is too much. Returns how many values were lost.
    fn make_room(&mut self) -> u64 {
        let mut dropped = 0;
        while self.segments.len() > 1 && self.all_bytes() > self.limit_bytes {
            dropped += self.drop_oldest();
        }
        dropped
    }

    /// Removes the oldest segment. Returns how many of its values had still to be sent.
    fn drop_oldest(&mut self) -> u64 {
        let (Some(oldest), Some(next)) = (self.segments.front(), self.segments.get(1)) else {
            return 0;
        };
        let (oldest, next) = (oldest.number, next.number);
        // One that cannot be removed is no longer counted.
        let _ = self.remove_oldest();
        self.recent.retain(|(place, _)| place.segment != oldest);
        if self.settled.segment == oldest {
            self.settled = Place::first_of(next, self.settled.value.max(next));
        }
        if self.cursor.segment != oldest {
            return 0;
        }
        let mut from = self.cursor.value;
        if let Some(taken) = &mut self.taken {
            // It counts when it is known what became of it.
            from = taken.head.end();
            taken.behind = None;
        }
        self.cursor = Place::first_of(next, from.max(next));
        self.lose(from, next)
    }

    /// Values from one number up to another are lost. Returns how many of them that was not known of.
    fn lose(&mut self, from: u64, to: u64) -> u64 {
        let values = to.saturating_sub(from.max(self.known_until));
        self.known_until = self.known_until.max(to);
        values
    }

    fn remove_oldest(&mut self) -> io::Result<()> {
        match self.segments.pop_front() {
            Some(oldest) => self.remove(oldest.number),
            None => Ok(()),
        }
    }

    /// Removes a segment. One that is gone already is as good.
    fn remove(&mut self, number: u64) -> io::Result<()> {
        match self.disk.remove(number) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Which of the segments the cursor is in.
    fn at_cursor(&self) -> Option<usize> {
        self.segments
            .iter()
            .position(|it| it.number == self.cursor.segment)
    }

    fn segment(&self, number: u64) -> Option<&Segment> {
        self.segments.iter().find(|it| it.number == number)
    }

    /// The frame that was taken last was not sent. Returns how many values were dropped by that.
    pub fn put_back(&mut self) -> u64 {
        match self.taken.take() {
            Some(Taken {
                head,
                behind: None,
                is_again: false,
            }) => head.values.into(),
            _ => 0,
        }
    }

    /// The server has taken the frame that was taken last. Returns whether it had taken it before.
    pub fn settle(&mut self, now: Instant) -> bool {
        let Some(taken) = self.taken.take() else {
            return false;
        };
        self.known_until = self.known_until.max(taken.head.end());
        if let Some(behind) = taken.behind {
            self.cursor = behind;
            self.recent.push_back((behind, now));
        }
        self.forget_sent(now);
        taken.is_again
    }

    /// The connection was lost: what was taken lately is sent again.
    pub fn start_again(&mut self, now: Instant) {
        self.forget_sent(now);
        self.cursor = self.settled;
        self.recent.clear();
    }

    /// Forgets what was taken long enough ago.
    fn forget_sent(&mut self, now: Instant) {
        let before = self.settled;
        while let Some((place, at)) = self.recent.front()
            && now.saturating_duration_since(*at) >= self.resend
        {
            self.settled = *place;
            self.recent.pop_front();
        }
        if self.settled == before {
            return;
        }
        // If the disk does not take it, more is sent again after a restart. The next write tells.
        let _ = self.disk.set_position(&position(self.settled.value));
        let is_all = self.settled.value >= self.next_value && self.is_writing;
        if is_all && let Some(last) = self.segments.back_mut() {
            // What has gone is not worth writing to the disk.
            match self.disk.truncate(HEADER_BYTES) {
                Ok(()) => {
                    last.bytes = HEADER_BYTES;
                    self.cursor = Place::first_of(last.number, self.next_value);
                    self.settled = self.cursor;
                }
                Err(_) => self.is_writing = false,
            }
        }
        while (self.segments.front()).is_some_and(|it| it.number != self.settled.segment) {
            let _ = self.remove_oldest();
        }
    }

    /// Since when the oldest frame waits that was not taken; 0: none does.
    pub fn since_ms(&mut self) -> u64 {
        if let Some(taken) = self.taken {
            return taken.head.since_ms;
        }
        if self.bytes() == 0 {
            return 0;
        }
        self.step_over_end();
        let head = self.head_at(self.cursor);
        head.map_or(0, |(head, _)| head.since_ms)
    }

    /// Bytes of what was not taken.
    pub fn bytes(&self) -> u64 {
        let behind = (self.segments.iter()).skip_while(|it| it.number != self.cursor.segment);
        let mut bytes = 0;
        for (at, segment) in behind.enumerate() {
            let from = if at == 0 {
                self.cursor.offset
            } else {
                HEADER_BYTES
            };
            bytes += segment.bytes.saturating_sub(from);
        }
        bytes
    }

    fn all_bytes(&self) -> u64 {
        self.segments.iter().map(|it| it.bytes).sum()
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
