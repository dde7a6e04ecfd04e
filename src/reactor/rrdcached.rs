//! The rrdcached socket: carries the bytes that each client's state machine asks for, and its
//! requests to the plugin thread.
//!
//! What is read, asked and sent, and for how long, is decided in `gmetad_rrd`.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mio::Interest;
use mio::event::Event;
use mio::net::{UnixListener, UnixStream};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{User, chown};

use super::admission::ACCEPTED_A_TURN;
use super::shared::Shared;
use super::slot::Slot;
use super::slots::{Key, Turn};
use super::{BindError, Reactor, TURN_BYTES};
use crate::plugins::PluginHandle;
use gmetad_config::Config;
use gmetad_core::model::Mono;
use gmetad_rrd::rrdcached::connection::{Admission, ConnectionAction, RrdcachedConnection};

/// Bytes of requests read at a time.
const REQUEST_BYTES: usize = 16 << 10;

/// Pause of the rrdcached socket after a failed accept, or while all of its clients are busy.
/// Newcomers are accepted afterwards.
const RRDCACHED_REST: Duration = Duration::from_millis(100);

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
    machine: RrdcachedConnection,
    stream: UnixStream,
}

/// Listens at the path. Replaces a socket file that nobody listens on any more.
fn open(path: &Path, config: &Config) -> io::Result<RrdcachedListener> {
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

impl Reactor {
    /// Listens at the path, as an rrdcached does.
    pub(super) fn listen_as_rrdcached(
        &mut self,
        path: &Path,
        config: &Config,
    ) -> Result<(), BindError> {
        let opened = open(path, config).map_err(|source| BindError::Socket {
            path: path.into(),
            source,
        });
        let mut listener = opened?;
        let registry = &self.shared.registry;
        self.slots.try_add_with(|key| {
            registry.register(listener.socket(), key.token(), Interest::READABLE)?;
            Ok(Slot::RrdcachedListener(listener))
        })?;
        Ok(())
    }

    /// Accepts clients that wait at the rrdcached socket.
    pub(super) fn accept_rrdcached(&mut self, listener: Key) -> Turn {
        for _ in 0..ACCEPTED_A_TURN {
            let admission = self.decide_rrdcached();
            if admission == Admission::Full {
                return self.rest_rrdcached(listener);
            }
            let Some(Slot::RrdcachedListener(open)) = self.slots.get_mut(listener) else {
                return Turn::Waits;
            };
            match open.socket().accept() {
                Ok((stream, _)) => {
                    if let Admission::InPlaceOf(client) = admission {
                        self.replace_rrdcached(Key::of_number(client));
                    }
                    self.admit_rrdcached(stream);
                }
                Err(err) => match err.kind() {
                    ErrorKind::WouldBlock => return Turn::Waits,
                    ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
                    _ => return self.rest_rrdcached(listener),
                },
            }
        }
        Turn::Again
    }

    /// Whether the rrdcached socket has a place for another client.
    fn decide_rrdcached(&self) -> Admission {
        let open = self.slots.iter().filter_map(|slot| match slot {
            Slot::RrdcachedClient(client) => Some(&client.machine),
            _ => None,
        });
        Admission::decide(open, self.shared.now.mono)
    }

    /// Closes a client of the rrdcached socket for a newcomer.
    fn replace_rrdcached(&mut self, key: Key) {
        if let Some(Slot::RrdcachedClient(client)) = self.slots.get_mut(key) {
            client.machine.replace();
            self.turn(key);
        }
    }

    fn rest_rrdcached(&mut self, listener: Key) -> Turn {
        let again = self.shared.now.mono + RRDCACHED_REST;
        self.shared.set_deadline(listener, Some(again));
        Turn::Waits
    }

    fn admit_rrdcached(&mut self, mut stream: UnixStream) {
        let (registry, now) = (&self.shared.registry, self.shared.now.mono);
        let added = self.slots.try_add_with(|key| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            registry.register(&mut stream, key.token(), interest)?;
            let client = RrdcachedClient::new(key, stream, now);
            Ok(Slot::RrdcachedClient(Box::new(client)))
        });
        match added {
            Ok(key) => self.make_ready(key),
            Err(err) => log::error!(
                "rrdcached socket: cannot register a client's connection: {}; it is closed",
                super::reason(&err)
            ),
        }
    }

    /// Takes the plugin thread's answers to clients of the rrdcached socket.
    pub(super) fn take_rrdcached_answers(&mut self) {
        let now = self.shared.now.mono;
        while let Some(answer) = self.shared.plugins.as_mut().and_then(PluginHandle::answer) {
            let key = Key::of_number(answer.client);
            if let Some(Slot::RrdcachedClient(client)) = self.slots.get_mut(key) {
                client.machine.answer(answer.turn, now);
                self.make_ready(key);
            }
        }
    }
}

impl RrdcachedListener {
    fn socket(&mut self) -> &mut UnixListener {
        &mut self.socket
    }
}

impl RrdcachedClient {
    /// A new connection. The number of its key identifies it to the plugin thread.
    fn new(key: Key, stream: UnixStream, now: Mono) -> RrdcachedClient {
        RrdcachedClient {
            machine: RrdcachedConnection::new(key.number(), now),
            stream,
        }
    }

    /// When the machine wants a turn if nothing happens before.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.machine.deadline()
    }

    /// Notes what the system says of the connection.
    pub(super) fn event(&mut self, event: &Event) {
        if event.is_readable() || event.is_error() {
            self.machine.readable();
        }
        if event.is_writable() || event.is_error() {
            self.machine.writable();
        }
    }

    /// Does what the machine asks for, up to the turn's budget.
    pub(super) fn turn(&mut self, shared: &mut Shared) -> Turn {
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
