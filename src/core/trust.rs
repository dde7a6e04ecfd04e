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
    /// `web_trusted_hosts`, in file order; empty: as all else.
    pub pages: Vec<TrustEntry>,
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
    hosts: Hosts,
    /// Who may see the pages, if that is another matter.
    pages: Option<Hosts>,
}

/// A list of hosts.
#[derive(Clone, Debug, Default)]
struct Hosts {
    blocks: Vec<IpNet>,
    names: Vec<(String, Vec<IpAddr>)>,
}

impl Hosts {
    fn new(entries: &[TrustEntry]) -> Hosts {
        let mut hosts = Hosts::default();
        for entry in entries {
            match entry {
                TrustEntry::Block(block) => hosts.blocks.push(*block),
                TrustEntry::Name(name) => {
                    if !hosts.names.iter().any(|(known, _)| known == name) {
                        hosts.names.push((name.clone(), Vec::new()));
                    }
                }
            }
        }
        hosts
    }

    fn has(&self, address: IpAddr) -> bool {
        let has_address = |(_, addresses): &(String, Vec<IpAddr>)| addresses.contains(&address);
        self.blocks.iter().any(|block| block.contains(&address))
            || self.names.iter().any(has_address)
    }
}

impl Trust {
    /// The rule before names are resolved. An unresolved name allows nobody.
    pub fn new(config: &TrustConfig) -> Self {
        let is_listed = !config.pages.is_empty();
        Trust {
            all: config.all,
            hosts: Hosts::new(&config.entries),
            pages: is_listed.then(|| Hosts::new(&config.pages)),
        }
    }

    /// This rule with the addresses that another one has of the same names.
    #[must_use]
    pub fn with_addresses_of(mut self, other: &Trust) -> Trust {
        let lists = std::iter::once(&other.hosts).chain(&other.pages);
        for (name, addresses) in lists.flat_map(|hosts| &hosts.names) {
            self.set_addresses(name, addresses);
        }
        self
    }

    /// The names to resolve, each once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let of_pages = self.pages.iter().flat_map(|pages| &pages.names);
        let known = &self.hosts.names;
        let further = of_pages.filter(|(name, _)| !known.iter().any(|(it, _)| it == name));
        known.iter().chain(further).map(|(name, _)| name.as_str())
    }

    /// Replaces the addresses of a name. Unknown names are ignored.
    pub fn set_addresses(&mut self, name: &str, addresses: &[IpAddr]) {
        let lists = std::iter::once(&mut self.hosts).chain(&mut self.pages);
        for (known, of_name) in lists.flat_map(|hosts| &mut hosts.names) {
            if known == name {
                *of_name = addresses.iter().map(IpAddr::to_canonical).collect();
            }
        }
    }

    /// Whether a client at this address is answered.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.all || address.is_loopback() || self.hosts.has(address)
    }

    /// Whether it may see the pages.
    pub fn allows_pages(&self, address: IpAddr) -> bool {
        match &self.pages {
            Some(pages) => {
                let address = address.to_canonical();
                address.is_loopback() || pages.has(address)
            }
            None => self.allows(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_a_list_of_their_own_or_that_of_all_else() {
        let name = |name: &str| TrustEntry::Name(name.into());
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let (ours, theirs) = (address("192.0.2.1"), address("198.51.100.7"));
        let mut config = TrustConfig {
            entries: vec![name("a"), name("b")],
            ..TrustConfig::default()
        };
        let mut trust = Trust::new(&config);
        trust.set_addresses("a", &[ours]);
        assert!(trust.allows_pages(ours) && !trust.allows_pages(theirs));
        config.pages = vec![name("a"), name("c")];
        let mut trust = Trust::new(&config).with_addresses_of(&trust);
        assert_eq!(trust.names().collect::<Vec<_>>(), ["a", "b", "c"]);
        trust.set_addresses("c", &[theirs]);
        assert!(trust.allows_pages(ours), "its address is known");
        assert!(trust.allows_pages(theirs) && !trust.allows(theirs));
        config.pages = vec![name("c")];
        config.all = true;
        let trust = Trust::new(&config);
        assert!(trust.allows(ours) && !trust.allows_pages(ours));
        assert!(trust.allows_pages(address("::1")), "this machine always");
    }
}
