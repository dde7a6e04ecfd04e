//! The web pages, built in.

use super::Removal;

pub use gmetad_web::answer;

/// Not left out.
pub const LEFT_OUT: Option<Removal> = None;
