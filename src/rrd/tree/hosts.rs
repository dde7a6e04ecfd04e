//! The plugin `rrd`: every numeric metric of every host into a file of its own.
//!
//! Which values are worth keeping is decided here; how they get into files is the archive's.

use std::sync::Arc;
use std::time::Duration;

use crate::tree::archive::{Moment, SharedArchive};
use crate::tree::expire::Expiry;
use gmetad_core::model::{Node, Now};
use gmetad_core::plugin::{Plugin, PluginError, RootUpdate, Update};
use gmetad_core::status::ExportCounters;

/// Writes hosts' metrics.
pub(crate) struct HostFiles {
    archive: SharedArchive,
    /// Removes old files, if it is to.
    expiry: Option<Expiry>,
}

impl HostFiles {
    pub(crate) fn new(archive: SharedArchive, expiry: Option<Expiry>) -> HostFiles {
        HostFiles { archive, expiry }
    }
}

impl Plugin for HostFiles {
    fn id(&self) -> &'static str {
        "rrd"
    }

    fn start(&mut self) -> Result<(), PluginError> {
        self.archive.lock().open()
    }

    /// Written is what the newest document had, of hosts that are up, where it is a number and its
    /// time has not passed. A file's trouble is told by the writer; it is not the plugin's.
    fn notify(&mut self, update: &mut Update) -> Result<(), PluginError> {
        let mut archive = self.archive.lock();
        let Now { mono, .. } = update.now;
        let Node::Cluster(cluster) = &update.node else {
            return Ok(());
        };
        if !archive.writes() || !update.up {
            archive.keep(&cluster.name, mono);
            return Ok(());
        }
        let moment = Moment::of(cluster.localtime, update);
        let Some(mut hosts) = archive.hosts(cluster, moment, mono) else {
            return Ok(());
        };
        for host in &cluster.hosts {
            let mut folder = hosts.host(&host.info.name);
            if !host.up || !host.fresh {
                continue;
            }
            for metric in cluster.metrics_of(host) {
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
        archive.hand_over();
        Ok(())
    }

    fn export(&self) -> Option<(&'static str, Arc<ExportCounters>)> {
        self.archive.lock().export()
    }

    fn stop(&mut self) {
        self.archive.lock().close();
    }

    fn notify_root(&mut self, root: &mut RootUpdate) -> Result<(), PluginError> {
        self.archive.lock().sweep(root.now.mono);
        Ok(())
    }

    fn tick(&mut self) -> Option<Duration> {
        let expiry = self.expiry.as_mut().map(Expiry::step);
        let archive = self.archive.lock().step();
        [expiry, archive].into_iter().flatten().min()
    }
}
