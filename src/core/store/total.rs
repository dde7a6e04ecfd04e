//! The sums over all sources that are up, in steps: there may be millions of names.
//!
//! Each source is taken as it is at one moment.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Store;
use crate::model::{Node, NodeList, Rubbish, Summary, SummaryBuilder};

/// What looking at a node costs, in sums.
const NODE_COST: usize = 4;

/// Sums in the making.
#[derive(Debug, Default)]
pub(super) struct Total {
    /// Which source is next, in the order of the sources.
    next: usize,
    /// Nodes of the one before.
    left: Arc<NodeList>,
    /// The next of them.
    at: usize,
    /// Whether that one is up.
    is_up: bool,
    /// Names of several sources that are done.
    done: BTreeSet<Box<str>>,
    /// The node under way, and its next sum.
    node: Option<(Node, usize)>,
    sums: SummaryBuilder,
}

impl Total {
    /// The sums, once they are done.
    pub fn finish(self, rubbish: &mut Rubbish) -> Summary {
        rubbish.add(self.done);
        rubbish.add_list(self.left);
        self.sums.finish_into(rubbish)
    }

    /// Drops it step by step.
    pub fn discard(self, rubbish: &mut Rubbish) {
        if let Some((node, _)) = self.node {
            rubbish.add_node(node);
        }
        rubbish.add(self.done);
        rubbish.add_list(self.left);
        let summary = self.sums.finish_into(rubbish);
        rubbish.add_summary(summary);
    }
}

impl Store {
    /// Goes on with the sums by about so many. Returns whether it has to go on.
    pub(super) fn sum_some(&mut self, total: &mut Total, mut budget: usize) -> bool {
        loop {
            if budget == 0 {
                return true;
            }
            if let Some((node, at)) = &mut total.node {
                let summary = node.summary();
                if *at == 0 {
                    total.sums.add_hosts(summary.hosts_up, summary.hosts_down);
                }
                let end = summary.metrics.len().min(at.saturating_add(budget));
                total.sums.merge_sums(&summary.metrics[*at..end]);
                budget -= end - *at;
                *at = end;
                if end < summary.metrics.len() {
                    return true;
                }
                if let Some((node, _)) = total.node.take() {
                    self.rubbish.add_node(node);
                }
                continue;
            }
            if let Some(node) = total.left.nodes().get(total.at).cloned() {
                total.at += 1;
                budget = budget.saturating_sub(NODE_COST);
                total.node = self.summed(&node, total).map(|node| (node, 0));
            } else if let Some(id) = self.order.ids().get(total.next) {
                let source = &self.sources[id.0];
                let next = Arc::clone(&source.nodes);
                total.is_up = source.up;
                total.next += 1;
                total.at = 0;
                let before = std::mem::replace(&mut total.left, next);
                self.rubbish.add_list(before);
            } else {
                return false;
            }
        }
    }

    /// What is summed where that node is, if anything: each name once.
    fn summed(&self, node: &Node, total: &mut Total) -> Option<Node> {
        if !self.rivals.contains_key(node.name()) {
            return total.is_up.then(|| node.clone());
        }
        if !total.done.insert(node.name().into()) {
            return None;
        }
        let name = node.name();
        let bringers = self.order.ids().iter().map(|id| &self.sources[id.0]);
        if !bringers
            .filter(|it| it.up)
            .any(|it| it.node(name).is_some())
        {
            return None;
        }
        if let Some(shared) = self.shared.get(name) {
            return Some(Node::Cluster(Arc::clone(shared)));
        }
        let leader = self.rivals.get(name).map(|it| it.leader);
        let leading = leader.and_then(|id| self.sources[id.0].node(name));
        Some(leading.unwrap_or(node).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::SHOWN_AT_ONCE;
    use super::super::tests::Bench;

    /// Clusters with a host each.
    fn clusters(version: usize, count: usize) -> String {
        let cluster = |at| {
            format!(
                "<CLUSTER NAME=\"{version}.{at}\"><HOST NAME=\"h\" TN=\"1\" TMAX=\"20\"><METRIC \
                 NAME=\"m{at}\" VAL=\"1\" TYPE=\"int32\"/></HOST></CLUSTER>"
            )
        };
        (0..count).map(cluster).collect()
    }

    #[test]
    fn sums_of_much_are_made_in_steps_and_are_those_made_in_one_go() {
        let mut bench = Bench::new(2);
        bench.read(0, &clusters(0, 1000));
        bench.read(1, &clusters(1, 500));
        let expected = bench.store.summarize();
        assert_eq!((expected.metrics.len(), expected.hosts_up), (1000, 1500));
        bench.store.begin_summary();
        let mut steps = 1;
        let total = loop {
            if let Some(total) = bench.store.summarize_some(100) {
                break total;
            }
            steps += 1;
        };
        assert!(steps > 50, "{steps}");
        for sum in &expected.metrics {
            let same = total.metric(sum.def.name()).unwrap();
            assert_eq!((same.text(), same.num), (sum.text(), sum.num));
        }
        assert!(!bench.store.is_summing());
    }

    #[test]
    fn of_many_clusters_the_last_snapshot_is_shown_until_the_next_is_made() {
        let mut bench = Bench::new(2);
        let many = SHOWN_AT_ONCE + 2000;
        bench.read(0, &clusters(0, many));
        bench.read(1, "<CLUSTER NAME=\"other\"/>");
        while bench.store.tidy() {}
        let before = bench.store.snapshot();
        assert_eq!(before.nodes.len(), many + 1);
        bench.read(0, &clusters(1, many));
        let meanwhile = bench.store.snapshot();
        assert!(meanwhile.node("0.7").is_some() && meanwhile.node("1.7").is_none());
        let mut steps = 0;
        while bench.store.snapshot().node("1.7").is_none() {
            assert!(bench.store.tidy());
            steps += 1;
        }
        assert!(steps > 2, "{steps}");
        let after = bench.store.snapshot();
        assert_eq!(after.nodes.len(), many + 1);
        assert!(after.node("0.7").is_none() && after.node("other").is_some());
        // What has changed meanwhile is shown as well.
        bench.read(0, &clusters(2, many));
        assert!(bench.store.tidy());
        bench.read(1, "<CLUSTER NAME=\"another\"/>");
        while bench.store.tidy() {}
        let last = bench.store.snapshot();
        assert!(last.node("2.7").is_some() && last.node("another").is_some());
        assert!(last.node("other").is_none());
    }
}
