//! Directives of the exports (carbon, memcached, Riemann) whose values take more than one step.
//!
//! Settings only: the exports themselves are plugins.

use log::Level;

use super::directives::Draft;
use super::table::Args;
use super::values;
use super::{ExportConfig, HostPort, Problem};

/// Port of a memcached.
const MEMCACHED_PORT: u16 = 11211;

/// Export settings on their way: host and port of a server are directives of their own.
pub(super) struct ExportDraft {
    pub(super) config: ExportConfig,
    pub(super) carbon_server: Option<String>,
    pub(super) carbon_port: u16,
    pub(super) riemann_server: Option<String>,
    pub(super) riemann_port: u16,
}

impl Default for ExportDraft {
    fn default() -> Self {
        ExportDraft {
            config: ExportConfig::default(),
            carbon_server: None,
            carbon_port: 2003,
            riemann_server: None,
            riemann_port: 5555,
        }
    }
}

impl ExportDraft {
    pub(super) fn finish(self) -> ExportConfig {
        let place = |host: Option<String>, port| host.map(|host| HostPort { host, port });
        ExportConfig {
            carbon: place(self.carbon_server, self.carbon_port),
            riemann: place(self.riemann_server, self.riemann_port),
            ..self.config
        }
    }
}

/// libmemcached's configuration string, of which we follow `--SERVER=host[:port][/?weight]`.
pub(super) fn memcached_parameters(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let mut servers = Vec::new();
    for option in args
        .at_least_one()?
        .iter()
        .flat_map(|word| word.text.split_whitespace())
    {
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
pub(super) fn riemann_attributes(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let mut attributes = Vec::new();
    for pair in args
        .at_least_one()?
        .iter()
        .flat_map(|word| word.text.split(','))
    {
        attributes.push(args.check(pair, values::attribute)?);
    }
    draft.exports.config.riemann_attributes = attributes;
    Ok(())
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
    fn export_values_that_cannot_be_used_are_all_told() {
        assert_eq!(
            refusal(
                "carbon_server a:2003\ncarbon_port 0\ncarbon_protocol sctp\ncarbon_timeout 0.5\n\
                 graphite_prefix \"\"\nmemcached_parameters --POOL-MIN=1\n\
                 memcached_parameters --SERVER=\nriemann_protocol x\nriemann_attributes a\n\
                 rrdcached_address 127.0.0.1"
            ),
            [
                "g.conf:1: carbon_server: \"a:2003\" has a port; give the host alone",
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
                "g.conf:9: riemann_attributes: \"a\" is not an attribute; write key=value, with \
                 commas between pairs",
                "g.conf:10: rrdcached_address: \"127.0.0.1\" is not where an rrdcached listens; \
                 write a.b.c.d:port, [v6]:port or unix:/path",
            ]
        );
    }
}
