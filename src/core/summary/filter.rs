//! Which metrics are summed: rules, lists of names, and regular expressions.
//!
//! Reads no configuration: `config` builds it.

use std::fmt;

use regex::RegexBuilder;

/// Most memory of a compiled expression. Usual ones take a few KB.
const SIZE_LIMIT_BYTES: usize = 1 << 20;

/// Which metrics are summed. The first of these fields that matches a name decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SummaryFilter {
    /// The `summary_rule`s in file order; the first that matches decides.
    pub rules: Vec<SummaryRule>,
    /// Prefixes of excluded names.
    pub without_prefixes: Vec<String>,
    /// Expressions for excluded names.
    pub without_matching: Vec<Pattern>,
    /// On: excludes names whose last dot is followed by `v`.
    pub without_sflow_vm: bool,
    /// Included names. If there are any, or any `only_matching`, all others are excluded.
    pub only: Vec<String>,
    /// Expressions for included names.
    pub only_matching: Vec<Pattern>,
    /// For all other names, whether or not there is an `only`. `None`: they are included unless there
    /// is one.
    pub default: Option<Verdict>,
}

/// One `summary_rule`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRule {
    /// Include or exclude.
    pub verdict: Verdict,
    /// Which metrics.
    pub names: Names,
}

/// Whether metrics are summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are summed.
    Include,
    /// They are not.
    Exclude,
}

impl fmt::Display for Verdict {
    /// As in gmetad.conf.
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
    /// A single name.
    One(String),
    /// All names that match an expression.
    With(Pattern),
}

impl Names {
    /// Whether the name is one of them.
    pub fn have(&self, name: &str) -> bool {
        match self {
            Names::One(one) => one == name,
            Names::With(pattern) => pattern.is_in(name),
        }
    }
}

impl fmt::Display for Names {
    /// As in gmetad.conf.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Names::One(name) => f.write_str(name),
            Names::With(pattern) => pattern.fmt(f),
        }
    }
}

/// A regular expression for names of metrics. It may match anywhere in a name.
#[derive(Clone, Debug)]
pub struct Pattern(regex::Regex);

impl Pattern {
    /// Compiles an expression. An error is described in one line.
    pub fn new(text: &str) -> Result<Pattern, String> {
        let compiled = RegexBuilder::new(text).size_limit(SIZE_LIMIT_BYTES).build();
        // The crate draws the error over several lines. The last one has the reason.
        compiled.map(Pattern).map_err(|error| {
            let drawn = error.to_string();
            let last = drawn.lines().last().unwrap_or_default().trim();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        })
    }

    /// Whether it matches the name, in time linear in the name's length.
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
    /// As in gmetad.conf.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.0.as_str())
    }
}
