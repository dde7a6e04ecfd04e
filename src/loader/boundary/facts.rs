//! The configuration as a plugin may ask for it: names and values, as text that stays in place.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use gmetad_plugin::abi;

use gmetad_config::{Config, Section};

/// The whole configuration; kept until the process ends.
#[derive(Default)]
pub(crate) struct Facts {
    pub(super) settings: Vec<(Cow<'static, str>, String)>,
    pub(super) sources: Vec<SourceFacts>,
    pub(super) sections: Vec<SectionFacts>,
}

/// A data_source.
pub(super) struct SourceFacts {
    pub(super) name: String,
    pub(super) interval: Duration,
    /// As `host:port`.
    pub(super) hosts: Vec<String>,
}

/// A section, line by line.
pub(super) struct SectionFacts {
    id: String,
    directives: Vec<abi::Directive>,
    /// What the directives point into: name, value and file of each.
    text: Vec<[String; 3]>,
}

// SAFETY: nothing in it ever changes, and it owns what the pointers point to.
unsafe impl Sync for Facts {}

impl Facts {
    pub(crate) fn of(config: &Config) -> Facts {
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
        let lines = section.directives.iter().map(|it| {
            let file = it.line.file.display().to_string();
            let texts = [it.name.clone(), it.value.clone(), file];
            (texts, it.line.line as u64)
        });
        SectionFacts::new(section.id.clone(), lines.collect())
    }

    /// Each line is its name, its value, its file, and its number there.
    pub(super) fn new(id: String, lines: Vec<([String; 3], u64)>) -> SectionFacts {
        let (text, numbers): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
        let directives = text.iter().zip(numbers);
        let directives = directives.map(|([name, value, file], line)| abi::Directive {
            name: abi::Text::of(name),
            value: abi::Text::of(value),
            file: abi::Text::of(file),
            line,
        });
        SectionFacts {
            id,
            directives: directives.collect(),
            text,
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// As [`SectionFacts::new`] takes them.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&[String; 3], u64)> {
        let numbers = self.directives.iter().map(|it| it.line);
        self.text.iter().zip(numbers)
    }
}

/// Where the configuration is, and what it sets outside of sections but data_source.
fn settings(config: &Config) -> Vec<(Cow<'static, str>, String)> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|it| it.display().to_string());
    let files = [
        ("conf", path(&config.path)),
        ("pid_file", path(&config.pid_file)),
    ];
    let files = files
        .into_iter()
        .filter_map(|(name, file)| Some((name, file?)));
    let all = files.chain(gmetad_config::settings(config));
    all.map(|(name, value)| (name.into(), value)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::text::text;
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
