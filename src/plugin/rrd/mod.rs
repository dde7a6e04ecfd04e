//! Round-robin files: each host's metrics, and the sums of each node and of everything.
//!
//! Two plugins over one [`archive`]: `rrd` and `rrdsummary`. The layout is the one that existing
//! graphs depend on:
//!
//! ```text
//! ROOT/NODE/HOST/METRIC.rrd              DS sum
//! ROOT/NODE/__SummaryInfo__/METRIC.rrd   DS sum, num
//! ROOT/__SummaryInfo__/METRIC.rrd        DS sum, num
//! ```
//!
//! Updates go into the files, or to an rrdcached that is configured.

use std::sync::Arc;

use super::Plugin;
use crate::config::Config;

mod archive;
mod daemon;
mod digest;
mod hosts;
mod librrd;
mod paths;
mod samples;
mod sums;
mod writer;

pub use writer::{RrdCounters, RrdStatus};

/// The plugins `rrd` and `rrdsummary`, which share what they know of files.
pub(super) fn plugins(config: &Config, counters: &Arc<RrdCounters>) -> [Box<dyn Plugin>; 2] {
    let archive = archive::SharedArchive::new(config, Arc::clone(counters));
    [
        Box::new(hosts::HostFiles::new(archive.clone())),
        Box::new(sums::SumFiles::new(archive)),
    ]
}
