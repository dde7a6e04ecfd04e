//! How documents are read: the configuration's part of it, and the limits of one document.
//!
//! Each limit is named once, here.

use std::sync::Arc;

use crate::model::GridIdentity;
use crate::summary::SummaryFilter;

/// Limits per document. A peer that exceeds one is no gmond. They also bound the time of work that
/// is done for a whole source at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the document, as it arrives and unpacked.
    pub document_bytes: u64,
    /// Clusters and grids.
    pub nodes: usize,
    /// Hosts of all clusters together.
    pub hosts: usize,
    /// Names of the metrics of one cluster or grid, including those still known from earlier
    /// documents.
    pub names: usize,
    /// Approximate memory of what was read: hosts, values, and the definitions of each cluster.
    pub bytes: usize,
    /// Bytes of one tag, with its names and values; those of a gmond are below 2 KB. A larger one
    /// costs its element, not the document. A larger comment or declaration costs nothing. The names
    /// and values of one metric's EXTRA_ELEMENTs may have as many together: a metric is written in
    /// one step.
    pub tag_bytes: usize,
    /// EXTRA_ELEMENTs of one metric; more are left out.
    pub extra: usize,
    /// Nesting of elements.
    pub depth: usize,
}

impl Limits {
    /// Unless configured.
    pub const DEFAULT: Limits = Limits {
        document_bytes: 1 << 30,
        nodes: 1 << 14,
        hosts: 1 << 18,
        names: 1 << 18,
        bytes: 1 << 30,
        tag_bytes: 64 << 10,
        extra: 256,
        depth: 64,
    };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::DEFAULT
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
