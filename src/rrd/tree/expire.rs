//! `expire_rrds`: removes the files of hosts that have not been heard of for a number of days.
//!
//! Knows nothing of what is being written: it looks at the files on disk, one folder at a time.
//!
//! A host is compared with its cluster: its files expire when a file of the cluster was written that
//! many days after the last of the host's. So nothing expires because gmetad or the source was down.
//! A whole cluster expires when gmetad has run for that many days without hearing of it. Anything
//! that is not a round-robin file, or is reached through a link, is left alone.

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use gmetad_config::Config;

/// Between two sweeps.
const PERIOD_SECS: i64 = 6 * 3600;

/// Polls that every source has had before the first sweep.
const POLLS_BEFORE: u32 = 10;

/// After this time an rrdcached is taken to have written what it was given.
const RRDCACHED_HOLDS: Duration = Duration::from_secs(86_400);

/// Pause between two folders, to leave the disk to others.
const PAUSE: Duration = Duration::from_millis(2);

/// Longest time between two checks of the clock, which may be set.
const LONGEST_WAIT_SECS: i64 = 600;

/// What a round-robin file begins with.
const MAGIC: [u8; 4] = *b"RRD\0";

/// Removes old files, a folder a step.
#[derive(Debug)]
pub(crate) struct Expiry {
    root: PathBuf,
    limit_secs: i64,
    /// Time after the start until every source has been polled and its values written.
    settling_secs: i64,
    /// When the first step was.
    started: Option<i64>,
    state: SweepState,
    /// Files removed in this sweep.
    removed: u64,
    /// Folders that could not be looked at or emptied in this sweep.
    failures: u64,
}

#[derive(Debug)]
enum SweepState {
    /// Until then.
    Waiting { until: i64 },
    /// A sweep is under way.
    Sweeping {
        root: OwnedFd,
        /// Clusters whose folders are still to be looked at.
        nodes: VecDeque<CString>,
        node: Option<Node>,
    },
}

/// The folder of a cluster or grid.
#[derive(Debug)]
struct Node {
    name: CString,
    fd: OwnedFd,
    /// Its folders that are still to be looked at.
    unseen: VecDeque<CString>,
    /// When one of its files was last written, or earlier.
    newest: i64,
    /// Folders in which nothing was written within the limit, and when something last was.
    stale: Vec<(CString, i64)>,
}

impl Expiry {
    /// As configured, if it is.
    pub(crate) fn new(config: &Config) -> Option<Expiry> {
        let rrd = &config.rrd;
        let days = rrd.expire_days.filter(|_| rrd.write)?;
        let longest = config.sources.iter().map(|source| source.interval).max();
        let polls = longest.unwrap_or_default() * POLLS_BEFORE;
        let mut held = rrd.write_timeout * 2 + rrd.write_jitter.unwrap_or_default();
        if config.exports.rrdcached.is_some() {
            // How long it holds values is its own affair.
            held += RRDCACHED_HOLDS;
        }
        Some(Expiry {
            root: rrd.rootdir.clone(),
            limit_secs: i64::from(days.get()) * 86_400,
            settling_secs: (polls + held).as_secs() as i64,
            started: None,
            state: SweepState::Waiting { until: i64::MIN },
            removed: 0,
            failures: 0,
        })
    }

    /// Looks at one folder, or removes the files of one; when to come again.
    pub(crate) fn step(&mut self) -> Duration {
        // A clock set before 1970 makes every file too new.
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.step_at(now.map_or(0, |now| now.as_secs() as i64))
    }

    fn step_at(&mut self, now: i64) -> Duration {
        // A clock that is set back lengthens no wait.
        let started = self.started.map_or(now, |started| started.min(now));
        self.started = Some(started);
        let outcome = match &self.state {
            SweepState::Waiting { until } => {
                let until = (*until).min(now + PERIOD_SECS);
                let until = until.max(started + self.settling_secs);
                if now < until {
                    let wait = (until - now).min(LONGEST_WAIT_SECS);
                    return Duration::from_secs(wait as u64);
                }
                self.begin(now)
            }
            SweepState::Sweeping { .. } => self.sweep(now, started),
        };
        if let Err(errno) = outcome {
            self.failures += 1;
            if self.failures == 1 {
                log::error!(
                    "expire_rrds: some files below {} cannot be read or removed: {}; the next sweep \
                     tries again",
                    self.root.display(),
                    errno.desc()
                );
            }
        }
        PAUSE
    }

    /// One folder of a sweep.
    fn sweep(&mut self, now: i64, started: i64) -> Result<(), Errno> {
        let SweepState::Sweeping { root, nodes, node } = &mut self.state else {
            return Ok(());
        };
        let Some(current) = node else {
            if let Some(name) = nodes.pop_front() {
                *node = Node::enter(root, name)?;
            } else {
                self.finish(now);
            }
            return Ok(());
        };
        if let Some(folder) = current.unseen.pop_front() {
            return current.look_at(folder, now - self.limit_secs);
        }
        if let Some((folder, last)) = current.stale.pop() {
            let heard = current.newest.min(now);
            let host_is_gone = heard - last > self.limit_secs;
            let node_is_gone = now - heard.max(started) > self.limit_secs;
            if host_is_gone || node_is_gone {
                let days = (now - last) / 86_400;
                self.removed += current.clear(&folder, last, days)?;
            }
            return Ok(());
        }
        // It is not empty, nearly always.
        let _ = unlinkat(&*root, current.name.as_c_str(), UnlinkatFlags::RemoveDir);
        *node = None;
        Ok(())
    }

    fn begin(&mut self, now: i64) -> Result<(), Errno> {
        // Whatever comes of it, it is not tried again at once.
        self.state = SweepState::Waiting {
            until: now + PERIOD_SECS,
        };
        (self.removed, self.failures) = (0, 0);
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(&self.root, flags, Mode::empty())?;
        let nodes = folders(&root)?;
        self.state = SweepState::Sweeping {
            root,
            nodes,
            node: None,
        };
        Ok(())
    }

    fn finish(&mut self, now: i64) {
        if self.removed > 0 {
            log::info!("expire_rrds: sweep done, {} removed", files(self.removed));
        }
        self.state = SweepState::Waiting {
            until: now + PERIOD_SECS,
        };
    }
}

impl Node {
    /// Goes into a folder, unless it is gone meanwhile.
    fn enter(root: &OwnedFd, name: CString) -> Result<Option<Node>, Errno> {
        let fd = match open_folder(root, &name) {
            Err(Errno::ENOENT) => return Ok(None),
            opened => opened?,
        };
        Ok(Some(Node {
            unseen: folders(&fd)?,
            name,
            fd,
            newest: i64::MIN,
            stale: Vec::new(),
        }))
    }

    /// Finds out when a file in the folder was last written; stops at the first after `recent`.
    fn look_at(&mut self, folder: CString, recent: i64) -> Result<(), Errno> {
        let fd = match open_folder(&self.fd, &folder) {
            Err(Errno::ENOENT) => return Ok(()),
            opened => opened?,
        };
        let mut last = None;
        for name in entries(&fd)?.map(|entry| entry.0) {
            let Some(written) = written(&fd, &name) else {
                continue;
            };
            last = last.max(Some(written));
            if written > recent {
                break;
            }
        }
        // A folder without round-robin files is none of ours.
        let Some(last) = last else { return Ok(()) };
        self.newest = self.newest.max(last);
        if last <= recent {
            self.stale.push((folder, last));
        }
        Ok(())
    }

    /// Removes the files of a folder that were last written at `last` or before, and the folder if
    /// nothing is left; how many files that were.
    fn clear(&self, folder: &CStr, last: i64, days: i64) -> Result<u64, Errno> {
        let fd = open_folder(&self.fd, folder)?;
        let mut removed = 0;
        for (name, _) in entries(&fd)? {
            let is_old = written(&fd, &name).is_some_and(|written| written <= last);
            if is_old && is_round_robin(&fd, &name) {
                unlinkat(&fd, name.as_c_str(), UnlinkatFlags::NoRemoveDir)?;
                removed += 1;
            }
        }
        if removed > 0 {
            log::info!(
                "expire_rrds: removed {} of {}/{}, last written {days} days ago",
                files(removed),
                self.name.to_string_lossy(),
                folder.to_string_lossy()
            );
        }
        match unlinkat(&self.fd, folder, UnlinkatFlags::RemoveDir) {
            // Something else lies there, or has come to lie there.
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => Ok(removed),
            outcome => outcome.map(|()| removed),
        }
    }
}

fn files(count: u64) -> String {
    match count {
        1 => "1 file".into(),
        count => format!("{count} files"),
    }
}

/// Opens a folder in another; a link to a folder is refused.
fn open_folder(parent: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// Names of folders in a folder; links are none.
fn folders(parent: &OwnedFd) -> Result<VecDeque<CString>, Errno> {
    let is_folder = |(name, kind): &(CString, Option<Type>)| match kind {
        Some(kind) => *kind == Type::Directory,
        None => stat(parent, name).is_some_and(|stat| is(&stat, SFlag::S_IFDIR)),
    };
    let all = entries(parent)?.filter(is_folder);
    Ok(all.map(|(name, _)| name).collect())
}

/// What is in a folder, and of what kind it is where the file system says so.
fn entries(folder: &OwnedFd) -> Result<impl Iterator<Item = (CString, Option<Type>)>, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dir = Dir::openat(folder, c".", flags, Mode::empty())?;
    let all = dir.into_iter().filter_map(Result::ok);
    Ok(all
        .map(|entry| (entry.file_name().to_owned(), entry.file_type()))
        .filter(|(name, _)| !matches!(name.to_bytes(), b"." | b"..")))
}

/// When a file was last written, if it is one and has a round-robin file's name.
fn written(folder: &OwnedFd, name: &CStr) -> Option<i64> {
    if !name.to_bytes().ends_with(b".rrd") {
        return None;
    }
    let stat = stat(folder, name)?;
    is(&stat, SFlag::S_IFREG).then_some(stat.st_mtime)
}

fn stat(folder: &OwnedFd, name: &CStr) -> Option<FileStat> {
    fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()
}

fn is(stat: &FileStat, kind: SFlag) -> bool {
    stat.st_mode & SFlag::S_IFMT.bits() == kind.bits()
}

fn is_round_robin(folder: &OwnedFd, name: &CStr) -> bool {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let Ok(file) = openat(folder, name, flags, Mode::empty()) else {
        return false;
    };
    let mut head = [0; MAGIC.len()];
    File::from(file).read_exact(&mut head).is_ok() && head == MAGIC
}

#[cfg(test)]
mod tests {
    use std::fs::{self, FileTimes};
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    const DAY: i64 = 86_400;
    /// Now, in days since the epoch.
    const TODAY: i64 = 20_000;

    struct Bench {
        folder: tempfile::TempDir,
        expiry: Expiry,
    }

    impl Bench {
        /// Files are expired after ten days.
        fn new() -> Bench {
            let folder = tempfile::tempdir().unwrap();
            let mut config = Config::new("h");
            config.rrd.rootdir = folder.path().join("rrds");
            config.rrd.expire_days = std::num::NonZero::new(10);
            fs::create_dir(&config.rrd.rootdir).unwrap();
            let expiry = Expiry::new(&config).unwrap();
            Bench { folder, expiry }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join("rrds").join(name)
        }

        /// A file that was last written so many days ago.
        fn file(&self, name: &str, days_ago: i64) {
            write(&self.path(name), b"RRD\x000003", days_ago);
        }

        /// Sweeps once, at this day.
        fn sweep(&mut self, day: i64) {
            self.expiry.state = SweepState::Waiting { until: i64::MIN };
            let mut steps = 0;
            while self.expiry.step_at(day * DAY) == PAUSE {
                steps += 1;
                assert!(steps < 1000, "it ends");
            }
        }

        fn left(&self) -> Vec<String> {
            let root = self.folder.path().join("rrds");
            let mut left = Vec::new();
            let mut unseen = vec![root.clone()];
            while let Some(path) = unseen.pop() {
                for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
                    if entry.file_type().unwrap().is_dir() {
                        unseen.push(entry.path());
                    }
                    let name = entry.path();
                    let name = name.strip_prefix(&root).unwrap();
                    left.push(name.to_str().unwrap().to_owned());
                }
            }
            left.sort();
            left
        }
    }

    fn write(path: &Path, bytes: &[u8], days_ago: i64) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        let at = UNIX_EPOCH + Duration::from_secs(((TODAY - days_ago) * DAY) as u64);
        let file = File::options().write(true).open(path).unwrap();
        file.set_times(FileTimes::new().set_modified(at)).unwrap();
    }

    #[test]
    fn without_the_directive_there_is_none() {
        assert!(Expiry::new(&Config::new("h")).is_none());
    }

    #[test]
    fn a_host_not_heard_of_for_longer_than_its_cluster_goes() {
        let mut bench = Bench::new();
        bench.file("c/alive/load.rrd", 0);
        bench.file("c/alive/gone_metric.rrd", 50);
        bench.file("c/quiet/load.rrd", 9);
        bench.file("c/gone/load.rrd", 11);
        bench.file("c/gone/cpu.rrd", 30);
        bench.file("c/__SummaryInfo__/load.rrd", 0);
        bench.file("__SummaryInfo__/load.rrd", 0);
        bench.sweep(TODAY);
        assert_eq!(
            bench.left(),
            [
                "__SummaryInfo__",
                "__SummaryInfo__/load.rrd",
                "c",
                "c/__SummaryInfo__",
                "c/__SummaryInfo__/load.rrd",
                "c/alive",
                "c/alive/gone_metric.rrd",
                "c/alive/load.rrd",
                "c/quiet",
                "c/quiet/load.rrd",
            ]
        );
        assert_eq!((bench.expiry.removed, bench.expiry.failures), (2, 0));
    }

    #[test]
    fn time_in_which_nobody_listened_is_not_counted() {
        let mut bench = Bench::new();
        // All was down for a year, and two sources are up again.
        bench.file("c/alive/load.rrd", 365);
        bench.file("c/down/load.rrd", 366);
        bench.file("away/h/load.rrd", 365);
        bench.sweep(TODAY);
        assert_eq!(bench.left().len(), 8);
        // One day before the limit since the start, and one behind it.
        bench.sweep(TODAY + 9);
        assert_eq!(bench.left().len(), 8);
        write(&bench.path("c/alive/load.rrd"), b"RRD\0", -10);
        bench.sweep(TODAY + 11);
        assert_eq!(
            bench.left(),
            ["c", "c/alive", "c/alive/load.rrd"],
            "a cluster that was not heard of all the while goes as a whole"
        );
    }

    #[test]
    fn what_is_not_ours_stays() {
        let mut bench = Bench::new();
        bench.file("c/alive/load.rrd", 0);
        bench.file("c/gone/load.rrd", 30);
        write(&bench.path("c/gone/notes.txt"), b"RRD\0", 30);
        write(&bench.path("c/gone/fake.rrd"), b"no such thing", 30);
        write(&bench.path("c/foreign/data.bin"), b"RRD\0", 30);
        let outside = bench.folder.path().join("outside");
        write(&outside.join("h/load.rrd"), b"RRD\0", 30);
        symlink(&outside, bench.path("linked")).unwrap();
        symlink(outside.join("h"), bench.path("c/linked")).unwrap();
        fs::create_dir(bench.path("c/gone/folder.rrd")).unwrap();
        symlink(outside.join("h/load.rrd"), bench.path("c/gone/link.rrd")).unwrap();
        bench.sweep(TODAY);
        assert_eq!(
            bench.left(),
            [
                "c",
                "c/alive",
                "c/alive/load.rrd",
                "c/foreign",
                "c/foreign/data.bin",
                "c/gone",
                "c/gone/fake.rrd",
                "c/gone/folder.rrd",
                "c/gone/link.rrd",
                "c/gone/notes.txt",
                "c/linked",
                "linked",
            ]
        );
        assert!(outside.join("h/load.rrd").exists());
        assert_eq!(bench.expiry.removed, 1);
    }

    #[test]
    fn nothing_is_looked_at_before_every_source_has_been_heard() {
        let mut config = Config::new("h");
        config.rrd.expire_days = std::num::NonZero::new(1);
        config.rrd.rootdir = "/nonexistent".into();
        config.rrd.write_timeout = Duration::from_secs(100);
        config.sources.push(gmetad_core::source::SourceConfig {
            name: "s".into(),
            interval: Duration::from_secs(15),
            hosts: Vec::new(),
        });
        let mut expiry = Expiry::new(&config).unwrap();
        assert_eq!(expiry.step_at(1000), Duration::from_secs(350));
        assert_eq!(expiry.step_at(1349), Duration::from_secs(1));
        assert_eq!(expiry.failures, 0);
        assert_eq!(expiry.step_at(1350), PAUSE, "it tries");
        assert_eq!(expiry.failures, 1);
        assert_eq!(expiry.step_at(1350), Duration::from_secs(600), "later");
    }

    #[test]
    fn a_clock_that_is_set_back_and_a_long_interval_are_borne() {
        let mut bench = Bench::new();
        bench.expiry.settling_secs = 2 * PERIOD_SECS;
        assert_eq!(bench.expiry.step_at(TODAY * DAY), Duration::from_secs(600));
        assert_eq!(bench.expiry.step_at(DAY), Duration::from_secs(600));
        assert_eq!(bench.expiry.step_at(DAY + 2 * PERIOD_SECS), PAUSE);
    }
}
