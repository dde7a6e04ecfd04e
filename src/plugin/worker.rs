//! The plugin thread: takes what the loop sends and hands it down the chain.
//!
//! All of a plugin's work is done here, so it may take its time; what fails is the chain's matter.

use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use super::Waker;
use super::chain::Chain;
use super::queue::Event;

/// Runs until the loop says stop or is gone.
pub(super) fn run(mut chain: Chain, events: &Receiver<Event>, waker: &Waker) {
    chain.start();
    while let Ok(event) = events.recv() {
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
    }
    chain.status().ended.store(true, Ordering::Release);
    waker();
}
