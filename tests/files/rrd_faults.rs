//! What may happen to the root while gmetad runs: each is said once with its cause, tried again, over
//! when it is over, and harms nothing else.
#![cfg(feature = "rrd")]

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::support::peers::{FakeSource, Script, document};
use crate::support::small_disk::with_a_small_disk;
use crate::support::web::get;
use crate::support::{Gmetad, full_name, skipped, wait_until};

/// Two hosts, of one metric each.
fn cluster_at(now: u64) -> Vec<u8> {
    let host = |name: &str| {
        format!(
            "<HOST NAME=\"{name}\" REPORTED=\"{now}\" TN=\"0\" TMAX=\"20\"><METRIC NAME=\"m\" \
             VAL=\"{}\" TYPE=\"uint32\" TN=\"0\" TMAX=\"60\" SLOPE=\"both\"/></HOST>\n",
            now % 100
        )
    };
    let hosts = host("h") + &host("other");
    let cluster = format!("<CLUSTER NAME=\"c\" LOCALTIME=\"{now}\">\n{hosts}</CLUSTER>\n");
    document("gmond", &cluster)
}

fn start(source: &FakeSource, folder: &Path) -> Gmetad {
    let conf = format!(
        "data_source \"s\" 1 127.0.0.1:{}\nRRAs \"RRA:AVERAGE:0.5:1:100\"\n",
        source.port()
    );
    Gmetad::start(folder, &conf)
}

fn health(gmetad: &Gmetad) -> (u16, String) {
    let answer = get(gmetad.interactive(), "/healthz");
    (answer.code, answer.text())
}

#[track_caller]
fn goes_on(file: &Path) {
    let written = || fs::metadata(file).and_then(|it| it.modified()).ok();
    let before = written().unwrap_or(SystemTime::UNIX_EPOCH);
    wait_until(&format!("{} to be written", file.display()), || {
        written().is_some_and(|now| now > before)
    });
}

#[test]
fn a_deleted_root_is_created_again() {
    let source = FakeSource::start(Script::Clock(cluster_at));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let gmetad = start(&source, folder.path());
    let root = folder.path().join("rrds");
    goes_on(&root.join("c/h/m.rrd"));
    fs::rename(&root, folder.path().join("gone")).expect("our own folder");
    for file in [
        "c/h/m.rrd",
        "c/other/m.rrd",
        "c/__SummaryInfo__/m.rrd",
        "__SummaryInfo__/m.rrd",
    ] {
        goes_on(&root.join(file));
    }
    wait_until("all to be well", || health(&gmetad).0 == 200);
}

#[test]
fn a_file_in_place_of_a_folder_affects_only_its_host_until_removed() {
    let source = FakeSource::start(Script::Clock(cluster_at));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let gmetad = start(&source, folder.path());
    let host = folder.path().join("rrds/c/h");
    goes_on(&host.join("m.rrd"));
    fs::rename(&host, folder.path().join("gone")).expect("our own folder");
    fs::write(&host, "precious").expect("our own folder");
    gmetad.wait_for_line(&format!(
        "RRD file {}/m.rrd cannot be written, its values are lost until then: ",
        host.display()
    ));
    wait_until("a fault", || {
        let (code, said) = health(&gmetad);
        code == 503 && said.contains("1 RRD files cannot be written")
    });
    goes_on(&folder.path().join("rrds/c/other/m.rrd"));
    source.wait_for_polls(3);
    let log = gmetad.log();
    assert_eq!(log.matches("cannot be written").count(), 1, "{log}");
    assert_eq!(fs::read_to_string(&host).expect("a file"), "precious");
    fs::remove_file(&host).expect("our own folder");
    gmetad.wait_for_line("1 RRD file is written again, after");
    goes_on(&host.join("m.rrd"));
    assert_eq!(health(&gmetad).0, 200);
}

#[test]
fn a_link_below_the_root_is_followed_if_owned_by_root_or_the_user_and_reported_otherwise() {
    let name =
        "a_link_below_the_root_is_followed_if_owned_by_root_or_the_user_and_reported_otherwise";
    if !nix::unistd::geteuid().is_root() {
        skipped(name, "it needs root");
        return;
    }
    let source = FakeSource::start(Script::Clock(cluster_at));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (root, other_disk) = (folder.path().join("rrds"), folder.path().join("other disk"));
    fs::create_dir_all(&root).expect("our own folder");
    fs::create_dir_all(other_disk.join("c")).expect("our own folder");
    let link = root.join("c");
    symlink(other_disk.join("c"), &link).expect("our own folder");
    lchown(&link, Some(4321), None).expect("we are root");
    let gmetad = start(&source, folder.path());
    gmetad.wait_for_line(&format!("the link {} belongs to user 4321", link.display()));
    wait_until("a fault", || health(&gmetad).0 == 503);
    goes_on(&root.join("__SummaryInfo__/m.rrd"));
    let outside = fs::read_dir(other_disk.join("c")).expect("it is there");
    assert_eq!(outside.count(), 0);
    lchown(&link, Some(0), None).expect("we are root");
    goes_on(&other_disk.join("c/h/m.rrd"));
    wait_until("all to be well", || health(&gmetad).0 == 200);
}

#[test]
fn a_root_that_becomes_read_only_is_reported_once_and_written_when_writable_again() {
    with_a_small_disk(
        "a_root_that_becomes_read_only_is_reported_once_and_written_when_writable_again",
        &full_name(module_path!(), "read_only"),
    );
}

#[test]
#[ignore = "needs a disk of its own, which a_root_that_becomes_read_only… gives it"]
fn read_only() {
    let disk = PathBuf::from(std::env::var_os("DISK").expect("the test that starts this"));
    let remount = |how: &str| {
        let option = format!("remount,{how}");
        let status = Command::new("mount")
            .args(["-o", &option])
            .arg(&disk)
            .status();
        assert!(status.expect("mount starts").success());
    };
    let source = FakeSource::start(Script::Clock(cluster_at));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("rrds");
    symlink(&disk, &root).expect("our own folder");
    let gmetad = start(&source, folder.path());
    goes_on(&root.join("c/h/m.rrd"));
    wait_until("all to be well", || health(&gmetad).0 == 200);
    remount("ro");
    gmetad.wait_for_line("Read-only file system; mount its filesystem read-write");
    wait_until("a fault", || {
        let (code, said) = health(&gmetad);
        code == 503 && said.contains("RRD files cannot be written; the log says why")
    });
    source.wait_for_polls(4);
    let log = gmetad.log();
    // Of the hosts, of the cluster's sums, and of all sums, which are updates of their own.
    assert!(
        (1..=3).contains(&log.matches("cannot be written").count()),
        "{log}"
    );
    remount("rw");
    gmetad.wait_for_line("RRD files are written again, after");
    goes_on(&root.join("c/h/m.rrd"));
    wait_until("all to be well", || health(&gmetad).0 == 200);
}
