//! Real peers on loopback: gmond, gmetric and C gmetad from their packages, and scripted sources.
//!
//! Starts no gmetad of ours. Every peer has its own folder and ports and ends with its owner.

// Each test program uses its own part of this.
#![allow(dead_code)]

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::socket::{setsockopt, sockopt};
use tempfile::TempDir;

use super::ports::Port;
use super::{DEADLINE, skipped, wait_for};

/// Pause between two checks of a condition.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Starts of a process that has to be told its ports.
const TRIES: usize = 3;

/// Whether all programs are installed; says on standard error that the test is skipped if not.
///
/// With `CI` or `GMETAD_REQUIRE_PEERS` in the environment a missing peer fails the test instead:
/// a test that was meant to run and did not is no success.
pub fn available(test: &str, programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs
        .iter()
        .copied()
        .filter(|program| find(program).is_none())
        .collect();
    if missing.is_empty() {
        return true;
    }
    let missing = missing.join(", ");
    let packages = "ganglia-monitor, gmetad, rrdtool, rrdcached, graphite-carbon, memcached, \
                    prometheus, victoria-metrics, influxdb, chromium, chromium-driver, fish";
    let required = ["CI", "GMETAD_REQUIRE_PEERS"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    assert!(
        !required,
        "{test}: not installed: {missing}; the packages are {packages}"
    );
    skipped(
        test,
        &format!("not installed: {missing} (packages {packages})"),
    );
    false
}

/// A program in the folders of PATH or in those of daemons, which PATH may lack.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Where the package has gmond's modules: it differs from one distribution to the next.
fn module_folder() -> PathBuf {
    let mut folders = vec!["/usr/lib/ganglia".into(), "/usr/lib64/ganglia".into()];
    for entry in std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten()
    {
        folders.push(entry.path().join("ganglia"));
    }
    folders
        .into_iter()
        .find(|folder: &PathBuf| folder.join("modcpu.so").is_file())
        .expect("gmond's package has its modules below /usr/lib")
}

/// Where a program is, sought in the folders of those that only root runs too.
pub fn program(name: &str) -> PathBuf {
    find(name).unwrap_or_else(|| panic!("{name} is not installed; ask available() first"))
}

/// Sends a line, or nothing, and reads to the end; none when nobody listens or it breaks off.
pub fn ask(port: u16, line: Option<&str>) -> Option<Vec<u8>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).ok()?;
    if let Some(line) = line {
        stream.write_all(format!("{line}\n").as_bytes()).ok()?;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(answer)
}

/// An answer as text, whatever its bytes.
pub fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// A process that ends with its owner; its output stands in a file.
pub(super) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(super) fn start(mut command: Command, log: PathBuf) -> Self {
        let output = std::fs::File::create(&log).expect("the test's folder is writable");
        let errors = output.try_clone().expect("a descriptor is free");
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log }
    }

    fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    pub(super) fn log(&self) -> String {
        std::fs::read(&self.log).map_or_else(|_| String::new(), |bytes| text(&bytes))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either fails only if the process has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a process on ports of its own, and waits until it listens on the first of them.
#[track_caller]
pub(super) fn start_listening<const N: usize>(
    name: &str,
    mut launch: impl FnMut(&[Port; N]) -> Process,
) -> (Process, [Port; N]) {
    let mut log = String::new();
    for _ in 0..TRIES {
        let ports = [(); N].map(|()| Port::reserve());
        let process = launch(&ports);
        match listening(process, ports[0].number()) {
            Ok(process) => return (process, ports),
            // A process that does not reserve ports may have taken one meanwhile.
            Err(said) => log = said,
        }
    }
    panic!("{name} does not start; it says: {log}");
}

/// Starts a process anew on the port that it had.
#[track_caller]
pub(super) fn start_again(name: &str, port: &Port, launch: impl FnOnce() -> Process) -> Process {
    listening(launch(), port.number())
        .unwrap_or_else(|log| panic!("{name} does not start again; it says: {log}"))
}

/// The process, once it listens on that port; or what it said, if it does not.
fn listening(mut process: Process, port: u16) -> Result<Process, String> {
    let deadline = Instant::now() + DEADLINE;
    while !process.has_ended() && Instant::now() < deadline {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(process);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Err(process.log())
}

/// A value for gmetric to announce.
#[derive(Clone, Debug)]
pub struct Announced {
    /// Name of the metric.
    pub name: &'static str,
    /// Its value as text.
    pub value: String,
    /// Its type in gmetric's words.
    pub kind: &'static str,
    /// Its units.
    pub units: &'static str,
    /// Its slope in gmetric's words.
    pub slope: &'static str,
    /// Further options of gmetric, each a word.
    pub options: Vec<String>,
}

impl Announced {
    /// A value with slope both, no units and nothing else.
    pub fn new(name: &'static str, kind: &'static str, value: &str) -> Self {
        Self {
            name,
            value: value.to_owned(),
            kind,
            units: "",
            slope: "both",
            options: Vec::new(),
        }
    }

    /// The same with units.
    pub fn units(mut self, units: &'static str) -> Self {
        self.units = units;
        self
    }

    /// The same with another slope.
    pub fn slope(mut self, slope: &'static str) -> Self {
        self.slope = slope;
        self
    }

    /// The same with more options, as in `["-d", "5"]`.
    pub fn with(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(ToString::to_string));
        self
    }
}

/// A gmond on loopback that receives only from its own gmetric.
pub struct Gmond {
    process: Process,
    conf: PathBuf,
    /// That of its XML, and the one that gmetric talks to.
    ports: [Port; 2],
    // Removed last, after the process has ended.
    _folder: TempDir,
}

impl Gmond {
    /// Starts a gmond of a cluster, whose own host has the given name.
    pub fn start(cluster: &str, host: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let conf = folder.path().join("gmond.conf");
        let log = folder.path().join("gmond.log");
        let (process, ports) = start_listening("gmond", |[xml, values]| {
            let text = gmond_conf(cluster, host, xml.number(), values.number());
            std::fs::write(&conf, text).expect("the test's folder is writable");
            let mut command = Command::new(program("gmond"));
            command.arg("-f").arg("-c").arg(&conf);
            Process::start(command, log.clone())
        });
        let gmond = Self {
            process,
            conf,
            ports,
            _folder: folder,
        };
        // The heartbeat makes the host, its own metrics come after.
        gmond.wait_for(&format!("<HOST NAME=\"{host}\""));
        gmond.wait_for("<METRIC NAME=\"machine_type\"");
        gmond
    }

    /// Port of its XML.
    pub fn port(&self) -> u16 {
        self.ports[0].number()
    }

    /// Announces values and waits until gmond holds each.
    pub fn announce(&self, values: &[Announced]) {
        for value in values {
            let output = Command::new(program("gmetric"))
                .arg("-c")
                .arg(&self.conf)
                .args(["-n", value.name, "-v", &value.value, "-t", value.kind])
                .args(["-u", value.units, "-s", value.slope])
                .args(&value.options)
                .output()
                .expect("gmetric starts");
            assert!(
                output.status.success(),
                "gmetric {value:?}: {}",
                text(&output.stderr)
            );
        }
        for value in values {
            self.wait_for(&format!("<METRIC NAME=\"{}\" VAL=", value.name));
        }
    }

    /// Waits until its XML holds a text.
    pub fn wait_for(&self, needle: &str) -> String {
        wait_for(&format!("{needle} from gmond"), || {
            let answer = text(&ask(self.port(), None)?);
            answer.contains(needle).then_some(answer)
        })
    }

    /// What it printed.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// A configuration whose own metrics are constant, so that two gmetads that poll at
/// different moments see the same.
fn gmond_conf(cluster: &str, host: &str, tcp: u16, udp: u16) -> String {
    let modules = module_folder();
    let modules = modules.display();
    format!(
        r#"globals {{
  daemonize = no
  setuid = no
  debug_level = 0
  mute = no
  deaf = no
  allow_extra_data = yes
  host_dmax = 86400
  host_tmax = 20
  send_metadata_interval = 5
  override_hostname = "{host}"
  override_ip = "127.0.0.1"
}}
cluster {{
  name = "{cluster}"
  owner = "tests"
  latlong = "N32.87 W117.22"
  url = "http://example.org/"
}}
host {{ location = "1,2,3" }}
udp_send_channel {{
  host = 127.0.0.1
  port = {udp}
}}
udp_recv_channel {{
  bind = 127.0.0.1
  port = {udp}
}}
tcp_accept_channel {{
  bind = 127.0.0.1
  port = {tcp}
}}
modules {{
  module {{ name = "core_metrics" }}
  module {{
    name = "cpu_module"
    path = "{modules}/modcpu.so"
  }}
  module {{
    name = "mem_module"
    path = "{modules}/modmem.so"
  }}
  module {{
    name = "sys_module"
    path = "{modules}/modsys.so"
  }}
}}
collection_group {{
  collect_once = yes
  time_threshold = 5
  metric {{ name = "heartbeat" }}
}}
collection_group {{
  collect_every = 5
  time_threshold = 5
  metric {{
    name = "cpu_num"
    title = "CPU Count"
  }}
  metric {{
    name = "mem_total"
    title = "Memory Total"
  }}
  metric {{
    name = "machine_type"
    title = "Machine Type"
  }}
  metric {{
    name = "os_name"
    title = "Operating System"
  }}
}}
"#
    )
}

/// A source of a gmetad: its name, the polling interval in seconds, its port on loopback.
pub type DataSource<'a> = (&'a str, u32, u16);

/// The directives that both gmetads understand, over sources on loopback.
pub fn shared_conf(grid: &str, sources: &[DataSource<'_>], rrd_root: &Path) -> String {
    let mut conf = String::new();
    for (name, seconds, port) in sources {
        let _ = writeln!(conf, "data_source \"{name}\" {seconds} 127.0.0.1:{port}");
    }
    let root = rrd_root.display();
    let _ = write!(
        conf,
        "gridname \"{grid}\"\nauthority \"http://{grid}.example.org/ganglia/\"\n\
         rrd_rootdir \"{root}\"\nsetuid off\ncase_sensitive_hostnames 1\n\
         RRAs \"RRA:AVERAGE:0.5:1:5856\" \"RRA:AVERAGE:0.5:4:20160\" \"RRA:AVERAGE:0.5:40:52704\"\n"
    );
    conf
}

/// The gmetad in C.
pub struct CGmetad {
    process: Process,
    /// That of requests, and that of the whole document.
    ports: [Port; 2],
    folder: TempDir,
}

impl CGmetad {
    /// Starts one over sources on loopback; `more` is added to its configuration.
    pub fn start(grid: &str, sources: &[DataSource<'_>], more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("rrds");
        std::fs::create_dir(&root).expect("the test's folder is writable");
        let conf = folder.path().join("gmetad.conf");
        let log = folder.path().join("gmetad.log");
        let (process, ports) = start_listening("C gmetad", |[interactive, xml]| {
            let mut text = shared_conf(grid, sources, &root);
            let _ = writeln!(
                text,
                "xml_port {}\ninteractive_port {}\n{more}",
                xml.number(),
                interactive.number()
            );
            std::fs::write(&conf, text).expect("the test's folder is writable");
            let mut command = Command::new(program("gmetad"));
            // Any debug level keeps it in the foreground.
            command.arg("-c").arg(&conf).args(["-d", "1"]);
            Process::start(command, log.clone())
        });
        Self {
            process,
            ports,
            folder,
        }
    }

    /// Port of the whole document.
    pub fn xml_port(&self) -> u16 {
        self.ports[1].number()
    }

    /// Port of requests.
    pub fn interactive_port(&self) -> u16 {
        self.ports[0].number()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Where its round-robin files are.
    pub fn rrd_root(&self) -> PathBuf {
        self.folder.path().join("rrds")
    }

    /// Waits until an answer holds a text.
    pub fn wait_for(&self, request: &str, needle: &str) -> String {
        wait_for(&format!("{needle} from C gmetad"), || {
            let answer = text(&ask(self.interactive_port(), Some(request))?);
            answer.contains(needle).then_some(answer)
        })
    }

    /// What it printed.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// What a scripted source does with a connection.
#[derive(Clone, Debug)]
pub enum Script {
    /// Sends the bytes and ends well: the way of a gmond.
    Serve(Vec<u8>),
    /// Sends the bytes in pieces of that size with that pause between them.
    Slow(Vec<u8>, usize, Duration),
    /// Sends the bytes and leaves the connection open, until the other side goes or the source ends.
    Stay(Vec<u8>),
    /// Accepts and never sends, until the other side goes or the source ends.
    Silent,
    /// Closes at once.
    Close,
    /// Sends the bytes and breaks the connection.
    Break(Vec<u8>),
    /// Sends the document for these seconds since the epoch: all who ask in one second get the same.
    Clock(fn(u64) -> Vec<u8>),
}

/// A source that does as scripted on every connection, on a port that the system chose.
pub struct FakeSource {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    polls: Arc<AtomicUsize>,
    begun: Arc<Mutex<Vec<Instant>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeSource {
    /// Starts listening.
    pub fn start(script: Script) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), script)
    }

    /// The same at another address of this machine.
    pub fn start_at(address: IpAddr, script: Script) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let script = Arc::new(Mutex::new(script));
        let polls = Arc::new(AtomicUsize::new(0));
        let begun = Arc::new(Mutex::new(Vec::new()));
        let ends = Arc::new(AtomicBool::new(false));
        let thread = {
            let (script, polls, ends) = (script.clone(), polls.clone(), ends.clone());
            let begun = begun.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    if ends.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    polls.fetch_add(1, Ordering::SeqCst);
                    begun.lock().expect("no holder panics").push(Instant::now());
                    let now = script.lock().expect("no holder panics").clone();
                    let ends = ends.clone();
                    std::thread::spawn(move || play(now, stream, &ends));
                }
            })
        };
        Self {
            address,
            script,
            polls,
            begun,
            ends,
            thread: Some(thread),
        }
    }

    /// The longest time between the beginnings of two connections so far.
    pub fn longest_pause(&self) -> Duration {
        let begun = self.begun.lock().expect("no holder panics");
        let pauses = begun.windows(2).map(|two| two[1] - two[0]);
        pauses.max().unwrap_or_default()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it does from the next connection on.
    pub fn script(&self, script: Script) {
        *self.script.lock().expect("no holder panics") = script;
    }

    /// Connections so far.
    pub fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }

    /// Waits for that many more connections than now.
    pub fn wait_for_polls(&self, more: usize) {
        let until = self.polls() + more;
        wait_for(&format!("poll number {until}"), || {
            (self.polls() >= until).then_some(())
        });
    }
}

impl Drop for FakeSource {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves one connection; a reader that has gone ends it.
fn play(script: Script, mut stream: TcpStream, ends: &AtomicBool) {
    match script {
        Script::Serve(bytes) => {
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(Shutdown::Write);
        }
        Script::Clock(document) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.expect("it is after 1970").as_secs();
            let _ = stream.write_all(&document(now));
            let _ = stream.shutdown(Shutdown::Write);
        }
        Script::Slow(bytes, piece, pause) => {
            for part in bytes.chunks(piece.max(1)) {
                if ends.load(Ordering::SeqCst) || stream.write_all(part).is_err() {
                    return;
                }
                std::thread::sleep(pause);
            }
        }
        Script::Stay(bytes) => {
            let _ = stream.write_all(&bytes);
            play(Script::Silent, stream, ends);
        }
        Script::Silent => {
            // Without the time limit the thread would outlive a test that keeps its connection open.
            let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
            let mut byte = [0];
            while !ends.load(Ordering::SeqCst) {
                match stream.read(&mut byte) {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        }
        Script::Close => {}
        Script::Break(bytes) => {
            let _ = stream.write_all(&bytes);
            // Unsent data is discarded at close, and the peer gets a reset.
            let at_once = nix::libc::linger {
                l_onoff: 1,
                l_linger: 0,
            };
            setsockopt(&stream, sockopt::Linger, &at_once).expect("a socket");
        }
    }
}

/// The document a gmond would send: prolog, and this inside GANGLIA_XML.
pub fn document(source: &str, inside: &str) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" standalone=\"yes\"?>\n\
         <!DOCTYPE GANGLIA_XML [\n   <!ATTLIST METRIC SOURCE (gmond) 'gmond'>\n   \
         <!ATTLIST METRICS SOURCE (gmond) 'gmond'>\n]>\n\
         <GANGLIA_XML VERSION=\"3.7.2\" SOURCE=\"{source}\">\n{inside}</GANGLIA_XML>\n"
    )
    .into_bytes()
}

/// A saved document of `tests/data` as a source would send it now: LOCALTIME and REPORTED are moved.
pub fn moved(name: &str) -> Vec<u8> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let bytes = std::fs::read(data.join(name)).expect("it is there");
    let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
    let starts = ["LOCALTIME=\"", "REPORTED=\""];
    let (_, saved) = text.split_once(starts[0]).expect("a cluster");
    let saved: u64 = saved
        .split('"')
        .next()
        .and_then(|it| it.parse().ok())
        .expect("a time");
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let shift = now.expect("after 1970").as_secs() - saved;
    let out = starts.iter().fold(text, |text, start| {
        let mut parts = text.split(start);
        let before = parts.next().expect("there is always one").to_owned();
        let rest = parts.map(|part| {
            let (time, rest) = part.split_once('"').expect("it is closed");
            let time: u64 = time.parse().expect("a time");
            format!("{start}{}\"{rest}", time + shift)
        });
        before + &rest.collect::<String>()
    });
    out.chars().map(|it| it as u8).collect()
}
