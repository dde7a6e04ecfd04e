//! Exports, built in.

use super::Removal;

pub use gmetad_export::{EXPORTS, ExportHost, ExportNeeds, ListedExport, Switch};

pub(super) const LEFT_OUT: Option<Removal> = None;
