//! What to ask when nobody said: a walk over every level of what a gmetad holds.
//!
//! No sockets: the tree comes in, request lines go out.

use crate::tree::Element;

/// A name that no grid, cluster, host or metric has.
const NOBODY: &str = "no such name";

/// Requests to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requests {
    /// Request lines; none is what an XML port sends unasked.
    pub lines: Vec<Option<String>>,
    /// False when the gmetad does not hold all levels yet.
    pub complete: bool,
}

impl Requests {
    /// One request, which needs no walk.
    pub fn only(line: Option<String>) -> Self {
        Self {
            lines: vec![line],
            complete: true,
        }
    }
}

/// A request for each kind of answer: all, sums, each cluster and nested grid, of each cluster
/// the first host and its first metric, and at each level a name that nobody has.
///
/// `?filter=summary` on a host is not among them: C gmetad then leaves the metrics out, while
/// the filter is defined for grids and clusters only.
pub fn requests(root: &Element) -> Requests {
    let mut lines = vec![
        "/".to_owned(),
        "/?filter=summary".to_owned(),
        format!("/{NOBODY}"),
        format!("/{NOBODY}?filter=summary"),
    ];
    let mut complete = false;
    let sources = root
        .children
        .iter()
        .filter(|element| element.tag == "GRID")
        .flat_map(|grid| &grid.children);
    for source in sources {
        let Some(name) = source.name().filter(|name| is_askable(name)) else {
            continue;
        };
        if source.tag != "CLUSTER" && source.tag != "GRID" {
            continue;
        }
        lines.push(format!("/{name}"));
        lines.push(format!("/{name}?filter=summary"));
        lines.push(format!("/{name}/{NOBODY}"));
        let full = |element: &&Element| {
            element.name().is_some_and(is_askable)
                && element.children.iter().any(|child| child.tag == "METRIC")
        };
        complete |= source.tag == "GRID";
        if let Some(host) = source.children.iter().find(full) {
            complete = true;
            push_host(&mut lines, name, host);
        }
    }
    Requests {
        lines: lines.into_iter().map(Some).collect(),
        complete,
    }
}

fn push_host(lines: &mut Vec<String>, cluster: &str, host: &Element) {
    let Some(name) = host.name() else { return };
    let path = format!("/{cluster}/{name}");
    lines.push(path.clone());
    lines.push(format!("{path}/{NOBODY}"));
    let metric = host
        .children
        .iter()
        .filter(|child| child.tag == "METRIC")
        .find_map(|metric| metric.name().filter(|name| is_askable(name)));
    if let Some(metric) = metric {
        lines.push(format!("{path}/{metric}"));
    }
}

/// Whether a name can stand in a request line of C gmetad.
fn is_askable(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_graphic() && !"/?%*&<>\"'".contains(c) || c == ' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::parse;

    #[test]
    fn every_level_is_asked_for() {
        let root = parse(
            "<GANGLIA_XML><GRID NAME=\"G\"><CLUSTER NAME=\"C 1\"><HOST NAME=\"empty\"/>\
             <HOST NAME=\"h\"><METRIC NAME=\"m\"/></HOST></CLUSTER>\
             <GRID NAME=\"Sub\"/><CLUSTER NAME=\"a/b\"/></GRID></GANGLIA_XML>",
        )
        .unwrap();
        let requests = requests(&root);
        assert!(requests.complete);
        let lines: Vec<_> = requests
            .lines
            .iter()
            .flatten()
            .map(String::as_str)
            .collect();
        assert_eq!(
            lines,
            [
                "/",
                "/?filter=summary",
                "/no such name",
                "/no such name?filter=summary",
                "/C 1",
                "/C 1?filter=summary",
                "/C 1/no such name",
                "/C 1/h",
                "/C 1/h/no such name",
                "/C 1/h/m",
                "/Sub",
                "/Sub?filter=summary",
                "/Sub/no such name",
            ]
        );
    }

    #[test]
    fn a_gmetad_that_holds_nothing_yet_is_not_complete() {
        let root = parse("<GANGLIA_XML><GRID NAME=\"G\"></GRID></GANGLIA_XML>").unwrap();
        assert!(!requests(&root).complete);
    }
}
