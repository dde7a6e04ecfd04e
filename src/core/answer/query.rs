//! Queries of clients: a line of text, and what it selects in a snapshot.
//!
//! No I/O. No query is an error here: one that cannot be parsed selects everything.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::model::latin1::from_latin1;
use crate::model::{Cluster, Node, Snapshot};

/// A query by path, not yet resolved in a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Elements between the slashes, as sent.
    pub path: Vec<Vec<u8>>,
    /// `filter=summary`.
    pub summary: bool,
    /// An unknown parameter. It is ignored and worth a line in the log.
    pub ignored: Option<String>,
}

/// Levels below the root: cluster or grid, host, metric. One more for the root's own name, and one to
/// detect that there are too many.
const MAX_LEVELS: usize = 5;

/// Selects a whole level, in the strict form.
const WILDCARD: &[u8] = b"*";

impl Query {
    /// Parses a line of the interactive port, without its end.
    pub fn parse(line: &[u8]) -> Query {
        let line = line.trim_ascii();
        let (path, rest) = match line.iter().position(|&b| b == b'?') {
            Some(at) => (&line[..at], Some(&line[at + 1..])),
            None => (line, None),
        };
        let mut query = Query {
            path: path
                .split(|&b| b == b'/')
                .filter(|element| !element.is_empty())
                .take(MAX_LEVELS)
                .map(<[u8]>::to_vec)
                .collect(),
            ..Query::default()
        };
        for term in rest
            .unwrap_or_default()
            .split(|&b| b == b'&')
            .filter(|t| !t.is_empty())
        {
            if term.eq_ignore_ascii_case(b"filter=summary") {
                query.summary = true;
            } else {
                query.ignored = Some(from_latin1(term).into_owned());
            }
        }
        query
    }
}

/// What is selected at one level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pick {
    /// Everything.
    #[default]
    All,
    /// The item of that name.
    Name(Box<str>),
    /// Nothing: the name does not exist, and the form of the query is strict.
    Nothing,
}

impl Pick {
    /// Whether it selects that name.
    #[inline]
    pub fn takes(&self, name: &str) -> bool {
        match self {
            Pick::All => true,
            Pick::Name(wanted) => **wanted == *name,
            Pick::Nothing => false,
        }
    }
}

/// The part of a snapshot that is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Clusters and grids.
    pub node: Pick,
    /// Hosts of those clusters.
    pub host: Pick,
    /// Metrics of those hosts.
    pub metric: Pick,
    /// Summaries instead of hosts.
    pub summary: bool,
    /// Whether a wildcard selected all clusters and grids, one by one.
    pub each_node: bool,
}

impl Selection {
    /// The whole document.
    pub fn all() -> Selection {
        Selection::default()
    }

    /// Whether the root's sums come first.
    pub fn has_root_summary(&self) -> bool {
        self.summary && self.node == Pick::All && !self.each_node
    }

    /// Resolves a query in the strict form of HTTP: an element that matches nothing selects nothing,
    /// `*` selects a whole level, and percent-encoding is always decoded. Also returns whether every
    /// element exists. If one does not, its parents are selected without children.
    pub fn resolve_strict(snapshot: &Snapshot, query: &Query) -> (Selection, bool) {
        let mut selection = Selection {
            summary: query.summary,
            ..Selection::default()
        };
        let path = below_own_grid(snapshot, &query.path, decoded);
        let Some((name, below)) = path.split_first() else {
            return (selection, true);
        };
        if name == WILDCARD {
            selection.each_node = true;
            let found = selection.resolve_in(snapshot, &snapshot.nodes, below);
            return (selection, found);
        }
        let Some(node) = decoded(name).into_iter().find_map(|n| snapshot.node(&n)) else {
            selection.node = Pick::Nothing;
            return (selection, false);
        };
        selection.node = Pick::Name(node.name().into());
        let found = selection.resolve_in(snapshot, std::slice::from_ref(node), below);
        (selection, found)
    }

    /// Resolves the path below a node in the strict form. Returns whether every element exists.
    fn resolve_in(&mut self, snapshot: &Snapshot, nodes: &[Node], path: &[Vec<u8>]) -> bool {
        let Some((name, path)) = path.split_first() else {
            return true;
        };
        // Summaries end at clusters.
        self.summary = false;
        let clusters = || {
            nodes.iter().filter_map(|node| match node {
                Node::Cluster(cluster) => Some(&**cluster),
                Node::Grid(_) => None,
            })
        };
        if name != WILDCARD {
            let here = |name: &String| clusters().any(|c| c.find_host(name).is_some());
            let names = of_host(snapshot, decoded(name));
            let Some(host) = names.into_iter().find(here) else {
                self.host = Pick::Nothing;
                return false;
            };
            self.host = Pick::Name(host.into());
        }
        let Some((name, path)) = path.split_first() else {
            return clusters().next().is_some();
        };
        if name != WILDCARD {
            let here = |name: &String| clusters().any(|cluster| self.has_metric(cluster, name));
            let Some(metric) = decoded(name).into_iter().find(here) else {
                self.metric = Pick::Nothing;
                return false;
            };
            self.metric = Pick::Name(metric.into());
        }
        // There is nothing below a metric.
        path.is_empty() && clusters().next().is_some()
    }

    /// Whether a selected host has a metric of that name. If all hosts are selected, their definitions
    /// tell, so that the status of an answer is known without a look at every metric.
    fn has_metric(&self, cluster: &Cluster, name: &str) -> bool {
        match &self.host {
            Pick::All => cluster.each_def().any(|def| def.name() == name),
            Pick::Nothing => false,
            Pick::Name(host) => cluster
                .find_host(host)
                .is_some_and(|at| cluster.host(at).value(name).is_some()),
        }
    }

    /// Resolves a query as the interactive port does: an element that matches nothing filters nothing,
    /// and neither do those after it.
    pub fn resolve(snapshot: &Snapshot, query: &Query) -> Selection {
        let selection = Selection {
            summary: query.summary,
            ..Selection::default()
        };
        let path = below_own_grid(snapshot, &query.path, spellings);
        let node = path
            .first()
            .and_then(|name| spellings(name).into_iter().find_map(|n| snapshot.node(&n)));
        match node {
            Some(node) => selection.resolve_below(snapshot, node, &path[1..]),
            None => selection,
        }
    }

    fn resolve_below(mut self, snapshot: &Snapshot, node: &Node, path: &[Vec<u8>]) -> Selection {
        self.node = Pick::Name(node.name().into());
        let Node::Cluster(cluster) = node else {
            return self;
        };
        let Some((name, path)) = path.split_first() else {
            return self;
        };
        let host = of_host(snapshot, spellings(name))
            .into_iter()
            .find_map(|name| cluster.find_host(&name));
        let Some(host) = host else {
            return self;
        };
        let host = cluster.host(host);
        self.host = Pick::Name(host.info.name.clone());
        // Summaries end at clusters.
        self.summary = false;
        let metric = path.first().and_then(|name| {
            spellings(name)
                .into_iter()
                .find(|name| host.value(name).is_some())
        });
        if let Some(metric) = metric {
            self.metric = Pick::Name(metric.into());
        }
        self
    }
}

/// The spellings of a host's name, in lower case if names are stored so.
fn of_host(snapshot: &Snapshot, mut spellings: Vec<String>) -> Vec<String> {
    if snapshot.lower_case_hosts {
        for name in &mut spellings {
            *name = name.to_lowercase();
        }
    }
    spellings
}

/// The path without the root grid's name at its start. If a cluster has the same name, the next
/// element decides.
fn below_own_grid<'a>(
    snapshot: &Snapshot,
    path: &'a [Vec<u8>],
    spellings: fn(&[u8]) -> Vec<String>,
) -> &'a [Vec<u8>] {
    let Some((first, rest)) = path.split_first() else {
        return path;
    };
    let is_node = |name: &[u8]| spellings(name).iter().any(|n| snapshot.node(n).is_some());
    let is_own = spellings(first)
        .iter()
        .any(|name| *name == snapshot.identity.name);
    if is_own && (!is_node(first) || rest.first().is_some_and(|second| is_node(second))) {
        rest
    } else {
        path
    }
}

/// Possible meanings of a name in a plain line, most likely first: as Latin-1, as UTF-8, and both
/// with percent-encoding decoded.
fn spellings(name: &[u8]) -> Vec<String> {
    let mut all = vec![from_latin1(name).into_owned()];
    all.extend(non_ascii_utf8(name));
    if let Cow::Owned(decoded) = percent_decode(name).into() {
        all.push(from_latin1(&decoded).into_owned());
        all.extend(non_ascii_utf8(&decoded));
    }
    all
}

/// Possible meanings of a name in a URL, most likely first: percent-encoding decoded, as UTF-8 and
/// as Latin-1.
fn decoded(name: &[u8]) -> Vec<String> {
    let decoded = Cow::from(percent_decode(name));
    let mut all: Vec<String> = non_ascii_utf8(&decoded).into_iter().collect();
    all.push(from_latin1(&decoded).into_owned());
    all
}

fn non_ascii_utf8(bytes: &[u8]) -> Option<String> {
    if bytes.is_ascii() {
        return None;
    }
    String::from_utf8(bytes.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::walk::Body;
    use crate::answer::xml::Render;
    use crate::model::Now;
    use crate::testing;
    use std::sync::Arc;

    /// Two clusters and a grid below, in a grid named Top.
    fn snapshot() -> Arc<Snapshot> {
        let host = |name: &str| {
            format!(
                "<HOST NAME=\"{name}\" TMAX=\"20\"><METRIC NAME=\"one\" VAL=\"1\" TYPE=\"int8\"/>\
                 <METRIC NAME=\"a/b\" VAL=\"2\" TYPE=\"int8\"/></HOST>"
            )
        };
        let cluster = |name: &str| {
            let hosts = host("h1") + &host("caf\u{e9}");
            format!("<CLUSTER NAME=\"{name}\" LOCALTIME=\"5\">{hosts}</CLUSTER>")
        };
        let grid = format!(
            "<GRID NAME=\"Sub\" AUTHORITY=\"http://sub/\">{}</GRID>",
            cluster("inner")
        );
        testing::snapshot(&[&cluster("Alpha"), &cluster("100%25 &amp; b"), &grid])
    }

    /// What is served, in short: an opening tag's name and its NAME, a line each.
    fn asked(line: &[u8]) -> String {
        let snapshot = snapshot();
        let selection = Selection::resolve(&snapshot, &Query::parse(line));
        served(snapshot, selection)
    }

    fn served(snapshot: Arc<Snapshot>, selection: Selection) -> String {
        let mut out = Vec::new();
        assert!(!Render::new(snapshot, selection, Now::default()).fill(&mut out, usize::MAX));
        let text = String::from_utf8_lossy(&out).into_owned();
        let body = text.split_once("]>").unwrap().1;
        let short = body
            .split('<')
            .filter(|tag| !tag.starts_with(['/', 'E']) && tag.contains('='));
        let name = |tag: &str| {
            let name = tag
                .split("NAME=\"")
                .nth(1)
                .map(|rest| rest.split('"').next().unwrap());
            format!(
                "{}:{}",
                tag.split(' ').next().unwrap(),
                name.unwrap_or_default()
            )
        };
        short.skip(1).map(name).collect::<Vec<_>>().join(" ")
    }

    const ALPHA: &str = "GRID:Top CLUSTER:Alpha HOST:h1 METRIC:one METRIC:a/b HOST:caf\u{fffd} METRIC:one METRIC:a/b";
    const HOST: &str = "GRID:Top CLUSTER:Alpha HOST:h1 METRIC:one METRIC:a/b";
    const METRIC: &str = "GRID:Top CLUSTER:Alpha HOST:h1 METRIC:one";

    #[test]
    fn each_level_is_found_with_and_without_the_grids_name() {
        for prefix in ["", "/", "/Top/", "//"] {
            for (path, answer) in [
                ("Alpha", ALPHA),
                ("Alpha/h1", HOST),
                ("Alpha/h1/one", METRIC),
            ] {
                assert_eq!(
                    asked(format!("{prefix}{path}").as_bytes()),
                    answer,
                    "{prefix}{path}"
                );
                assert_eq!(
                    asked(format!("{prefix}{path}/\r").as_bytes()),
                    answer,
                    "{prefix}{path}/"
                );
            }
        }
    }

    #[test]
    fn an_element_that_matches_nothing_filters_nothing() {
        let all = asked(b"/");
        assert!(all.contains("CLUSTER:Alpha") && all.contains("GRID:Sub HOSTS: METRICS:one"));
        for line in [
            "",
            "/nope",
            "/nope/h1",
            "/Top",
            "/Top/nope",
            "/inner",
            "/alpha",
        ] {
            assert_eq!(asked(line.as_bytes()), all, "{line}");
        }
        assert_eq!(asked(b"/Alpha/nope/one"), ALPHA);
        assert_eq!(asked(b"/Alpha/h1/nope"), HOST);
        assert_eq!(asked(b"/Alpha/h1/one/extra/more/and/more"), METRIC);
    }

    #[test]
    fn summaries_end_at_clusters() {
        assert_eq!(
            asked(b"/?filter=summary"),
            "GRID:Top HOSTS: METRICS:one METRICS:a/b CLUSTER:Alpha HOSTS: METRICS:one METRICS:a/b \
             CLUSTER:100%25 &amp; b HOSTS: METRICS:one METRICS:a/b GRID:Sub HOSTS: METRICS:one METRICS:a/b"
        );
        let alpha = "GRID:Top CLUSTER:Alpha HOSTS: METRICS:one METRICS:a/b";
        assert_eq!(asked(b"/Alpha?FILTER=Summary"), alpha);
        assert_eq!(asked(b"/Alpha/?filter=summary&x=y"), alpha);
        assert_eq!(asked(b"/Alpha/h1?filter=summary"), HOST);
        assert_eq!(asked(b"/Alpha/h1/one?filter=summary"), METRIC);
        let sub = "GRID:Top GRID:Sub HOSTS: METRICS:one METRICS:a/b";
        assert_eq!(asked(b"/Sub"), sub);
        assert_eq!(asked(b"/Sub/inner?filter=summary"), sub);
    }

    #[test]
    fn names_are_taken_as_latin1_as_utf8_and_percent_encoded() {
        let cafe = "GRID:Top CLUSTER:Alpha HOST:caf\u{fffd} METRIC:one METRIC:a/b";
        for name in [&b"caf\xe9"[..], "café".as_bytes(), b"caf%E9", b"caf%C3%A9"] {
            assert_eq!(asked(&[b"/Alpha/", name].concat()), cafe);
        }
        assert_eq!(
            asked(b"/Alpha/h1/a%2fb"),
            "GRID:Top CLUSTER:Alpha HOST:h1 METRIC:a/b"
        );
        assert!(
            asked(b"/100%25 & b").starts_with("GRID:Top CLUSTER:100%25"),
            "literally first"
        );
    }

    /// As `asked`, in the strict form; whether all was found comes first.
    fn asked_strictly(line: &str) -> (bool, String) {
        let snapshot = snapshot();
        let (selection, found) =
            Selection::resolve_strict(&snapshot, &Query::parse(line.as_bytes()));
        (found, served(snapshot, selection))
    }

    #[test]
    fn in_the_strict_form_what_is_not_there_leaves_its_parents_empty() {
        for (line, answer) in [
            ("/nope", "GRID:Top"),
            ("/nope/h1", "GRID:Top"),
            ("/nope?filter=summary", "GRID:Top"),
            ("/Top/nope", "GRID:Top"),
            ("/alpha", "GRID:Top"),
            ("/Alpha/nope", "GRID:Top CLUSTER:Alpha"),
            ("/Alpha/nope/one", "GRID:Top CLUSTER:Alpha"),
            ("/Alpha/nope?filter=summary", "GRID:Top CLUSTER:Alpha"),
            ("/Alpha/h1/nope", "GRID:Top CLUSTER:Alpha HOST:h1"),
            ("/Alpha/h1/one/more", METRIC),
            ("/Alpha/h1/one/more/and/more", METRIC),
            (
                "/Sub/inner",
                "GRID:Top GRID:Sub HOSTS: METRICS:one METRICS:a/b",
            ),
        ] {
            assert_eq!(asked_strictly(line), (false, answer.into()), "{line}");
        }
        for (line, answer) in [
            ("/", asked(b"/")),
            ("/Top", asked(b"/")),
            ("/Top/Alpha", ALPHA.into()),
            ("//Alpha/", ALPHA.into()),
            ("/Alpha/h1", HOST.into()),
            ("/Alpha/h1/one", METRIC.into()),
            ("/?filter=summary", asked(b"/?filter=summary")),
            ("/Alpha?filter=summary", asked(b"/Alpha?filter=summary")),
            ("/Alpha/h1?filter=summary", HOST.into()),
            ("/Sub", asked(b"/Sub")),
        ] {
            assert_eq!(asked_strictly(line), (true, answer), "{line}");
        }
    }

    #[test]
    fn in_the_strict_form_a_wildcard_is_a_whole_level() {
        let all = asked(b"/");
        let sub = "GRID:Sub HOSTS: METRICS:one METRICS:a/b";
        let summaries =
            asked(b"/?filter=summary").replacen(" HOSTS: METRICS:one METRICS:a/b", "", 1);
        for (line, answer) in [
            ("/*", all.clone()),
            ("/*/*", all.clone()),
            ("/*/*/*", all.clone()),
            ("/Top/*", all.clone()),
            ("/*?filter=summary", summaries),
            ("/Alpha/*", ALPHA.into()),
            ("/Alpha/*?filter=summary", ALPHA.into()),
            ("/Alpha/*/a%2Fb", ALPHA.replace(" METRIC:one", "")),
            ("/Alpha/h1/*", HOST.into()),
            (
                "/*/h1/one",
                format!("{METRIC} CLUSTER:100%25 &amp; b HOST:h1 METRIC:one {sub}"),
            ),
        ] {
            assert_eq!(asked_strictly(line), (true, answer), "{line}");
        }
        let empty = format!("GRID:Top CLUSTER:Alpha CLUSTER:100%25 &amp; b {sub}");
        assert_eq!(asked_strictly("/*/nope"), (false, empty.clone()));
        assert_eq!(asked_strictly("/*/nope/*"), (false, empty));
        assert!(!asked_strictly("/*/*/nope").0);
        assert!(
            !asked_strictly("/Sub/*").0,
            "what is in a grid below is not known"
        );
        assert!(!asked_strictly("/%2A").0, "encoded it is a name");
    }

    #[test]
    fn in_the_strict_form_percent_encoding_is_always_decoded() {
        assert!(!asked_strictly("/100%25%20&%20b").0);
        assert!(asked_strictly("/100%2525%20%26%20b").0);
        for name in ["caf%E9", "caf%C3%A9", "caf\u{e9}"] {
            assert!(asked_strictly(&format!("/Alpha/{name}")).0, "{name}");
        }
        let (found, answer) = asked_strictly("/Alpha/h1/a%2Fb");
        assert_eq!(
            (found, &*answer),
            (true, "GRID:Top CLUSTER:Alpha HOST:h1 METRIC:a/b")
        );
    }

    #[test]
    fn another_filter_is_ignored_and_told() {
        let query = Query::parse(b"/Alpha?filter=bogus");
        assert_eq!(
            (query.summary, query.ignored.as_deref()),
            (false, Some("filter=bogus"))
        );
        assert_eq!(asked(b"/Alpha?filter=bogus"), ALPHA);
        assert_eq!(asked(b"/Alpha?"), ALPHA);
    }
}
