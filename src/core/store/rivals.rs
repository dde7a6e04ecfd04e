//! Names that several sources bring: which source each belongs to.
//!
//! What is brought first stays while it is brought: no other source can take it away by naming it.

use std::sync::Arc;

use super::SourceId;
use super::union::Union;
use crate::model::{Cluster, Rubbish};

/// One source's cluster of the name.
#[derive(Debug)]
pub(super) struct Part {
    /// Of the source.
    pub id: SourceId,
    pub cluster: Arc<Cluster>,
    /// Whether its hosts are summed.
    pub is_summed: bool,
}

/// A cluster's or grid's name that several sources bring.
#[derive(Debug)]
pub(super) struct Rivals {
    /// The one that brought it first.
    pub first: SourceId,
    /// The one whose attributes, clock and rhythm it has: the first that answers.
    pub leader: SourceId,
    /// What is known of the cluster from change to change. While one of the sources brings a grid of that
    /// name, it is as it was before.
    pub union: Option<Box<Union>>,
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
    /// tells of each whether it answers. What is known of the cluster is taken out of those before.
    pub fn of(
        before: Option<&mut Rivals>,
        bringers: &[SourceId],
        newest: Option<SourceId>,
        is_up: &[bool],
    ) -> Rivals {
        let known = before.as_ref().map(|it| it.first);
        let first = known.filter(|id| bringers.contains(id));
        // Without any before: the one that was there when this one came.
        let others = bringers.iter().find(|id| Some(**id) != newest);
        let first = first.or(others.copied()).unwrap_or(bringers[0]);
        let mut answering = bringers.iter().zip(is_up).filter(|(_, is_up)| **is_up);
        let leader = if answering.clone().any(|(id, _)| *id == first) {
            Some(first)
        } else {
            answering.next().map(|(id, _)| *id)
        };
        Rivals {
            first,
            leader: leader.unwrap_or(first),
            union: before.and_then(|it| it.union.take()),
            contest: None,
        }
    }

    /// Drops it step by step.
    pub fn discard(self, rubbish: &mut Rubbish) {
        if let Some(union) = self.union {
            union.discard(rubbish);
        }
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
