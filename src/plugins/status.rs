//! Counters of the plugin thread, which the loop reads without waiting for it.
//!
//! No rules here: both sides only count and read.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gmetad_core::plugin::Plugin;
use gmetad_core::status::{ExportCounters, ExportStatus, PluginState, PluginStatus};

use super::alert::Board;
use super::file_name;
use super::parts::loader::LeftOut;

/// Sentinel for `busy`: a file is being loaded.
const LOADING: usize = usize::MAX;

/// Shared by the loop and the plugin thread.
#[derive(Debug, Default)]
pub struct Status {
    /// Events in the channel or in work.
    pub(super) sent: AtomicUsize,
    /// Approximate memory that the events in the channel or in work keep.
    pub(super) bytes: AtomicUsize,
    /// Set by the loop while it holds events back; cleared by the thread, which then wakes it.
    pub(super) held_back: AtomicBool,
    /// No plugin that runs has any use for updates, so the loop hands none over.
    pub(super) idle: AtomicBool,
    /// Place of the plugin in work, counted from 1; 0 while the chain is idle.
    busy: AtomicUsize,
    /// Number of calls, which tells two looks at one call from looks at two calls.
    calls: AtomicU64,
    /// Set when the chain has been stopped.
    pub(super) ended: AtomicBool,
    /// The file that is being loaded, before there is a chain.
    loading: Mutex<String>,
    /// Set once all files are loaded.
    roster: OnceLock<Roster>,
    /// Alerts that are active.
    pub(super) alerts: Arc<Board>,
}

/// All plugins that there are.
#[derive(Debug)]
struct Roster {
    /// In the order of the chain, followed by the files that could not be loaded.
    plugins: Vec<Counters>,
    /// Of the plugins that send values on: the name of each row and its counters.
    exports: Vec<(Arc<str>, Arc<ExportCounters>)>,
}

/// Counters of one plugin.
#[derive(Debug)]
pub(super) struct Counters {
    id: Box<str>,
    name: Box<str>,
    file: Option<Box<str>>,
    state: AtomicU8,
    /// Why it is in that state, where that is known.
    reason: Mutex<Option<Box<str>>>,
    pub(super) notified: AtomicU64,
    pub(super) failed: AtomicU64,
    busy_us: AtomicU64,
    last_ms: AtomicU64,
}

impl Counters {
    fn new(id: &str, name: &str, file: Option<&Path>) -> Counters {
        Counters {
            id: id.into(),
            name: name.into(),
            file: file.map(|file| file.display().to_string().into()),
            state: AtomicU8::new(PluginState::Starting as u8),
            reason: Mutex::default(),
            notified: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            busy_us: AtomicU64::new(0),
            last_ms: AtomicU64::new(0),
        }
    }

    /// Counts an update that is done.
    pub(super) fn count(&self, took: Duration) {
        // A clock set before 1970 counts as 1970.
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
        self.set_state_for(state, None);
    }

    /// Sets the state with its reason.
    pub(super) fn set_state_for(&self, state: PluginState, reason: Option<&str>) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason.map(Into::into);
        self.state.store(state as u8, Ordering::Relaxed);
    }
}

/// The state of this number, as `state as u8` has it.
fn state_of(number: u8) -> PluginState {
    let all = [
        PluginState::Running,
        PluginState::Refused,
        PluginState::Disabled,
        PluginState::Stopped,
        PluginState::NotLoaded,
        PluginState::Replaced,
    ];
    let found = all.into_iter().find(|it| *it as u8 == number);
    found.unwrap_or(PluginState::Starting)
}

/// The queue to the plugin thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueStatus {
    /// Updates that wait or are in work.
    pub length: usize,
    /// Those of them that do not fit into the channel yet.
    pub held_back: usize,
    /// Updates dropped since the start: replaced by a newer one of the same node, or for want of
    /// room.
    pub replaced: u64,
}

impl Status {
    /// Sets the plugins, with their names; once.
    pub(super) fn set_plugins<'a>(
        &self,
        plugins: impl Iterator<Item = (&'a str, &'a dyn Plugin)>,
        left_out: &[LeftOut],
    ) {
        let mut roster = Roster {
            plugins: Vec::new(),
            exports: Vec::new(),
        };
        for (name, plugin) in plugins {
            let counters = Counters::new(plugin.id(), name, plugin.file());
            roster.plugins.push(counters);
            roster.exports.extend(plugin.exports());
        }
        for LeftOut { file, reason } in left_out {
            let id = file_name(file);
            let is_taken = roster.plugins.iter().any(|it| *it.name == *id);
            let name = if is_taken {
                format!("{id} (left out)")
            } else {
                id.clone()
            };
            let counters = Counters::new(&id, &name, Some(file));
            counters.set_state_for(PluginState::NotLoaded, Some(reason));
            roster.plugins.push(counters);
        }
        // There is one chain.
        let _ = self.roster.set(roster);
    }

    /// The counters of the plugin at that place of the chain.
    pub(super) fn counters(&self, place: usize) -> &Counters {
        &self.all()[place]
    }

    fn all(&self) -> &[Counters] {
        self.roster.get().map_or(&[], |roster| &roster.plugins)
    }

    /// A call into the plugin at that place begins.
    pub(super) fn begin(&self, place: usize) {
        self.calls.fetch_add(1, Ordering::Release);
        self.busy.store(place + 1, Ordering::Release);
    }

    /// A file is being loaded.
    pub(super) fn begin_loading(&self, file: &Path) {
        *self.loading.lock().unwrap_or_else(PoisonError::into_inner) = file_name(file);
        self.calls.fetch_add(1, Ordering::Release);
        self.busy.store(LOADING, Ordering::Release);
    }

    /// The call or the loading is over.
    pub(super) fn end(&self) {
        self.busy.store(0, Ordering::Release);
    }

    /// The number of the call that is being made, and the plugin's or the file's name.
    pub(super) fn at_work(&self) -> Option<(u64, String)> {
        let calls = self.calls.load(Ordering::Acquire);
        let name = match self.busy.load(Ordering::Acquire) {
            0 => return None,
            LOADING => {
                let loading = self.loading.lock();
                let file = loading.unwrap_or_else(PoisonError::into_inner);
                format!("{file} (being loaded)")
            }
            place => self.all().get(place - 1)?.name.to_string(),
        };
        Some((calls, name))
    }

    pub(super) fn exports(&self) -> Vec<ExportStatus> {
        let all = self.roster.get().map_or(&[][..], |roster| &roster.exports);
        let status = |(id, counters): &(Arc<str>, Arc<ExportCounters>)| counters.status(id);
        all.iter().map(status).collect()
    }

    /// All plugins. What they wrote is added by who knows it.
    pub(super) fn plugins(&self) -> Vec<PluginStatus> {
        let reason = |plugin: &Counters| {
            let reason = plugin.reason.lock();
            let reason = reason.unwrap_or_else(PoisonError::into_inner);
            reason.as_deref().map(str::to_owned)
        };
        self.all()
            .iter()
            .map(|plugin| PluginStatus {
                id: plugin.id.to_string(),
                name: plugin.name.to_string(),
                file: plugin.file.as_deref().map(str::to_owned),
                state: state_of(plugin.state.load(Ordering::Relaxed)),
                reason: reason(plugin),
                notified: plugin.notified.load(Ordering::Relaxed),
                failed: plugin.failed.load(Ordering::Relaxed),
                busy: Duration::from_micros(plugin.busy_us.load(Ordering::Relaxed)),
                last_ms: plugin.last_ms.load(Ordering::Relaxed),
                output: None,
            })
            .collect()
    }
}
