//! The update of a round-robin file: what librrd would make of it, in less time. librrd maps the file
//! into memory for each call, which costs.
//!
//! Plain is every file but those with forecasts (Holt-Winters) or with data sources computed of others:
//! only they are left to librrd. What is reckoned is [`arithmetic`](crate::file::arithmetic)'s matter.
//! Fields are read and written as bytes.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::ffi::CStr;
use std::fs::File;
use std::num::NonZeroU64;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::file::arithmetic::{
    CDP_PRIMARY, CDP_SECONDARY, Consolidation, Function, Interval, SourceKind, UNKNOWN,
};
use crate::file::as_path;
use crate::file::error::{FileError, Refusal};
use crate::file::layout::{
    CDP_PREP, DS_HEARTBEAT, DS_MAX, DS_MIN, DS_TYPE, LAST_DS, NAME, PDP_PREP, RRA_PAR, RRA_ROWS,
    RRA_STEPS, SPAN, STAT_HEAD, Shape, VALUE, float, put, text, whole,
};
use crate::file::open::{Access, open, open_for_update, open_in_for_update};
use crate::file::samples::Samples;

/// Enough for the header of nearly every file: with gmetad-python's archives a file of sums has just as
/// much. A longer header is read a second time.
const FRONT: usize = 2048;

/// Longest header that is handled here.
const MAX_HEADER: usize = 1 << 20;

/// What became of samples that a file was to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Written,
    /// Nothing was written: the file is missing, is no sound one, or is not plain.
    NotPlain,
}

/// Writes samples into the file, if it is plain. Where one is refused, those before it are written
/// and those after it are not. `folder` is the file's, if it is held open.
pub(crate) fn update(
    folder: Option<BorrowedFd<'_>>,
    path: &CStr,
    samples: &Samples,
) -> Result<Outcome, FileError> {
    let Some((file, length)) = opened(folder, path) else {
        return Ok(Outcome::NotPlain);
    };
    lock(&file)?;
    let mut guess = [0; FRONT];
    let mut longer = Vec::new();
    let Some((shape, front)) = front(&file, &mut guess, &mut longer) else {
        return Ok(Outcome::NotPlain);
    };
    let Some(mut update) = Update::new(shape, front, length) else {
        return Ok(Outcome::NotPlain);
    };
    let mut refused = None;
    let mut has_taken = false;
    for (time, value) in samples.iter() {
        if let Err(refusal) = update.sample(time.into(), value) {
            refused = Some(refusal);
            break;
        }
        has_taken = true;
    }
    if has_taken {
        update.write(&file)?;
    }
    match refused {
        Some(refusal) => Err(refusal.into()),
        None => Ok(Outcome::Written),
    }
}

/// The file and its length, also through a link that is followed.
fn opened(folder: Option<BorrowedFd<'_>>, path: &CStr) -> Option<(File, u64)> {
    let quickly = match folder {
        Some(folder) => open_in_for_update(folder, path),
        None => open_for_update(as_path(path)),
    };
    quickly.or_else(|| {
        let (file, about) = open(as_path(path), Access::Update).ok()?;
        Some((file, about.len()))
    })
}

/// The file's shape and first bytes, with its whole header; `None` where it has none that is handled
/// here.
fn front<'a>(
    file: &File,
    guess: &'a mut [u8; FRONT],
    longer: &'a mut Vec<u8>,
) -> Option<(Shape, &'a mut [u8])> {
    let read = file.read_at(guess, 0).ok()?;
    let shape = shape(&guess[..read])?;
    if shape.header_len() <= read {
        return Some((shape, &mut guess[..read]));
    }
    longer.resize(shape.header_len(), 0);
    file.read_exact_at(longer, 0).ok()?;
    Some((shape, longer))
}

/// Carries samples into a copy of a file's first bytes, which have its whole header: what the file
/// would be with them. Returns what would change behind those bytes; `None` where the file is not
/// plain or refuses a sample, and then the copy is spoilt.
pub(crate) fn carry(front: &mut [u8], length: u64, samples: &Samples) -> Option<Vec<Run>> {
    let shape = shape(front).filter(|shape| shape.header_len() <= front.len())?;
    let mut update = Update::new(shape, front, length)?;
    for (time, value) in samples.iter() {
        update.sample(time.into(), value).ok()?;
    }
    Some(update.runs)
}

/// The lock that librrd takes; it goes when the file is closed.
pub(super) fn lock(file: &File) -> Result<(), FileError> {
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_SETLK(&whole)) {
        Ok(_) => Ok(()),
        Err(Errno::EAGAIN | Errno::EACCES) => Err(FileError::Locked),
        Err(errno) => Err(FileError::System {
            what: "it cannot be locked",
            cause: errno.into(),
        }),
    }
}

fn shape(bytes: &[u8]) -> Option<Shape> {
    if bytes.len() < STAT_HEAD {
        return None;
    }
    let shape = Shape::of(bytes).ok()?;
    (shape.header_len() <= MAX_HEADER).then_some(shape)
}

#[derive(Clone, Copy)]
struct Source {
    kind: SourceKind,
    heartbeat: f64,
    /// Rates beyond them are unknown; NaN for no limit.
    min: f64,
    max: f64,
    /// What the sample at hand adds, as rate times seconds.
    grown: f64,
    /// The part of it that belongs to the step that had begun.
    begun: f64,
    /// Of the steps that ended.
    rate: f64,
}

impl Source {
    /// By its definition; `None` where that is not plain.
    fn of(def: &[u8]) -> Option<Source> {
        Some(Source {
            kind: SourceKind::named(text(&def[DS_TYPE..DS_TYPE + NAME]))?,
            heartbeat: whole(def, DS_HEARTBEAT) as f64,
            min: float(def, DS_MIN),
            max: float(def, DS_MAX),
            grown: UNKNOWN,
            begun: UNKNOWN,
            rate: UNKNOWN,
        })
    }

    /// What a value adds, as rate times seconds; NaN where that is unknown.
    fn grown(&self, word: &[u8], last: &[u8], secs: f64) -> Result<f64, Refusal> {
        if word.first() == Some(&b'U') || secs > self.heartbeat {
            return Ok(UNKNOWN);
        }
        let Some(grown) = self.kind.grown(word, last, secs) else {
            return Err(self.refusal(word));
        };
        let is_free = self.min.is_nan() && self.max.is_nan();
        if is_free || grown.is_nan() {
            return Ok(grown);
        }
        let rate = match self.kind {
            SourceKind::Gauge => self.kind.grown(word, last, 1.0).unwrap_or(grown),
            _ => grown / secs,
        };
        let is_beyond = rate > self.max || rate < self.min;
        Ok(if is_beyond { UNKNOWN } else { grown })
    }

    fn refusal(&self, word: &[u8]) -> Refusal {
        let wanted = match self.kind {
            SourceKind::Counter => "a whole number",
            SourceKind::Derive => "a whole number, with a minus sign or without",
            _ => "a number",
        };
        Refusal::new(format!("'{}' is not {wanted}", word.escape_ascii()))
    }
}

struct Archive {
    consolidation: Consolidation,
    rows: NonZeroU64,
    /// Where its rows start in the file.
    start: u64,
    /// Rows filled by the samples of this call.
    filled: u64,
}

impl Archive {
    /// By its definition, in a file of that step; `None` where that is not plain or not sound.
    fn of(def: &[u8], step: NonZeroU64, start: u64) -> Option<Archive> {
        let consolidation = Consolidation {
            function: Function::named(text(&def[..NAME]))?,
            steps: NonZeroU64::new(whole(def, RRA_STEPS))?,
            xff: float(def, RRA_PAR),
        };
        let rows = NonZeroU64::new(whole(def, RRA_ROWS))?;
        let span = step.checked_mul(rows)?.checked_mul(consolidation.steps)?;
        let sane = span.get() <= SPAN && (0.0..=1.0).contains(&consolidation.xff);
        sane.then_some(Archive {
            consolidation,
            rows,
            start,
            filled: 0,
        })
    }
}

/// A run of bytes that goes into the file at `at`.
pub(crate) struct Run {
    pub(crate) at: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Run {
    /// Where it ends.
    pub(crate) fn end(&self) -> u64 {
        self.at.saturating_add(self.bytes.len() as u64)
    }
}

/// A file's header while samples go into it.
struct Update<'a> {
    shape: Shape,
    /// The file's first bytes: its header, and what was read behind it.
    front: &'a mut [u8],
    /// Where the part of `front` ends that changes.
    front_end: usize,
    sources: Vec<Source>,
    archives: Vec<Archive>,
    /// What changes behind `front`, the newest last where two are of the same place.
    runs: Vec<Run>,
}

impl<'a> Update<'a> {
    /// `None` where the file is not plain or not sound.
    fn new(shape: Shape, front: &'a mut [u8], size: u64) -> Option<Update<'a>> {
        let sources = (0..shape.sources).map(|at| Source::of(&front[Shape::ds_def(at)..]));
        let sources = sources.collect::<Option<Vec<Source>>>()?;
        let mut archives = Vec::with_capacity(shape.archives);
        let mut start = shape.header_len() as u64;
        let row_bytes = shape.sources.saturating_mul(VALUE) as u64;
        for at in 0..shape.archives {
            let archive = Archive::of(&front[shape.rra_def(at)..], shape.step, start)?;
            if whole(front, shape.pointer(at)) >= archive.rows.get() {
                return None;
            }
            let bytes = archive.rows.get().checked_mul(row_bytes)?;
            start = start.checked_add(bytes)?;
            archives.push(archive);
        }
        (start <= size).then_some(Update {
            shape,
            front_end: shape.header_len(),
            front,
            sources,
            archives,
            runs: Vec::new(),
        })
    }

    /// Takes `VALUE[:VALUE]` of a time, or nothing of it.
    fn sample(&mut self, time: u64, value: &[u8]) -> Result<(), Refusal> {
        let last = whole(self.front, self.shape.live());
        if time <= last {
            return Err(Refusal::new(format!(
                "its last update, of {last}, is not before {time}"
            )));
        }
        let micros = self.shape.micros().map_or(0, |at| whole(self.front, at));
        let interval = Interval::between((last, micros), time, self.shape.step);
        self.grow(value, interval.secs)?;
        if interval.ended == 0 {
            for source in 0..self.sources.len() {
                let grown = self.sources[source].grown;
                interval.gather(self.pdp(source), grown);
            }
        } else if let Some((begun, rest)) = interval.split(self.shape.step) {
            for source in &mut self.sources {
                source.begun = UNKNOWN;
                if !source.grown.is_nan() {
                    source.begun = source.grown * begun.secs / interval.secs;
                    source.grown -= source.begun;
                }
            }
            self.end_steps(&begun, |source| source.begun);
            self.end_steps(&rest, |source| source.grown);
        } else {
            self.end_steps(&interval, |source| source.grown);
        }
        put(self.front, self.shape.live(), time);
        if let Some(micros) = self.shape.micros() {
            put(self.front, micros, 0);
        }
        Ok(())
    }

    /// Finds out what a sample's values add, and keeps their text.
    fn grow(&mut self, value: &[u8], secs: f64) -> Result<(), Refusal> {
        let words = || value.split(|&b| b == b':');
        let mut count = 0;
        for (at, word) in words().enumerate() {
            count = at.wrapping_add(1);
            if let Some(source) = self.sources.get_mut(at) {
                let pdp = self.shape.pdp(at);
                let last = text(&self.front[pdp..pdp.wrapping_add(LAST_DS)]);
                source.grown = source.grown(word, last, secs)?;
            }
        }
        if count != self.sources.len() {
            return Err(Refusal::new(format!(
                "it takes {} values, and {count} were given",
                self.sources.len()
            )));
        }
        for (at, word) in words().enumerate() {
            let kept = &mut self.pdp(at)[..LAST_DS];
            let len = word.len().min(LAST_DS - 1);
            kept[..len].copy_from_slice(&word[..len]);
            kept[len..].fill(0);
        }
        Ok(())
    }

    /// What is kept of a data source between two samples.
    fn pdp(&mut self, source: usize) -> &mut [u8] {
        let at = self.shape.pdp(source);
        &mut self.front[at..at.wrapping_add(PDP_PREP)]
    }

    /// Ends the steps of an interval, and carries their rates into the archives.
    fn end_steps(&mut self, interval: &Interval, grown: impl Fn(&Source) -> f64) {
        let step = self.shape.step.get();
        for at in 0..self.sources.len() {
            let source = &self.sources[at];
            let (grown, heartbeat) = (grown(source), source.heartbeat);
            let rate = interval.end_steps(self.pdp(at), grown, step, heartbeat);
            self.sources[at].rate = rate;
        }
        for archive in 0..self.archives.len() {
            self.consolidate(archive, interval);
        }
    }

    /// Carries the rates of the steps that ended into an archive, and keeps the rows they fill.
    fn consolidate(&mut self, archive: usize, interval: &Interval) {
        let of = &mut self.archives[archive];
        let (consolidation, rows) = (of.consolidation, interval.rows(of.consolidation.steps));
        // No more of them than there are, as the others are the same.
        let filled = rows.filled.min(of.rows.get());
        of.filled = of.filled.wrapping_add(filled);
        for (at, source) in self.sources.iter().enumerate() {
            let cdp = self.shape.cdp(archive, at);
            consolidation.carry(
                &mut self.front[cdp..cdp.wrapping_add(CDP_PREP)],
                source.rate,
                rows,
            );
        }
        self.put_rows(archive, filled);
    }

    /// Puts so many rows into an archive: what was in the making, and the same rate in each after it.
    fn put_rows(&mut self, archive: usize, filled: u64) {
        let Archive {
            rows,
            start,
            filled: in_all,
            ..
        } = self.archives[archive];
        let goes_round = in_all > rows.get();
        let sources = self.sources.len();
        let mut row = whole(self.front, self.shape.pointer(archive));
        for nth in 0..filled {
            row = row.wrapping_add(1) % rows;
            let field = if nth == 0 { CDP_PRIMARY } else { CDP_SECONDARY };
            for source in 0..sources {
                let from = self.shape.cdp(archive, source).wrapping_add(field);
                // All rows end before the file does.
                let value = row.wrapping_mul(sources as u64).wrapping_add(source as u64);
                let at = start.wrapping_add(value.wrapping_mul(VALUE as u64));
                self.put_value(at, from, goes_round);
            }
        }
        put(self.front, self.shape.pointer(archive), row);
    }

    /// Puts the value that is at `from` in the header into the file's row at `at`.
    fn put_value(&mut self, at: u64, from: usize, goes_round: bool) {
        // Far below the greatest number, as the file is.
        let end = at.wrapping_add(VALUE as u64);
        let from = from..from.wrapping_add(VALUE);
        if end <= self.front.len() as u64 {
            self.front.copy_within(from, at as usize);
            self.front_end = self.front_end.max(end as usize);
        } else {
            let value = &self.front[from];
            push_run(&mut self.runs, at, value, goes_round);
        }
    }

    /// Writes what has changed, as few pieces as it takes. librrd must not be asked where that fails:
    /// it maps the file into memory, where the same error is a signal that ends the process.
    fn write(&self, file: &File) -> Result<(), FileError> {
        let system = |cause| FileError::System {
            what: "it cannot be written to",
            cause,
        };
        for run in &self.runs {
            file.write_all_at(&run.bytes, run.at).map_err(system)?;
        }
        let live = self.shape.live();
        let front = &self.front[live..self.front_end];
        file.write_all_at(front, live as u64).map_err(system)
    }
}

/// Adds bytes to the run they continue, or starts one. Where the rows of one call go all the way
/// round, only the last run is continued, so that what is newer stays behind what is older.
fn push_run(runs: &mut Vec<Run>, at: u64, bytes: &[u8], goes_round: bool) {
    let last = runs
        .iter_mut()
        .rev()
        .take(if goes_round { 1 } else { usize::MAX })
        .find(|run| at.wrapping_sub(run.at) == run.bytes.len() as u64);
    match last {
        Some(run) => run.bytes.extend_from_slice(bytes),
        None => runs.push(Run {
            at,
            bytes: bytes.to_vec(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::*;
    use crate::file::testing::create as create_file;

    const START: u32 = 1_700_000_003;

    fn push(samples: &mut Samples, time: u32, value: &str) {
        let append = |text: &mut Vec<u8>| text.extend_from_slice(value.as_bytes());
        samples.push_packed(time, append);
    }

    /// One sample, that many seconds after the start.
    fn sample(later: i32, value: &str) -> Samples {
        let mut samples = Samples::default();
        push(&mut samples, START.saturating_add_signed(later), value);
        samples
    }

    fn c(text: impl Into<Vec<u8>>) -> CString {
        CString::new(text).unwrap()
    }

    fn path(folder: &Path, name: &str) -> CString {
        c(folder.join(name).as_os_str().as_bytes())
    }

    /// A file with those data sources, the archives of gmetad-python made short.
    fn create(path: &CStr, kinds: &[&str]) {
        let names = ["sum", "num"];
        let sources =
            (kinds.iter().zip(names)).map(|(kind, name)| format!("DS:{name}:{kind}:120:U:U"));
        let archives = ["0.5:1:20", "0.5:4:12", "0.25:7:9", "0.9:24:5"];
        let archives = archives.iter().map(|rra| format!("RRA:AVERAGE:{rra}"));
        let definitions: Vec<String> = sources.chain(archives).collect();
        create_file(path, 15, START, &definitions).unwrap();
    }

    fn written(path: &CStr, samples: &Samples) -> bool {
        matches!(update(None, path, samples), Ok(Outcome::Written))
    }

    #[test]
    fn what_is_refused_changes_nothing_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let file = path(folder.path(), "plain");
        create(&file, &["GAUGE"]);
        let read = || std::fs::read(folder.path().join("plain")).unwrap();
        let before = read();
        let refused = [
            (
                0,
                "1",
                "its last update, of 1700000003, is not before 1700000003",
            ),
            (
                -4,
                "1",
                "its last update, of 1700000003, is not before 1699999999",
            ),
            (17, "1:2", "it takes 1 values, and 2 were given"),
            (17, "", "'' is not a number"),
            (17, "x", "'x' is not a number"),
            (17, "1.5.2", "'1.5.2' is not a number"),
            (17, "1e5x", "'1e5x' is not a number"),
            (
                17,
                "1e99999999999999999999",
                "'1e99999999999999999999' is not a number",
            ),
            (
                17,
                "1.25e-99999999999999999999",
                "'1.25e-99999999999999999999' is not a number",
            ),
        ];
        for (later, value, reason) in refused {
            let said = update(None, &file, &sample(later, value)).unwrap_err();
            assert_eq!(said.to_string(), reason);
            assert_eq!(read(), before, "{later} {value}");
        }
        let good = sample(17, "1");
        let outcome = |name: &str| update(None, &path(folder.path(), name), &good).unwrap();
        assert_eq!(outcome("missing"), Outcome::NotPlain);
        for (name, bytes) in [
            ("empty", &b""[..]),
            ("short", &before[..200]),
            ("cut", &before[..before.len() - 8]),
        ] {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            assert_eq!(outcome(name), Outcome::NotPlain, "{name}");
        }
        assert_eq!(outcome("plain"), Outcome::Written);
    }

    #[test]
    fn a_file_behind_a_link_of_our_own_is_updated() {
        let folder = tempfile::tempdir().unwrap();
        create(&path(folder.path(), "there"), &["GAUGE"]);
        std::os::unix::fs::symlink("there", folder.path().join("link")).unwrap();
        assert!(written(&path(folder.path(), "link"), &sample(17, "1")));
        let last = crate::file::last_update(&path(folder.path(), "there")).unwrap();
        assert_eq!(last, i64::from(START) + 17);
    }

    #[test]
    fn samples_before_one_that_is_refused_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let [ours, other] = ["ours", "other"].map(|name| path(folder.path(), name));
        create(&ours, &["COUNTER", "GAUGE"]);
        std::fs::copy(folder.path().join("ours"), folder.path().join("other")).unwrap();
        let mut samples = sample(10, "5:1");
        push(&mut samples, START + 20, "6:2");
        assert!(written(&other, &samples));
        push(&mut samples, START + 30, "7:x");
        push(&mut samples, START + 40, "8:4");
        let reason = update(None, &ours, &samples).unwrap_err().to_string();
        assert_eq!(reason, "'x' is not a number");
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(read("ours"), read("other"));
        let reason = update(None, &ours, &sample(50, "-7:3"))
            .unwrap_err()
            .to_string();
        assert_eq!(reason, "'-7' is not a whole number");
    }

    #[test]
    fn spoilt_headers_do_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let file = path(folder.path(), "held");
        create(&file, &["GAUGE"]);
        let whole = std::fs::read(folder.path().join("held")).unwrap();
        // Written in place: a file that is made anew each time would keep the disk busy.
        let held = (File::options().write(true))
            .open(folder.path().join("held"))
            .unwrap();
        let mut samples = sample(17, "1");
        push(&mut samples, START + 96, "1");
        // Hostile bytes in every place of the header: refused or taken, never a panic.
        for at in 0..900 {
            for value in [0_u8, 0x7f, 0xff] {
                held.write_all_at(&whole, 0).unwrap();
                held.write_all_at(&[value], at).unwrap();
                let _ = update(None, &file, &samples);
            }
        }
    }

    /// Held against librrd itself.
    #[cfg(feature = "librrd")]
    mod against_librrd {
        use fastrand::Rng;

        use super::*;
        use crate::file::librrd::{self, reference};
        use crate::file::sound;
        use crate::seeds;

        const KINDS: [&str; 6] = [
            "GAUGE", "COUNTER", "DERIVE", "ABSOLUTE", "DCOUNTER", "DDERIVE",
        ];
        const FUNCTIONS: [&str; 4] = ["AVERAGE", "MIN", "MAX", "LAST"];

        fn definitions(random: &mut Rng, step: u32) -> Vec<String> {
            let limits = ["U:U", "U:U", "U:U", "0:U", "-100:1000", "U:90"];
            let source = |random: &mut Rng, at| {
                let (kind, limits) = (random.choice(KINDS), random.choice(limits));
                let heartbeat = step * random.u32(1..9);
                format!("DS:d{at}:{}:{heartbeat}:{}", kind.unwrap(), limits.unwrap())
            };
            let mut all: Vec<String> = (0..random.u32(1..4)).map(|at| source(random, at)).collect();
            for _ in 0..random.u32(1..6) {
                let function = random.choice(FUNCTIONS).unwrap();
                let xff = random.choice(["0", "0.5", "0.25", "0.9", "0.99"]).unwrap();
                let steps = random.choice([1, 1, 2, 3, 7, 24]).unwrap();
                let rows = random.choice([1, 2, 5, 12, 40, 900]).unwrap();
                all.push(format!("RRA:{function}:{xff}:{steps}:{rows}"));
            }
            all
        }

        /// A value as it may come for that kind of data source.
        fn value(random: &mut Rng, kind: &str, last: &mut i64) -> String {
            let whole = matches!(kind, "COUNTER" | "DERIVE");
            // Where librrd's registers hold longer numbers than a double, differences of long ones, and so
            // sums of rates, need not agree in any digit.
            let short = cfg!(target_arch = "x86");
            match random.u32(..40) {
                0..3 => return "U".into(),
                3 if !whole => {
                    return random
                        .choice(["nan", "inf", "-inf", "-nan"])
                        .unwrap()
                        .into();
                }
                4 if !whole => return "1.25e-3".into(),
                5 if !whole => return "+7E+2".into(),
                // More than fits into 53 bits.
                6 if !short => return format!("{}", u64::MAX - random.u64(..1000)),
                7 if !short => {
                    return format!("{}{}", random.u64(1..), random.u64(1_000_000..9_999_999));
                }
                8 if short => *last = random.i64(-1_000_000..100),
                8 => *last = random.i64(..100),
                _ => *last += random.i64(-400..1000),
            }
            if kind == "COUNTER" {
                *last = last.saturating_abs();
            }
            if whole || random.bool() {
                return last.to_string();
            }
            format!("{last}.{}", random.u32(..1_000_000))
        }

        fn pause(random: &mut Rng, step: u32) -> u32 {
            match random.u32(..30) {
                0 => 1,
                1 => step * random.u32(1..30) + random.u32(..step),
                // All the way round the shorter archives.
                2 => step * random.u32(1..3000),
                3 => step,
                _ => random.u32(step / 2 + 1..step * 3 / 2 + 2),
            }
        }

        /// The value that a byte is part of is the same but for its last bits. librrd reckons so on the
        /// first Intels, whose registers hold longer numbers than a file.
        fn is_rounded(ours: &[u8], theirs: &[u8], at: usize) -> Option<usize> {
            let begins = (at.saturating_sub(7)..=at).filter(|begin| begin.is_multiple_of(4));
            let mut begins = begins.filter(|begin| begin + VALUE <= ours.len());
            begins.find(|&begin| {
                let (a, b) = (float(ours, begin), float(theirs, begin));
                a.is_normal() && b.is_normal() && (a - b).abs() <= 1e-9 * a.abs().max(1.0)
            })
        }

        fn assert_same(ours: &Path, theirs: &Path, about: impl Fn() -> String) {
            let (ours, theirs) = (std::fs::read(ours).unwrap(), std::fs::read(theirs).unwrap());
            assert_eq!(ours.len(), theirs.len(), "{}", about());
            let mut at = 0;
            while let Some(differs) = (at..ours.len()).find(|&at| ours[at] != theirs[at]) {
                at = match is_rounded(&ours, &theirs, differs) {
                    Some(begin) if cfg!(target_arch = "x86") => begin + VALUE,
                    _ => panic!("byte {differs} {}", about()),
                };
            }
        }

        /// What was held against librrd.
        #[derive(Default)]
        struct Compared {
            updates: u64,
            unknown: u64,
        }

        impl seeds::Seen for Compared {
            fn add(&mut self, other: &Compared) {
                self.updates += other.updates;
                self.unknown += other.unknown;
            }

            fn steps(&self) -> u64 {
                self.updates
            }

            fn assert_that_all_of_it_happened(&self) {
                assert!(self.updates > 0 && self.unknown > 0);
            }
        }

        #[test]
        fn files_are_made_and_updated_byte_for_byte() {
            seeds::run("-p gmetad-rrd against_librrd", 60, |seed| {
                let random = &mut Rng::with_seed(seed);
                let folder = tempfile::tempdir().unwrap();
                let [ours, theirs] = ["ours", "theirs"].map(|name| folder.path().join(name));
                let [our_path, their_path] = ["ours", "theirs"].map(|it| path(folder.path(), it));
                let step = random.choice([1, 10, 15, 60, 300]).unwrap();
                let definitions = definitions(random, step);
                create_file(&our_path, step, START, &definitions).unwrap();
                let texts: Vec<CString> = definitions.iter().map(|it| c(it.as_str())).collect();
                reference::create(&their_path, step, START, &texts).unwrap();
                // librrd begins each archive at a row of chance.
                let mut bytes = std::fs::read(&theirs).unwrap();
                let shape = Shape::of(&bytes).unwrap();
                let rows = shape.pointer(0)..shape.header_len();
                let chosen = std::fs::read(&ours).unwrap()[rows.clone()].to_vec();
                bytes[rows].copy_from_slice(&chosen);
                std::fs::write(&theirs, bytes).unwrap();
                assert_same(&ours, &theirs, || format!("created, {definitions:?}"));

                let mut time = START;
                let mut last = [1_000_000_i64; 4];
                let mut compared = Compared::default();
                for round in 0..60 {
                    let mut samples = Samples::default();
                    for _ in 0..random.u32(1..4) {
                        time += pause(random, step);
                        let kinds = definitions.iter().filter(|it| it.starts_with("DS:"));
                        let kinds = kinds.map(|it| it.split(':').nth(2).unwrap());
                        let values = kinds
                            .zip(&mut last)
                            .map(|(kind, last)| value(random, kind, last));
                        push(&mut samples, time, &values.collect::<Vec<_>>().join(":"));
                    }
                    let about = || format!("seed {seed} round {round} {definitions:?} {samples:?}");
                    let outcome = update(None, &our_path, &samples);
                    assert!(
                        matches!(outcome, Ok(Outcome::Written)),
                        "{outcome:?} {}",
                        about()
                    );
                    let file = sound::examine(&their_path)
                        .unwrap()
                        .without_holes()
                        .unwrap();
                    samples.with(|all| librrd::update(file, all)).unwrap();
                    assert_same(&ours, &theirs, about);
                    compared.updates += 1;
                    compared.unknown += u64::from(samples.iter().any(|(_, it)| it.contains(&b'U')));
                }
                compare_answers(&our_path);
                compared
            });
        }

        /// What is said of a file, and what is read of it.
        fn compare_answers(path: &CStr) {
            use crate::file::about::Header;
            use crate::file::fetch;
            let file = sound::examine(path).unwrap();
            let header = Header::read(path).unwrap();
            let ours = header.info_lines(path).unwrap();
            assert_eq!(ours, librrd::info_lines(file).unwrap());
            assert_eq!(header.last_update(), reference::last_update(file).unwrap());
            for archive in 0..8 {
                let ours = header.first(archive).map_err(drop);
                assert_eq!(ours, reference::first(file, archive).map_err(drop));
            }
            let last = header.last_update().unsigned_abs();
            for function in FUNCTIONS {
                for (start, end) in [
                    (last - 4000, last),
                    (last - 70, last + 90),
                    (last - 100_000, last - 5000),
                ] {
                    let ours = fetch::rows(path, function, (start, end), 1, 1 << 20);
                    let span = (start as i64, end as i64);
                    let theirs = reference::fetch(file, function, span, 1, 1 << 20);
                    let text = |rows: Result<_, _>| rows.map(|it| format!("{it:?}")).map_err(drop);
                    assert_eq!(text(ours), text(theirs), "{function} {start} {end}");
                }
            }
        }

        #[test]
        fn forecasts_and_computed_sources_are_librrds() {
            let folder = tempfile::tempdir().unwrap();
            for definitions in [
                &["DS:a:GAUGE:80:U:U", "RRA:HWPREDICT:30:0.1:0.0035:6"][..],
                &["DS:a:GAUGE:80:U:U", "DS:b:COMPUTE:a,2,*", "RRA:MAX:0.5:1:9"],
            ] {
                let file = path(folder.path(), "other");
                let _ = std::fs::remove_file(folder.path().join("other"));
                let texts: Vec<CString> = definitions.iter().map(|it| c(*it)).collect();
                reference::create(&file, 15, START, &texts).unwrap();
                let outcome = update(None, &file, &sample(17, "1")).unwrap();
                assert_eq!(outcome, Outcome::NotPlain);
                let patience = crate::file::Patience::None;
                crate::file::update(&file, &sample(17, "1"), patience).unwrap();
                let last = crate::file::last_update(&file).unwrap();
                assert_eq!(last, i64::from(START) + 17);
            }
        }
    }
}
