//! Damaged round-robin files, and other things with the name of one: nothing ends or blocks
//! the process, and each affects only itself.
#![cfg(feature = "rrd")]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::peers::{FakeSource, Script, available, document};
use crate::support::web::get;
use crate::support::{Gmetad, full_name, rrd_info, wait_until};
use gmetad_rrd::exercise_file;
use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{geteuid, mkfifo};
use tempfile::tempdir;

/// Files of all kinds that there are: what gmetad creates, and what only rrdtool does.
const KINDS: [(&str, &[&str]); 6] = [
    (
        "host",
        &[
            "DS:sum:GAUGE:80:U:U",
            "RRA:AVERAGE:0.5:1:20",
            "RRA:AVERAGE:0.5:4:12",
        ],
    ),
    (
        "sums",
        &[
            "DS:sum:COUNTER:80:U:U",
            "DS:num:GAUGE:80:U:U",
            "RRA:AVERAGE:0.5:1:20",
            "RRA:AVERAGE:0.5:7:9",
        ],
    ),
    (
        "extremes",
        &[
            "DS:sum:DERIVE:80:0:1000",
            "RRA:MIN:0.5:1:20",
            "RRA:MAX:0.25:4:12",
            "RRA:LAST:0.9:7:9",
        ],
    ),
    (
        "aberrant",
        &[
            "DS:sum:GAUGE:80:U:U",
            "RRA:AVERAGE:0.5:1:30",
            "RRA:HWPREDICT:30:0.1:0.0035:6",
        ],
    ),
    (
        "smoothed",
        &[
            "DS:sum:ABSOLUTE:80:U:U",
            "RRA:MHWPREDICT:30:0.1:0.0035:6:2",
            "RRA:SEASONAL:6:0.1:1:smoothing-window=0.4",
        ],
    ),
    (
        "computed",
        &[
            "DS:a:DCOUNTER:80:U:U",
            "DS:b:DDERIVE:80:U:U",
            "DS:c:COMPUTE:a,b,+,2,MAX,DUP,UN,EXC,1,IF",
            "RRA:AVERAGE:0.5:1:20",
        ],
    ),
];

/// Where a child of this test finds its file, and where it notes what it does.
const CHILD: &str = "GMETAD_TEST_DAMAGE";

fn create(folder: &Path, name: &str, definitions: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let output = Command::new("rrdtool")
        .arg("create")
        .arg(&path)
        .args(["--start", "1700000003", "--step", "10"])
        .args(definitions)
        .output()
        .expect("rrdtool starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    path
}

/// Where the values of archives begin; damage there is harmless.
fn header_len(file: &Path) -> usize {
    let said = rrd_info(file, "header_size");
    said.expect("rrdtool says it").parse().expect("a number")
}

/// The bytes at one place of a damaged file: at each byte one, at each number some more. All have their turn
/// at each field, in one kind of file or another.
fn damages(at: usize, kind: usize, dice: &mut u64) -> Vec<Vec<u8>> {
    let mut roll = || {
        *dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        *dice >> 16
    };
    let by_chance = roll() as u8;
    let mut all = vec![vec![[0, 1, 0x7f, 0xff, by_chance][(at + kind) % 5]]];
    if at.is_multiple_of(8) {
        let numbers = [
            0,
            1,
            2,
            7,
            28,
            29,
            1 << 31,
            u64::from(u32::MAX),
            1 << 61,
            1 << 63,
            u64::MAX,
        ];
        let floats = [f64::NAN, f64::INFINITY, -1.0, 0.5, 1e300].map(f64::to_bits);
        let mut words: Vec<_> = (numbers.iter().chain(&floats))
            .map(|number| number.to_ne_bytes().to_vec())
            .collect();
        words.push(roll().to_ne_bytes().to_vec());
        words.push(vec![0; 512]);
        words.push(vec![b'A'; 40]);
        all.extend(words.into_iter().skip((at / 8 + kind) % 3).step_by(3));
    }
    all
}

/// A child's work: each damage to its file in turn; how many were taken for sound.
fn damage_all(file: &Path) -> usize {
    let kind = (KINDS.iter())
        .position(|(kind, _)| file.ends_with(kind))
        .expect("a kind of file");
    let whole = fs::read(file).expect("our own file");
    let header = header_len(file);
    let note = fs::File::create(file.with_extension("note")).expect("our own folder");
    let damaged = fs::File::options()
        .write(true)
        .open(file)
        .expect("our own file");
    let (mut dice, mut sound) = (7, 0);
    for at in 0..header {
        for (number, bytes) in damages(at, kind, &mut dice).iter().enumerate() {
            let line = format!("byte {at}, damage {number:2}\n");
            note.write_all_at(line.as_bytes(), 0).expect("our own file");
            let bytes = &bytes[..bytes.len().min(whole.len() - at)];
            // In place: a file that is made anew each time would keep the disk busy.
            damaged.write_all_at(&whole, 0).expect("our own file");
            damaged
                .write_all_at(bytes, at as u64)
                .expect("our own file");
            sound += usize::from(exercise_file(file));
        }
    }
    damaged.write_all_at(&whole, 0).expect("our own file");
    for len in (0..whole.len()).rev().step_by(13) {
        damaged.set_len(len as u64).expect("our own file");
        assert!(!exercise_file(file), "cut to {len} bytes");
    }
    sound
}

#[test]
fn no_damage_to_a_header_ends_the_process() {
    let name = "no_damage_to_a_header_ends_the_process";
    if let Some(file) = std::env::var_os(CHILD) {
        let sound = damage_all(Path::new(&file));
        println!("{sound} taken for sound");
        return;
    }
    if !available(name, &["rrdtool"]) {
        return;
    }
    let folder = tempdir().expect("a temporary folder");
    let this = std::env::current_exe().expect("this program");
    let in_program = full_name(module_path!(), name);
    let children: Vec<_> = KINDS
        .iter()
        .map(|(kind, definitions)| {
            let file = create(folder.path(), kind, definitions);
            let copy = folder.path().join(format!("{kind}.copy"));
            fs::copy(&file, &copy).expect("our own folder");
            assert!(exercise_file(&copy), "{kind}: a whole file is sound");
            let child = Command::new(&this)
                .args(["--exact", &in_program, "--nocapture"])
                .env(CHILD, &file)
                .stdout(Stdio::piped())
                .spawn();
            (file, child.expect("this program starts"))
        })
        .collect();
    for (file, child) in children {
        let output = child.wait_with_output().expect("our own child");
        let said = String::from_utf8_lossy(&output.stdout);
        // Without the line, the child has run no test.
        assert!(
            output.status.success() && said.contains("taken for sound"),
            "{}: {}, signal {:?}, at {}",
            file.display(),
            output.status,
            output.status.signal(),
            crate::support::read(&file.with_extension("note"))
        );
    }
}

/// What is damaged in a file: a name, where, and with what.
fn damages_in_the_field() -> Vec<(String, usize, Vec<u8>)> {
    let mut all = vec![("zeros".to_owned(), 512, vec![0; 512])];
    for at in [24, 32, 40, 280, 400, 520, 640, 760] {
        all.push((format!("zeros{at}"), at, vec![0; 8]));
        all.push((format!("ones{at}"), at, vec![0xff; 8]));
    }
    all
}

/// A cluster with a metric of each of those names, and two more.
fn cluster_at(now: u64) -> Vec<u8> {
    let damaged = damages_in_the_field().into_iter().map(|(name, ..)| name);
    cluster_of(damaged.chain(["good1".into(), "good2".into()]), now)
}

fn cluster_of(names: impl Iterator<Item = String>, now: u64) -> Vec<u8> {
    let mut metrics = String::new();
    for name in names {
        let _ = write!(
            metrics,
            "<METRIC NAME=\"{name}\" VAL=\"{}\" TYPE=\"uint32\" TN=\"0\" TMAX=\"60\" \
             SLOPE=\"both\"/>",
            now % 100
        );
    }
    let cluster = format!(
        "<CLUSTER NAME=\"c\" LOCALTIME=\"{now}\">\n<HOST NAME=\"h\" REPORTED=\"{now}\" TN=\"0\" \
         TMAX=\"20\">{metrics}</HOST>\n</CLUSTER>\n"
    );
    document("gmond", &cluster)
}

/// The archives of C gmetad.
const ARCHIVES: [&str; 5] = [
    "RRA:AVERAGE:0.5:1:5856",
    "RRA:AVERAGE:0.5:4:20160",
    "RRA:AVERAGE:0.5:40:52704",
    "RRA:AVERAGE:0.5:1440:1",
    "RRA:AVERAGE:0.5:2880:1",
];

fn last(file: &Path) -> u64 {
    let output = Command::new("rrdtool").arg("last").arg(file).output();
    let text = String::from_utf8_lossy(&output.expect("rrdtool starts").stdout).into_owned();
    text.trim().parse().unwrap_or(0)
}

/// One question to the socket, and the first line of its answer.
fn ask(socket: &Path, question: &str) -> String {
    let stream = UnixStream::connect(socket).expect("it listens");
    stream
        .set_read_timeout(Some(crate::support::DEADLINE))
        .expect("a socket");
    (&stream).write_all(question.as_bytes()).expect("it reads");
    let mut line = String::new();
    BufReader::new(stream)
        .read_line(&mut line)
        .expect("it answers");
    line
}

fn broken(gmetad: &Gmetad) -> u64 {
    let status = get(gmetad.interactive(), "/status").json();
    status["files"]["broken"].as_u64().expect("a number")
}

#[test]
fn damaged_files_affect_no_others_until_they_are_replaced() {
    let name = "damaged_files_affect_no_others_until_they_are_replaced";
    if !available(name, &["rrdtool"]) {
        return;
    }
    for options in ["", " write_timeout 1\n write_jitter 0\n"] {
        survive(options);
    }
}

/// With these options of the section rrd.
fn survive(options: &str) {
    let source = FakeSource::start(Script::Clock(cluster_at));
    let folder = tempdir().expect("a temporary folder");
    let host = folder.path().join("rrds/c/h");
    fs::create_dir_all(&host).expect("our own folder");
    let start = ["DS:sum:GAUGE:120:U:U"];
    let whole = create(&host, "good1.rrd", &[&start[..], &ARCHIVES].concat());
    fs::copy(&whole, host.join("good2.rrd")).expect("our own folder");
    let whole = fs::read(&whole).expect("our own file");
    let damages = damages_in_the_field();
    let path = |name: &str| host.join(format!("{name}.rrd"));
    for (name, at, bytes) in &damages {
        let mut content = whole.clone();
        content[*at..at + bytes.len()].copy_from_slice(bytes);
        fs::write(path(name), &content).expect("our own folder");
    }
    let socket = folder.path().join("socket");
    let conf = format!(
        "data_source \"s\" 1 127.0.0.1:{}\nrrd {{\n listen \"{}\"\n{options}}}\n",
        source.port(),
        socket.display()
    );
    // At every start.
    for start in 0..2 {
        let gmetad = Gmetad::start(folder.path(), &conf);
        let begun = last(&path("good2"));
        wait_until("the files that are whole to be written", || {
            let good = ["good1", "good2"];
            good.iter().all(|name| last(&path(name)) > begun)
        });
        wait_until("all damaged files to be counted", || {
            broken(&gmetad) == damages.len() as u64
        });
        source.wait_for_polls(3);
        let questions = [("INFO", ""), ("FIRST", " 0"), ("FETCH", " AVERAGE")];
        // What waits has a last value.
        let last = options.is_empty().then_some(("LAST", ""));
        for (command, more) in questions.into_iter().chain(last) {
            let question = format!("{command} c/h/zeros.rrd{more}");
            let answer = ask(&socket, &format!("{question}\n"));
            assert!(answer.starts_with("-1 "), "{question}: {answer}");
            assert!(answer.contains("it is damaged"), "{question}: {answer}");
        }
        let log = gmetad.log();
        for (name, ..) in &damages {
            let path = path(name).display().to_string();
            let lines = log.lines().filter(|line| line.contains(&path)).count();
            assert!(lines <= 1, "{name}: {log}");
        }
        assert!(log.contains("it is damaged at byte"), "{log}");
        if start == 1 {
            heal(&gmetad, &path, &whole, damages.len() as u64);
        }
        assert!(gmetad.end().success());
    }
}

/// One is replaced and one removed, while gmetad runs.
fn heal(gmetad: &Gmetad, path: &dyn Fn(&str) -> PathBuf, whole: &[u8], broken_before: u64) {
    fs::write(path("zeros24"), whole).expect("our own folder");
    fs::remove_file(path("ones24")).expect("our own folder");
    wait_until("two files to be written again", || {
        broken(gmetad) == broken_before - 2
    });
    wait_until("their values", || {
        ["zeros24", "ones24"]
            .iter()
            .all(|name| last(&path(name)) > 1_700_000_003)
    });
}

/// What may lie where a file should be: a name, and what is logged of it.
const SPECIAL: [(&str, &str); 6] = [
    ("fifo", "it is a FIFO, not a regular file; remove it"),
    ("socket", "it is a socket, not a regular file; remove it"),
    ("folder", "it is a directory, not a regular file; remove it"),
    ("tofifo", "it is a FIFO, not a regular file; remove it"),
    ("dangling", "it is a link to a missing file: No such file"),
    (
        "loop",
        "it cannot be opened: Too many symbolic links encountered",
    ),
];
const DEVICE: (&str, &str) = ("device", "it is a character device, not a regular file");

fn special_cluster_at(now: u64) -> Vec<u8> {
    let special = SPECIAL.iter().chain([&DEVICE]).map(|(name, _)| *name);
    let names = special.chain(["good", "linked"]).map(String::from);
    cluster_of(names, now)
}

/// Puts all of them into a host's folder, and a link to a file beside it; what they are.
fn put_special_files(host: &Path) -> Vec<(&'static str, &'static str)> {
    let path = |name: &str| host.join(format!("{name}.rrd"));
    mkfifo(&path("fifo"), Mode::S_IRWXU).expect("our own folder");
    drop(UnixListener::bind(path("socket")).expect("our own folder"));
    fs::create_dir(path("folder")).expect("our own folder");
    for (name, to) in [
        ("tofifo", "fifo.rrd"),
        ("dangling", "nothing"),
        ("loop", "loop.rrd"),
        ("linked", "../elsewhere"),
    ] {
        symlink(to, path(name)).expect("our own folder");
    }
    let made = create(host, "made", &["DS:sum:GAUGE:120:U:U", ARCHIVES[0]]);
    fs::rename(made, host.join("../elsewhere")).expect("our own folder");
    let mut all = SPECIAL.to_vec();
    let null = makedev(1, 3);
    match mknod(&path("device"), SFlag::S_IFCHR, Mode::S_IRWXU, null) {
        Ok(()) => all.push(DEVICE),
        Err(Errno::EPERM) => eprintln!("no device: a sandbox, or user {}", geteuid()),
        Err(errno) => panic!("a device: {errno}"),
    }
    all
}

#[test]
fn a_special_file_in_place_of_an_rrd_blocks_nothing_and_is_reported_with_a_remedy() {
    let name = "a_special_file_in_place_of_an_rrd_blocks_nothing_and_is_reported_with_a_remedy";
    if !available(name, &["rrdtool"]) {
        return;
    }
    for options in ["", " write_timeout 1\n write_jitter 0\n"] {
        meet_special_files(options);
    }
}

/// With these options of the section rrd.
fn meet_special_files(options: &str) {
    let source = FakeSource::start(Script::Clock(special_cluster_at));
    let folder = tempdir().expect("a temporary folder");
    let host = folder.path().join("rrds/c/h");
    fs::create_dir_all(&host).expect("our own folder");
    let special = put_special_files(&host);
    let path = |name: &str| host.join(format!("{name}.rrd"));
    let socket = folder.path().join("socket");
    let conf = format!(
        "data_source \"s\" 1 127.0.0.1:{}\nrrd {{\n listen \"{}\"\n{options}}}\n",
        source.port(),
        socket.display()
    );
    let gmetad = Gmetad::start(folder.path(), &conf);
    wait_until("all special files to be counted", || {
        broken(&gmetad) == special.len() as u64
    });
    // All the others go on, and go on again.
    for _ in 0..2 {
        let (good, linked) = (last(&path("good")), last(&path("linked")));
        wait_until("the files to be written", || {
            last(&path("good")) > good && last(&path("linked")) > linked
        });
    }
    for (name, said) in &special {
        let file = path(name).display().to_string();
        let lines = |gmetad: &Gmetad| {
            let log = gmetad.log();
            let lines = log.lines().filter(|line| line.contains(&file));
            lines.map(String::from).collect::<Vec<_>>()
        };
        wait_until("a line", || !lines(&gmetad).is_empty());
        let lines = lines(&gmetad);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(said), "{lines:?}");
        for command in ["INFO", "FIRST"] {
            let answer = ask(&socket, &format!("{command} c/h/{name}.rrd 0\n"));
            assert!(answer.starts_with("-1 "), "{command} {name}: {answer}");
        }
    }
    assert!(path("linked").is_symlink(), "a link stays one");
    fs::remove_file(path("fifo")).expect("our own folder");
    wait_until("a file in place of the FIFO", || last(&path("fifo")) > 0);
    assert!(gmetad.end().success());
}
