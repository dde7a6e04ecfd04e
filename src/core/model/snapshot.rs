//! A snapshot of the store, for readers.
//!
//! Immutable: `store` makes a new one after a change.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
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
        if self.nodes.len() != self.index.len() {
            // Made without an index.
            return self.nodes.iter().position(|node| node.name() == name);
        }
        self.index.find(&self.nodes, name)
    }
}

/// Where nodes are, by their names. Holds no names: a table of them takes long to build.
#[derive(Clone, Debug, Default)]
pub struct NodeIndex {
    by_hash: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
    /// Those whose hash another one has.
    clashing: Vec<u32>,
    hasher: RandomState,
}

impl NodeIndex {
    /// Of nothing so far, with room for so many.
    pub fn with_capacity(count: usize) -> NodeIndex {
        let mut index = NodeIndex::default();
        index.by_hash.reserve(count);
        index
    }

    /// The index of these nodes, each of which has another name.
    pub fn new(nodes: &[Node]) -> NodeIndex {
        let mut index = NodeIndex::with_capacity(nodes.len());
        for (at, node) in nodes.iter().enumerate() {
            index.add(node.name(), at);
        }
        index
    }

    /// Adds a name that is not there yet.
    pub fn add(&mut self, name: &str, at: usize) {
        let hash = self.hasher.hash_one(name);
        match self.by_hash.entry(hash) {
            Entry::Vacant(vacant) => {
                vacant.insert(at as u32);
            }
            Entry::Occupied(_) => self.clashing.push(at as u32),
        }
    }

    /// Where the node of that name is among these.
    pub fn find(&self, nodes: &[Node], name: &str) -> Option<usize> {
        let is_it = |at: &u32| nodes[*at as usize].name() == name;
        let found = self.by_hash.get(&self.hasher.hash_one(name)).copied();
        let found = match found.filter(is_it) {
            None if found.is_some() => self.clashing.iter().copied().find(is_it),
            found => found,
        };
        found.map(|at| at as usize)
    }

    fn len(&self) -> usize {
        self.by_hash.len() + self.clashing.len()
    }
}

/// Takes a hash as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
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
