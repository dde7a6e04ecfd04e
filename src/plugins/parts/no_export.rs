//! In place of the exports in a gmetad that is built without them.
//!
//! The list of exports is empty, and there is no value that could be in it.

use std::path::PathBuf;

use gmetad_config::{Config, ExportConfig};
use gmetad_core::plugin::{Plugin, PluginError};
use gmetad_core::source::HostPort;

use super::Removal;

pub(super) const LEFT_OUT: Option<Removal> = Some(remove);

fn remove(config: &mut Config) {
    config.exports = ExportConfig {
        // What writes round-robin files sends values there.
        rrdcached: config.exports.rrdcached.take(),
        ..ExportConfig::default()
    };
}

/// All exports: none.
pub const EXPORTS: &[ListedExport] = &[];

/// An export in the list. There is none.
#[derive(Clone, Copy)]
pub enum ListedExport {}

/// What turns an export on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// A directive at top level.
    Directive(&'static str),
    /// The section that is called as the export is.
    Section,
}

/// What an export needs of the machine and the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportNeeds {
    /// The hosts it sends to.
    pub hosts: Vec<ExportHost>,
    /// The folders in which values wait.
    pub folders: Vec<PathBuf>,
    /// The files that it reads while it sends.
    pub files: Vec<PathBuf>,
}

/// A host that an export sends to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportHost {
    /// The directive that names it.
    pub directive: &'static str,
    /// Where it listens.
    pub place: HostPort,
}

impl ListedExport {
    /// Its id.
    pub fn id(&self) -> &'static str {
        match *self {}
    }

    /// What turns it on.
    pub fn switch(&self) -> Switch {
        match *self {}
    }

    /// Whether it is turned on.
    pub fn is_configured(&self, _config: &Config) -> bool {
        match *self {}
    }

    /// Its plugin.
    pub fn plugin(&self, _config: &Config) -> Option<Box<dyn Plugin>> {
        match *self {}
    }

    /// What it would need.
    pub fn check(&self, _config: &Config) -> Result<ExportNeeds, PluginError> {
        match *self {}
    }
}
