//! Grids below: what their sums are, and how they are added.

use super::*;

#[test]
fn a_grid_below_is_the_sum_of_its_clusters() {
    let document = Bench::new().poll(LEAF, usize::MAX).unwrap();
    let [Node::Grid(grid)] = &document.nodes[..] else {
        panic!("{:?}", document.nodes)
    };
    assert_eq!(&*grid.name, "LeafGrid");
    assert_eq!(&*grid.authority, "http://leaf.example.org/ganglia/");
    assert_eq!((grid.summary.hosts_up, grid.summary.hosts_down), (6, 0));
    assert_eq!(
        grid.summary.metric("load_five").unwrap().text(),
        "363483.939"
    );
    assert_eq!(grid.summary.metric("cpu_speed").unwrap().text(), "315367");
}

#[test]
fn a_grid_that_comes_as_summary_is_taken_as_that() {
    let document = Bench::new().poll(ROOT, usize::MAX).unwrap();
    let [Node::Grid(grid)] = &document.nodes[..] else {
        panic!("{:?}", document.nodes)
    };
    assert_eq!(&*grid.name, "RootGrid");
    assert_eq!(
        grid.summary.hosts_up, 7,
        "six of the grid below and one of its own cluster"
    );
    assert_eq!(
        grid.summary.metric("load_five").unwrap().text(),
        "363484.299"
    );
}

#[test]
fn without_scalable_the_clusters_of_a_grid_are_our_own() {
    let mut bench = Bench::new();
    bench.settings.scalable = false;
    let document = bench.poll(LEAF, usize::MAX).unwrap();
    let names: Vec<_> = document.nodes.iter().map(Node::name).collect();
    assert_eq!(names, ["leaf000", "leaf001"]);
    assert!(
        document
            .nodes
            .iter()
            .all(|node| matches!(node, Node::Cluster(c) if c.hosts.len() == 3))
    );
}

#[test]
fn metrics_that_come_and_go_in_a_grid_below_are_forgotten() {
    let mut bench = Bench::new();
    for round in 0..20 {
        let metrics: String = (0..100)
            .map(|m| one_metric(&format!("m{round}_{m}"), "1", "int32", 0))
            .collect();
        let hosts = one_host("a", &metrics);
        let cluster = |name: &str| format!("<CLUSTER NAME=\"{name}\">{hosts}</CLUSTER>");
        let xml = format!(
            "<GANGLIA_XML><GRID NAME=\"g\">{}{}</GRID></GANGLIA_XML>",
            cluster("one"),
            cluster("two")
        );
        let document = bench.poll(xml.as_bytes(), usize::MAX).unwrap();
        assert_eq!(document.nodes[0].summary().metrics.len(), 100);
        assert_eq!(document.nodes[0].summary().metrics[99].num, 2);
        assert!(document.vocabularies["g"].len() <= 300);
        bench.follow(document);
    }
}

#[test]
fn sums_of_a_grid_below_are_added_in_steps_and_are_those_of_one_go() {
    let metrics = |element: &str, value: &str, from: usize| -> String {
        let metric =
            |at| format!("<{element} NAME=\"m{at}\" {value}=\"{at}\" NUM=\"2\" TYPE=\"int32\"/>");
        (from..from + 600).map(metric).collect()
    };
    let cluster = |name: &str, from| {
        format!(
            "<CLUSTER NAME=\"{name}\"><HOST NAME=\"h\" TN=\"1\" TMAX=\"20\">{}</HOST></CLUSTER>",
            metrics("METRIC", "VAL", from)
        )
    };
    let given = format!(
        "<CLUSTER NAME=\"given\"><HOSTS UP=\"2\" DOWN=\"1\"/>{}</CLUSTER>",
        metrics("METRICS", "SUM", 400)
    );
    let inner = format!("<GRID NAME=\"inner\">{}{given}</GRID>", cluster("a", 0));
    let xml = format!(
        "<GANGLIA_XML><GRID NAME=\"outer\">{}{inner}{}</GRID></GANGLIA_XML>",
        cluster("b", 200),
        cluster("c", 100)
    );
    let now = Mono(1000);
    let read = |piece: usize, budget: usize| {
        let mut table = DefTable::default();
        let mut parser = Parser::new(Arc::default(), Previous::default());
        let mut steps = 0;
        for piece in xml.as_bytes().chunks(piece) {
            parser.begin_feed(piece, now, &mut table).unwrap();
            while parser.is_busy() {
                parser.go_on(budget, now, &mut table).unwrap();
                steps += 1;
            }
        }
        let document = parser.finish(now).unwrap();
        (format!("{:?}", document.nodes[0].summary()), steps)
    };
    let (expected, few) = read(usize::MAX, usize::MAX);
    assert!(expected.contains("hosts_up: 5") && few > 0);
    for piece in [xml.len(), 1000, 7] {
        let (summary, steps) = read(piece, 20);
        assert_eq!(summary, expected);
        assert!(steps > 100, "{steps}");
    }
    let mut table = DefTable::default();
    let mut parser = Parser::new(Arc::default(), Previous::default());
    parser.feed(xml.as_bytes(), now, &mut table).unwrap();
    let document = parser.finish(now).unwrap();
    assert_eq!(format!("{:?}", document.nodes[0].summary()), expected);
}
