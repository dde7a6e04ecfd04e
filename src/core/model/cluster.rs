//! Clusters, grids and hosts as a snapshot holds them: immutable and flat.
//!
//! No rules for their replacement: those are in `store`.

use std::ops::Range;
use std::sync::Arc;

use super::metric::{ALLOCATION_BYTES, MetricDef};
use super::parts::Parts;
use super::summary::Summary;
use super::text::SmallText;
use super::time::Mono;
use super::via::Via;
use super::vocabulary::DefId;

/// A child of the root grid.
#[derive(Clone, Debug)]
pub enum Node {
    /// A cluster in full; this gmetad is its authority.
    Cluster(Arc<Cluster>),
    /// A grid below, as summary.
    Grid(Arc<Grid>),
}

impl Node {
    /// NAME.
    pub fn name(&self) -> &str {
        match self {
            Node::Cluster(cluster) => &cluster.name,
            Node::Grid(grid) => &grid.name,
        }
    }

    /// LOCALTIME, in seconds since the epoch; 0 or less: not given.
    pub fn localtime(&self) -> i64 {
        match self {
            Node::Cluster(cluster) => cluster.localtime,
            Node::Grid(grid) => grid.localtime,
        }
    }

    /// HOSTS and METRICS.
    pub fn summary(&self) -> &Summary {
        match self {
            Node::Cluster(cluster) => &cluster.summary,
            Node::Grid(grid) => &grid.summary,
        }
    }

    /// Changes LOCALTIME.
    pub fn set_localtime(&mut self, localtime: i64) {
        match self {
            Node::Cluster(cluster) => Arc::make_mut(cluster).localtime = localtime,
            Node::Grid(grid) => Arc::make_mut(grid).localtime = localtime,
        }
    }

    /// When its document ended.
    pub fn received(&self) -> Mono {
        match self {
            Node::Cluster(cluster) => cluster.received,
            Node::Grid(grid) => grid.received,
        }
    }
}

/// A grid below this one.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    /// NAME.
    pub name: Box<str>,
    /// AUTHORITY: the URL of its graphs.
    pub authority: Box<str>,
    /// LOCALTIME as received, in seconds since the epoch by its clock.
    pub localtime: i64,
    /// When the document ended.
    pub received: Mono,
    /// The sums over its hosts.
    pub summary: Summary,
    /// The gmetads whose sums these hold.
    pub via: Via,
    /// The mark that it is served with, to find out whether what it holds goes round in a circle.
    pub mark: Option<Arc<str>>,
    /// Approximate memory; shared parts are counted in full.
    pub bytes: usize,
}

/// A cluster, with the metrics of all its hosts in one array.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// NAME.
    pub name: Box<str>,
    /// OWNER.
    pub owner: Box<str>,
    /// LATLONG.
    pub latlong: Box<str>,
    /// URL.
    pub url: Box<str>,
    /// LOCALTIME as received, in seconds since the epoch by its clock.
    pub localtime: i64,
    /// When the document ended.
    pub received: Mono,
    /// The definitions that the metrics' `def` points to.
    pub defs: Arc<Vec<Arc<MetricDef>>>,
    /// In document order; those carried over come last. None where there are `parts`: `all_hosts` has the
    /// hosts of every cluster.
    pub hosts: Vec<Host>,
    /// Host by host.
    pub metrics: Vec<Metric>,
    /// Indices into `hosts`, in the order of names.
    pub by_name: Arc<[u32]>,
    /// The sums over the hosts that are up.
    pub summary: Summary,
    /// What each source brings of it, where several bring it. `hosts`, `metrics`, `defs` and `by_name` are
    /// empty then.
    pub parts: Option<Arc<Parts>>,
    /// Approximate memory; shared parts are counted in full.
    pub bytes: usize,
}

impl Cluster {
    /// Its attributes and times, without hosts, definitions and sums.
    #[must_use]
    pub fn without_hosts(&self) -> Cluster {
        Cluster {
            name: self.name.clone(),
            owner: self.owner.clone(),
            latlong: self.latlong.clone(),
            url: self.url.clone(),
            localtime: self.localtime,
            received: self.received,
            ..Cluster::default()
        }
    }

    /// The index of its own host of that name.
    pub(super) fn find_own_host(&self, name: &str) -> Option<usize> {
        self.by_name
            .binary_search_by(|&at| (*self.hosts[at as usize].info.name).cmp(name))
            .ok()
            .map(|at| self.by_name[at] as usize)
    }

    /// A host's metrics.
    #[inline]
    pub fn metrics_of(&self, host: &Host) -> &[Metric] {
        &self.metrics[host.metrics()]
    }

    /// A metric's definition.
    #[inline]
    pub fn def(&self, metric: &Metric) -> &MetricDef {
        &self.defs[metric.def() as usize]
    }

    /// A host's metric of that name.
    pub fn find_metric(&self, host: &Host, name: &str) -> Option<&Metric> {
        self.metrics_of(host)
            .iter()
            .find(|metric| self.def(metric).name() == name)
    }
}

/// The attributes of a host that rarely change, shared between snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostInfo {
    /// NAME.
    pub name: Box<str>,
    /// IP.
    pub ip: Box<str>,
    /// LOCATION.
    pub location: Box<str>,
    /// TAGS.
    pub tags: Box<str>,
    /// GMOND_STARTED, in seconds since the epoch by its clock.
    pub gmond_started: i64,
    /// Longest time expected between two messages, in seconds; 0: not given.
    pub tmax: u32,
    /// Seconds after which the host is deleted; 0 = never.
    pub dmax: u32,
}

impl HostInfo {
    /// Approximate memory.
    pub fn bytes(&self) -> usize {
        let texts = [&self.name, &self.ip, &self.location, &self.tags];
        let texts = texts.map(|text| text.len() + ALLOCATION_BYTES);
        size_of::<HostInfo>() + texts.iter().sum::<usize>() + 2 * ALLOCATION_BYTES
    }
}

/// A host in a snapshot.
#[derive(Clone, Debug)]
pub struct Host {
    /// The attributes that rarely change.
    pub info: Arc<HostInfo>,
    /// REPORTED, in seconds since the epoch by the cluster's clock.
    pub reported: i64,
    /// TN at `received`.
    pub tn: u32,
    /// Whether it was up at `received`.
    pub up: bool,
    /// Whether the newest document has it. Otherwise it is carried over.
    pub fresh: bool,
    /// When the last document that has it brought it.
    pub received: Mono,
    /// Index of its first metric in the cluster's.
    pub first_metric: u32,
    /// Number of its metrics.
    pub metric_count: u32,
}

impl Host {
    /// Indices of its metrics in the cluster's.
    #[inline]
    pub fn metrics(&self) -> Range<usize> {
        self.first_metric as usize..(self.first_metric + self.metric_count) as usize
    }

    /// TN at `now`.
    #[inline]
    pub fn live_tn(&self, now: Mono) -> u32 {
        self.tn.saturating_add(now.secs_since(self.received))
    }

    /// Whether its DMAX has passed at `now`.
    pub fn is_expired(&self, now: Mono) -> bool {
        self.info.dmax > 0 && self.live_tn(now) > self.info.dmax
    }
}

/// A host is down from this multiple of its TMAX on.
const DOWN_AFTER_TMAX: u32 = 4;

/// A host without a TMAX is down from this difference of REPORTED and LOCALTIME on.
const DOWN_AFTER_SECS: u64 = 60;

/// Whether a host is up by its attributes in the document.
pub fn is_up(info: &HostInfo, tn: u32, reported: i64, localtime: i64) -> bool {
    if info.tmax > 0 {
        tn < info.tmax.saturating_mul(DOWN_AFTER_TMAX)
    } else {
        localtime.abs_diff(reported) < DOWN_AFTER_SECS
    }
}

/// A host's value of one definition, in 24 bytes.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Index into the cluster's definitions, and the flag `CARRIED`.
    def: u32,
    /// TN when the host's document arrived.
    pub tn: u32,
    /// VAL.
    pub val: SmallText,
}

/// Set in `Metric::def` of values that the newest document does not have.
const CARRIED: u32 = 1 << 31;

impl Metric {
    /// A value that the newest document has.
    #[inline]
    pub fn new(def: DefId, tn: u32, val: SmallText) -> Metric {
        debug_assert!(
            def < CARRIED,
            "the limits of a document keep definitions below this"
        );
        Metric { def, tn, val }
    }

    /// Index into the cluster's definitions.
    #[inline]
    pub fn def(&self) -> DefId {
        self.def & !CARRIED
    }

    /// Whether the newest document of its host has it. Otherwise it is carried over.
    #[inline]
    pub fn is_fresh(&self) -> bool {
        self.def & CARRIED == 0
    }

    #[must_use]
    /// The value, carried over under another index and older by `secs`.
    pub fn carried(&self, def: DefId, secs: u32) -> Metric {
        Metric {
            def: def | CARRIED,
            tn: self.tn.saturating_add(secs),
            val: self.val.clone(),
        }
    }

    #[must_use]
    /// The value under another index.
    pub fn moved(&self, def: DefId) -> Metric {
        Metric {
            def: def | (self.def & CARRIED),
            tn: self.tn,
            val: self.val.clone(),
        }
    }

    /// Changes the index.
    pub fn set_def(&mut self, def: DefId) {
        self.def = def | (self.def & CARRIED);
    }

    /// Whether its DMAX has passed, `age` seconds after its host's document arrived.
    #[inline]
    pub fn is_expired(&self, dmax: u32, age: u32) -> bool {
        dmax > 0 && self.tn.saturating_add(age) > dmax
    }
}

/// The indices of hosts in the order of names, and whether a name is repeated.
pub fn order_by_name(hosts: &[Host]) -> (Arc<[u32]>, bool) {
    let mut order: Vec<u32> = (0..hosts.len() as u32).collect();
    order.sort_by(|&a, &b| {
        hosts[a as usize]
            .info
            .name
            .cmp(&hosts[b as usize].info.name)
    });
    let twice = order
        .windows(2)
        .any(|pair| hosts[pair[0] as usize].info.name == hosts[pair[1] as usize].info.name);
    (order.into(), twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_takes_twenty_four_bytes() {
        assert_eq!(size_of::<Metric>(), 24);
    }

    #[test]
    fn a_host_is_down_after_four_times_its_tmax() {
        let host = HostInfo {
            tmax: 20,
            ..HostInfo::default()
        };
        assert!(is_up(&host, 79, 0, 0));
        assert!(!is_up(&host, 80, 0, 0));
    }

    #[test]
    fn a_host_without_a_tmax_is_down_after_a_minute_of_silence() {
        let host = HostInfo::default();
        assert!(is_up(&host, 1_000_000, 941, 1000));
        assert!(!is_up(&host, 0, 940, 1000));
        assert!(
            !is_up(&host, 0, 1060, 1000),
            "a clock ahead is as bad as one behind"
        );
    }

    #[test]
    fn a_carried_value_ages() {
        let metric = Metric::new(7, 10, "1".into()).carried(3, 5);
        assert_eq!((metric.def(), metric.tn, metric.is_fresh()), (3, 15, false));
        assert!(!metric.is_expired(0, 1000), "a DMAX of 0 is never");
        assert!(!metric.is_expired(20, 5));
        assert!(metric.is_expired(20, 6));
        assert!(!metric.moved(9).is_fresh());
    }
}
