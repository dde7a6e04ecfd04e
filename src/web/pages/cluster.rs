//! A cluster: its reports, its hosts as cells, then as a table or as small graphs of one metric.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use gmetad_core::history::{Field, Owner};
use gmetad_core::http::{HttpAnswer, Moment, Reply, Status};
use gmetad_core::model::{self, Cluster, Host, Node, Now, Snapshot, Summary, sorted};
use maud::{Markup, Render, html};

use super::cells::{By, Cell, cells};
use super::grid::{common, is_web, percent};
use crate::answer::{Pieces, ask, fault, page as whole_page};
use crate::civil::lasting;
use crate::facts::{Facts, Lookup, rack};
use crate::graph::spark::{CARD, ROW, Spark};
use crate::graph::svg::SMALL;
use crate::graph::{Grid, History, Plan};
use crate::layout::{Frame, figures, name_or, notes, pager};
use crate::link::Link;
use crate::palette::{CELLS, load_level};
use crate::reports::Report;
use crate::unit::Unit;
use crate::view::{Listing, Sort, View};

/// The metric that is shown where none is chosen.
pub const DEFAULT_METRIC: &str = "load_one";

/// Most metrics to choose from in a list; above that their names are written.
const MOST_CHOICES: usize = 500;

/// The cluster of that name, or the page that says there is none.
pub fn named(view: &View, snapshot: &Snapshot) -> Result<Arc<Cluster>, Box<HttpAnswer>> {
    let name = view.cluster.as_deref().unwrap_or_default();
    match snapshot.node(name) {
        Some(Node::Cluster(cluster)) => Ok(Arc::clone(cluster)),
        _ => Err(Box::new(fault(
            Status::NotFound,
            "No such cluster",
            &format!("No source has brought a cluster {name:?}."),
        ))),
    }
}

/// A cluster's hosts in the order of the page, and what the page knows of them.
struct Listed {
    cells: Vec<Cell>,
    metric: String,
    unit: Unit,
    is_numeric: bool,
    now: Now,
}

impl Listed {
    fn new(view: &View, cluster: &Cluster, now: Now) -> Listed {
        let metric = view.metric.as_deref().unwrap_or(DEFAULT_METRIC);
        let lookup = Lookup::new(cluster, metric);
        let fits = |host: &Host| {
            let filter = view.host_filter.as_ref();
            filter.is_none_or(|filter| filter.takes(&host.info.name))
        };
        let cells: Vec<Cell> = cluster
            .places_by_name()
            .filter(|at| fits(&cluster.host(*at)))
            .map(|host| Cell {
                host,
                facts: lookup.facts(cluster.host(host), now),
            })
            .collect();
        let cells = in_order(cells, cluster, view.sort);
        let def = cluster.each_def().find(|def| def.name() == metric);
        Listed {
            cells,
            unit: def.map_or_else(Unit::plain, |def| Unit::of(&def.fields().units)),
            is_numeric: def.is_none_or(|def| def.ty().is_numeric()),
            metric: metric.to_owned(),
            now,
        }
    }

    /// What colours the cells: a metric only if one was chosen.
    fn by(&self, view: &View) -> By<'_> {
        if view.metric.is_none() {
            return By::LoadPerCpu;
        }
        let known = self.cells.iter().map(|cell| cell.facts.chosen);
        By::Metric {
            name: &self.metric,
            unit: &self.unit,
            least: known.clone().fold(f64::NAN, f64::min),
            most: known.fold(f64::NAN, f64::max),
        }
    }
}

/// Hosts that are down first; else as asked for. They come in the order of names, which ties keep.
fn in_order(cells: Vec<Cell>, cluster: &Cluster, by: Sort) -> Vec<Cell> {
    // Least first; what is unknown comes last.
    let key = |facts: &Facts| match by {
        Sort::Name => 0.0,
        Sort::Load => -facts.load_per_cpu(),
        Sort::Cpu => -facts.cpu_in_use(),
        Sort::Memory => -facts.memory_percent(),
        Sort::Value => -facts.chosen,
        Sort::Least => facts.chosen,
    };
    let known = |value: f64| if value.is_nan() { f64::INFINITY } else { value };
    sorted(cells, |one, other| {
        let up = |cell: &Cell| cluster.host(cell.host).up;
        up(one)
            .cmp(&up(other))
            .then_with(|| known(key(&one.facts)).total_cmp(&known(key(&other.facts))))
    })
}

pub fn page(view: View, moment: &Moment) -> Reply {
    let snapshot = Arc::clone(&moment.snapshot);
    let name = view.cluster.as_deref().unwrap_or_default();
    if let Some(Node::Grid(grid)) = snapshot.node(name) {
        let grid = Arc::clone(grid);
        return below(view, snapshot, grid);
    }
    let cluster = match named(&view, &snapshot) {
        Ok(cluster) => cluster,
        Err(answer) => return Reply::Ready(*answer),
    };
    let listed = Listed::new(&view, &cluster, moment.now);
    let mut plan = Plan::new(&view, SMALL.most_columns);
    let owner = Owner::Node(cluster.name.clone());
    let reports = Report::ALL.map(|report| report.figure(&owner, &mut plan));
    let spark = match view.listing {
        Listing::Table => ROW,
        Listing::Graphs => CARD,
    };
    plan.coarser(spark.columns());
    let mut part = view.part(listed.cells.len());
    part.end = part.end.min(part.start + plan.room());
    let first = plan.len();
    if listed.is_numeric {
        for cell in &listed.cells[part.clone()] {
            let owner = Owner::Host {
                cluster: cluster.name.clone(),
                host: cluster.host(cell.host).info.name.clone(),
            };
            plan.ask(&owner, &listed.metric, Field::Sum);
        }
    }
    ask(plan, move |history, refused| {
        let frame = Frame {
            view: &view,
            page: "cluster",
            title: &cluster.name,
            grid: &snapshot.identity.name,
            crumbs: vec![(
                cluster.name.to_string(),
                Link::to("cluster")
                    .with("c", &cluster.name)
                    .with_tail(view.tail()),
            )],
            has_time: true,
        };
        let mut out = frame.before();
        html! {
            (top(&cluster, &listed))
            (notes(&history, refused.map(|it| it.to_string()).as_deref()))
            div.graphs.four { (figures(&reports, &history, SMALL, &view)) }
            h2 id="hosts" { "Hosts " small {
                (listed.cells.len())
                @if listed.cells.len() != cluster.host_count() { " of " (cluster.host_count()) }
            } }
            (choices(&view, &cluster, &listed))
            (cells(&view, &cluster, &listed.cells, listed.by(&view)))
            (pager(&view, "cluster", listed.cells.len(), "hosts"))
        }
        .render_to(&mut out);
        let end = frame.after();
        let list = List {
            view,
            cluster,
            listed,
            history,
            part,
            first,
            spark,
        };
        list.answer(out, &end)
    })
}

/// A grid below, of which only the sums are known.
fn below(view: View, snapshot: Arc<Snapshot>, grid: Arc<model::Grid>) -> Reply {
    let mut plan = Plan::new(&view, SMALL.most_columns);
    let owner = Owner::Node(grid.name.clone());
    let reports = Report::ALL.map(|report| report.figure(&owner, &mut plan));
    ask(plan, move |history, refused| {
        let link = Link::to("cluster").with("c", &grid.name);
        let frame = Frame {
            view: &view,
            page: "cluster",
            title: &grid.name,
            grid: &snapshot.identity.name,
            crumbs: vec![(grid.name.to_string(), link.with_tail(view.tail()))],
            has_time: true,
        };
        let mut out = frame.before();
        html! {
            h1 { (name_or(&grid.name, "(no name)")) " " small { "a grid below" } }
            (sums(&grid.summary))
            p.soft {
                "Its hosts are known to its own gmetad"
                @if is_web(&grid.authority) { ": " a href=(grid.authority) { (grid.authority) } }
                "."
            }
            (notes(&history, refused.map(|it| it.to_string()).as_deref()))
            div.graphs.four { (figures(&reports, &history, SMALL, &view)) }
        }
        .render_to(&mut out);
        out.push_str(&frame.after());
        whole_page(Status::Ok, out)
    })
}

/// Hosts up and down, and what they have together.
pub fn sums(summary: &Summary) -> Markup {
    html! {
        dl.sum {
            div { dt { "hosts up" } dd { (summary.hosts_up) } }
            div { dt { "hosts down" } dd class=[(summary.hosts_down > 0).then_some("bad")] {
                (summary.hosts_down) } }
            (common(&Facts::of_summary(summary)))
        }
    }
}

/// The list of hosts, written host by host.
struct List {
    view: View,
    cluster: Arc<Cluster>,
    listed: Listed,
    history: History,
    /// Which hosts of the list are on this page.
    part: Range<usize>,
    /// Where the series of the first of them stands in the answer.
    first: usize,
    spark: Spark,
}

impl List {
    fn answer(self, mut out: String, end: &str) -> HttpAnswer {
        let count = self.part.len();
        let row_secs = (self.first..self.first + count)
            .filter_map(|at| self.history.series(at))
            .map(|series| series.step)
            .max();
        let grid = Grid::new(
            self.history.range(),
            row_secs.unwrap_or(1).into(),
            self.spark.columns(),
        );
        let after = match self.view.listing {
            Listing::Table => {
                table_head(&mut out, &self.view, &self.cluster, &self.listed);
                "</tbody></table></div></form>"
            }
            Listing::Graphs => {
                out.push_str("<div class=\"cards\">");
                "</div>"
            }
        };
        let end = [after, end].concat();
        let mut at = 0;
        let next = move |out: &mut String| {
            if at < count {
                self.host(out, at, &grid);
                at += 1;
                return true;
            }
            false
        };
        Pieces::new(out, next, end).answer()
    }

    fn host(&self, out: &mut String, at: usize, grid: &Grid) {
        let cell = &self.listed.cells[self.part.start + at];
        let series = self.history.series(self.first + at);
        let draw = |out: &mut String| self.spark.draw(out, grid, series, None);
        match self.view.listing {
            Listing::Table => row(out, &self.view, &self.cluster, &self.listed, cell, draw),
            Listing::Graphs => card(out, &self.view, &self.cluster, &self.listed, cell, draw),
        }
    }
}

fn top(cluster: &Cluster, listed: &Listed) -> Markup {
    html! {
        h1 { (name_or(&cluster.name, "(no name)")) }
        (sums(&cluster.summary))
        p.soft {
            @if !cluster.owner.is_empty() && &*cluster.owner != "unspecified" {
                "Owner " (cluster.owner) " · "
            }
            @if is_web(&cluster.url) { a href=(cluster.url) { (cluster.url) } " · " }
            "heard " (lasting(listed.now.mono.secs_since(cluster.received).into())) " ago"
            @if let Some(ahead) = clock_ahead(cluster, listed.now) {
                " · " span.bad {
                    "its clock is " (lasting(ahead.unsigned_abs()))
                    @if ahead > 0 { " ahead" } @else { " behind" }
                }
            }
        }
    }
}

/// Seconds that a cluster's clock is ahead of ours, if that is worth a word.
fn clock_ahead(cluster: &Cluster, now: Now) -> Option<i64> {
    let age = i64::from(now.mono.secs_since(cluster.received));
    let ahead = cluster.localtime.saturating_sub(now.epoch - age);
    (cluster.localtime > 0 && ahead.abs() > 60).then_some(ahead)
}

/// The names of the metrics that can be shown.
fn metrics(cluster: &Cluster) -> BTreeSet<&str> {
    let defs = cluster.each_def().filter(|def| def.ty().is_numeric());
    // Collecting them would bring a sort of 7 KB for this alone.
    let mut names = BTreeSet::new();
    names.extend(defs.map(|def| def.name()));
    names
}

fn choices(view: &View, cluster: &Cluster, listed: &Listed) -> Markup {
    let metrics = metrics(cluster);
    let filter = view.host_filter.as_ref().map_or("", |filter| &filter.text);
    let has_racks = cluster.all_hosts().any(|host| rack(&host).is_some());
    html! {
        div.bar {
            form action="cluster" {
                @for (name, value) in view.carried(&["m", "f", "sort", "p"]) {
                    input type="hidden" name=(name) value=(value);
                }
                label { "metric"
                    @if metrics.len() <= MOST_CHOICES {
                        select name="m" data-go {
                            option value="" selected[view.metric.is_none()] { "(load per CPU)" }
                            @for name in &metrics {
                                option value=(name) selected[view.metric.as_deref() == Some(*name)] {
                                    (name) }
                            }
                        }
                    } @else {
                        input type="text" name="m" value=(view.metric.as_deref().unwrap_or_default());
                    }
                }
                label { "sort by"
                    select name="sort" data-go {
                        @for (sort, word, label) in Sort::ALL {
                            option value=(word) selected[sort == view.sort] { (label) }
                        }
                    }
                }
                label { "hosts" input type="text" name="f" value=(filter)
                    placeholder="expression, as node-1[0-9]"; }
                button { "Show" }
            }
            nav.pick aria-label="listing" {
                @for (listing, word, label) in [
                    (Listing::Table, "", "table"), (Listing::Graphs, "graphs", "graphs"),
                ] {
                    a href={ (view.with("cluster", &[("v", word)])) "#hosts" }
                        aria-current=[(listing == view.listing).then_some("true")] { (label) }
                }
            }
            nav.pick aria-label="more" {
                a href={ (view.with("cluster", &[("sort", "value"), ("n", "10"), ("p", ""),
                    ("v", "graphs")])) "#hosts" } { "top 10" }
                @if listed.cells.len() > view.per_page && view.per_page < crate::view::MAX_PER_PAGE {
                    a href={ (view.with("cluster", &[("n", "1000"), ("p", "")])) "#hosts" } {
                        @if listed.cells.len() > crate::view::MAX_PER_PAGE { "1000 a page" }
                        @else { "all on one page" }
                    }
                }
                @if view.per_page != crate::view::PER_PAGE {
                    a href={ (view.with("cluster", &[("n", ""), ("p", "")])) "#hosts" } { "100 a page" }
                }
                @if has_racks {
                    @if view.by_rack {
                        a href={ (view.with("cluster", &[("by", "")])) "#hosts" } { "one field" }
                    } @else {
                        a href={ (view.with("cluster", &[("by", "rack")])) "#hosts" } { "by rack" }
                    }
                }
                a href=(view.with("metric", &[("m", &listed.metric), ("sort", ""), ("p", ""), ("v", ""),
                    ("n", ""), ("by", ""), ("f", if filter.is_empty() { "." } else { filter })])) {
                    "in one graph" }
            }
        }
    }
}

fn table_head(out: &mut String, view: &View, cluster: &Cluster, listed: &Listed) {
    out.push_str("<form class=\"listing\" action=\"metric\">");
    let column = |sort: Sort, label: &str| {
        let word = Sort::ALL.iter().find(|(known, ..)| *known == sort);
        let word = word.map_or("", |(_, word, _)| *word);
        html! {
            th aria-sort=[(view.sort == sort).then_some("descending")] {
                a href={ (view.with("cluster", &[("sort", word), ("p", "")])) "#hosts" } { (label) }
                @if view.sort == sort { " ▾" }
            }
        }
    };
    html! {
        @for (name, value) in view.carried_time() {
            input type="hidden" name=(name) value=(value);
        }
        input type="hidden" name="c" value=(cluster.name);
        input type="hidden" name="m" value=(listed.metric);
    }
    .render_to(out);
    out.push_str("<div class=\"wide\"><table>");
    html! {
        thead { tr {
            th.t { a href={ (view.with("cluster", &[("sort", ""), ("p", "")])) "#hosts" } { "host" } }
            (column(Sort::Load, "load/CPU"))
            (column(Sort::Cpu, "CPU"))
            (column(Sort::Memory, "memory"))
            th.opt { "in" } th.opt { "out" }
            (column(Sort::Value, &listed.metric))
            th.t { (view.span_word().unwrap_or("this time")) }
            th { button title="the chosen hosts in one graph" { "Compare" } }
        } }
    }
    .render_to(out);
    out.push_str("<tbody>");
}

fn host_link(view: &View, cluster: &Cluster, host: &Host) -> Link {
    let link = Link::to("host").with("c", &cluster.name);
    link.with("h", &host.info.name).with_tail(view.tail())
}

fn metric_link(view: &View, cluster: &Cluster, host: &Host, metric: &str) -> Link {
    let link = Link::to("metric").with("c", &cluster.name);
    let link = link.with("h", &host.info.name).with("m", metric);
    link.with_tail(view.tail())
}

fn row(
    out: &mut String,
    view: &View,
    cluster: &Cluster,
    listed: &Listed,
    cell: &Cell,
    draw: impl FnOnce(&mut String),
) {
    let host = &cluster.host(cell.host);
    let facts = &cell.facts;
    let rate = Unit::of("bytes/sec");
    out.push_str(if host.up {
        "<tr>"
    } else {
        "<tr class=\"down\">"
    });
    html! {
        td.n {
            a href=(host_link(view, cluster, host)) { (name_or(&host.info.name, "(no name)")) }
            @if !host.up { " " span.bad { "down" } " " small.soft {
                "for " (lasting(host.live_tn(listed.now.mono).into())) } }
        }
        td { i class={ "k " (CELLS[load_level(facts.load_per_cpu())]) } {}
            (percent(facts.load_per_cpu() * 100.0)) }
        td { (percent(facts.cpu_in_use())) }
        td { (percent(facts.memory_percent())) }
        td.opt { (rate.show(facts.bytes_in())) }
        td.opt { (rate.show(facts.bytes_out())) }
        td { (listed.unit.show(facts.chosen * listed.unit.factor)) }
    }
    .render_to(out);
    out.push_str("<td class=\"t\"><a href=\"");
    let link = metric_link(view, cluster, host, &listed.metric);
    crate::graph::svg::escape(out, link.as_str());
    out.push_str("\">");
    draw(out);
    out.push_str("</a></td>");
    html! {
        td { input type="checkbox" name="h" value=(host.info.name)
            aria-label={ "compare " (host.info.name) }; }
    }
    .render_to(out);
    out.push_str("</tr>");
}

fn card(
    out: &mut String,
    view: &View,
    cluster: &Cluster,
    listed: &Listed,
    cell: &Cell,
    draw: impl FnOnce(&mut String),
) {
    let host = &cluster.host(cell.host);
    let link = metric_link(view, cluster, host, &listed.metric);
    out.push_str(if host.up {
        "<a href=\""
    } else {
        "<a class=\"down\" href=\""
    });
    crate::graph::svg::escape(out, link.as_str());
    out.push_str("\">");
    html! {
        span {
            b title=(host.info.name) { (name_or(&host.info.name, "(no name)")) }
            i class=[(!host.up).then_some("bad")] {
                @if host.up { (listed.unit.show(cell.facts.chosen * listed.unit.factor)) }
                @else { "down" }
            }
        }
    }
    .render_to(out);
    draw(out);
    out.push_str("</a>");
}
