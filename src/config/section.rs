//! The section of an export, read directive by directive.
//!
//! Strict, as only the export's own directives stand there: one that is unknown or repeated is an
//! error.

use std::path::PathBuf;
use std::time::Duration;

use gmetad_core::plugin::{Directive, PluginError};
use gmetad_core::source::HostPort;
use gmetad_core::summary::SummaryFilter;

use super::config::{Config, Section};
use super::hint::meant;
use super::reader::is_remark;
use super::rules;
use super::values::{self, Fault};
use super::words::split_value_mended;

/// `HOST` or `HOST:PORT`. What is wrong is told in words.
pub fn host_port(text: &str, default_port: u16) -> Result<HostPort, String> {
    values::host_port(text, default_port).map_err(|fault| format!("\"{text}\" {fault}"))
}

/// A section of which some directives have been read.
pub struct ExportSection<'a> {
    id: &'a str,
    left: Vec<&'a Directive>,
    known: Vec<&'static str>,
}

impl Config {
    /// The section of the export of this id, if there is one.
    pub fn export_section(&self, id: &str) -> Option<ExportSection<'_>> {
        let section = self.section(id)?;
        Some(ExportSection::of(section, &section.directives))
    }

    /// Each section of the export of this id, for one that may have several.
    pub fn export_sections(&self, id: &str) -> Vec<ExportSection<'_>> {
        let of_section = |section| {
            let blocks = Section::blocks(section);
            blocks.map(move |block| ExportSection::of(section, block))
        };
        self.section(id).into_iter().flat_map(of_section).collect()
    }
}

impl<'a> ExportSection<'a> {
    fn of(section: &'a Section, directives: &'a [Directive]) -> ExportSection<'a> {
        let directives = directives.iter();
        ExportSection {
            id: &section.id,
            left: directives.filter(|it| !is_remark(&it.name)).collect(),
            known: Vec::new(),
        }
    }
}

impl ExportSection<'_> {
    /// A server that must be given, as `HOST` or `HOST:PORT`.
    pub fn server(
        &mut self,
        name: &'static str,
        default_port: u16,
    ) -> Result<HostPort, PluginError> {
        let server = self.value(name, |text| host_port(text, default_port))?;
        server.ok_or_else(|| {
            PluginError::Failed(format!(
                "section {} has no {name}; write {name} HOST or {name} HOST:PORT",
                self.id
            ))
        })
    }

    /// A word, or a text in quotes.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, PluginError> {
        self.value(name, |text| Ok(text.to_owned()))
    }

    /// On or off.
    pub fn toggle(&mut self, name: &'static str) -> Result<Option<bool>, PluginError> {
        self.one(name, values::toggle)
    }

    /// Seconds, at least one.
    pub fn seconds(&mut self, name: &'static str) -> Result<Option<Duration>, PluginError> {
        self.one(name, values::client_time)
    }

    /// Megabytes, in bytes.
    pub fn megabytes(&mut self, name: &'static str) -> Result<Option<usize>, PluginError> {
        self.one(name, values::megabytes)
    }

    /// A path from the root.
    pub fn path(&mut self, name: &'static str) -> Result<Option<PathBuf>, PluginError> {
        self.one(name, values::path)
    }

    fn one<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Result<Option<T>, PluginError> {
        self.value(name, |text| {
            read(text).map_err(|fault| format!("\"{text}\" {fault}"))
        })
    }

    /// Rules about names, in order: `include` or `exclude`, then names and `/expressions/`.
    pub fn rules(&mut self, name: &'static str) -> Result<SummaryFilter, PluginError> {
        let rules = self.each(name, rules::rules)?;
        Ok(SummaryFilter {
            rules: rules.into_iter().flatten().collect(),
            ..SummaryFilter::default()
        })
    }

    /// Reads a directive that may be repeated and takes several words.
    pub fn each<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&[&str]) -> Result<T, String>,
    ) -> Result<Vec<T>, PluginError> {
        self.known.push(name);
        let is_named = |it: &&Directive| it.name.eq_ignore_ascii_case(name);
        let (named, left) = std::mem::take(&mut self.left)
            .into_iter()
            .partition(is_named);
        self.left = left;
        let named: Vec<&Directive> = named;
        let read = |directive: &&Directive| {
            let (words, mended) = split_value_mended(&directive.value);
            let words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            mended
                .map_or_else(|| read(&words), |mended| Err(mended.to_string()))
                .map_err(|reason| error(directive, reason))
        };
        named.iter().map(read).collect()
    }

    /// Reads a directive that takes one value. `read` says what is wrong with it.
    pub fn value<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, PluginError> {
        self.known.push(name);
        let is_named = |it: &&Directive| it.name.eq_ignore_ascii_case(name);
        let Some(place) = self.left.iter().position(is_named) else {
            return Ok(None);
        };
        let directive = self.left.remove(place);
        if let Some(second) = self.left.iter().find(|it| is_named(it)) {
            let first = &directive.line;
            return Err(error(second, format!("is set twice (first at {first})")));
        }
        let (words, mended) = split_value_mended(&directive.value);
        let value = match (&words[..], mended) {
            (_, Some(mended)) => Err(mended.to_string()),
            ([word], None) => read(&word.text),
            _ => Err("takes one value; put several words in quotes".into()),
        };
        value.map(Some).map_err(|reason| error(directive, reason))
    }

    /// Ends reading: nothing may be left.
    pub fn finish(self) -> Result<(), PluginError> {
        match self.left.first() {
            None => Ok(()),
            Some(left) => {
                let hint = meant(&left.name, self.known.into_iter());
                let reason = format!("section {} has no such directive{hint}", self.id);
                Err(error(left, reason))
            }
        }
    }
}

fn error(directive: &Directive, reason: String) -> PluginError {
    PluginError::Directive {
        at: directive.line.clone(),
        name: directive.name.clone(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::config;

    type Read = (HostPort, Option<String>);

    fn read(text: &str) -> Result<Option<Read>, String> {
        let config = config(text);
        let Some(mut section) = config.export_section("toy") else {
            return Ok(None);
        };
        let read = |section: &mut ExportSection<'_>| {
            Ok((section.server("server", 7)?, section.text("prefix")?))
        };
        read(&mut section)
            .and_then(|read| section.finish().map(|()| Some(read)))
            .map_err(|error: PluginError| error.to_string())
    }

    #[test]
    fn directives_are_read_by_name_in_any_order() {
        assert_eq!(read("carbon_server a"), Ok(None));
        let (server, prefix) = read("Toy {\n # remark\n Prefix \"a b\"\n server h:1\n}")
            .unwrap()
            .unwrap();
        assert_eq!(
            (server.to_string(), prefix),
            ("h:1".into(), Some("a b".into()))
        );
        let (server, prefix) = read("toy {\nserver [::1]\n}").unwrap().unwrap();
        assert_eq!((server.to_string(), prefix), ("[::1]:7".into(), None));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_what_to_do() {
        for (lines, told) in [
            (
                "prefix x",
                "section toy has no server; write server HOST or server HOST:PORT",
            ),
            (
                "server h:0",
                "g.conf:2: server: \"h:0\" is not a port; give a number from 1 to 65535",
            ),
            (
                "server h\nserver i",
                "g.conf:3: server: is set twice (first at g.conf:2)",
            ),
            (
                "server h\nprefx x",
                "g.conf:3: prefx: section toy has no such directive; did you mean prefix?",
            ),
            (
                "server h\nprefix a b",
                "g.conf:3: prefix: takes one value; put several words in quotes",
            ),
        ] {
            assert_eq!(read(&format!("toy {{\n{lines}\n}}")), Err(told.into()));
        }
    }
}
