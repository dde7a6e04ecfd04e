//! The privileges that the daemon gives up, and that those left by its systemd unit suffice.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::process::{Detached, is_root, pid_in, shared_folder};
use crate::support::peers::{FakeSource, Script, document};
use crate::support::{Gmetad, read, skipped, wait_until};
use nix::unistd::User;

const UNIT: &str = "contrib/systemd/gmetad.service";

/// Each thread's `NoNewPrivs`.
fn new_privileges_ruled_out(gmetad: &Gmetad) -> Vec<bool> {
    let tasks = fs::read_dir(format!("/proc/{}/task", gmetad.pid())).expect("its threads");
    let ruled_out = |task: fs::DirEntry| {
        let status = read(&task.path().join("status"));
        let line = status.lines().find(|it| it.starts_with("NoNewPrivs:"));
        line.expect("since Linux 4.10").ends_with('1')
    };
    tasks
        .map(|task| ruled_out(task.expect("a thread")))
        .collect()
}

#[test]
fn no_thread_may_gain_privileges_unless_programs_are_to_be_started() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).expect("our own folder");
    let rule = "metricrule load_one \"$val > 5\" \"busy\"";
    for (directives, ruled_out) in [
        (String::new(), true),
        (format!("alert {{\n{rule}\n}}"), true),
        (format!("alert {{\n{rule}\ncommand /bin/true\n}}"), false),
        (
            format!("alert {{\n{rule}\ntoaddress me@example.org\n}}"),
            false,
        ),
        // Who loads none has none that starts a program.
        (
            format!("plugins_dir {}", plugins.display()),
            !cfg!(feature = "loader"),
        ),
    ] {
        let gmetad = Gmetad::start(folder.path(), &directives);
        let all = new_privileges_ruled_out(&gmetad);
        assert!(all.len() > 1, "it has its threads");
        assert!(
            all.iter().all(|it| *it == ruled_out),
            "{directives}: {all:?}"
        );
        assert!(gmetad.end().success());
    }
}

/// The capabilities that the unit leaves, as setpriv(1) takes them.
fn capabilities() -> String {
    let unit = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(UNIT));
    let line = unit
        .lines()
        .find_map(|it| it.strip_prefix("CapabilityBoundingSet="));
    let names = line.expect("it has one").split(' ');
    let kept = names.map(|it| it.trim_start_matches("CAP_").to_lowercase());
    kept.fold("-all".into(), |all, it| format!("{all},+{it}"))
}

#[test]
fn the_capabilities_of_the_unit_suffice_to_switch_user_and_create_folders() {
    let test = "the_capabilities_of_the_unit_suffice_to_switch_user_and_create_folders";
    if !is_root(test) {
        return;
    }
    if Command::new("setpriv").arg("--version").output().is_err() {
        return skipped(test, "there is no setpriv");
    }
    let nobody = User::from_name("nobody").expect("users").expect("nobody");
    let folder = shared_folder();
    let inside = "<CLUSTER NAME=\"c\" LOCALTIME=\"1700000000\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n\
                  <HOST NAME=\"h\" IP=\"192.0.2.7\" REPORTED=\"1700000000\" TN=\"1\" TMAX=\"20\" \
                  DMAX=\"0\" LOCATION=\"\" GMOND_STARTED=\"1\">\n\
                  <METRIC NAME=\"m\" VAL=\"1\" TYPE=\"float\" UNITS=\"\" TN=\"1\" TMAX=\"70\" DMAX=\"0\" \
                  SLOPE=\"both\"/>\n</HOST>\n</CLUSTER>\n";
    let source = FakeSource::start(Script::Serve(document("gmond", inside)));
    let path = |name: &str| folder.path().join(name);
    let conf = format!(
        "data_source s 1 127.0.0.1:{}\nsetuid_username nobody\nbind_address 127.0.0.1\nxml_port 0\n\
         interactive_port 0\n{}",
        source.port(),
        if cfg!(feature = "rrd") {
            format!("rrd_rootdir {}\n", path("ganglia/rrds").display())
        } else {
            "write_rrds off\n".into()
        }
    );
    fs::write(path("gmetad.conf"), conf).expect("our own folder");
    let output = Command::new("setpriv")
        .args(["--bounding-set", &capabilities()])
        .arg(env!("CARGO_BIN_EXE_gmetad"))
        .arg("-c")
        .arg(path("gmetad.conf"))
        .arg("-p")
        .arg(path("pid"))
        .arg("-l")
        .arg(path("log"))
        .output()
        .expect("setpriv is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let daemon = Detached {
        pid: pid_in(&path("pid")).expect("a pid file"),
    };
    let owner = |name: &str| fs::metadata(path(name)).expect(name).uid();
    assert_eq!(owner("log"), nobody.uid.as_raw());
    if cfg!(feature = "rrd") {
        assert_eq!(owner("ganglia/rrds"), nobody.uid.as_raw());
        wait_until("a file of the sums", || {
            path("ganglia/rrds/__SummaryInfo__").exists()
        });
    }
    daemon.end();
}
