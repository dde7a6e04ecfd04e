//! The daemon for people: what is wrong, its sources, plugins, exports, files, queue, clients.

use gmetad_core::http::{HttpAnswer, PageContext, Status};
use gmetad_core::model::sorted;
use gmetad_core::status::{PluginStatus, Report, SourceState, SourceStatus, faults};
use maud::{Markup, Render, html};

use crate::answer::page as whole_page;
use crate::civil::lasting;
use crate::layout::{Frame, moment, name_or};
use crate::unit::{Unit, count};
use crate::view::View;

pub fn page(view: &View, context: &mut PageContext<'_>) -> HttpAnswer {
    let report = (context.report)();
    let frame = Frame {
        view,
        page: "status",
        title: "Status",
        grid: &context.moment.snapshot.identity.name,
        crumbs: vec![("Status".to_owned(), view.with("status", &[]))],
        has_time: false,
    };
    let mut out = frame.before();
    html! {
        h1 { "Status of gmetad " (report.version) " on " (report.host) }
        (health(&report))
        (figures(view, &report))
        h2 { "Sources " small { (report.sources.len()) } }
        (sources(view, &report))
        h2 { "Plugins and exports " small { (report.plugins.len()) } }
        (plugins(view, &report))
        h2 { "Round-robin files" }
        (files(&report))
        h2 { "Clients" }
        (clients(&report))
    }
    .render_to(&mut out);
    out.push_str(&frame.after());
    whole_page(Status::Ok, out)
}

fn health(report: &Report) -> Markup {
    let faults = faults(report);
    let down = report.sources.iter();
    let down = down
        .filter(|source| source.state == SourceState::Down)
        .count();
    html! {
        @if down > 0 {
            div.box.err role="alert" { (down) " of " (report.sources.len()) " sources: no answer" }
        }
        @if faults.is_empty() {
            p.ok { "Nothing is wrong with this gmetad itself." }
        } @else {
            div.box.err role="alert" { ul { @for fault in &faults { li { (fault) } } } }
        }
    }
}

/// A name and its value, as a small heading with a figure.
fn figure(name: &str, value: impl Render) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn number(value: impl TryInto<u64>) -> String {
    count(value.try_into().unwrap_or(u64::MAX))
}

fn bytes(value: u64) -> String {
    Unit::of("bytes").show(value as f64)
}

fn figures(view: &View, report: &Report) -> Markup {
    let store = &report.store;
    html! {
        dl.sum {
            (figure("running for", lasting(report.uptime.as_secs())))
            (figure("since", moment(report.boot_ms / 1000, view)))
            (figure("clusters", number(store.clusters)))
            (figure("grids", number(store.grids)))
            (figure("hosts", number(store.hosts)))
            (figure("metrics", number(store.metrics)))
            (figure("definitions", number(store.definitions)))
            (figure("updates waiting", number(report.queue.length)))
            @if report.queue.replaced > 0 { (figure("updates replaced", number(report.queue.replaced))) }
        }
    }
}

/// Those that are down first.
fn sources(view: &View, report: &Report) -> Markup {
    let key = |source: &&SourceStatus| match source.state {
        SourceState::Down => 0,
        SourceState::New => 1,
        SourceState::Up => 2,
    };
    let sources = sorted(report.sources.iter().collect(), |one, other| {
        key(one).cmp(&key(other))
    });
    html! {
        div.wide { table {
            thead { tr {
                th.t { "source" } th.t { "state" } th.t { "from" } th { "every" } th { "polls" }
                th { "failed" } th.opt { "last" } th.opt { "ms a poll" } th.opt { "bytes" } th.opt { "repairs" }
            } }
            tbody {
                @for source in sources {
                    @let is_down = source.state == SourceState::Down;
                    tr class=[is_down.then_some("down")] {
                        td.n { (name_or(&source.name, "(no name)")) }
                        td.t { span class=(if is_down { "bad" } else { "ok" }) { (source.state.word()) }
                            @if let Some(failure) = &source.failure { br; small { (failure) } } }
                        td.t { (source.host) }
                        td { (source.interval.as_secs()) " s" }
                        td { (number(source.polls_ok.num)) }
                        td { (number(source.polls_failed.num)) }
                        td.opt { @if source.polls_ok.last_ms > 0 {
                            (lasting((view.now * 1000).saturating_sub(source.polls_ok.last_ms) / 1000)) " ago"
                        } }
                        td.opt { @if source.polls_ok.num > 0 {
                            (Unit::plain().show(source.busy.as_secs_f64() * 1000.0
                                / source.polls_ok.num as f64)) } }
                        td.opt { (bytes(source.document_bytes)) }
                        td.opt { (number(source.damage)) }
                    }
                }
            }
        } }
    }
}

fn plugins(view: &View, report: &Report) -> Markup {
    html! {
        div.wide { table {
            thead { tr {
                th.t { "name" } th.t { "state" } th { "updates" } th { "failed" } th { "values" }
                th { "lost" } th { "waiting" } th.opt { "last" }
            } }
            tbody { @for plugin in &report.plugins { (plugin_row(view, plugin)) } }
        } }
    }
}

fn plugin_row(view: &View, plugin: &PluginStatus) -> Markup {
    let output = plugin.output.as_ref();
    let is_bad = !plugin.state.is_well() || output.is_some_and(|output| output.failing);
    html! {
        tr class=[is_bad.then_some("down")] {
            td.n { (plugin.name) @if let Some(file) = &plugin.file { br; small.soft { (file) } } }
            td.t { span class=(if is_bad { "bad" } else { "ok" }) { (plugin.state.word()) }
                @if let Some(reason) = &plugin.reason { br; small { (reason) } } }
            td { (number(plugin.notified)) }
            td { (number(plugin.failed)) }
            @if let Some(output) = output {
                td { (number(output.sent.num)) }
                td { (number(output.failed + output.dropped)) }
                td { (bytes(output.waiting_bytes)) }
                td.opt { @if output.sent.last_ms > 0 {
                    (lasting((view.now * 1000).saturating_sub(output.sent.last_ms) / 1000)) " ago"
                } }
            } @else { td {} td {} td {} td.opt {} }
        }
    }
}

fn files(report: &Report) -> Markup {
    let files = &report.files;
    html! {
        dl.sum.fine {
            (figure("values written", number(files.written)))
            (figure("files created", number(files.created)))
            (figure("writes", number(files.calls)))
            (figure("values lost", number(files.failed)))
            (figure("files that cannot be written", number(files.broken)))
            (figure("values in the cache", number(files.held)))
            (figure("memory of the cache", bytes(files.held_bytes)))
            (figure("journal written", bytes(files.journal_bytes)))
        }
    }
}

fn clients(report: &Report) -> Markup {
    let clients = &report.clients;
    html! {
        dl.sum.fine {
            (figure("connected", html! { (clients.connected) " of " (clients.limit) }))
            (figure("accepted", number(clients.accepted)))
            (figure("XML", number(clients.xml.num)))
            (figure("interactive", number(clients.interactive.num)))
            (figure("HTTP", number(clients.http_requests)))
            (figure("not trusted", number(clients.untrusted)))
            (figure("turned away", number(clients.crowded_out)))
            (figure("cut off", number(clients.faults)))
            (figure("sent", bytes(clients.sent_bytes)))
        }
    }
}
