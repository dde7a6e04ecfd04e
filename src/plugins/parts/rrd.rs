//! Round-robin files, built in.

use super::Removal;

pub use gmetad_rrd::rrdcached::{RrdcachedServer, SessionAnswer, SessionRequest};
pub use gmetad_rrd::{Healed, HistoryReader, RrdCounters, other_archives, parts};

pub(super) const LEFT_OUT: Option<Removal> = None;
