//! HTTP as a client has it, without a library: a request goes out, an answer comes back whole. And
//! Prometheus from its package.
//!
//! Starts nothing of ours.

// Each test program uses its own part of this.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::peers::{Process, program, start_again, start_listening};
use super::ports::Port;
use super::{DEADLINE, wait_for};

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub code: u16,
    /// Header fields, as they came.
    pub fields: Vec<String>,
    /// Everything after the empty line.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find_map(|field| field.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body as text, whatever its bytes.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }
}

/// Sends these bytes, keeps its side open, and reads until the other side closes.
#[track_caller]
pub fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.write_all(request).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it ends its answer");
    answer
}

/// Sends a whole request and takes the answer apart.
#[track_caller]
pub fn request(address: SocketAddr, request: &str) -> Answer {
    let bytes = exchange(address, request.as_bytes());
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no head: {}", String::from_utf8_lossy(&bytes)));
    let head = std::str::from_utf8(&bytes[..end]).expect("a head is ASCII");
    let mut lines = head.split("\r\n");
    let first = lines.next().expect("a first line");
    let code = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    Answer {
        code: code.unwrap_or_else(|| panic!("no status: {first}")),
        fields: lines.map(String::from).collect(),
        body: bytes[end + 4..].to_vec(),
    }
}

/// Asks for a page.
#[track_caller]
pub fn get(address: SocketAddr, target: &str) -> Answer {
    request(
        address,
        &format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: keep-alive\r\n\r\n"),
    )
}

/// A text as a part of a URL.
pub fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let _ = write!(out, "%{byte:02x}");
    }
    out
}

/// What promtool has to say about a page; nothing, if it finds no fault.
pub fn promtool(page: &[u8]) -> String {
    let mut child = Command::new(program("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut stdin = child.stdin.take().expect("it was asked for");
    stdin.write_all(page).expect("promtool reads to the end");
    drop(stdin);
    let output = child.wait_with_output().expect("our own child");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

/// Samples of series, each written as `name{label="value",…}`: times in milliseconds, and values.
pub type Samples = BTreeMap<String, Vec<(i64, f64)>>;

/// A Prometheus on loopback that scrapes what it is told to, and takes what is written to it; or a
/// VictoriaMetrics, which answers the same queries.
pub struct Prometheus {
    launch: fn(&Path, u16) -> Process,
    process: Option<Process>,
    port: Port,
    // Removed last, after the process has ended.
    folder: TempDir,
}

impl Prometheus {
    /// Starts it with these jobs, in its configuration's own words, scraped each second.
    pub fn start(jobs: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let conf = folder.path().join("prometheus.yml");
        let text = format!(
            "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n{jobs}"
        );
        std::fs::write(&conf, text).expect("our own folder");
        Self::launch(folder, launch_prometheus)
    }

    /// Starts a VictoriaMetrics.
    pub fn victoria() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::launch(folder, launch_victoria)
    }

    /// Starts a Prometheus that speaks TLS and wants certificates. In the folder are `server.pem`,
    /// `server.key`, and the authority's `ca.pem`. It cannot be queried by this.
    pub fn secure(folder: TempDir) -> Self {
        let web = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  \
                   client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";
        for (file, text) in [("prometheus.yml", "scrape_configs: []\n"), ("web.yml", web)] {
            std::fs::write(folder.path().join(file), text).expect("our own folder");
        }
        Self::launch(folder, launch_prometheus)
    }

    fn launch(folder: TempDir, launch: fn(&Path, u16) -> Process) -> Self {
        let (process, [port]) =
            start_listening("the store", |[port]| launch(folder.path(), port.number()));
        Self {
            launch,
            process: Some(process),
            port,
            folder,
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.process = Some(start_again("the store", &self.port, || {
            (self.launch)(self.folder.path(), self.port.number())
        }));
    }

    /// All samples of the last hours in series that this selects, without markers of staleness.
    pub fn samples(&self, selector: &str) -> Samples {
        let results = self.results(&format!("{selector}[3h]"));
        let results = results.iter().map(|result| {
            let values = result["values"].as_array().cloned().unwrap_or_default();
            let samples = values.iter().filter_map(|sample| {
                let millis = (sample[0].as_f64()? * 1000.0).round() as i64;
                Some((millis, sample[1].as_str()?.parse().ok()?))
            });
            (series(&result["metric"]), samples.collect())
        });
        results.collect()
    }

    /// The results of a query, labels and value each.
    pub fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let results = self.results(query).into_iter();
        results
            .filter_map(|result| {
                let value = result["value"][1].as_str()?.parse().ok()?;
                Some((result["metric"].clone(), value))
            })
            .collect()
    }

    fn results(&self, query: &str) -> Vec<Value> {
        let target = format!("/api/v1/query?query={}", percent_encoded(query));
        // It closes when it is told to, and answers 1.0 without chunks.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port()));
        let answer = request(address, &format!("GET {target} HTTP/1.0\r\n\r\n"));
        if answer.code != 200 {
            return Vec::new();
        }
        let answer = answer.json();
        let results = answer["data"]["result"].as_array().cloned();
        results.unwrap_or_default()
    }

    /// Waits until a query gives one number, and that one.
    #[track_caller]
    pub fn wait_for(&self, query: &str, expected: f64) {
        let mut last = Vec::new();
        wait_for(&format!("{expected} as the answer to {query}"), || {
            last = self.query(query);
            (last.len() == 1 && last[0].1 == expected).then_some(())
        });
    }
}

fn launch_prometheus(folder: &Path, port: u16) -> Process {
    let mut command = Command::new(program("prometheus"));
    command
        .arg(format!(
            "--config.file={}",
            folder.join("prometheus.yml").display()
        ))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--web.enable-remote-write-receiver", "--log.level=warn"]);
    let web = folder.join("web.yml");
    if web.exists() {
        command.arg(format!("--web.config.file={}", web.display()));
    }
    Process::start(command, folder.join("prometheus.log"))
}

fn launch_victoria(folder: &Path, port: u16) -> Process {
    let mut command = Command::new(program("victoria-metrics"));
    command
        .arg(format!(
            "-storageDataPath={}",
            folder.join("data").display()
        ))
        .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
        .args(["-search.latencyOffset=1ms", "-search.disableCache"])
        .args(["-memory.allowedBytes=64MB", "-loggerLevel=ERROR"])
        // What is sent again is kept once.
        .arg("-dedup.minScrapeInterval=1ms");
    Process::start(command, folder.join("victoria.log"))
}

/// A series as pages of metrics have it; values are shown as Rust does.
fn series(metric: &Value) -> String {
    let labels: BTreeMap<String, String> =
        serde_json::from_value(metric.clone()).expect("labels are text");
    let mut shown = Vec::new();
    for (label, value) in labels.iter().filter(|(label, _)| *label != "__name__") {
        shown.push(format!("{label}={value:?}"));
    }
    let name = labels.get("__name__").map_or("", String::as_str);
    format!("{name}{{{}}}", shown.join(","))
}
