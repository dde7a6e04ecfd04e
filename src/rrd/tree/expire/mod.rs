//! `expire_rrds`: removes the files of hosts that have not been heard of for a number of days.
//!
//! Knows nothing of what is being written, but for what waits to be: it looks at the files on disk, one
//! folder at a time.
//!
//! A host is compared with its cluster: its files expire when a file of the cluster was written that
//! many days after the last of the host's. So nothing expires because gmetad or the source was down.
//! A whole cluster expires when gmetad has run for that many days without hearing of it. Days are those
//! that a run has seen pass ([`seen`]), and nothing expires while no source agrees with this machine's
//! clock. Anything that is not a round-robin file, or is reached through a link, is left alone.

mod choice;
mod folders;
mod seen;

use std::collections::{BTreeSet, VecDeque};
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::paths::SUMMARY_DIR;
use choice::{Choice, Found, Stale, choose};
use folders::{entries, folders, is_round_robin, open_folder, written};
use gmetad_config::Config;
use gmetad_core::complaint::span;
use seen::SeenTime;

/// Between two sweeps.
const PERIOD_SECS: i64 = 6 * 3600;

/// Polls that every source has had before the first sweep.
const POLLS_BEFORE: u32 = 10;

/// After this time an rrdcached is taken to have written what it was given.
const RRDCACHED_HOLDS: Duration = Duration::from_secs(86_400);

/// Pause between two folders, to leave the disk to others.
const PAUSE: Duration = Duration::from_millis(2);

/// Longest time between two readings of the clock, which may be set.
const LONGEST_WAIT_SECS: i64 = 600;

/// A source whose clock differs by no more agrees with this machine's.
const AGREES_WITHIN_SECS: u64 = 600;

/// Clusters that are named for losing more than their share; others lose nothing.
const MOST_NAMED: usize = 32;

/// Folders that are looked at to find out when the last run has written.
const LOOKS_AT_START: usize = 256;

/// What of a folder below the root waits in memory or in a journal: its path from the root, and the name
/// of a file in it.
pub(crate) trait Waiting {
    /// Whether something waits for a file.
    fn has(&self, folder: &str, name: &str) -> bool;

    /// Whether it is not known what waits.
    fn is_unknown(&self) -> bool;
}

/// Removes old files, a folder a step.
#[derive(Debug)]
pub(crate) struct Expiry {
    root: PathBuf,
    limit_secs: i64,
    /// Time after the start, or a jump of the clock, until every source has been polled and its values
    /// written.
    settling_secs: i64,
    started: Instant,
    /// From the first step on.
    time: Option<SeenTime>,
    agreement: Agreement,
    state: SweepState,
    /// Files removed in this sweep.
    removed: u64,
    /// Folders that could not be looked at or emptied in this sweep.
    failures: u64,
    /// Clusters that were said to lose more than their share.
    named: BTreeSet<CString>,
}

/// Whether a source's clock agrees with this machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreement {
    /// None has since the start or the last jump.
    Open {
        /// Whether that was logged.
        told: bool,
    },
    /// One has.
    Found,
}

#[derive(Debug)]
enum SweepState {
    /// Until that much time has been seen to pass.
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
    /// Folders with round-robin files.
    hosts: usize,
    /// When one of its files was last written, or earlier.
    newest: i64,
    /// Folders in which nothing was written within the limit.
    stale: Vec<Stale<CString>>,
    /// Those of them that go, once all have been looked at.
    go: Option<Vec<Stale<CString>>>,
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
        let settling_secs = (polls + held).as_secs() as i64;
        Some(Expiry {
            root: rrd.rootdir.clone(),
            limit_secs: i64::from(days.get()) * 86_400,
            settling_secs,
            started: Instant::now(),
            time: None,
            agreement: Agreement::Open { told: false },
            state: SweepState::Waiting {
                until: settling_secs,
            },
            removed: 0,
            failures: 0,
            named: BTreeSet::new(),
        })
    }

    /// A source has answered at that time of day, and its clock said `localtime`.
    pub(crate) fn heard(&mut self, name: &str, localtime: i64, epoch: i64) {
        let Agreement::Open { told } = self.agreement else {
            return;
        };
        let is_of_now = self.time.as_ref().is_some_and(|it| it.is_of_now(epoch));
        if localtime <= 0 || !is_of_now || localtime.abs_diff(epoch) > AGREES_WITHIN_SECS {
            return;
        }
        self.agreement = Agreement::Found;
        if told {
            gmetad_core::recovered!(
                error: "expire_rrds: goes on: the clock of {name:?} agrees with this machine's"
            );
        }
    }

    /// Looks at one folder, or removes the files of one; when to come again.
    pub(crate) fn step(&mut self, waiting: &impl Waiting) -> Duration {
        // A clock set before 1970 makes every file too new.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        let wall = wall.map_or(0, |wall| wall.as_secs() as i64);
        self.step_at(self.started.elapsed().as_secs() as i64, wall, waiting)
    }

    fn step_at(&mut self, mono: i64, wall: i64, waiting: &impl Waiting) -> Duration {
        let now = self.read_clocks(mono, wall);
        let outcome = if let SweepState::Waiting { until } = self.state {
            let wait = if now < until {
                until - now
            } else if self.may_begin(waiting) {
                0
            } else {
                LONGEST_WAIT_SECS
            };
            if wait > 0 {
                return Duration::from_secs(wait.min(LONGEST_WAIT_SECS) as u64);
            }
            self.begin(now)
        } else {
            self.sweep(now, wall, waiting)
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

    /// How much time has been seen to pass. A jump of the clock ends a sweep and begins the start's
    /// waiting anew.
    fn read_clocks(&mut self, mono: i64, wall: i64) -> i64 {
        let Some(time) = &mut self.time else {
            let newest = last_write_before(&self.root);
            let time = self.time.insert(SeenTime::starts(mono, wall, newest));
            return time.now();
        };
        let jump = time.read(mono, wall);
        let now = time.now();
        let Some(jump) = jump else { return now };
        let was_told = self.agreement == Agreement::Open { told: true };
        self.agreement = Agreement::Open { told: true };
        self.state = SweepState::Waiting {
            until: now + self.settling_secs,
        };
        if !was_told {
            let direction = if jump > 0 { "ahead" } else { "back" };
            log::error!(
                "expire_rrds: this machine's clock has jumped {direction} by {}; no files are removed \
                 until a source's clock agrees with it",
                span(Duration::from_secs(jump.unsigned_abs()))
            );
        }
        now
    }

    /// Whether nothing keeps a sweep that is due from being begun.
    fn may_begin(&mut self, waiting: &impl Waiting) -> bool {
        match &mut self.agreement {
            Agreement::Found => !waiting.is_unknown(),
            Agreement::Open { told } => {
                if !std::mem::replace(told, true) {
                    log::error!(
                        "expire_rrds: no files are removed until a source's clock agrees with this \
                         machine's; set the clock that is wrong"
                    );
                }
                false
            }
        }
    }

    /// One folder of a sweep.
    fn sweep(&mut self, now: i64, wall: i64, waiting: &impl Waiting) -> Result<(), Errno> {
        let (SweepState::Sweeping { root, nodes, node }, Some(time)) =
            (&mut self.state, &self.time)
        else {
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
            return current.look_at(folder, time, now - self.limit_secs);
        }
        match current.go.as_mut().map(Vec::pop) {
            None => {
                current.choose(now, self.limit_secs, &mut self.named);
                return Ok(());
            }
            Some(Some(stale)) => {
                self.removed += current.clear(&stale, time, wall, waiting)?;
                return Ok(());
            }
            Some(None) => {}
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
            hosts: 0,
            newest: i64::MIN,
            stale: Vec::new(),
            go: None,
        }))
    }

    /// Finds out when a file in the folder was last written; stops at the first after `recent`.
    fn look_at(&mut self, folder: CString, time: &SeenTime, recent: i64) -> Result<(), Errno> {
        let fd = match open_folder(&self.fd, &folder) {
            Err(Errno::ENOENT) => return Ok(()),
            opened => opened?,
        };
        let mut last = None;
        for name in entries(&fd)?.map(|entry| entry.0) {
            let Some(written) = written(&fd, &name).map(|wall| time.of(wall)) else {
                continue;
            };
            last = last.max(Some(written));
            if written > recent {
                break;
            }
        }
        // A folder without round-robin files is none of ours.
        let Some(last) = last else { return Ok(()) };
        self.hosts += 1;
        self.newest = self.newest.max(last);
        if last <= recent {
            self.stale.push(Stale { folder, last });
        }
        Ok(())
    }

    /// All folders have been looked at: which go. Where these would be more than a share, that is
    /// logged before the first of them goes.
    fn choose(&mut self, now: i64, limit_secs: i64, named: &mut BTreeSet<CString>) {
        let stale = std::mem::take(&mut self.stale);
        let found = Found {
            hosts: self.hosts,
            heard: self.newest,
            now,
            limit_secs,
        };
        let Choice { mut go, later } = choose(stale, found);
        if later == 0 {
            named.remove(&self.name);
        } else if !named.contains(&self.name) {
            if named.len() < MOST_NAMED {
                named.insert(self.name.clone());
                log::error!(
                    "expire_rrds: {} of the {} hosts in {} have not been heard of for {} days; only {} \
                     lose their files now, the others in later sweeps, every {} hours; to keep them, \
                     set expire_rrds 0 and restart gmetad",
                    go.len() + later,
                    self.hosts,
                    self.name.to_string_lossy(),
                    limit_secs / 86_400,
                    go.len(),
                    PERIOD_SECS / 3600
                );
            } else {
                go.clear();
            }
        }
        self.go = Some(go);
    }

    /// Removes the files of a folder that were last written by then, and the folder if nothing is left;
    /// how many files that were. Nothing is removed while something waits for one of them.
    fn clear(
        &self,
        stale: &Stale<CString>,
        time: &SeenTime,
        wall: i64,
        waiting: &impl Waiting,
    ) -> Result<u64, Errno> {
        let Stale { folder, last } = stale;
        let fd = open_folder(&self.fd, folder)?;
        let names: Vec<CString> = entries(&fd)?.map(|(name, _)| name).collect();
        if self.has_waiting(folder, &names, waiting) {
            return Ok(0);
        }
        let mut removed = 0;
        let mut newest = i64::MIN;
        for name in names {
            let old = written(&fd, &name).filter(|wall| time.of(*wall) <= *last);
            if let Some(written) = old
                && is_round_robin(&fd, &name)
            {
                unlinkat(&fd, name.as_c_str(), UnlinkatFlags::NoRemoveDir)?;
                removed += 1;
                newest = newest.max(written);
            }
        }
        if removed > 0 {
            log::info!(
                "expire_rrds: removed {} of {}/{}, last written {} days ago",
                files(removed),
                self.name.to_string_lossy(),
                folder.to_string_lossy(),
                (wall - newest).max(0) / 86_400
            );
        }
        match unlinkat(&self.fd, folder.as_c_str(), UnlinkatFlags::RemoveDir) {
            // Something else lies there, or has come to lie there.
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => Ok(removed),
            outcome => outcome.map(|()| removed),
        }
    }

    fn has_waiting(&self, folder: &CStr, names: &[CString], waiting: &impl Waiting) -> bool {
        // What is no text was not made from a name.
        let (Ok(node), Ok(folder)) = (self.name.to_str(), folder.to_str()) else {
            return false;
        };
        let path = format!("{node}/{folder}");
        let names = names.iter().filter_map(|name| name.to_str().ok());
        names
            .filter_map(|name| name.strip_suffix(".rrd"))
            .any(|name| waiting.has(&path, name))
    }
}

fn files(count: u64) -> String {
    match count {
        1 => "1 file".into(),
        count => format!("{count} files"),
    }
}

/// When a file below the root was last written, as far as a short look tells: at the sums, which are
/// written as long as gmetad runs, or else at some hosts. Whatever is missed is older, and makes files
/// expire later.
fn last_write_before(root: &std::path::Path) -> Option<i64> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open(root, flags, Mode::empty()).ok()?;
    let sums = CString::new(SUMMARY_DIR).ok()?;
    let of_everything = newest_in(&root, &sums);
    if of_everything.is_some() {
        return of_everything;
    }
    let mut looks = LOOKS_AT_START;
    let mut newest = None;
    for node in folders(&root).ok()? {
        let Ok(node) = open_folder(&root, &node) else {
            continue;
        };
        let hosts = folders(&node).unwrap_or_default();
        for folder in std::iter::once(sums.clone()).chain(hosts) {
            if looks == 0 {
                return newest;
            }
            looks -= 1;
            newest = newest.max(newest_in(&node, &folder));
        }
    }
    newest
}

fn newest_in(parent: &OwnedFd, folder: &CStr) -> Option<i64> {
    let folder = open_folder(parent, folder).ok()?;
    let all = entries(&folder).ok()?;
    all.filter_map(|(name, _)| written(&folder, &name)).max()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, FileTimes};
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    const DAY: i64 = 86_400;
    /// Now, in days since the epoch.
    const TODAY: i64 = 20_000;

    struct Bench {
        folder: tempfile::TempDir,
        expiry: Expiry,
        mono: i64,
        wall: i64,
        waiting: Waits,
    }

    /// What waits.
    #[derive(Default)]
    struct Waits {
        file: Option<(&'static str, &'static str)>,
        is_unknown: bool,
    }

    impl Waiting for Waits {
        fn has(&self, folder: &str, name: &str) -> bool {
            self.file == Some((folder, name))
        }

        fn is_unknown(&self) -> bool {
            self.is_unknown
        }
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
            Bench {
                folder,
                expiry,
                mono: 0,
                wall: TODAY * DAY,
                waiting: Waits::default(),
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join("rrds").join(name)
        }

        /// A file that was last written so many days ago.
        fn file(&self, name: &str, days_ago: i64) {
            write(&self.path(name), b"RRD\x000003", days_ago);
        }

        /// Goes to this day, at which a source is heard, and sweeps once.
        fn sweep(&mut self, day: i64) {
            self.pass_until(day * DAY);
            self.expiry.heard("c", day * DAY, day * DAY);
            self.expiry.state = SweepState::Waiting { until: i64::MIN };
            self.run();
        }

        fn run(&mut self) {
            let mut steps = 0;
            while self.step(0, 0) == PAUSE {
                steps += 1;
                assert!(steps < 1000, "it ends");
            }
        }

        /// Both clocks go on, without a sweep.
        fn pass_until(&mut self, wall: i64) {
            self.expiry.state = SweepState::Waiting { until: i64::MAX };
            while self.wall < wall {
                let passed = (wall - self.wall).min(3600);
                self.step(passed, passed);
            }
            self.step(0, 0);
        }

        fn step(&mut self, mono: i64, wall: i64) -> Duration {
            (self.mono, self.wall) = (self.mono + mono, self.wall + wall);
            self.expiry.step_at(self.mono, self.wall, &self.waiting)
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
        let mut step = |secs| {
            let wait = expiry.step_at(secs, TODAY * DAY + secs, &Waits::default());
            expiry.heard("s", TODAY * DAY + secs, TODAY * DAY + secs);
            (wait, expiry.failures)
        };
        assert_eq!(step(0), (Duration::from_secs(350), 0));
        assert_eq!(step(349), (Duration::from_secs(1), 0));
        assert_eq!(step(350), (PAUSE, 1), "it tries");
        assert_eq!(step(350), (Duration::from_secs(600), 1), "later");
    }

    /// A cluster with a host that is alive, one that was quiet for a day, and a file of each.
    fn quiet_bench() -> Bench {
        let mut bench = Bench::new();
        bench.file("c/alive/load.rrd", 0);
        bench.file("c/quiet/load.rrd", 1);
        bench.expiry.settling_secs = 60;
        bench.step(0, 0);
        bench
    }

    #[test]
    fn a_clock_that_jumps_ahead_removes_nothing_whatever_is_written_then() {
        let mut bench = quiet_bench();
        bench.pass_until(TODAY * DAY + 7200);
        bench.expiry.heard("c", bench.wall, bench.wall);
        bench.expiry.state = SweepState::Waiting { until: i64::MIN };
        bench.step(1, 30 * DAY);
        write(&bench.path("c/alive/load.rrd"), b"RRD\0", -30);
        assert_eq!(bench.expiry.agreement, Agreement::Open { told: true });
        bench.pass_until(bench.wall + DAY);
        bench.expiry.state = SweepState::Waiting { until: i64::MIN };
        assert_ne!(bench.step(0, 0), PAUSE, "no sweep is begun");
        // Even with sources that have the same wrong clock.
        bench.sweep(TODAY + 32);
        assert_eq!((bench.left().len(), bench.expiry.removed), (5, 0));
        bench.sweep(TODAY + 42);
        write(&bench.path("c/alive/load.rrd"), b"RRD\0", -42);
        bench.sweep(TODAY + 42);
        assert_eq!(bench.left(), ["c", "c/alive", "c/alive/load.rrd"]);
    }

    #[test]
    fn a_jump_pauses_until_a_source_agrees_and_all_have_been_heard_again() {
        let mut bench = quiet_bench();
        let until_jump = bench.wall;
        bench.expiry.heard("c", bench.wall, bench.wall);
        assert_eq!(bench.expiry.agreement, Agreement::Found);
        bench.step(1, 30 * DAY);
        bench.expiry.heard("c", bench.wall - 30 * DAY, bench.wall);
        bench.expiry.heard("c", until_jump, until_jump);
        bench.expiry.heard("c", 0, bench.wall);
        assert_eq!(bench.expiry.agreement, Agreement::Open { told: true });
        bench.expiry.heard("c", bench.wall - 599, bench.wall);
        assert_eq!(bench.expiry.agreement, Agreement::Found);
        assert_eq!(bench.step(1, 1), Duration::from_secs(59));
        assert_eq!(bench.step(59, 59), PAUSE);
    }

    #[test]
    fn a_jump_ends_a_sweep_that_is_under_way() {
        let mut bench = Bench::new();
        bench.file("c/alive/load.rrd", 0);
        bench.file("c/gone/load.rrd", 11);
        bench.step(0, 0);
        bench.expiry.settling_secs = 60;
        bench.expiry.heard("c", bench.wall, bench.wall);
        for _ in 0..4 {
            assert_eq!(bench.step(0, 0), PAUSE);
        }
        assert!(matches!(bench.expiry.state, SweepState::Sweeping { .. }));
        bench.step(0, -2 * DAY);
        assert!(matches!(bench.expiry.state, SweepState::Waiting { .. }));
        assert_eq!(bench.left().len(), 5);
    }

    #[test]
    fn nothing_is_removed_before_a_source_agrees_with_our_clock() {
        let mut bench = Bench::new();
        bench.file("c/alive/load.rrd", 0);
        bench.file("c/gone/load.rrd", 11);
        bench.step(0, 0);
        bench.run();
        bench.expiry.heard("c", bench.wall - 2 * DAY, bench.wall);
        bench.run();
        assert_eq!(bench.left().len(), 5);
        bench.expiry.heard("c", bench.wall, bench.wall);
        bench.run();
        assert_eq!(bench.left().len(), 3);
    }

    #[test]
    fn a_host_for_which_something_waits_keeps_all_files() {
        let mut bench = Bench::new();
        bench.file("c/alive/load.rrd", 0);
        bench.file("c/held/load.rrd", 11);
        bench.file("c/held/cpu.rrd", 11);
        bench.file("c/gone/load.rrd", 11);
        bench.waiting.file = Some(("c/held", "cpu"));
        bench.sweep(TODAY);
        assert_eq!(
            bench.left(),
            [
                "c",
                "c/alive",
                "c/alive/load.rrd",
                "c/held",
                "c/held/cpu.rrd",
                "c/held/load.rrd"
            ]
        );
        bench.waiting.file = None;
        bench.waiting.is_unknown = true;
        bench.sweep(TODAY);
        assert_eq!(bench.left().len(), 6, "a journal that could not be read");
        bench.waiting.is_unknown = false;
        bench.sweep(TODAY);
        assert_eq!(bench.left().len(), 3);
    }

    #[test]
    fn a_cluster_loses_no_more_than_a_share_in_one_sweep() {
        let mut bench = Bench::new();
        bench.file("c/alive/load.rrd", 0);
        for host in 0..25 {
            bench.file(&format!("c/gone{host}/load.rrd"), 20 + host);
        }
        let mut left = Vec::new();
        for _ in 0..3 {
            bench.sweep(TODAY);
            left.push(fs::read_dir(bench.path("c")).unwrap().count());
        }
        assert_eq!(left, [16, 6, 1]);
    }
}
