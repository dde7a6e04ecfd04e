//! The sums of a cluster that several sources bring: those of each source, added up in pairs.
//!
//! Pairs of pairs and so on, in the order of the sources, so that a change of one source's sums costs a
//! few additions, however many sources there are. What a source no longer brings is never subtracted: the
//! sums stay as exact as sums that are made anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::partial::discard;
use crate::model::{Rubbish, Summary, SummaryMetric};

/// What finding the sum of a name costs, in sums copied.
const NAME_COST: usize = 4;

/// The sums of all sources, of pairs of them, and so on up to those of all.
#[derive(Debug, Default)]
pub(super) struct SumTree {
    /// The sums of single sources first. Each is made of half of those below, the last one of one or two.
    levels: Vec<Vec<Arc<Summary>>>,
    /// On the level that is under way: which have changed, in order, each once.
    changed: Vec<usize>,
    /// The next of those, and that level.
    at: usize,
    level: usize,
    joining: Option<Box<Joining>>,
}

impl SumTree {
    /// Replaces the sums of single sources, in their order. Those of all are to be made anew.
    pub fn set_all(&mut self, leaves: Vec<Arc<Summary>>, rubbish: &mut Rubbish) {
        let old = std::mem::take(&mut self.levels);
        old.into_iter()
            .flatten()
            .for_each(|it| discard(it, rubbish));
        self.begin((0..leaves.len()).collect());
        let mut count = leaves.len();
        self.levels.push(leaves);
        while count > 1 {
            count = count.div_ceil(2);
            self.levels.push(vec![Arc::default(); count]);
        }
    }

    /// Replaces the sums of some sources, by their places in order.
    pub fn set(&mut self, leaves: Vec<(usize, Arc<Summary>)>, rubbish: &mut Rubbish) {
        self.begin(leaves.iter().map(|(at, _)| *at).collect());
        for (at, leaf) in leaves {
            self.replace(0, at, leaf, rubbish);
        }
    }

    fn begin(&mut self, changed: Vec<usize>) {
        (self.level, self.at, self.changed) = (0, 0, changed);
        self.joining = None;
    }

    fn replace(&mut self, level: usize, at: usize, by: Arc<Summary>, rubbish: &mut Rubbish) {
        if let Some(it) = self.levels.get_mut(level).and_then(|all| all.get_mut(at)) {
            discard(std::mem::replace(it, by), rubbish);
        }
    }

    /// Adds up what has changed. Returns whether it has to go on.
    pub fn step(&mut self, budget: &mut usize, rubbish: &mut Rubbish) -> bool {
        while self.level + 1 < self.levels.len() {
            if *budget == 0 {
                return true;
            }
            let Some(&below) = self.changed.get(self.at) else {
                self.level += 1;
                self.at = 0;
                self.changed.iter_mut().for_each(|it| *it /= 2);
                self.changed.dedup();
                *budget = budget.saturating_sub(1);
                continue;
            };
            if let Some(joining) = &mut self.joining {
                if joining.step(budget) {
                    return true;
                }
                if let Some(joining) = self.joining.take() {
                    let sums = joining.finish(rubbish);
                    self.replace(self.level + 1, below / 2, sums, rubbish);
                    self.pass_pair(below);
                }
                continue;
            }
            *budget = budget.saturating_sub(1);
            let all = &self.levels[self.level];
            let left = Arc::clone(&all[below & !1]);
            match all.get(below | 1).filter(|it| !it.is_empty()) {
                Some(right) if !left.is_empty() => {
                    let joining = Joining::new(left, Arc::clone(right));
                    self.joining = Some(Box::new(joining));
                }
                right => {
                    let sums = right.map_or(left, Arc::clone);
                    self.replace(self.level + 1, below / 2, sums, rubbish);
                    self.pass_pair(below);
                }
            }
        }
        false
    }

    /// A pair is done, of which both may have changed.
    fn pass_pair(&mut self, below: usize) {
        let is_of_it = |it: &&usize| **it / 2 == below / 2;
        self.at += self.changed[self.at..]
            .iter()
            .take(2)
            .filter(is_of_it)
            .count();
    }

    /// The sums of all sources, once they are made.
    pub fn whole(&self) -> Option<&Arc<Summary>> {
        self.levels.last()?.first()
    }

    /// Drops them step by step.
    pub fn discard(self, rubbish: &mut Rubbish) {
        self.levels
            .into_iter()
            .flatten()
            .for_each(|it| discard(it, rubbish));
    }
}

/// Two summaries that are added up.
#[derive(Debug)]
struct Joining {
    left: Arc<Summary>,
    right: Arc<Summary>,
    whole: Summary,
    by_name: BTreeMap<Box<str>, usize>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The left ones are copied.
    Copy,
    /// The right ones are added to those of the same places, as long as these have the same names.
    Aligned(usize),
    /// From that one on they do not: where each name is is found out.
    Names(usize),
    /// The others are added by name, from that one on.
    Others(usize),
    Done,
}

impl Joining {
    fn new(left: Arc<Summary>, right: Arc<Summary>) -> Joining {
        let whole = Summary {
            hosts_up: left.hosts_up.saturating_add(right.hosts_up),
            hosts_down: left.hosts_down.saturating_add(right.hosts_down),
            metrics: Vec::with_capacity(left.metrics.len().max(right.metrics.len())),
        };
        Joining {
            left,
            right,
            whole,
            by_name: BTreeMap::new(),
            stage: Stage::Copy,
        }
    }

    fn step(&mut self, budget: &mut usize) -> bool {
        while *budget > 0 {
            self.stage = match self.stage {
                Stage::Copy => self.copy(budget),
                Stage::Aligned(at) => self.add_aligned(at, budget),
                Stage::Names(at) => self.find_names(at, budget),
                Stage::Others(at) => self.add_others(at, budget),
                Stage::Done => return false,
            };
        }
        true
    }

    fn finish(self, rubbish: &mut Rubbish) -> Arc<Summary> {
        rubbish.add(self.by_name);
        let mut whole = self.whole;
        whole.metrics.shrink_to_fit();
        Arc::new(whole)
    }

    fn copy(&mut self, budget: &mut usize) -> Stage {
        copy_some(&self.left.metrics, &mut self.whole.metrics, budget);
        if self.whole.metrics.len() < self.left.metrics.len() {
            Stage::Copy
        } else {
            Stage::Aligned(0)
        }
    }

    fn add_aligned(&mut self, mut at: usize, budget: &mut usize) -> Stage {
        while let Some(other) = self.right.metrics.get(at) {
            if *budget == 0 {
                return Stage::Aligned(at);
            }
            let mine = self.whole.metrics.get_mut(at);
            let mine = mine
                .filter(|it| Arc::ptr_eq(&it.def, &other.def) || it.def.name() == other.def.name());
            let Some(mine) = mine else {
                return Stage::Names(at);
            };
            *budget -= 1;
            add(mine, other);
            at += 1;
        }
        Stage::Done
    }

    fn find_names(&mut self, from: usize, budget: &mut usize) -> Stage {
        while let Some(sum) = self.whole.metrics.get(self.by_name.len()) {
            if *budget == 0 {
                return Stage::Names(from);
            }
            *budget = budget.saturating_sub(NAME_COST);
            self.by_name
                .insert(sum.def.name().into(), self.by_name.len());
        }
        Stage::Others(from)
    }

    fn add_others(&mut self, mut at: usize, budget: &mut usize) -> Stage {
        while let Some(other) = self.right.metrics.get(at) {
            if *budget == 0 {
                return Stage::Others(at);
            }
            *budget = budget.saturating_sub(NAME_COST);
            if let Some(&mine) = self.by_name.get(other.def.name()) {
                add(&mut self.whole.metrics[mine], other);
            } else {
                let place = self.whole.metrics.len();
                self.by_name.insert(other.def.name().into(), place);
                self.whole.metrics.push(other.clone());
            }
            at += 1;
        }
        Stage::Done
    }
}

fn add(to: &mut SummaryMetric, other: &SummaryMetric) {
    to.add(&other.def, other.number(), other.num, other.contributors);
}

/// Copies about so many sums more.
pub(super) fn copy_some(from: &[SummaryMetric], to: &mut Vec<SummaryMetric>, budget: &mut usize) {
    let end = from.len().min(to.len().saturating_add(*budget));
    *budget = budget.saturating_sub(end - to.len() + 1);
    to.extend_from_slice(&from[to.len()..end]);
}
