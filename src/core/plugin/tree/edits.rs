//! What was done to a tree, until its arrays are put in order.
//!
//! No rules: those are in `edit`, and the order is made in `flatten`.

use std::collections::{HashMap, HashSet};

use super::node::Owner;
use crate::model::{DefId, MetricFields};

/// Most changes of one definition that are remembered. Others are computed again.
pub(super) const MEMO: usize = 16;

/// Changes of a tree that its arrays do not show yet.
#[derive(Default)]
pub(super) struct Edits {
    /// Whether a host or a metric was removed.
    pub(super) has_removed: bool,
    pub(super) gone_hosts: HashSet<u32>,
    pub(super) gone_metrics: HashSet<u32>,
    pub(super) gone_sums: HashSet<u32>,
    pub(super) gone_extras: HashSet<(Owner, u16)>,
    /// The places of added metrics, in the order of the array.
    pub(super) owners: Vec<Place>,
    /// By host: its added metrics, in order.
    pub(super) added_of: HashMap<u32, Vec<u32>>,
    /// By host: its added metrics that were not removed, by name.
    pub(super) added_names: HashMap<u32, HashMap<Box<str>, u32>>,
    /// All hosts, once one was added or renamed.
    pub(super) hosts_by_name: Option<HashMap<Box<str>, u32>>,
    /// Indices of definitions that this tree added, by address.
    pub(super) ids: HashMap<usize, DefId>,
    /// By definition: the one that it becomes by a change.
    pub(super) memo: HashMap<DefId, Vec<(SharedField, Box<str>, DefId)>>,
}

impl Edits {
    /// Whether children were added or removed, so that the arrays must be put in order.
    pub(super) fn moves_children(&self) -> bool {
        self.has_removed
            || !self.gone_sums.is_empty()
            || !self.gone_extras.is_empty()
            || !self.owners.is_empty()
            || self.hosts_by_name.is_some()
    }
}

/// Where an added metric belongs.
pub(super) struct Place {
    pub(super) host: u32,
    /// Its index among the host's added metrics.
    pub(super) place: u32,
}

/// An attribute that metrics share in their definition. One metric's is changed by giving it another
/// definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SharedField {
    Name,
    Type,
    Units,
    Tmax(u32),
    Dmax(u32),
    Slope,
    Source,
    ExtraName(u16),
    ExtraVal(u16),
    /// A new EXTRA_ELEMENT of that name, without a value.
    ExtraNew,
}

impl SharedField {
    pub(super) fn apply(self, fields: &mut MetricFields, value: &str) {
        match self {
            SharedField::Name => fields.name = value.into(),
            SharedField::Type => fields.type_text = value.into(),
            SharedField::Units => fields.units = value.into(),
            SharedField::Tmax(tmax) => fields.tmax = tmax,
            SharedField::Dmax(dmax) => fields.dmax = dmax,
            SharedField::Slope => fields.slope_text = value.into(),
            SharedField::Source => fields.source = value.into(),
            SharedField::ExtraName(at) => fields.extra[usize::from(at)].0 = value.into(),
            SharedField::ExtraVal(at) => fields.extra[usize::from(at)].1 = value.into(),
            SharedField::ExtraNew => fields.extra.push((value.into(), String::new())),
        }
    }
}
