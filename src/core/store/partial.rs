//! The sums of what one source shows of a cluster that others bring too, made in steps.
//!
//! Values are added host by host. The sums of all sources are made of these in `sums`.

use std::sync::Arc;

use super::union::Member;
use crate::model::{
    Cluster, Contributors, Host, Metric, Number, Rubbish, Summary, SummaryBuilder, id_of,
    parse_number,
};
use crate::summary::SummaryFilter;

/// What summing a value costs, in names compared.
const SUM_COST: usize = 2;

/// In place of the index of a definition's sum: its values were not looked at so far, or are not summed.
const UNSEEN: u32 = u32::MAX;
const LEFT_OUT: u32 = u32::MAX - 1;

/// Sums in the making.
#[derive(Debug)]
pub(super) struct Partial {
    cluster: Arc<Cluster>,
    shown: Option<Arc<[u32]>>,
    filter: Arc<SummaryFilter>,
    cluster_id: u64,
    /// By definition: the index of its sum.
    slots: Vec<u32>,
    sums: SummaryBuilder,
    metric_count: usize,
    /// Resets of counters in sums that the hosts which are shown do not have.
    resets: Vec<(Box<str>, u32)>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Hosts are added, from that value of that one of those shown on.
    Hosts {
        at: usize,
        metric: usize,
    },
    /// The sums of a source that names no hosts are added, from that one on.
    Given(usize),
    /// Resets are added, from those of that sum on: only sums that exist by now can take them.
    Resets(usize),
    Done,
}

impl Partial {
    pub fn new(of: &Member, filter: &Arc<SummaryFilter>) -> Partial {
        let cluster = Arc::clone(&of.cluster);
        let stage = if cluster.hosts.is_empty() {
            Stage::Given(0)
        } else {
            Stage::Hosts { at: 0, metric: 0 }
        };
        Partial {
            cluster_id: id_of(0, cluster.name.as_bytes()),
            slots: vec![UNSEEN; cluster.defs.len()],
            shown: of.shown.clone(),
            filter: Arc::clone(filter),
            cluster,
            sums: SummaryBuilder::default(),
            metric_count: 0,
            resets: Vec::new(),
            stage,
        }
    }

    /// Goes on. Returns whether it has to go on once more.
    pub fn step(&mut self, budget: &mut usize) -> bool {
        while *budget > 0 {
            self.stage = match self.stage {
                Stage::Hosts { at, metric } => self.add_hosts(at, metric, budget),
                Stage::Given(at) => self.add_given(at, budget),
                Stage::Resets(at) => self.add_resets(at, budget),
                Stage::Done => return false,
            };
        }
        true
    }

    /// Gives the sums to whose they are, once they are done.
    pub fn finish(self, to: &mut Member, rubbish: &mut Rubbish) {
        let sums = Arc::new(self.sums.finish_into(rubbish));
        discard(std::mem::replace(&mut to.sums, sums), rubbish);
        to.resets = Arc::new(self.resets);
        to.metric_count = self.metric_count;
    }

    fn shown_host<'a>(&self, of: &'a Cluster, at: usize) -> Option<&'a Host> {
        let at = match &self.shown {
            None => at,
            Some(shown) => *shown.get(at)? as usize,
        };
        of.hosts.get(at)
    }

    fn add_hosts(&mut self, mut at: usize, mut metric: usize, budget: &mut usize) -> Stage {
        let cluster = Arc::clone(&self.cluster);
        while let Some(host) = self.shown_host(&cluster, at) {
            if *budget == 0 {
                return Stage::Hosts { at, metric };
            }
            *budget = budget.saturating_sub(1);
            if metric == 0 {
                self.metric_count += host.metric_count as usize;
                if host.fresh {
                    let up = u32::from(host.up);
                    self.sums.add_hosts(up, 1 - up);
                }
            }
            metric = if host.fresh && host.up {
                let id = id_of(self.cluster_id, host.info.name.as_bytes());
                let values = host.metrics();
                let end = values
                    .end
                    .min(values.start + metric + *budget / SUM_COST + 1);
                let piece = values.start + metric..end;
                *budget = budget.saturating_sub(piece.len() * SUM_COST);
                piece.for_each(|value| self.add_value(value, id));
                if end < values.end {
                    end - values.start
                } else {
                    0
                }
            } else {
                0
            };
            at += usize::from(metric == 0);
        }
        Stage::Resets(0)
    }

    /// Adds a value of a host that is up, if it is fresh.
    fn add_value(&mut self, value: usize, host: u64) {
        let metric: &Metric = &self.cluster.metrics[value];
        let def = &self.cluster.defs[metric.def() as usize];
        let slot = self.slots[metric.def() as usize];
        if slot == UNSEEN && !(def.ty().is_numeric() && self.filter.takes_part(def.name())) {
            self.slots[metric.def() as usize] = LEFT_OUT;
            return;
        }
        if slot == LEFT_OUT || !metric.is_fresh() || metric.is_expired(def.fields().dmax, 0) {
            return;
        }
        let Some(Number { value, decimals }) = parse_number(metric.val.as_bytes()) else {
            return;
        };
        let decimals = if def.ty().is_integer() { 0 } else { decimals };
        let number = Number { value, decimals };
        let host = Contributors::one(host);
        if slot == UNSEEN {
            let at = self.sums.add(def, number, 1, host);
            self.slots[metric.def() as usize] = at as u32;
        } else {
            self.sums.add_at(slot as usize, def, number, 1, host);
        }
    }

    fn add_given(&mut self, at: usize, budget: &mut usize) -> Stage {
        let given = &self.cluster.summary;
        if at == 0 {
            self.sums.add_hosts(given.hosts_up, given.hosts_down);
        }
        let end = given.metrics.len().min(at + *budget / SUM_COST + 1);
        self.sums.merge_sums(&given.metrics[at..end]);
        *budget = budget.saturating_sub((end - at) * SUM_COST + 1);
        if end < given.metrics.len() {
            Stage::Given(end)
        } else {
            Stage::Done
        }
    }

    fn add_resets(&mut self, at: usize, budget: &mut usize) -> Stage {
        let sums = &self.cluster.summary.metrics;
        let end = sums.len().min(at.saturating_add(*budget));
        *budget = budget.saturating_sub(end - at + 1);
        for sum in &sums[at..end] {
            let (name, resets) = (sum.def.name(), sum.contributors.resets());
            if resets > 0 && !self.sums.note_resets(name, resets) {
                self.resets.push((name.into(), resets));
            }
        }
        if end < sums.len() {
            Stage::Resets(end)
        } else {
            Stage::Done
        }
    }
}

/// Drops sums step by step, if nobody else holds them.
pub(super) fn discard(sums: Arc<Summary>, rubbish: &mut Rubbish) {
    if let Some(sums) = Arc::into_inner(sums) {
        rubbish.add_summary(sums);
    }
}
