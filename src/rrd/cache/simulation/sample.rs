//! One sample, and what it was promised.

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// In order, and then the system has given everything to the disk.
    Close,
    Kill,
    PowerLoss,
}

/// Which ends a sample, or that it was forgotten, is promised to survive.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Promise {
    pub(super) kill: bool,
    pub(super) power_loss: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Held,
    Written,
    Forgotten,
    /// Nobody had promised anything, or its file lost it. As long as a segment has it, it may come
    /// back.
    Lost,
}

#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) value: String,
    pub(super) place: Place,
    pub(super) promise: Promise,
    /// The file has newer ones, or may have: its file may refuse it.
    pub(super) is_late: bool,
    /// A sync of the segment it is in has failed in an earlier run, which nobody can know now.
    pub(super) is_doubtful: bool,
}

impl Sample {
    pub(super) fn survives(&self, end: End) -> bool {
        if self.is_late {
            return false;
        }
        match end {
            End::Close | End::Kill => self.promise.kill,
            End::PowerLoss => self.promise.power_loss,
        }
    }

    /// Outlasts a process that ended so, while nobody reads the journal.
    pub(super) fn outlast(&mut self, end: End, is_in_file: bool) {
        let survives = self.survives(end);
        if self.place == Place::Written && !is_in_file {
            // What the file has lost, the journal may still have.
            self.place = if survives { Place::Held } else { Place::Lost };
        }
        self.promise.kill &= survives;
        self.promise.power_loss &= survives;
    }

    /// Finds itself again, or not, where another process has read the journal. Whether it is one that
    /// was forgotten, and is back as nobody had promised that.
    pub(super) fn find_again(&mut self, end: End, found: Found) -> bool {
        let was_forgotten = self.place == Place::Forgotten;
        assert!(
            !(found.is_held && was_forgotten && self.survives(end)),
            "{} is back after {end:?}, and was forgotten",
            self.value
        );
        self.is_doubtful |= found.is_doubtful && !self.promise.power_loss;
        // Without room, it may have been written before it was read that it is forgotten.
        let is_back = was_forgotten && (found.is_held || found.was_given);
        // Of one that comes back, newer ones may have been written.
        self.is_late |= is_back || self.place == Place::Lost;
        self.promise = if found.is_held {
            self.place = Place::Held;
            Promise {
                kill: true,
                power_loss: !self.is_doubtful,
            }
        } else if found.is_written {
            self.place = Place::Written;
            Promise {
                kill: true,
                power_loss: false,
            }
        } else if was_forgotten && !is_back && self.survives(end) {
            self.promise
        } else {
            // Of one that was forgotten without a promise, nobody knows that: what its file took since may
            // be why it is not held.
            self.place = Place::Lost;
            Promise::default()
        };
        is_back
    }
}

/// Where a sample is when another process has read the journal.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a sample may be in two places"
)]
pub(super) struct Found {
    /// In memory.
    pub(super) is_held: bool,
    /// In its file.
    pub(super) is_written: bool,
    /// It was given to its file for want of room.
    pub(super) was_given: bool,
    /// A sync has failed of a segment that is there.
    pub(super) is_doubtful: bool,
}
