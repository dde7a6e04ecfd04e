//! `expire_rrds` through the real binary: files of hosts that are gone go too, others stay.
#![cfg(feature = "rrd")]

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::support::peers::{FakeSource, Script, document};
use crate::support::{Gmetad, wait_until};

const DAY: Duration = Duration::from_secs(86_400);

/// A round-robin file's beginning, last written so many days ago.
fn write(path: &Path, days_ago: u32) {
    fs::create_dir_all(path.parent().expect("in a folder")).expect("our own folder");
    fs::write(path, b"RRD\x000003").expect("our own folder");
    let times = FileTimes::new().set_modified(SystemTime::now() - days_ago * DAY);
    let file = File::options().write(true).open(path).expect("written");
    file.set_times(times).expect("our own file");
}

#[test]
fn files_of_a_host_that_is_gone_go_and_those_of_others_stay() {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let xml = format!(
        "<CLUSTER NAME=\"c\" LOCALTIME=\"{now}\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n\
         <HOST NAME=\"alive\" IP=\"10.0.0.1\" REPORTED=\"{now}\" TN=\"1\" TMAX=\"20\" DMAX=\"0\">\n\
         <METRIC NAME=\"load_one\" VAL=\"1\" TYPE=\"float\" UNITS=\"\" TN=\"1\" TMAX=\"60\" \
         DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\"/>\n</HOST>\n</CLUSTER>\n"
    );
    let fake = FakeSource::start(Script::Serve(document("gmond", &xml)));
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
