//! Helpers of unit tests: a snapshot of given documents.
//!
//! Not part of the library.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::answer::walk::Body;
use crate::model::{GridIdentity, Now, Snapshot};
use crate::share::{Most, Share, Shares};
use crate::store::Store;

/// A client's address.
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The only one there is.
pub fn share() -> Share {
    Shares::new(Most::half_for_each(1)).take(ADDRESS).unwrap()
}

/// A snapshot of a grid named Top with one source for each document's content, received at `now`.
/// The contents are sent as Latin-1.
pub fn snapshot_at(contents: &[&str], now: Now) -> Arc<Snapshot> {
    let identity = GridIdentity {
        name: "Top".into(),
        authority: "http://top/".into(),
        scalable: true,
    };
    let mut store = Store::new(identity, Arc::default());
    for content in contents {
        let id = store.add_source();
        let xml = format!("<GANGLIA_XML>{content}</GANGLIA_XML>");
        let latin1: Vec<u8> = xml.chars().map(|c| c as u8).collect();
        let mut parser = store.begin(id);
        parser.feed(&latin1, now.mono, store.table()).unwrap();
        let document = parser.finish(now.mono).unwrap();
        store.commit(id, document, now);
    }
    store.summarize();
    store.snapshot()
}

/// The same, received at time zero.
pub fn snapshot(contents: &[&str]) -> Arc<Snapshot> {
    snapshot_at(contents, Now::default())
}

/// The whole body, written in slices of that size.
pub fn all_of(mut body: Box<dyn Body>, slice: usize) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut out = Vec::new();
        let more = body.fill(&mut out, slice);
        assert!(!more || !out.is_empty(), "a slice brings something");
        all.extend(out);
        assert!(all.len() < 64 << 20, "it does not end");
        if !more {
            return all;
        }
    }
}
