//! From a condition's text to its tree: words, then what binds them, then what they can mean.
//!
//! Evaluates nothing.

use super::{Amount, ConditionError, ConditionFault, Operator, Relation, Test};

/// Longer texts are refused, so that a tree cannot be deeper than the stack.
const LIMIT_BYTES: usize = 1000;

/// How deep parentheses and signs may stand in each other.
const LIMIT_DEPTH: usize = 50;

/// The tree of a text.
pub(super) fn test_of(text: &str) -> Result<Test, ConditionError> {
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
        Sign::End => whole.test(),
        _ => Err(ConditionFault::Beyond.at(parser.column())),
    }
}

impl ConditionFault {
    fn at(self, column: usize) -> ConditionError {
        ConditionError {
            fault: self,
            column,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Sign {
    Value,
    Number(f64),
    Text(String),
    And,
    Or,
    Not,
    Relation(Relation),
    Operator(Operator),
    Open,
    Close,
    End,
}

/// A sign, and where it starts in characters.
struct Word {
    sign: Sign,
    column: usize,
}

/// The signs of a text; the last is its end.
fn words_of(text: &str) -> Result<Vec<Word>, ConditionError> {
    let chars: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let (sign, length) = sign_at(&chars[at..]).map_err(|fault| fault.at(at))?;
        words.push(Word { sign, column: at });
        at += length;
    }
    words.push(Word {
        sign: Sign::End,
        column: chars.len(),
    });
    Ok(words)
}

/// The sign that a text, which is not empty, begins with, and its length in characters.
fn sign_at(chars: &[char]) -> Result<(Sign, usize), ConditionFault> {
    let first = chars[0];
    let second = chars.get(1).copied();
    let one = |sign| Ok((sign, 1));
    let two = |sign| Ok((sign, 2));
    let relation = |sign| Sign::Relation(sign);
    let operator = |sign| Sign::Operator(sign);
    match (first, second) {
        ('=', Some('=')) => two(relation(Relation::Equal)),
        ('!', Some('=')) => two(relation(Relation::Unequal)),
        ('<', Some('=')) => two(relation(Relation::LessOrEqual)),
        ('>', Some('=')) => two(relation(Relation::GreaterOrEqual)),
        ('&', Some('&')) => two(Sign::And),
        ('|', Some('|')) => two(Sign::Or),
        ('/', Some('/')) => two(operator(Operator::WholeOver)),
        ('=', _) => Err(ConditionFault::Assignment),
        ('&' | '|', _) => Err(ConditionFault::SingleSign),
        ('!', _) => one(Sign::Not),
        ('<', _) => one(relation(Relation::Less)),
        ('>', _) => one(relation(Relation::Greater)),
        ('+', _) => one(operator(Operator::Plus)),
        ('-', _) => one(operator(Operator::Minus)),
        ('*', _) => one(operator(Operator::Times)),
        ('/', _) => one(operator(Operator::Over)),
        ('%', _) => one(operator(Operator::Rest)),
        ('(', _) => one(Sign::Open),
        (')', _) => one(Sign::Close),
        ('"' | '\'', _) => quoted(chars),
        ('$', _) => {
            let name = word(&chars[1..]);
            match name.as_str() {
                "val" => Ok((Sign::Value, 4)),
                _ => Err(ConditionFault::Name),
            }
        }
        ('0'..='9' | '.', _) => number(chars),
        (c, _) if c.is_alphabetic() || c == '_' => {
            let word = word(chars);
            let sign = match word.as_str() {
                "and" => Sign::And,
                "or" => Sign::Or,
                "not" => Sign::Not,
                _ => return Err(ConditionFault::Word),
            };
            Ok((sign, word.len()))
        }
        _ => Err(ConditionFault::Character),
    }
}

fn word(chars: &[char]) -> String {
    let belongs = |c: &&char| c.is_alphanumeric() || **c == '_';
    chars.iter().take_while(belongs).collect()
}

/// Digits, a point, an exponent; what is joined to them makes it no number.
fn number(chars: &[char]) -> Result<(Sign, usize), ConditionFault> {
    let mut length = 0;
    while let Some(&c) = chars.get(length) {
        let after_exponent = length > 0 && matches!(chars[length - 1], 'e' | 'E');
        let belongs =
            c.is_alphanumeric() || matches!(c, '.' | '_') || (after_exponent && "+-".contains(c));
        if !belongs {
            break;
        }
        length += 1;
    }
    let text: String = chars[..length].iter().collect();
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((Sign::Number(number), length)),
        _ => Err(ConditionFault::Number),
    }
}

/// A text in quotes of either kind; a backslash takes the meaning of a quote or a backslash away.
fn quoted(chars: &[char]) -> Result<(Sign, usize), ConditionFault> {
    let quote = chars[0];
    let mut text = String::new();
    let mut at = 1;
    while let Some(&c) = chars.get(at) {
        match (c, chars.get(at + 1)) {
            (c, _) if c == quote => return Ok((Sign::Text(text), at + 1)),
            ('\\', Some(&escaped @ ('\\' | '\'' | '"'))) => {
                text.push(escaped);
                at += 2;
            }
            _ => {
                text.push(c);
                at += 1;
            }
        }
    }
    Err(ConditionFault::OpenText)
}

/// What has been read, and where it starts.
struct Part {
    meaning: Meaning,
    column: usize,
}

enum Meaning {
    Test(Test),
    Amount(Amount),
    Text(String),
}

impl Part {
    fn test(self) -> Result<Test, ConditionError> {
        match self.meaning {
            Meaning::Test(test) => Ok(test),
            Meaning::Amount(_) | Meaning::Text(_) => Err(ConditionFault::NoTest.at(self.column)),
        }
    }

    fn amount(self) -> Result<Amount, ConditionError> {
        match self.meaning {
            Meaning::Amount(amount) => Ok(amount),
            Meaning::Test(_) => Err(ConditionFault::NoNumber.at(self.column)),
            Meaning::Text(_) => Err(ConditionFault::Text.at(self.column)),
        }
    }
}

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
    fn deeper(
        &mut self,
        part: fn(&mut Parser) -> Result<Part, ConditionError>,
    ) -> Result<Part, ConditionError> {
        if self.depth == LIMIT_DEPTH {
            return Err(ConditionFault::TooMuch.at(self.column()));
        }
        self.depth += 1;
        let part = part(self)?;
        self.depth -= 1;
        Ok(part)
    }

    /// `a or b or c`.
    fn either(&mut self) -> Result<Part, ConditionError> {
        self.list(&Sign::Or, Parser::both, Test::Or)
    }

    /// `a and b and c`.
    fn both(&mut self) -> Result<Part, ConditionError> {
        self.list(&Sign::And, Parser::negation, Test::And)
    }

    fn list(
        &mut self,
        sign: &Sign,
        part: fn(&mut Parser) -> Result<Part, ConditionError>,
        whole: fn(Vec<Test>) -> Test,
    ) -> Result<Part, ConditionError> {
        let first = part(self)?;
        if self.peek() != sign {
            return Ok(first);
        }
        let column = first.column;
        let mut tests = vec![first.test()?];
        while self.takes(sign) {
            tests.push(part(self)?.test()?);
        }
        let meaning = Meaning::Test(whole(tests));
        Ok(Part { meaning, column })
    }

    /// `not a`; as loose as in Python, however it is spelled.
    fn negation(&mut self) -> Result<Part, ConditionError> {
        let column = self.column();
        if !self.takes(&Sign::Not) {
            return self.comparison();
        }
        let test = self.deeper(Parser::negation)?.test()?;
        let meaning = Meaning::Test(Test::Not(Box::new(test)));
        Ok(Part { meaning, column })
    }

    /// `a < b <= c`, or a text beside `$val`.
    fn comparison(&mut self) -> Result<Part, ConditionError> {
        let first = self.sum()?;
        let column = first.column;
        let mut others = Vec::new();
        while let Sign::Relation(relation) = *self.peek() {
            self.step();
            others.push((relation, self.sum()?));
        }
        if others.is_empty() {
            return Ok(first);
        }
        let test = if others.len() == 1 {
            let (relation, second) = others.remove(0);
            pair(first, relation, second)?
        } else {
            let first = first.amount()?;
            let amounts = others
                .into_iter()
                .map(|(relation, part)| Ok((relation, part.amount()?)));
            Test::Compare(first, amounts.collect::<Result<_, _>>()?)
        };
        let meaning = Meaning::Test(test);
        Ok(Part { meaning, column })
    }

    /// `a + b - c`.
    fn sum(&mut self) -> Result<Part, ConditionError> {
        self.chain(Parser::product, |operator| {
            matches!(operator, Operator::Plus | Operator::Minus)
        })
    }

    /// `a * b / c`.
    fn product(&mut self) -> Result<Part, ConditionError> {
        self.chain(Parser::signed, |operator| {
            !matches!(operator, Operator::Plus | Operator::Minus)
        })
    }

    fn chain(
        &mut self,
        part: fn(&mut Parser) -> Result<Part, ConditionError>,
        is_ours: fn(Operator) -> bool,
    ) -> Result<Part, ConditionError> {
        let mut left = part(self)?;
        while let Sign::Operator(operator) = *self.peek() {
            if !is_ours(operator) {
                break;
            }
            self.step();
            let column = left.column;
            let both = (left.amount()?, part(self)?.amount()?);
            let meaning = Meaning::Amount(Amount::Of(operator, Box::new(both)));
            left = Part { meaning, column };
        }
        Ok(left)
    }

    /// `-a`, `+a`.
    fn signed(&mut self) -> Result<Part, ConditionError> {
        let column = self.column();
        let is_minus = match self.peek() {
            Sign::Operator(Operator::Minus) => true,
            Sign::Operator(Operator::Plus) => false,
            _ => return self.single(),
        };
        self.step();
        let amount = self.deeper(Parser::signed)?.amount()?;
        let meaning = Meaning::Amount(if is_minus {
            Amount::Minus(Box::new(amount))
        } else {
            amount
        });
        Ok(Part { meaning, column })
    }

    /// A value, or what stands in parentheses.
    fn single(&mut self) -> Result<Part, ConditionError> {
        let column = self.column();
        let meaning = match self.peek().clone() {
            Sign::Value => Meaning::Amount(Amount::Value),
            Sign::Number(number) => Meaning::Amount(Amount::Number(number)),
            Sign::Text(text) => Meaning::Text(text),
            Sign::Open => {
                self.step();
                let inner = self.deeper(Parser::either)?;
                return match self.peek() {
                    Sign::Close => {
                        self.step();
                        let meaning = inner.meaning;
                        Ok(Part { meaning, column })
                    }
                    Sign::End => Err(ConditionFault::OpenParenthesis.at(column)),
                    _ => Err(ConditionFault::Beyond.at(self.column())),
                };
            }
            _ => return Err(ConditionFault::NoValue.at(column)),
        };
        self.step();
        Ok(Part { meaning, column })
    }
}

/// One comparison, which may be of `$val` and a text.
fn pair(left: Part, relation: Relation, right: Part) -> Result<Test, ConditionError> {
    let equality = match relation {
        Relation::Equal => Some(true),
        Relation::Unequal => Some(false),
        _ => None,
    };
    match (left.meaning, equality, right.meaning) {
        (Meaning::Text(text), Some(wanted), Meaning::Amount(Amount::Value))
        | (Meaning::Amount(Amount::Value), Some(wanted), Meaning::Text(text)) => {
            Ok(Test::Is(text, wanted))
        }
        (left_meaning, _, right_meaning) => {
            let left = Part {
                meaning: left_meaning,
                column: left.column,
            };
            let right = Part {
                meaning: right_meaning,
                column: right.column,
            };
            Ok(Test::Compare(
                left.amount()?,
                vec![(relation, right.amount()?)],
            ))
        }
    }
}
