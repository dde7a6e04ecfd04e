//! From the bytes that a source sends to its document: clusters and grids, ready to be stored.
//!
//! What gmonds send is Latin-1 and not always well formed. No I/O: bytes come in as slices.

mod build;
pub mod inflate;
mod nodes;
pub mod parse;
mod scan;
