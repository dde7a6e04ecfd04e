//! The state of a plugin, as far as the pages tell it.
//!
//! No rules here: who changes a state decides it.

use std::time::Duration;

use super::OutputReport;

/// Where a plugin is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PluginState {
    /// Not configured and started yet.
    #[default]
    Starting,
    /// Sees every update.
    Running,
    /// Could not be configured or started; sees nothing.
    Refused,
    /// Failed too often in a row; sees nothing until the next start.
    Disabled,
    /// Was stopped when the daemon ended.
    Stopped,
    /// A file that could not be loaded.
    NotLoaded,
    /// Built in, and sees nothing: a plugin in plugins_dir writes the same files.
    Replaced,
}

impl PluginState {
    /// In a few words.
    pub fn word(self) -> &'static str {
        match self {
            PluginState::Starting => "starting",
            PluginState::Running => "running",
            PluginState::Refused => "left out: it could not be configured or started",
            PluginState::Disabled => "disabled: it failed too often in a row",
            PluginState::Stopped => "stopped",
            PluginState::NotLoaded => "left out: it could not be loaded",
            PluginState::Replaced => "replaced: a file of plugins_dir writes its files",
        }
    }

    /// Whether the plugin works, or is not expected to.
    pub fn is_well(self) -> bool {
        match self {
            PluginState::Starting
            | PluginState::Running
            | PluginState::Stopped
            | PluginState::Replaced => true,
            PluginState::Refused | PluginState::Disabled | PluginState::NotLoaded => false,
        }
    }
}

/// The state and counters of one plugin.
#[derive(Clone, Debug, Default)]
pub struct PluginStatus {
    /// The id of its section; of a file that could not be loaded, the file's name.
    pub id: String,
    /// Its unique name in the log: its id, with its file's name where another plugin has the same
    /// id.
    pub name: String,
    /// The file it was loaded from; `None` if it is built in.
    pub file: Option<String>,
    /// Whether it takes part.
    pub state: PluginState,
    /// Why it was left out, disabled or replaced.
    pub reason: Option<String>,
    /// Updates it has seen, of sources and of the root.
    pub notified: u64,
    /// Updates that ended in an error or a panic.
    pub failed: u64,
    /// Time spent in it.
    pub busy: Duration,
    /// When the last update was done, in milliseconds since the epoch; 0: never.
    pub last_ms: u64,
    /// What it wrote, if it is a writer.
    pub output: Option<OutputReport>,
}
