//! What directives mean in the end: read from text, asked of the core's own rules.
//!
//! Tests only.

mod trust {
    use std::net::IpAddr;
    use std::path::Path;

    use gmetad_core::trust::Trust;

    use crate::{Disk, Overrides, parse};

    fn trust(text: &str) -> Trust {
        let file = Path::new("gmetad.conf");
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

mod summary {
    use std::path::Path;

    use gmetad_core::summary::SummaryFilter;

    use crate::{Disk, Overrides, parse};

    fn filter(text: &str) -> SummaryFilter {
        let file = Path::new("gmetad.conf");
        let overrides = Overrides::default();
        let disk = &Disk;
        let loaded = parse(text.as_bytes(), file, disk, &overrides, "h");
        loaded.expect("sound").config.summary_filter
    }

    #[test]
    fn expressions_are_found_anywhere_in_a_name_and_leaving_out_wins() {
        let without = filter("unsummarized_metrics /_temp$/ disk");
        assert!(!without.takes_part("cpu_temp") && !without.takes_part("disk_free"));
        assert!(without.takes_part("cpu_temperature") && without.takes_part("a_disk"));
        let only = filter("summarized_metrics /^cpu_/ load_one\nunsummarized_metrics /wio/");
        assert!(only.takes_part("cpu_user") && only.takes_part("load_one"));
        assert!(!only.takes_part("cpu_wio"), "leaving out wins");
        assert!(!only.takes_part("load_five") && !only.takes_part("a cpu_"));
    }

    /// Those of these names that are summed up.
    fn summed(text: &str) -> Vec<&'static str> {
        let names = [
            "load_one",
            "load_five",
            "cpu_user",
            "cpu_wio",
            "disk_free",
            "disk_total",
            "vm.vcpu",
        ];
        let filter = filter(text);
        names
            .into_iter()
            .filter(|it| filter.takes_part(it))
            .collect()
    }

    #[test]
    fn of_several_rules_the_first_that_knows_of_a_name_decides() {
        assert_eq!(
            summed("summary_rule include load_one /^cpu_/\nsummary_default exclude"),
            ["load_one", "cpu_user", "cpu_wio"]
        );
        assert_eq!(
            summed("summary_rule include disk_total\nsummary_rule exclude /^disk_/ vm.vcpu"),
            ["load_one", "load_five", "cpu_user", "cpu_wio", "disk_total"]
        );
        assert_eq!(
            summed("summary_rule exclude /^disk_/\nsummary_rule include disk_total /^c/"),
            ["load_one", "load_five", "cpu_user", "cpu_wio", "vm.vcpu"]
        );
        assert_eq!(
            summed(
                "summary_rule exclude cpu_wio\nsummary_rule Include /^cpu_/\n\
                 summary_default EXCLUDE"
            ),
            ["cpu_user"]
        );
    }

    #[test]
    fn what_no_rule_knows_is_left_to_the_lists_and_then_to_the_default() {
        let lists = "unsummarized_metrics disk_ /wio$/\nunsummarized_sflow_vm_metrics on\n";
        let with = |more: &str| summed(&(lists.to_owned() + more));
        assert_eq!(with(""), ["load_one", "load_five", "cpu_user"]);
        assert_eq!(with("summary_default include"), with(""));
        assert_eq!(with("summary_default exclude"), [""; 0]);
        assert_eq!(
            with("summary_rule include disk_total /vcpu/"),
            ["load_one", "load_five", "cpu_user", "disk_total", "vm.vcpu"]
        );
        let only = "summarized_metrics load_one disk_free\n";
        assert_eq!(with(only), ["load_one"]);
        assert_eq!(
            with(&format!("{only}summary_default exclude")),
            ["load_one"]
        );
        assert_eq!(with(&format!("{only}summary_default include")), with(""));
        assert_eq!(
            with(&format!(
                "{only}summary_rule include cpu_wio\nsummary_rule exclude load_one"
            )),
            ["cpu_wio"]
        );
    }
}
