//! The end of a cluster's document, in steps: its sums, what is carried over, its order, and what it
//! need not know any more.
//!
//! A cluster may have hundreds of thousands of names and hosts; others wait meanwhile.

use std::cmp::Reverse;
use std::sync::Arc;

use super::carry::{CARRY_COST, MAX_CARRIED_HOSTS};
use super::sums::SumsEnd;
use super::{Built, ClusterBuilder, is_worth_compacting};
use crate::model::{
    Cluster, DefId, Host, Metric, MetricDef, Mono, Rubbish, Sorter, Summary, SummaryBuilder,
    Vocabulary, id_of,
};
use crate::summary::add_metric;

/// A cluster whose document has ended.
#[derive(Debug)]
pub(in crate::ingest) struct ClusterEnding {
    builder: ClusterBuilder,
    now: Mono,
    summary: Summary,
    by_name: Arc<[u32]>,
    rubbish: Rubbish,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The sums are put together.
    Sums(SumsEnd),
    /// Hosts that the document did not name are looked for, from that one on.
    Gone {
        at: usize,
        gone: Vec<u32>,
    },
    /// They are carried over, from that one on.
    Carry {
        gone: Vec<u32>,
        at: usize,
    },
    /// One of them is, from that value on.
    CarryHost {
        gone: Vec<u32>,
        at: usize,
        metric: usize,
        first_metric: usize,
    },
    /// The names are compared with those before.
    Compare(usize),
    /// The hosts are put in the order of names.
    Sort(Sorter),
    /// Hosts of one name are looked for: of these, the last in the document stays.
    Twins {
        order: Vec<u32>,
        at: usize,
        stays: Vec<bool>,
        twins: usize,
    },
    /// The others are dropped.
    Thin {
        order: Vec<u32>,
        stays: Vec<bool>,
        left: std::vec::IntoIter<Host>,
        /// By old place: the new one.
        places: Vec<u32>,
    },
    /// All that stay are summed up again: the sums still have the hosts that were dropped.
    SumAgain {
        sums: SummaryBuilder,
        host: usize,
        metric: usize,
    },
    /// Definitions in use are marked.
    Mark {
        at: usize,
        used: Vec<bool>,
    },
    /// The others are dropped.
    Compact(Compaction),
    /// The values get the new indices.
    Move {
        at: usize,
        moved: Vec<DefId>,
    },
    /// The definitions are copied for snapshots.
    Show(Vec<Arc<MetricDef>>),
    Done,
}

impl ClusterEnding {
    pub fn new(mut builder: ClusterBuilder, now: Mono) -> ClusterEnding {
        let earlier = builder.before.cluster().map(Arc::clone);
        let given = std::mem::take(&mut builder.given);
        ClusterEnding {
            stage: Stage::Sums(SumsEnd::new(given, earlier)),
            builder,
            now,
            summary: Summary::default(),
            by_name: Arc::default(),
            rubbish: Rubbish::default(),
        }
    }

    /// Tells it the memory of the rest of the document.
    pub fn beside(&mut self, other_bytes: usize) {
        self.builder.beside(other_bytes);
    }

    /// Goes on. Returns whether it has to go on once more.
    pub fn step(&mut self, budget: &mut usize) -> bool {
        loop {
            let stage = std::mem::replace(&mut self.stage, Stage::Done);
            if matches!(stage, Stage::Done) {
                return false;
            }
            if *budget == 0 {
                self.stage = stage;
                return true;
            }
            self.stage = self.go_on(stage, budget);
        }
    }

    fn go_on(&mut self, stage: Stage, budget: &mut usize) -> Stage {
        match stage {
            Stage::Sums(mut sums) => {
                let builder = &mut self.builder;
                if sums.step(&mut builder.sums, &builder.vocabulary, budget) {
                    return Stage::Sums(sums);
                }
                self.summary = sums.finish(&mut self.rubbish);
                Stage::Gone {
                    at: 0,
                    gone: Vec::new(),
                }
            }
            Stage::Gone { at, gone } => self.find_gone(at, gone, budget),
            Stage::Carry { gone, at } => self.carry(gone, at),
            Stage::CarryHost {
                gone,
                at,
                metric,
                first_metric,
            } => self.carry_host(gone, at, metric, first_metric, budget),
            Stage::Compare(at) => self.compare(at, budget),
            Stage::Sort(mut sorter) => {
                let hosts = &self.builder.hosts;
                let name = |at: u32| &hosts[at as usize].info.name;
                if sorter.step(budget, |a, b| name(a).cmp(name(b))) {
                    return Stage::Sort(sorter);
                }
                Stage::Twins {
                    order: sorter.into_order(),
                    at: 1,
                    stays: vec![true; hosts.len()],
                    twins: 0,
                }
            }
            Stage::Twins {
                order,
                at,
                stays,
                twins,
            } => self.find_twins(order, at, stays, twins, budget),
            Stage::Thin {
                order,
                stays,
                left,
                places,
            } => self.thin(order, stays, left, places, budget),
            Stage::SumAgain { sums, host, metric } => self.sum_again(sums, host, metric, budget),
            Stage::Mark { at, used } => self.mark(at, used, budget),
            Stage::Compact(mut compaction) => {
                if compaction.step(&self.builder.vocabulary, budget) {
                    return Stage::Compact(compaction);
                }
                let (kept, moved) = compaction.finish();
                let old = std::mem::replace(&mut self.builder.vocabulary, kept);
                old.discard(&mut self.rubbish);
                Stage::Move { at: 0, moved }
            }
            Stage::Move { at, moved } => self.move_metrics(at, moved, budget),
            Stage::Show(mut copy) => {
                let before = Arc::clone(self.builder.vocabulary.shown());
                if self.builder.vocabulary.show(&mut copy, budget) {
                    return Stage::Show(copy);
                }
                self.rubbish.add_defs(before);
                Stage::Done
            }
            Stage::Done => Stage::Done,
        }
    }

    fn find_gone(&mut self, mut at: usize, mut gone: Vec<u32>, budget: &mut usize) -> Stage {
        let before = &self.builder.before;
        let Some(cluster) = before.cluster() else {
            return Stage::Carry { gone, at: 0 };
        };
        while at < cluster.hosts.len() {
            if *budget == 0 {
                return Stage::Gone { at, gone };
            }
            *budget -= 1;
            if !before.has_seen(at) && !cluster.hosts[at].is_expired(self.now) {
                gone.push(at as u32);
            }
            at += 1;
        }
        if gone.len() > MAX_CARRIED_HOSTS {
            let received = |at: &u32| Reverse(cluster.hosts[*at as usize].received);
            gone.select_nth_unstable_by_key(MAX_CARRIED_HOSTS, received);
            gone.truncate(MAX_CARRIED_HOSTS);
            gone.sort_unstable();
        }
        Stage::Carry { gone, at: 0 }
    }

    fn carry(&mut self, gone: Vec<u32>, at: usize) -> Stage {
        let builder = &mut self.builder;
        let Some(cluster) = builder.before.cluster() else {
            return self.begin_order();
        };
        let Some(host) = gone.get(at).map(|at| &cluster.hosts[*at as usize]) else {
            return self.begin_order();
        };
        let (metric, info_bytes) = (host.metrics().start, host.info.bytes());
        if !builder.may_carry() {
            return self.begin_order();
        }
        builder.text_bytes += info_bytes;
        Stage::CarryHost {
            gone,
            at,
            metric,
            first_metric: builder.metrics.len(),
        }
    }

    fn carry_host(
        &mut self,
        gone: Vec<u32>,
        at: usize,
        mut metric: usize,
        first_metric: usize,
        budget: &mut usize,
    ) -> Stage {
        let builder = &mut self.builder;
        let Some(cluster) = builder.before.cluster().map(Arc::clone) else {
            return self.begin_order();
        };
        let host = &cluster.hosts[gone[at] as usize];
        let age = self.now.secs_since(host.received);
        while metric < host.metrics().end {
            if *budget == 0 {
                return Stage::CarryHost {
                    gone,
                    at,
                    metric,
                    first_metric,
                };
            }
            *budget = budget.saturating_sub(CARRY_COST);
            let value = &cluster.metrics[metric];
            metric += 1;
            if builder.carry_of_gone(&cluster, value, age).is_err() {
                break;
            }
        }
        builder.hosts.push(Host {
            fresh: false,
            first_metric: first_metric as u32,
            metric_count: (builder.metrics.len() - first_metric) as u32,
            ..host.clone()
        });
        *budget = budget.saturating_sub(1);
        Stage::Carry { gone, at: at + 1 }
    }

    fn begin_order(&self) -> Stage {
        match self.builder.before.cluster() {
            Some(before) if before.hosts.len() == self.builder.hosts.len() => Stage::Compare(0),
            _ => Stage::Sort(Sorter::new(self.builder.hosts.len())),
        }
    }

    /// Whether the same hosts are in the same places.
    fn compare(&mut self, mut at: usize, budget: &mut usize) -> Stage {
        let hosts = &self.builder.hosts;
        let Some(before) = self.builder.before.cluster() else {
            return Stage::Sort(Sorter::new(hosts.len()));
        };
        while let (Some(a), Some(b)) = (before.hosts.get(at), hosts.get(at)) {
            if *budget == 0 {
                return Stage::Compare(at);
            }
            *budget -= 1;
            if !Arc::ptr_eq(&a.info, &b.info) && a.info.name != b.info.name {
                return Stage::Sort(Sorter::new(hosts.len()));
            }
            at += 1;
        }
        self.by_name = Arc::clone(&before.by_name);
        self.begin_marks()
    }

    fn find_twins(
        &mut self,
        order: Vec<u32>,
        mut at: usize,
        mut stays: Vec<bool>,
        mut twins: usize,
        budget: &mut usize,
    ) -> Stage {
        let builder = &mut self.builder;
        while at < order.len() {
            if *budget == 0 {
                return Stage::Twins {
                    order,
                    at,
                    stays,
                    twins,
                };
            }
            *budget -= 1;
            let (a, b) = (order[at - 1] as usize, order[at] as usize);
            if builder.hosts[a].info.name == builder.hosts[b].info.name {
                // The sort is stable, so equal names are in document order.
                stays[a] = false;
                twins += 1;
            }
            at += 1;
        }
        if twins == 0 {
            self.by_name = order.into();
            return self.begin_marks();
        }
        builder.damage += twins as u64;
        let hosts = std::mem::take(&mut builder.hosts);
        Stage::Thin {
            order,
            stays,
            places: Vec::with_capacity(hosts.len()),
            left: hosts.into_iter(),
        }
    }

    fn thin(
        &mut self,
        order: Vec<u32>,
        stays: Vec<bool>,
        mut left: std::vec::IntoIter<Host>,
        mut places: Vec<u32>,
        budget: &mut usize,
    ) -> Stage {
        let hosts = &mut self.builder.hosts;
        for host in left.by_ref() {
            let at = places.len();
            places.push(hosts.len() as u32);
            // Their metrics stay in the array until the next document; nothing points at them.
            if stays[at] {
                hosts.push(host);
            }
            *budget = budget.saturating_sub(1);
            if *budget == 0 {
                return Stage::Thin {
                    order,
                    stays,
                    left,
                    places,
                };
            }
        }
        let order = order.into_iter().filter(|at| stays[*at as usize]);
        self.by_name = order.map(|at| places[at as usize]).collect();
        Stage::SumAgain {
            sums: SummaryBuilder::default(),
            host: 0,
            metric: 0,
        }
    }

    /// The sums of the hosts that the document named.
    fn sum_again(
        &mut self,
        mut sums: SummaryBuilder,
        mut at: usize,
        mut metric: usize,
        budget: &mut usize,
    ) -> Stage {
        let builder = &self.builder;
        let cluster = id_of(0, builder.head.name.as_bytes());
        while let Some(host) = builder.hosts.get(at) {
            let values = &builder.metrics[host.metrics()];
            if host.fresh && metric == 0 {
                sums.add_hosts(u32::from(host.up), u32::from(!host.up));
            }
            if host.fresh && host.up {
                let id = id_of(cluster, host.info.name.as_bytes());
                while metric < values.len() {
                    if *budget == 0 {
                        return Stage::SumAgain {
                            sums,
                            host: at,
                            metric,
                        };
                    }
                    *budget = budget.saturating_sub(CARRY_COST);
                    let value = &values[metric];
                    let def = builder.vocabulary.def(value.def());
                    add_metric(&mut sums, def, value, id, &builder.filter);
                    metric += 1;
                }
            }
            *budget = budget.saturating_sub(1);
            (at, metric) = (at + 1, 0);
            if *budget == 0 {
                return Stage::SumAgain {
                    sums,
                    host: at,
                    metric,
                };
            }
        }
        let summary = sums.finish_into(&mut self.rubbish);
        let old = std::mem::replace(&mut self.summary, summary);
        self.rubbish.add_summary(old);
        self.begin_marks()
    }

    fn begin_marks(&self) -> Stage {
        let builder = &self.builder;
        if builder.vocabulary.len() > builder.known_at_start {
            Stage::Mark {
                at: 0,
                used: vec![false; builder.vocabulary.len()],
            }
        } else {
            Stage::Show(Vec::new())
        }
    }

    fn mark(&mut self, at: usize, mut used: Vec<bool>, budget: &mut usize) -> Stage {
        let (part, end) = next_part(&self.builder.metrics, at, budget);
        for metric in part {
            used[metric.def() as usize] = true;
        }
        if end < self.builder.metrics.len() {
            return Stage::Mark { at: end, used };
        }
        let count = used.iter().filter(|used| **used).count();
        if is_worth_compacting(used.len(), count) {
            Stage::Compact(Compaction::new(used))
        } else {
            Stage::Show(Vec::new())
        }
    }

    fn move_metrics(&mut self, at: usize, moved: Vec<DefId>, budget: &mut usize) -> Stage {
        let end = next_part(&self.builder.metrics, at, budget).1;
        for metric in &mut self.builder.metrics[at..end] {
            metric.set_def(moved[metric.def() as usize]);
        }
        if end < self.builder.metrics.len() {
            return Stage::Move { at: end, moved };
        }
        Stage::Show(Vec::new())
    }

    /// The cluster as it was before its end.
    pub fn into_builder(self, rubbish: &mut Rubbish) -> ClusterBuilder {
        rubbish.append(self.rubbish);
        rubbish.add_summary(self.summary);
        self.builder
    }

    /// The cluster, once it is done.
    pub fn finish(self, rubbish: &mut Rubbish) -> Built {
        let mut builder = self.builder;
        if builder.metrics.capacity() > builder.metrics.len() + builder.metrics.len() / 8 {
            builder.metrics.shrink_to_fit();
        }
        builder.hosts.shrink_to_fit();
        let bytes = builder.bytes();
        rubbish.append(self.rubbish);
        builder.sums.discard(rubbish);
        if let Some(before) = builder.before.into_cluster() {
            rubbish.add_cluster(before);
        }
        Built {
            cluster: Cluster {
                name: builder.head.name.into(),
                owner: builder.head.owner.into(),
                latlong: builder.head.latlong.into(),
                url: builder.head.url.into(),
                localtime: builder.head.localtime,
                received: self.now,
                defs: Arc::clone(builder.vocabulary.shown()),
                hosts: builder.hosts,
                metrics: builder.metrics,
                by_name: self.by_name,
                parts: None,
                summary: self.summary,
                bytes,
            },
            vocabulary: builder.vocabulary,
            damage: builder.damage,
        }
    }
}

/// The next metrics, at little cost each, and where they end.
fn next_part<'a>(metrics: &'a [Metric], at: usize, budget: &mut usize) -> (&'a [Metric], usize) {
    const AT_A_PRICE: usize = 8;
    let most = AT_A_PRICE.saturating_mul(*budget);
    let end = metrics.len().min(at.saturating_add(most));
    *budget = budget.saturating_sub((end - at) / AT_A_PRICE + 1);
    (&metrics[at..end], end)
}

/// A vocabulary that is rebuilt with what is in use.
#[derive(Debug)]
pub(super) struct Compaction {
    used: Vec<bool>,
    kept: Vocabulary,
    moved: Vec<DefId>,
    /// The definition whose follower is next.
    ordered: usize,
}

impl Compaction {
    pub fn new(used: Vec<bool>) -> Compaction {
        Compaction {
            moved: Vec::with_capacity(used.len()),
            used,
            kept: Vocabulary::default(),
            ordered: 0,
        }
    }

    /// Goes on with a vocabulary. Returns whether it has to go on.
    pub fn step(&mut self, of: &Vocabulary, budget: &mut usize) -> bool {
        const COPY_COST: usize = 8;
        while *budget > 0 {
            let at = self.moved.len();
            if at < self.used.len() {
                self.moved.push(if self.used[at] {
                    *budget = budget.saturating_sub(COPY_COST);
                    self.kept.add(of.def(at as DefId))
                } else {
                    *budget -= 1;
                    DefId::MAX
                });
            } else if self.ordered < self.used.len() {
                *budget -= 1;
                self.kept.take_order(of, self.ordered as DefId, &self.moved);
                self.ordered += 1;
            } else {
                return false;
            }
        }
        true
    }

    /// The vocabulary, and its new indices.
    pub fn finish(self) -> (Vocabulary, Vec<DefId>) {
        (self.kept, self.moved)
    }
}
