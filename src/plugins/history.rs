//! Questions about the history of series, on the plugin thread: read a little at a time, between the
//! updates.
//!
//! How a file is read is `gmetad_rrd`'s matter, and who may ask the loop's.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use gmetad_core::answer::walk::Body;
use gmetad_core::history::{Answer, MAX_SERIES, MAX_VALUES, Refused, Series, Wanted};
use gmetad_core::http::{HttpAnswer, Method, Reply, Status};
use gmetad_core::pending::Errand;

use super::parts::rrd::HistoryReader;

/// Time spent on questions before updates have their turn.
const SLICE: Duration = Duration::from_millis(5);

/// Series read before the clock is looked at, and another question has its turn.
const SERIES_AT_ONCE: usize = 32;

/// Questions of which it is found out ahead of their turn what is to be read. That takes memory, and
/// those that need little are to be known.
const MOST_THOUGHT_OUT: usize = 4;

/// Answers that are made ahead of the clients: each is held in memory until it is sent.
const MOST_UNSENT: usize = 2;

/// How long the next answer waits for that. Clients may be slow, and others do not wait for them.
const PATIENCE: Duration = Duration::from_millis(20);

/// How soon it is looked after again.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// A client's question.
pub struct HistoryRequest {
    /// Number of the client.
    pub client: u64,
    /// How its request was made.
    pub method: Method,
    /// Whether it still waits.
    pub errand: Errand,
    /// What is to be read, or finds it out; and what makes the answer of it.
    pub reply: Reply,
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
            reply,
        } = self;
        // As with a plugin, a panic costs only the client that it is about.
        let make = AssertUnwindSafe(|| reply.with(|_| read).into_body(method));
        let body = catch_unwind(make).unwrap_or_else(|_| bug().into_body(method));
        HistoryAnswer {
            client,
            errand,
            body,
        }
    }
}

/// What is told where a page ran into a bug.
fn bug() -> HttpAnswer {
    log::error!(
        "a page ran into a bug in gmetad, logged above; its client is told, please report it"
    );
    let text = "this page ran into a bug in gmetad; its log has more";
    HttpAnswer::text(Status::Unavailable, "", text)
}

impl HistoryAnswer {
    /// The same, which is counted until it is sent or not wanted any more.
    fn counted(self, unsent: &Arc<()>) -> HistoryAnswer {
        let body = Box::new(Counted {
            body: self.body,
            _one: Arc::clone(unsent),
        });
        HistoryAnswer { body, ..self }
    }
}

struct Counted {
    body: Box<dyn Body>,
    _one: Arc<()>,
}

impl Body for Counted {
    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> bool {
        self.body.fill(out, limit)
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
    /// As many as there can be errands, at most; in the order in which they came.
    under_way: VecDeque<Reading>,
    /// Held by each answer that is not sent yet.
    unsent: Arc<()>,
    /// When the last of them was made.
    made: Option<Instant>,
    patience: Duration,
    /// Whether the oldest has its turn next, or the one that needs the least.
    is_oldests_turn: bool,
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
            unsent: Arc::default(),
            made: None,
            patience: PATIENCE,
            is_oldests_turn: true,
        }
    }

    /// When to read on, if there is more to read.
    pub(super) fn wait(&self) -> Option<Duration> {
        let wait = if self.is_ahead() {
            LOOK_AGAIN
        } else {
            Duration::ZERO
        };
        (!self.under_way.is_empty()).then_some(wait)
    }

    /// Whether enough answers are made for now.
    fn is_ahead(&self) -> bool {
        let unsent = Arc::strong_count(&self.unsent) - 1;
        unsent >= MOST_UNSENT && self.made.is_some_and(|made| made.elapsed() < self.patience)
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
        while !self.is_ahead()
            && let Some((at, reading)) = self.next()
        {
            if reading.request.errand.is_wanted() {
                match reading.go_on(&mut |wanted, room| self.reader.read(wanted, room)) {
                    Step::More(reading) => self.under_way.insert(at, reading),
                    Step::Done(answer) => {
                        answered = true;
                        self.made = Some(Instant::now());
                        let answer = answer.counted(&self.unsent);
                        // If the loop is gone, nobody needs the answer.
                        let _ = self.answers.send(answer);
                    }
                }
            }
            if Instant::now() >= end {
                break;
            }
        }
        self.reader.rest();
        answered
    }

    /// Takes the question that has its turn, and where it stood. The oldest ends before long, a short
    /// one waits for no long one, and of nearly all others nothing is held in memory yet.
    fn next(&mut self) -> Option<(usize, Reading)> {
        let oldest = self.is_oldests_turn;
        self.is_oldests_turn = !oldest;
        let thought_out = self.under_way.iter().filter(|it| it.is_thought_out());
        let may_think = thought_out.count() < MOST_THOUGHT_OUT;
        let all = (0..self.under_way.len())
            .filter(|at| may_think || self.under_way[*at].is_thought_out());
        let least = all.min_by_key(|at| self.under_way[*at].rest());
        let at = if oldest { 0 } else { least? };
        Some((at, self.under_way.remove(at)?))
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
            answer: Vec::new(),
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

/// Reads a series of at most so many values.
type ReadSeries<'a> = dyn FnMut(&Wanted, usize) -> Result<Option<Series>, Refused> + 'a;

impl Reading {
    /// What is to be read, as far as that is known.
    fn question(&self) -> &[Wanted] {
        match &self.request.reply {
            Reply::Ask(question, _) => question,
            Reply::Ready(_) | Reply::Think(_) => &[],
        }
    }

    /// Whether it is known what is to be read.
    fn is_thought_out(&self) -> bool {
        !matches!(self.request.reply, Reply::Think(_))
    }

    /// How many series are still to be read.
    fn rest(&self) -> usize {
        self.question().len() - self.answer.len()
    }

    fn go_on(mut self, read: &mut ReadSeries<'_>) -> Step {
        if let Reply::Think(think) = self.request.reply {
            let reply = catch_unwind(AssertUnwindSafe(think));
            self.request.reply = reply.unwrap_or_else(|_| Reply::Ready(bug()));
            return Step::More(self);
        }
        let asked = self.question().len();
        if asked > MAX_SERIES {
            return Step::Done(self.request.answer(Err(Refused::Series(asked))));
        }
        self.answer.reserve_exact(self.rest());
        let until = (self.answer.len() + SERIES_AT_ONCE).min(asked);
        let Reply::Ask(question, _) = &self.request.reply else {
            return Step::Done(self.request.answer(Ok(Answer::new())));
        };
        for wanted in &question[self.answer.len()..until] {
            let room = MAX_VALUES - self.values;
            let read = AssertUnwindSafe(|| read(wanted, room));
            // What a file has in it is not ours to choose, and this thread writes all the others.
            let read = catch_unwind(read).unwrap_or_else(|_| {
                log::error!(
                    "reading an RRD file ran into a bug in gmetad, logged above; it is shown as \
                     empty, please report it"
                );
                Ok(None)
            });
            match read {
                Ok(series) => {
                    let series = series.map(|series| wanted.merged(series));
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

#[cfg(all(test, feature = "rrd"))]
mod tests {
    use std::net::IpAddr;
    use std::sync::mpsc::channel;

    use gmetad_config::Config;
    use gmetad_core::history::{Consolidation, Field, Owner, SeriesName};
    use gmetad_core::http::Continue;
    use gmetad_core::pending::{Errands, Wait};

    use super::super::parts::rrd;
    use super::*;

    struct Rig {
        service: HistoryService,
        requests: Sender<HistoryRequest>,
        answers: Receiver<HistoryAnswer>,
        errands: Errands,
    }

    fn rig() -> Rig {
        let (requests, asked) = channel();
        let (answered, answers) = channel();
        let mut config = Config::new("test");
        config.rrd.rootdir = "/nonexistent".into();
        let reader = rrd::parts(&config, &Arc::default()).history;
        Rig {
            service: HistoryService::new(reader, asked, answered),
            requests,
            answers,
            errands: Errands::default(),
        }
    }

    impl Rig {
        /// Asks for so many series, none of which is there.
        fn ask(&mut self, client: u64, series: usize, then: Continue) -> Wait {
            self.send(client, reply(series, then))
        }

        fn send(&mut self, client: u64, reply: Reply) -> Wait {
            let address = IpAddr::from([127, 0, 0, 1]);
            let (wait, errand) = self.errands.begin(address).expect("there is room");
            let sent = self.requests.send(HistoryRequest {
                client,
                method: Method::Get,
                errand,
                reply,
            });
            assert!(sent.is_ok(), "the service is there");
            wait
        }

        fn work(&mut self) {
            loop {
                self.service.work();
                if self.service.wait().is_none() {
                    return;
                }
            }
        }

        /// What the clients got, in the order in which they got it.
        fn answers(&self) -> Vec<(u64, String)> {
            let all = self.answers.try_iter().map(|mut answer| {
                let mut bytes = Vec::new();
                while answer.body.fill(&mut bytes, 1 << 20) {}
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let (_, body) = text.split_once("\r\n\r\n").expect("a head");
                (answer.client, body.trim_end().to_owned())
            });
            all.collect()
        }
    }

    /// Wants so many series, none of which is there.
    fn reply(series: usize, then: Continue) -> Reply {
        let wanted = Wanted {
            series: SeriesName {
                owner: Owner::Whole,
                metric: "m".into(),
                field: Field::Sum,
            },
            from: 0,
            until: 100,
            step: 1,
            consolidation: Consolidation::Average,
            most_rows: 0,
        };
        Reply::Ask(vec![wanted; series], then)
    }

    /// Says how many series were read, or why none were.
    fn told() -> Continue {
        Box::new(|read| {
            let text = match read {
                Ok(series) => format!("{} series", series.len()),
                Err(refused) => refused.to_string(),
            };
            HttpAnswer::text(Status::Ok, "", &text)
        })
    }

    #[test]
    fn a_short_question_does_not_wait_for_a_long_one() {
        let mut rig = rig();
        let _long = rig.ask(1, MAX_SERIES, told());
        let _short = rig.ask(2, 1, told());
        rig.work();
        let expected = [
            (2, "1 series".to_owned()),
            (1, format!("{MAX_SERIES} series")),
        ];
        assert_eq!(rig.answers(), expected);
        assert_eq!(rig.errands.count(), 0);
    }

    #[test]
    fn what_is_to_be_read_is_found_out_for_few_at_a_time() {
        let mut rig = rig();
        rig.service.patience = Duration::ZERO;
        let unfinished = Arc::new(());
        let count = 3 * MOST_THOUGHT_OUT as u64;
        let _waits: Vec<Wait> = (0..count)
            .map(|client| {
                let held = Arc::clone(&unfinished);
                let think = move || {
                    // Besides those of which it is known, the oldest may think.
                    let most = count as usize + MOST_THOUGHT_OUT + 1;
                    assert!(
                        Arc::strong_count(&held) <= 1 + most,
                        "few are held in memory"
                    );
                    let held = [Arc::clone(&held), held];
                    let told: Continue = Box::new(move |read| {
                        drop(held);
                        told()(read)
                    });
                    reply(2 * SERIES_AT_ONCE, told)
                };
                rig.send(client, Reply::Think(Box::new(think)))
            })
            .collect();
        rig.work();
        let answers = rig.answers();
        assert_eq!(answers.len(), count as usize);
        let expected = format!("{} series", 2 * SERIES_AT_ONCE);
        assert!(
            answers.iter().all(|(_, text)| *text == expected),
            "{answers:?}"
        );
        let _bug = rig.send(1, Reply::Think(Box::new(|| panic!("a bug"))));
        let ready = || Reply::Ready(HttpAnswer::text(Status::Ok, "", "nothing to read"));
        let _ready = rig.send(2, Reply::Think(Box::new(ready)));
        rig.work();
        let answers = rig.answers();
        assert!(
            answers[0].1.starts_with("this page ran into a bug"),
            "{answers:?}"
        );
        assert_eq!(answers[1], (2, "nothing to read".to_owned()));
    }

    #[test]
    fn few_answers_are_made_ahead_of_the_clients_unless_those_are_slow() {
        let mut rig = rig();
        rig.service.patience = Duration::from_secs(3600);
        let count = MOST_UNSENT as u64 + 2;
        let _waits: Vec<Wait> = (0..count)
            .map(|client| rig.ask(client, 1, told()))
            .collect();
        rig.service.work();
        let mut made: Vec<HistoryAnswer> = rig.answers.try_iter().collect();
        assert_eq!(made.len(), MOST_UNSENT);
        assert_eq!(rig.service.wait(), Some(LOOK_AGAIN));
        rig.service.work();
        assert!(rig.answers.try_recv().is_err(), "none of them is sent yet");
        made.pop();
        assert_eq!(rig.service.wait(), Some(Duration::ZERO));
        rig.service.work();
        made.extend(rig.answers.try_iter());
        assert_eq!(made.len(), MOST_UNSENT);
        rig.service.patience = Duration::ZERO;
        rig.work();
        assert_eq!(rig.answers.try_iter().count(), 1);
    }

    #[test]
    fn nothing_is_read_for_who_is_gone() {
        let mut rig = rig();
        drop(rig.ask(1, 1, Box::new(|_| panic!("nobody wants it"))));
        let _wait = rig.ask(2, 1, told());
        rig.work();
        assert_eq!(rig.answers(), [(2, "1 series".to_owned())]);
        assert_eq!(rig.errands.count(), 0);
    }

    #[test]
    fn too_much_is_refused_and_a_panic_costs_one_client() {
        let mut rig = rig();
        let _many = rig.ask(1, MAX_SERIES + 1, told());
        let _bug = rig.ask(2, 1, Box::new(|_| panic!("a bug")));
        let _good = rig.ask(3, 1, told());
        rig.work();
        let answers = rig.answers();
        assert_eq!(answers[0], (1, Refused::Series(MAX_SERIES + 1).to_string()));
        assert!(
            answers[1].1.starts_with("this page ran into a bug"),
            "{answers:?}"
        );
        assert_eq!(answers[2], (3, "1 series".to_owned()));
    }

    #[test]
    fn a_file_that_reading_panics_at_is_empty_and_the_others_are_read() {
        let mut rig = rig();
        let _wait = rig.ask(
            1,
            3,
            Box::new(|read| {
                let known = read.map(|all| all.iter().map(Option::is_some).collect::<Vec<_>>());
                HttpAnswer::text(Status::Ok, "", &format!("{known:?}"))
            }),
        );
        rig.service.take();
        let reading = rig.service.under_way.pop_front().expect("it has come");
        let mut calls = 0;
        let step = reading.go_on(&mut |_, _| {
            calls += 1;
            assert!(calls != 2, "a bug");
            Ok(Some(Series {
                start: 0,
                step: 1,
                values: Vec::new(),
            }))
        });
        let Step::Done(answer) = step else {
            panic!("all is read")
        };
        let _ = rig.service.answers.send(answer);
        assert_eq!(rig.answers(), [(1, "Ok([true, false, true])".to_owned())]);
    }

    #[test]
    fn at_the_end_all_who_wait_are_told() {
        let mut rig = rig();
        let think = Reply::Think(Box::new(|| reply(1, told())));
        let _waits = [rig.ask(1, 1, told()), rig.send(2, think)];
        rig.service.end();
        let told: Vec<String> = rig.answers().into_iter().map(|(_, text)| text).collect();
        assert_eq!(told, vec![Refused::Ended.to_string(); 2]);
    }
}
