//! Limits of documents: each as it is configured, at its edge and past it.

use super::*;

/// Sets a limit.
type Set = fn(&mut Limits, usize);

/// Reads it twice, since what is known then is compared, in whole and in small pieces.
fn read(xml: &[u8], limits: Limits) -> Result<Document, ParseError> {
    let mut all = Vec::new();
    for (fast, piece) in [(true, usize::MAX), (true, 7), (false, usize::MAX)] {
        let mut bench = Bench::new();
        let known = bench.poll(xml, usize::MAX).unwrap();
        bench.follow(known);
        bench.settings.fast = fast;
        bench.settings.limits = limits;
        all.push(bench.poll(xml, piece));
    }
    let outcome = |it: &Result<Document, ParseError>| match it {
        Ok(document) => Ok(seen(document)),
        Err(ParseError::Limit { what, limit, .. }) => Err((*what, *limit)),
        Err(error) => panic!("{error}"),
    };
    let outcomes: Vec<_> = all.iter().map(outcome).collect();
    assert!(outcomes.iter().all(|it| *it == outcomes[0]), "{outcomes:?}");
    all.swap_remove(0)
}

#[test]
fn a_document_is_taken_at_each_limit_and_rejected_past_it() {
    let inside = |inside: &str| format!("<GANGLIA_XML>{inside}</GANGLIA_XML>").into_bytes();
    let host = |name: &str| one_host(name, &one_metric("m", "1", "int32", 0));
    let names = ["a", "b", "c"].map(|name| one_metric(name, "1", "int32", 0));
    let clusters = ["a", "b"].map(|name| format!("<CLUSTER NAME=\"{name}\"></CLUSTER>"));
    let nodes = inside(&(clusters.concat() + "<GRID NAME=\"g\"></GRID>"));
    let hosts = wrapped(&(host("a") + &host("b") + &host("c")));
    let deep = "<METRIC NAME=\"m\"><EXTRA_DATA><EXTRA_ELEMENT/></EXTRA_DATA></METRIC>";
    let cases: [(&str, Vec<u8>, usize, Set); 5] = [
        ("the document", hosts.clone(), hosts.len(), |it, most| {
            it.document_bytes = most as u64;
        }),
        ("the number of clusters and grids", nodes, 3, |it, most| {
            it.nodes = most;
        }),
        ("the number of hosts", hosts, 3, |it, most| it.hosts = most),
        (
            "the number of names of metrics",
            wrapped(&one_host("h", &names.concat())),
            3,
            |it, most| it.names = most,
        ),
        (
            "the nesting of elements",
            wrapped(&one_host("h", deep)),
            6,
            |it, most| it.depth = most,
        ),
    ];
    for (what, xml, edge, set) in cases {
        let with = |most| {
            let mut limits = Limits::DEFAULT;
            set(&mut limits, most);
            limits
        };
        assert!(read(&xml, with(edge)).is_ok(), "{what}");
        let error = read(&xml, with(edge - 1)).unwrap_err().to_string();
        assert!(error.starts_with(what), "{error}");
        let end = format!("exceeds the limit of {}", edge - 1);
        assert!(error.ends_with(&end), "{error}");
    }
}

#[test]
fn memory_for_what_a_document_brings_is_what_it_is_set_to() {
    let value = 10_000;
    let host = |name: &str| one_host(name, &one_metric("m", &"x".repeat(value), "string", 0));
    let xml = wrapped(&(host("a") + &host("b")));
    let with = |bytes| Limits {
        bytes,
        ..Limits::DEFAULT
    };
    assert!(read(&xml, with(2 * value + 5000)).is_ok());
    let error = read(&xml, with(2 * value)).unwrap_err().to_string();
    assert!(error.starts_with("the memory for what was read"), "{error}");
}

#[test]
fn a_tag_longer_than_it_is_set_to_costs_its_element() {
    let tag = "<METRIC NAME=\"m\" VAL=\"1234\" TYPE=\"string\" SLOPE=\"both\"/>";
    let long = tag.replace("1234", &"x".repeat(1000));
    let xml = wrapped(&one_host("h", &(tag.replace("\"m\"", "\"n\"") + &long)));
    for (tag_bytes, metrics, damage) in [(long.len(), 2, 0), (long.len() - 1, 1, 1)] {
        let limits = Limits {
            tag_bytes,
            ..Limits::DEFAULT
        };
        let document = read(&xml, limits).unwrap();
        assert_eq!((document.metrics, document.damage), (metrics, damage));
    }
}

#[test]
fn extra_elements_are_kept_up_to_what_is_set() {
    let kept = |limits: Limits, count: usize, bytes: usize| {
        let element = format!(
            "<EXTRA_ELEMENT NAME=\"k\" VAL=\"{}\"/>",
            "x".repeat(bytes - 1)
        );
        let extra = element.repeat(count);
        let metric = format!("<METRIC NAME=\"m\"><EXTRA_DATA>{extra}</EXTRA_DATA></METRIC>");
        let document = read(&wrapped(&one_host("h", &metric)), limits).unwrap();
        let cluster = only_cluster(&document);
        let fields = cluster.def(metric_of(&cluster)).fields();
        (fields.extra.len(), document.damage)
    };
    let few = Limits {
        extra: 3,
        ..Limits::DEFAULT
    };
    assert_eq!(kept(few, 3, 10), (3, 0));
    assert_eq!(kept(few, 4, 10), (3, 1));
    let short = Limits {
        tag_bytes: 1000,
        ..Limits::DEFAULT
    };
    assert_eq!(kept(short, 2, 500), (2, 0));
    assert_eq!(kept(short, 2, 501), (1, 1));
}

fn metric_of(cluster: &Cluster) -> &Metric {
    metric(cluster, "h", "m")
}

#[test]
fn what_was_known_before_a_limit_was_lowered_costs_no_document() {
    let names = |count: usize| -> Vec<u8> {
        let names = (0..count).map(|at| one_metric(&at.to_string(), "1", "int32", 0));
        let inside = names.collect::<String>();
        let grid = format!(
            "<GRID NAME=\"g\"><CLUSTER NAME=\"d\">{}</CLUSTER></GRID></GANGLIA_XML>",
            one_host("h", &inside)
        );
        let xml = String::from_utf8(wrapped(&one_host("h", &inside))).unwrap();
        xml.replace("</GANGLIA_XML>", &grid).into_bytes()
    };
    let mut bench = Bench::new();
    let many = bench.poll(&names(10), usize::MAX).unwrap();
    bench.follow(many);
    bench.settings.limits.names = 5;
    let few = bench.poll(&names(5), usize::MAX).unwrap();
    assert_eq!(few.metrics, 10, "of both");
    bench.follow(few);
    assert!(bench.poll(&names(6), usize::MAX).is_err());
}
