//! Which metrics take part in summaries: rules, lists of names and expressions.
//!
//! Reads no configuration; it is made where that is read.

use std::fmt;

use regex::RegexBuilder;

/// A compiled expression takes no more; what people write takes a few KB.
const SIZE_LIMIT_BYTES: usize = 1 << 20;

/// Which metrics take part in summaries. Of these fields, from the first on, the first that knows
/// of a name decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SummaryFilter {
    /// The words of `summary_rule`, in the order of the file: the first that knows of a name
    /// decides.
    pub rules: Vec<SummaryRule>,
    /// Name prefixes left out.
    pub without_prefixes: Vec<String>,
    /// The same, by expression.
    pub without_matching: Vec<Pattern>,
    /// On: names whose last dot is followed by `v` are left out.
    pub without_sflow_vm: bool,
    /// Names summed up; if there are any, or any of `only_matching`, all others are left out.
    pub only: Vec<String>,
    /// The same, by expression.
    pub only_matching: Vec<Pattern>,
    /// What becomes of all others, whatever `only` is; `None`: they are summed up unless there is
    /// one of those.
    pub default: Option<Verdict>,
}

/// What becomes of some metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRule {
    /// What.
    pub verdict: Verdict,
    /// Of which.
    pub names: Names,
}

/// Whether a metric is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Include,
    /// It is left out.
    Exclude,
}

impl fmt::Display for Verdict {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Include => "include",
            Verdict::Exclude => "exclude",
        })
    }
}

/// Names of metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// This one.
    One(String),
    /// All that an expression is found in.
    With(Pattern),
}

impl Names {
    /// Whether this is one of them.
    pub fn have(&self, name: &str) -> bool {
        match self {
            Names::One(one) => one == name,
            Names::With(pattern) => pattern.is_in(name),
        }
    }
}

impl fmt::Display for Names {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Names::One(name) => f.write_str(name),
            Names::With(pattern) => pattern.fmt(f),
        }
    }
}

/// A regular expression that a metric's name may match, anywhere in it.
#[derive(Clone, Debug)]
pub struct Pattern(regex::Regex);

impl Pattern {
    /// Compiles it; what is wrong with one that is none, in a line.
    pub fn new(text: &str) -> Result<Pattern, String> {
        let compiled = RegexBuilder::new(text).size_limit(SIZE_LIMIT_BYTES).build();
        // The crate draws what is wrong over several lines; the last one says it.
        compiled.map(Pattern).map_err(|error| {
            let drawn = error.to_string();
            let last = drawn.lines().last().unwrap_or_default().trim();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        })
    }

    /// Whether it is found in the name; takes time in proportion to the name's length.
    pub fn is_in(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.0.as_str())
    }
}
