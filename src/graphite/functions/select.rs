//! Functions that choose among series, or order them.

use std::fmt::Write as _;

use gmetad_core::model::sorted;
use regex::Regex;

use super::{Arguments, Fault, Function, Kind, LINES, Parameter, Reach};
use crate::line::{Aggregation, Line};

const STAY: &str = "stay; they are not looked at, and series of gaps alone are below all others";

const COUNT: Parameter = Parameter::optional("n", Kind::Whole, "1");

macro_rules! extreme {
    ($name:literal, $end:ident, $how:ident, $does:literal) => {
        Function {
            names: &[$name],
            group: "Filter Series",
            does: $does,
            gaps: STAY,
            parameters: &[LINES, COUNT],
            reach: Reach::Same,
            run: |given| {
                let lines = ordered(given.lines(0), Aggregation::$how, End::$end);
                Ok(first(lines, given.count(1).unwrap_or(1)))
            },
        }
    };
}

macro_rules! sorted {
    ($name:literal, $end:ident, $how:ident, $does:literal) => {
        Function {
            names: &[$name],
            group: "Sorting",
            does: $does,
            gaps: STAY,
            parameters: &[LINES],
            reach: Reach::Same,
            run: |given| Ok(ordered(given.lines(0), Aggregation::$how, End::$end)),
        }
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    extreme!(
        "highestCurrent",
        Most,
        Last,
        "The n series whose newest value is greatest."
    ),
    extreme!(
        "highestAverage",
        Most,
        Average,
        "The n series whose mean is greatest."
    ),
    extreme!(
        "highestMax",
        Most,
        Max,
        "The n series whose greatest value is greatest."
    ),
    extreme!(
        "lowestCurrent",
        Least,
        Last,
        "The n series whose newest value is least."
    ),
    extreme!(
        "lowestAverage",
        Least,
        Average,
        "The n series whose mean is least."
    ),
    Function {
        names: &["highest"],
        group: "Filter Series",
        does: "The n series that are greatest by an aggregation.",
        gaps: STAY,
        parameters: &[
            LINES,
            COUNT,
            Parameter::optional("func", Kind::Aggregation, "average"),
        ],
        reach: Reach::Same,
        run: |given| by_aggregation(given, End::Most),
    },
    Function {
        names: &["lowest"],
        group: "Filter Series",
        does: "The n series that are least by an aggregation.",
        gaps: STAY,
        parameters: &[
            LINES,
            COUNT,
            Parameter::optional("func", Kind::Aggregation, "average"),
        ],
        reach: Reach::Same,
        run: |given| by_aggregation(given, End::Least),
    },
    Function {
        names: &["limit"],
        group: "Filter Series",
        does: "The first n series.",
        gaps: "stay",
        parameters: &[LINES, Parameter::new("n", Kind::Whole)],
        reach: Reach::Same,
        run: |given| Ok(first(given.lines(0), given.count(1).unwrap_or(0))),
    },
    Function {
        names: &["sortByName"],
        group: "Sorting",
        does: "Series in the order of their names; natural: numbers in them by their value.",
        gaps: "stay",
        parameters: &[
            LINES,
            Parameter::optional("natural", Kind::Bool, "false"),
            Parameter::optional("reverse", Kind::Bool, "false"),
        ],
        reach: Reach::Same,
        run: |given| Ok(sort_by_name(given)),
    },
    sorted!(
        "sortByMaxima",
        Most,
        Max,
        "Series in the order of their greatest values, falling."
    ),
    Function {
        names: &["sortByMinima"],
        group: "Sorting",
        does: "Series in the order of their least values, rising, without those that are never above 0.",
        gaps: "stay; they are not looked at",
        parameters: &[LINES],
        reach: Reach::Same,
        run: |given| {
            let mut lines = given.lines(0);
            lines.retain(|line| Aggregation::Max.of(line.values.iter().copied()) > 0.0);
            Ok(ordered(lines, Aggregation::Min, End::Least))
        },
    },
    sorted!(
        "sortByTotal",
        Most,
        Sum,
        "Series in the order of their sums, falling."
    ),
    Function {
        names: &["grep"],
        group: "Filter Series",
        does: "The series whose name matches an expression.",
        gaps: "stay",
        parameters: &[LINES, Parameter::new("pattern", Kind::Text)],
        reach: Reach::Same,
        run: |given| by_name(given, true),
    },
    Function {
        names: &["exclude"],
        group: "Filter Series",
        does: "The series whose name does not match an expression.",
        gaps: "stay",
        parameters: &[LINES, Parameter::new("pattern", Kind::Text)],
        reach: Reach::Same,
        run: |given| by_name(given, false),
    },
];

/// Which series come first.
#[derive(Clone, Copy)]
enum End {
    Most,
    Least,
}

/// Lines in the order of an aggregate of each; those that have none are below all others.
fn ordered(lines: Vec<Line>, how: Aggregation, end: End) -> Vec<Line> {
    let key = |line: &Line| {
        let value = how.of(line.values.iter().copied());
        let value = if value.is_nan() {
            f64::NEG_INFINITY
        } else {
            value
        };
        match end {
            End::Most => -value,
            End::Least => value,
        }
    };
    let keyed: Vec<(f64, Line)> = lines.into_iter().map(|line| (key(&line), line)).collect();
    let keyed = sorted(keyed, |(one, _), (other, _)| one.total_cmp(other));
    keyed.into_iter().map(|(_, line)| line).collect()
}

fn first(mut lines: Vec<Line>, count: usize) -> Vec<Line> {
    lines.truncate(count);
    lines
}

fn by_aggregation(given: &mut Arguments, end: End) -> Result<Vec<Line>, Fault> {
    let how = given.aggregation(2)?;
    let lines = ordered(given.lines(0), how, end);
    Ok(first(lines, given.count(1).unwrap_or(1)))
}

fn sort_by_name(given: &mut Arguments) -> Vec<Line> {
    let (lines, natural) = (given.lines(0), given.is_true(1));
    let key = |line: Line| {
        let key = if natural {
            natural_key(&line.name)
        } else {
            line.name.clone()
        };
        (key, line)
    };
    let keyed = sorted(
        lines.into_iter().map(key).collect(),
        |(one, _), (other, _)| one.cmp(other),
    );
    let mut lines: Vec<Line> = keyed.into_iter().map(|(_, line)| line).collect();
    if given.is_true(2) {
        lines.reverse();
    }
    lines
}

/// A name whose numbers have ten digits, so that they are in order as texts.
fn natural_key(name: &str) -> String {
    let mut key = String::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        key.push_str(&rest[..text]);
        rest = &rest[text..];
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        if digits > 0 {
            // Writing to a string does not fail.
            let _ = write!(key, "{:0>10}", &rest[..digits]);
        }
        rest = &rest[digits..];
    }
    key
}

/// An expression that the caller gave.
pub(super) fn expression(given: &Arguments, at: usize) -> Result<Regex, Fault> {
    let text = given.text(at).unwrap_or_default();
    let regex = regex::RegexBuilder::new(text).size_limit(1 << 20).build();
    regex.map_err(|err| {
        // The last line of its message has the reason; those before it show the place.
        let reason = err.to_string();
        let reason = reason.lines().last().unwrap_or_default();
        let reason = reason.trim_start_matches("error: ");
        let text = crate::pattern::shortened(text);
        given.fault(format!("\"{text}\" is no regular expression: {reason}"))
    })
}

fn by_name(given: &mut Arguments, wanted: bool) -> Result<Vec<Line>, Fault> {
    let regex = expression(given, 1)?;
    let mut lines = given.lines(0);
    lines.retain(|line| regex.is_match(&line.name) == wanted);
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_ordered_by_their_value() {
        assert!(natural_key("node9") < natural_key("node10"));
        assert_eq!(natural_key("a1.b"), "a0000000001.b");
    }
}
