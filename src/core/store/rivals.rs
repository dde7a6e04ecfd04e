//! Names that several sources bring: which source each belongs to, and whose each host is.
//!
//! What is brought first stays while it is brought: no other source can take it away by naming it.

use std::sync::Arc;

use super::SourceId;
use crate::model::{Cluster, HostInfo, Rubbish};

/// One source's cluster of the name.
#[derive(Debug)]
pub(super) struct Part {
    /// Of the source.
    pub id: SourceId,
    pub cluster: Arc<Cluster>,
    /// Whether its hosts are summed.
    pub is_summed: bool,
    /// Whether its document is the one that has just come, so that its hosts are fresh.
    pub is_newest: bool,
}

/// Whose a host is.
#[derive(Debug)]
pub(super) struct Owner {
    pub host: Arc<HostInfo>,
    pub id: SourceId,
}

/// A cluster's or grid's name that several sources bring.
#[derive(Debug)]
pub(super) struct Rivals {
    /// The one that brought it first.
    pub first: SourceId,
    /// The one whose attributes, clock and rhythm it has: the first that answers.
    pub leader: SourceId,
    /// In the order of names: which source brought a host first, of those that still bring it.
    pub owners: Arc<Vec<Owner>>,
    /// What the newest document brought in vain.
    pub contest: Option<Contest>,
}

/// What a source brought that stays with another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contest {
    /// Hosts, and grids or clusters as a whole.
    pub count: usize,
    /// The cluster or grid of one of them.
    pub node: Box<str>,
    /// That host; empty for the node as a whole.
    pub host: Box<str>,
    /// Who has it.
    pub holder: SourceId,
}

impl Contest {
    /// Adds what was brought in vain elsewhere.
    pub(super) fn add(mine: &mut Option<Contest>, other: &Contest) {
        match mine {
            Some(mine) => mine.count += other.count,
            None => *mine = Some(other.clone()),
        }
    }
}

impl Rivals {
    /// Of a name that `bringers` bring, in their order; `newest` has just sent a document. `is_up`
    /// tells which of them answer.
    pub fn of(
        before: Option<&Rivals>,
        bringers: &[SourceId],
        newest: Option<SourceId>,
        is_up: impl Fn(SourceId) -> bool,
    ) -> Rivals {
        let known = before.map(|it| it.first);
        let first = known.filter(|id| bringers.contains(id));
        // Without any before: the one that was there when this one came.
        let others = bringers.iter().find(|id| Some(**id) != newest);
        let first = first.or(others.copied()).unwrap_or(bringers[0]);
        let answering = bringers.iter().find(|id| is_up(**id));
        let leader = if is_up(first) {
            Some(&first)
        } else {
            answering
        };
        Rivals {
            first,
            leader: leader.copied().unwrap_or(first),
            owners: before.map(|it| Arc::clone(&it.owners)).unwrap_or_default(),
            contest: None,
        }
    }

    /// Replaces whose the hosts are.
    pub fn set_owners(&mut self, owners: Vec<Owner>, rubbish: &mut Rubbish) {
        let before = std::mem::replace(&mut self.owners, Arc::new(owners));
        discard(before, rubbish);
    }

    /// Drops it step by step.
    pub fn discard(self, rubbish: &mut Rubbish) {
        discard(self.owners, rubbish);
    }

    /// Notes that a grid, or a cluster beside one, was brought as a whole while another has the name.
    pub fn note_whole(&mut self, name: &str, newest: Option<SourceId>) {
        if newest.is_some() && newest != Some(self.leader) {
            self.contest = Some(Contest {
                count: 1,
                node: name.into(),
                host: Box::default(),
                holder: self.leader,
            });
        }
    }
}

fn discard(owners: Arc<Vec<Owner>>, rubbish: &mut Rubbish) {
    if let Some(owners) = Arc::into_inner(owners) {
        rubbish.add(owners);
    }
}
