mod by_chance;
mod edits;

use std::fmt::Write as _;
use std::time::Duration;

use super::*;
use crate::model::{GridIdentity, Mono, Now};
use crate::plugin::Stamp;
use crate::store::Store;

/// A cluster as it comes out of the store, which keeps it.
struct Rig {
    store: Store,
    update: Update,
    table: DefTable,
}

const METRICS: [&str; 3] = ["load_one", "cpu_num", "os_name"];

fn rig(hosts: usize, metrics: usize) -> Rig {
    let mut xml = String::from(
        r#"<GANGLIA_XML VERSION="3" SOURCE="gmond">
        <CLUSTER NAME="web" LOCALTIME="1000" OWNER="us" LATLONG="" URL="http://x/">"#,
    );
    for host in 0..hosts {
        write!(
            xml,
            r#"<HOST NAME="h{host}" IP="10.0.0.{host}" REPORTED="990" TN="5" TMAX="20" DMAX="0"
            LOCATION="" TAGS="">"#
        )
        .unwrap();
        for metric in 0..metrics {
            let (name, val, ty) = match metric {
                0 => ("load_one".into(), "1.50", "float"),
                1 => ("cpu_num".into(), "4", "uint16"),
                2 => ("os_name".into(), "Linux", "string"),
                more => (format!("m{more}"), "7", "uint32"),
            };
            write!(
                xml,
                r#"<METRIC NAME="{name}" VAL="{val}" TYPE="{ty}" UNITS="u" TN="3" TMAX="70"
                DMAX="0" SLOPE="both"><EXTRA_DATA><EXTRA_ELEMENT NAME="GROUP" VAL="g"/>
                <EXTRA_ELEMENT NAME="DESC" VAL="d"/></EXTRA_DATA></METRIC>"#
            )
            .unwrap();
        }
        xml.push_str("</HOST>");
    }
    xml.push_str("</CLUSTER></GANGLIA_XML>");
    let mut store = Store::new(GridIdentity::default(), Arc::default());
    let source = store.add_source();
    let mut parser = store.begin(source);
    parser.feed(xml.as_bytes(), Mono(0), store.table()).unwrap();
    let document = parser.finish(Mono(0)).unwrap();
    let now = Now::default();
    let node = store.commit(source, document, now).remove(0);
    Rig {
        store,
        update: Update {
            source: "s".into(),
            interval: Duration::from_secs(15),
            up: true,
            stamp: Stamp::of(&node, now),
            node,
            now,
            invented: Invented::default(),
        },
        table: DefTable::default(),
    }
}

impl Rig {
    fn tree(&mut self) -> Tree<'_> {
        Tree::of_update(&mut self.update, &mut self.table)
    }

    fn cluster(&self) -> &Arc<Cluster> {
        match &self.update.node {
            Node::Cluster(cluster) => cluster,
            Node::Grid(_) => panic!("it is a cluster"),
        }
    }

    /// What the store shows by now.
    fn stored(&mut self) -> Node {
        self.store.snapshot().nodes[0].clone()
    }

    fn is_shared(&mut self) -> bool {
        let stored = self.stored();
        matches!(stored, Node::Cluster(it) if Arc::ptr_eq(&it, self.cluster()))
    }
}

#[test]
fn the_tree_of_a_cluster_of_several_sources_has_the_hosts_of_all() {
    let (mut one, mut other) = (rig(2, 2), rig(3, 3));
    let mut second = (**other.cluster()).clone();
    for host in &mut second.hosts {
        let info = Arc::make_mut(&mut host.info);
        info.name = format!("other-{}", info.name).into();
    }
    let parts = vec![(**one.cluster()).clone().into(), second.into()];
    let whole = Arc::new(Cluster::of_parts("web", parts, Some(1)));
    other.update.node = Node::Cluster(Arc::new(whole.flattened()));
    one.update.node = Node::Cluster(Arc::clone(&whole));
    let tree = one.tree();
    let found = child(&tree, NodeId::Top, "HOST:other-h2");
    assert_eq!(found, NodeId::Host(4));
    let metric = child(&tree, found, "METRIC:os_name");
    assert_eq!(metric, NodeId::Metric(2 * 2 + 2 * 3 + 2));
    let told = shown(&tree);
    assert_eq!(told, shown(&other.tree()));
    let mut tree = one.tree();
    tree.set(found, "ip", "10.1.1.1").unwrap();
    tree.finish();
    assert!(
        shown(&one.tree()) != told,
        "the update has a copy of its own"
    );
    assert_eq!(
        &*whole.host(4).info.ip,
        "10.0.0.2",
        "others see the store's"
    );
}

fn child(tree: &Tree<'_>, node: NodeId, key: &str) -> NodeId {
    tree.find(node, key)
        .unwrap()
        .unwrap_or_else(|| panic!("there is no {key}"))
}

fn text(tree: &Tree<'_>, node: NodeId, name: &str) -> String {
    tree.attribute(node, name)
        .unwrap()
        .unwrap_or_else(|| panic!("there is no {name}"))
        .to_string()
}

/// Every node with its attributes, one a line, indented by depth.
fn shown(tree: &Tree<'_>) -> String {
    fn node(tree: &Tree<'_>, at: NodeId, depth: usize, out: &mut String) {
        write!(out, "{:depth$}{}", "", tree.kind(at).unwrap().name()).unwrap();
        let mut place = 0;
        while let Some((name, value)) = tree.attribute_at(at, place).unwrap() {
            write!(out, " {name}={value}").unwrap();
            place += 1;
        }
        out.push('\n');
        let mut next = tree.first(at).unwrap();
        while let Some(child) = next {
            assert_eq!(tree.parent(child), Ok(Some(at)));
            node(tree, child, depth + 1, out);
            next = tree.next(child).unwrap();
        }
    }
    let mut out = String::new();
    node(tree, NodeId::Top, 0, &mut out);
    let mut next = tree.first_sum();
    while let Some(sum) = next {
        node(tree, sum, 1, &mut out);
        next = tree.next(sum).unwrap();
    }
    out
}

#[test]
fn a_cluster_reads_as_the_tree_that_python_knows() {
    let mut rig = rig(2, 2);
    rig.update.now.mono = Mono(4000);
    let tree = rig.tree();
    assert_eq!(
        shown(&tree),
        "\
CLUSTER name=web localtime=1000 owner=us latlong= url=http://x/ status=up
 HOST name=h0 ip=10.0.0.0 reported=990 tn=9 tmax=20 dmax=0 location= gmond_started=0 tags=
  METRIC name=load_one val=1.50 type=float units=u tn=7 tmax=70 dmax=0 slope=both source=gmond
   EXTRA_DATA
    EXTRA_ELEMENT name=GROUP val=g
    EXTRA_ELEMENT name=DESC val=d
  METRIC name=cpu_num val=4 type=uint16 units=u tn=7 tmax=70 dmax=0 slope=both source=gmond
   EXTRA_DATA
    EXTRA_ELEMENT name=GROUP val=g
    EXTRA_ELEMENT name=DESC val=d
 HOST name=h1 ip=10.0.0.1 reported=990 tn=9 tmax=20 dmax=0 location= gmond_started=0 tags=
  METRIC name=load_one val=1.50 type=float units=u tn=7 tmax=70 dmax=0 slope=both source=gmond
   EXTRA_DATA
    EXTRA_ELEMENT name=GROUP val=g
    EXTRA_ELEMENT name=DESC val=d
  METRIC name=cpu_num val=4 type=uint16 units=u tn=7 tmax=70 dmax=0 slope=both source=gmond
   EXTRA_DATA
    EXTRA_ELEMENT name=GROUP val=g
    EXTRA_ELEMENT name=DESC val=d
 METRICS name=load_one sum=3.00 num=2 type=double units=u slope=both source=gmond
  EXTRA_DATA
   EXTRA_ELEMENT name=GROUP val=g
   EXTRA_ELEMENT name=DESC val=d
 METRICS name=cpu_num sum=8 num=2 type=double units=u slope=both source=gmond
  EXTRA_DATA
   EXTRA_ELEMENT name=GROUP val=g
   EXTRA_ELEMENT name=DESC val=d
"
    );
    let host = child(&tree, NodeId::Top, "HOST:h1");
    let metric = child(&tree, host, "METRIC:cpu_num");
    assert_eq!(tree.value(metric), Ok(Some(4.0)));
    assert_eq!(tree.find(host, "METRIC:nosuch"), Ok(None));
    assert_eq!(tree.find(NodeId::Top, "HOST"), Ok(None));
    let group = child(&tree, metric, "EXTRA_ELEMENT:GROUP");
    assert_eq!(text(&tree, group, "val"), "g");
    assert_eq!(
        child(&tree, metric, "EXTRA_DATA"),
        tree.parent(group).unwrap().unwrap()
    );
    tree.finish();
    assert!(rig.is_shared(), "who only reads gets no copy");
}

#[test]
fn a_grid_and_the_root_have_a_summary_and_no_children() {
    let mut table = DefTable::default();
    let summary = Summary {
        hosts_up: 3,
        ..Summary::default()
    };
    let mut root = RootUpdate {
        gridname: "all".into(),
        authority: "http://a/".into(),
        summary: Arc::new(summary.clone()),
        now: Now {
            mono: Mono(0),
            epoch: 77,
        },
        present: Arc::default(),
        invented: Invented::default(),
    };
    let mut tree = Tree::of_root(&mut root, &mut table);
    assert_eq!(
        shown(&tree),
        "GRID name=all authority=http://a/ localtime=77 status=up\n"
    );
    assert_eq!(tree.summary().hosts_up, 3);
    tree.set_hosts(5, 1);
    let sum = [
        ("name", "watts"),
        ("sum", "12.50"),
        ("num", "5"),
        ("group", "g"),
    ];
    tree.add(NodeId::Top, Kind::Metrics, &sum).unwrap();
    assert_eq!(
        tree.add(NodeId::Top, Kind::Host, &[("name", "h")]),
        Err(TreeError::NotPossible)
    );
    assert_eq!(
        tree.set(NodeId::Top, "status", "down"),
        Err(TreeError::BadValue)
    );
    tree.finish();
    assert_eq!((root.summary.hosts_up, root.summary.hosts_down), (5, 1));
    let watts = root.summary.metric("watts").unwrap();
    assert_eq!((watts.text().as_str(), watts.num), ("12.50", 5));

    let grid = Grid {
        name: "below".into(),
        localtime: 5,
        summary,
        ..Grid::default()
    };
    let mut update = rig(0, 0).update;
    update.up = false;
    update.node = Node::Grid(Arc::new(grid));
    let mut tree = Tree::of_update(&mut update, &mut table);
    tree.set(NodeId::Top, "authority", "http://b/").unwrap();
    assert_eq!(
        shown(&tree),
        "GRID name=below authority=http://b/ localtime=5 status=down\n"
    );
}

#[test]
fn a_value_that_was_set_is_seen_by_the_next_and_never_by_the_store() {
    let mut rig = rig(2, 3);
    let before = format!("{:?}", rig.stored());
    let mut tree = rig.tree();
    let host = child(&tree, NodeId::Top, "HOST:h0");
    let load = child(&tree, host, "METRIC:load_one");
    let cpus = child(&tree, host, "METRIC:cpu_num");
    tree.set_value(load, 0.125).unwrap();
    tree.set_value(cpus, 2.6).unwrap();
    tree.set(load, "units", "jobs").unwrap();
    tree.set(load, "tmax", "300").unwrap();
    tree.set(load, "tn", "9").unwrap();
    tree.set(host, "location", "1,2,3").unwrap();
    tree.set(host, "tn", "80").unwrap();
    tree.set(NodeId::Top, "owner", "them").unwrap();
    tree.set(child(&tree, load, "EXTRA_ELEMENT:GROUP"), "val", "h")
        .unwrap();
    tree.set(child(&tree, NodeId::Top, "METRICS:load_one"), "sum", "1.75")
        .unwrap();
    tree.finish();

    let tree = rig.tree();
    let lines: Vec<String> = shown(&tree).lines().map(str::to_owned).collect();
    for expected in [
        "CLUSTER name=web localtime=1000 owner=them latlong= url=http://x/ status=up",
        " HOST name=h0 ip=10.0.0.0 reported=990 tn=80 tmax=20 dmax=0 location=1,2,3 \
         gmond_started=0 tags=",
        "  METRIC name=load_one val=0.125 type=float units=jobs tn=9 tmax=300 dmax=0 slope=both \
         source=gmond",
        "  METRIC name=load_one val=1.50 type=float units=u tn=3 tmax=70 dmax=0 slope=both \
         source=gmond",
        "  METRIC name=cpu_num val=3 type=uint16 units=u tn=3 tmax=70 dmax=0 slope=both \
         source=gmond",
        "    EXTRA_ELEMENT name=GROUP val=h",
        " METRICS name=load_one sum=1.75 num=2 type=double units=u slope=both source=gmond",
    ] {
        assert!(
            lines.iter().any(|line| line == expected),
            "{expected} is not in {lines:#?}"
        );
    }
    assert!(
        !rig.cluster().hosts[0].up,
        "a host that is silent for long is down"
    );
    assert!(rig.cluster().hosts[1].up);
    assert_eq!(format!("{:?}", rig.stored()), before);
}

#[test]
fn each_state_of_each_update_has_a_number_of_its_own() {
    let mut seen = std::collections::HashSet::new();
    for _ in 0..2 {
        let mut rig = rig(2, 2);
        let mut tree = Tree::of_update(&mut rig.update, &mut rig.table);
        let first = tree.revision();
        assert_eq!(tree.revision(), first, "nothing was changed");
        assert!(seen.insert(first), "another update");
        let host = child(&tree, NodeId::Top, "HOST:h0");
        let metric = child(&tree, host, "METRIC:load_one");
        let added = [("name", "added")];
        let changes: [&dyn Fn(&mut Tree<'_>); 6] = [
            &|tree| tree.set(metric, "val", "7").unwrap(),
            &|tree| tree.set(metric, "made_up", "7").unwrap(),
            &|tree| tree.set_value(metric, 8.0).unwrap(),
            &|tree| tree.set_hosts(7, 8),
            &|tree| assert!(tree.add(host, Kind::Metric, &added).is_ok()),
            &|tree| tree.remove(host).unwrap(),
        ];
        for (at, change) in changes.iter().enumerate() {
            assert_eq!(tree.copied().is_some(), at < 5, "children were added");
            change(&mut tree);
            assert!(seen.insert(tree.revision()), "change {at}");
        }
        let last = tree.revision();
        tree.finish();
        let mut tree = Tree::of_update(&mut rig.update, &mut rig.table);
        assert_eq!(tree.revision(), last, "put in order is not changed");
        assert!(tree.copied().is_some());
    }
}

#[test]
fn what_is_added_is_an_ordinary_metric_for_those_after() {
    let mut rig = rig(3, 3);
    let mut tree = rig.tree();
    for name in ["h2", "h0"] {
        let host = child(&tree, NodeId::Top, &format!("HOST:{name}"));
        let given = [
            ("name", "load_per_cpu"),
            ("val", "0.5"),
            ("units", "jobs"),
            ("tn", "1"),
        ];
        let metric = tree.add(host, Kind::Metric, &given).unwrap();
        assert_eq!(
            child(&tree, host, "METRIC:load_per_cpu"),
            metric,
            "seen at once"
        );
        assert_eq!(
            tree.add(host, Kind::Metric, &given),
            Err(TreeError::Exists(metric))
        );
        let group = [("name", "GROUP"), ("val", "load")];
        tree.add(metric, Kind::ExtraElement, &group).unwrap();
    }
    let given = [("name", "extra"), ("ip", "::1")];
    let host = tree.add(NodeId::Top, Kind::Host, &given).unwrap();
    tree.add(host, Kind::Metric, &[("name", "state"), ("val", "odd")])
        .unwrap();
    let before = shown(&tree);
    tree.finish();

    let cluster = Arc::clone(rig.cluster());
    let counts: Vec<u32> = cluster.hosts.iter().map(|host| host.metric_count).collect();
    assert_eq!(counts, [4, 3, 4, 1]);
    for host in &cluster.hosts[..3] {
        assert_eq!(cluster.metrics_of(host)[0].val.as_str(), "1.50");
    }
    let at = cluster.find_host("h2").unwrap();
    let metric = cluster
        .find_metric(&cluster.hosts[at], "load_per_cpu")
        .unwrap();
    let def = cluster.def(metric);
    assert!(metric.is_fresh() && def.ty() == crate::model::MetricType::Float);
    assert_eq!((metric.val.as_str(), metric.tn), ("0.5", 1));
    assert_eq!(
        (def.extra("GROUP"), &*def.fields().source),
        (Some("load"), "gmetad")
    );
    let other = cluster
        .find_metric(&cluster.hosts[0], "load_per_cpu")
        .unwrap();
    assert_eq!(other.def(), metric.def(), "hosts share the definition");
    let extra = &cluster.hosts[cluster.find_host("extra").unwrap()];
    assert!(extra.up && extra.fresh);
    assert_eq!(
        cluster
            .def(&cluster.metrics_of(extra)[0])
            .fields()
            .type_text,
        "string"
    );
    assert_eq!(
        shown(&rig.tree()),
        before,
        "putting in order changes nothing to be seen"
    );
    assert_eq!(rig.stored().summary().hosts_up, 3);
}

#[test]
fn a_definition_that_a_plugin_makes_is_the_same_from_poll_to_poll() {
    let mut table = DefTable::default();
    let mut defs = Vec::new();
    for _ in 0..2 {
        let mut update = rig(1, 1).update;
        let mut tree = Tree::of_update(&mut update, &mut table);
        let host = child(&tree, NodeId::Top, "HOST:h0");
        tree.add(host, Kind::Metric, &[("name", "new")]).unwrap();
        tree.finish();
        let Node::Cluster(cluster) = update.node else {
            panic!("it is a cluster")
        };
        defs.push(Arc::clone(&cluster.defs[cluster.metrics[1].def() as usize]));
    }
    assert!(Arc::ptr_eq(&defs[0], &defs[1]));
}

#[test]
fn numbers_are_written_as_short_as_they_can_be_told_apart() {
    let mut rig = rig(1, 1);
    let mut tree = rig.tree();
    let metric = child(
        &tree,
        child(&tree, NodeId::Top, "HOST:h0"),
        "METRIC:load_one",
    );
    for (value, written) in [
        (0.0, "0"),
        (-0.0, "0"),
        (3.0, "3"),
        (-2.5, "-2.5"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e15, "1000000000000000"),
        (1e300, "1e300"),
        (-1.5e-9, "-1.5e-9"),
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        (f64::MAX, "1.7976931348623157e308"),
    ] {
        tree.set_value(metric, value).unwrap();
        assert_eq!(text(&tree, metric, "val"), written);
        assert_eq!(tree.value(metric), Ok(Some(value + 0.0)));
    }
}

/// What it costs is the bench's to show.
#[test]
fn a_metric_can_be_added_to_each_of_many_hosts() {
    const HOSTS: usize = 1000;
    let mut rig = rig(HOSTS, 3);
    let mut tree = rig.tree();
    let mut next = tree.first(NodeId::Top).unwrap();
    while let Some(host) = next {
        tree.add(host, Kind::Metric, &[("name", "new"), ("val", "1")])
            .unwrap();
        tree.set(host, "name", &format!("n{host:?}")).unwrap();
        next = tree.next(host).unwrap();
    }
    tree.finish();
    let cluster = rig.cluster();
    assert_eq!(cluster.metrics.len(), HOSTS * 4);
    assert!(
        cluster
            .hosts
            .iter()
            .all(|host| cluster.find_metric(host, "new").is_some())
    );
}
