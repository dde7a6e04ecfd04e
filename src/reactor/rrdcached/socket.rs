//! The rrdcached socket and its connections: carries the bytes that each client's state machine asks
//! for, and its requests to the plugin thread.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};

use mio::event::Event;
use mio::net::{UnixListener, UnixStream};
use nix::sys::stat::{Mode, umask};
use nix::unistd::User;

use crate::opening;
use crate::reactor::TURN_BYTES;
use crate::reactor::shared::Shared;
use crate::reactor::slots::{Key, Turn};
use gmetad_config::Config;
use gmetad_core::model::Mono;
use gmetad_rrd::rrdcached::connection::{ConnectionAction, RrdcachedConnection};

/// Bytes of requests read at a time.
const REQUEST_BYTES: usize = 16 << 10;

/// Permission bits cleared on the socket: it is for the user and the group.
const SOCKET_UMASK: Mode = Mode::from_bits_truncate(0o117);

/// The socket. Its file is removed when this is dropped.
pub(in crate::reactor) struct RrdcachedListener {
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
pub(in crate::reactor) struct RrdcachedClient {
    pub(super) machine: RrdcachedConnection,
    stream: UnixStream,
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
        opening::give_socket(path, user.uid, user.gid)?;
    }
    Ok(listener)
}

impl RrdcachedListener {
    pub(super) fn socket(&mut self) -> &mut UnixListener {
        &mut self.socket
    }
}

impl RrdcachedClient {
    /// A new connection. The number of its key identifies it to the plugin thread.
    pub(super) fn new(key: Key, stream: UnixStream, now: Mono) -> RrdcachedClient {
        RrdcachedClient {
            machine: RrdcachedConnection::new(key.number(), now),
            stream,
        }
    }

    /// When the machine wants a turn if nothing happens before.
    pub(in crate::reactor) fn deadline(&self) -> Option<Mono> {
        self.machine.deadline()
    }

    /// Notes what the system says of the connection.
    pub(in crate::reactor) fn event(&mut self, event: &Event) {
        if event.is_readable() || event.is_error() {
            self.machine.readable();
        }
        if event.is_writable() || event.is_error() {
            self.machine.writable();
        }
    }

    /// Does what the machine asks for, up to the turn's budget.
    pub(in crate::reactor) fn turn(&mut self, shared: &mut Shared) -> Turn {
        let now = shared.now.mono;
        let mut written = 0;
        while let Some(action) = self.machine.action(now) {
            match action {
                ConnectionAction::Read => self.read(&mut shared.buffer),
                ConnectionAction::Write(_) if written >= TURN_BYTES => return Turn::Again,
                ConnectionAction::Write(bytes) => {
                    let outcome = self.stream.write(bytes);
                    written += self.written(&outcome, now);
                }
                ConnectionAction::Ask(request) => {
                    let plugins = shared.plugins.as_mut();
                    if !plugins.is_some_and(|plugins| plugins.ask(request)) {
                        self.machine.broken();
                    }
                }
                ConnectionAction::Close(fault) => {
                    if let Some(fault) = fault {
                        log::debug!("rrdcached socket: a client was closed: {fault}");
                    }
                    return Turn::Gone;
                }
            }
        }
        Turn::Waits
    }

    fn read(&mut self, buffer: &mut [u8]) {
        let buffer = &mut buffer[..REQUEST_BYTES];
        match self.stream.read(buffer) {
            Ok(0) => self.machine.end(),
            Ok(len) => self.machine.bytes(&buffer[..len]),
            Err(err) => match err.kind() {
                ErrorKind::WouldBlock => self.machine.read_blocked(),
                ErrorKind::Interrupted => {}
                _ => self.machine.broken(),
            },
        }
    }

    /// Tells the machine what came of a write. Returns how many bytes were sent.
    fn written(&mut self, outcome: &io::Result<usize>, now: Mono) -> usize {
        match outcome {
            Ok(len) => {
                self.machine.written(*len, now);
                return *len;
            }
            Err(err) => match err.kind() {
                ErrorKind::WouldBlock => self.machine.write_blocked(),
                ErrorKind::Interrupted => {}
                _ => self.machine.broken(),
            },
        }
        0
    }
}
