//! Sections as they are configured.

use super::*;
use crate::link::HAS_TLS;

#[test]
fn what_is_wrong_with_a_section_is_told() {
    for (lines, told) in [
        (
            "name a",
            "section remote_write has no url; write url \"http://HOST:PORT/PATH\"",
        ),
        ("url h:1/w", "is not a URL; write http://HOST:PORT/PATH"),
        ("url ftp://h/w", "is not of HTTP"),
        (
            "url http://h",
            "has no path; stores take values at /api/v1/write",
        ),
        ("url \"http://h/a b\"", "write them as %20"),
        ("url http://u:p@h/w", "use username and password_file"),
        ("url http://h:0/w", "\"h:0\" is not a port"),
        ("header Host x", "Host is set by gmetad"),
        ("header Authorization x", "use bearer_token_file"),
        ("header a", "takes a name and a value in quotes"),
        ("header \"a b\" c", "is not the name of a header"),
        ("external_label host x", "host is a label of gmetad's own"),
        ("external_label 1a x", "is not a label's name"),
        (
            "external_label a x\nexternal_label a y",
            "sets external_label a twice",
        ),
        ("batch_samples 0", "\"0\" is not a number from 1 to 100000"),
        ("summaries maybe", "\"maybe\" is neither on nor off"),
        ("username u", "needs username and password_file together"),
        ("bearer_token_file /a\nusername u", "use one of them"),
        ("backlog_dir d", "\"d\" is not an absolute path"),
        (
            "backlog_dir_mb 5",
            "has backlog_dir_mb, which needs backlog_dir",
        ),
        (
            "protocol graphite",
            "\"graphite\" is neither prometheus nor influx",
        ),
        (
            "protocol influx\nexternal_label time x",
            "has external_label time, which InfluxDB does not take",
        ),
        (
            "url http://h/w?precision=s\nprotocol influx",
            "has a url with a precision, which gmetad sets itself",
        ),
        ("resend 5", "has resend, which needs backlog_dir"),
        ("metrics a", "\"a\" is neither include nor exclude"),
        ("ca_file /a", "has files for TLS, but its "),
        (
            "client_key /a",
            "needs client_certificate and client_key together",
        ),
        (
            "timeouts 5",
            "section remote_write has no such directive; did you mean timeout?",
        ),
    ] {
        let lines = if told.contains("url") || lines.starts_with("url ") {
            lines.to_owned()
        } else {
            format!("url http://h/w\n{lines}")
        };
        let error = settings(&lines).expect_err(&lines);
        assert!(error.contains(told), "{lines}: {error}");
    }
}

#[test]
fn a_url_of_https_is_a_server_that_speaks_tls_at_its_usual_port() {
    let lines = "url https://h/w\nca_file /c\nclient_certificate /a\nclient_key /b";
    let read = settings(lines);
    if !HAS_TLS {
        let told = "needs TLS, which this gmetad was built without; use one that was built with the \
                    feature tls";
        assert!(read.expect_err("https").contains(told));
        return;
    }
    let read = read.unwrap();
    assert_eq!(
        (read.url.place.port, read.url.authority.as_str()),
        (443, "h")
    );
    let tls = read.tls.as_ref().unwrap();
    assert_eq!(tls.authorities.as_deref(), Some(std::path::Path::new("/c")));
    assert_eq!(tls.client, Some(("/a".into(), "/b".into())));
    assert_eq!(settings("url http://h/w").unwrap().tls, None);
    assert!(settings("url https://h:1/w").unwrap().tls.is_some());
}

#[test]
fn no_two_stores_have_the_same_folder() {
    let section = |url: &str| format!("remote_write {{\nurl http://{url}/w\nbacklog_dir /b\n}}\n");
    let text = format!("data_source a b\n{}{}", section("one"), section("two"));
    let file = std::path::Path::new("g.conf");
    let loaded = parse(text.as_bytes(), file, &Disk, &Overrides::default(), "h").unwrap();
    let error = RemoteWrite::configured(&loaded.config).err().unwrap();
    let told = "two sections remote_write have backlog_dir /b; give each its own";
    assert_eq!(error.to_string(), told);
}

#[test]
fn each_section_is_a_store_of_its_own() {
    let text = "data_source a b\nremote_write {\nsummaries off\nurl http://one:1/w\n}\n\
                remote_write {\nurl \"http://[::1]:2/x?y=z\"\nbatch_samples 5\nname two\n}";
    let file = std::path::Path::new("g.conf");
    let loaded = parse(text.as_bytes(), file, &Disk, &Overrides::default(), "h").unwrap();
    let export = RemoteWrite::configured(&loaded.config).unwrap().unwrap();
    let servers = export.servers();
    let about: Vec<_> = servers
        .iter()
        .map(|it| (it.endpoint.to_string(), it.batch_values, it.name.as_deref()))
        .collect();
    assert_eq!(
        about,
        [
            ("one:1".into(), 2_000, Some("remote_write one:1")),
            ("[::1]:2".into(), 5, Some("remote_write two")),
        ]
    );
    assert!(!export.stores[0].settings.summaries && export.stores[1].settings.summaries);
}
