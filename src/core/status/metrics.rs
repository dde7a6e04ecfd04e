//! The daemon's own metrics for Prometheus.
//!
//! Names follow its conventions: base units, counters that end in _total.

use super::{ClientStatus, QueueReport, Report, RrdStatus, SourceState, SourceStatus, Tally, Work};
use crate::answer::prometheus::Kind::{Counter, Gauge};
use crate::answer::prometheus::{Kind, Page};

/// The page.
pub fn own_metrics(report: &Report) -> Vec<u8> {
    let mut page = Page::default();
    page.family("gmetad_build_info", Gauge, "Version of this gmetad.");
    page.sample(&[("version", report.version)], 1);
    process(&mut page, report);
    sources(&mut page, report);
    store(&mut page, report);
    clients(&mut page, report);
    queue(&mut page, &report.queue);
    plugins(&mut page, report);
    outputs(&mut page, report);
    files(&mut page, &report.files);
    page.finish()
}

fn process(page: &mut Page, report: &Report) {
    let process = &report.process;
    let start = report.boot_ms as f64 / 1000.0;
    let figures: [(&str, Kind, &str, f64); 7] = [
        (
            "process_start_time_seconds",
            Gauge,
            "When the daemon started.",
            start,
        ),
        (
            "process_cpu_seconds_total",
            Counter,
            "Processor time, all threads.",
            process.cpu_secs,
        ),
        (
            "process_resident_memory_bytes",
            Gauge,
            "Memory that is not swapped out.",
            process.resident_bytes as f64,
        ),
        (
            "process_virtual_memory_bytes",
            Gauge,
            "Address space.",
            process.virtual_bytes as f64,
        ),
        ("process_threads", Gauge, "Threads.", process.threads as f64),
        (
            "process_open_fds",
            Gauge,
            "Open descriptors.",
            process.open_fds as f64,
        ),
        (
            "process_max_fds",
            Gauge,
            "Descriptors it may open.",
            process.max_fds as f64,
        ),
    ];
    for (name, kind, help, value) in figures {
        page.single(name, kind, help, value);
    }
}

fn sources(page: &mut Page, report: &Report) {
    let mut each = |name: &str, kind, help: &str, value: &dyn Fn(&SourceStatus) -> f64| {
        page.family(name, kind, help);
        for source in &report.sources {
            page.sample(&[("source", &source.name)], value(source));
        }
    };
    each(
        "gmetad_source_up",
        Gauge,
        "Whether the last poll was good.",
        &|source| f64::from(u8::from(source.state == SourceState::Up)),
    );
    each(
        "gmetad_source_last_success_timestamp_seconds",
        Gauge,
        "When the last good poll ended; 0: never.",
        &|source| source.polls_ok.last_ms as f64 / 1000.0,
    );
    each(
        "gmetad_source_poll_misses_total",
        Counter,
        "Starts that passed while a poll was under way.",
        &|source| source.missed as f64,
    );
    each(
        "gmetad_source_busy_seconds_total",
        Counter,
        "Time spent on reading and storing documents.",
        &|source| source.busy.as_secs_f64(),
    );
    each(
        "gmetad_source_metrics_received_total",
        Counter,
        "Metrics in documents.",
        &|source| source.metrics as f64,
    );
    each(
        "gmetad_source_document_bytes_total",
        Counter,
        "Bytes of documents.",
        &|source| source.document_bytes as f64,
    );
    each(
        "gmetad_source_wire_bytes_total",
        Counter,
        "Bytes that brought the documents.",
        &|source| source.wire_bytes as f64,
    );
    each(
        "gmetad_source_damage_total",
        Counter,
        "Places in documents that could not be read as sent.",
        &|source| source.damage as f64,
    );
    polls(page, &report.sources);
}

/// What is counted by how a poll ended.
fn polls(page: &mut Page, sources: &[SourceStatus]) {
    let mut both = |name: &str, help: &str, value: &dyn Fn(&Tally) -> f64| {
        page.family(name, Counter, help);
        for source in sources {
            for (result, tally) in [("ok", &source.polls_ok), ("failed", &source.polls_failed)] {
                let labels = [("source", source.name.as_str()), ("result", result)];
                page.sample(&labels, value(tally));
            }
        }
    };
    both("gmetad_source_polls_total", "Polls.", &|tally| {
        tally.num as f64
    });
    both(
        "gmetad_source_poll_seconds_total",
        "Time from the start of polls to their end.",
        &|tally| tally.total.as_secs_f64(),
    );
}

fn store(page: &mut Page, report: &Report) {
    let sizes = &report.store;
    page.single("gmetad_clusters", Gauge, "Clusters held.", sizes.clusters);
    page.single(
        "gmetad_grids",
        Gauge,
        "Grids below, held as sums.",
        sizes.grids,
    );
    page.single("gmetad_hosts", Gauge, "Hosts held.", sizes.hosts);
    page.single("gmetad_metrics", Gauge, "Metrics held.", sizes.metrics);
    page.single(
        "gmetad_metric_definitions",
        Gauge,
        "Definitions that metrics share.",
        sizes.definitions,
    );
    page.family(
        "gmetad_grid_hosts",
        Gauge,
        "Hosts of the sources that answer, grids below included.",
    );
    page.sample(&[("state", "up")], sizes.hosts_up);
    page.sample(&[("state", "down")], sizes.hosts_down);
    let root = &report.summaries.root;
    page.single(
        "gmetad_cluster_summaries_total",
        Counter,
        "Sums of a cluster or grid.",
        report.summaries.clusters,
    );
    page.single(
        "gmetad_root_summaries_total",
        Counter,
        "Sums of everything.",
        root.num,
    );
    page.single(
        "gmetad_root_summaries_seconds_total",
        Counter,
        "Time spent on sums of everything.",
        root.total.as_secs_f64(),
    );
    let turns = &report.turns;
    page.single(
        "gmetad_loop_turns_total",
        Counter,
        "Turns of the event loop.",
        turns.turns,
    );
    page.single(
        "gmetad_loop_long_turns_total",
        Counter,
        "Turns of more than 10 ms.",
        turns.long_turns,
    );
    page.single(
        "gmetad_loop_turn_seconds_max",
        Gauge,
        "The longest turn since the start.",
        turns.longest.map_or(0.0, |turn| turn.took.as_secs_f64()),
    );
    let minute = report.longest_of_minute.as_ref();
    page.single(
        "gmetad_loop_turn_minute_seconds_max",
        Gauge,
        "The longest turn in the last minute.",
        minute.map_or(0.0, |turn| turn.took.as_secs_f64()),
    );
    page.family(
        "gmetad_loop_work_seconds_max",
        Gauge,
        "The longest turn since the start, by what it was about.",
    );
    for (work, longest) in Work::ALL.iter().zip(turns.by_work) {
        page.sample(&[("work", work.word())], longest.as_secs_f64());
    }
}

fn clients(page: &mut Page, report: &Report) {
    let clients = &report.clients;
    page.single(
        "gmetad_clients",
        Gauge,
        "Clients connected.",
        clients.connected,
    );
    page.single(
        "gmetad_clients_idle",
        Gauge,
        "Clients that have not asked yet, or have their answer.",
        clients.idle,
    );
    page.single(
        "gmetad_clients_max",
        Gauge,
        "Clients there is room for.",
        clients.limit,
    );
    page.single(
        "gmetad_clients_accepted_total",
        Counter,
        "Clients let in.",
        clients.accepted,
    );
    page.family(
        "gmetad_clients_refused_total",
        Counter,
        "Clients turned away.",
    );
    page.sample(&[("reason", "untrusted")], clients.untrusted);
    page.sample(&[("reason", "full")], clients.crowded_out);
    page.single(
        "gmetad_clients_made_room_total",
        Counter,
        "Clients closed to make room for others.",
        clients.made_room,
    );
    page.single(
        "gmetad_client_faults_total",
        Counter,
        "Clients let go before they had their answer.",
        clients.faults,
    );
    requests(page, clients);
}

fn requests(page: &mut Page, clients: &ClientStatus) {
    page.family(
        "gmetad_requests_total",
        Counter,
        "Requests that are done with.",
    );
    page.sample(&[("port", "xml")], clients.xml.num);
    page.sample(&[("port", "interactive")], clients.interactive.num);
    page.family(
        "gmetad_request_seconds_total",
        Counter,
        "Time from requests to the ends of their answers.",
    );
    page.sample(&[("port", "xml")], clients.xml.total.as_secs_f64());
    page.sample(
        &[("port", "interactive")],
        clients.interactive.total.as_secs_f64(),
    );
    page.single(
        "gmetad_http_requests_total",
        Counter,
        "HTTP's of the requests.",
        clients.http_requests,
    );
    page.single(
        "gmetad_sent_bytes_total",
        Counter,
        "Bytes of answers.",
        clients.sent_bytes,
    );
}

fn queue(page: &mut Page, queue: &QueueReport) {
    page.single(
        "gmetad_queue_length",
        Gauge,
        "Updates that wait for the plugins or are in work.",
        queue.length,
    );
    page.single(
        "gmetad_queue_held_back",
        Gauge,
        "Updates that found no room in the queue.",
        queue.held_back,
    );
    page.single(
        "gmetad_queue_replaced_total",
        Counter,
        "Updates that a newer one has replaced.",
        queue.replaced,
    );
    let stalled = queue
        .stalled
        .as_ref()
        .map_or(0.0, |(_, taken)| taken.as_secs_f64());
    page.single(
        "gmetad_plugin_stalled_seconds",
        Gauge,
        "How long one update has been in work, if for too long.",
        stalled,
    );
}

fn plugins(page: &mut Page, report: &Report) {
    page.family(
        "gmetad_plugin_works",
        Gauge,
        "Whether the plugin takes part.",
    );
    for plugin in &report.plugins {
        page.sample(
            &[("plugin", &plugin.name)],
            u8::from(plugin.state.is_well()),
        );
    }
    page.family(
        "gmetad_plugin_updates_total",
        Counter,
        "Updates the plugin has seen.",
    );
    for plugin in &report.plugins {
        page.sample(&[("plugin", &plugin.name)], plugin.notified);
    }
    page.family(
        "gmetad_plugin_failures_total",
        Counter,
        "Updates that failed in the plugin.",
    );
    for plugin in &report.plugins {
        page.sample(&[("plugin", &plugin.name)], plugin.failed);
    }
}

fn outputs(page: &mut Page, report: &Report) {
    page.family(
        "gmetad_output_values_total",
        Counter,
        "Values a plugin was to write.",
    );
    for (id, output) in report.outputs() {
        page.sample(&[("plugin", id), ("result", "written")], output.sent.num);
        page.sample(&[("plugin", id), ("result", "failed")], output.failed);
        page.sample(&[("plugin", id), ("result", "dropped")], output.dropped);
    }
    page.family(
        "gmetad_output_refusing",
        Gauge,
        "Files, keys or the like of a server that refused their last value.",
    );
    for (id, output) in report.outputs() {
        page.sample(&[("plugin", id)], output.refusing);
    }
    page.family(
        "gmetad_output_seconds_total",
        Counter,
        "Time spent on writing values.",
    );
    for (id, output) in report.outputs() {
        page.sample(&[("plugin", id)], output.sent.total.as_secs_f64());
    }
    page.family(
        "gmetad_output_waiting_bytes",
        Gauge,
        "Bytes that wait to be written.",
    );
    for (id, output) in report.outputs() {
        page.sample(&[("plugin", id)], output.waiting_bytes);
    }
    page.family(
        "gmetad_output_retried_total",
        Counter,
        "Values that a server did not take, and that are sent again.",
    );
    for (id, output) in report.outputs() {
        page.sample(&[("plugin", id)], output.retried);
    }
    page.family(
        "gmetad_output_lag_seconds",
        Gauge,
        "How long the oldest values wait for their server.",
    );
    for (id, output) in report.outputs() {
        page.sample(&[("plugin", id)], output.lag.as_secs_f64());
    }
}

fn files(page: &mut Page, files: &RrdStatus) {
    let figures: [(&str, Kind, &str, u64); 10] = [
        (
            "gmetad_rrd_files_created_total",
            Counter,
            "Round-robin files created.",
            files.created,
        ),
        (
            "gmetad_rrd_writes_total",
            Counter,
            "Calls that wrote to a round-robin file.",
            files.calls,
        ),
        (
            "gmetad_rrd_forced_writes_total",
            Counter,
            "Writes for want of room in the cache.",
            files.forced,
        ),
        (
            "gmetad_rrd_broken_files",
            Gauge,
            "Round-robin files that did not take their last value.",
            files.broken,
        ),
        (
            "gmetad_rrd_limited_sources",
            Gauge,
            "Sources that bring more new round-robin files than they may have.",
            files.limited,
        ),
        (
            "gmetad_rrd_no_room",
            Gauge,
            "Whether no round-robin files are created for want of room.",
            u64::from(files.no_room),
        ),
        (
            "gmetad_rrd_cache_values",
            Gauge,
            "Values that wait in the cache.",
            files.held,
        ),
        (
            "gmetad_rrd_cache_bytes",
            Gauge,
            "Memory that the cache takes.",
            files.held_bytes,
        ),
        (
            "gmetad_rrd_journal_bytes_total",
            Counter,
            "Bytes written to the journal.",
            files.journal_bytes,
        ),
        (
            "gmetad_rrd_journal_fails",
            Gauge,
            "Whether there is to be a journal, and it is not written.",
            u64::from(files.journal_fails),
        ),
    ];
    for (name, kind, help, value) in figures {
        page.single(name, kind, help, value);
    }
    skipped_values(page, files);
}

fn skipped_values(page: &mut Page, files: &RrdStatus) {
    page.family(
        "gmetad_rrd_skipped_values_total",
        Counter,
        "Values whose round-robin file has one of that time, or a newer one.",
    );
    page.sample(&[("reason", "repeated")], files.repeated);
    page.sample(&[("reason", "refused")], files.refused);
    page.single(
        "gmetad_rrd_refusing_nodes",
        Gauge,
        "Clusters and grids, the root among them, whose files have newer values than come.",
        files.refusing,
    );
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn every_family_is_there_once_and_counters_are_called_so() {
        let page = String::from_utf8(own_metrics(&example())).unwrap();
        let mut seen = Vec::new();
        let mut family = "";
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(!seen.contains(&name), "{name} comes twice");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
                seen.push(name);
                family = name;
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                assert_eq!(name, family);
            }
        }
        assert!(page.contains("gmetad_source_up{source=\"one\\\\\\\"1\"} 1\n"));
        assert!(page.contains("gmetad_source_polls_total{source=\"two\",result=\"failed\"} 3\n"));
        assert!(page.contains("gmetad_loop_work_seconds_max{work=\"store\"} 0\n"));
        assert!(page.contains("process_start_time_seconds 1700000000.25\n"));
        assert!(
            page.contains("gmetad_output_values_total{plugin=\"carbon\",result=\"written\"} 12\n")
        );
    }
}
