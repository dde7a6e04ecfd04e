//! The time that a page shows: the last hour, day, …, or from one time to another.
//!
//! No clock: now comes in.

use gmetad_core::model::civil::{DAY, HOUR};

/// How much of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// That many seconds up to now; the index is one of [`SPANS`].
    Last(usize),
    /// From one time to another: does not move on.
    Fixed,
}

/// The spans that end now: the word in links, how it is shown, and its seconds.
pub const SPANS: [(&str, &str, u64); 7] = [
    ("hour", "hour", HOUR),
    ("2h", "2 h", 2 * HOUR),
    ("4h", "4 h", 4 * HOUR),
    ("day", "day", DAY),
    ("week", "week", 7 * DAY),
    ("month", "month", 31 * DAY),
    ("year", "year", 365 * DAY),
];

/// What is shown where a link says nothing.
pub const DEFAULT_SPAN: usize = 0;

/// Shortest range. Below it there is nothing to see.
pub const SHORTEST_SECS: u64 = 60;

/// A time that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub span: Span,
    /// Seconds since 1970.
    pub from: u64,
    /// Seconds since 1970; at least [`SHORTEST_SECS`] later.
    pub until: u64,
}

impl Range {
    /// One of [`SPANS`], up to now.
    pub fn last(index: usize, now: u64) -> Range {
        Range {
            span: Span::Last(index),
            from: now.saturating_sub(SPANS[index].2),
            until: now,
        }
    }

    /// From one time to another, in whatever order they are.
    pub fn fixed(one: u64, other: u64) -> Range {
        let (from, until) = (one.min(other), one.max(other));
        Range {
            span: Span::Fixed,
            from: from.min(until.saturating_sub(SHORTEST_SECS)),
            until: until.max(SHORTEST_SECS),
        }
    }

    pub fn secs(&self) -> u64 {
        self.until - self.from
    }

    /// The same length, as many seconds earlier.
    pub fn earlier(&self, secs: u64) -> Range {
        Range::fixed(
            self.from.saturating_sub(secs),
            self.until.saturating_sub(secs),
        )
    }

    /// Twice as long, with the same middle.
    pub fn wider(&self, now: u64) -> Range {
        let half = self.secs() / 2;
        Range::fixed(
            self.from.saturating_sub(half),
            (self.until + half).min(now.max(self.until)),
        )
    }
}

/// The index of the span of that name; `2hr` and the like are ganglia-web's.
pub fn span_named(word: &str) -> Option<usize> {
    let word = match word {
        "2hr" => "2h",
        "4hr" => "4h",
        "1hr" => "hour",
        word => word,
    };
    SPANS.iter().position(|(name, ..)| *name == word)
}

/// An earlier time that is laid under the graphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Past {
    /// None.
    #[default]
    None,
    /// The same range a day ago.
    Day,
    /// The same range a week ago.
    Week,
}

impl Past {
    /// Each with its word in links and how it is shown.
    pub const ALL: [(Past, &'static str, &'static str); 3] = [
        (Past::None, "", "none"),
        (Past::Day, "day", "a day ago"),
        (Past::Week, "week", "a week ago"),
    ];

    /// How long ago; 0 for none.
    pub fn secs(self) -> u64 {
        match self {
            Past::None => 0,
            Past::Day => DAY,
            Past::Week => 7 * DAY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_a_length_whatever_is_asked_for() {
        assert_eq!(Range::fixed(100, 100).secs(), SHORTEST_SECS);
        assert_eq!(
            (Range::fixed(900, 100).from, Range::fixed(0, 0).until),
            (100, SHORTEST_SECS)
        );
        assert!(Range::last(6, 100).from == 0);
    }

    #[test]
    fn wider_does_not_go_into_the_future() {
        let range = Range::last(0, 10_000).wider(10_000);
        assert_eq!((range.from, range.until), (10_000 - 5400, 10_000));
    }

    #[test]
    fn words_of_ganglia_web_are_known() {
        let words = ["hour", "1hr", "2hr", "4h", "year", "job"].map(span_named);
        assert_eq!(words, [Some(0), Some(0), Some(1), Some(2), Some(6), None]);
    }
}
