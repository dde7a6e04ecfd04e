//! Which segments of the journal exist, and which may be removed.
//!
//! No I/O: numbers and seconds come in, numbers go out.

use std::collections::VecDeque;
use std::num::NonZeroU32;

/// Time that a segment stays after the last of its samples was written to an RRD file. By then the
/// system has given the file to the disk: it does that by itself after half a minute.
pub(super) const SETTLE_SECS: u32 = 60;

/// Keeps a segment, and all after it, while a file holds samples that are in it.
///
/// It cannot be copied, or made elsewhere, so a segment is released exactly as often as it was held.
#[derive(Debug)]
#[must_use = "it is to be given back to `Segments::release`"]
pub(crate) struct SegmentHold(
    /// One more than the segment's number.
    NonZeroU32,
);

impl SegmentHold {
    fn on(segment: u32) -> SegmentHold {
        SegmentHold(NonZeroU32::MIN.saturating_add(segment))
    }

    /// Ends the hold. Returns the segment's number.
    fn end(self) -> u32 {
        self.0.get() - 1
    }
}

#[derive(Debug)]
struct Segment {
    number: u32,
    /// Files whose oldest sample is in it.
    holds: u64,
    /// Second at which a hold was last released, if there ever was one.
    emptied: Option<u32>,
    /// Whether some of it could not be read. Then it is kept for a person to look at.
    damaged: bool,
}

impl Segment {
    fn new(number: u32) -> Segment {
        Segment {
            number,
            holds: 0,
            emptied: None,
            damaged: false,
        }
    }
}

/// Whether a segment stays until what was written from it has settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    ToSettle,
    None,
}

/// A segment that is not needed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unneeded {
    pub(super) number: u32,
    /// Whether it is to be kept for a person to look at.
    pub(super) damaged: bool,
}

/// All segments, the current one last.
#[derive(Debug)]
pub(super) struct Segments {
    /// Oldest first.
    old: VecDeque<Segment>,
    /// The one that is written to, or will be.
    current: Segment,
}

impl Segments {
    /// Those of earlier runs, and a new one to write to.
    pub(super) fn new(old: &[u32]) -> Segments {
        let last = old.iter().max().copied().unwrap_or(0);
        let mut old: Vec<u32> = old.into();
        old.sort_unstable();
        Segments {
            old: old.into_iter().map(Segment::new).collect(),
            current: Segment::new(last + 1),
        }
    }

    pub(super) fn current(&self) -> u32 {
        self.current.number
    }

    /// Goes on to the next segment.
    pub(super) fn begin(&mut self) {
        let next = Segment::new(self.current.number + 1);
        self.old
            .push_back(std::mem::replace(&mut self.current, next));
    }

    /// A file's oldest sample will be in the current segment.
    pub(super) fn hold_current(&mut self) -> SegmentHold {
        self.current.holds += 1;
        SegmentHold::on(self.current.number)
    }

    /// A file's oldest sample is in that segment of an earlier run.
    pub(super) fn hold(&mut self, number: u32) -> Option<SegmentHold> {
        self.segment(number)?.holds += 1;
        Some(SegmentHold::on(number))
    }

    /// A file's samples are written, or not wanted any more.
    pub(super) fn release(&mut self, hold: SegmentHold, now: u32) {
        let number = hold.end();
        let Some(segment) = self.segment(number) else {
            unreachable!("a segment that is held stays")
        };
        segment.holds -= 1;
        segment.emptied = Some(now);
    }

    /// Marks a segment that could not be read as it was written.
    pub(super) fn set_damaged(&mut self, number: u32) {
        if let Some(segment) = self.segment(number) {
            segment.damaged = true;
        }
    }

    /// The oldest segment, if it is not held and what was written from it has settled.
    ///
    /// Never a newer one, as a segment may undo what an older one says.
    pub(super) fn unneeded(&self, now: u32, waits: Wait) -> Option<Unneeded> {
        let oldest = self.old.front()?;
        let has_settled = match (waits, oldest.emptied) {
            (Wait::None, _) | (_, None) => true,
            (Wait::ToSettle, Some(emptied)) => now.saturating_sub(emptied) >= SETTLE_SECS,
        };
        (oldest.holds == 0 && has_settled).then_some(Unneeded {
            number: oldest.number,
            damaged: oldest.damaged,
        })
    }

    /// Takes down that the oldest segment was removed.
    pub(super) fn removed(&mut self, segment: Unneeded) {
        let oldest = self.old.pop_front();
        debug_assert_eq!(oldest.map(|it| it.number), Some(segment.number));
    }

    fn segment(&mut self, number: u32) -> Option<&mut Segment> {
        if number == self.current.number {
            return Some(&mut self.current);
        }
        let at = self
            .old
            .binary_search_by_key(&number, |segment| segment.number);
        self.old.get_mut(at.ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Removes what is not needed then; which.
    fn removed(segments: &mut Segments, now: u32, waits: Wait) -> Vec<u32> {
        let mut numbers = Vec::new();
        while let Some(segment) = segments.unneeded(now, waits) {
            numbers.push(segment.number);
            segments.removed(segment);
        }
        numbers
    }

    #[test]
    fn a_segment_goes_when_it_and_those_before_it_are_held_by_nobody() {
        let mut segments = Segments::new(&[7, 5]);
        assert_eq!(segments.current(), 8);
        let (five, seven) = (segments.hold(5).unwrap(), segments.hold(7).unwrap());
        let eight = segments.hold_current();
        segments.begin();
        segments.release(seven, 100);
        segments.release(eight, 100);
        assert_eq!(segments.unneeded(1000, Wait::None), None, "5 is held");
        segments.release(five, 1000);
        assert_eq!(segments.unneeded(999 + SETTLE_SECS, Wait::ToSettle), None);
        let gone = removed(&mut segments, 1000 + SETTLE_SECS, Wait::ToSettle);
        assert_eq!(gone, [5, 7, 8], "the current one stays");
        assert!(segments.hold(5).is_none());
    }

    #[test]
    fn what_was_never_held_goes_at_once_and_is_told_apart_where_it_is_damaged() {
        let mut segments = Segments::new(&[0, 1]);
        segments.set_damaged(0);
        let damaged = segments.unneeded(0, Wait::ToSettle);
        assert!(damaged.is_some_and(|it| it.number == 0 && it.damaged));
        assert_eq!(
            segments.unneeded(0, Wait::ToSettle),
            damaged,
            "until it is removed"
        );
        assert_eq!(removed(&mut segments, 0, Wait::ToSettle), [0, 1]);
    }

    #[test]
    fn at_the_end_nothing_is_waited_for_but_holds() {
        let mut segments = Segments::new(&[1, 2]);
        let (one, _two) = (segments.hold(1).unwrap(), segments.hold(2).unwrap());
        segments.release(one, 100);
        assert_eq!(removed(&mut segments, 100, Wait::None), [1]);
    }

    #[test]
    fn a_hold_takes_no_more_than_its_number() {
        assert_eq!(size_of::<Option<SegmentHold>>(), 4);
    }
}
