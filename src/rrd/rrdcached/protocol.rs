//! rrdcached's protocol: lines in, answers out, in the words of rrdcached(1).
//!
//! No I/O and no file: what a command asks for, a [`RrdcachedCommands`] does. Any bytes at all may come.

use std::fmt::Write as _;

/// Longest line that is taken, as rrdcached has it.
const LINE_BYTES: usize = 4096;

/// Lines of a batch that were refused before the connection is.
const BATCH_ERRORS: usize = 1000;

/// Answers go out, and others have their turn, when there is so much.
const TURN_BYTES: usize = 256 << 10;

/// And when so many commands were done.
const TURN_COMMANDS: usize = 256;

/// An answer: what stands behind the number in its first line, and the lines that follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RrdcachedAnswer {
    /// The rest of the first line.
    pub words: String,
    /// Counted by the number in front; each without its end.
    pub lines: Vec<String>,
}

impl RrdcachedAnswer {
    /// An answer of one line.
    pub fn of(words: impl Into<String>) -> RrdcachedAnswer {
        RrdcachedAnswer {
            words: words.into(),
            lines: Vec::new(),
        }
    }
}

/// What a command comes to, or why it cannot be done.
pub type RrdcachedOutcome = Result<RrdcachedAnswer, String>;

/// Does what commands ask for. Paths are as they were sent.
pub trait RrdcachedCommands {
    /// Writes a file's waiting values.
    fn flush(&mut self, path: &str) -> RrdcachedOutcome;
    /// Begins to write all waiting values.
    fn flush_all(&mut self) -> RrdcachedOutcome;
    /// A file's waiting values.
    fn pending(&mut self, path: &str) -> RrdcachedOutcome;
    /// Drops a file's waiting values.
    fn forget(&mut self, path: &str) -> RrdcachedOutcome;
    /// Takes values, each `TIME:VALUE[:VALUE…]`.
    fn update(&mut self, path: &str, values: &[String]) -> RrdcachedOutcome;
    /// What was done since the start.
    fn stats(&mut self) -> RrdcachedOutcome;
    /// What a file says of itself.
    fn info(&mut self, path: &str) -> RrdcachedOutcome;
    /// Time of the first value of an archive.
    fn first(&mut self, path: &str, archive: u32) -> RrdcachedOutcome;
    /// Time of a file's last value, waiting ones included.
    fn last(&mut self, path: &str) -> RrdcachedOutcome;
    /// Values of an archive: consolidation function, start and end as sent, names of data sources.
    fn fetch(&mut self, path: &str, function: &str, more: &[String]) -> RrdcachedOutcome;
}

/// What is to be done after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionNext {
    /// More is wanted from the client.
    Read,
    /// There are commands left.
    More,
    /// The connection is to be closed after the answers.
    Close,
}

/// One connection's side of the protocol.
#[derive(Debug, Default)]
pub struct Session {
    /// Bytes that no line was made of yet.
    input: Vec<u8>,
    /// Errors of the batch that is under way.
    batch: Option<Batch>,
}

#[derive(Debug, Default)]
struct Batch {
    lines: usize,
    errors: Vec<String>,
}

/// The commands, what follows them, and what they do.
const COMMANDS: [(&str, &str, &str); 14] = [
    (
        "UPDATE",
        " <filename> <values> [<values> ...]",
        "Takes values for a file, each a time and, after colons, one value a data source.",
    ),
    (
        "FLUSH",
        " <filename>",
        "Writes the values of a file that wait, and then answers.",
    ),
    (
        "FLUSHALL",
        "",
        "Begins to write all values that wait, and answers at once.",
    ),
    (
        "PENDING",
        " <filename>",
        "Lists the values of a file that wait.",
    ),
    (
        "FORGET",
        " <filename>",
        "Drops the values of a file that wait.",
    ),
    ("STATS", "", "Tells what was done since the start."),
    (
        "HELP",
        " [<command>]",
        "Lists the commands, or tells what one does.",
    ),
    ("PING", "", "Answers PONG."),
    (
        "BATCH",
        "",
        "Takes commands without answering, until a line with a dot.",
    ),
    (
        "FETCH",
        " <file> <CF> [<start> [<end>] [<column>...]]",
        "Lists values of a file, those that wait included.",
    ),
    ("INFO", " <filename>", "Tells what a file says of itself."),
    (
        "FIRST",
        " <filename> <rra index>",
        "Tells the time of an archive's first value.",
    ),
    (
        "LAST",
        " <filename>",
        "Tells the time of a file's last value, those that wait included.",
    ),
    ("QUIT", "", "Ends the connection."),
];

impl Session {
    /// Takes bytes in and answers what they ask, as far as is fair in one turn; with none, goes on
    /// with what is there.
    pub fn turn(
        &mut self,
        bytes: &[u8],
        commands: &mut dyn RrdcachedCommands,
        out: &mut String,
    ) -> SessionNext {
        self.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.input);
        let mut rest = input.as_slice();
        let mut done = 0;
        let next = loop {
            let Some(end) = memchr::memchr(b'\n', rest) else {
                if rest.len() > LINE_BYTES {
                    break refuse_line(out);
                }
                break SessionNext::Read;
            };
            if end > LINE_BYTES {
                break refuse_line(out);
            }
            if out.len() >= TURN_BYTES || done >= TURN_COMMANDS {
                break SessionNext::More;
            }
            done += 1;
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            rest = &rest[end + 1..];
            if self.line(line, commands, out) == SessionNext::Close {
                break SessionNext::Close;
            }
        };
        self.input = rest.to_vec();
        next
    }

    fn line(
        &mut self,
        line: &[u8],
        commands: &mut dyn RrdcachedCommands,
        out: &mut String,
    ) -> SessionNext {
        let Ok(line) = std::str::from_utf8(line) else {
            return self.answer(Err("A line that is not UTF-8".into()), out);
        };
        let words = words(line);
        let (command, arguments) = match words.split_first() {
            Some((command, arguments)) => (command.to_ascii_uppercase(), arguments),
            None => (String::new(), words.as_slice()),
        };
        if let Some(batch) = &mut self.batch {
            if command == "." {
                let lines = std::mem::take(&mut batch.errors);
                self.batch = None;
                put(
                    out,
                    &RrdcachedAnswer {
                        words: "errors".into(),
                        lines,
                    },
                );
                return SessionNext::Read;
            }
            batch.lines += 1;
            let outcome = match command.as_str() {
                "QUIT" => return SessionNext::Close,
                "UPDATE" | "FORGET" | "FLUSH" => perform(&command, arguments, commands),
                _ if COMMANDS.iter().any(|it| it.0 == command) => {
                    Err(format!("Can't use '{command}' here."))
                }
                _ => Err(format!("Unknown command: {command}")),
            };
            return self.answer(outcome, out);
        }
        match command.as_str() {
            "QUIT" => return SessionNext::Close,
            "BATCH" => {
                self.batch = Some(Batch::default());
                out.push_str("0 Go ahead.  End with dot '.' on its own line.\n");
                return SessionNext::Read;
            }
            _ => {}
        }
        let outcome = perform(&command, arguments, commands);
        self.answer(outcome, out)
    }

    /// Answers a command: at once, or with the batch that it is part of if it failed.
    fn answer(&mut self, outcome: RrdcachedOutcome, out: &mut String) -> SessionNext {
        match (&mut self.batch, outcome) {
            (None, Ok(answer)) => put(out, &answer),
            (None, Err(reason)) => refuse(out, &reason),
            (Some(_), Ok(_)) => {}
            (Some(batch), Err(reason)) => {
                if batch.errors.len() >= BATCH_ERRORS {
                    refuse(out, "Too many errors in this batch");
                    return SessionNext::Close;
                }
                batch
                    .errors
                    .push(format!("{} {}", batch.lines, one_line(&reason)));
            }
        }
        SessionNext::Read
    }
}

fn perform(
    command: &str,
    arguments: &[String],
    commands: &mut dyn RrdcachedCommands,
) -> RrdcachedOutcome {
    match (command, arguments) {
        ("FLUSH", [path]) => commands.flush(path),
        ("FLUSHALL", []) => commands.flush_all(),
        ("PENDING", [path]) => commands.pending(path),
        ("FORGET", [path]) => commands.forget(path),
        ("UPDATE", [_]) => Err("No values updated.".into()),
        ("UPDATE", [path, values @ ..]) => commands.update(path, values),
        ("STATS", []) => commands.stats(),
        ("INFO", [path]) => commands.info(path),
        ("FIRST", [path, archive]) => match archive.parse() {
            Ok(archive) => commands.first(path, archive),
            Err(_) => Err(format!("{archive} is no number of an archive")),
        },
        ("LAST", [path]) => commands.last(path),
        ("FETCH", [path, function, more @ ..]) => commands.fetch(path, function, more),
        ("PING", []) => Ok(RrdcachedAnswer::of("PONG")),
        ("HELP", _) => Ok(help(arguments)),
        _ => match COMMANDS.iter().find(|it| it.0 == command) {
            Some((name, usage, _)) => Err(format!("Usage: {name}{usage}")),
            None => Err(format!("Unknown command: {command}")),
        },
    }
}

fn help(arguments: &[String]) -> RrdcachedAnswer {
    let asked = arguments
        .first()
        .and_then(|asked| COMMANDS.iter().find(|it| it.0.eq_ignore_ascii_case(asked)));
    match asked {
        Some((name, usage, text)) => RrdcachedAnswer {
            words: format!("Help for {name}"),
            lines: vec![format!("Usage: {name}{usage}"), (*text).into()],
        },
        None => RrdcachedAnswer {
            words: "Command overview".into(),
            lines: COMMANDS
                .map(|(name, usage, _)| format!("{name}{usage}"))
                .into(),
        },
    }
}

fn refuse_line(out: &mut String) -> SessionNext {
    refuse(out, "A line is too long");
    SessionNext::Close
}

fn refuse(out: &mut String, reason: &str) {
    // Writing to memory does not fail.
    let _ = writeln!(out, "-1 {}", one_line(reason));
}

fn put(out: &mut String, answer: &RrdcachedAnswer) {
    let _ = writeln!(out, "{} {}", answer.lines.len(), one_line(&answer.words));
    for line in &answer.lines {
        out.push_str(&one_line(line));
        out.push('\n');
    }
}

/// What would end the line early, taken out.
fn one_line(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains(['\n', '\r']) {
        text.replace(['\n', '\r'], " ").into()
    } else {
        text.into()
    }
}

/// The words of a line; a backslash takes the next character as it is.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(chars.next()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says what it was asked.
    #[derive(Default)]
    struct Echo;

    fn said(text: String) -> RrdcachedOutcome {
        if text.contains("bad") {
            return Err(format!("{text}\nis bad"));
        }
        Ok(RrdcachedAnswer::of(text))
    }

    impl RrdcachedCommands for Echo {
        fn flush(&mut self, path: &str) -> RrdcachedOutcome {
            said(format!("flush {path}"))
        }
        fn flush_all(&mut self) -> RrdcachedOutcome {
            said("flush_all".into())
        }
        fn pending(&mut self, path: &str) -> RrdcachedOutcome {
            Ok(RrdcachedAnswer {
                words: format!("of {path}"),
                lines: vec!["1:2".into(), "3:4\n5".into()],
            })
        }
        fn forget(&mut self, path: &str) -> RrdcachedOutcome {
            said(format!("forget {path}"))
        }
        fn update(&mut self, path: &str, values: &[String]) -> RrdcachedOutcome {
            said(format!("update {path} {values:?}"))
        }
        fn stats(&mut self) -> RrdcachedOutcome {
            said("stats".into())
        }
        fn info(&mut self, path: &str) -> RrdcachedOutcome {
            said("x".repeat(TURN_BYTES) + path)
        }
        fn first(&mut self, path: &str, archive: u32) -> RrdcachedOutcome {
            said(format!("first {path} {archive}"))
        }
        fn last(&mut self, path: &str) -> RrdcachedOutcome {
            said(format!("last {path}"))
        }
        fn fetch(&mut self, path: &str, function: &str, more: &[String]) -> RrdcachedOutcome {
            said(format!("fetch {path} {function} {more:?}"))
        }
    }

    fn talk(text: &str) -> (String, SessionNext) {
        let mut out = String::new();
        let next = Session::default().turn(text.as_bytes(), &mut Echo, &mut out);
        (out, next)
    }

    #[test]
    fn commands_are_answered_in_order_whatever_their_case() {
        let (out, next) =
            talk("PING\nflush a\\ b.rrd\r\nPENDING a\nFlushAll\nfirst a 3\nFETCH a AVERAGE 1 2\n");
        assert_eq!(
            out,
            "0 PONG\n0 flush a b.rrd\n2 of a\n1:2\n3:4 5\n0 flush_all\n0 first a 3\n0 fetch a \
             AVERAGE [\"1\", \"2\"]\n"
        );
        assert_eq!(next, SessionNext::Read);
    }

    #[test]
    fn what_cannot_be_done_is_said_in_one_line() {
        let (out, _) = talk("FLUSH bad\nFLUSH\nFIRST a b\nBLAH\n\nUPDATE a\n");
        assert_eq!(
            out,
            "-1 flush bad is bad\n-1 Usage: FLUSH <filename>\n-1 b is no number of an archive\n-1 \
             Unknown command: BLAH\n-1 Unknown command: \n-1 No values updated.\n"
        );
    }

    #[test]
    fn a_batch_is_answered_at_its_end_with_its_errors() {
        let (out, _) = talk("BATCH\nUPDATE a 1:2\nFLUSH bad\nPING\nBLAH\n.\nPING\n");
        assert_eq!(
            out,
            "0 Go ahead.  End with dot '.' on its own line.\n3 errors\n2 flush bad is bad\n3 \
             Can't use 'PING' here.\n4 Unknown command: BLAH\n0 PONG\n"
        );
    }

    #[test]
    fn lines_may_come_in_pieces_but_not_without_end() {
        let mut session = Session::default();
        let mut out = String::new();
        for piece in ["PI", "NG", "\nPIN"] {
            assert_eq!(
                session.turn(piece.as_bytes(), &mut Echo, &mut out),
                SessionNext::Read
            );
        }
        assert_eq!(out, "0 PONG\n");
        let long = "x".repeat(LINE_BYTES);
        assert_eq!(
            session.turn(long.as_bytes(), &mut Echo, &mut out),
            SessionNext::Close
        );
        assert!(out.ends_with("-1 A line is too long\n"));
        assert_eq!(talk("QUIT\nPING\n"), (String::new(), SessionNext::Close));
    }

    #[test]
    fn a_turn_ends_when_it_has_answered_enough() {
        let mut session = Session::default();
        let mut out = String::new();
        let next = session.turn(b"INFO a\nINFO b\nPING\n", &mut Echo, &mut out);
        assert_eq!(next, SessionNext::More);
        assert!(out.ends_with("xa\n"));
        out.clear();
        assert_eq!(session.turn(b"", &mut Echo, &mut out), SessionNext::More);
        out.clear();
        assert_eq!(session.turn(b"", &mut Echo, &mut out), SessionNext::Read);
        assert_eq!(out, "0 PONG\n");
        let many = "PING\n".repeat(TURN_COMMANDS + 1);
        assert_eq!(talk(&many).1, SessionNext::More);
    }

    #[test]
    fn a_batch_of_nothing_but_errors_ends() {
        let many = "BLAH\n".repeat(200);
        let mut session = Session::default();
        let mut out = String::new();
        session.turn(b"BATCH\n", &mut Echo, &mut out);
        let mut next = SessionNext::Read;
        for _ in 0..10 {
            next = session.turn(many.as_bytes(), &mut Echo, &mut out);
            if next == SessionNext::Close {
                break;
            }
        }
        assert_eq!(next, SessionNext::Close);
    }
}
