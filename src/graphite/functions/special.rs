//! Series that are made of nothing.

use super::{Arguments, Function, Kind, Parameter, Reach};
use crate::line::{Aggregation, Line};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        names: &["constantLine"],
        group: "Special",
        does: "A line at a number.",
        gaps: "has none",
        parameters: &[Parameter::new("value", Kind::Number)],
        reach: Reach::Same,
        run: |given| {
            let name = format!("{:?}", given.number(0).unwrap_or(0.0));
            Ok(vec![constant(given, name)])
        },
    },
    Function {
        names: &["threshold"],
        group: "Special",
        does: "A line at a number, with a name.",
        gaps: "has none",
        parameters: &[
            Parameter::new("value", Kind::Number),
            Parameter::maybe("label", Kind::Text),
            Parameter::maybe("color", Kind::Text),
        ],
        reach: Reach::Same,
        run: |given| {
            let value = format!("{:?}", given.number(0).unwrap_or(0.0));
            let name = given.text(1).map_or(value, str::to_owned);
            Ok(vec![constant(given, name)])
        },
    },
];

/// A line of three values, at the start, in the middle and at the end.
fn constant(given: &Arguments, name: String) -> Line {
    let (from, until) = (given.span.from, given.span.until);
    let step = u32::try_from((until - from) / 2).unwrap_or(u32::MAX);
    Line {
        source: format!("constantLine({:?})", given.number(0).unwrap_or(0.0)),
        origin: name.clone(),
        name,
        start: from,
        step: step.max(1),
        values: vec![given.number(0).unwrap_or(0.0); 3],
        merge: Aggregation::default(),
    }
}
