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
