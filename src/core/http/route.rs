//! Routes: which page a target names, and its arguments.
//!
//! Does not look into the data: whether a cluster exists is checked when the answer is made.

use percent_encoding::percent_decode;

use super::{Head, Method, Refusal};
use crate::answer::query::Query;
use crate::model::latin1::from_latin1;

/// Longest name of a JSONP function.
const MAX_CALLBACK_BYTES: usize = 128;

/// A request, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// The page, or why the request is refused.
    pub route: Result<Route, Refusal>,
}

impl Asked {
    /// Of the head of an HTTP request, well formed or not.
    pub fn of_head(head: &Head) -> Asked {
        Asked {
            method: head.method,
            route: match &head.target {
                Ok(target) => Route::parse(target),
                Err(refusal) => Err(refusal.clone()),
            },
        }
    }

    /// Of a plain line, if it names a page and not a path into the tree: C gmetad answers `/status`
    /// there too, with an HTTP head.
    pub fn of_plain_line(line: &[u8]) -> Option<Asked> {
        let line = line.trim_ascii();
        let rest = line.strip_prefix(b"/status")?;
        matches!(rest, [] | b"/" | [b'?', ..] | [b'/', b'?', ..]).then(|| Asked {
            method: Method::Get,
            route: Route::parse(line),
        })
    }

    /// Whether it asks for the metrics of hosts, of which few are made at a time.
    pub fn is_scrape(&self) -> bool {
        matches!(
            &self.route,
            Ok(Route::Metrics(Scope::All | Scope::Cluster(_)))
        )
    }

    /// The part of the query that is unknown and ignored.
    pub fn ignored(&self) -> Option<&str> {
        match &self.route {
            Ok(Route::Xml(query) | Route::Json(query)) => query.ignored.as_deref(),
            Ok(Route::Status(_) | Route::Metrics(_) | Route::Health) | Err(_) => None,
        }
    }
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// The tree as XML.
    Xml(Query),
    /// The tree as JSON.
    Json(Query),
    /// The daemon's status as JSON; as JSONP if a function is named.
    Status(Option<String>),
    /// Metrics for Prometheus.
    Metrics(Scope),
    /// The health check.
    Health,
}

/// Whose metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The daemon's own.
    Daemon,
    /// Every numeric metric of every host.
    All,
    /// The same of one cluster, which has one of these spellings of its name.
    Cluster(Vec<String>),
}

impl Route {
    /// Parses a target. A path that names no page is a path into the tree.
    pub fn parse(target: &[u8]) -> Result<Route, Refusal> {
        let (path, arguments) = match target.iter().position(|&b| b == b'?') {
            Some(at) => (&target[..at], &target[at + 1..]),
            None => (target, &[][..]),
        };
        match path.strip_suffix(b"/").unwrap_or(path) {
            b"/status" => Ok(Route::Status(callback(arguments)?)),
            b"/metrics" => Ok(Route::Metrics(scope(arguments)?)),
            b"/healthz" => Ok(Route::Health),
            _ => Ok(match target.strip_prefix(b"/api/v1") {
                Some(rest) if matches!(rest.first(), None | Some(b'/' | b'?')) => {
                    Route::Json(Query::parse(rest))
                }
                _ => Route::Xml(Query::parse(target)),
            }),
        }
    }
}

/// The values of an argument, decoded like those of a form: `+` is a space. They stay bytes, since
/// a name may be Latin-1.
fn values<'a>(arguments: &'a [u8], name: &'a str) -> impl Iterator<Item = Vec<u8>> + 'a {
    arguments.split(|&b| b == b'&').filter_map(move |term| {
        let value = term.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        let spaced: Vec<u8> = value
            .iter()
            .map(|&b| if b == b'+' { b' ' } else { b })
            .collect();
        Some(percent_decode(&spaced).collect())
    })
}

fn callback(arguments: &[u8]) -> Result<Option<String>, Refusal> {
    let Some(name) = values(arguments, "callback").next() else {
        return Ok(None);
    };
    let is_identifier = |part: &[u8]| {
        part.first().is_some_and(|b| !b.is_ascii_digit())
            && part
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'))
    };
    // Anything else would let the author of a link run scripts of their own.
    let is_name = name.len() <= MAX_CALLBACK_BYTES && name.split(|&b| b == b'.').all(is_identifier);
    if !is_name {
        return Err(Refusal::Callback);
    }
    Ok(String::from_utf8(name).ok())
}

fn scope(arguments: &[u8]) -> Result<Scope, Refusal> {
    if let Some(name) = values(arguments, "cluster").next() {
        return Ok(Scope::Cluster(spellings(&name)));
    }
    match values(arguments, "scope").next().as_deref() {
        None | Some(b"daemon") => Ok(Scope::Daemon),
        Some(b"all") => Ok(Scope::All),
        // The form scope=cluster=NAME is accepted too.
        Some([b'c', b'l', b'u', b's', b't', b'e', b'r', b'=', name @ ..]) => {
            Ok(Scope::Cluster(spellings(name)))
        }
        Some(_) => Err(Refusal::Scope),
    }
}

fn spellings(name: &[u8]) -> Vec<String> {
    let mut all: Vec<String> = String::from_utf8(name.to_vec()).into_iter().collect();
    if !name.is_ascii() {
        all.push(from_latin1(name).into_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(target: &str) -> Result<Route, Refusal> {
        Route::parse(target.as_bytes())
    }

    #[test]
    fn pages_are_told_from_paths() {
        assert_eq!(route("/healthz"), Ok(Route::Health));
        assert_eq!(route("/status/"), Ok(Route::Status(None)));
        assert_eq!(route("/metrics"), Ok(Route::Metrics(Scope::Daemon)));
        let query = |text: &str| Query::parse(text.as_bytes());
        for path in [
            "/",
            "/status/x",
            "/metricsx",
            "/api",
            "/api/v1x",
            "/api/v2/a",
            "//status",
        ] {
            assert_eq!(route(path), Ok(Route::Xml(query(path))), "{path}");
        }
        for path in ["", "/", "/a/b", "?filter=summary", "/a?filter=summary"] {
            let target = format!("/api/v1{path}");
            assert_eq!(route(&target), Ok(Route::Json(query(path))), "{path}");
        }
    }

    #[test]
    fn a_callback_is_a_name_and_nothing_else() {
        let status = |name: &str| route(&format!("/status?callback={name}"));
        for name in ["f", "_", "$", "jQuery1_2", "a.b.c", "%66"] {
            let plain = name.replace("%66", "f");
            assert_eq!(status(name), Ok(Route::Status(Some(plain))), "{name}");
        }
        let long = "f".repeat(MAX_CALLBACK_BYTES + 1);
        for name in [
            "",
            "1a",
            "a..b",
            "a.",
            ".a",
            "a b",
            "a(",
            "%3Cscript%3E",
            "a%00",
            "é",
            &long,
        ] {
            assert_eq!(status(name), Err(Refusal::Callback), "{name}");
        }
    }

    #[test]
    fn a_scope_is_the_daemon_all_or_a_cluster() {
        let metrics = |arguments: &str| route(&format!("/metrics?{arguments}"));
        assert_eq!(metrics("scope=daemon"), Ok(Route::Metrics(Scope::Daemon)));
        assert_eq!(metrics("scope=all&x"), Ok(Route::Metrics(Scope::All)));
        let cluster = |names: &[&str]| {
            let names = names.iter().map(ToString::to_string).collect();
            Ok(Route::Metrics(Scope::Cluster(names)))
        };
        for arguments in [
            "cluster=a%20b",
            "cluster=a+b",
            "scope=cluster=a+b",
            "scope=cluster%3Da+b",
        ] {
            assert_eq!(metrics(arguments), cluster(&["a b"]), "{arguments}");
        }
        assert_eq!(metrics("cluster=%C3%A9"), cluster(&["é", "Ã©"]));
        assert_eq!(metrics("cluster=%E9"), cluster(&["é"]));
        assert_eq!(metrics("scope=some"), Err(Refusal::Scope));
    }

    #[test]
    fn the_plain_form_has_the_status_and_no_other_page() {
        for line in ["/status", "/status\r", "/status/", "/status?callback=f"] {
            assert!(Asked::of_plain_line(line.as_bytes()).is_some(), "{line}");
        }
        for line in [
            "/",
            "status",
            "/status/x",
            "/statusx",
            "/metrics",
            "/healthz",
            "/api/v1/",
        ] {
            assert!(Asked::of_plain_line(line.as_bytes()).is_none(), "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_of_a_query_is_told() {
        let ignored = |target: &str| {
            let head = format!("GET {target} HTTP/1.0\r\n\r\n");
            let asked = Asked::of_head(&Head::parse(head.as_bytes()));
            asked.ignored().map(String::from)
        };
        for target in ["/a?filter=none", "/api/v1/a?filter=none"] {
            assert_eq!(ignored(target).as_deref(), Some("filter=none"), "{target}");
        }
        for target in ["/", "/?filter=summary", "/status?_=1", "/metrics?scope=x"] {
            assert_eq!(ignored(target), None, "{target}");
        }
    }
}
