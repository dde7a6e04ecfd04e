//! Hosts and metrics that a document no longer has: carried over into the new cluster until their
//! DMAX has passed.
//!
//! They are shown, but neither summed nor stored. Memory and names bound how many there are.

use std::sync::Arc;

use super::ClusterBuilder;
use crate::model::{Cluster, DefId, Host, Metric, MetricDef};

/// Most hosts carried over; the oldest are dropped first.
pub(super) const MAX_CARRIED_HOSTS: usize = 100_000;

/// Memory of a document up to which anything is carried over into it.
const CARRY_BELOW_BYTES: usize = 512 << 20;

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
    /// Keeps the values of the open host, which is complete, that the document no longer has.
    pub(super) fn carry_metrics(&mut self, before: &Cluster, known: &Host) {
        let Some(host) = self.hosts.last() else {
            return;
        };
        let old = before.metrics_of(known);
        let new = &self.metrics[host.metrics()];
        let same = old.len() == new.len()
            && self.before.is_aligned()
            && old.iter().zip(new).all(|(old, new)| old.def() == new.def());
        if same {
            return;
        }
        let age = host.received.ticks_since(known.received);
        for metric in old {
            let def = &before.defs[metric.def() as usize];
            let Some(id) = self.id_if_alive(metric, def, age) else {
                continue;
            };
            if !self.sums.host_has(self.vocabulary.name_of(id))
                && self.carry_metric(metric.carried(id, age)).is_err()
            {
                break;
            }
        }
        let metrics = self.metrics.len() as u32;
        if let Some(host) = self.hosts.last_mut() {
            host.metric_count = metrics - host.first_metric;
        }
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
