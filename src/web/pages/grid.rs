//! The first page: what is wrong, then each cluster and grid with its hosts, load, memory, network.

use std::sync::Arc;

use gmetad_core::history::Owner;
use gmetad_core::http::{PageContext, Reply};
use gmetad_core::model::{Node, Now, Snapshot, sorted};
use gmetad_core::status::{ActiveAlerts, Report as Status, SourceState, faults};
use maud::{Markup, Render, html};

use super::cluster::sums;
use crate::answer::{Pieces, ask};
use crate::civil::lasting;
use crate::facts::Facts;
use crate::graph::svg::SMALL;
use crate::graph::{Figure, Plan};
use crate::layout::{Frame, figures, name_or, notes, pager};
use crate::link::Link;
use crate::palette::{CELLS, load_level};
use crate::reports::Report;
use crate::unit::{Unit, count};
use crate::view::View;

/// Clusters whose reports are on one page.
const PER_PAGE: usize = 20;

pub fn page(mut view: View, context: &mut PageContext<'_>) -> Reply {
    view.per_page = view.per_page.min(PER_PAGE);
    let snapshot = Arc::clone(&context.moment.snapshot);
    let status = (context.report)();
    let now = context.moment.now;
    let mut plan = Plan::new(&view, SMALL.most_columns);
    let whole = Report::ALL.map(|report| report.figure(&Owner::Whole, &mut plan));
    let chosen = chosen(&view, &snapshot);
    let part = view.part(chosen.len());
    let nodes: Vec<(usize, Vec<Figure>)> = chosen[part]
        .iter()
        .map(|at| {
            let owner = Owner::Node(snapshot.nodes[*at].name().into());
            let reports = Report::ALL.map(|report| report.figure(&owner, &mut plan));
            (*at, reports.to_vec())
        })
        .collect();
    ask(plan, move |history, refused| {
        let frame = Frame {
            view: &view,
            page: "./",
            title: "Grid",
            grid: &snapshot.identity.name,
            crumbs: Vec::new(),
            has_time: true,
        };
        let mut out = frame.before();
        html! {
            h1 { (name_or(&snapshot.identity.name, "Grid")) }
            (wrong(&view, &status))
            (sums(&snapshot.summary))
            (notes(&history, refused.map(|it| it.to_string()).as_deref()))
            (table(&view, &snapshot, &chosen, now))
            (pager(&view, "./", chosen.len(), "clusters and grids"))
            h2 { "All together" }
            div.graphs.four { (figures(&whole, &history, SMALL, &view)) }
        }
        .render_to(&mut out);
        let after = frame.after();
        let mut nodes = nodes.into_iter();
        let next = move |out: &mut String| {
            let Some((at, reports)) = nodes.next() else {
                return false;
            };
            let node = &snapshot.nodes[at];
            html! {
                h2 { (link(node, &view)) }
                div.graphs.four { (figures(&reports, &history, SMALL, &view)) }
            }
            .render_to(out);
            true
        };
        Pieces::new(out, next, after).answer()
    })
}

/// The clusters and grids whose names fit, worst first: those with hosts down, then by name.
fn chosen(view: &View, snapshot: &Snapshot) -> Vec<usize> {
    let fits = |node: &Node| {
        let filter = view.cluster_filter.as_ref();
        filter.is_none_or(|filter| filter.takes(node.name()))
    };
    let all: Vec<usize> = (0..snapshot.nodes.len())
        .filter(|at| fits(&snapshot.nodes[*at]))
        .collect();
    let key = |at: &usize| {
        let node = &snapshot.nodes[*at];
        (node.summary().hosts_down == 0, node.name().to_lowercase())
    };
    sorted(all, |one, other| key(one).cmp(&key(other)))
}

/// Sources that do not answer, and what else an operator should act on.
fn wrong(view: &View, status: &Status) -> Markup {
    let down = || {
        let sources = status.sources.iter();
        sources.filter(|source| source.state == SourceState::Down)
    };
    let faults = faults(status);
    html! {
        (alerts(view, &status.alerts))
        @if down().next().is_some() {
            div.box.err role="alert" {
                strong { (down().count()) " of " (status.sources.len())
                    @if down().count() == 1 { " sources does not answer" }
                    @else { " sources do not answer" } }
                ul {
                    @for source in down().take(50) {
                        li {
                            strong { (name_or(&source.name, "(no name)")) } ": "
                            (source.failure.as_deref().unwrap_or("no answer"))
                        }
                    }
                }
            }
        }
        @if !faults.is_empty() {
            div.box.err role="alert" {
                strong { "This gmetad" }
                ul { @for fault in &faults { li { (fault) } } }
            }
        }
    }
}

fn alerts(view: &View, alerts: &ActiveAlerts) -> Markup {
    html! {
        @if alerts.count > 0 {
            div.box.err role="alert" {
                strong { (alerts.count) " active " (if alerts.count == 1 { "alert" } else { "alerts" }) }
                @if alerts.count > alerts.first.len() { ", the first " (alerts.first.len()) ":" }
                ul {
                    @for alert in &alerts.first {
                        @let link = Link::to("metric").with("c", &alert.cluster);
                        @let link = link.with("h", &alert.host).with("m", &alert.metric);
                        li {
                            a href=(link.with_tail(view.tail())) { (alert.said) }
                            " " small.soft { "for "
                                (lasting(view.now.saturating_sub(alert.since.max(0) as u64))) }
                        }
                    }
                }
            }
        }
    }
}

/// The figures that grids, clusters and hosts have alike.
pub fn common(facts: &Facts) -> Markup {
    let plain = Unit::plain();
    let bytes = Unit::of("bytes");
    let rate = Unit::of("bytes/sec");
    html! {
        div { dt { "CPUs" } dd { (cpus(facts)) } }
        div { dt { "load, 1 min" } dd { (plain.show(facts.load())) } }
        div { dt { "load per CPU" } dd { (percent(facts.load_per_cpu() * 100.0)) } }
        div { dt { "CPU in use" } dd { (percent(facts.cpu_in_use())) } }
        div { dt { "memory in use" } dd {
            (bytes.show(facts.memory_in_use())) " of " (bytes.show(facts.memory())) } }
        div { dt { "network in" } dd { (rate.show(facts.bytes_in())) } }
        div { dt { "network out" } dd { (rate.show(facts.bytes_out())) } }
    }
}

fn cpus(facts: &Facts) -> String {
    if facts.cpus().is_nan() {
        "–".to_owned()
    } else {
        count(facts.cpus() as u64)
    }
}

pub fn percent(value: f64) -> String {
    if value.is_nan() {
        "–".to_owned()
    } else {
        format!("{value:.0}\u{a0}%")
    }
}

fn link(node: &Node, view: &View) -> Markup {
    let link = Link::to("cluster").with("c", node.name());
    html! {
        a href=(link.with_tail(view.tail())) { (name_or(node.name(), "(no name)")) }
        @if let Node::Grid(_) = node { " " small.soft { "grid" } }
    }
}

/// Whether a link to it is one to the web: a grid below says what it likes.
pub fn is_web(authority: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        let start = authority.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

fn table(view: &View, snapshot: &Snapshot, chosen: &[usize], now: Now) -> Markup {
    let part = view.part(chosen.len());
    let rate = Unit::of("bytes/sec");
    html! {
        @if snapshot.nodes.is_empty() {
            div.box { "No source has answered yet." }
        } @else {
            @if snapshot.nodes.len() > 8 || view.cluster_filter.is_some() { (filter(view)) }
            div.wide { table {
                thead { tr {
                    th.t { "cluster or grid" } th { "up" } th { "down" } th.opt { "CPUs" }
                    th { "load per CPU" } th.opt { "CPU" } th { "memory" }
                    th.opt { "in" } th.opt { "out" } th.opt { "heard" }
                } }
                tbody {
                    @for at in &chosen[part] {
                        @let node = &snapshot.nodes[*at];
                        @let summary = node.summary();
                        @let facts = Facts::of_summary(summary);
                        tr class=[(summary.hosts_down > 0).then_some("some")] {
                            td.n { (link(node, view)) }
                            td { (summary.hosts_up) }
                            td class=[(summary.hosts_down > 0).then_some("bad")] { (summary.hosts_down) }
                            td.opt { (cpus(&facts)) }
                            td { i class={ "k " (CELLS[load_level(facts.load_per_cpu())]) } {}
                                (percent(facts.load_per_cpu() * 100.0)) }
                            td.opt { (percent(facts.cpu_in_use())) }
                            td { (percent(facts.memory_percent())) }
                            td.opt { (rate.show(facts.bytes_in())) }
                            td.opt { (rate.show(facts.bytes_out())) }
                            td.opt.soft {
                                (lasting(now.mono.secs_since(node.received()).into())) " ago"
                            }
                        }
                    }
                }
            } }
        }
    }
}

fn filter(view: &View) -> Markup {
    let text = view
        .cluster_filter
        .as_ref()
        .map_or("", |filter| &filter.text);
    html! {
        form.bar action="./" {
            @for (name, value) in view.carried(&["cf", "p"]) {
                input type="hidden" name=(name) value=(value);
            }
            label { "clusters" input type="text" name="cf" value=(text)
                placeholder="expression, as rack[12]|gpu"; }
            button { "Filter" }
        }
    }
}
