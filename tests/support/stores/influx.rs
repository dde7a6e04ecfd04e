//! InfluxDB from its package.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::peers::{Process, program, start_again, start_listening};
use crate::support::ports::Port;
use crate::support::web::{percent_encoded, request};

/// InfluxDB, with one database `g`.
pub struct Influx {
    folder: TempDir,
    process: Option<Process>,
    port: Port,
}

/// A line's measurement and tags, written `name{tag="value",…}` in order of tags: times in
/// milliseconds, and values.
pub type Points64 = BTreeMap<String, Vec<(i64, f64)>>;

impl Influx {
    /// Starts it.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("the system has room for a folder");
        let (process, [port]) = start_listening("influxd", |[port]| {
            launch_influx(folder.path(), port.number())
        });
        let influx = Self {
            folder,
            process: Some(process),
            port,
        };
        let made = influx.query("POST", "CREATE DATABASE g");
        assert_eq!(
            made["results"][0]["error"],
            serde_json::Value::Null,
            "{made}"
        );
        influx
    }

    /// Where it takes lines.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.process = Some(start_again("influxd", &self.port, || {
            launch_influx(self.folder.path(), self.port.number())
        }));
    }

    /// All points of the measurements that this expression matches.
    pub fn points(&self, measurements: &str) -> Points64 {
        let query = format!("SELECT value FROM /{measurements}/ GROUP BY *");
        let answer = self.query("GET", &query);
        let series = answer["results"][0]["series"].as_array().cloned();
        let all = series.unwrap_or_default().into_iter().map(|series| {
            let tags: BTreeMap<String, String> =
                serde_json::from_value(series["tags"].clone()).unwrap_or_default();
            // A series without one of the tags that others have has it empty.
            let tags = tags.iter().filter(|(_, value)| !value.is_empty());
            let tags: Vec<String> = tags
                .map(|(tag, value)| format!("{tag}={value:?}"))
                .collect();
            let name = series["name"].as_str().unwrap_or_default();
            let values = series["values"].as_array().cloned().unwrap_or_default();
            let points = values
                .iter()
                .filter_map(|it| Some((it[0].as_i64()?, it[1].as_f64()?)));
            (format!("{name}{{{}}}", tags.join(",")), points.collect())
        });
        all.collect()
    }

    fn query(&self, method: &str, query: &str) -> serde_json::Value {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port()));
        let target = format!("/query?db=g&epoch=ms&q={}", percent_encoded(query));
        let head = format!("{method} {target} HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
        request(address, &head).json()
    }
}

fn launch_influx(folder: &Path, port: u16) -> Process {
    let conf = folder.join("influxdb.conf");
    let at = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "reporting-disabled = true\nbind-address = \"127.0.0.1:0\"\n[meta]\ndir = {:?}\n[data]\n\
         dir = {:?}\nwal-dir = {:?}\n[monitor]\nstore-enabled = false\n[http]\n\
         bind-address = \"127.0.0.1:{port}\"\nlog-enabled = false\n",
        at("meta"),
        at("data"),
        at("wal")
    );
    fs::write(&conf, text).expect("our own folder");
    let mut command = Command::new(program("influxd"));
    command.arg("run").arg("-config").arg(&conf);
    Process::start(command, folder.join("influxd.log"))
}
