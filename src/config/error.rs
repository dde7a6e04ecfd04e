//! What can be wrong with a configuration, and the message for each.
//!
//! Decides nothing: the reader and the directives do.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::values::Fault;
use gmetad_core::condition::ConditionError;
use gmetad_core::plugin::Location;

/// A remark about a configuration; it is used all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `Warn`: most likely a mistake; `Info`: worth knowing.
    pub level: log::Level,
    /// Begins with file and line number. Where it points at a place in the line, the line is on
    /// a second line and a caret on a third.
    pub text: String,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Error, PartialEq, Eq)]
pub struct ConfigErrors {
    /// In the order of its files and lines; never empty.
    pub errors: Vec<ConfigError>,
    /// The remarks, which alone would not be errors.
    pub notices: Vec<Notice>,
    /// The user to become, as far as the files could be read. `-t` checks that user too.
    pub setuid_username: Option<String>,
}

impl fmt::Display for ConfigErrors {
    /// The errors, one line each, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub struct ConfigError {
    /// Where; `None` for a file as a whole, and for several lines or options together.
    pub at: Option<Location>,
    /// What is wrong, and what would be right.
    pub problem: Problem,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{at}: ")?;
        }
        write!(f, "{}", self.problem)
    }
}

/// What is wrong, with what would be right.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Problem {
    /// The file itself, or one it includes by name.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        reason: String,
    },
    /// There is no such file, but an example of one.
    #[error(
        "cannot read {}: {reason}; copy {} there and edit it",
        path.display(),
        example.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        reason: String,
        /// The example.
        example: PathBuf,
    },
    /// A directory that a pattern names.
    #[error("Include: cannot list {}: {reason}", path.display())]
    Unsearchable {
        /// The directory, or what is in it.
        path: PathBuf,
        /// The system's own words.
        reason: String,
    },
    /// Most likely not a configuration at all.
    #[error(
        "the file is not text: this line has a byte of value 0; save it as UTF-8 or Latin-1, or \
         name another file with -c"
    )]
    NoText,
    /// Too long to be a configuration.
    #[error(
        "{} is over {limit_bytes} bytes, the limit for a configuration file; is it the right file?",
        path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The limit it is over.
        limit_bytes: usize,
    },
    /// A file that includes itself, directly or not.
    #[error("{} includes itself; remove one of the Include lines", path.display())]
    IncludeLoop {
        /// The file.
        path: PathBuf,
    },
    /// Includes nested too deep.
    #[error(
        "{} is nested {limit} Includes deep, the limit; include it from a file further up, and \
         check that no file includes itself by another name",
        path.display()
    )]
    TooDeep {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// Too many files.
    #[error("more than {limit} files are included, the limit; merge some of them")]
    TooManyFiles {
        /// The limit.
        limit: usize,
    },
    /// Not a glob pattern.
    #[error("Include: \"{pattern}\" is not a valid pattern: {reason}")]
    Pattern {
        /// As written.
        pattern: String,
        /// What the pattern's parser says.
        reason: String,
    },
    /// A quote without its other end.
    #[error("a quote is not closed; close it on the same line")]
    UnclosedQuote,
    /// A section that the end of the file closes.
    #[error("section {id} is not closed; put a }} on a line of its own after its last directive")]
    UnclosedSection {
        /// The section.
        id: String,
    },
    /// A section that starts inside another.
    #[error(
        "section {inner} starts inside section {outer} (line {line}); close {outer} first, with a \
         }} on a line of its own"
    )]
    SectionInside {
        /// The one that starts.
        inner: String,
        /// The one that is open.
        outer: String,
        /// Where the open one starts.
        line: usize,
    },
    /// A closing brace that closes nothing.
    #[error("this }} closes no section; remove it")]
    StrayBrace,
    /// An opening brace without an id.
    #[error("this {{ has no name; write the id of a section before it, as in rrd {{")]
    NamelessSection,
    /// More than an id before a brace.
    #[error(
        "\"{extra}\" stands between {id} and {{; start a section with its id alone, and put a brace \
         that is a value in quotes"
    )]
    LongHeading {
        /// The first word.
        id: String,
        /// The second.
        extra: String,
    },
    /// Something behind a brace.
    #[error("\"{extra}\" follows a brace; put it on a line of its own")]
    BehindBrace {
        /// What stands there.
        extra: String,
    },
    /// A directive's name used as a section's id.
    #[error("{directive} is a directive, not a section; it takes {expected}")]
    NotASection {
        /// The directive.
        directive: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A directive that stands alone.
    #[error("{directive} has no value; it takes {expected}")]
    NoValue {
        /// The directive.
        directive: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A directive with more than it takes.
    #[error("{directive} takes {expected}; remove the extra \"{extra}\"")]
    TooMuch {
        /// The directive.
        directive: &'static str,
        /// What it takes.
        expected: &'static str,
        /// The first word that is too much.
        extra: String,
    },
    /// A directive with less than it takes.
    #[error("{directive} is incomplete; it takes {expected}")]
    Incomplete {
        /// The directive.
        directive: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A rule with a condition that cannot be parsed.
    #[error("metricrule {metric}: {error}\n    {}\n    {:column$}^", on_one_line(text), "",
        column = error.column)]
    Condition {
        /// The rule's metric.
        metric: String,
        /// The condition.
        text: String,
        /// What is wrong with it, and where.
        error: ConditionError,
    },
    /// A rule that ends too early.
    #[error("metricrule is incomplete: {missing} is missing; it takes {expected}\n    {}\n    {:column$}^",
        on_one_line(text), "", column = text.chars().count())]
    RuleEnds {
        /// What stands there.
        text: String,
        /// What is missing.
        missing: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A value that cannot be used.
    #[error("{directive}: \"{value}\" {fault}")]
    Value {
        /// The directive.
        directive: &'static str,
        /// As written.
        value: String,
        /// What is wrong with it and what would be right.
        fault: Fault,
    },
    /// A word between slashes.
    #[error("{directive}: \"{value}\" is not a regular expression: {reason}")]
    Expression {
        /// The directive.
        directive: &'static str,
        /// As written.
        value: String,
        /// What the expression's parser says.
        reason: String,
    },
    /// A source without a host.
    #[error(
        "data_source \"{name}\" has no host; write at least one, as in data_source \"{name}\" \
         localhost"
    )]
    NoHost {
        /// The source.
        name: String,
    },
    /// A source's name in several words.
    #[error("data_source: put a name of several words in quotes, as in data_source \"{name}\"")]
    NameInPieces {
        /// The words, with a blank between them.
        name: String,
    },
    /// A host of a source that cannot be used.
    #[error("data_source \"{name}\": \"{host}\" {fault}")]
    Host {
        /// The source.
        name: String,
        /// As written.
        host: String,
        /// What is wrong with it and what would be right.
        fault: Fault,
    },
    /// A source's name used twice.
    #[error("data_source \"{name}\" is already defined at {first}; give each source its own name")]
    SourceTwice {
        /// The name.
        name: String,
        /// The one that has it.
        first: Location,
    },
    /// Clusters given to a source, without any.
    #[error(
        "source_clusters \"{name}\" names no cluster; write at least one, as in source_clusters \
         \"{name}\" \"my cluster\""
    )]
    NoClusters {
        /// Its name.
        name: String,
    },
    /// Clusters given to a source that is not there.
    #[error(
        "source_clusters: there is no data_source \"{name}\"; correct the name, or remove the line"
    )]
    NoSource {
        /// Its name.
        name: String,
    },
    /// Both ports the same.
    #[error("xml_port and interactive_port are both {port}; give them different ports")]
    SamePort {
        /// The port.
        port: u16,
    },
    /// No server in the line.
    #[error("memcached_parameters names no server; write --SERVER=host or --SERVER=host:port")]
    NoMemcachedServer,
}

/// With spaces for control characters, which would move the caret.
fn on_one_line(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(visible).collect()
}
