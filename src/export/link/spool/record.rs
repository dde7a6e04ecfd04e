//! How batches stand in a segment: a header, then records, each a head and the frame's bytes.
//!
//! No I/O.
//!
//! ```text
//! header   "gmetad batches1", and what the frames are written in: one byte
//! head     number of the first value, since when it waits in milliseconds since the epoch, length of
//!          the frame, values in it, CRC-32 of the frame, CRC-32 of all before: 8, 8, 4, 4, 4, 4 bytes,
//!          lowest first
//! ```
//!
//! Values are counted from the first that was ever put into the folder. So a gap tells how many are
//! lost, whatever was damaged or removed.

use flate2::Crc;

use super::super::Frame;

/// Bytes of a segment's header.
pub const HEADER_BYTES: u64 = 16;
/// Bytes of a record's head.
pub const HEAD_BYTES: usize = 32;

const MAGIC: &[u8; 15] = b"gmetad batches1";
const POSITION_MAGIC: &[u8; 8] = b"gmetadp1";

/// No folder ever gets more values: a greater number is damage. So numbers never wrap.
pub const MOST_VALUES: u64 = 1 << 62;

/// Nothing is added to a folder whose values have a greater number. As many again come in no run, so what a
/// run adds is read back.
pub const LAST_START: u64 = MOST_VALUES / 2;

/// Bytes of the file that says which value is the first that was not taken.
pub const POSITION_BYTES: usize = 20;

/// The header of a segment whose frames are written in this.
pub fn header(format: u8) -> [u8; HEADER_BYTES as usize] {
    let mut bytes = [0; HEADER_BYTES as usize];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[MAGIC.len()] = format;
    bytes
}

/// What stands in front of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of its first value.
    pub first: u64,
    /// Since when it waits.
    pub since_ms: u64,
    /// Bytes of the frame.
    pub length: u32,
    /// Values in it: at least one.
    pub values: u32,
    sum: u32,
}

impl Head {
    /// Of this frame.
    pub fn of(frame: &Frame, first: u64, since_ms: u64) -> Head {
        Head {
            first,
            since_ms,
            // A batch is far below 4 GB.
            length: frame.bytes.len() as u32,
            values: frame.values,
            sum: sum(&frame.bytes),
        }
    }

    /// Reads one; `None`: it is none, or damaged.
    pub fn read(bytes: &[u8; HEAD_BYTES]) -> Option<Head> {
        let (told, said) = bytes.split_at(HEAD_BYTES - 4);
        let head = Head {
            first: long(&bytes[0..8]),
            since_ms: long(&bytes[8..16]),
            length: short(&bytes[16..20]),
            values: short(&bytes[20..24]),
            sum: short(&bytes[24..28]),
        };
        let is_whole = is_sum(said, told) && head.values > 0;
        (is_whole && head.first <= MOST_VALUES && head.end() <= MOST_VALUES).then_some(head)
    }

    /// As it is written.
    pub fn bytes(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[0..8].copy_from_slice(&self.first.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.since_ms.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.length.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.values.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.sum.to_le_bytes());
        let all = sum(&bytes[..HEAD_BYTES - 4]);
        bytes[28..].copy_from_slice(&all.to_le_bytes());
        bytes
    }

    /// Number of the first value behind it.
    pub fn end(&self) -> u64 {
        self.first + u64::from(self.values)
    }

    /// Bytes with the frame.
    pub fn record_bytes(&self) -> u64 {
        HEAD_BYTES as u64 + u64::from(self.length)
    }

    /// Whether these are the frame's bytes.
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        cfg!(fuzzing) || sum(bytes) == self.sum
    }
}

/// The file that says which value is the first that was not taken.
pub fn position(value: u64) -> [u8; POSITION_BYTES] {
    let mut bytes = [0; POSITION_BYTES];
    bytes[..8].copy_from_slice(POSITION_MAGIC);
    bytes[8..16].copy_from_slice(&value.to_le_bytes());
    let all = sum(&bytes[..16]);
    bytes[16..].copy_from_slice(&all.to_le_bytes());
    bytes
}

/// Reads that file; `None`: it is damaged.
pub fn read_position(bytes: &[u8]) -> Option<u64> {
    let is_whole = bytes.len() == POSITION_BYTES
        && bytes.starts_with(POSITION_MAGIC)
        && is_sum(&bytes[16..], &bytes[..16]);
    let value = is_whole.then(|| long(&bytes[8..16]));
    value.filter(|value| *value <= MOST_VALUES)
}

/// Whether that is the checksum of these bytes. A fuzzer cannot guess it.
fn is_sum(said: &[u8], bytes: &[u8]) -> bool {
    cfg!(fuzzing) || short(said) == sum(bytes)
}

fn sum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn long(bytes: &[u8]) -> u64 {
    (bytes.iter().rev()).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn short(bytes: &[u8]) -> u32 {
    long(bytes) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written_and_no_other_is_one() {
        let frame = Frame {
            bytes: b"values".to_vec(),
            values: 3,
        };
        let head = Head::of(&frame, 1 << 40, 1_795_367_147_000);
        let bytes = head.bytes();
        assert_eq!(Head::read(&bytes), Some(head));
        assert_eq!((head.end(), head.record_bytes()), ((1 << 40) + 3, 38));
        assert!(head.is_of(b"values") && !head.is_of(b"valueS"));
        for at in 0..HEAD_BYTES * 8 {
            let mut damaged = bytes;
            damaged[at / 8] ^= 1 << (at % 8);
            assert_eq!(Head::read(&damaged), None, "bit {at}");
        }
        assert_eq!(Head::read(&[0; HEAD_BYTES]), None);
    }

    #[test]
    fn a_position_is_read_as_it_was_written_and_no_other_is_one() {
        let bytes = position(123_456_789_012);
        assert_eq!(read_position(&bytes), Some(123_456_789_012));
        for at in 0..bytes.len() {
            assert_eq!(read_position(&bytes[..at]), None);
            let mut damaged = bytes;
            damaged[at] ^= 4;
            assert_eq!(read_position(&damaged), None);
        }
    }
}
