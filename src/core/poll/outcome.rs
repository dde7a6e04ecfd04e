//! The outcome of a poll: a document and its host, or why each host failed.
//!
//! Decides nothing.

use std::fmt;
use std::time::Duration;

use super::limits::{CONNECT_LIMIT, RESOLVE_LIMIT, SILENCE_LIMIT};
use crate::ingest::inflate::InflateError;
use crate::ingest::{Document, ParseError};
use crate::model::Mono;

/// The outcome of a poll.
#[derive(Debug)]
pub struct Outcome {
    /// When it started.
    pub started: Mono,
    /// Hosts that failed, in the order they were tried.
    pub failures: Vec<HostFailure>,
    /// What the last one sent, if it succeeded.
    pub answer: Option<SourceAnswer>,
    /// Starts that passed while the poll ran.
    pub missed: u64,
}

/// A document and its source.
#[derive(Debug)]
pub struct SourceAnswer {
    /// The host and port that gave it.
    pub host: String,
    /// What it sent.
    pub document: Document,
    /// Bytes received over the network; fewer than the document's if it was gzipped.
    pub wire_bytes: u64,
    /// Whether another host or address answered last time.
    pub moved: bool,
}

/// A host that failed.
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

/// Why a host failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The resolver reported an error.
    #[error("the name cannot be resolved: {0}")]
    Unresolved(String),
    /// The resolver did not answer.
    #[error("the name was not resolved within {} s", RESOLVE_LIMIT.as_secs())]
    ResolveTimeout,
    /// The connection failed.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The host did not answer.
    #[error("no connection within {} s", CONNECT_LIMIT.as_secs())]
    ConnectTimeout,
    /// It accepted the connection and sent nothing.
    #[error("connected, but silent for {} s", SILENCE_LIMIT.as_secs())]
    Silent,
    /// The poll took too long.
    #[error("the poll was not complete after {} s", .0.as_secs())]
    Overlong(Duration),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The connection was closed before the first byte.
    #[error("closed without sending a byte; does it trust this machine?")]
    Nothing,
    /// The gzip stream is malformed.
    #[error(transparent)]
    Gzip(#[from] InflateError),
    /// The document was rejected.
    #[error(transparent)]
    Document(#[from] ParseError),
}
