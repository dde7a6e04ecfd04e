//! Which clients are answered: the rule of `trusted_hosts` and `all_trusted`.
//!
//! No look-ups: the caller resolves names and passes the addresses in.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// `trusted_hosts` and `all_trusted`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustConfig {
    /// On: every client.
    pub all: bool,
    /// In file order.
    pub entries: Vec<TrustEntry>,
}

/// One word of `trusted_hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustEntry {
    /// A block of addresses, its host bits cleared; one address is a block of full length.
    Block(IpNet),
    /// A name, to be resolved.
    Name(String),
}

impl fmt::Display for TrustEntry {
    /// As in gmetad.conf.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrustEntry::Name(name) => f.write_str(name),
            TrustEntry::Block(block) if block.prefix_len() == block.max_prefix_len() => {
                write!(f, "{}", block.addr())
            }
            TrustEntry::Block(block) => write!(f, "{block}"),
        }
    }
}

/// The rule with the addresses of its names.
///
/// Loopback addresses are always allowed, as in C gmetad. IPv4 clients of an IPv6 socket are treated
/// as IPv4.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    all: bool,
    blocks: Vec<IpNet>,
    names: Vec<(String, Vec<IpAddr>)>,
}

impl Trust {
    /// The rule before names are resolved. An unresolved name allows nobody.
    pub fn new(config: &TrustConfig) -> Self {
        let mut trust = Trust {
            all: config.all,
            ..Trust::default()
        };
        for entry in &config.entries {
            match entry {
                TrustEntry::Block(block) => trust.blocks.push(*block),
                TrustEntry::Name(name) => {
                    if !trust.names.iter().any(|(known, _)| known == name) {
                        trust.names.push((name.clone(), Vec::new()));
                    }
                }
            }
        }
        trust
    }

    /// This rule with the addresses that another one has of the same names.
    #[must_use]
    pub fn with_addresses_of(mut self, other: &Trust) -> Trust {
        for (name, addresses) in &other.names {
            self.set_addresses(name, addresses);
        }
        self
    }

    /// The names to resolve, each once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(name, _)| name.as_str())
    }

    /// Replaces the addresses of a name. Unknown names are ignored.
    pub fn set_addresses(&mut self, name: &str, addresses: &[IpAddr]) {
        if let Some((_, known)) = self.names.iter_mut().find(|(known, _)| known == name) {
            *known = addresses.iter().map(IpAddr::to_canonical).collect();
        }
    }

    /// Whether a client at this address is answered.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.all
            || address.is_loopback()
            || self.blocks.iter().any(|block| block.contains(&address))
            || self
                .names
                .iter()
                .any(|(_, addresses)| addresses.contains(&address))
    }
}
