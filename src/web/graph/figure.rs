//! A graph with its title, curves and unit.

use gmetad_core::history::Series;

use super::curve::{Curve, Draw};
use super::plan::History;
use super::sample::{Extent, Grid};
use crate::unit::Unit;

/// A graph, before its values are read.
#[derive(Clone, Debug)]
pub struct Figure {
    pub title: String,
    /// What it shows, in a sentence; may be empty.
    pub about: String,
    /// The parameters of its own page, written as `name=value&name=value`.
    pub query: String,
    pub unit: Unit,
    /// Areas first, from the bottom of the stack up.
    pub curves: Vec<Curve>,
    /// Whether areas stand on top of each other.
    pub stacked: bool,
}

/// A curve with its values.
#[derive(Debug)]
pub struct Drawn<'a> {
    pub curve: &'a Curve,
    /// In the unit of the figure.
    pub values: Vec<f64>,
    pub extent: Extent,
}

/// A figure with the values of all its curves.
#[derive(Debug)]
pub struct Values<'a> {
    pub grid: Grid,
    pub curves: Vec<Drawn<'a>>,
    /// The lines of the time that is laid under it: the colour, and the values.
    pub past: Vec<(usize, Vec<f64>)>,
}

impl Figure {
    /// Calculates all curves in at most so many columns.
    pub fn values<'a>(&'a self, history: &History, columns: usize) -> Values<'a> {
        let inputs = self.curves.iter().flat_map(|curve| curve.formula.inputs());
        let series = inputs.filter_map(|at| history.series(at));
        let row = series.map(|series: &Series| series.step).max().unwrap_or(1);
        let grid = Grid::new(history.range(), row.into(), columns);
        let read = |curve: &Curve, past| {
            let mut values = curve.formula.values(history, &grid, past);
            if self.unit.factor != 1.0 {
                for value in &mut values {
                    *value *= self.unit.factor;
                }
            }
            values
        };
        let curves: Vec<Drawn<'a>> = self
            .curves
            .iter()
            .map(|curve| {
                let values = read(curve, false);
                Drawn {
                    curve,
                    extent: Extent::of(&values),
                    values,
                }
            })
            .collect();
        let past = if history.has_past() {
            self.past(|curve| read(curve, true))
        } else {
            Vec::new()
        };
        Values { grid, curves, past }
    }

    /// Of a stack its height, else each curve.
    fn past(&self, read: impl Fn(&Curve) -> Vec<f64>) -> Vec<(usize, Vec<f64>)> {
        let mut lines = Vec::new();
        let mut height: Option<Vec<f64>> = None;
        for curve in &self.curves {
            let values = read(curve);
            if self.stacked && curve.draw == Draw::Area {
                match &mut height {
                    Some(height) => {
                        for (sum, value) in height.iter_mut().zip(values) {
                            *sum = plus(*sum, value);
                        }
                    }
                    None => height = Some(values),
                }
            } else {
                lines.push((curve.colour, values));
            }
        }
        let top = self.curves.iter().rfind(|curve| curve.draw == Draw::Area);
        lines.extend(height.map(|height| (top.map_or(0, |curve| curve.colour), height)));
        lines
    }
}

/// A sum in which what is unknown is nothing, unless all is.
pub fn plus(one: f64, other: f64) -> f64 {
    match (one.is_nan(), other.is_nan()) {
        (true, _) => other,
        (_, true) => one,
        _ => one + other,
    }
}
