//! The hosts of a cluster as it is shown: its own, or those of the clusters that several sources bring.
//!
//! Copies no host and no value: what several sources bring stays where it is, side by side.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::{Deref, Range};
use std::sync::Arc;

use super::cluster::{Cluster, Host, Metric, order_by_name};
use super::host_index::HostIndex;
use super::metric::MetricDef;
use super::vocabulary::{DefId, Vocabulary};

/// What one source brings of a cluster.
#[derive(Clone, Debug)]
pub struct ClusterPart {
    /// As it brings it.
    pub cluster: Arc<Cluster>,
    /// Indices of its hosts that are shown, in order. `None`: all of them.
    pub shown: Option<Arc<[u32]>>,
    /// Values of these hosts.
    pub metric_count: usize,
}

impl From<Cluster> for ClusterPart {
    /// With all of its hosts.
    fn from(cluster: Cluster) -> ClusterPart {
        ClusterPart {
            shown: None,
            metric_count: cluster.metrics.len(),
            cluster: Arc::new(cluster),
        }
    }
}

impl ClusterPart {
    fn host_count(&self) -> usize {
        let shown = self.shown.as_ref().map(|shown| shown.len());
        shown.unwrap_or(self.cluster.hosts.len())
    }

    /// The place of the host of that index, if it is shown.
    fn place(&self, at: usize) -> Option<usize> {
        match &self.shown {
            None => Some(at),
            Some(shown) => shown.binary_search(&(at as u32)).ok(),
        }
    }
}

/// What several sources bring of one cluster. No two of them show a host of the same name.
#[derive(Debug)]
pub struct Parts {
    list: Vec<ClusterPart>,
    /// By part: how many hosts are shown before its own.
    hosts_before: Vec<usize>,
    /// By part: how many values are before its own. Those that are not shown have places too.
    metrics_before: Vec<usize>,
    host_count: usize,
    metric_count: usize,
    /// The part whose document is the one that has just come: no other's hosts are fresh.
    newest: Option<usize>,
    /// Which sources bring a host, and by source its part.
    found_by: Option<(Arc<HostIndex>, Arc<[usize]>)>,
}

impl Parts {
    /// Of these, in the order in which they are shown.
    pub fn new(list: Vec<ClusterPart>, newest: Option<usize>) -> Parts {
        let (mut hosts, mut metrics) = (0, 0);
        let (mut hosts_before, mut metrics_before) = (Vec::new(), Vec::new());
        hosts_before.reserve_exact(list.len());
        metrics_before.reserve_exact(list.len());
        for part in &list {
            hosts_before.push(hosts);
            metrics_before.push(metrics);
            hosts += part.host_count();
            metrics += part.cluster.metrics.len();
        }
        Parts {
            host_count: hosts,
            metric_count: list.iter().map(|part| part.metric_count).sum(),
            list,
            hosts_before,
            metrics_before,
            newest,
            found_by: None,
        }
    }

    /// With an index of the sources that bring a host, and the place in the list of each source's part.
    #[must_use]
    pub fn found_by(self, index: Arc<HostIndex>, places: Arc<[usize]>) -> Parts {
        Parts {
            found_by: Some((index, places)),
            ..self
        }
    }

    /// What each source brings.
    pub fn list(&self) -> &[ClusterPart] {
        &self.list
    }

    /// What each source brought.
    pub fn into_list(self) -> Vec<ClusterPart> {
        self.list
    }

    fn host(&self, at: usize) -> ShownHost<'_> {
        let part = self.hosts_before.partition_point(|before| *before <= at) - 1;
        let piece = self.piece(part);
        piece.shown_at(at - self.hosts_before[part])
    }

    fn piece(&self, part: usize) -> Piece<'_> {
        let of = &self.list[part];
        Piece {
            cluster: &of.cluster,
            shown: of.shown.as_deref(),
            part,
            is_newest: self.newest == Some(part),
            first_metric: self.metrics_before[part],
        }
    }

    fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        (0..self.list.len()).map(|part| self.piece(part))
    }

    fn find_host(&self, name: &str) -> Option<usize> {
        let within = |part: usize| {
            let of = self.list.get(part)?;
            let place = of.place(of.cluster.find_host(name)?)?;
            Some(self.hosts_before[part] + place)
        };
        match &self.found_by {
            Some((index, places)) => {
                let mut sources = index.find(name);
                sources.find_map(|source| within(*places.get(source)?))
            }
            None => (0..self.list.len()).find_map(within),
        }
    }

    /// The part that has the value at that place.
    fn part_of(&self, metric: usize) -> usize {
        self.metrics_before.partition_point(|it| *it <= metric) - 1
    }
}

/// The hosts of one source within a cluster.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// What they and their values refer to.
    pub cluster: &'a Cluster,
    shown: Option<&'a [u32]>,
    part: usize,
    is_newest: bool,
    first_metric: usize,
}

impl<'a> Piece<'a> {
    /// Its hosts that are shown.
    pub fn hosts(self) -> impl Iterator<Item = ShownHost<'a>> {
        let count = self.shown.map_or(self.cluster.hosts.len(), <[u32]>::len);
        (0..count).map(move |place| self.shown_at(place))
    }

    /// The host that is shown at that place.
    fn shown_at(self, place: usize) -> ShownHost<'a> {
        self.host(self.shown.map_or(place, |shown| shown[place] as usize))
    }

    fn host(self, at: usize) -> ShownHost<'a> {
        let host = &self.cluster.hosts[at];
        ShownHost {
            within: self.cluster,
            host,
            part: self.part,
            fresh: host.fresh && self.is_newest,
            first_metric: self.first_metric,
        }
    }
}

/// A host of a cluster, with what its values refer to.
#[derive(Clone, Copy, Debug)]
pub struct ShownHost<'a> {
    /// The cluster of the source that brings it.
    within: &'a Cluster,
    host: &'a Host,
    /// The number of that source's piece.
    pub part: usize,
    /// Whether the newest document has it: that of the source which has just been heard.
    pub fresh: bool,
    first_metric: usize,
}

impl Deref for ShownHost<'_> {
    type Target = Host;

    fn deref(&self) -> &Host {
        self.host
    }
}

impl<'a> ShownHost<'a> {
    /// Its values.
    #[inline]
    pub fn values(&self) -> &'a [Metric] {
        self.within.metrics_of(self.host)
    }

    /// The places of its values among all of the cluster's.
    pub fn places(&self) -> Range<usize> {
        let Range { start, end } = self.host.metrics();
        self.first_metric + start..self.first_metric + end
    }

    /// The definition of one of its values.
    #[inline]
    pub fn def(&self, metric: &Metric) -> &'a Arc<MetricDef> {
        &self.within.defs[metric.def() as usize]
    }

    /// Its value of that name.
    pub fn value(&self, name: &str) -> Option<&'a Metric> {
        self.within.find_metric(self.host, name)
    }

    /// What its values refer to.
    #[inline]
    pub fn within(&self) -> &'a Cluster {
        self.within
    }

    /// The host, for as long as its cluster.
    #[inline]
    pub fn as_host(&self) -> &'a Host {
        self.host
    }
}

impl Cluster {
    /// The cluster of that name which these sources bring; the hosts of the newest are fresh.
    #[must_use]
    pub fn of_parts(name: &str, parts: Vec<ClusterPart>, newest: Option<usize>) -> Cluster {
        Cluster {
            name: name.into(),
            parts: Some(Arc::new(Parts::new(parts, newest))),
            ..Cluster::default()
        }
    }

    /// Its hosts by source. Most clusters are of one source.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let own = self.parts.is_none().then_some(self.own());
        let others = self.parts.iter().flat_map(|parts| parts.pieces());
        own.into_iter().chain(others)
    }

    /// The piece whose source has just been heard: no other has fresh hosts.
    pub fn newest(&self) -> Option<Piece<'_>> {
        match &self.parts {
            None => Some(self.own()),
            Some(parts) => parts.newest.map(|part| parts.piece(part)),
        }
    }

    fn own(&self) -> Piece<'_> {
        Piece {
            cluster: self,
            shown: None,
            part: 0,
            is_newest: true,
            first_metric: 0,
        }
    }

    /// Number of its hosts.
    #[inline]
    pub fn host_count(&self) -> usize {
        match &self.parts {
            None => self.hosts.len(),
            Some(parts) => parts.host_count,
        }
    }

    /// Number of their values.
    pub fn metric_count(&self) -> usize {
        match &self.parts {
            None => self.metrics.len(),
            Some(parts) => parts.metric_count,
        }
    }

    /// The host at that place, below `host_count`.
    #[inline]
    pub fn host(&self, at: usize) -> ShownHost<'_> {
        match &self.parts {
            None => self.own().host(at),
            Some(parts) => parts.host(at),
        }
    }

    /// All hosts in order.
    pub fn all_hosts(&self) -> impl Iterator<Item = ShownHost<'_>> {
        self.pieces().flat_map(Piece::hosts)
    }

    /// The hosts in the newest document.
    pub fn fresh_hosts(&self) -> impl Iterator<Item = ShownHost<'_>> {
        let hosts = self.newest().into_iter().flat_map(Piece::hosts);
        hosts.filter(|host| host.fresh)
    }

    /// The place of the host of that name.
    pub fn find_host(&self, name: &str) -> Option<usize> {
        match &self.parts {
            None => self.find_own_host(name),
            Some(parts) => parts.find_host(name),
        }
    }

    /// The places of the hosts in the order of names.
    pub fn places_by_name(&self) -> Box<dyn Iterator<Item = usize> + '_> {
        match &self.parts {
            None => Box::new(self.by_name.iter().map(|at| *at as usize)),
            Some(parts) => Box::new(ByName::new(parts)),
        }
    }

    /// The definitions, with those that several sources use as often. `DefList` has each once.
    pub fn each_def(&self) -> impl Iterator<Item = &Arc<MetricDef>> {
        self.pieces().flat_map(|piece| piece.cluster.defs.iter())
    }

    /// The value at that place among all.
    #[inline]
    pub fn value_at(&self, place: usize) -> &Metric {
        match &self.parts {
            None => &self.metrics[place],
            Some(parts) => {
                let part = parts.part_of(place);
                &parts.list[part].cluster.metrics[place - parts.metrics_before[part]]
            }
        }
    }

    /// The place of the host that has that value.
    pub fn host_with(&self, place: usize) -> usize {
        // Hosts are in the order of their values.
        let among = |cluster: &Cluster, at: usize| {
            let after = cluster
                .hosts
                .partition_point(|it| it.first_metric as usize <= at);
            after.saturating_sub(1)
        };
        let Some(parts) = &self.parts else {
            return among(self, place);
        };
        let part = parts.part_of(place);
        let of = &parts.list[part];
        let at = among(&of.cluster, place - parts.metrics_before[part]);
        parts.hosts_before[part] + of.place(at).unwrap_or_default()
    }

    /// The same cluster with all hosts and values in arrays of its own, for whoever changes them.
    #[must_use]
    pub fn flattened(&self) -> Cluster {
        let mut whole = Cluster {
            summary: self.summary.clone(),
            bytes: self.bytes,
            ..self.without_hosts()
        };
        whole.hosts.reserve_exact(self.host_count());
        whole.metrics.reserve_exact(self.metric_count());
        let mut vocabulary = Vocabulary::default();
        for piece in self.pieces() {
            let defs = piece.cluster.defs.iter();
            let moved: Vec<DefId> = defs.map(|def| vocabulary.add(def)).collect();
            for host in piece.hosts() {
                whole.hosts.push(Host {
                    fresh: host.fresh,
                    first_metric: whole.metrics.len() as u32,
                    ..host.as_host().clone()
                });
                let values = host.values().iter();
                let values = values.map(|it| it.moved(moved[it.def() as usize]));
                whole.metrics.extend(values);
            }
        }
        let rubbish = &mut super::Rubbish::default();
        whole.defs = Arc::new(vocabulary.into_defs(rubbish));
        whole.by_name = order_by_name(&whole.hosts).0;
        whole
    }
}

/// The hosts of all parts in the order of names.
struct ByName<'a> {
    parts: &'a Parts,
    /// The next of each part: its name, the part, and where in the part's order of names it is.
    next: BinaryHeap<Reverse<(&'a str, usize, usize)>>,
}

impl<'a> ByName<'a> {
    fn new(parts: &'a Parts) -> ByName<'a> {
        let mut all = ByName {
            parts,
            next: BinaryHeap::with_capacity(parts.list.len()),
        };
        for part in 0..parts.list.len() {
            all.push(part, 0);
        }
        all
    }

    /// Adds that part's next host from `at` on that is shown.
    fn push(&mut self, part: usize, at: usize) {
        let of = &self.parts.list[part];
        let order = of.cluster.by_name.iter().enumerate().skip(at);
        let shown = order.filter(|(_, host)| of.place(**host as usize).is_some());
        if let Some((at, host)) = shown.take(1).next() {
            let name = &*of.cluster.hosts[*host as usize].info.name;
            self.next.push(Reverse((name, part, at)));
        }
    }
}

impl Iterator for ByName<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let Reverse((_, part, at)) = self.next.pop()?;
        self.push(part, at + 1);
        let of = &self.parts.list[part];
        let place = of.place(of.cluster.by_name[at] as usize)?;
        Some(self.parts.hosts_before[part] + place)
    }
}
