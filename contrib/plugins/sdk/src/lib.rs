//! Plugins for gmetad, the Ganglia Meta Daemon, written in Rust and loaded as shared objects.
//!
//! It depends only on the interface in `gmetad_plugin.h`, so a plugin is built without the daemon. A
//! plugin is a crate of type `cdylib` with a type that implements [`Plugin`] and one
//! [`export_plugin!`]. Copy the library that it builds into the directory that `plugins_dir` names.
//!
//! ```
//! use gmetad_plugin::{Daemon, Directive, Error, Plugin, Tree, Update, export_plugin};
//!
//! struct CountHosts(Daemon);
//!
//! impl Plugin for CountHosts {
//!     fn create(daemon: Daemon, _section: &[Directive]) -> Result<Self, Error> {
//!         Ok(CountHosts(daemon))
//!     }
//!
//!     fn notify(&mut self, update: &Update, tree: &mut Tree<'_>) -> Result<(), Error> {
//!         let hosts = tree.children(tree.top()).len();
//!         self.0.info(format_args!("{} has {hosts} hosts", update.source));
//!         Ok(())
//!     }
//! }
//!
//! export_plugin!("count_hosts", CountHosts);
//! ```
//!
//! `gmetad_plugin.h` documents threads and calls. The types here keep its rules about memory: text
//! cannot be used after the tree has changed, nor the tree after the call. A panic is logged and does
//! not end the daemon.

pub mod abi;
mod daemon;
#[doc(hidden)]
pub mod export;
mod tree;

use std::time::Duration;

pub use daemon::{Daemon, Directive, Level, Source};
pub use tree::{Kind, Node, Refusal, Summary, Tree};

/// The error of a plugin: any error, or a text.
pub type Error = Box<dyn std::error::Error>;

/// A plugin, called with every update.
///
/// All calls come from one thread, one at a time. The other plugins wait meanwhile; polling and
/// serving do not. After an error or a panic the plugin misses one update; ten in a row disable it.
pub trait Plugin: Send + Sized + 'static {
    /// Gets the lines of its section of gmetad.conf, in order, with repeated ones; none if there is no
    /// section. After an error the plugin does not run.
    fn create(daemon: Daemon, section: &[Directive]) -> Result<Self, Error>;

    /// Called once before the first update. After an error the plugin does not run.
    fn start(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// A source was polled: its cluster or grid. The plugins after this one see the changes, which
    /// are stored but not served.
    fn notify(&mut self, update: &Update, tree: &mut Tree<'_>) -> Result<(), Error>;

    /// All sources that answer were summarised: the root grid.
    fn notify_root(&mut self, update: &Update, tree: &mut Tree<'_>) -> Result<(), Error> {
        let _ = (update, tree);
        Ok(())
    }

    /// Called once, after the last update.
    fn stop(&mut self) {}
}

/// The update of a call, besides the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Name of the data_source, which may have several nodes, one call each; of the root: empty.
    pub source: String,
    /// Average time between two polls; of the root: zero.
    pub interval: Duration,
    /// Whether it answered; if not, the tree has its last known state.
    pub up: bool,
    /// When the document ended, in seconds since the epoch, by this machine's clock.
    pub now: i64,
}

/// Exports a type as the plugin of this shared object, with an id: its name in the log and in the
/// directive `plugins`, and the name of its section. An id has letters, digits, `_`, `-` and `.`.
#[macro_export]
macro_rules! export_plugin {
    ($id:literal, $plugin:ty) => {
        #[doc(hidden)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn gmetad_get_plugin(
            _api: *const $crate::abi::Api,
            _file: $crate::abi::Text,
        ) -> *const $crate::abi::Plugin {
            static TABLE: $crate::export::Table = $crate::export::table::<$plugin>($id);
            TABLE.get()
        }
    };
}
