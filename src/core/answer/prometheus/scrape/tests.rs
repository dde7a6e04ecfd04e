//! What a scrape has, and that it comes in slices.

use std::collections::HashSet;

use super::*;
use crate::model::Mono;
use crate::testing::share;
use crate::testing::{all_of, snapshot};

fn metric(name: &str, val: &str, more: &str) -> String {
    format!("<METRIC NAME=\"{name}\" VAL=\"{val}\" TYPE=\"float\" SLOPE=\"both\" {more}/>")
}

fn host(name: &str, metrics: &[String]) -> String {
    let metrics = metrics.concat();
    format!("<HOST NAME=\"{name}\" TN=\"1\" TMAX=\"20\">{metrics}</HOST>")
}

fn cluster(name: &str, hosts: &[String]) -> String {
    let hosts = hosts.concat();
    format!("<CLUSTER NAME=\"{name}\" LOCALTIME=\"5\">{hosts}</CLUSTER>")
}

/// The page without empty comments, after checks that hold for any page.
fn page_at(contents: &[String], secs: u64) -> String {
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    let snapshot = snapshot(&contents);
    let now = Now {
        mono: Mono(secs * 1000),
        epoch: secs as i64,
    };
    let page = |slice| {
        let scrape = Scrape::new(&snapshot, now, share(), |_| true);
        let page = String::from_utf8(all_of(Box::new(scrape), slice)).unwrap();
        page.replace("#\n", "")
    };
    let whole = page(usize::MAX);
    assert_eq!(whole, page(1), "however it is sliced");
    let (mut families, mut series) = (HashSet::new(), HashSet::new());
    let mut family = "";
    for line in whole.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            family = rest.split(' ').next().unwrap();
            assert!(families.insert(family), "{family} comes in two places");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(rest.starts_with(family));
        } else {
            assert_eq!(line.split('{').next(), Some(family), "{line}");
            assert!(
                series.insert(line.rsplit_once(' ').unwrap().0),
                "{line} comes twice"
            );
        }
    }
    whole
}

fn page(contents: &[String]) -> String {
    page_at(contents, 0)
}

/// Lines of the hosts' own metrics.
fn samples(page: &str) -> Vec<&str> {
    page.lines()
        .filter(|line| line.starts_with("ganglia_"))
        .collect()
}

#[test]
fn all_of_a_family_stands_together() {
    let [a, b] = ["a", "b"].map(|name| metric(name, "1.50", "UNITS=\"u\""));
    let page = page(&[
        cluster(
            "one",
            &[
                host("h1", &[a.clone(), b.clone()]),
                host("h2", &[b.clone(), a.clone()]),
            ],
        ),
        cluster("two", &[host("h1", &[b, a])]),
    ]);
    let expected = "# HELP gmetad_host_up Whether the host was heard of in time; only then it \
         has other samples.\n# TYPE gmetad_host_up gauge\n\
         gmetad_host_up{cluster=\"one\",host=\"h1\"} 1\n\
         gmetad_host_up{cluster=\"one\",host=\"h2\"} 1\n\
         gmetad_host_up{cluster=\"two\",host=\"h1\"} 1\n\
         # HELP ganglia_a a [u]\n# TYPE ganglia_a gauge\n\
         ganglia_a{cluster=\"one\",host=\"h1\"} 1.50\n\
         ganglia_a{cluster=\"one\",host=\"h2\"} 1.50\n\
         ganglia_a{cluster=\"two\",host=\"h1\"} 1.50\n\
         # HELP ganglia_b b [u]\n# TYPE ganglia_b gauge\n\
         ganglia_b{cluster=\"one\",host=\"h1\"} 1.50\n\
         ganglia_b{cluster=\"one\",host=\"h2\"} 1.50\n\
         ganglia_b{cluster=\"two\",host=\"h1\"} 1.50\n";
    assert_eq!(page, expected);
}

#[test]
fn hosts_that_differ_have_what_they_have() {
    let own = |name: &str| host(name, &[metric(name, "1", ""), metric("shared", "2", "")]);
    let names: Vec<String> = (0..20).map(|n| format!("h{n}")).collect();
    let hosts: Vec<String> = names.iter().map(|name| own(name)).collect();
    let page = page(&[cluster("c", &hosts)]);
    for name in &names {
        for family in [name, "shared"] {
            let line = format!("\nganglia_{family}{{cluster=\"c\",host=\"{name}\"}} ");
            assert!(page.contains(&line), "{line}");
        }
    }
    assert_eq!(samples(&page).len(), 40);
}

#[test]
fn only_hosts_that_are_up_have_samples() {
    let dead = "<HOST NAME=\"dead\" TN=\"80\" TMAX=\"20\"><METRIC NAME=\"m\" VAL=\"1\" \
         TYPE=\"float\"/></HOST>";
    let contents = [cluster(
        "c",
        &[dead.into(), host("live", &[metric("m", "2", "")])],
    )];
    let page = page(&contents);
    assert_eq!(samples(&page), ["ganglia_m{cluster=\"c\",host=\"live\"} 2"]);
    assert!(page.contains("gmetad_host_up{cluster=\"c\",host=\"dead\"} 0\n"));
    assert_eq!(samples(&page_at(&contents, 78)).len(), 1);
    let late = page_at(&contents, 79);
    assert_eq!(samples(&late).len(), 0, "a source that is down ages");
    assert!(late.contains("gmetad_host_up{cluster=\"c\",host=\"live\"} 0\n"));
    assert!(!late.contains("ganglia_"), "no family without a sample");
}

#[test]
fn values_past_their_dmax_and_what_is_no_number_are_left_out() {
    let values = [
        metric("old", "1", "TN=\"11\" DMAX=\"10\""),
        metric("fresh", "1", "TN=\"10\" DMAX=\"10\""),
        metric("nan", "nan", ""),
        metric("hex", "0x10", ""),
        metric("huge", "1e999", ""),
        metric("empty", "", ""),
        metric("spaced", " -1.5e3 ", ""),
        metric("text", "5", "").replace("float", "string"),
        metric("time", "5", "").replace("float", "timestamp"),
    ];
    let page = page(&[cluster("c", &[host("h", &values)])]);
    assert_eq!(
        samples(&page),
        [
            "ganglia_fresh{cluster=\"c\",host=\"h\"} 1",
            "ganglia_spaced{cluster=\"c\",host=\"h\"} -1.5e3"
        ]
    );
}

#[test]
fn names_that_become_one_stay_two_series() {
    let counter = metric("x", "1", "").replace("both", "positive");
    let page = page(&[cluster(
        "c",
        &[host(
            "h",
            &[
                metric("a.b", "1", ""),
                metric("a_b", "2", ""),
                metric("a-b", "3", ""),
                counter,
                metric("x_total", "5", ""),
                metric("mem_total", "6", ""),
            ],
        )],
    )]);
    assert_eq!(
        samples(&page),
        [
            "ganglia_a_b{cluster=\"c\",host=\"h\",metric=\"a.b\"} 1",
            "ganglia_a_b{cluster=\"c\",host=\"h\"} 2",
            "ganglia_a_b{cluster=\"c\",host=\"h\",metric=\"a-b\"} 3",
            "ganglia_x_total{cluster=\"c\",host=\"h\",metric=\"x\"} 1",
            "ganglia_x_total{cluster=\"c\",host=\"h\"} 5",
            "ganglia_mem_total{cluster=\"c\",host=\"h\"} 6",
        ]
    );
    assert!(
        page.contains("# TYPE ganglia_x_total untyped\n"),
        "one is no counter"
    );
    assert!(page.contains("# TYPE ganglia_mem_total untyped\n"));
    assert!(page.contains("# TYPE ganglia_a_b gauge\n"));
}

#[test]
fn counters_are_called_so_and_help_is_what_the_site_says() {
    let counter = "<METRIC NAME=\"reads\" VAL=\"7\" TYPE=\"uint32\" UNITS=\"n\\s\" \
         SLOPE=\"positive\"><EXTRA_DATA><EXTRA_ELEMENT NAME=\"TITLE\" VAL=\"Reads\"/>\
         <EXTRA_ELEMENT NAME=\"DESC\" VAL=\"Reads&#10;done\"/></EXTRA_DATA></METRIC>";
    let page = page(&[cluster("c&quot;\\", &[host("h\u{e9}", &[counter.into()])])]);
    assert!(
        page.ends_with(
            "# HELP ganglia_reads_total Reads\\ndone [n\\\\s]\n\
         # TYPE ganglia_reads_total counter\n\
         ganglia_reads_total{cluster=\"c\\\"\\\\\",host=\"hé\"} 7\n"
        ),
        "{page}"
    );
}

#[test]
fn much_to_plan_is_planned_in_slices() {
    let values: Vec<String> = (0..=2 * PLANNED_A_SLICE)
        .map(|n| metric(&format!("m{n}"), "1", ""))
        .collect();
    let contents = cluster("c", &[host("h", &values)]);
    let snapshot = snapshot(&[&contents]);
    let mut scrape = Scrape::new(&snapshot, Now::default(), share(), |_| true);
    for _ in 0..2 {
        let mut out = Vec::new();
        assert!(scrape.fill(&mut out, usize::MAX));
        assert_eq!(out, COMMENT);
    }
    assert_eq!(samples(&page(&[contents])).len(), values.len());
}

#[test]
fn what_several_sources_bring_is_gathered_in_slices_and_comes_as_from_one() {
    // Each brings all but one of these.
    let names: Vec<String> = (0..2 * GATHERED_A_SLICE).map(|n| format!("m{n}")).collect();
    let values: Vec<String> = names.iter().map(|name| metric(name, "1", "")).collect();
    let (first, second) = (&values[..names.len() - 1], &values[1..]);
    let contents = [
        cluster("c", &[host("h1", first)]),
        cluster("c", &[host("h2", second)]),
    ];
    let shared = snapshot(&[&contents[0], &contents[1]]);
    let [Node::Cluster(cluster)] = &shared.nodes[..] else {
        panic!("not one cluster");
    };
    assert_eq!(cluster.pieces().count(), 2);
    let mut scrape = Scrape::new(&shared, Now::default(), share(), |_| true);
    let gathered = |of: &Scrape| of.clusters[0].defs.len(cluster);
    let (mut slices, mut before) = (0, 0);
    while gathered(&scrape) < names.len() {
        assert!(gathered(&scrape) - before <= GATHERED_A_SLICE, "{slices}");
        before = gathered(&scrape);
        assert_eq!(
            before > 0,
            slices > 0,
            "nothing is gathered until it is asked for"
        );
        let mut out = Vec::new();
        assert!(scrape.fill(&mut out, usize::MAX));
        assert_eq!(out, COMMENT);
        slices += 1;
    }
    assert!(slices > 2, "{slices}");
    let alone = Snapshot {
        nodes: vec![Node::Cluster(Arc::new(cluster.flattened()))],
        ..Snapshot::default()
    };
    let page = |of: &Snapshot| {
        let scrape = Scrape::new(of, Now::default(), share(), |_| true);
        let page = String::from_utf8(all_of(Box::new(scrape), 5000)).unwrap();
        page.replace("#\n", "")
    };
    assert_eq!(page(&shared), page(&alone));
    assert_eq!(samples(&page(&shared)).len(), first.len() + second.len());
}

#[test]
fn one_cluster_can_be_had_alone() {
    let contents = ["one", "two"].map(|name| cluster(name, &[host("h", &[metric("m", "1", "")])]));
    let snapshot = snapshot(&[&contents[0], &contents[1]]);
    let scrape = Scrape::new(&snapshot, Now::default(), share(), |c| &*c.name == "two");
    let page = String::from_utf8(all_of(Box::new(scrape), 100)).unwrap();
    assert_eq!(samples(&page), ["ganglia_m{cluster=\"two\",host=\"h\"} 1"]);
    assert!(!page.contains("\"one\""));
}
