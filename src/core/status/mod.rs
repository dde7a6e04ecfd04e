//! How the daemon does: what is counted, put together for whoever asks.
//!
//! No counting and no reading of clocks: the shell fills a [`Report`] in. The pages are in `page`,
//! `metrics` and `health`.

use std::time::Duration;

use crate::status::machine::{Machine, Process};

mod export;
mod health;
pub mod machine;
mod metrics;
mod page;

pub use export::{ExportCounters, ExportStatus};
pub use health::{Fault, faults};
pub use metrics::own_metrics;
pub use page::page;

/// How often something was done, how long it took in all, and when it last ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often.
    pub num: u64,
    /// How long in all.
    pub total: Duration,
    /// When the last one ended, in milliseconds since the epoch; 0: never.
    pub last_ms: u64,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, took: Duration, now_ms: u64) {
        self.num += 1;
        self.total = self.total.saturating_add(took);
        self.last_ms = now_ms;
    }
}

impl std::ops::AddAssign<&Tally> for Tally {
    fn add_assign(&mut self, other: &Tally) {
        self.num += other.num;
        self.total = self.total.saturating_add(other.total);
        self.last_ms = self.last_ms.max(other.last_ms);
    }
}

/// Of one source, since the start.
#[derive(Clone, Debug, Default)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// How often it is polled on average.
    pub interval: Duration,
    /// What is known of it.
    pub state: SourceState,
    /// Who gave the last good document: host and port.
    pub host: String,
    /// Why the last poll failed, if it did.
    pub failure: Option<String>,
    /// Polls that brought a document.
    pub polls_ok: Tally,
    /// Polls that did not.
    pub polls_failed: Tally,
    /// Starts that passed while a poll was under way.
    pub missed: u64,
    /// Metrics in documents.
    pub metrics: u64,
    /// Bytes of documents.
    pub document_bytes: u64,
    /// Bytes that brought them.
    pub wire_bytes: u64,
    /// Places in documents that could not be read as sent.
    pub damage: u64,
    /// Time spent on reading and storing documents.
    pub busy: Duration,
}

/// What is known of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceState {
    /// It has not been polled to the end yet.
    #[default]
    New,
    /// Its last poll was good.
    Up,
    /// Its last poll failed.
    Down,
}

impl SourceState {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            SourceState::New => "new",
            SourceState::Up => "up",
            SourceState::Down => "down",
        }
    }
}

/// Of all clients, since the start.
#[derive(Clone, Debug, Default)]
pub struct ClientStatus {
    /// Connected now.
    pub connected: usize,
    /// Most that can be.
    pub limit: usize,
    /// Let in.
    pub accepted: u64,
    /// Requests on the XML port that were answered or given up.
    pub xml: Tally,
    /// Requests on the interactive port, HTTP's among them.
    pub interactive: Tally,
    /// HTTP's of them.
    pub http_requests: u64,
    /// Turned away: not trusted.
    pub untrusted: u64,
    /// Turned away: no room.
    pub crowded_out: u64,
    /// Let go before they had their answer.
    pub faults: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
}

/// The sums over clusters and over everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct SummaryStatus {
    /// Sums of a cluster or grid that came with a document.
    pub clusters: u64,
    /// Sums of everything.
    pub root: Tally,
}

/// One plugin.
#[derive(Clone, Debug, Default)]
pub struct PluginReport {
    /// That of its section.
    pub id: String,
    /// What no other is called.
    pub name: String,
    /// Where it was loaded from; `None`: it is built in.
    pub file: Option<String>,
    /// Where it is in its life, in a word.
    pub state: &'static str,
    /// Why, of one that was left out, disabled or replaced.
    pub reason: Option<String>,
    /// Whether it takes part, or will, or need not.
    pub works: bool,
    /// Updates it has seen.
    pub notified: u64,
    /// Updates that ended in an error or a panic.
    pub failed: u64,
    /// What it writes, if it is one that does.
    pub output: Option<OutputReport>,
}

/// What a plugin has written, to files or to a server.
#[derive(Clone, Debug, Default)]
pub struct OutputReport {
    /// Values written or taken by the server, and the time that took.
    pub sent: Tally,
    /// Values refused or that could not be written.
    pub failed: u64,
    /// Files, keys or the like of a server that refused their last value.
    pub refusing: u64,
    /// Values given up: the backlog was full, or they came too late.
    pub dropped: u64,
    /// Bytes that wait.
    pub waiting_bytes: u64,
    /// Whether the newest attempt failed.
    pub failing: bool,
}

/// What was done to RRD files since the start, and what waits in the cache before them: filled by
/// their writer, read by the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RrdStatus {
    /// Values written.
    pub written: u64,
    /// Files created.
    pub created: u64,
    /// Calls that wrote to a file, however many values each.
    pub calls: u64,
    /// Of those, for want of room in the cache.
    pub forced: u64,
    /// Values lost because their file or its folder would not take them.
    pub failed: u64,
    /// Files that did not take their last value.
    pub broken: u64,
    /// Values of a time that their file has already, skipped.
    pub repeated: u64,
    /// Values that their file refused, as it has newer ones.
    pub refused: u64,
    /// Clusters and grids, the root among them, some of whose files refuse values now.
    pub refusing: u64,
    /// Values that wait in the cache, now.
    pub held: u64,
    /// Bytes of memory that the cache takes, now.
    pub held_bytes: u64,
    /// Bytes written to the journal.
    pub journal_bytes: u64,
}

/// The queue to the plugin thread.
#[derive(Clone, Debug, Default)]
pub struct QueueReport {
    /// Updates that wait or are in work.
    pub length: usize,
    /// Those of them that found no room in it.
    pub held_back: usize,
    /// Updates that a newer one of the same node has replaced, since the start.
    pub replaced: u64,
    /// The plugin that has been at one call for too long, and how long.
    pub stalled: Option<(String, Duration)>,
}

/// What is in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreSizes {
    /// Clusters.
    pub clusters: usize,
    /// Grids below.
    pub grids: usize,
    /// Hosts of the clusters.
    pub hosts: usize,
    /// Metrics of those hosts.
    pub metrics: usize,
    /// Definitions that the metrics share.
    pub definitions: usize,
    /// Hosts that were up in the last documents of sources that answer, grids below included.
    pub hosts_up: u32,
    /// Hosts that were not.
    pub hosts_down: u32,
}

/// Everything that is told about the daemon.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Name of this machine.
    pub host: String,
    /// `gridname`.
    pub gridname: String,
    /// Version of this daemon.
    pub version: &'static str,
    /// Now, in milliseconds since the epoch.
    pub now_ms: u64,
    /// When the daemon started, in milliseconds since the epoch.
    pub boot_ms: u64,
    /// Since the start.
    pub uptime: Duration,
    /// In the order of the configuration.
    pub sources: Vec<SourceStatus>,
    /// Of both ports.
    pub clients: ClientStatus,
    /// Of clusters and of everything.
    pub summaries: SummaryStatus,
    /// In the order of the chain.
    pub plugins: Vec<PluginReport>,
    /// Rules of alerts that were not understood: where they stand and what is wrong, a line each.
    pub rules_left_out: Vec<String>,
    /// RRD files and the cache before them.
    pub files: RrdStatus,
    /// To their thread.
    pub queue: QueueReport,
    /// What is held.
    pub store: StoreSizes,
    /// Of this machine.
    pub machine: Machine,
    /// Of this process.
    pub process: Process,
}

impl Report {
    /// Plugins that write values, by their names.
    fn outputs(&self) -> impl Iterator<Item = (&str, &OutputReport)> {
        let outputs = self.plugins.iter();
        outputs.filter_map(|plugin| Some((plugin.id.as_str(), plugin.output.as_ref()?)))
    }

    /// What the plugins of these names have written.
    fn output(&self, ids: &[&str]) -> Tally {
        let mut all = Tally::default();
        for plugin in &self.plugins {
            if let (true, Some(output)) = (ids.contains(&&*plugin.id), &plugin.output) {
                all += &output.sent;
            }
        }
        all
    }

    fn polls_ok(&self) -> Tally {
        self.sum(|source| &source.polls_ok)
    }

    fn polls_failed(&self) -> Tally {
        self.sum(|source| &source.polls_failed)
    }

    fn sum(&self, of: impl Fn(&SourceStatus) -> &Tally) -> Tally {
        let mut all = Tally::default();
        for source in &self.sources {
            all += of(source);
        }
        all
    }
}

#[cfg(test)]
pub(crate) fn example() -> Report {
    let tally = |num| Tally {
        num,
        total: Duration::from_millis(10 * num),
        last_ms: 1000 + num,
    };
    Report {
        host: "head".into(),
        gridname: "Top \"grid\"".into(),
        version: "9.9.9",
        now_ms: 1_700_000_060_500,
        boot_ms: 1_700_000_000_250,
        uptime: Duration::from_millis(60_250),
        sources: vec![
            SourceStatus {
                name: "one\\\"1".into(),
                interval: Duration::from_secs(15),
                state: SourceState::Up,
                host: "10.0.0.1:8649".into(),
                polls_ok: tally(4),
                metrics: 40,
                document_bytes: 4000,
                wire_bytes: 400,
                busy: Duration::from_millis(8),
                ..SourceStatus::default()
            },
            SourceStatus {
                name: "two".into(),
                state: SourceState::Down,
                failure: Some("10.0.0.2:8649: cannot connect".into()),
                polls_failed: tally(3),
                missed: 1,
                ..SourceStatus::default()
            },
        ],
        clients: ClientStatus {
            connected: 1,
            limit: 512,
            accepted: 9,
            xml: tally(5),
            interactive: tally(2),
            sent_bytes: 12345,
            ..ClientStatus::default()
        },
        summaries: SummaryStatus {
            clusters: 4,
            root: tally(8),
        },
        plugins: vec![
            PluginReport {
                id: "rrd".into(),
                name: "rrd".into(),
                state: "running",
                works: true,
                notified: 4,
                output: Some(OutputReport {
                    sent: tally(30),
                    ..OutputReport::default()
                }),
                ..PluginReport::default()
            },
            PluginReport {
                id: "carbon".into(),
                name: "carbon".into(),
                state: "running",
                works: true,
                output: Some(OutputReport {
                    sent: tally(12),
                    ..OutputReport::default()
                }),
                ..PluginReport::default()
            },
        ],
        store: StoreSizes {
            clusters: 1,
            hosts: 3,
            metrics: 40,
            hosts_up: 2,
            hosts_down: 1,
            ..StoreSizes::default()
        },
        ..Report::default()
    }
}
