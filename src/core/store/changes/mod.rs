//! Changes of what the sources have brought, one after the other, each in steps.
//!
//! What a change needs is worked out beside what is there, which then changes in one step. A document
//! may bring thousands of clusters, and a cluster hundreds of thousands of hosts.

mod steps;

use std::sync::Arc;

use super::expiry::Sifting;
use super::merge::Merging;
use super::rivals::{Contest, Rivals};
use super::{LeftOut, SourceId, Store};
use crate::ingest::{Abandoned, Document, Parser};
use crate::model::{Cluster, Mono, Node, NodeList, Now, Stamp};

/// What looking at a node costs: its name is looked up in several tables.
const NODE_COST: usize = 8;

/// A change that is complete.
#[derive(Debug)]
pub struct Changed {
    /// Whose.
    pub id: SourceId,
    /// Whether the source was up before.
    pub was_up: bool,
    /// Whether anything is different now.
    pub has_changed: bool,
    /// After a document, what it brought as it is shown: a cluster that other sources bring too also has
    /// their hosts, which are not fresh. After a failure, what the source brought last. With its stamps.
    pub nodes: Vec<(Node, Stamp)>,
}

/// Why the data of a source change.
#[derive(Debug)]
enum Cause {
    /// Its document has ended well.
    Document(Box<Document>),
    /// Its poll has failed.
    Failure,
    /// What is past its DMAX goes.
    Expiry,
    /// It is removed.
    Removal,
    /// None: the order of the sources changes.
    Order(Vec<SourceId>),
    /// Its document is rejected, which changes nothing that is shown.
    Rejection(Box<Abandoned>),
}

/// A change under way.
#[derive(Debug)]
pub(super) struct Change {
    id: SourceId,
    cause: Cause,
    now: Now,
    stage: Stage,
    was_up: bool,
    /// What the source has brought before, and brings from then on.
    old: Arc<NodeList>,
    new: Arc<NodeList>,
    /// Names that other sources bring too, and whether the source has just brought them.
    names: Vec<(Box<str>, bool)>,
    /// Those that are worked out.
    ready: Vec<Ready>,
    left_out: Option<LeftOut>,
    contest: Option<Contest>,
    /// How far ahead of ours the source's clock is, at most.
    ahead: Option<i64>,
    has_changed: bool,
    result: Vec<(Node, Stamp)>,
}

#[derive(Debug)]
enum Stage {
    Begin,
    /// The document's nodes are listed.
    List {
        left: std::vec::IntoIter<Node>,
        list: NodeList,
    },
    /// Names that other sources bring too and that the change concerns are looked for among the nodes so
    /// far, from that one on.
    Names(usize),
    /// The clusters are looked through for what is past its DMAX.
    Sift {
        nodes: Vec<Node>,
        sifting: Option<Box<Sifting>>,
    },
    /// Names that other sources bring too are worked out, from that one on.
    Share {
        at: usize,
        merging: Option<Box<Merging>>,
    },
    /// All is ready: the data change.
    Change,
    /// Where there are many nodes: what is ready takes its place, while the last snapshot is shown.
    Settle(std::vec::IntoIter<Ready>),
    /// What was known before the rejected document is taken out of it.
    Reject,
    /// Names that the source does not bring any more are forgotten.
    Forget(usize),
    /// What it has brought is told.
    Tell(usize),
    Done,
}

/// What is to be known of a name that several sources bring, or brought until now.
#[derive(Debug)]
struct Ready {
    name: Box<str>,
    /// `None`: only one source brings it from now on.
    rivals: Option<Rivals>,
    merged: Option<Arc<Cluster>>,
}

#[cfg(test)]
impl Change {
    pub fn is_document(&self) -> bool {
        matches!(self.cause, Cause::Document(_))
    }
}

impl Store {
    /// Begins to replace a source's data by those of a document.
    pub fn begin_commit(&mut self, id: SourceId, document: Document, now: Now) {
        self.begin_change(id, Cause::Document(Box::new(document)), now);
    }

    /// Begins to reject a document. What was known before it is kept for the next one.
    pub fn begin_abort(&mut self, id: SourceId, parser: Parser) {
        let abandoned = Box::new(parser.abandon());
        self.begin_change(id, Cause::Rejection(abandoned), Now::default());
    }

    /// Begins to mark a source down. Its data stay and age. In clusters that others bring too, its hosts
    /// are no longer summed.
    pub fn begin_fail(&mut self, id: SourceId, now: Now) {
        self.begin_change(id, Cause::Failure, now);
    }

    /// Begins to drop hosts and metrics of a source whose DMAX has passed.
    pub fn begin_expiry(&mut self, id: SourceId, now: Now) {
        self.begin_change(id, Cause::Expiry, now);
    }

    /// Begins to remove a source and its data. Its parser must have been given back. Its number is in use
    /// until that is done.
    pub fn begin_removal(&mut self, id: SourceId, now: Mono) {
        let now = Now {
            mono: now,
            ..Now::default()
        };
        self.begin_change(id, Cause::Removal, now);
    }

    /// Changes the order of the sources once all changes under way are done. `order` has each source once
    /// that is there by then; those that it does not have come last.
    pub fn begin_order(&mut self, order: Vec<SourceId>) {
        let first = order.first().copied().unwrap_or(SourceId(0));
        self.begin_change(first, Cause::Order(order), Now::default());
    }

    fn begin_change(&mut self, id: SourceId, cause: Cause, now: Now) {
        self.changes.push_back(Change {
            id,
            cause,
            now,
            stage: Stage::Begin,
            was_up: false,
            old: Arc::default(),
            new: Arc::default(),
            names: Vec::new(),
            ready: Vec::new(),
            left_out: None,
            contest: None,
            ahead: None,
            has_changed: false,
            result: Vec::new(),
        });
    }

    /// Whether changes are under way.
    pub fn is_changing(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Whose change is under way.
    pub fn changing(&self) -> Option<SourceId> {
        self.changes.front().map(|change| change.id)
    }

    /// Whether the change under way has taken place: what is left is to tell of it.
    pub fn has_taken_place(&self) -> bool {
        let stage = self.changes.front().map(|change| &change.stage);
        matches!(
            stage,
            Some(Stage::Settle(_) | Stage::Forget(_) | Stage::Tell(_))
        )
    }

    /// Goes on with the first of the changes by about so many entries. Returns it once it is complete.
    pub fn change_some(&mut self, mut budget: usize) -> Option<Changed> {
        let mut change = self.changes.pop_front()?;
        while budget > 0 {
            change.go_on(self, &mut budget);
            if matches!(change.stage, Stage::Done) {
                return Some(Changed {
                    id: change.id,
                    was_up: change.was_up,
                    has_changed: change.has_changed,
                    nodes: change.result,
                });
            }
        }
        self.changes.push_front(change);
        None
    }

    /// Goes on with the changes until the last one is complete.
    pub(super) fn finish_changes(&mut self) -> Option<Changed> {
        let mut last = None;
        while self.is_changing() {
            last = self.change_some(usize::MAX).or(last);
        }
        last
    }

    /// Completes a change that has taken place and is not complete.
    pub(super) fn settle(&mut self) {
        while self.is_settling
            && let Some(mut change) = self.changes.pop_front()
        {
            change.go_on(self, &mut usize::MAX.clone());
            self.changes.push_front(change);
        }
    }

    /// What several sources bring is known anew.
    fn take(&mut self, ready: Ready) {
        let Ready {
            name,
            rivals,
            merged,
        } = ready;
        let old = match merged {
            Some(merged) => self.shared.insert(name.clone(), merged),
            None => self.shared.remove(&name),
        };
        if let Some(old) = old {
            self.rubbish.add_cluster(old);
        }
        let before = match rivals {
            Some(rivals) => self.rivals.insert(name, rivals),
            None => self.rivals.remove(&name),
        };
        if let Some(before) = before {
            before.discard(&mut self.rubbish);
        }
    }

    /// The time and the lead of a node that a source has brought.
    pub(super) fn stamp(&self, id: SourceId, node: &Node, now: Now) -> Stamp {
        let time = self.sources[id.0].clock.time(node.localtime(), now);
        match self.rivals.get(node.name()) {
            None => Stamp { time, leads: true },
            // The files are those of the first, whose clock may be behind this one's.
            Some(rivals) if rivals.first != id => Stamp {
                time: time.at_most(0, now),
                leads: rivals.leader == id,
            },
            Some(rivals) => Stamp {
                time,
                leads: rivals.leader == id,
            },
        }
    }
}
