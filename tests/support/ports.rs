//! Ports for programs that have to be told theirs before they start.
//!
//! A port that was free a moment ago may be anybody's now: another test's, or that of an outgoing
//! connection. These lie outside the range that the system chooses from, and each belongs to its owner
//! alone, in whatever process the other tests run.

// Each test program uses its own part of this.
#![allow(dead_code)]

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below this are the ports of well-known services.
const LOWEST: u16 = 10_000;

/// Fewer ports than this are too few to look for one among them.
const ENOUGH: usize = 1000;

/// A port for TCP and UDP that no other test gets while this is alive. Nobody listens on it yet.
#[derive(Debug)]
pub struct Port {
    number: u16,
    // An abstract address has one owner, and is free again when its owner ends, however that is.
    _reservation: UnixListener,
}

impl Port {
    /// Reserves one.
    #[track_caller]
    pub fn reserve() -> Port {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let ports = ports();
        let count = u32::from(ports.end() - ports.start()) + 1;
        // Each process begins elsewhere.
        let first = std::process::id().wrapping_mul(7919);
        let found = (0..count).find_map(|_| {
            let at = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(first) % count;
            Port::take(ports.start() + at as u16)
        });
        found.unwrap_or_else(|| panic!("all ports of {ports:?} are in use"))
    }

    /// Reserves that one, unless it is reserved or in use.
    fn take(number: u16) -> Option<Port> {
        let name = format!("gmetad-test-port-{number}");
        let address = SocketAddr::from_abstract_name(name).expect("a short name");
        let reservation = UnixListener::bind_addr(&address).ok()?;
        let any = (Ipv4Addr::UNSPECIFIED, number);
        let is_free = TcpListener::bind(any).is_ok() && UdpSocket::bind(any).is_ok();
        is_free.then_some(Port {
            number,
            _reservation: reservation,
        })
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// Ports that the system gives to nobody by itself, if it leaves any.
fn ports() -> RangeInclusive<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut limits = text.split_whitespace().filter_map(|it| it.parse().ok());
    let (low, high): (u16, u16) = match (limits.next(), limits.next()) {
        (Some(low), Some(high)) => (low, high),
        _ => (32_768, 60_999),
    };
    let (below, above) = (
        LOWEST..=low.saturating_sub(1),
        high.saturating_add(1)..=u16::MAX,
    );
    [below, above]
        .into_iter()
        .find(|ports| ports.len() >= ENOUGH)
        .unwrap_or(LOWEST..=u16::MAX)
}
