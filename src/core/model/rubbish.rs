//! Trees that nobody needs any more: dropped a few entries at a time, since a large one takes long.
//!
//! No thread and no clock: whoever has the time asks for a step.

use std::collections::HashMap;
use std::collections::hash_map::IntoValues;
use std::sync::Arc;

use super::{
    Cluster, Host, Metric, MetricDef, Node, NodeList, Snapshot, Summary, SummaryMetric, Vocabulary,
};

/// What is to be dropped, the newest first.
#[derive(Debug, Default)]
pub struct Rubbish {
    heap: Vec<Piece>,
}

/// Entries, each of which is dropped when it is taken.
pub type Entries = Box<dyn Iterator<Item = ()> + Send>;

enum Piece {
    Nodes(std::vec::IntoIter<Node>),
    Defs(Vec<Arc<MetricDef>>),
    Hosts(Vec<Host>),
    Metrics(Vec<Metric>),
    Sums(Vec<SummaryMetric>),
    Vocabularies(IntoValues<Box<str>, Vocabulary>),
    Other(Entries),
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Piece")
    }
}

/// What dropping a cluster or grid, or what is known of one, costs at least.
const NODE_COST: usize = 16;

/// Smaller trees are dropped at once.
const WORTH_A_PIECE: usize = 64;

impl Rubbish {
    /// Whether all is dropped.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Drops about so many entries. Returns whether there are more.
    pub fn step(&mut self, mut budget: usize) -> bool {
        while budget > 0 {
            let Some(piece) = self.heap.last_mut() else {
                return false;
            };
            let before = budget;
            match piece {
                Piece::Nodes(left) => {
                    if let Some(node) = left.next() {
                        // What is small goes with it at once.
                        budget = budget.saturating_sub(NODE_COST);
                        self.add_node(node);
                    }
                }
                Piece::Defs(entries) => drop_some(entries, &mut budget),
                Piece::Hosts(entries) => drop_some(entries, &mut budget),
                Piece::Metrics(entries) => drop_some(entries, &mut budget),
                Piece::Sums(entries) => drop_some(entries, &mut budget),
                Piece::Vocabularies(left) => {
                    if let Some(vocabulary) = left.next() {
                        budget = budget.saturating_sub(NODE_COST);
                        vocabulary.discard(self);
                    }
                }
                Piece::Other(entries) => take_some(entries, &mut budget),
            }
            if budget == before {
                self.heap.pop();
            }
        }
        !self.heap.is_empty()
    }

    /// Adds clusters and grids. What others still hold stays with them.
    pub fn add_nodes(&mut self, nodes: Vec<Node>) {
        self.heap.push(Piece::Nodes(nodes.into_iter()));
    }

    /// Adds the clusters and grids of a source.
    pub fn add_list(&mut self, list: Arc<NodeList>) {
        if let Some(list) = Arc::into_inner(list) {
            self.add_nodes(list.into_nodes());
        }
    }

    /// Adds a cluster or grid.
    pub fn add_node(&mut self, node: Node) {
        match node {
            Node::Cluster(cluster) => self.add_cluster(cluster),
            Node::Grid(grid) => {
                if let Some(grid) = Arc::into_inner(grid) {
                    self.add_summary(grid.summary);
                }
            }
        }
    }

    /// Adds a cluster.
    pub fn add_cluster(&mut self, cluster: Arc<Cluster>) {
        let Some(cluster) = Arc::into_inner(cluster) else {
            return;
        };
        if let Some(parts) = cluster.parts.and_then(Arc::into_inner) {
            for part in parts.into_list() {
                self.add_cluster(part.cluster);
            }
        }
        self.add_hosts(cluster.hosts);
        self.add_metrics(cluster.metrics);
        self.add_summary(cluster.summary);
        self.add_defs(cluster.defs);
    }

    /// Adds hosts.
    pub fn add_hosts(&mut self, hosts: Vec<Host>) {
        if hosts.len() > WORTH_A_PIECE {
            self.heap.push(Piece::Hosts(hosts));
        }
    }

    /// Adds metrics.
    pub fn add_metrics(&mut self, metrics: Vec<Metric>) {
        if metrics.len() > WORTH_A_PIECE {
            self.heap.push(Piece::Metrics(metrics));
        }
    }

    /// Adds definitions.
    pub fn add_defs(&mut self, defs: Arc<Vec<Arc<MetricDef>>>) {
        if let Some(defs) = Arc::into_inner(defs)
            && defs.len() > WORTH_A_PIECE
        {
            self.heap.push(Piece::Defs(defs));
        }
    }

    /// Adds sums.
    pub fn add_summary(&mut self, summary: Summary) {
        if summary.metrics.len() > WORTH_A_PIECE {
            self.heap.push(Piece::Sums(summary.metrics));
        }
    }

    /// Adds what is known of clusters and grids.
    pub fn add_vocabularies(&mut self, vocabularies: HashMap<Box<str>, Vocabulary>) {
        let vocabularies = vocabularies.into_values();
        self.heap.push(Piece::Vocabularies(vocabularies));
    }

    /// Adds a snapshot.
    pub fn add_snapshot(&mut self, snapshot: Arc<Snapshot>) {
        if let Some(snapshot) = Arc::into_inner(snapshot) {
            self.add_nodes(snapshot.nodes);
            if let Some(summary) = Arc::into_inner(snapshot.summary) {
                self.add_summary(summary);
            }
        }
    }

    /// Adds anything else.
    pub fn add<T: Send + 'static>(
        &mut self,
        entries: impl IntoIterator<Item = T, IntoIter: Send + 'static>,
    ) {
        let entries = entries.into_iter();
        if entries.size_hint().0 > WORTH_A_PIECE {
            self.heap.push(Piece::Other(Box::new(entries.map(drop))));
        }
    }

    /// Takes over what another one has.
    pub fn append(&mut self, mut other: Rubbish) {
        self.heap.append(&mut other.heap);
    }
}

/// Memory of entries that were dropped is given back in such pieces: to give hundreds of megabytes back at
/// once takes the system long.
const GIVE_BACK_BYTES: usize = 4 << 20;

/// Drops entries, the last ones first.
fn drop_some<T>(entries: &mut Vec<T>, budget: &mut usize) {
    let left = entries.len().saturating_sub(*budget);
    *budget -= entries.len() - left;
    entries.truncate(left);
    if (entries.capacity() - left).saturating_mul(size_of::<T>()) >= GIVE_BACK_BYTES {
        entries.shrink_to_fit();
    }
}

fn take_some(entries: &mut Entries, budget: &mut usize) {
    while *budget > 0 {
        if entries.next().is_none() {
            break;
        }
        *budget -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HostInfo, MetricFields, Mono};

    #[test]
    fn a_large_tree_is_dropped_step_by_step_and_what_others_hold_stays() {
        let info = Arc::new(HostInfo::default());
        let host = || Host {
            info: Arc::clone(&info),
            reported: 0,
            tn: 0,
            up: true,
            fresh: true,
            received: Mono::default(),
            first_metric: 0,
            metric_count: 0,
        };
        let def = Arc::new(MetricDef::new(MetricFields::default()));
        let cluster = |hosts: usize| {
            Arc::new(Cluster {
                hosts: (0..hosts).map(|_| host()).collect(),
                defs: Arc::new(vec![Arc::clone(&def); 1000]),
                ..Cluster::default()
            })
        };
        let held = cluster(500);
        let mut rubbish = Rubbish::default();
        let nodes = [cluster(2000), Arc::clone(&held), cluster(3)];
        rubbish.add_nodes(nodes.map(Node::Cluster).into());
        let all = Arc::strong_count(&info);
        let mut steps = 0;
        let mut before = all;
        while rubbish.step(100) {
            steps += 1;
            let now = Arc::strong_count(&info);
            assert!(before - now <= 100, "{before} {now}");
            before = now;
        }
        assert!(steps >= 40, "{steps}");
        assert_eq!(Arc::strong_count(&info), 501, "those of `held` and our own");
        assert_eq!(Arc::strong_count(&def), 1001);
        assert_eq!(held.hosts.len(), 500);
    }

    #[test]
    fn memory_is_given_back_while_entries_are_dropped() {
        let mut entries = vec![0_u64; 3 * GIVE_BACK_BYTES];
        while !entries.is_empty() {
            drop_some(&mut entries, &mut (GIVE_BACK_BYTES / 16));
            let unused = (entries.capacity() - entries.len()) * size_of::<u64>();
            assert!(unused < GIVE_BACK_BYTES, "{unused}");
        }
    }
}
