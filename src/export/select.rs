//! Which hosts and values of an update are exported.
//!
//! How they are written is up to each export.

use std::sync::Arc;

use gmetad_core::model::{Cluster, Host, Metric, MetricDef, Node};
use gmetad_core::plugin::Update;

/// The cluster of an update; none if its source is down, or if it is a grid.
///
/// C gmetad exports no summaries either.
pub fn cluster(update: &Update) -> Option<&Arc<Cluster>> {
    match &update.node {
        Node::Cluster(cluster) if update.up => Some(cluster),
        _ => None,
    }
}

/// The hosts in this document, up or down.
pub fn hosts(cluster: &Cluster) -> impl Iterator<Item = &Host> {
    cluster.hosts.iter().filter(|host| host.fresh)
}

/// The values of a host in this document whose DMAX has not passed; none if the host is down.
pub fn metrics<'a>(
    cluster: &'a Cluster,
    host: &'a Host,
) -> impl Iterator<Item = (&'a MetricDef, &'a Metric)> {
    let metrics = if host.up {
        cluster.metrics_of(host)
    } else {
        &[]
    };
    metrics
        .iter()
        .map(|metric| (cluster.def(metric), metric))
        .filter(|(def, metric)| metric.is_fresh() && !metric.is_expired(def.fields().dmax, 0))
}
