//! New round-robin files: no more than a source may have, and none where there is no room.
#![cfg(feature = "rrd")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::peers::{FakeSource, Script, document};
use crate::support::small_disk::{fill, with_a_small_disk};
use crate::support::web::get;
use crate::support::{Gmetad, full_name, wait_until};

/// A cluster with these hosts, of two metrics each.
fn cluster(name: &str, now: u64, hosts: &[String]) -> String {
    let mut xml = format!("<CLUSTER NAME=\"{name}\" LOCALTIME=\"{now}\">\n");
    for host in hosts {
        let _ = write!(
            xml,
            "<HOST NAME=\"{host}\" REPORTED=\"{now}\" TN=\"0\" TMAX=\"20\" DMAX=\"5\">"
        );
        for metric in ["m", "n"] {
            let _ = write!(
                xml,
                "<METRIC NAME=\"{metric}\" VAL=\"{}\" TYPE=\"uint32\" TN=\"0\" TMAX=\"60\" SLOPE=\"both\"/>",
                now % 100
            );
        }
        xml.push_str("</HOST>\n");
    }
    xml.push_str("</CLUSTER>\n");
    xml
}

/// One host that stays, and ten that are others every time.
fn restless(now: u64) -> Vec<u8> {
    let new = (0..10).map(|at| format!("h{now}-{at}"));
    let hosts: Vec<String> = ["stays".to_owned()].into_iter().chain(new).collect();
    document("gmond", &cluster("restless", now, &hosts))
}

fn quiet(now: u64) -> Vec<u8> {
    document("gmond", &cluster("quiet", now, &["q".into()]))
}

fn files_below(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.path() {
            path if path.is_dir() => files_below(&path),
            _ => 1,
        })
        .sum()
}

fn written(file: &Path) -> std::time::SystemTime {
    fs::metadata(file)
        .expect("it is there")
        .modified()
        .expect("a time")
}

#[test]
fn a_source_with_ever_new_hosts_gets_few_files_and_the_others_are_unaffected() {
    for held in ["", "write_timeout 1\n write_jitter 0\n"] {
        let (one, two) = (
            FakeSource::start(Script::Clock(restless)),
            FakeSource::start(Script::Clock(quiet)),
        );
        let folder = tempfile::tempdir().expect("a temporary folder");
        let rrds = folder.path().join("rrds");
        let conf = format!(
            "data_source \"one\" 1 127.0.0.1:{}\ndata_source \"two\" 1 127.0.0.1:{}\n\
             RRAs \"RRA:AVERAGE:0.5:1:100\"\nrrd {{\n new_rrds_per_hour 20\n {held}}}\n",
            one.port(),
            two.port()
        );
        let gmetad = Gmetad::start(folder.path(), &conf);
        gmetad.wait_for_line("source \"one\": too many new RRD files in an hour, ");
        let healthz = get(gmetad.interactive(), "/healthz");
        assert_eq!(healthz.code, 503);
        assert!(
            healthz
                .text()
                .contains("1 sources bring more new RRD files than new_rrds_per_hour allows"),
            "{}",
            healthz.text()
        );
        one.wait_for_polls(6);
        // Its first 22 values and 2 sums, 20 more, and what has come back meanwhile.
        let count = files_below(&rrds.join("restless"));
        assert!((24..=46).contains(&count), "{count} files");
        let log = gmetad.log();
        assert_eq!(log.matches("too many new RRD files").count(), 1, "{log}");
        assert!(!log.contains("cannot be written"), "{log}");
        for file in ["restless/stays/m.rrd", "quiet/q/m.rrd"] {
            let file = rrds.join(file);
            let before = written(&file);
            wait_until("a file that is there to go on", || written(&file) > before);
        }
    }
}

#[test]
fn without_disk_space_no_files_are_created_and_existing_ones_are_updated() {
    with_a_small_disk(
        "without_disk_space_no_files_are_created_and_existing_ones_are_updated",
        &full_name(module_path!(), "little_room"),
    );
}

/// The same host, and one that is another every time.
fn two(now: u64) -> Vec<u8> {
    let hosts = ["q".into(), format!("r{now}")];
    document("gmond", &cluster("quiet", now, &hosts))
}

#[test]
#[ignore = "needs a disk of its own, which without_room_no_new_files… gives it"]
fn little_room() {
    let disk = PathBuf::from(std::env::var_os("DISK").expect("the test that starts this"));
    let source = FakeSource::start(Script::Clock(quiet));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rrds = folder.path().join("rrds");
    std::os::unix::fs::symlink(&disk, &rrds).expect("our own folder");
    let conf = format!(
        "data_source \"s\" 1 127.0.0.1:{}\nRRAs \"RRA:AVERAGE:0.5:1:100\"\n",
        source.port()
    );
    let gmetad = Gmetad::start(folder.path(), &conf);
    let healthz = || get(gmetad.interactive(), "/healthz");
    wait_until("files", || rrds.join("quiet/q/n.rrd").exists());
    wait_until("all to be well", || healthz().code == 200);
    // A little is left, which a file would need, and gets no file.
    let filler = fill(&disk);
    let length = fs::metadata(&filler).expect("our own file").len();
    let shorter = fs::File::options().write(true).open(&filler);
    let shorter = shorter.and_then(|file| file.set_len(length - 12_288));
    shorter.expect("our own file");
    // What the filesystem had before is known for a second.
    source.wait_for_polls(3);
    source.script(Script::Clock(two));
    let root = rrds.display();
    gmetad.wait_for_line(&format!(
        "RRD root {root}: no new files are created while less than 20 KB are free ("
    ));
    let said = healthz();
    assert_eq!(said.code, 503);
    let wanted = "no new RRD files are created, as their filesystem is nearly full: free space";
    assert!(said.text().contains(wanted), "{}", said.text());
    let file = rrds.join("quiet/q/m.rrd");
    let before = written(&file);
    wait_until("a file that is there to go on", || written(&file) > before);
    let count = files_below(&disk);
    source.wait_for_polls(3);
    assert_eq!(files_below(&disk), count);
    assert!(
        !gmetad.log().contains("cannot be written"),
        "{}",
        gmetad.log()
    );
    fs::remove_file(filler).expect("our own file");
    gmetad.wait_for_line(&format!(
        "RRD root {root}: new files are created again, after"
    ));
    wait_until("new files", || files_below(&disk) > count);
    wait_until("all to be well", || healthz().code == 200);
}
