//! gmetad apart from the tree: its log and its configuration.
//!
//! Both may be used on any thread, at any time.
#![allow(unsafe_code)]

use std::fmt;
use std::time::Duration;

use crate::abi::{self, Api, Text, status};
use crate::{Error, abi::level};

/// Severity of a log line; the directive `debug_level` sets what is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The daemon ends.
    Fatal,
    /// Part of the work has stopped.
    Critical,
    /// Something that was asked for failed.
    Error,
    /// Something is wrong.
    Warning,
    /// Something has changed.
    Info,
    /// Details for developers.
    Debug,
}

/// The gmetad that loaded the plugin.
#[derive(Clone, Copy)]
pub struct Daemon {
    api: &'static Api,
}

// SAFETY: the table and what it points to never change. By the header, log and configuration may be
// used on any thread, and the other functions refuse other threads.
unsafe impl Send for Daemon {}
// SAFETY: as above.
unsafe impl Sync for Daemon {}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gmetad {}", self.version())
    }
}

/// A line of a section of gmetad.conf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// As written.
    pub name: String,
    /// The rest of the line as written, quotes included, without the comment.
    pub value: String,
    /// The file that it is in.
    pub file: String,
    /// Counted from 1.
    pub line: u64,
}

/// A data_source of gmetad.conf.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Not always the name of its cluster.
    pub name: String,
    /// Average time between two polls.
    pub interval: Duration,
    /// Each as `host:port`.
    pub hosts: Vec<String>,
}

impl Directive {
    /// The words of the value, separated by spaces; quotes group words and are removed.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut rest = self.value.trim_start();
        while let Some(first) = rest.chars().next() {
            let (word, after) = match first {
                '"' | '\'' => {
                    let inside = &rest[1..];
                    inside.split_once(first).unwrap_or((inside, ""))
                }
                _ => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
            };
            words.push(word.to_owned());
            rest = after.trim_start();
        }
        words
    }

    /// An error that names the line.
    pub fn error(&self, reason: impl fmt::Display) -> Error {
        format!("{}:{}: {}: {reason}", self.file, self.line, self.name).into()
    }

    fn of(raw: &abi::Directive) -> Directive {
        // SAFETY: text of the configuration stays in place until the process ends.
        let text = |text| unsafe { text_of(text) }.to_owned();
        Directive {
            name: text(raw.name),
            value: text(raw.value),
            file: text(raw.file),
            line: raw.line,
        }
    }

    /// # Safety
    /// `count` is the number of directives.
    pub(crate) unsafe fn list(first: *const abi::Directive, count: usize) -> Vec<Directive> {
        if first.is_null() || count == 0 {
            return Vec::new();
        }
        // SAFETY: the caller promises it.
        let raw = unsafe { std::slice::from_raw_parts(first, count) };
        raw.iter().map(Directive::of).collect()
    }
}

impl Daemon {
    /// # Safety
    /// The table is the one that the plugin was given.
    pub(crate) unsafe fn new(api: *const Api) -> Option<Daemon> {
        // SAFETY: by the header it stays in place until the process ends.
        unsafe { api.as_ref() }.map(|api| Daemon { api })
    }

    pub(crate) fn api(self) -> &'static Api {
        self.api
    }

    /// Its version, such as `0.1.0`.
    pub fn version(self) -> &'static str {
        // SAFETY: by the header it stays in place until the process ends.
        unsafe { text_of(self.api.version) }
    }

    /// Logs a line, with the plugin's name in front.
    pub fn log(self, severity: Level, line: impl fmt::Display) {
        let number = match severity {
            Level::Fatal => level::FATAL,
            Level::Critical => level::CRITICAL,
            Level::Error => level::ERROR,
            Level::Warning => level::WARNING,
            Level::Info => level::INFO,
            Level::Debug => level::DEBUG,
        };
        let line = line.to_string();
        // SAFETY: the table is gmetad's, the line outlives the call.
        unsafe { (self.api.log)(self.api, number, Text::of(&line)) };
    }

    /// Something that was asked for failed.
    pub fn error(self, line: impl fmt::Display) {
        self.log(Level::Error, line);
    }

    /// Something is wrong.
    pub fn warning(self, line: impl fmt::Display) {
        self.log(Level::Warning, line);
    }

    /// Something has changed.
    pub fn info(self, line: impl fmt::Display) {
        self.log(Level::Info, line);
    }

    /// Details for developers.
    pub fn debug(self, line: impl fmt::Display) {
        self.log(Level::Debug, line);
    }

    /// The value in force of a directive outside of sections, by its name in lower case; if it has
    /// several values, the first.
    pub fn setting(self, name: &str) -> Option<&'static str> {
        let mut value = Text::NONE;
        // SAFETY: the table is gmetad's, the name and the result outlive the call.
        let found = unsafe { (self.api.setting)(self.api, Text::of(name), &raw mut value) };
        // SAFETY: text of the configuration stays in place until the process ends.
        (found == status::OK).then(|| unsafe { text_of(value) })
    }

    /// All directives outside of sections, data_source aside.
    pub fn settings(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        (0..).map_while(move |at| {
            let (mut name, mut value) = (Text::NONE, Text::NONE);
            // SAFETY: the table is gmetad's, the results outlive the call.
            let found =
                unsafe { (self.api.setting_at)(self.api, at, &raw mut name, &raw mut value) };
            // SAFETY: text of the configuration stays in place until the process ends.
            (found == status::OK).then(|| unsafe { (text_of(name), text_of(value)) })
        })
    }

    /// The data_sources, in the order of the file.
    pub fn sources(self) -> impl Iterator<Item = Source> {
        (0..).map_while(move |at| {
            let mut raw = abi::Source {
                size: size_of::<abi::Source>() as u32,
                hosts: 0,
                name: Text::NONE,
                interval: 0.0,
            };
            // SAFETY: the table is gmetad's, the result outlives the call and has its size set.
            let found = unsafe { (self.api.source_at)(self.api, at, &raw mut raw) };
            (found == status::OK).then(|| Source {
                // SAFETY: text of the configuration stays in place until the process ends.
                name: unsafe { text_of(raw.name) }.to_owned(),
                interval: Duration::try_from_secs_f64(raw.interval).unwrap_or_default(),
                hosts: (0..raw.hosts as usize)
                    .filter_map(|host| self.source_host(at, host))
                    .collect(),
            })
        })
    }

    fn source_host(self, source: usize, at: usize) -> Option<String> {
        let mut host = Text::NONE;
        // SAFETY: the table is gmetad's, the result outlives the call.
        let found = unsafe { (self.api.source_host_at)(self.api, source, at, &raw mut host) };
        // SAFETY: text of the configuration stays in place until the process ends.
        (found == status::OK).then(|| unsafe { text_of(host) }.to_owned())
    }

    /// The lines of any section, by its id in any case.
    pub fn section(self, id: &str) -> Option<Vec<Directive>> {
        let (mut first, mut count) = (std::ptr::null(), 0);
        // SAFETY: the table is gmetad's, the id and the results outlive the call.
        let found =
            unsafe { (self.api.section)(self.api, Text::of(id), &raw mut first, &raw mut count) };
        // SAFETY: by the header there are this many directives.
        (found == status::OK).then(|| unsafe { Directive::list(first, count) })
    }

    /// Sets the reason of the current call's failure; returns the status to return.
    pub(crate) fn fail(self, reason: &str) -> i32 {
        // SAFETY: the table is gmetad's, the reason outlives the call.
        unsafe { (self.api.fail)(self.api, Text::of(reason)) };
        status::FAILED
    }
}

/// Text that gmetad gives.
///
/// # Safety
/// It stays in place for as long as the result is used.
pub(crate) unsafe fn text_of<'a>(text: Text) -> &'a str {
    if text.ptr.is_null() || text.len == 0 {
        return "";
    }
    // SAFETY: the caller promises these bytes.
    let bytes = unsafe { std::slice::from_raw_parts(text.ptr, text.len) };
    // gmetad gives only UTF-8.
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_parted_by_blanks_outside_of_quotes() {
        let words = |value: &str| {
            let directive = Directive {
                name: "n".into(),
                value: value.into(),
                file: "f".into(),
                line: 3,
            };
            directive.words()
        };
        assert_eq!(words(""), [""; 0]);
        assert_eq!(words("  one   two "), ["one", "two"]);
        assert_eq!(words("a \"b c\" '' 'd \"e\"'"), ["a", "b c", "", "d \"e\""]);
        assert_eq!(words("\"open end"), ["open end"]);
    }
}
