//! The update of a plain round-robin file: what librrd would make of it, but for the rounding of a
//! value's last bits, in less time. librrd maps the file into memory for each call, which costs.
//!
//! Plain is what gmetad itself creates: gauges, counters and derives without limits, averaged.
//! Everything else, and everything that goes wrong, is left to librrd. What is reckoned is
//! [`arithmetic`](crate::file::arithmetic)'s matter. Fields are read and written as bytes.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::file::arithmetic::{
    CDP_PRIMARY, CDP_SECONDARY, Consolidation, Interval, SourceKind, UNKNOWN,
};
use crate::file::as_path;
use crate::file::layout::{
    CDP_PREP, DS_HEARTBEAT, DS_MAX, DS_MIN, DS_TYPE, LAST_DS, NAME, PDP_PREP, RRA_PAR, RRA_ROWS,
    RRA_STEPS, STAT_HEAD, Shape, float, put, text, whole,
};
use crate::file::open::open_for_update;
use crate::file::samples::Samples;

/// Enough for the header of nearly every file, and for rows of the finest archive; a longer header
/// is read a second time.
const FRONT: usize = 4096;

/// Longest header that is handled here.
const MAX_HEADER: usize = 64 << 10;

/// Most archives and data sources of a plain file.
const MAX_ARCHIVES: usize = 32;
const MAX_SOURCES: usize = 2;

/// Writes samples into the file, if both are plain. `false`: nothing was written, ask librrd. An
/// error is the system's while the file was written. librrd must not be asked then: it maps the file
/// into memory, where the same error is a signal that ends the process.
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

/// `None` where either is not plain; then nothing was written.
fn try_update(path: &CStr, samples: &Samples) -> Option<io::Result<()>> {
    let (file, length) = open_for_update(as_path(path))?;
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
    let mut update = Update::new(shape, front, length)?;
    for (time, value) in samples.iter() {
        update.sample(time.into(), value)?;
    }
    Some(update.write(&file))
}

/// Carries samples into a copy of a file's first bytes, which have its whole header: what the file
/// would be with them. Returns what would change behind those bytes; `None` where either is not
/// plain, and then the copy is spoilt.
pub(crate) fn carry(front: &mut [u8], length: u64, samples: &Samples) -> Option<Vec<Run>> {
    let shape = plain_shape(front).filter(|shape| shape.header_len() <= front.len())?;
    let mut update = Update::new(shape, front, length)?;
    for (time, value) in samples.iter() {
        update.sample(time.into(), value)?;
    }
    Some(update.runs)
}

/// The lock that librrd takes; it goes when the file is closed.
pub(super) fn lock(file: &File) -> Option<()> {
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
        && shape.sources <= MAX_SOURCES
        && shape.archives <= MAX_ARCHIVES
        && shape.header_len() <= MAX_HEADER;
    plain.then_some(shape)
}

#[derive(Clone, Copy)]
struct Source {
    kind: SourceKind,
    heartbeat: f64,
}

impl Source {
    /// By its definition; `None` where that is not plain.
    fn of(def: &[u8]) -> Option<Source> {
        let kind = SourceKind::named(text(&def[DS_TYPE..DS_TYPE + NAME]))?;
        let is_limited = !float(def, DS_MIN).is_nan() || !float(def, DS_MAX).is_nan();
        (!is_limited).then_some(Source {
            kind,
            heartbeat: whole(def, DS_HEARTBEAT) as f64,
        })
    }
}

struct Archive {
    consolidation: Consolidation,
    rows: u64,
    /// Where its rows start in the file.
    start: u64,
    /// Rows filled by the samples of this call.
    filled: u64,
}

impl Archive {
    /// By its definition; `None` where that is not plain.
    fn of(def: &[u8], start: u64) -> Option<Archive> {
        let consolidation = Consolidation {
            steps: whole(def, RRA_STEPS),
            xff: float(def, RRA_PAR),
        };
        let averages = text(&def[..NAME]) == b"AVERAGE";
        let sane = consolidation.steps > 0 && (0.0..1.0).contains(&consolidation.xff);
        (averages && sane).then_some(Archive {
            consolidation,
            rows: whole(def, RRA_ROWS),
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

/// A file's header while samples go into it.
struct Update<'a> {
    shape: Shape,
    /// The file's first bytes: its header, and what was read behind it.
    front: &'a mut [u8],
    /// Where the part of `front` ends that changes.
    front_end: usize,
    sources: [Source; MAX_SOURCES],
    archives: Vec<Archive>,
    /// What changes behind `front`.
    runs: Vec<Run>,
}

impl<'a> Update<'a> {
    /// `None` where anything is not as gmetad creates it.
    fn new(shape: Shape, front: &'a mut [u8], size: u64) -> Option<Update<'a>> {
        let mut sources = [Source {
            kind: SourceKind::Gauge,
            heartbeat: 0.0,
        }; MAX_SOURCES];
        for (at, source) in sources.iter_mut().enumerate().take(shape.sources) {
            *source = Source::of(&front[Shape::ds_def(at)..])?;
        }
        let mut archives = Vec::with_capacity(shape.archives);
        let mut start = shape.header_len() as u64;
        for at in 0..shape.archives {
            let archive = Archive::of(&front[shape.rra_def(at)..], start)?;
            if whole(front, shape.pointer(at)) >= archive.rows {
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
        let interval = Interval::between(last, time, self.shape.step);
        let mut grown = [UNKNOWN; MAX_SOURCES];
        for (source, grown) in grown.iter_mut().enumerate().take(self.shape.sources) {
            *grown = self.grown(source, words.next()?, interval.secs)?;
        }
        if words.next().is_some() {
            return None;
        }
        if interval.ended == 0 {
            for (source, &grown) in grown.iter().enumerate().take(self.shape.sources) {
                interval.gather(self.pdp(source), grown);
            }
        } else {
            for part in interval.parts(self.shape.step).into_iter().flatten() {
                self.end_steps(&part, &grown)?;
            }
        }
        put(self.front, self.shape.live(), time);
        Some(())
    }

    /// What is kept of a data source between two samples.
    fn pdp(&mut self, source: usize) -> &mut [u8] {
        let at = self.shape.pdp(source);
        &mut self.front[at..at + PDP_PREP]
    }

    /// What a value adds, as rate times seconds; NaN where that is unknown. Keeps its text.
    fn grown(&mut self, source: usize, word: &[u8], secs: f64) -> Option<f64> {
        let Source { kind, heartbeat } = self.sources[source];
        // After a silence longer than the heartbeat there is more to it.
        if word.is_empty() || word.len() >= LAST_DS || secs > heartbeat {
            return None;
        }
        let kept = &mut self.pdp(source)[..LAST_DS];
        let grown = kind.grown(word, text(kept), secs)?;
        kept.fill(0);
        kept[..word.len()].copy_from_slice(word);
        Some(grown)
    }

    /// Ends the steps of an interval, and carries their rates into the archives.
    fn end_steps(&mut self, interval: &Interval, grown: &[f64; MAX_SOURCES]) -> Option<()> {
        let step = self.shape.step;
        let mut rates = [UNKNOWN; MAX_SOURCES];
        for (source, rate) in rates.iter_mut().enumerate().take(self.shape.sources) {
            *rate = interval.end_steps(self.pdp(source), grown[source], step);
        }
        for archive in 0..self.shape.archives {
            self.consolidate(archive, interval, &rates)?;
        }
        Some(())
    }

    /// Carries the rates of the steps that ended into an archive, and keeps the rows they fill.
    /// `None` where the samples of one call go all the way round.
    fn consolidate(
        &mut self,
        archive: usize,
        interval: &Interval,
        rates: &[f64; MAX_SOURCES],
    ) -> Option<()> {
        let of = &mut self.archives[archive];
        let (consolidation, rows) = (of.consolidation, interval.rows(of.consolidation.steps));
        of.filled += rows.filled;
        if of.filled > of.rows {
            return None;
        }
        for (source, &rate) in rates.iter().enumerate().take(self.shape.sources) {
            let at = self.shape.cdp(archive, source);
            consolidation.carry(&mut self.front[at..at + CDP_PREP], rate, rows);
        }
        self.put_rows(archive, rows.filled);
        Some(())
    }

    /// Puts so many rows into an archive: what was in the making, and the same rate in each after it.
    fn put_rows(&mut self, archive: usize, filled: u64) {
        let Archive { rows, start, .. } = self.archives[archive];
        let sources = self.shape.sources;
        let mut row = whole(self.front, self.shape.pointer(archive));
        for nth in 0..filled {
            row = (row + 1) % rows;
            let field = if nth == 0 { CDP_PRIMARY } else { CDP_SECONDARY };
            for source in 0..sources {
                let from = self.shape.cdp(archive, source) + field;
                let at = start + (row * sources as u64 + source as u64) * 8;
                self.put_value(at, from);
            }
        }
        put(self.front, self.shape.pointer(archive), row);
    }

    /// Puts the value that is at `from` in the header into the file's row at `at`.
    fn put_value(&mut self, at: u64, from: usize) {
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

#[cfg(test)]
mod tests {
    use std::ffi::{CString, OsStr};
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::*;
    use crate::file::{librrd, sound};

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
