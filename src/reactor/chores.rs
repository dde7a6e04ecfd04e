//! What the loop does by the clock and at its end.
//!
//! Each chore is bounded, or cut into turns.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Reactor;
use super::clock::Clock;
use super::slots::{Chore, Slot};
use crate::logging;
use crate::plugins::PluginHandle;
use gmetad_config::DEFAULT_INTERVAL;
use gmetad_core::complaint::{Say, span};
use gmetad_core::model::Mono;
use gmetad_core::plugin::{Invented, RootUpdate};

/// Between two sweeps for what is past its DMAX, as C gmetad has it.
const EXPIRY_PERIOD: Duration = Duration::from_secs(180);

/// For clients to take the rest of their answers at the end.
const CLIENTS_END_WITHIN: Duration = Duration::from_secs(2);

/// For plugins to do what is queued and stop.
const PLUGINS_END_WITHIN: Duration = Duration::from_secs(10);

/// Longest between two sums of everything. Their files have a step of 15 s and a heartbeat of 120 s
/// whatever the intervals: what comes more rarely than that is unknown to them.
const SUMMARY_AT_LEAST_EVERY: Duration = Duration::from_secs(60);

/// How far the end has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    /// The signal that told it to.
    pub(super) why: &'static str,
    /// Plugins are waited for until then.
    plugins_until: Mono,
    /// Nothing is waited for any more.
    at_once: bool,
}

impl Chore {
    pub(super) const ALL: [Chore; 4] = [Chore::Summary, Chore::Expiry, Chore::Names, Chore::Ending];
}

impl Reactor {
    pub(super) fn start_chores(&mut self) {
        let now = self.shared.now.mono;
        let summary = Some(now + self.summary_period());
        self.set_chore(Chore::Summary, summary);
        self.set_chore(Chore::Expiry, Some(now + EXPIRY_PERIOD));
        if self.shared.trust.names().next().is_some() {
            self.set_chore(Chore::Names, Some(now));
        }
    }

    pub(super) fn do_chore(&mut self, chore: Chore) {
        let now = self.shared.now.mono;
        match chore {
            Chore::Summary => {
                self.summarize();
                let next = Some(now + self.summary_period());
                self.set_chore(Chore::Summary, next);
            }
            Chore::Expiry => {
                self.shared.expiring = 0;
                let token = self.shared.chore(Chore::Expiry);
                self.slots.make_ready(token);
                self.set_chore(Chore::Expiry, Some(now + EXPIRY_PERIOD));
            }
            Chore::Names => self.shared.look_up_names(),
            Chore::Ending => self.end_overdue(),
        }
    }

    /// Drops what is past its DMAX in one source; whether there are more.
    pub(super) fn expire_one(&mut self) -> bool {
        let shared = &mut self.shared;
        let Some(&id) = shared.store.sources().get(shared.expiring) else {
            return false;
        };
        shared.store.expire(id, shared.now.mono);
        self.shared.expiring += 1;
        true
    }

    /// Lets the plugin thread have what was held back, and says when it hangs.
    pub(super) fn look_after_plugins(&mut self) {
        let (mono, now) = (self.shared.now.mono, self.shared.instant());
        let Some(plugins) = &mut self.shared.plugins else {
            return;
        };
        plugins.pump();
        if let Some((id, taken)) = plugins.stalled(mono) {
            match self.shared.stalled.failed(now) {
                Some(Say::First | Say::Still { .. }) => log::error!(
                    "plugin {id} has been at one update for {}; polling and serving go on",
                    span(taken)
                ),
                None => {}
            }
        } else if let Some(lasted) = self.shared.stalled.recovered(now) {
            gmetad_core::recovered!(error: "the plugins go on after {}", span(lasted));
        }
    }

    /// Begins the end; the second time, ends at once.
    pub(super) fn end(&mut self, why: &'static str) {
        let now = self.shared.now.mono;
        if let Some(ending) = &mut self.shared.ending {
            ending.at_once = true;
            return;
        }
        log::info!("stopping: {why} received");
        self.shared.ending = Some(Ending {
            why,
            plugins_until: now + PLUGINS_END_WITHIN,
            at_once: false,
        });
        for token in 0..self.slots.len() {
            match self.slots.get_mut(token) {
                Some(Slot::Listener(_) | Slot::CachedListener(_)) => self.slots.remove(token),
                Some(Slot::CachedClient(_)) => {
                    self.slots.remove(token);
                    self.shared.timers.set(token, None);
                }
                Some(Slot::Source(source)) => {
                    source.machine.stop();
                    source.act(&mut self.shared);
                    self.shared.timers.set(token, None);
                }
                Some(Slot::Client(client)) => {
                    client.machine.stop();
                    self.slots.make_ready(token);
                }
                _ => {}
            }
        }
        for chore in Chore::ALL {
            self.set_chore(chore, None);
        }
        self.set_chore(Chore::Ending, Some(now + CLIENTS_END_WITHIN));
        if let Some(plugins) = &mut self.shared.plugins {
            plugins.begin_stop();
        }
    }

    /// Whether nothing is left to be waited for.
    pub(super) fn has_ended(&self) -> bool {
        let Some(ending) = &self.shared.ending else {
            return false;
        };
        let plugins_stopped = self
            .shared
            .plugins
            .as_ref()
            .is_none_or(PluginHandle::has_stopped);
        ending.at_once || (plugins_stopped && self.slots.clients().next().is_none())
    }

    /// What was to end by now is not waited for any longer.
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
        for token in 0..self.slots.len() {
            if let Some(Slot::Client(_)) = self.slots.get_mut(token) {
                self.slots.remove(token);
                left += 1;
            }
        }
        if left > 0 {
            log::info!("{left} clients did not have all of their answers at the end");
        }
        self.set_chore(Chore::Ending, Some(until));
    }

    fn set_chore(&mut self, chore: Chore, at: Option<Mono>) {
        let token = self.shared.chore(chore);
        self.shared.timers.set(token, at);
    }

    pub(super) fn summarize(&mut self) {
        let shared = &mut self.shared;
        if let Some(others) = shared.arrivals.others(shared.instant()) {
            gmetad_core::life!("{others} more sources answer for the first time");
        }
        let start = Instant::now();
        let summary = shared.store.summarize();
        let now_ms = Clock::epoch_ms();
        shared.summaries.root.add(start.elapsed(), now_ms);
        if let Some(plugins) = &mut shared.plugins {
            let names = shared.store.sources().iter().flat_map(|&id| {
                let source: Arc<str> = shared.sources[id.0].name.as_str().into();
                let nodes = shared.store.nodes_of(id).iter();
                nodes.map(move |node| (Arc::clone(&source), node.name().into()))
            });
            plugins.send_root(RootUpdate {
                gridname: Arc::from(shared.config.gridname.as_str()),
                authority: Arc::from(shared.config.authority.as_str()),
                summary,
                now: shared.now,
                present: names.collect(),
                invented: Invented::default(),
            });
        }
    }

    fn summary_period(&self) -> Duration {
        let sources = &self.shared.config.sources;
        summary_period(sources.iter().map(|source| source.interval))
    }

    /// How the daemon does, in a few lines, whatever the level.
    pub(super) fn log_status(&self) {
        let say = |text: fmt::Arguments<'_>| logging::insist(log::Level::Info, text);
        let clients = &self.shared.clients;
        say(format_args!(
            "status: {} clients connected, {} let in, {} turned away as untrusted, {} for want of \
             room, {} at fault; {} requests on the XML port, {} on the interactive port; {} bytes \
             sent",
            clients.connected,
            clients.accepted,
            clients.untrusted,
            clients.crowded_out,
            clients.faults,
            clients.xml.num,
            clients.interactive.num,
            clients.sent_bytes
        ));
        for status in self.shared.statuses() {
            say(format_args!(
                "status: source \"{}\" is {}: {} polls good, {} failed, {} missed; {} bytes of \
                 documents in {} bytes, {} damaged places; {} ms of work",
                status.name,
                status.state.word(),
                status.polls_ok.num,
                status.polls_failed.num,
                status.missed,
                status.document_bytes,
                status.wire_bytes,
                status.damage,
                status.busy.as_millis()
            ));
        }
        if let Some(plugins) = &self.shared.plugins {
            let queue = plugins.queue();
            say(format_args!(
                "status: {} updates wait for the plugins, {} were replaced by newer ones",
                queue.length, queue.replaced
            ));
            let files = plugins.rrd();
            say(format_args!(
                "status: {} values in {} calls into RRD files, {} files created, {} values \
                 repeated, {} refused for newer ones, {} failed, {} files cannot be written",
                files.written,
                files.calls,
                files.created,
                files.repeated,
                files.refused,
                files.failed,
                files.broken
            ));
            say(format_args!(
                "status: {} values wait in {} bytes, {} bytes went into the journal, {} files were \
                 written early for want of room",
                files.held, files.held_bytes, files.journal_bytes, files.forced
            ));
        }
    }
}

/// Half of the shortest interval, unless that is too long for the root's files.
fn summary_period(intervals: impl Iterator<Item = Duration>) -> Duration {
    let shortest = intervals.min().unwrap_or(DEFAULT_INTERVAL);
    (shortest / 2).min(SUMMARY_AT_LEAST_EVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_summed_up_often_enough_for_its_files_whatever_the_intervals() {
        let period = |secs: &[u64]| summary_period(secs.iter().copied().map(Duration::from_secs));
        assert_eq!(period(&[]), Duration::from_millis(7500));
        assert_eq!(period(&[3600, 15]), Duration::from_millis(7500));
        assert_eq!(period(&[3600]), Duration::from_secs(60));
    }
}
