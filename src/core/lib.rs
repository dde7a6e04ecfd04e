//! The core of gmetad: documents, store, answers, and the state machines of peers.
//!
//! No I/O of any kind: bytes, times and random numbers come in as arguments. There is no clock,
//! file, socket, thread or log, so its tests need none.
#![forbid(unsafe_code)]

pub mod answer;
pub mod client;
pub mod complaint;
pub mod condition;
pub mod history;
pub mod http;
pub mod ingest;
pub mod model;
pub mod pending;
pub mod plugin;
pub mod poll;
pub mod room;
pub mod share;
pub mod source;
pub mod status;
pub mod store;
pub mod summary;
#[cfg(test)]
mod testing;
pub mod timers;
pub mod trust;
