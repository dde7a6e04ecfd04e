//! Targets → what is to be read → series.
//!
//! In two passes, since reading is another thread's: [`Plan`] finds every series that the targets name,
//! each over the time that the functions around it need; then the same targets are evaluated over what
//! was read.

use std::collections::HashMap;

use gmetad_core::history::{Consolidation, MAX_SERIES, MAX_VALUES, Question, Series, Wanted};
use gmetad_core::model::Snapshot;
use thiserror::Error;

use crate::expression::{Call, Expression, ExpressionFault};
use crate::functions::{Arguments, Fault, Function, Reach, Value, Window};
use crate::line::{Aggregation, Line};
use crate::pattern::{Pattern, PatternFault};
use crate::span::Span;
use crate::tree::{self, TooMany};

/// Values that functions may go through for one answer. 10 million take about 50 ms.
const MAX_WORK: usize = 10_000_000;

/// Rows of a window whose length in time is not known before the files are read: as many seconds each
/// as the default archives have for the time that is asked for.
const ROWS_OF_AN_ARCHIVE: u64 = 240;

/// Seconds of the finest row.
const FINEST_SECS: u64 = 15;

/// Why targets have no answer. Each is the client's to mend.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetFault {
    /// A target cannot be read.
    #[error(transparent)]
    Expression(#[from] ExpressionFault),
    /// A path cannot be read.
    #[error(transparent)]
    Pattern(#[from] PatternFault),
    /// A path takes too much.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// A function cannot do it.
    #[error(transparent)]
    Function(#[from] Fault),
    /// More series than are read at a time.
    #[error("the targets name more than {MAX_SERIES} series; at most so many are read at a time")]
    Series,
}

/// One path over one time.
#[derive(Debug)]
struct Fetch {
    /// The paths that it found.
    paths: Vec<String>,
    /// Index of its first series in the question; each has two there if there is a lead.
    first: usize,
}

/// All that targets need.
#[derive(Debug, Default)]
pub struct Plan {
    targets: Vec<Expression>,
    fetches: HashMap<(String, Span), Fetch>,
    question: Question,
}

impl Plan {
    /// Of targets, over a time.
    pub fn new(
        targets: &[String],
        span: Span,
        snapshot: &Snapshot,
        prefix: &str,
    ) -> Result<Plan, TargetFault> {
        let mut plan = Plan::default();
        for target in targets {
            let expression = Expression::parse(target)?;
            plan.add(&expression, span, &mut |pattern| {
                Ok(tree::find(snapshot, prefix, &Pattern::parse(pattern)?)?)
            })?;
            plan.targets.push(expression);
        }
        // Where the finest rows would be too many, coarser ones must do.
        let secs: u64 = plan.question.iter().map(|it| it.until - it.from).sum();
        let step = u32::try_from(secs / MAX_VALUES as u64).unwrap_or(u32::MAX);
        for wanted in &mut plan.question {
            wanted.step = step;
        }
        Ok(plan)
    }

    /// What is to be read.
    pub fn question(&mut self) -> Question {
        std::mem::take(&mut self.question)
    }

    fn add(
        &mut self,
        expression: &Expression,
        span: Span,
        find: &mut impl FnMut(&str) -> Result<Vec<tree::Found>, TargetFault>,
    ) -> Result<(), TargetFault> {
        match expression {
            Expression::Path(pattern) => self.fetch(pattern, span, find),
            Expression::Call(call) => {
                let span = reach(Function::named(&call.name)?, call, span)?;
                let named = call.named.iter().map(|(_, value)| value);
                for argument in call.arguments.iter().chain(named) {
                    self.add(argument, span, find)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn fetch(
        &mut self,
        pattern: &str,
        span: Span,
        find: &mut impl FnMut(&str) -> Result<Vec<tree::Found>, TargetFault>,
    ) -> Result<(), TargetFault> {
        let key = (pattern.to_owned(), span);
        if self.fetches.contains_key(&key) {
            return Ok(());
        }
        let mut fetch = Fetch {
            paths: Vec::new(),
            first: self.question.len(),
        };
        for found in find(pattern)? {
            let Some(series) = found.series else {
                continue;
            };
            fetch.paths.push(found.path);
            let wanted = |from, until| Wanted {
                series: series.clone(),
                from,
                until,
                step: 0,
                consolidation: Consolidation::Average,
                most_rows: 0,
            };
            if span.lead > 0 {
                self.question.push(wanted(span.first(), span.from.max(1)));
            }
            self.question.push(wanted(span.from, span.until));
            if self.question.len() > MAX_SERIES {
                return Err(TargetFault::Series);
            }
        }
        self.fetches.insert(key, fetch);
        Ok(())
    }

    /// Evaluates the targets over what was read.
    pub fn evaluate(self, answer: &[Option<Series>], span: Span) -> Result<Vec<Line>, TargetFault> {
        let mut work = Work {
            fetches: &self.fetches,
            answer,
            left: MAX_WORK,
        };
        let mut all = Vec::new();
        for target in &self.targets {
            if let Value::Lines(lines) = work.value(target, span)? {
                all.extend(lines);
            }
        }
        Ok(all)
    }
}

/// The time that a call needs of its series.
fn reach(function: &'static Function, call: &Call, span: Span) -> Result<Span, Fault> {
    let (Reach::Shifted(at) | Reach::Before(at)) = function.reach else {
        return Ok(span);
    };
    // Bound without its series: only the length counts here, wherever it was written.
    let plain = |expression: &Expression| match expression {
        Expression::Path(_) | Expression::Call(_) => Value::Lines(Vec::new()),
        Expression::Number(number) => Value::Number(*number),
        Expression::Text(text) => Value::Text(text.clone()),
        Expression::Bool(is_true) => Value::Bool(*is_true),
        Expression::Nothing => Value::Nothing,
    };
    let given = call.arguments.iter().map(plain).collect();
    let named = call
        .named
        .iter()
        .map(|(name, value)| (name.clone(), plain(value)));
    let given = Arguments::bind(function, span, given, named.collect())?;
    if matches!(function.reach, Reach::Shifted(_)) {
        return Ok(span.earlier(given.length(at)?));
    }
    let secs = match given.window(at)? {
        Window::Secs(secs) => secs,
        Window::Rows(rows) => {
            rows.saturating_mul((span.secs() / ROWS_OF_AN_ARCHIVE).max(FINEST_SECS))
        }
    };
    Ok(Span {
        lead: span.lead.saturating_add(secs),
        ..span
    })
}

/// Evaluates, and counts what it costs.
struct Work<'a> {
    fetches: &'a HashMap<(String, Span), Fetch>,
    answer: &'a [Option<Series>],
    left: usize,
}

impl Work<'_> {
    fn value(&mut self, expression: &Expression, span: Span) -> Result<Value, Fault> {
        Ok(match expression {
            Expression::Path(pattern) => Value::Lines(self.lines(pattern, span)?),
            Expression::Call(call) => Value::Lines(self.call(call, span)?),
            Expression::Number(number) => Value::Number(*number),
            Expression::Text(text) => Value::Text(text.clone()),
            Expression::Bool(is_true) => Value::Bool(*is_true),
            Expression::Nothing => Value::Nothing,
        })
    }

    fn call(&mut self, call: &Call, span: Span) -> Result<Vec<Line>, Fault> {
        let function = Function::named(&call.name)?;
        let within = reach(function, call, span)?;
        let given: Result<Vec<Value>, Fault> = call
            .arguments
            .iter()
            .map(|it| self.value(it, within))
            .collect();
        let named = call.named.iter();
        let named: Result<Vec<(String, Value)>, Fault> = named
            .map(|(name, it)| Ok((name.clone(), self.value(it, within)?)))
            .collect();
        let (given, named) = (given?, named?);
        for value in given.iter().chain(named.iter().map(|(_, value)| value)) {
            if let Value::Lines(lines) = value {
                self.spend(lines)?;
            }
        }
        (function.run)(&mut Arguments::bind(function, span, given, named)?)
    }

    fn spend(&mut self, lines: &[Line]) -> Result<(), Fault> {
        // A line costs something even without values.
        let work: usize = lines.iter().map(|line| line.values.len() + 32).sum();
        self.left = self.left.checked_sub(work).ok_or(Fault::Work)?;
        Ok(())
    }

    /// The lines of a path; those that have no file are left out.
    fn lines(&mut self, pattern: &str, span: Span) -> Result<Vec<Line>, Fault> {
        let Some(fetch) = self.fetches.get(&(pattern.to_owned(), span)) else {
            return Ok(Vec::new());
        };
        let each = if span.lead > 0 { 2 } else { 1 };
        let read = self.answer.get(fetch.first..).unwrap_or_default();
        let mut lines = Vec::with_capacity(fetch.paths.len());
        for (path, read) in fetch.paths.iter().zip(read.chunks(each)) {
            let Some(Some(series)) = read.last() else {
                continue;
            };
            let mut line = Line::new(path.clone(), pattern, series.clone());
            // rrdtool reads a row more, which begins at the end.
            line.cut_from(span.until);
            if let [Some(lead), _] = read {
                put_before(&mut line, lead);
            }
            lines.push(line);
        }
        self.spend(&lines)?;
        Ok(lines)
    }
}

/// Puts what was before a line in front of it, in rows of the line's step.
fn put_before(line: &mut Line, lead: &Series) {
    let (step, lead_step) = (u64::from(line.step), u64::from(lead.step.max(1)));
    let rows = line.start.saturating_sub(lead.start) / step;
    if rows as usize > MAX_VALUES {
        return;
    }
    let start = line.start - rows * step;
    let before = (0..rows).map(|row| {
        let from = start + row * step;
        // The row of the lead that has this time, or all that begin in it.
        let first = (from - lead.start) / lead_step;
        let last = (from + step - lead.start)
            .div_ceil(lead_step)
            .max(first + 1);
        let within = |at: u64| {
            usize::try_from(at)
                .unwrap_or(usize::MAX)
                .min(lead.values.len())
        };
        let values = &lead.values[within(first)..within(last)];
        Aggregation::Average.of(values.iter().copied())
    });
    let before: Vec<f64> = before.collect();
    line.values.splice(0..0, before);
    line.start = start;
}

#[cfg(test)]
#[path = "evaluate/tests.rs"]
mod tests;
