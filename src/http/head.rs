//! The head of a request: method and target; of the rest, only that it is a head.
//!
//! Nothing in the header fields changes an answer, so none is kept.

use thiserror::Error;

/// Longest head, request line and all, with its ends of line.
pub const MAX_HEAD_BYTES: usize = 8 << 10;

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// For the answer.
    Get,
    /// For what would stand above it.
    Head,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What is asked for.
    pub method: Method,
    /// Path and query, as sent; it begins with a slash.
    pub target: Vec<u8>,
}

/// Why a request is not answered with what it asks for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The request line is none.
    #[error("the request line is not METHOD /PATH HTTP/1.0 or HTTP/1.1")]
    RequestLine,
    /// A header field is none.
    #[error("a header field is not NAME: VALUE")]
    Field,
    /// There is more of it than any client needs.
    #[error("the head of the request is longer than {MAX_HEAD_BYTES} bytes")]
    LongHead,
    /// A method that changes things, or none that is known.
    #[error("only GET and HEAD are answered here")]
    Method,
    /// `callback` would be more than the name of a function.
    #[error("callback is not the name of a function, as in a.b_2")]
    Callback,
    /// `scope` is something else.
    #[error("scope is all or daemon, or there is cluster=NAME instead")]
    Scope,
}

/// Whether the first line of a connection is HTTP, as it should be or not; all else is a path.
pub fn is_request_line(line: &[u8]) -> bool {
    let mut words = line.trim_ascii().split(|&b| b == b' ');
    let first = words.next().unwrap_or_default();
    matches!(first, b"GET" | b"HEAD")
        || (words
            .next_back()
            .is_some_and(|last| last.starts_with(b"HTTP/"))
            && is_token(first))
}

impl Head {
    /// Reads all that came up to the empty line; that itself may be missing.
    pub fn parse(bytes: &[u8]) -> Result<Head, Refusal> {
        if bytes.len() > MAX_HEAD_BYTES {
            return Err(Refusal::LongHead);
        }
        let mut lines = bytes
            .split(|&b| b == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let head = Head::parse_line(lines.next().unwrap_or_default())?;
        for field in lines.take_while(|line| !line.is_empty()) {
            let name = field.iter().position(|&b| b == b':').map(|at| &field[..at]);
            if !name.is_some_and(is_token) {
                return Err(Refusal::Field);
            }
        }
        Ok(head)
    }

    fn parse_line(line: &[u8]) -> Result<Head, Refusal> {
        // C gmetad takes spaces inside the target, and so does this.
        let first = line.iter().position(|&b| b == b' ');
        let last = line.iter().rposition(|&b| b == b' ');
        let (Some(first), Some(last)) = (first, last) else {
            return Err(Refusal::RequestLine);
        };
        if first == last || !matches!(&line[last + 1..], b"HTTP/1.0" | b"HTTP/1.1") {
            return Err(Refusal::RequestLine);
        }
        let target = without_authority(&line[first + 1..last]);
        if !target.starts_with(b"/") || target.iter().any(u8::is_ascii_control) {
            return Err(Refusal::RequestLine);
        }
        let method = match &line[..first] {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            method if is_token(method) => return Err(Refusal::Method),
            _ => return Err(Refusal::RequestLine),
        };
        Ok(Head {
            method,
            target: target.to_vec(),
        })
    }
}

/// The path and query of a target that a proxy may have been sent: `http://host:8652/path`.
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

/// RFC 9110's token, which names of methods and fields are.
fn is_token(bytes: &[u8]) -> bool {
    let is_tchar = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !bytes.is_empty() && bytes.iter().all(is_tchar)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(head: &str) -> Result<String, Refusal> {
        Head::parse(head.as_bytes()).map(|head| String::from_utf8(head.target).unwrap())
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
    }

    #[test]
    fn both_versions_and_both_methods_are_read() {
        let head = Head::parse(b"HEAD /a?b=c HTTP/1.1\r\nHost: x\r\nX-Empty:\r\n\r\n").unwrap();
        assert_eq!(head.method, Method::Head);
        assert_eq!(head.target, b"/a?b=c");
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
