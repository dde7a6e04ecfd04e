//! Values into the files of one folder, at one moment.
//!
//! How a value gets into a file is the writer's matter; which values are stored is the plugins'.

use crate::cache::WriteCache;
use crate::file::samples::Kind;
use crate::file::{FileSpec, last_update};
use crate::paths::encode;
use crate::tree::folder::{Dir, Search};
use crate::tree::node::{Column, Node};
use crate::tree::tools::Tools;
use gmetad_core::model::{DefId, SummaryMetric};

/// Writes the hosts of one cluster, at one moment.
pub(crate) struct HostsWriter<'a> {
    node: &'a mut Node,
    key: Box<str>,
    time: u32,
    step_secs: u32,
    is_all: bool,
    tools: &'a mut Tools,
}

impl<'a> HostsWriter<'a> {
    pub(super) fn new(
        node: &'a mut Node,
        key: Box<str>,
        time: u32,
        step_secs: u32,
        is_all: bool,
        tools: &'a mut Tools,
    ) -> HostsWriter<'a> {
        HostsWriter {
            node,
            key,
            time,
            step_secs,
            is_all,
            tools,
        }
    }

    /// Whether `host` is to be called for all hosts of the cluster, and not for the fresh ones alone.
    pub(crate) fn wants_all(&self) -> bool {
        self.is_all
    }

    /// The folder of a host. If all are wanted, one for which this is not called before `finish` is forgotten.
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
        FolderWriter::new(dir, columns, self.time, self.step_secs, self.tools)
    }

    /// Forgets hosts that the cluster no longer has. Their files stay.
    pub(crate) fn finish(self) {
        if !self.is_all {
            return;
        }
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

/// The unknown value that goes with a sample, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// None: the sample continues from the last one.
    None,
    /// A second before it: the time since the last sample is unknown, and the next sample continues
    /// from this one.
    Before,
    /// In its place, where the last sample is a second old or its time is not known: the time up to
    /// the next sample is unknown as well.
    Instead,
}

/// What is known of when a file was last written, before anything is written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastWrite {
    /// There is no file.
    Never,
    /// At that time.
    At(u32),
    /// Someone else may have later samples for it.
    NotKnown,
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

impl<'a> FolderWriter<'a> {
    pub(super) fn new(
        dir: &'a mut Dir,
        columns: &'a [Option<Column>],
        time: u32,
        step_secs: u32,
        tools: &'a mut Tools,
    ) -> FolderWriter<'a> {
        FolderWriter {
            dir,
            columns,
            at: 0,
            search: Search::default(),
            time,
            step_secs,
            tools,
        }
    }

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
            cache,
            ..
        } = &mut *self.tools;
        let number = names.number(metric.def.name());
        let component = names.component(number);
        let waiting = cache
            .as_ref()
            .and_then(|cache| cache.newest(paths.folder(), component));
        match (waiting, last_update(paths.file(component)).ok()) {
            (Some(newest), _) => LastWrite::At(newest),
            (None, None) => LastWrite::Never,
            (None, Some(_)) if writer.rrdcached.is_some() => LastWrite::NotKnown,
            (None, Some(last)) => LastWrite::At(u32::try_from(last.max(0)).unwrap_or(u32::MAX)),
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

    /// Writes the samples, or holds them to be written later; whether the last of them was taken.
    fn write(&mut self, name: u32, kind: Kind, with_num: bool) -> bool {
        let entry = self.dir.find(&mut self.at, name, &mut self.search);
        if self.tools.samples.is_empty() {
            return false;
        }
        let spec = FileSpec {
            step_secs: self.step_secs,
            kind,
            with_num,
        };
        if self.tools.cache.as_ref().is_some_and(WriteCache::holds) {
            self.tools.hold(entry, spec)
        } else {
            self.tools.write_through(entry, spec) == Some(self.time)
        }
    }

    /// Forgets files that were neither written nor passed. They stay on disk.
    pub(crate) fn finish(self) {
        let files = &mut self.dir.files;
        self.tools.forget(&files[self.at..]);
        files.truncate(self.at);
        if files.capacity() > files.len() + files.len() / 8 {
            files.shrink_to_fit();
        }
    }
}
