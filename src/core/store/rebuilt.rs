//! A cluster that several sources bring, made anew from all that they bring: what the one that is only changed
//! where something has changed must be.
//!
//! In one go, host by host and value by value.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::SourceId;
use super::rivals::Contest;
use crate::model::{
    Cluster, Host, Mono, Rubbish, SummaryBuilder, Vocabulary, id_of, order_by_name,
};
use crate::summary::{SummaryFilter, add_metric};

/// What one source brings.
pub(super) struct Brought {
    pub id: SourceId,
    pub cluster: Arc<Cluster>,
    pub is_summed: bool,
    pub is_newest: bool,
}

/// By name of the host: who brought it first, of those that still bring it.
pub(super) type Owners = BTreeMap<Box<str>, SourceId>;

type Rank = (bool, bool, bool, bool, Mono, SourceId);

impl Brought {
    fn host(&self, name: &str) -> Option<&Host> {
        let at = self.cluster.find_host(name)?;
        Some(&self.cluster.hosts[at])
    }

    fn rank(&self, host: &Host, owner: Option<SourceId>) -> Rank {
        let is_owners = owner == Some(self.id);
        let Host { fresh, up, .. } = *host;
        (self.is_summed, fresh, up, is_owners, host.received, self.id)
    }
}

/// One cluster with the hosts of all parts, and what the newest brought in vain. Its attributes are those of
/// the leader's.
pub(super) fn rebuilt(
    parts: &[Brought],
    (first, leader): (SourceId, SourceId),
    owners: &mut Owners,
    filter: &SummaryFilter,
    now: Mono,
) -> (Cluster, Option<Contest>) {
    *owners = owners_of(parts, first, owners);
    let leading = parts.iter().find(|it| it.id == leader).unwrap();
    let mut whole = leading.cluster.without_hosts();
    whole.bytes = parts.iter().map(|it| it.cluster.bytes).sum();
    whole.received = whole.received.min(now);
    let (mut vocabulary, mut sums) = (Vocabulary::default(), SummaryBuilder::default());
    let mut contest = None;
    for part in parts {
        let cluster = &part.cluster;
        let moved: Vec<_> = cluster.defs.iter().map(|def| vocabulary.add(def)).collect();
        if cluster.hosts.is_empty() && part.is_summed {
            sums.merge(&cluster.summary);
        }
        for host in &cluster.hosts {
            let name = &host.info.name;
            let owner = owners.get(name).copied();
            let mine = part.rank(host, owner);
            let is_before = |it: &&Brought| it.host(name).is_some_and(|h| it.rank(h, owner) > mine);
            if let Some(holder) = parts.iter().find(is_before) {
                if part.is_newest && host.fresh && host.up {
                    let vain = Contest {
                        count: 1,
                        node: cluster.name.clone(),
                        host: name.clone(),
                        holder: holder.id,
                    };
                    Contest::add(&mut contest, &vain);
                }
                continue;
            }
            let is_summed = part.is_summed && host.fresh;
            whole.hosts.push(Host {
                fresh: host.fresh && part.is_newest,
                first_metric: whole.metrics.len() as u32,
                ..host.clone()
            });
            if is_summed {
                sums.add_hosts(u32::from(host.up), u32::from(!host.up));
            }
            let id = id_of(id_of(0, cluster.name.as_bytes()), name.as_bytes());
            for metric in cluster.metrics_of(host) {
                let def = &cluster.defs[metric.def() as usize];
                whole
                    .metrics
                    .push(metric.moved(moved[metric.def() as usize]));
                if is_summed && host.up {
                    add_metric(&mut sums, def, metric, id, filter);
                }
            }
        }
    }
    // Only sums that exist by now can take them.
    for part in parts
        .iter()
        .filter(|it| it.is_summed && !it.cluster.hosts.is_empty())
    {
        for sum in &part.cluster.summary.metrics {
            sums.note_resets(sum.def.name(), sum.contributors.resets());
        }
    }
    whole.summary = sums.finish();
    whole.defs = Arc::new(vocabulary.into_defs(&mut Rubbish::default()));
    whole.by_name = order_by_name(&whole.hosts).0;
    (whole, contest)
}

fn owners_of(parts: &[Brought], first: SourceId, before: &Owners) -> Owners {
    let all = parts.iter().flat_map(|it| it.cluster.hosts.iter());
    let names: BTreeSet<&str> = all.map(|host| &*host.info.name).collect();
    let owner = |name: &str| {
        let brings = |it: &&Brought| it.host(name).is_some_and(|host| host.fresh);
        let bringing: Vec<SourceId> = parts.iter().filter(brings).map(|it| it.id).collect();
        let known = before.get(name).filter(|id| bringing.contains(id));
        let known = known.or_else(|| bringing.iter().find(|id| **id == first));
        let owner = known.or(bringing.first()).copied();
        owner.map(|id| (name.into(), id))
    };
    names.into_iter().filter_map(owner).collect()
}
