//! What is summed up: the words of `summarized_metrics` and `unsummarized_metrics`.
//!
//! Decides nothing about a metric: that is `summary`'s.

use regex::RegexBuilder;

use super::directives::Draft;
use super::table::{Args, not_empty};
use super::{Problem, SummaryFilter};

/// A compiled expression takes no more; what people write takes a few KB.
const SIZE_LIMIT_BYTES: usize = 1 << 20;

/// A regular expression that a metric's name may match, anywhere in it.
#[derive(Clone, Debug)]
pub struct Pattern(regex::Regex);

impl Pattern {
    fn new(text: &str) -> Result<Pattern, String> {
        let compiled = RegexBuilder::new(text).size_limit(SIZE_LIMIT_BYTES).build();
        // The crate draws what is wrong over several lines; the last one says it.
        compiled.map(Pattern).map_err(|error| {
            let drawn = error.to_string();
            let last = drawn.lines().last().unwrap_or_default().trim();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        })
    }

    /// Whether it is found in the name; takes time in proportion to the name's length.
    pub fn is_in(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl std::fmt::Display for Pattern {
    /// As it is written in the file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/{}/", self.0.as_str())
    }
}

/// `summarized_metrics NAME|/EXPRESSION/ …`
pub(super) fn summarized(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let SummaryFilter {
        only,
        only_matching,
        ..
    } = &mut draft.config.summary_filter;
    take(args, only, only_matching)
}

/// `unsummarized_metrics PREFIX|/EXPRESSION/ …`
pub(super) fn unsummarized(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let SummaryFilter {
        without_prefixes,
        without_matching,
        ..
    } = &mut draft.config.summary_filter;
    take(args, without_prefixes, without_matching)
}

fn take(
    args: &Args<'_>,
    texts: &mut Vec<String>,
    patterns: &mut Vec<Pattern>,
) -> Result<(), Problem> {
    for word in args.all(not_empty)? {
        let inner = word.strip_prefix('/').and_then(|it| it.strip_suffix('/'));
        let Some(inner) = inner.filter(|inner| !inner.is_empty()) else {
            texts.push(word);
            continue;
        };
        let pattern = Pattern::new(inner).map_err(|reason| Problem::Expression {
            directive: args.known.name,
            value: word.clone(),
            reason,
        })?;
        patterns.push(pattern);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::testing::{config, refusal};

    #[test]
    fn words_between_slashes_are_expressions_and_others_are_not() {
        let filter = config(
            "unsummarized_metrics disk_ \"/^(tmp|var) .*\\d$/\" / //\n\
             summarized_metrics /^cpu_/ load_one",
        )
        .summary_filter;
        assert_eq!(filter.without_prefixes, ["disk_", "/", "//"]);
        assert_eq!(filter.only, ["load_one"]);
        let shown: Vec<String> = (filter.without_matching.iter())
            .chain(&filter.only_matching)
            .map(ToString::to_string)
            .collect();
        assert_eq!(shown, ["/^(tmp|var) .*\\d$/", "/^cpu_/"]);
    }

    #[test]
    fn an_expression_that_is_none_is_refused_in_a_line() {
        assert_eq!(
            refusal("unsummarized_metrics ok /a(b/"),
            [
                "g.conf:1: unsummarized_metrics: \"/a(b/\" is not a regular expression: unclosed group"
            ]
        );
        let huge = refusal("summarized_metrics /(a{1000}){1000}/");
        assert!(
            huge[0].contains("is not a regular expression: "),
            "{huge:?}"
        );
    }
}
