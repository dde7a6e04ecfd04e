//! Name lookups, on a thread of their own, since `getaddrinfo` blocks.
//!
//! The thread is started by the first lookup.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use mio::Waker;

use super::slots::Key;

/// Who gets the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A source, and the number of the host among its own.
    Source { key: Key, host: usize },
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

/// The outcome of a lookup.
#[derive(Debug)]
pub(super) struct ResolverAnswer {
    pub(super) asker: Asker,
    pub(super) name: String,
    pub(super) found: Result<Vec<SocketAddr>, String>,
}

/// The loop's end of the resolver. Each asker has at most one question under way, so the queue is
/// bounded by the configuration.
#[derive(Debug)]
pub(super) struct Resolver {
    waker: Arc<Waker>,
    questions: Option<Sender<Question>>,
    answers: Receiver<ResolverAnswer>,
    answer_to: Sender<ResolverAnswer>,
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

    /// Queues a question. The waker is called when the answer is there.
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
            let found = Err("cannot start the thread that looks up names".into());
            // Cannot fail: `self` holds the receiver.
            let _ = self.answer_to.send(ResolverAnswer { asker, name, found });
            let _ = self.waker.wake();
        }
    }

    /// The next answer, if there is one.
    pub(super) fn answer(&mut self) -> Option<ResolverAnswer> {
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

/// The thread: answers questions in order until the loop is gone.
fn answer_all(asked: &Receiver<Question>, answer_to: &Sender<ResolverAnswer>, waker: &Waker) {
    for Question { asker, name, port } in asked {
        let found = (name.as_str(), port)
            .to_socket_addrs()
            .map(Iterator::collect)
            .map_err(|err| super::reason(&err));
        if answer_to
            .send(ResolverAnswer { asker, name, found })
            .is_err()
        {
            return;
        }
        // If the loop cannot be woken, it is ending, and so is this thread.
        let _ = waker.wake();
    }
}
