//! How documents are read: the configuration's part of it, and the limits of one document.
//!
//! Each limit is named once, here.

use std::sync::Arc;

use crate::model::GridIdentity;
use crate::summary::SummaryFilter;

/// Most bytes of one document.
pub const MAX_DOCUMENT_BYTES: u64 = 1 << 30;

/// Most bytes of one tag; those of a gmond are below 2 KB. A larger one costs its element, not the
/// document. A larger comment or declaration costs nothing.
pub const MAX_TAG_BYTES: usize = 64 << 10;

/// Deepest nesting of elements.
pub(super) const MAX_DEPTH: usize = 64;

/// Most EXTRA_ELEMENTs of one metric.
pub(super) const MAX_EXTRA: usize = 256;

/// Most bytes of the names and values of one metric's EXTRA_ELEMENTs: a metric is written in one
/// step.
pub(super) const MAX_EXTRA_BYTES: usize = 64 << 10;

/// Limits per document. A peer that exceeds one is no gmond. They also bound the time of work that
/// is done for a whole source at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Clusters and grids.
    pub nodes: usize,
    /// Hosts of all clusters together.
    pub hosts: usize,
    /// Names of the metrics of one cluster or grid, including those still known from earlier
    /// documents.
    pub names: usize,
    /// Approximate memory of what was read: hosts, values, and the definitions of each cluster.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            nodes: 1 << 14,
            hosts: 1 << 18,
            names: 1 << 18,
            bytes: 1 << 30,
        }
    }
}

/// What does not change from poll to poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseSettings {
    /// Off: GRID tags are ignored, and the clusters inside are this gmetad's own.
    pub scalable: bool,
    /// On: host names are stored in lower case.
    pub lower_case_hosts: bool,
    /// Which metrics are summed.
    pub filter: Arc<SummaryFilter>,
    /// Limits per document.
    pub limits: Limits,
    /// This gmetad's own grid, which is left out where a source hands it back. `None`: none is.
    pub own_grid: Option<GridIdentity>,
    /// Off: every element is parsed in full. For tests and fuzzers.
    pub fast: bool,
}

impl Default for ParseSettings {
    fn default() -> ParseSettings {
        ParseSettings {
            scalable: true,
            lower_case_hosts: false,
            filter: Arc::default(),
            limits: Limits::default(),
            own_grid: None,
            fast: true,
        }
    }
}
