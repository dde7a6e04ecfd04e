//! A source that names another's cluster and hosts, through the real binary: it spoils nothing.
#![cfg(feature = "rrd")]

use std::path::Path;

use crate::rrd_refused::{cluster, epoch, last, serve};
use crate::support::peers::{FakeSource, Script, available, document};
use crate::support::web::get;
use crate::support::{Gmetad, configure, wait_until};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::tempdir;

/// A cluster as a gmond has it now, by a clock that is so far ahead; its host's value is the same
/// number.
fn by_a_clock<const AHEAD: u64>(now: u64) -> Vec<u8> {
    let value = AHEAD.to_string();
    document(
        "gmond",
        &cluster("c", now + AHEAD, &[("m", "both", &value)]),
    )
}

fn source(name: &str, source: &FakeSource) -> String {
    format!("data_source {name} 1 127.0.0.1:{}\n", source.port())
}

/// A source's entry in /status.
fn status(gmetad: &Gmetad, name: &str) -> Value {
    let status = get(gmetad.interactive(), "/status").json();
    let sources = status["sources"].as_array().expect("a list");
    let found = sources.iter().find(|it| it["name"] == name);
    found.expect("a source of that name").clone()
}

/// Waits until the file has a value of after that time, and returns its time and value.
fn later(file: &Path, after: u64) -> (u64, String) {
    wait_until("a newer value", || file.exists() && last(file).0 > after);
    last(file)
}

#[test]
fn a_source_that_names_another_sources_cluster_damages_none_of_its_files() {
    let name = "a_source_that_names_another_sources_cluster_damages_none_of_its_files";
    if !available(name, &["rrdtool"]) {
        return;
    }
    // As far ahead as is believed, and nearly a day.
    for by_another in [by_a_clock::<290>, by_a_clock::<82_800>] {
        let folder = tempdir().expect("a temporary folder");
        let mine = FakeSource::start(Script::Clock(by_a_clock::<0>));
        let other = FakeSource::start(Script::Close);
        let directives = source("mine", &mine) + &source("other", &other);
        let gmetad = Gmetad::start(folder.path(), &directives);
        let files = ["c/h/m.rrd", "c/__SummaryInfo__/m.rrd"];
        let files = files.map(|file| folder.path().join("rrds").join(file));
        later(&files[0], 0);
        other.script(Script::Clock(by_another));
        let line = gmetad.wait_for_line("brings what another source brought first");
        assert!(line.contains("source \"other\""), "{line}");
        assert!(line.contains("1 in all, such as \"h\" of \"c\""), "{line}");
        assert!(line.contains("stays with source \"mine\""), "{line}");
        // More documents than it takes until a clock is believed.
        for _ in 0..2 {
            other.wait_for_polls(3);
            for file in &files {
                let (time, value) = later(file, epoch() - 1);
                assert!(time <= epoch() + 2, "{time} has not come");
                assert_eq!(value.parse::<f64>().ok(), Some(0.0), "{}", file.display());
            }
        }
        let health = get(gmetad.interactive(), "/healthz");
        assert_eq!(health.code, 200, "{}", health.text());
        let log = gmetad.log();
        assert_eq!(log.matches("brought first").count(), 1, "{log}");
        assert!(!log.contains("take no values"), "{log}");

        // The other takes over, and gives the files back as they were.
        mine.script(Script::Close);
        gmetad.wait_for_line("source \"mine\" is down");
        wait_until("the other's value", || last(&files[0]).1 != "0");
        other.wait_for_polls(4);
        mine.script(Script::Clock(by_a_clock::<0>));
        for file in &files {
            wait_until("mine again", || last(file).1.parse() == Ok(0.0));
            assert!(last(file).0 <= epoch() + 2);
        }
        assert!(gmetad.end().success());
    }
}

#[test]
fn a_cluster_reserved_for_one_source_is_ignored_from_all_others() {
    let folder = tempdir().expect("a temporary folder");
    let both = cluster("c", epoch(), &[("m", "both", "666")])
        + &cluster("of its own", epoch(), &[("m", "both", "1")]);
    let other = FakeSource::start(serve(&both));
    let mine = FakeSource::start(Script::Close);
    let sources = source("mine", &mine) + &source("other", &other);
    let reserved = format!("{sources}source_clusters mine c d\n");
    let gmetad = Gmetad::start(folder.path(), &reserved);
    let line = gmetad.wait_for_line("may be brought by others only");
    assert!(line.contains("source \"other\": 1 of its"), "{line}");
    assert!(line.contains("such as \"c\""), "{line}");
    other.wait_for_polls(3);
    assert_eq!(status(&gmetad, "other")["left_out"], 1);
    let shown = gmetad.query("/");
    assert!(shown.contains("NAME=\"of its own\""), "{shown}");
    assert!(!shown.contains("666"), "{shown}");
    mine.script(serve(&cluster("c", epoch(), &[("m", "both", "5")])));
    wait_until("its source's", || gmetad.query("/c").contains("VAL=\"5\""));
    assert_eq!(status(&gmetad, "mine")["left_out"], 0);
    assert!(!gmetad.log().contains("brought first"), "{}", gmetad.log());

    // It is no longer reserved, at a reload.
    configure(folder.path(), &sources);
    gmetad.signal(Signal::SIGHUP);
    gmetad.wait_for_line("nothing that only others may bring is in its document any more");
    assert_eq!(status(&gmetad, "other")["left_out"], 0);
    assert_eq!(
        gmetad
            .log()
            .matches("may be brought by others only")
            .count(),
        1
    );
    assert!(gmetad.end().success());
}
