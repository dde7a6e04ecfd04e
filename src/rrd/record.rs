//! What is remembered of one file between two updates, in eight bytes: there may be millions.
//!
//! No file, no clock and no cache here.

use crate::file::samples::Kind;

/// What the writer remembers of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileRecord {
    /// Time of the newest sample in the file; 0 if it is not known.
    last: u32,
    kind: Option<Kind>,
    broken: bool,
}

impl FileRecord {
    /// The record of a file of which nothing is known.
    pub(super) const UNKNOWN: FileRecord = FileRecord {
        last: 0,
        kind: None,
        broken: false,
    };

    /// Time of the newest sample in the file, if it is known.
    pub(super) fn last(self) -> Option<u32> {
        (self.last > 0).then_some(self.last)
    }

    /// Whether the file is known to have a sample of that time or a later one.
    #[inline]
    pub(super) fn covers(self, time: u32) -> bool {
        time <= self.last
    }

    /// Whether the file is known to have a sample later than that time.
    pub(super) fn is_after(self, time: u32) -> bool {
        time < self.last
    }

    /// The file has samples up to that time.
    pub(super) fn set_last(&mut self, last: u32) {
        self.last = last;
    }

    /// Forgets what the file has: it was removed, or samples on their way to it were lost.
    pub(super) fn clear_last(&mut self) {
        self.last = 0;
    }

    /// The file took samples up to that time.
    pub(super) fn wrote(&mut self, last: u32) {
        self.last = self.last.max(last);
    }

    /// The file was created for a first sample of that time, and values of that kind.
    pub(super) fn created(&mut self, first: u32, kind: Kind) {
        self.last = first.saturating_sub(1);
        self.kind = Some(kind);
    }

    /// What the file stores of a value, if that is known. It stays what the file was created for, even
    /// if the metric's slope changes.
    pub(super) fn kind(self) -> Option<Kind> {
        self.kind
    }

    pub(super) fn set_kind(&mut self, kind: Option<Kind>) {
        self.kind = kind;
    }

    /// Whether the file did not take its last sample, and that was logged or counted.
    pub(super) fn is_broken(self) -> bool {
        self.broken
    }

    pub(super) fn set_broken(&mut self, broken: bool) {
        self.broken = broken;
    }
}

/// The number of a file in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileId(u32);

impl FileId {
    /// Only the cache and its journal give numbers to files.
    #[inline]
    pub(super) fn new(number: u32) -> FileId {
        FileId(number)
    }

    #[inline]
    pub(super) fn number(self) -> u32 {
        self.0
    }

    #[inline]
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// How the samples of a file are written, and where its record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileState {
    /// They are written as they come, and the record is here.
    Direct(FileRecord),
    /// The cache holds them, and has the record too.
    Held(FileId),
}

/// A folder's entry for a file: the number of its name, and its state.
///
/// Both are packed into eight bytes. A flag says whether the first four are a time or a number in the
/// cache, so they are only read and written through [`FileState`].
#[derive(Clone, Copy, Debug)]
pub(super) struct FileEntry {
    /// Time of the newest sample, or the file's number in the cache.
    last_or_id: u32,
    name_and_flags: u32,
}

const HELD: u32 = 1 << 28;
const KIND_SHIFT: u32 = 29;
const BROKEN: u32 = 1 << 31;
const KINDS: [Option<Kind>; 4] = [
    None,
    Some(Kind::Gauge),
    Some(Kind::Counter),
    Some(Kind::Derive),
];

/// Numbers of names are below this.
const NAME_LIMIT: u32 = HELD;

impl FileEntry {
    /// The entry of a file of which only the name is known.
    pub(super) fn new(name: u32) -> FileEntry {
        debug_assert!(name < NAME_LIMIT, "names are counted below the flags");
        FileEntry {
            last_or_id: 0,
            name_and_flags: name,
        }
    }

    #[inline]
    pub(super) fn name(self) -> u32 {
        self.name_and_flags & (NAME_LIMIT - 1)
    }

    pub(super) fn rename(&mut self, name: u32) {
        self.name_and_flags = self.name_and_flags & !(NAME_LIMIT - 1) | name;
    }

    #[inline]
    pub(super) fn state(self) -> FileState {
        if self.name_and_flags & HELD != 0 {
            return FileState::Held(FileId(self.last_or_id));
        }
        FileState::Direct(FileRecord {
            last: self.last_or_id,
            kind: KINDS[(self.name_and_flags >> KIND_SHIFT & 3) as usize],
            broken: self.name_and_flags & BROKEN != 0,
        })
    }

    pub(super) fn set(&mut self, state: FileState) {
        let (last_or_id, flags) = match state {
            FileState::Held(id) => (id.0, HELD),
            FileState::Direct(FileRecord { last, kind, broken }) => {
                let place = KINDS.iter().position(|it| *it == kind).unwrap_or(0) as u32;
                let broken = if broken { BROKEN } else { 0 };
                (last, place << KIND_SHIFT | broken)
            }
        };
        self.last_or_id = last_or_id;
        self.name_and_flags = self.name() | flags;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_remembered_in_eight_bytes() {
        assert_eq!(size_of::<FileEntry>(), 8);
        assert_eq!(size_of::<FileRecord>(), 8);
    }

    #[test]
    fn every_state_comes_back_beside_any_name() {
        let records = KINDS.iter().flat_map(|kind| {
            [false, true].map(|broken| FileRecord {
                last: 1_700_000_000,
                kind: *kind,
                broken,
            })
        });
        let states = records
            .map(FileState::Direct)
            .chain([0, 7, u32::MAX - 1].map(|id| FileState::Held(FileId(id))))
            .chain([FileState::Direct(FileRecord::UNKNOWN)]);
        for (state, name) in states.zip([0, 1, NAME_LIMIT - 1].into_iter().cycle()) {
            let mut entry = FileEntry::new(5);
            entry.set(FileState::Held(FileId(u32::MAX)));
            entry.rename(name);
            entry.set(state);
            assert_eq!((entry.state(), entry.name()), (state, name));
            entry.rename(NAME_LIMIT - 2);
            assert_eq!(entry.state(), state, "a new name changes nothing else");
        }
    }

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
