//! `--once`, as cron or a person trying it out runs it, through the real binary.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use crate::support::peers::{FakeSource, Script, document};
use crate::support::ports::Port;
use crate::support::{configure, gmetad, pid_of, wait_for};
use nix::sys::signal::{Signal, kill};
use tempfile::{TempDir, tempdir};

fn folder() -> TempDir {
    tempdir().expect("a temporary folder")
}

/// A cluster of that many hosts with two metrics each, now.
fn cluster(name: &str, hosts: usize) -> FakeSource {
    use std::fmt::Write as _;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let mut inside =
        format!("<CLUSTER NAME=\"{name}\" LOCALTIME=\"{now}\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n");
    for host in 0..hosts {
        let _ = writeln!(
            inside,
            "<HOST NAME=\"h{host}\" IP=\"10.0.0.1\" REPORTED=\"{now}\" TN=\"1\" TMAX=\"20\" \
             DMAX=\"0\" LOCATION=\"\" GMOND_STARTED=\"1\">"
        );
        for metric in ["load_one", "cpu_num"] {
            let _ = writeln!(
                inside,
                "<METRIC NAME=\"{metric}\" VAL=\"1\" TYPE=\"float\" UNITS=\"\" TN=\"1\" \
                 TMAX=\"60\" DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\">\n</METRIC>"
            );
        }
        inside += "</HOST>\n";
    }
    FakeSource::start(Script::Serve(document("gmond", &(inside + "</CLUSTER>\n"))))
}

fn source(name: &str, port: u16) -> String {
    format!("data_source \"{name}\" 3600 127.0.0.1:{port}\n")
}

fn command(folder: &Path, directives: &str) -> Command {
    let mut command = gmetad();
    command
        .arg("--once")
        .arg("-c")
        .arg(configure(folder, directives))
        .stdin(Stdio::null());
    command
}

/// The exit code and standard output.
#[track_caller]
fn outcome(output: &Output) -> (i32, String) {
    let code = output.status.code().unwrap_or_else(|| {
        panic!("{}", String::from_utf8_lossy(&output.stderr));
    });
    (code, String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn every_source_is_polled_stored_and_reported_once_and_the_exit_code_counts_failures() {
    let (one, two) = (cluster("one", 3), cluster("two", 2));
    let folder = folder();
    let closed = Port::reserve();
    // No port is bound and no pid file written: a daemon may be running at the same time.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("bound").port();
    let directives = source("first", one.port())
        + &source("gone", closed.number())
        + &source("second", two.port())
        + &format!("xml_port {taken}\n");
    let pid_file = folder.path().join("pid");
    let mut command = command(folder.path(), &directives);
    let output = command.arg("-p").arg(&pid_file).output().expect("built");
    let (code, said) = outcome(&output);
    assert_eq!(code, 1, "{said}");
    assert_eq!((one.polls(), two.polls()), (1, 1));
    assert!(!pid_file.exists());
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    for (line, parts) in [
        (
            lines[0],
            [
                "first ",
                " ok ",
                " 3 hosts",
                " 6 metrics",
                "from 127.0.0.1:",
            ],
        ),
        (
            lines[1],
            ["gone ", " FAILED ", "after ", "cannot connect: ", "refused"],
        ),
        (
            lines[2],
            [
                "second ",
                " ok ",
                " 2 hosts",
                " 4 metrics",
                "from 127.0.0.1:",
            ],
        ),
        (
            lines[3],
            [
                "3 sources, 1 failed;",
                "5 hosts,",
                "10 metrics;",
                // Of hosts, and sums of both clusters and of all.
                "16 samples written,",
                "16 files created",
            ],
        ),
    ] {
        for part in parts {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
    let rrds = folder.path().join("rrds");
    for file in [
        "one/h2/load_one.rrd",
        "two/h1/cpu_num.rrd",
        "two/__SummaryInfo__/load_one.rrd",
        "__SummaryInfo__/load_one.rrd",
    ] {
        assert!(rrds.join(file).is_file(), "{file}");
    }
}

#[test]
fn if_all_succeeds_it_exits_with_0_and_logs_nothing() {
    let one = cluster("one", 1);
    let folder = folder();
    let output = command(folder.path(), &source("s", one.port()))
        .output()
        .expect("built");
    assert_eq!(outcome(&output).0, 0);
    let errors = String::from_utf8_lossy(&output.stderr);
    // A machine without syslog gets a warning.
    assert!(
        errors.lines().all(|line| line.contains("no syslog")),
        "{errors}"
    );
}

#[test]
fn the_exit_code_stays_below_those_with_other_meanings() {
    let closed = Port::reserve();
    let folder = folder();
    let sources: String = (0..70)
        .map(|at| source(&format!("s{at}"), closed.number()))
        .collect();
    let output = command(folder.path(), &sources).output().expect("built");
    let (code, said) = outcome(&output);
    assert_eq!(code, 63);
    assert!(said.contains("70 sources, 70 failed"), "{said}");
    let output = command(folder.path(), "xml_port x")
        .output()
        .expect("built");
    assert_eq!(outcome(&output).0, 78);
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn a_value_that_could_not_be_stored_is_reported_as_a_failure() {
    let one = cluster("one", 1);
    let folder = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("written");
    let directives = source("s", one.port()) + &format!("rrd_rootdir {}", file.display());
    let output = command(folder.path(), &directives).output().expect("built");
    let (code, said) = outcome(&output);
    assert_eq!(code, 74, "{said}");
    assert!(said.contains("0 failed; 1 host,"), "{said}");
    assert!(said.lines().count() > 2, "what went wrong: {said}");
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn a_signal_ends_it_and_the_remaining_sources_count_as_failed() {
    let (good, silent) = (cluster("one", 1), FakeSource::start(Script::Silent));
    let folder = folder();
    let directives = source("good", good.port()) + &source("silent", silent.port());
    let mut child = command(folder.path(), &directives)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("built");
    let stored = folder.path().join("rrds/one/h0/load_one.rrd");
    wait_for("the good one to be stored", || {
        stored.exists().then_some(())
    });
    kill(pid_of(&child), Signal::SIGTERM).expect("it runs");
    let status = wait_for("its end", || child.try_wait().expect("our own child"));
    assert_eq!(status.code(), Some(1));
    let output = child.wait_with_output().expect("it has ended");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("gmetad was stopped before it answered"),
        "{said}"
    );
}

#[test]
fn what_a_peer_sends_reaches_the_terminal_without_control_characters() {
    let odd = FakeSource::start(Script::Serve(b"<a\x1b[2J\x9bodd/>".to_vec()));
    let folder = folder();
    let output = command(folder.path(), &source("odd", odd.port()))
        .output()
        .expect("built");
    let (code, said) = outcome(&output);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("<a\\u{1b}[2J\\u{9b}odd"), "{said:?}");
    let is_plain = |c: char| c == '\n' || !c.is_control();
    assert!(said.chars().all(is_plain), "{said:?}");
}
