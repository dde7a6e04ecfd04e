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

/// A name that would be markup.
pub const HOSTILE: &str = "<img src=x onerror=hacked=1>\"'&é";

/// Its form in XML.
fn escaped(name: &str) -> String {
    name.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

const METRICS: [(&str, &str, f64); 7] = [
    ("load_one", " ", 1.5),
    ("cpu_num", "CPUs", 4.0),
    ("cpu_user", "%", 30.0),
    ("cpu_idle", "%", 60.0),
    ("mem_total", "KB", 16e6),
    ("mem_free", "KB", 4e6),
    ("bytes_in", "bytes/sec", 1e5),
];

/// Everything together; it ends when dropped.
pub struct Site {
    gmetad: Gmetad,
    _sources: Vec<FakeSource>,
    _folder: TempDir,
}

impl Site {
    /// Starts it, and waits until it has read its sources.
    #[track_caller]
    pub fn start() -> Site {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let rrds = folder.path().join("rrds");
        let hosts: Vec<String> = (1..=6).map(|at| format!("node-{at}")).collect();
        fill(&rrds, "alpha", &hosts);
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let sources = vec![
            FakeSource::start(Script::Serve(cluster("alpha", &hosts, false))),
            FakeSource::start(Script::Serve(cluster(HOSTILE, &[HOSTILE], true))),
            FakeSource::start(Script::Close),
        ];
        let mut directives = "gridname \"Test grid\"\n".to_owned();
        for (at, source) in sources.iter().enumerate() {
            let _ = writeln!(
                directives,
                "data_source \"s{at}\" 15 127.0.0.1:{}",
                source.port()
            );
        }
        let gmetad = Gmetad::start(folder.path(), &directives);
        wait_until("both clusters", || {
            let all = gmetad.query("/?filter=summary");
            all.contains("NAME=\"alpha\"") && all.contains("onerror")
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

/// A gmond's document. One of the hosts is down, if there are several.
fn cluster(name: &str, hosts: &[&str], with_hostile_metric: bool) -> Vec<u8> {
    let name = escaped(name);
    let mut xml = format!(
        "<CLUSTER NAME=\"{name}\" LOCALTIME=\"{}\" OWNER=\"o\" LATLONG=\"\" URL=\"\">\n",
        now()
    );
    for (at, host) in hosts.iter().enumerate() {
        let tn = if at == 4 { 100_000 } else { 1 };
        let _ = writeln!(
            xml,
            "<HOST NAME=\"{}\" IP=\"10.0.0.{at}\" TAGS=\"\" REPORTED=\"{}\" TN=\"{tn}\" TMAX=\"1000\" DMAX=\"0\" \
             LOCATION=\"{},0,0\" GMOND_STARTED=\"5\">",
            escaped(host),
            now(),
            at / 3
        );
        let hostile = [(HOSTILE, HOSTILE, 7.0)];
        let more: &[(&str, &str, f64)] = if with_hostile_metric { &hostile } else { &[] };
        for (metric, units, value) in METRICS.iter().chain(more) {
            let _ = writeln!(
                xml,
                "<METRIC NAME=\"{}\" VAL=\"{value}\" TYPE=\"float\" UNITS=\"{}\" TN=\"1\" TMAX=\"60\" DMAX=\"0\" \
                 SLOPE=\"both\"><EXTRA_DATA><EXTRA_ELEMENT NAME=\"GROUP\" VAL=\"core\"/></EXTRA_DATA></METRIC>",
                escaped(metric),
                escaped(units)
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

/// Files with a value a minute for a day, up to some minutes ago.
fn fill(rrds: &Path, cluster: &str, hosts: &[String]) {
    let mut rrdtool = Command::new(program("rrdtool"))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("rrdtool starts");
    let mut orders = String::new();
    let mut owners: Vec<(std::path::PathBuf, bool)> = hosts
        .iter()
        .map(|host| (rrds.join(cluster).join(host), false))
        .collect();
    owners.push((rrds.join(cluster).join("__SummaryInfo__"), true));
    owners.push((rrds.join("__SummaryInfo__"), true));
    let start = now() / 60 * 60 - 86_400;
    for (at, (folder, is_sum)) in owners.iter().enumerate() {
        std::fs::create_dir_all(folder).expect("our own folder");
        for (metric, _, value) in METRICS {
            let file = folder.join(format!("{metric}.rrd"));
            let num = if *is_sum { " DS:num:GAUGE:120:U:U" } else { "" };
            let _ = writeln!(
                orders,
                "create {} --start {start} --step 15 DS:sum:GAUGE:120:U:U{num} RRA:AVERAGE:0.5:1:5856 \
                 RRA:AVERAGE:0.5:4:20160",
                file.display()
            );
            let _ = write!(orders, "update {}", file.display());
            for minute in 1..1435_u64 {
                let wave = ((minute + 40 * at as u64) as f64 / 40.0).sin();
                let value = value * (1.0 + 0.3 * wave);
                let _ = write!(orders, " {}:{value}", start + minute * 60);
                orders.push_str(if *is_sum { ":6" } else { "" });
            }
            orders.push('\n');
        }
    }
    let mut stdin = rrdtool.stdin.take().expect("it was asked for");
    stdin.write_all(orders.as_bytes()).expect("rrdtool reads");
    drop(stdin);
    assert!(rrdtool.wait().expect("our own child").success());
}
