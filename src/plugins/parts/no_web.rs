//! In place of the web pages in a gmetad that is built without them.

use gmetad_config::Config;
use gmetad_core::http::{HttpAnswer, PageContext, PageRequest, Reply, Status};

use super::Removal;

/// They have no port.
pub const LEFT_OUT: Option<Removal> = Some(remove);

fn remove(config: &mut Config) {
    config.web_port = None;
    config.trust.pages.clear();
}

/// Is not called, as no request leads here.
pub fn answer(_request: &PageRequest, _context: &mut PageContext<'_>) -> Reply {
    let text = "this gmetad was built without web pages";
    Reply::Ready(HttpAnswer::text(Status::NotFound, "", text))
}
