//! Does the commands of the rrdcached socket, with values that wait and with files.
//!
//! How commands and answers are written is `protocol`'s matter; which files may be touched is
//! `target`'s.

use std::sync::atomic::Ordering;

use super::protocol::{RrdcachedAnswer, RrdcachedCommands, RrdcachedOutcome};
use super::target::{Roots, Target};
use crate::cache::{Held, WriteCache};
use crate::file::about::{Header, exponent};
use crate::file::fetch::{self, Rows};
use crate::file::samples::Kind;
use crate::file::{FileSpec, exists};
use crate::paths::PathBuffer;
use crate::writer::Writer;
use gmetad_core::model::{MOST_AHEAD_SECS, Now, StoreTime};

/// Most rows in an answer. C gmetad's largest archive has half as many.
const ROWS: u64 = 100_000;

/// Most steps of a file between the two times.
const ROWS_LOOKED_AT: i64 = 10_000_000;

/// Default start of a FETCH, before its end.
const DAY_SECS: i64 = 86_400;

/// How a file is made anew if it is lost, where its values came over the socket alone.
const SPEC: FileSpec = FileSpec {
    step_secs: 15,
    kind: Kind::Gauge,
    with_num: false,
};

/// Counters for STATS.
#[derive(Debug, Default)]
pub(super) struct Counts {
    updates: u64,
    flushes: u64,
}

/// Does the commands of one client, in one turn.
pub(super) struct FileCommands<'a> {
    pub(super) cache: &'a mut WriteCache,
    pub(super) writer: &'a mut Writer,
    /// A buffer for full paths.
    pub(super) paths: &'a mut PathBuffer,
    pub(super) roots: &'a Roots,
    pub(super) counts: &'a mut Counts,
    /// Seconds since the epoch.
    pub(super) now: i64,
}

impl FileCommands<'_> {
    fn target(&mut self, path: &str) -> Result<Target, String> {
        Target::find(path, self.roots, self.paths)
    }

    /// Writes the waiting values of a file. Returns whether there were any.
    fn write(&mut self, target: &Target) -> bool {
        self.cache.flush(&target.folder, &target.name, self.writer) > 0
    }

    /// The file at a path, once its waiting values are written.
    fn fresh(&mut self, path: &str) -> Result<Target, String> {
        let target = self.target(path)?;
        self.write(&target);
        Ok(target)
    }

    /// Time of the last value of a file, waiting or not.
    fn last_time(&self, target: &Target) -> Result<i64, String> {
        let waiting = self.cache.newest(&target.folder, &target.name);
        match waiting {
            Some(time) => Ok(time.into()),
            None => Ok(header(target)?.last_update()),
        }
    }

    /// Takes a value, to be written with those that wait.
    fn hold(&mut self, target: &Target, value: &str) -> Result<(), String> {
        let (time, numbers) = sample(value, self.now)?;
        let last = self.last_time(target)?;
        let stale = || {
            format!(
                "illegal attempt to update using time {time} when last update time is {last} \
                 (minimum one second step)"
            )
        };
        if i64::from(time) <= last {
            return Err(stale());
        }
        let Target { folder, name, .. } = target;
        let sample = (time, numbers.as_bytes());
        match self
            .cache
            .put_by_name(folder, name, SPEC, sample, self.writer)
        {
            Held::Stale => Err(stale()),
            _ => Ok(()),
        }
    }
}

impl RrdcachedCommands for FileCommands<'_> {
    fn flush(&mut self, path: &str) -> RrdcachedOutcome {
        self.counts.flushes += 1;
        let target = self.target(path)?;
        if !self.write(&target) && !exists(target.path()) {
            return Err(format!("{}.", target.missing()));
        }
        let text = target.text();
        Ok(RrdcachedAnswer::of(format!("Successfully flushed {text}.")))
    }

    fn flush_all(&mut self) -> RrdcachedOutcome {
        self.counts.flushes += 1;
        self.cache.flush_all();
        Ok(RrdcachedAnswer::of("Started flush."))
    }

    fn pending(&mut self, path: &str) -> RrdcachedOutcome {
        let target = self.target(path)?;
        let lines = self.cache.waiting_values(&target.folder, &target.name);
        Ok(RrdcachedAnswer {
            words: "updates pending".into(),
            lines,
        })
    }

    fn forget(&mut self, path: &str) -> RrdcachedOutcome {
        let target = self.target(path)?;
        if self.cache.forget(&target.folder, &target.name, self.writer) {
            Ok(RrdcachedAnswer::of("Gone!"))
        } else {
            Err("No such file or directory".into())
        }
    }

    fn update(&mut self, path: &str, values: &[String]) -> RrdcachedOutcome {
        self.counts.updates += 1;
        let target = self.target(path)?;
        if !exists(target.path()) {
            return Err(target.missing());
        }
        for value in values {
            self.hold(&target, value)?;
        }
        if !self.cache.holds() {
            self.write(&target);
        }
        let taken = values.len();
        Ok(RrdcachedAnswer::of(format!(
            "errors, enqueued {taken} value(s)."
        )))
    }

    fn stats(&mut self) -> RrdcachedOutcome {
        let counters = self.writer.counters();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let lines = [
            ("QueueLength", 0),
            ("UpdatesReceived", self.counts.updates),
            ("FlushesReceived", self.counts.flushes),
            ("UpdatesWritten", count(&counters.calls)),
            ("DataSetsWritten", count(&counters.written)),
            ("TreeNodesNumber", self.cache.waiting_files()),
            // There is no tree: every file is found in one step.
            ("TreeDepth", 1),
            ("JournalBytes", self.cache.journal_bytes()),
            ("JournalRotate", self.cache.journal_segments()),
        ];
        Ok(RrdcachedAnswer {
            words: "Statistics follow".into(),
            lines: lines.map(|(name, value)| format!("{name}: {value}")).into(),
        })
    }

    fn info(&mut self, path: &str) -> RrdcachedOutcome {
        let target = self.fresh(path)?;
        let lines = match header(&target)?.info_lines(target.path()) {
            Some(lines) => lines,
            None => lines_of_others(&target)?,
        };
        Ok(RrdcachedAnswer {
            words: format!("Info for {} follows", target.text()),
            lines,
        })
    }

    fn first(&mut self, path: &str, archive: u32) -> RrdcachedOutcome {
        let target = self.fresh(path)?;
        let first = header(&target)?.first(archive).map_err(rrd_error)?;
        Ok(RrdcachedAnswer::of(first.to_string()))
    }

    fn last(&mut self, path: &str) -> RrdcachedOutcome {
        let target = self.target(path)?;
        Ok(RrdcachedAnswer::of(self.last_time(&target)?.to_string()))
    }

    fn fetch(&mut self, path: &str, function: &str, more: &[String]) -> RrdcachedOutcome {
        let failed = |reason: String| format!("rrd_fetch_r failed: {reason}");
        if !["AVERAGE", "MIN", "MAX", "LAST"].contains(&function) {
            let reason = format!("unknown consolidation function '{function}'");
            return Err(failed(reason));
        }
        let span = Span::parse(more, self.now)?;
        let target = self.fresh(path)?;
        let header = target.header().map_err(failed)?;
        span.check(header.step())?;
        // They are from 0 on, as was just found.
        let times = (span.start.unsigned_abs(), span.end.unsigned_abs());
        let rows = fetch::rows(target.path(), function, times, 1, ROWS)
            .map_err(|error| failed(error.to_string()))?;
        let columns = columns(&rows.names, more.get(2..).unwrap_or_default(), &target)?;
        Ok(RrdcachedAnswer {
            words: "Success".into(),
            lines: fetched_lines(&rows, &columns),
        })
    }
}

/// The times of a FETCH.
struct Span {
    start: i64,
    end: i64,
}

impl Span {
    /// From the arguments after the consolidation function. Negative times are before now.
    fn parse(arguments: &[String], now: i64) -> Result<Span, String> {
        let time = |which: &str, text: &str| match text.parse::<i64>() {
            Ok(time) if time < 0 => Ok(now.saturating_add(time)),
            Ok(time) => Ok(time),
            Err(_) => Err(format!(
                "Cannot parse {which} time `{text}': Only simple integers are allowed."
            )),
        };
        let end = arguments.get(1).map_or(Ok(now), |text| time("end", text))?;
        let start = arguments.first();
        let start = start.map_or(Ok(end.saturating_sub(DAY_SECS)), |text| time("start", text))?;
        Ok(Span { start, end })
    }

    /// Whether they can be answered, for a file with that step.
    fn check(&self, step: i64) -> Result<(), String> {
        let Span { start, end } = *self;
        if start < 0 || start >= end {
            return Err(format!("The start, {start}, is not before the end, {end}"));
        }
        if (end - start) / step.max(1) > ROWS_LOOKED_AT {
            return Err(format!(
                "From {start} to {end} are more than {ROWS_LOOKED_AT} steps of {step} s; ask for less"
            ));
        }
        Ok(())
    }
}

/// Numbers of the wanted columns, in the order in which they are wanted; all if none are named.
fn columns(names: &[String], wanted: &[String], target: &Target) -> Result<Vec<usize>, String> {
    if wanted.is_empty() {
        return Ok((0..names.len()).collect());
    }
    let mut columns = Vec::with_capacity(wanted.len());
    for name in wanted {
        let column = names.iter().position(|it| it == name);
        let column =
            column.ok_or_else(|| format!("field {name} not found in {}", target.text()))?;
        if columns.contains(&column) {
            return Err(format!("field {name} already used"));
        }
        columns.push(column);
    }
    Ok(columns)
}

/// What FETCH answers after its first line.
fn fetched_lines(rows: &Rows, columns: &[usize]) -> Vec<String> {
    let names: Vec<&str> = columns.iter().map(|at| &*rows.names[*at]).collect();
    let mut lines = vec![
        "FlushVersion: 1".into(),
        format!("Start: {}", rows.start),
        format!("End: {}", rows.end),
        format!("Step: {}", rows.step),
        format!("DSCount: {}", names.len()),
        format!("DSName: {}", names.join(" ")),
    ];
    let width = rows.names.len().max(1);
    for (values, number) in rows.values.chunks_exact(width).zip(1_u64..) {
        let mut line = format!("{}:", rows.start + number * rows.step);
        for at in columns {
            line.push(' ');
            // In lower case, unlike INFO: rrdcached prints these with printf.
            line += &exponent(values[*at], 17).to_ascii_lowercase();
        }
        lines.push(line);
    }
    lines
}

fn header(target: &Target) -> Result<Header, String> {
    target.header().map_err(rrd_error)
}

/// What librrd says of a file that has forecasts, or data sources that are computed.
#[cfg(feature = "librrd")]
fn lines_of_others(target: &Target) -> Result<Vec<String>, String> {
    let file = crate::file::sound::examine(target.path()).map_err(rrd_error)?;
    crate::file::librrd::info_lines(file).map_err(rrd_error)
}

#[cfg(not(feature = "librrd"))]
fn lines_of_others(target: &Target) -> Result<Vec<String>, String> {
    let path = target.text();
    Err(rrd_error(format!("{path}: {}", crate::file::NEEDS_LIBRRD)))
}

fn rrd_error(error: impl std::fmt::Display) -> String {
    format!("RRD Error: {error}")
}

/// The time and the values of a sample. Plus signs and fractions of a second are left out.
fn sample(text: &str, now: i64) -> Result<(u32, String), String> {
    let timed = text.split_once(':').and_then(|(time, values)| {
        let (secs, part) = time.split_once('.').unwrap_or((time, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        (!secs.is_empty() && digits(secs) && digits(part)).then_some((secs, values))
    });
    let Some((secs, values)) = timed else {
        return Err(format!("Cannot find timestamp in '{text}'!"));
    };
    let is_value = |value: &str| value == "U" || value.parse::<f64>().is_ok_and(f64::is_finite);
    if !values.split(':').all(is_value) {
        return Err(format!("'{values}' is not made of numbers"));
    }
    let time = usable_time(secs, now)?;
    Ok((time, values.replace('+', "").replace('E', "e")))
}

/// The time, unless it is further ahead than a source's clock may be. A file that had it would
/// refuse all other values until then.
fn usable_time(secs: &str, now: i64) -> Result<u32, String> {
    // Digits alone, so it can only be too large.
    let epoch = secs.parse().unwrap_or(i64::MAX);
    let of_sender = StoreTime::of(
        epoch,
        Now {
            epoch: now,
            ..Now::default()
        },
    );
    match u32::try_from(epoch) {
        Ok(time) if !matches!(of_sender, StoreTime::NotTheirs(_)) => Ok(time),
        _ => Err(format!(
            "time {secs} is more than {} minutes ahead of this machine's clock; set the clock that is \
             wrong",
            MOST_AHEAD_SECS / 60
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    #[test]
    fn samples_are_times_and_numbers() {
        let sample = |text| sample(text, NOW);
        assert_eq!(sample("12:3:U"), Ok((12, "3:U".into())));
        assert_eq!(sample("12:+1.5E+05"), Ok((12, "1.5e05".into())));
        assert_eq!(sample("12.75:3"), Ok((12, "3".into())));
        for bad in [
            "12.x:1", "N:1", "12", "12:", "12:x", "12:1:", "-1:2", "+1:2", ":1", ".5:1", "12:nan",
            "12:inf", "",
        ] {
            assert!(sample(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_that_has_not_come_is_refused_as_that_of_a_source_is() {
        let limit = NOW + MOST_AHEAD_SECS;
        let at = |time: i64, now| sample(&format!("{time}:1"), now).map(|(time, _)| time);
        assert_eq!(at(limit, NOW), Ok(limit as u32));
        let in_2106 = i64::from(u32::MAX);
        for time in [limit + 1, in_2106, in_2106 + 1, i64::MAX] {
            let reason = at(time, NOW).unwrap_err();
            let wanted = format!("time {time} is more than 5 minutes ahead of this machine");
            assert!(reason.contains(&wanted), "{reason}");
        }
        let endless = format!("{}:1", "9".repeat(40));
        assert!(sample(&endless, NOW).is_err());
        // A machine that has just started may not know the time yet.
        assert_eq!(at(limit + 1, 60), Ok(limit as u32 + 1));
        assert!(at(in_2106 + 1, 60).is_err());
    }

    #[test]
    fn times_of_a_fetch_are_absolute_or_before_now() {
        let span = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            Span::parse(&arguments, NOW).map(|it| (it.start, it.end))
        };
        assert_eq!(span(&[]), Ok((NOW - DAY_SECS, NOW)));
        assert_eq!(span(&["-60"]), Ok((NOW - 60, NOW)));
        assert_eq!(span(&["100", "-60", "a"]), Ok((100, NOW - 60)));
        let wrong =
            |which| format!("Cannot parse {which} time `x': Only simple integers are allowed.");
        assert_eq!(span(&["x"]), Err(wrong("start")));
        assert_eq!(span(&["1", "x"]), Err(wrong("end")));
        let check = |start, end| Span { start, end }.check(10);
        assert_eq!(check(100, 200), Ok(()));
        for (start, end) in [(200, 100), (100, 100), (-1, 100), (0, i64::MAX)] {
            assert!(check(start, end).is_err(), "{start} {end}");
        }
        assert!(span(&["1", "-9223372036854775808"]).is_ok());
    }
}
