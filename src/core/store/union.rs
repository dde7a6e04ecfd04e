//! What is known of a cluster that several sources bring, from one change to the next: what each source
//! brings, which of its hosts are shown, and whose the hosts are that several name.
//!
//! A host that only one source names is that source's, and takes no entry of its own here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::SourceId;
use super::partial::discard;
use super::rivals::Contest;
use super::sums::SumTree;
use crate::model::{Cluster, Host, HostIndex, Mono, Rubbish, Summary};
use crate::summary::SummaryFilter;

/// Resets of counters, by name of the metric.
pub(super) type Resets = Arc<Vec<(Box<str>, u32)>>;

/// One source's cluster of the name.
#[derive(Debug)]
pub(super) struct Member {
    /// Of the source.
    pub id: SourceId,
    pub cluster: Arc<Cluster>,
    /// Whether its hosts are summed.
    pub is_summed: bool,
    /// Its cluster before this change; none at first.
    pub before: Arc<Cluster>,
    /// The one whose hosts have claims: that before, until those of this change are known.
    pub known: Arc<Cluster>,
    /// By host: whether another source's host of that name is shown instead. Empty: none is.
    pub is_hidden: Vec<bool>,
    /// The indices of the others; `None`: all.
    pub shown: Option<Arc<[u32]>>,
    /// Values of these.
    pub metric_count: usize,
    /// Their sums, whether or not they are summed.
    pub sums: Arc<Summary>,
    /// Resets of counters in sums that those do not have.
    pub resets: Resets,
    /// Where another cluster has come: its hosts that other sources name too.
    pub claimed: Vec<u32>,
}

impl Member {
    /// Of a source that brings nothing yet.
    pub fn new(id: SourceId) -> Member {
        Member {
            id,
            cluster: Arc::default(),
            is_summed: false,
            before: Arc::default(),
            known: Arc::default(),
            is_hidden: Vec::new(),
            shown: None,
            metric_count: 0,
            sums: Arc::default(),
            resets: Arc::default(),
            claimed: Vec::new(),
        }
    }

    /// Whether the source has brought another cluster.
    pub fn has_changed(&self) -> bool {
        !Arc::ptr_eq(&self.before, &self.cluster)
    }

    /// Its sums, if they count.
    pub fn counted(&self) -> Arc<Summary> {
        if self.is_summed {
            Arc::clone(&self.sums)
        } else {
            Arc::default()
        }
    }

    /// Drops it step by step.
    pub fn discard(self, rubbish: &mut Rubbish) {
        let Member {
            cluster,
            before,
            known,
            resets,
            ..
        } = self;
        for cluster in [cluster, before, known] {
            rubbish.add_cluster(cluster);
        }
        discard(self.sums, rubbish);
        discard_resets(resets, rubbish);
    }
}

/// Drops them step by step, if nobody else holds them.
pub(super) fn discard_resets(resets: Resets, rubbish: &mut Rubbish) {
    if let Some(resets) = Arc::into_inner(resets) {
        rubbish.add(resets);
    }
}

/// A source that names a host which others name too.
#[derive(Clone, Copy, Debug)]
struct Claim {
    id: SourceId,
    fresh: bool,
    up: bool,
    received: Mono,
}

impl Claim {
    fn of(id: SourceId, host: &Host) -> Claim {
        Claim {
            id,
            fresh: host.fresh,
            up: host.up,
            received: host.received,
        }
    }
}

/// Which of two hosts of one name counts, the greater one: that of a source that is summed, one in its
/// source's newest document, one that is up, that of its owner, the newer one.
type Rank = (bool, bool, bool, bool, Mono, SourceId);

/// A host that several sources name.
#[derive(Debug)]
struct Contested {
    /// Who brought it first, of those that still bring it.
    owner: Option<SourceId>,
    /// Whose is shown.
    holder: SourceId,
    /// By id.
    claims: Vec<Claim>,
}

impl Contested {
    fn find(&self, id: SourceId) -> Result<usize, usize> {
        self.claims.binary_search_by_key(&id, |claim| claim.id)
    }

    fn claim(&mut self, claim: Claim) {
        match self.find(claim.id) {
            Ok(at) => self.claims[at] = claim,
            Err(at) => self.claims.insert(at, claim),
        }
    }

    fn is_brought(&self, id: SourceId) -> bool {
        self.find(id).is_ok_and(|at| self.claims[at].fresh)
    }

    fn rank(&self, claim: &Claim, members: &Members) -> Rank {
        let is_summed = members.get(claim.id).is_some_and(|it| it.is_summed);
        let is_owners = self.owner == Some(claim.id);
        let Claim { fresh, up, .. } = *claim;
        (is_summed, fresh, up, is_owners, claim.received, claim.id)
    }

    /// Determines whose it is, and whose is shown.
    fn settle(&mut self, members: &Members, first: SourceId) {
        let known = self.owner.filter(|id| self.is_brought(*id));
        let known = known.or_else(|| self.is_brought(first).then_some(first));
        self.owner = known.or_else(|| {
            let bringing = self.claims.iter().filter(|claim| claim.fresh);
            let bringing = bringing.min_by_key(|claim| members.place(claim.id));
            bringing.map(|claim| claim.id)
        });
        let owners = self.owner.and_then(|id| self.find(id).ok());
        if let Some(at) = owners
            && self.claims[at].up
            && members
                .get(self.claims[at].id)
                .is_some_and(|it| it.is_summed)
        {
            // Nothing is above that.
            self.holder = self.claims[at].id;
            return;
        }
        let most = self.claims.iter().max_by_key(|it| self.rank(it, members));
        self.holder = most.map_or(self.holder, |claim| claim.id);
    }
}

/// The sources of a cluster, in their order.
#[derive(Debug, Default)]
pub(super) struct Members {
    list: Vec<Member>,
    /// By number of the source.
    places: Arc<[usize]>,
}

/// In place of a place: it is none of them.
const NONE: usize = usize::MAX;

impl Members {
    pub fn new(list: Vec<Member>) -> Members {
        let most = list.iter().map(|it| it.id.0 + 1).max();
        let mut places = vec![NONE; most.unwrap_or_default()];
        for (at, member) in list.iter().enumerate() {
            places[member.id.0] = at;
        }
        Members {
            list,
            places: places.into(),
        }
    }

    pub fn list(&self) -> &[Member] {
        &self.list
    }

    pub fn at(&mut self, place: usize) -> &mut Member {
        &mut self.list[place]
    }

    pub fn into_list(self) -> Vec<Member> {
        self.list
    }

    /// By number of the source: its place among them; behind all, if it is not.
    pub fn places(&self) -> &Arc<[usize]> {
        &self.places
    }

    /// Its place among them; behind all, if it is not.
    fn place(&self, id: SourceId) -> usize {
        self.places.get(id.0).copied().unwrap_or(NONE)
    }

    fn get(&self, id: SourceId) -> Option<&Member> {
        self.list.get(self.place(id))
    }
}

/// A cluster that several sources bring.
#[derive(Debug)]
pub(super) struct Union {
    pub members: Members,
    pub sums: SumTree,
    /// Those in no member's sums, of members that are summed.
    pub resets: BTreeMap<Box<str>, u32>,
    /// By which they were made.
    pub filter: Arc<SummaryFilter>,
    /// Which sources bring a host, for readers too.
    pub index: Arc<HostIndex>,
    contested: BTreeMap<Box<str>, Contested>,
}

impl Union {
    pub fn new(filter: Arc<SummaryFilter>) -> Union {
        Union {
            members: Members::default(),
            sums: SumTree::default(),
            resets: BTreeMap::new(),
            filter,
            index: Arc::default(),
            contested: BTreeMap::new(),
        }
    }

    /// Whether several sources name a host.
    pub fn has_contested(&self) -> bool {
        !self.contested.is_empty()
    }

    /// Whether several name that one.
    pub fn is_contested(&self, name: &str) -> bool {
        self.contested.contains_key(name)
    }

    /// A member brings a host that it did not bring before. Returns whether others name it too.
    pub fn come(&mut self, place: usize, at: u32, budget: &mut usize) -> bool {
        let member = &self.members.list[place];
        let host = &member.cluster.hosts[at as usize];
        let (name, claim) = (&host.info.name, Claim::of(member.id, host));
        let mut known: Vec<usize> = self.index.find(name).collect();
        // A source is found twice where two of its hosts have names of one hash.
        known.dedup();
        Arc::make_mut(&mut self.index).add(name, member.id.0);
        // There may be one even if nobody is known, in a change in which all who named it have gone.
        if let Some(contested) = self.contested.get_mut(name) {
            contested.claim(claim);
            self.members.list[place].claimed.push(at);
            return true;
        }
        *budget = budget.saturating_sub(known.len());
        let mut owner = None;
        let (mut claims, mut others) = (Vec::new(), Vec::new());
        for source in known {
            let other = self.members.place(SourceId(source));
            let found = self.members.list.get(other);
            let found = found.and_then(|it| Some((it, it.known.find_host(name)?)));
            let Some((member, found)) = found else {
                continue;
            };
            claims.push(Claim::of(member.id, &member.known.hosts[found]));
            others.push((other, found as u32));
            let before = member.before.find_host(name);
            if before.is_some_and(|at| member.before.hosts[at].fresh) {
                owner = Some(member.id);
            }
        }
        let Some(holder) = claims.first().map(|claim| claim.id) else {
            // Another name of that hash.
            return false;
        };
        claims.push(claim);
        claims.sort_by_key(|claim| claim.id);
        let contested = Contested {
            owner,
            holder,
            claims,
        };
        self.contested.insert(name.clone(), contested);
        for (other, at) in others {
            let member = &mut self.members.list[other];
            // Of one whose hosts are still to come, those that stay claim theirs then.
            if member.has_changed() && Arc::ptr_eq(&member.known, &member.cluster) {
                member.claimed.push(at);
            }
        }
        self.members.list[place].claimed.push(at);
        true
    }

    /// A member brings a host as before. Returns whether others name it too.
    pub fn stay(&mut self, place: usize, at: u32) -> bool {
        let member = &self.members.list[place];
        let host = &member.cluster.hosts[at as usize];
        let Some(contested) = self.contested.get_mut(&host.info.name) else {
            return false;
        };
        contested.claim(Claim::of(member.id, host));
        self.members.list[place].claimed.push(at);
        true
    }

    /// A source does not bring a host any more. Returns whether others name it too.
    pub fn go(&mut self, id: SourceId, name: &str) -> bool {
        Arc::make_mut(&mut self.index).remove(name, id.0);
        let Some(contested) = self.contested.get_mut(name) else {
            return false;
        };
        if let Ok(at) = contested.find(id) {
            contested.claims.remove(at);
        }
        true
    }

    /// Determines whose the host of that name is and which one is shown. Members whose cluster has not
    /// changed, but of which another host is shown or hidden now, are returned.
    pub fn settle(&mut self, name: &str, first: SourceId) -> [Option<usize>; 2] {
        let Some(contested) = self.contested.get_mut(name) else {
            return [None, None];
        };
        let before = contested.holder;
        contested.settle(&self.members, first);
        let holder = contested.holder;
        if contested.claims.len() < 2 {
            self.contested.remove(name);
        }
        if holder == before {
            return [None, None];
        }
        [(before, true), (holder, false)].map(|(id, is_hidden)| self.hide(id, name, is_hidden))
    }

    fn hide(&mut self, id: SourceId, name: &str, is_hidden: bool) -> Option<usize> {
        let place = self.members.place(id);
        let member = self.members.list.get_mut(place)?;
        if member.has_changed() {
            // Its hosts are looked through anyway.
            return None;
        }
        let at = member.cluster.find_host(name)?;
        if member.is_hidden.is_empty() {
            member.is_hidden = vec![false; member.cluster.hosts.len()];
        }
        member.is_hidden[at] = is_hidden;
        Some(place)
    }

    /// Whether another source's host of that name is shown instead of this one.
    pub fn is_hidden(&self, id: SourceId, name: &str) -> bool {
        let contested = self.contested.get(name);
        contested.is_some_and(|it| it.holder != id)
    }

    /// Says that a source has brought a host in vain. The holder is the first source that is before it.
    pub fn contest(
        &self,
        count: usize,
        id: SourceId,
        cluster: &str,
        host: &str,
    ) -> Option<Contest> {
        let contested = self.contested.get(host)?;
        let mine = &contested.claims[contested.find(id).ok()?];
        let mine = contested.rank(mine, &self.members);
        let above = |claim: &&Claim| contested.rank(claim, &self.members) > mine;
        let above = contested.claims.iter().filter(above);
        let holder = above.min_by_key(|claim| self.members.place(claim.id))?;
        Some(Contest {
            count,
            node: cluster.into(),
            host: host.into(),
            holder: holder.id,
        })
    }

    /// Adds resets that are in no member's sums, or takes them back.
    pub fn count_resets(&mut self, resets: &[(Box<str>, u32)], is_added: bool) {
        for (name, resets) in resets {
            let all = self.resets.entry(name.clone()).or_default();
            *all = if is_added {
                all.wrapping_add(*resets)
            } else {
                all.wrapping_sub(*resets)
            };
            if *all == 0 {
                self.resets.remove(name);
            }
        }
    }

    /// Drops it step by step.
    pub fn discard(self, rubbish: &mut Rubbish) {
        for member in self.members.into_list() {
            member.discard(rubbish);
        }
        self.sums.discard(rubbish);
        rubbish.add(self.resets);
        rubbish.add(self.contested);
    }
}
