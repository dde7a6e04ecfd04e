//! A reload at SIGHUP, through the real binary: what changes, what stays, and
//! what is logged.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use crate::support::peers::{FakeSource, Script, document};
use crate::support::{Gmetad, ask, configure, gmetad, read, skipped, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, geteuid, mkfifo};
use tempfile::{TempDir, tempdir};

fn folder() -> TempDir {
    tempdir().expect("a temporary folder")
}

/// A cluster of hosts h0, h1 and so on.
fn cluster(name: &str, hosts: usize) -> Vec<u8> {
    use std::fmt::Write as _;
    let mut inside =
        format!("<CLUSTER NAME=\"{name}\" LOCALTIME=\"1\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n");
    for host in 0..hosts {
        let _ = writeln!(
            inside,
            "<HOST NAME=\"h{host}\" IP=\"10.0.0.1\" REPORTED=\"1\" TN=\"1\" TMAX=\"20\" DMAX=\"0\" \
             LOCATION=\"\" GMOND_STARTED=\"1\">\n<METRIC NAME=\"load_one\" VAL=\"1\" TYPE=\"float\" \
             UNITS=\"\" TN=\"1\" TMAX=\"60\" DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\">\n</METRIC>\n\
             </HOST>"
        );
    }
    document("gmond", &(inside + "</CLUSTER>\n"))
}

fn fake(name: &str, hosts: usize) -> FakeSource {
    FakeSource::start(Script::Serve(cluster(name, hosts)))
}

fn source(name: &str, seconds: u32, fake: &FakeSource) -> String {
    format!(
        "data_source \"{name}\" {seconds} 127.0.0.1:{}\n",
        fake.port()
    )
}

/// The interval of a source that must miss no poll. Two starts are at least a third of it apart,
/// so that a busy machine is not mistaken for a slow daemon.
const UNHURRIED: u32 = 4;

fn hosts(answer: &str) -> usize {
    answer.matches("<HOST NAME=").count()
}

/// Waits for that many more polls of each.
#[track_caller]
fn wait_for_polls_of_all(fakes: &[FakeSource], more: usize) {
    let before: Vec<usize> = fakes.iter().map(FakeSource::polls).collect();
    wait_until("polls of all of them", || {
        let mut both = fakes.iter().zip(&before);
        both.all(|(fake, before)| fake.polls() >= before + more)
    });
}

/// Writes the new configuration and reloads it; waits until all of it has been logged.
#[track_caller]
fn reload(gmetad: &Gmetad, folder: &TempDir, directives: &str, said: &str) {
    let before = gmetad.log().matches(said).count();
    configure(folder.path(), directives);
    gmetad.signal(Signal::SIGHUP);
    wait_until(&format!("\"{said}\" in the log"), || {
        gmetad.log().matches(said).count() > before
    });
}

/// The good, failed and missed polls of each source, from the status.
fn polls(gmetad: &Gmetad) -> BTreeMap<String, [u64; 3]> {
    let before = gmetad.log().len();
    gmetad.signal(Signal::SIGUSR1);
    wait_until("the status", || {
        gmetad.log()[before..].contains("updates wait, ")
    });
    let log = gmetad.log();
    let lines = log[before..].lines();
    lines
        .filter_map(|line| {
            let (name, rest) = line.split_once("status: source \"")?.1.split_once('"')?;
            let (_, rest) = rest.split_once(": ")?;
            let mut numbers = rest.split([' ', ';']).filter_map(|word| word.parse().ok());
            Some((
                name.to_owned(),
                [(); 3].map(|()| numbers.next().expect("a number")),
            ))
        })
        .collect()
}

#[test]
fn sources_are_added_changed_and_removed_while_the_others_miss_no_poll_and_lose_no_host() {
    const HOSTS: usize = 150;
    const ROUNDS: usize = 2;
    /// In each.
    const POLLS: usize = 2;
    let staying: Vec<FakeSource> = (0..3)
        .map(|at| fake(&format!("stays{at}"), HOSTS))
        .collect();
    let (goes, moves, its_new_host) = (fake("goes", 5), fake("moves", 5), fake("moves", 7));
    let (slower, comes) = (fake("slower", 5), fake("comes", 5));
    let stay: String = (staying.iter().enumerate())
        .map(|(at, fake)| source(&format!("stays{at}"), UNHURRIED, fake))
        .collect();
    let before = stay.clone()
        + &source("goes", 1, &goes)
        + &source("moves", 1, &moves)
        + &source("slower", 1, &slower);
    let after = source("comes", 1, &comes)
        + &stay
        + &source("moves", 1, &its_new_host)
        + &source("slower", 3600, &slower);
    let folder = folder();
    let gmetad = Gmetad::start_with(folder.path(), &before, &["-d", "4"]);
    wait_until("all hosts", || hosts(&gmetad.document()) == 3 * HOSTS + 15);

    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (xml, interactive) = (gmetad.xml(), gmetad.interactive());
    std::thread::scope(|scope| {
        // Clients that ask all the time see every host that stays, at every moment.
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    for at in 0..3 {
                        let answer = ask(interactive, Some(&format!("/stays{at}")));
                        assert_eq!(hosts(&String::from_utf8_lossy(&answer)), HOSTS);
                    }
                    let answer = ask(xml, None);
                    assert!(hosts(&String::from_utf8_lossy(&answer)) >= 3 * HOSTS + 5);
                    asked.fetch_add(1, Ordering::SeqCst);
                    // Without a pause, most of the work would be this test's own: it counts hosts.
                    sleep(Duration::from_millis(20));
                }
            });
        }
        wait_for_polls_of_all(&staying, 1);
        // A panic here must still stop the clients.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for turn in 0..ROUNDS {
                let said = "configuration reloaded; sources added: ";
                reload(&gmetad, &folder, &after, said);
                wait_until("the new one and the one that moved", || {
                    let answer = gmetad.document();
                    answer.contains("NAME=\"comes\"") && hosts(&answer) == 3 * HOSTS + 17
                });
                assert!(!gmetad.document().contains("NAME=\"goes\""));
                let asked_before = (goes.polls(), moves.polls(), slower.polls());
                wait_for_polls_of_all(&staying, POLLS);
                assert_eq!(goes.polls(), asked_before.0, "it is not polled any more");
                assert_eq!(moves.polls(), asked_before.1, "nor is the old host");
                assert!(slower.polls() <= asked_before.2 + 1, "once at most");
                if turn + 1 < ROUNDS {
                    reload(&gmetad, &folder, &before, "sources removed: \"comes\"");
                    // The host that was moved to has two more, which are carried over.
                    wait_until("all as it was", || {
                        let answer = gmetad.document();
                        answer.contains("NAME=\"goes\"") && hosts(&answer) == 3 * HOSTS + 17
                    });
                    moves.wait_for_polls(1);
                }
            }
        }));
        done.store(true, Ordering::SeqCst);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    assert!(asked.load(Ordering::SeqCst) > 3, "there was load");
    let line = gmetad.wait_for_line("configuration reloaded; ");
    for part in [
        "sources added: \"comes\"",
        "sources changed: \"moves\", \"slower\"",
        "sources removed: \"goes\"",
    ] {
        assert!(line.contains(part), "{line}");
    }
    let polls = polls(&gmetad);
    assert_eq!(
        polls.keys().collect::<Vec<_>>(),
        ["comes", "moves", "slower", "stays0", "stays1", "stays2"]
    );
    for (at, fake) in staying.iter().enumerate() {
        let [good, failed, missed] = polls[&format!("stays{at}")];
        assert!(
            good >= (ROUNDS * POLLS) as u64,
            "since the start, not since the reload: {good}"
        );
        assert_eq!((failed, missed), (0, 0), "source stays{at}");
        // One may be under way.
        assert!(
            fake.polls() as u64 - good <= 1,
            "each connection brought its document"
        );
    }
    assert!(!gmetad.log().contains("is down"), "{}", gmetad.log());
}

#[test]
fn sources_are_served_in_the_order_of_the_file() {
    let (one, two) = (fake("one", 1), fake("two", 1));
    let folder = folder();
    let (first, second) = (source("one", 1, &one), source("two", 1, &two));
    let gmetad = Gmetad::start(folder.path(), &(first.clone() + &second));
    wait_until("both", || hosts(&gmetad.document()) == 2);
    let order = || {
        let answer = gmetad.document();
        answer.find("NAME=\"one\"") < answer.find("NAME=\"two\"")
    };
    assert!(order());
    reload(&gmetad, &folder, &(second + &first), "sources reordered");
    assert!(!order());
}

#[test]
fn a_wrong_configuration_changes_nothing_and_is_reported() {
    let fake = fake("c", 3);
    let folder = folder();
    let good = source("c", 1, &fake);
    // Logged at the default level.
    let gmetad = Gmetad::start(folder.path(), &good);
    wait_until("its hosts", || hosts(&gmetad.document()) == 3);
    let wrong = "gridname other\ndata_source \"new\" 1 127.0.0.1:0\nxml_port x\n";
    reload(
        &gmetad,
        &folder,
        wrong,
        "reload failed, the old configuration stays in force",
    );
    let log = gmetad.log();
    let conf = folder.path().join("gmetad.conf");
    for (line, what) in [(7, "data_source \"new\": "), (8, "xml_port: \"x\" ")] {
        let part = format!("{}:{line}: {what}", conf.display());
        assert!(log.contains(&part), "{part} in {log}");
    }
    fake.wait_for_polls(2);
    let answer = gmetad.document();
    assert!(answer.contains("<GRID NAME=\"unspecified\"") && hosts(&answer) == 3);
    fs::remove_file(&conf).expect("it is there");
    gmetad.signal(Signal::SIGHUP);
    gmetad.wait_for_line("cannot read");
    fake.wait_for_polls(2);
    // A corrected file is accepted.
    reload(
        &gmetad,
        &folder,
        &(good + "gridname other"),
        "directives changed: gridname",
    );
    assert!(gmetad.document().contains("<GRID NAME=\"other\""));
}

#[test]
fn a_wrong_configuration_is_logged_at_every_level_and_with_a_limit() {
    let fake = fake("c", 3);
    let folder = folder();
    let good = source("c", 1, &fake);
    let gmetad = Gmetad::start_with(folder.path(), &good, &["-d", "0"]);
    wait_until("its hosts", || hosts(&gmetad.document()) == 3);
    let wrong = "scalable maybe\n".repeat(60);
    reload(
        &gmetad,
        &folder,
        &(good + &wrong),
        "reload failed, the old configuration stays in force",
    );
    assert_eq!(gmetad.log().matches("scalable: \"maybe\"").count(), 50);
    gmetad.wait_for_line("and 10 more errors; gmetad -t lists all of them");
    fake.wait_for_polls(1);
    assert_eq!(hosts(&gmetad.document()), 3);
}

#[test]
fn a_reload_without_any_source_is_rejected() {
    let fake = fake("c", 3);
    let folder = folder();
    let good = source("c", 1, &fake);
    let gmetad = Gmetad::start(folder.path(), &good);
    wait_until("its hosts", || hosts(&gmetad.document()) == 3);
    // As it is for a moment while written in place.
    fs::write(folder.path().join("gmetad.conf"), "").expect("our own folder");
    gmetad.signal(Signal::SIGHUP);
    gmetad.wait_for_line("the new one has no data_source line");
    fake.wait_for_polls(2);
    assert_eq!(hosts(&gmetad.document()), 3);
    reload(&gmetad, &folder, &good, "nothing has changed");
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn directives_that_only_a_start_applies_are_named_and_keep_their_values() {
    let fake = fake("c", 3);
    let folder = folder();
    let same = source("c", 1, &fake);
    let gmetad = Gmetad::start(folder.path(), &same);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let answer = String::from_utf8(cluster("new", 1)).expect("ASCII");
    let answer = answer.replace("LOCALTIME=\"1\"", &format!("LOCALTIME=\"{now}\""));
    let comes = FakeSource::start(Script::Serve(answer.into_bytes()));
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("our own folder");
    let new = format!(
        "{same}{}gridname G\nsetuid on\nbind_address ::1\nxml_port 1\ninteractive_port 2\n\
         umask 077\nrrd_rootdir \"{}\"\nRRAs RRA:AVERAGE:0.5:1:2\nrrd {{\n write_timeout 300\n}}\n",
        source("new", 1, &comes),
        elsewhere.display()
    );
    reload(&gmetad, &folder, &new, "directives changed: gridname");
    for name in [
        "bind_address",
        "xml_port",
        "interactive_port",
        "setuid",
        "umask",
        "rrd_rootdir",
        "RRAs",
        "section rrd",
    ] {
        gmetad.wait_for_line(&format!(
            "{name} has changed; it takes effect at the next start"
        ));
    }
    // The ports are those of before, and so is the folder.
    assert!(gmetad.document().contains("<GRID NAME=\"G\""));
    let file = folder.path().join("rrds/new/h0/load_one.rrd");
    wait_until("the new host's file", || file.exists());
    assert_eq!(fs::read_dir(&elsewhere).expect("ours").count(), 0);
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn directives_take_effect_at_once_or_are_reported_as_pending() {
    let fake = fake("c", 3);
    let folder = folder();
    let same = source("c", 1, &fake);
    let gmetad = Gmetad::start(folder.path(), &same);
    wait_until("the sum", || {
        gmetad.query("/?filter=summary").contains("load_one")
    });
    let log = folder.path().join("another.log");
    let new = format!(
        "{same}gridname G\nauthority http://g/\nunsummarized_metrics load_\n\
         trusted_hosts 192.0.2.1\ndebug_level 4\nlogfile {}\nwrite_rrds off\nmine {{\n}}\n",
        log.display()
    );
    reload(&gmetad, &folder, &new, "directives changed: ");
    let line = gmetad.wait_for_line("directives changed: ");
    assert!(
        line.ends_with(
            "directives changed: gridname, authority, trusted_hosts, unsummarized_metrics, \
             debug_level, logfile"
        ),
        "{line}"
    );
    gmetad.wait_for_line("write_rrds has changed; it takes effect at the next start");
    gmetad.wait_for_line("section mine has changed; it takes effect at the next start");
    wait_until("the sum without it", || {
        let answer = gmetad.query("/?filter=summary");
        answer.contains("<GRID NAME=\"G\" AUTHORITY=\"http://g/\"")
            && answer.contains("<HOSTS UP=\"3\"")
            && !answer.contains("load_one")
    });
    wait_until("lines in the new log file", || {
        read(&log).contains("configuration reloaded; ")
    });
    // Pending directives are reported at every reload.
    let later = "write_rrds has changed";
    reload(&gmetad, &folder, &new, later);
    gmetad.wait_for_line("configuration reloaded: nothing has changed");
}

#[test]
fn host_names_that_change_case_leave_no_duplicates() {
    let answer = String::from_utf8(cluster("c", 2)).expect("ASCII");
    let answer = answer.replace("NAME=\"h", "NAME=\"Host");
    let fake = FakeSource::start(Script::Serve(answer.into_bytes()));
    let folder = folder();
    let same = source("c", 1, &fake);
    let gmetad = Gmetad::start(folder.path(), &same);
    wait_until("its hosts", || gmetad.document().contains("NAME=\"Host1\""));
    let lower = same + "case_sensitive_hostnames 0";
    reload(
        &gmetad,
        &folder,
        &lower,
        "directives changed: case_sensitive_hostnames",
    );
    wait_until("names in lower case, and only those", || {
        let answer = gmetad.document();
        answer.contains("NAME=\"host1\"") && hosts(&answer) == 2 && !answer.contains("NAME=\"Host")
    });
}

/// A daemon, killed when dropped.
struct Daemon(Pid);

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

#[test]
fn a_daemon_finds_its_files_after_leaving_its_folder() {
    let folder = folder();
    let inside = |name: &str| folder.path().join(name);
    configure(folder.path(), "Include conf.d/*.conf");
    fs::create_dir(inside("conf.d")).expect("made");
    fs::write(inside("conf.d/a.conf"), "debug_level 4\n").expect("written");
    let status = gmetad()
        .args(["-c", "gmetad.conf", "-p", "pid", "-l", "log"])
        .current_dir(folder.path())
        .output()
        .expect("built")
        .status;
    assert!(status.success());
    let daemon = Daemon(Pid::from_raw(
        read(&inside("pid")).trim().parse().expect("a pid"),
    ));
    fs::write(inside("conf.d/b.conf"), "gridname included\n").expect("written");
    kill(daemon.0, Signal::SIGHUP).expect("it runs");
    wait_until("the line", || {
        read(&inside("log")).contains("directives changed: gridname")
    });
}

/// A folder that everyone may read, for a daemon that switches to the user nobody.
fn shared_folder() -> TempDir {
    let folder = folder();
    set_mode(folder.path(), 0o755);
    folder
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
}

#[test]
fn a_file_that_the_user_may_not_read_is_reported_and_no_source_is_lost() {
    if !geteuid().is_root() {
        let test = "a_file_that_the_user_may_not_read_is_reported_and_no_source_is_lost";
        skipped(test, "only root can become another user");
        return;
    }
    let fake = fake("c", 3);
    let folder = shared_folder();
    let included = folder.path().join("conf.d");
    fs::create_dir(&included).expect("made");
    fs::write(included.join("a.conf"), source("c", 1, &fake)).expect("written");
    set_mode(&included, 0o700);
    let conf = "setuid on\nsetuid_username nobody\nwrite_rrds off\nInclude conf.d/*.conf\n";
    let gmetad = Gmetad::start(folder.path(), conf);
    wait_until("its hosts", || hosts(&gmetad.document()) == 3);
    gmetad.signal(Signal::SIGHUP);
    let line = gmetad.wait_for_line("reload failed, the old configuration stays in force");
    assert!(line.contains("gmetad runs as user nobody"), "{line}");
    let line = gmetad.wait_for_line("cannot list");
    assert!(line.contains("conf.d"), "{line}");
    // A file that is named, and the first file itself.
    set_mode(&included, 0o755);
    set_mode(&included.join("a.conf"), 0o600);
    reload(&gmetad, &folder, conf, "cannot read");
    set_mode(&folder.path().join("gmetad.conf"), 0o600);
    gmetad.signal(Signal::SIGHUP);
    gmetad.wait_for_line("gmetad.conf: Permission denied");
    fake.wait_for_polls(2);
    assert_eq!(hosts(&gmetad.document()), 3);
    set_mode(&included.join("a.conf"), 0o644);
    set_mode(&folder.path().join("gmetad.conf"), 0o644);
    reload(&gmetad, &folder, conf, "nothing has changed");
}

#[test]
fn a_second_sighup_during_a_reload_starts_another() {
    let folder = folder();
    let gmetad = Gmetad::start(folder.path(), "");
    for round in 0..20 {
        configure(folder.path(), &format!("gridname g{round}"));
        gmetad.signal(Signal::SIGHUP);
    }
    wait_until("the last one", || gmetad.document().contains("\"g19\""));
    assert_eq!(gmetad.end().code(), Some(0));
}

#[test]
fn a_storm_of_signals_costs_no_poll_and_leaks_nothing() {
    let (fake, other) = (fake("c", 300), fake("d", 3));
    let folder = folder();
    let sources = source("c", UNHURRIED, &fake) + &source("d", UNHURRIED, &other);
    let gmetad = Gmetad::start_with(folder.path(), &sources, &["-d", "4"]);
    wait_until("all hosts", || hosts(&gmetad.document()) == 303);
    let held = || {
        ["task", "fd"].map(|kind| {
            let folder = format!("/proc/{}/{kind}", gmetad.pid());
            fs::read_dir(folder).expect("it runs").count()
        })
    };
    let held_before = held();
    configure(folder.path(), &(sources + "gridname storm\n"));
    let polls_before = fake.polls();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                gmetad.signal(Signal::SIGHUP);
                sleep(Duration::from_millis(1));
            }
        });
        // A panic here must still stop the signals.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            // The new configuration takes effect during the storm, not only after it.
            wait_until("the new name and two polls, in the storm", || {
                let answer = gmetad.document();
                assert_eq!(hosts(&answer), 303);
                answer.contains("<GRID NAME=\"storm\"") && fake.polls() >= polls_before + 2
            });
        }));
        done.store(true, Ordering::SeqCst);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    wait_until("all to be let go", || {
        let held = held();
        held[0] <= held_before[0] && held[1] <= held_before[1]
    });
    for (name, [_, failed, missed]) in polls(&gmetad) {
        assert_eq!((failed, missed), (0, 0), "source {name}");
    }
    assert_eq!(gmetad.end().code(), Some(0));
}

#[test]
fn a_hanging_disk_is_reported_and_blocks_nothing() {
    let fake = fake("c", 3);
    let folder = folder();
    let same = source("c", 1, &fake);
    let gmetad = Gmetad::start(folder.path(), &same);
    wait_until("its hosts", || hosts(&gmetad.document()) == 3);
    // A pipe that nobody writes to looks like a disk that hangs.
    let conf = folder.path().join("gmetad.conf");
    fs::remove_file(&conf).expect("it is there");
    mkfifo(&conf, Mode::S_IRWXU).expect("our own folder");
    wait_until("the line", || {
        gmetad.signal(Signal::SIGHUP);
        gmetad.log().contains(" is being read for ")
    });
    // The read hangs, and the loop does not wait.
    fake.wait_for_polls(3);
    // Once it answers, the file as it is then is used.
    let mut pipe = fs::OpenOptions::new()
        .write(true)
        .open(&conf)
        .expect("it is being read");
    fs::remove_file(&conf).expect("it is there");
    configure(folder.path(), &(same + "gridname awake\n"));
    pipe.write_all(b"gridname asleep\n").expect("it is read");
    drop(pipe);
    wait_until("the new name", || gmetad.document().contains("\"awake\""));
    assert!(
        !gmetad.log().contains("no data_source line"),
        "{}",
        gmetad.log()
    );
}

#[test]
fn limits_of_documents_apply_and_can_be_raised_by_a_reload() {
    let (folder, fake) = (folder(), fake("c", 3));
    let with = |limit: &str| format!("write_rrds off\n{}{limit}\n", source("s", 1, &fake));
    let gmetad = Gmetad::start(folder.path(), &with("max_source_hosts 2"));
    let line = gmetad.wait_for_line("source \"s\" is down");
    assert!(
        line.contains("the number of hosts at byte") && line.contains("exceeds the limit of 2"),
        "{line}"
    );
    assert_eq!(hosts(&gmetad.document()), 0);
    let back = "source \"s\" answers for the first time";
    reload(&gmetad, &folder, &with("max_source_hosts 3"), back);
    wait_until("all hosts", || hosts(&gmetad.document()) == 3);
    reload(
        &gmetad,
        &folder,
        &with("max_source_hosts 3\nmax_tag_bytes 1024\nmax_queue_mb 8"),
        "max_queue_mb",
    );
}
