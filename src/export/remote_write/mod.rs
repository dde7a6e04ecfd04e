//! Sends the values of hosts that are up, whether hosts are up, and sums to stores that take
//! Prometheus' remote write or InfluxDB's lines.
//!
//! No sockets: `link` has them. Series are named as `/metrics?scope=all` names them. A value is sent
//! once, with the time when it was collected, and again before stores would call it stale. What goes
//! away ends with a marker.

use std::collections::HashMap;
use std::sync::Arc;

use crate::export::{Export, Switch};
use crate::link::{Endpoint, Link, Server, Timeouts};
use gmetad_config::Config;
use gmetad_core::answer::prometheus::{HOST_UP, is_up_now};
use gmetad_core::model::{Cluster, MetricDef, Node, ShownHost, Summary, parse_number, sorted};
use gmetad_core::plugin::{PluginError, RootUpdate, Update};

mod encode;
pub mod exercise;
mod influx;
mod labels;
mod protocol;
mod series;
mod settings;
mod simulation;
#[cfg(test)]
mod tests;
mod url;

use labels::{Labels, Name, Subject};
use protocol::{Http, LONGEST_ANSWER_BYTES};
use series::{Group, Moment, Sink};
use settings::Settings;

/// The sum of a metric over hosts.
const SUM: &str = "gmetad_summary";

/// How many hosts were summed.
const SUM_HOSTS: &str = "gmetad_summary_hosts";

/// Hosts that are up, and that are down.
const HOSTS: [&str; 2] = ["gmetad_hosts_up", "gmetad_hosts_down"];

/// The root is summed about this often, for what is said about it.
const ROOT_INTERVAL_MS: i64 = 15_000;

/// How long the end of a series is remembered, so that it goes on later than it ended.
const FLOOR_LIFE_SECS: i64 = 3600;

/// Bytes of a batch before it is compressed, for each of its samples: a sample has about 110.
const BATCH_BYTES_A_SAMPLE: usize = 256;

/// The export.
pub struct RemoteWrite {
    stores: Vec<Store>,
}

impl Export for RemoteWrite {
    const ID: &'static str = "remote_write";
    const SWITCH: Switch = Switch::Section;

    fn configured(config: &Config) -> Result<Option<RemoteWrite>, PluginError> {
        let sections = config.export_sections(Self::ID).into_iter();
        let stores = sections
            .map(|section| Settings::read(section).map(Store::new))
            .collect::<Result<Vec<Store>, PluginError>>()?;
        let folders = stores.iter().filter_map(|it| it.settings.spool.as_ref());
        let folders = sorted(folders.map(|spool| &spool.folder).collect(), Ord::cmp);
        let mut pairs = folders.iter().zip(folders.iter().skip(1));
        if let Some((twice, _)) = pairs.find(|(one, next)| one == next) {
            let told = format!(
                "two sections remote_write have backlog_dir {}; give each its own",
                twice.display()
            );
            return Err(PluginError::Failed(told));
        }
        Ok((!stores.is_empty()).then_some(RemoteWrite { stores }))
    }

    fn servers(&self) -> Vec<Server> {
        let server = |store: &Store| {
            let settings = &store.settings;
            let endpoint = Endpoint::Tcp(settings.url.place.clone());
            let login = settings.login.clone();
            let dialect = Http::new(settings.protocol, &settings.url, &settings.headers, login);
            let name = settings.name.as_ref();
            Server {
                secrets: settings.login.secret().cloned().into_iter().collect(),
                tls: settings.tls.clone(),
                timeouts: Timeouts {
                    connect: settings.timeout,
                    stall: settings.timeout,
                },
                batch_bytes: settings.batch_samples as usize * BATCH_BYTES_A_SAMPLE,
                batch_values: settings.batch_samples,
                limit_bytes: settings.backlog_bytes,
                spool: settings.spool.clone(),
                // Each of several has a name, so that it is shown by itself.
                name: (name.or(Some(&settings.url.authority)))
                    .filter(|_| name.is_some() || self.stores.len() > 1)
                    .map(|name| format!("{} {name}", Self::ID)),
                ..Server::new("remote_write: url", endpoint, dialect)
            }
        };
        self.stores.iter().map(server).collect()
    }

    fn put(&mut self, update: &Update, links: &mut [Link]) {
        for (store, link) in self.stores.iter_mut().zip(links) {
            store.update(update, &mut |sample| link.put(sample));
        }
    }

    fn root(&mut self, root: &RootUpdate, links: &mut [Link]) {
        for (store, link) in self.stores.iter_mut().zip(links) {
            store.root(root, &mut |sample| link.put(sample));
        }
    }
}

/// Takes an encoded sample.
type Put<'a> = dyn FnMut(&[u8]) + 'a;

/// What one store was sent.
struct Store {
    settings: Settings,
    labels: Labels,
    /// By data_source, then by name of the cluster or grid.
    sources: HashMap<Arc<str>, HashMap<Box<str>, Part>>,
    /// The sums of all, and the name under which they were sent.
    root: Option<(Arc<str>, Group)>,
    /// By name of a cluster or grid: times of new series are later than this.
    floors: HashMap<Box<str>, i64>,
    scratch: Vec<u8>,
}

/// The series of a cluster or grid that a source brings.
#[derive(Default)]
struct Part {
    /// The definitions that `names` are of.
    defs: Arc<Vec<Arc<MetricDef>>>,
    /// Of `Labels`, when `names` were made.
    generation: Option<u32>,
    /// By definition; none for what is not sent.
    names: Vec<Option<Arc<Name>>>,
    hosts: HashMap<Box<str>, SentHost>,
    sums: Option<Group>,
    round: u32,
    /// How far its source's clock is behind ours, in seconds.
    behind: i64,
}

struct SentHost {
    group: Group,
    /// The update that had it last.
    round: u32,
}

impl Store {
    fn new(settings: Settings) -> Store {
        Store {
            labels: Labels::new(settings.protocol, settings.external.clone()),
            settings,
            sources: HashMap::new(),
            root: None,
            floors: HashMap::new(),
            scratch: Vec::new(),
        }
    }

    /// A source was polled.
    fn update(&mut self, update: &Update, put: &mut Put<'_>) {
        let parts = self.sources.entry(Arc::clone(&update.source)).or_default();
        if !parts.contains_key(update.node.name()) {
            parts.insert(update.node.name().into(), Part::default());
        }
        let Some(part) = parts.get_mut(update.node.name()) else {
            return;
        };
        let interval_ms = update.interval.as_millis() as i64;
        let moment = if update.up {
            Moment::new(update.stamp.time, update.now, interval_ms)
        } else {
            Moment::later(update.now, part.behind, interval_ms)
        };
        part.behind = update.now.epoch - moment.base;
        let floor_ms = floor(&mut self.floors, update.node.name());
        if part.round == 0 {
            // A gmetad before this one may have sent what was collected until now.
            *floor_ms = moment.base_ms().max(*floor_ms);
        }
        part.round += 1;
        let mut sink = Sink {
            moment,
            floor_ms,
            protocol: self.settings.protocol,
            put,
            scratch: &mut self.scratch,
        };
        let mut round = Round {
            settings: &self.settings,
            labels: &mut self.labels,
            sink: &mut sink,
        };
        if let Node::Cluster(cluster) = &update.node {
            round.cluster(part, cluster, update);
        }
        let subject = match &update.node {
            Node::Cluster(cluster) => Subject::Cluster(&cluster.name),
            Node::Grid(grid) => Subject::Grid(&grid.name),
        };
        if self.settings.summaries && update.up {
            if update.stamp.leads {
                round.sums(&mut part.sums, subject, update.node.summary());
            } else if let Some(sums) = part.sums.take() {
                sums.end(round.sink);
            }
        }
        self.labels.forget_unused();
    }

    /// All sources were summed: what is no longer there ends.
    fn root(&mut self, root: &RootUpdate, put: &mut Put<'_>) {
        for (source, parts) in &mut self.sources {
            let is_present = |name: &str| {
                let mut present = root.present.iter();
                present.any(|(its, node)| its == source && **node == *name)
            };
            for (name, part) in parts.extract_if(|name, _| !is_present(name)) {
                let moment = Moment::later(root.now, part.behind, ROOT_INTERVAL_MS);
                part.end(&mut Sink {
                    moment,
                    floor_ms: floor(&mut self.floors, &name),
                    protocol: self.settings.protocol,
                    put,
                    scratch: &mut self.scratch,
                });
            }
        }
        self.sources.retain(|_, parts| !parts.is_empty());
        let forget_before = (root.now.epoch - FLOOR_LIFE_SECS) * 1000;
        self.floors.retain(|_, floor| *floor > forget_before);
        if !self.settings.summaries {
            return;
        }
        let mut sink = Sink {
            moment: Moment::later(root.now, 0, ROOT_INTERVAL_MS),
            floor_ms: floor(&mut self.floors, &root.gridname),
            protocol: self.settings.protocol,
            put,
            scratch: &mut self.scratch,
        };
        let (name, group) = match self.root.take() {
            Some((name, group)) if name == root.gridname => (name, Some(group)),
            before => {
                if let Some((_, group)) = before {
                    group.end(&mut sink);
                }
                // As with a cluster.
                *sink.floor_ms = sink.moment.base_ms().max(*sink.floor_ms);
                (Arc::clone(&root.gridname), None)
            }
        };
        let mut group = group;
        let mut round = Round {
            settings: &self.settings,
            labels: &mut self.labels,
            sink: &mut sink,
        };
        round.sums(&mut group, Subject::Grid(&name), &root.summary);
        self.root = group.map(|group| (name, group));
    }
}

fn floor<'a>(floors: &'a mut HashMap<Box<str>, i64>, name: &str) -> &'a mut i64 {
    floors.entry(name.into()).or_insert(i64::MIN / 2)
}

impl Part {
    fn end(self, sink: &mut Sink<'_>) {
        let hosts = self.hosts.into_values().map(|host| host.group);
        for group in hosts.chain(self.sums) {
            group.end(sink);
        }
    }
}

/// What one update needs of its store.
struct Round<'a, 'b> {
    settings: &'a Settings,
    labels: &'a mut Labels,
    sink: &'a mut Sink<'b>,
}

impl Round<'_, '_> {
    fn cluster(&mut self, part: &mut Part, cluster: &Cluster, update: &Update) {
        self.name(part, cluster);
        let host_up = self.labels.named(HOST_UP, None);
        for host in cluster.all_hosts() {
            let name = &host.info.name;
            if !self.settings.hosts.takes_part(name) {
                continue;
            }
            if !part.hosts.contains_key(name) {
                let labels = self.labels.of_subject(Subject::Host(&cluster.name, name));
                // And whether it is up.
                let group = Group::new(labels, host.metric_count as usize + 1);
                let round = part.round - 1;
                part.hosts.insert(name.clone(), SentHost { group, round });
            }
            let Some(sent) = part.hosts.get_mut(name) else {
                continue;
            };
            if sent.round == part.round {
                continue;
            }
            sent.round = part.round;
            self.host(
                &mut sent.group,
                &part.names,
                cluster,
                host,
                update,
                &host_up,
            );
        }
        let round = part.round;
        let gone = part.hosts.extract_if(|_, host| host.round != round);
        gone.for_each(|(_, host)| host.group.end(self.sink));
    }

    /// Names the metrics of a cluster, unless they are those of its last document.
    ///
    /// Only fresh values are sent, so that of a cluster which several sources bring, the definitions of the
    /// one that was heard will do.
    fn name(&mut self, part: &mut Part, cluster: &Cluster) {
        let generation = Some(self.labels.generation());
        let defs = cluster.newest().map(|newest| &newest.cluster.defs);
        let Some(defs) =
            defs.filter(|defs| !Arc::ptr_eq(&part.defs, defs) || part.generation != generation)
        else {
            return;
        };
        part.defs = Arc::clone(defs);
        let is_sent =
            |def: &MetricDef| def.ty().is_numeric() && self.settings.metrics.takes_part(def.name());
        let sent = part.defs.iter().filter(|def| is_sent(def));
        sent.for_each(|def| self.labels.learn(def));
        let named = part.defs.iter();
        part.names = named
            .map(|def| is_sent(def).then(|| self.labels.of_metric(def)))
            .collect();
        part.generation = Some(self.labels.generation());
    }

    fn host(
        &mut self,
        group: &mut Group,
        names: &[Option<Arc<Name>>],
        cluster: &Cluster,
        host: ShownHost<'_>,
        update: &Update,
        host_up: &Arc<Name>,
    ) {
        let base = self.sink.moment.base;
        let is_up = is_up_now(&host, cluster, update.now.mono);
        group.begin();
        group.put(host_up, f64::from(u8::from(is_up)), base, self.sink);
        if is_up && update.up && host.fresh {
            for metric in host.values() {
                let Some(name) = &names[metric.def() as usize] else {
                    continue;
                };
                let dmax = host.def(metric).fields().dmax;
                if metric.is_fresh()
                    && !metric.is_expired(dmax, 0)
                    && let Some(number) = parse_number(metric.val.as_bytes())
                {
                    let collected = base.saturating_sub(i64::from(metric.tn));
                    group.put(name, number.value, collected, self.sink);
                }
            }
        } else if is_up {
            group.keep_others();
        }
        group.end_others(self.sink);
    }

    fn sums(&mut self, group: &mut Option<Group>, subject: Subject<'_>, summary: &Summary) {
        let labels = &mut *self.labels;
        let group = group.get_or_insert_with(|| {
            let room = 2 * summary.metrics.len() + HOSTS.len();
            Group::new(labels.of_subject(subject), room)
        });
        let base = self.sink.moment.base;
        group.begin();
        for (name, hosts) in HOSTS.iter().zip([summary.hosts_up, summary.hosts_down]) {
            group.put(&labels.named(name, None), f64::from(hosts), base, self.sink);
        }
        for metric in &summary.metrics {
            let name = metric.def.name();
            if self.settings.metrics.takes_part(name) {
                let (sum, hosts) = (metric.sum, f64::from(metric.num));
                group.put(&labels.named(SUM, Some(name)), sum, base, self.sink);
                group.put(&labels.named(SUM_HOSTS, Some(name)), hosts, base, self.sink);
            }
        }
        group.end_others(self.sink);
    }
}
