//! Connections of the plugins that send values on: a backlog and a thread for each server.
//!
//! Knows no protocol. The plugin thread only writes values into the backlog, and waits for nothing:
//! names are looked up, connections made and answers read on the server's own thread, so a server
//! that is away or stuck costs no one else anything, and itself what its backlog cannot hold.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use gmetad_core::status::ExportCounters;

mod backlog;
mod pacing;
mod refusals;
mod sender;
mod stream;
#[cfg(test)]
mod tests;

pub use backlog::Batch;
pub use pacing::{Backoff, Pacing};
pub use refusals::{Target, target};
use sender::Shared;
pub use sender::{Answer, Dialect, Peer};
pub use stream::{Endpoint, Patience, Stream, StreamError};

/// What waits for one server at most: some fourteen minutes of 33,000 metrics every 15 s.
pub const BACKLOG_BYTES: usize = 128 * 1024 * 1024;

/// As much as goes to a stream in one go.
pub const STREAM_BATCH_BYTES: usize = 32 * 1024;

/// As much as goes into a datagram: what crosses every network undivided.
pub const DATAGRAM_BYTES: usize = 1400;

/// How long a connection may stand still.
pub const STALL: Duration = Duration::from_secs(10);

/// How long servers may take for what is left when the daemon ends.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Room for a look-up of a name through whatever the system has for it.
const STACK_BYTES: usize = 256 * 1024;

/// The plugin's end of one server's backlog.
pub struct Connection {
    shared: Arc<Shared>,
    batch_bytes: usize,
    batch: Batch,
}

impl Connection {
    /// Starts the server's thread; nothing is sent before there is something to send.
    pub fn open(
        peer: Peer,
        batch_bytes: usize,
        counters: &Arc<ExportCounters>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(peer.limit_bytes, Arc::clone(counters)));
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name(peer.id.into())
            .stack_size(STACK_BYTES)
            .spawn(move || sender::run(peer, &theirs))?;
        Ok(Connection {
            shared,
            batch_bytes,
            batch: Batch::default(),
        })
    }

    /// Puts one value into the batch on its way, which is handed over when it is full.
    pub fn put(&mut self, item: &[u8]) {
        if !self.batch.bytes.is_empty() && self.batch.bytes.len() + item.len() > self.batch_bytes {
            self.hand_over();
        }
        if self.batch.bytes.capacity() == 0 {
            self.batch.bytes.reserve_exact(self.batch_bytes);
        }
        self.batch.bytes.extend_from_slice(item);
        self.batch.items += 1;
    }

    /// Hands over what there is: an update ends here.
    pub fn hand_over(&mut self) {
        if self.batch.bytes.is_empty() {
            return;
        }
        let mut batch = std::mem::take(&mut self.batch);
        batch.bytes.shrink_to_fit();
        self.shared.put(batch);
    }
}

/// Ends connections: what is left is sent, but not for long.
pub fn close(mut connections: Vec<Connection>) {
    let deadline = Instant::now() + CLOSE_LIMIT;
    for connection in &mut connections {
        connection.hand_over();
        connection.shared.close(deadline);
    }
    // A thread that sits in a look-up cannot be called back: it is left behind for the process's
    // end.
    let grace = deadline + CLOSE_LIMIT / 4;
    for connection in &connections {
        connection.shared.wait_ended(grace);
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counters = &self.shared.counters;
        f.debug_struct("Connection")
            .field("waiting", &counters.waiting_bytes.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}
