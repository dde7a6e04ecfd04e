//! The clusters and grids of one document, from their first tag until all of it is there.
//!
//! Knows no XML: `elements` says what begins and ends. A repeated cluster goes on where it was, and
//! all are finished together. So the cost of a tag does not grow with the document before it.

use std::collections::HashMap;
use std::sync::Arc;

use super::build::{BelowEnding, ClusterBuilder, ClusterEnding, ClusterHead};
use super::document::Previous;
use crate::model::{Grid, Mono, Node, NodeList, Rubbish, Vocabulary};
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
    previous: Arc<NodeList>,
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
    /// What is not needed any more.
    pub rubbish: Rubbish,
}

impl Nodes {
    pub fn new(previous: Previous) -> Nodes {
        Nodes {
            previous: previous.nodes,
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

    /// Forgets what is known of a cluster or grid that comes now, if that is more names than the
    /// limit, which was higher then. So comparing is held to the limit as reading is.
    pub fn forget_above(&mut self, most_names: usize, name: &str, rubbish: &mut Rubbish) {
        let known = self.vocabularies.get(name);
        if known.is_none_or(|known| known.name_count() <= most_names) {
            return;
        }
        if let Some(known) = self.vocabularies.remove(name) {
            known.discard(rubbish);
        }
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
        let previous = match self.previous.find(&name) {
            Some(Node::Cluster(cluster)) => Some(Arc::clone(cluster)),
            _ => None,
        };
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

    /// Takes the builder of a closed cluster back.
    pub fn close_below(&mut self, grid: &str, builder: ClusterBuilder) {
        self.bytes += builder.bytes();
        self.below.insert(grid.into(), builder);
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

    /// The end of the document: all is finished, with what is carried over, in steps.
    pub fn end(&mut self, now: Mono) -> NodesEnding {
        let nodes = std::mem::take(self);
        let mut finished = Finished {
            nodes: Vec::with_capacity(nodes.parts.len()),
            vocabularies: HashMap::with_capacity(nodes.parts.len() + nodes.below.len()),
            ..Finished::default()
        };
        finished.rubbish.add_list(nodes.previous);
        finished.rubbish.add(nodes.by_name);
        NodesEnding {
            now,
            bytes: nodes.bytes,
            unused: nodes.vocabularies.into_values(),
            parts: nodes.parts.into_iter(),
            cluster: None,
            below: nodes.below.into_iter(),
            grid: None,
            finished,
        }
    }

    /// Gives the document up. `open` is the open cluster and the name of its vocabulary. Without
    /// `keeps`, what was known before is dropped too.
    pub fn abandon(
        self,
        open: Option<(Box<str>, ClusterBuilder)>,
        keeps: bool,
        mut rubbish: Rubbish,
    ) -> Abandoned {
        rubbish.add_list(self.previous);
        rubbish.add(self.by_name);
        let mut abandoned = Abandoned {
            parts: self.parts.into_iter(),
            below: self.below.into_iter(),
            open,
            keeps,
            rubbish,
            ..Abandoned::default()
        };
        if keeps {
            abandoned.known = self.vocabularies;
            abandoned.known.reserve(abandoned.parts.len());
        } else {
            abandoned.unused.push(self.vocabularies.into_values());
        }
        abandoned
    }
}

/// A document that is given up, in steps: what was known before it is kept for the next one.
#[derive(Debug, Default)]
pub struct Abandoned {
    parts: std::vec::IntoIter<Part>,
    below: std::collections::hash_map::IntoIter<Box<str>, ClusterBuilder>,
    open: Option<(Box<str>, ClusterBuilder)>,
    keeps: bool,
    /// What is known and dropped.
    unused: Vec<std::collections::hash_map::IntoValues<Box<str>, Vocabulary>>,
    known: HashMap<Box<str>, Vocabulary>,
    rubbish: Rubbish,
}

impl Abandoned {
    /// Goes on. Returns whether it has to go on once more.
    pub(crate) fn step(&mut self, budget: &mut usize) -> bool {
        while *budget > 0 {
            *budget = budget.saturating_sub(PART_COST);
            let (name, builder) = if let Some(open) = self.open.take() {
                open
            } else if let Some(part) = self.parts.next() {
                match part {
                    Part::Open => continue,
                    Part::Grid(grid) => {
                        self.rubbish.add_node(Node::Grid(grid));
                        continue;
                    }
                    Part::Cluster(builder) => (builder.name().into(), *builder),
                }
            } else if let Some(below) = self.below.next() {
                below
            } else if let Some(unused) = self.unused.last_mut() {
                match unused.next() {
                    Some(unused) => unused.discard(&mut self.rubbish),
                    None => drop(self.unused.pop()),
                }
                continue;
            } else {
                return false;
            };
            let vocabulary = builder.into_known(&mut self.rubbish);
            *budget = budget.saturating_sub(vocabulary.len());
            if !self.keeps {
                vocabulary.discard(&mut self.rubbish);
            } else if !vocabulary.is_empty() {
                self.known.insert(name, vocabulary);
            }
        }
        true
    }

    /// What was known before the document, once it is done.
    pub(crate) fn finish(self, rubbish: &mut Rubbish) -> HashMap<Box<str>, Vocabulary> {
        rubbish.append(self.rubbish);
        self.known
    }
}

/// What a part costs at least.
const PART_COST: usize = 64;

/// The end of a document, under way.
#[derive(Debug)]
pub(super) struct NodesEnding {
    now: Mono,
    /// Memory of all parts, finished or not.
    bytes: usize,
    /// What is known of clusters and grids that did not come.
    unused: std::collections::hash_map::IntoValues<Box<str>, Vocabulary>,
    parts: std::vec::IntoIter<Part>,
    /// The one being finished.
    cluster: Option<Box<ClusterEnding>>,
    below: std::collections::hash_map::IntoIter<Box<str>, ClusterBuilder>,
    /// The grid below being finished.
    grid: Option<(Box<str>, BelowEnding)>,
    finished: Finished,
}

impl NodesEnding {
    /// Goes on by about so many values. Returns whether it has to go on once more.
    pub fn step(&mut self, mut budget: usize) -> bool {
        while budget > 0 {
            if let Some(mut ending) = self.cluster.take() {
                if ending.step(&mut budget) {
                    self.cluster = Some(ending);
                    return true;
                }
                self.take_cluster(*ending);
            } else if let Some((name, mut ending)) = self.grid.take() {
                if ending.step(&mut budget) {
                    self.grid = Some((name, ending));
                    return true;
                }
                let vocabulary = ending.finish(&mut self.finished.rubbish);
                self.finished.vocabularies.insert(name, vocabulary);
            } else if !self.begin_next() {
                return false;
            }
            budget = budget.saturating_sub(PART_COST);
        }
        true
    }

    /// Returns whether there is one.
    fn begin_next(&mut self) -> bool {
        match self.parts.next() {
            Some(Part::Open) => {}
            Some(Part::Grid(grid)) => self.finished.nodes.push(Node::Grid(grid)),
            Some(Part::Cluster(builder)) => {
                self.bytes -= builder.bytes();
                self.finished.received += builder.received;
                let mut ending = ClusterEnding::new(*builder, self.now);
                ending.beside(self.bytes);
                self.cluster = Some(Box::new(ending));
            }
            None => {
                if let Some((name, builder)) = self.below.next() {
                    self.finished.received += builder.received;
                    self.finished.damage += builder.damage;
                    let ending = builder.into_vocabulary(&mut self.finished.rubbish);
                    self.grid = Some((name, ending));
                } else if let Some(vocabulary) = self.unused.next() {
                    vocabulary.discard(&mut self.finished.rubbish);
                } else {
                    return false;
                }
            }
        }
        true
    }

    fn take_cluster(&mut self, ending: ClusterEnding) {
        let built = ending.finish(&mut self.finished.rubbish);
        self.bytes += built.cluster.bytes;
        self.finished.damage += built.damage;
        let name = built.cluster.name.clone();
        self.finished.vocabularies.insert(name, built.vocabulary);
        let node = Node::Cluster(Arc::new(built.cluster));
        self.finished.nodes.push(node);
    }

    /// Approximate memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives the document up, and forgets what was known before it.
    pub fn abandon(self, mut rubbish: Rubbish) -> Abandoned {
        rubbish.append(self.finished.rubbish);
        rubbish.add_nodes(self.finished.nodes);
        if let Some((_, ending)) = self.grid {
            ending.finish(&mut rubbish).discard(&mut rubbish);
        }
        let open = self.cluster.map(|ending| ending.into_builder(&mut rubbish));
        Abandoned {
            parts: self.parts,
            below: self.below,
            open: open.map(|builder| (Box::default(), builder)),
            unused: vec![self.unused, self.finished.vocabularies.into_values()],
            rubbish,
            ..Abandoned::default()
        }
    }

    /// All of it, once it is done.
    pub fn finish(self) -> Finished {
        self.finished
    }
}
