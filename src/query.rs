//! What a client asks for: a line of text, and what it selects in a snapshot.
//!
//! No I/O. Nothing a client sends is an error here: what cannot be understood selects all.

use crate::model::Node;
use crate::store::Snapshot;
use crate::xml::text::from_latin1;

/// A request by path, not yet held against any data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Elements between the slashes, as sent.
    pub path: Vec<Vec<u8>>,
    /// `filter=summary`.
    pub summary: bool,
    /// What was asked for and is not known: it is ignored, and worth a line in the log.
    pub ignored: Option<String>,
}

/// Levels below the grid: cluster or grid, host, metric. One more where the grid's name leads.
const MAX_LEVELS: usize = 4;

impl Query {
    /// Reads the interactive port's one line, without its end.
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

/// What is taken at one level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pick {
    /// Everything.
    #[default]
    All,
    /// What has that name.
    Name(Box<str>),
    /// Nothing: the name asked for is not there, and the form of the request is strict.
    Nothing,
}

impl Pick {
    /// Whether it takes something of that name.
    #[inline]
    pub fn takes(&self, name: &str) -> bool {
        match self {
            Pick::All => true,
            Pick::Name(wanted) => **wanted == *name,
            Pick::Nothing => false,
        }
    }
}

/// What of a snapshot is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Clusters and grids.
    pub node: Pick,
    /// Hosts of those clusters.
    pub host: Pick,
    /// Metrics of those hosts.
    pub metric: Pick,
    /// Summaries in place of hosts.
    pub summary: bool,
}

impl Selection {
    /// The whole document.
    pub fn all() -> Selection {
        Selection::default()
    }

    /// Whether the root's own sums come first.
    pub fn has_root_summary(&self) -> bool {
        self.summary && self.node == Pick::All
    }

    /// What the query selects, as the interactive port does it: an element that matches nothing
    /// filters nothing, nor does what follows it.
    pub fn resolve(snapshot: &Snapshot, query: &Query) -> Selection {
        let mut selection = Selection {
            summary: query.summary,
            ..Selection::default()
        };
        let mut path = query.path.as_slice();
        let Some(mut node) = path.first().and_then(|name| find_node(snapshot, name)) else {
            let Some(node) = Selection::below_own_grid(snapshot, &mut path) else {
                return selection;
            };
            return selection.resolve_below(node, &path[1..]);
        };
        // A cluster may be named as the grid is; the longer path decides.
        if let [_, second, ..] = path
            && is_own_grid(snapshot, &path[0])
            && let Some(below) = find_node(snapshot, second)
        {
            node = below;
            path = &path[1..];
        }
        selection.node = Pick::Name(node.name().into());
        selection.resolve_below(node, &path[1..])
    }

    /// The node that a path with the grid's own name in front means.
    fn below_own_grid<'a>(snapshot: &'a Snapshot, path: &mut &[Vec<u8>]) -> Option<&'a Node> {
        let (first, rest) = path.split_first()?;
        if !is_own_grid(snapshot, first) {
            return None;
        }
        *path = rest;
        find_node(snapshot, rest.first()?)
    }

    fn resolve_below(mut self, node: &Node, path: &[Vec<u8>]) -> Selection {
        self.node = Pick::Name(node.name().into());
        let Node::Cluster(cluster) = node else {
            return self;
        };
        let Some((name, path)) = path.split_first() else {
            return self;
        };
        let Some(host) = spellings(name).find_map(|name| cluster.find_host(&name)) else {
            return self;
        };
        let host = &cluster.hosts[host];
        self.host = Pick::Name(host.info.name.clone());
        // Summaries end at clusters.
        self.summary = false;
        let metric = path.first().and_then(|name| {
            spellings(name).find(|name| cluster.find_metric(host, name).is_some())
        });
        if let Some(metric) = metric {
            self.metric = Pick::Name(metric.into());
        }
        self
    }
}

fn is_own_grid(snapshot: &Snapshot, name: &[u8]) -> bool {
    spellings(name).any(|name| *name == *snapshot.identity.name)
}

fn find_node<'a>(snapshot: &'a Snapshot, name: &[u8]) -> Option<&'a Node> {
    spellings(name).find_map(|name| snapshot.node(&name))
}

/// The texts that a sent name can mean, the likeliest first: as Latin-1, as UTF-8, and each with
/// its percent-encoding decoded.
fn spellings(name: &[u8]) -> impl Iterator<Item = String> {
    let decoded = percent_decoded(name);
    let both = |bytes: &[u8]| {
        let utf8 = (!bytes.is_ascii())
            .then(|| String::from_utf8(bytes.to_vec()).ok())
            .flatten();
        std::iter::once(from_latin1(bytes).into_owned()).chain(utf8)
    };
    both(name)
        .chain(decoded.as_deref().map(both).into_iter().flatten())
        .collect::<Vec<_>>()
        .into_iter()
}

/// The bytes behind `%XX`; `None` where there is no such thing.
pub fn percent_decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).filter(|_| *first == b'%');
        if let Some(byte) = digits.and_then(|d| Some((hex(d[0])? << 4) | hex(d[1])?)) {
            out.push(byte);
            rest = &tail[2..];
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    (out.len() < bytes.len()).then_some(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|d| d as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Now;
    use crate::store::{GridIdentity, Store};
    use crate::walk::Body;
    use crate::xml::write::Render;
    use std::sync::Arc;

    /// Two clusters and a grid below, in a grid named Top.
    fn snapshot() -> Arc<Snapshot> {
        let identity = GridIdentity {
            name: "Top".into(),
            scalable: true,
            ..Default::default()
        };
        let mut store = Store::new(identity, Arc::default());
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
        for inside in [cluster("Alpha"), cluster("100%25 &amp; b"), grid] {
            let id = store.add_source();
            let xml = format!("<GANGLIA_XML>{inside}</GANGLIA_XML>");
            let latin1: Vec<u8> = xml.chars().map(|c| c as u8).collect();
            let mut parser = store.begin(id);
            parser
                .feed(&latin1, Now::default().mono, store.table())
                .unwrap();
            let document = parser.finish(Now::default().mono).unwrap();
            store.commit(id, document, Now::default());
        }
        store.summarize();
        store.snapshot()
    }

    /// What is served, in short: an opening tag's name and its NAME, a line each.
    fn asked(line: &[u8]) -> String {
        let snapshot = snapshot();
        let selection = Selection::resolve(&snapshot, &Query::parse(line));
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
