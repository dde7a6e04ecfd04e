//! Any request line gets an answer of known length.
#![no_main]

use std::sync::{Arc, LazyLock};

use gmetad_core::answer::query::{Query, Selection};
use gmetad_core::answer::walk::Body;
use gmetad_core::answer::xml::Render;
use gmetad_core::model::{GridIdentity, Mono, Now, Snapshot};
use gmetad_core::store::Store;
use libfuzzer_sys::fuzz_target;

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

fuzz_target!(|line: &[u8]| {
    let selection = Selection::resolve(&SNAPSHOT, &Query::parse(line));
    let mut out = Vec::new();
    let mut render = Render::new(Arc::clone(&SNAPSHOT), selection, Now::default());
    assert!(!render.fill(&mut out, usize::MAX));
    assert!(out.ends_with(b"</GANGLIA_XML>\n"));
});
