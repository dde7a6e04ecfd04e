//! The clients of both ports: lets them in, and does what their machines decide.
//!
//! What is answered, and how long it may take, is decided there and in `query`.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Token};
use nix::libc;
use nix::sys::socket::setsockopt;

use super::clock::Clock;
use super::listen::Port;
use super::nuisance::Nuisance;
use super::slots::{Slot, Slots};
use super::{Shared, TURN_BYTES};
use gmetad_core::answer::query::{Query, Selection};
use gmetad_core::answer::walk::Body;
use gmetad_core::answer::xml::Render;
use gmetad_core::client::{Action, Client, Request};
use gmetad_core::http;
use gmetad_core::http::{Asked, Context, Refusal};
use gmetad_core::model::Mono;

/// Most clients at a time, where the system gives as many descriptors.
pub(super) const MAX_CLIENTS: usize = 512;

/// How much of the room one address may take.
const SHARE_OF_ONE_ADDRESS: usize = 2;

/// What the system may hold of an answer that it has not sent yet. Left to itself it takes megabytes
/// for each client, and tells of room only when a third of that is free: a client that is slow would
/// look as one that takes nothing.
const UNSENT_BYTES: u32 = 256 << 10;

/// Limits what of a connection waits to be sent.
#[derive(Clone, Copy, Debug)]
struct UnsentLimit;

nix::setsockopt_impl!(
    UnsentLimit,
    libc::IPPROTO_TCP,
    libc::TCP_NOTSENT_LOWAT,
    u32,
    nix::sys::socket::sockopt::SetStruct<'_, u32>
);

/// Connections let in before others have their turn.
const ACCEPTED_A_TURN: usize = 64;

/// How long a port rests when the system has no descriptor for a client.
const REST_MS: u64 = 1000;

/// What a piece of an answer counts for at least: making it may have been more work than sending.
const LEAST_WORK_BYTES: usize = 16 << 10;

/// Bytes of a request read at a time.
const REQUEST_BYTES: usize = 4096;

/// One client.
pub(super) struct Connection {
    pub(super) address: IpAddr,
    pub(super) machine: Client,
    stream: TcpStream,
    readable: bool,
    writable: bool,
    /// As far as it is counted.
    counted_bytes: u64,
    port: Port,
    /// When it asked, until that is counted.
    asked: Option<Mono>,
    /// The number of the snapshot that its answer is made from.
    moment: Option<u64>,
}

/// What a turn has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing to do until something happens.
    Waits,
    /// There is more to do at once.
    Again,
    /// It is over.
    Gone,
}

impl Connection {
    /// Takes an event of the connection in.
    pub(super) fn event(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_error();
        self.writable |= event.is_writable() || event.is_error();
    }

    /// Its request is answered or given up.
    fn count_request(&mut self, shared: &mut Shared) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        let (took, now_ms) = (shared.now.mono.since(asked), Clock::epoch_ms());
        let clients = &mut shared.clients;
        match self.port {
            Port::Xml => clients.xml.add(took, now_ms),
            Port::Interactive => clients.interactive.add(took, now_ms),
        }
    }

    /// One turn: some bytes read or written.
    pub(super) fn turn(&mut self, shared: &mut Shared) -> Turn {
        let outcome = self.run(shared);
        shared.clients.sent_bytes += self.machine.written_bytes() - self.counted_bytes;
        self.counted_bytes = self.machine.written_bytes();
        outcome
    }

    fn run(&mut self, shared: &mut Shared) -> Turn {
        let mut written = 0;
        loop {
            while let Some(action) = self.machine.action() {
                match action {
                    Action::Request(request) => self.answer(request, shared),
                    // A client that is gone already is noticed by the next read.
                    Action::CloseWrite => drop(self.stream.shutdown(Shutdown::Write)),
                    Action::Close(fault) => {
                        self.count_request(shared);
                        if let Some(fault) = fault {
                            shared.clients.faults += 1;
                            shared.tell(self.address, Nuisance::Fault, &fault);
                        }
                        return Turn::Gone;
                    }
                }
            }
            if self.machine.wants_to_write() {
                if !self.writable {
                    return Turn::Waits;
                }
                if written >= TURN_BYTES {
                    return Turn::Again;
                }
                written += self.write(shared).max(LEAST_WORK_BYTES);
            } else if self.machine.wants_bytes() && self.readable {
                self.read(shared);
            } else {
                return Turn::Waits;
            }
        }
    }

    fn write(&mut self, shared: &mut Shared) -> usize {
        let now = shared.now.mono;
        if self.machine.finish(now) {
            self.count_request(shared);
            return 0;
        }
        let out = self.machine.output();
        match self.stream.write(out) {
            Ok(len) => {
                self.writable = len == out.len();
                self.machine.written(len, now);
                len
            }
            Err(err) => {
                match err.kind() {
                    ErrorKind::WouldBlock => self.writable = false,
                    ErrorKind::Interrupted => {}
                    _ => self.machine.broken(),
                }
                0
            }
        }
    }

    fn read(&mut self, shared: &mut Shared) {
        let buffer = &mut shared.buffer[..REQUEST_BYTES];
        match self.stream.read(buffer) {
            Ok(0) => {
                self.readable = false;
                self.machine.end(shared.now.mono);
            }
            Ok(len) => self.machine.bytes(&buffer[..len], shared.now.mono),
            Err(err) => match err.kind() {
                ErrorKind::WouldBlock => self.readable = false,
                ErrorKind::Interrupted => {}
                _ => self.machine.broken(),
            },
        }
    }

    fn answer(&mut self, request: Request, shared: &mut Shared) {
        self.asked = Some(shared.now.mono);
        let snapshot = shared.store.snapshot();
        self.moment = Some(shared.moments.give(&snapshot, shared.now.mono));
        let body = match request {
            Request::All => render(Selection::all(), shared),
            Request::Http(head) => {
                shared.clients.http_requests += 1;
                if let Err(refusal @ (Refusal::LongLine(_) | Refusal::Late(_))) = &head.target {
                    shared.tell(self.address, Nuisance::Fault, refusal);
                }
                self.page(&Asked::of_head(&head), shared)
            }
            Request::Line(line) => match Asked::of_plain_line(&line) {
                Some(asked) => self.page(&asked, shared),
                None => self.part(&Query::parse(&line), shared),
            },
        };
        self.machine.answer(body, shared.now.mono);
    }

    /// The answer over HTTP.
    fn page(&self, asked: &Asked, shared: &mut Shared) -> Box<dyn Body> {
        self.tell_ignored(asked.ignored(), shared);
        with_context(shared, |context| http::answer(asked, context))
    }

    /// The answer in the plain form.
    fn part(&self, query: &Query, shared: &mut Shared) -> Box<dyn Body> {
        self.tell_ignored(query.ignored.as_deref(), shared);
        let selection = Selection::resolve(&shared.store.snapshot(), query);
        render(selection, shared)
    }

    fn tell_ignored(&self, ignored: Option<&str>, shared: &mut Shared) {
        if let Some(ignored) = ignored {
            let what = format_args!("its \"{ignored}\" is not understood and ignored");
            shared.tell(self.address, Nuisance::Request, &what);
        }
    }
}

/// Lets the clients go whose answers are made from snapshots before that number.
pub(super) fn let_go_before(slots: &mut Slots, first: u64) {
    for token in 0..slots.len() {
        if let Some(Slot::Client(client)) = slots.get_mut(token)
            && client.moment.is_some_and(|moment| moment < first)
        {
            client.machine.outlive();
            slots.make_ready(token);
        }
    }
}

fn with_context(
    shared: &mut Shared,
    answer: impl FnOnce(&mut Context<'_>) -> Box<dyn Body>,
) -> Box<dyn Body> {
    let (snapshot, now) = (shared.store.snapshot(), shared.now);
    let place = http::place(&shared.scrapes);
    answer(&mut Context {
        snapshot,
        now,
        report: &mut || shared.report(),
        place,
    })
}

fn render(selection: Selection, shared: &mut Shared) -> Box<dyn Body> {
    Box::new(Render::new(shared.store.snapshot(), selection, shared.now))
}

/// Lets waiting clients of the port in slot `listener` in; whether more may wait.
pub(super) fn accept(slots: &mut Slots, listener: usize, shared: &mut Shared) -> bool {
    for _ in 0..ACCEPTED_A_TURN {
        let Some(Slot::Listener(open)) = slots.get_mut(listener) else {
            return false;
        };
        let port = open.port;
        match open.socket.accept() {
            Ok((stream, address)) => admit(slots, stream, address, port, shared),
            Err(err) => match err.kind() {
                ErrorKind::WouldBlock => {
                    if let Some(lasted) = shared.no_descriptors.recovered(shared.instant()) {
                        let lasted = gmetad_core::complaint::span(lasted);
                        gmetad_core::recovered!(error: "clients are let in again, after {lasted}");
                    }
                    return false;
                }
                // The client has gone before it was let in.
                ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
                _ => {
                    if shared.no_descriptors.failed(shared.instant()).is_some() {
                        log::error!("clients cannot be let in: {}", super::reason(&err));
                    }
                    let again = Mono(shared.now.mono.0 + REST_MS);
                    shared.timers.set(listener, Some(again));
                    return false;
                }
            },
        }
    }
    true
}

fn admit(
    slots: &mut Slots,
    stream: TcpStream,
    address: SocketAddr,
    port: Port,
    shared: &mut Shared,
) {
    let address = address.ip().to_canonical();
    if !shared.trust.allows(address) {
        shared.clients.untrusted += 1;
        let what = "turned away, it is not in trusted_hosts";
        shared.tell(address, Nuisance::Untrusted, &what);
        shared.look_up_names_soon();
        return;
    }
    let of_address = slots.clients().filter(|client| client.address == address);
    let room = shared.max_clients;
    if of_address.count() >= (room / SHARE_OF_ONE_ADDRESS).max(1) || slots.clients().count() >= room
    {
        shared.clients.crowded_out += 1;
        let what = format_args!("turned away, there is room for {room} clients");
        shared.tell(address, Nuisance::Crowd, &what);
        return;
    }
    // Without it, it is served all the same.
    let _ = setsockopt(&stream, UnsentLimit, &UNSENT_BYTES);
    shared.clients.accepted += 1;
    shared.clients.connected += 1;
    let now = shared.now.mono;
    let connection = Connection {
        address,
        machine: match port {
            Port::Xml => Client::of_xml_port(now),
            Port::Interactive => Client::of_interactive_port(now),
        },
        stream,
        readable: true,
        writable: true,
        counted_bytes: 0,
        port,
        asked: None,
        moment: None,
    };
    let token = slots.add(Slot::Client(Box::new(connection)));
    let Some(Slot::Client(connection)) = slots.get_mut(token) else {
        return;
    };
    let interest = Interest::READABLE | Interest::WRITABLE;
    let registered = shared
        .registry
        .register(&mut connection.stream, Token(token), interest);
    if let Err(err) = registered {
        log::error!("a client cannot be waited for: {}", super::reason(&err));
        shared.clients.connected -= 1;
        slots.remove(token);
        return;
    }
    shared.timers.set(token, connection.machine.deadline());
    slots.make_ready(token);
}
