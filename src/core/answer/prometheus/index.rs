//! The metrics of one cluster by definition, so that a family is written across all hosts.
//!
//! Four bytes a metric, and the hosts' names. Built when the cluster's first family is written.

use super::push_label_value;
use crate::model::{Cluster, DefId, DefList, Host, Mono, is_up};

/// The metrics of a cluster by definition, in the order of the hosts.
#[derive(Debug)]
pub(super) struct Index {
    /// By definition, and one more: where its metrics start.
    starts: Vec<u32>,
    /// Places of the cluster's metrics.
    metrics: Vec<u32>,
    /// Names of the hosts as they are written, one after the other. Each family is written across
    /// all hosts, and a look-up of each host's name in its own allocation would take most of the
    /// time.
    names: Vec<u8>,
    /// By host: where its name ends.
    name_ends: Vec<u32>,
}

impl Index {
    /// Of the values of hosts that are up, without those past their DMAX.
    pub fn new(cluster: &Cluster, defs: &DefList, now: Mono) -> Index {
        let mut starts = vec![0_u32; defs.len(cluster) + 1];
        each_sample(cluster, defs, now, |_, def| starts[def as usize + 1] += 1);
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut metrics = vec![0; starts.last().map_or(0, |&end| end as usize)];
        let mut next = starts.clone();
        each_sample(cluster, defs, now, |metric, def| {
            let next = &mut next[def as usize];
            metrics[*next as usize] = metric;
            *next += 1;
        });
        let mut names = Vec::new();
        let name_ends = cluster.all_hosts().map(|host| {
            push_label_value(&mut names, &host.info.name);
            names.len() as u32
        });
        Index {
            starts,
            metrics,
            name_ends: name_ends.collect(),
            names,
        }
    }

    /// A host's name, as it is written.
    pub fn name(&self, host: usize) -> &[u8] {
        let start = host.checked_sub(1).map_or(0, |at| self.name_ends[at]);
        &self.names[start as usize..self.name_ends[host] as usize]
    }

    /// The metrics of a definition.
    pub fn of(&self, def: DefId) -> &[u32] {
        let [start, end] = [def, def + 1].map(|at| self.starts[at as usize] as usize);
        &self.metrics[start..end]
    }
}

/// Calls `each` with every metric that has a sample and its definition, hosts in order.
fn each_sample(cluster: &Cluster, defs: &DefList, now: Mono, mut each: impl FnMut(u32, DefId)) {
    // Hosts list about the same metrics, so their definitions are in the processor's cache.
    for host in cluster.all_hosts().filter(|h| is_up_now(h, cluster, now)) {
        let age = now.secs_since(host.received);
        let moved = defs.moved(host.part);
        for (at, metric) in host.places().zip(host.values()) {
            let def = host.def(metric);
            if def.ty().is_numeric() && !metric.is_expired(def.fields().dmax, age) {
                let id = metric.def();
                each(at as u32, moved.map_or(id, |moved| moved[id as usize]));
            }
        }
    }
}

/// Whether the host still counts as up. The document that said so may be old.
pub fn is_up_now(host: &Host, cluster: &Cluster, now: Mono) -> bool {
    let age = i64::from(now.secs_since(host.received));
    host.up
        && is_up(
            &host.info,
            host.live_tn(now),
            host.reported,
            cluster.localtime.saturating_add(age),
        )
        && !host.is_expired(now)
}

/// The host that has the metric: most often `last` or the one after it.
pub(super) fn host_of(cluster: &Cluster, metric: u32, last: usize) -> usize {
    let metric = metric as usize;
    let has = |at: usize| at < cluster.host_count() && cluster.host(at).places().contains(&metric);
    if has(last) {
        last
    } else if has(last + 1) {
        last + 1
    } else {
        cluster.host_with(metric)
    }
}
