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
use super::clients::{Connection, Held};
use super::listen::{ACCEPTED_A_TURN, Port};
use super::nuisance::Nuisance;
use super::slot::Slot;
use super::slots::{Key, Turn};
use gmetad_core::client::Client;
use gmetad_core::complaint::span;
use gmetad_core::room::Standing;
use gmetad_core::share::{Full, Most, Share};

/// The socket option for unsent bytes of an answer that the kernel may hold. By default it buffers
/// megabytes per client and reports room only when a third of that is free, so a slow client would
/// look like a stalled one.
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
                    _ if is_shortage(&err) && self.make_room(None) => {}
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
        if !self.is_trusted(address, port) {
            return;
        }
        let Some(share) = self.share_of(address) else {
            return;
        };
        let shared = &mut self.shared;
        // Best effort: the client can be served without it.
        let _ = setsockopt(&stream, UnsentLimit, &shared.config.clients.unread_bytes);
        let limits = shared.config.clients.limits;
        shared.clients.accepted += 1;
        let (registry, now) = (&shared.registry, shared.now.mono);
        let added = self.slots.try_add_with(|key| {
            // Of room for its answer nothing need be told before there is none.
            registry.register(&mut stream, key.token(), Interest::READABLE)?;
            let machine = match port {
                Port::Xml => Client::of_xml_port(limits, now),
                Port::Interactive | Port::Web => Client::of_interactive_port(limits, now),
            };
            let held = Held {
                _share: share,
                place: shared.room.enter(address, key),
            };
            let connection = Connection::new(key, stream, address, port, machine, held);
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

    /// Whether clients of that address are served. A refusal is counted and logged.
    fn is_trusted(&mut self, address: IpAddr, port: Port) -> bool {
        let shared = &mut self.shared;
        if port != Port::Web && !shared.trust.allows(address) {
            shared.clients.untrusted += 1;
            let what = "refused, it is not in trusted_hosts";
            shared.tell(address, Nuisance::Untrusted, &what);
            shared.look_up_names_soon();
            return false;
        }
        true
    }

    /// A place for one more client of that address, which another may have to make room for. A
    /// refusal is counted and logged.
    fn share_of(&mut self, address: IpAddr) -> Option<Share> {
        let full = match self.shared.places.take(address) {
            Ok(share) => return Some(share),
            Err(full) => full,
        };
        if self.make_room((full == Full::OfOne).then_some(address)) {
            return self.shared.places.take(address).ok();
        }
        let shared = &mut self.shared;
        shared.clients.crowded_out += 1;
        let Most { in_all, of_one } = shared.places.most();
        shared.tell(
            address,
            Nuisance::Crowd,
            &format_args!(
                "refused, all are being served; the limit is {in_all} clients, {of_one} from one \
                 address"
            ),
        );
        None
    }

    /// Closes the client, of one address or of all, that a newcomer may have the place of. Returns
    /// whether there is one.
    fn make_room(&mut self, of: Option<IpAddr>) -> bool {
        let (slots, shared) = (&mut self.slots, &mut self.shared);
        let now = shared.now.mono;
        let found = shared.room.first(of, |key| match slots.get_mut(key) {
            Some(Slot::Client(client)) => client.standing(now),
            _ => None,
        });
        let Some((key, standing)) = found else {
            return false;
        };
        self.close_for_another(key, standing);
        true
    }

    fn close_for_another(&mut self, key: Key, standing: Standing) {
        let shared = &mut self.shared;
        let Some(Slot::Client(client)) = self.slots.get_mut(key) else {
            return;
        };
        client.count_request(shared);
        shared.clients.made_room += 1;
        let Most { in_all, of_one } = shared.places.most();
        shared.tell(
            client.address,
            Nuisance::MadeRoom,
            &format_args!(
                "closed to make room for another, {standing}; the limit is {in_all} clients, \
                 {of_one} from one address"
            ),
        );
        self.remove(key);
    }

    /// A turn of a client, and what it means for others.
    pub(super) fn turn_of_client(&mut self, key: Key) -> Turn {
        let Some(Slot::Client(client)) = self.slots.get_mut(key) else {
            return Turn::Waits;
        };
        let mut turn = client.turn(&mut self.shared);
        if let Some(full) = client.waits_for_scrape() {
            let of = (full == Full::OfOne).then_some(client.address);
            self.make_room_for_scrape(of);
            let Some(Slot::Client(client)) = self.slots.get_mut(key) else {
                return Turn::Waits;
            };
            turn = client.turn(&mut self.shared);
        }
        if let Some(Slot::Client(client)) = self.slots.get_mut(key) {
            client.note_standing(&mut self.shared.room);
            let deadline = client.machine.deadline();
            self.shared.set_deadline(key, deadline);
        }
        turn
    }

    /// Closes the client, of one address or of all, that takes least of its scrape, if it takes too
    /// little.
    fn make_room_for_scrape(&mut self, of: Option<IpAddr>) {
        let now = self.shared.now.mono;
        let slowest = self
            .slots
            .iter()
            .filter_map(|slot| match slot {
                Slot::Client(client) => client.slow_scrape(of, now),
                _ => None,
            })
            .min_by_key(|(_, standing)| *standing);
        if let Some((key, standing)) = slowest {
            self.close_for_another(key, standing);
        }
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

/// Whether a connection cannot be accepted for want of descriptors, which a client could free.
fn is_shortage(err: &io::Error) -> bool {
    matches!(err.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// What to do where clients cannot be accepted.
fn remedy(err: &io::Error) -> &'static str {
    match err.raw_os_error() {
        Some(libc::EMFILE) => "; raise gmetad's limit of open files (LimitNOFILE, ulimit -n)",
        Some(libc::ENFILE) => "; raise the system's limit of open files (fs.file-max)",
        _ => "",
    }
}
