//! The log of the daemon's life at every level: start, sources, reload, end.

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

/// The log, without times.
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
fn each_event_of_its_life_is_logged_at_the_lowest_level() {
    a_life(0);
}

#[test]
fn each_event_of_its_life_is_logged_at_the_default_level() {
    a_life(2);
}

#[test]
fn of_very_many_new_sources_a_few_are_logged_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = FakeSource::start(cluster());
    let of = |at| format!("data_source \"s{at}\" 1 127.0.0.1:{}", source.port());
    let all = (0..60).map(of).collect::<Vec<_>>().join("\n");
    let gmetad = Gmetad::start(folder.path(), &all);
    gmetad.wait_for_line("40 more sources answer for the first time");
    let log = gmetad.log();
    assert_eq!(log.matches("\" answers for the first time").count(), 20);
}

/// The names of the threads.
#[cfg(target_os = "linux")]
fn threads(gmetad: &Gmetad) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", gmetad.pid())).expect("it runs");
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    tasks.filter_map(name).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn the_thread_that_writes_the_log_ends_when_there_is_nothing_to_write_and_comes_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = FakeSource::start(cluster());
    let gmetad = Gmetad::start(folder.path(), &directives(folder.path(), &source, 2, ""));
    let logs = |gmetad: &Gmetad| threads(gmetad).iter().any(|name| name.trim() == "log");
    for round in 1..3 {
        wait_until("quiet", || !logs(&gmetad));
        assert!(threads(&gmetad).len() <= 3, "{:?}", threads(&gmetad));
        gmetad.signal(Signal::SIGUSR1);
        wait_until("all lines of a status", || {
            let files = lines(folder.path());
            let said = files.iter().filter(|it| it.contains("status: RRD cache:"));
            said.count() == round
        });
        assert!(logs(&gmetad));
    }
}

#[test]
fn everything_is_summed_up_when_something_has_changed_and_not_twice() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = FakeSource::start(cluster());
    let gmetad = Gmetad::start(folder.path(), &directives(folder.path(), &source, 2, ""));
    let figure = |page: &str, name: &str| {
        let line = page.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit(' ').next());
        value.map_or(0, |value| value.parse::<u64>().expect("a number"))
    };
    let mut page = String::new();
    wait_until("eight polls", || {
        page = gmetad.query("GET /metrics HTTP/1.0\r\n");
        figure(
            &page,
            "gmetad_source_polls_total{source=\"s\",result=\"ok\"}",
        ) >= 8
    });
    let sums = figure(&page, "gmetad_root_summaries_total");
    let polls = figure(
        &page,
        "gmetad_source_polls_total{source=\"s\",result=\"ok\"}",
    );
    // One more may be that of a minute, on a machine that is slow enough.
    assert!((polls / 2..=polls + 2).contains(&sums), "{sums} of {polls}");
}
