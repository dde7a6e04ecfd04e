//! From lines and sections to a configuration: defaults, the table's directives, the command
//! line, and what they must be together.
//!
//! Lines come from the reader; what each directive sets stands in `table`.

use std::borrow::Cow;
use std::collections::HashMap;

use log::Level;

use super::exports::ExportDraft;
use super::hint;
use super::lists;
use super::origin::Origins;
use super::reader::{Document, Line, SectionText, is_remark};
use super::rrd;
use super::table::{Args, Arity, Known, Repeat, Support, find, not_empty};
use super::values::{self, Fault};
use super::words::{Word, split_value_mended};
use super::{
    Config, ConfigError, DEFAULT_INTERVAL, DEFAULT_POLL_PORT, Directive, GMETAD_PYTHON_RRAS,
    HostPort, Loaded, Location, Notice, Problem, SourceConfig,
};
use crate::Overrides;

/// The configuration on its way.
pub(super) struct Draft {
    pub(super) config: Config,
    pub(super) exports: ExportDraft,
    pub(super) setuid: bool,
    pub(super) setuid_username: String,
    /// Where each directive, or each source by name, was first given.
    pub(super) given: HashMap<&'static str, Location>,
    sources: HashMap<String, Location>,
    /// Whether archives were named.
    pub(super) has_archives: bool,
    pub(super) origins: Origins,
    /// Where each rule of the summary filter stands.
    pub(super) rule_lines: Vec<Location>,
    notices: Vec<Notice>,
    pub(super) errors: Vec<ConfigError>,
}

/// Makes a configuration of what the files say, as far as it goes, and lists what is wrong.
pub(super) fn interpret(
    document: Document,
    overrides: &Overrides,
    host_name: &str,
) -> (Loaded, Vec<ConfigError>) {
    let mut draft = Draft {
        config: Config::new(host_name),
        exports: ExportDraft::default(),
        setuid: true,
        setuid_username: "nobody".into(),
        given: HashMap::new(),
        sources: HashMap::new(),
        has_archives: false,
        origins: Origins::default(),
        rule_lines: Vec::new(),
        notices: Vec::new(),
        errors: Vec::new(),
    };
    for (at, text) in &document.remarks {
        draft.notice(Level::Warn, at, text);
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
        let Some(known) = find(&line.name) else {
            let name = &line.name;
            self.notice(
                Level::Warn,
                &line.at,
                &format!(
                    "unknown directive {name} is ignored{}",
                    hint::at_top_level(name)
                ),
            );
            return;
        };
        self.say_once(known, &line.at);
        self.apply(known, &line.words, &line.at);
    }

    fn apply(&mut self, known: &'static Known, words: &[Word], at: &Location) {
        let words = &self.single(known, words, at)[..];
        match (known.apply)(self, &Args { known, words, at }) {
            Ok(()) => self.origins.line(known, words, at),
            Err(problem) => self.errors.push(ConfigError {
                at: Some(at.clone()),
                problem,
            }),
        }
    }

    /// The words of a directive that takes one value, without what C gmetad passes over.
    fn single<'a>(
        &mut self,
        known: &'static Known,
        words: &'a [Word],
        at: &Location,
    ) -> Cow<'a, [Word]> {
        let name = known.name;
        let (first, others) = match (known.arity, words) {
            (Arity::Own, _) | (_, []) => return words.into(),
            (_, [first, others @ ..]) => (first, others),
        };
        let kept = match known.arity {
            Arity::One => {
                if let Some(extra) = others.first() {
                    let expected = known.expected;
                    let text = format!("{name} takes {expected}; \"{}\" is ignored", extra.text);
                    self.notice(Level::Warn, at, &text);
                }
                &words[..1]
            }
            _ => words,
        };
        let value = first.text.trim_end_matches(',');
        if first.quoted || value.is_empty() || value.len() == first.text.len() {
            return kept.into();
        }
        let text = format!("{name} is read as {value}; take the comma out");
        self.notice(Level::Warn, at, &text);
        let mut kept = kept.to_vec();
        kept[0].text.truncate(value.len());
        kept.into()
    }

    /// What a directive needs said about it, at its first line or its second.
    fn say_once(&mut self, known: &'static Known, at: &Location) {
        let name = known.name;
        if let Some(first) = self.given.get(name) {
            if known.repeat == Repeat::Replaces {
                let text = format!("{name} is there already, at {first}; this one counts");
                self.notice(Level::Warn, at, &text);
            }
            return;
        }
        self.given.insert(name, at.clone());
        if known.support == Support::NoEffect {
            let text = format!("{name} is accepted and has no effect");
            self.notice(Level::Info, at, &text);
        }
    }

    fn section(&mut self, SectionText { at, section }: SectionText) {
        if let Some(Known {
            name: directive,
            expected,
            ..
        }) = find(&section.id)
        {
            let problem = Problem::NotASection {
                directive,
                expected,
            };
            self.errors.push(ConfigError {
                at: Some(at),
                problem,
            });
            return;
        }
        // The others are for plugins, of which nothing is known here.
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
            let Some(known) = rrd::find_in_section(&directive.name) else {
                self.unknown_in_section("rrd", directive);
                continue;
            };
            if let Some(first) = given.insert(known.name, &directive.line) {
                let text = format!(
                    "{} is there already, at {first}; this one counts",
                    known.name
                );
                self.notice(Level::Warn, &directive.line, &text);
            }
            let (words, mended) = split_value_mended(&directive.value);
            if let Some(mended) = mended {
                self.notice(Level::Warn, &directive.line, &mended.to_string());
            }
            self.apply(known, &words, &directive.line);
        }
    }

    /// Of a section that is all ours.
    pub(super) fn unknown_in_section(&mut self, section: &str, directive: &Directive) {
        let name = &directive.name;
        let hint = match section {
            "rrd" => hint::in_rrd_section(name),
            _ => String::new(),
        };
        let text = format!("unknown directive {name} of {section} is ignored{hint}");
        self.notice(Level::Warn, &directive.line, &text);
    }

    fn finish(mut self, overrides: &Overrides) -> (Loaded, Vec<ConfigError>) {
        self.summary_filter_is_whole();
        self.archives_of_gmetad_python();
        let mut config = self.config;
        config.setuid_username = self.setuid.then_some(self.setuid_username);
        config.exports = self.exports.finish();
        config.apply(overrides);
        self.origins.options(overrides);
        if config.xml_port == config.interactive_port && config.xml_port != 0 {
            let at = self
                .given
                .get("interactive_port")
                .or(self.given.get("xml_port"))
                .cloned();
            let problem = Problem::SamePort {
                port: config.xml_port,
            };
            self.errors.push(ConfigError { at, problem });
        }
        if config.sources.is_empty() && self.errors.is_empty() {
            let text = "there is no data_source line, so nothing will be polled".into();
            self.notices.push(Notice {
                level: Level::Warn,
                text,
            });
        }
        (
            Loaded {
                config,
                notices: self.notices,
                origins: self.origins,
            },
            self.errors,
        )
    }

    /// Gives a file that was written for gmetad-python the archives it had there. It loads its RRD
    /// plugins from `plugins_dir` and has a section for them; C gmetad refuses both, and no one of
    /// them alone says that the files are gmetad-python's.
    fn archives_of_gmetad_python(&mut self) {
        let has_section = |id| self.config.section(id).is_some();
        let has_plugins = has_section("rrd") || has_section("rrdsummary");
        let Some(at) = self.given.get("plugins_dir").cloned() else {
            return;
        };
        if self.has_archives || !has_plugins {
            return;
        }
        self.config.rrd.rras = GMETAD_PYTHON_RRAS.map(String::from).to_vec();
        let text = "with a section rrd or rrdsummary, plugins_dir marks a file of gmetad-python; as \
                    it has no RRAs, new files get gmetad-python's, an hour in full";
        self.notice(Level::Info, &at, text);
    }

    pub(super) fn notice(&mut self, level: Level, at: &Location, text: &str) {
        self.notices.push(Notice {
            level,
            text: format!("{at}: {text}"),
        });
    }

    /// Free text; without quotes it is all of the line, as gmetad-python has it.
    pub(super) fn text(&mut self, args: &Args<'_>) -> Result<String, Problem> {
        let words = args.at_least_one()?;
        if let [first, others @ ..] = words
            && words.iter().any(|word| word.quoted)
        {
            if let Some(extra) = others.first() {
                let Known { name, expected, .. } = args.known;
                let text = format!("{name} takes {expected}; \"{}\" is ignored", extra.text);
                self.notice(Level::Warn, args.at, &text);
            }
            return args.check(&first.text, not_empty);
        }
        if let [word] = words {
            return Ok(word.text.clone());
        }
        let text = words
            .iter()
            .map(|word| word.text.as_str())
            .collect::<Vec<_>>()
            .join(" ");
        let name = args.known.name;
        let remark = format!("{name} is taken as \"{text}\"; put it in quotes");
        self.notice(Level::Warn, args.at, &remark);
        Ok(text)
    }
}

impl Config {
    fn apply(&mut self, overrides: &Overrides) {
        let Overrides {
            debug_level,
            foreground,
            pid_file,
            logfile,
            interactive_port,
            xml_port,
        } = overrides;
        self.debug_level = debug_level.unwrap_or(self.debug_level);
        self.daemonize &= !foreground;
        self.pid_file = pid_file.clone().or(self.pid_file.take());
        self.logfile = logfile.clone().or(self.logfile.take());
        self.interactive_port = interactive_port.unwrap_or(self.interactive_port);
        self.xml_port = xml_port.unwrap_or(self.xml_port);
    }
}

/// `data_source "name" [seconds] host[:port] …`
pub(super) fn data_source(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let words = args.at_least_one()?;
    let name = args.check(&words[0].text, not_empty)?;
    if let Some(name) = name_in_pieces(words) {
        return Err(Problem::NameInPieces { name });
    }
    // Commas are no part of a host, and C gmetad reads over one behind a port.
    let parts = match &words[1..] {
        [] => Vec::new(),
        words => lists::parts(draft, &Args { words, ..*args }),
    };
    let (interval, hosts) = match parts.split_first() {
        Some((first, others)) => match values::interval(first) {
            Some(interval) => {
                let in_source = |fault| Problem::Host {
                    name: name.clone(),
                    host: (*first).into(),
                    fault,
                };
                (interval.map_err(in_source)?, others)
            }
            None => (DEFAULT_INTERVAL, &parts[..]),
        },
        None => (DEFAULT_INTERVAL, &[][..]),
    };
    if hosts.is_empty() {
        draft.sources.entry(name.clone()).or_insert(args.at.clone());
        return Err(Problem::NoHost { name });
    }
    let (usable, has_errors) = draft.hosts(args.at, &name, hosts);
    let source = SourceConfig {
        name,
        interval,
        hosts: usable,
    };
    draft.source(source, args.at, has_errors)
}

impl Draft {
    /// The hosts of a source that can be polled, and whether an error was found among them. A word
    /// that is no host is passed over where others are, as C gmetad does with what it cannot look
    /// up.
    fn hosts(&mut self, at: &Location, name: &str, hosts: &[&str]) -> (Vec<HostPort>, bool) {
        let (mut usable, mut problems) = (Vec::with_capacity(hosts.len()), Vec::new());
        for host in hosts {
            match values::host_port(host, DEFAULT_POLL_PORT) {
                Ok(place) => usable.push(place),
                // Every bad host is told, not the first alone.
                Err(fault) => problems.push(Problem::Host {
                    name: name.into(),
                    host: (*host).into(),
                    fault,
                }),
            }
        }
        let mut has_errors = false;
        for problem in problems {
            let is_port = matches!(
                problem,
                Problem::Host {
                    fault: Fault::Port,
                    ..
                }
            );
            if is_port || usable.is_empty() {
                has_errors = true;
                let at = Some(at.clone());
                self.errors.push(ConfigError { at, problem });
            } else {
                self.notice(Level::Warn, at, &format!("{problem}; the others are asked"));
            }
        }
        (usable, has_errors)
    }

    /// Takes a source in; the same one a second time does no harm.
    fn source(
        &mut self,
        source: SourceConfig,
        at: &Location,
        is_partial: bool,
    ) -> Result<(), Problem> {
        let Some(first) = self.sources.get(&source.name).cloned() else {
            self.sources.insert(source.name.clone(), at.clone());
            self.config.sources.push(source);
            self.origins.add("data_source", at);
            return Ok(());
        };
        let name = source.name.clone();
        if is_partial || !self.config.sources.contains(&source) {
            return Err(Problem::SourceTwice { name, first });
        }
        let text =
            format!("data_source \"{name}\" is there already, at {first}; it is polled once");
        self.notice(Level::Warn, at, &text);
        Ok(())
    }
}

/// The words before an interval where they are several and not in quotes: no host is a number.
fn name_in_pieces(words: &[Word]) -> Option<String> {
    let pieces = words
        .iter()
        .skip(1)
        .position(|word| values::interval(&word.text).is_some())?;
    let name = &words[..=pieces];
    let parted = name.len() > 1 && name.iter().all(|word| !word.quoted);
    parted.then(|| {
        let texts: Vec<&str> = name.iter().map(|word| word.text.as_str()).collect();
        texts.join(" ")
    })
}

/// `plugins ID …`: the chain, in order.
pub(super) fn plugins(draft: &mut Draft, args: &Args<'_>) {
    let mut chain: Vec<String> = Vec::new();
    for id in lists::parts(draft, args) {
        let id = id.to_lowercase();
        if chain.contains(&id) {
            let text = format!("plugins names {id} twice; its first place in the chain counts");
            draft.notice(Level::Warn, args.at, &text);
        } else {
            chain.push(id);
        }
    }
    if !chain.is_empty() {
        draft.config.plugins = Some(chain);
    }
}

/// C gmetad never takes the owner's own rights away, and reads digits without a leading 0 as
/// decimal; the first is kept, the second told.
pub(super) fn umask(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let mask = args.one(values::umask)?;
    let written = args.at_least_one()?[0].text.as_str();
    if !written.starts_with('0') {
        let text = format!("umask {written} is read as octal; write 0{written} to have it so");
        draft.notice(Level::Warn, args.at, &text);
    }
    draft.config.umask = mask & 0o077;
    if draft.config.umask != mask {
        let text = format!("umask {written} would shut gmetad out; its own rights are left alone");
        draft.notice(Level::Warn, args.at, &text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use crate::testing::{Memory, config, defaults, notices, refusal};
    use crate::{Config, ConfigErrors, DEFAULT_RRAS, GMETAD_PYTHON_RRAS, Overrides, parse};
    use gmetad_core::source::{HostPort, SourceConfig};
    use gmetad_core::trust::TrustEntry;

    fn place(host: &str, port: u16) -> HostPort {
        HostPort {
            host: host.into(),
            port,
        }
    }

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
    fn a_source_has_a_name_an_interval_and_hosts() {
        let config = config(
            "data_source \"my cluster\" 10 localhost my.machine.example:8655 [::1]:8650\n\
             DATA_SOURCE other 192.0.2.1\n\
             data_source 'third' 192.0.2.1 localhost",
        );
        let source = |name: &str, seconds, hosts: &[HostPort]| SourceConfig {
            name: name.into(),
            interval: Duration::from_secs(seconds),
            hosts: hosts.to_vec(),
        };
        assert_eq!(
            config.sources,
            [
                source(
                    "my cluster",
                    10,
                    &[
                        place("localhost", 8649),
                        place("my.machine.example", 8655),
                        place("::1", 8650)
                    ]
                ),
                source("other", 15, &[place("192.0.2.1", 8649)]),
                source(
                    "third",
                    15,
                    &[place("192.0.2.1", 8649), place("localhost", 8649)]
                ),
            ]
        );
    }

    #[test]
    fn a_source_may_have_any_number_of_hosts() {
        let hosts: Vec<String> = (0..2000).map(|number| format!("node{number}")).collect();
        let config = config(&format!("data_source big {}", hosts.join(" ")));
        assert_eq!(config.sources[0].hosts.len(), 2000);
    }

    #[test]
    fn a_source_without_a_host_is_refused() {
        let hint = |name| {
            format!(
                "g.conf:1: data_source \"{name}\" has no host; write at least one, as in \
                 data_source \"{name}\" localhost"
            )
        };
        assert_eq!(refusal("data_source \"my cluster\""), [hint("my cluster")]);
        assert_eq!(refusal("data_source a 15"), [hint("a")]);
        assert_eq!(
            refusal("data_source"),
            ["g.conf:1: data_source has no value; it takes a name, seconds if not 15, and hosts"]
        );
        assert_eq!(
            refusal("data_source \"\" localhost"),
            [
                "g.conf:1: data_source: \"\" is empty; write something between the quotes, or take \
              the line out"
            ]
        );
    }

    #[test]
    fn a_sources_name_used_twice_is_refused() {
        assert_eq!(
            refusal("data_source a localhost\n\ndata_source a other\n"),
            ["g.conf:3: data_source \"a\" is there already, at g.conf:1; give each its own name"]
        );
        assert_eq!(config("data_source a h\ndata_source A h").sources.len(), 2);
    }

    #[test]
    fn every_bad_host_of_a_source_is_told() {
        assert_eq!(
            refusal(
                "data_source a 0 localhost\ndata_source b x:99999 ok y:\ndata_source c 10.0.0.300 a;b"
            ),
            [
                "g.conf:1: data_source \"a\": \"0\" is not an interval; give seconds from 1 to \
                 31536000",
                "g.conf:2: data_source \"b\": \"x:99999\" is not a port; give a number from 1 to \
                 65535",
                "g.conf:2: data_source \"b\": \"y:\" is not a port; give a number from 1 to 65535",
                "g.conf:3: data_source \"c\": \"10.0.0.300\" is not an address; one has four \
                 numbers from 0 to 255, as in 192.0.2.1",
                "g.conf:3: data_source \"c\": \"a;b\" is not a host; give an address or a name of \
                 letters, digits, \"-\", \"_\" and \".\", with spaces between hosts",
            ]
        );
    }

    #[test]
    fn what_is_no_host_is_passed_over_where_others_are() {
        let text = "data_source a <ip> ok [1]:2";
        assert_eq!(config(text).sources[0].hosts, [place("ok", 8649)]);
        assert_eq!(
            notices(text),
            [
                "WARN g.conf:1: data_source \"a\": \"<ip>\" is not a host; give an address or a \
                 name of letters, digits, \"-\", \"_\" and \".\", with spaces between hosts; the \
                 others are asked",
                "WARN g.conf:1: data_source \"a\": \"[1]:2\" is not an IPv6 address; write it as in \
                 2001:db8::1, and a port as in [2001:db8::1]:8649; the others are asked",
            ]
        );
    }

    #[test]
    fn commas_part_hosts_and_are_told() {
        let commas = "data_source \"x\" 10, h1:8649,h2 ,h3,";
        assert_eq!(
            config(commas).sources,
            config("data_source \"x\" 10 h1:8649 h2 h3").sources
        );
        let said = "WARN g.conf:1: data_source is read with blanks in place of its commas; write \
                    blanks";
        assert_eq!(notices(commas), [said]);
    }

    #[test]
    fn the_same_source_twice_is_polled_once() {
        let text = "data_source x localhost\ndata_source \"x\" 15 localhost:8649";
        assert_eq!(config(text).sources.len(), 1);
        assert_eq!(
            notices(text),
            ["WARN g.conf:2: data_source \"x\" is there already, at g.conf:1; it is polled once"]
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
                "WARN g.conf:2: rrd_rootdir takes a folder; \"/b\" is ignored",
                "WARN g.conf:3: xml_port is read as 8661; take the comma out",
                "WARN g.conf:4: scalable takes on or off; \"on\" is ignored",
                "WARN g.conf:4: scalable is read as off; take the comma out",
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
    fn setuid_off_wins_over_the_users_name_wherever_it_stands() {
        assert_eq!(
            config("setuid off\nsetuid_username x").setuid_username,
            None
        );
        assert_eq!(
            config("setuid_username x\nsetuid off").setuid_username,
            None
        );
        assert_eq!(
            config("setuid on").setuid_username.as_deref(),
            Some("nobody")
        );
    }

    #[test]
    fn a_umask_leaves_the_owner_alone_and_says_what_it_is_read_as() {
        assert_eq!(config("umask 0").umask, 0);
        assert_eq!(config("umask 0777").umask, 0o077);
        assert!(
            notices("umask 0777\ndata_source a b").contains(
                &"WARN g.conf:1: umask 0777 would shut gmetad out; its own rights are left alone"
                    .into()
            )
        );
        assert_eq!(config("umask 27").umask, 0o027);
        assert_eq!(
            notices("umask 27\ndata_source a b"),
            ["WARN g.conf:1: umask 27 is read as octal; write 027 to have it so"]
        );
    }

    #[test]
    fn the_rrd_section_wins_over_top_level_wherever_it_stands() {
        let text = "rrd {\n rras \"RRA:LAST:0.5:1:2\" RRA:MIN:0:1:3\n RRD_rootdir \"/section\"\n \
                    write_timeout 300\n}\nrrd_rootdir /top\nRRAs RRA:MAX:0:1:4\n";
        let config = config(text);
        assert_eq!(config.rrd.rootdir, Path::new("/section"));
        assert_eq!(config.rrd.rras, ["RRA:LAST:0.5:1:2", "RRA:MIN:0:1:3"]);
        // The plugin sees all of it, our two included.
        assert_eq!(config.section("RRD").expect("kept").directives.len(), 3);
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
                    .any(|it| it.contains("new files get gmetad-python's")),
                "{said:?}"
            );
        }
        let given = "plugins_dir /p\nRRAs RRA:MAX:0:2:3\nrrd {}";
        assert_eq!(rras(given), ["RRA:MAX:0:2:3"]);
        assert_eq!(notices(&format!("{given}\ndata_source a b")), [""; 0]);
    }

    #[test]
    fn the_rrd_section_is_checked_where_it_is_ours() {
        assert_eq!(
            refusal("rrd {\n RRAs\n rrd_rootdir rrds\n RRAs RRA:AVERAGE:0.5:1\n RRAs x\n x 'y\n}"),
            [
                "g.conf:3: rrd_rootdir: \"rrds\" is not an absolute path; start it with /, since \
                 the daemon leaves its folder",
                "g.conf:4: RRAs: \"RRA:AVERAGE:0.5:1\" is not an RRA; write \
                 RRA:CF:XFF:STEPS:ROWS, as in RRA:AVERAGE:0.5:1:244",
                "g.conf:5: RRAs: \"x\" is not an RRA; write RRA:CF:XFF:STEPS:ROWS, as in \
                 RRA:AVERAGE:0.5:1:244",
            ]
        );
    }

    #[test]
    fn a_name_in_several_words_without_quotes_is_told_as_that() {
        let said = "g.conf:1: data_source: a name of several words stands in quotes, as in \
                    data_source \"my cluster\"";
        for text in [
            "data_source my cluster 10 node1",
            "data_source my cluster 10",
        ] {
            assert_eq!(refusal(text), [said], "{text}");
        }
        for text in [
            "data_source \"my cluster\" 10 node1",
            "data_source my 10 node1 node2",
            "data_source 1 2 node1",
        ] {
            assert!(!config(text).sources.is_empty(), "{text}");
        }
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
                "WARN g.conf:3: unknown directive write_timout of rrd is ignored; is write_timeout \
                 meant?",
                "WARN g.conf:6: unknown directive x of rrdsummary is ignored",
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
            ["WARN g.conf:6: write_timeout is there already, at g.conf:3; this one counts"]
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
            ["WARN g.conf:3: xml_port is there already, at g.conf:2; this one counts"]
        );
    }

    #[test]
    fn a_name_of_several_words_wants_quotes() {
        let text = "data_source a b\ngridname My Grid";
        assert_eq!(config(text).gridname, "My Grid");
        assert_eq!(
            notices(text),
            ["WARN g.conf:2: gridname is taken as \"My Grid\"; put it in quotes"]
        );
    }

    #[test]
    fn values_that_cannot_be_used_are_all_told_with_what_would_be_right() {
        let port = "is not a port; give a number from 1 to 65535, or 0 to let the system choose";
        let toggle = "is neither on nor off; give on, off, true, false, yes, no, 1 or 0";
        let path = "is not an absolute path; start it with /, since the daemon leaves its folder";
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
                "server_threads: \"many\" is not a number; give one from 0 up",
            ),
            (
                "debug_level debug",
                "debug_level: \"debug\" is not a level; give 0 for fatal, 1 critical, 2 error, 3 \
                 warning, 4 info, 5 or more for debug",
            ),
            (
                "umask rwx",
                "umask: \"rwx\" is not a umask; give octal digits, as in 022 or 077",
            ),
            (
                "bind_address localhost",
                "bind_address: \"localhost\" is not an address; give one of this machine's own, \
                 as in 192.0.2.1 or ::1",
            ),
            (
                "trusted_hosts 10.0.0.0/33",
                "trusted_hosts: \"10.0.0.0/33\" is not a block of addresses; give a prefix of 0 \
                 to 32 bits for IPv4, as in 192.0.2.0/24, and of 0 to 128 for IPv6, as in \
                 2001:db8::/32",
            ),
            (
                "RRAs RRA:AVG:0.5:1:2",
                "RRAs: \"RRA:AVG:0.5:1:2\" has no usable consolidation function; give AVERAGE, \
                 MIN, MAX or LAST",
            ),
            (
                "RRAs RRA:MAX:1:1:2",
                "RRAs: \"RRA:MAX:1:1:2\" has no usable XFF, the third field; give a number from 0 \
                 up to, but not, 1",
            ),
            (
                "RRAs RRA:MAX:0:0:2",
                "RRAs: \"RRA:MAX:0:0:2\" has no usable STEPS or ROWS, the last two fields; give \
                 whole numbers from 1 up",
            ),
            (
                "setuid_username \"\"",
                "setuid_username: \"\" is empty; write something between the quotes, or take the \
                 line out",
            ),
            (
                "umask 022 027",
                "umask takes octal digits, as in 022; \"027\" is too much",
            ),
            ("authority", "authority has no value; it takes a URL"),
            ("xml_port 1 2", "xml_port takes a port; \"2\" is too much"),
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
