//! Which of a cluster's hosts lose their files in a sweep.
//!
//! No files and no clock here. All times are those of [`super::seen::SeenTime`].

/// At most this part of a cluster's hosts goes in one sweep ...
const SHARE: usize = 10;

/// ... or this many of them, if that is more.
const AT_LEAST: usize = 10;

/// A cluster, as a sweep has found it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// Its hosts, and its sums as one more.
    pub(super) hosts: usize,
    /// When one of its files was last written.
    pub(super) heard: i64,
    pub(super) now: i64,
    pub(super) limit_secs: i64,
}

/// A host of which nothing was written within the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stale<T> {
    pub(super) folder: T,
    /// When something last was.
    pub(super) last: i64,
}

/// What goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice<T> {
    /// The oldest last.
    pub(super) go: Vec<Stale<T>>,
    /// How many go in later sweeps.
    pub(super) later: usize,
}

/// A host goes when its cluster was heard of for longer than the limit after the host was, or when
/// this run has lasted that long without either.
pub(super) fn choose<T>(mut stale: Vec<Stale<T>>, found: Found) -> Choice<T> {
    let heard = found.heard.min(found.now);
    let node_is_gone = found.now - heard.max(0) > found.limit_secs;
    stale.retain(|it| node_is_gone || heard - it.last > found.limit_secs);
    stale.sort_by_key(|it| it.last);
    let later = stale.split_off(stale.len().min(share(found.hosts))).len();
    stale.reverse();
    Choice { go: stale, later }
}

/// How many of so many hosts may go in one sweep.
fn share(hosts: usize) -> usize {
    (hosts / SHARE).max(AT_LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn chosen(hosts: usize, heard: i64, now: i64, last: &[i64]) -> (Vec<usize>, usize) {
        let all = last.iter().enumerate();
        let stale = all.map(|(folder, last)| Stale {
            folder,
            last: last * DAY,
        });
        let found = Found {
            hosts,
            heard: heard * DAY,
            now: now * DAY,
            limit_secs: 10 * DAY,
        };
        let choice = choose(stale.collect(), found);
        let go = choice.go.iter().map(|it| it.folder).collect();
        (go, choice.later)
    }

    #[test]
    fn a_host_goes_that_was_silent_for_longer_than_its_cluster() {
        assert_eq!(chosen(4, 20, 20, &[9, 10, 8]), (vec![0, 2], 0));
        assert_eq!(chosen(4, 19, 20, &[9]), (vec![], 0), "so long it was down");
        assert_eq!(
            chosen(4, 99, 20, &[9]),
            (vec![0], 0),
            "a file of the future"
        );
    }

    #[test]
    fn a_cluster_goes_when_this_run_has_not_heard_of_it_for_so_long() {
        assert_eq!(chosen(2, -300, 10, &[-301, -300]), (vec![], 0));
        assert_eq!(chosen(2, -300, 11, &[-301, -300]), (vec![1, 0], 0));
        assert_eq!(chosen(2, 2, 12, &[1, 2]), (vec![], 0));
        assert_eq!(chosen(2, 2, 13, &[1, 2]), (vec![1, 0], 0));
    }

    #[test]
    fn no_sweep_takes_more_than_a_share_and_the_oldest_go_first() {
        let last: Vec<i64> = (-15..0).collect();
        let (go, later) = chosen(15, 20, 20, &last);
        assert_eq!((go, later), ((0..10).rev().collect(), 5));
        let (go, later) = chosen(120, 20, 20, &last);
        assert_eq!((go.len(), later), (12, 3));
    }
}
