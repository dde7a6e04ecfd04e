//! Listening sockets of the XML port, the interactive port and the port of the pages.
//!
//! Who may connect is decided in `admission`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use mio::net::TcpListener;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, bind,
    listen, setsockopt, socket, sockopt,
};

/// Connections waiting to be accepted; the system may allow fewer.
const BACKLOG: i32 = 1024;

/// Most connections accepted in one turn.
pub(super) const ACCEPTED_A_TURN: usize = 16;

/// What a port serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// The whole document, without a request.
    Xml,
    /// What the request asks for.
    Interactive,
    /// The pages. Who may not see them is told so.
    Web,
}

/// A listening port.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) port: Port,
}

/// Listens on `address`; if there is none, on all IPv4 and IPv6 addresses, or on all IPv4 addresses
/// where the machine has no IPv6. An error comes with the address that was tried.
pub(super) fn open(
    address: Option<IpAddr>,
    port: u16,
) -> Result<TcpListener, (SocketAddr, io::Error)> {
    at_one_of(address, port, open_at)
}

fn at_one_of<T>(
    address: Option<IpAddr>,
    port: u16,
    open: impl Fn(SocketAddr) -> Result<T, Errno>,
) -> Result<T, (SocketAddr, io::Error)> {
    let wanted = SocketAddr::new(address.unwrap_or(Ipv6Addr::UNSPECIFIED.into()), port);
    match open(wanted) {
        Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) if address.is_none() => {
            let ipv4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
            open(ipv4).map_err(|errno| (ipv4, errno.into()))
        }
        opened => opened.map_err(|errno| (wanted, errno.into())),
    }
}

/// Whether [`open`] would succeed. Only binds, so nobody can connect meanwhile.
pub(super) fn try_out(address: Option<IpAddr>, port: u16) -> Result<(), (SocketAddr, io::Error)> {
    at_one_of(address, port, |address| bound_to(address).map(drop))
}

fn open_at(address: SocketAddr) -> Result<TcpListener, Errno> {
    let listener = bound_to(address)?;
    // A C library may know of fewer, as musl does.
    let backlog = Backlog::new(BACKLOG).unwrap_or(Backlog::MAXALLOWABLE);
    listen(&listener, backlog)?;
    Ok(TcpListener::from_std(listener.into()))
}

fn bound_to(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let (family, address): (_, Box<dyn SockaddrLike>) = match address {
        SocketAddr::V4(v4) => (AddressFamily::Inet, Box::new(SockaddrIn::from(v4))),
        SocketAddr::V6(v6) => (AddressFamily::Inet6, Box::new(SockaddrIn6::from(v6))),
    };
    let listener = socket(family, SockType::Stream, flags, None)?;
    setsockopt(&listener, sockopt::ReuseAddr, &true)?;
    if family == AddressFamily::Inet6 {
        // One socket for both families, whatever the system's default, so that port 0 is one port.
        setsockopt(&listener, sockopt::Ipv6V6Only, &false)?;
    }
    bind(listener.as_raw_fd(), &*address)?;
    Ok(listener)
}
