//! How busy this machine is, for tests of what must not take long.

// Each test program uses its own part of this.
#![allow(dead_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A thread that only sleeps, and notes how late the machine wakes it.
pub struct Stalls {
    longest_ms: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stalls {
    /// Starts watching.
    pub fn watch() -> Stalls {
        const NAP: Duration = Duration::from_millis(10);
        let longest_ms = Arc::new(AtomicU64::new(0));
        let ends = Arc::new(AtomicBool::new(false));
        let thread = {
            let (longest_ms, ends) = (longest_ms.clone(), ends.clone());
            thread::spawn(move || {
                while !ends.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    thread::sleep(NAP);
                    let late = start.elapsed().saturating_sub(NAP).as_millis();
                    longest_ms.fetch_max(late as u64, Ordering::Relaxed);
                }
            })
        };
        Stalls {
            longest_ms,
            ends,
            thread: Some(thread),
        }
    }

    /// The longest delay so far.
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.longest_ms.load(Ordering::Relaxed))
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
