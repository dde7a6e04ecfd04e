//! A host: what it is, its reports, its metrics by group, each a graph; values that are text in a table.

use std::collections::BTreeMap;
use std::sync::Arc;

use gmetad_core::history::{Field, Owner};
use gmetad_core::http::{Moment, Reply, Status};
use gmetad_core::model::{
    Cluster, Host, Metric, MetricDef, MetricType, Now, ShownHost, parse_number, sorted,
};
use maud::{Markup, Render, html};

use super::cluster::named;
use super::grid::common;
use crate::answer::{Pieces, ask, fault};
use crate::civil::lasting;
use crate::facts::Lookup;
use crate::graph::svg::SMALL;
use crate::graph::{Curve, Draw, Figure, Formula, Plan};
use crate::layout::{Frame, figure, figures, moment, name_or, notes, pager};
use crate::link::Link;
use crate::palette::BLUE;
use crate::reports::Report;
use crate::unit::Unit;
use crate::view::View;

/// A part of the page: a group's graphs.
struct Group {
    name: String,
    figures: Vec<Figure>,
}

pub fn page(view: View, moment: &Moment) -> Reply {
    let snapshot = Arc::clone(&moment.snapshot);
    let cluster = match named(&view, &snapshot) {
        Ok(cluster) => cluster,
        Err(answer) => return Reply::Ready(*answer),
    };
    let name = view.hosts.first().map_or("", String::as_str);
    let Some(at) = find(&cluster, name, snapshot.lower_case_hosts) else {
        return Reply::Ready(fault(
            Status::NotFound,
            "No such host",
            &format!("The cluster {:?} has no host {name:?} now.", cluster.name),
        ));
    };
    let host = cluster.host(at);
    let name = &host.info.name;
    let now = moment.now;
    let live = live(host, now);
    let (numbers, texts): (Vec<Live<'_>>, Vec<Live<'_>>) = live
        .into_iter()
        .filter(|(def, _)| {
            let filter = view.metric_filter.as_ref();
            filter.is_none_or(|filter| filter.takes(def.name()))
        })
        .partition(|(def, _)| def.ty().is_numeric());
    let owner = Owner::Host {
        cluster: cluster.name.clone(),
        host: name.clone(),
    };
    let mut plan = Plan::new(&view, SMALL.most_columns);
    let reports = Report::ALL.map(|report| report.figure(&owner, &mut plan));
    let count = numbers.len();
    let part = view.part(count);
    let part = part.start..part.end.min(part.start + plan.room());
    let groups = grouped(numbers, part, |def| {
        metric_figure(&cluster, &host, def, &owner, &mut plan)
    });
    let texts: Vec<Vec<String>> = texts
        .iter()
        .map(|(def, metric)| told(def, metric))
        .collect();
    let facts = Lookup::new(&cluster, "").facts(host, now);
    let cluster = Arc::clone(&cluster);
    ask(plan, move |history, refused| {
        let host = cluster.host(at);
        let tail = view.tail();
        let to_cluster = Link::to("cluster").with("c", &cluster.name).with_tail(tail);
        let to_host = Link::to("host").with("c", &cluster.name);
        let to_host = to_host.with("h", &host.info.name).with_tail(tail);
        let frame = Frame {
            view: &view,
            page: "host",
            title: &host.info.name,
            grid: &snapshot.identity.name,
            crumbs: vec![
                (cluster.name.to_string(), to_cluster),
                (host.info.name.to_string(), to_host),
            ],
            has_time: true,
        };
        let mut out = frame.before();
        html! {
            h1 { (name_or(&host.info.name, "(no name)"))
                @if !host.up { " " span.bad { "down" } small {
                    " for " (lasting(host.live_tn(now.mono).into())) } }
            }
            dl.sum { (common(&facts)) }
            (what_it_is(&view, host, now))
            (notes(&history, refused.map(|it| it.to_string()).as_deref()))
            div.graphs.four { (figures(&reports, &history, SMALL, &view)) }
            (choices(&view, count))
            (pager(&view, "host", count, "metrics"))
        }
        .render_to(&mut out);
        let end = [text_table(&texts).into_string(), frame.after()].concat();
        let mut groups = groups.into_iter();
        let mut current: Option<(usize, Group)> = None;
        let next = move |out: &mut String| {
            if current.is_none() {
                let Some(group) = groups.next() else {
                    return false;
                };
                html! { h2 { (group.name) " " small { (group.figures.len()) } } }.render_to(out);
                out.push_str("<div class=\"graphs\">");
                current = Some((0, group));
            }
            if let Some((at, group)) = &mut current {
                if let Some(each) = group.figures.get(*at) {
                    figure(out, each, &history, SMALL, &view);
                    *at += 1;
                } else {
                    out.push_str("</div>");
                    current = None;
                }
            }
            true
        };
        Pieces::new(out, next, end).answer()
    })
}

/// The index of the host of that name, which may have been written in other case.
pub fn find(cluster: &Cluster, name: &str, lower_case: bool) -> Option<usize> {
    cluster
        .find_host(name)
        .or_else(|| lower_case.then(|| cluster.find_host(&name.to_lowercase()))?)
}

type Live<'a> = (&'a MetricDef, &'a Metric);

/// The metrics that have not expired, with their definitions.
fn live(host: ShownHost<'_>, now: Now) -> Vec<Live<'_>> {
    let age = now.mono.secs_since(host.received);
    let all = host.values().iter();
    all.map(|metric| (&**host.def(metric), metric))
        .filter(|(def, metric)| !metric.is_expired(def.fields().dmax, age))
        .collect()
}

/// The name of a metric's group.
fn group_of(def: &MetricDef) -> &str {
    name_or(def.extra("GROUP").unwrap_or_default(), "no group")
}

/// The figures of the page's part of the metrics, by group and title.
fn grouped(
    metrics: Vec<Live<'_>>,
    part: std::ops::Range<usize>,
    mut to_figure: impl FnMut(&MetricDef) -> Figure,
) -> Vec<Group> {
    let in_order = sorted(metrics, |(one, _), (other, _)| {
        (group_of(one), one.name()).cmp(&(group_of(other), other.name()))
    });
    let mut groups: BTreeMap<&str, Vec<Figure>> = BTreeMap::new();
    for (def, _) in &in_order[part] {
        groups
            .entry(group_of(def))
            .or_default()
            .push(to_figure(def));
    }
    let groups = groups.into_iter();
    groups
        .map(|(name, figures)| Group {
            name: name.to_owned(),
            figures,
        })
        .collect()
}

/// The graph of one metric of a host.
pub fn metric_figure(
    cluster: &Cluster,
    host: &Host,
    def: &MetricDef,
    owner: &Owner,
    plan: &mut Plan,
) -> Figure {
    let link = Link::to("").with("c", &cluster.name);
    let link = link.with("h", &host.info.name).with("m", def.name());
    let title = def.extra("TITLE").filter(|title| !title.trim().is_empty());
    let about = def.extra("DESC").unwrap_or_default();
    Figure {
        title: def.name().to_owned(),
        about: match title {
            Some(title) if about.is_empty() => title.to_owned(),
            Some(title) => format!("{title}: {about}"),
            None => about.to_owned(),
        },
        query: link.as_str()[1..].to_owned(),
        unit: Unit::of(&def.fields().units),
        curves: vec![Curve {
            label: def.name().to_owned(),
            colour: BLUE,
            draw: Draw::Line,
            formula: Formula::Plain(plan.ask(owner, def.name(), Field::Sum)),
        }],
        stacked: false,
    }
}

fn what_it_is(view: &View, host: ShownHost<'_>, now: Now) -> Markup {
    let value = |name: &str| {
        let metric = host.value(name)?;
        let text = metric.val.as_str();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let time = |name: &str| {
        let seconds: u64 = value(name)?.parse().ok()?;
        (seconds > 0).then_some(seconds)
    };
    let both = |one: &str, other: &str| {
        let texts: Vec<String> = [one, other].into_iter().filter_map(value).collect();
        (!texts.is_empty()).then(|| texts.join(" "))
    };
    let since = host.info.gmond_started;
    let info = &host.info;
    html! {
        dl.sum.fine {
            @if !info.ip.is_empty() { div { dt { "address" } dd { (info.ip) } } }
            div { dt { "last heard" } dd { (lasting(host.live_tn(now.mono).into())) " ago" } }
            @if let Some(boot) = time("boottime") {
                div { dt { "up since" } dd { (moment(boot, view)) " ("
                    (lasting(view.now.saturating_sub(boot))) ")" } }
            }
            @if since > 0 { div { dt { "gmond since" } dd { (moment(since as u64, view)) } } }
            @if let Some(os) = both("os_name", "os_release") { div { dt { "system" } dd { (os) } } }
            @if let Some(cpus) = value("cpu_num") {
                div { dt { "processors" } dd { (cpus)
                    @if let Some(speed) = value("cpu_speed") { " at " (speed) " MHz" }
                    @if let Some(machine) = value("machine_type") { ", " (machine) }
                } }
            }
            @if !info.location.is_empty() && &*info.location != "unspecified" {
                div { dt { "location" } dd { (info.location) } }
            }
            @if !info.tags.is_empty() && &*info.tags != "unspecified" { div { dt { "tags" } dd { (info.tags) } } }
        }
    }
}

fn choices(view: &View, count: usize) -> Markup {
    let filter = view
        .metric_filter
        .as_ref()
        .map_or("", |filter| &filter.text);
    html! {
        h2 id="metrics" { "Metrics " small { (count) } }
        form.bar action="host" {
            @for (name, value) in view.carried(&["mf", "p"]) {
                input type="hidden" name=(name) value=(value);
            }
            label { "metrics" input type="text" name="mf" value=(filter) placeholder="expression, as ^disk|_free$"; }
            button { "Filter" }
        }
    }
}

/// Name, value, units, description.
fn told(def: &MetricDef, metric: &Metric) -> Vec<String> {
    let value = metric.val.as_str();
    let shown = match def.ty() {
        MetricType::Timestamp => match parse_number(value.as_bytes()) {
            Some(number) if number.value > 0.0 => crate::layout::utc(number.value as u64),
            _ => value.to_owned(),
        },
        _ => value.to_owned(),
    };
    vec![
        def.name().to_owned(),
        [&shown, " ", def.fields().units.trim()].concat(),
        def.extra("DESC").unwrap_or_default().to_owned(),
    ]
}

fn text_table(texts: &[Vec<String>]) -> Markup {
    html! {
        @if !texts.is_empty() {
            h2 { "Values that are text " small { (texts.len()) } }
            div.wide { table {
                thead { tr { th.t { "metric" } th.t { "value" } th.t { "what it is" } } }
                tbody {
                    @for row in texts { tr { @for cell in row { td.t { (cell) } } } }
                }
            } }
        }
    }
}
