//! From lines and sections to a configuration: defaults, the table's directives, the command
//! line, and what they must be together.
//!
//! Lines come from the reader; what each directive sets stands in `table`.

use std::collections::HashMap;

use log::Level;

use super::exports::ExportDraft;
use super::reader::{Document, Line, SectionText};
use super::table::{Args, Known, RRD_SECTION, Repeat, Support, find, not_empty};
use super::values;
use super::words::{Word, split};
use super::{
    Config, ConfigError, DEFAULT_INTERVAL, DEFAULT_POLL_PORT, Directive, Loaded, Location, Notice,
    Problem, SourceConfig,
};
use crate::cli::Overrides;

/// The configuration on its way.
pub(super) struct Draft {
    pub(super) config: Config,
    pub(super) exports: ExportDraft,
    pub(super) setuid: bool,
    pub(super) setuid_username: String,
    /// Where each directive, or each source by name, was first given.
    given: HashMap<&'static str, Location>,
    sources: HashMap<String, Location>,
    notices: Vec<Notice>,
    errors: Vec<ConfigError>,
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
        notices: Vec::new(),
        errors: Vec::new(),
    };
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
                &format!("unknown directive {name} is ignored"),
            );
            return;
        };
        self.say_once(known, &line.at);
        self.apply(known, &line.words, &line.at);
    }

    fn apply(&mut self, known: &'static Known, words: &[Word], at: &Location) {
        if let Err(problem) = (known.apply)(self, &Args { known, words, at }) {
            self.errors.push(ConfigError {
                at: Some(at.clone()),
                problem,
            });
        }
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
        let text = match known.support {
            Support::Full => return,
            Support::NoEffect => format!("{name} is accepted and has no effect"),
            Support::Later => format!("{name} is accepted; its part is not in this version yet"),
        };
        self.notice(Level::Info, at, &text);
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
        match section.id.as_str() {
            "rrd" => self.rrd_section(&section.directives),
            "rrdsummary" => {}
            id => {
                let text = format!("section {id} is kept; no plugin in this version reads it yet");
                self.notice(Level::Info, &at, &text);
            }
        }
        self.config.sections.push(section);
    }

    fn rrd_section(&mut self, directives: &[Directive]) {
        for directive in directives {
            let ours = RRD_SECTION
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&directive.name));
            let Some(known) = find(&directive.name).filter(|_| ours) else {
                continue;
            };
            match split(&directive.value) {
                Ok(words) => self.apply(known, &words, &directive.line),
                Err(problem) => {
                    self.errors.push(ConfigError {
                        at: Some(directive.line.clone()),
                        problem,
                    });
                }
            }
        }
    }

    fn finish(mut self, overrides: &Overrides) -> (Loaded, Vec<ConfigError>) {
        let mut config = self.config;
        config.setuid_username = self.setuid.then_some(self.setuid_username);
        config.exports = self.exports.finish();
        config.apply(overrides);
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
            },
            self.errors,
        )
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
        if words.len() == 1 || words.iter().any(|word| word.quoted) {
            return args.one(not_empty);
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
    let (interval, hosts) = match words.get(1).and_then(|word| values::interval(&word.text)) {
        Some(interval) => {
            let in_source = |fault| Problem::Host {
                name: name.clone(),
                host: words[1].text.clone(),
                fault,
            };
            (interval.map_err(in_source)?, &words[2..])
        }
        None => (DEFAULT_INTERVAL, &words[1..]),
    };
    if let Some(first) = draft.sources.get(&name) {
        return Err(Problem::SourceTwice {
            name,
            first: first.clone(),
        });
    }
    draft.sources.insert(name.clone(), args.at.clone());
    if hosts.is_empty() {
        return Err(Problem::NoHost { name });
    }
    let mut usable = Vec::with_capacity(hosts.len());
    for host in hosts {
        match values::host_port(&host.text, DEFAULT_POLL_PORT) {
            Ok(place) => usable.push(place),
            // Every bad host is told, not the first alone.
            Err(fault) => draft.errors.push(ConfigError {
                at: Some(args.at.clone()),
                problem: Problem::Host {
                    name: name.clone(),
                    host: host.text.clone(),
                    fault,
                },
            }),
        }
    }
    draft.config.sources.push(SourceConfig {
        name,
        interval,
        hosts: usable,
    });
    Ok(())
}

/// `plugins ID …`: the chain, in order.
pub(super) fn plugins(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let mut chain: Vec<String> = Vec::new();
    for id in args.all(not_empty)? {
        let id = id.to_lowercase();
        if chain.contains(&id) {
            return Err(Problem::PluginTwice { id });
        }
        chain.push(id);
    }
    draft.config.plugins = Some(chain);
    Ok(())
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
