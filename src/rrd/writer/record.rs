//! What is remembered of one file between two updates.
//!
//! No file and no clock here.

use crate::file::samples::Kind;

/// What the writer remembers of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileRecord {
    /// Time of the newest sample in the file; 0 if it is not known.
    last: u32,
    kind: Option<Kind>,
    broken: bool,
}

impl FileRecord {
    /// The record of a file of which nothing is known.
    pub(crate) const UNKNOWN: FileRecord = FileRecord {
        last: 0,
        kind: None,
        broken: false,
    };

    /// A record with this time, 0 if it is not known, this kind and this state.
    #[inline]
    pub(crate) fn new(last: u32, kind: Option<Kind>, broken: bool) -> FileRecord {
        FileRecord { last, kind, broken }
    }

    /// Time of the newest sample in the file, if it is known.
    pub(crate) fn last(self) -> Option<u32> {
        (self.last > 0).then_some(self.last)
    }

    /// Whether the file is known to have a sample of that time or a later one.
    #[inline]
    pub(crate) fn covers(self, time: u32) -> bool {
        time <= self.last
    }

    /// Whether the file is known to have a sample later than that time.
    pub(crate) fn is_after(self, time: u32) -> bool {
        time < self.last
    }

    /// The file has samples up to that time.
    pub(crate) fn set_last(&mut self, last: u32) {
        self.last = last;
    }

    /// Forgets what the file has: it was removed, or samples on their way to it were lost.
    pub(crate) fn clear_last(&mut self) {
        self.last = 0;
    }

    /// The file took samples up to that time.
    pub(crate) fn wrote(&mut self, last: u32) {
        self.last = self.last.max(last);
    }

    /// The file was created for a first sample of that time, and values of that kind.
    pub(crate) fn created(&mut self, first: u32, kind: Kind) {
        self.last = first.saturating_sub(1);
        self.kind = Some(kind);
    }

    /// What the file stores of a value, if that is known. It stays what the file was created for, even
    /// if the metric's slope changes.
    pub(crate) fn kind(self) -> Option<Kind> {
        self.kind
    }

    pub(crate) fn set_kind(&mut self, kind: Option<Kind>) {
        self.kind = kind;
    }

    /// Whether the file did not take its last sample, and that was logged or counted.
    pub(crate) fn is_broken(self) -> bool {
        self.broken
    }

    pub(crate) fn set_broken(&mut self, broken: bool) {
        self.broken = broken;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_which_nothing_is_known_covers_no_time() {
        let mut record = FileRecord::UNKNOWN;
        assert!(!record.covers(1) && !record.is_after(1));
        assert_eq!(record.last(), None);
        record.created(100, Kind::Counter);
        assert_eq!(
            (record.last(), record.kind()),
            (Some(99), Some(Kind::Counter))
        );
        record.wrote(100);
        record.wrote(50);
        assert!(record.covers(100) && !record.is_after(100) && !record.covers(101));
        record.clear_last();
        assert_eq!((record.last(), record.kind()), (None, Some(Kind::Counter)));
    }
}
