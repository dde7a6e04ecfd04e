//! A cluster that several sources bring: one cluster with the hosts of all of them.
//!
//! Does not choose the sources: the store does.

use std::sync::Arc;

use super::SourceId;
use super::rivals::{Contest, Part, Rivals};
use crate::model::{Cluster, DefId, Host, Mono, SummaryBuilder, Vocabulary, order_by_name};
use crate::summary::{SummaryFilter, add_host};

/// Which of two hosts of one name counts, the greater one: that of a source that is summed, one in its
/// source's newest document, one that is up, that of its owner, the newer one.
type Rank = (bool, bool, bool, bool, Mono, SourceId);

impl Part {
    fn rank(&self, host: &Host, rivals: &Rivals) -> Rank {
        let is_owners = rivals.owns(self.id, &host.info.name);
        let Host { fresh, up, .. } = *host;
        (self.is_summed, fresh, up, is_owners, host.received, self.id)
    }

    /// The rank of its host of that name.
    fn rank_of(&self, name: &str, rivals: &Rivals) -> Option<Rank> {
        let at = self.cluster.find_host(name)?;
        Some(self.rank(&self.cluster.hosts[at], rivals))
    }

    /// Whether its newest document has a host of that name.
    pub fn brings(&self, name: &str) -> bool {
        let at = self.cluster.find_host(name);
        at.is_some_and(|at| self.cluster.hosts[at].fresh)
    }
}

/// One cluster with the hosts of all parts. Its attributes are those of the leader's.
pub(super) fn merge(
    parts: &[Part],
    rivals: &mut Rivals,
    filter: &SummaryFilter,
    now: Mono,
) -> Cluster {
    rivals.learn(parts);
    let mut whole = head_of(parts, rivals.leader);
    let mut vocabulary = Vocabulary::default();
    let mut summary = SummaryBuilder::default();
    for part in parts {
        let defs = part.cluster.defs.iter();
        let moved: Vec<DefId> = defs.map(|def| vocabulary.add(def)).collect();
        if part.cluster.hosts.is_empty() && part.is_summed {
            summary.merge(&part.cluster.summary);
        }
        for host in &part.cluster.hosts {
            if let Some(holder) = holder(parts, part, host, rivals) {
                if part.is_newest && host.fresh && host.up {
                    Contest::add(&mut rivals.contest, &contest(&whole, host, holder));
                }
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
    whole.defs = Arc::new(vocabulary.into_defs());
    whole.by_name = order_by_name(&whole.hosts).0;
    whole.summary = summary.finish();
    whole.received = whole.received.min(now);
    whole
}

/// The source whose host of that name counts instead of the part's.
fn holder(parts: &[Part], part: &Part, host: &Host, rivals: &Rivals) -> Option<SourceId> {
    let (name, rank) = (&host.info.name, part.rank(host, rivals));
    let overrides = |other: &&Part| other.rank_of(name, rivals).is_some_and(|it| it > rank);
    parts.iter().find(overrides).map(|other| other.id)
}

fn contest(whole: &Cluster, host: &Host, holder: SourceId) -> Contest {
    Contest {
        count: 1,
        node: whole.name.clone(),
        host: host.info.name.clone(),
        holder,
    }
}

/// The leader's part without its hosts.
fn head_of(parts: &[Part], leader: SourceId) -> Cluster {
    let leading = parts.iter().find(|part| part.id == leader);
    let mut head = leading.map_or_else(Cluster::default, |Part { cluster, .. }| Cluster {
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
