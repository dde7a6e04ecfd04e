//! The effective configuration, for the person who runs `gmetad -t`.
//!
//! Prints nothing itself. The text cannot be read back: `--print-config` is for that.

use std::fmt;

use super::config::{AlertConfig, Config, ExportConfig};
use super::directives::polls::{self, DATA_SOURCE};
use super::directives::{exports, limits, runs, serves, stores, summary};
use super::draft::{Known, Rows, Shown, rows};
use gmetad_core::source::SourceConfig;

/// What would run, as text of several lines.
pub struct Effective<'a>(pub &'a Config);

/// Width of the labels on the left: that of most directives.
const LABEL_WIDTH: usize = 20;

impl fmt::Display for Effective<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.0;
        sources(f, &config.sources)?;
        let of_sources = polls::DIRECTIVES.iter().filter(|it| it.name != DATA_SOURCE);
        directives(f, config, of_sources)?;
        directives(f, config, limits::DIRECTIVES)?;
        writeln!(f, "serves:")?;
        directives(f, config, serves::DIRECTIVES)?;
        directives(f, config, summary::DIRECTIVES)?;
        if config.rrd.write {
            writeln!(f, "writes RRD files:")?;
            directives(f, config, stores::DIRECTIVES)?;
        } else {
            writeln!(f, "writes no RRD files")?;
        }
        if config.exports != ExportConfig::default() {
            writeln!(f, "exports:")?;
            directives(f, config, exports::DIRECTIVES)?;
        }
        writeln!(f, "runs:")?;
        directives(f, config, runs::DIRECTIVES)?;
        others(f, config)
    }
}

/// The rows of some directives, in their order.
fn directives<'a>(
    f: &mut fmt::Formatter<'_>,
    config: &Config,
    all: impl IntoIterator<Item = &'a Known>,
) -> fmt::Result {
    let defaults = Config::new("");
    for known in all {
        for (label, value) in rows_of(known, config, &defaults) {
            row(f, label, value)?;
        }
    }
    Ok(())
}

fn rows_of(known: &Known, config: &Config, defaults: &Config) -> Rows {
    let lines = (known.lines)(config);
    match known.shown {
        Shown::Rows(own) => own(config),
        Shown::Lines => rows(known.name, lines),
        Shown::UnlessDefault(_) if lines == (known.lines)(defaults) => Rows::new(),
        Shown::UnlessDefault(unit) => {
            let lines = lines.iter().map(|line| format!("{line} {unit}"));
            rows(known.name, lines.map(|line| line.trim_end().to_owned()))
        }
    }
}

fn row(f: &mut fmt::Formatter<'_>, label: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(f, "  {label:LABEL_WIDTH$} {value}")
}

fn sources(f: &mut fmt::Formatter<'_>, sources: &[SourceConfig]) -> fmt::Result {
    writeln!(f, "polls {}:", counted(sources.len(), "source"))?;
    for source in sources {
        let hosts: Vec<String> = source.hosts.iter().map(ToString::to_string).collect();
        let seconds = source.interval.as_secs();
        let hosts = hosts.join(", or else ");
        writeln!(f, "  \"{}\" every {seconds} s from {hosts}", source.name)?;
    }
    Ok(())
}

/// What is not a directive: an option, and the sections.
fn others(f: &mut fmt::Formatter<'_>, config: &Config) -> fmt::Result {
    if let Some(file) = &config.pid_file {
        row(f, "pid file", file.display())?;
    }
    if let Some(alert) = &config.alert {
        row(f, "alerts", alerts(alert))?;
    }
    for section in &config.sections {
        let directives = counted(section.directives.len(), "directive");
        row(f, "section", format_args!("{}, {directives}", section.id))?;
    }
    Ok(())
}

fn alerts(alert: &AlertConfig) -> String {
    let mut ways = vec!["logged".to_owned()];
    if !alert.to.is_empty() {
        let sendmail = alert.sendmail.display();
        ways.push(format!("mailed to {} by {sendmail}", alert.to.join(", ")));
    }
    if let Some(program) = alert.command.first() {
        ways.push(format!("given to {program}"));
    }
    let rules = counted(alert.rules.len(), "rule");
    let left_out = match alert.left_out.len() {
        0 => String::new(),
        left_out => format!(" ({left_out} left out)"),
    };
    format!("{rules}{left_out}; alerts are {}", ways.join(", "))
}

fn counted(number: usize, name: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {name}{plural}")
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
  \"my cluster\" every 10 s from localhost:8649, or else [::1]:8650
serves:
  grid                 \"unspecified\", authority http://h.example/ganglia/
  scalable             on: clusters are wrapped in a GRID, grids below are shown as summaries
  trusts               this machine
  xml_port             8651 on all addresses
  interactive_port     8652 on all addresses
writes RRD files:
  rrd_rootdir          /var/lib/ganglia/rrds
  RRAs                 RRA:AVERAGE:0.5:1:5856
                       RRA:AVERAGE:0.5:4:20160
                       RRA:AVERAGE:0.5:40:52704
  umask                022
runs:
  process              in the background
  user                 nobody, if started as root
  logs                 errors and worse
  log goes to          syslog
"
        );
    }

    #[test]
    fn everything_that_is_set_is_shown() {
        let text = shown(
            "gridname G\nauthority http://g/\nscalable off\nbind_address ::1\nxml_port 0\n\
             trusted_hosts 192.0.2.7 192.0.2.0/24 web.example\nunsummarized_metrics a /x$/ b\n\
             summarized_metrics /^y/ c\nunsummarized_sflow_vm_metrics on\n\
             case_sensitive_hostnames 0\numask 077\ncarbon_server c\ncarbon_timeout 250\nriemann_server r\n\
             memcached_parameters --SERVER=m\nrrdcached_address unix:/s\nsetuid off\n\
             logfile /l\nplugins_dir /p\npython_host /h\nplugins a b\ndebug_level 5\nmine {\n x 1\n}\n\
             rrd {\n write_timeout 300\n cache_limit_mb 64\n}\n\
             alert {\n toaddress a b\n command /c d\n metricrule m \"$val > 1\" x\n metricrule n\n}\n",
        );
        for line in [
            "polls 0 sources:",
            "  grid                 \"G\", authority http://g/",
            "  scalable             off: no GRID is written, and GRID tags received are ignored",
            "  host names           in lower case",
            "  trusts               this machine, 192.0.2.7, 192.0.2.0/24, web.example",
            "  xml_port             a port chosen by the system on ::1",
            "  summarised only      c, /^y/",
            "  not summarised       a…, b…, /x$/",
            "  not summarised       sFlow metrics of virtual machines",
            "  umask                077",
            "  write_timeout        300 s",
            "  cache_limit_mb       64 MB",
            "exports:",
            "  carbon_server        c",
            "  carbon_port          2003",
            "  carbon_timeout       250 ms",
            "  memcached_parameters \"--SERVER=m:11211\"",
            "  riemann_server       r",
            "  riemann_port         5555",
            "  rrdcached_address    unix:/s",
            "  process              in the foreground",
            "  user                 the user who starts it",
            "  logs                 debug and worse",
            "  log goes to          syslog, /l, the console",
            "  plugins_dir          /p",
            "  python_host          /h",
            "  plugins              a b",
            "  alerts               1 rule (1 left out); alerts are logged, mailed to a, b by \
             /usr/sbin/sendmail, given to /c",
            "  section              mine, 1 directive",
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
        let rows = "  summary_rule         exclude cpu_wio
                       include load_one
                       include /^cpu_/
  summarised           a
  summary_default      exclude all others
";
        assert!(text.contains(rows), "{text}");
    }

    #[test]
    fn without_rrds_none_are_promised() {
        let text = shown("write_rrds off\nall_trusted on");
        assert!(text.contains("writes no RRD files\n"), "{text}");
        assert!(!text.contains("/var/lib/ganglia/rrds"), "{text}");
        assert!(text.contains("  trusts               everyone\n"), "{text}");
    }
}
