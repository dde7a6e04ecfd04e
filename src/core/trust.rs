//! Who may ask: the rule of `trusted_hosts` and `all_trusted`, by a client's address.
//!
//! No look-ups: whoever resolves the names hands their addresses in.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// `trusted_hosts` and `all_trusted`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustConfig {
    /// On: everyone.
    pub all: bool,
    /// Any number, in the order of the file.
    pub entries: Vec<TrustEntry>,
}

/// One word of `trusted_hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustEntry {
    /// A block of addresses, its host bits cleared; one address is a block of full length.
    Block(IpNet),
    /// A name, looked up by the resolver.
    Name(String),
}

impl fmt::Display for TrustEntry {
    /// As it is written in the file.
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

/// The rule, ready to be asked.
///
/// This machine itself, by its loopback addresses, may always ask, as C gmetad has it. IPv4
/// clients of an IPv6 socket count as what they are.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    all: bool,
    blocks: Vec<IpNet>,
    names: Vec<(String, Vec<IpAddr>)>,
}

impl Trust {
    /// The rule before any name is resolved: until then, a name lets nobody in.
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

    /// The same with what another rule knows of its names.
    #[must_use]
    pub fn with_addresses_of(mut self, other: &Trust) -> Trust {
        for (name, addresses) in &other.names {
            self.set_addresses(name, addresses);
        }
        self
    }

    /// Names to be resolved, each once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(name, _)| name.as_str())
    }

    /// Takes a name's addresses in place of those it had; a name that is not ours is ignored.
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
