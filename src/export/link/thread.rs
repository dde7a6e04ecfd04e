//! The thread of one server: takes the sender's steps, and carries its bytes.
//!
//! Decides nothing.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::answer::BatchAnswer;
use super::batch::Frame;
use super::connection::{Connection, Endpoint, IsOver, Timeouts};
use super::dialect::Dialect;
use super::error::LinkError;
use super::sender::{Outcome, Sender, Step};
use super::tls::Client;
use gmetad_core::status::ExportCounters;

/// What the plugin thread and the server's thread share.
pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    changed: Condvar,
    counters: Arc<ExportCounters>,
}

struct Inbox {
    sender: Sender,
    /// Whether the server's thread has ended.
    ended: bool,
}

impl Shared {
    pub(super) fn new(sender: Sender, counters: Arc<ExportCounters>) -> Shared {
        let inbox = Inbox {
            sender,
            ended: false,
        };
        Shared {
            inbox: Mutex::new(inbox),
            changed: Condvar::new(),
            counters,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        // The sender's state is whole between its calls, none of which panics.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counters(&self) -> &ExportCounters {
        &self.counters
    }

    pub(super) fn put(&self, frame: Frame, epoch_ms: u64) {
        self.lock().sender.put(frame, epoch_ms, Instant::now());
        self.changed.notify_all();
    }

    pub(super) fn close(&self, deadline: Instant) {
        self.lock().sender.close(deadline);
        self.changed.notify_all();
    }

    /// Waits for the thread to end, until then at most.
    pub(super) fn wait_ended(&self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        let wait = self
            .changed
            .wait_timeout_while(self.lock(), left, |inbox| !inbox.ended);
        drop(wait);
    }

    /// Waits for the next step that is something to do.
    fn next(&self) -> Step {
        let mut inbox = self.lock();
        loop {
            match inbox.sender.next(Instant::now()) {
                Step::Wait(Some(time)) => {
                    let wait = self.changed.wait_timeout(inbox, time);
                    inbox = wait.unwrap_or_else(PoisonError::into_inner).0;
                }
                Step::Wait(None) => {
                    let wait = self.changed.wait(inbox);
                    inbox = wait.unwrap_or_else(PoisonError::into_inner);
                }
                step => return step,
            }
        }
    }

    fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }
}

/// What the thread knows of its server.
pub(super) struct Courier {
    /// For the log.
    pub(super) name: String,
    pub(super) endpoint: Endpoint,
    pub(super) tls: Option<Client>,
    pub(super) timeouts: Timeouts,
    pub(super) dialect: Arc<dyn Dialect>,
}

impl Courier {
    /// Runs until all is sent or given up.
    pub(super) fn run(&self, shared: &Shared) {
        let is_over = || shared.lock().sender.is_over(Instant::now());
        let mut connection = None;
        let mut request = Vec::new();
        self.log_remarks(shared);
        loop {
            let step = shared.next();
            let start = Instant::now();
            match step {
                Step::Connect => self.connect(&mut connection, &is_over, shared),
                Step::Send(frame) => self.send(&mut connection, frame, &mut request, shared),
                Step::Wait(_) | Step::End => {
                    self.log_remarks(shared);
                    return shared.end();
                }
            }
            let busy = start.elapsed().as_micros() as u64;
            shared.counters.busy_us.fetch_add(busy, Ordering::Relaxed);
            self.log_remarks(shared);
        }
    }

    fn connect<'a>(
        &self,
        connection: &mut Option<Connection<'a>>,
        is_over: &'a IsOver<'a>,
        shared: &Shared,
    ) {
        *connection = None;
        let result = Connection::open(&self.endpoint, self.tls.as_ref(), self.timeouts, is_over)
            .map(|opened| *connection = Some(opened));
        let now = Instant::now();
        shared.lock().sender.connected(result, now);
    }

    /// Sends a frame; `request` is kept from one to the next.
    fn send(
        &self,
        connection: &mut Option<Connection<'_>>,
        frame: Frame,
        request: &mut Vec<u8>,
        shared: &Shared,
    ) {
        let outcome = match connection {
            Some(connection) => self.carry(connection, &frame, request),
            None => Outcome::WasClosed,
        };
        let (was_taken, stays_open) = match &outcome {
            Outcome::Taken(answer) => (true, !answer.closes),
            Outcome::WasClosed | Outcome::Failed(_) => (false, false),
        };
        if was_taken {
            let last = &shared.counters.last_ms;
            last.store(epoch_ms(), Ordering::Relaxed);
        }
        if !stays_open {
            *connection = None;
        }
        let now = Instant::now();
        shared.lock().sender.sent(frame, outcome, now);
    }

    fn carry(
        &self,
        connection: &mut Connection<'_>,
        frame: &Frame,
        request: &mut Vec<u8>,
    ) -> Outcome {
        // A server that ended while there was nothing to send would swallow the first frame.
        if connection.is_closed() {
            return Outcome::WasClosed;
        }
        let answer = self.write(connection, frame, request).and_then(|()| {
            if self.dialect.answers() {
                connection.answer(|reader| self.dialect.answer(reader, frame))
            } else {
                Ok(BatchAnswer::default())
            }
        });
        answer.map_or_else(Outcome::Failed, Outcome::Taken)
    }

    fn write(
        &self,
        connection: &mut Connection<'_>,
        frame: &Frame,
        request: &mut Vec<u8>,
    ) -> Result<(), LinkError> {
        request.clear();
        self.dialect.head(frame, request)?;
        if request.is_empty() {
            return connection.send(&frame.bytes);
        }
        request.extend_from_slice(&frame.bytes);
        connection.send(request)
    }

    fn log_remarks(&self, shared: &Shared) {
        let remarks = shared.lock().sender.take_remarks();
        for remark in remarks {
            remark.log(&self.name);
        }
    }
}

/// Milliseconds since the epoch; 0 for a clock set before it.
pub(super) fn epoch_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_millis() as u64
}
