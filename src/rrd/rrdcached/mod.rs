//! rrdcached, both ways: a running one that gets the updates in place of the files, and its protocol
//! on a socket of our own, so that rrdtool sees values that wait.
//!
//! `client` is the former; `connection`, `protocol` and `server` are the latter, from the bytes of a
//! client to the files.

pub(crate) mod client;
pub mod protocol;
mod server;

pub use server::{RrdcachedServer, SessionAnswer, SessionRequest};
