//! Connections of clients on both ports: does the I/O that their state machines ask for.
//!
//! What is answered, and how long it may take, is decided in the core.

use std::borrow::Cow;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Shutdown};
use std::os::fd::AsRawFd;
use std::time::Instant;

use mio::Interest;
use mio::event::Event;
use mio::net::TcpStream;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{self, MsgFlags};

use super::TURN_BYTES;
use super::clock::Clock;
use super::listen::Port;
use super::nuisance::Nuisance;
use super::rooms::{self, Visitor};
use super::shared::Shared;
use super::slots::{Key, Turn};
use gmetad_core::answer::query::{Query, Selection};
use gmetad_core::answer::walk::Body;
use gmetad_core::answer::xml::Render;
use gmetad_core::client::{Action, Client, Request, SLICE_TIME};
use gmetad_core::http;
use gmetad_core::http::{Asked, Context, Door, Head, Refusal};
use gmetad_core::model::Mono;
use gmetad_core::room::{Place, Room, Standing};
use gmetad_core::share::{Full, Share};

/// Least that a write counts against the turn's budget: making the bytes may cost more than sending
/// them.
const LEAST_WORK_BYTES: usize = 16 << 10;

/// Bytes of a request read at a time.
const REQUEST_BYTES: usize = 4096;

/// One client's connection.
pub(super) struct Connection {
    pub(super) address: IpAddr,
    pub(super) machine: Client,
    key: Key,
    held: Held,
    /// Whether it counts as idle in the room of all clients.
    is_idle: bool,
    scrape: Scraping,
    stream: TcpStream,
    unread: Unread,
    writable: bool,
    /// What the system tells of. Of room for more of the answer only where there was none: most answers
    /// need no telling.
    interest: Interest,
    /// Bytes of the answer that are in the statistics already.
    counted_bytes: u64,
    port: Port,
    /// When its request was complete, until the request is in the statistics.
    asked: Option<Mono>,
    /// The number of the snapshot that its answer is made from.
    moment: Option<u64>,
}

/// What a client holds as long as it is connected.
pub(super) struct Held {
    /// Counts it among the clients.
    pub(super) _share: Share,
    /// Where it stands among them.
    pub(super) place: Place,
}

/// What of the client may wait to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unread {
    Nothing,
    Bytes,
    /// The end of its side, and bytes before it. The system tells of it once.
    End,
}

/// Whether the metrics of hosts were asked for, of which few are made at a time.
enum Scraping {
    /// No.
    No,
    /// Yes, and there was no room; somebody may make room within this turn.
    Waits(Full, Box<(Asked, Cow<'static, str>)>),
    /// Yes, and it is answered.
    Yes,
}

impl Connection {
    /// A new connection.
    pub(super) fn new(
        key: Key,
        stream: TcpStream,
        address: IpAddr,
        port: Port,
        machine: Client,
        held: Held,
    ) -> Connection {
        Connection {
            address,
            key,
            machine,
            held,
            is_idle: true,
            scrape: Scraping::No,
            stream,
            // Unknown yet. A try costs one system call.
            unread: Unread::Bytes,
            writable: true,
            interest: Interest::READABLE,
            counted_bytes: 0,
            port,
            asked: None,
            moment: None,
        }
    }

    /// Whether its answer is made from a snapshot with a lower number.
    pub(super) fn is_sent_older_than(&self, first: u64) -> bool {
        self.moment.is_some_and(|moment| moment < first)
    }

    /// Its place among all clients.
    pub(super) fn place(&self) -> Place {
        self.held.place
    }

    /// Whether it may have to make room. Not while bytes may wait that were not read yet: they may be
    /// its request.
    pub(super) fn standing(&self, now: Mono) -> Option<Standing> {
        let standing = self.machine.standing(now)?;
        let is_read = self.unread == Unread::Nothing;
        (standing != Standing::Idle || is_read).then_some(standing)
    }

    /// Tells the room of all clients whether it is idle.
    pub(super) fn note_standing(&mut self, room: &mut Room<Key>) {
        let is_idle = self.machine.is_idle();
        if is_idle != self.is_idle {
            self.is_idle = is_idle;
            room.note(self.held.place, is_idle);
        }
    }

    /// Why its scrape cannot be made yet, if that is so.
    pub(super) fn waits_for_scrape(&self) -> Option<Full> {
        match self.scrape {
            Scraping::Waits(full, _) => Some(full),
            Scraping::No | Scraping::Yes => None,
        }
    }

    /// How it stands, if it takes too little of a scrape, and is of that address, if one is given.
    pub(super) fn slow_scrape(&self, of: Option<IpAddr>, now: Mono) -> Option<(Key, Standing)> {
        let is_meant = of.is_none_or(|of| of == self.address);
        if !is_meant || !matches!(self.scrape, Scraping::Yes) {
            return None;
        }
        let standing = self.machine.standing(now)?;
        (standing != Standing::Idle).then_some((self.key, standing))
    }

    /// Notes what the system says of the connection.
    pub(super) fn event(&mut self, event: &Event) {
        if event.is_read_closed() || event.is_error() {
            self.unread = Unread::End;
        } else if event.is_readable() && self.unread == Unread::Nothing {
            self.unread = Unread::Bytes;
        }
        self.writable |= event.is_writable() || event.is_error();
    }

    /// Puts the request into the statistics, answered or not.
    pub(super) fn count_request(&mut self, shared: &mut Shared) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        let (took, now_ms) = (shared.now.mono.since(asked), Clock::epoch_ms());
        let clients = &mut shared.clients;
        match self.port {
            Port::Xml => clients.xml.add(took, now_ms),
            Port::Interactive | Port::Web => clients.interactive.add(took, now_ms),
        }
    }

    /// One turn: reads or writes a bounded number of bytes.
    pub(super) fn turn(&mut self, shared: &mut Shared) -> Turn {
        let outcome = self.run(shared);
        shared.clients.sent_bytes += self.machine.written_bytes() - self.counted_bytes;
        self.counted_bytes = self.machine.written_bytes();
        outcome
    }

    fn run(&mut self, shared: &mut Shared) -> Turn {
        let (mut written, start) = (0, Instant::now());
        self.try_scrape_again(shared);
        loop {
            while let Some(action) = self.machine.action() {
                match action {
                    Action::Request(request) => self.answer(request, shared),
                    Action::Body => {
                        let share = shared.bodies.take(self.address).ok();
                        self.machine.admit_body(share, shared.now.mono);
                    }
                    // Nothing can come that would spoil the answer, so there is nothing to wait for.
                    Action::CloseWrite
                        if self.unread == Unread::Nothing && self.machine.has_said_all() =>
                    {
                        self.machine.end(shared.now.mono);
                    }
                    // If the client is gone already, the next read shows it.
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
                    if self.hears_of_room(shared) {
                        return Turn::Waits;
                    }
                    continue;
                }
                let is_long = written >= TURN_BYTES || written > 0 && start.elapsed() >= SLICE_TIME;
                if is_long && !self.machine.has_sent_all() {
                    return Turn::Again;
                }
                written += self.write(shared).max(LEAST_WORK_BYTES);
            } else if self.machine.wants_bytes() && self.unread != Unread::Nothing {
                self.read(shared);
            } else {
                return Turn::Waits;
            }
        }
    }

    fn write(&mut self, shared: &mut Shared) -> usize {
        let (now, start) = (shared.now.mono, Instant::now());
        let is_done = self.machine.finish(now);
        self.machine.took(start.elapsed());
        if is_done {
            self.count_request(shared);
            return 0;
        }
        let is_last = self.machine.is_last_output();
        let out = self.machine.output();
        match send(&self.stream, out, is_last) {
            Ok(len) => {
                self.writable = len == out.len();
                self.machine.written(len, now);
                len
            }
            Err(Errno::EAGAIN) => {
                self.writable = false;
                0
            }
            Err(Errno::EINTR) => 0,
            Err(_) => {
                self.machine.broken();
                0
            }
        }
    }

    fn read(&mut self, shared: &mut Shared) {
        let buffer = &mut shared.buffer[..REQUEST_BYTES];
        match self.stream.read(buffer) {
            Ok(0) => {
                self.unread = Unread::Nothing;
                self.machine.end(shared.now.mono);
            }
            Ok(len) => {
                // Less than there was room for is all that there was. Of more the system tells.
                if len < buffer.len() && self.unread == Unread::Bytes {
                    self.unread = Unread::Nothing;
                }
                self.machine.bytes(&buffer[..len], shared.now.mono);
            }
            Err(err) => match err.kind() {
                ErrorKind::WouldBlock => self.unread = Unread::Nothing,
                ErrorKind::Interrupted => {}
                _ => self.machine.broken(),
            },
        }
    }

    /// From now on the system tells when there is room for more of the answer, and at once if there is.
    /// Returns whether it does; if not, the connection is given up.
    fn hears_of_room(&mut self, shared: &mut Shared) -> bool {
        if self.interest.is_writable() {
            return true;
        }
        self.interest = Interest::READABLE | Interest::WRITABLE;
        let (registry, token) = (&shared.registry, self.key.token());
        let told = registry.reregister(&mut self.stream, token, self.interest);
        if told.is_err() {
            self.machine.broken();
        }
        told.is_ok()
    }

    fn answer(&mut self, request: Request, shared: &mut Shared) {
        self.asked = Some(shared.now.mono);
        let snapshot = shared.store.snapshot();
        self.moment = Some(shared.moments.give(&snapshot, shared.now.mono));
        let body = match request {
            Request::All => render(Selection::all(), shared),
            Request::Http(head) => {
                shared.clients.http_requests += 1;
                let head = head.checked(&shared.access);
                if let Err(
                    refusal @ (Refusal::LongLine(_) | Refusal::Late(_) | Refusal::Misdirected(_)),
                ) = &head.target
                {
                    shared.tell(self.address, Nuisance::Fault, refusal);
                }
                let visitor = Visitor {
                    address: self.address,
                    key: self.key,
                    door: match self.port {
                        Port::Xml | Port::Interactive => Door::Interactive,
                        Port::Web => Door::Web,
                    },
                };
                if rooms::answer(visitor, &head, &mut self.machine, shared) {
                    return;
                }
                let asked = Asked::of_head(&head);
                let readers = shared.access.fields(head.field("Origin"));
                let scrape = match asked.is_scrape().then(|| shared.scrapes.take(self.address)) {
                    Some(Err(full)) => {
                        self.scrape = Scraping::Waits(full, Box::new((asked, readers)));
                        return;
                    }
                    Some(Ok(share)) => Some(share),
                    None => None,
                };
                self.page(&asked, readers, scrape, shared)
            }
            // Who sends it may not be trusted with more than a refusal.
            Request::Line(line) if self.port == Port::Web => {
                let head = Head::refused(&line, Refusal::RequestLine);
                self.page(&Asked::of_head(&head), "".into(), None, shared)
            }
            Request::Line(line) => match Asked::of_plain_line(&line) {
                Some(asked) => self.page(&asked, "".into(), None, shared),
                None => self.part(&Query::parse(&line), shared),
            },
        };
        self.machine.answer(body, shared.now.mono);
    }

    /// The answer over HTTP.
    fn page(
        &mut self,
        asked: &Asked,
        readers: Cow<'static, str>,
        scrape: Option<Share>,
        shared: &mut Shared,
    ) -> Box<dyn Body> {
        self.tell_ignored(asked.ignored(), shared);
        if scrape.is_some() {
            self.scrape = Scraping::Yes;
        }
        let mut context = Context {
            snapshot: shared.store.snapshot(),
            now: shared.now,
            report: &mut || shared.report(),
            readers,
            scrape,
        };
        http::answer(asked, &mut context)
    }

    /// The second try of a scrape for which there was no room. Without room it is told so.
    fn try_scrape_again(&mut self, shared: &mut Shared) {
        if !matches!(self.scrape, Scraping::Waits(..)) {
            return;
        }
        if let Scraping::Waits(_, page) = std::mem::replace(&mut self.scrape, Scraping::No) {
            let (asked, readers) = *page;
            let share = shared.scrapes.take(self.address).ok();
            let body = self.page(&asked, readers, share, shared);
            self.machine.answer(body, shared.now.mono);
        }
    }

    /// The answer in the plain form.
    fn part(&self, query: &Query, shared: &mut Shared) -> Box<dyn Body> {
        self.tell_ignored(query.ignored.as_deref(), shared);
        let selection = Selection::resolve(&shared.store.snapshot(), query);
        render(selection, shared)
    }

    fn tell_ignored(&self, ignored: Option<&str>, shared: &mut Shared) {
        if let Some(ignored) = ignored {
            shared.tell(
                self.address,
                Nuisance::Request,
                &format_args!("\"{ignored}\" in its request is not understood and was ignored"),
            );
        }
    }
}

fn render(selection: Selection, shared: &mut Shared) -> Box<dyn Body> {
    Render::body(shared.store.snapshot(), selection, shared.now)
}

/// Sends bytes of an answer. Its last ones wait for the end of our side, which follows at once, so that
/// the client is told of both in one packet.
fn send(stream: &TcpStream, bytes: &[u8], is_last: bool) -> nix::Result<usize> {
    let more = if is_last { libc::MSG_MORE } else { 0 };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::from_bits_retain(more);
    socket::send(stream.as_raw_fd(), bytes, flags)
}
