//! What the core costs a metric: parse, summary, write. `cargo bench --bench core`.

use std::sync::Arc;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use gmetad::model::{Mono, Now};
use gmetad::query::Selection;
use gmetad::store::{GridIdentity, SourceId, Store};
use gmetad::walk::Body;
use gmetad::xml::parse::{ParseSettings, Parser, Previous};
use gmetad::xml::write::Render;

const CAPTURE: &str = include_str!("../tests/data/gmond/gmond-plain.xml");
const HOSTS: usize = 100;
const READ_BYTES: usize = 64 << 10;

fn main() {
    divan::main();
}

/// The captured host a hundred times over, with values that differ from round to round.
fn document(round: usize) -> (Vec<u8>, usize) {
    let start = CAPTURE.find("<HOST ").expect("the capture has a host");
    let end = CAPTURE
        .find("</CLUSTER>")
        .expect("the capture has a cluster");
    let mut xml = CAPTURE[..start].to_owned();
    for host in 0..HOSTS {
        let name = format!("NAME=\"node{host:04}.example.org\"");
        let value = format!("VAL=\"{}.", host + round);
        let one = CAPTURE[start..end].replacen("NAME=\"localhost\"", &name, 1);
        xml.push_str(&one.replace("VAL=\"0.", &value));
    }
    xml.push_str(&CAPTURE[end..]);
    let metrics = xml.matches("<METRIC ").count();
    (xml.into_bytes(), metrics)
}

fn poll(store: &mut Store, id: SourceId, xml: &[u8]) {
    let mut parser = store.begin(id);
    for bytes in xml.chunks(READ_BYTES) {
        parser
            .feed(bytes, Mono(1000), store.table())
            .expect("the document is sound");
    }
    let document = parser.finish(Mono(1000)).expect("the document is whole");
    store.commit(
        id,
        document,
        Now {
            mono: Mono(1000),
            epoch: 0,
        },
    );
}

fn store(fast: bool) -> (Store, SourceId) {
    let settings = ParseSettings {
        fast,
        ..ParseSettings::default()
    };
    let mut store = Store::new(GridIdentity::default(), Arc::new(settings));
    let id = store.add_source();
    poll(&mut store, id, &document(0).0);
    (store, id)
}

/// A poll as nearly all are: the same hosts and metrics, other values.
#[divan::bench]
fn poll_again(bencher: Bencher<'_, '_>) {
    let (xml, metrics) = document(1);
    let (mut store, id) = store(true);
    bencher
        .counter(ItemsCount::new(metrics))
        .counter(BytesCount::new(xml.len()))
        .bench_local(|| poll(&mut store, id, &xml));
}

/// A document of which nothing was seen before.
#[divan::bench]
fn first_poll(bencher: Bencher<'_, '_>) {
    let (xml, metrics) = document(1);
    bencher
        .counter(ItemsCount::new(metrics))
        .counter(BytesCount::new(xml.len()))
        .bench_local(|| {
            let mut store = Store::new(GridIdentity::default(), Arc::default());
            let id = store.add_source();
            poll(&mut store, id, &xml);
        });
}

/// Every element through quick-xml.
#[divan::bench]
fn parse_in_full(bencher: Bencher<'_, '_>) {
    let (xml, metrics) = document(1);
    let (mut store, id) = store(false);
    bencher
        .counter(ItemsCount::new(metrics))
        .counter(BytesCount::new(xml.len()))
        .bench_local(|| poll(&mut store, id, &xml));
}

/// The whole document, a socket buffer at a time.
#[divan::bench]
fn write_all(bencher: Bencher<'_, '_>) {
    let (mut store, _) = store(true);
    let snapshot = store.snapshot();
    let now = Now {
        mono: Mono(9000),
        epoch: 1,
    };
    let mut whole = Vec::new();
    Render::new(Arc::clone(&snapshot), Selection::all(), now).fill(&mut whole, usize::MAX);
    let mut out = Vec::with_capacity(2 * READ_BYTES);
    bencher
        .counter(ItemsCount::new(
            whole.windows(8).filter(|w| w == b"<METRIC ").count(),
        ))
        .counter(BytesCount::new(whole.len()))
        .bench_local(|| {
            let mut render = Render::new(Arc::clone(&snapshot), Selection::all(), now);
            while render.fill(&mut out, READ_BYTES) {
                out.clear();
            }
            out.clear();
        });
}

/// The root's sum of a hundred sources.
#[divan::bench]
fn summarize_root(bencher: Bencher<'_, '_>) {
    let mut store = Store::new(GridIdentity::default(), Arc::default());
    for source in 0..100 {
        let id = store.add_source();
        let name = format!("NAME=\"c{source}\"");
        poll(
            &mut store,
            id,
            CAPTURE.replacen("NAME=\"Bench A\"", &name, 1).as_bytes(),
        );
    }
    bencher
        .counter(ItemsCount::new(100_usize))
        .bench_local(|| store.summarize());
}

/// What reading into nothing costs, to tell the machine from the code.
#[divan::bench]
fn parser_alone(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| Parser::new(Arc::default(), Previous::default()));
}
