//! Which metrics take part in summaries, and what a host adds to one.
//!
//! When it happens is the business of `store`, and of `xml::build`, which adds up as metrics come.

use crate::config::{SummaryFilter, Verdict};
use crate::model::{Cluster, Contributors, Host, Number, SummaryBuilder, id_of, parse_number};

impl SummaryFilter {
    /// Whether a metric of that name is summed up.
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

/// sFlow's metrics of a virtual machine are named `guest.vcpu_util`, `web1.vmem_total`.
fn is_sflow_vm(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, last)| last.starts_with('v'))
}

/// Adds what a host's newest document said.
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
    for metric in cluster
        .metrics_of(host)
        .iter()
        .filter(|metric| metric.is_fresh())
    {
        let def = &cluster.defs[metric.def() as usize];
        if !def.ty().is_numeric()
            || metric.is_expired(def.fields().dmax, 0)
            || !filter.takes_part(def.name())
        {
            continue;
        }
        if let Some(Number { value, decimals }) = parse_number(metric.val.as_bytes()) {
            let decimals = if def.ty().is_integer() { 0 } else { decimals };
            summary.add(def, Number { value, decimals }, 1, Contributors::one(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> SummaryFilter {
        let file = std::path::Path::new("gmetad.conf");
        let overrides = crate::cli::Overrides::default();
        let disk = &crate::config::Disk;
        let loaded = crate::config::parse(text.as_bytes(), file, disk, &overrides, "h");
        loaded.expect("sound").config.summary_filter
    }

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

    #[test]
    fn expressions_are_found_anywhere_in_a_name_and_leaving_out_wins() {
        let without = filter("unsummarized_metrics /_temp$/ disk");
        assert!(!without.takes_part("cpu_temp") && !without.takes_part("disk_free"));
        assert!(without.takes_part("cpu_temperature") && without.takes_part("a_disk"));
        let only = filter("summarized_metrics /^cpu_/ load_one\nunsummarized_metrics /wio/");
        assert!(only.takes_part("cpu_user") && only.takes_part("load_one"));
        assert!(!only.takes_part("cpu_wio"), "leaving out wins");
        assert!(!only.takes_part("load_five") && !only.takes_part("a cpu_"));
    }

    /// Those of these names that are summed up.
    fn summed(text: &str) -> Vec<&'static str> {
        let names = [
            "load_one",
            "load_five",
            "cpu_user",
            "cpu_wio",
            "disk_free",
            "disk_total",
            "vm.vcpu",
        ];
        let filter = filter(text);
        names
            .into_iter()
            .filter(|it| filter.takes_part(it))
            .collect()
    }

    #[test]
    fn of_several_rules_the_first_that_knows_of_a_name_decides() {
        assert_eq!(
            summed("summary_rule include load_one /^cpu_/\nsummary_default exclude"),
            ["load_one", "cpu_user", "cpu_wio"]
        );
        assert_eq!(
            summed("summary_rule include disk_total\nsummary_rule exclude /^disk_/ vm.vcpu"),
            ["load_one", "load_five", "cpu_user", "cpu_wio", "disk_total"]
        );
        assert_eq!(
            summed("summary_rule exclude /^disk_/\nsummary_rule include disk_total /^c/"),
            ["load_one", "load_five", "cpu_user", "cpu_wio", "vm.vcpu"]
        );
        assert_eq!(
            summed(
                "summary_rule exclude cpu_wio\nsummary_rule Include /^cpu_/\n\
                 summary_default EXCLUDE"
            ),
            ["cpu_user"]
        );
    }

    #[test]
    fn what_no_rule_knows_is_left_to_the_lists_and_then_to_the_default() {
        let lists = "unsummarized_metrics disk_ /wio$/\nunsummarized_sflow_vm_metrics on\n";
        let with = |more: &str| summed(&(lists.to_owned() + more));
        assert_eq!(with(""), ["load_one", "load_five", "cpu_user"]);
        assert_eq!(with("summary_default include"), with(""));
        assert_eq!(with("summary_default exclude"), [""; 0]);
        assert_eq!(
            with("summary_rule include disk_total /vcpu/"),
            ["load_one", "load_five", "cpu_user", "disk_total", "vm.vcpu"]
        );
        let only = "summarized_metrics load_one disk_free\n";
        assert_eq!(with(only), ["load_one"]);
        assert_eq!(
            with(&format!("{only}summary_default exclude")),
            ["load_one"]
        );
        assert_eq!(with(&format!("{only}summary_default include")), with(""));
        assert_eq!(
            with(&format!(
                "{only}summary_rule include cpu_wio\nsummary_rule exclude load_one"
            )),
            ["cpu_wio"]
        );
    }
}
