//! The value of a condition's tree, by the rules of Python 3.
//!
//! All numbers are 64-bit floats, so whole ones are exact up to 2^53. True and False are 1 and 0.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::error::Doubt;
use super::expression::{Expression, Function, Name, Operator, Piece, Relation};
use crate::model::parse_number;

/// Most digits after the point that `round` takes. A float has fewer.
const ROUND_DIGITS: f64 = 300.0;

/// What a condition is evaluated for: a metric of a host.
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

/// The value of an expression.
pub(super) enum Value<'a> {
    Number(f64),
    Text(Cow<'a, str>),
    /// `$val` outside of quotes: a number where one is needed, a string beside a string.
    Own(&'a str),
    List(Vec<Value<'a>>),
}

impl Expression {
    /// Its value. `parse` limits how deep the tree, and so this recursion, can be.
    pub(super) fn of<'a>(&'a self, subject: &Subject<'a>) -> Result<Value<'a>, Doubt> {
        Ok(match self {
            Expression::Number(number) => Value::Number(*number),
            Expression::Text(pieces) => Value::Text(text_of(pieces, subject)),
            Expression::Name(Name::Val) => Value::Own(subject.val),
            Expression::Name(name) => Value::Text(subject.text_of(*name).into()),
            Expression::List(list) => Value::List(all_of(list, subject)?),
            Expression::Call(function, values) => function.of(all_of(values, subject)?)?,
            Expression::Signed(is_minus, value) => {
                let number = value.of(subject)?.number()?;
                Value::Number(if *is_minus { -number } else { number })
            }
            Expression::Chain(first, others) => {
                let mut number = first.of(subject)?.number()?;
                for (operator, other) in others {
                    number = operator.of(number, other.of(subject)?.number()?)?;
                }
                Value::Number(number)
            }
            Expression::Compare(first, others) => truth(compare(first, others, subject)?),
            Expression::Not(opposite) => truth(!opposite.of(subject)?.is_true()?),
            Expression::Or(parts) => decided(parts, true, subject)?,
            Expression::And(parts) => decided(parts, false, subject)?,
        })
    }
}

impl<'a> Subject<'a> {
    fn text_of(&self, name: Name) -> &'a str {
        match name {
            Name::Val => self.val,
            Name::Host => self.host,
            Name::Ip => self.ip,
            Name::Cluster => self.cluster,
            Name::Metric => self.metric,
            Name::Units => self.units,
        }
    }
}

fn text_of<'a>(pieces: &'a [Piece], subject: &Subject<'a>) -> Cow<'a, str> {
    let text = |piece: &'a Piece| match piece {
        Piece::Plain(text) => text.as_str(),
        Piece::Name(name) => subject.text_of(*name),
    };
    match pieces {
        [only] => text(only).into(),
        pieces => pieces.iter().map(text).collect::<String>().into(),
    }
}

fn all_of<'a>(
    expressions: &'a [Expression],
    subject: &Subject<'a>,
) -> Result<Vec<Value<'a>>, Doubt> {
    expressions.iter().map(|it| it.of(subject)).collect()
}

fn truth<'a>(holds: bool) -> Value<'a> {
    Value::Number(if holds { 1.0 } else { 0.0 })
}

/// The first operand whose truth is `wanted`, or the last one.
fn decided<'a>(
    parts: &'a [Expression],
    wanted: bool,
    subject: &Subject<'a>,
) -> Result<Value<'a>, Doubt> {
    let mut decided = truth(!wanted);
    for part in parts {
        decided = part.of(subject)?;
        if decided.is_true()? == wanted {
            break;
        }
    }
    Ok(decided)
}

fn compare<'a>(
    first: &'a Expression,
    others: &'a [(Relation, Expression)],
    subject: &Subject<'a>,
) -> Result<bool, Doubt> {
    let mut left = first.of(subject)?;
    for (relation, right) in others {
        let right = right.of(subject)?;
        if !relation.holds(&left, &right)? {
            return Ok(false);
        }
        left = right;
    }
    Ok(true)
}

fn number_in(text: &str) -> Result<f64, Doubt> {
    parse_number(text.as_bytes())
        .map(|number| number.value)
        .ok_or_else(|| Doubt::NoNumber(text.to_owned()))
}

impl Value<'_> {
    fn number(&self) -> Result<f64, Doubt> {
        match self {
            Value::Number(number) => Ok(*number),
            Value::Own(text) => number_in(text),
            Value::Text(_) => Err(Doubt::Text),
            Value::List(_) => Err(Doubt::List),
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Own(text) => Some(text),
            Value::Number(_) | Value::List(_) => None,
        }
    }

    fn is_quoted(&self) -> bool {
        matches!(self, Value::Text(_))
    }

    /// Python's truth of it.
    pub(super) fn is_true(&self) -> Result<bool, Doubt> {
        match self {
            Value::Text(text) => Ok(!text.is_empty()),
            Value::List(list) => Ok(!list.is_empty()),
            Value::Number(_) | Value::Own(_) => Ok(self.number()? != 0.0),
        }
    }

    fn equals(&self, other: &Value<'_>) -> Result<bool, Doubt> {
        if let (Value::List(left), Value::List(right)) = (self, other) {
            if left.len() != right.len() {
                return Ok(false);
            }
            for (left, right) in left.iter().zip(right) {
                if !left.equals(right)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        match (self.text(), other.text()) {
            (Some(left), Some(right)) if self.is_quoted() || other.is_quoted() => Ok(left == right),
            (Some(left), Some(right)) if left == right => Ok(true),
            _ if self.is_quoted() || other.is_quoted() => Ok(false),
            _ if matches!(self, Value::List(_)) || matches!(other, Value::List(_)) => Ok(false),
            _ => Ok(self.number()? == other.number()?),
        }
    }

    fn order(&self, other: &Value<'_>) -> Result<Ordering, Doubt> {
        if matches!(self, Value::List(_)) || matches!(other, Value::List(_)) {
            return Err(Doubt::List);
        }
        if self.is_quoted() || other.is_quoted() {
            return match (self.text(), other.text()) {
                (Some(left), Some(right)) => Ok(left.cmp(right)),
                _ => Err(Doubt::Mixed),
            };
        }
        // Both are finite.
        let order = self.number()?.partial_cmp(&other.number()?);
        order.ok_or(Doubt::TooLarge)
    }

    /// Python's `in`: an item of a list, or a part of a string.
    fn is_in(&self, whole: &Value<'_>) -> Result<bool, Doubt> {
        match whole {
            Value::List(list) => {
                for one in list {
                    if self.equals(one)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Value::Text(whole) => Ok(whole.contains(self.text().ok_or(Doubt::Mixed)?)),
            Value::Own(whole) => Ok(whole.contains(self.text().ok_or(Doubt::Mixed)?)),
            Value::Number(_) => Err(Doubt::NothingIn),
        }
    }

    fn length(&self) -> Result<usize, Doubt> {
        match self {
            Value::Text(text) => Ok(text.chars().count()),
            Value::Own(text) if number_in(text).is_err() => Ok(text.chars().count()),
            Value::List(list) => Ok(list.len()),
            Value::Number(_) | Value::Own(_) => Err(Doubt::NoLength),
        }
    }
}

impl Relation {
    fn holds(self, left: &Value<'_>, right: &Value<'_>) -> Result<bool, Doubt> {
        Ok(match self {
            Relation::Equal => left.equals(right)?,
            Relation::Unequal => !left.equals(right)?,
            Relation::In => left.is_in(right)?,
            Relation::NotIn => !left.is_in(right)?,
            Relation::Less => left.order(right)?.is_lt(),
            Relation::LessOrEqual => left.order(right)?.is_le(),
            Relation::Greater => left.order(right)?.is_gt(),
            Relation::GreaterOrEqual => left.order(right)?.is_ge(),
        })
    }
}

impl Operator {
    fn of(self, left: f64, right: f64) -> Result<f64, Doubt> {
        let divides = matches!(self, Operator::Over | Operator::WholeOver | Operator::Rest);
        if right == 0.0 && divides || left == 0.0 && right < 0.0 && self == Operator::Power {
            return Err(Doubt::Division);
        }
        finite(match self {
            Operator::Plus => left + right,
            Operator::Minus => left - right,
            Operator::Times => left * right,
            Operator::Over => left / right,
            Operator::WholeOver => whole_over(left, right),
            Operator::Rest => rest(left, right),
            Operator::Power => left.powf(right),
        })
    }
}

fn finite(number: f64) -> Result<f64, Doubt> {
    if number.is_finite() {
        Ok(number)
    } else {
        Err(Doubt::TooLarge)
    }
}

/// The remainder, with the sign of the divisor.
fn rest(left: f64, right: f64) -> f64 {
    let rest = left % right;
    if rest != 0.0 && (rest < 0.0) != (right < 0.0) {
        rest + right
    } else {
        rest
    }
}

/// The quotient without the remainder, so that the two always add up to the whole.
fn whole_over(left: f64, right: f64) -> f64 {
    ((left - rest(left, right)) / right).round_ties_even()
}

impl Function {
    /// Calls it with as many arguments as it takes.
    fn of(self, mut values: Vec<Value<'_>>) -> Result<Value<'_>, Doubt> {
        let number = match (self, values.as_slice()) {
            (Function::Abs, [value]) => value.number()?.abs(),
            (Function::Float, [value]) => float(value)?,
            (Function::Int, [value]) => int(value)?,
            (Function::Len, [value]) => value.length()? as f64,
            (Function::Round, [value]) => value.number()?.round_ties_even(),
            (Function::Round, [value, digits]) => round(value.number()?, digits.number()?)?,
            (Function::Max | Function::Min, [Value::List(_)]) => {
                return match values.pop() {
                    Some(Value::List(list)) => self.chosen(list),
                    _ => Err(Doubt::Empty),
                };
            }
            (Function::Max | Function::Min, [_, _, ..]) => return self.chosen(values),
            _ => return Err(Doubt::Empty),
        };
        Ok(Value::Number(number))
    }

    /// The largest or the smallest value; the first of equal ones.
    fn chosen(self, values: Vec<Value<'_>>) -> Result<Value<'_>, Doubt> {
        let wanted = match self {
            Function::Max => Ordering::Greater,
            _ => Ordering::Less,
        };
        let mut values = values.into_iter();
        let mut chosen = values.next().ok_or(Doubt::Empty)?;
        for value in values {
            if value.order(&chosen)? == wanted {
                chosen = value;
            }
        }
        Ok(chosen)
    }
}

/// Python's `float`: a string is read as a number.
fn float(value: &Value<'_>) -> Result<f64, Doubt> {
    match value {
        Value::Text(text) => number_in(text),
        value => value.number(),
    }
}

/// Python's `int`: a number loses its fraction, a string must have none.
fn int(value: &Value<'_>) -> Result<f64, Doubt> {
    let Value::Text(text) = value else {
        return Ok(value.number()?.trunc());
    };
    let digits = text.trim().trim_start_matches(['+', '-']);
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_whole {
        number_in(text)
    } else {
        Err(Doubt::NoNumber(text.to_string()))
    }
}

/// Rounds to so many digits after the point, or before it; a half goes to the even one.
fn round(number: f64, digits: f64) -> Result<f64, Doubt> {
    if digits.fract() != 0.0 {
        return Err(Doubt::TooLarge);
    }
    if digits > ROUND_DIGITS {
        return Ok(number);
    }
    if digits < -ROUND_DIGITS {
        return Ok(0.0);
    }
    if digits >= 0.0 {
        let digits = digits as usize;
        // Formatting rounds the number's exact value. A product would be rounded twice.
        return finite(format!("{number:.digits$}").parse().unwrap_or(number));
    }
    let unit = 10_f64.powf(-digits);
    finite((number / unit).round_ties_even() * unit)
}
