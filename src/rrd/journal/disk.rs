//! Where segments are stored: in a folder, or in what a test puts in its place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::Flock;

use crate::file::{Access, open};
use gmetad_export::link::lock_folder;

const PREFIX: &str = "gmetad-";
const ENDING: &str = ".journal";

/// What the journal asks of a disk. All errors are the system's.
pub(crate) trait Disk {
    /// Numbers of the segments there are, in any order. After a loss of power, there are no others.
    fn segments(&self) -> io::Result<Vec<u32>>;

    /// What is in a segment. It survives a loss of power from now on.
    fn read(&self, segment: u32) -> io::Result<Vec<u8>>;

    /// Creates and opens a segment, which must not exist. Its name survives a loss of power.
    fn create(&mut self, segment: u32) -> io::Result<()>;

    /// Appends to the open segment. Returns how many bytes were taken, which may be fewer than given.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Waits until what is in the open segment survives a loss of power.
    fn sync(&mut self) -> io::Result<()>;

    fn remove(&mut self, segment: u32) -> io::Result<()>;

    /// Renames a damaged segment, so that a person can look at it and no start reads it again.
    fn set_aside(&mut self, segment: u32) -> io::Result<()>;

    /// Where the segments are, for the log.
    fn folder(&self) -> &Path;

    /// Where a segment is, for the log.
    fn path(&self, segment: u32) -> PathBuf {
        self.folder().join(format!("{PREFIX}{segment:010}{ENDING}"))
    }
}

/// Where a damaged segment goes.
pub(crate) fn aside(path: &Path) -> PathBuf {
    path.with_extension("damaged")
}

/// A folder with a file for each segment. It is locked for as long as this lives.
#[derive(Debug)]
pub(crate) struct FolderDisk {
    folder: PathBuf,
    /// Of the folder, if it has to be made again.
    folder_mode: u32,
    _lock: Flock<File>,
    open: Option<File>,
}

impl FolderDisk {
    /// Locks the folder, and creates it if it is missing. `mode` is that of new RRD files: whoever may
    /// read those may list the folder.
    pub(crate) fn open(folder: &Path, mode: u32) -> io::Result<FolderDisk> {
        let folder_mode = 0o750 & (mode | mode >> 2 | 0o110);
        make_folder(folder, folder_mode)?;
        let lock = lock_folder(folder)?;
        Ok(FolderDisk {
            folder: folder.into(),
            folder_mode,
            _lock: lock,
            open: None,
        })
    }

    /// Puts other bytes in the place of a segment, at once and for good. `keeps` it as [`aside`].
    pub(super) fn replace(&mut self, segment: u32, bytes: &[u8], keeps: bool) -> io::Result<()> {
        let path = self.path(segment);
        let new = path.with_extension("new");
        // One is there if this was interrupted.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o640)
            .open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        if keeps {
            fs::hard_link(&path, aside(&path))?;
        }
        fs::rename(&new, &path)?;
        File::open(&self.folder)?.sync_all()
    }

    fn open_file(&mut self) -> io::Result<&mut File> {
        self.open
            .as_mut()
            .ok_or_else(|| io::Error::other("no segment is open"))
    }
}

fn make_folder(folder: &Path, mode: u32) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(mode).create(folder)
}

impl Disk for FolderDisk {
    fn segments(&self) -> io::Result<Vec<u32>> {
        // What the last run removed must not come back. If the sync fails, the list is as good.
        let _ = File::open(&self.folder)?.sync_all();
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            numbers.extend(entry?.file_name().to_str().and_then(segment_number));
        }
        Ok(numbers)
    }

    fn read(&self, segment: u32) -> io::Result<Vec<u8>> {
        let opened = open(&self.path(segment), Access::Read);
        let (mut file, _) = opened.map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // The last run may have been killed before its sync. If this one fails, what was read is as
        // good.
        let _ = file.sync_data();
        Ok(bytes)
    }

    fn create(&mut self, segment: u32) -> io::Result<()> {
        self.open = None;
        let mut options = OpenOptions::new();
        options.append(true).create_new(true).mode(0o640);
        let path = self.path(segment);
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_folder(&self.folder, self.folder_mode)?;
                options.open(&path)?
            }
            opened => opened?,
        };
        File::open(&self.folder)?.sync_all()?;
        self.open = Some(file);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.open_file()?.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let file = self.open_file()?;
        file.sync_data()?;
        if file.metadata()?.nlink() == 0 {
            return Err(io::Error::other("its newest file was removed"));
        }
        Ok(())
    }

    fn remove(&mut self, segment: u32) -> io::Result<()> {
        fs::remove_file(self.path(segment))
    }

    fn set_aside(&mut self, segment: u32) -> io::Result<()> {
        let path = self.path(segment);
        fs::rename(&path, aside(&path))
    }

    fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The number of a segment from its file's name.
fn segment_number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(ENDING)?;
    digits.parse().ok().filter(|number| *number < u32::MAX / 2)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_folder_has_one_user() {
        let folder = TempDir::new().unwrap();
        let _first = FolderDisk::open(folder.path(), 0o644).unwrap();
        let error = FolderDisk::open(folder.path(), 0o644).unwrap_err();
        assert!(error.to_string().contains("another gmetad"), "{error}");
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        use nix::sys::stat::Mode;
        use nix::unistd::mkfifo;

        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        let disk = FolderDisk::open(folder.path(), 0o644).unwrap();
        mkfifo(&at("gmetad-0000000007.journal"), Mode::S_IRWXU).unwrap();
        let error = disk.read(7).unwrap_err().to_string();
        assert_eq!(error, "it is a FIFO, not a regular file");
        drop(disk);
        fs::remove_file(at("lock")).unwrap();
        mkfifo(&at("lock"), Mode::S_IRWXU).unwrap();
        assert!(
            FolderDisk::open(folder.path(), 0o644).is_err(),
            "nobody reads"
        );
        let reader = open(&at("lock"), Access::Read);
        assert!(reader.is_err());
        fs::remove_file(at("lock")).unwrap();
        fs::write(at("precious"), "").unwrap();
        std::os::unix::fs::symlink("precious", at("lock")).unwrap();
        assert!(FolderDisk::open(folder.path(), 0o644).is_err(), "a link");
    }

    #[test]
    fn segments_are_found_again_and_other_files_are_left_alone() {
        let folder = TempDir::new().unwrap();
        let mut disk = FolderDisk::open(folder.path(), 0o644).unwrap();
        for segment in [3, 4] {
            disk.create(segment).unwrap();
            assert_eq!(disk.append(b"text").unwrap(), 4);
            disk.sync().unwrap();
        }
        assert!(disk.create(3).is_err(), "it is there already");
        assert!(disk.append(b"text").is_err(), "so nothing is open");
        for name in ["gmetad-x.journal", "gmetad-9999999999.journal", "other"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let mut found = disk.segments().unwrap();
        found.sort_unstable();
        assert_eq!(found, [3, 4]);
        assert_eq!(disk.read(3).unwrap(), b"text");
        disk.set_aside(3).unwrap();
        disk.remove(4).unwrap();
        assert!(disk.segments().unwrap().is_empty());
        assert!(folder.path().join("gmetad-0000000003.damaged").exists());
    }
}
