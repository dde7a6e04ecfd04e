//! Datagrams to a server, whose name may have several addresses.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::vec;

/// A socket that sends to one of a server's addresses.
pub(super) struct Datagrams {
    socket: UdpSocket,
    /// Those that were not tried yet.
    others: vec::IntoIter<SocketAddr>,
}

impl Datagrams {
    /// IPv4 addresses come first: C gmetad resolves to no others, and nothing but a lost datagram tells
    /// that a server, such as carbon on `localhost`, does not listen at its IPv6 address.
    pub(super) fn open(mut addresses: Vec<SocketAddr>) -> io::Result<Datagrams> {
        addresses.sort_by_key(SocketAddr::is_ipv6);
        let mut others = addresses.into_iter();
        let socket = connect_first(&mut others, ErrorKind::AddrNotAvailable.into())?;
        Ok(Datagrams { socket, others })
    }

    /// Sends one datagram. Where an earlier one was refused, it goes to the server's next address.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.socket.send(bytes) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    self.socket = connect_first(&mut self.others, error)?;
                }
                sent => return sent,
            }
        }
    }

    pub(super) fn receive(&self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(bytes)
    }
}

impl AsRawFd for Datagrams {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// The first address that can be sent to; without any, the last failure.
fn connect_first(
    addresses: &mut vec::IntoIter<SocketAddr>,
    mut last: io::Error,
) -> io::Result<UdpSocket> {
    for address in addresses {
        match connect(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn connect(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = if address.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn server(address: &str) -> UdpSocket {
        UdpSocket::bind(address).unwrap()
    }

    #[test]
    fn ipv4_is_sent_to_first() {
        let server = server("127.0.0.1:0");
        let port = server.local_addr().unwrap().port();
        let addresses = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
        let addresses = addresses.map(|it: std::net::IpAddr| SocketAddr::new(it, port));
        let link = Datagrams::open(addresses.to_vec()).unwrap();
        assert_eq!(link.socket.peer_addr().unwrap(), addresses[1]);
        assert_eq!(link.others.as_slice(), &addresses[..1]);
    }

    #[test]
    fn an_address_that_refuses_is_left_for_the_next() {
        // Held and connected to another place, it takes its port and refuses what others send.
        let refuses = server("127.0.0.1:0");
        refuses.connect("127.0.0.1:9").unwrap();
        let listens = server("127.0.0.1:0");
        listens
            .set_read_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        let addresses = [&refuses, &listens].map(|it| it.local_addr().unwrap());
        let mut link = Datagrams::open(addresses.to_vec()).unwrap();
        let start = Instant::now();
        let mut bytes = [0; 9];
        loop {
            link.send(b"value").unwrap();
            if let Ok(count) = listens.recv(&mut bytes) {
                assert_eq!(&bytes[..count], b"value");
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "nothing comes");
        }
        assert!(link.others.as_slice().is_empty());
    }

    #[test]
    fn a_server_that_refuses_at_its_only_address_has_failed() {
        let refuses = server("127.0.0.1:0");
        refuses.connect("127.0.0.1:9").unwrap();
        let mut link = Datagrams::open(vec![refuses.local_addr().unwrap()]).unwrap();
        let start = Instant::now();
        let error = loop {
            if let Err(error) = link.send(b"value") {
                break error;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "it takes all");
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(Datagrams::open(Vec::new()).is_err());
    }
}
