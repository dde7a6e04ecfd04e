//! Samples that wait in memory: they get into their files all the same, also after a crash.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gmetad::plugin::rrd::{JournalSample, journal_samples};
use nix::sys::signal::Signal;
use support::{Gmetad, wait_until};
use tempfile::TempDir;

mod support;

const T0: u32 = 1_700_000_000;
const METRICS: u32 = 40;

/// A gmond whose clock goes on a second with each poll, and whose values tell the time.
struct Clockwork {
    port: u16,
    polls: Arc<AtomicU32>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What a metric has at that time.
fn value(metric: u32, time: u32) -> u32 {
    (time - T0) * METRICS + metric
}

impl Clockwork {
    fn start() -> Clockwork {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (polls, ends) = (
            Arc::new(AtomicU32::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let thread = {
            let (polls, ends) = (Arc::clone(&polls), Arc::clone(&ends));
            thread::spawn(move || {
                for stream in listener.incoming() {
                    if ends.load(Ordering::SeqCst) {
                        return;
                    }
                    let time = T0 + 1 + polls.load(Ordering::SeqCst);
                    // The other end may have been killed.
                    if let Ok(mut stream) = stream {
                        let _ = stream.write_all(&document(time));
                        let _ = stream.shutdown(Shutdown::Write);
                    }
                    polls.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        Clockwork {
            port,
            polls,
            ends,
            thread: Some(thread),
        }
    }

    fn polls(&self) -> u32 {
        self.polls.load(Ordering::SeqCst)
    }

    fn wait_for_polls(&self, more: u32) {
        let until = self.polls() + more;
        wait_until("polls", || self.polls() >= until);
    }
}

impl Drop for Clockwork {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn document(time: u32) -> Vec<u8> {
    let mut metrics = String::new();
    for metric in 0..METRICS {
        let value = value(metric, time);
        let _ = write!(
            metrics,
            "<METRIC NAME=\"m{metric}\" VAL=\"{value}\" TYPE=\"uint32\" UNITS=\"\" TN=\"0\" \
             TMAX=\"60\" DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\"/>"
        );
    }
    let cluster = format!(
        "<CLUSTER NAME=\"c\" LOCALTIME=\"{time}\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n<HOST \
         NAME=\"h\" IP=\"127.0.0.1\" REPORTED=\"{time}\" TN=\"0\" TMAX=\"20\" DMAX=\"0\" \
         LOCATION=\"\" GMOND_STARTED=\"1\">\n{metrics}</HOST>\n</CLUSTER>\n"
    );
    support::peers::document("gmond", &cluster)
}

fn directives(source: &Clockwork, journal: &Path, more: &str) -> String {
    format!(
        "data_source \"s\" 1 127.0.0.1:{}\nRRAs \"RRA:AVERAGE:0:1:5000\"\nrrd {{\n journal_dir \
         \"{}\"\n{more}\n}}",
        source.port,
        journal.display()
    )
}

fn segments(journal: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(journal).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "journal"));
    paths.sort();
    paths
}

fn journaled(journal: &Path) -> Vec<JournalSample> {
    let of_segment = |path: &PathBuf| journal_samples(&fs::read(path).unwrap());
    segments(journal).iter().flat_map(of_segment).collect()
}

fn rrdtool(arguments: &[&str]) -> String {
    let output = Command::new("rrdtool").args(arguments).output().unwrap();
    assert!(output.status.success(), "rrdtool {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every value that a file has, by time.
fn rows(file: &Path, until: u32) -> BTreeMap<u32, f64> {
    let (start, end) = (T0.to_string(), until.to_string());
    let file = file.to_str().unwrap();
    let text = rrdtool(&["fetch", file, "AVERAGE", "--start", &start, "--end", &end]);
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    lines
        .map(|(time, values)| {
            let first = values.split(' ').next().unwrap();
            (time.parse().unwrap(), first.parse().unwrap())
        })
        .filter(|(_, value): &(u32, f64)| !value.is_nan())
        .collect()
}

/// A number that differs from run to run, and is told in case the test fails.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    let given = std::env::var("GMETAD_SEED").ok();
    let seed = given.map_or_else(
        || RandomState::new().hash_one(0) | 1,
        |it| it.parse().unwrap(),
    );
    println!("GMETAD_SEED={seed}");
    seed
}

#[test]
fn what_waits_is_written_at_the_end() {
    if !support::peers::available("what_waits_is_written_at_the_end", &["rrdtool"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("journal");
    let source = Clockwork::start();
    let directives = directives(&source, &journal, " write_timeout 300");
    let gmetad = Gmetad::start(folder.path(), &directives);
    wait_until("a journal", || !journaled(&journal).is_empty());
    source.wait_for_polls(2);
    let file = folder.path().join("rrds/c/h/m7.rrd");
    assert!(!file.exists(), "it waits");
    assert!(gmetad.end().success());
    let rows = rows(&file, T0 + source.polls());
    assert!(rows.len() >= 2, "{rows:?}");
    for (time, found) in rows {
        assert_eq!(found, f64::from(value(7, time)));
    }
    assert!(segments(&journal).is_empty(), "nothing is left");
}

/// With `GMETAD_KILLS=50` in the environment, so many times.
#[test]
fn what_is_in_the_journal_survives_kills_at_any_moment() {
    if !support::peers::available("what_is_in_the_journal_survives", &["rrdtool"]) {
        return;
    }
    let kills = std::env::var("GMETAD_KILLS").map_or(5, |it| it.parse().unwrap());
    let mut random = seed();
    let mut below = |limit: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % limit
    };
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("journal");
    let source = Clockwork::start();
    // So short that some files are being written, some wait, and segments come and go.
    let directives = directives(&source, &journal, " write_timeout 2\n write_jitter 3");
    let mut seen = BTreeMap::new();
    let mut note = |samples: Vec<JournalSample>| {
        for JournalSample { path, time, value } in samples {
            seen.insert((path, time), value);
        }
    };
    for _ in 0..kills {
        let mut gmetad = Gmetad::start(folder.path(), &directives);
        source.wait_for_polls(1 + below(4) as u32);
        thread::sleep(Duration::from_millis(below(700)));
        gmetad.signal(Signal::SIGKILL);
        gmetad.wait();
        note(journaled(&journal));
    }
    // The end, too, may cut a frame in two.
    if let Some(last) = segments(&journal).last() {
        let length = fs::metadata(last).unwrap().len();
        let file = fs::OpenOptions::new().append(true).open(last).unwrap();
        (&file).write_all(&[200, 0, 0, 0, 1, 2, 3, 4, 5]).unwrap();
        assert_eq!(file.metadata().unwrap().len(), length + 9);
    }
    let gmetad = Gmetad::start(folder.path(), &directives);
    source.wait_for_polls(1);
    let log = gmetad.log_file();
    assert!(gmetad.end().success());
    let log = fs::read_to_string(log).unwrap();
    assert!(!log.contains("damaged"), "{log}");
    assert!(segments(&journal).is_empty(), "{log}");

    let seconds = source.polls();
    assert!(
        seen.len() as u32 > METRICS * kills,
        "{} of {seconds} s",
        seen.len()
    );
    let mut checked = 0;
    for metric in 0..METRICS {
        let path = format!("c/h/m{metric}.rrd");
        let rows = rows(&folder.path().join("rrds").join(&path), T0 + seconds);
        let wanted = seen.range((path.clone(), 0)..=(path.clone(), u32::MAX));
        for ((_, time), text) in wanted {
            // A second without a sample of its own would have the next one's value.
            assert_eq!(
                rows.get(time),
                Some(&text.parse().unwrap()),
                "{path} {time}"
            );
            assert_eq!(*text, value(metric, *time).to_string());
            checked += 1;
        }
    }
    assert!(checked > METRICS * kills);
    println!("{checked} values of {seconds} seconds, {kills} kills");
}

#[test]
fn a_damaged_journal_costs_what_cannot_be_read_and_is_kept() {
    if !support::peers::available("a_damaged_journal", &["rrdtool"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("journal");
    let source = Clockwork::start();
    let directives = directives(&source, &journal, " write_timeout 300");
    let mut gmetad = Gmetad::start(folder.path(), &directives);
    wait_until("two seconds in the journal", || {
        journaled(&journal).len() as u32 > METRICS * 2
    });
    gmetad.signal(Signal::SIGKILL);
    gmetad.wait();
    let good = journaled(&journal).len();
    let path = segments(&journal).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    bytes.extend_from_slice(&[255; 20]);
    fs::write(&path, &bytes).unwrap();
    let readable = journaled(&journal);
    assert!((1..good).contains(&readable.len()));
    fs::write(
        journal.join("gmetad-0000000000.journal"),
        "no journal at all",
    )
    .unwrap();

    let gmetad = Gmetad::start(folder.path(), &directives);
    gmetad.wait_for_line("gmetad-0000000000.journal is damaged");
    gmetad.wait_for_line(&format!("{} is damaged", path.display()));
    assert!(gmetad.end().success());
    for path in [&path, &journal.join("gmetad-0000000000.journal")] {
        assert!(path.with_extension("damaged").exists());
    }
    assert!(segments(&journal).is_empty());
    for JournalSample { path, time, value } in readable {
        if path.starts_with("c/h/") {
            let rows = rows(&folder.path().join("rrds").join(path), time);
            assert_eq!(rows.get(&time), Some(&value.parse().unwrap()));
        }
    }
}

#[test]
fn files_are_written_when_their_time_has_come() {
    if !support::peers::available("files_are_written_when_their_time_has_come", &["rrdtool"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("journal");
    let source = Clockwork::start();
    let more = " write_timeout 1\n write_jitter 0";
    let gmetad = Gmetad::start(folder.path(), &directives(&source, &journal, more));
    let file = folder.path().join("rrds/c/h/m39.rrd");
    wait_until("a file", || file.exists());
    source.wait_for_polls(1);
    assert!(gmetad.end().success());
    let rows = rows(&file, T0 + source.polls());
    let times: Vec<u32> = rows.keys().copied().collect();
    assert!(
        times.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{times:?}"
    );
    for (time, found) in rows {
        assert_eq!(found, f64::from(value(39, time)));
    }
}
