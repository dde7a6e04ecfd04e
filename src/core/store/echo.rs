//! Whether the grids inside a source's grow as only a circle of gmetads makes them grow.
//!
//! Two C gmetads next to each other in a circle tell nobody whose sums they pass on. What comes round has
//! grown by this gmetad's own hosts at each turn, though. Where that is seen, the source's grids are
//! served with a mark, which comes back with the sums if there is a circle: C gmetad hands on the names of
//! all sums, though not their values. The grid that it comes back with is left out, as long as it may hold
//! all hosts of this gmetad.

/// How often the hosts of the grids inside must reach a new height.
const RISES: u32 = 4;

/// How many times this gmetad's other hosts they must have grown by in all.
const TIMES_OWN: u64 = 3;

/// Documents without a new height after which the growth is over.
const QUIET: u32 = 10;

/// Documents for which the mark is served after a growth.
const MARKED: u32 = 60;

/// Documents after which a grid with fewer hosts than this gmetad is summed again.
const SMALL: u32 = 20;

/// Up to so many more, by the id of the gmetad: of several that find the same circle, and leave out what holds
/// the others' hosts, one lets go first, and the others need not.
const SPREAD: u64 = 20;

/// What a document says.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// Hosts of the grids inside the source's, without those left out.
    pub(super) inner_hosts: u64,
    /// Of those left out.
    pub(super) returned_hosts: u64,
    /// The grid with which the mark came back.
    pub(super) marked: Option<Box<str>>,
    /// Hosts of this gmetad, and those that are not of the source's grids.
    pub(super) total: u64,
    pub(super) others: u64,
}

/// What the documents of a source have had inside their grids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Echo {
    /// Hosts when the growth began; `None` before the first document.
    start: Option<u64>,
    most: u64,
    rises: u32,
    /// Documents since the last rise.
    quiet: u32,
    /// Documents for which the mark is served still.
    marked: u32,
    /// The grid that it came back with.
    circle: Option<Box<str>>,
    /// Documents since that one had all hosts of this gmetad.
    small: u32,
}

impl Echo {
    /// A document has come to the gmetad of that id. Whether the source's grids are to be served with the
    /// mark.
    pub(super) fn note(&mut self, heard: Heard, own: u64) -> bool {
        self.marked = self.marked.saturating_sub(1);
        if self.grows(heard.inner_hosts, heard.others) {
            self.marked = MARKED;
        }
        if heard.marked.is_some() {
            self.circle = heard.marked;
        }
        if self.circle.is_none() || heard.returned_hosts >= heard.total {
            self.small = 0;
        } else {
            self.small = self.small.saturating_add(1);
            if self.small > SMALL.saturating_add((own % SPREAD) as u32) {
                *self = Echo::default();
            }
        }
        self.marked > 0 || self.circle.is_some()
    }

    /// A grid inside the source's that holds this gmetad's sums.
    pub(super) fn circle(&self) -> Option<Box<str>> {
        self.circle.clone()
    }

    fn grows(&mut self, hosts: u64, others: u64) -> bool {
        let Some(start) = self.start.filter(|_| self.quiet < QUIET) else {
            (self.start, self.most) = (Some(hosts), hosts);
            (self.rises, self.quiet) = (0, 0);
            return false;
        };
        if hosts <= self.most {
            self.quiet = self.quiet.saturating_add(1);
            return false;
        }
        self.most = hosts;
        self.rises = self.rises.saturating_add(1);
        self.quiet = 0;
        let grown = hosts.saturating_sub(start);
        self.rises >= RISES && grown >= others.max(1).saturating_mul(TIMES_OWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many hosts inside, beside 10 others.
    fn hosts(inner_hosts: u64) -> Heard {
        Heard {
            inner_hosts,
            total: inner_hosts + 10,
            others: 10,
            ..Heard::default()
        }
    }

    /// Whether the mark is served at the end of documents with so many hosts.
    fn is_marked(all: impl IntoIterator<Item = u64>) -> bool {
        let mut echo = Echo::default();
        let marked = all.into_iter().map(|it| echo.note(hosts(it), 0));
        marked.last().unwrap_or(false)
    }

    #[test]
    fn what_grows_by_our_own_hosts_at_each_turn_is_suspect_and_other_growth_is_not() {
        assert!(is_marked([5, 15, 25, 35, 45]));
        assert!(!is_marked([5, 15, 25, 35]), "too few");
        // Two waves in the circle at a time, and polls without news.
        assert!(is_marked([5, 7, 7, 15, 12, 17, 25, 22, 27, 35, 32, 37]));
        assert!(
            !is_marked([0, 1000, 1000, 999, 1000]),
            "a grid comes up at once"
        );
        assert!(!is_marked((0..20).map(|at| 100 + at)), "hosts are added");
        assert!(!is_marked((0..200).map(|at| 100 + at / 11 * 20)), "rarely");
        let mut echo = Echo::default();
        for at in 0..6 {
            echo.note(hosts(at * 10), 0);
        }
        for _ in 1..MARKED {
            assert!(echo.note(hosts(50), 0));
        }
        assert!(!echo.note(hosts(50), 0), "it did not come back");
    }

    #[test]
    fn a_grid_that_the_mark_came_with_is_left_out_while_it_may_hold_our_hosts() {
        let mut echo = Echo::default();
        let heard = |returned_hosts, marked: bool| Heard {
            returned_hosts,
            marked: marked.then(|| "c".into()),
            total: 10,
            ..hosts(0)
        };
        assert!(echo.note(heard(10, true), SPREAD + 3));
        for at in 0..10 * MARKED {
            assert!(echo.note(heard(10, at % 2 == 0), SPREAD + 3));
        }
        // C gmetads hand it on for ever.
        for _ in 0..SMALL + 3 {
            assert!(echo.note(heard(9, true), SPREAD + 3));
            assert_eq!(echo.circle().as_deref(), Some("c"));
        }
        assert!(!echo.note(heard(9, true), SPREAD + 3));
        assert_eq!(echo.circle(), None);
    }
}
