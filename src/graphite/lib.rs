//! Graphite's read API: paths and expressions over a snapshot and history in, series out.
//!
//! No I/O: whoever calls has parsed the request and checked who may ask, and reads the files.
#![forbid(unsafe_code)]

mod evaluate;
mod expression;
mod functions;
mod line;
mod listing;
mod names_of_paths;
mod pattern;
mod render;
mod span;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tree;
mod when;

use gmetad_core::http::{Content, HttpAnswer, Moment, PageContext, PageRequest, Reply, Status};

use functions::Function;

/// The version of Graphite whose API this is.
const VERSION: &str = "\"1.1.8\"";

/// Answers a request below `/graphite`.
pub fn answer(request: &PageRequest, context: &mut PageContext<'_>) -> Reply {
    let parts: Vec<String> = request.parts().collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    // These look for names, in all that there is.
    let search: fn(&PageRequest, &Moment) -> Reply = match parts[..] {
        ["render"] => |request, moment| render::answer(request.arguments(), moment),
        ["metrics", "find"] | ["metrics"] => {
            |request, moment| Reply::Ready(listing::find(request.arguments(), moment))
        }
        ["metrics", "expand"] => {
            |request, moment| Reply::Ready(listing::expand(request.arguments(), moment))
        }
        _ => return Reply::Ready(known(&parts)),
    };
    let (request, moment) = (request.clone(), context.moment.clone());
    Reply::Think(Box::new(move || search(&request, &moment)))
}

/// What does not depend on what there is.
fn known(parts: &[&str]) -> HttpAnswer {
    match *parts {
        ["functions"] => json(listing::functions()),
        ["functions", name] => match Function::named(name) {
            Ok(function) => json(listing::function(function)),
            Err(fault) => HttpAnswer::text(Status::NotFound, "", &fault.to_string()),
        },
        ["version"] => json(VERSION.into()),
        // There are no tags and no events here; Grafana asks for them all the same.
        ["tags"] | ["tags", "autoComplete", "tags" | "values"] | ["events", "get_data"] => {
            json("[]".into())
        }
        _ => HttpAnswer::text(
            Status::NotFound,
            "",
            "there is no such path; there are /render, /metrics/find, /metrics/expand, /functions \
             and /version",
        ),
    }
}

fn json(bytes: Vec<u8>) -> HttpAnswer {
    HttpAnswer {
        status: Status::Ok,
        fields: "".into(),
        content_type: "application/json",
        content: Content::Bytes(bytes),
    }
}

/// What is wrong with a request, in plain text.
fn bad_request(reason: &str) -> HttpAnswer {
    HttpAnswer::text(Status::BadRequest, "", reason)
}
