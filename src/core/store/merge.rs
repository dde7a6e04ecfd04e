//! A cluster that several sources bring: one cluster with the hosts of all of them, made in steps.
//!
//! Does not choose the sources: the store does.

use std::sync::Arc;

use super::SourceId;
use super::rivals::{Contest, Owner, Part, Rivals};
use crate::model::{Cluster, DefId, Host, Mono, Rubbish, SummaryBuilder, Vocabulary, id_of};
use crate::summary::{SummaryFilter, add_metric};

/// Which of two hosts of one name counts, the greater one: that of a source that is summed, one in its
/// source's newest document, one that is up, that of its owner, the newer one.
type Rank = (bool, bool, bool, bool, Mono, SourceId);

/// In place of a part: nobody.
const NOBODY: u32 = u32::MAX;

/// What summing a value or adding a definition costs, in names compared.
const SUM_COST: usize = 4;

impl Part {
    fn rank(&self, host: &Host, owner: Option<SourceId>) -> Rank {
        let is_owners = owner == Some(self.id);
        let Host { fresh, up, .. } = *host;
        (self.is_summed, fresh, up, is_owners, host.received, self.id)
    }
}

/// The merged cluster, under way.
#[derive(Debug)]
pub(super) struct Merging {
    parts: Vec<Part>,
    rivals: Rivals,
    filter: Arc<SummaryFilter>,
    now: Mono,
    /// By part: where in the order of its names the walk is.
    heads: Vec<usize>,
    /// Where in the order of names of the owners so far.
    at_owner: usize,
    owners: Vec<Owner>,
    /// By part and host: during the walk, the part whose host of that name counts instead, or nobody;
    /// once it is added, its place.
    places: Vec<Vec<u32>>,
    /// The hosts that count, in the order of names, each as part and place there.
    order: Vec<(u32, u32)>,
    whole: Cluster,
    vocabulary: Vocabulary,
    summary: SummaryBuilder,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// All names are gone through in order: whose each host is, and which of several counts.
    Walk,
    /// The definitions of a part are added, from that one on.
    Defs {
        part: usize,
        moved: Vec<DefId>,
    },
    /// Sums of a part that has no hosts are added, from that one on.
    Given {
        part: usize,
        moved: Vec<DefId>,
        at: usize,
    },
    /// Hosts of a part are added, from that value of that host on.
    Hosts {
        part: usize,
        moved: Vec<DefId>,
        host: usize,
        metric: usize,
    },
    /// Resets of a part's sums are added: only sums that exist by now can take them.
    Resets {
        part: usize,
        at: usize,
    },
    /// The order of names is told by places.
    Order(Vec<u32>),
    Done(Vec<u32>),
}

impl Merging {
    /// One cluster with the hosts of all parts. Its attributes are those of the leader's.
    pub fn new(parts: Vec<Part>, rivals: Rivals, filter: Arc<SummaryFilter>, now: Mono) -> Merging {
        let hosts = parts.iter().map(|part| part.cluster.hosts.len());
        let metrics = parts.iter().map(|part| part.cluster.metrics.len());
        let mut whole = head_of(&parts, rivals.leader);
        whole.hosts.reserve_exact(hosts.clone().sum());
        whole.metrics.reserve_exact(metrics.sum());
        Merging {
            heads: vec![0; parts.len()],
            places: hosts.map(|count| vec![NOBODY; count]).collect(),
            at_owner: 0,
            owners: Vec::with_capacity(rivals.owners.len()),
            order: Vec::with_capacity(whole.hosts.capacity()),
            whole,
            vocabulary: Vocabulary::default(),
            summary: SummaryBuilder::default(),
            stage: Stage::Walk,
            parts,
            rivals,
            filter,
            now,
        }
    }

    /// Goes on. Returns whether it has to go on once more.
    pub fn step(&mut self, budget: &mut usize) -> bool {
        while *budget > 0 {
            let stage = std::mem::replace(&mut self.stage, Stage::Walk);
            self.stage = match stage {
                Stage::Walk => self.walk(budget),
                Stage::Defs { part, moved } => self.add_defs(part, moved, budget),
                Stage::Given { part, moved, at } => self.add_given(part, moved, at, budget),
                Stage::Hosts {
                    part,
                    moved,
                    host,
                    metric,
                } => self.add_hosts(part, moved, host, metric, budget),
                Stage::Resets { part, at } => self.add_resets(part, at, budget),
                Stage::Order(by_name) => self.put_in_order(by_name, budget),
                Stage::Done(by_name) => {
                    self.stage = Stage::Done(by_name);
                    return false;
                }
            };
        }
        true
    }

    /// The cluster, and whose its hosts are, once it is done.
    pub fn finish(self, rubbish: &mut Rubbish) -> (Cluster, Rivals) {
        let Merging {
            mut whole,
            mut rivals,
            owners,
            ..
        } = self;
        if let Stage::Done(by_name) = self.stage {
            whole.by_name = by_name.into();
        }
        whole.defs = Arc::new(self.vocabulary.into_defs(rubbish));
        whole.summary = self.summary.finish_into(rubbish);
        whole.received = whole.received.min(self.now);
        rivals.set_owners(owners, rubbish);
        (whole, rivals)
    }

    /// Each part's hosts by name: the next name of all, and what is known of it.
    fn walk(&mut self, budget: &mut usize) -> Stage {
        while *budget > 0 {
            let Some(name) = self.next_name() else {
                return Stage::Defs {
                    part: 0,
                    moved: Vec::new(),
                };
            };
            *budget = budget.saturating_sub(2 * self.parts.len());
            self.settle(&name);
        }
        Stage::Walk
    }

    fn head(&self, part: usize) -> Option<&Host> {
        let cluster = &self.parts[part].cluster;
        let at = *cluster.by_name.get(self.heads[part])?;
        Some(&cluster.hosts[at as usize])
    }

    /// The least name that was not gone through, as the host of one part that has it.
    fn next_name(&self) -> Option<Host> {
        let heads = (0..self.parts.len()).filter_map(|part| self.head(part));
        let least = heads.min_by(|a, b| a.info.name.cmp(&b.info.name));
        least.cloned()
    }

    /// Finds whose the hosts of that name are, and which of them counts.
    fn settle(&mut self, name: &Host) {
        let parts = 0..self.parts.len();
        let has_it = |part: &usize| {
            self.head(*part)
                .is_some_and(|host| host.info.name == name.info.name)
        };
        let group: Vec<usize> = parts.filter(has_it).collect();
        let owner = self.owner_of(name, &group);
        let rank = |part: usize| {
            let head = self.head(part);
            head.map(|host| self.parts[part].rank(host, owner))
        };
        let ranks: Vec<Option<Rank>> = group.iter().map(|part| rank(*part)).collect();
        for (&part, mine) in group.iter().zip(&ranks) {
            let host = self.parts[part].cluster.by_name[self.heads[part]];
            let holder = ranks.iter().position(|other| other > mine);
            match holder {
                Some(holder) => self.places[part][host as usize] = group[holder] as u32,
                None => self.order.push((part as u32, host)),
            }
        }
        for part in group {
            self.heads[part] += 1;
        }
        if let Some(id) = owner {
            self.owners.push(Owner {
                host: Arc::clone(&name.info),
                id,
            });
        }
    }

    /// Who brought the host of that name first, of those that still bring it.
    fn owner_of(&mut self, name: &Host, group: &[usize]) -> Option<SourceId> {
        let name = &name.info.name;
        let known = &self.rivals.owners;
        while known
            .get(self.at_owner)
            .is_some_and(|it| it.host.name < *name)
        {
            self.at_owner += 1;
        }
        let known = known.get(self.at_owner).filter(|it| it.host.name == *name);
        let brings = |part: &usize| self.head(*part).is_some_and(|host| host.fresh);
        let bringing = group.iter().copied().filter(brings);
        let bringing: Vec<SourceId> = bringing.map(|part| self.parts[part].id).collect();
        let (known, first) = (known.map(|it| it.id), self.rivals.first);
        known
            .filter(|id| bringing.contains(id))
            .or_else(|| bringing.iter().copied().find(|id| *id == first))
            .or_else(|| bringing.first().copied())
    }

    fn add_defs(&mut self, part: usize, mut moved: Vec<DefId>, budget: &mut usize) -> Stage {
        let Some(it) = self.parts.get(part) else {
            return Stage::Resets { part: 0, at: 0 };
        };
        moved.reserve_exact(it.cluster.defs.len() - moved.len());
        while let Some(def) = it.cluster.defs.get(moved.len()) {
            if *budget == 0 {
                return Stage::Defs { part, moved };
            }
            *budget = budget.saturating_sub(SUM_COST);
            moved.push(self.vocabulary.add(def));
        }
        if it.cluster.hosts.is_empty() && it.is_summed {
            let given = &it.cluster.summary;
            self.summary.add_hosts(given.hosts_up, given.hosts_down);
            return Stage::Given { part, moved, at: 0 };
        }
        Stage::Hosts {
            part,
            moved,
            host: 0,
            metric: 0,
        }
    }

    fn add_given(
        &mut self,
        part: usize,
        moved: Vec<DefId>,
        at: usize,
        budget: &mut usize,
    ) -> Stage {
        let given = &self.parts[part].cluster.summary.metrics;
        let end = given.len().min(at.saturating_add(*budget / SUM_COST + 1));
        self.summary.merge_sums(&given[at..end]);
        *budget = budget.saturating_sub((end - at) * SUM_COST);
        if end < given.len() {
            return Stage::Given {
                part,
                moved,
                at: end,
            };
        }
        Stage::Hosts {
            part,
            moved,
            host: 0,
            metric: 0,
        }
    }

    fn add_hosts(
        &mut self,
        part: usize,
        moved: Vec<DefId>,
        mut at: usize,
        mut metric: usize,
        budget: &mut usize,
    ) -> Stage {
        while at < self.parts[part].cluster.hosts.len() {
            if *budget == 0 {
                return Stage::Hosts {
                    part,
                    moved,
                    host: at,
                    metric,
                };
            }
            *budget = budget.saturating_sub(1);
            let holder = self.places[part][at];
            // A host that is being added has a place by now.
            if metric == 0 && holder != NOBODY {
                self.note_contest(part, at, holder);
            } else if let Some(next) = self.add_host(part, at, metric, &moved, budget) {
                metric = next;
                continue;
            }
            (at, metric) = (at + 1, 0);
        }
        Stage::Defs {
            part: part + 1,
            moved: Vec::new(),
        }
    }

    /// What the newest document brought in vain.
    fn note_contest(&mut self, part: usize, at: usize, holder: u32) {
        let it = &self.parts[part];
        let host = &it.cluster.hosts[at];
        if it.is_newest && host.fresh && host.up {
            let contest = Contest {
                count: 1,
                node: self.whole.name.clone(),
                host: host.info.name.clone(),
                holder: self.parts[holder as usize].id,
            };
            Contest::add(&mut self.rivals.contest, &contest);
        }
    }

    /// Adds a host from that value on, whose definitions have moved. Returns the value to go on with,
    /// if any is left.
    fn add_host(
        &mut self,
        part: usize,
        at: usize,
        metric: usize,
        moved: &[DefId],
        budget: &mut usize,
    ) -> Option<usize> {
        let Part {
            cluster,
            is_summed,
            is_newest,
            ..
        } = &self.parts[part];
        let host = &cluster.hosts[at];
        let counts = host.fresh && *is_summed;
        if metric == 0 {
            self.places[part][at] = self.whole.hosts.len() as u32;
            self.whole.hosts.push(Host {
                fresh: host.fresh && *is_newest,
                first_metric: self.whole.metrics.len() as u32,
                ..host.clone()
            });
            if counts {
                let up = u32::from(host.up);
                self.summary.add_hosts(up, 1 - up);
            }
        }
        let metrics = cluster.metrics_of(host);
        let is_added = counts && host.up;
        let cost = if is_added { SUM_COST } else { 1 };
        let most = (*budget / cost).saturating_add(1);
        let end = metrics.len().min(metric.saturating_add(most));
        let piece = &metrics[metric..end];
        *budget = budget.saturating_sub(piece.len() * cost);
        let piece_moved = piece.iter().map(|it| it.moved(moved[it.def() as usize]));
        self.whole.metrics.extend(piece_moved);
        if is_added {
            let id = id_of(id_of(0, cluster.name.as_bytes()), host.info.name.as_bytes());
            for metric in piece {
                let def = &cluster.defs[metric.def() as usize];
                add_metric(&mut self.summary, def, metric, id, &self.filter);
            }
        }
        (end < metrics.len()).then_some(end)
    }

    fn add_resets(&mut self, part: usize, at: usize, budget: &mut usize) -> Stage {
        let Some(it) = self.parts.get(part) else {
            return Stage::Order(Vec::with_capacity(self.order.len()));
        };
        let sums = &it.cluster.summary.metrics;
        let counts = it.is_summed && !it.cluster.hosts.is_empty();
        let end = if counts {
            sums.len().min(at.saturating_add(*budget))
        } else {
            sums.len()
        };
        if counts {
            self.summary.note_resets(&sums[at..end]);
            *budget = budget.saturating_sub(end - at);
        }
        if end < sums.len() {
            return Stage::Resets { part, at: end };
        }
        *budget = budget.saturating_sub(1);
        Stage::Resets {
            part: part + 1,
            at: 0,
        }
    }

    fn put_in_order(&self, mut by_name: Vec<u32>, budget: &mut usize) -> Stage {
        let end = self.order.len().min(by_name.len().saturating_add(*budget));
        let piece = &self.order[by_name.len()..end];
        *budget = budget.saturating_sub(piece.len() + 1);
        let place = |&(part, host): &(u32, u32)| self.places[part as usize][host as usize];
        by_name.extend(piece.iter().map(place));
        if by_name.len() < self.order.len() {
            Stage::Order(by_name)
        } else {
            Stage::Done(by_name)
        }
    }
}

/// The leader's part without its hosts.
fn head_of(parts: &[Part], leader: SourceId) -> Cluster {
    let leading = parts.iter().find(|part| part.id == leader);
    let mut head = leading.map_or_else(Cluster::default, |it| it.cluster.without_hosts());
    head.bytes = parts.iter().map(|part| part.cluster.bytes).sum();
    head
}
