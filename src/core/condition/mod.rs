//! Conditions over a metric's value, as in `$val > 5 and '$host' != 'web1'`: text in, a test out.
//!
//! No configuration, no metrics and no alerts here: a text, and later a subject, come from outside.
//!
//! What it means is what Python 3 makes of it, where that is understood at all; `parse` has the
//! grammar, `value` what is counted. Beside Python there are `&&`, `||` and `!`, and names outside
//! of quotes.

use std::fmt;

use thiserror::Error;

mod parse;
mod value;
mod words;

/// A condition that was understood.
#[derive(Clone, PartialEq)]
pub struct Condition {
    text: String,
    whole: Expression,
}

/// What a condition is held against: a metric of a host.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// `$val`: the metric's value.
    pub val: &'a str,
    /// `$host`.
    pub host: &'a str,
    /// `$ip`: the host's address.
    pub ip: &'a str,
    /// `$cluster`.
    pub cluster: &'a str,
    /// `$metric`: its name.
    pub metric: &'a str,
    /// `$units`: the metric's.
    pub units: &'a str,
}

/// Why a text is no condition, and where.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{fault}")]
pub struct ConditionError {
    /// What is wrong, and what would be right.
    pub fault: ConditionFault,
    /// Where, in characters from the start of the text.
    pub column: usize,
}

/// What can be wrong with a condition.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ConditionFault {
    /// More than anybody writes.
    #[error("the condition is too long or too deep; make several rules of it")]
    TooMuch,
    /// A text that has no other end.
    #[error("the text is not closed; put its other quote behind it")]
    OpenText,
    /// A character that means nothing here.
    #[error("this character has no meaning in a condition")]
    Character,
    /// One `=`.
    #[error("= sets a value; write == to compare")]
    Assignment,
    /// A single `&` or `|`.
    #[error("write && or ||, or and or or")]
    SingleSign,
    /// Digits that are no number.
    #[error("this is not a number")]
    Number,
    /// A word that nothing is known by.
    #[error(
        "this word is not known; the value is $val, a text stands in quotes, and gmetad.conf(5) \
         lists the functions"
    )]
    Word,
    /// A name after `$` that nothing is known by.
    #[error("only $val, $host, $ip, $cluster, $metric and $units are known")]
    Name,
    /// `.name` behind something.
    #[error("there are no methods here; `'part' in '$val'` tells whether a text has a part")]
    Method,
    /// A function's name alone.
    #[error("this is a function; put what it is of in parentheses, as in abs($val)")]
    NoCall,
    /// Less or more values than a function takes.
    #[error(
        "this function takes another number of values: round one or two, min and max several or a list, all others one"
    )]
    Arguments,
    /// The end, or a sign, where a value should be.
    #[error("a value is missing here, such as $val or 5")]
    NoValue,
    /// A parenthesis that is not closed.
    #[error("this parenthesis is not closed; write )")]
    OpenParenthesis,
    /// A bracket that is not closed.
    #[error("this bracket is not closed; write ]")]
    OpenBracket,
    /// Two values side by side.
    #[error("and, or, or an end is expected here")]
    Beyond,
    /// `in` before a number alone.
    #[error("in takes a list; write it as (1, 2), and one of a single value as (1,)")]
    NoList,
    /// A condition that stands without quotes.
    #[error("the condition must stand in quotes, as in \"$val > 5\"")]
    Bare,
}

/// Why it cannot be told whether a condition holds.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Doubt {
    /// A value where a number is needed.
    #[error("\"{0}\" is not a number")]
    NoNumber(String),
    /// A text in quotes where a number is needed.
    #[error(
        "a text cannot be counted with; only $val without quotes, float() and int() are numbers"
    )]
    Text,
    /// `'a' < 5`.
    #[error("a text and a number cannot be ordered; in quotes, $val is a text")]
    Mixed,
    /// A list where one value is needed.
    #[error("a list cannot be counted with or ordered")]
    List,
    /// By zero.
    #[error("it divides by zero")]
    Division,
    /// Infinite, or not real.
    #[error("a result is too large, or is no number")]
    TooLarge,
    /// `in` before something that has nothing in it.
    #[error("in takes a list or a text")]
    NothingIn,
    /// `len(5)`.
    #[error("a number has no length; write len('$val')")]
    NoLength,
    /// `max(())`.
    #[error("min and max need something to choose from")]
    Empty,
}

/// What has a value.
#[derive(Clone, Debug, PartialEq)]
enum Expression {
    /// As written.
    Number(f64),
    /// In quotes, in pieces.
    Text(Vec<Piece>),
    /// `$host`, outside of quotes.
    Name(Name),
    /// `(1, 2)` or `[1, 2]`.
    List(Vec<Expression>),
    /// `abs(…)`, with as many values as it takes.
    Call(Function, Vec<Expression>),
    /// `-…`, or with `false` `+…`.
    Signed(bool, Box<Expression>),
    /// One after the other, all binding alike: `a + b - c`.
    Chain(Box<Expression>, Vec<(Operator, Expression)>),
    /// Each with the one before it, as in `1 < $val < 5`.
    Compare(Box<Expression>, Vec<(Relation, Expression)>),
    /// The opposite.
    Not(Box<Expression>),
    /// The first that is true, or the last.
    Or(Vec<Expression>),
    /// The first that is false, or the last.
    And(Vec<Expression>),
}

/// Of a text in quotes.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    /// As written.
    Plain(String),
    /// `$val`, in its place.
    Name(Name),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Val,
    Host,
    Ip,
    Cluster,
    Metric,
    Units,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Abs,
    Float,
    Int,
    Len,
    Max,
    Min,
    Round,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Plus,
    Minus,
    Times,
    Over,
    /// Python's `//`.
    WholeOver,
    /// Python's `%`, which has the sign of what it divides by.
    Rest,
    /// Python's `**`.
    Power,
}

impl Condition {
    /// Understands a text.
    pub fn parse(text: &str) -> Result<Condition, ConditionError> {
        Ok(Condition {
            text: text.to_owned(),
            whole: parse::expression_of(text)?,
        })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds for this subject.
    ///
    /// As in Python, what comes after a decision is not looked at.
    pub fn holds(&self, subject: &Subject<'_>) -> Result<bool, Doubt> {
        self.whole.of(subject)?.is_true()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({:?})", self.text)
    }
}

impl Name {
    fn known(name: &str) -> Option<Name> {
        Some(match name {
            "val" => Name::Val,
            "host" => Name::Host,
            "ip" => Name::Ip,
            "cluster" => Name::Cluster,
            "metric" => Name::Metric,
            "units" => Name::Units,
            _ => return None,
        })
    }
}

impl Function {
    fn known(name: &str) -> Option<Function> {
        Some(match name {
            "abs" => Function::Abs,
            "float" => Function::Float,
            "int" => Function::Int,
            "len" => Function::Len,
            "max" => Function::Max,
            "min" => Function::Min,
            "round" => Function::Round,
            _ => return None,
        })
    }

    /// Whether it can be of these.
    fn takes(self, values: &[Expression]) -> bool {
        match (self, values) {
            (Function::Max | Function::Min, [one]) => matches!(one, Expression::List(_)),
            (Function::Max | Function::Min, values) => !values.is_empty(),
            (Function::Round, values) => (1..=2).contains(&values.len()),
            (_, values) => values.len() == 1,
        }
    }
}

#[cfg(test)]
mod tests;
