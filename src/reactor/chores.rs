//! Periodic work of the loop, and its shutdown.
//!
//! Each chore does a bounded amount of work, or is split over several turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Reactor;
use super::clock::Clock;
use super::handing::Batch;
use super::shared::{Chore, Ending};
use super::slot::Slot;
use super::slots::{Key, Lane, Turn};
use crate::daemon::State;
use crate::plugins::PluginHandle;
use gmetad_config::DEFAULT_INTERVAL;
use gmetad_core::complaint::{Say, span};
use gmetad_core::model::{Mono, Node, Now, Summary};
use gmetad_core::plugin::{Invented, RootUpdate};
use gmetad_core::store::SourceId;

/// Time between two sweeps for hosts and metrics past their DMAX, as in C gmetad.
const EXPIRY_PERIOD: Duration = Duration::from_secs(180);

/// What the plugins are told of everything, in the making.
pub(super) struct RootDraft {
    summary: Arc<Summary>,
    now: Now,
    /// Sources whose clusters and grids are not listed yet.
    sources: std::vec::IntoIter<SourceId>,
    /// Those of the one that is being listed.
    nodes: std::vec::IntoIter<Node>,
    source: Arc<str>,
    present: Vec<(Arc<str>, Box<str>)>,
}

/// Sums added up at a time.
const SUMS_AT_A_TIME: usize = 64;

/// Names listed between two waits for events.
const NAMES_AT_A_TIME: usize = 1024;

/// Entries of the store that change at a time.
const CHANGED_AT_A_TIME: usize = 64;

/// Time spent on changes of the store, on what it drops, or on sums, between two waits for events.
const CHANGE_TIME: Duration = Duration::from_micros(200);

/// Time at shutdown for clients to take the rest of their answers.
const CLIENTS_END_WITHIN: Duration = Duration::from_secs(2);

/// Time at shutdown for plugins to work off the queue and stop.
const PLUGINS_END_WITHIN: Duration = Duration::from_secs(10);

/// Longest time between two root summaries, whether anything changes or not. Their RRD files have a step
/// of 15 s and a heartbeat of 120 s whatever the intervals, so rarer updates would leave unknown values.
const SUMMARY_AT_LEAST_EVERY: Duration = Duration::from_secs(60);

impl Reactor {
    pub(super) fn start_chores(&mut self) {
        let now = self.shared.now.mono;
        self.keep_rhythm();
        self.shared
            .set_chore(Chore::Expiry, Some(now + EXPIRY_PERIOD));
        if self.shared.trust.names().next().is_some() {
            self.shared.set_chore(Chore::Names, Some(now));
        }
        self.beat();
    }

    /// Tells the service manager that the loop turns, and sets when to do so again.
    fn beat(&mut self) {
        if let Some(period) = self.manager.beat() {
            self.manager.tell(State::Alive);
            let next = self.shared.now.mono + period;
            self.shared.set_chore(Chore::Watchdog, Some(next));
        }
    }

    pub(super) fn do_chore(&mut self, chore: Chore) {
        let now = self.shared.now.mono;
        match chore {
            Chore::Summary => {
                let is_late = self.shared.store.is_summing();
                self.summarize();
                self.keep_rhythm();
                if is_late {
                    // What has changed meanwhile may be missing in it.
                    self.shared.sum_soon();
                }
            }
            Chore::Expiry => {
                self.shared.expiring = 0;
                let sweep = self.shared.chore(Chore::Expiry);
                self.slots.queue(sweep, Lane::Bulk);
                self.shared
                    .set_chore(Chore::Expiry, Some(now + EXPIRY_PERIOD));
            }
            Chore::Names => self.shared.look_up_names(),
            Chore::Watchdog => self.beat(),
            Chore::Ending => self.end_overdue(),
        }
    }

    /// Drops hosts and metrics of one source that are past their DMAX.
    pub(super) fn expire_one(&mut self) -> Turn {
        let shared = &mut self.shared;
        let Some(&id) = shared.store.sources().get(shared.expiring) else {
            return Turn::Waits;
        };
        shared.store.begin_expiry(id, shared.now);
        shared.storing.push_back(None);
        shared.expiring += 1;
        Turn::Again
    }

    /// Goes on with what changes in the store, for a little while.
    pub(super) fn change_on(&mut self) {
        let start = Instant::now();
        loop {
            self.change_some(CHANGED_AT_A_TIME);
            if !self.shared.store.is_changing() || start.elapsed() >= CHANGE_TIME {
                return;
            }
        }
    }

    /// Drops what the store does not need any more, and makes what it shows next, for a little while.
    pub(super) fn tidy_on(&mut self) {
        let start = Instant::now();
        while self.shared.store.tidy() && start.elapsed() < CHANGE_TIME {}
    }

    /// Completes all that changes in the store.
    pub(super) fn finish_changes(&mut self) {
        while self.shared.store.is_changing() {
            self.change_some(usize::MAX);
        }
    }

    fn change_some(&mut self, budget: usize) {
        let shared = &mut self.shared;
        let start = Instant::now();
        let changed = shared.store.change_some(budget);
        shared.changing += start.elapsed();
        let Some(changed) = changed else {
            return;
        };
        let busy = std::mem::take(&mut shared.changing);
        if changed.has_changed {
            shared.sum_soon();
        }
        let Some(key) = shared.storing.pop_front().flatten() else {
            return;
        };
        if let Some(Slot::Source(source)) = self.slots.get_mut(key) {
            source.stored(changed, busy, shared);
            self.make_ready(key);
        } else {
            // It was removed meanwhile.
            let nodes = changed.nodes.into_iter().map(|(node, _)| node);
            shared.store.discard_nodes(nodes.collect());
        }
    }

    /// Hands updates to the plugin thread, those held back first, and logs when the thread hangs.
    pub(super) fn look_after_plugins(&mut self) {
        let (mono, now) = (self.shared.now.mono, self.shared.instant());
        let Some(plugins) = &mut self.shared.plugins else {
            return;
        };
        plugins.pump();
        self.shared.handing.go_on(plugins);
        for node in plugins.rubbish() {
            self.shared.store.discard_node(node);
        }
        if let Some((id, taken)) = plugins.stalled(mono) {
            match self.shared.stalled.failed(now) {
                Some(Say::First | Say::Still { .. }) => log::error!(
                    "plugin {id} has been busy with one update for {}; the other plugins wait, polling and \
                     serving go on",
                    span(taken)
                ),
                None => {}
            }
        } else if let Some(lasted) = self.shared.stalled.recovered(now) {
            gmetad_core::recovered!(error: "the plugins are at work again, after {}", span(lasted));
        }
    }

    /// Begins the shutdown, with the name of the signal that asked for it. A second call ends it at
    /// once.
    pub(super) fn end(&mut self, why: &'static str) {
        let now = self.shared.now.mono;
        if let Some(ending) = &mut self.shared.ending {
            ending.at_once = true;
            return;
        }
        log::info!("{why} received, stopping");
        self.manager.tell(State::Stopping);
        self.shared.ending = Some(Ending {
            why,
            plugins_until: now + PLUGINS_END_WITHIN,
            at_once: false,
        });
        for key in self.slots.keys() {
            self.end_slot(key);
        }
        self.finish_changes();
        // The service manager may still take a silent loop for a stuck one.
        for chore in Chore::ALL.into_iter().filter(|it| *it != Chore::Watchdog) {
            self.shared.set_chore(chore, None);
        }
        self.shared
            .set_chore(Chore::Ending, Some(now + CLIENTS_END_WITHIN));
        self.stop_plugins();
    }

    /// Lets the plugins work off what there is, and stop.
    pub(super) fn stop_plugins(&mut self) {
        while self.shared.root.is_some() {
            self.tell_root_on();
        }
        if let Some(plugins) = &mut self.shared.plugins {
            self.shared.handing.finish(plugins);
            plugins.begin_stop();
        }
    }

    /// Closes listeners and stops polls. Clients with an answer under way may finish.
    fn end_slot(&mut self, key: Key) {
        match self.slots.get_mut(key) {
            Some(Slot::Listener(_) | Slot::RrdcachedListener(_) | Slot::RrdcachedClient(_)) => {
                self.remove(key);
            }
            Some(Slot::Source(source)) => {
                source.machine.stop();
                source.act(&mut self.shared);
                self.shared.set_deadline(key, None);
            }
            Some(Slot::Client(client)) => {
                client.machine.stop();
                self.make_ready(key);
            }
            None | Some(Slot::Signals | Slot::Waker | Slot::Chore(_)) => {}
        }
    }

    /// Whether the shutdown is complete.
    pub(super) fn has_ended(&self) -> bool {
        let Some(ending) = &self.shared.ending else {
            return false;
        };
        let plugins_stopped = self
            .shared
            .plugins
            .as_ref()
            .is_none_or(PluginHandle::has_stopped);
        let clients_served = || {
            !self
                .slots
                .iter()
                .any(|slot| matches!(slot, Slot::Client(_)))
        };
        ending.at_once || (plugins_stopped && clients_served())
    }

    /// A shutdown deadline has passed: closes what is still open.
    fn end_overdue(&mut self) {
        let now = self.shared.now.mono;
        let Some(ending) = &mut self.shared.ending else {
            return;
        };
        if ending.plugins_until <= now {
            ending.at_once = true;
            return;
        }
        let until = ending.plugins_until;
        let mut left = 0;
        for key in self.slots.keys() {
            if let Some(Slot::Client(_)) = self.slots.get_mut(key) {
                self.remove(key);
                left += 1;
            }
        }
        if left > 0 {
            log::info!(
                "closed {left} connections at the end: the clients did not take their answers in time"
            );
        }
        self.shared.set_chore(Chore::Ending, Some(until));
    }

    pub(super) fn summarize(&mut self) {
        let shared = &mut self.shared;
        if let Some(others) = shared.arrivals.others(shared.instant()) {
            gmetad_core::life!("{others} more sources answer for the first time");
        }
        if !shared.store.is_summing() {
            shared.store.begin_summary();
            shared.summing = Duration::ZERO;
        }
    }

    /// Goes on with the sums of everything, if they are being computed.
    pub(super) fn sum_on(&mut self) {
        let shared = &mut self.shared;
        let start = Instant::now();
        let summary = loop {
            if let Some(summary) = shared.store.summarize_some(SUMS_AT_A_TIME) {
                break summary;
            }
            let elapsed = start.elapsed();
            if elapsed >= CHANGE_TIME {
                shared.summing += elapsed;
                return;
            }
        };
        let took = shared.summing + start.elapsed();
        shared.summaries.root.add(took, Clock::epoch_ms());
        if shared.plugins.is_some() {
            shared.root = Some(RootDraft {
                summary,
                now: shared.now,
                sources: shared.store.sources().to_vec().into_iter(),
                nodes: Vec::new().into_iter(),
                source: Arc::default(),
                present: Vec::new(),
            });
        }
    }

    /// Goes on with what the plugins are told of everything, if there is news.
    pub(super) fn tell_root_on(&mut self) {
        let shared = &mut self.shared;
        let Some(mut root) = shared.root.take() else {
            return;
        };
        for _ in 0..NAMES_AT_A_TIME {
            if let Some(node) = root.nodes.next() {
                root.present
                    .push((Arc::clone(&root.source), node.name().into()));
                shared.store.discard_node(node);
            } else if let Some(id) = root.sources.next() {
                root.source = shared.sources[id.0].name.as_str().into();
                root.nodes = shared.store.nodes_of(id).to_vec().into_iter();
            } else {
                shared.handing.add(Batch::Root(RootUpdate {
                    gridname: Arc::from(shared.config.gridname.as_str()),
                    authority: Arc::from(shared.config.authority.as_str()),
                    summary: root.summary,
                    now: root.now,
                    present: root.present.into(),
                    invented: Invented::default(),
                }));
                return;
            }
        }
        shared.root = Some(root);
    }

    /// A summary begins: sets when the next one is due.
    fn keep_rhythm(&mut self) {
        let shared = &mut self.shared;
        let intervals = shared.config.sources.iter().map(|source| source.interval);
        shared.rhythm = Rhythm::begin(shared.now.mono, summary_period(intervals));
        shared.set_chore(Chore::Summary, Some(shared.rhythm.due));
    }
}

/// When the root summary is due. It is computed when something has changed, as long as that is often
/// enough: a timer of its own would wake the loop between two polls to find the same sums.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rhythm {
    /// What changes before is summed up then.
    earliest: Mono,
    due: Mono,
}

impl Rhythm {
    /// A summary begins; what changes within the period after it is summed up at its end.
    fn begin(now: Mono, period: Duration) -> Rhythm {
        Rhythm {
            earliest: now + period,
            due: now + SUMMARY_AT_LEAST_EVERY,
        }
    }

    /// Something has changed. Returns when the summary is due now.
    pub(super) fn changed(&mut self, now: Mono) -> Mono {
        self.due = self.due.min(self.earliest.max(now));
        self.due
    }
}

/// Half of the shortest interval, capped for the root's RRD files.
fn summary_period(intervals: impl Iterator<Item = Duration>) -> Duration {
    let shortest = intervals.min().unwrap_or(DEFAULT_INTERVAL);
    (shortest / 2).min(SUMMARY_AT_LEAST_EVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_summed_up_with_what_changes_but_not_too_often_and_not_too_rarely() {
        let secs = |secs: u64| Mono(secs * 1000);
        let mut rhythm = Rhythm::begin(secs(3), Duration::from_secs(7));
        assert_eq!(rhythm.due, secs(63));
        assert_eq!(rhythm.changed(secs(4)), secs(10));
        assert_eq!(rhythm.changed(secs(5)), secs(10));
        let mut rhythm = Rhythm::begin(secs(3), Duration::from_secs(7));
        assert_eq!(rhythm.changed(secs(12)), secs(12));
        assert_eq!(rhythm.changed(secs(13)), secs(12));
    }

    #[test]
    fn all_is_summed_up_often_enough_for_its_files_whatever_the_intervals() {
        let period = |secs: &[u64]| summary_period(secs.iter().copied().map(Duration::from_secs));
        assert_eq!(period(&[]), Duration::from_millis(7500));
        assert_eq!(period(&[3600, 15]), Duration::from_millis(7500));
        assert_eq!(period(&[3600]), Duration::from_secs(60));
    }
}
