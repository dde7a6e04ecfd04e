//! memcached from its package.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::DEADLINE;
use crate::support::peers::{Process, program, start_again, start_listening};
use crate::support::ports::Port;

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
