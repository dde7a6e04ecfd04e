//! Which file is due in which second: a timing wheel.
//!
//! No clock: seconds come in as arguments. A file that is looked up stays in its place until it holds
//! no samples or is put off, so no caller can lose one.

use crate::journal::FileId;

/// A file's place in the wheel; a part of the file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    /// Second at which the file is due; 0 only if it never was.
    due: u32,
    /// Number of the next file in the same place of the wheel.
    next: u32,
    in_wheel: bool,
}

impl Slot {
    /// Whether the file has ever been due.
    pub(super) fn was_due(self) -> bool {
        self.due > 0
    }

    /// Whether the wheel still refers to the file's number.
    pub(super) fn is_in_wheel(self) -> bool {
        self.in_wheel
    }
}

/// What the wheel asks of a file.
pub(super) trait Timed {
    fn slot(&mut self) -> &mut Slot;
    /// Whether the file has samples that wait. A file without any leaves the wheel when its place
    /// is passed.
    fn is_waiting(&self) -> bool;
    /// Whether the file is gone, and its number is used again once the wheel leaves it.
    fn is_gone(&self) -> bool;
}

const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Wheel {
    /// By second, round and round: the number of the first file due then.
    places: Vec<u32>,
    /// No file is due before this second.
    cursor: u32,
}

impl Wheel {
    /// A wheel for files that are due at most so many seconds ahead.
    pub(super) fn new(longest_secs: u64) -> Wheel {
        // One place is for now, and one for a file that is put off for a second.
        let places = longest_secs + 2;
        Wheel {
            places: vec![NONE; places as usize],
            cursor: 0,
        }
    }

    /// Makes a file due in that second. It comes up at once if that has passed, and is put off again
    /// if it is further ahead than the wheel goes.
    #[inline]
    pub(super) fn set<T: Timed>(&mut self, files: &mut [T], id: FileId, due: u32) {
        let slot = files[id.index()].slot();
        slot.due = due.max(1);
        // A file that was written early is still in its old place, and moves when that comes.
        if !slot.in_wheel {
            self.enter(files, id);
        }
    }

    /// A file that is due by now, the longest overdue first. It stays where it is. Numbers of files
    /// that are gone are added to `free` as they leave the wheel.
    pub(super) fn due<T: Timed>(
        &mut self,
        files: &mut [T],
        now: u32,
        free: &mut Vec<FileId>,
    ) -> Option<FileId> {
        while self.cursor <= now {
            if let Some(id) = self.first(files, self.cursor, free) {
                return Some(id);
            }
            self.cursor += 1;
        }
        None
    }

    /// The file that is due next, whenever that is. It stays where it is.
    pub(super) fn soonest<T: Timed>(
        &mut self,
        files: &mut [T],
        free: &mut Vec<FileId>,
    ) -> Option<FileId> {
        let mut seconds = self.cursor..self.cursor + self.places.len() as u32;
        seconds.find_map(|second| self.first(files, second, free))
    }

    /// The first file that belongs in that second's place. Files before it that belong elsewhere
    /// move there; those without samples leave the wheel.
    fn first<T: Timed>(
        &mut self,
        files: &mut [T],
        second: u32,
        free: &mut Vec<FileId>,
    ) -> Option<FileId> {
        let place = second as usize % self.places.len();
        loop {
            let number = self.places[place];
            let file = files.get_mut(number as usize)?;
            let id = FileId::new(number);
            let (is_waiting, is_gone) = (file.is_waiting(), file.is_gone());
            let slot = file.slot();
            if is_waiting && self.place(slot.due) == place {
                return Some(id);
            }
            self.places[place] = slot.next;
            slot.in_wheel = false;
            if is_waiting {
                self.enter(files, id);
            } else if is_gone {
                free.push(id);
            }
        }
    }

    fn enter<T: Timed>(&mut self, files: &mut [T], id: FileId) {
        let slot = files[id.index()].slot();
        let place = self.place(slot.due);
        slot.next = std::mem::replace(&mut self.places[place], id.number());
        slot.in_wheel = true;
    }

    fn place(&self, due: u32) -> usize {
        let last = self.cursor + self.places.len() as u32 - 1;
        due.clamp(self.cursor, last) as usize % self.places.len()
    }
}
