//! Names in the configuration that no plugin answers to: sections, and words of `plugins`.
//!
//! One rule and one wording for the start, which has loaded the plugins, and for `gmetad -t`, which
//! has only looked at their files.

use gmetad_config::{Config, meant};
use gmetad_core::plugin::Plugin;

use super::file_name;
use super::parts::export::{EXPORTS, ListedExport, Switch};

/// Built-in plugins with a section that are no exports. All are always there but `alert`, which
/// exists only with its section.
const WITH_SECTION: [&str; 3] = ["alert", "rrd", "rrdsummary"];

/// What is known of the plugins in the files of plugins_dir.
pub trait PluginFiles {
    /// Names of the files whose plugin has this id.
    fn with_id(&self, id: &str) -> Vec<String>;
    /// Whether a plugin is in the file of this name.
    fn has_file(&self, name: &str) -> bool;
}

/// The plugins that there are.
impl PluginFiles for [Box<dyn Plugin>] {
    fn with_id(&self, id: &str) -> Vec<String> {
        let with_id = self.iter().filter(|it| it.id().eq_ignore_ascii_case(id));
        with_id.filter_map(|it| it.file().map(file_name)).collect()
    }

    fn has_file(&self, name: &str) -> bool {
        let mut files = self.iter().filter_map(|it| it.file());
        files.any(|file| file_name(file) == name)
    }
}

/// A name that does nothing: a line that says why, and what may have been meant.
#[derive(Debug, PartialEq, Eq)]
pub enum UnusedName {
    /// Nobody reads the section.
    Section(String),
    /// A word of `plugins` brings no plugin.
    Word(String),
}

/// All names that do nothing: sections first, then words of `plugins`.
pub fn unused_names(config: &Config, files: &(impl PluginFiles + ?Sized)) -> Vec<UnusedName> {
    let sections = config.sections.iter();
    let sections = sections.filter_map(|it| why_section_is_unused(&it.id, config, files));
    let words = config.plugins.iter().flatten();
    let words = words.filter_map(|word| why_word_is_unused(word, config, files));
    let sections = sections.map(UnusedName::Section);
    sections.chain(words.map(UnusedName::Word)).collect()
}

fn why_section_is_unused(
    id: &str,
    config: &Config,
    files: &(impl PluginFiles + ?Sized),
) -> Option<String> {
    let in_files = files.with_id(id);
    if in_files.is_empty() && !is_one_of(id, with_section()) {
        let hint = meant(id, with_section());
        let why = match directive_of(id) {
            Some(directive) => {
                format!("the built-in plugin {id} has none; {directive} stands outside of sections")
            }
            None => format!("{}{hint}", nobody(config)),
        };
        return Some(format!("section {id} is ignored: {why}"));
    }
    let names = config.plugins.as_ref()?;
    let is_in_chain = names
        .iter()
        .any(|name| name.eq_ignore_ascii_case(id) || in_files.contains(name));
    (!is_in_chain)
        .then(|| format!("section {id} is ignored: the directive plugins does not name {id}"))
}

fn why_word_is_unused(
    word: &str,
    config: &Config,
    files: &(impl PluginFiles + ?Sized),
) -> Option<String> {
    if files.has_file(word) || !files.with_id(word).is_empty() {
        return None;
    }
    let begins = format!("plugins: {word} is ignored");
    if let Some(export) = export(word) {
        let missing = match export.switch() {
            Switch::Directive(directive) => format!("{directive} is not set"),
            Switch::Section => format!("there is no section {}", export.id()),
        };
        return (!export.is_configured(config)).then(|| format!("{begins}: {missing}"));
    }
    if word.eq_ignore_ascii_case("alert") {
        let is_there = config.alert.is_some();
        return (!is_there).then(|| format!("{begins}: there is no section alert"));
    }
    if is_one_of(word, WITH_SECTION.into_iter()) {
        return None;
    }
    let built_in = WITH_SECTION.into_iter();
    let hint = meant(word, built_in.chain(EXPORTS.iter().map(ListedExport::id)));
    Some(format!("{begins}: {}{hint}", nobody(config)))
}

fn is_one_of(id: &str, mut ids: impl Iterator<Item = &'static str>) -> bool {
    ids.any(|it| it.eq_ignore_ascii_case(id))
}

/// Built-in plugins that have a section.
fn with_section() -> impl Iterator<Item = &'static str> {
    let exports = EXPORTS.iter().filter(|it| it.switch() == Switch::Section);
    WITH_SECTION
        .into_iter()
        .chain(exports.map(ListedExport::id))
}

fn export(id: &str) -> Option<&'static ListedExport> {
    EXPORTS.iter().find(|it| it.id().eq_ignore_ascii_case(id))
}

/// The directive outside of sections that asks for an export.
fn directive_of(id: &str) -> Option<&'static str> {
    match export(id)?.switch() {
        Switch::Directive(directive) => Some(directive),
        Switch::Section => None,
    }
}

/// Says that a name was not found, and where it was looked for.
fn nobody(config: &Config) -> String {
    match &config.plugins_dir {
        Some(folder) => format!(
            "no plugin has that name, built in or in {}",
            folder.display()
        ),
        None => "no built-in plugin has that name, and plugins_dir is not set".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gmetad_config::{Disk, Overrides, parse};

    use super::*;

    /// Files, and the ids of their plugins.
    struct Files(&'static [(&'static str, &'static str)]);

    impl PluginFiles for Files {
        fn with_id(&self, id: &str) -> Vec<String> {
            let with_id = self.0.iter().filter(|(_, it)| it.eq_ignore_ascii_case(id));
            with_id.map(|(file, _)| (*file).to_owned()).collect()
        }

        fn has_file(&self, name: &str) -> bool {
            self.0.iter().any(|(file, _)| *file == name)
        }
    }

    fn said(text: &str, files: &'static [(&'static str, &'static str)]) -> Vec<String> {
        let parsed = parse(
            text.as_bytes(),
            Path::new("g.conf"),
            &Disk,
            &Overrides::default(),
            "h",
        );
        let unused = unused_names(&parsed.expect("sound").config, &Files(files));
        let text = |it| match it {
            UnusedName::Section(text) | UnusedName::Word(text) => text,
        };
        unused.into_iter().map(text).collect()
    }

    #[test]
    #[cfg_attr(not(feature = "export"), ignore = "needs the feature export")]
    fn a_section_that_no_plugin_reads_is_told_with_what_was_meant() {
        assert_eq!(
            said("alrt {\n}\nrrdsummary {\n}\ncarbon {\n}", &[]),
            [
                "section alrt is ignored: no built-in plugin has that name, and plugins_dir is not \
                 set; did you mean alert?",
                "section carbon is ignored: the built-in plugin carbon has none; carbon_server \
                 stands outside of sections",
            ]
        );
        let conf = "plugins_dir /p\nmine {\n}\nother {\n}\ncarbon {\n}";
        let files = &[("a.so", "Mine"), ("carbon.py", "carbon")];
        assert_eq!(
            said(conf, files),
            ["section other is ignored: no plugin has that name, built in or in /p"]
        );
    }

    #[test]
    fn a_section_whose_plugin_is_not_in_the_chain_is_told() {
        let conf = "plugins_dir /p\nmine {\n}\nrrd {\n}\nplugins";
        let files = &[("a.so", "mine"), ("b.so", "other")];
        assert_eq!(said(&format!("{conf} RRD a.so"), files), [""; 0]);
        assert_eq!(said(&format!("{conf} rrd mine"), files), [""; 0]);
        assert_eq!(
            said(&format!("{conf} b.so"), files),
            [
                "section mine is ignored: the directive plugins does not name mine",
                "section rrd is ignored: the directive plugins does not name rrd",
            ]
        );
    }

    #[test]
    #[cfg_attr(not(feature = "export"), ignore = "needs the feature export")]
    fn a_word_of_plugins_that_brings_none_is_told_with_what_to_do() {
        assert_eq!(
            said("plugins rrd alert carbon memcache no.py", &[]),
            [
                "plugins: alert is ignored: there is no section alert",
                "plugins: carbon is ignored: carbon_server is not set",
                "plugins: memcache is ignored: no built-in plugin has that name, and plugins_dir is \
                 not set; did you mean memcached?",
                "plugins: no.py is ignored: no built-in plugin has that name, and plugins_dir is \
                 not set",
            ]
        );
        let rule = "alert {\nmetricrule a \"$val > 1\" m\n}\ncarbon_server c";
        let conf = format!("{rule}\nplugins_dir /p\nplugins carbon ALERT a.so mine x");
        assert_eq!(
            said(&conf, &[("a.so", "mine")]),
            ["plugins: x is ignored: no plugin has that name, built in or in /p"]
        );
    }
}
