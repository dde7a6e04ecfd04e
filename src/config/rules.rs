//! Rules about names: `include` or `exclude`, then names and `/expressions/`.
//!
//! Decides nothing about a name: `gmetad_core::summary` does.

use gmetad_core::summary::{Names, Pattern, SummaryRule, Verdict};

use super::values::{Fault, not_empty};

/// Characters of regular expressions that metric names rarely have.
const MARKS_OF_EXPRESSIONS: [char; 6] = ['*', '^', '$', '|', '\\', '['];

/// Whether it is an expression whose slashes were forgotten.
pub fn looks_like_an_expression(text: &str) -> bool {
    text.contains(MARKS_OF_EXPRESSIONS)
}

/// What stands between slashes.
pub fn expression(word: &str) -> Option<&str> {
    word.strip_prefix('/')?.strip_suffix('/')
}

/// `include` or `exclude`.
pub fn verdict(text: &str) -> Result<Verdict, Fault> {
    [Verdict::Include, Verdict::Exclude]
        .into_iter()
        .find(|verdict| verdict.to_string().eq_ignore_ascii_case(text))
        .ok_or(Fault::Verdict)
}

/// What a rule is about.
pub enum Named {
    One(String),
    /// What stands between the slashes of an expression.
    Matching(String),
}

/// A name or a `/expression/` of a rule.
pub fn names(text: &str) -> Result<Named, Fault> {
    let text = not_empty(text)?;
    match expression(&text) {
        Some("") => Err(Fault::EmptyExpression),
        Some(inner) => Ok(Named::Matching(inner.into())),
        None if looks_like_an_expression(&text) => Err(Fault::BareExpression),
        None => Ok(Named::One(text)),
    }
}

/// `include|exclude NAME|/EXPRESSION/ …`, as rules. An error is in words.
pub fn rules(words: &[&str]) -> Result<Vec<SummaryRule>, String> {
    let [first, words @ ..] = words else {
        return Err("has no value; give include or exclude, then names and /expressions/".into());
    };
    let told = |word: &str, fault: Fault| format!("\"{word}\" {fault}");
    let verdict = verdict(first).map_err(|fault| told(first, fault))?;
    if words.is_empty() {
        return Err(format!(
            "{verdict} is about no name; give names and /expressions/"
        ));
    }
    let rule = |word: &&str| {
        if expression(word) == Some("") {
            return Err(format!(
                "\"{word}\" is an empty expression; use \"/./\" for all names"
            ));
        }
        let names = match names(word).map_err(|fault| told(word, fault))? {
            Named::One(name) => Names::One(name),
            Named::Matching(inner) => Pattern::new(&inner)
                .map(Names::With)
                .map_err(|reason| format!("{word} is not a regular expression: {reason}"))?,
        };
        Ok(SummaryRule { verdict, names })
    };
    words.iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_a_verdict_and_names_and_what_is_wrong_is_told() {
        let read = rules(&["Exclude", "a b", "/^disk_/"]).unwrap();
        let read: Vec<String> = (read.iter())
            .map(|rule| format!("{} {}", rule.verdict, rule.names))
            .collect();
        assert_eq!(read, ["exclude a b", "exclude /^disk_/"]);
        let told = |words: &[&str]| rules(words).unwrap_err();
        assert!(told(&[]).starts_with("has no value; give include or exclude"));
        assert!(told(&["only", "a"]).starts_with("\"only\" is neither include nor exclude"));
        assert!(told(&["include"]).starts_with("include is about no name"));
        assert!(told(&["include", "//"]).contains("use \"/./\" for all names"));
        assert!(told(&["include", "^a"]).contains("between slashes"));
        assert!(told(&["include", "/(/"]).starts_with("/(/ is not a regular expression: "));
    }
}
