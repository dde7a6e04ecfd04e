//! A server that values are sent to, and how.
//!
//! Settings only.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::connection::{Endpoint, Timeouts};
use super::dialect::Dialect;
use super::pacing::{Backoff, Pacing};
use super::spool::SpoolSettings;

/// Bytes that wait for a server at most: some fourteen minutes of 33,000 metrics every 15 s, or an hour
/// where they are compressed.
pub const BACKLOG_BYTES: usize = 128 * 1024 * 1024;

/// Bytes of values in a batch that goes to a stream.
const STREAM_BATCH_BYTES: usize = 32 * 1024;

/// Bytes of values in a datagram: what crosses every network undivided.
const DATAGRAM_BYTES: usize = 1400;

/// Bytes that the systems on both ends may take for a process that reads nothing, and as many again:
/// 280 KB were seen.
const HELD_BYTES: usize = 512 * 1024;

/// How long a server may take to accept a connection, if nothing else is configured.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a connection may stand still.
const STALL: Duration = Duration::from_secs(10);

/// Files for TLS, all in PEM. They are read when a connection is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authorities that are trusted; `None`: those that the system trusts.
    pub authorities: Option<PathBuf>,
    /// The certificate that we show, with those that lead to its authority, and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl TlsFiles {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &PathBuf> {
        let client = self.client.iter().flat_map(|(it, key)| [it, key]);
        self.authorities.iter().chain(client)
    }
}

/// A server that values are sent to.
pub struct Server {
    /// The directive that names it.
    pub directive: &'static str,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Over a stream of the network: that TLS is spoken, and the files for it.
    pub tls: Option<TlsFiles>,
    /// Files with a password or a token. They are read for each request.
    pub secrets: Vec<PathBuf>,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// The protocol.
    pub dialect: Arc<dyn Dialect>,
    /// How long to wait after a failure.
    pub pacing: Box<dyn Pacing>,
    /// Bytes of values in a batch, before it is encoded; a larger value is a batch of its own.
    pub batch_bytes: usize,
    /// Values in a batch.
    pub batch_values: u32,
    /// Bytes that wait for it at most, encoded.
    pub limit_bytes: usize,
    /// Where values wait, if that is on disk.
    pub spool: Option<SpoolSettings>,
    /// Bytes that the systems on both ends may take though the server reads nothing.
    pub held_bytes: usize,
    /// What the log calls it; `None`: by the export and where it listens.
    pub name: Option<String>,
}

impl Server {
    /// A server with the usual limits and pauses.
    pub fn new(
        directive: &'static str,
        endpoint: Endpoint,
        dialect: impl Dialect + 'static,
    ) -> Server {
        let batch_bytes = match endpoint {
            Endpoint::Udp(_) => DATAGRAM_BYTES,
            Endpoint::Tcp(_) | Endpoint::Unix(_) => STREAM_BATCH_BYTES,
        };
        Server {
            directive,
            endpoint,
            tls: None,
            secrets: Vec::new(),
            timeouts: Timeouts {
                connect: CONNECT,
                stall: STALL,
            },
            dialect: Arc::new(dialect),
            pacing: Box::new(Backoff::default()),
            batch_bytes,
            batch_values: u32::MAX,
            spool: None,
            held_bytes: HELD_BYTES,
            name: None,
            limit_bytes: BACKLOG_BYTES,
        }
    }
}
