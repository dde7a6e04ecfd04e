//! Answers that another thread makes: a limit on their number, and cancellation.
//!
//! No threads and no queue here. The loop passes an [`Errand`] to the thread and its outcome back;
//! meanwhile the client keeps the matching [`Wait`].

use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::share::{Most, Share, Shares};

/// Time for another thread to make an answer. After that the client gets an error.
pub const PENDING_LIMIT: Duration = Duration::from_secs(10);

/// Most errands at a time. An errand counts until the thread drops it, even if its client is gone,
/// so this also bounds the queue to that thread.
pub const MAX_PENDING: usize = 64;

/// Creates errands and counts them.
#[derive(Debug)]
pub struct Errands(Shares);

impl Default for Errands {
    fn default() -> Self {
        Errands(Shares::new(Most::half_for_each(MAX_PENDING)))
    }
}

impl Errands {
    /// A new errand and its wait for a client of that address; `None` if there are [`MAX_PENDING`]
    /// already, or half as many of that address.
    pub fn begin(&mut self, address: IpAddr) -> Option<(Wait, Errand)> {
        let share = self.0.take(address).ok()?;
        let wait = Wait(Arc::default());
        let errand = Errand {
            wait: Arc::downgrade(&wait.0),
            _share: share,
        };
        Some((wait, errand))
    }

    /// Number of errands.
    pub fn count(&self) -> usize {
        self.0.count()
    }

    /// Number of errands for clients of that address.
    pub fn count_of(&self, address: IpAddr) -> usize {
        self.0.count_of(address)
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
    _share: Share,
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

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const OTHER: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    #[test]
    fn an_errand_is_wanted_as_long_as_somebody_waits_for_it() {
        let mut errands = Errands::default();
        let (wait, errand) = errands.begin(ONE).unwrap();
        let (other, _) = errands.begin(ONE).unwrap();
        assert!(errand.is_wanted());
        assert!(wait.is_for(&errand));
        assert!(!other.is_for(&errand));
        drop(wait);
        assert!(!errand.is_wanted());
    }

    #[test]
    fn an_errand_counts_until_it_is_done_whether_wanted_or_not() {
        let mut errands = Errands::default();
        let mut begun = |address| {
            std::iter::from_fn(|| errands.begin(address))
                .take(1000)
                .unzip()
        };
        let (waits, mut all): (Vec<_>, Vec<_>) = begun(ONE);
        assert_eq!(all.len(), MAX_PENDING / 2, "one address has its share");
        let (other_waits, others): (Vec<_>, Vec<_>) = begun(OTHER);
        assert_eq!(others.len(), MAX_PENDING / 2);
        all.extend(others);
        drop((waits, other_waits));
        assert!(errands.begin(ONE).is_none(), "they are still in the queue");
        all.pop();
        assert_eq!(errands.count(), MAX_PENDING - 1);
        assert!(errands.begin(ONE).is_none(), "that one was another's");
        assert!(errands.begin(OTHER).is_some());
    }
}
