//! The time that is asked for.

/// A time, and how long before it values are needed as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Start, in seconds since 1970.
    pub from: u64,
    /// End; later than `from`.
    pub until: u64,
    /// Seconds before `from`.
    pub lead: u64,
}

impl Span {
    /// The start, with what is before it.
    pub fn first(self) -> u64 {
        self.from.saturating_sub(self.lead)
    }

    /// Its length, without what is before it.
    pub fn secs(self) -> u64 {
        self.until - self.from
    }

    /// The same, that much earlier.
    pub fn earlier(self, secs: u64) -> Span {
        Span {
            from: self.from.saturating_sub(secs),
            // At least a second is left, even where 1970 is near.
            until: self
                .until
                .saturating_sub(secs)
                .max(self.from.saturating_sub(secs) + 1),
            lead: self.lead,
        }
    }
}
