//! The keeper's thread: owns the store and what reads the documents that are under way.
//!
//! Does what the loop asks for, in that order. Nothing here waits for anything but the loop.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use mio::Waker;

use super::super::oddities::ClockTrouble;
use super::super::reload::WakeAtEnd;
use super::super::sources::count;
use super::{Ask, Attempt, Brought, Delivery, Odd, Reply, Summed};
use gmetad_core::model::{DefTable, Node, Now, Snapshot};
use gmetad_core::poll::{Failure, Intake, Taken};
use gmetad_core::status::StoreSizes;
use gmetad_core::store::{SourceId, Store};

/// Least time between two snapshots: a new one costs time for each source, changed or not.
const SNAPSHOT_PAUSE: Duration = Duration::from_millis(20);

/// Share of the time that may go into making snapshots: one part in so many.
const SNAPSHOT_SHARE: u32 = 20;

/// A document that is being read.
#[derive(Debug)]
struct Reading {
    attempt: Attempt,
    intake: Intake,
    /// When its last bytes arrived.
    now: Now,
    /// Time spent on the bytes that are not answered yet.
    busy: Duration,
}

/// All of the keeper.
#[derive(Debug)]
pub(super) struct Thread {
    store: Store,
    /// By the source's id.
    names: Vec<Arc<str>>,
    readings: HashMap<SourceId, Reading>,
    /// Those with bytes that were too much work for one go.
    backlog: VecDeque<SourceId>,
    asked: Receiver<Ask>,
    /// Replies that wait until what they tell is shown.
    held: Vec<Reply>,
    /// Whether something has changed since the last snapshot.
    changed: bool,
    next_snapshot: Instant,
    deliver_to: Sender<Delivery>,
    /// Dropped last, so that the loop sees that nothing more will come.
    waker: WakeAtEnd,
}

/// Why to stop: the loop is gone.
struct Gone;

impl Thread {
    pub(super) fn new(
        store: Store,
        asked: Receiver<Ask>,
        deliver_to: Sender<Delivery>,
        waker: Arc<Waker>,
    ) -> Thread {
        Thread {
            store,
            names: Vec::new(),
            readings: HashMap::new(),
            backlog: VecDeque::new(),
            asked,
            held: Vec::new(),
            changed: false,
            next_snapshot: Instant::now(),
            deliver_to,
            waker: WakeAtEnd(waker),
        }
    }

    pub(super) fn start(self) -> io::Result<()> {
        thread::Builder::new()
            .name("keeper".into())
            .spawn(move || self.run())?;
        Ok(())
    }

    fn run(mut self) {
        while self.step().is_ok() {}
    }

    fn step(&mut self) -> Result<(), Gone> {
        if let Some(ask) = self.next()? {
            self.take(ask)?;
        }
        if let Some(id) = self.backlog.pop_front() {
            self.read(id, |intake, now, table| intake.work(now.mono, table))?;
        }
        if self.changed && Instant::now() >= self.next_snapshot {
            self.show()?;
        }
        Ok(())
    }

    /// The next thing to do. Waits for it only while there is nothing else to do.
    fn next(&self) -> Result<Option<Ask>, Gone> {
        if !self.backlog.is_empty() {
            return match self.asked.try_recv() {
                Ok(ask) => Ok(Some(ask)),
                Err(TryRecvError::Empty) => Ok(None),
                Err(TryRecvError::Disconnected) => Err(Gone),
            };
        }
        if !self.changed {
            return self.asked.recv().map(Some).map_err(|_| Gone);
        }
        let pause = self.next_snapshot.saturating_duration_since(Instant::now());
        match self.asked.recv_timeout(pause) {
            Ok(ask) => Ok(Some(ask)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Gone),
        }
    }

    fn take(&mut self, ask: Ask) -> Result<(), Gone> {
        match ask {
            Ask::Begin(id, attempt) => self.begin(id, attempt),
            Ask::Bytes(id, bytes, now) => {
                self.read_at(id, now, |intake, now, table| {
                    intake.bytes(&bytes, now.mono, table)
                })?;
            }
            Ask::End(id, now) => self.read_at(id, now, |intake, _, _| intake.end())?,
            Ask::Abandon(id) => self.abandon(id),
            Ask::Fail(id, key, now) => {
                self.store.fail(id, now);
                let nodes = self.store.nodes_of(id).to_vec().into_iter();
                let nodes = nodes.zip(self.store.stamps_of(id, now)).collect();
                self.hold(Reply::Failed { key, nodes, now });
            }
            Ask::Add(name) => {
                let id = self.store.add_source();
                self.names
                    .resize_with(self.names.len().max(id.0 + 1), Arc::default);
                self.names[id.0] = name;
            }
            Ask::Remove(id, now) => {
                self.store.remove_source(id, now.mono);
                self.changed = true;
            }
            Ask::Reorder(order) => {
                self.store.set_order(order);
                self.changed = true;
            }
            Ask::Reserve(reserved) => self.store.set_reserved(reserved),
            Ask::Identity(identity) => {
                self.store.set_identity(identity);
                self.changed = true;
            }
            Ask::Settings(settings) => {
                self.store.set_settings(settings);
                self.changed = true;
            }
            Ask::Applied(changes) => self.hold(Reply::Applied(changes)),
            Ask::Summarize(now) => self.summarize(now),
            Ask::Expire(id, now) => self.changed |= self.store.expire(id, now.mono),
            Ask::Dispose(rubbish) => drop(rubbish),
        }
        Ok(())
    }

    /// Keeps a reply until what it tells is shown.
    fn hold(&mut self, reply: Reply) {
        self.held.push(reply);
        self.changed = true;
    }

    fn begin(&mut self, id: SourceId, attempt: Attempt) {
        self.abandon(id);
        let reading = Reading {
            attempt,
            intake: Intake::new(self.store.begin(id)),
            now: Now::default(),
            busy: Duration::ZERO,
        };
        self.readings.insert(id, reading);
    }

    fn abandon(&mut self, id: SourceId) {
        if let Some(reading) = self.readings.remove(&id) {
            self.store.abort(id, reading.intake.into_parser());
        }
    }

    fn read_at(
        &mut self,
        id: SourceId,
        now: Now,
        read: impl FnOnce(&mut Intake, Now, &mut DefTable) -> Result<Taken, Failure>,
    ) -> Result<(), Gone> {
        if let Some(reading) = self.readings.get_mut(&id) {
            reading.now = now;
        }
        self.read(id, read)
    }

    /// Reads on in the source's document, and answers if that is all for now.
    fn read(
        &mut self,
        id: SourceId,
        read: impl FnOnce(&mut Intake, Now, &mut DefTable) -> Result<Taken, Failure>,
    ) -> Result<(), Gone> {
        let Some(reading) = self.readings.get_mut(&id) else {
            return Ok(());
        };
        let start = Instant::now();
        let taken = read(&mut reading.intake, reading.now, self.store.table());
        reading.busy += start.elapsed();
        let part = match taken {
            Ok(Taken::More) if reading.intake.has_backlog() => {
                self.backlog.push_back(id);
                return Ok(());
            }
            Ok(Taken::More) => Ok(()),
            Ok(Taken::All) => {
                self.complete(id);
                return Ok(());
            }
            Err(failure) => Err(failure),
        };
        let reply = Reply::Digested {
            attempt: reading.attempt,
            part,
            busy: std::mem::take(&mut reading.busy),
        };
        self.deliver(Delivery {
            shown: None,
            replies: vec![reply],
        })
    }

    /// Stores the document, which is complete.
    fn complete(&mut self, id: SourceId) {
        let Some(reading) = self.readings.remove(&id) else {
            return;
        };
        let Reading {
            attempt,
            intake,
            now,
            busy,
        } = reading;
        let start = Instant::now();
        let (document, wire_bytes) = match intake.finish(now.mono) {
            Ok(finished) => finished,
            // Does not happen: the intake says "all" only for a complete document.
            Err(err) => {
                return self.hold(Reply::Digested {
                    attempt,
                    part: Err(err.into()),
                    busy,
                });
            }
        };
        let (values, bytes, damage) = (document.metrics, document.bytes, document.damage);
        let has_own_grid = document.has_own_grid;
        let (hosts, metrics) = count(&document.nodes);
        let nodes = self.store.commit(id, document, now);
        let stamps = self.store.stamps_of(id, now);
        let odd = Odd {
            has_own_grid,
            clock: ClockTrouble::of(&nodes, &stamps),
            contest: self.store.contest_of(id).cloned(),
            left_out: self.store.left_out_of(id).cloned(),
        };
        let brought = Brought {
            nodes: nodes.into_iter().zip(stamps).collect(),
            hosts,
            metrics,
            values,
            bytes,
            wire_bytes,
            damage,
            odd,
            now,
            busy: busy + start.elapsed(),
        };
        self.hold(Reply::Complete { attempt, brought });
    }

    fn summarize(&mut self, now: Now) {
        let start = Instant::now();
        let summary = self.store.summarize();
        let took = start.elapsed();
        let mut present = Vec::new();
        for &id in self.store.sources() {
            for node in self.store.nodes_of(id) {
                present.push((Arc::clone(&self.names[id.0]), node.name().into()));
            }
        }
        self.hold(Reply::Summed(Summed {
            summary,
            present,
            now,
            took,
        }));
    }

    /// Makes a snapshot and sends it with the replies that wait for it.
    fn show(&mut self) -> Result<(), Gone> {
        let start = Instant::now();
        let snapshot = self.store.snapshot();
        let sizes = sizes(&snapshot, self.store.table().len());
        let end = Instant::now();
        self.next_snapshot = end + SNAPSHOT_PAUSE.max((end - start) * SNAPSHOT_SHARE);
        self.changed = false;
        let replies = std::mem::take(&mut self.held);
        self.deliver(Delivery {
            shown: Some((snapshot, sizes)),
            replies,
        })
    }

    fn deliver(&self, delivery: Delivery) -> Result<(), Gone> {
        self.deliver_to.send(delivery).map_err(|_| Gone)?;
        self.waker.wake();
        Ok(())
    }
}

fn sizes(snapshot: &Snapshot, definitions: usize) -> StoreSizes {
    let mut sizes = StoreSizes {
        definitions,
        hosts_up: snapshot.summary.hosts_up,
        hosts_down: snapshot.summary.hosts_down,
        ..StoreSizes::default()
    };
    for node in &snapshot.nodes {
        match node {
            Node::Cluster(cluster) => {
                sizes.clusters += 1;
                sizes.hosts += cluster.hosts.len();
                sizes.metrics += cluster.metrics.len();
            }
            Node::Grid(_) => sizes.grids += 1,
        }
    }
    sizes
}
