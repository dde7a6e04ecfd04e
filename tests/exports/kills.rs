//! The store and gmetad killed again and again, with values that wait on disk: each value that the
//! source sent is in the store, once.
//!
//! `GMETAD_KILLS=50` kills each so often; `make kills` does that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::remote_write::{clocks, to};
use crate::rig::now;
use crate::support::clockwork::Clockwork;
use crate::support::peers::available;
use crate::support::web::{Prometheus, get};
use crate::support::{Gmetad, wait_until};

const HOSTS: usize = 3;
const METRICS: usize = 4;

/// How often each is killed in a short run.
const KILLS: u32 = 2;

/// A source whose every document is of another second, and the seconds so far.
fn source() -> (Clockwork, Arc<Mutex<Vec<u32>>>) {
    let served = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&served);
    let source = Clockwork::start(move |_| {
        let mut served = theirs.lock().expect("nobody panics");
        // It is behind our clock, so that it is never ahead of it.
        let time = served.last().map_or(0, |last| last + 1).max(now() - 100);
        served.push(time);
        clocks(time, HOSTS, METRICS, 0).into_bytes()
    });
    (source, served)
}

struct Trial {
    store: Prometheus,
    source: Clockwork,
    served: Arc<Mutex<Vec<u32>>>,
    folder: tempfile::TempDir,
    lines: String,
    gmetad: Option<Gmetad>,
    /// Documents that gmetad may not have had when it was killed: the one that it was about to poll,
    /// and the one before, which it was perhaps about to handle.
    in_flight: BTreeSet<u32>,
    random: u64,
}

impl Trial {
    fn start(store: Prometheus, more: &str) -> Trial {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (source, served) = source();
        let backlog = folder.path().join("backlog");
        let section = to(
            store.port(),
            &format!("summaries off\nbacklog_dir {}\n{more}", backlog.display()),
        );
        let lines = format!(
            "write_rrds off\ndata_source \"s\" 1 127.0.0.1:{}\n{section}",
            source.port()
        );
        let mut trial = Trial {
            store,
            source,
            served,
            folder,
            lines,
            gmetad: None,
            in_flight: BTreeSet::new(),
            random: now().into(),
        };
        trial.start_gmetad();
        trial.source.wait_for_polls(1);
        trial
    }

    /// A number below the limit.
    fn random(&mut self, limit: u32) -> u32 {
        let factor = 6_364_136_223_846_793_005;
        self.random = self.random.wrapping_mul(factor).wrapping_add(1);
        (self.random >> 33) as u32 % limit
    }

    fn start_gmetad(&mut self) {
        self.gmetad = Some(Gmetad::start(self.folder.path(), &self.lines));
    }

    fn kill_gmetad(&mut self) {
        // At any moment of the polls.
        std::thread::sleep(Duration::from_millis(self.random(1_000).into()));
        let gmetad = self.gmetad.take().expect("it runs");
        gmetad.signal(Signal::SIGKILL);
        drop(gmetad);
        let served = self.served.lock().expect("nobody panics");
        self.in_flight.extend(served.last().map(|last| last + 1));
        self.in_flight.extend(served.last());
    }

    fn run(mut self, kills: u32) {
        for round in 0..kills {
            self.store.kill();
            let polls = 1 + self.random(3);
            self.source.wait_for_polls(polls);
            // Sometimes with a backlog, sometimes without.
            let is_away = round % 2 == 0;
            if !is_away {
                self.store.start_again();
                let polls = 1 + self.random(2);
                self.source.wait_for_polls(polls);
            }
            self.kill_gmetad();
            self.start_gmetad();
            let polls = 1 + self.random(2);
            self.source.wait_for_polls(polls);
            if is_away {
                self.store.start_again();
            }
        }
        self.source.wait_for_polls(2);
        self.check(kills);
    }

    fn check(mut self, kills: u32) {
        // Waits for the last ones; nothing is sent after them.
        let last = *self
            .served
            .lock()
            .expect("nobody panics")
            .last()
            .expect("one");
        wait_until("the newest values in the store", || {
            let samples = self.store.samples("ganglia_m0{host=\"h0\"}");
            (samples.values()).any(|it| it.iter().any(|(_, value)| *value >= f64::from(last)))
        });
        let gmetad = self.gmetad.take().expect("it runs");
        assert_eq!(gmetad.end().code(), Some(0));
        let served = self.served.lock().expect("nobody panics").clone();
        let samples = self.store.samples("{__name__=~\"ganglia_m.+\"}");
        assert_eq!(samples.len(), HOSTS * METRICS);
        let mut missing = BTreeSet::new();
        for (series, samples) in &samples {
            let mut times: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
            for (time, value) in samples {
                times.entry(*value as u32).or_default().push(*time);
            }
            for (value, at) in &times {
                let own = i64::from(*value) * 1000;
                // What a gmetad has got first is a millisecond later.
                assert!(
                    matches!(at[..], [time] if (0..=1).contains(&(time - own))),
                    "{series}: {value} at {at:?}"
                );
            }
            let ours = served.iter().filter(|time| **time <= last);
            missing.extend(ours.filter(|time| !times.contains_key(time)));
        }
        let gone: Vec<&u32> = missing.difference(&self.in_flight).collect();
        assert!(gone.is_empty(), "{gone:?} of {served:?} are lost");
        println!(
            "killed {kills} times each: {} documents, {} of them in flight at a kill and not had; \
             all others are in the store, once",
            served.len(),
            missing.len()
        );
    }
}

fn kills() -> u32 {
    let asked = std::env::var("GMETAD_KILLS").ok();
    asked.map_or(KILLS, |text| text.parse().expect("a number"))
}

#[test]
fn each_value_is_in_a_prometheus_once_however_often_it_and_gmetad_are_killed() {
    if !available(
        "each_value_is_in_a_prometheus_once_however_often_it_and_gmetad_are_killed",
        &["prometheus"],
    ) {
        return;
    }
    Trial::start(Prometheus::start(" []\n"), "").run(kills());
}

#[test]
fn each_value_is_in_a_victoria_metrics_once_however_often_it_and_gmetad_are_killed() {
    if !available(
        "each_value_is_in_a_victoria_metrics_once",
        &["victoria-metrics"],
    ) {
        return;
    }
    // It has the newest seconds in memory alone.
    Trial::start(Prometheus::victoria(), "resend 10").run(kills());
}

/// A gmetad with a store that does not answer yet, and what its section says beside the URL.
fn without_store(store: &mut Prometheus, folder: &Path, source: &Clockwork, more: &str) -> Gmetad {
    store.kill();
    let lines = format!(
        "write_rrds off\ndata_source \"s\" 1 127.0.0.1:{}\n{}",
        source.port(),
        to(store.port(), &format!("summaries off\n{more}"))
    );
    Gmetad::start(folder, &lines)
}

#[test]
fn values_still_queued_at_exit_are_sent_after_the_next_start() {
    if !available(
        "values_still_queued_at_exit_are_sent_after_the_next_start",
        &["prometheus"],
    ) {
        return;
    }
    let mut store = Prometheus::start(" []\n");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let backlog = folder.path().join("backlog");
    let section = format!("backlog_dir {}", backlog.display());
    let (source, served) = source();
    let gmetad = without_store(&mut store, folder.path(), &source, &section);
    source.wait_for_polls(3);
    gmetad.wait_for_line("cannot connect");
    let handled = served.lock().expect("nobody panics").len();
    assert!(handled >= 3);
    let log = gmetad.log_file();
    assert_eq!(gmetad.end().code(), Some(0));
    let log = std::fs::read_to_string(log).expect("a log");
    let told = format!("of values wait in {} for the next start", backlog.display());
    assert!(log.contains(&told) && !log.contains("are lost"), "{log}");
    let gmetad = without_store(&mut store, folder.path(), &source, &section);
    gmetad.wait_for_line("of values of an earlier run wait in");
    store.start_again();
    let all: Vec<u32> = served.lock().expect("nobody panics")[..handled - 1].to_vec();
    wait_until("the values of the first run", || {
        let samples = store.samples("ganglia_m0{host=\"h0\"}");
        let values = samples.values().flatten().map(|(_, value)| *value as u32);
        let values: BTreeSet<u32> = values.collect();
        all.iter().all(|time| values.contains(time))
    });
    assert_eq!(gmetad.end().code(), Some(0));
}

#[test]
fn an_unwritable_backlog_dir_is_reported_and_values_are_kept_in_memory() {
    if !available(
        "an_unwritable_backlog_dir_is_reported_and_values_are_kept_in_memory",
        &["prometheus"],
    ) {
        return;
    }
    let mut store = Prometheus::start(" []\n");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").expect("our own folder");
    let section = format!("backlog_dir {}", file.display());
    let (source, served) = source();
    let gmetad = without_store(&mut store, folder.path(), &source, &section);
    let line = gmetad.wait_for_line("cannot be written");
    assert!(
        line.contains("values wait in memory, up to 128 MiB"),
        "{line}"
    );
    let health = get(gmetad.interactive(), "/healthz").text();
    assert!(
        health.contains("remote_write cannot write its backlog_dir"),
        "{health}"
    );
    source.wait_for_polls(2);
    store.start_again();
    let first = f64::from(served.lock().expect("nobody panics")[0]);
    wait_until("the first values in the store", || {
        let samples = store.samples("ganglia_m0{host=\"h0\"}");
        samples
            .values()
            .any(|it| it.iter().any(|(_, value)| *value == first))
    });
    assert_eq!(gmetad.end().code(), Some(0));
}
