//! An RRD root that cannot be written and a full disk: logged with the reason, and logged when
//! it is over.
#![cfg(feature = "rrd")]

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::peers::{FakeSource, Script, available, document};
use crate::support::small_disk::{fill, with_a_small_disk};
use crate::support::web::get;
use crate::support::{Gmetad, full_name, gmetad, listening, read, rrd_info, skipped, wait_until};
use nix::unistd::{Uid, User, geteuid};
use tempfile::{TempDir, tempdir};

/// Metrics of the one host.
const METRICS: u32 = 20;

fn cluster_at(now: u64) -> Vec<u8> {
    let mut metrics = String::new();
    for number in 0..METRICS {
        let _ = write!(
            metrics,
            "<METRIC NAME=\"m{number}\" VAL=\"{}\" TYPE=\"uint32\" TN=\"0\" TMAX=\"60\" SLOPE=\"both\"/>",
            now % 100
        );
    }
    let cluster = format!(
        "<CLUSTER NAME=\"c\" LOCALTIME=\"{now}\">\n<HOST NAME=\"h\" REPORTED=\"{now}\" TN=\"0\" \
         TMAX=\"20\">{metrics}</HOST>\n</CLUSTER>\n"
    );
    document("gmond", &cluster)
}

/// A gmetad that root has started and that has become nobody.
struct AsNobody {
    child: std::process::Child,
    folder: TempDir,
}

impl AsNobody {
    /// Its root is that folder below its own, made with `prepare`.
    fn start(source: &FakeSource, umask: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("ours");
        prepare(folder.path());
        let conf = folder.path().join("gmetad.conf");
        let text = format!(
            "setuid_username nobody\numask {umask}\nbind_address 127.0.0.1\nxml_port 0\ninteractive_port 0\n\
             rrd_rootdir \"{}\"\ndata_source \"s\" 1 127.0.0.1:{}\nRRAs \"RRA:AVERAGE:0.5:1:100\"\n",
            folder.path().join("lib/rrds").display(),
            source.port()
        );
        fs::write(&conf, text).expect("our own folder");
        let log = fs::File::create(folder.path().join("log")).expect("our own folder");
        let child = gmetad()
            .arg("-fc")
            .arg(conf)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary was built");
        let started = AsNobody { child, folder };
        wait_until("gmetad to listen", || listening(&started.log()).is_some());
        started
    }

    fn log(&self) -> String {
        read(&self.folder.path().join("log"))
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("lib/rrds")
    }

    fn healthz(&self) -> (u16, String) {
        let (_, interactive) = listening(&self.log()).expect("it listens");
        let answer = get(interactive, "/healthz");
        (answer.code, answer.text())
    }

    fn wait_for_line(&self, part: &str) {
        wait_until(&format!("\"{part}\" in the log"), || {
            self.log().contains(part)
        });
    }

    /// Until every file of the host and of the sums is there, and all is well.
    fn wait_for_files(&self) {
        wait_until("all files", || {
            (0..METRICS).all(|at| self.root().join(format!("c/h/m{at}.rrd")).exists())
        });
        wait_until("all to be well", || self.healthz().0 == 200);
    }
}

impl Drop for AsNobody {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("gmetad's log:\n{}", self.log());
        }
    }
}

fn nobody() -> Option<User> {
    User::from_name("nobody").ok().flatten()
}

/// Whether to go on with a test that becomes nobody.
fn is_root(test: &str) -> bool {
    let can = geteuid().is_root() && nobody().is_some();
    if !can {
        skipped(test, "only root can become another user");
    }
    can
}

#[test]
fn a_missing_root_is_created_and_given_to_the_user() {
    if !is_root("a_missing_root_is_created_and_given_to_the_user") {
        return;
    }
    let source = FakeSource::start(Script::Clock(cluster_at));
    // The user nobody must still reach it.
    let gmetad = AsNobody::start(&source, "077", |_| ());
    gmetad.wait_for_files();
    let owner = |path: &Path| {
        use std::os::unix::fs::MetadataExt;
        Uid::from_raw(fs::metadata(path).expect("it is there").uid())
    };
    assert_eq!(owner(&gmetad.root()), nobody().expect("looked at").uid);
    let parent = gmetad.root();
    assert!(
        owner(parent.parent().expect("lib")).is_root(),
        "no more than needed"
    );
    assert!(!gmetad.log().contains("ERROR"), "{}", gmetad.log());
}

#[test]
fn a_root_owned_by_another_user_is_reported_with_the_reason_and_chown_repairs_it() {
    if !is_root("a_root_owned_by_another_user_is_reported_with_the_reason_and_chown_repairs_it") {
        return;
    }
    let source = FakeSource::start(Script::Clock(cluster_at));
    let gmetad = AsNobody::start(&source, "022", |folder| {
        fs::create_dir_all(folder.join("lib/rrds")).expect("our own folder");
    });
    let root = gmetad.root().display().to_string();
    gmetad.wait_for_line(&format!("RRD root {root} takes no files, nothing is stored until it does: no file can be created in {root} by user nobody: Permission denied; make this user its owner"));
    gmetad.wait_for_line(&format!(
        "{METRICS} RRD files cannot be written, such as {root}/c/h/m0.rrd"
    ));
    // Nor is any missing, but what a machine without a syslog lacks.
    let log = gmetad.log();
    let mut missing = log.lines().filter(|it| it.contains("No such file"));
    assert!(missing.all(|it| it.contains("no syslog")), "{log}");
    let (code, text) = gmetad.healthz();
    assert_eq!(code, 503);
    assert!(text.contains("RRD files cannot be written"), "{text}");
    let user = nobody().expect("looked at");
    chown(gmetad.root(), Some(user.uid.as_raw()), None).expect("root may");
    gmetad.wait_for_files();
    gmetad.wait_for_line("written again, after");

    // A folder below it, as one that another gmetad has left.
    let foreign = gmetad.root().join("c/h");
    chown(&foreign, Some(0), None).expect("root may");
    fs::remove_file(foreign.join("m3.rrd")).expect("root may");
    gmetad.wait_for_line(&format!(
        "RRD file {}/m3.rrd cannot be written, its values are lost until then: no file can be \
         created in {} by user nobody: Permission denied",
        foreign.display(),
        foreign.display()
    ));
    chown(&foreign, Some(user.uid.as_raw()), None).expect("root may");
    gmetad.wait_for_line("1 RRD file is written again, after");
}

#[test]
fn a_full_disk_is_reported_once_with_its_reason_and_recovery_is_logged() {
    with_a_small_disk(
        "a_full_disk_is_reported_once_with_its_reason_and_recovery_is_logged",
        &full_name(module_path!(), "full_disk"),
    );
}

/// Makes a file with that archive, none of whose next rows has a place on the disk.
fn make_sparse(path: &Path, archive: &str) {
    loop {
        let status = Command::new("rrdtool")
            .arg("create")
            .arg(path)
            .args(["--step", "1", "DS:sum:GAUGE:800:U:U", archive])
            .status();
        assert!(status.expect("rrdtool starts").success());
        // rrdtool throws dice for the first row. Those that share a block with the header have their place.
        if (1000..3000).contains(&current_row(path)) {
            break;
        }
    }
    let bytes = fs::read(path).expect("it was made");
    let rows = bytes.len() - 8 * 4000;
    fs::write(path, &bytes[..rows]).expect("our own disk");
    let file = fs::File::options().write(true).open(path);
    let file = file.expect("our own file");
    file.set_len(bytes.len() as u64).expect("our own file");
}

fn current_row(path: &Path) -> usize {
    let said = rrd_info(path, "rra[0].cur_row");
    said.expect("rrdtool says it").parse().expect("a number")
}

#[test]
#[ignore = "needs a disk of its own, which the test above gives it"]
fn full_disk() {
    let disk = PathBuf::from(std::env::var_os("DISK").expect("the test that starts this"));
    if !available("full_disk", &["rrdtool"]) {
        return;
    }
    let source = FakeSource::start(Script::Clock(cluster_at));
    let folder = tempdir().expect("a temporary folder");
    // Files with holes, as a sparse copy has them.
    let host = folder.path().join("rrds/c/h");
    std::os::unix::fs::symlink(&disk, folder.path().join("rrds")).expect("our own folder");
    fs::create_dir_all(&host).expect("our own disk");
    make_sparse(&host.join("m0.rrd"), "RRA:MAX:0.5:1:4000");
    make_sparse(&host.join("m1.rrd"), "RRA:AVERAGE:0.5:1:4000");
    let filler = fill(&disk);
    let conf = format!(
        "data_source \"s\" 1 127.0.0.1:{}\nRRAs \"RRA:AVERAGE:0.5:1:300\"\n",
        source.port()
    );
    let gmetad = Gmetad::start(folder.path(), &conf);
    let healthz = || get(gmetad.interactive(), "/healthz").code;
    wait_until("values that cannot be stored", || healthz() == 503);
    gmetad.wait_for_line("RRD root");
    gmetad.wait_for_line("No space left on device");
    source.wait_for_polls(4);
    let log = gmetad.log();
    let told = log
        .lines()
        .filter(|line| line.contains("cannot be written"));
    // Of the host, of its cluster's sums, and of all sums, which are updates of their own.
    assert!((1..=3).contains(&told.clone().count()), "{log}");
    for line in told {
        assert!(
            line.contains(": No space left on device; free space"),
            "{line}"
        );
    }
    fs::remove_file(filler).expect("our own file");
    gmetad.wait_for_line("written again, after");
    wait_until("all to be well", || healthz() == 200);
    // Of the host, and of both sums, which are made after them.
    wait_until("all files", || {
        ["c/h", "c/__SummaryInfo__", "__SummaryInfo__"]
            .iter()
            .all(|of| (0..METRICS).all(|at| disk.join(format!("{of}/m{at}.rrd")).exists()))
    });
    // The disk may be full again: existing files are still updated.
    let filler = fill(&disk);
    source.wait_for_polls(3);
    assert_eq!(healthz(), 200, "{}", gmetad.log());
    drop(filler);
    assert!(gmetad.end().success());
}
