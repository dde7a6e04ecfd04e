//! Sets up the loop: ports, rrdcached socket and signals.
//!
//! Runs before privileges are dropped. Nothing is served yet.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use mio::{Interest, Poll, Waker};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook_mio::v1_0::Signals;
use thiserror::Error;

use super::Reactor;
use super::listen::{self, Listener, Port};
use super::reload::Reloading;
use super::shared::{Chore, Shared};
use super::slot::{Slot, Slots};
use crate::daemon::{Manager, PortHolder, cannot_listen, port_holder};
use gmetad_config::Config;

/// Why the loop cannot be set up.
#[derive(Debug, Error)]
pub enum BindError {
    /// A port cannot be listened on.
    #[error("{}", cannot_listen(name, *address, source, holder.as_ref()))]
    Listen {
        /// The directive that sets the port.
        name: &'static str,
        /// The address that was tried.
        address: SocketAddr,
        /// The process that holds the port, where the system tells.
        holder: Option<PortHolder>,
        /// The system's error.
        source: io::Error,
    },
    /// The rrdcached socket cannot be listened on.
    #[error("listen {} cannot be listened on: {source}", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A descriptor for the loop itself cannot be created.
    #[error("cannot set up the event loop: {0}")]
    SetUp(#[from] io::Error),
}

impl BindError {
    /// The kind of error, which decides the exit code.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            BindError::Listen { source, .. }
            | BindError::Socket { source, .. }
            | BindError::SetUp(source) => source.kind(),
        }
    }
}

/// Whether a start could listen on the port. If not: the address that was tried, and why.
pub fn try_port(address: Option<IpAddr>, port: u16) -> Result<(), (SocketAddr, io::Error)> {
    listen::try_out(address, port)
}

impl Reactor {
    /// Binds the ports and installs the signal handlers. Call it before privileges are dropped.
    pub fn bind(config: &Config) -> Result<Self, BindError> {
        let mut reactor = Reactor::without_ports(config)?;
        let xml = reactor.listen("xml_port", Port::Xml, config.xml_port)?;
        reactor.xml_addrs.push(xml);
        let interactive = reactor.listen(
            "interactive_port",
            Port::Interactive,
            config.interactive_port,
        )?;
        reactor.interactive_addrs.push(interactive);
        if let Some(port) = config.web_port {
            let web = reactor.listen("web_port", Port::Web, port)?;
            reactor.web_addrs.push(web);
        }
        if let Some(path) = &config.rrd.listen
            && config.rrd.write
        {
            reactor.listen_as_rrdcached(path, config)?;
        }
        Ok(reactor)
    }

    /// Installs the signal handlers and binds no port.
    pub fn without_ports(config: &Config) -> Result<Self, BindError> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let mut slots = Slots::default();
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGUSR1])?;
        let token = slots.add(Slot::Signals).token();
        registry.register(&mut signals, token, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(&registry, slots.add(Slot::Waker).token())?);
        let chores = Chore::ALL.map(|chore| slots.add(Slot::Chore(chore)));
        Ok(Reactor {
            poll,
            signals,
            slots,
            shared: Shared::new(config, registry, &waker, chores),
            waker,
            origin: None,
            reloading: Reloading::No,
            bulk: 0,
            manager: Manager::default(),
            xml_addrs: Vec::new(),
            interactive_addrs: Vec::new(),
            web_addrs: Vec::new(),
        })
    }

    fn listen(
        &mut self,
        name: &'static str,
        port: Port,
        number: u16,
    ) -> Result<SocketAddr, BindError> {
        let mut socket = listen::open(self.shared.config.bind_address, number).map_err(
            |(address, source)| BindError::Listen {
                name,
                address,
                holder: (source.kind() == io::ErrorKind::AddrInUse)
                    .then(|| port_holder(address))
                    .flatten(),
                source,
            },
        )?;
        let address = socket.local_addr()?;
        let registry = &self.shared.registry;
        self.slots.try_add_with(|key| {
            registry.register(&mut socket, key.token(), Interest::READABLE)?;
            Ok(Slot::Listener(Listener { socket, port }))
        })?;
        Ok(address)
    }
}
