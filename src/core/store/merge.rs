//! A cluster that several sources bring: one cluster with the hosts of all of them.
//!
//! Does not choose the sources: the store does.

use std::sync::Arc;

use crate::model::{Cluster, DefId, Host, Mono, SummaryBuilder, Vocabulary, order_by_name};
use crate::summary::{SummaryFilter, add_host};

/// One source's cluster of the name.
pub(super) struct Part {
    /// Of the source; of equally new hosts, the higher one's counts.
    pub id: usize,
    pub cluster: Arc<Cluster>,
    /// Whether its hosts are summed.
    pub is_summed: bool,
    /// Whether its document is the one that has just come, so that its hosts are fresh.
    pub is_newest: bool,
}

impl Part {
    /// Which of two hosts of one name counts, the greater one: that of a source that is summed,
    /// then the newer one.
    fn rank(&self, host: &Host) -> (bool, Mono, usize) {
        (self.is_summed, host.received, self.id)
    }

    /// Whether it has a host of that name, and that one counts.
    fn overrides(&self, name: &str, rank: (bool, Mono, usize)) -> bool {
        let at = self.cluster.find_host(name);
        at.is_some_and(|at| self.rank(&self.cluster.hosts[at]) > rank)
    }
}

/// One cluster with the hosts of all parts. Its attributes are those of the newest one.
pub(super) fn merge(parts: &[Part], filter: &SummaryFilter, now: Mono) -> Cluster {
    let mut whole = head_of(parts);
    let mut vocabulary = Vocabulary::default();
    let mut summary = SummaryBuilder::default();
    for part in parts {
        let defs = part.cluster.defs.iter();
        let moved: Vec<DefId> = defs.map(|def| vocabulary.add(def)).collect();
        if part.cluster.hosts.is_empty() && part.is_summed {
            summary.merge(&part.cluster.summary);
        }
        for host in &part.cluster.hosts {
            let rank = part.rank(host);
            if parts.iter().any(|it| it.overrides(&host.info.name, rank)) {
                continue;
            }
            add(&mut whole, part, host, &moved);
            if host.fresh && part.is_summed {
                add_host(&mut summary, &part.cluster, host, filter);
            }
        }
    }
    // Only sums that exist by now can take resets.
    for part in parts {
        if part.is_summed && !part.cluster.hosts.is_empty() {
            summary.note_resets(&part.cluster.summary);
        }
    }
    whole.defs = Arc::clone(vocabulary.defs());
    whole.by_name = order_by_name(&whole.hosts).0;
    whole.summary = summary.finish();
    whole.received = whole.received.min(now);
    whole
}

/// The newest part without its hosts.
fn head_of(parts: &[Part]) -> Cluster {
    let newest = parts.iter().find(|part| part.is_newest);
    let newest = newest.or_else(|| parts.iter().max_by_key(|part| part.cluster.received));
    let mut head = newest.map_or_else(Cluster::default, |Part { cluster, .. }| Cluster {
        name: cluster.name.clone(),
        owner: cluster.owner.clone(),
        latlong: cluster.latlong.clone(),
        url: cluster.url.clone(),
        localtime: cluster.localtime,
        received: cluster.received,
        ..Cluster::default()
    });
    head.bytes = parts.iter().map(|part| part.cluster.bytes).sum();
    head
}

/// Adds a host and its metrics, whose definitions have moved.
fn add(whole: &mut Cluster, part: &Part, host: &Host, moved: &[DefId]) {
    let first_metric = whole.metrics.len() as u32;
    let metrics = part.cluster.metrics_of(host).iter();
    whole
        .metrics
        .extend(metrics.map(|metric| metric.moved(moved[metric.def() as usize])));
    whole.hosts.push(Host {
        fresh: host.fresh && part.is_newest,
        first_metric,
        ..host.clone()
    });
}
