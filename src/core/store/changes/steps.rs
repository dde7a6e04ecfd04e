//! The steps of one change, each a stage that says which comes next.
//!
//! A stage does at most as much as its budget allows, and returns itself where it has more to do.

use std::sync::Arc;

use super::{Cause, Change, NODE_COST, Ready, Stage};
use crate::model::{Node, NodeList, SourceClock};
use crate::store::expiry::Sifting;
use crate::store::merge::Merging;
use crate::store::rivals::{Contest, Part, Rivals};
use crate::store::{Carry, LeftOut, SHOWN_AT_ONCE, SourceId, Store};

impl Change {
    pub(super) fn go_on(&mut self, store: &mut Store, budget: &mut usize) {
        let stage = std::mem::replace(&mut self.stage, Stage::Done);
        self.stage = match stage {
            Stage::Begin => self.begin(store),
            Stage::List { left, list } => self.list(store, left, list, budget),
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
        if let Cause::Order(order) = &mut self.cause {
            store.set_order_now(std::mem::take(order));
            return Stage::Done;
        }
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
                Stage::Names(0)
            }
            Cause::Rejection(_) => Stage::Reject,
            Cause::Order(_) => Stage::Done,
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
                return Stage::Names(0);
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

    fn find_names(&mut self, store: &Store, mut at: usize, budget: &mut usize) -> Stage {
        while let Some(node) = self.old.nodes().get(at) {
            if *budget == 0 {
                return Stage::Names(at);
            }
            *budget = budget.saturating_sub(NODE_COST);
            let is_concerned = match self.cause {
                // It brings them still, but whose hosts are summed may be another matter.
                Cause::Failure => store.rivals.contains_key(node.name()),
                _ => self.new.find(node.name()).is_none() && store.is_shared(node.name()),
            };
            if is_concerned {
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
            if merging.step(budget, &mut store.rubbish) {
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
        let is_up: Vec<bool> = bringers.iter().map(|id| self.is_up(store, *id)).collect();
        let parts = self.parts(store, name, &bringers, &is_up);
        let before = store.rivals.get_mut(name);
        let mut rivals = Rivals::of(before, &bringers, newest, &is_up);
        if let Some(parts) = parts {
            let filter = &store.settings.filter;
            let rubbish = &mut store.rubbish;
            let merging = Merging::new(parts, rivals, newest, filter, self.now.mono, rubbish);
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
        is_up: &[bool],
    ) -> Option<Vec<Part>> {
        // If no source is up, all are summed as before: `summarize` then leaves the whole cluster
        // out.
        let none_is_up = !is_up.contains(&true);
        let part = |(&id, &is_up): (&SourceId, &bool)| match self.node(store, id, name) {
            Some(Node::Cluster(cluster)) => Some(Part {
                id,
                cluster: Arc::clone(cluster),
                is_summed: none_is_up || is_up,
            }),
            _ => None,
        };
        bringers.iter().zip(is_up).map(part).collect()
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
            Cause::Expiry | Cause::Removal | Cause::Rejection(_) | Cause::Order(_) => {}
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
            Cause::Removal => {
                store.drop_source(self.id);
                self.has_changed = true;
                Stage::Done
            }
            Cause::Expiry | Cause::Rejection(_) | Cause::Order(_) => Stage::Done,
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
