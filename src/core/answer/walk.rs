//! The selected part of a snapshot, element by element, in the order of every format.
//!
//! No I/O and no format: a [`Format`] turns elements into bytes.

use std::sync::Arc;

use crate::answer::query::{Pick, Selection};
use crate::model::{Cluster, Host, Metric, Node, Now, Snapshot, Summary, SummaryMetric};

/// An answer that is written a slice at a time.
pub trait Body: Send {
    /// Appends to `out` until it has `limit` bytes or nothing is left. Returns whether there is more.
    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> bool;
}

/// Turns the elements of a walk into bytes.
pub trait Format {
    /// Everything before the first node.
    fn begin(&mut self, out: &mut Vec<u8>, snapshot: &Snapshot, now: Now);
    /// HOSTS of the root, a cluster or a grid. Its METRICS follow.
    fn hosts(&mut self, out: &mut Vec<u8>, summary: &Summary);
    /// One METRICS.
    fn sum(&mut self, out: &mut Vec<u8>, sum: &SummaryMetric);
    /// The start of a cluster or grid.
    fn open_node(&mut self, out: &mut Vec<u8>, node: &Node);
    /// The start of a host.
    fn open_host(&mut self, out: &mut Vec<u8>, host: &Host, now: Now);
    /// One METRIC, whose TN has grown by `age` seconds. `cluster` is what its source brings.
    fn metric(&mut self, out: &mut Vec<u8>, cluster: &Cluster, metric: &Metric, age: u32);
    /// The end of a host.
    fn close_host(&mut self, out: &mut Vec<u8>);
    /// The end of a cluster or grid.
    fn close_node(&mut self, out: &mut Vec<u8>, node: &Node);
    /// Everything after the last node.
    fn end(&mut self, out: &mut Vec<u8>, snapshot: &Snapshot);
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    /// The root's METRICS from that index on.
    RootSums(usize),
    /// The node at that index.
    OpenNode(usize),
    /// A node's METRICS from that index on.
    NodeSums(usize, usize),
    /// A node's host at that index.
    OpenHost(usize, usize),
    /// The metrics of a node's host, from that one of its own on.
    Metrics(usize, usize, usize),
    CloseNode(usize),
    End,
    Done,
}

/// A cursor over an immutable snapshot.
#[derive(Debug)]
pub struct Walk<F> {
    snapshot: Arc<Snapshot>,
    selection: Selection,
    now: Now,
    step: Step,
    format: F,
}

impl<F: Format> Walk<F> {
    /// A walk over the selection, with TNs as of `now`.
    pub fn with_format(snapshot: Arc<Snapshot>, selection: Selection, now: Now, format: F) -> Self {
        Walk {
            snapshot,
            selection,
            now,
            step: Step::Begin,
            format,
        }
    }

    fn step(&mut self, out: &mut Vec<u8>, limit: usize) {
        let snapshot = Arc::clone(&self.snapshot);
        self.step = match self.step {
            Step::Begin => {
                self.format.begin(out, &snapshot, self.now);
                if self.selection.has_root_summary() {
                    self.format.hosts(out, &snapshot.summary);
                    Step::RootSums(0)
                } else {
                    self.next_node(0)
                }
            }
            Step::RootSums(at) => match self.sums(out, limit, &snapshot.summary, at) {
                Some(at) => Step::RootSums(at),
                None => self.next_node(0),
            },
            Step::OpenNode(at) => self.open_node(out, &snapshot, at),
            Step::NodeSums(at, sum) => {
                match self.sums(out, limit, snapshot.nodes[at].summary(), sum) {
                    Some(sum) => Step::NodeSums(at, sum),
                    None => Step::CloseNode(at),
                }
            }
            Step::OpenHost(at, host) => self.open_host(out, &snapshot, at, host),
            Step::Metrics(at, host, metric) => {
                self.metrics(out, limit, &snapshot, at, host, metric)
            }
            Step::CloseNode(at) => {
                self.format.close_node(out, &snapshot.nodes[at]);
                self.next_node(at + 1)
            }
            Step::End => {
                self.format.end(out, &snapshot);
                Step::Done
            }
            Step::Done => Step::Done,
        };
    }

    /// The first selected node from `at` on.
    fn next_node(&self, at: usize) -> Step {
        let next = match &self.selection.node {
            Pick::All => (at < self.snapshot.nodes.len()).then_some(at),
            Pick::Name(name) => self.snapshot.position(name).filter(|found| *found >= at),
            Pick::Nothing => None,
        };
        next.map_or(Step::End, Step::OpenNode)
    }

    fn open_node(&mut self, out: &mut Vec<u8>, snapshot: &Snapshot, at: usize) -> Step {
        let node = &snapshot.nodes[at];
        self.format.open_node(out, node);
        match node {
            Node::Cluster(cluster) if !self.selection.summary => match &self.selection.host {
                Pick::All => self.next_host(cluster, at, 0),
                Pick::Nothing => Step::CloseNode(at),
                Pick::Name(name) => match cluster.find_host(name) {
                    Some(host) => Step::OpenHost(at, host),
                    None => Step::CloseNode(at),
                },
            },
            _ => {
                self.format.hosts(out, node.summary());
                Step::NodeSums(at, 0)
            }
        }
    }

    fn next_host(&self, cluster: &Cluster, at: usize, host: usize) -> Step {
        let one = matches!(self.selection.host, Pick::Name(_)) && host > 0;
        if one || host >= cluster.host_count() {
            Step::CloseNode(at)
        } else {
            Step::OpenHost(at, host)
        }
    }

    fn open_host(
        &mut self,
        out: &mut Vec<u8>,
        snapshot: &Snapshot,
        at: usize,
        host: usize,
    ) -> Step {
        let Node::Cluster(cluster) = &snapshot.nodes[at] else {
            return Step::CloseNode(at);
        };
        self.format.open_host(out, &cluster.host(host), self.now);
        Step::Metrics(at, host, 0)
    }

    fn metrics(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        snapshot: &Snapshot,
        at: usize,
        index: usize,
        from: usize,
    ) -> Step {
        let Node::Cluster(cluster) = &snapshot.nodes[at] else {
            return Step::CloseNode(at);
        };
        let host = cluster.host(index);
        let within = host.within();
        let age = self.now.mono.secs_since(host.received);
        let values = host.values();
        for (place, metric) in (from..).zip(&values[from..]) {
            if out.len() >= limit {
                return Step::Metrics(at, index, place);
            }
            let def = within.def(metric);
            if self.selection.metric.takes(def.name()) && !metric.is_expired(def.fields().dmax, age)
            {
                self.format.metric(out, within, metric, age);
            }
        }
        self.format.close_host(out);
        match self.selection.host {
            Pick::All => self.next_host(cluster, at, index + 1),
            _ => Step::CloseNode(at),
        }
    }

    /// Writes METRICS from `from` on. Returns where to go on, if there are more.
    fn sums(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        summary: &Summary,
        from: usize,
    ) -> Option<usize> {
        for (at, sum) in summary.metrics.iter().enumerate().skip(from) {
            if out.len() >= limit {
                return Some(at);
            }
            self.format.sum(out, sum);
        }
        None
    }
}

impl<F: Format + Send> Body for Walk<F> {
    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> bool {
        while out.len() < limit {
            if matches!(self.step, Step::Done) {
                return false;
            }
            self.step(out, limit);
        }
        !matches!(self.step, Step::Done)
    }
}
