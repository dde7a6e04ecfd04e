//! A connection to a server: every call on it ends, one way or the other, within a known time.
//!
//! Knows no protocol. Calls block, for the timeouts at most: each server has a thread of its own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::answer::AnswerReader;
use super::datagrams::Datagrams;
use super::error::LinkError;
use super::tls;
use gmetad_core::source::HostPort;

/// How often a call that waits looks whether the daemon is stopping.
const LOOK_UP: Duration = Duration::from_millis(200);

/// Bytes that the system may hold for a server. They are lost if the server dies.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A stream over the network.
    Tcp(HostPort),
    /// Datagrams over the network.
    Udp(HostPort),
    /// A stream on this machine.
    Unix(PathBuf),
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Endpoint::Tcp(place) => write!(f, "{place}"),
            Endpoint::Udp(place) => write!(f, "{place} (udp)"),
            Endpoint::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// How long a server may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// To accept a connection, for each of its addresses, and for the whole handshake of TLS.
    pub connect: Duration,
    /// To send or receive the next byte on a connection.
    pub stall: Duration,
}

/// Whether the daemon is stopping and can wait no longer.
pub(super) type IsOver<'a> = dyn Fn() -> bool + Send + Sync + 'a;

/// An open connection.
pub(super) struct Connection<'a> {
    socket: Socket,
    timeouts: Timeouts,
    is_over: &'a IsOver<'a>,
    /// Received bytes that no answer has taken yet.
    received: Vec<u8>,
    /// Whether anything was sent.
    is_used: bool,
}

enum Socket {
    Tcp(TcpStream),
    Tls(tls::Stream),
    Unix(UnixStream),
    Udp(Datagrams),
}

impl<'a> Connection<'a> {
    /// Resolves the name, and tries its addresses in turn.
    pub(super) fn open(
        endpoint: &Endpoint,
        tls: Option<&tls::Client>,
        timeouts: Timeouts,
        is_over: &'a IsOver<'a>,
    ) -> Result<Connection<'a>, LinkError> {
        let socket = match endpoint {
            Endpoint::Unix(path) => {
                Socket::Unix(connect_unix(path, timeouts).map_err(LinkError::Connect)?)
            }
            Endpoint::Tcp(place) => {
                let stream = first(place, is_over, |address| connect_tcp(address, timeouts))?;
                match tls {
                    None => Socket::Tcp(stream),
                    Some(tls) => Socket::Tls(shaken(tls.wrap(stream)?, timeouts, is_over)?),
                }
            }
            Endpoint::Udp(place) => {
                let addresses = addresses(place)?;
                Socket::Udp(Datagrams::open(addresses).map_err(LinkError::Connect)?)
            }
        };
        Ok(Connection {
            socket,
            timeouts,
            is_over,
            received: Vec::new(),
            is_used: false,
        })
    }

    /// Sends all of it; over UDP as one datagram.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.is_used = true;
        if let Socket::Udp(socket) = &mut self.socket {
            return socket.send(bytes).map(drop).map_err(LinkError::Send);
        }
        let wait = self.wait();
        let mut rest = bytes;
        let mut moved = Instant::now();
        while !rest.is_empty() || self.socket.waits() {
            match self.socket.write(rest) {
                Ok(count) => {
                    rest = &rest[count..];
                    moved = Instant::now();
                }
                Err(error) if is_timeout(&error) => wait.may_go_on(moved)?,
                Err(error) if error.kind() == ErrorKind::WriteZero => {
                    return Err(LinkError::Closed);
                }
                Err(error) => return Err(tls::fault_or(error, LinkError::Send)),
            }
        }
        Ok(())
    }

    /// Whether the server has closed its end since it was last sent something. Asked while no answer
    /// is due: anything received is thrown away.
    pub(super) fn is_closed(&mut self) -> bool {
        // Who closes what was just opened has failed: sending says so, and is not tried again at once.
        if !self.is_used || matches!(self.socket, Socket::Udp(_)) {
            return false;
        }
        if let Socket::Tls(stream) = &mut self.socket {
            return stream.is_closed();
        }
        let mut scrap = [0; 1024];
        loop {
            match recv(self.socket.fd(), &mut scrap, MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error != nix::errno::Errno::EAGAIN,
            }
        }
    }

    /// Lets `read` read an answer.
    pub(super) fn answer<T>(
        &mut self,
        read: impl FnOnce(&mut AnswerReader<'_>) -> Result<T, LinkError>,
    ) -> Result<T, LinkError> {
        let wait = self.wait();
        let Connection {
            socket, received, ..
        } = self;
        let mut more = |received: &mut Vec<u8>| wait.receive(socket, received);
        read(&mut AnswerReader::new(received, &mut more))
    }

    fn wait(&self) -> Wait<'a> {
        Wait {
            stall: self.timeouts.stall,
            is_over: self.is_over,
        }
    }
}

/// How long to wait for a server that neither takes nor sends a byte.
#[derive(Clone, Copy)]
struct Wait<'a> {
    stall: Duration,
    is_over: &'a IsOver<'a>,
}

impl Wait<'_> {
    fn may_go_on(self, since: Instant) -> Result<(), LinkError> {
        if (self.is_over)() {
            Err(LinkError::Stopping)
        } else if since.elapsed() >= self.stall {
            Err(LinkError::Stuck(self.stall))
        } else {
            Ok(())
        }
    }

    fn receive(self, socket: &mut Socket, received: &mut Vec<u8>) -> Result<(), LinkError> {
        // A server that sends a byte now and then must not delay the daemon's end either.
        if (self.is_over)() {
            return Err(LinkError::Stopping);
        }
        let start = Instant::now();
        let mut chunk = [0; 4096];
        loop {
            match socket.read(&mut chunk) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(count) => {
                    received.extend_from_slice(&chunk[..count]);
                    return Ok(());
                }
                Err(error) if is_timeout(&error) => self.may_go_on(start)?,
                Err(error) => return Err(tls::fault_or(error, LinkError::Receive)),
            }
        }
    }
}

impl Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(bytes),
            Socket::Tls(stream) => stream.read(bytes),
            Socket::Unix(stream) => stream.read(bytes),
            Socket::Udp(socket) => socket.receive(bytes),
        }
    }

    /// Moves some bytes on, and returns how many it has taken. `WriteZero`: it takes no more.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = match self {
            Socket::Tcp(stream) => stream.write(bytes),
            // What is taken may wait, and what waited may move while nothing is taken.
            Socket::Tls(stream) => return stream.write(bytes),
            Socket::Unix(stream) => stream.write(bytes),
            Socket::Udp(socket) => socket.send(bytes),
        }?;
        if count == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        Ok(count)
    }

    /// Whether bytes that were taken are not with the system yet.
    fn waits(&self) -> bool {
        matches!(self, Socket::Tls(stream) if stream.waits())
    }

    fn fd(&self) -> i32 {
        match self {
            Socket::Tcp(stream) => stream.as_raw_fd(),
            Socket::Tls(stream) => stream.as_raw_fd(),
            Socket::Unix(stream) => stream.as_raw_fd(),
            Socket::Udp(socket) => socket.as_raw_fd(),
        }
    }
}

/// The addresses of a name.
fn addresses(place: &HostPort) -> Result<Vec<SocketAddr>, LinkError> {
    if let Ok(address) = place.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, place.port)]);
    }
    let found = (place.host.as_str(), place.port).to_socket_addrs();
    Ok(found.map_err(LinkError::Resolve)?.collect())
}

/// The first of a name's addresses that can be connected to.
fn first<T>(
    place: &HostPort,
    is_over: &IsOver<'_>,
    open: impl Fn(SocketAddr) -> io::Result<T>,
) -> Result<T, LinkError> {
    let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in addresses(place)? {
        if is_over() {
            return Err(LinkError::Stopping);
        }
        match open(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(LinkError::Connect(last))
}

/// Ends the handshake of TLS, in the time that connecting may take.
fn shaken(
    mut stream: tls::Stream,
    timeouts: Timeouts,
    is_over: &IsOver<'_>,
) -> Result<tls::Stream, LinkError> {
    let wait = Wait {
        stall: timeouts.connect,
        is_over,
    };
    let start = Instant::now();
    loop {
        match stream.shake_hands() {
            Ok(true) => return Ok(stream),
            Ok(false) => {}
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(tls::fault_or(error, LinkError::Connect)),
        }
        wait.may_go_on(start).map_err(|error| match error {
            LinkError::Stuck(limit) => {
                let told = format!(
                    "no handshake within {} s; does it speak TLS?",
                    limit.as_secs()
                );
                LinkError::Tls(told)
            }
            error => error,
        })?;
    }
}

fn connect_tcp(address: SocketAddr, timeouts: Timeouts) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, timeouts.connect)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LOOK_UP))?;
    stream.set_write_timeout(Some(LOOK_UP))?;
    setsockopt(&stream.as_fd(), sockopt::SndBuf, &SEND_BUFFER_BYTES)?;
    let stall_ms = u32::try_from(timeouts.stall.as_millis()).unwrap_or(u32::MAX);
    setsockopt(&stream.as_fd(), sockopt::TcpUserTimeout, &stall_ms)?;
    Ok(stream)
}

fn connect_unix(path: &Path, timeouts: Timeouts) -> io::Result<UnixStream> {
    let address = UnixAddr::new(path)?;
    let socket = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // Without a timeout, connecting to a server whose queue is full would block for ever.
    let wait = TimeVal::milliseconds(timeouts.connect.as_millis() as i64);
    setsockopt(&socket, sockopt::SendTimeout, &wait)?;
    connect(socket.as_raw_fd(), &address)?;
    let stream = UnixStream::from(socket);
    stream.set_read_timeout(Some(LOOK_UP))?;
    stream.set_write_timeout(Some(LOOK_UP))?;
    Ok(stream)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
