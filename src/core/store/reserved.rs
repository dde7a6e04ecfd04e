//! Names of clusters and grids that only some sources may bring.
//!
//! Everyone's else are left out of his documents, so that none can be spoilt by naming it.

use std::collections::HashMap;

use super::SourceId;
use crate::model::Node;

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

    /// Takes what is reserved for others out of a source's document.
    pub(super) fn take_out(&self, id: SourceId, nodes: &mut Vec<Node>) -> Option<LeftOut> {
        if self.0.is_empty() {
            return None;
        }
        let mut left_out: Option<LeftOut> = None;
        nodes.retain(|node| {
            let may = self.0.get(node.name()).is_none_or(|ids| ids.contains(&id));
            if !may {
                let count = left_out.as_ref().map_or(0, |it| it.count) + 1;
                let name = left_out
                    .take()
                    .map_or_else(|| node.name().into(), |it| it.name);
                left_out = Some(LeftOut { count, name });
            }
            may
        });
        left_out
    }
}
