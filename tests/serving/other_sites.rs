//! What pages of other web sites can read through the browser of a trusted machine.

use crate::support::web::{Answer, request};
use crate::support::{Gmetad, configure};
use nix::sys::signal::Signal;
use std::net::SocketAddr;
use tempfile::tempdir;

const TARGETS: [&str; 5] = ["/", "/api/v1/", "/metrics", "/status", "/healthz"];

fn get(address: SocketAddr, target: &str, fields: &str) -> Answer {
    request(address, &format!("GET {target} HTTP/1.1\r\n{fields}\r\n"))
}

fn code_for(address: SocketAddr, host: &str) -> u16 {
    get(address, "/", &format!("Host: {host}\r\n")).code
}

#[test]
fn a_request_for_a_foreign_host_name_gets_only_421() {
    let folder = tempdir().expect("a temporary folder");
    let gmetad = Gmetad::start(
        folder.path(),
        "debug_level 3\nhttp_host_names ganglia.example.org\n",
    );
    let address = gmetad.interactive();
    for target in TARGETS {
        let answer = get(address, target, "Host: evil.example:8652\r\n");
        assert_eq!(answer.code, 421, "{target}");
        let text = answer.text();
        assert!(text.starts_with("\"evil.example:8652\" is not"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    let line = gmetad.wait_for_line("is not a name of this machine");
    assert!(
        line.contains("client 127.0.0.1: \"evil.example:8652\""),
        "{line}"
    );
    assert_eq!(gmetad.log().matches("is not a name").count(), 1, "once");

    let name = nix::unistd::gethostname().expect("a name");
    let name = name.to_string_lossy();
    for host in [
        "127.0.0.1",
        "192.0.2.1:1",
        "[::1]",
        "localhost:8652",
        "GANGLIA.example.org:8652",
        &name,
    ] {
        assert_eq!(code_for(address, host), 200, "{host}");
    }
    assert_eq!(get(address, "/", "").code, 200, "without a Host");
    assert!(gmetad.query("/").contains("<GANGLIA_XML"), "a plain one");

    configure(folder.path(), "debug_level 3\nhttp_host_names *\n");
    gmetad.signal(Signal::SIGHUP);
    gmetad.wait_for_line("directives changed: http_host_names");
    assert_eq!(code_for(address, "evil.example"), 200);
}

#[test]
fn pages_of_allowed_sites_may_read_everything_and_all_others_the_status() {
    let folder = tempdir().expect("a temporary folder");
    let directives = "http_allow_origin https://grafana.example.org http://192.0.2.1:3000\n";
    let gmetad = Gmetad::start(folder.path(), directives);
    let readers = |target: &str, origin: &str| {
        let answer = get(
            gmetad.interactive(),
            target,
            &format!("Origin: {origin}\r\n"),
        );
        let readers = answer.field("Access-Control-Allow-Origin");
        readers.map(str::to_owned)
    };
    for target in TARGETS {
        let to_all = (target == "/status").then(|| "*".to_owned());
        for origin in ["https://grafana.example.org", "http://192.0.2.1:3000"] {
            let allowed = to_all.clone().or_else(|| Some(origin.into()));
            assert_eq!(readers(target, origin), allowed, "{target}");
        }
        for origin in ["https://evil.example", "null", "http://192.0.2.1"] {
            assert_eq!(readers(target, origin), to_all, "{target} {origin}");
        }
    }
    let plain = gmetad.query("/status");
    assert!(plain.contains("\r\nAccess-Control-Allow-Origin: *\r\n"));
}

#[test]
#[cfg(feature = "graphite")]
fn only_pages_of_allowed_sites_may_read_the_graphite_api() {
    let folder = tempdir().expect("a temporary folder");
    let gmetad = Gmetad::start(folder.path(), "http_allow_origin http://grafana\n");
    for (origin, allowed) in [
        ("http://grafana", Some("http://grafana")),
        ("http://x", None),
    ] {
        let fields = format!("Origin: {origin}\r\n");
        let answer = get(
            gmetad.interactive(),
            "/graphite/metrics/find?query=*",
            &fields,
        );
        let readers = answer.field("Access-Control-Allow-Origin");
        assert_eq!(readers, allowed, "{}", answer.text());
    }
}
