//! From a query to the bytes of its answer, in any format.
//!
//! No I/O: an answer is written from a snapshot, a slice at a time.

pub mod json;
pub mod prometheus;
pub mod query;
pub mod walk;
pub mod xml;
