//! Does what comes over the rrdcached socket, with what waits and with the files.
//!
//! Below the root only, and only to files whose names end in `.rrd`.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::protocol::{RrdcachedAnswer, RrdcachedCommands, RrdcachedOutcome, Session, SessionNext};
use crate::cache::{Held, WriteCache};
use crate::file::librrd::{self, RrdError};
use crate::file::samples::Kind;
use crate::file::sound::{self, Sound, Unsound};
use crate::file::{FileSpec, exists};
use crate::tree::SharedTree;
use crate::tree::paths::{PathBuffer, is_inside};
use crate::writer::Writer;

/// Rows of an answer at most; C gmetad's largest archive has half as many.
const ROWS: u64 = 100_000;

/// Rows that librrd may have to look through for them.
const ROWS_LOOKED_AT: i64 = 10_000_000;

/// Default start of what is fetched, before its end.
const DAY_SECS: i64 = 86_400;

/// What a file that somebody else has made would be, were it lost and made again.
const SPEC: FileSpec = FileSpec {
    step_secs: 15,
    kind: Kind::Gauge,
    with_num: false,
};

/// Bytes of a client, or its end.
#[derive(Debug)]
pub struct SessionRequest {
    /// Number of the client, which the answer bears too.
    pub client: u64,
    /// What it has sent; nothing: it has taken its answers, and there were more.
    pub bytes: Vec<u8>,
    /// Whether it is gone.
    pub gone: bool,
}

/// What a client is to be sent.
#[derive(Debug)]
pub struct SessionAnswer {
    /// Number of the client.
    pub client: u64,
    /// What to send.
    pub text: String,
    /// What comes after that.
    pub next: SessionNext,
}

impl SessionAnswer {
    /// Nothing more.
    pub fn end(client: u64) -> SessionAnswer {
        SessionAnswer {
            client,
            text: String::new(),
            next: SessionNext::Close,
        }
    }
}

/// All connections' sessions, on the plugin thread.
#[derive(Debug)]
pub struct RrdcachedServer {
    archive: SharedTree,
    sessions: HashMap<u64, Session>,
    /// As it is called, and as it is when links are followed, which rrdtool does.
    roots: [PathBuf; 2],
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    updates: u64,
    flushes: u64,
}

impl RrdcachedServer {
    pub(crate) fn new(archive: SharedTree, root: &Path) -> RrdcachedServer {
        RrdcachedServer {
            archive,
            sessions: HashMap::new(),
            roots: [root.into(), root.into()],
            counts: Counts::default(),
        }
    }

    /// Does what a client asks; an answer unless it is gone.
    pub fn take(&mut self, request: &SessionRequest) -> Option<SessionAnswer> {
        if request.gone {
            self.sessions.remove(&request.client);
            return None;
        }
        if let Ok(root) = fs::canonicalize(&self.roots[0]) {
            self.roots[1] = root;
        }
        let session = self.sessions.entry(request.client).or_default();
        let mut archive = self.archive.lock();
        let mut text = String::new();
        let next = match archive.waiting() {
            Some((later, writer, paths)) => {
                later.tell_time(Instant::now(), writer);
                let mut commands = FileCommands {
                    later,
                    writer,
                    paths,
                    roots: &self.roots,
                    counts: &mut self.counts,
                };
                session.turn(&request.bytes, &mut commands, &mut text)
            }
            None => SessionNext::Close,
        };
        Some(SessionAnswer {
            client: request.client,
            text,
            next,
        })
    }
}

/// Does one client's commands.
struct FileCommands<'a> {
    later: &'a mut WriteCache,
    writer: &'a mut Writer,
    paths: &'a mut PathBuffer,
    roots: &'a [PathBuf; 2],
    counts: &'a mut Counts,
}

/// A file that a command may be about.
struct Target {
    folder: String,
    name: String,
    path: CString,
}

impl Target {
    fn text(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    fn missing(&self) -> String {
        format!("No such file: {}", self.text())
    }

    /// The file, if librrd can be given it; the reason otherwise, as librrd would have it where the
    /// file cannot be opened.
    fn sound(&self) -> Result<Sound<'_>, String> {
        sound::examine(&self.path).map_err(|unsound| match unsound {
            Unsound::System { cause, .. } => {
                let reason = cause.raw_os_error().map(nix::errno::Errno::from_raw);
                let reason = reason.map_or("it cannot be read", nix::errno::Errno::desc);
                format!("RRD Error: opening '{}': {reason}", self.text())
            }
            unsound => format!("RRD Error: {}: {unsound}", self.text()),
        })
    }
}

impl FileCommands<'_> {
    /// The file at a path, taken from the root where it does not begin with `/`.
    fn target(&mut self, path: &str) -> Result<Target, String> {
        let denied = || format!("{path}: Permission denied");
        let inside = if path.starts_with('/') {
            let inside = self
                .roots
                .iter()
                .find_map(|root| Path::new(path).strip_prefix(root).ok());
            inside.and_then(Path::to_str).ok_or_else(denied)?
        } else {
            path
        };
        let (folder, file) = inside.rsplit_once('/').ok_or_else(denied)?;
        let name = file.strip_suffix(".rrd").ok_or_else(denied)?;
        if name.is_empty() || !is_inside(inside) {
            return Err(denied());
        }
        self.paths.enter_inside(folder);
        Ok(Target {
            folder: folder.into(),
            name: name.into(),
            path: self.paths.file(name).to_owned(),
        })
    }

    /// Writes what waits of a file; whether there was anything.
    fn write(&mut self, target: &Target) -> bool {
        self.later.flush(&target.folder, &target.name, self.writer) > 0
    }

    /// The file at a path, with all its values in it.
    fn fresh(&mut self, path: &str) -> Result<Target, String> {
        let target = self.target(path)?;
        self.write(&target);
        Ok(target)
    }

    /// Time of a file's last value, waiting or not.
    fn last_time(&self, target: &Target) -> Result<i64, String> {
        let waiting = self.later.newest(&target.folder, &target.name);
        match waiting {
            Some(time) => Ok(time.into()),
            None => librrd::last_update(target.sound()?).map_err(|error| rrd_error(&error)),
        }
    }
}

impl RrdcachedCommands for FileCommands<'_> {
    fn flush(&mut self, path: &str) -> RrdcachedOutcome {
        self.counts.flushes += 1;
        let target = self.target(path)?;
        if !self.write(&target) && !exists(&target.path) {
            return Err(format!("{}.", target.missing()));
        }
        let text = target.text();
        Ok(RrdcachedAnswer::of(format!("Successfully flushed {text}.")))
    }

    fn flush_all(&mut self) -> RrdcachedOutcome {
        self.counts.flushes += 1;
        self.later.flush_all();
        Ok(RrdcachedAnswer::of("Started flush."))
    }

    fn pending(&mut self, path: &str) -> RrdcachedOutcome {
        let target = self.target(path)?;
        let lines = self.later.waiting_values(&target.folder, &target.name);
        Ok(RrdcachedAnswer {
            words: "updates pending".into(),
            lines,
        })
    }

    fn forget(&mut self, path: &str) -> RrdcachedOutcome {
        let target = self.target(path)?;
        if self.later.forget(&target.folder, &target.name, self.writer) {
            Ok(RrdcachedAnswer::of("Gone!"))
        } else {
            Err("No such file or directory".into())
        }
    }

    fn update(&mut self, path: &str, values: &[String]) -> RrdcachedOutcome {
        self.counts.updates += 1;
        let target = self.target(path)?;
        if !exists(&target.path) {
            return Err(target.missing());
        }
        let mut taken = 0;
        for value in values {
            let (time, numbers) = sample(value)?;
            let last = self.last_time(&target)?;
            let stale = || {
                format!(
                    "illegal attempt to update using time {time} when last update time is {last} \
                     (minimum one second step)"
                )
            };
            if i64::from(time) <= last {
                return Err(stale());
            }
            let Target { folder, name, .. } = &target;
            let sample = (time, numbers.as_bytes());
            let held = self
                .later
                .put_by_name(folder, name, SPEC, sample, self.writer);
            if held == Held::Stale {
                return Err(stale());
            }
            taken += 1;
        }
        if !self.later.holds() {
            self.write(&target);
        }
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
            ("TreeNodesNumber", self.later.waiting_files()),
            // There is no tree: every file is found in one step.
            ("TreeDepth", 1),
            ("JournalBytes", self.later.journal_bytes()),
            ("JournalRotate", self.later.journal_segments()),
        ];
        Ok(RrdcachedAnswer {
            words: "Statistics follow".into(),
            lines: lines.map(|(name, value)| format!("{name}: {value}")).into(),
        })
    }

    fn info(&mut self, path: &str) -> RrdcachedOutcome {
        let target = self.fresh(path)?;
        Ok(RrdcachedAnswer {
            words: format!("Info for {} follows", target.text()),
            lines: librrd::info_lines(target.sound()?).map_err(|error| rrd_error(&error))?,
        })
    }

    fn first(&mut self, path: &str, archive: u32) -> RrdcachedOutcome {
        let target = self.fresh(path)?;
        let first = librrd::first(target.sound()?, archive).map_err(|error| rrd_error(&error))?;
        Ok(RrdcachedAnswer::of(first.to_string()))
    }

    fn last(&mut self, path: &str) -> RrdcachedOutcome {
        let target = self.target(path)?;
        Ok(RrdcachedAnswer::of(self.last_time(&target)?.to_string()))
    }

    fn fetch(&mut self, path: &str, function: &str, more: &[String]) -> RrdcachedOutcome {
        if !["AVERAGE", "MIN", "MAX", "LAST"].contains(&function) {
            return Err(format!("Unknown consolidation function: {function}"));
        }
        let clock = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = clock.map_or(0, |it| it.as_secs() as i64);
        let time = |at: usize| match more.get(at) {
            None => Ok(None),
            Some(text) => match text.parse::<i64>() {
                Ok(time) if time < 0 => Ok(Some(now.saturating_add(time))),
                Ok(time) => Ok(Some(time)),
                Err(_) => Err(format!("{text} is no time")),
            },
        };
        let end = time(1)?.unwrap_or(now);
        let start = time(0)?.unwrap_or(end - DAY_SECS);
        let target = self.fresh(path)?;
        let file = target.sound()?;
        let step = librrd::step(file).map_err(|error| rrd_error(&error))?;
        if start >= end || start < 0 || (end - start) / step.max(1) > ROWS_LOOKED_AT {
            return Err(format!(
                "From {start} to {end} is no time that can be fetched"
            ));
        }
        let rows =
            librrd::fetch(file, function, start, end, ROWS).map_err(|error| rrd_error(&error))?;
        let wanted: Vec<usize> = (0..rows.names.len())
            .filter(|at| more.len() <= 2 || more[2..].contains(&rows.names[*at]))
            .collect();
        let names: Vec<&str> = wanted.iter().map(|at| &*rows.names[*at]).collect();
        let mut lines = vec![
            "FlushVersion: 1".into(),
            format!("Start: {}", rows.start),
            format!("End: {}", rows.end),
            format!("Step: {}", rows.step),
            format!("DSCount: {}", names.len()),
            format!("DSName: {}", names.join(" ")),
        ];
        for (values, number) in rows
            .values
            .chunks_exact(rows.names.len().max(1))
            .zip(1_i64..)
        {
            let mut line = format!("{}:", rows.start + number * rows.step);
            for at in &wanted {
                line.push(' ');
                // As printf has it here, though not in what a file says of itself.
                line += &librrd::exponent(values[*at], 17).to_ascii_lowercase();
            }
            lines.push(line);
        }
        Ok(RrdcachedAnswer {
            words: "Success".into(),
            lines,
        })
    }
}

fn rrd_error(error: &RrdError) -> String {
    format!("RRD Error: {error}")
}

/// The time and the values of a sample; a plus sign, which says nothing, is left out, and so are
/// parts of a second.
fn sample(text: &str) -> Result<(u32, String), String> {
    let timed = text.split_once(':').and_then(|(time, values)| {
        let (secs, part) = time.split_once('.').unwrap_or((time, ""));
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        Some((secs.parse().ok().filter(|_| digits)?, values))
    });
    let Some((time, values)) = timed else {
        return Err(format!("Cannot find timestamp in '{text}'!"));
    };
    let is_value = |value: &str| value == "U" || value.parse::<f64>().is_ok_and(f64::is_finite);
    if !values.split(':').all(is_value) {
        return Err(format!("'{values}' is not made of numbers"));
    }
    Ok((time, values.replace('+', "").replace('E', "e")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_times_and_numbers() {
        assert_eq!(sample("12:3:U"), Ok((12, "3:U".into())));
        assert_eq!(sample("12:+1.5E+05"), Ok((12, "1.5e05".into())));
        assert_eq!(sample("12.75:3"), Ok((12, "3".into())));
        for bad in [
            "12.x:1", "N:1", "12", "12:", "12:x", "12:1:", "-1:2", "12:nan", "12:inf", "",
        ] {
            assert!(sample(bad).is_err(), "{bad}");
        }
    }
}
