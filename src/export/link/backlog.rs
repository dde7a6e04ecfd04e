//! What waits for a server: frames in order, up to a limit in bytes.
//!
//! No thread and no socket: who puts in and who takes out is decided elsewhere.

use std::collections::VecDeque;

use super::batch::Frame;

/// Frames, oldest first. Where there is no room for a new one, the oldest are dropped.
#[derive(Debug)]
pub struct Backlog {
    frames: VecDeque<Waiting>,
    /// Since when the frame waits that was taken last, until it is put back or settled.
    taken_since_ms: Option<u64>,
    weight: usize,
    limit_bytes: usize,
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
            taken_since_ms: None,
            weight: 0,
            limit_bytes,
        }
    }

    /// Appends a frame. Returns how many values were dropped to make room.
    pub fn put(&mut self, frame: Frame, since_ms: u64) -> u64 {
        self.weight += frame.weight();
        self.frames.push_back(Waiting { frame, since_ms });
        self.make_room()
    }

    /// Puts back the frame that was taken last, in front of the others. Returns how many values
    /// were dropped, which may be its own.
    pub fn put_back(&mut self, frame: Frame) -> u64 {
        self.weight += frame.weight();
        let since_ms = self.taken_since_ms.take().unwrap_or_default();
        self.frames.push_front(Waiting { frame, since_ms });
        self.make_room()
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

    /// Takes the oldest frame. It is put back, or settled.
    pub fn take(&mut self) -> Option<Frame> {
        let Waiting { frame, since_ms } = self.pop()?;
        self.taken_since_ms = Some(since_ms);
        Some(frame)
    }

    /// The frame that was taken last waits no longer.
    pub fn settle(&mut self) {
        self.taken_since_ms = None;
    }

    fn pop(&mut self) -> Option<Waiting> {
        let oldest = self.frames.pop_front()?;
        self.weight -= oldest.frame.weight();
        Some(oldest)
    }

    /// Since when the oldest frame waits, one that was taken included; 0: none does.
    pub fn since_ms(&self) -> u64 {
        let oldest = self.frames.front().map(|oldest| oldest.since_ms);
        self.taken_since_ms.or(oldest).unwrap_or_default()
    }

    /// Drops all of it. Returns how many values that were.
    pub fn clear(&mut self) -> u64 {
        self.weight = 0;
        self.frames
            .drain(..)
            .map(|waiting| u64::from(waiting.frame.values))
            .sum()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.weight
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes that wait at most.
    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes
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
        std::iter::from_fn(|| backlog.take())
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
        let taken = backlog.take().unwrap();
        assert_eq!(backlog.since_ms(), 1, "it waits until it is settled");
        assert_eq!(backlog.put_back(taken), 0);
        let taken = backlog.take().unwrap();
        backlog.put(frame(2, 3), 3);
        backlog.put(frame(3, 4), 4);
        assert_eq!(backlog.put_back(taken), 1, "newer ones have its room");
        assert_eq!(backlog.since_ms(), 2);
        assert_eq!(left(&mut backlog), [1, 2, 3]);
        backlog.settle();
        assert_eq!(backlog.since_ms(), 0);
    }

    #[test]
    fn a_frame_over_the_limit_finds_no_room_at_all() {
        let mut backlog = Backlog::new(99);
        assert_eq!(backlog.put(frame(0, 7), 1), 7);
        assert_eq!((backlog.bytes(), backlog.take()), (0, None));
    }

    #[test]
    fn clearing_counts_what_is_lost() {
        let mut backlog = Backlog::new(300);
        backlog.put(frame(0, 1), 1);
        backlog.put(frame(0, 2), 2);
        assert_eq!((backlog.clear(), backlog.bytes()), (3, 0));
    }
}
