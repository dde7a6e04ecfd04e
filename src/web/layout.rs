//! What all pages have: the head, the way back, the time that is shown, a search; and graphs in frames.

use maud::{Markup, PreEscaped, Render, html};

use crate::assets::{ICON, SCRIPT, STYLE};
use crate::civil::lasting;
use crate::graph::figure::{Drawn, Values};
use crate::graph::svg::{Ground, Size, draw};
use crate::graph::{Figure, History};
use crate::link::Link;
use crate::palette::COLOURS;
use crate::range::{Past, Range, SPANS, Span};
use crate::view::View;
use gmetad_core::model::civil::Civil;

/// The frame of a page.
#[derive(Debug)]
pub struct Frame<'a> {
    pub view: &'a View,
    /// The name of the page in links.
    pub page: &'static str,
    pub title: &'a str,
    /// The name of the whole grid.
    pub grid: &'a str,
    /// Between the grid and this page.
    pub crumbs: Vec<(String, Link)>,
    /// Whether it shows a time that can be chosen.
    pub has_time: bool,
}

/// A page that shows the newest values is fetched anew so often, at least and at most.
const REFRESH_SECS: (u64, u64) = (15, 300);

impl Frame<'_> {
    /// Everything up to the content of `main`.
    pub fn before(&self) -> String {
        let every = match self.view.range.span {
            Span::Last(_) => (self.view.range.secs() / 240).clamp(REFRESH_SECS.0, REFRESH_SECS.1),
            Span::Fixed if self.has_time => 0,
            Span::Fixed => REFRESH_SECS.0,
        };
        let mut out = String::with_capacity(16 << 10);
        out.push_str("<!DOCTYPE html><html lang=\"en\"><head>");
        html! {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width,initial-scale=1";
            title { (self.title) " · " (self.grid) }
            link rel="stylesheet" href=(STYLE.name());
            link rel="icon" type="image/svg+xml" href=(ICON.name());
            script src=(SCRIPT.name()) defer {}
        }
        .render_to(&mut out);
        out.push_str("</head><body data-tz=\"");
        out.push_str(&self.view.east_minutes.to_string());
        if every > 0 {
            out.push_str("\" data-every=\"");
            out.push_str(&every.to_string());
        }
        out.push_str("\">");
        self.header().render_to(&mut out);
        out.push_str("<main id=\"main\">");
        out
    }

    /// Everything after it.
    pub fn after(&self) -> String {
        let mut out = String::from("</main>");
        html! {
            footer {
                "gmetad · times are " (zone(self.view.east_minutes)) " · "
                (moment(self.view.now, self.view))
            }
        }
        .render_to(&mut out);
        out.push_str("</body></html>\n");
        out
    }

    fn header(&self) -> Markup {
        let view = self.view;
        let tail = view.tail();
        html! {
            a.skip href="#main" { "to the content" }
            header {
                div {
                    nav.crumbs aria-label="where" {
                        a href=(Link::to("./").with_tail(tail)) { (name_or(self.grid, "grid")) }
                        @for (name, link) in &self.crumbs {
                            span { "/" }
                            a href=(link) { (name_or(name, "(no name)")) }
                        }
                    }
                    form action="search" role="search" {
                        @for (name, value) in view.carried_time() {
                            input type="hidden" name=(name) value=(value);
                        }
                        input type="search" name="q" value=(view.search) aria-label="search"
                            placeholder="host, cluster, metric";
                        button { "Search" }
                    }
                    nav aria-label="more" {
                        a href=(Link::to("metric").with_tail(tail)) { "Compare" }
                        "·"
                        a href=(Link::to("status").with_tail(tail)) { "Status" }
                    }
                }
                @if self.has_time { (self.time()) }
            }
        }
    }

    fn time(&self) -> Markup {
        let view = self.view;
        let (range, east) = (&view.range, view.east_minutes);
        let minute = |at: u64| Civil::of(at as i64, east).iso_minute();
        let moved = |range: &Range| {
            let (from, until) = (range.from.to_string(), range.until.to_string());
            view.with(self.page, &[("r", ""), ("from", &from), ("until", &until)])
        };
        html! {
            div.time {
                nav.pick aria-label="time" {
                    @for (index, (word, label, _)) in SPANS.iter().enumerate() {
                        @let current = range.span == Span::Last(index);
                        a href=(view.with(self.page, &[("r", *word), ("from", ""), ("until", "")]))
                            aria-current=[current.then_some("true")] { (label) }
                    }
                }
                nav.pick aria-label="move" {
                    a href=(moved(&range.earlier(range.secs()))) title="earlier" { "◀" }
                    a href=(moved(&range.wider(view.now))) title="twice as long" { "−" }
                    @if range.until < view.now {
                        @let step = range.secs().min(view.now - range.until);
                        a href=(moved(&Range::fixed(range.from + step, range.until + step)))
                            title="later" { "▶" }
                    }
                }
                details.when {
                    summary title="another time" { (moment(range.from, view)) " – " (until(view)) }
                    form action=(self.page) {
                        @for (name, value) in view.carried(&["r", "from", "until", "p"]) {
                            input type="hidden" name=(name) value=(value);
                        }
                        label { "from" input type="datetime-local" name="from" value=(minute(range.from)); }
                        label { "to" input type="datetime-local" name="until" value=(minute(range.until)); }
                        button { "Show" }
                    }
                }
                span.pick role="group" aria-label="laid under it" {
                    @for (past, word, label) in Past::ALL {
                        @let current = past == view.past;
                        a href=(view.with(self.page, &[("past", word)]))
                            aria-current=[current.then_some("true")]
                            title=[(past == Past::None).then_some("nothing laid under the graphs")] {
                            (if past == Past::None { "now only" } else { label })
                        }
                    }
                }
            }
        }
    }
}

/// How the page is shown where a name is empty.
pub fn name_or<'a>(name: &'a str, else_text: &'a str) -> &'a str {
    if name.trim().is_empty() {
        else_text
    } else {
        name
    }
}

fn zone(east_minutes: i32) -> String {
    if east_minutes == 0 {
        return "UTC".to_owned();
    }
    let size = east_minutes.unsigned_abs();
    let sign = if east_minutes < 0 { '−' } else { '+' };
    format!("UTC{sign}{:02}:{:02}", size / 60, size % 60)
}

/// For `datetime` attributes.
pub fn utc(epoch: u64) -> String {
    let civil = Civil::of(epoch as i64, 0);
    format!("{}:{:02}Z", civil.iso_minute(), civil.second % 60)
}

/// A time as the viewer has it.
pub fn moment(epoch: u64, view: &View) -> Markup {
    html! {
        time datetime=(utc(epoch)) { (Civil::of(epoch as i64, view.east_minutes).text()) }
    }
}

/// The end of the time that is shown; without its day if it began on the same.
fn until(view: &View) -> Markup {
    let civil = |at: u64| Civil::of(at as i64, view.east_minutes);
    let (from, until) = (civil(view.range.from), civil(view.range.until));
    if (from.year, from.month, from.day) == (until.year, until.month, until.day) {
        html! {
            time datetime=(utc(view.range.until)) {
                (format!("{:02}:{:02}", until.hour(), until.minute()))
            }
        }
    } else {
        moment(view.range.until, view)
    }
}

/// What is said above graphs: that there are no files, or that the archives are coarse.
pub fn notes(history: &History, note: Option<&str>) -> Markup {
    html! {
        @if let Some(note) = note {
            div.box.err role="alert" { "No graphs: " (note) "." }
        }
        @if let Some(secs) = history.coarse_secs() {
            div.box {
                "For this time the files keep one value for every " (lasting(secs.into()))
                ", which is coarser than the graphs could show."
            }
        }
    }
}

/// Appends a graph in its frame: title, links, the graph, its legend.
pub fn figure(out: &mut String, figure: &Figure, history: &History, size: Size, view: &View) {
    let values = figure.values(history, size.most_columns);
    let tail = view.tail();
    let to = |page: &str| format!("{page}?{}{tail}", figure.query);
    out.push_str("<figure>");
    html! {
        figcaption {
            a href=(to("metric")) { (name_or(&figure.title, "(no name)")) }
            @if !figure.unit.text.is_empty() { small { (figure.unit.text) } }
            span.x {
                a href=(to("graph.svg")) { "SVG" } " "
                a href=(to("graph.csv")) { "CSV" } " "
                a href=(to("graph.json")) data-json { "JSON" }
            }
        }
        @if !figure.about.is_empty() { p.about { (figure.about) } }
    }
    .render_to(out);
    draw(
        out,
        figure,
        &values,
        history,
        size,
        Ground::Page,
        view.east_minutes,
    );
    html! {
        table.lg {
            thead { tr { th {} th { "now" } th { "min" } th { "avg" } th { "max" } } }
            tbody {
                @for drawn in in_order(&values, figure.stacked) {
                    tr {
                        td title=(drawn.curve.label) {
                            i class={ "k c" (drawn.curve.colour % COLOURS) } {} (drawn.curve.label)
                        }
                        @for value in [
                            drawn.extent.last, drawn.extent.least, drawn.extent.mean, drawn.extent.most,
                        ] {
                            td { (figure.unit.bare(value)) }
                        }
                    }
                }
            }
        }
    }
    .render_to(out);
    out.push_str("</figure>");
}

/// The curves as they lie: those of a stack from its top. Those of which nothing is known are left
/// out, unless that is all.
fn in_order<'a, 'b>(values: &'b Values<'a>, stacked: bool) -> Vec<&'b Drawn<'a>> {
    let mut all: Vec<_> = values.curves.iter().collect();
    if all.iter().any(|drawn| !drawn.extent.last.is_nan()) {
        all.retain(|drawn| !drawn.extent.last.is_nan());
    }
    if stacked {
        all.reverse();
    }
    all
}

/// The same as markup, for a few graphs in a page.
pub fn figures<'a>(
    all: impl IntoIterator<Item = &'a Figure>,
    history: &History,
    size: Size,
    view: &View,
) -> Markup {
    let mut out = String::with_capacity(32 << 10);
    for each in all {
        figure(&mut out, each, history, size, view);
    }
    PreEscaped(out)
}

/// Links to the other pages of a list.
pub fn pager(view: &View, page: &'static str, count: usize, what: &str) -> Markup {
    let part = view.part(count);
    let pages = count.div_ceil(view.per_page);
    let current = part.start / view.per_page;
    let number = |at: usize| (at + 1).to_string();
    html! {
        @if pages > 1 {
            nav.bar aria-label="pages" {
                span.soft { (part.start + 1) "–" (part.end) " of " (count) " " (what) }
                span.pick {
                    @if current > 0 {
                        a href=(view.with(page, &[("p", &number(current - 1))])) rel="prev" { "previous" }
                    }
                    @for at in near(current, pages) {
                        a href=(view.with(page, &[("p", &number(at))]))
                            aria-current=[(at == current).then_some("page")] { (at + 1) }
                    }
                    @if current + 1 < pages {
                        a href=(view.with(page, &[("p", &number(current + 1))])) rel="next" { "next" }
                    }
                }
            }
        }
    }
}

/// The first, the last, and those around the current one.
fn near(current: usize, pages: usize) -> Vec<usize> {
    (0..pages)
        .filter(|at| *at == 0 || *at + 1 == pages || at.abs_diff(current) <= 3)
        .collect()
}
