//! The pass that puts a changed tree's arrays in order, and finds the nodes that it moved.
//!
//! Decides nothing: `edits` has what was added and removed.

use std::collections::HashMap;

use super::edits::Edits;
use super::{NodeId, Owner, Tree, owner_of};
use crate::model::{Cluster, Host, Summary, order_by_name};

impl Tree<'_> {
    /// Puts the arrays in order, so that the update is an ordinary one.
    pub fn finish(mut self) {
        let edits = std::mem::take(&mut self.edits);
        let mut moved = Moved::default();
        self.drop_extras(&edits, &mut moved);
        if !edits.gone_sums.is_empty() {
            drop_sums(self.summary_mut(), &edits, &mut moved);
        }
        if edits.has_removed || !edits.owners.is_empty() || edits.hosts_by_name.is_some() {
            let base = self.base.hosts;
            if let Some(cluster) = self.cluster_mut() {
                flatten(cluster, &edits, base, &mut moved);
            }
        }
        if moved.is_any() {
            self.invented_mut().follow(|node| moved.node(node));
        }
    }

    fn drop_extras(&mut self, edits: &Edits, moved: &mut Moved) {
        let mut by_owner: HashMap<Owner, Vec<u16>> = HashMap::new();
        for &(owner, at) in &edits.gone_extras {
            by_owner.entry(owner).or_default().push(at);
        }
        for (owner, gone) in by_owner {
            let mut fields = self.fields(owner).clone();
            let mut at = 0;
            fields.extra.retain(|_| {
                at += 1;
                !gone.contains(&(at - 1))
            });
            // If the list of definitions is full, the element stays.
            if self.redefine(owner, fields).is_ok() {
                moved.extras.insert(owner, gone);
            }
        }
    }
}

/// Where nodes are after the arrays were put in order.
#[derive(Default)]
struct Moved {
    hosts: Option<Vec<u32>>,
    metrics: Option<Vec<u32>>,
    sums: Option<Vec<u32>>,
    /// Places of removed ones.
    extras: HashMap<Owner, Vec<u16>>,
}

/// Sentinel: removed.
const GONE: u32 = u32::MAX;

impl Moved {
    fn is_any(&self) -> bool {
        self.hosts.is_some()
            || self.metrics.is_some()
            || self.sums.is_some()
            || !self.extras.is_empty()
    }

    fn node(&self, node: NodeId) -> Option<NodeId> {
        Some(match node {
            NodeId::Top => node,
            NodeId::Host(at) => NodeId::Host(place(self.hosts.as_deref(), at)?),
            NodeId::Metric(_) | NodeId::Sum(_) => self.owner(owner_of(node)?)?.node(),
            NodeId::ExtraData(owner) => NodeId::ExtraData(self.owner(owner)?),
            NodeId::Extra(owner, at) => {
                let gone = self.extras.get(&owner).map_or(&[][..], Vec::as_slice);
                if gone.contains(&at) {
                    return None;
                }
                let before = gone.iter().filter(|gone| **gone < at).count() as u16;
                NodeId::Extra(self.owner(owner)?, at - before)
            }
        })
    }

    fn owner(&self, owner: Owner) -> Option<Owner> {
        Some(match owner {
            Owner::Metric(at) => Owner::Metric(place(self.metrics.as_deref(), at)?),
            Owner::Sum(at) => Owner::Sum(place(self.sums.as_deref(), at)?),
        })
    }
}

fn place(moved: Option<&[u32]>, at: u32) -> Option<u32> {
    let new = moved.map_or(at, |moved| moved[at as usize]);
    (new != GONE).then_some(new)
}

fn drop_sums(summary: &mut Summary, edits: &Edits, moved: &mut Moved) {
    let mut places = Vec::with_capacity(summary.metrics.len());
    let mut kept = 0;
    summary.metrics.retain(|_| {
        let stays = !edits.gone_sums.contains(&(places.len() as u32));
        places.push(if stays { kept } else { GONE });
        kept += u32::from(stays);
        stays
    });
    moved.sums = Some(places);
}

/// Rewrites hosts and metrics without the removed ones. A host's added metrics come after its others.
fn flatten(cluster: &mut Cluster, edits: &Edits, base_hosts: usize, moved: &mut Moved) {
    let mut hosts_to = vec![GONE; cluster.hosts.len()];
    let mut metrics_to = vec![GONE; cluster.metrics.len()];
    let mut hosts = Vec::with_capacity(cluster.hosts.len());
    let mut metrics = Vec::with_capacity(cluster.metrics.len());
    for (at, host) in std::mem::take(&mut cluster.hosts).into_iter().enumerate() {
        if edits.gone_hosts.contains(&(at as u32)) {
            continue;
        }
        hosts_to[at] = hosts.len() as u32;
        let first_metric = metrics.len() as u32;
        let own = if at < base_hosts {
            host.metrics()
        } else {
            0..0
        };
        let added = edits.added_of.get(&(at as u32));
        let added = added.into_iter().flatten().map(|&at| at as usize);
        for at in own.chain(added) {
            if !edits.has_removed || !edits.gone_metrics.contains(&(at as u32)) {
                metrics_to[at] = metrics.len() as u32;
                metrics.push(cluster.metrics[at].clone());
            }
        }
        hosts.push(Host {
            first_metric,
            metric_count: metrics.len() as u32 - first_metric,
            ..host
        });
    }
    if edits.hosts_by_name.is_some() || !edits.gone_hosts.is_empty() {
        cluster.by_name = order_by_name(&hosts).0;
    }
    (cluster.hosts, cluster.metrics) = (hosts, metrics);
    (moved.hosts, moved.metrics) = (Some(hosts_to), Some(metrics_to));
}
