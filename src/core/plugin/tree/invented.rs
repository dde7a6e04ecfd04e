//! Attributes that no document has: a plugin adds them for the plugins after it.
//!
//! They are stored beside the flat model, which has no room for them. Only plugins see them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::node::NodeId;

/// Name and value.
type Pair = (Box<str>, Box<str>);

/// By node, in the order they were added. Usually empty, and then without an allocation.
#[derive(Clone, Debug, Default)]
pub struct Invented {
    by_node: HashMap<NodeId, Vec<Pair>>,
    /// The number of the whole update's state; 0: none was given since the last change.
    revision: u64,
}

impl Invented {
    /// The number of the update's current state.
    pub(super) fn revision(&mut self) -> u64 {
        static LAST: AtomicU64 = AtomicU64::new(0);
        if self.revision == 0 {
            self.revision = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        }
        self.revision
    }

    /// Notes that the update has changed.
    pub(super) fn has_changed(&mut self) {
        self.revision = 0;
    }

    /// The attributes of a node, in order.
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

    /// Moves the attributes to where `moved` says their nodes went; drops those of removed nodes.
    pub(super) fn follow(&mut self, moved: impl Fn(NodeId) -> Option<NodeId>) {
        self.by_node = std::mem::take(&mut self.by_node)
            .into_iter()
            .filter_map(|(node, attributes)| Some((moved(node)?, attributes)))
            .collect();
    }
}
