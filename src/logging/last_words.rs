//! A line that is written at once, past the queue and its thread: the process is about to end.
//!
//! It runs in handlers of signals, so nothing here allocates or waits: the line is made on the stack,
//! and a lock that is held means that the line does without what is behind it.

use std::fmt::{self, Write};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket,
};
use nix::unistd::write;

use super::SYSLOG_SOCKETS;
use super::line::{Severity, Stamp, priority};
use gmetad_core::model::Readable;

/// The log file in use, if there is one.
static FILE: Mutex<Option<Arc<File>>> = Mutex::new(None);

/// Longer lines are cut.
const LINE_LIMIT_BYTES: usize = 1024;

/// Last words go to this log file from now on.
pub(super) fn go_to(file: Option<&Arc<File>>) {
    // Nobody panics while holding it.
    if let Ok(mut known) = FILE.lock() {
        *known = file.cloned();
    }
}

/// Writes a fatal line to every destination, at every level. May be called in a signal handler.
pub fn last_words(text: fmt::Arguments<'_>) {
    let (stamp, word) = (Stamp(SystemTime::now()), Severity::Fatal.word());
    let line = Line::of(format_args!("{stamp} {word} {}\n", Readable::line(text)));
    // What cannot be written cannot be helped: there is nothing after it.
    let _ = write(io::stderr(), line.bytes());
    if let Ok(file) = FILE.try_lock()
        && let Some(file) = file.as_ref()
    {
        let _ = write(file.as_fd(), line.bytes());
    }
    let (priority, pid) = (priority(syslog::Severity::LOG_ALERT), std::process::id());
    let line = Line::of(format_args!(
        "<{priority}>gmetad[{pid}]: {word} {}",
        Readable::line(text)
    ));
    let sent = |path: &str| to_syslog(path, line.bytes()).is_ok();
    let _ = SYSLOG_SOCKETS.into_iter().any(sent);
}

/// Only as datagrams: a syslog that wants a stream does without.
fn to_syslog(path: &str, line: &[u8]) -> nix::Result<usize> {
    let flags = SockFlag::empty();
    let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    send(socket.as_raw_fd(), line, MsgFlags::MSG_DONTWAIT)
}

/// A line on the stack.
struct Line {
    bytes: [u8; LINE_LIMIT_BYTES],
    length: usize,
}

impl Line {
    fn of(text: fmt::Arguments<'_>) -> Line {
        let mut line = Line {
            bytes: [0; LINE_LIMIT_BYTES],
            length: 0,
        };
        // It takes everything, or cuts it.
        let _ = line.write_fmt(text);
        line
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LINE_LIMIT_BYTES - self.length;
        let taken = &text.as_bytes()[..text.len().min(room)];
        self.bytes[self.length..][..taken.len()].copy_from_slice(taken);
        self.length += taken.len();
        if text.len() > room {
            self.bytes[LINE_LIMIT_BYTES - 1] = b'\n';
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_cut_and_still_a_line() {
        let line = Line::of(format_args!("{}\nmore", "x".repeat(LINE_LIMIT_BYTES)));
        assert_eq!(line.bytes().len(), LINE_LIMIT_BYTES);
        assert!(line.bytes().ends_with(b"x\n"));
        let short = Line::of(format_args!("{} {}\n", 1, "a"));
        assert_eq!(short.bytes(), b"1 a\n");
    }
}
