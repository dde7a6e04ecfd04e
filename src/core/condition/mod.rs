//! Conditions over a metric's value, as in `$val > 5 and not $val == 99`: text in, a test out.
//!
//! No configuration, no metrics and no alerts here: a text, and later a value, come from outside.
//!
//! Spelled as in Python, with `&&`, `||` and `!` beside `and`, `or` and `not`. A comparison of
//! numbers needs a value that is a number; with a text in quotes, the value is compared as text.

use std::fmt;

use thiserror::Error;

use crate::model::parse_number;

mod parse;

/// A condition that was understood.
#[derive(Clone, PartialEq)]
pub struct Condition {
    text: String,
    test: Test,
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
    /// A word other than and, or, not.
    #[error("this word is not known; the value is $val, and a text stands in quotes")]
    Word,
    /// A name other than `$val`.
    #[error("only $val is known")]
    Name,
    /// The end, or a sign, where a value should be.
    #[error("a value is missing here, such as $val or 5")]
    NoValue,
    /// A parenthesis that is not closed.
    #[error("this parenthesis is not closed; write )")]
    OpenParenthesis,
    /// Two values side by side.
    #[error("and, or, or an end is expected here")]
    Beyond,
    /// A value where a test should be.
    #[error("this is a value, not a test; compare it with something, as in $val > 5")]
    NoTest,
    /// A test where a value should be.
    #[error("this is a test, not a value; it cannot be computed with or compared")]
    NoNumber,
    /// A text where a number should be.
    #[error("a text can only be compared with $val, by == or !=")]
    Text,
}

/// What is true or not.
#[derive(Clone, Debug, PartialEq)]
enum Test {
    /// Any of them.
    Or(Vec<Test>),
    /// All of them.
    And(Vec<Test>),
    /// The opposite.
    Not(Box<Test>),
    /// Each with the one before it, as in `1 < $val < 5`.
    Compare(Amount, Vec<(Relation, Amount)>),
    /// `$val` is this text, or with `false` is not.
    Is(String, bool),
}

/// What is a number.
#[derive(Clone, Debug, PartialEq)]
enum Amount {
    /// `$val`.
    Value,
    /// As written.
    Number(f64),
    /// Its opposite.
    Minus(Box<Amount>),
    /// Of two.
    Of(Operator, Box<(Amount, Amount)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
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
}

impl Condition {
    /// Understands a text.
    pub fn parse(text: &str) -> Result<Condition, ConditionError> {
        Ok(Condition {
            text: text.to_owned(),
            test: parse::test_of(text)?,
        })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds for this value.
    ///
    /// `None` where that cannot be told: the value is no number where one is needed, or a division
    /// by zero. As in Python, what comes after a decision is not looked at.
    pub fn holds(&self, value: &str) -> Option<bool> {
        let number = parse_number(value.as_bytes()).map(|number| number.value);
        self.test.holds(value, number)
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({:?})", self.text)
    }
}

impl Test {
    fn holds(&self, text: &str, number: Option<f64>) -> Option<bool> {
        match self {
            Test::Or(tests) => {
                for test in tests {
                    if test.holds(text, number)? {
                        return Some(true);
                    }
                }
                Some(false)
            }
            Test::And(tests) => {
                for test in tests {
                    if !test.holds(text, number)? {
                        return Some(false);
                    }
                }
                Some(true)
            }
            Test::Not(opposite) => Some(!opposite.holds(text, number)?),
            Test::Compare(first, others) => {
                let mut left = first.of(number)?;
                for (relation, right) in others {
                    let right = right.of(number)?;
                    if !relation.holds(left, right) {
                        return Some(false);
                    }
                    left = right;
                }
                Some(true)
            }
            Test::Is(expected, wanted) => Some((text == expected) == *wanted),
        }
    }
}

impl Amount {
    fn of(&self, value: Option<f64>) -> Option<f64> {
        let result = match self {
            Amount::Value => value?,
            Amount::Number(number) => *number,
            Amount::Minus(amount) => -amount.of(value)?,
            Amount::Of(operator, both) => operator.of(both.0.of(value)?, both.1.of(value)?),
        };
        result.is_finite().then_some(result)
    }
}

impl Relation {
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Relation::Equal => left == right,
            Relation::Unequal => left != right,
            Relation::Less => left < right,
            Relation::LessOrEqual => left <= right,
            Relation::Greater => left > right,
            Relation::GreaterOrEqual => left >= right,
        }
    }
}

impl Operator {
    /// Not finite where it cannot be done.
    fn of(self, left: f64, right: f64) -> f64 {
        match self {
            Operator::Plus => left + right,
            Operator::Minus => left - right,
            Operator::Times => left * right,
            Operator::Over => left / right,
            Operator::WholeOver => (left / right).floor(),
            Operator::Rest => left - right * (left / right).floor(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(condition: &str, value: &str) -> Option<bool> {
        match Condition::parse(condition) {
            Ok(condition) => condition.holds(value),
            Err(error) => panic!("{condition}: {error} at {}", error.column),
        }
    }

    #[test]
    fn numbers_compare_as_they_do_in_python() {
        for (condition, value, expected) in [
            ("$val > 5", "5.01", true),
            ("$val > 5", "5", false),
            ("$val >= 5", "5", true),
            ("$val < -1.5e1", "-16", true),
            ("$val <= .5", "0.5", true),
            ("$val == 10", "10.0", true),
            ("$val != 10", "10.0", false),
            ("1 < $val < 5", "3", true),
            ("1 < $val < 5", "7", false),
            ("5 > $val", "4", true),
        ] {
            assert_eq!(holds(condition, value), Some(expected), "{condition}");
        }
    }

    #[test]
    fn signs_bind_as_they_do_in_python() {
        for (condition, value, expected) in [
            ("$val + 2 * 3 == 7", "1", true),
            ("($val + 2) * 3 == 9", "1", true),
            ("10 - 2 - 3 == $val", "5", true),
            ("-$val * 2 == 6", "-3", true),
            ("- -$val == 3", "3", true),
            ("-7 % 3 == $val", "2", true),
            ("7 // 2 == $val", "3", true),
            ("-7 // 2 == $val", "-4", true),
            ("not $val > 5 and $val > 1", "3", true),
            ("not ($val > 5 and $val > 1)", "0", true),
            ("$val == 1 or $val == 2 and $val == 3", "1", true),
            ("($val == 1 or $val == 2) and $val == 3", "1", false),
            ("not not $val == 1", "1", true),
            ("$val==1||$val==2&&!$val==2", "2", false),
            ("(($val) > (1))", "2", true),
        ] {
            assert_eq!(holds(condition, value), Some(expected), "{condition}");
        }
    }

    #[test]
    fn text_is_compared_as_text() {
        for (condition, value, expected) in [
            ("$val == 'up'", "up", true),
            ("$val == \"up\"", "Up", false),
            ("'up' != $val", "down", true),
            ("$val == '5'", "5.0", false),
            ("$val != '' and $val == 'größer'", "größer", true),
            ("$val == 'it\\'s'", "it's", true),
        ] {
            assert_eq!(holds(condition, value), Some(expected), "{condition}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_neither_true_nor_false() {
        assert_eq!(holds("$val > 5", "n/a"), None);
        assert_eq!(holds("not $val > 5", "n/a"), None);
        assert_eq!(holds("100 / $val > 5", "0"), None);
        assert_eq!(holds("100 % $val > 5", "0"), None);
        assert_eq!(holds("$val > 5", ""), None);
        // Decided before it comes to that.
        assert_eq!(holds("$val == 'n/a' or $val > 5", "n/a"), Some(true));
        assert_eq!(holds("$val != 0 and 100 / $val > 5", "0"), Some(false));
    }

    #[test]
    fn each_fault_is_told_where_it_is() {
        use ConditionFault::*;
        for (condition, fault, column) in [
            ("", NoValue, 0),
            ("$val >", NoValue, 6),
            ("$val > > 5", NoValue, 7),
            ("$val > 5)", Beyond, 8),
            ("($val > 5", OpenParenthesis, 0),
            ("($val > 5 6)", Beyond, 10),
            ("$val 5", Beyond, 5),
            ("$val", NoTest, 0),
            ("$val > 1 and 5", NoTest, 13),
            ("not $val", NoTest, 4),
            ("($val > 1) + 1 > 2", NoNumber, 0),
            ("$val > ($val > 1)", NoNumber, 7),
            ("$val = 5", Assignment, 5),
            ("$val > 1 & $val < 2", SingleSign, 9),
            ("$value > 1", Name, 0),
            ("val > 1", Word, 0),
            ("$val > 1 AND $val < 2", Word, 9),
            ("$val == up", Word, 8),
            ("$val > 1.2.3", Number, 7),
            ("$val > 5x", Number, 7),
            ("$val > 1e999", Number, 7),
            ("größer $val", Word, 0),
            ("$val > 5 ; rm", Character, 9),
            ("$val == 'up", OpenText, 8),
            ("$val > 'up'", Text, 7),
            ("'a' == 'a'", Text, 0),
            ("$val + 1 == 'a'", Text, 12),
            ("'a' == $val == 'a'", Text, 0),
            ("'ä' + 1 > 1", Text, 0),
        ] {
            let error = Condition::parse(condition).expect_err(condition);
            assert_eq!((error.fault, error.column), (fault, column), "{condition}");
        }
    }

    #[test]
    fn no_condition_takes_the_stack() {
        for open in ["(", "not ", "-", "!"] {
            let text = open.repeat(100_000);
            let fault = Condition::parse(&text).expect_err("too long").fault;
            assert_eq!(fault, ConditionFault::TooMuch);
            let text = open.repeat(900 / open.len());
            let fault = Condition::parse(&text).expect_err("too deep").fault;
            assert_eq!(fault, ConditionFault::TooMuch);
        }
        let long = format!("$val{} > 1", "+1".repeat(400));
        assert_eq!(holds(&long, "1"), Some(true));
    }
}
