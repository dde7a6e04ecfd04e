//! gmetad, the Ganglia Meta Daemon, as a library: the parts that `main` puts together.
//!
//! The core (`model`, `xml`, `store`, `summary`, `query`, `poll`, `client`, `http`, `json`,
//! `prometheus`, `status`, `timers`, `condition`) has no sockets, clock, threads or files; the shell
//! (`reactor`, `plugin`, `machine`, `daemon`, `logging`, `preflight`) runs what the core decides.
//! `docs/ARCHITECTURE.md` has the picture.

pub mod cli;
pub mod client;
pub mod condition;
pub mod config;
pub mod daemon;
pub mod http;
mod inflate;
pub mod json;
pub mod logging;
pub mod machine;
pub mod model;
pub mod plugin;
pub mod poll;
pub mod preflight;
pub mod prometheus;
pub mod query;
pub mod reactor;
pub mod reload;
pub mod status;
pub mod store;
pub mod summary;
#[cfg(test)]
mod testing;
pub mod timers;
pub mod trust;
pub mod walk;
pub mod xml;
