//! Changes of what the sources have brought, one after the other, each in steps.
//!
//! What a change needs is worked out beside what is there, which then changes in one step. A document
//! may bring thousands of clusters, and a cluster hundreds of thousands of hosts.

use std::sync::Arc;

use super::expiry::Sifting;
use super::merge::Merging;
use super::rivals::{Contest, Part, Rivals};
use super::{Carry, LeftOut, SHOWN_AT_ONCE, SourceId, Store};
use crate::ingest::{Abandoned, Document, Parser};
use crate::model::{Cluster, Node, NodeList, Now, SourceClock, Stamp};

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
    /// Nodes that the source does not bring any more are looked for, from that one on.
    Lost(usize),
    /// Names that other sources bring too are looked for, from that node on.
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

    pub(super) fn begin_removal(&mut self, id: SourceId, now: Now) {
        self.begin_change(id, Cause::Removal, now);
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

impl Change {
    fn go_on(&mut self, store: &mut Store, budget: &mut usize) {
        let stage = std::mem::replace(&mut self.stage, Stage::Done);
        self.stage = match stage {
            Stage::Begin => self.begin(store),
            Stage::List { left, list } => self.list(store, left, list, budget),
            Stage::Lost(at) => self.find_lost(store, at, budget),
            Stage::Names(at) => self.find_names(store, at, budget),
            Stage::Sift { nodes, sifting } => self.sift(store, nodes, sifting, budget),
            Stage::Share { at, merging } => self.share(store, at, merging, budget),
            Stage::Change => self.change(store),
            Stage::Settle(ready) => Self::settle(store, ready, budget),
            Stage::Reject => self.reject(store, budget),
            Stage::Forget(at) => self.forget(store, at, budget),
            Stage::Tell(at) => self.tell(store, at, budget),
            Stage::Done => Stage::Done,
        };
    }

    fn begin(&mut self, store: &mut Store) -> Stage {
        let source = &store.sources[self.id.0];
        self.was_up = source.up;
        self.old = Arc::clone(&source.nodes);
        self.new = Arc::clone(&source.nodes);
        match &mut self.cause {
            Cause::Document(document) => {
                store.mark(self.id, document);
                let left = std::mem::take(&mut document.nodes);
                Stage::List {
                    list: NodeList::with_capacity(left.len()),
                    left: left.into_iter(),
                }
            }
            Cause::Failure if !self.was_up => Stage::Tell(0),
            Cause::Failure => Stage::Names(0),
            Cause::Expiry => Stage::Sift {
                nodes: Vec::with_capacity(self.old.nodes().len()),
                sifting: None,
            },
            Cause::Removal => {
                self.new = Arc::default();
                Stage::Lost(0)
            }
            Cause::Rejection(_) => Stage::Reject,
        }
    }

    fn list(
        &mut self,
        store: &mut Store,
        mut left: std::vec::IntoIter<Node>,
        mut list: NodeList,
        budget: &mut usize,
    ) -> Stage {
        while *budget > 0 {
            let Some(node) = left.next() else {
                self.new = Arc::new(list);
                return Stage::Lost(0);
            };
            *budget = budget.saturating_sub(NODE_COST);
            if !store.reserved.may_bring(self.id, node.name()) {
                LeftOut::add(&mut self.left_out, node.name());
                store.rubbish.add_node(node);
                continue;
            }
            self.ahead = self
                .ahead
                .max(SourceClock::ahead(node.localtime(), self.now));
            if self.old.find(node.name()).is_none() {
                store.bringers.add(node.name());
            }
            if store.is_shared(node.name()) {
                self.names.push((node.name().into(), true));
            }
            list.add(node);
        }
        Stage::List { left, list }
    }

    fn find_lost(&mut self, store: &Store, mut at: usize, budget: &mut usize) -> Stage {
        while let Some(node) = self.old.nodes().get(at) {
            if *budget == 0 {
                return Stage::Lost(at);
            }
            *budget = budget.saturating_sub(NODE_COST);
            if self.new.find(node.name()).is_none() && store.is_shared(node.name()) {
                self.names.push((node.name().into(), false));
            }
            at += 1;
        }
        Stage::Share {
            at: 0,
            merging: None,
        }
    }

    fn find_names(&mut self, store: &Store, mut at: usize, budget: &mut usize) -> Stage {
        while let Some(node) = self.old.nodes().get(at) {
            if *budget == 0 {
                return Stage::Names(at);
            }
            *budget = budget.saturating_sub(NODE_COST);
            if store.rivals.contains_key(node.name()) {
                self.names.push((node.name().into(), false));
            }
            at += 1;
        }
        Stage::Share {
            at: 0,
            merging: None,
        }
    }

    fn sift(
        &mut self,
        store: &Store,
        mut nodes: Vec<Node>,
        sifting: Option<Box<Sifting>>,
        budget: &mut usize,
    ) -> Stage {
        if let Some(mut sifting) = sifting {
            if sifting.step(budget) {
                return Stage::Sift {
                    nodes,
                    sifting: Some(sifting),
                };
            }
            let old = &self.old.nodes()[nodes.len()];
            nodes.push(match sifting.finish() {
                None => old.clone(),
                Some(rest) => {
                    self.has_changed = true;
                    if store.is_shared(old.name()) {
                        self.names.push((old.name().into(), true));
                    }
                    Node::Cluster(Arc::new(rest))
                }
            });
        }
        *budget = budget.saturating_sub(1);
        match self.old.nodes().get(nodes.len()) {
            Some(Node::Cluster(cluster)) => {
                let sifting = Sifting::new(Arc::clone(cluster), self.now.mono);
                Stage::Sift {
                    nodes,
                    sifting: Some(Box::new(sifting)),
                }
            }
            Some(grid) => {
                nodes.push(grid.clone());
                Stage::Sift {
                    nodes,
                    sifting: None,
                }
            }
            None if self.has_changed => {
                self.new = Arc::new(self.old.with_nodes(nodes));
                Stage::Share {
                    at: 0,
                    merging: None,
                }
            }
            None => Stage::Forget(0),
        }
    }

    /// A source's node of that name after the change.
    fn node<'a>(&'a self, store: &'a Store, id: SourceId, name: &str) -> Option<&'a Node> {
        if id == self.id {
            self.new.find(name)
        } else {
            store.sources[id.0].nodes.find(name)
        }
    }

    /// Whether a source is up after the change.
    fn is_up(&self, store: &Store, id: SourceId) -> bool {
        match &self.cause {
            Cause::Document(_) if id == self.id => true,
            Cause::Failure | Cause::Removal if id == self.id => false,
            _ => store.sources[id.0].up,
        }
    }

    fn share(
        &mut self,
        store: &mut Store,
        at: usize,
        merging: Option<Box<Merging>>,
        budget: &mut usize,
    ) -> Stage {
        let Some((name, is_brought)) = self.names.get(at) else {
            return Stage::Change;
        };
        if let Some(mut merging) = merging {
            if merging.step(budget) {
                let merging = Some(merging);
                return Stage::Share { at, merging };
            }
            let (merged, rivals) = merging.finish(&mut store.rubbish);
            let ready = Ready {
                name: name.clone(),
                rivals: Some(rivals),
                merged: Some(Arc::new(merged)),
            };
            return self.made_ready(at, ready);
        }
        *budget = budget.saturating_sub(NODE_COST + store.order.ids().len());
        let brings = |id: &SourceId| self.node(store, *id, name).is_some();
        let bringers = store.order.ids().iter().copied();
        let bringers: Vec<SourceId> = bringers.filter(brings).collect();
        if bringers.len() < 2 {
            let ready = Ready {
                name: name.clone(),
                rivals: None,
                merged: None,
            };
            return self.made_ready(at, ready);
        }
        let newest = if *is_brought {
            Some(self.id)
        } else if matches!(self.cause, Cause::Failure) {
            let answering = bringers.iter().filter(|id| self.is_up(store, **id));
            let received = |id: SourceId| self.node(store, id, name).map(Node::received);
            let newest = answering.filter_map(|id| Some((received(*id)?, *id))).max();
            newest.map(|(_, id)| id)
        } else {
            None
        };
        let before = store.rivals.get(name);
        let mut rivals = Rivals::of(before, &bringers, newest, |id| self.is_up(store, id));
        if let Some(parts) = self.parts(store, name, &bringers, newest) {
            let filter = Arc::clone(&store.settings.filter);
            let merging = Merging::new(parts, rivals, filter, self.now.mono);
            return Stage::Share {
                at,
                merging: Some(Box::new(merging)),
            };
        }
        rivals.note_whole(name, newest);
        let ready = Ready {
            name: name.clone(),
            rivals: Some(rivals),
            merged: None,
        };
        self.made_ready(at, ready)
    }

    fn made_ready(&mut self, at: usize, ready: Ready) -> Stage {
        let contest = ready.rivals.as_ref().and_then(|it| it.contest.as_ref());
        if let (Some(contest), (_, true)) = (contest, &self.names[at]) {
            Contest::add(&mut self.contest, contest);
        }
        self.ready.push(ready);
        Stage::Share {
            at: at + 1,
            merging: None,
        }
    }

    /// The clusters of that name, unless one of them is a grid.
    fn parts(
        &self,
        store: &Store,
        name: &str,
        bringers: &[SourceId],
        newest: Option<SourceId>,
    ) -> Option<Vec<Part>> {
        // If no source is up, all are summed as before: `summarize` then leaves the whole cluster
        // out.
        let none_is_up = !bringers.iter().any(|id| self.is_up(store, *id));
        let part = |&id: &SourceId| match self.node(store, id, name) {
            Some(Node::Cluster(cluster)) => Some(Part {
                id,
                cluster: Arc::clone(cluster),
                is_summed: none_is_up || self.is_up(store, id),
                is_newest: Some(id) == newest,
            }),
            _ => None,
        };
        bringers.iter().map(part).collect()
    }

    /// The data change, in one step.
    fn change(&mut self, store: &mut Store) -> Stage {
        let count = store.node_count + self.new.nodes().len() - self.old.nodes().len();
        let is_large = count > SHOWN_AT_ONCE;
        if is_large && store.snapshot.is_none() && store.stale.is_none() {
            // There were few until now. It is shown until the next one is made.
            store.snapshot();
        }
        store.node_count = count;
        let source = &mut store.sources[self.id.0];
        source.nodes = Arc::clone(&self.new);
        let mut is_seen = true;
        match &mut self.cause {
            Cause::Document(document) => {
                source.left_out = self.left_out.take();
                source.contest = self.contest.take();
                source.vocabularies = std::mem::take(&mut document.vocabularies);
                source.up = true;
                source.clock.note_ahead(self.ahead);
                if source.carry == Carry::NothingBegun {
                    source.carry = Carry::Over;
                }
                let rubbish = std::mem::take(&mut document.rubbish);
                store.rubbish.append(rubbish);
                self.has_changed = true;
            }
            Cause::Failure => {
                source.up = false;
                is_seen = !self.names.is_empty();
                self.has_changed = true;
            }
            Cause::Expiry | Cause::Removal | Cause::Rejection(_) => {}
        }
        if is_seen {
            store.touch();
        }
        let ready = std::mem::take(&mut self.ready);
        if is_large {
            store.is_settling = true;
            return Stage::Settle(ready.into_iter());
        }
        for ready in ready {
            store.take(ready);
        }
        Stage::Forget(0)
    }

    fn settle(
        store: &mut Store,
        mut ready: std::vec::IntoIter<Ready>,
        budget: &mut usize,
    ) -> Stage {
        while *budget > 0 {
            let Some(next) = ready.next() else {
                store.is_settling = false;
                return Stage::Forget(0);
            };
            *budget = budget.saturating_sub(NODE_COST);
            store.take(next);
        }
        Stage::Settle(ready)
    }

    fn reject(&mut self, store: &mut Store, budget: &mut usize) -> Stage {
        let Cause::Rejection(abandoned) = &mut self.cause else {
            return Stage::Done;
        };
        if abandoned.step(budget) {
            return Stage::Reject;
        }
        let known = std::mem::take(&mut **abandoned).finish(&mut store.rubbish);
        let source = &mut store.sources[self.id.0];
        source.vocabularies = known;
        if source.carry == Carry::NothingBegun {
            source.carry = Carry::Nothing;
        }
        store.table.tidy();
        Stage::Done
    }

    fn forget(&mut self, store: &mut Store, mut at: usize, budget: &mut usize) -> Stage {
        let is_same = Arc::ptr_eq(&self.old, &self.new) || matches!(self.cause, Cause::Expiry);
        while let Some(node) = self.old.nodes().get(at).filter(|_| !is_same) {
            if *budget == 0 {
                return Stage::Forget(at);
            }
            *budget = budget.saturating_sub(NODE_COST);
            if self.new.find(node.name()).is_none() {
                store.bringers.remove(node.name());
            }
            at += 1;
        }
        let old = std::mem::take(&mut self.old);
        store.rubbish.add_list(old);
        if matches!(self.cause, Cause::Expiry) && store.order.ids().last() == Some(&self.id) {
            store.table.begin_sweep();
        }
        match self.cause {
            Cause::Document(_) | Cause::Failure => Stage::Tell(0),
            Cause::Expiry | Cause::Removal | Cause::Rejection(_) => Stage::Done,
        }
    }

    fn tell(&mut self, store: &mut Store, mut at: usize, budget: &mut usize) -> Stage {
        let nodes = self.new.nodes();
        self.result.reserve_exact(nodes.len() - at);
        while let Some(node) = nodes.get(at) {
            if *budget == 0 {
                return Stage::Tell(at);
            }
            *budget = budget.saturating_sub(NODE_COST);
            let stamp = store.stamp(self.id, node, self.now);
            let shared = match self.cause {
                Cause::Document(_) => store.shared.get(node.name()),
                _ => None,
            };
            let shown = shared.map(|it| Node::Cluster(Arc::clone(it)));
            self.result
                .push((shown.unwrap_or_else(|| node.clone()), stamp));
            at += 1;
        }
        let left = std::mem::take(&mut self.names);
        store.rubbish.add(left);
        Stage::Done
    }
}
