//! Any document, written as JSON and as a scrape, can be read back: no value or name of a peer breaks
//! out of its place.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use gmetad_core::answer::json;
use gmetad_core::answer::prometheus::Scrape;
use gmetad_core::answer::query::Selection;
use gmetad_core::answer::walk::Body;
use gmetad_core::http::scrapes;
use gmetad_core::ingest::ParseSettings;
use gmetad_core::model::{GridIdentity, Mono, Now, Snapshot};
use gmetad_core::store::Store;
use libfuzzer_sys::fuzz_target;

/// A body in pieces of that size, as a slow client takes it.
fn whole(body: &mut dyn Body, piece: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut limit = piece;
    while body.fill(&mut out, limit) {
        limit = out.len() + piece;
    }
    out
}

fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    text.starts_with(|c: char| is_part(c) && !c.is_ascii_digit()) && text.chars().all(is_part)
}

/// What follows a quoted label value.
fn after_value(text: &str) -> &str {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                let escaped = chars.next().expect("something is escaped").1;
                assert!(matches!(escaped, '\\' | '"' | 'n'), "{text}");
            }
            '"' => return &text[at + 1..],
            _ => {}
        }
    }
    panic!("a value without an end: {text}");
}

/// One line of a scrape, by the grammar of the text format.
fn check_line(line: &str) {
    if line.starts_with('#') {
        return;
    }
    let end = line.find(['{', ' ']).expect("a value or labels");
    assert!(is_name(&line[..end]), "{line}");
    let mut rest = &line[end..];
    if let Some(labels) = rest.strip_prefix('{') {
        rest = labels;
        while !rest.starts_with('}') {
            let (name, value) = rest.split_once("=\"").expect("a label");
            assert!(is_name(name), "{line}");
            rest = after_value(value);
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').expect("a blank before the value");
    value
        .parse::<f64>()
        .unwrap_or_else(|err| panic!("{err}: {line}"));
}

fn check(snapshot: &Arc<Snapshot>, piece: usize) {
    let now = Now::default();
    let mut body = json::body(Arc::clone(snapshot), Selection::all(), now);
    let text = whole(&mut *body, piece);
    let tree: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
    let nodes = tree["nodes"].as_array().expect("a list").len();
    assert_eq!(nodes, snapshot.nodes.len());
    let mut shares = scrapes();
    let share = shares
        .take(IpAddr::V4(Ipv4Addr::LOCALHOST))
        .expect("nobody else");
    let mut scrape = Scrape::new(snapshot, now, share, |_| true);
    let text = String::from_utf8(whole(&mut scrape, piece)).expect("it is UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().for_each(check_line);
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, xml)) = data.split_first() else {
        return;
    };
    let mut store = Store::new(GridIdentity::default(), Arc::new(ParseSettings::default()));
    let id = store.add_source();
    let mut parser = store.begin(id);
    if parser.feed(xml, Mono(0), store.table()).is_err() {
        store.abort(id, parser);
        return;
    }
    let Ok(document) = parser.finish(Mono(0)) else {
        return;
    };
    store.commit(id, document, Now::default());
    store.summarize();
    check(&store.snapshot(), usize::from(first) + 1);
});
