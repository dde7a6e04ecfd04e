//! What docs/COMPATIBILITY.md says about answers, through the real binary: against what C gmetad
//! was seen to answer, and with documents that either of the others handles worse.
//!
//! Sources are scripted; beside a C gmetad that runs it is in `against_peers`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use crate::support::peers::{FakeSource, Script, available, document};
use crate::support::web::get;
use crate::support::{Gmetad, gmetad, skipped, wait_for, wait_until};
use quick_xml::Reader;
use quick_xml::events::Event;
use tempfile::{TempDir, tempdir};

fn folder() -> TempDir {
    tempdir().expect("a temporary folder")
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}

fn source(inside: &str) -> FakeSource {
    FakeSource::start(Script::Serve(document("gmond", inside)))
}

/// A gmetad over these sources, each polled every second.
fn over(folder: &TempDir, sources: &[&FakeSource], directives: &str) -> Gmetad {
    let mut text = directives.to_owned() + "\n";
    for (at, source) in sources.iter().enumerate() {
        let _ = writeln!(text, "data_source \"s{at}\" 1 127.0.0.1:{}", source.port());
    }
    Gmetad::start(folder.path(), &text)
}

fn cluster(name: &str, hosts: &str) -> String {
    let now = now();
    format!(
        "<CLUSTER NAME=\"{name}\" LOCALTIME=\"{now}\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n{hosts}\
         </CLUSTER>\n"
    )
}

fn host(name: &str, tn: u32, metrics: &str) -> String {
    let reported = now() - u64::from(tn);
    format!(
        "<HOST NAME=\"{name}\" IP=\"10.0.0.1\" REPORTED=\"{reported}\" TN=\"{tn}\" TMAX=\"20\" \
         DMAX=\"0\" LOCATION=\"\" GMOND_STARTED=\"1\">\n{metrics}</HOST>\n"
    )
}

fn metric(name: &str, val: &str) -> String {
    metric_of_age(name, val, 1, 0)
}

fn metric_of_age(name: &str, val: &str, tn: u32, dmax: u32) -> String {
    format!(
        "<METRIC NAME=\"{name}\" VAL=\"{val}\" TYPE=\"float\" UNITS=\"\" TN=\"{tn}\" TMAX=\"60\" \
         DMAX=\"{dmax}\" SLOPE=\"both\" SOURCE=\"gmond\"/>\n"
    )
}

/// The first line of an answer that starts so.
#[track_caller]
fn line<'a>(answer: &'a str, start: &str) -> &'a str {
    let found = answer.lines().find(|line| line.starts_with(start));
    found.unwrap_or_else(|| panic!("no line starts with {start} in\n{answer}"))
}

/// The value of an attribute in a line.
#[track_caller]
fn value<'a>(line: &'a str, name: &str) -> &'a str {
    let (_, rest) = line
        .split_once(&format!(" {name}=\""))
        .unwrap_or_else(|| panic!("no {name} in {line}"));
    rest.split('"').next().expect("a quote closes it")
}

/// Fails if a strict parser does.
#[track_caller]
fn assert_well_formed(answer: &str) {
    let mut reader = Reader::from_str(answer);
    loop {
        match reader.read_event().expect("well formed") {
            Event::Start(tag) | Event::Empty(tag) => {
                for attribute in tag.attributes() {
                    attribute.expect("a sound attribute");
                }
            }
            Event::Eof => return,
            _ => {}
        }
    }
}

fn capture(name: &str) -> String {
    fs::read_to_string(format!("tests/data/c-gmetad/{name}")).expect("a capture")
}

/// The attributes of a tag, each with its value.
fn attributes(tag: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = tag.split_once(' ').map_or("", |(_, rest)| rest);
    while let Some((name, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"').expect("a quote closes it");
        found.push(&rest[..name.len() + value.len() + 3]);
        rest = after.trim_start();
    }
    found
}

/// The same document with the attributes of every tag in another order, so that an answer in C
/// gmetad's order is no echo.
fn reversed(xml: &str) -> String {
    let line = |line: &str| {
        let mut attributes = attributes(line);
        if attributes.len() < 2 || line.starts_with([' ', '?']) {
            return format!("{line}\n");
        }
        attributes.reverse();
        let name = line.split(' ').next().expect("a tag");
        let end = if line.ends_with("/>") { "/>" } else { ">" };
        format!("{name} {}{end}\n", attributes.join(" "))
    };
    let (prolog, body) = xml.split_once("]>\n").expect("a document type");
    format!("{prolog}]>\n{}", body.lines().map(line).collect::<String>())
}

/// The lines of an answer's body in order, without what no two answers share. EXTRA_DATA of METRICS,
/// which C gmetad leaves empty for grids, is kept where `with_extra`.
fn comparable(answer: &str, with_extra: bool) -> Vec<String> {
    let (_, body) = answer.split_once("]>\n").expect("a document type");
    let mut in_sums = false;
    let mut lines = Vec::new();
    for line in body.lines() {
        if line.starts_with("<METRICS ") {
            in_sums = true;
        } else if line == "</METRICS>" {
            in_sums = false;
        }
        if in_sums && !with_extra && line.starts_with("<EXTRA_ELEMENT ") {
            continue;
        }
        let mut line = line.to_owned();
        for attribute in attributes(&line.clone()) {
            let moves = attribute.starts_with("TN=\"")
                || (line.starts_with("<GRID ") && attribute.starts_with("LOCALTIME=\""));
            if moves {
                let (name, _) = attribute.split_once('=').expect("an attribute");
                line = line.replace(attribute, name);
            }
        }
        lines.push(line);
    }
    lines.sort();
    lines
}

/// Fails with the lines that only one of the two has.
#[track_caller]
fn assert_same_lines(ours: &[String], theirs: &[String], what: &str) {
    let missing: Vec<_> = theirs.iter().filter(|line| !ours.contains(line)).collect();
    let added: Vec<_> = ours.iter().filter(|line| !theirs.contains(line)).collect();
    assert!(
        missing.is_empty() && added.is_empty(),
        "{what}: only in C gmetad's {missing:#?}, only in ours {added:#?}"
    );
    // As often in one as in the other.
    assert_eq!(ours, theirs, "{what}");
}

#[test]
fn the_answers_are_byte_for_byte_those_captured_of_c_gmetad() {
    let captured = capture("root-cluster.txt");
    let (_, body) = captured.split_once("<CLUSTER ").expect("one cluster");
    let (body, _) = body.split_once("</CLUSTER>\n").expect("it ends");
    let own = String::from_utf8(document("gmond", &format!("<CLUSTER {body}</CLUSTER>\n")));
    let own = reversed(&own.expect("text"));
    let leaf = reversed(&capture("leaf-dump.xml"));
    let sources = [leaf, own].map(|xml| FakeSource::start(Script::Serve(xml.into_bytes())));
    let folder = folder();
    let gmetad = over(
        &folder,
        &[&sources[0], &sources[1]],
        "gridname RootGrid\nauthority \"http://root.example.org/ganglia/\"\nwrite_rrds off",
    );
    wait_until("both sources in the sums", || {
        gmetad.query("/?filter=summary").contains("<HOSTS UP=\"7\"")
    });
    for (file, request, with_extra) in [
        ("root-dump.xml", None, false),
        ("root-unknown.txt", Some("/nope"), false),
        ("root-summary.txt", Some("/?filter=summary"), false),
        ("root-grid.txt", Some("/LeafGrid"), false),
        ("root-cluster.txt", Some("/Bench A"), true),
        (
            "root-cluster-summary.txt",
            Some("/Bench A?filter=summary"),
            true,
        ),
        ("root-host.txt", Some("/Bench A/localhost"), true),
        ("root-metric.txt", Some("/Bench A/localhost/load_one"), true),
        ("root-unknown-host.txt", Some("/Bench A/nobody"), true),
    ] {
        let theirs = capture(file);
        let ours = match request {
            None => gmetad.document(),
            Some(request) => gmetad.query(request),
        };
        let (prolog, _) = theirs.split_once("<GRID ").expect("a grid");
        assert!(ours.starts_with(prolog), "{file}");
        assert_same_lines(
            &comparable(&ours, with_extra),
            &comparable(&theirs, with_extra),
            file,
        );
    }
    // What C gmetad leaves empty for grids.
    let answer = gmetad.query("/LeafGrid");
    let (_, sums) = answer.split_once("<METRICS ").expect("sums");
    assert!(sums.contains("<EXTRA_ELEMENT NAME=\"TITLE\""), "{answer}");
}

/// Documents that were seen to crash C gmetad, each beside a sound cluster.
#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn input_that_crashes_c_gmetad_affects_nothing_else() {
    let two = |val: &str| host("a", 1, &metric("m", val)) + &host("b", 1, &metric("m", val));
    let only = |name: &str, metric: &str| cluster(name, &host("h", 1, metric));
    // What is odd, and what is served of it.
    let odd = [
        (
            only("no type", "<METRIC NAME=\"x\" VAL=\"1\"/>\n"),
            "<METRIC NAME=\"x\" VAL=\"1\" TYPE=\"\"",
        ),
        (
            only("no name", "<METRIC VAL=\"1\" TYPE=\"float\"/>\n"),
            "<METRIC NAME=\"\" VAL=\"1\"",
        ),
        (
            only("no value", "<METRIC NAME=\"x\" TYPE=\"float\"/>\n"),
            "<METRIC NAME=\"x\" VAL=\"\"",
        ),
        (
            cluster("no host", "<HOST IP=\"10.0.0.1\" TN=\"1\"></HOST>\n"),
            "<HOST NAME=\"\" IP=\"10.0.0.1\"",
        ),
        (
            "<CLUSTER LOCALTIME=\"1\"></CLUSTER>\n".into(),
            "<CLUSTER NAME=\"unspecified\"",
        ),
        (host("outside", 1, &metric("m", "1")), ""),
        (
            only("sla/sh", &metric("m", "1")),
            "<CLUSTER NAME=\"sla/sh\"",
        ),
        (cluster("huge", &two("1e300")), "VAL=\"1e300\""),
        (cluster("over", &two("1e308")), "VAL=\"1e308\""),
    ];
    let folder = folder();
    let fake = source("");
    let gmetad = over(&folder, &[&fake], "");
    for (at, (odd, served)) in odd.iter().enumerate() {
        let sound = cluster(&format!("sound{at}"), &host("h", 1, &metric("m", "1.5")));
        fake.script(Script::Serve(document("gmond", &format!("{odd}{sound}"))));
        wait_until(odd, || {
            gmetad
                .query(&format!("/sound{at}/h/m"))
                .contains(&format!("<CLUSTER NAME=\"sound{at}\""))
        });
        let (document, sums) = (gmetad.document(), gmetad.query("/?filter=summary"));
        assert!(document.contains(served), "{served} of {odd}");
        assert!(!document.contains("\"outside\""), "no cluster has it");
        for answer in [document, sums] {
            assert_well_formed(&answer);
            assert!(answer.contains(&format!("<CLUSTER NAME=\"sound{at}\"")));
        }
        let json = get(gmetad.interactive(), "/api/v1/?filter=summary").json();
        assert!(json["nodes"].is_array(), "{json}");
        let file = folder.path().join(format!("rrds/sound{at}/h/m.rrd"));
        wait_until("its file", || file.exists());
    }
    let inside = folder.path().join("rrds/sla%2Fsh/h/m.rrd");
    assert!(inside.exists(), "one folder, whatever the name");
    assert!(gmetad.end().success());
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn missing_attributes_are_written_as_c_gmetad_writes_them() {
    let now = now();
    let metric = |name: &str, more: &str| format!("<METRIC NAME=\"{name}\" VAL=\"3\"{more}/>\n");
    let metrics = metric("bare", " TYPE=\"int32\"")
        + &metric("odd", " TYPE=\"quad\" SLOPE=\"sideways\" TN=\"5\"")
        + &metric("early", " TYPE=\"int32\" TN=\"-7\"");
    let inside = format!(
        "<CLUSTER NAME=\"c\">\n<HOST NAME=\"bare\">\n{metrics}</HOST>\n\
         <HOST NAME=\"early\" REPORTED=\"{now}\" TN=\"-6\" TMAX=\"20\"></HOST>\n</CLUSTER>\n\
         <GRID NAME=\"g\"></GRID>\n"
    );
    let (folder, fake) = (folder(), source(&inside));
    let gmetad = over(&folder, &[&fake], "");
    // Its time is that of this machine.
    let file = folder.path().join("rrds/c/bare/bare.rrd");
    wait_until("a file of a cluster without LOCALTIME", || file.exists());
    let answer = wait_for("the document", || {
        let answer = gmetad.document();
        answer.contains("<HOST ").then_some(answer)
    });
    assert_eq!(
        line(&answer, "<CLUSTER "),
        "<CLUSTER NAME=\"c\" LOCALTIME=\"0\" OWNER=\"unspecified\" LATLONG=\"unspecified\" \
         URL=\"unspecified\">"
    );
    assert_eq!(
        line(&answer, "<GRID NAME=\"g\""),
        "<GRID NAME=\"g\" AUTHORITY=\"\" LOCALTIME=\"0\">"
    );
    let bare = line(&answer, "<HOST NAME=\"bare\"");
    let tn = value(bare, "TN");
    assert_eq!(
        bare,
        format!(
            "<HOST NAME=\"bare\" IP=\"\" REPORTED=\"0\" TN=\"{tn}\" TMAX=\"0\" DMAX=\"0\" \
             LOCATION=\"unspecified\" GMOND_STARTED=\"0\" TAGS=\"unspecified\">"
        )
    );
    let bare = line(&answer, "<METRIC NAME=\"bare\"");
    let tn = value(bare, "TN");
    assert_eq!(
        bare,
        format!(
            "<METRIC NAME=\"bare\" VAL=\"3\" TYPE=\"int32\" UNITS=\"\" TN=\"{tn}\" TMAX=\"0\" \
             DMAX=\"0\" SLOPE=\"unspecified\" SOURCE=\"gmond\">"
        )
    );
    assert!(answer.contains(&format!("{bare}\n<EXTRA_DATA>\n</EXTRA_DATA>\n</METRIC>\n")));
    // C gmetad drops a metric of a type that it does not know, and prints a TN below 0 as 4 billion.
    let odd = line(&answer, "<METRIC NAME=\"odd\"");
    assert!(odd.contains(" TYPE=\"quad\" ") && odd.contains(" SLOPE=\"sideways\" "));
    for early in ["<METRIC NAME=\"early\"", "<HOST NAME=\"early\""] {
        let tn: u32 = value(line(&answer, early), "TN").parse().expect("a number");
        assert!(tn < 60, "{early}: {tn}");
    }
    let own: u64 = value(line(&answer, "<GRID NAME=\"unspecified\""), "LOCALTIME")
        .parse()
        .expect("a time");
    assert!(own.abs_diff(now) < 60, "that of this machine");
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn a_host_that_is_down_is_shown_and_neither_summed_nor_stored() {
    let hosts = host("up", 79, &metric("m", "1.5")) + &host("down", 80, &metric("m", "2"));
    let (folder, fake) = (folder(), source(&cluster("C", &hosts)));
    let gmetad = over(&folder, &[&fake], "");
    let up = folder.path().join("rrds/C/up/m.rrd");
    wait_until("the file of the one that is up", || up.exists());
    let sums = folder.path().join("rrds/C/__SummaryInfo__/m.rrd");
    wait_until("the sums", || sums.exists());
    assert!(!folder.path().join("rrds/C/down").exists());
    for request in ["/C?filter=summary", "/?filter=summary"] {
        wait_until(request, || {
            let answer = gmetad.query(request);
            answer.contains("<HOSTS UP=\"1\" DOWN=\"1\" SOURCE=\"gmetad\"/>")
                && answer.contains("<METRICS NAME=\"m\" SUM=\"1.5\" NUM=\"1\"")
        });
    }
    let answer = gmetad.query("/C/down");
    assert!(answer.contains("<METRIC NAME=\"m\" VAL=\"2\""), "{answer}");
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn a_value_past_its_dmax_is_neither_shown_nor_summed_nor_stored() {
    let metrics = metric_of_age("old", "1", 61, 60)
        + &metric_of_age("young", "2", 20, 3600)
        + &metric_of_age("kept", "3", 5000, 0);
    let (folder, fake) = (folder(), source(&cluster("C", &host("h", 1, &metrics))));
    let gmetad = over(&folder, &[&fake], "");
    let files = folder.path().join("rrds/C/h");
    for name in ["young", "kept"] {
        wait_until(name, || files.join(format!("{name}.rrd")).exists());
        assert!(gmetad.query("/C").contains(&format!("NAME=\"{name}\"")));
    }
    wait_until("the sums", || {
        gmetad.query("/?filter=summary").contains("NAME=\"kept\"")
    });
    for request in ["/", "/C/h/old", "/C?filter=summary", "/?filter=summary"] {
        assert!(!gmetad.query(request).contains("NAME=\"old\""), "{request}");
    }
    assert!(!files.join("old.rrd").exists());
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn a_document_may_hold_several_clusters_and_grids_in_grids() {
    let of = |name: &str| cluster(name, &host("h", 1, &metric("m", "1.5")));
    let sums = "<HOSTS UP=\"3\" DOWN=\"2\" SOURCE=\"gmetad\"/>\n\
                <METRICS NAME=\"m\" SUM=\"7.25\" NUM=\"3\" TYPE=\"double\" UNITS=\"\" \
                SLOPE=\"both\" SOURCE=\"gmond\"/>\n";
    let inside = format!(
        "{}{}<GRID NAME=\"G1\" AUTHORITY=\"http://g1/\" LOCALTIME=\"5\">\n{}\
         <GRID NAME=\"deep\">\n<GRID NAME=\"deeper\">\n{}</GRID>\n\
         <GRID NAME=\"told\">\n{sums}</GRID>\n</GRID>\n</GRID>\n\
         <GRID NAME=\"G2\" AUTHORITY=\"http://g2/\">\n{sums}</GRID>\n",
        of("C1"),
        of("C2"),
        of("inner"),
        of("innermost"),
    );
    let (folder, fake) = (folder(), source(&inside));
    let gmetad = over(&folder, &[&fake], "");
    let part = |answer: &str, start: &str| -> Vec<String> {
        let (_, rest) = answer.split_once(start).expect("it is there");
        rest.lines()
            .filter(|line| line.starts_with("<HOSTS ") || line.starts_with("<METRICS "))
            .take(2)
            .map(|line| line.split(" TYPE=").next().expect("text").to_owned())
            .collect()
    };
    let answer = wait_for("the sums", || {
        let answer = gmetad.query("/?filter=summary");
        answer.contains("<HOSTS UP=\"10\" ").then_some(answer)
    });
    for (start, hosts, sum) in [
        ("<GRID NAME=\"unspecified\"", (10, 4), ("20.50", 10)),
        ("<CLUSTER NAME=\"C1\"", (1, 0), ("1.5", 1)),
        ("<CLUSTER NAME=\"C2\"", (1, 0), ("1.5", 1)),
        (
            "<GRID NAME=\"G1\" AUTHORITY=\"http://g1/\" LOCALTIME=\"5\"",
            (5, 2),
            ("10.25", 5),
        ),
        ("<GRID NAME=\"G2\"", (3, 2), ("7.25", 3)),
    ] {
        let (up, down) = hosts;
        let (text, num) = sum;
        let expected = [
            format!("<HOSTS UP=\"{up}\" DOWN=\"{down}\" SOURCE=\"gmetad\"/>"),
            format!("<METRICS NAME=\"m\" SUM=\"{text}\" NUM=\"{num}\""),
        ];
        assert_eq!(part(&answer, start), expected, "{start}\n{answer}");
    }
    let names = |answer: &str| -> Vec<String> {
        let nodes = |line: &&str| line.starts_with("<CLUSTER ") || line.starts_with("<GRID ");
        let lines = answer.lines().filter(nodes);
        lines.map(|line| value(line, "NAME").to_owned()).collect()
    };
    let expected = ["unspecified", "C1", "C2", "G1", "G2"];
    assert_eq!(names(&answer), expected);
    assert_eq!(names(&gmetad.document()), expected);
    // Of a grid below only the sums are stored.
    let rrds = folder.path().join("rrds");
    for file in [
        "C1/h/m.rrd",
        "C2/h/m.rrd",
        "C2/__SummaryInfo__/m.rrd",
        "G1/__SummaryInfo__/m.rrd",
        "G2/__SummaryInfo__/m.rrd",
        "__SummaryInfo__/m.rrd",
    ] {
        wait_until(file, || rrds.join(file).exists());
    }
    assert!(!rrds.join("inner").exists() && !rrds.join("G1/inner").exists());
}

#[test]
fn ages_grow_between_documents() {
    let (folder, fake) = (
        folder(),
        source(&cluster("C", &host("h", 1, &metric("m", "1")))),
    );
    let directives = format!("data_source \"s\" 3600 127.0.0.1:{}\n", fake.port());
    let gmetad = Gmetad::start(folder.path(), &directives);
    let ages = || {
        let answer = gmetad.document();
        let age = |start| answer.lines().find(|line: &&str| line.starts_with(start));
        let (host, metric) = (age("<HOST ")?, age("<METRIC ")?);
        let number = |line| value(line, "TN").parse::<u32>().expect("seconds");
        Some((number(host), number(metric)))
    };
    let first = wait_for("the host", ages);
    wait_until("both to be older", || {
        ages().is_some_and(|(host, metric)| host >= first.0 + 2 && metric >= first.1 + 2)
    });
    assert_eq!(fake.polls(), 1);
}

#[test]
fn a_plain_request_needs_no_slash_and_may_be_encoded() {
    let inside = cluster("my cluster", &host("h", 1, &metric("m", "1")))
        + &cluster("Other", &host("o", 1, &metric("m", "1")));
    let (folder, fake) = (folder(), source(&inside));
    let gmetad = over(&folder, &[&fake], "GridName Top\nWRITE_RRDS off");
    wait_until("the cluster", || {
        gmetad.document().contains("<HOST NAME=\"h\"")
    });
    for (request, clusters, metrics) in [
        ("my cluster/h/m", 1, 1),
        ("/my%20cluster/h/m", 1, 1),
        ("/Top/my cluster/h/m", 1, 1),
        ("/my cluster?", 1, 1),
        ("/my cluster?filter", 1, 1),
        ("", 2, 2),
        ("/?filter", 2, 2),
        ("/%2F", 2, 2),
        ("/MY CLUSTER", 2, 2),
        ("/s0", 2, 2),
        ("/h", 2, 2),
    ] {
        let answer = gmetad.query(request);
        assert_well_formed(&answer);
        let count = (
            answer.matches("<CLUSTER ").count(),
            answer.matches("<METRIC ").count(),
        );
        assert_eq!(count, (clusters, metrics), "{request}");
    }
}

#[test]
fn a_source_that_is_down_is_served_unchanged_and_not_summed() {
    let (one, two) = (
        source(&cluster("One", &host("h1", 1, &metric("m", "1.5")))),
        source(&cluster("Two", &host("h2", 1, &metric("m", "2.25")))),
    );
    let never = FakeSource::start(Script::Close);
    let folder = folder();
    let gmetad = over(&folder, &[&one, &two, &never], "write_rrds off");
    let root = |up: u32| {
        let answer = gmetad.query("/?filter=summary");
        let hosts = line(&answer, "<HOSTS ").to_owned();
        hosts
            .starts_with(&format!("<HOSTS UP=\"{up}\""))
            .then_some(answer)
    };
    wait_for("both in the sums", || root(2));
    let cut = document("gmond", "<CLUSTER NAME=\"Two\" LOCALTIME=\"1\">\n");
    for broken in [Script::Close, Script::Serve(cut[..cut.len() - 20].to_vec())] {
        two.script(broken);
        let answer = wait_for("the sums of the one that answers", || root(1));
        assert_eq!(value(line(&answer, "<METRICS "), "SUM"), "1.5");
        let answer = gmetad.document();
        for name in ["One", "Two"] {
            assert!(answer.contains(&format!("<CLUSTER NAME=\"{name}\"")));
        }
        assert!(answer.contains("<HOST NAME=\"h2\"") && answer.contains("VAL=\"2.25\""));
        let clusters = answer.matches("<CLUSTER ").count();
        assert_eq!(clusters, 2, "none for the one that was never read");
        assert!(!answer.contains("STATUS="), "that is not in the DTD");
        let sound = cluster("Two", &host("h2", 1, &metric("m", "2.25")));
        two.script(Script::Serve(document("gmond", &sound)));
        wait_for("both in the sums again", || root(2));
    }
}

/// Everything below a folder.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("our own folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let inside = path.strip_prefix(folder).expect("below it");
                found.push(inside.display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[test]
#[cfg_attr(
    not(all(feature = "rrd", feature = "loader")),
    ignore = "needs the features rrd and loader"
)]
fn a_gmetad_python_configuration_runs_with_its_sections_and_plugins_folder() {
    let folder = folder();
    let fake = source(&cluster("C", &host("h", 1, &metric("m", "1"))));
    // gmetad-python's own plugins are in Python 2, and what they do is built in.
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).expect("our own folder");
    fs::write(plugins.join("rrd_plugin.py"), "print 'Python 2'\n").expect("our own folder");
    let root = folder.path().join("elsewhere");
    fs::create_dir(&root).expect("our own folder");
    let directives = format!(
        "data_source \"my cluster\" 1 127.0.0.1:{}\nplugins_dir {}\nserver_threads 10\n\
         rrd {{\n# Archives\nRRAs \"RRA:AVERAGE:0.5:1:244\" \\\n     \"RRA:AVERAGE:0.5:24:244\"\n\
         rrd_rootdir \"{}\"\n}}\n\nrrdsummary {{\n}}\nmongodb {{\npath /opt/cloud\n}}",
        fake.port(),
        plugins.display(),
        root.display()
    );
    let gmetad = Gmetad::start_with(folder.path(), &directives, &["-d", "3"]);
    let expected = [
        "C/__SummaryInfo__/m.rrd",
        "C/h/m.rrd",
        "__SummaryInfo__/m.rrd",
    ];
    wait_until("its files", || files(&root) == expected);
    assert!(
        files(&folder.path().join("rrds")).is_empty(),
        "the section wins"
    );
    gmetad.wait_for_line("rrd_plugin.py is left out: ");
    gmetad.wait_for_line("section mongodb is ignored: no plugin has that name, built in or in ");
    assert!(gmetad.end().success());
}

#[test]
fn the_root_summary_follows_its_sources() {
    let with = |val: &str| cluster("C", &host("h", 1, &metric("m", val)));
    let (folder, fake) = (folder(), source(&with("1")));
    let gmetad = over(&folder, &[&fake], "write_rrds off");
    for val in ["1", "2", "3"] {
        fake.script(Script::Serve(document("gmond", &with(val))));
        wait_until(&format!("a sum of {val}"), || {
            let answer = gmetad.query("/?filter=summary");
            let sum = answer.lines().find(|line| line.starts_with("<METRICS "));
            sum.is_some_and(|line| value(line, "SUM") == val)
        });
    }
}

/// Its contents are tested in `config`; this is the file of the package.
#[test]
fn the_packaged_configuration_of_c_gmetad_is_accepted_unchanged() {
    let name = "the_packaged_configuration_of_c_gmetad_is_accepted_unchanged";
    let file = Path::new("/etc/ganglia/gmetad.conf");
    if !available(name, &["gmetad"]) {
        return;
    }
    if !file.exists() {
        return skipped(name, "somebody has removed the package's gmetad.conf");
    }
    let output = gmetad()
        .args(["-t", "-c"])
        .arg(file)
        .output()
        .expect("the binary was built");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
}
