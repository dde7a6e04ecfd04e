//! Conditions over a metric's value, as in `$val > 5 and '$host' != 'web1'`: text in, a test out.
//!
//! No configuration, no metrics and no alerts here: the text, and later the subject, come in.
//!
//! A condition means what Python 3 makes of it, as far as it is supported: `parse` has the grammar,
//! `value` the evaluation. Beyond Python there are `&&`, `||` and `!`, and names outside of quotes.

use std::fmt;

mod error;
mod expression;
mod parse;
mod tokens;
mod value;

pub use error::{ConditionError, ConditionFault, Doubt};
pub use value::Subject;

use expression::Expression;

/// A parsed condition.
#[derive(Clone, PartialEq)]
pub struct Condition {
    text: String,
    whole: Expression,
}

impl Condition {
    /// Parses a text.
    pub fn parse(text: &str) -> Result<Condition, ConditionError> {
        Ok(Condition {
            text: text.to_owned(),
            whole: parse::expression_of(text)?,
        })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds for this subject.
    ///
    /// As in Python, operands after a decision are not evaluated.
    pub fn holds(&self, subject: &Subject<'_>) -> Result<bool, Doubt> {
        self.whole.of(subject)?.is_true()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({:?})", self.text)
    }
}

#[cfg(test)]
mod tests;
