//! Which metrics take part in summaries.
//!
//! The adding up itself is `model::SummaryBuilder`; when it happens is the store's business.

use crate::config::SummaryFilter;

impl SummaryFilter {
    /// Whether a metric of that name is summed up.
    pub fn takes_part(&self, name: &str) -> bool {
        if !self.only.is_empty() && !self.only.iter().any(|only| only == name) {
            return false;
        }
        if self
            .without_prefixes
            .iter()
            .any(|prefix| name.starts_with(prefix.as_str()))
        {
            return false;
        }
        !(self.without_sflow_vm && is_sflow_vm(name))
    }
}

/// sFlow's metrics of a virtual machine are named `guest.vcpu_util`, `web1.vmem_total`.
fn is_sflow_vm(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, last)| last.starts_with('v'))
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
