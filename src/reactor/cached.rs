//! The rrdcached socket: lets clients in, carries bytes to the plugin thread and answers back.
//!
//! What the bytes mean is the business of `plugin::rrd`; nothing is read from a client while an
//! answer to it is being made or sent.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mio::event::Event;
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Token};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{User, chown};

use super::slots::{Slot, Slots};
use super::{Shared, TURN_BYTES};
use gmetad_config::Config;
use gmetad_core::model::Mono;
use gmetad_rrd::protocol::Next;
use gmetad_rrd::{PortAnswer, PortRequest};

/// Clients at a time.
const MAX_CLIENTS: usize = 32;

/// Bytes of requests read at a time.
const REQUEST_BYTES: usize = 16 << 10;

/// For a client to ask something.
const IDLE_LIMIT: Duration = Duration::from_secs(600);

/// For a client to take some of an answer.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// How long the socket rests when the system has no descriptor for a client, or there are as many as
/// there may be: who waits in front of it is let in then.
const REST: Duration = Duration::from_millis(100);

/// Permissions of the socket that are left out: it is for the user and the group.
const SOCKET_UMASK: Mode = Mode::from_bits_truncate(0o117);

/// The socket, gone from its folder when dropped.
pub(super) struct CachedListener {
    socket: UnixListener,
    path: PathBuf,
}

impl Drop for CachedListener {
    fn drop(&mut self) {
        // Without the right to, it is left for the next start to take over.
        let _ = fs::remove_file(&self.path);
    }
}

/// One client.
pub(super) struct CachedClient {
    /// By which the plugin thread knows it.
    number: u64,
    stream: UnixStream,
    state: State,
    readable: bool,
    writable: bool,
    deadline: Mono,
}

enum State {
    /// It may ask something.
    Idle,
    /// The plugin thread has what it asked.
    Asked,
    /// It is being sent the answer, from this byte on.
    Answered(PortAnswer, usize),
}

/// What a turn has come to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing to do until something happens.
    Waits,
    /// It is over.
    Gone,
}

/// Listens at the path, in place of a socket that nobody listens at any more.
pub(super) fn open(path: &Path, config: &Config) -> io::Result<CachedListener> {
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
    let listener = CachedListener {
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

impl CachedListener {
    pub(super) fn socket(&mut self) -> &mut UnixListener {
        &mut self.socket
    }
}

/// Lets waiting clients in.
pub(super) fn accept(slots: &mut Slots, listener: usize, shared: &mut Shared) {
    loop {
        if slots.cached_clients().count() >= MAX_CLIENTS {
            // rrdtool takes a connection that is closed for an error, and waits for one that is not
            // accepted yet.
            let again = shared.now.mono + REST;
            shared.timers.set(listener, Some(again));
            return;
        }
        let Some(Slot::CachedListener(open)) = slots.get_mut(listener) else {
            return;
        };
        let stream = match open.socket.accept() {
            Ok((stream, _)) => stream,
            Err(err) => match err.kind() {
                ErrorKind::WouldBlock => return,
                ErrorKind::ConnectionAborted | ErrorKind::Interrupted => continue,
                _ => {
                    let again = shared.now.mono + REST;
                    shared.timers.set(listener, Some(again));
                    return;
                }
            },
        };
        admit(slots, stream, shared);
    }
}

fn admit(slots: &mut Slots, mut stream: UnixStream, shared: &mut Shared) {
    let token = slots.add(Slot::Free);
    let interest = Interest::READABLE | Interest::WRITABLE;
    let registered = shared
        .registry
        .register(&mut stream, Token(token), interest);
    shared.cached_clients += 1;
    let client = CachedClient {
        number: shared.cached_clients,
        stream,
        state: State::Idle,
        readable: true,
        writable: true,
        deadline: shared.now.mono + IDLE_LIMIT,
    };
    if let Some(slot) = slots.get_mut(token) {
        *slot = Slot::CachedClient(Box::new(client));
    }
    if let Err(err) = registered {
        log::error!(
            "an rrdcached client cannot be waited for: {}",
            super::reason(&err)
        );
        slots.remove(token);
        return;
    }
    slots.make_ready(token);
}

impl CachedClient {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// When it is let go if nothing happens.
    pub(super) fn deadline(&self) -> Option<Mono> {
        // The plugin thread takes its time, and that is not the client's fault.
        (!matches!(self.state, State::Asked)).then_some(self.deadline)
    }

    pub(super) fn event(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_error();
        self.writable |= event.is_writable() || event.is_error();
    }

    pub(super) fn answer(&mut self, answer: PortAnswer, now: Mono) {
        self.state = State::Answered(answer, 0);
        self.deadline = now + STALL_LIMIT;
    }

    /// One turn: some bytes carried to or fro.
    pub(super) fn turn(&mut self, shared: &mut Shared) -> Outcome {
        let now = shared.now.mono;
        let outcome = if self.deadline().is_some_and(|at| at <= now) {
            Outcome::Gone
        } else {
            self.carry(shared).unwrap_or(Outcome::Gone)
        };
        if outcome == Outcome::Gone {
            self.ask(Vec::new(), true, shared);
        }
        outcome
    }

    fn carry(&mut self, shared: &mut Shared) -> io::Result<Outcome> {
        loop {
            match &mut self.state {
                State::Asked => return Ok(Outcome::Waits),
                State::Idle => {
                    if !self.readable {
                        return Ok(Outcome::Waits);
                    }
                    let buffer = &mut shared.buffer[..REQUEST_BYTES];
                    match self.stream.read(buffer) {
                        Ok(0) => return Ok(Outcome::Gone),
                        Ok(len) => {
                            let bytes = buffer[..len].to_vec();
                            if !self.ask(bytes, false, shared) {
                                return Ok(Outcome::Gone);
                            }
                        }
                        Err(err) => match err.kind() {
                            ErrorKind::WouldBlock => self.readable = false,
                            ErrorKind::Interrupted => {}
                            _ => return Err(err),
                        },
                    }
                }
                State::Answered(answer, sent) => {
                    let rest = &answer.text.as_bytes()[*sent..];
                    if rest.is_empty() {
                        match answer.next {
                            Next::Close => return Ok(Outcome::Gone),
                            Next::Read => {
                                self.state = State::Idle;
                                self.deadline = shared.now.mono + IDLE_LIMIT;
                            }
                            Next::Again => {
                                if !self.ask(Vec::new(), false, shared) {
                                    return Ok(Outcome::Gone);
                                }
                            }
                        }
                        continue;
                    }
                    if !self.writable {
                        return Ok(Outcome::Waits);
                    }
                    match self.stream.write(&rest[..rest.len().min(TURN_BYTES)]) {
                        Ok(len) => {
                            *sent += len;
                            self.deadline = shared.now.mono + STALL_LIMIT;
                        }
                        Err(err) => match err.kind() {
                            ErrorKind::WouldBlock => self.writable = false,
                            ErrorKind::Interrupted => {}
                            _ => return Err(err),
                        },
                    }
                }
            }
        }
    }

    /// Hands bytes to the plugin thread; whether it is there.
    fn ask(&mut self, bytes: Vec<u8>, gone: bool, shared: &mut Shared) -> bool {
        self.state = State::Asked;
        let request = PortRequest {
            client: self.number,
            bytes,
            gone,
        };
        shared
            .plugins
            .as_mut()
            .is_some_and(|plugins| plugins.ask(request))
    }
}
