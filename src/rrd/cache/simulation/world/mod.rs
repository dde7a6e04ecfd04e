//! What happens to the cache, and what it has promised.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use gmetad_config::Config;

use super::machine::{Event, Faults, Machine, Rrds, Shared};
use super::sample::{End, Place, Promise, Sample};
use super::tally::Tally;

mod ends;
mod late;
use crate::cache::files::Held;
use crate::cache::write_cache::WriteCache;
use crate::file::FileSpec;
use crate::file::samples::Kind;
use crate::journal::FileId;
use crate::journal::Journal;
use late::When;

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

pub(super) struct World {
    shared: Shared,
    rrds: Rrds,
    config: Config,
    /// The clock's beginning; no more of the real one is ever read.
    epoch: Instant,
    cache: WriteCache<Shared>,
    ids: [Option<FileId>; FILES.len()],
    samples: [BTreeMap<u32, Sample>; FILES.len()],
    /// What earlier processes left, and how the last of them ended.
    unread: Unread,
    /// Time of the newest sample.
    time: u32,
    /// Samples that were put, so that each has a value of its own.
    count_put: u64,
    is_crowded: bool,
    /// Whether the process has read the journal.
    has_read: bool,
    was_sound: bool,
    tally: Tally,
}

/// Samples of earlier processes, as long as the running one has not read the journal.
struct Unread {
    samples: [BTreeMap<u32, Sample>; FILES.len()],
    end: End,
    /// A sync of a segment that is there has failed.
    is_doubtful: bool,
    /// A process has gone without them: it may have written newer ones.
    has_waited: bool,
    /// Those that must not be lost.
    promised: BTreeSet<(usize, u32)>,
    /// Those that were given to their file for want of room while the journal was read; and whether the
    /// file lost them.
    given: BTreeMap<(usize, u32), bool>,
    /// Files that the running process was told to forget.
    forgotten: BTreeSet<usize>,
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
    /// Of that seed; `tells` everything that happens.
    pub(super) fn new(seed: u64, tells: bool) -> World {
        let shared = Shared::new(seed);
        shared.machine().tells = tells;
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
            unread: Unread {
                samples: Default::default(),
                end: End::Close,
                is_doubtful: false,
                has_waited: false,
                promised: BTreeSet::new(),
                given: BTreeMap::new(),
                forgotten: BTreeSet::new(),
            },
            time: T0,
            count_put: 0,
            is_crowded,
            has_read: false,
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

    /// Starts a process, which may be able to open its journal.
    fn start(&mut self) {
        self.machine().start();
        self.rrds = Rrds::new(&self.shared);
        self.cache = WriteCache::new(&self.config, self.now()).expect("it holds");
        // So small that frames and segments are many.
        self.cache.pace.frame_bytes = 200;
        self.cache.pace.segment_bytes = 1500;
        self.cache.pace.sync_secs = 5;
        self.ids = [None; FILES.len()];
        (self.was_sound, self.has_read) = (true, false);
        let shared = self.shared.clone();
        self.cache.open_with(|_, _| shared.opened(), &mut self.rrds);
        self.look_for_the_journal(When::AtTheStart);
    }

    /// Things that happen, and then everything heals and gets into its file.
    pub(super) fn run(mut self) -> Tally {
        let steps = if self.is_crowded { STEPS / 5 } else { STEPS };
        for _ in 0..steps {
            self.step();
            self.tally.count("steps", 1);
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
        self.let_go();
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
        let faults = Faults {
            journal_is_full,
            syncs_fail,
            folder_fails,
            folder_is_closed: self.machine().one_in(6),
            rrds_fail,
        };
        self.machine().tell(|| format!("{faults:?}"));
        self.machine().faults = faults;
    }

    /// As all do who put or flush: from what is written now on, a segment waits for the disk to have it.
    fn tell_time(&mut self) {
        self.cache.tell_time(self.now(), &self.rrds);
    }

    /// A source's update: a sample of many files.
    fn update(&mut self) {
        self.tell_time();
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
        self.tell_time();
        self.time += 1;
        let (folder, name) = FILES[file];
        self.put(file, |world, sample| {
            let rrds = &mut world.rrds;
            world.cache.put_by_name(folder, name, SPEC, sample, rrds)
        });
    }

    fn put(&mut self, file: usize, put: impl FnOnce(&mut World, (u32, &[u8])) -> Held) {
        let time = self.time_of_one(file);
        let known = self.known(file);
        let is_known = known >= Some(time);
        let before = self.samples[file].get(&time);
        let is_other = before.is_some_and(|before| before.place != Place::Held);
        if self.unread.samples[file].contains_key(&time) || (is_other && !is_known) {
            // One value has one time, so that it can be told apart.
            return;
        }
        let zeros = if self.is_crowded { 300 } else { 0 };
        let value = format!("{}.{file}{:0<zeros$}", self.count_put, "");
        let held = put(self, (time, value.as_bytes()));
        let in_file = self.machine().rrds.get(&path(file)).map(|rrd| rrd.last);
        let newest = self.newest(file);
        self.machine()
            .tell(|| format!("put {time} of {}: {held:?}", path(file)));
        if held == Held::Stale {
            self.tally.count("refused", 1);
            let what = "refused, as its file is known to have it";
            self.tally.count(what, u64::from(is_other));
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
        assert!(
            !is_known,
            "{time} of {:?} is taken, though what is known goes up to {known:?}",
            FILES[file]
        );
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

    /// The time of a sample that comes now: a new one, an old one, or that of one which is there.
    fn time_of_one(&self, file: usize) -> u32 {
        match self.random(60) {
            0 | 1 => self.time - 20,
            2 | 3 => {
                let all = &self.samples[file];
                let at = self.random(all.len().clamp(1, 8));
                all.keys().rev().nth(at).copied().unwrap_or(self.time)
            }
            _ => self.time,
        }
    }

    /// Time of the newest sample of a file, also of one that was not read yet.
    fn newest(&self, file: usize) -> Option<u32> {
        let all = [&self.samples[file], &self.unread.samples[file]];
        let newest = all.map(|samples| samples.last_key_value().map(|(time, _)| *time));
        newest[0].max(newest[1])
    }

    /// Up to when the process knows that a file has samples, or holds some: it takes none of these times.
    fn known(&self, file: usize) -> Option<u32> {
        let held = self.held(file).map(|(time, _)| time).max();
        held.max(self.machine().told(&path(file)))
    }

    /// Files that nobody uses, and of which nothing is held, are no longer known.
    fn let_go(&self) {
        for file in 0..FILES.len() {
            if self.ids[file].is_none() && self.held(file).next().is_none() {
                self.machine().let_go(&path(file));
            }
        }
    }

    fn held(&self, file: usize) -> impl Iterator<Item = (u32, &Sample)> {
        let samples = self.samples[file].iter();
        samples
            .filter(|(_, sample)| sample.place == Place::Held)
            .map(|(time, sample)| (*time, sample))
    }

    fn flush(&mut self, file: usize) {
        self.machine().tell(|| format!("flush {}", path(file)));
        let (folder, name) = FILES[file];
        self.tell_time();
        self.cache.flush(folder, name, &mut self.rrds);
    }

    fn forget(&mut self, file: usize) {
        let (folder, name) = FILES[file];
        let had_some = self.cache.forget(folder, name, &self.rrds);
        assert_eq!(had_some, self.held(file).next().is_some());
        self.forget_unread(file);
        if !had_some {
            return;
        }
        self.machine().tell(|| format!("forgotten: {}", path(file)));
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
        let (now, shared) = (self.now(), self.shared.clone());
        let disk = |_: &_, _| shared.opened();
        self.cache.open_in_time_with(now, disk, &mut self.rrds);
        self.look_for_the_journal(When::Late);
        self.cache.step(&mut self.rrds, clock);
        self.take_events();
        if !self.machine().is_dead() {
            self.promise();
        }
    }

    fn promise(&mut self) {
        let Some(journal) = self.cache.held.journal() else {
            return;
        };
        let promise = Promise {
            kill: journal.is_sound(),
            power_loss: journal.is_sound() && !journal.is_dirty(),
        };
        self.machine().tell(|| format!("promised: {promise:?}"));
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
                if self.unread.samples[file].contains_key(&time) {
                    self.unread.given.insert((file, time), is_lost);
                } else {
                    self.written(file, time, is_lost);
                }
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
}
