//! Values that files or an rrdcached will not have: what is said and counted, and what goes on.
#![cfg(feature = "rrd")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::peers::{FakeSource, Script, available, document};
use crate::support::stores::{Rrdcached, ScriptedRrdcached};
use crate::support::{Gmetad, once_unlocked, wait_until};
use tempfile::{TempDir, tempdir};

const T0: u64 = 1_700_000_000;

/// A metric: its name, its slope and its value.
pub(super) type Metric<'a> = (&'a str, &'a str, &'a str);

const M: Metric<'_> = ("m", "both", "1.5");

/// A cluster of one host, as a gmond has it at that time.
pub(super) fn cluster(name: &str, time: u64, metrics: &[Metric<'_>]) -> String {
    let mut text = format!(
        "<CLUSTER NAME=\"{name}\" LOCALTIME=\"{time}\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n<HOST \
         NAME=\"h\" IP=\"127.0.0.1\" REPORTED=\"{time}\" TN=\"0\" TMAX=\"20\" DMAX=\"0\" \
         LOCATION=\"\" GMOND_STARTED=\"1\">\n"
    );
    for (name, slope, value) in metrics {
        let _ = write!(
            text,
            "<METRIC NAME=\"{name}\" VAL=\"{value}\" TYPE=\"double\" UNITS=\"\" TN=\"0\" \
             TMAX=\"60\" DMAX=\"0\" SLOPE=\"{slope}\" SOURCE=\"gmond\"/>"
        );
    }
    text + "</HOST>\n</CLUSTER>\n"
}

pub(super) fn epoch() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("it is after 1970").as_secs()
}

pub(super) fn serve(clusters: &str) -> Script {
    Script::Serve(document("gmond", clusters))
}

struct Rig {
    folder: TempDir,
    source: FakeSource,
    gmetad: Gmetad,
}

impl Rig {
    /// A gmetad that polls each second.
    fn start(clusters: &str, more: &str) -> Rig {
        Rig::start_in(tempdir().expect("a temporary folder"), clusters, more)
    }

    fn start_in(folder: TempDir, clusters: &str, more: &str) -> Rig {
        let source = FakeSource::start(serve(clusters));
        let directives = format!(
            "data_source \"s\" 1 127.0.0.1:{}\nRRAs \"RRA:AVERAGE:0.5:1:5000\"\n{more}\n",
            source.port()
        );
        let gmetad = Gmetad::start(folder.path(), &directives);
        Rig {
            folder,
            source,
            gmetad,
        }
    }

    fn file(&self, inside: &str) -> PathBuf {
        self.folder.path().join("rrds").join(inside)
    }

    fn serve(&self, clusters: &str) {
        self.source.script(serve(clusters));
    }

    /// What a page of the daemon's says.
    fn page(&self, path: &str) -> String {
        self.gmetad.query(&format!("GET {path} HTTP/1.0\r\n\r"))
    }

    /// One of the daemon's figures.
    fn figure(&self, name: &str) -> u64 {
        let page = self.page("/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        let value = line.unwrap_or_else(|| panic!("no {name} in\n{page}"));
        value.trim().parse().expect("a number")
    }

    fn lines_with(&self, part: &str) -> usize {
        let log = self.gmetad.log();
        log.lines().filter(|line| line.contains(part)).count()
    }
}

pub(super) fn rrdtool(arguments: &[&str]) -> String {
    let output = once_unlocked(Command::new("rrdtool").args(arguments));
    let output = output.expect("rrdtool starts");
    assert!(output.status.success(), "rrdtool {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(super) fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// A file's last update: its time and its first value.
pub(super) fn last(file: &Path) -> (u64, String) {
    let all = rrdtool(&["lastupdate", text(file)]);
    let (time, values) = all
        .trim()
        .rsplit_once('\n')
        .expect("a head")
        .1
        .split_once(": ")
        .expect("an update");
    let first = values.split(' ').next().expect("a value");
    (time.parse().expect("a time"), first.into())
}

#[test]
fn updates_that_rrdcached_refuses_block_nothing_and_recovery_is_logged() {
    const CLUSTERS: usize = 250;
    let rrdcached = ScriptedRrdcached::start();
    let last = format!("c{}", CLUSTERS - 1);
    // Each cluster's hosts are a batch, all of which is refused. If each cost a pause of half a
    // second, a round of them would take two minutes, longer than anything is waited for here.
    let names: Vec<String> = (0..CLUSTERS).map(|at| format!("c{at}")).collect();
    let clusters = |time: u64| -> String {
        let all = names.iter().map(|name| cluster(name, time, &[M]));
        all.collect()
    };
    rrdcached.refuse(&[("/h/m.rrd", "RRD Error: a test")]);
    let more = format!("rrdcached_address unix:{}", rrdcached.socket().display());
    let rig = Rig::start(&clusters(T0), &more);
    let has = |part: &str| rrdcached.taken().iter().any(|line| line.contains(part));
    for round in 0..3 {
        rig.serve(&clusters(T0 + round));
        wait_until("the last cluster's sums of that round to be taken", || {
            has(&format!("/{last}/__SummaryInfo__/m.rrd {}:", T0 + round))
        });
    }
    assert!(
        rrdcached.refused() >= 3 * CLUSTERS,
        "{}",
        rrdcached.refused()
    );
    let line = rig.gmetad.wait_for_line("refuses values");
    assert!(line.contains("refuses values: 1 of the last 1,"), "{line}");
    assert!(line.contains("RRD Error: a test"), "{line}");
    assert_eq!(
        rig.lines_with("accepts what it refused"),
        0,
        "while it does not"
    );
    assert_eq!(
        rig.figure("gmetad_output_refusing{plugin=\"rrdcached\"}"),
        CLUSTERS as u64
    );
    let health = rig.page("/healthz");
    assert!(health.starts_with("HTTP/1.0 503"), "{health}");
    assert!(
        health.contains(&format!(
            "rrdcached refuses {CLUSTERS} of the values it is sent"
        )),
        "{health}"
    );

    // One of them is not all of them.
    rrdcached.refuse(&[(&format!("{last}/h/m.rrd"), "RRD Error: a test")]);
    rig.serve(&clusters(T0 + 10));
    wait_until("the others to be taken", || {
        rig.figure("gmetad_output_refusing{plugin=\"rrdcached\"}") == 1
    });
    assert_eq!(rig.lines_with("accepts what it refused"), 0);
    rrdcached.refuse(&[]);
    rig.serve(&clusters(T0 + 20));
    rig.gmetad.wait_for_line("accepts what it refused, after");
    assert_eq!(rig.lines_with("refuses values"), 1);
    wait_until("all to be well", || {
        rig.page("/healthz").starts_with("HTTP/1.0 200")
    });
    assert!(rig.gmetad.end().success());
}

#[test]
fn files_that_a_real_rrdcached_refuses_affect_no_others() {
    let name = "files_that_a_real_rrdcached_refuses_affect_no_others";
    if !available(name, &["rrdcached", "rrdtool"]) {
        return;
    }
    let rrdcached = Rrdcached::start();
    let metrics = [M, ("folder", "both", "1"), ("short", "both", "2")];
    let more = format!("rrdcached_address unix:{}", rrdcached.socket().display());
    let rig = Rig::start(&cluster("c", T0, &metrics), &more);
    // Spoilt while it runs: before that, they would not be given to it.
    for name in ["folder", "short"] {
        let file = rig.file(&format!("c/h/{name}.rrd"));
        wait_until("rrdcached to have it", || rrdcached.forget(&file));
        fs::remove_file(&file).expect("it was made");
    }
    fs::create_dir(rig.file("c/h/folder.rrd")).expect("our own folder");
    fs::write(rig.file("c/h/short.rrd"), "hardly a file").expect("our own folder");
    for round in 1..4 {
        rig.serve(&cluster("c", T0 + round, &metrics));
        let file = rig.file("c/h/m.rrd");
        wait_until("the sound file's value", || {
            rrdcached.flush(&file) && last(&file).0 == T0 + round
        });
    }
    let line = rig.gmetad.wait_for_line("refuses values");
    assert!(line.contains("c/h/"), "it names a file: {line}");
    fs::remove_dir(rig.file("c/h/folder.rrd")).expect("it is empty");
    fs::remove_file(rig.file("c/h/short.rrd")).expect("it was not replaced");
    rig.serve(&cluster("c", T0 + 10, &metrics));
    for (name, value) in [("folder", "1"), ("short", "2")] {
        let file = rig.file(&format!("c/h/{name}.rrd"));
        wait_until("the value of what was mended", || {
            rrdcached.flush(&file) && last(&file) == (T0 + 10, value.into())
        });
    }
    assert!(rig.gmetad.end().success());
}

/// All of a file's rows from a time on, as rrdtool shows them.
fn rows(file: &Path, from: u64, until: u64) -> String {
    let (from, until) = (from.to_string(), until.to_string());
    rrdtool(&["fetch", text(file), "AVERAGE", "-s", &from, "-e", &until])
}

#[test]
fn a_changed_slope_leaves_the_file_as_it_is_directly_and_through_rrdcached() {
    const ROUNDS: u64 = 4;
    let name = "a_slope_that_changes_leaves_the_file_what_it_is";
    if !available(name, &["rrdcached", "rrdtool"]) {
        return;
    }
    // Each was something else at first: one a counter, one a gauge, one a derive.
    let before = [
        ("to_gauge", "positive", "100"),
        ("to_counter", "both", "100.5"),
        ("from_derive", "derivative", "100"),
    ];
    let after = |round: u64| {
        [
            ("to_gauge", "both", format!("{}.75", 100 + 10 * round)),
            ("to_counter", "positive", format!("{}.5", 100 - round)),
            ("from_derive", "both", format!("{}.25", 100 - 20 * round)),
        ]
    };
    let rrdcached = Rrdcached::start();
    let cached = format!("rrdcached_address unix:{}", rrdcached.socket().display());
    let stored = ["", &cached].map(|more| {
        let rig = Rig::start(&cluster("c", T0, &before), more);
        let reaches = |time: u64| {
            wait_until("the update", || {
                let names = before.map(|(name, ..)| name);
                names.iter().all(|name| {
                    let file = rig.file(&format!("c/h/{name}.rrd"));
                    let written = file.exists() && (more.is_empty() || rrdcached.flush(&file));
                    written && last(&file).0 == time
                })
            });
        };
        reaches(T0);
        for round in 1..=ROUNDS {
            let metrics = after(round);
            let metrics = metrics
                .each_ref()
                .map(|(name, slope, value)| (*name, *slope, value.as_str()));
            rig.serve(&cluster("c", T0 + round, &metrics));
            reaches(T0 + round);
        }
        let stored = before.map(|(name, ..)| {
            let file = rig.file(&format!("c/h/{name}.rrd"));
            rows(&file, T0, T0 + ROUNDS)
        });
        assert!(rig.gmetad.end().success());
        stored
    });
    assert_eq!(stored[0], stored[1]);
    let has = |rows: &str, value: &str, count: u64| {
        let all = rows.lines().filter(|line| line.ends_with(value));
        assert_eq!(all.count() as u64, count, "{value} in {rows}");
    };
    has(&stored[0][0], " 1.0000000000e+01", ROUNDS - 1);
    has(&stored[0][2], " -2.0000000000e+01", ROUNDS);
    assert!(
        stored[0][1].contains(" 9.8500000000e+01"),
        "{}",
        stored[0][1]
    );
}

const REFUSED: &str = "gmetad_rrd_skipped_values_total{reason=\"refused\"}";
const REPEATED: &str = "gmetad_rrd_skipped_values_total{reason=\"repeated\"}";
const REFUSING: &str = "gmetad_rrd_refusing_nodes";

/// A file of one gauge, with a value of that time.
pub(super) fn make_file(file: &Path, last: u64, sources: &[&str]) {
    fs::create_dir_all(file.parent().expect("a folder")).expect("our own folder");
    let start = (last - 10).to_string();
    let head = ["create", text(file), "--start", &start, "--step", "1"];
    let all = [&head[..], sources, &["RRA:AVERAGE:0.5:1:5000"]].concat();
    rrdtool(&all);
    let values = ":1".repeat(sources.len());
    rrdtool(&["update", text(file), &format!("{last}{values}")]);
}

/// How far a clock is ahead here. It is believed when it has stayed so for three documents.
const AHEAD: u64 = 280;

/// Serves a time that is right after one that was ahead, which is served already; then one later than
/// that.
fn a_clock_that_is_right_again_is_told(rig: &Rig, ahead: u64) {
    // Until it is believed, times are ours; then there is one that has not come.
    rig.source.wait_for_polls(5);
    wait_until("some repeats", || rig.figure(REPEATED) > 0);
    assert_eq!(rig.figure(REFUSED), 0);
    rig.serve(&cluster("c", ahead - AHEAD, &[M]));
    let line = rig.gmetad.wait_for_line("RRD files of \"c\" (");
    let (_, rest) = line
        .split_once("take no values for the next ")
        .expect("how long");
    let minutes = rest
        .split_once(" min")
        .and_then(|(minutes, _)| minutes.parse().ok());
    // What is left of the 280 s, on a machine that may be busy.
    assert!(
        minutes.is_some_and(|it: u32| (1..=4).contains(&it)),
        "{line}"
    );
    assert!(line.contains("/rrds/c away"), "what to do: {line}");
    for round in 1..3 {
        let before = rig.figure(REFUSED);
        rig.serve(&cluster("c", ahead - AHEAD + round, &[M]));
        wait_until("more to be refused", || rig.figure(REFUSED) > before + 1);
    }
    assert_eq!(rig.figure(REFUSING), 1);
    let health = rig.page("/healthz");
    assert!(health.starts_with("HTTP/1.0 503"), "{health}");
    assert!(
        health.contains("RRD files of 1 clusters or grids"),
        "{health}"
    );
    let status = rig.page("/status");
    assert!(status.contains("\"refusing\":1"), "{status}");
    rig.serve(&cluster("c", ahead + 10, &[M]));
    rig.gmetad
        .wait_for_line("RRD files of \"c\" take values again");
    wait_until("all to be well", || {
        rig.page("/healthz").starts_with("HTTP/1.0 200")
    });
    assert_eq!(rig.lines_with("take no values"), 1, "{}", rig.gmetad.log());
    assert_eq!(rig.lines_with("take values again"), 1);
}

#[test]
fn a_corrected_clock_that_was_ahead_is_reported_once_with_how_long_updates_are_refused() {
    let name = "a_clock_that_was_ahead_and_is_right_again_is_told";
    if !available(name, &["rrdtool"]) {
        return;
    }
    let ahead = epoch() + AHEAD;
    let rig = Rig::start(&cluster("c", ahead, &[M]), "");
    a_clock_that_is_right_again_is_told(&rig, ahead);
    wait_until("the last value", || {
        last(&rig.file("c/h/m.rrd")) == (ahead + 10, "1.5".into())
    });
    assert!(rig.gmetad.end().success());
}

#[test]
fn a_clock_that_was_ahead_is_reported_through_rrdcached_and_counted_as_not_written() {
    let name = "a_clock_that_was_ahead_is_told_through_rrdcached_too";
    if !available(name, &["rrdcached", "rrdtool"]) {
        return;
    }
    let ahead = epoch() + AHEAD;
    let rrdcached = Rrdcached::start();
    let folder = tempdir().expect("a temporary folder");
    let file = folder.path().join("rrds/c/h/m.rrd");
    // Nothing of it is known here: it is rrdcached that refuses.
    make_file(&file, ahead, &["DS:sum:GAUGE:8:U:U"]);
    let more = format!("rrdcached_address unix:{}", rrdcached.socket().display());
    let rig = Rig::start_in(folder, &cluster("c", ahead - AHEAD, &[M]), &more);
    let line = rig.gmetad.wait_for_line("RRD files of \"c\" (1 so far)");
    assert!(line.contains("take no values for the next"), "{line}");
    assert!(line.contains("restart rrdcached"), "{line}");
    let written = "gmetad_output_values_total{plugin=\"rrdcached\",result=\"written\"}";
    // The sums of the cluster and of everything are new files, and are taken.
    for round in 1..3 {
        let (before, refused) = (rig.figure(written), rig.figure(REFUSED));
        rig.serve(&cluster("c", ahead - AHEAD + round, &[M]));
        wait_until("it to be refused", || rig.figure(REFUSED) == refused + 1);
        wait_until("the sum to be taken", || rig.figure(written) > before);
    }
    rig.serve(&cluster("c", ahead + 10, &[M]));
    rig.gmetad
        .wait_for_line("RRD files of \"c\" take values again");
    wait_until("the last value", || {
        rrdcached.flush(&file) && last(&file) == (ahead + 10, "1.5".into())
    });
    assert_eq!(rig.lines_with("take no values"), 1);
    assert!(rig.gmetad.end().success());
}

#[test]
fn a_clock_that_was_ahead_is_reported_with_a_write_cache() {
    let name = "a_clock_that_was_ahead_is_reported_with_a_write_cache";
    if !available(name, &["rrdtool"]) {
        return;
    }
    let ahead = epoch() + AHEAD;
    let held = "rrd {\n write_timeout 300\n}";
    let rig = Rig::start(&cluster("c", ahead, &[M]), held);
    a_clock_that_is_right_again_is_told(&rig, ahead);
    let file = rig.file("c/h/m.rrd");
    assert!(rig.gmetad.end().success());
    assert_eq!(last(&file), (ahead + 10, "1.5".into()));
}

#[test]
fn files_ten_years_ahead_are_reported_at_start_and_can_be_moved_away() {
    let name = "files_that_are_ten_years_ahead_are_told_at_a_start";
    if !available(name, &["rrdtool"]) {
        return;
    }
    // With and without a cache, which at a start knows nothing of the files.
    for more in ["", "rrd {\n write_timeout 1\n write_jitter 0\n}"] {
        let ahead = epoch() + 3650 * 86_400;
        let folder = tempdir().expect("a temporary folder");
        let root = folder.path().join("rrds");
        let sums = ["DS:sum:GAUGE:8:U:U", "DS:num:GAUGE:8:U:U"];
        make_file(&root.join("c/h/m.rrd"), ahead, &sums[..1]);
        make_file(&root.join("__SummaryInfo__/m.rrd"), ahead, &sums);
        let rig = Rig::start_in(folder, &cluster("c", epoch(), &[M]), more);
        let mut round = 0;
        for files in ["of \"c\" (", "of the sums of everything ("] {
            wait_until("the line", || {
                round += 1;
                rig.serve(&cluster("c", epoch() + round / 100, &[M]));
                rig.lines_with(&format!("RRD files {files}")) == 1
            });
        }
        let line = rig.gmetad.wait_for_line("of the sums of everything");
        assert!(
            line.contains("3649 d 23 h") || line.contains("3650 d"),
            "{line}"
        );
        assert!(line.contains("this machine's clock"), "{line}");
        for file in ["c/h/m.rrd", "__SummaryInfo__/m.rrd"] {
            fs::rename(rig.file(file), rig.file("moved")).expect("one folder");
        }
        wait_until("both to be taken again", || {
            rig.serve(&cluster("c", epoch(), &[M]));
            rig.lines_with("take values again") == 2
        });
        assert_eq!(rig.figure(REFUSING), 0);
        // What is taken into the cache is in a file a little later.
        let file = rig.file("c/h/m.rrd");
        wait_until("the new file", || file.exists());
        assert!(last(&file).0.abs_diff(epoch()) < 60);
        assert!(rig.gmetad.end().success());
    }
}

#[test]
fn a_clock_far_behind_is_reported_like_one_far_ahead() {
    let rig = Rig::start(&cluster("c", epoch() - 3650 * 86_400, &[M]), "");
    rig.gmetad
        .wait_for_line("the clock of \"c\" is more than 24 hours behind");
    rig.serve(&cluster("c", epoch(), &[M]));
    rig.gmetad
        .wait_for_line("the clock of \"c\" is right again");
    assert_eq!(rig.lines_with("hours behind"), 1);
    assert!(rig.gmetad.end().success());
}
