//! Graphite's API, built in.

use super::Removal;

pub use gmetad_graphite::answer;

/// Not left out.
pub const LEFT_OUT: Option<Removal> = None;
