//! Which names a request may be addressed to, and which web pages may read the answer.
//!
//! Both keep the pages of other sites out, whom the browser of a trusted machine would let in: one
//! that asks for this machine by name, and one whose own name was turned to this machine's address.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

/// Any web page may read the answer.
const ANY_ORIGIN: &str = "Access-Control-Allow-Origin: *\r\n";

/// Answers differ by the page that asks; one that keeps them must know.
const BY_ORIGIN: &str = "Vary: Origin\r\n";

/// In place of a name or an origin: all of them.
pub const ALL: &str = "*";

/// The rule.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// In lower case, without a final dot.
    names: Vec<String>,
    origins: Vec<String>,
}

impl Access {
    /// The rule for a machine that has these names, beside `localhost` and its addresses, and for
    /// pages of these origins (`scheme://host[:port]`, in lower case).
    pub fn new(
        names: impl IntoIterator<Item = impl AsRef<str>>,
        origins: impl IntoIterator<Item = impl Into<String>>,
    ) -> Access {
        let names = names.into_iter().map(|name| plain(name.as_ref()));
        Access {
            names: names.collect(),
            origins: origins.into_iter().map(Into::into).collect(),
        }
    }

    /// Whether a request for that host, which may have a port, is a request for this machine. Any
    /// address is, since the DNS has no say in it.
    pub fn is_ours(&self, host: &[u8]) -> bool {
        if self.names.iter().any(|name| name == ALL) {
            return true;
        }
        let Ok(host) = str::from_utf8(host) else {
            return false;
        };
        let Some(name) = without_port(host) else {
            return false;
        };
        if is_address(name) {
            return true;
        }
        let name = plain(name);
        name == "localhost" || self.names.contains(&name)
    }

    /// The header fields that let the page that asks read the answer.
    pub fn fields(&self, origin: Option<&[u8]>) -> Cow<'static, str> {
        if self.origins.is_empty() {
            return "".into();
        }
        if self.origins.iter().any(|it| it == ALL) {
            return ANY_ORIGIN.into();
        }
        let allowed = self.origins.iter().find(|it| Some(it.as_bytes()) == origin);
        match allowed {
            Some(origin) => format!("Access-Control-Allow-Origin: {origin}\r\n{BY_ORIGIN}").into(),
            None => BY_ORIGIN.into(),
        }
    }

    /// As [`Access::fields`] of pages that everybody may read.
    pub fn fields_for_all() -> Cow<'static, str> {
        ANY_ORIGIN.into()
    }
}

fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// The host of `host:port`; `None` if what follows it is no port.
fn without_port(host: &str) -> Option<&str> {
    let end = if host.starts_with('[') {
        host.find(']')? + 1
    } else {
        host.find(':').unwrap_or(host.len())
    };
    let (name, rest) = host.split_at(end);
    let port = rest.strip_prefix(':').unwrap_or(rest);
    port.bytes().all(|b| b.is_ascii_digit()).then_some(name)
}

fn is_address(name: &str) -> bool {
    let inner = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match inner {
        Some(inner) => {
            let (address, _zone) = inner.split_once('%').unwrap_or((inner, ""));
            address.parse::<Ipv6Addr>().is_ok()
        }
        None => name.parse::<IpAddr>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: [&str; 0] = [];

    #[test]
    fn addresses_localhost_and_names_given_are_ours_and_no_other() {
        let access = Access::new(["Head.example.org", "head", "alias."], NOBODY);
        for ours in [
            "127.0.0.1:8652",
            "192.0.2.7",
            "[::1]:8652",
            "[2001:db8::1]",
            "[fe80::1%25eth0]:1",
            "localhost",
            "LOCALHOST:8652",
            "localhost.",
            "head.example.org:8652",
            "HEAD",
            "alias:1",
        ] {
            assert!(access.is_ours(ours.as_bytes()), "{ours}");
        }
        for other in [
            "evil.example",
            "evil.example:8652",
            "head.example.org.evil.example",
            "xhead",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[::1].evil.example",
            "head:8652:evil.example",
            "evil@head",
            "head:80@evil.example",
            "[::1",
            "::1",
            "",
            "*",
            "h\u{e9}ad",
        ] {
            assert!(!access.is_ours(other.as_bytes()), "{other}");
        }
        assert!(!access.is_ours(b"head\xff"));
        assert!(Access::new([ALL], NOBODY).is_ours(b"evil.example"));
    }

    #[test]
    fn pages_of_the_origins_given_may_read_and_no_other() {
        let fields = |origins: &[&str], origin: Option<&str>| {
            let access = Access::new(NOBODY, origins.iter().copied());
            access.fields(origin.map(str::as_bytes)).into_owned()
        };
        let page = "https://grafana.example.org";
        let origins = ["http://a:3000", page];
        assert_eq!(fields(&[], Some(page)), "");
        assert_eq!(fields(&[ALL], Some(page)), ANY_ORIGIN);
        assert_eq!(fields(&[ALL], None), ANY_ORIGIN);
        assert_eq!(
            fields(&origins, Some(page)),
            format!("Access-Control-Allow-Origin: {page}\r\nVary: Origin\r\n")
        );
        for other in [
            "http://grafana.example.org",
            "https://grafana.example.org.evil.example",
            "https://grafana.example.org:444",
            "null",
        ] {
            assert_eq!(fields(&origins, Some(other)), "Vary: Origin\r\n", "{other}");
        }
        assert_eq!(fields(&origins, None), "Vary: Origin\r\n");
    }
}
