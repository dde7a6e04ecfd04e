//! From a condition's text to its signs, each with the place where it starts.
//!
//! What binds them is in `parse`.

use super::{ConditionError, ConditionFault, Function, Name, Operator, Piece, Relation};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sign {
    Number(f64),
    Text(Vec<Piece>),
    Name(Name),
    Function(Function),
    And,
    Or,
    Not,
    /// `in` comes as a relation too.
    Relation(Relation),
    Operator(Operator),
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Comma,
    End,
}

/// A sign, and where it starts in characters.
pub(super) struct Word {
    pub(super) sign: Sign,
    pub(super) column: usize,
}

impl ConditionFault {
    /// The same, at a place.
    pub fn at(self, column: usize) -> ConditionError {
        ConditionError {
            fault: self,
            column,
        }
    }
}

/// The signs of a text; the last is its end.
pub(super) fn words_of(text: &str) -> Result<Vec<Word>, ConditionError> {
    let chars: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let (sign, length) = match c {
            '"' | '\'' => quoted(&chars, at)?,
            _ => sign_at(&chars[at..]).map_err(|fault| fault.at(at))?,
        };
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
    if let Some(sign) = second.and_then(|second| double(first, second)) {
        return Ok((sign, 2));
    }
    let one = |sign| Ok((sign, 1));
    let operator = |operator| Ok((Sign::Operator(operator), 1));
    match first {
        '=' => Err(ConditionFault::Assignment),
        '&' | '|' => Err(ConditionFault::SingleSign),
        '!' => one(Sign::Not),
        '<' => one(Sign::Relation(Relation::Less)),
        '>' => one(Sign::Relation(Relation::Greater)),
        '+' => operator(Operator::Plus),
        '-' => operator(Operator::Minus),
        '*' => operator(Operator::Times),
        '/' => operator(Operator::Over),
        '%' => operator(Operator::Rest),
        '(' => one(Sign::Open),
        ')' => one(Sign::Close),
        '[' => one(Sign::OpenBracket),
        ']' => one(Sign::CloseBracket),
        ',' => one(Sign::Comma),
        '$' => {
            let name = word(&chars[1..]);
            let known = Name::known(&name).ok_or(ConditionFault::Name)?;
            Ok((Sign::Name(known), 1 + name.len()))
        }
        '.' if second.is_some_and(char::is_alphabetic) => Err(ConditionFault::Method),
        '0'..='9' | '.' => number(chars),
        c if c.is_alphabetic() || c == '_' => {
            let word = word(chars);
            let sign = keyword(&word).ok_or(ConditionFault::Word)?;
            Ok((sign, word.len()))
        }
        _ => Err(ConditionFault::Character),
    }
}

/// What two characters mean together.
fn double(first: char, second: char) -> Option<Sign> {
    Some(match (first, second) {
        ('=', '=') => Sign::Relation(Relation::Equal),
        // The second is Python 2's.
        ('!', '=') | ('<', '>') => Sign::Relation(Relation::Unequal),
        ('<', '=') => Sign::Relation(Relation::LessOrEqual),
        ('>', '=') => Sign::Relation(Relation::GreaterOrEqual),
        ('&', '&') => Sign::And,
        ('|', '|') => Sign::Or,
        ('/', '/') => Sign::Operator(Operator::WholeOver),
        ('*', '*') => Sign::Operator(Operator::Power),
        _ => return None,
    })
}

fn keyword(word: &str) -> Option<Sign> {
    Some(match word {
        "and" => Sign::And,
        "or" => Sign::Or,
        "not" => Sign::Not,
        "in" => Sign::Relation(Relation::In),
        "True" => Sign::Number(1.0),
        "False" => Sign::Number(0.0),
        _ => Sign::Function(Function::known(word)?),
    })
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
        Ok(number) if number.is_finite() && !is_octal(&text) => Ok((Sign::Number(number), length)),
        _ => Err(ConditionFault::Number),
    }
}

/// `010` is eight in Python 2 and an error in Python 3.
fn is_octal(text: &str) -> bool {
    text.len() > 1
        && text.starts_with('0')
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte != b'0')
}

/// The text in quotes of either kind that begins at `start`, and its length; a backslash takes the
/// meaning of a quote or a backslash away, and makes a line's end or a tab of n and t.
fn quoted(chars: &[char], start: usize) -> Result<(Sign, usize), ConditionError> {
    let quote = chars[start];
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut at = start + 1;
    while let Some(&c) = chars.get(at) {
        let next = chars.get(at + 1).copied();
        match (c, next) {
            (c, _) if c == quote => {
                if !text.is_empty() {
                    pieces.push(Piece::Plain(text));
                }
                return Ok((Sign::Text(pieces), at + 1 - start));
            }
            ('\\', Some(escaped @ ('\\' | '\'' | '"' | 'n' | 't'))) => {
                text.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    _ => escaped,
                });
                at += 2;
            }
            ('$', Some(letter)) if letter.is_alphabetic() => {
                let name = word(&chars[at + 1..]);
                let known = Name::known(&name).ok_or(ConditionFault::Name.at(at))?;
                if !text.is_empty() {
                    pieces.push(Piece::Plain(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Name(known));
                at += 1 + name.len();
            }
            _ => {
                text.push(c);
                at += 1;
            }
        }
    }
    Err(ConditionFault::OpenText.at(start))
}
