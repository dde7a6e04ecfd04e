//! Sums of counters when hosts come, go and begin anew: no rate is ever above the true one, and
//! little is lost.
#![cfg(feature = "rrd")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::support::stores::Rrdcached;
use crate::support::{Gmetad, wait_until};
use tempfile::TempDir;

const T0: u64 = 1_700_000_000;

/// Seconds that the source's clock goes on with each poll.
const PACE: u64 = 4;

/// What a host's counter grows by in a second.
const RATE: u64 = 10;

/// A host: what its counter had at `since`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Host {
    name: &'static str,
    base: u64,
    since: u64,
}

fn host(name: &'static str, base: u64) -> Host {
    Host {
        name,
        base,
        since: T0,
    }
}

impl Host {
    fn value(&self, time: u64) -> u64 {
        self.base + RATE * (time - self.since)
    }
}

/// A gmetad below: a cluster, a grid with that cluster in full, and one with a summary only.
struct Source {
    port: u16,
    hosts: Arc<Mutex<Vec<Host>>>,
    /// Those of each document, by its time.
    told: Arc<Mutex<BTreeMap<u64, Vec<Host>>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Source {
    fn start(cluster: &'static str, hosts: Vec<Host>) -> Source {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let hosts = Arc::new(Mutex::new(hosts));
        let told: Arc<Mutex<BTreeMap<u64, Vec<Host>>>> = Arc::default();
        let ends = Arc::new(AtomicBool::new(false));
        let thread = {
            let (hosts, told, ends) = (Arc::clone(&hosts), Arc::clone(&told), Arc::clone(&ends));
            thread::spawn(move || {
                for stream in listener.incoming() {
                    if ends.load(Ordering::SeqCst) {
                        return;
                    }
                    let hosts = hosts.lock().unwrap().clone();
                    let time = T0 + PACE * (told.lock().unwrap().len() as u64 + 1);
                    // The other end may have been killed.
                    if let Ok(mut stream) = stream {
                        let _ = stream.write_all(&document(cluster, &hosts, time));
                        let _ = stream.shutdown(Shutdown::Write);
                    }
                    told.lock().unwrap().insert(time, hosts);
                }
            })
        };
        Source {
            port,
            hosts,
            told,
            ends,
            thread: Some(thread),
        }
    }

    fn wait_for_polls(&self, more: usize) {
        let until = self.told.lock().unwrap().len() + more;
        wait_until("polls", || self.told.lock().unwrap().len() >= until);
    }

    /// From the next document on there are those, for some polls.
    fn change(&self, change: impl FnOnce(&mut Vec<Host>, u64)) {
        {
            let told = self.told.lock().unwrap();
            let next = T0 + PACE * (told.len() as u64 + 1);
            change(&mut self.hosts.lock().unwrap(), next);
        }
        self.wait_for_polls(3);
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn document(name: &str, hosts: &[Host], time: u64) -> Vec<u8> {
    let mut all = String::new();
    for host in hosts {
        let _ = write!(
            all,
            "<HOST NAME=\"{}\" IP=\"127.0.0.1\" REPORTED=\"{time}\" TN=\"0\" TMAX=\"20\" \
             DMAX=\"0\" LOCATION=\"\" GMOND_STARTED=\"1\">\n<METRIC NAME=\"ticks\" VAL=\"{}\" \
             TYPE=\"double\" UNITS=\"\" TN=\"0\" TMAX=\"60\" DMAX=\"0\" SLOPE=\"positive\" \
             SOURCE=\"gmond\"/>\n</HOST>\n",
            host.name,
            host.value(time)
        );
    }
    let cluster = format!(
        "<CLUSTER NAME=\"{name}\" LOCALTIME=\"{time}\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n{all}\
         </CLUSTER>\n"
    );
    let sum: u64 = hosts.iter().map(|host| host.value(time)).sum();
    let num = hosts.len();
    let inside = format!(
        "{cluster}<GRID NAME=\"{name} in full\" AUTHORITY=\"\" LOCALTIME=\"{time}\">\n{cluster}</GRID>\n\
         <GRID NAME=\"{name} summary\" AUTHORITY=\"\" LOCALTIME=\"{time}\">\n<HOSTS UP=\"{num}\" \
         DOWN=\"0\" SOURCE=\"gmetad\"/>\n<METRICS NAME=\"ticks\" SUM=\"{sum}\" NUM=\"{num}\" \
         TYPE=\"double\" UNITS=\"\" SLOPE=\"positive\" SOURCE=\"gmond\"/>\n</GRID>\n"
    );
    crate::support::peers::document("gmetad", &inside)
}

fn rrdtool(arguments: &[&str]) -> String {
    let output = Command::new("rrdtool").args(arguments).output().unwrap();
    assert!(output.status.success(), "rrdtool {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every rate that a file has, by second.
fn rates(file: &Path, until: u64) -> BTreeMap<u64, f64> {
    let (start, end) = (T0.to_string(), until.to_string());
    let file = file.to_str().unwrap();
    let text = rrdtool(&["fetch", file, "AVERAGE", "--start", &start, "--end", &end]);
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    lines
        .map(|(time, values)| {
            let first = values.split(' ').next().unwrap();
            (time.parse().unwrap(), first.parse().unwrap())
        })
        .filter(|(_, rate): &(u64, f64)| !rate.is_nan())
        .collect()
}

/// Holds a file against what was told: each rate is the true one, and of the time between two
/// documents whose hosts went on all is known, but for `lost` times at most. Where only numbers are
/// told, other hosts that are as many and have counted more are not to be told from those before.
fn check(file: &Path, source: &Source, only_numbers: bool, lost: usize) {
    let told = source.told.lock().unwrap().clone();
    let end = *told.keys().next_back().unwrap();
    let rates = rates(file, end);
    let mut unknown = Vec::new();
    let mut known = 0;
    for ((_, before), (end, after)) in told.iter().zip(told.iter().skip(1)) {
        let seconds = end - PACE + 1..=*end;
        let found: Vec<f64> = seconds.filter_map(|at| rates.get(&at).copied()).collect();
        let sum = |hosts: &[Host], at: u64| hosts.iter().map(|host| host.value(at)).sum::<u64>();
        let looks_the_same = before.len() == after.len() && sum(after, *end) > sum(before, *end);
        let goes_on = before == after;
        if only_numbers && !goes_on && looks_the_same {
            continue;
        }
        if !goes_on {
            assert!(found.is_empty(), "{}: {found:?} at {end}", file.display());
        } else if found.is_empty() {
            unknown.push(*end - T0);
        } else {
            let right = (RATE * after.len() as u64) as f64;
            let all_right = found.iter().all(|rate| (rate - right).abs() < 1e-6);
            assert!(all_right, "{}: {found:?} at {end}", file.display());
            known += 1;
        }
    }
    assert!(known > 0, "{}: {rates:?}", file.display());
    assert!(
        unknown.len() <= lost,
        "{}: lost too much: {unknown:?}",
        file.display()
    );
}

/// Hosts come, go, begin anew, and are others after a restart; then each file is looked at.
fn a_life(folder: &Path, directives: &str, lost: usize, flush: impl Fn(&Path)) {
    let source = Source::start(
        "c",
        vec![host("a", 5_000_000_000), host("b", 7_000_000_000)],
    );
    let directives = format!(
        "data_source \"s\" 1 127.0.0.1:{}\nRRAs \"RRA:AVERAGE:0:1:5000\"\n{directives}",
        source.port
    );
    let gmetad = Gmetad::start(folder, &directives);
    source.wait_for_polls(3);
    source.change(|hosts, _| hosts.push(host("c", 9_000_000_000_000)));
    // As many as before, but others.
    source.change(|hosts, _| hosts[0] = host("d", 8_000_000_000));
    source.change(|hosts, time| {
        hosts[1] = Host {
            since: time,
            ..host("b", 3)
        };
    });
    source.change(|hosts, _| hosts.truncate(hosts.len() - 1));
    assert!(gmetad.end().success());
    source.hosts.lock().unwrap()[0].base = 6_000_000_000;
    let gmetad = Gmetad::start(folder, &directives);
    source.wait_for_polls(5);
    assert!(gmetad.end().success());
    for node in ["c", "c in full", "c summary"] {
        let file = folder.join(format!("rrds/{node}/__SummaryInfo__/ticks.rrd"));
        flush(&file);
        check(&file, &source, node == "c summary", lost);
    }
}

#[test]
fn no_rate_is_above_the_true_one_when_hosts_come_and_go() {
    let name = "no_rate_is_above_the_true_one_when_hosts_come_and_go";
    if !crate::support::peers::available(name, &["rrdtool"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    a_life(folder.path(), "", 4, |_| {});
}

#[test]
fn no_rate_is_above_the_true_one_where_samples_wait() {
    let name = "no_rate_is_above_the_true_one_where_samples_wait";
    if !crate::support::peers::available(name, &["rrdtool"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("journal");
    let directives = format!(
        "rrd {{\n write_timeout 300\n journal_dir \"{}\"\n}}",
        journal.display()
    );
    a_life(folder.path(), &directives, 4, |_| {});
}

#[test]
fn no_rate_is_above_the_true_one_through_rrdcached() {
    let name = "no_rate_is_above_the_true_one_through_rrdcached";
    if !crate::support::peers::available(name, &["rrdtool", "rrdcached"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let rrdcached = Rrdcached::start();
    let directives = format!("rrdcached_address unix:{}", rrdcached.socket().display());
    a_life(folder.path(), &directives, 6, |file| {
        assert!(rrdcached.flush(file), "{}", file.display());
    });
}

/// The rates that a file has, and the one of the step that is under way, if any of it is known.
fn rates_by_now(file: &Path) -> Vec<f64> {
    let name = file.to_str().unwrap();
    let text = rrdtool(&["fetch", name, "AVERAGE", "--start", "end-10min"]);
    let rows = text.lines().filter_map(|line| line.split_once(": "));
    let mut rates: Vec<f64> = rows
        .filter_map(|(_, values)| values.split(' ').next()?.parse().ok())
        .collect();
    let info = rrdtool(&["info", name]);
    let of = |key: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(key));
        line.map_or(f64::NAN, |value| value.parse().unwrap())
    };
    let secs = of("last_update = ") % 15.0 - of("ds[sum].unknown_sec = ");
    if secs > 0.0 {
        rates.push(of("ds[sum].value = ") / secs);
    }
    rates.retain(|rate| !rate.is_nan());
    rates
}

#[test]
fn no_rate_of_the_root_is_above_the_true_one_when_sources_come_and_go() {
    let name = "no_rate_of_the_root_is_above_the_true_one_when_sources_come_and_go";
    if !crate::support::peers::available(name, &["rrdtool"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let one = Source::start("one", vec![host("a", 5_000_000_000)]);
    let two = Source::start("two", vec![]);
    let gmetad = Gmetad::start(
        folder.path(),
        &format!(
            "data_source \"one\" 1 127.0.0.1:{}\ndata_source \"two\" 1 127.0.0.1:{}\n\
             RRAs \"RRA:AVERAGE:0:1:5000\"",
            one.port, two.port
        ),
    );
    let file = folder.path().join("rrds/__SummaryInfo__/ticks.rrd");
    one.wait_for_polls(3);
    two.change(|hosts, _| hosts.push(host("z", 9_000_000_000_000)));
    drop(two);
    gmetad.wait_for_line("source \"two\"");
    one.wait_for_polls(3);
    wait_until("a rate", || !rates_by_now(&file).is_empty());
    // A poll a second or more often, three nodes of each source; its root is written twice as often.
    let most = (6 * PACE * RATE) as f64 * 4.0;
    for rate in rates_by_now(&file) {
        assert!(rate <= most, "{:?}", rates_by_now(&file));
    }
    assert!(gmetad.end().success());
}
