//! Parts of the names of series: the path within `scale(a.b.c,2)`, and its nodes.

use crate::expression::Expression;

/// The first path of a name that may be an expression; the name itself if there is none.
pub fn first_path(name: &str) -> String {
    if name.contains('(')
        && let Ok(expression) = Expression::parse(name)
        && let Some(path) = first_path_of(expression)
    {
        return path;
    }
    name.to_owned()
}

fn first_path_of(expression: Expression) -> Option<String> {
    match expression {
        Expression::Path(path) => Some(path),
        Expression::Call(call) => call.arguments.into_iter().find_map(first_path_of),
        _ => None,
    }
}

/// Nodes of the path of a name, joined by dots. Negative numbers count from the end; what is not there
/// is empty.
pub fn node_key(name: &str, nodes: &[i64]) -> String {
    let path = first_path(name);
    let parts: Vec<&str> = path.split('.').collect();
    let part = |&node: &i64| {
        let at = if node < 0 {
            node + parts.len() as i64
        } else {
            node
        };
        let at = usize::try_from(at).ok();
        at.and_then(|at| parts.get(at).copied()).unwrap_or_default()
    };
    let all: Vec<&str> = nodes.iter().map(part).collect();
    all.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_those_of_the_first_path() {
        assert_eq!(node_key("a.b.c", &[1]), "b");
        assert_eq!(node_key("a.b.c", &[0, -1]), "a.c");
        assert_eq!(node_key("scale(sum(a.b.c,d.e),2)", &[1, 2]), "b.c");
        assert_eq!(node_key("a.b", &[7, 0, -9]), ".a.");
        assert_eq!(node_key("a(b", &[0]), "a(b", "a name may be no expression");
        assert_eq!(first_path("constantLine(3)"), "constantLine(3)");
    }
}
