//! The plugins: a chain that sees every update, on a thread of its own.
//!
//! The loop never waits for them: it hands snapshots to a [`PluginHandle`] and goes on.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use chain::Chain;
use gmetad_config::Config;
use parts::export::EXPORTS;
use parts::rrd::{HistoryReader, RrdCounters, RrdcachedServer};
use parts::{loader, rrd};
use status::Status;

mod alert;
mod chain;
mod history;
mod names;
pub mod parts;
mod queue;
mod rehearsal;
mod status;
mod worker;

pub use history::{HistoryAnswer, HistoryRequest};
pub use names::{PluginFiles, UnusedName, unused_names};
pub use queue::PluginHandle;
pub use rehearsal::{RehearsalError, rehearse};
pub use status::QueueStatus;

/// Wakes the loop, which then calls [`PluginHandle::pump`].
pub type Waker = Box<dyn Fn() + Send>;

/// The usual stack of a program's first thread. Python's limit of recursion is made for that size;
/// memory that is not used costs nothing.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// Starts the plugin thread with the chain that the configuration asks for.
///
/// Plugins are loaded, configured and started on that thread, so this returns at once, and a plugin
/// that hangs holds up only other plugins. One that fails is logged and left out. The thread calls
/// `waker` when a full queue has room again, and when all plugins have been stopped. Fails only
/// where the system gives no thread.
pub fn start(config: &Config, waker: Waker) -> io::Result<PluginHandle> {
    let counters = Arc::<RrdCounters>::default();
    let files = rrd::parts(config, &counters);
    let mut built_in = Vec::from(files.plugins);
    built_in.extend(EXPORTS.iter().filter_map(|export| export.plugin(config)));
    if config.plugins_dir.is_some() {
        loader::watch();
    }
    let queue_bytes = config.queue_bytes;
    let config = config.clone();
    let chain = move |status: &Arc<Status>| {
        let (mut plugins, left_out) = loader::load_all(&config, &|file| match file {
            Some(file) => status.begin_loading(file),
            None => status.end(),
        });
        // First of ours, so that an alert does not wait for files.
        plugins.extend(alert::plugin(&config, &status.alerts));
        plugins.extend(built_in);
        Chain::new(&config, plugins, &left_out, Arc::clone(status))
    };
    let readers = (files.server, files.history);
    start_chain(queue_bytes, chain, readers, counters, waker)
}

/// Whether RRD files are written, by the built-in plugins or by a plugin in a file.
pub fn write_rrd_files(config: &Config) -> bool {
    let is_for_files = |name: &String| name.to_ascii_lowercase().starts_with("rrd");
    let names = config.plugins.as_ref();
    config.rrd.write && names.is_none_or(|names| names.iter().any(is_for_files))
}

/// Whether something that is configured may start programs, which may have to be setuid: sendmail is,
/// and only its author knows what a plugin in a file does.
pub fn may_start_programs(config: &Config) -> bool {
    let alert = config.alert.as_ref();
    let alerts = alert.is_some_and(|it| !it.to.is_empty() || !it.command.is_empty());
    alerts || config.plugins_dir.is_some()
}

/// A file's name, without its folder.
fn file_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or(file.as_os_str());
    name.to_string_lossy().into_owned()
}

/// `1 failure`, `2 failures`.
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn start_chain(
    queue_bytes: usize,
    chain: impl FnOnce(&Arc<Status>) -> Chain + Send + 'static,
    (server, reader): (RrdcachedServer, HistoryReader),
    counters: Arc<RrdCounters>,
    waker: Waker,
) -> io::Result<PluginHandle> {
    let status = Arc::<Status>::default();
    let shared = Arc::clone(&status);
    let (sender, events) = sync_channel(queue::CHANNEL_EVENTS);
    let (requests, asked) = channel();
    let (answered, answers) = channel();
    let service = worker::RrdcachedService {
        server,
        requests: asked,
        answers: answered,
    };
    let (questions, questioned) = channel();
    let (read, histories) = channel();
    let history = history::HistoryService::new(reader, questioned, read);
    let thread = thread::Builder::new()
        .name("plugins".into())
        .stack_size(STACK_BYTES)
        .spawn(move || worker::run(chain(&shared), &events, service, history, &waker))?;
    let channels = queue::Channels {
        rrdcached: queue::RrdcachedChannel { requests, answers },
        questions,
        histories,
    };
    Ok(PluginHandle::new(
        queue_bytes,
        sender,
        channels,
        status,
        counters,
        thread,
    ))
}
