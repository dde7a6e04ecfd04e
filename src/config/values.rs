//! Single values of the configuration: text in, checked types out.
//!
//! Knows no directive and no file: the callers say whose value it was.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use gmetad_core::source::HostPort;
use gmetad_core::trust::TrustEntry;
use ipnet::IpNet;

use super::config::RrdcachedAddress;

/// Longest time between two polls: a year, which no clock arithmetic overflows.
pub(super) const INTERVAL_MAX_S: u64 = 365 * 86_400;

/// Longest host name in the DNS.
const NAME_MAX_BYTES: usize = 253;

/// What is wrong with a value and what would be right; follows the value in a sentence.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Fault {
    /// Not a boolean.
    #[error("is neither on nor off; give on, off, true, false, yes, no, 1 or 0")]
    Toggle,
    /// Not a number of days.
    #[error("is not a number of days; give 1 to 65535, or 0 for never")]
    Days,
    /// Not a port to connect to.
    #[error("is not a port; give a number from 1 to 65535")]
    Port,
    /// Not a port to listen on.
    #[error("is not a port; give a number from 1 to 65535, or 0 to let the system choose")]
    ListenPort,
    /// Not a number.
    #[error("is not a number; give a number from 0 up")]
    Number,
    /// Not a log level.
    #[error(
        "is not a log level; give 0 (fatal), 1 (critical), 2 (error), 3 (warning), 4 (info) or 5 \
         (debug)"
    )]
    Level,
    /// Not a umask.
    #[error("is not a umask; give octal digits, as in 022 or 077")]
    Umask,
    /// Not a time.
    #[error("is not a time; give milliseconds, as in 500")]
    Millis,
    /// Not a delay.
    #[error("is not a time; give seconds from 0 to 86400")]
    Wait,
    /// Not a size of memory.
    #[error("is not a size; give megabytes from 1 to 1048576")]
    Megabytes,
    /// Not a size of disk space.
    #[error("is not a size; give megabytes from 1 to 1048576, or 0 for no bound")]
    MegabytesOrNone,
    /// Not a usable poll interval.
    #[error("is not an interval; give seconds from 1 to 31536000")]
    Interval,
    /// Not the name of a host.
    #[error(
        "is not a host; give an address or a name of letters, digits, \"-\", \"_\" and \".\", \
         with spaces between hosts"
    )]
    HostName,
    /// Numbers that are not an IPv4 address.
    #[error("is not an IPv4 address; give four numbers from 0 to 255, as in 192.0.2.1")]
    Ipv4,
    /// Colons that are not an IPv6 address.
    #[error(
        "is not an IPv6 address; write it as in 2001:db8::1, and with a port as in \
         [2001:db8::1]:8649"
    )]
    Ipv6,
    /// A host with a port where only a host is expected.
    #[error("has a port; give the host alone")]
    NoPortHere,
    /// Neither an address, a block of addresses nor a name.
    #[error(
        "is not a block of addresses; give a prefix of 0 to 32 bits for IPv4, as in 192.0.2.0/24, \
         or of 0 to 128 bits for IPv6, as in 2001:db8::/32"
    )]
    Block,
    /// A name where only an address is possible.
    #[error("is not an address; give an address of this machine, as in 192.0.2.1 or ::1")]
    OwnAddress,
    /// A relative path: the daemon does not stay in its directory.
    #[error("is not an absolute path; start it with /")]
    RelativePath,
    /// Not an RRA.
    #[error("is not an RRA; write RRA:CF:XFF:STEPS:ROWS, as in RRA:AVERAGE:0.5:1:244")]
    Rra,
    /// An RRA's consolidation function.
    #[error("has no usable consolidation function; give AVERAGE, MIN, MAX or LAST")]
    RraFunction,
    /// An RRA's share of unknown values.
    #[error("has no usable XFF (the third field); give a number from 0 to less than 1")]
    RraXff,
    /// An RRA's steps or rows.
    #[error("has no usable STEPS or ROWS (the last two fields); give whole numbers from 1 up")]
    RraCount,
    /// Not a transport.
    #[error("is not a protocol; give tcp or udp")]
    Protocol,
    /// Not a pair.
    #[error("is not an attribute; write key=value, with commas between pairs")]
    Attribute,
    /// Not an address of an rrdcached.
    #[error("is not an address of an rrdcached; write a.b.c.d:port, [v6]:port or unix:/path")]
    Rrdcached,
    /// Not a time that a condition must hold.
    #[error("is not a time; give seconds, as in for 300")]
    Hold,
    /// Not a mail address.
    #[error("is not a mail address; give it without a name or quotes, as in admin@example.com")]
    Address,
    /// Not a number of programs.
    #[error("is not a limit; give the number of programs that may run at once, from 1 to 64")]
    RunLimit,
    /// Not a time limit for a program.
    #[error("is not a time; give seconds from 1 to 3600")]
    RunTimeout,
    /// Not a verdict of a rule.
    #[error("is neither include nor exclude; write one of them")]
    Verdict,
    /// An expression where a name is expected.
    #[error(
        "is not the name of a metric; put a regular expression between slashes and in quotes, as in \
         \"/^disk_/\""
    )]
    BareExpression,
    /// Two slashes with nothing between them.
    #[error("is an empty expression; use summary_default to decide about all other metrics")]
    EmptyExpression,
    /// A name with a port, or an address, where a name of this machine in a request is expected.
    #[error("is not a name of this machine; give a host name without a port, or * for any name")]
    ServedName,
    /// Not an origin of web pages.
    #[error(
        "is not an origin; write http://host or https://host, with a port where it is not the usual \
         one, without a path, or * for all"
    )]
    Origin,
    /// Not a number of clients.
    #[error("is not a number of clients; give 1 to 1000000")]
    Clients,
    /// Not a length of a request line.
    #[error("is not a length of a request; give bytes from 256 to 65536")]
    RequestBytes,
    /// Not a time for a client.
    #[error("is not a time; give seconds from 1 to 3600")]
    ClientTime,
    /// Not an amount of unsent bytes.
    #[error("is not a size; give kilobytes from 16 to 65536")]
    Kilobytes,
    /// Not a size of what a source brings.
    #[error("is not a size; give megabytes from 1 to 65536")]
    SourceMegabytes,
    /// Not a number of things in a document.
    #[error("is not a limit; give a number from 1 to 16777216")]
    Most,
    /// Not a length of a tag.
    #[error("is not a length of a tag; give bytes from 1024 to 1048576")]
    TagBytes,
    /// Not a depth of elements.
    #[error("is not a limit; give a number of elements inside each other, from 8 to 1024")]
    Nesting,
    /// An empty value.
    #[error("is empty; give a value, or remove the line")]
    Empty,
}

/// on/off, true/false, yes/no, 1/0, in any case.
pub(super) fn toggle(text: &str) -> Result<bool, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err(Fault::Toggle),
    }
}

/// A number of digits only: no sign, no space.
fn digits(text: &str) -> Option<u64> {
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// A port to connect to.
pub(super) fn port(text: &str) -> Result<u16, Fault> {
    match listen_port(text) {
        Ok(0) | Err(_) => Err(Fault::Port),
        Ok(port) => Ok(port),
    }
}

/// A port to listen on; 0 lets the system choose.
pub(super) fn listen_port(text: &str) -> Result<u16, Fault> {
    let number = digits(text).ok_or(Fault::ListenPort)?;
    u16::try_from(number).map_err(|_| Fault::ListenPort)
}

/// Any number from 0 up.
pub(super) fn number(text: &str) -> Result<u64, Fault> {
    digits(text).ok_or(Fault::Number)
}

/// A log level; anything over 255 is the same as 255.
pub(super) fn level(text: &str) -> Result<u8, Fault> {
    let level = digits(text).ok_or(Fault::Level)?;
    Ok(u8::try_from(level).unwrap_or(u8::MAX))
}

/// A umask in octal digits, as umask(1) takes it.
pub(super) fn umask(text: &str) -> Result<u32, Fault> {
    digits(text).ok_or(Fault::Umask)?;
    match u32::from_str_radix(text, 8) {
        Ok(mask) if mask <= 0o777 => Ok(mask),
        _ => Err(Fault::Umask),
    }
}

/// Seconds up to a day; 0: not at all.
pub(super) fn wait(text: &str) -> Result<Duration, Fault> {
    match digits(text) {
        Some(secs @ 0..=86_400) => Ok(Duration::from_secs(secs)),
        _ => Err(Fault::Wait),
    }
}

/// Days; none for 0.
pub(super) fn days(text: &str) -> Result<Option<NonZero<u16>>, Fault> {
    let days = digits(text).ok_or(Fault::Days)?;
    let days = u16::try_from(days).map_err(|_| Fault::Days)?;
    Ok(NonZero::new(days))
}

/// Megabytes, in bytes.
pub(super) fn megabytes(text: &str) -> Result<usize, Fault> {
    let bytes = match digits(text) {
        Some(megabytes @ 1..=1_048_576) => usize::try_from(megabytes << 20).ok(),
        _ => None,
    };
    bytes.ok_or(Fault::Megabytes)
}

/// Megabytes, in bytes; 0: no bound.
pub(super) fn megabytes_or_none(text: &str) -> Result<u64, Fault> {
    match digits(text) {
        Some(megabytes @ 0..=1_048_576) => Ok(megabytes << 20),
        _ => Err(Fault::MegabytesOrNone),
    }
}

/// Milliseconds, at least one.
pub(super) fn millis(text: &str) -> Result<Duration, Fault> {
    match digits(text) {
        Some(millis @ 1..=86_400_000) => Ok(Duration::from_millis(millis)),
        _ => Err(Fault::Millis),
    }
}

/// The seconds of a `data_source`; `None` if the word is not a number, and so is a host.
pub(super) fn interval(text: &str) -> Option<Result<Duration, Fault>> {
    let seconds = digits(text)?;
    Some(match seconds {
        1..=INTERVAL_MAX_S => Ok(Duration::from_secs(seconds)),
        _ => Err(Fault::Interval),
    })
}

/// `host`, `host:port`, `[v6]`, `[v6]:port` or a bare `v6`, which cannot have a port.
pub(super) fn host_port(text: &str, default_port: u16) -> Result<HostPort, Fault> {
    let (host, port_text) = if let Some(inner) = text.strip_prefix('[') {
        let (host, rest) = inner.split_once(']').ok_or(Fault::Ipv6)?;
        if !is_ipv6(host) {
            return Err(Fault::Ipv6);
        }
        match rest.strip_prefix(':') {
            Some(port_text) => (host, Some(port_text)),
            None if rest.is_empty() => (host, None),
            None => return Err(Fault::Ipv6),
        }
    } else if text.matches(':').count() == 1 {
        let (host, port_text) = text.split_once(':').unwrap_or((text, ""));
        (host, Some(port_text))
    } else {
        (text, None)
    };
    Ok(HostPort {
        host: host_name(host)?,
        port: port_text.map_or(Ok(default_port), port)?,
    })
}

/// A host alone, for directives whose port is another directive.
pub(super) fn host(text: &str) -> Result<String, Fault> {
    let with_port = text.matches(':').count() == 1 || text.contains("]:");
    if with_port {
        return Err(Fault::NoPortHere);
    }
    Ok(host_port(text, 0)?.host)
}

/// An address in its literal form, or a name that a resolver can be asked for.
fn host_name(text: &str) -> Result<String, Fault> {
    if text.contains(':') {
        return if is_ipv6(text) {
            Ok(text.into())
        } else {
            Err(Fault::Ipv6)
        };
    }
    if text.parse::<Ipv4Addr>().is_ok() {
        return Ok(text.into());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let sound_labels = name
        .split('.')
        .all(|label| !label.is_empty() && label.chars().all(known));
    if !sound_labels || name.len() > NAME_MAX_BYTES {
        return Err(Fault::HostName);
    }
    // No top-level domain is a number, and resolvers disagree on what "1.2.3" would be.
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Ipv4);
    }
    Ok(text.into())
}

/// How many clients there may be.
pub(super) fn clients(text: &str) -> Result<Option<NonZero<u32>>, Fault> {
    let number = digits(text).filter(|number| (1..=1_000_000).contains(number));
    let number = number.ok_or(Fault::Clients)?;
    Ok(NonZero::new(number as u32))
}

/// The longest request line, in bytes.
pub(super) fn request_bytes(text: &str) -> Result<usize, Fault> {
    match digits(text) {
        Some(bytes @ 256..=65_536) => Ok(bytes as usize),
        _ => Err(Fault::RequestBytes),
    }
}

/// A time for a client, in seconds.
pub(super) fn client_time(text: &str) -> Result<Duration, Fault> {
    match digits(text) {
        Some(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err(Fault::ClientTime),
    }
}

/// Kilobytes, as bytes.
pub(super) fn kilobytes(text: &str) -> Result<u32, Fault> {
    match digits(text) {
        Some(kilobytes @ 16..=65_536) => Ok((kilobytes as u32) << 10),
        _ => Err(Fault::Kilobytes),
    }
}

/// Megabytes of what a source brings, as bytes. Its values are numbered with 32 bits, and 64 GB hold
/// fewer.
pub(super) fn source_megabytes(text: &str) -> Result<usize, Fault> {
    let bytes = match digits(text) {
        Some(megabytes @ 1..=65_536) => usize::try_from(megabytes << 20).ok(),
        _ => None,
    };
    bytes.ok_or(Fault::SourceMegabytes)
}

/// How many of something a document may have.
pub(super) fn most(text: &str) -> Result<usize, Fault> {
    match digits(text) {
        Some(number @ 1..=16_777_216) => Ok(number as usize),
        _ => Err(Fault::Most),
    }
}

/// The longest tag, in bytes. A gmond's are below 2 KB.
pub(super) fn tag_bytes(text: &str) -> Result<usize, Fault> {
    match digits(text) {
        Some(bytes @ 1024..=1_048_576) => Ok(bytes as usize),
        _ => Err(Fault::TagBytes),
    }
}

/// How deep elements may be nested: an EXTRA_ELEMENT of a cluster in a grid in a gmetad's own is 8
/// deep.
pub(super) fn nesting(text: &str) -> Result<usize, Fault> {
    match digits(text) {
        Some(depth @ 8..=1024) => Ok(depth as usize),
        _ => Err(Fault::Nesting),
    }
}

/// A name by which HTTP clients know this machine, or `*`.
pub(super) fn served_name(text: &str) -> Result<String, Fault> {
    if text == "*" {
        return Ok(text.into());
    }
    let name = host_name(text).map_err(|_| Fault::ServedName)?;
    Ok(name.to_ascii_lowercase())
}

/// Where web pages come from, as browsers write it: in lower case and without the usual port; or
/// `*`.
pub(super) fn origin(text: &str) -> Result<String, Fault> {
    if text == "*" {
        return Ok(text.into());
    }
    let origin = text.to_ascii_lowercase();
    let (scheme, place) = origin.split_once("://").ok_or(Fault::Origin)?;
    let usual_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(Fault::Origin),
    };
    let HostPort { host, port } = host_port(place, usual_port).map_err(|_| Fault::Origin)?;
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    };
    Ok(if port == usual_port {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}:{port}")
    })
}

/// An IPv6 address, with the zone that a link-local one needs.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let sound_zone = zone.is_none_or(|zone| {
        !zone.is_empty()
            && zone
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'/')
    });
    sound_zone && address.parse::<Ipv6Addr>().is_ok()
}

/// One of this machine's addresses, brackets allowed.
pub(super) fn own_address(text: &str) -> Result<IpAddr, Fault> {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(text).parse().map_err(|_| Fault::OwnAddress)
}

/// An address, a block of them, or a name.
pub(super) fn trust_entry(text: &str) -> Result<TrustEntry, Fault> {
    if let Some((address, prefix)) = text.split_once('/') {
        let address = own_address(address).map_err(|_| Fault::Block)?;
        let prefix_bits = digits(prefix).and_then(|bits| u8::try_from(bits).ok());
        return block(address, prefix_bits.ok_or(Fault::Block)?).ok_or(Fault::Block);
    }
    if let Ok(address) = own_address(text) {
        return Ok(TrustEntry::Block(IpNet::from(address.to_canonical())));
    }
    host(text).map(TrustEntry::Name)
}

/// The block with its host bits cleared, one of IPv4-mapped addresses as the IPv4 block it means.
fn block(address: IpAddr, prefix_bits: u8) -> Option<TrustEntry> {
    let mapped = match address {
        IpAddr::V6(v6) if prefix_bits >= 96 => v6.to_ipv4_mapped(),
        _ => None,
    };
    let block = match mapped {
        Some(v4) => IpNet::new(v4.into(), prefix_bits - 96),
        None => IpNet::new(address, prefix_bits),
    };
    Some(TrustEntry::Block(block.ok()?.trunc()))
}

/// Text that is not blank.
pub(super) fn not_empty(text: &str) -> Result<String, Fault> {
    if text.trim().is_empty() {
        Err(Fault::Empty)
    } else {
        Ok(text.into())
    }
}

/// A path from the root.
pub(super) fn path(text: &str) -> Result<PathBuf, Fault> {
    match text {
        "" => Err(Fault::Empty),
        _ if Path::new(text).is_absolute() => Ok(text.into()),
        _ => Err(Fault::RelativePath),
    }
}

/// An RRA as in rrdcreate(1); steps and rows may be times, as in `5m` and `1d`.
pub(super) fn rra(text: &str) -> Result<String, Fault> {
    let fields: Vec<&str> = text.split(':').collect();
    let [keyword, function, xff, steps, rows] = fields[..] else {
        return Err(Fault::Rra);
    };
    if keyword != "RRA" {
        return Err(Fault::Rra);
    }
    if !matches!(function, "AVERAGE" | "MIN" | "MAX" | "LAST") {
        return Err(Fault::RraFunction);
    }
    let sound_xff = xff
        .parse::<f64>()
        .is_ok_and(|share| (0.0..1.0).contains(&share));
    if !sound_xff {
        return Err(Fault::RraXff);
    }
    if !is_count(steps) || !is_count(rows) {
        return Err(Fault::RraCount);
    }
    Ok(text.into())
}

/// An RRA for forecasts, which librrd fills by itself.
pub(super) fn is_forecast(text: &str) -> bool {
    let functions = [
        "HWPREDICT",
        "MHWPREDICT",
        "SEASONAL",
        "DEVSEASONAL",
        "DEVPREDICT",
        "FAILURES",
    ];
    let mut fields = text.split(':');
    fields.next() == Some("RRA") && fields.next().is_some_and(|it| functions.contains(&it))
}

/// A number from 1 up that librrd can hold, with a unit of time where one is given.
fn is_count(text: &str) -> bool {
    let count = text
        .strip_suffix(['s', 'm', 'h', 'd', 'w', 'M', 'y'])
        .unwrap_or(text);
    matches!(digits(count), Some(1..=0x7fff_ffff))
}

/// `udp` or not.
pub(super) fn is_udp(text: &str) -> Result<bool, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "udp" => Ok(true),
        "tcp" => Ok(false),
        _ => Err(Fault::Protocol),
    }
}

/// One `key=value` of riemann_attributes.
pub(super) fn attribute(text: &str) -> Result<(String, String), Fault> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().into(), value.trim().into()))
        }
        _ => Err(Fault::Attribute),
    }
}

/// An address of an rrdcached: C gmetad's `a.b.c.d:port`, and rrdcached's own other forms.
pub(super) fn rrdcached(text: &str) -> Result<RrdcachedAddress, Fault> {
    if let Some(socket) = text.strip_prefix("unix:") {
        let socket = path(socket).map_err(|_| Fault::Rrdcached)?;
        return Ok(RrdcachedAddress::Unix(socket));
    }
    // 0 stands for "no port given", which no port that is given can be.
    match host_port(text, 0) {
        Ok(place) if place.port != 0 => Ok(RrdcachedAddress::Tcp(place)),
        _ => Err(Fault::Rrdcached),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> (String, u16) {
        let place = host_port(text, 8649).expect("a host");
        (place.host, place.port)
    }

    #[test]
    fn a_toggle_has_four_spellings_in_any_case() {
        for on in ["on", "true", "yes", "1", "ON", "True", "yEs"] {
            assert_eq!(toggle(on), Ok(true), "{on}");
        }
        for off in ["off", "false", "no", "0", "OFF", "False", "nO"] {
            assert_eq!(toggle(off), Ok(false), "{off}");
        }
        for neither in ["", "2", "enabled", "on ", "01"] {
            assert_eq!(toggle(neither), Err(Fault::Toggle), "{neither}");
        }
    }

    #[test]
    fn a_port_is_a_number_of_sixteen_bits() {
        assert_eq!(port("1"), Ok(1));
        assert_eq!(port("65535"), Ok(65535));
        assert_eq!(listen_port("0"), Ok(0));
        for bad in [
            "0",
            "65536",
            "-1",
            "+1",
            "0x1",
            "",
            " 1",
            "99999999999999999999999",
        ] {
            assert_eq!(port(bad), Err(Fault::Port), "{bad}");
        }
        assert_eq!(listen_port("65536"), Err(Fault::ListenPort));
    }

    #[test]
    fn a_level_has_no_upper_end() {
        assert_eq!(level("0"), Ok(0));
        assert_eq!(level("10"), Ok(10));
        assert_eq!(level("100000"), Ok(255));
        assert_eq!(level("-1"), Err(Fault::Level));
    }

    #[test]
    fn a_umask_is_octal() {
        assert_eq!(umask("022"), Ok(0o22));
        assert_eq!(umask("22"), Ok(0o22));
        assert_eq!(umask("0777"), Ok(0o777));
        for bad in ["8", "1000", "u=rwx", "", "-1"] {
            assert_eq!(umask(bad), Err(Fault::Umask), "{bad}");
        }
    }

    #[test]
    fn an_interval_is_digits_and_else_a_host() {
        assert_eq!(interval("15"), Some(Ok(Duration::from_secs(15))));
        assert_eq!(interval("0"), Some(Err(Fault::Interval)));
        assert_eq!(interval("31536001"), Some(Err(Fault::Interval)));
        assert_eq!(interval("10.0.0.1"), None);
        assert_eq!(interval("localhost"), None);
    }

    #[test]
    fn times_are_whole_milliseconds() {
        assert_eq!(millis("500"), Ok(Duration::from_millis(500)));
        for bad in ["0", "0.5", "500ms", "86400001"] {
            assert_eq!(millis(bad), Err(Fault::Millis), "{bad}");
        }
    }

    #[test]
    fn a_host_may_have_a_port() {
        assert_eq!(place("localhost"), ("localhost".into(), 8649));
        assert_eq!(
            place("my_box-1.example.:8655"),
            ("my_box-1.example.".into(), 8655)
        );
        assert_eq!(place("192.0.2.1"), ("192.0.2.1".into(), 8649));
        assert_eq!(place("192.0.2.1:1"), ("192.0.2.1".into(), 1));
        assert_eq!(place("3com.example"), ("3com.example".into(), 8649));
    }

    #[test]
    fn an_ipv6_host_has_its_port_behind_brackets() {
        assert_eq!(place("[::1]:8650"), ("::1".into(), 8650));
        assert_eq!(place("[2001:db8::1]"), ("2001:db8::1".into(), 8649));
        assert_eq!(place("2001:db8::1"), ("2001:db8::1".into(), 8649));
        assert_eq!(place("[fe80::1%eth0]:1"), ("fe80::1%eth0".into(), 1));
        for bad in [
            "[::1",
            "[::1]8650",
            "[::g]",
            "[localhost]:1",
            "1:2:3",
            "[fe80::1%]",
            "[]",
        ] {
            assert_eq!(host_port(bad, 8649), Err(Fault::Ipv6), "{bad}");
        }
    }

    #[test]
    fn what_is_no_host_is_told_apart() {
        let long = format!("{}.example", "a".repeat(250));
        for bad in [
            "",
            "a,b",
            "a/b",
            "a..b",
            ".a",
            "h\u{f6}st",
            "a b",
            ":8649",
            &long,
        ] {
            assert_eq!(host_port(bad, 8649), Err(Fault::HostName), "{bad}");
        }
        for bad in ["20", "1.2.3", "192.0.2.256", "192.0.2.1.5", "host.1"] {
            assert_eq!(host_port(bad, 8649), Err(Fault::Ipv4), "{bad}");
        }
        for bad in [
            "localhost:",
            "localhost:0",
            "localhost:http",
            "[::1]:",
            "[::1]:70000",
        ] {
            assert_eq!(host_port(bad, 8649), Err(Fault::Port), "{bad}");
        }
    }

    #[test]
    fn a_host_alone_has_no_port() {
        assert_eq!(host("localhost"), Ok("localhost".into()));
        assert_eq!(host("::1"), Ok("::1".into()));
        assert_eq!(host("[::1]"), Ok("::1".into()));
        assert_eq!(host("localhost:1"), Err(Fault::NoPortHere));
        assert_eq!(host("[::1]:1"), Err(Fault::NoPortHere));
    }

    #[test]
    fn limits_of_clients_have_their_edges() {
        let count = |text| clients(text).map(|most| most.map(NonZero::get));
        assert_eq!(count("1"), Ok(Some(1)));
        assert_eq!(count("1000000"), Ok(Some(1_000_000)));
        assert_eq!(request_bytes("256"), Ok(256));
        assert_eq!(request_bytes("65536"), Ok(65_536));
        assert_eq!(client_time("1"), Ok(Duration::from_secs(1)));
        assert_eq!(client_time("3600"), Ok(Duration::from_secs(3600)));
        assert_eq!(kilobytes("16"), Ok(16 << 10));
        assert_eq!(kilobytes("65536"), Ok(64 << 20));
        for bad in ["0", "1000001", "-1", "x"] {
            assert_eq!(clients(bad), Err(Fault::Clients), "{bad}");
        }
        for bad in ["255", "65537", "2k"] {
            assert_eq!(request_bytes(bad), Err(Fault::RequestBytes), "{bad}");
        }
        for bad in ["0", "3601", "1.5"] {
            assert_eq!(client_time(bad), Err(Fault::ClientTime), "{bad}");
        }
        for bad in ["15", "65537"] {
            assert_eq!(kilobytes(bad), Err(Fault::Kilobytes), "{bad}");
        }
    }

    #[test]
    fn limits_of_documents_have_their_edges() {
        assert_eq!(source_megabytes("1"), Ok(1 << 20));
        assert_eq!(source_megabytes("65536"), Ok(64 << 30));
        assert_eq!(most("1"), Ok(1));
        assert_eq!(most("16777216"), Ok(1 << 24));
        assert_eq!(tag_bytes("1024"), Ok(1024));
        assert_eq!(tag_bytes("1048576"), Ok(1 << 20));
        assert_eq!(nesting("8"), Ok(8));
        assert_eq!(nesting("1024"), Ok(1024));
        for bad in ["0", "65537", "1.5", "x"] {
            assert_eq!(source_megabytes(bad), Err(Fault::SourceMegabytes), "{bad}");
        }
        for bad in ["0", "16777217", "-1"] {
            assert_eq!(most(bad), Err(Fault::Most), "{bad}");
        }
        for bad in ["1023", "1048577", "64k"] {
            assert_eq!(tag_bytes(bad), Err(Fault::TagBytes), "{bad}");
        }
        for bad in ["7", "1025"] {
            assert_eq!(nesting(bad), Err(Fault::Nesting), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_as_browsers_write_it() {
        for (text, is) in [
            ("*", "*"),
            ("https://Grafana.example.org", "https://grafana.example.org"),
            ("https://g:443", "https://g"),
            ("http://g:443", "http://g:443"),
            ("http://192.0.2.1:80", "http://192.0.2.1"),
            ("http://[2001:db8::1]:3000", "http://[2001:db8::1]:3000"),
        ] {
            assert_eq!(origin(text).as_deref(), Ok(is), "{text}");
        }
        for bad in [
            "g",
            "g:80",
            "https://",
            "https://g/",
            "https://g/x",
            "ftp://g",
            "http://a b",
            "null",
            "http://*.example.org",
            "http://u@g",
        ] {
            assert_eq!(origin(bad), Err(Fault::Origin), "{bad}");
        }
        assert_eq!(served_name("Head.example").as_deref(), Ok("head.example"));
        assert_eq!(served_name("*").as_deref(), Ok("*"));
        for bad in ["head:8652", "http://head", "*.example", ""] {
            assert_eq!(served_name(bad), Err(Fault::ServedName), "{bad}");
        }
    }

    #[test]
    fn a_block_has_its_host_bits_cleared() {
        let block = |network: &str, prefix_bits| {
            let address: IpAddr = network.parse().expect("an address");
            Ok(TrustEntry::Block(
                IpNet::new(address, prefix_bits).expect("a block"),
            ))
        };
        assert_eq!(trust_entry("192.0.2.77/26"), block("192.0.2.64", 26));
        assert_eq!(trust_entry("192.0.2.77"), block("192.0.2.77", 32));
        assert_eq!(trust_entry("192.0.2.77/0"), block("0.0.0.0", 0));
        assert_eq!(trust_entry("192.0.2.77/32"), block("192.0.2.77", 32));
        assert_eq!(
            trust_entry("2001:db8:ffff::1/33"),
            block("2001:db8:8000::", 33)
        );
        assert_eq!(trust_entry("[2001:db8::1]"), block("2001:db8::1", 128));
        assert_eq!(trust_entry("::1/0"), block("::", 0));
        assert_eq!(
            trust_entry("::ffff:192.0.2.77/122"),
            block("192.0.2.64", 26)
        );
        assert_eq!(trust_entry("::ffff:192.0.2.77"), block("192.0.2.77", 32));
        assert_eq!(trust_entry("::ffff:0:0/95"), block("::fffe:0:0", 95));
    }

    #[test]
    fn trust_is_in_hosts_and_blocks() {
        assert_eq!(
            trust_entry("web.example"),
            Ok(TrustEntry::Name("web.example".into()))
        );
        for bad in [
            "192.0.2.0/33",
            "::/129",
            "192.0.2.0/",
            "192.0.2/24",
            "web.example/24",
            "/8",
        ] {
            assert_eq!(trust_entry(bad), Err(Fault::Block), "{bad}");
        }
        assert_eq!(trust_entry("192.0.2.300"), Err(Fault::Ipv4));
        assert_eq!(trust_entry("web.example:80"), Err(Fault::NoPortHere));
        assert_eq!(trust_entry("a,b"), Err(Fault::HostName));
        assert_eq!(trust_entry("2001:db8::g"), Err(Fault::Ipv6));
    }

    #[test]
    fn a_path_starts_at_the_root() {
        assert_eq!(path("/var/lib"), Ok("/var/lib".into()));
        assert_eq!(path("var/lib"), Err(Fault::RelativePath));
        assert_eq!(path("~/rrds"), Err(Fault::RelativePath));
        assert_eq!(path(""), Err(Fault::Empty));
    }

    #[test]
    fn an_rra_has_its_five_fields() {
        for good in [
            "RRA:AVERAGE:0.5:1:244",
            "RRA:MIN:0:1:1",
            "RRA:MAX:.9:5m:1d",
            "RRA:LAST:5e-1:1:10y",
        ] {
            assert_eq!(rra(good), Ok(good.into()));
        }
        for bad in [
            "",
            "AVERAGE:0.5:1:244",
            "RRA:AVERAGE:0.5:1",
            "rra:AVERAGE:0.5:1:244",
        ] {
            assert_eq!(rra(bad), Err(Fault::Rra), "{bad}");
        }
        assert_eq!(rra("RRA:AVG:0.5:1:244"), Err(Fault::RraFunction));
        for bad in ["1", "-0.1", "half", "NaN", ""] {
            assert_eq!(
                rra(&format!("RRA:AVERAGE:{bad}:1:244")),
                Err(Fault::RraXff),
                "{bad}"
            );
        }
        for bad in ["0", "-1", "", "1.5", "m", "4294967296", "1x"] {
            assert_eq!(
                rra(&format!("RRA:AVERAGE:0.5:{bad}:244")),
                Err(Fault::RraCount),
                "{bad}"
            );
            assert_eq!(
                rra(&format!("RRA:AVERAGE:0.5:1:{bad}")),
                Err(Fault::RraCount),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_rrdcached_listens_on_a_port_or_a_socket() {
        for good in [
            "192.0.2.1:42217",
            "[::1]:42217",
            "localhost:42217",
            "unix:/run/rrd.sock",
        ] {
            assert_eq!(rrdcached(good).map(|it| it.to_string()), Ok(good.into()));
        }
        for bad in [
            "192.0.2.1",
            "[::1]",
            "::1",
            "unix:",
            "unix:run",
            "/run/rrd.sock",
            "h:0",
            "",
        ] {
            assert_eq!(rrdcached(bad), Err(Fault::Rrdcached), "{bad}");
        }
    }

    #[test]
    fn the_rest_is_what_it_says() {
        assert_eq!(is_udp("UDP"), Ok(true));
        assert_eq!(is_udp("tcp"), Ok(false));
        assert_eq!(is_udp("sctp"), Err(Fault::Protocol));
        assert_eq!(own_address("[::]"), Ok("::".parse().expect("an address")));
        assert_eq!(own_address("localhost"), Err(Fault::OwnAddress));
        assert_eq!(attribute(" a = b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(attribute("a="), Ok(("a".into(), String::new())));
        assert_eq!(attribute("=b"), Err(Fault::Attribute));
        assert_eq!(attribute("a"), Err(Fault::Attribute));
        assert_eq!(number("4"), Ok(4));
        assert_eq!(number("four"), Err(Fault::Number));
    }
}
