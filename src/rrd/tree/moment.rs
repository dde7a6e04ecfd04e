//! When an update's values are of: a time that files can have.
//!
//! Which clock gives it is decided in the core.

use std::time::Duration;

use gmetad_core::model::StoreTime;
use gmetad_core::plugin::Update;

/// When an update's values are of, and how often there are some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) time: StoreTime,
    /// Between two updates.
    pub(crate) step: Duration,
}

impl Moment {
    /// Of an update.
    pub(crate) fn of(update: &Update) -> Moment {
        Moment {
            time: update.stamp.time,
            step: update.interval,
        }
    }

    pub(super) fn step_secs(self) -> u32 {
        u32::try_from(self.step.as_secs())
            .unwrap_or(u32::MAX)
            .max(1)
    }

    /// A file begins a second before its first sample, and the time has 32 bits.
    pub(super) fn time(self) -> Option<u32> {
        let epoch = self.time.epoch();
        u32::try_from(epoch).ok().filter(|time| *time > 1)
    }
}
