//! Values written to a real InfluxDB.

use std::collections::BTreeMap;

use crate::remote_write::{clocks, configured, hostile};
use crate::rig::{Plugins, now};
use crate::support::peers::available;
use crate::support::stores::Influx;
use crate::support::wait_until;

fn to(port: u16, lines: &str) -> String {
    format!(
        "remote_write {{\nprotocol influx\nurl \"http://127.0.0.1:{port}/write?db=g\"\n{lines}\n}}\n"
    )
}

#[test]
fn every_value_is_in_an_influxdb_with_its_tags_and_time_however_often_it_is_killed() {
    let test = "every_value_is_in_an_influxdb";
    if !available(test, &["influxd"]) {
        return;
    }
    let mut influx = Influx::start();
    let lines = "batch_samples 50\nsummaries off\nexternal_label replica \"r 1\"";
    let mut plugins = Plugins::start(&configured(&to(influx.port(), lines)));
    let (hosts, metrics, first) = (10, 15, now() - 100);
    let mut expected: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
    for round in 0..6 {
        if round % 3 == 1 {
            influx.kill();
        }
        let time = first + 10 * round;
        plugins.poll(&clocks(time, hosts, metrics, 0));
        if round % 3 == 2 {
            influx.start_again();
        }
        for host in 0..hosts {
            for metric in 0..metrics {
                let series =
                    format!("ganglia_m{metric}{{cluster=\"c\",host=\"h{host}\",replica=\"r 1\"}}");
                let millis = i64::from(time) * 1000 + i64::from(round == 0);
                let points = expected.entry(series).or_default();
                points.push((millis, f64::from(time)));
            }
        }
    }
    wait_until("the values in the store", || {
        influx.points("^ganglia_.*") == expected
    });
    let status = plugins.status("remote_write");
    assert_eq!((status.failed, status.dropped), (0, 0), "{status:?}");
    plugins.end();
}

#[test]
fn hostile_names_are_read_back_from_influxdb_unchanged() {
    if !available(
        "hostile_names_are_read_back_from_influxdb_unchanged",
        &["influxd"],
    ) {
        return;
    }
    let influx = Influx::start();
    let mut plugins = Plugins::start(&configured(&to(influx.port(), "")));
    let time = u64::from(now()) - 100;
    let more = "<HOST NAME=\"a, b=c\\,d\\\" REPORTED=\"TIME\" TN=\"0\" TMAX=\"20\">\
        <METRIC NAME=\"big\" VAL=\"1e300\" TYPE=\"double\" TN=\"0\" TMAX=\"60\" SLOPE=\"both\"/>\
        <METRIC NAME=\"tiny\" VAL=\"-1e-20\" TYPE=\"double\" TN=\"0\" TMAX=\"60\" SLOPE=\"both\"/>\
        </HOST></CLUSTER>";
    let document = String::from_utf8(hostile(time)).expect("text");
    let document = document.replace(
        "</CLUSTER>",
        &more.replace("\"TIME\"", &format!("\"{time}\"")),
    );
    plugins.poll(&document);
    let cluster = "cluster=\"c \\\"l\\\\\u{240a}{}é\"";
    let odd = format!("{cluster},host=\"h\\\"}},x=€\"");
    let last = format!("{cluster},host=\"a, b=c\\\\,d\u{ff3c}\"");
    let at = time as i64 * 1000 + 1;
    let expected: BTreeMap<String, Vec<(i64, f64)>> = [
        (format!("gmetad_host_up{{{odd}}}"), 1.0),
        (format!("gmetad_host_up{{{last}}}"), 1.0),
        (format!("gmetad_host_up{{{cluster},host=\"down\"}}"), 0.0),
        (format!("ganglia_a_b{{{odd},metric=\"a.b\"}}"), 1.0),
        (format!("ganglia_a_b{{{odd}}}"), -2.5),
        (
            format!("ganglia_1___{{{odd},metric=\"1\u{240a}\\\"ä\"}}"),
            3e3,
        ),
        (
            format!("ganglia_reads_total{{{odd},metric=\"reads\"}}"),
            4.0,
        ),
        (format!("ganglia_reads_total{{{odd}}}"), 5.0),
        (format!("ganglia_big{{{last}}}"), 1e300),
        (format!("ganglia_tiny{{{last}}}"), -1e-20),
    ]
    .into_iter()
    .map(|(series, value)| (series, vec![(at, value)]))
    .collect();
    let mut points = BTreeMap::new();
    wait_until("all series", || {
        points = influx.points("^(ganglia_.*|gmetad_host_up)$");
        points.len() >= expected.len()
    });
    assert_eq!(points, expected);
    assert_eq!(plugins.status("remote_write").failed, 0);
    plugins.end();
}
