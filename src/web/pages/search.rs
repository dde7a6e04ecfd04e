//! Search: clusters, hosts and metrics whose names fit an expression, or have the text in them.

use std::collections::BTreeSet;
use std::sync::Arc;

use gmetad_core::http::{HttpAnswer, Moment, Status};
use gmetad_core::model::{Node, Snapshot};
use maud::{Markup, Render, html};

use crate::answer::page as whole_page;
use crate::layout::{Frame, name_or};
use crate::link::Link;
use crate::view::{Filter, View};

/// Most names of each kind that are shown.
const MOST: usize = 200;

pub fn page(view: &View, moment: &Moment) -> HttpAnswer {
    let snapshot = Arc::clone(&moment.snapshot);
    let frame = Frame {
        view,
        page: "search",
        title: "Search",
        grid: &snapshot.identity.name,
        crumbs: vec![("Search".to_owned(), view.with("search", &[]))],
        has_time: false,
    };
    let mut out = frame.before();
    let (filter, note) = filter(&view.search);
    html! {
        h1 { "Search" }
        form.bar action="search" {
            @for (name, value) in view.carried_time() { input type="hidden" name=(name) value=(value); }
            label { "text or expression" input type="search" name="q" value=(view.search) autofocus; }
            button { "Search" }
        }
        @if let Some(note) = note { div.box { (note) } }
        @if let Some(filter) = filter { (found(view, &snapshot, &filter)) }
    }
    .render_to(&mut out);
    out.push_str(&frame.after());
    whole_page(Status::Ok, out)
}

/// What is no expression is searched for as it is.
fn filter(text: &str) -> (Option<Filter>, Option<String>) {
    if text.is_empty() {
        return (None, None);
    }
    match Filter::new("q", text) {
        Ok(filter) => (Some(filter), None),
        Err(fault) => {
            let note = format!("{fault}. Searched for as plain text.");
            (Filter::new("q", &regex::escape(text)).ok(), Some(note))
        }
    }
}

/// Names of one kind, each with its link; and how many there are in all.
struct Hits {
    shown: Vec<(String, Link)>,
    count: usize,
}

impl Hits {
    fn new() -> Hits {
        Hits {
            shown: Vec::new(),
            count: 0,
        }
    }

    fn add(&mut self, hit: impl FnOnce() -> (String, Link)) {
        self.count += 1;
        if self.shown.len() < MOST {
            self.shown.push(hit());
        }
    }
}

fn found(view: &View, snapshot: &Snapshot, filter: &Filter) -> Markup {
    let tail = view.tail();
    let (mut clusters, mut hosts, mut metrics) = (Hits::new(), Hits::new(), Hits::new());
    let mut names = BTreeSet::new();
    for node in &snapshot.nodes {
        let Node::Cluster(cluster) = node else {
            continue;
        };
        let to_cluster = || Link::to("cluster").with("c", &cluster.name);
        if filter.takes(&cluster.name) {
            clusters.add(|| (cluster.name.to_string(), to_cluster().with_tail(tail)));
        }
        let in_order = cluster.places_by_name().map(|at| cluster.host(at));
        for host in in_order {
            if filter.takes(&host.info.name) || filter.takes(&host.info.ip) {
                hosts.add(|| {
                    let link = Link::to("host").with("c", &cluster.name);
                    let link = link.with("h", &host.info.name).with_tail(tail);
                    let down = if host.up { "" } else { " (down)" };
                    (format!("{} / {}{down}", cluster.name, host.info.name), link)
                });
            }
        }
        for def in cluster.each_def().filter(|def| def.ty().is_numeric()) {
            let title = def.extra("TITLE").unwrap_or_default();
            let fits = filter.takes(def.name()) || filter.takes(title);
            if fits && names.insert((&cluster.name, def.name())) {
                metrics.add(|| {
                    let link = to_cluster().with("m", def.name()).with_tail(tail);
                    (format!("{} / {}", cluster.name, def.name()), link)
                });
            }
        }
    }
    html! {
        (list("Clusters", &clusters))
        (list("Hosts", &hosts))
        (list("Metrics", &metrics))
        @if clusters.count + hosts.count + metrics.count == 0 {
            div.box { "Nothing has such a name." }
        }
    }
}

fn list(title: &str, hits: &Hits) -> Markup {
    html! {
        @if hits.count > 0 {
            h2 { (title) " " small {
                (hits.count)
                @if hits.count > hits.shown.len() { ", the first " (hits.shown.len()) " are shown" }
            } }
            ul.hits { @for (name, link) in &hits.shown { li { a href=(link) { (name_or(name, "(no name)")) } } } }
        }
    }
}
