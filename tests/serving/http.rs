//! HTTP on the interactive port through the real binary: every page, and invalid requests.
//!
//! What Prometheus makes of it is in `prometheus`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};

use crate::support::peers::{CGmetad, FakeSource, Script, available, document};
use crate::support::ports::Port;
use crate::support::web::{Answer, exchange, get, request};
use crate::support::{Gmetad, ask, wait_for, wait_until};
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;
use tempfile::{TempDir, tempdir};

/// Two clusters and a grid below.
struct Site {
    sources: [FakeSource; 3],
}

impl Site {
    fn start() -> Self {
        let metric = |name: &str, val: &str, ty: &str| {
            format!(
                "<METRIC NAME=\"{name}\" VAL=\"{val}\" TYPE=\"{ty}\" UNITS=\"u\" TN=\"1\" \
                 TMAX=\"60\" DMAX=\"0\" SLOPE=\"both\"/>\n"
            )
        };
        let host = |name: &str| {
            let metrics = metric("one", "1.50", "float") + &metric("two", "x", "string");
            format!(
                "<HOST NAME=\"{name}\" IP=\"10.0.0.1\" TAGS=\"\" REPORTED=\"1700000000\" TN=\"1\" \
                 TMAX=\"1000\" DMAX=\"0\" LOCATION=\"l\" GMOND_STARTED=\"5\">\n{metrics}</HOST>\n"
            )
        };
        let cluster = |name: &str| {
            let hosts = host("h1") + &host("h2");
            format!(
                "<CLUSTER NAME=\"{name}\" LOCALTIME=\"1700000000\" OWNER=\"o\" LATLONG=\"l\" \
                 URL=\"u\">\n{hosts}</CLUSTER>\n"
            )
        };
        let grid = format!(
            "<GRID NAME=\"Sub\" AUTHORITY=\"http://sub/\" LOCALTIME=\"1700000000\">\n{}</GRID>\n",
            cluster("inner")
        );
        let source =
            |source: &str, inside: &str| FakeSource::start(Script::Serve(document(source, inside)));
        Site {
            sources: [
                source("gmond", &cluster("Alpha")),
                source("gmond", &cluster("B b")),
                source("gmetad", &grid),
            ],
        }
    }

    /// A gmetad over it, which has read all of it.
    fn gmetad(&self, folder: &TempDir) -> Gmetad {
        self.gmetad_with(folder, "")
    }

    /// The same with more directives.
    fn gmetad_with(&self, folder: &TempDir, more: &str) -> Gmetad {
        let mut directives =
            format!("debug_level 3\ngridname Top\nauthority \"http://top/\"\n{more}");
        for (at, source) in self.sources.iter().enumerate() {
            let _ = writeln!(
                directives,
                "data_source \"s{at}\" 1 127.0.0.1:{}",
                source.port()
            );
        }
        let gmetad = Gmetad::start(folder.path(), &directives);
        wait_until("all three sources", || {
            let all = gmetad.query("/?filter=summary");
            ["Alpha", "B b", "Sub"]
                .iter()
                .all(|name| all.contains(&format!("NAME=\"{name}\"")))
                && all.contains("<HOSTS UP=\"6\"")
        });
        gmetad
    }
}

fn folder() -> TempDir {
    tempdir().expect("a temporary folder")
}

/// Every element of a document as the path of names to it, with the value of a metric.
fn elements(xml: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(xml);
    let mut reader = Reader::from_str(&text);
    let (mut path, mut all): (Vec<String>, _) = (Vec::new(), BTreeSet::new());
    loop {
        match reader.read_event().expect("well-formed XML") {
            Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == "EXTRA_DATA" => {}
            Event::End(tag) if tag.name().as_ref() == "EXTRA_DATA" => {}
            Event::Start(tag) => {
                path.push(label(&tag));
                all.insert(path.join("/"));
            }
            Event::Empty(tag) => {
                all.insert(format!("{}/{}", path.join("/"), label(&tag)));
            }
            Event::End(_) => drop(path.pop()),
            Event::Eof => return all,
            _ => {}
        }
    }
}

fn label(tag: &quick_xml::events::BytesStart<'_>) -> String {
    let attribute = |name: &str| {
        tag.try_get_attribute(name)
            .ok()
            .flatten()
            .map(|found| found.value.into_owned())
    };
    let parts = ["NAME", "VAL", "UP", "DOWN", "NUM"].map(attribute);
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{} {}", tag.name().as_ref(), parts.join(" "))
}

fn assert_xml_head(answer: &Answer) {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        answer.fields,
        [
            format!("Server: gmetad/{version}"),
            "Content-Type: application/xml".into(),
            "Connection: close".into(),
        ]
    );
}

#[test]
fn the_http_tree_equals_the_plain_request() {
    let (site, folder) = (Site::start(), folder());
    let gmetad = site.gmetad(&folder);
    let address = gmetad.interactive();
    for (target, line) in [
        ("/", "/"),
        ("/Top", "/"),
        ("/*", "/"),
        ("/Alpha", "/Alpha"),
        ("/Top/Alpha/", "/Alpha"),
        ("/B%20b/h1", "/B b/h1"),
        ("/B b/h1/one", "/B b/h1/one"),
        ("/?filter=summary", "/?filter=summary"),
        ("/B%20b?filter=SUMMARY", "/B b?filter=summary"),
        ("/Sub", "/Sub"),
    ] {
        let answer = get(address, target);
        assert_eq!(answer.code, 200, "{target}");
        assert_xml_head(&answer);
        let plain = gmetad.query(line);
        assert_eq!(
            elements(&answer.body),
            elements(plain.as_bytes()),
            "{target}"
        );
    }
    // Only that page is there, and no other HTTP.
    let answer = exchange(gmetad.xml(), b"GET /healthz HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with(b"<?xml "));
}

#[test]
fn wildcards_and_missing_names_are_answered_as_by_c_gmetad() {
    if !available("against C gmetad", &["gmetad"]) {
        return;
    }
    let (site, folder) = (Site::start(), folder());
    let gmetad = site.gmetad_with(&folder, "http_allow_origin *\n");
    let ports = site.sources.each_ref().map(FakeSource::port);
    let sources = [
        ("s0", 1, ports[0]),
        ("s1", 1, ports[1]),
        ("s2", 1, ports[2]),
    ];
    let theirs = CGmetad::start("Top", &sources, "");
    for name in ["Alpha", "B b", "Sub"] {
        theirs.wait_for("/", &format!("NAME=\"{name}\""));
    }
    theirs.wait_for("/?filter=summary", "<HOSTS UP=\"6\"");
    let their_address = SocketAddr::from(([127, 0, 0, 1], theirs.interactive_port()));
    for (target, there) in [
        ("/", true),
        ("/*", true),
        ("/*?filter=summary", true),
        ("/?filter=summary", true),
        ("/Alpha?filter=summary", true),
        ("/*/*", true),
        ("/*/h1", true),
        ("/*/*/one", true),
        ("/Alpha/*/one", true),
        ("/Alpha/*", true),
        ("/Alpha/h1/*", true),
        ("/Sub", true),
        ("/nope", false),
        ("/nope/h1", false),
        ("/nope?filter=summary", false),
        ("/alpha", false),
        ("/Alpha/nope", false),
        ("/Alpha/nope/one", false),
        ("/Alpha/nope?filter=summary", false),
        ("/Alpha/h1/nope", false),
        ("/*/nope", false),
        ("/Sub/nope", false),
        ("/Alpha/h1/one/more", false),
    ] {
        let request = format!("GET {target} HTTP/1.0\r\n\r\n");
        let [ours, theirs] = [gmetad.interactive(), their_address].map(|address| {
            // Theirs ends some lines of its head without a carriage return.
            let answer = exchange(address, request.as_bytes());
            let text = String::from_utf8_lossy(&answer).into_owned();
            let (head, body) = text
                .split_once("<?xml")
                .unwrap_or_else(|| panic!("{target}"));
            (
                head.replace('\r', ""),
                elements(format!("<?xml{body}").as_bytes()),
            )
        });
        assert_eq!(ours.1, theirs.1, "{target}");
        let fields = |head: &str| {
            let lines = head
                .lines()
                .skip(1)
                .filter(|line| !line.starts_with("Server"));
            lines.map(String::from).collect::<Vec<_>>()
        };
        assert_eq!(fields(&ours.0), fields(&theirs.0), "{target}");
        let code = if there { "200 OK" } else { "404 Not Found" };
        assert!(
            ours.0.starts_with(&format!("HTTP/1.0 {code}\n")),
            "{target}: {}",
            ours.0
        );
        assert!(
            theirs.0.starts_with("HTTP/1.0 200 OK\n"),
            "it says so of everything"
        );
    }
}

#[test]
fn head_has_no_body_and_other_methods_are_refused() {
    let (site, folder) = (Site::start(), folder());
    let gmetad = site.gmetad(&folder);
    let address = gmetad.interactive();
    for target in [
        "/",
        "/nope",
        "/status",
        "/healthz",
        "/api/v1/Alpha",
        "/metrics?scope=all",
    ] {
        let whole = get(address, target);
        let head = request(address, &format!("HEAD {target} HTTP/1.0\r\n\r\n"));
        assert_eq!((head.code, head.body.len()), (whole.code, 0), "{target}");
        let but_length = |answer: &Answer| {
            let fields = answer
                .fields
                .iter()
                .filter(|f| !f.starts_with("Content-Length"));
            fields.cloned().collect::<Vec<_>>()
        };
        assert_eq!(but_length(&head), but_length(&whole), "{target}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get"] {
        let answer = request(address, &format!("{method} / HTTP/1.1\r\n\r\n"));
        assert_eq!(answer.code, 405, "{method}");
        assert_eq!(answer.field("Allow"), Some("GET, HEAD"));
    }
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9000));
    for bad in [
        "GET /\r\n\r\n",
        "GET / HTTP/9\r\n\r\n",
        "GET nothing HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nno field\r\n\r\n",
        "GET /status?callback=alert(1) HTTP/1.0\r\n\r\n",
        "GET /metrics?scope=nothing HTTP/1.0\r\n\r\n",
        &long,
    ] {
        let answer = request(address, bad);
        assert_eq!(answer.code, 400, "{bad}");
        assert_eq!(
            answer.field("Content-Type"),
            Some("text/plain; charset=utf-8")
        );
        assert!(answer.body.len() < 200 && answer.body.ends_with(b"\n"));
    }
}

#[test]
fn a_request_line_too_long_or_late_gets_an_http_error_or_a_closed_connection() {
    let (site, folder) = (Site::start(), folder());
    let gmetad = site.gmetad_with(&folder, "client_request_timeout 3600\n");
    let address = gmetad.interactive();
    // A line of exactly that many bytes is one.
    let name = "x".repeat(2048 - "GET / HTTP/1.0".len());
    let answer = get(address, &format!("/{name}"));
    assert_eq!(answer.code, 404);
    // The last of them is much more than is read at a time.
    for len in [2049, 3000, 60_000] {
        for method in ["GET", "HEAD"] {
            let line = format!("{method} /{}", "x".repeat(len));
            let answer = request(
                address,
                &format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            );
            assert_eq!(answer.code, 414, "{method}, {len}");
            let body = match method {
                "GET" => "the request line is longer than 2048 bytes\n",
                _ => "",
            };
            assert_eq!(answer.text(), body);
        }
    }
    // And one that never ends.
    let answer = request(address, &format!("GET /{}", "x".repeat(3000)));
    assert_eq!(answer.code, 414);
    gmetad.wait_for_line("the request line is longer than 2048 bytes");
    for line in ["x".repeat(3000), format!("/{}\n", "x".repeat(3000))] {
        assert_eq!(exchange(address, line.as_bytes()), b"");
    }
    // Nor one that never arrives.
    gmetad.reload(folder.path(), "timeout 3600", "timeout 2");
    let answer = request(address, "GET /heal");
    assert_eq!(answer.code, 408);
    assert_eq!(answer.text(), "the request line has not come within 2 s\n");
}

#[test]
fn port_probes_and_tls_handshakes_are_closed_at_once() {
    let (site, folder) = (Site::start(), folder());
    // The request timeout is much longer than any wait for an answer.
    let gmetad = site.gmetad_with(&folder, "client_request_timeout 3600\n");
    let address = gmetad.interactive();
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    stream.shutdown(Shutdown::Write).expect("still open");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it closes");
    assert_eq!(answer, b"");
    assert_eq!(
        exchange(address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"),
        b""
    );
    gmetad.wait_for_line("it speaks TLS");
    assert_eq!(gmetad.log().matches("client 127.0.0.1").count(), 1);
}

#[test]
fn an_unknown_filter_over_http_is_ignored_and_logged() {
    let site = Site::start();
    for target in ["/Alpha", "/api/v1/Alpha"] {
        // A client's fault is logged once for a while, so each has its own daemon.
        let folder = folder();
        let gmetad = site.gmetad(&folder);
        let address = gmetad.interactive();
        let whole = get(address, target);
        get(address, &format!("{target}?filter=summary"));
        get(address, "/status?_=17&callback=f");
        assert!(!gmetad.log().contains("not understood"), "{}", gmetad.log());
        let answer = get(address, &format!("{target}?filter=h1"));
        assert_eq!((answer.code, &answer.fields), (200, &whole.fields));
        let line = gmetad.wait_for_line("not understood");
        let told =
            "client 127.0.0.1: \"filter=h1\" in its request is not understood and was ignored";
        assert!(line.ends_with(told), "{line}");
    }
}

#[test]
fn no_connection_is_kept_open_or_waited_for_in_vain() {
    let (site, folder) = (Site::start(), folder());
    // The request timeout is much longer than any wait for an answer.
    let gmetad = site.gmetad_with(&folder, "client_request_timeout 3600\n");
    let address = gmetad.interactive();
    // The second request is not read: the connection ends with the first answer.
    let twice = "GET /healthz HTTP/1.1\r\nConnection: keep-alive\r\n\r\n".repeat(2);
    let answer = exchange(address, twice.as_bytes());
    let answer = String::from_utf8(answer).expect("text");
    assert_eq!(answer.matches("HTTP/1.0 200 OK").count(), 1);
    assert!(answer.ends_with("\r\n\r\nok\n"));
    // Like C gmetad, which reads the first line only.
    let answer = exchange(address, b"GET /healthz HTTP/1.0\r\n");
    assert!(answer.ends_with(b"ok\n"));
    // A request in pieces is assembled.
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("a socket option");
    for byte in b"GET /healthz HTTP/1.1\r\nHost: [::1]\r\n\r\n" {
        stream.write_all(&[*byte]).expect("it reads");
    }
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    assert!(text.ends_with("ok\n"));
}

#[test]
fn json_is_the_same_tree() {
    let (site, folder) = (Site::start(), folder());
    let gmetad = site.gmetad(&folder);
    let address = gmetad.interactive();
    for target in [
        "/",
        "/Alpha",
        "/*/h2",
        "/B%20b/h1/one",
        "/?filter=summary",
        "/Sub",
        "/nope",
        "/Alpha/nope",
    ] {
        let xml = get(address, target);
        let json = get(address, &format!("/api/v1{target}"));
        assert_eq!(json.code, xml.code, "{target}");
        assert_eq!(json.field("Content-Type"), Some("application/json"));
        assert_eq!(from_json(&json.json()), elements(&xml.body), "{target}");
    }
    let one = get(address, "/api/v1/Alpha/h1").json();
    let metrics = &one["nodes"][0]["hosts"][0]["metrics"];
    assert_eq!(metrics[0]["value"], 1.5);
    assert_eq!(metrics[1]["value"], "x");
}

/// The elements that the tree would be in XML.
fn from_json(tree: &Value) -> BTreeSet<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        // As the fixture writes it.
        Value::Number(number) if number.as_f64() == Some(1.5) => "1.50".into(),
        other => other.to_string(),
    };
    let mut all = BTreeSet::from(["GANGLIA_XML ".to_owned()]);
    let grid = format!("GANGLIA_XML /GRID {}", text(&tree["grid"]["name"]));
    let add_summary = |all: &mut BTreeSet<String>, parent: &str, summary: &Value| {
        if summary.is_null() {
            return;
        }
        all.insert(format!(
            "{parent}/HOSTS {} {}",
            summary["hosts_up"], summary["hosts_down"]
        ));
        for sum in summary["metrics"].as_array().expect("a list") {
            all.insert(format!(
                "{parent}/METRICS {} {}",
                text(&sum["name"]),
                sum["num"]
            ));
        }
    };
    add_summary(&mut all, &grid, &tree["summary"]);
    for node in tree["nodes"].as_array().expect("a list") {
        let kind = text(&node["kind"]).to_uppercase();
        let node_path = format!("{grid}/{kind} {}", text(&node["name"]));
        add_summary(&mut all, &node_path, &node["summary"]);
        for host in node["hosts"].as_array().into_iter().flatten() {
            let host_path = format!("{node_path}/HOST {}", text(&host["name"]));
            for metric in host["metrics"].as_array().expect("a list") {
                let (name, value) = (text(&metric["name"]), text(&metric["value"]));
                all.insert(format!("{host_path}/METRIC {name} {value}"));
            }
            all.insert(host_path);
        }
        all.insert(node_path);
    }
    all.insert(grid);
    all
}

#[test]
fn hostile_data_is_escaped_in_every_format() {
    let hostile = include_bytes!("../data/gmond/gmond-hostile.xml");
    let source = FakeSource::start(Script::Serve(hostile.to_vec()));
    let folder = folder();
    let directives = format!("data_source \"hostile\" 1 127.0.0.1:{}\n", source.port());
    let gmetad = Gmetad::start(folder.path(), &directives);
    wait_until("the hostile source", || {
        gmetad.document().contains("<HOST ")
    });
    let tree = get(gmetad.interactive(), "/api/v1/").json();
    let hosts = tree["nodes"][0]["hosts"].as_array().expect("a list");
    assert!(
        hosts.iter().any(|host| host["name"] == "../../evil"),
        "{tree}"
    );
    let status = get(gmetad.interactive(), "/status").json();
    assert!(
        status["sources"][0]["damage"].as_u64() > Some(0),
        "{status}"
    );
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn the_status_shows_real_counts() {
    let (site, folder) = (Site::start(), folder());
    let gmetad = site.gmetad(&folder);
    let address = gmetad.interactive();
    let status = || get(address, "/status").json();
    let count = |status: &Value, path: &str| {
        let found = status.pointer(path).and_then(Value::as_u64);
        found.unwrap_or_else(|| panic!("no number at {path} of {status}"))
    };

    let before = status();
    assert_eq!(before["gridname"], "Top");
    assert_eq!(before["version"], env!("CARGO_PKG_VERSION"));
    let clock = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let clock_ms = clock.as_millis() as u64;
    assert!(count(&before, "/stattime").abs_diff(clock_ms) < 60_000);
    let uptime = count(&before, "/stattime") - count(&before, "/boottime");
    assert!(uptime.abs_diff(count(&before, "/uptimeMillis")) < 1000);

    for _ in 0..3 {
        ask(gmetad.xml(), None);
    }
    let path = "/metrics/requests/xml/num";
    wait_for("three more requests on the XML port", || {
        (count(&status(), path) == count(&before, path) + 3).then_some(())
    });
    // Each of the two clusters' and the grid's documents has four values.
    wait_for("polls and their values", || {
        let now = status();
        let polls = count(&now, "/metrics/polls/ok/num");
        let settled = polls == site.sources.iter().map(FakeSource::polls).sum::<usize>() as u64;
        (settled && polls > count(&before, "/metrics/polls/ok/num")).then(|| {
            assert_eq!(count(&now, "/metrics/received/all"), 4 * polls);
            assert_eq!(count(&now, "/metrics/summarize/cluster"), polls);
            assert_eq!(count(&now, "/metrics/polls/failed/num"), 0);
            assert!(count(&now, "/metrics/polls/ok/lastTime").abs_diff(clock_ms) < 60_000);
        })
    });
    wait_for("values in round-robin files", || {
        let now = status();
        let sent = count(&now, "/metrics/sent/rrdtool/num");
        (sent > 0 && count(&now, "/metrics/summarize/root") > 0).then(|| {
            assert_eq!(count(&now, "/metrics/sent/all/num"), sent);
            assert!(count(&now, "/metrics/sent/rrdtool/lastTime").abs_diff(clock_ms) < 60_000);
        })
    });
    let now = status();
    assert_eq!(now["store"]["clusters"], 2);
    assert_eq!(now["store"]["grids"], 1);
    assert_eq!(now["store"]["hosts"], 4);
    assert_eq!(now["store"]["metrics"], 8);
    assert_eq!(now["store"]["hosts_up"], 6);
    wait_until("only the one that asks to be connected", || {
        status()["clients"]["connected"] == 1
    });
    assert_eq!(now["sources"][2]["name"], "s2");
    assert_eq!(now["sources"][2]["state"], "up");

    // The machine's own, as this test sees them too.
    wait_for("a look at the machine", || {
        (count(&status(), "/metrics/cpu/cpu_num") > 0).then_some(())
    });
    let now = status();
    let cpus = std::thread::available_parallelism().expect("it is known");
    assert!(count(&now, "/metrics/cpu/cpu_num") >= cpus.get() as u64);
    let total = now["metrics"]["memory"]["mem_total"]
        .as_f64()
        .expect("a number");
    let meminfo = std::fs::read_to_string("/proc/meminfo").expect("Linux");
    assert!(meminfo.contains(&format!("{total:.0} kB")), "{total}");
    assert!(now["metrics"]["process"]["proc_total"].as_u64() > Some(1));
}

#[test]
fn the_status_is_served_to_plain_requests_and_scripts() {
    let (site, folder) = (Site::start(), folder());
    let gmetad = site.gmetad(&folder);
    for line in ["/status", "/status?callback=a.b"] {
        let answer = gmetad.query(line);
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .expect("a head, as C gmetad sends it");
        assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
        let json = match line {
            "/status" => body,
            _ => body
                .strip_prefix("a.b(")
                .and_then(|rest| rest.strip_suffix(')'))
                .expect("a call"),
        };
        let status: Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(status["gridname"], "Top");
    }
    let script = get(gmetad.interactive(), "/status?callback=f");
    assert_eq!(script.field("Content-Type"), Some("application/javascript"));
    assert!(script.text().starts_with("f({\"host\":"));
}

#[test]
fn health_follows_the_sources() {
    let (site, folder) = (Site::start(), folder());
    let gmetad = site.gmetad(&folder);
    let address = gmetad.interactive();
    let health = || get(address, "/healthz");
    assert_eq!((health().code, health().text().as_str()), (200, "ok\n"));
    site.sources[0].script(Script::Close);
    wait_until("a source to be down", || {
        get(address, "/status").json()["sources"][0]["state"] == "down"
    });
    assert_eq!(health().code, 200, "one source is not the daemon");
    for source in &site.sources {
        source.script(Script::Close);
    }
    wait_until("all sources to be down", || health().code == 503);
    let reason = health().text();
    assert!(
        reason.contains("no source is up") && reason.contains("closed"),
        "{reason}"
    );
    site.sources[1].script(Script::Serve(document(
        "gmond",
        "<CLUSTER NAME=\"x\"></CLUSTER>\n",
    )));
    wait_until("a source to be back", || health().code == 200);
}

#[test]
fn text_of_a_source_is_on_the_health_page_without_control_characters() {
    let odd = FakeSource::start(Script::Serve(b"<a\x1b[2J\x9bodd/>".to_vec()));
    let folder = folder();
    let directives = format!("data_source odd 1 127.0.0.1:{}\n", odd.port());
    let gmetad = Gmetad::start(folder.path(), &directives);
    let said = wait_for("the failure of the first poll", || {
        let text = get(gmetad.interactive(), "/healthz").text();
        text.contains("no source is up").then_some(text)
    });
    assert!(said.contains("<a\\u{1b}[2J\\u{9b}odd"), "{said:?}");
    let is_plain = |c: char| c == '\n' || !c.is_control();
    assert!(said.chars().all(is_plain), "{said:?}");
}

#[test]
#[cfg_attr(not(feature = "export"), ignore = "needs the feature export")]
fn an_export_whose_server_is_down_is_a_fault_until_it_is_back() {
    let (site, folder) = (Site::start(), folder());
    let port = Port::reserve();
    let directives = format!(
        "data_source \"s\" 1 127.0.0.1:{}\ncarbon_server 127.0.0.1\ncarbon_port {}\n",
        site.sources[0].port(),
        port.number()
    );
    let gmetad = Gmetad::start(folder.path(), &directives);
    let health = || get(gmetad.interactive(), "/healthz");
    wait_until("a fault", || {
        let health = health();
        health.code == 503
            && health
                .text()
                .contains("carbon accepts no values, so they wait")
    });
    let address = (Ipv4Addr::LOCALHOST, port.number());
    let carbon = std::net::TcpListener::bind(address).expect("it is reserved");
    wait_until("all to be well", || health().code == 200);
    drop(carbon);
}
