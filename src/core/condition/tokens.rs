//! From a condition's text to its tokens, each with the column where it starts.
//!
//! What binds them is in `parse`.

use super::error::{ConditionError, ConditionFault};
use super::expression::{Function, Name, Operator, Piece, Relation};

/// A number, a string, a word or a sign.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(Vec<Piece>),
    Name(Name),
    Function(Function),
    And,
    Or,
    Not,
    /// Includes `in`.
    Relation(Relation),
    Operator(Operator),
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Comma,
    End,
}

/// A token, and where it starts, in characters.
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) column: usize,
}

/// The tokens of a text. The last one is `End`.
pub(super) fn tokens_of(text: &str) -> Result<Vec<Placed>, ConditionError> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let (token, length) = match c {
            '"' | '\'' => quoted(&chars, at)?,
            _ => token_at(&chars[at..]).map_err(|fault| fault.at(at))?,
        };
        tokens.push(Placed { token, column: at });
        at += length;
    }
    tokens.push(Placed {
        token: Token::End,
        column: chars.len(),
    });
    Ok(tokens)
}

/// The token at the start of `chars`, which are not empty, and its length in characters.
fn token_at(chars: &[char]) -> Result<(Token, usize), ConditionFault> {
    let first = chars[0];
    let second = chars.get(1).copied();
    if let Some(token) = second.and_then(|second| double(first, second)) {
        return Ok((token, 2));
    }
    let one = |token| Ok((token, 1));
    let operator = |operator| Ok((Token::Operator(operator), 1));
    match first {
        '=' => Err(ConditionFault::Assignment),
        '&' | '|' => Err(ConditionFault::SingleSign),
        '!' => one(Token::Not),
        '<' => one(Token::Relation(Relation::Less)),
        '>' => one(Token::Relation(Relation::Greater)),
        '+' => operator(Operator::Plus),
        '-' => operator(Operator::Minus),
        '*' => operator(Operator::Times),
        '/' => operator(Operator::Over),
        '%' => operator(Operator::Rest),
        '(' => one(Token::Open),
        ')' => one(Token::Close),
        '[' => one(Token::OpenBracket),
        ']' => one(Token::CloseBracket),
        ',' => one(Token::Comma),
        '$' => {
            let name = word(&chars[1..]);
            let known = Name::known(&name).ok_or(ConditionFault::Name)?;
            Ok((Token::Name(known), 1 + name.len()))
        }
        '.' if second.is_some_and(char::is_alphabetic) => Err(ConditionFault::Method),
        '0'..='9' | '.' => number(chars),
        c if c.is_alphabetic() || c == '_' => {
            let word = word(chars);
            let token = keyword(&word).ok_or(ConditionFault::Word)?;
            Ok((token, word.len()))
        }
        _ => Err(ConditionFault::Character),
    }
}

/// The token of two characters.
fn double(first: char, second: char) -> Option<Token> {
    Some(match (first, second) {
        ('=', '=') => Token::Relation(Relation::Equal),
        // `<>` is Python 2's.
        ('!', '=') | ('<', '>') => Token::Relation(Relation::Unequal),
        ('<', '=') => Token::Relation(Relation::LessOrEqual),
        ('>', '=') => Token::Relation(Relation::GreaterOrEqual),
        ('&', '&') => Token::And,
        ('|', '|') => Token::Or,
        ('/', '/') => Token::Operator(Operator::WholeOver),
        ('*', '*') => Token::Operator(Operator::Power),
        _ => return None,
    })
}

fn keyword(word: &str) -> Option<Token> {
    Some(match word {
        "and" => Token::And,
        "or" => Token::Or,
        "not" => Token::Not,
        "in" => Token::Relation(Relation::In),
        "True" => Token::Number(1.0),
        "False" => Token::Number(0.0),
        _ => Token::Function(Function::known(word)?),
    })
}

fn word(chars: &[char]) -> String {
    let belongs = |c: &&char| c.is_alphanumeric() || **c == '_';
    chars.iter().take_while(belongs).collect()
}

/// Digits, a point, an exponent. Any other letter that follows makes it no number.
fn number(chars: &[char]) -> Result<(Token, usize), ConditionFault> {
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
        Ok(number) if number.is_finite() && !is_octal(&text) => Ok((Token::Number(number), length)),
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

/// The string in quotes of either kind that begins at `start`, and its length. A backslash escapes
/// quotes and itself, and makes a line end of `n` and a tab of `t`.
fn quoted(chars: &[char], start: usize) -> Result<(Token, usize), ConditionError> {
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
                return Ok((Token::Text(pieces), at + 1 - start));
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
