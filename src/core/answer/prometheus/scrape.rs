//! Every numeric metric of every host that is up, family by family, a slice at a time.
//!
//! The page is never in memory as a whole: only a plan of the families, and an `index` of each
//! cluster that is being written.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use super::index::{Index, host_of, is_up_now};
use super::name::{CLUSTER, FamilyName, HOST, HOST_UP, Kind, METRIC};
use super::{push_family, push_label_value};
use crate::answer::walk::Body;
use crate::model::{
    Cluster, DefId, DefList, MetricDef, Node, Now, Rubbish, Snapshot, parse_number,
};
use crate::share::Share;

/// Most definitions planned between two writes. Tests reach it sooner.
const PLANNED_A_SLICE: usize = if cfg!(test) { 256 } else { 4096 };

/// Most definitions of several sources looked at between two writes: that takes less than to plan them.
const GATHERED_A_SLICE: usize = 4 * PLANNED_A_SLICE;

/// Most metrics read between two writes.
const METRICS_A_SLICE: usize = 200_000;

const HOST_UP_HELP: &str = "Whether the host was heard of in time; only then it has other samples.";

/// Written while there is no sample yet, so that the client sees progress.
const COMMENT: &[u8] = b"#\n";

/// A cursor over an immutable snapshot.
#[derive(Debug)]
pub struct Scrape {
    clusters: Vec<Part>,
    families: Vec<Family>,
    /// Trees, not tables: a table that grows is rebuilt in one go.
    by_name: BTreeMap<String, u32>,
    /// By address of the definition, which clusters share; the clusters keep it alive.
    by_def: BTreeMap<usize, u32>,
    /// What only the plan needed.
    rubbish: Rubbish,
    now: Now,
    step: Step,
    /// Metrics read since the last write.
    looked_at: usize,
    /// Counts the scrapes that are running, by its clones.
    _share: Share,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Find the families, from that cluster's definition on.
    Plan {
        cluster: usize,
        def: usize,
    },
    /// Drop what only the plan needed.
    Forget,
    /// Write the head of `gmetad_host_up`.
    HostsUpHead,
    /// Write its samples, from that cluster's host on.
    HostsUp {
        cluster: usize,
        host: usize,
    },
    /// Write the hosts' samples, from a metric of that family's member on.
    Samples {
        family: usize,
        member: usize,
        at: usize,
    },
    Done,
}

/// One cluster.
#[derive(Debug)]
struct Part {
    cluster: Arc<Cluster>,
    /// Gathered when the families are found.
    defs: DefList,
    /// Built when its first family is written.
    index: Option<Index>,
}

#[derive(Debug)]
struct Family {
    name: String,
    kind: Kind,
    /// Whether metrics of different names share this family.
    mixed: bool,
    /// Whether its HELP and TYPE are written.
    begun: bool,
    /// Cluster and definition.
    members: Vec<(u32, DefId)>,
}

impl Part {
    fn def(&self, at: DefId) -> &Arc<MetricDef> {
        self.defs.def(&self.cluster, at)
    }
}

impl Scrape {
    /// A scrape of the clusters that `wanted` takes, with ages as of `now`.
    pub fn new(
        snapshot: &Snapshot,
        now: Now,
        share: Share,
        wanted: impl Fn(&Cluster) -> bool,
    ) -> Scrape {
        let clusters = snapshot.nodes.iter().filter_map(|node| match node {
            Node::Cluster(cluster) if wanted(cluster) => Some(Part {
                defs: DefList::new(cluster),
                cluster: Arc::clone(cluster),
                index: None,
            }),
            _ => None,
        });
        Scrape {
            clusters: clusters.collect(),
            families: Vec::new(),
            by_name: BTreeMap::new(),
            by_def: BTreeMap::new(),
            rubbish: Rubbish::default(),
            now,
            step: Step::Plan { cluster: 0, def: 0 },
            looked_at: 0,
            _share: share,
        }
    }

    /// Finds the families of the next definitions.
    fn plan(&mut self, mut at: usize, mut from: usize) -> Step {
        let mut budget = PLANNED_A_SLICE;
        let mut to_gather = GATHERED_A_SLICE;
        while let Some(Part { cluster, defs, .. }) = self.clusters.get_mut(at) {
            let cluster = Arc::clone(cluster);
            if defs.gather(&cluster, &mut to_gather, &mut self.rubbish) {
                return Step::Plan {
                    cluster: at,
                    def: from,
                };
            }
            let len = defs.len(&cluster);
            let end = len.min(from + budget);
            for number in from as DefId..end as DefId {
                let def = self.clusters[at].defs.def(&cluster, number);
                if def.ty().is_numeric() {
                    let family = self.family_of(def);
                    let members = &mut self.families[family as usize].members;
                    members.push((at as u32, number));
                }
            }
            budget -= end - from;
            if end < len {
                return Step::Plan {
                    cluster: at,
                    def: end,
                };
            }
            (at, from) = (at + 1, 0);
        }
        // The plan is complete, so the look-up tables can go.
        self.rubbish.add(std::mem::take(&mut self.by_name));
        self.rubbish.add(std::mem::take(&mut self.by_def));
        self.forget()
    }

    /// Drops some of what only the plan needed.
    fn forget(&mut self) -> Step {
        if self.rubbish.step(PLANNED_A_SLICE) {
            Step::Forget
        } else {
            Step::HostsUpHead
        }
    }

    fn family_of(&mut self, def: &Arc<MetricDef>) -> u32 {
        let address = Arc::as_ptr(def) as usize;
        if let Some(&known) = self.by_def.get(&address) {
            return known;
        }
        let FamilyName { name, kind, .. } = FamilyName::of(def);
        let at = if let Some(&at) = self.by_name.get(&name) {
            let family = &mut self.families[at as usize];
            let (cluster, number) = family.members[0];
            let first = self.clusters[cluster as usize].def(number);
            family.mixed |= first.name() != def.name();
            if family.kind != kind {
                family.kind = Kind::Untyped;
            }
            at
        } else {
            let at = self.families.len() as u32;
            self.by_name.insert(name.clone(), at);
            self.families.push(Family {
                name,
                kind,
                mixed: false,
                begun: false,
                members: Vec::new(),
            });
            at
        };
        self.by_def.insert(address, at);
        at
    }

    /// Writes whether each host is up. A host that is not has no other samples.
    fn hosts_up(&self, out: &mut Vec<u8>, limit: usize, mut at: usize, mut from: usize) -> Step {
        while let Some(Part { cluster, .. }) = self.clusters.get(at) {
            let start = sample_start(HOST_UP, cluster);
            for number in from..cluster.host_count() {
                if out.len() >= limit {
                    return Step::HostsUp {
                        cluster: at,
                        host: number,
                    };
                }
                let host = cluster.host(number);
                out.extend_from_slice(&start);
                push_label_value(out, &host.info.name);
                let up = is_up_now(&host, cluster, self.now.mono);
                out.extend_from_slice(if up { b"\"} 1\n" } else { b"\"} 0\n" });
            }
            (at, from) = (at + 1, 0);
        }
        Step::Samples {
            family: 0,
            member: 0,
            at: 0,
        }
    }

    /// Writes samples of one family, up to its end at most.
    fn samples(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        family: usize,
        mut member: usize,
        mut from: usize,
    ) -> Step {
        let Some(members) = self.families.get(family).map(|it| it.members.len()) else {
            return Step::Done;
        };
        while member < members {
            if let Some(at) = self.samples_of_member(out, limit, family, member, from) {
                return Step::Samples { family, member, at };
            }
            (member, from) = (member + 1, 0);
            if self.looked_at >= METRICS_A_SLICE {
                break;
            }
        }
        let at = 0;
        if member < members {
            return Step::Samples { family, member, at };
        }
        // What is dropped now need not be in one go at the end.
        let written = &mut self.families[family];
        (written.name, written.members) = (String::new(), Vec::new());
        let (family, member) = (family + 1, 0);
        Step::Samples { family, member, at }
    }

    /// Writes samples of a member of a family from `from` on. Returns where to go on, if there are
    /// more.
    fn samples_of_member(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        family: usize,
        member: usize,
        from: usize,
    ) -> Option<usize> {
        let family = &mut self.families[family];
        let (at, def) = family.members[member];
        let named_by = (!family.begun).then(|| {
            // The first definition names the family, as it did in the plan.
            let (at, def) = family.members[0];
            Arc::clone(self.clusters[at as usize].def(def))
        });
        let part = &mut self.clusters[at as usize];
        let cluster = &*part.cluster;
        let index = &*part.index.get_or_insert_with(|| {
            self.looked_at += cluster.metric_count();
            Index::new(cluster, &part.defs, self.now.mono)
        });
        let metrics = index.of(def);
        if !metrics.is_empty()
            && let Some(named_by) = named_by
        {
            family.begun = true;
            push_family(out, &family.name, family.kind, &help(&named_by));
        }
        let start = sample_start(&family.name, cluster);
        let end = sample_end(family, part.defs.def(cluster, def).name());
        let mut host = 0;
        for (passed, &metric) in metrics.iter().enumerate().skip(from) {
            if out.len() >= limit || self.looked_at >= METRICS_A_SLICE {
                return Some(passed);
            }
            self.looked_at += 1;
            let val = cluster.value_at(metric as usize).val.as_bytes();
            if parse_number(val).is_none() {
                continue;
            }
            host = host_of(cluster, metric, host);
            out.extend_from_slice(&start);
            out.extend_from_slice(index.name(host));
            out.extend_from_slice(&end);
            out.extend_from_slice(val.trim_ascii());
            out.push(b'\n');
        }
        None
    }
}

impl Body for Scrape {
    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> bool {
        self.looked_at = 0;
        while out.len() < limit {
            self.step = match self.step {
                Step::Plan { cluster, def } => self.plan(cluster, def),
                Step::Forget => self.forget(),
                Step::HostsUpHead => {
                    push_family(out, HOST_UP, Kind::Gauge, HOST_UP_HELP);
                    Step::HostsUp {
                        cluster: 0,
                        host: 0,
                    }
                }
                Step::HostsUp { cluster, host } => self.hosts_up(out, limit, cluster, host),
                Step::Samples { family, member, at } => {
                    self.samples(out, limit, family, member, at)
                }
                Step::Done => return false,
            };
            // Much work with little output is spread over several calls.
            if matches!(self.step, Step::Plan { .. } | Step::Forget)
                || self.looked_at >= METRICS_A_SLICE
            {
                if out.is_empty() {
                    out.extend_from_slice(COMMENT);
                }
                return true;
            }
        }
        !matches!(self.step, Step::Done)
    }
}

/// A sample up to the name of its host.
fn sample_start(family: &str, cluster: &Cluster) -> Vec<u8> {
    let mut start = Vec::with_capacity(64 + cluster.name.len());
    start.extend_from_slice(family.as_bytes());
    // Writing to memory does not fail.
    let _ = write!(start, "{{{CLUSTER}=\"");
    push_label_value(&mut start, &cluster.name);
    let _ = write!(start, "\",{HOST}=\"");
    start
}

/// A sample from the name of its host to its value.
fn sample_end(family: &Family, metric: &str) -> Vec<u8> {
    let mut end = b"\"".to_vec();
    if FamilyName::has_metric_label(&family.name, metric, family.mixed) {
        // Writing to memory does not fail.
        let _ = write!(end, ",{METRIC}=\"");
        push_label_value(&mut end, metric);
        end.push(b'"');
    }
    end.extend_from_slice(b"} ");
    end
}

/// The metric's DESC or TITLE, and its units.
fn help(def: &MetricDef) -> String {
    let said = |name: &str| {
        def.extra(name)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let text = said("DESC").or_else(|| said("TITLE")).unwrap_or(def.name());
    let units = def.fields().units.trim();
    match (text.trim(), units) {
        // promtool reports a family without help.
        ("", "") => "A metric without words.".into(),
        (text, "") => text.into(),
        (text, units) => format!("{text} [{units}]"),
    }
}

#[cfg(test)]
mod tests;
