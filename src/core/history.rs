//! What pages and Graphite ask of the round-robin files, and what they get.
//!
//! No files here: a [`Question`] goes to the thread that owns them, its [`Answer`] comes back. Names are
//! those of the XML; only `gmetad-rrd` makes paths of them.

use thiserror::Error;

/// Most series in a question.
pub const MAX_SERIES: usize = 2_000;

/// Most values in an answer, of all series together.
pub const MAX_VALUES: usize = 1_000_000;

/// Whose files.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// The whole tree: its sums.
    Whole,
    /// A cluster or a grid below: its sums.
    Node(Box<str>),
    /// A host of a cluster.
    Host {
        /// The name of its cluster.
        cluster: Box<str>,
        /// Its own name.
        host: Box<str>,
    },
}

/// Which data source of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// `sum`: a host's value, or the sum over hosts.
    #[default]
    Sum,
    /// `num`: the number of hosts that the sum is made of. Files of hosts have none.
    Num,
}

/// How an archive makes one row of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Consolidation {
    /// The mean.
    #[default]
    Average,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The newest.
    Last,
}

/// One series of the files.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesName {
    /// Whose.
    pub owner: Owner,
    /// The name of the metric.
    pub metric: Box<str>,
    /// Which value of its file.
    pub field: Field,
}

/// One series over a time: what `rrdtool fetch FILE CF -s from -e until -r step` would read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The series.
    pub series: SeriesName,
    /// Start, in seconds since 1970.
    pub from: u64,
    /// End, in seconds since 1970; later than `from`.
    pub until: u64,
    /// Seconds of one row that would do. 0 or 1: the finest archive that covers the time.
    pub step: u32,
    /// Archives of this kind; a file that has none of it gives its averages.
    pub consolidation: Consolidation,
    /// Most rows of that time that are of use: if there are more, they are merged, so that nobody holds
    /// what will not be seen. 0: all are.
    pub most_rows: u32,
}

/// At most [`MAX_SERIES`] series, which may be of different times.
pub type Question = Vec<Wanted>;

/// One series as read. A row is the time from `start + i * step` to `start + (i + 1) * step`, as
/// rrdtool has it; NaN where nothing is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Where the first row begins, in seconds since 1970; a multiple of `step`.
    pub start: u64,
    /// Seconds of a row.
    pub step: u32,
    /// A value a row.
    pub values: Vec<f64>,
}

impl Series {
    /// Where the last row ends.
    pub fn end(&self) -> u64 {
        self.start + u64::from(self.step) * self.values.len() as u64
    }

    /// In rows of `step` seconds, a multiple of its own, by the means of what is known.
    fn in_rows_of(self, step: u32) -> Series {
        let times = (step / self.step.max(1)) as usize;
        let start = self.start - self.start % u64::from(step);
        // The first may begin within its row.
        let missing = ((self.start - start) / u64::from(self.step.max(1))) as usize;
        let (first, rest) = self.values.split_at(self.values.len().min(times - missing));
        let rows = std::iter::once(first).filter(|first| !first.is_empty());
        Series {
            start,
            step,
            values: rows.chain(rest.chunks(times)).map(mean).collect(),
        }
    }
}

/// Of those that are known; NaN if none is.
fn mean(values: &[f64]) -> f64 {
    let known = values.iter().filter(|value| !value.is_nan());
    let (sum, count) = known.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    sum / f64::from(count)
}

impl Wanted {
    /// What was read, with no more rows than are of use: each is the mean of those it was made of.
    pub fn merged(&self, series: Series) -> Series {
        let row = u64::from(series.step.max(1));
        let rows = self.until.saturating_sub(self.from).div_ceil(row);
        let times = rows.div_ceil(u64::from(self.most_rows).max(1));
        let step = u32::try_from(row.saturating_mul(times));
        match step {
            Ok(step) if self.most_rows > 0 && times > 1 => series.in_rows_of(step),
            _ => series,
        }
    }
}

/// The series in the order of the question; `None` where there is no file, or none that can be read.
pub type Answer = Vec<Option<Series>>;

/// Why a question got no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// Above [`MAX_SERIES`].
    #[error("{0} series asked for; at most {MAX_SERIES} are read at a time")]
    Series(usize),
    /// Above [`MAX_VALUES`].
    #[error("more than {MAX_VALUES} values asked for; take a shorter time or a coarser step")]
    Values,
    /// This gmetad has no files.
    #[error("this gmetad stores no round-robin files: {0}")]
    NoFiles(&'static str),
    /// The thread that owns the files is ending or gone.
    #[error("the thread that reads the files has ended")]
    Ended,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(from: u64, until: u64, most_rows: u32, values: &[f64]) -> (u64, u32, String) {
        let wanted = Wanted {
            series: SeriesName {
                owner: Owner::Whole,
                metric: "m".into(),
                field: Field::Sum,
            },
            from,
            until,
            step: 1,
            consolidation: Consolidation::Average,
            most_rows,
        };
        let merged = wanted.merged(Series {
            start: from - from % 10,
            step: 10,
            values: values.to_vec(),
        });
        (merged.start, merged.step, format!("{:?}", merged.values))
    }

    #[test]
    fn rows_that_are_of_no_use_are_merged_by_their_means_and_gaps_stay() {
        let nan = f64::NAN;
        let rows = [1.0, 3.0, nan, 5.0, nan, nan, 7.0];
        let whole = (100, 10, format!("{rows:?}"));
        assert_eq!(merged(100, 170, 0, &rows), whole);
        assert_eq!(merged(100, 170, 7, &rows), whole);
        assert_eq!(
            merged(100, 170, 6, &rows),
            (100, 20, "[2.0, 5.0, NaN, 7.0]".into())
        );
        // Rows begin at multiples of their length, as those of files do.
        assert_eq!(
            merged(110, 180, 4, &rows),
            (100, 20, "[1.0, 3.0, 5.0, 7.0]".into())
        );
        assert_eq!(merged(110, 130, 1, &[]), (100, 20, "[]".into()));
        assert_eq!(merged(110, 180, 1, &rows), (70, 70, "[2.0, 6.0]".into()));
    }
}
