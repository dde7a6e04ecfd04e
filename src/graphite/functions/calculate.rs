//! Functions that change each value, or go from one to the next.

use super::{Arguments, Function, Kind, LINES, Parameter, Reach, general};
use crate::line::Line;

const STAY: &str = "stay";

/// What a counter may do, for functions that take differences of it.
const MAX_VALUE: Parameter = Parameter::maybe("maxValue", Kind::Number);
const MIN_VALUE: Parameter = Parameter::maybe("minValue", Kind::Number);

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        names: &["scale"],
        group: "Transform",
        does: "Each value times a factor.",
        gaps: STAY,
        parameters: &[LINES, Parameter::new("factor", Kind::Number)],
        reach: Reach::Same,
        run: |given| {
            let factor = given.number(1).unwrap_or(1.0);
            let suffix = format!(",{}", general(factor));
            Ok(mapped(given, "scale", &suffix, |value| value * factor))
        },
    },
    Function {
        names: &["offset"],
        group: "Transform",
        does: "Each value plus a number.",
        gaps: STAY,
        parameters: &[LINES, Parameter::new("factor", Kind::Number)],
        reach: Reach::Same,
        run: |given| {
            let plus = given.number(1).unwrap_or(0.0);
            let suffix = format!(",{}", general(plus));
            Ok(mapped(given, "offset", &suffix, |value| value + plus))
        },
    },
    Function {
        names: &["absolute"],
        group: "Transform",
        does: "Each value without its sign.",
        gaps: STAY,
        parameters: &[LINES],
        reach: Reach::Same,
        run: |given| Ok(mapped(given, "absolute", "", f64::abs)),
    },
    Function {
        names: &["invert"],
        group: "Transform",
        does: "One divided by each value.",
        gaps: "stay; 0 becomes a gap",
        parameters: &[LINES],
        reach: Reach::Same,
        run: |given| Ok(mapped(given, "invert", "", f64::recip)),
    },
    Function {
        names: &["perSecond"],
        group: "Transform",
        does: "How much a counter grew in a second. Where it fell, it wrapped around at maxValue, or \
               began anew at minValue; without either the row is a gap.",
        gaps: "give a gap in their row and in the next",
        parameters: &[LINES, MAX_VALUE, MIN_VALUE],
        reach: Reach::Same,
        run: |given| {
            let bounds = (given.number(1), given.number(2));
            Ok(stepped(given, "perSecond", |line| {
                let step = f64::from(line.step);
                differences(line, |value, before| {
                    grown(value, before, bounds).map_or(f64::NAN, |grown| grown / step)
                });
            }))
        },
    },
    Function {
        names: &["derivative"],
        group: "Transform",
        does: "Each value less the one before it.",
        gaps: "give a gap in their row and in the next",
        parameters: &[LINES],
        reach: Reach::Same,
        run: |given| {
            Ok(stepped(given, "derivative", |line| {
                differences(line, |value, before| value - before);
            }))
        },
    },
    Function {
        names: &["nonNegativeDerivative"],
        group: "Transform",
        does: "How much a counter grew in a row. Where it fell, it wrapped around at maxValue, or \
               began anew at minValue; without either the row is a gap.",
        gaps: "give a gap in their row and in the next",
        parameters: &[LINES, MAX_VALUE, MIN_VALUE],
        reach: Reach::Same,
        run: |given| {
            let bounds = (given.number(1), given.number(2));
            Ok(stepped(given, "nonNegativeDerivative", |line| {
                differences(line, |value, before| {
                    grown(value, before, bounds).unwrap_or(f64::NAN)
                });
            }))
        },
    },
    Function {
        names: &["integral"],
        group: "Transform",
        does: "The sum of all values from the first to each.",
        gaps: "stay, and add nothing",
        parameters: &[LINES],
        reach: Reach::Same,
        run: |given| {
            Ok(stepped(given, "integral", |line| {
                let mut sum = 0.0;
                for value in line.values.iter_mut().filter(|value| !value.is_nan()) {
                    sum += *value;
                    *value = sum;
                }
            }))
        },
    },
    Function {
        names: &["keepLastValue"],
        group: "Transform",
        does: "Gaps filled with the value before them.",
        gaps: "are filled, if no more of them than limit follow each other; those in front stay",
        parameters: &[LINES, Parameter::maybe("limit", Kind::Whole)],
        reach: Reach::Same,
        run: |given| {
            let limit = given.count(1).unwrap_or(usize::MAX);
            Ok(stepped(given, "keepLastValue", |line| {
                keep_last(&mut line.values, limit);
            }))
        },
    },
    Function {
        names: &["transformNull"],
        group: "Transform",
        does: "Gaps filled with a number.",
        gaps: "become the number; with a referenceSeries, only in rows where it has a value",
        parameters: &[
            LINES,
            Parameter::optional("default", Kind::Number, "0"),
            Parameter::maybe("referenceSeries", Kind::Lines),
        ],
        reach: Reach::Same,
        run: |given| Ok(transform_null(given)),
    },
    Function {
        names: &["removeAboveValue"],
        group: "Filter Data",
        does: "Values above a number taken out.",
        gaps: "stay; values that are taken out become gaps",
        parameters: &[LINES, Parameter::new("n", Kind::Number)],
        reach: Reach::Same,
        run: |given| {
            let most = given.number(1).unwrap_or(f64::MAX);
            let suffix = format!(", {}", general(most));
            Ok(mapped(given, "removeAboveValue", &suffix, |value| {
                if value > most { f64::NAN } else { value }
            }))
        },
    },
    Function {
        names: &["removeBelowValue"],
        group: "Filter Data",
        does: "Values below a number taken out.",
        gaps: "stay; values that are taken out become gaps",
        parameters: &[LINES, Parameter::new("n", Kind::Number)],
        reach: Reach::Same,
        run: |given| {
            let least = given.number(1).unwrap_or(f64::MIN);
            let suffix = format!(", {}", general(least));
            Ok(mapped(given, "removeBelowValue", &suffix, |value| {
                if value < least { f64::NAN } else { value }
            }))
        },
    },
];

/// Changes each value, and names the lines after the call.
fn mapped(
    given: &mut Arguments,
    name: &str,
    suffix: &str,
    change: impl Fn(f64) -> f64,
) -> Vec<Line> {
    let mut lines = given.lines(0);
    for line in &mut lines {
        line.renamed(format!("{name}({}{suffix})", line.name));
        line.map(&change);
    }
    lines
}

/// Changes each line, and names it after the call.
fn stepped(given: &mut Arguments, name: &str, change: impl Fn(&mut Line)) -> Vec<Line> {
    let mut lines = given.lines(0);
    for line in &mut lines {
        line.renamed(format!("{name}({})", line.name));
        change(line);
    }
    lines
}

/// Puts in the place of each value what is made of it and the one before; the first has none.
fn differences(line: &mut Line, of: impl Fn(f64, f64) -> f64) {
    let mut before = f64::NAN;
    for value in &mut line.values {
        let made = of(*value, before);
        before = *value;
        *value = if made.is_finite() { made } else { f64::NAN };
    }
}

/// How much a counter grew; gaps stay gaps.
fn grown(value: f64, before: f64, (most, least): (Option<f64>, Option<f64>)) -> Option<f64> {
    if most.is_some_and(|most| value > most) || least.is_some_and(|least| value < least) {
        return None;
    }
    if value >= before {
        return Some(value - before);
    }
    if before.is_nan() || value.is_nan() {
        return None;
    }
    match (most, least) {
        (Some(most), least) => Some(most - before + value + 1.0 - least.unwrap_or(0.0)),
        (None, Some(least)) => Some(value - least),
        (None, None) => None,
    }
}

fn keep_last(values: &mut [f64], limit: usize) {
    let mut at = 0;
    while at < values.len() {
        let gaps = values[at..]
            .iter()
            .take_while(|value| value.is_nan())
            .count();
        if gaps > 0 && gaps <= limit && at > 0 {
            let last = values[at - 1];
            values[at..at + gaps].fill(last);
        }
        at += gaps + 1;
    }
}

fn transform_null(given: &mut Arguments) -> Vec<Line> {
    let default = given.number(1).unwrap_or(0.0);
    let has_reference = given.has(2);
    let reference = given.lines(2);
    let mut lines = given.lines(0);
    for line in &mut lines {
        let what = if has_reference {
            ",referenceSeries"
        } else {
            ""
        };
        line.renamed(format!(
            "transformNull({},{}{what})",
            line.name,
            general(default)
        ));
        for (row, value) in line.values.iter_mut().enumerate() {
            let is_there = |it: &Line| it.values.get(row).is_some_and(|value| !value.is_nan());
            if value.is_nan() && (!has_reference || reference.iter().any(is_there)) {
                *value = default;
            }
        }
    }
    lines
}
