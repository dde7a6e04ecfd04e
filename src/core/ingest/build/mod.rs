//! A cluster as its document arrives: built beside the old one, which it replaces in one step.
//!
//! Knows no XML: `elements` says which host and which metric came.

mod before;
mod carry;
mod ending;
mod sums;

use std::sync::Arc;

use self::before::Before;
use self::carry::Carried;
pub(super) use self::carry::Carrying;
pub(super) use self::ending::ClusterEnding;
use self::ending::Compaction;
use self::sums::{Added, Sums};
use crate::model::{
    Cluster, DefId, Host, HostInfo, Metric, MetricDef, Mono, Number, Rubbish, SmallText,
    SummaryBuilder, Vocabulary, is_up, parse_number,
};
use crate::summary::SummaryFilter;

/// Attributes of CLUSTER.
#[derive(Debug, Default)]
pub(super) struct ClusterHead {
    pub name: String,
    pub owner: String,
    pub latlong: String,
    pub url: String,
    pub localtime: i64,
}

/// Attributes of HOST.
#[derive(Debug, Default)]
pub(super) struct HostHead {
    pub info: HostInfo,
    pub reported: i64,
    pub tn: u32,
}

/// A complete cluster.
#[derive(Debug)]
pub(super) struct Built {
    pub cluster: Cluster,
    /// For the next document.
    pub vocabulary: Vocabulary,
    /// Values that could not be kept as sent.
    pub damage: u64,
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
    before: Before,
    sums: Sums,
    carried: Carried,
    last_def: Option<DefId>,
    hosts: Vec<Host>,
    metrics: Vec<Metric>,
    /// Memory of hosts and values beside their records.
    text_bytes: usize,
    /// By definition: whether the document has it. Used only if no metrics are kept to tell that.
    used: Vec<bool>,
    /// HOSTS and METRICS of a cluster that comes as summary.
    pub given: SummaryBuilder,
    /// Values that could not be kept as sent.
    pub damage: u64,
    /// Values that arrived.
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
            before: Before::new(previous, vocabulary.shown()),
            vocabulary,
            sums: Sums::default(),
            carried: Carried::default(),
            last_def: None,
            hosts: Vec::with_capacity(hosts),
            metrics: Vec::with_capacity(metrics),
            text_bytes: 0,
            used: Vec::new(),
            given: SummaryBuilder::default(),
            damage: 0,
            received: 0,
        };
        builder.sums.start_cluster(&builder.head.name);
        if !keep {
            builder.used = vec![false; builder.known_at_start];
        }
        builder
    }

    /// Goes on with another CLUSTER of that name, or of the same grid below.
    pub fn begin_again(&mut self, head: ClusterHead) {
        self.head = head;
        self.sums.start_cluster(&self.head.name);
        self.last_def = None;
        self.before.rewind();
    }

    pub fn name(&self) -> &str {
        &self.head.name
    }

    /// Approximate memory.
    pub fn bytes(&self) -> usize {
        self.hosts.len() * size_of::<Host>()
            + self.metrics.len() * size_of::<Metric>()
            + self.text_bytes
            + self.vocabulary.bytes()
            + self.given.bytes()
    }

    /// Limits how many names may be carried over that the document does not have.
    pub fn carry_at_most(&mut self, names: usize) {
        self.carried.max_names = names;
    }

    /// Tells it the memory of the rest of the document.
    pub fn beside(&mut self, other_bytes: usize) {
        self.carried.other_bytes = other_bytes;
    }

    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The definition that is expected next: the one that the open host had next last time. A gmond
    /// lists the metrics of each host in an order of its own, which rarely changes.
    #[inline]
    pub fn predicted(&self) -> Option<DefId> {
        self.before.next()
    }

    /// The definition that followed the last one in the cluster's other hosts.
    #[inline]
    pub fn predicted_by_others(&self) -> Option<DefId> {
        self.vocabulary.predict(self.last_def)
    }

    /// The index of a definition that was parsed in full.
    pub fn add_def(&mut self, def: &Arc<MetricDef>) -> DefId {
        let id = self.vocabulary.add(def);
        if !self.keep {
            self.used.resize(self.vocabulary.len(), false);
        }
        id
    }

    /// The attributes of the host that is expected next.
    #[inline]
    pub fn next_host(&self) -> Option<&Arc<HostInfo>> {
        self.before.next_host()
    }

    pub fn start_host(&mut self, head: HostHead, now: Mono) {
        let HostHead { info, reported, tn } = head;
        let known = self.before.start_host(&info);
        let info = known.unwrap_or_else(|| Arc::new(info));
        self.open_host(info, reported, tn, now);
    }

    /// The host that was expected has come.
    pub fn start_next_host(&mut self, reported: i64, tn: u32, now: Mono) {
        if let Some(info) = self.next_host().map(Arc::clone) {
            self.before.start_host(&info);
            self.open_host(info, reported, tn, now);
        }
    }

    fn open_host(&mut self, info: Arc<HostInfo>, reported: i64, tn: u32, now: Mono) {
        let up = is_up(&info, tn, reported, self.head.localtime);
        self.sums.start_host(&info.name, up);
        if self.keep {
            self.text_bytes += info.bytes();
            self.hosts.push(Host {
                info,
                reported,
                tn,
                up,
                fresh: true,
                received: now,
                first_metric: self.metrics.len() as u32,
                metric_count: 0,
            });
        }
    }

    /// Adds a value to the open host. `number` is the one that it is, where the definition's values are numbers.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "a value that goes through memory on its way costs a tenth of a poll"
    )]
    pub fn metric(
        &mut self,
        id: DefId,
        tn: u32,
        val: impl Into<SmallText>,
        number: Option<Number>,
    ) {
        if !self.before.follow(id) {
            self.vocabulary.learn(self.last_def, id);
        }
        self.last_def = Some(id);
        self.received += 1;
        let name = self.vocabulary.name_of(id);
        let def = self.vocabulary.def(id);
        let arrival = self.sums.take(name, id, def, tn, number, &self.filter);
        // Both peers show the last of several values of one name.
        self.damage += u64::from(arrival.again);
        if arrival.added == Added::Counter
            && let Some(before) = self.before.value_of(id)
            && is_less(number, &before.val)
        {
            arrival.sum.note_reset();
        }
        if !self.keep {
            self.used[id as usize] = true;
            return;
        }
        let val = val.into();
        self.text_bytes += val.heap_bytes();
        let metric = Metric::new(id, tn, val);
        if arrival.again {
            self.metrics[arrival.sum.place as usize] = metric;
        } else {
            arrival.sum.place = self.metrics.len() as u32;
            self.metrics.push(metric);
        }
    }

    /// Ends the open host. Returns what may have to be carried over into it, for `carry_some`, before
    /// the next host.
    #[must_use]
    pub fn end_host(&mut self) -> Option<Carrying> {
        if !self.keep {
            return None;
        }
        let metrics = self.metrics.len() as u32;
        let host = self.hosts.last_mut()?;
        host.metric_count = metrics - host.first_metric;
        self.begin_carrying()
    }

    /// What was known before this document, which is rejected.
    pub fn into_known(self, rubbish: &mut Rubbish) -> Vocabulary {
        rubbish.add_hosts(self.hosts);
        rubbish.add_metrics(self.metrics);
        self.sums.discard(rubbish);
        let summary = self.given.finish_into(rubbish);
        rubbish.add_summary(summary);
        if let Some(before) = self.before.into_cluster() {
            rubbish.add_cluster(before);
        }
        self.vocabulary.shortened(self.known_at_start, rubbish)
    }

    /// Begins to make the vocabulary for the next document, if only sums were kept.
    pub fn into_vocabulary(self, rubbish: &mut Rubbish) -> BelowEnding {
        self.sums.discard(rubbish);
        let count = self.used.iter().filter(|used| **used).count();
        let is_worth = is_worth_compacting(self.vocabulary.len(), count);
        BelowEnding {
            compaction: is_worth.then(|| Compaction::new(self.used)),
            vocabulary: self.vocabulary,
        }
    }

    /// Whether hosts came since their sums were moved.
    pub fn has_sums(&self) -> bool {
        self.sums.has_hosts()
    }

    /// Moves the sums of the hosts that came since to a grid's, by about so many. Returns whether it has
    /// to go on.
    pub fn move_sums(&mut self, to: &mut SummaryBuilder, budget: &mut usize) -> bool {
        self.sums.move_some(&self.vocabulary, to, budget)
    }

    /// The cluster, with what is carried over.
    #[cfg(test)]
    pub fn finish(self, now: Mono) -> Built {
        let mut ending = ClusterEnding::new(self, now);
        while ending.step(&mut usize::MAX.clone()) {}
        ending.finish(&mut Rubbish::default())
    }
}

/// A grid below whose document has ended: only its vocabulary is left.
#[derive(Debug)]
pub(super) struct BelowEnding {
    vocabulary: Vocabulary,
    compaction: Option<Compaction>,
}

impl BelowEnding {
    /// Goes on. Returns whether it has to go on once more.
    pub fn step(&mut self, budget: &mut usize) -> bool {
        let compaction = self.compaction.as_mut();
        compaction.is_some_and(|it| it.step(&self.vocabulary, budget))
    }

    /// The vocabulary, once it is done.
    pub fn finish(self, rubbish: &mut Rubbish) -> Vocabulary {
        match self.compaction {
            None => self.vocabulary,
            Some(compaction) => {
                self.vocabulary.discard(rubbish);
                compaction.finish().0
            }
        }
    }
}

/// Whether a counter was reset. A wrapped counter counts as reset too: nothing tells them apart.
fn is_less(now: Option<Number>, before: &SmallText) -> bool {
    match (now, parse_number(before.as_bytes())) {
        (Some(now), Some(before)) => now.value < before.value,
        _ => false,
    }
}

/// Whether the used definitions are the lesser part.
fn is_worth_compacting(len: usize, used: usize) -> bool {
    len >= 2 * used + 64
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

    fn end_host(builder: &mut ClusterBuilder) {
        if let Some(mut carrying) = builder.end_host() {
            while builder.carry_some(&mut carrying, &mut 1.clone()) {}
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
                builder.metric(id, 0, SmallText::from("1"), parse_number(b"1"));
            }
            end_host(builder);
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
        // A missing or new metric costs itself only. A new host has no order yet.
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
                let number = parse_number(value.as_bytes());
                builder.metric(id, 0, SmallText::from(*value), number);
                end_host(&mut builder);
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
