//! gmetad, the Ganglia Meta Daemon: what `main` puts together around the core.
//!
//! The core, in a crate of its own, has no sockets, clock, threads or files; what runs what it
//! decides is here. `docs/ARCHITECTURE.md` has the picture.

pub mod cli;
pub mod daemon;
pub mod host;
pub mod logging;
pub mod plugins;
pub mod preflight;
pub mod reactor;
pub mod terminal;
