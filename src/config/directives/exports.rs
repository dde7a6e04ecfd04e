//! Exports (carbon, memcached, Riemann) and a running rrdcached.
//!
//! Settings only: the exports themselves are plugins.

use super::{PORT, TOGGLE};
use crate::config::{Config, ExportConfig, RrdcachedAddress};
use crate::draft::{Args, Draft, Known, known};
use crate::error::Problem;
use crate::lists;
use crate::values::{self, Fault, not_empty};
use crate::written::{list, one, quoted, toggle};
use gmetad_core::source::HostPort;

const HOST: &str = "a host";
const PROTOCOL: &str = "tcp or udp";

/// Port of a memcached.
const MEMCACHED_PORT: u16 = 11211;

/// Port of a carbon.
const CARBON_PORT: u16 = 2003;

/// Port of a Riemann.
const RIEMANN_PORT: u16 = 5555;

pub(crate) const DIRECTIVES: &[Known] = &[
    known(
        "rrdcached_address",
        "a.b.c.d:port, [v6]:port or unix:/path",
        rrdcached_address,
        |it| list(&it.exports.rrdcached),
    ),
    known("carbon_server", HOST, carbon_server, |it| {
        list(it.exports.carbon.as_ref().map(|it| &it.host))
    }),
    known(
        "carbon_port",
        PORT,
        |draft, args| args.set_some(&mut draft.pending.carbon_port, values::port),
        |it| list(it.exports.carbon.as_ref().map(|it| it.port)),
    )
    .exact()
    .completing("carbon_server"),
    known(
        "carbon_protocol",
        PROTOCOL,
        |draft, args| args.set(&mut draft.config.exports.carbon_udp, values::is_udp),
        |it| protocol(it.exports.carbon_udp),
    )
    .unless_default(""),
    known(
        "carbon_timeout",
        "milliseconds",
        |draft, args| args.set(&mut draft.config.exports.carbon_timeout, values::millis),
        |it| one(it.exports.carbon_timeout.as_millis()),
    )
    .exact()
    .unless_default("ms"),
    known(
        "graphite_prefix",
        "a prefix",
        |draft, args| args.set_some(&mut draft.config.exports.graphite_prefix, not_empty),
        |it| list(&it.exports.graphite_prefix),
    ),
    known(
        "graphite_path",
        "a path, as in prefix.%s.%h.%m",
        |draft, args| args.set_some(&mut draft.config.exports.graphite_path, not_empty),
        |it| list(&it.exports.graphite_path),
    ),
    known(
        "memcached_parameters",
        "servers, as in \"--SERVER=host:port\"",
        memcached_parameters,
        memcached_line,
    )
    .any(),
    known(
        "memcached_include_cluster_in_key",
        TOGGLE,
        |draft, args| {
            args.set(
                &mut draft.config.exports.memcached_include_cluster,
                values::toggle,
            )
        },
        |it| toggle(it.exports.memcached_include_cluster),
    )
    .unless_default(""),
    known("riemann_server", HOST, riemann_server, |it| {
        list(it.exports.riemann.as_ref().map(|it| &it.host))
    }),
    known(
        "riemann_port",
        PORT,
        |draft, args| args.set_some(&mut draft.pending.riemann_port, values::port),
        |it| list(it.exports.riemann.as_ref().map(|it| it.port)),
    )
    .exact()
    .completing("riemann_server"),
    known(
        "riemann_protocol",
        PROTOCOL,
        |draft, args| {
            draft.config.exports.riemann_tcp = !args.one(values::is_udp)?;
            Ok(())
        },
        |it| protocol(!it.exports.riemann_tcp),
    )
    .unless_default(""),
    known(
        "riemann_attributes",
        "\"key=value,key=value\"",
        |draft, args| {
            riemann_attributes(draft, args);
            Ok(())
        },
        attributes_line,
    )
    .any(),
];

fn protocol(is_udp: bool) -> Vec<String> {
    one(if is_udp { "udp" } else { "tcp" })
}

fn memcached_line(config: &Config) -> Vec<String> {
    let servers = config.exports.memcached.iter();
    let options: Vec<String> = servers.map(|it| format!("--SERVER={it}")).collect();
    quoted_or_none(&options.join(" "))
}

fn attributes_line(config: &Config) -> Vec<String> {
    let pairs = config.exports.riemann_attributes.iter();
    let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
    quoted_or_none(&pairs.join(","))
}

fn quoted_or_none(text: &str) -> Vec<String> {
    if text.is_empty() {
        Vec::new()
    } else {
        vec![quoted(text)]
    }
}

impl Draft {
    /// Puts each server and its port together, which are directives of their own.
    pub(crate) fn finish_exports(&mut self) {
        let place = |host: Option<String>, port| host.map(|host| HostPort { host, port });
        let pending = &mut self.pending;
        let carbon_port = pending.carbon_port.unwrap_or(CARBON_PORT);
        let riemann_port = pending.riemann_port.unwrap_or(RIEMANN_PORT);
        let ExportConfig {
            carbon, riemann, ..
        } = &mut self.config.exports;
        *carbon = place(pending.carbon_server.take(), carbon_port);
        *riemann = place(pending.riemann_server.take(), riemann_port);
    }
}

/// `carbon_server HOST`
fn carbon_server(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let (host, port) = server(draft, args, "carbon_port")?;
    draft.pending.carbon_server = Some(host);
    draft.pending.carbon_port = draft.pending.carbon_port.or(port);
    Ok(())
}

/// `riemann_server HOST`
fn riemann_server(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let (host, port) = server(draft, args, "riemann_port")?;
    draft.pending.riemann_server = Some(host);
    draft.pending.riemann_port = draft.pending.riemann_port.or(port);
    Ok(())
}

/// A host, and the port that stands behind it though another directive has it.
fn server(
    draft: &mut Draft,
    args: &Args<'_>,
    other: &'static str,
) -> Result<(String, Option<u16>), Problem> {
    match args.one(|text| Ok(values::host(text))) {
        Ok(Err(Fault::NoPortHere)) => {}
        _ => return Ok((args.one(values::host)?, None)),
    }
    let HostPort { host, port } = args.one(|text| values::host_port(text, 0))?;
    let text = format!(
        "{}: port {port} is used unless {other} is set; write {other} {port}",
        args.known.name
    );
    draft.warn(args.at, text);
    if !draft.given.contains_key(other) {
        draft.origins.replace(other, args.at);
    }
    Ok((host, Some(port)))
}

/// `rrdcached_address ADDRESS`; librrd takes a path alone as well.
fn rrdcached_address(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let address = match args.one(|text| Ok(values::path(text)))? {
        Ok(path) => {
            let socket = path.display();
            let text = format!("rrdcached_address is read as unix:{socket}; write unix:{socket}");
            draft.warn(args.at, text);
            RrdcachedAddress::Unix(path)
        }
        Err(_) => args.one(values::rrdcached)?,
    };
    draft.config.exports.rrdcached = Some(address);
    Ok(())
}

/// libmemcached's configuration string, of which we follow `--SERVER=host[:port][/?weight]`.
fn memcached_parameters(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let mut servers = Vec::new();
    let options = lists::names(draft, args);
    if options.is_empty() {
        return Ok(());
    }
    for option in options.iter().flat_map(|word| word.split_whitespace()) {
        let Some(server) = strip_server(option) else {
            let text =
                format!("memcached_parameters: {option} is ignored; only --SERVER is supported");
            draft.warn(args.at, text);
            continue;
        };
        let server = server
            .split_once("/?")
            .map_or(server, |(server, _weight)| server);
        servers.push(args.check(server, |text| values::host_port(text, MEMCACHED_PORT))?);
    }
    if servers.is_empty() {
        return Err(Problem::NoMemcachedServer);
    }
    draft.config.exports.memcached = servers;
    Ok(())
}

fn strip_server(option: &str) -> Option<&str> {
    const KEYWORD: &str = "--SERVER=";
    let keyword = option.get(..KEYWORD.len())?;
    keyword
        .eq_ignore_ascii_case(KEYWORD)
        .then(|| &option[KEYWORD.len()..])
}

/// `"key=value,key=value"`, as C gmetad has it.
fn riemann_attributes(draft: &mut Draft, args: &Args<'_>) {
    let mut attributes = Vec::new();
    let words = lists::names(draft, args);
    let pairs = words.iter().flat_map(|word| word.split(','));
    for pair in pairs.filter(|pair| !pair.trim().is_empty()) {
        match values::attribute(pair) {
            Ok(attribute) => attributes.push(attribute),
            Err(fault) => {
                let text = format!("riemann_attributes: \"{pair}\" {fault}; it is ignored");
                draft.warn(args.at, text);
            }
        }
    }
    draft.config.exports.riemann_attributes = attributes;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::testing::{config, notices, refusal};
    use crate::{ExportConfig, RrdcachedAddress};
    use gmetad_core::source::HostPort;

    fn place(host: &str, port: u16) -> HostPort {
        HostPort {
            host: host.into(),
            port,
        }
    }

    #[test]
    fn without_a_server_nothing_is_exported() {
        let text = "carbon_port 1\ncarbon_protocol tcp\nriemann_port 2\n";
        assert_eq!(config(text).exports, ExportConfig::default());
    }

    #[test]
    fn a_server_and_its_port_come_together() {
        let exports = config("carbon_server graphite.example\nriemann_server [::1]").exports;
        assert_eq!(exports.carbon, Some(place("graphite.example", 2003)));
        assert_eq!(exports.riemann, Some(place("::1", 5555)));
        let text = "carbon_port 1\ncarbon_server a\nriemann_server b\nriemann_port 2";
        let exports = config(text).exports;
        assert_eq!(exports.carbon, Some(place("a", 1)));
        assert_eq!(exports.riemann, Some(place("b", 2)));
    }

    #[test]
    fn every_export_directive_is_set() {
        let exports = config(
            "carbon_protocol UDP\ncarbon_timeout 250\ngraphite_prefix dc1.ganglia\n\
             graphite_path dc1.%s.%h.%m\nmemcached_include_cluster_in_key 1\n\
             memcached_parameters \"--SERVER=a --server=b:1/?3 --SERVER=[::1]:2\"\n\
             riemann_protocol tcp\nriemann_attributes \"customer=Acme Corp, environment=PROD\"\n\
             rrdcached_address 127.0.0.1:42217\n",
        )
        .exports;
        assert!(exports.carbon_udp && exports.riemann_tcp && exports.memcached_include_cluster);
        assert_eq!(exports.carbon_timeout, Duration::from_millis(250));
        assert_eq!(exports.graphite_prefix.as_deref(), Some("dc1.ganglia"));
        assert_eq!(exports.graphite_path.as_deref(), Some("dc1.%s.%h.%m"));
        assert_eq!(
            exports.memcached,
            [place("a", 11211), place("b", 1), place("::1", 2)]
        );
        assert_eq!(
            exports.riemann_attributes,
            [("customer", "Acme Corp"), ("environment", "PROD")]
                .map(|(key, value)| (key.to_string(), value.to_string()))
        );
        assert_eq!(
            exports.rrdcached,
            Some(RrdcachedAddress::Tcp(place("127.0.0.1", 42217)))
        );
    }

    #[test]
    fn options_of_libmemcached_that_are_not_followed_are_told() {
        let text = "data_source a b\nmemcached_parameters --SERVER=a --BINARY-PROTOCOL";
        assert_eq!(
            notices(text)[0],
            "WARN g.conf:2: memcached_parameters: --BINARY-PROTOCOL is ignored; only --SERVER is \
             supported"
        );
    }

    #[test]
    fn what_can_be_understood_of_an_export_is_with_a_warning() {
        let text = "data_source a b\ncarbon_server c:2103\nriemann_port 1\nriemann_server [::1]:2\n\
                    riemann_attributes \"a=1,b,,c=3,\"\nrrdcached_address /run/r.sock\n\
                    memcached_parameters \"\"";
        let exports = config(text).exports;
        assert_eq!(exports.carbon, Some(place("c", 2103)));
        assert_eq!(exports.riemann, Some(place("::1", 1)));
        let attributes = [("a", "1"), ("c", "3")].map(|(key, value)| (key.into(), value.into()));
        assert_eq!(exports.riemann_attributes, attributes);
        assert_eq!(
            exports.rrdcached,
            Some(RrdcachedAddress::Unix("/run/r.sock".into()))
        );
        assert_eq!(
            notices(text),
            [
                "WARN g.conf:2: carbon_server: port 2103 is used unless carbon_port is set; write \
                 carbon_port 2103",
                "WARN g.conf:4: riemann_server: port 2 is used unless riemann_port is set; write \
                 riemann_port 2",
                "WARN g.conf:5: riemann_attributes: \"b\" is not an attribute; write key=value, \
                 with commas between pairs; it is ignored",
                "WARN g.conf:6: rrdcached_address is read as unix:/run/r.sock; write \
                 unix:/run/r.sock",
                "WARN g.conf:7: memcached_parameters has no value and is ignored; it takes \
                 servers, \
                 as in \"--SERVER=host:port\"",
            ]
        );
    }

    #[test]
    fn export_values_that_cannot_be_used_are_all_told() {
        assert_eq!(
            refusal(
                "carbon_server a:0\ncarbon_port 0\ncarbon_protocol sctp\ncarbon_timeout 0.5\n\
                 graphite_prefix \"\"\nmemcached_parameters --POOL-MIN=1\n\
                 memcached_parameters --SERVER=\nriemann_protocol x\nriemann_port\n\
                 rrdcached_address 127.0.0.1"
            ),
            [
                "g.conf:1: carbon_server: \"a:0\" is not a port; give a number from 1 to 65535",
                "g.conf:2: carbon_port: \"0\" is not a port; give a number from 1 to 65535",
                "g.conf:3: carbon_protocol: \"sctp\" is not a protocol; give tcp or udp",
                "g.conf:4: carbon_timeout: \"0.5\" is not a time; give milliseconds, as in 500",
                "g.conf:5: graphite_prefix: \"\" is empty; give a value, or remove the line",
                "g.conf:6: memcached_parameters names no server; write --SERVER=host or \
                 --SERVER=host:port",
                "g.conf:7: memcached_parameters: \"\" is not a host; give an address or a name of \
                 letters, digits, \"-\", \"_\" and \".\", with spaces between hosts",
                "g.conf:8: riemann_protocol: \"x\" is not a protocol; give tcp or udp",
                "g.conf:9: riemann_port has no value; it takes a port",
                "g.conf:10: rrdcached_address: \"127.0.0.1\" is not an address of an rrdcached; \
                 write a.b.c.d:port, [v6]:port or unix:/path",
            ]
        );
    }
}
