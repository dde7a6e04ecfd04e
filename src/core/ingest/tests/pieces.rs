//! Elements that are too large, and documents in ever so small pieces.

use super::super::scan::LOOKED_AT;
use super::*;

/// A lower limit than the default, so that every way to cut a document is soon tried.
const MAX_TAG_BYTES: usize = 1024;
const TOO_LARGE: usize = MAX_TAG_BYTES + 1;

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.settings.limits.tag_bytes = MAX_TAG_BYTES;
    bench
}

/// A document of a cluster with three hosts, of which that is inside the second.
fn around(inside: &str) -> Vec<u8> {
    let metric = |name| one_metric(name, "1", "int32", 0);
    let second = metric("before") + inside + &metric("after");
    wrapped(
        &[
            one_host("a", &metric("m")),
            one_host("b", &second),
            one_host("c", &metric("m")),
        ]
        .concat(),
    )
}

/// The same, whatever it is read in and however.
fn in_any_way(xml: &[u8]) -> Document {
    let mut all = Vec::new();
    for fast in [true, false] {
        for piece in [usize::MAX, 1, 13, 512, MAX_TAG_BYTES, MAX_TAG_BYTES + 7] {
            let mut bench = bench();
            bench.settings.fast = fast;
            for _ in 0..2 {
                let document = bench.poll(xml, piece).unwrap();
                all.push((seen(&document), document.damage));
                bench.follow(document);
            }
        }
    }
    assert!(all.iter().all(|it| *it == all[0]), "{all:?}");
    bench().poll(xml, usize::MAX).unwrap()
}

fn names_of(cluster: &Cluster, host_name: &str) -> Vec<String> {
    let metrics = cluster.metrics_of(host(cluster, host_name)).iter();
    metrics
        .map(|it| cluster.def(it).name().to_owned())
        .collect()
}

#[test]
fn a_metric_that_is_too_large_costs_itself() {
    let x = "x".repeat(TOO_LARGE + 2000);
    for inside in [
        one_metric("big", &x, "string", 0),
        one_metric(&x, "1", "string", 0),
        format!("<METRIC NAME=\"big\" VAL=\"{x}\"/>"),
        format!("<METRIC NAME='big' VAL='{x}'/>"),
        format!(
            "<METRIC NAME=\"big\" VAL=\"{}\"/>",
            "> </METRIC>".repeat(600)
        ),
        format!("<METRIC NAME=\"big\" VAL=\"{x}\" />\n"),
        format!("<METRIC NAME=\"big\"{}/>", " A=\"b\"".repeat(1200)),
        format!("<METRIC NAME=\"big\"{}/>", " ".repeat(TOO_LARGE + 2000)),
        format!("<METRIC NAME=\"big\" {x}=\"1\"/>"),
        // Broken before the limit and after it.
        format!("<METRIC NAME=\"a\"b\" VAL=\"{x}\"/>\n"),
        format!("<METRIC NAME=\"big\" VAL=\"{x}\"y\"/>\n"),
        format!("<METRIC NAME=\"big\" VAL=\"{x}\" UNITS=\"y\"z\"/>\n"),
        format!("<FOO A=\"{x}\"><METRIC NAME=\"big\"/></FOO>"),
    ] {
        let document = in_any_way(&around(&inside));
        let cluster = only_cluster(&document);
        assert_eq!(cluster.hosts.len(), 3);
        assert_eq!(
            names_of(&cluster, "b"),
            ["before", "after"],
            "{}",
            &inside[..40]
        );
        assert_eq!(document.damage, 1, "{}", &inside[..40]);
    }
}

#[test]
fn an_element_inside_a_metric_that_is_too_large_costs_itself() {
    let x = "x".repeat(TOO_LARGE);
    let metric = format!(
        "<METRIC NAME=\"m\" VAL=\"1\"><EXTRA_DATA><EXTRA_ELEMENT NAME=\"a\" VAL=\"1\"/>\
         <EXTRA_ELEMENT NAME=\"big\" VAL=\"{x}\"/><EXTRA_ELEMENT NAME=\"{x}\" VAL=\"\"y\"\n\
         <EXTRA_ELEMENT NAME=\"b\" VAL=\"2\"/></EXTRA_DATA></METRIC>"
    );
    let document = in_any_way(&around(&metric));
    let cluster = only_cluster(&document);
    let fields = cluster.def(super::metric(&cluster, "b", "m")).fields();
    let names: Vec<&str> = fields.extra.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names, document.damage), (vec!["a", "b"], 2));
}

#[test]
fn a_container_that_is_too_large_costs_what_is_inside_and_no_more() {
    let x = "x".repeat(TOO_LARGE);
    let metrics = one_metric("m", "1", "int32", 0);
    let hosts = one_host("a", &metrics)
        + &one_host("big", &metrics).replace("IP=\"", &format!("IP=\"{x}"))
        + &one_host("c", &metrics);
    let document = in_any_way(&wrapped(&hosts));
    let cluster = only_cluster(&document);
    assert_eq!((cluster.hosts.len(), document.damage), (2, 1));
    assert_eq!(cluster.summary.hosts_up, 2);

    let cluster = |name: &str, url: &str| {
        format!(
            "<CLUSTER NAME=\"{name}\" URL=\"{url}\">{hosts}</CLUSTER>",
            hosts = one_host("h", &metrics)
        )
    };
    let grid = |name: &str, authority: &str| {
        let inside = cluster("in", "");
        format!("<GRID NAME=\"{name}\" AUTHORITY=\"{authority}\">{inside}</GRID>")
    };
    let xml = format!(
        "<GANGLIA_XML>{}{}{}{}{}</GANGLIA_XML>",
        cluster("one", &x),
        cluster("two", ""),
        grid("three", &x),
        grid("four", ""),
        grid("five", "").replace("<GRID", &format!("<!--{x}--><?{x}?><![CDATA[{x}]]><GRID")),
    );
    let document = in_any_way(xml.as_bytes());
    let names: Vec<&str> = document.nodes.iter().map(Node::name).collect();
    assert_eq!((names, document.damage), (vec!["two", "four", "five"], 2));
}

#[test]
fn the_limit_of_a_tag_is_where_it_is_said_to_be() {
    for (len, damage) in [(MAX_TAG_BYTES, 0), (MAX_TAG_BYTES + 1, 1)] {
        let empty = "<METRIC NAME=\"m\" VAL=\"\"/>";
        let val = "x".repeat(len - empty.len());
        let metric = empty.replace("VAL=\"", &format!("VAL=\"{val}"));
        assert_eq!(in_any_way(&around(&metric)).damage, damage);
    }
}

#[test]
fn the_root_and_what_comes_before_it_may_be_large() {
    let x = "x".repeat(TOO_LARGE);
    let (root, doctype) = ("<GANGLIA_XML ", "<!DOCTYPE GANGLIA_XML [");
    let xml = String::from_utf8(around("")).unwrap();
    let xml = xml.replace(doctype, &format!("{doctype}<!-- ]{x}] -->"));
    let xml = xml.replace(root, &format!("{root}A=\"{x}\" "));
    let document = in_any_way(xml.as_bytes());
    assert_eq!(
        (only_cluster(&document).hosts.len(), document.damage),
        (3, 1)
    );
    let other = format!("<html a=\"{x}\"/>");
    let error = bench().poll(other.as_bytes(), 100).unwrap_err();
    assert!(error.to_string().contains("its first element is <html>"));
}

#[test]
fn a_name_that_is_too_large_costs_its_element() {
    let x = "x".repeat(TOO_LARGE);
    let document = in_any_way(&around(&format!("<{x}><METRIC NAME=\"in\"/></{x}>")));
    assert_eq!(names_of(&only_cluster(&document), "b"), ["before", "after"]);
    assert_eq!(document.damage, 2, "both of its tags are");
}

#[test]
fn an_end_tag_that_is_too_large_ends_its_element() {
    let xml = String::from_utf8(around("")).unwrap();
    let blank = " ".repeat(TOO_LARGE);
    let xml = xml.replace("</HOST>", &format!("</HOST{blank}>"));
    let document = in_any_way(xml.as_bytes());
    assert_eq!(
        (only_cluster(&document).hosts.len(), document.damage),
        (3, 3)
    );
}

#[test]
fn of_a_tag_that_never_ends_little_is_kept() {
    let mut table = DefTable::default();
    let mut parser = Parser::new(Arc::default(), Previous::default());
    let start = b"<GANGLIA_XML><CLUSTER NAME=\"";
    parser.feed(start, Mono(0), &mut table).unwrap();
    for _ in 0..10_000 {
        parser.feed(&[b'x'; 1000], Mono(0), &mut table).unwrap();
        assert!(parser.kept_bytes() <= Limits::DEFAULT.tag_bytes + 1000);
    }
    assert!(parser.kept_bytes() == 0);
    assert!(matches!(
        parser.finish(Mono(0)),
        Err(ParseError::Truncated(_))
    ));
}

/// Bytes looked at to read a document in pieces of that many bytes, twice.
fn looked_at(xml: &[u8], piece: usize) -> usize {
    let mut bench = bench();
    let before = LOOKED_AT.get();
    for _ in 0..2 {
        let document = bench.poll(xml, piece).unwrap();
        bench.follow(document);
    }
    (LOOKED_AT.get() - before) as usize
}

#[test]
fn no_byte_is_looked_at_again_and_again_however_small_the_pieces_are() {
    const LEN: usize = 3600;
    let x = "x".repeat(LEN);
    let blank = " ".repeat(LEN);
    let many = |part: &str| part.repeat(LEN / part.len());
    let elements = [
        format!("<!-- {x} -->"),
        format!("<!-- {} -->", many("-- >")),
        format!("<?{}?>", many("? ")),
        format!("<![CDATA[{}]]>", many("]] ")),
        format!("<!DOCTYPE {x}>"),
        format!("<!DOCTYPE a [{}]{blank}>", many("] ")),
        format!("text {x}"),
        blank.clone(),
        format!("<METRIC NAME=\"m\" VAL=\"{x}\"/>"),
        format!("<METRIC NAME=\"m\"{blank}/>"),
        format!("<METRIC NAME=\"m\" {x}=\"\"/>"),
        format!("<METRIC NAME=\"m\" A{blank}=\"\"/>"),
        format!("<METRIC NAME=\"m\" A={blank}\"\"/>"),
        format!("<METRIC NAME=\"m\" {x}/>"),
        format!("<METRIC NAME=\"m\"{}/>", many(" A=\"b\"")),
        format!("<METRIC NAME=\"m\" VAL=\"{}\"/>", many("a>")),
        format!("<METRIC NAME=\"m\" VAL=\"a\"b{}/>\n", many("> < ")),
        format!("<METRIC NAME=\"m\" VAL=\"a\"b{}/>\n", many("> </META")),
        one_metric("m", "1", "int32", 0).replace(
            "<EXTRA_DATA>",
            &format!(
                "<EXTRA_DATA>{}",
                many("<EXTRA_ELEMENT NAME=\"k\" VAL=\"v\"/>")
            ),
        ),
        one_metric("m", &x, "string", 0),
        one_metric("m", &x.repeat(3), "string", 0),
    ];
    for element in elements {
        let xml = around(&element);
        let dripped = looked_at(&xml, 1);
        // An end that is recognised by the bytes after it is looked for a few times.
        let most = 2 * 6 * xml.len();
        assert!(
            dripped < most,
            "{dripped} of {}: {}",
            xml.len(),
            &element[..40]
        );
    }
}

/// A tag of random parts, up to a little more than the limit or far from it.
fn random_tag(dice: &mut Dice) -> String {
    const PARTS: [&str; 20] = [
        "\"",
        "'",
        ">",
        "/>",
        "\n",
        " ",
        "<",
        "=",
        "?",
        "/",
        " A=\"b\"",
        "\" B=\"",
        ">\n",
        "><",
        "</METRIC>",
        "<METRIC NAME=\"n\" VAL=\"1\"/>",
        "</HOST>",
        "<!--",
        "-->",
        "&",
    ];
    let starts = [
        "<METRIC NAME=\"m\" VAL=\"",
        "<HOST NAME=\"",
        "<FOO ",
        "</METRIC ",
        "<!--",
        "<?",
    ];
    let mut tag = starts[dice.below(starts.len())].to_owned();
    let pad = [
        0,
        MAX_TAG_BYTES / 2,
        MAX_TAG_BYTES - 60,
        MAX_TAG_BYTES - 30,
        MAX_TAG_BYTES + 30,
    ];
    let (pad, fill) = (pad[dice.below(pad.len())], ["x", " ", "y "][dice.below(3)]);
    let at = dice.below(8);
    for part in 0..8 + dice.below(16) {
        if part == at {
            tag += &fill.repeat(pad / fill.len());
        }
        tag += PARTS[dice.below(PARTS.len())];
    }
    tag
}

#[test]
fn the_pieces_that_a_large_and_broken_tag_comes_in_make_no_difference() {
    for seed in 0..300 {
        let dice = &mut Dice(seed);
        let xml = around(&random_tag(dice));
        let pieces = [
            usize::MAX,
            1 + dice.below(50),
            MAX_TAG_BYTES - 3 + dice.below(6),
        ];
        let mut all = Vec::new();
        for (piece, fast) in pieces.into_iter().flat_map(|it| [(it, true), (it, false)]) {
            let mut bench = bench();
            bench.settings.fast = fast;
            bench.follow(bench_of_known());
            let read = bench.poll(&xml, piece);
            all.push(read.map(|document| seen(&document)));
        }
        assert!(all.iter().all(|it| *it == all[0]), "seed {seed}: {all:?}");
    }
}

/// What `around` leaves, so that METRICs can be compared.
fn bench_of_known() -> Document {
    bench().poll(&around(""), usize::MAX).unwrap()
}
