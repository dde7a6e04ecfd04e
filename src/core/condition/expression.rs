//! The tree of a condition.
//!
//! Only its shape: `parse` builds it, `value` evaluates it.

/// A tree of operations, and the values at its leaves.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    /// A literal.
    Number(f64),
    /// A string in quotes, in pieces.
    Text(Vec<Piece>),
    /// `$host`, outside of quotes.
    Name(Name),
    /// `(1, 2)` or `[1, 2]`.
    List(Vec<Expression>),
    /// `abs(…)`, with as many arguments as it takes.
    Call(Function, Vec<Expression>),
    /// `-…`; with `false`: `+…`.
    Signed(bool, Box<Expression>),
    /// Operators of one precedence, left to right: `a + b - c`.
    Chain(Box<Expression>, Vec<(Operator, Expression)>),
    /// Each operand with the one before it, as in `1 < $val < 5`.
    Compare(Box<Expression>, Vec<(Relation, Expression)>),
    /// `not …`.
    Not(Box<Expression>),
    /// The first that is true, or the last.
    Or(Vec<Expression>),
    /// The first that is false, or the last.
    And(Vec<Expression>),
}

/// A piece of a string in quotes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// As written.
    Plain(String),
    /// The text of `$val` or another name.
    Name(Name),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Val,
    Host,
    Ip,
    Cluster,
    Metric,
    Units,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    Float,
    Int,
    Len,
    Max,
    Min,
    Round,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
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
pub(super) enum Operator {
    Plus,
    Minus,
    Times,
    Over,
    /// Python's `//`.
    WholeOver,
    /// Python's `%`: the result has the sign of the divisor.
    Rest,
    /// Python's `**`.
    Power,
}

impl Name {
    pub fn known(name: &str) -> Option<Name> {
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
    pub fn known(name: &str) -> Option<Function> {
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

    /// Whether it takes these arguments.
    pub fn takes(self, values: &[Expression]) -> bool {
        match (self, values) {
            (Function::Max | Function::Min, [one]) => matches!(one, Expression::List(_)),
            (Function::Max | Function::Min, values) => !values.is_empty(),
            (Function::Round, values) => (1..=2).contains(&values.len()),
            (_, values) => values.len() == 1,
        }
    }
}
