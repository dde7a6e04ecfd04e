//! The names among the trusted hosts: when they are looked up, and what came of it.
//!
//! Who may ask is decided in `trust`; the looking up is the resolver's.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Shared;
use super::resolver::{Asker, Question};
use super::slots::Chore;
use gmetad_core::complaint::{Complaint, Say, span};
use gmetad_core::model::Mono;

/// Between two look-ups of all names.
const PERIOD: Duration = Duration::from_secs(300);

/// The same, while clients are turned away: one of them may be a host that has moved.
const PERIOD_WHILE_REFUSING: Duration = Duration::from_secs(10);

/// What is known of the names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Those that were ever asked for and are still trusted.
    known: HashMap<String, Name>,
    /// When they were last asked for.
    asked: Option<Mono>,
}

#[derive(Debug, Default)]
struct Name {
    /// A look-up is under way.
    asked: bool,
    failing: Complaint,
}

impl Shared {
    /// Looks all names up, but for those whose look-up is under way.
    pub(super) fn look_up_names(&mut self) {
        let Shared {
            trust,
            names,
            resolver,
            ..
        } = self;
        names
            .known
            .retain(|name, known| known.asked || trust.names().any(|it| it == name));
        for name in trust.names() {
            let known = names.known.entry(name.to_owned()).or_default();
            if !std::mem::replace(&mut known.asked, true) {
                resolver.ask(Question {
                    asker: Asker::Trust,
                    name: name.to_owned(),
                    port: 0,
                });
            }
        }
        let now = self.now.mono;
        self.names.asked = Some(now);
        let next = self.trust.names().next().map(|_| now + PERIOD);
        self.timers.set(self.chore(Chore::Names), next);
    }

    /// A client was turned away: its name may stand for its address by now.
    pub(super) fn look_up_names_soon(&mut self) {
        if self.trust.names().next().is_none() {
            return;
        }
        let at = self.names.asked.map_or(self.now.mono, |asked| {
            (asked + PERIOD_WHILE_REFUSING).max(self.now.mono)
        });
        self.timers.set(self.chore(Chore::Names), Some(at));
    }

    /// A look-up is over.
    pub(super) fn name_looked_up(&mut self, name: &str, found: Result<Vec<SocketAddr>, String>) {
        let now = self.instant();
        let Some(known) = self.names.known.get_mut(name) else {
            return;
        };
        known.asked = false;
        match found {
            Ok(addresses) => {
                if let Some(lasted) = known.failing.recovered(now) {
                    let lasted = span(lasted);
                    gmetad_core::recovered!(warning: "trusted_hosts: {name} is resolved again, after {lasted}");
                }
                let addresses: Vec<IpAddr> = addresses.iter().map(SocketAddr::ip).collect();
                self.trust.set_addresses(name, &addresses);
            }
            // Its addresses from before, if there are any, go on being trusted.
            Err(reason) => match known.failing.failed(now) {
                Some(Say::First) => {
                    log::warn!("trusted_hosts: {name} cannot be resolved: {reason}");
                }
                Some(Say::Still { lasted, times }) => log::warn!(
                    "trusted_hosts: {name} has not been resolved for {}, {times} times: {reason}",
                    span(lasted)
                ),
                None => {}
            },
        }
    }
}
