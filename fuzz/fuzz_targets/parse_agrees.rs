//! Any document, in any pieces, polled twice: comparing and parsing in full give the same.
#![no_main]

use std::sync::Arc;

use gmetad_core::answer::query::Selection;
use gmetad_core::answer::walk::Body;
use gmetad_core::answer::xml::Render;
use gmetad_core::ingest::{ParseError, ParseSettings};
use gmetad_core::model::{GridIdentity, Mono, Node, Now};
use gmetad_core::store::{SourceId, Store};
use libfuzzer_sys::fuzz_target;

/// What is served after a poll, or why the document was refused.
fn poll(store: &mut Store, id: SourceId, xml: &[u8], piece: usize) -> Result<Vec<u8>, ParseError> {
    let mut parser = store.begin(id);
    for bytes in xml.chunks(piece) {
        if let Err(err) = parser.feed(bytes, Mono(0), store.table()) {
            store.abort(id, parser);
            return Err(err);
        }
    }
    let document = parser.finish(Mono(0))?;
    for node in store.commit(id, document, Now::default()) {
        if let Node::Cluster(cluster) = node {
            assert!(
                cluster
                    .hosts
                    .iter()
                    .all(|host| host.metrics().end <= cluster.metrics.len())
            );
        }
    }
    let mut out = Vec::new();
    Render::new(store.snapshot(), Selection::all(), Now::default()).fill(&mut out, usize::MAX);
    Ok(out)
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, xml)) = data.split_first() else {
        return;
    };
    let store = |fast| {
        let settings = ParseSettings {
            fast,
            ..ParseSettings::default()
        };
        let mut store = Store::new(GridIdentity::default(), Arc::new(settings));
        let id = store.add_source();
        (store, id)
    };
    let ((mut fast, id), (mut full, _)) = (store(true), store(false));
    let piece = usize::from(first) + 1;
    for _ in 0..2 {
        let a = poll(&mut fast, id, xml, piece);
        let b = poll(&mut full, id, xml, usize::MAX);
        assert_eq!(
            a.is_ok(),
            b.is_ok(),
            "{:?} {:?}",
            a.as_ref().err(),
            b.as_ref().err()
        );
        if let (Ok(a), Ok(b)) = (a, b) {
            assert_eq!(a, b);
        }
    }
});
