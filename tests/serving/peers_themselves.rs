//! The foundation of the tests: the peers start, hold what they are given, and end.
//!
//! Without our own daemon: a failure here is one of the machine or of the helpers.

use std::process::Command;

use crate::support::peers::{
    Announced, CGmetad, FakeSource, Gmond, Script, ask, available, document, text,
};

#[test]
fn gmond_holds_what_gmetric_announced() {
    if !available("gmond_holds_what_gmetric_announced", &["gmond", "gmetric"]) {
        return;
    }
    let gmond = Gmond::start("Real", "node1");
    gmond.announce(&[
        Announced::new("whole", "uint32", "7").units("things"),
        Announced::new("text", "string", "a b").with(&["-g", "mine", "-D", "what it is"]),
    ]);
    let xml = gmond.wait_for("VAL=\"7\" TYPE=\"uint32\" UNITS=\"things\"");
    assert!(xml.contains("<CLUSTER NAME=\"Real\""), "{xml}");
    assert!(xml.contains("<HOST NAME=\"node1\""), "{xml}");
    assert_eq!(xml.matches("<HOST ").count(), 1, "{xml}");
    assert!(
        xml.contains("<EXTRA_ELEMENT NAME=\"GROUP\" VAL=\"mine\"/>"),
        "{xml}"
    );
}

#[test]
fn two_c_gmetads_agree_over_one_source_and_differ_over_two() {
    let name = "two_c_gmetads_agree_over_one_source_and_differ_over_two";
    if !available(name, &["gmetad"]) {
        return;
    }
    let cluster = |value: &str| {
        document(
            "gmond",
            &format!(
                "<CLUSTER NAME=\"C\" LOCALTIME=\"1700000000\" OWNER=\"o\" LATLONG=\"l\" URL=\"u\">\n\
                 <HOST NAME=\"h\" IP=\"10.0.0.1\" TAGS=\"\" REPORTED=\"1700000000\" TN=\"1\" \
                 TMAX=\"20\" DMAX=\"0\" LOCATION=\"\" GMOND_STARTED=\"1\">\n\
                 <METRIC NAME=\"m\" VAL=\"{value}\" TYPE=\"float\" UNITS=\"\" TN=\"1\" TMAX=\"60\" \
                 DMAX=\"0\" SLOPE=\"both\">\n</METRIC>\n</HOST>\n</CLUSTER>\n"
            ),
        )
    };
    let source = FakeSource::start(Script::Serve(cluster("1.5")));
    let other = FakeSource::start(Script::Serve(cluster("2.5")));
    let gmetads: Vec<CGmetad> = [source.port(), source.port(), other.port()]
        .into_iter()
        .map(|port| CGmetad::start("Grid", &[("C", 1, port)], ""))
        .collect();
    for gmetad in &gmetads {
        gmetad.wait_for("/?filter=summary", "<METRICS NAME=\"m\"");
    }
    let compared = |one: &CGmetad, two: &CGmetad, options: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_gmetad-consistency-test"))
            .args(options)
            .arg(one.interactive_port().to_string())
            .arg(two.interactive_port().to_string())
            .output()
            .expect("the comparison starts");
        (output.status.code(), text(&output.stdout))
    };
    let (code, told) = compared(&gmetads[0], &gmetads[1], &["--strict", "--for", "30"]);
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = compared(&gmetads[0], &gmetads[2], &["-r", "/C/h/m"]);
    assert_eq!(code, Some(1), "{told}");
    assert_eq!(
        told,
        "\"/C/h/m\": 1 difference\n  /Grid/C/h/m @VAL: \"1.5\" vs \"2.5\"\n\
         1 answer compared, 1 difference\n"
    );
}

#[test]
fn a_comparison_with_an_unreachable_peer_fails_and_names_it() {
    let source = FakeSource::start(Script::Serve(b"<GANGLIA_XML".to_vec()));
    let compared = |first: &str, second: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_gmetad-consistency-test"))
            .args(["--xml", first, second])
            .output()
            .expect("the comparison starts");
        (output.status.code(), text(&output.stderr))
    };
    let port = source.port().to_string();
    let (code, told) = compared(&port, "127.0.0.1:0");
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("127.0.0.1:0: "), "{told}");
    let (code, told) = compared(&port, &port);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("no well-formed XML"), "{told}");
}

#[test]
fn a_scripted_source_follows_its_script() {
    let source = FakeSource::start(Script::Serve(b"all of it".to_vec()));
    assert_eq!(ask(source.port(), None).as_deref(), Some(&b"all of it"[..]));
    source.script(Script::Slow(
        b"piece by piece".to_vec(),
        4,
        std::time::Duration::from_millis(1),
    ));
    assert_eq!(
        ask(source.port(), None).as_deref(),
        Some(&b"piece by piece"[..])
    );
    source.script(Script::Close);
    assert_eq!(ask(source.port(), None).as_deref(), Some(&b""[..]));
    assert_eq!(source.polls(), 3);
}
