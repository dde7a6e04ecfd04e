//! How a poll went: the document and who gave it, or why each host gave none.
//!
//! Nothing is decided here.

use std::fmt;
use std::time::Duration;

use super::{CONNECT_LIMIT, RESOLVE_LIMIT, SILENCE_LIMIT};
use crate::ingest::inflate::InflateError;
use crate::ingest::{Document, ParseError};
use crate::model::Mono;

/// How a poll went.
#[derive(Debug)]
pub struct Outcome {
    /// When it started.
    pub started: Mono,
    /// Hosts that were tried in vain, in order.
    pub failures: Vec<HostFailure>,
    /// What the last one said, if it said it well.
    pub answer: Option<Answer>,
    /// Starts that have passed meanwhile.
    pub missed: u64,
}

/// A document and where it is from.
#[derive(Debug)]
pub struct Answer {
    /// The host and port that gave it.
    pub host: String,
    /// What it said.
    pub document: Document,
    /// Bytes that came over the network; fewer than the document's where it was gzipped.
    pub wire_bytes: u64,
    /// Whether this is not the host that answered last time.
    pub moved: bool,
}

/// A host that was tried in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFailure {
    /// Host and port, with the address where the host is a name.
    pub host: String,
    /// Why.
    pub reason: Failure,
}

impl fmt::Display for HostFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.host, self.reason)
    }
}

/// Why a host gave no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The resolver said no.
    #[error("the name cannot be resolved: {0}")]
    Unresolved(String),
    /// The resolver said nothing.
    #[error("the name was not resolved within {} s", RESOLVE_LIMIT.as_secs())]
    ResolveTimeout,
    /// No connection came about.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The host does not say whether it takes the connection.
    #[error("no connection within {} s", CONNECT_LIMIT.as_secs())]
    ConnectTimeout,
    /// It took the connection, and that was all.
    #[error("connected, but silent for {} s", SILENCE_LIMIT.as_secs())]
    Silent,
    /// The poll took too long.
    #[error("not done after {} s", .0.as_secs())]
    Overlong(Duration),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The connection was closed before the first byte.
    #[error("closed without a byte; does it trust this machine?")]
    Nothing,
    /// The stream was not gzip as it should be.
    #[error(transparent)]
    Gzip(#[from] InflateError),
    /// The document was not as it should be.
    #[error(transparent)]
    Document(#[from] ParseError),
}
