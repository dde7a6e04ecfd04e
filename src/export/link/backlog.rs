//! What waits for a server: frames in order, up to a limit in bytes.
//!
//! No thread and no socket: who puts in and who takes out is decided elsewhere.

use std::collections::VecDeque;

use super::batch::Frame;

/// Frames, oldest first. Where there is no room for a new one, the oldest are dropped.
#[derive(Debug)]
pub struct Backlog {
    frames: VecDeque<Frame>,
    weight: usize,
    limit_bytes: usize,
}

impl Backlog {
    /// An empty one that holds so many bytes at most.
    pub fn new(limit_bytes: usize) -> Backlog {
        Backlog {
            frames: VecDeque::new(),
            weight: 0,
            limit_bytes,
        }
    }

    /// Appends a frame. Returns how many values were dropped to make room.
    pub fn put(&mut self, frame: Frame) -> u64 {
        self.weight += frame.weight();
        self.frames.push_back(frame);
        self.make_room()
    }

    /// Puts back the frame that was taken last, in front of the others. Returns how many values
    /// were dropped, which may be its own.
    pub fn put_back(&mut self, frame: Frame) -> u64 {
        self.weight += frame.weight();
        self.frames.push_front(frame);
        self.make_room()
    }

    fn make_room(&mut self) -> u64 {
        let mut dropped = 0;
        while self.weight > self.limit_bytes
            && let Some(oldest) = self.take()
        {
            dropped += u64::from(oldest.values);
        }
        dropped
    }

    /// Takes the oldest frame.
    pub fn take(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.weight -= frame.weight();
        Some(frame)
    }

    /// Drops all of it. Returns how many values that were.
    pub fn clear(&mut self) -> u64 {
        self.weight = 0;
        self.frames
            .drain(..)
            .map(|frame| u64::from(frame.values))
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
            assert_eq!(backlog.put(frame(at, 10)), 0);
        }
        assert_eq!(backlog.bytes(), 300);
        assert_eq!(backlog.put(frame(3, 10)), 10);
        assert_eq!(backlog.bytes(), 300);
        assert_eq!(left(&mut backlog), [1, 2, 3]);
        assert!(backlog.is_empty() && backlog.bytes() == 0);
    }

    #[test]
    fn a_frame_that_is_put_back_is_the_oldest_again() {
        let mut backlog = Backlog::new(300);
        backlog.put(frame(0, 1));
        backlog.put(frame(1, 2));
        let taken = backlog.take().unwrap();
        assert_eq!(backlog.put_back(taken), 0);
        let taken = backlog.take().unwrap();
        backlog.put(frame(2, 3));
        backlog.put(frame(3, 4));
        assert_eq!(backlog.put_back(taken), 1, "newer ones have its room");
        assert_eq!(left(&mut backlog), [1, 2, 3]);
    }

    #[test]
    fn a_frame_over_the_limit_finds_no_room_at_all() {
        let mut backlog = Backlog::new(99);
        assert_eq!(backlog.put(frame(0, 7)), 7);
        assert_eq!((backlog.bytes(), backlog.take()), (0, None));
    }

    #[test]
    fn clearing_counts_what_is_lost() {
        let mut backlog = Backlog::new(300);
        backlog.put(frame(0, 1));
        backlog.put(frame(0, 2));
        assert_eq!((backlog.clear(), backlog.bytes()), (3, 0));
    }
}
