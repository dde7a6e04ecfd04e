//! Regular expressions that pick names, compiled for names of ASCII first.
//!
//! Nearly all names are ASCII, and for these an expression without Unicode's classes says the same. With
//! them, a single `.`, or a `k` in either case, takes 300 KB and as much time as a small page while it is
//! compiled. So that is done when a name asks for it.

use std::cell::OnceCell;

use regex::{Error, Regex, RegexBuilder, bytes};

/// How an expression is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRules {
    /// Upper and lower case are the same.
    pub any_case: bool,
    /// A dot takes the end of a line as well.
    pub any_line: bool,
    /// Memory for the compiled expression.
    pub most_bytes: usize,
}

/// A compiled expression. It may match anywhere in a name.
#[derive(Clone, Debug)]
pub struct NamePattern {
    text: Box<str>,
    rules: NameRules,
    /// For names of ASCII; `None` if it would not say the same.
    ascii: Option<bytes::Regex>,
    /// For all others, and `None` if they would make it too large.
    any: OnceCell<Option<Regex>>,
}

impl NamePattern {
    /// Compiles an expression.
    pub fn new(text: &str, rules: NameRules) -> Result<NamePattern, Error> {
        let ascii = may_do_without_unicode(text).then(|| rules.for_ascii(text).ok());
        let ascii = ascii.flatten();
        let any = match ascii {
            Some(_) => OnceCell::new(),
            None => OnceCell::from(Some(rules.for_any(text)?)),
        };
        Ok(NamePattern {
            text: text.into(),
            rules,
            ascii,
            any,
        })
    }

    /// Whether it matches the name, in time linear in the name's length.
    pub fn takes(&self, name: &str) -> bool {
        match &self.ascii {
            Some(regex) if name.is_ascii() => regex.is_match(name.as_bytes()),
            _ => {
                let any = self.any.get_or_init(|| self.rules.for_any(&self.text).ok());
                any.as_ref().is_some_and(|regex| regex.is_match(name))
            }
        }
    }
}

impl NameRules {
    fn for_ascii(self, text: &str) -> Result<bytes::Regex, Error> {
        bytes::RegexBuilder::new(text)
            .unicode(false)
            .case_insensitive(self.any_case)
            .dot_matches_new_line(self.any_line)
            .size_limit(self.most_bytes)
            .build()
    }

    fn for_any(self, text: &str) -> Result<Regex, Error> {
        RegexBuilder::new(text)
            .case_insensitive(self.any_case)
            .dot_matches_new_line(self.any_line)
            .size_limit(self.most_bytes)
            .build()
    }
}

/// Whether an expression names neither characters by number or property, nor any beyond ASCII.
fn may_do_without_unicode(text: &str) -> bool {
    let mut pairs = text.as_bytes().windows(2);
    text.is_ascii() && !pairs.any(|pair| matches!(pair, [b'\\', b'x' | b'u' | b'U' | b'p' | b'P']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: NameRules = NameRules {
        any_case: true,
        any_line: false,
        most_bytes: 1 << 20,
    };

    #[test]
    fn names_are_taken_as_by_the_expression_with_unicode() {
        let texts = [
            "",
            ".",
            "^.$",
            "^node-1[0-9]$",
            "K",
            "[^k]",
            "^[^s]+$",
            r"^\w+$",
            r"\d\d",
            r"\bdisk\b",
            r"\s",
            r"\W",
            "é",
            "[^é]",
            r"\x{e9}",
            r"\x4b",
            r"\u{212A}",
            "(?-i)K",
            "(?u)^.$",
            "^(a|b.*)$",
            "(?s).",
            "[[:alpha:]]$",
            r"\S{3}",
        ];
        let names = [
            "",
            "a",
            "k",
            "K",
            "\u{212A}",
            "s",
            "ſ",
            "é",
            "É",
            "node-12",
            "NODE-12",
            "disk free",
            "bon jour é",
            "\n",
            "a\nb",
            "_",
            "7",
            "٣٣",
            "ab c",
            "straße",
        ];
        for text in texts {
            let full = RULES.for_any(text).unwrap();
            let pattern = NamePattern::new(text, RULES).unwrap();
            for name in names {
                assert_eq!(
                    pattern.takes(name),
                    full.is_match(name),
                    "{text:?} of {name:?}"
                );
            }
        }
    }

    #[test]
    fn unicode_is_left_out_until_a_name_asks_for_it() {
        let pattern = NamePattern::new("k.", RULES).unwrap();
        assert!(pattern.takes("disk1") && pattern.any.get().is_none());
        assert!(pattern.takes("diské") && pattern.any.get().is_some());
        for text in ["é", r"\x4b", r"\u{e9}"] {
            assert!(
                NamePattern::new(text, RULES).unwrap().ascii.is_none(),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_expression_or_too_large_is_an_error() {
        assert!(NamePattern::new("a(", RULES).is_err());
        assert!(NamePattern::new(r"((a{1000}){1000}){1000}", RULES).is_err());
        assert!(NamePattern::new(r"\p{Nonsense}", RULES).is_err());
    }
}
