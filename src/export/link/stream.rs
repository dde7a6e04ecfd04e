//! A connection to a server, on which no call takes longer than it should.
//!
//! Knows no protocol. Calls block, for the patience at most: each sender has a thread of its own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use thiserror::Error;

use gmetad_core::source::HostPort;

/// How long one call waits before it is asked whether to go on.
const STEP: Duration = Duration::from_millis(200);

/// Bytes the system may hold for a server: what is lost when it dies without a word.
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
pub struct Patience {
    /// For a connection to come about, each address.
    pub connect: Duration,
    /// For a connection on which nothing moves.
    pub stall: Duration,
}

/// Why a server did not take a batch.
#[derive(Debug, Error)]
pub enum StreamError {
    /// Its name has no address.
    #[error("its name cannot be resolved: {0}")]
    Resolve(io::Error),
    /// No address answers.
    #[error("it cannot be reached: {0}")]
    Connect(io::Error),
    /// The connection broke while sending.
    #[error("sending failed: {0}")]
    Send(io::Error),
    /// The connection broke while waiting for an answer.
    #[error("its answer cannot be read: {0}")]
    Answer(io::Error),
    /// It closed the connection.
    #[error("it closed the connection")]
    Closed,
    /// Nothing moves.
    #[error("it has been stuck for {} s", .0.as_secs())]
    Stuck(Duration),
    /// It answers what no server of its kind would.
    #[error("it answers nonsense: {0}")]
    Nonsense(String),
    /// The daemon ends.
    #[error("the daemon ends")]
    Ending,
}

/// An open connection.
pub struct Stream<'a> {
    socket: Socket,
    patience: Patience,
    /// Whether the daemon ends and can wait no longer.
    ending: &'a (dyn Fn() -> bool + Send + Sync),
    /// Bytes of an answer that have been read ahead.
    ahead: Vec<u8>,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Udp(UdpSocket),
}

impl<'a> Stream<'a> {
    /// Looks the name up, and tries all of its addresses in turn.
    pub fn open(
        endpoint: &Endpoint,
        patience: Patience,
        ending: &'a (dyn Fn() -> bool + Send + Sync),
    ) -> Result<Stream<'a>, StreamError> {
        let socket = match endpoint {
            Endpoint::Unix(path) => {
                Socket::Unix(connect_unix(path, patience).map_err(StreamError::Connect)?)
            }
            Endpoint::Tcp(place) => Socket::Tcp(first(place, ending, |address| {
                connect_tcp(address, patience)
            })?),
            Endpoint::Udp(place) => Socket::Udp(first(place, ending, connect_udp)?),
        };
        Ok(Stream {
            socket,
            patience,
            ending,
            ahead: Vec::new(),
        })
    }

    /// Sends all of it; over UDP as one datagram.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        if let Socket::Udp(socket) = &self.socket {
            return socket.send(bytes).map(drop).map_err(StreamError::Send);
        }
        let mut rest = bytes;
        let mut moved = Instant::now();
        while !rest.is_empty() {
            match self.socket.write(rest) {
                Ok(0) => return Err(StreamError::Closed),
                Ok(count) => {
                    rest = &rest[count..];
                    moved = Instant::now();
                }
                Err(error) if is_time_out(&error) => self.may_wait(moved)?,
                Err(error) => return Err(StreamError::Send(error)),
            }
        }
        Ok(())
    }

    /// Whether the server has closed its end, of one that otherwise says nothing; what it says
    /// nevertheless is thrown away.
    pub fn is_closed(&mut self) -> bool {
        if matches!(self.socket, Socket::Udp(_)) {
            return false;
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

    /// Reads a line, without its end, of `limit` bytes at most.
    pub fn read_line(&mut self, limit: usize) -> Result<String, StreamError> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.ahead) {
                let line: Vec<u8> = self.ahead.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
            }
            if self.ahead.len() > limit {
                let start = String::from_utf8_lossy(&self.ahead[..40]).into_owned();
                return Err(StreamError::Nonsense(start));
            }
            self.read_ahead()?;
        }
    }

    /// Reads as many bytes.
    pub fn read_exact(&mut self, count: usize) -> Result<Vec<u8>, StreamError> {
        while self.ahead.len() < count {
            self.read_ahead()?;
        }
        Ok(self.ahead.drain(..count).collect())
    }

    fn read_ahead(&mut self) -> Result<(), StreamError> {
        let start = Instant::now();
        let mut chunk = [0; 4096];
        loop {
            match self.socket.read(&mut chunk) {
                Ok(0) => return Err(StreamError::Closed),
                Ok(count) => {
                    self.ahead.extend_from_slice(&chunk[..count]);
                    return Ok(());
                }
                Err(error) if is_time_out(&error) => self.may_wait(start)?,
                Err(error) => return Err(StreamError::Answer(error)),
            }
        }
    }

    fn may_wait(&self, since: Instant) -> Result<(), StreamError> {
        if (self.ending)() {
            Err(StreamError::Ending)
        } else if since.elapsed() >= self.patience.stall {
            Err(StreamError::Stuck(self.patience.stall))
        } else {
            Ok(())
        }
    }
}

impl Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(bytes),
            Socket::Unix(stream) => stream.read(bytes),
            Socket::Udp(socket) => socket.recv(bytes),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write(bytes),
            Socket::Unix(stream) => stream.write(bytes),
            Socket::Udp(socket) => socket.send(bytes),
        }
    }

    fn fd(&self) -> i32 {
        match self {
            Socket::Tcp(stream) => stream.as_raw_fd(),
            Socket::Unix(stream) => stream.as_raw_fd(),
            Socket::Udp(socket) => socket.as_raw_fd(),
        }
    }
}

/// The first of a name's addresses that can be had.
fn first<T>(
    place: &HostPort,
    ending: &(dyn Fn() -> bool + Send + Sync),
    open: impl Fn(SocketAddr) -> io::Result<T>,
) -> Result<T, StreamError> {
    let addresses: Vec<SocketAddr> = match place.host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, place.port)],
        Err(_) => (place.host.as_str(), place.port)
            .to_socket_addrs()
            .map_err(StreamError::Resolve)?
            .collect(),
    };
    let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in addresses {
        if ending() {
            return Err(StreamError::Ending);
        }
        match open(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(StreamError::Connect(last))
}

fn connect_tcp(address: SocketAddr, patience: Patience) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, patience.connect)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(STEP))?;
    stream.set_write_timeout(Some(STEP))?;
    setsockopt(&stream.as_fd(), sockopt::SndBuf, &SEND_BUFFER_BYTES)?;
    let stall_ms = u32::try_from(patience.stall.as_millis()).unwrap_or(u32::MAX);
    setsockopt(&stream.as_fd(), sockopt::TcpUserTimeout, &stall_ms)?;
    Ok(stream)
}

fn connect_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = if address.is_ipv4() {
        ([0; 4], 0).into()
    } else {
        ([0_u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    Ok(socket)
}

fn connect_unix(path: &Path, patience: Patience) -> io::Result<UnixStream> {
    let address = UnixAddr::new(path)?;
    let socket = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // Where many wait already, a connect that had no time out would wait for good.
    let wait = TimeVal::milliseconds(patience.connect.as_millis() as i64);
    setsockopt(&socket, sockopt::SendTimeout, &wait)?;
    connect(socket.as_raw_fd(), &address)?;
    let stream = UnixStream::from(socket);
    stream.set_read_timeout(Some(STEP))?;
    stream.set_write_timeout(Some(STEP))?;
    Ok(stream)
}

fn is_time_out(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
