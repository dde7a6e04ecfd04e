//! The System V init script, over the real binary.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::peers::{CGmetad, available};
use crate::support::{Gmetad, configure, read};

/// The script with this test's own binary, configuration and pid file.
struct InitScript {
    path: PathBuf,
    folder: PathBuf,
}

impl InitScript {
    fn new(folder: &Path) -> Self {
        let conf = configure(folder, "");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/init.d/gmetad");
        let text = fs::read_to_string(source).expect("it is part of the project");
        let ours = [
            ("/usr/sbin/gmetad", env!("CARGO_BIN_EXE_gmetad")),
            ("/etc/ganglia/gmetad.conf", conf.to_str().expect("text")),
            (
                "/run/gmetad.pid",
                folder.join("pid").to_str().expect("text"),
            ),
            (
                "/etc/default/gmetad",
                folder.join("default").to_str().expect("text"),
            ),
            (
                "/etc/sysconfig/gmetad",
                folder.join("sysconfig").to_str().expect("text"),
            ),
        ]
        .into_iter()
        .fold(text, |text, (theirs, ours)| {
            assert!(text.contains(theirs), "{theirs} is not in the script");
            text.replace(theirs, ours)
        });
        let path = folder.join("init");
        fs::write(&path, ours).expect("our own folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
        InitScript {
            path,
            folder: folder.into(),
        }
    }

    /// The exit code of an action, and what it said.
    #[track_caller]
    fn run(&self, action: &str) -> (Option<i32>, String) {
        let output = Command::new("sh")
            .arg(&self.path)
            .arg(action)
            .output()
            .expect("a shell");
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    fn pid(&self) -> String {
        read(&self.folder.join("pid")).trim().into()
    }
}

impl Drop for InitScript {
    fn drop(&mut self) {
        self.run("stop");
    }
}

#[test]
fn it_starts_reloads_restarts_and_stops_with_the_codes_lsb_asks_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = InitScript::new(folder.path());
    assert_eq!(script.run("status").0, Some(3));
    assert_eq!(
        script.run("stop").0,
        Some(0),
        "what does not run is stopped"
    );
    assert_eq!(script.run("reload").0, Some(7));

    let (code, said) = script.run("start");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("gmetad started\n"), "{said}");
    let first = script.pid();
    assert_eq!(
        script.run("status"),
        (Some(0), format!("gmetad is running, pid {first}\n"))
    );
    assert_eq!(script.run("start").0, Some(0), "what runs is started");
    assert_eq!(script.run("reload").0, Some(0));
    assert_eq!(script.pid(), first);

    assert_eq!(script.run("restart").0, Some(0));
    assert_ne!(script.pid(), first);
    assert_eq!(script.run("stop"), (Some(0), "gmetad ended\n".into()));
    assert_eq!(script.run("status").0, Some(3));
    assert_eq!(script.run("try-restart").0, Some(0));
    assert_eq!(script.run("status").0, Some(3));
    assert_eq!(script.run("frobnicate").0, Some(2));
}

#[test]
fn a_configuration_error_fails_the_start_and_leaves_the_running_daemon_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = InitScript::new(folder.path());
    assert_eq!(script.run("start").0, Some(0));
    let pid = script.pid();
    configure(folder.path(), "xml_port sesame");
    let (code, said) = script.run("restart");
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("sesame"), "{said}");
    assert_eq!(script.pid(), pid, "the old one still runs");
    assert_eq!(script.run("status").0, Some(0));
    for verb in ["reload", "force-reload"] {
        let (code, said) = script.run(verb);
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains("sesame"), "{said}");
    }
    script.run("stop");
    assert_eq!(script.run("start").0, Some(78));
}

#[test]
fn status_distinguishes_a_killed_gmetad_from_a_stopped_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = InitScript::new(folder.path());
    fs::write(folder.path().join("pid"), "1\n").expect("written");
    assert_eq!(script.run("status").0, Some(1), "another program's pid");
    assert_eq!(script.run("start").0, Some(0));
    assert_eq!(script.run("status").0, Some(0));
}

#[test]
fn settings_are_read_from_default_and_from_sysconfig() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = InitScript::new(folder.path());
    fs::write(folder.path().join("default"), "OPTIONS='--frobnicate'\n").expect("written");
    assert_eq!(script.run("start").0, Some(64));
    fs::write(folder.path().join("sysconfig"), "OPTIONS='-d 1'\n").expect("written");
    assert_eq!(script.run("start").0, Some(0));
}

#[test]
fn the_usage_names_every_verb() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = InitScript::new(folder.path());
    let (_, said) = script.run("help");
    let text = read(&script.path);
    let (_, cases) = text.split_once("\ncase $1 in\n").expect("its verbs");
    let labels = cases.lines().filter_map(|line| {
        let label = line
            .strip_prefix("    ")
            .filter(|it| !it.starts_with(' '))?;
        label.split_once(')').map(|(verbs, _)| verbs)
    });
    let verbs: Vec<&str> = labels
        .flat_map(|verbs| verbs.split(" | "))
        .filter(|verb| *verb != "*")
        .collect();
    assert!(verbs.contains(&"condrestart"), "{verbs:?}");
    for verb in verbs {
        assert!(said.contains(verb), "{verb} is not in {said}");
    }
}

#[test]
fn a_running_c_gmetad_is_reported() {
    if !available("a_running_c_gmetad_is_reported", &["gmetad"]) {
        return;
    }
    let theirs = CGmetad::start("grid", &[("a", 15, 9)], "");
    let folder = tempfile::tempdir().expect("a folder");
    let script = InitScript::new(folder.path());
    let named = format!("C gmetad is running, pid {}; ", theirs.pid());
    let (code, said) = script.run("status");
    assert_eq!(code, Some(3));
    assert!(said.contains(&named), "{said}");
    configure(
        folder.path(),
        &format!("interactive_port {}", theirs.interactive_port()),
    );
    let (code, said) = script.run("start");
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains(&named), "{said}");
}

/// OpenRC's function of the script, with OpenRC's own as stubs.
fn openrc(folder: &Path, function: &str) -> (Option<i32>, String) {
    let at = |name: &str| folder.join(name).display().to_string();
    let script = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/openrc/gmetad"))
        .replace("/usr/sbin/gmetad", env!("CARGO_BIN_EXE_gmetad"))
        .replace("/etc/ganglia/gmetad.conf", &at("gmetad.conf"))
        .replace("/run/gmetad.pid", &at("pid"));
    let stubs =
        "ebegin() { echo \"$@\"; }; eend() { code=$1; shift; echo \"$@\"; return \"$code\"; }";
    let output = Command::new("sh")
        .args(["-c", &format!("{stubs}\n{script}\n{function}")])
        .output()
        .expect("a shell");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn openrc_checks_before_it_reloads() {
    let folder = tempfile::tempdir().expect("a folder");
    let gmetad = Gmetad::start(folder.path(), "");
    fs::write(folder.path().join("pid"), format!("{}\n", gmetad.pid())).expect("written");
    assert_eq!(openrc(folder.path(), "reload").0, Some(0));
    gmetad.wait_for_line("configuration reloaded");
    configure(folder.path(), "xml_port sesame");
    let (code, said) = openrc(folder.path(), "reload");
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("sesame") && said.contains("refused"),
        "{said}"
    );
    assert!(!gmetad.log().contains("reload failed"), "it was not asked");
}
