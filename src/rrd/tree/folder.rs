//! The files of one folder, in the order in which its source lists its metrics.
//!
//! No paths, and numbers in place of names. What else an entry holds is the writer's matter.

use std::collections::HashMap;

use super::entry::FileEntry;

/// Searches in one update after which a large folder gets an index.
const SEARCHES: u32 = 32;

/// A folder with more files is large: searching it costs more than a few hashes.
const LARGE_FOLDER: usize = 256;

/// A folder's files, in the order of the metrics that were last written there.
#[derive(Debug, Default)]
pub(crate) struct Dir {
    pub(crate) files: Vec<FileEntry>,
    /// The node's round when this folder was last named.
    pub(crate) round: u32,
}

/// An index of a folder's files, made once too much of their order has changed: a peer may list its
/// metrics in another order each time.
#[derive(Debug, Default)]
pub(crate) struct Search {
    misses: u32,
    index: Option<HashMap<u32, usize>>,
}

impl Search {
    /// The place of a name's entry.
    fn place(&self, files: &[FileEntry], name: u32) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(&name).copied(),
            None => files.iter().position(|file| file.name() == name),
        }
    }

    fn note(&mut self, files: &[FileEntry], place: usize) {
        if let Some(index) = &mut self.index {
            index.insert(files[place].name(), place);
        }
    }
}

impl Dir {
    /// The entry of that name, nearly always the next one; `at` then moves on.
    pub(crate) fn find(
        &mut self,
        at: &mut usize,
        name: u32,
        search: &mut Search,
    ) -> &mut FileEntry {
        let here = *at;
        let expected = self.files.get(here);
        let found = if expected.is_some_and(|next| next.name() == name) {
            here
        } else {
            match self.search(here, name, search) {
                // The same name again in one folder: it is the same file.
                before if before < here => return &mut self.files[before],
                found => found,
            }
        };
        *at += 1;
        &mut self.files[found]
    }

    /// The place of a name's entry. One that lies after `here` is moved there.
    fn search(&mut self, here: usize, name: u32, search: &mut Search) -> usize {
        search.misses += 1;
        if search.index.is_none() && search.misses > SEARCHES && self.files.len() > LARGE_FOLDER {
            let places = self.files.iter().zip(0..);
            search.index = Some(places.map(|(file, at)| (file.name(), at)).collect());
        }
        let found = match search.place(&self.files, name) {
            Some(before) if before < here => return before,
            Some(later) => later,
            None if search.index.is_none() => {
                self.files.insert(here, FileEntry::new(name));
                return here;
            }
            None => {
                self.files.push(FileEntry::new(name));
                self.files.len() - 1
            }
        };
        self.files.swap(here, found);
        search.note(&self.files, here);
        search.note(&self.files, found);
        here
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::FileId;
    use crate::tree::entry::FileState;

    fn held(entry: FileEntry) -> Option<u32> {
        match entry.state() {
            FileState::Held(id) => Some(id.number()),
            FileState::Direct(_) => None,
        }
    }

    fn order(dir: &Dir) -> Vec<u32> {
        dir.files.iter().map(|file| file.name()).collect()
    }

    fn walk(dir: &mut Dir, names: &[u32]) -> usize {
        let mut at = 0;
        let mut search = Search::default();
        for &name in names {
            assert_eq!(dir.find(&mut at, name, &mut search).name(), name);
        }
        at
    }

    #[test]
    fn a_large_folder_whose_order_changes_is_found_again_without_a_search_for_each() {
        const COUNT: u32 = 20_000;
        let mut dir = Dir::default();
        let names: Vec<u32> = (0..COUNT).collect();
        assert_eq!(walk(&mut dir, &names), names.len());
        for file in &mut dir.files {
            file.set(FileState::Held(FileId::new(file.name() + 7)));
        }
        // 7919 is a prime, so this is all of them in another order, and new ones between them.
        let other = (0..COUNT).flat_map(|at| [at * 7919 % COUNT, COUNT + at]);
        let other: Vec<u32> = other.collect();
        assert_eq!(walk(&mut dir, &other), other.len());
        assert_eq!(order(&dir), other);
        let known = dir.files.iter().filter(|file| file.name() < COUNT);
        assert!(
            known
                .clone()
                .all(|file| held(*file) == Some(file.name() + 7))
        );
        assert_eq!(known.count(), names.len());
        let again = [&other[..5], &other[..5]].concat();
        assert_eq!(walk(&mut dir, &again), 5, "a repeated name is one file");
    }

    #[test]
    fn a_folder_follows_the_order_its_source_lists_metrics_in() {
        let mut dir = Dir::default();
        assert_eq!(
            walk(&mut dir, &[5, 3, 8, 3]),
            3,
            "a repeated name is one file"
        );
        let entry = dir.find(&mut 2, 8, &mut Search::default());
        entry.set(FileState::Held(FileId::new(77)));
        assert_eq!(walk(&mut dir, &[9, 8, 5]), 3);
        assert_eq!(order(&dir)[..3], [9, 8, 5]);
        assert_eq!(held(dir.files[1]), Some(77), "what was known moves along");
        assert_eq!(order(&dir)[3..], [3], "left over, for the caller to drop");
    }
}
