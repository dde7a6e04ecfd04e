//! The loop: so far it holds the ports and waits to be told to end.
//!
//! Polls nothing and answers nobody yet: who connects is let go at once.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use nix::errno::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use thiserror::Error;

use crate::config::Config;
use crate::logging;

const SIGNALS: Token = Token(usize::MAX);

/// Why the loop cannot be set up.
#[derive(Debug, Error)]
pub enum BindError {
    /// A port cannot be had.
    #[error("{name} {address} cannot be listened on: {source}")]
    Listen {
        /// The directive that says the port.
        name: &'static str,
        /// What was tried.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The system gave no descriptors for it.
    #[error("the loop cannot be set up: {0}")]
    SetUp(io::Error),
}

/// Why the loop ended without being told to.
#[derive(Debug, Error)]
pub enum RunError {
    /// The system no longer says what is ready.
    #[error("the loop cannot wait for its sockets: {0}")]
    Wait(io::Error),
}

/// The loop, its ports bound.
pub struct Reactor {
    poll: Poll,
    signals: Signals,
    listeners: Vec<TcpListener>,
    xml_addrs: Vec<SocketAddr>,
    interactive_addrs: Vec<SocketAddr>,
}

impl Reactor {
    /// Binds both ports and takes over the signals; to be called before privileges are dropped.
    pub fn bind(config: &Config) -> Result<Self, BindError> {
        let poll = Poll::new().map_err(BindError::SetUp)?;
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(BindError::SetUp)?;
        poll.registry()
            .register(&mut signals, SIGNALS, Interest::READABLE)
            .map_err(BindError::SetUp)?;
        let mut reactor = Reactor {
            poll,
            signals,
            listeners: Vec::new(),
            xml_addrs: Vec::new(),
            interactive_addrs: Vec::new(),
        };
        let xml = reactor.listen("xml_port", config.bind_address, config.xml_port)?;
        reactor.xml_addrs.push(xml);
        let interactive = reactor.listen(
            "interactive_port",
            config.bind_address,
            config.interactive_port,
        )?;
        reactor.interactive_addrs.push(interactive);
        Ok(reactor)
    }

    /// Where the whole document is served.
    pub fn xml_addrs(&self) -> &[SocketAddr] {
        &self.xml_addrs
    }

    /// Where requests by path are served.
    pub fn interactive_addrs(&self) -> &[SocketAddr] {
        &self.interactive_addrs
    }

    /// Runs until SIGTERM or SIGINT.
    pub fn run(mut self) -> Result<(), RunError> {
        let mut events = Events::with_capacity(64);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                outcome => outcome.map_err(RunError::Wait)?,
            }
            for event in &events {
                match self.listeners.get(event.token().0) {
                    Some(listener) => while listener.accept().is_ok() {},
                    None => {
                        for signal in self.signals.pending() {
                            match signal {
                                SIGHUP => logging::reopen(),
                                _ => return Ok(()),
                            }
                        }
                    }
                }
            }
        }
    }

    /// One listener for both families, where there is IPv6, unless an address was asked for.
    fn listen(
        &mut self,
        name: &'static str,
        address: Option<IpAddr>,
        port: u16,
    ) -> Result<SocketAddr, BindError> {
        let wanted = SocketAddr::new(address.unwrap_or(Ipv6Addr::UNSPECIFIED.into()), port);
        let mut address_tried = wanted;
        let mut bound = TcpListener::bind(wanted);
        let no_ipv6 = |error: &io::Error| {
            error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32)
                || error.kind() == io::ErrorKind::AddrNotAvailable
        };
        if address.is_none() && bound.as_ref().is_err_and(no_ipv6) {
            address_tried = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
            bound = TcpListener::bind(address_tried);
        }
        let failed = |source| BindError::Listen {
            name,
            address: address_tried,
            source,
        };
        let mut listener = bound.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        self.poll
            .registry()
            .register(
                &mut listener,
                Token(self.listeners.len()),
                Interest::READABLE,
            )
            .map_err(BindError::SetUp)?;
        self.listeners.push(listener);
        Ok(address)
    }
}

impl BindError {
    /// What kind of refusal it was; tells the exit code.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            BindError::Listen { source, .. } | BindError::SetUp(source) => source.kind(),
        }
    }
}
