//! The web pages of gmetad: a request, a snapshot and history in, HTML and SVG out.
//!
//! No I/O: whoever calls has parsed the request and checked who may ask, and reads the files.
#![forbid(unsafe_code)]

use gmetad_core::http::{HttpAnswer, PageContext, PageRequest, Reply, Status};

/// Answers a request of the rooms `Pages` and `OldLinks`.
pub fn answer(_request: &PageRequest, _context: &mut PageContext<'_>) -> Reply {
    let text = "there is no such page";
    Reply::Ready(HttpAnswer::text(Status::NotFound, "", text))
}
