//! The `alert` section: rules about metrics, and who is notified.
//!
//! Settings only: the daemon's alert plugin follows them.

use std::time::Duration;

use super::config::{AlertConfig, AlertRule};
use super::draft::Draft;
use super::error::{ConfigError, Problem};
use super::reader::is_remark;
use super::values::{self, Fault, not_empty};
use super::words::{Word, split, split_value_mended};
use gmetad_core::condition::{Condition, ConditionFault};
use gmetad_core::plugin::{Directive, Location};

impl Draft {
    pub(super) fn alert_section(&mut self, directives: &[Directive]) {
        let mut alert = AlertConfig::default();
        for directive in directives.iter().filter(|it| !is_remark(&it.name)) {
            let (words, mended) = split_value_mended(&directive.value);
            if let Some(mended) = mended {
                self.warn(&directive.line, mended);
            }
            match alert.line(directive, &words) {
                Ok(true) => {}
                Ok(false) => self.unknown_in_section("alert", directive),
                Err(problem) => {
                    // As in gmetad-python: a bad rule is no reason to monitor nothing.
                    if is(directive, "metricrule") {
                        self.warn_left_out(&directive.line, &problem);
                        let at = Some(directive.line.clone());
                        alert.left_out.push(ConfigError { at, problem });
                    } else {
                        self.error(&directive.line, problem);
                    }
                }
            }
        }
        if alert.to.is_empty() && alert.command.is_empty() && !alert.rules.is_empty() {
            let text = "section alert has no toaddress and no command; alerts are only logged";
            let rule = directives.iter().find(|it| is(it, "metricrule"));
            if let Some(rule) = rule {
                self.warn(&rule.line, text);
            }
        }
        self.config.alert = Some(alert);
    }

    /// Warns about a rule. The lines that point at the mistake stay behind the first.
    fn warn_left_out(&mut self, at: &Location, problem: &Problem) {
        let text = problem.to_string();
        let (first, pointer) = text.split_at(text.find('\n').unwrap_or(text.len()));
        self.warn(at, format!("{first}; this rule is left out{pointer}"));
    }
}

fn is(directive: &Directive, name: &str) -> bool {
    directive.name.eq_ignore_ascii_case(name)
}

impl AlertConfig {
    /// Follows one line; `false` for an unknown directive.
    fn line(&mut self, line: &Directive, words: &[Word]) -> Result<bool, Problem> {
        if is(line, "metricrule") {
            self.rules.push(rule(&line.value, words)?);
        } else if is(line, "sendmailpath") {
            self.sendmail = one("sendmailpath", "a program", words, values::path)?;
        } else if is(line, "toaddress") {
            self.to.extend(addresses(words)?);
        } else if is(line, "fromaddress") {
            self.from = Some(one("fromaddress", "an address", words, address)?);
        } else if is(line, "command") {
            self.command = command(words)?;
        } else if is(line, "run_limit") {
            self.run_limit = one("run_limit", "a number from 1 to 64", words, run_limit)?;
        } else if is(line, "run_timeout") {
            self.run_timeout = one("run_timeout", "seconds", words, run_timeout)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

const RULE: &str = "a metric, a \"condition\", a \"message\" and, optionally, for SECONDS";

fn rule(text: &str, words: &[Word]) -> Result<AlertRule, Problem> {
    let ends = |missing| Problem::RuleEnds {
        text: text.trim_end().to_owned(),
        missing,
        expected: RULE,
    };
    let (metric, condition) = match words {
        [] => return Err(ends("a metric")),
        [_] => return Err(ends("a \"condition\"")),
        [metric, condition, ..] => (metric, condition),
    };
    let condition_fault = |error| Problem::Condition {
        metric: metric.text.clone(),
        text: condition.text.clone(),
        error,
    };
    // Without quotes its end is unknown, and gmetad-python has no such rule either.
    if !condition.quoted {
        return Err(condition_fault(ConditionFault::Bare.at(0)));
    }
    let parsed = Condition::parse(&condition.text).map_err(condition_fault)?;
    let [message, rest @ ..] = &words[2..] else {
        return Err(ends("a \"message\""));
    };
    let hold = match rest {
        [it] if it.text == "for" => return Err(ends("a number of seconds")),
        rest => hold(rest)?,
    };
    Ok(AlertRule {
        metric: check("metricrule", &metric.text, not_empty)?,
        condition: parsed,
        message: check("metricrule", &message.text, not_empty)?,
        hold,
    })
}

/// `for SECONDS`, behind the message.
fn hold(words: &[Word]) -> Result<Duration, Problem> {
    match words {
        [] => Ok(Duration::ZERO),
        [it, seconds] if it.text == "for" => check("metricrule", &seconds.text, |text| {
            match values::number(text) {
                Ok(seconds @ 0..=values::INTERVAL_MAX_S) => Ok(Duration::from_secs(seconds)),
                _ => Err(Fault::Hold),
            }
        }),
        [it, seconds, extra, ..] if it.text == "for" && !seconds.text.is_empty() => {
            Err(too_much("metricrule", RULE, extra))
        }
        [extra, ..] => Err(too_much("metricrule", RULE, extra)),
    }
}

/// A line may have several, separated by spaces or commas.
fn addresses(words: &[Word]) -> Result<Vec<String>, Problem> {
    let texts = words.iter().flat_map(|word| word.text.split([',', ' ']));
    let texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
    if texts.is_empty() {
        return Err(Problem::NoValue {
            directive: "toaddress",
            expected: "addresses",
        });
    }
    let checked = texts.iter().map(|text| check("toaddress", text, address));
    checked.collect()
}

/// A program and its arguments, in one pair of quotes or without; no shell sees them.
fn command(words: &[Word]) -> Result<Vec<String>, Problem> {
    let words = match words {
        [whole] => split(&whole.text)?,
        words => words.to_vec(),
    };
    let Some(program) = words.first() else {
        return Err(Problem::NoValue {
            directive: "command",
            expected: "a program and its arguments",
        });
    };
    check("command", &program.text, values::path)?;
    Ok(words.into_iter().map(|word| word.text).collect())
}

fn one<T>(
    directive: &'static str,
    expected: &'static str,
    words: &[Word],
    value: impl Fn(&str) -> Result<T, Fault>,
) -> Result<T, Problem> {
    match words {
        [] => Err(Problem::NoValue {
            directive,
            expected,
        }),
        [word] => check(directive, &word.text, value),
        [_, extra, ..] => Err(too_much(directive, expected, extra)),
    }
}

fn check<T>(
    directive: &'static str,
    text: &str,
    value: impl Fn(&str) -> Result<T, Fault>,
) -> Result<T, Problem> {
    value(text).map_err(|fault| Problem::Value {
        directive,
        value: text.into(),
        fault,
    })
}

fn too_much(directive: &'static str, expected: &'static str, extra: &Word) -> Problem {
    Problem::TooMuch {
        directive,
        expected,
        extra: extra.text.clone(),
    }
}

/// An address that can stand in a header and as an argument unchanged.
fn address(text: &str) -> Result<String, Fault> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"<>()[]\\,;:\"".contains(&byte);
    let is_address = !text.is_empty() && !text.starts_with('-') && text.bytes().all(fits);
    if is_address {
        Ok(text.into())
    } else {
        Err(Fault::Address)
    }
}

fn run_limit(text: &str) -> Result<usize, Fault> {
    match values::number(text) {
        Ok(limit @ 1..=64) => Ok(limit as usize),
        _ => Err(Fault::RunLimit),
    }
}

fn run_timeout(text: &str) -> Result<Duration, Fault> {
    match values::number(text) {
        Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err(Fault::RunTimeout),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::testing::{config, notices, refusal};

    fn alert(lines: &str) -> AlertConfig {
        config(&format!("alert {{\n{lines}\n}}")).alert.unwrap()
    }

    fn refused(line: &str) -> String {
        let lines = refusal(&format!("alert {{\n{line}\n}}"));
        lines.join("\n").replace("g.conf:2: ", "")
    }

    /// What is said of a rule that is left out while the rest is in force.
    fn left_out(line: &str) -> String {
        let text =
            format!("data_source a b\nalert {{\ntoaddress c\n{line}\nmetricrule a \"$val\" m\n}}");
        let alert = config(&text).alert.unwrap();
        assert_eq!((alert.rules.len(), alert.left_out.len()), (1, 1), "{line}");
        let said = notices(&text).join("\n");
        said.replace("WARN g.conf:4: ", "")
            .replace("; this rule is left out", "")
    }

    #[test]
    fn without_a_section_there_are_no_alerts() {
        assert_eq!(config("").alert, None);
        assert_eq!(alert(""), AlertConfig::default());
    }

    #[test]
    fn every_directive_of_the_section_is_set() {
        let alert = alert(
            "sendmailpath /usr/lib/sendmail\ntoaddress \"a@example.com, b@example.com\"\n\
             toaddress root\nFromAddress gmetad@example.com\n\
             metricrule load_one \"$val > 5\" \"busy\"\n\
             metricrule os_name \"$val == 'HP-UX'\" \"old\" for 300\n\
             command \"/bin/tell --as 'the daemon'\"\nrun_limit 2\nrun_timeout 5",
        );
        assert_eq!(alert.sendmail, PathBuf::from("/usr/lib/sendmail"));
        assert_eq!(alert.to, ["a@example.com", "b@example.com", "root"]);
        assert_eq!(alert.from.as_deref(), Some("gmetad@example.com"));
        assert_eq!(alert.command, ["/bin/tell", "--as", "the daemon"]);
        assert_eq!(alert.run_limit, 2);
        assert_eq!(alert.run_timeout, Duration::from_secs(5));
        let rule = |metric: &str, condition, message: &str, seconds| AlertRule {
            metric: metric.into(),
            condition: Condition::parse(condition).unwrap(),
            message: message.into(),
            hold: Duration::from_secs(seconds),
        };
        assert_eq!(
            alert.rules,
            [
                rule("load_one", "$val > 5", "busy", 0),
                rule("os_name", "$val == 'HP-UX'", "old", 300),
            ]
        );
    }

    #[test]
    fn a_command_may_stand_without_quotes_around_it() {
        let command = alert("command /bin/tell \"two words\"").command;
        assert_eq!(command, ["/bin/tell", "two words"]);
    }

    #[test]
    fn a_condition_that_cannot_be_read_has_a_caret_under_it() {
        assert_eq!(
            left_out("metricrule load_one \"$val > 5 and\\\" < 3\" \"busy\""),
            "metricrule load_one: this string is not closed; add the other quote\n    \
             $val > 5 and\" < 3\n                ^"
        );
        assert_eq!(
            left_out("metricrule load_one \"größer\t> 3\" \"busy\""),
            "metricrule load_one: unknown word; the value is $val, strings are in quotes, and \
             gmetad.conf(5) lists the functions\n    größer > 3\n    ^"
        );
    }

    #[test]
    fn a_rule_that_is_not_understood_is_left_out_and_the_others_are_in_force() {
        const TAKES: &str = "it takes a metric, a \"condition\", a \"message\" and, optionally, \
                             for SECONDS";
        for (line, said) in [
            (
                "metricrule load_five \"$val > 5\"",
                &format!(
                    "metricrule is incomplete: a \"message\" is missing; {TAKES}\n    \
                     load_five \"$val > 5\"\n                        ^"
                ),
            ),
            (
                "metricrule load_five",
                &format!(
                    "metricrule is incomplete: a \"condition\" is missing; {TAKES}\n    \
                     load_five\n             ^"
                ),
            ),
            (
                "metricrule",
                &format!("metricrule is incomplete: a metric is missing; {TAKES}\n    \n    ^"),
            ),
            (
                "metricrule a \"$val > 5\" m for",
                &format!(
                    "metricrule is incomplete: a number of seconds is missing; {TAKES}\n    \
                     a \"$val > 5\" m for\n                      ^"
                ),
            ),
            (
                "metricrule bytes_in $val>5 \"bytes\"",
                &"metricrule bytes_in: the condition must be in quotes, as in \"$val > 5\"\n    \
                  $val>5\n    ^"
                    .to_owned(),
            ),
            (
                "metricrule a \"$val > 5\" m 300",
                &"metricrule takes a metric, a \"condition\", a \"message\" and, optionally, for \
                  SECONDS; remove the extra \"300\""
                    .to_owned(),
            ),
            (
                "metricrule a \"$val > 5\" m for 300 s",
                &"metricrule takes a metric, a \"condition\", a \"message\" and, optionally, for \
                  SECONDS; remove the extra \"s\""
                    .to_owned(),
            ),
            (
                "metricrule a \"$val > 5\" m for 5m",
                &"metricrule: \"5m\" is not a time; give seconds, as in for 300".to_owned(),
            ),
        ] {
            assert_eq!(left_out(line), *said);
        }
    }

    #[test]
    fn what_cannot_be_followed_is_told_with_what_would_be_right() {
        for (line, said) in [
            (
                "toaddress -oQ/tmp",
                "toaddress: \"-oQ/tmp\" is not a mail address; give it without a name or quotes, \
                 as in admin@example.com",
            ),
            (
                "fromaddress \"A <a@b>\"",
                "fromaddress: \"A <a@b>\" is not a mail address; give it without a name or \
                 quotes, as in admin@example.com",
            ),
            (
                "sendmailpath sendmail",
                "sendmailpath: \"sendmail\" is not an absolute path; start it with /",
            ),
            (
                "command \"tell me\"",
                "command: \"tell\" is not an absolute path; start it with /",
            ),
            (
                "run_limit 0",
                "run_limit: \"0\" is not a limit; give the number of programs that may run at \
                 once, from 1 to 64",
            ),
            (
                "run_timeout 1h",
                "run_timeout: \"1h\" is not a time; give seconds from 1 to 3600",
            ),
            ("toaddress", "toaddress has no value; it takes addresses"),
        ] {
            assert_eq!(refused(line), said);
        }
    }

    #[test]
    fn quotes_that_do_not_fit_are_made_to_fit_here_too() {
        let text = "data_source a b\nalert {\n toaddress \"\"a@b\"\n metricrule m \"$val\" \"up\n}";
        let alert = config(text).alert.unwrap();
        assert_eq!(
            (alert.to, alert.rules[0].message.as_str()),
            (vec!["a@b".to_owned()], "up")
        );
        assert_eq!(
            notices(text),
            [
                "WARN g.conf:3: a quote is doubled; it is read as one quote",
                "WARN g.conf:4: a quote is not closed; the value is read as \"up\"",
            ]
        );
    }

    #[test]
    fn alerts_that_nobody_gets_and_lines_that_nobody_reads_are_told() {
        let text = "data_source a b\nalert {\nmetricrule a \"$val > 5\" m\nto x\n}";
        assert_eq!(
            notices(text),
            [
                "WARN g.conf:4: unknown directive to in section alert is ignored",
                "WARN g.conf:3: section alert has no toaddress and no command; alerts are only \
                 logged",
            ]
        );
    }
}
