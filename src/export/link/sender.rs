//! The thread of one server: takes batches from the backlog and sees them through to the server.
//!
//! What the batches say is the plugin's; what stands around them, the dialect's.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::backlog::{Backlog, Batch};
use super::pacing::Pacing;
use super::refusals::{Refusals, Target};
use super::stream::{Endpoint, Patience, Stream, StreamError};
use gmetad_core::complaint::{Complaint, Say, span};
use gmetad_core::status::ExportCounters;

/// Datagrams that follow one another without a pause: what a receiver's socket holds by default.
const BURST_DATAGRAMS: u32 = 32;
/// The pause after that many.
const BURST_PAUSE: Duration = Duration::from_millis(2);
/// After this long, a name that datagrams go to is looked up again.
const NAME_LIFE: Duration = Duration::from_secs(300);

/// What goes around a batch, and what the server says to it.
pub trait Dialect: Send {
    /// Before the batch's own bytes.
    fn opening(&self, batch: &Batch, wire: &mut Vec<u8>) {
        let _ = (batch, wire);
    }

    /// After them.
    fn closing(&self) -> &'static [u8] {
        b""
    }

    /// Whether the server answers at all. If not, it is only looked whether it is still there.
    fn answers(&self) -> bool {
        false
    }

    /// Reads the answer to a batch that has been sent.
    fn answer(&self, stream: &mut Stream<'_>, batch: &Batch) -> Result<Answer, StreamError> {
        let _ = (stream, batch);
        Ok(Answer::default())
    }

    /// What each of a batch's values is for, in their order; asked for only while something is
    /// refused, so that it is known when that is taken.
    fn targets(&self, batch: &Batch) -> Vec<Target> {
        vec![0; batch.items as usize]
    }
}

/// What a server said to a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Places in the batch, from 0, of the values it did not take, and will not take a second time.
    pub refused: Vec<u32>,
    /// Values it left out for a reason that is counted and told elsewhere.
    pub passed: u32,
    /// Why, in its words, the first of them.
    pub reason: String,
}

/// Whom to send to, and how.
pub struct Peer {
    /// Of the plugin, for the log.
    pub id: &'static str,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// How long it may take.
    pub patience: Patience,
    /// What goes around a batch.
    pub dialect: Box<dyn Dialect>,
    /// How long it is left alone after a failure.
    pub pacing: Box<dyn Pacing>,
    /// Bytes that wait for it at most.
    pub limit_bytes: usize,
}

/// What the plugin thread and the sender's thread share.
pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    changed: Condvar,
    pub(super) counters: Arc<ExportCounters>,
}

struct Inbox {
    backlog: Backlog,
    /// Since the last one that was told.
    dropped: u64,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Batches come and go.
    Open,
    /// No more come; what is left is given up at this moment.
    Closing(Instant),
    /// The thread has ended.
    Ended,
}

impl Shared {
    pub(super) fn new(limit_bytes: usize, counters: Arc<ExportCounters>) -> Shared {
        Shared {
            inbox: Mutex::new(Inbox {
                backlog: Backlog::new(limit_bytes),
                dropped: 0,
                phase: Phase::Open,
            }),
            changed: Condvar::new(),
            counters,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        // Every change under the lock is whole, so one who panicked left nothing half done.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, batch: Batch) {
        let mut inbox = self.lock();
        let before = inbox.backlog.bytes();
        let dropped = inbox.backlog.put(batch);
        inbox.dropped += dropped;
        self.count_waiting(before, inbox.backlog.bytes());
        self.counters.dropped.fetch_add(dropped, Ordering::Relaxed);
        drop(inbox);
        self.changed.notify_all();
    }

    pub(super) fn close(&self, deadline: Instant) {
        let mut inbox = self.lock();
        if inbox.phase == Phase::Open {
            inbox.phase = Phase::Closing(deadline);
        }
        drop(inbox);
        self.changed.notify_all();
    }

    /// Waits for the thread to end, until then at most; whether it has.
    pub(super) fn wait_ended(&self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        let wait = self
            .changed
            .wait_timeout_while(self.lock(), left, |inbox| inbox.phase != Phase::Ended);
        wait.unwrap_or_else(PoisonError::into_inner).0.phase == Phase::Ended
    }

    /// The next batch; none when all is done.
    fn take(&self) -> Option<Batch> {
        let inbox = self.changed.wait_while(self.lock(), |inbox| {
            inbox.backlog.bytes() == 0 && inbox.phase == Phase::Open
        });
        let mut inbox = inbox.unwrap_or_else(PoisonError::into_inner);
        let before = inbox.backlog.bytes();
        let batch = inbox.backlog.take();
        self.count_waiting(before, inbox.backlog.bytes());
        batch
    }

    /// Sleeps, unless the daemon ends meanwhile.
    fn pause(&self, length: Duration) {
        let wait = self
            .changed
            .wait_timeout_while(self.lock(), length, |inbox| inbox.phase == Phase::Open);
        drop(wait);
    }

    fn is_closing(&self) -> bool {
        self.lock().phase != Phase::Open
    }

    fn is_over(&self) -> bool {
        matches!(self.lock().phase, Phase::Closing(deadline) if Instant::now() >= deadline)
    }

    fn dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    /// Gives up what is left; how many values that are.
    fn give_up(&self) -> u64 {
        let mut inbox = self.lock();
        self.count_waiting(inbox.backlog.bytes(), 0);
        inbox.backlog.clear()
    }

    fn end(&self) {
        self.lock().phase = Phase::Ended;
        self.changed.notify_all();
    }

    /// Several servers may share the counters, so differences are added.
    fn count_waiting(&self, before: usize, after: usize) {
        let waiting = &self.counters.waiting_bytes;
        if after >= before {
            waiting.fetch_add((after - before) as u64, Ordering::Relaxed);
        } else {
            waiting.fetch_sub((before - after) as u64, Ordering::Relaxed);
        }
    }
}

/// Runs until the backlog is closed.
pub(super) fn run(mut peer: Peer, shared: &Shared) {
    let ending = || shared.is_over();
    let mut sender = Sender {
        shared,
        ending: &ending,
        stream: None,
        opened: Instant::now(),
        in_burst: 0,
        wire: Vec::new(),
        unreachable: Complaint::new(),
        refusals: Refusals::default(),
        full: Complaint::new(),
        name: format!("{} {}", peer.id, peer.endpoint),
        peer: &mut peer,
    };
    let mut lost = 0;
    while let Some(batch) = shared.take() {
        if !sender.see_through(&batch) {
            lost += u64::from(batch.items);
            break;
        }
        sender.tell_dropped();
    }
    lost += shared.give_up();
    if lost > 0 {
        shared.counters.dropped.fetch_add(lost, Ordering::Relaxed);
        log::error!(
            "{}: {lost} values were not taken before the end, and are lost",
            sender.name
        );
    }
    shared.end();
}

struct Sender<'a> {
    shared: &'a Shared,
    ending: &'a (dyn Fn() -> bool + Send + Sync),
    /// For the log.
    name: String,
    peer: &'a mut Peer,
    stream: Option<Stream<'a>>,
    opened: Instant,
    in_burst: u32,
    wire: Vec<u8>,
    unreachable: Complaint,
    refusals: Refusals,
    full: Complaint,
}

impl Sender<'_> {
    /// Tries until the server has taken the batch or refused it; false if the daemon ends first.
    fn see_through(&mut self, batch: &Batch) -> bool {
        loop {
            let start = Instant::now();
            let result = self.try_once(batch);
            let busy = start.elapsed().as_micros() as u64;
            let counters = &self.shared.counters;
            counters.busy_us.fetch_add(busy, Ordering::Relaxed);
            counters.failing.store(result.is_err(), Ordering::Relaxed);
            match result {
                Ok(answer) => {
                    self.taken(batch, &answer);
                    return true;
                }
                Err(StreamError::Ending) => return false,
                Err(error) => {
                    self.stream = None;
                    // What it had left is tried once more, at the end, but not twice.
                    if self.shared.is_closing() {
                        return false;
                    }
                    self.tell_unreachable(&error);
                    self.tell_dropped();
                    self.shared.pause(self.peer.pacing.failed());
                }
            }
        }
    }

    fn try_once(&mut self, batch: &Batch) -> Result<Answer, StreamError> {
        let is_udp = matches!(self.peer.endpoint, Endpoint::Udp(_));
        if is_udp && self.opened.elapsed() > NAME_LIFE {
            self.stream = None;
        }
        let answers = self.peer.dialect.answers();
        // A server that ended while there was nothing to send would swallow the first batch.
        if !answers && self.stream.as_mut().is_some_and(Stream::is_closed) {
            self.stream = None;
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = Stream::open(&self.peer.endpoint, self.peer.patience, self.ending)?;
                self.opened = Instant::now();
                self.shared
                    .counters
                    .connects
                    .fetch_add(1, Ordering::Relaxed);
                none.insert(stream)
            }
        };
        self.wire.clear();
        self.peer.dialect.opening(batch, &mut self.wire);
        if self.wire.is_empty() && self.peer.dialect.closing().is_empty() {
            stream.send(&batch.bytes)?;
        } else {
            self.wire.extend_from_slice(&batch.bytes);
            self.wire.extend_from_slice(self.peer.dialect.closing());
            stream.send(&self.wire)?;
        }
        if is_udp {
            self.in_burst += 1;
            if self.in_burst == BURST_DATAGRAMS {
                self.in_burst = 0;
                thread::sleep(BURST_PAUSE);
            }
        }
        if answers {
            self.peer.dialect.answer(stream, batch)
        } else {
            Ok(Answer::default())
        }
    }

    fn taken(&mut self, batch: &Batch, answer: &Answer) {
        let refused = (answer.refused.len() as u32).min(batch.items);
        let taken = (batch.items - refused).saturating_sub(answer.passed);
        let counters = &self.shared.counters;
        counters.count_sent(u64::from(taken), batch.bytes.len(), now_ms());
        counters.count_failed(u64::from(refused));
        // Whoever answers is there, whatever the answer.
        self.peer.pacing.succeeded();
        let (name, now) = (&self.name, Instant::now());
        if let Some(lasted) = self.unreachable.recovered(now) {
            gmetad_core::recovered!(error: "{name}: takes values again, after {}", span(lasted));
        }
        self.learn(batch, answer, now);
    }

    /// Notes what was refused, and what is taken that was; says so when it begins and ends.
    fn learn(&mut self, batch: &Batch, answer: &Answer, now: Instant) {
        let before = self.refusals.len();
        if answer.refused.is_empty() && before == 0 {
            return;
        }
        let sent = self.peer.dialect.targets(batch);
        let (name, refusals) = (&self.name, &mut self.refusals);
        if answer.refused.is_empty() {
            if let Some(lasted) = refusals.accept(&sent, now) {
                gmetad_core::recovered!(error: "{name}: takes what it refused, after {}", span(lasted));
            }
        } else if let Some(say) = refusals.refuse(&sent, &answer.refused, now) {
            log::error!(
                "{name}: refuses values{}, {} of {} just now, and takes the others; the first: {}",
                still(say),
                answer.refused.len(),
                batch.items,
                answer.reason
            );
        }
        let refusing = &self.shared.counters.refusing;
        if refusals.len() >= before {
            refusing.fetch_add((refusals.len() - before) as u64, Ordering::Relaxed);
        } else {
            refusing.fetch_sub((before - refusals.len()) as u64, Ordering::Relaxed);
        }
    }

    fn tell_unreachable(&mut self, error: &StreamError) {
        let (name, limit_bytes) = (&self.name, self.peer.limit_bytes);
        if let Some(say) = self.unreachable.failed(Instant::now()) {
            log::error!(
                "{name}: {error}{}; up to {} KiB of values wait for it",
                still(say),
                limit_bytes / 1024
            );
        }
    }

    fn tell_dropped(&mut self) {
        let name = &self.name;
        let dropped = self.shared.dropped();
        if dropped == 0 {
            if !self.unreachable.failing()
                && let Some(lasted) = self.full.recovered(Instant::now())
            {
                gmetad_core::recovered!(
                    error: "{name}: nothing is dropped any more, after {}",
                    span(lasted)
                );
            }
        } else if let Some(say) = self.full.failed(Instant::now()) {
            log::error!(
                "{name}: too much waits for it{}; the oldest {dropped} values are dropped",
                still(say)
            );
        }
    }
}

/// How long a failure has lasted that is told anew.
fn still(say: Say) -> String {
    match say {
        Say::First => String::new(),
        Say::Still { lasted, .. } => format!(", for {} now", span(lasted)),
    }
}

/// Milliseconds since the epoch; a clock set before it gives 0.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_millis() as u64
}
