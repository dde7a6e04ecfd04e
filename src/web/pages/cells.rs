//! Hosts as cells, coloured by load per CPU or another metric: one glance at all of them.

use gmetad_core::model::{Cluster, sorted};
use maud::{Markup, PreEscaped, html};

use crate::facts::{Facts, rack};
use crate::graph::path::{push_int, push_pair};
use crate::graph::svg::escape;
use crate::link::Link;
use crate::palette::{CELLS, DOWN, NO_LEVEL, level_between, load_level};
use crate::unit::Unit;
use crate::view::View;

/// Up to so many hosts have cells that are links; more are drawn as one picture.
const MOST_LINKS: usize = 400;

/// A host in the order of the page.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// The index in the cluster's hosts.
    pub host: usize,
    pub facts: Facts,
}

/// What colours the cells.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    LoadPerCpu,
    /// A metric, between the least and the most of all hosts.
    Metric {
        name: &'a str,
        unit: &'a Unit,
        least: f64,
        most: f64,
    },
}

impl By<'_> {
    fn value(&self, facts: &Facts) -> f64 {
        match self {
            By::LoadPerCpu => facts.load_per_cpu(),
            By::Metric { .. } => facts.chosen,
        }
    }

    fn level(&self, is_up: bool, facts: &Facts) -> usize {
        match self {
            _ if !is_up => DOWN,
            By::LoadPerCpu => load_level(self.value(facts)),
            By::Metric { least, most, .. } => level_between(self.value(facts), *least, *most),
        }
    }

    fn said(&self, facts: &Facts) -> String {
        match self {
            By::LoadPerCpu => {
                let load = super::grid::percent(facts.load_per_cpu() * 100.0);
                format!("load per CPU {load}")
            }
            By::Metric { name, unit, .. } => {
                format!("{name} {}", unit.show(facts.chosen * unit.factor))
            }
        }
    }
}

/// The cells of all hosts, with their key.
pub fn cells(view: &View, cluster: &Cluster, all: &[Cell], by: By<'_>) -> Markup {
    html! {
        @if view.by_rack {
            (racks(view, cluster, all, by))
        } @else if all.len() <= MOST_LINKS {
            (linked(view, cluster, all.iter(), by))
        } @else {
            (map(view, cluster, all, by))
        }
        (key(by))
    }
}

fn linked<'a>(
    view: &View,
    cluster: &Cluster,
    all: impl Iterator<Item = &'a Cell>,
    by: By<'_>,
) -> Markup {
    let tail = view.tail();
    html! {
        div.cells {
            @for cell in all {
                @let host = cluster.host(cell.host);
                @let link = Link::to("host").with("c", &cluster.name).with("h", &host.info.name);
                @let said = if host.up { by.said(&cell.facts) } else { "down".to_owned() };
                a class=(CELLS[by.level(host.up, &cell.facts)]) href=(link.with_tail(tail))
                    title={ (host.info.name) ": " (said) }
                    aria-label={ (host.info.name) ": " (said) } {}
            }
        }
    }
}

fn racks(view: &View, cluster: &Cluster, all: &[Cell], by: By<'_>) -> Markup {
    let named: Vec<(&str, &Cell)> = all
        .iter()
        .take(view.per_page.max(MOST_LINKS * 5))
        .map(|cell| {
            (
                rack(cluster.host(cell.host).as_host()).unwrap_or_default(),
                cell,
            )
        })
        .collect();
    // Stable: within a rack the order stays. Numbers are in their order, not in that of digits.
    let named = sorted(named, |(one, _), (other, _)| {
        let number = |rack: &str| rack.parse::<u64>().unwrap_or(u64::MAX);
        number(one).cmp(&number(other)).then_with(|| one.cmp(other))
    });
    html! {
        div {
            @for rack in named.chunk_by(|one, other| one.0 == other.0) {
                div.rack {
                    strong {
                        @if rack[0].0.is_empty() { "no LOCATION" } @else { "rack " (rack[0].0) }
                    }
                    " " small.soft { (rack.len()) }
                    (linked(view, cluster, rack.iter().map(|(_, cell)| *cell), by))
                }
            }
        }
    }
}

/// A page of the table is a block of cells; so many of them stand side by side.
const BLOCKS: usize = 10;
const BLOCK_COLUMNS: usize = 20;

/// The size of a cell, with its gap and without, and the gap between blocks; in units of the picture.
const PITCH: i32 = 12;
const CELL: i32 = 10;
const GAP: i32 = 8;

/// Thousands of hosts: a picture, each page of the table a link in it.
fn map(view: &View, cluster: &Cluster, all: &[Cell], by: By<'_>) -> Markup {
    let block_width = BLOCK_COLUMNS as i32 * PITCH + GAP;
    let block_height = view.per_page.div_ceil(BLOCK_COLUMNS) as i32 * PITCH + GAP;
    let blocks = all.len().div_ceil(view.per_page);
    let mut out = String::with_capacity(all.len() * 9);
    out.push_str("<svg class=\"map\" viewBox=\"0 0 ");
    push_pair(
        &mut out,
        BLOCKS as i32 * block_width,
        blocks.div_ceil(BLOCKS) as i32 * block_height,
    );
    out.push_str("\">");
    for (page, hosts) in all.chunks(view.per_page).enumerate() {
        let left = (page % BLOCKS) as i32 * block_width;
        let top = (page / BLOCKS) as i32 * block_height;
        let number = (page + 1).to_string();
        let link = view.with("cluster", &[("p", &number)]);
        out.push_str("<a href=\"");
        escape(&mut out, link.as_str());
        out.push_str("#hosts\"><title>");
        told(&mut out, cluster, hosts);
        out.push_str("</title><rect width=\"");
        push_int(&mut out, block_width - GAP);
        out.push_str("\" height=\"");
        push_int(&mut out, block_height - GAP);
        out.push_str("\" x=\"");
        push_int(&mut out, left);
        out.push_str("\" y=\"");
        push_int(&mut out, top);
        out.push_str("\"/>");
        block(&mut out, cluster, hosts, by, (left, top));
        out.push_str("</a>");
    }
    out.push_str("</svg>");
    PreEscaped(out)
}

/// Which hosts a block has, in words.
fn told(out: &mut String, cluster: &Cluster, hosts: &[Cell]) {
    let name = |cell: &Cell| &*cluster.host(cell.host).as_host().info.name;
    let down = hosts.iter().filter(|cell| !cluster.host(cell.host).up);
    escape(out, name(&hosts[0]));
    out.push_str(" … ");
    escape(out, name(&hosts[hosts.len() - 1]));
    out.push_str(": ");
    push_int(out, hosts.len() as i32);
    out.push_str(" hosts, ");
    push_int(out, down.count() as i32);
    out.push_str(" down");
}

/// A path for each colour, of a dash for each cell.
fn block(out: &mut String, cluster: &Cluster, hosts: &[Cell], by: By<'_>, corner: (i32, i32)) {
    let mut paths: [String; CELLS.len()] = Default::default();
    let mut ends = [(0, 0); CELLS.len()];
    for (at, cell) in hosts.iter().enumerate() {
        let level = by.level(cluster.host(cell.host).up, &cell.facts);
        let x = corner.0 + (at % BLOCK_COLUMNS) as i32 * PITCH;
        let y = corner.1 + (at / BLOCK_COLUMNS) as i32 * PITCH + PITCH / 2;
        let path = &mut paths[level];
        if path.is_empty() {
            path.push('M');
            push_pair(path, x, y);
        } else {
            path.push('m');
            push_pair(path, x - ends[level].0, y - ends[level].1);
        }
        path.push('h');
        push_int(path, CELL);
        ends[level] = (x + CELL, y);
    }
    for (class, path) in CELLS.iter().zip(&paths) {
        if !path.is_empty() {
            out.push_str("<path class=\"");
            out.push_str(class);
            out.push_str("\" d=\"");
            out.push_str(path);
            out.push_str("\"/>");
        }
    }
}

fn key(by: By<'_>) -> Markup {
    let labels: [String; 5] = match by {
        By::LoadPerCpu => [
            "below 25 %",
            "25–50 %",
            "50–75 %",
            "75–100 %",
            "above 100 %",
        ]
        .map(str::to_owned),
        By::Metric {
            unit, least, most, ..
        } => {
            let part = |at: usize| {
                let value = least + (most - least) * at as f64 / 5.0;
                unit.show(value * unit.factor)
            };
            [0, 1, 2, 3, 4].map(|at| format!("from {}", part(at)))
        }
    };
    html! {
        div.key {
            span {
                @match by { By::LoadPerCpu => "load per CPU:", By::Metric { name, .. } => { (name) ":" } }
            }
            @for (level, label) in labels.iter().enumerate() {
                span { i class=(CELLS[level]) {} (label) }
            }
            span { i class=(CELLS[DOWN]) {} "down" }
            span { i class=(CELLS[NO_LEVEL]) {} "no value" }
        }
    }
}
