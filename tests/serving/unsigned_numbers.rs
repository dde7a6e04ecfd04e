//! Numbers of a document as C gmetad takes them, in every attribute that holds one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::peers::{CGmetad, FakeSource, Script, available, document, shared_conf};
use crate::support::web::get;
use crate::support::{Gmetad, wait_for};

/// Values that are no plain number, too large, or as gmond sends them for a spoofed host.
const VALUES: [&str; 24] = [
    "-664339888",
    "-1",
    "4294967295",
    "4294967296",
    "5000000000",
    "-5000000000",
    "2147483648",
    "-2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "99999999999999999999999",
    "-99999999999999999999",
    "0x10",
    "010",
    "",
    "abc",
    " 12",
    "12abc",
    "+7",
    "1e3",
    "3.7",
    "- 5",
];

/// Attributes of a host, each with what it has where another one is tried.
const OF_HOSTS: [&str; 4] = ["REPORTED", "TMAX", "DMAX", "GMOND_STARTED"];

fn of_every_kind() -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_secs().to_string();
    let (mut clusters, mut hosts, mut grids) = (String::new(), String::new(), String::new());
    for (at, value) in VALUES.iter().enumerate() {
        let _ = write!(
            clusters,
            "<CLUSTER NAME=\"cluster {at}\" LOCALTIME=\"{value}\" OWNER=\"\" LATLONG=\"\" \
             URL=\"\">\n</CLUSTER>\n"
        );
        let _ = write!(
            grids,
            "<GRID NAME=\"grid {at}\" AUTHORITY=\"a\" LOCALTIME=\"{value}\">\n<HOSTS \
             UP=\"{value}\" DOWN=\"{value}\" SOURCE=\"gmetad\"/>\n</GRID>\n"
        );
        for tried in OF_HOSTS {
            let of = |name: &str, usual: &str| {
                let value = if name == tried { value } else { usual };
                format!("{name}=\"{value}\"")
            };
            let _ = write!(
                hosts,
                "<HOST NAME=\"{tried} {at}\" IP=\"10.0.0.1\" TAGS=\"\" {} TN=\"1\" {} {} \
                 LOCATION=\"\" {}>\n<METRIC NAME=\"m\" VAL=\"1\" TYPE=\"float\" UNITS=\"\" \
                 TN=\"0\" TMAX=\"{value}\" DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\"/>\n\
                 <METRIC NAME=\"n\" VAL=\"1\" TYPE=\"float\" UNITS=\"\" TN=\"0\" TMAX=\"60\" \
                 DMAX=\"{}\" SLOPE=\"both\" SOURCE=\"gmond\"/>\n</HOST>\n",
                of("REPORTED", &now),
                of("TMAX", "20"),
                of("DMAX", "0"),
                of("GMOND_STARTED", "5"),
                if value.len() > 5 { value } else { "0" },
            );
        }
    }
    let all = format!(
        "{clusters}<CLUSTER NAME=\"hosts\" LOCALTIME=\"{now}\" OWNER=\"\" LATLONG=\"\" \
         URL=\"\">\n{hosts}</CLUSTER>\n{grids}"
    );
    document("gmetad", &all)
}

/// Every number of an answer, by element and attribute; those that move with time are left out.
fn numbers(answer: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut node = String::new();
    let mut host = String::new();
    for line in answer.lines().filter(|line| line.starts_with('<')) {
        let tag = line[1..].split([' ', '>']).next().unwrap_or_default();
        let attribute = |name: &str| {
            let (_, rest) = line.split_once(&format!(" {name}=\""))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let name = attribute("NAME").unwrap_or_default();
        match tag {
            "GRID" | "CLUSTER" => node.clone_from(&name),
            "HOST" => host.clone_from(&name),
            "METRIC" | "HOSTS" => {}
            _ => continue,
        }
        let of = match tag {
            "HOST" => format!("{tag} {name}"),
            "METRIC" => format!("{tag} {host}/{name}"),
            _ => format!("{tag} {node}"),
        };
        let kept = ["LOCALTIME", "UP", "DOWN"];
        for kept in kept.iter().chain(&OF_HOSTS) {
            if let Some(value) = attribute(kept) {
                found.insert(format!("{of} {kept}"), value);
            }
        }
    }
    // The whole and its own time, and the host's that is now.
    found.retain(|what, _| !what.contains(" hosts ") && !what.contains("TestGrid"));
    found
}

#[test]
fn every_number_is_written_as_c_gmetad_writes_it() {
    let name = "every_number_is_written_as_c_gmetad_writes_it";
    if !available(name, &["gmetad"]) {
        return;
    }
    let source = FakeSource::start(Script::Serve(of_every_kind()));
    let sources = [("it", 1, source.port())];
    let folder = tempfile::tempdir().expect("a temporary folder");
    let c = CGmetad::start("TestGrid", &sources, "");
    let conf = shared_conf("TestGrid", &sources, &folder.path().join("rrds"));
    let ours = Gmetad::start(folder.path(), &conf);
    c.wait_for("/", "<GRID NAME=\"grid 23\"");
    let answer = wait_for("ours", || {
        Some(ours.query("/")).filter(|it| it.contains("<GRID NAME=\"grid 23\""))
    });
    let (theirs, ours_are) = (numbers(&c.wait_for("/", "grid 23")), numbers(&answer));
    assert!(theirs.len() > 400, "{}", theirs.len());
    for (what, value) in &theirs {
        assert_eq!(ours_are.get(what), Some(value), "{what}");
    }
}

/// As gmond 3.7.2 prints it for a spoofed host: signed, though it is not.
#[test]
fn the_start_time_of_a_spoofed_hosts_gmond_is_the_same_number_everywhere() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_secs();
    let spoofed = document(
        "gmond",
        &format!(
            "<CLUSTER NAME=\"c\" LOCALTIME=\"{now}\" OWNER=\"unspecified\" \
             LATLONG=\"unspecified\" URL=\"unspecified\">\n<HOST NAME=\"spoofed\" \
             IP=\"10.1.1.1\" TAGS=\"\" REPORTED=\"{now}\" TN=\"1\" TMAX=\"20\" DMAX=\"86400\" \
             LOCATION=\"unspecified\" GMOND_STARTED=\"-664339888\">\n<METRIC NAME=\"load_one\" \
             VAL=\"0.5\" TYPE=\"float\" UNITS=\" \" TN=\"1\" TMAX=\"60\" DMAX=\"3600\" \
             SLOPE=\"both\"/>\n</HOST>\n</CLUSTER>\n"
        ),
    );
    let source = FakeSource::start(Script::Serve(spoofed));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let directives = format!("data_source \"s\" 1 127.0.0.1:{}", source.port());
    let gmetad = Gmetad::start(folder.path(), &directives);
    let host = wait_for("the host", || {
        Some(gmetad.query("/c/spoofed")).filter(|it| it.contains("<HOST "))
    });
    assert!(host.contains("GMOND_STARTED=\"3630627408\""), "{host}");
    let json = get(gmetad.interactive(), "/api/v1/c/spoofed").text();
    assert!(json.contains("\"gmond_started\":3630627408"), "{json}");
}
