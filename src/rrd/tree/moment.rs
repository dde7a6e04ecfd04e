//! When an update's values are of: a time that files can have, or what is wrong with it.

use std::time::Duration;

use gmetad_core::model::{MOST_APART_SECS, StoreTime};
use gmetad_core::plugin::Update;

/// When an update's values are of, and how often there are some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) time: StoreTime,
    /// Between two updates.
    pub(crate) step: Duration,
}

impl Moment {
    /// Of an update from a source with that LOCALTIME.
    pub(crate) fn of(localtime: i64, update: &Update) -> Moment {
        Moment {
            time: StoreTime::of(localtime, update.now),
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

    pub(super) fn trouble(self) -> Option<TimeTrouble> {
        match self.time {
            StoreTime::NotTheirs(_) => Some(TimeTrouble::Ahead),
            _ if self.time().is_none() => Some(TimeTrouble::Useless),
            StoreTime::Behind(_) => Some(TimeTrouble::Behind),
            _ => None,
        }
    }
}

/// What is wrong with a node's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeTrouble {
    /// No file can have it.
    Useless,
    /// It is so far ahead that ours is taken.
    Ahead,
    /// It is as far behind, and taken nevertheless.
    Behind,
}

impl TimeTrouble {
    /// Logs a change of what is wrong with the time of a cluster or grid.
    pub(super) fn tell(trouble: Option<TimeTrouble>, name: &str, epoch: i64) {
        let hours = MOST_APART_SECS / 3600;
        match trouble {
            Some(TimeTrouble::Useless) => log::error!(
                "{name:?}: no values are stored: its LOCALTIME {epoch} is not a time that an RRD \
                 file can hold; set the clock of its gmond or gmetad"
            ),
            Some(TimeTrouble::Ahead) => log::error!(
                "the clock of {name:?} is more than {hours} hours ahead of this machine's: its \
                 values are stored with this machine's time; set the clock that is wrong"
            ),
            Some(TimeTrouble::Behind) => log::error!(
                "the clock of {name:?} is more than {hours} hours behind this machine's: its values \
                 are stored with its own time; set the clock that is wrong"
            ),
            None => gmetad_core::recovered!(error: "the clock of {name:?} is right again"),
        }
    }
}
