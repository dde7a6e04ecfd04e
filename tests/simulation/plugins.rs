//! The plugin thread: reads what answers need, a slice of one after a slice of the other, mostly soon,
//! and is stuck now and then.

use std::collections::VecDeque;
use std::sync::Arc;

use gmetad_core::answer::query::Selection;
use gmetad_core::answer::xml::Render;
use gmetad_core::model::{Now, Snapshot};
use gmetad_core::pending::Errand;
use gmetad_core::timers::Random;

/// What a client waits for.
pub struct Question {
    pub asker: usize,
    pub errand: Errand,
    pub snapshot: Arc<Snapshot>,
    pub selection: Selection,
    pub now: Now,
    /// Slices of work that are left, at least one.
    pub slices: u64,
}

impl Question {
    pub fn answer(self) -> (usize, Errand, Render) {
        let body = Render::new(self.snapshot, self.selection, self.now);
        (self.asker, self.errand, body)
    }
}

/// The thread and the queue to it.
#[derive(Default)]
pub struct Plugins {
    queue: VecDeque<Question>,
    at_work: Option<Question>,
    /// Requests whose client had gone when their turn came.
    pub spared: u64,
}

impl Plugins {
    pub fn ask(&mut self, question: Question) {
        self.queue.push_back(question);
    }

    /// Questions in the queue and at work.
    pub fn count(&self) -> usize {
        self.queue.len() + usize::from(self.at_work.is_some())
    }

    /// Begins the next question, unless one is at work; how long it takes.
    pub fn begin(&mut self, random: &mut Random) -> Option<u64> {
        if self.at_work.is_some() {
            return None;
        }
        while let Some(question) = self.queue.pop_front() {
            if question.errand.is_wanted() {
                self.at_work = Some(question);
                return Some(match random.below(20) {
                    0 => 60_000,
                    1 => 8_000 + random.below(4_000),
                    _ => random.below(500),
                });
            }
            self.spared += 1;
        }
        None
    }

    /// A slice of the question at work is done. If it was the last, gives the question back.
    pub fn done(&mut self) -> Option<Question> {
        let mut question = self.at_work.take().expect("it was at work");
        question.slices -= 1;
        if question.slices == 0 {
            return Some(question);
        }
        self.queue.push_back(question);
        None
    }
}
