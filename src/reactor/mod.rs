//! The event loop: waits for sockets, deadlines, signals and other threads, and does what the core
//! decides.
//!
//! Blocks in one place only, and does a bounded amount of work between two waits.

mod admission;
mod arrivals;
mod bind;

mod chores;
mod clients;
mod clock;
mod handing;
mod limits;
mod listen;
mod moments;
mod names;
mod nuisance;
mod oddities;
mod once;
mod reload;
mod report;
mod resolver;
mod rooms;
#[cfg(feature = "rrd")]
mod rrdcached;
#[cfg(not(feature = "rrd"))]
#[path = "no_rrdcached.rs"]
mod rrdcached;
mod shared;
mod slot;
mod slots;
mod sources;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Waker};
use signal_hook::consts::{SIGHUP, SIGINT, SIGUSR1};
use signal_hook_mio::v1_0::Signals;
use thiserror::Error;

use crate::daemon::Manager;
use crate::host::Sampler;
use crate::{logging, plugins};
use gmetad_core::status::Work;

pub use bind::{BindError, try_port};
pub use once::{Brought, Round, SourceRound};
pub use reload::Origin;
use reload::Reloading;
use resolver::Asker;
use shared::Shared;
use slot::{Slot, Slots};
use slots::{Key, Lane, Turn};

/// Bytes read from or written to one connection before others have their turn.
const TURN_BYTES: usize = 64 << 10;

/// Prompt turns served per bulk turn, so that a flood of questions does not stop the polls.
const PROMPT_TURNS: usize = 32;

/// Most events taken per wait.
const EVENTS: usize = 256;

/// Kinds of work that are not prompt. A piece of one of them is done between two waits.
#[derive(Clone, Copy, Debug)]
enum Bulk {
    /// A document that is read or written.
    Turn,
    /// What is stored changes.
    Change,
    /// The next snapshot is made, and what is no longer needed is dropped.
    Tidy,
    /// Sums of everything.
    Sum,
}

impl Bulk {
    /// In the order in which they have their turns.
    const ALL: [Bulk; 4] = [Bulk::Turn, Bulk::Change, Bulk::Tidy, Bulk::Sum];
}

/// Why the loop ended by itself.
#[derive(Debug, Error)]
pub enum RunError {
    /// Waiting for readiness failed.
    #[error("the event loop cannot wait for its sockets: {0}")]
    Wait(io::Error),
    /// No thread could be started.
    #[error("cannot start the plugin thread: {0}")]
    Plugins(io::Error),
}

/// The event loop, with its ports bound.
pub struct Reactor {
    poll: Poll,
    signals: Signals,
    slots: Slots,
    shared: Shared,
    waker: Arc<Waker>,
    /// Where to reload the configuration from, if anywhere.
    origin: Option<Origin>,
    reloading: Reloading,
    /// The kind of work whose turn is next.
    bulk: usize,
    manager: Manager,
    xml_addrs: Vec<SocketAddr>,
    interactive_addrs: Vec<SocketAddr>,
    web_addrs: Vec<SocketAddr>,
}

impl Reactor {
    /// Reloads the configuration from there at SIGHUP.
    #[must_use]
    pub fn reloading_from(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Tells the service manager of reloads, of its end, and that it is not stuck.
    #[must_use]
    pub fn managed_by(mut self, manager: Manager) -> Self {
        self.manager = manager;
        self
    }

    /// Where the whole document is served.
    pub fn xml_addrs(&self) -> &[SocketAddr] {
        &self.xml_addrs
    }

    /// Where requests by path are served.
    pub fn interactive_addrs(&self) -> &[SocketAddr] {
        &self.interactive_addrs
    }

    /// Where the pages are served at a port of their own.
    pub fn web_addrs(&self) -> &[SocketAddr] {
        &self.web_addrs
    }

    /// Polls, serves and feeds the plugins until SIGTERM or SIGINT. Returns the name of the signal.
    pub fn run(mut self) -> Result<&'static str, RunError> {
        self.start_plugins()?;
        self.shared.sampler = Sampler::start()
            .inspect_err(|err| {
                log::warn!("host statistics disabled, cannot start their thread: {err}");
            })
            .ok();
        self.add_sources();
        self.start_chores();
        let mut events = Events::with_capacity(EVENTS);
        while !self.has_ended() {
            self.step(&mut events).map_err(RunError::Wait)?;
        }
        if let Some(mut plugins) = self.shared.plugins.take() {
            plugins.stop(Duration::ZERO);
        }
        Ok(self.shared.ending.map_or("", |ending| ending.why))
    }

    fn start_plugins(&mut self) -> Result<(), RunError> {
        let waker = Arc::clone(&self.waker);
        let wake = Box::new(move || {
            // If the loop cannot be woken now, it looks at the queue when it next wakes.
            let _ = waker.wake();
        });
        let plugins = plugins::start(&self.shared.config, wake).map_err(RunError::Plugins)?;
        self.shared.plugins = Some(plugins);
        self.shared.now = self.shared.clock.now();
        Ok(())
    }

    /// Waits for events and deadlines, and handles them.
    fn step(&mut self, events: &mut Events) -> io::Result<()> {
        self.wait(events)?;
        self.shared.now = self.shared.clock.now();
        for event in events.iter() {
            self.event(event);
        }
        self.work();
        Ok(())
    }

    /// Does what is due, the turns of those who wait for a prompt one, and one piece of all other work.
    fn work(&mut self) {
        while let Some(index) = self.shared.timers.due(self.shared.now.mono) {
            if let Some(key) = self.slots.key_at(index) {
                let start = Instant::now();
                let about = self.slots.get_mut(key).map(|slot| slot.work());
                self.timeout(key);
                self.shared.note_turn(about, start);
            }
        }
        for _ in 0..PROMPT_TURNS {
            let Some(key) = self.slots.next(Lane::Prompt) else {
                break;
            };
            self.turn(key);
        }
        self.shared.discard_moments();
        if let Some(first) = self.shared.moments.let_go_before(self.shared.now.mono) {
            self.let_go_before(first);
        }
        let start = Instant::now();
        let had_updates = !self.shared.handing.is_empty() || self.shared.root.is_some();
        self.tell_root_on();
        self.look_after_plugins();
        self.shared.note_turn(Some((Work::Plugins, None)), start);
        if had_updates {
            return;
        }
        for at in 0..Bulk::ALL.len() {
            let at = (self.bulk + at) % Bulk::ALL.len();
            if self.do_bulk(Bulk::ALL[at]) {
                self.bulk = at + 1;
                return;
            }
        }
    }

    /// Does a piece of work that is not prompt. Returns whether there was any of that kind.
    fn do_bulk(&mut self, bulk: Bulk) -> bool {
        let start = Instant::now();
        let about = match bulk {
            Bulk::Turn => {
                let next = self.slots.next(Lane::Bulk);
                if let Some(key) = next {
                    self.turn(key);
                }
                return next.is_some();
            }
            Bulk::Change if self.shared.store.is_changing() => {
                let id = self.shared.store.changing();
                self.change_on();
                (Work::Store, id)
            }
            Bulk::Tidy if self.shared.store.is_untidy() => {
                self.tidy_on();
                (Work::Store, None)
            }
            Bulk::Sum if self.shared.store.may_sum() => {
                self.sum_on();
                (Work::Sums, None)
            }
            Bulk::Change | Bulk::Tidy | Bulk::Sum => return false,
        };
        self.shared.note_turn(Some(about), start);
        true
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let is_busy = self.slots.are_ready()
            || !self.shared.handing.is_empty()
            || self.shared.store.is_untidy()
            || self.shared.root.is_some()
            || self.shared.store.is_summing()
            || self.shared.store.is_changing();
        let limit = if is_busy {
            Some(Duration::ZERO)
        } else {
            let now = self.shared.clock.mono();
            self.shared.timers.earliest().map(|at| at.since(now))
        };
        match self.poll.poll(events, limit) {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Notes an event. It is handled in the slot's turn.
    fn event(&mut self, event: &Event) {
        let Some(key) = self.slots.key_of(event.token()) else {
            return;
        };
        match self.slots.get_mut(key) {
            None | Some(Slot::Chore(_)) => return,
            Some(Slot::Source(source)) => source.event(event),
            Some(Slot::Client(client)) => client.event(event),
            Some(Slot::RrdcachedClient(client)) => client.event(event),
            Some(Slot::Signals | Slot::Waker | Slot::Listener(_) | Slot::RrdcachedListener(_)) => {}
        }
        self.make_ready(key);
    }

    /// A deadline has passed.
    fn timeout(&mut self, key: Key) {
        match self.slots.get_mut(key) {
            None | Some(Slot::Signals | Slot::Waker) => return,
            Some(Slot::Chore(chore)) => {
                let chore = *chore;
                return self.do_chore(chore);
            }
            Some(Slot::Source(source)) => source.timeout(&mut self.shared),
            Some(Slot::Client(client)) => client.machine.timeout(self.shared.now.mono),
            // These check it in their turn.
            Some(Slot::Listener(_) | Slot::RrdcachedListener(_) | Slot::RrdcachedClient(_)) => {}
        }
        self.make_ready(key);
    }

    /// Does a bounded amount of work.
    fn turn(&mut self, key: Key) {
        let start = Instant::now();
        self.shared.now = self.shared.clock.now();
        let about = self.slots.get_mut(key).map(|slot| slot.work());
        let turn = match self.slots.get_mut(key) {
            None => return,
            Some(Slot::Signals) => self.take_signals(),
            Some(Slot::Waker) => self.take_answers(),
            Some(Slot::Chore(_)) => self.expire_one(),
            Some(Slot::Listener(_)) => self.accept(key),
            Some(Slot::RrdcachedListener(_)) => self.accept_rrdcached(key),
            Some(Slot::Source(source)) => source.turn(&mut self.shared),
            Some(Slot::Client(_)) => self.turn_of_client(key),
            Some(Slot::RrdcachedClient(client)) => {
                let turn = client.turn(&mut self.shared);
                self.shared.set_deadline(key, client.deadline());
                turn
            }
        };
        match turn {
            Turn::Waits => {}
            Turn::Again => self.slots.queue(key, Lane::Bulk),
            Turn::Gone => self.remove(key),
        }
        self.shared.note_turn(about, start);
    }

    /// Queues the slot for a turn.
    fn make_ready(&mut self, key: Key) {
        if let Some(slot) = self.slots.get_mut(key) {
            let lane = slot.lane();
            self.slots.queue(key, lane);
        }
    }

    /// Empties the slot and clears its deadline.
    fn remove(&mut self, key: Key) {
        let removed = self.slots.remove(key);
        if removed.is_some() {
            self.shared.set_deadline(key, None);
        }
        if let Some(Slot::Client(client)) = &removed {
            self.shared.clients.connected -= 1;
            self.shared.room.leave(client.place());
            drop(removed);
            self.shared.discard_moments();
        }
    }

    fn take_signals(&mut self) -> Turn {
        let signals: Vec<i32> = self.signals.pending().collect();
        for signal in signals {
            match signal {
                SIGHUP => {
                    logging::reopen();
                    self.reload();
                }
                SIGUSR1 => self.shared.log_status(),
                SIGINT => self.end("SIGINT"),
                _ => self.end("SIGTERM"),
            }
        }
        Turn::Waits
    }

    /// Takes what other threads have sent. An answer for something that is gone by now is dropped:
    /// its key finds nothing, even if the slot is in use again.
    fn take_answers(&mut self) -> Turn {
        self.take_configuration();
        let now = self.shared.now.mono;
        while let Some(answer) = self.shared.resolver.answer() {
            match answer.asker {
                Asker::Source { key, host } => {
                    if let Some(Slot::Source(source)) = self.slots.get_mut(key) {
                        source.machine.resolved(host, answer.found, now);
                        self.make_ready(key);
                    }
                }
                Asker::Trust => self.shared.name_looked_up(&answer.name, answer.found),
            }
        }
        self.take_rrdcached_answers();
        self.take_histories();
        Turn::Waits
    }
}

/// The text of an error without its number.
fn reason(err: &io::Error) -> String {
    let mut text = err.to_string();
    if let Some(at) = text.find(" (os error ") {
        text.truncate(at);
    }
    text
}
