//! What a changed configuration changes while the daemon runs, and what it cannot change.
//!
//! No I/O: two configurations in, a plan out. The loop carries it out.

use std::collections::HashMap;

use crate::{Config, ExportConfig, RrdConfig, Section};
use gmetad_core::source::SourceConfig;
use gmetad_core::summary::SummaryFilter;

/// What is to be done to go from one configuration to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// What the daemon runs by from now on: the new configuration, but for what only a start can
    /// change, which stays as it was.
    pub config: Config,
    /// Sources that are no longer polled, by name.
    pub removed: Vec<String>,
    /// Sources with another interval or other hosts.
    pub changed: Vec<SourceConfig>,
    /// Sources that are new.
    pub added: Vec<SourceConfig>,
    /// The sources that stay are written in another order.
    pub reordered: bool,
    /// Directives with another value, which holds at once.
    pub applied: Vec<&'static str>,
    /// Directives and sections with another value, which the next start takes up.
    pub later: Vec<String>,
}

impl Changes {
    /// Whether a directive has another value, which holds at once.
    pub fn has(&self, directive: &str) -> bool {
        self.applied.contains(&directive)
    }

    /// Whether there is nothing to do now.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty()
            && self.changed.is_empty()
            && self.added.is_empty()
            && !self.reordered
            && self.applied.is_empty()
    }
}

/// Compares what runs with what is written now.
pub fn plan(old: &Config, new: &Config) -> Changes {
    // Taken apart in full, so that no directive is ever forgotten here.
    let Config {
        sources,
        gridname,
        authority,
        scalable,
        trust,
        bind_address,
        xml_port,
        interactive_port,
        setuid_username,
        umask,
        debug_level,
        daemonize,
        logfile,
        pid_file,
        plugins_dir,
        python_host,
        plugins,
        rrd,
        case_sensitive_hostnames,
        summary_filter,
        sections,
        exports,
        // As its section says, which is compared as a whole.
        alert: _,
        // The one that was read anew.
        path: _,
    } = new;
    let (before, after) = (by_name(&old.sources), by_name(sources));
    let at_once = [
        ("gridname", *gridname != old.gridname),
        ("authority", *authority != old.authority),
        ("scalable", *scalable != old.scalable),
        ("trusted_hosts", trust.entries != old.trust.entries),
        ("all_trusted", trust.all != old.trust.all),
        (
            "case_sensitive_hostnames",
            *case_sensitive_hostnames != old.case_sensitive_hostnames,
        ),
        ("debug_level", *debug_level != old.debug_level),
        ("logfile", *logfile != old.logfile),
    ];
    let at_once = (at_once.into_iter()).chain(filter_changes(&old.summary_filter, summary_filter));
    let at_start = [
        ("bind_address", *bind_address != old.bind_address),
        ("xml_port", *xml_port != old.xml_port),
        (
            "interactive_port",
            *interactive_port != old.interactive_port,
        ),
        (
            "setuid_username or setuid",
            *setuid_username != old.setuid_username,
        ),
        ("umask", *umask != old.umask),
        ("daemonize", *daemonize != old.daemonize),
        ("plugins_dir", *plugins_dir != old.plugins_dir),
        ("python_host", *python_host != old.python_host),
        ("plugins", *plugins != old.plugins),
    ];
    let at_start = (at_start.into_iter())
        .chain(rrd_changes(&old.rrd, rrd))
        .chain(export_changes(&old.exports, exports));
    let mut later: Vec<String> = named(at_start).map(String::from).collect();
    later.extend(section_changes(&old.sections, sections));
    Changes {
        config: Config {
            sources: sources.clone(),
            gridname: gridname.clone(),
            authority: authority.clone(),
            scalable: *scalable,
            trust: trust.clone(),
            debug_level: *debug_level,
            logfile: logfile.clone(),
            case_sensitive_hostnames: *case_sensitive_hostnames,
            summary_filter: summary_filter.clone(),
            // Given on the command line only, which does not change.
            pid_file: pid_file.clone(),
            ..old.clone()
        },
        removed: (old.sources.iter())
            .filter(|source| !after.contains_key(source.name.as_str()))
            .map(|source| source.name.clone())
            .collect(),
        changed: (sources.iter())
            .filter(|source| {
                before
                    .get(source.name.as_str())
                    .is_some_and(|it| it != source)
            })
            .cloned()
            .collect(),
        added: (sources.iter())
            .filter(|source| !before.contains_key(source.name.as_str()))
            .cloned()
            .collect(),
        reordered: !those_in(&old.sources, &after).eq(those_in(sources, &before)),
        applied: named(at_once).collect(),
        later,
    }
}

fn filter_changes(old: &SummaryFilter, new: &SummaryFilter) -> [(&'static str, bool); 5] {
    let SummaryFilter {
        only,
        only_matching,
        without_prefixes,
        without_matching,
        without_sflow_vm,
        rules,
        default,
    } = new;
    [
        ("summary_rule", *rules != old.rules),
        ("summary_default", *default != old.default),
        (
            "summarized_metrics",
            *only != old.only || *only_matching != old.only_matching,
        ),
        (
            "unsummarized_metrics",
            *without_prefixes != old.without_prefixes || *without_matching != old.without_matching,
        ),
        (
            "unsummarized_sflow_vm_metrics",
            *without_sflow_vm != old.without_sflow_vm,
        ),
    ]
}

fn rrd_changes(old: &RrdConfig, new: &RrdConfig) -> [(&'static str, bool); 3] {
    let RrdConfig {
        write,
        rootdir,
        rras,
        // These are in the section alone, which is compared as a whole.
        write_timeout: _,
        write_jitter: _,
        flush_interval: _,
        cache_limit_bytes: _,
        journal_dir: _,
        listen: _,
        expire_days: _,
    } = new;
    [
        ("write_rrds", *write != old.write),
        ("rrd_rootdir", *rootdir != old.rootdir),
        ("RRAs", *rras != old.rras),
    ]
}

fn export_changes(old: &ExportConfig, new: &ExportConfig) -> [(&'static str, bool); 11] {
    let ExportConfig {
        carbon,
        carbon_udp,
        carbon_timeout,
        graphite_prefix,
        graphite_path,
        memcached,
        memcached_include_cluster,
        riemann,
        riemann_tcp,
        riemann_attributes,
        rrdcached,
    } = new;
    [
        ("carbon_server or carbon_port", *carbon != old.carbon),
        ("carbon_protocol", *carbon_udp != old.carbon_udp),
        ("carbon_timeout", *carbon_timeout != old.carbon_timeout),
        ("graphite_prefix", *graphite_prefix != old.graphite_prefix),
        ("graphite_path", *graphite_path != old.graphite_path),
        ("memcached_parameters", *memcached != old.memcached),
        (
            "memcached_include_cluster_in_key",
            *memcached_include_cluster != old.memcached_include_cluster,
        ),
        ("riemann_server or riemann_port", *riemann != old.riemann),
        ("riemann_protocol", *riemann_tcp != old.riemann_tcp),
        (
            "riemann_attributes",
            *riemann_attributes != old.riemann_attributes,
        ),
        ("rrdcached_address", *rrdcached != old.rrdcached),
    ]
}

/// Sections that say something else now. Where they stand in their file is no matter.
fn section_changes<'a>(old: &'a [Section], new: &'a [Section]) -> impl Iterator<Item = String> {
    let says = |sections: &'a [Section], id: &str| {
        let section = sections.iter().find(|section| section.id == id)?;
        let lines = section.directives.iter();
        Some(
            lines
                .map(|line| (&line.name, &line.value))
                .collect::<Vec<_>>(),
        )
    };
    let gone = old
        .iter()
        .filter(move |section| says(new, &section.id).is_none());
    let differ = new
        .iter()
        .filter(move |section| says(old, &section.id) != says(new, &section.id));
    differ
        .chain(gone)
        .map(|section| format!("section {}", section.id))
}

fn named(
    differ: impl IntoIterator<Item = (&'static str, bool)>,
) -> impl Iterator<Item = &'static str> {
    differ
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
}

type ByName<'a> = HashMap<&'a str, &'a SourceConfig>;

fn by_name(sources: &[SourceConfig]) -> ByName<'_> {
    sources
        .iter()
        .map(|source| (source.name.as_str(), source))
        .collect()
}

/// Names of `sources` that `others` have too, in the order of `sources`.
fn those_in<'a>(sources: &'a [SourceConfig], others: &ByName<'_>) -> impl Iterator<Item = &'a str> {
    sources
        .iter()
        .map(|source| source.name.as_str())
        .filter(|name| others.contains_key(name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Disk, Overrides, parse};

    fn config(text: &str) -> Config {
        let file = Path::new("gmetad.conf");
        let loaded = parse(text.as_bytes(), file, &Disk, &Overrides::default(), "h");
        loaded.expect("sound").config
    }

    fn changes(old: &str, new: &str) -> Changes {
        plan(&config(old), &config(new))
    }

    fn names(sources: &[SourceConfig]) -> Vec<&str> {
        sources.iter().map(|source| source.name.as_str()).collect()
    }

    #[test]
    fn the_same_again_is_nothing_to_do() {
        let text = "data_source a 10 h\ngridname g\nmine {\n x 1\n}\n";
        let same = changes(text, &format!("# moved\n\n{text}"));
        assert!(same.is_empty() && same.later.is_empty(), "{same:?}");
        assert_eq!(same.config, config(text));
    }

    #[test]
    fn sources_are_told_apart_by_name() {
        let plan = changes(
            "data_source stays 10 h\ndata_source goes 10 h\ndata_source slower 10 h\n\
             data_source elsewhere 10 h",
            "data_source stays 10 h\ndata_source slower 20 h\ndata_source elsewhere 10 i\n\
             data_source comes 10 h",
        );
        assert_eq!(plan.removed, ["goes"]);
        assert_eq!(names(&plan.changed), ["slower", "elsewhere"]);
        assert_eq!(names(&plan.added), ["comes"]);
        assert!(!plan.reordered, "those that stay are as they were");
        assert!(!plan.is_empty() && plan.applied.is_empty());
    }

    #[test]
    fn another_order_is_a_change() {
        let plan = changes(
            "data_source a h\ndata_source b h",
            "data_source b h\ndata_source a h",
        );
        assert!(plan.reordered && !plan.is_empty());
        assert!(plan.changed.is_empty() && plan.added.is_empty() && plan.removed.is_empty());
    }

    #[test]
    fn each_directive_holds_at_once_or_from_the_next_start_on() {
        let at_once = [
            "gridname x",
            "authority http://x/",
            "scalable off",
            "trusted_hosts 192.0.2.1",
            "all_trusted on",
            "summary_rule include a",
            "summary_default exclude",
            "summarized_metrics a",
            "summarized_metrics /a/",
            "unsummarized_metrics a",
            "unsummarized_metrics /a/",
            "unsummarized_sflow_vm_metrics on",
            "case_sensitive_hostnames 0",
            "debug_level 4",
            "logfile /x",
        ];
        for line in at_once {
            let plan = changes("", line);
            let name = line.split(' ').next().expect("a word");
            assert_eq!(plan.applied, [name], "{line}");
            assert!(plan.has(name) && plan.later.is_empty());
            assert_eq!(plan.config, config(line), "{line}");
        }
        let at_start = [
            "bind_address ::1",
            "xml_port 1",
            "interactive_port 1",
            "setuid_username x",
            "umask 077",
            "daemonize off",
            "plugins_dir /x",
            "python_host /x",
            "plugins x",
            "write_rrds off",
            "rrd_rootdir /x",
            "RRAs RRA:AVERAGE:0.5:1:2",
            "carbon_server x",
            "carbon_protocol udp",
            "carbon_timeout 1",
            "graphite_prefix x",
            "graphite_path x",
            "memcached_parameters --SERVER=x",
            "memcached_include_cluster_in_key on",
            "riemann_server x",
            "riemann_protocol tcp",
            "riemann_attributes a=b",
            "rrdcached_address unix:/x",
        ];
        for line in at_start {
            let plan = changes("", line);
            let name = line.split(' ').next().expect("a word");
            assert_eq!(plan.later.len(), 1, "{line}");
            assert!(plan.later[0].starts_with(name), "{:?}", plan.later);
            assert!(plan.is_empty(), "{line}");
            assert_eq!(plan.config, config(""), "{line}: it goes on as it was");
        }
        // What cannot be told by a line of its own, or has no effect.
        let others = [
            "data_source",
            "server_threads",
            "setuid",
            "carbon_port",
            "riemann_port",
            "Include",
        ];
        for name in crate::directive_names() {
            let tested = [&at_once[..], &at_start[..]].concat();
            let covered = others.contains(&name)
                || tested
                    .iter()
                    .any(|line| line.split(' ').next() == Some(name));
            assert!(covered, "{name}");
        }
    }

    #[test]
    fn a_section_is_said_by_its_name() {
        let plan = changes(
            "same {\n x 1\n}\nother {\n x 1\n}\ngone {\n}",
            "new {\n}\nother {\n x 2\n}\nsame {\n x 1\n}",
        );
        assert_eq!(plan.later, ["section new", "section other", "section gone"]);
        assert_eq!(plan.config.sections.len(), 3, "as they were");
    }
}
