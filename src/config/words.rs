//! From bytes to lines of words: encoding, comments, quotes, continuation.
//!
//! Knows no directive, section or brace.

use std::borrow::Cow;

use super::Problem;

/// A word of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// A quoted brace is a value, a bare one is syntax.
    pub(super) quoted: bool,
}

impl Word {
    pub(super) fn is_bare(&self, text: &str) -> bool {
        !self.quoted && self.text == text
    }
}

/// UTF-8 where it is that, else Latin-1, as the documents of gmond are.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).into(),
        Err(_) => bytes
            .iter()
            .map(|&byte| char::from(byte))
            .collect::<String>()
            .into(),
    }
}

/// A line with what a trailing backslash joins to it, without its comment; never blank.
pub(super) struct LogicalLine {
    /// Of its first line, counted from 1.
    pub(super) number: usize,
    pub(super) text: String,
}

pub(super) fn logical_lines(text: &str) -> Vec<LogicalLine> {
    let mut lines: Vec<LogicalLine> = Vec::new();
    let mut quote = Quote::None;
    let mut continues = false;
    for (index, raw) in text.lines().enumerate() {
        // A commented-out line neither ends nor takes part in the line it stands in, and its
        // own backslash joins nothing: so has gmetad-python it.
        if quote == Quote::None && raw.trim_start().starts_with('#') {
            continue;
        }
        let (content, quote_after) = without_comment(raw, quote);
        let content = content.trim_end();
        let (content, goes_on) = match content.strip_suffix('\\') {
            Some(content) => (content, true),
            None => (content, false),
        };
        match lines.last_mut() {
            Some(line) if continues => line.text.push_str(content),
            _ if content.trim().is_empty() && !goes_on => {}
            _ => lines.push(LogicalLine {
                number: index + 1,
                text: content.into(),
            }),
        }
        quote = if goes_on { quote_after } else { Quote::None };
        continues = goes_on;
    }
    lines.retain(|line| !line.text.trim().is_empty());
    lines
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

/// What one character does to the text around it.
enum Step {
    /// Belongs to a word.
    Literal(char),
    /// Opens or closes a quote.
    Quote,
    /// Outside of quotes: ends a word.
    Blank,
    /// Outside of quotes: ends the line.
    Comment,
}

/// Walks over a text with its quotes; one place decides what they mean.
struct Walk<'a> {
    chars: std::iter::Peekable<std::str::CharIndices<'a>>,
    quote: Quote,
    /// An apostrophe inside a word is one; only at its start it quotes.
    at_word_start: bool,
}

impl<'a> Walk<'a> {
    fn new(text: &'a str, quote: Quote) -> Self {
        Walk {
            chars: text.char_indices().peekable(),
            quote,
            at_word_start: true,
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = (usize, Step);

    fn next(&mut self) -> Option<(usize, Step)> {
        let (index, c) = self.chars.next()?;
        let step = match (self.quote, c) {
            (Quote::None, '#') => Step::Comment,
            (Quote::None, '"') => {
                self.quote = Quote::Double;
                Step::Quote
            }
            (Quote::None, '\'') if self.at_word_start => {
                self.quote = Quote::Single;
                Step::Quote
            }
            (Quote::None, c) if c.is_whitespace() => Step::Blank,
            (Quote::Double, '"') | (Quote::Single, '\'') => {
                self.quote = Quote::None;
                Step::Quote
            }
            (Quote::Double, '\\') => {
                let escaped = self.chars.next_if(|&(_, next)| matches!(next, '"' | '\\'));
                Step::Literal(escaped.map_or(c, |(_, escaped)| escaped))
            }
            (_, c) => Step::Literal(c),
        };
        self.at_word_start = matches!(step, Step::Blank);
        Some((index, step))
    }
}

/// The part before the comment, and the quote that is open at its end.
fn without_comment(text: &str, quote: Quote) -> (&str, Quote) {
    let mut walk = Walk::new(text, quote);
    let comment = walk.find(|(_, step)| matches!(step, Step::Comment));
    match comment {
        Some((index, _)) => (&text[..index], Quote::None),
        None => (text, walk.quote),
    }
}

/// Words of a text that has no comment.
pub(super) fn split(text: &str) -> Result<Vec<Word>, Problem> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut walk = Walk::new(text, Quote::None);
    for (_, step) in walk.by_ref() {
        if let Step::Blank = step {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_with(|| Word {
            text: String::new(),
            quoted: false,
        });
        match step {
            Step::Literal(c) => word.text.push(c),
            Step::Quote => word.quoted = true,
            // The line reader has taken comments off; what is left is one joined to a word.
            Step::Comment => word.text.push('#'),
            Step::Blank => {}
        }
    }
    words.extend(word);
    if walk.quote == Quote::None {
        Ok(words)
    } else {
        Err(Problem::UnclosedQuote)
    }
}
