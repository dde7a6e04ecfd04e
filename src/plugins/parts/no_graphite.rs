//! In place of Graphite's API in a gmetad that is built without it.

use gmetad_config::Config;
use gmetad_core::http::{HttpAnswer, PageContext, PageRequest, Reply, Status};

use super::Removal;

/// Nothing is configured for it.
pub const LEFT_OUT: Option<Removal> = Some(remove);

fn remove(_config: &mut Config) {}

/// Is not called, as no request leads here.
pub fn answer(_request: &PageRequest, _context: &mut PageContext<'_>) -> Reply {
    let text = "this gmetad was built without Graphite's API";
    Reply::Ready(HttpAnswer::text(Status::NotFound, "", text))
}
