//! Grids below: whose sums they hold, and how those of what is inside are added to them, in steps.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use quick_xml::events::BytesStart;

use super::{Elements, Scope};
use crate::ingest::build::ClusterBuilder;
use crate::ingest::document::ParseError;
use crate::ingest::drafts::GridDraft;
use crate::model::{Grid, GridIdentity, Rubbish, Summary, SummaryBuilder, Via};

/// Sums from inside a grid that are being added to it.
#[derive(Debug)]
pub(super) enum Below {
    /// Those of a closed cluster. Its builder is the outermost grid's.
    Cluster {
        outermost: Box<str>,
        builder: Box<ClusterBuilder>,
    },
    /// These, from that one on.
    Sums { summary: Summary, at: usize },
}

/// Sums added to a grid before anything else is done.
pub(super) const SUMS_AT_ONCE: usize = 1024;

/// What adding one costs.
const SUM_COST: usize = 4;

/// Drops sums step by step.
pub(super) fn discard(sums: SummaryBuilder, rubbish: &mut Rubbish) {
    let summary = sums.finish_into(rubbish);
    rubbish.add_summary(summary);
}

impl Elements {
    pub(super) fn start_grid(&mut self, tag: &BytesStart<'_>) -> Scope {
        if !self.settings.scalable {
            return Scope::PlainGrid;
        }
        let grid = GridDraft::read(tag, &mut self.document.damage);
        if self.is_own(&grid) {
            self.document.has_own_grid = true;
            self.note_via(&grid.via);
            return Scope::Unknown;
        }
        self.grids.push(grid);
        Scope::Grid
    }

    /// Whether it is this gmetad's own grid, handed back by itself or by one that polls it. To sum it
    /// up again would make the sums grow at every poll.
    fn is_own(&self, grid: &GridDraft) -> bool {
        let own = self.settings.own_grid.as_ref();
        own.is_some_and(|own| own.name == grid.name && own.authority == grid.authority)
    }

    /// Reads a comment. One behind a GRID tag may say whose sums are inside: if this gmetad's are, the
    /// grid is left out. The outermost grid is the source's own, which is never left out.
    pub(super) fn comment(&mut self, text: &str) {
        let Some(via) = Via::read(text) else { return };
        let [.., outer, grid] = self.grids.as_mut_slice() else {
            return;
        };
        if self.scopes.last() != Some(&Scope::Grid) || !grid.is_empty() {
            return;
        }
        let own = self.settings.own_grid.as_ref().map(GridIdentity::id);
        for (id, passes) in via.iter() {
            grid.via.add(id, passes);
        }
        if own.is_none_or(|own| !via.has(own)) {
            return;
        }
        outer.via.add_all(&grid.via);
        if let Some(grid) = self.grids.pop() {
            self.note_circle(&grid.name);
        }
        if let Some(scope) = self.scopes.last_mut() {
            *scope = Scope::Unknown;
        }
    }

    /// Notes the gmetads whose sums a grid inside the open one holds.
    fn note_via(&mut self, inside: &Via) {
        if let Some(outer) = self.grids.last_mut() {
            outer.via.add_all(inside);
        }
    }

    /// Notes that a grid holds this gmetad's sums.
    fn note_circle(&mut self, grid: &str) {
        self.document.circle.get_or_insert_with(|| grid.into());
    }

    pub(super) fn end_grid(&mut self) -> Result<(), ParseError> {
        let Some(grid) = self.grids.pop() else {
            return Ok(());
        };
        let was_marked = self.circle.as_deref() == Some(&*grid.name);
        let returns = (grid.has_own_mark || was_marked) && !self.grids.is_empty();
        let bytes = grid.bytes().saturating_add(grid.via.bytes());
        self.note_via(&grid.via);
        // A grid's own sums include what is below it.
        let (sums, unused) = if grid.own.is_empty() {
            (grid.below, grid.own)
        } else {
            (grid.own, grid.below)
        };
        let rubbish = &mut self.document.rubbish;
        discard(unused, rubbish);
        let summary = sums.finish_into(rubbish);
        let hosts = u64::from(summary.hosts_up).saturating_add(summary.hosts_down.into());
        if returns {
            rubbish.add_summary(summary);
            self.note_circle(&grid.name);
            let returned = &mut self.document.returned_hosts;
            *returned = returned.saturating_add(hosts);
            if grid.has_own_mark {
                self.document.marked = Some(grid.name.into());
            }
            return Ok(());
        }
        if !self.grids.is_empty() {
            if self.grids.len() == 1 {
                self.document.inner_hosts = self.document.inner_hosts.saturating_add(hosts);
            }
            self.begin_below(summary);
            return Ok(());
        }
        self.check_room_for_node(&grid.name)?;
        let grid = Grid {
            name: grid.name.into(),
            authority: grid.authority.into(),
            localtime: grid.localtime,
            received: self.now,
            summary,
            via: grid.via,
            mark: None,
            bytes,
        };
        self.nodes.add_grid(grid);
        Ok(())
    }

    /// Begins to add sums to the open grid.
    fn begin_below(&mut self, summary: Summary) {
        if let Some(grid) = self.grids.last_mut() {
            grid.below.add_hosts(summary.hosts_up, summary.hosts_down);
        }
        self.below = Some(Below::Sums { summary, at: 0 });
        self.go_on_below(SUMS_AT_ONCE);
    }

    /// Goes on with them, by about so many.
    pub(super) fn go_on_below(&mut self, mut budget: usize) {
        while let Some(below) = self.below.take() {
            let Some(grid) = self.grids.last_mut() else {
                return;
            };
            match below {
                Below::Cluster {
                    outermost,
                    mut builder,
                } => {
                    let has_hosts = builder.has_sums();
                    if has_hosts && builder.move_sums(&mut grid.below, &mut budget) {
                        self.below = Some(Below::Cluster { outermost, builder });
                        return;
                    }
                    // Those that the document gave count if it named no host.
                    let given = std::mem::take(&mut builder.given);
                    self.nodes.close_below(&outermost, *builder);
                    let rubbish = &mut self.document.rubbish;
                    if has_hosts {
                        discard(given, rubbish);
                    } else {
                        let given = given.finish_into(rubbish);
                        grid.below.add_hosts(given.hosts_up, given.hosts_down);
                        self.below = Some(Below::Sums {
                            summary: given,
                            at: 0,
                        });
                    }
                }
                Below::Sums { summary, at } => {
                    let sums = &summary.metrics;
                    let end = sums
                        .len()
                        .min(at.saturating_add((budget / SUM_COST).max(1)));
                    let piece = &sums[at..end];
                    grid.below.merge_sums(piece);
                    budget = budget.saturating_sub(piece.len().saturating_mul(SUM_COST));
                    if end < sums.len() {
                        self.below = Some(Below::Sums { summary, at: end });
                        if budget == 0 {
                            return;
                        }
                    } else {
                        self.document.rubbish.add_summary(summary);
                    }
                }
            }
        }
    }
}
