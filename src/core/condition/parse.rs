//! From a condition's tokens to its tree, by Python's precedence.
//!
//! Evaluates nothing.

use super::error::{ConditionError, ConditionFault};
use super::expression::{Expression, Function, Operator, Relation};
use super::tokens::{Placed, Token, tokens_of};

/// Most bytes of a text.
const LIMIT_BYTES: usize = 1000;

/// Deepest nesting of parentheses, signs and the like, so that neither reading nor evaluation
/// exhausts the stack. Operands side by side are a list and do not nest.
const LIMIT_DEPTH: usize = 50;

/// The tree of a text.
pub(super) fn expression_of(text: &str) -> Result<Expression, ConditionError> {
    if text.len() > LIMIT_BYTES {
        return Err(ConditionFault::TooMuch.at(0));
    }
    let mut parser = Parser {
        tokens: tokens_of(text)?,
        next: 0,
        depth: 0,
    };
    let whole = parser.disjunction()?;
    match parser.peek() {
        Token::End => Ok(whole),
        _ => Err(ConditionFault::Beyond.at(parser.column())),
    }
}

type Parsed = Result<Expression, ConditionError>;

struct Parser {
    tokens: Vec<Placed>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].token
    }

    fn column(&self) -> usize {
        self.tokens[self.next].column
    }

    /// Goes on to the next token; stays at `End`.
    fn step(&mut self) {
        self.next = (self.next + 1).min(self.tokens.len() - 1);
    }

    fn takes(&mut self, token: &Token) -> bool {
        let found = self.peek() == token;
        if found {
            self.step();
        }
        found
    }

    /// Parses a part that is one level deeper.
    fn deeper(&mut self, part: fn(&mut Parser) -> Parsed) -> Parsed {
        if self.depth == LIMIT_DEPTH {
            return Err(ConditionFault::TooMuch.at(self.column()));
        }
        self.depth += 1;
        let part = part(self)?;
        self.depth -= 1;
        Ok(part)
    }

    /// `a or b or c`.
    fn disjunction(&mut self) -> Parsed {
        self.list(&Token::Or, Parser::conjunction, Expression::Or)
    }

    /// `a and b and c`.
    fn conjunction(&mut self) -> Parsed {
        self.list(&Token::And, Parser::negation, Expression::And)
    }

    fn list(
        &mut self,
        token: &Token,
        part: fn(&mut Parser) -> Parsed,
        whole: fn(Vec<Expression>) -> Expression,
    ) -> Parsed {
        let first = part(self)?;
        if self.peek() != token {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.takes(token) {
            parts.push(part(self)?);
        }
        Ok(whole(parts))
    }

    /// `not a`; as loose as in Python, however it is spelled.
    fn negation(&mut self) -> Parsed {
        if !self.takes(&Token::Not) {
            return self.comparison();
        }
        let opposite = self.deeper(Parser::negation)?;
        Ok(Expression::Not(Box::new(opposite)))
    }

    /// `a < b <= c`, `a in b`.
    fn comparison(&mut self) -> Parsed {
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

    /// Takes a relation; `not in` is two words.
    fn relation(&mut self) -> Option<Relation> {
        let relation = match *self.peek() {
            Token::Relation(relation) => relation,
            Token::Not => {
                let after = self.tokens.get(self.next + 1)?;
                if after.token != Token::Relation(Relation::In) {
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
    fn sum(&mut self) -> Parsed {
        self.chain(Parser::product, |operator| {
            matches!(operator, Operator::Plus | Operator::Minus)
        })
    }

    /// `a * b / c`.
    fn product(&mut self) -> Parsed {
        self.chain(Parser::signed, |operator| {
            use Operator::{Over, Rest, Times, WholeOver};
            matches!(operator, Times | Over | WholeOver | Rest)
        })
    }

    fn chain(&mut self, part: fn(&mut Parser) -> Parsed, is_ours: fn(Operator) -> bool) -> Parsed {
        let first = part(self)?;
        let mut others = Vec::new();
        while let Token::Operator(operator) = *self.peek() {
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
    fn signed(&mut self) -> Parsed {
        let is_minus = match self.peek() {
            Token::Operator(Operator::Minus) => true,
            Token::Operator(Operator::Plus) => false,
            _ => return self.power(),
        };
        self.step();
        let of = self.deeper(Parser::signed)?;
        Ok(Expression::Signed(is_minus, Box::new(of)))
    }

    /// `a ** b`; `b` may have a sign, or be a power itself.
    fn power(&mut self) -> Parsed {
        let base = self.single()?;
        if !self.takes(&Token::Operator(Operator::Power)) {
            return Ok(base);
        }
        let exponent = self.deeper(Parser::signed)?;
        let whole = vec![(Operator::Power, exponent)];
        Ok(Expression::Chain(Box::new(base), whole))
    }

    /// A value, a call, or an expression in parentheses.
    fn single(&mut self) -> Parsed {
        let column = self.column();
        let token = self.peek().clone();
        let value = match token {
            Token::Number(number) => Expression::Number(number),
            Token::Text(pieces) => Expression::Text(pieces),
            Token::Name(name) => Expression::Name(name),
            Token::Function(function) => {
                self.step();
                return self.call(function, column);
            }
            Token::Open | Token::OpenBracket => {
                self.step();
                return self.enclosed(&token, column);
            }
            _ => return Err(ConditionFault::NoValue.at(column)),
        };
        self.step();
        Ok(value)
    }

    fn call(&mut self, function: Function, column: usize) -> Parsed {
        let open = self.column();
        if !self.takes(&Token::Open) {
            return Err(ConditionFault::NoCall.at(column));
        }
        let (values, _) = self.values(&Token::Open, open)?;
        if !function.takes(&values) {
            return Err(ConditionFault::Arguments.at(column));
        }
        Ok(Expression::Call(function, values))
    }

    /// The rest after an opening parenthesis or bracket: one value; a list, if there is a comma or a
    /// bracket.
    fn enclosed(&mut self, open: &Token, column: usize) -> Parsed {
        let (mut values, has_comma) = self.values(open, column)?;
        match values.pop() {
            Some(only) if *open == Token::Open && values.is_empty() && !has_comma => Ok(only),
            last => {
                values.extend(last);
                Ok(Expression::List(values))
            }
        }
    }

    /// Values between commas, up to the closing parenthesis or bracket, and whether there was a comma.
    fn values(
        &mut self,
        open: &Token,
        column: usize,
    ) -> Result<(Vec<Expression>, bool), ConditionError> {
        let (close, not_closed) = match open {
            Token::OpenBracket => (Token::CloseBracket, ConditionFault::OpenBracket),
            _ => (Token::Close, ConditionFault::OpenParenthesis),
        };
        let mut values = Vec::new();
        let mut has_comma = false;
        while !self.takes(&close) {
            if *self.peek() == Token::End {
                return Err(not_closed.at(column));
            }
            values.push(self.deeper(Parser::disjunction)?);
            if self.takes(&Token::Comma) {
                has_comma = true;
            } else if !matches!(self.peek(), Token::End) && *self.peek() != close {
                return Err(ConditionFault::Beyond.at(self.column()));
            }
        }
        Ok((values, has_comma))
    }
}
