//! Values written to a real Prometheus, and to a store that answers what the test wants.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gmetad_config::{Config, Disk, Overrides, parse};
use prost::Message;

use crate::rig::{AT_ONCE, Plugins, now};
use crate::support::clockwork::Clockwork;
use crate::support::peers::{FakeSource, Script, available, document};
use crate::support::web::{Prometheus, Samples, get};
use crate::support::{Gmetad, wait_until};

/// Which series are about hosts and sums.
const ALL: &str = "{__name__=~\"(ganglia|gmetad)_.+\"}";

pub fn configured(sections: &str) -> Config {
    let text = format!("data_source a localhost\nwrite_rrds off\ngridname G\n{sections}");
    let file = std::path::Path::new("g.conf");
    let loaded = parse(text.as_bytes(), file, &Disk, &Overrides::default(), "h");
    loaded.expect("a sound configuration").config
}

pub fn to(port: u16, lines: &str) -> String {
    format!("remote_write {{\nurl \"http://127.0.0.1:{port}/api/v1/write\"\n{lines}\n}}\n")
}

/// Hosts with metrics; each value is the time at which it was collected.
pub fn clocks(time: u32, hosts: usize, metrics: usize, tn: u32) -> String {
    let mut inside = format!("<CLUSTER NAME=\"c\" LOCALTIME=\"{time}\">");
    for host in 0..hosts {
        let _ = write!(
            inside,
            "<HOST NAME=\"h{host}\" REPORTED=\"{time}\" TN=\"0\" TMAX=\"20\">"
        );
        for metric in 0..metrics {
            let _ = write!(
                inside,
                "<METRIC NAME=\"m{metric}\" VAL=\"{}\" TYPE=\"double\" TN=\"{tn}\" TMAX=\"60\" \
                 SLOPE=\"both\"/>",
                time - tn
            );
        }
        inside += "</HOST>";
    }
    inside += "</CLUSTER>";
    String::from_utf8(document("gmond", &inside)).expect("text")
}

/// What [`clocks`] becomes, if it is sent with these times. Another gmetad may have sent values of the
/// first second, so the first are a millisecond later.
fn expected(times: &[u32], hosts: usize, metrics: usize) -> Samples {
    let samples: Vec<(i64, f64)> = times
        .iter()
        .map(|&time| {
            let millis = i64::from(time) * 1000 + i64::from(time == times[0]);
            (millis, f64::from(time))
        })
        .collect();
    let mut all = Samples::new();
    for host in 0..hosts {
        for metric in 0..metrics {
            let series = format!("ganglia_m{metric}{{cluster=\"c\",host=\"h{host}\"}}");
            all.insert(series, samples.clone());
        }
    }
    all
}

#[track_caller]
fn wait_for_samples(prometheus: &Prometheus, expected: &Samples) {
    wait_until("the samples in the store", || {
        prometheus.samples("{__name__=~\"ganglia_.+\"}") == *expected
    });
}

#[test]
fn every_value_of_a_source_is_in_the_store_with_its_time_however_often_the_store_is_killed() {
    if !available(
        "every_value_of_a_source_is_in_the_store_with_its_time_however_often_the_store_is_killed",
        &["prometheus"],
    ) {
        return;
    }
    let mut prometheus = Prometheus::start(" []\n");
    let config = configured(&to(prometheus.port(), "batch_samples 100"));
    let mut plugins = Plugins::start(&config);
    let (hosts, metrics) = (20, 30);
    let first = now() - 100;
    plugins.poll(&clocks(first, hosts, metrics, 0));
    let mut times = vec![first];
    wait_for_samples(&prometheus, &expected(&times, hosts, metrics));
    for round in 1..=8 {
        if round % 3 == 2 {
            prometheus.kill();
        }
        let time = first + 10 * round;
        let took = plugins.poll(&clocks(time, hosts, metrics, 3));
        assert!(took < AT_ONCE, "{took:?}");
        times.push(time - 3);
        if round % 3 == 0 {
            prometheus.start_again();
        }
    }
    prometheus.start_again();
    wait_for_samples(&prometheus, &expected(&times, hosts, metrics));
    wait_until("all to be taken", || {
        plugins.status("remote_write").waiting_since_ms == 0
    });
    let status = plugins.status("remote_write");
    assert_eq!((status.failed, status.dropped), (0, 0), "{status:?}");
    assert!(!status.failing && status.connects > 1, "{status:?}");
    plugins.end();
}

#[test]
fn victoria_metrics_has_every_value_with_its_labels_and_time() {
    let test = "victoria_metrics_has_every_value_with_its_labels_and_time";
    if !available(test, &["victoria-metrics"]) {
        return;
    }
    let store = Prometheus::victoria();
    let mut plugins = Plugins::start(&configured(&to(store.port(), "")));
    let (first, hosts, metrics) = (now() - 100, 20, 30);
    let times = [first, first + 15, first + 30];
    for time in times {
        plugins.poll(&clocks(time, hosts, metrics, 0));
    }
    wait_for_samples(&store, &expected(&times, hosts, metrics));
    let status = plugins.status("remote_write");
    assert_eq!((status.failed, status.dropped, status.retried), (0, 0, 0));
    plugins.end();
}

/// Names with markup in them, as a document has them.
const HOSTILE: &str = "<CLUSTER NAME=\"c &quot;l\\&#10;{}&#233;\" LOCALTIME=\"TIME\">\
    <HOST NAME=\"h&quot;},x=&#8364;\" REPORTED=\"TIME\" TN=\"0\" TMAX=\"20\">\
    <METRIC NAME=\"a.b\" VAL=\"1\" TYPE=\"double\" TN=\"0\" TMAX=\"60\" SLOPE=\"both\"/>\
    <METRIC NAME=\"a_b\" VAL=\"-2.5\" TYPE=\"float\" TN=\"0\" TMAX=\"60\" SLOPE=\"both\"/>\
    <METRIC NAME=\"1&#10;&quot;&#228;\" VAL=\"3e3\" TYPE=\"double\" TN=\"0\" TMAX=\"60\" SLOPE=\"both\"/>\
    <METRIC NAME=\"reads\" VAL=\"4\" TYPE=\"uint32\" TN=\"0\" TMAX=\"60\" SLOPE=\"positive\"/>\
    <METRIC NAME=\"reads_total\" VAL=\"5\" TYPE=\"uint32\" TN=\"0\" TMAX=\"60\" SLOPE=\"both\"/>\
    <METRIC NAME=\"text\" VAL=\"x\" TYPE=\"string\" TN=\"0\" TMAX=\"60\" SLOPE=\"zero\"/>\
    </HOST><HOST NAME=\"down\" REPORTED=\"1\" TN=\"500\" TMAX=\"20\">\
    <METRIC NAME=\"a_b\" VAL=\"9\" TYPE=\"float\" TN=\"0\" TMAX=\"60\" SLOPE=\"both\"/>\
    </HOST></CLUSTER>";

pub fn hostile(time: u64) -> Vec<u8> {
    document(
        "gmond",
        &HOSTILE.replace("\"TIME\"", &format!("\"{time}\"")),
    )
}

#[test]
fn the_store_has_the_series_of_the_metrics_page() {
    if !available(
        "the_store_has_the_series_of_the_metrics_page",
        &["prometheus"],
    ) {
        return;
    }
    let prometheus = Prometheus::start(" []\n");
    let source = FakeSource::start(Script::Clock(hostile));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = format!(
        "write_rrds off\ndata_source \"s\" 1 127.0.0.1:{}\n{}",
        source.port(),
        to(prometheus.port(), "")
    );
    let gmetad = Gmetad::start(folder.path(), &lines);
    // Two of gmetad's own families belong to no host.
    let own = "{__name__=~\"ganglia_.+|gmetad_host_up\"}";
    wait_until("samples in the store", || {
        !prometheus.samples(own).is_empty()
    });
    let page = get(gmetad.interactive(), "/metrics?scope=all").text();
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let shown: BTreeMap<String, f64> = samples
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            (series.to_owned(), value.parse().expect("a number"))
        })
        .collect();
    assert_eq!(shown.len(), 7, "{page}");
    wait_until("the same series in the store", || {
        let stored = prometheus.samples(own);
        let stored: BTreeMap<String, f64> = (stored.iter())
            .map(|(series, samples)| (series.clone(), samples[samples.len() - 1].1))
            .collect();
        stored == shown
    });
    // The series of the grid come with its own summary.
    wait_until("sums of the cluster and of the grid", || {
        prometheus.samples("{__name__=\"gmetad_hosts_up\"}").len() == 2
    });
    assert_eq!(gmetad.end().code(), Some(0));
}

/// The messages of remote write, as a store reads them.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// A store that answers what the test wants, and keeps what it has taken.
pub struct Store {
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The bytes of the next answers.
    answer: Mutex<String>,
    requests: AtomicUsize,
    connections: AtomicUsize,
    heads: Mutex<Vec<String>>,
    /// Times in milliseconds and values of `ganglia_m0` of `h0`, as they were answered with 2xx.
    taken: Mutex<Vec<(i64, f64)>>,
}

pub const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

impl Store {
    pub fn start(answer: &str) -> Store {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared::default());
        *shared.answer.lock().expect("nobody panics") = answer.into();
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                theirs.connections.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&theirs);
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Store { port, shared }
    }

    fn answers(&self, answer: &str) {
        *self.shared.answer.lock().expect("nobody panics") = answer.into();
    }

    pub fn taken(&self) -> Vec<(i64, f64)> {
        self.shared.taken.lock().expect("nobody panics").clone()
    }

    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                match reader.read_line(&mut head) {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            }
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
            let mut body = vec![0; length.expect("a length")];
            if reader.read_exact(&mut body).is_err() {
                return;
            }
            let answer = self.answer.lock().expect("nobody panics").clone();
            if answer.starts_with("HTTP/1.1 2") {
                self.take(&body);
            }
            self.heads.lock().expect("nobody panics").push(head);
            self.requests.fetch_add(1, Ordering::SeqCst);
            if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn take(&self, body: &[u8]) {
        let body = snap::raw::Decoder::new().decompress_vec(body);
        let request = WriteRequest::decode(&body.expect("a snappy block")[..]);
        for series in request.expect("a message").timeseries {
            let labels: Vec<(&str, &str)> = (series.labels.iter())
                .map(|label| (label.name.as_str(), label.value.as_str()))
                .collect();
            let own = [("__name__", "ganglia_m0"), ("cluster", "c"), ("host", "h0")];
            if labels == own {
                let sample = &series.samples[0];
                let mut taken = self.taken.lock().expect("nobody panics");
                taken.push((sample.timestamp, sample.value));
            }
        }
    }
}

#[test]
fn samples_refused_for_good_are_dropped_counted_and_logged_once() {
    let bad = "HTTP/1.1 400 Bad Request\r\nContent-Length: 13\r\n\r\nout of bounds";
    let store = Store::start(bad);
    let (time, folder) = (now(), tempfile::tempdir().expect("a temporary folder"));
    let source = Clockwork::start(move |polls| clocks(time + polls, 1, 1, 0).into_bytes());
    let lines = format!(
        "write_rrds off\ndata_source \"s\" 1 127.0.0.1:{}\n{}",
        source.port(),
        to(
            store.port,
            "summaries off\nheader X-Scope-OrgID \"tenant 1\""
        )
    );
    let gmetad = Gmetad::start(folder.path(), &lines);
    wait_until("three refusals", || store.requests() >= 3);
    let figure = |name: &str| {
        let page = get(gmetad.interactive(), "/metrics").text();
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        let value = line.unwrap_or_else(|| panic!("no {name} in {page}")).trim();
        value.parse::<f64>().expect("a number")
    };
    let failed = "gmetad_output_values_total{plugin=\"remote_write\",result=\"failed\"}";
    wait_until("the count", || figure(failed) >= 6.0);
    let health = get(gmetad.interactive(), "/healthz");
    assert!(
        health.text().contains("remote_write refuses"),
        "{}",
        health.text()
    );
    store.answers(NO_CONTENT);
    let line = gmetad.wait_for_line("accepts what it refused");
    assert!(line.contains("remote_write 127.0.0.1:"), "{line}");
    let log = gmetad.log();
    let told = log.matches("400 Bad Request: out of bounds").count();
    assert_eq!(told, 1, "{log}");
    assert_eq!(store.shared.connections.load(Ordering::SeqCst), 1);
    let heads = store.shared.heads.lock().expect("nobody panics").clone();
    assert!(
        heads
            .iter()
            .all(|head| head.contains("\r\nX-Scope-OrgID: tenant 1\r\n"))
    );
    assert_eq!(
        figure("gmetad_output_retried_total{plugin=\"remote_write\"}"),
        0.0
    );
    assert!(figure("gmetad_output_lag_seconds{plugin=\"remote_write\"}") < 60.0);
    assert_eq!(gmetad.end().code(), Some(0));
}

#[test]
fn samples_that_prometheus_refuses_as_too_old_are_dropped_and_logged_with_its_reason() {
    if !available(
        "samples_that_prometheus_refuses_as_too_old_are_dropped_and_logged_with_its_reason",
        &["prometheus"],
    ) {
        return;
    }
    let prometheus = Prometheus::start(" []\n");
    let time = now();
    let mut newest = Plugins::start(&configured(&to(prometheus.port(), "")));
    newest.poll(&clocks(time, 1, 1, 0));
    wait_for_samples(&prometheus, &expected(&[time], 1, 1));
    // Another gmetad sends the same series without a distinguishing label, and its source's
    // clock is behind.
    let source = Clockwork::start(move |polls| clocks(time - 200 + polls, 1, 1, 0).into_bytes());
    let lines = format!(
        "write_rrds off\ndata_source \"s\" 1 127.0.0.1:{}\n{}",
        source.port(),
        to(prometheus.port(), "summaries off")
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let gmetad = Gmetad::start(folder.path(), &lines);
    let line = gmetad.wait_for_line("400 Bad Request: out of order sample");
    assert!(line.contains("remote_write 127.0.0.1:"), "{line}");
    let page = get(gmetad.interactive(), "/metrics").text();
    let failed = "gmetad_output_values_total{plugin=\"remote_write\",result=\"failed\"} ";
    assert!(page.contains(failed), "{page}");
    assert!(!page.contains(&format!("{failed}0\n")), "{page}");
    assert_eq!(gmetad.end().code(), Some(0));
    wait_for_samples(&prometheus, &expected(&[time], 1, 1));
}

#[test]
fn samples_refused_for_now_are_resent_in_order_and_once() {
    for answer in [
        "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Slow down\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
        "220 mail.example ESMTP\r\n\r\n",
    ] {
        let store = Store::start(answer);
        let config = configured(&to(store.port, "summaries off"));
        let mut plugins = Plugins::start(&config);
        let first = now() - 100;
        let mut expected = Vec::new();
        for round in 0..4 {
            let time = first + 10 * round;
            plugins.poll(&clocks(time, 1, 1, 0));
            let millis = i64::from(time) * 1000 + i64::from(round == 0);
            expected.push((millis, f64::from(time)));
        }
        wait_until("the failure to be seen", || {
            plugins.status("remote_write").failing
        });
        assert!(plugins.status("remote_write").waiting_since_ms > 0);
        store.answers(NO_CONTENT);
        wait_until("all to be taken", || store.taken().len() >= expected.len());
        assert_eq!(store.taken(), expected, "{answer}");
        wait_until("nothing to wait", || {
            plugins.status("remote_write").waiting_since_ms == 0
        });
        let status = plugins.status("remote_write");
        assert_eq!((status.sent, status.failed, status.dropped), (8, 0, 0));
        assert!(status.retried >= 2 && !status.failing, "{status:?}");
        plugins.end();
    }
}

#[test]
fn a_store_that_hangs_loses_only_its_own_oldest_samples() {
    let (store, hangs) = (Store::start(NO_CONTENT), Store::start(""));
    let sections = to(store.port, "summaries off\nname well")
        + &to(
            hangs.port,
            "summaries off\nname hangs\ntimeout 1\nbacklog_mb 1",
        );
    let mut plugins = Plugins::start(&configured(&sections));
    let first = now() - 250;
    let rounds = 30;
    for round in 0..rounds {
        let took = plugins.poll(&clocks(first + 4 * round, 200, 30, 0));
        assert!(took < AT_ONCE, "{took:?}");
    }
    wait_until("all to be taken", || store.taken().len() == rounds as usize);
    let times: BTreeSet<i64> = store.taken().iter().map(|(time, _)| *time).collect();
    assert_eq!(times.len(), rounds as usize);
    let all = u64::from(rounds) * 200 * 31;
    wait_until("the rest to be taken", || {
        plugins.status("remote_write well").sent == all
    });
    let status = plugins.status("remote_write hangs");
    assert!(status.dropped > 0, "{status:?}");
    assert!(status.waiting_bytes <= 1 << 20, "{status:?}");
    wait_until("the hanging one to be told", || {
        plugins.status("remote_write hangs").failing
    });
    assert!(!plugins.status("remote_write well").failing);
    plugins.end();
}

#[test]
fn each_section_has_its_own_row_and_counters() {
    let (well, busy) = (
        Store::start(NO_CONTENT),
        Store::start("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
    );
    let (time, folder) = (now(), tempfile::tempdir().expect("a temporary folder"));
    let source = Clockwork::start(move |polls| clocks(time + polls, 1, 1, 0).into_bytes());
    let lines = format!(
        "write_rrds off\ndata_source \"s\" 1 127.0.0.1:{}\n{}{}",
        source.port(),
        to(well.port, "summaries off\nname well"),
        to(busy.port, "summaries off")
    );
    let gmetad = Gmetad::start(folder.path(), &lines);
    let figure = |name: &str, server: &str, more: &str| {
        let page = get(gmetad.interactive(), "/metrics").text();
        let series = format!("gmetad_output_{name}{{plugin=\"remote_write {server}\"{more}}} ");
        let line = page.lines().find_map(|line| line.strip_prefix(&*series));
        line.map(|value| value.parse::<f64>().expect("a number"))
    };
    let there = format!("127.0.0.1:{}", busy.port);
    let written = ",result=\"written\"";
    wait_until("figures of both", || {
        figure("values_total", "well", written) > Some(2.0)
            && figure("retried_total", &there, "") > Some(0.0)
            && figure("lag_seconds", &there, "") > Some(1.0)
    });
    assert_eq!(figure("values_total", &there, written), Some(0.0));
    assert_eq!(figure("retried_total", "well", ""), Some(0.0));
    let status = get(gmetad.interactive(), "/status").text();
    for server in ["remote_write well", &format!("remote_write {there}")] {
        assert!(status.contains(server), "no {server} in {status}");
    }
    let health = get(gmetad.interactive(), "/healthz").text();
    assert!(
        health.contains(&format!("remote_write {there} accepts no values")),
        "{health}"
    );
    assert!(!health.contains("remote_write well"), "{health}");
    assert_eq!(gmetad.end().code(), Some(0));
}

#[test]
fn an_idle_connection_closed_by_the_store_is_no_failure() {
    let closes = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    let store = Store::start(closes);
    let mut plugins = Plugins::start(&configured(&to(store.port, "summaries off")));
    let first = now() - 100;
    for round in 0..3 {
        plugins.poll(&clocks(first + 10 * round, 1, 1, 0));
        wait_until("it to be taken", || {
            store.taken().len() == round as usize + 1
        });
    }
    let status = plugins.status("remote_write");
    assert_eq!((status.connects, status.retried), (3, 0), "{status:?}");
    assert!(Duration::from_millis(status.last_ms) > Duration::ZERO);
    plugins.end();
}

#[test]
fn all_series_have_the_built_in_and_the_configured_labels() {
    if !available(
        "all_series_have_the_built_in_and_the_configured_labels",
        &["prometheus"],
    ) {
        return;
    }
    let prometheus = Prometheus::start(" []\n");
    let sections = ["r1", "r2"].map(|replica| {
        to(
            prometheus.port(),
            &format!("external_label replica {replica}"),
        )
    });
    let mut plugins = Plugins::start(&configured(&sections.concat()));
    plugins.poll(&clocks(now() - 50, 2, 3, 0));
    let all = 2 * (2 * (3 + 1) + 2 * 3 + 2);
    wait_until("both replicas", || prometheus.samples(ALL).len() == all);
    for series in prometheus.samples(ALL).keys() {
        assert!(series.contains("replica=\"r"), "{series}");
    }
    plugins.end();
}

/// Values of now, and one that is collected each ten seconds, whose time is one less in odd seconds.
fn with_a_slow_one(now: u64) -> Vec<u8> {
    let (collected, tn) = (now - now % 10, now % 10 + now % 2);
    let slow = format!(
        "<METRIC NAME=\"slow\" VAL=\"{collected}\" TYPE=\"double\" TN=\"{tn}\" TMAX=\"60\" \
         SLOPE=\"both\"/></HOST>"
    );
    clocks(now as u32, 3, 3, 0).replace("</HOST>", &slow).into()
}

#[test]
fn a_gmetad_that_is_killed_and_restarted_continues_where_it_was() {
    if !available(
        "a_gmetad_that_is_killed_and_restarted_continues_where_it_was",
        &["prometheus"],
    ) {
        return;
    }
    let prometheus = Prometheus::start(" []\n");
    let source = FakeSource::start(Script::Clock(with_a_slow_one));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = format!(
        "write_rrds off\ndata_source \"s\" 1 127.0.0.1:{}\n{}",
        source.port(),
        to(prometheus.port(), "")
    );
    let newest = || {
        let samples = prometheus.samples("ganglia_m0{host=\"h0\"}");
        let last = samples.values().next().and_then(|it| it.last().copied());
        last.map_or(0, |(time, _)| time)
    };
    for _ in 0..5 {
        let before = newest();
        let gmetad = Gmetad::start(folder.path(), &lines);
        wait_until("newer samples", || newest() > before + 2_000);
        let page = get(gmetad.interactive(), "/metrics").text();
        let figure = "gmetad_output_values_total{plugin=\"remote_write\",result=\"failed\"} 0\n";
        assert!(page.contains(figure), "{page}\n{}", gmetad.log());
        gmetad.signal(nix::sys::signal::Signal::SIGKILL);
    }
    for (series, samples) in prometheus.samples("{__name__=~\"ganglia_m.+\"}") {
        let is_own = |(time, value): &(i64, f64)| (0..=1).contains(&(time - *value as i64 * 1000));
        assert!(samples.iter().all(is_own), "{series}: {samples:?}");
    }
}
