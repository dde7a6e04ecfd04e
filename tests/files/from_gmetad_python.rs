//! From gmetad-python to this one and back, step by step as docs/MIGRATING.md says, with files as
//! gmetad-python's plugins make them.
//!
//! No distribution has gmetad-python any more. Its files are made, and after the way back written, by
//! rrdtool, which it uses too; what it polled is `data/plugin-api`.
#![cfg(feature = "rrd")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::peers::{FakeSource, Script, available, moved, text};
use crate::support::{Gmetad, gmetad, once_unlocked, read, wait_until};

/// gmetad-python's archives.
const ARCHIVES: [&str; 5] = [
    "RRA:AVERAGE:0.5:1:244",
    "RRA:AVERAGE:0.5:24:244",
    "RRA:AVERAGE:0.5:168:244",
    "RRA:AVERAGE:0.5:672:244",
    "RRA:AVERAGE:0.5:5760:374",
];

const STEP: u64 = 15;

/// How long the switch takes, by the time of the source: less than a heartbeat, which is 120 s.
const SWITCH: u64 = 45;

/// What gmetad-python has written for an hour, and the type of its sums.
const OLD: [(&str, &str); 5] = [
    ("Alpha Web/web1/load_one.rrd", "GAUGE"),
    ("Alpha Web/web1/requests.rrd", "COUNTER"),
    ("Alpha Web/db-1/weird name.rrd", "GAUGE"),
    ("Alpha Web/__SummaryInfo__/load_one.rrd", "GAUGE"),
    ("__SummaryInfo__/load_one.rrd", "GAUGE"),
];

/// A file that is made after the switch.
const NEW: &str = "Alpha Web/web2.example.org/cpu_user.rrd";

fn rrdtool(verb: &str, file: &Path, more: &[String]) -> String {
    let output = once_unlocked(Command::new("rrdtool").arg(verb).arg(file).args(more));
    let output = output.expect("rrdtool starts");
    let said = text(&output.stderr);
    assert!(output.status.success(), "{verb} {}: {said}", file.display());
    text(&output.stdout)
}

/// Makes a file with an hour of values, the last of them at `end`.
fn make(file: &Path, kind: &str, end: u64) {
    fs::create_dir_all(file.parent().expect("a folder")).expect("our own folder");
    let is_sum = file.display().to_string().contains("__SummaryInfo__");
    let start = end - 3600;
    let mut words = vec![format!("--start={}", start - 1), format!("--step={STEP}")];
    words.push(format!("DS:sum:{kind}:{}:U:U", 8 * STEP));
    if is_sum {
        words.push(format!("DS:num:{kind}:{}:U:U", 8 * STEP));
    }
    words.extend(ARCHIVES.map(String::from));
    rrdtool("create", file, &words);
    let samples = (0..=3600 / STEP).map(|number| {
        let (time, value) = (start + number * STEP, number * 7 % 50 + number);
        if is_sum {
            format!("{time}:{value}:3")
        } else {
            format!("{time}:{value}")
        }
    });
    rrdtool("update", file, &samples.collect::<Vec<_>>());
}

/// Rows of the finest archive over that time.
fn rows(file: &Path, start: u64, end: u64) -> BTreeMap<u64, String> {
    let words = ["AVERAGE".into(), format!("-s{start}"), format!("-e{end}")];
    let fetched = rrdtool("fetch", file, &words);
    let rows = fetched.lines().filter_map(|line| line.split_once(": "));
    rows.map(|(time, values)| (time.parse().expect("a time"), values.into()))
        .filter(|(time, _)| (start..=end).contains(time))
        .collect()
}

/// What does not change when values come in.
fn shape(file: &Path) -> Vec<String> {
    let info = rrdtool("info", file, &[]);
    let changes = ["filename", "last_update", "cur_row", "last_ds", "cdp_prep"];
    let lines = info.lines().filter(|line| {
        let changes = changes.iter().any(|part| line.contains(part));
        !changes
            && !line.ends_with("value = NaN")
            && !line.contains("].value")
            && !line.contains("unknown_sec")
    });
    lines.map(String::from).collect()
}

fn last(file: &Path) -> u64 {
    let last = rrdtool("last", file, &[]);
    last.trim().parse().expect("a time")
}

/// The first LOCALTIME of a document.
fn localtime(document: &[u8]) -> u64 {
    let document = text(document);
    let (_, rest) = document.split_once("LOCALTIME=\"").expect("a cluster");
    let time = rest.split('"').next().expect("it is closed");
    time.parse().expect("a time")
}

#[test]
#[cfg_attr(not(feature = "loader"), ignore = "needs the feature loader")]
fn graphs_go_on_there_and_back() {
    if !available("graphs_go_on_there_and_back", &["rrdtool"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("rrds");
    let document = moved("plugin-api/alpha.xml");
    let time = localtime(&document);
    let fake = FakeSource::start(Script::Serve(document));

    // What is there: gmetad-python's configuration, its own plugins, and its files.
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).expect("our own folder");
    for name in ["rrd_plugin.py", "rrd_summary_plugin.py"] {
        fs::write(plugins.join(name), "print 'Python 2'\n").expect("our own folder");
    }
    let conf = folder.path().join("gmetad-python.conf");
    let directives = format!(
        "data_source \"Alpha Web\" {STEP} 127.0.0.1:{}\ngridname \"TestGrid\"\nsetuid off\n\
         xml_port 0\ninteractive_port 0\nserver_threads 4\nplugins_dir \"{}\"\n\
         rrd {{\nrrd_rootdir \"{}\"\n}}\nrrdsummary {{\n}}\n",
        fake.port(),
        plugins.display(),
        root.display()
    );
    fs::write(&conf, &directives).expect("our own folder");
    let old = OLD.map(|(name, _)| root.join(name));
    for (file, (_, kind)) in old.iter().zip(OLD) {
        make(file, kind, time - SWITCH);
    }

    // 1. What the new one makes of the configuration.
    let checked = gmetad().arg("-t").arg("-c").arg(&conf).output();
    let checked = checked.expect("the binary was built");
    assert!(checked.status.success(), "{}", text(&checked.stderr));

    // 4. The old one is stopped, the files are saved, the new one started.
    let saved = folder.path().join("rrds.before");
    let copied = Command::new("cp").arg("-a").args([&root, &saved]).status();
    assert!(copied.expect("there is a cp").success());
    let daemon = Gmetad::start_from(folder.path(), &conf, &["-d", "4"], &[]);
    daemon.wait_for_line("rrd_plugin.py is left out: ");
    let new = root.join(NEW);
    wait_until("values in all files", || {
        new.exists() && old.iter().all(|file| last(file) > time - SWITCH)
    });
    assert!(daemon.end().success());

    // Old values stand, new ones follow without a gap, and nothing else of a file has changed.
    for (file, (name, _)) in old.iter().zip(OLD) {
        let before = saved.join(name);
        assert_eq!(shape(file), shape(&before), "{name}");
        let (start, end) = (time - 3600 + STEP, time - SWITCH - STEP);
        let kept = rows(&before, start, end);
        assert!(kept.len() > 200, "{name}: {kept:?}");
        assert_eq!(rows(file, start, end), kept, "{name}");
        let attributes = |file: &PathBuf| {
            let about = fs::metadata(file).expect("it is there");
            (about.len(), about.mode(), about.uid(), about.gid())
        };
        assert_eq!(attributes(file), attributes(&before), "{name}");
    }
    for file in &old[..3] {
        assert_eq!(last(file), time);
        let rows = rows(file, time - SWITCH, time / STEP * STEP);
        assert!(rows.len() >= 3, "{rows:?}");
        let gap = rows.values().any(|row| row.contains("nan"));
        assert!(!gap, "{}: {rows:?}", file.display());
    }
    // A new file is like one of gmetad-python's.
    assert_eq!(shape(&new), shape(&old[0]));

    // Back: the old one's configuration is as it was, and all files take its values.
    assert_eq!(read(&conf), directives);
    for file in old.iter().chain([&new]) {
        let last_of_ours = last(file);
        let values = if rrdtool("info", file, &[]).contains("ds[num]") {
            "40:3"
        } else {
            "40"
        };
        // The second ends a step that is known from its beginning on, in the new file too.
        let times = [last_of_ours + STEP, last_of_ours + 2 * STEP];
        rrdtool(
            "update",
            file,
            &times.map(|time| format!("{time}:{values}")),
        );
        assert_eq!(last(file), times[1]);
        let time = times[1] / STEP * STEP;
        let rows = rows(file, time - 2 * STEP, time + STEP);
        let known = rows.get(&time).is_some_and(|row| !row.contains("nan"));
        assert!(known, "{} at {time}: {rows:?}", file.display());
    }
}
