//! Functions over several rows: merged, moved, smoothed.

use gmetad_core::history::MAX_VALUES;

use super::arguments::Window;
use super::{Arguments, Fault, Function, Kind, LINES, Parameter, Reach};
use crate::line::Line;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        names: &["summarize"],
        group: "Transform",
        does: "Rows merged into longer ones, which begin at multiples of their length, or at the \
               start if alignToFrom is true.",
        gaps: "are left out of each row; a row of gaps alone is a gap",
        parameters: &[
            LINES,
            Parameter::new("intervalString", Kind::Length),
            Parameter::optional("func", Kind::Aggregation, "sum"),
            Parameter::optional("alignToFrom", Kind::Bool, "false"),
        ],
        reach: Reach::Same,
        run: summarize,
    },
    Function {
        names: &["movingAverage"],
        group: "Calculate",
        does: "The mean of the rows before each, as many as the window has.",
        gaps: "are left out of each window; a window of gaps alone is a gap",
        parameters: &[LINES, Parameter::new("windowSize", Kind::Window)],
        reach: Reach::Before(1),
        run: moving_average,
    },
    Function {
        names: &["timeShift"],
        group: "Transform",
        does: "What was that long before, laid over the time that is asked for.",
        gaps: "stay",
        parameters: &[
            LINES,
            Parameter::new("timeShift", Kind::Length),
            Parameter::optional("resetEnd", Kind::Bool, "true"),
        ],
        reach: Reach::Shifted(1),
        run: |given| {
            let secs = given.length(1)?;
            let text = given.text(1).unwrap_or_default();
            let sign = if text.starts_with(['-', '+']) {
                ""
            } else {
                "-"
            };
            let suffix = format!(", \"{sign}{text}\"");
            let mut lines = given.lines(0);
            for line in &mut lines {
                line.name = format!("timeShift({}{suffix})", line.name);
                line.start += secs;
            }
            Ok(lines)
        },
    },
    Function {
        names: &["consolidateBy"],
        group: "Special",
        does: "How rows are merged where there are more of them than the client can show.",
        gaps: "stay",
        parameters: &[
            LINES,
            Parameter::new("consolidationFunc", Kind::Aggregation),
        ],
        reach: Reach::Same,
        run: |given| {
            let how = given.aggregation(1)?;
            let name = given.text(1).unwrap_or_default().to_owned();
            let mut lines = given.lines(0);
            for line in &mut lines {
                line.renamed(format!("consolidateBy({},\"{name}\")", line.name));
                line.merge = how;
            }
            Ok(lines)
        },
    },
];

fn summarize(given: &mut Arguments) -> Result<Vec<Line>, Fault> {
    let (length, how) = (given.length(1)?, given.aggregation(2)?);
    let at_start = given.is_true(3);
    let interval = given.text(1).unwrap_or_default().to_owned();
    let func = given.text(2).unwrap_or("sum").to_owned();
    let from_start = if at_start { ", true" } else { "" };
    let mut lines = given.lines(0);
    let mut rows_of_all = 0;
    for line in &mut lines {
        let start = if at_start {
            line.start
        } else {
            line.start - line.start % length
        };
        // As in graphite-web there is a row for the end itself.
        let rows = line.end().saturating_sub(start) / length + 1;
        rows_of_all += rows;
        if rows_of_all > MAX_VALUES as u64 {
            return Err(Fault::Work);
        }
        let step = u64::from(line.step);
        let mut values = Vec::with_capacity(rows as usize);
        let mut next = 0;
        for row in 0..rows {
            let end = start + (row + 1) * length;
            let first = next;
            while next < line.values.len() && line.start + next as u64 * step < end {
                next += 1;
            }
            values.push(how.of(line.values[first..next].iter().copied()));
        }
        line.renamed(format!(
            "summarize({}, \"{interval}\", \"{func}\"{from_start})",
            line.name
        ));
        line.start = start;
        line.step = u32::try_from(length).unwrap_or(u32::MAX);
        line.values = values;
    }
    Ok(lines)
}

fn moving_average(given: &mut Arguments) -> Result<Vec<Line>, Fault> {
    let window = given.window(1)?;
    let shown = match given.text(1) {
        Some(text) => format!("\"{text}\""),
        None => given.count(1).unwrap_or(0).to_string(),
    };
    let from = given.span.first();
    let mut lines = given.lines(0);
    for line in &mut lines {
        let rows = match window {
            Window::Rows(rows) => rows,
            Window::Secs(secs) => (secs / u64::from(line.step)).max(1),
        };
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        line.values = means_before(&line.values, rows);
        line.renamed(format!("movingAverage({},{shown})", line.name));
        line.cut_before(from);
    }
    Ok(lines)
}

/// For each row, the mean of those rows before it, without it.
fn means_before(values: &[f64], rows: usize) -> Vec<f64> {
    let mut means = Vec::with_capacity(values.len());
    let (mut sum, mut known) = (0.0, 0_usize);
    for at in 0..values.len() {
        means.push(if known > 0 {
            sum / known as f64
        } else {
            f64::NAN
        });
        let gone = at.checked_sub(rows).map(|at| values[at]);
        let added = values[at];
        if !added.is_nan() {
            sum += added;
            known += 1;
        }
        if let Some(gone) = gone.filter(|value| !value.is_nan()) {
            sum -= gone;
            known -= 1;
        }
        // What rounding leaves of values that are gone.
        if known == 0 {
            sum = 0.0;
        }
    }
    means
}
