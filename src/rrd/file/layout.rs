//! Where the parts of a round-robin file lie, and how its fields are read and written as bytes.
//!
//! No I/O. Checked are only the fields that say where the others lie; the rest is `sound`'s matter.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::ffi::c_ulong;
use std::mem::{offset_of, size_of};
use std::num::NonZeroU64;
use std::ops::Range;

/// The parts as librrd's C compiler lays them out, which differs with the size of a long and with
/// where a double may begin. Never made: only their sizes and offsets are used.
mod c {
    use std::ffi::{c_long, c_ulong};

    /// A long or a double.
    type Either = f64;

    #[repr(C)]
    pub(super) struct StatHead {
        pub(super) magic: [u8; 4],
        pub(super) version: [u8; 5],
        pub(super) float_cookie: f64,
        pub(super) sources: c_ulong,
        pub(super) archives: c_ulong,
        pub(super) step: c_ulong,
        par: [Either; 10],
    }

    #[repr(C)]
    pub(super) struct SourceDef {
        name: [u8; super::NAME],
        pub(super) kind: [u8; super::NAME],
        pub(super) par: [Either; 10],
    }

    #[repr(C)]
    pub(super) struct ArchiveDef {
        function: [u8; super::NAME],
        pub(super) rows: c_ulong,
        pub(super) steps: c_ulong,
        pub(super) par: [Either; 10],
    }

    /// The time of the last update is a long too: where C's time_t is longer than that, librrd lays
    /// files out in yet another way, which is refused as damage.
    #[repr(C)]
    pub(super) struct LiveHead {
        pub(super) last: c_long,
        pub(super) micros: c_long,
    }

    #[repr(C)]
    pub(super) struct PdpPrep {
        last_value: [u8; super::LAST_DS],
        pub(super) scratch: [Either; 10],
    }

    #[repr(C)]
    pub(super) struct CdpPrep {
        scratch: [Either; 10],
    }
}

/// Bytes of a long, which counts are.
const LONG: usize = size_of::<c_ulong>();

/// Bytes of a value, and of what may be a long or a value.
pub(crate) const VALUE: usize = size_of::<f64>();

/// Sizes of the parts, in the order they come in.
pub(crate) const STAT_HEAD: usize = size_of::<c::StatHead>();
pub(crate) const DS_DEF: usize = size_of::<c::SourceDef>();
pub(crate) const RRA_DEF: usize = size_of::<c::ArchiveDef>();
const LIVE_HEAD: usize = size_of::<c::LiveHead>();
pub(crate) const PDP_PREP: usize = size_of::<c::PdpPrep>();
pub(crate) const CDP_PREP: usize = size_of::<c::CdpPrep>();
const RRA_PTR: usize = LONG;

/// The live head before version 3, which had no microseconds.
const OLD_LIVE_HEAD: usize = offset_of!(c::LiveHead, micros);

/// Bytes of a name: of a data source, of its type, of a consolidation function.
pub(crate) const NAME: usize = 20;

/// What librrd keeps of the last value's text, with its NUL.
pub(crate) const LAST_DS: usize = 30;

/// What every file begins with.
pub(crate) const MAGIC: &[u8; 4] = b"RRD\0";

/// Offsets in the first part.
pub(crate) const VERSION: usize = offset_of!(c::StatHead, version);
pub(crate) const COOKIE: usize = offset_of!(c::StatHead, float_cookie);
pub(crate) const SOURCES: usize = offset_of!(c::StatHead, sources);
pub(crate) const ARCHIVES: usize = offset_of!(c::StatHead, archives);
pub(crate) const STEP: usize = offset_of!(c::StatHead, step);

/// Offsets in a data source's definition.
pub(crate) const DS_TYPE: usize = offset_of!(c::SourceDef, kind);
pub(crate) const DS_HEARTBEAT: usize = offset_of!(c::SourceDef, par);
pub(crate) const DS_MIN: usize = DS_HEARTBEAT + VALUE;
pub(crate) const DS_MAX: usize = DS_MIN + VALUE;

/// Offsets in an archive's definition.
pub(crate) const RRA_ROWS: usize = offset_of!(c::ArchiveDef, rows);
pub(crate) const RRA_STEPS: usize = offset_of!(c::ArchiveDef, steps);
pub(crate) const RRA_PAR: usize = offset_of!(c::ArchiveDef, par);

/// Offset in what is kept of a data source between two samples.
pub(crate) const PDP_SCRATCH: usize = offset_of!(c::PdpPrep, scratch);

/// librrd's float cookie: it reads so only in a file of this machine's byte order and alignment.
pub(crate) const FLOAT_COOKIE: f64 = 8.642_135E130;

/// Limit of an archive's seconds in all, which librrd computes as signed longs.
pub(crate) const SPAN: u64 = (std::ffi::c_long::MAX as u64).div_ceil(2);

/// Newest version of the format.
const NEWEST: u32 = 5;

/// Limit of data sources times archives. No real file has a thousandth of that, and a header stays
/// small enough to be read.
const PARTS: u64 = 1 << 16;

/// A field that no sound round-robin file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// Byte of the file.
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

/// Where a part of that length stands which begins there.
pub(crate) fn span(at: usize, length: usize) -> Range<usize> {
    at..at.saturating_add(length)
}

/// Where the part of that number stands, of parts of that length which begin at `first`.
fn nth(first: usize, number: usize, length: usize) -> usize {
    first.saturating_add(number.saturating_mul(length))
}

/// How many data sources and archives a file has, and how long its step is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) version: u32,
    pub(crate) sources: usize,
    pub(crate) archives: usize,
    pub(crate) step: NonZeroU64,
    live_head: usize,
}

impl Shape {
    /// Of a file that begins with these bytes: at least [`STAT_HEAD`] of them.
    pub(crate) fn of(bytes: &[u8]) -> Result<Shape, Flaw> {
        let flaw = |at, what| Err(Flaw { at, what });
        if !bytes.starts_with(MAGIC) {
            return flaw(0, "not a round-robin file");
        }
        let Some(version) = version(&bytes[VERSION..VERSION + 5]) else {
            return flaw(VERSION, "unknown version of the format");
        };
        if float(bytes, COOKIE).to_bits() != FLOAT_COOKIE.to_bits() {
            return flaw(COOKIE, "written on another kind of machine");
        }
        let (sources, archives) = (whole(bytes, SOURCES), whole(bytes, ARCHIVES));
        if !(1..=PARTS).contains(&sources) {
            return flaw(SOURCES, "impossible number of data sources");
        }
        if !(1..=PARTS).contains(&archives) || sources.saturating_mul(archives) > PARTS {
            return flaw(ARCHIVES, "impossible number of archives");
        }
        let step = NonZeroU64::new(whole(bytes, STEP));
        let Some(step) = step.filter(|step| u32::try_from(step.get()).is_ok()) else {
            return flaw(STEP, "impossible step");
        };
        Ok(Shape {
            version,
            sources: sources as usize,
            archives: archives as usize,
            step,
            live_head: if version < 3 {
                OLD_LIVE_HEAD
            } else {
                LIVE_HEAD
            },
        })
    }

    /// Of a file that is to be created, as old as it may be; its step is one second at least.
    pub(crate) fn new(sources: usize, archives: usize, step: u64) -> Shape {
        Shape {
            version: 3,
            sources,
            archives,
            step: NonZeroU64::new(step).unwrap_or(NonZeroU64::MIN),
            live_head: LIVE_HEAD,
        }
    }

    pub(crate) fn ds_def(source: usize) -> usize {
        nth(STAT_HEAD, source, DS_DEF)
    }

    pub(crate) fn rra_def(&self, archive: usize) -> usize {
        nth(Shape::ds_def(self.sources), archive, RRA_DEF)
    }

    /// Where the part starts that changes, with the time of the last update.
    pub(crate) fn live(&self) -> usize {
        self.rra_def(self.archives)
    }

    /// Where the microseconds of the last update stand, in a version that has them.
    pub(crate) fn micros(&self) -> Option<usize> {
        (self.live_head == LIVE_HEAD).then_some(nth(self.live(), 1, OLD_LIVE_HEAD))
    }

    pub(crate) fn pdp(&self, source: usize) -> usize {
        nth(nth(self.live(), 1, self.live_head), source, PDP_PREP)
    }

    pub(crate) fn cdp(&self, archive: usize, source: usize) -> usize {
        nth(
            self.pdp(self.sources),
            nth(source, archive, self.sources),
            CDP_PREP,
        )
    }

    pub(crate) fn pointer(&self, archive: usize) -> usize {
        nth(self.cdp(self.archives, 0), archive, RRA_PTR)
    }

    pub(crate) fn header_len(&self) -> usize {
        self.pointer(self.archives)
    }
}

/// The number in a version's text.
fn version(text: &[u8]) -> Option<u32> {
    let (end, digits) = text.split_last()?;
    let digits = std::str::from_utf8(digits).ok()?;
    let plain = *end == 0 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| plain)?;
    (1..=NEWEST).contains(&number).then_some(number)
}

/// Text up to its NUL.
pub(crate) fn text(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[span(at, N)]);
    field
}

/// A long, as a count.
#[allow(clippy::useless_conversion, reason = "a long may have four bytes")]
pub(crate) fn whole(bytes: &[u8], at: usize) -> u64 {
    c_ulong::from_ne_bytes(field(bytes, at)).into()
}

pub(crate) fn float(bytes: &[u8], at: usize) -> f64 {
    f64::from_ne_bytes(field(bytes, at))
}

/// Puts a long, cut as C does where it has four bytes.
pub(crate) fn put(bytes: &mut [u8], at: usize, value: u64) {
    bytes[span(at, LONG)].copy_from_slice(&(value as c_ulong).to_ne_bytes());
}

pub(crate) fn put_float(bytes: &mut [u8], at: usize, value: f64) {
    bytes[span(at, VALUE)].copy_from_slice(&value.to_ne_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a C compiler for that processor has them.
    #[test]
    fn parts_are_as_long_as_librrds() {
        let sizes = [STAT_HEAD, DS_DEF, RRA_DEF, LIVE_HEAD, PDP_PREP, CDP_PREP];
        let known = if cfg!(target_pointer_width = "64") {
            [128, 120, 120, 16, 112, 80]
        } else if cfg!(target_arch = "x86") {
            [112, 120, 108, 8, 112, 80]
        } else {
            [120, 120, 112, 8, 112, 80]
        };
        assert_eq!(sizes, known);
    }
}
