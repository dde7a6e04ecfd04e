//! The effective configuration, for the person who asked `gmetad -t`.
//!
//! Prints nothing itself; not a format to be read back.

use std::fmt;
use std::time::Duration;

use gmetad_core::source::SourceConfig;
use gmetad_core::summary::{SummaryFilter, SummaryRule};
use gmetad_core::trust::TrustConfig;

use super::{AlertConfig, Config, ExportConfig, RrdConfig, RrdcachedAddress};

/// What would run, as text of several lines.
pub struct Effective<'a>(pub &'a Config);

/// Width of the names on the left.
const NAMES: usize = 18;

impl fmt::Display for Effective<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.0;
        sources(f, &config.sources)?;
        serving(f, config)?;
        storing(f, config)?;
        exporting(f, &config.exports)?;
        running(f, config)
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(f, "  {name:NAMES$}{value}")
}

fn sources(f: &mut fmt::Formatter<'_>, sources: &[SourceConfig]) -> fmt::Result {
    writeln!(f, "polls {}:", counted(sources.len(), "source"))?;
    for source in sources {
        let hosts: Vec<String> = source.hosts.iter().map(ToString::to_string).collect();
        let seconds = source.interval.as_secs();
        writeln!(
            f,
            "  \"{}\" every {seconds} s, from {}",
            source.name,
            hosts.join(", then ")
        )?;
    }
    Ok(())
}

fn serving(f: &mut fmt::Formatter<'_>, config: &Config) -> fmt::Result {
    writeln!(f, "serves:")?;
    row(
        f,
        "grid",
        format_args!("\"{}\", authority {}", config.gridname, config.authority),
    )?;
    let scalable = if config.scalable {
        "on: clusters are wrapped in a GRID, grids of others are summarised"
    } else {
        "off: no GRID is written, those of others are looked through"
    };
    row(f, "scalable", scalable)?;
    let address = match config.bind_address {
        Some(address) => format!("on {address}"),
        None => "on all addresses".into(),
    };
    row(
        f,
        "xml_port",
        format_args!("{} {address}", port(config.xml_port)),
    )?;
    row(
        f,
        "interactive_port",
        format_args!("{} {address}", port(config.interactive_port)),
    )?;
    row(f, "to", trusted(&config.trust))?;
    summing(f, &config.summary_filter)?;
    if !config.case_sensitive_hostnames {
        row(f, "host names", "in lower case")?;
    }
    Ok(())
}

/// In the order in which it is decided.
fn summing(f: &mut fmt::Formatter<'_>, filter: &SummaryFilter) -> fmt::Result {
    for (index, SummaryRule { verdict, names }) in filter.rules.iter().enumerate() {
        let name = if index == 0 { "summary_rule" } else { "" };
        row(f, name, format_args!("{verdict} {names}"))?;
    }
    let without = filter.without_prefixes.iter().map(|it| format!("{it} …"));
    let without: Vec<String> = without
        .chain(filter.without_matching.iter().map(ToString::to_string))
        .collect();
    if !without.is_empty() {
        row(f, "leaves out", without.join(", "))?;
    }
    if filter.without_sflow_vm {
        row(f, "leaves out", "sFlow's metrics of virtual machines")?;
    }
    let only = filter.only.iter().cloned();
    let only: Vec<String> = only
        .chain(filter.only_matching.iter().map(ToString::to_string))
        .collect();
    if !only.is_empty() && filter.default.is_none() {
        row(f, "summarises only", only.join(" "))?;
    } else if !only.is_empty() {
        row(f, "summarises", only.join(" "))?;
    }
    if let Some(verdict) = filter.default {
        row(f, "summary_default", format_args!("{verdict} all others"))?;
    }
    Ok(())
}

fn storing(f: &mut fmt::Formatter<'_>, config: &Config) -> fmt::Result {
    if !config.rrd.write {
        return writeln!(f, "stores no round-robin files");
    }
    writeln!(f, "stores:")?;
    row(f, "rrd_rootdir", config.rrd.rootdir.display())?;
    for (index, rra) in config.rrd.rras.iter().enumerate() {
        row(f, if index == 0 { "RRAs" } else { "" }, rra)?;
    }
    row(f, "umask", format_args!("{:03o}", config.umask))?;
    caching(f, &config.rrd)
}

/// Named only where asked for.
fn caching(f: &mut fmt::Formatter<'_>, rrd: &RrdConfig) -> fmt::Result {
    let secs = |time: Duration| format!("{} s", time.as_secs());
    if !rrd.write_timeout.is_zero() {
        row(f, "write_timeout", secs(rrd.write_timeout))?;
        if let Some(jitter) = rrd.write_jitter {
            row(f, "write_jitter", secs(jitter))?;
        }
        if !rrd.flush_interval.is_zero() {
            row(f, "flush_interval", secs(rrd.flush_interval))?;
        }
        row(f, "cache_limit_mb", rrd.cache_limit_bytes >> 20)?;
    }
    if let Some(folder) = &rrd.journal_dir {
        row(f, "journal_dir", folder.display())?;
    }
    if let Some(socket) = &rrd.listen {
        row(f, "listen", socket.display())?;
    }
    if let Some(days) = rrd.expire_days {
        row(f, "expire_rrds", format_args!("{days} days"))?;
    }
    Ok(())
}

/// Named only where asked for; what this version does not do yet, the notices say.
fn exporting(f: &mut fmt::Formatter<'_>, exports: &ExportConfig) -> fmt::Result {
    let protocol = |is_udp| if is_udp { "udp" } else { "tcp" };
    let mut rows = Vec::new();
    if let Some(carbon) = &exports.carbon {
        let value = format!("{carbon} {}", protocol(exports.carbon_udp));
        rows.push(("carbon_server", value));
    }
    rows.extend(
        exports
            .memcached
            .iter()
            .map(|server| ("memcached", server.to_string())),
    );
    if let Some(riemann) = &exports.riemann {
        let value = format!("{riemann} {}", protocol(!exports.riemann_tcp));
        rows.push(("riemann_server", value));
    }
    if let Some(address) = &exports.rrdcached {
        rows.push(("rrdcached_address", address.to_string()));
    }
    if !rows.is_empty() {
        writeln!(f, "exports to:")?;
    }
    rows.iter()
        .try_for_each(|(name, value)| row(f, name, value))
}

fn running(f: &mut fmt::Formatter<'_>, config: &Config) -> fmt::Result {
    writeln!(f, "runs:")?;
    let place = if config.is_foreground() {
        "in the foreground"
    } else {
        "as a daemon"
    };
    row(f, "as", place)?;
    match &config.setuid_username {
        Some(user) => row(f, "user", format_args!("{user}, if started as root"))?,
        None => row(f, "user", "the one that starts it")?,
    }
    row(
        f,
        "logs",
        format_args!("{} and worse", level(config.debug_level)),
    )?;
    let mut logs = vec!["syslog".to_string()];
    logs.extend(config.logfile.iter().map(|file| file.display().to_string()));
    logs.extend((config.debug_level >= 5).then(|| "the console".into()));
    row(f, "to", logs.join(" and "))?;
    if let Some(file) = &config.pid_file {
        row(f, "pid file", file.display())?;
    }
    if let Some(folder) = &config.plugins_dir {
        row(f, "plugins_dir", folder.display())?;
    }
    if let Some(host) = &config.python_host {
        row(f, "python_host", host.display())?;
    }
    if let Some(chain) = &config.plugins {
        row(f, "plugins", chain.join(", then "))?;
    }
    if let Some(alert) = &config.alert {
        row(f, "alert", told_by(alert))?;
    }
    for section in &config.sections {
        let directives = counted(section.directives.len(), "directive");
        row(f, "section", format_args!("{}, {directives}", section.id))?;
    }
    Ok(())
}

fn told_by(alert: &AlertConfig) -> String {
    let mut ways = vec!["the log".to_owned()];
    if !alert.to.is_empty() {
        let sendmail = alert.sendmail.display();
        ways.push(format!("mail to {} by {sendmail}", alert.to.join(", ")));
    }
    if let Some(program) = alert.command.first() {
        ways.push(program.clone());
    }
    let rules = counted(alert.rules.len(), "rule");
    let left_out = match alert.left_out.len() {
        0 => String::new(),
        left_out => format!(" ({left_out} left out)"),
    };
    format!("{rules}{left_out}, told by {}", ways.join(" and "))
}

fn trusted(trust: &TrustConfig) -> String {
    if trust.all {
        return "everyone".into();
    }
    let mut names = vec!["this machine".to_string()];
    names.extend(trust.entries.iter().map(ToString::to_string));
    names.join(", ")
}

fn port(port: u16) -> String {
    if port == 0 {
        "a port of the system's choice".into()
    } else {
        port.to_string()
    }
}

fn level(level: u8) -> &'static str {
    ["fatal", "critical", "errors", "warnings", "info"]
        .get(usize::from(level))
        .unwrap_or(&"debug")
}

fn counted(number: usize, name: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {name}{plural}")
}

impl fmt::Display for RrdcachedAddress {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RrdcachedAddress::Unix(path) => write!(f, "unix:{}", path.display()),
            RrdcachedAddress::Tcp(place) => place.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Effective;
    use crate::testing::config;

    fn shown(text: &str) -> String {
        Effective(&config(text)).to_string()
    }

    #[test]
    fn the_defaults_are_shown_as_they_run() {
        assert_eq!(
            shown("data_source \"my cluster\" 10 localhost [::1]:8650"),
            "\
polls 1 source:
  \"my cluster\" every 10 s, from localhost:8649, then [::1]:8650
serves:
  grid              \"unspecified\", authority http://h.example/ganglia/
  scalable          on: clusters are wrapped in a GRID, grids of others are summarised
  xml_port          8651 on all addresses
  interactive_port  8652 on all addresses
  to                this machine
stores:
  rrd_rootdir       /var/lib/ganglia/rrds
  RRAs              RRA:AVERAGE:0.5:1:5856
                    RRA:AVERAGE:0.5:4:20160
                    RRA:AVERAGE:0.5:40:52704
  umask             022
runs:
  as                as a daemon
  user              nobody, if started as root
  logs              errors and worse
  to                syslog
"
        );
    }

    #[test]
    fn everything_that_is_set_is_shown() {
        let text = shown(
            "gridname G\nauthority http://g/\nscalable off\nbind_address ::1\nxml_port 0\n\
             trusted_hosts 192.0.2.7 192.0.2.0/24 web.example\nunsummarized_metrics a /x$/ b\n\
             summarized_metrics /^y/ c\nunsummarized_sflow_vm_metrics on\n\
             case_sensitive_hostnames 0\numask 077\ncarbon_server c\nriemann_server r\n\
             memcached_parameters --SERVER=m\nrrdcached_address unix:/s\nsetuid off\n\
             logfile /l\nplugins_dir /p\npython_host /h\nplugins a b\ndebug_level 5\nmine {\n x 1\n}\n\
             alert {\n toaddress a b\n command /c d\n metricrule m \"$val > 1\" x\n metricrule n\n}\n",
        );
        for line in [
            "polls 0 sources:",
            "  grid              \"G\", authority http://g/",
            "  scalable          off: no GRID is written, those of others are looked through",
            "  xml_port          a port of the system's choice on ::1",
            "  to                this machine, 192.0.2.7, 192.0.2.0/24, web.example",
            "  summarises only   c /^y/",
            "  leaves out        a …, b …, /x$/",
            "  leaves out        sFlow's metrics of virtual machines",
            "  host names        in lower case",
            "  umask             077",
            "exports to:",
            "  carbon_server     c:2003 tcp",
            "  memcached         m:11211",
            "  riemann_server    r:5555 udp",
            "  rrdcached_address unix:/s",
            "  as                in the foreground",
            "  user              the one that starts it",
            "  logs              debug and worse",
            "  to                syslog and /l and the console",
            "  plugins_dir       /p",
            "  python_host       /h",
            "  plugins           a, then b",
            "  alert             1 rule (1 left out), told by the log and mail to a, b by \
             /usr/sbin/sendmail and /c",
            "  section           mine, 1 directive",
        ] {
            assert!(
                text.lines().any(|shown| shown == line),
                "{line} is missing in:\n{text}"
            );
        }
    }

    #[test]
    fn rules_of_the_summary_are_shown_in_their_order() {
        let text = shown(
            "summary_default exclude\nsummary_rule exclude cpu_wio\n\
             summary_rule include load_one /^cpu_/\nsummarized_metrics a",
        );
        let rows = "  summary_rule      exclude cpu_wio
                    include load_one
                    include /^cpu_/
  summarises        a
  summary_default   exclude all others
";
        assert!(text.contains(rows), "{text}");
    }

    #[test]
    fn without_rrds_none_are_promised() {
        let text = shown("write_rrds off\nall_trusted on");
        assert!(text.contains("stores no round-robin files\n"), "{text}");
        assert!(!text.contains("/var/lib/ganglia/rrds"), "{text}");
        assert!(text.contains("  to                everyone\n"), "{text}");
    }
}
