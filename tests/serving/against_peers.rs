//! Beside a C gmetad over the same sources: clients must not notice which one answers.
//!
//! Round-robin files are compared in `against_peers_rrd`.

use std::path::Path;

use crate::support::peers::{
    Announced, CGmetad, DataSource, FakeSource, Gmond, Script, available, shared_conf,
};
use crate::support::side_by_side::{assert_same, compare};
use crate::support::{Gmetad, wait_until};

/// Ours over sources on loopback, configured as [`CGmetad::start`] does it.
fn ours(folder: &Path, grid: &str, sources: &[DataSource<'_>]) -> Gmetad {
    Gmetad::start(folder, &shared_conf(grid, sources, &folder.join("rrds")))
}

/// Values of each type, each slope, with and without decimals and extra data.
fn values() -> Vec<Announced> {
    vec![
        Announced::new("a_string", "string", "x86_64 <&> \"it\""),
        Announced::new("an_int8", "int8", "-7"),
        Announced::new("a_uint8", "uint8", "200").units("things"),
        Announced::new("an_int16", "int16", "-30000"),
        Announced::new("a_uint16", "uint16", "60000"),
        Announced::new("an_int32", "int32", "-2000000000"),
        Announced::new("a_uint32", "uint32", "4294967295").units("bytes"),
        Announced::new("a_float", "float", "3.25").units(" "),
        Announced::new("a_long_float", "float", "0.123456789"),
        Announced::new("a_double", "double", "-12345.678").units("C"),
        Announced::new("a_whole_double", "double", "17"),
        Announced::new("a_counter", "uint32", "1000").slope("positive"),
        Announced::new("a_constant", "uint32", "5").slope("zero"),
        Announced::new("a_falling", "float", "1.5").slope("negative"),
        Announced::new("a_derivative", "double", "12.5").slope("derivative"),
        Announced::new("described", "uint32", "9").with(&[
            "-g",
            "one,two",
            "-D",
            "what it is",
            "-T",
            "A Title",
            "-x",
            "120",
            "-d",
            "600",
        ]),
    ]
}

/// Values without what C gmetad writes unescaped, which leaves its answer unreadable.
fn plain_values() -> Vec<Announced> {
    values()
        .into_iter()
        .map(|mut value| {
            value.value.retain(|c| !"<&>\"".contains(c));
            value
        })
        .collect()
}

/// A value that another host than the gmond's own is made to have.
fn of_another_host(value: Announced) -> Announced {
    value.with(&["-S", "127.0.0.2:node2"])
}

#[test]
fn with_a_real_gmond_every_request_is_answered_as_c_gmetad_does() {
    let name = "with_a_real_gmond_every_request_is_answered_as_c_gmetad_does";
    if !available(name, &["gmond", "gmetric", "gmetad"]) {
        return;
    }
    let gmond = Gmond::start("Real Cluster", "node1");
    gmond.announce(&plain_values());
    // Units as node1's: C takes those of the host that its hash order brings first.
    gmond.announce(&[
        of_another_host(Announced::new("a_float", "float", "0.5").units(" ")),
        of_another_host(Announced::new("only_there", "uint32", "3")),
    ]);
    let other = Gmond::start("Other", "node9");
    other.announce(&[Announced::new("a_float", "float", "10.75").units(" ")]);
    let sources = [
        ("the first", 1, gmond.port()),
        ("the second", 1, other.port()),
    ];
    let folder = tempfile::tempdir().expect("a temporary folder");
    let c = CGmetad::start("TestGrid", &sources, "");
    let ours = ours(folder.path(), "TestGrid", &sources);
    c.wait_for("/?filter=summary", "<METRICS NAME=\"only_there\"");
    let (c_port, our_port) = (c.interactive_port(), ours.interactive().port());
    assert_same(c_port, our_port, &[]);
    // What the walk leaves out: other spellings, and names of more than one level that miss.
    let paths = [
        "/Real Cluster/",
        "/Real Cluster/node2",
        "/Real Cluster/node2/only_there",
        "/Real Cluster/node1/a_counter?filter=summary",
        "/Real Cluster/node1/a_counter/more",
        "/Real Cluster/?filter=summary",
        "/Real Cluster/nobody?filter=summary",
        "/Real Cluster/nobody/a_float",
        "/real cluster",
        "/the first",
        "/?filter=bogus",
        "/?foo=bar",
        "/Other?filter=bogus",
    ];
    let requests: Vec<&str> = paths.iter().flat_map(|path| ["-r", *path]).collect();
    assert_same(c_port, our_port, &requests);
    assert_same(c.xml_port(), ours.xml().port(), &["--xml"]);
    // Seconds may pass between the two answers' polls, but no more.
    let moving = ["-w", "TN=8", "-w", "LOCALTIME=8", "-w", "REPORTED=8"];
    assert_same(c_port, our_port, &moving);
}

#[test]
fn a_changed_value_soon_is_the_same_in_both() {
    let name = "a_changed_value_soon_is_the_same_in_both";
    if !available(name, &["gmond", "gmetric", "gmetad"]) {
        return;
    }
    let gmond = Gmond::start("Real", "node1");
    gmond.announce(&[Announced::new("moving", "float", "1.5")]);
    let sources = [("it", 1, gmond.port())];
    let folder = tempfile::tempdir().expect("a temporary folder");
    let c = CGmetad::start("TestGrid", &sources, "");
    let ours = ours(folder.path(), "TestGrid", &sources);
    for value in ["2.25", "-3", "1000000.5"] {
        gmond.announce(&[Announced::new("moving", "float", value)]);
        let metric = format!("<METRIC NAME=\"moving\" VAL=\"{value}\"");
        c.wait_for("/Real/node1/moving", &metric);
        wait_until(&format!("{metric} from ours"), || {
            ours.query("/Real/node1/moving").contains(&metric)
        });
        assert_same(c.interactive_port(), ours.interactive().port(), &[]);
    }
}

#[test]
fn a_grid_below_is_summed_and_shown_as_c_gmetad_does() {
    let name = "a_grid_below_is_summed_and_shown_as_c_gmetad_does";
    if !available(name, &["gmond", "gmetric", "gmetad"]) {
        return;
    }
    let gmond = Gmond::start("Below", "node1");
    gmond.announce(&plain_values());
    gmond.announce(&[of_another_host(
        Announced::new("a_float", "float", "0.5").units(" "),
    )]);
    let near = Gmond::start("Near", "node5");
    near.announce(&[
        Announced::new("a_float", "float", "8.25").units(" "),
        Announced::new("only_near", "uint32", "1"),
    ]);
    let leaf = CGmetad::start("LeafGrid", &[("below", 1, gmond.port())], "");
    leaf.wait_for("/?filter=summary", "<METRICS NAME=\"described\"");
    let sources = [("leaf", 1, leaf.xml_port()), ("near", 1, near.port())];
    let folder = tempfile::tempdir().expect("a temporary folder");
    let c = CGmetad::start("RootGrid", &sources, "");
    let ours = ours(folder.path(), "RootGrid", &sources);
    c.wait_for("/?filter=summary", "<METRICS NAME=\"described\"");
    c.wait_for("/?filter=summary", "<METRICS NAME=\"only_near\"");
    let (c_port, our_port) = (c.interactive_port(), ours.interactive().port());
    assert_same(c_port, our_port, &[]);
    let paths = [
        "/LeafGrid/Below",
        "/LeafGrid/Below/node1",
        "/LeafGrid/?filter=summary",
    ];
    let requests: Vec<&str> = paths.iter().flat_map(|path| ["-r", *path]).collect();
    assert_same(c_port, our_port, &requests);
    assert_same(c.xml_port(), ours.xml().port(), &["--xml"]);
}

#[test]
fn c_gmetad_reads_our_document_like_its_own() {
    let name = "c_gmetad_reads_our_document_like_its_own";
    if !available(name, &["gmond", "gmetric", "gmetad"]) {
        return;
    }
    let gmond = Gmond::start("Below", "node1");
    gmond.announce(&plain_values());
    let below = [("below", 1, gmond.port())];
    let folder = tempfile::tempdir().expect("a temporary folder");
    let c_leaf = CGmetad::start("LeafGrid", &below, "");
    let our_leaf = ours(folder.path(), "LeafGrid", &below);
    let over_c = CGmetad::start("RootGrid", &[("leaf", 1, c_leaf.xml_port())], "");
    let over_ours = CGmetad::start("RootGrid", &[("leaf", 1, our_leaf.xml().port())], "");
    for root in [&over_c, &over_ours] {
        root.wait_for("/?filter=summary", "<METRICS NAME=\"described\"");
    }
    let (one, other) = (over_c.interactive_port(), over_ours.interactive_port());
    assert_same(one, other, &["--strict"]);
}

#[test]
fn scalable_off_takes_the_clusters_of_a_grid_as_its_own_as_c_gmetad_does() {
    let name = "scalable_off_takes_the_clusters_of_a_grid_as_its_own_as_c_gmetad_does";
    if !available(name, &["gmond", "gmetric", "gmetad"]) {
        return;
    }
    let gmond = Gmond::start("Below", "node1");
    gmond.announce(&plain_values());
    let leaf = CGmetad::start("LeafGrid", &[("below", 1, gmond.port())], "");
    leaf.wait_for("/", "<METRIC NAME=\"described\"");
    let sources = [("leaf", 1, leaf.xml_port())];
    let c = CGmetad::start("RootGrid", &sources, "scalable off");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let conf = shared_conf("RootGrid", &sources, &folder.path().join("rrds"));
    let ours = Gmetad::start(folder.path(), &format!("{conf}scalable off"));
    c.wait_for("/Below/node1", "<METRIC NAME=\"described\"");
    // C wraps them in its GRID still; ours leaves that out, as gmetad.conf says.
    for request in ["/", "/Below", "/Below/node1", "/Below?filter=summary"] {
        let unwrapped = FakeSource::start(Script::Close);
        wait_until(&format!("the same answer to {request}"), || {
            let answer = c.wait_for(request, "<CLUSTER NAME=\"Below\"");
            unwrapped.script(Script::Serve(without_grids(&answer).into_bytes()));
            let served = FakeSource::start(Script::Serve(ours.query(request).into_bytes()));
            let options = ["--xml", "--quiet"];
            compare(unwrapped.port(), served.port(), &options).0
        });
    }
}

/// An answer without the tags of its grid.
fn without_grids(answer: &str) -> String {
    answer
        .lines()
        .filter(|line| !line.starts_with("<GRID ") && *line != "</GRID>")
        .flat_map(|line| [line, "\n"])
        .collect()
}
