//! A socket that speaks the protocol of rrdcached, so that rrdtool sees values that wait.
//!
//! From a client's bytes to the files: `connection`, in the loop; `server`, `protocol`, `commands` and
//! `target`, on the plugin thread. `connection` and `protocol` know no files. The other direction,
//! updates given to a running rrdcached, is the writer's.

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
