//! What the loop may know of the plugin thread without waiting for it: counters.
//!
//! No rules here: both sides only add up and read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gmetad_core::plugin::Plugin;
use gmetad_core::status::{ExportCounters, ExportStatus};

/// Shared by the loop and the plugin thread.
#[derive(Debug, Default)]
pub struct Status {
    /// Events in the channel or in work.
    pub(super) sent: AtomicUsize,
    /// Memory that the events in the channel or in work keep, about.
    pub(super) bytes: AtomicUsize,
    /// Set by the loop while it holds events back; cleared by the thread, which then wakes it.
    pub(super) held_back: AtomicBool,
    /// Place of the plugin in work, counted from 1; 0 while the chain is idle.
    pub(super) busy: AtomicUsize,
    /// Counts calls, so that two moments in one call can be told from two calls.
    pub(super) calls: AtomicU64,
    /// Set when the chain has been stopped.
    pub(super) ended: AtomicBool,
    /// In the order of the chain.
    pub(super) plugins: Vec<Counters>,
    /// Of the plugins that send values on: to whom, and what they count.
    pub(super) exports: Vec<(&'static str, Arc<ExportCounters>)>,
}

/// Of one plugin.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) id: Box<str>,
    pub(super) state: AtomicU8,
    pub(super) notified: AtomicU64,
    pub(super) failed: AtomicU64,
    busy_us: AtomicU64,
    last_ms: AtomicU64,
}

impl Counters {
    pub(super) fn new(id: &str) -> Counters {
        Counters {
            id: id.into(),
            state: AtomicU8::new(PluginState::Starting as u8),
            notified: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            busy_us: AtomicU64::new(0),
            last_ms: AtomicU64::new(0),
        }
    }

    /// Counts an update that is done.
    pub(super) fn count(&self, took: Duration) {
        // A clock set before 1970 gives the time of day as 1970.
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.notified.fetch_add(1, Ordering::Relaxed);
        self.busy_us
            .fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        self.last_ms
            .store(now.as_millis() as u64, Ordering::Relaxed);
    }

    pub(super) fn set_state(&self, state: PluginState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }
}

/// Where a plugin is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginState {
    /// Not configured and started yet.
    Starting = 0,
    /// Sees every update.
    Running = 1,
    /// Could not be configured or started; sees nothing.
    Refused = 2,
    /// Failed too often in a row; sees nothing any more.
    Disabled = 3,
    /// Has ended in good order.
    Stopped = 4,
}

impl PluginState {
    fn from_u8(state: u8) -> PluginState {
        match state {
            1 => PluginState::Running,
            2 => PluginState::Refused,
            3 => PluginState::Disabled,
            4 => PluginState::Stopped,
            _ => PluginState::Starting,
        }
    }
}

/// How one plugin does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginStatus {
    /// Its name.
    pub id: String,
    /// Whether it takes part.
    pub state: PluginState,
    /// Updates it has seen, of sources and of the root.
    pub notified: u64,
    /// Updates that ended in an error or a panic.
    pub failed: u64,
    /// Time spent in it.
    pub busy: Duration,
    /// When the last update was done, in milliseconds since the epoch; 0: never.
    pub last_ms: u64,
}

/// How the queue to the plugin thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueStatus {
    /// Updates that wait or are in work.
    pub length: usize,
    /// Those of them that found no room with the thread yet.
    pub held_back: usize,
    /// Updates that a newer one has replaced, of the same node or for want of room, since the start.
    pub replaced: u64,
}

impl Status {
    pub(super) fn new<'a>(plugins: impl Iterator<Item = &'a dyn Plugin>) -> Status {
        let mut status = Status::default();
        for plugin in plugins {
            status.plugins.push(Counters::new(plugin.id()));
            status.exports.extend(plugin.export());
        }
        status
    }

    pub(super) fn exports(&self) -> Vec<ExportStatus> {
        self.exports
            .iter()
            .map(|(id, counters)| counters.status(id))
            .collect()
    }

    pub(super) fn plugins(&self) -> Vec<PluginStatus> {
        self.plugins
            .iter()
            .map(|plugin| PluginStatus {
                id: plugin.id.to_string(),
                state: PluginState::from_u8(plugin.state.load(Ordering::Relaxed)),
                notified: plugin.notified.load(Ordering::Relaxed),
                failed: plugin.failed.load(Ordering::Relaxed),
                busy: Duration::from_micros(plugin.busy_us.load(Ordering::Relaxed)),
                last_ms: plugin.last_ms.load(Ordering::Relaxed),
            })
            .collect()
    }
}
