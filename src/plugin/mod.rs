//! What is done with every update beside serving it: plugins, in a chain, on a thread of their own.
//!
//! The loop does not wait for any of it: it hands snapshots to a [`PluginHandle`] and goes on.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;
use std::time::Duration;

use crate::config::{Config, Directive, Location};
use crate::model::{Node, Now, Summary};
use carbon::Carbon;
use chain::Chain;
use memcached::Memcached;
use riemann::Riemann;
use rrd::{PortDesk, RrdCounters};
use status::Status;

mod alert;
mod carbon;
mod chain;
mod export;
mod memcached;
mod queue;
mod rehearsal;
mod riemann;
pub mod rrd;
pub mod shared_object;
mod status;
pub mod tree;
mod worker;

pub use export::ExportStatus;
pub use queue::PluginHandle;
pub use rehearsal::{RehearsalError, rehearse};
pub use shared_object::LoadError;
pub use status::{PluginState, PluginStatus, QueueStatus};
pub use tree::Invented;

/// Wakes the loop, which then calls [`PluginHandle::pump`].
pub type Waker = Box<dyn Fn() + Send>;

/// As a program's first thread has it, by which Python measures how deep it may go before it raises
/// RecursionError; what is not used costs nothing.
const STACK_BYTES: usize = 8 * 1024 * 1024;

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
    fn export(&self) -> Option<(&'static str, Arc<export::Counters>)> {
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

/// Starts the plugin thread with the chain that the configuration asks for.
///
/// Plugins are loaded, configured and started on it, so this returns at once, and one that hangs
/// keeps nobody but the others; one that cannot is named in the log and left out. `waker` is called from there when a queue that was full has room again,
/// and when all has ended. Fails only where the system gives no thread.
pub fn start(config: &Config, waker: Waker) -> io::Result<PluginHandle> {
    let counters = Arc::new(RrdCounters::default());
    // An alert does not wait for files.
    let mut built_in = Vec::from_iter(alert::plugin(config));
    let (files, desk) = rrd::plugins(config, &counters);
    built_in.extend(files);
    built_in.extend(exports(config));
    let config = config.clone();
    let chain = move |status: &Arc<Status>| {
        let (mut plugins, left_out) = shared_object::load_all(&config, status);
        plugins.extend(built_in);
        Chain::new(&config, plugins, &left_out, Arc::clone(status))
    };
    start_chain(chain, desk, counters, waker)
}

/// A file's name, without its folder.
fn file_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or(file.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The plugins that send values on, as far as they are configured.
fn exports(config: &Config) -> impl Iterator<Item = Box<dyn Plugin>> {
    let carbon = Carbon::new(&config.exports).map(|it| Box::new(it) as Box<dyn Plugin>);
    let memcached = Memcached::new(&config.exports).map(|it| Box::new(it) as Box<dyn Plugin>);
    let riemann = Riemann::new(config).map(|it| Box::new(it) as Box<dyn Plugin>);
    [carbon, memcached, riemann].into_iter().flatten()
}

fn start_chain(
    chain: impl FnOnce(&Arc<Status>) -> Chain + Send + 'static,
    desk: PortDesk,
    counters: Arc<RrdCounters>,
    waker: Waker,
) -> io::Result<PluginHandle> {
    let status = Arc::<Status>::default();
    let shared = Arc::clone(&status);
    let (sender, events) = sync_channel(queue::CHANNEL_EVENTS);
    let (requests, asked) = channel();
    let (answered, answers) = channel();
    let port = worker::Port {
        desk,
        requests: asked,
        answers: answered,
    };
    let thread = thread::Builder::new()
        .name("plugins".into())
        .stack_size(STACK_BYTES)
        .spawn(move || worker::run(chain(&shared), &events, port, &waker))?;
    let port = queue::PortEnd { requests, answers };
    Ok(PluginHandle::new(sender, port, status, counters, thread))
}
