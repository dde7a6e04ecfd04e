//! What is served, on which ports, and to whom.

use super::{PORT, TOGGLE};
use crate::config::Config;
use crate::draft::{Args, Draft, Known, Rows, known, row};
use crate::error::Problem;
use crate::lists;
use crate::values::{self, Fault};
use crate::written::{list, one, toggle};
use gmetad_core::trust::{TrustConfig, TrustEntry};

const HOSTS: &str = "addresses, blocks of addresses and host names";

pub(crate) const DIRECTIVES: &[Known] = &[
    known(
        "gridname",
        "a name",
        |draft, args| {
            draft.config.gridname = draft.text(args)?;
            Ok(())
        },
        |it| one(&it.gridname),
    )
    .any()
    .rows(grid)
    .at_reload(|it, new| it.gridname.clone_from(&new.gridname)),
    known(
        "authority",
        "a URL",
        |draft, args| {
            draft.config.authority = draft.text(args)?;
            Ok(())
        },
        |it| one(&it.authority),
    )
    .any()
    .shown_elsewhere()
    .at_reload(|it, new| it.authority.clone_from(&new.authority)),
    known(
        "scalable",
        TOGGLE,
        |draft, args| args.set(&mut draft.config.scalable, values::toggle),
        |it| toggle(it.scalable),
    )
    .rows(scalable)
    .at_reload(|it, new| it.scalable = new.scalable),
    known(
        "case_sensitive_hostnames",
        TOGGLE,
        |draft, args| args.set(&mut draft.config.case_sensitive_hostnames, values::toggle),
        |it| toggle(it.case_sensitive_hostnames),
    )
    .rows(host_names)
    .at_reload(|it, new| it.case_sensitive_hostnames = new.case_sensitive_hostnames),
    known(
        "trusted_hosts",
        HOSTS,
        |draft, args| trust_hosts(draft, args, "trusted_hosts", |trust| &mut trust.entries),
        |it| list(&it.trust.entries),
    )
    .adding()
    .rows(trusted)
    .at_reload(|it, new| it.trust.entries.clone_from(&new.trust.entries)),
    known(
        "all_trusted",
        TOGGLE,
        |draft, args| args.set(&mut draft.config.trust.all, values::toggle),
        |it| toggle(it.trust.all),
    )
    .shown_elsewhere()
    .at_reload(|it, new| it.trust.all = new.trust.all),
    known(
        "bind_address",
        "an address of this machine",
        |draft, args| args.set_some(&mut draft.config.bind_address, values::own_address),
        |it| list(it.bind_address),
    )
    .shown_elsewhere(),
    known(
        "xml_port",
        PORT,
        |draft, args| args.set(&mut draft.config.xml_port, values::listen_port),
        |it| one(it.xml_port),
    )
    .exact()
    .rows(|it| row("xml_port", Some(port(it, it.xml_port)))),
    known(
        "interactive_port",
        PORT,
        |draft, args| args.set(&mut draft.config.interactive_port, values::listen_port),
        |it| one(it.interactive_port),
    )
    .exact()
    .rows(|it| row("interactive_port", Some(port(it, it.interactive_port)))),
    known(
        "web_port",
        PORT,
        |draft, args| args.set_some(&mut draft.config.web_port, values::listen_port),
        |it| list(it.web_port),
    )
    .exact()
    .rows(|it| row("web_port", it.web_port.map(|number| port(it, number)))),
    known(
        "web_trusted_hosts",
        HOSTS,
        |draft, args| trust_hosts(draft, args, "web_trusted_hosts", |trust| &mut trust.pages),
        |it| list(&it.trust.pages),
    )
    .adding()
    .rows(trusted_with_pages)
    .at_reload(|it, new| it.trust.pages.clone_from(&new.trust.pages)),
    known(
        "http_host_names",
        "host names, or *",
        |draft, args| {
            for part in lists::parts(draft, args) {
                let name = args.check(part, values::served_name)?;
                draft.config.http_host_names.push(name);
            }
            Ok(())
        },
        |it| list(&it.http_host_names),
    )
    .adding()
    .at_reload(|it, new| it.http_host_names.clone_from(&new.http_host_names)),
    known(
        "http_allow_origin",
        "origins as https://host:port, or *",
        |draft, args| {
            for part in lists::parts(draft, args) {
                let origin = args.check(part, values::origin)?;
                draft.config.http_allow_origin.push(origin);
            }
            Ok(())
        },
        |it| list(&it.http_allow_origin),
    )
    .adding()
    .at_reload(|it, new| it.http_allow_origin.clone_from(&new.http_allow_origin)),
    known(
        "max_clients",
        "a number of clients",
        |draft, args| args.set(&mut draft.config.clients.most, values::clients),
        |it| list(it.clients.most),
    )
    .exact()
    .at_reload(|it, new| it.clients.most = new.clients.most),
    known(
        "max_clients_per_address",
        "a number of clients",
        |draft, args| args.set(&mut draft.config.clients.most_of_address, values::clients),
        |it| list(it.clients.most_of_address),
    )
    .exact()
    .at_reload(|it, new| it.clients.most_of_address = new.clients.most_of_address),
    known(
        "client_request_timeout",
        "seconds",
        |draft, args| {
            args.set(
                &mut draft.config.clients.limits.request,
                values::client_time,
            )
        },
        |it| one(it.clients.limits.request.as_secs()),
    )
    .exact()
    .unless_default(" s")
    .at_reload(|it, new| it.clients.limits.request = new.clients.limits.request),
    known(
        "client_idle_timeout",
        "seconds",
        |draft, args| args.set(&mut draft.config.clients.limits.stall, values::client_time),
        |it| one(it.clients.limits.stall.as_secs()),
    )
    .exact()
    .unless_default(" s")
    .at_reload(|it, new| it.clients.limits.stall = new.clients.limits.stall),
    known(
        "client_timeout",
        "seconds",
        |draft, args| args.set(&mut draft.config.clients.limits.answer, values::client_time),
        |it| one(it.clients.limits.answer.as_secs()),
    )
    .exact()
    .unless_default(" s")
    .at_reload(|it, new| it.clients.limits.answer = new.clients.limits.answer),
    known(
        "max_request_bytes",
        "bytes",
        |draft, args| {
            args.set(
                &mut draft.config.clients.limits.line_bytes,
                values::request_bytes,
            )
        },
        |it| one(it.clients.limits.line_bytes),
    )
    .exact()
    .unless_default(" bytes")
    .at_reload(|it, new| it.clients.limits.line_bytes = new.clients.limits.line_bytes),
    known(
        "max_unread_kb",
        "kilobytes",
        |draft, args| args.set(&mut draft.config.clients.unread_bytes, values::kilobytes),
        |it| one(it.clients.unread_bytes >> 10),
    )
    .exact()
    .unless_default(" KB")
    .at_reload(|it, new| it.clients.unread_bytes = new.clients.unread_bytes),
    known(
        "server_threads",
        "a number",
        |_, args| args.one(values::number).map(drop),
        |_| Vec::new(),
    )
    .exact()
    .without_effect(),
];

fn grid(config: &Config) -> Rows {
    let Config {
        gridname,
        authority,
        ..
    } = config;
    row(
        "grid",
        Some(format!("\"{gridname}\", authority {authority}")),
    )
}

fn scalable(config: &Config) -> Rows {
    let text = if config.scalable {
        "on: clusters are wrapped in a GRID, grids below are shown as summaries"
    } else {
        "off: no GRID is written, and GRID tags received are ignored"
    };
    row("scalable", Some(text))
}

fn host_names(config: &Config) -> Rows {
    let in_lower_case = !config.case_sensitive_hostnames;
    row("host names", in_lower_case.then_some("in lower case"))
}

fn trusted(config: &Config) -> Rows {
    let text = if config.trust.all {
        "everyone".into()
    } else {
        let entries = config.trust.entries.iter().map(ToString::to_string);
        let names: Vec<String> = std::iter::once("this machine".into())
            .chain(entries)
            .collect();
        names.join(", ")
    };
    row("trusts", Some(text))
}

fn trusted_with_pages(config: &Config) -> Rows {
    let entries = config.trust.pages.iter().map(ToString::to_string);
    let names: Vec<String> = std::iter::once("this machine".into())
        .chain(entries)
        .collect();
    let is_listed = !config.trust.pages.is_empty();
    row("trusts with the pages", is_listed.then(|| names.join(", ")))
}

fn port(config: &Config, port: u16) -> String {
    let port = match port {
        0 => "a port chosen by the system".into(),
        port => port.to_string(),
    };
    match config.bind_address {
        Some(address) => format!("{port} on {address}"),
        None => format!("{port} on all addresses"),
    }
}

/// `trusted_hosts HOST ...` and its like: what is not a host trusts nobody.
fn trust_hosts(
    draft: &mut Draft,
    args: &Args<'_>,
    directive: &str,
    entries: fn(&mut TrustConfig) -> &mut Vec<TrustEntry>,
) -> Result<(), Problem> {
    for part in lists::parts(draft, args) {
        match values::trust_entry(part) {
            Ok(entry) => entries(&mut draft.config.trust).push(entry),
            Err(Fault::NoPortHere) => {
                let (host, _) = part.rsplit_once(':').unwrap_or((part, ""));
                let entry = args.check(host, values::trust_entry)?;
                entries(&mut draft.config.trust).push(entry);
                let text = format!("{directive}: {part} is read as {host}; ports are ignored");
                draft.warn(args.at, text);
            }
            Err(Fault::Block) => args.check(part, values::trust_entry).map(drop)?,
            Err(fault) => {
                let text = match in_place_of_wildcard(part) {
                    Some(instead) => format!(
                        "{directive}: \"{part}\" trusts nobody, since patterns are not \
                         supported; write {instead}"
                    ),
                    None => format!("{directive}: \"{part}\" trusts nobody: it {fault}"),
                };
                draft.warn(args.at, text);
            }
        }
    }
    Ok(())
}

/// What to write for `*` and for `192.0.2.*`.
fn in_place_of_wildcard(text: &str) -> Option<String> {
    if text == "*" {
        return Some("all_trusted on to trust everyone, or list the blocks to trust".into());
    }
    if !text.contains('*') {
        return None;
    }
    let numbers: Vec<&str> = text.split('.').take_while(|part| *part != "*").collect();
    let are_numbers = numbers.iter().all(|part| part.parse::<u8>().is_ok());
    let is_pattern = are_numbers && (1..=3).contains(&numbers.len());
    if is_pattern {
        let missing = ".0".repeat(4 - numbers.len());
        let bits = numbers.len() * 8;
        Some(format!("{}{missing}/{bits}", numbers.join(".")))
    } else {
        Some("each host, or the blocks to trust".into())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{config, notices};
    use gmetad_core::trust::TrustConfig;

    #[test]
    fn what_is_no_host_trusts_nobody_and_what_to_write_is_said() {
        for (host, said) in [
            (
                "*",
                "trusted_hosts: \"*\" trusts nobody, since patterns are not supported; write \
                 all_trusted on to trust everyone, or list the blocks to trust",
            ),
            (
                "10.*",
                "trusted_hosts: \"10.*\" trusts nobody, since patterns are not supported; write \
                 10.0.0.0/8",
            ),
            (
                "192.0.2.*",
                "trusted_hosts: \"192.0.2.*\" trusts nobody, since patterns are not supported; \
                 write \
                 192.0.2.0/24",
            ),
            (
                "*.example.org",
                "trusted_hosts: \"*.example.org\" trusts nobody, since patterns are not \
                 supported; write each host, or the blocks to trust",
            ),
            (
                "192.0.2.300",
                "trusted_hosts: \"192.0.2.300\" trusts nobody: it is not an IPv4 address; give \
                 four numbers from 0 to 255, as in 192.0.2.1",
            ),
        ] {
            let text = format!("data_source a b\ntrusted_hosts {host}");
            assert_eq!(config(&text).trust, TrustConfig::default(), "{host}");
            assert_eq!(notices(&text), [format!("WARN g.conf:2: {said}")]);
        }
        let text = "data_source a b\ntrusted_hosts www.example.org:80 [::1]:80";
        let hosts = "trusted_hosts www.example.org ::1";
        assert_eq!(config(text).trust, config(hosts).trust);
        assert_eq!(notices(text).len(), 2);
    }
}
