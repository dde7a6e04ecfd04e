//! A series on its way through functions, and its consolidation.
//!
//! A gap is NaN. Times are where a row begins, as in `history`.

use gmetad_core::history::Series;
use gmetad_core::model::sorted;

/// How several values become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aggregation {
    /// The mean.
    #[default]
    Average,
    /// The sum.
    Sum,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The oldest.
    First,
    /// The newest.
    Last,
    /// Their number.
    Count,
    /// The one in the middle.
    Median,
    /// The greatest less the least.
    Range,
    /// The first less all others.
    Difference,
    /// The product of all; a gap if one is.
    Multiply,
    /// The standard deviation.
    Deviation,
}

impl Aggregation {
    /// Each, by the names that Graphite has for it; the first is the usual one.
    pub const NAMES: [(Aggregation, &[&str]); 12] = [
        (Aggregation::Average, &["average", "avg"]),
        (Aggregation::Sum, &["sum", "total"]),
        (Aggregation::Min, &["min"]),
        (Aggregation::Max, &["max"]),
        (Aggregation::First, &["first"]),
        (Aggregation::Last, &["last", "current"]),
        (Aggregation::Count, &["count"]),
        (Aggregation::Median, &["median"]),
        (Aggregation::Range, &["range", "rangeOf"]),
        (Aggregation::Difference, &["diff"]),
        (Aggregation::Multiply, &["multiply"]),
        (Aggregation::Deviation, &["stddev"]),
    ];

    /// Of a name, which may end in `Series`.
    pub fn parse(name: &str) -> Option<Aggregation> {
        let name = name.strip_suffix("Series").unwrap_or(name);
        let of_name = |(_, names): &&(Aggregation, &[&str])| names.contains(&name);
        Aggregation::NAMES.iter().find(of_name).map(|(it, _)| *it)
    }

    /// Of values, gaps left out; a gap if nothing is left.
    pub fn of(self, values: impl Iterator<Item = f64>) -> f64 {
        let mut has_gap = false;
        let mut known = values.filter(|value| {
            has_gap |= value.is_nan();
            !value.is_nan()
        });
        let Some(first) = known.next() else {
            return f64::NAN;
        };
        let made = self.of_known(first, known);
        // In graphite-web, a gap spoils a product and nothing else.
        if has_gap && self == Aggregation::Multiply {
            return f64::NAN;
        }
        made
    }

    fn of_known(self, first: f64, values: impl Iterator<Item = f64>) -> f64 {
        match self {
            Aggregation::Average => {
                let (sum, count) = sum_of(first, values);
                sum / count
            }
            Aggregation::Sum => sum_of(first, values).0,
            Aggregation::Min => values.fold(first, f64::min),
            Aggregation::Max => values.fold(first, f64::max),
            Aggregation::First => first,
            Aggregation::Last => values.last().unwrap_or(first),
            Aggregation::Count => 1.0 + values.count() as f64,
            Aggregation::Median => median(first, values),
            Aggregation::Range => {
                let ends = values.fold((first, first), |(least, most), value| {
                    (value.min(least), value.max(most))
                });
                ends.1 - ends.0
            }
            Aggregation::Difference => values.fold(first, |left, value| left - value),
            Aggregation::Multiply => values.fold(first, |product, value| product * value),
            Aggregation::Deviation => deviation(first, values),
        }
    }
}

fn sum_of(first: f64, values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((first, 1.0), |(sum, count), value| {
        (sum + value, count + 1.0)
    })
}

fn median(first: f64, values: impl Iterator<Item = f64>) -> f64 {
    let all: Vec<f64> = std::iter::once(first).chain(values).collect();
    let all = sorted(all, f64::total_cmp);
    let middle = all.len() / 2;
    if all.len() % 2 == 1 {
        all[middle]
    } else {
        f64::midpoint(all[middle - 1], all[middle])
    }
}

fn deviation(first: f64, values: impl Iterator<Item = f64>) -> f64 {
    let all: Vec<f64> = std::iter::once(first).chain(values).collect();
    let count = all.len() as f64;
    let mean = all.iter().sum::<f64>() / count;
    let squares: f64 = all.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / count).sqrt()
}

/// Longest name that a call makes. A pattern may be 256 KiB long, and each of 2,000 series have it in
/// its name.
const MAX_NAME_BYTES: usize = 1024;

/// A name, cut if it is too long.
fn cut(mut name: String) -> String {
    if name.len() > MAX_NAME_BYTES {
        let mut end = MAX_NAME_BYTES;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
        name.push('…');
    }
    name
}

/// A series with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What the client shows.
    pub name: String,
    /// The pattern or the call that it comes from, for the names of those that are made of it.
    pub source: String,
    /// The path of its file; its first name, if it is made of others.
    pub origin: String,
    /// Where the first row begins, in seconds since 1970.
    pub start: u64,
    /// Seconds of a row; at least 1.
    pub step: u32,
    /// A value a row.
    pub values: Vec<f64>,
    /// How rows are merged.
    pub merge: Aggregation,
}

impl Line {
    /// Of a file, by its path and the pattern that has found it.
    pub fn new(path: String, pattern: &str, series: Series) -> Line {
        Line {
            name: path.clone(),
            source: pattern.to_owned(),
            origin: path,
            start: series.start,
            step: series.step.max(1),
            values: series.values,
            merge: Aggregation::default(),
        }
    }

    /// Made of others by a call that has a name.
    pub fn made(name: String, like: &Line, values: Vec<f64>) -> Line {
        let name = cut(name);
        Line {
            source: name.clone(),
            origin: name.clone(),
            name,
            start: like.start,
            step: like.step,
            values,
            merge: Aggregation::default(),
        }
    }

    /// Names it after the call that has changed it.
    pub fn renamed(&mut self, name: String) {
        let name = cut(name);
        self.source.clone_from(&name);
        self.name = name;
    }

    /// Where the last row ends.
    pub fn end(&self) -> u64 {
        self.start + u64::from(self.step) * self.values.len() as u64
    }

    /// Changes each value that is no gap; what is not finite becomes a gap.
    pub fn map(&mut self, change: impl Fn(f64) -> f64) {
        for value in &mut self.values {
            let changed = change(*value);
            *value = if changed.is_finite() {
                changed
            } else {
                f64::NAN
            };
        }
    }

    /// Drops rows that end before a time.
    pub fn cut_before(&mut self, time: u64) {
        let rows = time.saturating_sub(self.start) / u64::from(self.step);
        let rows = usize::try_from(rows)
            .unwrap_or(usize::MAX)
            .min(self.values.len());
        self.values.drain(..rows);
        self.start += rows as u64 * u64::from(self.step);
    }

    /// Drops rows that begin at a time or later.
    pub fn cut_from(&mut self, time: u64) {
        let rows = time
            .saturating_sub(self.start)
            .div_ceil(u64::from(self.step));
        self.values
            .truncate(usize::try_from(rows).unwrap_or(usize::MAX));
    }

    /// Merges each `rows` rows into one.
    pub fn consolidate(&mut self, rows: usize) {
        if rows > 1 {
            let merge = self.merge;
            let merged = self.values.chunks(rows);
            self.values = merged.map(|rows| merge.of(rows.iter().copied())).collect();
            self.step = self
                .step
                .saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX));
        }
    }
}

/// Brings lines to one step and one time, so that row `i` of each is of the same time. Rows that a line
/// does not have are gaps.
pub fn align(lines: &mut [Line]) {
    let step = lines.iter().fold(1, |step, line| lcm(step, line.step));
    for line in &mut *lines {
        // Merged rows begin at multiples of the step, so that those of all lines do.
        let ahead = line.start % u64::from(step) / u64::from(line.step);
        if step > line.step && ahead > 0 {
            let gaps = std::iter::repeat_n(f64::NAN, ahead as usize);
            line.values.splice(0..0, gaps);
            line.start -= ahead * u64::from(line.step);
        }
        line.consolidate((step / line.step) as usize);
    }
    let start = lines.iter().map(|line| line.start).min().unwrap_or(0);
    let end = lines.iter().map(Line::end).max().unwrap_or(0);
    for line in &mut *lines {
        let ahead = ((line.start - start) / u64::from(step)) as usize;
        if ahead > 0 {
            line.values
                .splice(0..0, std::iter::repeat_n(f64::NAN, ahead));
            line.start = start;
        }
        let rows = ((end - start) / u64::from(step)) as usize;
        line.values.resize(rows, f64::NAN);
    }
}

/// Least common multiple, bounded: steps that have nothing in common give the larger of both.
fn lcm(a: u32, b: u32) -> u32 {
    let gcd = |mut a: u32, mut b: u32| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a.max(1)
    };
    (a / gcd(a, b)).checked_mul(b).unwrap_or(a.max(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: f64 = f64::NAN;

    fn line(start: u64, step: u32, values: &[f64]) -> Line {
        let series = Series {
            start,
            step,
            values: values.to_vec(),
        };
        Line::new("a".into(), "a", series)
    }

    fn same(a: &[f64], b: &[f64]) -> bool {
        let pair = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
        a.len() == b.len() && a.iter().zip(b).all(pair)
    }

    #[test]
    fn gaps_are_left_out_of_an_aggregate() {
        let of = |how: Aggregation| how.of([4.0, GAP, 1.0, 7.0].into_iter());
        assert_eq!(of(Aggregation::Average), 4.0);
        assert_eq!(of(Aggregation::Sum), 12.0);
        assert_eq!((of(Aggregation::Min), of(Aggregation::Max)), (1.0, 7.0));
        assert_eq!((of(Aggregation::First), of(Aggregation::Last)), (4.0, 7.0));
        assert_eq!(
            (of(Aggregation::Count), of(Aggregation::Median)),
            (3.0, 4.0)
        );
        assert_eq!(
            (of(Aggregation::Range), of(Aggregation::Difference)),
            (6.0, -4.0)
        );
        assert!(of(Aggregation::Multiply).is_nan());
        assert_eq!(Aggregation::Multiply.of([4.0, 7.0].into_iter()), 28.0);
        assert!((of(Aggregation::Deviation) - 6_f64.sqrt()).abs() < 1e-12);
        for (how, names) in Aggregation::NAMES {
            assert!(how.of([GAP].into_iter()).is_nan(), "{names:?}");
            assert_eq!(Aggregation::parse(names[0]), Some(how));
        }
        assert_eq!(Aggregation::parse("sumSeries"), Some(Aggregation::Sum));
        assert_eq!(Aggregation::parse("nope"), None);
    }

    #[test]
    fn rows_are_merged_as_the_line_says() {
        let mut merged = line(100, 10, &[1.0, 2.0, GAP, 4.0, 5.0]);
        merged.merge = Aggregation::Max;
        merged.consolidate(2);
        assert!(same(&merged.values, &[2.0, 4.0, 5.0]));
        assert_eq!((merged.start, merged.step), (100, 20));
    }

    #[test]
    fn aligned_lines_have_one_step_and_one_time() {
        let mut lines = [
            line(90, 10, &[1.0, 2.0, 3.0, 4.0]),
            line(90, 15, &[10.0, 20.0, 30.0]),
        ];
        align(&mut lines);
        assert!(same(&lines[0].values, &[2.0, 4.0]), "{:?}", lines[0]);
        assert!(same(&lines[1].values, &[15.0, 30.0]));
        let mut lines = [line(100, 10, &[1.0, 2.0]), line(120, 10, &[5.0])];
        align(&mut lines);
        assert!(same(&lines[0].values, &[1.0, 2.0, GAP]));
        assert!(same(&lines[1].values, &[GAP, GAP, 5.0]));
        align(&mut []);
    }
}
