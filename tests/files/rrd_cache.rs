//! Samples that wait in memory: they get into their files all the same, also after a crash.
#![cfg(feature = "rrd")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::support::clockwork::{Clockwork, rows, rrdtool};
use crate::support::small_disk::{fill, with_a_small_disk};
use crate::support::stores::Rrdcached;
use crate::support::web::get;
use crate::support::{Gmetad, full_name, wait_until};
use gmetad_rrd::{JournalSample, journal_samples};
use nix::sys::signal::Signal;
use tempfile::TempDir;

const T0: u32 = 1_700_000_000;
const METRICS: u32 = 40;

/// What a metric has at that time.
fn value(metric: u32, time: u32) -> u32 {
    (time - T0) * METRICS + metric
}

/// A gmond whose clock goes on a second with each poll, and whose values tell the time.
fn clockwork() -> Clockwork {
    Clockwork::start(|polls| document(T0 + 1 + polls))
}

fn document(time: u32) -> Vec<u8> {
    let mut metrics = String::new();
    for metric in 0..METRICS {
        let value = value(metric, time);
        let _ = write!(
            metrics,
            "<METRIC NAME=\"m{metric}\" VAL=\"{value}\" TYPE=\"uint32\" UNITS=\"\" TN=\"0\" \
             TMAX=\"60\" DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\"/>"
        );
    }
    let cluster = format!(
        "<CLUSTER NAME=\"c\" LOCALTIME=\"{time}\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n<HOST \
         NAME=\"h\" IP=\"127.0.0.1\" REPORTED=\"{time}\" TN=\"0\" TMAX=\"20\" DMAX=\"0\" \
         LOCATION=\"\" GMOND_STARTED=\"1\">\n{metrics}</HOST>\n</CLUSTER>\n"
    );
    crate::support::peers::document("gmond", &cluster)
}

fn directives(source: &Clockwork, journal: &Path, more: &str) -> String {
    format!(
        "data_source \"s\" 1 127.0.0.1:{}\nRRAs \"RRA:AVERAGE:0:1:5000\"\nrrd {{\n journal_dir \
         \"{}\"\n{more}\n}}",
        source.port(),
        journal.display()
    )
}

fn segments(journal: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(journal).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "journal"));
    paths.sort();
    paths
}

fn journaled(journal: &Path) -> Vec<JournalSample> {
    // A gmetad that runs may have removed one by now.
    let bytes = segments(journal).into_iter().flat_map(fs::read);
    bytes.flat_map(|bytes| journal_samples(&bytes)).collect()
}

/// Every value that a file has, by time.
fn values(file: &Path, until: u32) -> BTreeMap<u32, f64> {
    rows(file, T0, until)
}

/// A number that differs from run to run, and is told in case the test fails.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    let given = std::env::var("GMETAD_SEED").ok();
    let seed = given.map_or_else(
        || RandomState::new().hash_one(0) | 1,
        |it| it.parse().unwrap(),
    );
    println!("GMETAD_SEED={seed}");
    seed
}

#[test]
fn held_updates_are_written_at_exit() {
    if !crate::support::peers::available("held_updates_are_written_at_exit", &["rrdtool"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("journal");
    let source = clockwork();
    let directives = directives(&source, &journal, " write_timeout 300");
    let gmetad = Gmetad::start(folder.path(), &directives);
    wait_until("a journal", || !journaled(&journal).is_empty());
    source.wait_for_polls(2);
    let file = folder.path().join("rrds/c/h/m7.rrd");
    wait_until("a file for what waits", || file.exists());
    assert!(values(&file, T0 + source.polls()).is_empty(), "it waits");
    assert!(gmetad.end().success());
    let rows = values(&file, T0 + source.polls());
    assert!(rows.len() >= 2, "{rows:?}");
    for (time, found) in rows {
        assert_eq!(found, f64::from(value(7, time)));
    }
    assert!(segments(&journal).is_empty(), "nothing is left");
}

/// With `GMETAD_KILLS=50` in the environment, so many times.
#[test]
fn the_journal_survives_kills_at_any_moment() {
    if !crate::support::peers::available("the_journal_survives_kills_at_any_moment", &["rrdtool"]) {
        return;
    }
    let kills = std::env::var("GMETAD_KILLS").map_or(5, |it| it.parse().unwrap());
    let mut random = seed();
    let mut below = |limit: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % limit
    };
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("journal");
    let source = clockwork();
    // So short that some files are being written, some wait, and segments come and go.
    let directives = directives(&source, &journal, " write_timeout 2\n write_jitter 3");
    let mut seen = BTreeMap::new();
    let mut killed = 0;
    // On a busy machine some are killed before they have written anything.
    while killed < kills || seen.len() as u32 <= 4 * METRICS * kills {
        let mut gmetad = Gmetad::start(folder.path(), &directives);
        source.wait_for_polls(1 + below(4) as u32);
        thread::sleep(Duration::from_millis(below(700)));
        gmetad.signal(Signal::SIGKILL);
        gmetad.wait();
        killed += 1;
        for JournalSample { path, time, value } in journaled(&journal) {
            seen.insert((path, time), value);
        }
    }
    // The end, too, may cut a frame in two.
    if let Some(last) = segments(&journal).last() {
        let length = fs::metadata(last).unwrap().len();
        let file = fs::OpenOptions::new().append(true).open(last).unwrap();
        (&file).write_all(&[200, 0, 0, 0, 1, 2, 3, 4, 5]).unwrap();
        assert_eq!(file.metadata().unwrap().len(), length + 9);
    }
    let gmetad = Gmetad::start(folder.path(), &directives);
    source.wait_for_polls(1);
    let log = gmetad.log_file();
    assert!(gmetad.end().success());
    let log = fs::read_to_string(log).unwrap();
    assert!(!log.contains("damaged"), "{log}");
    assert!(segments(&journal).is_empty(), "{log}");

    let seconds = source.polls();
    let mut checked = 0;
    for metric in 0..METRICS {
        let path = format!("c/h/m{metric}.rrd");
        let rows = values(&folder.path().join("rrds").join(&path), T0 + seconds);
        let wanted = seen.range((path.clone(), 0)..=(path.clone(), u32::MAX));
        for ((_, time), text) in wanted {
            // A second without a sample of its own would have the next one's value.
            assert_eq!(
                rows.get(time),
                Some(&text.parse().unwrap()),
                "{path} {time}"
            );
            assert_eq!(*text, value(metric, *time).to_string());
            checked += 1;
        }
    }
    assert!(checked > METRICS * kills);
    println!("{checked} values of {seconds} seconds, {killed} kills");
}

#[test]
fn a_journal_that_gets_space_again_has_all_updates_held_meanwhile() {
    with_a_small_disk(
        "a_journal_that_gets_space_again_has_all_updates_held_meanwhile",
        &full_name(module_path!(), "journal_on_a_full_disk"),
    );
}

#[test]
#[ignore = "needs a disk of its own, which a_journal_that_has_room_again… gives it"]
fn journal_on_a_full_disk() {
    let disk = PathBuf::from(std::env::var_os("DISK").expect("the test that starts this"));
    let journal = disk.join("journal");
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("socket");
    let source = clockwork();
    let more = format!(" write_timeout 3000\n listen \"{}\"", socket.display());
    let directives = directives(&source, &journal, &more);
    let mut gmetad = Gmetad::start(folder.path(), &directives);
    wait_until("a journal", || !journaled(&journal).is_empty());
    let filler = fill(&disk);
    gmetad.wait_for_line("cannot be written: No space left on device");
    let healthz = || get(gmetad.interactive(), "/healthz");
    wait_until("a fault", || healthz().code == 503);
    let said = healthz().text();
    assert!(
        said.contains("the journal in journal_dir is not written"),
        "{said}"
    );
    let pending = || ask(&socket, "PENDING c/h/m7.rrd\nPING\n", "0 PONG\n");
    let values = |answer: &str| -> BTreeSet<String> {
        let lines = answer.lines().filter(|line| line.contains(':'));
        lines.map(str::to_owned).collect()
    };
    wait_until("some values", || values(&pending()).len() > 4);
    fs::remove_file(filler).unwrap();
    gmetad.wait_for_line("is written again, after");
    wait_until("all to be well", || healthz().code == 200);
    let held = values(&pending());
    // The journal is written once a second.
    source.wait_for_polls(3);
    gmetad.signal(Signal::SIGKILL);
    gmetad.wait();
    let _again = Gmetad::start(folder.path(), &directives);
    let found = values(&pending());
    assert!(held.len() > 4, "{held:?}");
    assert!(found.is_superset(&held), "{held:?} {found:?}");
}

#[test]
fn a_removed_journal_is_created_again_with_all_held_updates() {
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("journal");
    let socket = folder.path().join("socket");
    let source = clockwork();
    let more = format!(" write_timeout 3000\n listen \"{}\"", socket.display());
    let directives = directives(&source, &journal, &more);
    let mut gmetad = Gmetad::start(folder.path(), &directives);
    wait_until("a journal", || !journaled(&journal).is_empty());
    // First out of the way, where nothing new is put into it while it is emptied.
    let removed = folder.path().join("removed");
    fs::rename(&journal, &removed).unwrap();
    fs::remove_dir_all(&removed).unwrap();
    gmetad.wait_for_line("cannot be written: its newest file was removed; a crash would lose");
    gmetad.wait_for_line("is written again, after");
    let pending = || ask(&socket, "PENDING c/h/m7.rrd\nPING\n", "0 PONG\n");
    let values = |answer: &str| -> BTreeSet<String> {
        let lines = answer.lines().filter(|line| line.contains(':'));
        lines.map(str::to_owned).collect()
    };
    let held = values(&pending());
    source.wait_for_polls(3);
    gmetad.signal(Signal::SIGKILL);
    gmetad.wait();
    let _again = Gmetad::start(folder.path(), &directives);
    let found = values(&pending());
    assert!(
        !held.is_empty() && found.is_superset(&held),
        "{held:?} {found:?}"
    );
}

#[test]
fn a_journal_that_cannot_be_opened_is_a_fault_until_it_can_and_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("journal");
    fs::write(&journal, "no folder").unwrap();
    let source = clockwork();
    let directives = directives(&source, &journal, " write_timeout 300");
    let gmetad = Gmetad::start(folder.path(), &directives);
    gmetad.wait_for_line("cannot be opened: ");
    wait_until("a fault", || {
        let healthz = get(gmetad.interactive(), "/healthz");
        healthz.code == 503 && healthz.text().contains("the journal in journal_dir")
    });
    assert_eq!(fs::read_to_string(&journal).unwrap(), "no folder");
    fs::remove_file(&journal).unwrap();
    gmetad.wait_for_line("the values held meanwhile are in it");
    wait_until("no fault", || {
        get(gmetad.interactive(), "/healthz").code == 200
    });
    wait_until("the first value in it", || {
        let first = journaled(&journal).into_iter().map(|it| it.time).min();
        first == Some(T0 + 1) || first == Some(T0 + 2)
    });
    assert_eq!(gmetad.log().matches("cannot be opened: ").count(), 1);
}

#[test]
fn a_damaged_journal_loses_only_unreadable_records_and_is_kept() {
    if !crate::support::peers::available(
        "a_damaged_journal_loses_only_unreadable_records_and_is_kept",
        &["rrdtool"],
    ) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("journal");
    let source = clockwork();
    let directives = directives(&source, &journal, " write_timeout 300");
    let mut gmetad = Gmetad::start(folder.path(), &directives);
    wait_until("two seconds in the journal", || {
        journaled(&journal).len() as u32 > METRICS * 2
    });
    gmetad.signal(Signal::SIGKILL);
    gmetad.wait();
    let good = journaled(&journal).len();
    let path = segments(&journal).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    bytes.extend_from_slice(&[255; 20]);
    fs::write(&path, &bytes).unwrap();
    let readable = journaled(&journal);
    assert!((1..good).contains(&readable.len()));
    fs::write(
        journal.join("gmetad-0000000000.journal"),
        "no journal at all",
    )
    .unwrap();

    let gmetad = Gmetad::start(folder.path(), &directives);
    gmetad.wait_for_line("gmetad-0000000000.journal is damaged");
    gmetad.wait_for_line(&format!("{} is damaged", path.display()));
    assert!(gmetad.end().success());
    for path in [&path, &journal.join("gmetad-0000000000.journal")] {
        assert!(path.with_extension("damaged").exists());
    }
    assert!(segments(&journal).is_empty());
    for JournalSample { path, time, value } in readable {
        if path.starts_with("c/h/") {
            let rows = values(&folder.path().join("rrds").join(path), time);
            assert_eq!(rows.get(&time), Some(&value.parse().unwrap()));
        }
    }
}

#[test]
fn files_are_written_when_their_timeout_has_passed() {
    if !crate::support::peers::available(
        "files_are_written_when_their_timeout_has_passed",
        &["rrdtool"],
    ) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("journal");
    let source = clockwork();
    let more = " write_timeout 1\n write_jitter 0";
    let gmetad = Gmetad::start(folder.path(), &directives(&source, &journal, more));
    let file = folder.path().join("rrds/c/h/m39.rrd");
    wait_until("a file", || file.exists());
    source.wait_for_polls(1);
    assert!(gmetad.end().success());
    let rows = values(&file, T0 + source.polls());
    let times: Vec<u32> = rows.keys().copied().collect();
    assert!(
        times.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{times:?}"
    );
    for (time, found) in rows {
        assert_eq!(found, f64::from(value(39, time)));
    }
}

/// Sends commands, and reads until the answers end so.
fn ask(socket: &Path, commands: &str, end: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream
        .set_read_timeout(Some(crate::support::DEADLINE))
        .unwrap();
    stream.write_all(commands.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while !answer.ends_with(end.as_bytes()) {
        let length = stream.read(&mut part).unwrap();
        assert_ne!(length, 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..length]);
    }
    String::from_utf8(answer).unwrap()
}

/// A gmetad that has polled at least once and written nothing; its socket.
fn waiting_gmetad(folder: &Path, source: &Clockwork) -> (Gmetad, PathBuf) {
    let socket = folder.join("socket");
    let journal = folder.join("journal");
    let more = format!(" write_timeout 300\n listen \"{}\"", socket.display());
    let gmetad = Gmetad::start(folder, &directives(source, &journal, &more));
    wait_until("a value that waits", || {
        let pending = ask(&socket, "PENDING c/h/m7.rrd\nPING\n", "0 PONG\n");
        !pending.starts_with("0 ")
    });
    (gmetad, socket)
}

#[test]
fn rrdtool_shows_updates_not_yet_written() {
    if !crate::support::peers::available("rrdtool_shows_updates_not_yet_written", &["rrdtool"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let source = clockwork();
    let (gmetad, socket) = waiting_gmetad(folder.path(), &source);
    let daemon = format!("unix:{}", socket.display());
    let path = |metric: u32| folder.path().join(format!("rrds/c/h/m{metric}.rrd"));
    // rrdtool looks for the file by itself before it asks, so it is there before its values are.
    let waiting_file = |metric: u32| {
        let file = path(metric).to_str().unwrap().to_owned();
        wait_until("a file", || Path::new(&file).exists());
        let written: u32 = rrdtool(&["last", &file]).trim().parse().unwrap();
        (file, written)
    };
    let last = |file: &str| -> u32 { rrdtool(&["last", file]).trim().parse().unwrap() };

    let (file, before) = waiting_file(0);
    rrdtool(&["flushcached", "--daemon", &daemon, &file]);
    assert!(last(&file) > before);

    let (file, before) = waiting_file(1);
    let text = rrdtool(&["lastupdate", "--daemon", &daemon, &file]);
    let (time, found) = text.lines().last().unwrap().split_once(": ").unwrap();
    let time: u32 = time.parse().unwrap();
    assert!(time > before, "{text}");
    assert_eq!(found, value(1, time).to_string());

    let (file, before) = waiting_file(2);
    let text = rrdtool(&["last", "--daemon", &daemon, &file]);
    assert!(text.trim().parse::<u32>().unwrap() > before, "{text}");
    assert_eq!(
        last(&file),
        before,
        "to know the time, nothing need be written"
    );

    let (file, before) = waiting_file(3);
    let text = rrdtool(&["info", "--daemon", &daemon, &file]);
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("last_update = "));
    assert!(line.unwrap().parse::<u32>().unwrap() > before, "{text}");
    assert!(text.contains("ds[sum].type = \"GAUGE\""), "{text}");
    assert_eq!(text, rrdtool(&["info", &file]), "as without a daemon");

    let (file, before) = waiting_file(4);
    let (start, end) = (before.to_string(), (before + 2).to_string());
    let span = ["--start", &start, "--end", &end];
    let fetch = [&["fetch", "--daemon", &daemon, &file, "AVERAGE"], &span[..]].concat();
    let wanted = format!("{}: {:.10e}", before + 1, f64::from(value(4, before + 1)));
    let (mantissa, exponent) = wanted.split_once('e').unwrap();
    let wanted = format!("{mantissa}e+{exponent:0>2}");
    let text = rrdtool(&fetch);
    assert!(text.contains(&wanted), "{wanted} in {text}");

    let (file, before) = waiting_file(5);
    let (start, end) = (before.to_string(), (before + 1).to_string());
    let definition = format!("DEF:a={file}:sum:AVERAGE");
    let image = folder.path().join("graph.png");
    let graph = [
        "graph",
        image.to_str().unwrap(),
        "--daemon",
        &daemon,
        "--start",
        &start,
        "--end",
        &end,
        &definition,
        "VDEF:last=a,LAST",
        "PRINT:last:%.0lf",
    ];
    let text = rrdtool(&graph);
    let shown: u32 = text.lines().last().unwrap().trim().parse().unwrap();
    assert!(shown >= value(5, before + 1), "{text}");

    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert!(gmetad.end().success());
    assert!(!socket.exists(), "it goes with the daemon");
}

#[test]
fn the_socket_answers_as_rrdcached_does() {
    if !crate::support::peers::available("the_socket_answers_as_rrdcached_does", &["rrdtool"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    // Left behind by one that was killed.
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap());
    let source = clockwork();
    let (gmetad, socket) = waiting_gmetad(folder.path(), &source);
    let root = folder.path().join("rrds").canonicalize().unwrap();
    let own = root.join("own");
    fs::create_dir(&own).unwrap();
    let file = own.join("x y.rrd");
    let path = file.to_str().unwrap();
    let start = T0.to_string();
    rrdtool(&[
        "create",
        path,
        "--start",
        &start,
        "--step",
        "10",
        "DS:a:GAUGE:80:U:U",
        "DS:b:GAUGE:80:U:U",
        "RRA:AVERAGE:0.5:1:10",
    ]);
    let one = |command: &str| ask(&socket, &format!("{command}\n"), "\n");
    let (t1, t2) = (T0 + 10, T0 + 20);
    let update = format!("UPDATE own/x\\ y.rrd {t1}:1:2 {t2}:3:U");
    assert_eq!(one(&update), "0 errors, enqueued 2 value(s).\n");
    assert_eq!(
        one(&update),
        format!(
            "-1 illegal attempt to update using time {t1} when last update time is {t2} (minimum \
             one second step)\n"
        )
    );
    let pending = format!("2 updates pending\n{t1}:1:2\n{t2}:3:U\n");
    assert_eq!(ask(&socket, "PENDING own/x\\ y.rrd\n", "U\n"), pending);
    assert_eq!(one("LAST own/x\\ y.rrd"), format!("0 {t2}\n"));
    assert_eq!(rrdtool(&["last", path]).trim(), T0.to_string());
    let flush = format!("flush {}", path.replace(' ', "\\ "));
    for _ in 0..2 {
        assert_eq!(one(&flush), format!("0 Successfully flushed {path}.\n"));
    }
    assert_eq!(rrdtool(&["last", path]).trim(), t2.to_string());
    let fetch = format!("FETCH own/x\\ y.rrd AVERAGE {T0} {t2} b\nPING\n");
    let text = ask(&socket, &fetch, "0 PONG\n");
    let wanted = format!(
        "9 Success\nFlushVersion: 1\nStart: {T0}\nEnd: {}\nStep: 10\nDSCount: 1\nDSName: b\n{t1}: \
         2.00000000000000000e+00\n{t2}: nan\n{}: nan\n0 PONG\n",
        t2 + 10,
        t2 + 10
    );
    assert_eq!(text, wanted);
    let first = rrdtool(&["first", path]);
    assert_eq!(one("FIRST own/x\\ y.rrd 0"), format!("0 {first}"));
    let t3 = T0 + 30;
    let batch = format!("BATCH\nUPDATE own/x\\ y.rrd {t3}:5:6\nUPDATE own/no.rrd 1:2\nPING\n.\n");
    assert_eq!(
        ask(&socket, &batch, "here.\n"),
        format!(
            "0 Go ahead.  End with dot '.' on its own line.\n2 errors\n2 No such file: \
             {}/no.rrd\n3 Can't use 'PING' here.\n",
            folder.path().join("rrds/own").display()
        )
    );
    assert_eq!(one("FORGET own/x\\ y.rrd"), "0 Gone!\n");
    assert_eq!(
        one("FORGET own/x\\ y.rrd"),
        "-1 No such file or directory\n"
    );
    for outside in [
        "../x.rrd",
        "/etc/passwd",
        "c/../../x.rrd",
        "x.rrd",
        "c/h/m1",
        "c//x.rrd",
    ] {
        let denied = format!("-1 {outside}: Permission denied\n");
        assert_eq!(one(&format!("FLUSH {outside}")), denied);
        assert_eq!(one(&format!("UPDATE {outside} {t3}:1")), denied);
        assert_eq!(one(&format!("INFO {outside}")), denied);
    }
    let stats = ask(&socket, "STATS\n", "\n");
    assert!(stats.starts_with("9 Statistics follow\n"), "{stats}");
    assert_eq!(one("FLUSHALL"), "0 Started flush.\n");
    let waiting = root.join("c/h/m39.rrd");
    wait_until("everything to be written", || waiting.exists());
    assert!(gmetad.end().success());
    assert_eq!(
        rrdtool(&["last", path]).trim(),
        t2.to_string(),
        "it was forgotten"
    );
}

#[test]
fn a_socket_that_cannot_be_bound_is_reported_with_a_remedy() {
    let folder = TempDir::new().unwrap();
    let taken = folder.path().join("taken");
    fs::write(&taken, "precious").unwrap();
    let no_folder = folder.path().join("run/socket");
    for (socket, said) in [
        (&no_folder, "its folder does not exist"),
        (&taken, "no socket; remove it"),
    ] {
        let listen = format!("rrd {{\n listen \"{}\"\n}}", socket.display());
        let conf = crate::support::configure(folder.path(), &listen);
        let output = crate::support::gmetad()
            .arg("-fc")
            .arg(conf)
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{log}");
        assert!(log.contains(said), "{log}");
        assert!(log.contains(&socket.display().to_string()), "{log}");
    }
    assert_eq!(fs::read_to_string(&taken).unwrap(), "precious");
}

/// Connects, sends something, and waits for the first byte of the answer.
fn begin(socket: &Path, commands: &str) -> UnixStream {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream
        .set_read_timeout(Some(crate::support::DEADLINE))
        .unwrap();
    stream.write_all(commands.as_bytes()).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    stream
}

#[test]
fn a_hundred_idle_clients_do_not_keep_rrdtool_out() {
    let test = "a_hundred_idle_clients_do_not_keep_rrdtool_out";
    if !crate::support::peers::available(test, &["rrdtool"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let source = clockwork();
    let (_gmetad, socket) = waiting_gmetad(folder.path(), &source);
    let file = folder.path().join("rrds/c/h/m0.rrd");
    wait_until("a file", || file.exists());
    let file = file.to_str().unwrap();
    let before = rrdtool(&["last", file]);
    // The first has asked for something, most others for nothing, some for a part of a line.
    let first = begin(&socket, "PING\n");
    let others: Vec<UnixStream> = (0..99)
        .map(|number| {
            let mut stream = UnixStream::connect(&socket).unwrap();
            if number % 3 == 0 {
                stream.write_all(b"PIN").unwrap();
            }
            stream
        })
        .collect();
    let daemon = format!("unix:{}", socket.display());
    rrdtool(&["flushcached", "--daemon", &daemon, file]);
    assert_ne!(rrdtool(&["last", file]), before);
    // The first has waited longest: it had its answer, and then made room.
    let mut rest = Vec::new();
    (&first).read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b" PONG\n");
    drop(others);
}

#[test]
fn a_client_beyond_the_limit_waits_for_a_slot() {
    let folder = TempDir::new().unwrap();
    let source = clockwork();
    let (_gmetad, socket) = waiting_gmetad(folder.path(), &source);
    // More is answered than a socket holds, and they read no more than a byte of it.
    let many = "HELP\n".repeat(3000);
    let busy: Vec<UnixStream> = (0..32).map(|_| begin(&socket, &many)).collect();
    let mut late = UnixStream::connect(&socket).unwrap();
    late.set_read_timeout(Some(crate::support::DEADLINE))
        .unwrap();
    late.write_all(b"PING\n").unwrap();
    late.set_nonblocking(true).unwrap();
    let too_early = late.read(&mut [0; 7]).unwrap_err();
    assert_eq!(too_early.kind(), std::io::ErrorKind::WouldBlock);
    late.set_nonblocking(false).unwrap();
    drop(busy);
    let mut answer = [0; 7];
    late.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"0 PONG\n");
}

/// A gmetad whose root is a link to `real`, and its socket.
fn gmetad_with_linked_root(folder: &Path, source: &Clockwork) -> (Gmetad, PathBuf) {
    fs::create_dir(folder.join("real")).unwrap();
    symlink("real", folder.join("rrds")).unwrap();
    waiting_gmetad(folder, source)
}

#[test]
fn a_linked_root_has_two_names_and_no_link_below_leads_out() {
    let test = "a_root_that_is_a_link_has_two_names";
    if !crate::support::peers::available(test, &["rrdtool"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let source = clockwork();
    let (_gmetad, socket) = gmetad_with_linked_root(folder.path(), &source);
    let at = |path: &str| folder.path().canonicalize().unwrap().join(path);
    let one = |command: String| ask(&socket, &format!("{command}\n"), "\n");
    for (metric, root) in ["rrds", "real"].iter().enumerate() {
        let path = at(&format!("{root}/c/h/m{metric}.rrd"));
        let path = path.to_str().unwrap();
        wait_until("a file", || Path::new(path).exists());
        let before = rrdtool(&["last", path]);
        let pending = ask(&socket, &format!("PENDING {path}\nPING\n"), "0 PONG\n");
        assert!(pending.lines().count() > 2, "{pending}");
        // rrdtool follows links before it asks.
        let daemon = format!("unix:{}", socket.display());
        rrdtool(&["flushcached", "--daemon", &daemon, path]);
        assert_ne!(rrdtool(&["last", path]), before, "{path}");
    }

    fs::create_dir(at("outside")).unwrap();
    let outside = at("outside/o.rrd");
    fs::copy(at("real/c/h/m0.rrd"), &outside).unwrap();
    let bytes = fs::read(&outside).unwrap();
    symlink("../outside", at("real/out")).unwrap();
    symlink(&outside, at("real/c/h/link.rrd")).unwrap();
    let time = T0 + 1_000_000;
    for path in ["out/o.rrd", "c/h/link.rrd", "out/new.rrd"] {
        let root = folder.path().join("rrds");
        let denied = format!(
            "-1 {path}: Permission denied: a link leads out of {}\n",
            root.display()
        );
        assert_eq!(one(format!("UPDATE {path} {time}:1")), denied);
        assert_eq!(one(format!("FLUSH {path}")), denied);
        assert_eq!(one(format!("INFO {path}")), denied);
        assert_eq!(one(format!("FETCH {path} AVERAGE")), denied);
    }
    assert_eq!(fs::read(&outside).unwrap(), bytes);
}

#[test]
fn an_update_with_a_future_time_is_refused() {
    let folder = TempDir::new().unwrap();
    let source = clockwork();
    let (_gmetad, socket) = waiting_gmetad(folder.path(), &source);
    let file = folder.path().join("rrds/c/h/m0.rrd");
    wait_until("a file", || file.exists());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.unwrap().as_secs();
    let one = |command: String| ask(&socket, &format!("{command}\n"), "\n");
    let refused = |time: u64| {
        format!(
            "time {time} is more than 5 minutes ahead of this machine's clock; set the clock that is \
             wrong\n"
        )
    };
    // In 2106, after it, and soon.
    for time in [u64::from(u32::MAX), 1 << 40, now + 600] {
        let answer = one(format!("UPDATE c/h/m0.rrd {time}:1"));
        assert_eq!(answer, format!("-1 {}", refused(time)));
    }
    let batch = format!("BATCH\nUPDATE c/h/m0.rrd {}:1\n.\n", u32::MAX);
    let answer = ask(&socket, &batch, "wrong\n");
    let errors = format!("1 errors\n1 {}", refused(u32::MAX.into()));
    assert!(answer.ends_with(&errors), "{answer}");
    // The file takes others still.
    let soon = now + 240;
    assert_eq!(
        one(format!("UPDATE c/h/m0.rrd {soon}:1")),
        "0 errors, enqueued 1 value(s).\n"
    );
}

/// Answers to one command, without what is known to differ: the folder, and the sign of NaN.
fn answer_in(socket: &Path, folder: &Path, command: &str) -> String {
    let folder = folder.to_str().unwrap();
    let mut stream = UnixStream::connect(socket).unwrap();
    stream
        .set_read_timeout(Some(crate::support::DEADLINE))
        .unwrap();
    let command = command.replace("DIR", folder);
    stream
        .write_all(format!("{command}\nPING\n").as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"0 PONG\n") {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).unwrap();
        assert_ne!(length, 0, "{command}: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..length]);
    }
    let answer = String::from_utf8_lossy(&answer);
    answer.replace(folder, "DIR").replace("-nan", "nan")
}

#[test]
fn odd_requests_are_answered_as_by_a_real_rrdcached() {
    let test = "odd_requests_are_answered_as_by_a_real_rrdcached";
    if !crate::support::peers::available(test, &["rrdtool", "rrdcached"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let source = clockwork();
    let (_gmetad, ours) = waiting_gmetad(folder.path(), &source);
    let rrdcached = Rrdcached::start();
    let (theirs, own) = (TempDir::new().unwrap(), folder.path().join("rrds/own"));
    fs::create_dir(&own).unwrap();
    let start = T0.to_string();
    for folder in [&*own, theirs.path()] {
        let file = folder.join("a.rrd");
        let file = file.to_str().unwrap();
        let sources = ["DS:a:GAUGE:80:U:U", "DS:b:GAUGE:80:U:U"];
        let archive = "RRA:AVERAGE:0.5:1:10";
        let create = ["create", file, "--start", &start, "--step", "10"];
        rrdtool(&[&create[..], &sources, &[archive]].concat());
    }
    let (t1, t2) = (T0 + 10, T0 + 20);
    let fetch = format!("FETCH DIR/a.rrd AVERAGE {T0} {t2}");
    for command in [
        "PENDING DIR/a.rrd",
        "PENDING DIR/no.rrd",
        "FLUSH DIR/no.rrd",
        "FORGET DIR/no.rrd",
        "INFO DIR/no.rrd",
        "LAST DIR/no.rrd",
        "FIRST DIR/no.rrd 0",
        "FIRST DIR/a.rrd 7",
        "UPDATE DIR/no.rrd 1:2",
        "UPDATE DIR/a.rrd x",
        "UPDATE DIR/a.rrd",
        &format!("UPDATE DIR/a.rrd {t1}:1:2"),
        "PENDING DIR/a.rrd",
        "FLUSH DIR/a.rrd",
        "PENDING DIR/a.rrd",
        &fetch,
        &format!("{fetch} b a"),
        &format!("{fetch} b b"),
        "FETCH DIR/a.rrd BLAH",
        "FETCH DIR/no.rrd AVERAGE",
        "FETCH DIR/a.rrd AVERAGE x",
        "FETCH DIR/a.rrd AVERAGE 1 x",
        "PENDING",
        "FETCH",
        "BLAH",
    ] {
        let wanted = answer_in(&rrdcached.socket(), theirs.path(), command);
        assert_eq!(answer_in(&ours, &own, command), wanted, "{command}");
    }
    // rrdcached names no file, but whatever is in memory there.
    let command = format!("{fetch} a no");
    let wanted = "-1 field no not found in ";
    let theirs = answer_in(&rrdcached.socket(), theirs.path(), &command);
    assert!(theirs.starts_with(wanted), "{theirs}");
    let ours = answer_in(&ours, &own, &command);
    assert_eq!(ours, format!("{wanted}DIR/a.rrd\n0 PONG\n"));
}
