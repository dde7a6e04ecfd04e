//! Every metric's name once, by number, with the component of a path that it makes.

use std::collections::HashMap;
use std::sync::Arc;

use super::entry::FileEntry;
use crate::paths::encode;

/// How many new names come in before those without users are looked for.
const SWEEP_EVERY: usize = 4096;

/// Every metric's name once, by number, with the component it makes.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<Arc<str>, u32>,
    /// By number: the name and the component, which are nearly always one.
    known: Vec<(Arc<str>, Arc<str>)>,
    sweep_at: usize,
}

impl Names {
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let mut component = String::with_capacity(name.len());
        encode(name, &mut component);
        let name: Arc<str> = name.into();
        let component = if *component == *name {
            Arc::clone(&name)
        } else {
            component.into()
        };
        let number = self.known.len() as u32;
        self.numbers.insert(Arc::clone(&name), number);
        self.known.push((name, component));
        number
    }

    pub(super) fn component(&self, number: u32) -> &str {
        &self.known[number as usize].1
    }

    pub(super) fn wants_sweep(&self) -> bool {
        self.known.len() > self.sweep_at.max(SWEEP_EVERY)
    }

    /// Drops the names that none of these files has, and gives the others new numbers.
    pub(super) fn sweep<'a>(&mut self, files: impl Iterator<Item = &'a mut FileEntry>) {
        let old = std::mem::take(self);
        let mut moved = vec![None; old.known.len()];
        for file in files {
            let number = *moved[file.name() as usize].get_or_insert_with(|| {
                let (name, component) = &old.known[file.name() as usize];
                let number = self.known.len() as u32;
                self.numbers.insert(Arc::clone(name), number);
                self.known.push((Arc::clone(name), Arc::clone(component)));
                number
            });
            file.rename(number);
        }
        self.sweep_at = 2 * self.known.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_files_are_swept_and_the_others_keep_their_files() {
        let mut names = Names::default();
        let mut files: Vec<FileEntry> = ["a", "b", "c/d"]
            .map(|name| FileEntry::new(names.number(name)))
            .into();
        files.remove(0);
        names.sweep(files.iter_mut());
        assert_eq!(names.known.len(), 2);
        assert_eq!(names.component(files[0].name()), "b");
        assert_eq!(names.component(files[1].name()), "c%2Fd");
        assert_eq!(names.number("c/d"), files[1].name());
        assert_eq!(names.number("new"), 2);
    }
}
