//! Reloads the configuration while the loop keeps running.
//!
//! The files are read on a short-lived thread. What can change at run time is decided in
//! `gmetad_config::reload`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use log::Level;
use mio::Waker;
use nix::unistd::Uid;

use super::Reactor;
use super::shared::{identity, settings};
use super::slot::Slot;
use super::slots::Key;
use super::sources::Source;
use crate::daemon::State;
use crate::logging;
use crate::plugins::parts;
use gmetad_config::Overrides;
use gmetad_config::reload::{Changes, plan};
use gmetad_config::{Config, ConfigErrors, Loaded, Notice, Problem};
use gmetad_core::complaint::span;
use gmetad_core::model::Mono;
use gmetad_core::source::SourceConfig;
use gmetad_core::status::SourceStatus;
use gmetad_core::store::{Reserved, SourceId};
use gmetad_core::timers::Schedule;
use gmetad_core::trust::Trust;

/// Most names listed in one log line; the rest are counted.
const NAMES_TOLD: usize = 8;

/// Most mistakes logged one by one; the rest are counted, since the log queue is bounded.
const MISTAKES_TOLD: usize = 50;

/// A read that takes longer means a disk that does not answer.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// Where the configuration is read from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The file; absolute.
    pub conf: PathBuf,
    /// Command line options, which override the file.
    pub overrides: Overrides,
    /// This machine's name at start, for the default authority.
    pub host_name: String,
}

/// The outcome of a read.
type Reading = Result<Loaded, ConfigErrors>;

/// Whether a read is under way.
#[derive(Debug)]
pub(super) enum Reloading {
    /// None is.
    No,
    /// One is; the waker is called when it has ended.
    Yes {
        outcome: Receiver<Reading>,
        since: Mono,
        /// Another SIGHUP came meanwhile: read once more afterwards.
        again: bool,
    },
}

impl Reactor {
    /// Starts reading the configuration, if there is a file to read.
    pub(super) fn reload(&mut self) {
        let Some(origin) = &self.origin else { return };
        if self.shared.ending.is_some() {
            return;
        }
        if let Reloading::Yes { since, again, .. } = &mut self.reloading {
            let lasted = self.shared.now.mono.since(*since);
            if lasted >= READ_LIMIT {
                logging::insist(
                    Level::Error,
                    format_args!(
                        "reload: {} is being read for {} already; it, or a file that it includes, \
                         is on a disk that does not respond",
                        origin.conf.display(),
                        span(lasted)
                    ),
                );
            }
            *again = true;
            return;
        }
        match read(origin.clone(), Arc::clone(&self.waker)) {
            Ok(outcome) => {
                self.reloading = Reloading::Yes {
                    outcome,
                    since: self.shared.now.mono,
                    again: false,
                };
                self.manager.tell(State::Reloading);
            }
            Err(err) => {
                log::error!(
                    "reload failed, the old configuration stays in force: cannot start a thread: {}",
                    super::reason(&err)
                );
                self.manager.tell(State::Ready);
            }
        }
    }

    /// Applies the configuration once the read has ended.
    pub(super) fn take_configuration(&mut self) {
        let Reloading::Yes { outcome, again, .. } = &self.reloading else {
            return;
        };
        let read = match outcome.try_recv() {
            Ok(read) => Some(read),
            Err(TryRecvError::Empty) => return,
            // The thread has panicked, which is in the log.
            Err(TryRecvError::Disconnected) => None,
        };
        let again = *again;
        self.reloading = Reloading::No;
        if again {
            self.reload();
            return;
        }
        if self.shared.ending.is_some() {
            return;
        }
        match read {
            Some(Ok(loaded)) => self.take(&loaded),
            Some(Err(errors)) => refuse(&errors, &self.shared.config),
            None => log::error!(
                "reload failed, the old configuration stays in force: reading the new one caused a \
                 panic; please report this"
            ),
        }
        self.manager.tell(State::Ready);
    }

    fn take(&mut self, loaded: &Loaded) {
        if loaded.config.sources.is_empty() && !self.shared.config.sources.is_empty() {
            logging::insist(
                Level::Error,
                format_args!(
                    "reload failed, the old configuration stays in force: the new one has no \
                     data_source line and may be incomplete; to poll nothing, restart gmetad"
                ),
            );
            return;
        }
        let changes = plan(&self.shared.config, &loaded.config);
        if changes.has("debug_level") {
            logging::set_level(changes.config.debug_level);
        }
        if changes.has("logfile") {
            logging::log_to(changes.config.logfile.clone());
        }
        for Notice { level, text } in &loaded.notices {
            logging::remark_lines(*level, text);
        }
        self.apply(&changes);
        gmetad_core::life!("{}", told(&changes));
        for name in &changes.later {
            logging::insist(
                Level::Warn,
                format_args!("{name} has changed; it takes effect at the next start"),
            );
        }
    }

    fn apply(&mut self, changes: &Changes) {
        let config = &changes.config;
        self.apply_to_sources(changes);
        let shared = &mut self.shared;
        let before = std::mem::replace(&mut shared.config, config.clone());
        shared.set_most_clients();
        let new_identity = identity(config);
        if new_identity != identity(&before) {
            shared.store.set_identity(new_identity);
        }
        let new_settings = settings(config);
        if new_settings != settings(&before) {
            shared.store.set_settings(new_settings);
        }
        if config.trust != before.trust {
            shared.trust = Trust::new(&config.trust).with_addresses_of(&shared.trust);
            shared.look_up_names();
        }
        shared.set_access();
        // The set of sources may differ, so the root summary is out of date.
        shared.sum_now();
    }

    fn apply_to_sources(&mut self, changes: &Changes) {
        let now = self.shared.now.mono;
        let mut keys = self.sources_by_name();
        for name in &changes.removed {
            if let Some(key) = keys.remove(name.as_str()) {
                self.remove_source(key);
            }
        }
        // New and changed sources are polled soon, but spread over time.
        let count = changes.added.len() + changes.changed.len();
        for (at, source) in changes.changed.iter().enumerate() {
            if let Some(key) = keys.get(source.name.as_str()) {
                self.change_source(*key, source, at, count);
            }
        }
        for (at, source) in changes.added.iter().enumerate() {
            let key = self.add_source(source, at, count, now);
            keys.insert(source.name.as_str().into(), key);
        }
        let ids = changes.config.sources.iter().filter_map(|source| {
            match self.slots.get_mut(*keys.get(source.name.as_str())?) {
                Some(Slot::Source(source)) => Some(source.id),
                _ => None,
            }
        });
        let order: Vec<SourceId> = ids.collect();
        self.shared.store.begin_order(order);
        self.shared.storing.push_back(None);
        self.reserve_names(&changes.config);
    }

    /// Tells the store which sources alone may bring which clusters.
    fn reserve_names(&mut self, config: &Config) {
        let mut reserved = Reserved::default();
        for slot in self.slots.iter() {
            let Slot::Source(source) = slot else { continue };
            let given = config.source_clusters.iter();
            let its = given.filter(|it| *it.source == *source.name);
            for name in its.flat_map(|it| &it.clusters) {
                reserved.add(name, source.id);
            }
        }
        self.shared.store.set_reserved(reserved);
    }

    fn sources_by_name(&self) -> HashMap<Arc<str>, Key> {
        let sources = self.slots.iter().filter_map(|slot| match slot {
            Slot::Source(source) => Some((Arc::clone(&source.name), source.key())),
            _ => None,
        });
        sources.collect()
    }

    /// Adds all sources of the configuration.
    pub(super) fn add_sources(&mut self) {
        let now = self.shared.now.mono;
        let sources = self.shared.config.sources.clone();
        for (at, source) in sources.iter().enumerate() {
            // For one round, all start at once.
            let at = if self.shared.once { 0 } else { at };
            self.add_source(source, at, sources.len(), now);
        }
        let config = self.shared.config.clone();
        self.reserve_names(&config);
    }

    /// Adds a source, number `at` of `count` new ones.
    fn add_source(&mut self, config: &SourceConfig, at: usize, count: usize, now: Mono) -> Key {
        let shared = &mut self.shared;
        let schedule = Schedule::new(config.interval, shared.random.split());
        let first_start = schedule.first(at, count, now);
        let machine = gmetad_core::poll::Poll::new(config, schedule, first_start);
        let id = shared.store.add_source();
        let status = SourceStatus {
            name: config.name.clone(),
            interval: config.interval,
            ..SourceStatus::default()
        };
        if id.0 < shared.sources.len() {
            shared.sources[id.0] = status;
        } else {
            shared.sources.push(status);
        }
        let deadline = machine.deadline();
        let key = self
            .slots
            .add_with(|key| Slot::Source(Box::new(Source::new(id, config, machine, key))));
        shared.set_deadline(key, deadline);
        key
    }

    fn remove_source(&mut self, key: Key) {
        let now = self.shared.now.mono;
        let Some(Slot::Source(source)) = self.slots.get_mut(key) else {
            return;
        };
        let shared = &mut self.shared;
        source.machine.stop();
        // Returns its parser to the store if a poll is under way.
        source.act(shared);
        let id = source.id;
        // After what it has brought so far. Its data may be much, and those of others with it.
        shared.store.begin_removal(id, now);
        shared.storing.push_back(None);
        self.remove(key);
    }

    fn change_source(&mut self, key: Key, config: &SourceConfig, at: usize, count: usize) {
        let Some(Slot::Source(source)) = self.slots.get_mut(key) else {
            return;
        };
        let shared = &mut self.shared;
        let now = shared.now.mono;
        let schedule = Schedule::new(config.interval, shared.random.split());
        let soon = schedule.first(at, count, now);
        source.interval = config.interval;
        source.machine.change(config, schedule, soon, now);
        source.act(shared);
        shared.set_deadline(key, source.machine.deadline());
        shared.status_of(source.id).interval = config.interval;
    }
}

/// Wakes the loop when the thread that holds it ends, by a panic too.
struct WakeAtEnd(Arc<Waker>);

impl Drop for WakeAtEnd {
    fn drop(&mut self) {
        // If the loop cannot be woken, it is ending.
        let _ = self.0.wake();
    }
}

/// Reads the configuration on a thread of its own, since a disk may block.
fn read(origin: Origin, waker: Arc<Waker>) -> std::io::Result<Receiver<Reading>> {
    let (sender, outcome) = channel();
    thread::Builder::new()
        .name("reload".into())
        .spawn(move || {
            let _wake = WakeAtEnd(waker);
            // Dropped before the loop is woken, so the loop sees that nothing more will come.
            let sender = sender;
            let Origin {
                conf,
                overrides,
                host_name,
            } = origin;
            // Fails only if the loop is gone.
            let _ = sender.send(parts::load(&conf, &overrides, &host_name));
        })?;
    Ok(outcome)
}

/// Logs why the configuration is not applied.
fn refuse(errors: &ConfigErrors, running: &Config) {
    // At any level: whoever sent the signal believes that the new configuration is active.
    for error in errors.errors.iter().take(MISTAKES_TOLD) {
        for line in error.to_string().lines() {
            logging::insist(Level::Error, format_args!("{line}"));
        }
    }
    let left = errors.errors.len().saturating_sub(MISTAKES_TOLD);
    if left > 0 {
        logging::insist(
            Level::Error,
            format_args!("and {left} more errors; gmetad -t lists all of them"),
        );
    }
    let unreadable = errors.errors.iter().any(|error| {
        matches!(
            error.problem,
            Problem::Unreadable { .. } | Problem::Unsearchable { .. }
        )
    });
    let user = running
        .setuid_username
        .as_ref()
        .filter(|_| unreadable && !Uid::effective().is_root());
    let hint = user.map_or(String::new(), |user| {
        format!("; gmetad runs as user {user}, who must be able to read it")
    });
    logging::insist(
        Level::Error,
        format_args!("reload failed, the old configuration stays in force{hint}"),
    );
}

/// The applied changes in one line.
fn told(changes: &Changes) -> String {
    if changes.is_empty() {
        return "configuration reloaded: nothing has changed".into();
    }
    let of = |sources: &[SourceConfig]| -> Vec<String> {
        sources
            .iter()
            .map(|it| format!("\"{}\"", it.name))
            .collect()
    };
    let removed: Vec<String> = (changes.removed.iter())
        .map(|name| format!("\"{name}\""))
        .collect();
    let applied: Vec<String> = changes.applied.iter().map(ToString::to_string).collect();
    let mut parts = Vec::new();
    for (what, names) in [
        ("sources added", of(&changes.added)),
        ("sources changed", of(&changes.changed)),
        ("sources removed", removed),
        ("directives changed", applied),
    ] {
        if !names.is_empty() {
            parts.push(format!("{what}: {}", listed(&names)));
        }
    }
    if parts.is_empty() {
        parts.push("sources reordered".into());
    }
    format!("configuration reloaded; {}", parts.join("; "))
}

fn listed(names: &[String]) -> String {
    let told = names[..names.len().min(NAMES_TOLD)].join(", ");
    match names.len().saturating_sub(NAMES_TOLD) {
        0 => told,
        left => format!("{told} and {left} more"),
    }
}
