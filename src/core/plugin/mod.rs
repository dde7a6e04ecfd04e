//! The interface of plugins, and the updates that they get.
//!
//! No chain, no thread and no loading: those are the daemon's.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use crate::model::Stamp;
use crate::model::{Node, Now, Summary};
use crate::status::ExportCounters;

mod directive;
pub mod tree;

pub use directive::{Directive, Location};
pub use tree::Invented;

/// A receiver of all updates.
///
/// All calls come from the plugin thread, one at a time. A plugin that fails or panics loses that
/// update; after ten failures in a row it is disabled.
pub trait Plugin: Send {
    /// The name of its section and in the `plugins` directive. Plugins may share one.
    fn id(&self) -> &str;

    /// Its file in plugins_dir; `None`: it is built in.
    fn file(&self) -> Option<&Path> {
        None
    }

    /// Called once, before `configure`, with its unique name in the log.
    fn name_is(&mut self, name: &str) {
        let _ = name;
    }

    /// Whether it replaces the built-in plugin of this id.
    fn replaces(&self, built_in: &str) -> bool {
        let _ = built_in;
        false
    }

    /// Takes the lines of its section in order, repeats included; none without a section.
    fn configure(&mut self, directives: &[Directive]) -> Result<(), PluginError> {
        let _ = directives;
        Ok(())
    }

    /// Called once, after `configure` and before the first update.
    fn start(&mut self) -> Result<(), PluginError> {
        Ok(())
    }

    /// Whether it has any use for updates, once it has started. Where no plugin has, none are handed over.
    fn takes_updates(&self) -> bool {
        true
    }

    /// A source was polled: the update before any plugin has changed it.
    fn arrived(&mut self, update: &Update) {
        let _ = update;
    }

    /// All sources were summed: the sums before any plugin has changed them.
    fn root_arrived(&mut self, root: &RootUpdate) {
        let _ = root;
    }

    /// A source was polled. Plugins after this one see its changes of `update.node`; the store does
    /// not.
    fn notify(&mut self, update: &mut Update) -> Result<(), PluginError>;

    /// All sources were summed.
    fn notify_root(&mut self, root: &mut RootUpdate) -> Result<(), PluginError> {
        let _ = root;
        Ok(())
    }

    /// Does work between updates, for a few hundredths of a second. Called after each update, and
    /// after the returned time without one. `None`: after the next update.
    fn tick(&mut self) -> Option<Duration> {
        None
    }

    /// Called once, after the last update.
    fn stop(&mut self) {}

    /// The rows of an export, each with its name and counters: the plugin's own id, or that and more
    /// words for what is shown beside it. Called once, before `configure`.
    fn exports(&self) -> Vec<(Arc<str>, Arc<ExportCounters>)> {
        Vec::new()
    }
}

/// An update of one source.
#[derive(Clone, Debug)]
pub struct Update {
    /// Name of the data_source. A source may have several nodes, with one update each.
    pub source: Arc<str>,
    /// How often it is polled on average.
    pub interval: Duration,
    /// Whether the source answered. If not, the node is from its last answer.
    pub up: bool,
    /// A cluster or a grid below, shared with the store until a plugin changes it.
    pub node: Node,
    /// When the document ended.
    pub now: Now,
    /// When its values are of.
    pub stamp: Stamp,
    /// Attributes that earlier plugins added; empty at first.
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
    /// When they were summed.
    pub now: Now,
    /// All current nodes in order, each with its data_source and name.
    pub present: Arc<[(Arc<str>, Box<str>)]>,
    /// Attributes that earlier plugins added; empty at first.
    pub invented: Invented,
}

/// Why a plugin failed. The log prefixes the plugin's name.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// A line of its section.
    #[error("{at}: {name}: {reason}")]
    Directive {
        /// Its place in the configuration.
        at: Location,
        /// The directive.
        name: String,
        /// What is wrong, and how to correct it.
        reason: String,
    },
    /// An error of the system.
    #[error("{what}: {cause}")]
    System {
        /// The operation and its object.
        what: String,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// Anything else, in words.
    #[error("{0}")]
    Failed(String),
}
