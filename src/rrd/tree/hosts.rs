//! The plugin `rrd`: every numeric metric of every host into a file of its own.
//!
//! Which values are stored is decided here; how they get into files is the tree's matter.

use std::sync::Arc;
use std::time::Duration;

use crate::tree::SharedTree;
use crate::tree::expire::Expiry;
use crate::tree::moment::Moment;
use gmetad_core::model::{Node, Now, ShownHost};
use gmetad_core::plugin::{Plugin, PluginError, RootUpdate, Update};
use gmetad_core::status::ExportCounters;

/// Writes hosts' metrics.
pub(crate) struct HostFiles {
    tree: SharedTree,
    /// Removes old files, if it is to.
    expiry: Option<Expiry>,
}

impl HostFiles {
    pub(crate) fn new(tree: SharedTree, expiry: Option<Expiry>) -> HostFiles {
        HostFiles { tree, expiry }
    }
}

impl Plugin for HostFiles {
    fn id(&self) -> &'static str {
        "rrd"
    }

    fn start(&mut self) -> Result<(), PluginError> {
        self.tree.lock().open()
    }

    fn takes_updates(&self) -> bool {
        self.expiry.is_some() || self.tree.lock().writes()
    }

    /// Stores the numeric metrics of hosts that are up, as far as the newest document brought them and
    /// their DMAX has not passed. A file that fails is the writer's to log, and no failure of the
    /// plugin.
    fn notify(&mut self, update: &mut Update) -> Result<(), PluginError> {
        let mut tree = self.tree.lock();
        let Now { mono, epoch } = update.now;
        if let Some(expiry) = self.expiry.as_mut().filter(|_| update.up) {
            expiry.heard(update.node.name(), update.node.localtime(), epoch);
        }
        let Node::Cluster(cluster) = &update.node else {
            return Ok(());
        };
        if !tree.writes() || !update.up {
            tree.keep(&cluster.name, mono);
            return Ok(());
        }
        let fresh = cluster.fresh_hosts();
        let values = fresh.map(|host| host.metric_count as usize).sum();
        tree.expects(&update.source, &cluster.name, values, mono);
        let moment = Moment::of(update);
        let Some(mut hosts) = tree.hosts(cluster, moment, mono) else {
            return Ok(());
        };
        let wants_all = hosts.wants_all();
        let mut put = |host: ShownHost<'_>| {
            let mut folder = hosts.host(&host.info.name);
            if !host.up || !host.fresh {
                return;
            }
            for metric in host.values() {
                let Some(column) = folder.column(metric.def()) else {
                    continue;
                };
                if metric.is_fresh() && !metric.is_expired(column.dmax, 0) {
                    folder.put_value(column, metric.val.as_bytes());
                } else {
                    folder.pass(column);
                }
            }
            folder.finish();
        };
        if wants_all {
            cluster.all_hosts().for_each(&mut put);
        } else {
            cluster.fresh_hosts().for_each(&mut put);
        }
        hosts.finish();
        tree.hand_over();
        Ok(())
    }

    fn exports(&self) -> Vec<(Arc<str>, Arc<ExportCounters>)> {
        self.tree.lock().exports()
    }

    fn stop(&mut self) {
        self.tree.lock().close();
    }

    fn notify_root(&mut self, root: &mut RootUpdate) -> Result<(), PluginError> {
        self.tree.lock().sweep(root.now.mono);
        Ok(())
    }

    fn tick(&mut self) -> Option<Duration> {
        let mut tree = self.tree.lock();
        let expiry = self.expiry.as_mut().map(|it| it.step(&*tree));
        [expiry, tree.step()].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use gmetad_config::Config;
    use gmetad_core::model::{Cluster, Host, HostInfo, Mono, StoreTime, order_by_name};
    use gmetad_core::plugin::{Invented, Stamp};

    fn cluster(hosts: &[String], at: u64) -> Cluster {
        let host = |name: &String| Host {
            info: Arc::new(HostInfo {
                name: name.as_str().into(),
                ..HostInfo::default()
            }),
            reported: 0,
            tn: 0,
            up: true,
            fresh: true,
            received: Mono(at),
            first_metric: 0,
            metric_count: 0,
        };
        let hosts: Vec<Host> = hosts.iter().map(host).collect();
        Cluster {
            name: "c".into(),
            by_name: order_by_name(&hosts).0,
            hosts,
            ..Cluster::default()
        }
    }

    #[test]
    fn of_a_cluster_of_several_sources_all_hosts_are_named_once_a_round_and_those_that_are_gone_forgotten()
     {
        const SOURCES: usize = 5;
        let folder = tempfile::TempDir::new().unwrap();
        let mut config = Config::new("test");
        config.rrd.rootdir = folder.path().join("rrds");
        let tree = SharedTree::new(&config, Arc::default());
        let mut plugin = HostFiles::new(tree.clone(), None);
        plugin.start().unwrap();
        let mut known = Vec::new();
        let mut hosts = [7; SOURCES];
        for turn in 0..4 * SOURCES {
            if turn == 2 * SOURCES {
                hosts[1] = 3;
            }
            let names = |of: usize| (0..hosts[of]).map(move |at| format!("{of}-{at}"));
            let part = |of| cluster(&names(of).collect::<Vec<_>>(), turn as u64).into();
            let parts = (0..SOURCES).map(part).collect();
            let node = Node::Cluster(Arc::new(Cluster::of_parts(
                "c",
                parts,
                Some(turn % SOURCES),
            )));
            let epoch = 1_700_000_000 + turn as i64;
            let mut update = Update {
                source: format!("{}", turn % SOURCES).into(),
                interval: Duration::from_secs(15),
                up: true,
                stamp: Stamp {
                    time: StoreTime::Ours(epoch),
                    leads: true,
                },
                node,
                now: Now {
                    mono: Mono(turn as u64),
                    epoch,
                },
                invented: Invented::default(),
            };
            plugin.notify(&mut update).unwrap();
            known.push(tree.lock().known_hosts());
        }
        // The first ones name their own, until all are named.
        assert_eq!(known[..SOURCES], [7, 14, 21, 28, 35]);
        assert_eq!(known[SOURCES..3 * SOURCES - 1], [35; 2 * SOURCES - 1]);
        assert_eq!(known[3 * SOURCES - 1..], [31; SOURCES + 1]);
    }
}
