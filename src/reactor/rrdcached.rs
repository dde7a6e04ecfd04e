//! The rrdcached socket: carries requests to the plugin thread and its answers back.
//!
//! The protocol is in the crate `gmetad-rrd`. Nothing is read from a client while its answer is being made or
//! sent.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mio::event::Event;
use mio::net::{UnixListener, UnixStream};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{User, chown};

use super::TURN_BYTES;
use super::shared::Shared;
use super::slots::{Key, Turn};
use crate::plugins::parts::rrd::{self, SessionAnswer, SessionNext};
use gmetad_config::Config;
use gmetad_core::model::Mono;

/// Bytes of requests read at a time.
const REQUEST_BYTES: usize = 16 << 10;

/// Time for a client to send a request.
const IDLE_LIMIT: Duration = Duration::from_secs(600);

/// Time for a client to take some bytes of an answer.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Permission bits cleared on the socket: it is for the user and the group.
const SOCKET_UMASK: Mode = Mode::from_bits_truncate(0o117);

/// The socket. Its file is removed when this is dropped.
pub(super) struct RrdcachedListener {
    socket: UnixListener,
    path: PathBuf,
}

impl Drop for RrdcachedListener {
    fn drop(&mut self) {
        // If this is not permitted, the next start replaces the file.
        let _ = fs::remove_file(&self.path);
    }
}

/// One client's connection.
pub(super) struct RrdcachedClient {
    /// Its number identifies the client to the plugin thread.
    key: Key,
    stream: UnixStream,
    state: RrdcachedState,
    readable: bool,
    writable: bool,
    deadline: Mono,
}

enum RrdcachedState {
    /// Waits for a request.
    Idle,
    /// The plugin thread has the request.
    Asked,
    /// Sends the answer, from this byte on.
    Answered(SessionAnswer, usize),
}

/// Listens at the path. Replaces a socket file that nobody listens on any more.
pub(super) fn open(path: &Path, config: &Config) -> io::Result<RrdcachedListener> {
    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(io::Error::new(
                ErrorKind::AlreadyExists,
                "there is a file that is no socket; remove it or choose another name",
            ));
        }
        if unix::UnixStream::connect(path).is_ok() {
            return Err(ErrorKind::AddrInUse.into());
        }
        fs::remove_file(path)?;
    }
    if path.parent().is_some_and(|folder| !folder.exists()) {
        return Err(io::Error::new(
            ErrorKind::NotFound,
            "its folder does not exist; make it or choose another",
        ));
    }
    let before = umask(SOCKET_UMASK);
    let opened = UnixListener::bind(path);
    umask(before);
    let listener = RrdcachedListener {
        socket: opened?,
        path: path.into(),
    };
    if let Some(name) = &config.setuid_username
        && nix::unistd::geteuid().is_root()
        && let Ok(Some(user)) = User::from_name(name)
    {
        chown(path, Some(user.uid), Some(user.gid))?;
    }
    Ok(listener)
}

impl RrdcachedListener {
    pub(super) fn socket(&mut self) -> &mut UnixListener {
        &mut self.socket
    }
}

impl RrdcachedClient {
    /// A new connection.
    pub(super) fn new(key: Key, stream: UnixStream, now: Mono) -> RrdcachedClient {
        RrdcachedClient {
            key,
            stream,
            state: RrdcachedState::Idle,
            // Unknown yet. A try costs one system call.
            readable: true,
            writable: true,
            deadline: now + IDLE_LIMIT,
        }
    }

    /// When the connection is closed if nothing happens.
    pub(super) fn deadline(&self) -> Option<Mono> {
        // While the plugin thread works, the client is not at fault.
        (!matches!(self.state, RrdcachedState::Asked)).then_some(self.deadline)
    }

    pub(super) fn event(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_error();
        self.writable |= event.is_writable() || event.is_error();
    }

    pub(super) fn answer(&mut self, answer: SessionAnswer, now: Mono) {
        self.state = RrdcachedState::Answered(answer, 0);
        self.deadline = now + STALL_LIMIT;
    }

    /// One turn: reads a request or writes some of an answer.
    pub(super) fn turn(&mut self, shared: &mut Shared) -> Turn {
        let overdue = self.deadline().is_some_and(|at| at <= shared.now.mono);
        let mut turn = if overdue { Turn::Gone } else { Turn::Again };
        while turn == Turn::Again {
            turn = match &self.state {
                RrdcachedState::Asked => Turn::Waits,
                RrdcachedState::Idle => self.read(shared),
                RrdcachedState::Answered(..) => self.write(shared),
            };
        }
        if turn == Turn::Gone {
            self.ask(Vec::new(), true, shared);
        }
        turn
    }

    fn read(&mut self, shared: &mut Shared) -> Turn {
        if !self.readable {
            return Turn::Waits;
        }
        let buffer = &mut shared.buffer[..REQUEST_BYTES];
        match self.stream.read(buffer) {
            Ok(0) => Turn::Gone,
            Ok(len) => {
                let bytes = buffer[..len].to_vec();
                self.ask(bytes, false, shared)
            }
            Err(err) => after_failure(&err, &mut self.readable),
        }
    }

    fn write(&mut self, shared: &mut Shared) -> Turn {
        let RrdcachedState::Answered(answer, sent) = &mut self.state else {
            return Turn::Waits;
        };
        let rest = &answer.text.as_bytes()[*sent..];
        if rest.is_empty() {
            let next = answer.next;
            return self.sent(next, shared);
        }
        if !self.writable {
            return Turn::Waits;
        }
        match self.stream.write(&rest[..rest.len().min(TURN_BYTES)]) {
            Ok(len) => {
                *sent += len;
                self.deadline = shared.now.mono + STALL_LIMIT;
                Turn::Again
            }
            Err(err) => after_failure(&err, &mut self.writable),
        }
    }

    /// An answer is sent completely.
    fn sent(&mut self, next: SessionNext, shared: &mut Shared) -> Turn {
        match next {
            SessionNext::Close => Turn::Gone,
            SessionNext::Read => {
                self.state = RrdcachedState::Idle;
                self.deadline = shared.now.mono + IDLE_LIMIT;
                Turn::Again
            }
            SessionNext::More => self.ask(Vec::new(), false, shared),
        }
    }

    /// Sends bytes to the plugin thread. If the thread has ended, the connection is closed.
    fn ask(&mut self, bytes: Vec<u8>, gone: bool, shared: &mut Shared) -> Turn {
        self.state = RrdcachedState::Asked;
        let request = rrd::request(self.key.number(), bytes, gone);
        let plugins = shared.plugins.as_mut().zip(request);
        if plugins.is_some_and(|(plugins, request)| plugins.ask(request)) {
            Turn::Again
        } else {
            Turn::Gone
        }
    }
}

/// What follows from a failed read or write. Clears `ready` where the socket would block.
fn after_failure(err: &io::Error, ready: &mut bool) -> Turn {
    match err.kind() {
        ErrorKind::WouldBlock => *ready = false,
        ErrorKind::Interrupted => {}
        _ => return Turn::Gone,
    }
    Turn::Again
}
