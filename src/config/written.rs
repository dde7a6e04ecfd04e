//! Values as they are written in a configuration file.
//!
//! What is written here is read back as the same value.

use std::fmt::Display;
use std::path::PathBuf;

/// One value.
pub(super) fn one(value: impl Display) -> Vec<String> {
    vec![word(&value.to_string())]
}

/// Any number of values in one line; no line for none.
pub(super) fn list<T: Display>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    let words = values.into_iter().map(|value| word(&value.to_string()));
    let words: Vec<String> = words.collect();
    if words.is_empty() {
        Vec::new()
    } else {
        vec![words.join(" ")]
    }
}

/// As [`list`], of a path.
pub(super) fn paths(path: Option<&PathBuf>) -> Vec<String> {
    list(path.map(|path| path.display()))
}

pub(super) fn toggle(is_on: bool) -> Vec<String> {
    one(if is_on { "on" } else { "off" })
}

/// A word, in quotes where it would not be read as one without.
pub(super) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._:/%+-=[]@".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.into()
    } else {
        quoted(text)
    }
}

/// A word in quotes.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}
