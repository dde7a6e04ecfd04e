//! Whether a round-robin file may be given to librrd: its header is checked, against its length too.
//!
//! librrd trusts a header. It divides by its numbers, follows its indices and reads its texts up to
//! a NUL, so a damaged header ends the process. librrd's calls therefore take a [`Sound`] instead of
//! a path, and only [`examine`] makes one. The values of archives can do no harm and are not checked.
//!
//! librrd opens the file again, by its name. Another process that damages it in the microseconds
//! between, or while librrd has it mapped, can still do harm. Only librrd's lock could prevent that;
//! librrd takes it too late, and only programs that use librrd respect it.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::ffi::{CStr, c_long};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use thiserror::Error;

use crate::file::as_path;
use crate::file::layout::{
    CDP_PREP, DS_DEF, DS_TYPE, Flaw, LAST_DS, NAME, RRA_DEF, RRA_PAR, RRA_ROWS, RRA_STEPS, SPAN,
    STAT_HEAD, Shape, float, span, text, whole,
};
use crate::file::open::{Access, OpenError, open};
#[cfg(feature = "librrd")]
use crate::file::room;

/// Enough for the header of nearly every file.
const FRONT: usize = 4096;

/// Limit of the time of the last update: some 35,000 years off, or what a long of four bytes can hold.
const LATEST: u64 = if c_long::MAX as u64 > 1 << 40 {
    1 << 40
} else {
    c_long::MAX as u64
};

/// Most violations that an archive of failures keeps.
const WINDOW: u64 = 28;

/// Indices of an archive's parameters.
const XFF: usize = 0;
const SMOOTHING_WINDOW: usize = 2;
const DEPENDENT: usize = 3;
const WINDOW_LEN: usize = 4;

/// The path of a file that librrd may read.
#[cfg(feature = "librrd")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sound<'a> {
    path: &'a CStr,
    /// Its length, if it has holes: bytes that have no block on the disk yet.
    to_fill: Option<u64>,
}

/// The path of a file that librrd may write as well. librrd writes through a mapping, where a full
/// disk is a signal that ends the process, so every byte has its block already.
#[cfg(feature = "librrd")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Solid<'a>(&'a CStr);

#[cfg(feature = "librrd")]
impl<'a> Sound<'a> {
    pub(crate) fn path(self) -> &'a CStr {
        self.path
    }

    /// Fills the holes, or fails as the disk is full.
    pub(crate) fn without_holes(self) -> Result<Solid<'a>, Unsound> {
        if let Some(len) = self.to_fill {
            let (file, _) = open(as_path(self.path), Access::Write)?;
            room::take(&file, len).map_err(|cause| Unsound::System {
                what: "it cannot be written to",
                cause,
            })?;
        }
        Ok(Solid(self.path))
    }
}

#[cfg(feature = "librrd")]
impl<'a> Solid<'a> {
    pub(crate) fn path(self) -> &'a CStr {
        self.0
    }
}

/// Why a file is not given to librrd.
#[derive(Debug, Error)]
pub(crate) enum Unsound {
    #[error("{what}: {cause}")]
    System {
        what: &'static str,
        cause: io::Error,
    },
    #[error("it is {0}, not a regular file; remove it to have the file created")]
    NotRegular(&'static str),
    #[error(
        "it is damaged: it ends after {has} bytes of {needs}; restore it, or remove it to \
         have a new one created"
    )]
    Cut { has: u64, needs: u64 },
    #[error(
        "it is damaged at byte {at}: {what}; restore it, or remove it to have a new one created"
    )]
    Damaged { at: usize, what: &'static str },
}

impl From<OpenError> for Unsound {
    fn from(error: OpenError) -> Unsound {
        match error {
            OpenError::System { what, cause } => Unsound::System { what, cause },
            OpenError::NotRegular(kind) => Unsound::NotRegular(kind),
        }
    }
}

impl From<Flaw> for Unsound {
    fn from(Flaw { at, what }: Flaw) -> Unsound {
        Unsound::Damaged { at, what }
    }
}

/// Reads a file's header and checks everything in it that librrd trusts.
#[cfg(feature = "librrd")]
pub(crate) fn examine(path: &CStr) -> Result<Sound<'_>, Unsound> {
    let (file, about) = open(as_path(path), Access::Read)?;
    with_header(&file, about.len(), |_, _| ())?;
    Ok(Sound {
        path,
        to_fill: room::has_holes(&file, about.len()).then_some(about.len()),
    })
}

/// A file's header, checked in the same way.
pub(crate) fn header_of(path: &CStr) -> Result<(Shape, Vec<u8>), Unsound> {
    let (file, about) = open(as_path(path), Access::Read)?;
    with_header(&file, about.len(), |shape, header| (shape, header.to_vec()))
}

/// What is made of the header of a file of that length, once it is found to be sound.
fn with_header<T>(
    file: &File,
    len: u64,
    take: impl FnOnce(Shape, &[u8]) -> T,
) -> Result<T, Unsound> {
    let system = |what| move |cause| Unsound::System { what, cause };
    let mut front = [0; FRONT];
    let read = file
        .read_at(&mut front, 0)
        .map_err(system("it cannot be read"))?;
    let cut = |needs: usize| Unsound::Cut {
        has: len,
        needs: needs as u64,
    };
    if read < STAT_HEAD {
        return Err(cut(STAT_HEAD));
    }
    let shape = Shape::of(&front[..read])?;
    let header = shape.header_len();
    if header as u64 > len {
        return Err(cut(header));
    }
    let mut longer = Vec::new();
    let header = if header <= read {
        &front[..header]
    } else {
        longer.resize(header, 0);
        file.read_exact_at(&mut longer, 0)
            .map_err(system("it cannot be read"))?;
        &longer
    };
    check(header, shape, len)?;
    Ok(take(shape, header))
}

fn flaw<T>(at: usize, what: &'static str) -> Result<T, Flaw> {
    Err(Flaw { at, what })
}

/// Checks a whole header, for a file of `len` bytes.
fn check(header: &[u8], shape: Shape, len: u64) -> Result<(), Unsound> {
    for source in 0..shape.sources {
        check_source(header, shape, source)?;
    }
    if whole(header, shape.live()) > LATEST {
        return Err(Flaw {
            at: shape.live(),
            what: "impossible time of the last update",
        }
        .into());
    }
    let archives = Archives::of(header, shape)?;
    let mut needs = header.len() as u64;
    for archive in 0..shape.archives {
        let rows = archives.check(archive)?;
        needs = needs.saturating_add(rows.saturating_mul(shape.sources as u64).saturating_mul(8));
    }
    if needs > len {
        return Err(Unsound::Cut { has: len, needs });
    }
    Ok(())
}

fn check_source(header: &[u8], shape: Shape, source: usize) -> Result<(), Flaw> {
    let at = Shape::ds_def(source);
    let def = &header[span(at, DS_DEF)];
    if !def[..NAME].contains(&0) {
        return flaw(at, "unterminated name of a data source");
    }
    match text(&def[DS_TYPE..DS_TYPE + NAME]) {
        b"GAUGE" | b"COUNTER" | b"DERIVE" | b"ABSOLUTE" | b"DCOUNTER" | b"DDERIVE" => {}
        b"COMPUTE" => {
            let program = &def[DS_TYPE + NAME..];
            if !computes(program, shape.sources) {
                let what = "a COMPUTE program that librrd may not survive";
                return flaw(after(at, DS_TYPE + NAME), what);
            }
        }
        _ => return flaw(after(at, DS_TYPE), "unknown type of a data source"),
    }
    let at = shape.pdp(source);
    if !header[span(at, LAST_DS)].contains(&0) {
        return flaw(at, "unterminated last value");
    }
    Ok(())
}

/// Bytes of a step of a computed data source's program: its number, and a short where it has one.
const RPN_STEP: usize = 4;
const RPN_VARIABLE: u8 = 1;
const RPN_END: u8 = 32;

/// How many values a step pops and pushes. `None` for what rrdtool does not create, and for what
/// pops as many values as another value says.
fn rpn_effect(op: u8) -> Option<(usize, usize)> {
    Some(match op {
        // Numbers, variables, INF, NEGINF, UNKN, NOW, DEPTH.
        0 | RPN_VARIABLE | 2 | 4 | 5 | 6 | 56 => (0, 1),
        // SIN, COS, LOG, EXP, FLOOR, CEIL, UN, ISINF, ATAN, SQRT, RAD2DEG, DEG2RAD, ABS.
        13 | 17..=19 | 29..=31 | 35 | 38 | 39 | 45 | 46 | 50 => (1, 1),
        // ADD, MOD, SUB, MUL, DIV, LT to EQ, MIN, MAX, NE, ATAN2, ADDNAN, MINNAN, MAXNAN.
        8..=12 | 20..=24 | 26 | 27 | 34 | 44 | 51..=53 => (2, 1),
        // IF, LIMIT.
        25 | 28 => (3, 1),
        // DUP, EXC, POP.
        14 => (1, 2),
        15 => (2, 2),
        16 => (1, 0),
        _ => return None,
    })
}

/// Whether a COMPUTE program ends, and uses only sources and stack entries that exist.
fn computes(program: &[u8], sources: usize) -> bool {
    let mut depth = 0_usize;
    for (number, step) in program.chunks_exact(RPN_STEP).enumerate() {
        if step[0] == RPN_END {
            return number > 0;
        }
        let Some((takes, puts)) = rpn_effect(step[0]) else {
            return false;
        };
        let variable = i16::from_ne_bytes([step[2], step[3]]);
        let known = usize::try_from(variable).is_ok_and(|it| it < sources);
        if depth < takes || (step[0] == RPN_VARIABLE && !known) {
            return false;
        }
        depth = depth.saturating_sub(takes).saturating_add(puts);
    }
    false
}

/// An archive's consolidation function. Those for forecasts refer to each other's archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    /// AVERAGE, MIN, MAX, LAST.
    Plain,
    /// HWPREDICT, MHWPREDICT.
    Predict,
    Seasonal,
    DevPredict,
    DevSeasonal,
    Failures,
}

impl Function {
    fn of(name: &[u8]) -> Option<Function> {
        Some(match name {
            b"AVERAGE" | b"MIN" | b"MAX" | b"LAST" => Function::Plain,
            b"HWPREDICT" | b"MHWPREDICT" => Function::Predict,
            b"SEASONAL" => Function::Seasonal,
            b"DEVPREDICT" => Function::DevPredict,
            b"DEVSEASONAL" => Function::DevSeasonal,
            b"FAILURES" => Function::Failures,
            _ => return None,
        })
    }

    /// The function of the archive that one of this function refers to.
    fn refers_to(self) -> Option<Function> {
        match self {
            Function::Plain => None,
            Function::Predict => Some(Function::Seasonal),
            Function::Seasonal | Function::DevSeasonal => Some(Function::Predict),
            Function::DevPredict | Function::Failures => Some(Function::DevSeasonal),
        }
    }
}

/// A header's archives.
struct Archives<'a> {
    header: &'a [u8],
    shape: Shape,
    functions: Vec<Function>,
}

impl<'a> Archives<'a> {
    fn of(header: &'a [u8], shape: Shape) -> Result<Archives<'a>, Flaw> {
        let functions = (0..shape.archives).map(|archive| {
            let at = shape.rra_def(archive);
            Function::of(text(&header[span(at, NAME)])).ok_or(Flaw {
                at,
                what: "unknown consolidation function",
            })
        });
        Ok(Archives {
            header,
            shape,
            functions: functions.collect::<Result<_, _>>()?,
        })
    }

    /// Checks one; how many rows it has.
    fn check(&self, archive: usize) -> Result<u64, Flaw> {
        let Archives { header, shape, .. } = self;
        let at = shape.rra_def(archive);
        let def = &header[span(at, RRA_DEF)];
        let (rows, steps) = (whole(def, RRA_ROWS), whole(def, RRA_STEPS));
        // librrd takes rows for an int in places.
        if !(1..=i32::MAX as u64).contains(&rows) {
            return flaw(after(at, RRA_ROWS), "impossible number of rows");
        }
        let span = shape.step.get().checked_mul(rows);
        let span = span.and_then(|secs| secs.checked_mul(steps));
        if steps == 0 || span.is_none_or(|span| span > SPAN) {
            return flaw(after(at, RRA_STEPS), "impossible number of steps in a row");
        }
        let pointer = shape.pointer(archive);
        if whole(header, pointer) >= rows {
            return flaw(pointer, "current row beyond the last");
        }
        match self.functions[archive] {
            Function::Plain if !(0.0..=1.0).contains(&float(def, par(XFF))) => flaw(
                after(at, par(XFF)),
                "impossible share of unknown values (xff)",
            ),
            Function::Plain => Ok(rows),
            function => self.check_aberrant(at, def, function).map(|()| rows),
        }
    }

    /// Checks an archive for forecasts (aberrant behaviour detection).
    fn check_aberrant(&self, at: usize, def: &[u8], function: Function) -> Result<(), Flaw> {
        if whole(def, RRA_STEPS) != 1 {
            return flaw(after(at, RRA_STEPS), "impossible number of steps in a row");
        }
        let other = usize::try_from(whole(def, par(DEPENDENT)));
        let other = other.ok().and_then(|other| self.functions.get(other));
        if other.copied() != function.refers_to() {
            return flaw(
                after(at, par(DEPENDENT)),
                "reference to an archive that does not fit",
            );
        }
        let seasonal = matches!(function, Function::Seasonal | Function::DevSeasonal);
        if seasonal && whole(def, RRA_ROWS) < 2 {
            return flaw(after(at, RRA_ROWS), "impossible number of rows");
        }
        // Older versions have no such parameter.
        let window = float(def, par(SMOOTHING_WINDOW));
        if seasonal && self.shape.version >= 4 && !(0.0..=1.0).contains(&window) {
            return flaw(
                after(at, par(SMOOTHING_WINDOW)),
                "impossible smoothing window",
            );
        }
        let kept = whole(def, par(WINDOW_LEN));
        if function == Function::Failures && !(1..=WINDOW).contains(&kept) {
            return flaw(
                after(at, par(WINDOW_LEN)),
                "impossible number of violations",
            );
        }
        Ok(())
    }
}

/// Where a parameter stands in an archive's definition.
const fn par(number: usize) -> usize {
    after(RRA_PAR, number.saturating_mul(8))
}

const _: () = assert!(
    WINDOW as usize <= CDP_PREP,
    "violations are kept in a CDP's bytes"
);

/// Where a field stands, so many bytes after the start of its part.
const fn after(at: usize, bytes: usize) -> usize {
    at.saturating_add(bytes)
}

#[cfg(test)]
mod tests {
    use std::ffi::{CString, OsStr, c_ulong};
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::*;
    use crate::file::layout::{ARCHIVES, COOKIE, SOURCES, STEP, VALUE, VERSION};
    use crate::file::testing;

    fn c(text: impl Into<Vec<u8>>) -> CString {
        CString::new(text).unwrap()
    }

    fn create(folder: &Path, definitions: &[&str]) -> CString {
        let path = c(folder.join("f").as_os_str().as_bytes());
        let _ = std::fs::remove_file(folder.join("f"));
        testing::create(&path, 10, 1_700_000_000, definitions).unwrap();
        path
    }

    /// The bytes of a long as this processor's librrd writes it.
    fn long(number: c_ulong) -> [u8; size_of::<c_ulong>()] {
        number.to_ne_bytes()
    }

    /// What is said of the file with these bytes at that place.
    fn said(path: &CStr, at: usize, bytes: &[u8]) -> String {
        let name = Path::new(OsStr::from_bytes(path.to_bytes()));
        let whole = std::fs::read(name).unwrap();
        let mut damaged = whole.clone();
        damaged[at..at + bytes.len()].copy_from_slice(bytes);
        std::fs::write(name, damaged).unwrap();
        let said = header_of(path).map_or_else(|unsound| unsound.to_string(), |_| "sound".into());
        std::fs::write(name, whole).unwrap();
        said
    }

    #[test]
    fn each_claim_is_checked_and_named_by_its_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = create(
            folder.path(),
            &[
                "DS:sum:GAUGE:80:U:U",
                "RRA:AVERAGE:0.5:1:20",
                "RRA:MAX:0.5:4:12",
            ],
        );
        let (shape, _) = header_of(&path).unwrap();
        let (source, archive) = (Shape::ds_def(0), shape.rra_def(0));
        let (rows, steps) = (archive + RRA_ROWS, archive + RRA_STEPS);
        let (live, last_value) = (shape.live(), shape.pdp(0));
        let (zero, huge) = (long(0), long(c_ulong::MAX / 4));
        for (at, bytes, what) in [
            (0, &b"RDR"[..], "not a round-robin file"),
            (VERSION, b"0006", "unknown version of the format"),
            (COOKIE, &[1], "written on another kind of machine"),
            (SOURCES, &zero, "impossible number of data sources"),
            (ARCHIVES, &huge, "impossible number of archives"),
            (STEP, &zero, "impossible step"),
            (source, &[b'x'; NAME], "unterminated name of a data source"),
            (source + DS_TYPE, b"GAUGF", "unknown type of a data source"),
            (archive, b"AVERAGF", "unknown consolidation function"),
            (rows, &zero, "impossible number of rows"),
            (steps, &zero, "impossible number of steps in a row"),
            (steps, &huge, "impossible number of steps in a row"),
            (
                archive + RRA_PAR,
                &[0xff; 8],
                "impossible share of unknown values (xff)",
            ),
            (
                live,
                &long(c_ulong::MAX),
                "impossible time of the last update",
            ),
            (last_value, &[b'7'; LAST_DS], "unterminated last value"),
            (shape.pointer(0), &long(20), "current row beyond the last"),
        ] {
            let said = said(&path, at, bytes);
            let wanted = format!("it is damaged at byte {at}: {what};");
            assert!(said.starts_with(&wanted), "{wanted} {said}");
        }
        let len = shape.header_len() + (20 + 12) * VALUE;
        let cut = format!("it is damaged: it ends after {len} bytes of");
        assert!(said(&path, rows, &long(21)).starts_with(&cut));
        let values = shape.header_len();
        assert_eq!(
            said(&path, values, &[0xff; 200]),
            "sound",
            "values are no claims"
        );
    }

    #[cfg(feature = "librrd")]
    #[test]
    fn archives_that_refer_to_others_refer_to_such_as_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = create(
            folder.path(),
            &[
                "DS:sum:GAUGE:80:U:U",
                "RRA:AVERAGE:0.5:1:20",
                "RRA:HWPREDICT:30:0.1:0.0035:6",
            ],
        );
        assert!(header_of(&path).is_ok());
        let def = |archive: usize| STAT_HEAD + DS_DEF + archive * RRA_DEF;
        for (at, number) in [
            (def(1) + par(DEPENDENT), 9),
            (def(2) + par(DEPENDENT), 0),
            (def(4) + par(DEPENDENT), c_ulong::MAX),
            (def(5) + par(WINDOW_LEN), 29),
            (def(5) + RRA_STEPS, 2),
        ] {
            let said = said(&path, at, &long(number));
            assert!(said.contains(&format!("at byte {at}:")), "{at}: {said}");
        }
        let path = create(
            folder.path(),
            &[
                "DS:sum:GAUGE:80:U:U",
                "RRA:MHWPREDICT:30:0.1:0.0035:6:2",
                "RRA:SEASONAL:6:0.1:1:smoothing-window=0.4",
            ],
        );
        assert!(header_of(&path).is_ok());
        let window = [f64::NAN, -0.1, 1.5].map(f64::to_ne_bytes);
        for bytes in window {
            let said = said(&path, def(1) + par(SMOOTHING_WINDOW), &bytes);
            assert!(said.contains("impossible smoothing window"), "{said}");
        }
    }

    #[test]
    fn a_program_ends_and_uses_what_there_is() {
        let step = |op: u8, value: i16| {
            let value = value.to_ne_bytes();
            [op, 0, value[0], value[1]]
        };
        let runs = |steps: &[(u8, i16)]| {
            let mut program = [0; 80];
            for (at, &(op, value)) in steps.iter().enumerate() {
                program[at * 4..at * 4 + 4].copy_from_slice(&step(op, value));
            }
            computes(&program, 2)
        };
        assert!(runs(&[(1, 0), (1, 1), (8, 0), (32, 0)]), "a,b,+");
        assert!(!runs(&[(1, 0), (1, 2), (8, 0), (32, 0)]), "no third source");
        assert!(!runs(&[(1, -1), (32, 0)]));
        assert!(!runs(&[(1, 0), (8, 0), (32, 0)]), "one value is not two");
        assert!(!runs(&[(1, 0), (0, 1), (40, 0), (32, 0)]), "SORT");
        assert!(!runs(&[(32, 0)]), "nothing to compute");
        assert!(!computes(&[0; 80], 2), "no end");
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [folder.path(), &pipe] {
            let path = c(path.as_os_str().as_bytes());
            assert!(matches!(header_of(&path), Err(Unsound::NotRegular(_))));
        }
        let missing = c(folder.path().join("missing").as_os_str().as_bytes());
        let said = header_of(&missing).unwrap_err().to_string();
        assert!(
            said.starts_with("it cannot be opened: No such file"),
            "{said}"
        );
    }
}
