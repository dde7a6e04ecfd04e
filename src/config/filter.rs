//! What is summed up: rules, lists of names and expressions, and what becomes of the rest.
//!
//! Decides nothing about a metric: that is `summary`'s.

use std::fmt;

use log::Level;
use regex::RegexBuilder;

use super::directives::Draft;
use super::lists;
use super::table::{Args, not_empty};
use super::values::Fault;
use super::{Location, Problem};

/// A compiled expression takes no more; what people write takes a few KB.
const SIZE_LIMIT_BYTES: usize = 1 << 20;

/// What metrics' names do not have and expressions do, as far as that can be told.
const MARKS_OF_EXPRESSIONS: [char; 6] = ['*', '^', '$', '|', '\\', '['];

/// Which metrics take part in summaries. Of these fields, from the first on, the first that knows
/// of a name decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SummaryFilter {
    /// The words of `summary_rule`, in the order of the file: the first that knows of a name
    /// decides.
    pub rules: Vec<SummaryRule>,
    /// Name prefixes left out.
    pub without_prefixes: Vec<String>,
    /// The same, by expression.
    pub without_matching: Vec<Pattern>,
    /// On: names whose last dot is followed by `v` are left out.
    pub without_sflow_vm: bool,
    /// Names summed up; if there are any, or any of `only_matching`, all others are left out.
    pub only: Vec<String>,
    /// The same, by expression.
    pub only_matching: Vec<Pattern>,
    /// What becomes of all others, whatever `only` is; `None`: they are summed up unless there is
    /// one of those.
    pub default: Option<Verdict>,
}

/// What becomes of some metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRule {
    /// What.
    pub verdict: Verdict,
    /// Of which.
    pub names: Names,
}

/// Whether a metric is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Include,
    /// It is left out.
    Exclude,
}

impl fmt::Display for Verdict {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Include => "include",
            Verdict::Exclude => "exclude",
        })
    }
}

/// Names of metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// This one.
    One(String),
    /// All that an expression is found in.
    With(Pattern),
}

impl Names {
    /// Whether this is one of them.
    pub fn have(&self, name: &str) -> bool {
        match self {
            Names::One(one) => one == name,
            Names::With(pattern) => pattern.is_in(name),
        }
    }
}

impl fmt::Display for Names {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Names::One(name) => f.write_str(name),
            Names::With(pattern) => pattern.fmt(f),
        }
    }
}

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

impl fmt::Display for Pattern {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.0.as_str())
    }
}

/// `summary_rule include|exclude NAME|/EXPRESSION/ …`
pub(super) fn rule(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let [first, words @ ..] = args.words else {
        lists::names(draft, args);
        return Ok(());
    };
    let verdict = args.check(&first.text, verdict)?;
    if words.is_empty() {
        return Err(Problem::Incomplete {
            directive: args.known.name,
            expected: args.known.expected,
        });
    }
    for word in words {
        let text = args.check(&word.text, not_empty)?;
        let names = match expression(&text) {
            Some("") => args.check(&text, |_| Err(Fault::EmptyExpression))?,
            Some(inner) => Names::With(pattern(args, &text, inner)?),
            None if looks_like_an_expression(&text) => {
                args.check(&text, |_| Err(Fault::BareExpression))?
            }
            None => Names::One(text),
        };
        draft.summary_rule(SummaryRule { verdict, names }, args.at);
    }
    Ok(())
}

/// `summary_default include|exclude`
pub(super) fn default(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    draft.config.summary_filter.default = Some(args.one(verdict)?);
    Ok(())
}

/// `summarized_metrics NAME|/EXPRESSION/ …`
pub(super) fn summarized(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let (texts, patterns) = take(draft, args)?;
    let filter = &mut draft.config.summary_filter;
    filter.only.extend(texts);
    filter.only_matching.extend(patterns);
    Ok(())
}

/// `unsummarized_metrics PREFIX|/EXPRESSION/ …`
pub(super) fn unsummarized(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let (texts, patterns) = take(draft, args)?;
    let filter = &mut draft.config.summary_filter;
    filter.without_prefixes.extend(texts);
    filter.without_matching.extend(patterns);
    Ok(())
}

/// Texts and expressions. A text may be anything here, as it may for C gmetad; one that is most
/// likely meant otherwise is told.
fn take(draft: &mut Draft, args: &Args<'_>) -> Result<(Vec<String>, Vec<Pattern>), Problem> {
    let (mut texts, mut patterns) = (Vec::new(), Vec::new());
    for word in lists::names(draft, args) {
        match expression(&word) {
            Some(inner) if !inner.is_empty() => patterns.push(pattern(args, &word, inner)?),
            _ => {
                if looks_like_an_expression(&word) {
                    let name = args.known.name;
                    let text = format!(
                        "{name} takes {word} as it stands; a regular expression stands between \
                         slashes"
                    );
                    draft.notice(Level::Warn, args.at, &text);
                }
                texts.push(word);
            }
        }
    }
    Ok((texts, patterns))
}

/// What stands between slashes.
fn expression(word: &str) -> Option<&str> {
    word.strip_prefix('/')?.strip_suffix('/')
}

fn pattern(args: &Args<'_>, word: &str, inner: &str) -> Result<Pattern, Problem> {
    Pattern::new(inner).map_err(|reason| Problem::Expression {
        directive: args.known.name,
        value: word.into(),
        reason,
    })
}

fn looks_like_an_expression(text: &str) -> bool {
    text.contains(MARKS_OF_EXPRESSIONS)
}

fn verdict(text: &str) -> Result<Verdict, Fault> {
    [Verdict::Include, Verdict::Exclude]
        .into_iter()
        .find(|verdict| verdict.to_string().eq_ignore_ascii_case(text))
        .ok_or(Fault::Verdict)
}

impl Draft {
    /// Adds a rule, and says so if one before it decides otherwise and first.
    fn summary_rule(&mut self, rule: SummaryRule, at: &Location) {
        let rules = &self.config.summary_filter.rules;
        let is_about = |earlier: &SummaryRule| match &rule.names {
            Names::One(name) => earlier.names.have(name),
            Names::With(_) => earlier.names == rule.names,
        };
        if let Some(place) = rules.iter().position(is_about)
            && rules[place].verdict != rule.verdict
        {
            let SummaryRule { verdict, names } = &rules[place];
            let text = format!(
                "summary_rule {} {} is never reached: {verdict} {names}, at {}, comes first",
                rule.verdict, rule.names, self.rule_lines[place]
            );
            self.notice(Level::Warn, at, &text);
        }
        self.config.summary_filter.rules.push(rule);
        self.rule_lines.push(at.clone());
        self.origins.add("summary_rule", at);
    }

    /// What the directives say together.
    pub(super) fn summary_filter_is_whole(&mut self) {
        let filter = &self.config.summary_filter;
        let lists_names = !filter.only.is_empty() || !filter.only_matching.is_empty();
        if lists_names
            && filter.default == Some(Verdict::Include)
            && let Some(at) = self.given.get("summarized_metrics").cloned()
        {
            let text = "summarized_metrics changes nothing, since summary_default includes all \
                        that is not left out";
            self.notice(Level::Warn, &at, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict;
    use crate::config::testing::{config, notices, refusal};

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
    fn rules_keep_their_order_over_lines() {
        let filter = config(
            "summary_rule include load_one /^cpu_/\nsummary_rule EXCLUDE \"disk free (%)\"\n\
             summary_default exclude",
        )
        .summary_filter;
        let shown: Vec<String> = (filter.rules.iter())
            .map(|rule| format!("{} {}", rule.verdict, rule.names))
            .collect();
        assert_eq!(
            shown,
            [
                "include load_one",
                "include /^cpu_/",
                "exclude disk free (%)"
            ]
        );
        assert_eq!(filter.default, Some(Verdict::Exclude));
    }

    #[test]
    fn what_a_rule_cannot_say_is_refused_with_what_would_be_right() {
        let takes = "it takes include or exclude, then names of metrics and /expressions/";
        let neither = "is neither include nor exclude; write one of them here";
        let bare = "is no name of a metric; if it is a regular expression, put it between slashes, \
                    and in quotes";
        let cases = [
            ("summary_rule exclude", format!("summary_rule is not complete; {takes}")),
            ("summary_rule load_one", format!("summary_rule: \"load_one\" {neither}")),
            ("summary_rule include disk_.*", format!("summary_rule: \"disk_.*\" {bare}")),
            ("summary_rule include ^disk_", format!("summary_rule: \"^disk_\" {bare}")),
            ("summary_rule include /^disk_", format!("summary_rule: \"/^disk_\" {bare}")),
            (
                "summary_rule include //",
                "summary_rule: \"//\" is an empty expression; for what becomes of all others, \
                 write summary_default"
                    .into(),
            ),
            (
                "summary_rule include ok /(/",
                "summary_rule: \"/(/\" is not a regular expression: unclosed group".into(),
            ),
            (
                "summary_rule include \"\"",
                "summary_rule: \"\" is empty; write something between the quotes, or take the line \
                 out"
                    .into(),
            ),
            ("summary_default on", format!("summary_default: \"on\" {neither}")),
            (
                "summary_default exclude load_one",
                "summary_default takes include or exclude; \"load_one\" is too much".into(),
            ),
            (
                "summary_default",
                "summary_default has no value; it takes include or exclude".into(),
            ),
        ];
        let text: Vec<&str> = cases.iter().map(|(line, _)| *line).collect();
        let errors = refusal(&text.join("\n"));
        for (index, (error, (_, expected))) in errors.iter().zip(&cases).enumerate() {
            assert_eq!(*error, format!("g.conf:{}: {expected}", index + 1));
        }
        assert_eq!(errors.len(), cases.len());
    }

    #[test]
    fn a_rule_that_comes_too_late_is_told() {
        let told = |text: &str| notices(&format!("data_source a b\n{text}"));
        assert_eq!(
            told("summary_rule exclude /^disk_/\nsummary_rule include disk_total load_one"),
            [
                "WARN g.conf:3: summary_rule include disk_total is never reached: exclude /^disk_/, \
                 at g.conf:2, comes first"
            ]
        );
        assert_eq!(
            told("summary_rule exclude /a/\nsummary_rule include /a/").len(),
            1
        );
        // Said twice, or said in general what is said of one already: nobody is misled.
        assert_eq!(
            told(
                "summary_rule include a /a/\nsummary_rule exclude /b/\nsummary_rule include a\n\
                 summary_rule exclude b"
            ),
            [""; 0]
        );
    }

    #[test]
    fn a_list_that_the_default_makes_pointless_is_told() {
        let told = |default: &str| {
            notices(&format!(
                "data_source a b\nsummarized_metrics x\nsummary_default {default}"
            ))
        };
        assert_eq!(told("exclude"), [""; 0]);
        assert_eq!(
            told("include"),
            [
                "WARN g.conf:2: summarized_metrics changes nothing, since summary_default includes \
                 all that is not left out"
            ]
        );
    }

    #[test]
    fn an_expression_without_its_slashes_is_told() {
        assert_eq!(
            notices("data_source a b\nunsummarized_metrics disk_.* cpu\nsummarized_metrics ^c"),
            [
                "WARN g.conf:2: unsummarized_metrics takes disk_.* as it stands; a regular \
                 expression stands between slashes",
                "WARN g.conf:3: summarized_metrics takes ^c as it stands; a regular expression \
                 stands between slashes",
            ]
        );
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
