//! Accepts clients on the ports, and closes those that hold old snapshots.
//!
//! Accepted clients are served in `clients`.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::Interest;
use mio::net::TcpStream;
use nix::libc;
use nix::sys::socket::setsockopt;

use super::Reactor;
use super::clients::Connection;
use super::listen::{ACCEPTED_A_TURN, Port};
use super::nuisance::Nuisance;
use super::slot::Slot;
use super::slots::{Key, Turn};
use gmetad_core::complaint::span;

/// One address may take this fraction of all clients: one half.
const SHARE_OF_ONE_ADDRESS: usize = 2;

/// Unsent bytes of an answer that the kernel may hold. By default it buffers megabytes per client
/// and reports room only when a third of that is free, so a slow client would look like a stalled
/// one.
const UNSENT_BYTES: u32 = 256 << 10;

/// The socket option for that limit.
#[derive(Clone, Copy, Debug)]
struct UnsentLimit;

nix::setsockopt_impl!(
    UnsentLimit,
    libc::IPPROTO_TCP,
    libc::TCP_NOTSENT_LOWAT,
    u32,
    nix::sys::socket::sockopt::SetStruct<'_, u32>
);

/// Pause after an accept that failed for want of a descriptor.
const REST: Duration = Duration::from_secs(1);

impl Reactor {
    /// Accepts clients that wait at a port.
    pub(super) fn accept(&mut self, listener: Key) -> Turn {
        for _ in 0..ACCEPTED_A_TURN {
            let Some(Slot::Listener(open)) = self.slots.get_mut(listener) else {
                return Turn::Waits;
            };
            let port = open.port;
            match open.socket.accept() {
                Ok((stream, address)) => self.admit(stream, address, port),
                Err(err) => match err.kind() {
                    ErrorKind::WouldBlock => {
                        self.descriptors_are_back();
                        return Turn::Waits;
                    }
                    // The client closed the connection before it was accepted.
                    ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
                    _ => {
                        self.rest(listener, &err);
                        return Turn::Waits;
                    }
                },
            }
        }
        Turn::Again
    }

    fn descriptors_are_back(&mut self) {
        let now = self.shared.instant();
        if let Some(lasted) = self.shared.no_descriptors.recovered(now) {
            gmetad_core::recovered!(error: "clients are accepted again, after {}", span(lasted));
        }
    }

    fn rest(&mut self, listener: Key, err: &io::Error) {
        let now = self.shared.instant();
        if self.shared.no_descriptors.failed(now).is_some() {
            let reason = super::reason(err);
            log::error!("cannot accept clients: {reason}{}", remedy(err));
        }
        let again = self.shared.now.mono + REST;
        self.shared.set_deadline(listener, Some(again));
    }

    fn admit(&mut self, mut stream: TcpStream, address: SocketAddr, port: Port) {
        let address = address.ip().to_canonical();
        if !self.is_welcome(address, port) {
            return;
        }
        // Best effort: the client can be served without it.
        let _ = setsockopt(&stream, UnsentLimit, &UNSENT_BYTES);
        let shared = &mut self.shared;
        shared.clients.accepted += 1;
        let (registry, now) = (&shared.registry, shared.now.mono);
        let added = self.slots.try_add_with(|key| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            registry.register(&mut stream, key.token(), interest)?;
            let connection = Connection::new(key, stream, address, port, now);
            Ok(Slot::Client(Box::new(connection)))
        });
        match added {
            Ok(key) => {
                shared.clients.connected += 1;
                // The first turn sets the deadline.
                self.make_ready(key);
            }
            Err(err) => log::error!(
                "cannot register a client's socket: {}; its connection is closed",
                super::reason(&err)
            ),
        }
    }

    /// Whether a client of that address is accepted. A refusal is counted and logged.
    fn is_welcome(&mut self, address: IpAddr, port: Port) -> bool {
        let shared = &mut self.shared;
        if port != Port::Web && !shared.trust.allows(address) {
            shared.clients.untrusted += 1;
            let what = "refused, it is not in trusted_hosts";
            shared.tell(address, Nuisance::Untrusted, &what);
            shared.look_up_names_soon();
            return false;
        }
        let (mut all, mut of_address) = (0, 0);
        for slot in self.slots.iter() {
            if let Slot::Client(client) = slot {
                all += 1;
                of_address += usize::from(client.address == address);
            }
        }
        let room = shared.max_clients;
        if of_address >= (room / SHARE_OF_ONE_ADDRESS).max(1) || all >= room {
            shared.clients.crowded_out += 1;
            shared.tell(
                address,
                Nuisance::Crowd,
                &format_args!(
                    "refused, the limit is {room} clients, half of them from one address"
                ),
            );
            return false;
        }
        true
    }

    /// Closes connections whose answers are made from snapshots with a lower number.
    pub(super) fn let_go_before(&mut self, first: u64) {
        for key in self.slots.keys() {
            if let Some(Slot::Client(client)) = self.slots.get_mut(key)
                && client.is_sent_older_than(first)
            {
                client.machine.outlive();
                self.make_ready(key);
            }
        }
    }
}

/// What to do where clients cannot be accepted.
fn remedy(err: &io::Error) -> &'static str {
    match err.raw_os_error() {
        Some(libc::EMFILE) => "; raise gmetad's limit of open files (LimitNOFILE, ulimit -n)",
        Some(libc::ENFILE) => "; raise the system's limit of open files (fs.file-max)",
        _ => "",
    }
}
