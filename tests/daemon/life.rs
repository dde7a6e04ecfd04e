//! What the log says of the daemon's life, at every level: start, sources, reload, end.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::peers::{FakeSource, Script, document};
use crate::support::{Gmetad, configure, read, wait_until};
use nix::sys::signal::Signal;

/// A cluster whose clock is right: a wrong one would be a line of its own.
fn cluster() -> Script {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let cluster = format!(
        "<CLUSTER NAME=\"c\" LOCALTIME=\"{}\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n</CLUSTER>\n",
        now.as_secs()
    );
    Script::Serve(document("gmond", &cluster))
}

fn directives(folder: &Path, source: &FakeSource, level: u8, more: &str) -> String {
    format!(
        "data_source \"s\" 1 127.0.0.1:{}\ndebug_level {level}\nlogfile \"{}\"\n{more}",
        source.port(),
        folder.join("log").display()
    )
}

/// What stands in the log, without times.
fn lines(folder: &Path) -> Vec<String> {
    let text = read(&folder.join("log"));
    let without_time = |line: &str| line.split_once(' ').map(|(_, rest)| rest.to_owned());
    text.lines().filter_map(without_time).collect()
}

fn a_life(level: u8) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = FakeSource::start(cluster());
    let mut gmetad = Gmetad::start(
        folder.path(),
        &directives(folder.path(), &source, level, ""),
    );
    let has = |part: &str| {
        wait_until(part, || {
            lines(folder.path()).iter().any(|line| line.contains(part))
        });
    };
    has("answers for the first time");
    source.script(Script::Close);
    has("is down");
    source.script(cluster());
    has("is back");
    let more = directives(folder.path(), &source, level, "gridname \"another\"");
    configure(folder.path(), &more);
    gmetad.signal(Signal::SIGHUP);
    has("reloaded");
    gmetad.signal(Signal::SIGTERM);
    assert!(gmetad.wait().success());

    let conf = folder.path().join("gmetad.conf");
    let (xml, interactive) = (gmetad.xml(), gmetad.interactive());
    let host = format!("127.0.0.1:{}", source.port());
    let told = [
        format!(
            "NOTICE gmetad {} has started: pid {}, {}, 1 source; listening: xml {xml}, \
             interactive {interactive}",
            env!("CARGO_PKG_VERSION"),
            gmetad.pid(),
            conf.display()
        ),
        format!("NOTICE source \"s\" answers for the first time, from {host}"),
        format!("ERROR source \"s\" is down: {host}: "),
        "NOTICE source \"s\" is back after ".into(),
        "NOTICE configuration reloaded; directives changed: gridname".into(),
        "NOTICE gmetad has stopped, on SIGTERM, after ".into(),
    ];
    let lines = lines(folder.path());
    let mut rest = lines.iter();
    for part in &told {
        let found = rest.any(|line| line.starts_with(part.as_str()));
        assert!(found, "level {level}: {part:?} in its place in {lines:#?}");
    }
    // Without syslog, the warning about that.
    let of_life = |line: &&String| !line.contains("syslog") && !line.contains("at once");
    assert!(
        lines.iter().filter(of_life).count() == told.len() || level > 2,
        "{lines:#?}"
    );
}

#[test]
fn each_turn_of_its_life_is_a_line_at_the_lowest_level() {
    a_life(0);
}

#[test]
fn each_turn_of_its_life_is_a_line_at_the_usual_level() {
    a_life(2);
}

#[test]
fn of_very_many_sources_at_once_a_few_are_told_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = FakeSource::start(cluster());
    let of = |at| format!("data_source \"s{at}\" 1 127.0.0.1:{}", source.port());
    let all = (0..60).map(of).collect::<Vec<_>>().join("\n");
    let gmetad = Gmetad::start(folder.path(), &all);
    gmetad.wait_for_line("40 more sources answer for the first time");
    let log = gmetad.log();
    assert_eq!(log.matches("\" answers for the first time").count(), 20);
}
