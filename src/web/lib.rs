//! The web pages of gmetad: a request, a snapshot and history in, HTML and SVG out.
//!
//! No I/O: whoever calls has parsed the request and checked who may ask, and reads the files.
#![forbid(unsafe_code)]

mod answer;
mod assets;
mod axis;
mod civil;
mod facts;
mod graph;
mod layout;
mod link;
mod old_links;
mod pages;
mod palette;
mod range;
mod reports;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod unit;
mod view;

use gmetad_core::http::{Content, HttpAnswer, PageContext, PageRequest, Reply, Room, Status};

use answer::{Kind, fault, see_other};
use assets::Asset;
use view::View;

/// Answers a request of the rooms `Pages` and `OldLinks`.
pub fn answer(request: &PageRequest, context: &mut PageContext<'_>) -> Reply {
    if request.room == Room::OldLinks {
        return Reply::Ready(see_other(&old_links::place(request)));
    }
    let parts: Vec<String> = request.parts().collect();
    let name = match &parts[..] {
        [] => "",
        [name] => name,
        _ => return Reply::Ready(no_page()),
    };
    if let Some(asset) = Asset::named(name) {
        return Reply::Ready(file(asset, name));
    }
    let now = u64::try_from(context.now.epoch).unwrap_or(0);
    let view = match View::parse(request.arguments(), now) {
        Ok(view) => view,
        Err(error) => {
            let answer = fault(Status::BadRequest, "Not understood", &error.to_string());
            return Reply::Ready(answer);
        }
    };
    let size = request.arguments().find(|(name, _)| name == "z");
    if let Some(form) = pages::graph::form(name, size.as_ref().map(|(_, size)| size.as_str())) {
        return pages::graph::page(&view, form, context);
    }
    match name {
        "" => pages::grid::page(view, context),
        "cluster" => pages::cluster::page(view, context),
        "host" => pages::host::page(view, context),
        "metric" => pages::metric::page(view, context),
        "search" => Reply::Ready(pages::search::page(&view, context)),
        "status" => Reply::Ready(pages::status::page(&view, context)),
        _ => Reply::Ready(no_page()),
    }
}

fn no_page() -> HttpAnswer {
    fault(
        Status::NotFound,
        "No such page",
        "There is no page of this name here.",
    )
}

fn file(asset: Asset, name: &str) -> HttpAnswer {
    let kind = if asset.name() == name {
        Kind::Asset
    } else {
        Kind::Page
    };
    let content = Content::Bytes(asset.bytes.to_vec());
    answer::answer(Status::Ok, kind, asset.content_type, content)
}
