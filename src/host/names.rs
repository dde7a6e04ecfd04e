//! The names of this machine, as far as its own files tell them.
//!
//! Asks no name server, which could hang, and could be made to lie.

use std::fs;

use gmetad_core::model::sorted;

/// Every name that this machine gives itself: its host name, long and short, those that `/etc/hosts`
/// puts beside it or on a loopback address, and its short name in the domains of `/etc/resolv.conf`.
pub fn own_names(host_name: &str) -> Vec<String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    names(host_name, &read("/etc/hosts"), &read("/etc/resolv.conf"))
}

fn names(host_name: &str, hosts: &str, resolv: &str) -> Vec<String> {
    let (short, _) = host_name.split_once('.').unwrap_or((host_name, ""));
    let mut names = vec![host_name.to_owned(), short.to_owned()];
    for line in hosts.lines().map(words) {
        let is_ours = match &line[..] {
            [address, names @ ..] => {
                is_loopback(address) || names.iter().any(|it| it.eq_ignore_ascii_case(host_name))
            }
            [] => false,
        };
        if is_ours {
            names.extend(line[1..].iter().map(|name| (*name).to_owned()));
        }
    }
    for line in resolv.lines().map(words) {
        if let ["search" | "domain", domains @ ..] = &line[..] {
            names.extend(domains.iter().map(|domain| format!("{short}.{domain}")));
        }
    }
    names.retain(|name| !name.is_empty() && !name.starts_with('.'));
    let mut names = sorted(names, Ord::cmp);
    names.dedup();
    names
}

/// The words of a line up to a comment.
fn words(line: &str) -> Vec<&str> {
    let (text, _) = line.split_once('#').unwrap_or((line, ""));
    text.split_whitespace().collect()
}

fn is_loopback(address: &str) -> bool {
    address
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_the_names_that_its_files_give_it() {
        let hosts = "# the usual\n127.0.0.1 localhost\n::1 ip6-localhost\n\
                     192.0.2.7 Head.example.org ganglia head # that is us\n\
                     192.0.2.8 other.example.org other\n\n192.0.2.9\n";
        let resolv = "nameserver 192.0.2.1\nsearch example.org lab.example.org\n";
        assert_eq!(
            names("head", hosts, resolv),
            [
                "Head.example.org",
                "ganglia",
                "head",
                "head.example.org",
                "head.lab.example.org",
                "ip6-localhost",
                "localhost"
            ]
        );
        assert_eq!(
            names("head.example.org", "", "domain lab\n"),
            ["head", "head.example.org", "head.lab"]
        );
        assert_eq!(names("", "", "search x"), Vec::<String>::new());
    }
}
