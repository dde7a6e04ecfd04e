//! An update as the tree that gmetad-python's plugins know, over the flat arrays behind it.
//!
//! Nothing is copied until something is changed, unless several sources bring a cluster. Changes go to
//! the update's own copy, never to the store's. No `unsafe` here: the boundary to shared objects is
//! elsewhere.
//!
//! An attribute is changed at once, in place. Added children are appended to their array, removed
//! ones are marked. [`Tree::finish`] then puts the arrays in order in one pass, so that the next
//! plugin gets an ordinary cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{RootUpdate, Update};
use crate::model::{Cluster, DefTable, Grid, MetricFields, Node, Summary};

mod attributes;
mod edit;
mod edits;
mod flatten;
mod invented;
mod node;
mod values;

pub use invented::Invented;
pub use node::{Generation, Kind, NodeId, Owner};
pub use values::Value;

use edits::Edits;

/// What cannot be done with a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The node was removed, or never existed.
    #[error("there is no such node")]
    NoNode,
    /// For example a METRIC in a METRIC, or the removal of the top.
    #[error("this node cannot have that")]
    NotPossible,
    /// A number is expected, or one of a few words.
    #[error("this attribute cannot have that value")]
    BadValue,
    /// A child of that kind and name exists.
    #[error("there is such a child already")]
    Exists(NodeId),
    /// An array is at its limit.
    #[error("there is no room for more")]
    Full,
}

/// The tree of one update, for one plugin.
pub struct Tree<'a> {
    top: Top<'a>,
    /// Shares the definitions that plugins make from poll to poll.
    table: &'a mut DefTable,
    edits: Edits,
    /// Lengths of the arrays before anything was added.
    base: Base,
    /// The host whose metrics were looked at last.
    hint: AtomicUsize,
}

enum Top<'a> {
    /// A source's cluster or grid.
    Source(&'a mut Update),
    /// The sum of all.
    Root(&'a mut RootUpdate),
}

/// A copy of what a tree is over, with its changes; shared where nothing changed.
pub enum Copied {
    /// A source's cluster or grid.
    Source(Update),
    /// The sum of all.
    Root(RootUpdate),
}

#[derive(Clone, Copy)]
struct Base {
    hosts: usize,
    metrics: usize,
}

impl<'a> Tree<'a> {
    /// A tree over a source's update.
    ///
    /// A cluster that several sources bring is copied at once: its nodes are numbered over all hosts.
    pub fn of_update(update: &'a mut Update, table: &'a mut DefTable) -> Tree<'a> {
        if let Node::Cluster(cluster) = &mut update.node
            && cluster.parts.is_some()
        {
            *cluster = Arc::new(cluster.flattened());
        }
        let base = match &update.node {
            Node::Cluster(cluster) => Base {
                hosts: cluster.hosts.len(),
                metrics: cluster.metrics.len(),
            },
            Node::Grid(_) => Base {
                hosts: 0,
                metrics: 0,
            },
        };
        Tree::new(Top::Source(update), base, table)
    }

    /// A tree over the sum of all sources.
    pub fn of_root(root: &'a mut RootUpdate, table: &'a mut DefTable) -> Tree<'a> {
        let base = Base {
            hosts: 0,
            metrics: 0,
        };
        Tree::new(Top::Root(root), base, table)
    }

    fn new(top: Top<'a>, base: Base, table: &'a mut DefTable) -> Tree<'a> {
        Tree {
            top,
            table,
            edits: Edits::default(),
            base,
            hint: AtomicUsize::new(0),
        }
    }

    /// What kind of node it is.
    pub fn kind(&self, node: NodeId) -> Result<Kind, TreeError> {
        self.check(node)?;
        Ok(match node {
            NodeId::Top if self.cluster().is_some() => Kind::Cluster,
            NodeId::Top => Kind::Grid,
            NodeId::Host(_) => Kind::Host,
            NodeId::Metric(_) => Kind::Metric,
            NodeId::Sum(_) => Kind::Metrics,
            NodeId::ExtraData(_) => Kind::ExtraData,
            NodeId::Extra(..) => Kind::ExtraElement,
        })
    }

    /// Its parent; of a sum, the top. `None`: it is the top.
    pub fn parent(&self, node: NodeId) -> Result<Option<NodeId>, TreeError> {
        self.check(node)?;
        Ok(match node {
            NodeId::Top => None,
            NodeId::Host(_) | NodeId::Sum(_) => Some(NodeId::Top),
            NodeId::Metric(at) => self.host_of(at as usize).map(|at| NodeId::Host(at as u32)),
            NodeId::ExtraData(owner) => Some(owner.node()),
            NodeId::Extra(owner, _) => Some(NodeId::ExtraData(owner)),
        })
    }

    /// Its first child. Sums are no children of the top: see `first_sum`.
    pub fn first(&self, node: NodeId) -> Result<Option<NodeId>, TreeError> {
        self.check(node)?;
        Ok(match node {
            NodeId::Top => self.host_from(0),
            NodeId::Host(at) => self.first_metric(at as usize),
            NodeId::Metric(at) => self.extra_data(Owner::Metric(at)),
            NodeId::Sum(at) => self.extra_data(Owner::Sum(at)),
            NodeId::ExtraData(owner) => self.extra_from(owner, 0),
            NodeId::Extra(..) => None,
        })
    }

    /// Its next sibling; of a sum, the next sum.
    #[inline]
    pub fn next(&self, node: NodeId) -> Result<Option<NodeId>, TreeError> {
        self.check(node)?;
        Ok(match node {
            NodeId::Top | NodeId::ExtraData(_) => None,
            NodeId::Host(at) => self.host_from(at as usize + 1),
            NodeId::Metric(at) => self.metric_after(at as usize),
            NodeId::Sum(at) => self.sum_from(at as usize + 1),
            NodeId::Extra(owner, at) => self.extra_from(owner, usize::from(at) + 1),
        })
    }

    /// The first sum of the top.
    pub fn first_sum(&self) -> Option<NodeId> {
        self.sum_from(0)
    }

    /// The child with the key `ID:name`, such as `HOST:web1`; the key of EXTRA_DATA is its id.
    /// `METRICS:name` is found at the top, EXTRA_ELEMENTs also at the parent of the EXTRA_DATA.
    pub fn find(&self, node: NodeId, key: &str) -> Result<Option<NodeId>, TreeError> {
        self.check(node)?;
        if key == Kind::ExtraData.name() {
            return Ok(owner_of(node).and_then(|owner| self.extra_data(owner)));
        }
        let Some((id, name)) = key.split_once(':') else {
            return Ok(None);
        };
        Ok(match (node, id) {
            (NodeId::Top, "HOST") => self.find_host(name),
            (NodeId::Top, "METRICS") => self.find_sum(name),
            (NodeId::Host(at), "METRIC") => self.find_metric(at as usize, name),
            (NodeId::ExtraData(owner), "EXTRA_ELEMENT") => self.find_extra(owner, name),
            (_, "EXTRA_ELEMENT") => owner_of(node).and_then(|it| self.find_extra(it, name)),
            _ => None,
        })
    }

    /// The counts of hosts and the sums.
    pub fn summary(&self) -> &Summary {
        match &self.top {
            Top::Source(update) => update.node.summary(),
            Top::Root(root) => &root.summary,
        }
    }

    /// How many sums there are.
    pub fn sum_count(&self) -> usize {
        self.summary().metrics.len() - self.edits.gone_sums.len()
    }

    /// A copy; `None` after children were added or removed, until `finish`.
    pub fn copied(&self) -> Option<Copied> {
        if self.edits.moves_children() {
            return None;
        }
        Some(match &self.top {
            Top::Source(update) => Copied::Source((**update).clone()),
            Top::Root(root) => Copied::Root((**root).clone()),
        })
    }

    /// A number that no other state of any update has. It changes with each change.
    pub fn revision(&mut self) -> u64 {
        self.invented_mut().revision()
    }

    fn cluster(&self) -> Option<&Cluster> {
        match &self.top {
            Top::Source(update) => match &update.node {
                Node::Cluster(cluster) => Some(cluster),
                Node::Grid(_) => None,
            },
            Top::Root(_) => None,
        }
    }

    /// The tree's own cluster. If it is still the store's, it is copied now.
    fn cluster_mut(&mut self) -> Option<&mut Cluster> {
        match &mut self.top {
            Top::Source(update) => match &mut update.node {
                Node::Cluster(cluster) => Some(Arc::make_mut(cluster)),
                Node::Grid(_) => None,
            },
            Top::Root(_) => None,
        }
    }

    fn grid(&self) -> Option<&Grid> {
        match &self.top {
            Top::Source(update) => match &update.node {
                Node::Grid(grid) => Some(grid),
                Node::Cluster(_) => None,
            },
            Top::Root(_) => None,
        }
    }

    fn summary_mut(&mut self) -> &mut Summary {
        match &mut self.top {
            Top::Source(update) => match &mut update.node {
                Node::Cluster(cluster) => &mut Arc::make_mut(cluster).summary,
                Node::Grid(grid) => &mut Arc::make_mut(grid).summary,
            },
            Top::Root(root) => Arc::make_mut(&mut root.summary),
        }
    }

    fn invented(&self) -> &Invented {
        match &self.top {
            Top::Source(update) => &update.invented,
            Top::Root(root) => &root.invented,
        }
    }

    fn invented_mut(&mut self) -> &mut Invented {
        match &mut self.top {
            Top::Source(update) => &mut update.invented,
            Top::Root(root) => &mut root.invented,
        }
    }

    /// Whether there is such a node.
    #[inline]
    fn check(&self, node: NodeId) -> Result<(), TreeError> {
        let known = match node {
            NodeId::Top => true,
            NodeId::Host(at) => self.has_host(at),
            // An empty EXTRA_DATA counts as present, so that elements can be added to it.
            NodeId::Metric(at) | NodeId::ExtraData(Owner::Metric(at)) => self.has_metric(at),
            NodeId::Sum(at) | NodeId::ExtraData(Owner::Sum(at)) => self.has_sum(at),
            NodeId::Extra(owner, at) => {
                self.check(owner.node())?;
                usize::from(at) < self.fields(owner).extra.len()
                    && !self.edits.gone_extras.contains(&(owner, at))
            }
        };
        if known {
            Ok(())
        } else {
            Err(TreeError::NoNode)
        }
    }

    fn has_host(&self, at: u32) -> bool {
        self.cluster()
            .is_some_and(|cluster| (at as usize) < cluster.hosts.len())
            && !self.edits.gone_hosts.contains(&at)
    }

    #[inline]
    fn has_metric(&self, at: u32) -> bool {
        self.cluster()
            .is_some_and(|cluster| (at as usize) < cluster.metrics.len())
            && (!self.edits.has_removed || !self.is_metric_gone(at))
    }

    fn is_metric_gone(&self, at: u32) -> bool {
        self.edits.gone_metrics.contains(&at)
            || (!self.edits.gone_hosts.is_empty()
                && self
                    .host_of(at as usize)
                    .is_none_or(|host| self.edits.gone_hosts.contains(&(host as u32))))
    }

    fn has_sum(&self, at: u32) -> bool {
        (at as usize) < self.summary().metrics.len() && !self.edits.gone_sums.contains(&at)
    }

    fn host_from(&self, at: usize) -> Option<NodeId> {
        let hosts = self.cluster()?.hosts.len();
        (at..hosts)
            .map(|at| at as u32)
            .find(|at| !self.edits.gone_hosts.contains(at))
            .map(NodeId::Host)
    }

    fn sum_from(&self, at: usize) -> Option<NodeId> {
        (at..self.summary().metrics.len())
            .map(|at| at as u32)
            .find(|at| !self.edits.gone_sums.contains(at))
            .map(NodeId::Sum)
    }

    fn first_metric(&self, host: usize) -> Option<NodeId> {
        let range = self.cluster()?.hosts[host].metrics();
        self.hint.store(host, Ordering::Relaxed);
        self.metric_within(range)
            .or_else(|| self.added_metric(host, 0))
    }

    #[inline]
    fn metric_after(&self, at: usize) -> Option<NodeId> {
        let host = self.host_of(at)?;
        if at < self.base.metrics {
            let end = self.cluster()?.hosts[host].metrics().end;
            self.metric_within(at + 1..end)
                .or_else(|| self.added_metric(host, 0))
        } else {
            let place = self.edits.owners[at - self.base.metrics].place as usize;
            self.added_metric(host, place + 1)
        }
    }

    #[inline]
    fn metric_within(&self, mut range: std::ops::Range<usize>) -> Option<NodeId> {
        let first = if self.edits.has_removed {
            range.find(|&at| !self.edits.gone_metrics.contains(&(at as u32)))
        } else {
            range.next()
        };
        first.map(|at| NodeId::Metric(at as u32))
    }

    /// A host's first added metric from that place on.
    fn added_metric(&self, host: usize, place: usize) -> Option<NodeId> {
        if self.edits.owners.is_empty() {
            return None;
        }
        let added = self.edits.added_of.get(&(host as u32))?;
        added
            .iter()
            .skip(place)
            .find(|at| !self.edits.gone_metrics.contains(at))
            .map(|&at| NodeId::Metric(at))
    }

    /// The host that has the metric.
    #[inline]
    fn host_of(&self, at: usize) -> Option<usize> {
        if at >= self.base.metrics {
            let owner = self.edits.owners.get(at - self.base.metrics)?;
            return Some(owner.host as usize);
        }
        let hosts = &self.cluster()?.hosts[..self.base.hosts];
        let hint = self.hint.load(Ordering::Relaxed);
        if hosts
            .get(hint)
            .is_some_and(|host| host.metrics().contains(&at))
        {
            return Some(hint);
        }
        // Metrics are stored host by host, so hosts are in the order of their first metrics.
        let after = hosts.partition_point(|host| host.first_metric as usize <= at);
        let found = hosts[..after]
            .iter()
            .rposition(|host| host.metrics().contains(&at))?;
        self.hint.store(found, Ordering::Relaxed);
        Some(found)
    }

    fn find_host(&self, name: &str) -> Option<NodeId> {
        let at = match &self.edits.hosts_by_name {
            Some(names) => names.get(name).copied()?,
            None => self.cluster()?.find_host(name)? as u32,
        };
        let node = NodeId::Host(at);
        self.check(node).is_ok().then_some(node)
    }

    fn find_metric(&self, host: usize, name: &str) -> Option<NodeId> {
        let cluster = self.cluster()?;
        let range = cluster.hosts[host].metrics();
        let found = range
            .clone()
            .zip(&cluster.metrics[range])
            .find(|(at, metric)| {
                cluster.def(metric).name() == name
                    && !self.edits.gone_metrics.contains(&(*at as u32))
            });
        if let Some((at, _)) = found {
            return Some(NodeId::Metric(at as u32));
        }
        let added = self.edits.added_names.get(&(host as u32))?;
        added.get(name).map(|&at| NodeId::Metric(at))
    }

    fn find_sum(&self, name: &str) -> Option<NodeId> {
        let sums = &self.summary().metrics;
        let found = sums.iter().enumerate().find(|(at, sum)| {
            sum.def.name() == name && !self.edits.gone_sums.contains(&(*at as u32))
        });
        found.map(|(at, _)| NodeId::Sum(at as u32))
    }

    /// The attributes in the definition of the metric or sum.
    fn fields(&self, owner: Owner) -> &MetricFields {
        match owner {
            Owner::Metric(at) => match self.cluster() {
                Some(cluster) => cluster.def(&cluster.metrics[at as usize]).fields(),
                None => unreachable!("only a cluster has metrics, which was checked"),
            },
            Owner::Sum(at) => self.summary().metrics[at as usize].def.fields(),
        }
    }

    fn extra_data(&self, owner: Owner) -> Option<NodeId> {
        self.extra_from(owner, 0).map(|_| NodeId::ExtraData(owner))
    }

    fn extra_from(&self, owner: Owner, at: usize) -> Option<NodeId> {
        (at..self.fields(owner).extra.len())
            .map(|at| at as u16)
            .find(|&at| !self.edits.gone_extras.contains(&(owner, at)))
            .map(|at| NodeId::Extra(owner, at))
    }

    fn find_extra(&self, owner: Owner, name: &str) -> Option<NodeId> {
        let extra = &self.fields(owner).extra;
        let found = extra.iter().enumerate().find(|(at, (key, _))| {
            key == name && !self.edits.gone_extras.contains(&(owner, *at as u16))
        });
        found.map(|(at, _)| NodeId::Extra(owner, at as u16))
    }
}

fn owner_of(node: NodeId) -> Option<Owner> {
    match node {
        NodeId::Metric(at) => Some(Owner::Metric(at)),
        NodeId::Sum(at) => Some(Owner::Sum(at)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
