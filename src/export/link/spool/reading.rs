//! Reading a spool back: the frame at the cursor, and what is done where there is none.

use super::record::{HEAD_BYTES, HEADER_BYTES, Head, header};
use super::{Place, Spool, SpoolNews, Taken};
use crate::link::Frame;

/// Why there is no frame at the cursor.
enum Unreadable {
    /// The frame is damaged; the next is there.
    Record(Place),
    /// Nothing more of the segment is known.
    Rest,
}

impl Spool {
    /// Takes the oldest frame that was not taken. It is put back or settled before the next. Beside
    /// it: how many values could not be read.
    pub fn take(&mut self) -> (Option<Frame>, u64) {
        let mut lost = 0;
        while self.is_open && self.has_more() {
            match self.read() {
                Ok((head, behind, bytes)) => {
                    if head.first >= self.cursor.value {
                        lost += self.lose(self.cursor.value, head.first);
                        self.cursor.value = head.first;
                        self.taken = Some(Taken {
                            head,
                            behind: Some(behind),
                            is_again: head.first < self.known_until,
                        });
                        let frame = Frame {
                            bytes,
                            values: head.values,
                        };
                        return (Some(frame), lost);
                    }
                    // Taken before.
                    self.cursor.offset = behind.offset;
                }
                Err(Unreadable::Record(behind)) => {
                    let values = self.lose(self.cursor.value, behind.value);
                    lost += values;
                    self.say_damaged(values);
                    self.cursor = behind;
                }
                Err(Unreadable::Rest) => lost += self.skip_segment(),
            }
        }
        (None, lost)
    }

    /// Whether there is something behind the cursor, if only a segment without a frame: what is missing
    /// before that is counted now, not with the next frame.
    fn has_more(&self) -> bool {
        let is_before_another = |at| at + 1 < self.segments.len();
        self.bytes() > 0 || self.at_cursor().is_some_and(is_before_another)
    }

    fn read(&mut self) -> Result<(Head, Place, Vec<u8>), Unreadable> {
        if self.cursor.offset == HEADER_BYTES {
            let mut bytes = [0; HEADER_BYTES as usize];
            let read = self.disk.read(self.cursor.segment, 0, &mut bytes);
            if read.is_err() || bytes != header(self.format) {
                return Err(Unreadable::Rest);
            }
        }
        let (head, behind) = self.head_at(self.cursor).ok_or(Unreadable::Rest)?;
        // It is as long as the segment at most.
        let mut bytes = vec![0; head.length as usize];
        let from = self.cursor.offset + HEAD_BYTES as u64;
        let read = self.disk.read(self.cursor.segment, from, &mut bytes);
        if read.is_ok_and(|count| count == bytes.len()) && head.is_of(&bytes) {
            Ok((head, behind, bytes))
        } else {
            Err(Unreadable::Record(behind))
        }
    }

    /// Goes on to the next segment. Returns how many values that costs.
    fn skip_segment(&mut self) -> u64 {
        let at = self.at_cursor();
        let next = at.and_then(|at| self.segments.get(at + 1));
        let value = next.map_or(self.next_value, |next| next.number);
        let next = next.copied();
        let values = self.lose(self.cursor.value, value);
        if values > 0 {
            self.say_damaged(values);
        }
        let value = self.cursor.value.max(value);
        self.cursor = if let Some(next) = next {
            Place::first_of(next.number, value)
        } else {
            // Nothing more is written to it.
            self.is_writing = false;
            let offset = self.segments.back().map_or(HEADER_BYTES, |last| last.bytes);
            Place {
                offset,
                value,
                ..self.cursor
            }
        };
        values
    }

    fn say_damaged(&mut self, values: u64) {
        let path = self.disk.path(self.cursor.segment);
        self.news
            .push(SpoolNews::Damaged(values, path.display().to_string()));
    }

    /// The head of the record there, and the place behind it; none: it ends there, or is damaged.
    pub(super) fn head_at(&mut self, place: Place) -> Option<(Head, Place)> {
        let bytes = self.segment(place.segment)?.bytes;
        let mut head = [0; HEAD_BYTES];
        let count = self
            .disk
            .read(place.segment, place.offset, &mut head)
            .ok()?;
        let head = Head::read(&head).filter(|_| count == HEAD_BYTES)?;
        let behind = Place {
            segment: place.segment,
            offset: place.offset + head.record_bytes(),
            value: head.end(),
        };
        (behind.offset <= bytes).then_some((head, behind))
    }

    /// At the end of a segment, the next one is where the next record is.
    pub(super) fn step_over_end(&mut self) {
        let at = self.at_cursor();
        if let Some(at) = at
            && self.cursor.offset >= self.segments[at].bytes
            && let Some(next) = self.segments.get(at + 1)
            && next.number <= self.cursor.value
        {
            self.cursor = Place::first_of(next.number, self.cursor.value);
        }
    }
}
