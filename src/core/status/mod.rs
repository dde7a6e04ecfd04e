//! The status of the daemon: its counters, gathered in a [`Report`].
//!
//! No counting and no clock: the daemon fills the report in. `page`, `metrics` and `health` write the
//! pages.

use std::time::Duration;

use crate::status::host::{HostStatus, Process};

mod export;
mod health;
pub mod host;
mod metrics;
mod page;
mod plugin;
mod turns;

pub use export::{ExportCounters, ExportStatus};
pub use health::{Fault, faults};
pub use metrics::own_metrics;
pub use page::page;
pub use plugin::{PluginState, PluginStatus};
pub use turns::{LONG_TURN, LoopStatus, Turn, Work};

/// How often something was done, the total time, and when it last ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often.
    pub num: u64,
    /// Total time.
    pub total: Duration,
    /// When the last one ended, in milliseconds since the epoch; 0: never.
    pub last_ms: u64,
}

impl Tally {
    /// Counts one time more.
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

/// Counters of one source since the start.
#[derive(Clone, Debug, Default)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// Average time between polls.
    pub interval: Duration,
    /// Whether it is up.
    pub state: SourceState,
    /// The host and port that sent the last good document.
    pub host: String,
    /// Why the last poll failed, if it did.
    pub failure: Option<String>,
    /// Polls that succeeded.
    pub polls_ok: Tally,
    /// Polls that failed.
    pub polls_failed: Tally,
    /// Starts missed because a poll was still running.
    pub missed: u64,
    /// Metrics in documents.
    pub metrics: u64,
    /// Bytes of documents.
    pub document_bytes: u64,
    /// Bytes received over the network for them.
    pub wire_bytes: u64,
    /// Malformed places in documents, recovered where possible.
    pub damage: u64,
    /// Clusters and grids left out of its last document, as only others may bring them.
    pub left_out: u64,
    /// Time spent reading and storing documents.
    pub busy: Duration,
}

/// Whether a source is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceState {
    /// Its first poll is not complete.
    #[default]
    New,
    /// Its last poll succeeded.
    Up,
    /// Its last poll failed.
    Down,
}

impl SourceState {
    /// As one word.
    pub fn word(self) -> &'static str {
        match self {
            SourceState::New => "new",
            SourceState::Up => "up",
            SourceState::Down => "down",
        }
    }
}

/// Counters of all clients since the start.
#[derive(Clone, Debug, Default)]
pub struct ClientStatus {
    /// Connected now.
    pub connected: usize,
    /// Those of them that have not asked yet, or have their answer.
    pub idle: usize,
    /// Limit of connected clients.
    pub limit: usize,
    /// Clients accepted.
    pub accepted: u64,
    /// Requests on the XML port, answered or aborted.
    pub xml: Tally,
    /// Requests on the interactive port, including HTTP.
    pub interactive: Tally,
    /// HTTP requests among them.
    pub http_requests: u64,
    /// Clients rejected: not trusted.
    pub untrusted: u64,
    /// Clients rejected: limit reached.
    pub crowded_out: u64,
    /// Clients disconnected to make room for others.
    pub made_room: u64,
    /// Clients disconnected before the end of their answer.
    pub faults: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
}

/// Counters of summaries.
#[derive(Clone, Copy, Debug, Default)]
pub struct SummaryStatus {
    /// Summaries of clusters and grids from documents.
    pub clusters: u64,
    /// Summaries of all sources.
    pub root: Tally,
}

/// The longest turn of the event loop, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LongestTurn {
    /// How long it took.
    pub took: Duration,
    /// What it was about, in a word.
    pub work: &'static str,
    /// The source whose document it was about, if any.
    pub source: Option<String>,
}

/// What a plugin wrote to files or to a server.
#[derive(Clone, Debug, Default)]
pub struct OutputReport {
    /// Values written or accepted by the server, and the time spent on that.
    pub sent: Tally,
    /// Values refused or impossible to write.
    pub failed: u64,
    /// Files, keys or the like of a server that refused their last value.
    pub refusing: u64,
    /// Values dropped: the backlog was full, or they came too late.
    pub dropped: u64,
    /// Bytes waiting.
    pub waiting_bytes: u64,
    /// Whether the newest attempt failed.
    pub failing: bool,
    /// Values that a server did not take, and that are sent again.
    pub retried: u64,
    /// How long the oldest values wait for their server.
    pub lag: Duration,
    /// Whether values that should wait on disk wait in memory.
    pub unsaved: bool,
}

/// Counters of RRD files since the start, and the state of their cache now. The writer fills it in,
/// the pages read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RrdStatus {
    /// Values written.
    pub written: u64,
    /// Files created.
    pub created: u64,
    /// Calls that wrote to a file, each with one or more values.
    pub calls: u64,
    /// Those of them that were made because the cache was full.
    pub forced: u64,
    /// Values lost because their file or folder could not be written.
    pub failed: u64,
    /// Files that could not be written the last time.
    pub broken: u64,
    /// Sources that bring more new files than they may have.
    pub limited: u64,
    /// Whether no files are created for want of room.
    pub no_room: bool,
    /// Values skipped because their file has one of the same time.
    pub repeated: u64,
    /// Values refused because their file has newer ones.
    pub refused: u64,
    /// Clusters and grids, including the root, with files that refuse values now.
    pub refusing: u64,
    /// Values in the cache now.
    pub held: u64,
    /// Memory of the cache now, in bytes.
    pub held_bytes: u64,
    /// Bytes written to the journal.
    pub journal_bytes: u64,
    /// Whether there is to be a journal, and it is not written.
    pub journal_fails: bool,
}

/// Alerts that are active.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActiveAlerts {
    /// How many there are.
    pub count: usize,
    /// The first of them, by cluster and host.
    pub first: Vec<ActiveAlert>,
}

/// An alert that is active. Its texts have no control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActiveAlert {
    /// The cluster.
    pub cluster: String,
    /// The host.
    pub host: String,
    /// The metric.
    pub metric: String,
    /// All of it in a line, with the value as it was when it began.
    pub said: String,
    /// When its condition began to hold, in seconds since the epoch.
    pub since: i64,
}

/// The queue to the plugin thread.
#[derive(Clone, Debug, Default)]
pub struct QueueReport {
    /// Updates that wait or are being processed.
    pub length: usize,
    /// Those of them that are held back because the queue is full.
    pub held_back: usize,
    /// Updates replaced by a newer one of the same node, since the start.
    pub replaced: u64,
    /// The plugin whose current call takes too long, and its time.
    pub stalled: Option<(String, Duration)>,
}

/// The contents of the store.
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
    /// Hosts that are up, of the sources that are up, including grids below.
    pub hosts_up: u32,
    /// Hosts of these sources that are down.
    pub hosts_down: u32,
}

/// All that the pages show.
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
    /// Time since the start.
    pub uptime: Duration,
    /// In the order of the configuration.
    pub sources: Vec<SourceStatus>,
    /// Clients of both ports.
    pub clients: ClientStatus,
    /// Summaries.
    pub summaries: SummaryStatus,
    /// The event loop.
    pub turns: LoopStatus,
    /// Its longest turn since the start.
    pub longest_turn: Option<LongestTurn>,
    /// Its longest turn in the last minute.
    pub longest_of_minute: Option<LongestTurn>,
    /// In the order of the chain.
    pub plugins: Vec<PluginStatus>,
    /// Invalid alert rules: the place and the fault of each, in a line.
    pub rules_left_out: Vec<String>,
    /// Alerts that are active.
    pub alerts: ActiveAlerts,
    /// RRD files and their cache.
    pub files: RrdStatus,
    /// The queue to the plugins.
    pub queue: QueueReport,
    /// The contents of the store.
    pub store: StoreSizes,
    /// Statistics of this machine.
    pub host_status: HostStatus,
    /// Statistics of this process.
    pub process: Process,
}

impl Report {
    /// The plugins that write values, with their ids.
    fn outputs(&self) -> impl Iterator<Item = (&str, &OutputReport)> {
        let outputs = self.plugins.iter();
        outputs.filter_map(|plugin| Some((plugin.id.as_str(), plugin.output.as_ref()?)))
    }

    /// What the plugins of these ids wrote.
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
            PluginStatus {
                id: "rrd".into(),
                name: "rrd".into(),
                state: PluginState::Running,
                notified: 4,
                output: Some(OutputReport {
                    sent: tally(30),
                    ..OutputReport::default()
                }),
                ..PluginStatus::default()
            },
            PluginStatus {
                id: "carbon".into(),
                name: "carbon".into(),
                state: PluginState::Running,
                output: Some(OutputReport {
                    sent: tally(12),
                    ..OutputReport::default()
                }),
                ..PluginStatus::default()
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
