//! Who may ask: the rule of `trusted_hosts` and `all_trusted`, by a client's address.
//!
//! No look-ups: whoever resolves the names hands their addresses in.

use std::net::IpAddr;

use crate::config::{TrustConfig, TrustEntry};

/// The rule, ready to be asked.
///
/// This machine itself, by its loopback addresses, may always ask, as C gmetad has it. IPv4
/// clients of an IPv6 socket count as what they are.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    all: bool,
    blocks: Vec<(IpAddr, u8)>,
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
                TrustEntry::Block {
                    network,
                    prefix_bits,
                } => {
                    trust.blocks.push((*network, *prefix_bits));
                }
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
            || self
                .blocks
                .iter()
                .any(|&(network, bits)| contains(network, bits, address))
            || self
                .names
                .iter()
                .any(|(_, addresses)| addresses.contains(&address))
    }
}

/// Whether the block holds the address; never across families.
fn contains(network: IpAddr, prefix_bits: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let differing = network.to_bits() ^ address.to_bits();
            differing.leading_zeros() >= u32::from(prefix_bits)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let differing = network.to_bits() ^ address.to_bits();
            differing.leading_zeros() >= u32::from(prefix_bits)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Overrides;
    use crate::config::{Disk, parse};

    fn trust(text: &str) -> Trust {
        let file = std::path::Path::new("gmetad.conf");
        let loaded = parse(text.as_bytes(), file, &Disk, &Overrides::default(), "h");
        Trust::new(&loaded.expect("sound").config.trust)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn without_a_line_only_this_machine_may_ask() {
        let trust = trust("");
        for own in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            assert!(trust.allows(ip(own)), "{own}");
        }
        for other in [
            "192.0.2.1",
            "128.0.0.1",
            "::2",
            "::ffff:192.0.2.1",
            "0.0.0.0",
            "::",
        ] {
            assert!(!trust.allows(ip(other)), "{other}");
        }
    }

    #[test]
    fn all_trusted_lets_everyone_in() {
        let trust = trust("all_trusted on");
        assert!(trust.allows(ip("203.0.113.9")) && trust.allows(ip("2001:db8::9")));
    }

    #[test]
    fn an_address_means_that_one_host() {
        let trust = trust("trusted_hosts 192.0.2.1 2001:db8::1");
        assert!(trust.allows(ip("192.0.2.1")) && trust.allows(ip("2001:db8::1")));
        assert!(!trust.allows(ip("192.0.2.2")) && !trust.allows(ip("2001:db8::2")));
    }

    #[test]
    fn a_block_ends_at_its_prefix() {
        let trust = trust("trusted_hosts 192.0.2.77/26\ntrusted_hosts 2001:db8:ffff::/33");
        for inside in [
            "192.0.2.64",
            "192.0.2.127",
            "2001:db8:8000::",
            "2001:db8:ffff::1",
        ] {
            assert!(trust.allows(ip(inside)), "{inside}");
        }
        for outside in [
            "192.0.2.63",
            "192.0.2.128",
            "2001:db8:7fff::1",
            "2001:db9::",
        ] {
            assert!(!trust.allows(ip(outside)), "{outside}");
        }
    }

    #[test]
    fn a_block_of_no_bits_is_its_whole_family_and_no_other() {
        let trust = trust("trusted_hosts 10.0.0.0/0");
        assert!(trust.allows(ip("203.0.113.9")) && trust.allows(ip("::ffff:203.0.113.9")));
        assert!(!trust.allows(ip("2001:db8::1")));
    }

    #[test]
    fn an_ipv4_client_of_an_ipv6_socket_is_an_ipv4_client() {
        let trust = trust("trusted_hosts 192.0.2.0/24");
        assert!(trust.allows(ip("::ffff:192.0.2.200")));
        // The deprecated compatible form is not what a socket reports, so it is IPv6.
        assert!(!trust.allows(ip("::192.0.2.200")));
    }

    #[test]
    fn a_mapped_block_in_the_file_is_the_ipv4_block_it_means() {
        let trust = trust("trusted_hosts ::ffff:192.0.2.0/120");
        assert!(trust.allows(ip("192.0.2.3")) && !trust.allows(ip("192.0.3.3")));
    }

    #[test]
    fn a_name_lets_in_what_it_resolves_to_now() {
        let mut trust = trust("trusted_hosts head.example head.example web.example");
        assert_eq!(
            trust.names().collect::<Vec<_>>(),
            ["head.example", "web.example"]
        );
        assert!(!trust.allows(ip("192.0.2.1")));
        trust.set_addresses("head.example", &[ip("::ffff:192.0.2.1"), ip("2001:db8::1")]);
        trust.set_addresses("other.example", &[ip("192.0.2.9")]);
        assert!(trust.allows(ip("192.0.2.1")) && trust.allows(ip("2001:db8::1")));
        assert!(!trust.allows(ip("192.0.2.9")));
        trust.set_addresses("head.example", &[ip("192.0.2.2")]);
        assert!(trust.allows(ip("192.0.2.2")) && !trust.allows(ip("192.0.2.1")));
    }

    #[test]
    fn a_rule_that_replaces_another_knows_the_names_they_share() {
        let mut old = trust("trusted_hosts stays.example goes.example");
        old.set_addresses("stays.example", &[ip("192.0.2.1")]);
        old.set_addresses("goes.example", &[ip("192.0.2.2")]);
        let new = trust("trusted_hosts stays.example new.example").with_addresses_of(&old);
        assert!(new.allows(ip("192.0.2.1")) && !new.allows(ip("192.0.2.2")));
    }
}
