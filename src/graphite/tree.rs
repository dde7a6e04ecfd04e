//! The paths of all series: `PREFIX.cluster.host.metric`, and `PREFIX.cluster.__SummaryInfo__.metric`
//! with the leaves `sum` and `num`.
//!
//! Names are those that carbon gets, so a dot in the name of a cluster or metric begins another node.

use std::collections::HashMap;

use gmetad_core::history::{Field, Owner, SeriesName};
use gmetad_core::model::{
    Cluster, DefId, MetricDef, Node, ShownHost, Snapshot, Summary, push_carbon_name,
};

use crate::pattern::Pattern;

/// The node that has the sums of a cluster or grid, as the folder of their files is called.
const SUMS: &str = "__SummaryInfo__";

/// The leaves below the name of a sum.
const FIELDS: [(&str, Field); 2] = [("sum", Field::Sum), ("num", Field::Num)];

/// What a pattern may match at most.
pub const MAX_FOUND: usize = 50_000;

/// A node of the tree that a pattern takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its whole path.
    pub path: String,
    /// The series, if it is a leaf.
    pub series: Option<SeriesName>,
}

/// A pattern that takes more than [`MAX_FOUND`] nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path takes more than {MAX_FOUND} names: make it narrower")]
pub struct TooMany;

/// All nodes that a pattern takes, in the order of the snapshot; a branch may come several times.
pub fn find(snapshot: &Snapshot, prefix: &str, pattern: &Pattern) -> Result<Vec<Found>, TooMany> {
    let mut walk = Walk {
        pattern,
        path: String::new(),
        found: Vec::new(),
    };
    let below = match prefix {
        "" => Step::At(0),
        prefix => walk.enter(0, prefix),
    };
    if let Step::At(at) = below {
        walk.sums(at, &Owner::Whole, &snapshot.summary)?;
        for node in &snapshot.nodes {
            walk.node(at, node)?;
        }
    }
    Ok(walk.found)
}

struct Walk<'a> {
    pattern: &'a Pattern,
    /// The path so far.
    path: String,
    found: Vec<Found>,
}

/// Where a name has led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The pattern goes on at this node, or ends if it has no more.
    At(usize),
    /// It ends within the name, at that many bytes of it.
    Within(usize),
    /// It does not take the name.
    No,
}

impl Walk<'_> {
    /// Matches a name, which may have several nodes, from a node of the pattern on.
    fn step(&self, mut at: usize, name: &str) -> Step {
        let mut bytes = 0;
        for part in name.split('.') {
            if at == self.pattern.len() {
                return Step::Within(bytes - 1);
            }
            if !self.pattern.takes(at, part) {
                return Step::No;
            }
            at += 1;
            bytes += part.len() + 1;
        }
        Step::At(at)
    }

    /// Matches a name of a branch and appends it to the path. If the pattern ends there, notes the
    /// branch; there is nothing below it to look at then.
    fn enter(&mut self, at: usize, name: &str) -> Step {
        let step = self.step(at, name);
        let taken = match step {
            Step::No => return Step::No,
            Step::At(at) if at < self.pattern.len() => {
                self.push(name);
                return step;
            }
            Step::At(_) => name,
            Step::Within(bytes) => &name[..bytes],
        };
        self.note(taken, || None);
        Step::No
    }

    fn push(&mut self, name: &str) {
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
    }

    fn node(&mut self, at: usize, node: &Node) -> Result<(), TooMany> {
        let before = self.path.len();
        let name = carbon_name(node.name(), false);
        if let Step::At(at) = self.enter(at, &name) {
            self.sums(at, &Owner::Node(node.name().into()), node.summary())?;
            if let Node::Cluster(cluster) = node {
                self.hosts(at, cluster)?;
            }
        }
        self.path.truncate(before);
        self.bounded()
    }

    fn sums(&mut self, at: usize, owner: &Owner, summary: &Summary) -> Result<(), TooMany> {
        let before = self.path.len();
        if let Step::At(at) = self.enter(at, SUMS) {
            let of_sums = self.path.len();
            for metric in summary.metrics.iter().filter(|it| it.def.ty().is_numeric()) {
                let name = carbon_name(metric.def.name(), false);
                if let Step::At(at) = self.enter(at, &name) {
                    for (leaf, field) in FIELDS {
                        if self.step(at, leaf) == Step::At(self.pattern.len()) {
                            self.note(leaf, || {
                                Some(SeriesName {
                                    owner: owner.clone(),
                                    metric: metric.def.name().into(),
                                    field,
                                })
                            });
                        }
                    }
                }
                self.path.truncate(of_sums);
                self.bounded()?;
            }
        }
        self.path.truncate(before);
        Ok(())
    }

    fn hosts(&mut self, at: usize, cluster: &Cluster) -> Result<(), TooMany> {
        let of_cluster = self.path.len();
        let mut below = Below::default();
        for host in self.candidates(at, cluster) {
            let host = cluster.host(host);
            let name = carbon_name(&host.info.name, true);
            if let Step::At(at) = self.enter(at, &name) {
                self.metrics(at, cluster, host, &mut below);
            }
            self.path.truncate(of_cluster);
            self.bounded()?;
        }
        Ok(())
    }

    fn metrics(&mut self, at: usize, cluster: &Cluster, host: ShownHost<'_>, below: &mut Below) {
        for metric in host.values() {
            let def = host.def(metric);
            let (step, name) = below.of(self, at, (host.part, metric.def()), def);
            match *step {
                Step::At(at) if at == self.pattern.len() => self.note(name, || {
                    Some(SeriesName {
                        owner: Owner::Host {
                            cluster: cluster.name.clone(),
                            host: host.info.name.clone(),
                        },
                        metric: def.name().into(),
                        field: Field::Sum,
                    })
                }),
                Step::Within(bytes) => self.note(&name[..bytes], || None),
                Step::At(_) | Step::No => {}
            }
        }
    }

    /// The hosts that may match: the one that is named, if there is one of just that name, or of that
    /// name with dots, which paths do not have.
    fn candidates(&self, at: usize, cluster: &Cluster) -> Vec<usize> {
        let named = self.pattern.exact(at).and_then(|name| {
            let dotted = || cluster.find_host(&name.replace('_', "."));
            cluster.find_host(name).or_else(dotted)
        });
        named.map_or_else(|| (0..cluster.host_count()).collect(), |host| vec![host])
    }

    /// Notes a node below the path so far.
    fn note(&mut self, name: &str, series: impl FnOnce() -> Option<SeriesName>) {
        let before = self.path.len();
        self.push(name);
        self.found.push(Found {
            path: self.path.clone(),
            series: series(),
        });
        self.path.truncate(before);
    }

    fn bounded(&self) -> Result<(), TooMany> {
        if self.found.len() > MAX_FOUND {
            return Err(TooMany);
        }
        Ok(())
    }
}

/// What a pattern makes of each definition of a cluster: hosts share them, so each is matched once.
#[derive(Default)]
struct Below(HashMap<(usize, DefId, usize), (Step, String)>);

impl Below {
    fn of(
        &mut self,
        walk: &Walk<'_>,
        at: usize,
        (part, id): (usize, DefId),
        def: &MetricDef,
    ) -> &(Step, String) {
        self.0.entry((part, id, at)).or_insert_with(|| {
            if !def.ty().is_numeric() {
                return (Step::No, String::new());
            }
            let name = carbon_name(def.name(), false);
            (walk.step(at, &name), name)
        })
    }
}

fn carbon_name(name: &str, dots: bool) -> String {
    let mut out = String::with_capacity(name.len());
    push_carbon_name(&mut out, name, dots);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cluster, snapshot};
    use std::sync::Arc;

    fn paths(prefix: &str, pattern: &str) -> Vec<String> {
        let pattern = Pattern::parse(pattern).unwrap();
        let found = find(&snapshot(), prefix, &pattern).unwrap();
        let paths = found.into_iter().map(|found| match found.series {
            Some(_) => found.path,
            None => format!("{}.", found.path),
        });
        paths.collect()
    }

    #[test]
    fn the_tree_is_walked_from_the_top() {
        assert_eq!(
            paths("", "*"),
            ["__SummaryInfo__.", "web.", "my.", "north."]
        );
        assert_eq!(
            paths("", "web.*"),
            ["web.__SummaryInfo__.", "web.a_example_org.", "web.b."]
        );
        assert_eq!(
            paths("", "web.b.*"),
            ["web.b.load_one", "web.b.bytes_in", "web.b.disk."]
        );
        assert_eq!(paths("", "web.b.disk.*"), ["web.b.disk.used"]);
        assert_eq!(
            paths("", "my.lab.*"),
            ["my.lab.__SummaryInfo__.", "my.lab.c."]
        );
        assert_eq!(paths("", "north.*"), ["north.__SummaryInfo__."]);
        assert_eq!(
            paths("", "web.__SummaryInfo__.load_one.*"),
            [
                "web.__SummaryInfo__.load_one.sum",
                "web.__SummaryInfo__.load_one.num"
            ]
        );
        assert_eq!(
            paths("", "__SummaryInfo__.load_one.sum"),
            ["__SummaryInfo__.load_one.sum"]
        );
    }

    #[test]
    fn of_a_cluster_of_several_sources_each_host_has_the_metrics_of_its_own() {
        let of = |hosts: &[&str]| match cluster("web", hosts) {
            Node::Cluster(it) => Cluster::clone(&it),
            Node::Grid(_) => unreachable!(),
        };
        let mut other = of(&["b", "c"]);
        Arc::make_mut(&mut other.defs).reverse();
        let parts = vec![of(&["a"]).into(), other.into()];
        let nodes = vec![Node::Cluster(Arc::new(Cluster::of_parts(
            "web", parts, None,
        )))];
        let snapshot = Snapshot {
            nodes,
            ..Snapshot::default()
        };
        let of = |pattern| {
            let found = find(&snapshot, "", &Pattern::parse(pattern).unwrap()).unwrap();
            found.into_iter().map(|it| it.path).collect::<Vec<_>>()
        };
        assert_eq!(of("web.[abc]"), ["web.a", "web.b", "web.c"]);
        assert_eq!(
            of("web.a.*"),
            ["web.a.load_one", "web.a.bytes_in", "web.a.disk"]
        );
        assert_eq!(
            of("web.c.*"),
            ["web.c.disk", "web.c.bytes_in", "web.c.load_one"]
        );
        assert_eq!(
            of("web.*.load_one"),
            ["web.a.load_one", "web.b.load_one", "web.c.load_one"]
        );
    }

    #[test]
    fn patterns_reach_many() {
        assert_eq!(
            paths("", "web.*.load_one"),
            [
                "web.__SummaryInfo__.load_one.",
                "web.a_example_org.load_one",
                "web.b.load_one"
            ]
        );
        assert_eq!(paths("", "web.{b,z}.{load_one,nope}"), ["web.b.load_one"]);
        assert_eq!(paths("", "web.b.load_one.x"), Vec::<String>::new());
        assert_eq!(paths("", "nope.*"), Vec::<String>::new());
        assert_eq!(
            paths("", "web.b.os_name"),
            Vec::<String>::new(),
            "text has no file"
        );
    }

    #[test]
    fn a_prefix_stands_before_everything() {
        assert_eq!(paths("ga.ng", "*"), ["ga."]);
        assert_eq!(paths("ga.ng", "ga.*"), ["ga.ng."]);
        assert_eq!(paths("ga.ng", "ga.ng.w*.b.load*"), ["ga.ng.web.b.load_one"]);
        assert_eq!(paths("ga.ng", "web.*"), Vec::<String>::new());
    }

    #[test]
    fn a_leaf_knows_its_series_by_the_names_of_the_xml() {
        let pattern = Pattern::parse("web.a_example_org.load_one").unwrap();
        let found = find(&snapshot(), "", &pattern).unwrap();
        let series = found[0].series.clone().unwrap();
        let host = Owner::Host {
            cluster: "web".into(),
            host: "a.example.org".into(),
        };
        assert_eq!((series.owner, &*series.metric), (host, "load_one"));
    }
}
