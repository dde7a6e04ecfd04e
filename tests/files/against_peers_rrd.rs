//! The round-robin files beside those of a C gmetad over the same sources: same tree, same layout,
//! same values, as rrdtool reads them.
//!
//! What is served is compared in `against_peers`.
#![cfg(feature = "rrd")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::clockwork;
use crate::support::peers::{Announced, CGmetad, Gmond, available, document, shared_conf, text};
use crate::support::stores::Rrdcached;
use crate::support::{Gmetad, once_unlocked, wait_until};

/// Rows that a file must share with its counterpart before it counts as compared.
const SHARED_ROWS: usize = 3;

/// How long the rows may take: one a second, and a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Pause between two looks at the files.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// All files below a folder, relative to it.
fn tree(root: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(inside) = path.strip_prefix(root) {
                files.insert(inside.to_owned());
            }
        }
    }
    files
}

fn rrdtool(words: &[&str], file: &Path, more: &[&str]) -> String {
    let output = once_unlocked(Command::new("rrdtool").args(words).arg(file).args(more));
    let output = output.expect("rrdtool starts");
    assert!(
        output.status.success(),
        "rrdtool {words:?} {}: {}",
        file.display(),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// What a graph depends on: the step, each data source, each archive.
fn layout(file: &Path) -> BTreeMap<String, String> {
    let keys = [
        "].index",
        "].type",
        "].minimal_heartbeat",
        "].min",
        "].max",
        "].cf",
        "].rows",
        "].pdp_per_row",
        "].xff",
    ];
    rrdtool(&["info"], file, &[])
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .filter(|(key, _)| *key == "step" || keys.iter().any(|end| key.ends_with(end)))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Known values of the last minute: time → one value for each data source.
fn rows(file: &Path) -> BTreeMap<u64, Vec<f64>> {
    rrdtool(&["fetch"], file, &["AVERAGE", "-s", "end-60", "-e", "now"])
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter_map(|(time, values)| {
            let values: Vec<f64> = values
                .split_whitespace()
                .map(|value| value.parse().expect("rrdtool prints numbers"))
                .collect();
            let known = values.iter().all(|value| value.is_finite());
            known.then(|| (time.parse().expect("rrdtool prints times"), values))
        })
        .collect()
}

/// Values of the last update, whatever its time.
fn last_values(file: &Path) -> Vec<f64> {
    rrdtool(&["lastupdate"], file, &[])
        .lines()
        .last()
        .and_then(|line| line.split_once(": "))
        .map(|(_, values)| {
            values
                .split_whitespace()
                .map(|value| value.parse().unwrap_or(f64::NAN))
                .collect()
        })
        .unwrap_or_default()
}

/// Whether the sum in a file is stored as it comes.
fn is_gauge(file: &Path) -> bool {
    layout(file)
        .get("ds[sum].type")
        .is_some_and(|kind| kind == "\"GAUGE\"")
}

/// The first values of a row, or all if there are no more.
fn first(row: &[f64], columns: usize) -> &[f64] {
    &row[..columns.min(row.len())]
}

fn agree(one: &[f64], other: &[f64]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(one, other)| (one - other).abs() <= 1e-6 * one.abs().max(other.abs()).max(1.0))
}

/// Compares the layout of a file with C gmetad's of the same name.
///
/// Two differences are meant. `num`, a number of hosts, is a GAUGE in ours; C gives it the type of
/// its sum. And the whole grid's sums of counters are counters in ours, as those of each source;
/// C makes GAUGEs of them, which then show the count and not the rate.
fn compare_layout(inside: &Path, c: &Path, ours: &Path) {
    let (mut c, ours) = (layout(&c.join(inside)), layout(&ours.join(inside)));
    if let Some(kind) = c.get_mut("ds[num].type") {
        *kind = "\"GAUGE\"".into();
    }
    if inside.starts_with("__SummaryInfo__") {
        let kind = match inside.file_stem().and_then(|stem| stem.to_str()) {
            Some("a_counter") => "\"COUNTER\"",
            Some("a_derivative") => "\"DERIVE\"",
            _ => "\"GAUGE\"",
        };
        c.insert("ds[sum].type".into(), kind.into());
    }
    assert_eq!(c, ours, "{}: C gmetad's left, ours right", inside.display());
}

#[test]
fn the_files_equal_those_of_c_gmetad() {
    let name = "the_files_equal_those_of_c_gmetad";
    if !available(name, &["gmond", "gmetric", "gmetad", "rrdtool"]) {
        return;
    }
    let gmond = Gmond::start("Real Cluster", "node1");
    gmond.announce(&[
        Announced::new("a_float", "float", "3.25"),
        Announced::new("a_double", "double", "-1234.5"),
        Announced::new("an_int8", "int8", "-7"),
        Announced::new("a_uint32", "uint32", "4294967295"),
        Announced::new("a_counter", "uint32", "1000").slope("positive"),
        Announced::new("a_derivative", "int32", "12").slope("derivative"),
        Announced::new("a_constant", "uint16", "5").slope("zero"),
        Announced::new("a_falling", "float", "1.5").slope("negative"),
        Announced::new("a_string", "string", "no file"),
        // As many decimals as node1's: C rounds the sum to those of the one that comes first.
        Announced::new("a_float", "float", "0.25").with(&["-S", "127.0.0.2:node2"]),
        Announced::new("a_counter", "uint32", "50")
            .slope("positive")
            .with(&["-S", "127.0.0.2:node2"]),
    ]);
    let below = Gmond::start("Below", "node9");
    below.announce(&[
        Announced::new("a_float", "float", "10.75"),
        Announced::new("a_counter", "uint32", "7").slope("positive"),
    ]);
    let leaf = CGmetad::start("LeafGrid", &[("below", 1, below.port())], "");
    leaf.wait_for("/?filter=summary", "<METRICS NAME=\"a_counter\"");
    let sources = [("real", 1, gmond.port()), ("leaf", 2, leaf.xml_port())];
    let c = CGmetad::start("TestGrid", &sources, "");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let our_root = folder.path().join("rrds");
    let conf = shared_conf("TestGrid", &sources, &our_root);
    let ours = Gmetad::start(folder.path(), &conf);

    let expected = [
        "Real Cluster/node1/a_float.rrd",
        "Real Cluster/node2/a_counter.rrd",
        "Real Cluster/__SummaryInfo__/a_float.rrd",
        "LeafGrid/__SummaryInfo__/a_counter.rrd",
        "__SummaryInfo__/a_constant.rrd",
    ];
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (c, ours) = (tree(&c.rrd_root()), tree(&our_root));
        if c == ours && expected.iter().all(|file| c.contains(Path::new(file))) {
            break;
        }
        let apart: Vec<_> = c.symmetric_difference(&ours).collect();
        assert!(
            Instant::now() < deadline,
            "only in one tree: {apart:?}; all of ours: {ours:?}"
        );
        std::thread::sleep(LOOK_AGAIN);
    }
    let files = tree(&our_root);
    for inside in &files {
        assert!(!inside.ends_with("a_string.rrd"), "{}", inside.display());
        compare_layout(inside, &c.rrd_root(), &our_root);
    }
    compare_values(&files, &c.rrd_root(), &our_root);

    // Nothing of it made either of them complain.
    assert!(!ours.log().contains("ERROR"), "{}", ours.log());
}

/// Waits until every file shares enough rows with its counterpart, and every shared row agrees.
///
/// The files of the whole grid have a row each 15 s: of them the last values are compared.
fn compare_values(files: &BTreeSet<PathBuf>, c: &Path, ours: &Path) {
    let deadline = Instant::now() + PATIENCE;
    for inside in files {
        let (c, ours) = (c.join(inside), ours.join(inside));
        loop {
            let done = if inside.starts_with("__SummaryInfo__") {
                agree(&last_values(&c), &last_values(&ours))
            } else {
                // C counts hosts with a counter where it counts events with one: a rate of 0.
                let columns = if is_gauge(&c) { 2 } else { 1 };
                let (c, ours) = (rows(&c), rows(&ours));
                let shared: Vec<_> = c
                    .iter()
                    .filter_map(|(time, values)| Some((time, values, ours.get(time)?)))
                    .collect();
                for (time, one, other) in &shared {
                    let (one, other) = (first(one, columns), first(other, columns));
                    assert!(
                        agree(one, other),
                        "{} at {time}: {one:?} in C gmetad's, {other:?} in ours",
                        inside.display()
                    );
                }
                shared.len() >= SHARED_ROWS
            };
            if done {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "{}: last in C gmetad's {:?}, in ours {:?}; rows {:?} and {:?}",
                inside.display(),
                last_values(&c),
                last_values(&ours),
                rows(&c),
                rows(&ours)
            );
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// Seconds from one document of the clockwork to the next.
const SLOT: u64 = 3;

/// How many there are, each with other values.
const SLOTS: u64 = 26;

/// Metrics of the clockwork: name, type, slope.
const METRICS: [(&str, &str, &str); 10] = [
    ("gauge", "float", "both"),
    ("nan_gauge", "double", "both"),
    ("rare", "float", "both"),
    ("gone_for_long", "int16", "both"),
    ("counter", "uint32", "positive"),
    ("wraps", "uint32", "positive"),
    ("falls_back", "uint32", "positive"),
    ("nan_counter", "double", "positive"),
    ("derivative", "int32", "derivative"),
    ("ends", "float", "both"),
];

/// A metric's value in that slot, if it is there at all.
fn in_slot(metric: &str, slot: u64) -> Option<String> {
    Some(match metric {
        "gauge" => format!("{}.25", slot * slot % 97),
        "nan_gauge" if matches!(slot % 7, 2 | 5 | 6) => "nan".into(),
        "nan_gauge" => format!("{}", slot * 3),
        "rare" if slot % 3 == 1 => return None,
        "rare" => format!("{slot}.5"),
        // Longer than a heartbeat.
        "gone_for_long" if slot % 9 > 4 => return None,
        "gone_for_long" => format!("-{slot}"),
        "counter" => (slot * 1000).to_string(),
        "wraps" => ((4_294_960_000 + slot * 1500) % (1 << 32)).to_string(),
        "falls_back" => (slot % 8 * 700).to_string(),
        "nan_counter" if slot % 6 == 3 => "nan".into(),
        "nan_counter" => (slot * slot * 10).to_string(),
        "derivative" => (100 - 40 * (slot as i64 % 5)).to_string(),
        "ends" if slot > 15 => return None,
        "ends" => slot.to_string(),
        other => unreachable!("{other}"),
    })
}

/// A gmond for several who poll it, each on a port of its own. Its clock goes on when the test says so:
/// however late one of them may be at times, none misses a value.
struct Clockwork {
    /// The time of the first values, in the past, so that none is ahead of this machine's clock.
    first: u64,
    /// `None` until all have polled once; until then there is nothing to store.
    now: Mutex<(Option<u64>, Vec<bool>)>,
}

impl Clockwork {
    fn new(first: u64, polled_by: usize) -> Arc<Self> {
        Arc::new(Clockwork {
            first,
            now: Mutex::new((None, vec![false; polled_by])),
        })
    }

    /// The port for one of them.
    fn source(self: &Arc<Self>, number: usize) -> clockwork::Clockwork {
        let this = Arc::clone(self);
        clockwork::Clockwork::start(move |_| this.answer(number))
    }

    fn answer(&self, number: usize) -> Vec<u8> {
        let mut now = self.now.lock().expect("nobody panics");
        let (slot, seen) = &mut *now;
        let document = clockwork_document(self.first, *slot);
        seen[number] = true;
        document
    }

    /// Whether all have what it says now.
    fn is_seen(&self) -> bool {
        self.now
            .lock()
            .expect("nobody panics")
            .1
            .iter()
            .all(|it| *it)
    }

    /// Its clock goes on, unless it has come to its end. The new time.
    fn goes_on(&self) -> Option<u64> {
        let mut now = self.now.lock().expect("nobody panics");
        let next = now.0.map_or(0, |slot| slot + 1);
        if next == SLOTS {
            return None;
        }
        now.0 = Some(next);
        now.1.fill(false);
        Some(self.first + next * SLOT)
    }
}

fn clockwork_document(first: u64, slot: Option<u64>) -> Vec<u8> {
    let time = slot.map_or(first - SLOT, |slot| first + slot * SLOT);
    let mut hosts = String::new();
    for (host, is_there) in [
        ("steady", true),
        ("visitor", slot.is_some_and(|it| it % 7 < 4)),
    ] {
        let Some(slot) = slot.filter(|_| is_there) else {
            continue;
        };
        let _ = write!(
            hosts,
            "<HOST NAME=\"{host}\" IP=\"127.0.0.1\" REPORTED=\"{time}\" TN=\"0\" TMAX=\"20\" \
             DMAX=\"0\" LOCATION=\"\" GMOND_STARTED=\"1\">"
        );
        for (name, ty, slope) in METRICS {
            if let Some(value) = in_slot(name, slot) {
                let _ = write!(
                    hosts,
                    "<METRIC NAME=\"{name}\" VAL=\"{value}\" TYPE=\"{ty}\" UNITS=\"\" TN=\"0\" \
                     TMAX=\"60\" DMAX=\"0\" SLOPE=\"{slope}\" SOURCE=\"gmond\"/>"
                );
            }
        }
        hosts += "</HOST>\n";
    }
    let cluster = format!(
        "<CLUSTER NAME=\"c\" LOCALTIME=\"{time}\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n{hosts}</CLUSTER>\n"
    );
    document("gmond", &cluster)
}

/// Every row of each archive in the time of the clockwork, as rrdtool prints it.
fn every_row(file: &Path, first: u64) -> Vec<String> {
    let (start, end) = (first - 200, first + SLOTS * SLOT + 100);
    let mut rows = Vec::new();
    for resolution in ["1", "4", "40"] {
        let text = rrdtool(
            &["fetch"],
            file,
            &[
                "AVERAGE",
                "-r",
                resolution,
                "-s",
                &start.to_string(),
                "-e",
                &end.to_string(),
            ],
        );
        let lines = text.lines().filter(|line| line.contains(": "));
        // What is not known has a sign or not, by who has computed it.
        rows.extend(lines.map(|line| format!("{resolution} {}", line.replace("-nan", "nan"))));
    }
    rows
}

#[test]
fn every_row_equals_that_of_c_gmetad_for_any_input() {
    let name = "every_row_equals_that_of_c_gmetad_for_any_input";
    if !available(name, &["gmetad", "rrdtool", "rrdcached"]) {
        return;
    }
    let rrdcached = Rrdcached::start();
    let ways = [
        String::new(),
        "rrd {\n write_timeout 7\n write_jitter 5\n}\n".into(),
        format!("rrdcached_address unix:{}\n", rrdcached.socket().display()),
    ];
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("it is after 1970").as_secs();
    // Aligned, so that no row of the coarsest archive is cut by the beginning of all this.
    let first = (now - 10 * SLOTS * SLOT).next_multiple_of(SLOT);
    let clockwork = Clockwork::new(first, ways.len() + 1);
    let of_c = clockwork.source(ways.len());
    let c = CGmetad::start("Grid", &[("c", 1, of_c.port())], "");
    let ours: Vec<_> = (ways.iter().enumerate())
        .map(|(number, way)| {
            let source = clockwork.source(number);
            let sources = [("c", 1, source.port())];
            let folder = tempfile::tempdir().expect("a temporary folder");
            let root = folder.path().join("rrds");
            let conf = shared_conf("Grid", &sources, &root) + way;
            let gmetad = Gmetad::start(folder.path(), &conf);
            (gmetad, root, folder, source)
        })
        .collect();
    let theirs = c.rrd_root().join("c");
    let last = |file: &Path| {
        let last = Command::new("rrdtool").arg("last").arg(file).output();
        text(&last.expect("rrdtool starts").stdout)
            .trim()
            .parse()
            .unwrap_or(0_u64)
    };
    wait_until("the first polls", || clockwork.is_seen());
    while let Some(time) = clockwork.goes_on() {
        // A poll of C gmetad's may come to nothing, on a busy machine.
        wait_until("C gmetad to write, and ours to read", || {
            clockwork.is_seen() && last(&theirs.join("steady/gauge.rrd")) == time
        });
    }
    // What ours have read last, they have written when they end.
    for (.., source) in &ours {
        source.wait_for_polls(2);
    }
    for ((gmetad, root, ..), way) in ours.into_iter().zip(&ways) {
        assert!(!gmetad.log().contains("ERROR"), "{}", gmetad.log());
        assert!(gmetad.end().success());
        for host in ["steady", "visitor"] {
            for (metric, ..) in METRICS {
                let file = format!("{host}/{metric}.rrd");
                let (theirs, ours) = (theirs.join(&file), root.join("c").join(&file));
                if way.starts_with("rrdcached") {
                    wait_until(&format!("rrdcached to write {file}"), || {
                        rrdcached.flush(&ours)
                    });
                }
                assert_eq!(last(&theirs), last(&ours), "{way}{file}");
                compare_every_row(&theirs, &ours, first, &format!("{way}{file}"));
            }
        }
    }
}

fn compare_every_row(theirs: &Path, ours: &Path, first: u64, what: &str) {
    let (theirs, ours) = (every_row(theirs, first), every_row(ours, first));
    assert_eq!(theirs.len(), ours.len(), "{what}");
    assert!(theirs.iter().any(|row| !row.ends_with("nan")), "{what}");
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(theirs, ours, "{what}: C gmetad's and ours");
    }
}
