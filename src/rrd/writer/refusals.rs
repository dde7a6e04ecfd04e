//! Samples that files refuse because they have newer ones, noted by whose files they are.
//!
//! What that means for a cluster is the tree's matter.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What was refused since it was last asked for, by the folder below the root.
///
/// Shared with the thread that hears what an rrdcached refuses.
#[derive(Clone, Debug)]
pub(crate) struct Refusals {
    root: Arc<Path>,
    noted: Arc<Mutex<HashMap<Box<str>, Refused>>>,
}

/// What was refused of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Time of the newest value that those files have.
    pub(crate) newest: u32,
    /// How many did.
    pub(crate) files: u32,
}

impl Refusals {
    pub(crate) fn new(root: &Path) -> Refusals {
        Refusals {
            root: root.into(),
            noted: Arc::default(),
        }
    }

    /// Notes that a file refuses a value, as it has one of `newest`.
    pub(crate) fn note(&self, path: &[u8], newest: u32) {
        let path = Path::new(OsStr::from_bytes(path));
        let inside = path.strip_prefix(&self.root).ok();
        let Some(node) = inside.and_then(|it| it.iter().next()?.to_str()) else {
            return;
        };
        let mut noted = self.lock();
        let refused = match noted.get_mut(node) {
            Some(refused) => refused,
            None => noted.entry(node.into()).or_default(),
        };
        refused.newest = refused.newest.max(newest);
        refused.files += 1;
    }

    /// What was refused of a node since the last call.
    pub(crate) fn take(&self, node: &str) -> Option<Refused> {
        self.lock().remove(node)
    }

    /// Forgets what was refused of others than these.
    pub(crate) fn keep(&self, is_known: impl Fn(&str) -> bool) {
        self.lock().retain(|node, _| is_known(node));
    }

    /// Where a node's files are.
    pub(crate) fn folder(&self, node: &str) -> PathBuf {
        self.root.join(node)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Refused>> {
        // A map is whole after each call.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_noted_by_node() {
        let refusals = Refusals::new(Path::new("/r"));
        refusals.note(b"/r/c/h/m.rrd", 7);
        refusals.note(b"/r/c/__SummaryInfo__/m.rrd", 9);
        refusals.note(b"/r/d/h/m.rrd", 8);
        refusals.note(b"/elsewhere/c/h/m.rrd", 100);
        let of = |newest, files| Some(Refused { newest, files });
        assert_eq!(refusals.take("c"), of(9, 2));
        assert_eq!(refusals.take("c"), None);
        refusals.note(b"/r/e/h/m.rrd", 8);
        refusals.keep(|node| node == "d");
        assert_eq!(refusals.take("d"), of(8, 1));
        assert_eq!(refusals.take("e"), None);
    }
}
