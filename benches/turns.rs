//! How long each turn of the loop is while ten sources bring as much as they can:
//! `cargo run --release --example turns -- WHAT COUNT ROUNDS`, where WHAT is names, clusters, hosts,
//! shared, shared-clusters, grids, cut, expiry or gone.
//!
//! Drives the core as the loop does, without sockets. A turn ends where the loop looks for events.
//! Turns are measured in time and in processor time: on a machine that has other work, time has the
//! waits for a processor. On an idle machine, time counts.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gmetad_core::model::{GridIdentity, Mono, Now};
use gmetad_core::poll::{Action, Poll};
use gmetad_core::source::{HostPort, SourceConfig};
use gmetad_core::store::{SourceId, Store};
use gmetad_core::timers::{Random, Schedule};
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};

/// What the sources bring.
const WHATS: [&str; 9] = [
    "names",
    "clusters",
    "hosts",
    "shared",
    "shared-clusters",
    "grids",
    "cut",
    "expiry",
    "gone",
];

const SOURCES: usize = 10;

/// What the loop reads at a time, at most and at least, and how long a turn should take.
const PIECE_BYTES: usize = 64 << 10;
const LEAST_BYTES: usize = 1 << 10;
const TURN: Duration = Duration::from_micros(200);

/// Entries that change at a time, and sums made at a time, in the loop.
const CHANGED: usize = 64;
const SUMS: usize = 64;

/// Updates handed to the plugins at a time.
const HANDED: usize = 32;

/// Processor time of this thread.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

struct Source {
    machine: Poll,
    left: VecDeque<u8>,
    piece: usize,
    /// Changes of the store that it waits for.
    storing: usize,
}

#[derive(Default)]
struct Turns(Vec<(&'static str, Vec<Took>)>);

/// A turn's time, processor time and page faults.
#[derive(Clone, Copy)]
struct Took {
    wall: Duration,
    cpu: Duration,
    faults: i64,
}

impl Took {
    fn millis(of: Duration) -> f64 {
        of.as_secs_f64() * 1000.0
    }
}

fn faults() -> i64 {
    getrusage(UsageWho::RUSAGE_THREAD).map_or(0, |it| it.minor_page_faults())
}

impl Turns {
    fn time<T>(&mut self, what: &'static str, work: impl FnOnce() -> T) -> T {
        let (start, start_cpu, start_faults) = (Instant::now(), cpu(), faults());
        let done = work();
        let took = Took {
            wall: start.elapsed(),
            cpu: cpu().saturating_sub(start_cpu),
            faults: faults() - start_faults,
        };
        match self.0.iter_mut().find(|(name, _)| *name == what) {
            Some((_, turns)) => turns.push(took),
            None => self.0.push((what, vec![took])),
        }
        done
    }

    fn print(mut self) {
        let all: Vec<Took> = self.0.iter().flat_map(|it| it.1.clone()).collect();
        self.0.push(("all", all));
        println!(
            "{:9} {:>8}  {:>8} {:>8} {:>7}  {:>8} {:>8} {:>7}  {:>7}",
            "", "turns", "p99 ms", "max ms", ">=10 ms", "CPU p99", "CPU max", ">=10 ms", "faults"
        );
        for (what, turns) in &mut self.0 {
            let count = turns.len();
            let mut column = |of: fn(&Took) -> Duration| {
                turns.sort_unstable_by_key(of);
                let at = |at: usize| Took::millis(of(&turns[at]));
                let over = turns.iter().filter(|it| of(it).as_millis() >= 10).count();
                let p99 = at((count * 99 / 100).min(count - 1));
                format!("{p99:8.3} {:8.3} {over:7}", at(count - 1))
            };
            let wall = column(|it| it.wall);
            let cpu = column(|it| it.cpu);
            // Of the turn with the most processor time.
            let faults = turns.last().map_or(0, |it| it.faults);
            println!("{what:9} {count:8}  {wall}  {cpu}  {faults:7}");
        }
    }
}

fn document(what: &str, count: usize, source: usize, round: usize) -> VecDeque<u8> {
    let mut xml = String::from("<GANGLIA_XML VERSION=\"3.7.2\" SOURCE=\"gmond\">");
    let id = format!("{source}.{round}");
    let metric = |xml: &mut String, name: &str| {
        let _ = write!(
            xml,
            "<METRIC NAME=\"{name}\" VAL=\"{round}\" TYPE=\"float\" UNITS=\"\" TN=\"1\" TMAX=\"60\" DMAX=\"0\" \
             SLOPE=\"both\"/>"
        );
    };
    let open = |xml: &mut String, name: &str| {
        let _ = write!(xml, "<CLUSTER NAME=\"{name}\" LOCALTIME=\"1700000000\">");
    };
    let host = |xml: &mut String, name: &str, dmax: usize| {
        let _ = write!(
            xml,
            "<HOST NAME=\"{name}\" IP=\"10.0.0.1\" TN=\"1\" TMAX=\"20\" DMAX=\"{dmax}\">"
        );
    };
    match what {
        "clusters" | "shared-clusters" => {
            for at in 0..count {
                let name = if what == "clusters" {
                    format!("c{id}.{at}")
                } else {
                    format!("c{at}")
                };
                open(&mut xml, &name);
                host(&mut xml, "h", 0);
                metric(&mut xml, "m");
                xml += "</HOST></CLUSTER>";
            }
        }
        "hosts" | "shared" | "expiry" => {
            let name = if what == "shared" { "shared" } else { &id[..1] };
            open(&mut xml, name);
            for at in 0..count {
                let name = if what == "shared" {
                    format!("h{at}")
                } else {
                    format!("h{round}.{at}")
                };
                host(&mut xml, &name, if what == "expiry" { 100 } else { 0 });
                metric(&mut xml, "a");
                metric(&mut xml, "b");
                xml += "</HOST>";
            }
            xml += "</CLUSTER>";
        }
        "grids" => {
            let _ = write!(xml, "<GRID NAME=\"g{source}\"><GRID NAME=\"inner\">");
            for cluster in 0..4 {
                open(&mut xml, &format!("c{cluster}"));
                host(&mut xml, "h", 0);
                for at in 0..count / 4 {
                    metric(&mut xml, &format!("m{cluster}.{at}"));
                }
                xml += "</HOST></CLUSTER>";
            }
            xml += "</GRID></GRID>";
        }
        // A host that loses its many values at every other poll: they are carried over.
        "gone" => {
            open(&mut xml, &format!("c{source}"));
            host(&mut xml, "h", 0);
            if round.is_multiple_of(2) {
                for at in 0..count {
                    metric(&mut xml, &format!("m{at}"));
                }
            }
            xml += "</HOST></CLUSTER>";
        }
        // As many names, in a document that is cut short at every other poll if it is to be.
        _ => {
            open(&mut xml, &format!("c{source}"));
            host(&mut xml, "h", 0);
            for at in 0..count {
                metric(&mut xml, &format!("m{id}.{at}"));
            }
            xml += "</HOST></CLUSTER>";
        }
    }
    if what != "cut" || round.is_multiple_of(2) {
        xml += "</GANGLIA_XML>";
    }
    xml.into_bytes().into()
}

/// One turn of a source.
fn turn(source: &mut Source, store: &mut Store, buffer: &mut Vec<u8>, now: Mono) {
    let start = cpu();
    if source.machine.has_backlog() {
        while source.machine.has_backlog() && cpu().saturating_sub(start) < TURN {
            source.machine.work(now, store.table());
        }
    } else if source.machine.wants_bytes() {
        if source.left.is_empty() {
            return source.machine.end(now);
        }
        buffer.clear();
        let piece = source.piece.min(source.left.len());
        buffer.extend(source.left.drain(..piece));
        source.machine.bytes(buffer, now, store.table());
        let took = cpu().saturating_sub(start);
        if took > TURN {
            source.piece = (source.piece / 2).max(LEAST_BYTES);
        } else if took * 2 <= TURN {
            source.piece = (source.piece * 2).min(PIECE_BYTES);
        }
    }
}

fn act(at: usize, source: &mut Source, store: &mut Store, waiting: &mut VecDeque<usize>, now: Now) {
    let id = SourceId(at);
    while let Some(action) = source.machine.action() {
        match action {
            Action::Abandon(parser) => store.begin_abort(id, *parser),
            Action::Ended(outcome) => match outcome.answer {
                Some(answer) => store.begin_commit(id, answer.document, now),
                None => store.begin_fail(id, now),
            },
            _ => continue,
        }
        source.storing += 1;
        waiting.push_back(at);
    }
}

fn sources(store: &mut Store) -> Vec<Source> {
    let mut random = Random::new(1);
    (0..SOURCES)
        .map(|at| {
            store.add_source();
            let config = SourceConfig {
                name: at.to_string(),
                interval: Duration::from_secs(15),
                hosts: vec![HostPort {
                    host: "10.0.0.1".into(),
                    port: 8649,
                }],
            };
            let schedule = Schedule::new(config.interval, random.split());
            Source {
                machine: Poll::new(&config, schedule, Mono(0)),
                left: VecDeque::new(),
                piece: PIECE_BYTES,
                storing: 0,
            }
        })
        .collect()
}

fn arguments() -> (String, usize, usize) {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_else(|| "names".into());
    if !WHATS.contains(&what.as_str()) {
        eprintln!(
            "usage: turns [WHAT [COUNT [ROUNDS]]]; WHAT is one of {}",
            WHATS.join(", ")
        );
        std::process::exit(64);
    }
    let count = arguments.next().and_then(|it| it.parse().ok());
    let count: usize = count.unwrap_or(200_000);
    let rounds = arguments.next().and_then(|it| it.parse().ok());
    let rounds: usize = rounds.unwrap_or(4);
    (what, count, rounds)
}

fn main() {
    let (what, count, rounds) = arguments();
    let mut store = Store::new(GridIdentity::default(), Arc::default());
    let mut sources = sources(&mut store);
    let mut turns = Turns::default();
    let mut buffer = Vec::new();
    let mut waiting: VecDeque<usize> = VecDeque::new();
    let mut handed = VecDeque::new();
    for round in 0..rounds {
        let now = Now {
            mono: Mono(round as u64 * 60_000),
            epoch: 1_700_000_000,
        };
        let mono = now.mono;
        for (at, source) in sources.iter_mut().enumerate() {
            source.left = document(&what, count, at, round);
            source.machine.timeout(mono);
            act(at, source, &mut store, &mut waiting, now);
            let parser = turns.time("begin", || store.begin(SourceId(at)));
            source.machine.connected(parser, mono);
        }
        let (mut at, mut is_swept) = (0, false);
        loop {
            at = (at + 1) % SOURCES;
            let source = &mut sources[at];
            if source.storing == 0 && source.machine.is_running() {
                let what = if source.machine.has_backlog() {
                    "end"
                } else {
                    "read"
                };
                turns.time(what, || {
                    turn(source, &mut store, &mut buffer, mono);
                    act(at, source, &mut store, &mut waiting, now);
                });
            }
            if store.is_changing() {
                turns.time("change", || {
                    let start = cpu();
                    while store.is_changing() && cpu().saturating_sub(start) < TURN {
                        if let Some(changed) = store.change_some(CHANGED)
                            && let Some(at) = waiting.pop_front()
                        {
                            sources[at].storing -= 1;
                            handed.extend(changed.nodes.into_iter().map(|(node, _)| node));
                            if what == "expiry" && at == SOURCES - 1 && !is_swept {
                                is_swept = true;
                                let later = Now {
                                    mono: mono + Duration::from_secs(200),
                                    ..now
                                };
                                for (at, source) in sources.iter_mut().enumerate() {
                                    store.begin_expiry(SourceId(at), later);
                                    source.storing += 1;
                                    waiting.push_back(at);
                                }
                            }
                        }
                    }
                });
            }
            for node in handed.drain(..handed.len().min(HANDED)) {
                store.discard_node(node);
            }
            let is_untidy = turns.time("tidy", || {
                let start = cpu();
                while store.tidy() && cpu().saturating_sub(start) < TURN {}
                store.is_untidy()
            });
            let is_polled = sources
                .iter()
                .all(|it| it.storing == 0 && !it.machine.is_running());
            if !store.is_summing() && at == 0 && !is_polled {
                store.begin_summary();
            }
            turns.time("sums", || {
                let start = cpu();
                while store.summarize_some(SUMS).is_none()
                    && store.may_sum()
                    && cpu().saturating_sub(start) < TURN
                {}
            });
            let snapshot = turns.time("snapshot", || store.snapshot());
            store.discard(snapshot);
            let is_done = !is_untidy && !store.is_changing() && !store.is_summing();
            if is_polled && is_done && handed.is_empty() {
                break;
            }
        }
    }
    println!("{what} {count}, {SOURCES} sources, {rounds} rounds");
    turns.print();
}
