//! Takes out of a journal what is ahead of now, which would otherwise come back at the next start.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::frame::Frame;
use super::replay::{self, End, FileName, Record};
use super::{Disk, FRAME_BYTES, FileId, FolderDisk, HEADER, Identity};

/// What was taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ahead {
    /// Samples.
    pub(crate) samples: u64,
    /// By how many seconds the worst was ahead.
    pub(crate) most_secs: u64,
}

/// Takes all samples that are ahead of `now` out of the journal in that folder, if there is one. A segment
/// that is damaged is kept beside what could be read of it.
pub(crate) fn heal(folder: &Path, now: u32) -> io::Result<Ahead> {
    let mut ahead = Ahead::default();
    if !folder.try_exists()? {
        return Ok(ahead);
    }
    let mut disk = FolderDisk::open(folder, 0o640)?;
    for segment in disk.segments()? {
        let bytes = disk.read(segment)?;
        let before = ahead.samples;
        let end = replay::read(&bytes, |record| {
            if let Record::Sample { time, .. } = record
                && time > now
            {
                ahead.samples += 1;
                ahead.most_secs = ahead.most_secs.max(u64::from(time.saturating_sub(now)));
            }
        });
        if ahead.samples > before {
            disk.replace(segment, &until(now, &bytes), end == End::Damaged)?;
        }
    }
    Ok(ahead)
}

/// A segment of what another says up to then.
fn until(now: u32, segment: &[u8]) -> Vec<u8> {
    let mut copy = Copy {
        segment: HEADER.to_vec(),
        frame: Frame::default(),
        ids: HashMap::new(),
        folders: HashMap::new(),
    };
    replay::read(segment, |record| match record {
        Record::Sample { file, time, packed } if time <= now => {
            let id = copy.id(file);
            copy.frame.sample(id, time, packed);
            copy.spill();
        }
        Record::Sample { .. } => {}
        Record::Forget(file) => {
            let id = copy.id(file);
            copy.frame.forget(id);
            copy.spill();
        }
    });
    copy.finish_frame();
    copy.segment
}

struct Copy {
    segment: Vec<u8>,
    frame: Frame,
    ids: HashMap<FileName, FileId>,
    folders: HashMap<Box<str>, u32>,
}

impl Copy {
    /// The number of a file, which is named first where it was not yet.
    fn id(&mut self, file: &FileName) -> FileId {
        if let Some(id) = self.ids.get(file) {
            return *id;
        }
        let FileName { folder, name, spec } = file;
        let id = FileId::new(self.ids.len() as u32);
        let next = self.folders.len() as u32;
        let folder_number = *self.folders.entry(folder.clone()).or_insert(next);
        let identity = Identity {
            folder_number,
            folder,
            name,
            spec: *spec,
        };
        self.frame.file(id, identity, 1);
        self.ids.insert(file.clone(), id);
        id
    }

    fn spill(&mut self) {
        if self.frame.payload_bytes() >= FRAME_BYTES / 4 {
            self.finish_frame();
        }
    }

    fn finish_frame(&mut self) {
        if !self.frame.is_empty() {
            self.segment.extend_from_slice(self.frame.finish());
            self.frame.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::file::FileSpec;
    use crate::file::samples::Kind;
    use crate::journal::packed::pack;
    use crate::journal::{Journal, Pace};

    const NOW: u32 = 1_700_000_000;
    const SPEC: FileSpec = FileSpec {
        step_secs: 15,
        kind: Kind::Gauge,
        with_num: true,
    };

    /// Writes a segment; its number. Of two files in each of two folders, some ahead.
    fn write(folder: &Path) -> u32 {
        let disk = FolderDisk::open(folder, 0o640).unwrap();
        let (mut journal, _) = Journal::open(disk, Pace::new(100, 1)).unwrap();
        let mut packed = Vec::new();
        assert!(pack(b"12:3", &mut packed));
        let mut named_in = 0;
        for time in [NOW - 15, NOW, NOW + 1, NOW + 15] {
            for (number, (folder, name)) in
                [("c/h", "a"), ("c/h", "b"), ("d", "a")].iter().enumerate()
            {
                let id = FileId::new(number as u32);
                let identity = || Identity {
                    folder_number: u32::from(*folder == "d"),
                    folder,
                    name,
                    spec: SPEC,
                };
                journal
                    .sample(id, named_in, identity, time, &packed)
                    .unwrap();
                if time == NOW && *folder == "d" {
                    journal.forget(id, journal.current(), identity()).unwrap();
                }
            }
            named_in = journal.current();
        }
        journal.commit(1).unwrap();
        journal.current()
    }

    fn read(folder: &Path) -> Vec<String> {
        let mut seen = Vec::new();
        let bytes = fs::read(folder.join("gmetad-0000000001.journal")).unwrap();
        let end = replay::read(&bytes, |record| {
            seen.push(match record {
                Record::Sample { file, time, .. } => {
                    assert_eq!(file.spec, SPEC);
                    format!(
                        "{}/{} {}",
                        file.folder,
                        file.name,
                        i64::from(time) - i64::from(NOW)
                    )
                }
                Record::Forget(file) => format!("-{}/{}", file.folder, file.name),
            });
        });
        assert_eq!(end, End::Whole);
        seen
    }

    #[test]
    fn what_is_ahead_is_taken_out_and_all_else_stays_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            heal(&folder.path().join("missing"), NOW).unwrap(),
            Ahead::default()
        );
        assert_eq!(write(folder.path()), 1);
        let ahead = heal(folder.path(), NOW).unwrap();
        assert_eq!((ahead.samples, ahead.most_secs), (6, 15));
        let left = [
            "c/h/a -15",
            "c/h/b -15",
            "d/a -15",
            "c/h/a 0",
            "c/h/b 0",
            "d/a 0",
            "-d/a",
        ];
        assert_eq!(read(folder.path()), left);
        assert_eq!(heal(folder.path(), NOW).unwrap(), Ahead::default());
        let names = fs::read_dir(folder.path()).unwrap();
        assert_eq!(names.count(), 2, "the segment and the lock");
    }

    #[test]
    fn a_damaged_segment_is_kept_beside_what_could_be_read() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path());
        let path = folder.path().join("gmetad-0000000001.journal");
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(&[0xff; 20]);
        fs::write(&path, &bytes).unwrap();
        assert_eq!(heal(folder.path(), NOW).unwrap().samples, 6);
        assert_eq!(read(folder.path()).len(), 7);
        let kept = fs::read(folder.path().join("gmetad-0000000001.damaged"));
        assert_eq!(kept.unwrap(), bytes);
    }

    #[test]
    fn not_while_a_gmetad_uses_it() {
        let folder = tempfile::tempdir().unwrap();
        let _used = FolderDisk::open(folder.path(), 0o640).unwrap();
        let refused = heal(folder.path(), NOW).unwrap_err().to_string();
        assert!(refused.contains("another gmetad uses it"), "{refused}");
    }
}
