//! The update of a plain round-robin file: what librrd would make of it, but for the rounding of a
//! value's last bits, in less time. librrd maps the file into memory for each call, which costs.
//!
//! Plain is what gmetad itself has created: gauges, counters and derives without limits, averaged.
//! Everything else, and everything that goes wrong, is left to librrd. No rule of what to write is
//! here, and no `unsafe`: fields are read and written as bytes.

use std::ffi::{CStr, OsStr};
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::file::layout::{
    CDP_PREP, DS_HEARTBEAT, DS_MAX, DS_MIN, DS_TYPE, LAST_DS, NAME, RRA_PAR, RRA_ROWS, RRA_STEPS,
    STAT_HEAD, Shape, float, put, put_float, text, whole,
};
use crate::file::samples::Samples;
use gmetad_core::model::parse_number;

/// Enough for the header of nearly every file, and for rows of the finest archive; a longer header
/// is read a second time.
const FRONT: usize = 4096;

/// Longest header that is handled here.
const MAX_HEADER: usize = 64 << 10;

/// Offsets inside those parts.
const PDP_UNKNOWN_SECS: usize = 32;
const PDP_VALUE: usize = 40;
const CDP_VALUE: usize = 0;
const CDP_UNKNOWN: usize = 8;
const CDP_PRIMARY: usize = 64;
const CDP_SECONDARY: usize = 72;

/// What librrd writes for a value that is not known: a NaN with its sign set.
const UNKNOWN: f64 = f64::from_bits(0xfff8_0000_0000_0000);

/// Writes samples into the file, if both are plain. `false`: nothing was written, ask librrd. An
/// error is the system's while it was written, and librrd would do no better: with a file mapped
/// into memory, the same would be a signal that ends the process.
pub(crate) fn update(path: &CStr, samples: &Samples) -> io::Result<bool> {
    if cfg!(not(all(
        target_pointer_width = "64",
        target_endian = "little"
    ))) {
        return Ok(false);
    }
    match try_update(path, samples) {
        Some(written) => written.map(|()| true),
        None => Ok(false),
    }
}

/// None where either is not plain; then nothing was written.
fn try_update(path: &CStr, samples: &Samples) -> Option<io::Result<()>> {
    let path = OsStr::from_bytes(path.to_bytes());
    let mut file = open(Path::new(path)).ok()?;
    lock(&file)?;
    let mut guess = [0; FRONT];
    let mut longer = Vec::new();
    let read = file.read_at(&mut guess, 0).ok()?;
    let shape = plain_shape(&guess[..read])?;
    let front = if shape.header_len() <= read {
        &mut guess[..read]
    } else {
        longer.resize(shape.header_len(), 0);
        file.read_exact_at(&mut longer, 0).ok()?;
        &mut longer[..]
    };
    let size = file.seek(SeekFrom::End(0)).ok()?;
    let mut update = Update::new(shape, front, size)?;
    for (time, value) in samples.iter() {
        update.sample(time.into(), value)?;
    }
    Some(update.write(&file))
}

/// Opens without noting that the file was read, which would be one more write; only the owner may.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(target_os = "linux")]
    match options.custom_flags(libc::O_NOATIME).open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            options.custom_flags(0);
        }
        opened => return opened,
    }
    options.open(path)
}

/// The lock that librrd takes; it goes when the file is closed.
fn lock(file: &File) -> Option<()> {
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_SETLK(&whole)).ok().map(drop)
}

/// The shape of a file that gmetad may have created.
fn plain_shape(bytes: &[u8]) -> Option<Shape> {
    if bytes.len() < STAT_HEAD {
        return None;
    }
    let shape = Shape::of(bytes).ok()?;
    let plain = shape.version == 3
        && shape.sources <= 2
        && shape.archives <= 32
        && shape.header_len() <= MAX_HEADER;
    plain.then_some(shape)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge,
    Counter,
    Derive,
}

#[derive(Clone, Copy)]
struct Source {
    kind: Kind,
    heartbeat: f64,
}

struct Archive {
    rows: u64,
    /// Steps that one row sums up.
    steps: u64,
    /// Share of them that may be unknown.
    xff: f64,
    /// Where its rows start in the file.
    start: u64,
    /// Rows filled by the samples of this call.
    filled: u64,
}

/// A run of bytes that goes into the file at `at`.
struct Run {
    at: u64,
    bytes: Vec<u8>,
}

/// A file's header while samples go into it.
struct Update<'a> {
    shape: Shape,
    /// The file's first bytes: its header, and what was read behind it.
    front: &'a mut [u8],
    /// Where the part of `front` ends that changes.
    front_end: usize,
    sources: [Source; 2],
    archives: Vec<Archive>,
    /// What changes behind `front`.
    runs: Vec<Run>,
}

/// The time between two samples, cut at the ends of steps.
#[derive(Clone, Copy)]
struct Interval {
    secs: f64,
    /// Before the last end of a step in it.
    before: f64,
    /// After that.
    after: f64,
    /// Ends of steps in it.
    ended: u64,
    /// The number of the step it started in.
    first: u64,
}

impl Interval {
    /// The step that went on, if it had begun before, and those after it: librrd takes them apart.
    fn parts(self, step: u64) -> [Option<Interval>; 2] {
        let rest = self.ended - 1;
        let rest_secs = (rest * step) as f64;
        let begun = self.before - rest_secs;
        if rest == 0 || begun >= step as f64 {
            return [Some(self), None];
        }
        let first = Interval {
            before: begun,
            after: 0.0,
            ended: 1,
            ..self
        };
        let later = Interval {
            before: rest_secs,
            ended: rest,
            first: self.first + 1,
            ..self
        };
        [Some(first), Some(later)]
    }
}

impl<'a> Update<'a> {
    /// `None` where anything is not as gmetad creates it.
    fn new(shape: Shape, front: &'a mut [u8], size: u64) -> Option<Update<'a>> {
        let mut sources = [Source {
            kind: Kind::Gauge,
            heartbeat: 0.0,
        }; 2];
        for (at, source) in sources.iter_mut().enumerate().take(shape.sources) {
            let def = Shape::ds_def(at);
            source.kind = match text(&front[def + DS_TYPE..def + DS_TYPE + NAME]) {
                b"GAUGE" => Kind::Gauge,
                b"COUNTER" => Kind::Counter,
                b"DERIVE" => Kind::Derive,
                _ => return None,
            };
            source.heartbeat = whole(front, def + DS_HEARTBEAT) as f64;
            if !float(front, def + DS_MIN).is_nan() || !float(front, def + DS_MAX).is_nan() {
                return None;
            }
        }
        let mut archives = Vec::with_capacity(shape.archives);
        let mut start = shape.header_len() as u64;
        for at in 0..shape.archives {
            let def = shape.rra_def(at);
            let archive = Archive {
                rows: whole(front, def + RRA_ROWS),
                steps: whole(front, def + RRA_STEPS),
                xff: float(front, def + RRA_PAR),
                start,
                filled: 0,
            };
            let pointer = whole(front, shape.pointer(at));
            let average = text(&front[def..def + NAME]) == b"AVERAGE";
            let sane = archive.steps > 0 && (0.0..1.0).contains(&archive.xff);
            if !average || !sane || pointer >= archive.rows {
                return None;
            }
            let bytes = archive.rows.checked_mul(shape.sources as u64 * 8)?;
            start = start.checked_add(bytes)?;
            archives.push(archive);
        }
        let whole_file = start == size;
        let whole_second = whole(front, shape.live() + 8) == 0;
        (whole_file && whole_second).then_some(Update {
            shape,
            front_end: shape.header_len(),
            front,
            sources,
            archives,
            runs: Vec::new(),
        })
    }

    /// Takes `VALUE[:VALUE]` of a time.
    fn sample(&mut self, time: u64, value: &[u8]) -> Option<()> {
        let mut words = value.split(|&b| b == b':');
        let last = whole(self.front, self.shape.live());
        if time <= last {
            return None;
        }
        let interval = self.interval(last, time);
        let mut grown = [UNKNOWN; 2];
        for (source, grown) in grown.iter_mut().enumerate().take(self.shape.sources) {
            *grown = self.grown(source, words.next()?, interval.secs)?;
        }
        if words.next().is_some() {
            return None;
        }
        if interval.ended == 0 {
            self.gather(&interval, &grown);
        } else {
            for part in interval.parts(self.shape.step).into_iter().flatten() {
                let rates = self.end_steps(&part, &grown);
                for archive in 0..self.shape.archives {
                    self.consolidate(archive, &part, &rates)?;
                }
            }
        }
        put(self.front, self.shape.live(), time);
        Some(())
    }

    fn interval(&self, last: u64, time: u64) -> Interval {
        let step = self.shape.step;
        let (first, now) = (last / step, time / step);
        let secs = (time - last) as f64;
        let (before, after) = if now > first {
            ((now * step - last) as f64, (time % step) as f64)
        } else {
            (secs, 0.0)
        };
        Interval {
            secs,
            before,
            after,
            ended: now - first,
            first,
        }
    }

    /// What a value adds, as rate times seconds; NaN where that is unknown. Keeps its text.
    fn grown(&mut self, source: usize, word: &[u8], secs: f64) -> Option<f64> {
        let Source { kind, heartbeat } = self.sources[source];
        // After a silence longer than the heartbeat there is more to it.
        if word.is_empty() || word.len() >= LAST_DS || secs > heartbeat {
            return None;
        }
        let at = self.shape.pdp(source);
        let last = text(&self.front[at..at + LAST_DS]);
        let grown = if word == b"U" {
            UNKNOWN
        } else if kind == Kind::Gauge {
            decimal(word)? * secs
        } else {
            let value = digits(word)?;
            if last.first() == Some(&b'U') {
                UNKNOWN
            } else {
                counted(value, digits(last)?, kind)?
            }
        };
        let kept = &mut self.front[at..at + LAST_DS];
        kept.fill(0);
        kept[..word.len()].copy_from_slice(word);
        Some(grown)
    }

    /// Adds to the step that goes on.
    fn gather(&mut self, interval: &Interval, grown: &[f64; 2]) {
        for (source, &grown) in grown.iter().enumerate().take(self.shape.sources) {
            let at = self.shape.pdp(source);
            if grown.is_nan() {
                let unknown = whole(self.front, at + PDP_UNKNOWN_SECS);
                put(
                    self.front,
                    at + PDP_UNKNOWN_SECS,
                    unknown.wrapping_add(interval.secs as u64),
                );
            } else {
                let so_far = float(self.front, at + PDP_VALUE);
                let sum = if so_far.is_nan() {
                    grown
                } else {
                    so_far + grown
                };
                put_float(self.front, at + PDP_VALUE, sum);
            }
        }
    }

    /// Ends the step that went on and starts the one that goes on; the rate of those that ended.
    fn end_steps(&mut self, interval: &Interval, grown: &[f64; 2]) -> [f64; 2] {
        let step = self.shape.step as f64;
        let mut rates = [UNKNOWN; 2];
        for (source, rate) in rates.iter_mut().enumerate().take(self.shape.sources) {
            let at = self.shape.pdp(source);
            let grown = grown[source];
            let unknown = whole(self.front, at + PDP_UNKNOWN_SECS);
            let mut value = float(self.front, at + PDP_VALUE);
            let mut unknown_before = 0.0;
            if grown.is_nan() {
                unknown_before = interval.before;
            } else {
                value = if value.is_nan() { 0.0 } else { value };
                value += grown / interval.secs * interval.before;
            }
            if step / 2.0 >= unknown as f64 {
                let known = (interval.ended * self.shape.step) as i64 - unknown as i64;
                *rate = value / (known as f64 - unknown_before);
            }
            let (value, unknown) = if grown.is_nan() {
                (UNKNOWN, interval.after as u64)
            } else {
                (grown / interval.secs * interval.after, 0)
            };
            put_float(self.front, at + PDP_VALUE, value);
            put(self.front, at + PDP_UNKNOWN_SECS, unknown);
        }
        rates
    }

    /// Carries the rates of the steps that ended into an archive, and keeps the rows they fill.
    /// `None` where the samples of one call go all the way round.
    fn consolidate(&mut self, archive: usize, interval: &Interval, rates: &[f64; 2]) -> Option<()> {
        let Archive {
            rows,
            steps,
            xff,
            start,
            ..
        } = self.archives[archive];
        let to_row_end = steps - interval.first % steps;
        let filled = match interval.ended.checked_sub(to_row_end) {
            Some(more) => more / steps + 1,
            None => 0,
        };
        self.archives[archive].filled += filled;
        if self.archives[archive].filled > rows {
            return None;
        }
        for (source, &rate) in rates.iter().enumerate().take(self.shape.sources) {
            let at = self.shape.cdp(archive, source);
            let cdp = &mut self.front[at..at + CDP_PREP];
            if steps > 1 {
                sum_up(
                    cdp,
                    rate,
                    interval.ended,
                    to_row_end,
                    steps,
                    xff,
                    filled > 0,
                );
            } else {
                put_float(cdp, CDP_PRIMARY, rate);
                if interval.ended > 1 {
                    put_float(cdp, CDP_SECONDARY, rate);
                }
            }
        }
        let mut row = whole(self.front, self.shape.pointer(archive));
        for nth in 0..filled {
            row = (row + 1) % rows;
            let field = if nth == 0 { CDP_PRIMARY } else { CDP_SECONDARY };
            for source in 0..self.shape.sources {
                let from = self.shape.cdp(archive, source) + field;
                let at = start + (row * self.shape.sources as u64 + source as u64) * 8;
                self.put_row(at, from);
            }
        }
        put(self.front, self.shape.pointer(archive), row);
        Some(())
    }

    /// Puts the value that is at `from` in the header into the file's row at `at`.
    fn put_row(&mut self, at: u64, from: usize) {
        let end = at + 8;
        if end <= self.front.len() as u64 {
            self.front.copy_within(from..from + 8, at as usize);
            self.front_end = self.front_end.max(end as usize);
        } else {
            push_run(&mut self.runs, at, &self.front[from..from + 8]);
        }
    }

    /// Writes what has changed, as few pieces as it takes.
    fn write(&self, file: &File) -> io::Result<()> {
        for run in &self.runs {
            file.write_all_at(&run.bytes, run.at)?;
        }
        let live = self.shape.live();
        let front = &self.front[live..self.front_end];
        file.write_all_at(front, live as u64)
    }
}

/// Adds the steps that ended to a row of several.
fn sum_up(
    cdp: &mut [u8],
    rate: f64,
    ended: u64,
    to_row_end: u64,
    steps: u64,
    xff: f64,
    fills: bool,
) {
    let value = float(cdp, CDP_VALUE);
    let mut unknown = whole(cdp, CDP_UNKNOWN);
    if !fills {
        if rate.is_nan() {
            put(cdp, CDP_UNKNOWN, unknown.wrapping_add(ended));
        } else {
            let more = rate * ended as f64;
            put_float(
                cdp,
                CDP_VALUE,
                if value.is_nan() { more } else { value + more },
            );
        }
        return;
    }
    let left = (ended - to_row_end) % steps;
    if rate.is_nan() {
        unknown = unknown.wrapping_add(to_row_end);
    }
    put_float(cdp, CDP_SECONDARY, rate);
    let primary = if unknown as f64 > steps as f64 * xff {
        UNKNOWN
    } else {
        let so_far = if value.is_nan() { 0.0 } else { value };
        let rate = if rate.is_nan() { 0.0 } else { rate };
        (so_far + rate * to_row_end as f64) / (steps - unknown) as f64
    };
    put_float(cdp, CDP_PRIMARY, primary);
    let carried = if rate.is_nan() || left == 0 {
        0.0
    } else {
        rate * left as f64
    };
    put_float(cdp, CDP_VALUE, carried);
    put(cdp, CDP_UNKNOWN, if rate.is_nan() { left } else { 0 });
}

/// Adds bytes to the run they continue, or starts one.
fn push_run(runs: &mut Vec<Run>, at: u64, bytes: &[u8]) {
    let last = runs
        .iter_mut()
        .rev()
        .find(|run| run.at + run.bytes.len() as u64 == at);
    match last {
        Some(run) => run.bytes.extend_from_slice(bytes),
        None => runs.push(Run {
            at,
            bytes: bytes.to_vec(),
        }),
    }
}

/// How much a value has gone on. `None` where a counter has wrapped around, or an `f64` does not
/// hold it exactly: librrd knows what to make of that, and of values below zero.
fn counted(value: u64, last: u64, kind: Kind) -> Option<f64> {
    const EXACT: u64 = 1 << 53;
    let more = value.abs_diff(last);
    if more >= EXACT || (value < last && kind == Kind::Counter) {
        return None;
    }
    Some(if value < last {
        -(more as f64)
    } else {
        more as f64
    })
}

/// A number in plain decimals, as both librrd and Rust read it.
fn decimal(word: &[u8]) -> Option<f64> {
    let plain = word.iter().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'-'));
    let number = plain.then(|| parse_number(word))?;
    number.map(|number| number.value)
}

fn digits(word: &[u8]) -> Option<u64> {
    let plain = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(word)
        .ok()
        .filter(|_| plain)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{librrd, sound};
    use std::ffi::CString;
    use std::path::Path;

    const START: i64 = 1_700_000_003;

    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % limit
        }
    }

    fn push(samples: &mut Samples, time: i64, value: &str) {
        let append = |text: &mut Vec<u8>| text.extend_from_slice(value.as_bytes());
        samples.push_packed(u32::try_from(time).unwrap(), append);
    }

    /// One sample, that many seconds after the start.
    fn sample(later: i64, value: &str) -> Samples {
        let mut samples = Samples::default();
        push(&mut samples, START + later, value);
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
        let sources = kinds
            .iter()
            .zip(names)
            .map(|(kind, name)| c(format!("DS:{name}:{kind}:120:U:U")));
        let archives = ["0.5:1:20", "0.5:4:12", "0.25:7:9", "0.9:24:5"];
        let archives = archives.iter().map(|rra| c(format!("RRA:AVERAGE:{rra}")));
        let definitions: Vec<CString> = sources.chain(archives).collect();
        librrd::create(path, 15, START, &definitions).unwrap();
    }

    /// A value as it may come for that kind of data source.
    fn value(dice: &mut Dice, kind: &str, last: &mut i64) -> String {
        if dice.below(12) == 0 {
            return "U".into();
        }
        *last += dice.below(1000) as i64 - if kind == "COUNTER" { 0 } else { 500 };
        match kind {
            "GAUGE" => format!(
                "{}.{}",
                dice.below(100_000) as i64 - 50_000,
                dice.below(1000)
            ),
            "COUNTER" if dice.below(15) == 0 => {
                *last = dice.below(1000) as i64;
                last.to_string()
            }
            _ => last.to_string(),
        }
    }

    /// Seconds to the next sample: mostly a step, sometimes a hole.
    fn pause(dice: &mut Dice) -> i64 {
        match dice.below(20) {
            0 => 1,
            1 => 31 + dice.below(60) as i64,
            2 => 119 + dice.below(4) as i64,
            _ => 10 + dice.below(11) as i64,
        }
    }

    /// The same bytes, or the same number but for the rounding of its last bits; values here go up
    /// to a million. A count's bytes are no normal float, and have to be the same.
    fn same(a: u64, b: u64) -> bool {
        let (x, y) = (f64::from_bits(a), f64::from_bits(b));
        a == b || (x.is_normal() && y.is_normal() && (x - y).abs() <= 1e-7)
    }

    #[test]
    fn files_are_as_librrd_makes_them() {
        let folder = tempfile::tempdir().unwrap();
        let shapes: [&[&str]; 5] = [
            &["GAUGE"],
            &["COUNTER"],
            &["DERIVE"],
            &["GAUGE", "GAUGE"],
            &["COUNTER", "GAUGE"],
        ];
        for (shape, kinds) in shapes.iter().enumerate() {
            for seed in 0..6 {
                let mut dice = Dice(seed * 10 + shape as u64);
                let ours = path(folder.path(), &format!("ours{shape}-{seed}"));
                let theirs = path(folder.path(), &format!("theirs{shape}-{seed}"));
                create(&ours, kinds);
                // librrd starts each archive at a row of chance: the two start as one.
                let named = |path: &CString| folder.path().join(OsStr::from_bytes(path.to_bytes()));
                std::fs::copy(named(&ours), named(&theirs)).unwrap();
                let mut time = START;
                let mut last = [1_000_000_i64; 2];
                let mut taken = 0;
                for round in 0..150 {
                    let mut samples = Samples::default();
                    for _ in 0..=dice.below(3) {
                        time += pause(&mut dice);
                        let values = kinds.iter().zip(&mut last);
                        let values = values.map(|(kind, last)| value(&mut dice, kind, last));
                        let text = values.collect::<Vec<_>>().join(":");
                        push(&mut samples, time, &text);
                    }
                    if update(&ours, &samples).unwrap() {
                        taken += 1;
                    } else {
                        let file = sound::examine(&ours).unwrap().without_holes().unwrap();
                        samples.with(|all| librrd::update(file, all)).unwrap();
                    }
                    let file = sound::examine(&theirs).unwrap().without_holes().unwrap();
                    samples.with(|all| librrd::update(file, all)).unwrap();
                    let read =
                        |path: &CStr| std::fs::read(OsStr::from_bytes(path.to_bytes())).unwrap();
                    let (a, b) = (read(&ours), read(&theirs));
                    assert_eq!(a.len(), b.len());
                    for at in (0..a.len()).step_by(8) {
                        let (a, b) = (whole(&a, at), whole(&b, at));
                        assert!(
                            same(a, b),
                            "{at}: {a:x} {b:x} {kinds:?} seed {seed} round {round} {samples:?}"
                        );
                    }
                }
                assert!(
                    taken > 100,
                    "{kinds:?} seed {seed}: the quick way was taken {taken} times"
                );
            }
        }
    }

    #[test]
    fn what_is_not_plain_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = path(folder.path(), "plain");
        create(&file, &["GAUGE"]);
        let read = || std::fs::read(folder.path().join("plain")).unwrap();
        let before = read();
        let refused = [
            (0, "1"),
            (-4, "1"),
            (17, "1:2"),
            (17, ""),
            (17, "x"),
            (17, "nan"),
            (17, "1e5"),
            (17, "0.00000000000000000000000000000001"),
        ];
        for (later, value) in refused {
            assert!(
                !update(&file, &sample(later, value)).unwrap(),
                "{later} {value}"
            );
            assert_eq!(read(), before, "{later} {value}");
        }
        let good = sample(17, "1");
        assert!(!update(&path(folder.path(), "missing"), &good).unwrap());
        for (name, bytes) in [
            ("empty", &b""[..]),
            ("short", &before[..200]),
            ("cut", &before[..before.len() - 8]),
        ] {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            let taken = update(&path(folder.path(), name), &good).unwrap();
            assert!(!taken, "{name}");
        }
        for definitions in [
            ["DS:sum:GAUGE:120:0:U", "RRA:AVERAGE:0.5:1:10"],
            ["DS:sum:ABSOLUTE:120:U:U", "RRA:AVERAGE:0.5:1:10"],
            ["DS:sum:GAUGE:120:U:U", "RRA:MAX:0.5:1:10"],
        ] {
            let other = path(folder.path(), "other");
            let _ = std::fs::remove_file(folder.path().join("other"));
            librrd::create(&other, 15, START, &definitions.map(c)).unwrap();
            assert!(!update(&other, &good).unwrap(), "{definitions:?}");
        }
    }

    #[test]
    fn spoilt_headers_do_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let file = path(folder.path(), "held");
        create(&file, &["GAUGE"]);
        let mut bytes = std::fs::read(folder.path().join("held")).unwrap();
        let mut samples = sample(17, "1");
        push(&mut samples, START + 96, "1");
        // Hostile bytes in every place of the header: refused or taken, never a panic.
        for at in 0..900 {
            for value in [0_u8, 0x7f, 0xff] {
                let kept = std::mem::replace(&mut bytes[at], value);
                std::fs::write(folder.path().join("held"), &bytes).unwrap();
                update(&file, &samples).unwrap();
                bytes[at] = kept;
            }
        }
    }
}
