//! Sums of counters when hosts come, go and begin anew: no rate is ever above the true one, and
//! little is lost.
#![cfg(feature = "rrd")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::support::clockwork::{Clockwork, rows, rrdtool};
use crate::support::stores::Rrdcached;
use crate::support::{Gmetad, wait_until};
use tempfile::TempDir;

const T0: u32 = 1_700_000_000;

/// Seconds that the source's clock goes on with each poll.
const PACE: u32 = 4;

/// What a host's counter grows by in a second.
const RATE: u64 = 10;

/// A host: what its counter had at `since`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Host {
    name: &'static str,
    base: u64,
    since: u32,
}

fn host(name: &'static str, base: u64) -> Host {
    Host {
        name,
        base,
        since: T0,
    }
}

impl Host {
    fn value(&self, time: u32) -> u64 {
        self.base + RATE * u64::from(time - self.since)
    }
}

/// A gmetad below: a cluster, a grid with that cluster in full, and one with a summary only. Its
/// clock goes on with each poll.
struct Source {
    clockwork: Clockwork,
    hosts: Arc<Mutex<Vec<Host>>>,
    /// Those of each document, by its time; also of one that is being sent.
    told: Arc<Mutex<BTreeMap<u32, Vec<Host>>>>,
}

/// The time in the document for a poll, by how many there were before.
fn time_of(poll: u32) -> u32 {
    T0 + PACE * (poll + 1)
}

impl Source {
    fn start(cluster: &'static str, hosts: Vec<Host>) -> Source {
        let hosts = Arc::new(Mutex::new(hosts));
        let told: Arc<Mutex<BTreeMap<u32, Vec<Host>>>> = Arc::default();
        let clockwork = {
            let (hosts, told) = (Arc::clone(&hosts), Arc::clone(&told));
            Clockwork::start(move |polls| {
                let mut told = told.lock().unwrap();
                let hosts = hosts.lock().unwrap().clone();
                let bytes = document(cluster, &hosts, time_of(polls));
                told.insert(time_of(polls), hosts);
                bytes
            })
        };
        Source {
            clockwork,
            hosts,
            told,
        }
    }

    /// The hosts of each document that was sent, by its time.
    fn told(&self) -> BTreeMap<u32, Vec<Host>> {
        let sent = time_of(self.clockwork.polls());
        let mut told = self.told.lock().unwrap().clone();
        told.retain(|time, _| *time < sent);
        told
    }

    /// From the next document on there are those, for some polls.
    fn change(&self, change: impl FnOnce(&mut Vec<Host>, u32)) {
        {
            let told = self.told.lock().unwrap();
            let next = time_of(told.len() as u32);
            change(&mut self.hosts.lock().unwrap(), next);
        }
        self.clockwork.wait_for_polls(3);
    }
}

fn document(name: &str, hosts: &[Host], time: u32) -> Vec<u8> {
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

/// Compares a file with what was sent: each rate is the true one, and the time between two
/// documents with continuing hosts is known, except `lost` times at most. Where only counts are
/// sent, equally many other hosts with higher counters cannot be recognized as others.
fn check(file: &Path, source: &Source, only_numbers: bool, lost: usize) {
    let told = source.told();
    let end = *told.keys().next_back().unwrap();
    let rates = rows(file, T0, end);
    let mut unknown = Vec::new();
    let mut known = 0;
    for ((_, before), (end, after)) in told.iter().zip(told.iter().skip(1)) {
        let seconds = end - PACE + 1..=*end;
        let found: Vec<f64> = seconds.filter_map(|at| rates.get(&at).copied()).collect();
        let sum = |hosts: &[Host], at: u32| hosts.iter().map(|host| host.value(at)).sum::<u64>();
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
        source.clockwork.port()
    );
    let gmetad = Gmetad::start(folder, &directives);
    source.clockwork.wait_for_polls(3);
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
    source.clockwork.wait_for_polls(5);
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
fn no_rate_is_above_the_true_one_with_a_write_cache() {
    let name = "no_rate_is_above_the_true_one_with_a_write_cache";
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
            one.clockwork.port(),
            two.clockwork.port()
        ),
    );
    let file = folder.path().join("rrds/__SummaryInfo__/ticks.rrd");
    one.clockwork.wait_for_polls(3);
    two.change(|hosts, _| hosts.push(host("z", 9_000_000_000_000)));
    drop(two);
    gmetad.wait_for_line("source \"two\"");
    one.clockwork.wait_for_polls(3);
    wait_until("a rate", || !rates_by_now(&file).is_empty());
    // A poll a second or more often, three nodes of each source; its root is written twice as often.
    let most = (6 * u64::from(PACE) * RATE) as f64 * 4.0;
    for rate in rates_by_now(&file) {
        assert!(rate <= most, "{:?}", rates_by_now(&file));
    }
    assert!(gmetad.end().success());
}
