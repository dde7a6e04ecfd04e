//! Samples held in memory, by file, and when each file is to be written.
//!
//! No file is touched and no clock is read: seconds come in as arguments.

use std::collections::HashMap;

use super::arena::{Arena, Chain};
use super::packed::{PackedSamples, push_sample};
use super::texts::Texts;
use super::wheel::{Slot, Timed, Wheel};
use crate::file::FileSpec;
use crate::file::samples::Samples;
use crate::journal::FileId;
use crate::journal::packed::unpack;
use crate::journal::{Identity, SegmentHold};
use crate::writer::record::FileRecord;

/// How long samples are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delay {
    /// From a file's oldest sample on.
    pub(super) timeout_secs: u32,
    /// At most this is added, a different part of it for each file.
    pub(super) jitter_secs: u32,
}

impl Delay {
    /// The longest that a sample is held, unless its file cannot be written.
    pub(super) fn longest_secs(self) -> u64 {
        u64::from(self.timeout_secs) + u64::from(self.jitter_secs)
    }

    /// How long a file's samples are held, counted from the oldest.
    ///
    /// The first time, the jitter is anything up to the limit, so that the files are spread. Later
    /// it is most of the limit, since fewer writes cost the disk less: a page of a file is written
    /// for any number of values. The rest keeps files that began together from staying together.
    ///
    /// Neighbours are written together: their inodes, which change with them, are in one block.
    fn of(self, id: FileId, again: bool) -> u32 {
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

/// Files created one after the other whose inodes share a block on ext4.
const NEIGHBOURS: u32 = 16;

/// From the second write on, files are spread over this part of the jitter: one in so many seconds.
const LATER_SPREAD: u32 = 4;

/// What happened to a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// It is held. Its file held none before.
    First,
    /// It is held. Its file holds older ones too.
    More,
    /// It is refused: its file has a newer sample, or one of the same time.
    Stale,
    /// It is not held for want of room. Writing its file makes some.
    Full,
}

/// Who needs a file's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    /// An entry of a folder, until it releases the file.
    Entry,
    /// Nobody but its own samples, if it has any.
    None,
    /// Nobody: the file is gone. The number is used again as soon as the wheel has left it.
    Gone,
}

/// Whether the file was looked for on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnDisk {
    /// Not since it came into the cache.
    Unasked,
    /// It was, or will be soon; then it is created if it is missing.
    Asked,
}

/// How much of what a file holds is in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Journalled {
    /// All of it, or there is no journal.
    Whole,
    /// Not all of it, as the journal could not be written for a while.
    Partly,
}

/// Samples of one file, and what keeps them in the journal: one does not go without the other.
#[derive(Debug, Default)]
struct Queue {
    samples: Chain,
    /// Time of the newest; 0 for none.
    newest: u32,
    count: u32,
    /// Keeps the journal segment with the oldest sample, if there is a journal.
    hold: Option<SegmentHold>,
}

/// A file that holds samples, or whose metric is still being sent.
#[derive(Debug)]
struct HeldFile {
    record: FileRecord,
    /// Number of its folder and of its name there.
    folder: u32,
    name: u32,
    /// How to create it if it is missing.
    spec: FileSpec,
    queue: Queue,
    slot: Slot,
    /// The last segment of the journal that says who the file is.
    named_in: u32,
    /// Attempts in a row at which the file did not take its samples.
    tries: u8,
    user: User,
    on_disk: OnDisk,
    journalled: Journalled,
}

impl Timed for HeldFile {
    #[inline]
    fn slot(&mut self) -> &mut Slot {
        &mut self.slot
    }

    #[inline]
    fn is_waiting(&self) -> bool {
        self.queue.count > 0
    }

    fn is_gone(&self) -> bool {
        self.user == User::Gone
    }
}

/// A file that holds samples, for whoever writes or creates it.
pub(super) struct Target<'a> {
    /// Below the root.
    pub(super) folder: &'a str,
    /// Without the ending.
    pub(super) name: &'a str,
    pub(super) spec: FileSpec,
    pub(super) record: &'a mut FileRecord,
    /// Attempts in a row at which the file did not take its samples.
    pub(super) tries: u8,
}

/// All samples that are held.
#[derive(Debug)]
pub(super) struct HeldFiles {
    delay: Delay,
    limit_bytes: usize,
    files: Vec<HeldFile>,
    /// Numbers that stand for no file.
    free: Vec<FileId>,
    folders: Texts,
    names: Texts,
    by_name: HashMap<(u32, u32), FileId>,
    arena: Arena,
    wheel: Wheel,
    samples: u64,
    waiting_files: u64,
    /// Files of whose samples the journal lacks some.
    lacking_files: u64,
    /// For one sample at a time.
    scratch: Vec<u8>,
}

impl HeldFiles {
    pub(super) fn new(delay: Delay, limit_bytes: usize) -> HeldFiles {
        HeldFiles {
            delay,
            limit_bytes,
            files: Vec::new(),
            free: Vec::new(),
            folders: Texts::default(),
            names: Texts::default(),
            by_name: HashMap::new(),
            arena: Arena::default(),
            wheel: Wheel::new(delay.longest_secs()),
            samples: 0,
            waiting_files: 0,
            lacking_files: 0,
            scratch: Vec::new(),
        }
    }

    /// Samples that are held.
    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    /// Files with samples that are held.
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
        let id = self.find_or_add(folder, name, spec);
        self.files[id.index()].user = User::Entry;
        id
    }

    /// The file of that name. It stays only if it is given a sample before [`HeldFiles::tidy`].
    pub(super) fn find_or_add(&mut self, folder: &str, name: &str, spec: FileSpec) -> FileId {
        if let Some(id) = self.find(folder, name) {
            return id;
        }
        let key = (self.folders.add(folder), self.names.add(name));
        let file = HeldFile {
            record: FileRecord::UNKNOWN,
            folder: key.0,
            name: key.1,
            spec,
            queue: Queue::default(),
            slot: Slot::default(),
            named_in: 0,
            tries: 0,
            user: User::None,
            on_disk: OnDisk::Unasked,
            journalled: Journalled::Whole,
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
        let key = (self.folders.find(folder)?, self.names.find(name)?);
        self.by_name.get(&key).copied()
    }

    /// A file's folder below the root.
    pub(super) fn folder(&self, id: FileId) -> &str {
        self.folders.text(self.files[id.index()].folder)
    }

    /// A file's name in its folder, without the ending.
    pub(super) fn name(&self, id: FileId) -> &str {
        self.names.text(self.files[id.index()].name)
    }

    #[inline]
    pub(super) fn set_spec(&mut self, id: FileId, spec: FileSpec) {
        self.files[id.index()].spec = spec;
    }

    /// How many samples of a file are held.
    pub(super) fn count(&self, id: FileId) -> u32 {
        self.files[id.index()].queue.count
    }

    /// What the writer remembers of a file.
    pub(super) fn record(&self, id: FileId) -> FileRecord {
        self.files[id.index()].record
    }

    /// Time of a file's newest sample, held or written.
    pub(super) fn newest(&self, id: FileId) -> Option<u32> {
        let file = &self.files[id.index()];
        let held = (file.queue.count > 0).then_some(file.queue.newest);
        held.max(file.record.last())
    }

    /// Holds a sample whose value is packed already. If the file held none before, `hold` is called
    /// for what keeps the sample in the journal.
    #[inline]
    pub(super) fn put(
        &mut self,
        id: FileId,
        time: u32,
        packed: &[u8],
        now: u32,
        hold: impl FnOnce() -> Option<SegmentHold>,
    ) -> Held {
        let file = &self.files[id.index()];
        if time <= file.queue.newest || file.record.covers(time) {
            return Held::Stale;
        }
        let is_same = file.queue.samples.marked() == packed;
        self.scratch.clear();
        // From the one before, or from 0: the newest is 0 where none is held.
        let step = time - file.queue.newest;
        push_sample(step, (!is_same).then_some(packed), &mut self.scratch);
        let limit = self.limit_bytes.saturating_sub(self.fixed_bytes());
        let file = &mut self.files[id.index()];
        let queue = &mut file.queue;
        if !self.arena.append(&mut queue.samples, &self.scratch, limit) {
            return Held::Full;
        }
        if !is_same {
            queue.samples.mark(packed.len());
        }
        queue.newest = time;
        queue.count += 1;
        self.samples += 1;
        if queue.count > 1 {
            return Held::More;
        }
        queue.hold = hold();
        self.waiting_files += 1;
        let due = now + self.delay.of(id, file.slot.was_due());
        self.wheel.set(&mut self.files, id, due);
        Held::First
    }

    /// Copies a file's samples, oldest first, after those that `samples` has.
    pub(super) fn read(&mut self, id: FileId, samples: &mut Samples) {
        let mut bytes = std::mem::take(&mut self.scratch);
        for (time, mut packed) in self.packed(id, &mut bytes) {
            samples.push_packed(time, |text| unpack(&mut packed, text));
        }
        self.scratch = bytes;
    }

    /// The time and the packed value of each of a file's samples, oldest first, copied to `bytes`.
    pub(super) fn packed<'a>(&self, id: FileId, bytes: &'a mut Vec<u8>) -> PackedSamples<'a> {
        let queue = &self.files[id.index()].queue;
        bytes.clear();
        self.arena.read(&queue.samples, bytes);
        PackedSamples::new(bytes, queue.count)
    }

    /// A file, for whoever writes or creates it.
    pub(super) fn target(&mut self, id: FileId) -> Target<'_> {
        let file = &mut self.files[id.index()];
        Target {
            folder: self.folders.text(file.folder),
            name: self.names.text(file.name),
            spec: file.spec,
            record: &mut file.record,
            tries: file.tries,
        }
    }

    /// Drops a file's samples, which are written, lost or not wanted. The hold that is returned goes
    /// back to the journal.
    #[must_use]
    pub(super) fn take_samples(&mut self, id: FileId) -> Option<SegmentHold> {
        self.set_lacking(id, false);
        let file = &mut self.files[id.index()];
        file.tries = 0;
        let mut queue = std::mem::take(&mut file.queue);
        self.samples -= u64::from(queue.count);
        self.waiting_files -= u64::from(queue.count > 0);
        self.arena.free(&mut queue.samples);
        queue.hold
    }

    /// Keeps the samples of a file that did not take them, to be tried again in that second.
    pub(super) fn retry_at(&mut self, id: FileId, second: u32) {
        let file = &mut self.files[id.index()];
        file.tries = file.tries.saturating_add(1);
        self.put_off(id, second);
    }

    /// Whether this is the first time to ask, and nothing is known of the file on disk.
    pub(super) fn is_first_look(&mut self, id: FileId) -> bool {
        let file = &mut self.files[id.index()];
        let before = std::mem::replace(&mut file.on_disk, OnDisk::Asked);
        before == OnDisk::Unasked && file.record.last().is_none()
    }

    /// Ends the use of a file. If it holds no samples, it is gone, and this is its record.
    pub(super) fn release(&mut self, id: FileId) -> Option<FileRecord> {
        self.files[id.index()].user = User::None;
        self.tidy(id)
    }

    /// Drops a file that has no samples and no user. If there was one, this is its record.
    pub(super) fn tidy(&mut self, id: FileId) -> Option<FileRecord> {
        let file = &mut self.files[id.index()];
        if file.user != User::None || file.queue.count > 0 {
            return None;
        }
        file.user = User::Gone;
        let (folder, name, record) = (file.folder, file.name, file.record);
        if !file.slot.is_in_wheel() {
            self.free.push(id);
        }
        self.by_name.remove(&(folder, name));
        self.folders.remove(folder);
        self.names.remove(name);
        Some(record)
    }

    /// A file that is due. It stays due until it is written or put off.
    pub(super) fn due(&mut self, now: u32) -> Option<FileId> {
        self.wheel.due(&mut self.files, now, &mut self.free)
    }

    /// The file that is due next, whenever that is. It stays so until it is written or put off.
    pub(super) fn soonest(&mut self) -> Option<FileId> {
        self.wheel.soonest(&mut self.files, &mut self.free)
    }

    /// Makes a file due in that second.
    pub(super) fn put_off(&mut self, id: FileId, until: u32) {
        self.wheel.set(&mut self.files, id, until);
    }

    /// Files with samples, by number.
    pub(super) fn waiting(&self) -> impl Iterator<Item = FileId> {
        let numbered = (0..).map(FileId::new).zip(&self.files);
        numbered.filter_map(|(id, file)| file.is_waiting().then_some(id))
    }

    /// Whether nearly all of the memory that the limit allows is taken.
    pub(super) fn is_crowded(&self) -> bool {
        self.bytes() > self.limit_bytes - self.limit_bytes / 10 && self.arena.is_nearly_full()
    }

    /// The name of a file, for the journal.
    pub(super) fn identity(&self, id: FileId) -> Identity<'_> {
        let file = &self.files[id.index()];
        Identity {
            folder_number: file.folder,
            folder: self.folders.text(file.folder),
            name: self.names.text(file.name),
            spec: file.spec,
        }
    }

    /// The last segment of the journal that says who a file is.
    #[inline]
    pub(super) fn named_in(&self, id: FileId) -> u32 {
        self.files[id.index()].named_in
    }

    pub(super) fn set_named_in(&mut self, id: FileId, segment: u32) {
        self.files[id.index()].named_in = segment;
    }

    /// Files of whose samples the journal lacks some.
    pub(super) fn lacking_files(&self) -> u64 {
        self.lacking_files
    }

    /// Whether the journal lacks some of a file's samples.
    #[inline]
    pub(super) fn is_lacking(&self, id: FileId) -> bool {
        self.files[id.index()].journalled == Journalled::Partly
    }

    /// Notes whether the journal lacks some of a file's samples.
    pub(super) fn set_lacking(&mut self, id: FileId, lacking: bool) {
        let file = &mut self.files[id.index()];
        let now = if lacking {
            Journalled::Partly
        } else {
            Journalled::Whole
        };
        match (std::mem::replace(&mut file.journalled, now), now) {
            (Journalled::Whole, Journalled::Partly) => self.lacking_files += 1,
            (Journalled::Partly, Journalled::Whole) => self.lacking_files -= 1,
            _ => {}
        }
    }

    /// Marks all files that a journal segment names last, as that segment cannot be relied on.
    pub(super) fn set_lacking_in(&mut self, segment: u32) {
        for number in 0..self.len() {
            let id = FileId::new(number);
            let file = &self.files[id.index()];
            if file.is_waiting() && file.named_in == segment {
                self.set_lacking(id, true);
            }
        }
    }

    /// No file has this number or a greater one.
    pub(super) fn len(&self) -> u32 {
        self.files.len() as u32
    }

    /// Of `count` files from that number on: those of whose samples the journal lacks some.
    pub(super) fn lacking(&self, from: u32, count: u32) -> Vec<FileId> {
        let until = self.len().min(from.saturating_add(count));
        let numbers = (from..until).map(FileId::new);
        numbers.filter(|id| self.is_lacking(*id)).collect()
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

    fn held_files() -> HeldFiles {
        HeldFiles::new(DELAY, 1 << 30)
    }

    fn put(cache: &mut HeldFiles, id: FileId, time: u32, now: u32) -> Held {
        let mut packed = Vec::new();
        assert!(crate::journal::packed::pack(b"1.5", &mut packed));
        cache.put(id, time, &packed, now, || None)
    }

    fn drop_samples(cache: &mut HeldFiles, id: FileId) {
        assert!(cache.take_samples(id).is_none(), "there is no journal");
    }

    fn taken(cache: &mut HeldFiles, id: FileId) -> Vec<String> {
        let mut samples = Samples::default();
        cache.read(id, &mut samples);
        drop_samples(cache, id);
        samples.with(|all| all.iter().map(|it| it.to_str().unwrap().into()).collect())
    }

    #[test]
    fn samples_come_back_in_order_and_stale_ones_do_not() {
        let mut cache = held_files();
        let id = cache.use_file("c/h", "m", SPEC);
        assert_eq!(put(&mut cache, id, 1000, 0), Held::First);
        assert_eq!(put(&mut cache, id, 1015, 15), Held::More);
        assert_eq!(put(&mut cache, id, 1015, 15), Held::Stale);
        assert_eq!(put(&mut cache, id, 1001, 15), Held::Stale);
        assert_eq!((cache.samples(), cache.waiting_files()), (2, 1));
        assert_eq!(taken(&mut cache, id), ["1000:1.5", "1015:1.5"]);
        assert_eq!((cache.samples(), cache.waiting_files()), (0, 0));
        cache.target(id).record.wrote(1015);
        assert_eq!(put(&mut cache, id, 1015, 30), Held::Stale);
    }

    #[test]
    fn values_come_back_whether_they_change_or_not_and_those_that_do_not_take_little_room() {
        let mut cache = held_files();
        let values = [&b"123456.789"[..], b"7", b"1.5", b"-0.25e-7:12", b"U", b""];
        let kept = |value: &[u8]| {
            let mut packed = Vec::new();
            assert!(crate::journal::packed::pack(value, &mut packed));
            packed
        };
        for round in 1..=20 {
            let id = cache.use_file("c/h", &format!("m{round}"), SPEC);
            let mut expected = Vec::new();
            for at in 0..300_u32 {
                // Each value stays for so many samples, so that the changes are anywhere in a chunk.
                let value = values[(at / round) as usize % values.len()];
                let time = 1000 + at * at;
                if at > 0 && at % 97 == 0 {
                    assert_eq!(taken(&mut cache, id), expected);
                    expected.clear();
                }
                assert_ne!(cache.put(id, time, &kept(value), 0, || None), Held::Stale);
                expected.push(format!("{time}:{}", String::from_utf8_lossy(value)));
            }
            assert_eq!(taken(&mut cache, id), expected);
        }
        let id = cache.use_file("c/h", "constant", SPEC);
        for at in 0..1000 {
            cache.put(id, 1000 + 15 * at, &kept(b"1782119151"), 0, || None);
        }
        let mut bytes = Vec::new();
        assert!(cache.packed(id, &mut bytes).bytes() < 1400);
    }

    #[test]
    fn files_are_due_after_the_timeout_and_late_in_the_jitter_once_they_are_spread() {
        let mut cache = held_files();
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
                drop_samples(&mut cache, id);
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
                drop_samples(&mut cache, id);
            }
            due
        });
        let again: Vec<usize> = again.collect();
        assert_eq!(again.iter().sum::<usize>(), 1000);
        assert!(again.iter().all(|some| *some <= 100), "{again:?}");
    }

    #[test]
    fn a_file_written_early_waits_its_full_time_again() {
        let mut cache = HeldFiles::new(
            Delay {
                timeout_secs: 100,
                jitter_secs: 0,
            },
            1 << 30,
        );
        let id = cache.use_file("c/h", "m", SPEC);
        put(&mut cache, id, 1000, 0);
        drop_samples(&mut cache, id);
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
        let mut cache = held_files();
        let id = cache.use_file("c/h", "m", SPEC);
        put(&mut cache, id, 1000, 0);
        assert!(cache.release(id).is_none(), "it has a sample");
        assert_eq!(cache.use_file("c/h", "m", SPEC), id, "the host is back");
        cache.release(id);
        drop_samples(&mut cache, id);
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
        let mut cache = HeldFiles::new(DELAY, 0);
        let first = cache.use_file("c/h", "first", SPEC);
        put(&mut cache, first, 1000, 0);
        let id = cache.use_file("c/h", "m", SPEC);
        let full = (0..100_000).find(|at| put(&mut cache, id, 1000 + at, 60) == Held::Full);
        assert!(full.is_some_and(|at| at > 1000), "{full:?}");
        assert!(cache.is_crowded());
        assert_eq!(cache.soonest(), Some(first));
        assert_eq!(
            cache.soonest(),
            Some(first),
            "it is not lost if nobody writes it"
        );
        drop_samples(&mut cache, first);
        assert_eq!(cache.soonest(), Some(id));
        drop_samples(&mut cache, id);
        assert_eq!(cache.soonest(), None);
    }

    #[test]
    fn a_file_takes_a_hundred_bytes_its_last_samples_included() {
        assert!(size_of::<HeldFile>() <= 100, "{}", size_of::<HeldFile>());
    }
}
