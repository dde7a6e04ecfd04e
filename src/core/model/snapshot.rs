//! One moment of everything that is known, as readers get it.
//!
//! Never changed: `store` makes another.

use std::sync::Arc;

use super::{Node, Summary};

/// The grid that wraps all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GridIdentity {
    /// `gridname`.
    pub name: String,
    /// `authority`.
    pub authority: String,
    /// Off: there is no GRID around the output.
    pub scalable: bool,
}

/// One moment of everything, immutable.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The grid that wraps it.
    pub identity: Arc<GridIdentity>,
    /// Whether names of hosts are all in lower case, however they are asked for.
    pub lower_case_hosts: bool,
    /// In the order of the sources; each name once.
    pub nodes: Vec<Node>,
    /// The sum of all sources that answer, as of the last time it was worked out.
    pub summary: Arc<Summary>,
}

impl Snapshot {
    /// The cluster or grid of that name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name() == name)
    }
}
