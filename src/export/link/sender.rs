//! Decides what is done about a server: connect, send, wait, give up.
//!
//! No I/O, no thread and no clock: a thread asks for the next step, takes it, and says how it went.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::answer::BatchAnswer;
use super::backlog::Backlog;
use super::batch::Frame;
use super::connection::Endpoint;
use super::dialect::Dialect;
use super::error::LinkError;
use super::pacing::Pacing;
use super::refusals::Refusals;
use super::remark::Remark;
use super::server::Server;
use super::spool::{FolderDisk, Spool, SpoolDisk, SpoolNews};
use gmetad_core::complaint::Complaint;
use gmetad_core::status::ExportCounters;

/// Datagrams that are sent without a pause: what a receiver's socket holds by default.
pub(super) const BURST_DATAGRAMS: u32 = 32;
/// The pause after that many.
pub(super) const BURST_PAUSE: Duration = Duration::from_millis(2);
/// How long datagrams go to the address that a name had.
pub(super) const NAME_LIFE: Duration = Duration::from_secs(300);

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing, until there is news or, if given, that time has passed.
    Wait(Option<Duration>),
    /// Close the connection if there is one, and open one. Then [`Sender::connected`].
    Connect,
    /// Send the frame over the connection, and read the answer if there is one. Then
    /// [`Sender::sent`].
    Send(Frame),
    /// Nothing any more: all is sent or given up.
    End,
}

/// How sending a frame went.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The server took it, or said what it refuses.
    Taken(BatchAnswer),
    /// Nothing was sent: the server had closed the connection since the last frame.
    WasClosed,
    /// It is not known what became of it.
    Failed(LinkError),
}

/// The state of one server.
pub(crate) struct Sender {
    backlog: Backlog,
    state: SenderState,
    /// When to give up what is left; set when the daemon stops.
    deadline: Option<Instant>,
    /// Since when there is a connection.
    connected: Option<Instant>,
    dialect: Arc<dyn Dialect>,
    pacing: Box<dyn Pacing>,
    /// Over UDP: datagrams since the last pause.
    burst: Option<u32>,
    /// Bytes that the connection has taken.
    taken_bytes: usize,
    /// Bytes that it may take though the server reads nothing.
    held_bytes: usize,
    health: Health,
    unreachable: Complaint,
    refusals: Refusals,
    full: Complaint,
    /// The disk of the backlog.
    disk: Complaint,
    /// Whether the backlog should be on disk and is not.
    unsaved: bool,
    /// Dropped values that were not logged yet.
    dropped: u64,
    remarks: Vec<Remark>,
    counters: Arc<ExportCounters>,
    /// The server's place in the counters.
    slot: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SenderState {
    /// The oldest frame goes next.
    Ready,
    /// A step is being taken.
    Busy,
    /// The server has failed. It is tried again at this time, or when the daemon stops.
    Paused(Instant),
    /// The receiver of datagrams is given time to read, until then.
    Resting(Instant),
    /// All is sent or given up.
    Ended,
}

/// How the server did last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Well,
    /// It could not be reached, or broke off.
    Failing,
    /// It stood still. A new connection takes bytes all the same, as the systems hold them. So it has
    /// to take more than that, or the server has to close one, before it is well again.
    Hanging,
}

impl Sender {
    pub(crate) fn new(server: Server, counters: Arc<ExportCounters>, slot: usize) -> Sender {
        let disk = server.spool.as_ref().map(|it| FolderDisk::new(&it.folder));
        Sender::with_disk(
            server,
            disk.map(|it| Box::new(it) as Box<_>),
            counters,
            slot,
        )
    }

    /// The same with that disk, if a backlog on disk is configured.
    pub(super) fn with_disk(
        server: Server,
        disk: Option<Box<dyn SpoolDisk>>,
        counters: Arc<ExportCounters>,
        slot: usize,
    ) -> Sender {
        let format = server.dialect.format();
        let backlog = match (disk, &server.spool) {
            (Some(disk), Some(settings)) => {
                Backlog::on_disk(Spool::new(disk, format, settings), server.limit_bytes)
            }
            _ => Backlog::new(server.limit_bytes),
        };
        Sender {
            backlog,
            state: SenderState::Ready,
            deadline: None,
            connected: None,
            dialect: server.dialect,
            pacing: server.pacing,
            burst: matches!(server.endpoint, Endpoint::Udp(_)).then_some(0),
            taken_bytes: 0,
            held_bytes: server.held_bytes,
            health: Health::Well,
            unreachable: Complaint::new(),
            refusals: Refusals::default(),
            full: Complaint::new(),
            disk: Complaint::new(),
            unsaved: false,
            dropped: 0,
            remarks: Vec::new(),
            counters,
            slot,
        }
    }

    /// Reads what an earlier run left on disk.
    pub(super) fn open(&mut self, epoch_ms: u64, now: Instant) {
        if let Some(spool) = self.backlog.spool() {
            spool.is_ready(epoch_ms);
        }
        self.count_waiting(0);
        self.hear_of_disk(now);
    }

    /// A frame is to be sent. The time is for what others are shown.
    pub(crate) fn put(&mut self, frame: Frame, epoch_ms: u64, now: Instant) {
        self.change(|backlog| backlog.put(frame, epoch_ms));
        self.hear_of_disk(now);
    }

    /// The daemon stops: what is left is sent until `deadline`, and given up then or at the next
    /// failure.
    pub(super) fn close(&mut self, deadline: Instant) {
        self.deadline.get_or_insert(deadline);
    }

    /// Whether the daemon is stopping and can wait no longer.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// What to do now. A step other than to wait must be taken before the next is asked for.
    pub(crate) fn next(&mut self, now: Instant) -> Step {
        if self.is_over(now) {
            self.give_up();
        }
        match self.state {
            SenderState::Ended => return Step::End,
            SenderState::Busy => return Step::Wait(None),
            SenderState::Paused(until) if now < until && self.deadline.is_none() => {
                return Step::Wait(Some(until - now));
            }
            SenderState::Resting(until) if now < until => return Step::Wait(Some(until - now)),
            SenderState::Paused(_) | SenderState::Resting(_) | SenderState::Ready => {}
        }
        self.state = SenderState::Ready;
        if self.backlog.is_empty() {
            if self.deadline.is_none() {
                return Step::Wait(None);
            }
            self.state = SenderState::Ended;
            return Step::End;
        }
        self.state = SenderState::Busy;
        if !self.has_connection(now) {
            return Step::Connect;
        }
        let mut frame = None;
        self.change(|backlog| {
            let (taken, lost) = backlog.take();
            frame = taken;
            lost
        });
        self.hear_of_disk(now);
        let Some(frame) = frame else {
            // Nothing of what was on disk could be read.
            self.state = SenderState::Ready;
            return self.next(now);
        };
        Step::Send(frame)
    }

    fn has_connection(&self, now: Instant) -> bool {
        let life = if self.burst.is_some() {
            NAME_LIFE
        } else {
            Duration::MAX
        };
        self.connected
            .is_some_and(|since| now.saturating_duration_since(since) <= life)
    }

    /// A connection was opened, or was not.
    pub(crate) fn connected(&mut self, result: Result<(), LinkError>, now: Instant) {
        match result {
            Ok(()) => {
                self.counters.connects.fetch_add(1, Ordering::Relaxed);
                self.connected = Some(now);
                self.taken_bytes = 0;
                self.state = SenderState::Ready;
            }
            Err(error) => self.failed(&error, now),
        }
    }

    /// A frame was sent, or was not.
    pub(crate) fn sent(&mut self, frame: Frame, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Taken(answer) => {
                let before = self.backlog.bytes();
                let is_again = self.backlog.settle(now);
                self.count_waiting(before);
                self.taken(&frame, &answer, is_again, now);
            }
            Outcome::WasClosed => {
                self.connected = None;
                self.state = SenderState::Ready;
                if self.health == Health::Hanging {
                    self.set_health(Health::Failing);
                }
                self.put_back(frame, true, now);
            }
            Outcome::Failed(error) => {
                let values = u64::from(frame.values);
                self.counters.retried.fetch_add(values, Ordering::Relaxed);
                self.put_back(frame, !matches!(error, LinkError::Busy { .. }), now);
                self.failed(&error, now);
            }
        }
    }

    /// What there is to log.
    pub(crate) fn take_remarks(&mut self) -> Vec<Remark> {
        std::mem::take(&mut self.remarks)
    }

    fn put_back(&mut self, frame: Frame, is_lost: bool, now: Instant) {
        self.change(|backlog| {
            let dropped = backlog.put_back(frame);
            if is_lost {
                backlog.start_again(now);
            }
            dropped
        });
    }

    fn taken(&mut self, frame: &Frame, answer: &BatchAnswer, is_again: bool, now: Instant) {
        self.state = SenderState::Ready;
        if let Some(burst) = &mut self.burst {
            *burst += 1;
            if *burst == BURST_DATAGRAMS {
                *burst = 0;
                self.state = SenderState::Resting(now + BURST_PAUSE);
            }
        }
        let refused = (answer.refused.len() as u32).min(frame.values);
        if is_again {
            // What it took or refused at first was counted then.
            let values = u64::from(frame.values);
            self.counters.retried.fetch_add(values, Ordering::Relaxed);
            self.counters.count_sent(0, frame.bytes.len());
        } else {
            let taken = (frame.values - refused).saturating_sub(answer.left_out);
            self.counters
                .count_sent(u64::from(taken), frame.bytes.len());
            self.counters.count_failed(u64::from(refused));
        }
        self.taken_bytes = self.taken_bytes.saturating_add(frame.bytes.len());
        let is_read = self.taken_bytes > self.held_bytes;
        // Who answers is well, whatever the answer.
        if self.health != Health::Hanging || self.dialect.answers() || is_read {
            self.pacing.succeeded();
            self.set_health(Health::Well);
            if let Some(after) = self.unreachable.recovered(now) {
                self.remarks.push(Remark::Reachable { after });
            }
        }
        self.note_refusals(frame, answer, now);
        self.tell_dropped(now);
    }

    fn failed(&mut self, error: &LinkError, now: Instant) {
        self.connected = None;
        self.set_health(match (error, self.health) {
            (LinkError::Stuck(_), _) => Health::Hanging,
            (error, Health::Hanging) if !error.is_an_end() => Health::Hanging,
            _ => Health::Failing,
        });
        // The daemon does not wait for a server to come back.
        if self.deadline.is_some() {
            return self.give_up();
        }
        if let Some(say) = self.unreachable.failed(now) {
            self.remarks.push(Remark::Unreachable {
                error: error.to_string(),
                say,
                limit_bytes: self.backlog.limit_bytes(),
            });
        }
        self.tell_dropped(now);
        let pause = match error {
            LinkError::Busy { pause, .. } => *pause,
            _ => Duration::ZERO,
        };
        self.state = SenderState::Paused(now + self.pacing.failed().max(pause));
    }

    fn give_up(&mut self) {
        if self.state == SenderState::Ended {
            return;
        }
        self.state = SenderState::Ended;
        let before = self.dropped;
        self.change(Backlog::clear);
        let values = self.dropped - before;
        if values > 0 {
            self.remarks.push(Remark::Lost { values });
        }
        let bytes = self.backlog.bytes();
        if let Some(spool) = self.backlog.spool().filter(|_| bytes > 0) {
            let folder = spool.folder().into();
            self.remarks.push(Remark::Kept { bytes, folder });
        }
    }

    /// What there is to say about the disk of the backlog.
    fn hear_of_disk(&mut self, now: Instant) {
        let memory_bytes = self.backlog.memory_bytes();
        let Some(spool) = self.backlog.spool() else {
            return;
        };
        let folder = spool.folder().to_path_buf();
        let (news, is_failing) = (spool.take_news(), spool.is_failing());
        for news in news {
            let remark = match news {
                SpoolNews::Found(bytes) => Some(Remark::Found {
                    bytes: bytes as usize,
                    folder: folder.clone(),
                }),
                SpoolNews::Failed(error) => self.disk.failed(now).map(|say| Remark::Unsaved {
                    error,
                    say,
                    folder: folder.clone(),
                    limit_bytes: memory_bytes,
                }),
                SpoolNews::Works => (self.disk.recovered(now)).map(|after| Remark::Saved {
                    after,
                    folder: folder.clone(),
                }),
                SpoolNews::Damaged(values, file) => Some(Remark::Damaged { values, file }),
            };
            self.remarks.extend(remark);
        }
        let flags = [self.unsaved, is_failing].map(usize::from);
        add_difference(&self.counters.unsaved, flags[0], flags[1]);
        self.unsaved = is_failing;
    }

    /// Notes what is refused, and what is accepted that was refused.
    fn note_refusals(&mut self, frame: &Frame, answer: &BatchAnswer, now: Instant) {
        let before = self.refusals.len();
        if answer.refused.is_empty() && before == 0 {
            return;
        }
        let targets = self.dialect.targets(frame);
        let remark = if answer.refused.is_empty() {
            let after = self.refusals.accept(&targets, now);
            after.map(|after| Remark::Accepts { after })
        } else {
            let say = self.refusals.refuse(&targets, &answer.refused, now);
            say.map(|say| Remark::Refuses {
                refused: answer.refused.len(),
                sent: frame.values,
                say,
                reason: answer.reason.clone(),
            })
        };
        self.remarks.extend(remark);
        add_difference(&self.counters.refusing, before, self.refusals.len());
    }

    fn tell_dropped(&mut self, now: Instant) {
        let remark = match std::mem::take(&mut self.dropped) {
            // While it cannot be reached, the next frame may well be one too many again.
            0 if self.unreachable.failing() => None,
            0 => (self.full.recovered(now)).map(|after| Remark::HasRoom { after }),
            values => self.full.failed(now).map(|say| Remark::Drops {
                values,
                say,
                limit_bytes: self.backlog.limit_bytes(),
            }),
        };
        self.remarks.extend(remark);
    }

    /// Changes the backlog, and counts what waits and what is dropped.
    fn change(&mut self, work: impl FnOnce(&mut Backlog) -> u64) {
        let before = self.backlog.bytes();
        let dropped = work(&mut self.backlog);
        self.dropped += dropped;
        self.counters.dropped.fetch_add(dropped, Ordering::Relaxed);
        self.count_waiting(before);
    }

    fn count_waiting(&mut self, before: usize) {
        add_difference(&self.counters.waiting_bytes, before, self.backlog.bytes());
        if let Some(since) = self.counters.waiting_since_ms.get(self.slot) {
            since.store(self.backlog.since_ms(), Ordering::Relaxed);
        }
    }

    fn set_health(&mut self, health: Health) {
        let failing = |health| usize::from(health != Health::Well);
        add_difference(
            &self.counters.failing,
            failing(self.health),
            failing(health),
        );
        self.health = health;
    }
}

/// Several servers share the counters, so each adds what has changed.
fn add_difference(counter: &std::sync::atomic::AtomicU64, before: usize, after: usize) {
    if after >= before {
        counter.fetch_add((after - before) as u64, Ordering::Relaxed);
    } else {
        counter.fetch_sub((before - after) as u64, Ordering::Relaxed);
    }
}
