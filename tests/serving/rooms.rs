//! The rooms: pages and Graphite's API, on which port and below which path.

use std::net::SocketAddr;

use crate::support::Gmetad;
use crate::support::peers::{FakeSource, Script};
use crate::support::wait_until;
#[cfg(any(feature = "web", feature = "graphite"))]
use crate::support::web::get;
use crate::support::web::{Answer, request};
#[cfg(feature = "web")]
use crate::support::{wait_for, web::exchange};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

fn asked_by_a_browser(address: SocketAddr, target: &str) -> Answer {
    let head = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nAccept: {BROWSER}\r\n\r\n");
    request(address, &head)
}

#[cfg(feature = "web")]
#[test]
fn only_browsers_are_redirected_from_the_tree_to_the_pages() {
    let folder = tempfile::tempdir().expect("a folder");
    let gmetad = Gmetad::start(folder.path(), "");
    let address = gmetad.interactive();
    let sent = asked_by_a_browser(address, "/");
    assert_eq!((sent.code, sent.field("Location")), (303, Some("ui/")));
    let page = asked_by_a_browser(address, "/ui/");
    assert_eq!(page.code, 200);
    assert!(
        page.field("Content-Type")
            .is_some_and(|it| it.starts_with("text/html"))
    );
    let slash = get(address, "/ui?r=day");
    assert_eq!(
        (slash.code, slash.field("Location")),
        (303, Some("ui/?r=day"))
    );
    let tree = get(address, "/");
    assert_eq!(tree.field("Content-Type"), Some("application/xml"));
    assert!(
        gmetad.query("/").contains("<GANGLIA_XML "),
        "a plain request"
    );
    let old = get(address, "/ganglia/?c=a&m=load_one&r=day");
    assert_eq!(old.code, 303, "{}", old.text());
    assert!(
        old.field("Location")
            .is_some_and(|it| it.starts_with("../ui/")),
        "{old:?}"
    );
}

#[cfg(not(feature = "web"))]
#[test]
fn without_pages_a_browser_gets_the_tree() {
    let folder = tempfile::tempdir().expect("a folder");
    let gmetad = Gmetad::start(folder.path(), "");
    let tree = asked_by_a_browser(gmetad.interactive(), "/");
    assert_eq!(tree.field("Content-Type"), Some("application/xml"));
}

#[test]
fn clusters_named_like_a_page_or_a_path_are_reachable() {
    let names = [
        "ui",
        "graphite",
        "ganglia",
        "status",
        "metrics",
        "healthz",
        "favicon.ico",
    ];
    let clusters = names.map(|name| {
        format!("<CLUSTER NAME=\"{name}\" LOCALTIME=\"1\"><HOST NAME=\"in-{name}\"/></CLUSTER>")
    });
    let document = format!("<GANGLIA_XML>{}</GANGLIA_XML>", clusters.concat());
    let source = FakeSource::start(Script::Serve(document.into()));
    let folder = tempfile::tempdir().expect("a folder");
    let directives = format!(
        "gridname G\ndata_source \"s\" 15 127.0.0.1:{}",
        source.port()
    );
    let gmetad = Gmetad::start(folder.path(), &directives);
    wait_until("the clusters", || gmetad.document().contains("in-ui"));
    for name in names {
        // The one path that C gmetad has taken.
        if name != "status" {
            let plain = gmetad.query(&format!("/{name}"));
            assert!(plain.contains(&format!("in-{name}\"")), "{name}: {plain}");
        }
        for path in [format!("/G/{name}"), format!("/G/{name}/in-{name}")] {
            let plain = gmetad.query(&path);
            assert_eq!(plain.matches("<HOST ").count(), 1, "{path}: {plain}");
            assert!(plain.contains(&format!("in-{name}\"")), "{path}: {plain}");
            let answer = asked_by_a_browser(gmetad.interactive(), &path);
            assert_eq!(
                (answer.code, answer.text().matches("<HOST ").count()),
                (200, 1),
                "{path}"
            );
            assert!(answer.text().contains(&format!("in-{name}\"")), "{path}");
        }
        if cfg!(feature = "web") {
            let page = asked_by_a_browser(gmetad.interactive(), &format!("/ui/cluster?c={name}"));
            assert!(page.text().contains(&format!("in-{name}")), "{name}");
        }
    }
}

#[cfg(feature = "web")]
#[test]
fn a_browser_finds_an_icon() {
    let folder = tempfile::tempdir().expect("a folder");
    let gmetad = Gmetad::start(folder.path(), "");
    let address = gmetad.interactive();
    let head =
        "GET /favicon.ico HTTP/1.1\r\nHost: localhost\r\nAccept: image/avif,*/*;q=0.8\r\n\r\n";
    let icon = request(address, head);
    assert_eq!(
        (icon.code, icon.field("Content-Type")),
        (200, Some("image/svg+xml"))
    );
    assert!(icon.text().starts_with("<svg "));
}

#[cfg(feature = "web")]
#[test]
fn the_web_port_has_the_pages_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let gmetad = Gmetad::start(folder.path(), "web_port 0");
    let address: SocketAddr = wait_for("the port of the pages", || {
        let log = gmetad.log();
        let (_, rest) = log.split_once("the pages are at ")?;
        rest.lines().next()?.parse().ok()
    });
    for target in ["/", "/search?q=a", "/status"] {
        let page = get(address, target);
        let kind = page.field("Content-Type").unwrap_or_default();
        assert!(
            page.code == 200 && kind.starts_with("text/html"),
            "{target} {page:?}"
        );
    }
    for target in ["/api/v1/", "/metrics", "/healthz", "/ui/"] {
        assert_eq!(get(address, target).code, 404, "{target}");
    }
    let old = get(address, "/ganglia/?c=a");
    assert!(
        old.field("Location")
            .is_some_and(|it| it.starts_with("../")),
        "{old:?}"
    );
    let plain = String::from_utf8(exchange(address, b"/\n")).expect("text");
    assert!(plain.starts_with("HTTP/1.0 400 "), "{plain}");
    assert!(gmetad.end().success());
}

#[cfg(feature = "graphite")]
#[test]
fn only_the_graphite_api_takes_arguments_in_a_request_body() {
    let folder = tempfile::tempdir().expect("a folder");
    let gmetad = Gmetad::start(folder.path(), "");
    let address = gmetad.interactive();
    let post = |target: &str, length: usize, body: &str| {
        let fields = format!("Host: {address}\r\nContent-Length: {length}");
        request(
            address,
            &format!("POST {target} HTTP/1.1\r\n{fields}\r\n\r\n{body}"),
        )
    };
    let body = "target=absolute(&from=-1h";
    let posted = post("/graphite/render", body.len(), body);
    let got = get(address, &format!("/graphite/render?{body}"));
    assert_eq!((posted.code, posted.text()), (400, got.text()));
    assert!(got.text().contains("absolute("), "{}", got.text());
    assert_eq!(post("/graphite/render", 300_000, "").code, 413);
    assert_eq!(post("/ui/", 3, "a=b").code, 405);
    let unsaid = format!("POST /graphite/render HTTP/1.1\r\nHost: {address}\r\n\r\n");
    assert_eq!(request(address, &unsaid).code, 400);
}
