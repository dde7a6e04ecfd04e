//! When a process has read the journal, at its start or later: what is left of the samples of those before
//! it, and of its own.

use std::collections::BTreeSet;

use super::{FILES, World, path};
use crate::cache::simulation::sample::{Found, Place, Promise};

/// When the journal was to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    AtTheStart,
    Late,
}

impl World {
    /// Finds out what is left, if the journal was opened just now.
    pub(super) fn look_for_the_journal(&mut self, when: When) {
        if self.has_read {
            return;
        }
        if self.cache.lacks_its_journal() {
            if when == When::AtTheStart {
                self.outlast();
            }
            return;
        }
        // Of one that died while it read, nothing is left to look at.
        if self.machine().is_dead() {
            return;
        }
        self.has_read = true;
        self.take_events();
        // Without room, a file may have been let go of while it was read, and be held again since.
        let unused = (0..FILES.len()).filter(|file| self.ids[*file].is_none());
        for file in unused.filter(|_| self.is_crowded) {
            self.machine().let_go(&path(file));
        }
        if when == When::Late {
            self.was_sound = true;
            self.find_own_again();
        }
        for file in 0..FILES.len() {
            self.find_again(file);
        }
        self.unread.has_waited = false;
        for (file, time) in std::mem::take(&mut self.unread.promised) {
            let is_there = self.samples[file][&time].place != Place::Lost;
            assert!(
                is_there || self.unread.given.get(&(file, time)) == Some(&true),
                "{time} of {:?} is lost by {:?}",
                FILES[file],
                self.unread.end
            );
        }
    }

    /// The process goes without a journal for now.
    fn outlast(&mut self) {
        self.tally.count("started without a journal", 1);
        self.machine()
            .tell(|| "the journal cannot be opened".into());
        (self.was_sound, self.unread.has_waited) = (false, true);
        let (shared, end) = (self.shared.clone(), self.unread.end);
        let machine = shared.machine();
        for (file, samples) in self.unread.samples.iter_mut().enumerate() {
            let rrd = machine.rrds.get(&path(file));
            for (time, sample) in samples {
                sample.outlast(end, rrd.is_some_and(|rrd| rrd.samples.contains_key(time)));
            }
        }
    }

    /// A file's samples are forgotten, also those that were not read yet: once they are read, none is
    /// held. Until then, a kill may bring them back.
    pub(super) fn forget_unread(&mut self, file: usize) {
        if self.has_read {
            return;
        }
        self.unread.forgotten.insert(file);
        for sample in self.unread.samples[file].values_mut() {
            if sample.place != Place::Forgotten {
                sample.promise = Promise::default();
            }
        }
    }

    /// What the process held before it had a journal is held after it has read it, but for what its file
    /// took before it failed.
    fn find_own_again(&mut self) {
        self.tally.count("journal opened late", 1);
        let shared = self.shared.clone();
        let machine = shared.machine();
        for (file, (folder, name)) in FILES.into_iter().enumerate() {
            let texts = self.cache.waiting_values(folder, name);
            let rrd = machine.rrds.get(&path(file));
            for (time, sample) in &mut self.samples[file] {
                if sample.place != Place::Held {
                    continue;
                }
                self.tally.count("held while there was no journal", 1);
                if texts.contains(&format!("{time}:{}", sample.value)) {
                    continue;
                }
                let is_written = rrd.is_some_and(|rrd| rrd.samples.contains_key(time));
                assert!(
                    is_written || sample.is_late,
                    "{time} of {folder}/{name} is lost as the journal is opened"
                );
                sample.place = if is_written {
                    Place::Written
                } else {
                    Place::Lost
                };
                sample.promise = Promise {
                    kill: is_written,
                    power_loss: false,
                };
            }
        }
    }

    /// Finds out which samples of earlier processes are left of a file.
    fn find_again(&mut self, file: usize) {
        let (folder, name) = FILES[file];
        let texts = self.cache.waiting_values(folder, name);
        let mut held: BTreeSet<&str> = texts.iter().map(String::as_str).collect();
        for (time, sample) in self.held(file) {
            held.remove(format!("{time}:{}", sample.value).as_str());
        }
        let shared = self.shared.clone();
        let machine = shared.machine();
        let rrd = machine.rrds.get(&path(file));
        let is_forgotten = self.unread.forgotten.contains(&file);
        let mut came_back = 0;
        for (time, mut sample) in std::mem::take(&mut self.unread.samples[file]) {
            let text = format!("{time}:{}", sample.value);
            let found = Found {
                is_held: held.remove(text.as_str()),
                is_written: rrd.is_some_and(|rrd| rrd.samples.contains_key(&time)),
                was_given: self.unread.given.contains_key(&(file, time)),
                is_doubtful: self.unread.is_doubtful,
            };
            let is_gone = !found.is_held && !found.is_written;
            // What was written before the journal was read is newer than what is in it.
            let is_overtaken = self.unread.has_waited && rrd.is_some_and(|rrd| rrd.last >= time);
            sample.is_late |= !found.is_written && is_overtaken;
            if is_gone && (is_overtaken || is_forgotten) {
                self.unread.promised.remove(&(file, time));
            }
            assert!(
                !(found.is_held && is_forgotten),
                "{time} of {folder}/{name} was forgotten before it was read"
            );
            came_back += u64::from(sample.find_again(self.unread.end, found));
            if is_forgotten && is_gone && !found.was_given {
                sample.place = Place::Forgotten;
            }
            self.samples[file].insert(time, sample);
        }
        let what = "forgotten, and back as nobody had promised it";
        self.tally.count(what, came_back);
        assert!(
            held.is_empty(),
            "{held:?} of {folder}/{name} come from nowhere"
        );
    }
}
