//! The plugin thread: takes what the loop sends and passes it down the chain.
//!
//! All work of plugins is done here, so it may block. Their failures are handled by the chain.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::Waker;
use super::chain::Chain;
use super::history::HistoryService;
use super::parts::rrd::{RrdcachedServer, SessionAnswer, SessionRequest};
use super::queue::Event;

/// The plugin thread's side of the rrdcached socket.
pub(super) struct RrdcachedService {
    pub(super) server: RrdcachedServer,
    pub(super) requests: Receiver<SessionRequest>,
    pub(super) answers: Sender<SessionAnswer>,
}

impl RrdcachedService {
    /// Answers the requests that have come. Returns whether there are answers.
    fn serve(&mut self) -> bool {
        let mut answered = false;
        for request in self.requests.try_iter() {
            // As with a plugin, a panic costs only the client that it is about.
            let take = AssertUnwindSafe(|| self.server.take(&request));
            let answer = catch_unwind(take).unwrap_or_else(|_| {
                log::error!(
                    "rrdcached socket: a client's request ran into a bug in gmetad, logged above; \
                     its connection is closed"
                );
                Some(SessionAnswer::close(request.client))
            });
            if let Some(answer) = answer {
                answered = true;
                // If the loop is gone, nobody needs the answer.
                let _ = self.answers.send(answer);
            }
        }
        answered
    }
}

/// Runs until the loop says stop or is gone.
pub(super) fn run(
    mut chain: Chain,
    events: &Receiver<Event>,
    mut rrdcached: RrdcachedService,
    mut history: HistoryService,
    waker: &Waker,
) {
    chain.start();
    let mut next_tick = chain.tick();
    while let Some(event) = next(&mut chain, events, &mut history, &mut next_tick, waker) {
        let status = chain.status();
        if status.held_back.swap(false, Ordering::SeqCst) {
            waker();
        }
        let bytes = event.bytes();
        let last = matches!(event, Event::Stop);
        match event {
            Event::Node(mut update) => chain.notify(&mut update),
            Event::Root(mut root) => chain.notify_root(&mut root),
            Event::Requests => {}
            Event::Stop => chain.stop(),
        }
        let status = chain.status();
        status.bytes.fetch_sub(bytes, Ordering::Relaxed);
        status.sent.fetch_sub(1, Ordering::Relaxed);
        if status.held_back.swap(false, Ordering::SeqCst) {
            waker();
        }
        if last {
            break;
        }
        if rrdcached.serve() {
            waker();
        }
        if history.work() {
            waker();
        }
        next_tick = chain.tick();
    }
    history.end();
    chain.status().ended.store(true, Ordering::Release);
    waker();
}

/// Waits for an event, and meanwhile lets the plugins do their work between updates, and questions
/// be read. `None` when the loop is gone.
fn next(
    chain: &mut Chain,
    events: &Receiver<Event>,
    history: &mut HistoryService,
    next_tick: &mut Option<Duration>,
    waker: &Waker,
) -> Option<Event> {
    loop {
        let wait = match (history.wait(), *next_tick) {
            (Some(one), other) => other.map_or(one, |other| one.min(other)),
            (None, Some(wait)) => wait,
            (None, None) => return events.recv().ok(),
        };
        match events.recv_timeout(wait) {
            Ok(event) => return Some(event),
            Err(RecvTimeoutError::Timeout) => {
                if history.work() {
                    waker();
                }
                *next_tick = chain.tick();
            }
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}
