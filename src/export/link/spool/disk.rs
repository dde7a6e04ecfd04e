//! What a spool needs of a disk: a folder has it, and what a test puts in its place.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

use super::record::POSITION_BYTES;

pub(super) const PREFIX: &str = "gmetad-";
pub(super) const ENDING: &str = ".batches";

/// What a spool asks of a disk. All errors are the system's.
pub trait SpoolDisk: Debug + Send {
    /// Takes the folder for this process, and makes it if it is missing. Called first, and again
    /// after it has failed.
    fn open(&mut self) -> io::Result<()>;

    /// The segments that are there, in any order: the number of each and its bytes.
    fn segments(&self) -> io::Result<Vec<(u64, u64)>>;

    /// Creates a segment, which must not exist; it is the one that is written from now on.
    fn create(&mut self, segment: u64) -> io::Result<()>;

    /// Appends to the segment that is written: all of it, or it is not known how much.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the segment that is written to so many bytes. Fails as well if it was removed.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;

    /// Ends the segment that is written. What is in it survives a loss of power.
    fn finish(&mut self) -> io::Result<()>;

    /// Reads as many bytes as there are, from there on.
    fn read(&mut self, segment: u64, from: u64, bytes: &mut [u8]) -> io::Result<usize>;

    /// Removes a segment, also the one that is written.
    fn remove(&mut self, segment: u64) -> io::Result<()>;

    /// The file with the position, if there is one.
    fn position(&self) -> io::Result<Option<Vec<u8>>>;

    /// Writes that file, in one step.
    fn set_position(&mut self, bytes: &[u8; POSITION_BYTES]) -> io::Result<()>;

    /// Where the segments are, for the log.
    fn folder(&self) -> &Path;

    /// Where a segment is, for the log.
    fn path(&self, segment: u64) -> PathBuf {
        self.folder().join(format!("{PREFIX}{segment:020}{ENDING}"))
    }
}
