//! Updates given to an rrdcached, and what it writes to disk.
//!
//! rrdcached is configured to hold everything back: values in a file that it was not told to flush
//! did not come through it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gmetad_config::{Config, RrdcachedAddress};
use tempfile::TempDir;

use crate::rig::{AT_ONCE, PLAIN, Plugins, config, now, on, plain_at};
use crate::support::peers::available;
use crate::support::stores::Rrdcached;
use crate::support::wait_until;

/// Host metrics and sums of the plain document.
const FILES: u64 = 2 * 28;

const STEP: u32 = 15;

fn to_rrdcached(address: RrdcachedAddress) -> (TempDir, Config) {
    let root = tempfile::tempdir().expect("the system has room for a folder");
    let mut config = config();
    config.rrd.write = true;
    config.rrd.rootdir = root.path().to_path_buf();
    config.exports.rrdcached = Some(address);
    (root, config)
}

fn rrdtool(words: &[&str], file: &Path, more: &[&str]) -> String {
    let output = Command::new("rrdtool")
        .args(words)
        .arg(file)
        .args(more)
        .output()
        .expect("rrdtool starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{words:?} {}", file.display());
    text
}

/// The first value of each row with one.
fn rows(file: &Path, from: u32) -> BTreeMap<u32, f64> {
    let from = from.to_string();
    let text = rrdtool(&["fetch"], file, &["AVERAGE", "-s", &from, "-e", "now"]);
    text.lines()
        .filter_map(|line| {
            let (time, values) = line.split_once(": ")?;
            let value: f64 = values.split(' ').next()?.parse().ok()?;
            Some((time.parse().ok()?, value)).filter(|_| value.is_finite())
        })
        .collect()
}

fn last(file: &Path) -> u32 {
    let text = rrdtool(&["last"], file, &[]);
    text.trim().parse().expect("a time")
}

/// A time some minutes ago at which a row ends.
fn start_time() -> u32 {
    (now() / STEP - 20) * STEP
}

/// Rows that updates with this value leave, which come each step from `start` on.
fn expected(start: u32, updates: u32, value: f64) -> BTreeMap<u32, f64> {
    // The first row lies almost wholly before the file's start.
    (1..updates).map(|at| (start + at * STEP, value)).collect()
}

fn load_one(root: &Path) -> [PathBuf; 2] {
    let of = |folder: &str| root.join("Bench A").join(folder).join("load_one.rrd");
    [of("localhost"), of("__SummaryInfo__")]
}

fn value_of(metric: &str) -> f64 {
    let (_, rest) = PLAIN
        .split_once(&format!("NAME=\"{metric}\" VAL=\""))
        .expect("it is there");
    let (value, _) = rest.split_once('"').expect("its end");
    value.parse().expect("a number")
}

#[track_caller]
fn wait_for_sent(plugins: &Plugins, sent: u64) {
    wait_until("rrdcached to take it", || {
        plugins.status("rrdcached").sent == sent
    });
}

#[test]
fn rrdcached_gets_every_update_by_socket_and_by_port() {
    if !available(
        "rrdcached_gets_every_update_by_socket_and_by_port",
        &["rrdcached", "rrdtool"],
    ) {
        return;
    }
    let rrdcached = Rrdcached::start();
    for address in [
        RrdcachedAddress::Unix(rrdcached.socket()),
        RrdcachedAddress::Tcp(on(rrdcached.port())),
    ] {
        let (root, config) = to_rrdcached(address);
        let mut plugins = Plugins::start(&config);
        let start = start_time();
        for at in 0..4 {
            plugins.poll(&plain_at(start + at * STEP));
        }
        wait_for_sent(&plugins, 4 * FILES);
        for file in load_one(root.path()) {
            assert_eq!(last(&file), start - 1, "nothing is in the file yet");
            assert!(rrdcached.flush(&file));
            assert_eq!(rows(&file, start), expected(start, 4, value_of("load_one")));
        }
        let status = plugins.status("rrdcached");
        assert_eq!((status.failed, status.dropped), (0, 0));
        assert_eq!(plugins.0.rrd().created, FILES);
        plugins.end();
    }
}

#[test]
fn names_with_spaces_slashes_and_backslashes_reach_rrdcached() {
    if !available(
        "names_with_spaces_slashes_and_backslashes_reach_rrdcached",
        &["rrdcached", "rrdtool"],
    ) {
        return;
    }
    let rrdcached = Rrdcached::start();
    let (root, config) = to_rrdcached(RrdcachedAddress::Unix(rrdcached.socket()));
    let mut plugins = Plugins::start(&config);
    let start = start_time();
    for at in 0..3 {
        let xml = plain_at(start + at * STEP).replace("NAME=\"load_one\"", "NAME=\"a b/c\\d  e\"");
        plugins.poll(&xml);
    }
    wait_for_sent(&plugins, 3 * FILES);
    assert_eq!(plugins.status("rrdcached").failed, 0);
    let file = root.path().join("Bench A/localhost/a b%2Fc\\d  e.rrd");
    assert!(rrdcached.flush(&file));
    assert_eq!(rows(&file, start), expected(start, 3, value_of("load_one")));
    plugins.end();
}

#[test]
fn rrdcached_has_every_update_after_it_was_killed_and_restarted() {
    if !available(
        "rrdcached_has_every_update_after_it_was_killed_and_restarted",
        &["rrdcached", "rrdtool"],
    ) {
        return;
    }
    // It does not run yet.
    let mut rrdcached = Rrdcached::absent();
    let (root, config) = to_rrdcached(RrdcachedAddress::Unix(rrdcached.socket()));
    let mut plugins = Plugins::start(&config);
    let start = start_time();
    plugins.poll(&plain_at(start));
    wait_until("the failure to be seen", || {
        plugins.status("rrdcached").failing
    });
    assert_eq!(plugins.0.rrd().created, FILES, "files are made without it");
    rrdcached.start_again();
    wait_for_sent(&plugins, FILES);
    plugins.poll(&plain_at(start + STEP));
    wait_for_sent(&plugins, 2 * FILES);
    rrdcached.kill();
    for at in 2..5 {
        let took = plugins.poll(&plain_at(start + at * STEP));
        assert!(took < AT_ONCE, "{took:?}");
    }
    rrdcached.start_again();
    wait_for_sent(&plugins, 5 * FILES);
    for file in load_one(root.path()) {
        assert!(rrdcached.flush(&file));
        assert_eq!(rows(&file, start), expected(start, 5, value_of("load_one")));
    }
    let status = plugins.status("rrdcached");
    assert_eq!((status.failed, status.dropped), (0, 0));
    plugins.end();
}

#[test]
fn a_removed_file_is_created_again_once_rrdcached_has_missed_it() {
    if !available(
        "a_removed_file_is_created_again_once_rrdcached_has_missed_it",
        &["rrdcached", "rrdtool"],
    ) {
        return;
    }
    let rrdcached = Rrdcached::start();
    let (root, config) = to_rrdcached(RrdcachedAddress::Unix(rrdcached.socket()));
    let mut plugins = Plugins::start(&config);
    let start = start_time();
    plugins.poll(&plain_at(start));
    wait_for_sent(&plugins, FILES);
    let [file, _] = load_one(root.path());
    assert!(rrdcached.forget(&file));
    fs::remove_file(&file).expect("it was made");
    plugins.poll(&plain_at(start + STEP));
    wait_until("rrdcached to miss it", || {
        plugins.status("rrdcached").failed == 1
    });
    for at in 2..5 {
        plugins.poll(&plain_at(start + at * STEP));
    }
    wait_for_sent(&plugins, 5 * FILES - 1);
    assert!(rrdcached.flush(&file));
    let begin = start + 2 * STEP;
    assert_eq!(rows(&file, begin), expected(begin, 3, value_of("load_one")));
    plugins.end();
}

#[test]
fn a_counter_of_an_old_file_gets_integers() {
    if !available(
        "a_counter_of_an_old_file_gets_integers",
        &["rrdcached", "rrdtool"],
    ) {
        return;
    }
    let rrdcached = Rrdcached::start();
    let (root, config) = to_rrdcached(RrdcachedAddress::Unix(rrdcached.socket()));
    let [file, _] = load_one(root.path());
    fs::create_dir_all(file.parent().expect("a folder")).expect("our own folder");
    let start = start_time();
    let before = (start - 1).to_string();
    let head = ["create"];
    let definitions = [
        "--start",
        &before,
        "--step",
        "15",
        "DS:sum:DERIVE:120:U:U",
        "RRA:AVERAGE:0.5:1:100",
    ];
    rrdtool(&head, &file, &definitions);
    let mut plugins = Plugins::start(&config);
    for at in 0..3 {
        plugins.poll(&plain_at(start + at * STEP));
    }
    wait_for_sent(&plugins, 3 * FILES);
    assert!(rrdcached.flush(&file));
    assert_eq!(last(&file), start + 2 * STEP);
    assert_eq!(rows(&file, start), expected(start, 3, 0.0));
    plugins.end();
}
