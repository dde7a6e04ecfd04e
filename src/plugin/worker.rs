//! The plugin thread: takes what the loop sends and hands it down the chain.
//!
//! All of a plugin's work is done here, so it may take its time; what fails is the chain's matter.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::Waker;
use super::chain::Chain;
use super::queue::Event;

/// Runs until the loop says stop or is gone.
pub(super) fn run(mut chain: Chain, events: &Receiver<Event>, waker: &Waker) {
    chain.start();
    let mut next_tick = chain.tick();
    while let Some(event) = next(&mut chain, events, &mut next_tick) {
        let status = chain.status();
        if status.held_back.swap(false, Ordering::SeqCst) {
            waker();
        }
        let weight = event.weight();
        let last = matches!(event, Event::Stop);
        match event {
            Event::Node(mut update) => chain.notify(&mut update),
            Event::Root(mut root) => chain.notify_root(&mut root),
            Event::Stop => chain.stop(),
        }
        let status = chain.status();
        status.weight.fetch_sub(weight, Ordering::Relaxed);
        status.sent.fetch_sub(1, Ordering::Relaxed);
        if status.held_back.swap(false, Ordering::SeqCst) {
            waker();
        }
        if last {
            break;
        }
        next_tick = chain.tick();
    }
    chain.status().ended.store(true, Ordering::Release);
    waker();
}

/// Waits for an event, and lets the plugins do what they do meanwhile; `None` when the loop is gone.
fn next(
    chain: &mut Chain,
    events: &Receiver<Event>,
    next_tick: &mut Option<Duration>,
) -> Option<Event> {
    loop {
        let Some(wait) = *next_tick else {
            return events.recv().ok();
        };
        match events.recv_timeout(wait) {
            Ok(event) => return Some(event),
            Err(RecvTimeoutError::Timeout) => *next_tick = chain.tick(),
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}
