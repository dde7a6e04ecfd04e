//! A snapshot of the store, for readers.
//!
//! Immutable: `store` makes a new one after a change.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::{Node, Summary, grid_id};

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

impl GridIdentity {
    /// The id by which other gmetads know it.
    pub fn id(&self) -> u64 {
        grid_id(&self.name, &self.authority)
    }
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
    /// Where each name is. A source may bring thousands of clusters.
    pub index: NodeIndex,
}

impl Snapshot {
    /// The cluster or grid of that name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.position(name).map(|at| &self.nodes[at])
    }

    /// Its index among the nodes.
    pub fn position(&self, name: &str) -> Option<usize> {
        if self.nodes.len() != self.index.by_hash.len() {
            // Made without an index.
            return self.nodes.iter().position(|node| node.name() == name);
        }
        self.index
            .candidates(name)
            .find(|&at| self.nodes[at].name() == name)
    }
}

/// Where nodes are, by their names.
#[derive(Clone, Debug, Default)]
pub struct NodeIndex {
    /// Hashes of names with their places, in order.
    by_hash: Vec<(u64, u32)>,
    hasher: RandomState,
}

impl NodeIndex {
    /// The index of these nodes.
    pub fn new(nodes: &[Node]) -> NodeIndex {
        let hasher = RandomState::new();
        let names = nodes.iter().map(Node::name);
        let keys = names.map(|name| hasher.hash_one(name));
        let mut by_hash: Vec<(u64, u32)> = keys.zip(0..).collect();
        by_hash.sort_unstable();
        NodeIndex { by_hash, hasher }
    }

    fn candidates(&self, name: &str) -> impl Iterator<Item = usize> {
        let hash = self.hasher.hash_one(name);
        let first = self.by_hash.partition_point(|(other, _)| *other < hash);
        let same = self.by_hash[first..].iter();
        same.take_while(move |(other, _)| *other == hash)
            .map(|(_, at)| *at as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Cluster;

    #[test]
    fn a_node_is_found_by_its_name_with_and_without_an_index() {
        let named = |at: usize| {
            Node::Cluster(Arc::new(Cluster {
                name: format!("c{at}").into(),
                ..Cluster::default()
            }))
        };
        let nodes: Vec<Node> = (0..1000).map(named).collect();
        let mut snapshot = Snapshot {
            nodes,
            ..Snapshot::default()
        };
        for has_index in [false, true] {
            if has_index {
                snapshot.index = NodeIndex::new(&snapshot.nodes);
            }
            for at in 0..1000 {
                assert_eq!(snapshot.position(&format!("c{at}")), Some(at));
            }
            assert!(snapshot.node("c1000").is_none() && snapshot.node("").is_none());
        }
    }
}
