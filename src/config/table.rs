//! The table of directives: what each takes, what it sets, how it is shown, and how much of it this
//! version does.
//!
//! Single values are checked in `values`; what needs more than one step is in `directives` and
//! `exports`.

use super::directives::{Draft, data_source, plugins, umask};
use super::exports;
use super::filter;
use super::lines::{self, list, one, paths, toggle};
use super::lists::{archives, trusted_hosts};
use super::telling;
use super::values::{self, Fault};
use super::words::Word;
use super::{Config, Location, Problem};

/// What a directive does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// What it says.
    Full,
    /// Nothing, for good: the question does not arise here.
    NoEffect,
}

/// Whether a second line of the directive adds to the first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It does.
    Adds,
    /// It does, and each value that is taken in is told of where that is done.
    Each,
    /// The last one counts.
    Replaces,
}

/// How many values a line has, and what becomes of too many.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Arity {
    /// One; those behind it are passed over with a warning, as C gmetad does without one.
    One,
    /// One and no more: with several it would be a guess which is meant.
    Exact,
    /// The directive's own business.
    Own,
}

/// What a directive is about; the parts of what `-t` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// What is polled.
    Polls,
    /// What is served, to whom and how.
    Serves,
    /// Round-robin files.
    Stores,
    /// Other programs that are given the values.
    Exports,
    /// The process.
    Runs,
}

pub(super) type Apply = fn(&mut Draft, &Args<'_>) -> Result<(), Problem>;

/// The values in force as they are written in a file, of each line; none where nothing is in force.
pub(super) type Show = fn(&Config) -> Vec<String>;

/// The same for a person, each with a name for it.
pub(super) type Tell = fn(&Config) -> Vec<(&'static str, String)>;

/// How `-t` tells of a directive.
#[derive(Clone, Copy)]
pub(super) enum Telling {
    /// By its lines.
    Lines,
    /// By its lines, where they are not the default.
    Quiet,
    /// In words.
    Words(Tell),
}

/// A directive.
pub(super) struct Known {
    pub(super) name: &'static str,
    /// In a sentence after "takes".
    pub(super) expected: &'static str,
    pub(super) support: Support,
    pub(super) repeat: Repeat,
    pub(super) arity: Arity,
    pub(super) apply: Apply,
    pub(super) group: Group,
    pub(super) show: Show,
    pub(super) telling: Telling,
}

pub(super) const fn known(
    group: Group,
    name: &'static str,
    expected: &'static str,
    apply: Apply,
    show: Show,
) -> Known {
    Known {
        group,
        show,
        telling: Telling::Lines,
        name,
        expected,
        support: Support::Full,
        repeat: Repeat::Replaces,
        arity: Arity::One,
        apply,
    }
}

impl Known {
    /// Takes any number of values.
    const fn list(mut self) -> Self {
        self.arity = Arity::Own;
        self
    }

    /// As [`Known::list`]; a second line adds to the first.
    const fn adding(mut self) -> Self {
        self.repeat = Repeat::Adds;
        self.list()
    }

    /// As [`Known::adding`]; each value has a line of its own where it is shown.
    const fn each(mut self) -> Self {
        self.repeat = Repeat::Each;
        self.list()
    }

    pub(super) const fn exact(mut self) -> Self {
        self.arity = Arity::Exact;
        self
    }

    pub(super) const fn quiet(mut self) -> Self {
        self.telling = Telling::Quiet;
        self
    }

    const fn told(mut self, tell: Tell) -> Self {
        self.telling = Telling::Words(tell);
        self
    }

    const fn without_effect(mut self) -> Self {
        self.support = Support::NoEffect;
        self
    }
}

const TOGGLE: &str = "on or off";
const PORT: &str = "a port";
const HOST: &str = "a host";
const PROTOCOL: &str = "tcp or udp";

/// Every directive at top level but `Include`, which the reader follows.
const KNOWN: &[Known] = &[
    known(
        Group::Polls,
        "data_source",
        "a name, seconds if not 15, and hosts",
        data_source,
        |it| it.sources.iter().map(lines::source).collect(),
    )
    .each(),
    known(
        Group::Serves,
        "gridname",
        "a name",
        |draft, args| {
            draft.config.gridname = draft.text(args)?;
            Ok(())
        },
        |it| one(&it.gridname),
    )
    .told(telling::grid)
    .list(),
    known(
        Group::Serves,
        "authority",
        "a URL",
        |draft, args| {
            draft.config.authority = draft.text(args)?;
            Ok(())
        },
        |it| one(&it.authority),
    )
    .told(telling::elsewhere)
    .list(),
    known(
        Group::Serves,
        "scalable",
        TOGGLE,
        |draft, args| set(&mut draft.config.scalable, args, values::toggle),
        |it| toggle(it.scalable),
    )
    .told(telling::scalable),
    known(
        Group::Serves,
        "trusted_hosts",
        "addresses, blocks of them and names",
        trusted_hosts,
        |it| list(&it.trust.entries),
    )
    .told(telling::trusted)
    .adding(),
    known(
        Group::Serves,
        "all_trusted",
        TOGGLE,
        |draft, args| set(&mut draft.config.trust.all, args, values::toggle),
        |it| toggle(it.trust.all),
    )
    .told(telling::elsewhere),
    known(
        Group::Serves,
        "bind_address",
        "one of this machine's addresses",
        |draft, args| {
            draft.config.bind_address = Some(args.one(values::own_address)?);
            Ok(())
        },
        |it| list(it.bind_address),
    )
    .told(telling::elsewhere),
    known(
        Group::Serves,
        "xml_port",
        PORT,
        |draft, args| set(&mut draft.config.xml_port, args, values::listen_port),
        |it| one(it.xml_port),
    )
    .told(telling::xml_port)
    .exact(),
    known(
        Group::Serves,
        "interactive_port",
        PORT,
        |draft, args| {
            set(
                &mut draft.config.interactive_port,
                args,
                values::listen_port,
            )
        },
        |it| one(it.interactive_port),
    )
    .told(telling::interactive_port)
    .exact(),
    known(
        Group::Serves,
        "server_threads",
        "a number",
        |_, args| args.one(values::number).map(drop),
        |_| Vec::new(),
    )
    .exact()
    .without_effect(),
    known(
        Group::Runs,
        "daemonize",
        TOGGLE,
        |draft, args| set(&mut draft.config.daemonize, args, values::toggle),
        |it| toggle(it.daemonize),
    )
    .told(telling::place),
    known(
        Group::Runs,
        "setuid",
        TOGGLE,
        |draft, args| set(&mut draft.setuid, args, values::toggle),
        |it| toggle(it.setuid_username.is_some()),
    )
    .told(telling::elsewhere),
    known(
        Group::Runs,
        "setuid_username",
        "a user's name",
        |draft, args| set(&mut draft.setuid_username, args, not_empty),
        |it| list(&it.setuid_username),
    )
    .told(telling::user),
    known(
        Group::Runs,
        "debug_level",
        "a level from 0 to 5",
        |draft, args| set(&mut draft.config.debug_level, args, values::level),
        |it| one(it.debug_level),
    )
    .told(telling::level)
    .exact(),
    known(
        Group::Runs,
        "logfile",
        "a file",
        |draft, args| {
            draft.config.logfile = Some(args.one(values::path)?);
            Ok(())
        },
        |it| paths(it.logfile.as_ref()),
    )
    .told(telling::logs),
    known(
        Group::Runs,
        "plugins_dir",
        "a folder",
        |draft, args| {
            draft.config.plugins_dir = Some(args.one(values::path)?);
            Ok(())
        },
        |it| paths(it.plugins_dir.as_ref()),
    ),
    known(
        Group::Runs,
        "python_host",
        "a file",
        |draft, args| {
            draft.config.python_host = Some(args.one(values::path)?);
            Ok(())
        },
        |it| paths(it.python_host.as_ref()),
    ),
    known(
        Group::Runs,
        "plugins",
        "ids of plugins, in order",
        |draft, args| {
            plugins(draft, args);
            Ok(())
        },
        |it| list(it.plugins.iter().flatten()),
    )
    .list(),
    known(
        Group::Stores,
        "rrd_rootdir",
        "a folder",
        |draft, args| set(&mut draft.config.rrd.rootdir, args, values::path),
        |it| paths(Some(&it.rrd.rootdir)),
    ),
    known(
        Group::Stores,
        "RRAs",
        "archives, as in \"RRA:AVERAGE:0.5:1:244\"",
        archives,
        |it| list(&it.rrd.rras),
    )
    .told(telling::archives)
    .list(),
    known(
        Group::Stores,
        "umask",
        "octal digits, as in 022",
        umask,
        |it| one(format_args!("{:03o}", it.umask)),
    )
    .exact(),
    known(
        Group::Stores,
        "write_rrds",
        TOGGLE,
        |draft, args| set(&mut draft.config.rrd.write, args, values::toggle),
        |it| toggle(it.rrd.write),
    )
    .told(telling::elsewhere),
    known(
        Group::Serves,
        "summary_rule",
        "include or exclude, then names of metrics and /expressions/",
        filter::rule,
        |it| lines::rules(&it.summary_filter),
    )
    .told(telling::rules)
    .each(),
    known(
        Group::Serves,
        "unsummarized_metrics",
        "beginnings of metrics' names, and /expressions/",
        filter::unsummarized,
        |it| lines::unsummarized(&it.summary_filter),
    )
    .told(telling::left_out)
    .adding(),
    known(
        Group::Serves,
        "unsummarized_sflow_vm_metrics",
        TOGGLE,
        |draft, args| {
            set(
                &mut draft.config.summary_filter.without_sflow_vm,
                args,
                values::toggle,
            )
        },
        |it| toggle(it.summary_filter.without_sflow_vm),
    )
    .told(telling::left_out_of_sflow),
    known(
        Group::Serves,
        "summarized_metrics",
        "names of metrics, and /expressions/",
        filter::summarized,
        |it| lines::summarized(&it.summary_filter),
    )
    .told(telling::summed_up)
    .adding(),
    known(
        Group::Serves,
        "summary_default",
        "include or exclude",
        filter::default,
        |it| list(it.summary_filter.default),
    )
    .told(telling::others)
    .exact(),
    known(
        Group::Serves,
        "case_sensitive_hostnames",
        TOGGLE,
        |draft, args| {
            set(
                &mut draft.config.case_sensitive_hostnames,
                args,
                values::toggle,
            )
        },
        |it| toggle(it.case_sensitive_hostnames),
    )
    .told(telling::host_names),
    known(
        Group::Exports,
        "rrdcached_address",
        "a.b.c.d:port, [v6]:port or unix:/path",
        exports::rrdcached_address,
        |it| list(&it.exports.rrdcached),
    ),
    known(
        Group::Exports,
        "carbon_server",
        HOST,
        exports::carbon_server,
        |it| list(it.exports.carbon.as_ref().map(|it| &it.host)),
    ),
    known(
        Group::Exports,
        "carbon_port",
        PORT,
        |draft, args| {
            draft.exports.carbon_port = Some(args.one(values::port)?);
            Ok(())
        },
        |it| list(it.exports.carbon.as_ref().map(|it| it.port)),
    )
    .exact(),
    known(
        Group::Exports,
        "carbon_protocol",
        PROTOCOL,
        |draft, args| set(&mut draft.exports.config.carbon_udp, args, values::is_udp),
        |it| lines::protocol(it.exports.carbon_udp),
    )
    .quiet(),
    known(
        Group::Exports,
        "carbon_timeout",
        "milliseconds",
        |draft, args| {
            set(
                &mut draft.exports.config.carbon_timeout,
                args,
                values::millis,
            )
        },
        |it| one(it.exports.carbon_timeout.as_millis()),
    )
    .quiet()
    .exact(),
    known(
        Group::Exports,
        "graphite_prefix",
        "a prefix",
        |draft, args| {
            draft.exports.config.graphite_prefix = Some(args.one(not_empty)?);
            Ok(())
        },
        |it| list(&it.exports.graphite_prefix),
    ),
    known(
        Group::Exports,
        "graphite_path",
        "a path, as in prefix.%s.%h.%m",
        |draft, args| {
            draft.exports.config.graphite_path = Some(args.one(not_empty)?);
            Ok(())
        },
        |it| list(&it.exports.graphite_path),
    ),
    known(
        Group::Exports,
        "memcached_parameters",
        "servers, as in \"--SERVER=host:port\"",
        exports::memcached_parameters,
        |it| lines::memcached(&it.exports),
    )
    .list(),
    known(
        Group::Exports,
        "memcached_include_cluster_in_key",
        TOGGLE,
        |draft, args| {
            set(
                &mut draft.exports.config.memcached_include_cluster,
                args,
                values::toggle,
            )
        },
        |it| toggle(it.exports.memcached_include_cluster),
    )
    .quiet(),
    known(
        Group::Exports,
        "riemann_server",
        HOST,
        exports::riemann_server,
        |it| list(it.exports.riemann.as_ref().map(|it| &it.host)),
    ),
    known(
        Group::Exports,
        "riemann_port",
        PORT,
        |draft, args| {
            draft.exports.riemann_port = Some(args.one(values::port)?);
            Ok(())
        },
        |it| list(it.exports.riemann.as_ref().map(|it| it.port)),
    )
    .exact(),
    known(
        Group::Exports,
        "riemann_protocol",
        PROTOCOL,
        |draft, args| {
            draft.exports.config.riemann_tcp = !args.one(values::is_udp)?;
            Ok(())
        },
        |it| lines::protocol(!it.exports.riemann_tcp),
    )
    .quiet(),
    known(
        Group::Exports,
        "riemann_attributes",
        "\"key=value,key=value\"",
        |draft, args| {
            exports::riemann_attributes(draft, args);
            Ok(())
        },
        |it| lines::attributes(&it.exports),
    )
    .list(),
];

/// Directives of the `rrd` section that are ours; the section wins over top level.
pub(super) const RRD_SECTION: [&str; 2] = ["RRAs", "rrd_rootdir"];

/// Names of all directives at top level, as they are documented.
pub fn directive_names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|known| known.name).chain(["Include"])
}

/// Every directive at top level but `Include`.
pub(super) fn at_top_level() -> impl Iterator<Item = &'static Known> {
    KNOWN.iter()
}

pub(super) fn find(name: &str) -> Option<&'static Known> {
    KNOWN
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(name))
}

/// A directive's line, as its `apply` sees it.
pub(super) struct Args<'a> {
    pub(super) known: &'a Known,
    pub(super) words: &'a [Word],
    pub(super) at: &'a Location,
}

impl Args<'_> {
    pub(super) fn at_least_one(&self) -> Result<&[Word], Problem> {
        if self.words.is_empty() {
            let Known {
                name: directive,
                expected,
                ..
            } = *self.known;
            return Err(Problem::NoValue {
                directive,
                expected,
            });
        }
        Ok(self.words)
    }

    /// The one value there is.
    pub(super) fn one<T>(&self, value: impl Fn(&str) -> Result<T, Fault>) -> Result<T, Problem> {
        match self.at_least_one()? {
            [word] => self.check(&word.text, value),
            [_, extra, ..] => Err(Problem::TooMuch {
                directive: self.known.name,
                expected: self.known.expected,
                extra: extra.text.clone(),
            }),
            [] => unreachable!("at least one"),
        }
    }

    pub(super) fn check<T>(
        &self,
        text: &str,
        value: impl Fn(&str) -> Result<T, Fault>,
    ) -> Result<T, Problem> {
        value(text).map_err(|fault| Problem::Value {
            directive: self.known.name,
            value: text.into(),
            fault,
        })
    }
}

pub(super) fn set<T>(
    target: &mut T,
    args: &Args<'_>,
    value: impl Fn(&str) -> Result<T, Fault>,
) -> Result<(), Problem> {
    *target = args.one(value)?;
    Ok(())
}

pub(super) fn not_empty(text: &str) -> Result<String, Fault> {
    if text.trim().is_empty() {
        Err(Fault::Empty)
    } else {
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::directive_names;
    use crate::testing::{Memory, config, config_with, defaults, notices};
    use crate::{DEFAULT_RRAS, GMETAD_PYTHON_RRAS};

    const SHIPPED: &str = include_str!("../../contrib/gmetad.conf");
    const MANUAL: &str = include_str!("../../man/gmetad.conf.5");
    const COMPATIBILITY: &str = include_str!("../../docs/COMPATIBILITY.md");

    /// The shipped file with every directive that is commented out taken in.
    fn uncommented() -> String {
        let line = |line: &'static str| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphabetic()) => rest,
            _ => line,
        };
        SHIPPED.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_shipped_file_is_sound_and_leaves_nothing_to_remark() {
        assert_eq!(notices(SHIPPED), Vec::<String>::new());
        assert_eq!(config(SHIPPED).rrd.rras, DEFAULT_RRAS);
        assert_eq!(config(SHIPPED).sources.len(), 1);
    }

    #[test]
    fn the_shipped_file_is_the_defaults_but_for_its_source_and_sections() {
        let mut shipped = config(SHIPPED);
        shipped.sources.clear();
        shipped.sections.clear();
        assert_eq!(shipped, defaults());
    }

    #[test]
    fn the_shipped_file_has_every_directive() {
        let text = uncommented();
        for name in directive_names() {
            let is_there = text
                .lines()
                .any(|line| line.split_whitespace().next() == Some(name));
            assert!(is_there, "{name} is missing");
        }
    }

    #[test]
    fn every_line_of_the_shipped_file_can_be_taken_in() {
        let files = Memory::with(&[("conf.d/more.conf", "gridname included")]);
        let config = config_with(&uncommented(), &files);
        assert_eq!(config.gridname, "included");
        assert_eq!(config.sources.len(), 3);
        // gmetad-python's archives, which stand behind the default ones.
        assert_eq!(config.rrd.rras, GMETAD_PYTHON_RRAS);
        let strange: Vec<String> = notices(&uncommented())
            .into_iter()
            .filter(|notice| notice.starts_with("WARN") && !notice.contains("RRAs is there"))
            .collect();
        assert_eq!(strange, Vec::<String>::new());
    }

    #[test]
    fn the_manual_has_every_directive() {
        for name in directive_names() {
            let is_there = MANUAL.lines().any(|line| {
                line.strip_prefix(".It Ic ")
                    .and_then(|rest| rest.split(' ').next())
                    == Some(name)
            });
            assert!(is_there, "{name} is missing");
        }
    }

    #[test]
    fn what_became_of_every_directive_is_told() {
        for name in directive_names() {
            let spellings = [format!("`{name}`"), format!("`{name} ")];
            let first_cell = |line: &str| {
                let cell = line.strip_prefix("| ")?.split(" | ").next()?;
                spellings.iter().find(|it| cell.contains(*it)).map(drop)
            };
            assert!(
                COMPATIBILITY.lines().find_map(first_cell).is_some(),
                "{name} is missing"
            );
        }
    }

    #[test]
    fn the_stock_file_of_c_gmetad_is_read_as_it_is() {
        // What Debian's package sets; the rest of its file is comments.
        let text = "data_source \"this host\" localhost\ntrusted_hosts 127.0.0.1 \n#\n\
                    setuid_username \"ganglia\"\n";
        assert_eq!(notices(text), Vec::<String>::new());
        assert_eq!(config(text).setuid_username.as_deref(), Some("ganglia"));
    }

    #[test]
    fn the_stock_file_of_gmetad_python_is_read_as_it_is() {
        let text = "data_source \"my cluster\" localhost\n\
                    plugins_dir /usr/lib64/ganglia/python_modules/gmetad\n\
                    rrd {\n#\n# RRAs \"RRA:AVERAGE:0.5:1:244\" \"RRA:AVERAGE:0.5:24:244\" \\\n\
                    #      \"RRA:AVERAGE:0.5:5760:374\"\n#\n# rrd_rootdir \"/some/other/place\"\n}\n\
                    \nrrdsummary {\n}\n";
        let config = config(text);
        assert_eq!(config.rrd.rras, GMETAD_PYTHON_RRAS);
        let ids: Vec<&str> = config
            .sections
            .iter()
            .map(|section| section.id.as_str())
            .collect();
        assert_eq!(ids, ["rrd", "rrdsummary"]);
    }
}
