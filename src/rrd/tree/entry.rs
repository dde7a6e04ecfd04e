//! A folder's entry for a file, in eight bytes: there may be millions.
//!
//! No path, no file and no cache here.

use crate::cache::FileId;
use crate::file::samples::Kind;
use crate::writer::record::FileRecord;

/// How the samples of a file are written, and where its record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileState {
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
pub(crate) struct FileEntry {
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
    pub(crate) fn new(name: u32) -> FileEntry {
        debug_assert!(name < NAME_LIMIT, "names are counted below the flags");
        FileEntry {
            last_or_id: 0,
            name_and_flags: name,
        }
    }

    #[inline]
    pub(crate) fn name(self) -> u32 {
        self.name_and_flags & (NAME_LIMIT - 1)
    }

    pub(crate) fn rename(&mut self, name: u32) {
        self.name_and_flags = self.name_and_flags & !(NAME_LIMIT - 1) | name;
    }

    #[inline]
    pub(crate) fn state(self) -> FileState {
        if self.name_and_flags & HELD != 0 {
            return FileState::Held(FileId::new(self.last_or_id));
        }
        FileState::Direct(FileRecord::new(
            self.last_or_id,
            KINDS[(self.name_and_flags >> KIND_SHIFT & 3) as usize],
            self.name_and_flags & BROKEN != 0,
        ))
    }

    pub(crate) fn set(&mut self, state: FileState) {
        let (last_or_id, flags) = match state {
            FileState::Held(id) => (id.number(), HELD),
            FileState::Direct(record) => {
                let kind = record.kind();
                let place = KINDS.iter().position(|it| *it == kind).unwrap_or(0) as u32;
                let broken = if record.is_broken() { BROKEN } else { 0 };
                (record.last().unwrap_or(0), place << KIND_SHIFT | broken)
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
            [false, true].map(|broken| FileRecord::new(1_700_000_000, *kind, broken))
        });
        let states = records
            .map(FileState::Direct)
            .chain([0, 7, u32::MAX - 1].map(|id| FileState::Held(FileId::new(id))))
            .chain([FileState::Direct(FileRecord::UNKNOWN)]);
        for (state, name) in states.zip([0, 1, NAME_LIMIT - 1].into_iter().cycle()) {
            let mut entry = FileEntry::new(5);
            entry.set(FileState::Held(FileId::new(u32::MAX)));
            entry.rename(name);
            entry.set(state);
            assert_eq!((entry.state(), entry.name()), (state, name));
            entry.rename(NAME_LIMIT - 2);
            assert_eq!(entry.state(), state, "a new name changes nothing else");
        }
    }
}
