//! The clusters and grids of one source, each of another name, and where each is.
//!
//! Shared between the store and whoever reads: it never changes once it is in the store.

use super::{Node, NodeIndex};

/// Clusters and grids in document order.
#[derive(Debug, Default)]
pub struct NodeList {
    nodes: Vec<Node>,
    index: NodeIndex,
}

impl NodeList {
    /// With room for so many.
    pub fn with_capacity(count: usize) -> NodeList {
        NodeList {
            nodes: Vec::with_capacity(count),
            index: NodeIndex::with_capacity(count),
        }
    }

    /// Adds one whose name is not there yet.
    pub fn add(&mut self, node: Node) {
        self.index.add(node.name(), self.nodes.len());
        self.nodes.push(node);
    }

    /// The same names with other nodes, in the same order.
    #[must_use]
    pub fn with_nodes(&self, nodes: Vec<Node>) -> NodeList {
        debug_assert_eq!(nodes.len(), self.nodes.len());
        NodeList {
            nodes,
            index: self.index.clone(),
        }
    }

    /// The one of that name.
    pub fn find(&self, name: &str) -> Option<&Node> {
        let at = self.index.find(&self.nodes, name)?;
        Some(&self.nodes[at])
    }

    /// All of them.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All of them.
    pub fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }
}

impl From<Vec<Node>> for NodeList {
    fn from(nodes: Vec<Node>) -> NodeList {
        NodeList {
            index: NodeIndex::new(&nodes),
            nodes,
        }
    }
}
