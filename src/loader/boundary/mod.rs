//! The boundary to plugins in shared objects: everything that calls one or is called by one.
//!
//! All `unsafe` code of this crate is here. `include/gmetad_plugin.h` says what a plugin promises; a
//! comment at each `unsafe` block says which promise it relies on.
#![allow(unsafe_code)]

mod access;
mod attempt;
mod context;
mod facts;
mod guard;
mod label;
mod library;
mod object;
mod passing;
mod snapshot;
mod text;

pub use attempt::attempt;
pub(crate) use facts::Facts;
pub use guard::{LastWords, end_is_asked, watch};
pub(crate) use object::load;
pub(crate) use snapshot::Newest;
