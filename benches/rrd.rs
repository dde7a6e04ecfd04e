//! What storing costs: CPU per sample from a snapshot to its round-robin file, and memory per file.
//!
//! `cargo bench --bench rrd -- HOSTS METRICS ROUNDS [FOLDER]`; by default 1,000 hosts of 33 metrics,
//! four rounds, in a folder of its own below the system's one for temporary files.
//!
//! Then every file is asked for its last hour, 1,000 in a question, from the files as the system has
//! them in memory.
//!
//! With `cached` at the end, samples wait in memory and in a journal until all rounds have passed.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gmetad::plugins;
use gmetad::plugins::{HistoryRequest, PluginHandle};
use gmetad_config::{Config, GMETAD_PYTHON_RRAS, RrdConfig};
use gmetad_core::history::{Answer, Consolidation, Field, Owner, Refused, SeriesName, Wanted};
use gmetad_core::http::{HttpAnswer, Method, Reply, Status};
use gmetad_core::model::{
    Cluster, Host, HostInfo, Metric, MetricDef, MetricFields, Mono, Node, Now, order_by_name,
};

use gmetad_core::pending::Errands;
use gmetad_core::plugin::{Invented, Stamp, Update};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

const T0: i64 = 1_700_000_000;
const HOSTS_PER_CLUSTER: usize = 100;
const SERIES_AT_ONCE: usize = 1000;

fn main() {
    let mut arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| !it.starts_with("--"))
        .collect();
    let cached = arguments.pop_if(|it| it == "cached").is_some();
    let number = |at: usize, default| {
        let given = arguments.get(at).map(|it| it.parse());
        given.map_or(default, |it| it.expect("a number is wanted here"))
    };
    let (hosts, metrics, rounds) = (number(0, 1000), number(1, 33), number(2, 4));
    let folder = tempfile::TempDir::new().expect("a folder for temporary files");
    let root = arguments
        .get(3)
        .map_or_else(|| folder.path().to_owned(), PathBuf::from);
    let journal_dir = cached.then(|| folder.path().join("journal"));
    let config = Config {
        rrd: RrdConfig {
            rootdir: root.join("rrds"),
            rras: GMETAD_PYTHON_RRAS.map(String::from).to_vec(),
            write_timeout: Duration::from_secs(if cached { 3600 } else { 0 }),
            journal_dir,
            ..RrdConfig::default()
        },
        ..Config::new("bench")
    };
    let mut plugins = plugins::start(&config, Box::new(|| ())).expect("a thread");
    let defs = definitions(metrics);
    println!(
        "{hosts} hosts of {metrics} metrics, {}",
        config.rrd.rootdir.display()
    );
    let mut cpu_in_all = 0.0;
    for round in 0..rounds {
        let clusters: Vec<Node> = (0..hosts.div_ceil(HOSTS_PER_CLUSTER))
            .map(|at| {
                let count = HOSTS_PER_CLUSTER.min(hosts - at * HOSTS_PER_CLUSTER);
                Node::Cluster(Arc::new(cluster(at, count, round, &defs)))
            })
            .collect();
        let resident = resident_bytes();
        let (cpu, start) = (cpu_seconds(), Instant::now());
        for node in clusters {
            send(&mut plugins, node);
        }
        while plugins.queue().length > 0 {
            plugins.pump();
            thread::sleep(Duration::from_millis(1));
        }
        let samples = (hosts * metrics) as f64;
        let cpu = cpu_seconds() - cpu;
        cpu_in_all += cpu;
        println!(
            "round {round}: {:6.2} µs CPU a sample, {:6.2} s in all; resident {:+} bytes a file",
            cpu / samples * 1e6,
            start.elapsed().as_secs_f64(),
            (resident_bytes() as f64 - resident as f64) / samples,
        );
    }
    read_all(&mut plugins, hosts, metrics, rounds);
    let cpu = cpu_seconds();
    plugins.stop(Duration::from_secs(60));
    cpu_in_all += cpu_seconds() - cpu;
    println!(
        "in all: {:6.2} µs CPU a sample",
        cpu_in_all / (hosts * metrics * rounds) as f64 * 1e6
    );
    println!("{:?}", plugins.rrd());
}

/// Reads an hour of each file.
fn read_all(plugins: &mut PluginHandle, hosts: usize, metrics: usize, rounds: usize) {
    let until = (T0 + 15 * rounds as i64) as u64;
    let wanted = (0..hosts * metrics).map(|at| {
        let host = at / metrics;
        Wanted {
            series: SeriesName {
                owner: Owner::Host {
                    cluster: format!("cluster-{:03}", host / HOSTS_PER_CLUSTER).into(),
                    host: format!("host-{:03}.example.org", host % HOSTS_PER_CLUSTER).into(),
                },
                metric: format!("metric_{:03}", at % metrics).into(),
                field: Field::Sum,
            },
            from: until - 3600,
            until,
            step: 15,
            consolidation: Consolidation::Average,
            most_rows: 0,
        }
    });
    let all: Vec<Wanted> = wanted.collect();
    let mut errands = Errands::default();
    let (cpu, start) = (cpu_seconds(), Instant::now());
    let found = Arc::new(AtomicUsize::new(0));
    for question in all.chunks(SERIES_AT_ONCE) {
        let begun = errands.begin(IpAddr::from([127, 0, 0, 1]));
        let (wait, errand) = begun.expect("it is the only one");
        let found = Arc::clone(&found);
        let then = move |read: Result<Answer, Refused>| {
            let read = read.unwrap_or_default();
            found.fetch_add(read.iter().flatten().count(), Ordering::Relaxed);
            HttpAnswer::text(Status::Ok, "", "")
        };
        let request = HistoryRequest {
            client: 0,
            method: Method::Get,
            errand,
            reply: Reply::Ask(question.to_vec(), Box::new(then)),
        };
        assert!(plugins.ask_history(request).is_ok(), "the thread is there");
        while plugins.history_answer().is_none() {
            thread::sleep(Duration::from_micros(200));
        }
        drop(wait);
    }
    println!(
        "read: {:6.2} µs CPU a file, {:6.2} µs until it was there; {} of {} files",
        (cpu_seconds() - cpu) / all.len() as f64 * 1e6,
        start.elapsed().as_secs_f64() / all.len() as f64 * 1e6,
        found.load(Ordering::Relaxed),
        all.len()
    );
}

fn send(plugins: &mut PluginHandle, node: Node) {
    plugins.send(Update {
        source: node.name().into(),
        interval: Duration::from_secs(15),
        up: true,
        stamp: Stamp::of(&node, Now::default()),
        node,
        now: Now::default(),
        invented: Invented::default(),
    });
}

fn definitions(metrics: usize) -> Arc<Vec<Arc<MetricDef>>> {
    let defs = (0..metrics).map(|at| {
        Arc::new(MetricDef::new(MetricFields {
            name: format!("metric_{at:03}"),
            type_text: "float".into(),
            slope_text: "both".into(),
            ..MetricFields::default()
        }))
    });
    Arc::new(defs.collect())
}

fn cluster(at: usize, hosts: usize, round: usize, defs: &Arc<Vec<Arc<MetricDef>>>) -> Cluster {
    let mut cluster = Cluster {
        name: format!("cluster-{at:03}").into(),
        localtime: T0 + 15 * round as i64,
        defs: Arc::clone(defs),
        ..Cluster::default()
    };
    for host in 0..hosts {
        cluster.hosts.push(Host {
            info: Arc::new(HostInfo {
                name: format!("host-{host:03}.example.org").into(),
                ..HostInfo::default()
            }),
            reported: T0,
            tn: 0,
            up: true,
            fresh: true,
            received: Mono(0),
            first_metric: cluster.metrics.len() as u32,
            metric_count: defs.len() as u32,
        });
        for def in 0..defs.len() as u32 {
            let value = format!("{}.{:02}", host * 7 + round, def);
            cluster.metrics.push(Metric::new(def, 0, (*value).into()));
        }
    }
    cluster.by_name = order_by_name(&cluster.hosts).0;
    cluster
}

/// Of this process, in user and system mode.
fn cpu_seconds() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the system knows this");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    micros as f64 / 1e6
}

/// Anonymous memory only: files that librrd maps are the page cache's.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
