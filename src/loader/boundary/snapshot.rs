//! Snapshots of clusters and grids, which a plugin may hold and read on any thread, and the newest
//! snapshot of each.
//!
//! What a plugin may do with one is in `access::snapshots`.

use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gmetad_core::model::DefTable;
use gmetad_core::plugin::tree::{Copied, Generation, Tree};
use gmetad_core::plugin::{RootUpdate, Update};

/// A cluster or a grid at one moment. It never changes.
pub(super) struct Snapshot {
    /// Borrows from the two below, and is dropped before them.
    tree: ManuallyDrop<Tree<'static>>,
    table: *mut DefTable,
    shown: Shown,
}

/// What the tree is of.
#[derive(Clone, Copy)]
enum Shown {
    Source(*mut Update),
    Root(*mut RootUpdate),
}

// SAFETY: only the snapshot has the pointers. What they point to is only read, through the tree, which
// several threads may read at once.
unsafe impl Send for Snapshot {}
// SAFETY: as above.
unsafe impl Sync for Snapshot {}

/// Has the compiler check what is said above about trees.
const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Tree<'static>>();
};

impl Snapshot {
    /// Of a source's update. It shares what the update shares.
    pub(super) fn of_update(update: Update) -> Snapshot {
        let table = Box::into_raw(Box::default());
        let update = Box::into_raw(Box::new(update));
        // SAFETY: both were just allocated, and are freed by the drop below, after the tree.
        let tree = unsafe { Tree::of_update(&mut *update, &mut *table) };
        Snapshot {
            tree: ManuallyDrop::new(tree),
            table,
            shown: Shown::Source(update),
        }
    }

    /// Of the sum of all sources.
    pub(super) fn of_root(root: RootUpdate) -> Snapshot {
        let table = Box::into_raw(Box::default());
        let root = Box::into_raw(Box::new(root));
        // SAFETY: both were just allocated, and are freed by the drop below, after the tree.
        let tree = unsafe { Tree::of_root(&mut *root, &mut *table) };
        Snapshot {
            tree: ManuallyDrop::new(tree),
            table,
            shown: Shown::Root(root),
        }
    }

    /// Of a call's tree, with what plugins have changed so far. `None` once children were added or
    /// removed, which are not in the arrays yet.
    pub(super) fn of(tree: &Tree<'_>) -> Option<Snapshot> {
        Some(match tree.copied()? {
            Copied::Source(update) => Snapshot::of_update(update),
            Copied::Root(root) => Snapshot::of_root(root),
        })
    }

    pub(super) fn tree(&self) -> &Tree<'static> {
        &self.tree
    }

    /// The generation of all node numbers of snapshots.
    pub(super) fn generation() -> Generation {
        Generation::default()
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // SAFETY: the tree is dropped here only, and before what it borrows from. Each pointer came from
        // a box.
        unsafe {
            ManuallyDrop::drop(&mut self.tree);
            drop(Box::from_raw(self.table));
            match self.shown {
                Shown::Source(update) => drop(Box::from_raw(update)),
                Shown::Root(root) => drop(Box::from_raw(root)),
            }
        }
    }
}

/// The newest snapshot of every cluster and grid that the plugin thread has seen.
#[derive(Default)]
pub(crate) struct Newest(Mutex<State>);

#[derive(Default)]
struct State {
    root: Option<Entry>,
    nodes: Vec<Entry>,
    /// Counts changes.
    news: u64,
}

struct Entry {
    key: (Arc<str>, Box<str>),
    /// When the document ended, which distinguishes updates.
    ended: gmetad_core::model::Now,
    up: bool,
    snapshot: Arc<Snapshot>,
}

impl Newest {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No critical section panics halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an update as it came. Each plugin reports it; the first one counts.
    pub(super) fn put(&self, update: &Update) {
        let mut state = self.lock();
        let is_of = |entry: &&mut Entry| {
            *entry.key.0 == *update.source && *entry.key.1 == *update.node.name()
        };
        let old = state.nodes.iter_mut().find(is_of);
        let known = old
            .as_ref()
            .is_some_and(|entry| entry.ended == update.now && entry.up == update.up);
        if known {
            return;
        }
        let entry = Entry {
            key: (Arc::clone(&update.source), update.node.name().into()),
            ended: update.now,
            up: update.up,
            snapshot: Arc::new(Snapshot::of_update(update.clone())),
        };
        match old {
            Some(old) => *old = entry,
            None => state.nodes.push(entry),
        }
        state.news += 1;
    }

    /// Keeps the root summary, sorts the nodes in its order, and drops those that it does not have.
    pub(super) fn put_root(&self, root: &RootUpdate) {
        let mut state = self.lock();
        if state.root.as_ref().is_some_and(|it| it.ended == root.now) {
            return;
        }
        let place: std::collections::HashMap<_, _> = root.present.iter().zip(0..).collect();
        let place_of = |entry: &Entry| place.get(&entry.key).copied();
        state.nodes.retain(|entry| place_of(entry).is_some());
        state
            .nodes
            .sort_by_key(|entry| place_of(entry).unwrap_or(usize::MAX));
        state.root = Some(Entry {
            key: (Arc::from(""), Box::from("")),
            ended: root.now,
            up: true,
            snapshot: Arc::new(Snapshot::of_root(root.clone())),
        });
        state.news += 1;
    }

    /// Changes whenever there is a newer snapshot.
    pub(super) fn news(&self) -> u64 {
        self.lock().news
    }

    pub(super) fn root(&self) -> Option<Arc<Snapshot>> {
        let state = self.lock();
        state.root.as_ref().map(|it| Arc::clone(&it.snapshot))
    }

    pub(super) fn nodes(&self) -> Vec<Arc<Snapshot>> {
        let state = self.lock();
        state
            .nodes
            .iter()
            .map(|it| Arc::clone(&it.snapshot))
            .collect()
    }
}

/// A snapshot as a plugin holds it, until [`taken_back`].
pub(super) fn handed_out(snapshot: Option<Arc<Snapshot>>) -> *const gmetad_plugin::abi::Snapshot {
    snapshot.map_or(ptr::null(), |it| Arc::into_raw(it).cast())
}

/// # Safety
/// The pointer is null, or one that [`handed_out`] gave and that was not given back yet.
pub(super) unsafe fn taken_back(snapshot: *const gmetad_plugin::abi::Snapshot) {
    if !snapshot.is_null() {
        // SAFETY: the caller promises it.
        drop(unsafe { Arc::from_raw(snapshot.cast::<Snapshot>()) });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use gmetad_core::model::{Cluster, Mono, Node, Now};
    use gmetad_core::plugin::{Invented, Stamp, tree::NodeId};

    fn update(source: &str, name: &str, epoch: i64) -> Update {
        let node = Node::Cluster(Arc::new(Cluster {
            name: name.into(),
            localtime: epoch,
            ..Cluster::default()
        }));
        Update {
            source: source.into(),
            interval: Duration::from_secs(15),
            up: true,
            stamp: Stamp::of(&node, at(epoch)),
            node,
            now: at(epoch),
            invented: Invented::default(),
        }
    }

    fn at(epoch: i64) -> Now {
        Now {
            epoch,
            mono: Mono(0),
        }
    }

    fn root(epoch: i64, present: &[(&str, &str)]) -> RootUpdate {
        let present = present.iter();
        RootUpdate {
            gridname: "grid".into(),
            authority: "".into(),
            summary: Arc::default(),
            now: at(epoch),
            present: present.map(|(a, b)| ((*a).into(), (*b).into())).collect(),
            invented: Invented::default(),
        }
    }

    fn names(newest: &Newest) -> Vec<String> {
        let nodes = newest.nodes();
        let said = |it: &Arc<Snapshot>, name| {
            let value = it.tree().attribute(NodeId::Top, name).unwrap();
            value.unwrap().to_string()
        };
        nodes
            .iter()
            .map(|it| format!("{} {}", said(it, "name"), said(it, "localtime")))
            .collect()
    }

    #[test]
    fn the_newest_of_each_is_kept_until_a_sum_is_without_it() {
        let newest = Newest::default();
        newest.put(&update("s", "b", 1));
        newest.put(&update("t", "a", 2));
        newest.put(&update("s", "b", 3));
        let news = newest.news();
        newest.put(&update("s", "b", 3));
        assert_eq!(newest.news(), news, "the second plugin says the same");
        assert_eq!(names(&newest), ["b 3", "a 2"]);
        let kept = newest.nodes();
        newest.put_root(&root(4, &[("t", "a"), ("s", "b"), ("u", "new")]));
        assert_eq!(names(&newest), ["a 2", "b 3"], "in the order of the sum");
        newest.put_root(&root(5, &[("s", "b"), ("u", "a")]));
        assert_eq!(names(&newest), ["b 3"], "another source's is another");
        assert!(newest.root().is_some());
        let gone = kept[1].tree().attribute(NodeId::Top, "name").unwrap();
        assert_eq!(gone.unwrap().to_string(), "a", "who keeps it has it");
    }
}
