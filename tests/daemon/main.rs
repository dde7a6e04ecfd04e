//! The process: its start and end, options, configuration, reload, log, and what `-t` finds.
//!
//! Each module is a subject; one program, so that it is linked once.

mod configurations;
mod confinement;
mod directives;
mod init_script;
mod install;
mod life;
mod manager;
mod once;
mod parts;
mod places;
mod preflight;
mod process;
mod reload;
#[path = "../support/mod.rs"]
mod support;
