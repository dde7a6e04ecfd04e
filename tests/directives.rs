//! Directives that change what is served and stored, each through the real binary.

mod support;

use std::path::Path;
use std::time::SystemTime;

use support::peers::{FakeSource, Script, document};
use support::{Gmetad, wait_until};
use tempfile::{TempDir, tempdir};

fn folder() -> TempDir {
    tempdir().expect("a temporary folder")
}

/// A cluster of these hosts, with one metric each, now.
fn cluster(hosts: &[&str]) -> FakeSource {
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
             DMAX=\"0\">\n<METRIC NAME=\"Load\" VAL=\"{at}\" TYPE=\"float\" UNITS=\"\" TN=\"1\" \
             TMAX=\"60\" DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\"/>\n</HOST>"
        );
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
fn hosts_that_differ_only_in_case_are_one_where_case_does_not_count() {
    let fake = cluster(&["Web1", "web1", "WEB1", "Other"]);
    let folder = folder();
    let gmetad = start(&folder, &fake, "case_sensitive_hostnames 0");
    let rrds = folder.path().join("rrds/C");
    wait_until("the files", || rrds.join("other/Load.rrd").exists());
    let answer = gmetad.document();
    assert_eq!(answer.matches("<HOST NAME=").count(), 2, "{answer}");
    assert!(answer.contains("<HOST NAME=\"web1\"") && answer.contains("<HOST NAME=\"other\""));
    assert_eq!(names(&rrds), ["__SummaryInfo__", "other", "web1"]);
    // Only names of hosts: clusters and metrics stay as they are.
    assert!(answer.contains("<CLUSTER NAME=\"C\"") && answer.contains("<METRIC NAME=\"Load\""));
    assert!(
        gmetad
            .query("/?filter=summary")
            .contains("<HOSTS UP=\"2\" DOWN=\"0\"")
    );
    // Who asks may write it either way, over HTTP too.
    for name in ["web1", "WEB1"] {
        let answer = gmetad.query(&format!("/C/{name}"));
        assert_eq!(answer.matches("<HOST ").count(), 1, "{name}");
        let answer = gmetad.query(&format!("GET /C/{name}/Load HTTP/1.0\r\n\r"));
        assert!(answer.contains(" 200 ") && answer.contains("<METRIC NAME=\"Load\""));
    }
}

#[test]
fn hosts_that_differ_in_case_are_two_by_default() {
    let fake = cluster(&["Web1", "web1"]);
    let folder = folder();
    let gmetad = start(&folder, &fake, "");
    let rrds = folder.path().join("rrds/C");
    wait_until("the files", || rrds.join("web1/Load.rrd").exists());
    assert_eq!(gmetad.document().matches("<HOST NAME=").count(), 2);
    assert_eq!(names(&rrds), ["Web1", "__SummaryInfo__", "web1"]);
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
fn a_umask_holds_for_files_and_folders() {
    use std::os::unix::fs::PermissionsExt;
    let fake = cluster(&["h"]);
    let folder = folder();
    let _gmetad = start(&folder, &fake, "umask 027");
    let host = folder.path().join("rrds/C/h");
    wait_until("the file", || host.join("Load.rrd").exists());
    // librrd makes the file before its permissions are set.
    let mode = |path: &Path| {
        let permissions = std::fs::metadata(path).expect("it is there").permissions();
        permissions.mode() & 0o777
    };
    wait_until("the file's permissions", || {
        mode(&host.join("Load.rrd")) == 0o640
    });
    assert_eq!(mode(&host), 0o750);
}

#[test]
fn with_scalable_off_there_is_no_grid_around_it() {
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
fn what_is_included_counts_as_if_it_stood_there() {
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
fn what_is_summed_up_is_chosen_by_name_prefix_and_expression() {
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
