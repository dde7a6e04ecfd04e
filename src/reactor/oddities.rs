//! What is odd about a source's documents, each told once: its clock, and what it brings that is
//! another's.
//!
//! Nothing is decided here: the store has done that.

use std::time::Instant;

use gmetad_core::complaint::Complaint;
use gmetad_core::model::{MOST_AHEAD_SECS, MOST_BEHIND_SECS, Node, Stamp, StoreTime};
use gmetad_core::store::{Contest, LeftOut};

/// What has been told of a source.
#[derive(Debug, Default)]
pub(super) struct Oddities {
    /// That a document held this gmetad's own grid.
    own_grid: bool,
    /// The grid of which was told that it holds this gmetad's sums.
    circle: Option<Box<str>>,
    /// That it brings what stays with another source.
    contest: bool,
    /// Whether something is left out of its documents now.
    left_out: bool,
    about_left_out: Complaint,
    clock: Option<ClockTrouble>,
    about_clock: Complaint,
}

/// What is wrong with a source's clock.
#[derive(Clone, Debug)]
pub(super) enum ClockTrouble {
    /// It is so far ahead that ours is taken.
    Ahead { node: Box<str> },
    /// It is far behind, and taken nevertheless.
    Behind { node: Box<str> },
}

impl ClockTrouble {
    /// What is wrong in a document, if something is: of the first node.
    pub(super) fn of(nodes: &[(Node, Stamp)]) -> Option<ClockTrouble> {
        nodes.iter().find_map(|(node, stamp)| {
            let name = || node.name().into();
            match stamp.time {
                StoreTime::NotTheirs(_) => Some(ClockTrouble::Ahead { node: name() }),
                StoreTime::Behind(_) => Some(ClockTrouble::Behind { node: name() }),
                _ => None,
            }
        })
    }

    fn node(&self) -> &str {
        match self {
            ClockTrouble::Ahead { node } | ClockTrouble::Behind { node } => node,
        }
    }
}

impl Oddities {
    /// Says once that the source hands this gmetad's own grid back.
    pub(super) fn tell_own_grid(&mut self, has_own_grid: bool, source: &str) {
        if has_own_grid && !self.own_grid {
            log::error!(
                "source \"{source}\": its document holds this gmetad's own grid (same gridname and \
                 authority): the source is this gmetad or polls it; that grid is left out of the \
                 sums and not shown; if it is another gmetad's, set a gridname of its own there"
            );
            self.own_grid = true;
        }
    }

    /// Says once that the source hands this gmetad's sums back, in those of another grid.
    pub(super) fn tell_circle(&mut self, grid: Option<&str>, source: &str) {
        if let (Some(grid), None) = (grid, &self.circle) {
            self.circle = Some(grid.into());
            log::error!(
                "source \"{source}\": the grid {grid:?} in its document holds this gmetad's sums: the \
                 gmetads poll each other in a circle; that grid is left out of the sums"
            );
        }
    }

    /// Says once that hosts, clusters or grids of the source stay with another one.
    pub(super) fn tell_contest(&mut self, contest: &Contest, holder: &str, source: &str) {
        if std::mem::replace(&mut self.contest, true) {
            return;
        }
        let Contest {
            count, node, host, ..
        } = contest;
        let example = if host.is_empty() {
            format!("{node:?}")
        } else {
            format!("{host:?} of {node:?}")
        };
        log::error!(
            "source \"{source}\" brings what another source brought first, {count} in all, such as \
             {example}: it stays with source \"{holder}\" while that one answers; poll each gmond \
             by one data_source, or say who may bring a cluster (source_clusters)"
        );
    }

    /// Says that something is left out of the source's documents, and when nothing is any more.
    pub(super) fn tell_left_out(&mut self, left_out: Option<&LeftOut>, source: &str, now: Instant) {
        if std::mem::replace(&mut self.left_out, left_out.is_some()) == left_out.is_some() {
            return;
        }
        let complaint = &mut self.about_left_out;
        let says = match left_out {
            Some(_) => complaint.failed(now).is_some(),
            None => complaint.recovered(now).is_some(),
        };
        match left_out {
            _ if !says => {}
            Some(LeftOut { count, name }) => log::error!(
                "source \"{source}\": {count} of its clusters and grids, such as {name:?}, may be \
                 brought by others only (source_clusters); they are left out"
            ),
            None => gmetad_core::recovered!(
                error: "source \"{source}\": nothing that only others may bring is in its document \
                        any more"
            ),
        }
    }

    /// Says a change of what is wrong with the source's clock.
    pub(super) fn tell_clock(&mut self, trouble: Option<ClockTrouble>, now: Instant) {
        let kind = |it: &Option<ClockTrouble>| it.as_ref().map(std::mem::discriminant);
        if kind(&trouble) == kind(&self.clock) {
            return;
        }
        let before = std::mem::replace(&mut self.clock, trouble);
        let complaint = &mut self.about_clock;
        let says = match self.clock {
            Some(_) => complaint.failed(now).is_some(),
            None => complaint.recovered(now).is_some(),
        };
        match (&before, &self.clock) {
            _ if !says => {}
            (_, Some(ClockTrouble::Ahead { node })) => log::error!(
                "the clock of {node:?} is more than {} minutes ahead of this machine's: its values \
                 are stored with this machine's time; set the clock that is wrong",
                MOST_AHEAD_SECS / 60
            ),
            (_, Some(ClockTrouble::Behind { node })) => log::error!(
                "the clock of {node:?} is more than {} hours behind this machine's: its values are \
                 stored with its own time; set the clock that is wrong",
                MOST_BEHIND_SECS / 3600
            ),
            (Some(before), None) => {
                let node = before.node();
                gmetad_core::recovered!(error: "the clock of {node:?} is right again");
            }
            (None, None) => {}
        }
    }
}
