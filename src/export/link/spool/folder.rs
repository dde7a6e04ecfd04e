//! A folder as the disk of a spool: a file for each segment, and one for the position.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use gmetad_config::other_kind;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;

use super::disk::{ENDING, PREFIX, SpoolDisk};
use super::record::POSITION_BYTES;

/// Takes a folder for this process alone, for as long as what is returned lives.
pub fn lock_folder(folder: &Path) -> io::Result<Flock<File>> {
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        // Nobody waits for a FIFO in its place, or follows a link to elsewhere.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(folder.join("lock"))?;
    if let Some(kind) = other_kind(&lock.metadata()?) {
        let text = format!("its file lock is {kind}, not a regular file; remove that");
        return Err(io::Error::other(text));
    }
    Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
        if errno == nix::errno::Errno::EWOULDBLOCK {
            io::Error::other("another gmetad uses it; give each its own")
        } else {
            errno.into()
        }
    })
}

/// A folder with a file for each segment. It is locked for as long as this lives.
#[derive(Debug)]
pub struct FolderDisk {
    folder: PathBuf,
    lock: Option<Flock<File>>,
    written: Option<(u64, File)>,
    read: Option<(u64, File)>,
    position: Option<File>,
}

impl FolderDisk {
    /// Of that folder. Nothing is done yet.
    pub fn new(folder: &Path) -> FolderDisk {
        FolderDisk {
            folder: folder.into(),
            lock: None,
            written: None,
            read: None,
            position: None,
        }
    }

    fn make_folder(&self) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o750).create(&self.folder)
    }

    fn written(&mut self) -> io::Result<&mut File> {
        let written = self.written.as_mut().map(|(_, file)| file);
        written.ok_or_else(|| io::Error::other("no segment is open"))
    }

    fn position_path(&self) -> PathBuf {
        self.folder.join("position")
    }
}

/// Regular files only: nobody waits for a FIFO in their place, or follows a link to elsewhere.
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_NOCTTY;
    let file = options.mode(0o640).custom_flags(flags).open(path)?;
    match other_kind(&file.metadata()?) {
        None => Ok(file),
        Some(kind) => Err(io::Error::other(format!(
            "{} is {kind}, not a regular file; remove that",
            path.display()
        ))),
    }
}

impl SpoolDisk for FolderDisk {
    fn open(&mut self) -> io::Result<()> {
        if self.lock.is_none() {
            self.make_folder()?;
            self.lock = Some(lock_folder(&self.folder)?);
        }
        Ok(())
    }

    fn segments(&self) -> io::Result<Vec<(u64, u64)>> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if let Some(number) = entry.file_name().to_str().and_then(segment_number) {
                segments.push((number, entry.metadata()?.len()));
            }
        }
        Ok(segments)
    }

    fn create(&mut self, segment: u64) -> io::Result<()> {
        self.written = None;
        let path = self.path(segment);
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true);
        let file = match open(&path, &mut options) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // It was removed, and the lock and the position with it.
                self.make_folder()?;
                self.lock = Some(lock_folder(&self.folder)?);
                self.position = None;
                open(&path, &mut options)?
            }
            opened => opened?,
        };
        File::open(&self.folder)?.sync_all()?;
        self.written = Some((segment, file));
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written()?.write_all(bytes)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        let file = self.written()?;
        file.set_len(bytes)?;
        if file.metadata()?.nlink() == 0 {
            self.written = None;
            return Err(io::Error::other("its newest file was removed"));
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let synced = self.written()?.sync_data();
        self.written = None;
        synced
    }

    fn read(&mut self, segment: u64, from: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let is_it = |open: &&(u64, File)| open.0 == segment;
        let opened = self.written.as_ref().filter(is_it);
        let file = if let Some((_, file)) = opened.or(self.read.as_ref().filter(is_it)) {
            file
        } else {
            let file = open(&self.path(segment), OpenOptions::new().read(true))?;
            &self.read.insert((segment, file)).1
        };
        let mut count = 0;
        while count < bytes.len() {
            match file.read_at(&mut bytes[count..], from + count as u64) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    fn remove(&mut self, segment: u64) -> io::Result<()> {
        let is_it = |open: &mut (u64, File)| open.0 == segment;
        self.written.take_if(is_it);
        self.read.take_if(is_it);
        fs::remove_file(self.path(segment))
    }

    fn position(&self) -> io::Result<Option<Vec<u8>>> {
        let file = match open(&self.position_path(), OpenOptions::new().read(true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        // One byte more, to tell a file that is longer.
        let mut bytes = vec![0; POSITION_BYTES + 1];
        let count = file.read_at(&mut bytes, 0)?;
        bytes.truncate(count);
        Ok(Some(bytes))
    }

    fn set_position(&mut self, bytes: &[u8; POSITION_BYTES]) -> io::Result<()> {
        let file = if let Some(file) = self.position.take() {
            file
        } else {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false);
            open(&self.position_path(), &mut options)?
        };
        // A kill does not divide so small a write.
        file.write_all_at(bytes, 0)?;
        self.position = Some(file);
        Ok(())
    }

    fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The number of a segment from its file's name.
fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(ENDING)?;
    let number = digits.parse().ok()?;
    // Only names that we write, so that a number leads back to its file.
    (digits.len() == 20 && number < u64::MAX / 2).then_some(number)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_has_one_user() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        let mut first = FolderDisk::new(&below);
        first.open().unwrap();
        let error = FolderDisk::new(&below).open().unwrap_err();
        assert!(error.to_string().contains("another gmetad"), "{error}");
        drop(first);
        FolderDisk::new(&below).open().unwrap();
    }

    #[test]
    fn segments_are_found_again_and_other_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = FolderDisk::new(folder.path());
        disk.open().unwrap();
        assert!(disk.append(b"x").is_err(), "none is open");
        for segment in [3, 400] {
            disk.create(segment).unwrap();
            disk.append(b"text").unwrap();
            disk.append(b" and more").unwrap();
        }
        assert!(disk.create(3).is_err(), "it is there already");
        for name in ["gmetad-3.batches", "gmetad-x.batches", "other", "lock"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let mut found = disk.segments().unwrap();
        found.sort_unstable();
        assert_eq!(found, [(3, 13), (400, 13)]);
        let mut bytes = [0; 20];
        assert_eq!(disk.read(3, 5, &mut bytes).unwrap(), 8);
        assert_eq!(&bytes[..8], b"and more");
        disk.remove(3).unwrap();
        assert!(disk.read(3, 0, &mut bytes).is_err());
        assert_eq!(disk.position().unwrap(), None);
        for value in [7, 8] {
            disk.set_position(&[value; POSITION_BYTES]).unwrap();
            assert_eq!(disk.position().unwrap().unwrap(), [value; POSITION_BYTES]);
        }
    }

    #[test]
    fn links_and_what_is_no_regular_file_are_refused_at_once() {
        use nix::sys::stat::Mode;
        use nix::unistd::mkfifo;

        let folder = tempfile::tempdir().unwrap();
        let mut disk = FolderDisk::new(folder.path());
        disk.open().unwrap();
        let precious = folder.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        symlink(&precious, disk.path(1)).unwrap();
        mkfifo(&disk.path(2), Mode::S_IRWXU).unwrap();
        symlink(&precious, disk.position_path()).unwrap();
        for segment in [1, 2] {
            assert!(disk.create(segment).is_err());
            assert!(disk.read(segment, 0, &mut [0]).is_err());
        }
        assert!(disk.position().is_err());
        assert!(disk.set_position(&[1; POSITION_BYTES]).is_err());
        assert_eq!(fs::read(&precious).unwrap(), b"precious");
    }

    #[test]
    fn a_folder_that_was_removed_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("b");
        let mut disk = FolderDisk::new(&below);
        disk.open().unwrap();
        disk.create(1).unwrap();
        disk.truncate(0).unwrap();
        fs::remove_dir_all(&below).unwrap();
        assert!(disk.truncate(0).is_err());
        disk.create(2).unwrap();
        disk.append(b"x").unwrap();
        assert_eq!(fs::read(disk.path(2)).unwrap(), b"x");
    }
}
