//! What is shown of all sources: each name once, in the order of the sources, built in steps.
//!
//! Each source is taken as it is at one moment.

use std::sync::Arc;

use super::Store;
use crate::model::{Node, NodeIndex, NodeList};

/// What showing a node costs, in entries that are dropped.
const NODE_COST: usize = 4;

/// A list of nodes in the making.
#[derive(Debug, Default)]
pub(super) struct Show {
    /// Which source is next, in the order of the sources.
    next: usize,
    /// Nodes of the one before.
    pub left: Arc<NodeList>,
    /// The next of them.
    at: usize,
    pub nodes: Vec<Node>,
    pub index: NodeIndex,
    /// Whether something has changed since it was begun.
    pub again: bool,
}

impl Show {
    /// With room for so many nodes: an index that grows is rebuilt in one go.
    pub fn of(count: usize) -> Show {
        Show {
            nodes: Vec::with_capacity(count),
            index: NodeIndex::with_capacity(count),
            ..Show::default()
        }
    }
}

impl Store {
    /// Goes on with the list by about so many nodes. Returns whether it has to go on.
    pub(super) fn show_some(&mut self, show: &mut Show, mut budget: usize) -> bool {
        loop {
            while let Some(node) = show.left.nodes().get(show.at).cloned() {
                show.at += 1;
                self.show_node(&mut show.nodes, &mut show.index, node);
                budget = budget.saturating_sub(NODE_COST);
                if budget == 0 {
                    return true;
                }
            }
            let Some(id) = self.order.ids().get(show.next) else {
                return false;
            };
            let next = Arc::clone(&self.sources[id.0].nodes);
            let before = std::mem::replace(&mut show.left, next);
            self.rubbish.add_list(before);
            show.at = 0;
            show.next += 1;
        }
    }

    fn show_node(&self, nodes: &mut Vec<Node>, index: &mut NodeIndex, node: Node) {
        let Some(at) = index.find(nodes, node.name()) else {
            index.add(node.name(), nodes.len());
            let shared = self.shared.get(node.name()).cloned().map(Node::Cluster);
            nodes.push(shared.unwrap_or(node));
            return;
        };
        if self.shared.contains_key(node.name()) {
            return;
        }
        // Two grids of one name, or a grid and a cluster: the leader's is shown.
        let leader = self.rivals.get(node.name()).map(|it| it.leader);
        let leading = leader.and_then(|id| self.sources[id.0].node(node.name()));
        if let Some(leading) = leading {
            nodes[at] = leading.clone();
        }
    }
}
