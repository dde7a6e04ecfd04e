//! A small tree for tests.

use std::sync::Arc;

use gmetad_core::model::{
    Cluster, Contributors, Grid, Host, HostInfo, Metric, MetricDef, MetricFields, Mono, Node,
    Snapshot, Summary, SummaryMetric, order_by_name,
};

fn def(name: &str, ty: &str, slope: &str) -> Arc<MetricDef> {
    Arc::new(MetricDef::new(MetricFields {
        name: name.into(),
        type_text: ty.into(),
        slope_text: slope.into(),
        ..MetricFields::default()
    }))
}

fn summary(metrics: &[Arc<MetricDef>]) -> Summary {
    let sums = metrics.iter().map(|def| SummaryMetric {
        def: Arc::clone(def),
        sum: 1.0,
        num: 1,
        contributors: Contributors::default(),
        decimals: 0,
    });
    Summary {
        hosts_up: 1,
        hosts_down: 0,
        metrics: sums.collect(),
    }
}

/// A cluster whose hosts have four metrics each.
pub fn cluster(name: &str, hosts: &[&str]) -> Node {
    let defs = vec![
        def("load_one", "float", "both"),
        def("bytes_in", "uint32", "positive"),
        def("disk.used", "double", "both"),
        def("os_name", "string", "zero"),
    ];
    let count = defs.len() as u32;
    let mut cluster = Cluster {
        name: name.into(),
        summary: summary(&defs[..1]),
        defs: Arc::new(defs),
        ..Cluster::default()
    };
    for (at, host) in hosts.iter().enumerate() {
        cluster.hosts.push(Host {
            info: Arc::new(HostInfo {
                name: (*host).into(),
                ..HostInfo::default()
            }),
            reported: 0,
            tn: 0,
            up: true,
            fresh: true,
            received: Mono::default(),
            first_metric: at as u32 * count,
            metric_count: count,
        });
        for id in 0..count {
            cluster.metrics.push(Metric::new(id, 0, "1".into()));
        }
    }
    cluster.by_name = order_by_name(&cluster.hosts).0;
    Node::Cluster(Arc::new(cluster))
}

/// Clusters `web` (hosts `a.example.org`, `b`) and `my.lab` (host `c`), and the grid `north`.
pub fn snapshot() -> Snapshot {
    let load = [def("load_one", "float", "both")];
    Snapshot {
        nodes: vec![
            cluster("web", &["a.example.org", "b"]),
            cluster("my.lab", &["c"]),
            Node::Grid(Arc::new(Grid {
                name: "north".into(),
                summary: summary(&load),
                ..Grid::default()
            })),
        ],
        summary: Arc::new(summary(&load)),
        ..Snapshot::default()
    }
}
