//! Where the parts of a round-robin file lie, and how its fields are read and written as bytes.
//!
//! No I/O. Checked are only the fields that say where the others lie; the rest is `sound`'s matter.

/// Whether librrd on this machine lays files out as this module does: its longs have eight bytes.
pub(crate) const IS_OURS: bool = cfg!(target_pointer_width = "64");

/// Sizes of the parts, in the order they come in.
pub(crate) const STAT_HEAD: usize = 128;
pub(crate) const DS_DEF: usize = 120;
pub(crate) const RRA_DEF: usize = 120;
const LIVE_HEAD: usize = 16;
pub(crate) const PDP_PREP: usize = 112;
pub(crate) const CDP_PREP: usize = 80;
const RRA_PTR: usize = 8;

/// The live head before version 3, which had no microseconds.
const OLD_LIVE_HEAD: usize = 8;

/// Bytes of a name: of a data source, of its type, of a consolidation function.
pub(crate) const NAME: usize = 20;

/// What librrd keeps of the last value's text, with its NUL.
pub(crate) const LAST_DS: usize = 30;

/// Offsets in the first part.
pub(crate) const VERSION: usize = 4;
pub(crate) const COOKIE: usize = 16;
pub(crate) const SOURCES: usize = 24;
pub(crate) const ARCHIVES: usize = 32;
pub(crate) const STEP: usize = 40;

/// Offsets in a data source's definition.
pub(crate) const DS_TYPE: usize = 20;
pub(crate) const DS_HEARTBEAT: usize = 40;
pub(crate) const DS_MIN: usize = 48;
pub(crate) const DS_MAX: usize = 56;

/// Offsets in an archive's definition.
pub(crate) const RRA_ROWS: usize = 24;
pub(crate) const RRA_STEPS: usize = 32;
pub(crate) const RRA_PAR: usize = 40;

/// librrd's float cookie: it reads so only in a file of this machine's byte order and alignment.
const FLOAT_COOKIE: f64 = 8.642_135E130;

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

/// How many data sources and archives a file has, and how long its step is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) version: u32,
    pub(crate) sources: usize,
    pub(crate) archives: usize,
    pub(crate) step: u64,
    live_head: usize,
}

impl Shape {
    /// Of a file that begins with these bytes: at least [`STAT_HEAD`] of them.
    pub(crate) fn of(bytes: &[u8]) -> Result<Shape, Flaw> {
        let flaw = |at, what| Err(Flaw { at, what });
        if !bytes.starts_with(b"RRD\0") {
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
        if !(1..=PARTS).contains(&archives) || sources * archives > PARTS {
            return flaw(ARCHIVES, "impossible number of archives");
        }
        let step = whole(bytes, STEP);
        if !(1..=u64::from(u32::MAX)).contains(&step) {
            return flaw(STEP, "impossible step");
        }
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

    pub(crate) fn ds_def(source: usize) -> usize {
        STAT_HEAD + source * DS_DEF
    }

    pub(crate) fn rra_def(&self, archive: usize) -> usize {
        Shape::ds_def(self.sources) + archive * RRA_DEF
    }

    /// Where the part starts that changes, with the time of the last update.
    pub(crate) fn live(&self) -> usize {
        self.rra_def(self.archives)
    }

    pub(crate) fn pdp(&self, source: usize) -> usize {
        self.live() + self.live_head + source * PDP_PREP
    }

    pub(crate) fn cdp(&self, archive: usize, source: usize) -> usize {
        self.pdp(self.sources) + (archive * self.sources + source) * CDP_PREP
    }

    pub(crate) fn pointer(&self, archive: usize) -> usize {
        self.cdp(self.archives, 0) + archive * RRA_PTR
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

fn eight(bytes: &[u8], at: usize) -> [u8; 8] {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    field
}

pub(crate) fn whole(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(eight(bytes, at))
}

pub(crate) fn float(bytes: &[u8], at: usize) -> f64 {
    f64::from_ne_bytes(eight(bytes, at))
}

pub(crate) fn put(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
}

pub(crate) fn put_float(bytes: &mut [u8], at: usize, value: f64) {
    bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
}
