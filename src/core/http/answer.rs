//! Answers to HTTP requests: status, header fields and body.
//!
//! No I/O; the data is handed in.

use std::borrow::Cow;
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Access, Asked, Method, Refusal, Route, Scope};
use crate::answer::prometheus::Scrape;
use crate::answer::query::{Query, Selection};
use crate::answer::walk::Body;
use crate::answer::xml::Render;
use crate::answer::{json, prometheus};
use crate::history::{self, Question, Refused};
use crate::model::{Now, Readable, Snapshot};
use crate::pending::{Errand, Errands, PENDING_LIMIT, Wait};
use crate::share::{Most, Share, Shares};
use crate::status::{Report, faults, own_metrics, page};

/// Most scrapes of hosts at a time, half of them of one address: each keeps an index of four bytes
/// per metric.
pub const MAX_SCRAPES: usize = 16;

/// The data that answers are made from.
#[expect(missing_debug_implementations, reason = "it holds a function")]
pub struct Context<'a> {
    /// The state of all sources at one moment.
    pub snapshot: Arc<Snapshot>,
    /// That moment.
    pub now: Now,
    /// The daemon's statistics; called only where they are needed.
    pub report: &'a mut dyn FnMut() -> Report,
    /// Header fields that let the page that asks read the answer, see [`Access::fields`].
    pub readers: Cow<'static, str>,
    /// Permits the scrape that is asked for, see [`Asked::is_scrape`]; `None` if there is no room.
    pub scrape: Option<Share>,
}

/// How many scrapes there may be at a time.
pub fn scrapes() -> Shares {
    Shares::new(Most::half_for_each(MAX_SCRAPES))
}

/// The status of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 200
    Ok,
    /// 303: the page is at `Location`.
    SeeOther,
    /// 400
    BadRequest,
    /// 403: this client may not have it.
    Forbidden,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 408
    RequestTimeout,
    /// 413: the body of the request is too large.
    TooLarge,
    /// 414
    UriTooLong,
    /// 421: the name in `Host` is none of ours.
    Misdirected,
    /// 503
    Unavailable,
    /// 504
    GatewayTimeout,
}

impl Status {
    /// The status line. It says HTTP/1.0, since the end of the connection ends the answer.
    fn line(self) -> &'static str {
        match self {
            Status::Ok => "HTTP/1.0 200 OK\r\n",
            Status::SeeOther => "HTTP/1.0 303 See Other\r\n",
            Status::BadRequest => "HTTP/1.0 400 Bad Request\r\n",
            Status::Forbidden => "HTTP/1.0 403 Forbidden\r\n",
            Status::NotFound => "HTTP/1.0 404 Not Found\r\n",
            Status::MethodNotAllowed => "HTTP/1.0 405 Method Not Allowed\r\n",
            Status::RequestTimeout => "HTTP/1.0 408 Request Timeout\r\n",
            Status::TooLarge => "HTTP/1.0 413 Content Too Large\r\n",
            Status::UriTooLong => "HTTP/1.0 414 URI Too Long\r\n",
            Status::Misdirected => "HTTP/1.0 421 Misdirected Request\r\n",
            Status::Unavailable => "HTTP/1.0 503 Service Unavailable\r\n",
            Status::GatewayTimeout => "HTTP/1.0 504 Gateway Timeout\r\n",
        }
    }
}

/// An answer before it is written.
#[expect(missing_debug_implementations, reason = "it holds a body")]
pub struct HttpAnswer {
    /// Its status.
    pub status: Status,
    /// Header fields beside those of every answer, each ended by CR LF.
    pub fields: Cow<'static, str>,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// What follows the head.
    pub content: Content,
}

/// What a room of pages (`gmetad-web`, `gmetad-graphite`) says to a request.
#[expect(missing_debug_implementations, reason = "it holds a function")]
pub enum Reply {
    /// The answer.
    Ready(HttpAnswer),
    /// What to reply is found out on the thread that reads history: it takes the longer, the more hosts
    /// there are.
    Think(Think),
    /// History is needed first; the function then makes the answer, on the thread that read it.
    Ask(Question, Continue),
}

impl Reply {
    /// The same with header fields that tell whose pages may read it, see [`Access::fields`].
    #[must_use]
    pub fn read_by(self, fields: Cow<'static, str>) -> Reply {
        match self {
            Reply::Ready(answer) => Reply::Ready(answer.read_by(&fields)),
            Reply::Think(think) => Reply::Think(Box::new(move || think().read_by(fields))),
            Reply::Ask(question, then) => {
                let then = move |read| then(read).read_by(&fields);
                Reply::Ask(question, Box::new(then))
            }
        }
    }

    /// The answer, all at once. What is to be read is what `read` gives.
    pub fn with(
        self,
        read: impl FnOnce(&Question) -> Result<history::Answer, Refused>,
    ) -> HttpAnswer {
        match self {
            Reply::Ready(answer) => answer,
            Reply::Think(think) => think().with(read),
            Reply::Ask(question, then) => then(read(&question)),
        }
    }
}

/// Finds out what to reply.
pub type Think = Box<dyn FnOnce() -> Reply + Send>;

/// Makes an answer of what was read.
pub type Continue = Box<dyn FnOnce(Result<history::Answer, Refused>) -> HttpAnswer + Send>;

/// The content of an answer.
#[expect(missing_debug_implementations, reason = "it holds a body")]
pub enum Content {
    /// Made while it is sent.
    Body(Box<dyn Body>),
    /// Complete.
    Bytes(Vec<u8>),
}

/// Answers a request, well formed or not.
pub fn answer(asked: &Asked, context: &mut Context<'_>) -> Box<dyn Body> {
    let answer = match &asked.route {
        // C gmetad's web pages read it from wherever they are.
        Ok(route @ Route::Status(_)) => {
            HttpAnswer::of(route, context).read_by(&Access::fields_for_all())
        }
        Ok(route) => HttpAnswer::of(route, context).read_by(&context.readers),
        Err(refusal) => HttpAnswer::refusal(refusal),
    };
    answer.into_body(asked.method)
}

/// The parts of an answer that another thread makes.
#[expect(missing_debug_implementations, reason = "it holds a body")]
pub struct Later {
    /// For the client's machine.
    pub wait: Wait,
    /// Sent to the client if the answer is not ready in time.
    pub late: Box<dyn Body>,
    /// For the thread.
    pub errand: Errand,
}

/// Begins an answer that another thread makes for a client of that address. If too many are pending,
/// returns the answer to send
/// instead.
pub fn later(
    method: Method,
    address: IpAddr,
    errands: &mut Errands,
) -> Result<Later, Box<dyn Body>> {
    let Some((wait, errand)) = errands.begin(address) else {
        let text = "too many answers are being made at a time";
        let answer = HttpAnswer::text(Status::Unavailable, "Retry-After: 1\r\n", text);
        return Err(answer.into_body(method));
    };
    let text = format!(
        "the answer was not ready within {} s",
        PENDING_LIMIT.as_secs()
    );
    Ok(Later {
        wait,
        late: HttpAnswer::text(Status::GatewayTimeout, "", &text).into_body(method),
        errand,
    })
}

impl HttpAnswer {
    fn of(route: &Route, context: &mut Context<'_>) -> HttpAnswer {
        match route {
            Route::Xml(query) => HttpAnswer::xml(query, context),
            Route::Json(query) => HttpAnswer::json(query, context),
            Route::Status(callback) => HttpAnswer::status(callback.as_deref(), context),
            Route::Metrics(scope) => HttpAnswer::metrics(scope, context),
            Route::Health => HttpAnswer::health(context),
        }
    }

    fn xml(query: &Query, context: &mut Context<'_>) -> HttpAnswer {
        let (selection, found) = Selection::resolve_strict(&context.snapshot, query);
        let snapshot = Arc::clone(&context.snapshot);
        HttpAnswer {
            status: if found { Status::Ok } else { Status::NotFound },
            fields: "".into(),
            content_type: "application/xml",
            content: Content::Body(Box::new(Render::new(snapshot, selection, context.now))),
        }
    }

    fn json(query: &Query, context: &mut Context<'_>) -> HttpAnswer {
        let (selection, found) = Selection::resolve_strict(&context.snapshot, query);
        let snapshot = Arc::clone(&context.snapshot);
        HttpAnswer {
            status: if found { Status::Ok } else { Status::NotFound },
            fields: "".into(),
            content_type: "application/json",
            content: Content::Body(json::body(snapshot, selection, context.now)),
        }
    }

    fn status(callback: Option<&str>, context: &mut Context<'_>) -> HttpAnswer {
        HttpAnswer {
            status: Status::Ok,
            fields: "".into(),
            content_type: match callback {
                Some(_) => "application/javascript",
                None => "application/json",
            },
            content: Content::Bytes(page(&(context.report)(), callback)),
        }
    }

    fn metrics(scope: &Scope, context: &mut Context<'_>) -> HttpAnswer {
        let names = match scope {
            Scope::Daemon => {
                return HttpAnswer {
                    status: Status::Ok,
                    fields: "".into(),
                    content_type: prometheus::CONTENT_TYPE,
                    content: Content::Bytes(own_metrics(&(context.report)())),
                };
            }
            Scope::All => None,
            Scope::Cluster(names) => Some(names),
        };
        let Some(share) = context.scrape.take() else {
            return HttpAnswer::text(
                Status::Unavailable,
                "Retry-After: 1\r\n",
                "too many scrapes at a time",
            );
        };
        let wanted = names.map(|names| {
            let found = names.iter().find(|name| {
                matches!(
                    context.snapshot.node(name),
                    Some(crate::model::Node::Cluster(_))
                )
            });
            found.cloned()
        });
        if wanted == Some(None) {
            return HttpAnswer::text(Status::NotFound, "", "there is no cluster of that name");
        }
        let wanted = wanted.flatten();
        let scrape = Scrape::new(&context.snapshot, context.now, share, |cluster| {
            wanted.as_deref().is_none_or(|name| *cluster.name == *name)
        });
        HttpAnswer {
            status: Status::Ok,
            fields: "".into(),
            content_type: prometheus::CONTENT_TYPE,
            content: Content::Body(Box::new(scrape)),
        }
    }

    fn health(context: &mut Context<'_>) -> HttpAnswer {
        let faults = faults(&(context.report)());
        if faults.is_empty() {
            return HttpAnswer::text(Status::Ok, "", "ok");
        }
        let reasons = faults.iter().map(|fault| Readable::line(fault).to_string());
        let reasons: Vec<String> = reasons.collect();
        HttpAnswer::text(Status::Unavailable, "", &reasons.join("\n"))
    }

    fn refusal(refusal: &Refusal) -> HttpAnswer {
        match refusal {
            Refusal::Method => HttpAnswer::text(
                Status::MethodNotAllowed,
                "Allow: GET, HEAD\r\n",
                &refusal.to_string(),
            ),
            Refusal::Late(_) => HttpAnswer::text(Status::RequestTimeout, "", &refusal.to_string()),
            Refusal::Misdirected(_) => HttpAnswer::text(
                Status::Misdirected,
                "",
                &Readable::line(refusal).to_string(),
            ),
            Refusal::ShortBody => {
                HttpAnswer::text(Status::RequestTimeout, "", &refusal.to_string())
            }
            Refusal::LongBody => HttpAnswer::text(Status::TooLarge, "", &refusal.to_string()),
            Refusal::Bodies => HttpAnswer::text(
                Status::Unavailable,
                "Retry-After: 1\r\n",
                &refusal.to_string(),
            ),
            Refusal::LongLine(_) => HttpAnswer::text(Status::UriTooLong, "", &refusal.to_string()),
            Refusal::RequestLine
            | Refusal::Length
            | Refusal::Field
            | Refusal::Hosts
            | Refusal::LongHead(_)
            | Refusal::Callback
            | Refusal::Scope => HttpAnswer::text(Status::BadRequest, "", &refusal.to_string()),
        }
    }

    /// The same with header fields that tell whose pages may read it, in front of all others.
    #[must_use]
    pub fn read_by(mut self, fields: &str) -> HttpAnswer {
        if !fields.is_empty() {
            self.fields.to_mut().insert_str(0, fields);
        }
        self
    }

    /// The way to another address, relative to the one that was asked for, in ASCII and without
    /// control characters.
    pub fn see_other(location: &str) -> HttpAnswer {
        let fields = format!("Location: {location}\r\nCache-Control: no-store\r\n");
        HttpAnswer {
            fields: fields.into(),
            ..HttpAnswer::text(Status::SeeOther, "", "see the address in Location")
        }
    }

    /// A short plain text.
    pub fn text(status: Status, fields: &'static str, text: &str) -> HttpAnswer {
        HttpAnswer {
            status,
            fields: fields.into(),
            content_type: "text/plain; charset=utf-8",
            content: Content::Bytes(format!("{text}\n").into_bytes()),
        }
    }

    /// The bytes to send; for HEAD without the content.
    pub fn into_body(self, method: Method) -> Box<dyn Body> {
        let mut head = self.status.line().as_bytes().to_vec();
        head.extend_from_slice(b"Server: gmetad/");
        head.extend_from_slice(env!("CARGO_PKG_VERSION").as_bytes());
        head.extend_from_slice(b"\r\n");
        head.extend_from_slice(self.fields.as_bytes());
        // Writing to memory does not fail.
        let _ = write!(head, "Content-Type: {}\r\n", self.content_type);
        if let Content::Bytes(bytes) = &self.content {
            let _ = write!(head, "Content-Length: {}\r\n", bytes.len());
        }
        head.extend_from_slice(b"Connection: close\r\n\r\n");
        let body = match (method, self.content) {
            (Method::Head, _) => None,
            (Method::Get | Method::Post, Content::Body(body)) => Some(body),
            (Method::Get | Method::Post, Content::Bytes(bytes)) => {
                head.extend_from_slice(&bytes);
                None
            }
        };
        Box::new(Whole { head, at: 0, body })
    }
}

/// The head and any complete content, then a body that is made while it is sent.
struct Whole {
    head: Vec<u8>,
    /// Bytes of `head` already written.
    at: usize,
    body: Option<Box<dyn Body>>,
}

impl Body for Whole {
    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> bool {
        let part = limit
            .saturating_sub(out.len())
            .min(self.head.len() - self.at);
        out.extend_from_slice(&self.head[self.at..self.at + part]);
        self.at += part;
        if self.at < self.head.len() {
            return true;
        }
        match &mut self.body {
            Some(body) => body.fill(out, limit),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Head;
    use crate::pending::MAX_PENDING;
    use crate::status::example;
    use crate::testing::{ADDRESS, all_of, snapshot};

    /// What is answered to the head of a request.
    fn answered(head: &str) -> String {
        answered_with(head, example, &mut scrapes())
    }

    fn answered_with(head: &str, report: impl FnMut() -> Report, scrapes: &mut Shares) -> String {
        let access = Access::new(["head"], ["http://page"]);
        answered_by(&access, head, report, scrapes)
    }

    fn answered_by(
        access: &Access,
        head: &str,
        mut report: impl FnMut() -> Report,
        scrapes: &mut Shares,
    ) -> String {
        let head = Head::parse(head.as_bytes()).checked(access);
        let mut read = |slice| {
            let mut context = Context {
                snapshot: snapshot(&[
                    "<CLUSTER NAME=\"one\"><HOST NAME=\"h\" TMAX=\"20\"><METRIC NAME=\"m\" \
                     VAL=\"1\" TYPE=\"float\"/></HOST></CLUSTER>",
                    "<GRID NAME=\"below\"></GRID>",
                ]),
                now: Now::default(),
                report: &mut report,
                readers: access.fields(head.field("Origin")),
                scrape: scrapes.take(ADDRESS).ok(),
            };
            let asked = Asked::of_head(&head);
            let body = answer(&asked, &mut context);
            all_of(body, slice)
        };
        let whole = read(usize::MAX);
        assert_eq!(whole, read(1), "however it is sliced");
        String::from_utf8(whole).unwrap()
    }

    fn get(target: &str) -> String {
        answered(&format!("GET {target} HTTP/1.0\r\n\r\n"))
    }

    /// The first line, Content-Type and the body.
    fn parts(answer: &str) -> (&str, &str, &str) {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap();
        let content_type = lines
            .clone()
            .find_map(|line| line.strip_prefix("Content-Type: "))
            .unwrap();
        assert!(head.ends_with("\r\nConnection: close"));
        if let Some(len) = lines.find_map(|line| line.strip_prefix("Content-Length: ")) {
            assert!(body.is_empty() || len.parse() == Ok(body.len()));
        }
        (first, content_type, body)
    }

    #[test]
    fn xml_is_sent_under_the_head_of_c_gmetad_where_any_page_may_read_it() {
        let theirs = include_str!("../../../tests/data/c-gmetad/http-root.txt");
        let (theirs, _) = theirs.split_once("<?xml").unwrap();
        let anyone = Access::new([""; 0], [crate::http::ALL]);
        let ours = answered_by(&anyone, "GET / HTTP/1.0\r\n\r\n", example, &mut scrapes());
        let (ours, _) = ours.split_once("<?xml").unwrap();
        let ours = ours.replace(
            concat!("gmetad/", env!("CARGO_PKG_VERSION")),
            "gmetad/3.7.2-1",
        );
        assert!(ours.lines().eq(theirs.lines()), "{ours}");
    }

    #[test]
    fn pages_of_other_sites_read_the_status_and_what_they_are_allowed_to() {
        let asked = |target: &str, origin: &str| {
            let answer = answered(&format!(
                "GET {target} HTTP/1.1\r\nOrigin: {origin}\r\n\r\n"
            ));
            let (head, _) = answer.split_once("\r\n\r\n").unwrap();
            let field = head
                .split("\r\n")
                .find_map(|it| it.strip_prefix("Access-Control-Allow-Origin: "));
            field.map(str::to_owned)
        };
        for target in ["/status", "/status?callback=f"] {
            assert_eq!(asked(target, "http://x").as_deref(), Some("*"), "{target}");
        }
        for target in [
            "/",
            "/nope",
            "/api/v1/",
            "/metrics",
            "/metrics?scope=all",
            "/healthz",
        ] {
            let allowed = asked(target, "http://page");
            assert_eq!(allowed.as_deref(), Some("http://page"), "{target}");
            assert_eq!(asked(target, "http://x"), None, "{target}");
        }
    }

    #[test]
    fn a_request_for_another_machine_is_421_and_its_name_harmless() {
        let answer = answered("GET /status HTTP/1.1\r\nHost: evil\x1b[2J\r\n\r\n");
        let (first, _, body) = parts(&answer);
        assert_eq!(first, "HTTP/1.0 421 Misdirected Request");
        assert!(
            body.starts_with("\"evil\\u{1b}[2J\" is not a name"),
            "{body}"
        );
        assert!(!answer.contains("Allow-Origin"));
    }

    #[test]
    fn what_is_not_there_is_404_with_its_parents() {
        let answer = get("/one/nope");
        let (first, kind, body) = parts(&answer);
        assert_eq!((first, kind), ("HTTP/1.0 404 Not Found", "application/xml"));
        assert!(body.contains("<CLUSTER NAME=\"one\"") && !body.contains("<HOST "));
        assert!(body.ends_with("</CLUSTER>\n</GRID>\n</GANGLIA_XML>\n"));
        let answer = get("/api/v1/one/nope");
        let (first, kind, body) = parts(&answer);
        assert_eq!(
            (first, kind),
            ("HTTP/1.0 404 Not Found", "application/json")
        );
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
        assert_eq!(parts(&get("/one/*/m")).0, "HTTP/1.0 200 OK");
    }

    #[test]
    fn head_is_the_same_without_a_body() {
        for target in [
            "/",
            "/nope",
            "/status",
            "/metrics?scope=all",
            "/healthz",
            "/api/v1/",
            "/status?callback=a(",
        ] {
            let head = answered(&format!("HEAD {target} HTTP/1.1\r\n\r\n"));
            let whole = get(target);
            assert!(
                whole.starts_with(&head) && head.len() < whole.len(),
                "{target}"
            );
            assert!(head.ends_with("\r\n\r\n"));
        }
    }

    #[test]
    fn refusals_are_short_texts() {
        let plain = "text/plain; charset=utf-8";
        let answer = answered("POST / HTTP/1.1\r\n\r\n");
        assert!(answer.contains("\r\nAllow: GET, HEAD\r\n"));
        assert_eq!(
            parts(&answer),
            (
                "HTTP/1.0 405 Method Not Allowed",
                plain,
                "only GET and HEAD are answered here\n"
            )
        );
        for head in [
            "GET",
            "GET / HTTP/3",
            "GET /status?callback=a( HTTP/1.0",
            "GET /metrics?scope=x HTTP/1.0",
        ] {
            let answer = answered(head);
            let (first, kind, body) = parts(&answer);
            assert_eq!((first, kind), ("HTTP/1.0 400 Bad Request", plain), "{head}");
            assert!(body.ends_with('\n') && body.len() < 100);
        }
    }

    #[test]
    fn the_status_is_json_or_a_script() {
        let answer = get("/status");
        let (first, kind, body) = parts(&answer);
        assert_eq!((first, kind), ("HTTP/1.0 200 OK", "application/json"));
        assert!(body.starts_with("{\"host\":\"head\","));
        let answer = get("/status?callback=f");
        let (_, kind, body) = parts(&answer);
        assert_eq!(kind, "application/javascript");
        assert!(body.starts_with("f({") && body.ends_with("})"));
    }

    #[test]
    fn figures_are_the_daemons_the_hosts_or_a_clusters() {
        let daemon = get("/metrics");
        let (first, kind, body) = parts(&daemon);
        assert_eq!((first, kind), ("HTTP/1.0 200 OK", prometheus::CONTENT_TYPE));
        assert!(body.contains("gmetad_source_up{") && !body.contains("ganglia_m{"));
        for target in ["/metrics?scope=all", "/metrics?cluster=one"] {
            let all = get(target);
            assert!(
                parts(&all)
                    .2
                    .contains("ganglia_m{cluster=\"one\",host=\"h\"} 1\n")
            );
        }
        for target in ["/metrics?cluster=nope", "/metrics?cluster=below"] {
            let answer = get(target);
            assert_eq!(parts(&answer).0, "HTTP/1.0 404 Not Found", "{target}");
        }
    }

    #[test]
    fn scrapes_at_a_time_are_limited() {
        let mut scrapes = scrapes();
        let other = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);
        let request = "GET /metrics?scope=all HTTP/1.0\r\n\r\n";
        let mut held = Vec::new();
        for _ in 1..MAX_SCRAPES / 2 {
            held.push(scrapes.take(ADDRESS).unwrap());
        }
        assert!(answered_with(request, example, &mut scrapes).starts_with("HTTP/1.0 200 "));
        held.push(scrapes.take(ADDRESS).unwrap());
        assert!(scrapes.take(other).is_ok(), "one address has its share");
        let answer = answered_with(request, example, &mut scrapes);
        assert!(answer.starts_with("HTTP/1.0 503 "), "{answer}");
        assert!(answer.contains("\r\nRetry-After: 1\r\n"));
    }

    #[test]
    fn answers_made_at_a_time_are_limited_and_one_that_is_late_is_504() {
        let text = |body| String::from_utf8(all_of(body, usize::MAX)).unwrap();
        let mut errands = Errands::default();
        let first = later(Method::Get, ADDRESS, &mut errands).ok().unwrap();
        let late = text(first.late);
        assert_eq!(
            parts(&late),
            (
                "HTTP/1.0 504 Gateway Timeout",
                "text/plain; charset=utf-8",
                "the answer was not ready within 10 s\n"
            )
        );
        assert!(first.wait.is_for(&first.errand));
        let more: Vec<_> = (1..MAX_PENDING).map(|_| errands.begin(ADDRESS)).collect();
        let busy = text(later(Method::Get, ADDRESS, &mut errands).err().unwrap());
        assert!(busy.starts_with("HTTP/1.0 503 ") && busy.contains("\r\nRetry-After: 1\r\n"));
        let head = text(later(Method::Head, ADDRESS, &mut errands).err().unwrap());
        assert!(busy.starts_with(&head) && head.ends_with("\r\n\r\n"));
        drop(more);
        assert!(later(Method::Get, ADDRESS, &mut errands).is_ok());
    }

    #[test]
    fn health_is_ok_or_the_reasons() {
        assert_eq!(
            parts(&get("/healthz")),
            ("HTTP/1.0 200 OK", "text/plain; charset=utf-8", "ok\n")
        );
        let ill = || {
            let mut report = example();
            report.sources.remove(0);
            report.queue.held_back = 1;
            report
        };
        let answer = answered_with("GET /healthz HTTP/1.0\r\n\r\n", ill, &mut scrapes());
        let (first, _, body) = parts(&answer);
        assert_eq!(first, "HTTP/1.0 503 Service Unavailable");
        assert!(body.starts_with("no source is up") && body.lines().count() == 2);
    }
}
