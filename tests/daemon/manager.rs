//! What a service manager such as systemd is told over NOTIFY_SOCKET.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use crate::support::{DEADLINE, Gmetad, configure, gmetad, pid_of, read, skipped, wait_until};

/// The manager's end of the socket.
struct Told {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Told {
    fn new(folder: &Path) -> Self {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).expect("our own folder");
        socket
            .set_read_timeout(Some(DEADLINE))
            .expect("a time limit");
        Told { socket, path }
    }

    /// A gmetad that notifies this manager.
    fn gmetad(&self, folder: &Path, more: &[(&str, &Path)]) -> Gmetad {
        let environment = [&[("NOTIFY_SOCKET", self.path.as_path())], more].concat();
        Gmetad::start_in(folder, "", &[], &environment)
    }

    /// The next message.
    #[track_caller]
    fn next(&self) -> String {
        let mut buffer = [0; 256];
        let length = self.socket.recv(&mut buffer).expect("a message");
        String::from_utf8(buffer[..length].to_vec()).expect("text")
    }
}

#[test]
fn the_service_manager_is_notified_of_ready_reload_and_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = Told::new(folder.path());
    let gmetad = told.gmetad(folder.path(), &[]);
    assert_eq!(told.next(), "READY=1");

    gmetad.signal(Signal::SIGHUP);
    let reloading = told.next();
    let since = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .unwrap_or_else(|| panic!("{reloading}"));
    let up = read(Path::new("/proc/uptime"));
    let up: f64 = up.split(' ').next().expect("seconds").parse().expect("it");
    let since = since.parse::<f64>().expect("a number") / 1e6;
    assert!((up - since).abs() < 60.0, "{since} of {up}");
    assert_eq!(told.next(), "READY=1");
    gmetad.wait_for_line("configuration reloaded");

    // A reload that is refused ends as well.
    configure(folder.path(), "xml_port sesame");
    gmetad.signal(Signal::SIGHUP);
    assert!(told.next().starts_with("RELOADING=1\n"));
    assert_eq!(told.next(), "READY=1");

    gmetad.signal(Signal::SIGTERM);
    assert_eq!(told.next(), "STOPPING=1");
    assert!(gmetad.end().success());
}

#[test]
fn the_watchdog_is_fed_by_a_running_loop_and_not_by_a_stuck_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = Told::new(folder.path());
    let limit = ("WATCHDOG_USEC", Path::new("400000"));
    let start = Instant::now();
    let gmetad = told.gmetad(folder.path(), &[limit]);
    assert_eq!(told.next(), "READY=1");
    for _ in 0..6 {
        assert_eq!(told.next(), "WATCHDOG=1");
    }
    // The first comes at once, the others half of the limit apart.
    assert!(start.elapsed() >= Duration::from_secs(1));

    gmetad.signal(Signal::SIGSTOP);
    wait_until("the stop", || {
        read(Path::new(&format!("/proc/{}/stat", gmetad.pid()))).contains(") T ")
    });
    told.socket.set_nonblocking(true).expect("a setting");
    while told.socket.recv(&mut [0; 256]).is_ok() {}
    told.socket.set_nonblocking(false).expect("a setting");
    let twice = Some(Duration::from_millis(800));
    told.socket.set_read_timeout(twice).expect("a time limit");
    assert!(told.socket.recv(&mut [0; 256]).is_err(), "it is stuck");
    gmetad.signal(Signal::SIGCONT);
    assert_eq!(told.next(), "WATCHDOG=1");
}

#[test]
fn the_watchdog_of_another_process_is_not_fed() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = Told::new(folder.path());
    let environment = [
        ("WATCHDOG_USEC", Path::new("100000")),
        ("WATCHDOG_PID", Path::new("1")),
    ];
    let gmetad = told.gmetad(folder.path(), &environment);
    assert_eq!(told.next(), "READY=1");
    let short = Some(Duration::from_millis(300));
    told.socket.set_read_timeout(short).expect("a time limit");
    assert!(told.socket.recv(&mut [0; 256]).is_err());
    assert!(gmetad.end().success());
}

#[test]
fn a_service_manager_that_is_gone_or_does_not_read_blocks_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = Told::new(folder.path());
    let limit = ("WATCHDOG_USEC", Path::new("2000"));
    let gmetad = told.gmetad(folder.path(), &[limit]);
    // The socket's room is used up within milliseconds, since nobody reads.
    for _ in 0..20 {
        assert!(gmetad.document().contains("</GANGLIA_XML>"));
    }
    fs::remove_file(&told.path).expect("our own file");
    drop(told);
    assert!(gmetad.document().contains("</GANGLIA_XML>"));
    assert!(gmetad.end().success());
}

#[test]
fn each_line_reaches_the_journal_once() {
    let test = "each_line_reaches_the_journal_once";
    let syslogs = ["/dev/log", "/var/run/syslog", "/var/run/log"];
    let answers = |at: &&str| UnixDatagram::unbound().is_ok_and(|it| it.connect(at).is_ok());
    if !syslogs.iter().any(answers) {
        return skipped(test, "there is no syslog");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let conf = configure(folder.path(), "");
    let stderr = folder.path().join("journal");
    let file = fs::File::create(&stderr).expect("our own folder");
    let about = file.metadata().expect("an open file");
    let told = Told::new(folder.path());
    let mut child = gmetad()
        .args(["-f", "-c"])
        .arg(&conf)
        .env("NOTIFY_SOCKET", &told.path)
        .env("JOURNAL_STREAM", format!("{}:{}", about.dev(), about.ino()))
        .stderr(file)
        .spawn()
        .expect("the binary was built");
    assert_eq!(told.next(), "READY=1");
    kill(pid_of(&child), Signal::SIGTERM).expect("it runs");
    assert!(child.wait().expect("our own child").success());
    assert_eq!(read(&stderr), "");
}
