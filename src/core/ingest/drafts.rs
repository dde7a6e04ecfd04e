//! What the tags of open elements say: their attributes, read into drafts.
//!
//! Keeps nothing of the document: where a draft goes is decided in `elements`. Malformed attributes
//! are counted, never an error.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use quick_xml::events::BytesStart;

use super::attributes::{age, each_attribute, signed, unsigned};
use super::build::{ClusterHead, HostHead};
use super::settings::Limits;
use crate::model::{DEFAULT_SOURCE, HostInfo, MetricFields, SummaryBuilder, Via, grid_id};

/// How C gmetad reads a missing text attribute.
const UNSPECIFIED: &str = "unspecified";

/// A grid below, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct GridDraft {
    pub name: String,
    pub authority: String,
    pub localtime: i64,
    /// The gmetads whose sums it holds, itself included.
    pub via: Via,
    /// Whether this gmetad's mark is among its sums.
    pub has_own_mark: bool,
    /// HOSTS and METRICS that the grid gives itself.
    pub own: SummaryBuilder,
    /// The sum of the clusters and grids inside.
    pub below: SummaryBuilder,
}

impl GridDraft {
    /// As a GRID tag says.
    pub fn read(tag: &BytesStart<'_>, damage: &mut u64) -> GridDraft {
        let mut grid = GridDraft::default();
        each_attribute(tag, damage, |name, val, damage| match name {
            "NAME" => val.clone_into(&mut grid.name),
            "AUTHORITY" => val.clone_into(&mut grid.authority),
            "LOCALTIME" => grid.localtime = unsigned(val, damage).into(),
            _ => {}
        });
        grid.via.add(grid_id(&grid.name, &grid.authority), 1);
        grid
    }

    /// Approximate memory of its sums.
    pub fn bytes(&self) -> usize {
        self.own.bytes().saturating_add(self.below.bytes())
    }

    /// Whether nothing was read of what is inside.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.below.is_empty()
    }
}

/// An open METRIC or METRICS element.
#[derive(Debug, Default)]
pub(super) struct MetricDraft {
    pub fields: MetricFields,
    extra_bytes: usize,
    pub val: String,
    pub tn: u32,
    pub num: u32,
}

impl MetricDraft {
    /// With what attributes are taken for that are missing.
    fn new() -> MetricDraft {
        MetricDraft {
            fields: MetricFields {
                source: DEFAULT_SOURCE.into(),
                slope_text: UNSPECIFIED.into(),
                ..MetricFields::default()
            },
            ..MetricDraft::default()
        }
    }

    /// As a METRIC tag says.
    pub fn of_host(tag: &BytesStart<'_>, damage: &mut u64) -> MetricDraft {
        let mut draft = MetricDraft::new();
        each_attribute(tag, damage, |key, val, damage| match key {
            "NAME" => val.clone_into(&mut draft.fields.name),
            "VAL" => val.clone_into(&mut draft.val),
            "TYPE" => val.clone_into(&mut draft.fields.type_text),
            "UNITS" => val.clone_into(&mut draft.fields.units),
            "TN" => draft.tn = age(val, damage),
            "TMAX" => draft.fields.tmax = signed(val, damage),
            "DMAX" => draft.fields.dmax = signed(val, damage),
            "SLOPE" => val.clone_into(&mut draft.fields.slope_text),
            "SOURCE" => val.clone_into(&mut draft.fields.source),
            _ => {}
        });
        draft
    }

    /// As a METRICS tag says: the sum is its value.
    pub fn of_summary(tag: &BytesStart<'_>, damage: &mut u64) -> MetricDraft {
        let mut draft = MetricDraft::new();
        each_attribute(tag, damage, |key, val, damage| match key {
            "NAME" => val.clone_into(&mut draft.fields.name),
            "SUM" => val.clone_into(&mut draft.val),
            "NUM" => draft.num = age(val, damage),
            "TYPE" => val.clone_into(&mut draft.fields.type_text),
            "UNITS" => val.clone_into(&mut draft.fields.units),
            "SLOPE" => val.clone_into(&mut draft.fields.slope_text),
            "SOURCE" => val.clone_into(&mut draft.fields.source),
            _ => {}
        });
        draft
    }

    /// Adds what an EXTRA_ELEMENT tag says, if its metric has room for it.
    pub fn add_extra(&mut self, tag: &BytesStart<'_>, limits: &Limits, damage: &mut u64) {
        let mut pair = (String::new(), String::new());
        each_attribute(tag, damage, |key, val, _| match key {
            "NAME" => val.clone_into(&mut pair.0),
            "VAL" => val.clone_into(&mut pair.1),
            _ => {}
        });
        let bytes = pair.0.len().saturating_add(pair.1.len());
        self.extra_bytes = self.extra_bytes.saturating_add(bytes);
        if self.fields.extra.len() < limits.extra && self.extra_bytes <= limits.tag_bytes {
            self.fields.extra.push(pair);
        } else {
            *damage = damage.saturating_add(1);
        }
    }
}

/// As a CLUSTER tag says.
pub(super) fn cluster_head(tag: &BytesStart<'_>, damage: &mut u64) -> ClusterHead {
    let mut head = ClusterHead {
        name: UNSPECIFIED.into(),
        owner: UNSPECIFIED.into(),
        latlong: UNSPECIFIED.into(),
        url: UNSPECIFIED.into(),
        localtime: 0,
    };
    each_attribute(tag, damage, |name, val, damage| match name {
        "NAME" => val.clone_into(&mut head.name),
        "LOCALTIME" => head.localtime = unsigned(val, damage).into(),
        "OWNER" => val.clone_into(&mut head.owner),
        "LATLONG" => val.clone_into(&mut head.latlong),
        "URL" => val.clone_into(&mut head.url),
        _ => {}
    });
    head
}

/// As a HOST tag says.
pub(super) fn host_head(tag: &BytesStart<'_>, lower_case: bool, damage: &mut u64) -> HostHead {
    let mut head = HostHead::default();
    head.info.location = UNSPECIFIED.into();
    head.info.tags = UNSPECIFIED.into();
    let mut name = String::new();
    each_attribute(tag, damage, |key, val, damage| match key {
        "NAME" => val.clone_into(&mut name),
        "IP" => head.info.ip = val.into(),
        "TAGS" => head.info.tags = val.into(),
        "LOCATION" => head.info.location = val.into(),
        "REPORTED" => head.reported = unsigned(val, damage).into(),
        "TN" => head.tn = age(val, damage),
        "TMAX" => head.info.tmax = signed(val, damage),
        "DMAX" => head.info.dmax = unsigned(val, damage),
        "GMOND_STARTED" => head.info.gmond_started = unsigned(val, damage).into(),
        _ => {}
    });
    if lower_case {
        name = name.to_lowercase();
    }
    head.info = HostInfo {
        name: name.into(),
        ..head.info
    };
    head
}

/// How many hosts are up and how many are down, as a HOSTS tag says.
pub(super) fn numbers_of_hosts(tag: &BytesStart<'_>, damage: &mut u64) -> (u32, u32) {
    let (mut up, mut down) = (0, 0);
    each_attribute(tag, damage, |key, val, damage| match key {
        "UP" => up = unsigned(val, damage),
        "DOWN" => down = unsigned(val, damage),
        _ => {}
    });
    (up, down)
}
