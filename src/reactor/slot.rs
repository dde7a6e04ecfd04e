//! Everything that can have an event, a deadline or a turn.
//!
//! No behaviour here: each kind has a file of its own.

use super::clients::Connection;
use super::listen::Listener;
use super::rrdcached::socket::{RrdcachedClient, RrdcachedListener};
use super::shared::Chore;
use super::slots::Lane;
use super::sources::Source;
use gmetad_core::status::Work;
use gmetad_core::store::SourceId;

/// All slots of the loop.
pub(super) type Slots = super::slots::Slots<Slot>;

/// What an event, a deadline or a turn belongs to.
pub(super) enum Slot {
    /// The signal handlers.
    Signals,
    /// The waker that other threads call.
    Waker,
    /// Periodic work.
    Chore(Chore),
    /// A listening port.
    Listener(Listener),
    /// A polled source, connected or not.
    Source(Box<Source>),
    /// A client of one of the ports.
    Client(Box<Connection>),
    /// The listening rrdcached socket.
    RrdcachedListener(RrdcachedListener),
    /// A client of the rrdcached socket.
    RrdcachedClient(Box<RrdcachedClient>),
}

impl Slot {
    /// What its turns are about.
    pub(super) fn work(&self) -> (Work, Option<SourceId>) {
        match self {
            Slot::Signals | Slot::Waker => (Work::Messages, None),
            Slot::Chore(_) => (Work::Chores, None),
            Slot::Listener(_) => (Work::Accept, None),
            Slot::Source(source) => (Work::Source, Some(source.id)),
            Slot::Client(_) => (Work::Client, None),
            Slot::RrdcachedListener(_) | Slot::RrdcachedClient(_) => (Work::Rrdcached, None),
        }
    }

    /// The queue in which it waits for a turn.
    pub(super) fn lane(&self) -> Lane {
        match self {
            Slot::Source(_) | Slot::Chore(_) => Lane::Bulk,
            Slot::Client(client) if client.machine.wants_to_write() => Lane::Bulk,
            Slot::Client(_)
            | Slot::Signals
            | Slot::Waker
            | Slot::Listener(_)
            | Slot::RrdcachedListener(_)
            | Slot::RrdcachedClient(_) => Lane::Prompt,
        }
    }
}
