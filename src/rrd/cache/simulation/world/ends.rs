//! How a process ends, and what the next one finds.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::late::When;
use super::{FILES, World, path};
use crate::cache::rrd_files::RrdFiles;
use crate::cache::simulation::machine::Faults;
use crate::cache::simulation::sample::{End, Place};
use crate::cache::simulation::tally::Tally;

impl World {
    /// The process ends that way, and another begins.
    pub(super) fn end(&mut self, end: End) {
        self.count_forced();
        for file in 0..FILES.len() {
            let of_this_one = std::mem::take(&mut self.samples[file]);
            self.unread.samples[file].extend(of_this_one);
        }
        self.unread.end = end;
        self.unread.promised = self.promised(end);
        self.unread.given.clear();
        self.unread.forgotten.clear();
        match end {
            End::Close => {
                self.machine().sync_all();
                self.tally.count("closed", 1);
            }
            End::Kill => self.tally.count("killed", 1),
            End::PowerLoss => {
                self.machine().lose_power();
                self.tally.count("lost power", 1);
            }
        }
        self.machine().tell(|| format!("ended by {end:?}"));
        self.machine().tell_segments();
        let is_doubtful = self.machine().has_poisoned_segments();
        self.unread.is_doubtful = is_doubtful;
        self.start();
    }

    /// Samples that survive that end, if all is well.
    fn promised(&self, end: End) -> BTreeSet<(usize, u32)> {
        let machine = self.shared.machine();
        let is_in_file = |file: usize, time: u32| {
            let rrd = machine.rrds.get(&path(file));
            match end {
                End::Close => true,
                End::Kill => rrd.is_some_and(|rrd| rrd.samples.contains_key(&time)),
                End::PowerLoss => machine.is_durable(&path(file), time),
            }
        };
        let mut promised = BTreeSet::new();
        for (file, samples) in self.unread.samples.iter().enumerate() {
            for (time, sample) in samples {
                let is_promised = match sample.place {
                    Place::Held => sample.survives(end),
                    Place::Written => sample.survives(end) || is_in_file(file, *time),
                    Place::Forgotten | Place::Lost => false,
                };
                if is_promised {
                    promised.insert((file, *time));
                }
            }
        }
        promised
    }

    fn count_forced(&mut self) {
        let forced = self.rrds.counters().forced.load(Ordering::Relaxed);
        self.tally.count("written for want of room", forced);
    }

    /// The process ends in order, and then nothing more happens, or the power fails at once.
    pub(super) fn close(&mut self) {
        let end = if self.machine().one_in(2) {
            End::PowerLoss
        } else {
            End::Close
        };
        self.close_and(end);
    }

    fn close_and(&mut self, end: End) {
        let epoch = self.epoch;
        let shared = self.shared.clone();
        let clock = move || epoch + Duration::from_millis(shared.machine().millis);
        let disk = self.shared.clone();
        self.cache
            .try_to_open_with(|_, _| disk.opened(), &mut self.rrds);
        self.look_for_the_journal(When::Late);
        self.cache.close(&mut self.rrds, clock);
        self.take_events();
        if self.machine().is_dead() {
            let end = if self.machine().one_in(2) {
                End::Kill
            } else {
                End::PowerLoss
            };
            self.end(end);
            return;
        }
        self.promise();
        self.end(end);
    }

    /// Everything heals, and everything gets into its file.
    pub(super) fn finish(mut self) -> Tally {
        self.machine().faults = Faults::default();
        self.machine().die_after(u32::MAX);
        for _ in 0..1000 {
            let is_done = self.cache.held.files().samples() == 0 && self.is_sound();
            if is_done {
                break;
            }
            let pause = if self.is_crowded { 100_000 } else { 1000 };
            self.machine().millis += pause;
            self.work();
        }
        assert_eq!(
            self.cache.held.files().samples(),
            0,
            "some is never written"
        );
        assert!(self.is_sound(), "the journal is not mended");
        assert!(self.has_read, "the journal is never opened");
        for _ in 0..3 {
            self.machine().millis += 61_000;
            self.work();
        }
        assert!(self.machine().segments() <= 1, "segments are left");
        self.close_and(End::Close);
        assert_eq!(self.machine().segments(), 0, "a segment is left");
        for file in 0..FILES.len() {
            let left = self.samples[file]
                .values()
                .filter(|it| it.place == Place::Held);
            assert_eq!(left.count(), 0);
        }
        self.count_forced();
        let operations = self.machine().operations;
        self.tally.count("disk operations", operations);
        self.tally
    }
}
