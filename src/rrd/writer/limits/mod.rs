//! Which files that are missing may be created: no more in an hour than a source is allowed, and none
//! while their filesystem is nearly full. Files that are there are none of its business.
//!
//! Creates nothing.

mod budget;
mod room;

use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::file::as_path;
use crate::writer::counters::RrdCounters;
use budget::Budget;
use gmetad_config::Config;
use gmetad_core::complaint::span;
use gmetad_core::model::Mono;
use room::shortage;

/// A source that wants no more than it may have for this long is not limited any more. As long as
/// values may wait before their file is missed.
const QUIET: Duration = Duration::from_secs(900);

/// How often the filesystem is asked, in time and in files made.
const ASK_EVERY: Duration = Duration::from_secs(1);
const ASK_AFTER: u32 = 64;

/// Files that belong to no source, such as the sums of everything and what a journal brings, beyond the
/// limit of a source.
const OF_NOBODY: u64 = 1_000_000;

/// Why a file is not created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Its source has brought too many.
    Source,
    /// There is no room.
    Room,
}

/// What limits the files that are created.
#[derive(Debug)]
pub(super) struct Limits {
    root: PathBuf,
    /// `None`: a source may bring any number.
    per_hour: Option<u64>,
    floor_bytes: u64,
    now: Mono,
    /// Which source brings a node, as an index.
    nodes: HashMap<Box<str>, usize>,
    /// The first is nobody.
    sources: Vec<Source>,
    room: Room,
    counters: Arc<RrdCounters>,
}

#[derive(Debug)]
struct Source {
    /// `None`: nobody.
    name: Option<Arc<str>>,
    budget: Budget,
    state: SourceState,
}

#[derive(Debug)]
enum SourceState {
    Free,
    /// Some of its files are not created.
    Limited {
        since: Mono,
        /// When it last wanted one more.
        last: Mono,
    },
}

/// What is known of the filesystem.
#[derive(Debug)]
struct Room {
    /// When it was last asked.
    asked: Option<Instant>,
    /// Files made since then.
    made: u32,
    /// Since when files are not created for want of room.
    short_since: Option<Mono>,
}

impl Limits {
    pub(super) fn new(config: &Config, counters: Arc<RrdCounters>) -> Limits {
        let per_hour = config.rrd.new_per_hour;
        Limits {
            root: config.rrd.rootdir.clone(),
            per_hour: (per_hour > 0).then_some(per_hour),
            floor_bytes: config.rrd.min_free_bytes,
            now: Mono(0),
            nodes: HashMap::new(),
            sources: vec![Source::new(
                None,
                per_hour.saturating_add(OF_NOBODY),
                Mono(0),
            )],
            room: Room {
                asked: None,
                made: 0,
                short_since: None,
            },
            counters,
        }
    }

    /// A source brings a node, with that many values in the document that ended now.
    pub(super) fn expects(&mut self, source: &Arc<str>, node: &str, values: usize, now: Mono) {
        let Some(per_hour) = self.per_hour else {
            return;
        };
        let known = self.nodes.get(node).copied();
        let at = known.filter(|at| self.sources[*at].is(source));
        let at = at.unwrap_or_else(|| {
            let place = self.sources.iter().position(|it| it.is(source));
            let at = place.unwrap_or_else(|| {
                let new = Source::new(Some(Arc::clone(source)), per_hour, now);
                self.sources.push(new);
                self.sources.len() - 1
            });
            self.nodes.insert(node.into(), at);
            at
        });
        self.sources[at].budget.expects(values as u64, now);
    }

    /// Forgets nodes other than these.
    pub(super) fn keep(&mut self, is_known: impl Fn(&str) -> bool) {
        self.nodes.retain(|node, _| is_known(node));
    }

    /// An update begins. Says what is over.
    pub(super) fn begin(&mut self, now: Mono) {
        self.now = now;
        if self.room.short_since.is_some() {
            self.look();
        }
        if self.counters.limited.load(Ordering::Relaxed) == 0 {
            return;
        }
        for source in &mut self.sources {
            if let SourceState::Limited { since, last } = source.state
                && now.since(last) >= QUIET
            {
                source.state = SourceState::Free;
                self.counters.limited.fetch_sub(1, Ordering::Relaxed);
                let lasted = span(last.since(since));
                gmetad_core::recovered!(
                    error: "{source}: its new RRD files are all created again, after {lasted}"
                );
            }
        }
    }

    /// Whether a file may be created.
    pub(super) fn admit(&mut self, path: &CStr) -> Result<(), Limit> {
        let Some(per_hour) = self.per_hour else {
            return self.has_room();
        };
        let at = self.source_of(path);
        let source = &mut self.sources[at];
        source.budget.pass(self.now);
        if source.budget.has_one() {
            return self.has_room();
        }
        match &mut source.state {
            SourceState::Limited { last, .. } => *last = self.now,
            SourceState::Free => {
                source.state = SourceState::Limited {
                    since: self.now,
                    last: self.now,
                };
                self.counters.limited.fetch_add(1, Ordering::Relaxed);
                log::error!(
                    "{source}: too many new RRD files in an hour, {} is not created; it may have as \
                     many as its document has values, and {per_hour} more; files that are there go \
                     on; if all are wanted, raise new_rrds_per_hour",
                    as_path(path).display()
                );
            }
        }
        Err(Limit::Source)
    }

    /// A file was created.
    pub(super) fn created(&mut self, path: &CStr) {
        self.room.made += 1;
        let at = self.source_of(path);
        self.sources[at].budget.take_one();
    }

    fn source_of(&self, path: &CStr) -> usize {
        let inside = as_path(path).strip_prefix(&self.root).ok();
        let node = inside.and_then(|it| it.iter().next().and_then(OsStr::to_str));
        let at = node.and_then(|node| self.nodes.get(node).copied());
        at.unwrap_or_default()
    }

    fn has_room(&mut self) -> Result<(), Limit> {
        self.look();
        match self.room.short_since {
            Some(_) => Err(Limit::Room),
            None => Ok(()),
        }
    }

    /// Asks the filesystem, if it was not asked just now. Says what has changed.
    fn look(&mut self) {
        let known = &mut self.room;
        let is_due = |asked: Instant| asked.elapsed() >= ASK_EVERY;
        if known.made < ASK_AFTER && !known.asked.is_none_or(is_due) {
            return;
        }
        known.asked = Some(Instant::now());
        known.made = 0;
        let root = self.root.display();
        match (shortage(&self.root, self.floor_bytes), known.short_since) {
            (Some(shortage), None) => {
                known.short_since = Some(self.now);
                self.counters.no_room.store(true, Ordering::Relaxed);
                log::error!(
                    "RRD root {root}: no new files are created while {shortage}; files that are there \
                     go on; free space, or lower min_free_mb"
                );
            }
            (None, Some(since)) => {
                known.short_since = None;
                self.counters.no_room.store(false, Ordering::Relaxed);
                let lasted = span(self.now.since(since));
                gmetad_core::recovered!(
                    error: "RRD root {root}: new files are created again, after {lasted}"
                );
            }
            _ => {}
        }
    }
}

impl Source {
    fn new(name: Option<Arc<str>>, more: u64, now: Mono) -> Source {
        Source {
            name,
            budget: Budget::new(more, now),
            state: SourceState::Free,
        }
    }

    fn is(&self, name: &Arc<str>) -> bool {
        let same = |it: &Arc<str>| Arc::ptr_eq(it, name) || **it == **name;
        self.name.as_ref().is_some_and(same)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "source \"{name}\""),
            None => f.write_str("all sources together"),
        }
    }
}
