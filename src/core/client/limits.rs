//! What a client may take: bytes and time; and why it was let go if it took more.

use std::time::Duration;

/// Longest request line, without its end, unless configured.
pub const MAX_LINE_BYTES: usize = 2048;

/// Time for the request, unless configured.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// Time for the rest of an HTTP request after its first line. Nothing in the rest is needed, so the
/// request is answered without it then. C gmetad reads no more than the line either.
pub const HEAD_LIMIT: Duration = Duration::from_secs(1);

/// Time for a client to take the next bytes of its answer, unless configured.
pub const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Time for the whole answer, unless configured; more for a long one, see `MIN_BYTES_PER_SEC`.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Average rate that a client must reach once `ANSWER_LIMIT` has passed. It bounds how long a
/// snapshot is held, and so how many snapshots there are.
pub const MIN_BYTES_PER_SEC: u64 = 64 << 10;

/// Time for a client to close its side once it has its answer.
pub const LINGER_LIMIT: Duration = Duration::from_secs(2);

/// Most bytes that a client may send beside its request.
pub const MAX_STRAY_BYTES: usize = 64 << 10;

/// Most bytes of an answer that are made at a time.
pub const OUT_BYTES: usize = 64 << 10;

/// Making them should take no longer: others wait for it.
pub const SLICE_TIME: Duration = Duration::from_micros(200);

/// So many are made at a time, however long it takes.
pub(super) const LEAST_SLICE_BYTES: usize = 2 << 10;

/// How many are made at first of what another thread has prepared: pages are slowly made.
pub(super) const FIRST_SLICE_BYTES: usize = 8 << 10;

/// The head of a request may be so much longer than its line.
const FIELDS_BYTES: usize = 6 << 10;

/// Time after which a client that has taken nothing takes too little: it may have to make room.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// The limits that are configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest request line, without its end.
    pub line_bytes: usize,
    /// Time for the request.
    pub request: Duration,
    /// Time for a client to take the next bytes of its answer.
    pub stall: Duration,
    /// Time for the whole answer; more for a long one, see [`MIN_BYTES_PER_SEC`].
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            line_bytes: MAX_LINE_BYTES,
            request: REQUEST_LIMIT,
            stall: STALL_LIMIT,
            answer: ANSWER_LIMIT,
        }
    }
}

impl Limits {
    /// Longest head of a request, with its line and line ends.
    pub fn head_bytes(self) -> usize {
        self.line_bytes + FIELDS_BYTES
    }
}

/// Why a connection was closed before the client had its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The request line is too long.
    #[error("its request line is longer than {0} bytes")]
    LongLine(usize),
    /// A TLS handshake, which is neither a request nor the start of a name.
    #[error("it speaks TLS, as for https; this port has no TLS")]
    Tls,
    /// No request within the time limit.
    #[error("it sent no request for {0} s")]
    NoRequest(u64),
    /// It takes nothing of its answer.
    #[error("it took nothing of its answer for {0} s")]
    Stalled(u64),
    /// It takes its answer too slowly.
    #[error("it took its answer too slowly, less than {MIN_BYTES_PER_SEC} bytes a second")]
    Slow,
    /// It is slow, and its snapshot is one of too many old ones.
    #[error("it took its answer too slowly: too many old snapshots were kept for such clients")]
    Outlived,
    /// It closed the connection.
    #[error("it closed the connection before it had its answer")]
    Gone,
}
