//! Sums over the hosts of a cluster, a grid, or all sources.
//!
//! The caller decides which hosts and metrics are summed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::contributors::Contributors;
use super::metric::MetricDef;
use super::number::Number;
use super::rubbish::Rubbish;

/// HOSTS and METRICS of a cluster or grid.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Hosts that are up.
    pub hosts_up: u32,
    /// Hosts that are down.
    pub hosts_down: u32,
    /// In document order.
    pub metrics: Vec<SummaryMetric>,
}

/// One METRICS element.
#[derive(Clone, Debug)]
pub struct SummaryMetric {
    /// Name, units, slope, source and extra data.
    pub def: Arc<MetricDef>,
    /// SUM.
    pub sum: f64,
    /// Number of hosts summed.
    pub num: u32,
    /// Those hosts.
    pub contributors: Contributors,
    /// The most decimals of any summed value; 0 for whole numbers.
    pub decimals: u8,
}

impl SummaryMetric {
    /// Adds another sum of that name. Returns whether its definition is taken over.
    pub fn add(
        &mut self,
        def: &Arc<MetricDef>,
        sum: Number,
        num: u32,
        contributors: Contributors,
    ) -> bool {
        // A value that overflows the sum would spoil all others in it.
        if !(self.sum + sum.value).is_finite() {
            return false;
        }
        self.sum += sum.value;
        self.num = self.num.saturating_add(num);
        self.contributors.merge(contributors);
        self.decimals = self.decimals.max(sum.decimals);
        let has_extra = |def| extra_of_sums(def).next().is_some();
        let takes_over = !has_extra(&self.def) && has_extra(def);
        if takes_over {
            self.def = Arc::clone(def);
        }
        takes_over
    }

    /// SUM as a number with its decimals.
    pub fn number(&self) -> Number {
        Number {
            value: self.sum,
            decimals: self.decimals,
        }
    }

    /// SUM as it is written.
    pub fn text(&self) -> String {
        format!("{:.*}", usize::from(self.decimals), self.sum)
    }

    /// Its extra data: that of one of the summed metrics, without SPOOF_HOST, which is about a single
    /// host. C gmetad omits it too.
    pub fn extra(&self) -> impl Iterator<Item = &(String, String)> {
        extra_of_sums(&self.def)
    }
}

fn extra_of_sums(def: &MetricDef) -> impl Iterator<Item = &(String, String)> {
    let extra = def.fields().extra.iter();
    extra.filter(|(name, _)| !name.eq_ignore_ascii_case("SPOOF_HOST"))
}

impl Summary {
    /// Whether these are sums of no hosts.
    pub fn is_empty(&self) -> bool {
        self.metrics.is_empty() && self.hosts_up == 0 && self.hosts_down == 0
    }

    /// The sum of that name.
    pub fn metric(&self, name: &str) -> Option<&SummaryMetric> {
        self.metrics.iter().find(|metric| metric.def.name() == name)
    }
}

/// Adds up summaries and single sums by name.
#[derive(Debug, Default)]
pub struct SummaryBuilder {
    summary: Summary,
    /// A tree, not a table: a table that grows is rebuilt in one go.
    by_name: BTreeMap<Box<str>, usize>,
    bytes: usize,
}

/// Memory of a sum beside its definition and name.
const SUM_BYTES: usize = 136;

impl SummaryBuilder {
    /// Adds hosts.
    pub fn add_hosts(&mut self, up: u32, down: u32) {
        self.summary.hosts_up = self.summary.hosts_up.saturating_add(up);
        self.summary.hosts_down = self.summary.hosts_down.saturating_add(down);
    }

    /// Adds a sum of `num` hosts. Returns its index among the sums.
    pub fn add(
        &mut self,
        def: &Arc<MetricDef>,
        sum: Number,
        num: u32,
        contributors: Contributors,
    ) -> usize {
        let at = if let Some(&at) = self.by_name.get(def.name()) {
            at
        } else {
            self.bytes += def.bytes() + def.name().len() + SUM_BYTES;
            self.by_name
                .insert(def.name().into(), self.summary.metrics.len());
            self.summary.metrics.push(SummaryMetric {
                def: Arc::clone(def),
                sum: 0.0,
                num: 0,
                contributors: Contributors::default(),
                decimals: 0,
            });
            self.summary.metrics.len() - 1
        };
        self.add_at(at, def, sum, num, contributors);
        at
    }

    /// Adds a sum of `num` hosts to the sum of that index, whose name it has.
    pub fn add_at(
        &mut self,
        at: usize,
        def: &Arc<MetricDef>,
        sum: Number,
        num: u32,
        contributors: Contributors,
    ) {
        if self.summary.metrics[at].add(def, sum, num, contributors) {
            self.bytes += def.bytes();
        }
    }

    /// Adds all of another summary.
    pub fn merge(&mut self, other: &Summary) {
        self.add_hosts(other.hosts_up, other.hosts_down);
        self.merge_sums(&other.metrics);
    }

    /// Adds sums of another summary.
    pub fn merge_sums(&mut self, sums: &[SummaryMetric]) {
        for metric in sums {
            let (num, contributors) = (metric.num, metric.contributors);
            self.add(&metric.def, metric.number(), num, contributors);
        }
    }

    /// Adds resets to the sum of that name, whose values were added one by one. Returns whether there is
    /// one.
    pub fn note_resets(&mut self, name: &str, resets: u32) -> bool {
        let at = self.by_name.get(name);
        if let Some(&at) = at {
            self.summary.metrics[at].contributors.add_resets(resets);
        }
        at.is_some()
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.summary.metrics.len()
    }

    /// Approximate memory; shared definitions are counted in full.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.summary.is_empty()
    }

    /// The sums. What need not be kept is dropped step by step.
    pub fn finish_into(self, rubbish: &mut Rubbish) -> Summary {
        let SummaryBuilder {
            mut summary,
            by_name,
            ..
        } = self;
        rubbish.add(by_name);
        summary.metrics.shrink_to_fit();
        summary
    }

    /// The sums.
    pub fn finish(mut self) -> Summary {
        self.summary.metrics.shrink_to_fit();
        self.summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::metric::MetricFields;

    fn def(name: &str, extra: &[(&str, &str)]) -> Arc<MetricDef> {
        Arc::new(MetricDef::new(MetricFields {
            name: name.into(),
            extra: extra
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect(),
            ..MetricFields::default()
        }))
    }

    #[test]
    fn sums_of_one_name_become_one_in_order() {
        let mut builder = SummaryBuilder::default();
        builder.add(
            &def("b", &[]),
            Number {
                value: 1.5,
                decimals: 1,
            },
            1,
            Contributors::default(),
        );
        builder.add(
            &def("a", &[]),
            Number {
                value: 2.0,
                decimals: 0,
            },
            1,
            Contributors::default(),
        );
        builder.add(
            &def("b", &[("GROUP", "g")]),
            Number {
                value: 0.25,
                decimals: 2,
            },
            3,
            Contributors::default(),
        );
        builder.add_hosts(4, 1);
        let mut total = SummaryBuilder::default();
        let part = builder.finish();
        total.merge(&part);
        total.merge(&part);
        let total = total.finish();
        assert_eq!((total.hosts_up, total.hosts_down), (8, 2));
        let names: Vec<_> = total.metrics.iter().map(|m| m.def.name()).collect();
        assert_eq!(names, ["b", "a"]);
        let b = total.metric("b").unwrap();
        assert_eq!((b.sum, b.num, b.decimals), (3.5, 8, 2));
        assert_eq!(
            b.def.extra("GROUP"),
            Some("g"),
            "extra data is taken from whoever has it"
        );
    }

    #[test]
    fn what_a_sum_cannot_hold_is_left_out_of_it() {
        let of = |value| Number { value, decimals: 0 };
        let mut builder = SummaryBuilder::default();
        for value in [1e308, 1e308, f64::INFINITY, 5.0, -1e308] {
            builder.add(&def("a", &[]), of(value), 1, Contributors::default());
        }
        let summary = builder.finish();
        assert_eq!(summary.metrics[0].num, 3);
        assert!(summary.metrics[0].sum.abs() < 1e300);
    }

    #[test]
    fn a_sum_does_not_tell_of_the_one_host_that_was_spoofed() {
        let one = Number {
            value: 1.0,
            decimals: 0,
        };
        let mut builder = SummaryBuilder::default();
        builder.add(
            &def("a", &[("SPOOF_HOST", "10.0.0.1:h")]),
            one,
            1,
            Contributors::default(),
        );
        builder.add(
            &def("a", &[("spoof_host", "10.0.0.2:i"), ("GROUP", "g")]),
            one,
            1,
            Contributors::default(),
        );
        let summary = builder.finish();
        let extra: Vec<_> = summary.metrics[0].extra().collect();
        assert_eq!(extra, [&("GROUP".to_owned(), "g".to_owned())]);
    }
}
