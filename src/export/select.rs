//! Which hosts and values of an update are exported.
//!
//! How they are written is up to each export.

use std::sync::Arc;

use gmetad_core::model::{Cluster, Metric, MetricDef, Node, ShownHost};
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
pub fn hosts(cluster: &Cluster) -> impl Iterator<Item = ShownHost<'_>> {
    cluster.fresh_hosts()
}

/// The values of a host in this document whose DMAX has not passed; none if the host is down.
pub fn metrics(host: ShownHost<'_>) -> impl Iterator<Item = (&MetricDef, &Metric)> {
    let metrics = if host.up { host.values() } else { &[] };
    metrics
        .iter()
        .map(move |metric| (&**host.def(metric), metric))
        .filter(|(def, metric)| metric.is_fresh() && !metric.is_expired(def.fields().dmax, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::update_of;

    fn cluster_of(host: &str, metrics: &[(&str, &str)]) -> Cluster {
        let metric = |(name, val): &(&str, &str)| {
            format!("<METRIC NAME=\"{name}\" VAL=\"{val}\" TYPE=\"int32\" TN=\"1\"/>")
        };
        let metrics: String = metrics.iter().map(metric).collect();
        let xml = format!(
            "<GANGLIA_XML><CLUSTER NAME=\"c\"><HOST NAME=\"{host}\" TN=\"1\" TMAX=\"20\">{metrics}</HOST>\
             </CLUSTER></GANGLIA_XML>"
        );
        match update_of(xml.as_bytes()).node {
            Node::Cluster(cluster) => Cluster::clone(&cluster),
            Node::Grid(_) => unreachable!(),
        }
    }

    #[test]
    fn of_a_cluster_of_several_sources_what_the_newest_document_brought_is_exported() {
        let a = cluster_of("a", &[("one", "1"), ("two", "2")]);
        let b = cluster_of("b", &[("two", "3"), ("one", "4")]);
        let told = |newest| {
            let parts = vec![a.clone().into(), b.clone().into()];
            let whole = Cluster::of_parts("c", parts, newest);
            let mut told = Vec::new();
            for host in hosts(&whole) {
                let values = metrics(host);
                let values =
                    values.map(|(def, metric)| format!("{} {}", def.name(), metric.val.as_str()));
                told.push((host.info.name.to_string(), values.collect::<Vec<_>>()));
            }
            told
        };
        assert_eq!(
            told(Some(0)),
            [("a".into(), vec!["one 1".into(), "two 2".into()])]
        );
        assert_eq!(
            told(Some(1)),
            [("b".into(), vec!["two 3".into(), "one 4".to_owned()])]
        );
        assert!(told(None).is_empty());
    }
}
