//! `expire_rrds` through the real binary: files of hosts that are gone go too, others stay.
#![cfg(feature = "rrd")]

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::support::clock::SetClock;
use crate::support::peers::{FakeSource, Script, document};
use crate::support::{Gmetad, wait_until};

const DAY: Duration = Duration::from_secs(86_400);

/// How far a clock jumps: half an hour more than 30 days, so that it reads "30 d" though the two
/// readings of it are not a whole number of seconds apart.
const JUMP: Duration = Duration::from_secs(30 * 86_400 + 1_800);

/// A round-robin file's beginning, last written so many days ago.
fn write(path: &Path, days_ago: u32) {
    fs::create_dir_all(path.parent().expect("in a folder")).expect("our own folder");
    fs::write(path, b"RRD\x000003").expect("our own folder");
    let times = FileTimes::new().set_modified(SystemTime::now() - days_ago * DAY);
    let file = File::options().write(true).open(path).expect("written");
    file.set_times(times).expect("our own file");
}

/// A cluster with one host that is alive.
fn cluster_at(now: u64) -> Vec<u8> {
    let xml = format!(
        "<CLUSTER NAME=\"c\" LOCALTIME=\"{now}\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n\
         <HOST NAME=\"alive\" IP=\"10.0.0.1\" REPORTED=\"{now}\" TN=\"1\" TMAX=\"20\" DMAX=\"0\">\n\
         <METRIC NAME=\"load_one\" VAL=\"1\" TYPE=\"float\" UNITS=\"\" TN=\"1\" TMAX=\"60\" \
         DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\"/>\n</HOST>\n</CLUSTER>\n"
    );
    document("gmond", &xml)
}

#[test]
fn files_of_a_host_that_is_gone_are_removed_and_those_of_others_kept() {
    let fake = FakeSource::start(Script::Clock(cluster_at));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rrds = folder.path().join("rrds");
    let (gone, quiet) = (
        rrds.join("c/gone/load_one.rrd"),
        rrds.join("c/quiet/load_one.rrd"),
    );
    write(&gone, 3);
    write(&quiet, 1);
    let directives = format!(
        "data_source \"s\" 1 127.0.0.1:{}\nrrd {{\n expire_rrds 2\n}}\n",
        fake.port()
    );
    let gmetad = Gmetad::start_with(folder.path(), &directives, &["-d", "4"]);
    wait_until("the old host's folder to go", || {
        !rrds.join("c/gone").exists()
    });
    gmetad.wait_for_line("expire_rrds: removed 1 file of c/gone, last written 3 days ago");
    assert!(fake.polls() >= 5, "not before it is known who is there");
    assert!(quiet.exists() && rrds.join("c/alive/load_one.rrd").exists());
    assert!(rrds.join("c/__SummaryInfo__/load_one.rrd").exists());
    assert_eq!(gmetad.end().code(), Some(0));
}

#[test]
fn a_clock_that_jumps_ahead_removes_no_files_until_a_source_agrees_with_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let test = "a_clock_that_jumps_ahead_removes_no_files_until_a_source_agrees_with_it";
    let Some(clock) = SetClock::new(test, folder.path()) else {
        return;
    };
    let fake = FakeSource::start(Script::Clock(cluster_at));
    let rrds = folder.path().join("rrds");
    let file = |host: &str| rrds.join("c").join(host).join("load_one.rrd");
    write(&file("quiet"), 1);
    write(&file("other"), 0);
    let directives = format!(
        "data_source \"s\" 1 127.0.0.1:{}\nrrd {{\n expire_rrds 2\n}}\n",
        fake.port()
    );
    let environment = clock.environment();
    let gmetad = Gmetad::start_in(folder.path(), &directives, &["-d", "4"], &environment);
    // Until the time has come at which it would look.
    fake.wait_for_polls(13);
    clock.set(JUMP.as_secs() as i64);
    // As what is written then.
    let ahead = FileTimes::new().set_modified(SystemTime::now() + JUMP);
    let other = File::options().write(true).open(file("other"));
    other
        .expect("written")
        .set_times(ahead)
        .expect("our own file");
    gmetad.wait_for_line("expire_rrds: this machine's clock has jumped ahead by 30 d; no files are removed until a source's clock agrees with it");
    fake.wait_for_polls(13);
    assert!(!gmetad.log().contains("goes on"), "{}", gmetad.log());
    clock.set(0);
    gmetad.wait_for_line("expire_rrds: goes on: the clock of \"c\" agrees with this machine's");
    assert!(
        file("quiet").exists() && file("other").exists() && file("alive").exists(),
        "{}",
        gmetad.log()
    );
    assert_eq!(gmetad.log().matches("has jumped").count(), 1);
    assert_eq!(gmetad.end().code(), Some(0));
}

#[test]
fn a_cluster_that_would_lose_too_many_files_is_named_and_loses_a_limited_share() {
    let fake = FakeSource::start(Script::Clock(cluster_at));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cluster = folder.path().join("rrds/c");
    for host in 0..30 {
        write(&cluster.join(format!("gone{host}/load_one.rrd")), 3 + host);
    }
    write(&cluster.join("quiet/load_one.rrd"), 0);
    let directives = format!(
        "data_source \"s\" 1 127.0.0.1:{}\nrrd {{\n expire_rrds 2\n}}\n",
        fake.port()
    );
    let gmetad = Gmetad::start_with(folder.path(), &directives, &["-d", "4"]);
    let line = gmetad.wait_for_line("expire_rrds: 30 of the");
    assert!(
        line.contains(
            " hosts in c have not been heard of for 2 days; only 10 lose their files now, \
                       the others in later sweeps, every 6 hours; to keep them, set expire_rrds 0"
        ),
        "{line}"
    );
    gmetad.wait_for_line("expire_rrds: sweep done, 10 files removed");
    let log = gmetad.log();
    let removed = log.find("removed 1 file of c/gone29").expect("the oldest");
    assert!(log.find("30 of the").expect("seen") < removed, "{log}");
    assert!((0..20).all(|host| cluster.join(format!("gone{host}")).exists()));
    assert_eq!(gmetad.end().code(), Some(0));
}
