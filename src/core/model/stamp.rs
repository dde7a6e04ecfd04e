//! When a node's values are of.
//!
//! Which clock is believed is decided in `time` and, between several sources, in the store.

use super::{Node, Now, StoreTime};

/// When an update's values are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// By the source's clock as far as it is believed, whatever LOCALTIME the node shows.
    pub time: StoreTime,
    /// Whether it is also the time of the node's sums. They have the clock and the rhythm of one
    /// source, where several bring the node.
    pub leads: bool,
}

impl Stamp {
    /// Of a node that no other source brings, by its own LOCALTIME.
    pub fn of(node: &Node, now: Now) -> Stamp {
        Stamp {
            time: StoreTime::of(node.localtime(), now),
            leads: true,
        }
    }
}
