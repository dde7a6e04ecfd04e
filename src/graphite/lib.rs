//! Graphite's read API: paths and expressions over a snapshot and history in, series out.
//!
//! No I/O: whoever calls has parsed the request and checked who may ask, and reads the files.
#![forbid(unsafe_code)]

use gmetad_core::http::{HttpAnswer, PageContext, PageRequest, Reply, Status};

/// Answers a request below `/graphite`.
pub fn answer(_request: &PageRequest, _context: &mut PageContext<'_>) -> Reply {
    let text = "there is no such path";
    Reply::Ready(HttpAnswer::text(Status::NotFound, "", text))
}
