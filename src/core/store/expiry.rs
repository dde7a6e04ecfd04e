//! Hosts and metrics of a cluster whose DMAX has passed: left out, in steps.
//!
//! No clock: `now` comes in.

use std::sync::Arc;

use crate::model::{Cluster, Host, Metric, Mono, Summary};

/// In place of a place: the host is left out.
const GONE: u32 = u32::MAX;

/// A cluster that is looked through.
#[derive(Debug)]
pub(super) struct Sifting {
    cluster: Arc<Cluster>,
    now: Mono,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Something that is past its DMAX is looked for, from that value of that host on.
    Look { host: usize, metric: usize },
    /// What stays is copied, from that value of that host on.
    Copy {
        rest: Box<Cluster>,
        /// By host: its new place.
        places: Vec<u32>,
        metric: usize,
    },
    /// The sums are copied: they are those of the last document.
    Sums {
        rest: Box<Cluster>,
        places: Vec<u32>,
    },
    /// Those that stay are put in the order of names.
    Order {
        rest: Box<Cluster>,
        places: Vec<u32>,
        by_name: Vec<u32>,
        at: usize,
    },
    /// The cluster without them, if there were any.
    Done(Option<Box<Cluster>>),
}

impl Sifting {
    pub fn new(cluster: Arc<Cluster>, now: Mono) -> Sifting {
        Sifting {
            cluster,
            now,
            stage: Stage::Look { host: 0, metric: 0 },
        }
    }

    /// Goes on. Returns whether it has to go on once more.
    pub fn step(&mut self, budget: &mut usize) -> bool {
        while *budget > 0 {
            let stage = std::mem::replace(&mut self.stage, Stage::Done(None));
            self.stage = match stage {
                Stage::Look { host, metric } => self.look(host, metric, budget),
                Stage::Copy {
                    rest,
                    places,
                    metric,
                } => self.copy(rest, places, metric, budget),
                Stage::Sums { rest, places } => self.copy_sums(rest, places, budget),
                Stage::Order {
                    rest,
                    places,
                    by_name,
                    at,
                } => self.put_in_order(rest, places, by_name, at, budget),
                Stage::Done(rest) => {
                    self.stage = Stage::Done(rest);
                    return false;
                }
            };
        }
        true
    }

    /// The cluster without hosts and metrics whose DMAX has passed; `None` if there are none.
    pub fn finish(self) -> Option<Cluster> {
        match self.stage {
            Stage::Done(rest) => rest.map(|rest| *rest),
            _ => None,
        }
    }

    fn is_expired(&self, host: &Host, metric: &Metric) -> bool {
        let dmax = self.cluster.def(metric).fields().dmax;
        metric.is_expired(dmax, self.now.secs_since(host.received))
    }

    fn look(&self, mut at: usize, mut metric: usize, budget: &mut usize) -> Stage {
        while let Some(host) = self.cluster.hosts.get(at) {
            if *budget == 0 {
                return Stage::Look { host: at, metric };
            }
            *budget = budget.saturating_sub(1);
            let values = self.cluster.metrics_of(host);
            let end = values.len().min(metric.saturating_add(*budget + 1));
            let piece = &values[metric..end];
            *budget = budget.saturating_sub(piece.len());
            if host.is_expired(self.now) || piece.iter().any(|it| self.is_expired(host, it)) {
                return self.begin_copy();
            }
            (at, metric) = if end < values.len() {
                (at, end)
            } else {
                (at + 1, 0)
            };
        }
        Stage::Done(None)
    }

    fn begin_copy(&self) -> Stage {
        let cluster = &self.cluster;
        let rest = Cluster {
            defs: Arc::clone(&cluster.defs),
            hosts: Vec::with_capacity(cluster.hosts.len()),
            metrics: Vec::with_capacity(cluster.metrics.len()),
            summary: Summary {
                hosts_up: cluster.summary.hosts_up,
                hosts_down: cluster.summary.hosts_down,
                metrics: Vec::with_capacity(cluster.summary.metrics.len()),
            },
            bytes: cluster.bytes,
            ..cluster.without_hosts()
        };
        Stage::Copy {
            rest: Box::new(rest),
            places: Vec::with_capacity(cluster.hosts.len()),
            metric: 0,
        }
    }

    fn copy(
        &self,
        mut rest: Box<Cluster>,
        mut places: Vec<u32>,
        mut metric: usize,
        budget: &mut usize,
    ) -> Stage {
        while let Some(host) = self.cluster.hosts.get(places.len()) {
            if *budget == 0 {
                return Stage::Copy {
                    rest,
                    places,
                    metric,
                };
            }
            *budget = budget.saturating_sub(1);
            if host.is_expired(self.now) {
                places.push(GONE);
                continue;
            }
            if metric == 0 {
                rest.hosts.push(Host {
                    first_metric: rest.metrics.len() as u32,
                    metric_count: 0,
                    ..host.clone()
                });
            }
            let values = self.cluster.metrics_of(host);
            let end = values.len().min(metric.saturating_add(*budget + 1));
            let piece = &values[metric..end];
            *budget = budget.saturating_sub(piece.len());
            let living = piece.iter().filter(|it| !self.is_expired(host, it));
            rest.metrics.extend(living.cloned());
            let metrics = rest.metrics.len() as u32;
            if let Some(copy) = rest.hosts.last_mut() {
                copy.metric_count = metrics - copy.first_metric;
            }
            if end < values.len() {
                metric = end;
            } else {
                metric = 0;
                places.push(rest.hosts.len() as u32 - 1);
            }
        }
        Stage::Sums { rest, places }
    }

    fn copy_sums(&self, mut rest: Box<Cluster>, places: Vec<u32>, budget: &mut usize) -> Stage {
        let (of, sums) = (&self.cluster.summary.metrics, &mut rest.summary.metrics);
        let end = of.len().min(sums.len().saturating_add(*budget));
        *budget = budget.saturating_sub(end - sums.len() + 1);
        sums.extend_from_slice(&of[sums.len()..end]);
        if end < of.len() {
            return Stage::Sums { rest, places };
        }
        Stage::Order {
            by_name: Vec::with_capacity(rest.hosts.len()),
            rest,
            places,
            at: 0,
        }
    }

    fn put_in_order(
        &self,
        mut rest: Box<Cluster>,
        places: Vec<u32>,
        mut by_name: Vec<u32>,
        at: usize,
        budget: &mut usize,
    ) -> Stage {
        let of = &self.cluster.by_name;
        let end = of.len().min(at.saturating_add(*budget));
        *budget = budget.saturating_sub(end - at + 1);
        let moved = of[at..end].iter().map(|host| places[*host as usize]);
        by_name.extend(moved.filter(|place| *place != GONE));
        if end < of.len() {
            return Stage::Order {
                rest,
                places,
                by_name,
                at: end,
            };
        }
        rest.by_name = by_name.into();
        Stage::Done(Some(rest))
    }
}
