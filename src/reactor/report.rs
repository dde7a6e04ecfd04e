//! Collects the daemon's statistics for status pages, metrics and the log.
//!
//! Counts nothing itself: each figure is counted where it arises.

use std::fmt;
use std::time::Duration;

use super::clock::Clock;
use super::shared::Shared;
use crate::logging;
use crate::plugins::PluginHandle;
use gmetad_config::Config;
use gmetad_core::model::Node;
use gmetad_core::status::{
    ExportStatus, LongestTurn, OutputReport, PluginStatus, QueueReport, Report, SourceStatus,
    StoreSizes, Tally, Turn,
};
use gmetad_core::store::SourceId;

/// The built-in plugins that write round-robin files. They share one set of counters.
const RRD: [&str; 2] = ["rrd", "rrdsummary"];

/// What may write the files instead: both plugins send their values to it.
const RRDCACHED: &str = "rrdcached";

impl Shared {
    /// Drops the snapshots that no client holds any more, step by step.
    pub(super) fn discard_moments(&mut self) {
        for snapshot in self.moments.free() {
            self.store.discard(snapshot);
        }
    }

    /// Statistics of a source.
    pub(super) fn status_of(&mut self, id: SourceId) -> &mut SourceStatus {
        &mut self.sources[id.0]
    }

    /// Statistics of all sources, in the order of the configuration.
    pub(super) fn statuses(&self) -> impl Iterator<Item = &SourceStatus> {
        self.store.sources().iter().map(|id| &self.sources[id.0])
    }

    /// All statistics as of now.
    pub(super) fn report(&mut self) -> Report {
        let (host_status, process) = match &mut self.sampler {
            Some(sampler) => sampler.figures(),
            None => Default::default(),
        };
        let mut report = Report {
            host: self.host_name.clone(),
            gridname: self.config.gridname.clone(),
            version: env!("CARGO_PKG_VERSION"),
            now_ms: Clock::epoch_ms(),
            boot_ms: self.clock.boot_ms(),
            uptime: self.clock.mono().since(gmetad_core::model::Mono(0)),
            sources: self.statuses().cloned().collect(),
            clients: self.clients.clone(),
            summaries: self.summaries,
            turns: self.turns.clone(),
            longest_turn: self.longest(self.turns.longest),
            longest_of_minute: self.longest(self.turns.longest_of_minute(self.now.mono.0)),
            rules_left_out: rules_left_out(&self.config),
            store: self.store_sizes(),
            host_status,
            process,
            ..Report::default()
        };
        report.clients.limit = self.places.most().in_all;
        report.clients.idle = self.room.idle();
        let now = self.now.mono;
        if let Some(plugins) = &mut self.plugins {
            let queue = plugins.queue();
            report.queue = QueueReport {
                length: queue.length,
                held_back: queue.held_back,
                replaced: queue.replaced,
                stalled: plugins.stalled(now),
            };
            report.plugins = plugin_reports(plugins, (self.now.epoch.max(0) as u64) * 1000);
            report.alerts = plugins.alerts();
            report.files = plugins.rrd();
        }
        report
    }

    fn longest(&self, turn: Option<Turn>) -> Option<LongestTurn> {
        let turn = turn?;
        let source = turn.source.and_then(|at| self.sources.get(at));
        Some(LongestTurn {
            took: turn.took,
            work: turn.work.word(),
            source: source.map(|it| it.name.clone()),
        })
    }

    fn store_sizes(&mut self) -> StoreSizes {
        let snapshot = self.store.snapshot();
        let mut sizes = StoreSizes {
            definitions: self.store.table().len(),
            hosts_up: snapshot.summary.hosts_up,
            hosts_down: snapshot.summary.hosts_down,
            ..StoreSizes::default()
        };
        for node in &snapshot.nodes {
            match node {
                Node::Cluster(cluster) => {
                    sizes.clusters += 1;
                    sizes.hosts += cluster.host_count();
                    sizes.metrics += cluster.metric_count();
                }
                Node::Grid(_) => sizes.grids += 1,
            }
        }
        sizes
    }

    /// Logs the statistics in a few lines, at any level.
    pub(super) fn log_status(&self) {
        self.log_clients();
        for status in self.statuses() {
            log_source(status);
        }
        if let Some(plugins) = &self.plugins {
            log_plugins(plugins);
        }
    }

    fn log_clients(&self) {
        let clients = &self.clients;
        say(format_args!(
            "status: clients: {} connected, {} accepted, {} refused as untrusted, {} refused at the \
             limit, {} closed for a fault; {} requests on the XML port, {} on the interactive \
             port; {} bytes sent",
            clients.connected,
            clients.accepted,
            clients.untrusted,
            clients.crowded_out,
            clients.faults,
            clients.xml.num,
            clients.interactive.num,
            clients.sent_bytes
        ));
    }
}

fn say(text: fmt::Arguments<'_>) {
    logging::insist(log::Level::Info, text);
}

fn log_source(status: &SourceStatus) {
    say(format_args!(
        "status: source \"{}\" is {}: polls: {} succeeded, {} failed, {} missed; received {} \
         bytes ({} unpacked), {} repairs, {} ms of processing",
        status.name,
        status.state.word(),
        status.polls_ok.num,
        status.polls_failed.num,
        status.missed,
        status.wire_bytes,
        status.document_bytes,
        status.damage,
        status.busy.as_millis()
    ));
}

fn log_plugins(plugins: &PluginHandle) {
    let queue = plugins.queue();
    say(format_args!(
        "status: plugins: {} updates wait, {} were replaced by newer ones",
        queue.length, queue.replaced
    ));
    let files = plugins.rrd();
    say(format_args!(
        "status: RRD files: {} values in {} writes, {} files created; values skipped: {} repeated, \
         {} older than the file's last; {} values failed, {} files cannot be written",
        files.written,
        files.calls,
        files.created,
        files.repeated,
        files.refused,
        files.failed,
        files.broken
    ));
    say(format_args!(
        "status: RRD cache: {} values wait in {} bytes, {} bytes written to the journal, {} files \
         written early because the cache was full",
        files.held, files.held_bytes, files.journal_bytes, files.forced
    ));
}

/// The first line about each alert rule that was left out. The log also shows the place.
fn rules_left_out(config: &Config) -> Vec<String> {
    let left_out = config.alert.iter().flat_map(|alert| &alert.left_out);
    let lines = left_out.map(|error| error.to_string().lines().next().map(String::from));
    lines.flatten().collect()
}

fn plugin_reports(plugins: &PluginHandle, now_ms: u64) -> Vec<PluginStatus> {
    let all = plugins.plugins();
    let mut files = Some(files(plugins, &all));
    let exports = plugins.exports();
    let mut reports = all;
    for plugin in &mut reports {
        // Both file-writing plugins share one set of counters: reported once.
        plugin.output = if writes_files(plugin) {
            files.take()
        } else if plugin.file.is_none() {
            exports
                .iter()
                .find(|it| it.id == plugin.id)
                .map(|it| export(it, now_ms))
        } else {
            None
        };
    }
    // An export with several servers has a row for each.
    let mut rows = Vec::new();
    for plugin in reports.iter().filter(|it| it.file.is_none()) {
        let is_of =
            |name: &str| (name.strip_prefix(&*plugin.id)).is_some_and(|it| it.starts_with(' '));
        rows.extend(
            exports
                .iter()
                .filter(|it| is_of(&it.id))
                .map(|it| PluginStatus {
                    id: it.id.clone(),
                    name: it.id.clone(),
                    output: Some(export(it, now_ms)),
                    ..plugin.clone()
                }),
        );
    }
    reports.extend(rows);
    // Values reach an rrdcached through the plugin that writes the files, which has no other output.
    let rrdcached = exports.iter().find(|it| it.id == RRDCACHED);
    let writer = reports
        .iter()
        .find(|it| it.id == RRD[0] && it.file.is_none());
    if let (Some(rrdcached), Some(writer)) = (rrdcached, writer) {
        reports.push(PluginStatus {
            id: RRDCACHED.into(),
            name: RRDCACHED.into(),
            output: Some(export(rrdcached, now_ms)),
            ..writer.clone()
        });
    }
    reports
}

/// Whether this is one of the built-in plugins that write round-robin files.
fn writes_files(plugin: &PluginStatus) -> bool {
    plugin.file.is_none() && RRD.contains(&plugin.id.as_str())
}

/// What was written to round-robin files.
fn files(plugins: &PluginHandle, all: &[PluginStatus]) -> OutputReport {
    let files = plugins.rrd();
    let mut sent = Tally {
        num: files.written,
        ..Tally::default()
    };
    for plugin in all.iter().filter(|it| writes_files(it)) {
        sent.total += plugin.busy;
        sent.last_ms = sent.last_ms.max(plugin.last_ms);
    }
    OutputReport {
        sent,
        failed: files.failed,
        refusing: 0,
        dropped: files.repeated + files.refused,
        waiting_bytes: files.held_bytes,
        failing: files.broken > 0,
        ..OutputReport::default()
    }
}

/// What was sent to servers.
fn export(export: &ExportStatus, now_ms: u64) -> OutputReport {
    OutputReport {
        sent: Tally {
            num: export.sent,
            total: export.busy,
            last_ms: export.last_ms,
        },
        failed: export.failed,
        refusing: export.refusing,
        dropped: export.dropped,
        waiting_bytes: export.waiting_bytes,
        failing: export.failing,
        retried: export.retried,
        unsaved: export.unsaved,
        lag: match export.waiting_since_ms {
            0 => Duration::ZERO,
            since => Duration::from_millis(now_ms.saturating_sub(since)),
        },
    }
}
