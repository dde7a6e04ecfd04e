//! Host names in `trusted_hosts`: when they are resolved, and with what result.
//!
//! Who is trusted is decided in the core; the resolver does the lookups.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::resolver::{Asker, Question, Resolver};
use gmetad_core::complaint::{Complaint, Say, span};
use gmetad_core::model::Mono;
use gmetad_core::trust::Trust;

/// Time between two lookups of all names.
const PERIOD: Duration = Duration::from_secs(300);

/// The same while clients are refused: one of them may be a trusted host with a new address.
const PERIOD_WHILE_REFUSING: Duration = Duration::from_secs(10);

/// The names and the state of their lookups.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Names looked up at least once and still trusted.
    known: HashMap<String, Name>,
    /// When they were last looked up.
    asked: Option<Mono>,
}

#[derive(Debug, Default)]
struct Name {
    /// A lookup is under way.
    asked: bool,
    failing: Complaint,
}

impl Names {
    /// Starts a lookup of each name that has none under way. Returns when to do so again.
    pub(super) fn look_up(
        &mut self,
        trust: &Trust,
        resolver: &mut Resolver,
        now: Mono,
    ) -> Option<Mono> {
        self.known
            .retain(|name, known| known.asked || trust.names().any(|it| it == name));
        for name in trust.names() {
            let known = self.known.entry(name.to_owned()).or_default();
            if !std::mem::replace(&mut known.asked, true) {
                resolver.ask(Question {
                    asker: Asker::Trust,
                    name: name.to_owned(),
                    port: 0,
                });
            }
        }
        self.asked = Some(now);
        trust.names().next().map(|_| now + PERIOD)
    }

    /// When to look them up after a client was refused: a trusted name may have got its address
    /// meanwhile.
    pub(super) fn look_up_soon(&self, trust: &Trust, now: Mono) -> Option<Mono> {
        trust.names().next()?;
        let soon = self.asked.map(|asked| asked + PERIOD_WHILE_REFUSING);
        Some(soon.map_or(now, |soon| soon.max(now)))
    }

    /// A lookup has ended.
    pub(super) fn looked_up(
        &mut self,
        name: &str,
        found: Result<Vec<SocketAddr>, String>,
        trust: &mut Trust,
        now: Instant,
    ) {
        let Some(known) = self.known.get_mut(name) else {
            return;
        };
        known.asked = false;
        match found {
            Ok(addresses) => {
                if let Some(lasted) = known.failing.recovered(now) {
                    let lasted = span(lasted);
                    gmetad_core::recovered!(warning: "trusted_hosts: {name} has an address again, after {lasted}");
                }
                let addresses: Vec<IpAddr> = addresses.iter().map(SocketAddr::ip).collect();
                trust.set_addresses(name, &addresses);
            }
            // Addresses from earlier lookups stay trusted.
            Err(reason) => match known.failing.failed(now) {
                Some(Say::First) => {
                    log::warn!(
                        "trusted_hosts: {name} has no address: {reason}; addresses that it had stay trusted"
                    );
                }
                Some(Say::Still { lasted, times }) => log::warn!(
                    "trusted_hosts: {name} has had no address for {}, in {times} lookups: {reason}",
                    span(lasted)
                ),
                None => {}
            },
        }
    }
}
