//! The real binary beside a C gmetad, both sending the same source to the same servers; and what it
//! logs about a server that is away.
//!
//! The source always serves the same document, so every value and time stamp can be compared.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::rig::{PLAIN, now};
use crate::support::peers::{CGmetad, FakeSource, Script, available};
use crate::support::stores::{Carbon, Points, Rrdcached};
use crate::support::{Gmetad, once_unlocked, wait_for, wait_until};

/// The plain document of now, by a name that C gmetad can send to anyone.
fn source() -> FakeSource {
    let xml = PLAIN
        .replace("1795367147", &now().to_string())
        .replace("Bench A", "bench")
        .replace("NAME=\"localhost\"", "NAME=\"node1.example.org\"");
    FakeSource::start(Script::Serve(xml.into_bytes()))
}

fn ours(source: &FakeSource, more: &str) -> String {
    format!("data_source \"s\" 5 127.0.0.1:{}\n{more}\n", source.port())
}

/// How many values were sent to a server, by the status page.
fn count(gmetad: &Gmetad, server: &str) -> u64 {
    let page = gmetad.query("/status");
    let start = format!("\"{server}\":{{\"num\":");
    let (_, rest) = page.split_once(&start).expect("it is in the status");
    let (number, _) = rest.split_once(',').expect("more follows");
    number.parse().expect("a number")
}

#[test]
fn carbon_gets_the_same_from_both() {
    if !available(
        "carbon_gets_the_same_from_both",
        &["gmetad", "carbon-cache"],
    ) {
        return;
    }
    let carbon = Carbon::start();
    let source = source();
    for protocol in ["tcp", "udp"] {
        let directives = |prefix: &str| {
            let port = carbon.port();
            format!(
                "carbon_server 127.0.0.1\ncarbon_port {port}\ncarbon_protocol {protocol}\n\
                 graphite_prefix \"{prefix}{protocol}\"\ngraphite_path \"x.%s.%h.y.%m\"\n\
                 write_rrds off"
            )
        };
        let c = CGmetad::start("G", &[("s", 5, source.port())], &directives("c"));
        let folder = tempfile::tempdir().expect("the system has room for a folder");
        let gmetad = Gmetad::start(folder.path(), &ours(&source, &directives("rust")));
        let points = |prefix: &str| carbon.points(&format!("{prefix}{protocol}."));
        let theirs: BTreeMap<String, Points> = wait_for("all of C gmetad's in carbon", || {
            let points = points("c");
            let full = points.len() == 28 && points.values().all(|it| it.len() == 1);
            full.then_some(points)
        });
        assert!(theirs.contains_key("x.bench.node1_example_org.y.load_one"));
        wait_until("the same of ours", || points("rust") == theirs);
        let sent = count(&gmetad, "graphite");
        assert!(sent >= 28 && sent.is_multiple_of(28), "{sent}");
        assert!(gmetad.end().success());
        drop(c);
    }
}

#[test]
fn rrdcached_gets_the_same_from_both() {
    let programs = ["gmetad", "rrdcached", "rrdtool"];
    if !available("rrdcached_gets_the_same_from_both", &programs) {
        return;
    }
    let rrdcached = Rrdcached::start();
    let source = source();
    let address = format!("rrdcached_address 127.0.0.1:{}", rrdcached.port());
    let c = CGmetad::start("G", &[("s", 5, source.port())], &address);
    let folder = tempfile::tempdir().expect("the system has room for a folder");
    let gmetad = Gmetad::start(folder.path(), &ours(&source, &address));
    let our_root = folder.path().join("rrds");
    let lastupdate = |root: &Path, metric: &str| {
        let file = root.join(format!("bench/node1.example.org/{metric}.rrd"));
        if !rrdcached.flush(&file) {
            return None;
        }
        let output = once_unlocked(Command::new("rrdtool").arg("lastupdate").arg(&file));
        let text = String::from_utf8_lossy(&output.ok()?.stdout).into_owned();
        // A new file has a time and no value.
        (!text.contains(": U")).then_some(text)
    };
    for metric in ["load_one", "cpu_num", "mem_total", "bytes_in", "proc_run"] {
        let theirs = wait_for(&format!("C gmetad's {metric}"), || {
            lastupdate(&c.rrd_root(), metric)
        });
        wait_until(&format!("the same {metric} of ours"), || {
            lastupdate(&our_root, metric).as_ref() == Some(&theirs)
        });
    }
    assert!(count(&gmetad, "rrdcached") >= 56);
    assert_eq!(count(&gmetad, "rrdtool"), 0);
    assert!(gmetad.end().success());
}

#[test]
fn an_outage_of_a_server_is_two_log_lines_and_delays_no_answer() {
    if !available(
        "an_outage_of_a_server_is_two_log_lines_and_delays_no_answer",
        &["carbon-cache"],
    ) {
        return;
    }
    let mut carbon = Carbon::start();
    let source = source();
    let folder = tempfile::tempdir().expect("the system has room for a folder");
    let directives = format!(
        "data_source \"s\" 1 127.0.0.1:{}\ncarbon_server localhost\ncarbon_port {}\n",
        source.port(),
        carbon.port()
    );
    let gmetad = Gmetad::start(folder.path(), &directives);
    wait_until("values in carbon", || carbon.points("bench.").len() == 28);
    carbon.kill();
    gmetad.wait_for_line("carbon localhost:");
    source.wait_for_polls(3);
    let rrd = folder
        .path()
        .join("rrds/bench/node1.example.org/load_one.rrd");
    assert!(rrd.is_file(), "others have theirs");
    assert!(gmetad.document().contains("node1.example.org"));
    carbon.start_again();
    gmetad.wait_for_line("takes values again");
    let log = gmetad.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("carbon")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(gmetad.end().success());
}
