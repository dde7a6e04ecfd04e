//! What is remembered of a cluster's or nested grid's folder.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::file::samples::Kind;
use crate::tree::acceptance::Acceptance;
use crate::tree::folder::Dir;
use crate::tree::moment::Moment;
use crate::tree::names::Names;
use crate::tree::tools::Tools;
use gmetad_core::complaint::cut;
use gmetad_core::model::{MetricDef, Mono};

/// A cluster's or nested grid's folder.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// What `columns` was worked out from, not held: the node may be no more.
    pub(super) defs: Weak<Vec<Arc<MetricDef>>>,
    /// By definition: what it means for files, if it has any.
    pub(super) columns: Vec<Option<Column>>,
    /// Hosts, by component.
    pub(super) hosts: HashMap<Box<str>, Dir>,
    pub(super) sums: Dir,
    /// When it was last updated.
    pub(super) seen: Mono,
    /// Counts updates of its hosts, so that hosts no longer named can be told.
    pub(super) round: u32,
    /// Updates since all of its hosts were named.
    since_all: usize,
    /// Whether its last time was one that no file can have.
    is_timeless: bool,
    /// Whether its files take its values.
    pub(super) acceptance: Acceptance,
}

/// What a definition means for files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Number of its name.
    pub(super) name: u32,
    pub(super) kind: Kind,
    /// Seconds after which a value is to be forgotten; 0 = never.
    pub(crate) dmax: u32,
}

impl Node {
    pub(super) fn dirs(&mut self) -> impl Iterator<Item = &mut Dir> {
        self.hosts.values_mut().chain([&mut self.sums])
    }

    /// An update has come, of a cluster that so many sources bring. Whether all of its hosts are to be named:
    /// once in as many updates. In the others those are that have values, lest each source's update cost what the
    /// hosts of all sources do.
    pub(super) fn is_all_due(&mut self, sources: usize) -> bool {
        self.since_all += 1;
        let is_due = self.since_all >= sources;
        if is_due {
            self.since_all = 0;
        }
        is_due
    }

    /// Works out what each definition means for files, where the definitions are not those of
    /// last time.
    pub(super) fn learn(&mut self, defs: &Arc<Vec<Arc<MetricDef>>>, names: &mut Names) {
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

    /// The time that files are given; `None` where there is none, which is logged once.
    pub(super) fn usable_time(
        &mut self,
        name: &str,
        moment: Moment,
        tools: &mut Tools,
    ) -> Option<u32> {
        let time = moment.time();
        let was_timeless = std::mem::replace(&mut self.is_timeless, time.is_none());
        if was_timeless != time.is_none() && tools.lines.of(&tools.source).has_room(Instant::now())
        {
            let name = cut(name);
            match time {
                None => log::error!(
                    "{name:?}: no values are stored: its LOCALTIME {} is not a time that an RRD \
                     file can hold; set the clock of its gmond or gmetad",
                    moment.time.epoch()
                ),
                Some(_) => gmetad_core::recovered!(
                    error: "{name:?}: values are stored again: its LOCALTIME is a time again"
                ),
            }
        }
        time
    }
}
