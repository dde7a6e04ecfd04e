//! A gmetad with two clusters, one of them of hostile names, and files with hours of values.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use crate::support::peers::{FakeSource, Script, document, program};
use crate::support::{Gmetad, wait_until};

/// A name with markup in it.
pub const HOSTILE: &str = "<img src=x onerror=hacked=1>\"'&é";

/// Its form in XML.
fn escaped(name: &str) -> String {
    name.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A metric: its name and units, its mean, and by which part of it it swings.
type Kind<'a> = (&'a str, &'a str, f64, f64);

const METRICS: [Kind<'static>; 17] = [
    ("load_one", " ", 1.5, 0.9),
    ("load_five", " ", 1.5, 0.7),
    ("cpu_num", "CPUs", 4.0, 0.0),
    ("cpu_user", "%", 30.0, 0.8),
    ("cpu_system", "%", 6.0, 0.5),
    ("cpu_wio", "%", 3.0, 0.9),
    ("cpu_nice", "%", 1.0, 0.9),
    ("cpu_idle", "%", 60.0, 0.4),
    ("mem_total", "KB", 16e6, 0.0),
    ("mem_free", "KB", 4e6, 0.5),
    ("mem_cached", "KB", 5e6, 0.2),
    ("mem_buffers", "KB", 4e5, 0.2),
    ("proc_run", " ", 2.0, 0.9),
    ("bytes_in", "bytes/sec", 1e6, 0.8),
    ("bytes_out", "bytes/sec", 4e5, 0.8),
    ("disk_free", "GB", 512.0, 0.1),
    ("part_max_used", "%", 70.0, 0.1),
];

/// Everything together; it ends when dropped.
pub struct Site {
    gmetad: Gmetad,
    _sources: Vec<FakeSource>,
    _folder: TempDir,
}

impl Site {
    /// A cluster of six hosts, and one of hostile names; one source that does not answer.
    #[track_caller]
    pub fn start() -> Site {
        let hosts: Vec<String> = (1..=6).map(|at| format!("node-{at}")).collect();
        let sources = vec![
            Script::Serve(cluster("alpha", &hosts, false)),
            Script::Serve(cluster(HOSTILE, &[HOSTILE.to_owned()], true)),
            Script::Close,
        ];
        Site::over(sources, &[("alpha", hosts)], &["alpha", "onerror"])
    }

    /// Three clusters of a hundred hosts, for pictures.
    #[track_caller]
    pub fn of_three_hundred() -> Site {
        let names = ["Compute", "Storage", "Visual"];
        let clusters = names.map(|name| {
            let letter = name[..1].to_lowercase();
            let hosts = (1..=100).map(|at| format!("{letter}{at:03}.example"));
            (name, hosts.collect::<Vec<String>>())
        });
        let served = clusters.iter();
        let served = served.map(|(name, hosts)| Script::Serve(cluster(name, hosts, false)));
        Site::over(served.collect(), &clusters, &names)
    }

    fn over(scripts: Vec<Script>, filled: &[(&str, Vec<String>)], wait_for: &[&str]) -> Site {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let rrds = folder.path().join("rrds");
        fill(&rrds, filled);
        let sources: Vec<FakeSource> = scripts.into_iter().map(FakeSource::start).collect();
        let mut directives = "gridname \"Example grid\"\n".to_owned();
        for (at, source) in sources.iter().enumerate() {
            let _ = writeln!(
                directives,
                "data_source \"s{at}\" 15 127.0.0.1:{}",
                source.port()
            );
        }
        let gmetad = Gmetad::start(folder.path(), &directives);
        wait_until("all clusters", || {
            let all = gmetad.query("/?filter=summary");
            wait_for.iter().all(|name| all.contains(name))
        });
        Site {
            gmetad,
            _sources: sources,
            _folder: folder,
        }
    }

    pub fn interactive(&self) -> SocketAddr {
        self.gmetad.interactive()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.interactive())
    }

    /// One of each page.
    pub fn pages() -> Vec<String> {
        [
            "",
            "cluster?c=alpha&r=4h",
            "cluster?c=alpha&r=4h&v=graphs&m=load_one",
            "host?c=alpha&h=node-1&r=4h&past=day",
            "metric?c=alpha&m=load_one&f=.&r=4h",
            "metric?c=alpha&m=load_one&f=.&r=4h&style=stack",
            "search?q=node",
            "status",
        ]
        .iter()
        .map(|page| format!("/ui/{page}"))
        .collect()
    }
}

/// A gmond's document. Some of the hosts are down, if there are several.
fn cluster(name: &str, hosts: &[String], with_hostile_metric: bool) -> Vec<u8> {
    let name = escaped(name);
    let now = now();
    let mut xml = format!(
        "<CLUSTER NAME=\"{name}\" LOCALTIME=\"{now}\" OWNER=\"o\" LATLONG=\"\" URL=\"\">\n"
    );
    for (at, host) in hosts.iter().enumerate() {
        let tn = if at % 43 == 4 { 100_000 } else { 1 };
        let _ = writeln!(
            xml,
            "<HOST NAME=\"{}\" IP=\"10.0.0.{at}\" TAGS=\"\" REPORTED=\"{now}\" TN=\"{tn}\" \
             TMAX=\"1000\" DMAX=\"0\" LOCATION=\"{},0,0\" GMOND_STARTED=\"{}\">",
            escaped(host),
            at / 20 + 1,
            now - 400_000
        );
        let hostile = [(HOSTILE, HOSTILE, 7.0, 0.0)];
        let more: &[Kind<'_>] = if with_hostile_metric { &hostile } else { &[] };
        for (metric, units, value, swing) in METRICS.iter().chain(more) {
            let value = value * (1.0 + swing * (at as f64 * 1.7).sin());
            let _ = writeln!(
                xml,
                "<METRIC NAME=\"{}\" VAL=\"{value:.2}\" TYPE=\"float\" UNITS=\"{}\" TN=\"1\" \
                 TMAX=\"60\" DMAX=\"0\" SLOPE=\"both\"><EXTRA_DATA><EXTRA_ELEMENT NAME=\"GROUP\" \
                 VAL=\"{}\"/></EXTRA_DATA></METRIC>",
                escaped(metric),
                escaped(units),
                metric.split('_').next().map_or_else(String::new, escaped)
            );
        }
        xml.push_str("</HOST>\n");
    }
    xml.push_str("</CLUSTER>\n");
    let document = document("gmond", &xml);
    // As a gmond sends it: Latin-1.
    let text = String::from_utf8(document).expect("made above");
    text.chars().map(|c| c as u8).collect()
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

/// Files with a value every two minutes for a day, up to some minutes ago.
fn fill(rrds: &Path, clusters: &[(&str, Vec<String>)]) {
    let mut rrdtool = Command::new(program("rrdtool"))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("rrdtool starts");
    let mut stdin = rrdtool.stdin.take().expect("it was asked for");
    let mut fill_folder = |folder: &Path, at: usize, hosts: usize| {
        std::fs::create_dir_all(folder).expect("our own folder");
        let orders = orders(folder, at, hosts);
        stdin.write_all(orders.as_bytes()).expect("rrdtool reads");
    };
    let mut all = 0;
    for (at, (cluster, hosts)) in clusters.iter().enumerate() {
        let folder = rrds.join(cluster);
        for (at, host) in hosts.iter().enumerate() {
            fill_folder(&folder.join(host), at, 0);
        }
        fill_folder(&folder.join("__SummaryInfo__"), at, hosts.len());
        all += hosts.len();
    }
    fill_folder(&rrds.join("__SummaryInfo__"), 7, all);
    drop(stdin);
    assert!(rrdtool.wait().expect("our own child").success());
}

/// What rrdtool is told for a folder: of one host, or the sums of several.
fn orders(folder: &Path, at: usize, hosts: usize) -> String {
    let start = now() / 60 * 60 - 86_400;
    let mut orders = String::new();
    let mut noise = at as u64 * 7919 + 1;
    for (metric, _, mean, swing) in METRICS {
        let file = folder.join(format!("{metric}.rrd"));
        let file = file.display();
        let num = if hosts > 0 {
            " DS:num:GAUGE:300:U:U"
        } else {
            ""
        };
        let _ = writeln!(
            orders,
            "create {file} --start {start} --step 15 DS:sum:GAUGE:300:U:U{num} \
             RRA:AVERAGE:0.5:1:5856 RRA:AVERAGE:0.5:4:20160"
        );
        let _ = write!(orders, "update {file}");
        let mut drift = 0.0;
        for two_minutes in 1..717_u64 {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let random = (noise >> 33) as f64 / f64::from(1_u32 << 31) - 0.5;
            drift = drift * 0.9 + random * if hosts > 0 { 0.06 } else { 0.3 };
            let day = ((two_minutes + 9 * at as u64) as f64 / 110.0).sin() * 0.5;
            let value = mean * (1.0 + swing * (day + drift)).max(0.0) * hosts.max(1) as f64;
            let _ = write!(orders, " {}:{value:.3}", start + two_minutes * 120);
            if hosts > 0 {
                let _ = write!(orders, ":{hosts}");
            }
        }
        orders.push('\n');
    }
    orders
}
