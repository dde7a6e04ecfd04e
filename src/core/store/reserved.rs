//! Names of clusters and grids that only some sources may bring.
//!
//! Everyone's else are left out of his documents, so that none can be spoilt by naming it.

use std::collections::HashMap;

use super::SourceId;

/// Which sources may bring which names. A name that is not here may be brought by all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reserved(HashMap<Box<str>, Vec<SourceId>>);

/// What was left out of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Clusters and grids.
    pub count: usize,
    /// The name of one of them.
    pub name: Box<str>,
}

impl Reserved {
    /// Lets the source bring that name, and of the others only those of whom this is said too.
    pub fn add(&mut self, name: &str, id: SourceId) {
        self.0.entry(name.into()).or_default().push(id);
    }

    /// Whether the source may bring that name.
    pub(super) fn may_bring(&self, id: SourceId, name: &str) -> bool {
        self.0.is_empty() || self.0.get(name).is_none_or(|ids| ids.contains(&id))
    }
}

impl LeftOut {
    /// Adds a cluster or grid to what was left out.
    pub(super) fn add(left_out: &mut Option<LeftOut>, name: &str) {
        match left_out {
            Some(it) => it.count += 1,
            None => {
                *left_out = Some(LeftOut {
                    count: 1,
                    name: name.into(),
                });
            }
        }
    }
}
