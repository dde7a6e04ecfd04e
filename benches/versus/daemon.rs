//! The two daemons, each over a farm of its own, with the same settings.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::process::{Farm, Process, Usage, find_program, free_port, wait_for};

/// What RRD writing is to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// None.
    Off,
    /// Every value at once.
    Through,
    /// Held for that many seconds: by us, with the journal; by rrdcached for C gmetad.
    Cached(u64),
}

/// Which daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one of this project.
    Ours,
    /// C gmetad 3.7, where it is installed.
    C,
}

/// One daemon and all that belongs to it.
pub struct Daemon {
    farm: Farm,
    gmetad: Process,
    rrdcached: Option<Process>,
    xml_port: u16,
    interactive_port: u16,
}

/// The archives of gmetad-python, for both.
const RRAS: &str = "RRAs \"RRA:AVERAGE:0.5:1:244\" \"RRA:AVERAGE:0.5:24:244\" \
                    \"RRA:AVERAGE:0.5:168:244\" \"RRA:AVERAGE:0.5:672:244\" \
                    \"RRA:AVERAGE:0.5:5760:374\"";

/// Longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

impl Which {
    /// Whether it can be measured here.
    pub fn program(self, ours: &Path) -> Option<PathBuf> {
        match self {
            Which::Ours => Some(ours.to_owned()),
            Which::C => find_program("gmetad"),
        }
    }
}

impl Daemon {
    /// Starts a farm and a daemon over it in `folder`.
    pub fn start(
        which: Which,
        program: &Path,
        farm_program: &Path,
        shape: &[String],
        writing: Writing,
        folder: &Path,
    ) -> io::Result<Daemon> {
        fs::create_dir_all(folder.join("rrds"))?;
        let farm = Farm::start(farm_program, shape, folder, "farm")?;
        let (xml_port, interactive_port) = (free_port()?, free_port()?);
        let rrdcached_port = free_port()?;
        let rrdcached = match (which, writing) {
            (Which::C, Writing::Cached(secs)) => {
                Some(start_rrdcached(folder, rrdcached_port, secs)?)
            }
            _ => None,
        };
        let conf = folder.join("gmetad.conf");
        let mut text = format!(
            "{}gridname \"Bench\"\nxml_port {xml_port}\ninteractive_port {interactive_port}\n\
             setuid off\nall_trusted on\n{RRAS}\nrrd_rootdir \"{}\"\n",
            farm.sources,
            folder.join("rrds").display()
        );
        let writing = match (which, writing) {
            (_, Writing::Off) => "write_rrds off\n".to_owned(),
            (_, Writing::Through) => String::new(),
            (Which::C, Writing::Cached(_)) => {
                // It knows no other form of address.
                format!("rrdcached_address 127.0.0.1:{rrdcached_port}\n")
            }
            (Which::Ours, Writing::Cached(secs)) => {
                let journal = folder.join("journal");
                fs::create_dir_all(&journal)?;
                let journal = journal.display();
                let jitter = 2 * secs;
                format!(
                    "rrd {{\nwrite_timeout {secs}\nwrite_jitter {jitter}\njournal_dir {journal}\n}}\n"
                )
            }
        };
        text.push_str(&writing);
        fs::write(&conf, text)?;
        let pid_file = folder.join("pid");
        let mut command = Command::new(program);
        command.arg("-c").arg(&conf);
        let gmetad = match which {
            Which::Ours => {
                Process::child(command.args(["-f", "-d", "3"]), &folder.join("gmetad.log"))?
            }
            Which::C => Process::daemon(command.arg("-p").arg(&pid_file), &pid_file)?,
        };
        let daemon = Daemon {
            farm,
            gmetad,
            rrdcached,
            xml_port,
            interactive_port,
        };
        wait_for("the XML port", || {
            TcpStream::connect(("127.0.0.1", xml_port)).ok()
        })?;
        Ok(daemon)
    }

    /// What it and its helper have used so far.
    pub fn usage(&self) -> Usage {
        let mut usage = self.gmetad.usage();
        if let Some(rrdcached) = &self.rrdcached {
            usage.cpu_ns += rrdcached.usage().cpu_ns;
            usage.disk_bytes += rrdcached.usage().disk_bytes;
        }
        usage
    }

    /// Resident memory in KiB, its helper's too.
    pub fn resident_kib(&self) -> u64 {
        self.gmetad.resident_kib() + self.rrdcached.as_ref().map_or(0, Process::resident_kib)
    }

    /// Stops all that belongs to it, or lets it go on.
    pub fn freeze(&self, still: bool) {
        let signal = if still {
            Signal::SIGSTOP
        } else {
            Signal::SIGCONT
        };
        self.farm.signal(signal);
        self.gmetad.signal(signal);
        if let Some(rrdcached) = &self.rrdcached {
            rrdcached.signal(signal);
        }
    }

    /// Polls made so far.
    pub fn polls(&mut self) -> io::Result<u64> {
        self.farm.polls()
    }

    /// Reads the whole document; its length and the time it took.
    pub fn dump(&self) -> io::Result<(usize, Duration)> {
        answer(self.xml_port, None)
    }

    /// Asks the interactive port.
    pub fn ask(&self, line: &str) -> io::Result<(usize, Duration)> {
        answer(self.interactive_port, Some(line))
    }

    /// The start of the whole document.
    pub fn head(&self) -> io::Result<String> {
        const ENOUGH_BYTES: u64 = 64 << 10;
        let stream = TcpStream::connect(("127.0.0.1", self.xml_port))?;
        let mut head = Vec::new();
        stream.take(ENOUGH_BYTES).read_to_end(&mut head)?;
        Ok(String::from_utf8_lossy(&head).into_owned())
    }
}

fn start_rrdcached(folder: &Path, port: u16, secs: u64) -> io::Result<Process> {
    let program =
        find_program("rrdcached").ok_or_else(|| io::Error::other("rrdcached is not installed"))?;
    let journal = folder.join("rrdcached.journal");
    fs::create_dir_all(&journal)?;
    let mut command = Command::new(program);
    command
        .arg("-g")
        .arg("-l")
        .arg(format!("127.0.0.1:{port}"))
        // It warns of a -z above -w.
        .args(["-w", &secs.to_string(), "-z", &secs.to_string()])
        .arg("-j")
        .arg(&journal)
        .arg("-p")
        .arg(folder.join("rrdcached.pid"));
    let process = Process::child(&mut command, &folder.join("rrdcached.log"))?;
    wait_for("rrdcached's port", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    })?;
    Ok(process)
}

fn answer(port: u16, line: Option<&str>) -> io::Result<(usize, Duration)> {
    let start = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    if let Some(line) = line {
        stream.write_all(line.as_bytes())?;
        stream.write_all(b"\n")?;
        // C gmetad answers a line, ours a half-close as well; neither needs it.
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut buffer = vec![0; 1 << 20];
    let mut len = 0;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok((len, start.elapsed())),
            Ok(read) => len += read,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
}
