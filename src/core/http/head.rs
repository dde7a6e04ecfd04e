//! The head of an HTTP request: method, target and header fields.
//!
//! What a field's value means is decided where it is used; here its form is checked.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use thiserror::Error;

use super::{Access, MAX_BODIES, MAX_BODY_BYTES};

/// Most that is repeated of the name in `Host` where it is refused: as long as a name can be.
const MAX_SHOWN_HOST_BYTES: usize = 255;

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
    /// Lines of the header fields; empty where the request is refused.
    fields: Vec<u8>,
    /// The authority of a target in the absolute form.
    authority: Option<Vec<u8>>,
    /// The body of a POST.
    pub body: Vec<u8>,
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
    /// There are several Host fields (RFC 9112, 3.2).
    #[error("Host is given more than once")]
    Hosts,
    /// It is addressed to a name of some other machine.
    #[error("\"{0}\" is not a name of this machine; http_host_names in gmetad.conf adds names")]
    Misdirected(String),
    /// The request line is longer than this many bytes.
    #[error("the request line is longer than {0} bytes")]
    LongLine(usize),
    /// The request line was not complete within this many seconds.
    #[error("the request line has not come within {0} s")]
    Late(u64),
    /// The head is longer than this many bytes.
    #[error("the head of the request is longer than {0} bytes")]
    LongHead(usize),
    /// It is not said how long a body is.
    #[error("a POST needs a Content-Length, and no Transfer-Encoding")]
    Length,
    /// A body is too long.
    #[error("the body of the request is longer than {MAX_BODY_BYTES} bytes")]
    LongBody,
    /// A body has not come as far as its head says.
    #[error("the body of the request has not come whole within 10 s")]
    ShortBody,
    /// There are too many bodies at a time.
    #[error("{MAX_BODIES} requests with bodies are under way")]
    Bodies,
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
        match parts(bytes) {
            Ok((target, fields)) => Head {
                method: method(bytes),
                authority: authority(target).map(<[u8]>::to_vec),
                target: Ok(without_authority(target).to_vec()),
                fields: fields.to_vec(),
                body: Vec::new(),
            },
            Err(refusal) => Head::refused(bytes, refusal),
        }
    }

    /// A request that is refused, given as much of its head as is known.
    pub fn refused(head: &[u8], refusal: Refusal) -> Head {
        Head {
            method: method(head),
            target: Err(refusal),
            fields: Vec::new(),
            authority: None,
            body: Vec::new(),
        }
    }

    /// The same request, refused.
    pub(super) fn but_refused(self, refusal: Refusal) -> Head {
        Head {
            target: Err(refusal),
            body: Vec::new(),
            ..self
        }
    }

    /// The value of the first header field of that name, which is compared without case. Blanks
    /// around the value are left out.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        value(&self.fields, name)
    }

    /// Whom the request is addressed to, with any port: the authority of the target where it has one,
    /// else the field Host (RFC 9112, 3.2.2). `None` where neither says anything.
    pub fn host(&self) -> Option<&[u8]> {
        let host = self.authority.as_deref().or_else(|| self.field("Host"));
        host.filter(|host| !host.is_empty())
    }

    /// Whether nothing follows the head of a request that is well formed.
    pub fn is_all(&self) -> bool {
        let length = self.field("Content-Length");
        self.target.is_ok()
            && length.is_none_or(|length| length == b"0")
            && self.field("Transfer-Encoding").is_none()
    }

    /// The same, refused if it is addressed to a name that is not this machine's.
    #[must_use]
    pub fn checked(self, access: &Access) -> Head {
        match self.host() {
            Some(host) if self.target.is_ok() && !access.is_ours(host) => {
                let host = &host[..host.len().min(MAX_SHOWN_HOST_BYTES)];
                let refusal = Refusal::Misdirected(String::from_utf8_lossy(host).into_owned());
                Head {
                    target: Err(refusal),
                    ..self
                }
            }
            _ => self,
        }
    }
}

fn method(head: &[u8]) -> Method {
    match head.iter().position(|&b| b == b' ').map(|end| &head[..end]) {
        Some(b"HEAD") => Method::Head,
        Some(b"POST") => Method::Post,
        _ => Method::Get,
    }
}

/// The target as sent, and the lines of the header fields.
fn parts(head: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let first = head.split_inclusive(|&b| b == b'\n').next();
    let (first, rest) = head.split_at(first.map_or(0, <[u8]>::len));
    let target = target_of_line(lines(first).next().unwrap_or_default())?;
    let mut hosts = 0_usize;
    for line in lines(rest) {
        match field(line) {
            Some((name, _)) if is_token(name) => {
                let is_host = name.eq_ignore_ascii_case(b"Host");
                hosts = hosts.saturating_add(usize::from(is_host));
            }
            _ => return Err(Refusal::Field),
        }
    }
    if hosts > 1 {
        return Err(Refusal::Hosts);
    }
    Ok((target, rest))
}

/// The lines up to an empty one, without their ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(|&b| b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .take_while(|line| !line.is_empty())
}

fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&b| b == b':')?;
    let (name, rest) = line.split_at(colon);
    Some((name, rest.strip_prefix(b":")?.trim_ascii()))
}

fn value<'a>(fields: &'a [u8], name: &str) -> Option<&'a [u8]> {
    lines(fields)
        .filter_map(field)
        .find(|(it, _)| it.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value)
}

fn target_of_line(line: &[u8]) -> Result<&[u8], Refusal> {
    // Spaces inside the target are accepted, as in C gmetad.
    let mut words = line.splitn(2, |&b| b == b' ');
    let (Some(method), Some(rest)) = (words.next(), words.next()) else {
        return Err(Refusal::RequestLine);
    };
    let mut words = rest.rsplitn(2, |&b| b == b' ');
    let (Some(version), Some(target)) = (words.next(), words.next()) else {
        return Err(Refusal::RequestLine);
    };
    if !matches!(version, b"HTTP/1.0" | b"HTTP/1.1") {
        return Err(Refusal::RequestLine);
    }
    match method {
        b"GET" | b"HEAD" => {}
        b"POST" if takes_post(without_authority(target)) => {}
        // Their targets are not checked: that of OPTIONS may be `*`.
        method if is_token(method) => return Err(Refusal::Method),
        _ => return Err(Refusal::RequestLine),
    }
    if !without_authority(target).starts_with(b"/") || target.iter().any(u8::is_ascii_control) {
        return Err(Refusal::RequestLine);
    }
    Ok(target)
}

/// Whether a request for that target may have its arguments in a body.
fn takes_post(target: &[u8]) -> bool {
    target.starts_with(b"/graphite/")
}

/// What follows the scheme of a target in the absolute form, as sent to a proxy:
/// `http://host:8652/path`.
fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"http://";
    let (scheme, rest) = target.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(rest)
}

/// Path and query of a target.
fn without_authority(target: &[u8]) -> &[u8] {
    let Some(rest) = after_scheme(target) else {
        return target;
    };
    match rest.iter().position(|&b| b == b'/') {
        Some(at) => &rest[at..],
        None => b"/",
    }
}

/// The authority of a target in the absolute form.
fn authority(target: &[u8]) -> Option<&[u8]> {
    let rest = after_scheme(target)?;
    let end = rest.iter().position(|&b| b == b'/');
    Some(&rest[..end.unwrap_or(rest.len())])
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
    fn a_field_is_found_by_its_name_in_any_case() {
        let head = Head::parse(b"GET / HTTP/1.1\r\nA: b c \r\nACCEPT:x\na: d\r\n\r\nB: x\r\n");
        assert_eq!(head.field("a"), Some(&b"b c"[..]));
        assert_eq!(head.field("Accept"), Some(&b"x"[..]));
        assert_eq!(head.field("B"), None, "that is behind the head");
        assert_eq!(head.host(), None);
    }

    #[test]
    fn a_request_is_addressed_to_its_authority_else_to_its_host() {
        let host = |head: &str| {
            let head = Head::parse(head.as_bytes());
            head.host().map(|host| String::from_utf8_lossy(host).into())
        };
        let of_line = |line: &str| host(&format!("GET {line} HTTP/1.1\r\nHOST:  h:1\r\n\r\n"));
        let some = |host: &str| Some(host.to_owned());
        assert_eq!(of_line("/"), some("h:1"));
        assert_eq!(of_line("http://other:8652/x"), some("other:8652"));
        assert_eq!(of_line("HTTP://other"), some("other"));
        assert_eq!(host("GET / HTTP/1.1\r\nHost:\r\n\r\n"), None);
        let twice = Head::parse(b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n");
        assert_eq!(twice.target, Err(Refusal::Hosts));
    }

    #[test]
    fn a_request_for_another_machine_is_refused_and_one_that_names_none_is_not() {
        let access = Access::new(["head"], [""; 0]);
        let checked = |head: &str| Head::parse(head.as_bytes()).checked(&access).target;
        for head in [
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: head:8652\r\n\r\n",
            "GET http://head/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        ] {
            assert_eq!(checked(head).as_deref(), Ok(&b"/"[..]), "{head}");
        }
        let refused = Err(Refusal::Misdirected("evil.example".into()));
        for head in [
            "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            "GET http://evil.example/ HTTP/1.1\r\nHost: head\r\n\r\n",
        ] {
            assert_eq!(checked(head), refused, "{head}");
        }
        let long = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "x".repeat(4000));
        let said = checked(&long).unwrap_err().to_string();
        assert!(said.len() < 400, "{said}");
        assert_eq!(checked("GET"), Err(Refusal::RequestLine));
    }
}
