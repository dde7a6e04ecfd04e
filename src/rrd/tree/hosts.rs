//! The plugin `rrd`: every numeric metric of every host into a file of its own.
//!
//! Which values are stored is decided here; how they get into files is the tree's matter.

use std::sync::Arc;
use std::time::Duration;

use crate::tree::SharedTree;
use crate::tree::expire::Expiry;
use crate::tree::moment::Moment;
use gmetad_core::model::{Node, Now};
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
        for host in cluster.all_hosts() {
            let mut folder = hosts.host(&host.info.name);
            if !host.up || !host.fresh {
                continue;
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
