//! Plugins for gmetad, the Ganglia Meta Daemon, written in Rust and loaded as shared objects.
//!
//! Depends on nothing but the interface in `gmetad_plugin.h`, so a plugin is built apart from the
//! daemon. A crate of type `cdylib` with a type that is a [`Plugin`] and one [`export_plugin!`] is
//! all there is to it; what it builds goes into the folder that `plugins_dir` names.
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
//! What a plugin is promised, thread by thread and call by call, stands in `gmetad_plugin.h`. The
//! parts that concern memory are kept by the types here: a text that was read cannot outlive the
//! next change of the tree, the tree not the call, and a panic ends in the log, not in the daemon.

pub mod abi;
mod daemon;
#[doc(hidden)]
pub mod export;
mod tree;

use std::time::Duration;

pub use daemon::{Daemon, Directive, Level, Source};
pub use tree::{Kind, Node, Refusal, Summary, Tree};

/// What a plugin can fail with: any error, or a text.
pub type Error = Box<dyn std::error::Error>;

/// Something that wants to see every update.
///
/// All calls come from one thread, one at a time. While one is at work the other plugins wait, but
/// polling and serving do not. An error or a panic costs this plugin one update; ten in a row cost
/// it the rest.
pub trait Plugin: Send + Sized + 'static {
    /// Takes the lines of its section of gmetad.conf, in order, repeats kept; none if there is no
    /// section. An error leaves the plugin out.
    fn create(daemon: Daemon, section: &[Directive]) -> Result<Self, Error>;

    /// Called once before the first update. An error leaves the plugin out.
    fn start(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// A source was polled: its cluster or grid. What is changed is seen by the plugins after this
    /// one, and stored; it is not served.
    fn notify(&mut self, update: &Update, tree: &mut Tree<'_>) -> Result<(), Error>;

    /// All sources that answer were summed up: the root grid.
    fn notify_root(&mut self, update: &Update, tree: &mut Tree<'_>) -> Result<(), Error> {
        let _ = (update, tree);
        Ok(())
    }

    /// Called once, after the last update.
    fn stop(&mut self) {}
}

/// What a call is about, beside the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Name of the data_source, which may bring several nodes, one call each; of the root: empty.
    pub source: String,
    /// How often it is polled on average; of the root: zero.
    pub interval: Duration,
    /// Whether it answered; if not, the tree is what it said last.
    pub up: bool,
    /// When the document ended, in seconds since the epoch by this machine's clock.
    pub now: i64,
}

/// Exports a type as the plugin of this shared object, under an id: its name in the log, in the
/// directive `plugins`, and of its section. The id is of letters, digits, `_`, `-` and `.`.
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
