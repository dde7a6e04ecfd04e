//! What waits for a server: frames in order, up to a limit in bytes; on disk, if that is asked for.
//!
//! No thread and no socket: who puts in and who takes out is decided elsewhere.

use std::collections::VecDeque;
use std::time::Instant;

use super::batch::Frame;
use super::spool::Spool;

/// Frames, oldest first. Where there is no room for a new one, the oldest are dropped.
#[derive(Debug)]
pub struct Backlog {
    /// Those in memory. They are newer than those on disk: the disk did not take them.
    frames: VecDeque<Waiting>,
    taken: Taken,
    weight: usize,
    limit_bytes: usize,
    spool: Option<Spool>,
}

/// The frame that was taken last, until it is put back or settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    No,
    /// From memory; since when it waits.
    Memory(u64),
    Disk,
}

/// A frame, and since when it waits, in milliseconds since the epoch.
#[derive(Debug)]
struct Waiting {
    frame: Frame,
    since_ms: u64,
}

impl Backlog {
    /// An empty one that holds so many bytes at most.
    pub fn new(limit_bytes: usize) -> Backlog {
        Backlog {
            frames: VecDeque::new(),
            taken: Taken::No,
            weight: 0,
            limit_bytes,
            spool: None,
        }
    }

    /// One that waits on disk, and holds so many bytes in memory while the disk fails.
    pub fn on_disk(spool: Spool, limit_bytes: usize) -> Backlog {
        Backlog {
            spool: Some(spool),
            ..Backlog::new(limit_bytes)
        }
    }

    /// What is on disk.
    pub fn spool(&mut self) -> Option<&mut Spool> {
        self.spool.as_mut()
    }

    /// Appends a frame, which waits since now. Returns how many values were dropped to make room.
    pub fn put(&mut self, frame: Frame, now_ms: u64) -> u64 {
        self.weight += frame.weight();
        let since_ms = now_ms;
        self.frames.push_back(Waiting { frame, since_ms });
        self.write_down(now_ms) + self.make_room()
    }

    /// Puts on disk what is in memory, as far as the disk takes it. Returns how many values were
    /// dropped to make room there.
    fn write_down(&mut self, now_ms: u64) -> u64 {
        let mut dropped = 0;
        // What was taken from memory comes before all that would be put on disk now.
        while !matches!(self.taken, Taken::Memory(_))
            && let Some(spool) = &mut self.spool
            && let Some(Waiting { frame, since_ms }) = self.frames.pop_front()
        {
            let weight = frame.weight();
            match spool.put(frame, since_ms, now_ms) {
                Ok(values) => {
                    self.weight -= weight;
                    dropped += values;
                }
                Err(frame) => {
                    self.frames.push_front(Waiting { frame, since_ms });
                    break;
                }
            }
        }
        dropped
    }

    /// Puts back the frame that was taken last, in front of the others. Returns how many values
    /// were dropped, which may be its own.
    pub fn put_back(&mut self, frame: Frame) -> u64 {
        match (
            std::mem::replace(&mut self.taken, Taken::No),
            &mut self.spool,
        ) {
            (Taken::Disk, Some(spool)) => spool.put_back(),
            (Taken::Memory(since_ms), _) => {
                self.weight += frame.weight();
                self.frames.push_front(Waiting { frame, since_ms });
                self.make_room()
            }
            (Taken::Disk | Taken::No, _) => 0,
        }
    }

    fn make_room(&mut self) -> u64 {
        let mut dropped = 0;
        while self.weight > self.limit_bytes
            && let Some(oldest) = self.pop()
        {
            dropped += u64::from(oldest.frame.values);
        }
        dropped
    }

    /// Takes the oldest frame, which is put back or settled. Beside it: how many values could not be
    /// read.
    pub fn take(&mut self) -> (Option<Frame>, u64) {
        let mut lost = 0;
        if let Some(spool) = &mut self.spool {
            let (frame, unreadable) = spool.take();
            if frame.is_some() {
                self.taken = Taken::Disk;
                return (frame, unreadable);
            }
            lost = unreadable;
        }
        let frame = self.pop().map(|Waiting { frame, since_ms }| {
            self.taken = Taken::Memory(since_ms);
            frame
        });
        (frame, lost)
    }

    /// The frame that was taken last waits no longer. Returns whether it had been taken before by the
    /// server.
    pub fn settle(&mut self, now: Instant) -> bool {
        match (
            std::mem::replace(&mut self.taken, Taken::No),
            &mut self.spool,
        ) {
            (Taken::Disk, Some(spool)) => spool.settle(now),
            _ => false,
        }
    }

    /// The connection was lost, and with it perhaps what the server took lately.
    pub fn start_again(&mut self, now: Instant) {
        if let Some(spool) = &mut self.spool {
            spool.start_again(now);
        }
    }

    fn pop(&mut self) -> Option<Waiting> {
        let oldest = self.frames.pop_front()?;
        self.weight -= oldest.frame.weight();
        Some(oldest)
    }

    /// Since when the oldest frame waits, one that was taken included; 0: none does.
    pub fn since_ms(&mut self) -> u64 {
        if let Taken::Memory(since_ms) = self.taken {
            return since_ms;
        }
        let on_disk = self.spool.as_mut().map_or(0, Spool::since_ms);
        match self.frames.front() {
            Some(oldest) if on_disk == 0 => oldest.since_ms,
            _ => on_disk,
        }
    }

    /// Ends: what is on disk stays there, and the rest is dropped. Returns how many values that were.
    pub fn clear(&mut self) -> u64 {
        // The disk is tried once more, however lately it failed.
        let dropped = self.write_down(0);
        self.weight = 0;
        let rest = self.frames.drain(..);
        dropped
            + rest
                .map(|waiting| u64::from(waiting.frame.values))
                .sum::<u64>()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.weight
            + self
                .spool
                .as_ref()
                .map_or(0, |spool| spool.bytes() as usize)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.spool.as_ref().is_none_or(|spool| spool.bytes() == 0)
    }

    /// Bytes that wait in memory at most.
    pub fn memory_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// Bytes that wait at most.
    pub fn limit_bytes(&self) -> usize {
        match &self.spool {
            Some(spool) if !spool.is_failing() => spool.limit_bytes() as usize,
            _ => self.limit_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, values: u32) -> Frame {
        let mut bytes = Vec::with_capacity(100 - size_of::<Frame>());
        bytes.push(first);
        Frame { bytes, values }
    }

    fn left(backlog: &mut Backlog) -> Vec<u8> {
        std::iter::from_fn(|| backlog.take().0)
            .map(|frame| frame.bytes[0])
            .collect()
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room_and_are_counted() {
        let mut backlog = Backlog::new(300);
        for at in 0..3 {
            assert_eq!(backlog.put(frame(at, 10), 1), 0);
        }
        assert_eq!(backlog.bytes(), 300);
        assert_eq!(backlog.put(frame(3, 10), 1), 10);
        assert_eq!(backlog.bytes(), 300);
        assert_eq!(left(&mut backlog), [1, 2, 3]);
        assert!(backlog.is_empty() && backlog.bytes() == 0);
    }

    #[test]
    fn a_frame_that_is_put_back_is_the_oldest_again() {
        let mut backlog = Backlog::new(300);
        backlog.put(frame(0, 1), 1);
        backlog.put(frame(1, 2), 2);
        let taken = backlog.take().0.unwrap();
        assert_eq!(backlog.since_ms(), 1, "it waits until it is settled");
        assert_eq!(backlog.put_back(taken), 0);
        let taken = backlog.take().0.unwrap();
        backlog.put(frame(2, 3), 3);
        backlog.put(frame(3, 4), 4);
        assert_eq!(backlog.put_back(taken), 1, "newer ones have its room");
        assert_eq!(backlog.since_ms(), 2);
        assert_eq!(left(&mut backlog), [1, 2, 3]);
        assert!(!backlog.settle(Instant::now()));
        assert_eq!(backlog.since_ms(), 0);
    }

    #[test]
    fn a_frame_over_the_limit_finds_no_room_at_all() {
        let mut backlog = Backlog::new(99);
        assert_eq!(backlog.put(frame(0, 7), 1), 7);
        assert_eq!((backlog.bytes(), backlog.take()), (0, (None, 0)));
    }

    #[test]
    fn clearing_counts_what_is_lost() {
        let mut backlog = Backlog::new(300);
        backlog.put(frame(0, 1), 1);
        backlog.put(frame(0, 2), 2);
        assert_eq!((backlog.clear(), backlog.bytes()), (3, 0));
    }
}
