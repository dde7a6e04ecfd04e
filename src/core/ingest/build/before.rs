//! The cluster as the document before left it: where it has a host, and which metric that host had
//! next.
//!
//! A guide only. It speeds reading up; what it expects is never taken for what came.

use std::ops::Range;
use std::sync::Arc;

use crate::model::{Cluster, DefId, HostInfo, Metric, MetricDef};

/// The previous cluster, and a place in it that follows the document.
#[derive(Debug, Default)]
pub(super) struct Before {
    cluster: Option<Arc<Cluster>>,
    /// Whether its indices of definitions are those of the new cluster.
    aligned: bool,
    /// By host: whether the document has named it.
    seen: Vec<bool>,
    /// The host that is likely to come next.
    cursor: usize,
    /// The open host, if it is known and came for the first time.
    host: Option<usize>,
    /// The open host's values, from the one expected next on; empty unless `aligned`.
    expected: Range<usize>,
    /// The definition of the first of these.
    next: Option<DefId>,
}

impl Before {
    /// The cluster before, for one whose definitions are `defs` so far.
    pub fn new(cluster: Option<Arc<Cluster>>, defs: &Arc<Vec<Arc<MetricDef>>>) -> Before {
        let hosts = cluster.as_ref().map_or(0, |it| it.hosts.len());
        Before {
            aligned: cluster
                .as_ref()
                .is_some_and(|it| Arc::ptr_eq(&it.defs, defs)),
            seen: vec![false; hosts],
            cluster,
            ..Before::default()
        }
    }

    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }

    /// Whether its indices of definitions are those of the new cluster, which only ever adds some.
    pub fn is_aligned(&self) -> bool {
        self.aligned
    }

    /// The document starts from the first host again.
    pub fn rewind(&mut self) {
        self.cursor = 0;
    }

    /// The attributes of the host that is likely to come next.
    #[inline]
    pub fn next_host(&self) -> Option<&Arc<HostInfo>> {
        let hosts = &self.cluster.as_ref()?.hosts;
        hosts.get(self.cursor).map(|host| &host.info)
    }

    /// Goes to the host of that name. Returns its attributes, if they are still `info`.
    pub fn start_host(&mut self, info: &HostInfo) -> Option<Arc<HostInfo>> {
        let found = self.find(&info.name);
        self.host = found.filter(|at| !self.seen[*at]);
        self.expected = match (&self.cluster, self.host) {
            (Some(cluster), Some(at)) if self.aligned => cluster.hosts[at].metrics(),
            _ => 0..0,
        };
        self.next = self.expected_at(self.expected.start);
        let at = found?;
        self.seen[at] = true;
        let known = &self.cluster.as_ref()?.hosts[at].info;
        (**known == *info).then(|| Arc::clone(known))
    }

    /// Where the host of that name is: most often right after the last one found.
    fn find(&mut self, name: &str) -> Option<usize> {
        let cluster = self.cluster.as_ref()?;
        let next = self.cursor;
        let at = match cluster.hosts.get(next) {
            Some(host) if *host.info.name == *name => next,
            _ => cluster.find_host(name)?,
        };
        self.cursor = at + 1;
        Some(at)
    }

    /// The open host, if it is known and came for the first time.
    pub fn host(&self) -> Option<usize> {
        self.host
    }

    /// The definition that the open host had next.
    #[inline]
    pub fn next(&self) -> Option<DefId> {
        self.next
    }

    /// Takes note of what came. Returns whether it was expected.
    #[inline]
    pub fn follow(&mut self, id: DefId) -> bool {
        let was_expected = self.next == Some(id);
        if was_expected {
            self.expected.start += 1;
        } else {
            // A metric may be gone. If the host has a new one, the next is still expected.
            match self.expected_at(self.expected.start + 1) {
                Some(after) if after == id => self.expected.start += 2,
                _ => return false,
            }
        }
        self.next = self.expected_at(self.expected.start);
        was_expected
    }

    #[inline]
    fn expected_at(&self, at: usize) -> Option<DefId> {
        let cluster = self.cluster.as_ref()?;
        (at < self.expected.end).then(|| cluster.metrics[at].def())
    }

    /// The open host's value of what has just come, if that was expected.
    pub fn value_of(&self, id: DefId) -> Option<&Metric> {
        let cluster = self.cluster.as_ref()?;
        let at = self.expected.start.checked_sub(1)?;
        let metric = cluster.metrics.get(at)?;
        let is_the_hosts = cluster.hosts[self.host?].metrics().contains(&at);
        (is_the_hosts && metric.def() == id).then_some(metric)
    }

    /// Whether the document has named the host at that place.
    pub fn has_seen(&self, at: usize) -> bool {
        self.seen[at]
    }

    pub fn into_cluster(self) -> Option<Arc<Cluster>> {
        self.cluster
    }
}
