//! Servers that values are sent on to, on loopback.
//!
//! Starts no gmetad. A server that is killed and started again keeps its port and its folder.

// Each test program uses its own part of this.
#![allow(dead_code, unused_imports)]

mod carbon;
mod influx;
mod memcached;
mod riemann;
mod rrdcached;

use std::net::{Ipv4Addr, TcpListener};

pub use carbon::{Carbon, Points};
pub use influx::Influx;
pub use memcached::Memcached;
pub use riemann::{Mood, Riemann};
pub use rrdcached::{Rrdcached, ScriptedRrdcached};

/// Something that listens and never reads a byte.
pub struct Deaf {
    listener: TcpListener,
}

impl Deaf {
    /// One on a port of the system's choice.
    pub fn start() -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        Self { listener }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("it is bound").port()
    }
}
