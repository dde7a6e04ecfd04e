//! What the core costs a metric: parse, summary, write. `cargo bench --bench core`.

mod fixture;

use std::net::Ipv4Addr;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use fixture::{CAPTURE, READ_BYTES, document, document_of, poll, store};
use gmetad_core::answer::json;
use gmetad_core::answer::prometheus::Scrape;
use gmetad_core::answer::query::Selection;
use gmetad_core::answer::walk::Body;
use gmetad_core::answer::xml::Render;
use gmetad_core::http::scrapes;
use gmetad_core::ingest::{Parser, Previous};
use gmetad_core::model::{GridIdentity, Mono, Now, Snapshot};
use gmetad_core::store::Store;

fn main() {
    divan::main();
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

/// The same where each host has its metrics in an order of its own.
#[divan::bench]
fn poll_again_in_orders(bencher: Bencher<'_, '_>) {
    let (xml, metrics) = document_in_orders(1);
    let mut store = Store::new(GridIdentity::default(), Arc::default());
    let id = store.add_source();
    poll(&mut store, id, &document_in_orders(0).0);
    bencher
        .counter(ItemsCount::new(metrics))
        .counter(BytesCount::new(xml.len()))
        .bench_local(|| poll(&mut store, id, &xml));
}

/// A poll of one of so many sources that bring the same cluster, each with 20 hosts of its own.
#[divan::bench(args = [1, 10, 100])]
fn poll_a_shared_cluster(bencher: Bencher<'_, '_>, sources: usize) {
    let mut store = Store::new(GridIdentity::default(), Arc::default());
    let own = |source: usize, round: usize| {
        let (xml, metrics) = document_of(20, round);
        let xml = String::from_utf8(xml).expect("it was a string");
        let name = format!("NAME=\"of{source}-");
        (xml.replace("NAME=\"node", &name).into_bytes(), metrics)
    };
    let ids: Vec<_> = (0..sources).map(|_| store.add_source()).collect();
    for (source, id) in ids.iter().enumerate() {
        poll(&mut store, *id, &own(source, 0).0);
    }
    let (xml, metrics) = own(sources / 2, 1);
    bencher
        .counter(ItemsCount::new(metrics))
        .bench_local(|| poll(&mut store, ids[sources / 2], &xml));
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

/// The same tree as JSON.
#[divan::bench]
fn write_json(bencher: Bencher<'_, '_>) {
    let (mut store, _) = store(true);
    let snapshot = store.snapshot();
    let now = Now::default();
    bench_body(bencher, b"\"value\":", || {
        json::body(Arc::clone(&snapshot), Selection::all(), now)
    });
}

/// The numbers of it for Prometheus.
#[divan::bench]
fn write_prometheus(bencher: Bencher<'_, '_>) {
    let (mut store, _) = store(true);
    bench_scrape(bencher, &store.snapshot());
}

/// As many of them as a large site has.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn write_a_million_for_prometheus(bencher: Bencher<'_, '_>) {
    let mut store = Store::new(GridIdentity::default(), Arc::default());
    for cluster in 0..10 {
        let id = store.add_source();
        let name = format!("NAME=\"c{cluster}\"");
        let xml = String::from_utf8(document_of(4000, 0).0).expect("it was a string");
        poll(
            &mut store,
            id,
            xml.replacen("NAME=\"Bench A\"", &name, 1).as_bytes(),
        );
    }
    bench_scrape(bencher, &store.snapshot());
}

fn bench_scrape(bencher: Bencher<'_, '_>, snapshot: &Snapshot) {
    // The capture's hosts were heard of a second before.
    let now = Now {
        mono: Mono(1000),
        epoch: 1,
    };
    bench_body(bencher, b"\nganglia_", || {
        let share = scrapes().take(Ipv4Addr::LOCALHOST.into());
        let share = share.expect("it is the only one");
        Box::new(Scrape::new(snapshot, now, share, |_| true))
    });
}

/// Writes a body over and over, a socket buffer at a time; an item is what `mark` marks.
fn bench_body(bencher: Bencher<'_, '_>, mark: &[u8], make: impl Fn() -> Box<dyn Body>) {
    let mut out = Vec::with_capacity(2 * READ_BYTES);
    let (mut items, mut bytes) = (0, 0);
    let mut body = make();
    while body.fill(&mut out, READ_BYTES) {
        items += out.windows(mark.len()).filter(|w| *w == mark).count();
        bytes += out.len();
        out.clear();
    }
    bencher
        .counter(ItemsCount::new(items))
        .counter(BytesCount::new(bytes))
        .bench_local(|| {
            let mut body = make();
            while body.fill(&mut out, READ_BYTES) {
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

/// A document with the metrics of each host in an order of its own, as gmonds that hear of many
/// hosts have them: the same at every poll.
fn document_in_orders(round: usize) -> (Vec<u8>, usize) {
    let (xml, metrics) = document(round);
    let xml = String::from_utf8(xml).expect("it was a string");
    let (mut out, mut host) = (String::with_capacity(xml.len()), 0);
    for part in xml.split_inclusive("</HOST>") {
        let (head, rest) = part.split_once("<METRIC ").unwrap_or((part, ""));
        let (list, tail) = rest.rsplit_once("</METRIC>").unwrap_or_default();
        let mut list: Vec<_> = list.split("<METRIC ").collect();
        if rest.is_empty() {
            out.push_str(head);
            continue;
        }
        // The last one has lost its end tag to `rsplit_once`.
        let whole = format!("{}</METRIC>\n", list.pop().unwrap_or_default());
        list.push(&whole);
        host += 1;
        list.sort_by_key(|metric| spread(metric, host));
        out.push_str(head);
        for metric in list {
            out.push_str("<METRIC ");
            out.push_str(metric);
        }
        out.push_str(tail);
    }
    (out.into_bytes(), metrics)
}

/// A number that follows from a metric's name and its host's number.
fn spread(metric: &str, host: u64) -> u64 {
    let name = metric.split('"').nth(1).unwrap_or_default();
    let seed = host.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    name.bytes().fold(seed, |hash, byte| {
        (hash ^ u64::from(byte))
            .wrapping_mul(0xD1B5_4A32_D192_ED03)
            .rotate_left(29)
    })
}
