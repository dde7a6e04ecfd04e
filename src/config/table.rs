//! The table of directives: what each takes, what it sets, and how much of it this version does.
//!
//! Single values are checked in `values`; what needs more than one step is in `directives` and
//! `exports`.

use super::directives::{Draft, data_source, plugins, umask};
use super::exports;
use super::filter;
use super::lists::{archives, trusted_hosts};
use super::values::{self, Fault};
use super::words::Word;
use super::{Location, Problem};

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

pub(super) type Apply = fn(&mut Draft, &Args<'_>) -> Result<(), Problem>;

/// A directive.
pub(super) struct Known {
    pub(super) name: &'static str,
    /// In a sentence after "takes".
    pub(super) expected: &'static str,
    pub(super) support: Support,
    pub(super) repeat: Repeat,
    pub(super) arity: Arity,
    pub(super) apply: Apply,
}

pub(super) const fn known(name: &'static str, expected: &'static str, apply: Apply) -> Known {
    Known {
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

    pub(super) const fn exact(mut self) -> Self {
        self.arity = Arity::Exact;
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
        "data_source",
        "a name, seconds if not 15, and hosts",
        data_source,
    )
    .adding(),
    known("gridname", "a name", |draft, args| {
        draft.config.gridname = draft.text(args)?;
        Ok(())
    })
    .list(),
    known("authority", "a URL", |draft, args| {
        draft.config.authority = draft.text(args)?;
        Ok(())
    })
    .list(),
    known("scalable", TOGGLE, |draft, args| {
        set(&mut draft.config.scalable, args, values::toggle)
    }),
    known(
        "trusted_hosts",
        "addresses, blocks of them and names",
        trusted_hosts,
    )
    .adding(),
    known("all_trusted", TOGGLE, |draft, args| {
        set(&mut draft.config.trust.all, args, values::toggle)
    }),
    known(
        "bind_address",
        "one of this machine's addresses",
        |draft, args| {
            draft.config.bind_address = Some(args.one(values::own_address)?);
            Ok(())
        },
    ),
    known("xml_port", PORT, |draft, args| {
        set(&mut draft.config.xml_port, args, values::listen_port)
    })
    .exact(),
    known("interactive_port", PORT, |draft, args| {
        set(
            &mut draft.config.interactive_port,
            args,
            values::listen_port,
        )
    })
    .exact(),
    known("server_threads", "a number", |_, args| {
        args.one(values::number).map(drop)
    })
    .exact()
    .without_effect(),
    known("setuid", TOGGLE, |draft, args| {
        set(&mut draft.setuid, args, values::toggle)
    }),
    known("setuid_username", "a user's name", |draft, args| {
        set(&mut draft.setuid_username, args, not_empty)
    }),
    known("umask", "octal digits, as in 022", umask).exact(),
    known("debug_level", "a level from 0 to 5", |draft, args| {
        set(&mut draft.config.debug_level, args, values::level)
    })
    .exact(),
    known("daemonize", TOGGLE, |draft, args| {
        set(&mut draft.config.daemonize, args, values::toggle)
    }),
    known("logfile", "a file", |draft, args| {
        draft.config.logfile = Some(args.one(values::path)?);
        Ok(())
    }),
    known("plugins_dir", "a folder", |draft, args| {
        draft.config.plugins_dir = Some(args.one(values::path)?);
        Ok(())
    }),
    known("python_host", "a file", |draft, args| {
        draft.config.python_host = Some(args.one(values::path)?);
        Ok(())
    }),
    known("plugins", "ids of plugins, in order", |draft, args| {
        plugins(draft, args);
        Ok(())
    })
    .list(),
    known("rrd_rootdir", "a folder", |draft, args| {
        set(&mut draft.config.rrd.rootdir, args, values::path)
    }),
    known(
        "RRAs",
        "archives, as in \"RRA:AVERAGE:0.5:1:244\"",
        archives,
    )
    .list(),
    known("write_rrds", TOGGLE, |draft, args| {
        set(&mut draft.config.rrd.write, args, values::toggle)
    }),
    known("case_sensitive_hostnames", TOGGLE, |draft, args| {
        set(
            &mut draft.config.case_sensitive_hostnames,
            args,
            values::toggle,
        )
    }),
    known(
        "unsummarized_metrics",
        "beginnings of metrics' names, and /expressions/",
        filter::unsummarized,
    )
    .adding(),
    known(
        "summarized_metrics",
        "names of metrics, and /expressions/",
        filter::summarized,
    )
    .adding(),
    known(
        "summary_rule",
        "include or exclude, then names of metrics and /expressions/",
        filter::rule,
    )
    .adding(),
    known("summary_default", "include or exclude", filter::default).exact(),
    known("unsummarized_sflow_vm_metrics", TOGGLE, |draft, args| {
        set(
            &mut draft.config.summary_filter.without_sflow_vm,
            args,
            values::toggle,
        )
    }),
    known(
        "rrdcached_address",
        "a.b.c.d:port, [v6]:port or unix:/path",
        exports::rrdcached_address,
    ),
    known("carbon_server", HOST, exports::carbon_server),
    known("carbon_port", PORT, |draft, args| {
        draft.exports.carbon_port = Some(args.one(values::port)?);
        Ok(())
    })
    .exact(),
    known("carbon_protocol", PROTOCOL, |draft, args| {
        set(&mut draft.exports.config.carbon_udp, args, values::is_udp)
    }),
    known("carbon_timeout", "milliseconds", |draft, args| {
        set(
            &mut draft.exports.config.carbon_timeout,
            args,
            values::millis,
        )
    })
    .exact(),
    known("graphite_prefix", "a prefix", |draft, args| {
        draft.exports.config.graphite_prefix = Some(args.one(not_empty)?);
        Ok(())
    }),
    known(
        "graphite_path",
        "a path, as in prefix.%s.%h.%m",
        |draft, args| {
            draft.exports.config.graphite_path = Some(args.one(not_empty)?);
            Ok(())
        },
    ),
    known(
        "memcached_parameters",
        "servers, as in \"--SERVER=host:port\"",
        exports::memcached_parameters,
    )
    .list(),
    known("memcached_include_cluster_in_key", TOGGLE, |draft, args| {
        set(
            &mut draft.exports.config.memcached_include_cluster,
            args,
            values::toggle,
        )
    }),
    known("riemann_server", HOST, exports::riemann_server),
    known("riemann_port", PORT, |draft, args| {
        draft.exports.riemann_port = Some(args.one(values::port)?);
        Ok(())
    })
    .exact(),
    known("riemann_protocol", PROTOCOL, |draft, args| {
        draft.exports.config.riemann_tcp = !args.one(values::is_udp)?;
        Ok(())
    }),
    known(
        "riemann_attributes",
        "\"key=value,key=value\"",
        |draft, args| {
            exports::riemann_attributes(draft, args);
            Ok(())
        },
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
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = &'static Known> {
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
    use crate::testing::{Memory, config, config_with, notices};
    use crate::{Config, DEFAULT_RRAS, GMETAD_PYTHON_RRAS};

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
        assert_eq!(shipped, Config::new("h.example"));
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
