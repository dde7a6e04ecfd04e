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
