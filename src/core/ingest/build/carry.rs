//! Hosts and metrics that a document no longer has: carried over into the new cluster until their
//! DMAX has passed.
//!
//! They are shown, but neither summed nor stored. Memory and names bound how many there are.

use std::ops::Range;
use std::sync::Arc;

use super::ClusterBuilder;
use crate::model::{Cluster, DefId, Metric, MetricDef};

/// Most hosts carried over; the oldest are dropped first.
pub(super) const MAX_CARRIED_HOSTS: usize = 100_000;

/// Memory of a document up to which anything is carried over into it.
const CARRY_BELOW_BYTES: usize = 512 << 20;

/// What carrying one value over costs more than looking at it.
pub(super) const CARRY_COST: usize = 4;

/// Values of one host that are being carried over.
#[derive(Debug)]
pub(in crate::ingest) struct Carrying {
    before: Arc<Cluster>,
    /// The next ones, by their place there.
    left: Range<usize>,
    /// How much older they are by now.
    age: u32,
}

/// How much may be carried over, and how much was.
#[derive(Debug)]
pub(super) struct Carried {
    /// Most names.
    pub max_names: usize,
    /// Names that the document did not have by then.
    names: usize,
    /// Memory of the rest of the document.
    pub other_bytes: usize,
}

impl Default for Carried {
    fn default() -> Carried {
        Carried {
            max_names: usize::MAX,
            names: 0,
            other_bytes: 0,
        }
    }
}

/// No more can be carried over.
pub(super) struct Full;

impl ClusterBuilder {
    /// The values that the open host, which is complete, had and that the document may no longer have.
    pub(super) fn begin_carrying(&self) -> Option<Carrying> {
        let host = self.hosts.last()?;
        // Nothing is carried over twice: a host that comes again is not `known`.
        let (before, known) = (self.before.cluster()?, self.before.host()?);
        let known = &before.hosts[known];
        let old = before.metrics_of(known);
        let new = &self.metrics[host.metrics()];
        let same = old.len() == new.len()
            && self.before.is_aligned()
            && old.iter().zip(new).all(|(old, new)| old.def() == new.def());
        (!same).then(|| Carrying {
            left: known.metrics(),
            age: host.received.ticks_since(known.received),
            before: Arc::clone(before),
        })
    }

    /// Keeps those values, by about so many. Returns whether it has to go on.
    pub fn carry_some(&mut self, carrying: &mut Carrying, budget: &mut usize) -> bool {
        let Carrying { before, left, age } = carrying;
        while *budget > 0 {
            let Some(at) = left.next() else {
                break;
            };
            *budget = budget.saturating_sub(CARRY_COST);
            let metric = &before.metrics[at];
            let def = &before.defs[metric.def() as usize];
            let Some(id) = self.id_if_alive(metric, def, *age) else {
                continue;
            };
            if !self.sums.host_has(self.vocabulary.name_of(id))
                && self.carry_metric(metric.carried(id, *age)).is_err()
            {
                *left = 0..0;
            }
        }
        let metrics = self.metrics.len() as u32;
        if let Some(host) = self.hosts.last_mut() {
            host.metric_count = metrics - host.first_metric;
        }
        left.start < left.end
    }

    /// Keeps a value of a host that the document did not name, unless its DMAX has passed.
    pub(super) fn carry_of_gone(
        &mut self,
        before: &Cluster,
        metric: &Metric,
        age: u32,
    ) -> Result<(), Full> {
        let def = &before.defs[metric.def() as usize];
        match self.id_if_alive(metric, def, age) {
            Some(id) => self.carry_metric(metric.carried(id, 0)),
            None => Ok(()),
        }
    }

    fn id_if_alive(&mut self, metric: &Metric, def: &Arc<MetricDef>, age: u32) -> Option<DefId> {
        if metric.is_expired(def.fields().dmax, age) {
            return None;
        }
        self.carried_id(metric, def)
    }

    fn carry_metric(&mut self, metric: Metric) -> Result<(), Full> {
        if !self.may_carry() {
            return Err(Full);
        }
        self.text_bytes += metric.val.heap_bytes();
        self.metrics.push(metric);
        Ok(())
    }

    pub(super) fn may_carry(&self) -> bool {
        self.bytes() + self.carried.other_bytes < CARRY_BELOW_BYTES
    }

    /// The index for a value that is carried over. `None`: enough names are carried over already
    /// that the document itself does not have.
    fn carried_id(&mut self, metric: &Metric, def: &Arc<MetricDef>) -> Option<DefId> {
        let enough = self.carried.names >= self.carried.max_names;
        let id = if self.before.is_aligned() {
            metric.def()
        } else if enough && self.vocabulary.candidates(def.name()).next().is_none() {
            return None;
        } else {
            self.add_def(def)
        };
        let name = self.vocabulary.name_of(id);
        if self.sums.is_unseen(name) {
            if enough {
                return None;
            }
            self.sums.note_carried(name);
            self.carried.names += 1;
        }
        Some(id)
    }
}
