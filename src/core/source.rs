//! What is polled: a source, and where its hosts listen.
//!
//! No I/O: names are resolved elsewhere.

use std::fmt;
use std::time::Duration;

/// One `data_source` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// Its name in the file and in the log, not that of the cluster it brings.
    pub name: String,
    /// Average time between the starts of two polls; at least 1 s.
    pub interval: Duration,
    /// Tried in turn, from the last good one; never empty.
    pub hosts: Vec<HostPort>,
}

/// Where a gmond or gmetad listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// An address in its literal form, without brackets, or a name to be resolved.
    pub host: String,
    /// 8649 where the file says none.
    pub port: u16,
}

impl fmt::Display for HostPort {
    /// `host:port`, an IPv6 address in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
