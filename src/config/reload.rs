//! What a changed configuration changes while the daemon runs, and what it cannot change.
//!
//! No I/O: two configurations in, a plan out. The event loop carries it out. When a directive takes
//! effect is in its entry in `directives`.

use std::collections::HashMap;

use super::config::{Config, Section};
use super::directives::settings;
use super::draft::{Effect, Known};
use gmetad_core::source::SourceConfig;

/// The changes from one configuration to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// What the daemon runs by from now on: the new configuration, with the old values of what only
    /// a start can change.
    pub config: Config,
    /// Sources that are no longer polled, by name.
    pub removed: Vec<String>,
    /// Sources with another interval or other hosts.
    pub changed: Vec<SourceConfig>,
    /// Sources that are new.
    pub added: Vec<SourceConfig>,
    /// The remaining sources are in another order.
    pub reordered: bool,
    /// Directives whose new value takes effect now.
    pub applied: Vec<&'static str>,
    /// Directives and sections whose new value takes effect at the next start.
    pub later: Vec<String>,
}

impl Changes {
    /// Whether a directive has a new value that takes effect now.
    pub fn has(&self, directive: &str) -> bool {
        self.applied.contains(&directive)
    }

    /// Whether nothing changes now.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty()
            && self.changed.is_empty()
            && self.added.is_empty()
            && !self.reordered
            && self.applied.is_empty()
    }
}

/// Compares the running configuration with what is written now.
pub fn plan(old: &Config, new: &Config) -> Changes {
    let mut config = old.clone();
    config.sources.clone_from(&new.sources);
    let (mut applied, mut later) = (Vec::new(), Vec::new());
    for known in changed_settings(old, new) {
        match known.effect {
            Effect::AtReload(copy) => {
                copy(&mut config, new);
                applied.push(known.name);
            }
            Effect::AtStart => later.push(known.name.to_owned()),
            Effect::None => {}
        }
    }
    later.extend(section_changes(&old.sections, &new.sections));
    let (before, after) = (by_name(&old.sources), by_name(&new.sources));
    let was = |source: &SourceConfig| before.get(source.name.as_str()).copied();
    let is_changed = |source: &&SourceConfig| was(source).is_some_and(|it| it != *source);
    let is_removed = |source: &&SourceConfig| !after.contains_key(source.name.as_str());
    let removed = old.sources.iter().filter(is_removed);
    let added = new.sources.iter().filter(|it| was(it).is_none());
    Changes {
        config,
        removed: removed.map(|source| source.name.clone()).collect(),
        changed: new.sources.iter().filter(is_changed).cloned().collect(),
        added: added.cloned().collect(),
        reordered: !those_in(&old.sources, &after).eq(those_in(&new.sources, &before)),
        applied,
        later,
    }
}

/// Directives with another value. One that completes another is left out if both differ.
fn changed_settings(old: &Config, new: &Config) -> Vec<&'static Known> {
    let differs = |known: &&Known| (known.lines)(old) != (known.lines)(new);
    let changed: Vec<&Known> = settings().filter(differs).collect();
    let is_changed = |name| changed.iter().any(|known| known.name == name);
    let is_told = |known: &&&Known| !known.completes.is_some_and(is_changed);
    changed.iter().filter(is_told).copied().collect()
}

/// Sections with other lines. Their place in the file does not matter.
fn section_changes<'a>(old: &'a [Section], new: &'a [Section]) -> impl Iterator<Item = String> {
    let lines = |sections: &'a [Section], id: &str| {
        let section = sections.iter().find(|section| section.id == id)?;
        let lines = section.directives.iter();
        let lines = lines.map(|line| (&line.name, &line.value));
        Some((lines.collect::<Vec<_>>(), &section.ends))
    };
    let removed = old
        .iter()
        .filter(move |section| lines(new, &section.id).is_none());
    let changed = new
        .iter()
        .filter(move |section| lines(old, &section.id) != lines(new, &section.id));
    changed
        .chain(removed)
        .map(|section| format!("section {}", section.id))
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
    use crate::testing::sample;
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
        for known in settings().filter(|known| !matches!(known.effect, Effect::None)) {
            let (name, value, beside) = sample(known.name);
            let line = format!("{name} {value}");
            let (old, new) = (beside, format!("{line}\n{beside}"));
            let plan = changes(old, &new);
            match known.effect {
                Effect::AtReload(_) => {
                    assert_eq!(plan.applied, [name], "{line}");
                    assert!(plan.has(name) && plan.later.is_empty());
                    assert_eq!(plan.config, config(&new), "{line}");
                }
                Effect::AtStart => {
                    assert_eq!(plan.later, [name], "{line}");
                    assert!(plan.is_empty(), "{line}");
                    assert_eq!(plan.config, config(old), "{line}: it goes on as it was");
                }
                Effect::None => unreachable!("filtered out"),
            }
        }
    }

    #[test]
    fn a_directive_that_completes_another_is_named_if_it_alone_changes() {
        let later = |old: &str, new: &str| changes(old, new).later;
        let server = "carbon_server x";
        let both = "carbon_server x\ncarbon_port 1";
        assert_eq!(later("", both), ["carbon_server"]);
        assert_eq!(later(server, both), ["carbon_port"]);
        assert_eq!(later(both, ""), ["carbon_server"]);
        assert_eq!(later("setuid off", "setuid_username x"), ["setuid"]);
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
