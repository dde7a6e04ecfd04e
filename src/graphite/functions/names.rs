//! Functions that name series.

use super::select::expression;
use super::{Arguments, Fault, Function, Kind, LINES, Parameter, Reach};
use crate::line::Line;
use crate::names_of_paths::{first_path, node_key};

/// Longest name that a replacement may make.
const MAX_NAME_BYTES: usize = 4096;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        names: &["alias"],
        group: "Alias",
        does: "Names series with a text.",
        gaps: "stay",
        parameters: &[LINES, Parameter::new("newName", Kind::Text)],
        reach: Reach::Same,
        run: |given| {
            let name = given.text(1).unwrap_or_default().to_owned();
            Ok(named(given, |_| name.clone()))
        },
    },
    Function {
        names: &["aliasByNode"],
        group: "Alias",
        does: "Names series by nodes of their path.",
        gaps: "stay",
        parameters: &[LINES, Parameter::many("nodes", Kind::Node)],
        reach: Reach::Same,
        run: |given| {
            let nodes = given.nodes(1);
            Ok(named(given, |name| node_key(name, &nodes)))
        },
    },
    Function {
        names: &["aliasByMetric"],
        group: "Alias",
        does: "Names series by the last node of their path.",
        gaps: "stay",
        parameters: &[LINES],
        reach: Reach::Same,
        run: |given| {
            Ok(named(given, |name| {
                let path = first_path(name);
                path.rsplit('.').next().unwrap_or_default().to_owned()
            }))
        },
    },
    Function {
        names: &["aliasSub"],
        group: "Alias",
        does: "Replaces what matches an expression in the names of series; \\1 is its first group.",
        gaps: "stay",
        parameters: &[
            LINES,
            Parameter::new("search", Kind::Text),
            Parameter::new("replace", Kind::Text),
        ],
        reach: Reach::Same,
        run: alias_sub,
    },
];

fn named(given: &mut Arguments, name: impl Fn(&str) -> String) -> Vec<Line> {
    let mut lines = given.lines(0);
    for line in &mut lines {
        line.name = name(&line.name);
    }
    lines
}

fn alias_sub(given: &mut Arguments) -> Result<Vec<Line>, Fault> {
    let regex = expression(given, 1)?;
    let replacement = replacement(given.text(2).unwrap_or_default());
    let mut lines = given.lines(0);
    for line in &mut lines {
        let name = regex.replace_all(&line.name, replacement.as_str());
        if name.len() > MAX_NAME_BYTES {
            return Err(given.fault(format!(
                "a name would be longer than {MAX_NAME_BYTES} bytes"
            )));
        }
        line.name = name.into_owned();
    }
    Ok(lines)
}

/// A replacement in the manner of Python's `re`, in that of our expressions: `\1` is `${1}`, and a `$`
/// is nothing special.
fn replacement(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if c == '\\' && digits > 0 {
            // Two digits at most, as there.
            let digits = digits.min(2);
            out.push_str("${");
            out.push_str(&after[..digits]);
            out.push('}');
            rest = &after[digits..];
            continue;
        }
        let named = after.strip_prefix("g<").and_then(|it| it.split_once('>'));
        if let Some((name, after)) = named.filter(|_| c == '\\') {
            out.push_str("${");
            out.push_str(name);
            out.push('}');
            rest = after;
            continue;
        }
        match c {
            '$' => out.push_str("$$"),
            '\\' if after.starts_with('\\') => {
                out.push('\\');
                rest = &after[1..];
                continue;
            }
            c => out.push(c),
        }
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_is_read_as_python_does() {
        assert_eq!(replacement(r"\1 A"), "${1} A");
        assert_eq!(replacement(r"a$b\2c"), "a$$b${2}c");
        assert_eq!(replacement(r"\g<node>x"), "${node}x");
        assert_eq!(replacement(r"\\1\q\"), r"\1\q\");
    }
}
