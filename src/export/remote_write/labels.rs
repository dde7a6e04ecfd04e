//! The labels of series: named as `/metrics?scope=all` names them, sorted, encoded once.
//!
//! A series is made of three pieces: what its metric gives, what its host or cluster gives, and what
//! its metric gives behind that. All hosts share the first and the last, all metrics of a host the
//! second.

use std::collections::HashMap;
use std::sync::Arc;

use super::encode::Protocol;
use gmetad_core::answer::prometheus::{CLUSTER, FamilyName, HOST, METRIC, label_text};
use gmetad_core::model::{MetricDef, sorted};

/// The label with the name of the family.
pub const NAME: &str = "__name__";

/// The label of a grid's sums.
const GRID: &str = "grid";

/// Labels that are ours.
pub const OWN: [&str; 5] = [NAME, CLUSTER, GRID, HOST, METRIC];

/// Names that are kept although no series has them, before they are looked through.
const UNUSED_NAMES: usize = 1_000;

/// What a metric gives: all labels up to its family's name, and those from its own name on.
#[derive(Debug, PartialEq, Eq)]
pub struct Name {
    /// External labels that are sorted before, and `__name__`.
    pub head: Box<[u8]>,
    /// `metric`, if there is one, and external labels that are sorted behind.
    pub tail: Box<[u8]>,
}

/// What a series is about.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A host, with its cluster's name in front.
    Host(&'a str, &'a str),
    /// All hosts of a cluster.
    Cluster(&'a str),
    /// All hosts of a grid.
    Grid(&'a str),
}

/// Encodes labels, with the same external ones in all series.
#[derive(Debug)]
pub struct Labels {
    protocol: Protocol,
    /// Sorted.
    external: Vec<(String, String)>,
    families: HashMap<Box<str>, Family>,
    /// Names in `families`.
    names: usize,
    /// Names that were left when unused ones were forgotten.
    kept: usize,
    /// Counts the families in which another metric was found.
    mixed: u32,
}

/// A family's names.
#[derive(Debug, Default)]
struct Family {
    /// The first metric in it.
    metric: Option<Box<str>>,
    /// Whether there are others.
    mixed: bool,
    /// Without a label for the metric.
    plain: Option<Arc<Name>>,
    /// By metric, where a label gives it.
    labelled: HashMap<Box<str>, Arc<Name>>,
}

impl Labels {
    /// With these external labels, none of which is one of our own.
    pub fn new(protocol: Protocol, external: Vec<(String, String)>) -> Labels {
        let external = sorted(external, Ord::cmp);
        Labels {
            protocol,
            external,
            families: HashMap::new(),
            names: 0,
            kept: 0,
            mixed: 0,
        }
    }

    /// Changes when names that were given are no longer those of their metrics.
    pub fn generation(&self) -> u32 {
        self.mixed
    }

    /// Takes note of a metric, before any of its document is named: two metrics may share a family.
    pub fn learn(&mut self, def: &MetricDef) {
        let FamilyName { name, .. } = FamilyName::of(def);
        let family = self.families.entry(name.into()).or_default();
        let first = family.metric.get_or_insert_with(|| def.name().into());
        if !family.mixed && **first != *def.name() {
            family.mixed = true;
            self.mixed += 1;
        }
    }

    /// The name of a metric that was learnt.
    pub fn of_metric(&mut self, def: &MetricDef) -> Arc<Name> {
        let FamilyName { name, .. } = FamilyName::of(def);
        let mixed = (self.families.get(name.as_str())).is_some_and(|family| family.mixed);
        let has_label = FamilyName::has_metric_label(&name, def.name(), mixed);
        self.named(&name, has_label.then(|| def.name()))
    }

    /// The name of a family, and of a metric if it has a label of its own.
    pub fn named(&mut self, family: &str, metric: Option<&str>) -> Arc<Name> {
        let known = self.families.get(family).and_then(|known| match metric {
            Some(metric) => known.labelled.get(metric),
            None => known.plain.as_ref(),
        });
        if let Some(known) = known {
            return Arc::clone(known);
        }
        let name = Arc::new(self.encode(family, metric));
        let known = self.families.entry(family.into()).or_default();
        let mine = Arc::clone(&name);
        match metric {
            Some(metric) => drop(known.labelled.insert(metric.into(), mine)),
            None => known.plain = Some(mine),
        }
        self.names += 1;
        name
    }

    fn encode(&self, family: &str, metric: Option<&str>) -> Name {
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        self.push(&mut head, &[(NAME, family)], |name| name < NAME);
        let own = metric.map(|metric| (METRIC, metric));
        self.push(&mut tail, own.as_slice(), |name| name > METRIC);
        Name {
            head: head.into(),
            tail: tail.into(),
        }
    }

    /// What a host, a cluster or a grid gives.
    pub fn of_subject(&self, subject: Subject<'_>) -> Box<[u8]> {
        let own = match subject {
            Subject::Host(cluster, host) => vec![(CLUSTER, cluster), (HOST, host)],
            Subject::Cluster(cluster) => vec![(CLUSTER, cluster)],
            Subject::Grid(grid) => vec![(GRID, grid)],
        };
        let mut out = Vec::new();
        self.push(&mut out, &own, |name| NAME < name && name < METRIC);
        out.into()
    }

    /// Appends own labels and those external ones that belong among them, sorted. A label without a
    /// value is no label.
    fn push(&self, out: &mut Vec<u8>, own: &[(&str, &str)], belongs: impl Fn(&str) -> bool) {
        let external = self.external.iter();
        let external = external.map(|(name, value)| (name.as_str(), value.as_str()));
        let mut labels: Vec<(&str, &str)> = external
            .filter(|(name, _)| belongs(name))
            .chain(own.iter().copied())
            .filter(|(_, value)| !value.is_empty())
            .collect();
        labels.sort_unstable();
        let texts: Vec<_> = labels.iter().map(|(_, value)| label_text(value)).collect();
        let labels = labels.iter().zip(&texts);
        let labels: Vec<(&str, &str)> = labels.map(|((name, _), text)| (*name, &**text)).collect();
        self.protocol.push_labels(out, &labels);
    }

    /// Forgets names that no series has, if there may be many of them.
    pub fn forget_unused(&mut self) {
        if self.names <= 2 * self.kept + UNUSED_NAMES {
            return;
        }
        let is_used = |name: &Arc<Name>| Arc::strong_count(name) > 1;
        let mut kept = 0;
        self.families.retain(|_, family| {
            family.plain.take_if(|name| !is_used(name));
            family.labelled.retain(|_, name| is_used(name));
            let names = family.labelled.len() + usize::from(family.plain.is_some());
            kept += names;
            names > 0
        });
        (self.names, self.kept) = (kept, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gmetad_core::model::MetricFields;

    fn def(name: &str, slope: &str) -> MetricDef {
        MetricDef::new(MetricFields {
            name: name.into(),
            slope_text: slope.into(),
            ..MetricFields::default()
        })
    }

    #[test]
    fn names_that_no_series_has_are_forgotten() {
        let mut labels = Labels::new(Protocol::Prometheus, Vec::new());
        let used = labels.named("used", None);
        for round in 0..5_000 {
            let def = def(&format!("m{round}"), "both");
            labels.learn(&def);
            labels.of_metric(&def);
            labels.forget_unused();
            assert!(labels.families.len() <= UNUSED_NAMES + 3, "{round}");
        }
        assert!(Arc::ptr_eq(&used, &labels.named("used", None)));
    }

    #[test]
    fn a_family_that_becomes_mixed_gives_its_metrics_other_names() {
        let mut labels = Labels::new(Protocol::Prometheus, Vec::new());
        let (reads, total) = (def("reads", "positive"), def("reads_total", "positive"));
        labels.learn(&reads);
        let (alone, generation) = (labels.of_metric(&reads), labels.generation());
        labels.learn(&reads);
        assert_eq!(labels.generation(), generation);
        labels.learn(&total);
        assert_ne!(labels.generation(), generation);
        assert_ne!(labels.of_metric(&reads), alone);
        assert_eq!(labels.of_metric(&total), alone, "its family says its name");
    }
}
