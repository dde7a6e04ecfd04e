//! Round-robin files, built in.

use super::Removal;

pub use gmetad_rrd::rrdcached::{RrdcachedServer, SessionAnswer, SessionRequest};
pub use gmetad_rrd::{RrdCounters, other_archives, plugins};

pub(super) const LEFT_OUT: Option<Removal> = None;
