//! Rows of a round-robin file, as `rrdtool fetch` reads them, and as they would be with samples that
//! still wait in memory. The file is not written.
//!
//! The header and the rows that are wanted are read, and no more: librrd maps the whole file into
//! memory, which takes many times as long.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::ffi::CStr;
use std::fs::File;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;

use crate::file::as_path;
use crate::file::error::Refusal;
use crate::file::laid_over::{Ending, lay_over};
use crate::file::layout::{
    DS_HEARTBEAT, DS_TYPE, LAST_DS, NAME, RRA_ROWS, RRA_STEPS, STAT_HEAD, Shape, VALUE, float,
    text, whole,
};
use crate::file::open::{Access, Place, open, open_for_rows};
use crate::file::plain::{self, Run};
use crate::file::samples::{Kind, Samples};
use gmetad_core::history::{Consolidation, Series};

/// Enough for the header of nearly every file, and for rows of the finest archive.
const FRONT: usize = 4096;

/// Longest header that is read here.
const MAX_HEADER: usize = 1 << 20;

/// What is wanted of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) from: u64,
    /// Later than `from`.
    pub(crate) until: u64,
    /// Seconds of a row that would do.
    pub(crate) step: u64,
    pub(crate) consolidation: Consolidation,
    /// Number of the data source.
    pub(crate) column: usize,
    /// Most rows.
    pub(crate) limit: usize,
}

/// There would be more rows than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyRows;

/// Reads files, in buffers that are used again.
#[derive(Debug, Default)]
pub(crate) struct Fetcher {
    front: Vec<u8>,
    rows: Vec<u8>,
}

impl Fetcher {
    /// What the file has for that time, with those samples that it does not have yet; `None` where
    /// there is no file, or none that can be read.
    pub(crate) fn fetch(
        &mut self,
        place: &Place<'_>,
        wish: &Wish,
        held: &mut Samples,
    ) -> Result<Option<Series>, TooManyRows> {
        if wish.from >= wish.until {
            return Ok(None);
        }
        let Some((file, length)) = open_for_rows(place) else {
            return Ok(None);
        };
        self.read(&file, length, wish, held).unwrap_or(Ok(None))
    }

    /// `None` where the file is none that can be read.
    fn read(
        &mut self,
        file: &File,
        length: u64,
        wish: &Wish,
        held: &mut Samples,
    ) -> Option<Result<Option<Series>, TooManyRows>> {
        self.read_front(file)?;
        let shape = Shape::of(&self.front).ok()?;
        let ending = Ending::of(&self.front, &shape, wish.column)?;
        held.drop_through(ending.time as i64);
        held.fit(ending.kind);
        let mut runs = Vec::new();
        let mut is_laid_over = false;
        if !held.is_empty() {
            if let Some(changed) = plain::carry(&mut self.front, length, held) {
                runs = changed;
            } else {
                // Some of them may be in it.
                self.read_front(file)?;
                is_laid_over = true;
            }
        }
        let last = whole(&self.front, shape.live());
        let archives = archives(&self.front, &shape, length)?;
        let archive = *chosen(&archives, wish, shape.step, last)?;
        let step = shape.step.checked_mul(archive.steps)?;
        let span = Span::of((wish.from, wish.until), step)?;
        if span.rows > wish.limit as u64 {
            return Some(Err(TooManyRows));
        }
        let source = Source {
            file,
            front: &self.front,
            runs: &runs,
        };
        let ring = Ring {
            archive,
            step,
            last,
            sources: shape.sources,
        };
        let mut values = vec![f64::NAN; span.rows as usize];
        let column = wish.column.saturating_mul(VALUE);
        ring.read(&span, &source, &mut self.rows, |number, row| {
            values[number] = float(row, column);
        })?;
        let mut series = Series {
            start: span.start,
            step: u32::try_from(step.get()).ok()?,
            values,
        };
        if is_laid_over {
            lay_over(
                &mut series,
                &ending,
                held,
                (wish.column, wish.consolidation),
            );
        }
        Some(Ok(Some(series)))
    }

    /// Reads the first bytes, with the whole header. `None` where that is not possible.
    fn read_front(&mut self, file: &File) -> Option<()> {
        read_front(file, &mut self.front)
    }
}

fn read_front(file: &File, front: &mut Vec<u8>) -> Option<()> {
    front.resize(FRONT, 0);
    let read = file.read_at(front, 0).ok()?;
    front.truncate(read);
    if read < STAT_HEAD {
        return None;
    }
    let header = Shape::of(front).ok()?.header_len();
    if header > MAX_HEADER {
        return None;
    }
    if header > read {
        front.resize(header, 0);
        file.read_exact_at(front, 0).ok()?;
    }
    Some(())
}

/// Rows of all data sources.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rows {
    /// Before the first row by a step.
    pub(crate) start: u64,
    /// Of the last row.
    pub(crate) end: u64,
    pub(crate) step: u64,
    /// Of the data sources.
    pub(crate) names: Vec<String>,
    /// Of the first row, of the second and so on.
    pub(crate) values: Vec<f64>,
}

/// What the archive of that function has for that time that is best for rows of so many seconds; no
/// more of them than `limit`.
pub(crate) fn rows(
    path: &CStr,
    function: &str,
    (from, until): (u64, u64),
    wanted_step: u64,
    limit: u64,
) -> Result<Rows, Refusal> {
    let unread = || Refusal::new("it cannot be read");
    let (file, about) =
        open(as_path(path), Access::Read).map_err(|error| Refusal::new(error.to_string()))?;
    let length = about.len();
    let mut front = Vec::new();
    read_front(&file, &mut front).ok_or_else(unread)?;
    let shape = Shape::of(&front).map_err(|flaw| Refusal::new(flaw.what))?;
    let archives = archives(&front, &shape, length).ok_or_else(unread)?;
    let last = whole(&front, shape.live());
    let archive = consolidation(function.as_bytes())
        .and_then(|function| best(&archives, function, (from, wanted_step), shape.step, last));
    let Some(archive) = archive else {
        return Err(Refusal::new(format!("it has no archive of {function}")));
    };
    let step = shape.step.checked_mul(archive.steps).ok_or_else(unread)?;
    let span = Span::of((from, until), step).ok_or_else(unread)?;
    if span.rows > limit {
        let rows = span.rows;
        return Err(Refusal::new(format!("{rows} rows are more than {limit}")));
    }
    let ring = Ring {
        archive: *archive,
        step,
        last,
        sources: shape.sources,
    };
    let source = Source {
        file: &file,
        front: &front,
        runs: &[],
    };
    let count = (span.rows as usize).checked_mul(shape.sources);
    let mut values = vec![f64::NAN; count.ok_or_else(unread)?];
    ring.read(&span, &source, &mut Vec::new(), |number, row| {
        let columns = values[number.saturating_mul(shape.sources)..].iter_mut();
        for (value, bytes) in columns.zip(row.chunks_exact(VALUE)) {
            *value = float(bytes, 0);
        }
    })
    .ok_or_else(unread)?;
    let names = (0..shape.sources).map(|at| {
        let def = Shape::ds_def(at);
        String::from_utf8_lossy(text(&front[def..][..NAME])).into_owned()
    });
    let step = step.get();
    Ok(Rows {
        start: span.start,
        end: span.start.saturating_add(span.rows.saturating_mul(step)),
        step,
        names: names.collect(),
        values,
    })
}

impl Ending {
    /// Of a file with that header. `None` where it has no such data source.
    fn of(front: &[u8], shape: &Shape, column: usize) -> Option<Ending> {
        if column >= shape.sources {
            return None;
        }
        let def = &front[Shape::ds_def(column)..];
        let name = text(&def[DS_TYPE..DS_TYPE + NAME]);
        let kind = std::str::from_utf8(name).ok().and_then(Kind::named)?;
        let pdp = shape.pdp(column);
        Some(Ending {
            time: whole(front, shape.live()),
            value: text(&front[pdp..][..LAST_DS]).to_vec(),
            kind,
            heartbeat: whole(def, DS_HEARTBEAT),
        })
    }
}

/// An archive of a file.
#[derive(Clone, Copy, Debug)]
struct Archive {
    /// `None` for what is no consolidation: forecasts and the like.
    function: Option<Consolidation>,
    steps: NonZeroU64,
    rows: NonZeroU64,
    /// Where its rows start in the file.
    start: u64,
    /// The row that was written last.
    newest: u64,
}

/// `None` where the header is not sound.
fn archives(front: &[u8], shape: &Shape, length: u64) -> Option<Vec<Archive>> {
    let mut start = shape.header_len() as u64;
    let row_bytes = shape.sources.saturating_mul(VALUE) as u64;
    let mut all = Vec::with_capacity(shape.archives);
    for at in 0..shape.archives {
        let def = &front[shape.rra_def(at)..];
        let archive = Archive {
            function: consolidation(text(&def[..NAME])),
            steps: NonZeroU64::new(whole(def, RRA_STEPS))?,
            rows: NonZeroU64::new(whole(def, RRA_ROWS))?,
            start,
            newest: whole(front, shape.pointer(at)),
        };
        if archive.newest >= archive.rows.get() {
            return None;
        }
        let bytes = archive.rows.get().checked_mul(row_bytes)?;
        start = start.checked_add(bytes)?;
        all.push(archive);
    }
    (start <= length).then_some(all)
}

fn consolidation(name: &[u8]) -> Option<Consolidation> {
    match name {
        b"AVERAGE" => Some(Consolidation::Average),
        b"MIN" => Some(Consolidation::Min),
        b"MAX" => Some(Consolidation::Max),
        b"LAST" => Some(Consolidation::Last),
        _ => None,
    }
}

/// The archive that rrdtool would choose: of those that reach back far enough, the one whose rows
/// are nearest to the wanted step; else the one that has most of the time. Where there is none of
/// that consolidation, the averages'.
fn chosen<'a>(all: &'a [Archive], wish: &Wish, step: NonZeroU64, last: u64) -> Option<&'a Archive> {
    let times = (wish.from, wish.step);
    best(all, wish.consolidation, times, step, last)
        .or_else(|| best(all, Consolidation::Average, times, step, last))
}

fn best(
    all: &[Archive],
    function: Consolidation,
    (from, wanted_step): (u64, u64),
    step: NonZeroU64,
    last: u64,
) -> Option<&Archive> {
    // A row of one step is the same by any of them.
    let fits = |archive: &&Archive| {
        let own = archive.function;
        own == Some(function) || (archive.steps.get() == 1 && own.is_some())
    };
    // The smaller the better; of equal ones the first.
    let rank = |archive: &&Archive| {
        let row = step.saturating_mul(archive.steps);
        let end = last.saturating_sub(last % row);
        let begin = end.saturating_sub(row.saturating_mul(archive.rows).get());
        let missing = begin.saturating_sub(from);
        (missing, row.get().abs_diff(wanted_step.max(1)))
    };
    all.iter().filter(fits).min_by_key(rank)
}

/// The rows that are answered.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// Where the first begins.
    start: u64,
    rows: u64,
}

impl Span {
    /// As rrdtool does, one row more than the time has where it ends with a row.
    fn of((from, until): (u64, u64), step: NonZeroU64) -> Option<Span> {
        let start = from.saturating_sub(from % step);
        let end = until.checked_add(step.get().saturating_sub(until % step))?;
        Some(Span {
            start,
            rows: end.checked_sub(start)? / step,
        })
    }
}

/// The rows of one archive.
#[derive(Clone, Copy, Debug)]
struct Ring {
    archive: Archive,
    /// Seconds of a row.
    step: NonZeroU64,
    /// Time of the last update.
    last: u64,
    sources: usize,
}

impl Ring {
    /// Reads those rows that there are; `take` gets each with its number in the span.
    fn read(
        &self,
        span: &Span,
        source: &Source<'_>,
        buffer: &mut Vec<u8>,
        mut take: impl FnMut(usize, &[u8]),
    ) -> Option<()> {
        let Archive { rows, newest, .. } = self.archive;
        let width = self.sources.saturating_mul(VALUE);
        // Rows are counted by the time they begin at, from 1970 on.
        let end = self.last / self.step;
        let start = span.start / self.step;
        let first = end.saturating_sub(rows.get()).max(start);
        let until = end.min(start.saturating_add(span.rows));
        let mut row = first;
        while row < until {
            // The newest row begins at `end - 1`: less than all rows are between that and this one.
            let back = end.saturating_sub(row).saturating_sub(1);
            let at = newest.saturating_add(rows.get()).saturating_sub(back) % rows;
            let count = until.saturating_sub(row);
            let count = count.min(rows.get().saturating_sub(at));
            // Rows that lie one behind the other in the file.
            buffer.resize((count as usize).checked_mul(width)?, 0);
            let from = at.saturating_mul(width as u64);
            source.read(self.archive.start.saturating_add(from), buffer)?;
            let numbers = row.saturating_sub(start) as usize..;
            for (number, bytes) in numbers.zip(buffer.chunks_exact(width)) {
                take(number, bytes);
            }
            row = row.saturating_add(count);
        }
        Some(())
    }
}

/// A file with what would change in it.
struct Source<'a> {
    file: &'a File,
    /// Its first bytes as they would be.
    front: &'a [u8],
    /// What would change behind them.
    runs: &'a [Run],
}

impl Source<'_> {
    fn read(&self, at: u64, out: &mut [u8]) -> Option<()> {
        let front = usize::try_from(at).ok().and_then(|at| self.front.get(at..));
        let front = front.unwrap_or_default();
        let known = front.len().min(out.len());
        out[..known].copy_from_slice(&front[..known]);
        if known < out.len() {
            let behind = at.saturating_add(known as u64);
            self.file.read_exact_at(&mut out[known..], behind).ok()?;
        }
        for run in self.runs {
            let from = run.at.max(at);
            let until = run.end().min(at.saturating_add(out.len() as u64));
            if from < until {
                let both = |start: u64| {
                    let offset = |place: u64| place.saturating_sub(start) as usize;
                    offset(from)..offset(until)
                };
                out[both(at)].copy_from_slice(&run.bytes[both(run.at)]);
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use nix::fcntl::AT_FDCWD;

    use super::*;
    use crate::file::testing::create;
    use crate::file::{Patience, update};
    use tempfile::TempDir;

    const START: u64 = 1_700_000_003;
    const ALL: [Consolidation; 4] = [
        Consolidation::Average,
        Consolidation::Min,
        Consolidation::Max,
        Consolidation::Last,
    ];

    struct Rig {
        folder: TempDir,
        fetcher: Fetcher,
        random: fastrand::Rng,
    }

    impl Rig {
        fn new(seed: u64) -> Rig {
            Rig {
                folder: TempDir::new().unwrap(),
                fetcher: Fetcher::default(),
                random: fastrand::Rng::with_seed(seed),
            }
        }

        fn create(&self, name: &str, definitions: &[&str]) -> CString {
            let path: &Path = &self.folder.path().join(name);
            let _ = std::fs::remove_file(path);
            let path = CString::new(path.as_os_str().as_bytes()).unwrap();
            create(&path, 15, START as u32, definitions).unwrap();
            path
        }

        /// Samples from after `time` on, some of them unknown and some after a silence.
        fn samples(&mut self, count: usize, time: &mut u64, sources: usize, gaps: bool) -> Samples {
            let mut samples = Samples::default();
            for _ in 0..count {
                *time += match self.random.u32(..30) {
                    0 if gaps => 130 + self.random.u64(..400),
                    1..4 => 1 + self.random.u64(..60),
                    _ => 10 + self.random.u64(..11),
                };
                let words = (0..sources).map(|_| match self.random.u32(..15) {
                    0 => "U".to_owned(),
                    _ => format!("{}.{}", self.random.u32(..1000), self.random.u32(..100)),
                });
                let text = words.collect::<Vec<_>>().join(":");
                samples.push_packed(*time as u32, |all| all.extend_from_slice(text.as_bytes()));
            }
            samples
        }

        /// A time to ask for, within the file's, around its ends or far outside.
        fn wish(&mut self, last: u64, column: usize) -> Wish {
            let mut time = |back: u64| last + 200 - self.random.u64(..back);
            let (a, b) = (time(40_000), time(2_000));
            let (from, until) = if a == b {
                (a, a + 1)
            } else {
                (a.min(b), a.max(b))
            };
            Wish {
                from,
                until,
                step: self
                    .random
                    .choice([0, 1, 15, 60, 100, 361, 100_000])
                    .unwrap(),
                consolidation: self.random.choice(ALL).unwrap(),
                column,
                limit: 1 << 20,
            }
        }

        fn fetch(&mut self, path: &CStr, wish: &Wish, held: &mut Samples) -> Series {
            self.fetcher
                .fetch(&alone(path), wish, held)
                .unwrap()
                .unwrap()
        }
    }

    fn alone(path: &CStr) -> Place<'_> {
        Place {
            folder: AT_FDCWD,
            below: path,
        }
    }

    fn write(path: &CStr, samples: &Samples) {
        update(path, samples, Patience::None).unwrap();
    }

    fn assert_same(ours: &Series, theirs: &Series, about: &str) {
        assert_eq!(
            (ours.start, ours.step),
            (theirs.start, theirs.step),
            "{about}"
        );
        assert_eq!(ours.values.len(), theirs.values.len(), "{about}");
        for (at, (a, b)) in ours.values.iter().zip(&theirs.values).enumerate() {
            let same = (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-7;
            assert!(same, "{about}: row {at}: {a} {b}\n{ours:?}\n{theirs:?}");
        }
    }

    const ARCHIVES: [&str; 7] = [
        "RRA:AVERAGE:0.5:1:40",
        "RRA:AVERAGE:0.5:4:60",
        "RRA:AVERAGE:0.5:24:50",
        "RRA:MAX:0.5:4:50",
        "RRA:MIN:0.5:4:50",
        "RRA:MIN:0.5:7:300",
        "RRA:LAST:0.5:24:70",
    ];

    /// What `rrdtool fetch` has.
    #[cfg(feature = "librrd")]
    fn theirs(path: &CStr, wish: &Wish) -> Option<Series> {
        use crate::file::{librrd, sound};
        let function = match wish.consolidation {
            Consolidation::Average => "AVERAGE",
            Consolidation::Min => "MIN",
            Consolidation::Max => "MAX",
            Consolidation::Last => "LAST",
        };
        let span = (wish.from as i64, wish.until as i64);
        let file = sound::examine(path).unwrap();
        let step = wish.step.max(1) as u32;
        let rows = librrd::reference::fetch(file, function, span, step, u64::MAX).ok()?;
        let values = rows.values.chunks_exact(rows.names.len());
        Some(Series {
            start: rows.start,
            step: rows.step as u32,
            values: values.map(|row| row[wish.column]).collect(),
        })
    }

    #[cfg(feature = "librrd")]
    #[test]
    fn every_archive_is_read_as_rrdtool_reads_it() {
        let with_forecasts = [&ARCHIVES[3..], &["RRA:HWPREDICT:30:0.1:0.0035:10"]].concat();
        let shapes: [(&[&str], &[&str]); 5] = [
            (&["DS:sum:GAUGE:120:U:U"], &ARCHIVES[..3]),
            (&["DS:sum:GAUGE:120:U:U"], &ARCHIVES[..7]),
            (&["DS:sum:GAUGE:120:U:U"], &with_forecasts),
            (
                &["DS:sum:GAUGE:120:U:U", "DS:num:GAUGE:120:U:U"],
                &ARCHIVES[..7],
            ),
            (
                &["DS:sum:GAUGE:120:0:500", "DS:num:GAUGE:120:U:U"],
                &ARCHIVES[1..3],
            ),
        ];
        let mut compared = 0;
        for (number, (sources, archives)) in shapes.iter().enumerate() {
            for seed in 0..4 {
                let mut rig = Rig::new(seed);
                let definitions = [*sources, *archives].concat();
                let path = rig.create(&format!("{number}"), &definitions);
                let mut time = START;
                for round in 0..20 {
                    let count = rig.random.usize(1..80);
                    let samples = rig.samples(count, &mut time, sources.len(), true);
                    write(&path, &samples);
                    for _ in 0..40 {
                        let column = rig.random.usize(..sources.len());
                        let wish = rig.wish(time, column);
                        let Some(theirs) = theirs(&path, &wish) else {
                            continue;
                        };
                        let ours = rig.fetch(&path, &wish, &mut Samples::default());
                        let about = format!("shape {number} seed {seed} round {round} {wish:?}");
                        assert_same(&ours, &theirs, &about);
                        compared += 1;
                    }
                }
            }
        }
        assert!(compared > 10_000, "{compared}");
    }

    #[test]
    fn held_samples_are_seen_as_if_they_were_written() {
        let shapes: [&[&str]; 3] = [
            &["DS:sum:GAUGE:120:U:U"],
            &["DS:sum:COUNTER:120:U:U"],
            &["DS:sum:GAUGE:120:U:U", "DS:num:GAUGE:120:U:U"],
        ];
        for (number, sources) in shapes.iter().enumerate() {
            for seed in 0..4 {
                let mut rig = Rig::new(seed);
                let definitions = [*sources, &ARCHIVES[..3]].concat();
                let path = rig.create(&format!("{number}"), &definitions);
                let mut time = START;
                let mut counter = 0_u64;
                for round in 0..30 {
                    let before = time;
                    let count = rig.random.usize(1..30);
                    let mut samples = rig.samples(count, &mut time, sources.len(), false);
                    if time - before >= 39 * 15 {
                        // They would go all the way round the finest archive.
                        write(&path, &samples);
                        continue;
                    }
                    if number == 1 {
                        let times: Vec<u32> = samples.iter().map(|(time, _)| time).collect();
                        samples.clear();
                        for time in times {
                            counter += rig.random.u64(..5000);
                            let text = counter.to_string();
                            samples.push_packed(time, |all| {
                                all.extend_from_slice(text.as_bytes());
                            });
                        }
                    }
                    let file = std::fs::read(rig.folder.path().join(number.to_string())).unwrap();
                    let wishes: Vec<Wish> = (0..20).map(|_| rig.wish(time, 0)).collect();
                    let mut seen = Vec::new();
                    for wish in &wishes {
                        let mut held = Samples::default();
                        for (time, text) in samples.iter() {
                            held.push_packed(time, |all| all.extend_from_slice(text));
                        }
                        seen.push(rig.fetch(&path, wish, &mut held));
                    }
                    let after = std::fs::read(rig.folder.path().join(number.to_string())).unwrap();
                    assert_eq!(file, after, "nothing is written");
                    write(&path, &samples);
                    for (wish, ours) in wishes.iter().zip(seen) {
                        let theirs = rig.fetch(&path, wish, &mut Samples::default());
                        let about = format!("{number} {seed} {round} {before} {time} {wish:?}");
                        assert_same(&ours, &theirs, &about);
                    }
                }
            }
        }
    }

    #[test]
    fn held_samples_after_a_silence_or_of_other_archives_are_seen_too() {
        let mut rig = Rig::new(1);
        let definitions = [
            "DS:sum:GAUGE:120:0:U",
            "RRA:MAX:0.5:2:40",
            "RRA:AVERAGE:0.5:1:99",
        ];
        let path = rig.create("a", &definitions);
        let at = |later: u64| (START - 8 + later) as u32;
        let mut samples = Samples::default();
        for later in [15, 30, 600, 615, 631, 640, 660, 690] {
            let text = later.to_string();
            samples.push_packed(at(later), |all| all.extend_from_slice(text.as_bytes()));
        }
        let wish = Wish {
            from: u64::from(at(585)),
            until: u64::from(at(689)),
            step: 1,
            consolidation: Consolidation::Average,
            column: 0,
            limit: 100,
        };
        let mut held = Samples::default();
        for (time, text) in samples.iter() {
            held.push_packed(time, |all| all.extend_from_slice(text));
        }
        let ours = rig.fetch(&path, &wish, &mut held);
        write(&path, &samples);
        let theirs = rig.fetch(&path, &wish, &mut Samples::default());
        assert_same(&ours, &theirs, "averages");
        assert_eq!(ours.values[1..3], [615.0, 631.0]);
    }

    #[test]
    fn a_file_that_is_no_file_or_none_of_ours_is_not_read() {
        let mut rig = Rig::new(1);
        let path = rig.create("a", &["DS:sum:GAUGE:120:U:U", ARCHIVES[0]]);
        let wish = rig.wish(START, 0);
        let mut nothing = Samples::default();
        let bytes = std::fs::read(rig.folder.path().join("a")).unwrap();
        assert!(
            rig.fetcher
                .fetch(&alone(&path), &wish, &mut nothing)
                .unwrap()
                .is_some()
        );
        let none = Wish { column: 1, ..wish };
        assert_eq!(
            rig.fetcher.fetch(&alone(&path), &none, &mut nothing),
            Ok(None)
        );
        let backwards = Wish {
            until: wish.from,
            ..wish
        };
        assert_eq!(
            rig.fetcher.fetch(&alone(&path), &backwards, &mut nothing),
            Ok(None)
        );
        let much = Wish {
            from: 0,
            limit: 1000,
            ..wish
        };
        assert_eq!(
            rig.fetcher.fetch(&alone(&path), &much, &mut nothing),
            Err(TooManyRows)
        );
        for at in (0..bytes.len()).step_by(3) {
            for value in [0, 0x7f, 0xff] {
                let mut spoilt = bytes.clone();
                spoilt[at] = value;
                std::fs::write(rig.folder.path().join("a"), &spoilt).unwrap();
                // Whatever comes of it.
                let _ = rig.fetcher.fetch(&alone(&path), &wish, &mut nothing);
            }
        }
        std::fs::write(rig.folder.path().join("a"), &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(
            rig.fetcher.fetch(&alone(&path), &wish, &mut nothing),
            Ok(None)
        );
        std::fs::remove_file(rig.folder.path().join("a")).unwrap();
        assert_eq!(
            rig.fetcher.fetch(&alone(&path), &wish, &mut nothing),
            Ok(None)
        );
        std::fs::create_dir(rig.folder.path().join("a")).unwrap();
        assert_eq!(
            rig.fetcher.fetch(&alone(&path), &wish, &mut nothing),
            Ok(None)
        );
    }
}
