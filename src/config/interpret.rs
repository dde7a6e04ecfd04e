//! From lines and sections to a configuration: each line is given to its directive, and all of
//! them are checked together.
//!
//! Lines come from `reader`. What a directive sets is in `directives`.

use std::collections::HashMap;

use log::Level;

use super::config::{Config, GMETAD_PYTHON_RRAS, Overrides};
use super::directives::{at_top_level, find, in_rrd_section};
use super::draft::{Draft, Effect, Known, Repeat};
use super::error::{ConfigError, Notice, Problem};
use super::hint;
use super::origin::Origins;
use super::reader::{Document, Line, SectionText, is_remark};
use super::words::split_value_mended;
use gmetad_core::plugin::{Directive, Location};

/// A configuration and the remarks about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What the daemon runs by.
    pub config: Config,
    /// To be logged once the log is open; printed by `-t`.
    pub notices: Vec<Notice>,
    /// Where the values come from.
    pub origins: Origins,
}

/// Makes a configuration of what the files say, as far as possible, and lists what is wrong.
pub(super) fn interpret(
    document: Document,
    overrides: &Overrides,
    host_name: &str,
) -> (Loaded, Vec<ConfigError>) {
    let mut draft = Draft::new(host_name);
    for (at, text) in &document.remarks {
        draft.warn(at, text);
    }
    for line in &document.lines {
        draft.line(line);
    }
    for section in document.sections {
        draft.section(section);
    }
    draft.finish(overrides)
}

impl Draft {
    fn line(&mut self, line: &Line) {
        let Some(known) = find(&line.name, at_top_level()) else {
            let name = &line.name;
            let hint = hint::outside_sections(name);
            self.warn(
                &line.at,
                format!("unknown directive {name} is ignored{hint}"),
            );
            return;
        };
        self.note_repeat(known, &line.at);
        self.apply(known, &line.words, &line.at);
    }

    /// Notes the first line of a directive, and warns about a second that replaces it.
    fn note_repeat(&mut self, known: &'static Known, at: &Location) {
        let name = known.name;
        if let Some(first) = self.given.get(name) {
            if known.repeat == Repeat::Replaces {
                let text = set_twice(name, first);
                self.warn(at, text);
            }
            return;
        }
        self.given.insert(name, at.clone());
        if let Effect::None = known.effect {
            self.notice(
                Level::Info,
                at,
                format!("{name} is accepted and has no effect"),
            );
        }
    }

    fn section(&mut self, SectionText { at, section }: SectionText) {
        if let Some(Known { name, expected, .. }) = find(&section.id, at_top_level()) {
            let problem = Problem::NotASection {
                directive: name,
                expected,
            };
            self.error(&at, problem);
            return;
        }
        // The others are for plugins, which check them.
        match section.id.as_str() {
            "rrd" => self.rrd_section(&section.directives),
            "rrdsummary" => (section.directives.iter())
                .filter(|it| !is_remark(&it.name))
                .for_each(|directive| self.unknown_in_section("rrdsummary", directive)),
            "alert" => self.alert_section(&section.directives),
            _ => {}
        }
        self.config.sections.push(section);
    }

    fn rrd_section(&mut self, directives: &[Directive]) {
        let mut given: HashMap<&'static str, &Location> = HashMap::new();
        for directive in directives.iter().filter(|it| !is_remark(&it.name)) {
            let Some(known) = find(&directive.name, in_rrd_section()) else {
                self.unknown_in_section("rrd", directive);
                continue;
            };
            if let Some(first) = given.insert(known.name, &directive.line) {
                self.warn(&directive.line, set_twice(known.name, first));
            }
            let (words, mended) = split_value_mended(&directive.value);
            if let Some(mended) = mended {
                self.warn(&directive.line, mended);
            }
            self.apply(known, &words, &directive.line);
        }
    }

    /// Warns about a directive of a section that belongs to gmetad itself.
    pub(super) fn unknown_in_section(&mut self, section: &str, directive: &Directive) {
        let name = &directive.name;
        let hint = match section {
            "rrd" => hint::in_rrd(name),
            _ => String::new(),
        };
        let text = format!("unknown directive {name} in section {section} is ignored{hint}");
        self.warn(&directive.line, text);
    }

    fn finish(mut self, overrides: &Overrides) -> (Loaded, Vec<ConfigError>) {
        self.check_source_clusters();
        self.check_summary_filter();
        self.rras_of_gmetad_python();
        self.finish_exports();
        let user = std::mem::take(&mut self.pending.setuid_username);
        self.config.setuid_username = self.pending.setuid.then_some(user);
        self.config.apply(overrides);
        self.origins.options(overrides);
        self.check_ports();
        if self.config.sources.is_empty() && self.errors.is_empty() {
            let text = "there is no data_source line, so nothing will be polled".into();
            let level = Level::Warn;
            self.notices.push(Notice { level, text });
        }
        let loaded = Loaded {
            config: self.config,
            notices: self.notices,
            origins: self.origins,
        };
        (loaded, self.errors)
    }

    fn check_ports(&mut self) {
        let port = self.config.xml_port;
        if port != self.config.interactive_port || port == 0 {
            return;
        }
        let line = |name| self.given.get(name);
        let at = line("interactive_port").or(line("xml_port")).cloned();
        let problem = Problem::SamePort { port };
        self.errors.push(ConfigError { at, problem });
    }

    /// Gives a file that was written for gmetad-python the RRAs it had there. gmetad-python loads
    /// its RRD plugins from `plugins_dir` and has a section for them. C gmetad refuses both, and
    /// neither alone shows that the file is gmetad-python's.
    fn rras_of_gmetad_python(&mut self) {
        let has_section = |id| self.config.section(id).is_some();
        let has_plugins = has_section("rrd") || has_section("rrdsummary");
        let Some(at) = self.given.get("plugins_dir").cloned() else {
            return;
        };
        if self.pending.has_rras || !has_plugins {
            return;
        }
        self.config.rrd.rras = GMETAD_PYTHON_RRAS.map(String::from).to_vec();
        let text = "plugins_dir and a section rrd or rrdsummary mark a file of gmetad-python; it \
                    sets no RRAs, so new RRD files get gmetad-python's (full resolution for an \
                    hour)";
        self.notice(Level::Info, &at, text);
    }
}

fn set_twice(name: &str, first: &Location) -> String {
    format!("{name} is set twice (first at {first}); this value is used")
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use crate::testing::{Memory, config, defaults, notices, refusal};
    use crate::{Config, ConfigErrors, DEFAULT_RRAS, GMETAD_PYTHON_RRAS, Overrides, parse};
    use gmetad_core::trust::TrustEntry;

    fn with_options(text: &str, overrides: &Overrides) -> Result<Config, String> {
        parse(
            text.as_bytes(),
            Path::new("g.conf"),
            &Memory::default(),
            overrides,
            "h.example",
        )
        .map(|loaded| loaded.config)
        .map_err(|errors| errors.to_string())
    }

    #[test]
    fn an_empty_file_is_the_defaults_and_a_warning() {
        let config = config("");
        assert_eq!(config, defaults());
        assert_eq!(config.authority, "http://h.example/ganglia/");
        assert_eq!((config.xml_port, config.interactive_port), (8651, 8652));
        assert_eq!(config.setuid_username.as_deref(), Some("nobody"));
        assert_eq!(
            (config.umask, config.debug_level, config.daemonize),
            (0o022, 2, true)
        );
        assert_eq!(config.rrd.rras, DEFAULT_RRAS);
        assert_eq!(config.rrd.rootdir, Path::new("/var/lib/ganglia/rrds"));
        assert!(config.rrd.write && config.scalable && config.case_sensitive_hostnames);
        assert_eq!(config.exports.carbon_timeout, Duration::from_millis(500));
        assert_eq!(
            notices("# nothing"),
            ["WARN there is no data_source line, so nothing will be polled"]
        );
    }

    #[test]
    fn a_second_value_is_passed_over_and_a_comma_taken_off() {
        let text = "data_source a b\nrrd_rootdir /a /b\nxml_port 8661,\nscalable off, on\n\
                    gridname \"A\" \"B\"\nsetuid_username \"a,\"";
        let config = config(text);
        assert_eq!(config.rrd.rootdir, Path::new("/a"));
        assert_eq!((config.xml_port, config.scalable), (8661, false));
        assert_eq!(config.gridname, "A");
        assert_eq!(config.setuid_username.as_deref(), Some("a,"));
        assert_eq!(
            notices(text),
            [
                "WARN g.conf:2: rrd_rootdir takes a directory; \"/b\" is ignored",
                "WARN g.conf:3: xml_port: the comma after 8661 is ignored; remove it",
                "WARN g.conf:4: scalable takes on or off; \"on\" is ignored",
                "WARN g.conf:4: scalable: the comma after off is ignored; remove it",
                "WARN g.conf:5: gridname takes a name; \"B\" is ignored",
            ]
        );
    }

    #[test]
    fn lists_grow_with_each_line() {
        let config = config(
            "trusted_hosts 192.0.2.1 web.example\ntrusted_hosts 198.51.100.0/24\n\
             unsummarized_metrics a b\nunsummarized_metrics c\n\
             summarized_metrics x\nsummarized_metrics y z",
        );
        let block = |text: &str| TrustEntry::Block(text.parse().expect("a block"));
        assert_eq!(
            config.trust.entries,
            [
                block("192.0.2.1/32"),
                TrustEntry::Name("web.example".into()),
                block("198.51.100.0/24")
            ]
        );
        assert_eq!(config.summary_filter.without_prefixes, ["a", "b", "c"]);
        assert_eq!(config.summary_filter.only, ["x", "y", "z"]);
    }

    #[test]
    fn every_single_value_is_set() {
        let config = config(
            "gridname \"My Grid\"\nauthority http://g.example/\nscalable off\nall_trusted yes\n\
             bind_address 192.0.2.1\nxml_port 1\ninteractive_port 2\nsetuid_username ganglia\n\
             umask 077\ndebug_level 4\ndaemonize no\nlogfile /l\nplugins_dir /p\n\
             plugins Derive rrd RRDsummary\nrrd_rootdir /r\nRRAs RRA:MAX:0:2:3\nwrite_rrds off\n\
             case_sensitive_hostnames 0\nunsummarized_sflow_vm_metrics on\n",
        );
        assert_eq!(config.gridname, "My Grid");
        assert_eq!(config.authority, "http://g.example/");
        assert!(!config.scalable && config.trust.all && !config.daemonize);
        assert_eq!(config.bind_address, Some([192, 0, 2, 1].into()));
        assert_eq!((config.xml_port, config.interactive_port), (1, 2));
        assert_eq!(config.setuid_username.as_deref(), Some("ganglia"));
        assert_eq!((config.umask, config.debug_level), (0o077, 4));
        assert_eq!(config.logfile, Some("/l".into()));
        assert_eq!(config.plugins_dir, Some("/p".into()));
        let chain = ["derive", "rrd", "rrdsummary"].map(String::from);
        assert_eq!(config.plugins.as_deref(), Some(chain.as_slice()));
        assert_eq!(config.rrd.rootdir, Path::new("/r"));
        assert_eq!(config.rrd.rras, ["RRA:MAX:0:2:3"]);
        assert!(!config.rrd.write && !config.case_sensitive_hostnames);
        assert!(config.summary_filter.without_sflow_vm);
    }

    #[test]
    fn without_archives_a_file_gets_those_it_had() {
        let rras = |text: &str| config(text).rrd.rras;
        for text in [
            "",
            "RRAs",
            "plugins_dir /p",
            "rrd {\n write_timeout 300\n}\nrrdsummary {\n}",
            "plugins_dir /p\nalert {\n}",
        ] {
            assert_eq!(rras(text), DEFAULT_RRAS, "{text}");
        }
        for text in [
            "plugins_dir /p\nrrd {\n rrd_rootdir /r\n}",
            "rrdsummary {}\nplugins_dir /p",
            "plugins_dir /p\nrrd {\n RRAs\n}",
        ] {
            assert_eq!(rras(text), GMETAD_PYTHON_RRAS, "{text}");
            let said = notices(&format!("data_source a b\n{text}"));
            assert!(
                said.iter()
                    .any(|it| it.contains("new RRD files get gmetad-python's")),
                "{said:?}"
            );
        }
        let given = "plugins_dir /p\nRRAs RRA:MAX:0:2:3\nrrd {}";
        assert_eq!(rras(given), ["RRA:MAX:0:2:3"]);
        assert_eq!(notices(&format!("{given}\ndata_source a b")), [""; 0]);
    }

    #[test]
    fn an_unknown_directive_is_a_warning() {
        assert_eq!(
            notices("data_source a b\n\nfrobnicate 1 2\nalone"),
            [
                "WARN g.conf:3: unknown directive frobnicate is ignored",
                "WARN g.conf:4: unknown directive alone is ignored"
            ]
        );
    }

    #[test]
    fn an_unknown_directive_of_a_section_of_ours_is_a_warning_and_of_others_is_theirs() {
        assert_eq!(
            notices(
                "data_source a b\nrrd {\n write_timout 300\n}\nrrdsummary {\n x 1\n}\n\
                 mine {\n x 1\n}"
            ),
            [
                "WARN g.conf:3: unknown directive write_timout in section rrd is ignored; did you \
                 mean write_timeout?",
                "WARN g.conf:6: unknown directive x in section rrdsummary is ignored",
            ]
        );
    }

    #[test]
    fn sections_of_ours_have_comments_behind_values() {
        let text = "rrd {\n # write_timeout x\n #RRAs y z\n write_timeout 30 # s\n \
                    RRAs \"RRA:LAST:0.5:1:2\" \\\n   # \"RRA:MIN:0:1:3\" \\\n \
                    \"RRA:MAX:0:1:2\" # two\n}\nrrdsummary {\n # a b\n}\n\
                    alert {\n # a b\n toaddress a@b # me\n}\ndata_source a b\n";
        let config = config(text);
        assert_eq!(config.rrd.write_timeout.as_secs(), 30);
        assert_eq!(config.rrd.rras, ["RRA:LAST:0.5:1:2", "RRA:MAX:0:1:2"]);
        assert_eq!(config.alert.expect("a section").to, ["a@b"]);
        assert_eq!(notices(text), [""; 0]);
        // A plugin of that id sees it as gmetad-python's did.
        let rrd = &config.sections[0].directives;
        assert_eq!(
            (rrd[2].name.as_str(), rrd[2].value.as_str()),
            ("write_timeout", "30 # s")
        );
    }

    #[test]
    fn of_a_value_given_twice_in_the_rrd_section_the_last_counts_and_it_is_said() {
        let text = "data_source a b\nrrd {\n write_timeout 1\n}\nRRD {\n Write_Timeout 2\n}";
        assert_eq!(config(text).rrd.write_timeout, Duration::from_secs(2));
        assert_eq!(
            notices(text),
            ["WARN g.conf:6: write_timeout is set twice (first at g.conf:3); this value is used"]
        );
    }

    #[test]
    fn what_does_nothing_here_is_said_once() {
        assert_eq!(
            notices("data_source a b\nserver_threads 10\nextra {}\nrrd {}\nrrdsummary {}"),
            ["INFO g.conf:2: server_threads is accepted and has no effect",]
        );
    }

    #[test]
    fn of_a_value_given_twice_the_last_counts_and_it_is_said() {
        let text = "data_source a b\nxml_port 1\nXML_PORT 2";
        assert_eq!(config(text).xml_port, 2);
        assert_eq!(
            notices(text),
            ["WARN g.conf:3: xml_port is set twice (first at g.conf:2); this value is used"]
        );
    }

    #[test]
    fn a_name_of_several_words_wants_quotes() {
        let text = "data_source a b\ngridname My Grid";
        assert_eq!(config(text).gridname, "My Grid");
        assert_eq!(
            notices(text),
            ["WARN g.conf:2: gridname is read as \"My Grid\"; put it in quotes"]
        );
    }

    #[test]
    fn values_that_cannot_be_used_are_all_told_with_what_would_be_right() {
        let port = "is not a port; give a number from 1 to 65535, or 0 to let the system choose";
        let toggle = "is neither on nor off; give on, off, true, false, yes, no, 1 or 0";
        let path = "is not an absolute path; start it with /";
        let cases: &[(&str, &str)] = &[
            ("xml_port abc", &format!("xml_port: \"abc\" {port}")),
            (
                "interactive_port 65536",
                &format!("interactive_port: \"65536\" {port}"),
            ),
            ("scalable maybe", &format!("scalable: \"maybe\" {toggle}")),
            ("all_trusted 2", &format!("all_trusted: \"2\" {toggle}")),
            ("setuid nobody", &format!("setuid: \"nobody\" {toggle}")),
            ("daemonize \"\"", &format!("daemonize: \"\" {toggle}")),
            ("write_rrds x", &format!("write_rrds: \"x\" {toggle}")),
            (
                "case_sensitive_hostnames x",
                &format!("case_sensitive_hostnames: \"x\" {toggle}"),
            ),
            (
                "unsummarized_sflow_vm_metrics x",
                &format!("unsummarized_sflow_vm_metrics: \"x\" {toggle}"),
            ),
            ("rrd_rootdir rrds", &format!("rrd_rootdir: \"rrds\" {path}")),
            ("logfile g.log", &format!("logfile: \"g.log\" {path}")),
            ("plugins_dir p", &format!("plugins_dir: \"p\" {path}")),
            (
                "server_threads many",
                "server_threads: \"many\" is not a number; give a number from 0 up",
            ),
            (
                "debug_level debug",
                "debug_level: \"debug\" is not a log level; give 0 (fatal), 1 (critical), 2 \
                 (error), 3 (warning), 4 (info) or 5 (debug)",
            ),
            (
                "umask rwx",
                "umask: \"rwx\" is not a umask; give octal digits, as in 022 or 077",
            ),
            (
                "bind_address localhost",
                "bind_address: \"localhost\" is not an address; give an address of this machine, \
                 as in 192.0.2.1 or ::1",
            ),
            (
                "trusted_hosts 10.0.0.0/33",
                "trusted_hosts: \"10.0.0.0/33\" is not a block of addresses; give a prefix of 0 \
                 to 32 bits for IPv4, as in 192.0.2.0/24, or of 0 to 128 bits for IPv6, as in \
                 2001:db8::/32",
            ),
            (
                "RRAs RRA:AVG:0.5:1:2",
                "RRAs: \"RRA:AVG:0.5:1:2\" has no usable consolidation function; give AVERAGE, \
                 MIN, MAX or LAST",
            ),
            (
                "RRAs RRA:MAX:1:1:2",
                "RRAs: \"RRA:MAX:1:1:2\" has no usable XFF (the third field); give a number from \
                 0 to less than 1",
            ),
            (
                "RRAs RRA:MAX:0:0:2",
                "RRAs: \"RRA:MAX:0:0:2\" has no usable STEPS or ROWS (the last two fields); give \
                 whole numbers from 1 up",
            ),
            (
                "setuid_username \"\"",
                "setuid_username: \"\" is empty; give a value, or remove the line",
            ),
            (
                "umask 022 027",
                "umask takes octal digits, as in 022; remove the extra \"027\"",
            ),
            ("authority", "authority has no value; it takes a URL"),
            (
                "xml_port 1 2",
                "xml_port takes a port; remove the extra \"2\"",
            ),
        ];
        let text: Vec<&str> = cases.iter().map(|(line, _)| *line).collect();
        let errors = refusal(&text.join("\n"));
        assert_eq!(errors.len(), cases.len());
        for (index, (error, (_, expected))) in errors.iter().zip(cases).enumerate() {
            assert_eq!(*error, format!("g.conf:{}: {expected}", index + 1));
        }
    }

    #[test]
    fn a_directive_is_no_section() {
        assert_eq!(
            refusal("gridname {\n}"),
            ["g.conf:1: gridname is a directive, not a section; it takes a name"]
        );
        assert_eq!(
            refusal("xml_port\n{\n}"),
            ["g.conf:1: xml_port is a directive, not a section; it takes a port"]
        );
    }

    #[test]
    fn the_two_ports_differ() {
        assert_eq!(
            refusal("interactive_port 8651"),
            ["g.conf:1: xml_port and interactive_port are both 8651; give them different ports"]
        );
        let both_chosen = config("xml_port 0\ninteractive_port 0");
        assert_eq!((both_chosen.xml_port, both_chosen.interactive_port), (0, 0));
        let overrides = Overrides {
            xml_port: Some(8652),
            ..Overrides::default()
        };
        assert_eq!(
            with_options("", &overrides),
            Err("xml_port and interactive_port are both 8652; give them different ports".into())
        );
        // The file alone would be wrong; with the option it is not.
        assert!(with_options("interactive_port 8651", &overrides).is_ok());
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let text = "debug_level 5\nlogfile /file\nxml_port 1\ninteractive_port 2\n";
        let overrides = Overrides {
            debug_level: Some(1),
            foreground: false,
            pid_file: Some("/pid".into()),
            logfile: Some("/option".into()),
            interactive_port: Some(4),
            xml_port: Some(3),
        };
        let config = with_options(text, &overrides).expect("sound");
        assert_eq!((config.debug_level, config.is_foreground()), (1, false));
        assert_eq!(config.logfile, Some("/option".into()));
        assert_eq!(config.pid_file, Some("/pid".into()));
        assert_eq!((config.xml_port, config.interactive_port), (3, 4));
        let nothing = with_options(text, &Overrides::default()).expect("sound");
        assert_eq!((nothing.debug_level, nothing.is_foreground()), (5, true));
        assert_eq!(nothing.logfile, Some("/file".into()));
    }

    #[test]
    fn the_foreground_is_asked_for_in_three_ways() {
        let foreground = Overrides {
            foreground: true,
            ..Overrides::default()
        };
        assert!(
            with_options("daemonize on", &foreground)
                .expect("sound")
                .is_foreground()
        );
        assert!(config("daemonize off").is_foreground());
        assert!(config("debug_level 5").is_foreground() && config("debug_level 9").is_foreground());
        assert!(!config("debug_level 4").is_foreground());
    }

    #[test]
    fn errors_and_warnings_do_not_hide_each_other() {
        let errors = refusal("unknown 1\nxml_port x\nserver_threads 4\nrrd {\n");
        assert_eq!(errors.len(), 2);
        assert!(errors[0].starts_with("g.conf:2:") && errors[1].starts_with("g.conf:4:"));
        let both = parse(
            b"data_sorce a b\nxml_port x",
            Path::new("g.conf"),
            &Memory::default(),
            &Overrides::default(),
            "h",
        );
        let ConfigErrors {
            errors, notices, ..
        } = both.expect_err("the port");
        assert_eq!((errors.len(), notices.len()), (1, 1));
        assert!(notices[0].text.contains("data_sorce"), "{notices:?}");
    }
}
