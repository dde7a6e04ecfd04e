//! Links to servers that values are sent to: for each server a backlog, and a thread that sends it.
//!
//! Knows no protocol. The plugin thread only puts values in, and never waits: names are resolved,
//! connections made and answers read on the server's own thread. A server that is away or hangs
//! costs nobody else anything, and itself only what its backlog cannot hold.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use std::time::{Duration, Instant};

use gmetad_core::status::ExportCounters;

mod answer;
mod backlog;
mod batch;
mod connection;
mod datagrams;
mod dialect;
mod error;
mod pacing;
mod refusals;
mod remark;
mod sender;
mod server;
#[cfg(test)]
mod simulation;
mod spool;
#[cfg(test)]
mod tests;
mod thread;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;

#[cfg(test)]
pub(crate) use answer::read_slowly;
pub use answer::{AnswerReader, BatchAnswer};
pub use batch::{Batch, Frame};
pub use connection::{Endpoint, Timeouts};
use dialect::Encoding;
pub use dialect::{Dialect, encoded};
pub use error::LinkError;
pub use pacing::{Backoff, Pacing};
pub use refusals::{Target, target};
#[cfg(not(test))]
use sender::Sender;
#[cfg(test)]
pub(crate) use sender::{Outcome, Sender, Step};
pub use server::{BACKLOG_BYTES, Server, TlsFiles};
#[cfg(test)]
pub(crate) use simulation::seeds;
pub use spool::{Spool, SpoolDisk, SpoolNews, SpoolSettings, lock_folder};
use thread::{Courier, Shared, epoch_ms};
pub use tls::IS_BUILT_IN as HAS_TLS;

/// How long servers may take for what is left when the daemon stops.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Stack of a server's thread; resolving a name takes most of it.
const STACK_BYTES: usize = 256 * 1024;

/// The plugin's end of the way to one server.
pub struct Link {
    shared: Arc<Shared>,
    dialect: Arc<dyn Dialect>,
    batch: Batch,
    encoding: Encoding,
    batch_bytes: usize,
    batch_values: u32,
}

impl Link {
    /// Starts the server's thread, which connects once there is something to send. `id` is the
    /// export's, for the log; `slot` is the server's place in its counters.
    pub fn open(
        id: &'static str,
        server: Server,
        counters: &Arc<ExportCounters>,
        slot: usize,
    ) -> io::Result<Self> {
        let courier = Courier {
            name: (server.name.clone()).unwrap_or_else(|| format!("{id} {}", server.endpoint)),
            tls: client(&server),
            endpoint: server.endpoint.clone(),
            timeouts: server.timeouts,
            dialect: Arc::clone(&server.dialect),
        };
        let dialect = Arc::clone(&server.dialect);
        let (batch_bytes, batch_values) = (server.batch_bytes, server.batch_values);
        let mut sender = Sender::new(server, Arc::clone(counters), slot);
        sender.open(epoch_ms(), Instant::now());
        let shared = Arc::new(Shared::new(sender, Arc::clone(counters)));
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(id.into())
            .stack_size(STACK_BYTES)
            .spawn(move || courier.run(&theirs))?;
        Ok(Link {
            shared,
            dialect,
            batch: Batch::default(),
            encoding: Encoding::default(),
            batch_bytes,
            batch_values,
        })
    }

    /// Adds a value, as the dialect writes one, to the batch. A batch that is full is handed over.
    pub fn put(&mut self, value: &[u8]) {
        let is_full = self.batch.values() >= self.batch_values;
        if is_full || !self.batch.has_room_for(value, self.batch_bytes) {
            self.hand_over();
        }
        self.batch.push(value);
    }

    /// Counts values that the protocol has no way to say.
    pub fn count_failed(&self, values: u64) {
        self.shared.counters().count_failed(values);
    }

    /// Encodes what has been put in, and hands it over to be sent. An update ends so.
    pub fn hand_over(&mut self) {
        if self.batch.values() == 0 {
            return;
        }
        let frame = self.encoding.frame(&self.batch, self.dialect.as_ref());
        self.shared.put(frame, epoch_ms());
        self.batch.clear();
    }
}

/// Who speaks TLS to the server, if that is spoken.
fn client(server: &Server) -> Option<tls::Client> {
    let Endpoint::Tcp(place) = &server.endpoint else {
        return None;
    };
    let files = server.tls.clone()?;
    Some(tls::Client::new(&place.host, files))
}

/// Ends links: what is left is sent, but not for long.
pub fn close(mut links: Vec<Link>) {
    let deadline = Instant::now() + CLOSE_LIMIT;
    for link in &mut links {
        link.hand_over();
        link.shared.close(deadline);
    }
    // A thread that resolves a name cannot be stopped: it ends with the process.
    let grace = deadline + CLOSE_LIMIT / 4;
    for link in &links {
        link.shared.wait_ended(grace);
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = &self.shared.counters().waiting_bytes;
        f.debug_struct("Link")
            .field("waiting", &waiting.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}
