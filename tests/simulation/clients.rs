//! The clients: their input to the state machines, and the actions of those.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

use gmetad_core::answer::query::{Query, Selection};
use gmetad_core::answer::xml::Render;
use gmetad_core::client::{Client, Limits, Request};
use gmetad_core::http::{Method, Status};
use gmetad_core::model::{Mono, Now};
use gmetad_core::pending::{MAX_PENDING, PENDING_LIMIT};
use gmetad_core::room::{Place, Standing};
use gmetad_core::share::{Full, Share};
use gmetad_core::{client, http};

use super::asker::{self, LATER, Manner};
use super::model::{Hosts, Moment};
use super::plugins::Question;
use super::world::{Event, World};

/// More than one piece of an answer may be over its limit by, such as one element.
const SLACK_BYTES: usize = 4096;

/// Longer than a source that answers takes for a poll and the pause before it.
const LONG_SECS: u32 = 200;

/// More than the answers that may be pending.
const CROWD: usize = MAX_PENDING + 20;

pub struct Asker {
    pub machine: Client,
    pub address: IpAddr,
    pub manner: Manner,
    pub born: Mono,
    pub answer: Vec<u8>,
    /// What was shown when it asked, and when that was.
    pub asked: Option<(Rc<Moment>, Now)>,
    place: Place,
    _share: Share,
    /// Since when another thread makes its answer, until that is there or late.
    pub pending_since: Option<Mono>,
    /// It was refused.
    pub refused: bool,
    /// When it took the last byte.
    pub done: bool,
    pub broken: bool,
}

impl World {
    /// A client comes, or a crowd of them, and the next is planned.
    pub fn arrival(&mut self) {
        if self.random.below(200) == 0 {
            // All of one address, or of several.
            let addresses = 1 + self.random.below(4);
            let on_xml_port = self.random.below(2) == 0;
            for _ in 0..CROWD {
                let manner = Manner::of_crowd(on_xml_port, &mut self.random);
                let address = self.address(addresses);
                self.arrive(manner, address);
            }
        } else {
            let manner = Manner::draw(&mut self.random);
            let address = self.address(4);
            self.arrive(manner, address);
        }
        let pause_ms = self.random.below(15_000);
        self.plan(pause_ms, Event::Arrival);
    }

    /// One of so many.
    fn address(&mut self, count: u64) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, self.random.below(count) as u8).into()
    }

    fn arrive(&mut self, mut manner: Manner, address: IpAddr) {
        let Some(share) = self.share_of(address) else {
            self.tally.count("clients crowded out", 1);
            return;
        };
        let number = self.next_asker;
        self.next_asker += 1;
        let place = self.room.enter(address, number);
        let machine = if manner.on_xml_port {
            Client::of_xml_port(Limits::default(), self.now)
        } else {
            Client::of_interactive_port(Limits::default(), self.now)
        };
        let mut after_ms = 0;
        for act in std::mem::take(&mut manner.request) {
            after_ms += act.after_ms;
            let deed = act.deed;
            self.plan(
                after_ms,
                Event::Client {
                    asker: number,
                    deed,
                },
            );
        }
        let asker = Asker {
            machine,
            address,
            manner,
            born: self.now,
            answer: Vec::new(),
            asked: None,
            place,
            _share: share,
            pending_since: None,
            refused: false,
            done: false,
            broken: false,
        };
        self.askers.insert(number, asker);
        self.run_client(number);
    }

    /// A place for one more client of that address, which another may have to make room for.
    fn share_of(&mut self, address: IpAddr) -> Option<Share> {
        let full = match self.places.take(address) {
            Ok(share) => return Some(share),
            Err(full) => full,
        };
        let of = (full == Full::OfOne).then_some(address);
        let wanted = self.who_should_make_room(of);
        let (askers, now) = (&self.askers, self.now);
        let found = self
            .room
            .first(of, |key| askers[&key].machine.standing(now));
        let standing = found.map(|(_, standing)| standing);
        assert_eq!(standing, wanted.map(|(standing, _)| standing));
        let (number, standing) = found?;
        if standing == Standing::Idle {
            assert_eq!(Some((standing, number)), wanted, "who has waited longest");
        }
        let gone = self.askers.remove(&number).expect("it is there");
        self.leave(number, &gone);
        drop(gone);
        self.tally.count("clients that make room", 1);
        Some(self.places.take(address).expect("there is room now"))
    }

    /// The oldest idle client, or else the slowest reader.
    fn who_should_make_room(&self, of: Option<IpAddr>) -> Option<(Standing, usize)> {
        let meant = |asker: &Asker| of.is_none_or(|of| of == asker.address);
        let standings = self.askers.iter().filter(|(_, asker)| meant(asker));
        standings
            .filter_map(|(number, asker)| Some((asker.machine.standing(self.now)?, *number)))
            .min()
    }

    /// A client's end.
    fn leave(&mut self, number: usize, asker: &Asker) {
        self.room.leave(asker.place);
        self.timers.set(self.sources.len() + number, None);
    }

    pub fn client_timeout(&mut self, number: usize) {
        let Some(asker) = self.askers.get_mut(&number) else {
            return;
        };
        let was_pending = asker.machine.is_pending();
        asker.machine.timeout(self.now);
        if was_pending {
            let since = asker.pending_since.take().expect("it was pending");
            assert_eq!(self.now, since + PENDING_LIMIT, "not before, and not after");
            assert!(asker.machine.wants_to_write(), "it is told");
            asker.refused = true;
            self.tally.count("clients told too late", 1);
        }
        self.run_client(number);
        let left = self.askers.get(&number);
        let next = left.map(|asker| asker.machine.deadline());
        assert!(
            next.is_none_or(|next| next > Some(self.now)),
            "a deadline is over once it has come"
        );
    }

    pub fn client_does(&mut self, number: usize, deed: asker::Deed) {
        let now = self.now;
        let Some(asker) = self.askers.get_mut(&number) else {
            return;
        };
        match deed {
            asker::Deed::Send(bytes) => asker.machine.bytes(&bytes, now),
            asker::Deed::HalfClose => asker.machine.end(now),
            asker::Deed::Break => {
                asker.broken = true;
                asker.machine.broken();
            }
            asker::Deed::Take(most) => asker.take(most, now),
        }
        self.run_client(number);
    }

    /// Does what a client's machine wants done.
    fn run_client(&mut self, number: usize) {
        let mut has_asked = false;
        loop {
            let Some(asker) = self.askers.get_mut(&number) else {
                return;
            };
            let Some(action) = asker.machine.action() else {
                break;
            };
            match action {
                client::Action::Request(request) => {
                    self.answer(number, request);
                    has_asked = true;
                }
                client::Action::Body => {
                    let address = asker.address;
                    let share = self.bodies.take(address).ok();
                    asker.machine.admit_body(share, self.now);
                }
                client::Action::CloseWrite => {
                    asker.done = true;
                    // As the loop does where nothing waits unread.
                    let has_said_all = asker.machine.has_said_all();
                    if has_said_all {
                        self.tally.count("clients that are not waited for", 1);
                    }
                    if has_said_all || asker.manner.closes {
                        asker.machine.end(self.now);
                    }
                }
                client::Action::Close(fault) => {
                    assert!(asker.machine.is_closed());
                    if let Some(fault) = fault {
                        let name = format!("{fault:?}");
                        // Without its figures.
                        let name = name.split('(').next().unwrap_or_default();
                        self.tally.fault(name);
                    }
                }
            }
        }
        let asker = &self.askers[&number];
        if asker.machine.is_closed() {
            let asker = self.askers.remove(&number).expect("it is there");
            self.leave(number, &asker);
            self.client_left(&asker);
            return;
        }
        asker.assert_in_time(self.now);
        self.room.note(asker.place, asker.machine.is_idle());
        self.timers
            .set(self.sources.len() + number, asker.machine.deadline());
        // A client leaves whether or not there is anything to read.
        let leaves = has_asked && matches!(asker.manner.taking.deed, asker::Deed::Break);
        let takes_on = asker.machine.wants_to_write() && (has_asked || asker.wants_to_go_on());
        if leaves || takes_on {
            self.take_on(number);
        }
    }

    /// The client reads some of its answer at its own pace.
    fn take_on(&mut self, number: usize) {
        let (after_ms, deed) = self.askers[&number].next_taking();
        let asker = number;
        self.plan(after_ms, Event::Client { asker, deed });
    }

    fn answer(&mut self, number: usize, request: Request) {
        let now = self.now();
        let snapshot = self.store.snapshot();
        let asker = self.askers.get_mut(&number).expect("it has asked");
        asker.asked = Some((Rc::clone(&self.moment), now));
        let (selection, later) = match request {
            Request::All => (Selection::all(), None),
            Request::Line(line) => (Selection::resolve(&snapshot, &Query::parse(&line)), None),
            Request::Http(head) => {
                let target = match head.target {
                    Ok(target) => target,
                    Err(refusal) => {
                        let of_body = [http::Refusal::ShortBody, http::Refusal::Length];
                        assert!(of_body.contains(&refusal), "others send nothing bad");
                        let answer = http::HttpAnswer::text(Status::BadRequest, "", "no");
                        asker.refused = true;
                        asker
                            .machine
                            .answer(answer.into_body(head.method), now.mono);
                        self.tally.count("requests whose body does not come", 1);
                        return;
                    }
                };
                if head.method == Method::Post {
                    assert_eq!(head.body, b"a=b&c");
                    self.tally.count("bodies of requests", 1);
                }
                let target = target.strip_prefix(b"/graphite").unwrap_or(&target);
                let (path, later) = match target.strip_prefix(LATER) {
                    Some(path) => (path, Some(head.method)),
                    None => (target, None),
                };
                let query = Query::parse(path);
                (Selection::resolve_strict(&snapshot, &query).0, later)
            }
        };
        let Some(method) = later else {
            let body = Box::new(Render::new(snapshot, selection, now));
            return asker.machine.answer(body, now.mono);
        };
        match http::later(method, asker.address, &mut self.errands) {
            Ok(later) => {
                asker.machine.wait(later.wait, later.late, now.mono);
                assert!(asker.machine.is_pending());
                asker.pending_since = Some(now.mono);
                self.plugins.ask(Question {
                    asker: number,
                    errand: later.errand,
                    snapshot,
                    selection,
                    now,
                    slices: 1 + self.random.below(3),
                });
                self.let_plugins_work();
            }
            Err(busy) => {
                let has_its_share = self.errands.count_of(asker.address) == MAX_PENDING / 2;
                let is_full = self.plugins.count() == MAX_PENDING;
                assert!(has_its_share || is_full, "not before");
                asker.machine.answer(busy, now.mono);
                asker.refused = true;
                self.tally.count("clients told to ask again", 1);
            }
        }
    }

    fn let_plugins_work(&mut self) {
        if let Some(after_ms) = self.plugins.begin(&mut self.random) {
            self.plan(after_ms, Event::Made);
        }
    }

    /// The plugin thread has an answer for a client that may have gone.
    pub fn deliver(&mut self) {
        let Some(question) = self.plugins.done() else {
            self.tally.count("answers in slices", 1);
            return self.let_plugins_work();
        };
        let (number, errand, body) = question.answer();
        let asker = self.askers.get_mut(&number);
        let waits = asker.as_ref().is_some_and(|it| it.pending_since.is_some());
        assert_eq!(errand.is_wanted(), waits);
        let now = self.now;
        let taken = asker.is_some_and(|it| it.machine.deliver(&errand, Box::new(body), now));
        assert_eq!(taken, waits, "who waits is answered, and nobody else");
        if taken {
            let asker = self.askers.get_mut(&number).expect("it has waited");
            let since = asker.pending_since.take().expect("it has waited");
            assert!(now.since(since) <= PENDING_LIMIT);
            self.tally.count("answers made by another thread", 1);
            self.run_client(number);
        } else {
            self.tally.count("answers that come in vain", 1);
        }
        drop(errand);
        self.let_plugins_work();
    }

    fn client_left(&mut self, asker: &Asker) {
        let whole = asker.answer.ends_with(b"</GANGLIA_XML>\n");
        if asker.manner.deserving && !asker.broken && !asker.refused {
            assert!(whole, "{}", String::from_utf8_lossy(&asker.answer));
        }
        if !whole {
            return;
        }
        self.tally.count("answers in whole", 1);
        let mut digest = DefaultHasher::new();
        (self.tally.digest, &asker.answer).hash(&mut digest);
        self.tally.digest = digest.finish();
        let (moment, then) = asker.asked.as_ref().expect("it has asked");
        let (hosts, aged) = check_answer(&asker.answer, moment, *then);
        self.tally.count("ages of a dead source", aged);
        if asker.manner.on_xml_port {
            let all: usize = moment.0.values().map(Hosts::len).sum();
            assert_eq!(hosts, all, "the whole document has all hosts");
            self.tally.count("whole documents checked", 1);
        }
    }

    /// The invariants of idle clients.
    pub fn check_askers(&self) {
        for asker in self.askers.values() {
            asker.assert_in_time(self.now);
        }
    }
}

impl Asker {
    fn assert_in_time(&self, now: Mono) {
        assert_eq!(self.machine.is_pending(), self.pending_since.is_some());
        let deadline = self.machine.deadline().expect("a client has a deadline");
        assert!(deadline >= now, "what is due is done");
        let sent = Duration::from_secs(self.answer.len() as u64 / client::MIN_BYTES_PER_SEC);
        let longest = client::REQUEST_LIMIT
            + client::HEAD_LIMIT
            + PENDING_LIMIT
            + client::ANSWER_LIMIT
            + sent
            + client::LINGER_LIMIT;
        assert!(now.since(self.born) <= longest, "a client ends");
    }

    fn take(&mut self, most: usize, now: Mono) {
        let mut left = most;
        while left > 0 && self.machine.wants_to_write() {
            if self.machine.finish(now) {
                return;
            }
            let out = self.machine.output();
            assert!(
                out.len() <= client::OUT_BYTES + SLACK_BYTES,
                "{}",
                out.len()
            );
            let len = out.len().min(left);
            self.answer.extend_from_slice(&out[..len]);
            self.machine.written(len, now);
            left -= len;
        }
    }

    fn wants_to_go_on(&self) -> bool {
        !self.done && matches!(self.manner.taking.deed, asker::Deed::Take(_))
    }

    fn next_taking(&self) -> (u64, asker::Deed) {
        let deed = match self.manner.taking.deed {
            asker::Deed::Take(most) => asker::Deed::Take(most),
            _ => asker::Deed::Break,
        };
        (self.manner.taking.after_ms, deed)
    }
}

/// Everything in an answer must be of the moment in which it was asked for: values of the last good
/// documents of that time, aged by then and whatever the time of day did. How many hosts it has, and
/// how many of them are older than any source that answers leaves them.
fn check_answer(answer: &[u8], moment: &Moment, asked: Now) -> (usize, u64) {
    let text = std::str::from_utf8(answer).expect("ASCII went in");
    let (mut cluster, mut host) = (None, None);
    let (mut hosts, mut aged) = (0, 0);
    for tag in text.split('<') {
        if tag.starts_with("CLUSTER ") {
            cluster = moment.0.get(value(tag, " NAME=\""));
            assert!(cluster.is_some(), "{tag}");
        } else if tag.starts_with("HOST ") {
            let known = cluster.and_then(|it| it.get(value(tag, " NAME=\"")));
            let known = known.unwrap_or_else(|| panic!("{tag}"));
            let tn = known.live_tn(asked.mono);
            assert_eq!(value(tag, " TN=\""), tn.to_string(), "{tag}");
            assert_eq!(value(tag, " REPORTED=\""), known.number.to_string());
            hosts += 1;
            aged += u64::from(asked.mono.secs_since(known.received) > LONG_SECS);
            host = Some(known);
        } else if tag.starts_with("METRIC ") {
            let known = host.expect("inside of a host");
            assert_eq!(value(tag, " VAL=\""), known.number.to_string(), "{tag}");
        }
    }
    (hosts, aged)
}

fn value<'a>(tag: &'a str, attribute: &str) -> &'a str {
    let (_, rest) = tag.split_once(attribute).expect("it has one");
    rest.split_once('"').expect("a quote").0
}
