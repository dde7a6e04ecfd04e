//! XML as Ganglia speaks it: Latin-1, not always well formed on the way in, always on the way out.
//!
//! No I/O: bytes come in and go out as slices and buffers.

mod build;
pub mod escape;
mod nodes;
pub mod parse;
mod scan;
pub mod text;
pub mod write;
