//! What `gmetad -t` says in words: of directives whose lines alone would not say what they do.
//!
//! Each stands in the table beside its directive.

use super::{Config, TrustConfig};

type Rows = Vec<(&'static str, String)>;

/// In the order in which it is decided.
pub(super) fn rules(config: &Config) -> Rows {
    let names = std::iter::once("summary_rule").chain(std::iter::repeat(""));
    let rules = config.summary_filter.rules.iter();
    let texts = rules.map(|rule| format!("{} {}", rule.verdict, rule.names));
    names.zip(texts).collect()
}

/// Where another directive tells of this one too.
pub(super) fn elsewhere(_: &Config) -> Rows {
    Vec::new()
}

pub(super) fn grid(config: &Config) -> Rows {
    let text = format!("\"{}\", authority {}", config.gridname, config.authority);
    vec![("grid", text)]
}

pub(super) fn scalable(config: &Config) -> Rows {
    let text = if config.scalable {
        "on: clusters are wrapped in a GRID, grids of others are summarised"
    } else {
        "off: no GRID is written, those of others are looked through"
    };
    vec![("scalable", text.into())]
}

pub(super) fn xml_port(config: &Config) -> Rows {
    vec![("xml_port", port(config, config.xml_port))]
}

pub(super) fn interactive_port(config: &Config) -> Rows {
    vec![("interactive_port", port(config, config.interactive_port))]
}

fn port(config: &Config, port: u16) -> String {
    let port = match port {
        0 => "a port of the system's choice".into(),
        port => port.to_string(),
    };
    match config.bind_address {
        Some(address) => format!("{port} on {address}"),
        None => format!("{port} on all addresses"),
    }
}

pub(super) fn trusted(config: &Config) -> Rows {
    let TrustConfig { all, entries } = &config.trust;
    let mut names = vec!["this machine".to_string()];
    names.extend(entries.iter().map(ToString::to_string));
    let text = if *all {
        "everyone".into()
    } else {
        names.join(", ")
    };
    vec![("to", text)]
}

pub(super) fn left_out(config: &Config) -> Rows {
    let filter = &config.summary_filter;
    let beginnings = filter.without_prefixes.iter().map(|it| format!("{it} …"));
    let patterns = filter.without_matching.iter().map(ToString::to_string);
    let texts: Vec<String> = beginnings.chain(patterns).collect();
    if texts.is_empty() {
        return Vec::new();
    }
    vec![("leaves out", texts.join(", "))]
}

pub(super) fn left_out_of_sflow(config: &Config) -> Rows {
    let text = "sFlow's metrics of virtual machines";
    let is_on = config.summary_filter.without_sflow_vm;
    let row = is_on.then(|| ("leaves out", text.into()));
    row.into_iter().collect()
}

pub(super) fn summed_up(config: &Config) -> Rows {
    let filter = &config.summary_filter;
    let name = match filter.default {
        None => "summarises only",
        Some(_) => "summarises",
    };
    let patterns = filter.only_matching.iter().map(ToString::to_string);
    let names: Vec<String> = filter.only.iter().cloned().chain(patterns).collect();
    if names.is_empty() {
        return Vec::new();
    }
    vec![(name, names.join(" "))]
}

pub(super) fn others(config: &Config) -> Rows {
    let default = config.summary_filter.default.iter();
    default
        .map(|verdict| ("summary_default", format!("{verdict} all others")))
        .collect()
}

pub(super) fn host_names(config: &Config) -> Rows {
    let in_lower_case = !config.case_sensitive_hostnames;
    let row = in_lower_case.then(|| ("host names", "in lower case".into()));
    row.into_iter().collect()
}

/// One a row.
pub(super) fn archives(config: &Config) -> Rows {
    let names = std::iter::once("RRAs").chain(std::iter::repeat(""));
    names.zip(config.rrd.rras.iter().cloned()).collect()
}

pub(super) fn place(config: &Config) -> Rows {
    let text = if config.is_foreground() {
        "in the foreground"
    } else {
        "as a daemon"
    };
    vec![("as", text.into())]
}

pub(super) fn user(config: &Config) -> Rows {
    let text = match &config.setuid_username {
        Some(user) => format!("{user}, if started as root"),
        None => "the one that starts it".into(),
    };
    vec![("user", text)]
}

pub(super) fn level(config: &Config) -> Rows {
    let level = ["fatal", "critical", "errors", "warnings", "info"]
        .get(usize::from(config.debug_level))
        .unwrap_or(&"debug");
    vec![("logs", format!("{level} and worse"))]
}

pub(super) fn logs(config: &Config) -> Rows {
    let mut logs = vec!["syslog".to_string()];
    logs.extend(config.logfile.iter().map(|file| file.display().to_string()));
    logs.extend((config.debug_level >= 5).then(|| "the console".into()));
    vec![("to", logs.join(" and "))]
}
