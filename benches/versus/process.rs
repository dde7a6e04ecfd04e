//! The processes that are measured: started in a folder of their own, looked at through /proc,
//! killed with the bench.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a process may take to be ready.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running process.
pub struct Process {
    pid: Pid,
    /// Where it is our own child, to be reaped.
    child: Option<Child>,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor time of all of its threads, in ns.
    pub cpu_ns: u64,
    /// Bytes it has made the disk write, in the end.
    pub disk_bytes: u64,
}

impl Process {
    /// A child that stays in the foreground.
    pub fn child(command: &mut Command, log: &Path) -> io::Result<Process> {
        let log = fs::File::create(log)?;
        let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        Ok(Process {
            pid: Pid::from_raw(child.id() as i32),
            child: Some(child),
        })
    }

    /// A daemon that detaches and writes its process id.
    pub fn daemon(command: &mut Command, pid_file: &Path) -> io::Result<Process> {
        let status = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(io::Error::other(format!("{command:?}: {status}")));
        }
        let pid = wait_for("its process id", || {
            fs::read_to_string(pid_file).ok()?.trim().parse().ok()
        })?;
        Ok(Process {
            pid: Pid::from_raw(pid),
            child: None,
        })
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid))
            .into_iter()
            .flatten();
        let cpu_ns = threads
            .flatten()
            .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
            .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
            .sum();
        Usage {
            cpu_ns,
            disk_bytes: self.field("io", "write_bytes:").unwrap_or(0),
        }
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.field("status", "VmRSS:").unwrap_or(0)
    }

    fn field(&self, file: &str, name: &str) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.pid)).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        // It may be gone already.
        let _ = kill(self.pid, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        if let Some(child) = &mut self.child {
            let _ = child.wait();
        }
    }
}

/// A farm of fake gmonds, for one daemon alone, so that its polls can be counted.
pub struct Farm {
    process: Process,
    output: BufReader<std::process::ChildStderr>,
    /// Its data_source lines.
    pub sources: String,
}

impl Farm {
    /// Starts one; `shape` are its options.
    pub fn start(program: &Path, shape: &[String], folder: &Path, name: &str) -> io::Result<Farm> {
        let conf = folder.join(format!("{name}.sources"));
        let mut child = Command::new(program)
            .args(shape)
            .arg("--conf")
            .arg(&conf)
            .stderr(Stdio::piped())
            .spawn()?;
        let output = child
            .stderr
            .take()
            .ok_or_else(|| io::Error::other("no output of the farm"))?;
        let pid = Pid::from_raw(child.id() as i32);
        let process = Process {
            pid,
            child: Some(child),
        };
        let sources = wait_for("the farm's sources", || {
            let text = fs::read_to_string(&conf).ok()?;
            text.ends_with('\n').then_some(text)
        })?;
        Ok(Farm {
            process,
            output: BufReader::new(output),
            sources,
        })
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Polls it has answered so far.
    pub fn polls(&mut self) -> io::Result<u64> {
        self.process.signal(Signal::SIGUSR1);
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.split_whitespace()
            .nth(1)
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| io::Error::other(format!("the farm says {line:?}")))
    }
}

/// Lets this thread run before all others: it shall measure a daemon, not its own wait for a
/// processor that others keep busy. What it starts later, as the next daemons, has no part in that.
pub fn go_first() {
    let thread = fs::read_link("/proc/thread-self").unwrap_or_default();
    let number = thread.file_name().unwrap_or_default();
    let done = Command::new("chrt")
        .args(["--reset-on-fork", "-f", "-p", "1"])
        .arg(number)
        .status();
    if !done.is_ok_and(|status| status.success()) {
        println!(
            "the client that asks has no priority (chrt needs root): latency includes its wait"
        );
    }
}

/// Waits for a condition, looking often.
pub fn wait_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> io::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = check() {
            return Ok(found);
        }
        if start.elapsed() > START_LIMIT {
            return Err(io::Error::other(format!("waited in vain for {what}")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that is free now.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A program in a folder of the path, or /usr/sbin.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}
