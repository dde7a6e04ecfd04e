//! Sends updates to a running rrdcached instead of writing them to the files.
//!
//! Files are still created here, so rrdcached has to see them by the same paths. The link to it is
//! in `gmetad_export`.

use std::collections::HashSet;
use std::ffi::CStr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::file::samples::Samples;
use crate::writer::counters::RrdCounters;
use crate::writer::refusals::Refusals;
use gmetad_config::{ExportConfig, RrdcachedAddress};
use gmetad_core::plugin::PluginError;
use gmetad_core::status::ExportCounters;
use gmetad_export::link::{
    self, AnswerReader, Batch, BatchAnswer, Dialect, Endpoint, Frame, Link, LinkError, Server,
    Target, target,
};

/// Its name in the log and in the status.
const ID: &str = "rrdcached";

/// First and last line of a batch.
const OPENING: &[u8] = b"BATCH\n";
const CLOSING: &[u8] = b".\n";

/// Longest line that rrdcached reads, with its end.
const LINE_BYTES: usize = 4096;

/// Longest line of its answers: a path, and what is wrong with it.
const ANSWER_BYTES: usize = 3 * LINE_BYTES;

/// Most files that are remembered as missing. Others are found missing again later.
const MISSING_LIMIT: usize = 100_000;

/// The link to rrdcached, and what it has said about files.
#[derive(Debug)]
pub(crate) struct RrdcachedClient {
    address: RrdcachedAddress,
    counters: Arc<ExportCounters>,
    files: Arc<RrdCounters>,
    refusals: Refusals,
    /// `None` before the start and after the end.
    link: Option<Link>,
    missing: Missing,
    line: Vec<u8>,
}

/// Paths of files that rrdcached did not find.
#[derive(Clone, Debug, Default)]
struct Missing(Arc<Mutex<HashSet<Vec<u8>>>>);

impl Missing {
    fn lock(&self) -> MutexGuard<'_, HashSet<Vec<u8>>> {
        // A set is whole after each call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RrdcachedClient {
    /// As configured; `None` if none is.
    pub(crate) fn new(
        config: &ExportConfig,
        files: &Arc<RrdCounters>,
        refusals: &Refusals,
    ) -> Option<RrdcachedClient> {
        Some(RrdcachedClient {
            address: config.rrdcached.clone()?,
            counters: Arc::default(),
            files: Arc::clone(files),
            refusals: refusals.clone(),
            link: None,
            missing: Missing::default(),
            line: Vec::new(),
        })
    }

    /// Starts the connection's thread.
    pub(crate) fn start(&mut self) -> Result<(), PluginError> {
        let endpoint = match &self.address {
            RrdcachedAddress::Unix(path) => Endpoint::Unix(path.clone()),
            RrdcachedAddress::Tcp(place) => Endpoint::Tcp(place.clone()),
        };
        let dialect = Batches {
            missing: self.missing.clone(),
            files: Arc::clone(&self.files),
            refusals: self.refusals.clone(),
        };
        let server = Server::new("rrdcached_address", endpoint, dialect);
        let link = Link::open(ID, server, &self.counters, 0);
        self.link = Some(link.map_err(|cause| PluginError::System {
            what: format!("the thread for {}", self.address),
            cause,
        })?);
        Ok(())
    }

    /// Name and counters of the updates sent.
    pub(crate) fn export(&self) -> (Arc<str>, Arc<ExportCounters>) {
        (ID.into(), Arc::clone(&self.counters))
    }

    /// Adds the samples of one file. Returns how many were too long for a line.
    pub(crate) fn put(&mut self, path: &CStr, samples: &Samples) -> usize {
        let Some(link) = &mut self.link else {
            return samples.len();
        };
        let buffer = &mut self.line;
        samples.with(|samples| lines(path, samples, buffer, |line| link.put(line)))
    }

    /// Whether rrdcached did not find this file. Says so once each time.
    pub(crate) fn has_missed(&self, path: &CStr) -> bool {
        let mut missing = self.missing.lock();
        !missing.is_empty() && missing.remove(path.to_bytes())
    }

    /// Sends what was added, at the end of an update.
    pub(crate) fn hand_over(&mut self) {
        if let Some(link) = &mut self.link {
            link.hand_over();
        }
    }

    /// Closes the link, once rrdcached has taken everything or it is clear that it will not.
    pub(crate) fn close(&mut self) {
        link::close(self.link.take().into_iter().collect());
    }
}

/// `UPDATE path time:value …`, in as many lines as needed. Returns how many samples fit into no line.
fn lines(path: &CStr, samples: &[&CStr], line: &mut Vec<u8>, mut each: impl FnMut(&[u8])) -> usize {
    let mut lost = 0;
    line.clear();
    line.extend_from_slice(b"UPDATE ");
    escape(path.to_bytes(), line);
    let start = line.len();
    for sample in samples {
        let sample = sample.to_bytes();
        if start + sample.len() + 2 > LINE_BYTES {
            lost += 1;
            continue;
        }
        if line.len() + sample.len() + 2 > LINE_BYTES {
            line.push(b'\n');
            each(line);
            line.truncate(start);
        }
        line.push(b' ');
        line.extend_from_slice(sample);
    }
    if line.len() > start {
        line.push(b'\n');
        each(line);
    }
    lost
}

/// Appends a path as one field of a command: with a backslash before white space and backslashes, as
/// in rrdcached(1).
fn escape(path: &[u8], line: &mut Vec<u8>) {
    for &byte in path {
        if matches!(byte, b'\t'..=b'\r' | b' ' | b'\\') {
            line.push(b'\\');
        }
        line.push(byte);
    }
}

/// The path in a line made by `lines`.
fn path_of(line: &[u8]) -> Vec<u8> {
    let mut path = Vec::new();
    let mut bytes = line.strip_prefix(b"UPDATE ").unwrap_or(line).iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => path.extend(bytes.next()),
            b' ' => break,
            _ => path.push(byte),
        }
    }
    path
}

/// The protocol's BATCH: many updates, then one answer that lists the errors.
struct Batches {
    missing: Missing,
    files: Arc<RrdCounters>,
    refusals: Refusals,
}

impl Dialect for Batches {
    fn encode(&self, batch: &Batch, out: &mut Vec<u8>, _: &mut Vec<u8>) {
        out.extend_from_slice(OPENING);
        out.extend_from_slice(batch.bytes());
        out.extend_from_slice(CLOSING);
    }

    fn answers(&self) -> bool {
        true
    }

    fn answer(
        &self,
        reader: &mut AnswerReader<'_>,
        frame: &Frame,
    ) -> Result<BatchAnswer, LinkError> {
        let greeting = reader.line(ANSWER_BYTES)?;
        if !greeting.starts_with("0 ") {
            return Err(LinkError::Protocol(greeting));
        }
        let head = reader.line(ANSWER_BYTES)?;
        // At most one per line, whatever it says.
        let errors = number(&head).filter(|errors| *errors <= frame.values);
        let errors = errors.ok_or(LinkError::Protocol(head))?;
        let mut answer = BatchAnswer::default();
        for _ in 0..errors {
            let line = reader.line(ANSWER_BYTES)?;
            let Some(at) = number(&line) else {
                return Err(LinkError::Protocol(line));
            };
            let (_, reason) = line.split_once(' ').unwrap_or_default();
            self.note_error(frame, at, reason, &mut answer);
        }
        Ok(answer)
    }

    fn targets(&self, frame: &Frame) -> Vec<Target> {
        lines_of(frame).map(|line| target(path_of(line))).collect()
    }
}

/// Why a value comes too late for its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Late {
    /// rrdcached has a value of the same time.
    Repeated,
    /// rrdcached has a value of this later time.
    Behind { newest: u32 },
}

impl Late {
    /// From rrdcached's words: `illegal attempt to update using time 1.000000 when last update time
    /// is 2.000000 (minimum one second step)`.
    fn of(reason: &str) -> Option<Late> {
        let rest = reason.strip_prefix("illegal attempt to update using time ")?;
        let times = rest.split_once(" when last update time is ");
        let times = times.and_then(|(time, rest)| {
            let (newest, _) = rest.split_once(' ').unwrap_or((rest, ""));
            Some((time.parse::<f64>().ok()?, newest.parse::<f64>().ok()?))
        });
        Some(match times {
            Some((time, newest)) if time < newest => Late::Behind {
                newest: newest as u32,
            },
            _ => Late::Repeated,
        })
    }
}

impl Batches {
    /// Notes what rrdcached says of a line.
    fn note_error(&self, frame: &Frame, at: u32, reason: &str, answer: &mut BatchAnswer) {
        match Late::of(reason) {
            // Most likely the same batch again, whose answer was lost.
            Some(Late::Repeated) => drop(self.files.repeated.fetch_add(1, Ordering::Relaxed)),
            Some(Late::Behind { newest }) => {
                self.files.refused.fetch_add(1, Ordering::Relaxed);
                answer.left_out += 1;
                if let Some(path) = path_at(frame, at) {
                    self.refusals.note(&path, newest);
                }
            }
            None => {
                if reason.starts_with("No such file") {
                    self.note_missing(frame, at);
                }
                if answer.refused.is_empty() {
                    answer.reason = named(frame, at, reason);
                }
                answer.refused.push(at.wrapping_sub(1));
            }
        }
    }

    fn note_missing(&self, frame: &Frame, at: u32) {
        let Some(path) = path_at(frame, at) else {
            return;
        };
        let mut missing = self.missing.lock();
        if missing.len() < MISSING_LIMIT {
            missing.insert(path);
        }
    }
}

/// The path in a line of a frame. Lines count from 1.
fn path_at(frame: &Frame, at: u32) -> Option<Vec<u8>> {
    let at = (at as usize).checked_sub(1)?;
    lines_of(frame).nth(at).map(path_of)
}

/// The updates of a frame.
fn lines_of(frame: &Frame) -> impl Iterator<Item = &[u8]> {
    let lines = frame.bytes.strip_prefix(OPENING).unwrap_or(&frame.bytes);
    let lines = lines.strip_suffix(CLOSING).unwrap_or(lines);
    lines
        .split(|byte| *byte == b'\n')
        .take(frame.values as usize)
}

/// What rrdcached says of a line, with the path, which it sometimes leaves out.
fn named(frame: &Frame, at: u32, reason: &str) -> String {
    let path = path_at(frame, at).unwrap_or_default();
    let path = String::from_utf8_lossy(&path);
    if reason.contains(&*path) {
        reason.into()
    } else {
        format!("{path}: {reason}")
    }
}

/// The number at the start of a line.
fn number(line: &str) -> Option<u32> {
    line.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn all(path: &CStr, samples: &[&CStr]) -> (Vec<String>, usize) {
        let mut all = Vec::new();
        let lost = lines(path, samples, &mut Vec::new(), |line| {
            all.push(String::from_utf8_lossy(line).into_owned());
        });
        (all, lost)
    }

    #[test]
    fn a_line_holds_a_path_and_its_samples() {
        assert_eq!(
            all(c"/r/c/h/m.rrd", &[c"1:2", c"3:4:5"]).0,
            ["UPDATE /r/c/h/m.rrd 1:2 3:4:5\n"]
        );
        assert_eq!(all(c"/r/c/h/m.rrd", &[]).0, [""; 0]);
    }

    #[test]
    fn white_space_and_backslashes_in_a_path_are_escaped_and_found_again() {
        let path = c"/r/my cluster/a\\b\tc.rrd";
        let (all, _) = all(path, &[c"1:2"]);
        assert_eq!(all, ["UPDATE /r/my\\ cluster/a\\\\b\\\tc.rrd 1:2\n"]);
        assert_eq!(path_of(all[0].trim_end().as_bytes()), path.to_bytes());
    }

    fn answer(text: &str) -> (Result<BatchAnswer, LinkError>, Vec<String>) {
        let dialect = Batches {
            missing: Missing::default(),
            files: Arc::default(),
            refusals: Refusals::new(Path::new("/r")),
        };
        let mut batch = Batch::default();
        for metric in [c"/r/c/h/a b.rrd", c"/r/c/h/b.rrd"] {
            lines(metric, &[c"1:2"], &mut Vec::new(), |line| batch.push(line));
        }
        let frame = link::encoded(&batch, &dialect);
        assert_eq!(
            String::from_utf8_lossy(&frame.bytes),
            "BATCH\nUPDATE /r/c/h/a\\ b.rrd 1:2\nUPDATE /r/c/h/b.rrd 1:2\n.\n"
        );
        let targets = [
            target(b"/r/c/h/a b.rrd".to_vec()),
            target(b"/r/c/h/b.rrd".to_vec()),
        ];
        assert_eq!(dialect.targets(&frame), targets);
        let mut received = text.as_bytes().to_vec();
        let mut closed = |_: &mut Vec<u8>| Err(LinkError::Closed);
        let mut reader = AnswerReader::new(&mut received, &mut closed);
        let answer = dialect.answer(&mut reader, &frame);
        let missing = dialect.missing.lock();
        let missing = missing
            .iter()
            .map(|it| String::from_utf8_lossy(it).into_owned());
        (answer, missing.collect())
    }

    #[test]
    fn an_answer_names_lines_of_the_batch_and_no_others() {
        let (none, _) = answer("0 Go ahead.\n0 errors\n");
        assert_eq!(none.expect("an answer"), BatchAnswer::default());
        let (one, missing) = answer("0 Go ahead.\n1 errors\n2 No such file: /r/c/h/b.rrd\n");
        let one = one.expect("an answer");
        assert_eq!((one.refused, one.left_out), (vec![1], 0));
        assert_eq!(one.reason, "No such file: /r/c/h/b.rrd");
        assert_eq!(missing, ["/r/c/h/b.rrd"]);
        let late = "illegal attempt to update using time 1.000000 when last update time is 2.000000 \
                    (minimum one second step)";
        let (two, _) = answer(&format!("0 Go ahead.\n2 errors\n1 {late}\n2 odd\n"));
        let two = two.expect("an answer");
        assert_eq!((two.refused, two.left_out), (vec![1], 1));
        assert_eq!(two.reason, "/r/c/h/b.rrd: odd");
    }

    #[test]
    fn an_answer_that_is_not_rrdcacheds_is_an_error() {
        for odd in [
            "HTTP/1.0 200 OK\n",
            "0 Go ahead.\nno number\n",
            "0 Go ahead.\n4000000000 errors\n",
            "0 Go ahead.\n1 errors\nx\n",
        ] {
            let (result, _) = answer(odd);
            assert!(matches!(result, Err(LinkError::Protocol(_))), "{odd}");
        }
    }

    #[test]
    fn a_value_that_is_too_late_is_told_from_one_that_comes_again() {
        let of = |time: &str, last: &str| {
            Late::of(&format!(
                "illegal attempt to update using time {time} when last update time is {last} \
                 (minimum one second step)"
            ))
        };
        let repeated = Some(Late::Repeated);
        assert_eq!(of("1700000015.000000", "1700000015.000000"), repeated);
        assert_eq!(
            of("1700000015.000000", "1700003600.000000"),
            Some(Late::Behind {
                newest: 1_700_003_600
            })
        );
        assert_eq!(of("x", "y"), repeated);
        assert_eq!(Late::of("No such file: /r/c/h/m.rrd"), None);
        let ahead = "time 4294967295 is more than 24 hours ahead of this machine's clock";
        assert_eq!(Late::of(ahead), None, "another gmetad's socket says so");
    }

    #[test]
    fn no_line_is_longer_than_rrdcached_reads() {
        let samples = vec![c"1234567890:1234567890.12345"; 1000];
        let (lines, lost) = all(c"/r/c/h/m.rrd", &samples);
        assert_eq!(lost, 0);
        assert!(lines.len() > 1);
        assert!(lines.iter().all(|line| line.len() <= LINE_BYTES));
        let words: usize = lines.iter().map(|line| line.split(' ').count() - 2).sum();
        assert_eq!(words, 1000);
        let long = std::ffi::CString::new("/".repeat(LINE_BYTES - 10)).unwrap();
        assert_eq!(all(&long, &[c"1:2", c"3:4"]), (vec![], 2));
    }
}
