//! Real and synthetic documents, read whole, in pieces, and one after the other.

mod broken;
mod comparing;
mod grids;
mod kept;
mod limits;
mod pieces;
mod steps;

use std::sync::Arc;

use super::*;
use crate::model::{Cluster, DefTable, Host, Metric, Mono, Node};
use crate::summary::SummaryFilter;

const HOSTILE: &[u8] = include_bytes!("../../../tests/data/gmond/gmond-hostile.xml");
const OWNER: &[u8] = include_bytes!("../../../tests/data/gmond/gmond-unescaped-owner.xml");
const PLAIN: &[u8] = include_bytes!("../../../tests/data/gmond/gmond-plain.xml");
/// With metrics that were cut at 1,023 bytes, and quotes inside values.
const CUT: &[u8] = include_bytes!("../../../tests/data/gmond/gmond-cut-and-quotes.xml");
const LEAF: &[u8] = include_bytes!("../../../tests/data/c-gmetad/leaf-dump.xml");
const ROOT: &[u8] = include_bytes!("../../../tests/data/c-gmetad/root-dump.xml");

struct Bench {
    table: DefTable,
    settings: ParseSettings,
    previous: Previous,
    now: Mono,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            table: DefTable::default(),
            settings: ParseSettings::default(),
            previous: Previous::default(),
            now: Mono(1_000_000),
        }
    }

    /// Parses a document that follows the last one, in pieces of that many bytes.
    fn poll(&mut self, xml: &[u8], piece: usize) -> Result<Document, ParseError> {
        let previous = std::mem::take(&mut self.previous);
        let mut parser = Parser::new(Arc::new(self.settings.clone()), previous);
        for bytes in xml.chunks(piece) {
            parser.feed(bytes, self.now, &mut self.table)?;
        }
        let document = parser.finish(self.now)?;
        self.previous.nodes = Arc::new(document.nodes.clone().into());
        Ok(document)
    }

    fn follow(&mut self, document: Document) {
        self.previous = Previous {
            nodes: Arc::new(document.nodes.into()),
            vocabularies: document.vocabularies,
            circle: None,
            marks: None,
        };
    }

    fn cluster(&mut self, xml: &[u8]) -> Arc<Cluster> {
        let document = self.poll(xml, usize::MAX).unwrap();
        let cluster = only_cluster(&document);
        self.follow(document);
        cluster
    }
}

fn only_cluster(document: &Document) -> Arc<Cluster> {
    match &document.nodes[..] {
        [Node::Cluster(cluster)] => Arc::clone(cluster),
        other => panic!("{other:?}"),
    }
}

fn host<'a>(cluster: &'a Cluster, name: &str) -> &'a Host {
    &cluster.hosts[cluster.find_host(name).unwrap()]
}

fn metric<'a>(cluster: &'a Cluster, host_name: &str, name: &str) -> &'a Metric {
    cluster.find_metric(host(cluster, host_name), name).unwrap()
}

/// A document of one cluster with that inside.
fn wrapped(inside: &str) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE GANGLIA_XML [\n<!ELEMENT A (B|C)*>\n]>\n\
         <GANGLIA_XML VERSION=\"3.7.2\" SOURCE=\"gmond\">\n<CLUSTER NAME=\"c\" \
         LOCALTIME=\"1000\" OWNER=\"o\" LATLONG=\"l\" URL=\"u\">\n{inside}</CLUSTER>\n\
         </GANGLIA_XML>\n"
    )
    .into_bytes()
}

fn one_host(name: &str, metrics: &str) -> String {
    format!(
        "<HOST NAME=\"{name}\" IP=\"1.2.3.4\" TAGS=\"\" REPORTED=\"990\" TN=\"10\" TMAX=\"20\" \
         DMAX=\"60\" LOCATION=\"here\" GMOND_STARTED=\"5\">\n{metrics}</HOST>\n"
    )
}

fn one_metric(name: &str, val: &str, ty: &str, dmax: u32) -> String {
    format!(
        "<METRIC NAME=\"{name}\" VAL=\"{val}\" TYPE=\"{ty}\" UNITS=\"\" TN=\"3\" TMAX=\"60\" \
         DMAX=\"{dmax}\" SLOPE=\"both\">\n<EXTRA_DATA>\n</EXTRA_DATA>\n</METRIC>\n"
    )
}

/// All that a reader could see of a document.
fn seen(document: &Document) -> String {
    use std::fmt::Write;
    let mut text = format!("damage {}\n", document.damage);
    for node in &document.nodes {
        if let Node::Cluster(c) = node {
            let _ = writeln!(text, "{} {} {} {}", c.name, c.owner, c.url, c.localtime);
            for h in &c.hosts {
                let _ = writeln!(text, " {:?} {} {} {}", h.info, h.tn, h.reported, h.fresh);
                for m in c.metrics_of(h) {
                    let fields = c.def(m).fields();
                    let _ = writeln!(text, "  {fields:?} {:?} {} {}", m.val, m.tn, m.is_fresh());
                }
            }
        }
        let _ = writeln!(text, "{} {} up", node.name(), node.summary().hosts_up);
        for m in &node.summary().metrics {
            let _ = writeln!(
                text,
                " {} {} {} {:?}",
                m.def.name(),
                m.text(),
                m.num,
                m.def.fields()
            );
        }
    }
    text
}

#[test]
fn a_gmonds_document_comes_whole() {
    let cluster = Bench::new().cluster(PLAIN);
    assert_eq!((&*cluster.name, &*cluster.owner), ("Bench A", "ops"));
    assert_eq!(cluster.localtime, 1_795_367_147);
    let host = host(&cluster, "localhost");
    assert_eq!(
        (host.tn, host.info.tmax, host.reported),
        (5, 20, 1_795_367_142)
    );
    assert_eq!(
        cluster.metrics_of(host).len(),
        PLAIN.windows(8).filter(|w| w == b"<METRIC ").count()
    );
    let mem = metric(&cluster, "localhost", "mem_cached");
    assert_eq!((mem.val.as_str(), mem.tn), ("215216", 25));
    assert_eq!(cluster.def(mem).extra("TITLE"), Some("Cached Memory"));
}

#[test]
fn the_pieces_it_comes_in_make_no_difference() {
    for xml in [PLAIN, HOSTILE, OWNER, CUT, LEAF, ROOT] {
        let whole = seen(&Bench::new().poll(xml, usize::MAX).unwrap());
        for piece in [1, 2, 7, 64, 1000, 4096] {
            assert_eq!(
                seen(&Bench::new().poll(xml, piece).unwrap()),
                whole,
                "{piece}"
            );
        }
    }
}

/// A small generator, so that a failure can be repeated from its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// Leaves out the document type declaration, and changes, moves, doubles or drops a few bytes of the rest.
fn spoil(xml: &[u8], dice: &mut Dice) -> Vec<u8> {
    const SPICE: &[u8] = b"\"'<>&/= \n9x-.\xe9\x01";
    // Which says nothing, and takes half of the time to read.
    let root = memchr::memmem::find(xml, b"<GANGLIA_XML").unwrap();
    let mut xml = xml[root..].to_vec();
    for _ in 0..=dice.below(4) {
        let mut at = dice.below(xml.len() - 100);
        // Many changes are in a value, an age or a host, which the fast path reads by itself.
        let starts = ["VAL=\"", " TN=\"", " VAL=", "<HOST NAME", " REPORTED=\""];
        let start = starts[dice.below(starts.len())].as_bytes();
        if let Some(next) = memchr::memmem::find(&xml[at..], start)
            && at + next + 110 < xml.len()
        {
            at += next + start.len() + dice.below(3);
        }
        let len = 1 + dice.below(90);
        match dice.below(5) {
            0 => xml[at] = SPICE[dice.below(SPICE.len())],
            1 => xml.insert(at, SPICE[dice.below(SPICE.len())]),
            2 => drop(xml.drain(at..at + len)),
            3 => {
                let copy = xml[at..at + len].to_vec();
                let to = dice.below(xml.len());
                xml.splice(to..to, copy);
            }
            // A value that changes keeps the fast way busy.
            _ => {
                let digits = xml[at..].iter().position(u8::is_ascii_digit);
                if let Some(digit) = digits {
                    xml[at + digit] = b'0' + dice.below(10) as u8;
                }
            }
        }
    }
    xml
}

#[test]
fn hosts_that_are_up_are_summed() {
    let down =
        one_host("down", &one_metric("load", "100", "float", 0)).replace("TN=\"10\"", "TN=\"80\"");
    let xml = wrapped(
        &[
            one_host(
                "a",
                &(one_metric("load", "0.25", "float", 0) + &one_metric("os", "1", "string", 0)),
            ),
            one_host("b", &one_metric("load", "2", "float", 0)),
            down,
        ]
        .concat(),
    );
    let summary = &Bench::new().cluster(&xml).summary;
    assert_eq!((summary.hosts_up, summary.hosts_down), (2, 1));
    let load = summary.metric("load").unwrap();
    assert_eq!((load.text().as_str(), load.num), ("2.25", 2));
    assert!(summary.metric("os").is_none());
}

#[test]
fn what_is_summed_stays_so_where_definitions_share_a_name() {
    let mut bench = Bench::new();
    bench.settings.filter = Arc::new(SummaryFilter {
        only: vec!["b".into()],
        ..SummaryFilter::default()
    });
    let a = one_metric("a", "1", "int32", 0);
    let in_mb = a.replace("UNITS=\"\"", "UNITS=\"MB\"");
    let b = one_metric("b", "2", "int32", 0);
    // Both definitions of "a" come before that of "b".
    let xml = wrapped(&(one_host("x", &a) + &one_host("y", &(in_mb + &b))));
    for _ in 0..3 {
        let summary = &bench.cluster(&xml).summary;
        let summed: Vec<_> = summary.metrics.iter().map(|it| it.def.name()).collect();
        assert_eq!(summed, ["b"]);
        assert_eq!(summary.metric("b").unwrap().text(), "2");
    }
}

#[test]
fn of_two_hosts_of_one_name_the_later_counts() {
    let xml = wrapped(
        &(one_host("a", &one_metric("m", "1", "int32", 0))
            + &one_host("a", &one_metric("m", "2", "int32", 0))),
    );
    let document = Bench::new().poll(&xml, usize::MAX).unwrap();
    let cluster = only_cluster(&document);
    assert_eq!((cluster.hosts.len(), document.damage), (1, 1));
    assert_eq!(metric(&cluster, "a", "m").val.as_str(), "2");
    assert_eq!(cluster.summary.hosts_up, 1);
    let sum = cluster.summary.metric("m").unwrap();
    assert_eq!((sum.text().as_str(), sum.num), ("2", 1));
}

#[test]
fn of_two_metrics_of_one_name_the_later_counts_and_once() {
    let other = one_host("other", &one_metric("m", "0.5", "float", 0));
    let sum = |first: &str, between: &str, last: &str| {
        let metrics = [first, between, last].concat();
        let cluster = other.clone() + &one_host("a", &metrics);
        let document = Bench::new().poll(&wrapped(&cluster), 100).unwrap();
        assert_eq!(document.damage, 1);
        let cluster = only_cluster(&document);
        let shown = cluster.metrics_of(host(&cluster, "a"));
        let names: Vec<&str> = shown.iter().map(|it| cluster.def(it).name()).collect();
        assert_eq!(names, ["m", "between"], "where the first one stood");
        let sum = cluster.summary.metric("m").unwrap();
        (
            metric(&cluster, "a", "m").val.as_str().to_owned(),
            sum.text(),
            sum.num,
        )
    };
    let of = |val: &str, kind: &str| one_metric("m", val, kind, 0);
    let between = one_metric("between", "1", "int32", 0);
    for (first, last, expected) in [
        (of("1.125", "float"), of("2", "float"), ("2", "2.5", 2)),
        (
            of("1e300", "float"),
            of("2.25", "float"),
            ("2.25", "2.75", 2),
        ),
        (of("1", "float"), of("2", "string"), ("2", "0.5", 1)),
        (of("x", "string"), of("2", "float"), ("2", "2.5", 2)),
        (of("1", "float"), of("x", "float"), ("x", "0.5", 1)),
    ] {
        let (val, text, num) = sum(&first, &between, &last);
        assert_eq!((val.as_str(), text.as_str(), num), expected);
    }
    // Where the hosts themselves are not kept, too.
    let twice = one_host("a", &(of("1", "float") + &of("2", "float")));
    let xml = wrapped(&twice);
    let (head, cluster) = xml.split_at(find(&xml, "<CLUSTER"));
    let (cluster, tail) = cluster.split_at(find(cluster, "</GANGLIA_XML>"));
    let grid = [
        head,
        b"<GRID NAME=\"below\">\n",
        cluster,
        b"</GRID>\n",
        tail,
    ]
    .concat();
    let document = Bench::new().poll(&grid, usize::MAX).unwrap();
    let sum = document.nodes[0].summary().metric("m").unwrap();
    assert_eq!((sum.text().as_str(), sum.num), ("2", 1));
}

fn find(bytes: &[u8], text: &str) -> usize {
    memchr::memmem::find(bytes, text.as_bytes()).expect("it is there")
}

#[test]
fn host_names_can_be_lower_case() {
    let mut bench = Bench::new();
    bench.settings.lower_case_hosts = true;
    assert!(
        bench
            .cluster(&wrapped(&one_host("WEB1", "")))
            .find_host("web1")
            .is_some()
    );
}

#[test]
fn missing_and_unknown_attributes_and_elements_do_no_harm() {
    let xml = wrapped(
        "<FOO><HOST NAME=\"x\"/></FOO><HOST NAME=\"a\" COLOUR=\"red\"><METRIC NAME=\"m\"/><BAR/></HOST>",
    );
    let cluster = Bench::new().cluster(&xml);
    assert_eq!(cluster.hosts.len(), 1);
    let m = metric(&cluster, "a", "m");
    let fields = cluster.def(m).fields();
    assert_eq!(
        (m.val.as_str(), fields.source.as_str(), fields.tmax),
        ("", "gmond", 0)
    );
}

#[test]
fn what_does_not_end_well_is_an_error() {
    let fail = |xml: &[u8]| Bench::new().poll(xml, usize::MAX).unwrap_err().to_string();
    for cut in [0, 1, 50, 3000, PLAIN.len() - 20] {
        assert!(
            fail(&PLAIN[..cut]).contains("without </GANGLIA_XML>"),
            "{cut}"
        );
    }
    assert!(fail(b"HTTP/1.0 200 OK\r\n").contains("does not start with a tag"));
    assert!(fail(b"<html><body/></html>").contains("first element is <html>"));
    let crossed = wrapped("<HOST NAME=\"a\"></CLUSTER></HOST>");
    assert!(fail(&crossed).contains("</CLUSTER> where </HOST>"));
    let deep = wrapped(&"<A>".repeat(100));
    assert!(fail(&deep).contains("nesting"));
}

#[test]
fn definitions_of_metrics_that_come_and_go_are_let_go() {
    let mut bench = Bench::new();
    for round in 0..200 {
        let metrics: String = (0..20)
            .map(|m| one_metric(&format!("m{round}_{m}"), "1", "int32", 1))
            .collect();
        bench.now = Mono(bench.now.0 + 15_000);
        let cluster = bench.cluster(&wrapped(&one_host("a", &metrics)));
        assert!(cluster.defs.len() < 200, "{}", cluster.defs.len());
        assert_eq!(
            metric(&cluster, "a", &format!("m{round}_7")).val.as_str(),
            "1"
        );
    }
    bench.table.sweep();
    assert!(bench.table.len() < 200, "{}", bench.table.len());
}

#[test]
fn a_cluster_that_comes_twice_is_one_with_the_hosts_of_both() {
    let cluster = |host: &str, val: &str| {
        format!(
            "<CLUSTER NAME=\"c\" OWNER=\"{host}\">{}</CLUSTER>",
            one_host(host, &one_metric("m", val, "int32", 0))
        )
    };
    let xml = format!(
        "<GANGLIA_XML>{}{}{}<GRID NAME=\"c\"/></GANGLIA_XML>",
        cluster("a", "1"),
        cluster("b", "2"),
        cluster("a", "4"),
    );
    let mut bench = Bench::new();
    for _ in 0..2 {
        let document = bench.poll(xml.as_bytes(), usize::MAX).unwrap();
        let cluster = only_cluster(&document);
        assert_eq!(
            document.damage, 4,
            "twice the cluster, once the host, the grid"
        );
        assert_eq!((cluster.hosts.len(), &*cluster.owner), (2, "a"));
        assert_eq!(cluster.summary.metric("m").unwrap().text(), "6");
        bench.follow(document);
    }
}

#[test]
fn what_a_tag_brings_over_from_before_it_brings_once() {
    let many: String = (0..1000)
        .map(|m| one_metric(&format!("m{m}"), "1", "int32", 0))
        .collect();
    let mut bench = Bench::new();
    bench.cluster(&wrapped(&(one_host("a", &many) + &one_host("b", &many))));
    let again = wrapped(&"<HOST NAME=\"a\" TMAX=\"20\"></HOST>".repeat(10_000));
    let cluster = bench.cluster(&again);
    assert_eq!((cluster.hosts.len(), cluster.metrics.len()), (2, 2000));
    let again = "<CLUSTER NAME=\"c\"></CLUSTER>".repeat(10_000);
    let cluster = bench.cluster(format!("<GANGLIA_XML>{again}</GANGLIA_XML>").as_bytes());
    assert_eq!(cluster.hosts.len(), 2);
    assert!(cluster.metrics.len() <= 2000);
}

#[test]
fn each_limit_is_told_and_the_next_document_is_taken() {
    let mut bench = Bench::new();
    bench.settings.limits = Limits {
        nodes: 3,
        hosts: 4,
        names: 5,
        bytes: 100_000,
        ..Limits::DEFAULT
    };
    let fine = wrapped(&one_host("a", &one_metric("m", "1", "int32", 0)));
    let hosts: String = (0..5).map(|at| one_host(&at.to_string(), "")).collect();
    let metrics = |count: usize| -> String {
        (0..count)
            .map(|at| one_metric(&format!("{count}.{at}"), "1", "int32", 0))
            .collect()
    };
    let sum = |at| format!("<METRICS NAME=\"{at}\" SUM=\"1\" NUM=\"1\"/>");
    let sums = (0..6).map(sum).collect::<Vec<_>>().concat();
    let inside = |inside: &str| format!("<GANGLIA_XML>{inside}</GANGLIA_XML>").into_bytes();
    let node = |at| format!("<CLUSTER NAME=\"{at}\"></CLUSTER>");
    let nodes = (0..4).map(node).collect::<Vec<_>>().concat();
    let long = one_metric("m", &"x".repeat(60_000), "string", 0);
    for (xml, what) in [
        (wrapped(&hosts), "the number of hosts"),
        (wrapped(&one_host("a", &metrics(6))), "names of metrics"),
        (
            inside(&format!("<GRID NAME=\"g\">{sums}</GRID>")),
            "names of metrics",
        ),
        (inside(&nodes), "clusters and grids"),
        (
            inside(&nodes.replace("CLUSTER", "GRID")),
            "clusters and grids",
        ),
        (
            wrapped(&(one_host("a", &long) + &one_host("b", &long))),
            "the memory",
        ),
    ] {
        let mut parser = Parser::new(
            Arc::new(bench.settings.clone()),
            std::mem::take(&mut bench.previous),
        );
        let error = parser.feed(&xml, bench.now, &mut bench.table).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        bench.previous.vocabularies = known_before(parser);
        assert_eq!(bench.cluster(&fine).hosts.len(), 1);
    }
}

#[test]
fn names_that_are_carried_over_never_cost_a_document() {
    let mut bench = Bench::new();
    bench.settings.limits.names = 400;
    let mut kept = 0;
    for round in 0..200 {
        let metrics: String = (0..10)
            .map(|m| one_metric(&format!("m{round}_{m}"), "1", "int32", 0))
            .collect();
        // One host is named in every other document only.
        let hosts = if round % 2 == 0 {
            one_host("a", &metrics) + &one_host("b", &metrics)
        } else {
            one_host("a", &metrics)
        };
        let cluster = bench.cluster(&wrapped(&hosts));
        let host = host(&cluster, "a");
        assert!(host.metrics().len() <= 120, "{}", host.metrics().len());
        kept = kept.max(host.metrics().len());
        if round % 50 == 49 {
            // As after a rejected document: the indices differ.
            bench.previous.vocabularies.clear();
        }
    }
    assert!(kept >= 100, "{kept}");
}

#[test]
fn values_that_no_sum_can_hold_are_served_and_not_summed() {
    let host = |name: &str, val: &str| one_host(name, &one_metric("m", val, "double", 0));
    let vals = ["1e308", "1e308", "1e400", "-inf", "NaN", "2.5"];
    let hosts: Vec<_> = (0..)
        .zip(vals)
        .map(|(at, val)| host(&format!("h{at}"), val))
        .collect();
    let cluster = Bench::new().cluster(&wrapped(&hosts.concat()));
    let sum = cluster.summary.metric("m").unwrap();
    assert_eq!(sum.num, 2);
    assert!(sum.text().parse::<f64>().unwrap().is_finite());
    assert_eq!(metric(&cluster, "h2", "m").val.as_str(), "1e400");
}

#[test]
fn of_endless_extra_data_the_first_is_kept() {
    let element = format!("<EXTRA_ELEMENT NAME=\"k\" VAL=\"{}\"/>", "&".repeat(30_000));
    let with = |count: usize| {
        let extra = element.repeat(count);
        format!("<METRIC NAME=\"m{count}\"><EXTRA_DATA>{extra}</EXTRA_DATA></METRIC>")
    };
    let metrics = with(2) + &with(20);
    let cluster = Bench::new().cluster(&wrapped(&one_host("a", &metrics)));
    for (name, kept) in [("m2", 2), ("m20", 2)] {
        let fields = cluster.def(metric(&cluster, "a", name)).fields();
        assert_eq!(fields.extra.len(), kept);
    }
}

#[test]
fn a_document_that_is_given_up_teaches_nothing() {
    let mut bench = Bench::new();
    bench.cluster(PLAIN);
    let known = bench.previous.vocabularies["Bench A"].len();
    for round in 0..50 {
        let metrics: String = (0..20)
            .map(|m| one_metric(&format!("m{round}_{m}"), "1", "int32", 1))
            .collect();
        let hosts = one_host("a", &metrics);
        let xml = String::from_utf8(wrapped(&hosts)).unwrap();
        let xml = xml.replace("NAME=\"c\"", "NAME=\"Bench A\"");
        let xml = xml.replace(
            "</CLUSTER>",
            &format!("</CLUSTER><CLUSTER NAME=\"{round}\">"),
        );
        for cut in [xml.len() - 10, xml.len() / 2] {
            let mut parser = Parser::new(
                Arc::new(bench.settings.clone()),
                std::mem::take(&mut bench.previous),
            );
            let fed = parser.feed(&xml.as_bytes()[..cut], bench.now, &mut bench.table);
            assert!(fed.is_ok() || cut > xml.len() / 2);
            bench.previous.vocabularies = known_before(parser);
        }
        assert_eq!(bench.previous.vocabularies.len(), 1);
        assert_eq!(bench.previous.vocabularies["Bench A"].len(), known);
    }
}

/// What was known before a document that is given up.
fn known_before(parser: Parser) -> std::collections::HashMap<Box<str>, crate::model::Vocabulary> {
    let mut abandoned = parser.abandon();
    while abandoned.step(&mut 3) {}
    abandoned.finish(&mut crate::model::Rubbish::default())
}
