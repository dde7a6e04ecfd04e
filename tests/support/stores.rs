//! Servers that values are sent on to, on loopback: carbon, memcached and rrdcached from their
//! packages, and a receiver of Riemann's messages.
//!
//! Starts nothing of ours. A server that is killed and started again keeps its port and its folder.

// Each test program uses its own part of this.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use prost::Message;
use tempfile::TempDir;

use super::DEADLINE;
use super::peers::{Process, program, start_again, start_listening};
use super::ports::Port;
use super::web::{percent_encoded, request};

/// Points of a metric by time.
pub type Points = BTreeMap<u32, f64>;

/// carbon-cache, which writes a file for each metric; TCP and UDP on one port.
pub struct Carbon {
    folder: TempDir,
    process: Option<Process>,
    /// That of lines, and two that it insists on.
    ports: [Port; 3],
}

impl Carbon {
    /// Starts it.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("the system has room for a folder");
        let schemas = "[all]\npattern = .*\nretentions = 1s:1h\n";
        fs::write(folder.path().join("storage-schemas.conf"), schemas).expect("our own folder");
        let (process, ports) =
            start_listening("carbon-cache", |ports| launch_carbon(folder.path(), ports));
        Self {
            folder,
            process: Some(process),
            ports,
        }
    }

    /// Where it takes lines.
    pub fn port(&self) -> u16 {
        self.ports[0].number()
    }

    /// Kills it with SIGKILL, so that it writes nothing more.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.process = Some(start_again("carbon-cache", &self.ports[0], || {
            launch_carbon(self.folder.path(), &self.ports)
        }));
    }

    /// What it has written about all metrics whose path starts so, by the rest of the path.
    pub fn points(&self, prefix: &str) -> BTreeMap<String, Points> {
        let root = self.folder.path().join("whisper");
        let mut points = BTreeMap::new();
        for file in files(&root) {
            let path = file.strip_prefix(&root).expect("below it");
            let name = path.with_extension("");
            let name = name.to_string_lossy().replace('/', ".");
            if let Some(rest) = name.strip_prefix(prefix) {
                points.insert(rest.to_string(), read_whisper(&file));
            }
        }
        points
    }
}

fn launch_carbon(folder: &Path, ports: &[Port; 3]) -> Process {
    let here = folder.display();
    let [port, pickle, query] = ports.each_ref().map(Port::number);
    let conf = format!(
        "[cache]\nSTORAGE_DIR = {here}\nCONF_DIR = {here}\nLOG_DIR = {here}\nPID_DIR = {here}\n\
         LOCAL_DATA_DIR = {here}/whisper\nUSER =\nMAX_CACHE_SIZE = inf\n\
         MAX_UPDATES_PER_SECOND = inf\nMAX_CREATES_PER_MINUTE = inf\n\
         LINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = {port}\n\
         ENABLE_UDP_LISTENER = True\nUDP_RECEIVER_INTERFACE = 127.0.0.1\n\
         UDP_RECEIVER_PORT = {port}\nPICKLE_RECEIVER_INTERFACE = 127.0.0.1\n\
         PICKLE_RECEIVER_PORT = {pickle}\nCACHE_QUERY_INTERFACE = 127.0.0.1\n\
         CACHE_QUERY_PORT = {query}\nCARBON_METRIC_INTERVAL = 0\nENABLE_TAGS = False\n"
    );
    let conf_path = folder.join("carbon.conf");
    fs::write(&conf_path, conf).expect("our own folder");
    // One that was killed leaves its pid file, and refuses to start while that is there.
    let pid_file = folder.join("pid");
    let _ = fs::remove_file(&pid_file);
    let mut command = Command::new(program("carbon-cache"));
    command
        .arg(format!("--config={}", conf_path.display()))
        .arg(format!("--pidfile={}", pid_file.display()))
        .args(["--nodaemon", "start"]);
    Process::start(command, folder.join("output"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The points of the first archive of a Whisper file: a head of 16 bytes, 12 for each archive, then
/// points of 12, all big-endian.
fn read_whisper(file: &Path) -> Points {
    let bytes = fs::read(file).unwrap_or_default();
    let number = |at: usize| {
        let bytes = bytes.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().expect("four")))
    };
    let (Some(offset), Some(count)) = (number(16), number(24)) else {
        return Points::new();
    };
    (0..count as usize)
        .filter_map(|at| {
            let at = offset as usize + 12 * at;
            let value = bytes.get(at + 4..at + 12)?;
            let value = f64::from_be_bytes(value.try_into().expect("eight"));
            Some((number(at)?, value))
        })
        .filter(|(time, _)| *time > 0)
        .collect()
}

/// memcached.
pub struct Memcached {
    folder: TempDir,
    process: Option<Process>,
    port: Port,
    options: &'static [&'static str],
}

impl Memcached {
    /// Starts it.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more options.
    pub fn start_with(options: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().expect("the system has room for a folder");
        let (process, [port]) = start_listening("memcached", |[port]| {
            launch_memcached(folder.path(), port, options)
        });
        Self {
            folder,
            process: Some(process),
            port,
            options,
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again, empty, on the same port.
    pub fn start_again(&mut self) {
        self.process = Some(start_again("memcached", &self.port, || {
            launch_memcached(self.folder.path(), &self.port, self.options)
        }));
    }

    /// A key's value.
    pub fn value(&self, key: &str) -> Option<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port()));
        let mut stream = TcpStream::connect_timeout(&address, DEADLINE).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).ok()?;
        stream.write_all(format!("get {key}\r\n").as_bytes()).ok()?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length = line.trim_end().strip_prefix("VALUE ")?.split(' ').nth(2)?;
        let mut value = vec![0; length.parse().ok()?];
        reader.read_exact(&mut value).ok()?;
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    /// One of its statistics.
    pub fn statistic(&self, name: &str) -> Option<u64> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port()));
        let mut stream = TcpStream::connect_timeout(&address, DEADLINE).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).ok()?;
        stream.write_all(b"stats\r\nquit\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let start = format!("STAT {name} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start))?;
        line.trim().parse().ok()
    }
}

fn launch_memcached(folder: &Path, port: &Port, options: &[&str]) -> Process {
    let mut command = Command::new(program("memcached"));
    command.args(["-u", "nobody", "-l", "127.0.0.1", "-U", "0", "-p"]);
    command.arg(port.number().to_string()).args(options);
    Process::start(command, folder.join("output"))
}

/// rrdcached on a port and on a socket. It holds updates back for an hour and keeps a journal.
pub struct Rrdcached {
    folder: TempDir,
    process: Option<Process>,
    port: Port,
}

impl Rrdcached {
    /// Starts it.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("the system has room for a folder");
        let (process, [port]) =
            start_listening("rrdcached", |[port]| launch_rrdcached(folder.path(), port));
        Self {
            folder,
            process: Some(process),
            port,
        }
    }

    /// One that does not run yet, but will on this port and socket.
    pub fn absent() -> Self {
        Self {
            folder: tempfile::tempdir().expect("the system has room for a folder"),
            process: None,
            port: Port::reserve(),
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Kills it with SIGKILL, so that it writes nothing more.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.process = Some(start_again("rrdcached", &self.port, || {
            launch_rrdcached(self.folder.path(), &self.port)
        }));
    }

    /// Makes it write what it holds for a file. Returns whether it did.
    pub fn flush(&self, file: &Path) -> bool {
        self.tell("FLUSH", file)
    }

    /// Makes it forget what it holds for a file. Returns whether it held anything.
    pub fn forget(&self, file: &Path) -> bool {
        self.tell("FORGET", file)
    }

    fn tell(&self, command: &str, file: &Path) -> bool {
        let path = file.to_str().expect("text");
        let path = path.replace('\\', "\\\\").replace(' ', "\\ ");
        let mut stream = UnixStream::connect(self.socket()).expect("it runs");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let line = format!("{command} {path}\n");
        stream.write_all(line.as_bytes()).expect("it reads");
        let mut answer = String::new();
        let mut reader = BufReader::new(stream);
        reader.read_line(&mut answer).expect("it answers");
        answer.starts_with("0 ")
    }
}

fn launch_rrdcached(folder: &Path, port: &Port) -> Process {
    // One that was killed leaves these.
    for name in ["pid", "socket"] {
        let _ = fs::remove_file(folder.join(name));
    }
    let journal = folder.join("journal");
    fs::create_dir_all(&journal).expect("our own folder");
    let mut command = Command::new(program("rrdcached"));
    command
        .args(["-g", "-w", "3600", "-f", "7200", "-l"])
        .arg(format!("unix:{}", folder.join("socket").display()))
        .arg("-l")
        .arg(format!("127.0.0.1:{}", port.number()))
        .arg("-p")
        .arg(folder.join("pid"))
        .arg("-j")
        .arg(journal);
    Process::start(command, folder.join("output"))
}

/// A fake rrdcached that refuses what a test tells it to, and writes nothing.
///
/// It ends with the test program.
pub struct ScriptedRrdcached {
    folder: TempDir,
    script: Arc<Mutex<RrdcachedScript>>,
}

#[derive(Default)]
struct RrdcachedScript {
    /// Parts of paths, and what is said of them.
    refusals: Vec<(String, String)>,
    taken: Vec<String>,
    refused: usize,
}

impl ScriptedRrdcached {
    /// Starts listening.
    pub fn start() -> Self {
        let scripted = Self {
            folder: tempfile::tempdir().expect("the system has room for a folder"),
            script: Arc::default(),
        };
        let listener = UnixListener::bind(scripted.socket()).expect("our own folder");
        let script = Arc::clone(&scripted.script);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // It ends when the other end does.
                let _ = serve_updates(stream, &script);
            }
        });
        scripted
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// From now on it says this of every file whose path has that part, and takes all others.
    pub fn refuse(&self, refusals: &[(&str, &str)]) {
        let owned = refusals
            .iter()
            .map(|(part, reason)| ((*part).into(), (*reason).into()));
        self.lock().refusals = owned.collect();
    }

    /// Updates that it took, as they were written.
    pub fn taken(&self) -> Vec<String> {
        self.lock().taken.clone()
    }

    /// Updates that it refused.
    pub fn refused(&self) -> usize {
        self.lock().refused
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, RrdcachedScript> {
        self.script.lock().expect("nobody panicked")
    }
}

fn serve_updates(stream: UnixStream, script: &Mutex<RrdcachedScript>) -> std::io::Result<()> {
    let mut answers = stream.try_clone()?;
    let mut errors = Vec::new();
    let mut number = 0;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if line == "BATCH" {
            (errors, number) = (Vec::new(), 0);
            answers.write_all(b"0 Go ahead.  End with dot '.' on its own line.\n")?;
        } else if line == "." {
            let answer = format!("{} errors\n{}", errors.len(), errors.concat());
            answers.write_all(answer.as_bytes())?;
        } else {
            number += 1;
            let mut script = script.lock().expect("nobody panicked");
            let refusal = script.refusals.iter().find(|(part, _)| line.contains(part));
            if let Some((_, reason)) = refusal {
                errors.push(format!("{number} {reason}\n"));
                script.refused += 1;
            } else {
                script.taken.push(line);
            }
        }
    }
    Ok(())
}

/// A message of Riemann's, as its own protocol file has it.
#[derive(Clone, PartialEq, Message)]
pub struct Msg {
    /// Of an answer.
    #[prost(bool, optional, tag = "2")]
    pub ok: Option<bool>,
    /// Of an answer.
    #[prost(string, optional, tag = "3")]
    pub error: Option<String>,
    /// What is sent.
    #[prost(message, repeated, tag = "6")]
    pub events: Vec<Event>,
}

/// One event; the names are Riemann's own.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    #[prost(int64, optional, tag = "1")]
    pub time: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub state: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub service: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub host: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub description: Option<String>,
    #[prost(string, repeated, tag = "7")]
    pub tags: Vec<String>,
    #[prost(float, optional, tag = "8")]
    pub ttl: Option<f32>,
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<Attribute>,
    #[prost(sint64, optional, tag = "13")]
    pub metric_sint64: Option<i64>,
    #[prost(double, optional, tag = "14")]
    pub metric_d: Option<f64>,
}

/// Something more about an event; the names are Riemann's own.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Attribute {
    #[prost(string, required, tag = "1")]
    pub key: String,
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// What a fake Riemann does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Takes it.
    Takes,
    /// Says that it does not.
    Refuses,
    /// Closes the connection without a word.
    HangsUp,
}

#[derive(Default)]
struct Heard {
    events: Vec<Event>,
    messages: usize,
    refusals: usize,
}

/// A receiver of Riemann's messages.
pub struct Riemann {
    port: u16,
    heard: Arc<Mutex<Heard>>,
    mood: Arc<Mutex<Mood>>,
}

impl Riemann {
    /// One that takes datagrams; it ends with the test program.
    pub fn udp() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let riemann = Self::on(socket.local_addr().expect("it is bound").port());
        let heard = Arc::clone(&riemann.heard);
        std::thread::spawn(move || {
            let mut bytes = vec![0; 65_536];
            while let Ok(length) = socket.recv(&mut bytes) {
                assert!(length <= 1400, "a datagram of {length} bytes");
                hear(&heard, &bytes[..length]);
            }
        });
        riemann
    }

    /// One that takes connections; it ends with the test program.
    pub fn tcp() -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let riemann = Self::on(listener.local_addr().expect("it is bound").port());
        let heard = Arc::clone(&riemann.heard);
        let mood = Arc::clone(&riemann.mood);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // It ends when the other end does.
                let _ = serve(stream, &heard, &mood);
            }
        });
        riemann
    }

    fn on(port: u16) -> Self {
        Self {
            port,
            heard: Arc::default(),
            mood: Arc::new(Mutex::new(Mood::Takes)),
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on it does this.
    pub fn set_mood(&self, mood: Mood) {
        *self.mood.lock().expect("nobody panicked") = mood;
    }

    /// All events it has taken.
    pub fn events(&self) -> Vec<Event> {
        self.heard.lock().expect("nobody panicked").events.clone()
    }

    /// How many events it has taken.
    pub fn event_count(&self) -> usize {
        self.heard.lock().expect("nobody panicked").events.len()
    }

    /// Messages it has taken, and those it has not.
    pub fn messages(&self) -> (usize, usize) {
        let heard = self.heard.lock().expect("nobody panicked");
        (heard.messages, heard.refusals)
    }
}

fn hear(heard: &Mutex<Heard>, bytes: &[u8]) {
    let msg = Msg::decode(bytes).expect("a message of Riemann's");
    let mut heard = heard.lock().expect("nobody panicked");
    heard.messages += 1;
    heard.events.extend(msg.events);
}

fn serve(mut stream: TcpStream, heard: &Mutex<Heard>, mood: &Mutex<Mood>) -> std::io::Result<()> {
    // A test that has failed leaves its connection open.
    stream.set_read_timeout(Some(4 * DEADLINE))?;
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut bytes)?;
        let mood = *mood.lock().expect("nobody panicked");
        let mut answer = Msg::default();
        if mood == Mood::Takes {
            hear(heard, &bytes);
            answer.ok = Some(true);
        } else {
            heard.lock().expect("nobody panicked").refusals += 1;
            answer.ok = Some(false);
            answer.error = Some("not today".into());
        }
        if mood == Mood::HangsUp {
            return stream.shutdown(Shutdown::Both);
        }
        let answer = answer.encode_to_vec();
        stream.write_all(&(answer.len() as u32).to_be_bytes())?;
        stream.write_all(&answer)?;
    }
}

/// Something that listens and never reads a byte.
pub struct Deaf {
    listener: TcpListener,
}

impl Deaf {
    /// One on a port of the system's choice.
    pub fn start() -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        Self { listener }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("it is bound").port()
    }
}

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
