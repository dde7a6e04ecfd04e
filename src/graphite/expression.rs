//! Expressions: `sumSeries(web.*.load_one)|alias("load")` → a tree of calls.
//!
//! Does not know the functions: those are in `functions`.

use thiserror::Error;

use crate::pattern::shortened;

/// Longest expression. A form's body is 256 KiB at most, so this is what a single one may take of it.
pub const MAX_BYTES: usize = 256 << 10;

/// Deepest nesting of calls.
pub const MAX_DEPTH: usize = 32;

/// Most calls in an expression.
pub const MAX_CALLS: usize = 256;

/// Most arguments in an expression.
const MAX_ARGUMENTS: usize = 4096;

/// An expression that cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExpressionFault {
    /// Something else should be there.
    #[error("{wanted} expected at character {at} of \"{text}\"")]
    Wanted {
        /// What.
        wanted: &'static str,
        /// Counted from 1.
        at: usize,
        /// The expression, cut.
        text: String,
    },
    /// Above [`MAX_BYTES`].
    #[error("a target has {0} bytes; at most {MAX_BYTES} are read")]
    Long(usize),
    /// Above [`MAX_DEPTH`].
    #[error("functions are nested more than {MAX_DEPTH} deep in \"{0}\"")]
    Deep(String),
    /// Above [`MAX_CALLS`] or [`MAX_ARGUMENTS`].
    #[error(
        "more than {MAX_CALLS} functions or {MAX_ARGUMENTS} arguments in \"{0}\": split it into \
         several targets"
    )]
    Many(String),
}

/// A parsed expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A path, which may be a pattern.
    Path(String),
    /// A function and its arguments.
    Call(Call),
    /// A number.
    Number(f64),
    /// A text in quotes.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// `None`.
    Nothing,
}

/// A function and its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its name as written.
    pub name: String,
    /// In order.
    pub arguments: Vec<Expression>,
    /// Those that are named, after the others.
    pub named: Vec<(String, Expression)>,
}

impl Expression {
    /// Parses a whole target.
    pub fn parse(text: &str) -> Result<Expression, ExpressionFault> {
        if text.len() > MAX_BYTES {
            return Err(ExpressionFault::Long(text.len()));
        }
        let mut parser = Parser {
            text,
            at: 0,
            calls: 0,
            arguments: 0,
        };
        let expression = parser.piped(0)?;
        parser.skip_blanks();
        if parser.at < text.len() {
            return Err(parser.wanted("the end"));
        }
        Ok(expression)
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Bytes read.
    at: usize,
    calls: usize,
    arguments: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes a character, if it comes next.
    fn take(&mut self, c: char) -> bool {
        self.skip_blanks();
        let is_next = self.rest().starts_with(c);
        if is_next {
            self.at += c.len_utf8();
        }
        is_next
    }

    fn wanted(&self, wanted: &'static str) -> ExpressionFault {
        ExpressionFault::Wanted {
            wanted,
            at: self.text[..self.at].chars().count() + 1,
            text: shortened(self.text),
        }
    }

    /// An expression and the calls that it is piped into.
    fn piped(&mut self, depth: usize) -> Result<Expression, ExpressionFault> {
        let mut expression = self.single(depth)?;
        let mut stages = 0;
        while self.take('|') {
            stages += 1;
            self.skip_blanks();
            let Some(name) = self.function_name() else {
                return Err(self.wanted("a function"));
            };
            let mut call = self.call(name, depth + stages)?;
            call.arguments.insert(0, expression);
            expression = Expression::Call(call);
        }
        Ok(expression)
    }

    fn single(&mut self, depth: usize) -> Result<Expression, ExpressionFault> {
        self.skip_blanks();
        if let Some(quote @ ('"' | '\'')) = self.rest().chars().next() {
            return self.quoted(quote).map(Expression::Text);
        }
        if let Some(name) = self.function_name() {
            return self.call(name, depth).map(Expression::Call);
        }
        let word = self.word();
        if word.is_empty() {
            return Err(self.wanted("a path, a function, a number or a text in quotes"));
        }
        self.at += word.len();
        Ok(literal(word).unwrap_or_else(|| Expression::Path(word.replace('\\', ""))))
    }

    /// The name of a function, if one with its opening bracket comes next; both are taken then.
    fn function_name(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = rest.find(|c| !is_part(c))?;
        let (name, after) = rest.split_at(end);
        if name.is_empty() || !after.starts_with('(') {
            return None;
        }
        self.at += end + 1;
        Some(name)
    }

    /// The arguments of a call, whose bracket is open.
    fn call(&mut self, name: &str, depth: usize) -> Result<Call, ExpressionFault> {
        self.calls += 1;
        if depth >= MAX_DEPTH {
            return Err(ExpressionFault::Deep(shortened(self.text)));
        }
        let mut call = Call {
            name: name.to_owned(),
            arguments: Vec::new(),
            named: Vec::new(),
        };
        let mut is_end = self.take(')');
        while !is_end {
            self.arguments += 1;
            if self.calls > MAX_CALLS || self.arguments > MAX_ARGUMENTS {
                return Err(ExpressionFault::Many(shortened(self.text)));
            }
            match self.key() {
                Some(key) => {
                    let value = self.piped(depth + 1)?;
                    call.named.push((key.to_owned(), value));
                }
                None if call.named.is_empty() => call.arguments.push(self.piped(depth + 1)?),
                None => return Err(self.wanted("NAME=VALUE")),
            }
            is_end = self.take(')');
            if !is_end && !self.take(',') {
                return Err(self.wanted("',' or ')'"));
            }
        }
        Ok(call)
    }

    /// `NAME=` in front of an argument.
    fn key(&mut self) -> Option<&'a str> {
        self.skip_blanks();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        let (key, after) = rest.split_at(end);
        if key.is_empty() || !after.trim_start().starts_with('=') {
            return None;
        }
        self.at += rest.len() - after.trim_start().len() + 1;
        Some(key)
    }

    /// A text in quotes. A backslash stays, unless it is before the same quote.
    fn quoted(&mut self, quote: char) -> Result<String, ExpressionFault> {
        let mut out = String::new();
        let mut chars = self.rest()[1..].char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.at += 1 + at + 1;
                return Ok(out);
            }
            match chars.peek() {
                Some(&(_, next)) if c == '\\' && next == quote => {
                    out.push(quote);
                    chars.next();
                }
                _ => out.push(c),
            }
        }
        Err(self.wanted("a text that ends with its quote"))
    }

    /// What a path may have, up to what ends it. In braces, commas are part of it.
    fn word(&self) -> &'a str {
        let rest = self.rest();
        let (mut depth, mut is_escaped) = (0_usize, false);
        let end = rest.find(|c: char| {
            if is_escaped {
                is_escaped = false;
                return false;
            }
            match c {
                '\\' => is_escaped = true,
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                ',' => return depth == 0,
                '(' | ')' | '|' | '"' | '\'' | '=' => return true,
                c => return c.is_whitespace() || c.is_control(),
            }
            false
        });
        &rest[..end.unwrap_or(rest.len())]
    }
}

/// A word that is no path.
fn literal(word: &str) -> Option<Expression> {
    if word.eq_ignore_ascii_case("true") {
        return Some(Expression::Bool(true));
    }
    if word.eq_ignore_ascii_case("false") {
        return Some(Expression::Bool(false));
    }
    if word.eq_ignore_ascii_case("none") {
        return Some(Expression::Nothing);
    }
    let starts = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.');
    let is_number = word.starts_with(starts) && word.contains(|c: char| c.is_ascii_digit());
    let number = is_number.then(|| word.parse().ok()).flatten();
    number
        .filter(|it: &f64| it.is_finite())
        .map(Expression::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Expression {
        Expression::Path(text.into())
    }

    fn call(name: &str, arguments: Vec<Expression>) -> Expression {
        Expression::Call(Call {
            name: name.into(),
            arguments,
            named: Vec::new(),
        })
    }

    fn fault(text: &str) -> String {
        Expression::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn calls_paths_numbers_and_texts_are_told_apart() {
        let parsed = Expression::parse("alias( scale(a.b-c.{d,e}.*, -2.5) , 'it''s' )");
        assert!(parsed.is_err(), "a text does not go on after its quote");
        assert_eq!(
            Expression::parse(r#"alias( scale(a.b-c.{d,e}.*, -2.5) , "x \"y\" \1")"#),
            Ok(call(
                "alias",
                vec![
                    call(
                        "scale",
                        vec![path("a.b-c.{d,e}.*"), Expression::Number(-2.5)]
                    ),
                    Expression::Text(r#"x "y" \1"#.into()),
                ]
            ))
        );
        assert_eq!(
            Expression::parse("10.0.0.1.load"),
            Ok(path("10.0.0.1.load"))
        );
        assert_eq!(Expression::parse("1e3"), Ok(Expression::Number(1000.0)));
        assert_eq!(Expression::parse("True"), Ok(Expression::Bool(true)));
        assert_eq!(Expression::parse("None"), Ok(Expression::Nothing));
        assert_eq!(Expression::parse("infinity.x"), Ok(path("infinity.x")));
        assert_eq!(Expression::parse("josé.[a-z]?"), Ok(path("josé.[a-z]?")));
        assert_eq!(
            Expression::parse("randomWalk()"),
            Ok(call("randomWalk", vec![]))
        );
    }

    #[test]
    fn named_arguments_follow_the_others() {
        let parsed = Expression::parse("f(a, keep = true, n=3)").unwrap();
        let Expression::Call(call) = parsed else {
            panic!("{parsed:?}")
        };
        assert_eq!(call.arguments, [path("a")]);
        assert_eq!(
            call.named,
            [
                ("keep".into(), Expression::Bool(true)),
                ("n".into(), Expression::Number(3.0))
            ]
        );
        assert!(fault("f(n=3, a)").starts_with("NAME=VALUE expected at character 8"));
    }

    #[test]
    fn a_pipe_puts_what_is_before_it_first() {
        assert_eq!(
            Expression::parse("a.b | scale(2)|alias('x')"),
            Expression::parse("alias(scale(a.b,2),'x')")
        );
        assert_eq!(
            Expression::parse("sum(a|f(),b)"),
            Expression::parse("sum(f(a),b)")
        );
    }

    #[test]
    fn a_fault_says_where() {
        assert_eq!(
            fault("scale(a.b"),
            "',' or ')' expected at character 10 of \"scale(a.b\""
        );
        assert!(fault("é(a)").starts_with("the end expected at character 2"));
        assert!(fault("scale(,2)").contains("at character 7"));
        assert!(fault("a|b").contains("a function expected"));
        assert!(fault("alias(a,'x)").contains("ends with its quote"));
        assert!(fault("").contains("a path"));
        assert!(fault("f(a))").contains("the end"));
    }

    #[test]
    fn length_depth_and_number_are_bounded() {
        let deep = |depth| format!("{}a{}", "f(".repeat(depth), ")".repeat(depth));
        assert!(Expression::parse(&deep(MAX_DEPTH)).is_ok());
        assert!(fault(&deep(MAX_DEPTH + 1)).contains("nested more than 32"));
        assert!(fault(&format!("a{}", "|f()".repeat(MAX_DEPTH + 1))).contains("nested"));
        let wide = |calls| format!("s({})", vec!["f(a)"; calls - 1].join(","));
        assert!(Expression::parse(&wide(MAX_CALLS)).is_ok());
        assert!(fault(&wide(MAX_CALLS + 1)).contains("more than 256 functions"));
        assert!(fault(&"a".repeat(MAX_BYTES + 1)).contains("bytes"));
    }
}
