//! Samples of one file as they are held, in few bytes.

use crate::journal::packed::{push_number, take_number, take_value};

/// In the number before a value: the value is that of the sample before, and does not follow. Many
/// metrics do not change for hours.
const SAME: u64 = 1;

/// Appends a sample: the seconds since the one before, and its packed value unless that is the same as
/// the one before.
pub(super) fn push_sample(step_secs: u32, changed: Option<&[u8]>, out: &mut Vec<u8>) {
    let step = u64::from(step_secs) << 1;
    match changed {
        Some(packed) => {
            push_number(step, out);
            out.extend_from_slice(packed);
        }
        None => push_number(step | SAME, out),
    }
}

/// Samples as [`push_sample`] put them there: times, and values still packed.
pub(super) struct PackedSamples<'a> {
    rest: &'a [u8],
    left: u32,
    /// Of the one before.
    time: u32,
    packed: &'a [u8],
}

impl<'a> PackedSamples<'a> {
    /// So many samples of these bytes.
    pub(super) fn new(bytes: &'a [u8], count: u32) -> PackedSamples<'a> {
        PackedSamples {
            rest: bytes,
            left: count,
            time: 0,
            packed: &[],
        }
    }

    /// What they take in memory.
    pub(super) fn bytes(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for PackedSamples<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<(u32, &'a [u8])> {
        self.left = self.left.checked_sub(1)?;
        let whole = "every sample was put there whole";
        let number = take_number(&mut self.rest).expect(whole);
        self.time += (number >> 1) as u32;
        if number & SAME == 0 {
            self.packed = take_value(&mut self.rest).expect(whole);
        }
        Some((self.time, self.packed))
    }
}
