//! Round-robin files, built in.

use super::Removal;

pub use gmetad_rrd::rrdcached::protocol::SessionNext;
pub use gmetad_rrd::rrdcached::{RrdcachedServer, SessionAnswer, SessionRequest};
pub use gmetad_rrd::{RrdCounters, other_archives, plugins};

pub(super) const LEFT_OUT: Option<Removal> = None;

/// The request for the plugin thread that a client of the rrdcached socket has sent, or its end.
pub fn request(client: u64, bytes: Vec<u8>, gone: bool) -> Option<SessionRequest> {
    Some(SessionRequest {
        client,
        bytes,
        gone,
    })
}
