//! What can be wrong with a configuration, and how it is said.
//!
//! Decides nothing: the reader and the directives do.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::values::Fault;
use super::{Location, Notice};
use gmetad_core::condition::ConditionError;

/// Everything that is wrong with a configuration.
#[derive(Debug, Error, PartialEq, Eq)]
pub struct ConfigErrors {
    /// In the order of its files and lines; never empty.
    pub errors: Vec<ConfigError>,
    /// What is only strange.
    pub notices: Vec<Notice>,
    /// The user to become, as far as the files could be read: whether there is one is another
    /// mistake.
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
    /// Where; `None` for the file as a whole and for what several lines or options make together.
    pub at: Option<Location>,
    /// What, and what would be right.
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
    /// There is none.
    #[error(
        "cannot read {}: {reason}; an example to copy there is {}",
        path.display(),
        example.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        reason: String,
        /// Another that is there.
        example: PathBuf,
    },
    /// A folder that a pattern names.
    #[error("Include: cannot look into {}: {reason}", path.display())]
    Unsearchable {
        /// The folder, or what is in it.
        path: PathBuf,
        /// The system's own words.
        reason: String,
    },
    /// Most likely not a configuration at all.
    #[error(
        "this is no text: the line has a byte of value 0; write the file as UTF-8 or Latin-1, or \
         name another file with -c"
    )]
    NoText,
    /// As unlikely.
    #[error("{} is over {limit_bytes} bytes, more than a configuration has", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The limit it is over.
        limit_bytes: usize,
    },
    /// A file reaches itself again.
    #[error("{} includes itself; take one of the Include lines out", path.display())]
    IncludeLoop {
        /// The file.
        path: PathBuf,
    },
    /// Files in files in files.
    #[error(
        "{} is included through {limit} files; include it more directly, and see that no file \
         includes itself by another name",
        path.display()
    )]
    TooDeep {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// More files than a configuration has.
    #[error("more than {limit} files are included; put some of them together")]
    TooManyFiles {
        /// The limit.
        limit: usize,
    },
    /// A glob pattern that is none.
    #[error("Include: \"{pattern}\" is not a pattern: {reason}")]
    Pattern {
        /// As written.
        pattern: String,
        /// What the pattern's parser says.
        reason: String,
    },
    /// A quote without its other end.
    #[error("a quote is not closed; put its other end on the same line")]
    UnclosedQuote,
    /// A section that the end of the file closes.
    #[error("section {id} is not closed; put a }} on a line of its own after its last directive")]
    UnclosedSection {
        /// The section.
        id: String,
    },
    /// A section that starts inside another.
    #[error(
        "section {inner} starts inside section {outer} of line {line}; close that one first, with \
         a }} on a line of its own"
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
    #[error("this }} closes no section; take it out")]
    StrayBrace,
    /// An opening brace without an id.
    #[error("this {{ has no section; write the plugin's id before it, as in rrd {{")]
    NamelessSection,
    /// More than an id before a brace.
    #[error(
        "\"{extra}\" stands between {id} and {{; a section starts with its id alone, and a brace \
         that is a value stands in quotes"
    )]
    LongHeading {
        /// The first word.
        id: String,
        /// The second.
        extra: String,
    },
    /// Something behind a brace.
    #[error("\"{extra}\" stands behind a brace; give it a line of its own")]
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
    #[error("{directive} takes {expected}; \"{extra}\" is too much")]
    TooMuch {
        /// The directive.
        directive: &'static str,
        /// What it takes.
        expected: &'static str,
        /// The first word that is too much.
        extra: String,
    },
    /// A directive with less than it takes.
    #[error("{directive} is not complete; it takes {expected}")]
    Incomplete {
        /// The directive.
        directive: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A rule whose condition is none.
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
    #[error("metricrule is not complete, {missing} is missing; it takes {expected}\n    {}\n    {:column$}^",
        on_one_line(text), "", column = text.chars().count())]
    RuleEnds {
        /// What stands there.
        text: String,
        /// What does not.
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
    #[error("data_source: a name of several words stands in quotes, as in data_source \"{name}\"")]
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
    #[error("data_source \"{name}\" is there already, at {first}; give each its own name")]
    SourceTwice {
        /// The name.
        name: String,
        /// The one that has it.
        first: Location,
    },
    /// Both ports the same.
    #[error("xml_port and interactive_port are both {port}; give them different ports")]
    SamePort {
        /// The port.
        port: u16,
    },
    /// A memcached line that names nowhere to send to.
    #[error("memcached_parameters names no server; write --SERVER=host or --SERVER=host:port")]
    NoMemcachedServer,
}

/// With a blank for what would move the caret away from its place.
fn on_one_line(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(visible).collect()
}
