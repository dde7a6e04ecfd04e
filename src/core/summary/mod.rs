//! Which metrics are summed, and what a host adds to a summary.
//!
//! Called by `store` for whole clusters. `ingest` sums by the same rules while metrics arrive.

mod filter;

use std::sync::Arc;

use crate::model::{
    Cluster, Contributors, Host, Metric, MetricDef, Number, SummaryBuilder, id_of, parse_number,
};

pub use filter::{Names, Pattern, SummaryFilter, SummaryRule, Verdict};

impl SummaryFilter {
    /// Whether metrics of that name are summed.
    pub fn takes_part(&self, name: &str) -> bool {
        self.verdict(name) == Verdict::Include
    }

    fn verdict(&self, name: &str) -> Verdict {
        if let Some(rule) = self.rules.iter().find(|rule| rule.names.have(name)) {
            return rule.verdict;
        }
        let is_left_out = (self.without_prefixes.iter())
            .any(|prefix| name.starts_with(prefix.as_str()))
            || self.without_matching.iter().any(|it| it.is_in(name))
            || (self.without_sflow_vm && is_sflow_vm(name));
        if is_left_out {
            return Verdict::Exclude;
        }
        let is_listed = self.only.iter().any(|only| only == name)
            || self.only_matching.iter().any(|only| only.is_in(name));
        if is_listed {
            return Verdict::Include;
        }
        let has_list = !self.only.is_empty() || !self.only_matching.is_empty();
        match self.default {
            Some(verdict) => verdict,
            None if has_list => Verdict::Exclude,
            None => Verdict::Include,
        }
    }
}

/// sFlow names the metrics of a virtual machine like `guest.vcpu_util` or `web1.vmem_total`.
fn is_sflow_vm(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, last)| last.starts_with('v'))
}

/// Adds a host and its fresh values, if it is up.
pub fn add_host(
    summary: &mut SummaryBuilder,
    cluster: &Cluster,
    host: &Host,
    filter: &SummaryFilter,
) {
    summary.add_hosts(u32::from(host.up), u32::from(!host.up));
    if !host.up {
        return;
    }
    let id = id_of(id_of(0, cluster.name.as_bytes()), host.info.name.as_bytes());
    for metric in cluster.metrics_of(host) {
        let def = &cluster.defs[metric.def() as usize];
        add_metric(summary, def, metric, id, filter);
    }
}

/// Adds a value of a host that is up, if it is fresh. `id` is the host's among the contributors.
pub fn add_metric(
    summary: &mut SummaryBuilder,
    def: &Arc<MetricDef>,
    metric: &Metric,
    id: u64,
    filter: &SummaryFilter,
) {
    if !metric.is_fresh()
        || !def.ty().is_numeric()
        || metric.is_expired(def.fields().dmax, 0)
        || !filter.takes_part(def.name())
    {
        return;
    }
    if let Some(Number { value, decimals }) = parse_number(metric.val.as_bytes()) {
        let decimals = if def.ty().is_integer() { 0 } else { decimals };
        summary.add(def, Number { value, decimals }, 1, Contributors::one(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_take_part_by_default() {
        assert!(SummaryFilter::default().takes_part("guest.vcpu_util"));
    }

    #[test]
    fn prefixes_lists_and_virtual_machines_are_left_out() {
        let filter = SummaryFilter {
            without_prefixes: vec!["diskstat".into()],
            without_sflow_vm: true,
            ..SummaryFilter::default()
        };
        assert!(!filter.takes_part("diskstat_sda_reads"));
        assert!(!filter.takes_part("guest.one.vmem"));
        assert!(filter.takes_part("guest.one.mem"));
        assert!(filter.takes_part("vm.load"));
        let only = SummaryFilter {
            only: vec!["load_one".into()],
            ..filter
        };
        assert!(only.takes_part("load_one"));
        assert!(!only.takes_part("load_one_more"));
    }
}
