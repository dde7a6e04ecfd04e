//! Any metrics of any hosts in one graph: lines, stacked, their sum or average; hosts compared.

use std::collections::BTreeSet;
use std::sync::Arc;

use gmetad_core::history::{Field, Owner};
use gmetad_core::http::{Moment, Reply};
use gmetad_core::model::{Cluster, MetricDef, Node, Snapshot};
use maud::{Markup, Render, html};

use super::cluster::DEFAULT_METRIC;
use super::host::{find, metric_figure};
use crate::answer::{ask, page as whole_page};
use crate::graph::svg::{LARGE, SMALL};
use crate::graph::{Curve, Draw, Figure, Formula, Plan};
use crate::layout::{Frame, figures, notes};
use crate::link::Link;
use crate::palette::BLUE;
use crate::unit::Unit;
use crate::view::{Style, View};

/// Most lines of a graph: more cannot be told apart.
pub const MOST_LINES: usize = 32;

/// Most graphs of a page.
const MOST_FIGURES: usize = 60;

/// What is drawn, and what had to be left out.
pub struct Chosen {
    pub figures: Vec<Figure>,
    pub left_out: Vec<String>,
}

/// A host and where it is.
type Found<'a> = (&'a Cluster, usize);

/// The graphs that a request asks for. Without hosts they are those of the sums.
pub fn chosen(view: &View, snapshot: &Snapshot, plan: &mut Plan) -> Chosen {
    if let Some(report) = view.report {
        let owner = owner(view);
        return Chosen {
            figures: vec![report.figure(&owner, plan)],
            left_out: Vec::new(),
        };
    }
    let mut left_out = Vec::new();
    let names = metric_names(view, snapshot);
    if names.len() > MOST_FIGURES {
        left_out.push(format!(
            "{} metrics fit; the first {MOST_FIGURES} are shown",
            names.len()
        ));
    }
    let hosts = hosts(view, snapshot);
    let wants_hosts = !view.hosts.is_empty() || view.host_filter.is_some();
    let figures = names
        .iter()
        .take(MOST_FIGURES)
        .filter_map(|name| {
            if wants_hosts {
                of_hosts(view, &hosts, name, plan, &mut left_out)
            } else {
                Some(of_sums(view, snapshot, name, plan))
            }
        })
        .collect();
    left_out.dedup();
    Chosen { figures, left_out }
}

fn owner(view: &View) -> Owner {
    match (&view.cluster, view.hosts.first()) {
        (Some(cluster), Some(host)) => Owner::Host {
            cluster: cluster.as_str().into(),
            host: host.as_str().into(),
        },
        (Some(cluster), None) => Owner::Node(cluster.as_str().into()),
        (None, _) => Owner::Whole,
    }
}

/// The clusters that a request is about.
fn clusters<'a>(view: &View, snapshot: &'a Snapshot) -> Vec<&'a Cluster> {
    let nodes = snapshot.nodes.iter();
    nodes
        .filter_map(|node| match node {
            Node::Cluster(cluster) => Some(&**cluster),
            Node::Grid(_) => None,
        })
        .filter(|cluster| match (&view.cluster, &view.cluster_filter) {
            (Some(name), _) => *cluster.name == **name,
            (None, Some(filter)) => filter.takes(&cluster.name),
            (None, None) => true,
        })
        .collect()
}

fn hosts<'a>(view: &View, snapshot: &'a Snapshot) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    for cluster in clusters(view, snapshot) {
        if view.hosts.is_empty() {
            let Some(filter) = &view.host_filter else {
                continue;
            };
            let all = cluster.places_by_name();
            let fits = all.filter(|at| filter.takes(&cluster.host(*at).info.name));
            found.extend(fits.map(|at| (cluster, at)));
        } else {
            let named = view.hosts.iter();
            let there = named.filter_map(|name| find(cluster, name, snapshot.lower_case_hosts));
            found.extend(there.map(|at| (cluster, at)));
        }
    }
    found
}

/// The metrics by name or by expression; those that are numbers.
fn metric_names(view: &View, snapshot: &Snapshot) -> Vec<String> {
    let Some(filter) = &view.metric_filter else {
        let metric = view.metric.as_deref().unwrap_or(DEFAULT_METRIC);
        return vec![metric.to_owned()];
    };
    let mut names = BTreeSet::new();
    for cluster in clusters(view, snapshot) {
        let defs = cluster.each_def().filter(|def| def.ty().is_numeric());
        names.extend(defs.map(|def| def.name()).filter(|name| filter.takes(name)));
    }
    names.into_iter().map(str::to_owned).collect()
}

fn of_sums(view: &View, snapshot: &Snapshot, metric: &str, plan: &mut Plan) -> Figure {
    let owner = owner(view);
    let node = view.cluster.as_ref().map(|name| snapshot.node(name));
    let summary = match node {
        Some(Some(node)) => Some(node.summary()),
        Some(None) => None,
        None => Some(&*snapshot.summary),
    };
    let def = summary.and_then(|summary| summary.metric(metric));
    let unit = def.map_or_else(Unit::plain, |metric| Unit::of(&metric.def.fields().units));
    let sum = plan.ask(&owner, metric, Field::Sum);
    // A sum of percentages says nothing.
    let is_mean = view.style == Style::Average || (unit.percent && view.style != Style::Sum);
    let (label, formula) = if is_mean {
        let num = plan.ask(&owner, metric, Field::Num);
        ("mean of the hosts", Formula::Ratio(sum, num))
    } else {
        ("sum of the hosts", Formula::Plain(sum))
    };
    Figure {
        title: metric.to_owned(),
        about: def.map_or_else(String::new, |metric| about(&metric.def)),
        query: query(view, metric),
        unit,
        curves: vec![Curve {
            label: label.to_owned(),
            colour: BLUE,
            draw: Draw::Line,
            formula,
        }],
        stacked: false,
    }
}

fn about(def: &MetricDef) -> String {
    let title = def.extra("TITLE").unwrap_or_default();
    let about = def.extra("DESC").unwrap_or_default();
    match (title, about) {
        ("", about) => about.to_owned(),
        (title, "") => title.to_owned(),
        (title, about) => format!("{title}: {about}"),
    }
}

/// The parameters of this very graph.
fn query(view: &View, metric: &str) -> String {
    let dropped = [
        ("m", metric),
        ("mf", ""),
        ("r", ""),
        ("from", ""),
        ("until", ""),
        ("past", ""),
        ("tz", ""),
        ("p", ""),
        ("sort", ""),
        ("v", ""),
        ("n", ""),
        ("by", ""),
        ("q", ""),
    ];
    view.with("", &dropped).as_str()[1..].to_owned()
}

fn of_hosts(
    view: &View,
    hosts: &[Found<'_>],
    metric: &str,
    plan: &mut Plan,
    left_out: &mut Vec<String>,
) -> Option<Figure> {
    // A host that is gone may still have files.
    if let ([], [_, ..], Some(cluster)) = (hosts, &view.hosts[..], &view.cluster) {
        return Some(of_the_gone(view, cluster, metric, plan));
    }
    let all: Vec<(&MetricDef, Owner)> = hosts
        .iter()
        .filter_map(|found| having(found, metric))
        .collect();
    let (def, first) = all.first()?;
    if let ([(cluster, at)], Style::Lines) = (hosts, view.style) {
        return Some(metric_figure(cluster, &cluster.host(*at), def, first, plan));
    }
    let is_one_line = matches!(view.style, Style::Sum | Style::Average);
    let most = if is_one_line {
        plan.room()
    } else {
        MOST_LINES.min(plan.room())
    };
    if all.len() > most {
        left_out.push(format!(
            "{} hosts fit; the first {most} are shown. Filter them, or take their sum or average",
            all.len()
        ));
    }
    let unit = Unit::of(&def.fields().units);
    let many_clusters = hosts
        .iter()
        .any(|(cluster, _)| cluster.name != hosts[0].0.name);
    let series: Vec<(String, usize)> = all
        .iter()
        .take(most)
        .map(|(_, owner)| {
            (
                label(owner, many_clusters),
                plan.ask(owner, metric, Field::Sum),
            )
        })
        .collect();
    let curves = curves(view.style, series);
    Some(Figure {
        title: metric.to_owned(),
        about: about(def),
        query: query(view, metric),
        unit,
        stacked: view.style == Style::Stack,
        curves,
    })
}

/// The definition of a host's metric, if it has one.
fn having<'a>((cluster, at): &Found<'a>, metric: &str) -> Option<(&'a MetricDef, Owner)> {
    let host = cluster.host(*at);
    let metric = host.value(metric)?;
    Some((host.def(metric), host_owner(cluster, *at)))
}

fn of_the_gone(view: &View, cluster: &str, metric: &str, plan: &mut Plan) -> Figure {
    let series = view.hosts.iter().map(|host| {
        let owner = Owner::Host {
            cluster: cluster.into(),
            host: host.as_str().into(),
        };
        (host.clone(), plan.ask(&owner, metric, Field::Sum))
    });
    Figure {
        title: metric.to_owned(),
        about: "These hosts are not in the cluster now.".to_owned(),
        query: query(view, metric),
        unit: Unit::plain(),
        stacked: view.style == Style::Stack,
        curves: curves(view.style, series.collect()),
    }
}

fn curves(style: Style, series: Vec<(String, usize)>) -> Vec<Curve> {
    let one = |label: String, formula: Formula| {
        vec![Curve {
            label,
            colour: BLUE,
            draw: Draw::Line,
            formula,
        }]
    };
    let count = series.len();
    let places = || series.iter().map(|(_, at)| *at).collect();
    match style {
        Style::Sum => one(format!("sum of {count} hosts"), Formula::Sum(places())),
        Style::Average => one(format!("average of {count} hosts"), Formula::Mean(places())),
        Style::Lines | Style::Stack => series
            .into_iter()
            .enumerate()
            .map(|(at, (label, place))| Curve {
                label,
                colour: at,
                draw: if style == Style::Stack {
                    Draw::Area
                } else {
                    Draw::Line
                },
                formula: Formula::Plain(place),
            })
            .collect(),
    }
}

fn host_owner(cluster: &Cluster, at: usize) -> Owner {
    Owner::Host {
        cluster: cluster.name.clone(),
        host: cluster.host(at).info.name.clone(),
    }
}

fn label(owner: &Owner, with_cluster: bool) -> String {
    match owner {
        Owner::Host { cluster, host } if with_cluster => format!("{cluster} / {host}"),
        Owner::Host { host, .. } => host.to_string(),
        Owner::Node(node) => node.to_string(),
        Owner::Whole => String::new(),
    }
}

pub fn page(view: View, moment: &Moment) -> Reply {
    let snapshot = Arc::clone(&moment.snapshot);
    let mut plan = Plan::new(&view, LARGE.most_columns);
    let chosen = chosen(&view, &snapshot, &mut plan);
    let choices = choices(&view, &snapshot);
    ask(plan, move |history, refused| {
        let title = match &chosen.figures[..] {
            [one] => one.title.clone(),
            _ => "Compare".to_owned(),
        };
        let frame = Frame {
            view: &view,
            page: "metric",
            title: &title,
            grid: &snapshot.identity.name,
            crumbs: crumbs(&view, &title),
            has_time: true,
        };
        let mut out = frame.before();
        let (class, size) = match chosen.figures.len() {
            1 => ("one", LARGE),
            _ => ("graphs", SMALL),
        };
        html! {
            h1 { (title) }
            (choices)
            @for text in &chosen.left_out { div.box { (text) "." } }
            (notes(&history, refused.map(|it| it.to_string()).as_deref()))
            @if chosen.figures.is_empty() {
                div.box { "No host has such a metric. Change the cluster, the hosts or the metric." }
            }
            div class=(class) { (figures(&chosen.figures, &history, size, &view)) }
        }
        .render_to(&mut out);
        out.push_str(&frame.after());
        whole_page(gmetad_core::http::Status::Ok, out)
    })
}

fn crumbs(view: &View, title: &str) -> Vec<(String, Link)> {
    let tail = view.tail();
    let mut crumbs = Vec::new();
    if let Some(cluster) = &view.cluster {
        let link = Link::to("cluster").with("c", cluster);
        crumbs.push((cluster.clone(), link.with_tail(tail)));
        if let [host] = &view.hosts[..] {
            let link = Link::to("host").with("c", cluster).with("h", host);
            crumbs.push((host.clone(), link.with_tail(tail)));
        }
    }
    crumbs.push((title.to_owned(), view.with("metric", &[])));
    crumbs
}

fn choices(view: &View, snapshot: &Snapshot) -> Markup {
    let text = |filter: &Option<crate::view::Filter>| {
        filter
            .as_ref()
            .map_or_else(String::new, |filter| filter.text.clone())
    };
    let clusters = snapshot.nodes.iter().filter_map(|node| match node {
        Node::Cluster(cluster) => Some(&*cluster.name),
        Node::Grid(_) => None,
    });
    let clusters: Vec<&str> = clusters.take(500).collect();
    html! {
        form.bar action="metric" {
            @for (name, value) in view.carried(&["c", "f", "m", "mf", "style", "g", "h"]) {
                input type="hidden" name=(name) value=(value);
            }
            label { "cluster"
                select name="c" {
                    option value="" selected[view.cluster.is_none()] { "(all)" }
                    @for name in &clusters {
                        option value=(name) selected[view.cluster.as_deref() == Some(*name)] { (name) }
                    }
                }
            }
            @if !view.hosts.is_empty() {
                details {
                    summary { (view.hosts.len()) " chosen hosts" }
                    @for host in &view.hosts {
                        label { input type="checkbox" name="h" value=(host) checked; (host) }
                    }
                }
            } @else {
                label { "hosts" input type="text" name="f" value=(text(&view.host_filter))
                    placeholder="none: the sum; . for all"; }
            }
            label { "metric" input type="text" name="m" value=(view.metric.as_deref().unwrap_or_default())
                placeholder=(DEFAULT_METRIC); }
            label { "or metrics" input type="text" name="mf" value=(text(&view.metric_filter))
                placeholder="expression, as ^cpu_"; }
            label { "as"
                select name="style" {
                    @for (style, word, label) in Style::ALL {
                        option value=(word) selected[style == view.style] { (label) }
                    }
                }
            }
            button { "Show" }
        }
    }
}
