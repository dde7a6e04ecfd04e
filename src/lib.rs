//! gmetad, the Ganglia Meta Daemon: what `main` puts together around the core.
//!
//! The core, a crate of its own, decides without sockets, clock, threads and files; the code here
//! carries it out. See `docs/ARCHITECTURE.md`.

pub mod cli;
pub mod daemon;
pub mod healing;
pub mod host;
pub mod logging;
mod opening;
pub mod plugins;
pub mod preflight;
pub mod reactor;
pub mod terminal;
