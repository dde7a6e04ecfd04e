//! From bytes to lines of words: encoding, comments, quotes, continuation.
//!
//! Knows no directive, section or brace.

use std::borrow::Cow;

use thiserror::Error;

use super::error::Problem;

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

/// UTF-8 if it is valid, else Latin-1, as gmond's documents are; without a byte order mark.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes
            .iter()
            .map(|&byte| char::from(byte))
            .collect::<String>()
            .into(),
    }
}

/// A line, and those that a trailing backslash joins to it; never blank.
pub(super) struct LogicalLine {
    /// Of its first line, counted from 1.
    pub(super) number: usize,
    pub(super) text: String,
}

/// The lines of a text in order; lines of a section are read by other rules.
#[derive(Clone)]
pub(super) struct Lines<'a>(std::iter::Enumerate<std::str::Lines<'a>>);

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Lines(text.lines().enumerate())
    }

    /// The next line outside of sections, without its comment.
    pub(super) fn next_plain(&mut self) -> Option<LogicalLine> {
        let mut line: Option<LogicalLine> = None;
        let mut quote = Quote::None;
        for (index, raw) in self.0.by_ref() {
            // As in gmetad-python, a commented-out line inside a continued line is skipped, and its
            // own backslash joins nothing.
            if quote == Quote::None && raw.trim_start().starts_with('#') {
                continue;
            }
            let (content, quote_after) = without_comment(raw, quote);
            let content = content.trim_end();
            let (content, goes_on) = match content.strip_suffix('\\') {
                Some(content) => (content, true),
                None => (content, false),
            };
            match &mut line {
                Some(line) => line.text.push_str(content),
                None => {
                    line = Some(LogicalLine {
                        number: index + 1,
                        text: content.into(),
                    });
                }
            }
            if goes_on {
                quote = quote_after;
                continue;
            }
            quote = Quote::None;
            line = line.filter(|line| !line.text.trim().is_empty());
            if line.is_some() {
                return line;
            }
        }
        line.filter(|line| !line.text.trim().is_empty())
    }

    /// The next line of a section as written, without surrounding blanks: the plugin decides what a
    /// `#` behind a value means. A line that begins with `#` is a comment; behind blanks it is a
    /// directive `#`, as in gmetad-python.
    pub(super) fn next_raw(&mut self) -> Option<LogicalLine> {
        let mut line: Option<LogicalLine> = None;
        for (index, raw) in self.0.by_ref() {
            let content = raw.trim();
            let is_comment = raw.starts_with('#') || line.is_some() && content.starts_with('#');
            if is_comment || content.is_empty() {
                continue;
            }
            // A commented-out line joins nothing to it.
            let joins = content
                .strip_suffix('\\')
                .filter(|_| !content.starts_with('#'));
            let content = joins.unwrap_or(content).trim_end();
            match &mut line {
                Some(line) => {
                    if !line.text.is_empty() {
                        line.text.push(' ');
                    }
                    line.text.push_str(content);
                }
                None => {
                    line = Some(LogicalLine {
                        number: index + 1,
                        text: content.into(),
                    });
                }
            }
            if joins.is_none() {
                return line;
            }
        }
        line.filter(|line| !line.text.is_empty())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

/// The meaning of one character.
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

/// Walks over a text with quotes. The one place that decides what they mean.
struct Walk<'a> {
    chars: std::iter::Peekable<std::str::CharIndices<'a>>,
    quote: Quote,
    /// An apostrophe quotes at the start of a word only; inside it is an apostrophe.
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

/// Words of a value in a section, without its comment and with its quotes mended.
pub(super) fn split_value_mended(raw: &str) -> (Vec<Word>, Option<Mended>) {
    split_mended(without_comment(raw, Quote::None).0)
}

/// Words of a text that has no comment.
pub(super) fn split(text: &str) -> Result<Vec<Word>, Problem> {
    let (words, quote) = walk(text);
    if quote == Quote::None {
        Ok(words)
    } else {
        Err(Problem::UnclosedQuote)
    }
}

/// How a line with unbalanced quotes was read; follows "FILE:LINE: " in a sentence.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum Mended {
    /// Two quotes where one is meant.
    #[error("a quote is doubled; it is read as one quote")]
    Doubled,
    /// A quote that nothing follows.
    #[error("the quote at the end of the line is ignored; it opens nothing")]
    Stray,
    /// A quote that is not closed.
    #[error("a quote is not closed; the value is read as \"{0}\"")]
    Open(String),
    /// Quotes of a word processor.
    #[error("typographic quotes are read as plain quotes (\")")]
    Typographic,
}

/// As [`split`], of a line that C gmetad and gmetad-python accept: unbalanced quotes are mended.
pub(super) fn split_mended(text: &str) -> (Vec<Word>, Option<Mended>) {
    if let Some(plain) = with_plain_quotes(text) {
        let (words, _) = split_mended(&plain);
        return (words, Some(Mended::Typographic));
    }
    let (mut words, quote) = walk(text);
    if quote == Quote::None {
        return (words, None);
    }
    let mut single = Cow::Borrowed(text);
    while let Some(doubled) = doubled_quote(&single) {
        single.to_mut().remove(doubled);
        if let Ok(words) = split(without_comment(&single, Quote::None).0) {
            return (words, Some(Mended::Doubled));
        }
    }
    let last = words.last().map_or("", |word| word.text.trim_end());
    if last.is_empty() || text.ends_with(['"', '\'']) {
        words.pop_if(|word| word.text.is_empty());
        return (words, Some(Mended::Stray));
    }
    let last = last.to_owned();
    if let Some(word) = words.last_mut() {
        word.text.clone_from(&last);
    }
    (words, Some(Mended::Open(last)))
}

/// What a word processor or a web page makes of `"`: in Unicode, and in Windows-1252 read as
/// Latin-1.
const TYPOGRAPHIC: [char; 6] = [
    '\u{201c}', '\u{201d}', '\u{201e}', '\u{201f}', '\u{93}', '\u{94}',
];

/// The line with plain quotes, if it has typographic ones only.
fn with_plain_quotes(text: &str) -> Option<String> {
    let is_typographic = text.contains(TYPOGRAPHIC) && !text.contains(['"', '\'']);
    is_typographic.then(|| text.replace(TYPOGRAPHIC, "\""))
}

/// Place of a doubled quote at the start or at the end of a word.
fn doubled_quote(text: &str) -> Option<usize> {
    text.match_indices("\"\"").map(|(at, _)| at).find(|&at| {
        let before = text[..at].chars().next_back();
        let behind = text[at + 2..].chars().next();
        let blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
        blank(before) != blank(behind) && before != Some('\\')
    })
}

/// The words, and the quote that is open at the end.
fn walk(text: &str) -> (Vec<Word>, Quote) {
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
    (words, walk.quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Vec<LogicalLine> {
        let mut lines = Lines::of(text);
        std::iter::from_fn(|| lines.next_plain()).collect()
    }

    fn raw(text: &str) -> Vec<String> {
        let mut lines = Lines::of(text);
        std::iter::from_fn(|| lines.next_raw())
            .map(|line| format!("{} {}", line.number, line.text))
            .collect()
    }

    /// The words of each line, those in quotes between angle quotes.
    fn lines(text: &str) -> Vec<(usize, Vec<String>)> {
        let shown = |word: Word| {
            if word.quoted {
                format!("«{}»", word.text)
            } else {
                word.text
            }
        };
        plain(text)
            .into_iter()
            .map(|line| {
                let words = split(&line.text).expect("quotes are closed");
                (line.number, words.into_iter().map(shown).collect())
            })
            .collect()
    }

    fn words(text: &str) -> Vec<String> {
        lines(text)
            .into_iter()
            .flat_map(|(_, words)| words)
            .collect()
    }

    #[test]
    fn words_stand_between_blanks() {
        assert_eq!(words("  a\tb   c \r\n"), ["a", "b", "c"]);
    }

    #[test]
    fn lines_keep_their_numbers_over_blanks_and_comments() {
        let text = "# one\n\na\n   \n  # four\nb # five\n#\nc";
        let numbers: Vec<usize> = lines(text).into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, [3, 6, 8]);
        assert_eq!(words(text), ["a", "b", "c"]);
    }

    #[test]
    fn a_comment_ends_a_line_anywhere_but_in_quotes() {
        assert_eq!(words("a #b c"), ["a"]);
        assert_eq!(words("a 4#b"), ["a", "4"]);
        assert_eq!(
            words("a \"b # c\" 'd # e' # f"),
            ["a", "«b # c»", "«d # e»"]
        );
    }

    #[test]
    fn quotes_group_words() {
        assert_eq!(words(r#"a "b c" 'd e'"#), ["a", "«b c»", "«d e»"]);
        assert_eq!(words(r#"a "" x"#), ["a", "«»", "x"]);
        assert_eq!(words(r#"key="b c"d"#), ["«key=b cd»"]);
        assert_eq!(words(r#""it's" 'say "it"'"#), ["«it's»", "«say \"it\"»"]);
    }

    #[test]
    fn an_apostrophe_inside_a_word_is_one() {
        assert_eq!(
            words("gridname John's grid"),
            ["gridname", "John's", "grid"]
        );
    }

    #[test]
    fn a_backslash_in_double_quotes_takes_a_quote_as_it_is() {
        assert_eq!(words(r#"a "b \"c\" d" # e"#), ["a", r#"«b "c" d»"#]);
        assert_eq!(words(r#"a "b\\" c"#), ["a", r"«b\»", "c"]);
        assert_eq!(words(r#"a "\d" '\"'"#), ["a", r"«\d»", r#"«\"»"#]);
    }

    #[test]
    fn a_trailing_backslash_continues_the_line() {
        let text = "RRAs \"a\" \\\n     \"b\" \\  \n \"c\"\nnext";
        assert_eq!(
            lines(text),
            [
                (
                    1,
                    vec!["RRAs".into(), "«a»".into(), "«b»".into(), "«c»".into()]
                ),
                (4, vec!["next".into()])
            ]
        );
        assert_eq!(words("data_\\\nsource"), ["data_source"]);
        assert_eq!(words("a \"b \\\nc\" d"), ["a", "«b c»", "d"]);
        assert_eq!(words("a \\"), ["a"]);
        assert_eq!(words("\\\n\\\n"), Vec::<String>::new());
    }

    #[test]
    fn a_comment_does_not_continue() {
        assert_eq!(words("# RRAs \"a\" \\\nb"), ["b"]);
        assert_eq!(words("a # b \\\nc"), ["a", "c"]);
        assert_eq!(lines("a # b \\\nc").len(), 2);
    }

    #[test]
    fn a_commented_out_line_may_stand_in_a_continued_one() {
        assert_eq!(words("a \\\n# b \\\nc"), ["a", "c"]);
        assert_eq!(lines("a \\\n# b \\\nc").len(), 1);
    }

    #[test]
    fn an_open_quote_ends_with_its_line() {
        let text = plain("a \"b\nc");
        assert_eq!(text.len(), 2);
        assert_eq!(split(&text[0].text), Err(Problem::UnclosedQuote));
        assert!(split(&text[1].text).is_ok());
    }

    #[test]
    fn a_line_of_a_section_is_as_it_is_written() {
        assert_eq!(
            raw("  a   b # c \"  d \n# gone\n\n  # kept\n\tx 'y \r\n"),
            ["1 a   b # c \"  d", "4 # kept", "5 x 'y"]
        );
    }

    #[test]
    fn lines_of_a_section_are_joined_by_one_blank() {
        assert_eq!(raw("a one \\\n two"), ["1 a one two"]);
        assert_eq!(
            raw("a one\\\n\t two  \\ \nthree\nb"),
            ["1 a one two three", "4 b"]
        );
        assert_eq!(raw("a one \\\n# gone \\\n  # too\n\n two"), ["1 a one two"]);
        assert_eq!(raw("  # a \\\nb c"), ["1 # a \\", "2 b c"]);
        assert_eq!(raw("a \\"), ["1 a"]);
        assert_eq!(raw("\\\n\\\n"), Vec::<String>::new());
    }

    #[test]
    fn quotes_that_do_not_fit_are_made_to_fit() {
        let open = |value: &str| Mended::Open(value.into());
        for (text, expected, how) in [
            ("a \"G", &["a", "G"][..], open("G")),
            ("a \"b c ", &["a", "b c"], open("b c")),
            ("a \"b\" 'c", &["a", "b", "c"], open("c")),
            ("a G\"", &["a", "G"], Mended::Stray),
            ("a \"b\" c \"", &["a", "b", "c"], Mended::Stray),
            ("a \"\"dc.%h\"", &["a", "dc.%h"], Mended::Doubled),
            ("a \"\"b c\" d", &["a", "b c", "d"], Mended::Doubled),
            ("a \"b c\"\"", &["a", "b c"], Mended::Doubled),
            ("a \"b c\"\" d", &["a", "b c", "d"], Mended::Doubled),
            ("a \"\"b\" # c", &["a", "b"], Mended::Doubled),
            (
                "a \u{201c}b c\u{201d} d",
                &["a", "b c", "d"],
                Mended::Typographic,
            ),
            ("a \u{93}b c\u{94}", &["a", "b c"], Mended::Typographic),
        ] {
            let (words, mended) = split_mended(text);
            let words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            assert_eq!((&words[..], mended), (expected, Some(how)), "{text}");
        }
        for text in [
            "a \"b\" 'c'",
            "a \"\" b",
            "a \"it \u{201c}is\u{201d}\"",
            "a \"b \\\"\" c",
        ] {
            assert_eq!(split_mended(text).1, None, "{text}");
        }
    }

    #[test]
    fn text_is_utf_8_or_else_latin_1() {
        assert_eq!(decode("Z\u{fc}rich".as_bytes()), "Z\u{fc}rich");
        assert_eq!(decode(b"Z\xfcrich"), "Z\u{fc}rich");
        assert_eq!(decode(b"\xef\xbb\xbfgridname a"), "gridname a");
        assert_eq!(decode(b"\xef\xbb\xbfZ\xfcrich"), "Z\u{fc}rich");
    }
}
