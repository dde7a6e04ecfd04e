//! What the RRD plugins leave on disk, read back with rrdtool.
#![cfg(feature = "rrd")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{DEADLINE, once_unlocked};

use gmetad::plugins;
use gmetad::plugins::PluginHandle;
use gmetad_config::{Config, RrdConfig};
use gmetad_core::model::{
    Cluster, Contributors, Grid, Host, HostInfo, Metric, MetricDef, MetricFields, Mono, Node, Now,
    Number, Summary, SummaryBuilder, order_by_name,
};

use gmetad_core::plugin::{Invented, RootUpdate, Stamp, Update};
use gmetad_core::status::{PluginState, PluginStatus, RrdStatus};
use tempfile::TempDir;

const T0: i64 = 1_700_000_000;

/// A metric of a test: name, type, slope, value.
type Value<'a> = (&'a str, &'a str, &'a str, &'a str);

fn def(name: &str, ty: &str, slope: &str) -> Arc<MetricDef> {
    Arc::new(MetricDef::new(MetricFields {
        name: name.into(),
        type_text: ty.into(),
        slope_text: slope.into(),
        dmax: 600,
        ..MetricFields::default()
    }))
}

fn host(name: &str) -> Host {
    Host {
        info: Arc::new(HostInfo {
            name: name.into(),
            ..HostInfo::default()
        }),
        reported: T0,
        tn: 0,
        up: true,
        fresh: true,
        received: Mono(0),
        first_metric: 0,
        metric_count: 0,
    }
}

fn cluster(name: &str, localtime: i64, hosts: &[(&str, &[Value<'_>])]) -> Cluster {
    let mut defs = Vec::new();
    let mut cluster = Cluster {
        name: name.into(),
        localtime,
        ..Cluster::default()
    };
    for (name, values) in hosts {
        let mut host = host(name);
        host.first_metric = cluster.metrics.len() as u32;
        host.metric_count = values.len() as u32;
        for (name, ty, slope, value) in *values {
            let metric = Metric::new(defs.len() as u32, 0, (*value).into());
            defs.push(def(name, ty, slope));
            cluster.metrics.push(metric);
        }
        cluster.hosts.push(host);
    }
    cluster.defs = Arc::new(defs);
    cluster.by_name = order_by_name(&cluster.hosts).0;
    cluster
}

fn summary(sums: &[(&str, &str, f64, u32)]) -> Summary {
    let mut builder = SummaryBuilder::default();
    for (name, slope, value, num) in sums {
        let sum = Number {
            value: *value,
            decimals: 2,
        };
        let whose = Contributors::default();
        builder.add(&def(name, "double", slope), sum, *num, whose);
    }
    builder.finish()
}

struct Rig {
    folder: TempDir,
    root: PathBuf,
    config: Config,
    plugins: PluginHandle,
    /// When updates come; a clock that is not set by default.
    now: Now,
}

impl Rig {
    fn new() -> Rig {
        Rig::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Rig {
        let folder = TempDir::new().unwrap();
        let root = folder.path().join("inside").join("rrds");
        let mut config = Config {
            rrd: RrdConfig {
                rootdir: root.clone(),
                rras: vec![
                    "RRA:AVERAGE:0.5:1:100".into(),
                    "RRA:AVERAGE:0.5:4:50".into(),
                ],
                ..RrdConfig::default()
            },
            ..Config::new("test")
        };
        change(&mut config);
        Rig {
            plugins: plugins::start(&config, Box::new(|| ())).unwrap(),
            folder,
            root,
            config,
            now: Now::default(),
        }
    }

    fn send(&mut self, cluster: Cluster) {
        self.send_node(Node::Cluster(Arc::new(cluster)), true);
    }

    fn send_node(&mut self, node: Node, up: bool) {
        self.plugins.send(Update {
            source: "a source".into(),
            interval: Duration::from_secs(10),
            up,
            stamp: Stamp::of(&node, self.now),
            node,
            now: self.now,
            invented: Invented::default(),
        });
    }

    fn send_root(&mut self, epoch: i64, summary: Summary) {
        self.plugins.send_root(RootUpdate {
            gridname: "grid".into(),
            authority: "http://grid/".into(),
            summary: Arc::new(summary),
            now: Now {
                epoch,
                mono: Mono(0),
            },
            present: Arc::default(),
            invented: Invented::default(),
        });
    }

    /// Waits until all is written.
    fn end(&mut self) -> RrdStatus {
        assert!(self.plugins.stop(DEADLINE));
        self.plugins.rrd()
    }

    /// Stops, and starts again over the same files.
    fn restart(&mut self) -> RrdStatus {
        let status = self.end();
        self.plugins = plugins::start(&self.config, Box::new(|| ())).unwrap();
        status
    }

    /// Waits until every plugin has started, or could not.
    fn wait_until_started(&self) {
        let deadline = Instant::now() + DEADLINE;
        let starting = |it: &PluginStatus| it.state == PluginState::Starting;
        while self.plugins.plugins().iter().any(starting) {
            assert!(Instant::now() < deadline, "plugins do not start");
            std::thread::yield_now();
        }
    }

    /// The files below the root.
    fn files(&self) -> BTreeSet<String> {
        let mut files = BTreeSet::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let path = path.strip_prefix(&self.root).unwrap();
                    files.insert(path.to_str().unwrap().into());
                }
            }
        }
        files
    }

    fn info(&self, file: &str) -> String {
        rrdtool(&["info", self.path(file).to_str().unwrap()])
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// What was last written: `TIME: VALUE …`.
    fn last(&self, file: &str) -> String {
        let text = rrdtool(&["lastupdate", self.path(file).to_str().unwrap()]);
        text.lines().last().unwrap().into()
    }

    /// The averages from `start` on, for `seconds`.
    fn fetch(&self, file: &str, start: i64, seconds: i64) -> Vec<f64> {
        let path = self.path(file);
        let (start, end) = (start.to_string(), (start + seconds).to_string());
        let path = path.to_str().unwrap();
        let text = rrdtool(&["fetch", path, "AVERAGE", "-s", &start, "-e", &end]);
        text.lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(_, values)| values.split(' ').next().unwrap().parse().unwrap())
            .collect()
    }
}

fn rrdtool(arguments: &[&str]) -> String {
    let output = once_unlocked(Command::new("rrdtool").args(arguments));
    let output = output.expect("rrdtool is needed for this test: install the package rrdtool");
    assert!(
        output.status.success(),
        "rrdtool {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn set(files: &[&str]) -> BTreeSet<String> {
    files.iter().map(|file| (*file).to_owned()).collect()
}

#[test]
fn the_tree_is_the_one_that_graphs_expect() {
    let mut rig = Rig::new();
    let load: Value<'_> = ("load_one", "float", "both", "0.25");
    let mut one = cluster(
        "my cluster",
        T0,
        &[
            (
                "n1.example.org",
                &[load, ("os_name", "string", "zero", "Linux")],
            ),
            (
                "n2.example.org",
                &[load, ("boottime", "timestamp", "zero", "1")],
            ),
        ],
    );
    one.summary = summary(&[("load_one", "both", 0.5, 2)]);
    rig.send(one);
    let grid = Grid {
        name: "below".into(),
        localtime: T0,
        summary: summary(&[("load_one", "both", 7.5, 30)]),
        ..Grid::default()
    };
    rig.send_node(Node::Grid(Arc::new(grid)), true);
    rig.send_root(T0, summary(&[("load_one", "both", 8.0, 32)]));
    let status = rig.end();
    assert_eq!((status.written, status.created), (5, 5));
    assert_eq!((status.failed, status.repeated, status.broken), (0, 0, 0));
    let expected = [
        "__SummaryInfo__/load_one.rrd",
        "below/__SummaryInfo__/load_one.rrd",
        "my cluster/__SummaryInfo__/load_one.rrd",
        "my cluster/n1.example.org/load_one.rrd",
        "my cluster/n2.example.org/load_one.rrd",
    ];
    assert_eq!(rig.files(), set(&expected));
    assert_eq!(rig.last(expected[0]), format!("{T0}: 8 32"));
    assert_eq!(rig.last(expected[1]), format!("{T0}: 7.5 30"));
    assert_eq!(rig.last(expected[2]), format!("{T0}: 0.5 2"));
    assert_eq!(rig.last(expected[3]), format!("{T0}: 0.25"));

    let host = rig.info(expected[3]);
    assert!(host.contains("step = 10\n"), "that of the source");
    assert!(host.contains("ds[sum].type = \"GAUGE\"\n"));
    assert!(host.contains("ds[sum].minimal_heartbeat = 80\n"));
    assert!(host.contains("ds[sum].min = NaN\n") && host.contains("ds[sum].max = NaN\n"));
    assert!(!host.contains("ds[num]"));
    assert!(host.contains("rra[1].rows = 50\n") && !host.contains("rra[2]"));
    let root = rig.info(expected[0]);
    assert!(root.contains("step = 15\n"), "that of the root");
    assert!(root.contains("ds[num].type = \"GAUGE\"\n"));
    assert!(root.contains("ds[num].minimal_heartbeat = 120\n"));
}

#[test]
fn the_slope_decides_the_data_source_type() {
    let mut rig = Rig::new();
    let values = |a, b, c, d| -> [Value<'static>; 4] {
        [
            ("bytes", "uint32", "positive", a),
            ("drift", "int32", "derivative", b),
            ("flat", "double", "zero", c),
            ("odd", "double", "sideways", d),
        ]
    };
    let start = values("1000", "-50", "1.5", "1");
    // Counters that come as decimals count too.
    let next = values("1250.000", "-150", "2.5", "1");
    for (at, values) in [(0, start), (10, next)] {
        let mut news = cluster("c", T0 + at, &[("h", &values)]);
        news.summary = summary(&[
            ("bytes", "positive", 4000.0 + 25.0 * at as f64, 4),
            ("drift", "derivative", -10.0 * at as f64 - 1.0, 4),
            ("flat", "zero", 2.25, 4),
        ]);
        rig.send(news);
    }
    assert_eq!(rig.end().failed, 0);
    let kind = |file: &str, kind: &str| {
        assert!(
            rig.info(file)
                .contains(&format!("ds[sum].type = \"{kind}\"\n")),
            "{file}"
        );
    };
    for folder in ["h", "__SummaryInfo__"] {
        kind(&format!("c/{folder}/bytes.rrd"), "COUNTER");
        kind(&format!("c/{folder}/drift.rrd"), "DERIVE");
        kind(&format!("c/{folder}/flat.rrd"), "GAUGE");
    }
    kind("c/h/odd.rrd", "GAUGE");
    let summary = rig.info("c/__SummaryInfo__/bytes.rrd");
    assert!(summary.contains("ds[num].type = \"GAUGE\"\n"));
    // T0 is a multiple of the step, so both samples are at the ends of one.
    assert_eq!(rig.fetch("c/h/bytes.rrd", T0, 9), [25.0]);
    assert_eq!(rig.fetch("c/h/drift.rrd", T0, 9), [-10.0]);
    assert_eq!(rig.fetch("c/h/flat.rrd", T0, 9), [2.5]);
    assert_eq!(rig.fetch("c/__SummaryInfo__/bytes.rrd", T0, 9), [25.0]);
    assert_eq!(rig.fetch("c/__SummaryInfo__/drift.rrd", T0, 9), [-10.0]);
    assert_eq!(
        rig.last("c/__SummaryInfo__/bytes.rrd"),
        format!("{}: 4250 4", T0 + 10)
    );
}

#[test]
fn the_first_sample_counts() {
    let mut rig = Rig::new();
    rig.send(cluster("c", T0, &[("h", &[("m", "float", "both", "3")])]));
    rig.send(cluster(
        "c",
        T0 + 10,
        &[("h", &[("m", "float", "both", "5")])],
    ));
    rig.end();
    assert!(
        rig.info("c/h/m.rrd")
            .contains(&format!("last_update = {}\n", T0 + 10))
    );
    // One second of the first step is known, so its average is not; that of the second is.
    assert_eq!(rig.fetch("c/h/m.rrd", T0, 9), [5.0]);
    assert_eq!(rig.last("c/h/m.rrd"), format!("{}: 5", T0 + 10));
}

#[test]
fn an_unknown_value_is_not_written() {
    let mut rig = Rig::new();
    let m: Value<'_> = ("m", "float", "both", "1");
    let text = |value| ("m", "float", "both", value);
    let mut news = cluster(
        "c",
        T0,
        &[
            ("up", &[m]),
            ("down", &[m]),
            ("carried", &[m]),
            ("old", &[m]),
            ("gone", &[m]),
            ("nan", &[text("nan")]),
            ("hex", &[text("0x10")]),
            ("inf", &[text("inf")]),
            ("empty", &[text("")]),
            ("words", &[text("1:2")]),
            ("long", &[text(&"9".repeat(400))]),
        ],
    );
    news.hosts[1].up = false;
    news.hosts[2].fresh = false;
    news.metrics[3].tn = 601;
    news.metrics[4] = news.metrics[4].carried(news.metrics[4].def(), 0);
    rig.send(news);
    let mut last = cluster("c2", T0, &[("h", &[m])]);
    last.summary = summary(&[("m", "both", 1.0, 1)]);
    rig.send_node(Node::Cluster(Arc::new(last)), false);
    let status = rig.end();
    assert_eq!(
        rig.files(),
        set(&["c/up/m.rrd"]),
        "not even a file is made for the others"
    );
    assert_eq!((status.written, status.failed), (1, 0));
}

#[test]
fn a_value_that_is_not_a_number_is_stored_as_unknown() {
    for write_timeout_secs in [0, 300] {
        let mut rig = Rig::with(|config| {
            config.rrd.write_timeout = Duration::from_secs(write_timeout_secs);
        });
        let texts = ["nan", "inf", "words", "", "0x10", "1:2", "7 7"];
        let names: Vec<String> = (0..texts.len()).map(|at| format!("m{at}")).collect();
        for (at, time) in (0..).zip([0, 10, 20, 30, 40]) {
            let number = (5 * at).to_string();
            let odd = at == 2;
            let mut values: Vec<Value<'_>> = names
                .iter()
                .zip(texts)
                .map(|(name, text)| {
                    let value = if odd { text } else { &*number };
                    (name.as_str(), "float", "both", value)
                })
                .collect();
            let count = if odd { "nan" } else { &*number };
            values.push(("count", "uint32", "positive", count));
            rig.send(cluster("c", T0 + time, &[("h", &values)]));
        }
        let status = rig.end();
        assert_eq!(status.failed, 0);
        for (name, text) in names.iter().zip(texts) {
            let rows = rig.fetch(&format!("c/h/{name}.rrd"), T0, 40);
            assert_eq!((rows[0], rows[2], rows[3]), (5.0, 15.0, 20.0), "{text:?}");
            assert!(rows[1].is_nan(), "{text:?}: {rows:?}");
        }
        let rates = rig.fetch("c/h/count.rrd", T0, 40);
        assert_eq!(rates[..4], [0.5; 4], "a counter counts on");
    }
}

#[test]
fn nothing_is_written_if_writing_is_off() {
    let mut rig = Rig::with(|config| config.rrd.write = false);
    rig.send(cluster("c", T0, &[("h", &[("m", "float", "both", "1")])]));
    rig.send_root(T0, summary(&[("m", "both", 1.0, 1)]));
    rig.end();
    assert!(!rig.root.exists());
}

#[test]
fn a_repeated_time_and_an_earlier_one_are_skipped_and_counted_apart() {
    let mut rig = Rig::new();
    let at = |time, value| cluster("c", time, &[("h", &[("m", "float", "both", value)])]);
    rig.send(at(T0, "1"));
    rig.send(at(T0, "2"));
    rig.send(at(T0 - 100, "3"));
    let status = rig.restart();
    assert_eq!((status.written, status.failed), (1, 0));
    assert_eq!((status.repeated, status.refused), (1, 1));
    // After a restart only the file itself can say it.
    rig.send(at(T0, "4"));
    rig.send(at(T0 - 1, "5"));
    rig.send(at(T0 + 10, "6"));
    let status = rig.end();
    assert_eq!((status.written, status.failed), (1, 0));
    assert_eq!((status.repeated, status.refused), (1, 1));
    assert_eq!(status.broken, 0);
    assert_eq!(rig.last("c/h/m.rrd"), format!("{}: 6", T0 + 10));
}

#[test]
fn an_existing_file_keeps_what_it_has() {
    let mut rig = Rig::new();
    let make = |file: &str, definitions: &[&str]| {
        let path = rig.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let start = (T0 - 100).to_string();
        let head = ["create", path.to_str().unwrap(), "-s", "60", "-b", &start];
        rrdtool(&[&head[..], definitions, &["RRA:AVERAGE:0.5:1:10"]].concat());
    };
    make("c/h/m.rrd", &["DS:sum:COUNTER:120:U:U"]);
    // As Debian's C gmetad makes them.
    make(
        "c/__SummaryInfo__/m.rrd",
        &["DS:sum:COUNTER:120:U:U", "DS:num:COUNTER:120:U:U"],
    );
    make("c/h/g.rrd", &["DS:sum:GAUGE:120:U:U"]);
    for at in 0..3 {
        let values: [Value<'_>; 2] = [
            ("m", "float", "both", "7.6"),
            ("g", "uint32", "positive", "8"),
        ];
        let mut news = cluster("c", T0 + 10 * at, &[("h", &values)]);
        news.summary = summary(&[("m", "both", 9.4, 2)]);
        rig.send(news);
    }
    let status = rig.end();
    assert_eq!((status.written, status.created, status.failed), (9, 0, 0));
    assert!(rig.info("c/h/m.rrd").contains("step = 60\n"));
    assert_eq!(rig.last("c/h/m.rrd"), format!("{}: 8", T0 + 20));
    assert_eq!(rig.last("c/h/g.rrd"), format!("{}: 8", T0 + 20));
    assert_eq!(
        rig.last("c/__SummaryInfo__/m.rrd"),
        format!("{}: 9 2", T0 + 20)
    );
}

#[test]
fn a_broken_file_affects_only_its_metric_and_is_replaced() {
    let mut rig = Rig::new();
    let at = |time| {
        let values = ["junk", "empty", "dir", "wide", "good"];
        let values = values.map(|name| (name, "float", "both", "1"));
        cluster("c", time, &[("h", &values), ("file", &values[..1])])
    };
    fs::create_dir_all(rig.path("c/h/dir.rrd")).unwrap();
    fs::write(rig.path("c/h/junk.rrd"), "no RRD file, ".repeat(1000)).unwrap();
    fs::write(rig.path("c/h/empty.rrd"), "").unwrap();
    fs::write(rig.path("c/file"), "where a folder should be").unwrap();
    let wide = rig.path("c/h/wide.rrd");
    let (start, wide) = ((T0 - 100).to_string(), wide.to_str().unwrap());
    rrdtool(&[
        "create",
        wide,
        "-b",
        &start,
        "DS:a:GAUGE:9:U:U",
        "DS:b:GAUGE:9:U:U",
        "RRA:AVERAGE:0.5:1:9",
    ]);
    rig.send(at(T0));
    rig.send(at(T0 + 10));
    let status = rig.restart();
    assert_eq!((status.written, status.failed, status.broken), (2, 10, 5));
    assert_eq!(rig.last("c/h/good.rrd"), format!("{}: 1", T0 + 10));
    fs::remove_dir(rig.path("c/h/dir.rrd")).unwrap();
    for file in ["c/h/junk.rrd", "c/h/empty.rrd", "c/h/wide.rrd", "c/file"] {
        fs::remove_file(rig.path(file)).unwrap();
    }
    rig.send(at(T0 + 20));
    let status = rig.end();
    assert_eq!((status.written, status.failed, status.broken), (6, 0, 0));
}

#[test]
fn a_removed_folder_is_created_again() {
    let mut rig = Rig::new();
    let at = |time| cluster("c", time, &[("h", &[("m", "float", "both", "1")])]);
    rig.send(at(T0));
    rig.restart();
    rig.wait_until_started();
    // Moved away in one step: the daemon may be at work in the folder while it is emptied.
    fs::rename(&rig.root, rig.folder.path().join("removed")).unwrap();
    rig.send(at(T0 + 10));
    let status = rig.end();
    assert_eq!((status.created, status.written), (1, 1));
}

#[test]
fn hostile_names_stay_below_the_root_and_distinct() {
    let mut rig = Rig::new();
    let long = "x".repeat(300);
    let longer = format!("{}y", "x".repeat(300));
    let names = [
        "../../evil",
        "..",
        ".",
        "",
        "a/b",
        "a%2Fb",
        "nul\0",
        "new\nline",
        "/etc/passwd",
        "__SummaryInfo__",
        "café",
        "m.rrd",
        "%",
        &long,
        &longer,
    ];
    let values = names.map(|name| (name, "float", "both", "1"));
    let hosts = names.map(|name| (name, &values[..]));
    for name in names {
        let mut news = cluster(name, T0, &hosts);
        news.summary = summary(&names.map(|name| (name, "both", 1.0, 1)));
        rig.send(news);
    }
    rig.send_root(T0, summary(&names.map(|name| (name, "both", 1.0, 1))));
    let status = rig.end();
    let count = names.len();
    let files = count * count * count + count * count + count;
    assert_eq!(
        (status.failed, status.repeated),
        (0, 0),
        "no two share a file"
    );
    assert_eq!(status.created, files as u64);
    assert_eq!(rig.files().len(), files);
    assert_eq!(entries(rig.folder.path()), ["inside"]);
    assert_eq!(entries(&rig.folder.path().join("inside")), ["rrds"]);
    assert_eq!(entries(&rig.root).len(), count + 1);
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn an_impossible_time_is_not_written() {
    let mut rig = Rig::new();
    for time in [0, -5, 1, i64::MAX, i64::from(u32::MAX) + 1] {
        rig.send(cluster("c", time, &[("h", &[("m", "float", "both", "1")])]));
    }
    rig.send(cluster("c", T0, &[("h", &[("m", "float", "both", "1")])]));
    assert_eq!(rig.end().written, 1);
}

#[test]
fn archives_that_librrd_refuses_are_reported_at_start() {
    let mut rig = Rig::with(|config| config.rrd.rras = vec!["RRA:AVERAG:0.5:1:10".into()]);
    rig.send(cluster("c", T0, &[("h", &[("m", "float", "both", "1")])]));
    rig.end();
    let states: Vec<PluginState> = rig.plugins.plugins().iter().map(|it| it.state).collect();
    assert_eq!(states[0], PluginState::Refused);
    assert_eq!(
        rig.files(),
        set(&[]),
        "and the attempt leaves nothing behind"
    );
}

#[test]
fn of_a_cluster_of_several_sources_the_values_of_the_newest_are_stored() {
    let mut rig = Rig::new();
    let a: &[Value<'_>] = &[("x", "float", "both", "1"), ("y", "float", "both", "2")];
    let b: &[Value<'_>] = &[("y", "float", "both", "3"), ("x", "float", "both", "4")];
    for (secs, newest) in [(0, 0), (10, 1)] {
        let of = |name, values| cluster("c", T0 + secs, &[(name, values)]).into();
        let mut whole = Cluster::of_parts("c", vec![of("a", a), of("b", b)], Some(newest));
        whole.localtime = T0 + secs;
        rig.send(whole);
    }
    rig.end();
    let (first, second) = (T0, T0 + 10);
    assert_eq!(rig.last("c/a/x.rrd"), format!("{first}: 1"));
    assert_eq!(rig.last("c/a/y.rrd"), format!("{first}: 2"));
    assert_eq!(rig.last("c/b/y.rrd"), format!("{second}: 3"));
    assert_eq!(rig.last("c/b/x.rrd"), format!("{second}: 4"));
}

#[test]
fn files_are_created_with_the_umask() {
    let mut rig = Rig::with(|config| config.umask = 0o027);
    rig.send(cluster("c", T0, &[("h", &[("m", "float", "both", "1")])]));
    rig.end();
    let mode = fs::metadata(rig.path("c/h/m.rrd"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn no_digit_of_a_value_is_lost() {
    let mut rig = Rig::new();
    let values: [Value<'_>; 3] = [
        ("a", "double", "both", "0.12345678901234567"),
        ("b", "uint32", "positive", "18446744073709551615"),
        ("c", "double", "both", "-1e-7"),
    ];
    rig.send(cluster("c", T0, &[("h", &values)]));
    rig.end();
    assert_eq!(rig.last("c/h/a.rrd"), format!("{T0}: 0.12345678901234567"));
    assert_eq!(rig.last("c/h/b.rrd"), format!("{T0}: 18446744073709551615"));
    assert_eq!(rig.last("c/h/c.rrd"), format!("{T0}: -0.0000001"));
}

#[test]
fn hosts_and_metrics_that_come_and_go_keep_their_files() {
    let mut rig = Rig::new();
    let metrics = ["a", "b", "c", "d"].map(|name| (name, "float", "both", "1"));
    let orders: [&[usize]; 5] = [&[0, 1, 2, 3], &[3, 1], &[2], &[0, 1, 2, 3], &[1, 0, 3, 2]];
    let mut written = 0;
    for (round, order) in orders.iter().enumerate() {
        let values: Vec<Value<'_>> = order.iter().map(|&at| metrics[at]).collect();
        let mut hosts = vec![("always", &values[..])];
        if round % 2 == 0 {
            hosts.insert(0, ("at times", &values[..]));
        }
        written += hosts.len() * values.len();
        rig.send(cluster("c", T0 + 10 * round as i64, &hosts));
    }
    let status = rig.end();
    assert_eq!((status.written, status.created), (written as u64, 8));
    assert_eq!((status.repeated, status.failed), (0, 0));
}

#[test]
fn a_source_whose_clock_is_far_ahead_damages_none_of_its_files() {
    let mut rig = Rig::new();
    let ten_years = 10 * 365 * 86_400;
    for (seconds, ahead) in [(0, ten_years), (10, ten_years), (20, 0), (30, 0)] {
        rig.now.epoch = T0 + seconds;
        let load = ("load_one", "float", "both", "1.5");
        let mut one = cluster("c", T0 + seconds + ahead, &[("h", &[load])]);
        one.summary = summary(&[("load_one", "both", 1.5, 1)]);
        rig.send(one);
    }
    let status = rig.end();
    assert_eq!((status.written, status.repeated, status.failed), (8, 0, 0));
    for file in ["c/h/load_one.rrd", "c/__SummaryInfo__/load_one.rrd"] {
        let last = format!("{}: 1.5", T0 + 30);
        assert!(rig.last(file).starts_with(&last), "{}", rig.last(file));
    }
}
