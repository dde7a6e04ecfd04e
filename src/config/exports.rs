//! Directives of the exports (carbon, memcached, Riemann) whose values take more than one step.
//!
//! Settings only: the exports themselves are plugins.

use log::Level;

use super::directives::Draft;
use super::lists;
use super::table::Args;
use super::values::{self, Fault};
use super::{ExportConfig, HostPort, Problem, RrdcachedAddress};

/// Port of a memcached.
const MEMCACHED_PORT: u16 = 11211;

/// Port of a carbon.
const CARBON_PORT: u16 = 2003;

/// Port of a Riemann.
const RIEMANN_PORT: u16 = 5555;

/// Export settings on their way: host and port of a server are directives of their own.
#[derive(Default)]
pub(super) struct ExportDraft {
    pub(super) config: ExportConfig,
    pub(super) carbon_server: Option<String>,
    pub(super) carbon_port: Option<u16>,
    pub(super) riemann_server: Option<String>,
    pub(super) riemann_port: Option<u16>,
}

impl ExportDraft {
    pub(super) fn finish(self) -> ExportConfig {
        let place = |host: Option<String>, port| host.map(|host| HostPort { host, port });
        ExportConfig {
            carbon: place(self.carbon_server, self.carbon_port.unwrap_or(CARBON_PORT)),
            riemann: place(
                self.riemann_server,
                self.riemann_port.unwrap_or(RIEMANN_PORT),
            ),
            ..self.config
        }
    }
}

/// `carbon_server HOST`
pub(super) fn carbon_server(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let (host, port) = server(draft, args, "carbon_port")?;
    draft.exports.carbon_server = Some(host);
    draft.exports.carbon_port = draft.exports.carbon_port.or(port);
    Ok(())
}

/// `riemann_server HOST`
pub(super) fn riemann_server(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let (host, port) = server(draft, args, "riemann_port")?;
    draft.exports.riemann_server = Some(host);
    draft.exports.riemann_port = draft.exports.riemann_port.or(port);
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
        "{}: the port is read as {other} {port}, unless there is such a line",
        args.known.name
    );
    draft.notice(Level::Warn, args.at, &text);
    if !draft.given.contains_key(other) {
        draft.origins.replace(other, args.at);
    }
    Ok((host, Some(port)))
}

/// `rrdcached_address ADDRESS`; librrd takes a path alone as well.
pub(super) fn rrdcached_address(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let address = match args.one(|text| Ok(values::path(text)))? {
        Ok(path) => {
            let text = format!("rrdcached_address is read as unix:{}", path.display());
            draft.notice(Level::Warn, args.at, &text);
            RrdcachedAddress::Unix(path)
        }
        Err(_) => args.one(values::rrdcached)?,
    };
    draft.exports.config.rrdcached = Some(address);
    Ok(())
}

/// libmemcached's configuration string, of which we follow `--SERVER=host[:port][/?weight]`.
pub(super) fn memcached_parameters(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let mut servers = Vec::new();
    let options = lists::names(draft, args);
    if options.is_empty() {
        return Ok(());
    }
    for option in options.iter().flat_map(|word| word.split_whitespace()) {
        let Some(server) = strip_server(option) else {
            let text = format!("{option} of memcached_parameters is ignored");
            draft.notice(Level::Warn, args.at, &text);
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
    draft.exports.config.memcached = servers;
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
pub(super) fn riemann_attributes(draft: &mut Draft, args: &Args<'_>) {
    let mut attributes = Vec::new();
    let words = lists::names(draft, args);
    let pairs = words.iter().flat_map(|word| word.split(','));
    for pair in pairs.filter(|pair| !pair.trim().is_empty()) {
        match values::attribute(pair) {
            Ok(attribute) => attributes.push(attribute),
            Err(fault) => {
                let text = format!("riemann_attributes: \"{pair}\" {fault}; it is left out");
                draft.notice(Level::Warn, args.at, &text);
            }
        }
    }
    draft.exports.config.riemann_attributes = attributes;
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
            "WARN g.conf:2: --BINARY-PROTOCOL of memcached_parameters is ignored"
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
                "WARN g.conf:2: carbon_server: the port is read as carbon_port 2103, unless there is \
                 such a line",
                "WARN g.conf:4: riemann_server: the port is read as riemann_port 2, unless there is \
                 such a line",
                "WARN g.conf:5: riemann_attributes: \"b\" is not an attribute; write key=value, with \
                 commas between pairs; it is left out",
                "WARN g.conf:6: rrdcached_address is read as unix:/run/r.sock",
                "WARN g.conf:7: memcached_parameters has no value and is ignored; it takes servers, \
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
                "g.conf:5: graphite_prefix: \"\" is empty; write something between the quotes, or \
                 take the line out",
                "g.conf:6: memcached_parameters names no server; write --SERVER=host or \
                 --SERVER=host:port",
                "g.conf:7: memcached_parameters: \"\" is not a host; give an address or a name of \
                 letters, digits, \"-\", \"_\" and \".\", with spaces between hosts",
                "g.conf:8: riemann_protocol: \"x\" is not a protocol; give tcp or udp",
                "g.conf:9: riemann_port has no value; it takes a port",
                "g.conf:10: rrdcached_address: \"127.0.0.1\" is not where an rrdcached listens; \
                 write a.b.c.d:port, [v6]:port or unix:/path",
            ]
        );
    }
}
