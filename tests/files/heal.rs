//! Files that a clock has written ahead: cut by the real binary, read and written by rrdtool.
#![cfg(feature = "rrd")]

use std::ops::Range;
use std::path::Path;
use std::process::Output;

use crate::rrd_refused::{epoch, last, make_file, rrdtool, text};
use crate::support::clock::SetClock;
use crate::support::peers::{FakeSource, Script, available, document};
use crate::support::{Gmetad, configure, gmetad, wait_until};
use gmetad_rrd::journal_samples;
use nix::sys::signal::Signal;
use tempfile::tempdir;

/// How far the clock was ahead: half an hour short of 30 days, so that it reads "29 d 23 h" however
/// long the test takes.
const AHEAD: u64 = 30 * 86_400 - 1_800;

fn heal(conf: &Path, places: &[&Path]) -> Output {
    let output = gmetad()
        .arg("--heal-rrds")
        .arg("-c")
        .arg(conf)
        .args(places)
        .output();
    output.expect("it is built")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Gives a file values of each of these seconds.
fn update(file: &Path, times: Range<u64>, values: impl Fn(u64) -> String) {
    let updates: Vec<String> = times
        .map(|time| format!("{time}:{}", values(time)))
        .collect();
    let mut words = vec!["update", text(file)];
    words.extend(updates.iter().map(String::as_str));
    rrdtool(&words);
}

/// Rows of a file, as rrdtool shows them.
fn rows(file: &Path, from: u64, until: u64) -> String {
    let (from, until) = (from.to_string(), until.to_string());
    rrdtool(&["fetch", text(file), "AVERAGE", "-s", &from, "-e", &until])
}

#[test]
fn files_that_are_a_month_ahead_are_reported_healed_and_updated_again() {
    let name = "files_that_are_a_month_ahead_are_reported_healed_and_updated_again";
    if !available(name, &["rrdtool"]) {
        return;
    }
    let folder = tempdir().expect("a temporary folder");
    let root = folder.path().join("rrds");
    let file = root.join("__SummaryInfo__/m.rrd");
    let sound = root.join("c/h/other.rrd");
    let sums = ["DS:sum:GAUGE:80:U:U", "DS:num:GAUGE:80:U:U"];
    let now = epoch();
    make_file(&sound, now - 100, &sums[..1]);
    let untouched = std::fs::read(&sound).expect("it was made");
    make_file(&file, now - 200, &sums);
    update(&file, (now - 199)..(now - 100), |time| {
        format!("{}:1", time % 10)
    });
    let before = rows(&file, now - 198, now - 102);
    assert!(
        before.contains("5.0000000000e+00 1.0000000000e+00"),
        "{before}"
    );
    // A jump of a minute ahead shows that rows before now stay; one of a month is over it.
    rrdtool(&["update", text(&file), &format!("{}:7:1", now + 60)]);
    rrdtool(&["update", text(&file), &format!("{}:8:1", now + AHEAD)]);
    rrdtool(&["update", text(&file), &format!("{}:9:1", now + AHEAD + 1)]);
    let source = FakeSource::start(Script::Serve(document(
        "gmond",
        "<CLUSTER NAME=\"c\" LOCALTIME=\"0\"><HOST NAME=\"h\" TN=\"1\" TMAX=\"20\"><METRIC NAME=\"m\" \
         VAL=\"3\" TYPE=\"int32\" SLOPE=\"both\"/></HOST></CLUSTER>",
    )));
    let directives = format!("data_source s 1 127.0.0.1:{}\n", source.port());
    let gmetad = Gmetad::start(folder.path(), &directives);
    let line = gmetad.wait_for_line("RRD files of the sums of everything (");
    assert!(line.contains("gmetad --heal-rrds cuts"), "{line}");
    assert!(line.contains("this machine's clock was ahead"), "{line}");

    // Not while it runs: it has the ports.
    let ports = format!(
        "{directives}xml_port {}\ninteractive_port {}\n",
        gmetad.xml().port(),
        gmetad.interactive().port()
    );
    let elsewhere = tempdir().expect("a temporary folder");
    let conf = configure(elsewhere.path(), &ports);
    let output = heal(&conf, &[&file]);
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    assert!(
        said(&output).contains("cannot be listened on"),
        "{}",
        said(&output)
    );
    assert!(last(&file).0 > now + AHEAD);
    assert!(gmetad.end().success());

    let conf = configure(folder.path(), &directives);
    let output = heal(&conf, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let text = said(&output);
    assert!(
        text.contains("healed: 1 files, up to 29 d 23 h ahead"),
        "{text}"
    );
    assert!(text.contains("failed: 0"), "{text}");
    assert!(last(&file).0 < epoch());
    assert_eq!(std::fs::read(&sound).expect("still there"), untouched);
    let output = heal(&conf, &[&root, Path::new("/nonexistent")]);
    assert_eq!(output.status.code(), Some(74), "{}", said(&output));
    assert!(
        said(&output).contains("/nonexistent: "),
        "{}",
        said(&output)
    );

    let gmetad = Gmetad::start(folder.path(), &directives);
    wait_until("a sum of now", || last(&file).1.parse() == Ok(3.0));
    assert!(gmetad.end().success());
}

#[test]
fn healing_keeps_rows_before_now_and_rrdtool_updates_a_healed_file() {
    let name = "healing_keeps_rows_before_now_and_rrdtool_updates_a_healed_file";
    if !available(name, &["rrdtool"]) {
        return;
    }
    let folder = tempdir().expect("a temporary folder");
    let conf = configure(folder.path(), "");
    let file = folder.path().join("m.rrd");
    let now = epoch();
    make_file(&file, now - 200, &["DS:sum:GAUGE:500:U:U"]);
    for times in [(now - 199)..(now - 20), (now + 200)..(now + 260)] {
        update(&file, times, |time| (time % 10).to_string());
    }
    let before = rows(&file, now - 198, now - 2);
    assert!(
        !before.lines().skip(2).any(|line| line.contains("nan")),
        "{before}"
    );
    let output = heal(&conf, &[&file]);
    assert!(
        said(&output).contains("healed: 1 files"),
        "{}",
        said(&output)
    );
    assert_eq!(rows(&file, now - 198, now - 2), before);
    let ahead = rows(&file, epoch(), now + 260);
    let known = ahead.lines().skip(2).filter(|line| !line.contains("nan"));
    assert_eq!(known.count(), 0, "{ahead}");
    let time = epoch();
    rrdtool(&["update", text(&file), &format!("{time}:42")]);
    assert_eq!(last(&file), (time, "42".into()));
}

#[test]
fn values_ahead_of_now_are_not_replayed_from_a_journal() {
    let name = "values_ahead_of_now_are_not_replayed_from_a_journal";
    let folder = tempdir().expect("a temporary folder");
    let Some(clock) = SetClock::new(name, folder.path()) else {
        return;
    };
    // Half an hour ahead.
    clock.set(1800);
    let source = FakeSource::start(Script::Serve(document(
        "gmond",
        "<CLUSTER NAME=\"c\" LOCALTIME=\"0\"><HOST NAME=\"h\" TN=\"1\" TMAX=\"20\"><METRIC NAME=\"m\" \
         VAL=\"3\" TYPE=\"int32\" SLOPE=\"both\"/></HOST></CLUSTER>",
    )));
    let journal = folder.path().join("journal");
    let directives = format!(
        "data_source s 1 127.0.0.1:{}\nrrd {{\n journal_dir \"{}\"\n write_timeout 3000\n}}\n",
        source.port(),
        journal.display()
    );
    let mut gmetad = Gmetad::start_in(folder.path(), &directives, &[], &clock.environment());
    let journaled = || {
        let entries = std::fs::read_dir(&journal).into_iter().flatten();
        let segments = entries.filter_map(|it| std::fs::read(it.ok()?.path()).ok());
        let samples = segments.flat_map(|it| journal_samples(&it));
        samples.map(|it| u64::from(it.time)).collect::<Vec<_>>()
    };
    wait_until("values of half an hour ahead", || {
        journaled().iter().any(|time| *time > epoch() + 600)
    });
    gmetad.signal(Signal::SIGKILL);
    gmetad.wait();
    let count = journaled().len();
    let conf = configure(folder.path(), &directives);
    let output = heal(&conf, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let text = said(&output);
    let taken = format!("values taken out of the journal: {count}");
    assert!(text.contains(&taken), "{count}: {text}");
    assert!(journaled().is_empty());
}
