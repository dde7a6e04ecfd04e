//! A cluster that several sources bring: one cluster with the hosts of all of them, made in steps.
//!
//! Only what has changed is gone through: a source's document costs as much as its own hosts, and of other
//! sources those that are shown instead of its hosts or are not any more. Does not choose the sources: the
//! store does.

use std::sync::Arc;

use super::SourceId;
use super::partial::Partial;
use super::rivals::{Contest, Part, Rivals};
use super::sums::copy_some;
use super::union::{Member, Members, Resets, Union, discard_resets};
use crate::model::{Cluster, ClusterPart, HostInfo, Mono, Parts, Rubbish, SummaryMetric};
use crate::summary::SummaryFilter;

/// What a name costs that comes or goes, in names compared.
const NAME_COST: usize = 4;

/// The merged cluster, under way.
#[derive(Debug)]
pub(super) struct Merging {
    union: Box<Union>,
    rivals: Rivals,
    newest: Option<SourceId>,
    now: Mono,
    /// Sources that do not bring it any more.
    left: Vec<Member>,
    /// Members whose cluster is another.
    changed: Vec<usize>,
    /// Others, whose hosts are summed now or are not any more.
    turned: Vec<usize>,
    /// Whether the sources or their order are others.
    is_reordered: bool,
    /// Hosts that several sources name, or named, of which something has changed.
    touched: Vec<Arc<HostInfo>>,
    /// Members whose sums are to be made: by place.
    to_sum: Vec<bool>,
    /// Members whose sums count otherwise.
    has_sums: Vec<bool>,
    sums: Vec<SummaryMetric>,
    /// Resets that are to be counted, or, where `false`, are not counted any more.
    recounts: Vec<(Resets, bool)>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Hosts of the last source that has left are forgotten, from that one on.
    Leave(usize),
    /// The hosts of a member are compared with those before, in the order of names, from these on.
    Renew {
        nth: usize,
        old: usize,
        new: usize,
    },
    /// Hosts that others name too are looked for, from that one on.
    Turn {
        nth: usize,
        at: usize,
    },
    /// Whose is shown is determined, from that host on.
    Settle(usize),
    /// The hosts that are hidden are marked, from that one on.
    Hide {
        nth: usize,
        at: usize,
        /// How many of them the newest document brought in vain, and the first of these.
        vain: Option<(usize, u32)>,
    },
    /// The others are listed, from that one on.
    Show {
        place: usize,
        at: usize,
        shown: Vec<u32>,
    },
    /// What a member shows is summed.
    Sum {
        place: usize,
        partial: Option<Box<Partial>>,
    },
    /// The sums of all are made of those.
    Join,
    /// Resets are counted anew, from that one of those on.
    Recount {
        nth: usize,
        at: usize,
    },
    /// The sums are copied.
    Copy,
    Done,
}

impl Merging {
    /// One cluster with the hosts of all parts. Its attributes are those of the leader's.
    pub fn new(
        parts: Vec<Part>,
        mut rivals: Rivals,
        newest: Option<SourceId>,
        filter: &Arc<SummaryFilter>,
        now: Mono,
        rubbish: &mut Rubbish,
    ) -> Merging {
        let union = rivals.union.take();
        let mut union = union.unwrap_or_else(|| Box::new(Union::new(Arc::clone(filter))));
        let is_other_filter = !Arc::ptr_eq(&union.filter, filter) && *union.filter != **filter;
        union.filter = Arc::clone(filter);
        let before = std::mem::take(&mut union.members).into_list();
        let is_same = before.len() == parts.len()
            && before.iter().zip(&parts).all(|(it, part)| it.id == part.id);
        let (members, left) = matched(before, parts, rubbish);
        let gone = left.iter().filter(|it| it.is_summed);
        let recounts = gone.map(|it| (Arc::clone(&it.resets), false)).collect();
        let mut merging = Merging {
            rivals,
            newest,
            now,
            left,
            changed: Vec::new(),
            turned: Vec::new(),
            is_reordered: !is_same,
            touched: Vec::new(),
            to_sum: vec![is_other_filter; members.len()],
            has_sums: vec![is_other_filter; members.len()],
            sums: Vec::new(),
            recounts,
            stage: Stage::Done,
            union,
        };
        let mut list = Vec::with_capacity(members.len());
        for (place, (member, was_summed)) in members.into_iter().enumerate() {
            if member.has_changed() {
                merging.changed.push(place);
                merging.to_sum[place] = true;
            } else if member.is_summed != was_summed {
                merging.turned.push(place);
            }
            if member.is_summed != was_summed {
                merging.has_sums[place] = true;
                let resets = Arc::clone(&member.resets);
                merging.recounts.push((resets, member.is_summed));
            }
            list.push(member);
        }
        merging.union.members = Members::new(list);
        merging.stage = merging.leave();
        merging
    }

    /// Goes on. Returns whether it has to go on once more.
    pub fn step(&mut self, budget: &mut usize, rubbish: &mut Rubbish) -> bool {
        while *budget > 0 {
            let stage = std::mem::replace(&mut self.stage, Stage::Done);
            self.stage = match stage {
                Stage::Leave(at) => self.forget(at, budget, rubbish),
                Stage::Renew { nth, old, new } => self.renew(nth, old, new, budget),
                Stage::Turn { nth, at } => self.turn(nth, at, budget),
                Stage::Settle(at) => self.settle(at, budget),
                Stage::Hide { nth, at, vain } => self.hide(nth, at, vain, budget),
                Stage::Show { place, at, shown } => self.show(place, at, shown, budget),
                Stage::Sum { place, partial } => self.sum(place, partial, budget, rubbish),
                Stage::Join if self.union.sums.step(budget, rubbish) => Stage::Join,
                Stage::Join => Stage::Recount { nth: 0, at: 0 },
                Stage::Recount { nth, at } => self.recount(nth, at, budget),
                Stage::Copy => self.copy(budget),
                Stage::Done => return false,
            };
        }
        true
    }

    /// The cluster, and what is known of it, once it is done.
    pub fn finish(self, rubbish: &mut Rubbish) -> (Cluster, Rivals) {
        let Merging {
            mut union,
            mut rivals,
            touched,
            sums,
            recounts,
            ..
        } = self;
        rubbish.add(touched);
        for (resets, _) in recounts {
            discard_resets(resets, rubbish);
        }
        for place in self.changed {
            let member = union.members.at(place);
            rubbish.add(std::mem::take(&mut member.claimed));
            let before = std::mem::replace(&mut member.before, Arc::clone(&member.cluster));
            rubbish.add_cluster(before);
        }
        let members = union.members.list();
        let mut whole = head_of(members, rivals.leader);
        whole.received = whole.received.min(self.now);
        if let Some(counts) = union.sums.whole() {
            whole.summary.hosts_up = counts.hosts_up;
            whole.summary.hosts_down = counts.hosts_down;
        }
        whole.summary.metrics = sums;
        let newest = members.iter().position(|it| Some(it.id) == self.newest);
        let parts = members.iter().map(|it| ClusterPart {
            cluster: Arc::clone(&it.cluster),
            shown: it.shown.clone(),
            metric_count: it.metric_count,
        });
        let parts = Parts::new(parts.collect(), newest);
        let (index, places) = (Arc::clone(&union.index), Arc::clone(union.members.places()));
        whole.parts = Some(Arc::new(parts.found_by(index, places)));
        rivals.union = Some(union);
        (whole, rivals)
    }

    fn leave(&self) -> Stage {
        if self.left.is_empty() {
            self.begin_renewal(0)
        } else {
            Stage::Leave(0)
        }
    }

    fn forget(&mut self, mut at: usize, budget: &mut usize, rubbish: &mut Rubbish) -> Stage {
        let Some(member) = self.left.last() else {
            return self.leave();
        };
        while let Some(host) = member.known.hosts.get(at) {
            if *budget == 0 {
                return Stage::Leave(at);
            }
            *budget = budget.saturating_sub(NAME_COST);
            if self.union.go(member.id, &host.info.name) {
                self.touched.push(Arc::clone(&host.info));
            }
            at += 1;
        }
        if let Some(member) = self.left.pop() {
            member.discard(rubbish);
        }
        self.leave()
    }

    fn begin_renewal(&self, nth: usize) -> Stage {
        if nth < self.changed.len() {
            let (old, new) = (0, 0);
            Stage::Renew { nth, old, new }
        } else {
            Stage::Turn { nth: 0, at: 0 }
        }
    }

    fn renew(&mut self, nth: usize, mut old: usize, mut new: usize, budget: &mut usize) -> Stage {
        let place = self.changed[nth];
        let member = &self.union.members.list()[place];
        let (id, before) = (member.id, Arc::clone(&member.known));
        let cluster = Arc::clone(&member.cluster);
        loop {
            let next = |of: &Cluster, at: usize| of.by_name.get(at).copied();
            let (was, is) = (next(&before, old), next(&cluster, new));
            let was = was.map(|at| &before.hosts[at as usize].info);
            let info = is.map(|at| &cluster.hosts[at as usize].info);
            if *budget == 0 && (was.is_some() || info.is_some()) {
                return Stage::Renew { nth, old, new };
            }
            *budget = budget.saturating_sub(1);
            let order = match (was, info) {
                (None, None) => break,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(was), Some(info)) if Arc::ptr_eq(was, info) => std::cmp::Ordering::Equal,
                (Some(was), Some(info)) => was.name.cmp(&info.name),
            };
            old += usize::from(order.is_le());
            new += usize::from(order.is_ge());
            let touched = match (order.is_ge(), info, is, was) {
                (true, Some(info), Some(at), _) => {
                    let others = if order.is_eq() {
                        self.union.has_contested() && self.union.stay(place, at)
                    } else {
                        *budget = budget.saturating_sub(NAME_COST);
                        self.union.come(place, at, budget)
                    };
                    others.then_some(info)
                }
                (false, _, _, Some(was)) => {
                    *budget = budget.saturating_sub(NAME_COST);
                    self.union.go(id, &was.name).then_some(was)
                }
                _ => None,
            };
            self.touched.extend(touched.map(Arc::clone));
        }
        self.union.members.at(place).known = cluster;
        self.begin_renewal(nth + 1)
    }

    /// Whose of several hosts is shown may depend on which sources are summed.
    fn turn(&mut self, nth: usize, mut at: usize, budget: &mut usize) -> Stage {
        let Some(&place) = self.turned.get(nth).filter(|_| self.union.has_contested()) else {
            return Stage::Settle(0);
        };
        let cluster = &self.union.members.list()[place].cluster;
        while let Some(host) = cluster.hosts.get(at) {
            if *budget == 0 {
                return Stage::Turn { nth, at };
            }
            *budget = budget.saturating_sub(1);
            if self.union.is_contested(&host.info.name) {
                self.touched.push(Arc::clone(&host.info));
            }
            at += 1;
        }
        let (nth, at) = (nth + 1, 0);
        Stage::Turn { nth, at }
    }

    fn settle(&mut self, mut at: usize, budget: &mut usize) -> Stage {
        while let Some(host) = self.touched.get(at) {
            if *budget == 0 {
                return Stage::Settle(at);
            }
            *budget = budget.saturating_sub(NAME_COST);
            let others = self.union.settle(&host.name, self.rivals.first);
            for place in others.into_iter().flatten() {
                self.to_sum[place] = true;
            }
            at += 1;
        }
        self.begin_hiding(0)
    }

    fn begin_hiding(&self, nth: usize) -> Stage {
        if nth < self.changed.len() {
            let (at, vain) = (0, None);
            Stage::Hide { nth, at, vain }
        } else {
            self.begin_showing(0)
        }
    }

    fn hide(
        &mut self,
        nth: usize,
        mut at: usize,
        mut vain: Option<(usize, u32)>,
        budget: &mut usize,
    ) -> Stage {
        let place = self.changed[nth];
        let member = &self.union.members.list()[place];
        let (id, count) = (member.id, member.cluster.hosts.len());
        let is_newest = Some(id) == self.newest;
        if at == 0 {
            self.union.members.at(place).is_hidden = Vec::new();
        }
        loop {
            let member = &self.union.members.list()[place];
            let Some(&host) = member.claimed.get(at) else {
                break;
            };
            if *budget == 0 {
                return Stage::Hide { nth, at, vain };
            }
            *budget = budget.saturating_sub(NAME_COST);
            at += 1;
            let of = &member.cluster.hosts[host as usize];
            if !self.union.is_hidden(id, &of.info.name) {
                continue;
            }
            if is_newest && of.fresh && of.up {
                let (count, first) = vain.unwrap_or((0, host));
                vain = Some((count + 1, first.min(host)));
            }
            let member = self.union.members.at(place);
            if member.is_hidden.is_empty() {
                member.is_hidden = vec![false; count];
            }
            member.is_hidden[host as usize] = true;
        }
        if let Some((count, first)) = vain {
            let cluster = &self.union.members.list()[place].cluster;
            let host = &cluster.hosts[first as usize].info.name;
            if let Some(contest) = self.union.contest(count, id, &cluster.name, host) {
                Contest::add(&mut self.rivals.contest, &contest);
            }
        }
        self.begin_hiding(nth + 1)
    }

    fn begin_showing(&self, from: usize) -> Stage {
        let places = self.to_sum.iter().enumerate().skip(from);
        match places.filter(|(_, is_it)| **is_it).map(|(at, _)| at).next() {
            Some(place) => {
                let (at, shown) = (0, Vec::new());
                Stage::Show { place, at, shown }
            }
            None => self.begin_sums(0),
        }
    }

    fn show(
        &mut self,
        place: usize,
        mut at: usize,
        mut shown: Vec<u32>,
        budget: &mut usize,
    ) -> Stage {
        let is_hidden = &self.union.members.list()[place].is_hidden;
        let end = is_hidden.len().min(at.saturating_add(*budget));
        *budget = budget.saturating_sub(end - at + 1);
        let others = (at..end).filter(|at| !is_hidden[*at]);
        shown.extend(others.map(|at| at as u32));
        at = end;
        if at < is_hidden.len() {
            return Stage::Show { place, at, shown };
        }
        let is_all = shown.len() == is_hidden.len();
        let member = self.union.members.at(place);
        if is_all {
            member.is_hidden = Vec::new();
        }
        member.shown = (!is_all).then(|| shown.into());
        self.begin_showing(place + 1)
    }

    fn begin_sums(&self, from: usize) -> Stage {
        let places = self.to_sum.iter().enumerate().skip(from);
        let next = places.filter(|(_, is_it)| **is_it).map(|(at, _)| at).next();
        Stage::Sum {
            place: next.unwrap_or(self.to_sum.len()),
            partial: None,
        }
    }

    fn sum(
        &mut self,
        place: usize,
        partial: Option<Box<Partial>>,
        budget: &mut usize,
        rubbish: &mut Rubbish,
    ) -> Stage {
        if let Some(mut partial) = partial {
            if partial.step(budget) {
                let partial = Some(partial);
                return Stage::Sum { place, partial };
            }
            let member = self.union.members.at(place);
            let (is_summed, before) = (member.is_summed, std::mem::take(&mut member.resets));
            partial.finish(member, rubbish);
            if is_summed {
                let now = Arc::clone(&member.resets);
                self.recounts.extend([(before, false), (now, true)]);
            } else {
                discard_resets(before, rubbish);
            }
            self.has_sums[place] = true;
            return self.begin_sums(place + 1);
        }
        if let Some(member) = self.union.members.list().get(place) {
            let partial = Partial::new(member, &self.union.filter);
            return Stage::Sum {
                place,
                partial: Some(Box::new(partial)),
            };
        }
        let members = self.union.members.list();
        *budget = budget.saturating_sub(members.len());
        if self.is_reordered {
            let all = members.iter().map(Member::counted).collect();
            self.union.sums.set_all(all, rubbish);
        } else {
            let changed = members
                .iter()
                .enumerate()
                .filter(|(at, _)| self.has_sums[*at]);
            let changed = changed.map(|(at, member)| (at, member.counted()));
            let changed = changed.collect();
            self.union.sums.set(changed, rubbish);
        }
        Stage::Join
    }

    fn recount(&mut self, nth: usize, at: usize, budget: &mut usize) -> Stage {
        let Some((resets, is_added)) = self.recounts.get(nth) else {
            return Stage::Copy;
        };
        let end = resets.len().min(at.saturating_add(*budget / NAME_COST + 1));
        *budget = budget.saturating_sub((end - at) * NAME_COST + 1);
        self.union.count_resets(&resets[at..end], *is_added);
        if end < resets.len() {
            Stage::Recount { nth, at: end }
        } else {
            let (nth, at) = (nth + 1, 0);
            Stage::Recount { nth, at }
        }
    }

    fn copy(&mut self, budget: &mut usize) -> Stage {
        let Some(all) = self.union.sums.whole() else {
            return Stage::Done;
        };
        let from = self.sums.len();
        self.sums.reserve_exact(all.metrics.len() - from);
        copy_some(&all.metrics, &mut self.sums, budget);
        if !self.union.resets.is_empty() {
            for sum in &mut self.sums[from..] {
                if let Some(resets) = self.union.resets.get(sum.def.name()) {
                    sum.contributors.add_resets(*resets);
                }
            }
        }
        if self.sums.len() < all.metrics.len() {
            Stage::Copy
        } else {
            Stage::Done
        }
    }
}

/// The members for these parts, with what is known of them and whether they were summed before; and those that
/// have left.
fn matched(
    before: Vec<Member>,
    parts: Vec<Part>,
    rubbish: &mut Rubbish,
) -> (Vec<(Member, bool)>, Vec<Member>) {
    let most = before.iter().map(|it| it.id.0 + 1).max();
    let mut by_id: Vec<Option<Member>> = Vec::new();
    by_id.resize_with(most.unwrap_or_default(), || None);
    for member in before {
        let at = member.id.0;
        by_id[at] = Some(member);
    }
    let members = parts.into_iter().map(|part| {
        let known = by_id.get_mut(part.id.0).and_then(Option::take);
        let mut member = known.unwrap_or_else(|| Member::new(part.id));
        let was_summed = std::mem::replace(&mut member.is_summed, part.is_summed);
        rubbish.add_cluster(std::mem::replace(&mut member.cluster, part.cluster));
        (member, was_summed)
    });
    let members = members.collect();
    (members, by_id.into_iter().flatten().collect())
}

/// The leader's part without its hosts.
fn head_of(members: &[Member], leader: SourceId) -> Cluster {
    let leading = members.iter().find(|it| it.id == leader);
    let mut head = leading.map_or_else(Cluster::default, |it| it.cluster.without_hosts());
    head.bytes = members.iter().map(|it| it.cluster.bytes).sum();
    head
}
