//! A model of the store, computed the simple way: everything anew after each change.

use std::collections::{BTreeMap, BTreeSet};

use gmetad_core::model::{Cluster, Mono, Node, Snapshot, Summary};

use super::documents::{METRICS, Said, SaidGrid};

/// What is known of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The number of the document that had it last.
    pub number: u64,
    pub tn: u32,
    pub received: Mono,
    is_up: bool,
    is_fresh: bool,
    dmax: u32,
}

impl Host {
    pub fn live_tn(&self, now: Mono) -> u32 {
        self.tn + now.secs_since(self.received)
    }

    fn is_expired(&self, now: Mono) -> bool {
        self.dmax > 0 && self.live_tn(now) > self.dmax
    }
}

pub type Hosts = BTreeMap<String, Host>;

/// What one source has brought.
#[derive(Clone, Debug, Default)]
pub struct Brought {
    pub is_up: bool,
    localtime: i64,
    number: u64,
    clusters: BTreeMap<String, Hosts>,
    grid: Option<SaidGrid>,
}

impl Brought {
    fn brings(&self, cluster: &str, host: &str) -> bool {
        let hosts = self.clusters.get(cluster);
        hosts.is_some_and(|hosts| hosts.get(host).is_some_and(|host| host.is_fresh))
    }
}

/// All sources.
#[derive(Debug, Default)]
pub struct Model {
    pub sources: Vec<Brought>,
    /// By cluster: who brought it first, of those that bring it.
    firsts: BTreeMap<String, usize>,
    /// By cluster and host: who brought it first, of those that bring it.
    owners: BTreeMap<String, BTreeMap<String, usize>>,
}

/// What the sums must be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sums {
    hosts_up: u32,
    hosts_down: u32,
    /// Sum and number of each metric's hosts.
    metrics: [(u64, u32); METRICS],
}

impl Sums {
    fn add(&mut self, host: &Host) {
        if host.is_up {
            self.hosts_up += 1;
            for (sum, num) in &mut self.metrics {
                *sum += host.number;
                *num += 1;
            }
        } else {
            self.hosts_down += 1;
        }
    }

    pub fn of(summary: &Summary) -> Sums {
        let metric = |at: usize| {
            let found = summary.metric(&format!("m{at}"));
            found.map_or((0, 0), |it| (it.sum as u64, it.num))
        };
        let mut at = 0;
        Sums {
            hosts_up: summary.hosts_up,
            hosts_down: summary.hosts_down,
            metrics: [(); METRICS].map(|()| {
                at += 1;
                metric(at - 1)
            }),
        }
    }
}

impl Model {
    /// A source's document has ended well, and these are its nodes; it was begun at `since`. How many
    /// hosts are carried over into what it brought.
    pub fn commit(
        &mut self,
        at: usize,
        said: &Said,
        nodes: &[Node],
        since: Mono,
        now: Mono,
    ) -> usize {
        let mut carried = 0;
        let mut clusters = BTreeMap::new();
        for cluster in &said.clusters {
            let before = self.sources[at].clusters.get(&cluster.name);
            let mut hosts = Hosts::new();
            for (name, host) in before.into_iter().flatten() {
                let mut host = host.clone();
                host.is_fresh = false;
                if !host.is_expired(now) {
                    hosts.insert(name.clone(), host);
                }
            }
            for host in &cluster.hosts {
                let received = received(nodes, &cluster.name, &host.name);
                assert!((since..=now).contains(&received));
                let known = Host {
                    number: said.number,
                    tn: host.tn(),
                    received,
                    is_up: host.is_up,
                    is_fresh: true,
                    dmax: host.dmax,
                };
                hosts.insert(host.name.clone(), known);
            }
            carried += hosts.len() - cluster.hosts.len();
            clusters.insert(cluster.name.clone(), hosts);
        }
        self.sources[at] = Brought {
            is_up: true,
            localtime: said.localtime,
            number: said.number,
            clusters,
            grid: said.grid.clone(),
        };
        self.settle();
        carried
    }

    pub fn fail(&mut self, at: usize) {
        self.sources[at].is_up = false;
    }

    /// The source is no more, and another has its place.
    pub fn remove(&mut self, at: usize) {
        self.sources[at] = Brought::default();
        self.settle();
    }

    /// What is past its DMAX goes. How many hosts that were.
    pub fn expire(&mut self, at: usize, now: Mono) -> usize {
        let mut gone = 0;
        for hosts in self.sources[at].clusters.values_mut() {
            let before = hosts.len();
            hosts.retain(|_, host| !host.is_expired(now));
            gone += before - hosts.len();
        }
        self.settle();
        gone
    }

    /// Determines the owner of each cluster and host after a change.
    fn settle(&mut self) {
        let Model {
            sources,
            firsts,
            owners,
        } = self;
        firsts.retain(|cluster, first| sources[*first].clusters.contains_key(cluster));
        owners.retain(|cluster, hosts| {
            hosts.retain(|host, owner| sources[*owner].brings(cluster, host));
            !hosts.is_empty()
        });
        for (at, source) in sources.iter().enumerate() {
            for cluster in source.clusters.keys() {
                firsts.entry(cluster.clone()).or_insert(at);
            }
        }
        for (cluster, &first) in firsts.iter() {
            let owners = owners.entry(cluster.clone()).or_default();
            let others = (0..sources.len()).filter(|at| *at != first);
            for at in std::iter::once(first).chain(others) {
                let hosts = sources[at].clusters.get(cluster);
                let fresh = hosts.into_iter().flatten().filter(|(_, it)| it.is_fresh);
                for (host, _) in fresh {
                    if !owners.contains_key(host) {
                        owners.insert(host.clone(), at);
                    }
                }
            }
        }
    }

    /// Clusters of that name, with who brings them.
    fn of_name<'a>(&'a self, cluster: &'a str) -> impl Iterator<Item = (usize, &'a Hosts)> {
        let sources = self.sources.iter().enumerate();
        sources.filter_map(move |(at, it)| Some((at, it.clusters.get(cluster)?)))
    }

    fn names(&self) -> BTreeSet<&str> {
        let clusters = self.sources.iter().flat_map(|it| it.clusters.keys());
        clusters.map(String::as_str).collect()
    }

    /// The hosts that are shown of a cluster, each with whose it is.
    fn shown<'a>(&'a self, cluster: &'a str) -> BTreeMap<&'a str, (usize, &'a Host)> {
        let mut shown: BTreeMap<&str, (usize, &Host)> = BTreeMap::new();
        let any_up = self.of_name(cluster).any(|(at, _)| self.sources[at].is_up);
        let owners = self.owners.get(cluster);
        for (at, hosts) in self.of_name(cluster) {
            for (name, host) in hosts {
                let rank = |at: usize, host: &Host| {
                    let owner = owners.and_then(|owners| owners.get(name));
                    (
                        self.sources[at].is_up || !any_up,
                        host.is_fresh,
                        host.is_up,
                        owner == Some(&at),
                        host.received,
                        at,
                    )
                };
                let other = shown.get(name.as_str());
                if other.is_none_or(|(held, other)| rank(at, host) > rank(*held, other)) {
                    shown.insert(name, (at, host));
                }
            }
        }
        shown
    }

    /// The sums of everything that answers, counted host by host.
    pub fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for cluster in self.names() {
            for (at, host) in self.shown(cluster).into_values() {
                if host.is_fresh && self.sources[at].is_up {
                    sums.add(host);
                }
            }
        }
        for source in self.sources.iter().filter(|it| it.is_up) {
            if let Some(grid) = &source.grid {
                sums.hosts_up += grid.hosts_up;
                sums.hosts_down += grid.hosts_down;
                for (sum, num) in &mut sums.metrics {
                    *sum += source.number;
                    *num += grid.hosts_up;
                }
            }
        }
        sums
    }

    /// All that is shown: what an answer of this moment has.
    pub fn moment(&self) -> Moment {
        let hosts = |cluster| {
            let shown = self.shown(cluster).into_iter();
            shown.map(|(name, (_, host))| (name.to_owned(), host.clone()))
        };
        let clusters = self.names().into_iter();
        Moment(
            clusters
                .map(|it| (it.to_owned(), hosts(it).collect()))
                .collect(),
        )
    }

    /// Whether several sources bring a host of the same name, so that it matters whose it is.
    pub fn contested(&self) -> usize {
        let fresh = |hosts: &Hosts| hosts.values().filter(|it| it.is_fresh).count();
        let contested = |cluster: &str| {
            let all: usize = self.of_name(cluster).map(|(_, hosts)| fresh(hosts)).sum();
            let shown = self.shown(cluster);
            all - shown.values().filter(|(_, it)| it.is_fresh).count()
        };
        self.names().into_iter().map(contested).sum()
    }

    /// The source's nodes are those of its last good document, in its order or not.
    pub fn assert_nodes(&self, at: usize, nodes: &[Node]) {
        let source = &self.sources[at];
        let wanted = source.clusters.len() + usize::from(source.grid.is_some());
        assert_eq!(nodes.len(), wanted, "only a good end changes data");
        for node in nodes {
            assert_eq!(node.localtime(), source.localtime);
            if let Node::Cluster(cluster) = node {
                let hosts = source.clusters.get(&*cluster.name).map(Hosts::len);
                assert_eq!(hosts, Some(cluster.host_count()), "{}", cluster.name);
            }
        }
    }

    /// The source of the cluster's attributes, clock and interval: the first that is up.
    pub fn leader(&self, cluster: &str) -> Option<usize> {
        let first = *self.firsts.get(cluster)?;
        if self.sources[first].is_up {
            return Some(first);
        }
        let mut answering = self
            .of_name(cluster)
            .filter(|(at, _)| self.sources[*at].is_up);
        Some(answering.next().map_or(first, |(at, _)| at))
    }

    pub fn is_first(&self, cluster: &str, at: usize) -> bool {
        self.firsts.get(cluster) == Some(&at)
    }
}

/// When a host arrived.
fn received(nodes: &[Node], cluster: &str, host: &str) -> Mono {
    let cluster = nodes.iter().find_map(|node| match node {
        Node::Cluster(it) if &*it.name == cluster => Some(it),
        _ => None,
    });
    let cluster = cluster.expect("the source brings it");
    let at = cluster.find_host(host).expect("it has the host");
    cluster.host(at).received
}

/// The hosts of each cluster at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment(pub BTreeMap<String, Hosts>);

impl Moment {
    /// A snapshot shows just that.
    pub fn assert_shown(&self, snapshot: &Snapshot) {
        let mut count = 0;
        for node in &snapshot.nodes {
            if let Node::Cluster(cluster) = node {
                count += 1;
                assert_hosts(&self.0[&*cluster.name], cluster);
            }
        }
        assert_eq!(count, self.0.len(), "each cluster is shown once");
    }
}

fn assert_hosts(wanted: &Hosts, cluster: &Cluster) {
    assert_eq!(
        cluster.host_count(),
        wanted.len(),
        "each host is shown once"
    );
    for host in cluster.all_hosts() {
        let name: &str = &host.info.name;
        let known = wanted.get(name);
        let known = known.unwrap_or_else(|| panic!("{name} of {} is shown", cluster.name));
        let metrics = host.values();
        assert_eq!(metrics.len(), METRICS);
        for metric in metrics {
            let number = known.number.to_string();
            assert_eq!(metric.val.as_str(), number, "{name} of {}", cluster.name);
        }
        assert_eq!((host.tn, host.received), (known.tn, known.received));
    }
}
