//! Any head of a request gets an answer that is one: a head, and a body of known length.
#![no_main]

use std::sync::{Arc, LazyLock};

use gmetad_core::http::{Access, Asked, Context, Head, answer, scrapes};
use gmetad_core::model::{GridIdentity, Mono, Now, Snapshot};
use gmetad_core::status::Report;
use gmetad_core::store::Store;
use libfuzzer_sys::fuzz_target;

/// No answer from the fixture is longer.
const MOST_BYTES: usize = 16 << 20;

static SNAPSHOT: LazyLock<Arc<Snapshot>> = LazyLock::new(|| {
    let xml = include_bytes!("../../tests/data/gmond/gmond-hostile.xml");
    let mut store = Store::new(GridIdentity::default(), Arc::default());
    let id = store.add_source();
    let mut parser = store.begin(id);
    parser
        .feed(xml, Mono(0), store.table())
        .expect("the capture can be read");
    let document = parser.finish(Mono(0)).expect("the capture is whole");
    store.commit(id, document, Now::default());
    store.summarize();
    store.snapshot()
});

fuzz_target!(|head: &[u8]| {
    let access = Access::new(["head"], ["http://page"]);
    let head = Head::parse(head).checked(&access);
    let mut body = answer(
        &Asked::of_head(&head),
        &mut Context {
            snapshot: Arc::clone(&SNAPSHOT),
            now: Now::default(),
            report: &mut Report::default,
            readers: access.fields(head.field("Origin")),
            scrape: scrapes().take(std::net::Ipv4Addr::LOCALHOST.into()).ok(),
        },
    );
    let mut out = Vec::new();
    while body.fill(&mut out, MOST_BYTES) {
        assert!(out.len() < MOST_BYTES, "it ends");
    }
    assert!(out.starts_with(b"HTTP/1.0 "));
    assert!(out.windows(4).any(|four| four == b"\r\n\r\n"));
});
