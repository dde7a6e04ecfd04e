//! Directives that change what is served and stored, each through the real binary.

use std::path::Path;
use std::time::SystemTime;

use crate::support::peers::{FakeSource, Script, document};
use crate::support::{Gmetad, configure, wait_until};
use nix::sys::signal::Signal;
use tempfile::{TempDir, tempdir};

fn folder() -> TempDir {
    tempdir().expect("a temporary folder")
}

/// A cluster of these hosts, with one metric each, now.
fn cluster(hosts: &[&str]) -> FakeSource {
    cluster_with(hosts, &["Load"])
}

/// A cluster of these hosts, with these metrics each, now.
fn cluster_with(hosts: &[&str], metrics: &[&str]) -> FakeSource {
    use std::fmt::Write as _;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let mut inside =
        format!("<CLUSTER NAME=\"C\" LOCALTIME=\"{now}\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n");
    for (at, host) in hosts.iter().enumerate() {
        let _ = writeln!(
            inside,
            "<HOST NAME=\"{host}\" IP=\"10.0.0.1\" REPORTED=\"{now}\" TN=\"1\" TMAX=\"20\" \
             DMAX=\"0\">"
        );
        for metric in metrics {
            let _ = writeln!(
                inside,
                "<METRIC NAME=\"{metric}\" VAL=\"{at}\" TYPE=\"float\" UNITS=\"\" TN=\"1\" \
                 TMAX=\"60\" DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\"/>"
            );
        }
        inside += "</HOST>\n";
    }
    FakeSource::start(Script::Serve(document("gmond", &(inside + "</CLUSTER>\n"))))
}

fn start(folder: &TempDir, fake: &FakeSource, directives: &str) -> Gmetad {
    let source = format!("data_source \"s\" 1 127.0.0.1:{}\n", fake.port());
    Gmetad::start(folder.path(), &(source + directives))
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn hosts_that_differ_only_in_case_are_one_if_case_is_ignored() {
    let fake = cluster(&["Web1", "web1", "WEB1", "Other"]);
    let folder = folder();
    let gmetad = start(&folder, &fake, "case_sensitive_hostnames 0");
    let rrds = folder.path().join("rrds/C");
    wait_until("the files", || {
        names(&rrds) == ["__SummaryInfo__", "other", "web1"] && rrds.join("other/Load.rrd").exists()
    });
    let answer = gmetad.document();
    assert_eq!(answer.matches("<HOST NAME=").count(), 2, "{answer}");
    assert!(answer.contains("<HOST NAME=\"web1\"") && answer.contains("<HOST NAME=\"other\""));
    // Only names of hosts: clusters and metrics stay as they are.
    assert!(answer.contains("<CLUSTER NAME=\"C\"") && answer.contains("<METRIC NAME=\"Load\""));
    wait_until("the sums of the whole", || {
        let answer = gmetad.query("/?filter=summary");
        answer.matches("<HOSTS UP=\"2\" DOWN=\"0\"").count() == 2
    });
    // Requests may write it either way, over HTTP too.
    for name in ["web1", "WEB1"] {
        let answer = gmetad.query(&format!("/C/{name}"));
        assert_eq!(answer.matches("<HOST ").count(), 1, "{name}");
        let answer = gmetad.query(&format!("GET /C/{name}/Load HTTP/1.0\r\n\r"));
        assert!(answer.contains(" 200 ") && answer.contains("<METRIC NAME=\"Load\""));
    }
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn hosts_that_differ_in_case_are_distinct_by_default() {
    let fake = cluster(&["Web1", "web1"]);
    let folder = folder();
    let gmetad = start(&folder, &fake, "");
    let rrds = folder.path().join("rrds/C");
    wait_until("the files", || {
        names(&rrds) == ["Web1", "__SummaryInfo__", "web1"] && rrds.join("web1/Load.rrd").exists()
    });
    assert_eq!(gmetad.document().matches("<HOST NAME=").count(), 2);
}

#[test]
fn without_write_rrds_everything_is_served_and_nothing_stored() {
    let fake = cluster(&["h"]);
    let folder = folder();
    let gmetad = start(&folder, &fake, "write_rrds off");
    wait_until("the sum", || {
        gmetad.query("/?filter=summary").contains("NAME=\"Load\"")
    });
    fake.wait_for_polls(2);
    assert!(gmetad.query("/C/h/Load").contains("VAL=\"0\""));
    assert_eq!(gmetad.end().code(), Some(0));
    assert_eq!(names(&folder.path().join("rrds")), Vec::<String>::new());
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn a_umask_applies_to_files_and_folders() {
    use std::os::unix::fs::PermissionsExt;
    let fake = cluster(&["h"]);
    let folder = folder();
    let log = folder.path().join("log");
    let directives = format!("umask 027\nlogfile {}", log.display());
    let _gmetad = start(&folder, &fake, &directives);
    let host = folder.path().join("rrds/C/h");
    wait_until("the file", || host.join("Load.rrd").exists());
    let mode = |path: &Path| {
        let permissions = std::fs::metadata(path).expect("it is there").permissions();
        permissions.mode() & 0o777
    };
    assert_eq!(mode(&host.join("Load.rrd")), 0o640);
    assert_eq!(mode(&host), 0o750);
    let sums = folder.path().join("rrds/C/__SummaryInfo__");
    wait_until("the sum's file", || sums.join("Load.rrd").exists());
    assert_eq!(mode(&sums.join("Load.rrd")), 0o640);
    assert_eq!(mode(&sums), 0o750);
    assert_eq!(mode(&log), 0o640);
}

#[test]
fn with_scalable_off_there_is_no_enclosing_grid() {
    let fake = cluster(&["h"]);
    let folder = folder();
    let gmetad = start(&folder, &fake, "scalable off");
    wait_until("its host", || {
        gmetad.document().contains("<HOST NAME=\"h\"")
    });
    for answer in [
        gmetad.document(),
        gmetad.query("/C"),
        gmetad.query("/?filter=summary"),
    ] {
        assert!(answer.contains("<CLUSTER NAME=\"C\""), "{answer}");
        assert!(!answer.contains("<GRID"), "{answer}");
    }
}

#[test]
fn included_files_count_where_they_are_included() {
    let fake = cluster(&["h"]);
    let folder = folder();
    std::fs::create_dir(folder.path().join("conf.d")).expect("our own folder");
    let source = format!("data_source \"included\" 1 127.0.0.1:{}\n", fake.port());
    std::fs::write(folder.path().join("conf.d/a.conf"), source).expect("our own folder");
    std::fs::write(
        folder.path().join("grid.conf"),
        "gridname \"included too\"\n",
    )
    .expect("our own folder");
    let directives = "Include conf.d/*.conf\nInclude grid.conf\n";
    let gmetad = Gmetad::start(folder.path(), directives);
    wait_until("its host", || {
        gmetad.document().contains("<HOST NAME=\"h\"")
    });
    assert!(gmetad.document().contains("<GRID NAME=\"included too\""));
}

#[test]
fn metrics_to_summarize_are_chosen_by_name_prefix_and_expression() {
    let fake = cluster(&["h"]);
    for (directive, is_summed) in [
        ("", true),
        ("unsummarized_metrics Lo", false),
        ("unsummarized_metrics oad", true),
        ("unsummarized_metrics /oad$/", false),
        ("unsummarized_metrics \"/^oad/\" /load/", true),
        ("summarized_metrics Lo", false),
        ("summarized_metrics Load", true),
        ("summarized_metrics \"/^(?i)load$/\"", true),
        ("summarized_metrics Load\nunsummarized_metrics /a/", false),
    ] {
        let folder = folder();
        let gmetad = start(&folder, &fake, &format!("write_rrds off\n{directive}"));
        wait_until("the sum", || {
            gmetad.query("/?filter=summary").contains("<HOSTS UP=\"1\"")
        });
        for query in ["/?filter=summary", "/C?filter=summary"] {
            let answer = gmetad.query(query);
            assert_eq!(
                answer.contains("<METRICS NAME=\"Load\""),
                is_summed,
                "{directive}"
            );
        }
        assert!(gmetad.query("/C/h").contains("<METRIC NAME=\"Load\""));
    }
}

/// Metrics of a host, as they are.
const METRICS: [&str; 8] = [
    "cpu_user",
    "cpu_wio",
    "disk_free",
    "disk_total",
    "load_five",
    "load_one",
    "vm.1.vcpu",
    "vm.1.xcpu",
];

/// Names of the sums in an answer.
fn sums(answer: &str) -> Vec<String> {
    let names = answer.split("<METRICS NAME=\"").skip(1);
    let mut names: Vec<String> = names
        .map(|rest| rest.split('"').next().unwrap_or_default().to_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Whether these are exactly the sums of the root and of the cluster.
fn sums_are(gmetad: &Gmetad, expected: &[&str]) -> bool {
    let queries = ["/?filter=summary", "/C?filter=summary"];
    queries
        .iter()
        .all(|query| sums(&gmetad.query(query)) == expected)
}

/// Whether these sums, and no other, have files.
fn stored_sums_are(folder: &TempDir, expected: &[&str]) -> bool {
    let expected: Vec<String> = expected.iter().map(|name| format!("{name}.rrd")).collect();
    let folders = ["rrds/__SummaryInfo__", "rrds/C/__SummaryInfo__"];
    folders
        .iter()
        .all(|it| names(&folder.path().join(it)) == expected)
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn only_summarized_metrics_are_served_and_stored_as_sums() {
    let cases: &[(&str, &[&str])] = &[
        ("", &METRICS),
        (
            "summary_rule include load_one \"/^cpu_/\"\nsummary_default exclude",
            &["cpu_user", "cpu_wio", "load_one"],
        ),
        (
            "summary_rule include disk_total\nsummary_rule exclude /^disk_/",
            &[
                "cpu_user",
                "cpu_wio",
                "disk_total",
                "load_five",
                "load_one",
                "vm.1.vcpu",
                "vm.1.xcpu",
            ],
        ),
        (
            "SUMMARY_RULE Exclude cpu_wio /^vm/ /^disk/\nsummary_rule include /./",
            &["cpu_user", "load_five", "load_one"],
        ),
        (
            "unsummarized_metrics disk_ load_f\nunsummarized_metrics cpu_w\n\
             unsummarized_sflow_vm_metrics on",
            &["cpu_user", "load_one", "vm.1.xcpu"],
        ),
        (
            "summarized_metrics cpu_user\nsummarized_metrics load_one disk_free disk\n\
             unsummarized_metrics disk\nsummary_rule include vm.1.vcpu",
            &["cpu_user", "load_one", "vm.1.vcpu"],
        ),
    ];
    for (directives, expected) in cases {
        let fake = cluster_with(&["h"], &METRICS);
        let folder = folder();
        let gmetad = start(&folder, &fake, directives);
        wait_until(&format!("the sums with {directives}"), || {
            sums_are(&gmetad, expected) && stored_sums_are(&folder, expected)
        });
        // None is created later, and all files of the host are there.
        fake.wait_for_polls(2);
        assert!(sums_are(&gmetad, expected) && stored_sums_are(&folder, expected));
        let host = folder.path().join("rrds/C/h");
        assert_eq!(names(&host), METRICS.map(|name| format!("{name}.rrd")));
        assert_eq!(
            gmetad.query("/C/h").matches("<METRIC NAME=").count(),
            METRICS.len()
        );
    }
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn a_reload_changes_which_metrics_are_summarized() {
    let fake = cluster_with(&["h"], &METRICS);
    let folder = folder();
    let rules = "summary_rule include load_one\nsummary_default exclude";
    let gmetad = start(&folder, &fake, rules);
    wait_until("the first sum", || {
        sums_are(&gmetad, &["load_one"]) && stored_sums_are(&folder, &["load_one"])
    });
    let reload = |directives: &str| {
        let source = format!("data_source \"s\" 1 127.0.0.1:{}\n", fake.port());
        configure(folder.path(), &(source + directives));
        gmetad.signal(Signal::SIGHUP);
    };
    reload("summary_rule include load_one /^cpu_/\nsummary_default exclude");
    gmetad.wait_for_line("directives changed: summary_rule");
    let more = ["cpu_user", "cpu_wio", "load_one"];
    wait_until("more sums", || {
        sums_are(&gmetad, &more) && stored_sums_are(&folder, &more)
    });
    // A wrong rule changes nothing.
    reload("summary_rule load_one\nsummary_default exclude");
    let line = gmetad.wait_for_line("summary_rule: \"load_one\" is neither include nor exclude");
    assert!(line.contains("gmetad.conf:7: "), "{line}");
    fake.wait_for_polls(2);
    assert!(sums_are(&gmetad, &more));
    reload("summary_rule include load_one");
    gmetad.wait_for_line("directives changed: summary_rule, summary_default");
    wait_until("all sums", || {
        sums_are(&gmetad, &METRICS) && stored_sums_are(&folder, &METRICS)
    });
}

#[test]
fn an_include_that_fails_is_reported_with_file_and_line() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("conf.d")).expect("our own folder");
    let inside = folder.path().join("conf.d/sums.conf");
    std::fs::write(&inside, "\nsummary_rule exclude disk_.*\n").expect("our own folder");
    let conf = configure(
        folder.path(),
        "Include conf.d/*.conf none/*.conf\nInclude none.conf",
    );
    let output = crate::support::gmetad()
        .args(["-t", "-c"])
        .arg(&conf)
        .output()
        .expect("the binary was built");
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr);
    for part in [
        format!("{}:7: cannot read ", conf.display()),
        format!(
            "{}:2: summary_rule: \"disk_.*\" is not the name of a metric",
            inside.display()
        ),
    ] {
        assert!(said.contains(&part), "{part} in {said}");
    }
    assert_eq!(said.lines().count(), 2, "{said}");
}
