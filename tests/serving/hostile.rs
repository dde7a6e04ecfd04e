//! Hostile sources through the real binary, all at once: each harms only itself.
//!
//! Hostile clients are in `serving`; what takes too long for real peers is in `simulation`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::peers::{FakeSource, Script, available, document};
use crate::support::{Gmetad, read, wait_for, wait_until};
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::tempdir;

/// The limit of memory for all of them together; one of their documents is many times as much.
const MOST_RESIDENT_KB: u64 = 200_000;

/// Seconds since the epoch.
fn epoch() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("it is after 1970").as_secs()
}

fn cluster(name: &str, localtime: u64, hosts: &[&str]) -> String {
    let mut text = format!("<CLUSTER NAME=\"{name}\" LOCALTIME=\"{localtime}\">\n");
    for host in hosts {
        let _ = writeln!(
            text,
            "<HOST NAME=\"{host}\" TN=\"1\" TMAX=\"20\"><METRIC NAME=\"m\" VAL=\"{localtime}\" \
             TYPE=\"uint32\" TN=\"1\" TMAX=\"60\" SLOPE=\"both\"/></HOST>"
        );
    }
    text + "</CLUSTER>\n"
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// Documents that are refused, by the name of their source, and what is said of each.
fn refused() -> Vec<(&'static str, Script, &'static str)> {
    let start = document("gmond", "");
    let start = &start[..start.len() - "</GANGLIA_XML>\n".len()];
    let bomb = [start, &vec![b' '; 64 << 20]].concat();
    let endless = [start, b"<CLUSTER NAME=\"", &vec![b'x'; 1 << 20]].concat();
    let clusters: String = (0..20_000)
        .map(|at| cluster(&at.to_string(), 1, &[]))
        .collect();
    let good = document("gmond", &cluster("broken", 1, &["h"]));
    vec![
        (
            "bomb",
            Script::Serve(gzipped(&bomb)),
            "rejected as a decompression bomb",
        ),
        ("endless", Script::Serve(endless), "without </GANGLIA_XML>"),
        (
            "deep",
            Script::Serve(document("gmetad", &"<GRID NAME=\"g\">".repeat(100))),
            "the nesting of elements at byte",
        ),
        (
            "clusters",
            Script::Serve(document("gmetad", &clusters)),
            "the number of clusters and grids at byte",
        ),
        (
            "broken",
            Script::Break(good[..good.len() - 30].to_vec()),
            "Connection reset by peer",
        ),
        ("silent", Script::Silent, "connected, but silent"),
    ]
}

/// Names that must stay plain text.
const NAMES: [&str; 8] = [
    "..",
    "",
    "../../../evil",
    "__SummaryInfo__",
    "a&#10;b\u{1}",
    "/etc/passwd",
    ".hidden",
    "a\0b",
];

fn resident_kb(gmetad: &Gmetad) -> u64 {
    let status = read(Path::new(&format!("/proc/{}/status", gmetad.pid())));
    let (_, rest) = status.split_once("VmHWM:").expect("Linux tells it");
    let number = rest.split_whitespace().next().expect("a number");
    number.parse().expect("a number")
}

/// How long the daemon's loop has worked.
fn work_seconds(gmetad: &Gmetad) -> f64 {
    let pid = gmetad.pid();
    let stat = read(Path::new(&format!("/proc/{pid}/task/{pid}/stat")));
    let (_, fields) = stat.rsplit_once(") ").expect("Linux tells it");
    let fields = fields.split(' ').skip(11).take(2);
    // In hundredths of a second.
    let ticks: f64 = fields.map(|it| it.parse::<f64>().expect("a number")).sum();
    ticks / 100.0
}

/// Everything below a folder that is no folder itself.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("our own folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn whatever_a_source_sends_the_others_are_polled_served_and_stored() {
    let refused = refused();
    let sources: Vec<_> = refused
        .iter()
        .map(|(name, script, _)| (*name, FakeSource::start(script.clone())))
        .collect();
    let long = "x".repeat(300);
    let names: Vec<&str> = NAMES.into_iter().chain([&*long]).collect();
    let strange = |name: &str| document("gmond", &cluster(name, epoch(), &names));
    let names = FakeSource::start(Script::Serve(strange("../names")));
    let good = FakeSource::start(Script::Serve(document(
        "gmond",
        &cluster("good", epoch(), &["h"]),
    )));
    let mut directives = format!(
        "data_source good 1 127.0.0.1:{}\ndata_source names 1 127.0.0.1:{}\n",
        good.port(),
        names.port()
    );
    for (name, source) in &sources {
        let _ = writeln!(
            directives,
            "data_source {name} 1 127.0.0.1:{}",
            source.port()
        );
    }
    let folder = tempdir().expect("a temporary folder");
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).expect("our own folder");
    let gmetad = Gmetad::start(&inside, &directives);
    for (name, _, what) in &refused {
        let line = gmetad.wait_for_line(&format!("source \"{name}\" is down"));
        assert!(line.contains(what), "{line}");
    }
    // The good source is still polled, stored and served.
    let version = epoch() + 1;
    good.script(Script::Serve(document(
        "gmond",
        &cluster("good", version, &["h"]),
    )));
    wait_until("the new version", || {
        let answer = gmetad.query("/good/h/m");
        answer.contains(&format!("VAL=\"{version}\""))
    });
    wait_until("its file", || inside.join("rrds/good/h/m.rrd").exists());
    // All hosts with strange names are there, and all files are where they belong.
    let hosts = NAMES.len() + 1;
    let answer = gmetad.query("/..%2Fnames");
    assert_eq!(answer.matches("<HOST NAME=").count(), hosts);
    let expected = hosts + 1;
    let stored = wait_for("the strange hosts' files", || {
        let all = files(&inside.join("rrds"));
        let strange = all
            .into_iter()
            .filter(|file| !file.starts_with(inside.join("rrds/good")));
        let theirs: Vec<_> = strange.filter(|it| it.ends_with("m.rrd")).collect();
        let own = theirs
            .iter()
            .filter(|it| !it.starts_with(inside.join("rrds/__SummaryInfo__")));
        (own.count() == expected).then_some(theirs)
    });
    let outside = files(folder.path())
        .into_iter()
        .filter(|it| !it.starts_with(&inside));
    assert_eq!(outside.count(), 0, "{stored:?}");
    let resident = resident_kb(&gmetad);
    assert!(resident < MOST_RESIDENT_KB, "{resident} kB");
    let worked = work_seconds(&gmetad);
    assert!(
        gmetad
            .query("/good?filter=summary")
            .contains("</GANGLIA_XML>")
    );
    // By the processor's time: the machine may have other things to do.
    assert!(work_seconds(&gmetad) < worked + 5.0, "and in time");
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn an_element_that_is_too_large_is_skipped_and_counted() {
    let metric = |name: &str, val: &str| {
        format!(
            "<METRIC NAME=\"{name}\" VAL=\"{val}\" TYPE=\"uint32\" TN=\"1\" TMAX=\"60\" SLOPE=\"both\"/>\n"
        )
    };
    let large = "7".repeat(100_000);
    let mut host = "<HOST NAME=\"h\" TN=\"1\" TMAX=\"20\">\n".to_owned();
    for at in 0..32 {
        host += &metric(&format!("m{at}"), "1");
        if at == 15 {
            host += &metric("large", &large);
        }
    }
    host += "</HOST>\n";
    let lost = format!(
        "<HOST NAME=\"lost\" TAGS=\"{large}\">{}</HOST>\n",
        metric("m", "1")
    );
    let hosts = host + &lost + "<HOST NAME=\"last\" TN=\"1\" TMAX=\"20\"></HOST>\n";
    let localtime = epoch();
    let xml = format!("<CLUSTER NAME=\"c\" LOCALTIME=\"{localtime}\">\n{hosts}</CLUSTER>\n");
    let source = FakeSource::start(Script::Serve(document("gmond", &xml)));
    let folder = tempdir().expect("a temporary folder");
    let directives = format!(
        "debug_level 4\ndata_source c 1 127.0.0.1:{}\n",
        source.port()
    );
    let gmetad = Gmetad::start(folder.path(), &directives);
    gmetad.wait_for_line("source \"c\": 2 malformed places in its document");
    let answer = wait_for("the document", || {
        let answer = gmetad.query("/c");
        answer.contains("<HOST NAME=\"h\"").then_some(answer)
    });
    assert_eq!(answer.matches("<METRIC NAME=").count(), 32, "{answer}");
    assert_eq!(answer.matches("<HOST NAME=").count(), 2, "{answer}");
    wait_until("a file for each metric", || {
        let host = folder.path().join("rrds/c/h");
        host.is_dir() && files(&host).len() == 32
    });
    assert!(!gmetad.log().contains("is down"), "{}", gmetad.log());
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn a_source_with_a_wrong_clock_is_stored_by_our_clock() {
    let name = "a_source_with_a_wrong_clock_is_stored_by_our_clock";
    if !available(name, &["rrdtool"]) {
        return;
    }
    let ahead = epoch() + 365 * 86_400;
    let source = FakeSource::start(Script::Serve(document(
        "gmond",
        &cluster("c", ahead, &["h"]),
    )));
    let folder = tempdir().expect("a temporary folder");
    let directives = format!("data_source c 1 127.0.0.1:{}\n", source.port());
    let gmetad = Gmetad::start(folder.path(), &directives);
    gmetad.wait_for_line("the clock of \"c\" is more than 5 minutes ahead");
    let right = epoch();
    source.script(Script::Serve(document(
        "gmond",
        &cluster("c", right + 1, &["h"]),
    )));
    gmetad.wait_for_line("the clock of \"c\" is right again");
    assert!(gmetad.end().success());
    let file = folder.path().join("rrds/c/h/m.rrd");
    let output = std::process::Command::new("rrdtool")
        .arg("lastupdate")
        .arg(&file)
        .output();
    let text = String::from_utf8_lossy(&output.expect("rrdtool").stdout).into_owned();
    let last = text
        .lines()
        .last()
        .and_then(|line| line.split_once(": "))
        .expect("an update");
    let last: u64 = last.0.parse().expect("a time");
    assert!(last <= epoch() + 2, "{last} has not come yet");
}
