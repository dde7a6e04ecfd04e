//! Tests of changes in steps: nothing is seen of half of one, and all come to what one step gives.

use std::sync::Arc;

use super::tests::Bench;
use super::{SHOWN_AT_ONCE, SourceId};
use crate::ingest::Document;
use crate::model::{Node, Snapshot};

/// Clusters with a host each that has this value, and one of its own for each source.
fn clusters(source: usize, count: usize, value: usize) -> String {
    let host = |name: &str| {
        format!(
            "<HOST NAME=\"{name}\" TN=\"1\" TMAX=\"20\" DMAX=\"100\"><METRIC NAME=\"m\" VAL=\"{value}\" \
             TYPE=\"int32\"/></HOST>"
        )
    };
    let hosts = host("h") + &host(&format!("of {source}"));
    let cluster = |at| format!("<CLUSTER NAME=\"c{at}\">{hosts}</CLUSTER>");
    (0..count).map(cluster).collect()
}

/// What a source sends, read.
fn document(bench: &mut Bench, source: usize, nodes: &str) -> Document {
    let mut parser = bench.store.begin(SourceId(source));
    let xml = format!("<GANGLIA_XML>{nodes}</GANGLIA_XML>");
    let mono = bench.now.mono;
    parser
        .feed(xml.as_bytes(), mono, bench.store.table())
        .unwrap();
    parser.finish(mono).unwrap()
}

/// The values that are shown of the hosts `h`, one after the other.
fn values(snapshot: &Snapshot) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for node in &snapshot.nodes {
        let Node::Cluster(cluster) = node else {
            continue;
        };
        let host = cluster.host(cluster.find_host("h").unwrap());
        values.push(host.values()[0].val.as_str().into());
    }
    values.dedup();
    values
}

#[test]
fn readers_see_the_moment_before_or_the_one_after_and_no_mixture() {
    // Few clusters, of which a snapshot is made when it is asked for, and many.
    for count in [40, SHOWN_AT_ONCE + 100] {
        let mut bench = Bench::new(2);
        bench.read(0, &clusters(0, count, 1));
        bench.read(1, &clusters(1, count, 1));
        while bench.store.tidy() {}
        bench.store.fail(SourceId(1), bench.now);
        bench.later(10);
        let next = document(&mut bench, 0, &clusters(0, count, 2));
        bench.store.begin_commit(SourceId(0), next, bench.now);
        let (mut seen, mut steps) = (vec![bench.store.snapshot()], 0);
        while bench.store.is_changing() {
            let changed = bench.store.change_some(20);
            seen.push(bench.store.snapshot());
            seen.dedup_by(|a, b| Arc::ptr_eq(a, b));
            if let Some(changed) = changed {
                assert_eq!((changed.nodes.len(), changed.was_up), (count, true));
            }
            steps += 1;
        }
        while bench.store.tidy() {
            seen.push(bench.store.snapshot());
        }
        let mut seen: Vec<_> = seen.iter().map(|it| values(it)).collect();
        assert!(steps > count, "{steps}");
        seen.dedup();
        assert_eq!(seen, [["1"], ["2"]], "{count}");
        let total = bench.store.summarize();
        assert_eq!(total.hosts_up as usize, 2 * count);
        assert_eq!(total.metric("m").unwrap().num as usize, 2 * count);
    }
}

#[test]
fn what_is_changed_in_steps_is_what_it_is_in_one() {
    let hosts = |range: std::ops::Range<usize>, dmax: usize, value: usize| -> String {
        let host = |at| {
            format!(
                "<HOST NAME=\"h{}\" TN=\"1\" TMAX=\"20\" DMAX=\"{dmax}\"><METRIC NAME=\"m\" \
                 VAL=\"{value}\" TYPE=\"int32\"/><METRIC NAME=\"n{}\" VAL=\"1\" TYPE=\"int32\"/></HOST>",
                at * 7 % 100,
                at % 5
            )
        };
        range.map(host).collect()
    };
    let cluster = |hosts: &str| format!("<CLUSTER NAME=\"c\">{hosts}</CLUSTER>");
    let run = |budget: usize| {
        let mut bench = Bench::new(3);
        let mut said = Vec::new();
        for round in 0..3 {
            for source in 0..3 {
                let range = 20 * source..60 + 20 * source - 10 * round;
                let nodes = cluster(&hosts(range, 30 + 10 * source, round));
                let next = document(&mut bench, source, &nodes);
                bench.store.begin_commit(SourceId(source), next, bench.now);
                if round == 1 {
                    bench.store.begin_fail(SourceId(1), bench.now);
                }
                bench.later(15);
                bench.store.begin_expiry(SourceId(source), bench.now);
                while bench.store.is_changing() {
                    let Some(changed) = bench.store.change_some(budget) else {
                        continue;
                    };
                    let shown = |node: &Node| format!("{:?} {:?}", node.received(), node.summary());
                    let nodes: Vec<String> =
                        changed.nodes.iter().map(|(node, _)| shown(node)).collect();
                    said.push(format!("{} {nodes:?}", changed.has_changed));
                }
                said.extend(bench.shown("c"));
                let contest = bench.store.contest_of(SourceId(source));
                said.push(format!("{contest:?}"));
                said.push(format!("{:?}", bench.store.summarize()));
            }
        }
        said
    };
    let expected = run(usize::MAX);
    assert!(expected.iter().any(|it| it.contains("holder")), "a contest");
    for budget in [1, 7, 50] {
        assert_eq!(run(budget), expected, "{budget}");
    }
}

#[test]
fn a_document_that_is_given_up_in_steps_leaves_what_was_known() {
    let mut bench = Bench::new(1);
    bench.read(0, &clusters(0, 100, 1));
    let xml = format!("<GANGLIA_XML>{}", clusters(0, 100, 2));
    let mut parser = bench.store.begin(SourceId(0));
    parser
        .feed(xml.as_bytes(), bench.now.mono, bench.store.table())
        .unwrap();
    bench.store.begin_abort(SourceId(0), parser);
    let mut steps = 0;
    while bench.store.change_some(40).is_none() {
        steps += 1;
    }
    assert!(steps > 20, "{steps}");
    assert_eq!(values(&bench.store.snapshot()), ["1"]);
    bench.read(0, &clusters(0, 100, 3));
    assert_eq!(values(&bench.store.snapshot()), ["3"]);
}
