//! What tests through the real binary share: starting it, waiting for conditions, querying it.
//!
//! Other programs are in `peers`.

// Each test binary uses its own part of this.
#![allow(dead_code)]

pub mod browser;
pub mod clock;
pub mod clockwork;
pub mod load;
pub mod peers;
pub mod ports;
pub mod python;
pub mod side_by_side;
pub mod small_disk;
pub mod stores;
pub mod web;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// No condition takes longer to come true, even on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A test's name as its program knows it, by `module_path!()` of where it stands.
pub fn full_name(module: &str, test: &str) -> String {
    match module.split_once("::") {
        Some((_, inside)) => format!("{inside}::{test}"),
        None => test.into(),
    }
}

/// The binary under test.
pub fn gmetad() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gmetad"))
}

/// Copies the program to another place, from where it can be run at once.
#[track_caller]
pub fn copy_of_gmetad(to: &Path) {
    // In a process of its own: while this one writes to a file, a test in another thread may start
    // a child, which inherits the descriptor for a moment, and a program that is open for writing
    // does not start.
    let status = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_gmetad"))
        .arg(to)
        .status();
    assert!(status.expect("cp").success());
}

/// Builds a plugin of the project's with cargo, unless `contrib/test.sh` has; the folder that it is in.
#[track_caller]
pub fn built_plugins(arguments: &[&str]) -> PathBuf {
    if let Some(folder) = std::env::var_os("GMETAD_BUILT_PLUGINS") {
        return folder.into();
    }
    // A folder of its own, since the outer cargo may hold the lock of the usual one.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins");
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--target-dir"])
        .arg(&target)
        .args(arguments)
        .output()
        .expect("the cargo that builds this");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}:\n{said}");
    target.join("debug")
}

/// What runs plugins in Python, built once.
pub fn python_host() -> &'static Path {
    static HOST: OnceLock<PathBuf> = OnceLock::new();
    HOST.get_or_init(|| {
        let folder = built_plugins(&["-p", "gmetad-python", "-p", "gmetad-python-host"]);
        folder.join("libgmetad_python_host.so")
    })
}

/// Waits until there is something, and fails the test when there is nothing for [`DEADLINE`].
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "waited {DEADLINE:?} in vain for {what}"
        );
        thread::sleep(pause);
        // What takes long is looked at more seldom: to look costs a gmetad and this test the processor.
        pause = (pause * 2).min(Duration::from_millis(40));
    }
}

/// As [`wait_for`], for what is true or not.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}

fn spawn(conf: &Path, arguments: &[&str], environment: &[(&str, &Path)], log: &Path) -> Child {
    gmetad()
        .arg("-f")
        .arg("-c")
        .arg(conf)
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(log).expect("a file in our own folder"))
        .spawn()
        .expect("the binary was built")
}

/// A gmetad in the foreground, killed when dropped.
pub struct Gmetad {
    child: Child,
    log: PathBuf,
    xml: SocketAddr,
    interactive: SocketAddr,
}

impl Gmetad {
    /// Starts it on ports of the system's choice on loopback, with its round-robin files in
    /// `folder/rrds`, and waits until it listens.
    #[track_caller]
    pub fn start(folder: &Path, directives: &str) -> Self {
        Self::start_with(folder, directives, &[])
    }

    /// As [`Gmetad::start`], with more arguments.
    #[track_caller]
    pub fn start_with(folder: &Path, directives: &str, arguments: &[&str]) -> Self {
        Self::start_in(folder, directives, arguments, &[])
    }

    /// As [`Gmetad::start_with`], in another environment.
    #[track_caller]
    pub fn start_in(
        folder: &Path,
        directives: &str,
        arguments: &[&str],
        environment: &[(&str, &Path)],
    ) -> Self {
        Self::start_from(
            folder,
            &configure(folder, directives),
            arguments,
            environment,
        )
    }

    /// As [`Gmetad::start_in`], from a configuration that is used as it is.
    #[track_caller]
    pub fn start_from(
        folder: &Path,
        conf: &Path,
        arguments: &[&str],
        environment: &[(&str, &Path)],
    ) -> Self {
        let log = folder.join("stderr");
        let mut child = spawn(conf, arguments, environment, &log);
        let (xml, interactive) = wait_for("the line that says where gmetad listens", || {
            let text = read(&log);
            let ended = child.try_wait().expect("our own child");
            assert!(ended.is_none(), "gmetad ended: {ended:?}\n{text}");
            listening(&text)
        });
        Gmetad {
            child,
            log,
            xml,
            interactive,
        }
    }

    /// Runs one that ends by itself, and returns its exit status and its standard error.
    #[track_caller]
    pub fn ended(folder: &Path, directives: &str, arguments: &[&str]) -> (ExitStatus, String) {
        let log = folder.join("stderr");
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut gmetad = Gmetad {
            child: spawn(&configure(folder, directives), arguments, &[], &log),
            log,
            xml: nowhere,
            interactive: nowhere,
        };
        (gmetad.wait(), gmetad.log())
    }

    /// Where it serves the whole document.
    pub fn xml(&self) -> SocketAddr {
        self.xml
    }

    /// Where it serves requests by path.
    pub fn interactive(&self) -> SocketAddr {
        self.interactive
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        pid_of(&self.child)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        read(&self.log)
    }

    /// Where its log stands, also when it has ended.
    pub fn log_file(&self) -> PathBuf {
        self.log.clone()
    }

    /// Waits for a line that contains this, and returns it.
    #[track_caller]
    pub fn wait_for_line(&self, part: &str) -> String {
        wait_for(&format!("\"{part}\" in the log"), || {
            self.log()
                .lines()
                .find(|line| line.contains(part))
                .map(String::from)
        })
    }

    /// Replaces a part of its configuration, which lies in this folder, and reloads it.
    #[track_caller]
    pub fn reload(&self, folder: &Path, part: &str, new: &str) {
        let conf = folder.join("gmetad.conf");
        let text = read(&conf);
        assert!(text.contains(part), "{part} in {text}");
        fs::write(&conf, text.replace(part, new)).expect("our own folder");
        let reloads = || self.log().matches("configuration reloaded").count();
        let before = reloads();
        self.signal(Signal::SIGHUP);
        wait_until("the reload", || reloads() > before);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it runs");
    }

    /// The whole document.
    pub fn document(&self) -> String {
        text(&ask(self.xml, None))
    }

    /// The answer to one request line.
    pub fn query(&self, request: &str) -> String {
        text(&ask(self.interactive, Some(request)))
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the end of gmetad", || {
            self.child.try_wait().expect("our own child")
        })
    }

    /// Tells it to end, and waits until it has.
    #[track_caller]
    pub fn end(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }
}

impl Drop for Gmetad {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("gmetad's log:\n{}", self.log());
        }
    }
}

/// What rrdtool says of a file under that name, once the file is free.
pub fn rrd_info(file: &Path, name: &str) -> Option<String> {
    let output = once_unlocked(Command::new("rrdtool").arg("info").arg(file));
    let text = String::from_utf8(output.expect("rrdtool starts").stdout).expect("plain text");
    let start = format!("{name} = ");
    let line = text.lines().find_map(|line| line.strip_prefix(&*start));
    line.map(str::to_owned)
}

/// The output of rrdtool, once the file is free: it does not wait for a writer.
pub fn once_unlocked(rrdtool: &mut Command) -> std::io::Result<std::process::Output> {
    loop {
        let output = rrdtool.output()?;
        if !output.stderr.ends_with(b"could not lock RRD\n") {
            return Ok(output);
        }
    }
}

/// Reports a skipped test directly, since the harness hides the output of passing tests.
pub fn skipped(test: &str, why: &str) {
    let line = format!("SKIPPED: {test}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Writes a configuration that keeps to `folder` and loopback, and returns its name.
pub fn configure(folder: &Path, directives: &str) -> PathBuf {
    let rrds = folder.join("rrds");
    fs::create_dir_all(&rrds).expect("our own folder");
    let conf = folder.join("gmetad.conf");
    let files = if cfg!(feature = "rrd") {
        format!("rrd_rootdir \"{}\"", rrds.display())
    } else {
        "write_rrds off".into()
    };
    let text = format!(
        "setuid off\nbind_address 127.0.0.1\nxml_port 0\ninteractive_port 0\n\
         {files}\n{directives}\n"
    );
    fs::write(&conf, text).expect("our own folder");
    conf
}

/// The addresses in the line that says where gmetad listens: the first of each port.
pub fn listening(log: &str) -> Option<(SocketAddr, SocketAddr)> {
    let (_, rest) = log.split_once("listening: xml ")?;
    let (line, _) = rest.split_once('\n')?;
    let (xml, interactive) = line.split_once(", interactive ")?;
    let first = |list: &str| list.split(' ').next()?.parse().ok();
    Some((first(xml)?, first(interactive)?))
}

/// Sends a request line, if any, and reads the answer to its end.
#[track_caller]
pub fn ask(address: SocketAddr, request: Option<&str>) -> Vec<u8> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
    if let Some(request) = request {
        stream
            .write_all(format!("{request}\n").as_bytes())
            .expect("it reads");
        stream.shutdown(Shutdown::Write).expect("still open");
    }
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .expect("it answers to the end");
    answer
}

/// The id of a child.
pub fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a pid"))
}

/// A file's text; none where there is no file yet.
pub fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| text(&bytes)).unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
