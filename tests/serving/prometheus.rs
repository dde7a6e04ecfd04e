//! Prometheus and promtool from their package, on the daemon's own figures and on the hosts'.
//!
//! The contents of the pages are tested beside their code; here their consumers read them.

use std::fmt::Write as _;

use crate::support::peers::{Announced, FakeSource, Gmond, Script, available, document};
use crate::support::web::{Prometheus, get, promtool};
use crate::support::{Gmetad, wait_until};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

const HOSTS: usize = 100;

fn folder() -> TempDir {
    tempdir().expect("a temporary folder")
}

/// A cluster of a hundred hosts, of which one is down, with what gmonds measure and some names that
/// are not valid in Prometheus. Some hosts have more than others.
fn big_cluster(name: &str) -> Vec<u8> {
    let mut inside = format!(
        "<CLUSTER NAME=\"{name}\" LOCALTIME=\"1700000000\" OWNER=\"o\" LATLONG=\"\" URL=\"\">\n"
    );
    let metric = |inside: &mut String, name: &str, val: &str, ty: &str, slope: &str| {
        let _ = write!(
            inside,
            "<METRIC NAME=\"{name}\" VAL=\"{val}\" TYPE=\"{ty}\" UNITS=\"u\" TN=\"1\" TMAX=\"60\" \
             DMAX=\"0\" SLOPE=\"{slope}\">\n<EXTRA_DATA>\n<EXTRA_ELEMENT NAME=\"DESC\" VAL=\"What \
             {name} is, in &quot;words&quot; \\ all\"/>\n</EXTRA_DATA>\n</METRIC>\n"
        );
    };
    for host in 0..HOSTS {
        let tn = if host == 7 { 5000 } else { 1 };
        let _ = writeln!(
            inside,
            "<HOST NAME=\"node{host}.example.org\" IP=\"10.0.0.{host}\" TAGS=\"\" \
             REPORTED=\"1700000000\" TN=\"{tn}\" TMAX=\"1000\" DMAX=\"0\" LOCATION=\"\" \
             GMOND_STARTED=\"5\">"
        );
        for name in [
            "load_one",
            "cpu_user",
            "mem_free",
            "bytes_in",
            "part_max_used",
        ] {
            metric(&mut inside, name, &format!("{host}.5"), "float", "both");
        }
        for name in ["mem_total", "disk_total", "proc_run", "cpu_num", "a_count"] {
            metric(&mut inside, name, &host.to_string(), "uint32", "zero");
        }
        metric(
            &mut inside,
            "pgpgin",
            &(1000 + host).to_string(),
            "uint32",
            "positive",
        );
        metric(&mut inside, "disk.free./var", "1e3", "double", "both");
        metric(&mut inside, "disk-free-/var", "2", "double", "both");
        metric(&mut inside, "os_name", "Linux", "string", "zero");
        metric(&mut inside, "odd", "nan", "float", "both");
        if host % 10 == 0 {
            metric(&mut inside, "gpu0_temp", "60", "uint16", "both");
        }
        inside += "</HOST>\n";
    }
    inside += "</CLUSTER>\n";
    document("gmond", &inside)
}

fn gmetad_over(folder: &TempDir, ports: &[u16]) -> Gmetad {
    let mut directives = "gridname Top\nwrite_rrds off\n".to_owned();
    for (at, port) in ports.iter().enumerate() {
        let _ = writeln!(directives, "data_source \"s{at}\" 1 127.0.0.1:{port}");
    }
    let gmetad = Gmetad::start(folder.path(), &directives);
    wait_until("every source", || {
        let status = get(gmetad.interactive(), "/status").json();
        let sources = status["sources"].as_array().expect("a list");
        sources.iter().all(|source| source["state"] == "up")
    });
    gmetad
}

/// Numeric values of hosts that are up, as the JSON tree has them.
fn numbers_in_json(tree: &Value) -> usize {
    let nodes = tree["nodes"].as_array().expect("a list");
    let hosts = nodes
        .iter()
        .flat_map(|node| node["hosts"].as_array().into_iter().flatten());
    hosts
        .filter(|host| host["up"] == true)
        .flat_map(|host| host["metrics"].as_array().expect("a list"))
        .filter(|metric| metric["value"].is_number())
        .count()
}

#[test]
fn promtool_accepts_every_page() {
    if !available("pages before promtool", &["promtool"]) {
        return;
    }
    let source = FakeSource::start(Script::Serve(big_cluster("big &quot;one&quot;")));
    let folder = folder();
    let gmetad = gmetad_over(&folder, &[source.port()]);
    for target in [
        "/metrics",
        "/metrics?scope=all",
        "/metrics?cluster=big%20%22one%22",
    ] {
        let page = get(gmetad.interactive(), target);
        assert_eq!(page.code, 200);
        let said = promtool(&page.body);
        assert_eq!(said, "", "{target}:\n{}", page.text());
    }
}

#[test]
fn promtool_accepts_the_metrics_of_a_real_gmond() {
    let programs = ["promtool", "gmond", "gmetric"];
    if !available("a gmond's figures before promtool", &programs) {
        return;
    }
    let gmond = Gmond::start("real", "here");
    gmond.announce(&[
        Announced::new("my.own value", "float", "1.5").units("u"),
        Announced::new("things", "uint32", "7").slope("positive"),
    ]);
    let folder = folder();
    let gmetad = gmetad_over(&folder, &[gmond.port()]);
    let page = get(gmetad.interactive(), "/metrics?scope=all");
    assert_eq!(promtool(&page.body), "", "{}", page.text());
    let text = page.text();
    assert!(text.contains(
        "ganglia_my_own_value{cluster=\"real\",host=\"here\",metric=\"my.own value\"} 1.5\n"
    ));
    assert!(text.contains("ganglia_things_total{cluster=\"real\",host=\"here\"} 7\n"));
    assert!(text.contains("# TYPE ganglia_mem_total untyped\n"));
}

#[test]
fn hostile_names_are_labels_that_promtool_can_read() {
    if !available("hostile names before promtool", &["promtool"]) {
        return;
    }
    let hostile = include_bytes!("../data/gmond/gmond-hostile.xml").to_vec();
    let source = FakeSource::start(Script::Serve(hostile));
    let names = [
        "ctl&#1;&#7;x",
        "nul&#0;x",
        "tab&#9;line&#10;x",
        "\u{e9}&#9731;\\",
    ];
    let hosts = names.map(|name| {
        format!(
            "<HOST NAME=\"{name}\" TN=\"1\" TMAX=\"20\"><METRIC NAME=\"{name}\" VAL=\"1\" \
             TYPE=\"float\" UNITS=\"{name}\" SLOPE=\"both\"/></HOST>"
        )
    });
    let inside = format!("<CLUSTER NAME=\"odd\">{}</CLUSTER>", hosts.concat());
    let latin1 = document("gmond", "")
        .iter()
        .map(|&b| char::from(b))
        .collect::<String>();
    let latin1 = latin1.replace("</GANGLIA_XML>", &(inside + "</GANGLIA_XML>"));
    let odd = FakeSource::start(Script::Serve(latin1.chars().map(|c| c as u8).collect()));
    let folder = folder();
    let gmetad = gmetad_over(&folder, &[source.port(), odd.port()]);
    // Of a captured document hosts may be down by now; its clock says so.
    let page = get(gmetad.interactive(), "/metrics?scope=all");
    let text = page.text();
    let samples = text
        .lines()
        .filter(|line| line.contains("cluster=\"odd\"") && line.starts_with("ganglia_"));
    assert_eq!(samples.count(), names.len());
    assert_eq!(promtool(&page.body), "", "{}", page.text());
}

#[test]
fn prometheus_scrapes_a_whole_cluster() {
    if !available("a cluster before Prometheus", &["prometheus"]) {
        return;
    }
    let sources = ["big", "other"].map(|name| FakeSource::start(Script::Serve(big_cluster(name))));
    let folder = folder();
    let gmetad = gmetad_over(&folder, &[sources[0].port(), sources[1].port()]);
    let target = gmetad.interactive();
    let job = |name: &str, params: &str| {
        format!(
            "  - job_name: {name}\n    params: {{{params}}}\n    honor_labels: true\n    \
             static_configs: [{{targets: [\"{target}\"]}}]\n"
        )
    };
    let jobs = [
        job("daemon", ""),
        job("all", "scope: [all]"),
        job("one", "cluster: [big]"),
    ];
    let prometheus = Prometheus::start(&jobs.concat());

    let tree = get(target, "/api/v1/").json();
    let expected = numbers_in_json(&tree);
    // 13 numbers each of 99 hosts that are up, and one more of the tenth of them; two clusters.
    assert_eq!(expected, 2 * (99 * 13 + 10));
    let series = "{job=\"all\",__name__=~\"ganglia_.+\"}";
    prometheus.wait_for(&format!("count({series})"), expected as f64);
    prometheus.wait_for(
        "count({job=\"one\",__name__=~\"ganglia_.+\"})",
        expected as f64 / 2.0,
    );
    prometheus.wait_for("count(gmetad_host_up{job=\"all\"})", 2.0 * HOSTS as f64);
    prometheus.wait_for("count(gmetad_host_up{job=\"all\"} == 0)", 2.0);
    prometheus.wait_for(
        "ganglia_load_one{job=\"all\",cluster=\"other\",host=\"node42.example.org\"}",
        42.5,
    );
    prometheus.wait_for(
        "ganglia_disk_free__var{job=\"one\",host=\"node1.example.org\",metric=\"disk.free./var\"}",
        1000.0,
    );
    prometheus.wait_for("count(up{} == 1)", 3.0);
    prometheus.wait_for("count(gmetad_source_up{job=\"daemon\"} == 1)", 2.0);
    // Nothing was refused: as many were kept as were sent.
    prometheus.wait_for(
        "scrape_samples_scraped{job=\"all\"} - scrape_samples_post_metric_relabeling{job=\"all\"}",
        0.0,
    );
    prometheus.wait_for(
        "scrape_samples_scraped{job=\"all\"}",
        expected as f64 + 2.0 * HOSTS as f64,
    );
    let polls = prometheus.query("sum(gmetad_source_polls_total{result=\"ok\"})");
    assert!(
        polls.first().is_some_and(|(_, polls)| *polls >= 2.0),
        "{polls:?}"
    );
}
