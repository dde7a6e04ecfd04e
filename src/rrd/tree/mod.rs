//! All round-robin files below one root: which there are, what each is for, and when it was last
//! written.
//!
//! Shared by the plugins that write, `hosts` and `sums`. How a file is written is not known here.
//!
//! A million files must cost little, so a folder's files are an array in the order in which the
//! source lists its metrics, which hardly ever changes, and no path is kept.

mod acceptance;
mod entry;
pub(crate) mod existing_rras;
pub(crate) mod expire;
mod folder;
mod folder_writer;
mod growth;
pub(crate) mod hosts;
mod moment;
mod names;
mod node;
pub(crate) mod sums;
mod tools;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::cache::WriteCache;
use crate::file::samples::Samples;
use crate::paths::{PathBuffer, ROOT_NODE, SUMMARY_DIR, encode};
use crate::writer::Writer;
use crate::writer::counters::RrdCounters;
use crate::writer::rrdcached::RrdcachedClient;
use acceptance::Acceptance;
use expire::Waiting;
use folder::Dir;
use folder_writer::{FolderWriter, HostsWriter};
use gmetad_config::Config;
use gmetad_core::complaint::Budgets;
use gmetad_core::model::{Cluster, Mono};
use gmetad_core::plugin::PluginError;
use gmetad_core::status::ExportCounters;
use moment::Moment;
use names::Names;
use node::Node;
use tools::{Tools, Whose};

/// A node that was not heard of for this long is forgotten. Its files stay.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// The same where there are more nodes than any site has, as a source keeps naming new ones.
const FORGET_OF_MANY_AFTER: Duration = Duration::from_secs(60);
const MANY_NODES: usize = 1 << 15;

/// The tree as the plugins share it: all on one thread, so the lock is never waited for.
#[derive(Clone, Debug)]
pub(crate) struct SharedTree(Arc<Mutex<Tree>>);

impl SharedTree {
    pub(crate) fn new(config: &Config, counters: Arc<RrdCounters>) -> SharedTree {
        SharedTree(Arc::new(Mutex::new(Tree::new(config, counters))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Tree> {
        // A plugin that panicked half-way has at worst left a sample out.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All files below one root.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Off: nothing is written.
    writes: bool,
    /// The outcome of `open`, which the first plugin calls for all of them.
    opened: Option<Result<(), String>>,
    closed: bool,
    root: PathBuf,
    /// By component.
    nodes: HashMap<Box<str>, Node>,
    /// The root's sums.
    root_sums: Dir,
    root_acceptance: Acceptance,
    tools: Tools,
}

impl Tree {
    fn new(config: &Config, counters: Arc<RrdCounters>) -> Tree {
        Tree {
            writes: config.rrd.write,
            opened: None,
            closed: false,
            root: config.rrd.rootdir.clone(),
            nodes: HashMap::new(),
            root_sums: Dir::default(),
            root_acceptance: Acceptance::default(),
            tools: Tools {
                names: Names::default(),
                paths: PathBuffer::new(&config.rrd.rootdir),
                samples: Samples::default(),
                writer: Writer::new(config, counters),
                cache: WriteCache::new(config, Instant::now()),
                component: String::new(),
                lines: Budgets::default(),
                source: Arc::default(),
            },
        }
    }

    /// Whether files are written at all.
    pub(crate) fn writes(&self) -> bool {
        self.writes
    }

    /// Hosts of all clusters of which anything is remembered.
    #[cfg(test)]
    pub(crate) fn known_hosts(&self) -> usize {
        self.nodes.values().map(|node| node.hosts.len()).sum()
    }

    /// Checks that files can be created in the root, and that librrd takes the configured archives;
    /// once for all plugins.
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
        let Tools { cache, writer, .. } = &mut self.tools;
        if let Some(cache) = cache {
            // Whatever state the root is in: values held from now on go into the journal.
            cache.open(writer);
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
                // It may be mounted, created or chowned cache: each update tries again.
                log::error!(
                    "RRD root {} takes no files, nothing is stored until it does: {failure}",
                    self.root.display()
                );
                Ok(())
            }
            Err(reason) => Err(PluginError::Failed(format!(
                "RRD files cannot be created: {reason}"
            ))),
        }
    }

    /// Writes what waits and is due, for a little while; when to come again.
    pub(crate) fn step(&mut self) -> Option<Duration> {
        let Tools { cache, writer, .. } = &mut self.tools;
        let cache = cache.as_mut()?;
        cache.open_in_time(Instant::now(), writer);
        let next = cache.step(writer, Instant::now);
        writer.tell();
        next
    }

    /// What is counted of updates that an rrdcached is given, if one is.
    pub(crate) fn exports(&self) -> Vec<(Arc<str>, Arc<ExportCounters>)> {
        let rrdcached = self.tools.writer.rrdcached.iter();
        rrdcached
            .filter(|_| self.writes)
            .map(RrdcachedClient::export)
            .collect()
    }

    /// An update is over.
    pub(crate) fn hand_over(&mut self) {
        self.tools.writer.tell();
        while let Some((source, more)) = self.tools.lines.more(Instant::now()) {
            log::error!(
                "RRD files of source \"{source}\": {more} more clusters or grids have begun or ceased \
                 to be stored, which are not logged one by one"
            );
        }
        if let Some(rrdcached) = &mut self.tools.writer.rrdcached {
            rrdcached.hand_over();
        }
    }

    /// What waits, who writes it, and a buffer for its path; `None` where nothing ever waits.
    pub(crate) fn waiting(&mut self) -> Option<(&mut WriteCache, &mut Writer, &mut PathBuffer)> {
        let Tools {
            cache,
            writer,
            paths,
            ..
        } = &mut self.tools;
        Some((cache.as_mut()?, writer, paths))
    }

    /// No update comes any more: what waits is written, as far as there is time; once for all
    /// plugins.
    pub(crate) fn close(&mut self) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let Tools { cache, writer, .. } = &mut self.tools;
        if let Some(rrdcached) = &mut writer.rrdcached {
            rrdcached.close();
        }
        if let Some(cache) = cache {
            cache.try_to_open(writer);
            cache.close(writer, Instant::now);
        }
        writer.tell();
    }

    /// An update of a source begins: it brings a node, with that many values in the document that ended then.
    pub(crate) fn expects(&mut self, source: &Arc<str>, name: &str, values: usize, now: Mono) {
        let key = node_key(name);
        if self.tools.source != *source {
            self.tools.source = Arc::clone(source);
        }
        self.tools.writer.expects(source, &key, values, now);
    }

    /// The hosts of a cluster, of which the fresh ones can be written. `None` where the cluster's
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
        let time = node.usable_time(&cluster.name, moment, &mut self.tools)?;
        let whose = Whose::Node(&cluster.name, &key);
        self.tools
            .follow(&mut node.acceptance, whose, time, moment.step);
        node.round = node.round.wrapping_add(1);
        // Only fresh values are stored.
        if let Some(newest) = cluster.newest() {
            node.learn(&newest.cluster.defs, &mut self.tools.names);
        }
        let sources = cluster.parts.as_ref().map_or(1, |parts| parts.list().len());
        let is_all = node.is_all_due(sources);
        let tools = &mut self.tools;
        let step_secs = moment.step_secs();
        Some(HostsWriter::new(node, key, time, step_secs, is_all, tools))
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
        let time = node.usable_time(name, moment, &mut self.tools)?;
        let whose = Whose::Node(name, &key);
        self.tools
            .follow(&mut node.acceptance, whose, time, moment.step);
        self.tools.paths.enter(&key, SUMMARY_DIR);
        let (sums, tools) = (&mut node.sums, &mut self.tools);
        Some(FolderWriter::new(
            sums,
            &[],
            time,
            moment.step_secs(),
            tools,
        ))
    }

    /// The sums of everything.
    pub(crate) fn root_sums(&mut self, moment: Moment, now: Mono) -> Option<FolderWriter<'_>> {
        self.tools.begin(now);
        let time = moment.time()?;
        let acceptance = &mut self.root_acceptance;
        self.tools
            .follow(acceptance, Whose::Root, time, moment.step);
        self.tools.paths.enter(ROOT_NODE, SUMMARY_DIR);
        let (sums, tools) = (&mut self.root_sums, &mut self.tools);
        Some(FolderWriter::new(
            sums,
            &[],
            time,
            moment.step_secs(),
            tools,
        ))
    }

    /// Notes that a node is still there, though it brings nothing to write.
    pub(crate) fn keep(&mut self, name: &str, now: Mono) {
        if let Some(node) = self.nodes.get_mut(&*node_key(name)) {
            node.seen = now;
        }
    }

    /// Forgets nodes and names that are gone. Their files stay.
    pub(crate) fn sweep(&mut self, now: Mono) {
        let Tree {
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
                tools.forget_acceptance(&node.acceptance);
                node.dirs().for_each(|dir| tools.forget(&dir.files));
            }
            stays
        });
        tools.lines.forget_quiet(Instant::now());
        (tools.writer).keep(|node| node == SUMMARY_DIR || nodes.contains_key(node));
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

impl Waiting for Tree {
    fn has(&self, folder: &str, name: &str) -> bool {
        let cache = self.tools.cache.as_ref();
        cache.is_some_and(|it| it.has_waiting(folder, name))
    }

    fn is_unknown(&self) -> bool {
        let cache = self.tools.cache.as_ref();
        cache.is_some_and(WriteCache::lacks_its_journal)
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tempfile::TempDir;

    use super::folder_writer::Gap;
    use super::*;
    use gmetad_core::model::{Contributors, MetricDef, MetricFields, StoreTime, SummaryMetric};

    const T0: i64 = 1_700_000_000;

    fn tree(folder: &Path, write_timeout_secs: u64) -> Tree {
        let mut config = Config::new("test");
        config.rrd.rootdir = folder.join("rrds");
        config.rrd.journal_dir = Some(folder.join("journal"));
        config.rrd.write_timeout = Duration::from_secs(write_timeout_secs);
        Tree::new(&config, Arc::default())
    }

    /// The sum of everything at that time.
    fn put_root_sum(tree: &mut Tree, time: i64) {
        let moment = Moment {
            time: StoreTime::Ours(time),
            step: Duration::from_secs(15),
        };
        let mut folder = tree.root_sums(moment, Mono(0)).unwrap();
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
        let mut before = tree(folder.path(), 300);
        before.open().unwrap();
        put_root_sum(&mut before, T0);
        before.step();
        // As a kill leaves it.
        drop(before);
        let mut tree = tree(folder.path(), 0);
        tree.open().unwrap();
        put_root_sum(&mut tree, T0 + 15);
        let status = tree.tools.writer.counters().status();
        assert_eq!((status.written, status.repeated, status.failed), (2, 0, 0));
    }

    #[test]
    fn a_root_that_is_not_there_yet_does_not_cost_the_journal() {
        let folder = TempDir::new().unwrap();
        let in_the_way = folder.path().join("rrds");
        fs::write(&in_the_way, "no folder").unwrap();
        let mut tree = tree(folder.path(), 300);
        tree.open().unwrap();
        put_root_sum(&mut tree, T0);
        tree.step();
        assert!(tree.tools.writer.counters().status().journal_bytes > 0);
    }

    #[test]
    fn archives_that_librrd_does_not_take_are_told_to_each_plugin() {
        let folder = TempDir::new().unwrap();
        let mut tree = tree(folder.path(), 0);
        tree.tools.writer = {
            let mut config = Config::new("test");
            config.rrd.rras = vec!["RRA:NOSUCH:0.5:1:10".into()];
            Writer::new(&config, Arc::default())
        };
        for _ in 0..2 {
            let error = tree.open().unwrap_err().to_string();
            assert!(error.contains("RRD files cannot be created"), "{error}");
        }
    }
}
