//! From the bytes that a source sends to its document: clusters and grids, ready to be stored.
//!
//! What gmonds send is Latin-1 and not always well formed. No I/O: bytes come in as slices.

mod attributes;
mod build;
mod document;
mod drafts;
mod elements;
mod fast;
pub mod inflate;
mod nodes;
mod parse;
mod scan;
mod settings;
#[cfg(test)]
mod tests;

pub use document::{Document, ParseError, Previous};
pub use nodes::Abandoned;
pub use parse::Parser;
pub use settings::{Limits, ParseSettings};
