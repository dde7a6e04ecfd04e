//! rrdcached as client and as server: a running one may get the updates in place of the files, and
//! its protocol is served on a socket of our own, so that rrdtool sees values that wait.
//!
//! `client` is the one. The other is, from a client's bytes to the files: `connection`, in the loop;
//! `server`, `protocol`, `commands` and `target`, on the plugin thread. `connection` and `protocol`
//! know no files.

pub(crate) mod client;
mod commands;
pub mod connection;
pub mod protocol;
mod server;
#[cfg(test)]
mod simulation;
mod target;
#[cfg(test)]
mod testing;

pub use server::{RrdcachedServer, SessionAnswer, SessionInput, SessionRequest};
