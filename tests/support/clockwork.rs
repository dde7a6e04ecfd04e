//! A source whose clock goes on with each poll, however often it is polled, and what rrdtool reads
//! from the files.
//!
//! The test decides what its documents say.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use super::wait_until;

/// Listens on loopback, and answers one poll after the other.
pub struct Clockwork {
    port: u16,
    polls: Arc<AtomicU32>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Clockwork {
    /// Answers with what `document` makes, given how many polls were answered before.
    pub fn start(document: impl Fn(u32) -> Vec<u8> + Send + 'static) -> Clockwork {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let polls = Arc::new(AtomicU32::new(0));
        let ends = Arc::new(AtomicBool::new(false));
        let thread = {
            let (polls, ends) = (Arc::clone(&polls), Arc::clone(&ends));
            thread::spawn(move || {
                for stream in listener.incoming() {
                    if ends.load(Ordering::SeqCst) {
                        return;
                    }
                    let bytes = document(polls.load(Ordering::SeqCst));
                    // The other end may have been killed.
                    if let Ok(mut stream) = stream {
                        let _ = stream.write_all(&bytes);
                        let _ = stream.shutdown(Shutdown::Write);
                    }
                    polls.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        Clockwork {
            port,
            polls,
            ends,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many polls were answered.
    pub fn polls(&self) -> u32 {
        self.polls.load(Ordering::SeqCst)
    }

    /// Waits for that many more polls than now.
    pub fn wait_for_polls(&self, more: u32) {
        let until = self.polls() + more;
        wait_until("polls", || self.polls() >= until);
    }
}

impl Drop for Clockwork {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What rrdtool prints.
pub fn rrdtool(arguments: &[&str]) -> String {
    let output = Command::new("rrdtool").args(arguments).output().unwrap();
    assert!(output.status.success(), "rrdtool {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every known average of a file's first data source, by time.
pub fn rows(file: &Path, start: u32, end: u32) -> BTreeMap<u32, f64> {
    let (start, end) = (start.to_string(), end.to_string());
    let file = file.to_str().unwrap();
    let text = rrdtool(&["fetch", file, "AVERAGE", "--start", &start, "--end", &end]);
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    lines
        .map(|(time, values)| {
            let first = values.split(' ').next().unwrap();
            (time.parse().unwrap(), first.parse().unwrap())
        })
        .filter(|(_, value): &(u32, f64)| !value.is_nan())
        .collect()
}
