//! Values as they are written in a configuration file: what the table shows its directives by.
//!
//! What is written here is read again as the same value.

use std::fmt::Display;
use std::path::PathBuf;

use gmetad_core::source::SourceConfig;
use gmetad_core::summary::{Pattern, SummaryFilter};

use super::ExportConfig;

/// One value.
pub(super) fn one(value: impl Display) -> Vec<String> {
    vec![word(&value.to_string())]
}

/// Any number of values in one line; no line for none.
pub(super) fn list<T: Display>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    let words = values.into_iter().map(|value| word(&value.to_string()));
    let words: Vec<String> = words.collect();
    if words.is_empty() {
        Vec::new()
    } else {
        vec![words.join(" ")]
    }
}

/// As [`list`], of a path.
pub(super) fn paths(path: Option<&PathBuf>) -> Vec<String> {
    list(path.map(|path| path.display()))
}

pub(super) fn toggle(is_on: bool) -> Vec<String> {
    one(if is_on { "on" } else { "off" })
}

pub(super) fn protocol(is_udp: bool) -> Vec<String> {
    one(if is_udp { "udp" } else { "tcp" })
}

pub(super) fn source(source: &SourceConfig) -> String {
    let seconds = source.interval.as_secs();
    let hosts: Vec<String> = source.hosts.iter().map(ToString::to_string).collect();
    format!("{} {seconds} {}", quoted(&source.name), hosts.join(" "))
}

pub(super) fn unsummarized(filter: &SummaryFilter) -> Vec<String> {
    names(&filter.without_prefixes, &filter.without_matching)
}

pub(super) fn summarized(filter: &SummaryFilter) -> Vec<String> {
    names(&filter.only, &filter.only_matching)
}

/// One a line, as each has a place of its own.
pub(super) fn rules(filter: &SummaryFilter) -> Vec<String> {
    let rules = filter.rules.iter();
    rules
        .map(|rule| format!("{} {}", rule.verdict, word(&rule.names.to_string())))
        .collect()
}

pub(super) fn memcached(exports: &ExportConfig) -> Vec<String> {
    let servers = exports.memcached.iter();
    let options: Vec<String> = servers.map(|it| format!("--SERVER={it}")).collect();
    whole(&options.join(" "))
}

pub(super) fn attributes(exports: &ExportConfig) -> Vec<String> {
    let pairs = exports.riemann_attributes.iter();
    let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
    whole(&pairs.join(","))
}

fn names(texts: &[String], patterns: &[Pattern]) -> Vec<String> {
    let patterns = patterns.iter().map(ToString::to_string);
    list(texts.iter().cloned().chain(patterns))
}

fn whole(text: &str) -> Vec<String> {
    if text.is_empty() {
        Vec::new()
    } else {
        vec![quoted(text)]
    }
}

/// A word, in quotes where it would not be read as one without.
pub(super) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._:/%+-=[]@".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.into()
    } else {
        quoted(text)
    }
}

/// A word in quotes.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}
