//! From a condition's signs to its tree, by what binds tighter in Python.
//!
//! Evaluates nothing.

use super::words::{Sign, Word, words_of};
use super::{ConditionError, ConditionFault, Expression, Function, Operator, Relation};

/// Longer texts are refused.
const LIMIT_BYTES: usize = 1000;

/// How deep parentheses, signs and the like may stand in each other, so that neither reading nor
/// counting takes the stack. What stands side by side is a list, however long.
const LIMIT_DEPTH: usize = 50;

/// The tree of a text.
pub(super) fn expression_of(text: &str) -> Result<Expression, ConditionError> {
    if text.len() > LIMIT_BYTES {
        return Err(ConditionFault::TooMuch.at(0));
    }
    let mut parser = Parser {
        words: words_of(text)?,
        next: 0,
        depth: 0,
    };
    let whole = parser.either()?;
    match parser.peek() {
        Sign::End => Ok(whole),
        _ => Err(ConditionFault::Beyond.at(parser.column())),
    }
}

type Read = Result<Expression, ConditionError>;

struct Parser {
    words: Vec<Word>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Sign {
        &self.words[self.next].sign
    }

    fn column(&self) -> usize {
        self.words[self.next].column
    }

    /// Goes on to the next sign; the end stays.
    fn step(&mut self) {
        self.next = (self.next + 1).min(self.words.len() - 1);
    }

    fn takes(&mut self, sign: &Sign) -> bool {
        let found = self.peek() == sign;
        if found {
            self.step();
        }
        found
    }

    /// What stands in parentheses or behind a sign.
    fn deeper(&mut self, part: fn(&mut Parser) -> Read) -> Read {
        if self.depth == LIMIT_DEPTH {
            return Err(ConditionFault::TooMuch.at(self.column()));
        }
        self.depth += 1;
        let part = part(self)?;
        self.depth -= 1;
        Ok(part)
    }

    /// `a or b or c`.
    fn either(&mut self) -> Read {
        self.list(&Sign::Or, Parser::both, Expression::Or)
    }

    /// `a and b and c`.
    fn both(&mut self) -> Read {
        self.list(&Sign::And, Parser::negation, Expression::And)
    }

    fn list(
        &mut self,
        sign: &Sign,
        part: fn(&mut Parser) -> Read,
        whole: fn(Vec<Expression>) -> Expression,
    ) -> Read {
        let first = part(self)?;
        if self.peek() != sign {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.takes(sign) {
            parts.push(part(self)?);
        }
        Ok(whole(parts))
    }

    /// `not a`; as loose as in Python, however it is spelled.
    fn negation(&mut self) -> Read {
        if !self.takes(&Sign::Not) {
            return self.comparison();
        }
        let opposite = self.deeper(Parser::negation)?;
        Ok(Expression::Not(Box::new(opposite)))
    }

    /// `a < b <= c`, `a in b`.
    fn comparison(&mut self) -> Read {
        let first = self.sum()?;
        let mut others = Vec::new();
        while let Some(relation) = self.relation() {
            let column = self.column();
            let right = self.sum()?;
            let is_in = matches!(relation, Relation::In | Relation::NotIn);
            if is_in && matches!(right, Expression::Number(_)) {
                return Err(ConditionFault::NoList.at(column));
            }
            others.push((relation, right));
        }
        if others.is_empty() {
            return Ok(first);
        }
        Ok(Expression::Compare(Box::new(first), others))
    }

    /// Takes a relation, which may be of two words.
    fn relation(&mut self) -> Option<Relation> {
        let relation = match *self.peek() {
            Sign::Relation(relation) => relation,
            Sign::Not => {
                let after = self.words.get(self.next + 1)?;
                if after.sign != Sign::Relation(Relation::In) {
                    return None;
                }
                self.step();
                Relation::NotIn
            }
            _ => return None,
        };
        self.step();
        Some(relation)
    }

    /// `a + b - c`.
    fn sum(&mut self) -> Read {
        self.chain(Parser::product, |operator| {
            matches!(operator, Operator::Plus | Operator::Minus)
        })
    }

    /// `a * b / c`.
    fn product(&mut self) -> Read {
        self.chain(Parser::signed, |operator| {
            use Operator::{Over, Rest, Times, WholeOver};
            matches!(operator, Times | Over | WholeOver | Rest)
        })
    }

    fn chain(&mut self, part: fn(&mut Parser) -> Read, is_ours: fn(Operator) -> bool) -> Read {
        let first = part(self)?;
        let mut others = Vec::new();
        while let Sign::Operator(operator) = *self.peek() {
            if !is_ours(operator) {
                break;
            }
            self.step();
            others.push((operator, part(self)?));
        }
        if others.is_empty() {
            return Ok(first);
        }
        Ok(Expression::Chain(Box::new(first), others))
    }

    /// `-a`, `+a`; binds less than `**`.
    fn signed(&mut self) -> Read {
        let is_minus = match self.peek() {
            Sign::Operator(Operator::Minus) => true,
            Sign::Operator(Operator::Plus) => false,
            _ => return self.power(),
        };
        self.step();
        let of = self.deeper(Parser::signed)?;
        Ok(Expression::Signed(is_minus, Box::new(of)))
    }

    /// `a ** b`; what is behind it may have a sign, or be a power itself.
    fn power(&mut self) -> Read {
        let base = self.single()?;
        if !self.takes(&Sign::Operator(Operator::Power)) {
            return Ok(base);
        }
        let exponent = self.deeper(Parser::signed)?;
        let whole = vec![(Operator::Power, exponent)];
        Ok(Expression::Chain(Box::new(base), whole))
    }

    /// A value, a call, or what stands in parentheses.
    fn single(&mut self) -> Read {
        let column = self.column();
        let sign = self.peek().clone();
        let value = match sign {
            Sign::Number(number) => Expression::Number(number),
            Sign::Text(pieces) => Expression::Text(pieces),
            Sign::Name(name) => Expression::Name(name),
            Sign::Function(function) => {
                self.step();
                return self.call(function, column);
            }
            Sign::Open | Sign::OpenBracket => {
                self.step();
                return self.enclosed(&sign, column);
            }
            _ => return Err(ConditionFault::NoValue.at(column)),
        };
        self.step();
        Ok(value)
    }

    fn call(&mut self, function: Function, column: usize) -> Read {
        let open = self.column();
        if !self.takes(&Sign::Open) {
            return Err(ConditionFault::NoCall.at(column));
        }
        let (values, _) = self.values(&Sign::Open, open)?;
        if !function.takes(&values) {
            return Err(ConditionFault::Arguments.at(column));
        }
        Ok(Expression::Call(function, values))
    }

    /// What stands behind an opening sign: one value, or with a comma or in brackets, a list.
    fn enclosed(&mut self, open: &Sign, column: usize) -> Read {
        let (mut values, has_comma) = self.values(open, column)?;
        match values.pop() {
            Some(only) if *open == Sign::Open && values.is_empty() && !has_comma => Ok(only),
            last => {
                values.extend(last);
                Ok(Expression::List(values))
            }
        }
    }

    /// Values with commas between them, up to the closing sign; whether there was a comma.
    fn values(
        &mut self,
        open: &Sign,
        column: usize,
    ) -> Result<(Vec<Expression>, bool), ConditionError> {
        let (close, not_closed) = match open {
            Sign::OpenBracket => (Sign::CloseBracket, ConditionFault::OpenBracket),
            _ => (Sign::Close, ConditionFault::OpenParenthesis),
        };
        let mut values = Vec::new();
        let mut has_comma = false;
        while !self.takes(&close) {
            if *self.peek() == Sign::End {
                return Err(not_closed.at(column));
            }
            values.push(self.deeper(Parser::either)?);
            if self.takes(&Sign::Comma) {
                has_comma = true;
            } else if !matches!(self.peek(), Sign::End) && *self.peek() != close {
                return Err(ConditionFault::Beyond.at(self.column()));
            }
        }
        Ok((values, has_comma))
    }
}
