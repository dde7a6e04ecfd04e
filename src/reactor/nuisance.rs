//! Faults of clients, logged once for each address and repeated ever less often.
//!
//! Remembers a bounded number of addresses; all others share one entry.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::time::Instant;

use gmetad_core::complaint::{Complaint, Say, span};

/// Most pairs of address and fault that are kept apart.
const MAX_KNOWN: usize = 256;

/// What a client can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Nuisance {
    /// Its address is not trusted.
    Untrusted,
    /// The limit of clients is reached.
    Crowd,
    /// It was closed so that another is served.
    MadeRoom,
    /// It is too slow, or its request is malformed.
    Fault,
    /// Part of its request is unknown and was ignored.
    Request,
}

/// Faults so far, by address and kind.
#[derive(Debug, Default)]
pub(super) struct Nuisances {
    known: HashMap<(IpAddr, Nuisance), Complaint>,
    others: Complaint,
}

impl Nuisances {
    /// Logs a fault of an address, unless it was logged too recently.
    pub(super) fn tell(
        &mut self,
        address: IpAddr,
        nuisance: Nuisance,
        what: &dyn Display,
        now: Instant,
    ) {
        let key = (address, nuisance);
        let full = self.known.len() >= MAX_KNOWN && !self.known.contains_key(&key);
        let complaint = if full {
            &mut self.others
        } else {
            self.known.entry(key).or_default()
        };
        let more = if full { " and others" } else { "" };
        match complaint.failed(now) {
            Some(Say::First) => log::warn!("client {address}{more}: {what}"),
            Some(Say::Still { lasted, times }) => log::warn!(
                "client {address}{more}: {what} ({times} times in {})",
                span(lasted)
            ),
            None => {}
        }
    }
}
