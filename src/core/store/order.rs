//! Which sources there are, and in which order they are shown.
//!
//! Holds no data. Two of these agree, after the same calls.

/// A source, until it is removed. Its number is reused after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub usize);

/// The ids of all sources in order, and which are free.
#[derive(Clone, Debug, Default)]
pub struct SourceOrder {
    order: Vec<SourceId>,
    /// Ids of removed sources.
    free: Vec<SourceId>,
}

impl SourceOrder {
    /// Adds a source, last in order.
    pub fn add(&mut self) -> SourceId {
        // Each id is in one of the lists.
        let unused = SourceId(self.order.len());
        let id = self.free.pop().unwrap_or(unused);
        self.order.push(id);
        id
    }

    /// Removes a source.
    pub fn remove(&mut self, id: SourceId) {
        self.order.retain(|known| *known != id);
        self.free.push(id);
    }

    /// Changes the order. `order` has each source once at most; those that it does not have come last.
    pub fn set(&mut self, mut order: Vec<SourceId>) {
        order.retain(|id| self.order.contains(id));
        let others = self.order.iter().filter(|id| !order.contains(id));
        let others: Vec<SourceId> = others.copied().collect();
        order.extend(others);
        self.order = order;
    }

    /// All sources in order.
    pub fn ids(&self) -> &[SourceId] {
        &self.order
    }
}
