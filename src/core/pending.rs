//! Answers that another thread makes: a limit on their number, and cancellation.
//!
//! No threads and no queue here. The loop passes an [`Errand`] to the thread and its outcome back;
//! meanwhile the client keeps the matching [`Wait`].

use std::sync::{Arc, Weak};
use std::time::Duration;

/// Time for another thread to make an answer. After that the client gets an error.
pub const PENDING_LIMIT: Duration = Duration::from_secs(10);

/// Most errands at a time. An errand counts until the thread drops it, even if its client is gone,
/// so this also bounds the queue to that thread.
pub const MAX_PENDING: usize = 64;

/// Creates errands and counts them.
#[derive(Debug, Default)]
pub struct Errands {
    places: Arc<()>,
}

impl Errands {
    /// A new errand and its wait; `None` if there are [`MAX_PENDING`] already.
    pub fn begin(&self) -> Option<(Wait, Errand)> {
        if self.count() >= MAX_PENDING {
            return None;
        }
        let wait = Wait(Arc::default());
        let errand = Errand {
            wait: Arc::downgrade(&wait.0),
            _place: Arc::clone(&self.places),
        };
        Some((wait, errand))
    }

    /// Number of errands.
    pub fn count(&self) -> usize {
        Arc::strong_count(&self.places) - 1
    }
}

/// Kept by the client. Dropping it cancels the errand.
#[derive(Debug)]
pub struct Wait(Arc<()>);

impl Wait {
    /// Whether this belongs to that errand.
    pub fn is_for(&self, errand: &Errand) -> bool {
        Arc::as_ptr(&self.0) == errand.wait.as_ptr()
    }
}

/// Travels with the question to the thread, and back with the answer.
#[derive(Debug)]
pub struct Errand {
    wait: Weak<()>,
    _place: Arc<()>,
}

impl Errand {
    /// Whether the client still waits. Check it before starting work, and from time to time during
    /// long work.
    pub fn is_wanted(&self) -> bool {
        self.wait.strong_count() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errand_is_wanted_as_long_as_somebody_waits_for_it() {
        let errands = Errands::default();
        let (wait, errand) = errands.begin().unwrap();
        let (other, _) = errands.begin().unwrap();
        assert!(errand.is_wanted());
        assert!(wait.is_for(&errand));
        assert!(!other.is_for(&errand));
        drop(wait);
        assert!(!errand.is_wanted());
    }

    #[test]
    fn an_errand_counts_until_it_is_done_whether_wanted_or_not() {
        let errands = Errands::default();
        let (waits, mut all): (Vec<_>, Vec<_>) =
            std::iter::from_fn(|| errands.begin()).take(1000).unzip();
        assert_eq!(all.len(), MAX_PENDING);
        drop(waits);
        assert!(errands.begin().is_none(), "they are still in the queue");
        all.pop();
        assert_eq!(errands.count(), MAX_PENDING - 1);
        assert!(errands.begin().is_some());
    }
}
