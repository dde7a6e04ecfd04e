//! The plugin `alert`: says once when a metric of a host becomes alarming, and once when it is over.
//!
//! Changes nothing in an update. The configuration says what is alarming and who is told; programs
//! are run in `run`.
//!
//! Missing data decides nothing: while a source does not answer, a host is down, a metric is not
//! renewed or a condition cannot be evaluated, an alert neither begins nor ends, and the time that a
//! condition must hold starts anew. When a host or metric is dropped (DMAX), its alerts end as gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use board::Board;
use facts::{Event, Facts};
use gmetad_config::{AlertConfig, AlertRule, Config};
use gmetad_core::complaint::{Budget, Complaint, span};
use gmetad_core::condition::Subject;
use gmetad_core::model::{Cluster, Metric, Mono, Node, Now, Piece, ShownHost};
use gmetad_core::plugin::{Plugin, PluginError, RootUpdate, Update};
use run::{Job, Runner};

mod board;
mod facts;
mod mail;
mod run;

/// A cluster is gone when no source has reported it for this long, or for so many of the source's
/// intervals if that is longer.
const GONE_AFTER: Duration = Duration::from_secs(3600);
const GONE_AFTER_INTERVALS: u32 = 4;

/// The plugin, where the configuration has a section for it.
pub(super) fn plugin(config: &Config, board: &Arc<Board>) -> Option<Box<dyn Plugin>> {
    let config = config.alert.clone()?;
    Some(Box::new(Alert::new(config, Arc::clone(board))))
}

struct Alert {
    config: AlertConfig,
    /// Rules that hold now, by cluster.
    clusters: HashMap<Box<str>, WatchedCluster>,
    /// By rule: whether it cannot be evaluated.
    untold: Vec<Complaint>,
    /// By source and rule: how much of it is logged. No source takes the lines of another.
    logged: HashMap<Arc<str>, Vec<Logged>>,
    /// Whose update is under way.
    source: Arc<str>,
    /// Number of updates, by which entries that the newest one lacks are found.
    round: u64,
    runner: Option<Runner>,
    /// What is active, for the pages.
    board: Arc<Board>,
}

struct WatchedCluster {
    /// The source that brought it last.
    source: Arc<str>,
    hosts: Watched,
    /// When the cluster is gone, unless a source reports it before, even as down.
    until: Mono,
}

/// Entries by host.
type Watched = HashMap<Box<str>, Vec<Entry>>;

/// A rule that holds for a host.
struct Entry {
    /// Index of the rule.
    rule: usize,
    state: AlertState,
    /// When the condition began to hold.
    since: Now,
    /// The update that last had the host's metric.
    round: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AlertState {
    /// The condition has not held for long enough.
    Pending,
    /// The alert has begun and was sent.
    Active,
}

/// Result of a rule for a host in an update.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    Holds,
    HoldsNot,
    /// Undecided: no fresh value, or the condition cannot be evaluated.
    Nothing,
}

/// A metric with its host and cluster.
struct Place<'a> {
    cluster: &'a Cluster,
    host: ShownHost<'a>,
    metric: &'a Metric,
    now: Now,
}

impl Alert {
    fn new(config: AlertConfig, board: Arc<Board>) -> Alert {
        Alert {
            clusters: HashMap::new(),
            untold: vec![Complaint::new(); config.rules.len()],
            logged: HashMap::new(),
            source: Arc::default(),
            round: 0,
            runner: None,
            board,
            config,
        }
    }

    /// Evaluates every rule for every host. Returns the alerts that begin or end.
    fn look(&mut self, cluster: &Cluster, now: Now, interval: Duration) -> Vec<Facts> {
        self.round += 1;
        let mut news = Vec::new();
        let known = self.clusters.remove(&cluster.name);
        let mut watched = known.map(|known| known.hosts).unwrap_or_default();
        let rules = rules_by_def(&self.config.rules, cluster);
        if rules.iter().flatten().any(|rules| !rules.is_empty()) {
            for host in cluster.all_hosts() {
                let rules = &rules[host.part];
                for metric in host.values() {
                    for &rule in &rules[metric.def() as usize] {
                        let place = Place {
                            cluster,
                            host,
                            metric,
                            now,
                        };
                        news.extend(self.hold_against(rule, &place, &mut watched));
                    }
                }
            }
        }
        self.drop_gone(&cluster.name, now, &mut watched, &mut news);
        if !watched.is_empty() {
            let watched = WatchedCluster {
                source: Arc::clone(&self.source),
                hosts: watched,
                until: gone_at(now, interval),
            };
            self.clusters.insert(cluster.name.clone(), watched);
        }
        news
    }

    /// Ends the alerts of clusters that are gone. Each comes with its source.
    fn forget(&mut self, now: Now) -> Vec<(Arc<str>, Facts)> {
        let mut news = Vec::new();
        let rules = &self.config.rules;
        self.clusters.retain(|cluster, watched| {
            let stays = now.mono < watched.until;
            let gone = watched.hosts.iter().filter(|_| !stays);
            for (host, entries) in gone {
                let told = entries
                    .iter()
                    .filter(|entry| entry.state == AlertState::Active);
                news.extend(told.map(|entry| {
                    let rule = &rules[entry.rule];
                    let facts = Facts {
                        rule: entry.rule,
                        ..Facts::of_gone(rule, cluster, host, now, entry.since)
                    };
                    (Arc::clone(&watched.source), facts)
                }));
            }
            stays
        });
        news
    }

    fn hold_against(
        &mut self,
        rule: usize,
        place: &Place<'_>,
        watched: &mut Watched,
    ) -> Option<Facts> {
        let sight = self.sight(rule, place);
        let name = &place.host.info.name;
        let hold = self.config.rules[rule].hold;
        let entries = match watched.get_mut(name) {
            Some(entries) => entries,
            None if sight == Sight::Holds => watched.entry(name.clone()).or_default(),
            None => return None,
        };
        let at = entries.iter().position(|entry| entry.rule == rule);
        match (sight, at) {
            (Sight::Holds, None) => {
                let mut entry = Entry {
                    rule,
                    state: AlertState::Pending,
                    since: place.now,
                    round: self.round,
                };
                let is_told = entry.ripen(hold, place.now);
                entries.push(entry);
                is_told.then(|| self.facts(Event::Begin, rule, place, place.now))
            }
            (Sight::Holds, Some(at)) => {
                let entry = &mut entries[at];
                entry.round = self.round;
                let since = entry.since;
                let is_told = entry.ripen(hold, place.now);
                is_told.then(|| self.facts(Event::Begin, rule, place, since))
            }
            (Sight::HoldsNot, Some(at)) => {
                let entry = entries.swap_remove(at);
                let was_told = entry.state == AlertState::Active;
                was_told.then(|| self.facts(Event::Over, rule, place, entry.since))
            }
            (Sight::Nothing, Some(at)) => {
                match entries[at].state {
                    AlertState::Pending => drop(entries.swap_remove(at)),
                    AlertState::Active => entries[at].round = self.round,
                }
                None
            }
            (Sight::HoldsNot | Sight::Nothing, None) => None,
        }
    }

    fn sight(&mut self, rule: usize, place: &Place<'_>) -> Sight {
        let Place { host, metric, .. } = place;
        if !host.up || !host.fresh || !metric.is_fresh() {
            return Sight::Nothing;
        }
        let AlertRule {
            metric: name,
            condition,
            ..
        } = &self.config.rules[rule];
        let subject = Subject {
            val: metric.val.as_str(),
            host: &host.info.name,
            ip: &host.info.ip,
            cluster: &place.cluster.name,
            metric: name,
            units: &host.def(metric).fields().units,
        };
        match condition.holds(&subject) {
            Ok(true) => Sight::Holds,
            Ok(false) => Sight::HoldsNot,
            Err(doubt) => {
                if self.untold[rule].failed(Instant::now()).is_some() {
                    log::error!(
                        "alert: {} cannot be evaluated ({doubt}): {name} of {} in {} is \"{}\"; the \
                         alert neither begins nor ends until it can",
                        condition.text(),
                        host.info.name,
                        place.cluster.name,
                        metric.val.as_str()
                    );
                }
                Sight::Nothing
            }
        }
    }

    /// Ends the alerts of hosts and metrics that this update lacks.
    fn drop_gone(&self, cluster: &str, now: Now, watched: &mut Watched, news: &mut Vec<Facts>) {
        watched.retain(|host, entries| {
            entries.retain(|entry| {
                let is_there = entry.round == self.round;
                if !is_there && entry.state == AlertState::Active {
                    let rule = &self.config.rules[entry.rule];
                    news.push(Facts {
                        rule: entry.rule,
                        ..Facts::of_gone(rule, cluster, host, now, entry.since)
                    });
                }
                is_there
            });
            !entries.is_empty()
        });
    }

    /// Logs how many alerts were not logged one by one.
    fn tell_more(&mut self) {
        let now = Instant::now();
        for logged in self.logged.values_mut().flatten() {
            if let Some(more) = logged.budget.more(now) {
                logged.log_more(more);
            }
        }
    }

    fn facts(&self, event: Event, rule: usize, place: &Place<'_>, since: Now) -> Facts {
        let number = rule;
        let rule = &self.config.rules[rule];
        let fields = place.host.def(place.metric).fields();
        Facts {
            rule: number,
            ip: facts::plain(&place.host.info.ip),
            value: facts::plain(place.metric.val.as_str()),
            units: facts::plain(&fields.units),
            ..Facts::new(
                event,
                rule,
                &place.cluster.name,
                &place.host.info.name,
                place.now,
                since,
            )
        }
    }

    fn tell(&mut self, source: &Arc<str>, facts: &Facts) {
        self.board.note(facts);
        let rules = self.config.rules.len();
        let logged = self.logged.entry(Arc::clone(source));
        let logged = logged.or_insert_with(|| vec![Logged::default(); rules]);
        if let Some(logged) = logged.get_mut(facts.rule) {
            logged.log(facts);
        }
        let Some(runner) = &mut self.runner else {
            return;
        };
        if !self.config.to.is_empty() {
            runner.add(mail::job(&self.config, facts));
        }
        if !self.config.command.is_empty() {
            runner.add(Job {
                program: self.config.command.clone(),
                environment: facts.environment(),
                input: facts.lines().into_bytes(),
            });
        }
    }
}

/// What is logged of a rule for a source: some alerts an hour one by one, and of the rest the number.
#[derive(Clone, Default)]
struct Logged {
    budget: Budget,
    /// The last one that was not logged by itself.
    last: String,
}

impl Logged {
    fn log(&mut self, facts: &Facts) {
        let lasted = span(facts.lasted);
        let text = match facts.event {
            Event::Begin => format!("alert: {}", facts.sentence()),
            Event::Over => format!("alert over after {lasted}: {}", facts.sentence()),
            Event::Gone => format!("alert gone after {lasted}: {}", facts.sentence()),
        };
        if self.budget.has_room(Instant::now()) {
            // An error, so that it is logged at the default level.
            log::error!("{text}");
        } else {
            self.last = text;
        }
    }

    fn log_more(&self, more: u64) {
        if more > 0 {
            log::error!(
                "alert: {more} more began, ended or were gone, which are not logged one by one; the \
                 last: {}",
                self.last
            );
        }
    }
}

impl Entry {
    /// Whether it becomes active now, having held for long enough.
    fn ripen(&mut self, hold: Duration, now: Now) -> bool {
        let is_new = self.state == AlertState::Pending && now.mono.since(self.since.mono) >= hold;
        if is_new {
            self.state = AlertState::Active;
        }
        is_new
    }
}

fn gone_at(now: Now, interval: Duration) -> Mono {
    now.mono + GONE_AFTER.max(interval * GONE_AFTER_INTERVALS)
}

/// For each of the definitions of each piece of the cluster, the indexes of its rules.
fn rules_by_def(rules: &[AlertRule], cluster: &Cluster) -> Vec<Vec<Vec<usize>>> {
    let of_name = |name: &str| {
        let of_name = rules.iter().enumerate().filter(|(_, it)| it.metric == name);
        of_name.map(|(at, _)| at).collect()
    };
    let of = |piece: Piece<'_>| {
        let defs = piece.cluster.defs.iter();
        defs.map(|def| of_name(def.name())).collect()
    };
    cluster.pieces().map(of).collect()
}

impl Plugin for Alert {
    fn id(&self) -> &'static str {
        "alert"
    }

    fn start(&mut self) -> Result<(), PluginError> {
        if self.config.to.is_empty() && self.config.command.is_empty() {
            return Ok(());
        }
        let runner = Runner::start(self.config.run_limit, self.config.run_timeout);
        self.runner = Some(runner.map_err(|cause| PluginError::System {
            what: "cannot start the thread that runs programs".into(),
            cause,
        })?);
        Ok(())
    }

    fn notify(&mut self, update: &mut Update) -> Result<(), PluginError> {
        let Node::Cluster(cluster) = &update.node else {
            return Ok(());
        };
        if update.up {
            self.source = Arc::clone(&update.source);
            for facts in self.look(cluster, update.now, update.interval) {
                self.tell(&update.source, &facts);
            }
            self.tell_more();
        } else if let Some(watched) = self.clusters.get_mut(&cluster.name) {
            watched.until = gone_at(update.now, update.interval);
        }
        Ok(())
    }

    fn notify_root(&mut self, root: &mut RootUpdate) -> Result<(), PluginError> {
        for (source, facts) in self.forget(root.now) {
            self.tell(&source, &facts);
        }
        self.tell_more();
        Ok(())
    }

    fn stop(&mut self) {
        for logged in self.logged.values_mut().flatten() {
            let more = logged.budget.take_more();
            logged.log_more(more);
        }
        if let Some(runner) = self.runner.take() {
            runner.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gmetad_core::condition::Condition;
    use gmetad_core::model::{Host, HostInfo, MetricDef, MetricFields, Mono, order_by_name};
    use gmetad_core::plugin::Stamp;

    fn alert(rules: &[(&str, &str, u64)]) -> Alert {
        let rules = rules.iter().map(|&(metric, condition, seconds)| AlertRule {
            metric: metric.into(),
            condition: Condition::parse(condition).unwrap(),
            message: format!("{metric} is bad"),
            hold: Duration::from_secs(seconds),
        });
        let config = AlertConfig {
            rules: rules.collect(),
            ..AlertConfig::default()
        };
        Alert::new(config, Arc::default())
    }

    /// What is said of a cluster with these values of the metric `m`, by host.
    fn told(alert: &mut Alert, second: u64, values: &[(&str, &str)]) -> Vec<String> {
        told_of(alert, second, &cluster(values))
    }

    fn told_of(alert: &mut Alert, second: u64, cluster: &Cluster) -> Vec<String> {
        let now = Now {
            mono: Mono(second * 1000),
            epoch: 1000 + second as i64,
        };
        let mut said: Vec<String> = alert
            .look(cluster, now, INTERVAL)
            .iter()
            .map(|facts| format!("{} {} {}", facts.event.word(), facts.host, facts.value))
            .collect();
        said.sort();
        said
    }

    fn cluster(values: &[(&str, &str)]) -> Cluster {
        let def = MetricDef::new(MetricFields {
            name: "m".into(),
            ..MetricFields::default()
        });
        let hosts: Vec<Host> = values
            .iter()
            .enumerate()
            .map(|(at, (name, _))| Host {
                info: Arc::new(HostInfo {
                    name: (*name).into(),
                    ..HostInfo::default()
                }),
                reported: 0,
                tn: 0,
                up: true,
                fresh: true,
                received: Mono::default(),
                first_metric: at as u32,
                metric_count: 1,
            })
            .collect();
        let values = values
            .iter()
            .map(|(_, value)| Metric::new(0, 0, (*value).into()));
        Cluster {
            name: "c".into(),
            defs: Arc::new(vec![Arc::new(def)]),
            metrics: values.collect(),
            by_name: order_by_name(&hosts).0,
            hosts,
            ..Cluster::default()
        }
    }

    const NOTHING: [&str; 0] = [];

    const INTERVAL: Duration = Duration::from_secs(15);

    #[test]
    fn a_cluster_that_no_source_tells_of_any_more_ends_its_alerts() {
        let mut alert = alert(&[("m", "$val > 5", 0), ("m", "$val > 5", 60)]);
        told(&mut alert, 0, &[("a", "6")]);
        let at = |secs| Now {
            mono: Mono::default() + secs,
            epoch: 0,
        };
        let node = Node::Cluster(Arc::new(cluster(&[("a", "6")])));
        let mut down = Update {
            source: "s".into(),
            interval: INTERVAL,
            up: false,
            stamp: Stamp::of(&node, at(GONE_AFTER / 2)),
            node,
            now: at(GONE_AFTER / 2),
            invented: gmetad_core::plugin::Invented::default(),
        };
        alert.notify(&mut down).unwrap();
        assert!(alert.forget(at(GONE_AFTER)).is_empty(), "it was heard of");
        let gone = alert.forget(at(GONE_AFTER * 3 / 2));
        let said: Vec<_> = gone.iter().map(|(_, facts)| facts.event.word()).collect();
        assert_eq!(said, ["gone"], "of what was told, and nothing else");
        assert!(alert.clusters.is_empty());
    }

    #[test]
    fn in_a_cluster_of_several_sources_rules_are_for_the_metrics_of_each_and_news_are_of_the_newest()
     {
        let mut other = cluster(&[("b", "9"), ("b", "7")]);
        let fields = MetricFields {
            name: "another".into(),
            ..MetricFields::default()
        };
        Arc::make_mut(&mut other.defs).insert(0, Arc::new(MetricDef::new(fields)));
        other.metrics[1].set_def(1);
        other.hosts.truncate(1);
        other.hosts[0].metric_count = 2;
        other.by_name = order_by_name(&other.hosts).0;
        let of = |newest| {
            let parts = vec![cluster(&[("a", "6")]).into(), other.clone().into()];
            Cluster::of_parts("c", parts, newest)
        };
        let mut alert = alert(&[("m", "$val > 5", 0)]);
        assert_eq!(told_of(&mut alert, 0, &of(Some(1))), ["begin b 7"]);
        assert_eq!(told_of(&mut alert, 1, &of(Some(0))), ["begin a 6"]);
        assert_eq!(
            told_of(&mut alert, 2, &of(None)),
            NOTHING,
            "both are there still"
        );
        assert_eq!(
            told_of(&mut alert, 3, &cluster(&[("a", "6")])).len(),
            1,
            "b is gone"
        );
    }

    #[test]
    fn alerts_of_one_source_take_no_lines_of_another() {
        let mut alert = alert(&[("m", "$val > 5", 0)]);
        let (loud, quiet): (Arc<str>, Arc<str>) = ("loud".into(), "quiet".into());
        let facts = alert.look(&cluster(&[("a", "6")]), Now::default(), INTERVAL);
        for _ in 0..1000 {
            alert.tell(&loud, &facts[0]);
        }
        alert.tell(&quiet, &facts[0]);
        let was_counted = |source| !alert.logged[source][0].last.is_empty();
        assert!(was_counted(&loud), "most are not logged one by one");
        assert!(!was_counted(&quiet), "this one is");
    }

    #[test]
    fn an_alert_is_told_once_when_it_begins_and_once_when_it_is_over() {
        let mut alert = alert(&[("m", "$val > 5", 0)]);
        assert_eq!(
            told(&mut alert, 0, &[("a", "1"), ("b", "6")]),
            ["begin b 6"]
        );
        assert_eq!(told(&mut alert, 15, &[("a", "1"), ("b", "7")]), NOTHING);
        assert_eq!(
            told(&mut alert, 30, &[("a", "9"), ("b", "7")]),
            ["begin a 9"]
        );
        assert_eq!(
            told(&mut alert, 45, &[("a", "9"), ("b", "5")]),
            ["over b 5"]
        );
        assert_eq!(told(&mut alert, 60, &[("a", "9"), ("b", "5")]), NOTHING);
        assert_eq!(
            told(&mut alert, 75, &[("a", "9"), ("b", "6")]),
            ["begin b 6"]
        );
    }

    #[test]
    fn a_rule_with_a_time_is_told_when_it_has_held_for_it() {
        let mut alert = alert(&[("m", "$val > 5", 30)]);
        for (second, value, said) in [
            (0, "6", ""),
            (15, "6", ""),
            (29, "1", ""),
            (45, "6", ""),
            (74, "6", ""),
            (75, "8", "begin a 8"),
            (90, "8", ""),
            (105, "1", "over a 1"),
        ] {
            assert_eq!(told(&mut alert, second, &[("a", value)]).concat(), said);
        }
    }

    #[test]
    fn rules_over_one_metric_are_told_apart() {
        let mut alert = alert(&[
            ("m", "$val > 5", 0),
            ("m", "$val > 10", 0),
            ("x", "$val > 0", 0),
        ]);
        assert_eq!(told(&mut alert, 0, &[("a", "6")]).len(), 1);
        assert_eq!(told(&mut alert, 1, &[("a", "11")]).len(), 1);
        assert_eq!(told(&mut alert, 2, &[("a", "0")]), ["over a 0", "over a 0"]);
    }

    #[test]
    fn silence_neither_begins_nor_ends_an_alert_and_starts_its_time_anew() {
        let mut alert = alert(&[("m", "$val > 5", 30)]);
        let silent: [fn(&mut Cluster); 4] = [
            |cluster| cluster.hosts[0].up = false,
            |cluster| cluster.hosts[0].fresh = false,
            |cluster| cluster.metrics[0] = cluster.metrics[0].carried(0, 0),
            |cluster| cluster.metrics[0].val = "n/a".into(),
        ];
        for (round, silence) in silent.into_iter().enumerate() {
            let start = 1000 * round as u64;
            let mut quiet = cluster(&[("a", "1")]);
            silence(&mut quiet);
            assert_eq!(told(&mut alert, start, &[("a", "6")]), NOTHING);
            assert_eq!(told_of(&mut alert, start + 20, &quiet), NOTHING);
            assert_eq!(told(&mut alert, start + 40, &[("a", "6")]), NOTHING);
            assert_eq!(told(&mut alert, start + 70, &[("a", "6")]), ["begin a 6"]);
            assert_eq!(told_of(&mut alert, start + 90, &quiet), NOTHING);
            assert_eq!(told(&mut alert, start + 99, &[("a", "1")]), ["over a 1"]);
        }
    }

    #[test]
    fn what_is_forgotten_ends_its_alerts() {
        let mut alert = alert(&[("m", "$val > 5", 0)]);
        told(&mut alert, 0, &[("a", "6"), ("b", "6")]);
        assert_eq!(told(&mut alert, 15, &[("b", "6")]), ["gone a "]);
        let none = Cluster {
            name: "c".into(),
            ..Cluster::default()
        };
        assert_eq!(told_of(&mut alert, 30, &none), ["gone b "]);
        assert!(alert.clusters.is_empty(), "nothing is kept of what is gone");
    }

    #[test]
    fn a_source_that_does_not_answer_changes_nothing() {
        let mut alert = alert(&[("m", "$val > 5", 0)]);
        let node = Node::Cluster(Arc::new(cluster(&[("a", "6")])));
        let mut update = Update {
            source: "s".into(),
            interval: INTERVAL,
            up: false,
            stamp: Stamp::of(&node, Now::default()),
            node,
            now: Now::default(),
            invented: gmetad_core::plugin::Invented::default(),
        };
        alert.notify(&mut update).unwrap();
        assert!(alert.clusters.is_empty());
        update.up = true;
        alert.notify(&mut update).unwrap();
        assert!(alert.clusters.contains_key("c"));
    }
}
