//! What is summed up: rules, lists of names and expressions, and what becomes of the rest.
//!
//! Decides nothing about a metric: that is `summary`'s.

use gmetad_core::summary::{Names, Pattern, SummaryRule, Verdict};
use log::Level;

use super::directives::Draft;
use super::lists;
use super::table::{Args, not_empty};
use super::values::Fault;
use super::{Location, Problem};

/// What metrics' names do not have and expressions do, as far as that can be told.
const MARKS_OF_EXPRESSIONS: [char; 6] = ['*', '^', '$', '|', '\\', '['];

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
    use crate::testing::{config, notices, refusal};

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
