//! Attributes that no document has: a plugin made them up, for the plugins after it.
//!
//! Kept beside the flat model, which has no room for them; nobody but plugins sees them.

use std::collections::HashMap;

use super::node::NodeId;

/// Name and value.
type Pair = (Box<str>, Box<str>);

/// By node, in the order they were made up. Empty, and then free, as a rule.
#[derive(Clone, Debug, Default)]
pub struct Invented {
    by_node: HashMap<NodeId, Vec<Pair>>,
}

impl Invented {
    /// A node's, in order.
    pub(super) fn of(&self, node: NodeId) -> &[Pair] {
        self.by_node.get(&node).map_or(&[], Vec::as_slice)
    }

    pub(super) fn get(&self, node: NodeId, name: &str) -> Option<&str> {
        let found = self.of(node).iter().find(|(key, _)| **key == *name);
        found.map(|(_, value)| &**value)
    }

    pub(super) fn set(&mut self, node: NodeId, name: &str, value: &str) {
        let known = self.by_node.entry(node).or_default();
        match known.iter_mut().find(|(key, _)| **key == *name) {
            Some((_, old)) => *old = value.into(),
            None => known.push((name.into(), value.into())),
        }
    }

    /// Follows the nodes to where they went; `None`: with the node they are gone.
    pub(super) fn follow(&mut self, moved: impl Fn(NodeId) -> Option<NodeId>) {
        self.by_node = std::mem::take(&mut self.by_node)
            .into_iter()
            .filter_map(|(node, attributes)| Some((moved(node)?, attributes)))
            .collect();
    }
}
