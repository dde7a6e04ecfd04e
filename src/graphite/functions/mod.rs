//! The functions: what each is called, what it takes, what it does to gaps, and its code.
//!
//! Adding one is a line in the table of its module. `/functions` and docs/GRAFANA.md are made of the
//! same tables.

mod arguments;
mod calculate;
mod combine;
mod names;
mod select;
mod special;
mod window;

use thiserror::Error;

pub use arguments::{Arguments, Value, Window};

use crate::line::Line;

/// A function.
#[derive(Debug)]
pub struct Function {
    /// Its names; the first is the usual one.
    pub names: &'static [&'static str],
    /// Where clients list it.
    pub group: &'static str,
    /// What it does.
    pub does: &'static str,
    /// What becomes of gaps.
    pub gaps: &'static str,
    /// What it takes.
    pub parameters: &'static [Parameter],
    /// The time that it needs of its series.
    pub reach: Reach,
    /// Its code.
    pub run: Run,
}

/// The code of a function.
pub type Run = fn(&mut Arguments) -> Result<Vec<Line>, Fault>;

/// A parameter of a function.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What may be given.
    pub kind: Kind,
    /// Whether it may be left out, or repeated.
    pub times: Times,
    /// What is taken if it is left out, as text.
    pub default: Option<&'static str>,
}

/// What may be given for a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Series.
    Lines,
    /// A number.
    Number,
    /// A whole number.
    Whole,
    /// A text.
    Text,
    /// True or false.
    Bool,
    /// A length of time.
    Length,
    /// A length of time, or a number of rows.
    Window,
    /// The number of a node of a path.
    Node,
    /// The name of an aggregation.
    Aggregation,
    /// Series, or a number.
    LinesOrNumber,
}

/// How often a parameter may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Once.
    Once,
    /// Once or not at all.
    Optional,
    /// Once or more; the last parameter only.
    Many,
    /// Any number of times, or not at all; the last parameter only.
    Any,
}

/// The time that a function needs of its series, beside that which is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The same.
    Same,
    /// The same, earlier by the length of this parameter.
    Shifted(usize),
    /// As long before it as the window of this parameter.
    Before(usize),
}

/// Why a function gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// There is none of that name.
    #[error("there is no function {0}; /functions lists those that there are")]
    Unknown(String),
    /// A parameter is not given.
    #[error("{function}: {parameter} is missing")]
    Missing {
        /// The function.
        function: &'static str,
        /// Its parameter.
        parameter: &'static str,
    },
    /// It takes no such argument, or not so many.
    #[error("{function}: {what}; it takes {takes}")]
    TooMany {
        /// The function.
        function: &'static str,
        /// What is too much.
        what: String,
        /// Its parameters.
        takes: String,
    },
    /// An argument is not what the parameter takes.
    #[error("{function}: {parameter} is to be {wanted}")]
    Kind {
        /// The function.
        function: &'static str,
        /// Its parameter.
        parameter: &'static str,
        /// What it takes.
        wanted: &'static str,
    },
    /// An argument has a value that it cannot have.
    #[error("{function}: {what}")]
    Value {
        /// The function.
        function: &'static str,
        /// What is wrong.
        what: String,
    },
    /// More work than one answer may cost.
    #[error("the targets are too much work: take a shorter time, fewer series or functions")]
    Work,
}

impl Kind {
    /// What an argument of this kind is, for messages.
    fn words(self) -> &'static str {
        match self {
            Kind::Lines => "series",
            Kind::Number => "a number",
            Kind::Whole => "a whole number",
            Kind::Text => "a text",
            Kind::Bool => "true or false",
            Kind::Length => "a length of time, as \"5min\"",
            Kind::Window => "a number of rows or a length of time, as \"5min\"",
            Kind::Node => "the number of a node of the path, counted from 0",
            Kind::Aggregation => "an aggregation, as \"average\"",
            Kind::LinesOrNumber => "series or a number",
        }
    }

    fn graphite(self) -> &'static str {
        match self {
            Kind::Lines => "seriesList",
            Kind::Number => "float",
            Kind::Whole => "integer",
            Kind::Text => "string",
            Kind::Bool => "boolean",
            Kind::Length => "interval",
            Kind::Window => "intOrInterval",
            Kind::Node => "nodeOrTag",
            Kind::Aggregation => "aggFunc",
            Kind::LinesOrNumber => "any",
        }
    }
}

impl Parameter {
    /// What Graphite calls its kind in `/functions`.
    pub fn graphite_type(&self) -> &'static str {
        match (self.kind, self.times) {
            (Kind::Lines, Times::Many | Times::Any) => "seriesLists",
            (kind, _) => kind.graphite(),
        }
    }

    const fn new(name: &'static str, kind: Kind) -> Parameter {
        Parameter {
            name,
            kind,
            times: Times::Once,
            default: None,
        }
    }

    const fn optional(name: &'static str, kind: Kind, default: &'static str) -> Parameter {
        Parameter {
            name,
            kind,
            times: Times::Optional,
            default: Some(default),
        }
    }

    const fn maybe(name: &'static str, kind: Kind) -> Parameter {
        Parameter {
            name,
            kind,
            times: Times::Optional,
            default: None,
        }
    }

    const fn many(name: &'static str, kind: Kind) -> Parameter {
        Parameter {
            name,
            kind,
            times: Times::Many,
            default: None,
        }
    }

    const fn any(name: &'static str, kind: Kind) -> Parameter {
        Parameter {
            name,
            kind,
            times: Times::Any,
            default: None,
        }
    }
}

/// The series that most functions take first.
const LINES: Parameter = Parameter::new("seriesList", Kind::Lines);

/// Series of any number of arguments.
const MANY_LINES: Parameter = Parameter::many("seriesLists", Kind::Lines);

impl Function {
    /// The function of that name.
    pub fn named(name: &str) -> Result<&'static Function, Fault> {
        all()
            .find(|function| function.names.contains(&name))
            .ok_or_else(|| Fault::Unknown(crate::pattern::shortened(name)))
    }

    /// Its usual name.
    pub fn name(&self) -> &'static str {
        self.names[0]
    }
}

/// All functions.
pub fn all() -> impl Iterator<Item = &'static Function> {
    let modules = [
        combine::FUNCTIONS,
        calculate::FUNCTIONS,
        window::FUNCTIONS,
        select::FUNCTIONS,
        names::FUNCTIONS,
        special::FUNCTIONS,
    ];
    modules.into_iter().flatten()
}

/// A number in the manner of `%g`: six digits, no zeros at the end.
fn general(number: f64) -> String {
    if number == 0.0 {
        return "0".into();
    }
    let scientific = format!("{number:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| {
        let point = text.contains('.');
        let zeros: &[char] = if point { &['0'] } else { &[] };
        text.trim_end_matches(zeros)
            .trim_end_matches('.')
            .to_owned()
    };
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or(0);
        trimmed(&format!("{number:.decimals$}"))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_are_written_as_c_does() {
        let cases = [
            (2.0, "2"),
            (0.5, "0.5"),
            (-2.5, "-2.5"),
            (1_000_000.0, "1e+06"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.23457e+06"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (0.0, "0"),
        ];
        for (number, text) in cases {
            assert_eq!(general(number), text);
        }
    }

    #[test]
    fn every_function_is_told_of_and_has_a_name_of_its_own() {
        let mut names = BTreeSet::new();
        for function in all() {
            assert!(!function.does.is_empty() && !function.gaps.is_empty());
            for name in function.names {
                assert!(names.insert(name), "{name} twice");
            }
            let ends = function.parameters.iter().rev().skip(1);
            assert!(
                ends.clone()
                    .all(|it| !matches!(it.times, Times::Many | Times::Any)),
                "{}: only the last may be repeated",
                function.name()
            );
        }
        for name in [
            "sum",
            "avg",
            "divideSeries",
            "asPercent",
            "groupByNodes",
            "perSecond",
            "timeShift",
            "movingAverage",
            "highestCurrent",
            "lowestAverage",
            "aliasSub",
            "threshold",
        ] {
            assert!(names.contains(&name), "{name}");
        }
    }
}
