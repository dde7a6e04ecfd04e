//! Names that look like paths, through the real binary: whatever clusters, hosts and metrics are called,
//! each has a file of its own below the root, and nothing else is touched.
#![cfg(feature = "rrd")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::support::peers::{FakeSource, Script, document};
use crate::support::{Gmetad, wait_until};

/// As they stand in the document. The last is longer than any file's name may be.
fn names() -> Vec<Vec<u8>> {
    let plain: [&[u8]; 14] = [
        b"../../decoy/victim",
        b"../decoy",
        b"x/../../../decoy/victim",
        b"..",
        b".",
        b"",
        b"/etc/passwd",
        b"nul\0byte",
        b"caf\xe9",
        b"__SummaryInfo__",
        b"Case",
        b"case",
        b"a/b",
        // What the one before becomes.
        b"a%2Fb",
    ];
    let long = b"x".repeat(10_000);
    let longer = [&*long, b"y"].concat();
    let all = plain.iter().map(|it| it.to_vec());
    all.chain([long, longer]).collect()
}

/// Appends a cluster with hosts, each with metrics.
fn cluster(xml: &mut Vec<u8>, now: u64, name: &[u8], hosts: &[(&[u8], Vec<&[u8]>)]) {
    let mut add = |before: &str, name: &[u8], after: &str| {
        xml.extend_from_slice(before.as_bytes());
        xml.extend_from_slice(name);
        xml.extend_from_slice(after.as_bytes());
    };
    add(
        "<CLUSTER NAME=\"",
        name,
        &format!("\" LOCALTIME=\"{now}\">\n"),
    );
    for (host, metrics) in hosts {
        let about = format!("\" REPORTED=\"{now}\" TN=\"0\" TMAX=\"20\">");
        add("<HOST NAME=\"", host, &about);
        for metric in metrics {
            let about = "\" VAL=\"1\" TYPE=\"uint32\" TN=\"0\" TMAX=\"60\" SLOPE=\"both\"/>\n";
            add("<METRIC NAME=\"", metric, about);
        }
        add("</HOST>\n", b"", "");
    }
    add("</CLUSTER>\n", b"", "");
}

/// A cluster of each name, with a host of that name that has a metric of it, and one with hosts of all
/// names, and a host with metrics of all names.
fn clusters(now: u64) -> Vec<u8> {
    let names = names();
    let all = || names.iter().map(Vec::as_slice);
    let mut xml = Vec::new();
    for name in all() {
        let hosts = [(&b"h"[..], vec![&b"m"[..]]), (name, vec![name])];
        cluster(&mut xml, now, name, &hosts);
    }
    let hosts = all().map(|name| (name, vec![&b"m"[..]]));
    let hosts: Vec<_> = hosts.chain([(&b"h"[..], all().collect())]).collect();
    cluster(&mut xml, now, b"c", &hosts);
    // Only the frame around it is text.
    let frame = document("gmond", "HERE");
    let at = frame.windows(4).position(|it| it == b"HERE");
    let at = at.expect("as given");
    [&frame[..at], &xml, &frame[at + 4..]].concat()
}

/// All below a folder, but for one folder: when each was last changed, and what is in it.
fn below(folder: &Path, but: &Path) -> BTreeMap<PathBuf, (SystemTime, Option<Vec<u8>>)> {
    let mut all = BTreeMap::new();
    let mut unseen = vec![folder.to_owned()];
    while let Some(path) = unseen.pop() {
        if path == but {
            continue;
        }
        let about = fs::symlink_metadata(&path).expect("it is there");
        let bytes = about.is_file().then(|| fs::read(&path).expect("ours"));
        if about.is_dir() {
            let entries = fs::read_dir(&path).expect("ours");
            unseen.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
        all.insert(path, (about.modified().expect("a time"), bytes));
    }
    all
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => files.extend(self::files(&path)),
            path => files.push(path),
        }
    }
    files
}

#[test]
fn every_name_has_its_own_files_below_the_root_and_nothing_else_is_touched() {
    let sandbox = tempfile::tempdir().expect("a temporary folder");
    let (inside, conf) = (sandbox.path().join("a/b"), tempfile::tempdir());
    let rrds = inside.join("rrds");
    fs::create_dir_all(&rrds).expect("ours");
    // The targets of those names, seen from a cluster's folder and from a host's.
    for decoy in ["decoy", "a/decoy", "a/b/decoy"] {
        fs::create_dir(sandbox.path().join(decoy)).expect("ours");
        fs::write(sandbox.path().join(decoy).join("victim.rrd"), "precious").expect("ours");
    }
    let before = below(sandbox.path(), &rrds);
    let source = FakeSource::start(Script::Clock(clusters));
    let directives = format!(
        "data_source \"s\" 1 127.0.0.1:{}\nrrd_rootdir \"{}\"\nRRAs \"RRA:AVERAGE:0.5:1:10\"\n",
        source.port(),
        rrds.display()
    );
    let conf = conf.expect("a temporary folder");
    let gmetad = Gmetad::start(conf.path(), &directives);
    let count = names().len();
    // Of each cluster two, and two sums; of the last one two for each name, and the sums of all names
    // and of m; the same sums of everything.
    let expected = 4 * count + 2 * count + 2 * (count + 1);
    wait_until("a file for each", || files(&rrds).len() >= expected);
    source.wait_for_polls(2);
    assert_eq!(files(&rrds).len(), expected, "no more, as none is renamed");
    assert!(
        files(&rrds)
            .iter()
            .all(|it| it.extension().is_some_and(|it| it == "rrd"))
    );
    assert_eq!(below(sandbox.path(), &rrds), before);
    assert!(
        !gmetad.log().contains("cannot be written"),
        "{}",
        gmetad.log()
    );
    assert_eq!(gmetad.end().code(), Some(0));
    assert_eq!(below(sandbox.path(), &rrds), before);
}
