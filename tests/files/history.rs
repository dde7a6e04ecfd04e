//! The contents of the files, read through Graphite's API: with values still held, and without
//! writing anything.
#![cfg(all(feature = "rrd", feature = "graphite"))]

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::clockwork::{Clockwork, rows};
use crate::support::peers::{available, document};
use crate::support::web::{Answer, get};
use crate::support::{Gmetad, wait_for, wait_until};
use nix::sys::signal::Signal;
use tempfile::TempDir;

const T0: u32 = 1_700_000_000;

/// A gmond of so many metrics, whose clock goes on a second with each poll, and whose values tell the
/// time.
fn clockwork(metrics: usize) -> Clockwork {
    Clockwork::start(move |polls| {
        let time = T0 + 1 + polls;
        let mut text = String::new();
        for metric in 0..metrics {
            let _ = write!(
                text,
                "<METRIC NAME=\"m{metric}\" VAL=\"{polls}\" TYPE=\"uint32\" UNITS=\"\" TN=\"0\" \
                 TMAX=\"60\" DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\"/>"
            );
        }
        let cluster = format!(
            "<CLUSTER NAME=\"c\" LOCALTIME=\"{time}\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n<HOST \
             NAME=\"h\" IP=\"127.0.0.1\" REPORTED=\"{time}\" TN=\"0\" TMAX=\"20\" DMAX=\"0\" \
             LOCATION=\"\" GMOND_STARTED=\"1\">\n{text}</HOST>\n</CLUSTER>\n"
        );
        document("gmond", &cluster)
    })
}

fn directives(source: &Clockwork, more: &str) -> String {
    format!(
        "data_source \"s\" 1 127.0.0.1:{}\nRRAs \"RRA:AVERAGE:0:1:5000\"\nrrd {{\n{more}\n}}",
        source.port()
    )
}

fn render(address: SocketAddr, target: &str) -> Answer {
    let until = T0 + 4000;
    let page = format!("/graphite/render?target={target}&from={T0}&until={until}&format=json");
    get(address, &page)
}

/// The known values of the first series, by time.
fn points(answer: &Answer) -> Vec<(u32, f64)> {
    let json = answer.json();
    let points = json[0]["datapoints"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let known = points
        .iter()
        .filter_map(|point| Some((u32::try_from(point[1].as_u64()?).ok()?, point[0].as_f64()?)));
    known.collect()
}

#[test]
fn a_value_is_readable_before_it_is_on_disk_and_reading_writes_nothing() {
    let test = "a_value_is_readable_before_it_is_on_disk_and_reading_writes_nothing";
    if !available(test, &["rrdtool"]) {
        return;
    }
    let folder = TempDir::new().expect("a folder");
    let source = clockwork(3);
    let gmetad = Gmetad::start(folder.path(), &directives(&source, "write_timeout 300"));
    let file = folder.path().join("rrds/c/h/m1.rrd");
    let seen = wait_for("values that wait", || {
        let points = points(&render(gmetad.interactive(), "c.h.m1"));
        (points.len() >= 2).then_some(points)
    });
    assert!(
        rows(&file, T0, T0 + 4000).is_empty(),
        "they wait all the same"
    );
    let sums = points(&render(gmetad.interactive(), "c.__SummaryInfo__.m1.num"));
    assert!(sums.iter().all(|(_, num)| *num == 1.0), "{sums:?}");
    assert!(gmetad.end().success());
    let written = rows(&file, T0, T0 + 4000);
    for (time, value) in seen {
        // Graphite names a row by its beginning, rrdtool by its end.
        let found = written.get(&(time + 1)).or_else(|| written.get(&time));
        assert_eq!(found, Some(&value), "{time} in {written:?}");
    }
}

#[test]
fn written_values_are_read_as_rrdtool_reads_them() {
    if !available(
        "written_values_are_read_as_rrdtool_reads_them",
        &["rrdtool"],
    ) {
        return;
    }
    let folder = TempDir::new().expect("a folder");
    let source = clockwork(1);
    let gmetad = Gmetad::start(folder.path(), &directives(&source, ""));
    source.wait_for_polls(4);
    let file = folder.path().join("rrds/c/h/m0.rrd");
    wait_until("the same rows", || {
        let theirs: Vec<f64> = rows(&file, T0, T0 + 4000).into_values().collect();
        let ours = points(&render(gmetad.interactive(), "c.h.m0"));
        let ours: Vec<f64> = ours.into_iter().map(|(_, value)| value).collect();
        ours.len() >= 3 && ours == theirs
    });
}

#[test]
fn queries_during_shutdown_are_answered_and_do_not_delay_it() {
    let folder = TempDir::new().expect("a folder");
    let source = clockwork(200);
    let gmetad = Gmetad::start(folder.path(), &directives(&source, "write_timeout 300"));
    let address = gmetad.interactive();
    wait_until("values", || !points(&render(address, "c.h.m1")).is_empty());
    source.wait_for_polls(2);
    let answered = Arc::new(AtomicUsize::new(0));
    let askers: Vec<_> = (0..20)
        .map(|_| {
            let answered = Arc::clone(&answered);
            thread::spawn(move || ask_until_it_ends(address, &answered))
        })
        .collect();
    wait_until("answers", || answered.load(Ordering::SeqCst) > 20);
    gmetad.signal(Signal::SIGTERM);
    let mut gmetad = gmetad;
    assert!(gmetad.wait().success());
    for asker in askers {
        let codes = asker.join().expect("no panic");
        assert!(
            codes.iter().all(|code| [200, 503].contains(code)),
            "{codes:?}"
        );
    }
    assert!(!gmetad.log().contains("bug"));
}

/// The statuses of the answers that came before the port was closed, which are counted as well.
fn ask_until_it_ends(address: SocketAddr, answered: &AtomicUsize) -> Vec<u16> {
    use std::io::{Read, Write};
    let mut codes = Vec::new();
    loop {
        let Ok(mut stream) = std::net::TcpStream::connect(address) else {
            return codes;
        };
        let target = format!(
            "/graphite/render?target=c.h.*&from={T0}&until={}",
            T0 + 4000
        );
        let mut answer = Vec::new();
        if write!(stream, "GET {target} HTTP/1.0\r\n\r\n").is_err()
            || stream.read_to_end(&mut answer).is_err()
            || answer.is_empty()
        {
            return codes;
        }
        let text = String::from_utf8_lossy(&answer);
        let code = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        codes.push(code.expect("a status"));
        answered.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn if_no_files_are_written_it_says_so() {
    let folder = TempDir::new().expect("a folder");
    let source = clockwork(1);
    let text = format!(
        "data_source \"s\" 1 127.0.0.1:{}\nwrite_rrds off",
        source.port()
    );
    let gmetad = Gmetad::start(folder.path(), &text);
    wait_until("the cluster", || gmetad.document().contains("NAME=\"m0\""));
    let answer = render(gmetad.interactive(), "c.h.m0");
    assert!(answer.code >= 400, "{}", answer.text());
    assert!(
        answer.text().contains("write_rrds is off"),
        "{}",
        answer.text()
    );
}

#[test]
fn a_damaged_or_missing_file_is_only_a_gap() {
    let folder = TempDir::new().expect("a folder");
    let source = clockwork(3);
    let gmetad = Gmetad::start(folder.path(), &directives(&source, "write_timeout 300"));
    let address = gmetad.interactive();
    wait_until("values", || !points(&render(address, "c.h.m2")).is_empty());
    let file = |name: &str| -> std::path::PathBuf { folder.path().join("rrds/c/h").join(name) };
    let spoil = |path: &Path| fs::write(path, "RRD\0nonsense").expect("our own folder");
    spoil(&file("m0.rrd"));
    fs::remove_file(file("m1.rrd")).expect("it was there");
    for gone in ["c.h.m0", "c.h.m1"] {
        let answer = render(address, gone);
        assert_eq!(answer.code, 200, "{}", answer.text());
        assert!(points(&answer).is_empty());
    }
    assert!(!points(&render(address, "c.h.m2")).is_empty());
}
