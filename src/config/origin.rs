//! Where each value in force comes from: lines of files, the command line, the defaults.
//!
//! For `--print-config` only.

use std::collections::HashMap;

use super::config::Overrides;
use gmetad_core::plugin::Location;

/// Where the directives come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// Of each directive, in the order of its values.
    lines: HashMap<&'static str, Vec<Location>>,
    /// Directives that an option of the command line has set.
    options: Vec<&'static str>,
}

/// Where one directive, or one value of it, comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin<'a> {
    /// Neither a line nor an option sets it.
    Default,
    /// An option, which overrides the file.
    CommandLine,
    /// These lines.
    Lines(&'a [Location]),
}

impl Origins {
    /// Notes a line that adds to those before it.
    pub(super) fn add(&mut self, name: &'static str, at: &Location) {
        self.lines.entry(name).or_default().push(at.clone());
    }

    /// Notes a line that replaces those before it.
    pub(super) fn replace(&mut self, name: &'static str, at: &Location) {
        self.lines.insert(name, vec![at.clone()]);
    }

    /// Notes what the command line has set.
    pub(super) fn options(&mut self, overrides: &Overrides) {
        let Overrides {
            debug_level,
            foreground,
            pid_file: _,
            logfile,
            interactive_port,
            xml_port,
        } = overrides;
        let set = [
            ("debug_level", debug_level.is_some()),
            ("daemonize", *foreground),
            ("logfile", logfile.is_some()),
            ("interactive_port", interactive_port.is_some()),
            ("xml_port", xml_port.is_some()),
        ];
        let set = set.into_iter().filter(|(_, is_set)| *is_set);
        self.options = set.map(|(name, _)| name).collect();
    }

    pub(super) fn of(&self, name: &str) -> Origin<'_> {
        match self.lines.get(name) {
            _ if self.options.contains(&name) => Origin::CommandLine,
            Some(lines) => Origin::Lines(lines),
            None => Origin::Default,
        }
    }
}
