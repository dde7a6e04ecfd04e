//! A cluster as its document arrives: beside the old one, which it replaces in one step.
//!
//! Knows no XML: `parse` says which host and which metric came.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::model::{
    Cluster, Contributors, DefId, Host, HostInfo, Metric, MetricDef, Mono, Slope, SmallText,
    Summary, SummaryBuilder, Vocabulary, id_of, is_up, order_by_name, parse_number,
};
use crate::summary::{SummaryFilter, add_host};

/// Hosts kept that the document no longer names; the oldest go first.
const MAX_CARRIED_HOSTS: usize = 100_000;

/// Memory of a document up to which anything is carried over into it.
const CARRY_BELOW_BYTES: usize = 512 << 20;

/// CLUSTER's own attributes.
#[derive(Debug, Default)]
pub(super) struct ClusterHead {
    pub name: String,
    pub owner: String,
    pub latlong: String,
    pub url: String,
    pub localtime: i64,
}

/// HOST's attributes.
#[derive(Debug, Default)]
pub(super) struct HostHead {
    pub info: HostInfo,
    pub reported: i64,
    pub tn: u32,
}

/// What a cluster has become.
#[derive(Debug)]
pub(super) struct Built {
    pub cluster: Cluster,
    /// For the next document.
    pub vocabulary: Vocabulary,
    /// Values that could not be kept as sent.
    pub damage: u64,
}

/// The sum of one name, and the last host that had it.
#[derive(Clone, Debug, Default)]
struct Sum {
    def: DefId,
    value: f64,
    contributors: Contributors,
    num: u32,
    decimals: u8,
    /// Whether the filter lets it take part.
    takes_part: bool,
    /// Whether a value was carried over before any host had one.
    carried: bool,
    /// The last host with it, counted from 1.
    last_host: u32,
    /// Where that host's value is.
    place: u32,
    /// Whether that host's value was added; `*_before` is the sum without it.
    counted: bool,
    value_before: f64,
    decimals_before: u8,
}

impl Sum {
    /// Takes the last host's value out again.
    #[cold]
    fn take_back(&mut self, host_id: u64) {
        if self.counted {
            self.contributors.take_back(host_id);
            self.value = self.value_before;
            self.decimals = self.decimals_before;
            self.num -= 1;
        }
    }
}

/// Builds a cluster host by host.
#[derive(Debug)]
pub(super) struct ClusterBuilder {
    head: ClusterHead,
    /// Off: only the summary is wanted, as of a cluster inside a grid below.
    keep: bool,
    filter: Arc<SummaryFilter>,
    vocabulary: Vocabulary,
    known_at_start: usize,
    previous: Option<Arc<Cluster>>,
    /// Whether the previous cluster's indices are this vocabulary's.
    aligned: bool,
    previous_seen: Vec<bool>,
    previous_cursor: usize,
    /// Where the previous cluster has the host that is open, if it comes for the first time.
    known: Option<usize>,
    /// The values that the previous cluster has of that host, from the one expected next on; none
    /// where its indices are others.
    expected: Range<usize>,
    next_expected: Option<DefId>,
    hosts: Vec<Host>,
    metrics: Vec<Metric>,
    /// What hosts and values take beside their records.
    text_bytes: usize,
    /// What the rest of the document takes.
    other_bytes: usize,
    most_carried_names: usize,
    /// Names carried over that the document did not have by then.
    carried_names: usize,
    /// By name.
    sums: Vec<Sum>,
    /// Names with a sum, some of them twice.
    summed: Vec<u32>,
    /// By definition: whether the document has it, where no metric is kept to tell that.
    used: Vec<bool>,
    host_number: u32,
    /// The cluster's and the open host's, for the contributors of sums.
    cluster_id: u64,
    host_id: u64,
    host_up: bool,
    last_def: Option<DefId>,
    hosts_up: u32,
    hosts_down: u32,
    /// HOSTS and METRICS of a cluster that comes as summary.
    pub given: SummaryBuilder,
    /// Values that could not be kept as sent.
    pub damage: u64,
    /// Values that came.
    pub received: u64,
}

impl ClusterBuilder {
    pub fn new(
        head: ClusterHead,
        keep: bool,
        filter: Arc<SummaryFilter>,
        vocabulary: Vocabulary,
        previous: Option<Arc<Cluster>>,
    ) -> ClusterBuilder {
        let metrics = previous
            .as_ref()
            .map_or(0, |p| p.metrics.len() + p.metrics.len() / 64);
        let hosts = previous.as_ref().map_or(0, |p| p.hosts.len());
        let mut builder = ClusterBuilder {
            head,
            keep,
            filter,
            known_at_start: vocabulary.len(),
            aligned: previous
                .as_ref()
                .is_some_and(|p| Arc::ptr_eq(&p.defs, vocabulary.defs())),
            previous_seen: vec![false; hosts],
            previous_cursor: 0,
            known: None,
            expected: 0..0,
            next_expected: None,
            hosts: Vec::with_capacity(hosts),
            metrics: Vec::with_capacity(metrics),
            text_bytes: 0,
            other_bytes: 0,
            most_carried_names: usize::MAX,
            carried_names: 0,
            sums: Vec::new(),
            summed: Vec::new(),
            used: Vec::new(),
            host_number: 0,
            cluster_id: 0,
            host_id: 0,
            host_up: false,
            last_def: None,
            hosts_up: 0,
            hosts_down: 0,
            given: SummaryBuilder::default(),
            damage: 0,
            received: 0,
            vocabulary,
            previous,
        };
        builder.cluster_id = id_of(0, builder.head.name.as_bytes());
        for id in 0..builder.known_at_start as DefId {
            builder.meet(id);
        }
        builder
    }

    /// Goes on with another CLUSTER of that name, or of the same grid below.
    pub fn begin_again(&mut self, head: ClusterHead) {
        self.head = head;
        self.cluster_id = id_of(0, self.head.name.as_bytes());
        self.last_def = None;
        self.previous_cursor = 0;
    }

    pub fn name(&self) -> &str {
        &self.head.name
    }

    /// Memory that it takes, about.
    pub fn bytes(&self) -> usize {
        self.hosts.len() * size_of::<Host>()
            + self.metrics.len() * size_of::<Metric>()
            + self.text_bytes
            + self.vocabulary.bytes()
            + self.given.bytes()
    }

    /// Tells it how many names may be carried over that the document does not have.
    pub fn carry_at_most(&mut self, names: usize) {
        self.most_carried_names = names;
    }

    /// Tells it what the rest of the document takes.
    pub fn beside(&mut self, other_bytes: usize) {
        self.other_bytes = other_bytes;
    }

    fn may_carry(&self) -> bool {
        self.bytes() + self.other_bytes < CARRY_BELOW_BYTES
    }

    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The definition that is expected next: what the open host had next last time. A gmond has the
    /// metrics of each host in an order of its own, which stays as it is.
    #[inline]
    pub fn predicted(&self) -> Option<DefId> {
        self.next_expected
    }

    /// The definition that followed the last one in the cluster's other hosts.
    #[inline]
    pub fn predicted_by_others(&self) -> Option<DefId> {
        self.vocabulary.predict(self.last_def)
    }

    /// Goes on in the order that the open host had last time, where `id` does.
    #[inline]
    fn follow(&mut self, id: DefId) {
        if self.next_expected == Some(id) {
            self.expected.start += 1;
        } else {
            self.vocabulary.learn(self.last_def, id);
            // One may be gone. Of one that is new nothing is known, and the next is still expected.
            match self.expected_at(self.expected.start + 1) {
                Some(after) if after == id => self.expected.start += 2,
                _ => return,
            }
        }
        self.next_expected = self.expected_at(self.expected.start);
    }

    #[inline]
    fn expected_at(&self, at: usize) -> Option<DefId> {
        let previous = self.previous.as_ref()?;
        (at < self.expected.end).then(|| previous.metrics[at].def())
    }

    /// The index of a definition that was parsed in full.
    pub fn add_def(&mut self, def: &Arc<MetricDef>) -> DefId {
        let id = self.vocabulary.add(def);
        self.meet(id);
        id
    }

    /// Makes room for the sums of a definition's name.
    fn meet(&mut self, id: DefId) {
        if !self.keep {
            self.used.resize(self.vocabulary.len(), false);
        }
        // Names are numbered in the order their first definitions come, and another of the same name
        // has no sum of its own.
        if self.vocabulary.name_of(id) as usize == self.sums.len() {
            let takes_part = self.filter.takes_part(self.vocabulary.def(id).name());
            self.sums.push(Sum {
                def: id,
                takes_part,
                ..Sum::default()
            });
        }
    }

    pub fn start_host(&mut self, head: HostHead, now: Mono) {
        self.host_id = id_of(self.cluster_id, head.info.name.as_bytes());
        let found = self.find_previous(&head.info.name);
        self.known = found.filter(|at| !self.previous_seen[*at]);
        self.expected = match (&self.previous, self.known) {
            (Some(previous), Some(at)) if self.aligned => previous.hosts[at].metrics(),
            _ => 0..0,
        };
        self.next_expected = self.expected_at(self.expected.start);
        let info = match found {
            Some(at) => {
                self.previous_seen[at] = true;
                let known = self.previous.as_ref().map(|p| &p.hosts[at].info);
                known.filter(|known| ***known == head.info).cloned()
            }
            None => None,
        };
        self.host_up = is_up(&head.info, head.tn, head.reported, self.head.localtime);
        if self.host_up {
            self.hosts_up += 1;
        } else {
            self.hosts_down += 1;
        }
        self.host_number += 1;
        if self.keep {
            self.text_bytes += head.info.bytes();
            self.hosts.push(Host {
                info: info.unwrap_or_else(|| Arc::new(head.info)),
                reported: head.reported,
                tn: head.tn,
                up: self.host_up,
                fresh: true,
                received: now,
                first_metric: self.metrics.len() as u32,
                metric_count: 0,
            });
        }
    }

    /// Where the previous cluster has the host: most often right after the last one found.
    fn find_previous(&mut self, name: &str) -> Option<usize> {
        let previous = self.previous.as_ref()?;
        let next = self.previous_cursor;
        let at = match previous.hosts.get(next) {
            Some(host) if *host.info.name == *name => next,
            _ => previous.find_host(name)?,
        };
        self.previous_cursor = at + 1;
        Some(at)
    }

    /// Adds a value to the host that is open.
    #[inline]
    pub fn metric(&mut self, id: DefId, tn: u32, val: SmallText) {
        self.follow(id);
        self.last_def = Some(id);
        self.received += 1;
        let name = self.vocabulary.name_of(id);
        let sum = &mut self.sums[name as usize];
        // A host that has it already: the last one counts, as both peers show it.
        let again = sum.last_host == self.host_number;
        if again {
            self.damage += 1;
            sum.take_back(self.host_id);
        }
        sum.last_host = self.host_number;
        let added = if self.host_up {
            add_up(sum, &self.vocabulary, id, tn, val.as_bytes())
        } else {
            Added::Not
        };
        sum.counted = added != Added::Not;
        if sum.counted {
            sum.contributors.add(self.host_id);
            if sum.num == 1 {
                self.summed.push(name);
            }
        }
        if added == Added::Counter
            && let Some(previous) = &self.previous
            && let Some(before) = just_followed(previous, self.known, &self.expected, id)
            && is_less(&val, &before.val)
        {
            sum.contributors.began_anew(1);
        }
        if !self.keep {
            self.used[id as usize] = true;
            return;
        }
        self.text_bytes += val.heap_bytes();
        let metric = Metric::new(id, tn, val);
        if again {
            self.metrics[sum.place as usize] = metric;
        } else {
            sum.place = self.metrics.len() as u32;
            self.metrics.push(metric);
        }
    }

    pub fn end_host(&mut self) {
        if !self.keep {
            return;
        }
        let metrics = self.metrics.len() as u32;
        let Some(host) = self.hosts.last_mut() else {
            return;
        };
        host.metric_count = metrics - host.first_metric;
        // A host that comes twice has what it had only once.
        if let (Some(previous), Some(known)) = (self.previous.clone(), self.known) {
            self.carry_metrics(&previous, &previous.hosts[known]);
        }
    }

    /// Keeps the values of the open host that its document no longer has, until their DMAX.
    fn carry_metrics(&mut self, previous: &Cluster, known: &Host) {
        let Some(host) = self.hosts.last() else {
            return;
        };
        let old = previous.metrics_of(known);
        let new = &self.metrics[host.metrics()];
        let same = old.len() == new.len()
            && self.aligned
            && old.iter().zip(new).all(|(old, new)| old.def() == new.def());
        if same {
            return;
        }
        let age = host.received.ticks_since(known.received);
        for metric in old {
            let def = &previous.defs[metric.def() as usize];
            if metric.is_expired(def.fields().dmax, age) {
                continue;
            }
            let Some(id) = self.carried_id(metric, def) else {
                continue;
            };
            let name = self.vocabulary.name_of(id) as usize;
            if self.sums[name].last_host != self.host_number {
                if !self.may_carry() {
                    break;
                }
                self.text_bytes += metric.val.heap_bytes();
                self.metrics.push(metric.carried(id, age));
            }
        }
        let metrics = self.metrics.len() as u32;
        if let Some(host) = self.hosts.last_mut() {
            host.metric_count = metrics - host.first_metric;
        }
    }

    /// The index for a value that is carried over; none where there are enough names already that
    /// the document itself does not have.
    fn carried_id(&mut self, metric: &Metric, def: &Arc<MetricDef>) -> Option<DefId> {
        let enough = self.carried_names >= self.most_carried_names;
        let id = if self.aligned {
            // Definitions are only ever added while a document comes.
            metric.def()
        } else if enough && self.vocabulary.candidates(def.name()).next().is_none() {
            return None;
        } else {
            self.add_def(def)
        };
        let sum = &mut self.sums[self.vocabulary.name_of(id) as usize];
        if sum.last_host == 0 && !sum.carried {
            if enough {
                return None;
            }
            sum.carried = true;
            self.carried_names += 1;
        }
        Some(id)
    }

    /// What was known before this document, which is given up.
    pub fn into_known(self) -> Vocabulary {
        self.vocabulary.shortened(self.known_at_start)
    }

    /// The vocabulary for the next document, where nothing is kept but sums.
    pub fn into_vocabulary(self) -> Vocabulary {
        let count = self.used.iter().filter(|used| **used).count();
        if is_worth_compacting(self.vocabulary.len(), count) {
            return self.vocabulary.compacted(&self.used).0;
        }
        self.vocabulary
    }

    /// The sums of the hosts since the last time, or those that the document gave where it named
    /// no host.
    pub fn take_summary(&mut self) -> Summary {
        let given = std::mem::take(&mut self.given);
        let (up, down) = (self.hosts_up, self.hosts_down);
        if up + down == 0 {
            return given.finish();
        }
        (self.hosts_up, self.hosts_down) = (0, 0);
        let mut summary = SummaryBuilder::default();
        summary.add_hosts(up, down);
        let earlier = self.previous.as_ref();
        let earlier = earlier.map_or_else(HashMap::new, |previous| resets(&previous.summary));
        // In the order of the vocabulary, which hardly ever changes.
        self.summed.sort_unstable();
        for name in self.summed.drain(..) {
            let sum = &mut self.sums[name as usize];
            let number = crate::model::Number {
                value: std::mem::take(&mut sum.value),
                decimals: std::mem::take(&mut sum.decimals),
            };
            let num = std::mem::take(&mut sum.num);
            let mut contributors = std::mem::take(&mut sum.contributors);
            if num > 0 {
                let def = self.vocabulary.def(sum.def);
                if let Some(&resets) = earlier.get(def.name()) {
                    contributors.began_anew(resets);
                }
                summary.add(def, number, num, contributors);
            }
        }
        summary.finish()
    }

    /// The cluster with what is carried over.
    pub fn finish(mut self, now: Mono) -> Built {
        let summary = self.take_summary();
        self.carry_hosts(now);
        let named = self.hosts.len();
        let by_name = match &self.previous {
            Some(previous) if same_names(&previous.hosts, &self.hosts) => {
                Arc::clone(&previous.by_name)
            }
            _ => self.order_hosts(),
        };
        if self.metrics.capacity() > self.metrics.len() + self.metrics.len() / 8 {
            self.metrics.shrink_to_fit();
        }
        self.hosts.shrink_to_fit();
        if self.vocabulary.len() > self.known_at_start {
            self.compact();
        }
        let bytes = self.bytes();
        let mut cluster = Cluster {
            name: self.head.name.into(),
            owner: self.head.owner.into(),
            latlong: self.head.latlong.into(),
            url: self.head.url.into(),
            localtime: self.head.localtime,
            received: now,
            defs: Arc::clone(self.vocabulary.defs()),
            hosts: self.hosts,
            metrics: self.metrics,
            by_name,
            summary,
            bytes,
        };
        if cluster.hosts.len() < named {
            // Those left out were added up as they came.
            let mut sums = SummaryBuilder::default();
            for host in cluster.hosts.iter().filter(|host| host.fresh) {
                add_host(&mut sums, &cluster, host, &self.filter);
            }
            cluster.summary = sums.finish();
        }
        Built {
            cluster,
            vocabulary: self.vocabulary,
            damage: self.damage,
        }
    }

    /// Keeps the hosts that the document did not name, until their DMAX.
    fn carry_hosts(&mut self, now: Mono) {
        let Some(previous) = self.previous.clone() else {
            return;
        };
        let mut gone: Vec<&Host> = previous
            .hosts
            .iter()
            .zip(&self.previous_seen)
            .filter(|(host, seen)| !**seen && !host.is_expired(now))
            .map(|(host, _)| host)
            .collect();
        if gone.len() > MAX_CARRIED_HOSTS {
            gone.sort_by_key(|host| std::cmp::Reverse(host.received));
            gone.truncate(MAX_CARRIED_HOSTS);
        }
        for host in gone {
            if !self.may_carry() {
                break;
            }
            self.text_bytes += host.info.bytes();
            let age = now.secs_since(host.received);
            let first_metric = self.metrics.len() as u32;
            for metric in previous.metrics_of(host) {
                let def = &previous.defs[metric.def() as usize];
                if !metric.is_expired(def.fields().dmax, age) {
                    if !self.may_carry() {
                        break;
                    }
                    let Some(id) = self.carried_id(metric, def) else {
                        continue;
                    };
                    self.text_bytes += metric.val.heap_bytes();
                    self.metrics.push(metric.carried(id, 0));
                }
            }
            let metric_count = self.metrics.len() as u32 - first_metric;
            self.hosts.push(Host {
                fresh: false,
                first_metric,
                metric_count,
                ..host.clone()
            });
        }
    }

    /// The hosts by name, without those whose name came again later in the document.
    fn order_hosts(&mut self) -> Arc<[u32]> {
        let (order, twice) = order_by_name(&self.hosts);
        if !twice {
            return order;
        }
        let mut last = vec![true; self.hosts.len()];
        for pair in order.windows(2) {
            let (a, b) = (pair[0] as usize, pair[1] as usize);
            if self.hosts[a].info.name == self.hosts[b].info.name {
                // The sort is stable: equal names stand in the document's order.
                last[a] = false;
                self.damage += 1;
            }
        }
        let mut keep = last.iter();
        // Their metrics stay in the array until the next document; nothing points at them.
        self.hosts.retain(|_| *keep.next().unwrap_or(&true));
        order_by_name(&self.hosts).0
    }

    /// Lets go of definitions that no metric uses any more, once they are the greater part.
    fn compact(&mut self) {
        let mut used = vec![false; self.vocabulary.len()];
        for metric in &self.metrics {
            used[metric.def() as usize] = true;
        }
        let count = used.iter().filter(|used| **used).count();
        if !is_worth_compacting(self.vocabulary.len(), count) {
            return;
        }
        let (kept, moved) = self.vocabulary.compacted(&used);
        for metric in &mut self.metrics {
            metric.set_def(moved[metric.def() as usize]);
        }
        self.vocabulary = kept;
    }
}

/// What was added to a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Added {
    /// The value is one that is not summed.
    Not,
    /// A value.
    Value,
    /// What a counter has counted.
    Counter,
}

/// Adds a value to the sum of its name, if it is one that is summed.
#[inline]
fn add_up(sum: &mut Sum, vocabulary: &Vocabulary, id: DefId, tn: u32, val: &[u8]) -> Added {
    let def = vocabulary.def(id);
    let dmax = def.fields().dmax;
    if !sum.takes_part || !def.ty().is_numeric() || (dmax > 0 && tn > dmax) {
        return Added::Not;
    }
    let Some(number) = parse_number(val) else {
        return Added::Not;
    };
    // One that is too large would take the others along.
    if !(sum.value + number.value).is_finite() {
        return Added::Not;
    }
    if sum.num == 0 {
        sum.def = id;
    }
    (sum.value_before, sum.decimals_before) = (sum.value, sum.decimals);
    sum.value += number.value;
    sum.num += 1;
    if !def.ty().is_integer() {
        sum.decimals = sum.decimals.max(number.decimals);
    }
    if def.slope() == Slope::Positive {
        Added::Counter
    } else {
        Added::Value
    }
}

/// The value that the open host had last time of what has just come, if that was expected.
fn just_followed<'a>(
    previous: &'a Cluster,
    known: Option<usize>,
    expected: &Range<usize>,
    id: DefId,
) -> Option<&'a Metric> {
    let at = expected.start.checked_sub(1)?;
    let metric = previous.metrics.get(at)?;
    let is_the_hosts = previous.hosts[known?].metrics().contains(&at);
    (is_the_hosts && metric.def() == id).then_some(metric)
}

/// Whether a counter began anew; one that wraps does so as well, as nothing tells the two apart.
fn is_less(val: &SmallText, before: &SmallText) -> bool {
    if val == before {
        return false;
    }
    match (
        parse_number(val.as_bytes()),
        parse_number(before.as_bytes()),
    ) {
        (Some(now), Some(before)) => now.value < before.value,
        _ => false,
    }
}

/// By name: how often a counter began anew, where one ever did.
fn resets(summary: &Summary) -> HashMap<&str, u32> {
    let all = summary.metrics.iter();
    let all = all.map(|metric| (metric.def.name(), metric.contributors.resets()));
    all.filter(|(_, resets)| *resets > 0).collect()
}

/// Whether what is used is the lesser part.
fn is_worth_compacting(len: usize, used: usize) -> bool {
    len >= 2 * used + 64
}

/// Whether the same hosts stand in the same places.
fn same_names(a: &[Host], b: &[Host]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| Arc::ptr_eq(&a.info, &b.info) || a.info.name == b.info.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MetricFields;

    fn builder(previous: Option<Built>) -> ClusterBuilder {
        let (vocabulary, cluster) = match previous {
            Some(built) => (built.vocabulary, Some(Arc::new(built.cluster))),
            None => Default::default(),
        };
        ClusterBuilder::new(
            ClusterHead::default(),
            true,
            Arc::default(),
            vocabulary,
            cluster,
        )
    }

    fn host(name: &str) -> HostHead {
        HostHead {
            info: HostInfo {
                name: name.into(),
                ..HostInfo::default()
            },
            ..HostHead::default()
        }
    }

    /// A poll of hosts with metrics of these letters; how many of them were expected.
    fn poll(builder: &mut ClusterBuilder, defs: &[Arc<MetricDef>], hosts: &[(&str, &str)]) -> u32 {
        let mut expected = 0;
        for (name, metrics) in hosts {
            builder.start_host(host(name), Mono(0));
            for letter in metrics.bytes() {
                let id = builder.add_def(&defs[usize::from(letter - b'a')]);
                expected += u32::from(builder.predicted() == Some(id));
                builder.metric(id, 0, SmallText::from("1"));
            }
            builder.end_host();
        }
        expected
    }

    #[test]
    fn each_host_is_expected_to_go_on_in_its_own_order() {
        let defs: Vec<_> = ["a", "b", "c", "d", "e", "f"]
            .map(|name| {
                Arc::new(MetricDef::new(MetricFields {
                    name: name.into(),
                    ..MetricFields::default()
                }))
            })
            .into();
        let hosts = [("x", "abcde"), ("y", "dbeca"), ("z", "ecadb")];
        let mut first = builder(None);
        assert_eq!(poll(&mut first, &defs, &hosts), 0);
        let mut second = builder(Some(first.finish(Mono(0))));
        assert_eq!(poll(&mut second, &defs, &hosts), 15);
        // One that is gone or new costs itself only; whoever is new is not known.
        let others = [
            ("x", "abde"),
            ("y", "dbfeca"),
            ("w", "abcde"),
            ("z", "ecadb"),
        ];
        let mut third = builder(Some(second.finish(Mono(0))));
        assert_eq!(poll(&mut third, &defs, &others), 3 + 5 + 5);
    }

    #[test]
    fn a_sum_tells_whose_it_is_and_how_often_a_counter_began_anew() {
        let def = Arc::new(MetricDef::new(MetricFields {
            name: "ticks".into(),
            type_text: "uint32".into(),
            slope_text: "positive".into(),
            ..MetricFields::default()
        }));
        let mut last = None;
        let mut poll = |hosts: &[(&str, &str)]| {
            let mut builder = builder(last.take());
            for (name, value) in hosts {
                builder.start_host(host(name), Mono(0));
                let id = builder.add_def(&def);
                builder.metric(id, 0, SmallText::from(*value));
                builder.end_host();
            }
            let built = builder.finish(Mono(0));
            let contributors = built.cluster.summary.metrics[0].contributors;
            last = Some(built);
            contributors
        };
        let first = poll(&[("a", "100"), ("b", "200")]);
        assert_eq!(poll(&[("b", "200"), ("a", "101")]), first, "none is less");
        let anew = poll(&[("a", "102"), ("b", "3")]);
        assert_eq!((anew.resets(), first.resets()), (1, 0));
        assert_eq!(poll(&[("a", "103"), ("b", "4")]), anew, "not forgotten");
        assert_ne!(
            poll(&[("a", "104"), ("c", "5")]),
            anew,
            "as many, but others"
        );
        assert_eq!(poll(&[("a", "1"), ("b", "9")]).resets(), 2);
    }
}
