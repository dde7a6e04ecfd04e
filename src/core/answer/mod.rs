//! From a request for a part of the tree to the bytes of its answer, in whatever format.
//!
//! No I/O: an answer is made from a snapshot, a slice at a time.

pub mod json;
pub mod prometheus;
pub mod query;
pub mod walk;
pub mod xml;
