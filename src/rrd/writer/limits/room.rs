//! Whether there is room for new files: what is left of it is for those that are there.

use std::fmt;
use std::path::Path;

use nix::sys::statvfs::statvfs;

/// A filesystem keeps at most this part of it free.
const SHARE: u64 = 100;

/// It keeps at most that many inodes free.
const MOST_INODES: u64 = 1000;

/// What a filesystem has.
#[derive(Clone, Copy, Debug, Default)]
struct Filesystem {
    bytes: u64,
    free_bytes: u64,
    /// 0 where it does not count them.
    inodes: u64,
    free_inodes: u64,
}

/// What is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shortage {
    Bytes { free: u64, floor: u64 },
    Inodes { free: u64, floor: u64 },
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shortage::Bytes { free, floor } => {
                write!(f, "less than {} are free ({})", Size(*floor), Size(*free))
            }
            Shortage::Inodes { free, floor } => {
                write!(f, "less than {floor} inodes are free ({free})")
            }
        }
    }
}

struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ ..1_048_576 => write!(f, "{} KB", bytes >> 10),
            bytes => write!(f, "{} MB", bytes >> 20),
        }
    }
}

/// What is short where a folder is, if so many bytes are to be free, or a share of a small filesystem.
/// One that cannot be asked has room.
pub(super) fn shortage(folder: &Path, floor_bytes: u64) -> Option<Shortage> {
    if floor_bytes == 0 {
        return None;
    }
    let of = statvfs(folder).ok()?;
    // Their types differ between systems.
    let [unit, blocks, free, inodes, free_inodes] = [
        of.fragment_size() as u64,
        of.blocks() as u64,
        of.blocks_available() as u64,
        of.files() as u64,
        of.files_available() as u64,
    ];
    let filesystem = Filesystem {
        bytes: blocks.saturating_mul(unit),
        free_bytes: free.saturating_mul(unit),
        inodes,
        free_inodes,
    };
    filesystem.shortage(floor_bytes)
}

impl Filesystem {
    fn shortage(self, floor_bytes: u64) -> Option<Shortage> {
        let floor = floor_bytes.min(self.bytes / SHARE);
        if self.free_bytes < floor {
            let free = self.free_bytes;
            return Some(Shortage::Bytes { free, floor });
        }
        let floor = MOST_INODES.min(self.inodes / SHARE);
        let free = self.free_inodes;
        (free < floor).then_some(Shortage::Inodes { free, floor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: u64 = 64 << 20;

    fn told(filesystem: Filesystem) -> String {
        let shortage = filesystem.shortage(FLOOR);
        shortage.map_or("room".into(), |it| it.to_string())
    }

    #[test]
    fn a_large_filesystem_keeps_the_floor_free_and_a_small_one_a_hundredth() {
        let of = |bytes, free_bytes| {
            told(Filesystem {
                bytes,
                free_bytes,
                ..Filesystem::default()
            })
        };
        assert_eq!(of(1 << 40, FLOOR), "room");
        assert_eq!(of(1 << 40, FLOOR - 1), "less than 64 MB are free (63 MB)");
        assert_eq!(of(1 << 30, 11 << 20), "room");
        assert_eq!(of(1 << 30, 9 << 20), "less than 10 MB are free (9 MB)");
        assert_eq!(of(2 << 20, 0), "less than 20 KB are free (0 KB)");
    }

    #[test]
    fn inodes_are_kept_too_where_they_are_counted() {
        let of = |inodes, free_inodes| {
            told(Filesystem {
                bytes: 1 << 40,
                free_bytes: 1 << 39,
                inodes,
                free_inodes,
            })
        };
        assert_eq!(of(0, 0), "room");
        assert_eq!(of(1 << 30, 1000), "room");
        assert_eq!(of(1 << 30, 999), "less than 1000 inodes are free (999)");
        assert_eq!(of(5000, 49), "less than 50 inodes are free (49)");
    }

    #[test]
    fn without_a_floor_nothing_is_short() {
        assert_eq!(shortage(Path::new("/"), 0), None);
        assert_eq!(shortage(Path::new("/nonexistent"), u64::MAX), None);
        assert!(shortage(Path::new("/proc"), 1).is_none());
    }
}
