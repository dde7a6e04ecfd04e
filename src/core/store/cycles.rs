//! Gmetads that poll themselves or each other, as stores that read what the other one serves.
#![cfg(test)]

use std::sync::Arc;

use super::*;
use crate::answer::query::Selection;
use crate::answer::walk::Body;
use crate::answer::xml::Render;
use crate::model::Summary;

/// A gmetad: source 0 is a gmond, source 1 another gmetad.
struct Gmetad {
    name: &'static str,
    store: Store,
    now: Now,
    /// Whether it is a C gmetad, which reads no comments and leaves no grid out.
    is_c: bool,
}

impl Gmetad {
    fn new(name: &'static str, scalable: bool) -> Gmetad {
        let identity = GridIdentity {
            name: name.into(),
            authority: format!("http://{name}/"),
            scalable,
        };
        let settings = ParseSettings {
            scalable,
            own_grid: Some(identity.clone()),
            ..ParseSettings::default()
        };
        let mut store = Store::new(identity, Arc::new(settings));
        store.add_source();
        store.add_source();
        let now = Now {
            mono: Mono(1_000_000),
            epoch: 1_700_000_000,
        };
        Gmetad {
            name,
            store,
            now,
            is_c: false,
        }
    }

    fn c(name: &'static str) -> Gmetad {
        let mut gmetad = Gmetad::new(name, true);
        gmetad.store.set_settings(Arc::default());
        gmetad.is_c = true;
        gmetad
    }

    /// What it serves, as it would.
    fn served(&mut self) -> Vec<u8> {
        let text = String::from_utf8(self.serve()).unwrap();
        if !self.is_c {
            return text.into_bytes();
        }
        let lines = text.lines().filter(|line| !line.starts_with("<!-- via "));
        lines.collect::<Vec<_>>().join("\n").into_bytes()
    }

    /// Reads a document. Returns whether it holds its own grid.
    fn read(&mut self, source: usize, xml: &[u8]) -> bool {
        let id = SourceId(source);
        let mut parser = self.store.begin(id);
        parser.feed(xml, self.now.mono, self.store.table()).unwrap();
        let document = parser.finish(self.now.mono).unwrap();
        let has_own_grid = document.has_own_grid;
        self.store.commit(id, document, self.now);
        has_own_grid
    }

    /// Its gmond has two hosts, one of which is down.
    fn read_gmond(&mut self) {
        let host = |name: &str, tn: u32| {
            format!(
                "<HOST NAME=\"{name}\" TN=\"{tn}\" TMAX=\"20\">\
                 <METRIC NAME=\"m\" VAL=\"10\" TYPE=\"int32\"/></HOST>"
            )
        };
        let xml = format!(
            "<GANGLIA_XML><CLUSTER NAME=\"of {}\" LOCALTIME=\"1\">{}{}</CLUSTER></GANGLIA_XML>",
            self.name,
            host("up", 1),
            host("down", 1000)
        );
        self.read(0, xml.as_bytes());
    }

    fn serve(&mut self) -> Vec<u8> {
        self.store.summarize();
        let mut out = Vec::new();
        Render::new(self.store.snapshot(), Selection::all(), self.now).fill(&mut out, usize::MAX);
        // The document type declaration changes nothing here, and costs more to read than all else.
        let root = memchr::memmem::find(&out, b"<GANGLIA_XML").unwrap();
        out.drain(..root);
        out
    }

    fn sums(&mut self) -> (u32, u32, String) {
        let sums: Arc<Summary> = self.store.summarize();
        let m = sums.metric("m").unwrap().text();
        (sums.hosts_up, sums.hosts_down, m)
    }
}

/// Far more than it takes to see a growth.
const POLLS: usize = 20;

/// Polls after which the news of each has gone round a circle of five, and as many again and two more.
const ROUND: usize = 6;
const ROUNDS: usize = 2 * ROUND + 2;

#[test]
fn a_gmetad_that_polls_itself_counts_its_hosts_once() {
    for scalable in [true, false] {
        let mut own = Gmetad::new("own", scalable);
        for poll in 0..POLLS {
            own.now.mono.0 += 1000;
            own.read_gmond();
            let xml = own.serve();
            assert_eq!(own.read(1, &xml), scalable);
            assert_eq!(own.sums(), (1, 1, "10".into()), "{scalable} {poll}");
        }
        let names: Vec<_> = own
            .store
            .shown()
            .iter()
            .map(|it| it.name().to_owned())
            .collect();
        assert_eq!(names, ["of own"]);
    }
}

#[test]
fn gmetads_that_poll_each_other_count_each_host_once() {
    for (of_a, of_b) in [(true, true), (true, false), (false, true), (false, false)] {
        let (mut a, mut b) = (Gmetad::new("a", of_a), Gmetad::new("b", of_b));
        for poll in 0..POLLS {
            for gmetad in [&mut a, &mut b] {
                gmetad.now.mono.0 += 1000;
                gmetad.read_gmond();
            }
            a.read(1, &b.serve());
            b.read(1, &a.serve());
            let both = (2, 2, "20".to_owned());
            assert_eq!(a.sums(), both, "{of_a} {of_b} {poll}");
            assert_eq!(b.sums(), both, "{of_a} {of_b} {poll}");
        }
    }
}

/// Each polls its gmond and the next one, the last the first; that one begins.
fn poll_once(all: &mut [Gmetad], first: usize) {
    for turn in 0..all.len() {
        let at = (turn + first) % all.len();
        let next = (at + 1) % all.len();
        all[at].now.mono.0 += 1000;
        all[at].read_gmond();
        let xml = all[next].served();
        all[at].read(1, &xml);
    }
}

/// Each polls the next one, the last the first, in any order of polls. Their sums, from when each has
/// polled so often that all has gone round.
fn circle(mut all: Vec<Gmetad>, seed: usize) -> Vec<(u32, u32, String)> {
    let mut settled = Vec::new();
    for round in 0..ROUNDS {
        poll_once(&mut all, round * seed);
        let sums: Vec<_> = all.iter_mut().map(Gmetad::sums).collect();
        match round {
            0..ROUND => {}
            ROUND => settled = sums,
            _ => assert_eq!(sums, settled, "round {round}"),
        }
    }
    settled
}

/// Whether a pattern of so many bits is the smallest of those that turning it gives. A circle begins anywhere:
/// turned, it is the same one, polled in another order.
fn is_first_of_its_turns(bits: usize, length: usize) -> bool {
    let turned = |by: usize| bits >> by | (bits << (length - by) & ((1 << length) - 1));
    (1..length).all(|by| bits <= turned(by))
}

#[test]
fn in_a_circle_of_any_length_sums_stay_put_and_no_host_is_counted_twice() {
    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
    for length in 1..=NAMES.len() {
        for off in (0..1_usize << length).filter(|it| is_first_of_its_turns(*it, length)) {
            // The longest, of which there are most, in one order each.
            let seeds = if length < NAMES.len() {
                0..3
            } else {
                off % 3..off % 3 + 1
            };
            for seed in seeds {
                let all = (0..length).map(|at| Gmetad::new(NAMES[at], off >> at & 1 == 0));
                let sums = circle(all.collect(), seed);
                // Its own and the next one's: what that one polls holds its own again. Without GRID
                // tags nobody can tell whose a cluster is, and some are counted twice.
                let once = length.min(2) as u32;
                if off == 0 {
                    assert!(sums.iter().all(|it| it.0 == once), "{length}: {sums:?}");
                }
                for (up, down, m) in sums {
                    assert_eq!((up, m), (down, (10 * up).to_string()));
                }
            }
        }
    }
}

#[test]
fn in_a_circle_with_one_c_gmetad_sums_stay_put() {
    for length in 2..5 {
        for seed in 0..3 {
            let mut all: Vec<Gmetad> = ["a", "b", "c", "d"][..length]
                .iter()
                .map(|name| Gmetad::new(name, true))
                .collect();
            all[0] = Gmetad::c("a");
            circle(all, seed);
        }
    }
}

/// Polls after which a circle with C gmetads side by side has been found by its growth.
const UNTIL_FOUND: usize = 270;

/// Polls without a change after which there is none: more than a mark is served for and a small grid is left
/// out for.
const UNTIL_SETTLED: usize = 120;

/// A circle in which some are C gmetads; the hosts that ours count, once they stay put.
fn circle_with(names: &[&'static str], is_c: impl Fn(usize) -> bool, seed: usize) -> Vec<u32> {
    let mut all: Vec<Gmetad> = names.iter().map(|name| Gmetad::new(name, true)).collect();
    for at in (0..all.len()).filter(|at| is_c(*at)) {
        all[at] = Gmetad::c(names[at]);
    }
    let (mut counts, mut changed, mut round) = (Vec::new(), 0, 0);
    while round < changed + UNTIL_SETTLED {
        poll_once(&mut all, round * seed);
        let sums: Vec<u32> = all.iter_mut().map(|it| it.sums().0).collect();
        if sums != counts {
            assert!(round < UNTIL_FOUND, "round {round} of {names:?}, {seed}");
            (counts, changed) = (sums, round);
        }
        round += 1;
    }
    counts
}

#[test]
fn in_a_circle_with_several_c_gmetads_side_by_side_sums_stay_put_once_it_is_found() {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    // Bit by bit, which of so many are C gmetads.
    for (seed, (length, c)) in [(3, 0b011), (4, 0b011), (4, 0b110), (4, 0b101), (4, 0b111)]
        .into_iter()
        .enumerate()
    {
        let counts = circle_with(&NAMES[..length], |at| c >> at & 1 == 1, seed % 3);
        assert!(
            counts.iter().all(|it| *it <= 3 * length as u32),
            "{counts:?}"
        );
    }
}

#[test]
fn a_circle_that_is_broken_is_forgotten() {
    let mut all = ["a", "b", "c"].map(|name| Gmetad::new(name, true));
    let poll = |all: &mut [Gmetad; 3], at: usize, next: Option<usize>| {
        all[at].now.mono.0 += 1000;
        all[at].read_gmond();
        let xml = match next {
            Some(next) => all[next].serve(),
            None => b"<GANGLIA_XML></GANGLIA_XML>".to_vec(),
        };
        all[at].read(1, &xml);
    };
    for _ in 0..POLLS {
        for at in 0..3 {
            poll(&mut all, at, Some((at + 1) % 3));
        }
    }
    assert_eq!(all[0].sums().0, 2, "its own and the next one's");
    for _ in 0..POLLS {
        poll(&mut all, 2, None);
        poll(&mut all, 1, Some(2));
        poll(&mut all, 0, Some(1));
    }
    assert_eq!(all[0].sums(), (3, 3, "30".into()));
}

#[test]
fn a_grid_of_the_same_name_and_another_authority_is_another() {
    let mut own = Gmetad::new("own", true);
    let xml = |authority: &str| {
        format!(
            "<GANGLIA_XML><GRID NAME=\"own\" AUTHORITY=\"{authority}\"><CLUSTER NAME=\"c\">\
             <HOST NAME=\"h\" TN=\"1\" TMAX=\"20\"><METRIC NAME=\"m\" VAL=\"5\" TYPE=\"int32\"/>\
             </HOST></CLUSTER></GRID></GANGLIA_XML>"
        )
    };
    assert!(!own.read(1, xml("http://other/").as_bytes()));
    assert_eq!(own.sums(), (1, 0, "5".into()));
    assert!(own.read(1, xml("http://own/").as_bytes()));
    assert_eq!(own.store.summarize().hosts_up, 0);
}
