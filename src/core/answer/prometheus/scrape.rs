//! Every numeric metric of every host that is up, family by family, a slice at a time.
//!
//! The page is never in memory as a whole: only a plan of the families, and an `index` of each
//! cluster that is being written.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use super::index::{Index, host_of, is_up_now};
use super::name::{CLUSTER, FamilyName, HOST, HOST_UP, Kind, METRIC};
use super::{push_family, push_label_value};
use crate::answer::walk::Body;
use crate::model::{Cluster, DefId, MetricDef, Node, Now, Snapshot, parse_number};
use crate::share::Share;

/// Most definitions planned between two writes. Tests reach it sooner.
const PLANNED_A_SLICE: usize = if cfg!(test) { 256 } else { 4096 };

/// Most metrics read between two writes.
const METRICS_A_SLICE: usize = 200_000;

const HOST_UP_HELP: &str = "Whether the host was heard of in time; only then it has other samples.";

/// Written while there is no sample yet, so that the client sees progress.
const COMMENT: &[u8] = b"#\n";

/// A cursor over an immutable snapshot.
#[derive(Debug)]
pub struct Scrape {
    clusters: Vec<Part>,
    families: Vec<Family>,
    by_name: HashMap<String, u32>,
    /// By address of the definition, which clusters share; the clusters keep it alive.
    by_def: HashMap<usize, u32>,
    now: Now,
    step: Step,
    /// Metrics read since the last write.
    looked_at: usize,
    /// Counts the scrapes that are running, by its clones.
    _share: Share,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Find the families, from that cluster's definition on.
    Plan {
        cluster: usize,
        def: usize,
    },
    /// Write the head of `gmetad_host_up`.
    HostsUpHead,
    /// Write its samples, from that cluster's host on.
    HostsUp {
        cluster: usize,
        host: usize,
    },
    /// Write the hosts' samples, from a metric of that family's member on.
    Samples {
        family: usize,
        member: usize,
        at: usize,
    },
    Done,
}

/// One cluster.
#[derive(Debug)]
struct Part {
    cluster: Arc<Cluster>,
    /// Its definitions, each once, and where each of a source's is among them.
    defs: Arc<Vec<Arc<MetricDef>>>,
    moved: Vec<Vec<DefId>>,
    /// Built when its first family is written.
    index: Option<Index>,
}

#[derive(Debug)]
struct Family {
    name: String,
    kind: Kind,
    /// Whether metrics of different names share this family.
    mixed: bool,
    /// Whether its HELP and TYPE are written.
    begun: bool,
    /// Cluster and definition.
    members: Vec<(u32, DefId)>,
}

impl Scrape {
    /// A scrape of the clusters that `wanted` takes, with ages as of `now`.
    pub fn new(
        snapshot: &Snapshot,
        now: Now,
        share: Share,
        wanted: impl Fn(&Cluster) -> bool,
    ) -> Scrape {
        let clusters = snapshot.nodes.iter().filter_map(|node| match node {
            Node::Cluster(cluster) if wanted(cluster) => {
                let (defs, moved) = cluster.all_defs();
                Some(Part {
                    cluster: Arc::clone(cluster),
                    defs,
                    moved,
                    index: None,
                })
            }
            _ => None,
        });
        Scrape {
            clusters: clusters.collect(),
            families: Vec::new(),
            by_name: HashMap::new(),
            by_def: HashMap::new(),
            now,
            step: Step::Plan { cluster: 0, def: 0 },
            looked_at: 0,
            _share: share,
        }
    }

    /// Finds the families of the next definitions.
    fn plan(&mut self, mut at: usize, mut from: usize) -> Step {
        let mut budget = PLANNED_A_SLICE;
        while let Some(part) = self.clusters.get(at) {
            let defs = Arc::clone(&part.defs);
            let end = defs.len().min(from + budget);
            for (number, def) in (from..end).zip(&defs[from..end]) {
                if def.ty().is_numeric() {
                    let family = self.family_of(def);
                    let members = &mut self.families[family as usize].members;
                    members.push((at as u32, number as u32));
                }
            }
            budget -= end - from;
            if end < defs.len() {
                return Step::Plan {
                    cluster: at,
                    def: end,
                };
            }
            (at, from) = (at + 1, 0);
        }
        // The plan is complete, so the look-up tables can go.
        self.by_name = HashMap::new();
        self.by_def = HashMap::new();
        Step::HostsUpHead
    }

    fn family_of(&mut self, def: &Arc<MetricDef>) -> u32 {
        let address = Arc::as_ptr(def) as usize;
        if let Some(&known) = self.by_def.get(&address) {
            return known;
        }
        let FamilyName { name, kind, .. } = FamilyName::of(def);
        let at = if let Some(&at) = self.by_name.get(&name) {
            let family = &mut self.families[at as usize];
            let (cluster, number) = family.members[0];
            let first = &self.clusters[cluster as usize].defs[number as usize];
            family.mixed |= first.name() != def.name();
            if family.kind != kind {
                family.kind = Kind::Untyped;
            }
            at
        } else {
            let at = self.families.len() as u32;
            self.by_name.insert(name.clone(), at);
            self.families.push(Family {
                name,
                kind,
                mixed: false,
                begun: false,
                members: Vec::new(),
            });
            at
        };
        self.by_def.insert(address, at);
        at
    }

    /// Writes whether each host is up. A host that is not has no other samples.
    fn hosts_up(&self, out: &mut Vec<u8>, limit: usize, mut at: usize, mut from: usize) -> Step {
        while let Some(Part { cluster, .. }) = self.clusters.get(at) {
            let start = sample_start(HOST_UP, cluster);
            for number in from..cluster.host_count() {
                if out.len() >= limit {
                    return Step::HostsUp {
                        cluster: at,
                        host: number,
                    };
                }
                let host = cluster.host(number);
                out.extend_from_slice(&start);
                push_label_value(out, &host.info.name);
                let up = is_up_now(&host, cluster, self.now.mono);
                out.extend_from_slice(if up { b"\"} 1\n" } else { b"\"} 0\n" });
            }
            (at, from) = (at + 1, 0);
        }
        Step::Samples {
            family: 0,
            member: 0,
            at: 0,
        }
    }

    /// Writes samples of one family, up to its end at most.
    fn samples(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        family: usize,
        mut member: usize,
        mut from: usize,
    ) -> Step {
        let Some(members) = self.families.get(family).map(|it| it.members.len()) else {
            return Step::Done;
        };
        while member < members {
            if let Some(at) = self.samples_of_member(out, limit, family, member, from) {
                return Step::Samples { family, member, at };
            }
            (member, from) = (member + 1, 0);
            if self.looked_at >= METRICS_A_SLICE {
                break;
            }
        }
        let at = 0;
        if member < members {
            return Step::Samples { family, member, at };
        }
        self.families[family].members = Vec::new();
        let (family, member) = (family + 1, 0);
        Step::Samples { family, member, at }
    }

    /// Writes samples of a member of a family from `from` on. Returns where to go on, if there are
    /// more.
    fn samples_of_member(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        family: usize,
        member: usize,
        from: usize,
    ) -> Option<usize> {
        let family = &mut self.families[family];
        let (at, def) = family.members[member];
        let named_by = (!family.begun).then(|| {
            // The first definition names the family, as it did in the plan.
            let (at, def) = family.members[0];
            Arc::clone(&self.clusters[at as usize].defs[def as usize])
        });
        let part = &mut self.clusters[at as usize];
        let cluster = &*part.cluster;
        let index = &*part.index.get_or_insert_with(|| {
            self.looked_at += cluster.metric_count();
            Index::new(cluster, part.defs.len(), &part.moved, self.now.mono)
        });
        let metrics = index.of(def);
        if !metrics.is_empty()
            && let Some(named_by) = named_by
        {
            family.begun = true;
            push_family(out, &family.name, family.kind, &help(&named_by));
        }
        let start = sample_start(&family.name, cluster);
        let end = sample_end(family, part.defs[def as usize].name());
        let mut host = 0;
        for (passed, &metric) in metrics.iter().enumerate().skip(from) {
            if out.len() >= limit || self.looked_at >= METRICS_A_SLICE {
                return Some(passed);
            }
            self.looked_at += 1;
            let val = cluster.value_at(metric as usize).val.as_bytes();
            if parse_number(val).is_none() {
                continue;
            }
            host = host_of(cluster, metric, host);
            out.extend_from_slice(&start);
            out.extend_from_slice(index.name(host));
            out.extend_from_slice(&end);
            out.extend_from_slice(val.trim_ascii());
            out.push(b'\n');
        }
        None
    }
}

impl Body for Scrape {
    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> bool {
        self.looked_at = 0;
        while out.len() < limit {
            self.step = match self.step {
                Step::Plan { cluster, def } => self.plan(cluster, def),
                Step::HostsUpHead => {
                    push_family(out, HOST_UP, Kind::Gauge, HOST_UP_HELP);
                    Step::HostsUp {
                        cluster: 0,
                        host: 0,
                    }
                }
                Step::HostsUp { cluster, host } => self.hosts_up(out, limit, cluster, host),
                Step::Samples { family, member, at } => {
                    self.samples(out, limit, family, member, at)
                }
                Step::Done => return false,
            };
            // Much work with little output is spread over several calls.
            if matches!(self.step, Step::Plan { .. }) || self.looked_at >= METRICS_A_SLICE {
                if out.is_empty() {
                    out.extend_from_slice(COMMENT);
                }
                return true;
            }
        }
        !matches!(self.step, Step::Done)
    }
}

/// A sample up to the name of its host.
fn sample_start(family: &str, cluster: &Cluster) -> Vec<u8> {
    let mut start = Vec::with_capacity(64 + cluster.name.len());
    start.extend_from_slice(family.as_bytes());
    // Writing to memory does not fail.
    let _ = write!(start, "{{{CLUSTER}=\"");
    push_label_value(&mut start, &cluster.name);
    let _ = write!(start, "\",{HOST}=\"");
    start
}

/// A sample from the name of its host to its value.
fn sample_end(family: &Family, metric: &str) -> Vec<u8> {
    let mut end = b"\"".to_vec();
    if FamilyName::has_metric_label(&family.name, metric, family.mixed) {
        // Writing to memory does not fail.
        let _ = write!(end, ",{METRIC}=\"");
        push_label_value(&mut end, metric);
        end.push(b'"');
    }
    end.extend_from_slice(b"} ");
    end
}

/// The metric's DESC or TITLE, and its units.
fn help(def: &MetricDef) -> String {
    let said = |name: &str| {
        def.extra(name)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let text = said("DESC").or_else(|| said("TITLE")).unwrap_or(def.name());
    let units = def.fields().units.trim();
    match (text.trim(), units) {
        // promtool reports a family without help.
        ("", "") => "A metric without words.".into(),
        (text, "") => text.into(),
        (text, units) => format!("{text} [{units}]"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::model::Mono;
    use crate::testing::share;
    use crate::testing::{all_of, snapshot};

    fn metric(name: &str, val: &str, more: &str) -> String {
        format!("<METRIC NAME=\"{name}\" VAL=\"{val}\" TYPE=\"float\" SLOPE=\"both\" {more}/>")
    }

    fn host(name: &str, metrics: &[String]) -> String {
        let metrics = metrics.concat();
        format!("<HOST NAME=\"{name}\" TN=\"1\" TMAX=\"20\">{metrics}</HOST>")
    }

    fn cluster(name: &str, hosts: &[String]) -> String {
        let hosts = hosts.concat();
        format!("<CLUSTER NAME=\"{name}\" LOCALTIME=\"5\">{hosts}</CLUSTER>")
    }

    /// The page without empty comments, after checks that hold for any page.
    fn page_at(contents: &[String], secs: u64) -> String {
        let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
        let snapshot = snapshot(&contents);
        let now = Now {
            mono: Mono(secs * 1000),
            epoch: secs as i64,
        };
        let page = |slice| {
            let scrape = Scrape::new(&snapshot, now, share(), |_| true);
            let page = String::from_utf8(all_of(Box::new(scrape), slice)).unwrap();
            page.replace("#\n", "")
        };
        let whole = page(usize::MAX);
        assert_eq!(whole, page(1), "however it is sliced");
        let (mut families, mut series) = (HashSet::new(), HashSet::new());
        let mut family = "";
        for line in whole.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                family = rest.split(' ').next().unwrap();
                assert!(families.insert(family), "{family} comes in two places");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                assert!(rest.starts_with(family));
            } else {
                assert_eq!(line.split('{').next(), Some(family), "{line}");
                assert!(
                    series.insert(line.rsplit_once(' ').unwrap().0),
                    "{line} comes twice"
                );
            }
        }
        whole
    }

    fn page(contents: &[String]) -> String {
        page_at(contents, 0)
    }

    /// Lines of the hosts' own metrics.
    fn samples(page: &str) -> Vec<&str> {
        page.lines()
            .filter(|line| line.starts_with("ganglia_"))
            .collect()
    }

    #[test]
    fn all_of_a_family_stands_together() {
        let [a, b] = ["a", "b"].map(|name| metric(name, "1.50", "UNITS=\"u\""));
        let page = page(&[
            cluster(
                "one",
                &[
                    host("h1", &[a.clone(), b.clone()]),
                    host("h2", &[b.clone(), a.clone()]),
                ],
            ),
            cluster("two", &[host("h1", &[b, a])]),
        ]);
        let expected = "# HELP gmetad_host_up Whether the host was heard of in time; only then it \
             has other samples.\n# TYPE gmetad_host_up gauge\n\
             gmetad_host_up{cluster=\"one\",host=\"h1\"} 1\n\
             gmetad_host_up{cluster=\"one\",host=\"h2\"} 1\n\
             gmetad_host_up{cluster=\"two\",host=\"h1\"} 1\n\
             # HELP ganglia_a a [u]\n# TYPE ganglia_a gauge\n\
             ganglia_a{cluster=\"one\",host=\"h1\"} 1.50\n\
             ganglia_a{cluster=\"one\",host=\"h2\"} 1.50\n\
             ganglia_a{cluster=\"two\",host=\"h1\"} 1.50\n\
             # HELP ganglia_b b [u]\n# TYPE ganglia_b gauge\n\
             ganglia_b{cluster=\"one\",host=\"h1\"} 1.50\n\
             ganglia_b{cluster=\"one\",host=\"h2\"} 1.50\n\
             ganglia_b{cluster=\"two\",host=\"h1\"} 1.50\n";
        assert_eq!(page, expected);
    }

    #[test]
    fn hosts_that_differ_have_what_they_have() {
        let own = |name: &str| host(name, &[metric(name, "1", ""), metric("shared", "2", "")]);
        let names: Vec<String> = (0..20).map(|n| format!("h{n}")).collect();
        let hosts: Vec<String> = names.iter().map(|name| own(name)).collect();
        let page = page(&[cluster("c", &hosts)]);
        for name in &names {
            for family in [name, "shared"] {
                let line = format!("\nganglia_{family}{{cluster=\"c\",host=\"{name}\"}} ");
                assert!(page.contains(&line), "{line}");
            }
        }
        assert_eq!(samples(&page).len(), 40);
    }

    #[test]
    fn only_hosts_that_are_up_have_samples() {
        let dead = "<HOST NAME=\"dead\" TN=\"80\" TMAX=\"20\"><METRIC NAME=\"m\" VAL=\"1\" \
             TYPE=\"float\"/></HOST>";
        let contents = [cluster(
            "c",
            &[dead.into(), host("live", &[metric("m", "2", "")])],
        )];
        let page = page(&contents);
        assert_eq!(samples(&page), ["ganglia_m{cluster=\"c\",host=\"live\"} 2"]);
        assert!(page.contains("gmetad_host_up{cluster=\"c\",host=\"dead\"} 0\n"));
        assert_eq!(samples(&page_at(&contents, 78)).len(), 1);
        let late = page_at(&contents, 79);
        assert_eq!(samples(&late).len(), 0, "a source that is down ages");
        assert!(late.contains("gmetad_host_up{cluster=\"c\",host=\"live\"} 0\n"));
        assert!(!late.contains("ganglia_"), "no family without a sample");
    }

    #[test]
    fn values_past_their_dmax_and_what_is_no_number_are_left_out() {
        let values = [
            metric("old", "1", "TN=\"11\" DMAX=\"10\""),
            metric("fresh", "1", "TN=\"10\" DMAX=\"10\""),
            metric("nan", "nan", ""),
            metric("hex", "0x10", ""),
            metric("huge", "1e999", ""),
            metric("empty", "", ""),
            metric("spaced", " -1.5e3 ", ""),
            metric("text", "5", "").replace("float", "string"),
            metric("time", "5", "").replace("float", "timestamp"),
        ];
        let page = page(&[cluster("c", &[host("h", &values)])]);
        assert_eq!(
            samples(&page),
            [
                "ganglia_fresh{cluster=\"c\",host=\"h\"} 1",
                "ganglia_spaced{cluster=\"c\",host=\"h\"} -1.5e3"
            ]
        );
    }

    #[test]
    fn names_that_become_one_stay_two_series() {
        let counter = metric("x", "1", "").replace("both", "positive");
        let page = page(&[cluster(
            "c",
            &[host(
                "h",
                &[
                    metric("a.b", "1", ""),
                    metric("a_b", "2", ""),
                    metric("a-b", "3", ""),
                    counter,
                    metric("x_total", "5", ""),
                    metric("mem_total", "6", ""),
                ],
            )],
        )]);
        assert_eq!(
            samples(&page),
            [
                "ganglia_a_b{cluster=\"c\",host=\"h\",metric=\"a.b\"} 1",
                "ganglia_a_b{cluster=\"c\",host=\"h\"} 2",
                "ganglia_a_b{cluster=\"c\",host=\"h\",metric=\"a-b\"} 3",
                "ganglia_x_total{cluster=\"c\",host=\"h\",metric=\"x\"} 1",
                "ganglia_x_total{cluster=\"c\",host=\"h\"} 5",
                "ganglia_mem_total{cluster=\"c\",host=\"h\"} 6",
            ]
        );
        assert!(
            page.contains("# TYPE ganglia_x_total untyped\n"),
            "one is no counter"
        );
        assert!(page.contains("# TYPE ganglia_mem_total untyped\n"));
        assert!(page.contains("# TYPE ganglia_a_b gauge\n"));
    }

    #[test]
    fn counters_are_called_so_and_help_is_what_the_site_says() {
        let counter = "<METRIC NAME=\"reads\" VAL=\"7\" TYPE=\"uint32\" UNITS=\"n\\s\" \
             SLOPE=\"positive\"><EXTRA_DATA><EXTRA_ELEMENT NAME=\"TITLE\" VAL=\"Reads\"/>\
             <EXTRA_ELEMENT NAME=\"DESC\" VAL=\"Reads&#10;done\"/></EXTRA_DATA></METRIC>";
        let page = page(&[cluster("c&quot;\\", &[host("h\u{e9}", &[counter.into()])])]);
        assert!(
            page.ends_with(
                "# HELP ganglia_reads_total Reads\\ndone [n\\\\s]\n\
             # TYPE ganglia_reads_total counter\n\
             ganglia_reads_total{cluster=\"c\\\"\\\\\",host=\"hé\"} 7\n"
            ),
            "{page}"
        );
    }

    #[test]
    fn much_to_plan_is_planned_in_slices() {
        let values: Vec<String> = (0..=2 * PLANNED_A_SLICE)
            .map(|n| metric(&format!("m{n}"), "1", ""))
            .collect();
        let contents = cluster("c", &[host("h", &values)]);
        let snapshot = snapshot(&[&contents]);
        let mut scrape = Scrape::new(&snapshot, Now::default(), share(), |_| true);
        for _ in 0..2 {
            let mut out = Vec::new();
            assert!(scrape.fill(&mut out, usize::MAX));
            assert_eq!(out, COMMENT);
        }
        assert_eq!(samples(&page(&[contents])).len(), values.len());
    }

    #[test]
    fn one_cluster_can_be_had_alone() {
        let contents =
            ["one", "two"].map(|name| cluster(name, &[host("h", &[metric("m", "1", "")])]));
        let snapshot = snapshot(&[&contents[0], &contents[1]]);
        let scrape = Scrape::new(&snapshot, Now::default(), share(), |c| &*c.name == "two");
        let page = String::from_utf8(all_of(Box::new(scrape), 100)).unwrap();
        assert_eq!(samples(&page), ["ganglia_m{cluster=\"two\",host=\"h\"} 1"]);
        assert!(!page.contains("\"one\""));
    }
}
