//! The process around the loop, through the real binary.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Output, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User, geteuid};

use crate::support::ports::Port;
use crate::support::{
    Gmetad, configure, copy_of_gmetad, gmetad, listening, read, skipped, wait_for, wait_until,
};

/// A daemon that has left its terminal, ended when dropped.
pub struct Detached {
    pub pid: Pid,
}

impl Detached {
    /// Starts it with a log and a pid file in `folder`, and expects success.
    #[track_caller]
    fn start(folder: &Path, directives: &str) -> Self {
        let output = start_detached(folder, directives);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        Detached::of(folder)
    }

    /// The daemon that was started with this folder's pid file.
    #[track_caller]
    fn of(folder: &Path) -> Self {
        Detached {
            pid: pid_in(&folder.join("pid")).expect("a pid file"),
        }
    }

    /// The fields of its stat(5) line from the state on.
    fn stat(&self) -> Option<Vec<String>> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        let (_, fields) = text.rsplit_once(") ")?;
        Some(fields.split(' ').map(String::from).collect())
    }

    fn runs(&self) -> bool {
        // If nothing reaps orphans, an ended one stays as a zombie. So does a first thread that was faster than
        // others, which still have the files.
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid));
        let has_others = threads.is_ok_and(|all| all.count() > 1);
        self.stat()
            .is_some_and(|fields| fields[0] != "Z" || has_others)
    }

    #[track_caller]
    pub fn end(&self) {
        kill(self.pid, Signal::SIGTERM).expect("it runs");
        wait_until("the end of the daemon", || !self.runs());
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = kill(self.pid, Signal::SIGKILL);
    }
}

fn start_detached(folder: &Path, directives: &str) -> Output {
    gmetad()
        .arg("-c")
        .arg(configure(folder, directives))
        .arg("-p")
        .arg(folder.join("pid"))
        .arg("-l")
        .arg(folder.join("log"))
        .output()
        .expect("the binary was built")
}

pub fn pid_in(path: &Path) -> Option<Pid> {
    read(path).trim().parse().ok().map(Pid::from_raw)
}

/// Waits for a line that contains this, and gives it with its end.
#[track_caller]
fn wait_for_line(log: &Path, part: &str) -> String {
    wait_for(&format!("\"{part}\" in {}", log.display()), || {
        let text = read(log);
        let mut whole = text.split_inclusive('\n').filter(|it| it.ends_with('\n'));
        whole.find(|line| line.contains(part)).map(String::from)
    })
}

/// The exit code, standard output and standard error.
#[track_caller]
fn outcome(arguments: &[&str]) -> (i32, String, String) {
    let output = gmetad()
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("built");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("it ended by itself");
    (code, text(&output.stdout), text(&output.stderr))
}

fn taken_port() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

#[test]
fn help_goes_to_standard_output_and_names_every_option() {
    for option in ["-h", "--help"] {
        let (code, output, errors) = outcome(&[option]);
        assert_eq!((code, errors.as_str()), (0, ""));
        for name in [
            "-c",
            "--conf",
            "-d",
            "--debug",
            "-f",
            "--foreground",
            "-p",
            "--pid_file",
            "--pid-file",
            "-l",
            "--logfile",
            "-i",
            "--interactive_port",
            "-x",
            "--xml_port",
            "-t",
            "--test-config",
            "--once",
            "-V",
            "--version",
            "-h",
            "--help",
        ] {
            assert!(output.contains(name), "{name} is missing in\n{output}");
        }
    }
}

#[test]
fn help_whose_reader_closes_early_is_no_failure() {
    let mut child = gmetad()
        .arg("--help")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// The lines about the parts, in the order of the documentation.
fn what_is_built_in() -> String {
    let parts = [
        ("rrd", cfg!(feature = "rrd")),
        ("librrd", cfg!(feature = "librrd")),
        ("export", cfg!(feature = "export")),
        ("tls", cfg!(feature = "tls")),
        ("loader", cfg!(feature = "loader")),
        ("web", cfg!(feature = "web")),
        ("graphite", cfg!(feature = "graphite")),
    ];
    let line = |title: &str, built_in| {
        let parts = parts
            .iter()
            .filter(|(_, is_built_in)| *is_built_in == built_in);
        let parts: Vec<&str> = parts.map(|(part, _)| *part).collect();
        match parts.as_slice() {
            [] => String::new(),
            parts => format!("{title}: {}\n", parts.join(", ")),
        }
    };
    line("built with", true) + &line("built without", false)
}

#[test]
fn the_version_goes_to_standard_output() {
    for option in ["-V", "--version"] {
        let (code, output, errors) = outcome(&[option]);
        assert_eq!((code, errors.as_str()), (0, ""));
        let (first, parts) = output.split_once('\n').expect("lines");
        assert_eq!(first, format!("gmetad {}", env!("CARGO_PKG_VERSION")));
        assert_eq!(parts, what_is_built_in());
    }
}

#[test]
fn a_wrong_command_line_exits_with_64_and_a_message_on_standard_error() {
    for arguments in [
        &["--frobnicate"][..],
        &["-x", "many"],
        &["-d"],
        &["stray"],
        &["-i", "65536"],
        &["-Z"],
    ] {
        let (code, output, errors) = outcome(arguments);
        assert_eq!((code, output.as_str()), (64, ""), "{arguments:?}");
        assert!(errors.starts_with("gmetad: "), "{arguments:?}: {errors}");
    }
}

#[test]
fn a_missing_configuration_exits_with_78_and_is_named() {
    let (code, output, errors) = outcome(&["-c", "/nowhere/gmetad.conf"]);
    assert_eq!((code, output.as_str()), (78, ""));
    assert!(errors.contains("/nowhere/gmetad.conf"), "{errors}");
}

#[test]
fn every_configuration_error_exits_with_78_and_names_file_and_line() {
    let wrong = [
        ("xml_port", "xml_port sesame"),
        ("interactive_port", "interactive_port 70000"),
        ("source without host", "data_source \"lonely\" 15"),
        ("source without anything", "data_source"),
        ("source with a bad port", "data_source \"a\" 127.0.0.1:port"),
        ("boolean", "scalable perhaps"),
        ("level", "debug_level loud"),
        ("umask", "umask 999"),
        ("bind address", "bind_address nowhere.example"),
        ("trusted block", "trusted_hosts 10.0.0.0/99"),
        ("stray brace", "}"),
        ("archive", "RRAs \"RRA:SOMETIMES:0.5:1:244\""),
        ("carbon protocol", "carbon_protocol pigeon"),
        ("no value", "gridname"),
        ("too many values", "xml_port 1 2"),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let conf = folder.path().join("gmetad.conf");
    let name = conf.to_str().expect("text");
    for (what, line) in wrong {
        fs::write(&conf, format!("# first line\n{line}\n")).expect("written");
        // Whether it is only checked, stays in the foreground or would be a daemon.
        for arguments in [&["-c", name, "-t"][..], &["-c", name, "-f"], &["-c", name]] {
            let (code, output, errors) = outcome(arguments);
            assert_eq!((code, output.as_str()), (78, ""), "{what}: {errors}");
            assert!(errors.contains(&format!("{name}:2: ")), "{what}: {errors}");
        }
    }
}

#[test]
fn a_duplicate_name_and_an_unclosed_section_are_reported_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let conf = folder.path().join("gmetad.conf");
    let name = conf.to_str().expect("text");
    fs::write(
        &conf,
        "data_source \"a\" 127.0.0.1\ndata_source \"a\" 127.0.0.2\nxml_port none\nrrd {\n",
    )
    .expect("written");
    let (code, _, errors) = outcome(&["-c", name]);
    assert_eq!(code, 78);
    for line in [2, 3, 4] {
        assert!(
            errors.contains(&format!("{name}:{line}: ")),
            "line {line} in:\n{errors}"
        );
    }
}

#[test]
fn a_sound_configuration_is_shown_and_nothing_is_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let conf = folder.path().join("gmetad.conf");
    let pid_file = folder.path().join("pid");
    let port = Port::reserve();
    let directives = format!(
        "data_source \"the cluster\" 20 10.1.2.3:8650\nbind_address 127.0.0.1\nxml_port {}\n\
         pid_file {}\nno_such_directive 1\n",
        port.number(),
        pid_file.display()
    );
    fs::write(&conf, directives).expect("written");
    let (code, output, errors) = outcome(&["-t", "-c", conf.to_str().expect("text")]);
    assert_eq!(code, 0, "{errors}");
    assert!(
        output.contains("\"the cluster\" every 20 s from 10.1.2.3:8650"),
        "{output}"
    );
    assert!(errors.contains("gmetad.conf:5: "), "{errors}");
    assert!(errors.contains("no_such_directive"), "{errors}");
    assert!(!pid_file.exists());
}

#[test]
fn the_parent_exits_with_0_once_the_daemon_has_bound_its_ports() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = start_detached(folder.path(), "debug_level 4");
    // No waiting for any of this: it holds as soon as the parent has ended.
    let daemon = Detached::of(folder.path());
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    // Only the log may be late, where the machine is busy.
    let line = wait_for_line(&folder.path().join("log"), "listening: ");
    let (xml, interactive) = listening(&line).expect("two ports");
    TcpStream::connect(xml).expect("the XML port is bound");
    TcpStream::connect(interactive).expect("the interactive port is bound");
    daemon.end();
}

#[test]
fn the_daemon_has_left_terminal_session_folder_and_descriptors() {
    let folder = tempfile::tempdir().expect("a folder");
    // A descriptor that whoever starts us forgot to close.
    let stray = File::create(folder.path().join("stray")).expect("a file");
    fcntl(&stray, FcntlArg::F_SETFD(FdFlag::empty())).expect("inheritable");
    let daemon = Detached::start(folder.path(), "umask 027");

    let fields = daemon.stat().expect("it runs");
    let (parent, session, terminal) = (&fields[1], &fields[3], &fields[4]);
    assert_ne!(
        *parent,
        std::process::id().to_string(),
        "it is no child of ours"
    );
    assert_ne!(*session, own_session(), "it has a session of its own");
    assert_ne!(
        *session,
        daemon.pid.to_string(),
        "it does not lead it: no terminal, ever"
    );
    assert_eq!(*terminal, "0", "it has no terminal");

    let process = format!("/proc/{}", daemon.pid);
    assert_eq!(
        fs::read_link(format!("{process}/cwd")).expect("its folder"),
        Path::new("/")
    );
    let status = fs::read_to_string(format!("{process}/status")).expect("its status");
    assert!(status.contains("Umask:\t0027"), "{status}");
    for stream in 0..=2 {
        let target = fs::read_link(format!("{process}/fd/{stream}")).expect("a stream");
        assert_eq!(target, Path::new("/dev/null"));
    }
    let files: Vec<_> = fs::read_dir(format!("{process}/fd"))
        .expect("its descriptors")
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.starts_with(folder.path()))
        .collect();
    assert!(files.contains(&folder.path().join("log")), "{files:?}");
    assert!(!files.contains(&folder.path().join("stray")), "{files:?}");
    daemon.end();
}

fn own_session() -> String {
    nix::unistd::getsid(None).expect("our session").to_string()
}

#[test]
fn without_a_configuration_it_points_to_the_example() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("it is there");
    // As `make install` has it.
    let (program, example) = (
        root.join("sbin/gmetad"),
        root.join("share/doc/gmetad/gmetad.conf"),
    );
    for path in [&program, &example] {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    }
    copy_of_gmetad(&program);
    fs::write(&example, "").expect("written");
    let missing = root.join("none.conf");
    let output = std::process::Command::new(&program)
        .args(["-f", "-c", missing.to_str().expect("text")])
        .output()
        .expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{errors}");
    let told = format!("; copy {} there and edit it", example.display());
    assert!(
        errors.contains(&missing.display().to_string()) && errors.contains(&told),
        "{errors}"
    );
}

#[test]
fn a_port_in_use_exits_with_69_and_the_reason_on_the_terminal() {
    let (_taken, address) = taken_port();
    let folder = tempfile::tempdir().expect("a folder");
    let conf = folder.path().join("gmetad.conf");
    let directives = format!(
        "setuid off\nbind_address 127.0.0.1\nxml_port 0\ninteractive_port {}\n",
        address.port()
    );
    fs::write(&conf, directives).expect("written");
    let pid_file = folder.path().join("pid");
    let (conf, pid) = (
        conf.to_str().expect("text"),
        pid_file.to_str().expect("text"),
    );
    for arguments in [&["-c", conf, "-p", pid][..], &["-c", conf, "-p", pid, "-f"]] {
        let (code, output, errors) = outcome(arguments);
        assert_eq!((code, output.as_str()), (69, ""), "{errors}");
        assert!(errors.contains(&address.to_string()), "{errors}");
        // This test, by the name that Linux cuts at 15 bytes.
        if cfg!(target_os = "linux") {
            let holder = format!("(pid {}) has the port; end that", std::process::id());
            assert!(errors.contains(&holder), "{errors}");
        }
        assert!(errors.contains("interactive"), "{errors}");
        assert!(
            !pid_file.exists(),
            "a daemon that did not start leaves no pid file"
        );
    }
}

#[test]
fn an_address_of_another_machine_exits_with_78() {
    let folder = tempfile::tempdir().expect("a folder");
    let conf = folder.path().join("gmetad.conf");
    // From the block that is kept for documentation.
    fs::write(
        &conf,
        "setuid off\nbind_address 192.0.2.1\nxml_port 0\ninteractive_port 0\n",
    )
    .expect("written");
    let (code, _, errors) = outcome(&["-c", conf.to_str().expect("text")]);
    assert_eq!(code, 78, "{errors}");
    assert!(errors.contains("192.0.2.1"), "{errors}");
}

#[test]
fn a_log_file_that_cannot_be_opened_exits_with_73_and_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let conf = configure(folder.path(), "");
    let conf = conf.to_str().expect("text");
    let (code, _, errors) = outcome(&["-c", conf, "-l", "/nowhere/log"]);
    assert_eq!(code, 73, "{errors}");
    assert!(errors.contains("/nowhere/log"), "{errors}");
}

#[test]
fn a_pid_file_that_cannot_be_created_exits_with_73_and_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let conf = configure(folder.path(), "");
    let conf = conf.to_str().expect("text");
    let (code, _, errors) = outcome(&["-c", conf, "-p", "/nowhere/pid"]);
    assert_eq!(code, 73, "{errors}");
    assert!(errors.contains("/nowhere/pid"), "{errors}");
}

#[test]
fn a_daemonless_configuration_stays_in_the_foreground_and_on_the_console() {
    for directives in ["daemonize off", "debug_level 5"] {
        let folder = tempfile::tempdir().expect("a folder");
        let errors = folder.path().join("stderr");
        let mut child = gmetad()
            .arg("-c")
            .arg(configure(folder.path(), directives))
            .stderr(File::create(&errors).expect("a file"))
            .spawn()
            .expect("the binary was built");
        wait_for("the line that says where it listens", || {
            listening(&read(&errors))
        });
        assert!(
            child.try_wait().expect("our own child").is_none(),
            "{directives}"
        );
        kill(crate::support::pid_of(&child), Signal::SIGTERM).expect("it runs");
        assert_eq!(
            child.wait().expect("our own child").code(),
            Some(0),
            "{directives}"
        );
    }
}

#[test]
fn the_pid_file_lives_as_long_as_the_daemon() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid_file = folder.path().join("pid");
    let daemon = Detached::start(folder.path(), "");
    assert_eq!(read(&pid_file), format!("{}\n", daemon.pid));
    daemon.end();
    assert!(!pid_file.exists());
}

#[test]
fn a_stale_pid_file_is_taken_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid_file = folder.path().join("pid");
    let killed = Detached::start(folder.path(), "");
    kill(killed.pid, Signal::SIGKILL).expect("it runs");
    wait_until("the end of the daemon", || !killed.runs());
    assert_eq!(
        pid_in(&pid_file),
        Some(killed.pid),
        "nobody could remove it"
    );
    let daemon = Detached::start(folder.path(), "");
    assert_ne!(daemon.pid, killed.pid);
    daemon.end();
}

#[test]
fn a_second_daemon_is_refused_with_the_pid_of_the_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Detached::start(folder.path(), "");
    let output = start_detached(folder.path(), "");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{errors}");
    assert!(errors.contains(&format!("pid {}", daemon.pid)), "{errors}");
    assert_eq!(
        pid_in(&folder.path().join("pid")),
        Some(daemon.pid),
        "its file is untouched"
    );
    daemon.end();
}

#[test]
fn a_daemon_has_the_allocator_settings_of_the_unit() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let unit = read(&root.join("contrib/systemd/gmetad.service"));
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Detached::start(folder.path(), "");
    let environ = Path::new("/proc").join(daemon.pid.to_string());
    // The C library may have divided it where it has colons.
    let environment = read(&environ.join("environ")).replace('\0', ":");
    let settings_in = |text: &str, before: &str| -> String {
        let mut lines = text.lines();
        let setting = lines.find_map(|line| line.strip_prefix(before));
        setting.expect("it has them").to_owned()
    };
    let setting = settings_in(&unit, "Environment=GLIBC_TUNABLES=");
    for file in ["Containerfile", "Containerfile.prebuilt"] {
        let container = read(&root.join("packaging/container").join(file));
        assert_eq!(setting, settings_in(&container, "ENV GLIBC_TUNABLES="));
    }
    let own = format!("GLIBC_TUNABLES={setting}:");
    assert!(environment.contains(&own), "{environment}");
    daemon.end();
}

#[test]
fn both_termination_signals_exit_with_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut gmetad = Gmetad::start(folder.path(), "");
        gmetad.signal(signal);
        assert_eq!(gmetad.wait().code(), Some(0), "{signal}");
    }
}

#[test]
fn sighup_reopens_the_log_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, rotated) = (folder.path().join("log"), folder.path().join("log.1"));
    let daemon = Detached::start(folder.path(), "debug_level 4");
    fs::rename(&log, &rotated).expect("moved");
    kill(daemon.pid, Signal::SIGHUP).expect("it runs");
    wait_until("a new log file with a line in it", || {
        read(&log).contains("reopened")
    });
    daemon.end();
    assert!(read(&log).contains("gmetad has stopped"), "{}", read(&log));
    assert!(!read(&rotated).contains("gmetad has stopped"));
}

#[test]
fn file_names_are_relative_to_the_folder_it_is_started_in() {
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), "Include more.conf");
    fs::write(folder.path().join("more.conf"), "debug_level 4\n").expect("written");
    let output = gmetad()
        .args(["-c", "gmetad.conf", "-p", "pid", "-l", "log"])
        .current_dir(folder.path())
        .output()
        .expect("built");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let daemon = Detached::of(folder.path());
    wait_for_line(&folder.path().join("log"), "listening: ");
    daemon.end();
}

#[test]
fn the_log_file_is_appended_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    fs::write(&log, "what was there before\n").expect("written");
    let daemon = Detached::start(folder.path(), "debug_level 4");
    daemon.end();
    let text = read(&log);
    assert!(text.starts_with("what was there before\n"), "{text}");
    assert!(text.contains(" NOTICE gmetad "), "{text}");
}

#[test]
fn each_level_logs_its_own_lines_only() {
    let lines = |level: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let gmetad = Gmetad::start_with(
            folder.path(),
            "nobody {\n}",
            &["-d", level, "-l", log.to_str().expect("text")],
        );
        assert_eq!(gmetad.end().code(), Some(0));
        read(&log)
    };
    let errors = lines("2");
    assert!(!errors.contains("section nobody"), "{errors}");
    let warnings = lines("3");
    assert!(warnings.contains(" WARNING "), "{warnings}");
    assert!(warnings.contains("section nobody"), "{warnings}");
    assert!(!warnings.contains(" INFO "), "{warnings}");
    let infos = lines("4");
    assert!(
        infos.contains(" INFO SIGTERM received, stopping"),
        "{infos}"
    );
}

#[test]
fn configuration_warnings_are_logged_at_every_level() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Detached::start(folder.path(), "debug_level 0\ndata_sorce \"a\" localhost");
    for part in [
        "data_sorce is ignored; did you mean data_source?",
        "no data_source line",
    ] {
        let line = wait_for_line(&folder.path().join("log"), part);
        assert!(line.contains(" WARNING "), "{line}");
    }
    daemon.end();

    let conf = configure(folder.path(), "data_sorce \"a\" localhost\nxml_port sesame");
    let output = gmetad().arg("-tc").arg(conf).output().expect("built");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    for part in ["warn: ", "did you mean data_source?", "sesame"] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn the_daemon_shares_no_descriptor_with_its_parent() {
    // A process that waits for the daemon's output to be closed must not wait for the daemon's end.
    let folder = tempfile::tempdir().expect("a folder");
    // `output` inside returns only when both pipes are closed by everyone.
    let daemon = Detached::start(folder.path(), "");
    assert!(daemon.runs());
    daemon.end();
}

/// A full pipe.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("our own pipe");
    while nix::unistd::write(&writer, &[b'x'; 4096]).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).expect("our own pipe");
    (reader, writer)
}

#[test]
fn a_console_that_nobody_reads_blocks_nothing() {
    // It cannot say which ones it got.
    let ports = [Port::reserve(), Port::reserve()];
    let [xml, interactive] = ports.each_ref().map(Port::number);
    let folder = tempfile::tempdir().expect("a folder");
    let conf = folder.path().join("gmetad.conf");
    let directives = format!(
        "setuid off\nbind_address 127.0.0.1\nxml_port {xml}\ninteractive_port {interactive}\n\
         write_rrds off\ndebug_level 5\n"
    );
    fs::write(&conf, directives).expect("written");
    let (reader, writer) = full_pipe();
    let mut child = gmetad()
        .arg("-c")
        .arg(&conf)
        .stdout(Stdio::null())
        .stderr(writer)
        .spawn()
        .expect("the binary was built");
    let address = SocketAddr::from(([127, 0, 0, 1], xml));
    wait_until("the XML port", || TcpStream::connect(address).is_ok());
    for _ in 0..3 {
        let answer = crate::support::ask(address, None);
        assert!(
            answer.ends_with(b"</GANGLIA_XML>\n"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    kill(crate::support::pid_of(&child), Signal::SIGTERM).expect("it runs");
    let status = wait_for("the end of gmetad", || {
        child.try_wait().expect("our own child")
    });
    assert_eq!(status.code(), Some(0));
    drop(reader);
}

/// Whether to run a test that needs root.
pub fn is_root(test: &str) -> bool {
    if !geteuid().is_root() {
        skipped(test, "only root can become another user");
    }
    geteuid().is_root()
}

/// A folder that everyone may read, for a daemon that switches to the user nobody.
pub fn shared_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    folder
}

fn configure_as(folder: &Path, user: &str) -> String {
    let conf = folder.join("gmetad.conf");
    let text = format!(
        "setuid_username {user}\nbind_address 127.0.0.1\nxml_port 0\ninteractive_port 0\n\
         write_rrds off\ndebug_level 4\n"
    );
    fs::write(&conf, text).expect("written");
    conf.to_str().expect("text").into()
}

#[test]
fn root_switches_to_the_user_irrevocably_with_only_its_groups() {
    if !is_root("root_switches_to_the_user_irrevocably_with_only_its_groups") {
        return;
    }
    let nobody = User::from_name("nobody")
        .expect("users")
        .expect("there is always nobody");
    let folder = shared_folder();
    let conf = configure_as(folder.path(), "nobody");
    let (log, pid_file) = (folder.path().join("log"), folder.path().join("pid"));
    let (code, _, errors) = outcome(&[
        "-c",
        &conf,
        "-p",
        pid_file.to_str().expect("text"),
        "-l",
        log.to_str().expect("text"),
    ]);
    assert_eq!(code, 0, "{errors}");
    let daemon = Detached {
        pid: pid_in(&pid_file).expect("a pid file"),
    };
    for task in fs::read_dir(format!("/proc/{}/task", daemon.pid)).expect("its threads") {
        let status = fs::read_to_string(task.expect("a thread").path().join("status"));
        let status = status.expect("its status");
        let ids = |name: &str| -> Vec<String> {
            let line = status
                .lines()
                .find(|line| line.starts_with(name))
                .expect("a line");
            line.split_whitespace().skip(1).map(String::from).collect()
        };
        assert_eq!(ids("Uid:"), vec![nobody.uid.to_string(); 4]);
        assert_eq!(ids("Gid:"), vec![nobody.gid.to_string(); 4]);
        assert!(!ids("Groups:").contains(&"0".into()), "{status}");
    }
    assert_eq!(
        fs::metadata(&log).expect("the log").uid(),
        nobody.uid.as_raw()
    );
    assert_eq!(
        fs::metadata(&pid_file).expect("the pid file").uid(),
        0,
        "kept from the user"
    );

    // The user cannot remove the file from root's folder: it is emptied, and does not block a start.
    daemon.end();
    assert_eq!(read(&pid_file), "");
    let (code, _, errors) = outcome(&["-c", &conf, "-p", pid_file.to_str().expect("text")]);
    assert_eq!(code, 0, "{errors}");
    Detached {
        pid: pid_in(&pid_file).expect("a pid file"),
    }
    .end();
}

#[test]
fn a_user_that_does_not_exist_exits_with_78_and_is_named() {
    if !is_root("a_user_that_does_not_exist_exits_with_78_and_is_named") {
        return;
    }
    let folder = shared_folder();
    let conf = configure_as(folder.path(), "no-such-user");
    // `-t` reports it before a start fails.
    for arguments in [&["-c", &conf][..], &["-t", "-c", &conf]] {
        let (code, _, errors) = outcome(arguments);
        assert_eq!(code, 78, "{errors}");
        assert!(errors.contains("no-such-user"), "{errors}");
    }
}

#[test]
fn without_root_the_user_stays() {
    use std::os::unix::process::CommandExt;
    if !is_root("without_root_the_user_stays") {
        return;
    }
    let nobody = User::from_name("nobody")
        .expect("users")
        .expect("there is always nobody");
    let folder = shared_folder();
    let conf = configure_as(folder.path(), "daemon");
    // The build may be in a folder that only root can read, so a copy is used.
    let copy = folder.path().join("gmetad");
    copy_of_gmetad(&copy);
    let errors = folder.path().join("stderr");
    let mut child = std::process::Command::new(copy)
        .args(["-f", "-c", &conf])
        .uid(nobody.uid.as_raw())
        .gid(nobody.gid.as_raw())
        .stderr(File::create(&errors).expect("a file"))
        .spawn()
        .expect("it may be run");
    wait_for("the line that says where it listens", || {
        listening(&read(&errors))
    });
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let uid = Uid::from_raw(nobody.uid.as_raw());
    assert!(status.contains(&format!("Uid:\t{uid}\t{uid}")), "{status}");
    kill(crate::support::pid_of(&child), Signal::SIGTERM).expect("it runs");
    assert_eq!(child.wait().expect("our own child").code(), Some(0));
}
