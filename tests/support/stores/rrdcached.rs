//! rrdcached from its package, and a scripted one that refuses what it is told to.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use crate::support::DEADLINE;
use crate::support::peers::{Process, program, start_again, start_listening};
use crate::support::ports::Port;

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
