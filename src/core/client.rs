//! One client as a state machine: its request, its answer, and the time limits for both.
//!
//! No sockets and no clock. It does not know the data: answers are handed to it.

mod limits;
mod writing;

use std::time::Duration;

use crate::answer::walk::Body;
use crate::http;
use crate::http::{Head, Incoming, Refusal};
use crate::model::Mono;
use crate::pending::{Errand, PENDING_LIMIT, Wait};
use crate::room::Standing;
use crate::share::Share;

use limits::FIRST_SLICE_BYTES;
pub use limits::{
    ANSWER_LIMIT, Fault, HEAD_LIMIT, LINGER_LIMIT, Limits, MAX_LINE_BYTES, MAX_STRAY_BYTES,
    MIN_BYTES_PER_SEC, OUT_BYTES, REQUEST_LIMIT, SLICE_TIME, STALL_LIMIT,
};
use writing::Writing;

/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// What the machine asks its owner to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer this request with `answer`, or call `wait` to have another thread answer it.
    Request(Request),
    /// Say with `admit_body` whether the body that follows may come.
    Body,
    /// Shut down the sending side. The client may have closed the connection already.
    CloseWrite,
    /// Close the connection; the client's fault, if it was one.
    Close(Option<Fault>),
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The whole document: the XML port reads no request.
    All,
    /// A line on the interactive port, without its end.
    Line(Vec<u8>),
    /// An HTTP request, well formed or not.
    Http(Head),
}

/// Serves one connection.
pub struct Client {
    state: ClientState,
    limits: Limits,
    actions: Vec<Action>,
    /// Whether the client has closed its side.
    ended: bool,
    /// Whether its request has an end of its own, and nothing came after it.
    is_whole: bool,
    stray_bytes: usize,
    written_bytes: u64,
}

enum ClientState {
    /// Waits for the request line.
    Request { line: Vec<u8>, deadline: Mono },
    /// The first line is HTTP; waits for the rest of the head.
    Head { head: Vec<u8>, deadline: Mono },
    /// The head of a POST is complete; waits for the rest of its body.
    Body { body: Incoming, deadline: Mono },
    /// The request is complete; the owner is about to answer it.
    Asked { deadline: Mono },
    /// Another thread makes the answer; `late` is sent if that takes too long.
    Pending {
        wait: Wait,
        late: Box<dyn Body>,
        deadline: Mono,
    },
    /// Sends the answer.
    Writing(Writing),
    /// The answer is sent; waits for the client to close, so that no byte is lost.
    Lingering { deadline: Mono },
    /// Closed.
    Closed,
}

impl Client {
    /// A client of the XML port, which is answered without a request.
    pub fn of_xml_port(limits: Limits, now: Mono) -> Client {
        let deadline = now + limits.request;
        Client::new(
            ClientState::Asked { deadline },
            limits,
            vec![Action::Request(Request::All)],
        )
    }

    /// A client of the interactive port.
    pub fn of_interactive_port(limits: Limits, now: Mono) -> Client {
        let request = ClientState::Request {
            line: Vec::new(),
            deadline: now + limits.request,
        };
        Client::new(request, limits, Vec::new())
    }

    fn new(state: ClientState, limits: Limits, actions: Vec<Action>) -> Client {
        Client {
            state,
            limits,
            actions,
            ended: false,
            is_whole: false,
            stray_bytes: 0,
            written_bytes: 0,
        }
    }

    /// The next action for the owner.
    pub fn action(&mut self) -> Option<Action> {
        self.actions.pop()
    }

    /// When to call `timeout` if nothing happens before.
    pub fn deadline(&self) -> Option<Mono> {
        match &self.state {
            ClientState::Request { deadline, .. }
            | ClientState::Head { deadline, .. }
            | ClientState::Body { deadline, .. }
            | ClientState::Asked { deadline }
            | ClientState::Pending { deadline, .. }
            | ClientState::Lingering { deadline } => Some(*deadline),
            ClientState::Writing(writing) => {
                let stalled = writing.taken() + self.limits.stall;
                Some(stalled.min(writing.slow_at(self.limits.answer, self.written_bytes)))
            }
            ClientState::Closed => None,
        }
    }

    /// Whether to read from the connection. While an answer is pending, reading shows whether the
    /// client has gone.
    pub fn wants_bytes(&self) -> bool {
        let waits = matches!(
            self.state,
            ClientState::Request { .. }
                | ClientState::Head { .. }
                | ClientState::Body { .. }
                | ClientState::Pending { .. }
                | ClientState::Lingering { .. }
        );
        waits && !self.ended
    }

    /// Whether there is something to send.
    pub fn wants_to_write(&self) -> bool {
        matches!(self.state, ClientState::Writing(_))
    }

    /// Whether the answer is made and sent to its last byte, so that it only has to be ended.
    pub fn has_sent_all(&self) -> bool {
        match &self.state {
            ClientState::Writing(writing) => writing.has_sent_all(),
            _ => false,
        }
    }

    /// Whether `output` ends the answer.
    pub fn is_last_output(&self) -> bool {
        matches!(&self.state, ClientState::Writing(writing) if writing.is_last_output())
    }

    /// Whether another thread is making the answer.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, ClientState::Pending { .. })
    }

    /// Whether the connection is closed.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, ClientState::Closed)
    }

    /// Whether it has asked for nothing yet, or has all of its answer.
    pub fn is_idle(&self) -> bool {
        matches!(
            self.state,
            ClientState::Request { .. }
                | ClientState::Head { .. }
                | ClientState::Body { .. }
                | ClientState::Lingering { .. }
        )
    }

    /// Whether it may have to make room for another, and before whom; `None` if it keeps its place,
    /// as it waits for us or takes its answer in time.
    pub fn standing(&self, now: Mono) -> Option<Standing> {
        match &self.state {
            ClientState::Writing(writing) => writing.standing(self.written_bytes, now),
            _ => self.is_idle().then_some(Standing::Idle),
        }
    }

    /// Whether it has said all that it will: a request over HTTP that is whole, with nothing after it.
    /// If nothing of it waits unread either, it need not be waited for once it has its answer.
    pub fn has_said_all(&self) -> bool {
        self.is_whole && self.stray_bytes == 0
    }

    /// Bytes sent so far.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Takes bytes that the client has sent, at least one.
    pub fn bytes(&mut self, bytes: &[u8], now: Mono) {
        let (line, deadline) = match &mut self.state {
            ClientState::Request { line, deadline } => (line, *deadline),
            ClientState::Head { .. } => return self.head_bytes(bytes, now),
            ClientState::Body { .. } => return self.body_bytes(bytes, now),
            _ => return self.stray(bytes.len()),
        };
        if line.is_empty() && bytes.first() == Some(&TLS_HANDSHAKE) {
            // It would wait for a TLS answer until one side times out.
            return self.close(Some(Fault::Tls));
        }
        let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r'));
        let part = &bytes[..end.unwrap_or(bytes.len())];
        let line_bytes = self.limits.line_bytes;
        let room = line_bytes - line.len();
        line.extend_from_slice(&part[..part.len().min(room)]);
        if part.len() > room {
            // A plain answer is XML and nothing else, so the error cannot be reported.
            if !http::begins_request_line(line) {
                return self.close(Some(Fault::LongLine(line_bytes)));
            }
            let head = Head::refused(line, Refusal::LongLine(line_bytes));
            self.asked(Request::Http(head), deadline, now);
            return self.stray(bytes.len());
        }
        let Some(end) = end else { return };
        let line = std::mem::take(line);
        if http::is_request_line(&line) {
            self.state = ClientState::Head {
                head: line,
                deadline: now + HEAD_LIMIT,
            };
            return self.head_bytes(&bytes[end..], now);
        }
        self.asked(Request::Line(line), deadline, now);
        // Bytes after the line have no meaning.
        self.stray(bytes.len() - end - 1);
    }

    /// More of the head of an HTTP request.
    fn head_bytes(&mut self, bytes: &[u8], now: Mono) {
        let ClientState::Head { head, deadline } = &mut self.state else {
            return;
        };
        let most = self.limits.head_bytes();
        let before = head.len();
        // The empty line may have begun in earlier bytes.
        let from = before.saturating_sub(2);
        head.extend_from_slice(&bytes[..bytes.len().min(most + 1 - head.len())]);
        let end = (from..head.len())
            .find(|&at| head[at..].starts_with(b"\n\n") || head[at..].starts_with(b"\n\r\n"));
        if end.is_none() {
            if head.len() > most {
                let (deadline, head) = (*deadline, Head::refused(head, Refusal::LongHead(most)));
                self.asked(Request::Http(head), deadline, now);
            }
            return;
        }
        let deadline = *deadline;
        let whole = end.unwrap_or(head.len());
        let blank = head.get(whole + 1) == Some(&b'\r');
        let rest = (whole + 2 + usize::from(blank)).saturating_sub(before);
        let rest = bytes.get(rest..).unwrap_or_default();
        match Incoming::of(Head::parse(&head[..whole])) {
            Err(head) => {
                self.is_whole = rest.is_empty() && head.is_all();
                self.asked(Request::Http(*head), deadline, now);
            }
            Ok(body) => {
                let deadline = now + self.limits.request;
                self.state = ClientState::Body { body, deadline };
                self.actions.push(Action::Body);
                self.body_bytes(rest, now);
            }
        }
    }

    /// Whether the body that follows may come: `None` if there are too many others.
    pub fn admit_body(&mut self, share: Option<Share>, now: Mono) {
        let ClientState::Body { body, .. } = &mut self.state else {
            return;
        };
        match share {
            Some(share) => {
                body.admit(share);
                if body.is_whole() {
                    self.end_body(Incoming::into_head, now);
                }
            }
            None => self.end_body(Incoming::refused, now),
        }
    }

    /// More of a body.
    fn body_bytes(&mut self, bytes: &[u8], now: Mono) {
        let ClientState::Body { body, .. } = &mut self.state else {
            return;
        };
        let stray = body.take(bytes);
        if body.is_whole() {
            self.end_body(Incoming::into_head, now);
        }
        self.stray(stray);
    }

    /// No more of a body comes, or is needed.
    fn end_body(&mut self, request: fn(Incoming) -> Head, now: Mono) {
        if let ClientState::Body { body, deadline } =
            std::mem::replace(&mut self.state, ClientState::Closed)
        {
            self.is_whole = body.is_whole();
            self.asked(Request::Http(request(body)), deadline, now);
        }
    }

    /// The client has closed its side, which completes an incomplete request.
    pub fn end(&mut self, now: Mono) {
        self.ended = true;
        match &mut self.state {
            // A port check: no request was sent.
            ClientState::Request { line, .. } if line.is_empty() => self.close(None),
            ClientState::Request { line, deadline } => {
                let line = std::mem::take(line);
                let deadline = *deadline;
                let request = if http::is_request_line(&line) {
                    Request::Http(Head::parse(&line))
                } else {
                    Request::Line(line)
                };
                self.asked(request, deadline, now);
            }
            ClientState::Head { head, deadline } => {
                let request = Request::Http(Head::parse(head));
                let deadline = *deadline;
                self.asked(request, deadline, now);
            }
            ClientState::Body { .. } => self.end_body(Incoming::into_head, now),
            ClientState::Lingering { .. } => self.close(None),
            // It may still read: `printf ... | nc -N` closes this side and waits for the answer.
            ClientState::Asked { .. }
            | ClientState::Pending { .. }
            | ClientState::Writing(_)
            | ClientState::Closed => {}
        }
    }

    /// The answer to the request.
    pub fn answer(&mut self, body: Box<dyn Body>, now: Mono) {
        if matches!(self.state, ClientState::Asked { .. }) {
            self.write(body, OUT_BYTES, now);
        }
    }

    /// Lets another thread answer the request, through `deliver`. `late` is sent instead if that
    /// takes longer than `PENDING_LIMIT`. Closing the connection drops `wait`, which cancels the
    /// errand.
    pub fn wait(&mut self, wait: Wait, late: Box<dyn Body>, now: Mono) {
        if matches!(self.state, ClientState::Asked { .. }) {
            self.state = ClientState::Pending {
                wait,
                late,
                deadline: now + PENDING_LIMIT,
            };
        }
    }

    /// Delivers the outcome of an errand. Returns whether this client was waiting for it; if not,
    /// the outcome is dropped.
    pub fn deliver(&mut self, errand: &Errand, body: Box<dyn Body>, now: Mono) -> bool {
        let waited =
            matches!(&self.state, ClientState::Pending { wait, .. } if wait.is_for(errand));
        if waited {
            self.write(body, FIRST_SLICE_BYTES, now);
        }
        waited
    }

    fn write(&mut self, body: Box<dyn Body>, slice_bytes: usize, now: Mono) {
        self.state = ClientState::Writing(Writing::new(body, slice_bytes, now));
    }

    /// The next bytes to send; empty once all of the answer is sent.
    pub fn output(&mut self) -> &[u8] {
        let ClientState::Writing(writing) = &mut self.state else {
            return &[];
        };
        writing.output()
    }

    /// Notes how long `output` or `finish` took, so that others need not wait for long: the next slice is smaller
    /// where it is slowly made, and grows again.
    pub fn took(&mut self, took: Duration) {
        if let ClientState::Writing(writing) = &mut self.state {
            writing.took(took);
        }
    }

    /// Notes that `len` bytes of `output` were sent.
    pub fn written(&mut self, len: usize, now: Mono) {
        let ClientState::Writing(writing) = &mut self.state else {
            return;
        };
        writing.written(len, now);
        self.written_bytes += len as u64;
    }

    /// Ends the answer if all of it is sent. Returns whether it is.
    pub fn finish(&mut self, now: Mono) -> bool {
        if !self.output().is_empty() || !self.wants_to_write() {
            return false;
        }
        if self.ended {
            self.close(None);
        } else {
            self.state = ClientState::Lingering {
                deadline: now + LINGER_LIMIT,
            };
            self.actions.push(Action::CloseWrite);
        }
        true
    }

    /// The connection broke.
    pub fn broken(&mut self) {
        let fault = match self.state {
            ClientState::Lingering { .. } | ClientState::Closed => None,
            ClientState::Request { .. }
            | ClientState::Head { .. }
            | ClientState::Body { .. }
            | ClientState::Asked { .. }
            | ClientState::Pending { .. }
            | ClientState::Writing(_) => Some(Fault::Gone),
        };
        self.close(fault);
    }

    /// Acts on the deadline, if it has passed.
    pub fn timeout(&mut self, now: Mono) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        let fault = match &self.state {
            ClientState::Request { line, deadline } if http::begins_request_line(line) => {
                let head = Head::refused(line, Refusal::Late(self.limits.request.as_secs()));
                let deadline = *deadline;
                return self.asked(Request::Http(head), deadline, now);
            }
            ClientState::Request { .. } => Some(Fault::NoRequest(self.limits.request.as_secs())),
            ClientState::Head { head, deadline } => {
                let request = Request::Http(Head::parse(head));
                let deadline = *deadline;
                return self.asked(request, deadline, now);
            }
            ClientState::Body { .. } => return self.end_body(Incoming::into_head, now),
            ClientState::Pending { .. } => return self.give_up_waiting(now),
            ClientState::Writing(writing) if writing.taken() + self.limits.stall <= now => {
                Some(Fault::Stalled(self.limits.stall.as_secs()))
            }
            ClientState::Writing(_) => Some(Fault::Slow),
            ClientState::Asked { .. } | ClientState::Lingering { .. } | ClientState::Closed => None,
        };
        self.close(fault);
    }

    /// Sends `late` instead of the pending answer, and so cancels the errand.
    fn give_up_waiting(&mut self, now: Mono) {
        if let ClientState::Pending { late, .. } =
            std::mem::replace(&mut self.state, ClientState::Closed)
        {
            self.write(late, OUT_BYTES, now);
        }
    }

    /// Closes the connection if an answer is being sent: its snapshot has been held for too long.
    pub fn outlive(&mut self) {
        if self.wants_to_write() {
            self.close(Some(Fault::Outlived));
        }
    }

    /// For the daemon's shutdown: closes the connection unless an answer is being made or sent.
    pub fn stop(&mut self) {
        if !self.wants_to_write() && !self.is_pending() {
            self.close(None);
        }
    }

    fn asked(&mut self, request: Request, deadline: Mono, now: Mono) {
        self.state = ClientState::Asked {
            deadline: deadline.max(now + Duration::from_secs(1)),
        };
        self.actions.push(Action::Request(request));
    }

    fn stray(&mut self, len: usize) {
        self.stray_bytes += len;
        if self.stray_bytes > MAX_STRAY_BYTES {
            self.close(None);
        }
    }

    fn close(&mut self, fault: Option<Fault>) {
        if !self.is_closed() {
            self.state = ClientState::Closed;
            self.actions.clear();
            self.actions.push(Action::Close(fault));
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.state {
            ClientState::Request { .. } => "Request",
            ClientState::Head { .. } => "Head",
            ClientState::Body { .. } => "Body",
            ClientState::Asked { .. } => "Asked",
            ClientState::Pending { .. } => "Pending",
            ClientState::Writing(_) => "Writing",
            ClientState::Lingering { .. } => "Lingering",
            ClientState::Closed => "Closed",
        };
        f.debug_struct("Client")
            .field("state", &state)
            .field("written_bytes", &self.written_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::limits::LEAST_SLICE_BYTES;
    use super::*;
    use crate::pending::Errands;
    use crate::testing::{ADDRESS, share};

    /// An answer of so many bytes.
    struct Zeros(usize);

    static ZEROS: [u8; OUT_BYTES] = [0; OUT_BYTES];

    impl Body for Zeros {
        fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> bool {
            let len = self.0.min(limit - out.len()).min(OUT_BYTES);
            out.extend_from_slice(&ZEROS[..len]);
            self.0 -= len;
            self.0 > 0
        }
    }

    fn asked(client: &mut Client) -> Option<Vec<u8>> {
        match client.action() {
            Some(Action::Request(Request::Line(line))) => Some(line),
            _ => None,
        }
    }

    fn is_well_formed(action: Option<&Action>) -> bool {
        matches!(action, Some(Action::Request(Request::Http(head))) if head.target.is_ok())
    }

    fn refused(action: Option<Action>) -> Option<Refusal> {
        match action {
            Some(Action::Request(Request::Http(head))) => head.target.err(),
            _ => None,
        }
    }

    fn answered(len: usize) -> Client {
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        client.bytes(b"/\n", Mono(0));
        assert!(asked(&mut client).is_some());
        client.answer(Box::new(Zeros(len)), Mono(0));
        client
    }

    #[test]
    fn a_line_ends_with_newline_carriage_return_or_half_close() {
        for end in [&b"\n"[..], b"\r", b"\r\n", b"\nmore\n"] {
            let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
            client.bytes(b"/Clus", Mono(1));
            assert_eq!(client.action(), None);
            client.bytes(&[b"ter", end].concat(), Mono(2));
            assert_eq!(asked(&mut client).as_deref(), Some(&b"/Cluster"[..]));
        }
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        client.bytes(b"/Cluster", Mono(1));
        client.end(Mono(2));
        assert_eq!(asked(&mut client).as_deref(), Some(&b"/Cluster"[..]));
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        client.bytes(b"\n", Mono(1));
        assert_eq!(asked(&mut client).as_deref(), Some(&b""[..]));
    }

    const POST: &[u8] = b"POST /graphite/render HTTP/1.1\r\nContent-Length: 6\r\n\r\n";

    fn body_of(action: Option<Action>) -> Option<Vec<u8>> {
        match action {
            Some(Action::Request(Request::Http(head))) if head.target.is_ok() => Some(head.body),
            _ => None,
        }
    }

    #[test]
    fn a_body_is_taken_after_its_head_wherever_it_is_cut() {
        let all = [POST, b"a=b&cd", b"stray"].concat();
        for cut in 1..all.len() {
            let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
            let mut asked = false;
            for piece in [&all[..cut], &all[cut..]] {
                client.bytes(piece, Mono(0));
                while let Some(action) = client.action() {
                    match action {
                        Action::Body => client.admit_body(Some(share()), Mono(0)),
                        other => {
                            assert_eq!(body_of(Some(other)).as_deref(), Some(&b"a=b&cd"[..]));
                            asked = true;
                        }
                    }
                }
            }
            assert!(asked, "cut at {cut}");
        }
    }

    #[test]
    fn a_body_that_does_not_come_or_has_no_room_is_refused() {
        let begun = |share: Option<Share>| {
            let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
            client.bytes(POST, Mono(0));
            assert_eq!(client.action(), Some(Action::Body));
            client.admit_body(share, Mono(0));
            client.bytes(b"a", Mono(9_000));
            client
        };
        let mut late = begun(Some(share()));
        late.timeout(Mono(9_999));
        assert_eq!(late.action(), None);
        assert!(late.wants_bytes());
        late.timeout(Mono(10_000));
        assert_eq!(refused(late.action()), Some(Refusal::ShortBody));
        let mut ended = begun(Some(share()));
        ended.end(Mono(9_000));
        assert_eq!(refused(ended.action()), Some(Refusal::ShortBody));
        assert_eq!(refused(begun(None).action()), Some(Refusal::Bodies));
    }

    #[test]
    fn who_sends_nothing_at_all_is_let_go_without_a_word() {
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        client.end(Mono(1));
        assert_eq!(client.action(), Some(Action::Close(None)));
    }

    #[test]
    fn tls_is_not_left_waiting() {
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        client.bytes(b"\x16\x03\x01\x02\x00\x01", Mono(0));
        assert_eq!(client.action(), Some(Action::Close(Some(Fault::Tls))));
    }

    #[test]
    fn an_over_long_line_closes_the_connection() {
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        client.bytes(&[b'x'; MAX_LINE_BYTES], Mono(0));
        assert_eq!(client.action(), None);
        client.bytes(b"\n", Mono(0));
        assert_eq!(
            asked(&mut client).map(|line| line.len()),
            Some(MAX_LINE_BYTES)
        );
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        client.bytes(&[b'x'; MAX_LINE_BYTES + 1], Mono(0));
        assert_eq!(
            client.action(),
            Some(Action::Close(Some(Fault::LongLine(MAX_LINE_BYTES))))
        );
        assert!(client.is_closed());
    }

    #[test]
    fn an_over_long_line_of_http_is_answered_however_it_comes() {
        let line = [b"GET /", &[b'x'; 2 * MAX_LINE_BYTES][..]].concat();
        for step in [1, 100, line.len()] {
            let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
            let mut parts = line.chunks(step);
            let action = loop {
                client.bytes(parts.next().expect("it is too long"), Mono(0));
                let action = client.action();
                if action.is_some() {
                    break action;
                }
            };
            assert_eq!(refused(action), Some(Refusal::LongLine(MAX_LINE_BYTES)));
            client.answer(Box::new(Zeros(1)), Mono(0));
            assert_eq!(client.output().len(), 1);
            client.written(1, Mono(0));
            client.finish(Mono(0));
            // What is left of the line is read, lest the answer is lost with the connection.
            assert!(client.wants_bytes());
            parts.for_each(|part| client.bytes(part, Mono(0)));
            assert!(!client.is_closed());
        }
    }

    #[test]
    fn no_line_within_the_limit_closes_the_connection() {
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        client.bytes(b"/", Mono(9_000));
        assert_eq!(
            client.deadline(),
            Some(Mono(10_000)),
            "a drip moves nothing"
        );
        client.timeout(Mono(9_999));
        assert!(!client.is_closed());
        client.timeout(Mono(10_000));
        assert_eq!(
            client.action(),
            Some(Action::Close(Some(Fault::NoRequest(
                REQUEST_LIMIT.as_secs()
            ))))
        );
        assert_eq!(client.deadline(), None);
        // Over HTTP there is a way to say so.
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        client.bytes(b"GET /metr", Mono(9_000));
        client.timeout(Mono(10_000));
        assert_eq!(refused(client.action()), Some(Refusal::Late(10)));
        assert_eq!(client.deadline(), Some(Mono(11_000)));
    }

    #[test]
    fn http_is_a_head_with_an_empty_line_at_its_end() {
        let head = b"GET /a%20b HTTP/1.1\r\nHost: x\r\n\r\n";
        let target = |client: &mut Client| match client.action() {
            Some(Action::Request(Request::Http(head))) => head.target.ok(),
            _ => None,
        };
        for step in [1, 2, 3, 7, head.len()] {
            let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
            for part in head.chunks(step) {
                assert_eq!(client.action(), None);
                assert!(client.wants_bytes());
                client.bytes(part, Mono(0));
            }
            assert_eq!(target(&mut client).as_deref(), Some(&b"/a%20b"[..]));
            assert!(!client.wants_bytes());
        }
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        client.bytes(b"GET / HTTP/1.0\n\nrest", Mono(0));
        assert_eq!(target(&mut client).as_deref(), Some(&b"/"[..]));
    }

    #[test]
    fn a_head_without_an_end_is_answered_all_the_same() {
        for sent in [
            &b"GET / HTTP/1.0"[..],
            b"GET / HTTP/1.0\n",
            b"GET / HTTP/1.0\r\nA: b",
        ] {
            let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
            client.bytes(sent, Mono(0));
            client.end(Mono(5));
            let action = client.action();
            assert!(is_well_formed(action.as_ref()), "{action:?}");
        }
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        client.bytes(b"GET / HTTP/1.0\r\n", Mono(5000));
        client.bytes(b"A: b\r\n", Mono(5900));
        assert_eq!(client.deadline(), Some(Mono(6000)));
        client.timeout(Mono(6000));
        assert!(is_well_formed(client.action().as_ref()));
    }

    #[test]
    fn what_is_wrong_with_a_head_is_told() {
        let most = Limits::default().head_bytes();
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        client.bytes(b"POST / HTTP/1.0\r\n\r\n", Mono(0));
        assert_eq!(refused(client.action()), Some(Refusal::Method));
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        client.bytes(b"GET / HTTP/1.0\r\nX: ", Mono(0));
        for _ in 0..most.div_ceil(100) {
            client.bytes(&[b'x'; 100], Mono(0));
        }
        assert_eq!(refused(client.action()), Some(Refusal::LongHead(most)));
        client.answer(Box::new(Zeros(1)), Mono(0));
        assert!(client.wants_to_write());
    }

    #[test]
    fn the_xml_port_asks_for_nothing() {
        let mut client = Client::of_xml_port(Limits::default(), Mono(0));
        assert_eq!(client.action(), Some(Action::Request(Request::All)));
        client.answer(Box::new(Zeros(10)), Mono(0));
        assert_eq!(client.output().len(), 10);
        client.written(10, Mono(0));
        assert!(client.finish(Mono(0)));
        assert_eq!(client.action(), Some(Action::CloseWrite));
    }

    #[test]
    fn an_answer_is_made_as_it_is_taken() {
        let len = 5 * OUT_BYTES + 17;
        let mut client = answered(len);
        let mut sent = 0;
        while !client.finish(Mono(0)) {
            let slice = client.output().len();
            assert!(slice > 0 && slice <= OUT_BYTES);
            let part = slice.min(10_000);
            client.written(part, Mono(0));
            sent += part;
        }
        assert_eq!(sent, len);
        assert_eq!(client.written_bytes(), len as u64);
        assert!(client.wants_bytes(), "until the client closes");
        client.end(Mono(5));
        client.end(Mono(6));
        assert_eq!(client.action(), Some(Action::Close(None)));
        assert_eq!(client.action(), None);
    }

    #[test]
    fn nobody_is_waited_for_who_has_said_all_that_it_will() {
        let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        let post = "POST /graphite/render HTTP/1.1\r\nContent-Length: 3\r\n\r\n";
        let cases = [
            (get, true),
            (post, false),
            (&format!("{post}a=b"), true),
            (&format!("{post}a=bc"), false),
            (&format!("{get}GET /"), false),
            ("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", false),
            (
                "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                false,
            ),
            // These are refused, and what they mean is not known.
            ("PUT / HTTP/1.1\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nnonsense\r\n\r\n", false),
            // A line may be followed by anything.
            ("/\n", false),
        ];
        for (request, has_said_all) in cases {
            for step in [1, request.len()] {
                let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
                for part in request.as_bytes().chunks(step) {
                    client.bytes(part, Mono(0));
                    if let Some(Action::Body) = client.action() {
                        client.admit_body(Some(share()), Mono(0));
                    }
                }
                assert_eq!(client.has_said_all(), has_said_all, "{request:?} by {step}");
            }
        }
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        client.bytes(get.as_bytes(), Mono(0));
        assert!(is_well_formed(client.action().as_ref()));
        client.answer(Box::new(Zeros(0)), Mono(0));
        assert!(client.finish(Mono(0)) && client.has_said_all());
        client.bytes(b"GET", Mono(0));
        assert!(!client.has_said_all(), "there is more");
    }

    #[test]
    fn what_is_slowly_made_is_made_in_smaller_slices() {
        let mut client = answered(100 * OUT_BYTES);
        let slice = |client: &mut Client, took: Duration| {
            let len = client.output().len();
            client.took(took);
            // Nothing is made of a slice that is there.
            client.output();
            client.took(Duration::from_secs(1));
            client.written(len, Mono(0));
            len
        };
        let long = SLICE_TIME + Duration::from_micros(1);
        assert_eq!(slice(&mut client, long), OUT_BYTES);
        assert_eq!(slice(&mut client, SLICE_TIME), OUT_BYTES / 2);
        assert_eq!(slice(&mut client, long), OUT_BYTES / 2);
        for _ in 0..10 {
            slice(&mut client, long);
        }
        assert_eq!(slice(&mut client, SLICE_TIME / 2), LEAST_SLICE_BYTES);
        for _ in 0..10 {
            slice(&mut client, Duration::ZERO);
        }
        assert_eq!(slice(&mut client, SLICE_TIME), OUT_BYTES);
    }

    #[test]
    fn a_client_that_has_closed_its_side_is_let_go_with_the_last_byte() {
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        client.bytes(b"/", Mono(0));
        client.end(Mono(0));
        assert!(asked(&mut client).is_some());
        client.answer(Box::new(Zeros(0)), Mono(0));
        assert!(client.output().is_empty());
        assert!(client.finish(Mono(0)));
        assert_eq!(client.action(), Some(Action::Close(None)));
    }

    #[test]
    fn a_client_that_takes_nothing_is_let_go() {
        let mut client = answered(1 << 20);
        client.output();
        client.written(1, Mono(20_000));
        assert_eq!(client.deadline(), Some(Mono(50_000)));
        client.timeout(Mono(50_000));
        assert_eq!(
            client.action(),
            Some(Action::Close(Some(Fault::Stalled(STALL_LIMIT.as_secs()))))
        );
    }

    #[test]
    fn a_client_that_drips_is_let_go_and_one_that_keeps_up_is_not() {
        let mut client = answered(100 << 20);
        let mut now = Mono(0);
        while !client.is_closed() {
            now.0 += 20_000;
            client.timeout(now);
            client.output();
            client.written(1, now);
        }
        assert_eq!(now, Mono(60_000));
        assert_eq!(client.action(), Some(Action::Close(Some(Fault::Slow))));

        let mut client = answered(100 << 20);
        let mut now = Mono(0);
        while !client.finish(now) {
            client.timeout(now);
            assert!(!client.is_closed(), "at {now:?}");
            let len = client.output().len().min(MIN_BYTES_PER_SEC as usize);
            client.written(len, now);
            now.0 += 1000;
        }
        assert!(now > Mono(1_000_000));
    }

    #[test]
    fn a_client_that_keeps_sending_is_cut_off() {
        let mut client = answered(10);
        client.output();
        client.written(10, Mono(0));
        assert!(client.finish(Mono(0)));
        assert_eq!(client.action(), Some(Action::CloseWrite));
        for _ in 0..=MAX_STRAY_BYTES / 4096 {
            client.bytes(&[0; 4096], Mono(0));
        }
        assert_eq!(client.action(), Some(Action::Close(None)));
        let mut client = answered(10);
        client.output();
        client.written(10, Mono(0));
        client.finish(Mono(0));
        client.timeout(Mono(2000));
        assert!(client.is_closed(), "nobody lingers for good");
    }

    /// A client of HTTP whose answer another thread makes; 504 bytes tell that it is late.
    fn pending() -> (Client, Errand) {
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        client.bytes(b"GET / HTTP/1.0\r\n\r\n", Mono(0));
        assert!(is_well_formed(client.action().as_ref()));
        let (wait, errand) = Errands::default().begin(ADDRESS).unwrap();
        client.wait(wait, Box::new(Zeros(504)), Mono(0));
        assert!(client.is_pending() && errand.is_wanted());
        (client, errand)
    }

    #[test]
    fn an_answer_may_come_later_even_if_the_client_has_closed_its_side() {
        for ends in [false, true] {
            let (mut client, errand) = pending();
            assert!(client.output().is_empty() && !client.wants_to_write());
            assert!(client.wants_bytes(), "to see whether it is still there");
            if ends {
                client.end(Mono(1));
            }
            assert_eq!(client.action(), None);
            assert!(client.deliver(&errand, Box::new(Zeros(7)), Mono(9_999)));
            assert_eq!(client.output().len(), 7);
            client.written(7, Mono(9_999));
            assert!(client.finish(Mono(9_999)));
            assert!(!errand.is_wanted());
        }
    }

    #[test]
    fn an_answer_that_does_not_come_is_told_and_what_comes_after_that_is_nobodys() {
        let (mut client, errand) = pending();
        assert_eq!(client.deadline(), Some(Mono(10_000)));
        client.timeout(Mono(9_999));
        assert!(errand.is_wanted());
        client.timeout(Mono(10_000));
        assert!(!errand.is_wanted(), "the work may be spared");
        assert_eq!(client.output().len(), 504);
        assert!(!client.deliver(&errand, Box::new(Zeros(7)), Mono(10_001)));
        assert_eq!(client.output().len(), 504);
    }

    #[test]
    fn the_answer_to_another_is_not_taken() {
        let (mut client, _) = pending();
        let (_other, errand) = pending();
        assert!(!client.deliver(&errand, Box::new(Zeros(7)), Mono(1)));
        assert!(client.is_pending());
        let mut idle = Client::of_interactive_port(Limits::default(), Mono(0));
        assert!(!idle.deliver(&errand, Box::new(Zeros(7)), Mono(1)));
        assert!(!idle.wants_to_write());
    }

    #[test]
    fn a_client_that_goes_away_ends_its_errand() {
        let (mut client, errand) = pending();
        client.broken();
        assert_eq!(client.action(), Some(Action::Close(Some(Fault::Gone))));
        assert!(!errand.is_wanted());
        let (mut client, errand) = pending();
        for _ in 0..=MAX_STRAY_BYTES / 4096 {
            client.bytes(&[0; 4096], Mono(0));
        }
        assert_eq!(client.action(), Some(Action::Close(None)), "it floods");
        assert!(!errand.is_wanted());
        let (client, errand) = pending();
        drop(client);
        assert!(!errand.is_wanted());
    }

    #[test]
    fn at_the_end_of_the_daemon_a_pending_answer_is_waited_for() {
        let (mut client, errand) = pending();
        client.stop();
        assert!(!client.is_closed());
        assert!(client.deliver(&errand, Box::new(Zeros(1)), Mono(1)));
    }

    #[test]
    fn a_client_that_is_outlived_is_let_go_unless_it_has_all() {
        let mut slow = answered(10 * OUT_BYTES);
        slow.outlive();
        assert_eq!(slow.action(), Some(Action::Close(Some(Fault::Outlived))));
        let mut done = answered(1);
        let len = done.output().len();
        done.written(len, Mono(0));
        assert!(done.finish(Mono(0)));
        done.outlive();
        assert_eq!(done.action(), Some(Action::CloseWrite));
    }

    #[test]
    fn at_the_end_of_the_daemon_answers_in_progress_go_on() {
        let mut busy = answered(10);
        busy.stop();
        assert!(!busy.is_closed());
        let mut idle = Client::of_interactive_port(Limits::default(), Mono(0));
        idle.stop();
        assert_eq!(idle.action(), Some(Action::Close(None)));
    }

    #[test]
    fn limits_hold_to_the_byte_and_to_the_moment() {
        let limits = Limits {
            line_bytes: 10,
            request: Duration::from_secs(3),
            stall: Duration::from_secs(4),
            answer: Duration::from_secs(7),
        };
        let client = || Client::of_interactive_port(limits, Mono(0));
        let mut exact = client();
        exact.bytes(b"/234567890\n", Mono(1));
        assert_eq!(asked(&mut exact).as_deref(), Some(&b"/234567890"[..]));
        let mut over = client();
        over.bytes(b"/2345678901\n", Mono(1));
        assert_eq!(
            over.action(),
            Some(Action::Close(Some(Fault::LongLine(10))))
        );

        let head = |len: usize| {
            let mut client = client();
            let line = "GET / HTTP\n";
            let field = "x".repeat(len - line.len() - 2) + ":";
            client.bytes(format!("{line}{field}\n\n").as_bytes(), Mono(1));
            refused(client.action())
        };
        let most = limits.head_bytes();
        assert_eq!(head(most), Some(Refusal::RequestLine), "it is read");
        assert_eq!(head(most + 1), Some(Refusal::LongHead(most)));

        let mut silent = client();
        silent.timeout(Mono(2_999));
        assert_eq!(silent.action(), None);
        silent.timeout(Mono(3_000));
        assert_eq!(
            silent.action(),
            Some(Action::Close(Some(Fault::NoRequest(3))))
        );

        exact.answer(Box::new(Zeros(1 << 20)), Mono(1_000));
        let out = exact.output().len();
        assert!(out > 0);
        exact.written(1, Mono(3_500));
        assert_eq!(exact.deadline(), Some(Mono(7_500)), "it took something");
        exact.written(1, Mono(7_000));
        assert_eq!(exact.deadline(), Some(Mono(8_000)), "the whole answer");
        exact.timeout(Mono(7_999));
        assert_eq!(exact.action(), None);
        exact.timeout(Mono(8_000));
        assert_eq!(exact.action(), Some(Action::Close(Some(Fault::Slow))));

        let mut stalled = client();
        stalled.bytes(b"/\n", Mono(1));
        assert!(asked(&mut stalled).is_some());
        stalled.answer(Box::new(Zeros(1 << 20)), Mono(1_000));
        stalled.timeout(Mono(5_000));
        assert_eq!(
            stalled.action(),
            Some(Action::Close(Some(Fault::Stalled(4))))
        );
    }

    #[test]
    fn who_is_idle_or_takes_too_little_may_have_to_make_room_and_nobody_else() {
        let mut client = Client::of_interactive_port(Limits::default(), Mono(0));
        assert_eq!(client.standing(Mono(0)), Some(Standing::Idle));
        client.bytes(b"GET / HTTP/1.0\r\n", Mono(0));
        assert_eq!(
            client.standing(Mono(0)),
            Some(Standing::Idle),
            "half a request"
        );
        client.bytes(b"\r\n", Mono(0));
        assert_eq!(client.standing(Mono(0)), None, "it waits for us");
        drop(client.action());
        let size = 1 << 20;
        client.answer(Box::new(Zeros(size)), Mono(1_000));
        assert_eq!(client.standing(Mono(1_999)), None, "a second is nothing");
        let slow = |bytes_per_sec, taken| {
            Some(Standing::Slow {
                bytes_per_sec,
                taken: Mono(taken),
            })
        };
        assert_eq!(client.standing(Mono(2_000)), slow(0, 1_000));
        let least = MIN_BYTES_PER_SEC as usize * 2;
        client.output();
        client.written(least / 2, Mono(2_500));
        assert_eq!(
            client.standing(Mono(3_000)),
            slow(MIN_BYTES_PER_SEC / 2, 2_500)
        );
        client.output();
        client.written(least / 2, Mono(3_000));
        assert_eq!(client.standing(Mono(3_000)), None, "as fast as it must be");
        assert_eq!(
            client.standing(Mono(4_000)),
            slow(0, 3_000),
            "but not any more"
        );
        loop {
            let len = client.output().len();
            if client.finish(Mono(4_000)) {
                break;
            }
            client.written(len, Mono(4_000));
        }
        assert_eq!(
            client.standing(Mono(4_000)),
            Some(Standing::Idle),
            "it has it"
        );
        client.end(Mono(4_000));
        assert_eq!(client.standing(Mono(4_000)), None, "it has gone");
    }
}
