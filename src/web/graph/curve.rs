//! A curve of a graph: how its values come from the series that were read.

use gmetad_core::history::Series;

use super::plan::History;
use super::sample::Grid;

/// How a curve's values are made. Numbers are places in the answer.
#[derive(Clone, Debug)]
pub enum Formula {
    /// A series as it is.
    Plain(usize),
    /// The first divided by the second: a mean of a sum and the number of its hosts.
    Ratio(usize, usize),
    /// The first without the others: what is used of a total.
    Rest(usize, Vec<usize>),
    /// The sum of those that are known.
    Sum(Vec<usize>),
    /// The mean of those that are known.
    Mean(Vec<usize>),
}

impl Formula {
    pub fn inputs(&self) -> Vec<usize> {
        match self {
            Formula::Plain(at) => vec![*at],
            Formula::Ratio(sum, num) => vec![*sum, *num],
            Formula::Rest(total, parts) => {
                let mut all = parts.clone();
                all.push(*total);
                all
            }
            Formula::Sum(all) | Formula::Mean(all) => all.clone(),
        }
    }

    /// The values on the grid. `past` takes the time that is laid under.
    pub fn values(&self, history: &History, grid: &Grid, past: bool) -> Vec<f64> {
        let read = |at: usize| -> Option<(&Series, u64)> {
            if past {
                history.past(at)
            } else {
                history.series(at).map(|series| (series, 0))
            }
        };
        let one = |at: usize| match read(at) {
            Some((series, back)) => grid.sample(series, back),
            None => vec![f64::NAN; grid.columns],
        };
        match self {
            Formula::Plain(at) => one(*at),
            Formula::Ratio(sum, num) => {
                let mut values = one(*sum);
                for (value, num) in values.iter_mut().zip(one(*num)) {
                    *value = if num > 0.0 { *value / num } else { f64::NAN };
                }
                values
            }
            Formula::Rest(total, parts) => {
                let mut values = one(*total);
                for part in parts {
                    for (value, part) in values.iter_mut().zip(one(*part)) {
                        // A part that this system does not have is nothing.
                        *value -= if part.is_nan() { 0.0 } else { part };
                    }
                }
                for value in values.iter_mut().filter(|value| **value < 0.0) {
                    *value = 0.0;
                }
                values
            }
            Formula::Sum(all) | Formula::Mean(all) => {
                let mut sums = vec![0.0; grid.columns];
                let mut counts = vec![0_u32; grid.columns];
                for at in all {
                    for (column, value) in one(*at).into_iter().enumerate() {
                        if !value.is_nan() {
                            sums[column] += value;
                            counts[column] += 1;
                        }
                    }
                }
                let is_mean = matches!(self, Formula::Mean(_));
                for (sum, count) in sums.iter_mut().zip(counts) {
                    *sum = match count {
                        0 => f64::NAN,
                        count if is_mean => *sum / f64::from(count),
                        _ => *sum,
                    };
                }
                sums
            }
        }
    }
}

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    Line,
    /// Filled down to zero, or to the area below it in a stack.
    Area,
}

/// A curve.
#[derive(Clone, Debug)]
pub struct Curve {
    pub label: String,
    /// An index of the palette.
    pub colour: usize,
    pub draw: Draw,
    pub formula: Formula,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Plan;
    use crate::view::View;
    use gmetad_core::history::{Field, Owner};

    fn history(all: &[&[f64]]) -> (History, Grid) {
        let query = "from=1000&until=1060";
        let view = View::parse(gmetad_core::http::form(query.as_bytes()), 2000).unwrap();
        let mut plan = Plan::new(&view, 100);
        for _ in all {
            plan.ask(&Owner::Whole, "m", Field::Sum);
        }
        let (_, shape) = plan.question();
        let series = all.iter().map(|values| {
            Some(Series {
                start: 1000,
                step: 20,
                values: values.to_vec(),
            })
        });
        let history = shape.history(series.collect());
        let grid = Grid::new(history.range(), 20, 100);
        (history, grid)
    }

    fn text(values: &[f64]) -> String {
        format!("{values:?}")
    }

    #[test]
    fn gaps_are_left_out_of_sums_and_stay_where_all_have_one() {
        let nan = f64::NAN;
        let (history, grid) = history(&[&[1.0, nan, nan], &[3.0, 5.0, nan]]);
        let values = |formula: Formula| text(&formula.values(&history, &grid, false));
        assert_eq!(values(Formula::Sum(vec![0, 1])), "[4.0, 5.0, NaN]");
        assert_eq!(values(Formula::Mean(vec![0, 1])), "[2.0, 5.0, NaN]");
        assert_eq!(values(Formula::Ratio(1, 0)), "[3.0, NaN, NaN]");
        assert_eq!(values(Formula::Rest(1, vec![0, 7])), "[2.0, 5.0, NaN]");
    }
}
