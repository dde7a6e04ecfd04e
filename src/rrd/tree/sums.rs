//! The plugin `rrdsummary`: the sums of each cluster, of each grid below, and of everything.
//!
//! Nothing is summed up here.

use std::time::Duration;

use crate::tree::SharedTree;
use crate::tree::growth::Growth;
use crate::tree::moment::Moment;
use gmetad_core::model::StoreTime;
use gmetad_core::plugin::{Plugin, PluginError, RootUpdate, Update};

/// Step of the root's files, whatever the sources' intervals.
const ROOT_STEP: Duration = Duration::from_secs(15);

/// Writes sums.
pub(crate) struct SumFiles {
    tree: SharedTree,
    growth: Growth,
}

impl SumFiles {
    pub(crate) fn new(tree: SharedTree) -> SumFiles {
        SumFiles {
            tree,
            growth: Growth::default(),
        }
    }
}

impl Plugin for SumFiles {
    fn id(&self) -> &'static str {
        "rrdsummary"
    }

    fn start(&mut self) -> Result<(), PluginError> {
        self.tree.lock().open()
    }

    fn stop(&mut self) {
        self.tree.lock().close();
    }

    fn takes_updates(&self) -> bool {
        self.tree.lock().writes()
    }

    fn notify(&mut self, update: &mut Update) -> Result<(), PluginError> {
        let mut tree = self.tree.lock();
        if !tree.writes() || !update.up || !update.stamp.leads {
            return Ok(());
        }
        let moment = Moment::of(update);
        let (name, sums) = (update.node.name(), update.node.summary().metrics.len());
        tree.expects(&update.source, name, sums, update.now.mono);
        let folder = tree.node_sums(update.node.name(), moment, update.now.mono);
        if let Some(folder) = folder {
            let (name, summary) = (update.node.name(), update.node.summary());
            (self.growth).put_all(Some(name), folder, summary, update.now.mono);
            tree.hand_over();
        }
        Ok(())
    }

    fn notify_root(&mut self, root: &mut RootUpdate) -> Result<(), PluginError> {
        let mut tree = self.tree.lock();
        if !tree.writes() {
            return Ok(());
        }
        let moment = Moment {
            time: StoreTime::Ours(root.now.epoch),
            step: ROOT_STEP,
        };
        if let Some(folder) = tree.root_sums(moment, root.now.mono) {
            (self.growth).put_all(None, folder, &root.summary, root.now.mono);
            tree.hand_over();
        }
        tree.sweep(root.now.mono);
        self.growth.sweep(root.now.mono);
        Ok(())
    }

    fn tick(&mut self) -> Option<Duration> {
        self.tree.lock().step()
    }
}
