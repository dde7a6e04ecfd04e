//! What happens to the cache, and what it has promised.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gmetad_config::Config;

use super::machine::{Event, Faults, Machine, Rrds, Shared};
use crate::cache::files::Held;
use crate::cache::rrd_files::RrdFiles;
use crate::cache::write_cache::WriteCache;
use crate::file::FileSpec;
use crate::file::samples::Kind;
use crate::journal::Journal;
use crate::record::FileId;

const T0: u32 = 1_700_000_000;

/// Things that happen under one seed; fewer where there is little room, and so more to do for each.
const STEPS: u32 = 250;

const SPEC: FileSpec = FileSpec {
    step_secs: 15,
    kind: Kind::Gauge,
    with_num: false,
};

/// Folder and name of each file.
const FILES: [(&str, &str); 12] = [
    ("a/h1", "load_one"),
    ("a/h1", "load_five"),
    ("a/h1", "cpu_user"),
    ("a/h2", "load_one"),
    ("a/h2", "load_five"),
    ("a/__SummaryInfo__", "load_one"),
    ("b/h1", "load_one"),
    ("b/h1", "bytes_in"),
    ("b/h3", "load_one"),
    ("b/h3", "bytes_out"),
    ("__SummaryInfo__", "load_one"),
    ("__SummaryInfo__", "load_five"),
];

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// In order, and then the system has given everything to the disk.
    Close,
    Kill,
    PowerLoss,
}

/// Which ends a sample, or that it was forgotten, is promised to survive.
#[derive(Clone, Copy, Debug, Default)]
struct Promise {
    kill: bool,
    power_loss: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Held,
    Written,
    Forgotten,
    /// Nobody had promised anything, or its file lost it. As long as a segment has it, it may come
    /// back.
    Lost,
}

#[derive(Clone, Debug)]
struct Sample {
    value: String,
    place: Place,
    promise: Promise,
    /// The file has newer ones, or may have: its file may refuse it.
    is_late: bool,
    /// A sync of the segment it is in has failed in an earlier run, which nobody can know now.
    is_doubtful: bool,
}

impl Sample {
    fn survives(&self, end: End) -> bool {
        if self.is_late {
            return false;
        }
        match end {
            End::Close | End::Kill => self.promise.kill,
            End::PowerLoss => self.promise.power_loss,
        }
    }
}

/// How often what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally(BTreeMap<&'static str, u64>);

/// All that is counted.
const COUNTED: [&str; 13] = [
    "closed",
    "disk operations",
    "forgotten",
    "forgotten, and back as nobody had promised it",
    "held",
    "journal fails",
    "journal is mended",
    "killed",
    "lost by their file",
    "lost power",
    "refused",
    "written",
    "written for want of room",
];

impl Tally {
    fn count(&mut self, what: &'static str, more: u64) {
        assert!(COUNTED.contains(&what), "{what}");
        *self.0.entry(what).or_default() += more;
    }

    pub(super) fn add(&mut self, other: &Tally) {
        for (what, more) in &other.0 {
            self.count(what, *more);
        }
    }

    pub(super) fn assert_that_all_of_it_happened(&self) {
        for what in COUNTED {
            assert!(self.0.get(what).is_some_and(|count| *count > 0), "{what}");
        }
    }
}

pub(super) struct World {
    shared: Shared,
    rrds: Rrds,
    config: Config,
    /// The clock's beginning; no more of the real one is ever read.
    epoch: Instant,
    cache: WriteCache<Shared>,
    ids: [Option<FileId>; FILES.len()],
    samples: [BTreeMap<u32, Sample>; FILES.len()],
    /// Time of the newest sample.
    time: u32,
    /// Samples that were put, so that each has a value of its own.
    count_put: u64,
    is_crowded: bool,
    was_sound: bool,
    tally: Tally,
}

fn path(file: usize) -> String {
    let (folder, name) = FILES[file];
    format!("/r/{folder}/{name}.rrd")
}

fn file_at(path_of_file: &str) -> usize {
    let file = (0..FILES.len()).find(|file| path(*file) == path_of_file);
    file.expect("one of these")
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        let shared = Shared::new(seed);
        let mut config = Config::new("simulation");
        config.rrd.rootdir = "/r".into();
        config.rrd.journal_dir = Some("/journal".into());
        let is_crowded = shared.machine().one_in(40);
        let timeout = if is_crowded { 5000 } else { 60 };
        config.rrd.write_timeout = Duration::from_secs(timeout);
        config.rrd.cache_limit_bytes = if is_crowded { 1 } else { 64 << 20 };
        let epoch = Instant::now();
        let mut world = World {
            rrds: Rrds::new(&shared),
            cache: WriteCache::new(&config, epoch).expect("it holds"),
            shared,
            config,
            epoch,
            ids: [None; FILES.len()],
            samples: Default::default(),
            time: T0,
            count_put: 0,
            is_crowded,
            was_sound: true,
            tally: Tally::default(),
        };
        world.start();
        world
    }

    fn machine(&self) -> std::cell::RefMut<'_, Machine> {
        self.shared.machine()
    }

    fn random(&self, below: usize) -> usize {
        self.machine().random.usize(0..below)
    }

    fn now(&self) -> Instant {
        self.epoch + Duration::from_millis(self.machine().millis)
    }

    /// Starts a process. What is returned was given to its file for want of room while the journal
    /// was read; and whether the file lost it.
    fn start(&mut self) -> BTreeMap<(usize, u32), bool> {
        self.machine().start();
        self.rrds = Rrds::new(&self.shared);
        self.cache = WriteCache::new(&self.config, self.now()).expect("it holds");
        // So small that frames and segments are many.
        self.cache.pace.frame_bytes = 200;
        self.cache.pace.segment_bytes = 1500;
        self.cache.pace.sync_secs = 5;
        self.ids = [None; FILES.len()];
        self.was_sound = true;
        let disk = self.shared.clone();
        let opened = self.cache.open_on(disk, &mut self.rrds);
        opened.expect("the folder can be listed");
        let mut given = BTreeMap::new();
        for event in self.machine().events() {
            let (path, times, is_lost) = match event {
                Event::Written(path, times) => (path, times, false),
                Event::Lost(path, times) => (path, times, true),
            };
            let file = file_at(&path);
            given.extend(times.into_iter().map(|time| ((file, time), is_lost)));
        }
        given
    }

    /// Things that happen, and then everything heals and gets into its file.
    pub(super) fn run(mut self) -> Tally {
        let steps = if self.is_crowded { STEPS / 5 } else { STEPS };
        for _ in 0..steps {
            self.step();
        }
        self.finish()
    }

    /// One thing happens, and some time passes.
    fn step(&mut self) {
        if self.machine().one_in(40) {
            let operations = self.machine().random.u32(0..30);
            self.machine().die_after(operations);
        }
        self.act();
        self.look();
        let pause = if self.machine().one_in(15) {
            70_000
        } else {
            3_000
        };
        let millis = self.machine().random.u64(0..pause);
        self.machine().millis += millis;
    }

    fn act(&mut self) {
        let file = self.random(FILES.len());
        match self.random(40) {
            0..12 => self.update(),
            12..24 => self.work(),
            24..27 => self.flush(file),
            27..29 => self.forget(file),
            29 => self.cache.flush_all(),
            30..32 => self.put_by_name(file),
            32 => self.release(file),
            33 => self.machine().faults = Faults::default(),
            34..37 => self.change_faults(),
            37 if self.machine().one_in(3) => self.end(End::Kill),
            38 if self.machine().one_in(3) => self.end(End::PowerLoss),
            39 if self.machine().one_in(6) => self.close(),
            _ => {}
        }
    }

    /// What has happened: to the process, and to the samples.
    fn look(&mut self) {
        if self.machine().is_dead() {
            let end = if self.machine().one_in(2) {
                End::Kill
            } else {
                End::PowerLoss
            };
            self.end(end);
        }
        self.take_events();
        let file = self.random(FILES.len());
        self.compare(file);
        let held: usize = (0..FILES.len()).map(|file| self.held(file).count()).sum();
        assert_eq!(self.cache.held.files().samples(), held as u64);
        let is_sound = self.is_sound();
        match (self.was_sound, is_sound) {
            (true, false) => self.tally.count("journal fails", 1),
            (false, true) => self.tally.count("journal is mended", 1),
            _ => {}
        }
        self.was_sound = is_sound;
    }

    fn is_sound(&self) -> bool {
        self.cache.held.journal().is_some_and(Journal::is_sound)
    }

    fn change_faults(&mut self) {
        let faults = [0; 4].map(|_: u8| self.machine().one_in(3));
        let [journal_is_full, syncs_fail, folder_fails, rrds_fail] = faults;
        self.machine().faults = Faults {
            journal_is_full,
            syncs_fail,
            folder_fails,
            rrds_fail,
        };
    }

    /// A source's update: a sample of many files.
    fn update(&mut self) {
        let rounds = if self.is_crowded { 20 } else { 1 };
        for _ in 0..rounds {
            let secs = self.machine().random.u32(1..20);
            self.time += secs;
            for (file, (folder, name)) in FILES.into_iter().enumerate() {
                if self.machine().one_in(3) {
                    continue;
                }
                let id =
                    *self.ids[file].get_or_insert_with(|| self.cache.use_file(folder, name, SPEC));
                self.put(file, |world, sample| {
                    world.cache.put(id, SPEC, sample, &mut world.rrds)
                });
            }
        }
    }

    fn put_by_name(&mut self, file: usize) {
        self.time += 1;
        let (folder, name) = FILES[file];
        self.put(file, |world, sample| {
            let rrds = &mut world.rrds;
            world.cache.put_by_name(folder, name, SPEC, sample, rrds)
        });
    }

    fn put(&mut self, file: usize, put: impl FnOnce(&mut World, (u32, &[u8])) -> Held) {
        let is_old = self.machine().one_in(30);
        let time = if is_old { self.time - 20 } else { self.time };
        let before = self.samples[file].get(&time);
        if before.is_some_and(|before| before.place != Place::Held) {
            // One value has one time, so that it can be told apart.
            return;
        }
        let zeros = if self.is_crowded { 300 } else { 0 };
        let value = format!("{}.{file}{:0<zeros$}", self.count_put, "");
        let held = put(self, (time, value.as_bytes()));
        let in_file = self.machine().rrds.get(&path(file)).map(|rrd| rrd.last);
        let newest = self.samples[file].last_key_value().map(|(time, _)| *time);
        if held == Held::Stale {
            self.tally.count("refused", 1);
            if !self.machine().is_dead() {
                let newest_held = self.held(file).map(|(time, _)| time).max();
                assert!(
                    newest_held.max(in_file) >= Some(time),
                    "{time} of {:?} is refused",
                    FILES[file]
                );
            }
            return;
        }
        self.count_put += 1;
        self.tally.count("held", 1);
        let sample = Sample {
            value,
            place: Place::Held,
            promise: Promise::default(),
            is_late: in_file >= Some(time) || newest >= Some(time),
            is_doubtful: false,
        };
        let before = self.samples[file].insert(time, sample);
        let was_there = before.is_some_and(|it| it.place == Place::Held);
        assert!(!was_there, "{time} of {:?} is held twice", FILES[file]);
        self.take_events();
    }

    fn held(&self, file: usize) -> impl Iterator<Item = (u32, &Sample)> {
        let samples = self.samples[file].iter();
        samples
            .filter(|(_, sample)| sample.place == Place::Held)
            .map(|(time, sample)| (*time, sample))
    }

    fn flush(&mut self, file: usize) {
        let (folder, name) = FILES[file];
        self.cache.tell_time(self.now(), &self.rrds);
        self.cache.flush(folder, name, &mut self.rrds);
    }

    fn forget(&mut self, file: usize) {
        let (folder, name) = FILES[file];
        let had_some = self.cache.forget(folder, name, &self.rrds);
        assert_eq!(had_some, self.held(file).next().is_some());
        if !had_some {
            return;
        }
        self.tally.count("forgotten", 1);
        for (time, sample) in &mut self.samples[file] {
            if sample.place == Place::Held {
                sample.promise = Promise::default();
                let rrd = self.shared.machine();
                let in_file = rrd.rrds.get(&path(file));
                let is_written = in_file.is_some_and(|rrd| rrd.samples.contains_key(time));
                sample.place = if is_written {
                    Place::Written
                } else {
                    Place::Forgotten
                };
            }
            // It is one that the journal says is forgotten, until the disk has the file.
            sample.promise.power_loss &= sample.place == Place::Forgotten;
        }
    }

    fn release(&mut self, file: usize) {
        if let Some(id) = self.ids[file].take() {
            self.cache.release(id, &self.rrds);
        }
    }

    /// A turn of the plugin thread: what it has done is promised then.
    fn work(&mut self) {
        let shared = self.shared.clone();
        let epoch = self.epoch;
        let clock = move || {
            shared.machine().millis += 1;
            epoch + Duration::from_millis(shared.machine().millis)
        };
        self.cache.step(&mut self.rrds, clock);
        self.take_events();
        if !self.machine().is_dead() {
            self.promise();
        }
    }

    fn promise(&mut self) {
        let journal = self.cache.held.journal().expect("there is one");
        let promise = Promise {
            kill: journal.is_sound(),
            power_loss: journal.is_sound() && !journal.is_dirty(),
        };
        for sample in self.samples.iter_mut().flat_map(BTreeMap::values_mut) {
            if matches!(sample.place, Place::Held | Place::Forgotten) {
                sample.promise.kill |= promise.kill;
                sample.promise.power_loss |= promise.power_loss && !sample.is_doubtful;
            }
        }
    }

    fn take_events(&mut self) {
        let events = self.machine().events();
        for event in events {
            let (path_of_event, times, is_lost) = match event {
                Event::Written(path, times) => (path, times, false),
                Event::Lost(path, times) => (path, times, true),
            };
            let file = file_at(&path_of_event);
            for time in times {
                self.written(file, time, is_lost);
            }
        }
    }

    /// A file was given a sample, and it is done with.
    fn written(&mut self, file: usize, time: u32, is_lost: bool) {
        let Some(sample) = self.samples[file].get_mut(&time) else {
            panic!("{time} of {:?} comes from nowhere", FILES[file]);
        };
        assert_eq!(sample.place, Place::Held, "{time} of {:?}", FILES[file]);
        let machine = self.shared.machine();
        let rrd = machine.rrds.get(&path(file));
        let found = rrd.and_then(|rrd| rrd.samples.get(&time));
        match found {
            Some((value, _)) => {
                assert_eq!(*value, sample.value, "{time} of {:?}", FILES[file]);
                sample.place = Place::Written;
                // A kill does not take back what the system was given.
                sample.promise.kill = true;
                self.tally.count("written", 1);
            }
            None if is_lost || sample.is_late => {
                sample.place = Place::Lost;
                sample.promise = Promise::default();
                self.tally.count("lost by their file", 1);
            }
            None => panic!("{time} of {:?} came after newer ones", FILES[file]),
        }
    }

    /// Holds what the cache has of a file against what it should have.
    fn compare(&mut self, file: usize) {
        let (folder, name) = FILES[file];
        let wanted = self
            .held(file)
            .map(|(time, sample)| format!("{time}:{}", sample.value));
        let wanted: Vec<String> = wanted.collect();
        let found = self.cache.waiting_values(folder, name);
        assert_eq!(found, wanted, "{folder}/{name}");
    }

    /// The process ends that way, and another begins.
    fn end(&mut self, end: End) {
        self.count_forced();
        let durable = |world: &World, file: usize, time: u32| {
            let machine = world.machine();
            match end {
                End::Close => true,
                End::Kill => {
                    let rrd = machine.rrds.get(&path(file));
                    rrd.is_some_and(|rrd| rrd.samples.contains_key(&time))
                }
                End::PowerLoss => machine.is_durable(&path(file), time),
            }
        };
        let mut promised = Vec::new();
        for file in 0..FILES.len() {
            for (time, sample) in &self.samples[file] {
                let is_promised = match sample.place {
                    Place::Held => sample.survives(end),
                    Place::Written => sample.survives(end) || durable(self, file, *time),
                    Place::Forgotten | Place::Lost => false,
                };
                if is_promised {
                    promised.push((file, *time));
                }
            }
        }
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
        let mut held = BTreeMap::new();
        for text in &texts {
            let (time, value) = text.split_once(':').expect("time and value");
            held.insert(time.parse::<u32>().expect("a time"), value.to_owned());
        }
        let shared = self.shared.clone();
        let machine = shared.machine();
        let written = machine.rrds.get(&path(file)).map(|rrd| &rrd.samples);
        let mut came_back = 0;
        for (time, sample) in &mut self.samples[file] {
            sample.is_doubtful |= is_doubtful && !sample.promise.power_loss;
            let is_held = held.remove(time).map(|value| {
                assert_eq!(value, sample.value, "{time} of {folder}/{name}");
            });
            if sample.place == Place::Forgotten {
                assert!(
                    is_held.is_none() || !sample.survives(end),
                    "{time} of {folder}/{name} is back after {end:?}"
                );
                // Or it was written for want of room before it was read that it is forgotten.
                if is_held.is_some() || given.contains_key(&(file, *time)) {
                    sample.place = Place::Lost;
                    came_back += 1;
                }
            }
            // Of one that comes back, newer ones may have been written.
            sample.is_late |= sample.place == Place::Lost;
            if is_held.is_some() {
                sample.place = Place::Held;
                sample.promise = Promise {
                    kill: true,
                    power_loss: !sample.is_doubtful,
                };
                continue;
            }
            let is_written = written.is_some_and(|written| written.contains_key(time));
            if is_written {
                sample.place = Place::Written;
                sample.promise = Promise {
                    kill: true,
                    power_loss: false,
                };
            } else if sample.place != Place::Forgotten {
                sample.place = Place::Lost;
                sample.promise = Promise::default();
            }
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

    fn close(&mut self) {
        let epoch = self.epoch;
        let shared = self.shared.clone();
        let clock = move || epoch + Duration::from_millis(shared.machine().millis);
        self.cache.close(&mut self.rrds, clock);
        self.take_events();
        if self.machine().is_dead() {
            // The end removes the journal of what the system has and the disk need not have yet, so
            // a loss of power within half a minute is not survived.
            self.end(End::Kill);
            return;
        }
        self.promise();
        self.end(End::Close);
    }

    /// Everything heals, and everything gets into its file.
    fn finish(mut self) -> Tally {
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
        self.close();
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
