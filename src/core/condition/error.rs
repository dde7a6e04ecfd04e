//! What can be wrong with a condition: when it is read, and when it is evaluated.
//!
//! Messages are shown beside the text, with a mark at the column.

use thiserror::Error;

/// Why a text is no condition, and where.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{fault}")]
pub struct ConditionError {
    /// What is wrong, and how to correct it.
    pub fault: ConditionFault,
    /// In characters from the start of the text.
    pub column: usize,
}

/// What can be wrong with a condition.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ConditionFault {
    /// The text or its nesting exceeds a limit.
    #[error("the condition is too long or nested too deep; split it into several rules")]
    TooMuch,
    /// A string without its closing quote.
    #[error("this string is not closed; add the other quote")]
    OpenText,
    /// A character that starts no token.
    #[error("this character has no meaning in a condition")]
    Character,
    /// One `=`.
    #[error("= does not compare; write ==")]
    Assignment,
    /// A single `&` or `|`.
    #[error("write && or ||, or the words and, or")]
    SingleSign,
    /// Digits that form no number.
    #[error("this is not a number")]
    Number,
    /// An unknown word.
    #[error(
        "unknown word; the value is $val, strings are in quotes, and gmetad.conf(5) lists the \
         functions"
    )]
    Word,
    /// An unknown name after `$`.
    #[error("unknown name; there are $val, $host, $ip, $cluster, $metric and $units")]
    Name,
    /// `.name` after a value.
    #[error("methods are not supported; `'part' in '$val'` tests whether a string has a part")]
    Method,
    /// A function without its arguments.
    #[error("a function takes its arguments in parentheses, as in abs($val)")]
    NoCall,
    /// Too few or too many arguments.
    #[error(
        "wrong number of arguments: round takes one or two, min and max several or a list, all \
         others one"
    )]
    Arguments,
    /// The end or an operator in place of a value.
    #[error("a value is missing here, such as $val or 5")]
    NoValue,
    /// A parenthesis that is not closed.
    #[error("this parenthesis is not closed; write )")]
    OpenParenthesis,
    /// A bracket that is not closed.
    #[error("this bracket is not closed; write ]")]
    OpenBracket,
    /// Two values side by side.
    #[error("expected and, or, or the end of the condition here")]
    Beyond,
    /// `in` before a single number.
    #[error("in needs a list, as in (1, 2); a list of one value is (1,)")]
    NoList,
    /// A condition without quotes.
    #[error("the condition must be in quotes, as in \"$val > 5\"")]
    Bare,
}

/// Why it cannot be told whether a condition holds.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Doubt {
    /// A value that is used as a number and is none.
    #[error("\"{0}\" is not a number")]
    NoNumber(String),
    /// A string in quotes that is used as a number.
    #[error("a string is not a number; write $val without quotes, or use float() or int()")]
    Text,
    /// `'a' < 5`.
    #[error("a string and a number cannot be ordered; in quotes, $val is a string")]
    Mixed,
    /// A list in place of one value.
    #[error("a list is not a number, and cannot be ordered")]
    List,
    /// `/`, `//` or `%` by zero.
    #[error("division by zero")]
    Division,
    /// Infinite, or not real.
    #[error("a result is too large, or not a number")]
    TooLarge,
    /// `in` before a number.
    #[error("in needs a list or a string on its right")]
    NothingIn,
    /// `len(5)`.
    #[error("a number has no length; write len('$val')")]
    NoLength,
    /// `max(())`.
    #[error("min and max need at least one value")]
    Empty,
}

impl ConditionFault {
    /// This fault, at a column.
    pub fn at(self, column: usize) -> ConditionError {
        ConditionError {
            fault: self,
            column,
        }
    }
}
