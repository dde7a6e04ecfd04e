//! What plugins take away, make up and may not do.

use super::*;

#[test]
fn what_is_removed_is_gone_with_all_that_is_below() {
    let mut rig = rig(4, 3);
    let mut tree = rig.tree();
    let hosts = ["h0", "h1", "h2", "h3"].map(|it| child(&tree, NodeId::Top, &format!("HOST:{it}")));
    let inside = child(&tree, hosts[1], "METRIC:load_one");
    tree.remove(hosts[1]).unwrap();
    assert_eq!(tree.attribute(inside, "val"), Err(TreeError::NoNode));
    assert_eq!(tree.find(NodeId::Top, "HOST:h1"), Ok(None));
    for name in METRICS {
        tree.remove(child(&tree, hosts[2], &format!("METRIC:{name}")))
            .unwrap();
    }
    let added = tree.add(hosts[2], Kind::Metric, &[("name", "a")]).unwrap();
    let kept = tree.add(hosts[2], Kind::Metric, &[("name", "b")]).unwrap();
    tree.remove(added).unwrap();
    assert_eq!(tree.first(hosts[2]), Ok(Some(kept)));
    assert_eq!(tree.remove(added), Err(TreeError::NoNode));
    assert_eq!(tree.remove(NodeId::Top), Err(TreeError::NotPossible));
    let load = child(&tree, hosts[3], "METRIC:load_one");
    tree.remove(child(&tree, load, "EXTRA_ELEMENT:GROUP"))
        .unwrap();
    tree.set(
        child(&tree, load, "EXTRA_ELEMENT:DESC"),
        "hint",
        "still here",
    )
    .unwrap();
    let cpus = child(&tree, hosts[3], "METRIC:cpu_num");
    tree.remove(child(&tree, cpus, "EXTRA_DATA")).unwrap();
    assert_eq!(tree.first(cpus), Ok(None));
    tree.remove(child(&tree, NodeId::Top, "METRICS:load_one"))
        .unwrap();
    assert_eq!(tree.sum_count(), 1);
    let before = shown(&tree);
    assert!(
        before.contains("EXTRA_ELEMENT name=DESC val=d hint=still here"),
        "{before}"
    );
    tree.finish();

    let cluster = Arc::clone(rig.cluster());
    let names: Vec<&str> = cluster.hosts.iter().map(|host| &*host.info.name).collect();
    assert_eq!(names, ["h0", "h2", "h3"]);
    let counts: Vec<u32> = cluster.hosts.iter().map(|host| host.metric_count).collect();
    assert_eq!(counts, [3, 1, 3]);
    assert_eq!(cluster.find_host("h3"), Some(2));
    assert_eq!(cluster.find_host("h1"), None);
    assert_eq!(cluster.summary.metrics.len(), 1);
    assert_eq!(
        shown(&rig.tree()),
        before,
        "putting in order changes nothing to be seen"
    );
}

#[test]
fn attributes_that_a_plugin_makes_up_follow_their_node() {
    let mut rig = rig(3, 2);
    let mut tree = rig.tree();
    let host = child(&tree, NodeId::Top, "HOST:h2");
    let metric = child(&tree, host, "METRIC:cpu_num");
    tree.set(host, "rack", "12").unwrap();
    tree.set(metric, "alarm", "yes").unwrap();
    tree.set(metric, "alarm", "no").unwrap();
    tree.remove(child(&tree, NodeId::Top, "HOST:h0")).unwrap();
    let first = child(&tree, NodeId::Top, "HOST:h1");
    tree.add(first, Kind::Metric, &[("name", "n"), ("mood", "good")])
        .unwrap();
    tree.finish();

    let tree = rig.tree();
    let host = child(&tree, NodeId::Top, "HOST:h2");
    assert_eq!(text(&tree, host, "rack"), "12");
    assert_eq!(
        text(&tree, child(&tree, host, "METRIC:cpu_num"), "alarm"),
        "no"
    );
    let first = child(&tree, NodeId::Top, "HOST:h1");
    assert_eq!(text(&tree, child(&tree, first, "METRIC:n"), "mood"), "good");
    assert_eq!(tree.attribute(first, "rack"), Ok(None));
}

#[test]
fn names_stay_unique_when_they_are_changed() {
    let mut rig = rig(3, 3);
    let mut tree = rig.tree();
    let host = child(&tree, NodeId::Top, "HOST:h2");
    let other = child(&tree, NodeId::Top, "HOST:h1");
    assert_eq!(tree.set(host, "name", "h1"), Err(TreeError::Exists(other)));
    tree.set(host, "name", "a").unwrap();
    assert_eq!(child(&tree, NodeId::Top, "HOST:a"), host);
    assert_eq!(tree.find(NodeId::Top, "HOST:h2"), Ok(None));
    tree.remove(other).unwrap();
    tree.set(host, "name", "h1").unwrap();
    let load = child(&tree, host, "METRIC:load_one");
    let cpus = child(&tree, host, "METRIC:cpu_num");
    assert_eq!(
        tree.set(load, "name", "cpu_num"),
        Err(TreeError::Exists(cpus))
    );
    tree.set(load, "name", "load").unwrap();
    let added = tree.add(host, Kind::Metric, &[("name", "x")]).unwrap();
    tree.set(added, "name", "y").unwrap();
    assert_eq!(child(&tree, host, "METRIC:y"), added);
    assert_eq!(tree.find(host, "METRIC:x"), Ok(None));
    tree.finish();
    let cluster = rig.cluster();
    assert_eq!(cluster.find_host("h1"), Some(1));
    assert!(cluster.find_metric(&cluster.hosts[1], "y").is_some());
    assert!(cluster.find_metric(&cluster.hosts[0], "load").is_none());
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing_behind() {
    let mut rig = rig(1, 2);
    let before = format!("{:?}", rig.update.node);
    let mut tree = rig.tree();
    let host = child(&tree, NodeId::Top, "HOST:h0");
    let metric = child(&tree, host, "METRIC:load_one");
    for (node, name, value) in [
        (host, "tn", "soon"),
        (host, "reported", "1e3"),
        (metric, "tmax", "-1"),
        (metric, "tn", ""),
        (NodeId::Top, "status", "sideways"),
        (NodeId::Top, "localtime", "x"),
        (NodeId::Sum(0), "sum", "nan"),
        (NodeId::Sum(0), "type", "string"),
    ] {
        assert_eq!(
            tree.set(node, name, value),
            Err(TreeError::BadValue),
            "{name}={value}"
        );
    }
    assert_eq!(tree.set_value(metric, f64::NAN), Err(TreeError::BadValue));
    assert_eq!(tree.set_value(host, 1.0), Err(TreeError::NotPossible));
    assert_eq!(
        tree.add(host, Kind::Metric, &[("val", "1")]),
        Err(TreeError::BadValue)
    );
    let bad = [("name", "n"), ("tn", "x")];
    assert_eq!(tree.add(host, Kind::Metric, &bad), Err(TreeError::BadValue));
    assert_eq!(tree.find(host, "METRIC:n"), Ok(None));
    assert_eq!(
        tree.add(metric, Kind::Metric, &[("name", "n")]),
        Err(TreeError::NotPossible)
    );
    for node in [
        NodeId::Host(1),
        NodeId::Host(u32::MAX),
        NodeId::Metric(99),
        NodeId::Sum(99),
        NodeId::Extra(Owner::Metric(0), 7),
        NodeId::ExtraData(Owner::Sum(99)),
        NodeId::Extra(Owner::Metric(99), 0),
    ] {
        assert_eq!(tree.kind(node), Err(TreeError::NoNode));
        assert_eq!(tree.set(node, "name", "x"), Err(TreeError::NoNode));
        assert_eq!(tree.remove(node), Err(TreeError::NoNode));
        assert_eq!(tree.add(node, Kind::Metric, &[]), Err(TreeError::NoNode));
        assert_eq!(tree.next(node), Err(TreeError::NoNode));
    }
    tree.finish();
    let Node::Cluster(cluster) = &mut rig.update.node else {
        panic!("it is a cluster")
    };
    // The definition of the metric that did not come about may stay on the list.
    Arc::make_mut(&mut Arc::make_mut(cluster).defs).truncate(2);
    assert_eq!(format!("{:?}", rig.update.node), before);
}
