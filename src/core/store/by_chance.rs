//! Changes of all kinds, made by chance, to clusters that several sources bring: after each, what is shown is
//! what is made anew from all that they bring.
//!
//! Each failure names its seed.
#![cfg(test)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::partial::Partial;
use super::rebuilt::{Brought, Owners, rebuilt};
use super::sums::SumTree;
use super::tests::Bench;
use super::union::{Member, Union};
use super::{Change, Contest, SourceId};
use crate::answer::json;
use crate::answer::prometheus::Scrape;
use crate::answer::query::Selection;
use crate::answer::walk::Body;
use crate::answer::xml::Render;
use crate::ingest::ParseSettings;
use crate::model::{Cluster, Node, Now, Rubbish, Snapshot, Summary};
use crate::summary::SummaryFilter;
use crate::testing::{all_of, share};
use crate::timers::Random;

const SEEDS: u64 = 60;
const STEPS: usize = 60;

/// Most sources at a time, and hosts and clusters that they name.
const SOURCES: u64 = 6;
const HOSTS: u64 = 9;
const CLUSTERS: u64 = 2;

/// What has happened, to know that all of it has.
#[derive(Debug, Default)]
struct Tally {
    merged: usize,
    hidden: usize,
    taken_over: usize,
    contests: usize,
    beside_grids: usize,
    resets: usize,
    none_is_up: usize,
}

struct World {
    bench: Bench,
    random: Random,
    live: Vec<SourceId>,
    /// By cluster: whose its hosts are, and what is to be shown.
    owners: BTreeMap<String, Owners>,
    wanted: BTreeMap<String, Cluster>,
    tally: Tally,
}

fn cluster_name(at: u64) -> String {
    format!("c{at}")
}

impl World {
    fn new(seed: u64) -> World {
        let mut world = World {
            bench: Bench::new(0),
            random: Random::new(seed),
            live: Vec::new(),
            owners: BTreeMap::new(),
            wanted: BTreeMap::new(),
            tally: Tally::default(),
        };
        for _ in 0..2 + world.random.below(3) {
            world.live.push(world.bench.store.add_source());
        }
        world
    }

    fn chance(&mut self, of: u64) -> bool {
        self.random.below(of) == 0
    }

    fn any(&mut self) -> SourceId {
        let at = self.random.below(self.live.len() as u64);
        self.live[at as usize]
    }

    fn metrics(&mut self) -> String {
        let mut xml = String::new();
        // In any order, so that sums do not stand side by side.
        let from = self.random.below(5);
        for at in (from..5).chain(0..from) {
            if self.chance(4) {
                continue;
            }
            // Sums of such values are the same in any order.
            let value = self.random.below(4000) as f64 / 8.0;
            let (ty, slope, value) = match at {
                0 => ("float", "both", value.to_string()),
                1 => ("uint32", "positive", (value as u64).to_string()),
                2 => ("float", "both", format!("{:.2}", value / 3.0)),
                3 => ("string", "both", "text".into()),
                _ => ("double", "zero", "1".into()),
            };
            let units = ["", "s"][self.random.below(2) as usize];
            let (tn, dmax) = [(1, 0), (1, 40), (50, 40)][self.random.below(3) as usize];
            let extra = if self.chance(3) {
                "<EXTRA_DATA><EXTRA_ELEMENT NAME=\"GROUP\" VAL=\"g\"/></EXTRA_DATA>"
            } else {
                ""
            };
            let _ = write!(
                xml,
                "<METRIC NAME=\"m{at}\" VAL=\"{value}\" TYPE=\"{ty}\" UNITS=\"{units}\" TN=\"{tn}\" TMAX=\"60\" \
                 DMAX=\"{dmax}\" SLOPE=\"{slope}\">{extra}</METRIC>"
            );
        }
        xml
    }

    fn cluster(&mut self, of: SourceId, name: &str) -> String {
        let mut xml = format!(
            "<CLUSTER NAME=\"{name}\" LOCALTIME=\"7\" OWNER=\"of {}\">",
            of.0
        );
        if self.chance(12) {
            xml += "<HOSTS UP=\"2\" DOWN=\"1\"/><METRICS NAME=\"m0\" SUM=\"2.5\" NUM=\"2\" TYPE=\"float\"/>";
        } else {
            let own = self.chance(2);
            for at in 0..HOSTS {
                if self.chance(3) {
                    continue;
                }
                let whose = if own { of.0.to_string() } else { String::new() };
                let tn = if self.chance(4) { 100 } else { 1 };
                let dmax = [0, 40, 100][self.random.below(3) as usize];
                let _ = write!(
                    xml,
                    "<HOST NAME=\"h{at}{whose}\" IP=\"10.0.0.{at}\" REPORTED=\"6\" TN=\"{tn}\" TMAX=\"20\" \
                     DMAX=\"{dmax}\">{}</HOST>",
                    self.metrics()
                );
            }
        }
        xml + "</CLUSTER>"
    }

    fn document(&mut self, of: SourceId) -> String {
        let mut xml = String::from("<GANGLIA_XML>");
        for at in 0..CLUSTERS {
            let name = cluster_name(at);
            match self.random.below(16) {
                0 => {}
                1 => {
                    let _ = write!(
                        xml,
                        "<GRID NAME=\"{name}\"><HOSTS UP=\"3\" DOWN=\"0\"/></GRID>"
                    );
                }
                _ => xml += &self.cluster(of, &name),
            }
        }
        xml + "</GANGLIA_XML>"
    }

    /// Begins a change. Whose it is, and whether its hosts are the newest.
    fn begin(&mut self) -> (SourceId, bool) {
        let (id, now) = (self.any(), self.bench.now);
        match self.random.below(20) {
            0..3 => self.bench.store.begin_fail(id, now),
            3..5 => {
                self.bench.store.begin_expiry(id, now);
                return (id, true);
            }
            5 if self.live.len() > 1 => {
                self.live.retain(|it| *it != id);
                self.bench.store.begin_removal(id, now.mono);
            }
            6 => {
                let mut order = self.live.clone();
                let turn = self.random.below(order.len() as u64) as usize;
                order.rotate_left(turn);
                self.bench.store.begin_order(order);
            }
            7 if self.live.len() < SOURCES as usize => {
                self.live.push(self.bench.store.add_source());
            }
            8 => self.change_filter(),
            _ => {
                let xml = self.document(id);
                let mut parser = self.bench.store.begin(id);
                let table = self.bench.store.table();
                parser.feed(xml.as_bytes(), now.mono, table).unwrap();
                let document = parser.finish(now.mono).unwrap();
                self.bench.store.begin_commit(id, document, now);
                return (id, true);
            }
        }
        (id, false)
    }

    fn change_filter(&mut self) {
        let mut filter = SummaryFilter::default();
        if self.chance(2) {
            filter.without_prefixes.push("m2".into());
        }
        let settings = ParseSettings {
            filter: Arc::new(filter),
            ..ParseSettings::default()
        };
        self.bench.store.set_settings(Arc::new(settings));
    }

    fn step(&mut self) {
        self.bench.later(self.random.below(30));
        let before: Vec<_> = self.shared();
        let (id, is_newest) = self.begin();
        let budget = [1, 7, 100, usize::MAX][self.random.below(4) as usize];
        let is_document = matches!(
            self.bench.store.changes.front().map(Change::is_document),
            Some(true)
        );
        while self.bench.store.is_changing() {
            self.bench.store.change_some(budget);
        }
        let mut contest = None;
        for (at, before) in before.into_iter().enumerate() {
            let name = cluster_name(at as u64);
            let now = self.bench.store.shared.get(&*name).cloned();
            match (before, now) {
                (Some(before), Some(now)) if Arc::ptr_eq(&before, &now) => {}
                (_, Some(now)) => {
                    let newest = is_newest.then_some(id);
                    let vain = self.compare(&name, &now, newest);
                    if let Some(vain) = vain {
                        Contest::add(&mut contest, &vain);
                    }
                }
                _ => drop(self.wanted.remove(&name)),
            }
            match self.bench.store.rivals.get(&*name) {
                None => drop(self.owners.remove(&name)),
                Some(_) if !self.bench.store.shared.contains_key(&*name) => {
                    self.tally.beside_grids += 1;
                    let node = self.bench.store.sources[id.0].node(&name);
                    let leader = self.bench.store.rivals[&*name].leader;
                    if is_document && node.is_some() && leader != id {
                        let vain = Contest {
                            count: 1,
                            node: name.as_str().into(),
                            host: Box::default(),
                            holder: leader,
                        };
                        Contest::add(&mut contest, &vain);
                    }
                }
                Some(_) => {}
            }
        }
        if is_document {
            assert_eq!(self.bench.store.contest_of(id), contest.as_ref());
            self.tally.contests += usize::from(contest.is_some());
        }
        self.compare_answers();
    }

    fn shared(&self) -> Vec<Option<Arc<Cluster>>> {
        let names = (0..CLUSTERS).map(cluster_name);
        names
            .map(|name| self.bench.store.shared.get(&*name).cloned())
            .collect()
    }

    /// What the sources bring of a cluster, in their order.
    fn brought(&self, name: &str, newest: Option<SourceId>) -> Vec<Brought> {
        let store = &self.bench.store;
        let ids = store.order.ids().iter().copied();
        let found = ids.filter_map(|id| match store.sources[id.0].node(name) {
            Some(Node::Cluster(cluster)) => Some((id, Arc::clone(cluster))),
            _ => None,
        });
        let found: Vec<_> = found.collect();
        let none_is_up = !found.iter().any(|(id, _)| store.is_up(*id));
        let brought = found.into_iter().map(|(id, cluster)| Brought {
            id,
            is_summed: none_is_up || store.is_up(id),
            is_newest: newest == Some(id),
            cluster,
        });
        brought.collect()
    }

    /// After a failure, the hosts of the one that answered last are fresh.
    fn newest_answering(&self, name: &str) -> Option<SourceId> {
        let answering = self.brought(name, None).into_iter();
        let answering = answering.filter(|it| self.bench.store.is_up(it.id));
        answering
            .map(|it| (it.cluster.received, it.id))
            .max()
            .map(|(_, id)| id)
    }

    fn compare(
        &mut self,
        name: &str,
        shown: &Cluster,
        newest: Option<SourceId>,
    ) -> Option<Contest> {
        let is_removed = newest.is_none() && !shown.all_hosts().any(|host| host.fresh);
        let failed = newest.is_none() && !is_removed;
        let newest = if failed {
            self.newest_answering(name)
        } else {
            newest
        };
        let parts = self.brought(name, newest);
        let rivals = &self.bench.store.rivals[name];
        let owners = self.owners.entry(name.into()).or_default();
        let before = owners.clone();
        let filter = Arc::clone(&self.bench.store.settings.filter);
        let first = (rivals.first, rivals.leader);
        let now = self.bench.now.mono;
        let (wanted, contest) = rebuilt(&parts, first, owners, &filter, now);
        assert_same(shown, &wanted);
        self.tally.merged += 1;
        let all: usize = parts.iter().map(|it| it.cluster.hosts.len()).sum();
        self.tally.hidden += all - shown.host_count();
        let now_others = owners.iter();
        let now_others =
            now_others.filter(|(name, id)| before.get(*name).is_some_and(|it| it != *id));
        self.tally.taken_over += now_others.count();
        let resets = wanted
            .summary
            .metrics
            .iter()
            .map(|it| it.contributors.resets());
        self.tally.resets += usize::from(resets.sum::<u32>() > 0);
        let any_is_up = parts.iter().any(|it| self.bench.store.is_up(it.id));
        self.tally.none_is_up += usize::from(!any_is_up);
        let union = rivals.union.as_ref().unwrap();
        let again = summed_anew(union);
        assert_eq!(bits(&again), bits(&shown.summary), "sums do not drift");
        self.wanted.insert(name.into(), wanted);
        contest
    }

    /// All answers are those that the clusters made anew give.
    fn compare_answers(&mut self) {
        let shown = self.bench.store.snapshot();
        let nodes = shown
            .nodes
            .iter()
            .map(|node| match self.wanted.get(node.name()) {
                Some(wanted) => Node::Cluster(Arc::new(wanted.clone())),
                None => node.clone(),
            });
        let wanted = Arc::new(Snapshot {
            identity: Arc::clone(&shown.identity),
            nodes: nodes.collect(),
            summary: Arc::clone(&shown.summary),
            ..Snapshot::default()
        });
        let now = self.bench.now;
        let slice = 50 + self.random.below(3000) as usize;
        let all = |of: &Arc<Snapshot>| answers(of, now, slice);
        assert_eq!(all(&shown), all(&wanted));
    }
}

fn answers(of: &Arc<Snapshot>, now: Now, slice: usize) -> Vec<String> {
    let xml =
        |selection| -> Box<dyn Body> { Box::new(Render::new(Arc::clone(of), selection, now)) };
    let summary = Selection {
        summary: true,
        ..Selection::all()
    };
    let bodies = [
        xml(Selection::all()),
        xml(summary),
        json::body(Arc::clone(of), Selection::all(), now),
        Box::new(Scrape::new(of, now, share(), |_| true)),
    ];
    let text = |body| String::from_utf8_lossy(&all_of(body, slice)).into_owned();
    bodies.into_iter().map(text).collect()
}

/// The sums of what each source shows, made anew.
fn summed_anew(union: &Union) -> Arc<Summary> {
    let rubbish = &mut Rubbish::default();
    let of = |member: &Member, rubbish: &mut Rubbish| {
        let mut again = Member::new(member.id);
        again.cluster = Arc::clone(&member.cluster);
        again.shown = member.shown.clone();
        again.is_summed = member.is_summed;
        let mut partial = Partial::new(&again, &union.filter);
        while partial.step(&mut usize::MAX.clone()) {}
        partial.finish(&mut again, rubbish);
        again.counted()
    };
    let members = union.members.list().iter();
    let all = members.map(|member| of(member, rubbish)).collect();
    let mut sums = SumTree::default();
    sums.set_all(all, rubbish);
    while sums.step(&mut usize::MAX.clone(), rubbish) {}
    Arc::clone(sums.whole().unwrap())
}

fn bits(summary: &Summary) -> Vec<(String, u64, u32)> {
    let sums = summary.metrics.iter();
    sums.map(|it| (it.def.name().to_owned(), it.sum.to_bits(), it.num))
        .collect()
}

/// Everything that anybody can see of a cluster.
fn told(of: &Cluster) -> Vec<String> {
    let mut all = vec![format!(
        "{:?} {:?} {:?} {:?} {} {:?} {}",
        of.name, of.owner, of.latlong, of.url, of.localtime, of.received, of.bytes
    )];
    for host in &of.hosts {
        all.push(format!("{host:?}"));
    }
    all.push(format!("{:?} {:?}", of.metrics, of.by_name));
    all.extend(of.defs.iter().map(|def| format!("{:p}", Arc::as_ptr(def))));
    let Summary {
        hosts_up,
        hosts_down,
        metrics,
    } = &of.summary;
    all.push(format!("{hosts_up} {hosts_down}"));
    for sum in metrics {
        let def = Arc::as_ptr(&sum.def);
        let (num, contributors) = (sum.num, sum.contributors);
        let name = sum.def.name();
        all.push(format!(
            "{name} {def:p} {} {num} {contributors:?}",
            sum.text()
        ));
        if name == "m0" {
            all.push(format!("{:x}", sum.sum.to_bits()));
        }
    }
    all
}

fn assert_same(shown: &Cluster, wanted: &Cluster) {
    let flat = shown.flattened();
    for (shown, wanted) in told(&flat).into_iter().zip(told(wanted)) {
        assert_eq!(shown, wanted);
    }
    assert_eq!(shown.host_count(), wanted.hosts.len());
    assert_eq!(shown.metric_count(), wanted.metrics.len());
    let in_order: Vec<u32> = shown.places_by_name().map(|at| at as u32).collect();
    assert_eq!(in_order, *wanted.by_name);
    for (at, host) in wanted.hosts.iter().enumerate() {
        assert_eq!(shown.find_host(&host.info.name), Some(at));
        let found = shown.host(at);
        assert_eq!((&found.info, found.fresh), (&host.info, host.fresh));
        let places = found.places().zip(found.values());
        for (place, value) in places {
            assert_eq!(shown.value_at(place).val, value.val);
            assert_eq!(shown.host_with(place), at);
        }
    }
    assert_eq!(shown.find_host("nobody"), None);
    let fresh = wanted.hosts.iter().filter(|host| host.fresh).count();
    assert_eq!(shown.fresh_hosts().count(), fresh);
}

#[test]
fn whatever_changes_a_shared_cluster_is_what_it_is_when_it_is_made_anew() {
    let mut all = Tally::default();
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        let Tally {
            merged,
            hidden,
            taken_over,
            contests,
            beside_grids,
            resets,
            none_is_up,
        } = world.tally;
        all.merged += merged;
        all.hidden += hidden;
        all.taken_over += taken_over;
        all.contests += contests;
        all.beside_grids += beside_grids;
        all.resets += resets;
        all.none_is_up += none_is_up;
    }
    let counts = [all.merged, all.hidden, all.taken_over, all.contests];
    assert!(counts.iter().all(|it| *it > 500), "{all:?}");
    assert!(
        [all.beside_grids, all.resets, all.none_is_up]
            .iter()
            .all(|it| *it > 20),
        "{all:?}"
    );
}
