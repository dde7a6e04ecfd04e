//! The configuration as a plugin may ask for it: names and values, as text that stays in place.
//!
//! Checks nothing: that is done. What a directive means is the configuration's.

use std::time::Duration;

use gmetad_plugin::abi;

use gmetad_config::{Config, Section};
use gmetad_core::summary::{Pattern, SummaryRule};
use gmetad_core::trust::TrustEntry;

/// All of it, for as long as the process runs.
#[derive(Default)]
pub(super) struct Facts {
    settings: Vec<(&'static str, String)>,
    sources: Vec<SourceFacts>,
    sections: Vec<SectionFacts>,
}

/// A data_source.
pub(super) struct SourceFacts {
    pub(super) name: String,
    pub(super) interval: Duration,
    /// As `host:port`.
    pub(super) hosts: Vec<String>,
}

struct SectionFacts {
    id: String,
    directives: Vec<abi::Directive>,
    /// What the directives point into.
    _text: Vec<[String; 3]>,
}

// SAFETY: nothing in it ever changes, and what the pointers point to goes with it.
unsafe impl Sync for Facts {}

impl Facts {
    pub(super) fn of(config: &Config) -> Facts {
        let sources = config.sources.iter().map(|source| SourceFacts {
            name: source.name.clone(),
            interval: source.interval,
            hosts: source.hosts.iter().map(ToString::to_string).collect(),
        });
        Facts {
            settings: settings(config),
            sources: sources.collect(),
            sections: config.sections.iter().map(SectionFacts::of).collect(),
        }
    }

    /// The first of that name.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        let found = self.settings.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn setting_at(&self, at: usize) -> Option<(&str, &str)> {
        let (name, value) = self.settings.get(at)?;
        Some((name, value))
    }

    pub(super) fn source_at(&self, at: usize) -> Option<&SourceFacts> {
        self.sources.get(at)
    }

    /// The lines of the section, by its id in any case.
    pub(super) fn section(&self, id: &str) -> Option<&[abi::Directive]> {
        let found = self
            .sections
            .iter()
            .find(|it| it.id.eq_ignore_ascii_case(id));
        found.map(|it| it.directives.as_slice())
    }

    /// The section at that place: its id as written, and its lines.
    pub(super) fn section_at(&self, at: usize) -> Option<(&str, &[abi::Directive])> {
        let section = self.sections.get(at)?;
        Some((&section.id, &section.directives))
    }
}

impl SectionFacts {
    fn of(section: &Section) -> SectionFacts {
        let text: Vec<[String; 3]> = section
            .directives
            .iter()
            .map(|it| {
                [
                    it.name.clone(),
                    it.value.clone(),
                    it.line.file.display().to_string(),
                ]
            })
            .collect();
        let directives = text.iter().zip(&section.directives);
        let directives = directives.map(|([name, value, file], it)| abi::Directive {
            name: abi::Text::of(name),
            value: abi::Text::of(value),
            file: abi::Text::of(file),
            line: it.line.line as u64,
        });
        SectionFacts {
            id: section.id.clone(),
            directives: directives.collect(),
            _text: text,
        }
    }
}

/// What is set outside of sections, data_source aside, in the order of the manual.
fn settings(config: &Config) -> Vec<(&'static str, String)> {
    let on = |on: bool| if on { "on" } else { "off" }.to_owned();
    let mut found = vec![
        ("gridname", config.gridname.clone()),
        ("authority", config.authority.clone()),
        ("scalable", on(config.scalable)),
        ("all_trusted", on(config.trust.all)),
        ("xml_port", config.xml_port.to_string()),
        ("interactive_port", config.interactive_port.to_string()),
        ("umask", format!("{:03o}", config.umask)),
        ("debug_level", config.debug_level.to_string()),
        ("daemonize", on(config.daemonize)),
        ("write_rrds", on(config.rrd.write)),
        ("rrd_rootdir", config.rrd.rootdir.display().to_string()),
        (
            "case_sensitive_hostnames",
            u8::from(config.case_sensitive_hostnames).to_string(),
        ),
        (
            "unsummarized_sflow_vm_metrics",
            on(config.summary_filter.without_sflow_vm),
        ),
    ];
    let rras = config.rrd.rras.iter();
    found.extend(rras.map(|rra| ("rras", rra.clone())));
    let rules = config.summary_filter.rules.iter();
    found.extend(
        rules.map(|SummaryRule { verdict, names }| ("summary_rule", format!("{verdict} {names}"))),
    );
    let mut some = |name, value: Option<String>| found.extend(value.map(|value| (name, value)));
    let words = |words: Vec<String>| (!words.is_empty()).then(|| words.join(" "));
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|it| it.display().to_string());
    let trusted = config.trust.entries.iter().map(trusted);
    some("trusted_hosts", words(trusted.collect()));
    some("setuid", Some(on(config.setuid_username.is_some())));
    some("setuid_username", config.setuid_username.clone());
    some("conf", path(&config.path));
    some("pid_file", path(&config.pid_file));
    some("logfile", path(&config.logfile));
    some("plugins_dir", path(&config.plugins_dir));
    some("python_host", path(&config.python_host));
    some("plugins", config.plugins.clone().and_then(words));
    let filter = &config.summary_filter;
    let listed = |texts: &[String], patterns: &[Pattern]| {
        let patterns = patterns.iter().map(ToString::to_string);
        words(texts.iter().cloned().chain(patterns).collect())
    };
    some(
        "summarized_metrics",
        listed(&filter.only, &filter.only_matching),
    );
    some(
        "unsummarized_metrics",
        listed(&filter.without_prefixes, &filter.without_matching),
    );
    let default = filter.default.map(|verdict| verdict.to_string());
    some("summary_default", default);
    let exports = &config.exports;
    some(
        "rrdcached_address",
        exports.rrdcached.as_ref().map(ToString::to_string),
    );
    if let Some(carbon) = &exports.carbon {
        some("carbon_server", Some(carbon.host.clone()));
        some("carbon_port", Some(carbon.port.to_string()));
        let protocol = if exports.carbon_udp { "udp" } else { "tcp" };
        some("carbon_protocol", Some(protocol.into()));
        let timeout = exports.carbon_timeout.as_millis();
        some("carbon_timeout", Some(timeout.to_string()));
    }
    some("graphite_prefix", exports.graphite_prefix.clone());
    some("graphite_path", exports.graphite_path.clone());
    if let Some(riemann) = &exports.riemann {
        some("riemann_server", Some(riemann.host.clone()));
        some("riemann_port", Some(riemann.port.to_string()));
        let protocol = if exports.riemann_tcp { "tcp" } else { "udp" };
        some("riemann_protocol", Some(protocol.into()));
    }
    found
}

fn trusted(entry: &TrustEntry) -> String {
    match entry {
        TrustEntry::Block(block) => block.to_string(),
        TrustEntry::Name(name) => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::access::text;
    use super::*;
    use gmetad_config::{Disk, Overrides, parse};

    #[test]
    fn a_plugin_can_ask_for_all_that_is_configured() {
        let conf = b"data_source \"my cluster\" 20 a [::1]:1\ndata_source b c\ngridname G\n\
            trusted_hosts 10.0.0.0/8 web.example\nRRAs \"RRA:MAX:0:1:2\" \"RRA:MIN:0:1:2\"\n\
            Mine {\n first \"a b\"\n second 2\n}\n";
        let loaded = parse(
            conf,
            Path::new("g.conf"),
            &Disk,
            &Overrides::default(),
            "host",
        );
        let facts = Facts::of(&loaded.unwrap().config);
        assert_eq!(facts.setting("gridname"), Some("G"));
        assert_eq!(facts.setting("scalable"), Some("on"));
        assert_eq!(facts.setting("xml_port"), Some("8651"));
        assert_eq!(facts.setting("umask"), Some("022"));
        assert_eq!(
            facts.setting("trusted_hosts"),
            Some("10.0.0.0/8 web.example")
        );
        assert_eq!(facts.setting("rras"), Some("RRA:MAX:0:1:2"));
        assert_eq!(facts.setting("logfile"), None);
        let all = (0..).map_while(|at| facts.setting_at(at));
        assert_eq!(all.filter(|(name, _)| *name == "rras").count(), 2);

        let source = facts.source_at(0).unwrap();
        assert_eq!(source.name, "my cluster");
        assert_eq!(source.interval, Duration::from_secs(20));
        assert_eq!(source.hosts, ["a:8649", "[::1]:1"]);
        assert!(facts.source_at(2).is_none());

        let lines = facts.section("MINE").unwrap();
        // SAFETY: the facts are still there.
        let said = |it: abi::Text| unsafe { text(it) }.unwrap();
        let first = &lines[0];
        assert_eq!((said(first.name), said(first.value)), ("first", "\"a b\""));
        assert_eq!((said(first.file), first.line), ("g.conf", 7));
        assert_eq!(lines.len(), 2);
        assert!(facts.section("other").is_none());
    }
}
