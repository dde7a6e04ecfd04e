//! Look-ups of names, on a thread of their own: there are none that do not block.
//!
//! The thread is there only once a name is asked for.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use mio::Waker;

/// For whom a name is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A source, by its token, and which of its hosts.
    Source {
        /// Of the source's slot.
        token: usize,
        /// The source's own number.
        number: u64,
        /// The number of its host.
        host: usize,
    },
    /// `trusted_hosts`.
    Trust,
}

/// A name to look up.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) asker: Asker,
    pub(super) name: String,
    pub(super) port: u16,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) asker: Asker,
    pub(super) name: String,
    pub(super) found: Result<Vec<SocketAddr>, String>,
}

/// The loop's end of the resolver. Who asks has one question under way at a time, so that what
/// waits is bounded by the configuration.
#[derive(Debug)]
pub(super) struct Resolver {
    waker: Arc<Waker>,
    questions: Option<Sender<Question>>,
    answers: Receiver<Answer>,
    answer_to: Sender<Answer>,
}

impl Resolver {
    pub(super) fn new(waker: Arc<Waker>) -> Resolver {
        let (answer_to, answers) = channel();
        Resolver {
            waker,
            questions: None,
            answers,
            answer_to,
        }
    }

    /// Asks; the waker tells when there is an answer.
    pub(super) fn ask(&mut self, question: Question) {
        if self.questions.is_none() {
            self.questions = self.start();
        }
        let unasked = match &self.questions {
            Some(questions) => questions.send(question).err().map(|unsent| unsent.0),
            None => Some(question),
        };
        if let Some(Question { asker, name, .. }) = unasked {
            self.questions = None;
            let found = Err("the thread that looks names up cannot be started".into());
            // Cannot fail: the receiver is beside it.
            let _ = self.answer_to.send(Answer { asker, name, found });
            let _ = self.waker.wake();
        }
    }

    /// An answer that has come.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }

    fn start(&self) -> Option<Sender<Question>> {
        let (questions, asked) = channel();
        let answer_to = self.answer_to.clone();
        let waker = Arc::clone(&self.waker);
        thread::Builder::new()
            .name("resolver".into())
            .stack_size(256 * 1024)
            .spawn(move || answer_all(&asked, &answer_to, &waker))
            .ok()?;
        Some(questions)
    }
}

/// The thread: answers one question after the other until the loop is gone.
fn answer_all(asked: &Receiver<Question>, answer_to: &Sender<Answer>, waker: &Waker) {
    for Question { asker, name, port } in asked {
        let found = (name.as_str(), port)
            .to_socket_addrs()
            .map(Iterator::collect)
            .map_err(|err| super::reason(&err));
        if answer_to.send(Answer { asker, name, found }).is_err() {
            return;
        }
        // A loop that cannot be woken ends, and we with it.
        let _ = waker.wake();
    }
}
