//! The effective configuration, for the person who asked `gmetad -t`.
//!
//! Prints nothing itself; not a format to be read back.

use std::fmt;

use gmetad_core::source::SourceConfig;

use super::rrd;
use super::table::{Group, Telling, at_top_level};
use super::{AlertConfig, Config, ExportConfig, RrdcachedAddress};

/// What would run, as text of several lines.
pub struct Effective<'a>(pub &'a Config);

/// Width of the names on the left.
const NAMES: usize = 18;

impl fmt::Display for Effective<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.0;
        sources(f, &config.sources)?;
        writeln!(f, "serves:")?;
        rows(f, config, Group::Serves)?;
        if config.rrd.write {
            writeln!(f, "stores:")?;
            rows(f, config, Group::Stores)?;
        } else {
            writeln!(f, "stores no round-robin files")?;
        }
        if has_exports(&config.exports) {
            writeln!(f, "exports to:")?;
        }
        rows(f, config, Group::Exports)?;
        writeln!(f, "runs:")?;
        rows(f, config, Group::Runs)?;
        plugins(f, config)
    }
}

/// What there is to say of the directives of a group, in the order of the table.
fn rows(f: &mut fmt::Formatter<'_>, config: &Config, group: Group) -> fmt::Result {
    let defaults = Config::new("");
    let known = at_top_level().chain(rrd::own());
    for known in known.filter(|known| known.group == group) {
        let lines = (known.show)(config);
        let named = |lines: Vec<String>| {
            let names = std::iter::once(known.name).chain(std::iter::repeat(""));
            names.zip(lines).collect()
        };
        let rows: Vec<(&str, String)> = match known.telling {
            Telling::Words(tell) => tell(config),
            Telling::Quiet if lines == (known.show)(&defaults) => Vec::new(),
            Telling::Quiet | Telling::Lines => named(lines),
        };
        for (name, value) in rows {
            row(f, name, value)?;
        }
    }
    Ok(())
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: impl fmt::Display) -> fmt::Result {
    let gap = if name.len() < NAMES { "" } else { " " };
    writeln!(f, "  {name:NAMES$}{gap}{value}")
}

fn has_exports(exports: &ExportConfig) -> bool {
    *exports != ExportConfig::default()
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

/// What has no directive of its own in the table: an option and the sections.
fn plugins(f: &mut fmt::Formatter<'_>, config: &Config) -> fmt::Result {
    if let Some(file) = &config.pid_file {
        row(f, "pid file", file.display())?;
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
  to                this machine
  xml_port          8651 on all addresses
  interactive_port  8652 on all addresses
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
            "  carbon_server     c",
            "  carbon_port       2003",
            "  memcached_parameters \"--SERVER=m:11211\"",
            "  riemann_server    r",
            "  riemann_port      5555",
            "  rrdcached_address unix:/s",
            "  as                in the foreground",
            "  user              the one that starts it",
            "  logs              debug and worse",
            "  to                syslog and /l and the console",
            "  plugins_dir       /p",
            "  python_host       /h",
            "  plugins           a b",
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
