//! Hosts and metrics of a cluster whose DMAX has passed.
//!
//! No clock: `now` comes in.

use crate::model::{Cluster, Host, Metric, Mono, order_by_name};

/// The cluster without hosts and metrics whose DMAX has passed; `None` if there are none.
pub(super) fn without_expired(cluster: &Cluster, now: Mono) -> Option<Cluster> {
    let expired = |host: &Host, metric: &Metric| {
        metric.is_expired(
            cluster.def(metric).fields().dmax,
            now.secs_since(host.received),
        )
    };
    let any = cluster.hosts.iter().any(|host| {
        host.is_expired(now)
            || cluster
                .metrics_of(host)
                .iter()
                .any(|metric| expired(host, metric))
    });
    if !any {
        return None;
    }
    let mut rest = Cluster {
        hosts: Vec::new(),
        metrics: Vec::new(),
        ..cluster.clone()
    };
    for host in cluster.hosts.iter().filter(|host| !host.is_expired(now)) {
        let first_metric = rest.metrics.len() as u32;
        let living = cluster
            .metrics_of(host)
            .iter()
            .filter(|metric| !expired(host, metric));
        rest.metrics.extend(living.cloned());
        let metric_count = rest.metrics.len() as u32 - first_metric;
        rest.hosts.push(Host {
            first_metric,
            metric_count,
            ..host.clone()
        });
    }
    rest.by_name = order_by_name(&rest.hosts).0;
    Some(rest)
}
