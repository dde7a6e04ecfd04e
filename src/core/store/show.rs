//! What is shown of all sources: each name once, in the order of the sources, built in steps.
//!
//! Each source is taken as it is at one moment.

use super::Store;
use crate::model::{Node, NodeIndex};

/// A list of nodes in the making.
#[derive(Debug, Default)]
pub(super) struct Show {
    /// Which source is next, in the order of the sources.
    next: usize,
    /// Nodes of the one before that are not looked at yet.
    left: std::vec::IntoIter<Node>,
    pub nodes: Vec<Node>,
    pub index: NodeIndex,
    /// Whether something has changed since it was begun.
    pub again: bool,
}

impl Store {
    /// Goes on with the list by about so many nodes. Returns whether it has to go on.
    pub(super) fn show_some(&self, show: &mut Show, mut budget: usize) -> bool {
        loop {
            for node in show.left.by_ref() {
                self.show_node(&mut show.nodes, &mut show.index, node);
                budget = budget.saturating_sub(1);
                if budget == 0 {
                    return true;
                }
            }
            let Some(id) = self.order.ids().get(show.next) else {
                return false;
            };
            show.left = self.sources[id.0].nodes.clone().into_iter();
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
