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
        Gmetad { name, store, now }
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
        out
    }

    fn sums(&mut self) -> (u32, u32, String) {
        let sums: Arc<Summary> = self.store.summarize();
        let m = sums.metric("m").unwrap().text();
        (sums.hosts_up, sums.hosts_down, m)
    }
}

/// Far more than it takes to see a growth.
const POLLS: usize = 30;

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
