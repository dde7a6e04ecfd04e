//! A snapshot of the store, for readers.
//!
//! Immutable: `store` makes a new one after a change.

use std::sync::Arc;

use super::{Node, Summary};

/// The root grid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GridIdentity {
    /// `gridname`.
    pub name: String,
    /// `authority`.
    pub authority: String,
    /// Off: the output has no GRID around it.
    pub scalable: bool,
}

/// All data at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The root grid.
    pub identity: Arc<GridIdentity>,
    /// Whether names of hosts are in lower case, so that those in queries are converted.
    pub lower_case_hosts: bool,
    /// In the order of the sources, each name once.
    pub nodes: Vec<Node>,
    /// The sums over all sources that answer, as last computed.
    pub summary: Arc<Summary>,
}

impl Snapshot {
    /// The cluster or grid of that name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name() == name)
    }
}
