//! What a journal's segment says, record by record, as far as it can be read.
//!
//! No I/O and no cache: bytes go in, samples come out. Any bytes at all may come.

use std::collections::HashMap;

use flate2::Crc;

use super::journal::{FILE, FOLDER, FORGET, FRAME_BYTES, HEADER};
use super::packed::{stepped, take_number, unpack};
use crate::file::FileSpec;
use crate::file::samples::Kind;
use crate::tree::paths;

/// Seconds between two values that a file is created for at most: a year.
const STEP_LIMIT_SECS: u64 = 365 * 86_400;

/// Who a sample is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileName {
    /// Below the root.
    pub(super) folder: Box<str>,
    /// Without the ending.
    pub(super) name: Box<str>,
    pub(super) spec: FileSpec,
}

/// What a record asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// A sample, its value packed.
    Sample {
        file: &'a FileName,
        time: u32,
        packed: &'a [u8],
    },
    /// That file's samples up to here are not wanted.
    Forget(&'a FileName),
}

/// How much of a segment could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All.
    Whole,
    /// All but a frame that was being written when the writer ended.
    Torn,
    /// Less.
    Damaged,
}

/// Reads a segment, and hands each record over.
pub(super) fn read(segment: &[u8], mut take: impl FnMut(Record<'_>)) -> End {
    let Some(mut rest) = segment.strip_prefix(HEADER) else {
        return if HEADER.starts_with(segment) {
            End::Torn
        } else {
            End::Damaged
        };
    };
    let mut names = Names::default();
    let mut end = End::Whole;
    while !rest.is_empty() {
        let Some((payload, sum, after)) = frame(rest) else {
            let length = rest.first_chunk().map_or(0, |it| u32::from_le_bytes(*it));
            // What is left is less than the frame says.
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
        // A fuzzer would never find the sum, and so never get behind it.
        if !cfg!(fuzzing) && crc.sum() != sum {
            // The disk may have taken the length before the rest of the last frame.
            let last = rest.is_empty() && end == End::Whole;
            end = if last { End::Torn } else { End::Damaged };
        } else if names.read(payload, &mut take).is_none() {
            end = End::Damaged;
        }
    }
    end
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
        let mut text = Vec::new();
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
            let from = rest;
            text.clear();
            unpack(&mut rest, &mut text)?;
            let packed = &from[..from.len() - rest.len()];
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
