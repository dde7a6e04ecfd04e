//! What is polled: a source, and where its hosts listen.
//!
//! No I/O: names are resolved elsewhere.

use std::fmt;
use std::time::Duration;

/// One `data_source` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// Its name in the configuration and the log. Its clusters have names of their own.
    pub name: String,
    /// Average time between the starts of polls; at least 1 s.
    pub interval: Duration,
    /// Tried in turn, starting with the last one that answered; never empty.
    pub hosts: Vec<HostPort>,
}

/// Where a gmond or gmetad listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// An IP address without brackets, or a name to resolve.
    pub host: String,
    /// 8649 by default.
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
