//! Encodes records into a frame of a segment.
//!
//! No I/O. The format is described in [`super`].

use flate2::Crc;

use super::FileId;
use super::packed::{push_number, step};
use super::{FILE, FOLDER, FORGET, ForgottenFile, Identity, SAMPLE};
use crate::file::FileSpec;
use crate::file::samples::Kind;

/// The payload's length and checksum.
const HEAD_BYTES: usize = 8;

/// Number for a file that may not be in the cache any more, and for its folder.
const NOT_HELD: u32 = u32::MAX;

/// A file record has to say something. No file is created from this.
const ANY_SPEC: FileSpec = FileSpec {
    step_secs: 15,
    kind: Kind::Gauge,
    with_num: false,
};

#[derive(Debug)]
pub(super) struct Frame {
    /// Room for the head, then the payload.
    bytes: Vec<u8>,
    last_id: u32,
    last_time: u32,
    /// By number of a folder: the last segment that names it, and its path.
    folders: Vec<(u32, Box<str>)>,
}

impl Default for Frame {
    fn default() -> Frame {
        Frame {
            bytes: vec![0; HEAD_BYTES],
            last_id: 0,
            last_time: 0,
            folders: Vec::new(),
        }
    }
}

impl Frame {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.len() == HEAD_BYTES
    }

    #[inline]
    pub(super) fn payload_bytes(&self) -> usize {
        self.bytes.len() - HEAD_BYTES
    }

    /// Names a file in that segment, and its folder if the segment does not name it yet.
    pub(super) fn file(&mut self, id: FileId, file: Identity<'_>, segment: u32) {
        let Identity {
            folder_number,
            folder,
            ..
        } = file;
        if self.folders.len() <= folder_number as usize {
            self.folders
                .resize(folder_number as usize + 1, (0, "".into()));
        }
        let known = &mut self.folders[folder_number as usize];
        if known.0 != segment || *known.1 != *folder {
            known.0 = segment;
            if *known.1 != *folder {
                known.1 = folder.into();
            }
            self.folder_record(folder_number, folder);
        }
        self.file_record(id.number(), file);
    }

    #[inline]
    pub(super) fn sample(&mut self, id: FileId, time: u32, packed: &[u8]) {
        self.tag(SAMPLE, id.number());
        push_number(step(self.last_time, time), &mut self.bytes);
        self.bytes.extend_from_slice(packed);
        self.last_time = time;
    }

    pub(super) fn forget(&mut self, id: FileId) {
        self.tag(FORGET, id.number());
    }

    /// The same for a file that may not be in the cache any more.
    pub(super) fn forget_by_name(&mut self, file: &ForgottenFile) {
        self.folder_record(NOT_HELD, &file.folder);
        let identity = Identity {
            folder_number: NOT_HELD,
            folder: &file.folder,
            name: &file.name,
            spec: ANY_SPEC,
        };
        self.file_record(NOT_HELD, identity);
        self.tag(FORGET, NOT_HELD);
    }

    /// The whole frame. It is to be cleared when it is written.
    pub(super) fn finish(&mut self) -> &[u8] {
        let (head, payload) = self.bytes.split_at_mut(HEAD_BYTES);
        let mut crc = Crc::new();
        crc.update(payload);
        head[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        head[4..].copy_from_slice(&crc.sum().to_le_bytes());
        &self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.bytes.truncate(HEAD_BYTES);
        (self.last_id, self.last_time) = (0, 0);
    }

    fn folder_record(&mut self, number: u32, folder: &str) {
        push_number(u64::from(number) << 2 | FOLDER, &mut self.bytes);
        self.text(folder);
    }

    fn file_record(&mut self, id: u32, file: Identity<'_>) {
        self.tag(FILE, id);
        push_number(file.folder_number.into(), &mut self.bytes);
        push_number(file.spec.step_secs.into(), &mut self.bytes);
        let kind = kind_number(file.spec.kind);
        self.bytes.push(kind | u8::from(file.spec.with_num) << 2);
        self.text(file.name);
    }

    fn tag(&mut self, what: u64, id: u32) {
        push_number(step(self.last_id, id) << 2 | what, &mut self.bytes);
        self.last_id = id;
    }

    fn text(&mut self, text: &str) {
        push_number(text.len() as u64, &mut self.bytes);
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Gauge => 0,
        Kind::Counter => 1,
        Kind::Derive => 2,
    }
}
