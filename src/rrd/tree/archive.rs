//! All round-robin files: which there are, what each is for, and when it was last written.
//!
//! Shared by the plugins that write. What a file is told is the writer's matter, and which values
//! are told at all is the plugins'.
//!
//! A million files must cost little, so a folder's files are an array in the order in which the
//! source lists its metrics, which hardly ever changes, and no path is kept.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::cache::Held;
use crate::file::librrd;
use crate::file::samples::{Kind, Samples};
use crate::file::sound;
use crate::later::Later;
use crate::record::{FileEntry, FileState};
use crate::rrdcached::client::RrdcachedClient;
use crate::tree::behind::{Course, Turn};
use crate::tree::folder::{Dir, Search};
use crate::tree::growth::{Gap, LastWrite};
use crate::tree::paths::{PathBuffer, ROOT_NODE, SUMMARY_DIR, encode};
use crate::writer::trouble::user;
use crate::writer::{FileSpec, RrdCounters, Writer};
use gmetad_config::Config;
use gmetad_core::complaint::span;
use gmetad_core::model::{
    Cluster, DefId, MOST_APART_SECS, MetricDef, Mono, StoreTime, SummaryMetric,
};
use gmetad_core::plugin::{PluginError, Update};
use gmetad_core::status::ExportCounters;

/// A node that was not heard of for this long is forgotten; its files stay, of course.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// The same where there are more nodes than any site has: a source names new ones all the time.
const FORGET_OF_MANY_AFTER: Duration = Duration::from_secs(60);
const MANY_NODES: usize = 1 << 15;

/// How many new names come in before those without users are looked for.
const SWEEP_EVERY: usize = 4096;

/// The archive as the plugins share it: all on one thread, so the lock is never waited for.
#[derive(Clone, Debug)]
pub(crate) struct SharedArchive(Arc<Mutex<Archive>>);

impl SharedArchive {
    pub(crate) fn new(config: &Config, counters: Arc<RrdCounters>) -> SharedArchive {
        SharedArchive(Arc::new(Mutex::new(Archive::new(config, counters))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Archive> {
        // A plugin that panicked half-way has at worst left a sample out.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All files below one root.
#[derive(Debug)]
pub(crate) struct Archive {
    /// Off: nothing is written.
    writes: bool,
    /// Whether `open` has been done for one of the plugins, and why it failed if it did.
    opened: Option<Result<(), String>>,
    closed: bool,
    root: PathBuf,
    /// By component.
    nodes: HashMap<Box<str>, Node>,
    /// The root's sums.
    root_sums: Dir,
    root_course: Course,
    tools: Tools,
}

/// What it takes to get from a name and a value to a file; apart, as folders are borrowed beside.
#[derive(Debug)]
struct Tools {
    names: Names,
    paths: PathBuffer,
    samples: Samples,
    writer: Writer,
    /// Where samples wait, if any ever do.
    later: Option<Later>,
    /// A component in the making.
    component: String,
}

/// A cluster's or nested grid's folder.
#[derive(Debug, Default)]
struct Node {
    /// What `columns` was worked out from, not held: the node may be no more.
    defs: Weak<Vec<Arc<MetricDef>>>,
    /// By definition: what it means for files, if it has any.
    columns: Vec<Option<Column>>,
    /// Hosts, by component.
    hosts: HashMap<Box<str>, Dir>,
    sums: Dir,
    /// When it was last updated.
    seen: Mono,
    /// Counts updates of its hosts, so that hosts no longer named can be told.
    round: u32,
    /// What was last told of its time.
    time_trouble: Option<TimeTrouble>,
    /// Whether its files take its values.
    course: Course,
}

/// What is wrong with a node's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeTrouble {
    /// No file can have it.
    Useless,
    /// It is so far ahead that ours is taken.
    Ahead,
    /// It is as far behind, and taken nevertheless.
    Behind,
}

/// What a definition means for files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Number of its name.
    name: u32,
    kind: Kind,
    /// Seconds after which a value is to be forgotten; 0 = never.
    pub(crate) dmax: u32,
}

/// When an update's values are of, and how often there are some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) time: StoreTime,
    /// Between two updates.
    pub(crate) step: Duration,
}

impl Moment {
    /// Of an update from a source with that LOCALTIME.
    pub(crate) fn of(localtime: i64, update: &Update) -> Moment {
        Moment {
            time: StoreTime::of(localtime, update.now),
            step: update.interval,
        }
    }

    fn step_secs(self) -> u32 {
        u32::try_from(self.step.as_secs())
            .unwrap_or(u32::MAX)
            .max(1)
    }

    /// A file begins a second before its first sample, and the time has 32 bits.
    fn time(self) -> Option<u32> {
        let epoch = self.time.epoch();
        u32::try_from(epoch).ok().filter(|time| *time > 1)
    }

    fn trouble(self) -> Option<TimeTrouble> {
        match self.time {
            StoreTime::NotTheirs(_) => Some(TimeTrouble::Ahead),
            _ if self.time().is_none() => Some(TimeTrouble::Useless),
            StoreTime::Behind(_) => Some(TimeTrouble::Behind),
            _ => None,
        }
    }
}

impl Archive {
    fn new(config: &Config, counters: Arc<RrdCounters>) -> Archive {
        Archive {
            writes: config.rrd.write,
            opened: None,
            closed: false,
            root: config.rrd.rootdir.clone(),
            nodes: HashMap::new(),
            root_sums: Dir::default(),
            root_course: Course::default(),
            tools: Tools {
                names: Names::default(),
                paths: PathBuffer::new(&config.rrd.rootdir),
                samples: Samples::default(),
                writer: Writer::new(config, counters),
                later: Later::new(config),
                component: String::new(),
            },
        }
    }

    /// Whether files are written at all.
    pub(crate) fn writes(&self) -> bool {
        self.writes
    }

    /// Makes sure that there is a root, and that librrd takes what files are to be made of; once for
    /// all plugins.
    pub(crate) fn open(&mut self) -> Result<(), PluginError> {
        if !self.writes {
            return Ok(());
        }
        if let Some(opened) = &self.opened {
            return opened.clone().map_err(PluginError::Failed);
        }
        let opened = self.open_now();
        self.opened = Some(opened.as_ref().map_err(ToString::to_string).copied());
        opened
    }

    fn open_now(&mut self) -> Result<(), PluginError> {
        let Tools { later, writer, .. } = &mut self.tools;
        if let Some(later) = later {
            // Whatever the root's state: what is held from now on is to be noted.
            later.open(writer);
        }
        if let Some(rrdcached) = &mut writer.rrdcached {
            rrdcached.start()?;
        }
        let Tools { paths, writer, .. } = &mut self.tools;
        // No name makes a component that begins with a dot.
        let probe = paths.in_root(&format!(".probe-{}", std::process::id()));
        match writer.probe(probe) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => {
                // It may be mounted, made or given to us later: each update tries.
                log::error!(
                    "RRD root {} takes no files: {failure}; it has to be there, with room, and \
                     {}'s to write, and nothing is stored until then",
                    self.root.display(),
                    user()
                );
                Ok(())
            }
            Err(reason) => Err(PluginError::Failed(format!(
                "RRD files cannot be made: {reason}"
            ))),
        }
    }

    /// Writes what waits and is due, for a little while; when to come again.
    pub(crate) fn step(&mut self) -> Option<Duration> {
        let Tools { later, writer, .. } = &mut self.tools;
        let next = later.as_mut()?.step(writer);
        writer.tell();
        next
    }

    /// What is counted of updates that an rrdcached is given, if one is.
    pub(crate) fn export(&self) -> Option<(&'static str, Arc<ExportCounters>)> {
        let rrdcached = self.tools.writer.rrdcached.as_ref();
        rrdcached
            .filter(|_| self.writes)
            .map(RrdcachedClient::export)
    }

    /// An update is over.
    pub(crate) fn hand_over(&mut self) {
        self.tools.writer.tell();
        if let Some(rrdcached) = &mut self.tools.writer.rrdcached {
            rrdcached.hand_over();
        }
    }

    /// What waits, who writes it, and a buffer for its path; `None` where nothing ever waits.
    pub(crate) fn waiting(&mut self) -> Option<(&mut Later, &mut Writer, &mut PathBuffer)> {
        let Tools {
            later,
            writer,
            paths,
            ..
        } = &mut self.tools;
        Some((later.as_mut()?, writer, paths))
    }

    /// No update comes any more: what waits is written, as far as there is time; once for all
    /// plugins.
    pub(crate) fn close(&mut self) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let Tools { later, writer, .. } = &mut self.tools;
        if let Some(rrdcached) = &mut writer.rrdcached {
            rrdcached.close();
        }
        if let Some(later) = later {
            later.close(writer);
        }
        writer.tell();
    }

    /// The hosts of a cluster, whose metrics are of these definitions. `None` where the cluster's
    /// time is of no use, which is told once.
    pub(crate) fn hosts(
        &mut self,
        cluster: &Cluster,
        moment: Moment,
        now: Mono,
    ) -> Option<HostsWriter<'_>> {
        self.tools.begin(now);
        let key = node_key(&cluster.name);
        let node = node_of(&mut self.nodes, &key, now);
        let time = node.usable_time(&cluster.name, moment)?;
        let whose = Whose::Node(&cluster.name, &key);
        self.tools
            .follow(&mut node.course, whose, time, moment.step);
        node.round = node.round.wrapping_add(1);
        node.learn(&cluster.defs, &mut self.tools.names);
        Some(HostsWriter {
            node,
            key,
            time,
            step_secs: moment.step_secs(),
            tools: &mut self.tools,
        })
    }

    /// The sums of a cluster or a nested grid.
    pub(crate) fn node_sums(
        &mut self,
        name: &str,
        moment: Moment,
        now: Mono,
    ) -> Option<FolderWriter<'_>> {
        self.tools.begin(now);
        let key = node_key(name);
        let node = node_of(&mut self.nodes, &key, now);
        let time = node.usable_time(name, moment)?;
        let whose = Whose::Node(name, &key);
        self.tools
            .follow(&mut node.course, whose, time, moment.step);
        self.tools.paths.enter(&key, SUMMARY_DIR);
        Some(FolderWriter {
            dir: &mut node.sums,
            columns: &[],
            at: 0,
            search: Search::default(),
            time,
            step_secs: moment.step_secs(),
            tools: &mut self.tools,
        })
    }

    /// The sums of everything.
    pub(crate) fn root_sums(&mut self, moment: Moment, now: Mono) -> Option<FolderWriter<'_>> {
        self.tools.begin(now);
        let time = moment.time()?;
        let course = &mut self.root_course;
        self.tools.follow(course, Whose::Root, time, moment.step);
        self.tools.paths.enter(ROOT_NODE, SUMMARY_DIR);
        Some(FolderWriter {
            dir: &mut self.root_sums,
            columns: &[],
            at: 0,
            search: Search::default(),
            time,
            step_secs: moment.step_secs(),
            tools: &mut self.tools,
        })
    }

    /// Notes that a node is still there, though it brings nothing to write.
    pub(crate) fn keep(&mut self, name: &str, now: Mono) {
        if let Some(node) = self.nodes.get_mut(&*node_key(name)) {
            node.seen = now;
        }
    }

    /// Lets go of what is remembered of nodes and names that are no more. Files stay.
    pub(crate) fn sweep(&mut self, now: Mono) {
        let Archive {
            nodes,
            root_sums,
            tools,
            ..
        } = self;
        let limit = if nodes.len() > MANY_NODES {
            FORGET_OF_MANY_AFTER
        } else {
            FORGET_AFTER
        };
        nodes.retain(|_, node| {
            let stays = now.since(node.seen) < limit;
            if !stays {
                tools.forget_course(&node.course);
                node.dirs().for_each(|dir| tools.forget(&dir.files));
            }
            stays
        });
        let refusals = &tools.writer.refusals;
        refusals.keep(|node| node == SUMMARY_DIR || nodes.contains_key(node));
        if tools.names.wants_sweep() {
            let dirs = nodes.values_mut().flat_map(|node| {
                // Worked out anew with the new numbers.
                node.defs = Weak::new();
                node.dirs()
            });
            let files = dirs.chain([root_sums]).flat_map(|dir| &mut dir.files);
            tools.names.sweep(files);
        }
    }
}

/// Whose files take values or do not.
#[derive(Clone, Copy)]
enum Whose<'a> {
    /// A cluster's or grid's: its name, and the folder it makes.
    Node(&'a str, &'a str),
    /// The sums of everything.
    Root,
}

impl Tools {
    /// Before an update of that time: says whether what was written before it was refused, where
    /// that has changed.
    fn follow(&mut self, course: &mut Course, whose: Whose<'_>, time: u32, step: Duration) {
        let folder = match whose {
            Whose::Node(_, folder) => folder,
            Whose::Root => SUMMARY_DIR,
        };
        let refused = self.writer.refusals.take(folder);
        let before = course.is_refused();
        if refused.is_none() && !before {
            return;
        }
        let delay = match &self.later {
            Some(later) if later.holds() => later.longest_wait(),
            _ if self.writer.rrdcached.is_some() => 2 * step,
            _ => Duration::ZERO,
        };
        let turn = course.follow(refused, time, Instant::now(), delay);
        let refusing = &self.writer.counters().refusing;
        match (before, course.is_refused()) {
            (false, true) => drop(refusing.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(refusing.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        if let Some(turn) = turn {
            self.tell(whose, turn, &self.writer.refusals.folder(folder));
        }
    }

    fn tell(&self, whose: Whose<'_>, turn: Turn, folder: &Path) {
        let (files, clock) = match whose {
            Whose::Node(name, _) => (format!("RRD files of {name:?}"), "its clock"),
            Whose::Root => (
                "RRD files of the sums of everything".into(),
                "this machine's clock",
            ),
        };
        match turn {
            Turn::Taken(lasted) => {
                gmetad_core::recovered!(error: "{files} take values again, after {}", span(lasted));
            }
            Turn::Refused { files: count, wait } => {
                let too = if self.writer.rrdcached.is_some() {
                    " and restart rrdcached"
                } else {
                    ""
                };
                log::error!(
                    "{files}, {count} so far, take no values for the next {}: they have newer ones, \
                     from when {clock} was ahead; set {clock} if it is wrong now, else wait, or move \
                     the files in {} away{too}",
                    span(wait),
                    folder.display()
                );
            }
        }
    }

    /// Lets go of a node that is no more.
    fn forget_course(&self, course: &Course) {
        if course.is_refused() {
            let refusing = &self.writer.counters().refusing;
            refusing.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Tells the time to those who want it.
    fn begin(&mut self, now: Mono) {
        self.writer.begin(now);
        if let Some(later) = &mut self.later {
            later.tell_time(&self.writer);
        }
    }

    /// Lets go of what is remembered of files that are no longer written to.
    fn forget(&mut self, files: &[FileEntry]) {
        for file in files {
            match (file.state(), &mut self.later) {
                (FileState::Direct(record), _) => self.writer.forget(record),
                (FileState::Held(id), Some(later)) => later.release(id, &self.writer),
                (FileState::Held(_), None) => unreachable!("only a cache holds files"),
            }
        }
    }
}

fn node_key(name: &str) -> Box<str> {
    let mut key = String::with_capacity(name.len());
    encode(name, &mut key);
    key.into()
}

fn node_of<'a>(nodes: &'a mut HashMap<Box<str>, Node>, key: &str, now: Mono) -> &'a mut Node {
    let node = nodes.entry(key.into()).or_default();
    node.seen = now;
    node
}

impl Node {
    fn dirs(&mut self) -> impl Iterator<Item = &mut Dir> {
        self.hosts.values_mut().chain([&mut self.sums])
    }

    /// The time that files are given; `None` where there is none. What is wrong is told once.
    fn usable_time(&mut self, name: &str, moment: Moment) -> Option<u32> {
        let trouble = moment.trouble();
        let before = std::mem::replace(&mut self.time_trouble, trouble);
        match trouble {
            _ if trouble == before => {}
            Some(TimeTrouble::Useless) => log::error!(
                "nothing of {name:?} is stored: its LOCALTIME, {}, is no time that a file can have",
                moment.time.epoch()
            ),
            Some(TimeTrouble::Ahead) => log::error!(
                "the clock of {name:?} is more than {} hours ahead of this machine's: what it \
                 brings is stored with this machine's time; set whichever is wrong",
                MOST_APART_SECS / 3600
            ),
            Some(TimeTrouble::Behind) => log::error!(
                "the clock of {name:?} is more than {} hours behind this machine's: what it brings \
                 is stored with its time; set whichever is wrong",
                MOST_APART_SECS / 3600
            ),
            None => gmetad_core::recovered!(error: "the clock of {name:?} is right again"),
        }
        moment.time()
    }

    /// Works out what each definition means for files, where the definitions are not those of
    /// last time.
    fn learn(&mut self, defs: &Arc<Vec<Arc<MetricDef>>>, names: &mut Names) {
        if Weak::as_ptr(&self.defs) == Arc::as_ptr(defs) {
            return;
        }
        let columns = defs.iter().map(|def| {
            def.ty().is_numeric().then(|| Column {
                name: names.number(def.name()),
                kind: Kind::of(def.slope()),
                dmax: def.fields().dmax,
            })
        });
        self.columns = columns.collect();
        self.defs = Arc::downgrade(defs);
    }
}

/// Writes the hosts of one cluster, at one moment.
pub(crate) struct HostsWriter<'a> {
    node: &'a mut Node,
    key: Box<str>,
    time: u32,
    step_secs: u32,
    tools: &'a mut Tools,
}

impl HostsWriter<'_> {
    /// A host's files. A host for which this is not called is one that the cluster no longer has.
    pub(crate) fn host(&mut self, name: &str) -> FolderWriter<'_> {
        let Node {
            hosts,
            columns,
            round,
            ..
        } = &mut *self.node;
        let Tools {
            component, paths, ..
        } = &mut *self.tools;
        component.clear();
        encode(name, component);
        paths.enter(&self.key, component);
        // Looked up first, as nearly every host is known and an entry would cost its name.
        if !hosts.contains_key(component.as_str()) {
            hosts.insert(component.as_str().into(), Dir::default());
        }
        let Some(dir) = hosts.get_mut(component.as_str()) else {
            unreachable!("it was put there above")
        };
        dir.round = *round;
        FolderWriter {
            dir,
            columns,
            at: 0,
            search: Search::default(),
            time: self.time,
            step_secs: self.step_secs,
            tools: self.tools,
        }
    }

    /// Lets go of what is remembered of hosts that the cluster no longer has. Files stay.
    pub(crate) fn finish(self) {
        let round = self.node.round;
        let tools = self.tools;
        self.node.hosts.retain(|_, dir| {
            let stays = dir.round == round;
            if !stays {
                tools.forget(&dir.files);
            }
            stays
        });
    }
}

/// Writes the files of one folder, at one moment.
pub(crate) struct FolderWriter<'a> {
    dir: &'a mut Dir,
    /// By definition, for a host's folder.
    columns: &'a [Option<Column>],
    /// How many files were passed.
    at: usize,
    search: Search,
    time: u32,
    step_secs: u32,
    tools: &'a mut Tools,
}

impl FolderWriter<'_> {
    /// What a definition means for files, if it has any.
    #[inline]
    pub(crate) fn column(&self, def: DefId) -> Option<Column> {
        self.columns.get(def as usize).copied().flatten()
    }

    /// Passes a file for which there is no value this time.
    pub(crate) fn pass(&mut self, column: Column) {
        self.dir.find(&mut self.at, column.name, &mut self.search);
    }

    /// Writes a value as it came, or that it is not known where it is no number.
    pub(crate) fn put_value(&mut self, column: Column, value: &[u8]) {
        let Column { name, kind, .. } = column;
        let samples = &mut self.tools.samples;
        samples.clear();
        samples.push_text_or_unknown(self.time, value, kind);
        self.write(name, kind, false);
    }

    /// When the samples are of.
    pub(crate) fn time(&self) -> u32 {
        self.time
    }

    /// When a sum was last written, by whoever did it, as far as that can be known.
    pub(crate) fn last_write(&mut self, metric: &SummaryMetric) -> LastWrite {
        let Tools {
            names,
            paths,
            writer,
            later,
            ..
        } = &mut *self.tools;
        let number = names.number(metric.def.name());
        let component = names.component(number);
        let waiting = later
            .as_ref()
            .and_then(|later| later.newest(paths.folder(), component));
        let file = sound::examine(paths.file(component)).ok();
        match file.and_then(|file| librrd::last_update(file).ok()) {
            _ if let Some(newest) = waiting => LastWrite::At(newest),
            None => LastWrite::Never,
            Some(_) if writer.rrdcached.is_some() => LastWrite::NotKnown,
            Some(last) => LastWrite::At(u32::try_from(last.max(0)).unwrap_or(u32::MAX)),
        }
    }

    /// Writes a sum, and of how many it is; whether it was taken, to be written now or later.
    pub(crate) fn put_sum(&mut self, metric: &SummaryMetric, gap: Gap) -> bool {
        let name = self.tools.names.number(metric.def.name());
        let kind = Kind::of(metric.def.slope());
        let samples = &mut self.tools.samples;
        samples.clear();
        match gap {
            Gap::None => {}
            Gap::Before => samples.push_unknown(self.time - 1, metric.num),
            Gap::Instead => samples.push_unknown(self.time, metric.num),
        }
        if gap != Gap::Instead {
            samples.push_sum(self.time, metric.sum, metric.num, Kind::Gauge);
        }
        self.write(name, kind, true)
    }

    /// Whether the last of the samples was taken.
    fn write(&mut self, name: u32, kind: Kind, with_num: bool) -> bool {
        let entry = self.dir.find(&mut self.at, name, &mut self.search);
        let Tools {
            samples,
            paths,
            writer,
            names,
            later,
            ..
        } = &mut *self.tools;
        if samples.is_empty() {
            return false;
        }
        let spec = FileSpec {
            step_secs: self.step_secs,
            kind,
            with_num,
        };
        if let Some(later) = later
            && later.holds()
        {
            let id = match entry.state() {
                FileState::Held(id) => id,
                FileState::Direct(_) => {
                    let id = later.use_file(paths.folder(), names.component(name), spec);
                    entry.set(FileState::Held(id));
                    id
                }
            };
            let mut taken = false;
            for (time, value) in samples.iter() {
                let held = later.put(id, spec, time, value, writer);
                taken = held != Held::Stale;
            }
            return taken;
        }
        if let Some(later) = later
            && later.waiting_files() > 0
            && let Some(id) = later.find(paths.folder(), names.component(name))
        {
            // Older ones, of the last run's journal.
            later.write_and_tidy(id, writer);
        }
        let FileState::Direct(mut record) = entry.state() else {
            unreachable!("no file is held where updates are written as they come")
        };
        let path = paths.file(names.component(name));
        writer.write_of_update(path, &mut record, spec, samples);
        entry.set(FileState::Direct(record));
        record.last() == Some(self.time)
    }

    /// Lets go of what is remembered of files that were neither written nor passed. Files stay.
    pub(crate) fn finish(self) {
        let files = &mut self.dir.files;
        self.tools.forget(&files[self.at..]);
        files.truncate(self.at);
        if files.capacity() > files.len() + files.len() / 8 {
            files.shrink_to_fit();
        }
    }
}

/// Every metric's name once, by number, with the component it makes.
#[derive(Debug, Default)]
struct Names {
    numbers: HashMap<Arc<str>, u32>,
    /// By number: the name and the component, which are nearly always one.
    known: Vec<(Arc<str>, Arc<str>)>,
    sweep_at: usize,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let mut component = String::with_capacity(name.len());
        encode(name, &mut component);
        let name: Arc<str> = name.into();
        let component = if *component == *name {
            Arc::clone(&name)
        } else {
            component.into()
        };
        let number = self.known.len() as u32;
        self.numbers.insert(Arc::clone(&name), number);
        self.known.push((name, component));
        number
    }

    fn component(&self, number: u32) -> &str {
        &self.known[number as usize].1
    }

    fn wants_sweep(&self) -> bool {
        self.known.len() > self.sweep_at.max(SWEEP_EVERY)
    }

    /// Drops the names that none of these files has, and gives the others new numbers.
    fn sweep<'a>(&mut self, files: impl Iterator<Item = &'a mut FileEntry>) {
        let old = std::mem::take(self);
        let mut moved = vec![None; old.known.len()];
        for file in files {
            let number = *moved[file.name() as usize].get_or_insert_with(|| {
                let (name, component) = &old.known[file.name() as usize];
                let number = self.known.len() as u32;
                self.numbers.insert(Arc::clone(name), number);
                self.known.push((Arc::clone(name), Arc::clone(component)));
                number
            });
            file.rename(number);
        }
        self.sweep_at = 2 * self.known.len();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;
    use gmetad_core::model::{Contributors, MetricFields};

    const T0: i64 = 1_700_000_000;

    fn archive(folder: &Path, write_timeout_secs: u64) -> Archive {
        let mut config = Config::new("test");
        config.rrd.rootdir = folder.join("rrds");
        config.rrd.journal_dir = Some(folder.join("journal"));
        config.rrd.write_timeout = Duration::from_secs(write_timeout_secs);
        Archive::new(&config, Arc::default())
    }

    /// The sum of everything at that time.
    fn put_root_sum(archive: &mut Archive, time: i64) {
        let moment = Moment {
            time: StoreTime::Ours(time),
            step: Duration::from_secs(15),
        };
        let mut folder = archive.root_sums(moment, Mono(0)).unwrap();
        let sum = SummaryMetric {
            def: Arc::new(MetricDef::new(MetricFields {
                name: "load_one".into(),
                type_text: "float".into(),
                slope_text: "both".into(),
                ..MetricFields::default()
            })),
            sum: 1.5,
            num: 2,
            contributors: Contributors::default(),
            decimals: 1,
        };
        folder.put_sum(&sum, Gap::None);
        folder.finish();
    }

    #[test]
    fn a_journal_is_written_before_newer_values_where_nothing_is_held_any_more() {
        let folder = TempDir::new().unwrap();
        let mut before = archive(folder.path(), 300);
        before.open().unwrap();
        put_root_sum(&mut before, T0);
        before.step();
        // As a kill leaves it.
        drop(before);
        let mut archive = archive(folder.path(), 0);
        archive.open().unwrap();
        put_root_sum(&mut archive, T0 + 15);
        let status = archive.tools.writer.counters().status();
        assert_eq!((status.written, status.repeated, status.failed), (2, 0, 0));
    }

    #[test]
    fn a_root_that_is_not_there_yet_does_not_cost_the_journal() {
        let folder = TempDir::new().unwrap();
        let in_the_way = folder.path().join("rrds");
        fs::write(&in_the_way, "no folder").unwrap();
        let mut archive = archive(folder.path(), 300);
        archive.open().unwrap();
        put_root_sum(&mut archive, T0);
        archive.step();
        assert!(archive.tools.writer.counters().status().journal_bytes > 0);
    }

    #[test]
    fn archives_that_librrd_does_not_take_are_told_to_each_plugin() {
        let folder = TempDir::new().unwrap();
        let mut archive = archive(folder.path(), 0);
        archive.tools.writer = {
            let mut config = Config::new("test");
            config.rrd.rras = vec!["RRA:NOSUCH:0.5:1:10".into()];
            Writer::new(&config, Arc::default())
        };
        for _ in 0..2 {
            let error = archive.open().unwrap_err().to_string();
            assert!(error.contains("RRD files cannot be made"), "{error}");
        }
    }

    #[test]
    fn names_without_files_are_swept_and_the_others_keep_their_files() {
        let mut names = Names::default();
        let mut files: Vec<FileEntry> = ["a", "b", "c/d"]
            .map(|name| FileEntry::new(names.number(name)))
            .into();
        files.remove(0);
        names.sweep(files.iter_mut());
        assert_eq!(names.known.len(), 2);
        assert_eq!(names.component(files[0].name()), "b");
        assert_eq!(names.component(files[1].name()), "c%2Fd");
        assert_eq!(names.number("c/d"), files[1].name());
        assert_eq!(names.number("new"), 2);
    }
}
