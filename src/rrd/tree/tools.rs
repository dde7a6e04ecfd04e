//! What it takes to get from a name and a value to a file.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::entry::{FileEntry, FileState};
use crate::cache::{Held, WriteCache};
use crate::file::FileSpec;
use crate::file::samples::Samples;
use crate::paths::{PathBuffer, SUMMARY_DIR};
use crate::tree::acceptance::{Acceptance, AcceptanceChange};
use crate::tree::names::Names;
use crate::writer::Writer;
use gmetad_core::complaint::{Budgets, cut, span};
use gmetad_core::model::Mono;

/// What it takes to get from a name and a value to a file. Apart from the tree, whose folders are
/// borrowed at the same time.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) names: Names,
    pub(super) paths: PathBuffer,
    pub(super) samples: Samples,
    pub(super) writer: Writer,
    /// Where samples wait, if any ever do.
    pub(super) cache: Option<WriteCache>,
    /// A component in the making.
    pub(super) component: String,
    /// Lines about single clusters and grids: a source may bring thousands.
    pub(super) lines: Budgets,
    /// Whose update is under way.
    pub(super) source: Arc<str>,
}

/// Whose files take values or do not.
#[derive(Clone, Copy)]
pub(super) enum Whose<'a> {
    /// A cluster's or grid's: its name, and the folder it makes.
    Node(&'a str, &'a str),
    /// The sums of everything.
    Root,
}

impl Tools {
    /// Before an update of that time: logs whether the values before it were refused, if that has
    /// changed.
    pub(super) fn follow(
        &mut self,
        acceptance: &mut Acceptance,
        whose: Whose<'_>,
        time: u32,
        step: Duration,
    ) {
        let folder = match whose {
            Whose::Node(_, folder) => folder,
            Whose::Root => SUMMARY_DIR,
        };
        let refused = self.writer.refusals.take(folder);
        let before = acceptance.is_refused();
        if refused.is_none() && !before {
            return;
        }
        let delay = match &self.cache {
            Some(cache) if cache.holds() => cache.longest_wait(),
            _ if self.writer.rrdcached.is_some() => 2 * step,
            _ => Duration::ZERO,
        };
        let turn = acceptance.follow(refused, time, Instant::now(), delay);
        let refusing = &self.writer.counters().refusing;
        match (before, acceptance.is_refused()) {
            (false, true) => drop(refusing.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(refusing.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        if let Some(turn) = turn {
            let folder = self.writer.refusals.folder(folder);
            self.tell(whose, turn, &folder);
        }
    }

    fn tell(&mut self, whose: Whose<'_>, turn: AcceptanceChange, folder: &Path) {
        let is_node = matches!(whose, Whose::Node(..));
        if is_node && !self.lines.of(&self.source).has_room(Instant::now()) {
            return;
        }
        let (files, clock) = match whose {
            Whose::Node(name, _) => (format!("RRD files of {:?}", cut(name)), "its clock"),
            Whose::Root => (
                "RRD files of the sums of everything".into(),
                "this machine's clock",
            ),
        };
        match turn {
            AcceptanceChange::Taken(lasted) => {
                gmetad_core::recovered!(error: "{files} take values again, after {}", span(lasted));
            }
            AcceptanceChange::Refused { files: count, wait } => {
                let too = if self.writer.rrdcached.is_some() {
                    " and restart rrdcached"
                } else {
                    ""
                };
                log::error!(
                    "{files} ({count} so far) take no values for the next {}: they have newer values, \
                     from when {clock} was ahead; correct {clock} if it is wrong now, else wait, or \
                     move the files in {} away{too}; stopped, gmetad --heal-rrds cuts what is ahead \
                     of now from them",
                    span(wait),
                    folder.display()
                );
            }
        }
    }

    /// Holds the samples of a file in the folder entered; whether the last of them was taken.
    pub(super) fn hold(&mut self, entry: &mut FileEntry, spec: FileSpec) -> bool {
        let Tools {
            samples,
            paths,
            writer,
            names,
            cache,
            ..
        } = self;
        let Some(cache) = cache else {
            unreachable!("only a cache holds samples")
        };
        let id = match entry.state() {
            FileState::Held(id) => id,
            FileState::Direct(_) => {
                let name = names.component(entry.name());
                let id = cache.use_file(paths.folder(), name, spec);
                entry.set(FileState::Held(id));
                id
            }
        };
        let mut taken = false;
        for (time, value) in samples.iter() {
            let held = cache.put(id, spec, (time, value), writer);
            taken = held != Held::Stale;
        }
        taken
    }

    /// Writes the samples of a file in the folder entered; the time of its newest then.
    pub(super) fn write_through(&mut self, entry: &mut FileEntry, spec: FileSpec) -> Option<u32> {
        let Tools {
            samples,
            paths,
            writer,
            names,
            cache,
            ..
        } = self;
        let name = names.component(entry.name());
        if let Some(cache) = cache
            && cache.waiting_files() > 0
        {
            // Older ones, of the last run's journal.
            cache.flush(paths.folder(), name, writer);
        }
        let FileState::Direct(mut record) = entry.state() else {
            unreachable!("no file is held where updates are written as they come")
        };
        writer.write_of_update(paths.file(name), &mut record, spec, samples);
        entry.set(FileState::Direct(record));
        record.last()
    }

    /// Forgets a node.
    pub(super) fn forget_acceptance(&self, acceptance: &Acceptance) {
        if acceptance.is_refused() {
            let refusing = &self.writer.counters().refusing;
            refusing.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// An update begins at that time.
    pub(super) fn begin(&mut self, now: Mono) {
        self.writer.begin(now);
        if let Some(cache) = &mut self.cache {
            cache.tell_time(Instant::now(), &self.writer);
        }
    }

    /// Forgets files that are no longer written to.
    pub(super) fn forget(&mut self, files: &[FileEntry]) {
        for file in files {
            match (file.state(), &mut self.cache) {
                (FileState::Direct(record), _) => self.writer.forget(record),
                (FileState::Held(id), Some(cache)) => cache.release(id, &self.writer),
                (FileState::Held(_), None) => unreachable!("only a cache holds files"),
            }
        }
    }
}
