//! The end of a document in steps: as many as it has values, and the same document as in one go.

use super::*;

/// So much of a document's end is done in a step.
const STEP: usize = 30;

/// What may be large in a document, in two versions each, that follow each other.
fn large() -> Vec<(&'static str, [Vec<u8>; 2], usize)> {
    const COUNT: usize = 150;
    let many = |one: &dyn Fn(usize) -> String| (0..COUNT).map(one).collect::<String>();
    let metric = |name: &str| one_metric(name, "1", "uint32", 0);
    let names = |version: &str| {
        let metrics = many(&|at| metric(&format!("{version}{at}")));
        wrapped(&one_host("h", &metrics))
    };
    let hosts = |version: &str| {
        wrapped(&many(&|at| {
            one_host(&format!("{version}{at}"), &metric("m"))
        }))
    };
    let twins = |version: &str| {
        wrapped(&many(&|at| {
            one_host(&(at / 2).to_string(), &metric(version))
        }))
    };
    let clusters = |version: &str| {
        let cluster = |at: usize| {
            let host = one_host("h", &metric("m"));
            format!("<CLUSTER NAME=\"{version}{at}\">{host}</CLUSTER>")
        };
        format!("<GANGLIA_XML>{}</GANGLIA_XML>", many(&cluster)).into_bytes()
    };
    vec![
        ("names", ["a", "b"].map(names), COUNT),
        ("hosts", ["a", "b"].map(hosts), COUNT),
        ("twins", ["a", "b"].map(twins), COUNT),
        ("clusters", ["a", "b"].map(clusters), COUNT),
    ]
}

#[test]
fn the_end_of_a_document_is_worked_off_in_steps_to_the_same_result() {
    for (what, versions, count) in large() {
        let (mut whole, mut stepwise) = (Bench::new(), Bench::new());
        for xml in versions.iter().chain(&versions) {
            let expected = whole.poll(xml, usize::MAX).unwrap();
            let previous = std::mem::take(&mut stepwise.previous);
            let settings = Arc::new(stepwise.settings.clone());
            let mut parser = Parser::new(settings, previous);
            parser.feed(xml, stepwise.now, &mut stepwise.table).unwrap();
            assert!(parser.has_ended());
            let mut steps = 0;
            while parser.is_ending() {
                parser.work(STEP);
                steps += 1;
            }
            assert!(steps >= count / STEP, "{what}: {steps} steps");
            let document = parser.finish(stepwise.now).unwrap();
            assert_eq!(seen(&document), seen(&expected), "{what}");
            for (a, b) in document.nodes.iter().zip(&expected.nodes) {
                assert_eq!(a.summary().hosts_up, b.summary().hosts_up);
                let sums = |node: &Node| -> Vec<(String, String, u32)> {
                    let sums = node.summary().metrics.iter();
                    sums.map(|it| (it.def.name().to_owned(), it.text(), it.num))
                        .collect()
                };
                assert_eq!(sums(a), sums(b), "{what}");
            }
            whole.follow(expected);
            stepwise.follow(document);
        }
    }
}

#[test]
fn what_a_host_no_longer_has_is_carried_over_in_steps_as_in_one_go() {
    let metrics = |names: std::ops::Range<usize>| -> String {
        let metric = |at| {
            one_metric(
                &format!("m{at}"),
                "1",
                "int32",
                if at % 3 == 0 { 5 } else { 0 },
            )
        };
        names.map(metric).collect()
    };
    let full = wrapped(&(one_host("a", &metrics(0..20_000)) + &one_host("b", &metrics(0..1))));
    let less = wrapped(&(one_host("a", &metrics(10..20)) + &one_host("b", &metrics(0..1))));
    let read = |budget: usize| {
        let mut bench = Bench::new();
        bench.cluster(&full);
        bench.now = Mono(bench.now.0 + 10_000);
        let mut parser = Parser::new(Arc::default(), std::mem::take(&mut bench.previous));
        parser
            .begin_feed(&less, bench.now, &mut bench.table)
            .unwrap();
        let mut steps = 0;
        while parser.is_busy() {
            parser.go_on(budget, bench.now, &mut bench.table).unwrap();
            steps += 1;
        }
        let document = parser.finish(bench.now).unwrap();
        (only_cluster(&document), seen(&document), steps)
    };
    let (cluster, in_one_go, _) = read(usize::MAX);
    // Every third is past its DMAX, but those that came.
    let kept = (0..20_000)
        .filter(|at| at % 3 != 0 || (10..20).contains(at))
        .count();
    assert_eq!(cluster.metrics_of(host(&cluster, "a")).len(), kept);
    let (_, in_steps, steps) = read(100);
    assert!(steps > 500, "{steps}");
    assert_eq!(in_steps, in_one_go);
}
