//! Patterns of paths: `*`, `?`, `[a-z]` and `{a,b}` within each node.
//!
//! Does not know which paths there are: `tree` asks with each name.

use std::collections::HashSet;

use gmetad_core::model::{NamePattern, NameRules};

/// Most nodes of a path.
const MAX_NODES: usize = 64;

/// Memory of one compiled node, so that a long list of alternatives is still allowed.
const REGEX_BYTES: usize = 4 << 20;

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// No text.
    #[error("the path is empty")]
    Empty,
    /// More nodes than any path has.
    #[error("the path has more than {MAX_NODES} nodes")]
    Deep,
    /// A bracket or brace that does not fit.
    #[error("\"{0}\" is no pattern of a name: check its brackets and braces")]
    Node(String),
}

/// A path in which nodes may be patterns.
#[derive(Clone, Debug)]
pub struct Pattern(Vec<Node>);

/// One node of a pattern.
#[derive(Clone, Debug)]
enum Node {
    /// This name.
    Exact(Box<str>),
    /// Any name.
    Any,
    /// One of these: a dashboard's variable may have thousands.
    AnyOf(HashSet<String>),
    /// Names that match.
    Matching(NamePattern),
}

impl Pattern {
    /// Parses a path.
    pub fn parse(text: &str) -> Result<Pattern, PatternFault> {
        if text.is_empty() {
            return Err(PatternFault::Empty);
        }
        let parts = split(text);
        if parts.len() > MAX_NODES {
            return Err(PatternFault::Deep);
        }
        let nodes: Result<Vec<Node>, PatternFault> = parts.into_iter().map(Node::parse).collect();
        Ok(Pattern(nodes?))
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a node, counted from 0, takes a name.
    pub fn takes(&self, at: usize, name: &str) -> bool {
        match &self.0[at] {
            Node::Exact(text) => **text == *name,
            Node::Any => true,
            Node::AnyOf(names) => names.contains(name),
            Node::Matching(pattern) => pattern.takes(name),
        }
    }

    /// The only name that a node takes, if it is no pattern.
    pub fn exact(&self, at: usize) -> Option<&str> {
        match &self.0[at] {
            Node::Exact(text) => Some(text),
            Node::Any | Node::AnyOf(_) | Node::Matching(_) => None,
        }
    }
}

/// The nodes of a path: what stands between dots, other than those in braces.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b'.' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

impl Node {
    fn parse(text: &str) -> Result<Node, PatternFault> {
        if text == "*" {
            return Ok(Node::Any);
        }
        if !text.contains(['*', '?', '[', '{']) {
            return Ok(Node::Exact(text.into()));
        }
        if let Some(names) = list(text) {
            return Ok(Node::AnyOf(names));
        }
        let rules = NameRules {
            any_case: false,
            any_line: true,
            most_bytes: REGEX_BYTES,
        };
        NamePattern::new(&expression(text), rules)
            .map(Node::Matching)
            .map_err(|_| PatternFault::Node(shortened(text)))
    }
}

/// The names of a node that is one pair of braces with plain names in it, and plain text around it.
fn list(text: &str) -> Option<HashSet<String>> {
    let (before, rest) = text.split_once('{')?;
    let (names, after) = rest.split_once('}')?;
    let is_plain = |text: &str| !text.contains(['*', '?', '[', '{', '}']);
    let all_plain = [before, names, after].into_iter().all(is_plain);
    all_plain.then(|| {
        let names = names.split(',');
        names.map(|name| format!("{before}{name}{after}")).collect()
    })
}

/// The pattern of a node as a regular expression.
fn expression(text: &str) -> String {
    let mut out = String::from("^(?:");
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '{' => {
                depth += 1;
                out.push_str("(?:");
            }
            '}' if depth > 0 => {
                depth -= 1;
                out.push(')');
            }
            ',' if depth > 0 => out.push('|'),
            '[' => match rest[1..].find(']') {
                Some(end) if end > 0 => {
                    class(&rest[1..=end], &mut out);
                    taken = end + 2;
                }
                _ => out.push_str(r"\["),
            },
            _ => out.push_str(&regex::escape(&rest[..taken])),
        }
        rest = &rest[taken..];
    }
    // Braces that are not closed end with the node.
    out.extend(std::iter::repeat_n(')', depth + 1));
    out.push('$');
    out
}

/// The characters of a `[…]`; `!` in front turns it around, as in the shell.
fn class(text: &str, out: &mut String) {
    out.push('[');
    let text = match text.strip_prefix('!') {
        Some(rest) => {
            out.push('^');
            rest
        }
        None => text,
    };
    for c in text.chars() {
        if c != '-' && !c.is_alphanumeric() {
            out.push('\\');
        }
        out.push(c);
    }
    out.push(']');
}

/// At most 60 characters of a text, for messages.
pub(crate) fn shortened(text: &str) -> String {
    let mut chars = text.chars();
    let mut short: String = chars.by_ref().take(60).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(pattern: &str, name: &str) -> bool {
        let pattern = Pattern::parse(pattern).unwrap();
        assert_eq!(pattern.len(), 1);
        pattern.takes(0, name)
    }

    #[test]
    fn a_node_is_a_name_or_a_pattern() {
        assert!(takes("a", "a") && !takes("a", "ab"));
        assert!(takes("*", "anything") && takes("*", ""));
        assert!(takes("a*c", "abbc") && !takes("a*c", "abbcd"));
        assert!(takes("a?c", "abc") && !takes("a?c", "ac"));
        assert!(takes("n[0-9]", "n7") && !takes("n[0-9]", "nx"));
        assert!(takes("n[!0-9]", "nx") && !takes("n[!0-9]", "n7"));
        assert!(takes("{a,b}", "b") && !takes("{a,b}", "c"));
        assert!(takes("x{a,b{1,2}}y", "xb2y") && !takes("x{a,b{1,2}}y", "xby"));
        assert!(takes("a+b(c)*", "a+b(c)d"), "nothing else is special");
        assert!(takes("jos?", "josé"));
    }

    #[test]
    fn dots_in_braces_do_not_end_a_node() {
        let pattern = Pattern::parse("a.{b.c,d}.e").unwrap();
        assert_eq!(pattern.len(), 3);
        assert!(pattern.takes(1, "b.c") && pattern.takes(1, "d"));
        assert_eq!((pattern.exact(0), pattern.exact(1)), (Some("a"), None));
    }

    #[test]
    fn brackets_and_braces_that_do_not_fit_are_taken_as_well_as_can_be() {
        assert!(takes("a]", "a]") && takes("a}", "a}"));
        assert!(takes("a[", "a[") || Pattern::parse("a[").is_err());
        assert!(takes("{a,b", "b"));
        assert!(takes("[]*", "[]x"));
        assert!(Pattern::parse("a[z-a]").is_err());
        assert_eq!(Pattern::parse("").unwrap_err(), PatternFault::Empty);
        assert_eq!(
            Pattern::parse(&"a.".repeat(100)).unwrap_err(),
            PatternFault::Deep
        );
    }

    #[test]
    fn thousands_of_names_in_one_brace_are_a_pattern() {
        let names: Vec<String> = (0..9000).map(|at| format!("node{at}_example")).collect();
        let pattern = format!("x{{{}}}y", names.join(","));
        assert!(takes(&pattern, "xnode8999_exampley") && !takes(&pattern, "node8999_example"));
    }
}
