//! The loop's side of the keeper: the thread that owns the store, reads documents and stores them.
//!
//! Whatever a document brings costs time there and not here. Nothing here waits for it.

mod thread;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use mio::Waker;

use self::thread::Thread;
use super::oddities::ClockTrouble;
use super::slots::Key;
use gmetad_config::reload::Changes;
use gmetad_core::ingest::ParseSettings;
use gmetad_core::model::{GridIdentity, Node, Now, Snapshot, Stamp, Summary};
use gmetad_core::poll::Failure;
use gmetad_core::status::StoreSizes;
use gmetad_core::store::{Contest, LeftOut, Reserved, SourceId, SourceOrder, Store};

/// Which connection of which source it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// The source's slot.
    pub(super) key: Key,
    /// The number of the connection, which no other has.
    pub(super) number: u64,
}

/// What the keeper is to do. It does all in this order.
#[derive(Debug)]
pub(super) enum Ask {
    /// A connection is established: its document begins.
    Begin(SourceId, Attempt),
    /// The next bytes. Answered by `Digested` or `Complete`.
    Bytes(SourceId, Vec<u8>, Now),
    /// The peer has closed the connection. Answered in the same way.
    End(SourceId, Now),
    /// The document is given up.
    Abandon(SourceId),
    /// The poll failed. Answered by `Failed`.
    Fail(SourceId, Key, Now),
    /// Add a source of that name. Its id is what `SourceOrder` says.
    Add(Arc<str>),
    /// Remove one.
    Remove(SourceId, Now),
    /// The sources are shown in this order from now on.
    Reorder(Vec<SourceId>),
    /// Only these sources may bring these names from now on.
    Reserve(Reserved),
    /// The root grid has changed.
    Identity(GridIdentity),
    /// Documents are read in another way from now on.
    Settings(Arc<ParseSettings>),
    /// Another configuration was applied by what was asked before. Answered by `Applied`.
    Applied(Box<Changes>),
    /// Sum all sources up. Answered by `Summed`.
    Summarize(Now),
    /// Drop what of the source is past its DMAX.
    Expire(SourceId, Now),
    /// Drop this: it may be large.
    Dispose(Rubbish),
}

/// What is dropped where it keeps nobody waiting.
pub(super) struct Rubbish(#[expect(dead_code, reason = "it is only dropped")] Box<dyn Send>);

impl std::fmt::Debug for Rubbish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rubbish")
    }
}

/// What the keeper has done.
#[derive(Debug)]
pub(super) enum Reply {
    /// The bytes were a part of a document, or are why there is none.
    Digested {
        attempt: Attempt,
        part: Result<(), Failure>,
        busy: Duration,
    },
    /// The document is complete and is shown.
    Complete { attempt: Attempt, brought: Brought },
    /// The source is marked down.
    Failed {
        key: Key,
        /// What it has brought before.
        nodes: Vec<(Node, Stamp)>,
        now: Now,
    },
    /// All sources were summed up.
    Summed(Summed),
    /// The configuration is in force in all that is shown.
    Applied(Box<Changes>),
}

/// All sources, summed up.
#[derive(Debug)]
pub(super) struct Summed {
    pub(super) summary: Arc<Summary>,
    /// The clusters and grids of each source, by their names.
    pub(super) present: Vec<(Arc<str>, Box<str>)>,
    pub(super) now: Now,
    pub(super) took: Duration,
}

/// What a document brought.
#[derive(Debug)]
pub(super) struct Brought {
    /// Its clusters and grids as they are shown.
    pub(super) nodes: Vec<(Node, Stamp)>,
    /// Its own hosts.
    pub(super) hosts: usize,
    /// Their metrics.
    pub(super) metrics: usize,
    /// Values that it held.
    pub(super) values: u64,
    pub(super) bytes: u64,
    pub(super) wire_bytes: u64,
    pub(super) damage: u64,
    pub(super) odd: Odd,
    pub(super) now: Now,
    /// Time spent on its last bytes and its end.
    pub(super) busy: Duration,
}

/// What is odd about a document.
#[derive(Debug)]
pub(super) struct Odd {
    pub(super) has_own_grid: bool,
    pub(super) clock: Option<ClockTrouble>,
    /// What it brought that stays with another source.
    pub(super) contest: Option<Contest>,
    /// What is left out, as it is reserved for others.
    pub(super) left_out: Option<LeftOut>,
}

/// What is sent to the loop at a time.
#[derive(Debug, Default)]
struct Delivery {
    /// Where something has changed: what is shown from now on.
    shown: Option<(Arc<Snapshot>, StoreSizes)>,
    replies: Vec<Reply>,
}

/// The loop's hold on the keeper.
#[derive(Debug)]
pub(super) struct Keeper {
    asks: Sender<Ask>,
    deliveries: Receiver<Delivery>,
    /// Until it is started.
    thread: Option<Thread>,
    is_gone: bool,
    /// The same sources as in the store.
    order: SourceOrder,
    snapshot: Arc<Snapshot>,
    sizes: StoreSizes,
    attempts: u64,
}

impl Keeper {
    /// A keeper of an empty store, not yet started.
    pub(super) fn new(mut store: Store, waker: Arc<Waker>) -> Keeper {
        let (asks, asked) = channel();
        let (deliver_to, deliveries) = channel();
        Keeper {
            asks,
            deliveries,
            snapshot: store.snapshot(),
            thread: Some(Thread::new(store, asked, deliver_to, waker)),
            is_gone: false,
            order: SourceOrder::default(),
            sizes: StoreSizes::default(),
            attempts: 0,
        }
    }

    /// Starts its thread. What was asked before is done first.
    pub(super) fn start(&mut self) -> io::Result<()> {
        match self.thread.take() {
            Some(thread) => thread.start(),
            None => Ok(()),
        }
    }

    /// Whether its thread has ended, which it does only by a panic.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Queues something to do. Never waits.
    ///
    /// A source has one piece of its document in the queue at most.
    pub(super) fn ask(&mut self, ask: Ask) {
        self.is_gone |= self.asks.send(ask).is_err();
    }

    /// Drops it on the keeper's thread.
    pub(super) fn dispose(&mut self, rubbish: impl Send + 'static) {
        self.ask(Ask::Dispose(Rubbish(Box::new(rubbish))));
    }

    /// A number for a new connection.
    pub(super) fn new_attempt(&mut self, key: Key) -> Attempt {
        self.attempts += 1;
        Attempt {
            key,
            number: self.attempts,
        }
    }

    /// What the keeper has done since. What it shows is visible from here on.
    pub(super) fn replies(&mut self) -> Option<Vec<Reply>> {
        match self.deliveries.try_recv() {
            Ok(Delivery { shown, replies }) => {
                if let Some((snapshot, sizes)) = shown {
                    let old = std::mem::replace(&mut self.snapshot, snapshot);
                    self.sizes = sizes;
                    self.dispose(old);
                }
                Some(replies)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.is_gone = true;
                None
            }
        }
    }

    /// All data, as shown now.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    /// How much it is.
    pub(super) fn sizes(&self) -> StoreSizes {
        self.sizes
    }

    /// All sources in the order they are shown.
    pub(super) fn sources(&self) -> &[SourceId] {
        self.order.ids()
    }

    /// Adds a source, last in order.
    pub(super) fn add_source(&mut self, name: &str) -> SourceId {
        self.ask(Ask::Add(name.into()));
        self.order.add()
    }

    /// Removes a source and its data.
    pub(super) fn remove_source(&mut self, id: SourceId, now: Now) {
        self.order.remove(id);
        self.ask(Ask::Remove(id, now));
    }

    /// Changes the order of the sources. `order` must have each of them once.
    pub(super) fn set_order(&mut self, order: Vec<SourceId>) {
        self.order.set(order.clone());
        self.ask(Ask::Reorder(order));
    }
}
