//! Links to ganglia-web, as they stand in wikis: the way to the page that shows the same.

use gmetad_core::http::PageRequest;

use crate::link::Link;

/// The place of our page, relative to the path of the request.
pub fn place(request: &PageRequest) -> String {
    let arguments: Vec<(String, String)> = request.arguments().collect();
    let one = |name: &str| {
        let found = arguments.iter().rev().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    };
    let is_graph = request
        .parts()
        .last()
        .is_some_and(|last| last == "graph.php");
    let aggregate = one("hreg[]").or(one("host_regex"));
    let page = if is_graph {
        match (one("csv"), one("json")) {
            (Some(_), _) => "graph.csv",
            (_, Some(_)) => "graph.json",
            _ => "graph.svg",
        }
    } else {
        match (one("c"), one("h")) {
            _ if aggregate.is_some() => "metric",
            (_, Some(_)) => "host",
            (Some(_), None) => "cluster",
            (None, None) => "./",
        }
    };
    let mut link = Link::to(&format!("{}{page}", up_to_pages(request)));
    link = link.with_some("c", one("c"));
    link = link.with_some("h", one("h"));
    // ganglia-web's page of a host has a metric in its links that it does not show.
    if page != "host" && page != "./" {
        link = link
            .with_some("m", one("m"))
            .with_some("g", one("g").filter(|_| is_graph));
    }
    link = link.with_some("f", aggregate);
    link = link.with_some("mf", one("mreg[]").or(one("metric_regex")));
    link = link.with_some("style", one("gtype").map(style));
    link = link.with_some("z", one("z").filter(|_| is_graph));
    match (one("cs"), one("ce")) {
        (None, None) => link.with_some("r", one("r").filter(|range| *range != "custom")),
        (from, until) => link.with_some("from", from).with_some("until", until),
    }
    .as_str()
    .to_owned()
}

fn style(gtype: &str) -> &str {
    match gtype {
        "stack" => "stack",
        _ => "lines",
    }
}

/// From the folder of the request to the pages.
fn up_to_pages(request: &PageRequest) -> String {
    // `/ganglia/` and `/ganglia/graph.php` are one folder deep, whatever a proxy has put before it.
    let deep = request.path.split(|&b| b == b'/').skip(1).count().max(1);
    let pages = request.pages.strip_prefix('/').unwrap_or(request.pages);
    ["../".repeat(deep).as_str(), pages].concat()
}
