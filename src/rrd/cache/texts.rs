//! Texts by number, each kept once for as long as it has users.
//!
//! There are far fewer names of folders and metrics than files.

use std::collections::HashMap;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Texts {
    numbers: HashMap<Arc<str>, u32>,
    /// By number: a text and how many users it has.
    known: Vec<(Arc<str>, u32)>,
    /// Numbers without a text, to be given out again.
    free: Vec<u32>,
}

impl Texts {
    /// The number of a text, with one user more.
    pub(super) fn add(&mut self, text: &str) -> u32 {
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

    /// A user is gone, and the text with the last of them.
    pub(super) fn remove(&mut self, number: u32) {
        let (text, users) = &mut self.known[number as usize];
        *users -= 1;
        if *users == 0 {
            let text = std::mem::replace(text, "".into());
            self.numbers.remove(&text);
            self.free.push(number);
        }
    }

    /// The number of a text that has users.
    pub(super) fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    pub(super) fn text(&self, number: u32) -> &str {
        &self.known[number as usize].0
    }
}
