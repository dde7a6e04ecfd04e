//! The clusters and grids of one document, from their first tag until all of it is there.
//!
//! Knows no XML: `elements` says what begins and ends. A repeated cluster goes on where it was, and
//! all are finished together. So the cost of a tag does not grow with the document before it.

use std::collections::HashMap;
use std::sync::Arc;

use super::build::{ClusterBuilder, ClusterHead};
use super::document::Previous;
use crate::model::{Cluster, Grid, Mono, Node, Summary, Vocabulary};
use crate::summary::SummaryFilter;

/// A cluster or grid.
#[derive(Debug)]
enum Part {
    /// The open cluster; its builder is with `elements`.
    Open,
    /// A cluster that was closed, and may come again.
    Cluster(Box<ClusterBuilder>),
    /// A grid below.
    Grid(Arc<Grid>),
}

/// All of a document.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// Those of the previous document.
    clusters: HashMap<Box<str>, Arc<Cluster>>,
    vocabularies: HashMap<Box<str>, Vocabulary>,
    /// In document order.
    parts: Vec<Part>,
    by_name: HashMap<Box<str>, usize>,
    /// By grid below: the builder that sums its clusters, one after the other.
    below: HashMap<Box<str>, ClusterBuilder>,
    /// Memory of all that are not open.
    bytes: usize,
}

/// The result of a document.
#[derive(Debug, Default)]
pub(super) struct Finished {
    /// In document order.
    pub nodes: Vec<Node>,
    /// For the next document.
    pub vocabularies: HashMap<Box<str>, Vocabulary>,
    /// Malformed places, recovered where possible.
    pub damage: u64,
    /// Values of hosts.
    pub received: u64,
}

impl Nodes {
    pub fn new(previous: Previous) -> Nodes {
        let clusters = previous.nodes.into_iter().filter_map(|node| match node {
            Node::Cluster(cluster) => Some((cluster.name.clone(), cluster)),
            Node::Grid(_) => None,
        });
        Nodes {
            clusters: clusters.collect(),
            vocabularies: previous.vocabularies,
            ..Nodes::default()
        }
    }

    /// Clusters and grids so far.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Approximate memory of all that are not open.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is a cluster or grid of that name.
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The builder of a cluster, to be given back with `close`. `None`: the name is a grid's.
    pub fn open(
        &mut self,
        head: ClusterHead,
        filter: Arc<SummaryFilter>,
    ) -> Option<ClusterBuilder> {
        if let Some(&at) = self.by_name.get(head.name.as_str()) {
            return match std::mem::replace(&mut self.parts[at], Part::Open) {
                Part::Cluster(mut builder) => {
                    self.bytes -= builder.bytes();
                    builder.begin_again(head);
                    Some(*builder)
                }
                other => {
                    self.parts[at] = other;
                    None
                }
            };
        }
        let name: Box<str> = head.name.as_str().into();
        let vocabulary = self.vocabularies.remove(&name).unwrap_or_default();
        let previous = self.clusters.remove(&name);
        self.by_name.insert(name, self.parts.len());
        self.parts.push(Part::Open);
        Some(ClusterBuilder::new(
            head, true, filter, vocabulary, previous,
        ))
    }

    /// Takes the builder of a closed cluster back.
    pub fn close(&mut self, builder: ClusterBuilder) {
        self.bytes += builder.bytes();
        if let Some(&at) = self.by_name.get(builder.name()) {
            self.parts[at] = Part::Cluster(Box::new(builder));
        }
    }

    /// The builder that sums a cluster of a grid below, to be given back with `close_below`.
    pub fn open_below(
        &mut self,
        grid: &str,
        head: ClusterHead,
        filter: Arc<SummaryFilter>,
    ) -> ClusterBuilder {
        if let Some(mut builder) = self.below.remove(grid) {
            self.bytes -= builder.bytes();
            builder.begin_again(head);
            return builder;
        }
        let vocabulary = self.vocabularies.remove(grid).unwrap_or_default();
        ClusterBuilder::new(head, false, filter, vocabulary, None)
    }

    /// Takes the builder of a closed cluster back. Returns the cluster's sums.
    pub fn close_below(&mut self, grid: &str, mut builder: ClusterBuilder) -> Summary {
        let summary = builder.take_summary();
        self.bytes += builder.bytes();
        self.below.insert(grid.into(), builder);
        summary
    }

    /// Adds a grid, or replaces one of the same name. A grid with the name of a cluster is ignored.
    pub fn add_grid(&mut self, grid: Grid) {
        let bytes = grid.bytes;
        match self.by_name.get(&grid.name).map(|&at| &mut self.parts[at]) {
            None => {
                self.by_name.insert(grid.name.clone(), self.parts.len());
                self.parts.push(Part::Grid(Arc::new(grid)));
            }
            Some(Part::Grid(old)) => *old = Arc::new(grid),
            Some(Part::Open | Part::Cluster(_)) => return,
        }
        self.bytes += bytes;
    }

    /// Finishes all, with what is carried over.
    pub fn finish(&mut self, now: Mono) -> Finished {
        let mut finished = Finished::default();
        let mut bytes = self.bytes;
        for part in std::mem::take(&mut self.parts) {
            match part {
                Part::Open => {}
                Part::Grid(grid) => finished.nodes.push(Node::Grid(grid)),
                Part::Cluster(mut builder) => {
                    bytes -= builder.bytes();
                    builder.beside(bytes);
                    finished.received += builder.received;
                    let built = builder.finish(now);
                    bytes += built.cluster.bytes;
                    finished.damage += built.damage;
                    let name = built.cluster.name.clone();
                    finished.vocabularies.insert(name, built.vocabulary);
                    finished.nodes.push(Node::Cluster(Arc::new(built.cluster)));
                }
            }
        }
        for (name, builder) in self.below.drain() {
            finished.received += builder.received;
            finished.damage += builder.damage;
            let vocabulary = builder.into_vocabulary();
            finished.vocabularies.insert(name, vocabulary);
        }
        finished
    }

    /// What was known before the document, which is rejected. `open` is the open cluster and the name
    /// of its vocabulary.
    pub fn into_known(
        self,
        open: Option<(Box<str>, ClusterBuilder)>,
    ) -> HashMap<Box<str>, Vocabulary> {
        let clusters = self.parts.into_iter().filter_map(|part| match part {
            Part::Cluster(builder) => Some((builder.name().into(), *builder)),
            Part::Open | Part::Grid(_) => None,
        });
        let known = clusters
            .chain(self.below)
            .chain(open)
            .map(|(name, builder)| (name, builder.into_known()));
        let mut vocabularies = self.vocabularies;
        vocabularies.extend(known.filter(|(_, vocabulary)| !vocabulary.is_empty()));
        vocabularies
    }
}
