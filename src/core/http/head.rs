//! The head of an HTTP request: method and target. Header fields are only checked for their form.
//!
//! No header field changes an answer, so none is kept.

use thiserror::Error;

/// Longest head, with its request line and line ends.
pub const MAX_HEAD_BYTES: usize = 8 << 10;

/// A supported method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The whole answer.
    Get,
    /// The head of the answer only.
    Head,
    /// As GET, with arguments in the body of the request. Only Graphite's API has it.
    Post,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The method; of a malformed request, the likely one.
    pub method: Method,
    /// Path and query as sent, beginning with a slash; or why the request is refused.
    pub target: Result<Vec<u8>, Refusal>,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The request line is malformed.
    #[error("the request line is not METHOD /PATH HTTP/1.0 or HTTP/1.1")]
    RequestLine,
    /// A header field is malformed.
    #[error("a header field is not NAME: VALUE")]
    Field,
    /// The request line is longer than this many bytes.
    #[error("the request line is longer than {0} bytes")]
    LongLine(usize),
    /// The request line was not complete within this many seconds.
    #[error("the request line has not come within {0} s")]
    Late(u64),
    /// The head is too long.
    #[error("the head of the request is longer than {MAX_HEAD_BYTES} bytes")]
    LongHead,
    /// The method is neither GET nor HEAD.
    #[error("only GET and HEAD are answered here")]
    Method,
    /// `callback` is not a plain function name.
    #[error("callback is not the name of a function, as in a.b_2")]
    Callback,
    /// `scope` has an unknown value.
    #[error("scope is all or daemon, or there is cluster=NAME instead")]
    Scope,
}

/// Whether the first line of a connection is HTTP, well formed or not. Any other line is a path.
pub fn is_request_line(line: &[u8]) -> bool {
    let mut words = line.trim_ascii().split(|&b| b == b' ');
    let first = words.next().unwrap_or_default();
    let last = words.next_back().unwrap_or_default();
    begins_request_line(line) || (is_token(first) && last.starts_with(b"HTTP/"))
}

/// The same for the beginning of a line.
pub fn begins_request_line(line: &[u8]) -> bool {
    let first = line.trim_ascii().split(|&b| b == b' ').next();
    matches!(first, Some(b"GET" | b"HEAD"))
}

impl Head {
    /// Parses a head up to its empty line, which may be missing.
    pub fn parse(bytes: &[u8]) -> Head {
        Head {
            method: method(bytes),
            target: target(bytes),
        }
    }

    /// A request that is refused before its first line is complete.
    pub fn refused(line: &[u8], refusal: Refusal) -> Head {
        Head {
            method: method(line),
            target: Err(refusal),
        }
    }
}

fn method(head: &[u8]) -> Method {
    if head.starts_with(b"HEAD ") {
        Method::Head
    } else {
        Method::Get
    }
}

fn target(head: &[u8]) -> Result<Vec<u8>, Refusal> {
    if head.len() > MAX_HEAD_BYTES {
        return Err(Refusal::LongHead);
    }
    let mut lines = head
        .split(|&b| b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let target = target_of_line(lines.next().unwrap_or_default())?;
    for field in lines.take_while(|line| !line.is_empty()) {
        let name = field.iter().position(|&b| b == b':').map(|at| &field[..at]);
        if !name.is_some_and(is_token) {
            return Err(Refusal::Field);
        }
    }
    Ok(target.to_vec())
}

fn target_of_line(line: &[u8]) -> Result<&[u8], Refusal> {
    // Spaces inside the target are accepted, as in C gmetad.
    let first = line.iter().position(|&b| b == b' ');
    let last = line.iter().rposition(|&b| b == b' ');
    let (Some(first), Some(last)) = (first, last) else {
        return Err(Refusal::RequestLine);
    };
    if first == last || !matches!(&line[last + 1..], b"HTTP/1.0" | b"HTTP/1.1") {
        return Err(Refusal::RequestLine);
    }
    match &line[..first] {
        b"GET" | b"HEAD" => {}
        // Their targets are not checked: that of OPTIONS may be `*`.
        method if is_token(method) => return Err(Refusal::Method),
        _ => return Err(Refusal::RequestLine),
    }
    let target = without_authority(&line[first + 1..last]);
    if !target.starts_with(b"/") || target.iter().any(u8::is_ascii_control) {
        return Err(Refusal::RequestLine);
    }
    Ok(target)
}

/// Path and query of a target in the absolute form, as sent to a proxy: `http://host:8652/path`.
fn without_authority(target: &[u8]) -> &[u8] {
    const SCHEME: &[u8] = b"http://";
    let is_absolute = target
        .get(..SCHEME.len())
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
    if !is_absolute {
        return target;
    }
    let rest = &target[SCHEME.len()..];
    match rest.iter().position(|&b| b == b'/') {
        Some(at) => &rest[at..],
        None => b"/",
    }
}

/// Whether this is a token of RFC 9110, as method and field names are.
fn is_token(bytes: &[u8]) -> bool {
    let is_tchar = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !bytes.is_empty() && bytes.iter().all(is_tchar)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(head: &str) -> Result<String, Refusal> {
        let target = Head::parse(head.as_bytes()).target;
        target.map(|target| String::from_utf8(target).unwrap())
    }

    #[test]
    fn a_request_is_told_from_a_path() {
        for line in [
            "GET / HTTP/1.0",
            "GET",
            "GET /",
            "HEAD /a b HTTP/1.1\r",
            "POST / HTTP/1.1",
            "get / HTTP/1.0",
            "PRI * HTTP/2.0",
        ] {
            assert!(is_request_line(line.as_bytes()), "{line}");
        }
        for line in [
            "",
            "/",
            "/GET / HTTP/1.0",
            "GETTING",
            "a cluster",
            "/a HTTP/1.0",
            "HTTP/1.0",
        ] {
            assert!(!is_request_line(line.as_bytes()), "{line}");
        }
        for (beginning, is_one) in [
            ("GET /abc", true),
            ("HEAD /", true),
            ("/abc", false),
            ("GETTING /abc", false),
            ("POST /abc", false),
        ] {
            assert_eq!(begins_request_line(beginning.as_bytes()), is_one);
        }
    }

    #[test]
    fn both_versions_and_both_methods_are_read() {
        let head = Head::parse(b"HEAD /a?b=c HTTP/1.1\r\nHost: x\r\nX-Empty:\r\n\r\n");
        assert_eq!(head.method, Method::Head);
        assert_eq!(head.target.as_deref(), Ok(&b"/a?b=c"[..]));
        assert_eq!(Head::parse(b"GET / HTTP/1.0").method, Method::Get);
        assert_eq!(target("GET / HTTP/1.0\n\n").unwrap(), "/");
        assert_eq!(
            target("GET / HTTP/1.0").unwrap(),
            "/",
            "the rest may be missing"
        );
        assert_eq!(
            target("GET /My Cluster HTTP/1.0\r\n").unwrap(),
            "/My Cluster"
        );
        assert_eq!(
            target("GET http://h:8652/x HTTP/1.1\r\n\r\n").unwrap(),
            "/x"
        );
        assert_eq!(target("GET HTTP://h HTTP/1.1\r\n\r\n").unwrap(), "/");
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for head in [
            "",
            "GET",
            "GET /",
            "GET / HTTP/2.0",
            "GET / HTTP/1.0 ",
            "GET  HTTP/1.0",
            "GET * HTTP/1.0",
            "GET x HTTP/1.0",
            "GET /\u{1} HTTP/1.0",
            " GET / HTTP/1.0",
        ] {
            assert_eq!(target(head), Err(Refusal::RequestLine), "{head:?}");
        }
        for field in ["no colon", ": nameless", " folded: x", "sp ace: x"] {
            let head = format!("GET / HTTP/1.1\r\n{field}\r\n\r\n");
            assert_eq!(target(&head), Err(Refusal::Field), "{field:?}");
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", "X"] {
            let head = format!("{method} / HTTP/1.1\r\n\r\n");
            assert_eq!(target(&head), Err(Refusal::Method), "{method}");
        }
        for line in ["OPTIONS * HTTP/1.1", "CONNECT host:443 HTTP/1.1"] {
            assert_eq!(target(line), Err(Refusal::Method), "{line}");
        }
    }

    #[test]
    fn who_wants_no_body_gets_none_with_a_refusal_either() {
        for head in ["HEAD / HTTP/9", "HEAD / HTTP/1.0\r\nno field"] {
            let head = Head::parse(head.as_bytes());
            assert_eq!(head.method, Method::Head);
            assert!(head.target.is_err());
        }
        let head = Head::refused(b"HEAD /xx", Refusal::LongLine(8));
        assert_eq!(head.method, Method::Head);
    }

    #[test]
    fn a_head_has_its_limit() {
        let head = |len: usize| {
            let mut head = "GET / HTTP/1.1\r\nX: ".to_owned();
            head += &"x".repeat(len - head.len() - 4);
            head + "\r\n\r\n"
        };
        assert!(target(&head(MAX_HEAD_BYTES)).is_ok());
        assert_eq!(target(&head(MAX_HEAD_BYTES + 1)), Err(Refusal::LongHead));
    }
}
