//! Which metrics are summarised: rules, lists of names and expressions, and a default.
//!
//! Decides nothing about a metric: `gmetad_core::summary` does.

use super::TOGGLE;
use crate::config::Config;
use crate::draft::{Args, Draft, Known, Rows, known, row, rows};
use crate::error::Problem;
use crate::lists;
use crate::rules::{self, Named, expression, looks_like_an_expression};
use crate::values;
use crate::written::{list, toggle, word};
use gmetad_core::plugin::Location;
use gmetad_core::summary::{Names, Pattern, SummaryFilter, SummaryRule, Verdict};

pub(crate) const DIRECTIVES: &[Known] = &[
    known(
        "summary_rule",
        "include or exclude, then metric names and /expressions/",
        rule,
        |it| lines_of_rules(&it.summary_filter),
    )
    .adding_each()
    .rows(rows_of_rules)
    .at_reload(|it, new| {
        let rules = &new.summary_filter.rules;
        it.summary_filter.rules.clone_from(rules);
    }),
    known(
        "unsummarized_metrics",
        "prefixes of metric names, and /expressions/",
        unsummarized,
        |it| {
            let filter = &it.summary_filter;
            names(&filter.without_prefixes, &filter.without_matching)
        },
    )
    .adding()
    .rows(left_out)
    .at_reload(|it, new| {
        let (filter, new) = (&mut it.summary_filter, &new.summary_filter);
        filter.without_prefixes.clone_from(&new.without_prefixes);
        filter.without_matching.clone_from(&new.without_matching);
    }),
    known(
        "unsummarized_sflow_vm_metrics",
        TOGGLE,
        |draft, args| {
            let filter = &mut draft.config.summary_filter;
            args.set(&mut filter.without_sflow_vm, values::toggle)
        },
        |it| toggle(it.summary_filter.without_sflow_vm),
    )
    .rows(left_out_of_sflow)
    .at_reload(|it, new| {
        it.summary_filter.without_sflow_vm = new.summary_filter.without_sflow_vm;
    }),
    known(
        "summarized_metrics",
        "metric names and /expressions/",
        summarized,
        |it| {
            let filter = &it.summary_filter;
            names(&filter.only, &filter.only_matching)
        },
    )
    .adding()
    .rows(summed_up)
    .at_reload(|it, new| {
        let (filter, new) = (&mut it.summary_filter, &new.summary_filter);
        filter.only.clone_from(&new.only);
        filter.only_matching.clone_from(&new.only_matching);
    }),
    known("summary_default", "include or exclude", default, |it| {
        list(it.summary_filter.default)
    })
    .exact()
    .rows(others)
    .at_reload(|it, new| it.summary_filter.default = new.summary_filter.default),
];

/// One a line, as each has an origin of its own.
fn lines_of_rules(filter: &SummaryFilter) -> Vec<String> {
    let rules = filter.rules.iter();
    rules
        .map(|rule| format!("{} {}", rule.verdict, word(&rule.names.to_string())))
        .collect()
}

fn names(texts: &[String], patterns: &[Pattern]) -> Vec<String> {
    let patterns = patterns.iter().map(ToString::to_string);
    list(texts.iter().cloned().chain(patterns))
}

/// In the order in which they decide.
fn rows_of_rules(config: &Config) -> Rows {
    let rules = config.summary_filter.rules.iter();
    let texts = rules.map(|rule| format!("{} {}", rule.verdict, rule.names));
    rows("summary_rule", texts)
}

fn left_out(config: &Config) -> Rows {
    let filter = &config.summary_filter;
    let prefixes = filter.without_prefixes.iter().map(|it| format!("{it}…"));
    let patterns = filter.without_matching.iter().map(ToString::to_string);
    let texts: Vec<String> = prefixes.chain(patterns).collect();
    row(
        "not summarised",
        (!texts.is_empty()).then(|| texts.join(", ")),
    )
}

fn left_out_of_sflow(config: &Config) -> Rows {
    let is_on = config.summary_filter.without_sflow_vm;
    row(
        "not summarised",
        is_on.then_some("sFlow metrics of virtual machines"),
    )
}

fn summed_up(config: &Config) -> Rows {
    let filter = &config.summary_filter;
    let label = match filter.default {
        None => "summarised only",
        Some(_) => "summarised",
    };
    let patterns = filter.only_matching.iter().map(ToString::to_string);
    let names: Vec<String> = filter.only.iter().cloned().chain(patterns).collect();
    row(label, (!names.is_empty()).then(|| names.join(", ")))
}

fn others(config: &Config) -> Rows {
    let default = config.summary_filter.default;
    row(
        "summary_default",
        default.map(|verdict| format!("{verdict} all others")),
    )
}

/// `summary_rule include|exclude NAME|/EXPRESSION/ …`
fn rule(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let [first, words @ ..] = args.words else {
        lists::names(draft, args);
        return Ok(());
    };
    let verdict = args.check(&first.text, rules::verdict)?;
    if words.is_empty() {
        return Err(Problem::Incomplete {
            directive: args.known.name,
            expected: args.known.expected,
        });
    }
    for word in words {
        let names = match args.check(&word.text, rules::names)? {
            Named::One(name) => Names::One(name),
            Named::Matching(inner) => Names::With(pattern(args, &word.text, &inner)?),
        };
        draft.summary_rule(SummaryRule { verdict, names }, args.at);
    }
    Ok(())
}

/// `summary_default include|exclude`
fn default(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    draft.config.summary_filter.default = Some(args.one(rules::verdict)?);
    Ok(())
}

/// `summarized_metrics NAME|/EXPRESSION/ …`
fn summarized(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let (texts, patterns) = take(draft, args)?;
    let filter = &mut draft.config.summary_filter;
    filter.only.extend(texts);
    filter.only_matching.extend(patterns);
    Ok(())
}

/// `unsummarized_metrics PREFIX|/EXPRESSION/ …`
fn unsummarized(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let (texts, patterns) = take(draft, args)?;
    let filter = &mut draft.config.summary_filter;
    filter.without_prefixes.extend(texts);
    filter.without_matching.extend(patterns);
    Ok(())
}

/// Texts and expressions. A text may be anything here, as in C gmetad; one that looks like an
/// expression gets a warning.
fn take(draft: &mut Draft, args: &Args<'_>) -> Result<(Vec<String>, Vec<Pattern>), Problem> {
    let (mut texts, mut patterns) = (Vec::new(), Vec::new());
    for word in lists::names(draft, args) {
        match expression(&word) {
            Some(inner) if !inner.is_empty() => patterns.push(pattern(args, &word, inner)?),
            _ => {
                if looks_like_an_expression(&word) {
                    let name = args.known.name;
                    let text = format!(
                        "{name} takes {word} literally; put a regular expression between slashes"
                    );
                    draft.warn(args.at, text);
                }
                texts.push(word);
            }
        }
    }
    Ok((texts, patterns))
}

fn pattern(args: &Args<'_>, word: &str, inner: &str) -> Result<Pattern, Problem> {
    Pattern::new(inner).map_err(|reason| Problem::Expression {
        directive: args.known.name,
        value: word.into(),
        reason,
    })
}

impl Draft {
    /// Adds a rule, with a warning if an earlier one always decides first, and otherwise.
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
                "summary_rule {} {} has no effect: {verdict} {names} at {} matches first",
                rule.verdict, rule.names, self.pending.rule_lines[place]
            );
            self.warn(at, text);
        }
        self.config.summary_filter.rules.push(rule);
        self.pending.rule_lines.push(at.clone());
        self.origins.add("summary_rule", at);
    }

    /// Checks the directives against each other.
    pub(crate) fn check_summary_filter(&mut self) {
        let filter = &self.config.summary_filter;
        let lists_names = !filter.only.is_empty() || !filter.only_matching.is_empty();
        if lists_names
            && filter.default == Some(Verdict::Include)
            && let Some(at) = self.given.get("summarized_metrics").cloned()
        {
            let text = "summarized_metrics has no effect: summary_default include summarises \
                        every metric that nothing excludes";
            self.warn(&at, text);
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
        let takes = "it takes include or exclude, then metric names and /expressions/";
        let neither = "is neither include nor exclude; write one of them";
        let bare = "is not the name of a metric; put a regular expression between slashes and in \
                    quotes, as in \"/^disk_/\"";
        let cases = [
            (
                "summary_rule exclude",
                format!("summary_rule is incomplete; {takes}"),
            ),
            (
                "summary_rule load_one",
                format!("summary_rule: \"load_one\" {neither}"),
            ),
            (
                "summary_rule include disk_.*",
                format!("summary_rule: \"disk_.*\" {bare}"),
            ),
            (
                "summary_rule include ^disk_",
                format!("summary_rule: \"^disk_\" {bare}"),
            ),
            (
                "summary_rule include /^disk_",
                format!("summary_rule: \"/^disk_\" {bare}"),
            ),
            (
                "summary_rule include //",
                "summary_rule: \"//\" is an empty expression; use summary_default to decide about \
                 all other metrics"
                    .into(),
            ),
            (
                "summary_rule include ok /(/",
                "summary_rule: \"/(/\" is not a regular expression: unclosed group".into(),
            ),
            (
                "summary_rule include \"\"",
                "summary_rule: \"\" is empty; give a value, or remove the line".into(),
            ),
            (
                "summary_default on",
                format!("summary_default: \"on\" {neither}"),
            ),
            (
                "summary_default exclude load_one",
                "summary_default takes include or exclude; remove the extra \"load_one\"".into(),
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
                "WARN g.conf:3: summary_rule include disk_total has no effect: exclude /^disk_/ \
                 at g.conf:2 matches first"
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
                "WARN g.conf:2: summarized_metrics has no effect: summary_default include \
                 summarises every metric that nothing excludes"
            ]
        );
    }

    #[test]
    fn an_expression_without_its_slashes_is_told() {
        assert_eq!(
            notices("data_source a b\nunsummarized_metrics disk_.* cpu\nsummarized_metrics ^c"),
            [
                "WARN g.conf:2: unsummarized_metrics takes disk_.* literally; put a regular \
                 expression between slashes",
                "WARN g.conf:3: summarized_metrics takes ^c literally; put a regular expression \
                 between slashes",
            ]
        );
    }

    #[test]
    fn an_expression_that_is_none_is_refused_in_a_line() {
        assert_eq!(
            refusal("unsummarized_metrics ok /a(b/"),
            [
                "g.conf:1: unsummarized_metrics: \"/a(b/\" is not a regular expression: unclosed \
                 group"
            ]
        );
        let huge = refusal("summarized_metrics /(a{1000}){1000}/");
        assert!(
            huge[0].contains("is not a regular expression: "),
            "{huge:?}"
        );
    }
}
