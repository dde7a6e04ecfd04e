//! What a store is sent, update by update.

mod sections;

use std::collections::BTreeMap;

use fastrand::Rng;
use prost::Message as _;

use super::encode::STALE;
use super::encode::message::{TimeSeries, WriteRequest};
use super::*;
use crate::testing::{edge_cases, update_of};
use gmetad_config::{Disk, Overrides, parse};
use gmetad_core::model::{Mono, Now};
use gmetad_core::plugin::{Invented, Stamp};

/// The start of the tests, by our clock.
const START: i64 = 1_795_367_150;

/// A series as it is written, and its sample: value and time in milliseconds.
type Sent = (String, f64, i64);

fn settings(lines: &str) -> Result<Settings, String> {
    let text = format!("data_source a b\nremote_write {{\n{lines}\n}}");
    let file = std::path::Path::new("g.conf");
    let loaded = parse(text.as_bytes(), file, &Disk, &Overrides::default(), "h");
    let config = loaded.map_err(|error| error.to_string())?.config;
    let section = config.export_sections("remote_write").remove(0);
    Settings::read(section).map_err(|error| error.to_string())
}

fn store(lines: &str) -> Store {
    Store::new(settings(&format!("url http://h/w\n{lines}")).unwrap())
}

fn written(series: &TimeSeries) -> String {
    let mut labels: Vec<String> = Vec::new();
    let mut name = "";
    for label in &series.labels {
        assert!(!label.value.is_empty(), "{series:?}");
        if label.name == "__name__" {
            name = &label.value;
        } else {
            labels.push(format!("{}=\"{}\"", label.name, label.value));
        }
    }
    let names: Vec<&str> = series.labels.iter().map(|it| it.name.as_str()).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "sorted: {names:?}");
    format!("{name}{{{}}}", labels.join(","))
}

fn sent(request: &[u8]) -> Vec<Sent> {
    let request = WriteRequest::decode(request).unwrap();
    let series = request.timeseries.iter();
    series
        .map(|series| {
            let sample = &series.samples[0];
            (written(series), sample.value, sample.timestamp)
        })
        .collect()
}

impl Store {
    fn sends(&mut self, update: &Update) -> Vec<Sent> {
        let mut request = Vec::new();
        self.update(update, &mut |sample| request.extend_from_slice(sample));
        sent(&request)
    }

    fn sends_of_root(&mut self, root: &RootUpdate) -> Vec<Sent> {
        let mut request = Vec::new();
        self.root(root, &mut |sample| request.extend_from_slice(sample));
        sent(&request)
    }
}

/// An update at `START + secs`, of a document with `localtime_is` more on its clock.
fn at(secs: i64, localtime_is: i64, hosts: &str) -> Update {
    let localtime = START + secs + localtime_is;
    let mut update = update_of(
        format!(
            "<GANGLIA_XML VERSION=\"3.7.2\" SOURCE=\"gmond\"><CLUSTER NAME=\"c\" \
             LOCALTIME=\"{localtime}\" OWNER=\"\" LATLONG=\"\" URL=\"\">{hosts}</CLUSTER>\
             </GANGLIA_XML>"
        )
        .as_bytes(),
    );
    update.now = Now {
        epoch: START + secs,
        mono: Mono(0),
    };
    update.stamp = Stamp::of(&update.node, update.now);
    update
}

fn host(name: &str, tn: u32, metrics: &str) -> String {
    format!(
        "<HOST NAME=\"{name}\" IP=\"\" REPORTED=\"{START}\" TN=\"{tn}\" TMAX=\"20\" DMAX=\"0\" \
         LOCATION=\"\" GMOND_STARTED=\"0\">{metrics}</HOST>"
    )
}

fn metric(name: &str, value: &str, tn: u32) -> String {
    format!(
        "<METRIC NAME=\"{name}\" VAL=\"{value}\" TYPE=\"double\" UNITS=\"\" TN=\"{tn}\" TMAX=\"60\" \
         DMAX=\"0\" SLOPE=\"both\"/>"
    )
}

#[test]
fn of_a_cluster_of_several_sources_the_values_of_the_newest_are_sent_and_that_all_are_up() {
    let of = |name: &str, metrics: &str| match at(0, 0, &host(name, 1, metrics)).node {
        Node::Cluster(cluster) => Cluster::clone(&cluster),
        Node::Grid(_) => unreachable!(),
    };
    let (one, two) = (metric("one", "1", 1), metric("two", "2", 1));
    let (a, b) = (of("a", &(one.clone() + &two)), of("b", &(two + &one)));
    let mut store = store("");
    let mut sends = |secs: i64, newest: usize| {
        let mut update = at(secs, 0, "");
        let parts = vec![a.clone().into(), b.clone().into()];
        let mut whole = Cluster::of_parts("c", parts, Some(newest));
        whole.localtime = START + secs;
        update.node = Node::Cluster(Arc::new(whole));
        let sent = store.sends(&update).into_iter();
        let of_hosts = sent.filter(|(series, ..)| series.contains("host="));
        of_hosts
            .map(|(series, value, _)| format!("{series} {value}"))
            .collect::<Vec<_>>()
    };
    for (turn, newest) in [0, 1, 0].into_iter().enumerate() {
        let sent = sends(15 * turn as i64, newest).join("\n");
        let fresh = ["a", "b"][newest];
        for (metric, value) in [("one", 1), ("two", 2)] {
            let lines = sent.lines().filter(|line| line.contains(metric));
            let lines: Vec<&str> = lines.collect();
            assert_eq!(lines.len(), 1, "{sent}");
            assert!(lines[0].contains(&format!("host=\"{fresh}\"")), "{sent}");
            assert!(lines[0].ends_with(&format!(" {value}")), "{sent}");
        }
        assert_eq!(
            sent.lines().filter(|line| line.contains("up{")).count(),
            2,
            "{sent}"
        );
    }
}

/// Values of hosts' metrics, by metric.
fn values(sent: &[Sent]) -> BTreeMap<&str, (f64, i64)> {
    let own = sent
        .iter()
        .filter_map(|(series, value, time)| Some((series.strip_prefix("ganglia_")?, value, time)));
    own.map(|(series, &value, &time)| {
        let name = series.split('{').next().unwrap();
        (name, (value, time - START * 1000))
    })
    .collect()
}

fn is_end(value: f64) -> bool {
    value.to_bits() == STALE.to_bits()
}

/// Without the sums.
const HOSTS_ONLY: &str = "summaries off";

#[test]
fn series_are_named_as_the_page_of_metrics_names_them() {
    let mut store = store("");
    let sent: BTreeMap<String, f64> = store
        .sends(&edge_cases())
        .into_iter()
        .map(|(series, value, _)| (series, value))
        .collect();
    let of = |metric: &str| format!("{metric}cluster=\"Edge. A b\"");
    let host = "host=\"Node.Ex ample\"";
    for (metric, more, value) in [
        ("ganglia_a_b_c{", ",metric=\"a b.c\"", 1.5),
        ("ganglia_sp{", "", 7.0),
        ("ganglia_sl_ash{", ",metric=\"sl/ash\"", 1e5),
        ("ganglia_jos_{", ",metric=\"josé\"", 1.0),
        ("ganglia_live{", "", 5.0),
        ("gmetad_host_up{", "", 1.0),
    ] {
        let series = format!("{},{host}{more}}}", of(metric));
        assert_eq!(sent.get(&series), Some(&value), "{series} of {sent:#?}");
    }
    let down = format!("{},host=\"downhost\"}}", of("gmetad_host_up{"));
    assert_eq!(sent.get(&down), Some(&0.0));
    for none in [
        "ganglia_s{",
        "ganglia_nan{",
        "ganglia_hex{",
        "ganglia_dead{",
        "ganglia_x{",
    ] {
        assert!(
            !sent.keys().any(|series| series.starts_with(none)),
            "{none}"
        );
    }
    let sum = "gmetad_summary{cluster=\"Edge. A b\",metric=\"live\"}";
    assert_eq!(sent.get(sum), Some(&5.0));
    let hosts = "gmetad_summary_hosts{cluster=\"Edge. A b\",metric=\"live\"}";
    assert_eq!(sent.get(hosts), Some(&1.0));
    assert_eq!(sent["gmetad_hosts_up{cluster=\"Edge. A b\"}"], 1.0);
    assert_eq!(sent["gmetad_hosts_down{cluster=\"Edge. A b\"}"], 1.0);
}

#[test]
fn metrics_that_share_a_family_are_different_series() {
    let metrics = metric("a.b", "1", 0) + &metric("a_b", "2", 0) + &metric("a-b", "3", 0);
    let sent = store(HOSTS_ONLY).sends(&at(0, 0, &host("h", 0, &metrics)));
    let series: Vec<&str> = sent.iter().map(|(series, ..)| &**series).collect();
    assert_eq!(
        series[1..],
        [
            "ganglia_a_b{cluster=\"c\",host=\"h\",metric=\"a.b\"}",
            "ganglia_a_b{cluster=\"c\",host=\"h\"}",
            "ganglia_a_b{cluster=\"c\",host=\"h\",metric=\"a-b\"}",
        ]
    );
}

#[test]
fn external_labels_stand_in_all_series_in_order() {
    let lines = "external_label replica r1\nexternal_label DC d\nexternal_label dc e\n\
                 external_label empty \"\"\nsummaries off";
    let sent = store(lines).sends(&at(0, 0, &host("h", 0, &metric("a.b", "1", 0))));
    let series: Vec<&str> = sent.iter().map(|(series, ..)| &**series).collect();
    assert_eq!(
        series,
        [
            "gmetad_host_up{DC=\"d\",cluster=\"c\",dc=\"e\",host=\"h\",replica=\"r1\"}",
            "ganglia_a_b{DC=\"d\",cluster=\"c\",dc=\"e\",host=\"h\",metric=\"a.b\",replica=\"r1\"}",
        ]
    );
}

#[test]
fn a_value_is_sent_once_with_the_time_when_it_was_collected() {
    let mut store = store(HOSTS_ONLY);
    let mut poll = |secs: i64, tn: u32, value: &str| {
        let sent = store.sends(&at(secs, 0, &host("h", 0, &metric("x", value, tn))));
        values(&sent).get("x").copied()
    };
    // A gmetad before this one may have sent it, or another value of that second.
    assert_eq!(poll(0, 3, "1"), Some((1.0, 1)));
    assert_eq!(poll(15, 5, "1"), Some((1.0, 10_000)));
    assert_eq!(poll(30, 20, "1"), None, "as old as it was");
    assert_eq!(poll(45, 34, "1"), None, "seconds are cut");
    assert_eq!(poll(60, 49, "2"), Some((2.0, 11_000)), "another value");
    assert_eq!(poll(75, 1, "2"), Some((2.0, 74_000)));
    assert_eq!(
        poll(90, 16, "3"),
        Some((3.0, 90_000)),
        "its own time was sent"
    );
}

#[test]
fn a_value_that_is_collected_rarely_is_sent_before_stores_call_it_stale() {
    let mut store = store(HOSTS_ONLY);
    let mut last = None;
    for secs in (0..3600).step_by(15) {
        let document = host("h", 0, &metric("x", "7", secs as u32 + 1000));
        let sent = store.sends(&at(secs, 0, &document));
        if let Some((value, time)) = values(&sent).get("x") {
            assert_eq!(*value, 7.0);
            if let Some(last) = last {
                assert!((240_000..300_000).contains(&(time - last)), "{time}");
            }
            last = Some(*time);
        }
    }
    assert!(last > Some(3_200_000));
}

#[test]
fn what_goes_away_ends_and_may_come_back() {
    let mut store = store(HOSTS_ONLY);
    let two = metric("x", "1", 0) + &metric("y", "2", 0);
    store.sends(&at(0, 0, &(host("h", 0, &two) + &host("gone", 0, &two))));
    let sent = store.sends(&at(15, 0, &host("h", 0, &metric("x", "1", 0))));
    let ends: Vec<&str> = sent
        .iter()
        .filter(|(_, value, time)| is_end(*value) && *time == (START + 15) * 1000)
        .map(|(series, ..)| series.as_str())
        .collect();
    assert_eq!(
        ends,
        [
            "ganglia_y{cluster=\"c\",host=\"h\"}",
            "gmetad_host_up{cluster=\"c\",host=\"gone\"}",
            "ganglia_x{cluster=\"c\",host=\"gone\"}",
            "ganglia_y{cluster=\"c\",host=\"gone\"}",
        ]
    );
    let sent = store.sends(&at(30, 0, &host("h", 0, &two)));
    assert_eq!(values(&sent)["y"], (2.0, 30_000));
    assert_eq!(sent.len(), 3, "{sent:?}");
}

#[test]
fn a_host_that_is_down_has_only_that_it_is() {
    let mut store = store(HOSTS_ONLY);
    store.sends(&at(0, 0, &host("h", 0, &metric("x", "1", 0))));
    let sent = store.sends(&at(15, 0, &host("h", 80, &metric("x", "1", 15))));
    assert_eq!(sent[0].1, 0.0, "gmetad_host_up");
    assert!(is_end(sent[1].1) && sent.len() == 2, "{sent:?}");
}

#[test]
fn a_source_that_is_down_sends_nothing_until_its_hosts_are_down() {
    let mut store = store(HOSTS_ONLY);
    let document = host("h", 10, &metric("x", "1", 0));
    store.sends(&at(0, 0, &document));
    let mut update = at(0, 0, &document);
    update.up = false;
    let mut at_secs = |secs: u64| {
        update.now = Now {
            epoch: START + secs as i64,
            mono: Mono(secs * 1000),
        };
        let sent = store.sends(&update);
        sent.into_iter()
            .map(|(_, value, _)| value)
            .collect::<Vec<_>>()
    };
    assert_eq!(at_secs(60), [1.0]);
    let down = at_secs(70);
    assert!(down[0] == 0.0 && is_end(down[1]), "{down:?}");
    assert_eq!(at_secs(90), [0.0]);
}

#[test]
fn times_are_held_to_our_clock() {
    for (localtime_is, expected) in [
        (0, 12_000),
        (200, 12_000),
        (100_000, 12_000),
        (-200, -188_000),
        (-301, 12_000),
        (-100_000, 12_000),
    ] {
        let mut store = store(HOSTS_ONLY);
        store.sends(&at(0, localtime_is, ""));
        let document = host("h", 0, &metric("x", "1", 3));
        let sent = store.sends(&at(15, localtime_is, &document));
        assert_eq!(values(&sent)["x"], (1.0, expected), "{localtime_is}");
    }
}

#[test]
fn times_of_a_series_ever_rise_whatever_the_source_says() {
    for seed in 0..60 {
        let mut random = Rng::with_seed(seed);
        let mut store = store("");
        let mut newest: BTreeMap<String, i64> = BTreeMap::new();
        let mut secs = 0;
        for _ in 0..60 {
            secs += random.i64(0..30);
            let hosts = (0..3).filter(|_| random.u8(..8) > 0).collect::<Vec<_>>();
            let document: String = hosts
                .into_iter()
                .map(|name| {
                    let mut names = vec!["a.b", "a_b", "a-b", "x", "y"];
                    random.shuffle(&mut names);
                    let metrics: String = (names.iter().take(random.usize(..6)))
                        .map(|name| metric(name, ["1", "2"][random.usize(..2)], random.u32(..90)))
                        .collect();
                    host(&format!("h{name}"), random.u32(..90), &metrics)
                })
                .collect();
            let localtime_is = [0, 0, 1, -1, 50, -50, 400, -400][random.usize(..8)];
            let mut update = at(secs, localtime_is, &document);
            update.up = random.u8(..10) > 0;
            update.stamp.leads = random.u8(..10) > 0;
            for (series, _, time) in store.sends(&update) {
                assert!(
                    time <= (START + secs + 1) * 1000,
                    "seed {seed}: {series} is ahead"
                );
                let last = newest.insert(series.clone(), time);
                assert!(last < Some(time), "seed {seed}: {series} {last:?} {time}");
            }
        }
    }
}

fn root(secs: i64, gridname: &str, present: &[(&str, &str)]) -> RootUpdate {
    RootUpdate {
        gridname: gridname.into(),
        authority: "".into(),
        summary: Arc::default(),
        now: Now {
            epoch: START + secs,
            mono: Mono(0),
        },
        present: present
            .iter()
            .map(|(source, node)| ((*source).into(), (*node).into()))
            .collect(),
        invented: Invented::default(),
    }
}

#[test]
fn a_cluster_that_is_no_longer_there_ends_and_so_does_a_grid_of_another_name() {
    let mut store = store("");
    let first = store.sends(&at(0, 0, &host("h", 0, &metric("x", "1", 0))));
    let stays = store.sends_of_root(&root(7, "G", &[("source", "c")]));
    let grid = [
        "gmetad_hosts_up{grid=\"G\"}",
        "gmetad_hosts_down{grid=\"G\"}",
    ];
    let names: Vec<&str> = stays.iter().map(|(series, ..)| &**series).collect();
    assert_eq!(names, grid);
    let ends = store.sends_of_root(&root(15, "H", &[("other", "c")]));
    let ended = ends.iter().filter(|(_, value, _)| is_end(*value));
    let mut ended: Vec<&str> = ended.map(|(series, ..)| &**series).collect();
    let mut expected: Vec<&str> = first.iter().map(|(series, ..)| &**series).collect();
    expected.extend(grid);
    expected.sort_unstable();
    ended.sort_unstable();
    assert_eq!(ended, expected);
    assert_eq!(ends.len(), expected.len() + 2, "and the new grid's");
}

#[test]
fn rules_leave_out_metrics_and_hosts() {
    let lines = "metrics exclude \"/^disk_/\" x\nhosts include h\nhosts exclude \"/./\"";
    let metrics = metric("x", "1", 0) + &metric("disk_a", "1", 0) + &metric("y", "1", 0);
    let document = host("h", 0, &metrics) + &host("i", 0, &metrics);
    let sent = store(lines).sends(&at(0, 0, &document));
    let names: Vec<&str> = sent
        .iter()
        .map(|(series, ..)| series.as_str())
        .filter(|series| series.contains("host=") || series.contains("metric="))
        .collect();
    assert_eq!(
        names,
        [
            "gmetad_host_up{cluster=\"c\",host=\"h\"}",
            "ganglia_y{cluster=\"c\",host=\"h\"}",
            "gmetad_summary{cluster=\"c\",metric=\"y\"}",
            "gmetad_summary_hosts{cluster=\"c\",metric=\"y\"}",
        ]
    );
}

#[test]
fn influx_gets_the_same_values_as_lines() {
    let lines =
        "protocol influx\nexternal_label DC \"d c\"\nexternal_label replica r\nsummaries off";
    let mut influx = store(lines);
    let metrics = metric("a.b", "1.5", 0) + &metric("x", "2", 0);
    let mut sends = |document: &str, secs: i64| {
        let mut sent = Vec::new();
        let update = at(secs, 0, document);
        influx.update(&update, &mut |sample| sent.extend_from_slice(sample));
        String::from_utf8(sent).unwrap()
    };
    let time = START * 1000 + 1;
    assert_eq!(
        sends(&host("h 1", 0, &metrics), 0),
        format!(
            "gmetad_host_up,DC=d\\ c,cluster=c,host=h\\ 1,replica=r value=1 {time}\n\
             ganglia_a_b,DC=d\\ c,cluster=c,host=h\\ 1,metric=a.b,replica=r value=1.5 {time}\n\
             ganglia_x,DC=d\\ c,cluster=c,host=h\\ 1,replica=r value=2 {time}\n"
        )
    );
    assert_eq!(
        sends("", 15),
        "",
        "a marker of staleness has no counterpart"
    );
    let settings = settings("url http://h/write?db=g\nprotocol influx").unwrap();
    assert_eq!(settings.url.path, "/write?db=g&precision=ms");
}
