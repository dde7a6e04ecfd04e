//! A host of a source: its name or address, and the addresses of the name.
//!
//! No look-ups: it says when one is due, and takes the result.

use std::net::{IpAddr, SocketAddr};

use crate::model::Mono;
use crate::source::HostPort;

use super::limits::ADDRESSES_FRESH;

/// Most addresses tried per name.
const MAX_ADDRESSES: usize = 16;

/// One of a source's hosts.
#[derive(Debug)]
pub(super) struct Target {
    /// Unique in its source, and never used again.
    pub(super) number: usize,
    host: HostPort,
    /// The known addresses; the one that answered last comes first.
    addresses: Vec<SocketAddr>,
    name: Option<Name>,
}

/// What a name needs that an address does not.
#[derive(Debug, Default)]
struct Name {
    /// When it was last resolved.
    resolved: Option<Mono>,
    /// A look-up is running.
    asked: bool,
    /// A connection failed since.
    suspect: bool,
}

/// The state of a target's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    /// They can be used.
    Known,
    /// They can be used, and should be looked up again meanwhile.
    Old,
    /// They must be looked up first.
    Unknown,
}

impl Target {
    pub(super) fn new(number: usize, host: &HostPort) -> Target {
        // An IPv6 address with a zone does not parse here and goes to the resolver.
        let address = host.host.parse::<IpAddr>().ok();
        Target {
            number,
            host: host.clone(),
            addresses: address
                .map(|ip| SocketAddr::new(ip, host.port))
                .into_iter()
                .collect(),
            name: address.is_none().then(Name::default),
        }
    }

    /// As configured.
    pub(super) fn host(&self) -> &HostPort {
        &self.host
    }

    /// Host and port; with the address, if the host is a name.
    pub(super) fn label(&self, address: Option<SocketAddr>) -> String {
        match address {
            Some(address) if self.name.is_some() => format!("{} ({})", self.host, address.ip()),
            _ => self.host.to_string(),
        }
    }

    /// The state of the addresses.
    pub(super) fn addresses(&self, now: Mono) -> Addresses {
        let Some(name) = &self.name else {
            return Addresses::Known;
        };
        match name.resolved {
            Some(at) if !name.suspect && now.since(at) < ADDRESSES_FRESH => Addresses::Known,
            Some(_) if !name.suspect => Addresses::Old,
            _ => Addresses::Unknown,
        }
    }

    /// Name and port to look up, unless a look-up is running.
    pub(super) fn ask(&mut self) -> Option<(String, u16)> {
        let name = self.name.as_mut()?;
        if std::mem::replace(&mut name.asked, true) {
            return None;
        }
        Some((self.host.host.clone(), self.host.port))
    }

    /// Takes the result of a look-up. On an error the earlier addresses stay; it is reported only if
    /// there are none.
    pub(super) fn resolved(
        &mut self,
        found: Result<Vec<SocketAddr>, String>,
        now: Mono,
    ) -> Result<(), String> {
        let Some(name) = &mut self.name else {
            return Ok(());
        };
        name.asked = false;
        match found {
            Ok(mut addresses) if !addresses.is_empty() => {
                let last_good = self.addresses.first().copied();
                addresses.truncate(MAX_ADDRESSES);
                self.addresses = addresses;
                if let Some(last_good) = last_good {
                    self.prefer(last_good);
                }
                if let Some(name) = &mut self.name {
                    name.resolved = Some(now);
                    name.suspect = false;
                }
                Ok(())
            }
            Ok(_) if self.addresses.is_empty() => Err("it has no address".into()),
            Err(reason) if self.addresses.is_empty() => Err(reason),
            _ => Ok(()),
        }
    }

    /// The address at that index.
    pub(super) fn address(&self, at: usize) -> Option<SocketAddr> {
        self.addresses.get(at).copied()
    }

    /// A connection failed, so the name may have other addresses by now.
    pub(super) fn suspect(&mut self) {
        if let Some(name) = &mut self.name {
            name.suspect = true;
        }
    }

    /// This address has answered. Returns whether it differs from the last time.
    pub(super) fn answered(&mut self, address: SocketAddr) -> bool {
        let moved = self.addresses.first() != Some(&address);
        self.prefer(address);
        if let Some(name) = &mut self.name {
            // Another address may have failed before, but the name still leads to a gmond.
            name.suspect = false;
        }
        moved
    }

    fn prefer(&mut self, address: SocketAddr) {
        if let Some(at) = self.addresses.iter().position(|known| *known == address) {
            self.addresses[..=at].rotate_right(1);
        }
    }
}
