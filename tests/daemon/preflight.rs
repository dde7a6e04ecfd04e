//! `gmetad -t` beside a start, through the real binary: what fails a start is an error of the check,
//! with the same exit code, and nothing on the machine is changed.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support::{Gmetad, configure, copy_of_gmetad, gmetad, skipped};
use nix::unistd::geteuid;

/// The exit code of `gmetad ARGUMENTS`, what it prints, and what it complains of.
#[track_caller]
fn outcome(arguments: &[&str]) -> (i32, String, String) {
    let output = gmetad().args(arguments).output().expect("gmetad runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("it ends by itself");
    (code, text(&output.stdout), text(&output.stderr))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// Everything below a folder, with permissions and sizes.
fn below(folder: &Path) -> Vec<(PathBuf, u32, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let about = fs::symlink_metadata(&path).expect("it is there");
        found.push((path.clone(), about.permissions().mode(), about.len()));
        if about.is_dir() {
            found.extend(below(&path));
        }
    }
    found.sort();
    found
}

fn taken() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn what_would_fail_a_start_is_an_error_with_the_same_exit_code() {
    let (_taken, port) = taken();
    let folder = tempfile::tempdir().expect("a folder");
    let there = folder.path().display();
    fs::write(folder.path().join("file"), "no socket").expect("written");
    for (directives, code, said) in [
        (format!("xml_port {port}"), 69, "xml_port 127.0.0.1:"),
        (
            format!("interactive_port {port}"),
            69,
            "interactive_port 127.0.0.1:",
        ),
        (
            "bind_address 192.0.2.1\nxml_port 8651".into(),
            78,
            "192.0.2.1:",
        ),
        (format!("logfile {there}/none/log"), 73, "log file"),
        (format!("logfile {there}"), 73, "log file"),
        (format!("rrd {{\nlisten {there}/none/s\n}}"), 71, "listen"),
        (format!("rrd {{\nlisten {there}/file\n}}"), 71, "listen"),
    ] {
        let conf = configure(folder.path(), &directives);
        let before = below(folder.path());
        let (tested, _, errors) = outcome(&["-t", "-c", text(&conf)]);
        assert_eq!(tested, code, "{directives}: {errors}");
        assert!(errors.contains(said), "{directives}: {errors}");
        assert_eq!(below(folder.path()), before, "{directives}");
        let (started, _, errors) = outcome(&["-f", "-c", text(&conf)]);
        assert_eq!(started, code, "{directives}: {errors}");
    }
    let conf = configure(folder.path(), "");
    for (pid_file, code) in [("none/pid", 73), ("rrds", 73)] {
        let pid_file = folder.path().join(pid_file);
        let arguments = ["-c", text(&conf), "-p", text(&pid_file)];
        let (tested, _, errors) = outcome(&[&["-t"], &arguments[..]].concat());
        assert_eq!(tested, code, "{errors}");
        assert!(errors.contains("pid file "), "{errors}");
        let (started, _, errors) = outcome(&[&["-f"], &arguments[..]].concat());
        assert_eq!(started, code, "{errors}");
    }
}

#[test]
fn the_process_that_holds_a_port_is_named() {
    let (_taken, port) = taken();
    let folder = tempfile::tempdir().expect("a folder");
    let conf = configure(folder.path(), &format!("xml_port {port}"));
    let (_, printed, errors) = outcome(&["-t", "-c", text(&conf)]);
    let pid = format!(
        "(pid {}) has the port; end that process, or choose another port",
        std::process::id()
    );
    assert!(errors.contains(&pid), "{errors}");
    assert!(
        printed.contains(": a start with it fails here\n"),
        "{printed}"
    );
}

#[test]
fn checking_while_gmetad_runs_reports_no_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid_file = folder.path().join("pid");
    let arguments = ["-p", text(&pid_file)];
    // Without files of its own, which come and go.
    let directives = "data_source a 127.0.0.1\nwrite_rrds off";
    let running = Gmetad::start_with(folder.path(), directives, &arguments);
    let port = |address: SocketAddr| address.port();
    let directives = format!(
        "data_source a 127.0.0.1\nxml_port {}\ninteractive_port {}",
        port(running.xml()),
        port(running.interactive())
    );
    let conf = configure(folder.path(), &directives);
    let before = below(folder.path());
    let (code, printed, errors) = outcome(&["-t", "-c", text(&conf), "-p", text(&pid_file)]);
    assert_eq!(code, 0, "{errors}");
    assert!(printed.contains(": sound\n"), "{printed}");
    let held = format!(
        " is held by gmetad (pid {}), which runs now; ",
        running.pid()
    );
    for what in [
        "warn: pid file ",
        "warn: xml_port 1",
        "warn: interactive_port 1",
    ] {
        let line = errors.lines().find(|line| line.contains(what));
        assert!(
            line.is_some_and(|it| it.contains(&held)),
            "{what} in\n{errors}"
        );
    }
    let files = |found: Vec<(PathBuf, u32, u64)>| {
        let names = found.into_iter().map(|(path, mode, _)| (path, mode));
        names.collect::<Vec<_>>()
    };
    assert_eq!(files(below(folder.path())), files(before));
    assert!(running.end().success());
}

#[test]
#[cfg_attr(
    not(all(feature = "rrd", feature = "loader")),
    ignore = "needs the features rrd and loader"
)]
fn what_a_start_survives_is_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "").expect("written");
    let there = folder.path().display();
    let directives = format!(
        "data_source a 300 gmond.invalid\ntrusted_hosts web.invalid\nplugins_dir {there}/none\n\
         rrd_rootdir {there}/file/rrds\nalrt {{\n}}\n\
         alert {{\ncommand {there}/file\nmetricrule a \"$val > 1\" m\n}}"
    );
    let conf = configure(folder.path(), &directives);
    let before = below(folder.path());
    let (code, printed, errors) = outcome(&["-t", "-c", text(&conf)]);
    assert_eq!(code, 0, "{errors}");
    assert!(printed.contains(": sound\n"), "{printed}");
    for said in [
        "the name gmond.invalid ",
        "the name web.invalid ",
        "data_source \"a\" is polled every 300 s: ",
        "section alrt is ignored: no plugin has that name, built in or in ",
        "; did you mean alert?",
        "none cannot be read, so no plugin is loaded from it: ",
        "file/rrds: ",
        "file cannot be run: ",
    ] {
        assert!(errors.contains(said), "{said} in\n{errors}");
    }
    assert!(
        errors.lines().all(|line| line.starts_with("gmetad: ")),
        "{errors}"
    );
    assert_eq!(below(folder.path()), before);
    let gmetad = Gmetad::start(folder.path(), &directives);
    assert!(gmetad.end().success());
}

#[test]
fn a_missing_user_is_reported_together_with_other_errors() {
    if !geteuid().is_root() {
        return skipped(
            "a_missing_user_is_reported_together_with_other_errors",
            "only root can become another user",
        );
    }
    let (_taken, port) = taken();
    let folder = tempfile::tempdir().expect("a folder");
    let conf = folder.path().join("gmetad.conf");
    let sound = format!("setuid_username nobady\nbind_address 127.0.0.1\nxml_port {port}\n");
    fs::write(&conf, &sound).expect("written");
    let (code, _, errors) = outcome(&["-t", "-c", text(&conf)]);
    assert_eq!(code, 78, "{errors}");
    let named = |errors: &str| errors.contains("the user nobady does not exist");
    assert!(
        named(&errors) && errors.contains("xml_port 127.0.0.1:"),
        "{errors}"
    );
    fs::write(&conf, format!("{sound}interactive_port x\n")).expect("written");
    let (code, _, errors) = outcome(&["-t", "-c", text(&conf)]);
    assert_eq!(code, 78, "{errors}");
    assert!(
        named(&errors) && errors.contains("gmetad.conf:4: "),
        "{errors}"
    );
}

#[test]
#[cfg_attr(
    not(all(feature = "rrd", feature = "loader")),
    ignore = "needs the features rrd and loader"
)]
fn folders_are_checked_as_the_user_that_root_switches_to() {
    if !geteuid().is_root() {
        return skipped(
            "folders_are_checked_as_the_user_that_root_switches_to",
            "only root can become another user",
        );
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    mode(folder.path(), 0o755).expect("ours");
    let [rrds, journal, plugins] = ["rrds", "journal", "plugins"].map(|it| folder.path().join(it));
    for made in [&rrds, &journal, &plugins] {
        fs::create_dir(made).expect("ours");
        mode(made, 0o700).expect("ours");
    }
    let conf = folder.path().join("gmetad.conf");
    let directives = format!(
        "data_source a 127.0.0.1\nsetuid_username nobody\nbind_address 127.0.0.1\nxml_port 0\n\
         interactive_port 0\nrrd_rootdir {}\nplugins_dir {}\n\
         rrd {{\nRRAs RRA:AVERAGE:0.5:1:244\nwrite_timeout 60\njournal_dir {}\n}}\n",
        rrds.display(),
        plugins.display(),
        journal.display()
    );
    fs::write(&conf, directives).expect("written");
    let before = below(folder.path());
    let (code, _, errors) = outcome(&["-t", "-c", text(&conf)]);
    assert_eq!(code, 0, "a start runs:\n{errors}");
    for (made, what) in [
        (&rrds, "write to"),
        (&journal, "write to"),
        (&plugins, "read"),
    ] {
        let said = format!(
            "user nobody may not {what} {}: Permission denied",
            made.display()
        );
        assert!(errors.contains(&said), "{said} in\n{errors}");
    }
    assert_eq!(below(folder.path()), before);
    for made in [&rrds, &journal, &plugins] {
        mode(made, 0o777).expect("ours");
    }
    let (code, _, errors) = outcome(&["-t", "-c", text(&conf)]);
    assert_eq!((code, errors.as_str()), (0, ""));
}

#[test]
fn without_root_it_says_what_was_not_checked() {
    use std::os::unix::process::CommandExt;
    if !geteuid().is_root() {
        return skipped(
            "without_root_it_says_what_was_not_checked",
            "only root can become another user",
        );
    }
    let nobody = nix::unistd::User::from_name("nobody")
        .expect("users")
        .expect("there is always nobody");
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let conf = configure(
        folder.path(),
        "data_source a 127.0.0.1\nsetuid on\nwrite_rrds off",
    );
    // A copy that the user nobody can run, whatever folder it was built in.
    let program = folder.path().join("gmetad");
    copy_of_gmetad(&program);
    let output = std::process::Command::new(&program)
        .args(["-t", "-c", text(&conf)])
        .uid(nobody.uid.as_raw())
        .gid(nobody.gid.as_raw())
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(
        errors.contains("gmetad: info: not checked: started by root, gmetad becomes user nobody"),
        "{errors}"
    );
}

#[test]
fn a_file_that_is_not_text_is_refused_with_its_position() {
    let folder = tempfile::tempdir().expect("a folder");
    let conf = folder.path().join("gmetad.conf");
    let utf_16: Vec<u8> = "gridname a\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (bytes, line) in [
        (&b"gridname a\n\x7fELF\x02\x00\x00"[..], 2),
        (&utf_16[..], 1),
    ] {
        fs::write(&conf, bytes).expect("written");
        for option in ["-t", "-f"] {
            let (code, _, errors) = outcome(&[option, "-c", text(&conf)]);
            assert_eq!(code, 78, "{errors}");
            let said = format!("gmetad.conf:{line}: the file is not text");
            assert!(errors.contains(&said), "{errors}");
        }
    }
}
