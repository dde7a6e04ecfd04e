//! What clients do wrong, told once for each of them and then ever more rarely.
//!
//! Keeps a bounded number of addresses in mind; the rest is told as one.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::time::Instant;

use gmetad_core::complaint::{Complaint, Say, span};

/// Addresses and kinds of trouble kept apart.
const MAX_KNOWN: usize = 256;

/// What a client can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Nuisance {
    /// It is not among the trusted.
    Untrusted,
    /// It comes when there is no room.
    Crowd,
    /// It is too slow, or sends what is no request.
    Fault,
    /// It asks for what is not understood.
    Request,
}

/// Who did what.
#[derive(Debug, Default)]
pub(super) struct Nuisances {
    known: HashMap<(IpAddr, Nuisance), Complaint>,
    others: Complaint,
}

impl Nuisances {
    /// Logs what an address did, if it is time to say so again.
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
