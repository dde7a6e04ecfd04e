//! What sources have brought and the plugins have not got yet: handed over a few at a time.
//!
//! A document may bring thousands of clusters; each is an update of its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::plugins::PluginHandle;
use gmetad_core::model::{Node, Now, Stamp};
use gmetad_core::plugin::{Invented, RootUpdate, Update};

/// Updates handed over between two waits for events.
const AT_A_TIME: usize = 32;

/// Updates of one source, or the root's.
#[derive(Debug)]
pub(super) enum Batch {
    /// What a source brought.
    Nodes {
        source: Arc<str>,
        interval: Duration,
        up: bool,
        now: Now,
        nodes: std::vec::IntoIter<(Node, Stamp)>,
    },
    /// The sum of all sources.
    Root(RootUpdate),
}

/// What waits to be handed over, in order.
#[derive(Debug, Default)]
pub(super) struct Handing(VecDeque<Batch>);

impl Handing {
    /// Adds updates.
    pub(super) fn add(&mut self, batch: Batch) {
        self.0.push_back(batch);
    }

    /// Whether all was handed over.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Hands the next few over.
    pub(super) fn go_on(&mut self, plugins: &mut PluginHandle) {
        for _ in 0..AT_A_TIME {
            let Some(next) = self.next() else { return };
            match next {
                Next::Node(update) => plugins.send(update),
                Next::Root(root) => plugins.send_root(root),
            }
        }
    }

    /// Hands all over.
    pub(super) fn finish(&mut self, plugins: &mut PluginHandle) {
        while !self.is_empty() {
            self.go_on(plugins);
        }
    }

    fn next(&mut self) -> Option<Next> {
        loop {
            if let Some(Batch::Nodes {
                source,
                interval,
                up,
                now,
                nodes,
            }) = self.0.front_mut()
            {
                if let Some((node, stamp)) = nodes.next() {
                    return Some(Next::Node(Update {
                        source: Arc::clone(source),
                        interval: *interval,
                        up: *up,
                        node,
                        now: *now,
                        stamp,
                        invented: Invented::default(),
                    }));
                }
                self.0.pop_front();
                continue;
            }
            match self.0.pop_front()? {
                Batch::Root(root) => return Some(Next::Root(root)),
                Batch::Nodes { .. } => {}
            }
        }
    }
}

enum Next {
    Node(Update),
    Root(RootUpdate),
}
