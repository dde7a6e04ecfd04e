//! What a plugin is to the daemon, and what it is shown: an update, as a snapshot or as a tree.
//!
//! No chain, no thread and no loading: those are the daemon's.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Node, Now, Summary};
use crate::status::ExportCounters;

mod directive;
pub mod tree;

pub use directive::{Directive, Location};
pub use tree::Invented;

/// Something that wants to see every update.
///
/// All calls come from the plugin thread, one at a time. An error or a panic costs this plugin one
/// update; ten in a row cost it the rest.
pub trait Plugin: Send {
    /// That of its section, which may be another plugin's as well, and in the `plugins` directive.
    fn id(&self) -> &str;

    /// The file of plugins_dir that it is; `None`: it is built in.
    fn file(&self) -> Option<&Path> {
        None
    }

    /// Told once, before `configure`: what it is called in the log.
    fn name_is(&mut self, name: &str) {
        let _ = name;
    }

    /// Whether it does what the built-in plugin of this id does, which therefore has to leave it.
    fn replaces(&self, built_in: &str) -> bool {
        let _ = built_in;
        false
    }

    /// Takes its section's lines, in order, repeats kept; none if there is no such section.
    fn configure(&mut self, directives: &[Directive]) -> Result<(), PluginError> {
        let _ = directives;
        Ok(())
    }

    /// Called once, after `configure` and before the first update.
    fn start(&mut self) -> Result<(), PluginError> {
        Ok(())
    }

    /// A source was polled: the update as it came, before any plugin has changed it.
    fn arrived(&mut self, update: &Update) {
        let _ = update;
    }

    /// All sources were summed up: likewise.
    fn root_arrived(&mut self, root: &RootUpdate) {
        let _ = root;
    }

    /// A source was polled. What is put in place of `update.node` is what the plugins after this
    /// one see; nothing of it reaches the store.
    fn notify(&mut self, update: &mut Update) -> Result<(), PluginError>;

    /// All sources were summed up.
    fn notify_root(&mut self, root: &mut RootUpdate) -> Result<(), PluginError> {
        let _ = root;
        Ok(())
    }

    /// Work between updates, of a few hundredths of a second: called after each, and when the time
    /// it has last given has passed without one. `None`: not before the next update.
    fn tick(&mut self) -> Option<Duration> {
        None
    }

    /// Called once, after the last update.
    fn stop(&mut self) {}

    /// What it counts, and for whom, if it sends values on. Asked once, before `configure`.
    fn export(&self) -> Option<(&'static str, Arc<ExportCounters>)> {
        None
    }
}

/// One source's news.
#[derive(Clone, Debug)]
pub struct Update {
    /// Name of the data_source; a source may bring several nodes, one update each.
    pub source: Arc<str>,
    /// How often it is polled on average.
    pub interval: Duration,
    /// Whether it answered; if not, the node is what it last said.
    pub up: bool,
    /// A cluster or a nested grid, shared with the store until a plugin replaces it.
    pub node: Node,
    /// When the document ended.
    pub now: Now,
    /// What earlier plugins made up beside it; empty at first.
    pub invented: Invented,
}

/// The sum of all sources.
#[derive(Clone, Debug)]
pub struct RootUpdate {
    /// `gridname`.
    pub gridname: Arc<str>,
    /// `authority`.
    pub authority: Arc<str>,
    /// Of the sources that answer.
    pub summary: Arc<Summary>,
    /// When it was summed up.
    pub now: Now,
    /// All nodes that there are, in order, each by its data_source and its name.
    pub present: Arc<[(Arc<str>, Box<str>)]>,
    /// What earlier plugins made up beside it; empty at first.
    pub invented: Invented,
}

/// What a plugin can fail with. The log puts its id in front.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// A line of its section.
    #[error("{at}: {name}: {reason}")]
    Directive {
        /// Where it stands.
        at: Location,
        /// The directive.
        name: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// A file, a socket or another thing of the system's.
    #[error("{what}: {cause}")]
    System {
        /// What was tried, on what.
        what: String,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// Anything else, in words.
    #[error("{0}")]
    Failed(String),
}
