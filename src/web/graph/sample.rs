//! Rows of a file → columns of a graph: means, with gaps where nothing is known.

use gmetad_core::history::Series;

use crate::range::Range;

/// The columns of a graph; all of its series have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Where the first column begins, in seconds since 1970.
    pub start: u64,
    /// Seconds of a column.
    pub step: u64,
    pub columns: usize,
}

impl Grid {
    /// Columns for a range and rows of `row_secs`: a row each, or several if there were more columns
    /// than `most`.
    pub fn new(range: &Range, row_secs: u64, most: usize) -> Grid {
        let row = row_secs.max(1);
        let rows = range.secs().div_ceil(row);
        let step = row * rows.div_ceil(most.max(1) as u64).max(1);
        let start = range.from / step * step;
        Grid {
            start,
            step,
            columns: (range.until - start).div_ceil(step) as usize,
        }
    }

    /// The means of a series in each column, as if it had been `back` seconds later; NaN where nothing
    /// is known.
    pub fn sample(&self, series: &Series, back: u64) -> Vec<f64> {
        let mut sums = vec![0.0; self.columns];
        let mut weights = vec![0_u64; self.columns];
        let row = u64::from(series.step.max(1));
        let end = self.start + self.step * self.columns as u64;
        let mut begin = series.start + back;
        for &value in &series.values {
            let until = begin + row;
            if !value.is_nan() && until > self.start && begin < end {
                let (from, to) = (begin.max(self.start), until.min(end));
                let first = ((from - self.start) / self.step) as usize;
                let last = ((to - 1 - self.start) / self.step) as usize;
                for column in first..=last {
                    let left = self.start + column as u64 * self.step;
                    let overlap = to.min(left + self.step) - from.max(left);
                    sums[column] += value * overlap as f64;
                    weights[column] += overlap;
                }
            }
            begin = until;
        }
        for (sum, weight) in sums.iter_mut().zip(weights) {
            *sum = if weight == 0 {
                f64::NAN
            } else {
                *sum / weight as f64
            };
        }
        sums
    }
}

/// What a legend says of a curve. NaN where nothing is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// The newest value.
    pub last: f64,
    pub least: f64,
    pub mean: f64,
    pub most: f64,
}

impl Extent {
    pub fn of(values: &[f64]) -> Extent {
        let known = || values.iter().copied().filter(|value| !value.is_nan());
        Extent {
            last: known().next_back().unwrap_or(f64::NAN),
            least: known().fold(f64::NAN, f64::min),
            mean: known().sum::<f64>() / known().count() as f64,
            most: known().fold(f64::NAN, f64::max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f64 = f64::NAN;

    fn series(start: u64, step: u32, values: &[f64]) -> Series {
        Series {
            start,
            step,
            values: values.to_vec(),
        }
    }

    fn sampled(grid: Grid, series: &Series, back: u64) -> Vec<Option<f64>> {
        let values = grid.sample(series, back).into_iter();
        values
            .map(|value| (!value.is_nan()).then_some(value))
            .collect()
    }

    #[test]
    fn a_column_is_the_mean_of_its_known_rows_and_a_gap_stays_one() {
        let grid = Grid {
            start: 100,
            step: 20,
            columns: 4,
        };
        let rows = series(80, 10, &[9.0, 9.0, 1.0, 3.0, NAN, 5.0, NAN, NAN, 7.0]);
        assert_eq!(
            sampled(grid, &rows, 0),
            [Some(2.0), Some(5.0), None, Some(7.0)]
        );
    }

    #[test]
    fn a_coarse_row_fills_all_its_columns() {
        let grid = Grid {
            start: 0,
            step: 10,
            columns: 5,
        };
        let rows = series(0, 25, &[1.0, 2.0]);
        let expected = [1.0, 1.0, 1.5, 2.0, 2.0].map(Some);
        assert_eq!(sampled(grid, &rows, 0), expected);
    }

    #[test]
    fn the_past_is_laid_under_today() {
        let grid = Grid {
            start: 1000,
            step: 10,
            columns: 2,
        };
        let rows = series(0, 10, &[1.0, 2.0]);
        assert_eq!(sampled(grid, &rows, 1000), [Some(1.0), Some(2.0)]);
    }

    #[test]
    fn columns_are_whole_rows_and_never_too_many() {
        let range = Range::fixed(1003, 4603);
        let grid = Grid::new(&range, 15, 100);
        assert_eq!((grid.step, grid.start), (45, 990));
        assert!(grid.columns <= 102);
        assert!(grid.start + grid.step * grid.columns as u64 >= range.until);
        assert_eq!(Grid::new(&range, 360, 100).step, 360);
    }

    #[test]
    fn a_legend_leaves_gaps_out() {
        let extent = Extent::of(&[NAN, 1.0, 4.0, NAN]);
        assert_eq!(
            (extent.last, extent.least, extent.mean, extent.most),
            (4.0, 1.0, 2.5, 4.0)
        );
        assert!(Extent::of(&[NAN]).mean.is_nan());
    }
}
