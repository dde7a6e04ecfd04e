//! How a process ends, and what the next one finds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{FILES, World, path};
use crate::cache::rrd_files::RrdFiles;
use crate::cache::simulation::machine::Faults;
use crate::cache::simulation::sample::{End, Found, Place};
use crate::cache::simulation::tally::Tally;

impl World {
    /// The process ends that way, and another begins.
    pub(super) fn end(&mut self, end: End) {
        self.count_forced();
        let promised = self.promised(end);
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
        let given = self.start();
        for file in 0..FILES.len() {
            self.find_again(file, end, is_doubtful, &given);
        }
        for (file, time) in promised {
            let is_there = self.samples[file][&time].place != Place::Lost;
            assert!(
                is_there || given.get(&(file, time)) == Some(&true),
                "{time} of {:?} is lost by {end:?}",
                FILES[file]
            );
        }
    }

    /// Samples that survive that end, if all is well.
    fn promised(&self, end: End) -> Vec<(usize, u32)> {
        let machine = self.shared.machine();
        let is_in_file = |file: usize, time: u32| {
            let rrd = machine.rrds.get(&path(file));
            match end {
                End::Close => true,
                End::Kill => rrd.is_some_and(|rrd| rrd.samples.contains_key(&time)),
                End::PowerLoss => machine.is_durable(&path(file), time),
            }
        };
        let mut promised = Vec::new();
        for (file, samples) in self.samples.iter().enumerate() {
            for (time, sample) in samples {
                let is_promised = match sample.place {
                    Place::Held => sample.survives(end),
                    Place::Written => sample.survives(end) || is_in_file(file, *time),
                    Place::Forgotten | Place::Lost => false,
                };
                if is_promised {
                    promised.push((file, *time));
                }
            }
        }
        promised
    }

    /// Finds out which samples are left of a file.
    fn find_again(
        &mut self,
        file: usize,
        end: End,
        is_doubtful: bool,
        given: &BTreeMap<(usize, u32), bool>,
    ) {
        let (folder, name) = FILES[file];
        let texts = self.cache.waiting_values(folder, name);
        let mut held: BTreeSet<&str> = texts.iter().map(String::as_str).collect();
        let shared = self.shared.clone();
        let machine = shared.machine();
        let rrd = machine.rrds.get(&path(file));
        let mut came_back = 0;
        for (time, sample) in &mut self.samples[file] {
            let text = format!("{time}:{}", sample.value);
            let found = Found {
                is_held: held.remove(text.as_str()),
                is_written: rrd.is_some_and(|rrd| rrd.samples.contains_key(time)),
                was_given: given.contains_key(&(file, *time)),
                is_doubtful,
            };
            came_back += u64::from(sample.find_again(end, found));
        }
        let what = "forgotten, and back as nobody had promised it";
        self.tally.count(what, came_back);
        assert!(
            held.is_empty(),
            "{held:?} of {folder}/{name} come from nowhere"
        );
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
