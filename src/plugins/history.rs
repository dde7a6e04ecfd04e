//! Questions about the history of series, on the plugin thread: read a little at a time, between the
//! updates.
//!
//! How a file is read is `gmetad_rrd`'s matter, and who may ask the loop's.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use gmetad_core::answer::walk::Body;
use gmetad_core::history::{Answer, MAX_SERIES, MAX_VALUES, Question, Refused};
use gmetad_core::http::{Continue, HttpAnswer, Method, Status};
use gmetad_core::pending::Errand;

use super::parts::rrd::HistoryReader;

/// Time spent on questions before updates have their turn.
const SLICE: Duration = Duration::from_millis(5);

/// Series read before the clock is looked at, and another question has its turn.
const SERIES_AT_ONCE: usize = 32;

/// A client's question.
pub struct HistoryRequest {
    /// Number of the client.
    pub client: u64,
    /// How its request was made.
    pub method: Method,
    /// Whether it still waits.
    pub errand: Errand,
    /// What is to be read.
    pub question: Question,
    /// Makes the answer of it.
    pub then: Continue,
}

/// The answer to a client's question.
pub struct HistoryAnswer {
    /// Number of the client.
    pub client: u64,
    /// As it came.
    pub errand: Errand,
    /// What is sent.
    pub body: Box<dyn Body>,
}

impl HistoryRequest {
    /// The answer where nothing is read, or all of it was.
    pub fn answer(self, read: Result<Answer, Refused>) -> HistoryAnswer {
        let HistoryRequest {
            client,
            method,
            errand,
            then,
            ..
        } = self;
        // As with a plugin, a panic costs only the client that it is about.
        let make = AssertUnwindSafe(|| then(read).into_body(method));
        let body = catch_unwind(make).unwrap_or_else(|_| {
            log::error!(
                "a page ran into a bug in gmetad, logged above; its client is told, please report it"
            );
            let text = "this page ran into a bug in gmetad; its log has more";
            HttpAnswer::text(Status::Unavailable, "", text).into_body(method)
        });
        HistoryAnswer {
            client,
            errand,
            body,
        }
    }
}

/// A question while it is read.
struct Reading {
    request: HistoryRequest,
    /// The series read so far, in the order of the question.
    answer: Answer,
    /// How many values these have in all.
    values: usize,
}

/// The plugin thread's side of questions.
pub(super) struct HistoryService {
    reader: HistoryReader,
    requests: Receiver<HistoryRequest>,
    answers: Sender<HistoryAnswer>,
    /// As many as there can be errands, at most.
    under_way: VecDeque<Reading>,
}

impl HistoryService {
    pub(super) fn new(
        reader: HistoryReader,
        requests: Receiver<HistoryRequest>,
        answers: Sender<HistoryAnswer>,
    ) -> HistoryService {
        HistoryService {
            reader,
            requests,
            answers,
            under_way: VecDeque::new(),
        }
    }

    /// Whether there is more to read.
    pub(super) fn is_busy(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Takes the questions that have come, and reads for a little while. Returns whether there are
    /// answers.
    pub(super) fn work(&mut self) -> bool {
        self.take();
        if self.under_way.is_empty() {
            return false;
        }
        let end = Instant::now() + SLICE;
        let mut answered = false;
        while let Some(reading) = self.under_way.pop_front() {
            if reading.request.errand.is_wanted() {
                match reading.go_on(&mut self.reader) {
                    Step::More(reading) => self.under_way.push_back(reading),
                    Step::Done(answer) => {
                        answered = true;
                        // If the loop is gone, nobody needs the answer.
                        let _ = self.answers.send(answer);
                    }
                }
            }
            if Instant::now() >= end {
                break;
            }
        }
        answered
    }

    /// Tells all who wait that nothing is read any more.
    pub(super) fn end(&mut self) {
        self.take();
        for reading in self.under_way.drain(..) {
            let _ = self
                .answers
                .send(reading.request.answer(Err(Refused::Ended)));
        }
    }

    fn take(&mut self) {
        let new = self.requests.try_iter().map(|request| Reading {
            answer: Vec::with_capacity(request.question.len().min(MAX_SERIES)),
            values: 0,
            request,
        });
        self.under_way.extend(new);
    }
}

/// What comes of a few series more.
enum Step {
    More(Reading),
    Done(HistoryAnswer),
}

impl Reading {
    fn go_on(mut self, reader: &mut HistoryReader) -> Step {
        let asked = self.request.question.len();
        if asked > MAX_SERIES {
            return Step::Done(self.request.answer(Err(Refused::Series(asked))));
        }
        let until = (self.answer.len() + SERIES_AT_ONCE).min(asked);
        for wanted in &self.request.question[self.answer.len()..until] {
            match reader.read(wanted, MAX_VALUES - self.values) {
                Ok(series) => {
                    self.values += series.as_ref().map_or(0, |series| series.values.len());
                    self.answer.push(series);
                }
                Err(refused) => return Step::Done(self.request.answer(Err(refused))),
            }
        }
        if self.answer.len() < asked {
            return Step::More(self);
        }
        let answer = std::mem::take(&mut self.answer);
        Step::Done(self.request.answer(Ok(answer)))
    }
}
