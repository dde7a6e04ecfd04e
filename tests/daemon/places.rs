//! The files that a start opens, often as root: each has the right type and owner, or it
//! is refused with the reason.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};

use crate::support::{configure, gmetad, read, skipped};

/// Exit code and standard error of a start that is expected to fail.
fn outcome(arguments: &[&str]) -> (i32, String) {
    let output = gmetad()
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("built");
    let code = output.status.code().expect("it ends by itself");
    (code, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// A folder of root with a file to be protected, and a folder of the user nobody.
struct Hostile {
    folder: tempfile::TempDir,
    victim: PathBuf,
    theirs: PathBuf,
}

impl Hostile {
    fn new(test: &str) -> Option<Hostile> {
        if !geteuid().is_root() {
            skipped(test, "only root has something to lose");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("ours");
        let (victim, theirs) = (folder.path().join("victim"), folder.path().join("theirs"));
        fs::write(&victim, "precious").expect("ours");
        fs::set_permissions(&victim, Permissions::from_mode(0o600)).expect("ours");
        fs::create_dir(&theirs).expect("ours");
        chown(&theirs, Some(65_534), Some(65_534)).expect("root may");
        Some(Hostile {
            folder,
            victim,
            theirs,
        })
    }

    /// A start with these files exits with 73 and that reason, and the protected file is unchanged.
    #[track_caller]
    fn is_refused(&self, arguments: &[&str], reason: &str) {
        let conf = configure(self.folder.path(), "setuid_username nobody\n");
        let (code, errors) = outcome(&[&["-f", "-c", text(&conf)], arguments].concat());
        assert_eq!(code, 73, "{errors}");
        assert!(errors.contains(reason), "{errors}");
        assert_eq!(read(&self.victim), "precious");
        assert_eq!(fs::metadata(&self.victim).expect("there").uid(), 0);
    }
}

#[test]
fn as_root_it_follows_no_link_of_another_user_to_its_log_or_pid_file() {
    let test = "as_root_it_follows_no_link_of_another_user_to_its_log_or_pid_file";
    let Some(hostile) = Hostile::new(test) else {
        return;
    };
    let link = hostile.theirs.join("link");
    symlink(&hostile.victim, &link).expect("ours");
    let new = hostile.theirs.join("new");
    symlink(hostile.folder.path().join("made"), &new).expect("ours");
    let name = hostile.theirs.join("name");
    fs::hard_link(&hostile.victim, &name).expect("ours");
    let reason = "is a link that others than root may have made; name what it leads to";
    for path in [&link, &new] {
        hostile.is_refused(&["-l", text(path)], reason);
        hostile.is_refused(&["-p", text(path)], reason);
    }
    assert!(!hostile.folder.path().join("made").exists());
    hostile.is_refused(&["-l", text(&name)], "it has 2 names (hard links)");
    hostile.is_refused(&["-p", text(&name)], "it has 2 names (hard links)");
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn as_root_it_creates_no_folder_behind_a_link_of_another_user() {
    let test = "as_root_it_creates_no_folder_behind_a_link_of_another_user";
    let Some(hostile) = Hostile::new(test) else {
        return;
    };
    let real = hostile.folder.path().join("real");
    fs::create_dir(&real).expect("ours");
    symlink(&real, hostile.theirs.join("link")).expect("ours");
    let root = hostile.theirs.join("link/rrds");
    let conf = hostile.folder.path().join("gmetad.conf");
    let directives = format!(
        "setuid_username nobody\nrrd_rootdir \"{}\"\ndata_source \"s\" 127.0.0.1:1\n",
        root.display()
    );
    fs::write(&conf, directives).expect("ours");
    let (code, errors) = outcome(&["--once", "-c", text(&conf)]);
    assert_eq!(code, 1, "its source is not there: {errors}");
    assert_eq!(fs::read_dir(&real).expect("ours").count(), 0, "{errors}");
}

#[test]
fn links_owned_by_root_are_followed() {
    let test = "links_owned_by_root_are_followed";
    let Some(hostile) = Hostile::new(test) else {
        return;
    };
    // As /var/run leads to /run, and a folder of logs to another disk.
    let at = |name: &str| hostile.folder.path().join(name);
    fs::create_dir(at("run")).expect("ours");
    fs::create_dir(at("var")).expect("ours");
    symlink("../run", at("var/run")).expect("ours");
    symlink(at("run/real-log"), at("var/log")).expect("ours");
    let conf = configure(hostile.folder.path(), "setuid_username nobody\n");
    let (log, pid) = (at("var/log"), at("var/run/pid"));
    let (code, errors) = outcome(&["-c", text(&conf), "-l", text(&log), "-p", text(&pid)]);
    assert_eq!(code, 0, "{errors}");
    let daemon: i32 = read(&at("run/pid")).trim().parse().expect("a pid");
    let daemon = nix::unistd::Pid::from_raw(daemon);
    nix::sys::signal::kill(daemon, nix::sys::signal::Signal::SIGTERM).expect("it runs");
    crate::support::wait_until("the end of the daemon", || {
        read(&at("run/real-log")).contains("gmetad has stopped")
    });
}

#[test]
fn a_log_or_pid_file_that_is_a_fifo_fails_the_start_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let conf = configure(folder.path(), "");
    let fifo = folder.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).expect("ours");
    for option in ["-l", "-p"] {
        let (code, errors) = outcome(&["-f", "-c", text(&conf), option, text(&fifo)]);
        assert_eq!(code, 73, "{errors}");
        assert!(
            errors.contains("it is a FIFO, not a regular file"),
            "{errors}"
        );
        let (code, errors) = outcome(&["-t", "-c", text(&conf), option, text(&fifo)]);
        assert_eq!(code, 73, "{errors}");
        assert!(errors.contains("it is not a regular file"), "{errors}");
    }
}

#[test]
fn a_pid_file_with_other_contents_is_left_untouched() {
    let folder = tempfile::tempdir().expect("a folder");
    let conf = configure(folder.path(), "");
    let path = folder.path().join("notes");
    fs::write(&path, "precious\n").expect("ours");
    let (code, errors) = outcome(&["-f", "-c", text(&conf), "-p", text(&path)]);
    assert_eq!(code, 73, "{errors}");
    assert!(
        errors.contains("is not overwritten: it holds something else than a pid; remove it"),
        "{errors}"
    );
    assert_eq!(read(&path), "precious\n");
}
