//! Samples that wait to be written, by file, and which file is to be written when.
//!
//! No file is touched and no clock is read: seconds come in as arguments, what is due goes out.

use std::collections::HashMap;
use std::sync::Arc;

use super::arena::{Arena, Chain};
use super::packed::{push_number, take_number, unpack};
use super::record::{FileId, FileRecord};
use crate::file::FileSpec;
use crate::file::samples::Samples;

/// How long samples wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delay {
    /// From a file's oldest sample on.
    pub(super) timeout_secs: u32,
    /// Added to that, at most this and different from file to file.
    pub(super) jitter_secs: u32,
}

impl Delay {
    /// How long a file's samples wait, from the oldest on.
    ///
    /// The first ones wait anything that is allowed, so that the files are spread; later ones nearly
    /// all that is allowed, since what waits longer costs the disk less: a page of a file is written
    /// for any number of values. The rest keeps files of one beginning from staying together.
    ///
    /// Neighbours are written together: their inodes, which change with them, are in one block.
    fn wait(self, id: FileId, again: bool) -> u32 {
        let share = u64::from((id.number() / NEIGHBOURS).wrapping_mul(0x9e37_79b1));
        let part = |secs: u32| ((share * u64::from(secs)) >> 32) as u32;
        let jitter = if again {
            self.jitter_secs - part(self.jitter_secs / LATER_SPREAD)
        } else {
            part(self.jitter_secs)
        };
        self.timeout_secs + jitter
    }
}

/// Files that were created one after the other: what ext4 has inodes for in a block.
const NEIGHBOURS: u32 = 16;

/// Of the jitter, one in how many seconds still spreads a file's later writes.
const LATER_SPREAD: u32 = 4;

const NONE: u32 = u32::MAX;

/// A file with samples, or one whose metric is being sent.
#[derive(Clone, Debug)]
pub(super) struct HeldFile {
    /// What the writer knows of it.
    pub(super) record: FileRecord,
    /// Number of its folder and of its name there.
    pub(super) folder: u32,
    pub(super) name: u32,
    /// What it is to be, if it is to be created.
    pub(super) spec: FileSpec,
    /// Journal segment with its oldest sample that waits, and the last that says who it is.
    pub(super) oldest_segment: u32,
    pub(super) named_in: u32,
    /// How often in a row it did not take its samples.
    pub(super) tries: u8,
    samples: Chain,
    /// Time of the newest sample that waits.
    newest: u32,
    count: u32,
    /// Second at which it is to be written.
    due: u32,
    /// Next in its place of the wheel.
    next: u32,
    in_wheel: bool,
    /// Whether a folder of the archive refers to it.
    in_use: bool,
    on_disk: OnDisk,
    /// Whether this number stands for a file at all.
    taken: bool,
}

/// Whether somebody wanted to know if the file is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnDisk {
    /// Not since it is in the cache.
    Unasked,
    /// It was looked for, and made if it was missing, or will be soon.
    Asked,
}

impl HeldFile {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Time of the newest sample, waiting or written; 0 for none known.
    pub(super) fn newest(&self) -> u32 {
        self.newest.max(self.record.last().unwrap_or(0))
    }
}

/// What has become of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It waits; it is its file's first.
    First,
    /// It waits behind others.
    More,
    /// Its file has a newer one, or one of the same time.
    Stale,
    /// There is no room; its file should be written.
    Full,
}

/// Texts by number, for as long as they have users.
#[derive(Debug, Default)]
struct Texts {
    numbers: HashMap<Arc<str>, u32>,
    known: Vec<(Arc<str>, u32)>,
    free: Vec<u32>,
}

impl Texts {
    /// The number of a text, with one user more.
    fn add(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            self.known[number as usize].1 += 1;
            return number;
        }
        let text: Arc<str> = text.into();
        let entry = (Arc::clone(&text), 1);
        let number = if let Some(number) = self.free.pop() {
            self.known[number as usize] = entry;
            number
        } else {
            self.known.push(entry);
            self.known.len() as u32 - 1
        };
        self.numbers.insert(text, number);
        number
    }

    fn remove(&mut self, number: u32) {
        let (text, users) = &mut self.known[number as usize];
        *users -= 1;
        if *users == 0 {
            let text = std::mem::replace(text, "".into());
            self.numbers.remove(&text);
            self.free.push(number);
        }
    }
}

/// All samples that wait.
#[derive(Debug)]
pub(super) struct Cache {
    delay: Delay,
    limit_bytes: usize,
    files: Vec<HeldFile>,
    free: Vec<FileId>,
    folders: Texts,
    names: Texts,
    by_name: HashMap<(u32, u32), FileId>,
    arena: Arena,
    /// By second, round and round: the first file of those due then.
    wheel: Vec<u32>,
    /// Everything due before this second has been taken.
    cursor: u32,
    samples: u64,
    waiting_files: u64,
    /// For one sample at a time.
    scratch: Vec<u8>,
}

impl Cache {
    pub(super) fn new(delay: Delay, limit_bytes: usize) -> Cache {
        let places = u64::from(delay.timeout_secs) + u64::from(delay.jitter_secs) + 2;
        Cache {
            delay,
            limit_bytes,
            files: Vec::new(),
            free: Vec::new(),
            folders: Texts::default(),
            names: Texts::default(),
            by_name: HashMap::new(),
            arena: Arena::default(),
            wheel: vec![NONE; places as usize],
            cursor: 0,
            samples: 0,
            waiting_files: 0,
            scratch: Vec::new(),
        }
    }

    /// Samples that wait.
    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    /// Files with samples that wait.
    pub(super) fn waiting_files(&self) -> u64 {
        self.waiting_files
    }

    /// Memory taken for all of it, as far as it grows with files and samples.
    pub(super) fn bytes(&self) -> usize {
        self.arena.bytes() + self.fixed_bytes()
    }

    fn fixed_bytes(&self) -> usize {
        let entry = size_of::<((u32, u32), FileId)>() + 1;
        self.files.capacity() * size_of::<HeldFile>() + self.by_name.capacity() * entry
    }

    /// The file of that name in that folder below the root, used from now on until it is released.
    pub(super) fn use_file(&mut self, folder: &str, name: &str, spec: FileSpec) -> FileId {
        let id = self.file(folder, name, spec);
        self.files[id.index()].in_use = true;
        id
    }

    /// The file of that name, which goes when it has no samples and nobody uses it: to be followed
    /// by a sample or by [`Cache::tidy`].
    pub(super) fn file(&mut self, folder: &str, name: &str, spec: FileSpec) -> FileId {
        if let Some(id) = self.find(folder, name) {
            return id;
        }
        let key = (self.folders.add(folder), self.names.add(name));
        let file = HeldFile {
            record: FileRecord::UNKNOWN,
            folder: key.0,
            name: key.1,
            spec,
            oldest_segment: 0,
            named_in: 0,
            tries: 0,
            samples: Chain::default(),
            newest: 0,
            count: 0,
            due: 0,
            next: NONE,
            in_wheel: false,
            in_use: false,
            on_disk: OnDisk::Unasked,
            taken: true,
        };
        let id = if let Some(id) = self.free.pop() {
            self.files[id.index()] = file;
            id
        } else {
            self.files.push(file);
            FileId::new(self.files.len() as u32 - 1)
        };
        self.by_name.insert(key, id);
        id
    }

    /// The file of that name, if there is one.
    pub(super) fn find(&self, folder: &str, name: &str) -> Option<FileId> {
        let folder = self.folders.numbers.get(folder)?;
        let name = self.names.numbers.get(name)?;
        self.by_name.get(&(*folder, *name)).copied()
    }

    pub(super) fn get(&self, id: FileId) -> &HeldFile {
        &self.files[id.index()]
    }

    pub(super) fn get_mut(&mut self, id: FileId) -> &mut HeldFile {
        &mut self.files[id.index()]
    }

    /// A file's folder below the root.
    pub(super) fn folder(&self, id: FileId) -> &str {
        &self.folders.known[self.get(id).folder as usize].0
    }

    /// A file's name in its folder, without the ending.
    pub(super) fn name(&self, id: FileId) -> &str {
        &self.names.known[self.get(id).name as usize].0
    }

    /// Holds a sample whose value is packed already.
    pub(super) fn put(&mut self, id: FileId, time: u32, packed: &[u8], now: u32) -> Held {
        let file = &mut self.files[id.index()];
        if time <= file.newest || file.record.covers(time) {
            return Held::Stale;
        }
        self.scratch.clear();
        // From the one before, or from 0: the newest is 0 where none waits.
        push_number(u64::from(time - file.newest), &mut self.scratch);
        self.scratch.extend_from_slice(packed);
        let limit = self.limit_bytes.saturating_sub(self.fixed_bytes());
        let file = &mut self.files[id.index()];
        if !self.arena.append(&mut file.samples, &self.scratch, limit) {
            return Held::Full;
        }
        file.newest = time;
        file.count += 1;
        self.samples += 1;
        if file.count > 1 {
            return Held::More;
        }
        self.waiting_files += 1;
        file.due = now + self.delay.wait(id, file.due > 0);
        self.enter_wheel(id);
        Held::First
    }

    /// Copies a file's samples, oldest first, after those that `samples` has.
    pub(super) fn read(&mut self, id: FileId, samples: &mut Samples) {
        self.scratch.clear();
        let file = &mut self.files[id.index()];
        self.arena.read(&file.samples, &mut self.scratch);
        let mut rest = self.scratch.as_slice();
        let mut time = 0;
        for _ in 0..file.count {
            let Some(more) = take_number(&mut rest) else {
                unreachable!("every sample was put there whole")
            };
            time += more as u32;
            samples.push_packed(time, |text| unpack(&mut rest, text));
        }
    }

    /// Lets go of a file's samples.
    pub(super) fn drop_samples(&mut self, id: FileId) {
        let file = &mut self.files[id.index()];
        self.samples -= u64::from(file.count);
        self.waiting_files -= u64::from(file.count > 0);
        self.arena.free(&mut file.samples);
        file.count = 0;
        file.newest = 0;
    }

    /// Whether nothing is known of a file on disk, and this is the first time to ask.
    pub(super) fn is_first_look(&mut self, id: FileId) -> bool {
        let file = &mut self.files[id.index()];
        let before = std::mem::replace(&mut file.on_disk, OnDisk::Asked);
        before == OnDisk::Unasked && file.record.last().is_none()
    }

    /// Ends the use of a file; it goes at once if it has no samples, and then this is its record.
    pub(super) fn release(&mut self, id: FileId) -> Option<FileRecord> {
        self.files[id.index()].in_use = false;
        self.tidy(id)
    }

    /// Lets go of a file that has no samples and no user; its record if it went.
    pub(super) fn tidy(&mut self, id: FileId) -> Option<FileRecord> {
        let file = &mut self.files[id.index()];
        if !file.taken || file.in_use || file.count > 0 {
            return None;
        }
        let (folder, name, record) = (file.folder, file.name, file.record);
        file.taken = false;
        self.by_name.remove(&(folder, name));
        self.folders.remove(folder);
        self.names.remove(name);
        // Its number is free once the wheel has passed it.
        if !self.files[id.index()].in_wheel {
            self.free.push(id);
        }
        Some(record)
    }

    /// A file that is due, out of the wheel: to be written or put off.
    pub(super) fn due(&mut self, now: u32) -> Option<FileId> {
        while self.cursor <= now {
            let Some(id) = self.leave_wheel(self.cursor) else {
                self.cursor += 1;
                continue;
            };
            if self.files[id.index()].due <= now {
                return Some(id);
            }
            self.enter_wheel(id);
        }
        None
    }

    /// The file that is due next, whenever that is.
    pub(super) fn soonest(&mut self) -> Option<FileId> {
        let places = self.wheel.len() as u32;
        (self.cursor..self.cursor + places).find_map(|second| self.leave_wheel(second))
    }

    /// Has a file come again a little later.
    pub(super) fn put_off(&mut self, id: FileId, until: u32) {
        self.files[id.index()].due = until;
        self.enter_wheel(id);
    }

    /// Files with samples, by number.
    pub(super) fn waiting(&self) -> impl Iterator<Item = FileId> {
        let numbered = (0..).zip(&self.files);
        numbered.filter_map(|(id, file)| (file.count > 0).then_some(FileId::new(id)))
    }

    /// Whether every byte that the limit allows is taken, or nearly.
    pub(super) fn is_crowded(&self) -> bool {
        self.bytes() > self.limit_bytes - self.limit_bytes / 10 && self.arena.is_nearly_full()
    }

    fn enter_wheel(&mut self, id: FileId) {
        let places = self.wheel.len() as u32;
        let file = &mut self.files[id.index()];
        if file.in_wheel {
            // It was written early; it is looked at where it stands, and then moves on.
            return;
        }
        let second = file.due.clamp(self.cursor, self.cursor + places - 1);
        let place = &mut self.wheel[(second % places) as usize];
        file.next = std::mem::replace(place, id.number());
        file.in_wheel = true;
    }

    /// The first file at that place that still has samples.
    fn leave_wheel(&mut self, second: u32) -> Option<FileId> {
        let place = second as usize % self.wheel.len();
        loop {
            let id = self.wheel[place];
            let file = self.files.get_mut(id as usize)?;
            self.wheel[place] = file.next;
            file.in_wheel = false;
            if file.count > 0 {
                return Some(FileId::new(id));
            }
            if !file.taken {
                self.free.push(FileId::new(id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::samples::Kind;

    const SPEC: FileSpec = FileSpec {
        step_secs: 15,
        kind: Kind::Gauge,
        with_num: false,
    };
    const DELAY: Delay = Delay {
        timeout_secs: 100,
        jitter_secs: 50,
    };

    fn cache() -> Cache {
        Cache::new(DELAY, 1 << 30)
    }

    fn put(cache: &mut Cache, id: FileId, time: u32, now: u32) -> Held {
        let mut packed = Vec::new();
        assert!(super::super::packed::pack(b"1.5", &mut packed));
        cache.put(id, time, &packed, now)
    }

    fn taken(cache: &mut Cache, id: FileId) -> Vec<String> {
        let mut samples = Samples::default();
        cache.read(id, &mut samples);
        cache.drop_samples(id);
        samples.with(|all| all.iter().map(|it| it.to_str().unwrap().into()).collect())
    }

    #[test]
    fn samples_come_back_in_order_and_stale_ones_do_not() {
        let mut cache = cache();
        let id = cache.use_file("c/h", "m", SPEC);
        assert_eq!(put(&mut cache, id, 1000, 0), Held::First);
        assert_eq!(put(&mut cache, id, 1015, 15), Held::More);
        assert_eq!(put(&mut cache, id, 1015, 15), Held::Stale);
        assert_eq!(put(&mut cache, id, 1001, 15), Held::Stale);
        assert_eq!((cache.samples(), cache.waiting_files()), (2, 1));
        assert_eq!(taken(&mut cache, id), ["1000:1.5", "1015:1.5"]);
        assert_eq!((cache.samples(), cache.waiting_files()), (0, 0));
        cache.get_mut(id).record.wrote(1015);
        assert_eq!(put(&mut cache, id, 1015, 30), Held::Stale);
    }

    #[test]
    fn files_are_due_after_the_timeout_and_late_in_the_jitter_once_they_are_spread() {
        let mut cache = cache();
        let ids: Vec<FileId> = (0..1000)
            .map(|at| cache.use_file("c/h", &format!("m{at}"), SPEC))
            .collect();
        for &id in &ids {
            put(&mut cache, id, 1000, 7);
        }
        let mut by_second = vec![0; 200];
        for now in 0..200 {
            while let Some(id) = cache.due(now) {
                by_second[now as usize] += 1;
                cache.drop_samples(id);
            }
        }
        assert_eq!(by_second.iter().sum::<usize>(), 1000);
        let busiest = by_second[107..157].iter().max();
        assert_eq!(by_second[107..157].iter().sum::<usize>(), 1000);
        let most = 2 * NEIGHBOURS as usize;
        assert!(
            busiest.is_some_and(|busiest| *busiest <= most),
            "{by_second:?}"
        );

        for &id in &ids {
            put(&mut cache, id, 2000, 1000);
        }
        assert_eq!(
            (0..1138).find_map(|now| cache.due(now)),
            None,
            "far from their time"
        );
        let again = (1138..=1150).map(|now| {
            let mut due = 0;
            while let Some(id) = cache.due(now) {
                due += 1;
                cache.drop_samples(id);
            }
            due
        });
        let again: Vec<usize> = again.collect();
        assert_eq!(again.iter().sum::<usize>(), 1000);
        assert!(again.iter().all(|some| *some <= 100), "{again:?}");
    }

    #[test]
    fn a_file_written_early_waits_its_full_time_again() {
        let mut cache = Cache::new(
            Delay {
                timeout_secs: 100,
                jitter_secs: 0,
            },
            1 << 30,
        );
        let id = cache.use_file("c/h", "m", SPEC);
        put(&mut cache, id, 1000, 0);
        cache.drop_samples(id);
        put(&mut cache, id, 1015, 50);
        assert_eq!((0..150).find_map(|now| cache.due(now)), None);
        assert_eq!(cache.due(150), Some(id));
        cache.put_off(id, 152);
        assert_eq!((cache.due(151), cache.due(152)), (None, Some(id)));
        // However late one looks.
        cache.put_off(id, 153);
        assert_eq!(cache.due(100_000), Some(id));
    }

    #[test]
    fn a_file_without_samples_and_users_is_forgotten() {
        let mut cache = cache();
        let id = cache.use_file("c/h", "m", SPEC);
        put(&mut cache, id, 1000, 0);
        assert!(cache.release(id).is_none(), "it has a sample");
        assert_eq!(cache.use_file("c/h", "m", SPEC), id, "the host is back");
        cache.release(id);
        cache.drop_samples(id);
        assert!(cache.tidy(id).is_some());
        assert_eq!(cache.find("c/h", "m"), None);
        let other = cache.use_file("c/h", "other", SPEC);
        assert_ne!(other, id, "its number is in the wheel still");
        assert_eq!(cache.due(200), None);
        assert_eq!(cache.use_file("c/h", "third", SPEC), id);
        assert_eq!((cache.folder(id), cache.name(id)), ("c/h", "third"));
    }

    #[test]
    fn what_is_over_the_limit_is_not_taken_and_the_oldest_can_be_told() {
        let mut cache = Cache::new(DELAY, 0);
        let first = cache.use_file("c/h", "first", SPEC);
        put(&mut cache, first, 1000, 0);
        let id = cache.use_file("c/h", "m", SPEC);
        let full = (0..100_000).find(|at| put(&mut cache, id, 1000 + at, 60) == Held::Full);
        assert!(full.is_some_and(|at| at > 1000), "{full:?}");
        assert!(cache.is_crowded());
        assert_eq!(cache.soonest(), Some(first));
        assert_eq!(cache.soonest(), Some(id));
        assert_eq!(cache.soonest(), None);
    }

    #[test]
    fn a_file_takes_a_hundred_bytes_its_last_samples_included() {
        assert!(size_of::<HeldFile>() <= 100, "{}", size_of::<HeldFile>());
    }
}
