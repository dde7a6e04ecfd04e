//! rrdcached's protocol: lines in, answers out, in the words of rrdcached(1).
//!
//! No I/O and no files: commands are done by [`RrdcachedCommands`]. Any bytes may come.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::fmt::Write as _;

/// Longest line, as in rrdcached.
const LINE_BYTES: usize = 4096;

/// Failed lines in one batch after which the connection is closed.
const BATCH_ERRORS: usize = 1000;

/// A turn ends once its answers have this many bytes.
pub(super) const TURN_BYTES: usize = 256 << 10;

/// A turn ends after this many commands.
const TURN_COMMANDS: usize = 256;

/// The answer to a command: the text after the number in its first line, and the lines that follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RrdcachedAnswer {
    /// The rest of the first line.
    pub words: String,
    /// Without their ends. The number in the first line is how many they are.
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

/// The answer to a command, or why it failed.
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
    /// Counters since the start.
    fn stats(&mut self) -> RrdcachedOutcome;
    /// Header of a file.
    fn info(&mut self, path: &str) -> RrdcachedOutcome;
    /// Time of the first value of an archive.
    fn first(&mut self, path: &str, archive: u32) -> RrdcachedOutcome;
    /// Time of a file's last value, waiting ones included.
    fn last(&mut self, path: &str) -> RrdcachedOutcome;
    /// Values of an archive: consolidation function, start and end as sent, names of data sources.
    fn fetch(&mut self, path: &str, function: &str, more: &[String]) -> RrdcachedOutcome;
}

/// What follows a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionNext {
    /// More bytes of the client are needed.
    Read,
    /// There are commands left.
    More,
    /// Close the connection once the answers are sent.
    Close,
}

/// The outcome of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionTurn {
    /// What to send to the client.
    pub text: String,
    /// Commands that were done, those of a batch and those that failed among them.
    pub commands: usize,
    /// What follows.
    pub next: SessionNext,
}

impl SessionTurn {
    /// Nothing to send, and the end.
    pub fn close() -> SessionTurn {
        SessionTurn {
            text: String::new(),
            commands: 0,
            next: SessionNext::Close,
        }
    }
}

/// One connection's side of the protocol.
#[derive(Debug, Default)]
pub struct Session {
    /// Bytes without the end of their line yet, and lines left for the next turn.
    input: Vec<u8>,
    /// The batch under way.
    batch: Option<Batch>,
}

#[derive(Debug, Default)]
struct Batch {
    lines: usize,
    errors: Vec<String>,
}

/// The commands, their arguments, and what they do.
const COMMANDS: [(&str, &str, &str); 14] = [
    (
        "UPDATE",
        " <filename> <values> [<values> ...]",
        "Adds values to a file. Each is a time and one value per data source, with colons between.",
    ),
    (
        "FLUSH",
        " <filename>",
        "Writes the waiting values of a file, then answers.",
    ),
    (
        "FLUSHALL",
        "",
        "Starts writing all waiting values, and answers at once.",
    ),
    (
        "PENDING",
        " <filename>",
        "Lists the waiting values of a file.",
    ),
    (
        "FORGET",
        " <filename>",
        "Drops the waiting values of a file.",
    ),
    ("STATS", "", "Shows counters since the start."),
    (
        "HELP",
        " [<command>]",
        "Lists the commands, or explains one.",
    ),
    ("PING", "", "Answers PONG."),
    (
        "BATCH",
        "",
        "Takes commands without answering each, until a line with a dot.",
    ),
    (
        "FETCH",
        " <file> <CF> [<start> [<end>] [<column>...]]",
        "Lists values of a file, waiting ones included.",
    ),
    ("INFO", " <filename>", "Shows the header of a file."),
    (
        "FIRST",
        " <filename> <rra index>",
        "Shows the time of the first value of an archive.",
    ),
    (
        "LAST",
        " <filename>",
        "Shows the time of the last value of a file, waiting ones included.",
    ),
    ("QUIT", "", "Closes the connection."),
];

impl Session {
    /// Takes bytes that the client has sent, and does the commands in them, as far as is fair in one
    /// turn. Without bytes, it goes on with those that are left.
    pub fn turn(&mut self, bytes: &[u8], commands: &mut dyn RrdcachedCommands) -> SessionTurn {
        let mut text = String::new();
        let out = &mut text;
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
            done = done.saturating_add(1);
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            rest = &rest[end.saturating_add(1)..];
            if self.line(line, commands, out) == SessionNext::Close {
                break SessionNext::Close;
            }
        };
        self.input = rest.to_vec();
        SessionTurn {
            text,
            commands: done,
            next,
        }
    }

    fn line(
        &mut self,
        line: &[u8],
        commands: &mut dyn RrdcachedCommands,
        out: &mut String,
    ) -> SessionNext {
        let words = std::str::from_utf8(line).map(words);
        let (command, arguments) = match words.as_deref() {
            Ok([command, arguments @ ..]) => (command.to_ascii_uppercase(), arguments),
            Ok([]) => (String::new(), [].as_slice()),
            Err(_) => {
                self.count_in_batch();
                return self.answer(Err("A line is not UTF-8".into()), out);
            }
        };
        match (command.as_str(), self.batch.take()) {
            ("QUIT", _) => SessionNext::Close,
            (".", Some(batch)) => {
                let answer = RrdcachedAnswer {
                    words: "errors".into(),
                    lines: batch.errors,
                };
                put(out, &answer);
                SessionNext::Read
            }
            ("BATCH", None) => {
                self.batch = Some(Batch::default());
                out.push_str("0 Go ahead.  End with dot '.' on its own line.\n");
                SessionNext::Read
            }
            (_, batch) => {
                self.batch = batch;
                let outcome = if self.count_in_batch() {
                    perform_in_batch(&command, arguments, commands)
                } else {
                    perform(&command, arguments, commands)
                };
                self.answer(outcome, out)
            }
        }
    }

    /// Counts a line of a batch. Returns whether there is one.
    fn count_in_batch(&mut self) -> bool {
        let Some(batch) = &mut self.batch else {
            return false;
        };
        batch.lines = batch.lines.saturating_add(1);
        true
    }

    /// Answers a command: at once, or at the end of its batch if it failed.
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

fn perform_in_batch(
    command: &str,
    arguments: &[String],
    commands: &mut dyn RrdcachedCommands,
) -> RrdcachedOutcome {
    match command {
        "UPDATE" | "FORGET" | "FLUSH" => perform(command, arguments, commands),
        _ if COMMANDS.iter().any(|it| it.0 == command) => {
            Err(format!("Can't use '{command}' here."))
        }
        _ => Err(format!("Unknown command: {command}")),
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
            Err(_) => Err(format!("{archive} is not the number of an archive")),
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

/// The text without line ends, which would end the answer early.
fn one_line(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains(['\n', '\r']) {
        text.replace(['\n', '\r'], " ").into()
    } else {
        text.into()
    }
}

/// The words of a line. A backslash takes the next character literally.
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
    use super::super::testing::Echo;
    use super::*;

    fn talk(text: &str) -> (String, SessionNext) {
        let turn = Session::default().turn(text.as_bytes(), &mut Echo);
        (turn.text, turn.next)
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
            "-1 flush bad is bad\n-1 Usage: FLUSH <filename>\n-1 b is not the number of an archive\n-1 \
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
    fn a_line_of_a_batch_that_is_not_utf8_is_counted() {
        let bytes = b"BATCH\nUPDATE a 1:2\nFLUSH \xff\nFLUSH bad\n.\n";
        let turn = Session::default().turn(bytes, &mut Echo);
        assert!(
            turn.text
                .ends_with("2 errors\n2 A line is not UTF-8\n3 flush bad is bad\n")
        );
        assert_eq!(turn.commands, 5);
    }

    #[test]
    fn lines_may_come_in_pieces_but_not_without_end() {
        let mut session = Session::default();
        for (piece, text, commands) in [("PI", "", 0), ("NG", "", 0), ("\nPIN", "0 PONG\n", 1)] {
            let turn = session.turn(piece.as_bytes(), &mut Echo);
            assert_eq!((&*turn.text, turn.commands), (text, commands));
            assert_eq!(turn.next, SessionNext::Read);
        }
        let turn = session.turn(&[b'x'; LINE_BYTES], &mut Echo);
        assert_eq!(turn.text, "-1 A line is too long\n");
        assert_eq!(turn.next, SessionNext::Close);
        assert_eq!(talk("QUIT\nPING\n"), (String::new(), SessionNext::Close));
    }

    #[test]
    fn a_turn_ends_when_it_has_answered_enough() {
        let mut session = Session::default();
        let turn = session.turn(b"INFO a\nINFO b\nPING\n", &mut Echo);
        assert_eq!(turn.next, SessionNext::More);
        assert!(turn.text.ends_with("xa\n"));
        assert_eq!(session.turn(b"", &mut Echo).next, SessionNext::More);
        let turn = session.turn(b"", &mut Echo);
        assert_eq!(turn.next, SessionNext::Read);
        assert_eq!(turn.text, "0 PONG\n");
        let many = "PING\n".repeat(TURN_COMMANDS + 1);
        assert_eq!(talk(&many).1, SessionNext::More);
    }

    #[test]
    fn a_batch_of_nothing_but_errors_ends() {
        let many = "BLAH\n".repeat(200);
        let mut session = Session::default();
        session.turn(b"BATCH\n", &mut Echo);
        let mut turns = (0..10).map(|_| session.turn(many.as_bytes(), &mut Echo));
        assert!(turns.any(|turn| turn.next == SessionNext::Close));
    }
}
