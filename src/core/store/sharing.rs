//! Sources that bring clusters and grids of one name.

use super::tests::Bench;
use super::*;
use crate::model::MOST_AHEAD_SECS;

/// The sums of everything: of the metric `m`, and the hosts that are up.
fn sums(bench: &mut Bench) -> (String, u32) {
    let total = bench.store.summarize();
    (total.metric("m").unwrap().text(), total.hosts_up)
}

#[test]
fn two_sources_of_one_cluster_share_it() {
    let mut bench = Bench::new(2);
    bench.poll(0, "c", &[("a", "1"), ("both", "10")]);
    bench.later(5);
    let changed = bench.poll(1, "c", &[("b", "2"), ("both", "20")]);
    assert_eq!(bench.shown("c"), ["a=1", "both=10", "b=2"]);
    let [Node::Cluster(cluster)] = &changed[..] else {
        panic!()
    };
    assert_eq!(&*cluster.owner, "of 0", "who was first");
    let fresh: Vec<_> = cluster.all_hosts().map(|host| host.fresh).collect();
    assert_eq!(
        fresh,
        [false, false, true],
        "only this source's hosts are news"
    );
    assert_eq!(cluster.summary.metric("m").unwrap().text(), "13");
    assert_eq!(cluster.summary.hosts_up, 3);
    bench.later(5);
    bench.poll(0, "c", &[("a", "1"), ("both", "30")]);
    assert_eq!(bench.shown("c"), ["a=1", "both=30", "b=2"]);
    bench.later(5);
    bench.poll(1, "other", &[("x", "1")]);
    assert_eq!(
        bench.shown("c"),
        ["a=1", "both=30"],
        "a cluster's hosts go with their source"
    );
    assert_eq!(bench.shown("other"), ["x=1"]);
}

/// A source brings a document, which is not taken in yet.
fn begin_commit(bench: &mut Bench, source: usize, xml: &str) {
    let (id, now) = (SourceId(source), bench.now);
    let mut parser = bench.store.begin(id);
    let table = bench.store.table();
    parser.feed(xml.as_bytes(), now.mono, table).unwrap();
    let document = parser.finish(now.mono).unwrap();
    bench.store.begin_commit(id, document, now);
}

/// How many steps it takes to commit a document of one of so many sources, each with hosts of its own.
fn steps_of_a_commit(sources: usize, common: &str) -> usize {
    let mut bench = Bench::new(sources);
    let hosts = |of: usize, value: usize| -> String {
        let own = (0..40).map(|at| format!("h{at}of{of}"));
        let host = |name: String| {
            let metric = |at| format!("<METRIC NAME=\"m{at}\" VAL=\"{value}\" TYPE=\"int32\"/>");
            let metrics: String = (0..10).map(metric).collect();
            format!("<HOST NAME=\"{name}\" TN=\"1\" TMAX=\"20\">{metrics}</HOST>")
        };
        let common = (!common.is_empty()).then(|| common.to_owned());
        let hosts: String = own.chain(common).map(host).collect();
        format!("<GANGLIA_XML><CLUSTER NAME=\"c\">{hosts}</CLUSTER></GANGLIA_XML>")
    };
    for round in 0..2 {
        for of in 0..sources {
            begin_commit(&mut bench, of, &hosts(of, round));
            if round == 1 && of == sources / 2 {
                let mut steps = 1;
                while bench.store.change_some(1).is_none() {
                    steps += 1;
                }
                return steps;
            }
            while bench.store.is_changing() {
                bench.store.change_some(usize::MAX);
            }
        }
    }
    unreachable!("one of them is in the middle")
}

#[test]
fn a_commit_costs_its_own_hosts_and_not_those_of_all_who_share_the_cluster() {
    for common in ["", "common"] {
        let (two, fifty) = (steps_of_a_commit(2, common), steps_of_a_commit(50, common));
        assert!(two > 400, "{two}");
        assert!(fifty < two + two / 2, "{two} and {fifty}");
    }
}

#[test]
fn a_shared_cluster_has_no_copies_of_its_sources_hosts() {
    let mut bench = Bench::new(3);
    for id in 0..3 {
        bench.poll(id, "c", &[("both", "1"), (&format!("h{id}"), "2")]);
    }
    let snapshot = bench.store.snapshot();
    let Some(Node::Cluster(shown)) = snapshot.node("c") else {
        panic!()
    };
    assert!(shown.hosts.is_empty() && shown.metrics.is_empty());
    let parts = shown.parts.as_ref().unwrap().list();
    assert_eq!(parts.len(), 3);
    for (id, part) in parts.iter().enumerate() {
        let [Node::Cluster(brought)] = bench.store.nodes_of(SourceId(id)) else {
            panic!()
        };
        assert!(Arc::ptr_eq(brought, &part.cluster));
    }
    assert_eq!((shown.host_count(), shown.metric_count()), (4, 4));
    // A reader keeps its moment.
    bench.poll(1, "c", &[("h1", "7")]);
    let value = |of: &Cluster| {
        let host = of.host(of.find_host("h1").unwrap());
        host.values()[0].val.as_str().to_owned()
    };
    assert_eq!(value(shown), "2");
    assert_eq!(bench.shown("c"), ["both=1", "h0=2", "h1=7", "h2=2"]);
}

#[test]
fn counters_of_a_hidden_host_that_began_anew_are_counted_in_steps() {
    const COUNTERS: usize = 2000;
    const BUDGET: usize = 64;
    let steps = |slope: &str| {
        let mut bench = Bench::new(2);
        bench.poll(0, "c", &[("h", "1")]);
        let mut steps = 0;
        for value in ["10", "5"] {
            let metric = |at| {
                format!(
                    "<METRIC NAME=\"m{at}\" VAL=\"{value}\" TYPE=\"uint32\" SLOPE=\"{slope}\" TN=\"1\"/>"
                )
            };
            let metrics: String = (0..COUNTERS).map(metric).collect();
            let host = format!("<HOST NAME=\"h\" TN=\"1\" TMAX=\"20\">{metrics}</HOST>");
            let xml = format!("<GANGLIA_XML><CLUSTER NAME=\"c\">{host}</CLUSTER></GANGLIA_XML>");
            begin_commit(&mut bench, 1, &xml);
            steps = 0;
            while bench.store.is_changing() {
                bench.store.change_some(BUDGET);
                steps += 1;
            }
        }
        steps
    };
    assert!(steps("positive") > steps("both") + COUNTERS / BUDGET);
}

#[test]
fn two_hosts_of_a_source_may_have_names_of_one_hash() {
    let mut bench = Bench::new(2);
    bench.poll(0, "c", &[("a", "1")]);
    bench.poll(1, "c", &[("b", "1")]);
    let union = bench.store.rivals["c"].union.as_ref().unwrap();
    let mut seen = HashMap::new();
    let (p, q) = (0..)
        .map(|at| format!("x{at}"))
        .find_map(|name| {
            let other = seen.insert(union.index.hash(&name), name.clone());
            Some((other?, name))
        })
        .unwrap();
    bench.poll(1, "c", &[("b", "1"), (&p, "1"), (&q, "1")]);
    bench.poll(0, "c", &[("a", "1"), (&p, "0"), (&q, "0")]);
    let both = |a: &str, b: &str| {
        let mut all = [
            format!("{p}={a}"),
            format!("{q}={b}"),
            "a=1".into(),
            "b=1".into(),
        ];
        all.sort();
        all
    };
    let mut shown = bench.shown("c");
    shown.sort();
    assert_eq!(
        shown,
        both("1", "1"),
        "they stay with who brought them first"
    );
    // That one drops both, past their DMAX.
    bench.later(200);
    bench.poll(0, "c", &[("a", "1"), (&p, "0"), (&q, "0")]);
    bench.poll(1, "c", &[("b", "1")]);
    bench.poll(0, "c", &[("a", "1"), (&p, "0"), (&q, "0")]);
    let mut shown = bench.shown("c");
    shown.sort();
    assert_eq!(shown, both("0", "0"), "none is missing");
}

#[test]
fn a_host_stays_with_the_source_that_brought_it_first_while_that_one_answers() {
    // Whichever of the two is first in order.
    for (first, second) in [(0, 1), (1, 0)] {
        let mut bench = Bench::new(2);
        bench.poll(first, "c", &[("h", "1")]);
        for round in 0..5 {
            bench.later(5);
            let shown = bench.poll(second, "c", &[("h", "666"), ("new", "7")]);
            assert_eq!(sums(&mut bench), ("8".into(), 2), "{round}");
            let [Node::Cluster(cluster)] = &shown[..] else {
                panic!()
            };
            let at = cluster.find_host("h").unwrap();
            assert!(!cluster.host(at).fresh, "it is no news to plugins");
            let contest = bench.store.contest_of(SourceId(second)).unwrap();
            let holder = SourceId(first);
            assert_eq!((contest.count, contest.holder), (1, holder));
            assert_eq!((&*contest.node, &*contest.host), ("c", "h"));
        }
        bench.poll(first, "c", &[("h", "1"), ("new", "8")]);
        assert_eq!(
            sums(&mut bench),
            ("8".into(), 2),
            "what is new is the other's"
        );
        // The other one takes over, and gives it back.
        bench.store.fail(SourceId(first), bench.now);
        assert_eq!(sums(&mut bench), ("673".into(), 2));
        bench.poll(second, "c", &[("h", "667"), ("new", "7")]);
        assert_eq!(sums(&mut bench), ("674".into(), 2));
        assert_eq!(bench.store.contest_of(SourceId(second)), None);
        bench.poll(first, "c", &[("h", "2")]);
        assert_eq!(sums(&mut bench), ("9".into(), 2));
        // A host that the first does not bring any more is the other's.
        bench.poll(first, "c", &[("rest", "100")]);
        assert_eq!(sums(&mut bench), ("774".into(), 3));
        bench.poll(first, "c", &[("h", "3"), ("rest", "100")]);
        assert_eq!(sums(&mut bench), ("774".into(), 3));
    }
}

#[test]
fn a_clusters_attributes_are_those_of_the_source_that_brought_it_first() {
    let mut bench = Bench::new(2);
    let owner = |bench: &mut Bench| match bench.store.snapshot().node("c") {
        Some(Node::Cluster(cluster)) => cluster.owner.to_string(),
        _ => String::new(),
    };
    bench.poll(1, "c", &[("a", "1")]);
    bench.poll(0, "c", &[("b", "1")]);
    assert_eq!(owner(&mut bench), "of 1");
    bench.store.fail(SourceId(1), bench.now);
    assert_eq!(owner(&mut bench), "of 0");
    bench.poll(1, "c", &[("a", "1")]);
    assert_eq!(owner(&mut bench), "of 1");
}

#[test]
fn a_cluster_is_not_replaced_by_a_grid_of_its_name() {
    let mut bench = Bench::new(2);
    bench.poll(0, "c", &[("a", "1")]);
    bench.later(5);
    let grid = "<GRID NAME=\"c\"><HOSTS UP=\"9\" DOWN=\"0\"/></GRID>";
    bench.read(1, grid);
    assert_eq!(bench.shown("c"), ["a=1"]);
    assert_eq!(sums(&mut bench), ("1".into(), 1));
    let contest = bench.store.contest_of(SourceId(1)).unwrap();
    assert_eq!((&*contest.node, &*contest.host), ("c", ""));
    assert!(!bench.store.stamps_of(SourceId(1), bench.now)[0].leads);
    bench.store.fail(SourceId(0), bench.now);
    assert_eq!(bench.store.summarize().hosts_up, 9);
    bench.poll(0, "c", &[("a", "2")]);
    assert_eq!(sums(&mut bench), ("2".into(), 1));
}

#[test]
fn the_time_of_sums_is_the_first_sources_and_no_other_is_ahead_of_it() {
    let mut bench = Bench::new(2);
    let cluster = |localtime: i64, host: &str| {
        format!(
            "<CLUSTER NAME=\"c\" LOCALTIME=\"{localtime}\"><HOST NAME=\"{host}\" TN=\"1\" \
             TMAX=\"20\"/></CLUSTER>"
        )
    };
    let ours = bench.now.epoch;
    for ahead in [1, MOST_AHEAD_SECS, MOST_AHEAD_SECS + 1, 23 * 3600] {
        for _ in 0..5 {
            bench.read(0, &cluster(ours - 7, "a"));
            bench.read(1, &cluster(ours + ahead, "b"));
        }
        let stamp = |bench: &Bench, id| bench.store.stamps_of(SourceId(id), bench.now)[0];
        let (first, second) = (stamp(&bench, 0), stamp(&bench, 1));
        assert_eq!((first.time.epoch(), first.leads), (ours - 7, true));
        assert_eq!((second.time.epoch(), second.leads), (ours, false));
        bench.store.fail(SourceId(0), bench.now);
        let second = stamp(&bench, 1);
        assert_eq!((second.time.epoch(), second.leads), (ours, true));
    }
}

#[test]
fn a_clock_that_is_doubted_is_not_ahead_in_another_sources_cluster_either() {
    let mut bench = Bench::new(2);
    let cluster = |localtime: i64| format!("<CLUSTER NAME=\"c\" LOCALTIME=\"{localtime}\"/>");
    let ours = bench.now.epoch;
    bench.read(0, &cluster(ours));
    for _ in 0..5 {
        bench.read(1, &cluster(ours + 100));
        let stamps = bench.store.stamps_of(SourceId(1), bench.now);
        assert_eq!(stamps[0].time.epoch(), ours);
    }
}

#[test]
fn a_name_that_is_reserved_is_left_out_of_all_other_documents() {
    let mut bench = Bench::new(3);
    let mut reserved = Reserved::default();
    reserved.add("c", SourceId(0));
    reserved.add("c", SourceId(2));
    bench.store.set_reserved(reserved);
    let both = "<CLUSTER NAME=\"c\"/><CLUSTER NAME=\"own\"/><GRID NAME=\"g\"/>";
    let names = |nodes: Vec<Node>| -> Vec<String> {
        nodes.iter().map(|node| node.name().to_owned()).collect()
    };
    assert_eq!(names(bench.read(1, both)), ["own", "g"]);
    let left_out = bench.store.left_out_of(SourceId(1)).unwrap();
    assert_eq!((left_out.count, &*left_out.name), (1, "c"));
    for may in [0, 2] {
        assert_eq!(names(bench.read(may, both)), ["c", "own", "g"]);
        assert_eq!(bench.store.left_out_of(SourceId(may)), None);
    }
    // A grid of that name is left out as well.
    assert!(bench.read(1, "<GRID NAME=\"c\"/>").is_empty());
    bench.store.set_reserved(Reserved::default());
    assert_eq!(names(bench.read(1, both)), ["c", "own", "g"]);
    assert_eq!(bench.store.left_out_of(SourceId(1)), None);
}

#[test]
fn of_a_shared_cluster_only_the_hosts_of_sources_that_answer_are_summed() {
    let mut bench = Bench::new(2);
    bench.poll(1, "c", &[("b", "2"), ("both", "20")]);
    bench.later(5);
    bench.poll(0, "c", &[("a", "1"), ("both", "10")]);
    assert_eq!(sums(&mut bench), ("23".into(), 3));
    bench.store.fail(SourceId(1), bench.now);
    assert_eq!(sums(&mut bench), ("11".into(), 2));
    assert_eq!(bench.shown("c"), ["a=1", "both=10", "b=2"]);
    bench.later(5);
    bench.poll(0, "c", &[("a", "2"), ("both", "10")]);
    assert_eq!(sums(&mut bench), ("12".into(), 2));
    bench.poll(1, "c", &[("b", "2"), ("both", "20")]);
    assert_eq!(sums(&mut bench), ("24".into(), 3));
}

#[test]
fn a_source_that_is_removed_takes_its_hosts_with_it_and_nobody_elses() {
    let mut bench = Bench::new(3);
    bench.poll(0, "c", &[("a", "1"), ("both", "10")]);
    bench.later(5);
    bench.poll(1, "c", &[("b", "2"), ("both", "20")]);
    bench.poll(2, "other", &[("x", "3")]);
    bench.store.remove_source(SourceId(1), bench.now.mono);
    assert_eq!(bench.shown("c"), ["a=1", "both=10"]);
    assert_eq!(bench.shown("other"), ["x=3"]);
    assert_eq!(bench.store.summarize().hosts_up, 3);
    bench.store.remove_source(SourceId(0), bench.now.mono);
    assert!(bench.shown("c").is_empty());
    assert_eq!(bench.store.summarize().hosts_up, 1);
    assert_eq!(bench.store.sources(), [SourceId(2)]);
}
