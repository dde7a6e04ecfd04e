//! The number by which the cache and its journal name a file.
//!
//! No path and no name: the cache has those.

/// The number of a file in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileId(u32);

impl FileId {
    /// Only the cache and its journal give numbers to files.
    #[inline]
    pub(crate) fn new(number: u32) -> FileId {
        FileId(number)
    }

    #[inline]
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}
