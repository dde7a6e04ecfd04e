//! What `make install` puts where, what it leaves alone, and what `make uninstall` takes back.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::is_root;
use crate::support::peers::available;
use crate::support::read;

/// A root to install into, and the binaries that are installed.
struct Root {
    folder: tempfile::TempDir,
}

impl Root {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let built = folder.path().join("target/release");
        fs::create_dir_all(&built).expect("our own folder");
        for (name, binary) in [
            ("gmetad", env!("CARGO_BIN_EXE_gmetad")),
            (
                "gmetad-consistency-test",
                env!("CARGO_BIN_EXE_gmetad-consistency-test"),
            ),
        ] {
            symlink(binary, built.join(name)).expect("our own folder");
        }
        Root { folder }
    }

    fn make(&self, target: &str, options: &[&str]) -> (bool, String) {
        let output = Command::new("make")
            .arg(target)
            // The last one counts.
            .arg("RRDUSER=nobody")
            .args(options)
            .arg(format!("DESTDIR={}", self.at("").display()))
            .env("CARGO_TARGET_DIR", self.folder.path().join("target"))
            .env_remove("MAKEFLAGS")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("make");
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    #[track_caller]
    fn install(&self, options: &[&str]) -> String {
        let (done, said) = self.make("install", options);
        assert!(done, "{said}");
        said
    }

    #[track_caller]
    fn uninstall(&self, options: &[&str]) {
        let (done, said) = self.make("uninstall", options);
        assert!(done, "{said}");
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path)
    }

    /// All files that are there.
    fn files(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    walk(&path, files);
                } else {
                    files.push(path);
                }
            }
        }
        let mut files = Vec::new();
        walk(&self.at(""), &mut files);
        files
    }
}

const SCRIPTS: [(&str, &str); 3] = [
    ("systemd", "etc/systemd/system/gmetad.service"),
    ("sysv", "etc/init.d/gmetad"),
    ("openrc", "etc/init.d/gmetad"),
];

#[test]
fn uninstall_removes_all_that_install_created() {
    let root = Root::new();
    for (init, script) in SCRIPTS {
        let init = format!("INIT={init}");
        root.install(&[&init]);
        for file in [
            "usr/local/sbin/gmetad",
            "usr/local/bin/gmetad-consistency-test",
            "usr/local/share/man/man8/gmetad.8",
            "usr/local/share/bash-completion/completions/gmetad",
            "usr/local/share/zsh/site-functions/_gmetad",
            "usr/local/share/fish/vendor_completions.d/gmetad.fish",
            "etc/ganglia/gmetad.conf",
            "etc/logrotate.d/gmetad",
            script,
            match init.as_str() {
                "INIT=systemd" => "etc/tmpfiles.d/gmetad.conf",
                "INIT=sysv" => "etc/default/gmetad",
                _ => "etc/init.d/gmetad",
            },
        ] {
            assert!(root.at(file).is_file(), "{file} with {init}");
        }
        assert!(root.at("var/lib/ganglia/rrds").is_dir());
        let script = read(&root.at(script));
        assert!(script.contains("/usr/local/sbin/gmetad"), "{script}");
        // Once more, as after an update: nothing was edited.
        assert!(!root.install(&[&init]).contains(".new"));
        root.uninstall(&[]);
        assert_eq!(root.files(), [""; 0].map(PathBuf::from), "{init}");
    }
    let (done, said) = root.make("install", &["INIT=upstart"]);
    assert!(!done && said.contains("not upstart"), "{said}");
}

#[test]
fn an_edited_file_is_kept_and_the_new_one_put_beside_it() {
    let root = Root::new();
    let (conf, script) = (
        root.at("etc/ganglia/gmetad.conf"),
        root.at("etc/init.d/gmetad"),
    );
    fs::create_dir_all(conf.parent().expect("a folder")).expect("our own folder");
    fs::write(&conf, "data_source \"mine\" 192.0.2.1\n").expect("our own folder");
    root.install(&["INIT=sysv"]);
    let edited = read(&script).replace("PATIENCE=20", "PATIENCE=60");
    fs::write(&script, &edited).expect("our own file");
    let said = root.install(&["INIT=sysv"]);
    assert!(said.contains("init.d/gmetad.new"), "{said}");
    assert_eq!(read(&conf), "data_source \"mine\" 192.0.2.1\n");
    let new = read(&conf.with_extension("conf.new"));
    assert!(new.contains("data_source \"my cluster\" localhost"));
    assert_eq!(read(&script), edited);
    assert!(read(&script.with_extension("new")).contains("PATIENCE=20"));
    root.uninstall(&[]);
    assert_eq!(root.files().len(), 2, "{:?}", root.files());
    assert_eq!(read(&script), edited);
}

#[test]
fn a_file_not_edited_since_an_older_version_is_replaced() {
    let root = Root::new();
    root.install(&["INIT=sysv"]);
    let script = root.at("etc/init.d/gmetad");
    let record = root.at("usr/local/share/gmetad/installed");
    // As an older version had installed it.
    let older = "#!/bin/sh\nexec /usr/local/sbin/gmetad\n";
    fs::write(&script, older).expect("our own file");
    let sum = Command::new("sha256sum").arg(&script).output();
    let sum = String::from_utf8(sum.expect("coreutils").stdout).expect("text");
    let sum = sum.split(' ').next().expect("a sum");
    fs::write(&record, format!("{sum}  /etc/init.d/gmetad\n")).expect("our own file");
    root.install(&["INIT=sysv"]);
    assert!(read(&script).contains("### BEGIN INIT INFO"));
    assert!(!script.with_extension("new").exists());
    let mode = fs::metadata(&script).expect("it is there").permissions();
    assert_eq!(mode.mode() & 0o777, 0o755);
}

#[test]
fn a_stripped_binary_in_other_folders_still_runs() {
    let root = Root::new();
    let options = ["PREFIX=/opt/g", "SYSCONFDIR=/opt/g/etc", "INIT=systemd"];
    let unit_folder = "UNITDIR=/usr/lib/systemd/system";
    root.install(&[&options[..], &[unit_folder, "INSTALL_STRIP=yes"]].concat());
    let binary = root.at("opt/g/sbin/gmetad");
    let version = Command::new(&binary).arg("--version").output();
    assert!(version.expect("it starts").status.success());
    let size = |path: &Path| fs::metadata(path).expect("it is there").len();
    assert!(size(&binary) < size(Path::new(env!("CARGO_BIN_EXE_gmetad"))));
    let unit = read(&root.at("usr/lib/systemd/system/gmetad.service"));
    assert!(unit.contains("ExecStart=/opt/g/sbin/gmetad -f "));
    assert!(unit.contains("Environment=CONF=/opt/g/etc/ganglia/gmetad.conf"));
    root.uninstall(&[&options[..], &[unit_folder]].concat());
    assert_eq!(root.files(), [""; 0].map(PathBuf::from));
}

/// The completions of a shell for the beginning of a command line.
fn offered(shell: &str, script: &str) -> Vec<String> {
    let output = Command::new(shell)
        .args(["-c", script])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/completions"))
        .output()
        .expect("the shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{shell}: {said}"
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().map(Into::into).collect()
}

#[test]
fn bash_completes_options_and_their_values() {
    let ask = |line: &str| {
        let script = format!(
            ". ./gmetad.bash; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _gmetad; \
             echo \"${{COMPREPLY[@]}}\""
        );
        offered("bash", &script)
    };
    assert_eq!(ask("gmetad --te"), ["--test-config", "--test-plugin"]);
    assert_eq!(ask("gmetad -d ''"), ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(ask("gmetad --debug = 4"), ["4"]);
    assert_eq!(ask("gmetad --conf = gmetad.f"), ["gmetad.fish"]);
    assert_eq!(ask("gmetad -c gmetad.b"), ["gmetad.bash"]);
    assert_eq!(ask("gmetad --heal-rrds gmetad.b"), ["gmetad.bash"]);
    assert_eq!(ask("gmetad ''"), [""; 0]);
}

#[test]
fn fish_completes_options_and_their_values() {
    if !available("fish_completes_options_and_their_values", &["fish"]) {
        return;
    }
    let ask = |line: &str| {
        let script = format!("source gmetad.fish; complete -C '{line}' | cut -f 1");
        offered("fish", &script)
    };
    assert_eq!(ask("gmetad --te"), ["--test-config", "--test-plugin"]);
    assert_eq!(ask("gmetad -d "), ["0", "1", "2", "3", "4", "5"]);
}

#[test]
fn systemd_creates_the_user_and_the_rrd_folder_and_leaves_one_to_its_owner() {
    let test = "systemd_creates_the_user_and_the_rrd_folder_and_leaves_one_to_its_owner";
    if !available(test, &["systemd-sysusers", "systemd-tmpfiles"]) {
        return;
    }
    let root = Root::new();
    let options = ["INIT=systemd", "RRDDIR=/srv/rrds", "RRDUSER=ganglia"];
    root.install(&options);
    fs::remove_dir_all(root.at("srv")).expect("install made it");
    let run = |tool: &str, options: &[&str]| {
        let root = format!("--root={}", root.at("").display());
        let output = Command::new(tool).arg(root).args(options).output();
        let output = output.expect("systemd");
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (done, said) = run("systemd-sysusers", &[]);
    assert!(done, "{said}");
    let users = read(&root.at("etc/passwd"));
    assert!(
        users.contains("\nganglia:") || users.starts_with("ganglia:"),
        "{users}{said}"
    );
    if is_root(test) {
        let rrds = root.at("srv/rrds");
        let (done, said) = run("systemd-tmpfiles", &["--create"]);
        assert!(done && rrds.is_dir(), "{said}");
        // As at each start of the machine, over the folder of a gmetad that was there before.
        chown(&rrds, Some(1), Some(1)).expect("root may");
        let (done, said) = run("systemd-tmpfiles", &["--create"]);
        let owner = fs::metadata(&rrds).expect("it is there").uid();
        assert!(done && owner == 1, "{owner} {said}");
    }
    for made in ["passwd", "group", "shadow", "gshadow", ".pwd.lock"] {
        let _ = fs::remove_file(root.at("etc").join(made));
    }
    root.uninstall(&options);
    assert_eq!(root.files(), [""; 0].map(PathBuf::from));
}
