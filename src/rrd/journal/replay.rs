//! Reads a segment of the journal, record by record, as far as it can be read.
//!
//! No I/O and no cache: bytes go in, samples come out. The bytes may be anything.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::HashMap;

use flate2::Crc;

use super::packed::{stepped, take_number, take_value};
use super::{FILE, FOLDER, FORGET, FRAME_BYTES, HEADER};
use crate::file::FileSpec;
use crate::file::samples::Kind;
use crate::paths;

/// Longest step of a file: a year.
const STEP_LIMIT_SECS: u64 = 365 * 86_400;

/// The file that a sample is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileName {
    /// Below the root.
    pub(crate) folder: Box<str>,
    /// Without the ending.
    pub(crate) name: Box<str>,
    pub(crate) spec: FileSpec,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// A sample, its value packed.
    Sample {
        file: &'a FileName,
        time: u32,
        packed: &'a [u8],
    },
    /// That file's samples up to here are not to be written.
    Forget(&'a FileName),
}

/// How much of a segment could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All.
    Whole,
    /// All but the last frame, which was being written when gmetad or the machine stopped.
    Torn,
    /// Not all, and other parts are wrong.
    Damaged,
}

/// Reads a segment and calls `take` with each record.
pub(crate) fn read(segment: &[u8], mut take: impl FnMut(Record<'_>)) -> End {
    let Some(mut rest) = segment.strip_prefix(HEADER) else {
        let written = segment.iter().zip(HEADER).take_while(|(is, was)| is == was);
        let is_torn = is_blank(&segment[written.count()..]);
        return if is_torn { End::Torn } else { End::Damaged };
    };
    let mut names = Names::default();
    let mut end = End::Whole;
    while !rest.is_empty() {
        let Some((payload, sum, after)) = frame(rest) else {
            let length = rest.first_chunk().map_or(0, |it| u32::from_le_bytes(*it));
            // The frame is longer than what is left.
            let cut = length as usize <= FRAME_BYTES;
            return if cut && end == End::Whole {
                End::Torn
            } else {
                End::Damaged
            };
        };
        let mut crc = Crc::new();
        crc.update(payload);
        rest = after;
        // A fuzzer would never guess the sum, and so never get past it.
        if !cfg!(fuzzing) && crc.sum() != sum {
            if end == End::Whole && is_blank(rest) {
                return End::Torn;
            }
            end = End::Damaged;
        } else if names.read(payload, &mut take).is_none() {
            end = End::Damaged;
        }
    }
    end
}

/// Whether nothing was written there. After a loss of power, a file may have its length and not yet
/// its contents.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// A payload, its checksum, and what follows.
fn frame(bytes: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > FRAME_BYTES {
        return None;
    }
    let (payload, after) = rest.split_at_checked(length)?;
    Some((payload, u32::from_le_bytes(*sum), after))
}

/// What numbers mean in a segment.
#[derive(Debug, Default)]
struct Names {
    folders: HashMap<u64, Box<str>>,
    files: HashMap<u32, FileName>,
}

impl Names {
    fn read(&mut self, payload: &[u8], take: &mut impl FnMut(Record<'_>)) -> Option<()> {
        let mut rest = payload;
        let (mut id, mut time) = (0, 0);
        while !rest.is_empty() {
            let tag = take_number(&mut rest)?;
            let (what, number) = (tag & 3, tag >> 2);
            if what == FOLDER {
                let path = take_text(&mut rest)?;
                if !paths::is_inside(path) {
                    return None;
                }
                self.folders.insert(number, path.into());
                continue;
            }
            id = stepped(id, number)?;
            if what == FILE {
                let folder = self.folders.get(&take_number(&mut rest)?)?.clone();
                let file = file(folder, &mut rest)?;
                self.files.insert(id, file);
                continue;
            }
            let file = self.files.get(&id)?;
            if what == FORGET {
                take(Record::Forget(file));
                continue;
            }
            time = stepped(time, take_number(&mut rest)?)?;
            let packed = take_value(&mut rest)?;
            take(Record::Sample { file, time, packed });
        }
        Some(())
    }
}

fn file(folder: Box<str>, rest: &mut &[u8]) -> Option<FileName> {
    let step_secs = take_number(rest)?;
    let (flags, after) = rest.split_first()?;
    *rest = after;
    let kind = match flags & 3 {
        0 => Kind::Gauge,
        1 => Kind::Counter,
        2 => Kind::Derive,
        _ => return None,
    };
    let name = take_text(rest)?;
    if !(1..=STEP_LIMIT_SECS).contains(&step_secs) || !paths::is_component(name) {
        return None;
    }
    Some(FileName {
        folder,
        name: name.into(),
        spec: FileSpec {
            step_secs: step_secs as u32,
            kind,
            with_num: flags & 4 != 0,
        },
    })
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(take_number(rest)?).ok()?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::FileId;
    use super::super::packed::{pack, unpack};
    use super::*;
    use crate::journal::frame::Frame;
    use crate::journal::{Disk, FolderDisk, Identity, Journal, Pace};

    const SPEC: FileSpec = FileSpec {
        step_secs: 15,
        kind: Kind::Derive,
        with_num: true,
    };

    /// A segment with two frames of two samples each, of two files.
    fn segment() -> Vec<u8> {
        let folder = TempDir::new().unwrap();
        let disk = FolderDisk::open(folder.path(), 0o644).unwrap();
        let (mut journal, old) = Journal::open(disk, Pace::new(100, 1)).unwrap();
        assert!(old.is_empty());
        let mut packed = Vec::new();
        assert!(pack(b"12:3", &mut packed));
        let mut named_in = 0;
        for time in [1050, 1065] {
            for (number, name) in [(8, "b"), (3, "a")] {
                let identity = || Identity {
                    folder_number: 2,
                    folder: "c/h",
                    name,
                    spec: SPEC,
                };
                let id = FileId::new(number);
                journal
                    .sample(id, named_in, identity, time, &packed)
                    .unwrap();
            }
            named_in = journal.current();
            journal.commit(1).unwrap();
        }
        journal.disk.read(journal.current()).unwrap()
    }

    fn read_all(bytes: &[u8]) -> (Vec<(String, u32)>, End) {
        let mut seen = Vec::new();
        let end = read(bytes, |record| {
            if let Record::Sample { file, time, .. } = record {
                assert_eq!(file.spec, SPEC);
                seen.push((format!("{}/{}", file.folder, file.name), time));
            }
        });
        (seen, end)
    }

    #[test]
    fn a_segment_can_be_read_alone_and_cut_anywhere() {
        let wanted = [
            ("c/h/b", 1050),
            ("c/h/a", 1050),
            ("c/h/b", 1065),
            ("c/h/a", 1065),
        ];
        let wanted = wanted.map(|(path, time)| (path.to_owned(), time));
        let bytes = segment();
        assert_eq!(read_all(&bytes), (wanted.to_vec(), End::Whole));
        for length in 0..bytes.len() {
            let (seen, end) = read_all(&bytes[..length]);
            assert_eq!(seen, wanted[..seen.len()], "cut at {length}");
            assert_ne!(end, End::Damaged, "cut at {length}");
            // The disk may have taken the length before the rest.
            let mut blank = bytes.clone();
            blank[length..].fill(0);
            let (seen, end) = read_all(&blank);
            assert_eq!(seen, wanted[..seen.len()], "blank from {length}");
            assert_ne!(end, End::Damaged, "blank from {length}");
            let mut wrong = bytes.clone();
            wrong[length] ^= 0x41;
            let (seen, end) = read_all(&wrong);
            assert!(seen.len() < 4 && end != End::Whole, "wrong at {length}");
        }
    }

    /// What another build left behind has to be read: these bytes never change.
    #[test]
    fn the_bytes_of_a_journal_stay_as_they_are() {
        let payload = [
            b"\x02\x20cluster-000/host-000.example.org".as_slice(),
            b"\x01\x00\x0f\x00\x0ametric_000",
            b"\x00\x80\xc4\x9f\xd5\x0c\x0a\x00\xff",
            b"\x09\x00\x0f\x00\x0ametric_001",
            b"\x00\x00\x0a\x01\xff",
        ];
        let frame = [
            b"\x4e\x00\x00\x00\x80\x22\x77\x8d".as_slice(),
            &payload.concat(),
        ]
        .concat();
        let bytes = [HEADER.as_slice(), &frame].concat();
        let mut seen = Vec::new();
        let end = read(&bytes, |record| {
            if let Record::Sample { file, time, packed } = record {
                seen.push((file.clone(), time, packed.to_vec()));
            }
        });
        assert_eq!(end, End::Whole);
        let mut again = Frame::default();
        for (number, (file, time, packed)) in (0..).zip(&seen) {
            let FileName { folder, name, spec } = file;
            assert_eq!(&**folder, "cluster-000/host-000.example.org");
            assert_eq!(**name, *format!("metric_00{number}"));
            let mut text = Vec::new();
            unpack(&mut packed.as_slice(), &mut text).unwrap();
            assert_eq!(text, format!("0.0{number}").as_bytes());
            assert_eq!(*time, 1_700_000_000);
            let identity = Identity {
                folder_number: 0,
                folder,
                name,
                spec: *spec,
            };
            again.file(FileId::new(number), identity, 1);
            again.sample(FileId::new(number), *time, packed);
        }
        assert_eq!(seen.len(), 2);
        assert_eq!(again.finish(), frame);
    }
}
