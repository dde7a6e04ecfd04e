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

use gmetad_core::http::{
    Content, HttpAnswer, Moment, PageContext, PageRequest, Reply, Room, Status,
};

use answer::{Kind, fault, see_other};
use assets::Asset;
use pages::graph::Form;
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
    if name.is_empty() || name == "status" {
        return match view(request, &context.moment) {
            Err(answer) => Reply::Ready(*answer),
            Ok(view) if name.is_empty() => pages::grid::page(view, context),
            Ok(view) => Reply::Ready(pages::status::page(&view, context)),
        };
    }
    let Some(page) = Page::named(name, request) else {
        return Reply::Ready(no_page());
    };
    let (request, moment) = (request.clone(), context.moment.clone());
    Reply::Think(Box::new(move || page.reply(&request, &moment)))
}

/// A page that is made without the daemon's statistics.
#[derive(Clone, Copy, Debug)]
enum Page {
    Cluster,
    Host,
    Metric,
    Search,
    Graph(Form),
}

impl Page {
    fn named(name: &str, request: &PageRequest) -> Option<Page> {
        Some(match name {
            "cluster" => Page::Cluster,
            "host" => Page::Host,
            "metric" => Page::Metric,
            "search" => Page::Search,
            name => {
                let size = request.arguments().find(|(name, _)| name == "z");
                let size = size.as_ref().map(|(_, size)| size.as_str());
                Page::Graph(pages::graph::form(name, size)?)
            }
        })
    }

    fn reply(self, request: &PageRequest, moment: &Moment) -> Reply {
        let view = match view(request, moment) {
            Ok(view) => view,
            Err(answer) => return Reply::Ready(*answer),
        };
        match self {
            Page::Cluster => pages::cluster::page(view, moment),
            Page::Host => pages::host::page(view, moment),
            Page::Metric => pages::metric::page(view, moment),
            Page::Search => Reply::Ready(pages::search::page(&view, moment)),
            Page::Graph(form) => pages::graph::page(&view, form, moment),
        }
    }
}

/// What is to be shown, or the page that says what is wrong with the request.
fn view(request: &PageRequest, moment: &Moment) -> Result<View, Box<HttpAnswer>> {
    let now = u64::try_from(moment.now.epoch).unwrap_or(0);
    View::parse(request.arguments(), now).map_err(|error| {
        let text = error.to_string();
        Box::new(fault(Status::BadRequest, "Not understood", &text))
    })
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
